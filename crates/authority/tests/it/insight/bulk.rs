//! Renewing what a search finds.

use chancery_authority::Call;
use chancery_authority::application::{ApiSettings, NewApplication};
use chancery_authority::profile::ProfileSettingsPatch;
use chancery_authority::renewal::{BulkRenewal, BulkRenewalPreview};
use chancery_authority::revocation::CertificateSelector;
use chancery_model::CertificateId;
use chancery_model::audit::AuditEvent;
use chancery_model::certificate::{Certificate, CertificateFilter, CertificateStatus, RevocationReason};
use chancery_model::permission::Role;
use chancery_model::profile::KeyCustody;
use chancery_pkix::AttributeType;

use super::world::{DAY, World, call, code, csr, lasting, machine, named, only};
use crate::in_both_databases;

in_both_databases!(
    bulk_renewal_takes_what_its_preview_counted,
    what_cannot_be_renewed_by_the_server_alone_is_left_out_with_the_reason,
    an_operator_renews_its_own_and_its_applications,
    a_refusal_stands_on_its_certificate_and_stops_no_other,
    five_hundred_are_renewed_by_one_call,
);

fn below(domain: &str) -> BulkRenewal {
    let filter = CertificateFilter { common_name: Some(format!("*.{domain}")), ..CertificateFilter::default() };
    BulkRenewal { filter }
}

async fn preview(world: &World, call: &Call, wanted: &BulkRenewal) -> BulkRenewalPreview {
    world.authority().preview_bulk_renewal(call, wanted).await.unwrap()
}

async fn current(world: &World, id: CertificateId) -> Certificate {
    world.authority().reader().certificate(world.admin.project_id(), id).await.unwrap().unwrap()
}

async fn bulk_renewal_takes_what_its_preview_counted(world: World) {
    let it = world.authority();
    let mut wanted = Vec::new();
    for index in 0..4 {
        wanted
            .push(world.issue(&world.operator, world.web, named(&format!("h{index}.old.acme.com"))).await.certificate);
    }
    let spared = world.issue(&world.operator, world.web, named("new.acme.com")).await.certificate;
    let revoked = world.issue(&world.operator, world.web, named("r.old.acme.com")).await.certificate;
    let selector = CertificateSelector::parse(&revoked.id.to_string()).unwrap();
    it.revoke(&world.admin, &selector, RevocationReason::Superseded).await.unwrap();
    world.issue(&world.operator, world.web, lasting("e.old.acme.com", "1h")).await;
    world.clock.advance_seconds(3_700);

    let search = below("old.acme.com");
    let counted = preview(&world, &world.operator, &search).await;
    assert_eq!((counted.matching, counted.renewable, counted.has_more), (4, 4, false));
    assert_eq!(counted.left_out, []);
    world.clock.advance_seconds(5);
    let late = world.issue(&world.operator, world.web, named("late.old.acme.com")).await.certificate;

    let with = async |call: &Call, search: &BulkRenewal, token: &str| code(it.bulk_renew(call, search, token).await);
    assert_eq!(with(&world.operator, &below("acme.com"), &counted.confirm).await, "renewal.confirm");
    assert_eq!(with(&world.admin, &search, &counted.confirm).await, "renewal.confirm", "it is the operator's");
    assert_eq!(with(&world.operator, &search, "1.00").await, "renewal.confirm");
    assert_eq!(with(&world.auditor, &search, &counted.confirm).await, "auth.permission");
    assert_eq!(code(it.preview_bulk_renewal(&world.auditor, &search).await), "auth.permission");
    let all = BulkRenewal {
        filter: CertificateFilter { statuses: vec![CertificateStatus::Active], ..CertificateFilter::default() },
    };
    assert_eq!(code(it.preview_bulk_renewal(&world.operator, &all).await), "renewal.unconditional");
    assert_eq!(with(&world.operator, &all, &counted.confirm).await, "renewal.unconditional");

    // One key for the whole call, as a client sends it.
    let keyed = Call { idempotency: Some([7; 32]), ..world.operator.clone() };
    let done = it.bulk_renew(&keyed, &search, &counted.confirm).await.unwrap();
    assert_eq!((done.renewed, done.pending, done.has_more), (4, 0, false));
    assert!(done.failed.is_empty(), "{:?}", done.failed);
    for old in &wanted {
        let successor = current(&world, old.id).await.renewal.renewed_by.unwrap();
        let successor = current(&world, successor).await;
        assert_eq!(successor.description.sans, old.description.sans);
        assert_eq!(successor.requester, old.requester);
        assert!(successor.not_after > old.not_after && successor.key_id.is_some());
    }
    for it in [&spared, &revoked, &late] {
        assert_eq!(current(&world, it.id).await.renewal.renewed_by, None);
    }
    assert_eq!(world.count(AuditEvent::CertificateRenewed).await, 4);
    assert_eq!(world.count(AuditEvent::CertificatesBulkRenewed).await, 1);
    // The same again finds nothing of these; ten minutes later the token has ended.
    let again = it.bulk_renew(&world.operator, &search, &counted.confirm).await.unwrap();
    assert_eq!((again.renewed, again.failed.len()), (0, 0));
    world.clock.advance_seconds(601);
    assert_eq!(with(&world.operator, &search, &counted.confirm).await, "renewal.confirm");
    let counted = preview(&world, &world.operator, &search).await;
    assert_eq!((counted.matching, counted.renewable), (9, 5), "four successors, the late one, and four that have one");
    assert_eq!(counted.left_out, [("The certificate was already renewed".to_owned(), 4)]);
}

