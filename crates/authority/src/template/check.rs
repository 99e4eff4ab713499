//! One check of one rule, small enough to be made without allocating, and its words for people and programs.

use chancery_model::enrollment::{Enrollment, Source};
use chancery_pkix::{AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage, SignatureAlgorithm};

use super::pattern::Pattern;
use super::rule::{NameRule, Part, Sequence, UsageRule};
use super::{Template, can_serve};

/// Which rule was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Subject(AttributeType, Part),
    San(GeneralNameKind, Part),
    SanCount,
    KeyUsage(Part),
    ExtendedKeyUsage(Part),
    KeyAlgorithm,
    Signature,
    ValidityMax,
    ValidityMin,
    IsCa,
    PathLength,
}

/// What it was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// `enrollment.subject[i]`; under a SAN rule: the common name, whose copy among the names is refused.
    Attribute(usize),
    /// All domain components together.
    Components,
    /// `enrollment.sans[i]`.
    San(usize),
    /// The rule's required pattern of this index, which no name matches.
    MissingSan(usize),
    /// `enrollment.key_usages[i]`, `enrollment.extended_key_usages[i]`.
    Usage(usize),
    MissingKeyUsage(KeyUsage),
    MissingExtendedKeyUsage(ExtendedKeyUsage),
    /// A single field: there, or missing.
    Whole,
    Missing,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    pub rule: Rule,
    pub subject: Subject,
    pub source: Option<Source>,
    pub passed: bool,
}

impl Rule {
    /// Stable, dotted.
    pub fn name(self) -> String {
        match self {
            Self::Subject(kind, part) => format!("subject.{}.{}", kind.as_str(), part.as_str()),
            Self::San(kind, part) => format!("sans.{}.{}", kind.as_str(), part.as_str()),
            Self::SanCount => "sans.max".to_owned(),
            Self::KeyUsage(part) => format!("key_usages.{}", part.as_str()),
            Self::ExtendedKeyUsage(part) => format!("extended_key_usages.{}", part.as_str()),
            Self::KeyAlgorithm => "algorithms.key_algorithm".to_owned(),
            Self::Signature => "algorithms.signature".to_owned(),
            Self::ValidityMax => "validity.max".to_owned(),
            Self::ValidityMin => "validity.min".to_owned(),
            Self::IsCa => "basic_constraints.is_ca".to_owned(),
            Self::PathLength => "basic_constraints.path_length".to_owned(),
        }
    }
}

/// The wire's name of a subject attribute: `organizationalUnit`, `domainComponents`.
pub(super) fn attribute_field(kind: AttributeType) -> String {
    if kind == AttributeType::DomainComponent {
        return "domainComponents".to_owned();
    }
    let mut field = String::new();
    for (index, word) in kind.as_str().split('_').enumerate() {
        let mut letters = word.chars();
        match letters.next() {
            Some(first) if index > 0 => field.push(first.to_ascii_uppercase()),
            Some(first) => field.push(first),
            None => {}
        }
        field.push_str(letters.as_str());
    }
    field
}

impl Check {
    /// The field of the certificate-to-be.
    pub fn field(&self, enrollment: &Enrollment) -> String {
        match (self.rule, self.subject) {
            (Rule::Subject(kind, _), _) => attribute_field(kind),
            (Rule::San(..), Subject::San(index)) => format!("altNames[{index}]"),
            (Rule::San(..), Subject::Attribute(_)) => attribute_field(AttributeType::CommonName),
            (Rule::San(..) | Rule::SanCount, _) => "altNames".to_owned(),
            (Rule::KeyUsage(_), Subject::Usage(index)) | (Rule::IsCa, Subject::Usage(index)) => {
                format!("keyUsages[{index}]")
            }
            (Rule::KeyUsage(_), _) => "keyUsages".to_owned(),
            (Rule::ExtendedKeyUsage(_), Subject::Usage(index)) => format!("extendedKeyUsages[{index}]"),
            (Rule::ExtendedKeyUsage(_), _) => "extendedKeyUsages".to_owned(),
            (Rule::KeyAlgorithm, _) => "keyAlgorithm".to_owned(),
            (Rule::Signature, _) => "signatureAlgorithm".to_owned(),
            (Rule::ValidityMax | Rule::ValidityMin, _) if enrollment.validity.value.dated => "notAfter".to_owned(),
            (Rule::ValidityMax | Rule::ValidityMin, _) => "ttl".to_owned(),
            (Rule::IsCa, _) => "basicConstraints.isCA".to_owned(),
            (Rule::PathLength, _) => "basicConstraints.pathLength".to_owned(),
        }
    }

