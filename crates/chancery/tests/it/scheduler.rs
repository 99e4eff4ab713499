//! Renewal by the server itself, by a clock that the test moves; nobody waits.
//!
//! ```text
//! root ── issuing ── leaf ─due→ leaf′ ─due→ leaf″ …
//! (none) ─────────── self-signed ─due→ self-signed′
//! ```
//!
//! Verified: a certificate is renewed at its due second and not one second earlier, with all that carries over; its own
//! settings win over the profile's and go on to its successors; minutes-lived ones renew again and again; what was due while
//! the server was down is caught up with, the nearest end first; a refusal or fault stands on the certificate, in the audit
//! log, the metrics and the list of overdue renewals, is tried again, recovers, and is given up in the end; certificates that
//! are revoked, switched off or deleted are left alone. On PostgreSQL: a thousand renewals on two nodes happen once each, and
//! a node that was paused past the end of its lease writes nothing.

use std::collections::HashSet;

use chancery_model::certificate::RenewalSettings;
use chancery_model::job::{Fence, JobKey, JobKind};
use chancery_model::{CertificateId, Timestamp};
use chancery_pkix::KeyAlgorithm as K;
use chancery_store::{Change, Conflict, Location, Store, StoreError, Write};
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, Pki, Session, World, certification_request, merged, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const DAY: i64 = 86_400;

fn path(id: &str, rest: &str) -> String {
    format!("{CERT_MANAGER}/certificates/{id}{rest}")
}

async fn shown(session: &Session, id: &str) -> Value {
    session.ok(Method::GET, &path(id, ""), None).await["certificate"].clone()
}

fn seconds(time: &Value) -> i64 {
    Timestamp::parse_date(time.as_str().unwrap_or_else(|| panic!("{time} is no time"))).unwrap().as_seconds()
}

async fn due(world: &World, id: &str) -> i64 {
    seconds(&shown(world.operator(), id).await["renewalDueAt"])
}

/// Moves the clock to a second and lets everything be done that is due then.
async fn arrive(world: &World, second: i64) {
    world.clock.advance_seconds(second - world.now_seconds());
    world.authority().run_due_jobs().await;
}

/// A profile that renews by itself: at 67 % of the life, jitter 1 s; `changes` replace whole keys.
async fn renewing(world: &World, pki: &Pki, changes: &Value) -> Uuid {
    let api = json!({"autoRenew": true, "renewAt": {"fraction": 0.67}, "renewJitter": "1s"});
    let base = json!({"caId": pki.issuing, "certificatePolicyId": pki.template, "apiConfig": api});
    world.profile(&merged(base, changes)).await
}

async fn issue(world: &World, profile: Uuid, ttl: &str) -> String {
    let body = json!({"attributes": {"commonName": "www.acme.test", "ttl": ttl}});
    text(&world.issue(profile, &body).await, "/certificate/certificateId")
}

async fn successor(world: &World, id: &str) -> Option<String> {
    shown(world.operator(), id).await["renewedByCertificateId"].as_str().map(str::to_owned)
}

/// Nothing more becomes of this line of renewals.
async fn switch_off(world: &World, id: &str) {
    world.operator().ok(Method::PATCH, &path(id, "/config"), Some(&json!({"enableAutoRenewal": false}))).await;
}

async fn audited(world: &World, event: &str, id: &str) -> Vec<Value> {
    let entries = format!("/api/v1/audit-logs?event={event}&objectId={id}");
    let entries = world.auditor().ok(Method::GET, &entries, None).await;
    let mut entries = entries["auditLogs"].as_array().unwrap().clone();
    entries.sort_by_key(|entry| entry["sequence"].as_i64());
    entries
}

async fn forecast(world: &World, query: &str) -> Value {
    world.auditor().ok(Method::GET, &format!("{CERT_MANAGER}/renewals/forecast{query}"), None).await
}

async fn metric(world: &World, name: &str) -> u64 {
    let answer = world.anonymous().raw(Method::GET, "/metrics", &[], Vec::new()).await;
    let metrics = answer.text().await.unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {metrics}"));
    line.trim().parse().unwrap()
}

fn public_key(pem: &str) -> Vec<u8> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    pem.parse_x509().unwrap().public_key().raw.to_vec()
}

