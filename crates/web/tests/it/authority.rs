//! Certification authorities: made, certified, renewed, revoked, deleted, and who may do that.
//!
//! ```text
//! acme-root ─ acme-issuing
//! ```

use chancery_model::authority::{CaStatus, CertificationAuthority};
use chancery_model::permission::Role;

use crate::place::{Browser, Place};

const ROOT: &[(&str, &str)] = &[
    ("level", "root"),
    ("common_name", "Acme Root"),
    ("key_algorithm", "EC_prime256v1"),
    ("lives", "10y"),
    ("crl_validity", "7d"),
];

/// The fields of an intermediate CA under `parent`, with others in place of some.
fn intermediate<'a>(parent: &'a str, others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("level", "intermediate"),
        ("parent", parent),
        ("common_name", "Acme Issuing"),
        ("key_algorithm", "EC_prime256v1"),
        ("lives", "5y"),
        ("path_length", "0"),
        ("crl_validity", "7d"),
    ];
    let kept = usual.into_iter().filter(|(name, _)| !others.iter().any(|(other, _)| other == name));
    kept.chain(others.iter().copied()).collect()
}

/// The id at the end of an address.
fn id_in(address: &str) -> String {
    address.split('/').nth(3).unwrap_or_default().to_owned()
}

async fn root(browser: &Browser<'_>) -> String {
    id_in(&browser.post("/ui/authorities/new", ROOT).await.sent())
}

