//! From nothing to a certificate, and everything one does with it.
//!
//! ```text
//! Acme Root ── Acme Issuing ── a.acme.com (server key) ── its renewal
//!                           └─ b.acme.com (CSR)
//! ```

use chancery_pkix::Certificate;
use serde_json::{Value, json};

use crate::world::{World, csr, id};

const CERTIFICATES: &str = "/api/v1/cert-manager/certificates";

fn blocks(pem: &Value) -> usize {
    pem.as_str().unwrap().matches("-----BEGIN CERTIFICATE-----").count()
}

#[tokio::test]
async fn a_certificate_without_a_csr_comes_with_its_key_and_chain() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let answer = world.issue(&setup, "a.acme.com").await;
    let certificate = &answer["certificate"];
    assert_eq!(answer["status"], "issued");
    assert_eq!(blocks(&certificate["certificateChain"]), 2);
    assert!(certificate["privateKey"].as_str().unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    let leaf = Certificate::from_pem(certificate["certificate"].as_str().unwrap()).unwrap();
    let issuer = Certificate::from_pem(certificate["issuingCaCertificate"].as_str().unwrap()).unwrap();
    assert!(leaf.is_signed_by(&issuer.public_key().unwrap()));

    let base = format!("{CERTIFICATES}/{}", certificate["certificateId"].as_str().unwrap());
    let read = world.get(&base).await.ok();
    let read = &read["certificate"];
    assert_eq!(read["status"], "active");
    assert_eq!(read["commonName"], "a.acme.com");
    assert_eq!(read["altNames"], "a.acme.com");
    assert_eq!(read["extendedKeyUsages"], json!(["server_auth"]));
    assert_eq!(read["caName"], "issuing");
    assert_eq!(read["profileName"], "web");
    assert_eq!(read["hasPrivateKey"], true);
    assert_eq!(read["serialNumber"], certificate["serialNumber"]);
    assert!(read["notAfter"].as_str().unwrap().ends_with(".000Z"));
    assert_eq!(read["revocationReason"], Value::Null);

    let bundle = world.get(&format!("{base}/bundle")).await;
    assert_eq!(bundle.headers["cache-control"], "no-store");
    assert_eq!(bundle.ok()["privateKey"], certificate["privateKey"]);
    let key = world.get(&format!("{base}/private-key")).await;
    assert_eq!(key.text(), certificate["privateKey"].as_str().unwrap());
    let pem = world.get(&format!("{base}/certificate")).await.ok();
    assert_eq!(pem["certificate"], certificate["certificate"]);
    let der = world.get(&format!("{base}/export?format=der")).await;
    assert_eq!(der.bytes, leaf.der());
    let p12 = world.post(&format!("{base}/pkcs12"), &json!({ "password": "secret-1", "alias": "web" })).await;
    assert_eq!(p12.status, 200);
    assert!(p12.headers["content-disposition"].to_str().unwrap().contains(".p12"));

    let path = format!("{CERTIFICATES}/certificate-requests/{}", answer["certificateRequestId"].as_str().unwrap());
    let request = world.get(&path).await.ok();
    assert_eq!(request["status"], "issued");
    assert_eq!(request["privateKey"], certificate["privateKey"]);
    assert_eq!(blocks(&request["certificateChain"]), 2);
    let cancelled = world.post(&format!("{path}/cancel"), &json!({})).await.ok();
    assert_eq!(cancelled["cancelled"], false);
}

#[tokio::test]
async fn a_csr_gives_a_certificate_without_a_key() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let body = json!({ "profileId": setup.profile, "csr": csr("b.acme.com"), "attributes": { "ttl": "24h" },
        "removeRootsFromChain": "true" });
    let answer = world.post(CERTIFICATES, &body).await.ok();
    assert!(answer["certificate"].get("privateKey").is_none());
    assert_eq!(blocks(&answer["certificate"]["certificateChain"]), 1, "the root stays out");
    let base = format!("{CERTIFICATES}/{}", answer["certificate"]["certificateId"].as_str().unwrap());
    world.get(&format!("{base}/private-key")).await.error(404, "NotFound");
    let refused = world.post(&format!("{base}/renew"), &json!({})).await.error(403, "ForbiddenError");
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("reuse") && message.contains("csr"), "{message}");
    let renewed = world.post(&format!("{base}/renew"), &json!({ "renewalKeySource": "reuse" })).await.ok();
    assert_ne!(renewed["certificateId"], answer["certificate"]["certificateId"]);
}

