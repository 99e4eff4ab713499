//! What happened to one certificate.

use chancery_authority::renewal::RenewRequest;
use chancery_authority::revocation::CertificateSelector;
use chancery_model::CertificateId;
use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::certificate::RevocationReason;
use serde_json::json;

use super::world::{World, code, lasting, named, only};
use crate::in_both_databases;

in_both_databases!(a_life_is_told_newest_first_to_whoever_may_read_the_certificate);

fn short(event: AuditEvent) -> &'static str {
    event.as_str()
}

async fn a_life_is_told_newest_first_to_whoever_may_read_the_certificate(world: World) {
    let it = world.authority();
    let first = world.issue(&world.operator, world.web, lasting("www.acme.com", "20d")).await.certificate;
    let other = world.issue(&world.operator, world.web, named("other.acme.com")).await.certificate;
    world.clock.advance_seconds(60);
    it.private_key(&world.admin, &first).await.unwrap().unwrap();
    world.clock.advance_seconds(60);
    world.change_template(only("*.nowhere.test")).await;
    assert_eq!(code(it.renew(&world.operator, first.id, RenewRequest::default()).await), "template.refused");
    world.change_template(only("*.acme.com")).await;
    world.clock.advance_seconds(60);
    let second = it.renew(&world.operator, first.id, RenewRequest::default()).await.unwrap().into_issued().unwrap();
    world.clock.advance_seconds(60);
    let selector = CertificateSelector::parse(&first.id.to_string()).unwrap();
    it.revoke(&world.admin, &selector, RevocationReason::Superseded).await.unwrap();

    let expected = [
        (short(AuditEvent::CertificateRevoked), "admin@example.com", Outcome::Success),
        (short(AuditEvent::CertificateRenewed), "operator", Outcome::Success),
        (short(AuditEvent::CertificateRenewalRefused), "operator", Outcome::Denied),
        (short(AuditEvent::PrivateKeyRead), "admin@example.com", Outcome::Success),
        (short(AuditEvent::CertificateIssued), "operator", Outcome::Success),
    ];
    for call in [&world.admin, &world.operator, &world.auditor] {
        let history = it.history_of(call, first.id).await.unwrap();
        let told: Vec<_> = history.iter().map(|it| (it.event.as_str(), it.actor_name.as_str(), it.outcome)).collect();
        assert_eq!(told, expected);
        assert!(history.is_sorted_by(|newer, older| newer.time >= older.time));
        assert_eq!(history[1].details, json!({ "renewedBy": second.certificate.id }));
        assert_eq!(history[4].details["serialNumber"], json!(first.serial_number));
        assert!(!format!("{history:?}").contains("10.0.0.7"), "nobody's address is told");
    }
    let history = it.history_of(&world.auditor, second.certificate.id).await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(
        (history[0].event.as_str(), &history[0].details["renewedFrom"]),
        ("certificate.renewed", &json!(first.id))
    );
    assert_eq!(it.history_of(&world.auditor, other.id).await.unwrap().len(), 1, "nothing of the others");
    assert_eq!(code(it.history_of(&world.stranger().await, first.id).await), "not_found");
    let nobody = CertificateId::from_uuid(world.web.as_uuid());
    assert_eq!(code(it.history_of(&world.admin, nobody).await), "not_found");
}
