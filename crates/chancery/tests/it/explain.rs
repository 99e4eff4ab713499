//! Explain over the whole server: the dry run and the real refusal say the same, and what they suggest works.
//!
//! ```text
//! root ── issuing ── templates of many kinds ── a profile each; self-signed profiles beside them
//! ```
//!
//! Verified: `evaluate` and a real refusal list the same rules; every kind of source; the pattern table; applying all
//! suggestions of a refusal passes (a table, and random templates × requests); evaluating issues nothing, and an auditor
//! may not.

use std::collections::BTreeMap;

use chancery_pkix::{GeneralNameKind, KeyAlgorithm};
use chancery_testkit::world::{CERT_MANAGER, Session, World, certification_request_with, text};
use proptest::prelude::ProptestConfig;
use proptest::test_runner::{TestCaseError, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::random;
use crate::refusals::{CERTIFICATES, count, open_profile};

const EVALUATE: &str = "/api/v1/cert-manager/certificates/evaluate";

async fn evaluate(session: &Session, body: &Value) -> Value {
    session.ok(Method::POST, EVALUATE, Some(body)).await
}

/// A profile over a fresh template of these blocks and no preset.
async fn ruled(world: &World, issuer: Option<Uuid>, blocks: &Value) -> Uuid {
    let mut template = json!({"name": "ruled"});
    template.as_object_mut().unwrap().extend(blocks.as_object().unwrap().clone());
    let path = format!("{CERT_MANAGER}/certificate-policies");
    let made = world.admin().ok(Method::POST, &path, Some(&template)).await;
    let mut body = json!({"certificatePolicyId": text(&made, "/certificatePolicy/id"), "defaults": null});
    match issuer {
        Some(ca) => body["caId"] = json!(ca),
        None => body["issuerType"] = json!("self-signed"),
    }
    world.profile(&body).await
}

/// The broken rules of a dry run, in the words of a refusal.
fn broken(evaluated: &Value) -> Vec<Value> {
    let rules = evaluated["rules"].as_array().unwrap().iter();
    rules
        .filter(|it| it["verdict"] == "fail")
        .map(|it| {
            let mut violation = it.clone();
            violation.as_object_mut().unwrap().remove("verdict");
            violation
        })
        .collect()
}

/// The dry run and the real request must agree; the broken rules.
async fn agreed(world: &World, body: &Value) -> Vec<Value> {
    let evaluated = evaluate(world.operator(), body).await;
    let (status, answer) = world.operator().post(CERTIFICATES, body).await;
    let violations = broken(&evaluated);
    if violations.is_empty() {
        assert_eq!((status, &evaluated["verdict"]), (200, &json!("issued")), "{body} {answer:#}");
        assert_eq!(answer["warnings"], evaluated["warnings"], "{body}");
    } else {
        assert_eq!((status, &evaluated["verdict"]), (400, &json!("refused")), "{body} {answer:#}");
        assert_eq!(answer["violations"], json!(violations), "{body}");
        for violation in &violations {
            assert!(text(&answer, "/message").contains(&text(violation, "/allowed")), "{answer:#}");
        }
    }
    violations
}

#[tokio::test]
async fn a_dry_run_and_a_real_request_agree() {
    let world = World::start().await;
    let pki = world.pki().await;
    let csr =
        |name: &str, sans: &[(GeneralNameKind, &str)]| certification_request_with(name, sans, KeyAlgorithm::EcP256).0;
    let evil = [(GeneralNameKind::DnsName, "www.evil.test")];
    let dns = |name: &str| json!([{"type": "dns_name", "value": name}]);
    for (body, rules) in [
        (json!({"attributes": {"commonName": "www.acme.test"}}), vec![]),
        (
            json!({"attributes": {"commonName": "www.evil.test"}}),
            vec!["subject.common_name.allowed", "sans.dns_name.allowed"],
        ),
        (json!({"attributes": {"commonName": "a.acme.test", "ttl": "2y"}}), vec!["validity.max"]),
        (
            json!({"attributes": {"commonName": "a.acme.test", "organization": "Acme"}}),
            vec!["subject.organization.allowed"],
        ),
        (json!({"attributes": {"altNames": dns("www.evil.test")}}), vec!["sans.dns_name.allowed"]),
        (json!({"attributes": {"altNames": [{"type": "email", "value": "a@acme.test"}]}}), vec!["sans.email.allowed"]),
        (
            json!({"attributes": {"commonName": "10.0.0.1"}}),
            vec!["subject.common_name.allowed", "sans.ip_address.allowed"],
        ),
        (
            json!({"attributes": {"commonName": "a.acme.test", "keyUsages": ["crl_sign"], "extendedKeyUsages": ["client_auth"]}}),
            vec![
                "key_usages.allowed",
                "key_usages.required",
                "extended_key_usages.allowed",
                "extended_key_usages.required",
            ],
        ),
        (
            json!({"profileId": pki.self_signed, "attributes": {"commonName": "a.acme.test",
                "basicConstraints": {"isCA": true}, "keyUsages": ["digital_signature", "key_cert_sign"]}}),
            vec!["basic_constraints.is_ca"],
        ),
        (json!({"attributes": {"altNames": dns("*.co.uk")}}), vec!["name.public_suffix"]),
        (json!({"csr": csr("a.acme.test", &[])}), vec![]),
        (json!({"csr": csr("a.acme.test", &evil)}), vec!["sans.dns_name.allowed"]),
        (json!({"csr": csr("a.acme.test", &[]), "attributes": {"ttl": "3y", "commonName": "b"}}), vec!["validity.max"]),
    ] {
        let mut body = body.clone();
        if body["profileId"].is_null() {
            body["profileId"] = json!(pki.profile);
        }
        let violations = agreed(&world, &body).await;
        let found: Vec<_> = violations.iter().map(|it| text(it, "/rule")).collect();
        for rule in &rules {
            assert!(found.iter().any(|it| it == rule), "{body}: {rule} is not among {found:?}");
        }
        assert_eq!(found.is_empty(), rules.is_empty(), "{body}: {found:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn every_violation_is_told_at_once_with_field_value_source_and_what_is_allowed() {
    let world = World::start().await;
    let pki = world.pki().await;
    let body = json!({"profileId": pki.profile, "attributes": {
        "commonName": "www.evil.test", "organization": "Evil", "ttl": "3y", "extendedKeyUsages": ["client_auth"],
        "altNames": [{"type": "ip_address", "value": "10.0.0.1"}],
    }});
    let violations = agreed(&world, &body).await;
    let mut fields: Vec<_> = violations.iter().map(|it| text(it, "/field")).collect();
    fields.sort();
    fields.dedup();
    let expected = [
        "altNames[0]",
        "altNames[1]",
        "commonName",
        "extendedKeyUsages",
        "extendedKeyUsages[0]",
        "organization",
        "ttl",
    ];
    assert_eq!(fields, expected);
    for violation in &violations {
        assert!(!text(violation, "/allowed").is_empty(), "{violation:#}");
        if !text(violation, "/value").is_empty() {
            let source = if violation["field"] == "altNames[0]" { "derived" } else { "request" };
            assert_eq!(violation["source"], source, "{violation:#}");
        }
        assert!(!text(violation, "/suggestion/text").is_empty(), "{violation:#}");
    }
    world.stop().await;
}

#[tokio::test]
async fn every_field_says_where_it_came_from() {
    let world = World::start().await;
    let pki = world.pki().await;
    let defaults = json!({"ttlDays": 30, "organization": "Acme"});
    let template = world.template(&json!({"subject": null})).await;
    let profile =
        json!({"caId": pki.issuing, "certificatePolicyId": template, "defaults": defaults, "clampToIssuer": true});
    let profile = world.profile(&profile).await;
    let sources = |evaluated: &Value| -> BTreeMap<String, String> {
        let fields = evaluated["fields"].as_array().unwrap().iter();
        fields.map(|it| (text(it, "/field"), text(it, "/source"))).collect()
    };
    let check = |found: &BTreeMap<String, String>, expected: &[(&str, &str)]| {
        for (field, source) in expected {
            assert_eq!(found.get(*field).map(String::as_str), Some(*source), "{field} in {found:?}");
        }
    };
    let asked = json!({"profileId": profile, "attributes": {"commonName": "a.acme.test",
        "altNames": [{"type": "dns_name", "value": "b.acme.test"}]}});
    let expected = [
        ("commonName", "request"),
        ("organization", "profile"),
        ("altNames[0]", "derived"),
        ("altNames[1]", "request"),
        ("keyUsages", "template"),
        ("extendedKeyUsages", "template"),
        ("keyAlgorithm", "template"),
        ("signatureAlgorithm", "issuer"),
        ("basicConstraints.isCA", "default"),
        ("ttl", "profile"),
    ];
    check(&sources(&evaluate(world.operator(), &asked).await), &expected);
    let csr = certification_request_with("a.acme.test", &[], KeyAlgorithm::EcP384).0;
    let asked = json!({"profileId": profile, "csr": csr, "attributes": {"ttl": "5d"}});
    let found = sources(&evaluate(world.operator(), &asked).await);
    check(&found, &[("commonName", "csr"), ("keyAlgorithm", "csr"), ("altNames[0]", "derived"), ("ttl", "request")]);
    assert!(!found.contains_key("organization"), "profile defaults do not enter a CSR's subject: {found:?}");
    let short = json!({"notAfter": world.date_in_days(3), "maxPathLength": 0, "parentCaId": pki.root});
    let short = world.intermediate_ca("short", KeyAlgorithm::EcP256, &short).await;
    let clamps = json!({"caId": short, "certificatePolicyId": template, "clampToIssuer": true});
    let clamps = world.profile(&clamps).await;
    let asked = json!({"profileId": clamps, "attributes": {"commonName": "a.acme.test", "ttl": "5d"}});
    check(&sources(&evaluate(world.operator(), &asked).await), &[("ttl", "issuer"), ("notAfter", "issuer")]);
    world.stop().await;
}

#[tokio::test]
async fn the_pattern_table_holds_over_the_api() {
    let world = World::start().await;
    let pki = world.pki().await;
    const NAMES: [&str; 5] = ["a.acme.com", "a.b.acme.com", "acme.com", "*.acme.com", "*.b.acme.com"];
    for (rule, expected) in [
        (json!({"allowed": ["*.acme.com"]}), [true, true, false, true, false]),
        (json!({"allowed": ["label:*.acme.com"]}), [true, false, false, false, false]),
        (json!({"allowed": ["acme.com"]}), [false, false, true, false, false]),
        (json!({"allowed": ["*.ACME.com"]}), [true, true, false, true, false]),
        (json!({"allowed": ["*.acme.com"], "allowWildcards": false}), [true, true, false, false, false]),
        (json!({"allowed": ["*"]}), [true, true, true, true, true]),
        (json!({"allowed": ["*"], "allowWildcards": false}), [true, true, true, false, false]),
        (json!({"allowed": []}), [false; 5]),
        (json!({"denied": ["acme.com"]}), [true, true, false, true, true]),
        (json!({"allowed": ["*"], "denied": ["*.b.acme.com"]}), [true, false, true, true, false]),
        (json!({"allowed": ["regex:[a-z]\\.acme\\.com"]}), [true, false, false, false, false]),
        (json!({"allowed": ["regex:acme"]}), [false; 5]),
        (json!({"required": ["*.acme.com"]}), [true, true, false, true, false]),
        (json!({"required": ["*.acme.com"], "allowed": []}), [true, true, false, true, false]),
    ] {
        let mut san = json!({"type": "dns_name"});
        san.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        let profile = ruled(&world, Some(pki.issuing), &json!({"sans": [san]})).await;
        for (name, passes) in NAMES.iter().zip(expected) {
            let asked = json!({"profileId": profile, "attributes": {"ttl": "1d", "altNames": [{"type": "dns_name", "value": name}]}});
            let evaluated = evaluate(world.operator(), &asked).await;
            assert_eq!(evaluated["verdict"] == "issued", passes, "{rule} {name}: {evaluated:#}");
        }
    }
    for (pattern, address, passes) in [
        ("cidr:10.0.0.0/8", "10.255.0.1", true),
        ("cidr:10.0.0.0/8", "11.0.0.1", false),
        ("cidr:2001:db8::/32", "2001:db8:ffff::1", true),
        ("cidr:2001:db8::/32", "2001:db9::1", false),
        ("cidr:10.0.0.0/8", "::ffff:10.0.0.1", true),
        ("10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "10.0.0.10", false),
        ("*", "192.0.2.1", true),
    ] {
        let rules = json!({"sans": [{"type": "ip_address", "allowed": [pattern]}]});
        let profile = ruled(&world, Some(pki.issuing), &rules).await;
        let asked = json!({"profileId": profile, "attributes": {"ttl": "1d", "altNames": [{"type": "ip_address", "value": address}]}});
        let evaluated = evaluate(world.operator(), &asked).await;
        assert_eq!(evaluated["verdict"] == "issued", passes, "{pattern} {address}: {evaluated:#}");
    }
    world.stop().await;
}

/// Applies a suggestion to the attributes as a program would that knows nothing but `action`, `field` and `value`.
pub fn apply(attributes: &mut Value, suggestion: &Value) {
    let field = text(suggestion, "/field");
    let value = suggestion["value"].as_str();
    let is_structured = matches!(
        field.as_str(),
        "altNames" | "keyUsages" | "extendedKeyUsages" | "domainComponents" | "basicConstraints"
    );
    let element = |text: &str| match text.split_once(':') {
        Some((kind, name)) if field == "altNames" => json!({"type": kind, "value": name}),
        _ => json!(text),
    };
    match (suggestion["action"].as_str().unwrap(), value) {
        ("set", Some(text)) if is_structured => attributes[&field] = serde_json::from_str(text).unwrap(),
        ("set", Some(text)) => attributes[&field] = json!(text),
        ("remove", None) => attributes[&field] = Value::Null,
        ("add", Some(text)) => {
            let list = attributes.as_object_mut().unwrap().entry(&field).or_insert_with(|| json!([]));
            let list = list.as_array_mut().unwrap();
            if !list.contains(&element(text)) {
                list.push(element(text));
            }
        }
        ("remove", Some(text)) => {
            if let Some(list) = attributes[&field].as_array_mut() {
                list.retain(|it| !same(it, &element(text)));
            }
        }
        other => panic!("{other:?} in {suggestion:#}"),
    }
}

/// Suggestions speak of canonical names; the request may have spelled them otherwise.
fn same(one: &Value, other: &Value) -> bool {
    one.to_string().eq_ignore_ascii_case(&other.to_string())
}

/// Applies all suggestions and asks again. `None`: passed at once; else whether the refusal could be mended.
async fn mended(session: &Session, body: &Value) -> Result<Option<bool>, String> {
    let before = evaluate(session, body).await;
    let violations = broken(&before);
    if violations.is_empty() {
        return Ok(None);
    }
    let suggestions: Vec<&Value> = violations.iter().filter_map(|it| it.get("suggestion")).collect();
    if suggestions.is_empty() {
        return Ok(Some(false));
    }
    if suggestions.len() != violations.len() {
        return Err(format!("only some violations have a suggestion: {violations:#?}"));
    }
    let mut again = body.clone();
    for suggestion in &suggestions {
        apply(&mut again["attributes"], suggestion);
    }
    let (status, after) = session.post(EVALUATE, &again).await;
    if (status, &after["verdict"]) == (200, &json!("issued")) {
        return Ok(Some(true));
    }
    Err(format!("{body:#}\nrefused by {violations:#?}\nmended to {again:#}\nanswers {status} {after:#}"))
}

#[tokio::test]
async fn applying_all_suggestions_of_a_refusal_passes() {
    let world = World::start().await;
    let pki = world.pki().await;
    let dns = |names: &[&str]| names.iter().map(|name| json!({"type": "dns_name", "value": name})).collect::<Vec<_>>();
    let server = json!({
        "subject": [{"type": "common_name", "required": ["*.acme.test"]}, {"type": "country", "required": ["DE"]}],
        "sans": [{"type": "dns_name", "required": ["*.acme.test", "login.acme.test"], "denied": ["secret.acme.test"]},
                 {"type": "ip_address", "allowed": ["cidr:10.0.0.0/8"]}],
        "keyUsages": {"required": ["digital_signature"], "allowed": ["key_agreement"]},
        "extendedKeyUsages": {"required": ["server_auth"]},
        "algorithms": {"keyAlgorithm": ["RSA-3072", "ECDSA-P384"], "signature": ["SHA384-ECDSA", "SHA256-ECDSA"]},
        "validity": {"max": "90d"}, "minValidity": "1h", "maxSans": 3,
    });
    let authority = json!({
        "basicConstraints": {"isCA": "required", "maxPathLength": 1},
        "keyUsages": {"required": ["key_cert_sign", "crl_sign"]},
    });
    let from_ca = ruled(&world, Some(pki.issuing), &server).await;
    let alone = ruled(&world, None, &server).await;
    let sub_ca = ruled(&world, None, &authority).await;
    for (profile, attributes) in [
        (from_ca, json!({"ttl": "30d"})),
        (from_ca, json!({"commonName": "www.evil.test", "ttl": "2y"})),
        (from_ca, json!({"commonName": "WWW.evil.test", "country": "FR", "organization": "Evil", "ttl": "30d"})),
        (
            from_ca,
            json!({"commonName": "secret.acme.test", "ttl": "1m", "altNames": dns(&["a.acme.test", "secret.acme.test"])}),
        ),
        (from_ca, json!({"ttl": "1d", "altNames": dns(&["a.acme.test", "b.acme.test", "c.acme.test", "d.acme.test"])})),
        (
            from_ca,
            json!({"commonName": "192.0.2.1", "ttl": "1d", "altNames": [{"type": "ip_address", "value": "10.0.0.1"}]}),
        ),
        (from_ca, json!({"commonName": "a.acme.test", "ttl": "1d", "keyUsages": ["key_encipherment", "crl_sign"]})),
        (
            from_ca,
            json!({"commonName": "a.acme.test", "ttl": "1d", "keyUsages": [], "extendedKeyUsages": ["client_auth"]}),
        ),
        (from_ca, json!({"commonName": "a.acme.test", "ttl": "1d", "keyAlgorithm": "RSA_2048"})),
        (from_ca, json!({"commonName": "a.acme.test", "ttl": "1d", "keyAlgorithm": "Ed25519", "country": null})),
        (from_ca, json!({"commonName": "a.acme.test", "notBefore": "2026-02-01", "notAfter": "2027-02-01"})),
        (from_ca, json!({"commonName": "a.acme.test", "notAfter": "2027-02-01"})),
        (from_ca, json!({"commonName": "a.acme.test", "notAfter": "2026-01-15T12:30:00Z"})),
        (from_ca, json!({"commonName": "a.acme.test", "ttl": "1d", "domainComponents": ["acme", "test"]})),
        (alone, json!({"commonName": "www.evil.test", "ttl": "2y", "keyAlgorithm": "RSA_2048"})),
        (alone, json!({"ttl": "1d", "keyAlgorithm": "ML-DSA-44"})),
        (
            sub_ca,
            json!({"commonName": "a", "ttl": "1y", "basicConstraints": {"isCA": true, "pathLength": 4},
            "keyUsages": ["key_cert_sign"]}),
        ),
    ] {
        let body = json!({"profileId": profile, "attributes": attributes});
        match mended(world.operator(), &body).await {
            Ok(Some(true)) => {}
            Ok(other) => panic!("{body}: {other:?}"),
            Err(words) => panic!("{words}"),
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_refusal_that_nothing_can_mend_says_so() {
    let world = World::start().await;
    let pki = world.pki().await;
    let rsa_key = json!({"algorithms": {"signature": ["SHA256-RSA", "SHA256-ECDSA"]}, "sans": [
        {"type": "dns_name", "allowed": ["regex:[a-z]{3}-[0-9]{3}\\.acme\\.test"]}],
        "subject": [{"type": "common_name", "required": ["regex:[a-z]{3}-[0-9]{3}\\.acme\\.test"]}]});
    let profile = ruled(&world, Some(pki.issuing), &rsa_key).await;
    let body = json!({"profileId": profile, "attributes": {"commonName": "www.evil.test", "ttl": "1d"}});
    let violations = agreed(&world, &body).await;
    for violation in &violations {
        assert!(violation.get("suggestion").is_none(), "{violation:#}");
        assert!(text(violation, "/allowed").contains("no change"), "{violation:#}");
    }
    world.stop().await;
}

#[tokio::test]
async fn evaluating_issues_nothing_and_is_not_for_auditors() {
    let world = World::start().await;
    let pki = world.pki().await;
    let body = json!({"profileId": pki.profile, "attributes": {"commonName": "www.acme.test"}});
    for _ in 0..5 {
        assert_eq!(evaluate(world.operator(), &body).await["verdict"], "issued");
    }
    let requests = format!("{CERTIFICATES}/certificate-requests/search");
    let found = world.auditor().ok(Method::POST, &requests, None).await;
    assert_eq!((count(world.auditor()).await, &found["totalCount"]), (0, &json!(0)));
    let (status, answer) = world.auditor().post(EVALUATE, &body).await;
    assert_eq!((status, &answer["error"]), (403, &json!("PermissionDenied")), "{answer:#}");
    assert_eq!(world.anonymous().post(EVALUATE, &body).await.0, 401);
    let other = world.other_project_admin().await;
    assert_eq!(other.post(EVALUATE, &body).await.0, 404, "another project's profile");
    world.stop().await;
}

#[tokio::test]
async fn a_request_keeps_its_verdict_and_a_refusal_stands_in_the_audit_log() {
    let world = World::start().await;
    let pki = world.pki().await;
    let open = open_profile(&world, pki.issuing).await;
    let body = json!({"profileId": pki.profile, "attributes": {"commonName": "www.evil.test"}});
    let (_, refused) = world.operator().post(CERTIFICATES, &body).await;
    let log = world.auditor().ok(Method::GET, "/api/v1/audit-logs?event=certificate.refused", None).await;
    let entry = &log["auditLogs"][0];
    assert_eq!((&entry["requestId"], &entry["outcome"]), (&refused["reqId"], &json!("denied")));
    assert!(entry["details"].to_string().contains("subject.common_name.allowed"), "{entry:#}");
    let wide = json!({"commonName": "www.acme.test", "keyAlgorithm": "EC_secp521r1", "ttl": "1d"});
    let issued = world.issue(open, &json!({"attributes": wide})).await;
    let request = format!("{CERTIFICATES}/certificate-requests/{}", text(&issued, "/certificateRequestId"));
    let shown = world.auditor().ok(Method::GET, &request, None).await;
    assert_eq!(shown["warnings"], issued["warnings"]);
    assert_eq!(shown["warnings"][0]["code"], "issuer.weaker");
    world.stop().await;
}

/// Random templates and requests over the API; the pure version with many more cases stands beside the rules.
#[test]
fn suggestions_of_random_refusals_pass() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (world, pki) = runtime.block_on(async {
        let world = World::start().await;
        let pki = world.pki().await;
        (world, pki)
    });
    let mut outcomes = [0u32; 3];
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, random::seeded());
    let counted = std::cell::RefCell::new(&mut outcomes);
    runner
        .run(&random::cases(), |(blocks, attributes, self_signed)| {
            runtime.block_on(async {
                let issuer = (!self_signed).then_some(pki.issuing);
                let Some(profile) = random::profile(&world, issuer, &blocks).await else { return Ok(()) };
                for attributes in &attributes {
                    let body = json!({"profileId": profile, "attributes": attributes});
                    if random::is_malformed(world.operator(), &body).await {
                        continue;
                    }
                    let outcome = mended(world.operator(), &body).await.map_err(TestCaseError::fail)?;
                    counted.borrow_mut()[outcome.map_or(0, |mended| 1 + usize::from(mended))] += 1;
                }
                Ok(())
            })
        })
        .unwrap();
    assert!(outcomes[0] > 10 && outcomes[2] > 30, "passed, not mendable, mended: {outcomes:?}");
    runtime.block_on(world.stop());
}
