//! Tables: a template, a request, and the rules that must be broken.

use chancery_model::enrollment::{Enrollment, Source, Sourced};
use chancery_model::profile::ProfileIssuer;
use chancery_pkix::{
    AttributeType, BasicConstraints, ExtendedKeyUsage as E, GeneralName, KeyAlgorithm, KeyUsage as K,
    SignatureAlgorithm,
};
use serde_json::json;

use super::build::{attribute, dns, empty, follow, ip, request, requested, template, with_ttl, with_usages};
use crate::template::{Detail, Template, presets};

/// The rules that a request breaks, as `rule field value`.
fn broken(template: &Template, enrollment: &Enrollment) -> Vec<String> {
    let violations = template.evaluate(enrollment, Detail::Violations).violations();
    violations.iter().map(|it| format!("{} {} {}", it.rule, it.field, it.value).trim().to_owned()).collect()
}

fn check(rules: serde_json::Value, enrollment: &Enrollment, expected: &[&str]) {
    let template = template(rules.clone());
    assert_eq!(broken(&template, enrollment), expected, "{rules}");
}

/// Whether the broken rules come with suggestions, and following them passes.
fn mends(rules: serde_json::Value, enrollment: &Enrollment) {
    let template = template(rules.clone());
    let verdict = template.evaluate(enrollment, Detail::Violations);
    assert!(!verdict.is_approved(), "nothing to mend: {rules}");
    let suggestions: Option<Vec<_>> = verdict.checks.iter().map(|it| it.suggestion.clone()).collect();
    let suggestions = suggestions.unwrap_or_else(|| panic!("no suggestions: {rules} {verdict:?}"));
    let mut mended = enrollment.clone();
    follow(&template, &suggestions, &mut mended);
    assert_eq!(broken(&template, &mended), Vec::<String>::new(), "{rules} {suggestions:?}");
}

fn subject(lists: serde_json::Value) -> serde_json::Value {
    json!({ "subject": [{ "kind": "common_name", "lists": lists }] })
}

fn san(kind: &str, lists: serde_json::Value) -> serde_json::Value {
    json!({ "sans": [{ "kind": kind, "lists": lists }] })
}

#[test]
fn missing_blocks_constrain_nothing_but_the_ca_flag() {
    let mut wild = request(Some("*.evil.example"), &[dns("a.example"), ip(1)]);
    wild = with_usages(
        with_ttl(wild, "50y"),
        &[K::DigitalSignature, K::DataEncipherment],
        &[E::AnyPurpose, E::OcspSigning],
    );
    wild.subject.push(requested(attribute(AttributeType::SerialNumber, "42")));
    check(json!({}), &wild, &[]);
    let mut ca = request(Some("CA"), &[]);
    ca.basic_constraints = requested(BasicConstraints { is_ca: true, path_length: None });
    check(json!({}), &ca, &["basic_constraints.is_ca basicConstraints.isCA true"]);
    check(
        json!({}),
        &with_usages(request(Some("CA"), &[]), &[K::KeyCertSign], &[]),
        &["basic_constraints.is_ca keyUsages[0] key_cert_sign"],
    );
}

#[test]
fn empty_blocks_allow_nothing_of_their_kind() {
    let named = request(Some("a.acme.com"), &[]);
    check(json!({ "subject": [] }), &named, &["subject.common_name.allowed commonName a.acme.com"]);
    check(json!({ "sans": [] }), &named, &["sans.dns_name.allowed altNames[0] a.acme.com"]);
    check(json!({ "sans": [] }), &request(Some("Acme"), &[]), &[]);
    check(json!({ "subject": [] }), &request(None, &[dns("a.acme.com")]), &[]);
}

