//! Rules that are refused when they are saved, and what the others say in words.

use chancery_model::template::TemplateRules;
use serde_json::json;

use super::build::{rules, template};
use crate::template::{Template, presets, presets_reference};

fn refused(json: &serde_json::Value, field: &str, code: &str) {
    let problems = Template::compile(&rules(json.clone())).err().unwrap_or_default();
    let found: Vec<_> = problems.iter().map(|it| (it.field.as_str(), it.code)).collect();
    assert_eq!(found, [(field, code)], "{json}");
}

#[test]
fn wrong_patterns_are_refused_with_the_field_and_the_reason() {
    let cn = |lists: serde_json::Value| json!({ "subject": [{ "kind": "common_name", "lists": lists }] });
    let dns = |lists: serde_json::Value| json!({ "sans": [{ "kind": "dns_name", "lists": lists }] });
    let many: Vec<String> = (0..501).map(|it| format!("h{it}.acme.com")).collect();
    let expressions: Vec<String> = (0..21).map(|it| format!("regex:h{it}")).collect();
    let labels = vec!["a"; 51];
    for (json, field, code) in [
        (cn(json!({})), "subject[0]", "template.rule_empty"),
        (cn(json!({ "allowed": [""] })), "subject[0].allowed[0]", "template.pattern_empty"),
        (dns(json!({ "allowed": ["a.acme.com", "A.acme.com"] })), "sans[0].allowed[1]", "template.duplicate"),
        (dns(json!({ "allowed": many })), "sans[0].allowed", "template.too_many"),
        (dns(json!({ "allowed": expressions })), "sans[0].allowed[20]", "template.too_many"),
        (dns(json!({ "allowed": [["a", "com"]] })), "sans[0].allowed", "template.nested"),
        (
            dns(json!({ "allowed": ["a.acme.com"], "denied": ["a.acme.com"] })),
            "sans[0].allowed",
            "template.contradiction",
        ),
        (
            json!({ "sans": [{ "kind": "dns_name", "lists": { "allowed": [] } }, { "kind": "dns_name", "lists": { "allowed": [] } }] }),
            "sans[1].type",
            "template.duplicate",
        ),
        (
            json!({ "subject": [{ "kind": "domain_component", "lists": { "allowed": [labels] } }] }),
            "subject[0].allowed",
            "template.too_many",
        ),
        (
            json!({ "subject": [{ "kind": "domain_component", "lists": { "allowed": [["acme", "com"]], "denied": ["com"] } }] }),
            "subject[0].allowed",
            "template.contradiction",
        ),
    ] {
        refused(&json, field, code);
    }
}

#[test]
fn wrong_words_and_numbers_are_refused_with_the_field_and_the_reason() {
    for (json, field, code) in [
        (json!({ "key_usages": {} }), "keyUsages", "template.rule_empty"),
        (json!({ "key_usages": { "allowed": ["sign"] } }), "keyUsages.allowed[0]", "template.unknown_word"),
        (json!({ "key_usages": { "allowed": ["crl_sign", "cRLSign"] } }), "keyUsages.allowed[1]", "template.duplicate"),
        (
            json!({ "extended_key_usages": { "required": ["server_auth"], "denied": ["server_auth"] } }),
            "extendedKeyUsages.required",
            "template.contradiction",
        ),
        (json!({ "algorithms": { "key_algorithm": [] } }), "algorithms.keyAlgorithm", "template.list_empty"),
        (
            json!({ "algorithms": { "key_algorithm": ["RSA-1024"] } }),
            "algorithms.keyAlgorithm[0]",
            "template.unknown_word",
        ),
        (json!({ "algorithms": { "signature": ["SHA1-RSA"] } }), "algorithms.signature[0]", "template.unknown_word"),
        (
            json!({ "algorithms": { "key_algorithm": ["RSA-2048", "RSA_2048"] } }),
            "algorithms.keyAlgorithm[1]",
            "template.duplicate",
        ),
        (json!({ "validity": { "max": "90" } }), "validity.max", "template.duration"),
        (json!({ "validity": { "max": "1.5d" } }), "validity.max", "template.duration"),
        (json!({ "validity": { "min": "-1d" } }), "minValidity", "template.duration"),
        (
            json!({ "basic_constraints": { "path_length_max": 256 } }),
            "basicConstraints.maxPathLength",
            "template.path_length",
        ),
        (
            json!({ "basic_constraints": { "path_length_max": -2 } }),
            "basicConstraints.maxPathLength",
            "template.path_length",
        ),
    ] {
        refused(&json, field, code);
    }
}

