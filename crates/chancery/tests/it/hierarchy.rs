//! Certification authorities: how they come to be, what they may sign, and what stops them.
//!
//! ```text
//! root ─┬─ issuing ── leaf                      openssl's root ── imported ── leaf
//!       ├─ constrained (names, openssl agrees)  root ── signed for openssl's CSR
//!       └─ path lengths 3 ── 2 ── 1 ── 0 ── leaf
//! ```
//!
//! Verified: every way to make a CA and every refusal on it; certificates crossing to and from OpenSSL; path lengths, name
//! constraints and purposes, held against OpenSSL; leaves never outlive their issuer; what is disabled, in use or another
//! project's; direct issuance only with a template; public CA certificates and the URLs that lead to them.

use chancery_pkix::KeyAlgorithm as K;
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, Session, World, certification_request, id_at, merged, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::openssl::OpensslCa;
use crate::strangers::chain_of;

const CAS: &str = "/api/v1/cert-manager/ca/internal";

fn ca_path(id: Uuid, rest: &str) -> String {
    format!("{CAS}/{id}{rest}")
}

/// A call that must be refused with this status and code.
async fn refused(session: &Session, call: (Method, &str, &Value), status: u16, code: &str) -> Value {
    let (method, path, body) = call;
    let (got, answer) = session.send(method, path, Some(body)).await;
    assert_eq!((got, &answer["code"]), (status, &json!(code)), "{path} {body}: {answer}");
    answer
}

async fn generate(world: &World, id: Uuid, body: &Value) -> Value {
    world.admin().ok(Method::POST, &ca_path(id, "/certificate"), Some(body)).await
}

/// An intermediate CA that waits for its certificate.
async fn waiting_ca(world: &World, name: &str, changes: &Value) -> Uuid {
    let configuration =
        json!({"type": "intermediate", "commonName": format!("World {name}"), "keyAlgorithm": "EC_prime256v1"});
    world.ca(&json!({"name": name, "configuration": merged(configuration, changes)})).await
}

/// A profile on this CA that any content may be requested from.
async fn open_profile(world: &World, ca: Uuid) -> Uuid {
    let policies = format!("{CERT_MANAGER}/certificate-policies");
    let rules = json!({"name": "open", "basicConstraints": {"isCA": "allowed"}});
    let made = world.admin().ok(Method::POST, &policies, Some(&rules)).await;
    world.profile(&json!({"caId": ca, "certificatePolicyId": id_at(&made, "/certificatePolicy/id")})).await
}

