//! Certificates from a real OpenBao, by the whole product.
//!
//! ```text
//! OpenBao: pki (root, role server)
//!   ├─ external CA "bao" by AppRole ── profile ── www.acme.test
//!   └─ intermediate CA of ours, signed there in one step ── profile ── api.acme.test
//! ```
//!
//! Verified: with and without a CSR, the answer that waits and the one that does not, renewal, revocation there too, a
//! refusal of the role in its words, secrets that never come out again, and an intermediate CA.

use chancery_model::Clock as _;
use chancery_model::time::SystemClock;
use chancery_pkix::KeyAlgorithm;
use chancery_testkit::foreign::Bao;
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, World, certification_request, id_at, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const POLICY: &str = r#"
path "pki/sign/server"            { capabilities = ["update"] }
path "pki/root/sign-intermediate" { capabilities = ["update"] }
path "pki/revoke"                 { capabilities = ["update"] }
path "pki/roles/server"           { capabilities = ["read"] }
path "pki/certs"                  { capabilities = ["list"] }
path "pki/cert/+"                 { capabilities = ["read"] }
"#;

struct Elsewhere {
    bao: Bao,
    world: World,
    connection: Uuid,
    secret_id: String,
}

impl Elsewhere {
    async fn start() -> Self {
        let bao = Bao::start().await;
        // It works by the real clock, so this server starts there.
        let world = World::builder().with_egress_to_loopback(bao.ca_pem()).fixed_clock(SystemClock.now()).start().await;
        let (role_id, secret_id) = bao.make_app_role("chancery", POLICY).await;
        let body = json!({
            "name": "bao", "method": "app-role",
            "credentials": { "instanceUrl": bao.url(), "roleId": role_id, "secretId": secret_id, "caCertificate": bao.ca_pem() },
        });
        let made = world.admin().ok(Method::POST, "/api/v1/app-connections/hashicorp-vault", Some(&body)).await;
        let connection = id_at(&made, "/appConnection/id");
        Self { bao, world, connection, secret_id }
    }

    async fn ca(&self) -> Uuid {
        let body = json!({
            "name": "bao", "status": "active",
            "configuration": { "appConnectionId": self.connection, "mount": Bao::MOUNT, "role": Bao::ROLE },
        });
        let made = self.world.admin().ok(Method::POST, &format!("{CERT_MANAGER}/ca/vault"), Some(&body)).await;
        id_at(&made, "/id")
    }

    async fn profile(&self) -> Uuid {
        let template = self.world.template(&json!({})).await;
        self.world.profile(&json!({ "caId": self.ca().await, "certificatePolicyId": template })).await
    }

    /// The certificate of a request that may have had to wait.
    async fn issued(&self, answer: &Value) -> Value {
        let request = self.world.settle_order(&text(answer, "/certificateRequestId")).await;
        assert_eq!(request["status"], "issued", "{request:#}");
        let path = format!("{CERT_MANAGER}/certificates/{}", text(&request, "/certificateId"));
        self.world.operator().ok(Method::GET, &path, None).await["certificate"].take()
    }

