//! Properties over random templates and requests from small vocabularies, so that matches and misses both happen.

use chancery_model::enrollment::{Enrollment, Source, Sourced};
use chancery_model::profile::ProfileIssuer;
use chancery_model::template::{Patterns, RuleLists, SanRule, SubjectRule, TemplateRules};
use chancery_model::time::Ttl;
use chancery_pkix::{
    AttributeType, BasicConstraints, ExtendedKeyUsage, GeneralName, GeneralNameKind, KeyAlgorithm, KeyUsage,
    SignatureAlgorithm,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use serde_json::json;

use super::build::{attribute, empty, follow, requested, rules};
use crate::enrollment::copy_common_name;
use crate::template::pattern::{Pattern, Place, Value};
use crate::template::{Detail, Template};

const HOST_PATTERNS: &[&str] =
    &["*", "*.acme.com", "label:*.acme.com", "acme.com", "a.acme.com", "app-*.acme.com", r"regex:[a-z]\.acme\.com"];
const HOSTS: &[&str] =
    &["a.acme.com", "a.b.acme.com", "acme.com", "*.acme.com", "*.b.acme.com", "evil.example", "app-1.acme.com"];
const WORDS: &[&str] = &["Acme", "Acme Corp", "Evil", "*", "A*", "*Corp"];
const ADDRESSES: &[&str] = &["10.0.0.1", "10.9.9.9", "192.0.2.7", "2001:db8::1"];
const ADDRESS_PATTERNS: &[&str] = &["*", "10.0.0.1", "cidr:10.0.0.0/8", "cidr:2001:db8::/32", "10.*"];

fn lists(pool: &'static [&'static str]) -> impl Strategy<Value = RuleLists> {
    let some = |most: usize| proptest::option::of(subsequence(pool, 0..=most));
    let patterns =
        |texts: Option<Vec<&str>>| texts.map(|texts| Patterns::Flat(texts.into_iter().map(str::to_owned).collect()));
    (some(3), some(2), proptest::option::weighted(0.3, subsequence(pool, 0..=1)), proptest::option::of(any::<bool>()))
        .prop_map(move |(allowed, required, denied, allow_wildcards)| {
            // A rule needs one list; an accidental contradiction would only be refused when saved.
            let allowed =
                if allowed.is_none() && required.is_none() && denied.is_none() { Some(Vec::new()) } else { allowed };
            let used: Vec<&str> = allowed.iter().chain(&required).flatten().copied().collect();
            let denied = denied.map(|list| list.into_iter().filter(|it| !used.contains(it) && *it != "*").collect());
            RuleLists {
                allowed: patterns(allowed),
                required: patterns(required),
                denied: patterns(denied),
                allow_wildcards,
            }
        })
}

fn subject_rules() -> impl Strategy<Value = Vec<SubjectRule>> {
    let rule =
        |kind, pool| proptest::option::of(lists(pool)).prop_map(move |it| it.map(|lists| SubjectRule { kind, lists }));
    (
        rule(AttributeType::CommonName, HOST_PATTERNS),
        rule(AttributeType::Organization, WORDS),
        rule(AttributeType::OrganizationalUnit, WORDS),
    )
        .prop_map(|(a, b, c)| a.into_iter().chain(b).chain(c).collect())
}

fn san_rules() -> impl Strategy<Value = Vec<SanRule>> {
    let rule =
        |kind, pool| proptest::option::of(lists(pool)).prop_map(move |it| it.map(|lists| SanRule { kind, lists }));
    (rule(GeneralNameKind::DnsName, HOST_PATTERNS), rule(GeneralNameKind::IpAddress, ADDRESS_PATTERNS))
        .prop_map(|(a, b)| a.into_iter().chain(b).collect())
}

fn usage_rule(words: Vec<&'static str>) -> impl Strategy<Value = serde_json::Value> {
    (subsequence(words.clone(), 0..=4), subsequence(words.clone(), 0..=2), subsequence(words, 0..=2)).prop_map(
        |(allowed, required, denied)| {
            let denied: Vec<_> =
                denied.into_iter().filter(|it| !allowed.contains(it) && !required.contains(it)).collect();
            json!({ "allowed": allowed, "required": required, "denied": denied })
        },
    )
}

