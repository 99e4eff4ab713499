//! Cancelling, waiting, looking again, giving up; and how long what passes is waited for.

use chancery_authority::external::{UpstreamError, UpstreamErrorKind};
use chancery_model::audit::AuditEvent;
use chancery_model::job::JobKind;
use chancery_model::order::OrderPhase;
use chancery_model::request::RequestStatus;

use super::elsewhere::{Fault, STEPS, When};
use super::pki::DAY;
use super::world::World;

/// Lets the order come to the point where this step is next.
async fn before(world: &World, step: &str) -> chancery_model::RequestId {
    let id = world.order().await;
    world.elsewhere.hit(step, When::BeforeEffect, Fault::Error(UpstreamError::passing("for now")), u32::MAX);
    for _ in 0..3 {
        world.tick(6).await;
    }
    world.elsewhere.heal();
    id
}

#[tokio::test]
async fn an_order_is_cancelled_before_any_step_and_leaves_nothing_outside() {
    for step in STEPS.iter().copied() {
        let world = World::start().await;
        let id = before(&world, step).await;
        let key = world.order_of(id).await.key_id.unwrap();
        let (request, cancelled) = world.authority().cancel_request(&world.admin, id).await.unwrap();
        assert!(cancelled, "{step}");
        assert_eq!(request.status, RequestStatus::Failed);
        assert_eq!(request.error_message.as_deref(), Some("Cancelled by the requester"));
        assert_eq!(request.pending_message, None);
        assert_eq!(world.order_of(id).await.phase, OrderPhase::Tidying);
        world.run().await;
        assert_eq!(world.order_of(id).await.phase, OrderPhase::Done, "{step}: at once");
        assert!(world.elsewhere.zone().is_empty(), "{step}");
        assert!(world.authority().reader().key(key).await.unwrap().is_none(), "{step}");
        let (again, cancelled) = world.authority().cancel_request(&world.admin, id).await.unwrap();
        assert_eq!((cancelled, again.status), (false, RequestStatus::Failed));
        assert_eq!(world.audited(AuditEvent::RequestCancelled, id.as_uuid()).await.len(), 1);
        assert!(world.inventory().await.is_empty());
    }
}

