//! The habits of the wire: slashes, forms, error bodies, bad bodies.

use serde_json::json;

use crate::world::{EMAIL, PASSWORD, World};

#[tokio::test]
async fn routes_answer_with_and_without_a_trailing_slash() {
    let world = World::new().await;
    for path in ["/api/v1/projects", "/api/v1/projects/", "/api/v1/cert-manager/certificate-profiles/"] {
        world.get(path).await.ok();
    }
    for path in
        ["/api/v1//projects", "/api/v1/./projects", "/api/v1/projects//", "/API/v1/projects", "/api/v1/projects;a=b"]
    {
        world.get(path).await.error(404, "Not Found");
    }
    world.get("/api/v1/cert-manager/certificates/%2e%2e").await.error(422, "ValidationFailure");
    world.get("/api/v1/cert-manager/certificates/%2F").await.error(422, "ValidationFailure");
}

#[tokio::test]
async fn a_signature_is_not_asked_for_without_a_csr() {
    let world = World::new().await;
    for path in ["/api/v1/cert-manager/certificates/sign-certificate", "/api/v1/pki/certificates/sign-certificate"] {
        let body = json!({ "profileId": uuid::Uuid::nil(), "commonName": "a.acme.com", "ttl": "1d" });
        let error = world.post(path, &body).await.error(422, "ValidationFailure");
        assert_eq!(error["message"][0]["path"][0], "csr");
    }
}

#[tokio::test]
async fn a_machine_logs_in_by_form_too_and_wrong_secrets_are_401() {
    let world = World::new().await;
    let identity = world.post("/api/v1/identities", &json!({ "name": "robot", "role": "operator" })).await.ok();
    let base = format!("/api/v1/auth/universal-auth/identities/{}", identity["identity"]["id"].as_str().unwrap());
    let auth = world.post(&base, &json!({ "accessTokenTTL": 60, "accessTokenMaxTTL": 120 })).await.ok();
    let secret = world.post(&format!("{base}/client-secrets"), &json!({ "description": "first" })).await;
    assert_eq!(secret.headers["cache-control"], "no-store");
    let secret = secret.ok();
    let client_id = auth["identityUniversalAuth"]["clientId"].as_str().unwrap();
    let form = format!("clientId={client_id}&clientSecret={}", secret["clientSecret"].as_str().unwrap());
    let login = "/api/v1/auth/universal-auth/login";
    let session = world.call("POST", login).raw("application/x-www-form-urlencoded", form).send().await.ok();
    assert_eq!(session["tokenType"], "Bearer");
    assert_eq!(session["expiresIn"], 60);
    assert_eq!(session["accessTokenMaxTTL"], 120);
    let token = json!({ "accessToken": session["accessToken"] });
    let renewed = world.call("POST", "/api/v1/auth/token/renew").json(&token).send().await.ok();
    assert_eq!(renewed["tokenType"], "Bearer");
    world.call("POST", "/api/v1/auth/token/revoke/").json(&token).send().await.ok();
    world.call("POST", "/api/v1/auth/token/renew").json(&token).send().await.error(403, "TokenError");
    let wrong = json!({ "clientId": client_id, "clientSecret": "wrong" });
    world.call("POST", login).json(&wrong).send().await.error(401, "UnauthorizedError");
    let unknown = json!({ "clientId": "no-uuid", "clientSecret": "wrong" });
    world.call("POST", login).json(&unknown).send().await.error(401, "UnauthorizedError");
    world
        .call("POST", login)
        .raw("application/x-www-form-urlencoded", "clientId=a")
        .send()
        .await
        .error(422, "ValidationFailure");
    let data = world.get(&format!("{base}/client-secrets")).await.ok();
    assert!(data["clientSecretData"][0].get("clientSecret").is_none());
    let revoke = format!("{base}/client-secrets/{}/revoke", data["clientSecretData"][0]["id"].as_str().unwrap());
    let revoked = world.post(&revoke, &json!({})).await.ok();
    assert_eq!(revoked["clientSecretData"]["isClientSecretRevoked"], true);
    world
        .patch(&base, &json!({ "accessTokenTTL": 500, "accessTokenMaxTTL": 100 }))
        .await
        .error(422, "ValidationFailure");
}

