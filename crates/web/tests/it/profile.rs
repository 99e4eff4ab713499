//! Certificate profiles: what fits together, what is told when it does not, how to request, and who may.

use chancery_authority::template::{NewTemplate, TemplateRulesPatch};
use chancery_model::page::PageRequest;
use chancery_model::permission::Role;
use chancery_model::profile::{CertificateProfile, KeyCustody, ProfileIssuer, RenewAt};
use chancery_store::ProfileFilter;

use crate::place::Place;

/// A template from the preset for TLS servers; its id.
async fn template(place: &Place) -> String {
    let new = NewTemplate {
        name: "tls".to_owned(),
        description: None,
        preset: Some("tls-server".to_owned()),
        rules: TemplateRulesPatch::default(),
    };
    place.authority.create_template(&place.call().await, new).await.unwrap().id.to_string()
}

async fn stored(place: &Place) -> Vec<CertificateProfile> {
    let page = PageRequest { offset: 0, limit: 50, cursor: None };
    let project = place.authority.default_project_id();
    place.authority.reader().profiles(project, &ProfileFilter::default(), &page).await.unwrap().items
}

/// What a browser sends for a self-signed profile.
fn form<'a>(template: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("do", "save"),
        ("slug", "lab"),
        ("issuer_type", "self-signed"),
        ("ca", ""),
        ("template", template),
        ("enrollment", "api"),
        ("ttl_days", "90"),
        ("custody", "stored"),
        ("renews", "on"),
        ("renew_mode", "share"),
        ("renew_percent", "50"),
        ("revoke_superseded", "7d"),
    ];
    for (name, value) in changes {
        fields.retain(|(it, _)| it != name);
        fields.push((name, value));
    }
    fields
}

#[tokio::test]
async fn a_self_signed_profile_is_made_and_shows_how_to_request() {
    let place = Place::new().await;
    let template = template(&place).await;
    let admin = place.visitor(Role::Admin).await;
    let empty = admin.get(&format!("/ui/profiles/new?template={template}")).await.ok();
    assert!(empty.contains("Issuer type</label>") && empty.contains("Self-Signed</option>"), "{empty}");
    assert!(empty.contains(&format!("<option value=\"{template}\" selected>")));
    let path = admin.post("/ui/profiles/new", &form(&template, &[])).await.sent();
    let profile = stored(&place).await.remove(0);
    assert_eq!(path, format!("/ui/profiles/{}", profile.id));
    assert_eq!((profile.slug.as_str(), profile.issuer), ("lab", ProfileIssuer::SelfSigned));
    assert_eq!(profile.settings.defaults.unwrap().ttl_days, Some(90));
    let api = profile.settings.api.unwrap();
    assert!(api.auto_renew);
    assert_eq!(api.renew_at, RenewAt::Permille(500));
    let words = admin.get(&path).await.words();
    for told in [
        "certificates can be requested from it",
        "https://pki.example.internal/api/v1/cert-manager/certificates",
        "chancery cert request",
        "--profile lab",
        "By the server, after 50 % of the lifetime",
        "Self-Signed",
        "none active",
    ] {
        assert!(words.contains(told), "{told}: {words}");
    }
    assert!(!words.contains("--ttl"), "the profile has a default: {words}");
    assert!(admin.get("/ui/profiles").await.words().contains("lab Self-Signed tls API"));
    let bare = admin.post("/ui/profiles/new", &form(&template, &[("slug", "bare"), ("ttl_days", "")])).await.sent();
    let words = admin.get(&bare).await.words();
    assert!(words.contains("--ttl 90d") && words.contains("\"ttl\": \"90d\""), "{words}");
}

