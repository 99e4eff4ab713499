//! A process that dies at any moment of an order's life: the next one resumes the same order, and whatever was done outside
//! is done once.

use chancery_authority::external::UpstreamError;
use chancery_model::order::OrderPhase;
use chancery_model::request::RequestStatus;

use super::elsewhere::{Fault, STEPS, When};
use super::world::World;

async fn came_home_once(world: &World, id: chancery_model::RequestId, what: &str) {
    let request = world.until_ended(id).await;
    assert_eq!(request.status, RequestStatus::Issued, "{what}: {:?}", request.error_message);
    let record = world.elsewhere.order(id);
    assert_eq!((record.placed, record.finalized), (1, 1), "{what}");
    assert_eq!(world.elsewhere.orders(), 1, "{what}");
    assert_eq!(world.inventory().await.len(), 1, "{what}");
    assert!(world.elsewhere.zone().is_empty(), "{what}: {:?}", world.elsewhere.zone());
    assert_eq!(world.order_of(id).await.phase, OrderPhase::Done, "{what}");
}

/// Steps that went by before are not taken again; the one that was cut is.
#[tokio::test]
async fn an_order_cut_off_between_any_two_steps_is_resumed_and_placed_once() {
    for when in [When::BeforeEffect, When::AfterEffect] {
        for (place, step) in STEPS.iter().copied().enumerate() {
            let what = format!("{step} {when:?}");
            let mut world = World::start().await;
            let id = world.order().await;
            world.elsewhere.hit(step, when, Fault::Stop, 1);
            if place > 4 {
                // The CA is looked at again after a while.
                world.run().await;
                world.clock.advance_seconds(6);
            }
            let running = world.run_until_stopped().await;
            running.abort();
            let _ = running.await;
            world.crash().await;
            came_home_once(&world, id, &what).await;
            let begun = world.elsewhere.order(id).begun;
            for (earlier, name) in STEPS.iter().enumerate() {
                assert_eq!(begun[*name], if earlier == place { 2 } else { 1 }, "{what}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn what_an_order_left_outside_is_removed_by_the_process_that_comes_after() {
    for when in [When::BeforeEffect, When::AfterEffect] {
        let mut world = World::start().await;
        let id = world.order().await;
        world.run().await;
        world.elsewhere.hit("tidy", when, Fault::Stop, 1);
        world.clock.advance_seconds(6);
        let running = world.run_until_stopped().await;
        running.abort();
        let _ = running.await;
        world.crash().await;
        assert_eq!(world.status(id).await, RequestStatus::Issued);
        came_home_once(&world, id, &format!("{when:?}")).await;
    }
}

#[tokio::test]
async fn an_order_that_nobody_has_begun_is_begun_after_the_crash() {
    let mut world = World::start().await;
    let id = world.order().await;
    world.crash().await;
    came_home_once(&world, id, "reserved").await;
}

#[tokio::test]
async fn a_fault_that_passes_at_any_step_is_told_and_gone_again() {
    for when in [When::BeforeEffect, When::AfterEffect] {
        for step in STEPS.iter().copied() {
            let what = format!("{step} {when:?}");
            let world = World::start().await;
            let id = world.order().await;
            let error = UpstreamError::passing(format!("no answer at {step}")).with_detail("10.0.0.9 refused");
            world.elsewhere.hit(step, when, Fault::Error(error), 2);
            let mut told = false;
            for _ in 0..40 {
                world.tick(2).await;
                let message = world.request(id).await.pending_message.unwrap_or_default();
                assert!(!message.contains("10.0.0.9"), "{what}: details are for the operator's log");
                told |= message.contains(&format!("no answer at {step}; tried again at 2027-"));
            }
            assert!(told, "{what}");
            came_home_once(&world, id, &what).await;
        }
    }
}

/// Each is the first in a row: an order that gets on is not made to wait for what is over.
#[tokio::test]
async fn single_faults_at_many_steps_do_not_add_up() {
    let world = World::start().await;
    let id = world.order().await;
    for (place, step) in STEPS.iter().copied().enumerate() {
        world.elsewhere.hit(step, When::AfterEffect, Fault::Error(UpstreamError::passing("lost")), 1);
        world.run().await;
        if place == 5 {
            // The validation is waited for.
            world.tick(6).await;
        }
        let job = world.job(chancery_model::job::JobKind::AdvanceOrder, id.as_uuid()).await.unwrap();
        let wait = job.due_at.as_seconds() - world.authority().now().as_seconds();
        assert!(wait <= 6, "{step}: {wait}");
        world.clock.advance_seconds(wait);
    }
    came_home_once(&world, id, "many faults").await;
}

#[tokio::test]
async fn a_step_that_panics_is_taken_again_when_its_lease_is_over() {
    let world = World::start().await;
    let id = world.order().await;
    world.elsewhere.hit("set", When::AfterEffect, Fault::Panic, 1);
    world.run().await;
    assert_eq!(world.status(id).await, RequestStatus::Pending);
    world.tick(119).await;
    assert_eq!(world.elsewhere.order(id).begun["set"], 1);
    world.tick(2).await;
    assert_eq!(world.elsewhere.order(id).begun["set"], 2);
    came_home_once(&world, id, "panic").await;
}

#[tokio::test]
async fn a_lasting_fault_at_any_step_ends_the_order_with_its_reason() {
    for step in STEPS.iter().copied() {
        let world = World::start().await;
        let id = world.order().await;
        let key = world.order_of(id).await.key_id.unwrap();
        let error = UpstreamError::lasting("the account was closed; register another").with_detail("inside");
        world.elsewhere.hit(step, When::BeforeEffect, Fault::Error(error), 1);
        let request = world.until_ended(id).await;
        assert_eq!(request.status, RequestStatus::Failed, "{step}");
        assert_eq!(request.error_message.as_deref(), Some("the account was closed; register another"), "{step}");
        assert!(world.elsewhere.zone().is_empty() && world.inventory().await.is_empty(), "{step}");
        assert!(world.authority().reader().key(key).await.unwrap().is_none(), "{step}: its key has no use any more");
        let audit = world.audited(chancery_model::audit::AuditEvent::OrderFailed, id.as_uuid()).await;
        assert_eq!(audit.len(), 1, "{step}");
        assert!(!audit[0].details.to_string().contains("inside"));
    }
}
