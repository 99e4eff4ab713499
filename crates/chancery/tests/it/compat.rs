//! The exact calls of clients that exist, in their order and with their quirks.
//!
//! ```text
//! root ── issuing ── what the agent, Terraform and the Kubernetes issuer ask for
//! ```
//!
//! Verified: log-in as each client spells it; the command-line agent's v1 flow; Terraform's resources with the nulls and
//! gaps it sends; the Kubernetes issuer in its old form, and in its new form as far as it needs no application (there are
//! no `/applications` routes in this build, so `by-name` is 404 and the issuer's ready check cannot pass yet); the fields
//! and types of every object these clients read.

use chancery_cli::{Client, Reply};
use chancery_pkix::{GeneralNameKind, KeyAlgorithm as K};
use chancery_testkit::judge;
use chancery_testkit::world::{
    CERT_MANAGER, Session, World, certification_request, certification_request_with, id_at, text,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::strangers::chain_of;

const LOGIN: &str = "/api/v1/auth/universal-auth/login";

/// Fields with their types; a type with `?` may be null, and every field must be there.
fn assert_fields(what: &str, object: &Value, fields: &[(&str, &str)]) {
    for (name, expected) in fields {
        let Some(value) = object.get(name) else { panic!("{what}: {name} is missing in {object:#}") };
        let (kind, nullable) = expected.strip_suffix('?').map_or((*expected, false), |kind| (kind, true));
        let fits = match kind {
            "text" => value.is_string(),
            "uuid" => value.as_str().is_some_and(|it| it.parse::<uuid::Uuid>().is_ok()),
            "time" => value.as_str().is_some_and(|it| it.ends_with('Z') && it.len() == 24 && it.contains('T')),
            "number" => value.is_u64() || value.is_i64(),
            "bool" => value.is_boolean(),
            "list" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{other} is no kind of value"),
        };
        assert!(fits || (nullable && value.is_null()), "{what}: {name} should be {expected}, and is {value}");
    }
}

const SESSION: &[(&str, &str)] =
    &[("accessToken", "text"), ("expiresIn", "number"), ("accessTokenMaxTTL", "number"), ("tokenType", "text")];

const CERTIFICATE: &[(&str, &str)] = &[
    ("id", "uuid"),
    ("projectId", "uuid"),
    ("createdAt", "time"),
    ("updatedAt", "time"),
    ("notBefore", "time"),
    ("notAfter", "time"),
    ("status", "text"),
    ("serialNumber", "text"),
    ("friendlyName", "text"),
    ("commonName", "text"),
    ("caId", "uuid?"),
    ("caCertId", "uuid?"),
    ("certificateTemplateId", "uuid?"),
    ("pkiSubscriberId", "uuid?"),
    ("profileId", "uuid?"),
    ("applicationId", "uuid?"),
    ("revokedAt", "time?"),
    ("revocationReason", "number?"),
    ("altNames", "text?"),
    ("keyUsages", "list?"),
    ("extendedKeyUsages", "list?"),
    ("renewBeforeDays", "number?"),
    ("renewedFromCertificateId", "uuid?"),
    ("renewedByCertificateId", "uuid?"),
    ("renewalError", "text?"),
    ("keyAlgorithm", "text?"),
    ("signatureAlgorithm", "text?"),
    ("subjectOrganization", "text?"),
    ("subjectOrganizationalUnit", "text?"),
    ("subjectCountry", "text?"),
    ("subjectState", "text?"),
    ("subjectLocality", "text?"),
    ("subjectDomainComponents", "text?"),
    ("fingerprintSha256", "text?"),
    ("fingerprintSha1", "text?"),
    ("isCA", "bool?"),
    ("pathLength", "number?"),
    ("source", "text?"),
];

/// What reading a single certificate adds.
const CERTIFICATE_DETAILS: &[(&str, &str)] = &[
    ("subject", "object"),
    ("fingerprints", "object"),
    ("basicConstraints", "object"),
    ("caName", "text?"),
    ("profileName", "text?"),
    ("applicationName", "text?"),
    ("caType", "text?"),
    ("hasPrivateKey", "bool"),
    ("latestRenewalCertificateId", "uuid?"),
    ("metadata", "list"),
];

const ISSUED: &[(&str, &str)] = &[
    ("certificate", "text"),
    ("issuingCaCertificate", "text"),
    ("certificateChain", "text"),
    ("serialNumber", "text"),
    ("certificateId", "uuid"),
];

const REQUEST: &[(&str, &str)] = &[
    ("status", "text"),
    ("certificate", "text?"),
    ("certificateId", "uuid?"),
    ("serialNumber", "text?"),
    ("privateKey", "text?"),
    ("certificateChain", "text?"),
    ("issuingCaCertificate", "text?"),
    ("errorMessage", "text?"),
    ("createdAt", "time"),
    ("updatedAt", "time"),
];

const CA: &[(&str, &str)] = &[
    ("id", "uuid"),
    ("projectId", "uuid"),
    ("name", "text"),
    ("status", "text"),
    ("type", "text"),
    ("enableDirectIssuance", "bool"),
    ("configuration", "object"),
];

const CA_CERTIFICATE: &[(&str, &str)] =
    &[("certificate", "text"), ("certificateChain", "text"), ("serialNumber", "text"), ("certId", "uuid")];

const POLICY: &[(&str, &str)] = &[
    ("id", "uuid"),
    ("projectId", "uuid"),
    ("name", "text"),
    ("description", "text?"),
    ("subject", "list?"),
    ("sans", "list?"),
    ("keyUsages", "object?"),
    ("extendedKeyUsages", "object?"),
    ("algorithms", "object?"),
    ("validity", "object?"),
    ("basicConstraints", "object?"),
    ("createdAt", "time"),
    ("updatedAt", "time"),
];

const PROFILE: &[(&str, &str)] = &[
    ("id", "uuid"),
    ("projectId", "uuid"),
    ("caId", "uuid?"),
    ("certificatePolicyId", "uuid"),
    ("certificateTemplateId", "uuid"),
    ("slug", "text"),
    ("description", "text?"),
    ("enrollmentType", "text?"),
    ("issuerType", "text"),
    ("estConfigId", "uuid?"),
    ("apiConfigId", "uuid?"),
    ("acmeConfigId", "uuid?"),
    ("scepConfigId", "uuid?"),
    ("externalConfigs", "object?"),
    ("defaults", "object?"),
    ("createdAt", "time"),
    ("updatedAt", "time"),
];

const PROJECT: &[(&str, &str)] = &[
    ("id", "uuid"),
    ("name", "text"),
    ("slug", "text"),
    ("type", "text"),
    ("description", "text?"),
    ("orgId", "uuid"),
    ("autoCapitalization", "bool"),
    ("version", "number"),
    ("upgradeStatus", "text?"),
    ("createdAt", "time"),
    ("updatedAt", "time"),
];

/// Client id and secret of a fresh machine identity, made by the calls that the contract names for it.
async fn machine(world: &World, role: &str) -> (String, String) {
    let admin = world.admin();
    let body = json!({"name": format!("machine-{role}"), "organizationId": uuid::Uuid::nil(), "role": role});
    let made = admin.ok(Method::POST, "/api/v1/identities", Some(&body)).await;
    let path = format!("/api/v1/auth/universal-auth/identities/{}", text(&made, "/identity/id"));
    let auth = admin.ok(Method::POST, &path, Some(&json!({}))).await;
    let body = json!({"description": "", "numUsesLimit": 0, "ttl": 0});
    let secret = admin.ok(Method::POST, &format!("{path}/client-secrets"), Some(&body)).await;
    (text(&auth, "/identityUniversalAuth/clientId"), text(&secret, "/clientSecret"))
}

/// A log-in with body and media type as the client sends them.
async fn login(world: &World, path: &str, media_type: &str, body: String) -> (Client, Value) {
    let headers = [("content-type", media_type), ("user-agent", "cli")];
    let answer = world.anonymous().raw(Method::POST, path, &headers, body.into_bytes()).await;
    let status = answer.status();
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(status, 200, "{path}: {answer}");
    assert_fields(path, &answer, SESSION);
    assert_eq!(answer["tokenType"], "Bearer");
    (world.anonymous().with_token(&text(&answer, "/accessToken")), answer)
}

async fn ok(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Value {
    let Reply { status, body } = client.send(method.clone(), path, body).await.unwrap();
    assert_eq!(status, 200, "{method} {path}: {body}");
    body
}

async fn status_of(client: &Client, path: &str) -> u16 {
    client.get(path).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_log_in_as_each_of_them_spells_it() {
    let world = World::start().await;
    let (id, secret) = machine(&world, "operator").await;
    let json = json!({"clientId": id, "clientSecret": secret, "organizationSlug": "acme"}).to_string();
    let form = format!("clientId={id}&clientSecret={secret}");
    let slashed = format!("{LOGIN}/");
    for (path, media_type, body) in [
        (LOGIN, "application/json", json.clone()),
        (slashed.as_str(), "application/json", json),
        (LOGIN, "application/x-www-form-urlencoded", form.clone()),
        (slashed.as_str(), "application/x-www-form-urlencoded; charset=utf-8", form),
    ] {
        let (client, session) = login(&world, path, media_type, body).await;
        assert_eq!(session["expiresIn"], 2_592_000);
        assert_eq!(status_of(&client, &format!("{CERT_MANAGER}/certificate-profiles")).await, 200);
        // The agent extends its token by handing it in.
        let renewed = json!({"accessToken": session["accessToken"]});
        let renewed = ok(&client, Method::POST, "/api/v1/auth/token/renew", Some(&renewed)).await;
        assert_fields("token/renew", &renewed, SESSION);
        let revoke = json!({"accessToken": renewed["accessToken"]});
        assert_fields(
            "token/revoke",
            &ok(&client, Method::POST, "/api/v1/auth/token/revoke", Some(&revoke)).await,
            &[("message", "text")],
        );
    }
    let wrong = world.anonymous().post(LOGIN, &json!({"clientId": id, "clientSecret": "no"})).await;
    assert_eq!((wrong.0, &wrong.1["error"]), (401, &json!("UnauthorizedError")));
    let stale = world.anonymous().with_token("eyJhbGciOiJIUzI1NiJ9.e30.AAAA");
    let refused = stale.get(&format!("{CERT_MANAGER}/certificate-profiles")).await.unwrap();
    assert_eq!((refused.status, &refused.body["error"]), (403, &json!("TokenError")));
    assert_fields(
        "error",
        &refused.body,
        &[("reqId", "text"), ("statusCode", "number"), ("message", "text"), ("error", "text")],
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_resolves_issues_polls_and_renews() {
    let world = World::start().await;
    let pki = world.pki().await;
    let (id, secret) = machine(&world, "operator").await;
    let body = json!({"clientId": id, "clientSecret": secret}).to_string();
    let (agent, _) = login(&world, &format!("{LOGIN}/"), "application/json", body).await;

    let project = ok(&agent, Method::GET, "/api/v1/projects/slug/default", None).await;
    assert_fields("project", &project, PROJECT);
    assert_eq!(project["type"], "cert-manager");
    let slug = ok(&agent, Method::GET, &format!("{CERT_MANAGER}/certificate-profiles/{}", pki.profile), None).await;
    let slug = text(&slug, "/certificateProfile/slug");
    let by_slug = format!("{CERT_MANAGER}/certificate-profiles/slug/{slug}?projectId={}", text(&project, "/id"));
    let profile = ok(&agent, Method::GET, &by_slug, None).await;
    assert_eq!(id_at(&profile, "/certificateProfile/id"), pki.profile);
    let unknown = format!("{CERT_MANAGER}/certificate-profiles/slug/{slug}?projectId={}", uuid::Uuid::nil());
    assert_eq!(status_of(&agent, &unknown).await, 404);

    // The root is to be left out, said where only this client says it; its ttl may count minutes.
    let body = json!({"profileId": pki.profile, "attributes": {
        "ttl": "1440m", "commonName": "www.acme.test", "keyAlgorithm": "RSA_2048", "signatureAlgorithm": "ECDSA-SHA256",
        "keyUsages": ["digital_signature", "key_encipherment"], "extendedKeyUsages": ["server_auth"],
        "altNames": [{"type": "dns_name", "value": "www.acme.test"}, {"type": "dns_name", "value": "api.acme.test"}],
        "removeRootsFromChain": true,
    }});
    let issued = ok(&agent, Method::POST, &format!("{CERT_MANAGER}/certificates"), Some(&body)).await;
    assert_fields("issue", &issued, &[("certificate", "object"), ("certificateRequestId", "uuid"), ("status", "text")]);
    assert_fields("issue.certificate", &issued["certificate"], ISSUED);
    assert_eq!(issued["status"], "issued");
    assert_eq!(issued["certificate"]["certificateChain"], issued["certificate"]["issuingCaCertificate"]);
    assert_eq!(poll(&agent, &issued).await["certificate"], issued["certificate"]["certificate"]);

    let path = format!("{CERT_MANAGER}/certificates/{}", text(&issued, "/certificate/certificateId"));
    let check = ok(&agent, Method::GET, &path, None).await["certificate"].clone();
    assert_fields("certificate", &check, CERTIFICATE);
    assert_fields("certificate", &check, CERTIFICATE_DETAILS);
    assert_eq!(check["status"], "active");
    assert_eq!(check["altNames"], "www.acme.test,api.acme.test");
    let bundle = ok(&agent, Method::GET, &format!("{path}/bundle"), None).await;
    for field in ["certificate", "privateKey", "serialNumber"] {
        assert_eq!(bundle[field], issued["certificate"][field], "{field}");
    }

    world.clock.advance_seconds(16 * 3_600);
    let renewed =
        ok(&agent, Method::POST, &format!("{path}/renew"), Some(&json!({"removeRootsFromChain": true}))).await;
    assert_fields("renew", &renewed, ISSUED);
    assert_eq!(renewed["certificateChain"], renewed["issuingCaCertificate"]);
    // The agent throws that answer away and writes its files from the request.
    let request = poll(&agent, &renewed).await;
    let public = judge::openssl_reads(&["pkey", "-pubout"], text(&request, "/privateKey").as_bytes());
    let certified = judge::openssl_reads(&["x509", "-noout", "-pubkey"], text(&request, "/certificate").as_bytes());
    assert_eq!(public, certified);
    assert_eq!(request["certificateId"], renewed["certificateId"]);
    let chain: Vec<String> = vec![text(&request, "/certificate")];
    let above = text(&request, "/certificateChain");
    let above = above.split_inclusive("-----END CERTIFICATE-----").filter(|it| it.contains("BEGIN"));
    let chain: Vec<String> = chain.into_iter().chain(above.map(|it| format!("{}\n", it.trim()))).collect();
    judge::openssl_verifies(&chain, world.now_seconds());
    let old = ok(&agent, Method::GET, &path, None).await;
    assert_eq!(old["certificate"]["renewedByCertificateId"], renewed["certificateId"]);
    world.stop().await;
}

/// The first look at a request; the next would be ten seconds later, so it must be issued by then.
async fn poll(client: &Client, answer: &Value) -> Value {
    let path = format!("{CERT_MANAGER}/certificates/certificate-requests/{}", text(answer, "/certificateRequestId"));
    let request = ok(client, Method::GET, &path, None).await;
    assert_fields("request", &request, REQUEST);
    assert_eq!(request["status"], "issued");
    assert_eq!(request["errorMessage"], Value::Null);
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terraform_makes_authorities_by_two_resources() {
    let world = World::start().await;
    let (id, secret) = machine(&world, "admin").await;
    let body = json!({"clientId": id, "clientSecret": secret}).to_string();
    let (terraform, _) = login(&world, LOGIN, "application/json", body).await;
    let cas = format!("{CERT_MANAGER}/ca/internal");

    // No dates, no project, and empty texts are left out.
    let root = json!({"name": "tf-root", "status": "active", "configuration":
        {"type": "root", "commonName": "Terraform Root", "keyAlgorithm": "RSA_2048"}});
    let root = ok(&terraform, Method::POST, &cas, Some(&root)).await;
    assert_fields("ca", &root, CA);
    assert_fields(
        "ca.configuration",
        &root["configuration"],
        &[
            ("type", "text"),
            ("commonName", "text"),
            ("organization", "text"),
            ("ou", "text"),
            ("country", "text"),
            ("province", "text"),
            ("locality", "text"),
            ("keyAlgorithm", "text"),
            ("dn", "text?"),
            ("parentCaId", "uuid?"),
            ("serialNumber", "text?"),
            ("activeCaCertId", "uuid?"),
        ],
    );
    assert_eq!((&root["status"], &root["type"]), (&json!("pending-certificate"), &json!("internal")));
    let root_path = format!("{cas}/{}", text(&root, "/id"));
    let update = json!({"name": "tf-root", "status": "active", "configuration": {"type": "root",
        "commonName": "Terraform Root", "keyAlgorithm": "RSA_2048"}});
    ok(&terraform, Method::PATCH, &root_path, Some(&update)).await;

    let dates = json!({"notBefore": "2026-01-15", "notAfter": "2036-01-15T00:00:00.000Z", "maxPathLength": -1});
    let made = ok(&terraform, Method::POST, &format!("{root_path}/certificate"), Some(&dates)).await;
    assert_fields("ca certificate", &made, CA_CERTIFICATE);
    assert_eq!((&made["notBefore"], &made["maxPathLength"]), (&json!("2026-01-15T00:00:00.000Z"), &json!(-1)));
    let issuing = json!({"name": "tf-issuing", "status": "active", "configuration":
        {"type": "intermediate", "commonName": "Terraform Issuing", "keyAlgorithm": "RSA_2048"}});
    let issuing = ok(&terraform, Method::POST, &cas, Some(&issuing)).await;
    let issuing_path = format!("{cas}/{}", text(&issuing, "/id"));
    let body = json!({"notBefore": "2026-01-15T12:00:00Z", "notAfter": "2031-01-15T00:00:00Z", "maxPathLength": 0,
        "parentCaId": root["id"]});
    let made = ok(&terraform, Method::POST, &format!("{issuing_path}/certificate"), Some(&body)).await;
    let read = format!("{issuing_path}/certificate/{}", text(&made, "/certId"));
    assert_eq!(ok(&terraform, Method::GET, &read, None).await, made);
    assert_eq!(ok(&terraform, Method::GET, &issuing_path, None).await["status"], "active");

    // A read of what is gone says so by its status.
    for gone in [format!("{cas}/{}", uuid::Uuid::nil()), format!("{issuing_path}/certificate/{}", uuid::Uuid::nil())] {
        assert_eq!(status_of(&terraform, &gone).await, 404);
    }
    assert_eq!(status_of(&terraform, &format!("{cas}/gone")).await, 422);
    let refused = terraform.delete(&root_path).await.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.body);
    ok(&terraform, Method::DELETE, &issuing_path, None).await;
    ok(&terraform, Method::DELETE, &root_path, None).await;
    assert_eq!(ok(&terraform, Method::GET, &cas, None).await, json!([]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terraform_clears_blocks_of_a_policy_with_null() {
    let world = World::start().await;
    let (id, secret) = machine(&world, "admin").await;
    let body = json!({"clientId": id, "clientSecret": secret}).to_string();
    let (terraform, _) = login(&world, LOGIN, "application/json", body).await;

    let policies = format!("{CERT_MANAGER}/certificate-policies");
    let policy = json!({"name": "tf-policy", "description": "from a file",
        "subject": [{"type": "common_name", "allowed": ["*.acme.test"]}, {"type": "organization", "required": ["Acme"]}],
        "sans": [{"type": "dns_name", "allowed": ["*.acme.test"], "denied": ["secret.acme.test"]}],
        "keyUsages": {"required": ["digital_signature"], "allowed": ["key_encipherment"]},
        "extendedKeyUsages": {"allowed": ["server_auth"]},
        "algorithms": {"signature": ["SHA256-ECDSA"], "keyAlgorithm": ["ECDSA-P256", "RSA-2048"]},
        "validity": {"max": "90d"}, "basicConstraints": {"isCA": "denied"}});
    let made = ok(&terraform, Method::POST, &policies, Some(&policy)).await["certificatePolicy"].clone();
    assert_fields("policy", &made, POLICY);
    let policy_path = format!("{policies}/{}", text(&made, "/id"));
    let read = ok(&terraform, Method::GET, &policy_path, None).await["certificatePolicy"].clone();
    for (block, said) in policy.as_object().unwrap() {
        assert_eq!(read[block], *said, "{block} reads back as it was written");
    }
    // Every block is sent on an update, null where it was taken out of the file.
    let update = json!({"name": "tf-policy", "description": "shorter", "subject": null,
        "sans": [{"type": "dns_name", "allowed": ["*.acme.test"]}], "keyUsages": null, "extendedKeyUsages": null,
        "algorithms": null, "validity": {"max": "30d"}, "basicConstraints": null});
    let made = ok(&terraform, Method::PATCH, &policy_path, Some(&update)).await["certificatePolicy"].clone();
    for block in ["subject", "keyUsages", "extendedKeyUsages", "algorithms", "basicConstraints"] {
        assert_eq!(made[block], Value::Null, "{block} is cleared");
    }
    assert_eq!((&made["validity"], &made["sans"]), (&update["validity"], &update["sans"]));
    ok(&terraform, Method::DELETE, &policy_path, None).await;
    assert_eq!(status_of(&terraform, &policy_path).await, 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terraform_writes_a_profile_and_requests_in_its_own_words() {
    let world = World::start().await;
    let issuing = world.pki().await.issuing;
    let policies = format!("{CERT_MANAGER}/certificate-policies");
    let policy = world.admin().ok(Method::POST, &policies, Some(&json!({"name": "tf-policy"}))).await;
    let policy = id_at(&policy, "/certificatePolicy/id");
    let (id, secret) = machine(&world, "admin").await;
    let body = json!({"clientId": id, "clientSecret": secret}).to_string();
    let (terraform, _) = login(&world, LOGIN, "application/json", body).await;

    let profiles = format!("{CERT_MANAGER}/certificate-profiles");
    let body = json!({"caId": issuing, "certificatePolicyId": policy, "slug": "tf-profile", "issuerType": "ca",
        "description": "from a file", "defaults": {"ttlDays": 20, "organization": "Acme", "keyAlgorithm": "EC_prime256v1"}});
    let profile = ok(&terraform, Method::POST, &profiles, Some(&body)).await["certificateProfile"].clone();
    assert_fields("profile", &profile, PROFILE);
    let profile_path = format!("{profiles}/{}", text(&profile, "/id"));
    let read = ok(&terraform, Method::GET, &format!("{profile_path}?includeConfigs=true"), None).await;
    let read = &read["certificateProfile"];
    assert_fields("profile", read, PROFILE);
    assert_fields(
        "profile.certificateAuthority",
        &read["certificateAuthority"],
        &[("id", "uuid"), ("status", "text"), ("name", "text")],
    );
    assert_fields(
        "profile.certificatePolicy",
        &read["certificatePolicy"],
        &[("id", "uuid"), ("projectId", "uuid"), ("name", "text")],
    );
    assert_eq!(read["defaults"]["ttlDays"], 20);

    // `ou` and `province` are this client's words for two of the subject's fields.
    let certificates = format!("{CERT_MANAGER}/certificates");
    let body = json!({"profileId": profile["id"], "attributes": {"commonName": "www.acme.test", "organization": "Acme",
        "ou": "Ops", "country": "DE", "province": "Bayern", "locality": "Passau", "ttl": "10d",
        "domainComponents": ["acme", "test"], "keyUsages": ["digital_signature"], "extendedKeyUsages": ["server_auth"],
        "keyAlgorithm": "EC_prime256v1", "signatureAlgorithm": "ECDSA-SHA256",
        "altNames": [{"type": "dns_name", "value": "www.acme.test"}]}});
    let issued = ok(&terraform, Method::POST, &certificates, Some(&body)).await;
    assert!(!text(&issued, "/certificate/certificate").is_empty());
    let path = format!("{certificates}/{}", text(&issued, "/certificate/certificateId"));
    let read = ok(&terraform, Method::GET, &path, None).await["certificate"].clone();
    assert_fields("certificate", &read, CERTIFICATE);
    for (field, expected) in [
        ("commonName", json!("www.acme.test")),
        ("subjectOrganizationalUnit", json!("Ops")),
        ("subjectState", json!("Bayern")),
        ("subjectLocality", json!("Passau")),
        ("subjectDomainComponents", json!("acme,test")),
        ("keyUsages", json!(["digital_signature"])),
        ("extendedKeyUsages", json!(["server_auth"])),
        ("keyAlgorithm", json!("EC_prime256v1")),
        ("signatureAlgorithm", json!("ECDSA-SHA256")),
        ("profileId", profile["id"].clone()),
        ("applicationId", Value::Null),
    ] {
        assert_eq!(read[field], expected, "{field}");
    }

    let update = json!({"slug": "tf-profile", "issuerType": "ca", "description": null, "defaults": null});
    let made = ok(&terraform, Method::PATCH, &profile_path, Some(&update)).await["certificateProfile"].clone();
    assert_eq!((&made["description"], &made["defaults"]), (&Value::Null, &Value::Null));
    ok(&terraform, Method::DELETE, &profile_path, None).await;
    assert_eq!(status_of(&terraform, &profile_path).await, 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_kubernetes_issuer_signs_by_ca_with_a_ttl_in_seconds() {
    let world = World::start().await;
    let pki = world.pki().await;
    let direct = json!({"directIssuancePolicyId": pki.template});
    world.admin().ok(Method::PATCH, &format!("{CERT_MANAGER}/ca/internal/{}", pki.issuing), Some(&direct)).await;
    let (id, secret) = machine(&world, "operator").await;
    assert_eq!(world.anonymous().get("/api/status").await.0, 200);
    let form = format!("clientId={id}&clientSecret={secret}");
    let (issuer, _) = login(&world, LOGIN, "application/x-www-form-urlencoded", form).await;
    let sign = "/api/v1/pki/certificates/sign-certificate";
    for (ttl, length) in [("7776000s", 7_776_000), ("90d", 7_776_000), ("3600s", 3_600)] {
        let csr = issuers_csr();
        let body = json!({"caId": pki.issuing, "csr": csr, "ttl": ttl});
        let signed = ok(&issuer, Method::POST, sign, Some(&body)).await;
        assert_fields(
            "sign",
            &signed,
            &[
                ("certificate", "text"),
                ("certificateChain", "text"),
                ("issuingCaCertificate", "text"),
                ("serialNumber", "text"),
            ],
        );
        assert!(signed.get("privateKey").is_none());
        let chain = chain_of(&json!({"certificate": signed}));
        assert_eq!(chain.len(), 3, "the chain must not be empty, and ends with the root");
        judge::openssl_verifies(&chain, world.now_seconds());
        // The end is inclusive; OpenSSL alone counts the last second as over.
        judge::webpki_verifies(&chain, "www.acme.test", world.now_seconds() + length - 1);
        judge::webpki_refuses(&chain, "www.acme.test", world.now_seconds() + length);
    }
    let body = json!({"certificateTemplateId": pki.template, "csr": issuers_csr(), "ttl": "90d"});
    let refused = issuer.post(sign, &body).await.unwrap();
    assert_eq!(refused.status, 400, "a template alone names no issuer: {}", refused.body);
    assert!(text(&refused.body, "/message").contains("profile"));
    world.stop().await;
}

/// cert-manager's habit: names in the SANs, no subject.
fn issuers_csr() -> String {
    certification_request_with("", &[(GeneralNameKind::DnsName, "www.acme.test")], K::EcP256).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_kubernetes_issuer_signs_by_profile() {
    let world = World::start().await;
    let pki = world.pki().await;
    let (id, secret) = machine(&world, "operator").await;
    let body = json!({"clientId": id, "clientSecret": secret}).to_string();
    let (issuer, _) = login(&world, LOGIN, "application/json", body).await;
    let slug = ok(&issuer, Method::GET, &format!("{CERT_MANAGER}/certificate-profiles/{}", pki.profile), None).await;
    let slug = text(&slug, "/certificateProfile/slug");
    let profile = ok(&issuer, Method::GET, &format!("{CERT_MANAGER}/certificate-profiles/slug/{slug}"), None).await;
    assert_eq!(id_at(&profile, "/certificateProfile/id"), pki.profile);
    let (csr, _) = certification_request("", &["www.acme.test"], K::Rsa2048);
    for body in [
        json!({"profileId": pki.profile, "csr": csr, "attributes": {"ttl": "2160h"}}),
        json!({"profileId": pki.profile, "csr": csr}),
    ] {
        let issued = ok(&issuer, Method::POST, &format!("{CERT_MANAGER}/certificates"), Some(&body)).await;
        assert_fields(
            "issue",
            &issued,
            &[("certificate", "object"), ("certificateRequestId", "uuid"), ("status", "text")],
        );
        let request = poll(&issuer, &issued).await;
        assert_eq!(request["privateKey"], Value::Null);
        let bundle = format!("{CERT_MANAGER}/certificates/{}/bundle", text(&request, "/certificateId"));
        let bundle = ok(&issuer, Method::GET, &bundle, None).await;
        assert_eq!(bundle["certificate"], issued["certificate"]["certificate"]);
        assert_eq!(bundle["privateKey"], Value::Null);
        // The last certificate of the chain becomes ca.crt, so the root must be there and nothing but certificates.
        let chain = text(&bundle, "/certificateChain");
        assert_eq!(chain.matches("-----BEGIN ").count(), chain.matches("-----BEGIN CERTIFICATE-----").count());
        let chain = chain_of(&json!({"certificate": bundle}));
        let root = judge::openssl_text(chain.last().unwrap());
        assert!(root.contains("Issuer: CN=World root") && root.contains("Subject: CN=World root"), "{root}");
        judge::openssl_verifies(&chain, world.now_seconds());
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inventory_lists_have_the_shape_that_clients_read() {
    let world = World::start().await;
    let pki = world.pki().await;
    world.issue(pki.profile, &json!({})).await;
    let session: &Session = world.auditor();
    let projects = session.ok(Method::GET, "/api/v1/projects", None).await;
    assert_fields("project", &projects["projects"][0], PROJECT);
    let project = text(&projects, "/projects/0/id");
    let workspace = session.ok(Method::GET, &format!("/api/v1/workspace/{project}"), None).await;
    assert_eq!(workspace["workspace"], projects["projects"][0]);
    assert_eq!(session.ok(Method::GET, "/api/v2/workspace/default", None).await, projects["projects"][0]);

    for path in
        ["/api/v2/workspace/default/certificates".to_owned(), format!("/api/v1/projects/{project}/certificates")]
    {
        let list = session.ok(Method::GET, &path, None).await;
        assert_fields(&path, &list, &[("certificates", "list"), ("totalCount", "number")]);
        assert_fields(&path, &list["certificates"][0], CERTIFICATE);
    }
    let search = format!("/api/v1/projects/{project}/certificates/search");
    let found = session.ok(Method::POST, &search, Some(&json!({"limit": 1, "forPkiSync": false}))).await;
    assert_fields(&search, &found["certificates"][0], CERTIFICATE);
    let requests = format!("{CERT_MANAGER}/certificates/certificate-requests/search");
    let found = session.ok(Method::POST, &requests, Some(&json!({}))).await;
    assert_fields(
        "request row",
        &found["certificateRequests"][0],
        &[
            ("id", "uuid"),
            ("status", "text"),
            ("commonName", "text?"),
            ("altNames", "text?"),
            ("profileId", "uuid?"),
            ("profileName", "text?"),
            ("caId", "uuid?"),
            ("certificateId", "uuid?"),
            ("approvalRequestId", "uuid?"),
            ("errorMessage", "text?"),
            ("pendingMessage", "text?"),
            ("createdAt", "time"),
            ("updatedAt", "time"),
            ("certificate", "object?"),
        ],
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configuration_lists_have_the_shape_that_clients_read() {
    let world = World::start().await;
    let pki = world.pki().await;
    world.issue(pki.profile, &json!({})).await;
    let session: &Session = world.auditor();
    let project = text(&session.get("/api/v1/projects").await.1, "/projects/0/id");
    for base in [CERT_MANAGER, "/api/v1/pki"] {
        let profiles = session.ok(Method::GET, &format!("{base}/certificate-profiles"), None).await;
        assert_fields(base, &profiles, &[("certificateProfiles", "list"), ("totalCount", "number")]);
        assert_fields(base, &profiles["certificateProfiles"][0], PROFILE);
        let of_one = format!("{base}/certificate-profiles/{}/certificates", pki.profile);
        let certificates = session.ok(Method::GET, &of_one, None).await;
        assert_fields(
            &of_one,
            &certificates["certificates"][0],
            &[
                ("id", "uuid"),
                ("serialNumber", "text"),
                ("cn", "text"),
                ("status", "text"),
                ("notBefore", "time"),
                ("notAfter", "time"),
                ("createdAt", "time"),
            ],
        );
    }
    for (path, one, list) in [
        ("/api/v1/cert-manager/certificate-policies", "certificatePolicy", "certificatePolicies"),
        ("/api/v2/certificate-templates", "certificateTemplate", "certificateTemplates"),
    ] {
        let policies = session.ok(Method::GET, path, None).await;
        assert_fields(path, &policies, &[(list, "list"), ("totalCount", "number")]);
        assert_fields(path, &policies[list][0], POLICY);
        let read = session.ok(Method::GET, &format!("{path}/{}", pki.template), None).await;
        assert_fields(path, &read[one], POLICY);
    }
    let cas = session.ok(Method::GET, &format!("{CERT_MANAGER}/ca?projectId={project}"), None).await;
    assert_fields("ca", &cas["certificateAuthorities"][0], CA);
    let certificates = format!("{CERT_MANAGER}/ca/internal/{}/ca-certificates", pki.root);
    let certificates = session.ok(Method::GET, &certificates, None).await;
    assert_fields("ca-certificates", &certificates[0], CA_CERTIFICATE);
    assert_fields("ca-certificates", &certificates[0], &[("version", "number")]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_forms_take_and_give_everything_at_the_top_level() {
    let world = World::start().await;
    let pki = world.pki().await;
    let names = json!([{"type": "dns_name", "value": "www.acme.test"}, {"type": "dns_name", "value": "api.acme.test"}]);
    let (csr, _) = certification_request("www.acme.test", &["api.acme.test"], K::EcP256);
    for (route, body, keyed) in [
        (
            "issue-certificate",
            json!({"profileId": pki.profile, "commonName": "www.acme.test", "altNames": names, "ttl": "30d",
                "keyAlgorithm": "EC_prime256v1", "signatureAlgorithm": "ECDSA-SHA256"}),
            true,
        ),
        ("sign-certificate", json!({"profileId": pki.profile, "csr": csr, "ttl": "30d"}), false),
    ] {
        let path = format!("{CERT_MANAGER}/certificates/{route}");
        let issued = world.operator().ok(Method::POST, &path, Some(&body)).await;
        assert_fields(route, &issued, ISSUED);
        assert_fields(route, &issued, &[("certificateRequestId", "uuid")]);
        assert_eq!(issued.get("privateKey").is_some(), keyed, "{route}");
        judge::openssl_verifies(&chain_of(&json!({"certificate": issued})), world.now_seconds());
        let read = format!("{CERT_MANAGER}/certificates/{}", text(&issued, "/certificateId"));
        let read = world.operator().ok(Method::GET, &read, None).await;
        assert_eq!(read["certificate"]["altNames"], "www.acme.test,api.acme.test", "{route}");
    }
    world.stop().await;
}
