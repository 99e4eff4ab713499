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

use chancery_testkit::judge::{self, NamedChain};
use chancery_testkit::world::World;
use serde_json::{Value, json};

use crate::pki::{self, chain_of};

const CLASSIC: &[&str] =
    &["RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1", "Ed25519"];
const POST_QUANTUM: &[&str] = &["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"];

fn slug(algorithm: &str) -> String {
    algorithm.to_ascii_lowercase().replace('_', "-")
}

/// One leaf from each depth below a fresh root, all keys of one algorithm.
async fn leaves(world: &World, algorithm: &str, template: &str) -> Vec<Value> {
    let admin = world.admin();
    let name = slug(algorithm);
    let root = pki::root(admin, &format!("{name}-1"), algorithm, json!({})).await;
    let middle = pki::intermediate(admin, &root, &format!("{name}-2"), algorithm, json!({})).await;
    let issuing = pki::intermediate(admin, &middle, &format!("{name}-3"), algorithm, json!({})).await;
    let mut leaves = Vec::new();
    for (depth, ca) in [root, middle, issuing].iter().enumerate() {
        let profile = pki::profile(admin, &format!("{name}-{depth}"), template, Some(ca), json!({})).await;
        let attributes = json!({"commonName": "www.acme.com", "ttl": "90d", "keyAlgorithm": algorithm});
        leaves.push(pki::issue(admin, &profile, attributes).await);
    }
    leaves
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_classic_algorithm_verifies_at_every_depth() {
    let world = World::start().await;
    let template = pki::template(world.admin(), "tls", "tls-server", json!({})).await;
    for algorithm in CLASSIC {
        for (depth, leaf) in leaves(&world, algorithm, &template).await.iter().enumerate() {
            let chain = chain_of(leaf);
            assert_eq!(chain.len(), depth + 2, "{algorithm}");
            judge::openssl_verifies(&chain, world.now_seconds());
            judge::webpki_verifies(&chain, "www.acme.com", world.now_seconds());
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_post_quantum_algorithm_verifies_at_every_depth() {
    let world = World::start().await;
    let template = pki::template(world.admin(), "tls", "tls-server", json!({})).await;
    let mut chains = Vec::new();
    for algorithm in POST_QUANTUM {
        for (depth, leaf) in leaves(&world, algorithm, &template).await.iter().enumerate() {
            chains.push(NamedChain { name: format!("{algorithm} depth {}", depth + 1), certificates: chain_of(leaf) });
        }
    }
    judge::cryptography_verifies(&chains, world.now_seconds());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsa_pss_is_selectable_and_verifies() {
    let world = World::start().await;
    let admin = world.admin();
    let template = pki::template(admin, "tls", "tls-server", json!({})).await;
    let root = pki::root(admin, "pss", "RSA_2048", json!({})).await;
    let profile = pki::profile(admin, "pss", &template, Some(&root), json!({})).await;
    for hash in ["256", "384", "512"] {
        let attributes = json!({"commonName": "www.acme.com", "ttl": "90d", "signatureAlgorithm": format!("RSA-PSS-SHA{hash}")});
        let chain = chain_of(&pki::issue(admin, &profile, attributes).await);
        judge::openssl_verifies(&chain, world.now_seconds());
        assert!(judge::openssl_text(&chain[0]).contains("rsassaPss"));
    }
    world.stop().await;
}

/// Every SAN kind the API knows, in values that a linter has opinions on.
fn every_san_kind() -> Value {
    json!([
        {"type": "dns_name", "value": "www.acme.com"},
        {"type": "dns_name", "value": "*.acme.com"},
        {"type": "ip_address", "value": "192.0.2.7"},
        {"type": "ip_address", "value": "2001:db8::7"},
        {"type": "email", "value": "ops@acme.com"},
        {"type": "uri", "value": "https://acme.com/service"},
        {"type": "upn", "value": "ops@acme.com"},
        {"type": "other_name", "value": "1.3.6.1.4.1.55555.1;utf8:device-7"},
        {"type": "directory_name", "value": "CN=device-7,O=Acme"},
        {"type": "registered_id", "value": "1.3.6.1.4.1.55555.2"},
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_linter_finds_no_error_on_anything_we_issue() {
    let world = World::start().await;
    let admin = world.admin();
    let root = pki::root(admin, "lint-root", "EC_secp384r1", json!({
        "organization": "Acme", "country": "de",
        "nameConstraints": {"permitted": [], "excluded": [{"type": "dns_name", "value": "forbidden.example"}]},
    })).await;
    let ca = pki::intermediate(admin, &root, "lint-issuing", "EC_prime256v1", json!({})).await;
    let mut sample: Vec<(String, String)> = Vec::new();
    let mut take = |name: &str, issued: &Value| {
        for (place, pem) in chain_of(issued).into_iter().enumerate() {
            sample.push((format!("{name} [{place}]"), pem));
        }
    };

    let presets = pki::get(admin, "/certificate-policies/presets").await;
    for preset in presets["presets"].as_array().expect("presets") {
        let id = pki::text(&preset["id"]);
        let template = pki::template(admin, &format!("preset-{id}"), &id, json!({})).await;
        let profile = pki::profile(admin, &format!("preset-{id}"), &template, Some(&ca), json!({})).await;
        let attributes = match id.as_str() {
            "tls-server" | "dual-purpose-server" => json!({"commonName": "www.acme.com", "ttl": "30d"}),
            "email-protection" | "user" => {
                json!({"commonName": "Jane Doe", "ttl": "30d", "altNames": [{"type": "email", "value": "jane@acme.com"}]})
            }
            _ => json!({"commonName": "device 7", "ttl": "30d"}),
        };
        take(&id, &pki::issue(admin, &profile, attributes).await);
    }

    let open = pki::bare_template(admin, "open", json!({})).await;
    let any = pki::profile(admin, "any", &open, Some(&ca), json!({})).await;
    let names = json!({"commonName": "www.acme.com", "organization": "Acme", "country": "DE", "state": "Bayern",
        "locality": "München", "organizationalUnit": "Ops", "domainComponents": ["acme", "com"], "ttl": "30d",
        "altNames": every_san_kind(), "keyUsages": ["digital_signature"], "extendedKeyUsages": ["server_auth", "client_auth"]});
    take("every SAN kind", &pki::issue(admin, &any, names).await);
    let nameless = json!({"ttl": "30d", "altNames": [{"type": "dns_name", "value": "www.acme.com"}], "keyUsages": ["digital_signature"]});
    take("empty subject", &pki::issue(admin, &any, nameless).await);
    for algorithm in CLASSIC.iter().chain(POST_QUANTUM) {
        let attributes = json!({"commonName": "www.acme.com", "ttl": "30d", "keyAlgorithm": algorithm, "keyUsages": ["digital_signature"]});
        take(algorithm, &pki::issue(admin, &any, attributes).await);
    }
    let own = pki::profile(admin, "own", &open, None, json!({})).await;
    take("self-signed", &pki::issue(admin, &own, json!({"commonName": "www.acme.com", "ttl": "30d", "keyUsages": ["digital_signature"]})).await);
    judge::pkilint_finds_no_error(&sample);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_openssl_csr_works_with_every_key_type() {
    let world = World::start().await;
    let admin = world.admin();
    let root = pki::root(admin, "csr-root", "EC_prime256v1", json!({})).await;
    let template = pki::template(admin, "tls", "tls-server", json!({})).await;
    let profile = pki::profile(admin, "csr", &template, Some(&root), json!({})).await;
    for key in ["rsa:2048", "rsa:3072", "ec:P-256", "ec:P-384", "ec:P-521", "ed25519"] {
        let csr = openssl_csr(key, "/CN=www.acme.com");
        let issued = pki::issue_csr(admin, &profile, &csr, json!({"ttl": "90d"})).await;
        assert!(issued["certificate"].get("privateKey").is_none(), "{key}");
        let chain = chain_of(&issued);
        judge::openssl_verifies(&chain, world.now_seconds());
        judge::webpki_verifies(&chain, "www.acme.com", world.now_seconds());
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pkcs12_opens_in_openssl() {
    let world = World::start().await;
    let admin = world.admin();
    let root = pki::root(admin, "p12-root", "EC_prime256v1", json!({})).await;
    let template = pki::template(admin, "tls", "tls-server", json!({})).await;
    let profile = pki::profile(admin, "p12", &template, Some(&root), json!({})).await;
    let issued = pki::issue(admin, &profile, json!({"commonName": "www.acme.com", "ttl": "90d"})).await;
    let id = pki::text(&issued["certificate"]["certificateId"]);
    let body = json!({"password": "correct horse", "alias": "www"});
    let path = format!("{}/certificates/{id}/pkcs12", pki::API);
    let (status, bytes) = admin.send_raw(reqwest::Method::POST, &path, Some(&body)).await.expect("an answer");
    assert_eq!(status, 200);
    let inside = judge::openssl_opens_pkcs12(&bytes, "correct horse");
    assert!(inside.contains("BEGIN PRIVATE KEY") || inside.contains("BEGIN EC PRIVATE KEY"));
    assert_eq!(inside.matches("BEGIN CERTIFICATE").count(), 2);
    world.stop().await;
}

/// A CSR as a user makes it, its key thrown away.
pub fn openssl_csr(key: &str, subject: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut arguments: Vec<String> = ["req", "-new", "-nodes", "-subj", subject, "-keyout"].map(str::to_owned).to_vec();
    arguments.push(folder.path().join("key.pem").display().to_string());
    match key.split_once(':') {
        Some(("rsa", bits)) => arguments.extend(["-newkey".to_owned(), format!("rsa:{bits}")]),
        Some((_, curve)) => {
            arguments.extend(["-newkey", "ec", "-pkeyopt"].map(str::to_owned));
            arguments.push(format!("ec_paramgen_curve:{curve}"));
        }
        None => arguments.extend(["-newkey".to_owned(), key.to_owned()]),
    }
    let output = std::process::Command::new("openssl").args(&arguments).output().expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("PEM")
}
