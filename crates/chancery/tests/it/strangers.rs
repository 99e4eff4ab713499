//! Strangers judge our bytes: OpenSSL, rustls-webpki, pyca/cryptography and pkilint on certificates issued over the API.
//!
//! ```text
//! root (each algorithm) ── depth 1: leaf
//!                       └─ intermediate ── depth 2: leaf
//!                                       └─ issuing ── depth 3: leaf
//! ```
//!
//! Verified: strict path validation for every classic algorithm at depths 1 to 3 by two validators, ML-DSA by a third;
//! no linter error over every profile kind, preset, SAN kind and algorithm; each CSR key type is accepted.

use chancery_pkix::KeyAlgorithm;
use chancery_testkit::judge::{self, NamedChain};
use chancery_testkit::world::{CERT_MANAGER, World, certification_request, id_at, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use KeyAlgorithm as K;

const CLASSIC: &[K] = &[K::Rsa2048, K::Rsa3072, K::Rsa4096, K::EcP256, K::EcP384, K::EcP521, K::Ed25519];
const POST_QUANTUM: &[K] = &[K::MlDsa44, K::MlDsa65, K::MlDsa87];

/// A preset's template, with no more rules than that.
async fn preset_template(world: &World, preset: &str) -> Uuid {
    let body = json!({"name": format!("only-{preset}"), "preset": preset});
    let made = world.admin().ok(Method::POST, &format!("{CERT_MANAGER}/certificate-policies"), Some(&body)).await;
    id_at(&made, "/certificatePolicy/id")
}

async fn profile(world: &World, template: Uuid, ca: Uuid) -> Uuid {
    world.profile(&json!({"caId": ca, "certificatePolicyId": template})).await
}

/// One leaf from each depth below a fresh root, all keys of one algorithm.
async fn leaves(world: &World, algorithm: K, template: Uuid) -> Vec<Value> {
    let name = algorithm.as_str().to_ascii_lowercase().replace('_', "-");
    let root = world.root_ca(&format!("{name}-1"), algorithm).await;
    let below = json!({"notAfter": world.date_in_days(1825), "maxPathLength": -1, "parentCaId": root});
    let middle = world.intermediate_ca(&format!("{name}-2"), algorithm, &below).await;
    let issuing = world.issuing_ca(&format!("{name}-3"), algorithm, middle).await;
    let mut leaves = Vec::new();
    for ca in [root, middle, issuing] {
        let profile = profile(world, template, ca).await;
        let attributes = json!({"commonName": "www.acme.test", "ttl": "90d", "keyAlgorithm": algorithm.as_str()});
        leaves.push(world.issue(profile, &json!({"attributes": attributes})).await);
    }
    leaves
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_classic_algorithm_verifies_at_every_depth() {
    let world = World::start().await;
    let template = preset_template(&world, "tls-server").await;
    for algorithm in CLASSIC {
        for (depth, leaf) in leaves(&world, *algorithm, template).await.iter().enumerate() {
            let chain = chain_of(leaf);
            assert_eq!(chain.len(), depth + 2, "{algorithm:?}");
            judge::openssl_verifies(&chain, world.now_seconds());
            judge::webpki_verifies(&chain, "www.acme.test", world.now_seconds());
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_post_quantum_algorithm_verifies_at_every_depth() {
    let world = World::start().await;
    let template = preset_template(&world, "tls-server").await;
    let mut chains = Vec::new();
    for algorithm in POST_QUANTUM {
        for (depth, leaf) in leaves(&world, *algorithm, template).await.iter().enumerate() {
            chains
                .push(NamedChain { name: format!("{algorithm:?} depth {}", depth + 1), certificates: chain_of(leaf) });
        }
    }
    judge::cryptography_verifies(&chains, world.now_seconds());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsa_pss_is_selectable_and_verifies() {
    let world = World::start().await;
    let template = preset_template(&world, "tls-server").await;
    let root = world.root_ca("pss", K::Rsa2048).await;
    let profile = profile(&world, template, root).await;
    for hash in ["256", "384", "512"] {
        let signature = format!("RSA-PSS-SHA{hash}");
        let attributes = json!({"commonName": "www.acme.test", "ttl": "90d", "signatureAlgorithm": signature});
        let chain = chain_of(&world.issue(profile, &json!({"attributes": attributes})).await);
        judge::openssl_verifies(&chain, world.now_seconds());
        assert!(judge::openssl_text(&chain[0]).contains("rsassaPss"));
    }
    world.stop().await;
}

/// Every SAN kind the API knows, in values that a linter has opinions on. No wildcard: the linter holds DNS names to the
/// preferred name syntax, which has none (RFC 5280 §4.2.1.6); RFC 9525 §6.3 is what permits them.
fn every_san_kind() -> Value {
    json!([
        {"type": "dns_name", "value": "www.acme.test"},
        {"type": "ip_address", "value": "192.0.2.7"},
        {"type": "ip_address", "value": "2001:db8::7"},
        {"type": "email", "value": "ops@acme.test"},
        {"type": "uri", "value": "https://acme.test/service"},
        {"type": "upn", "value": "ops@acme.test"},
        {"type": "other_name", "value": "1.3.6.1.4.1.55555.1;utf8:device-7"},
        {"type": "directory_name", "value": "CN=device-7,O=Acme"},
        {"type": "registered_id", "value": "1.3.6.1.4.1.55555.2"},
    ])
}

/// A request that fits the preset.
fn attributes_for(preset: &str) -> Value {
    match preset {
        "tls-server" | "dual-purpose-server" => json!({"commonName": "www.acme.test", "ttl": "30d"}),
        "email-protection" | "user" => {
            json!({"commonName": "Jane Doe", "ttl": "30d", "altNames": [{"type": "email", "value": "jane@acme.test"}]})
        }
        _ => json!({"commonName": "device 7", "ttl": "30d"}),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_linter_finds_no_error_on_anything_we_issue() {
    let world = World::start().await;
    let root = world
        .ca(&json!({"name": "lint-root", "configuration": {
            "type": "root", "commonName": "Lint Root", "organization": "Acme", "country": "de",
            "keyAlgorithm": "EC_secp384r1", "notAfter": world.date_in_days(3650),
            "nameConstraints": {"permitted": [], "excluded": [{"type": "dns_name", "value": "forbidden.example"}]},
        }}))
        .await;
    let below = json!({"notAfter": world.date_in_days(1825), "maxPathLength": -1, "parentCaId": root});
    let ca = world.intermediate_ca("lint-issuing", K::EcP256, &below).await;
    let mut sample: Vec<(String, String)> = Vec::new();
    let mut take = |name: &str, issued: &Value| {
        let chain = chain_of(issued);
        sample.extend(chain.into_iter().enumerate().map(|(place, pem)| (format!("{name} [{place}]"), pem)));
    };

    let presets = world.admin().get(&format!("{CERT_MANAGER}/certificate-policies/presets")).await.1;
    for preset in presets["presets"].as_array().expect("presets") {
        let id = text(preset, "/id");
        let profile = profile(&world, preset_template(&world, &id).await, ca).await;
        take(&id, &world.issue(profile, &json!({"attributes": attributes_for(&id)})).await);
    }

    let open = json!({"name": "open"});
    let open = world.admin().ok(Method::POST, &format!("{CERT_MANAGER}/certificate-policies"), Some(&open)).await;
    let open = id_at(&open, "/certificatePolicy/id");
    let any = profile(&world, open, ca).await;
    let full = json!({"commonName": "www.acme.test", "organization": "Acme", "country": "DE", "state": "Bayern",
        "locality": "München", "organizationalUnit": "Ops", "domainComponents": ["acme", "test"], "ttl": "30d",
        "altNames": every_san_kind(), "keyUsages": ["digital_signature"],
        "extendedKeyUsages": ["server_auth", "client_auth"]});
    take("every SAN kind", &world.issue(any, &json!({"attributes": full})).await);
    let nameless = json!({"ttl": "30d", "altNames": [{"type": "dns_name", "value": "www.acme.test"}],
        "keyUsages": ["digital_signature"]});
    take("empty subject", &world.issue(any, &json!({"attributes": nameless})).await);
    let plain = json!({"commonName": "www.acme.test", "ttl": "30d", "keyUsages": ["digital_signature"]});
    for algorithm in CLASSIC.iter().chain(POST_QUANTUM) {
        let mut attributes = plain.clone();
        attributes["keyAlgorithm"] = json!(algorithm.as_str());
        take(algorithm.as_str(), &world.issue(any, &json!({"attributes": attributes})).await);
    }
    let own = world.profile(&json!({"issuerType": "self-signed", "certificatePolicyId": open})).await;
    take("self-signed", &world.issue(own, &json!({"attributes": plain})).await);
    judge::pkilint_finds_no_error(&sample);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_csr_works_with_every_key_type() {
    let world = World::start().await;
    let root = world.root_ca("csr-root", K::EcP256).await;
    let profile = profile(&world, preset_template(&world, "tls-server").await, root).await;
    let mut judged = Vec::new();
    for algorithm in CLASSIC.iter().chain(POST_QUANTUM) {
        let (csr, _) = certification_request("www.acme.test", &[], *algorithm);
        let issued = world.issue(profile, &json!({"csr": csr, "attributes": {"ttl": "90d"}})).await;
        assert!(issued["certificate"].get("privateKey").is_none(), "{algorithm:?}");
        let certificates = chain_of(&issued);
        if CLASSIC.contains(algorithm) {
            judge::openssl_verifies(&certificates, world.now_seconds());
            judge::webpki_verifies(&certificates, "www.acme.test", world.now_seconds());
        }
        judged.push(NamedChain { name: format!("{algorithm:?}"), certificates });
    }
    judge::cryptography_verifies(&judged, world.now_seconds());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pkcs12_opens_in_openssl() {
    let world = World::start().await;
    let pki = world.pki().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let path = format!("{CERT_MANAGER}/certificates/{}/pkcs12", text(&issued, "/certificate/certificateId"));
    let body = json!({"password": "correct horse", "alias": "www"});
    let (status, bytes) = world.admin().send_raw(Method::POST, &path, Some(&body)).await.expect("an answer");
    assert_eq!(status, 200);
    let inside = judge::openssl_opens_pkcs12(&bytes, "correct horse");
    assert!(inside.contains("PRIVATE KEY-----"));
    assert_eq!(inside.matches("BEGIN CERTIFICATE").count(), 3, "leaf, issuing CA and root");
    world.stop().await;
}

/// Leaf, then every certificate of its chain, as PEM.
pub fn chain_of(issued: &Value) -> Vec<String> {
    let bundle = text(issued, "/certificate/certificateChain");
    let above = bundle.split_inclusive("-----END CERTIFICATE-----").filter(|block| block.contains("BEGIN"));
    std::iter::once(text(issued, "/certificate/certificate"))
        .chain(above.map(|block| format!("{}\n", block.trim())))
        .collect()
}