async fn what_cannot_be_renewed_by_the_server_alone_is_left_out_with_the_reason(world: World) {
    let it = world.authority();
    let subject = |name: &'static str| csr(&[(AttributeType::CommonName, name)], &[], &[]);
    world.issue_csr(&world.operator, world.web, subject("fixed.k.acme.com")).await;
    let reusing = ProfileSettingsPatch { allow_key_reuse: Some(true), ..ProfileSettingsPatch::default() };
    let reusing = world.profile("reusing", reusing).await;
    let reused = world.issue_csr(&world.operator, reusing, subject("reused.k.acme.com")).await.certificate;
    let once = ProfileSettingsPatch { key_custody: Some(KeyCustody::ReturnOnce), ..ProfileSettingsPatch::default() };
    let once = world.profile("once", once).await;
    world.issue(&world.operator, once, named("once.k.acme.com")).await;
    let counted = preview(&world, &world.operator, &below("k.acme.com")).await;
    assert_eq!((counted.matching, counted.renewable), (3, 1));
    let reasons: Vec<&str> = counted.left_out.iter().map(|(reason, _)| reason.as_str()).collect();
    assert!(reasons.iter().any(|it| it.contains("does not allow key reuse")), "{reasons:?}");
    assert!(reasons.iter().any(|it| it.contains("does not keep keys")), "{reasons:?}");
    let done = it.bulk_renew(&world.operator, &below("k.acme.com"), &counted.confirm).await.unwrap();
    assert_eq!((done.renewed, done.failed.len()), (1, 0));
    let successor = current(&world, reused.id).await.renewal.renewed_by.unwrap();
    let successor = current(&world, successor).await;
    let key = |it: &Certificate| chancery_pkix::Certificate::from_der(&it.der).unwrap().public_key().unwrap().clone();
    assert_eq!(key(&successor).spki_der(), key(&reused).spki_der(), "the same key again");
}

