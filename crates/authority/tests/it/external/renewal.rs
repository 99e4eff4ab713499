//! Renewal at a CA elsewhere: by hand, and by the server over the clock.

use chancery_authority::external::{RenewalAdvice, UpstreamError};
use chancery_authority::profile::{ApiEnrollmentPatch, ProfilePatch, ProfileSettingsPatch};
use chancery_authority::renewal::{RenewRequest, RenewalErrorType, RenewalKeySource};
use chancery_authority::revocation::CertificateSelector;
use chancery_authority::{enrollment::Attributes, enrollment::Field};
use chancery_model::Timestamp;
use chancery_model::audit::AuditEvent;
use chancery_model::certificate::{Certificate, RevocationReason};
use chancery_model::job::JobKind;
use chancery_model::order::OrderPhase;
use chancery_model::profile::ProfileIssuer;
use chancery_model::request::RequestStatus;
use chancery_model::time::Ttl;

use super::elsewhere::{Fault, STEPS, When};
use super::pki::{Answer, DAY, csr};
use super::world::{World, code, named, pending, renewing};

fn by(source: RenewalKeySource) -> RenewRequest {
    RenewRequest { key_source: Some(source), ..RenewRequest::default() }
}

/// The newest request.
async fn newest(world: &World) -> chancery_model::RequestId {
    world.requests().await.last().unwrap().id
}

#[tokio::test]
async fn a_renewal_by_hand_has_a_new_key_and_is_a_successor() {
    let world = World::start().await;
    let old = world.issued().await;
    let renew = |request| world.authority().renew(&world.admin, old.id, request);
    assert_eq!(code(renew(by(RenewalKeySource::Reuse)).await), "renewal.external");
    let request = pending(renew(RenewRequest::default()).await);
    assert_eq!(world.order_of(request.id).await.renews, Some(old.id));
    assert_eq!(world.read(old.id).await.renewal.renewed_by, None, "not before it is home");
    let again = renew(RenewRequest::default()).await.err().unwrap();
    assert!(again.public_message().contains("being renewed already"), "{}", again.public_message());
    world.until_ended(request.id).await;
    let new = world.certificate(request.id).await;
    assert_eq!(world.read(old.id).await.renewal.renewed_by, Some(new.id));
    assert_eq!(new.renewal.renewed_from, Some(old.id));
    assert_eq!((new.ttl, &new.description.subject), (old.ttl, &old.description.subject));
    assert_ne!(new.key_id, old.key_id);
    assert!(world.elsewhere.order(request.id).replaces, "the CA is told what it replaces");
    assert_eq!(world.audited(AuditEvent::CertificateRenewed, new.id.as_uuid()).await.len(), 1);
    assert_eq!(code(renew(RenewRequest::default()).await), "renewal.not_eligible");
}

#[tokio::test]
async fn a_certificate_of_a_csr_is_renewed_with_another_csr() {
    let world = World::start().await;
    let mut wish = world.wish(Attributes { ttl: Some("30d".to_owned()), ..Attributes::default() });
    wish.csr = Some(csr("a.acme.com", &["a.acme.com"]));
    let first = pending(world.issue(wish).await).id;
    world.until_ended(first).await;
    let old = world.certificate(first).await;
    let renew = |request| world.authority().renew(&world.admin, old.id, request);
    assert_eq!(code(renew(RenewRequest::default()).await), "renewal.csr_issued");
    assert_eq!(code(renew(by(RenewalKeySource::Reuse)).await), "renewal.external");
    let csr = Some(csr("a.acme.com", &["a.acme.com"]));
    let request = pending(renew(RenewRequest { csr, ..by(RenewalKeySource::Csr) }).await);
    world.until_ended(request.id).await;
    assert_eq!(world.certificate(request.id).await.renewal.renewed_from, Some(old.id));
}