#[tokio::test]
async fn a_renewal_is_a_new_certificate_linked_to_the_old_one() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let old = world.issue(&setup, "a.acme.com").await;
    let old_id = old["certificate"]["certificateId"].as_str().unwrap();
    let path = format!("{CERTIFICATES}/{old_id}/renew");
    // No body and no content type at all, as some clients do.
    let new = world.call("POST", &path).token(&world.admin).send().await.ok();
    assert_ne!(new["serialNumber"], old["certificate"]["serialNumber"]);
    let request = format!("{CERTIFICATES}/certificate-requests/{}", new["certificateRequestId"].as_str().unwrap());
    let request = world.get(&request).await.ok();
    assert!(request["privateKey"].as_str().unwrap().contains("PRIVATE KEY"), "the agent reads the renewed key here");
    let read = world.get(&format!("{CERTIFICATES}/{old_id}")).await.ok();
    assert_eq!(read["certificate"]["renewedByCertificateId"], new["certificateId"]);
    assert_eq!(read["certificate"]["latestRenewalCertificateId"], new["certificateId"]);
    world.call("POST", &path).token(&world.admin).raw("application/json", "null").send().await.error(400, "BadRequest");
}

#[tokio::test]
async fn a_refusal_lists_every_violation_and_evaluate_says_the_same() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let body = json!({ "profileId": setup.profile, "attributes": { "commonName": "evil.com", "ttl": "3y",
        "altNames": [{ "type": "dns_name", "value": "evil.com" }], "extendedKeyUsages": ["code_signing"] } });
    let refused = world.post(CERTIFICATES, &body).await.error(400, "BadRequest");
    assert_eq!(refused["code"], "template.refused");
    let rules: Vec<_> = refused["violations"].as_array().unwrap().iter().map(|it| it["rule"].clone()).collect();
    assert!(rules.len() >= 4, "{rules:?}");
    assert_eq!(refused["violations"][0]["source"], "request");
    let evaluated = world.post(&format!("{CERTIFICATES}/evaluate"), &body).await.ok();
    assert_eq!(evaluated["verdict"], "refused");
    let failed: Vec<_> = evaluated["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["verdict"] == "fail")
        .map(|it| it["rule"].clone())
        .collect();
    assert_eq!(failed, rules);
    let good = json!({ "profileId": setup.profile, "attributes": { "commonName": "a.acme.com" } });
    let evaluated = world.post(&format!("{CERTIFICATES}/evaluate"), &good).await.ok();
    assert_eq!(evaluated["verdict"], "issued");
    let sources: Vec<_> =
        evaluated["fields"].as_array().unwrap().iter().map(|it| it["source"].as_str().unwrap()).collect();
    for source in ["request", "derived", "template", "profile"] {
        assert!(sources.contains(&source), "{source} in {evaluated}");
    }
}

#[tokio::test]
async fn certificates_are_listed_and_found() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    for name in ["a.acme.com", "b.acme.com", "c.acme.com"] {
        world.issue(&setup, name).await;
    }
    let details = world.get("/api/v1/identities/details").await.ok();
    let project = details["identityDetails"]["projectId"].as_str().unwrap().to_owned();
    let list = world.get(&format!("/api/v1/projects/{project}/certificates?limit=2")).await.ok();
    assert_eq!(list["totalCount"], 3);
    assert_eq!(list["totalCountExact"], true);
    assert_eq!(list["certificates"].as_array().unwrap().len(), 2);
    let cursor = list["nextCursor"].as_str().unwrap();
    let rest = world.get(&format!("/api/v1/projects/{project}/certificates?limit=2&cursor={cursor}")).await.ok();
    assert_eq!(rest["certificates"].as_array().unwrap().len(), 1);
    let search = format!("/api/v1/projects/{project}/certificates/search");
    let found = world.post(&search, &json!({ "commonName": "b.acme.com", "status": "active" })).await.ok();
    assert_eq!(found["certificates"][0]["commonName"], "b.acme.com");
    assert_eq!(found["totalCount"], 1);
    world.post(&search, &json!({ "cursor": "tampered" })).await.error(422, "ValidationFailure");
    let by_slug = world.get("/api/v2/workspace/default/certificates?offset=0&limit=25").await.ok();
    assert_eq!(by_slug["totalCount"], 3);
    let of_profile =
        world.get(&format!("/api/v1/cert-manager/certificate-profiles/{}/certificates", setup.profile)).await.ok();
    assert_eq!(of_profile["certificates"][0]["cn"], "c.acme.com");
    let latest = world
        .get(&format!("/api/v1/cert-manager/certificate-profiles/{}/certificates/latest-active-bundle", setup.profile))
        .await;
    assert!(latest.ok()["privateKey"].is_string());
    let requests = world.post(&format!("{CERTIFICATES}/certificate-requests/search"), &json!({})).await.ok();
    assert_eq!(requests["totalCount"], 3);
    assert_eq!(requests["certificateRequests"][0]["profileName"], "web");
}

