//! What a template leaves to the requester, field by field: for forms that ask only what can be answered. Judges nothing:
//! what is filled in meets [`Template::evaluate`] as every request does.

use chancery_model::template::RuleState;
use chancery_model::time::Ttl;
use chancery_pkix::{AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage, SignatureAlgorithm};

use super::Template;
use super::check::one_of;
use super::pattern::Pattern;
use super::rule::{ComponentRule, NameRule, Sequence, UsageRule};

/// Subject attributes that a request can name, in the order people fill them in.
const ASKED: [AttributeType; 7] = [
    AttributeType::CommonName,
    AttributeType::Organization,
    AttributeType::OrganizationalUnit,
    AttributeType::Locality,
    AttributeType::State,
    AttributeType::Country,
    AttributeType::DomainComponent,
];

/// What may be chosen. What is not listed may not be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    pub subject: Vec<TextChoice<AttributeType>>,
    pub names: Vec<TextChoice<GeneralNameKind>>,
    /// Most subject alternative names, the one copied from the common name included.
    pub names_max: Option<usize>,
    pub key_usages: UsageChoice<KeyUsage>,
    pub extended_key_usages: UsageChoice<ExtendedKeyUsage>,
    /// Those that serve every usage the template requires.
    pub key_algorithms: Vec<KeyAlgorithm>,
    /// Of a request that names none, where the profile has no default.
    pub key_algorithm_default: KeyAlgorithm,
    pub signature_algorithms: Vec<SignatureAlgorithm>,
    pub validity_min: Option<Ttl>,
    pub validity_max: Option<Ttl>,
    pub ca: RuleState,
    pub path_length_max: Option<u8>,
}

/// A text that may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextChoice<K> {
    pub kind: K,
    pub is_required: bool,
    /// The values, where only certain ones pass; empty where patterns or nothing at all bound it.
    pub values: Vec<String>,
    /// What must match, in words; empty where anything goes.
    pub allowed: String,
}

impl<K> TextChoice<K> {
    /// The one value that passes, where there must be one and no other does.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match self.values.as_slice() {
            [only] if self.is_required => Some(only),
            _ => None,
        }
    }
}

/// Usages: those that must be there, and those that may be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageChoice<T> {
    pub required: Vec<T>,
    pub optional: Vec<T>,
}

impl Template {
    #[must_use]
    pub fn choices(&self) -> Choices {
        Choices {
            subject: ASKED.into_iter().filter_map(|kind| self.subject_choice(kind)).collect(),
            names: self.name_choices(),
            names_max: self.sans_max,
            key_usages: usage_choice(self.key_usages.as_ref(), KeyUsage::ALL, |usage| {
                usage != KeyUsage::KeyCertSign || self.permits_ca()
            }),
            extended_key_usages: usage_choice(self.extended_key_usages.as_ref(), ExtendedKeyUsage::ALL, |_| true),
            key_algorithms: KeyAlgorithm::ALL
                .iter()
                .copied()
                .filter(|it| self.allows_key_algorithm(*it) && self.key_serves(*it))
                .collect(),
            key_algorithm_default: self.preferred_key_algorithm(),
            signature_algorithms: SignatureAlgorithm::ALL
                .iter()
                .copied()
                .filter(|it| self.allows_signature_algorithm(*it))
                .collect(),
            validity_min: self.validity_min,
            validity_max: self.validity_max,
            ca: self.ca,
            path_length_max: self.path_length_max,
        }
    }

    fn subject_choice(&self, kind: AttributeType) -> Option<TextChoice<AttributeType>> {
        let Some(subject) = &self.subject else { return Some(anything(kind)) };
        if kind == AttributeType::DomainComponent {
            return subject.components.as_ref().and_then(component_choice);
        }
        self.attribute_rule(kind).and_then(|rule| text_choice(kind, rule))
    }

    fn name_choices(&self) -> Vec<TextChoice<GeneralNameKind>> {
        if self.sans_max == Some(0) {
            return Vec::new();
        }
        match &self.sans {
            None => GeneralNameKind::ALL.iter().copied().map(anything).collect(),
            Some(rules) => rules.iter().filter_map(|(kind, rule)| text_choice(*kind, rule)).collect(),
        }
    }
}

const fn anything<K>(kind: K) -> TextChoice<K> {
    TextChoice { kind, is_required: false, values: Vec::new(), allowed: String::new() }
}

/// `None` where nothing passes.
fn text_choice<K>(kind: K, rule: &NameRule) -> Option<TextChoice<K>> {
    if !rule.permits_something() {
        return None;
    }
    let patterns: Vec<&Pattern> = rule.required().iter().chain(rule.allowed()).collect();
    let is_bounded = !patterns.is_empty() && !patterns.iter().any(|it| it.is_any());
    let mut values: Vec<String> = Vec::new();
    if is_bounded && patterns.iter().all(|it| it.is_literal()) {
        for pattern in &patterns {
            if !values.iter().any(|it| it == pattern.written()) {
                values.push(pattern.written().to_owned());
            }
        }
    }
    let mut parts = Vec::new();
    if is_bounded && values.is_empty() {
        parts.push(format!("must match {}", one_of(patterns.iter().map(|it| it.written()))));
    }
    if !rule.denied.is_empty() {
        parts.push(format!("never {}", one_of(rule.denied.iter().map(Pattern::written))));
    }
    if !rule.wildcards {
        parts.push("no wildcard names".to_owned());
    }
    Some(TextChoice { kind, is_required: !rule.required().is_empty(), values, allowed: parts.join("; ") })
}

/// Sequences of labels are written with commas between them.
fn component_choice(rule: &ComponentRule) -> Option<TextChoice<AttributeType>> {
    let kind = AttributeType::DomainComponent;
    let sequences: Vec<String> = rule.required().iter().chain(rule.allowed()).map(Sequence::written).collect();
    if sequences.is_empty() {
        let permits = rule.allowed.is_none() && rule.required.is_none();
        return permits.then(|| anything(kind));
    }
    let allowed = format!("must be {}", one_of(sequences.iter().map(String::as_str)));
    Some(TextChoice { kind, is_required: !rule.required().is_empty(), values: Vec::new(), allowed })
}

fn usage_choice<T: Copy + PartialEq>(
    rule: Option<&UsageRule<T>>,
    all: &[T],
    fits: impl Fn(T) -> bool,
) -> UsageChoice<T> {
    let Some(rule) = rule else {
        return UsageChoice { required: Vec::new(), optional: all.iter().copied().filter(|it| fits(*it)).collect() };
    };
    let may = |it: &T| rule.allowed.contains(it) && !rule.required.contains(it) && !rule.denies(*it) && fits(*it);
    UsageChoice { required: rule.required.clone(), optional: all.iter().copied().filter(may).collect() }
}
