//! Every route of the table: without a token, with a wrong one, with each role, from another project.

use chancery_api::{Access, RouteInfo, routes};
use chancery_model::permission::Role;
use serde_json::{Value, json};

use crate::world::{World, id};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

/// The path with every parameter filled by something well formed.
fn filled(route: &RouteInfo, fill: &str) -> String {
    route
        .path
        .split('/')
        .map(|segment| match segment {
            "{slug}" => "no-such-slug",
            "{type}" => "venafi-tpp",
            "{app}" => "cloudflare",
            _ if segment.starts_with('{') => fill,
            _ => segment,
        })
        .collect::<Vec<_>>()
        .join("/")
}

fn guarded() -> impl Iterator<Item = (&'static RouteInfo, chancery_model::permission::Permission)> {
    routes().iter().filter_map(|route| match route.access {
        Access::Public => None,
        Access::Permission(permission) => Some((route, permission)),
    })
}

#[tokio::test]
async fn no_route_answers_without_a_good_token() {
    let world = World::new().await;
    for (route, _) in guarded() {
        let path = filled(route, NOBODY);
        let what = format!("{} {path}", route.method);
        let answer = world.call(route.method.as_str(), &path).send().await;
        assert_eq!(answer.error(401, "UnauthorizedError")["code"], "auth.required", "{what}");
        let answer = world.call(route.method.as_str(), &path).token("chy_wrong_token").send().await;
        answer.error(403, "TokenError");
        let answer = world.call(route.method.as_str(), &format!("{path}?access_token={}", world.admin)).send().await;
        answer.error(401, "UnauthorizedError");
    }
}