    /// The value in question; empty when it is missing.
    pub fn value(&self, enrollment: &Enrollment) -> String {
        match (self.rule, self.subject) {
            (_, Subject::Attribute(index)) => {
                enrollment.subject.get(index).map(|it| it.value.value.clone()).unwrap_or_default()
            }
            (_, Subject::Components) => components(enrollment).join(","),
            (_, Subject::San(index)) => enrollment.sans.get(index).map(|it| it.value.value()).unwrap_or_default(),
            (Rule::ExtendedKeyUsage(_), Subject::Usage(index)) => {
                enrollment.extended_key_usages.get(index).map(|it| it.value.as_str().to_owned()).unwrap_or_default()
            }
            (_, Subject::Usage(index)) => {
                enrollment.key_usages.get(index).map(|it| it.value.as_str().to_owned()).unwrap_or_default()
            }
            (
                _,
                Subject::MissingSan(_)
                | Subject::MissingKeyUsage(_)
                | Subject::MissingExtendedKeyUsage(_)
                | Subject::Missing,
            ) => String::new(),
            (rule, Subject::Whole) => whole_value(rule, enrollment),
        }
    }

    /// What would be allowed, in words.
    pub fn allowed(&self, template: &Template, enrollment: &Enrollment) -> String {
        match self.rule {
            Rule::Subject(AttributeType::DomainComponent, part) => components_allowed(template, part),
            Rule::Subject(kind, part) => {
                names_allowed(template.attribute_rule(kind), part, None, &missing_rule("subject", kind.as_str()))
            }
            Rule::San(kind, part) => {
                let pattern = if let Subject::MissingSan(index) = self.subject { Some(index) } else { None };
                names_allowed(template.san_rule(kind), part, pattern, &missing_rule("SAN", kind.as_str()))
            }
            Rule::SanCount => format!("at most {} names", template.sans_max.unwrap_or_default()),
            Rule::KeyUsage(part) => {
                let words = usages_allowed(template.key_usages.as_ref(), part, KeyUsage::as_str);
                match self.subject {
                    Subject::MissingKeyUsage(usage) => self.missing_key_usage(usage, template, enrollment),
                    _ => words,
                }
            }
            Rule::ExtendedKeyUsage(part) => match self.subject {
                Subject::MissingExtendedKeyUsage(usage) => format!("{} is required", usage.as_str()),
                _ => usages_allowed(template.extended_key_usages.as_ref(), part, ExtendedKeyUsage::as_str),
            },
            Rule::KeyAlgorithm => one_of(template.key_algorithms.iter().flatten().copied().map(KeyAlgorithm::as_str)),
            Rule::Signature => {
                one_of(template.signature_algorithms.iter().flatten().copied().map(SignatureAlgorithm::as_str))
            }
            Rule::ValidityMax => template.validity_max.map(|most| format!("at most {most}")).unwrap_or_default(),
            Rule::ValidityMin => template.validity_min.map(|least| format!("at least {least}")).unwrap_or_default(),
            Rule::IsCa if template.requires_ca() => "CA certificates only".to_owned(),
            Rule::IsCa if template.permits_ca() => "CA certificates and others".to_owned(),
            Rule::IsCa => "no CA certificates, and no key_cert_sign".to_owned(),
            Rule::PathLength => format!("a path length of at most {}", template.path_length_max.unwrap_or(u8::MAX)),
        }
    }

    fn missing_key_usage(&self, usage: KeyUsage, template: &Template, enrollment: &Enrollment) -> String {
        let key = enrollment.key_algorithm.value;
        if self.passed || can_serve(key, usage) {
            return format!("{} is required", usage.as_str());
        }
        let fitting =
            KeyAlgorithm::ALL.iter().filter(|it| template.allows_key_algorithm(**it) && template.key_serves(**it));
        format!(
            "{} is required, and a key of type {key} cannot serve it; ask for {}",
            usage.as_str(),
            one_of(fitting.map(|it| it.as_str()))
        )
    }
}