async fn issue(world: &World, profile: Uuid, attributes: &Value) -> (u16, Value) {
    let body = json!({"profileId": profile, "attributes": attributes});
    world.operator().post(&format!("{CERT_MANAGER}/certificates"), &body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_are_active_with_dates_and_wait_without() {
    let world = World::start().await;
    let admin = world.admin();
    let configuration = json!({"type": "root", "commonName": "Root", "keyAlgorithm": "EC_prime256v1"});
    let body = json!({"name": "waiting", "status": "active", "configuration": configuration});
    let waiting = admin.ok(Method::POST, CAS, Some(&body)).await;
    assert_eq!((&waiting["status"], &waiting["type"]), (&json!("pending-certificate"), &json!("internal")));
    assert_eq!(waiting["configuration"]["activeCaCertId"], Value::Null);
    let waiting = id_at(&waiting, "/id");
    refused(admin, (Method::GET, &ca_path(waiting, "/certificate"), &Value::Null), 404, "not_found").await;
    // A client that reads a waiting CA as active sends that back, and nothing happens.
    let same = admin.ok(Method::PATCH, &ca_path(waiting, ""), Some(&json!({"status": "active"}))).await;
    assert_eq!(same["status"], "pending-certificate");
    let template = world.template(&json!({})).await;
    let profile = world.profile(&json!({"caId": waiting, "certificatePolicyId": template})).await;
    assert_eq!(issue(&world, profile, &json!({"commonName": "www.acme.test"})).await.1["code"], "ca.not_active");

    let made = generate(&world, waiting, &json!({"notAfter": world.date_in_days(3650), "maxPathLength": 1})).await;
    let read = admin.ok(Method::GET, &ca_path(waiting, ""), None).await;
    assert_eq!(read["status"], "active");
    assert_eq!(read["configuration"]["serialNumber"], made["serialNumber"]);
    assert_eq!(read["configuration"]["activeCaCertId"], made["certId"]);
    assert_eq!(read["configuration"]["maxPathLength"], 1);
    judge::openssl_verifies(&[text(&made, "/certificate")], world.now_seconds());
    let shown = judge::openssl_text(&text(&made, "/certificate"));
    assert!(shown.contains("CA:TRUE, pathlen:1") && shown.contains("Certificate Sign"), "{shown}");
    assert_eq!(made["certificateChain"], "");
    for path in ["/certificate".to_owned(), format!("/certificate/{}", text(&made, "/certId"))] {
        assert_eq!(admin.ok(Method::GET, &ca_path(waiting, &path), None).await, made);
    }
    let all = admin.ok(Method::GET, &ca_path(waiting, "/ca-certificates"), None).await;
    assert_eq!(all, json!([made]));
    assert_eq!(made["version"], 1);
    let again = json!({"notAfter": world.date_in_days(100)});
    refused(admin, (Method::POST, &ca_path(waiting, "/certificate"), &again), 400, "ca.has_certificate").await;
    refused(admin, (Method::GET, &ca_path(waiting, "/csr"), &Value::Null), 400, "ca.root").await;
    assert_eq!(issue(&world, profile, &json!({"commonName": "www.acme.test"})).await.0, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities_that_cannot_be_are_refused() {
    let world = World::start().await;
    let admin = world.admin();
    let before = admin.get(CAS).await.1;
    let named = json!({"type": "root", "commonName": "Root", "keyAlgorithm": "EC_prime256v1"});
    let taken = world.root_ca("taken", K::EcP256).await;
    let with = |changes: Value| json!({"name": "new", "configuration": merged(named.clone(), &changes)});
    let past = world.date_in_days(-10);
    for (label, body, status, code) in [
        ("name in capitals", merged(with(json!({})), &json!({"name": "New CA"})), 422, "schema"),
        ("name taken", merged(with(json!({})), &json!({"name": "taken"})), 400, "conflict"),
        ("no subject", with(json!({"commonName": " "})), 422, "schema"),
        ("unknown algorithm", with(json!({"keyAlgorithm": "RSA_1024"})), 422, "schema"),
        ("bad country", with(json!({"country": "Germany"})), 400, ""),
        ("end in the past", with(json!({"notAfter": past})), 400, "ca.not_after"),
        ("start without end", with(json!({"notBefore": past})), 400, "ca.not_after"),
        ("path length −2", with(json!({"maxPathLength": -2})), 422, "schema"),
        ("path length 256", with(json!({"maxPathLength": 256})), 422, "schema"),
        (
            "signature of another key type",
            with(json!({"signatureAlgorithm": "RSA-SHA256"})),
            400,
            "signature_algorithm.mismatch",
        ),
        (
            "empty constraints",
            with(json!({"nameConstraints": {"permitted": [], "excluded": []}})),
            400,
            "name_constraints.empty",
        ),
        ("key elsewhere", with(json!({"keySource": "hsm"})), 400, "ca.unsupported"),
        ("no partition", with(json!({"crlPartitions": 0})), 400, "ca.crl_partitions"),
        ("a CRL on a disk", with(json!({"crlDistributionPointUrls": ["file:///root.crl"]})), 400, "ca.crl_urls"),
        (
            "unknown template",
            merged(with(json!({})), &json!({"directIssuancePolicyId": Uuid::nil()})),
            404,
            "not_found",
        ),
    ] {
        let (got, answer) = admin.post(CAS, &body).await;
        assert_eq!(got, status, "{label}: {answer}");
        assert!(code.is_empty() || answer["code"] == code, "{label}: {answer}");
    }
    let external = format!("{CERT_MANAGER}/ca/aws-pca");
    refused(admin, (Method::POST, &external, &with(json!({}))), 400, "ca.type").await;
    let after = admin.get(CAS).await.1;
    assert_eq!(after.as_array().unwrap().len(), before.as_array().unwrap().len() + 1, "only `taken` was made");
    let all = admin.ok(Method::GET, &format!("{CERT_MANAGER}/ca"), None).await;
    assert_eq!(all["certificateAuthorities"], after);
    let back = json!({"status": "pending-certificate"});
    refused(admin, (Method::PATCH, &ca_path(taken, ""), &back), 400, "ca.status").await;
    for session in [world.operator(), world.auditor()] {
        assert_eq!(session.post(CAS, &with(json!({}))).await.1["error"], "PermissionDenied");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parents_sign_only_what_fits_below_them() {
    let world = World::start().await;
    let admin = world.admin();
    let root = world.root_ca("root", K::EcP256).await;
    let below = json!({"notAfter": world.date_in_days(1000), "maxPathLength": 0, "parentCaId": root});
    let issuing = world.intermediate_ca("issuing", K::EcP256, &below).await;
    let waiting = waiting_ca(&world, "waiting", &json!({})).await;
    let end = world.date_in_days(100);
    for (label, body, status, code) in [
        ("no end", json!({"parentCaId": root}), 422, "schema"),
        ("no date", json!({"notAfter": "soon", "parentCaId": root}), 422, "schema"),
        (
            "end before start",
            json!({"notBefore": end, "notAfter": world.date_in_days(9), "parentCaId": root}),
            422,
            "schema",
        ),
        ("end in the past", json!({"notAfter": world.date_in_days(-1), "parentCaId": root}), 400, "ca.not_after"),
        (
            "outlives the parent",
            json!({"notAfter": world.date_in_days(3651), "parentCaId": root}),
            400,
            "ca.outlives_parent",
        ),
        (
            "before the parent",
            json!({"notBefore": world.date_in_days(-1), "notAfter": end, "parentCaId": root}),
            400,
            "ca.before_parent",
        ),
        ("no parent", json!({"notAfter": end}), 400, "ca.parent"),
        ("own parent", json!({"notAfter": end, "parentCaId": waiting}), 400, "ca.parent"),
        ("unknown parent", json!({"notAfter": end, "parentCaId": Uuid::nil()}), 404, "not_found"),
        ("no room below", json!({"notAfter": end, "parentCaId": issuing}), 400, "path_length.exhausted"),
    ] {
        let answer = refused(admin, (Method::POST, &ca_path(waiting, "/certificate"), &body), status, code).await;
        assert!(answer["message"].is_string() || answer["message"].is_array(), "{label}");
    }
    let second_root = world
        .ca(&json!({"name": "second", "configuration":
        {"type": "root", "commonName": "Second", "keyAlgorithm": "EC_prime256v1"}}))
        .await;
    let body = json!({"notAfter": end, "parentCaId": root});
    refused(admin, (Method::POST, &ca_path(second_root, "/certificate"), &body), 400, "ca.parent").await;

    admin.ok(Method::PATCH, &ca_path(root, ""), Some(&json!({"status": "disabled"}))).await;
    refused(admin, (Method::POST, &ca_path(waiting, "/certificate"), &body), 400, "ca.not_active").await;
    admin.ok(Method::PATCH, &ca_path(root, ""), Some(&json!({"status": "active"}))).await;
    let made = generate(&world, waiting, &body).await;
    assert_eq!(made["parentCaId"], json!(root));
    let root_certificate = admin.ok(Method::GET, &ca_path(root, "/certificate"), None).await;
    assert_eq!(made["certificateChain"], root_certificate["certificate"]);
    let line = [text(&made, "/certificate"), text(&root_certificate, "/certificate")];
    judge::openssl_verifies(&line, world.now_seconds());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_five_keeps_every_path_length() {
    let world = World::start().await;
    let root = world.root_ca("depth-1", K::EcP256).await;
    let mut parent = root;
    for (depth, length) in [(2, 2), (3, 1), (4, 0)] {
        let too_long = waiting_ca(&world, &format!("too-long-{depth}"), &json!({})).await;
        let body = json!({"notAfter": world.date_in_days(500), "maxPathLength": length + 1, "parentCaId": parent});
        if parent != root {
            let path = ca_path(too_long, "/certificate");
            refused(world.admin(), (Method::POST, &path, &body), 400, "path_length.too_long").await;
        }
        let body = merged(body, &json!({"maxPathLength": length}));
        parent = world.intermediate_ca(&format!("depth-{depth}"), K::EcP256, &body).await;
    }
    let profile = open_profile(&world, parent).await;
    let (status, leaf) = issue(
        &world,
        profile,
        &json!({"commonName": "www.acme.test", "ttl": "10d",
        "keyUsages": ["digital_signature"], "extendedKeyUsages": ["server_auth"]}),
    )
    .await;
    assert_eq!(status, 200, "{leaf}");
    let chain = chain_of(&leaf);
    assert_eq!(chain.len(), 5);
    judge::openssl_verifies(&chain, world.now_seconds());
    judge::webpki_verifies(&chain, "www.acme.test", world.now_seconds());

    // No further CA, by whatever way.
    let deeper = waiting_ca(&world, "depth-5", &json!({})).await;
    let body = json!({"notAfter": world.date_in_days(100), "parentCaId": parent});
    refused(world.admin(), (Method::POST, &ca_path(deeper, "/certificate"), &body), 400, "path_length.exhausted").await;
    let (csr, _) = certification_request("Deeper CA", &[], K::EcP256);
    let body = json!({"csr": csr, "notAfter": world.date_in_days(100)});
    let path = ca_path(parent, "/sign-intermediate");
    refused(world.admin(), (Method::POST, &path, &body), 400, "path_length.exhausted").await;
    let ca = json!({"commonName": "Deeper CA", "ttl": "10d", "basicConstraints": {"isCA": true, "pathLength": 0},
        "keyUsages": ["key_cert_sign"]});
    assert_eq!(issue(&world, profile, &ca).await.1["violations"][0]["rule"], "path_length.exhausted");

    // "No limit" below a limited CA is what the chain leaves.
    let limited = json!({"notAfter": world.date_in_days(500), "maxPathLength": 3, "parentCaId": root});
    let limited = world.intermediate_ca("limited", K::EcP256, &limited).await;
    let below = waiting_ca(&world, "below-limited", &json!({})).await;
    let made = generate(
        &world,
        below,
        &json!({"notAfter": world.date_in_days(400), "maxPathLength": -1, "parentCaId": limited}),
    )
    .await;
    assert_eq!(made["maxPathLength"], 2);
    world.stop().await;
}

/// Rows of (what is asked for, whether it lies inside).
fn constrained_names() -> Vec<(Value, bool)> {
    let san = |kind: &str, value: &str| json!({"altNames": [{"type": kind, "value": value}]});
    vec![
        (san("dns_name", "acme.test"), true),
        (san("dns_name", "www.acme.test"), true),
        (san("dns_name", "a.b.acme.test"), true),
        // It would speak for the excluded host too.
        (san("dns_name", "*.acme.test"), false),
        (san("dns_name", "*.www.acme.test"), true),
        (san("dns_name", "evilacme.test"), false),
        (san("dns_name", "acme.test.evil.test"), false),
        (san("dns_name", "*.evil.test"), false),
        (san("dns_name", "secret.acme.test"), false),
        (san("dns_name", "x.secret.acme.test"), false),
        (san("ip_address", "10.255.0.1"), true),
        (san("ip_address", "11.0.0.1"), false),
        (san("ip_address", "2001:db8::1"), false),
        (san("email", "ops@acme.test"), true),
        (san("email", "ops@mail.acme.test"), false),
        (san("email", "ops@evil.test"), false),
        (san("uri", "https://api.acme.test/x"), true),
        (san("uri", "https://acme.test/x"), false),
        (san("uri", "https://api.acme.test@evil.test/"), false),
        (san("uri", "https://evil.test/api.acme.test"), false),
        (san("directory_name", "CN=device,O=Acme"), true),
        (san("directory_name", "CN=device,O=Evil"), false),
        (json!({"organization": "Evil"}), false),
        (json!({"commonName": "www.acme.test"}), true),
        (json!({"commonName": "www.evil.test"}), false),
        (json!({"commonName": "192.0.2.1"}), false),
        (json!({"commonName": "ops@evil.test"}), false),
        (json!({"commonName": "Somebody"}), true),
        // Kinds that the constraints do not speak of.
        (san("upn", "ops@evil.test"), true),
        (san("registered_id", "1.3.6.1.4.1.55555.2"), true),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_constraints_bind_every_kind_of_name() {
    let world = World::start().await;
    let root = world.root_ca("root", K::EcP256).await;
    let constraints = json!({"nameConstraints": {
        "permitted": [
            {"type": "dns_name", "value": "acme.test"}, {"type": "ip_address", "value": "10.0.0.0/8"},
            {"type": "email", "value": "acme.test"}, {"type": "uri", "value": ".acme.test"},
            {"type": "directory_name", "value": "O=Acme"},
        ],
        "excluded": [{"type": "dns_name", "value": "secret.acme.test"}],
    }, "organization": "Acme", "commonName": "Constrained"});
    let constrained = waiting_ca(&world, "constrained", &constraints).await;
    let body = json!({"notAfter": world.date_in_days(1000), "maxPathLength": 1, "parentCaId": root});
    let made = generate(&world, constrained, &body).await;
    assert!(judge::openssl_text(&text(&made, "/certificate")).contains("X509v3 Name Constraints: critical"));
    let outside = waiting_ca(&world, "outside", &json!({"organization": "Evil"})).await;
    let below = json!({"notAfter": world.date_in_days(900), "maxPathLength": 0, "parentCaId": constrained});
    refused(world.admin(), (Method::POST, &ca_path(outside, "/certificate"), &below), 400, "issuer.name_constraints")
        .await;
    // One level further down they bind all the same.
    let inside = waiting_ca(&world, "inside", &json!({"organization": "Acme"})).await;
    generate(&world, inside, &below).await;

    let base = json!({"organization": "Acme", "ttl": "10d", "keyUsages": ["digital_signature"]});
    for ca in [constrained, inside] {
        let profile = open_profile(&world, ca).await;
        for (asked, within) in constrained_names() {
            let (status, answer) = issue(&world, profile, &merged(base.clone(), &asked)).await;
            if within {
                assert_eq!(status, 200, "{asked}: {answer}");
                judge::openssl_verifies(&chain_of(&answer), world.now_seconds());
            } else {
                assert_eq!((status, &answer["error"]), (400, &json!("BadRequest")), "{asked}: {answer}");
                let rules = answer["violations"].as_array().unwrap();
                assert!(rules.iter().any(|it| it["rule"] == "issuer.name_constraints"), "{asked}: {answer}");
            }
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaf_never_outlives_its_issuer() {
    let world = World::start().await;
    let root = world.root_ca("root", K::EcP256).await;
    let end = world.date_in_days(30);
    let below = json!({"notAfter": end, "maxPathLength": 0, "parentCaId": root});
    let short = world.intermediate_ca("short", K::EcP256, &below).await;
    let template = world.template(&json!({})).await;
    let base = json!({"caId": short, "certificatePolicyId": template});
    let refusing = world.profile(&base).await;
    let clamping = world.profile(&merged(base, &json!({"clampToIssuer": true}))).await;
    let name = json!({"commonName": "www.acme.test"});
    for asked in [json!({"ttl": "60d"}), json!({"notAfter": world.date_in_days(31)})] {
        let asked = merged(name.clone(), &asked);
        let (status, answer) = issue(&world, refusing, &asked).await;
        assert_eq!((status, &answer["violations"][0]["rule"]), (400, &json!("issuer.validity")), "{answer}");
        let (status, answer) = issue(&world, clamping, &asked).await;
        assert_eq!((status, &answer["warnings"][0]["code"]), (200, &json!("validity.clamped")), "{answer}");
        let path = format!("{CERT_MANAGER}/certificates/{}", text(&answer, "/certificate/certificateId"));
        assert_eq!(world.operator().ok(Method::GET, &path, None).await["certificate"]["notAfter"], json!(end));
        judge::openssl_verifies(&chain_of(&answer), world.now_seconds());
    }
    let (_, fits) = issue(&world, refusing, &merged(name.clone(), &json!({"ttl": "30d"}))).await;
    assert_eq!(fits["warnings"], json!([]), "{fits}");
    let early = merged(name.clone(), &json!({"notBefore": world.date_in_days(-1), "notAfter": world.date_in_days(5)}));
    assert_eq!(issue(&world, refusing, &early).await.1["code"], "ttl.before_issuer");
    world.clock.advance_seconds(31 * 86_400);
    for profile in [refusing, clamping] {
        let (status, answer) = issue(&world, profile, &merged(name.clone(), &json!({"ttl": "1h"}))).await;
        assert_eq!((status, &answer["code"]), (400, &json!("issuer.expired")), "{answer}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_use_stays() {
    let world = World::start().await;
    let pki = world.pki().await;
    let admin = world.admin();
    let issued = world.issue(pki.profile, &json!({})).await;
    let template = format!("{CERT_MANAGER}/certificate-policies/{}", pki.template);
    let none = Value::Null;
    refused(admin, (Method::DELETE, &ca_path(pki.root, ""), &none), 400, "conflict").await;
    refused(admin, (Method::DELETE, &ca_path(pki.issuing, ""), &none), 400, "conflict").await;
    let answer = refused(admin, (Method::DELETE, &template, &none), 403, "template.in_use").await;
    let profile = admin.get(&format!("{CERT_MANAGER}/certificate-profiles/{}", pki.profile)).await.1;
    assert!(text(&answer, "/message").contains(&text(&profile, "/certificateProfile/slug")), "{answer}");

    for profile in [pki.profile, pki.self_signed] {
        admin.ok(Method::DELETE, &format!("{CERT_MANAGER}/certificate-profiles/{profile}"), None).await;
    }
    let direct = json!({"directIssuancePolicyId": pki.template});
    admin.ok(Method::PATCH, &ca_path(pki.issuing, ""), Some(&direct)).await;
    assert_eq!(admin.delete(&template).await.0, 403, "a CA still issues by it");
    let gone = admin.ok(Method::DELETE, &ca_path(pki.issuing, ""), None).await;
    assert_eq!(id_at(&gone, "/id"), pki.issuing);
    refused(admin, (Method::GET, &ca_path(pki.issuing, ""), &none), 404, "not_found").await;
    admin.ok(Method::DELETE, &ca_path(pki.root, ""), None).await;

    // What was issued stays readable, with its chain.
    let path = format!("{CERT_MANAGER}/certificates/{}/certificate", text(&issued, "/certificate/certificateId"));
    let read = world.operator().ok(Method::GET, &path, None).await;
    assert_eq!(read["certificateChain"], issued["certificate"]["certificateChain"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_ca_signs_nothing() {
    let world = World::start().await;
    let pki = world.pki().await;
    let (csr, _) = certification_request("Elsewhere CA", &[], K::EcP256);
    let sign = json!({"csr": csr, "notAfter": world.date_in_days(100)});
    for ca in [pki.root, pki.issuing] {
        world.admin().ok(Method::PATCH, &ca_path(ca, ""), Some(&json!({"status": "disabled"}))).await;
    }
    let name = json!({"commonName": "www.acme.test"});
    let (status, answer) = issue(&world, pki.profile, &name).await;
    assert_eq!((status, &answer["code"]), (400, &json!("ca.not_active")), "{answer}");
    let path = ca_path(pki.root, "/sign-intermediate");
    refused(world.admin(), (Method::POST, &path, &sign), 400, "ca.not_active").await;
    assert_eq!(issue(&world, pki.self_signed, &name).await.0, 200, "a self-signed certificate needs no CA");
    world.admin().ok(Method::PATCH, &ca_path(pki.issuing, ""), Some(&json!({"status": "active"}))).await;
    assert_eq!(issue(&world, pki.profile, &name).await.0, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities_of_another_project_do_not_exist() {
    let world = World::start().await;
    let pki = world.pki().await;
    let stranger = world.other_project_admin().await;
    let certificate = world.admin().get(&ca_path(pki.root, "/certificate")).await.1;
    let (csr, _) = certification_request("Elsewhere CA", &[], K::EcP256);
    let end = world.date_in_days(100);
    for (method, rest, body) in [
        (Method::GET, "", Value::Null),
        (Method::PATCH, "", json!({"status": "disabled"})),
        (Method::DELETE, "", Value::Null),
        (Method::GET, "/csr", Value::Null),
        (Method::GET, "/certificate", Value::Null),
        (Method::GET, "/ca-certificates", Value::Null),
        (Method::POST, "/certificate", json!({"notAfter": end})),
        (Method::POST, "/sign-intermediate", json!({"csr": csr, "notAfter": end})),
        (
            Method::POST,
            "/import-certificate",
            json!({"certificate": certificate["certificate"], "certificateChain": ""}),
        ),
    ] {
        let path = ca_path(pki.issuing, rest);
        let theirs = refused(&stranger, (method.clone(), &path, &body), 404, "not_found").await;
        let nobodys = refused(&stranger, (method, &ca_path(Uuid::nil(), rest), &body), 404, "not_found").await;
        let said = |answer: &Value, id: Uuid| text(answer, "/message").replace(&id.to_string(), "ID");
        assert_eq!(said(&theirs, pki.issuing), said(&nobodys, Uuid::nil()));
    }
    assert_eq!(stranger.get(CAS).await.1, json!([]));
    let waiting = json!({"name": "mine", "configuration":
        {"type": "intermediate", "commonName": "Mine", "keyAlgorithm": "EC_prime256v1"}});
    let waiting = stranger.ok(Method::POST, CAS, Some(&waiting)).await;
    let body = json!({"notAfter": end, "parentCaId": pki.root});
    let path = ca_path(id_at(&waiting, "/id"), "/certificate");
    refused(&stranger, (Method::POST, &path, &body), 404, "not_found").await;
    let policies = format!("{CERT_MANAGER}/certificate-policies");
    let policy = stranger.ok(Method::POST, &policies, Some(&json!({"name": "mine", "preset": "tls-server"}))).await;
    let profile =
        json!({"slug": "mine", "caId": pki.issuing, "certificatePolicyId": policy["certificatePolicy"]["id"]});
    let path = format!("{CERT_MANAGER}/certificate-profiles");
    refused(&stranger, (Method::POST, &path, &profile), 404, "not_found").await;
    let flat = json!({"caId": pki.issuing, "commonName": "www.acme.test", "ttl": "10d"});
    refused(&stranger, (Method::POST, "/api/v1/pki/certificates/issue-certificate", &flat), 404, "not_found").await;
    assert_eq!(world.admin().get(&ca_path(pki.issuing, "")).await.1["status"], "active", "nothing happened to it");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_issuance_needs_a_template_on_the_ca() {
    let world = World::start().await;
    let pki = world.pki().await;
    let (csr, _) = certification_request("www.acme.test", &[], K::EcP256);
    let sign = json!({"caId": pki.issuing, "csr": csr, "ttl": "90d"});
    let path = "/api/v1/pki/certificates/sign-certificate";
    let answer = refused(world.operator(), (Method::POST, path, &sign), 400, "ca.direct_issuance").await;
    assert!(text(&answer, "/message").contains("directIssuancePolicyId"));
    let direct = json!({"directIssuancePolicyId": pki.template});
    let ca = world.admin().ok(Method::PATCH, &ca_path(pki.issuing, ""), Some(&direct)).await;
    assert_eq!((&ca["directIssuancePolicyId"], &ca["enableDirectIssuance"]), (&json!(pki.template), &json!(true)));
    let signed = world.operator().ok(Method::POST, path, Some(&sign)).await;
    judge::openssl_verifies(&chain_of(&json!({"certificate": signed})), world.now_seconds());
    // The template's rules hold here as everywhere.
    let (foreign, _) = certification_request("www.evil.test", &[], K::EcP256);
    let foreign = merged(sign.clone(), &json!({"csr": foreign}));
    refused(world.operator(), (Method::POST, path, &foreign), 400, "template.refused").await;
    let cleared = json!({"directIssuancePolicyId": null});
    world.admin().ok(Method::PATCH, &ca_path(pki.issuing, ""), Some(&cleared)).await;
    refused(world.operator(), (Method::POST, path, &sign), 400, "ca.direct_issuance").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ca_certificates_are_public_and_certificates_lead_to_them() {
    let plain = World::start().await;
    let issued = plain.issue(plain.pki().await.profile, &json!({})).await;
    let shown = judge::openssl_text(&text(&issued, "/certificate/certificate"));
    assert!(!shown.contains("CA Issuers") && !shown.contains("CRL") && !shown.contains("OCSP"), "{shown}");
    plain.stop().await;

    let world = World::builder().setting("repository_url", "http://pki.acme.test").start().await;
    let pki = world.pki().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let chain = chain_of(&issued);
    for (place, certificate) in chain.iter().enumerate() {
        let shown = judge::openssl_text(certificate);
        let Some(issuer) = chain.get(place + 1) else {
            let points = ["CA Issuers", "CRL Distribution", "OCSP"];
            assert!(!points.iter().any(|it| shown.contains(it)), "a root has no issuer to look for: {shown}");
            continue;
        };
        for start in [
            "URI:http://pki.acme.test/api/v1/cert-manager/crl/",
            "OCSP - URI:http://pki.acme.test/api/v1/cert-manager/ocsp/",
        ] {
            assert!(shown.contains(start), "{start}: {shown}");
        }
        let (_, url) = shown.split_once("CA Issuers - URI:http://pki.acme.test").unwrap();
        let url = url.lines().next().unwrap();
        let answer = world.anonymous().raw(Method::GET, url, &[], Vec::new()).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"application/pkix-cert".parse().unwrap())
        );
        let found = answer.bytes().await.unwrap();
        assert_eq!(judge::openssl_reads(&["x509", "-inform", "DER"], &found).trim(), issuer.trim());
    }
    let root = world.admin().get(&ca_path(pki.root, "/certificate")).await.1;
    let mixed = ca_path(pki.issuing, &format!("/certificates/{}/der", text(&root, "/certId")));
    assert_eq!(world.anonymous().get(&mixed).await.0, 404, "a certificate is found under its own CA only");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_csr_of_openssl_becomes_an_intermediate_that_openssl_trusts() {
    let world = World::start().await;
    let admin = world.admin();
    let root = world.root_ca("root", K::EcP256).await;
    let elsewhere = OpensslCa::new("/O=Elsewhere/CN=Elsewhere CA");
    let path = ca_path(root, "/sign-intermediate");
    let body = json!({"csr": elsewhere.csr(), "notAfter": world.date_in_days(365), "maxPathLength": 0});
    let signed = admin.ok(Method::POST, &path, Some(&body)).await;
    let chain = chain_of(&json!({"certificate": signed}));
    assert_eq!((chain.len(), &signed["issuingCaCertificate"]), (2, &signed["certificateChain"]));
    judge::openssl_verifies(&chain, world.now_seconds());
    let shown = judge::openssl_text(&chain[0]);
    assert!(shown.contains("CA:TRUE, pathlen:0") && shown.contains("CN=Elsewhere CA"), "{shown}");
    // What that CA signs verifies up to our root.
    elsewhere.install(&chain[0]);
    let leaf = OpensslCa::new("/CN=www.elsewhere.test");
    let leaf = elsewhere.sign(&leaf.csr(), "leaf", "20260110000000Z", "20260301000000Z", &[]);
    judge::openssl_verifies(&[leaf, chain[0].clone(), chain[1].clone()], world.now_seconds());

    let with = |changes: Value| merged(body.clone(), &changes);
    let (nameless, _) = certification_request("", &["ca.acme.test"], K::EcP256);
    let mut broken = elsewhere.csr().into_bytes();
    let middle = broken.len() - 60;
    broken[middle] = if broken[middle] == b'A' { b'B' } else { b'A' };
    for (label, body, status, code) in [
        ("no CSR", with(json!({"csr": ""})), 422, "schema"),
        ("rubbish", with(json!({"csr": "rubbish"})), 400, ""),
        ("bad signature", with(json!({"csr": String::from_utf8(broken).unwrap()})), 400, ""),
        ("no subject", with(json!({"csr": nameless})), 400, "subject.empty"),
        ("outlives", with(json!({"notAfter": world.date_in_days(3651)})), 400, "ca.outlives_parent"),
        ("before", with(json!({"notBefore": world.date_in_days(-1)})), 400, "ca.before_parent"),
        ("past", with(json!({"notAfter": world.date_in_days(-1)})), 400, "ca.not_after"),
    ] {
        let (got, answer) = admin.post(&path, &body).await;
        assert_eq!(got, status, "{label}: {answer}");
        assert!(code.is_empty() || answer["code"] == code, "{label}: {answer}");
    }
    assert_eq!(world.operator().post(&path, &body).await.1["error"], "PermissionDenied");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_signed_by_openssl_is_imported_and_issues() {
    let world = World::start().await;
    let parent = OpensslCa::root("/O=Elsewhere/CN=Elsewhere Root");
    let ca = waiting_ca(&world, "imported", &json!({"organization": "Acme", "country": "DE"})).await;
    let csr = text(&world.admin().ok(Method::GET, &ca_path(ca, "/csr"), None).await, "/csr");
    assert!(judge::openssl_request_text(&csr).contains("CN=World imported"));
    let certificate = parent.sign(&csr, "constrained", "20260101000000Z", "20300101000000Z", &[]);
    let body = json!({"certificate": certificate, "certificateChain": parent.certificate()});
    let path = ca_path(ca, "/import-certificate");
    let answer = world.admin().ok(Method::POST, &path, Some(&body)).await;
    assert_eq!(answer, json!({"message": "Successfully imported certificate to CA", "caId": ca}));
    refused(world.admin(), (Method::POST, &path, &body), 400, "ca.has_certificate").await;
    let read = world.admin().ok(Method::GET, &ca_path(ca, ""), None).await;
    assert_eq!((&read["status"], &read["configuration"]["parentCaId"]), (&json!("active"), &Value::Null));
    let current = world.admin().ok(Method::GET, &ca_path(ca, "/certificate"), None).await;
    assert_eq!(text(&current, "/certificate").trim(), certificate.trim());

    let profile = open_profile(&world, ca).await;
    let leaf = json!({"commonName": "www.acme.test", "ttl": "30d", "keyUsages": ["digital_signature"],
        "extendedKeyUsages": ["server_auth"]});
    let (status, issued) = issue(&world, profile, &leaf).await;
    assert_eq!(status, 200, "{issued}");
    let chain = chain_of(&issued);
    assert_eq!(chain.len(), 3);
    judge::openssl_verifies(&chain, world.now_seconds());
    judge::webpki_verifies(&chain, "www.acme.test", world.now_seconds());
    // The parent's name constraints are kept, and its path length, though nobody here configured them.
    let (status, refused_name) = issue(&world, profile, &merged(leaf, &json!({"commonName": "www.evil.test"}))).await;
    assert_eq!((status, &refused_name["violations"][0]["rule"]), (400, &json!("issuer.name_constraints")));
    let deeper = waiting_ca(&world, "deeper", &json!({})).await;
    let body = json!({"notAfter": world.date_in_days(100), "parentCaId": ca});
    refused(world.admin(), (Method::POST, &ca_path(deeper, "/certificate"), &body), 400, "path_length.exhausted").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_for_some_purposes_signs_for_no_others() {
    let world = World::start().await;
    let parent = OpensslCa::root("/CN=Elsewhere Root");
    let ca = waiting_ca(&world, "clients-only", &json!({})).await;
    let csr = text(&world.admin().ok(Method::GET, &ca_path(ca, "/csr"), None).await, "/csr");
    let certificate = parent.sign(&csr, "clients_only", "20260101000000Z", "20300101000000Z", &[]);
    let body = json!({"certificate": certificate, "certificateChain": parent.certificate()});
    world.admin().ok(Method::POST, &ca_path(ca, "/import-certificate"), Some(&body)).await;
    // The limit reaches everything below.
    let body = json!({"notAfter": world.date_in_days(900), "maxPathLength": 0, "parentCaId": ca});
    let below = world.intermediate_ca("below", K::EcP256, &body).await;
    for ca in [ca, below] {
        let profile = open_profile(&world, ca).await;
        for (usages, within) in [
            (json!(["client_auth"]), true),
            (json!([]), true),
            (json!(["server_auth"]), false),
            (json!(["client_auth", "server_auth"]), false),
            (json!(["any_purpose"]), false),
        ] {
            let asked = json!({"commonName": "www.acme.test", "ttl": "10d", "keyUsages": ["digital_signature"],
                "extendedKeyUsages": usages});
            let (status, answer) = issue(&world, profile, &asked).await;
            if within {
                assert_eq!(status, 200, "{usages}: {answer}");
                judge::openssl_verifies(&chain_of(&answer), world.now_seconds());
            } else {
                assert_eq!(status, 400, "{usages}: {answer}");
                assert_eq!(answer["violations"][0]["rule"], "issuer.extended_key_usages", "{usages}: {answer}");
                assert!(text(&answer, "/violations/0/allowed").ends_with("only: client_auth"), "{answer}");
            }
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_do_not_fit_the_waiting_ca_are_not_imported() {
    let world = World::start().await;
    let parent = OpensslCa::root("/CN=Elsewhere Root");
    let stranger = OpensslCa::root("/CN=Elsewhere Root");
    let ca = waiting_ca(&world, "waiting", &json!({})).await;
    let csr = text(&world.admin().ok(Method::GET, &ca_path(ca, "/csr"), None).await, "/csr");
    let (start, end) = ("20260101000000Z", "20300101000000Z");
    let good = parent.sign(&csr, "ca", start, end, &[]);
    let other_key = OpensslCa::new("/CN=World waiting");
    let lowest = OpensslCa::new("/CN=Lowest CA");
    lowest.install(&parent.sign(&lowest.csr(), "lowest", start, end, &[]));
    let below_lowest = lowest.sign(&csr, "ca", start, end, &[]);
    let root = parent.certificate();
    let many = root.repeat(11);
    let two = format!("{}{root}", lowest.certificate());
    for (label, certificate, chain, code) in [
        ("rubbish", "rubbish".to_owned(), root.clone(), "certificate.pem"),
        ("rubbish in the chain", good.clone(), "rubbish".to_owned(), "certificate.pem"),
        ("another key", parent.sign(&other_key.csr(), "ca", start, end, &[]), root.clone(), "certificate.key"),
        (
            "another subject",
            parent.sign(&csr, "ca", start, end, &["-subj", "/CN=Other"]),
            root.clone(),
            "certificate.subject",
        ),
        ("a leaf", parent.sign(&csr, "leaf", start, end, &[]), root.clone(), "certificate.not_ca"),
        ("may not sign", parent.sign(&csr, "no_sign", start, end, &[]), root.clone(), "certificate.not_ca"),
        (
            "expired",
            parent.sign(&csr, "ca", "20250101000000Z", "20260101000000Z", &[]),
            root.clone(),
            "certificate.not_ca",
        ),
        ("not yet valid", parent.sign(&csr, "ca", "20270101000000Z", end, &[]), root.clone(), "certificate.not_ca"),
        ("SHA-1", parent.sign(&csr, "ca", start, end, &["-md", "sha1"]), root.clone(), "certificate.weak_signature"),
        ("no chain", good.clone(), String::new(), "certificate.chain"),
        ("a chain too long", good.clone(), many, "certificate.chain"),
        ("a stranger's chain", good.clone(), stranger.certificate(), "certificate.signature"),
        ("a parent with path length 0", below_lowest, two, "certificate.not_ca"),
    ] {
        let body = json!({"certificate": certificate, "certificateChain": chain});
        let (status, answer) = world.admin().post(&ca_path(ca, "/import-certificate"), &body).await;
        assert_eq!((status, &answer["code"]), (400, &json!(code)), "{label}: {answer}");
        let read = world.admin().get(&ca_path(ca, "")).await.1;
        assert_eq!(read["status"], "pending-certificate", "{label}");
    }
    let body = json!({"certificate": good, "certificateChain": root});
    world.admin().ok(Method::POST, &ca_path(ca, "/import-certificate"), Some(&body)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_a_certificate_in_its_issuers_own_name() {
    let world = World::start().await;
    let root = world.root_ca("namesake", K::EcP256).await;
    let profile = open_profile(&world, root).await;
    for attributes in [
        json!({"commonName": "World namesake", "ttl": "10d"}),
        json!({"commonName": "World namesake", "ttl": "10d", "basicConstraints": {"isCA": true},
            "keyUsages": ["key_cert_sign"]}),
    ] {
        let (status, answer) = issue(&world, profile, &attributes).await;
        assert_eq!((status, &answer["violations"][0]["rule"]), (400, &json!("subject.issuer")), "{answer}");
    }
    let (status, answer) = issue(&world, profile, &json!({"commonName": "World namesake 2", "ttl": "10d"})).await;
    assert_eq!(status, 200, "{answer}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_lists_the_templates_and_the_issuers_rules_together() {
    let world = World::start().await;
    let pki = world.pki().await;
    let attributes = json!({"commonName": "www.elsewhere.test", "ttl": "90y"});
    let (status, answer) = issue(&world, pki.profile, &attributes).await;
    let rules: Vec<&str> =
        answer["violations"].as_array().unwrap().iter().filter_map(|it| it["rule"].as_str()).collect();
    let expected = ["subject.common_name.allowed", "sans.dns_name.allowed", "validity.max", "issuer.validity"];
    assert_eq!((status, rules), (400, expected.to_vec()), "{answer:#}");
    let evaluated = json!({"profileId": pki.profile, "attributes": attributes});
    let path = format!("{CERT_MANAGER}/certificates/evaluate");
    let evaluated = world.operator().ok(Method::POST, &path, Some(&evaluated)).await;
    assert_eq!(evaluated["verdict"], "refused");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suggested_life_still_fits_a_while_later() {
    let world = World::start().await;
    let root = world.root_ca("brief", K::EcP256).await;
    let profile = open_profile(&world, root).await;
    let (status, answer) = issue(&world, profile, &json!({"commonName": "www.acme.test", "ttl": "50y"})).await;
    assert_eq!((status, &answer["violations"][0]["rule"]), (400, &json!("issuer.validity")), "{answer}");
    let ttl = &answer["violations"][0]["suggestion"]["value"];
    world.clock.advance_seconds(300);
    let (status, answer) = issue(&world, profile, &json!({"commonName": "www.acme.test", "ttl": ttl})).await;
    assert_eq!(status, 200, "{answer}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ca_keys_are_for_certificates_and_crls_only() {
    let world = World::start().await;
    let root = world.root_ca("usages", K::EcP256).await;
    let (csr, _) = certification_request("Elsewhere CA", &[], K::EcP256);
    let body = json!({"csr": csr, "notAfter": world.date_in_days(100)});
    let signed = world.admin().ok(Method::POST, &ca_path(root, "/sign-intermediate"), Some(&body)).await;
    let own = world.admin().ok(Method::GET, &ca_path(root, "/certificate"), None).await;
    for certificate in [text(&own, "/certificate"), text(&signed, "/certificate")] {
        let shown = judge::openssl_text(&certificate);
        assert!(shown.contains("Certificate Sign, CRL Sign"), "{shown}");
        assert!(!shown.contains("Digital Signature"), "{shown}");
    }
    world.stop().await;
}
