//! `Idempotency-Key` on writes: the same call twice is one deed with one answer.
//!
//! ```text
//! root ── issuing ── template ── stored and returnOnce profiles; operators, an administrator
//! ```
//!
//! Verified: 20 parallel calls give one certificate and one answer; another body is a conflict; keys belong to their
//! caller and live a day, also across a restart; a returnOnce key is not repeated; other writes keep their keys too; a
//! refused call frees its key.

use std::collections::HashSet;

use chancery_pkix::KeyAlgorithm;
use chancery_testkit::world::{CERT_MANAGER, Session, World, certification_request, text};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::refusals::{CERTIFICATES, count};

const HEADER: &str = "idempotency-key";

/// Status, whether the answer is a repeated one, and the body.
async fn keyed(session: &Session, method: Method, path: &str, key: &str, body: &Value) -> (u16, bool, Value) {
    let headers = [("content-type", "application/json"), (HEADER, key)];
    let response = session.raw(method, path, &headers, body.to_string().into_bytes()).await;
    let repeated = response.headers().get("idempotency-replayed").is_some();
    let status = response.status().as_u16();
    (status, repeated, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

async fn issued(session: &Session, key: &str, body: &Value) -> Value {
    let (status, _, answer) = keyed(session, Method::POST, CERTIFICATES, key, body).await;
    assert_eq!(status, 200, "{answer:#}");
    answer
}

/// The same call many times at once.
async fn at_once(session: &Session, path: &'static str, key: &'static str, body: &Value) -> Vec<(u16, bool, Value)> {
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let (session, body) = (session.clone(), body.clone());
        calls.spawn(async move { keyed(&session, Method::POST, path, key, &body).await });
    }
    calls.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_calls_at_once_give_one_certificate_and_one_answer() {
    let world = World::start().await;
    let pki = world.pki().await;
    let without_csr = json!({"profileId": pki.profile, "attributes": {"commonName": "www.acme.test"}});
    let csr = certification_request("csr.acme.test", &[], KeyAlgorithm::EcP256).0;
    let with_csr = json!({"profileId": pki.profile, "csr": csr});
    let alone = json!({"profileId": pki.self_signed, "attributes": {"commonName": "self.acme.test"}});
    for (index, (key, body)) in [("one", without_csr), ("two", with_csr), ("three", alone)].into_iter().enumerate() {
        let answers = at_once(world.operator(), CERTIFICATES, key, &body).await;
        let first = &answers[0].2;
        for (status, _, answer) in &answers {
            assert_eq!((*status, answer), (200, first));
        }
        let later = keyed(world.operator(), Method::POST, CERTIFICATES, key, &body).await;
        assert_eq!(later, (200, true, first.clone()));
        assert_eq!(count(world.operator()).await, index as u64 + 1);
    }
    let requests = format!("{CERTIFICATES}/certificate-requests/search");
    assert_eq!(world.auditor().ok(Method::POST, &requests, None).await["totalCount"], 3);
    let log = world.auditor().ok(Method::GET, "/api/v1/audit-logs?event=certificate.issued", None).await;
    assert_eq!(log["auditLogs"].as_array().unwrap().len(), 3);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_renewals_at_once_give_one_successor() {
    let world = World::start().await;
    let pki = world.pki().await;
    let first = world.issue(pki.profile, &json!({})).await;
    let path = format!("{CERTIFICATES}/{}/renew", text(&first, "/certificate/certificateId"));
    let answers = at_once(world.operator(), path.leak(), "again", &json!({})).await;
    for (status, _, answer) in &answers {
        assert_eq!((*status, answer), (200, &answers[0].2));
    }
    assert_eq!(count(world.operator()).await, 2);
    world.stop().await;
}

#[tokio::test]
async fn another_call_with_the_same_key_is_a_conflict() {
    let world = World::start().await;
    let pki = world.pki().await;
    let body = json!({"profileId": pki.profile, "attributes": {"commonName": "www.acme.test"}});
    let first = issued(world.operator(), "key", &body).await;
    let other = json!({"profileId": pki.profile, "attributes": {"commonName": "api.acme.test"}});
    let evaluate = format!("{CERTIFICATES}/evaluate");
    for (path, body) in [(CERTIFICATES, &other), (evaluate.as_str(), &body)] {
        let (status, _, answer) = keyed(world.operator(), Method::POST, path, "key", body).await;
        assert_eq!((status, &answer["code"]), (409, &json!("idempotency.mismatch")), "{path} {answer:#}");
    }
    assert_eq!(issued(world.operator(), "key", &body).await, first);
    let slash = format!("{CERTIFICATES}/");
    assert_eq!(keyed(world.operator(), Method::POST, &slash, "key", &body).await.2, first, "the same route");
    for bad in ["a b", "ä", "", &"k".repeat(256)] {
        let (status, _, answer) = keyed(world.operator(), Method::POST, CERTIFICATES, bad, &body).await;
        assert_eq!((status, &answer["error"]), (422, &json!("ValidationFailure")), "{bad:?}");
        assert_eq!(answer["message"][0]["path"], json!(["Idempotency-Key"]));
    }
    issued(world.operator(), &"k".repeat(255), &other).await;
    assert_eq!(count(world.operator()).await, 2);
    world.stop().await;
}

#[tokio::test]
async fn every_caller_has_keys_of_its_own() {
    let world = World::start().await;
    let pki = world.pki().await;
    let body = json!({"profileId": pki.profile, "attributes": {"commonName": "www.acme.test"}});
    let second = world.identity("second", "operator").await;
    let mut ids = HashSet::new();
    for session in [world.operator(), &second, world.admin()] {
        ids.insert(text(&issued(session, "shared", &body).await, "/certificate/certificateId"));
    }
    assert_eq!(ids.len(), 3);
    // Nor does a key speak for somebody who may not ask.
    assert_eq!(keyed(world.auditor(), Method::POST, CERTIFICATES, "shared", &body).await.0, 403);
    assert_eq!(keyed(world.anonymous(), Method::POST, CERTIFICATES, "shared", &body).await.0, 401);
    let other = world.other_project_admin().await;
    assert_eq!(keyed(&other, Method::POST, CERTIFICATES, "shared", &body).await.0, 404);
    world.stop().await;
}

#[tokio::test]
async fn a_key_lives_a_day_and_survives_a_restart() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let body = json!({"profileId": pki.profile, "attributes": {"commonName": "www.acme.test"}});
    let first = issued(world.operator(), "daily", &body).await;
    world.restart().await;
    assert_eq!(issued(world.operator(), "daily", &body).await, first);
    world.clock.advance_seconds(23 * 3_600);
    assert_eq!(issued(world.operator(), "daily", &body).await, first);
    world.clock.advance_seconds(2 * 3_600);
    // The certificate still bears the key, so a late repetition is told rather than issued a second time.
    let (status, _, answer) = keyed(world.operator(), Method::POST, CERTIFICATES, "daily", &body).await;
    assert_eq!((status, &answer["code"]), (400, &json!("idempotency.old")), "{answer:#}");
    assert_eq!(count(world.operator()).await, 1);
    world.stop().await;
}

#[tokio::test]
async fn a_key_that_is_returned_once_is_not_repeated() {
    let world = World::start().await;
    let pki = world.pki().await;
    let once = json!({"caId": pki.issuing, "certificatePolicyId": pki.template, "keyCustody": "returnOnce"});
    let once = world.profile(&once).await;
    let body = json!({"profileId": once, "attributes": {"commonName": "www.acme.test"}});
    let first = issued(world.operator(), "once", &body).await;
    assert!(text(&first, "/certificate/privateKey").contains("PRIVATE KEY"));
    let (status, repeated, second) = keyed(world.operator(), Method::POST, CERTIFICATES, "once", &body).await;
    assert_eq!((status, repeated), (200, true));
    let mut without = first.clone();
    without["certificate"].as_object_mut().unwrap().remove("privateKey");
    assert_eq!(second, without);
    let id = text(&first, "/certificate/certificateId");
    assert_eq!(world.operator().get(&format!("{CERTIFICATES}/{id}/private-key")).await.0, 404);
    // A stored key is the caller's to read anyway, so it is repeated.
    let body = json!({"profileId": pki.profile, "attributes": {"commonName": "www.acme.test"}});
    let first = issued(world.operator(), "stored", &body).await;
    assert_eq!(issued(world.operator(), "stored", &body).await, first);
    assert!(first["certificate"]["privateKey"].is_string());
    let path = format!("{CERTIFICATES}/{}/renew", id);
    let renewed = keyed(world.operator(), Method::POST, &path, "renewed", &json!({})).await;
    assert_eq!(renewed.0, 200, "{:#}", renewed.2);
    assert!(renewed.2["privateKey"].is_string(), "the only place where it is shown");
    let again = keyed(world.operator(), Method::POST, &path, "renewed", &json!({})).await;
    assert!(again.1 && again.2.get("privateKey").is_none(), "{:#}", again.2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_writes_keep_their_keys_too() {
    let world = World::start().await;
    let pki = world.pki().await;
    let writes: [(&'static str, Value, &str); 5] = [
        (
            "/api/v1/cert-manager/certificate-policies",
            json!({"name": "once", "preset": "device"}),
            "/certificatePolicy/id",
        ),
        (
            "/api/v1/cert-manager/certificate-profiles",
            json!({"slug": "once", "caId": pki.issuing, "certificatePolicyId": pki.template, "enrollmentType": "api"}),
            "/certificateProfile/id",
        ),
        ("/api/v1/identities", json!({"name": "once", "role": "operator"}), "/identity/id"),
        (
            "/api/v1/cert-manager/ca/internal",
            json!({"name": "once", "status": "active", "configuration": {"type": "root", "commonName": "Once",
                "keyAlgorithm": "EC_prime256v1", "notAfter": world.date_in_days(30)}}),
            "/id",
        ),
        ("/api/v2/workspace", json!({"projectName": "once"}), "/project/id"),
    ];
    for (path, body, pointer) in &writes {
        let answers = at_once(world.admin(), path, path, body).await;
        let mut ids = HashSet::new();
        for (status, _, answer) in &answers {
            match status {
                200 => drop(ids.insert(text(answer, pointer))),
                409 => assert_eq!(answer["code"], "idempotency.in_progress", "{answer:#}"),
                other => panic!("{path}: {other} {answer:#}"),
            }
        }
        assert_eq!(ids.len(), 1, "{path}");
        let (status, repeated, answer) = keyed(world.admin(), Method::POST, path, path, body).await;
        assert_eq!((status, repeated, ids.contains(&text(&answer, pointer))), (200, true, true), "{path}");
        let mut other = body.clone();
        other["description"] = json!("another body");
        assert_eq!(keyed(world.admin(), Method::POST, path, path, &other).await.0, 409, "{path}");
    }
    let identities = world.auditor().ok(Method::GET, "/api/v1/identities?limit=100", None).await;
    let once = |list: &Value| list.as_array().unwrap().iter().filter(|it| it["identity"]["name"] == "once").count();
    assert_eq!(once(&identities["identities"]), 1, "{identities:#}");
    let template = format!("{CERT_MANAGER}/certificate-policies/{}", pki.template);
    let change = json!({"description": "changed"});
    let first = keyed(world.admin(), Method::PATCH, &template, "patch", &change).await;
    let again = keyed(world.admin(), Method::PATCH, &template, "patch", &change).await;
    assert_eq!((first.0, again.1, &first.2), (200, true, &again.2));
    assert_eq!(first.2["certificatePolicy"]["version"], again.2["certificatePolicy"]["version"]);
    world.stop().await;
}

#[tokio::test]
async fn a_refused_call_frees_its_key() {
    let world = World::start().await;
    let pki = world.pki().await;
    let evil = json!({"profileId": pki.profile, "attributes": {"commonName": "www.evil.test"}});
    for _ in 0..2 {
        let (status, repeated, answer) = keyed(world.operator(), Method::POST, CERTIFICATES, "mend", &evil).await;
        assert_eq!((status, repeated), (400, false), "{answer:#}");
    }
    let good = json!({"profileId": pki.profile, "attributes": {"commonName": "www.acme.test"}});
    issued(world.operator(), "mend", &good).await;
    assert_eq!(count(world.operator()).await, 1);
    world.stop().await;
}
