//! The life of CAs: renewed over the same key, rolled over to a new one, by themselves or by hand, and taken over from
//! elsewhere.
//!
//! ```text
//! root v1 ── issuing v1 ── leaf          old name, new key:  root ─┬─ issuing v1 (key 1) ── leaf, CRL of key 1
//! root v2 ══ issuing v2 ══ leaf, too                                └─ issuing v2 (key 2) ── leaf, CRL of key 2
//!
//! openssl's root (key, last CRL no. 42, revoked leaf) ── imported ── leaf, CRL no. 43 with the same entry
//! ```
//!
//! Verified: certificates from before a renewal verify under the new chain and those from before a roll over under their
//! own; every key signs the CRL of what it issued; the server renews at the due second, says why it could not and tries
//! again; a CA signed elsewhere is renewed there; who signs is settable; CRL and OCSP settings both ways; an imported CA
//! revokes nobody less, and continues its CRL numbers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_model::CaId;
use chancery_pkix::ocsp::{BasicOcspResponse, CertId, CertStatus, HashAlgorithm, OcspRequest};
use chancery_pkix::{Certificate, CertificateList, KeyAlgorithm as K};
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, Session, World, certification_request, id_at, merged, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::openssl::OpensslCa;
use crate::refusals::project_of;
use crate::strangers::chain_of;

const DAY: i64 = 86_400;

fn ca_path(id: Uuid, rest: &str) -> String {
    format!("{CERT_MANAGER}/ca/internal/{id}{rest}")
}

async fn refused(session: &Session, call: (Method, &str, &Value), code: &str) -> Value {
    let (method, path, body) = call;
    let (status, answer) = session.send(method, path, Some(body)).await;
    assert!((400..500).contains(&status) && answer["code"] == code, "{path} {body}: {status} {answer}");
    answer
}

/// Lasting sessions: a person's would end while the clock moves by months.
async fn administrator(world: &World) -> Session {
    world.identity("renewer", "admin").await
}

fn parsed(answer: &Value) -> Certificate {
    Certificate::from_pem(&text(answer, "/certificate")).unwrap()
}

/// PEM blocks, the certificate first and the root last.
fn line_of(answer: &Value) -> Vec<String> {
    chain_of(&json!({"certificate": {
        "certificate": answer["certificate"], "certificateChain": answer["certificateChain"],
    }}))
}

async fn versions(admin: &Session, ca: Uuid) -> Vec<Value> {
    admin.ok(Method::GET, &ca_path(ca, "/ca-certificates"), None).await.as_array().unwrap().clone()
}

/// The published CRLs of a CA: each with its list.
async fn crls(world: &World, admin: &Session, ca: Uuid) -> Vec<(Value, CertificateList)> {
    world.authority().run_due_jobs().await;
    let all = admin.ok(Method::GET, &ca_path(ca, "/crls"), None).await;
    let read = |one: &Value| (one.clone(), CertificateList::from_pem(&text(one, "/crl")).unwrap());
    all.as_array().unwrap().iter().map(read).collect()
}

