//! The blocks of a template between wire and model. Shape is checked here (422); whether the rules make sense together
//! is the core's to say.

use chancery_authority::template::TemplateRulesPatch;
use chancery_model::template as model;
use chancery_model::time::{Ttl, UnitM};
use chancery_wire::Nullable;
use chancery_wire::template as wire;
use chancery_wire::words;

use crate::issues::Issues;
use crate::nullable::{field, try_field};

const PATTERN_MAX: usize = 255;
const PATTERNS_MAX: usize = 200;
const RULES_MAX: usize = 50;
const SEQUENCES_MAX: usize = 25;
const LABELS_MAX: usize = 50;
const SANS_MAX: u32 = 100;

/// The blocks as a create or update body holds them.
pub(crate) struct Blocks {
    pub subject: Nullable<Vec<wire::SubjectRule>>,
    pub sans: Nullable<Vec<wire::SanRule>>,
    pub key_usages: Nullable<wire::KeyUsageRule>,
    pub extended_key_usages: Nullable<wire::ExtendedKeyUsageRule>,
    pub algorithms: Nullable<wire::AlgorithmRule>,
    pub validity: Nullable<wire::ValidityRule>,
    pub basic_constraints: Nullable<wire::BasicConstraintsRule>,
    pub min_validity: Nullable<String>,
    pub max_sans: Nullable<u32>,
}

pub(crate) fn from_wire(blocks: Blocks, issues: &mut Issues) -> TemplateRulesPatch {
    TemplateRulesPatch {
        subject: field(blocks.subject.map(|rules| subject(rules, issues))),
        sans: field(blocks.sans.map(|rules| sans(rules, issues))),
        key_usages: field(blocks.key_usages.map(|rule| key_usages(&rule, issues))),
        extended_key_usages: field(blocks.extended_key_usages.map(|rule| extended_key_usages(&rule, issues))),
        algorithms: field(blocks.algorithms.map(|rule| algorithms(rule, issues))),
        validity_max: validity_max(blocks.validity, issues),
        validity_min: try_field(blocks.min_validity, |text| duration("minValidity", text, issues)),
        basic_constraints: field(blocks.basic_constraints.map(|rule| basic_constraints(&rule, issues))),
        sans_max: field(blocks.max_sans.map(|count| {
            issues.range("maxSans", count, 1..=SANS_MAX);
            count
        })),
    }
}

fn subject(rules: Vec<wire::SubjectRule>, issues: &mut Issues) -> Vec<model::SubjectRule> {
    issues.count("subject", rules.len(), RULES_MAX);
    let mut made = Vec::with_capacity(rules.len());
    for (index, rule) in rules.into_iter().enumerate() {
        let place = format!("subject[{index}]");
        let nests = rule.kind == words::SubjectAttributeType::DomainComponent;
        let kind = issues.word(&format!("{place}.type"), rule.kind.as_str());
        let lists = lists(&place, [rule.allowed, rule.required, rule.denied], rule.allow_wildcards, nests, issues);
        made.extend(kind.map(|kind| model::SubjectRule { kind, lists }));
    }
    made
}

fn sans(rules: Vec<wire::SanRule>, issues: &mut Issues) -> Vec<model::SanRule> {
    issues.count("sans", rules.len(), RULES_MAX);
    let mut made = Vec::with_capacity(rules.len());
    for (index, rule) in rules.into_iter().enumerate() {
        let place = format!("sans[{index}]");
        let kind = issues.word(&format!("{place}.type"), rule.kind.as_str());
        let lists = lists(&place, [rule.allowed, rule.required, rule.denied], rule.allow_wildcards, false, issues);
        made.extend(kind.map(|kind| model::SanRule { kind, lists }));
    }
    made
}

fn lists(
    place: &str,
    [allowed, required, denied]: [Option<wire::Patterns>; 3],
    allow_wildcards: Option<bool>,
    nests: bool,
    issues: &mut Issues,
) -> model::RuleLists {
    if allowed.is_none() && required.is_none() && denied.is_none() {
        issues.add(place, "at least one of allowed, required and denied must be there");
    }
    let mut checked = |name: &str, list: Option<wire::Patterns>| {
        let list = list?;
        check_patterns(&format!("{place}.{name}"), &list, nests, issues);
        Some(match list {
            wire::Patterns::Flat(texts) => {
                model::Patterns::Flat(texts.into_iter().map(|it| it.trim().to_owned()).collect())
            }
            wire::Patterns::Nested(sequences) => model::Patterns::Nested(sequences),
        })
    };
    model::RuleLists {
        allowed: checked("allowed", allowed),
        required: checked("required", required),
        denied: checked("denied", denied),
        allow_wildcards,
    }
}

