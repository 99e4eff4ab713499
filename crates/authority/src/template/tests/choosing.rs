//! What forms are told that a template leaves open.

use chancery_model::template::RuleState;
use chancery_pkix::{AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage};
use serde_json::json;

use super::build::template;

#[test]
fn a_template_without_rules_leaves_everything_open() {
    let choices = template(json!({})).choices();
    assert_eq!(choices.subject.len(), 7);
    assert!(choices.subject.iter().all(|it| !it.is_required && it.allowed.is_empty() && it.values.is_empty()));
    assert_eq!(choices.names.len(), GeneralNameKind::ALL.len());
    assert_eq!(choices.key_algorithms, KeyAlgorithm::ALL);
    assert_eq!(choices.extended_key_usages.optional, ExtendedKeyUsage::ALL);
    // Certificates are signed by CAs alone, and this template permits none.
    assert_eq!(choices.ca, RuleState::Denied);
    assert!(!choices.key_usages.optional.contains(&KeyUsage::KeyCertSign));
}

#[test]
fn only_what_some_request_may_name_is_asked_for() {
    let choices = template(json!({
        "subject": [
            { "kind": "common_name", "lists": { "required": ["*.acme.com"], "denied": ["bad.acme.com"] } },
            { "kind": "organization", "lists": { "required": ["Acme"] } },
            { "kind": "country", "lists": { "allowed": ["DE", "FR"] } },
            { "kind": "locality", "lists": { "allowed": [] } },
        ],
        "sans": [{ "kind": "dns_name", "lists": { "allowed": ["*"], "allow_wildcards": false } }],
        "key_usages": { "required": ["digital_signature"], "allowed": ["key_agreement"] },
        "extended_key_usages": { "required": ["server_auth"] },
        "algorithms": { "key_algorithm": ["EC_prime256v1"] },
        "validity": { "max": "1y" },
    }))
    .choices();
    let kinds: Vec<_> = choices.subject.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [AttributeType::CommonName, AttributeType::Organization, AttributeType::Country]);
    let [common_name, organization, country] = choices.subject.as_slice() else { panic!("{choices:?}") };
    assert_eq!(common_name.allowed, "must match *.acme.com; never bad.acme.com");
    assert!(common_name.is_required && common_name.values.is_empty());
    assert_eq!(organization.fixed(), Some("Acme"));
    assert_eq!((country.values.as_slice(), country.fixed()), (["DE".to_owned(), "FR".to_owned()].as_slice(), None));
    assert_eq!(choices.names.len(), 1);
    assert_eq!(choices.names[0].allowed, "no wildcard names");
    assert_eq!(choices.key_usages.required, [KeyUsage::DigitalSignature]);
    assert_eq!(choices.key_usages.optional, [KeyUsage::KeyAgreement]);
    assert!(choices.extended_key_usages.optional.is_empty());
    assert_eq!(choices.key_algorithms, [KeyAlgorithm::EcP256]);
    assert_eq!(choices.validity_max.map(|it| it.to_string()).as_deref(), Some("1 year"));
}

#[test]
fn keys_that_cannot_serve_a_required_usage_are_not_offered() {
    let choices = template(json!({ "key_usages": { "required": ["key_encipherment"] } })).choices();
    assert!(!choices.key_algorithms.is_empty());
    assert!(choices.key_algorithms.iter().all(|it| it.as_str().starts_with("RSA")), "{:?}", choices.key_algorithms);
}

#[test]
fn no_names_at_all_may_be_a_limit_of_none() {
    assert!(template(json!({ "sans": [] })).choices().names.is_empty());
}