#[tokio::test]
async fn the_server_renews_in_time_again_and_again_with_one_order_each() {
    let world = World::start_with(renewing()).await;
    let mut current = world.issued().await;
    for round in 2..5 {
        let due = current.renewal.due_at.unwrap();
        world.arrive(due.plus_seconds(-2)).await;
        assert_eq!(world.requests().await.len(), round - 1, "not before it is due");
        world.arrive(due.plus_seconds(1)).await;
        assert_eq!(world.requests().await.len(), round);
        let id = newest(&world).await;
        world.until_ended(id).await;
        let next = world.certificate(id).await;
        assert_eq!(next.renewal.renewed_from, Some(current.id));
        assert_eq!(next.requester, current.requester, "the server renews for the owner");
        assert_eq!(world.read(current.id).await.renewal.renewed_by, Some(next.id));
        assert!(world.job(JobKind::RenewCertificate, current.id.as_uuid()).await.is_none());
        assert!(next.renewal.due_at.is_some());
        current = next;
    }
    assert_eq!(world.elsewhere.orders(), 4);
    assert_eq!(world.authority().renewal_counters().renewed(), 3);
}

/// Nobody is there to make a new CSR: the one of before goes there again, where the profile allows it.
#[tokio::test]
async fn the_server_sends_the_same_csr_again_where_the_profile_says_so() {
    let settings = ProfileSettingsPatch { allow_key_reuse: Some(true), ..renewing() };
    let world = World::start_with(settings).await;
    let mut wish = world.wish(Attributes { ttl: Some("30d".to_owned()), ..Attributes::default() });
    wish.csr = Some(csr("a.acme.com", &["a.acme.com"]));
    let mut id = pending(world.issue(wish).await).id;
    world.until_ended(id).await;
    let sent = world.order_of(id).await.csr;
    for _ in 0..2 {
        let current = world.certificate(id).await;
        world.arrive(current.renewal.due_at.unwrap().plus_seconds(1)).await;
        id = newest(&world).await;
        world.until_ended(id).await;
        assert_eq!(world.certificate(id).await.renewal.renewed_from, Some(current.id));
        assert_eq!(world.order_of(id).await.csr, sent);
    }
}

#[tokio::test]
async fn a_failed_renewal_is_told_and_tried_later_and_later_until_it_succeeds() {
    let world = World::start_with(renewing()).await;
    let old = world.issued().await;
    let error = UpstreamError::lasting("the account was closed");
    world.elsewhere.hit("placed", When::BeforeEffect, Fault::Error(error), u32::MAX);
    let mut waits = Vec::new();
    let mut at = old.renewal.due_at.unwrap().plus_seconds(1);
    for failures in 1..=6 {
        world.arrive(at).await;
        world.run().await;
        assert_eq!(world.requests().await.len(), 1 + failures);
        let stands = world.read(old.id).await;
        assert_eq!(stands.renewal.error.as_deref(), Some("the account was closed"));
        assert_eq!(stands.renewal.due_at, old.renewal.due_at);
        let told = world.audited(AuditEvent::CertificateRenewalFailed, old.id.as_uuid()).await;
        assert_eq!(told.len(), failures);
        let job = world.job(JobKind::RenewCertificate, old.id.as_uuid()).await.unwrap();
        assert_eq!(told[failures - 1].details["nextTry"], job.due_at.to_string());
        waits.push(job.due_at.as_seconds() - world.authority().now().as_seconds());
        at = job.due_at.plus_seconds(1);
    }
    assert!(waits.windows(2).all(|pair| pair[1] > pair[0]), "{waits:?}");
    assert_eq!(world.authority().renewal_counters().obstructed(RenewalErrorType::UnknownError), 6);
    world.elsewhere.heal();
    world.arrive(at).await;
    let id = newest(&world).await;
    world.until_ended(id).await;
    let (stands, new) = (world.read(old.id).await, world.certificate(id).await);
    assert_eq!((stands.renewal.renewed_by, stands.renewal.error), (Some(new.id), None));
    assert_eq!(new.renewal.error, None);
}

/// As after a long outage.
#[tokio::test]
async fn a_renewal_that_fails_is_given_up_a_month_after_the_end() {
    let world = World::start_with(renewing()).await;
    let old = world.issued().await;
    let error = UpstreamError::lasting("the account was closed");
    world.elsewhere.hit("placed", When::BeforeEffect, Fault::Error(error), u32::MAX);
    let mut at = old.not_after.plus_seconds(30 * DAY - 3_600);
    let mut tries = 0;
    loop {
        world.arrive(at).await;
        world.run().await;
        tries += 1;
        let Some(job) = world.job(JobKind::RenewCertificate, old.id.as_uuid()).await else { break };
        at = job.due_at.plus_seconds(1);
        assert!(tries < 20, "{:?}", job.due_at);
    }
    assert!(tries > 2, "{tries}");
    let message = world.read(old.id).await.renewal.error.unwrap();
    assert!(
        message.starts_with("The server stopped trying") && message.ends_with("the account was closed"),
        "{message}"
    );
    world.tick(40 * DAY).await;
    assert_eq!(world.requests().await.len(), 1 + tries);
}