async fn ca(place: &Place, id: &str) -> CertificationAuthority {
    let call = place.call().await;
    place.authority.reader().ca(call.project_id(), id.parse().unwrap()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_root_and_a_ca_below_it_are_made_with_the_defaults() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let form = browser.get("/ui/authorities/new?level=root").await;
    assert!(form.words().contains("New root CA"), "{}", form.words());
    let root = root(&browser).await;
    let made = browser.post("/ui/authorities/new", &intermediate(&root, &[])).await;
    let issuing = ca(&place, &id_in(&made.sent())).await;
    assert_eq!((issuing.name.as_str(), issuing.status), ("acme-issuing", CaStatus::Active));
    let shown = browser.get(made.location()).await.words();
    for text in ["CN=Acme Issuing", "CN=Acme Root", "None: it signs no other CA", "Active", "Complete CRL"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let tree = browser.get("/ui/authorities").await;
    let html = tree.ok();
    // The one stands inside the other's branch.
    let (above, below) = (html.find("acme-root").unwrap(), html.find("acme-issuing").unwrap());
    assert!(html[above..below].contains("<ul>"), "{html}");
    let pem = browser.get(&format!("{}/download?what=chain", made.location())).await;
    assert_eq!(pem.ok().matches("BEGIN CERTIFICATE").count(), 2);
}

#[tokio::test]
async fn what_is_wrong_with_a_new_ca_stands_beside_its_field_and_what_was_typed_stays() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let root = root(&browser).await;
    let check = async |others: &[(&str, &str)], field: &str, expected: &str| {
        let answer = browser.post("/ui/authorities/new", &intermediate(&root, others)).await;
        assert_eq!(answer.status, 422, "{others:?}: {}", answer.words());
        let html = answer.text();
        let beside = html.split(&format!("id=\"d-{field}\"")).nth(1).unwrap_or_default();
        let beside = beside.split("</p>").next().unwrap_or_default();
        assert!(beside.contains(expected), "{others:?}: {beside}");
        assert!(html.contains("Acme Issuing"), "{others:?}");
    };
    check(&[("lives", "soon")], "lives", "10y, 90d or 12h").await;
    check(&[("lives", "20y")], "lives", "nothing below it may end later").await;
    check(&[("path_length", "many")], "path_length", "0 to 255").await;
    check(&[("name", "Acme!")], "name", "lower-case letters").await;
    check(&[("name", "acme-root")], "name", "is taken").await;
    check(&[("country", "Germany")], "country", "longer than 2 characters").await;
    check(&[("permitted", "ip:300.0.0.0/8")], "permitted", "class=\"problem\"").await;
    check(&[("signature_algorithm", "RSA-SHA256")], "signature_algorithm", "RSA-SHA256 cannot be made").await;
    check(&[("crl_validity", "1m")], "crl_validity", "1 hour to 365 days").await;
    let call = place.call().await;
    assert_eq!(place.authority.reader().cas(call.project_id()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_ca_signed_elsewhere_gives_its_request_and_takes_what_comes_back() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let root = root(&browser).await;
    let made = browser.post("/ui/authorities/new", &intermediate("", &[])).await.sent();
    assert!(made.ends_with("/install"), "{made}");
    let outside = format!("/ui/authorities/{}", id_in(&made));
    assert!(browser.get(&outside).await.words().contains("This CA waits for its certificate"));
    let csr = browser.post(&format!("{outside}/csr"), &[("as", "file")]).await.ok();
    assert!(csr.starts_with("-----BEGIN CERTIFICATE REQUEST-----"), "{csr}");
    let wrong = browser.post(&format!("{outside}/import-certificate"), &[("certificate", "nothing")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text().contains("nothing</textarea>"), "what was typed is still there");
    // The root here plays the one elsewhere.
    let fields = [("csr", csr.as_str()), ("lives", "5y"), ("path_length", "0")];
    let signed = browser.post(&format!("/ui/authorities/{root}/sign"), &fields).await.ok();
    let texts: Vec<&str> = signed.split("-----BEGIN CERTIFICATE-----").collect();
    let pem = |part: &str| format!("-----BEGIN CERTIFICATE-----{}", part.split("</pre>").next().unwrap());
    let whole = format!("{}\n{}", pem(texts[1]), pem(texts[2]));
    let sent = browser.post(&format!("{outside}/import-certificate"), &[("certificate", &whole)]).await.sent();
    assert_eq!(sent, outside);
    assert_eq!(ca(&place, &id_in(&outside)).await.status, CaStatus::Active);
}

#[tokio::test]
async fn a_ca_is_renewed_and_rolled_over() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let root = root(&browser).await;
    let first = ca(&place, &root).await;
    place.clock.advance_seconds(60);
    let here = format!("/ui/authorities/{root}");
    assert!(browser.get(&format!("{here}/renew")).await.words().contains("same key"));
    assert_eq!(browser.post(&format!("{here}/renew"), &[]).await.sent(), here);
    let renewed = ca(&place, &root).await;
    assert_ne!(renewed.active_certificate, first.active_certificate);
    assert_eq!(renewed.key_id, first.key_id);
    let refused = browser.post(&format!("{here}/renew"), &[("lives", "never")]).await;
    assert_eq!(refused.status, 422);
    place.clock.advance_seconds(60);
    let fields = [("key_algorithm", "EC_secp384r1")];
    assert_eq!(browser.post(&format!("{here}/roll-over"), &fields).await.sent(), here);
    let rolled = ca(&place, &root).await;
    assert_ne!(rolled.key_id, first.key_id);
    assert!(browser.get(&here).await.words().contains("ECDSA-P384"));
}

#[tokio::test]
async fn a_ca_that_lost_trust_is_put_on_hold_released_and_revoked() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let root = root(&browser).await;
    let here = browser.post("/ui/authorities/new", &intermediate(&root, &[])).await.sent();
    let certificate = ca(&place, &id_in(&here)).await.active_certificate.unwrap();
    let action = format!("{here}/certificates/{certificate}");
    assert!(browser.get(&format!("{action}/revoke")).await.words().contains("the CA stops issuing"));
    browser.post(&format!("{action}/revoke"), &[("reason", "CERTIFICATE_HOLD")]).await.sent();
    assert!(browser.get(&here).await.words().contains("On hold"));
    browser.post(&format!("{action}/release"), &[]).await.sent();
    browser.post(&format!("{action}/revoke"), &[("reason", "CA_COMPROMISE")]).await.sent();
    assert!(browser.get(&here).await.words().contains("Revoked"));
    let again = browser.post(&format!("{action}/revoke"), &[("reason", "SUPERSEDED")]).await;
    assert_eq!(again.status, 422);
    assert!(again.words().contains("already revoked"), "{}", again.words());
}

#[tokio::test]
async fn settings_are_kept_and_wrong_ones_are_told() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let root = root(&browser).await;
    let here = format!("/ui/authorities/{root}");
    let fields = [
        ("name", "acme-top"),
        ("status", "disabled"),
        ("crl_validity", "2d"),
        ("delta_interval", "1h"),
        ("crl_partitions", "4"),
        ("managed_url", "on"),
        ("crl_urls", "http://crl.acme.com/top.crl"),
    ];
    assert_eq!(browser.post(&format!("{here}/settings"), &fields).await.sent(), here);
    let kept = ca(&place, &root).await;
    let status = &kept.configuration.status;
    assert_eq!((kept.name.as_str(), kept.status), ("acme-top", CaStatus::Disabled));
    assert_eq!((status.crl_validity.as_seconds(), status.crl_partitions, status.ocsp), (2 * 86_400, 4, false));
    assert_eq!(status.crl_urls, ["http://crl.acme.com/top.crl"]);
    let wrong: Vec<_> = fields.into_iter().map(|it| if it.0 == "delta_interval" { (it.0, "3d") } else { it }).collect();
    let answer = browser.post(&format!("{here}/settings"), &wrong).await;
    assert_eq!(answer.status, 422);
    assert!(answer.words().contains("shorter than crlValidity"), "{}", answer.words());
    let fields = [("renews", "on"), ("days", "60")];
    browser.post(&format!("{here}/auto-renewal"), &fields).await.sent();
    let renewal = ca(&place, &root).await.configuration.auto_renewal;
    assert!(renewal.enabled && !renewal.new_key);
    assert_eq!(renewal.days_before_expiry, Some(60));
}

#[tokio::test]
async fn a_ca_in_use_is_not_deleted_and_one_that_is_not_is() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let root = root(&browser).await;
    let below = browser.post("/ui/authorities/new", &intermediate(&root, &[])).await.sent();
    let refused = browser.post(&format!("/ui/authorities/{root}/delete"), &[]).await.sent();
    assert_eq!(refused, format!("/ui/authorities/{root}"));
    assert!(browser.get(&refused).await.words().contains("still in use"));
    assert_eq!(browser.post(&format!("{below}/delete"), &[]).await.sent(), "/ui/authorities");
    assert_eq!(browser.get(&below).await.status, 404);
}

