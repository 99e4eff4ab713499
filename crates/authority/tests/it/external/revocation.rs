//! Revoking what a CA elsewhere has issued: on record here at once, told there as soon as it listens.

use chancery_authority::external::UpstreamError;
use chancery_authority::revocation::{BulkRevocation, CertificateSelector};
use chancery_model::audit::AuditEvent;
use chancery_model::certificate::{Certificate, CertificateFilter, RevocationReason};
use chancery_model::external::ConnectionApp;
use chancery_model::job::JobKind;

use super::pki::DAY;
use super::world::{World, code, digicert, external, named, pending};

fn by_id(certificate: &Certificate) -> CertificateSelector {
    CertificateSelector::Id(certificate.id)
}

#[tokio::test]
async fn a_revocation_is_recorded_at_once_and_told_there() {
    let world = World::start().await;
    let certificate = world.issued().await;
    let selector = by_id(&certificate);
    let revoke = |reason| world.authority().revoke(&world.admin, &selector, reason);
    assert_eq!(code(revoke(RevocationReason::CertificateHold).await), "revocation.external_hold");
    let revoked = revoke(RevocationReason::KeyCompromise).await.unwrap();
    assert!(revoked.asks_externally && !revoked.is_published);
    assert_eq!(world.read(certificate.id).await.revocation, Some(revoked.revocation));
    assert_eq!(world.elsewhere.revoked(&certificate.serial_number), None, "that is a job's work");
    world.run().await;
    let told = world.elsewhere.revoked(&certificate.serial_number);
    assert_eq!(told, Some((RevocationReason::KeyCompromise, 1)));
    assert_eq!(world.audited(AuditEvent::RevokedExternally, certificate.id.as_uuid()).await.len(), 1);
    assert_eq!(code(revoke(RevocationReason::Superseded).await), "revocation.already");
    world.tick(DAY).await;
    assert_eq!(world.elsewhere.revoked(&certificate.serial_number), told);
}

#[tokio::test]
async fn a_ca_that_does_not_answer_is_told_when_it_does() {
    for (error, audited) in [
        (UpstreamError::passing("no answer"), 1),
        (UpstreamError::lasting("the account may not revoke; give it the right"), 3),
    ] {
        let world = World::start().await;
        let certificate = world.issued().await;
        let (id, text) = (certificate.id.as_uuid(), error.text.clone());
        world.elsewhere.refuse_revocations(Some(error));
        world.authority().revoke(&world.admin, &by_id(&certificate), RevocationReason::Superseded).await.unwrap();
        let mut last = 0;
        for _ in 0..3 {
            world.run().await;
            let job = world.job(JobKind::RevokeExternally, id).await.unwrap();
            assert_eq!(job.last_error.as_deref(), Some(text.as_str()));
            let wait = job.due_at.as_seconds() - world.authority().now().as_seconds();
            assert!(wait > last, "{wait} {last}");
            last = wait;
            world.clock.advance_seconds(wait);
        }
        let failures = world.audited(AuditEvent::ExternalRevocationFailed, id).await;
        assert_eq!(failures.len(), audited, "{text}");
        assert_eq!(failures[0].details["message"], text);
        world.elsewhere.refuse_revocations(None);
        world.run().await;
        assert_eq!(world.elsewhere.revoked(&certificate.serial_number), Some((RevocationReason::Superseded, 1)));
        assert!(world.job(JobKind::RevokeExternally, id).await.is_none());
    }
}

#[tokio::test]
async fn a_revocation_that_nobody_takes_ends_with_the_certificate() {
    let world = World::start().await;
    let certificate = world.issued().await;
    world.elsewhere.refuse_revocations(Some(UpstreamError::lasting("no")));
    world.authority().revoke(&world.admin, &by_id(&certificate), RevocationReason::Superseded).await.unwrap();
    world.run().await;
    world.tick(31 * DAY).await;
    assert!(world.job(JobKind::RevokeExternally, certificate.id.as_uuid()).await.is_none());
}