#[test]
fn the_three_lists_of_a_subject_rule_mean_what_the_product_says() {
    let evil = request(Some("evil"), &[]);
    let good = request(Some("good"), &[]);
    let nobody = request(None, &[dns("a.example")]);
    for (lists, good_expected, evil_expected, nobody_expected) in [
        (json!({ "allowed": ["good"] }), "", "allowed", ""),
        (json!({ "allowed": [] }), "allowed", "allowed", ""),
        (json!({ "required": ["good"] }), "", "required", "required"),
        (json!({ "required": ["good"], "allowed": [] }), "", "required", "required"),
        (json!({ "required": ["good"], "allowed": ["evil"] }), "", "required", "required"),
        (json!({ "denied": ["evil"] }), "", "denied", ""),
        (json!({ "denied": ["evil"], "allowed": ["*"] }), "", "denied", ""),
        (json!({ "denied": ["evil"], "allowed": [] }), "allowed", "denied", ""),
    ] {
        for (enrollment, expected) in [(&good, good_expected), (&evil, evil_expected), (&nobody, nobody_expected)] {
            let found = broken(&template(subject(lists.clone())), enrollment);
            let parts: Vec<&str> = found.iter().filter_map(|it| it.split([' ', '.']).nth(2)).collect();
            assert_eq!(parts.join(","), expected, "{lists} {:?}", enrollment.common_name());
        }
    }
}

#[test]
fn every_required_san_pattern_needs_a_name() {
    let rules = san("dns_name", json!({ "required": ["*.acme.com", "acme.com"] }));
    check(rules.clone(), &request(None, &[dns("a.acme.com"), dns("acme.com")]), &[]);
    check(rules.clone(), &request(None, &[dns("a.acme.com")]), &["sans.dns_name.required altNames"]);
    check(
        rules.clone(),
        &request(None, &[dns("evil.example")]),
        &[
            "sans.dns_name.allowed altNames[0] evil.example",
            "sans.dns_name.required altNames",
            "sans.dns_name.required altNames",
        ],
    );
    mends(rules.clone(), &request(None, &[dns("evil.example")]));
    mends(rules, &request(None, &[]));
}

#[test]
fn values_of_a_kind_without_a_rule_are_refused() {
    let rules = json!({ "subject": [{ "kind": "common_name", "lists": { "allowed": ["*"] } }], "sans": [{ "kind": "dns_name", "lists": { "allowed": ["*"] } }] });
    let mut enrollment = request(Some("a.acme.com"), &[ip(1)]);
    enrollment.subject.push(requested(attribute(AttributeType::Organization, "Evil")));
    check(
        rules.clone(),
        &enrollment,
        &["subject.organization.allowed organization Evil", "sans.ip_address.allowed altNames[1] 10.0.0.1"],
    );
    mends(rules, &enrollment);
}

#[test]
fn a_derived_name_is_judged_by_the_san_rules_and_says_so() {
    let rules = san("dns_name", json!({ "allowed": ["*.acme.com"] }));
    let template = template(rules.clone());
    let enrollment = request(Some("evil.example"), &[]);
    let violations = template.evaluate(&enrollment, Detail::Violations).violations();
    assert_eq!(violations[0].source, Some(Source::Derived));
    assert_eq!(
        violations[0].suggestion.as_ref().map(|it| (it.field.as_str(), it.value.as_deref())),
        Some(("commonName", Some("evil.acme.com")))
    );
    mends(rules.clone(), &enrollment);
    // Given both ways, the common name would bring the refused name back.
    mends(rules, &request(Some("evil.example"), &[dns("evil.example")]));
    mends(json!({ "sans": [] }), &{
        let mut named = request(Some("a.acme.com"), &[]);
        named.subject.push(requested(attribute(AttributeType::Organization, "Acme")));
        named
    });
}

#[test]
fn wildcards_can_be_forbidden() {
    let rules = json!({
        "subject": [{ "kind": "common_name", "lists": { "allowed": ["*"], "allow_wildcards": false } }],
        "sans": [{ "kind": "dns_name", "lists": { "allowed": ["*"], "allow_wildcards": false } }],
    });
    let wildcard = request(Some("*.acme.com"), &[dns("a.acme.com")]);
    check(
        rules.clone(),
        &wildcard,
        &["subject.common_name.wildcards commonName *.acme.com", "sans.dns_name.wildcards altNames[0] *.acme.com"],
    );
    mends(rules.clone(), &wildcard);
    check(rules, &request(Some("a.acme.com"), &[]), &[]);
}

#[test]
fn a_wildcard_cannot_cover_a_denied_name() {
    let rules = san("dns_name", json!({ "allowed": ["*"], "denied": ["secret.acme.com"] }));
    check(rules.clone(), &request(None, &[dns("*.acme.com")]), &["sans.dns_name.denied altNames[0] *.acme.com"]);
    check(rules.clone(), &request(None, &[dns("*.b.acme.com"), dns("open.acme.com")]), &[]);
    mends(rules, &request(None, &[dns("*.acme.com"), dns("open.acme.com")]));
}