pub fn templates() -> impl Strategy<Value = TemplateRules> {
    let key_usages = KeyUsage::ALL.iter().map(|it| it.as_str()).collect();
    let purposes = ExtendedKeyUsage::ALL.iter().map(|it| it.as_str()).collect();
    let keys = KeyAlgorithm::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>();
    let signatures = SignatureAlgorithm::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>();
    let blocks = (
        proptest::option::of(usage_rule(key_usages)),
        proptest::option::of(usage_rule(purposes)),
        proptest::option::of(subsequence(keys, 1..=4)),
        proptest::option::of(subsequence(signatures, 1..=6)),
        proptest::option::of(select(vec!["30d", "1y", "2m"])),
        proptest::option::of(select(vec!["1h", "2d"])),
        proptest::option::of(select(vec!["allowed", "required", "denied"])),
        proptest::option::of(-1..3i64),
        proptest::option::of(0..4u32),
    );
    (proptest::option::of(subject_rules()), proptest::option::of(san_rules()), blocks).prop_map(
        |(subject, sans, blocks)| {
            let (key_usages, purposes, keys, signatures, max, min, is_ca, path_length, sans_max) = blocks;
            let base = rules(json!({
                "key_usages": key_usages,
                "extended_key_usages": purposes,
                "algorithms": { "key_algorithm": keys, "signature": signatures },
                "validity": { "max": max, "min": min },
                "basic_constraints": { "is_ca": is_ca, "path_length_max": path_length },
                "sans_max": sans_max,
            }));
            TemplateRules { subject, sans, ..base }
        },
    )
}

fn names() -> impl Strategy<Value = Vec<GeneralName>> {
    let parsed = |kind, texts: Vec<&str>| {
        texts.into_iter().map(|text| GeneralName::parse(kind, text).unwrap()).collect::<Vec<_>>()
    };
    (subsequence(HOSTS, 0..=3), subsequence(ADDRESSES, 0..=2)).prop_map(move |(hosts, addresses)| {
        let mut names = parsed(GeneralNameKind::DnsName, hosts);
        names.extend(parsed(GeneralNameKind::IpAddress, addresses));
        names
    })
}

pub fn requests() -> impl Strategy<Value = Enrollment> {
    let source = || select(vec![Source::Request, Source::Csr, Source::Profile]);
    let name = (proptest::option::of(select(HOSTS)), proptest::option::of(select(&["Acme", "Evil Corp"][..])), names());
    let usages = (
        subsequence(KeyUsage::ALL, 0..=3),
        subsequence(ExtendedKeyUsage::ALL, 0..=2),
        source(),
        any::<bool>(),
        proptest::option::of(0..3u8),
        select(KeyAlgorithm::ALL),
        any::<bool>(),
        select(vec!["10m", "30d", "100d", "2y"]),
        any::<bool>(),
    );
    (name, usages).prop_map(|((common_name, organization, names), rest)| {
        let (key_usages, purposes, source, is_ca, path_length, key, self_signed, ttl, explicit) = rest;
        let mut enrollment = empty();
        let subject = [(AttributeType::Organization, organization), (AttributeType::CommonName, common_name)];
        enrollment.subject = subject
            .into_iter()
            .filter_map(|(kind, value)| value.map(|value| Sourced::new(attribute(kind, value), source)))
            .collect();
        enrollment.sans = names.into_iter().map(requested).collect();
        copy_common_name(&enrollment.subject, &mut enrollment.sans);
        enrollment.key_usages = key_usages.into_iter().map(|it| Sourced::new(it, source)).collect();
        enrollment.extended_key_usages = purposes.into_iter().map(|it| Sourced::new(it, source)).collect();
        enrollment.basic_constraints =
            requested(BasicConstraints { is_ca, path_length: path_length.filter(|_| is_ca) });
        enrollment.key_algorithm = Sourced::new(key, source);
        if self_signed {
            enrollment.issuer = ProfileIssuer::SelfSigned;
            enrollment.signature_algorithm = Sourced::new(key.default_signature(), Source::Issuer);
        }
        let validity = &mut enrollment.validity.value;
        validity.ttl = Ttl::parse(ttl).unwrap();
        validity.not_after = validity.not_before.plus_seconds(validity.ttl.as_seconds() - 1);
        validity.explicit = explicit;
        validity.dated = explicit;
        enrollment
    })
}

