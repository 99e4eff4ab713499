//! The same write sent twice.

use serde_json::json;

use crate::world::{World, id};

const CERTIFICATES: &str = "/api/v1/cert-manager/certificates";

#[tokio::test]
async fn the_same_key_and_body_give_the_same_answer() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let body = json!({ "profileId": setup.profile, "attributes": { "commonName": "a.acme.com" } });
    let send = |body, key: &'static str| {
        world.call("POST", CERTIFICATES).token(&world.admin).header("Idempotency-Key", key).json(body).send()
    };
    let first = send(&body, "k1").await.ok();
    let second = send(&body, "k1").await;
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(second.ok(), first);
    assert_ne!(send(&body, "k2").await.ok()["certificateRequestId"], first["certificateRequestId"]);
    let other = json!({ "profileId": setup.profile, "attributes": { "commonName": "b.acme.com" } });
    assert_eq!(send(&other, "k1").await.error(409, "Conflict")["code"], "idempotency.mismatch");
    send(&body, "has space").await.error(422, "ValidationFailure");
    let list = world.get("/api/v2/workspace/default/certificates").await.ok();
    assert_eq!(list["totalCount"], 2);
}

#[tokio::test]
async fn parallel_tries_with_one_key_issue_one_certificate() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let body = json!({ "profileId": setup.profile, "attributes": { "commonName": "a.acme.com" } });
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let request = http::Request::post(CERTIFICATES)
            .header("authorization", format!("Bearer {}", world.admin))
            .header("content-type", "application/json")
            .header("idempotency-key", "parallel")
            .body(axum::body::Body::from(body.to_string()))
            .unwrap();
        let router = world.router.clone();
        tries.spawn(async move {
            let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
            let status = response.status();
            let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
            let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            answer["certificate"]["certificateId"].as_str().unwrap().to_owned()
        });
    }
    let ids: std::collections::HashSet<_> = tries.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1);
    let list = world.get("/api/v2/workspace/default/certificates").await.ok();
    assert_eq!(list["totalCount"], 1);
}

#[tokio::test]
async fn every_caller_has_keys_of_its_own() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let operator = world.identity("operator").await;
    let body = json!({ "profileId": setup.profile, "attributes": { "commonName": "a.acme.com" } });
    let mut serials = std::collections::HashSet::new();
    for token in [&world.admin, &operator] {
        let call = world.call("POST", CERTIFICATES).token(token).header("Idempotency-Key", "same").json(&body);
        serials.insert(call.send().await.ok()["certificate"]["serialNumber"].to_string());
    }
    assert_eq!(serials.len(), 2);
}

#[tokio::test]
async fn a_key_that_is_returned_once_is_not_repeated() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let profile = json!({ "slug": "once", "caId": setup.issuing, "certificatePolicyId": setup.template,
        "keyCustody": "returnOnce", "defaults": { "ttlDays": 1 } });
    let profile =
        id(&world.post("/api/v1/cert-manager/certificate-profiles", &profile).await.ok()["certificateProfile"]);
    let body = json!({ "profileId": profile, "attributes": { "commonName": "a.acme.com" } });
    let send =
        || world.call("POST", CERTIFICATES).token(&world.admin).header("Idempotency-Key", "once").json(&body).send();
    let first = send().await.ok();
    assert!(first["certificate"]["privateKey"].is_string());
    let second = send().await.ok();
    assert!(second["certificate"].get("privateKey").is_none());
    assert_eq!(second["certificate"]["certificateId"], first["certificate"]["certificateId"]);
    let bundle = format!("{CERTIFICATES}/{}/bundle", first["certificate"]["certificateId"].as_str().unwrap());
    assert!(world.get(&bundle).await.ok()["privateKey"].is_null());
}

#[tokio::test]
async fn a_refused_write_may_be_mended_and_sent_again_under_its_key() {
    let world = World::new().await;
    let send = |body: serde_json::Value| {
        let call = world.call("POST", "/api/v1/cert-manager/certificate-policies").token(&world.admin);
        call.header("Idempotency-Key", "template-1").json(&body).send()
    };
    send(json!({ "name": "t", "preset": "no-such-preset" })).await.error(400, "BadRequest");
    let made = send(json!({ "name": "t", "preset": "tls-server" })).await.ok();
    assert_eq!(send(json!({ "name": "t", "preset": "tls-server" })).await.ok(), made);
    let list = world.get("/api/v1/cert-manager/certificate-policies").await.ok();
    assert_eq!(list["totalCount"], 1);
}