/// What the step under way has done is found all the same: by the state that was written before it.
#[tokio::test]
async fn an_order_is_cancelled_during_any_step_and_leaves_nothing_outside() {
    for when in [When::BeforeEffect, When::AfterEffect] {
        for (place, step) in STEPS.iter().copied().enumerate() {
            let what = format!("{step} {when:?}");
            let world = World::start().await;
            let id = world.order().await;
            world.elsewhere.hit(step, when, Fault::Stop, 1);
            if place > 4 {
                world.run().await;
                world.clock.advance_seconds(6);
            }
            let running = world.run_until_stopped().await;
            assert!(world.authority().cancel_request(&world.admin, id).await.unwrap().1, "{what}");
            world.elsewhere.go_on.notify_one();
            running.await.unwrap();
            world.run().await;
            let request = world.request(id).await;
            assert_eq!(request.error_message.as_deref(), Some("Cancelled by the requester"), "{what}");
            assert_eq!((request.status, request.certificate_id), (RequestStatus::Failed, None), "{what}");
            assert!(world.elsewhere.zone().is_empty(), "{what}: {:?}", world.elsewhere.zone());
            assert_eq!(world.order_of(id).await.phase, OrderPhase::Done, "{what}");
            assert!(world.job(JobKind::AdvanceOrder, id.as_uuid()).await.is_none(), "{what}");
            assert!(world.inventory().await.is_empty(), "{what}");
            // What the CA has issued all the same is told.
            let in_vain = world.audited(AuditEvent::CertificateQuarantined, id.as_uuid()).await;
            assert_eq!(in_vain.len(), usize::from(step == "issued"), "{what}");
            if let Some(told) = in_vain.first() {
                let pem = told.details["certificate"].as_str().unwrap();
                assert!(
                    chancery_pkix::Certificate::from_pem(pem).is_ok() && told.details.to_string().contains("revoked")
                );
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_has_ended_is_not_cancelled_any_more() {
    let world = World::start().await;
    let id = world.issued().await.request_id;
    let (request, cancelled) = world.authority().cancel_request(&world.admin, id).await.unwrap();
    assert_eq!((cancelled, request.status), (false, RequestStatus::Issued));
}

#[tokio::test]
async fn a_triggered_validation_is_looked_at_now() {
    let world = World::start().await;
    let id = world.order().await;
    world.run().await;
    let looked = || world.elsewhere.order(id).begun.get("ready").copied().unwrap_or(0);
    assert_eq!(looked(), 0);
    let (request, order) = world.authority().trigger_validation(&world.admin, id).await.unwrap();
    assert_eq!(request.status, RequestStatus::PendingValidation);
    assert_eq!(order.unwrap().state["at"], "validating");
    world.run().await;
    assert_eq!(looked(), 1);
    assert_eq!(world.until_ended(id).await.status, RequestStatus::Issued);
    let (_, order) = world.authority().trigger_validation(&world.admin, id).await.unwrap();
    assert_eq!(order.unwrap().phase, OrderPhase::Done);
    assert!(world.job(JobKind::AdvanceOrder, id.as_uuid()).await.is_none(), "nothing is left to look at");
    let other = world.authority().trigger_validation(&world.admin, uuid::Uuid::nil().into()).await;
    assert_eq!(super::world::code(other), "not_found");
}

#[tokio::test]
async fn an_order_in_trouble_is_looked_at_no_oftener_than_twice_a_minute_whoever_asks() {
    let world = World::start().await;
    let id = world.order().await;
    let busy = || Fault::Error(UpstreamError::passing_after("too many orders", Some(7_200)));
    world.elsewhere.hit("placed", When::BeforeEffect, busy(), u32::MAX);
    world.run().await;
    // The first failure after a step may be looked at again at once; from then on it is a row of failures.
    world.authority().trigger_validation(&world.admin, id).await.unwrap();
    world.run().await;
    let begun = || world.elsewhere.order(id).begun["placed"];
    let before = begun();
    for (seconds, looks) in [(0, 0), (29, 0), (1, 1), (29, 1), (1, 2)] {
        world.clock.advance_seconds(seconds);
        for _ in 0..5 {
            world.authority().trigger_validation(&world.admin, id).await.unwrap();
            world.run().await;
        }
        assert_eq!(begun() - before, looks, "after {seconds} s more");
    }
}

#[tokio::test]
async fn an_order_that_does_not_end_is_given_up_with_what_it_waited_for() {
    let world = World::start().await;
    let id = world.order().await;
    world.elsewhere.dawdle(u32::MAX);
    world.run().await;
    world.tick(6).await;
    world.tick(2 * DAY - 20).await;
    assert_eq!(world.status(id).await, RequestStatus::PendingValidation);
    world.tick(20).await;
    let request = world.request(id).await;
    assert_eq!(request.status, RequestStatus::Failed);
    assert_eq!(request.error_message.as_deref(), Some("given up after 48 hours: Not validated yet"));
    world.until_ended(id).await;
    assert!(world.elsewhere.zone().is_empty());
}

#[tokio::test]
async fn an_order_at_a_ca_that_stays_disabled_is_given_up_too() {
    let world = World::start().await;
    let id = world.order().await;
    let off = chancery_authority::external::ExternalCaPatch {
        status: Some(chancery_model::authority::CaStatus::Disabled),
        ..Default::default()
    };
    world.authority().update_external_ca(&world.admin, world.ca, off).await.unwrap();
    world.run().await;
    world.tick(2 * DAY + 1).await;
    let request = world.until_ended(id).await;
    assert_eq!(request.status, RequestStatus::Failed);
    let message = request.error_message.unwrap();
    assert_eq!(message, "given up after 48 hours: the certification authority 'elsewhere' is disabled");
    assert_eq!(world.elsewhere.orders(), 0);
}

#[tokio::test]
async fn what_passes_is_tried_later_and_later_and_not_before_the_ca_wants_it() {
    let world = World::start().await;
    let id = world.order().await;
    let key = id.as_uuid();
    world.elsewhere.hit("placed", When::BeforeEffect, Fault::Error(UpstreamError::passing("503")), u32::MAX);
    let mut waits = Vec::new();
    for _ in 0..12 {
        world.run().await;
        let job = world.job(JobKind::AdvanceOrder, key).await.unwrap();
        waits.push(job.due_at.as_seconds() - world.authority().now().as_seconds());
        world.clock.advance_seconds(waits[waits.len() - 1]);
    }
    // The first failure comes after a step that was taken, and does not count.
    for (wait, middle) in waits.iter().zip([3, 3, 6, 12, 24, 48, 96, 192, 384, 768, 900, 900]) {
        assert!((wait - middle).abs() <= middle / 5, "{waits:?}");
    }

    for (asked, least, most) in [(7_200, 7_200, 7_200), (1, 2, 1_080), (u32::MAX, 21_600, 21_600)] {
        let error = UpstreamError::passing_after("too many orders", Some(asked));
        assert!(matches!(error.kind, UpstreamErrorKind::Passing { retry_after: Some(_) }));
        world.elsewhere.hit("placed", When::BeforeEffect, Fault::Error(error), u32::MAX);
        world.run().await;
        let due = world.job(JobKind::AdvanceOrder, key).await.unwrap().due_at;
        let wait = due.as_seconds() - world.authority().now().as_seconds();
        assert!((least..=most).contains(&wait), "{asked}: {wait}");
        let message = world.request(id).await.pending_message.unwrap();
        assert_eq!(message, format!("too many orders; tried again at {due}"));
        let begun = world.elsewhere.order(id).begun["placed"];
        world.tick(wait - 1).await;
        assert_eq!(world.elsewhere.order(id).begun["placed"], begun, "not a second too early");
        world.clock.advance_seconds(1);
    }
    world.elsewhere.heal();
    assert_eq!(world.until_ended(id).await.status, RequestStatus::Issued);
}

#[tokio::test]
async fn what_cannot_be_removed_is_tried_for_a_week_and_then_told() {
    let world = World::start().await;
    let id = world.order().await;
    world.run().await;
    world.elsewhere.hit("tidy", When::BeforeEffect, Fault::Error(UpstreamError::lasting("zone locked")), u32::MAX);
    world.tick(6).await;
    assert_eq!(world.status(id).await, RequestStatus::Issued);
    world.tick(6 * DAY).await;
    assert_eq!(world.order_of(id).await.phase, OrderPhase::Tidying);
    world.tick(DAY).await;
    assert_eq!(world.order_of(id).await.phase, OrderPhase::Done);
    let audit = world.audited(AuditEvent::OrderNotTidied, id.as_uuid()).await;
    assert_eq!(audit[0].details["message"], "zone locked");
    assert!(audit[0].details["left"]["records"][0].as_str().unwrap().starts_with("_acme-challenge."));
}

#[tokio::test]
async fn a_ca_that_says_no_is_quoted() {
    let world = World::start().await;
    world.elsewhere.refuse(Some("the name a.acme.com has a CAA record that forbids this CA; change the record"));
    let id = world.order().await;
    let request = world.until_ended(id).await;
    assert_eq!(request.status, RequestStatus::Failed);
    assert!(request.error_message.unwrap().contains("CAA record"));
    assert!(world.elsewhere.zone().is_empty());
}