fn whole_value(rule: Rule, enrollment: &Enrollment) -> String {
    match rule {
        Rule::SanCount => enrollment.sans.len().to_string(),
        Rule::KeyAlgorithm => enrollment.key_algorithm.value.to_string(),
        Rule::Signature => enrollment.signature_algorithm.value.to_string(),
        Rule::ValidityMax | Rule::ValidityMin => enrollment.validity.value.ttl.to_string(),
        Rule::IsCa => enrollment.basic_constraints.value.is_ca.to_string(),
        Rule::PathLength => enrollment.basic_constraints.value.path_length.map(|it| it.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The labels of the subject's domain components, in certificate order.
pub(super) fn components(enrollment: &Enrollment) -> Vec<&str> {
    let labels = enrollment.subject.iter().filter(|it| it.value.kind == AttributeType::DomainComponent);
    labels.map(|it| it.value.value.as_str()).collect()
}

fn missing_rule(list: &str, kind: &str) -> String {
    format!(
        "nothing, because the template has no {list} rule of type {kind}; leave it out or add such a rule to the template"
    )
}

fn names_allowed(rule: Option<&NameRule>, part: Part, pattern: Option<usize>, none: &str) -> String {
    let Some(rule) = rule else { return none.to_owned() };
    match (part, pattern) {
        (Part::Denied, _) => format!("anything but {}", list(&rule.denied)),
        (Part::Wildcards, _) => "names without a wildcard".to_owned(),
        (Part::Required, Some(index)) => {
            format!("a name that matches {}", rule.required().get(index).map_or("", Pattern::written))
        }
        (Part::Required, None) => format!("a value that matches {}", list(rule.required())),
        (Part::Allowed, _) if !rule.permits_something() => "nothing".to_owned(),
        (Part::Allowed, _) if rule.allowed.is_none() && rule.required.is_none() => {
            "anything that is not denied".to_owned()
        }
        (Part::Allowed, _) => one_of(rule.allowed().iter().chain(rule.required()).map(Pattern::written)),
    }
}

fn list(patterns: &[Pattern]) -> String {
    one_of(patterns.iter().map(Pattern::written))
}

fn components_allowed(template: &Template, part: Part) -> String {
    let Some(rule) = template.subject.as_ref().and_then(|subject| subject.components.as_ref()) else {
        return missing_rule("subject", AttributeType::DomainComponent.as_str());
    };
    let words = |sequences: &mut dyn Iterator<Item = &Sequence>| {
        let written: Vec<String> = sequences.map(Sequence::written).collect();
        one_of(written.iter().map(String::as_str))
    };
    match part {
        Part::Denied => format!("no part that matches {}", words(&mut rule.denied.iter())),
        Part::Required => words(&mut rule.required().iter()),
        Part::Allowed | Part::Wildcards if rule.allowed().is_empty() && rule.required().is_empty() => {
            "nothing".to_owned()
        }
        Part::Allowed | Part::Wildcards => words(&mut rule.allowed().iter().chain(rule.required())),
    }
}

fn usages_allowed<T: Copy + PartialEq>(rule: Option<&UsageRule<T>>, part: Part, word: fn(T) -> &'static str) -> String {
    let Some(rule) = rule else { return String::new() };
    match part {
        Part::Denied => format!("anything but {}", one_of(rule.denied.iter().copied().map(word))),
        _ if rule.allowed.is_empty() && rule.required.is_empty() => "nothing".to_owned(),
        _ => one_of(rule.required.iter().chain(&rule.allowed).copied().map(word)),
    }
}

/// `a`, `a or b`, `a, b or c`; long lists are cut.
pub(super) fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    joined(words, "or")
}

pub(super) fn joined<'a>(words: impl Iterator<Item = &'a str>, last_word: &str) -> String {
    const SHOWN_MAX: usize = 12;
    let words: Vec<&str> = words.collect();
    if words.len() > SHOWN_MAX {
        let shown: Vec<&str> = words.iter().copied().take(SHOWN_MAX).collect();
        return format!("{} {last_word} {} more", shown.join(", "), words.len() - SHOWN_MAX);
    }
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, others)) => format!("{} {last_word} {last}", others.join(", ")),
    }
}