fn check_patterns(place: &str, list: &wire::Patterns, nests: bool, issues: &mut Issues) {
    match list {
        wire::Patterns::Flat(texts) => {
            issues.count(place, texts.len(), PATTERNS_MAX);
            for (index, text) in texts.iter().enumerate() {
                issues.length(&format!("{place}[{index}]"), text.trim(), 1..=PATTERN_MAX);
            }
        }
        wire::Patterns::Nested(_) if !nests => {
            issues.add(place, "only domain_component rules take lists of labels; write texts here");
        }
        wire::Patterns::Nested(sequences) => {
            issues.count(place, sequences.len(), SEQUENCES_MAX);
            for (index, labels) in sequences.iter().enumerate() {
                let place = format!("{place}[{index}]");
                issues.range(&place, labels.len(), 1..=LABELS_MAX);
                for (label_index, label) in labels.iter().enumerate() {
                    issues.length(&format!("{place}[{label_index}]"), label, 1..=PATTERN_MAX);
                }
            }
        }
    }
}

fn key_usages(rule: &wire::KeyUsageRule, issues: &mut Issues) -> model::ListRule {
    let texts = |list: &Option<Vec<words::KeyUsage>>| {
        list.as_ref().map(|it| it.iter().map(|one| one.as_str().to_owned()).collect())
    };
    usages("keyUsages", texts(&rule.allowed), texts(&rule.required), texts(&rule.denied), issues)
}

fn extended_key_usages(rule: &wire::ExtendedKeyUsageRule, issues: &mut Issues) -> model::ListRule {
    let texts = |list: &Option<Vec<words::ExtendedKeyUsage>>| {
        list.as_ref().map(|it| it.iter().map(|one| one.as_str().to_owned()).collect())
    };
    usages("extendedKeyUsages", texts(&rule.allowed), texts(&rule.required), texts(&rule.denied), issues)
}

fn usages(
    place: &str,
    allowed: Option<Vec<String>>,
    required: Option<Vec<String>>,
    denied: Option<Vec<String>>,
    issues: &mut Issues,
) -> model::ListRule {
    if allowed.is_none() && required.is_none() && denied.is_none() {
        issues.add(place, "at least one of allowed, required and denied must be there");
    }
    for usage in denied.iter().flatten() {
        if allowed.iter().chain(&required).flatten().any(|it| it == usage) {
            issues.add(&format!("{place}.denied"), format!("{usage} is denied and also allowed or required"));
        }
    }
    model::ListRule { allowed, required, denied }
}

fn algorithms(rule: wire::AlgorithmRule, issues: &mut Issues) -> model::AlgorithmRule {
    for (name, list) in [("signature", &rule.signature), ("keyAlgorithm", &rule.key_algorithm)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            issues.add_as(&format!("algorithms.{name}"), "too_small", "must name at least one algorithm");
        }
    }
    for (index, text) in rule.signature.iter().flatten().enumerate() {
        issues.word::<chancery_pkix::SignatureAlgorithm>(&format!("algorithms.signature[{index}]"), text);
    }
    for (index, text) in rule.key_algorithm.iter().flatten().enumerate() {
        issues.word::<chancery_pkix::KeyAlgorithm>(&format!("algorithms.keyAlgorithm[{index}]"), text);
    }
    model::AlgorithmRule { signature: rule.signature, key_algorithm: rule.key_algorithm }
}

/// A `validity` block without `max` is no constraint, the same as `null`.
fn validity_max(
    block: Nullable<wire::ValidityRule>,
    issues: &mut Issues,
) -> chancery_authority::enrollment::Field<String> {
    let max = match block {
        Nullable::Missing => Nullable::Missing,
        Nullable::Null => Nullable::Null,
        Nullable::Value(rule) => rule.max.map_or(Nullable::Null, Nullable::Value),
    };
    try_field(max, |text| duration("validity.max", text, issues))
}