#[test]
fn domain_components_are_sequences() {
    let dc = |labels: &[&str]| {
        let mut enrollment = request(None, &[dns("a.example")]);
        enrollment
            .subject
            .extend(labels.iter().map(|label| requested(attribute(AttributeType::DomainComponent, label))));
        enrollment
    };
    let rule = |lists: serde_json::Value| json!({ "subject": [{ "kind": "domain_component", "lists": lists }] });
    let flat = rule(json!({ "allowed": ["acme", "com"] }));
    check(flat.clone(), &dc(&["Acme", "com"]), &[]);
    check(flat.clone(), &dc(&[]), &[]);
    check(flat.clone(), &dc(&["com", "acme"]), &["subject.domain_component.allowed domainComponents com,acme"]);
    check(flat.clone(), &dc(&["x", "acme", "com"]), &["subject.domain_component.allowed domainComponents x,acme,com"]);
    mends(flat, &dc(&["com"]));
    let nested = rule(json!({ "required": [["*", "acme", "com"], ["acme", "com"]] }));
    check(nested.clone(), &dc(&["eu", "acme", "com"]), &[]);
    check(nested.clone(), &dc(&[]), &["subject.domain_component.required domainComponents"]);
    mends(nested, &dc(&[]));
    let denied = rule(json!({ "denied": ["evil"] }));
    check(denied.clone(), &dc(&["a", "evil", "com"]), &["subject.domain_component.denied domainComponents a,evil,com"]);
    check(denied, &dc(&["a", "com"]), &[]);
    let part = rule(json!({ "allowed": [["*", "*"]], "denied": [["evil", "com"]] }));
    check(part.clone(), &dc(&["evil", "com"]), &["subject.domain_component.denied domainComponents evil,com"]);
    check(part, &dc(&["com", "evil"]), &[]);
    check(json!({ "subject": [] }), &dc(&["com"]), &["subject.domain_component.allowed domainComponents com"]);
}

#[test]
fn usages_follow_their_three_lists() {
    let enrollment = with_usages(request(Some("a"), &[]), &[K::DigitalSignature, K::KeyEncipherment], &[E::ServerAuth]);
    for (lists, expected) in [
        (json!({ "allowed": ["digital_signature", "keyEncipherment"] }), vec![]),
        (json!({ "allowed": ["digital_signature"] }), vec!["key_usages.allowed keyUsages[1] key_encipherment"]),
        (json!({ "required": ["digital_signature", "key_encipherment"] }), vec![]),
        (
            json!({ "required": ["key_agreement"], "allowed": ["digital_signature", "key_encipherment"] }),
            vec!["key_usages.required keyUsages"],
        ),
        (
            json!({ "denied": ["crl_sign"] }),
            vec![
                "key_usages.allowed keyUsages[0] digital_signature",
                "key_usages.allowed keyUsages[1] key_encipherment",
            ],
        ),
        (
            json!({ "denied": ["key_encipherment"], "allowed": ["digital_signature"] }),
            vec!["key_usages.denied keyUsages[1] key_encipherment"],
        ),
        (
            json!({ "allowed": [] }),
            vec![
                "key_usages.allowed keyUsages[0] digital_signature",
                "key_usages.allowed keyUsages[1] key_encipherment",
            ],
        ),
    ] {
        check(json!({ "key_usages": lists }), &enrollment, &expected);
    }
    check(
        json!({ "extended_key_usages": { "denied": ["client_auth"] } }),
        &enrollment,
        &["extended_key_usages.allowed extendedKeyUsages[0] server_auth"],
    );
    mends(
        json!({ "key_usages": { "required": ["key_agreement"], "allowed": [] }, "extended_key_usages": { "required": ["client_auth"] } }),
        &enrollment,
    );
}

