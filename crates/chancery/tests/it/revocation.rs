//! Revocation and what it does to CRLs and OCSP, by the clock.
//!
//! ```text
//! root ── issuing ── leaves of the operator, of another operator, of the administrator
//! ```
//!
//! Verified: every way to name a certificate; the allowed steps between active, on hold and revoked, with CRL, delta and
//! OCSP saying the same; who may; bulk revocation with its preview; numbers that only grow, over a restart and on two
//! nodes; partitions that add up to the whole; a month without a revocation; expired entries that leave one planned CRL
//! after their end; a responder that renews itself; CAs that are revoked; superseded certificates; certificates that need
//! no revocation at all. How strangers judge the bytes is in `status.rs`.

use std::collections::{BTreeMap, BTreeSet};

use chancery_model::{CaId, CrlId, Timestamp};
use chancery_pkix::crl::CertificateList;
use chancery_pkix::ocsp::{BasicOcspResponse, CertId, CertStatus, HashAlgorithm, OcspRequest};
use chancery_pkix::{Certificate, KeyAlgorithm, PublicKey};
use chancery_testkit::world::{CERT_MANAGER, Pki, Session, World, id_at, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const REPOSITORY: &str = "http://pki.acme.test";
const DAY: i64 = 86_400;

async fn world() -> World {
    World::builder().setting("repository_url", REPOSITORY).start().await
}

fn id_of(issued: &Value) -> String {
    text(issued, "/certificate/certificateId")
}

fn leaf(issued: &Value) -> Certificate {
    Certificate::from_pem(&text(issued, "/certificate/certificate")).unwrap()
}

async fn revoke(session: &Session, named: &str, reason: &str) -> (u16, Value) {
    session.post(&format!("{CERT_MANAGER}/certificates/{named}/revoke"), &json!({"revocationReason": reason})).await
}

async fn revoked(world: &World, issued: &Value, reason: &str) {
    let (status, answer) = revoke(world.operator(), &id_of(issued), reason).await;
    assert_eq!(status, 200, "{answer:#}");
}

/// Lets what was asked for a second ago be published.
async fn settle(world: &World) {
    world.clock.advance_seconds(2);
    world.authority().run_due_jobs().await;
}

async fn ca_certificate(world: &World, ca: Uuid) -> Certificate {
    let path = format!("{CERT_MANAGER}/ca/internal/{ca}/certificate");
    let answer = world.operator().ok(Method::GET, &path, None).await;
    Certificate::from_pem(&text(&answer, "/certificate")).unwrap()
}

/// Every CRL of a CA: partition, id, complete CRL, delta.
async fn crls(world: &World, ca: Uuid) -> Vec<(u32, CrlId, CertificateList, Option<CertificateList>)> {
    let authority = world.authority();
    let mut all = Vec::new();
    for crl in authority.reader().crls_of(CaId::from_uuid(ca)).await.unwrap() {
        let complete = authority.crl(crl.id, false).await.unwrap().expect("a CRL is published");
        let delta = authority.crl(crl.id, true).await.unwrap();
        let read = |der: &[u8]| CertificateList::from_der(der).unwrap();
        all.push((crl.partition, crl.id, read(&complete.der), delta.map(|it| read(&it.der))));
    }
    all
}

async fn complete_crl(world: &World, ca: Uuid) -> CertificateList {
    let all = crls(world, ca).await;
    all.into_iter().find(|(partition, ..)| *partition == 0).expect("every CA has a complete CRL").2
}

/// Serial numbers on a CRL with their reasons; no reason is 0.
fn listed(crl: &CertificateList) -> BTreeMap<String, u8> {
    crl.entries().map(|it| (hex::encode(it.serial), it.reason.unwrap_or(0))).collect()
}

/// What the responder of the CA says about a certificate, with everything about the answer checked.
async fn ocsp(world: &World, ca: Uuid, serial: &[u8]) -> CertStatus {
    let issuer = ca_certificate(world, ca).await;
    let key: PublicKey = issuer.public_key().unwrap();
    let id = CertId::of(HashAlgorithm::Sha256, issuer.subject_der(), &key, serial).unwrap();
    let request = OcspRequest { requests: vec![id.clone()], nonce: Some(vec![7; 32]) };
    let answer = world.authority().ocsp(CaId::from_uuid(ca), &request.to_der()).await;
    let response = BasicOcspResponse::from_der(&answer.der).unwrap();
    assert_eq!(response.nonce.as_deref(), Some(&[7u8; 32][..]));
    let responder = Certificate::from_der(&response.certificates[0]).unwrap();
    assert!(responder.is_signed_by(&key), "the responder is the CA's own");
    assert!(response.is_signed_by(&responder.public_key().unwrap()));
    let [single] = response.responses.as_slice() else { panic!("one answer for one question") };
    assert_eq!(single.cert_id, id);
    assert!(single.this_update <= world.now_seconds() && single.next_update.unwrap() > world.now_seconds());
    single.status
}

#[tokio::test]
async fn a_revocation_is_in_ocsp_at_once_and_in_the_crl_within_five_seconds() {
    let world = world().await;
    let pki = world.pki().await;
    world.authority().run_due_jobs().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let serial = leaf(&issued).serial().as_bytes().to_vec();
    assert_eq!(ocsp(&world, pki.issuing, &serial).await, CertStatus::Good);
    let before = complete_crl(&world, pki.issuing).await;
    assert_eq!(before.entry_count(), 0);
    revoked(&world, &issued, "KEY_COMPROMISE").await;
    let at = world.now_seconds();
    assert_eq!(ocsp(&world, pki.issuing, &serial).await, CertStatus::Revoked { at, reason: Some(1) });
    settle(&world).await;
    let after = complete_crl(&world, pki.issuing).await;
    assert_eq!(listed(&after), BTreeMap::from([(hex::encode(&serial), 1)]));
    assert_eq!(after.entries().next().unwrap().revocation_date, at);
    assert!(after.number() > before.number() && after.this_update() <= at + 5);
    assert!(after.is_signed_by(&ca_certificate(&world, pki.issuing).await.public_key().unwrap()));
    world.stop().await;
}

#[tokio::test]
async fn a_certificate_is_revoked_by_id_fingerprint_or_serial_number() {
    let world = world().await;
    let pki = world.pki().await;
    for form in 0..4 {
        let issued = world.issue(pki.profile, &json!({})).await;
        let certificate = leaf(&issued);
        let shown = world.operator().get(&format!("{CERT_MANAGER}/certificates/{}", id_of(&issued))).await.1;
        let fingerprint = text(&shown, "/certificate/fingerprintSha256");
        let colons: Vec<String> = certificate.serial().as_bytes().iter().map(|octet| format!("{octet:02X}")).collect();
        let named = match form {
            0 => id_of(&issued),
            1 => fingerprint.to_uppercase(),
            2 => certificate.serial().to_hex(),
            _ => colons.join(":"),
        };
        let (status, answer) = revoke(world.operator(), &named, "SUPERSEDED").await;
        assert_eq!((status, text(&answer, "/serialNumber")), (200, certificate.serial().to_hex()), "{named}");
    }
    for (named, status) in [("not-a-name", 400), ("ab", 404), (&"cd".repeat(32), 404), (&"ef".repeat(25), 400)] {
        assert_eq!(revoke(world.operator(), named, "SUPERSEDED").await.0, status, "{named}");
    }
    let (status, answer) = revoke(world.operator(), "0198a8f0-0000-7000-8000-000000000001", "REMOVE_FROM_CRL").await;
    assert_eq!(status, 422, "{answer:#}");
    world.stop().await;
}

#[tokio::test]
async fn a_certificate_that_was_deleted_is_revoked_all_the_same() {
    let world = world().await;
    let pki = world.pki().await;
    for by_serial in [false, true] {
        let issued = world.issue(pki.profile, &json!({})).await;
        let (id, serial) = (id_of(&issued), text(&issued, "/certificate/serialNumber"));
        world.admin().ok(Method::DELETE, &format!("{CERT_MANAGER}/certificates/{id}"), None).await;
        let named = if by_serial { &serial } else { &id };
        let (status, answer) = revoke(world.admin(), named, "KEY_COMPROMISE").await;
        assert_eq!(status, 200, "{answer:#}");
        settle(&world).await;
        let octets = leaf(&issued).serial().as_bytes().to_vec();
        assert!(matches!(ocsp(&world, pki.issuing, &octets).await, CertStatus::Revoked { .. }), "{named}");
        assert!(listed(&complete_crl(&world, pki.issuing).await).contains_key(&serial), "{named}");
        let (status, _) = revoke(world.admin(), named, "KEY_COMPROMISE").await;
        assert_eq!(status, 400, "once is enough");
        let (status, _) = world.admin().get(&format!("{CERT_MANAGER}/certificates/{id}")).await;
        assert_eq!(status, 404, "it stays out of the inventory");
    }
    world.stop().await;
}

#[tokio::test]
async fn only_allowed_steps_are_taken_and_crl_and_ocsp_agree_after_each() {
    let world = world().await;
    let pki = world.pki().await;
    let path = format!("{CERT_MANAGER}/ca/internal/{}", pki.issuing);
    world.admin().ok(Method::PATCH, &path, Some(&json!({"configuration": {"deltaCrlInterval": "1h"}}))).await;
    world.authority().run_due_jobs().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let (id, serial) = (id_of(&issued), leaf(&issued).serial().as_bytes().to_vec());
    let release = format!("{CERT_MANAGER}/certificates/{id}/release");
    let steps: &[(&str, u16, Option<u8>)] = &[
        ("release", 400, None),
        ("CERTIFICATE_HOLD", 200, Some(6)),
        ("CERTIFICATE_HOLD", 400, Some(6)),
        ("release", 200, None),
        ("release", 400, None),
        ("CERTIFICATE_HOLD", 200, Some(6)),
        ("AFFILIATION_CHANGED", 200, Some(3)),
        ("KEY_COMPROMISE", 400, Some(3)),
        ("CERTIFICATE_HOLD", 400, Some(3)),
        ("release", 400, Some(3)),
    ];
    let mut last_number = 0;
    for (place, (step, expected, reason)) in steps.iter().enumerate() {
        let (status, answer) = match *step {
            "release" => world.operator().post(&release, &json!({})).await,
            reason => revoke(world.operator(), &id, reason).await,
        };
        assert_eq!(status, *expected, "step {place}, {step}: {answer:#}");
        settle(&world).await;
        let (_, _, complete, delta) = crls(&world, pki.issuing).await.remove(0);
        let said = match ocsp(&world, pki.issuing, &serial).await {
            CertStatus::Good => None,
            CertStatus::Revoked { reason, .. } => Some(reason.unwrap_or(0)),
            CertStatus::Unknown => panic!("the certificate was issued"),
        };
        assert_eq!(said, *reason, "OCSP after step {place}, {step}");
        assert_eq!(listed(&complete).get(&hex::encode(&serial)).copied(), *reason, "CRL after step {place}, {step}");
        if *expected == 200 {
            assert!(complete.number().unwrap() > last_number, "step {place}");
            let delta = delta.expect("delta CRLs are on");
            assert_eq!(delta.number(), complete.number(), "numbers are shared");
            assert!(delta.base_number().unwrap() < complete.number().unwrap());
            // A certificate off hold is taken off the list: removeFromCRL is 8.
            assert_eq!(listed(&delta).get(&hex::encode(&serial)).copied(), Some(reason.unwrap_or(8)), "step {place}");
        }
        last_number = complete.number().unwrap();
    }
    let (_, again) = revoke(world.operator(), &id, "SUPERSEDED").await;
    assert!(text(&again, "/message").contains("AFFILIATION_CHANGED"), "the first revocation is named: {again:#}");
    world.stop().await;
}

#[tokio::test]
async fn only_who_may_revokes_and_nothing_changes_for_others() {
    let world = world().await;
    let pki = world.pki().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let id = id_of(&issued);
    let stranger = world.identity("another-operator", "operator").await;
    let elsewhere = world.other_project_admin().await;
    let serial = leaf(&issued).serial().to_hex();
    for (who, session, named, expected) in [
        ("an auditor", world.auditor(), id.as_str(), 403),
        ("another operator", &stranger, id.as_str(), 403),
        ("another operator by serial number", &stranger, serial.as_str(), 403),
        ("another project", &elsewhere, id.as_str(), 404),
        ("another project by serial number", &elsewhere, serial.as_str(), 404),
        ("nobody", world.anonymous(), id.as_str(), 401),
    ] {
        let (status, answer) = revoke(session, named, "KEY_COMPROMISE").await;
        assert_eq!(status, expected, "{who}: {answer:#}");
    }
    let shown = world.operator().get(&format!("{CERT_MANAGER}/certificates/{id}")).await.1;
    assert_eq!(text(&shown, "/certificate/status"), "active");
    assert_eq!(revoke(world.admin(), &id, "KEY_COMPROMISE").await.0, 200);
    world.stop().await;
}

#[tokio::test]
async fn bulk_revocation_takes_exactly_what_its_preview_counted() {
    let world = world().await;
    let pki = world.pki().await;
    for _ in 0..5 {
        world.issue(pki.profile, &json!({"attributes": {"commonName": "a.old.acme.test"}})).await;
    }
    let spared = world.issue(pki.profile, &json!({"attributes": {"commonName": "new.acme.test"}})).await;
    let path = format!("{CERT_MANAGER}/certificates/bulk-revoke");
    let search = json!({"commonName": "*.old.acme.test"});
    let wanted = |confirm: Option<&str>| {
        let mut body = json!({"search": search, "revocationReason": "CESSATION_OF_OPERATION"});
        if let Some(token) = confirm {
            body["confirm"] = json!(token);
        }
        body
    };
    let preview = world.operator().ok(Method::POST, &path, Some(&wanted(None))).await;
    assert_eq!(preview["matching"], 5, "{preview:#}");
    let token = text(&preview, "/confirm");
    world.clock.advance_seconds(5);
    let late = world.issue(pki.profile, &json!({"attributes": {"commonName": "b.old.acme.test"}})).await;
    for (what, body) in [
        (
            "another search",
            json!({"search": {"commonName": "*.acme.test"}, "revocationReason": "CESSATION_OF_OPERATION", "confirm": token}),
        ),
        ("another reason", json!({"search": search, "revocationReason": "KEY_COMPROMISE", "confirm": token})),
        ("a made-up token", json!({"search": search, "revocationReason": "CESSATION_OF_OPERATION", "confirm": "1.00"})),
        ("no condition", json!({"search": {}, "revocationReason": "KEY_COMPROMISE"})),
    ] {
        let (status, answer) = world.operator().post(&path, &body).await;
        assert_eq!(status, 400, "{what}: {answer:#}");
    }
    assert_eq!(world.admin().post(&path, &wanted(Some(&token))).await.0, 400, "the token is the operator's");
    let done = world.operator().ok(Method::POST, &path, Some(&wanted(Some(&token)))).await;
    assert_eq!((&done["revoked"], &done["failed"]), (&json!(5), &json!([])), "{done:#}");
    for issued in [&spared, &late] {
        let shown = world.operator().get(&format!("{CERT_MANAGER}/certificates/{}", id_of(issued))).await.1;
        assert_eq!(text(&shown, "/certificate/status"), "active");
    }
    settle(&world).await;
    assert_eq!(complete_crl(&world, pki.issuing).await.entry_count(), 5);
    world.clock.advance_seconds(601);
    assert_eq!(world.operator().post(&path, &wanted(Some(&token))).await.0, 400, "the token has ended");
    world.stop().await;
}

#[tokio::test]
async fn crl_numbers_only_grow_over_a_restart_too() {
    let mut world = world().await;
    let pki = world.pki().await;
    world.authority().run_due_jobs().await;
    let mut last = complete_crl(&world, pki.issuing).await.number().unwrap();
    for round in 0..4 {
        let issued = world.issue(pki.profile, &json!({})).await;
        revoked(&world, &issued, "UNSPECIFIED").await;
        if round == 2 {
            world.restart().await;
        }
        settle(&world).await;
        let crl = complete_crl(&world, pki.issuing).await;
        assert!(crl.number().unwrap() > last, "round {round}");
        assert_eq!(crl.entry_count(), round + 1, "reason 0 is said by no reason");
        assert!(crl.entries().all(|entry| entry.reason.is_none()));
        last = crl.number().unwrap();
    }
    world.stop().await;
}

#[tokio::test]
async fn partitions_add_up_to_the_whole_and_each_names_its_own_address() {
    let world = world().await;
    let pki = world.pki().await;
    let before = world.issue(pki.profile, &json!({})).await;
    let path = format!("{CERT_MANAGER}/ca/internal/{}", pki.issuing);
    world.admin().ok(Method::PATCH, &path, Some(&json!({"configuration": {"crlPartitions": 3}}))).await;
    world.authority().run_due_jobs().await;
    revoked(&world, &before, "SUPERSEDED").await;
    let mut address_of = BTreeMap::from([(
        leaf(&before).serial().to_hex(),
        leaf(&before).extensions().crl_distribution_points[0].clone(),
    )]);
    for _ in 0..24 {
        let issued = world.issue(pki.profile, &json!({})).await;
        let certificate = leaf(&issued);
        address_of.insert(certificate.serial().to_hex(), certificate.extensions().crl_distribution_points[0].clone());
        revoked(&world, &issued, "SUPERSEDED").await;
    }
    settle(&world).await;
    let all = crls(&world, pki.issuing).await;
    assert_eq!(all.iter().map(|(partition, ..)| *partition).collect::<BTreeSet<_>>(), BTreeSet::from([0, 1, 2, 3]));
    let mut union = BTreeSet::new();
    for (partition, id, crl, _) in &all {
        let address = format!("{REPOSITORY}/api/v1/cert-manager/crl/{id}/der");
        match crl.issuing_distribution_point() {
            None => {
                assert_eq!(*partition, 0);
                assert_eq!(
                    listed(crl).keys().collect::<Vec<_>>(),
                    address_of.keys().collect::<Vec<_>>(),
                    "the complete CRL lists all"
                );
            }
            Some(point) => {
                assert_eq!(point.full_name.as_slice(), std::slice::from_ref(&address));
                for serial in listed(crl).into_keys() {
                    assert_eq!(address_of[&serial], address, "the certificate names this partition");
                    assert!(union.insert(serial), "no certificate is in two partitions");
                }
            }
        }
    }
    assert_eq!(union.len(), 24, "all but the one from before");
    world.stop().await;
}

#[tokio::test]
async fn an_idle_ca_renews_its_crl_at_half_life_and_never_lapses() {
    let world = world().await;
    let pki = world.pki().await;
    world.authority().run_due_jobs().await;
    let mut numbers = Vec::new();
    for hour in 0..30 * 24 {
        world.clock.advance_seconds(3_600);
        world.authority().run_due_jobs().await;
        let crl = complete_crl(&world, pki.issuing).await;
        let left = crl.next_update().unwrap() - world.now_seconds();
        assert!(left > 3 * DAY, "hour {hour}: {left} seconds left");
        numbers.push(crl.number().unwrap());
        for health in world.authority().status_health().await.unwrap() {
            let lapses = health.lapses_at.expect("everything is there").as_seconds() - world.now_seconds();
            assert!(lapses > 3 * DAY, "hour {hour}: {health:?}");
        }
    }
    assert!(numbers.is_sorted());
    let distinct: BTreeSet<i64> = numbers.into_iter().collect();
    assert!((8..=10).contains(&distinct.len()), "one for every three and a half days: {distinct:?}");
    world.stop().await;
}

#[tokio::test]
async fn an_expired_certificate_leaves_the_crl_one_planned_crl_after_its_end() {
    let world = world().await;
    let pki = world.pki().await;
    let short = json!({"attributes": {"commonName": "www.acme.test", "ttl": "1d"}});
    let issued = world.issue(pki.profile, &short).await;
    let lasting = world.issue(pki.profile, &json!({})).await;
    let serial = leaf(&issued).serial().to_hex();
    revoked(&world, &issued, "KEY_COMPROMISE").await;
    revoked(&world, &lasting, "KEY_COMPROMISE").await;
    settle(&world).await;
    let mut seen_after_end = 0;
    let mut planned = None;
    for _ in 0..40 {
        world.clock.advance_seconds(DAY / 4);
        world.authority().run_due_jobs().await;
        let crl = complete_crl(&world, pki.issuing).await;
        let ended = leaf(&issued).validity().not_after < crl.this_update();
        if ended && planned.replace(crl.number()) != Some(crl.number()) {
            seen_after_end += u32::from(listed(&crl).contains_key(&serial));
        }
    }
    assert_eq!(seen_after_end, 1, "listed by exactly one planned CRL after its end");
    let last = complete_crl(&world, pki.issuing).await;
    assert_eq!(listed(&last).into_keys().collect::<Vec<_>>(), [leaf(&lasting).serial().to_hex()]);
    world.stop().await;
}

#[tokio::test]
async fn the_responder_renews_itself_and_a_serial_nobody_issued_is_unknown() {
    let world = world().await;
    let pki = world.pki().await;
    world.authority().run_due_jobs().await;
    let issued = world.issue(pki.profile, &json!({"attributes": {"commonName": "www.acme.test", "ttl": "60d"}})).await;
    let serial = leaf(&issued).serial().as_bytes().to_vec();
    let mut responders = BTreeSet::new();
    for day in 0..20 {
        let responder = world.authority().reader().responders().await.unwrap();
        let of_issuing = responder.iter().find(|it| it.ca_id.as_uuid() == pki.issuing).expect("a responder");
        let certificate = Certificate::from_der(&of_issuing.der).unwrap();
        assert!(certificate.extensions().ocsp_no_check && certificate.extensions().crl_distribution_points.is_empty());
        responders.insert(certificate.serial().to_hex());
        assert_eq!(ocsp(&world, pki.issuing, &serial).await, CertStatus::Good, "day {day}");
        assert_eq!(ocsp(&world, pki.issuing, &[0x41; 16]).await, CertStatus::Unknown);
        // Issued by the root, asked of the issuing CA.
        let other = ca_certificate(&world, pki.issuing).await.serial().as_bytes().to_vec();
        assert_eq!(ocsp(&world, pki.issuing, &other).await, CertStatus::Unknown);
        assert_eq!(ocsp(&world, pki.root, &other).await, CertStatus::Good, "CA certificates are answered for too");
        // The responder's own serial number was taken, and is nobody's certificate.
        assert_eq!(ocsp(&world, pki.issuing, certificate.serial().as_bytes()).await, CertStatus::Unknown);
        world.clock.advance_seconds(DAY);
        world.authority().run_due_jobs().await;
    }
    assert!((5..=7).contains(&responders.len()), "one for every three and a half days: {responders:?}");
    world.stop().await;
}

#[tokio::test]
async fn a_revoked_ca_signs_nothing_and_its_parent_says_so() {
    let world = world().await;
    let pki = world.pki().await;
    world.authority().run_due_jobs().await;
    let own = format!("{CERT_MANAGER}/ca/internal/{}", pki.issuing);
    let certificate = id_at(&world.admin().ok(Method::GET, &format!("{own}/certificate"), None).await, "/certId");
    let serial = ca_certificate(&world, pki.issuing).await.serial().as_bytes().to_vec();
    let path = format!("{own}/certificates/{certificate}");
    let hold = json!({"revocationReason": "CERTIFICATE_HOLD"});
    assert_eq!(world.operator().post(&format!("{path}/revoke"), &hold).await.0, 403);
    world.admin().ok(Method::POST, &format!("{path}/revoke"), Some(&hold)).await;
    assert!(matches!(ocsp(&world, pki.root, &serial).await, CertStatus::Revoked { reason: Some(6), .. }));
    let body = json!({"profileId": pki.profile, "attributes": {"commonName": "www.acme.test"}});
    let (status, answer) = world.operator().post(&format!("{CERT_MANAGER}/certificates"), &body).await;
    assert_eq!((status, answer["code"].as_str()), (400, Some("ca.revoked")), "{answer:#}");
    world.admin().ok(Method::POST, &format!("{path}/release"), Some(&json!({}))).await;
    assert_eq!(ocsp(&world, pki.root, &serial).await, CertStatus::Good);
    world.issue(pki.profile, &json!({})).await;
    world
        .admin()
        .ok(Method::POST, &format!("{path}/revoke"), Some(&json!({"revocationReason": "CA_COMPROMISE"})))
        .await;
    settle(&world).await;
    assert_eq!(listed(&complete_crl(&world, pki.root).await), BTreeMap::from([(hex::encode(&serial), 2)]));
    let root = id_at(
        &world.admin().ok(Method::GET, &format!("{CERT_MANAGER}/ca/internal/{}/certificate", pki.root), None).await,
        "/certId",
    );
    let (status, answer) =
        world.admin().post(&format!("{CERT_MANAGER}/ca/internal/{}/certificates/{root}/revoke", pki.root), &hold).await;
    assert_eq!((status, answer["code"].as_str()), (400, Some("revocation.no_parent")), "{answer:#}");
    world.stop().await;
}

#[tokio::test]
async fn a_superseded_certificate_is_revoked_when_the_settings_say_so() {
    let world = world().await;
    let pki = world.pki().await;
    let profile = world
        .profile(&json!({
            "caId": pki.issuing, "certificatePolicyId": pki.template,
            "apiConfig": {"autoRenew": true, "renewBeforeDays": 10, "revokeSupersededAfter": "2d"},
        }))
        .await;
    let issued = world.issue(profile, &json!({})).await;
    let path = format!("{CERT_MANAGER}/certificates/{}", id_of(&issued));
    world.operator().ok(Method::POST, &format!("{path}/renew"), Some(&json!({}))).await;
    let status = async || text(&world.operator().get(&path).await.1, "/certificate/status");
    world.clock.advance_seconds(2 * DAY - 1);
    world.authority().run_due_jobs().await;
    assert_eq!(status().await, "active");
    world.clock.advance_seconds(1);
    world.authority().run_due_jobs().await;
    assert_eq!(status().await, "revoked");
    settle(&world).await;
    let serial = leaf(&issued).serial().to_hex();
    assert_eq!(listed(&complete_crl(&world, pki.issuing).await), BTreeMap::from([(serial, 4)]));
    world.stop().await;
}

#[tokio::test]
async fn a_superseded_certificate_on_hold_is_revoked_all_the_same() {
    let world = world().await;
    let pki = world.pki().await;
    let profile = world
        .profile(&json!({
            "caId": pki.issuing, "certificatePolicyId": pki.template,
            "apiConfig": {"autoRenew": true, "renewBeforeDays": 10, "revokeSupersededAfter": "2d"},
        }))
        .await;
    let issued = world.issue(profile, &json!({})).await;
    let path = format!("{CERT_MANAGER}/certificates/{}", id_of(&issued));
    world.operator().ok(Method::POST, &format!("{path}/renew"), Some(&json!({}))).await;
    revoked(&world, &issued, "CERTIFICATE_HOLD").await;
    world.clock.advance_seconds(2 * DAY);
    world.authority().run_due_jobs().await;
    settle(&world).await;
    let serial = leaf(&issued).serial().to_hex();
    assert_eq!(listed(&complete_crl(&world, pki.issuing).await), BTreeMap::from([(serial, 4)]));
    world.stop().await;
}

#[tokio::test]
async fn what_a_hold_of_a_ca_interrupts_goes_on_after_its_release() {
    let world = world().await;
    let (pki, admin) = (world.pki().await, world.identity("keeper", "admin").await);
    world.authority().run_due_jobs().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let serial = leaf(&issued).serial().as_bytes().to_vec();
    let of_ca = format!("{CERT_MANAGER}/ca/internal/{}", pki.issuing);
    let versions = admin.ok(Method::GET, &format!("{of_ca}/ca-certificates"), None).await;
    let path = format!("{of_ca}/certificates/{}", text(&versions, "/0/certId"));
    let hold = json!({"revocationReason": "CERTIFICATE_HOLD"});
    admin.ok(Method::POST, &format!("{path}/revoke"), Some(&hold)).await;
    // Long enough for the responder's renewal to come up meanwhile.
    world.clock.advance_seconds(4 * DAY);
    world.authority().run_due_jobs().await;
    admin.ok(Method::POST, &format!("{path}/release"), Some(&json!({}))).await;
    for day in 0..10 {
        world.authority().run_due_jobs().await;
        assert_eq!(ocsp(&world, pki.issuing, &serial).await, CertStatus::Good, "day {day}");
        world.clock.advance_seconds(DAY);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_ca_that_is_renewed_after_its_end_takes_its_crl_up_again() {
    let world = world().await;
    let (pki, admin) = (world.pki().await, world.identity("keeper", "admin").await);
    let asked = json!({"notAfter": world.date_in_days(40), "parentCaId": pki.root});
    let ca = world.intermediate_ca("short", KeyAlgorithm::EcP256, &asked).await;
    let off = json!({"autoRenewalEnabled": false});
    admin.ok(Method::PATCH, &format!("{CERT_MANAGER}/ca/internal/{ca}/auto-renewal"), Some(&off)).await;
    for _ in 0..15 {
        world.clock.advance_seconds(3 * DAY);
        world.authority().run_due_jobs().await;
    }
    let last = complete_crl(&world, ca).await;
    assert!(last.next_update().unwrap() > world.now_seconds() + 1_000 * DAY, "no other was to come");
    admin.ok(Method::POST, &format!("{CERT_MANAGER}/ca/internal/{ca}/renew"), Some(&json!({"type": "existing"}))).await;
    world.authority().run_due_jobs().await;
    let next = complete_crl(&world, ca).await;
    assert!(next.number() > last.number());
    assert!(next.next_update().unwrap() <= world.now_seconds() + 7 * DAY);
    world.stop().await;
}

#[tokio::test]
async fn a_short_lived_certificate_needs_no_revocation_and_points_nowhere() {
    let world = world().await;
    let pki = world.pki().await;
    let base = json!({"caId": pki.issuing, "certificatePolicyId": pki.template, "noRevAvailBelow": "8d"});
    let profile = world.profile(&base).await;
    let pointers = |issued: &Value| {
        let certificate = leaf(issued);
        let it = certificate.extensions();
        (it.no_rev_avail, it.crl_distribution_points.len(), it.ocsp.len(), it.ca_issuers.len())
    };
    let short = world.issue(profile, &json!({"attributes": {"commonName": "www.acme.test", "ttl": "7d"}})).await;
    assert_eq!(pointers(&short), (true, 0, 0, 1));
    let long = world.issue(profile, &json!({"attributes": {"commonName": "www.acme.test", "ttl": "8d"}})).await;
    assert_eq!(pointers(&long), (false, 1, 1, 1));
    let path = format!("{CERT_MANAGER}/ca/internal/{}", pki.issuing);
    let off = json!({"configuration": {"isOcspEnabled": false, "disableManagedCrlDistributionPointUrl": true,
        "crlDistributionPointUrls": ["http://mirror.acme.test/issuing.crl"]}});
    world.admin().ok(Method::PATCH, &path, Some(&off)).await;
    let switched = world.issue(pki.profile, &json!({})).await;
    assert_eq!(pointers(&switched), (false, 1, 0, 1));
    assert_eq!(leaf(&switched).extensions().crl_distribution_points, ["http://mirror.acme.test/issuing.crl"]);
    world.stop().await;
}

#[tokio::test]
async fn a_revocation_on_one_node_is_said_by_the_other_and_published_once() {
    let Some(url) = crate::postgres::server_url("a_revocation_on_one_node_is_said_by_the_other_and_published_once")
    else {
        return;
    };
    let first = World::builder().setting("repository_url", REPOSITORY).postgres(&url).start().await;
    let second = first.another_node("node-2").await;
    let pki: Pki = first.pki().await;
    first.authority().run_due_jobs().await;
    let issued = first.issue(pki.profile, &json!({})).await;
    let serial = leaf(&issued).serial().as_bytes().to_vec();
    assert_eq!(ocsp(&second, pki.issuing, &serial).await, CertStatus::Good);
    revoked(&first, &issued, "KEY_COMPROMISE").await;
    assert!(matches!(ocsp(&second, pki.issuing, &serial).await, CertStatus::Revoked { .. }), "at once");
    let before = complete_crl(&second, pki.issuing).await.number().unwrap();
    first.clock.advance_seconds(2);
    let (one, other) = (first.authority(), second.authority());
    tokio::join!(one.run_due_jobs(), other.run_due_jobs());
    let after = complete_crl(&second, pki.issuing).await;
    // A second publication in the same second would have the next number.
    assert!(after.number().unwrap() > before);
    assert_eq!(
        (after.number().unwrap(), after.entry_count()),
        (first.now_seconds(), 1),
        "published once by one of the two"
    );
    let now = Timestamp::from_seconds(first.now_seconds());
    assert!(after.this_update() <= now.as_seconds());
    second.stop().await;
    first.stop().await;
}
