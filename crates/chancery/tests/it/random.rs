//! Random templates and requests in the wire's words, from vocabularies small enough that matches and misses both happen.

use chancery_testkit::world::{CERT_MANAGER, Session, World, id_at, text};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::{Strategy, any};
use proptest::sample::{select, subsequence};
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub const HOST_PATTERNS: &[&str] =
    &["*", "*.acme.com", "label:*.acme.com", "acme.com", "a.acme.com", "app-*.acme.com", "regex:[a-z]\\.acme\\.com"];
const HOSTS: &[&str] =
    &["a.acme.com", "a.b.acme.com", "acme.com", "*.acme.com", "*.b.acme.com", "evil.example", "app-1.acme.com"];
const WORD_PATTERNS: &[&str] = &["Acme", "Acme Corp", "Evil", "*", "A*", "*Corp"];
const WORDS: &[&str] = &["Acme", "Acme Corp", "Evil", "acme", "Corp"];
const ADDRESS_PATTERNS: &[&str] = &["*", "10.0.0.1", "cidr:10.0.0.0/8", "cidr:2001:db8::/32"];
const ADDRESSES: &[&str] = &["10.0.0.1", "10.9.9.9", "192.0.2.7", "2001:db8::1"];
const USAGES: &[&str] = &["digital_signature", "key_encipherment", "key_agreement", "crl_sign", "non_repudiation"];
const PURPOSES: &[&str] = &["server_auth", "client_auth", "code_signing", "email_protection"];
const POLICY_KEYS: &[&str] = &["ECDSA-P256", "ECDSA-P384", "Ed25519"];
const KEYS: &[&str] = &["EC_prime256v1", "EC_secp384r1", "Ed25519"];
const POLICY_SIGNATURES: &[&str] = &["SHA256-ECDSA", "SHA384-ECDSA", "Ed25519"];

/// The same cases in every run; a failure prints its own.
pub fn seeded() -> TestRng {
    TestRng::deterministic_rng(RngAlgorithm::ChaCha)
}

fn object(fields: Vec<(&str, Option<Value>)>) -> Value {
    Value::Object(fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<Map<_, _>>())
}

fn name_rule(kind: &'static str, pool: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let denied = weighted(0.3, subsequence(pool, 0..=1));
    (
        weighted(0.8, subsequence(pool, 0..=3)),
        weighted(0.25, subsequence(pool, 0..=1)),
        denied,
        weighted(0.3, any::<bool>()),
    )
        .prop_map(move |(allowed, required, denied, wildcards)| {
            let allowed =
                if allowed.is_none() && required.is_none() && denied.is_none() { Some(vec![]) } else { allowed };
            let used: Vec<&str> = allowed.iter().chain(&required).flatten().copied().collect();
            let denied =
                denied.map(|it| it.into_iter().filter(|it| !used.contains(it) && *it != "*").collect::<Vec<_>>());
            object(vec![
                ("type", Some(json!(kind))),
                ("allowed", allowed.map(|it| json!(it))),
                ("required", required.map(|it| json!(it))),
                ("denied", denied.map(|it| json!(it))),
                ("allowWildcards", wildcards.map(|it| json!(it))),
            ])
        })
}

fn usage_rule(pool: &'static [&'static str]) -> impl Strategy<Value = Value> {
    (subsequence(pool, 0..=4), subsequence(pool, 0..=1), subsequence(pool, 0..=1)).prop_map(
        |(allowed, required, denied)| {
            let denied: Vec<_> =
                denied.into_iter().filter(|it| !allowed.contains(it) && !required.contains(it)).collect();
            json!({"allowed": allowed, "required": required, "denied": denied})
        },
    )
}

fn some(rules: (Option<Value>, Option<Value>)) -> Value {
    json!([rules.0, rules.1].into_iter().flatten().collect::<Vec<_>>())
}