    async fn bundle(&self, certificate: &Value) -> Vec<String> {
        let path = format!("{CERT_MANAGER}/certificates/{}/bundle", text(certificate, "/id"));
        let bundle = self.world.operator().ok(Method::GET, &path, None).await;
        let mut chain = vec![text(&bundle, "/certificate")];
        for block in text(&bundle, "/certificateChain").split_inclusive("-----END CERTIFICATE-----") {
            if block.contains("BEGIN") {
                chain.push(format!("{}\n", block.trim()));
            }
        }
        chain
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_ca_is_issued_renewed_and_revoked_like_one_of_our_own() {
    let elsewhere = Elsewhere::start().await;
    let (world, profile) = (&elsewhere.world, elsewhere.profile().await);

    let answer = world.issue(profile, &json!({ "attributes": { "commonName": "www.acme.test", "ttl": "30d" } })).await;
    let first = elsewhere.issued(&answer).await;
    judge::openssl_verifies(&elsewhere.bundle(&first).await, world.now_seconds());

    let (csr, _) = certification_request("api.acme.test", &["api.acme.test"], KeyAlgorithm::EcP256);
    let answer = world.issue(profile, &json!({ "csr": csr, "attributes": { "ttl": "30d" } })).await;
    let by_csr = elsewhere.issued(&answer).await;
    assert_eq!(text(&by_csr, "/commonName"), "api.acme.test");

    let path = format!("{CERT_MANAGER}/certificates/{}/renew", text(&first, "/id"));
    let renewed = elsewhere.issued(&world.operator().ok(Method::POST, &path, Some(&json!({}))).await).await;
    assert_ne!(renewed["serialNumber"], first["serialNumber"]);

    let path = format!("{CERT_MANAGER}/certificates/{}/revoke", text(&renewed, "/id"));
    world.operator().ok(Method::POST, &path, Some(&json!({ "revocationReason": "SUPERSEDED" }))).await;
    let serial = text(&renewed, "/serialNumber");
    let mut revoked = Value::Null;
    for _ in 0..50 {
        world.authority().run_due_jobs().await;
        let listed = elsewhere.bao.api(Method::GET, "pki/certs/revoked?list=true", None).await.1;
        revoked = listed["data"]["keys"].clone();
        if revoked.is_array() {
            break;
        }
    }
    let there: Vec<String> =
        revoked.as_array().unwrap().iter().map(|it| it.as_str().unwrap().replace(':', "")).collect();
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!(there[0].trim_start_matches('0'), serial.trim_start_matches('0'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_the_role_is_said_in_its_words_and_no_secret_comes_out() {
    let elsewhere = Elsewhere::start().await;
    let (world, profile) = (&elsewhere.world, elsewhere.profile().await);
    let role = json!({ "allowed_domains": ["other.test"], "allow_subdomains": true, "key_type": "any" });
    elsewhere.bao.ok(Method::POST, &format!("pki/roles/{}", Bao::ROLE), Some(&role)).await;
    let body = json!({ "profileId": profile, "attributes": { "commonName": "www.acme.test", "ttl": "30d" } });
    let (_, answer) = world.operator().post(&format!("{CERT_MANAGER}/certificates"), &body).await;
    let request = world.settle_order(&text(&answer, "/certificateRequestId")).await;
    assert_eq!(request["status"], "failed", "{request:#}");
    let why = text(&request, "/errorMessage");
    assert!(why.contains("www.acme.test") && why.contains("not allowed by this role"), "{why}");

    let (_, connections) = world.admin().get("/api/v1/app-connections").await;
    let (_, cas) = world.admin().get(&format!("{CERT_MANAGER}/ca")).await;
    let (_, audit) = world.admin().get("/api/v1/audit-logs").await;
    for said in [&connections, &cas, &audit, &request] {
        assert!(!said.to_string().contains(&elsewhere.secret_id), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intermediate_ca_of_ours_is_signed_there_in_one_step() {
    let elsewhere = Elsewhere::start().await;
    let world = &elsewhere.world;
    let configuration = json!({ "type": "intermediate", "commonName": "Ours", "keyAlgorithm": "EC_prime256v1" });
    let ca = world.ca(&json!({ "name": "ours", "configuration": configuration })).await;
    let base = format!("{CERT_MANAGER}/ca/internal/{ca}");
    let signing = json!({ "type": "vault", "appConnectionId": elsewhere.connection, "destinationConfig": { "mount": Bao::MOUNT } });
    world.admin().ok(Method::POST, &format!("{base}/signing-config"), Some(&signing)).await;
    let wish = json!({ "maxPathLength": 0, "notAfter": world.date_in_days(1_000) });
    world.admin().ok(Method::POST, &format!("{base}/install-certificate-vault"), Some(&wish)).await;

    let template = world.template(&json!({})).await;
    let profile = world.profile(&json!({ "caId": ca, "certificatePolicyId": template })).await;
    let issued = world.issue(profile, &json!({ "attributes": { "commonName": "api.acme.test", "ttl": "30d" } })).await;
    let certificate = json!({ "id": text(&issued, "/certificate/certificateId") });
    let chain = elsewhere.bundle(&certificate).await;
    assert_eq!(chain.len(), 3, "{chain:?}");
    judge::openssl_verifies(&chain, world.now_seconds());
}
