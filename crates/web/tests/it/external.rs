//! External CAs: made by a form, tried at the CA, changed, deleted.

use std::sync::Arc;

use chancery_model::external::{AcmeConfiguration, ChallengeKind, ExternalCa, ExternalConfiguration};
use chancery_model::permission::Role;

use crate::elsewhere::Elsewhere;
use crate::place::{Browser, Place};

const NEW: &str = "/ui/authorities/external/new";
const ACME: &[(&str, &str)] = &[
    ("kind", "acme"),
    ("name", "letsencrypt"),
    ("preset", "letsencrypt-staging"),
    ("email", "pki@acme.com"),
    ("propagation", "10m"),
];

fn acme<'a>(others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = ACME.iter().filter(|(name, _)| !others.iter().any(|(other, _)| other == name));
    kept.chain(others).copied().collect()
}

async fn stored(place: &Place) -> Vec<ExternalCa> {
    place.authority.reader().external_cas(place.call().await.project_id()).await.unwrap()
}

fn settings(ca: &ExternalCa) -> &AcmeConfiguration {
    match &ca.configuration {
        ExternalConfiguration::Acme(it) => it,
        other => panic!("{other:?}"),
    }
}

async fn connection(browser: &Browser<'_>, fields: &[(&str, &str)]) -> String {
    let sent = browser.post("/ui/connections/new", fields).await.sent();
    sent.rsplit('/').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_acme_ca_is_made_from_a_preset_changed_tested_and_deleted() {
    let place = Place::with_upstream(Arc::new(Elsewhere)).await;
    let browser = place.visitor(Role::Admin).await;
    let here = browser.post(NEW, &acme(&[])).await.sent();
    let page = browser.get(&here).await.words();
    for text in ["the terms have changed", "https://acme.test/account/1", "acme-staging-v02", "http-01", "pki@acme.com"]
    {
        assert!(page.contains(text), "{text}: {page}");
    }
    // A link to a CA need not know of which kind it is.
    let id = here.rsplit('/').next().unwrap();
    assert_eq!(browser.get(&format!("/ui/authorities/{id}")).await.sent(), here);
    let form = browser.get(&format!("{here}/edit")).await.ok();
    assert!(form.contains("pki@acme.com"));
    let changed = acme(&[("preset", ""), ("directory_url", "https://acme.example/dir"), ("disabled", "on")]);
    assert_eq!(browser.post(&format!("{here}/edit"), &changed).await.sent(), here);
    let ca = stored(&place).await.remove(0);
    assert_eq!((settings(&ca).directory_url.as_str(), ca.status.as_str()), ("https://acme.example/dir", "disabled"));
    browser.post(&format!("{here}/test"), &[]).await.sent();
    assert!(browser.get(&here).await.words().contains("The CA answers"));
    assert_eq!(browser.post(&format!("{here}/delete"), &[]).await.sent(), "/ui/authorities");
    assert!(stored(&place).await.is_empty());
}

#[tokio::test]
async fn names_are_proved_by_the_dns_connection_of_their_zone() {
    let place = Place::with_upstream(Arc::new(Elsewhere)).await;
    let browser = place.visitor(Role::Admin).await;
    let fields =
        [("app", "cloudflare"), ("method", "api-token"), ("name", "cf"), ("field.apiToken", "t"), ("tests", "on")];
    let cloudflare = connection(&browser, &fields).await;
    assert!(browser.get(NEW).await.words().contains("cf (Cloudflare)"));
    let rows = [
        ("zone", "B.acme.com."),
        ("zone_connection", cloudflare.as_str()),
        ("zone_hosted", "z1"),
        ("zone", ""),
        ("zone_connection", ""),
        ("zone_hosted", ""),
    ];
    // Another row, without a script: nothing is made yet, and what was typed stays.
    let more: Vec<_> = acme(&rows).into_iter().chain([("add_zone", "1")]).collect();
    let again = browser.post(NEW, &more).await.ok();
    assert!(again.contains("B.acme.com.") && again.contains("pki@acme.com"));
    assert!(stored(&place).await.is_empty());
    browser.post(NEW, &acme(&rows)).await.sent();
    let ca = stored(&place).await.remove(0);
    let zones = &settings(&ca).zones;
    assert_eq!((zones.len(), zones[0].zone.as_str(), zones[0].hosted_zone_id.as_str()), (1, "b.acme.com", "z1"));
    assert_eq!(settings(&ca).challenges, [ChallengeKind::Dns01]);
    let here = format!("/ui/connections/{cloudflare}");
    assert!(browser.get(&here).await.words().contains("letsencrypt"));
    browser.post(&format!("{here}/delete"), &[]).await.sent();
    assert!(browser.get(&here).await.words().contains("is used by the certification authorities letsencrypt"));
}

#[tokio::test]
async fn what_is_wrong_with_an_external_ca_is_told_and_nothing_is_made() {
    let place = Place::with_upstream(Arc::new(Elsewhere)).await;
    let browser = place.visitor(Role::Admin).await;
    let check = async |others: &[(&str, &str)], expected: &str| {
        let answer = browser.post(NEW, &acme(others)).await;
        assert_eq!(answer.status, 422, "{others:?}");
        assert!(answer.words().contains(expected), "{others:?}: {}", answer.words());
        assert!(!answer.text().contains("s3cr3t"), "{others:?}");
    };
    check(&[("name", "")], "Give it a name").await;
    check(&[("preset", ""), ("directory_url", "http://acme.test")], "must be a URL that begins with https://").await;
    check(&[("email", "nobody")], "must be one e-mail address").await;
    check(&[("challenges", "dns-01")], "dns-01 needs a DNS provider").await;
    check(&[("propagation", "never")], "does not start with a number").await;
    check(&[("eab_kid", "k1")], "goes together with eabKid").await;
    check(&[("eab_key", "s3cr3t")], "goes together with eabHmacKey").await;
    check(&[("preset", ""), ("directory_url", "https://down.test/d")], "does not answer").await;
    check(&[("kind", "vault")], "Choose an app connection").await;
    check(&[("kind", "digicert"), ("organization_id", "x")], "number of the organization").await;
    assert!(stored(&place).await.is_empty());
}

#[tokio::test]
async fn a_vault_is_asked_by_its_connection() {
    let place = Place::with_upstream(Arc::new(Elsewhere)).await;
    let browser = place.visitor(Role::Admin).await;
    let fields = [
        ("app", "hashicorp-vault"),
        ("method", "access-token"),
        ("name", "bao"),
        ("field.instanceUrl", "https://bao.acme.com:8200"),
        ("field.accessToken", "t"),
    ];
    let bao = connection(&browser, &fields).await;
    let fields = [("kind", "vault"), ("name", "bao-web"), ("connection", bao.as_str()), ("mount", ""), ("role", "web")];
    let here = browser.post(NEW, &fields).await.sent();
    let page = browser.get(&here).await.words();
    assert!(page.contains("Secrets engine pki") && page.contains("Role web"), "{page}");
    let auditor = place.visitor(Role::Auditor).await;
    assert!(!auditor.get(&here).await.ok().contains("/delete\""));
    assert_eq!(auditor.post(&format!("{here}/delete"), &[]).await.status, 403);
}