/// The blocks of a template.
pub fn templates() -> impl Strategy<Value = Value> {
    let subject = (of(name_rule("common_name", HOST_PATTERNS)), of(name_rule("organization", WORD_PATTERNS)));
    let sans = (of(name_rule("dns_name", HOST_PATTERNS)), of(name_rule("ip_address", ADDRESS_PATTERNS)));
    let rest = (
        of(usage_rule(USAGES)),
        of(usage_rule(PURPOSES)),
        weighted(0.3, subsequence(POLICY_KEYS, 1..=2)),
        weighted(0.3, subsequence(POLICY_SIGNATURES, 1..=3)),
        of(select(vec!["30d", "1y", "2m"])),
        weighted(0.3, select(vec!["1h", "2d"])),
        weighted(0.3, 1..4u32),
    );
    (weighted(0.7, subject), weighted(0.7, sans), rest).prop_map(|(subject, sans, rest)| {
        let (usages, purposes, keys, signatures, max, min, most) = rest;
        let mut algorithms = Map::new();
        algorithms.extend(keys.map(|it| ("keyAlgorithm".to_owned(), json!(it))));
        algorithms.extend(signatures.map(|it| ("signature".to_owned(), json!(it))));
        object(vec![
            ("subject", subject.map(some)),
            ("sans", sans.map(some)),
            ("keyUsages", usages),
            ("extendedKeyUsages", purposes),
            ("algorithms", (!algorithms.is_empty()).then_some(Value::Object(algorithms))),
            ("validity", max.map(|max| json!({"max": max}))),
            ("minValidity", min.map(|it| json!(it))),
            ("maxSans", most.map(|it| json!(it))),
        ])
    })
}

/// The attributes of a request.
pub fn requests() -> impl Strategy<Value = Value> {
    let names =
        (of(select(HOSTS)), weighted(0.4, select(WORDS)), subsequence(HOSTS, 0..=3), subsequence(ADDRESSES, 0..=2));
    let rest = (
        weighted(0.4, subsequence(USAGES, 0..=3)),
        weighted(0.4, subsequence(PURPOSES, 0..=2)),
        weighted(0.4, select(KEYS)),
        select(vec!["10m", "3d", "30d", "100d", "400d"]),
    );
    (names, rest).prop_map(|((common_name, organization, hosts, addresses), (usages, purposes, key, ttl))| {
        let mut sans: Vec<Value> = hosts.iter().map(|it| json!({"type": "dns_name", "value": it})).collect();
        sans.extend(addresses.iter().map(|it| json!({"type": "ip_address", "value": it})));
        object(vec![
            ("commonName", common_name.map(|it| json!(it))),
            ("organization", organization.map(|it| json!(it))),
            ("altNames", (!sans.is_empty()).then_some(json!(sans))),
            ("keyUsages", usages.map(|it| json!(it))),
            ("extendedKeyUsages", purposes.map(|it| json!(it))),
            ("keyAlgorithm", key.map(|it| json!(it))),
            ("ttl", Some(json!(ttl))),
        ])
    })
}

/// A template, a few requests against it, and whether its certificates sign themselves.
pub fn cases() -> impl Strategy<Value = (Value, Vec<Value>, bool)> {
    (templates(), vec(requests(), 1..=4), weighted_bool(0.4))
}

fn weighted_bool(probability: f64) -> impl Strategy<Value = bool> {
    weighted(probability, proptest::strategy::Just(())).prop_map(|it| it.is_some())
}

/// A profile over the template, or nothing where template or profile is refused when saved.
pub async fn profile(world: &World, issuer: Option<Uuid>, blocks: &Value) -> Option<Uuid> {
    let mut template = json!({"name": "random"});
    template.as_object_mut().unwrap().extend(blocks.as_object().unwrap().clone());
    let (status, made) = world.admin().post(&format!("{CERT_MANAGER}/certificate-policies"), &template).await;
    if status != 200 {
        assert!(matches!(status, 400 | 403), "{template:#} {made:#}");
        return None;
    }
    let id = text(&made, "/certificatePolicy/id");
    let mut body = json!({"slug": format!("for-{id}"), "enrollmentType": "api", "certificatePolicyId": id});
    match issuer {
        Some(ca) => body["caId"] = json!(ca),
        None => body["issuerType"] = json!("self-signed"),
    }
    body["allowKeyReuse"] = json!(true);
    let (status, made) = world.admin().post(&format!("{CERT_MANAGER}/certificate-profiles"), &body).await;
    if status != 200 {
        assert_eq!(status, 400, "{blocks:#} {made:#}");
        return None;
    }
    Some(id_at(&made, "/certificateProfile/id"))
}

/// Whether the request contradicts itself, so that no rule is asked.
pub async fn is_malformed(session: &Session, body: &Value) -> bool {
    let (status, answer) = session.post(&format!("{CERT_MANAGER}/certificates/evaluate"), body).await;
    assert!(matches!(status, 200 | 400), "{body:#} {answer:#}");
    status != 200
}