#[test]
fn usages_from_the_profile_are_overruled_by_a_whole_list() {
    let mut enrollment = request(Some("a"), &[]);
    enrollment.key_usages =
        vec![Sourced::new(K::DigitalSignature, Source::Profile), Sourced::new(K::CrlSign, Source::Profile)];
    let rules = json!({ "key_usages": { "allowed": ["digital_signature"] } });
    let verdict = template(rules.clone()).evaluate(&enrollment, Detail::Violations);
    let suggestion = verdict.checks[0].suggestion.clone().unwrap();
    assert_eq!(suggestion.value.as_deref(), Some(r#"["digital_signature"]"#));
    assert!(suggestion.text.starts_with("Overrule the profile"), "{}", suggestion.text);
    mends(rules, &enrollment);
}

#[test]
fn validity_is_measured_by_the_granted_ttl() {
    let rules = json!({ "validity": { "max": "3m", "min": "1d" } });
    for (ttl, expected) in [
        ("90d", vec![]),
        ("91d", vec!["validity.max ttl 91 days"]),
        ("24h", vec![]),
        ("1439 minutes", vec!["validity.min ttl 1439 minutes"]),
    ] {
        check(rules.clone(), &with_ttl(request(Some("a"), &[]), ttl), &expected);
    }
    mends(rules.clone(), &with_ttl(request(Some("a"), &[]), "91d"));
    mends(rules.clone(), &with_ttl(request(Some("a"), &[]), "1h"));
    let mut explicit = with_ttl(request(Some("a"), &[]), "91d");
    explicit.validity.value.explicit = true;
    explicit.validity.value.dated = true;
    check(rules.clone(), &explicit, &["validity.max notAfter 91 days"]);
    mends(rules, &explicit);
}

#[test]
fn algorithms_are_judged_in_either_spelling() {
    let enrollment = request(Some("a"), &[]);
    check(
        json!({ "algorithms": { "key_algorithm": ["ECDSA-P256"], "signature": ["SHA256-ECDSA"] } }),
        &enrollment,
        &[],
    );
    let strict =
        json!({ "algorithms": { "key_algorithm": ["RSA_4096", "ECDSA-P384"], "signature": ["SHA512-ECDSA"] } });
    check(
        strict.clone(),
        &enrollment,
        &[
            "algorithms.key_algorithm keyAlgorithm EC_prime256v1",
            "algorithms.signature signatureAlgorithm ECDSA-SHA256",
        ],
    );
    mends(strict, &enrollment);
    let mut own = enrollment;
    own.issuer = ProfileIssuer::SelfSigned;
    mends(json!({ "algorithms": { "key_algorithm": ["RSA-2048"], "signature": ["SHA384-RSA"] } }), &own);
    mends(json!({ "algorithms": { "signature": ["SHA384-RSA"] } }), &own);
}

#[test]
fn an_issuer_that_cannot_sign_as_demanded_has_no_suggestion() {
    let rsa_only = template(json!({ "algorithms": { "signature": ["SHA256-RSA"] } }));
    let verdict = rsa_only.evaluate(&request(Some("a"), &[]), Detail::Violations);
    assert_eq!(verdict.checks.len(), 1);
    assert_eq!(verdict.checks[0].suggestion, None);
    assert!(verdict.checks[0].allowed.contains("no change of the request"), "{}", verdict.checks[0].allowed);
}

#[test]
fn the_ca_flag_and_the_path_length_are_judged() {
    let ca = |path_length| {
        let mut enrollment = with_usages(request(Some("CA"), &[]), &[K::KeyCertSign], &[]);
        enrollment.basic_constraints = requested(BasicConstraints { is_ca: true, path_length });
        enrollment
    };
    let rules = |is_ca: &str, most: i64| json!({ "basic_constraints": { "is_ca": is_ca, "path_length_max": most } });
    check(rules("allowed", -1), &ca(None), &[]);
    check(rules("allowed", 1), &ca(Some(1)), &[]);
    check(rules("allowed", 1), &ca(None), &["basic_constraints.path_length basicConstraints.pathLength"]);
    check(rules("required", 1), &ca(Some(2)), &["basic_constraints.path_length basicConstraints.pathLength 2"]);
    check(rules("required", -1), &request(Some("leaf"), &[]), &["basic_constraints.is_ca basicConstraints.isCA false"]);
    check(
        rules("denied", -1),
        &ca(None),
        &["basic_constraints.is_ca basicConstraints.isCA true", "basic_constraints.is_ca keyUsages[0] key_cert_sign"],
    );
    mends(rules("denied", -1), &ca(Some(3)));
    mends(rules("required", 0), &request(Some("leaf"), &[]));
    mends(rules("required", 0), &ca(None));
}

#[test]
fn too_many_names_are_refused_and_the_spare_ones_named() {
    let names: Vec<GeneralName> = (1..=4).map(ip).collect();
    let rules = json!({ "sans_max": 2, "sans": [{ "kind": "ip_address", "lists": { "required": ["10.0.0.4"], "allowed": ["*"] } }] });
    check(rules.clone(), &request(None, &names), &["sans.max altNames 4"]);
    mends(rules, &request(None, &names));
}

#[test]
fn explain_lists_the_same_violations_as_a_refusal() {
    let template = template(json!({
        "subject": [{ "kind": "common_name", "lists": { "allowed": ["*.acme.com"], "denied": ["x.acme.com"] } }],
        "validity": { "max": "30d" },
    }));
    let enrollment = request(Some("evil.example"), &[]);
    let everything = template.evaluate(&enrollment, Detail::Everything);
    let violations = template.evaluate(&enrollment, Detail::Violations);
    assert!(everything.checks.len() > violations.checks.len());
    assert_eq!(everything.violations(), violations.violations());
    assert_eq!(violations.checks.len(), 2);
}

#[test]
fn every_preset_takes_a_plain_openssl_request() {
    assert_eq!(
        presets().iter().map(|it| it.id).collect::<Vec<_>>(),
        [
            "tls-server",
            "tls-client",
            "code-signing",
            "device",
            "user",
            "email-protection",
            "dual-purpose-server",
            "intermediate-ca"
        ]
    );
    for preset in presets() {
        let template = Template::compile(&preset.rules).unwrap();
        for key in KeyAlgorithm::ALL {
            let common_name = if template.san_rule(chancery_pkix::GeneralNameKind::DnsName).is_some() {
                "app.acme.com"
            } else {
                "Jane Doe"
            };
            let mut enrollment = request(Some(common_name), &[]);
            for (kind, value) in [
                (AttributeType::Country, "AU"),
                (AttributeType::State, "Some-State"),
                (AttributeType::Organization, "Internet Widgits Pty Ltd"),
            ] {
                enrollment.subject.push(Sourced::new(attribute(kind, value), Source::Csr));
            }
            enrollment.key_usages =
                template.key_usages_required().iter().map(|it| Sourced::new(it, Source::Template)).collect();
            enrollment.extended_key_usages =
                template.extended_key_usages_required().iter().map(|it| Sourced::new(*it, Source::Template)).collect();
            enrollment.key_algorithm = Sourced::new(*key, Source::Csr);
            enrollment.signature_algorithm = Sourced::new(SignatureAlgorithm::RsaPssSha256, Source::Issuer);
            let path_length = template.path_length_default();
            enrollment.basic_constraints =
                Sourced::new(BasicConstraints { is_ca: template.requires_ca(), path_length }, Source::Template);
            assert_eq!(broken(&template, &enrollment), Vec::<String>::new(), "{} {key}", preset.id);
        }
    }
}

#[test]
fn the_default_key_is_the_first_that_can_serve() {
    for (rules, expected) in [
        (json!({}), KeyAlgorithm::EcP256),
        (json!({ "algorithms": { "key_algorithm": ["RSA-2048", "ECDSA-P256"] } }), KeyAlgorithm::EcP256),
        (json!({ "algorithms": { "key_algorithm": ["RSA-4096", "RSA-2048"] } }), KeyAlgorithm::Rsa4096),
        (json!({ "key_usages": { "required": ["key_encipherment"] } }), KeyAlgorithm::Rsa2048),
        (json!({ "algorithms": { "key_algorithm": ["Ed25519", "ML-DSA-65"] } }), KeyAlgorithm::Ed25519),
    ] {
        assert_eq!(template(rules.clone()).preferred_key_algorithm(), expected, "{rules}");
    }
}

#[test]
fn approval_of_a_request_within_the_rules_says_nothing() {
    let verdict = template(json!({ "sans_max": 3 })).evaluate(&empty(), Detail::Violations);
    assert!(verdict.is_approved() && verdict.checks.is_empty());
}