#[tokio::test]
async fn a_successor_that_was_put_aside_leaves_its_predecessor_to_be_renewed() {
    let world = World::start_with(renewing()).await;
    let old = world.issued().await;
    world.elsewhere.send(Answer::WrongKey);
    world.arrive(old.renewal.due_at.unwrap().plus_seconds(1)).await;
    world.until_ended(newest(&world).await).await;
    let stands = world.read(old.id).await;
    assert_eq!(stands.renewal.renewed_by, None);
    assert!(stands.renewal.error.unwrap().contains("another key"));
    world.elsewhere.send(Answer::Right);
    let job = world.job(JobKind::RenewCertificate, old.id.as_uuid()).await.unwrap();
    world.arrive(job.due_at).await;
    world.until_ended(newest(&world).await).await;
    assert!(world.read(old.id).await.renewal.renewed_by.is_some());
    assert_eq!(world.inventory().await.len(), 2);
}

#[tokio::test]
async fn a_renewal_by_hand_that_is_under_way_is_not_joined_by_one_of_the_server() {
    let world = World::start_with(renewing()).await;
    let old = world.issued().await;
    world.arrive(old.renewal.due_at.unwrap().plus_seconds(-60)).await;
    world.elsewhere.dawdle(3);
    let request = pending(world.authority().renew(&world.admin, old.id, RenewRequest::default()).await);
    world.tick(120).await;
    assert_eq!(world.requests().await.len(), 2, "the server has nothing to add");
    world.until_ended(request.id).await;
    assert_eq!(world.read(old.id).await.renewal.renewed_by, Some(world.certificate(request.id).await.id));
    assert!(world.job(JobKind::RenewCertificate, old.id.as_uuid()).await.is_none());

    // One that fails before the due time changes nothing about it; one that fails after it is followed by the server's.
    let old = world.certificate(request.id).await;
    let due = old.renewal.due_at.unwrap();
    let early = pending(world.authority().renew(&world.admin, old.id, RenewRequest::default()).await);
    world.authority().cancel_request(&world.admin, early.id).await.unwrap();
    let job = world.job(JobKind::RenewCertificate, old.id.as_uuid()).await.unwrap();
    assert_eq!(job.due_at, due);
    assert_eq!(world.read(old.id).await.renewal.error.as_deref(), Some("Cancelled by the requester"));
}

/// Once the CA is being asked, what it sends is recorded, whatever happened meanwhile; but it follows nobody.
#[tokio::test]
async fn a_certificate_revoked_while_it_is_renewed_has_no_successor() {
    for (place, step) in STEPS.iter().copied().enumerate() {
        let world = World::start_with(renewing()).await;
        let old = world.issued().await;
        world
            .clock
            .advance_seconds(old.renewal.due_at.unwrap().as_seconds() - world.authority().now().as_seconds() + 1);
        if place > 4 {
            world.run().await;
            world.clock.advance_seconds(6);
        }
        world.elsewhere.hit(step, When::BeforeEffect, Fault::Stop, 1);
        let running = world.run_until_stopped().await;
        let id = newest(&world).await;
        let selector = CertificateSelector::Id(old.id);
        world.authority().revoke(&world.admin, &selector, RevocationReason::Superseded).await.unwrap();
        world.elsewhere.go_on.notify_one();
        running.await.unwrap();
        assert_eq!(world.until_ended(id).await.status, RequestStatus::Issued, "{step}");
        let new = world.certificate(id).await;
        assert_eq!((new.renewal.renewed_from, new.revocation), (None, None), "{step}");
        assert!(new.renewal.due_at.is_some(), "{step}: it is renewed by itself");
        assert_eq!(world.read(old.id).await.renewal.renewed_by, None, "{step}");
        assert_eq!(world.audited(AuditEvent::CertificateIssued, new.id.as_uuid()).await.len(), 1, "{step}");
        assert!(world.job(JobKind::RenewCertificate, old.id.as_uuid()).await.is_none(), "{step}");
    }
}