#[tokio::test]
async fn a_ca_removed_before_it_was_told_leaves_a_trace() {
    let world = World::start().await;
    let certificate = world.issued().await;
    world.elsewhere.refuse_revocations(Some(UpstreamError::passing("no")));
    world.authority().revoke(&world.admin, &by_id(&certificate), RevocationReason::Superseded).await.unwrap();
    world.run().await;
    world.authority().delete_profile(&world.admin, world.profile).await.unwrap();
    world.authority().delete_external_ca(&world.admin, world.ca).await.unwrap();
    world.tick(60).await;
    let failures = world.audited(AuditEvent::ExternalRevocationFailed, certificate.id.as_uuid()).await;
    assert!(failures[1].details["message"].as_str().unwrap().contains("was removed"), "{failures:?}");
    assert!(world.job(JobKind::RevokeExternally, certificate.id.as_uuid()).await.is_none());
}

#[tokio::test]
async fn a_ca_that_takes_no_revocations_is_not_promised_one() {
    let mut world = World::start().await;
    let connection = world.connection("dc", ConnectionApp::Digicert).await.unwrap();
    let new = external("dc", digicert(connection.id));
    let ca = world.authority().create_external_ca(&world.admin, new).await.unwrap().0.id;
    world.profile = world.profile_of("dc", ca, Default::default()).await.unwrap();
    let certificate = world.issued().await;
    let revoked = world.authority().revoke(&world.admin, &by_id(&certificate), RevocationReason::Superseded).await;
    assert_eq!(code(revoked), "revocation.external");
    assert_eq!(world.read(certificate.id).await.revocation, None);
    let renewed = world.authority().renew(&world.admin, certificate.id, Default::default()).await;
    assert_eq!(code(renewed), "renewal.not_eligible");
}

#[tokio::test]
async fn certificates_from_here_and_elsewhere_are_revoked_together() {
    let mut world = World::start().await;
    let own = world.own_ca().await;
    let outside: Vec<Certificate> = vec![world.issued().await, world.issued().await];
    world.profile = world.profile_of("own", own, Default::default()).await.unwrap();
    for _ in 0..2 {
        world.issue(world.wish(named("a.acme.com"))).await.unwrap().into_issued().unwrap();
    }
    world.clock.advance_seconds(1);
    let filter = CertificateFilter { common_name: Some("a.acme.com".to_owned()), ..CertificateFilter::default() };
    for (reason, revoked, failed) in
        [(RevocationReason::CertificateHold, 2, 2), (RevocationReason::CessationOfOperation, 2, 0)]
    {
        let wanted = BulkRevocation { filter: filter.clone(), reason };
        let preview = world.authority().preview_bulk_revocation(&world.admin, &wanted).await.unwrap();
        let outcome = world.authority().bulk_revoke(&world.admin, &wanted, &preview.confirm).await.unwrap();
        assert_eq!((outcome.revoked, outcome.failed.len()), (revoked, failed), "{reason:?} {:?}", outcome.failed);
    }
    world.run().await;
    for certificate in outside {
        let told = world.elsewhere.revoked(&certificate.serial_number);
        assert_eq!(told, Some((RevocationReason::CessationOfOperation, 1)));
    }
}

#[tokio::test]
async fn a_certificate_revoked_as_soon_as_it_is_home_is_revoked_there() {
    let world = World::start().await;
    let id = pending(world.issue(world.wish(named("a.acme.com"))).await).id;
    world.until_ended(id).await;
    let certificate = world.certificate(id).await;
    world.authority().delete_certificate(&world.admin, certificate.id).await.unwrap();
    let selector = CertificateSelector::SerialNumber(certificate.serial_number.clone());
    world.authority().revoke(&world.admin, &selector, RevocationReason::KeyCompromise).await.unwrap();
    world.run().await;
    let told = world.elsewhere.revoked(&certificate.serial_number);
    assert_eq!(told, Some((RevocationReason::KeyCompromise, 1)), "although it was deleted here");
}