#[tokio::test]
async fn an_operator_reads_its_own_keys_and_an_auditor_none() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let operator = world.identity("operator").await;
    let auditor = world.identity("auditor").await;
    let body = json!({ "profileId": setup.profile, "attributes": { "commonName": "o.acme.com" } });
    let own = world.call("POST", CERTIFICATES).token(&operator).json(&body).send().await.ok();
    let own = own["certificate"]["certificateId"].as_str().unwrap().to_owned();
    let foreign = world.issue(&setup, "a.acme.com").await["certificate"]["certificateId"].as_str().unwrap().to_owned();
    let key = |id: &str| format!("{CERTIFICATES}/{id}/private-key");
    assert_eq!(world.call("GET", &key(&own)).token(&operator).send().await.status, 200);
    world.call("GET", &key(&foreign)).token(&operator).send().await.error(403, "PermissionDenied");
    world.call("GET", &key(&own)).token(&auditor).send().await.error(403, "PermissionDenied");
    let bundle = world.call("GET", &format!("{CERTIFICATES}/{own}/bundle")).token(&auditor).send().await.ok();
    assert_eq!(bundle["privateKey"], Value::Null);
}

#[tokio::test]
async fn cas_answer_as_the_contract_says() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let list = world.get("/api/v1/cert-manager/ca/internal").await.ok();
    assert_eq!(list.as_array().unwrap().len(), 2);
    let all = world.get("/api/v1/cert-manager/ca").await.ok();
    assert_eq!(all["certificateAuthorities"][0]["type"], "internal");
    let base = format!("/api/v1/cert-manager/ca/internal/{}", setup.issuing);
    let ca = world.get(&base).await.ok();
    assert_eq!(ca["configuration"]["parentCaId"], setup.root.as_str());
    assert_eq!(ca["configuration"]["dn"], "CN=Acme Issuing");
    let certificate = world.get(&format!("{base}/certificate")).await.ok();
    let certificate_id = certificate["certId"].as_str().unwrap();
    assert_eq!(world.get(&format!("{base}/certificate/{certificate_id}")).await.ok(), certificate);
    assert_eq!(world.get(&format!("{base}/ca-certificates")).await.ok()[0]["version"], 1);
    let csr = world.get(&format!("{base}/csr")).await.ok();
    assert!(csr["csr"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
    let signed = json!({ "csr": csr["csr"], "notAfter": "2035-01-01" });
    let path = format!("/api/v1/cert-manager/ca/internal/{}/sign-intermediate", setup.root);
    assert_eq!(blocks(&world.post(&path, &signed).await.ok()["certificateChain"]), 1);
    let renamed = world.patch(&base, &json!({ "name": "issuing-1" })).await.ok();
    assert_eq!(renamed["name"], "issuing-1");
    assert_eq!(world.get("/api/v1/cert-manager/ca/digicert").await.ok(), json!([]));
    for path in ["/api/v1/cert-manager/ca/aws-pca", "/api/v1/cert-manager/ca/unheard-of"] {
        let refused = world.post(path, &json!({})).await.error(400, "BadRequest");
        assert!(refused["message"].as_str().unwrap().contains("internal, acme, digicert, vault"), "{refused}");
    }
}

#[tokio::test]
async fn the_oldest_routes_need_a_direct_issuance_template() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let path = "/api/v1/pki/certificates/sign-certificate";
    let body = json!({ "caId": setup.issuing, "csr": csr("old.acme.com"), "ttl": "3600s" });
    let refused = world.post(path, &body).await.error(400, "BadRequest");
    assert!(refused["message"].as_str().unwrap().contains("directIssuancePolicyId"), "{refused}");
    let only_template = json!({ "certificateTemplateId": setup.template, "csr": csr("old.acme.com"), "ttl": "90d" });
    world.post(path, &only_template).await.error(400, "BadRequest");
    let ca = format!("/api/v1/cert-manager/ca/internal/{}", setup.issuing);
    world.patch(&ca, &json!({ "directIssuancePolicyId": setup.template })).await.ok();
    let signed = world.post(path, &body).await.ok();
    assert_eq!(blocks(&signed["certificateChain"]), 2);
    let issued =
        json!({ "caId": setup.issuing, "commonName": "old.acme.com", "ttl": "90d", "altNames": "old.acme.com" });
    let issued = world.post("/api/v1/pki/certificates/issue-certificate", &issued).await.ok();
    assert!(issued["privateKey"].is_string());
}