#[tokio::test]
async fn a_certificate_revoked_before_the_ca_is_asked_is_not_asked_for() {
    let world = World::start().await;
    let old = world.issued().await;
    let request = pending(world.authority().renew(&world.admin, old.id, RenewRequest::default()).await);
    let selector = CertificateSelector::Id(old.id);
    world.authority().revoke(&world.admin, &selector, RevocationReason::KeyCompromise).await.unwrap();
    let request = world.until_ended(request.id).await;
    assert_eq!(request.status, RequestStatus::Failed);
    assert!(request.error_message.unwrap().contains("was revoked before"));
    assert_eq!(world.elsewhere.orders(), 1);
    assert_eq!(world.read(old.id).await.renewal.error, None, "what is revoked has no renewals to fail");
}

#[tokio::test]
async fn a_profile_switched_off_or_gone_during_an_order_does_not_lose_the_certificate() {
    let world = World::start_with(renewing()).await;
    let id = world.order().await;
    world.run().await;
    // The CA is disabled between the last answer and its record.
    world.clock.advance_seconds(6);
    world.elsewhere.hit("issued", When::AfterEffect, Fault::Stop, 1);
    let running = world.run_until_stopped().await;
    let off = chancery_authority::external::ExternalCaPatch {
        status: Some(chancery_model::authority::CaStatus::Disabled),
        ..Default::default()
    };
    world.authority().update_external_ca(&world.admin, world.ca, off).await.unwrap();
    world.elsewhere.go_on.notify_one();
    running.await.unwrap();
    assert_eq!(world.status(id).await, RequestStatus::Issued);
    assert!(world.certificate(id).await.renewal.due_at.is_some(), "it is renewed when the CA is there again");
}

/// What another CA has issued is nothing that this one could replace.
#[tokio::test]
async fn a_profile_that_was_given_another_ca_renews_there() {
    let mut world = World::start().await;
    let own = world.own_ca().await;
    world.profile = world.profile_of("own", own, renewing()).await.unwrap();
    let old = world.issue(world.wish(named("a.acme.com"))).await.unwrap().into_issued().unwrap().certificate;
    let patch = ProfilePatch { issuer: Some(ProfileIssuer::Ca(world.ca)), ..ProfilePatch::default() };
    world.authority().update_profile(&world.admin, world.profile, patch).await.unwrap();
    world.arrive(old.renewal.due_at.unwrap().plus_seconds(1)).await;
    let id = newest(&world).await;
    world.until_ended(id).await;
    let new = world.certificate(id).await;
    assert_eq!((new.ca_id, new.renewal.renewed_from), (Some(world.ca), Some(old.id)));
    assert!(!world.elsewhere.order(id).replaces);
    // And back: what comes from here needs no order.
    let patch = ProfilePatch { issuer: Some(ProfileIssuer::Ca(own)), ..ProfilePatch::default() };
    world.authority().update_profile(&world.admin, world.profile, patch).await.unwrap();
    let renewed = world.authority().renew(&world.admin, new.id, RenewRequest::default()).await.unwrap();
    assert_eq!(renewed.into_issued().unwrap().certificate.ca_id, Some(own));
}

/// The order that runs was made obsolete: it ends before the CA is asked for anything.
#[tokio::test]
async fn a_certificate_renewed_otherwise_before_the_ca_is_asked_is_not_asked_for() {
    let world = World::start().await;
    let own = world.own_ca().await;
    let old = world.issued().await;
    let renew = || world.authority().renew(&world.admin, old.id, RenewRequest::default());
    let order = pending(renew().await);
    let patch = ProfilePatch { issuer: Some(ProfileIssuer::Ca(own)), ..ProfilePatch::default() };
    world.authority().update_profile(&world.admin, world.profile, patch).await.unwrap();
    let new = renew().await.unwrap().into_issued().unwrap().certificate;
    let request = world.until_ended(order.id).await;
    assert!(request.error_message.unwrap().contains("renewed otherwise"));
    assert_eq!(world.elsewhere.orders(), 1);
    let stands = world.read(old.id).await;
    assert_eq!((stands.renewal.renewed_by, stands.renewal.error), (Some(new.id), None));
}

