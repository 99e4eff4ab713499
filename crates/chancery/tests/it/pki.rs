//! Certification authorities, templates, profiles and certificates in one call each, over the API.

use chancery_cli::Client;
use serde_json::{Value, json};

pub const API: &str = "/api/v1/cert-manager";

/// The body of a 200; anything else fails the test with the server's words.
pub async fn post(client: &Client, path: &str, body: Value) -> Value {
    let reply = client.post(&format!("{API}{path}"), &body).await.expect("an answer");
    assert_eq!(reply.status, 200, "POST {path} {body} answered {}", reply.body);
    reply.body
}

pub async fn get(client: &Client, path: &str) -> Value {
    let reply = client.get(&format!("{API}{path}")).await.expect("an answer");
    assert_eq!(reply.status, 200, "GET {path} answered {}", reply.body);
    reply.body
}

/// The status and body of a call that is expected to be refused.
pub async fn refused(client: &Client, path: &str, body: Value) -> (u16, Value) {
    let reply = client.post(&format!("{API}{path}"), &body).await.expect("an answer");
    assert!(reply.status >= 400, "POST {path} {body} was not refused: {}", reply.body);
    (reply.status, reply.body)
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text")).to_owned()
}

/// An active root; `extra` is laid over its configuration.
pub async fn root(client: &Client, name: &str, algorithm: &str, extra: Value) -> String {
    let mut configuration = json!({
        "type": "root", "commonName": format!("{name} Root"), "keyAlgorithm": algorithm,
        "notAfter": "2046-01-01T00:00:00Z", "maxPathLength": -1,
    });
    lay_over(&mut configuration, extra);
    let ca = post(client, "/ca/internal", json!({"name": name, "status": "active", "configuration": configuration})).await;
    assert_eq!(ca["status"], "active");
    text(&ca["id"])
}

/// An active intermediate below `parent`.
pub async fn intermediate(client: &Client, parent: &str, name: &str, algorithm: &str, extra: Value) -> String {
    let mut configuration =
        json!({"type": "intermediate", "commonName": format!("{name} Intermediate"), "keyAlgorithm": algorithm});
    lay_over(&mut configuration, extra);
    let ca = post(client, "/ca/internal", json!({"name": name, "status": "active", "configuration": configuration})).await;
    assert_eq!(ca["status"], "pending-certificate");
    let id = text(&ca["id"]);
    let body = json!({"notBefore": null, "notAfter": "2040-01-01T00:00:00Z", "parentCaId": parent});
    post(client, &format!("/ca/internal/{id}/certificate"), body).await;
    id
}

/// A template from a preset with `rules` laid over it.
pub async fn template(client: &Client, name: &str, preset: &str, rules: Value) -> String {
    let mut body = json!({"name": name, "preset": preset});
    lay_over(&mut body, rules);
    text(&post(client, "/certificate-policies", body).await["certificatePolicy"]["id"])
}

/// A template with these rules and nothing else.
pub async fn bare_template(client: &Client, name: &str, rules: Value) -> String {
    let mut body = json!({"name": name});
    lay_over(&mut body, rules);
    text(&post(client, "/certificate-policies", body).await["certificatePolicy"]["id"])
}

/// A profile of a CA, or a self-signed one; `extra` is laid over the body.
pub async fn profile(client: &Client, slug: &str, template: &str, ca: Option<&str>, extra: Value) -> String {
    let mut body = json!({
        "slug": slug, "certificatePolicyId": template, "enrollmentType": "api",
        "issuerType": if ca.is_some() { "ca" } else { "self-signed" },
    });
    if let Some(ca) = ca {
        body["caId"] = json!(ca);
    }
    lay_over(&mut body, extra);
    text(&post(client, "/certificate-profiles", body).await["certificateProfile"]["id"])
}

pub async fn issue(client: &Client, profile: &str, attributes: Value) -> Value {
    post(client, "/certificates", json!({"profileId": profile, "attributes": attributes})).await
}

pub async fn issue_csr(client: &Client, profile: &str, csr: &str, attributes: Value) -> Value {
    post(client, "/certificates", json!({"profileId": profile, "csr": csr, "attributes": attributes})).await
}

/// Leaf, then every certificate of its chain, as PEM.
pub fn chain_of(issued: &Value) -> Vec<String> {
    let certificate = &issued["certificate"];
    let mut chain = vec![text(&certificate["certificate"])];
    for block in text(&certificate["certificateChain"]).split_inclusive("-----END CERTIFICATE-----") {
        if block.contains("BEGIN") {
            chain.push(block.trim_start().to_owned() + "\n");
        }
    }
    chain
}

/// The rules named by a refusal's violations.
pub fn rules(body: &Value) -> Vec<String> {
    body["violations"].as_array().into_iter().flatten().map(|it| text(&it["rule"])).collect()
}

pub fn lay_over(body: &mut Value, extra: Value) {
    let Value::Object(extra) = extra else { return };
    for (key, value) in extra {
        body[key] = value;
    }
}