/// Checks one pair: `None` when the template is refused, else whether the request was refused and could be mended.
fn judge(rules: &TemplateRules, enrollment: &Enrollment) -> Result<Option<(bool, bool)>, TestCaseError> {
    let Ok(template) = Template::compile(rules) else { return Ok(None) };
    let short = template.evaluate(enrollment, Detail::Violations);
    let long = template.evaluate(enrollment, Detail::Everything);
    let broken: Vec<_> = long.checks.iter().filter(|it| !it.passed).cloned().collect();
    prop_assert_eq!(&short.checks, &broken);
    let suggestions: Vec<_> = short.checks.iter().filter_map(|it| it.suggestion.clone()).collect();
    prop_assert!(
        suggestions.is_empty() || suggestions.len() == short.checks.len(),
        "some suggestions are missing: {:?}",
        short
    );
    if suggestions.is_empty() {
        let told = short.checks.iter().all(|it| it.allowed.contains("no change of the request"));
        prop_assert!(told, "{:?}", short);
        return Ok(Some((!short.is_approved(), false)));
    }
    let mut mended = enrollment.clone();
    follow(&template, &suggestions, &mut mended);
    let again = template.evaluate(&mended, Detail::Violations);
    prop_assert!(again.is_approved(), "{:?}\n{:?}\n{:?}", short, suggestions, again);
    Ok(Some((true, true)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn both_details_agree_and_all_suggestions_together_pass(rules in templates(), enrollment in requests()) {
        judge(&rules, &enrollment)?;
    }

    #[test]
    fn rules_survive_their_stored_form(rules in templates()) {
        let stored = serde_json::to_string(&rules).unwrap();
        let back: TemplateRules = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&back, &rules);
        match (Template::compile(&rules), Template::compile(&back)) {
            (Ok(one), Ok(other)) => prop_assert_eq!(one.summary(), other.summary()),
            (Err(one), Err(other)) => prop_assert_eq!(one, other),
            _ => prop_assert!(false, "compiled once and not twice"),
        }
    }

    #[test]
    fn any_text_is_a_pattern_or_a_problem(text in "(regex:|label:|cidr:)?\\PC{0,40}", kind in select(GeneralNameKind::ALL), name in names()) {
        for place in [Place::Name(kind), Place::Attribute(AttributeType::CommonName), Place::Attribute(AttributeType::Organization)] {
            if let Ok(pattern) = Pattern::compile(place, &text) {
                for name in &name {
                    let value = Value::of_name(name);
                    // What is denied is never narrower than what is allowed.
                    prop_assert!(!pattern.admits(&value) || pattern.touches(&value), "{} {:?}", text, name);
                }
            }
        }
    }

    #[test]
    fn host_patterns_agree_with_the_expression_they_stand_for(pattern in "[ab*.-]{1,8}", name in "[ab]{1,3}(\\.[ab]{1,3}){0,3}") {
        let Ok(compiled) = Pattern::compile(Place::Name(GeneralNameKind::DnsName), &pattern) else { return Ok(()) };
        let Ok(host) = GeneralName::parse(GeneralNameKind::DnsName, &name) else { return Ok(()) };
        let expression = format!(r"\A{}\z", pattern.replace('.', r"\.").replace('*', ".*"));
        let expected = regex_automata::meta::Regex::new(&expression).unwrap().is_match(name.as_str());
        prop_assert_eq!(compiled.admits(&Value::of_name(&host)), expected, "{} {}", pattern, name);
    }

    #[test]
    fn an_empty_allowed_list_permits_nothing(enrollment in requests()) {
        let nothing = |kind: &str| json!({ "kind": kind, "lists": { "allowed": [] } });
        let template = Template::compile(&rules(json!({
            "subject": [nothing("common_name"), nothing("organization")],
            "sans": [nothing("dns_name"), nothing("ip_address")],
            "key_usages": { "allowed": [] },
            "extended_key_usages": { "allowed": [] },
            "basic_constraints": { "is_ca": "allowed" },
        }))).unwrap();
        let values = enrollment.subject.len() + enrollment.sans.len() + enrollment.key_usages.len() + enrollment.extended_key_usages.len();
        let verdict = template.evaluate(&enrollment, Detail::Everything);
        let refused = verdict.checks.iter().filter(|it| !it.passed && it.rule.ends_with(".allowed") && !(it.rule.starts_with("sans") && it.field == "commonName"));
        prop_assert_eq!(refused.count(), values);
    }
}

#[test]
fn most_random_refusals_can_be_mended() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut refused, mut mended) = (0, 0);
    for _ in 0..2000 {
        let rules = templates().new_tree(&mut runner).unwrap().current();
        let enrollment = requests().new_tree(&mut runner).unwrap().current();
        if let Some((is_refused, is_mended)) = judge(&rules, &enrollment).unwrap() {
            refused += i32::from(is_refused);
            mended += i32::from(is_mended);
        }
    }
    assert!(refused > 200, "only {refused} refusals: the vocabulary no longer meets the rules");
    // The rest is beyond the request: an issuer of another family, a key that cannot serve, contradictory counts.
    assert!(mended * 2 > refused, "{mended} of {refused}");
}