#[tokio::test]
async fn a_superseded_certificate_is_revoked_there_a_while_after_its_renewal() {
    let after = Ttl::from_seconds(3_600).unwrap();
    let api = ApiEnrollmentPatch { revoke_superseded_after: Field::Value(after), ..ApiEnrollmentPatch::default() };
    let settings = ProfileSettingsPatch { api: Field::Value(api), ..ProfileSettingsPatch::default() };
    let world = World::start_with(settings).await;
    let old = world.issued().await;
    let request = pending(world.authority().renew(&world.admin, old.id, RenewRequest::default()).await);
    world.until_ended(request.id).await;
    world.tick(3_000).await;
    assert_eq!(world.read(old.id).await.revocation, None);
    world.tick(700).await;
    assert_eq!(world.read(old.id).await.revocation.unwrap().reason, RevocationReason::Superseded);
    assert_eq!(world.elsewhere.revoked(&old.serial_number), Some((RevocationReason::Superseded, 1)));
}

fn window(start: i64, end: i64, ask_again_after: u32) -> Option<RenewalAdvice> {
    let at = |second| Timestamp::from_seconds(super::world::START + second);
    Some(RenewalAdvice { start: at(start), end: at(end), ask_again_after, explanation_url: None })
}

#[tokio::test]
async fn the_cas_own_advice_says_when_a_certificate_is_renewed() {
    let world = World::start_with(renewing()).await;
    world.elsewhere.advise(window(10 * DAY, 12 * DAY, 6 * 3_600));
    let old = world.issued().await;
    let due = |it: &Certificate| it.renewal.due_at.unwrap().as_seconds() - super::world::START;
    let advised = world.read(old.id).await;
    assert!((10 * DAY..=12 * DAY).contains(&due(&advised)), "{}", due(&advised));
    let asked = world.elsewhere.asked_for_advice();
    world.tick(5 * 3_600).await;
    assert_eq!(world.elsewhere.asked_for_advice(), asked);
    world.tick(2 * 3_600).await;
    assert_eq!(world.elsewhere.asked_for_advice(), asked + 1, "asked again when it said so");
    assert_eq!(world.read(old.id).await.renewal.due_at, advised.renewal.due_at, "drawn once");

    // The CA must take certificates back: the window is past, so it is renewed at once.
    world.elsewhere.advise(window(0, DAY / 24, 3_600));
    world.tick(6 * 3_600).await;
    let id = newest(&world).await;
    assert_ne!(id, old.request_id);
    world.elsewhere.advise(window(40 * DAY, 41 * DAY, 3_600));
    world.until_ended(id).await;
    let new = world.certificate(id).await;
    assert_eq!(new.renewal.renewed_from, Some(old.id));
    assert!((40 * DAY..=41 * DAY).contains(&due(&world.read(new.id).await)));
    assert!(world.job(JobKind::AskRenewalTime, new.id.as_uuid()).await.is_some());
    world.tick(2 * DAY).await;
    assert!(world.job(JobKind::AskRenewalTime, old.id.as_uuid()).await.is_none(), "of the old one nobody asks");
}

/// As a CA would whose clock, or whose idea of a window, is broken.
#[tokio::test]
async fn a_ca_whose_windows_are_always_past_does_not_get_order_after_order() {
    let world = World::start_with(renewing()).await;
    world.elsewhere.advise(window(0, DAY / 24, 3_600));
    let first = world.issued().await;
    world.tick(DAY / 12).await;
    let id = newest(&world).await;
    assert_ne!(id, first.request_id, "a first certificate is renewed at once");
    world.until_ended(id).await;
    for _ in 0..5 {
        world.tick(1_800).await;
    }
    assert_eq!(newest(&world).await, id, "its successor is too young");
    for _ in 0..14 {
        world.tick(1_800).await;
    }
    assert_ne!(newest(&world).await, id);
}

#[tokio::test]
async fn without_advice_the_profiles_own_time_stands() {
    let world = World::start_with(renewing()).await;
    let old = world.issued().await;
    assert!(world.elsewhere.asked_for_advice() > 0);
    let job = world.job(JobKind::AskRenewalTime, old.id.as_uuid()).await.unwrap();
    assert_eq!(job.last_error.as_deref(), Some("the CA does not say when"));
    assert_eq!(world.read(old.id).await.renewal.due_at, old.renewal.due_at);
    world.arrive(old.renewal.due_at.unwrap().plus_seconds(1)).await;
    assert_eq!(world.order_of(newest(&world).await).await.phase, OrderPhase::Ordering);
}