async fn public_key_of(world: &World, id: &str) -> Vec<u8> {
    let pem = world.operator().ok(Method::GET, &path(id, "/certificate"), None).await;
    public_key(&text(&pem, "/certificate"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewal_comes_at_the_due_second_and_not_one_second_earlier() {
    let world = World::start().await;
    let pki = world.pki().await;
    let own = json!({"issuerType": "self-signed", "caId": null});
    for profile in [renewing(&world, &pki, &json!({})).await, renewing(&world, &pki, &own).await] {
        let metadata = json!([{"key": "team", "value": "platform"}]);
        let attributes = json!({"commonName": "www.acme.test", "ttl": "30d", "altNames":
            [{"type": "dns_name", "value": "www.acme.test"}, {"type": "dns_name", "value": "api.acme.test"}]});
        let issued = world.issue(profile, &json!({"attributes": attributes, "metadata": metadata})).await;
        let id = text(&issued, "/certificate/certificateId");
        let due = due(&world, &id).await;
        let start = world.now_seconds();
        assert!((0..=1).contains(&(start + 30 * DAY * 67 / 100 - due)), "{due}");

        arrive(&world, due - 1).await;
        assert_eq!(successor(&world, &id).await, None);
        arrive(&world, due).await;
        let new_id = successor(&world, &id).await.expect("a successor");
        let (old, new) = (shown(world.operator(), &id).await, shown(world.operator(), &new_id).await);
        assert_eq!(old["status"], "active");
        assert_eq!(old["renewalDueAt"], Value::Null);
        for field in
            ["commonName", "altNames", "keyUsages", "extendedKeyUsages", "keyAlgorithm", "metadata", "profileId"]
        {
            assert_eq!(old[field], new[field], "{field}");
        }
        assert_eq!(new["renewedFromCertificateId"], json!(id));
        assert_eq!((seconds(&new["createdAt"]), seconds(&new["notAfter"])), (due, due + 30 * DAY - 1));
        let next = seconds(&new["renewalDueAt"]);
        assert!((0..=1).contains(&(due + 30 * DAY * 67 / 100 - next)), "{next}");
        assert_ne!(public_key_of(&world, &id).await, public_key_of(&world, &new_id).await, "a new key");

        // The operator who requested the old one has the new one's key.
        let key = world.operator().ok(Method::GET, &path(&new_id, "/private-key"), None).await;
        assert!(judge::openssl_key_text(key.as_str().unwrap()).contains("256 bit"));
        let latest = format!("{CERT_MANAGER}/certificate-profiles/{profile}/certificates/latest-active-bundle");
        let latest = world.operator().ok(Method::GET, &latest, None).await;
        assert_eq!(latest["serialNumber"], new["serialNumber"]);
        let entries = audited(&world, "certificate.renewed", &new_id).await;
        assert_eq!(entries.len(), 1);
        assert_eq!((&entries[0]["actor"]["type"], &entries[0]["outcome"]), (&json!("system"), &json!("success")));
        assert_eq!(entries[0]["details"]["renewedFrom"], json!(id));

        arrive(&world, due + 60).await;
        assert_eq!(successor(&world, &id).await, Some(new_id.clone()));
        assert_eq!(successor(&world, &new_id).await, None, "renewed once");
        switch_off(&world, &new_id).await;
    }
    assert_eq!(metric(&world, "chancery_renewals_total{outcome=\"renewed\",error=\"\"}").await, 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_a_certificate_win_over_its_profile_and_go_on_to_its_successors() {
    let world = World::start().await;
    let pki = world.pki().await;
    let profile = renewing(&world, &pki, &json!({})).await;
    let mut id = issue(&world, profile, "20d").await;
    let config = json!({"renewAt": {"fraction": 0.5}, "renewJitter": "1s", "revokeSupersededAfter": "2h"});
    world.operator().ok(Method::PATCH, &path(&id, "/config"), Some(&config)).await;
    let settings = shown(world.operator(), &id).await["renewalSettings"].clone();
    let expected = json!({"switchedOff": false, "renewAt": {"fraction": 0.5}, "renewJitter": "1s",
        "revokeSupersededAfter": "2h"});
    assert_eq!(settings, expected);
    for round in 0..3 {
        let from = seconds(&shown(world.operator(), &id).await["createdAt"]);
        let due = due(&world, &id).await;
        assert!((0..=1).contains(&(from + 10 * DAY - due)), "round {round}: {due}");
        arrive(&world, due).await;
        let next = successor(&world, &id).await.expect("a successor");
        assert_eq!(shown(world.operator(), &next).await["renewalSettings"], settings, "round {round}");
        // The superseded one is revoked two hours later to the second, and only that one.
        arrive(&world, due + 2 * 3_600 - 1).await;
        assert_eq!(shown(world.operator(), &id).await["status"], "active");
        arrive(&world, due + 2 * 3_600).await;
        let old = shown(world.operator(), &id).await;
        assert_eq!((&old["status"], &old["revocationReason"]), (&json!("revoked"), &json!(4)));
        assert_eq!(shown(world.operator(), &next).await["status"], "active");
        id = next;
    }

    // `null` follows the profile again, which revokes nothing; the rest of the settings stays.
    world.operator().ok(Method::PATCH, &path(&id, "/config"), Some(&json!({"revokeSupersededAfter": null}))).await;
    let settings = shown(world.operator(), &id).await["renewalSettings"].clone();
    assert_eq!(settings, merged(expected, &json!({"revokeSupersededAfter": null})));
    arrive(&world, due(&world, &id).await).await;
    arrive(&world, world.now_seconds() + DAY).await;
    assert_eq!(shown(world.operator(), &id).await["status"], "active");

    let last = successor(&world, &id).await.expect("a successor");
    let too_long = json!({"renewAt": {"before": "20d"}});
    let (status, answer) = world.operator().patch(&path(&last, "/config"), &too_long).await;
    assert_eq!((status, &answer["code"]), (400, &json!("renewal.lead")), "{answer}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_certificate_is_revoked_as_the_profile_says() {
    let world = World::start().await;
    let pki = world.pki().await;
    let api = json!({"autoRenew": false, "revokeSupersededAfter": "1d"});
    let profile = renewing(&world, &pki, &json!({"apiConfig": api})).await;
    let (id, ending) = (issue(&world, profile, "20d").await, issue(&world, profile, "2h").await);
    for id in [&id, &ending] {
        world.operator().ok(Method::POST, &path(id, "/renew"), Some(&json!({}))).await;
    }
    arrive(&world, world.now_seconds() + DAY).await;
    assert_eq!(shown(world.operator(), &id).await["status"], "revoked");
    assert_eq!(shown(world.operator(), &ending).await["status"], "expired", "what ended by itself is not revoked");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_live_minutes_are_renewed_twenty_times_in_a_row() {
    let world = World::start().await;
    let pki = world.pki().await;
    let profile = renewing(&world, &pki, &json!({})).await;
    let in_days = json!({"apiConfig": {"autoRenew": true, "renewBeforeDays": 30}});
    let in_days = renewing(&world, &pki, &in_days).await;
    for (profile, life) in [(profile, 300), (profile, 60), (in_days, 300)] {
        let mut id = issue(&world, profile, &format!("{life}s")).await;
        for round in 0..20 {
            let certificate = shown(world.operator(), &id).await;
            assert_eq!(seconds(&certificate["notAfter"]) + 1 - seconds(&certificate["createdAt"]), life);
            let due = seconds(&certificate["renewalDueAt"]);
            assert!(due > world.now_seconds() && due < seconds(&certificate["notAfter"]), "round {round}: {due}");
            arrive(&world, due - 1).await;
            assert_eq!(successor(&world, &id).await, None, "round {round}");
            arrive(&world, due).await;
            id = successor(&world, &id).await.unwrap_or_else(|| panic!("round {round}: no successor"));
        }
        switch_off(&world, &id).await;
    }
    assert_eq!(metric(&world, "chancery_renewals_total{outcome=\"renewed\",error=\"\"}").await, 60);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_week_of_downtime_the_nearest_end_comes_first() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let profile = renewing(&world, &pki, &json!({})).await;
    let mut patient = Vec::new();
    for _ in 0..40 {
        let id = issue(&world, profile, "9d").await;
        patient.push(id);
    }
    // These end while the server is down, and were recorded last.
    let mut urgent = Vec::new();
    for _ in 0..10 {
        urgent.push(issue(&world, profile, "4d").await);
    }
    world.down_for(7 * DAY).await;
    world.authority().run_due_jobs().await;
    let mut order = Vec::new();
    for id in patient.iter().chain(&urgent) {
        let new = successor(&world, id).await.expect("caught up with");
        let new = shown(world.operator(), &new).await;
        assert_eq!(seconds(&new["createdAt"]), world.now_seconds());
        let entry = &audited(&world, "certificate.renewed", &text(&new, "/id")).await[0];
        order.push((entry["sequence"].as_i64().unwrap(), urgent.contains(id)));
    }
    order.sort_unstable();
    let last_urgent = order.iter().rposition(|(_, urgent)| *urgent).unwrap();
    // Sixteen are under way at once, so that many may overtake.
    assert!(last_urgent < 10 + 16, "an urgent renewal was number {last_urgent} of {}", order.len());
    world.stop().await;
}

/// Tightens the template so that no name fits, or loosens it again.
async fn permit(world: &World, pki: &Pki, names: &str) {
    let template = format!("{CERT_MANAGER}/certificate-policies/{}", pki.template);
    let rules = json!({"sans": [{"type": "dns_name", "allowed": [names]}]});
    world.admin().ok(Method::PATCH, &template, Some(&rules)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tightened_template_refuses_says_the_rule_and_recovers() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let profile = renewing(&world, &pki, &json!({})).await;
    let id = issue(&world, profile, "10d").await;
    permit(&world, &pki, "api.acme.test").await;
    arrive(&world, due(&world, &id).await).await;
    let old = shown(world.operator(), &id).await;
    assert_eq!(old["renewedByCertificateId"], Value::Null);
    let message = text(&old, "/renewalError");
    assert!(message.contains("www.acme.test") && message.contains("api.acme.test"), "{message}");
    assert!(old["renewalDueAt"].is_string(), "it is still to be renewed");
    let refused = audited(&world, "certificate.renewal-refused", &id).await;
    assert_eq!((refused.len(), &refused[0]["outcome"]), (1, &json!("denied")));
    assert!(refused[0]["details"].to_string().contains("dns_name"), "{}", refused[0]);
    let failed = audited(&world, "certificate.renewal-failed", &id).await;
    assert_eq!(failed.len(), 1);
    let details = &failed[0]["details"];
    assert_eq!((&failed[0]["outcome"], &details["type"]), (&json!("failure"), &json!("TEMPLATE_VALIDATION_FAILED")));
    assert_eq!((&details["attempt"], &details["message"]), (&json!(1), &json!(message)));
    assert_eq!(details["violations"][0]["rule"], "sans.dns_name.allowed");
    let first_wait = seconds(&details["nextTry"]) - world.now_seconds();
    assert!((240..=360).contains(&first_wait), "{first_wait}");
    let name = "chancery_renewals_total{outcome=\"refused\",error=\"TEMPLATE_VALIDATION_FAILED\"}";
    assert_eq!((metric(&world, name).await, metric(&world, "chancery_renewals_overdue").await), (1, 1));
    let overdue = forecast(&world, "").await;
    assert_eq!((&overdue["overdueCount"], &overdue["overdue"][0]["certificateId"]), (&json!(1), &json!(id)));
    assert_eq!(overdue["overdue"][0]["renewalError"], json!(message));
    assert_eq!(overdue["overdue"][0]["dueAt"], old["renewalDueAt"]);
    assert_eq!(overdue["overdue"][0]["nextTry"], details["nextTry"]);
    let status = world.anonymous().ok(Method::GET, "/api/status", None).await;
    assert!(text(&status, "/scheduler").contains("1 late or failing"), "{status}");

    // Not tried before its time, then tried again, and later and later.
    arrive(&world, seconds(&details["nextTry"]) - 1).await;
    assert_eq!(audited(&world, "certificate.renewal-failed", &id).await.len(), 1);
    arrive(&world, seconds(&details["nextTry"])).await;
    let failed = audited(&world, "certificate.renewal-failed", &id).await;
    assert_eq!((failed.len(), &failed[1]["details"]["attempt"]), (2, &json!(2)));
    let next_try = seconds(&failed[1]["details"]["nextTry"]);
    assert!((480..=720).contains(&(next_try - world.now_seconds())), "{failed:?}");

    world.log_in_administrator().await;
    permit(&world, &pki, "*.acme.test").await;
    arrive(&world, next_try).await;
    let new_id = successor(&world, &id).await.expect("it recovers");
    for id in [&id, &new_id] {
        assert_eq!(shown(world.operator(), id).await["renewalError"], Value::Null);
    }
    assert_eq!(forecast(&world, "").await["overdue"], json!([]));
    assert_eq!(metric(&world, "chancery_renewals_overdue").await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_obstacle_has_its_word_and_the_renewal_recovers() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let profile = renewing(&world, &pki, &json!({})).await;
    let ca = format!("{CERT_MANAGER}/ca/internal/{}", pki.issuing);
    let template = format!("{CERT_MANAGER}/certificate-policies/{}", pki.template);
    let profile_path = format!("{CERT_MANAGER}/certificate-profiles/{profile}");
    let short = json!({"validity": {"max": "5d"}});
    let rsa = json!({"algorithms": {"keyAlgorithm": ["RSA-2048"]}});
    let (disabled, enabled) = (json!({"status": "disabled"}), json!({"status": "active"}));
    for (word, path, obstacle, remedy) in [
        ("CA_INACTIVE", &ca, &disabled, &enabled),
        ("VALIDITY_EXCEEDS_MAXIMUM", &template, &short, &json!({"validity": {"max": "1y"}})),
        ("NOT_ALLOWED_BY_TEMPLATE", &template, &rsa, &json!({"algorithms": null})),
        ("NOT_ELIGIBLE", &profile_path, &json!({"keyCustody": "returnOnce"}), &json!({"keyCustody": "stored"})),
    ] {
        let id = issue(&world, profile, "10d").await;
        world.log_in_administrator().await;
        world.admin().ok(Method::PATCH, path, Some(obstacle)).await;
        arrive(&world, due(&world, &id).await).await;
        let failed = audited(&world, "certificate.renewal-failed", &id).await;
        assert_eq!((failed.len(), &failed[0]["details"]["type"]), (1, &json!(word)), "{word}: {failed:?}");
        let kept = shown(world.operator(), &id).await["renewalError"].clone();
        assert_eq!(kept, failed[0]["details"]["message"], "{word}");
        let outcome = if word == "CA_INACTIVE" { "failed" } else { "refused" };
        let name = format!("chancery_renewals_total{{outcome=\"{outcome}\",error=\"{word}\"}}");
        assert_eq!(metric(&world, &name).await, 1, "{word}");

        world.log_in_administrator().await;
        world.admin().ok(Method::PATCH, path, Some(remedy)).await;
        arrive(&world, seconds(&failed[0]["details"]["nextTry"])).await;
        let new_id = successor(&world, &id).await.unwrap_or_else(|| panic!("{word}: it does not recover"));
        switch_off(&world, &new_id).await;
        assert_eq!(shown(world.operator(), &id).await["renewalError"], Value::Null, "{word}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_is_given_up_thirty_days_after_the_end() {
    let world = World::start().await;
    let pki = world.pki().await;
    let profile = renewing(&world, &pki, &json!({})).await;
    let id = issue(&world, profile, "10d").await;
    let end = seconds(&shown(world.operator(), &id).await["notAfter"]);
    permit(&world, &pki, "api.acme.test").await;
    arrive(&world, end + 30 * DAY).await;
    assert_eq!(forecast(&world, "").await["overdueCount"], 1, "still tried");
    arrive(&world, end + 31 * DAY).await;
    let failed = audited(&world, "certificate.renewal-failed", &id).await;
    assert_eq!((failed.len(), &failed[1]["details"]["nextTry"]), (2, &Value::Null));
    let kept = text(&shown(world.operator(), &id).await, "/renewalError");
    assert!(kept.starts_with("The server stopped trying") && kept.contains("api.acme.test"), "{kept}");
    assert_eq!(forecast(&world, "").await["overdueCount"], 0);
    arrive(&world, end + 60 * DAY).await;
    assert_eq!(audited(&world, "certificate.renewal-failed", &id).await.len(), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_from_a_csr_is_renewed_over_its_key_where_the_profile_allows_it() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let allowing = renewing(&world, &pki, &json!({"allowKeyReuse": true})).await;
    let forbidding = renewing(&world, &pki, &json!({})).await;
    let (csr, _) = certification_request("www.acme.test", &["api.acme.test"], K::EcP256);
    let body = json!({"csr": csr, "attributes": {"ttl": "10d"}});
    let mut id = text(&world.issue(allowing, &body).await, "/certificate/certificateId");
    let other = text(&world.issue(forbidding, &body).await, "/certificate/certificateId");
    assert_eq!(shown(world.operator(), &other).await["renewalDueAt"], Value::Null, "nothing to renew it with");
    let key = public_key_of(&world, &id).await;
    let first = id.clone();
    for _ in 0..3 {
        arrive(&world, due(&world, &id).await).await;
        id = successor(&world, &id).await.expect("a successor");
        assert_eq!(public_key_of(&world, &id).await, key);
        let new = shown(world.operator(), &id).await;
        assert_eq!((&new["hasPrivateKey"], &new["altNames"]), (&json!(false), &json!("www.acme.test,api.acme.test")));
    }
    // Forbidden from now on: refused, and said so.
    let profile = format!("{CERT_MANAGER}/certificate-profiles/{allowing}");
    world.log_in_administrator().await;
    world.admin().ok(Method::PATCH, &profile, Some(&json!({"allowKeyReuse": false}))).await;
    arrive(&world, due(&world, &id).await).await;
    assert!(text(&shown(world.operator(), &id).await, "/renewalError").contains("allowKeyReuse"));
    assert_ne!(first, id);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_deleted_switched_off_or_renewed_by_hand_is_left_alone() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let profile = renewing(&world, &pki, &json!({})).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(issue(&world, profile, "10d").await);
    }
    let [revoked, deleted, off, by_hand, put_off] = ids.as_slice() else { panic!("five certificates") };
    let reason = json!({"revocationReason": "CESSATION_OF_OPERATION"});
    world.operator().ok(Method::POST, &path(revoked, "/revoke"), Some(&reason)).await;
    world.log_in_administrator().await;
    world.admin().ok(Method::DELETE, &path(deleted, ""), None).await;
    world.operator().ok(Method::PATCH, &path(off, "/config"), Some(&json!({"enableAutoRenewal": false}))).await;
    let renewed = world.operator().ok(Method::POST, &path(by_hand, "/renew"), Some(&json!({}))).await;
    let day_before = json!({"renewBeforeDays": 1});
    world.operator().ok(Method::PATCH, &path(put_off, "/config"), Some(&day_before)).await;
    let due_of_successor = due(&world, &text(&renewed, "/certificateId")).await;
    arrive(&world, due_of_successor).await;
    for id in [revoked, off, put_off] {
        let left = shown(world.operator(), id).await;
        assert_eq!((&left["renewedByCertificateId"], &left["renewalError"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(successor(&world, by_hand).await, Some(text(&renewed, "/certificateId")));
    assert!(
        successor(&world, &text(&renewed, "/certificateId")).await.is_some(),
        "the successor by hand renews by itself"
    );
    let settings = shown(world.operator(), off).await["renewalSettings"].clone();
    assert_eq!(settings["switchedOff"], true);

    arrive(&world, due(&world, put_off).await).await;
    assert!(successor(&world, put_off).await.is_some());
    let successor_in_days = shown(world.operator(), &successor(&world, put_off).await.unwrap()).await;
    assert_eq!(successor_in_days["renewBeforeDays"], 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_comes_off_hold_is_due_again() {
    let world = World::start().await;
    let pki = world.pki().await;
    let profile = renewing(&world, &pki, &json!({})).await;
    let hold = json!({"revocationReason": "CERTIFICATE_HOLD"});
    let (early, late) = (issue(&world, profile, "10d").await, issue(&world, profile, "10d").await);
    let days = json!({"renewBeforeDays": 2});
    world.operator().ok(Method::PATCH, &path(&early, "/config"), Some(&days)).await;
    let planned = due(&world, &early).await;
    for id in [&early, &late] {
        world.operator().ok(Method::POST, &path(id, "/revoke"), Some(&hold)).await;
        assert_eq!(shown(world.operator(), id).await["renewalDueAt"], Value::Null);
    }
    world.operator().ok(Method::POST, &path(&early, "/release"), None).await;
    let again = shown(world.operator(), &early).await;
    assert_eq!((&again["renewBeforeDays"], seconds(&again["renewalDueAt"])), (&json!(2), planned));
    arrive(&world, planned - 1).await;
    assert_eq!((successor(&world, &early).await, successor(&world, &late).await), (None, None));
    arrive(&world, planned).await;
    assert!(successor(&world, &early).await.is_some());
    assert_eq!(successor(&world, &late).await, None, "still on hold, though its time has come");
    world.operator().ok(Method::POST, &path(&late, "/release"), None).await;
    world.authority().run_due_jobs().await;
    assert!(successor(&world, &late).await.is_some(), "made up for at once");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_begins_to_renew_reaches_certificates_by_their_next_renewal() {
    let world = World::start().await;
    let pki = world.pki().await;
    let id = issue(&world, pki.profile, "10d").await;
    assert_eq!(shown(world.operator(), &id).await["renewalDueAt"], Value::Null);
    let profile = format!("{CERT_MANAGER}/certificate-profiles/{}", pki.profile);
    let api = json!({"enrollmentType": "api", "apiConfig": {"autoRenew": true}});
    world.admin().ok(Method::PATCH, &profile, Some(&api)).await;
    let renewed = world.operator().ok(Method::POST, &path(&id, "/renew"), Some(&json!({}))).await;
    let renewed = text(&renewed, "/certificateId");
    arrive(&world, due(&world, &renewed).await).await;
    assert!(successor(&world, &renewed).await.is_some());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_forecast_counts_by_day_and_pages_what_is_overdue() {
    let world = World::start().await;
    let pki = world.pki().await;
    // The world begins at noon: whole days later are noon as well.
    let api = json!({"autoRenew": true, "renewBeforeDays": 5});
    let profile = renewing(&world, &pki, &json!({"apiConfig": api})).await;
    for ttl in ["10d", "10d", "10d", "30d"] {
        issue(&world, profile, ttl).await;
    }
    let found = forecast(&world, "").await;
    let days = found["days"].as_array().unwrap();
    assert_eq!((days.len(), &days[0]["date"]), (90, &json!("2026-01-15")));
    for (day, it) in days.iter().enumerate() {
        let due = match day {
            5 => 3,
            25 => 1,
            _ => 0,
        };
        assert_eq!(it["due"], due, "{it}");
    }
    assert_eq!((&found["overdue"], &found["overdueCount"]), (&json!([]), &json!(0)));
    assert_eq!(forecast(&world, "?days=366").await["days"].as_array().unwrap().len(), 366);
    let short = forecast(&world, "?days=6").await;
    assert_eq!(short["days"].as_array().unwrap()[5], json!({"date": "2026-01-20", "due": 3}));
    for wrong in ["?days=0", "?days=367", "?days=soon", "?limit=101"] {
        let (status, answer) = world.auditor().get(&format!("{CERT_MANAGER}/renewals/forecast{wrong}")).await;
        assert_eq!(status, 422, "{wrong}: {answer}");
    }

    permit(&world, &pki, "api.acme.test").await;
    arrive(&world, world.now_seconds() + 6 * DAY).await;
    let mut overdue = HashSet::new();
    let mut query = "?limit=2".to_owned();
    for expected in [2, 1] {
        let page = forecast(&world, &query).await;
        assert_eq!(page["overdueCount"], 3);
        let found = page["overdue"].as_array().unwrap();
        assert_eq!(found.len(), expected);
        overdue.extend(found.iter().map(|it| text(it, "/certificateId")));
        query = format!("?limit=2&cursor={}", page["nextCursor"].as_str().unwrap_or_default());
    }
    assert_eq!((overdue.len(), query.as_str()), (3, "?limit=2&cursor="));
    world.stop().await;
}

/// A world on PostgreSQL; where there is none, a run in CI fails and another says what it left out.
async fn on_postgres(story: &str) -> Option<World> {
    let Ok(url) = std::env::var("CHANCERY_TEST_POSTGRES_URL") else {
        assert!(std::env::var_os("CI").is_none(), "CI must set CHANCERY_TEST_POSTGRES_URL; scripts/test does");
        eprintln!("left out, because CHANCERY_TEST_POSTGRES_URL is not set: scheduler::{story}");
        return None;
    };
    Some(World::builder().postgres(&url).start().await)
}

/// How many certificates of the profile were renewed; none has two successors, and no successor two predecessors.
pub async fn renewed_once(world: &World, profile: Uuid) -> usize {
    let project = world.auditor().ok(Method::GET, "/api/v1/projects", None).await;
    let search = format!("/api/v1/projects/{}/certificates/search", text(&project, "/projects/0/id"));
    let (mut old, mut successors, mut cursor) = (HashSet::new(), HashSet::new(), Value::Null);
    loop {
        let body = json!({"limit": 500, "profileIds": [profile], "cursor": cursor.as_str().unwrap_or_default()});
        let page = world.auditor().ok(Method::POST, &search, Some(&body)).await;
        for certificate in page["certificates"].as_array().unwrap() {
            match certificate["renewedByCertificateId"].as_str() {
                Some(by) => assert!(successors.insert(by.to_owned()), "{by} is the successor of two"),
                None => assert!(old.insert(text(certificate, "/renewedFromCertificateId")), "renewed twice"),
            }
        }
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(old.len(), successors.len());
    successors.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_renewals_on_two_nodes_happen_once_each() {
    let Some(world) = on_postgres("a_thousand_renewals_on_two_nodes_happen_once_each").await else { return };
    let pki = world.pki().await;
    let other = world.another_node("node-2").await;
    let profile = renewing(&world, &pki, &json!({})).await;
    let mut issuing = tokio::task::JoinSet::new();
    for number in 0..50 {
        let session = if number % 2 == 0 { world.operator() } else { other.operator() }.clone();
        issuing.spawn(async move {
            let body = json!({"profileId": profile, "attributes": {"commonName": "www.acme.test", "ttl": "10d"}});
            for _ in 0..20 {
                session.ok(Method::POST, &format!("{CERT_MANAGER}/certificates"), Some(&body)).await;
            }
        });
    }
    issuing.join_all().await;
    world.clock.advance_seconds(7 * DAY);
    let (here, there) = (world.authority(), other.authority());
    // A node that finds the others faster stops looking, and its own loop may take up the rest: the second round waits for it.
    for _ in 0..2 {
        tokio::join!(here.run_due_jobs(), there.run_due_jobs());
    }
    let renewed = [here.renewal_counters().renewed(), there.renewal_counters().renewed()];
    assert_eq!(renewed[0] + renewed[1], 1_000, "{renewed:?}");
    assert!(renewed.iter().all(|count| *count > 0), "both nodes did a part: {renewed:?}");

    assert_eq!(renewed_once(&world, profile).await, 1_000);
    assert_eq!(forecast(&world, "").await["overdueCount"], 0);
    other.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_paused_past_its_lease_writes_nothing() {
    let Some(world) = on_postgres("a_node_that_was_paused_past_its_lease_writes_nothing").await else { return };
    let pki = world.pki().await;
    let other = world.another_node("node-2").await;
    let profile = renewing(&world, &pki, &json!({})).await;
    let id = issue(&world, profile, "10d").await;
    let due = due(&world, &id).await;

    // A third node takes the job a moment before the two others look, and is paused.
    let url = world.setting("database_url").unwrap().to_owned();
    let paused = Store::open(&Location::Postgres { url }, "node-3").await.unwrap();
    let certificate: CertificateId = id.parse().unwrap();
    let key = JobKey { kind: JobKind::RenewCertificate, object: certificate.as_uuid() };
    let job = paused.reader().job(key).await.unwrap().unwrap();
    assert_eq!(job.due_at.as_seconds(), due);
    let at = |second| Timestamp::from_seconds(second);
    let claim = Change::ClaimJob { key, expected_token: job.token, now: at(due), lease_until: at(due + 120) };
    paused.commit(Write::default().with(claim.clone())).await.unwrap();
    assert_eq!(paused.commit(Write::default().with(claim)).await, Err(StoreError::Conflict(Conflict::Stale)));

    for (second, renewed) in [(due, false), (due + 119, false), (due + 120, true)] {
        world.clock.advance_seconds(second - world.now_seconds());
        tokio::join!(async { world.authority().run_due_jobs().await }, async {
            other.authority().run_due_jobs().await
        });
        assert_eq!(successor(&world, &id).await.is_some(), renewed, "at {}", second - due);
    }

    // It wakes up and would write what it has: a failure, a success, another due time.
    let fence = Fence { key, token: job.token + 1 };
    let later = at(due + 500);
    for first in [
        Change::FinishJob { fence, next: None },
        Change::FinishJob { fence, next: Some(later) },
        Change::RetryJob { fence, due_at: later, error: "late".to_owned() },
        Change::ExtendLease { fence, lease_until: later },
    ] {
        let error = Change::SetRenewalError { id: certificate, error: Some("late".to_owned()), at: later };
        let settings = Change::ConfigureRenewal {
            id: certificate,
            renew_before_days: None,
            due_at: Some(later),
            settings: Some(RenewalSettings { switched_off: true, ..RenewalSettings::default() }),
            at: later,
        };
        let write = Write::default().with(first).with(error).with(settings);
        assert_eq!(paused.commit(write).await, Err(StoreError::Conflict(Conflict::Stale)));
    }
    let old = shown(world.operator(), &id).await;
    assert_eq!((&old["renewalError"], &old["renewalDueAt"]), (&Value::Null, &Value::Null));
    assert_eq!(audited(&world, "certificate.renewed", &successor(&world, &id).await.unwrap()).await.len(), 1);
    let of_profile = format!("{CERT_MANAGER}/certificate-profiles/{profile}/certificates");
    let all = world.operator().ok(Method::GET, &of_profile, None).await;
    assert_eq!(all["certificates"].as_array().unwrap().len(), 2);
    paused.close().await;
    other.stop().await;
    world.stop().await;
}