#[tokio::test]
async fn others_see_cas_and_change_nothing() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let root = root(&admin).await;
    for role in [Role::Operator, Role::Auditor] {
        let browser = place.visitor(role).await;
        let page = browser.get(&format!("/ui/authorities/{root}")).await.ok();
        assert!(page.contains("CN=Acme Root"));
        for action in ["/renew", "/settings", "/delete", "/sign"] {
            assert!(!page.contains(&format!("/ui/authorities/{root}{action}\"")), "{role} {action}");
        }
        for path in ["/ui/authorities/new", "/ui/authorities/import", &format!("/ui/authorities/{root}/settings")] {
            assert_eq!(browser.get(path).await.status, 403, "{role} {path}");
        }
        for action in ["renew", "roll-over", "delete", "settings", "csr"] {
            let answer = browser.post(&format!("/ui/authorities/{root}/{action}"), &[]).await;
            assert_eq!(answer.status, 403, "{role} {action}");
        }
    }
}

#[tokio::test]
async fn hostile_names_are_shown_as_text() {
    let place = Place::new().await;
    let browser = place.visitor(Role::Admin).await;
    let name = "<script>alert(1)</script>";
    let fields: Vec<_> = ROOT
        .iter()
        .map(|it| if it.0 == "common_name" { (it.0, name) } else { *it })
        .chain([("name", "evil")])
        .collect();
    let here = browser.post("/ui/authorities/new", &fields).await.sent();
    for path in [here.as_str(), "/ui/authorities"] {
        let html = browser.get(path).await.ok();
        assert!(!html.contains("<script>alert"), "{path}");
        assert!(html.contains("&lt;script&gt;alert(1)"), "{path}");
    }
}
