//! People hear of orders that fail and of certificates that were put aside.

use chancery_authority::alert::{Message, NewAlert, NewChannel};
use chancery_authority::enrollment::Field;
use chancery_authority::external::UpstreamError;
use chancery_model::AlertId;
use chancery_model::alert::{AlertEvent, AlertFilter, ChannelConfig, FilterField, FilterOperator, FilterValue};
use chancery_model::page::PageRequest;

use super::elsewhere::{Fault, When};
use super::pki::Answer;
use super::world::{World, renewing};

async fn listen(world: &World, name: &str, event: AlertEvent, profile: &str) -> AlertId {
    let config = ChannelConfig::Webhook { url: "https://hooks.example/".to_owned() };
    let new = NewAlert {
        application_id: None,
        name: name.to_owned(),
        description: None,
        event,
        before: None,
        filters: vec![AlertFilter {
            field: FilterField::ProfileName,
            operator: FilterOperator::Equals,
            value: FilterValue::Text(profile.to_owned()),
        }],
        enabled: true,
        daily: false,
        channels: vec![NewChannel { id: None, enabled: true, config, secret: Field::Missing }],
    };
    world.authority().create_alert(&world.admin, new).await.unwrap().id
}

/// What was told, oldest first.
async fn told(world: &World, alert: AlertId) -> Vec<Message> {
    world.tick(6).await;
    world.tick(6).await;
    let page = PageRequest { offset: 0, limit: 100, cursor: None };
    let all = world.authority().notifications_of_alert(&world.admin, alert, &page).await.unwrap().items;
    all.iter().rev().map(|it| serde_json::from_str(&it.payload).unwrap()).collect()
}

#[tokio::test]
async fn a_certificate_put_aside_and_an_order_that_failed_are_told() {
    let world = World::start().await;
    let alert = listen(&world, "orders", AlertEvent::IssuanceFailed, "web").await;
    let others = listen(&world, "others", AlertEvent::IssuanceFailed, "mail").await;
    let issued = listen(&world, "issued", AlertEvent::Issuance, "web").await;
    world.tick(6).await;
    let good = world.issued().await;
    world.elsewhere.send(Answer::ExtraName);
    let aside = world.order().await;
    world.until_ended(aside).await;
    world.elsewhere.send(Answer::Right);
    let error = UpstreamError::lasting("the account was closed");
    world.elsewhere.hit("placed", When::BeforeEffect, Fault::Error(error), 1);
    let failed = world.order().await;
    world.until_ended(failed).await;
    let cancelled = world.order().await;
    world.authority().cancel_request(&world.admin, cancelled).await.unwrap();

    let messages = told(&world, alert).await;
    let lines: Vec<_> = messages.iter().flat_map(|it| &it.certificates).collect();
    assert_eq!(lines.iter().map(|it| it.request_id).collect::<Vec<_>>(), [Some(aside), Some(failed)]);
    assert!(lines[0].error.as_ref().unwrap().contains("evil.test"), "{lines:?}");
    assert_eq!(lines[1].error.as_deref(), Some("the account was closed"));
    assert_eq!((lines[0].common_name.as_str(), lines[0].status.as_str()), ("a.acme.com", "failed"));
    assert_eq!(lines[0].sans, ["a.acme.com"]);
    assert!(told(&world, others).await.is_empty());
    let messages = told(&world, issued).await;
    let ids: Vec<_> = messages.iter().flat_map(|it| &it.certificates).map(|it| it.id).collect();
    assert_eq!(ids, [good.id.as_uuid()]);
}

#[tokio::test]
async fn a_renewal_that_failed_there_is_told_as_any_other() {
    let world = World::start_with(renewing()).await;
    let alert = listen(&world, "renewals", AlertEvent::RenewalFailed, "web").await;
    world.tick(6).await;
    let old = world.issued().await;
    world.elsewhere.send(Answer::WrongKey);
    world.arrive(old.renewal.due_at.unwrap().plus_seconds(1)).await;
    let messages = told(&world, alert).await;
    let line = &messages[0].certificates[0];
    assert_eq!(line.id, old.id.as_uuid());
    assert!(line.error.as_ref().unwrap().contains("another key"), "{line:?}");
}