fn duration(place: &str, text: String, issues: &mut Issues) -> Option<String> {
    // A stored maximum reads `m` as a 30-day month, a minimum as the minutes of a request.
    let unit = if place == "validity.max" { UnitM::Months } else { UnitM::Minutes };
    match Ttl::parse_with(&text, unit) {
        Ok(_) => Some(text.trim().to_owned()),
        Err(error) => {
            issues.add(place, error.to_string());
            None
        }
    }
}

fn basic_constraints(rule: &wire::BasicConstraintsRule, issues: &mut Issues) -> model::BasicConstraintsRule {
    issues.range("basicConstraints.maxPathLength", rule.max_path_length.unwrap_or(-1), -1..=255);
    model::BasicConstraintsRule {
        is_ca: rule.is_ca.map(|state| match state {
            words::RuleState::Allowed => model::RuleState::Allowed,
            words::RuleState::Required => model::RuleState::Required,
            words::RuleState::Denied => model::RuleState::Denied,
        }),
        path_length_max: rule.max_path_length,
    }
}

pub(crate) fn to_wire(rules: &model::TemplateRules) -> wire::TemplateRules {
    let usage_list = |list: &Option<Vec<String>>| {
        list.as_ref().map(|it| it.iter().filter_map(|one| words::KeyUsage::from_name(one)).collect())
    };
    let extended_list = |list: &Option<Vec<String>>| {
        list.as_ref().map(|it| it.iter().filter_map(|one| words::ExtendedKeyUsage::from_name(one)).collect())
    };
    let validity = rules.validity.as_ref();
    wire::TemplateRules {
        subject: rules.subject.as_ref().map(|list| list.iter().filter_map(shown_subject).collect()),
        sans: rules.sans.as_ref().map(|list| list.iter().filter_map(shown_san).collect()),
        key_usages: rules.key_usages.as_ref().map(|rule| wire::KeyUsageRule {
            allowed: usage_list(&rule.allowed),
            required: usage_list(&rule.required),
            denied: usage_list(&rule.denied),
        }),
        extended_key_usages: rules.extended_key_usages.as_ref().map(|rule| wire::ExtendedKeyUsageRule {
            allowed: extended_list(&rule.allowed),
            required: extended_list(&rule.required),
            denied: extended_list(&rule.denied),
        }),
        algorithms: rules.algorithms.as_ref().map(|rule| wire::AlgorithmRule {
            signature: rule.signature.clone(),
            key_algorithm: rule.key_algorithm.clone(),
        }),
        validity: validity.and_then(|it| it.max.clone()).map(|max| wire::ValidityRule { max: Some(max) }),
        basic_constraints: rules.basic_constraints.as_ref().map(|rule| wire::BasicConstraintsRule {
            is_ca: rule.is_ca.map(|state| match state {
                model::RuleState::Allowed => words::RuleState::Allowed,
                model::RuleState::Required => words::RuleState::Required,
                model::RuleState::Denied => words::RuleState::Denied,
            }),
            max_path_length: rule.path_length_max,
        }),
        min_validity: validity.and_then(|it| it.min.clone()),
        max_sans: rules.sans_max,
    }
}

fn shown_subject(rule: &model::SubjectRule) -> Option<wire::SubjectRule> {
    Some(wire::SubjectRule {
        kind: words::SubjectAttributeType::from_name(rule.kind.as_str())?,
        allowed: shown_patterns(rule.lists.allowed.as_ref()),
        required: shown_patterns(rule.lists.required.as_ref()),
        denied: shown_patterns(rule.lists.denied.as_ref()),
        allow_wildcards: rule.lists.allow_wildcards,
    })
}

fn shown_san(rule: &model::SanRule) -> Option<wire::SanRule> {
    Some(wire::SanRule {
        kind: words::SanType::from_name(rule.kind.as_str())?,
        allowed: shown_patterns(rule.lists.allowed.as_ref()),
        required: shown_patterns(rule.lists.required.as_ref()),
        denied: shown_patterns(rule.lists.denied.as_ref()),
        allow_wildcards: rule.lists.allow_wildcards,
    })
}

fn shown_patterns(patterns: Option<&model::Patterns>) -> Option<wire::Patterns> {
    patterns.map(|it| match it {
        model::Patterns::Flat(texts) => wire::Patterns::Flat(texts.clone()),
        model::Patterns::Nested(sequences) => wire::Patterns::Nested(sequences.clone()),
    })
}

#[cfg(test)]
mod tests {
    use chancery_authority::enrollment::Field;
    use chancery_wire::template::CreateTemplate;