#[tokio::test]
async fn a_self_signed_profile_takes_no_csr_and_is_its_own_chain() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let body = json!({ "slug": "self", "issuerType": "self-signed", "certificatePolicyId": setup.template,
        "defaults": { "ttlDays": 30 } });
    let profile = id(&world.post("/api/v1/cert-manager/certificate-profiles", &body).await.ok()["certificateProfile"]);
    let body = json!({ "profileId": profile, "attributes": { "commonName": "s.acme.com" } });
    let issued = world.post(CERTIFICATES, &body).await.ok();
    assert_eq!(issued["certificate"]["issuingCaCertificate"], "");
    assert_eq!(issued["certificate"]["certificateChain"], issued["certificate"]["certificate"]);
    let body = json!({ "profileId": profile, "csr": csr("s.acme.com") });
    world.post(CERTIFICATES, &body).await.error(400, "BadRequest");
}

#[tokio::test]
async fn templates_answer_under_both_names_and_null_clears() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let one = |base: &str| format!("{base}/{}", setup.template);
    for (base, key, keys) in [
        ("/api/v1/cert-manager/certificate-policies", "certificatePolicy", "certificatePolicies"),
        ("/api/v1/cert-manager/certificate-templates", "certificateTemplate", "certificateTemplates"),
        ("/api/v2/certificate-templates", "certificateTemplate", "certificateTemplates"),
    ] {
        let read = world.get(&one(base)).await.ok();
        assert_eq!(read[key]["validity"]["max"], "365d");
        assert!(!read[key]["summary"].as_array().unwrap().is_empty());
        assert_eq!(world.get(base).await.ok()[keys].as_array().unwrap().len(), 1);
        assert_eq!(world.get(&format!("{base}/presets")).await.ok()["presets"].as_array().unwrap().len(), 8);
    }
    let policy = one("/api/v1/cert-manager/certificate-policies");
    let changed = world.patch(&policy, &json!({ "sans": null, "name": "acme-2" })).await.ok();
    assert_eq!(changed["certificatePolicy"]["sans"], Value::Null);
    assert!(changed["certificatePolicy"]["subject"].is_array(), "a missing key keeps its block");
    let refused = world.delete(&policy).await.error(403, "ForbiddenError");
    assert!(refused["message"].as_str().unwrap().contains("web"));
    let taken = json!({ "name": "acme-2", "preset": "tls-server" });
    let other = world.post("/api/v1/cert-manager/certificate-policies", &taken).await.ok();
    assert_ne!(other["certificatePolicy"]["name"], "acme-2");
}

#[tokio::test]
async fn renewal_settings_answer_in_the_words_of_the_contract() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    let issued = world.issue(&setup, "a.acme.com").await;
    let path = format!("{CERTIFICATES}/{}/config", issued["certificate"]["certificateId"].as_str().unwrap());
    let answer = world.patch(&path, &json!({ "renewBeforeDays": 7 })).await.ok();
    assert_eq!(answer, json!({ "message": "Certificate configuration updated successfully", "renewBeforeDays": 7 }));
    let answer = world.patch(&path, &json!({ "enableAutoRenewal": false })).await.ok();
    assert_eq!(answer, json!({ "message": "Auto-renewal disabled successfully" }));
    let answer = world.patch(&path, &json!({})).await.ok();
    assert_eq!(answer, json!({ "message": "No configuration changes requested" }));
    world
        .patch(&path, &json!({ "renewBeforeDays": 5, "enableAutoRenewal": false }))
        .await
        .error(422, "ValidationFailure");
}

#[tokio::test]
async fn an_audit_export_verifies_offline() {
    let world = World::new().await;
    let setup = world.with_profile().await;
    world.issue(&setup, "a.acme.com").await;
    let export = world.get("/api/v1/audit-logs/export").await;
    assert_eq!(export.headers["content-type"], "application/x-ndjson");
    let verified = chancery_authority::audit::verify_export(export.bytes.as_slice()).unwrap();
    assert!(verified.entries > 5);
    let mut broken = export.bytes.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 1;
    assert!(chancery_authority::audit::verify_export(broken.as_slice()).is_err());
}