#[tokio::test]
async fn each_role_reaches_exactly_its_routes() {
    let world = World::new().await;
    for role in Role::ALL {
        let token = world.identity(role.as_str()).await;
        // Logging out ends the session, so it has a test of its own.
        for (route, permission) in guarded().filter(|(route, _)| !route.path.ends_with("/logout")) {
            let what = format!("{role}: {} {}", route.method, route.path);
            let answer =
                world.call(route.method.as_str(), &filled(route, NOBODY)).token(&token).json(&json!({})).send().await;
            let denied = answer.status == 403 && answer.json()["error"] == "PermissionDenied";
            assert_eq!(denied, !role.allows(permission), "{what}: {}", answer.text());
            assert!(answer.status != 401 && answer.status.as_u16() < 500, "{what}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_denied_call_stands_in_the_audit_log_under_its_request_id() {
    let world = World::new().await;
    let token = world.identity("auditor").await;
    let answer = world.call("POST", "/api/v1/cert-manager/ca/internal").token(&token).json(&json!({})).send().await;
    let body = answer.error(403, "PermissionDenied");
    assert_eq!(body["details"][0]["subject"], "certificate-authorities");
    let logs = world.get("/api/v1/audit-logs?event=access.denied").await.ok();
    assert_eq!(logs["auditLogs"][0]["requestId"], body["reqId"]);
    assert_eq!(logs["auditLogs"][0]["outcome"], "denied");
}

#[tokio::test]
async fn logging_out_ends_the_session_at_once() {
    let world = World::new().await;
    let token = world.identity("operator").await;
    world.call("POST", "/api/v1/auth/logout").token(&token).send().await.ok();
    world.call("GET", "/api/v1/identities/details").token(&token).send().await.error(403, "TokenError");
}

#[tokio::test]
async fn objects_of_another_project_do_not_exist() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let issued = world.issue(&setup, "a.acme.com").await;
    let certificate = issued["certificate"]["certificateId"].as_str().unwrap().to_owned();
    let request = issued["certificateRequestId"].as_str().unwrap().to_owned();
    let ca = world.get(&format!("/api/v1/cert-manager/ca/internal/{}", setup.issuing)).await.ok();
    let ca_certificate = ca["configuration"]["activeCaCertId"].as_str().unwrap().to_owned();
    let details = world.get("/api/v1/identities/details").await.ok();
    let project = details["identityDetails"]["projectId"].as_str().unwrap().to_owned();
    let identity = id(&world.post("/api/v1/identities", &json!({ "name": "x" })).await.ok()["identity"]);
    let stranger = world.other_project().await;

    let cases: Vec<(&str, String, Value)> = vec![
        (
            "certificates/{id}",
            certificate.clone(),
            json!({ "metadata": [], "applicationId": NOBODY, "revocationReason": "SUPERSEDED" }),
        ),
        ("certificate-requests/{requestId}", request, json!({})),
        ("{caId}/signing-config", setup.issuing.clone(), json!({ "type": "manual" })),
        ("ca/internal/{caId}", setup.issuing.clone(), ca_body()),
        ("certificate-policies/{id}", setup.template.clone(), json!({})),
        ("certificate-templates/{id}", setup.template.clone(), json!({})),
        ("certificate-profiles/{id}", setup.profile.clone(), json!({})),
        ("projects/{projectId}", project.clone(), json!({ "name": "mine" })),
        ("workspace/{projectId}", project, json!({})),
        ("identities/{identityId}", identity.clone(), json!({ "role": "auditor", "roles": [] })),
        ("identities/{id}", identity, json!({})),
    ];
    let mut seen = 0;
    for (route, _) in guarded().filter(|(route, _)| route.path.contains('{')) {
        let Some((_, object, body)) = cases.iter().find(|(part, ..)| route.path.contains(part)) else { continue };
        if route.path.ends_with("/pkcs12") || route.path.ends_with("/administrators") {
            continue;
        }
        seen += 1;
        let path = filled(route, object)
            .replace(&format!("certificate/{}", setup.issuing), &format!("certificate/{ca_certificate}"));
        let call = world.call(route.method.as_str(), &path).token(&stranger).json(body);
        let answer = call.send().await;
        answer.error(404, "NotFound");
        assert!(!answer.text().contains("acme"), "{} tells: {}", route.path, answer.text());
    }
    assert!(seen > 45, "only {seen} routes were tried");
    let body = json!({ "password": "secret-1", "alias": "a" });
    let path = format!("/api/v1/cert-manager/certificates/{certificate}/pkcs12");
    world.call("POST", &path).token(&stranger).json(&body).send().await.error(404, "NotFound");
    let body = json!({ "profileId": setup.profile, "attributes": { "commonName": "a.acme.com" } });
    for path in ["/api/v1/cert-manager/certificates", "/api/v1/cert-manager/certificates/evaluate"] {
        world.call("POST", path).token(&stranger).json(&body).send().await.error(404, "NotFound");
    }
    let list = world.call("GET", "/api/v1/cert-manager/certificate-profiles").token(&stranger).send().await.ok();
    assert_eq!(list["totalCount"], 0);
}

/// A body that every route below a CA can read.
fn ca_body() -> Value {
    json!({ "notAfter": "2030-01-01", "csr": crate::world::csr("sub.acme.com"), "certificate": "x", "certificateChain": "", "revocationReason": "SUPERSEDED", "type": "existing" })
}

#[tokio::test]
async fn every_change_leaves_an_audit_entry() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let issued = world.issue(&setup, "a.acme.com").await;
    let certificate = issued["certificate"]["certificateId"].as_str().unwrap();
    let base = format!("/api/v1/cert-manager/certificates/{certificate}");
    world.patch(&base, &json!({ "metadata": [{ "key": "team", "value": "web" }] })).await.ok();
    world.patch(&format!("{base}/config"), &json!({ "renewBeforeDays": 10 })).await.ok();
    world.post(&format!("{base}/renew"), &json!({})).await.ok();
    world.get(&format!("{base}/private-key")).await;
    world.delete(&base).await.ok();
    let profile = format!("/api/v1/cert-manager/certificate-profiles/{}", setup.profile);
    world.patch(&profile, &json!({ "description": "for the web" })).await.ok();
    world.delete(&profile).await.ok();
    let logs = world.get("/api/v1/audit-logs?limit=500").await.ok();
    let events: Vec<&str> =
        logs["auditLogs"].as_array().unwrap().iter().filter_map(|it| it["event"].as_str()).collect();
    for event in [
        "auth.login",
        "ca.created",
        "ca.certificate-issued",
        "template.created",
        "profile.created",
        "profile.updated",
        "profile.deleted",
        "certificate.issued",
        "certificate.updated",
        "certificate.configured",
        "certificate.renewed",
        "certificate.private-key-read",
        "certificate.deleted",
    ] {
        assert!(events.contains(&event), "{event} is missing in {events:?}");
    }
}
