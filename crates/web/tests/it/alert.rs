//! Alerts: made and changed by people, with secrets that are never shown again.

use chancery_model::alert::{Alert, AlertEvent, ChannelKind};
use chancery_model::page::PageRequest;
use chancery_model::permission::Role;
use chancery_store::AlertListFilter;

use crate::certificate::World;
use crate::place::Place;

const GOOD: [(&str, &str); 7] = [
    ("name", "expiring-soon"),
    ("event", "expiration"),
    ("before", "30d"),
    ("common_name", "*.acme.com"),
    ("recipients", "ops@acme.com\nsecurity@acme.com"),
    ("webhook", "https://hooks.acme.com/pki"),
    ("webhook_secret", "canary-of-the-webhook"),
];

async fn alerts(place: &Place) -> Vec<Alert> {
    let page = PageRequest { offset: 0, limit: 50, cursor: None };
    let project = place.authority.default_project_id();
    place.authority.reader().alerts(project, &AlertListFilter::default(), &page).await.unwrap().items
}

fn with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = GOOD.into_iter().filter(|(name, _)| !changes.iter().any(|(other, _)| other == name));
    kept.chain(changes.iter().copied()).collect()
}

#[tokio::test]
async fn what_is_wrong_with_an_alert_stands_beside_its_field() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    for (field, value, text) in [
        ("name", "Expiring Soon", "single hyphens"),
        ("before", "soon", "such as 30d"),
        ("recipients", "ops@acme.com, nobody", "nobody is not an e-mail address"),
        ("webhook", "http://hooks.acme.com/", "https address"),
        ("event", "eclipse", "what the alert is about"),
    ] {
        let answer = admin.post("/ui/alerts", &with(&[(field, value)])).await;
        assert_eq!(answer.status, 422, "{field}");
        assert!(answer.words().contains(text), "{field}: {}", answer.words());
        assert!(!answer.text().contains("canary"), "a secret came back");
    }
    let nobody_told = with(&[("recipients", ""), ("webhook", "")]);
    assert!(admin.post("/ui/alerts", &nobody_told).await.words().contains("at least one way to be told"));
    assert!(alerts(&place).await.is_empty());
}

#[tokio::test]
async fn a_secret_is_kept_when_an_alert_is_changed_and_never_shown() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let home = admin.post("/ui/alerts", &GOOD).await.sent();
    let made = alerts(&place).await.remove(0);
    let sealed = |alert: &Alert| {
        let webhook = alert.channels.iter().find(|it| it.config.kind() == ChannelKind::Webhook).unwrap();
        webhook.sealed_secret.clone().unwrap()
    };
    for path in [home.clone(), format!("{home}/edit"), "/ui/alerts".to_owned(), "/ui/audit".to_owned()] {
        assert!(!admin.get(&path).await.ok().contains("canary"), "{path}");
    }
    let changed = with(&[("before", "60d"), ("webhook_secret", ""), ("has_webhook_secret", "on")]);
    assert_eq!(admin.post(&home, &changed).await.sent(), home);
    let after = alerts(&place).await.remove(0);
    assert_eq!(after.before.as_ref().map(ToString::to_string).as_deref(), Some("60d"));
    assert_eq!(sealed(&after), sealed(&made));

    assert_eq!(admin.post(&format!("{home}/switch"), &[]).await.sent(), home);
    assert!(!alerts(&place).await.remove(0).enabled);
    admin.post(&format!("{home}/delete"), &[]).await.sent();
    assert!(alerts(&place).await.is_empty());
}

#[tokio::test]
async fn the_preview_counts_what_the_alert_would_be_about() {
    let world = World::new().await;
    world.issue(world.kept, "www.acme.com").await;
    world.issue(world.kept, "www.other.example").await;
    let admin = world.place.visitor(Role::Admin).await;
    let preview = admin.post("/ui/alerts/preview", &with(&[("before", "1y")])).await;
    assert!(preview.ok().contains("www.acme.com"));
    assert!(!preview.text().contains("www.other.example"));
    assert!(!preview.text().contains("<html"), "a part of a page, not a page");
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_is_told_to_whoever_tests_the_alert() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let home = admin.post("/ui/alerts", &GOOD).await.sent();
    assert_eq!(admin.post(&format!("{home}/test"), &[]).await.sent(), home);
    // This place has no way out, and says so.
    assert!(admin.get(&home).await.words().contains("Not every channel took the test message"));
    assert_eq!(alerts(&place).await.remove(0).event, AlertEvent::Expiration);
}