#[tokio::test]
async fn what_does_not_fit_is_told_beside_its_field_and_nothing_is_lost() {
    let place = Place::new().await;
    let template = template(&place).await;
    let admin = place.visitor(Role::Admin).await;
    let check = async |changes: &[(&str, &str)], told: &str| {
        let answer = admin.post("/ui/profiles/new", &form(&template, changes)).await;
        assert_eq!(answer.status, 422, "{changes:?}");
        assert!(answer.words().contains(told), "{told}: {}", answer.words());
        assert!(answer.text().contains("value=\"50\""), "the renewal is still there");
    };
    check(&[("slug", "Not A Slug")], "lower-case letters").await;
    check(&[("issuer_type", "ca")], "Choose the CA that issues").await;
    check(&[("template", "")], "Choose the template").await;
    check(&[("ttl_days", "4000")], "not allowed by the template").await;
    check(&[("ttl_days", "soon")], "Give a whole number").await;
    check(&[("custody", "none")], "the server must make one").await;
    check(&[("renew_mode", "days"), ("renew_days", "31")], "Give a whole number, at most 30").await;
    check(&[("revoke_superseded", "later")], "is not a duration").await;
    check(&[("country", "Germany")], "Germany").await;
    assert!(stored(&place).await.is_empty());
}

#[tokio::test]
async fn the_review_says_while_typing_whether_defaults_fit() {
    let place = Place::new().await;
    let template = template(&place).await;
    let admin = place.visitor(Role::Admin).await;
    let part = async |changes: &[(&str, &str)]| {
        let answer = admin.post("/ui/profiles/review", &form(&template, changes)).await;
        assert!(!answer.text().contains("<html"));
        answer.words()
    };
    assert!(part(&[]).await.contains("work together"));
    let long = part(&[("ttl_days", "4000")]).await;
    assert!(long.contains("Does not fit") && long.contains("defaults.ttlDays"), "{long}");
    assert!(part(&[("template", "")]).await.contains("As soon as issuer and template are chosen"));
    assert!(stored(&place).await.is_empty());
}

#[tokio::test]
async fn an_edit_keeps_issuer_and_template_and_changes_the_rest() {
    let place = Place::new().await;
    let template = template(&place).await;
    let admin = place.visitor(Role::Admin).await;
    let path = admin.post("/ui/profiles/new", &form(&template, &[])).await.sent();
    let page = admin.get(&format!("{path}/edit")).await.ok();
    assert!(page.contains("value=\"7d\"") && page.contains("value=\"90\""), "{page}");
    let changes = [("issuer_type", "ca"), ("template", "elsewhere"), ("custody", "returnOnce"), ("slug", "lab-two")];
    assert_eq!(admin.post(&format!("{path}/edit"), &form(&template, &changes)).await.sent(), path);
    let after = stored(&place).await.remove(0);
    assert_eq!((after.issuer, after.template_id.to_string()), (ProfileIssuer::SelfSigned, template.clone()));
    assert_eq!((after.slug.as_str(), after.settings.key_custody), ("lab-two", KeyCustody::ReturnOnce));
    let copy = admin.get(&format!("/ui/profiles/new?from={}", after.id)).await.ok();
    assert!(copy.contains("value=\"lab-two-copy\""));
    let taken = admin.post("/ui/profiles/new", &form(&template, &[("slug", "lab-two")])).await;
    assert_eq!(taken.status, 422);
    assert!(taken.words().contains("exists already; choose another"), "{}", taken.words());
}

#[tokio::test]
async fn readers_see_a_profile_and_change_nothing() {
    let place = Place::new().await;
    let template = template(&place).await;
    let admin = place.visitor(Role::Admin).await;
    let path = admin.post("/ui/profiles/new", &form(&template, &[])).await.sent();
    for role in [Role::Operator, Role::Auditor] {
        let reader = place.visitor(role).await;
        let page = reader.get(&path).await;
        assert!(page.words().contains("chancery cert request"), "{role}");
        assert!(!page.text().contains("/edit") && !page.text().contains("/delete"), "{role}");
        assert_eq!(page.text().contains("/ui/request/"), role == Role::Operator);
        for at in ["/ui/profiles/new", &format!("{path}/edit"), &format!("{path}/delete")] {
            assert_eq!(reader.post(at, &form(&template, &[])).await.status, 403, "{role} {at}");
        }
    }
    assert_eq!(admin.post(&format!("{path}/delete"), &[]).await.sent(), "/ui/profiles");
    assert!(stored(&place).await.is_empty());
}