fn lists(crl: &CertificateList, serial: &str) -> bool {
    crl.entries().any(|entry| hex::encode(entry.serial) == serial)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_over_the_same_key_leaves_everything_below_valid() {
    let world = World::start().await;
    let (pki, admin) = (world.pki().await, administrator(&world).await);
    let leaf =
        chain_of(&world.issue(pki.profile, &json!({"attributes": {"commonName": "www.acme.test", "ttl": "1y"}})).await);
    world.clock.advance_seconds(100 * DAY);
    let mut renewed = Vec::new();
    for ca in [pki.root, pki.issuing] {
        let before = admin.ok(Method::GET, &ca_path(ca, "/certificate"), None).await;
        let now = admin.ok(Method::POST, &ca_path(ca, "/renew"), Some(&json!({"type": "existing"}))).await;
        let (old, new) = (parsed(&before), parsed(&now));
        assert_eq!((now["version"].as_i64(), new.spki_der()), (Some(2), old.spki_der()));
        assert_eq!(new.subject_der(), old.subject_der());
        assert_eq!(new.extensions().subject_key_id, old.extensions().subject_key_id);
        assert_eq!(new.extensions().basic_constraints, old.extensions().basic_constraints);
        let life = |it: &Certificate| it.validity().not_after - it.validity().not_before;
        assert!(life(&new) - life(&old) < 600, "as long as before, give or take the moment it is set back");
        assert!(new.validity().not_after > old.validity().not_after + 99 * DAY);
        assert_eq!(versions(&admin, ca).await.len(), 2);
        let read = admin.ok(Method::GET, &ca_path(ca, ""), None).await;
        assert_eq!(read["configuration"]["activeCaCertId"], now["certId"]);
        assert_eq!(read["configuration"]["notAfter"], now["notAfter"]);
        renewed.push(now);
    }
    let (root, issuing) = (text(&renewed[0], "/certificate"), text(&renewed[1], "/certificate"));
    judge::openssl_verifies(&leaf, world.now_seconds());
    judge::openssl_verifies(&[&leaf[0], &leaf[1], &root], world.now_seconds());
    judge::openssl_verifies(&[&leaf[0], &issuing, &root], world.now_seconds());
    let next = chain_of(&world.issue(pki.profile, &json!({})).await);
    assert_eq!((next[1].trim(), next[2].trim()), (issuing.trim(), root.trim()));
    judge::openssl_verifies(&next, world.now_seconds());
    judge::webpki_verifies(&next, "www.acme.test", world.now_seconds());
    // One key has one line of CRLs, whatever the number of its certificates.
    assert_eq!(crls(&world, &admin, pki.issuing).await.len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_keeps_within_its_dates_and_its_parent() {
    let mut world = World::start().await;
    let (pki, admin) = (world.pki().await, administrator(&world).await);
    let renew = ca_path(pki.issuing, "/renew");
    let asked = world.date_in_days(700);
    let exact = admin.ok(Method::POST, &renew, Some(&json!({"type": "existing", "notAfter": asked}))).await;
    assert_eq!(exact["notAfter"], asked);
    for (body, code) in [
        (json!({"type": "existing", "notAfter": world.date_in_days(3651)}), "ca.outlives_parent"),
        (json!({"type": "existing", "notAfter": world.date_in_days(-1)}), "ca.not_after"),
        (json!({"type": "existing", "notAfter": "soon"}), "schema"),
        (json!({"type": "existing", "keyAlgorithm": "EC_secp384r1"}), "schema"),
        (json!({"type": "other"}), "schema"),
    ] {
        refused(&admin, (Method::POST, &renew, &body), code).await;
    }
    assert_eq!(world.operator().post(&renew, &json!({})).await.1["error"], "PermissionDenied");
    admin.ok(Method::PATCH, &ca_path(pki.issuing, ""), Some(&json!({"status": "disabled"}))).await;
    refused(&admin, (Method::POST, &renew, &json!({})), "ca.not_active").await;
    admin.ok(Method::PATCH, &ca_path(pki.issuing, ""), Some(&json!({"status": "active"}))).await;
    // Close to the parent's end a renewal reaches as far as the parent; at its end there is none.
    world.clock.advance_seconds(3_600 * DAY);
    world.log_in_administrator().await;
    let other = world
        .intermediate_ca("late", K::EcP256, &json!({"notAfter": world.date_in_days(40), "parentCaId": pki.root}))
        .await;
    let clamped = admin.ok(Method::POST, &ca_path(other, "/renew"), Some(&json!({}))).await;
    world.clock.advance_seconds(30 * DAY);
    let clamped_again = admin.ok(Method::POST, &ca_path(other, "/renew"), Some(&json!({}))).await;
    assert_ne!(clamped["notAfter"], clamped_again["notAfter"]);
    let root = admin.ok(Method::GET, &ca_path(pki.root, "/certificate"), None).await;
    assert_eq!(clamped_again["notAfter"], root["notAfter"]);
    refused(&admin, (Method::POST, &ca_path(other, "/renew"), &json!({})), "ca.outlives_parent").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_roll_over_each_key_stands_by_what_it_signed() {
    let world = World::start().await;
    let (pki, admin) = (world.pki().await, administrator(&world).await);
    let old = world.issue(pki.profile, &json!({})).await;
    let first = admin.ok(Method::GET, &ca_path(pki.issuing, "/certificate"), None).await;
    let body = json!({"type": "new-key", "keyAlgorithm": "EC_secp384r1"});
    let second = admin.ok(Method::POST, &ca_path(pki.issuing, "/renew"), Some(&body)).await;
    let new = world.issue(pki.profile, &json!({})).await;
    let (before, after) = (parsed(&first), parsed(&second));
    assert_eq!(before.subject_der(), after.subject_der());
    assert_ne!(before.spki_der(), after.spki_der());
    assert_ne!(before.extensions().subject_key_id, after.extensions().subject_key_id);
    let read = admin.ok(Method::GET, &ca_path(pki.issuing, ""), None).await;
    assert_eq!(read["configuration"]["keyAlgorithm"], "EC_secp384r1");
    let ids: Vec<Value> = versions(&admin, pki.issuing).await.iter().map(|it| it["certId"].clone()).collect();
    assert_eq!(ids, [first["certId"].clone(), second["certId"].clone()]);

    for (issued, issuer) in [(&old, &before), (&new, &after)] {
        let chain = chain_of(issued);
        assert_eq!(Certificate::from_pem(&chain[1]).unwrap().der(), issuer.der());
        let leaf = Certificate::from_pem(&chain[0]).unwrap();
        assert_eq!(leaf.extensions().authority_key_id.as_deref(), Some(issuer.extensions().subject_key_id.as_slice()));
        judge::openssl_verifies(&chain, world.now_seconds());
        // The chain is the same whenever it is asked for.
        let path = format!("{CERT_MANAGER}/certificates/{}/certificate", text(issued, "/certificate/certificateId"));
        let read = world.operator().ok(Method::GET, &path, None).await;
        assert_eq!(read["certificateChain"], issued["certificate"]["certificateChain"]);
    }
    let mixed = [chain_of(&old)[0].clone(), chain_of(&new)[1].clone(), chain_of(&new)[2].clone()];
    judge::openssl_refuses(&mixed, world.now_seconds());

    for issued in [&old, &new] {
        let path = format!("{CERT_MANAGER}/certificates/{}/revoke", text(issued, "/certificate/certificateId"));
        world.operator().ok(Method::POST, &path, Some(&json!({"revocationReason": "SUPERSEDED"}))).await;
    }
    world.clock.advance_seconds(10);
    let published = crls(&world, &admin, pki.issuing).await;
    assert_eq!(published.len(), 2, "one for each key");
    for (issued, issuer) in [(&old, &before), (&new, &after)] {
        let own = published.iter().find(|(_, crl)| crl.is_signed_by(&issuer.public_key().unwrap()));
        let (_, crl) = own.expect("each key signs a CRL");
        assert_eq!(crl.authority_key_id(), Some(issuer.extensions().subject_key_id.as_slice()));
        assert_eq!(crl.entry_count(), 1);
        assert!(lists(crl, &text(issued, "/certificate/serialNumber")));
        let said = judge::openssl_refuses_crl_check(&chain_of(issued), &[crl.der().to_vec()], world.now_seconds());
        assert!(said.contains("revoked"), "{said}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_rolls_over_too() {
    let world = World::start().await;
    let (pki, admin) = (world.pki().await, administrator(&world).await);
    let old = chain_of(&world.issue(pki.profile, &json!({})).await);
    let new_root = admin.ok(Method::POST, &ca_path(pki.root, "/renew"), Some(&json!({"type": "new-key"}))).await;
    assert_eq!(new_root["certificateChain"], "");
    judge::openssl_verifies(&[text(&new_root, "/certificate")], world.now_seconds());
    // What stands below moves under the new root when it is renewed itself.
    let same = chain_of(&world.issue(pki.profile, &json!({})).await);
    assert_eq!(same[2], old[2]);
    let issuing = admin.ok(Method::POST, &ca_path(pki.issuing, "/renew"), Some(&json!({"type": "existing"}))).await;
    assert_eq!(line_of(&issuing)[1].trim(), text(&new_root, "/certificate").trim());
    let moved = chain_of(&world.issue(pki.profile, &json!({})).await);
    judge::openssl_verifies(&moved, world.now_seconds());
    judge::openssl_verifies(&[&old[0], &moved[1], &moved[2]], world.now_seconds());
    judge::openssl_verifies(&old, world.now_seconds());
    world.stop().await;
}

/// What the auto-renewal settings of a CA say now.
async fn renewal_of(admin: &Session, ca: Uuid) -> Value {
    admin.ok(Method::GET, &ca_path(ca, "/auto-renewal"), None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_renews_itself_at_the_due_second() {
    let world = World::start().await;
    let (pki, admin) = (world.pki().await, administrator(&world).await);
    let untouched = renewal_of(&admin, pki.issuing).await;
    assert_eq!(
        untouched,
        json!({"autoRenewalEnabled": false, "autoRenewalDaysBeforeExpiry": null, "autoRenewalNewKey": false,
            "lastRenewalStatus": null, "lastRenewalMessage": null, "lastRenewalAt": null, "nextRenewalAt": null})
    );
    let settings = json!({"autoRenewalEnabled": true, "autoRenewalDaysBeforeExpiry": 60});
    let path = ca_path(pki.issuing, "/auto-renewal");
    for bad in [json!({"autoRenewalDaysBeforeExpiry": 0}), json!({"autoRenewalDaysBeforeExpiry": 366})] {
        refused(&admin, (Method::PATCH, &path, &bad), "schema").await;
    }
    let set = admin.ok(Method::PATCH, &path, Some(&settings)).await;
    let end = text(&admin.ok(Method::GET, &ca_path(pki.issuing, "/certificate"), None).await, "/notAfter");
    let seconds = |text: &str| chancery_model::Timestamp::parse_date(text).unwrap().as_seconds();
    let due = seconds(&text(&set, "/nextRenewalAt"));
    assert_eq!(due, seconds(&end) - 60 * DAY);

    world.clock.advance_seconds(due - 1 - world.now_seconds());
    world.authority().run_due_jobs().await;
    assert_eq!(versions(&admin, pki.issuing).await.len(), 1, "one second too early");
    world.clock.advance_seconds(1);
    world.authority().run_due_jobs().await;
    let all = versions(&admin, pki.issuing).await;
    assert_eq!(all.len(), 2);
    assert_eq!(parsed(&all[0]).spki_der(), parsed(&all[1]).spki_der());
    judge::openssl_verifies(&line_of(&all[1]), world.now_seconds());
    let after = renewal_of(&admin, pki.issuing).await;
    assert_eq!(after["lastRenewalStatus"], "success");
    assert_eq!(seconds(&text(&after, "/lastRenewalAt")), due);
    assert_eq!(seconds(&text(&after, "/nextRenewalAt")), seconds(&text(&all[1], "/notAfter")) - 60 * DAY);
    world.authority().run_due_jobs().await;
    assert_eq!(versions(&admin, pki.issuing).await.len(), 2, "once");

    // With a new key each time, where that is asked for; switched off, nothing happens any more.
    let rolling = admin.ok(Method::PATCH, &path, Some(&json!({"autoRenewalNewKey": true}))).await;
    world.clock.advance_seconds(seconds(&text(&rolling, "/nextRenewalAt")) - world.now_seconds());
    world.authority().run_due_jobs().await;
    let all = versions(&admin, pki.issuing).await;
    assert_eq!(all.len(), 3);
    assert_ne!(parsed(&all[1]).spki_der(), parsed(&all[2]).spki_der());
    let off = admin.ok(Method::PATCH, &path, Some(&json!({"autoRenewalEnabled": false}))).await;
    assert_eq!(off["nextRenewalAt"], Value::Null);
    let log = world.auditor().ok(Method::GET, "/api/v1/audit-logs?event=ca.rolled-over&limit=5", None).await;
    assert_eq!(log["auditLogs"][0]["actor"]["type"], "system", "{log}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_renewal_says_why_and_is_tried_again() {
    let world = World::start().await;
    let (pki, admin) = (world.pki().await, administrator(&world).await);
    let path = ca_path(pki.issuing, "/auto-renewal");
    let set = admin.ok(Method::PATCH, &path, Some(&json!({"autoRenewalEnabled": true}))).await;
    let seconds = |text: &str| chancery_model::Timestamp::parse_date(text).unwrap().as_seconds();
    admin.ok(Method::PATCH, &ca_path(pki.root, ""), Some(&json!({"status": "disabled"}))).await;
    let due = seconds(&text(&set, "/nextRenewalAt"));
    world.clock.advance_seconds(due - world.now_seconds());
    let mut waits = Vec::new();
    for attempt in 1..=3 {
        world.authority().run_due_jobs().await;
        let failed = renewal_of(&admin, pki.issuing).await;
        assert_eq!(failed["lastRenewalStatus"], "failed", "{failed}");
        assert!(text(&failed, "/lastRenewalMessage").contains("disabled"), "{failed}");
        let log = world.auditor().ok(Method::GET, "/api/v1/audit-logs?event=ca.renewal-failed&limit=10", None).await;
        assert_eq!(log["auditLogs"].as_array().unwrap().len(), attempt, "{log}");
        let next = seconds(&text(&failed, "/nextRenewalAt"));
        waits.push(next - world.now_seconds());
        world.clock.advance_seconds(next - world.now_seconds());
    }
    assert!(waits[0] >= 40 && waits[0] < waits[1] && waits[1] < waits[2], "{waits:?}");
    admin.ok(Method::PATCH, &ca_path(pki.root, ""), Some(&json!({"status": "active"}))).await;
    world.authority().run_due_jobs().await;
    assert_eq!(renewal_of(&admin, pki.issuing).await["lastRenewalStatus"], "success");
    assert_eq!(versions(&admin, pki.issuing).await.len(), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_that_has_ended_is_given_up() {
    let world = World::start().await;
    let (pki, admin) = (world.pki().await, administrator(&world).await);
    let path = ca_path(pki.issuing, "/auto-renewal");
    admin.ok(Method::PATCH, &path, Some(&json!({"autoRenewalEnabled": true}))).await;
    admin.ok(Method::PATCH, &ca_path(pki.root, ""), Some(&json!({"status": "disabled"}))).await;
    world.clock.advance_seconds(1_826 * DAY);
    world.authority().run_due_jobs().await;
    let ended = renewal_of(&admin, pki.issuing).await;
    assert_eq!((&ended["lastRenewalStatus"], &ended["nextRenewalAt"]), (&json!("failed"), &Value::Null));
    assert_eq!(versions(&admin, pki.issuing).await.len(), 1);
    world.stop().await;
}

/// An intermediate CA of this server whose certificate openssl's root signed.
async fn signed_elsewhere(world: &World, parent: &OpensslCa) -> (Uuid, String) {
    let admin = world.admin();
    let configuration = json!({"type": "intermediate", "commonName": "Branch", "keyAlgorithm": "EC_prime256v1"});
    let ca = world.ca(&json!({"name": "branch", "configuration": configuration})).await;
    let csr = text(&admin.ok(Method::GET, &ca_path(ca, "/csr"), None).await, "/csr");
    let certificate = parent.sign(&csr, "lowest", "20260101000000Z", "20270101000000Z", &[]);
    let body = json!({"certificate": certificate, "certificateChain": parent.certificate()});
    admin.ok(Method::POST, &ca_path(ca, "/import-certificate"), Some(&body)).await;
    (ca, certificate)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_elsewhere_is_renewed_there() {
    let world = World::start().await;
    let admin = world.admin();
    let parent = OpensslCa::root("/O=Elsewhere/CN=Elsewhere Root");
    let (ca, first) = signed_elsewhere(&world, &parent).await;
    let template = world.template(&json!({})).await;
    let profile = world.profile(&json!({"caId": ca, "certificatePolicyId": template})).await;
    let leaf = chain_of(&world.issue(profile, &json!({})).await);
    let answer =
        refused(admin, (Method::POST, &ca_path(ca, "/renew"), &json!({"type": "existing"})), "ca.signed_elsewhere")
            .await;
    assert!(text(&answer, "/message").contains("import-certificate"));
    let enable = json!({"autoRenewalEnabled": true});
    refused(admin, (Method::PATCH, &ca_path(ca, "/auto-renewal"), &enable), "ca.signed_elsewhere").await;

    let csr = text(&admin.ok(Method::GET, &ca_path(ca, "/csr"), None).await, "/csr");
    let import = ca_path(ca, "/import-certificate");
    let with = |certificate: &str| json!({"certificate": certificate, "certificateChain": parent.certificate()});
    refused(admin, (Method::POST, &import, &with(&first)), "ca.has_certificate").await;
    let (stranger, _) = certification_request("Branch", &[], K::EcP256);
    let other_key = parent.sign(&stranger, "lowest", "20260101000000Z", "20300101000000Z", &[]);
    refused(admin, (Method::POST, &import, &with(&other_key)), "certificate.key").await;
    let second = parent.sign(&csr, "lowest", "20260101000000Z", "20300101000000Z", &[]);
    admin.ok(Method::POST, &import, Some(&with(&second))).await;
    let all = versions(admin, ca).await;
    assert_eq!((all.len(), all[1]["version"].as_i64()), (2, Some(2)));
    judge::openssl_verifies(&[&leaf[0], &second, &parent.certificate()], world.now_seconds());
    let next = chain_of(&world.issue(profile, &json!({})).await);
    assert_eq!(next[1].trim(), second.trim());
    judge::openssl_verifies(&next, world.now_seconds());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_is_settable() {
    let world = World::start().await;
    let (pki, admin) = (world.pki().await, world.admin());
    let other = world.root_ca("other-root", K::EcP256).await;
    let signing = ca_path(pki.issuing, "/signing-config");
    assert_eq!(admin.ok(Method::GET, &signing, None).await, Value::Null);
    refused(admin, (Method::PATCH, &signing, &json!({"parentCaId": other})), "not_found").await;
    for (body, code) in [
        (json!({}), "schema"),
        (json!({"type": "internal"}), "ca.signing"),
        (json!({"type": "manual", "parentCaId": other}), "ca.signing"),
        (json!({"type": "venafi", "parentCaId": other}), "ca.signing"),
        (json!({"type": "azure-ad-cs"}), "ca.signing"),
        (json!({"type": "internal", "parentCaId": other, "appConnectionId": Uuid::nil()}), "ca.signing"),
        (json!({"type": "internal", "parentCaId": pki.issuing}), "ca.parent"),
        (json!({"type": "internal", "parentCaId": Uuid::nil()}), "not_found"),
    ] {
        refused(admin, (Method::POST, &signing, &body), code).await;
    }
    let root = ca_path(pki.root, "/signing-config");
    refused(admin, (Method::POST, &root, &json!({"type": "internal", "parentCaId": other})), "ca.root").await;
    let made = admin.ok(Method::POST, &signing, Some(&json!({"type": "internal", "parentCaId": other}))).await;
    assert_eq!(
        (&made["type"], &made["parentCaId"], &made["caId"]),
        (&json!("internal"), &json!(other), &json!(pki.issuing))
    );
    assert_eq!(admin.ok(Method::GET, &signing, None).await, made);
    let renewed = admin.ok(Method::POST, &ca_path(pki.issuing, "/renew"), Some(&json!({}))).await;
    assert_eq!(renewed["parentCaId"], json!(other));
    judge::openssl_verifies(&line_of(&renewed), world.now_seconds());

    let manual = admin.ok(Method::PATCH, &signing, Some(&json!({"type": "manual"}))).await;
    assert_eq!((&manual["id"], &manual["type"], &manual["parentCaId"]), (&made["id"], &json!("manual"), &Value::Null));
    refused(admin, (Method::POST, &ca_path(pki.issuing, "/renew"), &json!({})), "ca.signed_elsewhere").await;

    // A waiting CA gets its certificate from the signer that was named; nobody signs in a circle.
    let configuration = json!({"type": "intermediate", "commonName": "Waiting", "keyAlgorithm": "EC_prime256v1"});
    let waiting = world.ca(&json!({"name": "waiting", "configuration": configuration})).await;
    let of_waiting = ca_path(waiting, "/signing-config");
    admin.ok(Method::POST, &of_waiting, Some(&json!({"type": "internal", "parentCaId": pki.root}))).await;
    let body = json!({"notAfter": world.date_in_days(100)});
    let first = admin.ok(Method::POST, &ca_path(waiting, "/certificate"), Some(&body)).await;
    assert_eq!(first["parentCaId"], json!(pki.root));
    let below = json!({"notAfter": world.date_in_days(90), "parentCaId": waiting});
    let lowest = world.intermediate_ca("lowest", K::EcP256, &below).await;
    refused(admin, (Method::PATCH, &of_waiting, &json!({"parentCaId": lowest})), "ca.parent").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_settings_go_both_ways() {
    let world = World::builder().setting("repository_url", "http://pki.acme.test").start().await;
    let admin = world.admin();
    let configuration = json!({"type": "root", "commonName": "Root", "keyAlgorithm": "EC_prime256v1",
        "notAfter": world.date_in_days(1000), "crlValidity": "2d", "crlPartitions": 2, "deltaCrlInterval": "1h",
        "isOcspEnabled": false, "crlDistributionPointUrls": ["http://mirror.acme.test/root.crl"]});
    let ca = world.ca(&json!({"name": "root", "configuration": configuration})).await;
    let path = ca_path(ca, "");
    let read = admin.ok(Method::GET, &path, None).await["configuration"].clone();
    for (field, expected) in [
        ("crlValidity", json!("2d")),
        ("crlPartitions", json!(2)),
        ("deltaCrlInterval", json!("1h")),
        ("isOcspEnabled", json!(false)),
        ("ocspResponderUrl", Value::Null),
        ("disableManagedCrlDistributionPointUrl", json!(false)),
        ("crlDistributionPointUrls", json!(["http://mirror.acme.test/root.crl"])),
    ] {
        assert_eq!(read[field], expected, "{field}");
    }
    let partitions = async || -> Vec<u64> {
        let published = crls(&world, admin, ca).await;
        published.iter().map(|(shown, _)| shown["partition"].as_u64().unwrap()).collect()
    };
    assert_eq!(partitions().await, [0, 1, 2]);

    // As it was read, with a change; null is the default again.
    let sent = merged(read.clone(), &json!({"crlPartitions": 4, "crlValidity": null, "isOcspEnabled": true}));
    let changed = admin.ok(Method::PATCH, &path, Some(&json!({"configuration": sent}))).await["configuration"].clone();
    assert_eq!((&changed["crlPartitions"], &changed["crlValidity"]), (&json!(4), &json!("7d")));
    assert_eq!(changed["ocspResponderUrl"], format!("http://pki.acme.test/api/v1/cert-manager/ocsp/{ca}"));
    assert_eq!(changed["deltaCrlInterval"], "1h", "left out or sent as it was, it stays");
    assert_eq!(partitions().await, [0, 1, 2, 3, 4]);
    let (shown, crl) = &crls(&world, admin, ca).await[0];
    assert_eq!(shown["url"], format!("http://pki.acme.test/api/v1/cert-manager/crl/{}/der", text(shown, "/id")));
    assert_eq!(crl.next_update().unwrap() - crl.this_update(), 7 * DAY, "the new validity holds at once");
    judge::openssl_crl_verifies(
        crl.der(),
        &text(&admin.ok(Method::GET, &ca_path(ca, "/certificate"), None).await, "/certificate"),
    );
    let older = format!("/api/v1/pki/ca/{ca}");
    assert_eq!(admin.ok(Method::GET, &format!("{older}/crl"), None).await["crl"], shown["crl"]);
    assert_eq!(admin.ok(Method::GET, &format!("{older}/crls"), None).await.as_array().unwrap().len(), 5);

    for (change, code) in [
        (json!({"crlValidity": "59m"}), "ca.crl_validity"),
        (json!({"crlValidity": "often"}), "schema"),
        (json!({"crlPartitions": 257}), "ca.crl_partitions"),
        (json!({"deltaCrlInterval": "30s"}), "ca.delta_crl_interval"),
        (json!({"deltaCrlInterval": "8d"}), "ca.delta_crl_interval"),
        (json!({"crlDistributionPointUrls": ["ldap://acme.test"]}), "ca.crl_urls"),
        (json!({"crlDistributionPointUrls": ["http://a.test/x", "http://A.TEST/x/"]}), "ca.crl_urls"),
        (json!({"commonName": "Other"}), "ca.fixed"),
        (json!({"type": "intermediate"}), "ca.fixed"),
        (json!({"keyAlgorithm": "RSA_2048"}), "ca.fixed"),
        (json!({"notAfter": world.date_in_days(2000)}), "ca.fixed"),
        (json!({"maxPathLength": 3}), "ca.fixed"),
        (json!({"nameConstraints": {"permitted": [{"type": "dns_name", "value": "acme.test"}]}}), "ca.fixed"),
    ] {
        refused(admin, (Method::PATCH, &path, &json!({"configuration": change})), code).await;
        let configuration = merged(configuration.clone(), &change);
        if code != "ca.fixed" {
            let body = json!({"name": "another", "configuration": configuration});
            refused(admin, (Method::POST, &format!("{CERT_MANAGER}/ca/internal"), &body), code).await;
        }
    }
    assert_eq!(admin.ok(Method::GET, &path, None).await["configuration"], changed, "nothing refused was kept");
    world.stop().await;
}

/// An OpenSSL CA with two leaves, one revoked, and its CRL number 42.
struct Legacy {
    ca: OpensslCa,
    good: String,
    revoked: String,
    crl: String,
}

fn serial_of(pem: &str) -> String {
    Certificate::from_pem(pem).unwrap().serial().to_hex()
}

fn legacy() -> Legacy {
    let ca = OpensslCa::root("/C=DE/O=Old Works/CN=Legacy Root");
    let leaf = |name: &str| {
        let (csr, _) = certification_request(name, &[], K::EcP256);
        ca.sign(&csr, "leaf", "20260101000000Z", "20270101000000Z", &[])
    };
    let (good, revoked) = (leaf("good.acme.test"), leaf("revoked.acme.test"));
    ca.revoke(&serial_of(&revoked), "260110120000Z", "keyCompromise");
    let crl = ca.crl("20260112000000Z", "20260201000000Z");
    Legacy { ca, good, revoked, crl }
}

const IMPORT: &str = "/api/v1/cert-manager/ca/internal/import";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_imported_ca_goes_on_where_it_was() {
    let world = World::builder().setting("repository_url", "http://pki.acme.test").start().await;
    let admin = world.admin();
    let old = legacy();
    let (csr, _) = certification_request("high.acme.test", &[], K::EcP256);
    let high = old.ca.sign_numbered(&csr, "F1A2B3C4D5E6F70800");
    let body = json!({"name": "legacy", "certificate": old.ca.certificate(), "privateKey": old.ca.key(),
        "lastCrl": old.crl, "issuedCertificates": [old.good, old.revoked, high], "serialNumbers": ["0B:AD:CA:FE"]});
    let imported = admin.ok(Method::POST, IMPORT, Some(&body)).await;
    assert_eq!(imported.get("warnings"), None, "{imported}");
    assert_eq!((&imported["status"], &imported["configuration"]["type"]), (&json!("active"), &json!("root")));
    assert_eq!(imported["configuration"]["commonName"], "Legacy Root");
    assert_eq!(imported["configuration"]["serialNumber"], serial_of(&old.ca.certificate()));
    let ca = id_at(&imported, "/id");
    refused(admin, (Method::POST, IMPORT, &merged(body.clone(), &json!({"name": "twice"}))), "ca.key_known").await;

    let published = crls(&world, admin, ca).await;
    let (shown, crl) = &published[0];
    assert!(published.len() == 1 && shown["number"].as_i64() > Some(42), "42 was the last: {shown}");
    assert!(lists(crl, &serial_of(&old.revoked)) && !lists(crl, &serial_of(&old.good)));
    judge::openssl_crl_verifies(crl.der(), &old.ca.certificate());
    let shown = judge::openssl_crl_text(crl.der());
    assert!(shown.contains("Key Compromise") && shown.contains("Jan 10 12:00:00 2026"), "{shown}");

    // What it issued is in the inventory as its own, revoked or not, and can be revoked here.
    let search = format!("/api/v1/projects/{}/certificates/search", project_of(admin).await);
    let of = async |serial: &str| {
        let found = admin.ok(Method::POST, &search, Some(&json!({"search": serial}))).await;
        found["certificates"][0].clone()
    };
    let revoked = of(&serial_of(&old.revoked)).await;
    assert_eq!((&revoked["status"], &revoked["caId"]), (&json!("revoked"), &json!(ca)), "{revoked}");
    let good = of(&serial_of(&old.good)).await;
    assert_eq!(good["status"], "active");
    for one in [&good, &of(&serial_of(&high)).await] {
        let path = format!("{CERT_MANAGER}/certificates/{}/revoke", text(one, "/id"));
        admin.ok(Method::POST, &path, Some(&json!({"revocationReason": "SUPERSEDED"}))).await;
    }
    world.clock.advance_seconds(10);
    let (_, crl) = &crls(&world, admin, ca).await[0];
    assert!(lists(crl, &serial_of(&old.revoked)) && lists(crl, &serial_of(&old.good)));
    assert!(lists(crl, "00f1a2b3c4d5e6f70800"), "a number that begins with a one bit stays positive");

    // Leaves name the key identifier that openssl chose, and verify under its own certificate.
    let template = world.template(&json!({})).await;
    let profile = world.profile(&json!({"caId": ca, "certificatePolicyId": template})).await;
    let chain = chain_of(&world.issue(profile, &json!({})).await);
    assert_eq!(chain[1].trim(), old.ca.certificate().trim());
    judge::openssl_verifies(&chain, world.now_seconds());
    let renewed = admin.ok(Method::POST, &ca_path(ca, "/renew"), Some(&json!({}))).await;
    let (before, after) = (Certificate::from_pem(&chain[1]).unwrap(), parsed(&renewed));
    assert_eq!(before.subject_der(), after.subject_der());
    assert_eq!(before.extensions().subject_key_id, after.extensions().subject_key_id);
    judge::openssl_verifies(&[&chain[0], &text(&renewed, "/certificate")], world.now_seconds());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ocsp_knows_what_an_imported_crl_lists_and_nothing_it_does_not() {
    let world = World::builder().setting("repository_url", "http://pki.acme.test").start().await;
    let old = legacy();
    let body =
        json!({"name": "legacy", "certificate": old.ca.certificate(), "privateKey": old.ca.key(), "lastCrl": old.crl});
    let ca = id_at(&world.admin().ok(Method::POST, IMPORT, Some(&body)).await, "/id");
    world.authority().run_due_jobs().await;
    let issuer = Certificate::from_pem(&old.ca.certificate()).unwrap();
    let said = async |certificate: &str| {
        let serial = Certificate::from_pem(certificate).unwrap().serial().to_content_octets();
        let id = CertId::of(HashAlgorithm::Sha1, issuer.subject_der(), &issuer.public_key().unwrap(), &serial).unwrap();
        let request = OcspRequest { requests: vec![id], nonce: None }.to_der();
        let answer = world.authority().ocsp(CaId::from_uuid(ca), &request).await;
        BasicOcspResponse::from_der(&answer.der).unwrap().responses[0].status
    };
    assert!(matches!(said(&old.revoked).await, CertStatus::Revoked { reason: Some(1), .. }));
    assert_eq!(said(&old.good).await, CertStatus::Unknown, "nobody brought it along");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imported_keys_come_in_every_usual_form() {
    let world = World::start().await;
    let admin = world.admin();
    let root = OpensslCa::root("/CN=Old Root");
    let branch = OpensslCa::new("/O=Old/CN=Old Branch");
    branch.install(&root.sign(&branch.csr(), "lowest", "20260101000000Z", "20300101000000Z", &[]));
    let above = root.certificate();

    // PKCS#12 with the chain in it.
    let file = STANDARD.encode(branch.pkcs12(&above, "open sesame"));
    let body =
        json!({"name": "branch", "pkcs12": file, "pkcs12Password": "open sesame", "lastCrlNumber": 7_000_000_000_i64});
    refused(
        admin,
        (Method::POST, IMPORT, &merged(body.clone(), &json!({"pkcs12Password": "open barley"}))),
        "pkcs12.password",
    )
    .await;
    let imported = admin.ok(Method::POST, IMPORT, Some(&body)).await;
    let id = id_at(&imported, "/id");
    assert_eq!(
        (&imported["configuration"]["type"], &imported["configuration"]["parentCaId"]),
        (&json!("intermediate"), &Value::Null)
    );
    assert_eq!(crls(&world, admin, id).await[0].0["number"], 7_000_000_001_i64);
    refused(admin, (Method::POST, &ca_path(id, "/renew"), &json!({})), "ca.signed_elsewhere").await;

    // Encrypted PKCS#8.
    let body = json!({"name": "old-root", "certificate": above, "privateKey": root.encrypted_key("open sesame"),
        "privateKeyPassword": "open sesame"});
    for (wrong, field) in [(json!("open barley"), "privateKeyPassword"), (Value::Null, "privateKey")] {
        let sent = merged(body.clone(), &json!({"privateKeyPassword": wrong}));
        let answer = refused(admin, (Method::POST, IMPORT, &sent), "ca_import.key").await;
        assert!(text(&answer, "/message").starts_with(&format!("{field}:")), "{answer}");
    }
    let imported = admin.ok(Method::POST, IMPORT, Some(&body)).await;
    assert_eq!(imported["warnings"][0]["code"], "ca_import.no_crl");

    // Below a CA that is here now, the chain need not be sent, and it is renewed here.
    let second = OpensslCa::new("/O=Old/CN=Second Branch");
    second.install(&root.sign(&second.csr(), "lowest", "20260101000000Z", "20300101000000Z", &[]));
    let body =
        json!({"name": "second", "certificate": second.certificate(), "privateKey": second.key(), "lastCrlNumber": 0});
    let imported = admin.ok(Method::POST, IMPORT, Some(&body)).await;
    let second = id_at(&imported, "/id");
    let current = admin.ok(Method::GET, &ca_path(second, "/certificate"), None).await;
    judge::openssl_verifies(&line_of(&current), world.now_seconds());
    let renewed = admin.ok(Method::POST, &ca_path(second, "/renew"), Some(&json!({"type": "new-key"}))).await;
    judge::openssl_verifies(&line_of(&renewed), world.now_seconds());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_together_is_not_imported() {
    let world = World::start().await;
    let admin = world.admin();
    let old = legacy();
    let other = OpensslCa::root("/CN=Other Root");
    let root = |changes: Value| {
        merged(
            json!({"name": "new", "certificate": old.ca.certificate(), "privateKey": old.ca.key(), "lastCrl": old.crl}),
            &changes,
        )
    };
    let delta = old.crl.replace("X509 CRL", "CERTIFICATE");
    for (label, body, code) in [
        ("another key", root(json!({"privateKey": other.key()})), "ca_import.key_mismatch"),
        ("no key", root(json!({"privateKey": ""})), "ca_import.key"),
        ("both forms of key", root(json!({"pkcs12": "AAAA"})), "ca_import.key"),
        (
            "garbage for a key",
            root(json!({"privateKey": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"})),
            "ca_import.key",
        ),
        ("garbage for a certificate", root(json!({"certificate": "hello"})), "certificate.pem"),
        ("not base64", json!({"name": "new", "pkcs12": "%%%"}), "ca_import.base64"),
        ("a bad name", root(json!({"name": "New CA"})), "schema"),
        (
            "another CA's CRL",
            root(json!({"lastCrl": other.crl("20260112000000Z", "20260201000000Z")})),
            "ca_import.crl_signature",
        ),
        ("no CRL at all", root(json!({"lastCrl": delta})), "crl.pem"),
        ("a negative number", root(json!({"lastCrlNumber": -1})), "ca_import.crl_number"),
        (
            "somebody else's certificate",
            root(json!({"issuedCertificates": [other.certificate()]})),
            "ca_import.not_issued",
        ),
        ("no serial number", root(json!({"serialNumbers": ["xyz"]})), "ca_import.serial"),
    ] {
        let (status, answer) = admin.post(IMPORT, &body).await;
        assert!((400..500).contains(&status) && answer["code"] == code, "{label}: {status} {answer}");
    }
    assert_eq!(world.operator().post(IMPORT, &root(json!({}))).await.1["error"], "PermissionDenied");
    assert_eq!(
        admin.ok(Method::GET, &format!("{CERT_MANAGER}/ca/internal"), None).await,
        json!([]),
        "nothing was kept"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_sign_is_not_imported() {
    let world = World::start().await;
    let admin = world.admin();
    let (other, stranger) = (OpensslCa::root("/CN=Other Root"), OpensslCa::root("/CN=Stranger"));
    let branch = OpensslCa::new("/CN=Branch");
    let below = |section: &str, start: &str, end: &str, further: &[&str]| {
        other.sign(&branch.csr(), section, start, end, further)
    };
    let (start, end) = ("20260101000000Z", "20300101000000Z");
    let inner = |certificate: String| {
        json!({"name": "new", "certificate": certificate, "certificateChain": other.certificate(),
            "privateKey": branch.key(), "lastCrlNumber": 1})
    };
    for (label, body, code) in [
        ("no CA", inner(below("leaf", start, end, &[])), "certificate.not_ca"),
        ("no right to sign", inner(below("no_sign", start, end, &[])), "certificate.not_ca"),
        ("expired", inner(below("lowest", start, "20260114000000Z", &[])), "certificate.not_ca"),
        ("not yet valid", inner(below("lowest", "20270101000000Z", end, &[])), "certificate.not_ca"),
        ("signed with SHA-1", inner(below("lowest", start, end, &["-md", "sha1"])), "certificate.weak_signature"),
        (
            "a chain that is missing",
            merged(inner(below("lowest", start, end, &[])), &json!({"certificateChain": ""})),
            "certificate.chain",
        ),
        (
            "a chain of another",
            merged(inner(below("lowest", start, end, &[])), &json!({"certificateChain": stranger.certificate()})),
            "certificate.signature",
        ),
    ] {
        let (status, answer) = admin.post(IMPORT, &body).await;
        assert!((400..500).contains(&status) && answer["code"] == code, "{label}: {status} {answer}");
    }
    assert_eq!(
        admin.ok(Method::GET, &format!("{CERT_MANAGER}/ca/internal"), None).await,
        json!([]),
        "nothing was kept"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roots_own_weak_signature_is_a_warning() {
    let world = World::start().await;
    let admin = world.admin();
    // It proves nothing, so SHA-1 there is no reason to refuse, only to say so.
    let weak = OpensslCa::new("/CN=Weak Root");
    let further = ["-selfsign", "-md", "sha1"];
    weak.install(&weak.sign(&weak.csr(), "root", "20260101000000Z", "20300101000000Z", &further));
    let body = json!({"name": "weak", "certificate": weak.certificate(), "privateKey": weak.key(), "lastCrlNumber": 1});
    let imported = admin.ok(Method::POST, IMPORT, Some(&body)).await;
    assert_eq!(imported["warnings"][0]["code"], "certificate.weak_signature", "{imported}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_ca_signs_nothing_more() {
    let world = World::start().await;
    let (pki, admin) = (world.pki().await, world.admin());
    let current = admin.ok(Method::GET, &ca_path(pki.issuing, "/certificate"), None).await;
    let path = |verb: &str| ca_path(pki.issuing, &format!("/certificates/{}/{verb}", text(&current, "/certId")));
    let hold = json!({"revocationReason": "CERTIFICATE_HOLD"});
    admin.ok(Method::POST, &path("revoke"), Some(&hold)).await;
    let body = json!({"profileId": pki.profile, "attributes": {"commonName": "www.acme.test"}});
    assert_eq!(world.operator().post(&format!("{CERT_MANAGER}/certificates"), &body).await.1["code"], "ca.revoked");
    let shown = admin.ok(Method::GET, &ca_path(pki.issuing, "/certificate"), None).await;
    assert_eq!(shown["revocationReason"], 6);
    admin.ok(Method::POST, &path("release"), Some(&json!({}))).await;
    world.issue(pki.profile, &json!({})).await;
    let gone = json!({"revocationReason": "CA_COMPROMISE"});
    let answer = admin.ok(Method::POST, &path("revoke"), Some(&gone)).await;
    assert_eq!(answer["serialNumber"], current["serialNumber"]);
    world.clock.advance_seconds(10);
    let (_, crl) = &crls(&world, admin, pki.root).await[0];
    assert!(lists(crl, &text(&current, "/serialNumber")));
    // Only a new key helps; the same key under another certificate would undo the revocation.
    refused(admin, (Method::POST, &ca_path(pki.issuing, "/renew"), &json!({"type": "existing"})), "ca.revoked").await;
    admin.ok(Method::POST, &ca_path(pki.issuing, "/renew"), Some(&json!({"type": "new-key"}))).await;
    judge::openssl_verifies(&chain_of(&world.issue(pki.profile, &json!({})).await), world.now_seconds());
    world.stop().await;
}
