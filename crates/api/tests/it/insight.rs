//! Rules before they are saved, many renewals by one search, searches that people keep, a certificate's history and the
//! figures by algorithm: as clients see them.

use serde_json::{Value, json};

use crate::world::{World, csr, id};

const CERTIFICATES: &str = "/api/v1/cert-manager/certificates";
const POLICIES: &str = "/api/v1/cert-manager/certificate-policies";
const VIEWS: &str = "/api/v1/cert-manager/saved-views";

#[tokio::test]
async fn a_change_of_a_policy_is_rehearsed_before_it_is_made() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let short = json!({ "profileId": setup.profile, "attributes": { "commonName": "a.acme.com", "ttl": "30d" } });
    world.post(CERTIFICATES, &short).await.ok();
    let long = world.issue(&setup, "b.acme.com").await;
    let path = format!("{POLICIES}/rehearse");
    let body = json!({ "policyId": setup.template, "validity": { "max": "60d" } });
    let done = world.post(&path, &body).await.ok();
    assert_eq!((&done["examined"], &done["unreadable"], &done["truncated"]), (&json!(2), &json!(0), &json!(false)));
    assert_eq!((&done["refusedTotal"], done["refused"].as_array().unwrap().len()), (&json!(1), 1));
    let refused = &done["refused"][0];
    assert_eq!(refused["certificateRequestId"], long["certificateRequestId"]);
    assert_eq!((&refused["commonName"], &refused["profileId"]), (&json!("b.acme.com"), &json!(setup.profile)));
    let violation = &refused["violations"][0];
    assert_eq!((&violation["rule"], &violation["field"]), (&json!("validity.max"), &json!("ttl")));
    assert_eq!(violation["suggestion"]["action"], "set");
    // null clears a block; nothing is saved; the changed policy is the one that was rehearsed.
    let body = json!({ "policyId": setup.template, "validity": null, "days": 1 });
    assert_eq!(world.post(&path, &body).await.ok()["refusedTotal"], 0);
    let saved = world.get(&format!("{POLICIES}/{}", setup.template)).await.ok();
    assert_eq!(saved["certificatePolicy"]["validity"]["max"], "365d");
    // Without a policy: everything that the project has issued.
    let body = json!({ "preset": "tls-server", "validity": { "max": "10d" } });
    assert_eq!(world.post(&path, &body).await.ok()["refusedTotal"], 2);

    let issues = world
        .post(&path, &json!({ "days": 0, "sans": [{ "type": "dns_name" }] }))
        .await
        .error(422, "ValidationFailure");
    let places: Vec<&Value> = issues["message"].as_array().unwrap().iter().map(|it| &it["path"]).collect();
    assert_eq!(places, [&json!(["days"]), &json!(["sans", 0])]);
    let nobody = "00000000-0000-7000-8000-000000000000";
    world.post(&path, &json!({ "policyId": nobody })).await.error(404, "NotFound");
    let both = json!({ "policyId": setup.template, "preset": "tls-server" });
    assert_eq!(world.post(&path, &both).await.error(400, "BadRequest")["code"], "template.preset");
    let other = world.other_project().await;
    let body = json!({ "policyId": setup.template });
    world.call("POST", &path).token(&other).json(&body).send().await.error(404, "NotFound");
}

#[tokio::test]
async fn rules_are_tried_with_attributes_and_with_a_csr() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let auditor = world.identity("auditor").await;
    let tried =
        async |body: &Value| world.call("POST", &format!("{POLICIES}/try")).token(&auditor).json(body).send().await;
    let rules = json!([{ "type": "common_name", "allowed": ["*.acme.com"] }]);
    let mut body =
        json!({ "preset": "tls-server", "subject": rules, "attributes": { "commonName": "a.acme.com", "ttl": "1d" } });
    let good = tried(&body).await.ok();
    assert_eq!(good["verdict"], "issued");
    assert!(
        good["fields"].as_array().unwrap().iter().any(|it| it["field"] == "altNames[0]" && it["source"] == "derived")
    );
    body["attributes"]["commonName"] = json!("a.other.com");
    let bad = tried(&body).await.ok();
    assert_eq!(bad["verdict"], "refused");
    let failed: Vec<&Value> = bad["rules"].as_array().unwrap().iter().filter(|it| it["verdict"] == "fail").collect();
    assert_eq!((failed.len(), &failed[0]["rule"]), (1, &json!("subject.common_name.allowed")));
    let body = json!({ "policyId": setup.template, "csr": csr("c.acme.com"), "attributes": { "ttl": "1d" } });
    assert_eq!(tried(&body).await.ok()["verdict"], "issued");
    let body = json!({ "policyId": setup.template, "csr": "no CSR", "attributes": { "ttl": "1d" } });
    tried(&body).await.error(400, "BadRequest");
    let wrong = json!({ "attributes": { "commonName": 7 } });
    let issues = tried(&wrong).await.error(422, "ValidationFailure");
    assert_eq!(issues["message"][0]["path"], json!(["attributes", "commonName"]), "the place is named");
}