#[tokio::test]
async fn people_log_in_with_the_same_answer_for_unknown_and_wrong() {
    let world = World::new().await;
    let login = |email: &str, password: &str| json!({ "email": email, "password": password });
    let wrong = world.call("POST", "/api/v1/auth/login").json(&login(EMAIL, "wrong")).send().await;
    let unknown = world.call("POST", "/api/v1/auth/login").json(&login("who@acme.com", PASSWORD)).send().await;
    let (wrong, unknown) = (wrong.error(401, "UnauthorizedError"), unknown.error(401, "UnauthorizedError"));
    assert_eq!(wrong["message"], unknown["message"]);
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_have_the_error_body() {
    let world = World::new().await;
    let unknown = world.call("GET", "/api/v9/nothing").send().await.error(404, "Not Found");
    assert_eq!(unknown["message"], "Route GET:/api/v9/nothing not found");
    let wrong = world.call("PUT", "/api/v1/projects").send().await;
    wrong.error(405, "MethodNotAllowed");
    assert!(wrong.headers["allow"].to_str().unwrap().contains("GET"));
}

#[tokio::test]
async fn bad_bodies_get_their_clear_answer_and_only_after_the_token() {
    let world = World::new().await;
    let path = "/api/v1/cert-manager/certificates";
    let huge = vec![b'a'; 10 * 1024 * 1024];
    let deep = "[".repeat(100_000);
    world.call("POST", path).raw("application/json", huge.clone()).send().await.error(401, "UnauthorizedError");
    world.call("POST", path).raw("application/json", deep.clone()).send().await.error(401, "UnauthorizedError");
    let send =
        |media: &'static str, body: Vec<u8>| world.call("POST", path).token(&world.admin).raw(media, body).send();
    send("application/json", huge).await.error(413, "PayloadTooLarge");
    assert_eq!(send("application/json", deep.into_bytes()).await.error(400, "BadRequest")["code"], "json.depth");
    let twice = br#"{"csr":"a","csr":"b"}"#.to_vec();
    assert_eq!(send("application/json", twice).await.error(400, "BadRequest")["code"], "json.duplicate_key");
    send("application/json", b"{\"profileId\":".to_vec()).await.error(400, "BadRequest");
    send("text/plain", b"{}".to_vec()).await.error(415, "UnsupportedMediaType");
    let zipped = world.call("POST", path).token(&world.admin).header("content-encoding", "gzip").json(&json!({}));
    zipped.send().await.error(415, "UnsupportedMediaType");
    let issues = send("application/json", b"{}".to_vec()).await.error(422, "ValidationFailure");
    assert_eq!(issues["message"][0]["path"], json!(["profileId"]));
    let long = json!({ "profileId": "00000000-0000-7000-8000-000000000000", "csr": "x".repeat(65_537) });
    world.post(path, &long).await.error(422, "ValidationFailure");
    world.get("/api/v1/cert-manager/certificate-profiles?limit=1000000000").await.error(422, "ValidationFailure");
    world.get("/api/v1/cert-manager/certificate-profiles?limit=-1").await.error(422, "ValidationFailure");
    world.get("/api/v1/cert-manager/certificate-profiles?limit=ten").await.error(422, "ValidationFailure");
    let far = world.get("/api/v1/cert-manager/certificate-profiles?offset=10001").await.error(400, "BadRequest");
    assert!(far["message"].as_str().unwrap().contains("cursor"));
}

#[tokio::test]
async fn a_bad_csr_says_why_and_issues_nothing() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let good = crate::world::csr("a.acme.com");
    let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    for (csr, code) in [
        ("not PEM".to_owned(), "csr.pem"),
        (format!("{good}{good}"), "csr.pem"),
        (format!("{good}{key}"), "csr.private_key"),
    ] {
        let body = json!({ "profileId": setup.profile, "csr": csr });
        let refused = world.post("/api/v1/cert-manager/certificates", &body).await.error(400, "BadRequest");
        assert_eq!(refused["code"], code, "{refused}");
        assert!(!refused.to_string().contains("MAA="), "the key is not echoed");
    }
    let list = world.get("/api/v2/workspace/default/certificates").await.ok();
    assert_eq!(list["totalCount"], 0);
}

#[tokio::test]
async fn a_project_id_is_optional_and_must_be_ones_own() {
    let world = World::new().await;
    let project = world.get("/api/v1/projects/slug/default").await.ok();
    let id = project["id"].as_str().unwrap();
    assert_eq!(project["type"], "cert-manager");
    world.get(&format!("/api/v1/cert-manager/ca?projectId={id}")).await.ok();
    let other = "00000000-0000-7000-8000-000000000000";
    world.get(&format!("/api/v1/cert-manager/ca?projectId={other}")).await.error(404, "NotFound");
    assert_eq!(world.get(&format!("/api/v1/workspace/{id}")).await.ok()["workspace"]["slug"], "default");
    assert_eq!(world.get("/api/v2/workspace/default").await.ok()["id"], id);
    assert_eq!(world.get("/api/v1/projects").await.ok()["projects"][0]["id"], id);
    world.get("/api/v1/projects/slug/nothing").await.error(404, "NotFound");
}

#[tokio::test]
async fn known_but_foreign_keys_set_nothing() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let body = json!({ "profileId": setup.profile, "status": "revoked", "serialNumber": "01", "requester": "root",
        "attributes": { "commonName": "a.acme.com", "isAdmin": true } });
    let issued = world.post("/api/v1/cert-manager/certificates", &body).await.ok();
    assert_ne!(issued["certificate"]["serialNumber"], "01");
}

#[tokio::test]
async fn status_probes_and_metrics_are_public() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    world.issue(&setup, "a.acme.com").await;
    let status = world.call("GET", "/api/status").send().await.ok();
    assert_eq!(status["message"], "Ok");
    assert!(status["scheduler"].as_str().unwrap().starts_with("running"));
    world.call("GET", "/healthz").send().await.ok();
    world.call("GET", "/readyz").send().await.ok();
    let metrics = world.call("GET", "/metrics").send().await.text();
    assert!(metrics.contains("\nchancery_issuance_total 1\n"), "{metrics}");
    assert!(metrics.contains("chancery_issuance_stage_nanoseconds_total{stage=\"sign\"}"));
    let document = world.call("GET", "/api/openapi.json").send().await.ok();
    assert_eq!(document["openapi"], "3.1.0");
}