async fn an_operator_renews_its_own_and_its_applications(world: World) {
    let it = world.authority();
    let mut applications = Vec::new();
    let mut operators = Vec::new();
    for name in ["shop", "bank"] {
        let profiles = vec![world.api];
        let new = NewApplication { name: name.to_owned(), description: None, profiles };
        let application = it.create_application(&world.admin, new).await.unwrap().id;
        let settings = ApiSettings {
            auto_renew: false,
            renew_before_days: None,
            renew_at: None,
            renew_jitter: None,
            revoke_superseded_after: None,
        };
        it.configure_api_enrollment(&world.admin, (application, world.api), settings).await.unwrap();
        let (identity, token) = machine(it, &world.admin, name, Role::Auditor).await;
        it.add_identity(&world.admin, application, identity, Role::Operator).await.unwrap();
        applications.push(application);
        operators.push(call(it, &token).await);
    }
    let of_shop = world.issue(&operators[0], world.api, named("a.m.acme.com")).await.certificate;
    assert_eq!(of_shop.application_id, Some(applications[0]));
    world.issue(&operators[1], world.api, named("b.m.acme.com")).await;
    world.issue(&world.operator, world.web, named("c.m.acme.com")).await;
    let search = below("m.acme.com");
    for (call, renewable) in [(&operators[0], 1), (&operators[1], 1), (&world.operator, 1), (&world.admin, 3)] {
        let counted = preview(&world, call, &search).await;
        assert_eq!((counted.matching, counted.renewable), (3, renewable));
        assert_eq!(counted.left_out.iter().map(|(_, count)| count).sum::<u64>(), 3 - renewable);
    }
    let counted = preview(&world, &operators[1], &search).await;
    let done = it.bulk_renew(&operators[1], &search, &counted.confirm).await.unwrap();
    assert_eq!((done.renewed, done.failed.len()), (1, 0));
    assert_eq!(current(&world, of_shop.id).await.renewal.renewed_by, None, "another application's");
    let stranger = world.stranger().await;
    assert_eq!(preview(&world, &stranger, &search).await.matching, 0);
}

async fn a_refusal_stands_on_its_certificate_and_stops_no_other(world: World) {
    let it = world.authority();
    let good = world.issue(&world.operator, world.web, named("a.acme.com")).await.certificate;
    let bad = world.issue(&world.operator, world.web, named("b.other.com")).await.certificate;
    let search =
        BulkRenewal { filter: CertificateFilter { profile_ids: vec![world.web], ..CertificateFilter::default() } };
    let counted = preview(&world, &world.operator, &search).await;
    assert_eq!(counted.renewable, 2);
    world.change_template(only("*.acme.com")).await;
    let done = it.bulk_renew(&world.operator, &search, &counted.confirm).await.unwrap();
    assert_eq!(done.renewed, 1);
    let [(id, reason)] = done.failed.as_slice() else { panic!("{:?}", done.failed) };
    assert!(*id == bad.id && reason.contains("b.other.com"), "{reason}");
    assert!(current(&world, good.id).await.renewal.renewed_by.is_some());
    let bad = current(&world, bad.id).await;
    assert_eq!((bad.renewal.renewed_by, bad.renewal.error.as_ref()), (None, Some(reason)));
}

async fn five_hundred_are_renewed_by_one_call(world: World) {
    let it = world.authority();
    for index in 0..503 {
        world.issue(&world.operator, world.web, lasting(&format!("h{index}.many.acme.com"), "10d")).await;
    }
    world.clock.advance_seconds(DAY);
    let search = below("many.acme.com");
    let counted = preview(&world, &world.admin, &search).await;
    assert_eq!((counted.renewable, counted.has_more), (500, true));
    let done = it.bulk_renew(&world.admin, &search, &counted.confirm).await.unwrap();
    assert_eq!((done.renewed, done.failed.len(), done.has_more), (500, 0, true));
    // The rest is a further call's, and the successors are not renewed by it.
    let filter =
        CertificateFilter { not_after_to: Some(it.now().plus_seconds(9 * DAY + 3_600)), ..search.filter.clone() };
    let rest = BulkRenewal { filter };
    let counted = preview(&world, &world.admin, &rest).await;
    assert_eq!((counted.renewable, counted.has_more), (3, false));
}