#[tokio::test]
async fn what_a_search_finds_is_renewed_after_a_preview() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    for name in ["a.old.acme.com", "b.old.acme.com"] {
        world.issue(&setup, name).await;
    }
    let fixed = json!({ "profileId": setup.profile, "csr": csr("c.old.acme.com"), "attributes": { "ttl": "24h" } });
    world.post(CERTIFICATES, &fixed).await.ok();
    let once = json!({ "slug": "once", "caId": setup.issuing, "certificatePolicyId": setup.template,
        "defaults": { "ttlDays": 90 }, "keyCustody": "returnOnce" });
    let once = world.post("/api/v1/cert-manager/certificate-profiles", &once).await.ok();
    let body =
        json!({ "profileId": once["certificateProfile"]["id"], "attributes": { "commonName": "d.old.acme.com" } });
    world.post(CERTIFICATES, &body).await.ok();

    let path = format!("{CERTIFICATES}/bulk-renew");
    let mut body = json!({ "search": { "commonName": "*.old.acme.com" } });
    let preview = world.post(&path, &body).await.ok();
    assert_eq!(
        (&preview["matching"], &preview["renewable"], &preview["hasMore"]),
        (&json!(4), &json!(3), &json!(false))
    );
    assert_eq!(preview["leftOut"][0]["count"], 1);
    assert!(preview["leftOut"][0]["reason"].as_str().unwrap().contains("keyCustody"));
    assert!(preview.get("renewed").is_none());
    body["confirm"] = preview["confirm"].clone();
    let auditor = world.identity("auditor").await;
    world.call("POST", &path).token(&auditor).json(&body).send().await.error(403, "PermissionDenied");
    let operator = world.identity("operator").await;
    let refused = world.call("POST", &path).token(&operator).json(&body).send().await.error(400, "BadRequest");
    assert_eq!(refused["code"], "renewal.confirm");
    let call = || world.call("POST", &path).token(&world.admin).header("idempotency-key", "renew-1").json(&body);
    let done = call().send().await.ok();
    assert_eq!((&done["renewed"], &done["pending"], &done["failed"]), (&json!(3), &json!(0), &json!([])));
    assert_eq!(call().send().await.ok(), done, "the same key, the same answer");
    let all = world.post(&path, &json!({ "search": { "status": "active" } })).await.error(400, "BadRequest");
    assert_eq!(all["code"], "renewal.unconditional");
    let all = json!({ "search": {}, "revocationReason": "SUPERSEDED" });
    let all = world.post(&format!("{CERTIFICATES}/bulk-revoke"), &all).await.error(400, "BadRequest");
    assert_eq!(all["code"], "revocation.unconditional");
    let events = world.get("/api/v1/audit-logs?event=certificate.bulk-renewed").await.ok();
    assert_eq!(events["auditLogs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_person_keeps_a_search_and_a_machine_reads_what_is_shared() {
    let world = World::new().await;
    let body = json!({ "name": "Ends soon", "query": "view=expiring&search=acme" });
    let own = world.post(VIEWS, &body).await.ok();
    assert_eq!((&own["savedView"]["shared"], &own["savedView"]["own"]), (&json!(false), &json!(true)));
    assert_eq!(world.post(VIEWS, &body).await.error(400, "BadRequest")["code"], "inventory.view_name");
    let shared = json!({ "name": "Ours", "query": "", "shared": true });
    let shared = id(&world.post(VIEWS, &shared).await.ok()["savedView"]);
    let listed = world.get(VIEWS).await.ok();
    assert_eq!(listed["savedViews"].as_array().unwrap().len(), 2);
    let auditor = world.identity("auditor").await;
    let listed = world.call("GET", VIEWS).token(&auditor).send().await.ok();
    assert_eq!((&listed["savedViews"][0]["name"], &listed["savedViews"][0]["own"]), (&json!("Ours"), &json!(false)));
    let path = format!("{VIEWS}/{shared}");
    world.call("POST", VIEWS).token(&auditor).json(&body).send().await.error(403, "ForbiddenError");
    world.call("DELETE", &path).token(&auditor).send().await.error(403, "ForbiddenError");
    let other = world.other_project().await;
    world.call("DELETE", &path).token(&other).send().await.error(404, "NotFound");
    assert_eq!(world.delete(&path).await.ok()["savedView"]["name"], "Ours");
    world.delete(&path).await.error(404, "NotFound");
}

#[tokio::test]
async fn a_history_and_the_figures_by_algorithm_follow_the_certificates() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let issued = world.issue(&setup, "a.acme.com").await;
    let rsa =
        json!({ "profileId": setup.profile, "attributes": { "commonName": "b.acme.com", "keyAlgorithm": "RSA_2048" } });
    world.post(CERTIFICATES, &rsa).await.ok();
    world.issue(&setup, "c.acme.com").await;
    let figures = async || world.get(&format!("{CERTIFICATES}/statistics")).await.ok()["byAlgorithm"].clone();
    let both = json!([{ "algorithm": "EC_prime256v1", "count": 2 }, { "algorithm": "RSA_2048", "count": 1 }]);
    assert_eq!(figures().await, both);
    let base = format!("{CERTIFICATES}/{}", issued["certificate"]["certificateId"].as_str().unwrap());
    world.post(&format!("{base}/revoke"), &json!({ "revocationReason": "KEY_COMPROMISE" })).await.ok();
    let one = json!([{ "algorithm": "RSA_2048", "count": 1 }, { "algorithm": "EC_prime256v1", "count": 1 }]);
    assert_eq!(figures().await, one);
    let operator = world.identity("operator").await;
    let history = world.call("GET", &format!("{base}/history")).token(&operator).send().await.ok();
    let told: Vec<&Value> = history["history"].as_array().unwrap().iter().map(|it| &it["event"]).collect();
    assert_eq!(told, ["certificate.revoked", "certificate.issued"]);
    let first = &history["history"][1];
    assert_eq!((&first["actor"], &first["outcome"]), (&json!(crate::world::EMAIL), &json!("success")));
    assert_eq!(first["details"]["serialNumber"], issued["certificate"]["serialNumber"]);
    let other = world.other_project().await;
    world.call("GET", &format!("{base}/history")).token(&other).send().await.error(404, "NotFound");
}
