//! App connections: kept after they were tried, their secrets never shown.

use std::sync::Arc;

use chancery_model::external::AppConnection;
use chancery_model::permission::Role;

use crate::elsewhere::{Elsewhere, WRONG_SECRET};
use crate::place::Place;

const SECRET: &str = "open-sesame-token";
const VAULT: &[(&str, &str)] = &[
    ("app", "hashicorp-vault"),
    ("method", "access-token"),
    ("name", "bao"),
    ("field.instanceUrl", "https://bao.acme.com:8200"),
    ("field.accessToken", SECRET),
    ("tests", "on"),
];

fn vault<'a>(others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = VAULT.iter().filter(|(name, _)| !others.iter().any(|(other, _)| other == name));
    kept.chain(others).copied().filter(|(_, value)| !value.is_empty()).collect()
}

async fn all(place: &Place) -> Vec<AppConnection> {
    place.authority.reader().connections(place.call().await.project_id()).await.unwrap()
}

#[tokio::test]
async fn a_connection_is_kept_tried_changed_and_deleted_without_showing_its_secret() {
    let place = Place::with_upstream(Arc::new(Elsewhere)).await;
    let browser = place.visitor(Role::Admin).await;
    let form = browser.get("/ui/connections/new?app=aws").await.words();
    assert!(form.contains("Access key ID") && form.contains("Secret access key"), "{form}");
    let here = browser.post("/ui/connections/new", &vault(&[])).await.sent();
    for path in [here.clone(), format!("{here}/edit"), "/ui/connections".to_owned()] {
        let page = browser.get(&path).await.ok();
        assert!(page.contains("bao") && !page.contains(SECRET), "{path}");
    }
    assert_eq!(browser.post(&format!("{here}/test"), &[]).await.sent(), here);
    assert!(browser.get(&here).await.words().contains("The service accepts the credentials"));
    let sealed = all(&place).await.remove(0).sealed;
    // What is left empty stays, and nothing is sealed anew for a description.
    let changed = vault(&[("description", "the vault of the team"), ("field.accessToken", "")]);
    assert_eq!(browser.post(&format!("{here}/edit"), &changed).await.sent(), here);
    let kept = all(&place).await.remove(0);
    assert_eq!((kept.description.as_deref(), &kept.sealed), (Some("the vault of the team"), &sealed));
    assert_eq!(browser.post(&format!("{here}/delete"), &[]).await.sent(), "/ui/connections");
    assert!(all(&place).await.is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_a_connection_is_told_and_nothing_is_kept() {
    let place = Place::with_upstream(Arc::new(Elsewhere)).await;
    let browser = place.visitor(Role::Admin).await;
    let check = async |others: &[(&str, &str)], expected: &str| {
        let answer = browser.post("/ui/connections/new", &vault(others)).await;
        assert_eq!(answer.status, 422, "{others:?}");
        assert!(answer.words().contains(expected), "{others:?}: {}", answer.words());
        assert!(!answer.text().contains(SECRET) && !answer.text().contains(WRONG_SECRET), "{others:?}");
    };
    check(&[("name", "Bao!")], "lower-case letters").await;
    check(&[("field.instanceUrl", "http://bao")], "must be a URL that begins with https://").await;
    check(&[("field.accessToken", "")], "is missing").await;
    check(&[("field.accessToken", WRONG_SECRET)], "the service does not accept the credentials").await;
    assert!(all(&place).await.is_empty());
    browser.post("/ui/connections/new", &vault(&[("field.accessToken", WRONG_SECRET), ("tests", "")])).await.sent();
    check(&[], "exists already").await;
}

#[tokio::test]
async fn a_secret_does_not_follow_its_connection_to_another_server() {
    let place = Place::with_upstream(Arc::new(Elsewhere)).await;
    let browser = place.visitor(Role::Admin).await;
    let here = browser.post("/ui/connections/new", &vault(&[])).await.sent();
    let moved = vault(&[("field.instanceUrl", "https://evil.example"), ("field.accessToken", "")]);
    let answer = browser.post(&format!("{here}/edit"), &moved).await;
    assert_eq!(answer.status, 422);
    assert!(answer.words().contains("needs the secrets again"), "{}", answer.words());
}

#[tokio::test]
async fn an_auditor_sees_connections_and_an_operator_does_not() {
    let place = Place::with_upstream(Arc::new(Elsewhere)).await;
    let admin = place.visitor(Role::Admin).await;
    let here = admin.post("/ui/connections/new", &vault(&[])).await.sent();
    let auditor = place.visitor(Role::Auditor).await;
    let page = auditor.get(&here).await.ok();
    assert!(page.contains("https://bao.acme.com:8200") && !page.contains("/test\""));
    assert_eq!(auditor.post(&format!("{here}/test"), &[]).await.status, 403);
    assert_eq!(place.visitor(Role::Operator).await.get("/ui/connections").await.status, 403);
}