    use super::*;

    fn read(blocks: &str) -> Result<TemplateRulesPatch, crate::error::ApiError> {
        let body: CreateTemplate = crate::json::parse(format!(r#"{{"name":"a",{blocks}}}"#).as_bytes())?;
        let mut issues = Issues::default();
        let rules = from_wire(
            Blocks {
                subject: body.subject,
                sans: body.sans,
                key_usages: body.key_usages,
                extended_key_usages: body.extended_key_usages,
                algorithms: body.algorithms,
                validity: body.validity,
                basic_constraints: body.basic_constraints,
                min_validity: body.min_validity,
                max_sans: body.max_sans,
            },
            &mut issues,
        );
        issues.finish().map(|()| rules)
    }

    #[test]
    fn the_shape_rules_of_the_contract_are_422() {
        for (blocks, place) in [
            (r#""subject":[{"type":"common_name"}]"#, "subject[0]"),
            (r#""subject":[{"type":"common_name","allowed":[""]}]"#, "subject[0].allowed[0]"),
            (r#""sans":[{"type":"dns_name","allowed":[["a"]]}]"#, "sans[0].allowed"),
            (r#""subject":[{"type":"domain_component","denied":[[]]}]"#, "subject[0].denied[0]"),
            (r#""keyUsages":{}"#, "keyUsages"),
            (r#""keyUsages":{"denied":["crl_sign"],"required":["crl_sign"]}"#, "keyUsages.denied"),
            (r#""extendedKeyUsages":{}"#, "extendedKeyUsages"),
            (r#""extendedKeyUsages":{"allowed":["fly"]}"#, "extendedKeyUsages.allowed[0]"),
            (r#""algorithms":{"signature":[]}"#, "algorithms.signature"),
            (r#""algorithms":{"keyAlgorithm":["ROT-13"]}"#, "algorithms.keyAlgorithm[0]"),
            (r#""validity":{"max":"1 fortnight"}"#, "validity.max"),
            (r#""basicConstraints":{"maxPathLength":-2}"#, "basicConstraints.maxPathLength"),
            (r#""maxSans":0"#, "maxSans"),
            (r#""minValidity":"90""#, "minValidity"),
        ] {
            let error = read(blocks).expect_err(blocks);
            assert_eq!(error.status(), 422, "{blocks}");
            let message = error.body("r").message.to_string();
            assert!(message.starts_with(place), "{blocks}: {message}");
        }
    }

    #[test]
    fn missing_null_and_empty_blocks_stay_apart() {
        let rules = read(r#""subject":null,"sans":[],"validity":{}"#).unwrap();
        assert_eq!(rules.subject, Field::Null);
        assert_eq!(rules.sans, Field::Value(vec![]));
        assert_eq!(rules.key_usages, Field::Missing);
        assert_eq!(rules.validity_max, Field::Null);
        assert_eq!(rules.validity_min, Field::Missing);
    }

    #[test]
    fn rules_are_answered_as_they_were_written() {
        let text = r#"{"subject":[{"type":"domain_component","allowed":[["acme","com"]]},{"type":"common_name","required":["*.acme.com"],"allowWildcards":false}],"sans":[],"keyUsages":{"required":["digital_signature"]},"extendedKeyUsages":{"allowed":[]},"algorithms":{"signature":["SHA256-RSA"],"keyAlgorithm":["RSA_2048","ECDSA-P256"]},"validity":{"max":"12m"},"basicConstraints":{"isCA":"denied"},"minValidity":"1h","maxSans":5}"#;
        let given: wire::TemplateRules = serde_json::from_str(text).unwrap();
        let inside = text.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap();
        let patch = read(inside).unwrap();
        let stored = model::TemplateRules {
            subject: patch.subject.given().cloned(),
            sans: patch.sans.given().cloned(),
            key_usages: patch.key_usages.given().cloned(),
            extended_key_usages: patch.extended_key_usages.given().cloned(),
            algorithms: patch.algorithms.given().cloned(),
            validity: Some(model::ValidityRule {
                max: patch.validity_max.given().cloned(),
                min: patch.validity_min.given().cloned(),
            }),
            basic_constraints: patch.basic_constraints.given().cloned(),
            sans_max: patch.sans_max.given().copied(),
        };
        assert_eq!(to_wire(&stored), given);
    }
}