#[test]
fn rules_that_no_request_can_meet_are_refused() {
    let dns = |lists: serde_json::Value| json!({ "sans": [{ "kind": "dns_name", "lists": lists }] });
    for json in [
        json!({ "validity": { "max": "1d", "min": "25h" } }),
        dns(json!({ "required": ["a.acme.com"], "denied": ["*.acme.com"] })),
        dns(json!({ "required": ["*.b.acme.com"], "denied": ["*.acme.com"] })),
        dns(json!({ "required": ["a.acme.com"], "denied": ["*"] })),
        dns(json!({ "required": ["a.acme.com"], "denied": ["regex:a\\..*"] })),
        json!({ "sans": [{ "kind": "ip_address", "lists": { "required": ["10.1.0.1"], "denied": ["cidr:10.0.0.0/8"] } }] }),
        json!({ "subject": [{ "kind": "organization", "lists": { "required": ["Acme", "Acme Corp"], "denied": ["Acme*"] } }] }),
        json!({ "sans_max": 0, "sans": [{ "kind": "dns_name", "lists": { "required": ["*"] } }] }),
        json!({ "sans_max": 1, "sans": [{ "kind": "dns_name", "lists": { "required": ["a.acme.com", "b.acme.com"] } }] }),
        json!({ "sans": [], "subject": [{ "kind": "common_name", "lists": { "required": ["a.acme.com"] } }] }),
        json!({ "key_usages": { "required": ["key_cert_sign"] } }),
        json!({ "key_usages": { "allowed": ["digital_signature"] }, "basic_constraints": { "is_ca": "required" } }),
        json!({ "key_usages": { "required": ["key_encipherment"] }, "algorithms": { "key_algorithm": ["ECDSA-P256", "Ed25519"] } }),
        json!({ "key_usages": { "required": ["key_encipherment", "key_agreement"] } }),
    ] {
        let problems = Template::compile(&rules(json.clone())).err().unwrap_or_default();
        assert_eq!(problems.iter().map(|it| it.code).collect::<Vec<_>>(), ["template.unsatisfiable"], "{json}");
    }
}

#[test]
fn odd_but_possible_rules_are_accepted() {
    for json in [
        json!({}),
        json!({ "subject": [], "sans": [] }),
        json!({ "key_usages": { "denied": ["crl_sign"] } }),
        json!({ "sans": [{ "kind": "dns_name", "lists": { "required": ["*.acme.com"], "denied": ["x.acme.com"] } }] }),
        json!({ "sans": [], "subject": [{ "kind": "common_name", "lists": { "required": ["Acme Root"] } }] }),
        json!({ "sans": [{ "kind": "dns_name", "lists": { "allowed": [] } }] }),
        json!({ "validity": { "max": "1d", "min": "24h" } }),
    ] {
        assert_eq!(Template::compile(&rules(json.clone())).err(), None, "{json}");
    }
}

#[test]
fn the_summary_says_what_is_in_force() {
    let template = template(json!({
        "subject": [{ "kind": "common_name", "lists": { "required": ["*.acme.com"] } }],
        "sans": [{ "kind": "dns_name", "lists": { "allowed": ["*.acme.com", "acme.com"], "denied": ["x.acme.com"], "allow_wildcards": false } }],
        "key_usages": { "required": ["digital_signature"], "allowed": ["key_encipherment", "key_agreement"] },
        "extended_key_usages": { "denied": ["any_purpose"] },
        "algorithms": { "key_algorithm": ["ECDSA-P256", "RSA-2048"] },
        "validity": { "max": "3m" },
        "sans_max": 10,
    }));
    assert_eq!(
        template.summary(),
        [
            "Common name: required, one of its values must match *.acme.com; nothing else.",
            "Other subject attributes: none.",
            "DNS names: must match *.acme.com or acme.com; never x.acme.com; no wildcard names.",
            "Other subject alternative names: none.",
            "At most 10 subject alternative names, the one copied from the common name included.",
            "Key usages: required digital_signature (filled in when a request names none); allowed key_encipherment and key_agreement.",
            "Extended key usages: none may be requested; never any_purpose.",
            "Key algorithm: EC_prime256v1 or RSA_2048.",
            "Signature algorithm: any that the issuer can make.",
            "Validity: at most 90 days.",
            "CA certificates: none.",
        ]
    );
}

#[test]
fn the_three_states_of_a_block_read_differently() {
    let sentence = |json: serde_json::Value| {
        let lines = template(json).summary();
        lines.into_iter().filter(|it| it.contains("lternative") || it.starts_with("DNS")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(sentence(json!({})), "Subject alternative names: anything.");
    assert_eq!(
        sentence(json!({ "sans": [] })),
        "Subject alternative names: none, and so no common name that is a host name or an address."
    );
    assert_eq!(
        sentence(json!({ "sans": [{ "kind": "dns_name", "lists": { "allowed": [] } }] })),
        "DNS names: not allowed. Other subject alternative names: none."
    );
}

#[test]
fn presets_read_back_from_their_stored_form() {
    let page = presets_reference();
    for preset in presets() {
        let stored = serde_json::to_string(&preset.rules).unwrap();
        let back: TemplateRules = serde_json::from_str(&stored).unwrap();
        assert_eq!(back, preset.rules);
        assert_eq!(Template::compile(&back).unwrap().summary(), Template::compile(&preset.rules).unwrap().summary());
        assert!(page.contains(&format!("## `{}`: {}", preset.id, preset.name)));
    }
}
