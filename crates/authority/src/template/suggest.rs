//! One change per broken rule, such that all of them together pass.
//!
//! A plan is made for the whole request, applied to a copy and judged like any request; only a plan that passes is
//! told. A suggestion speaks about the `attributes` of a request: `add` and `remove` carry one element (`altNames`:
//! `type:value`), `set` carries the whole value as it would be sent (lists and objects as JSON), and `remove` without
//! a value clears the field (null).

use chancery_model::Timestamp;
use chancery_model::enrollment::{Enrollment, Source, Sourced};
use chancery_model::error::{SuggestedAction, Suggestion};
use chancery_model::profile::ProfileIssuer;
use chancery_model::time::Ttl;
use chancery_pkix::{
    Attribute, AttributeType, BasicConstraints, DistinguishedName, ExtendedKeyUsage, GeneralName, KeyAlgorithm,
    KeyUsage, SignatureAlgorithm,
};

use super::Template;
use super::check::{Check, attribute_field};
use super::plan::{Preference, plan};
use crate::enrollment::copy_common_name;

/// A change to a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Edit {
    SetAttribute(AttributeType, String),
    ClearAttribute(AttributeType),
    SetComponents(Vec<String>),
    AddName(GeneralName),
    RemoveName(GeneralName),
    SetNames(Vec<GeneralName>),
    AddKeyUsage(KeyUsage),
    RemoveKeyUsage(KeyUsage),
    SetKeyUsages(Vec<KeyUsage>),
    AddExtendedKeyUsage(ExtendedKeyUsage),
    RemoveExtendedKeyUsage(ExtendedKeyUsage),
    SetExtendedKeyUsages(Vec<ExtendedKeyUsage>),
    SetKeyAlgorithm(KeyAlgorithm),
    SetSignature(SignatureAlgorithm),
    SetTtl(Ttl),
    SetEnd(Timestamp, Ttl),
    SetBasicConstraints(BasicConstraints),
}

/// One suggestion per broken check, in the same order; none when no plan is known to pass.
pub(super) fn suggestions(template: &Template, enrollment: &Enrollment, broken: &[Check]) -> Option<Vec<Suggestion>> {
    [Preference::Replace, Preference::LeaveOut].into_iter().find_map(|preference| {
        let edits = plan(template, enrollment, broken, preference)?;
        let mut mended = enrollment.clone();
        apply(template, &edits, &mut mended);
        template
            .passes(&mended)
            .then(|| edits.iter().zip(broken).map(|(edit, check)| edit.suggestion(check.source)).collect())
    })
}

/// The SAN that a common name brings along, if it is a host or an address.
pub(super) fn name_of_common_name(attribute: &Attribute) -> Option<GeneralName> {
    let mut names = Vec::new();
    copy_common_name(&[Sourced::new(attribute.clone(), Source::Request)], &mut names);
    names.pop().map(|name| name.value)
}

/// What the request would resolve to after the changes.
pub(super) fn apply(template: &Template, edits: &[Edit], enrollment: &mut Enrollment) {
    for edit in edits {
        edit.apply(template, enrollment);
    }
    enrollment.sans.retain(|san| san.source != Source::Derived);
    copy_common_name(&enrollment.subject, &mut enrollment.sans);
}

const fn requested<T>(value: T) -> Sourced<T> {
    Sourced::new(value, Source::Request)
}

impl Edit {
    fn apply(&self, template: &Template, enrollment: &mut Enrollment) {
        match self {
            Self::SetAttribute(kind, value) => {
                // The canonical form is what a request would resolve to (`de` becomes `DE`).
                let written = Attribute { kind: *kind, value: value.clone() };
                let canonical = DistinguishedName::new(vec![written.clone()])
                    .ok()
                    .and_then(|name| name.attributes().first().cloned());
                enrollment.subject.retain(|it| it.value.kind != *kind);
                enrollment.subject.push(requested(canonical.unwrap_or(written)));
            }
            Self::ClearAttribute(kind) => enrollment.subject.retain(|it| it.value.kind != *kind),
            Self::SetComponents(labels) => {
                let kind = AttributeType::DomainComponent;
                enrollment.subject.retain(|it| it.value.kind != kind);
                let labels = labels.iter().map(|label| requested(Attribute { kind, value: label.clone() }));
                enrollment.subject.splice(0..0, labels);
            }
            Self::AddName(name) => add(&mut enrollment.sans, name.clone()),
            Self::RemoveName(name) => enrollment.sans.retain(|it| it.value != *name),
            Self::SetNames(names) => enrollment.sans = names.iter().cloned().map(requested).collect(),
            Self::AddKeyUsage(usage) => add(&mut enrollment.key_usages, *usage),
            Self::RemoveKeyUsage(usage) => enrollment.key_usages.retain(|it| it.value != *usage),
            Self::SetKeyUsages(usages) => enrollment.key_usages = usages.iter().copied().map(requested).collect(),
            Self::AddExtendedKeyUsage(usage) => add(&mut enrollment.extended_key_usages, *usage),
            Self::RemoveExtendedKeyUsage(usage) => enrollment.extended_key_usages.retain(|it| it.value != *usage),
            Self::SetExtendedKeyUsages(usages) => {
                enrollment.extended_key_usages = usages.iter().copied().map(requested).collect()
            }
            Self::SetKeyAlgorithm(key) => {
                enrollment.key_algorithm = requested(*key);
                if enrollment.issuer == ProfileIssuer::SelfSigned && !is_chosen(enrollment.signature_algorithm.source) {
                    enrollment.signature_algorithm.value =
                        template.preferred_signature_algorithm(*key, key.default_signature());
                }
            }
            Self::SetSignature(signature) => enrollment.signature_algorithm = requested(*signature),
            Self::SetTtl(ttl) => {
                let validity = &mut enrollment.validity.value;
                validity.not_after = validity.not_after.plus_seconds(ttl.as_seconds() - validity.ttl.as_seconds());
                validity.ttl = *ttl;
            }
            Self::SetEnd(end, ttl) => {
                enrollment.validity.value.not_after = *end;
                enrollment.validity.value.ttl = *ttl;
            }
            Self::SetBasicConstraints(constraints) => enrollment.basic_constraints = requested(*constraints),
        }
    }

    fn suggestion(&self, source: Option<Source>) -> Suggestion {
        use SuggestedAction::{Add, Remove, Set};
        let (action, field, value) = match self {
            Self::SetAttribute(kind, value) => (Set, attribute_field(*kind), Some(value.clone())),
            Self::ClearAttribute(kind) => (Remove, attribute_field(*kind), None),
            Self::SetComponents(labels) => (Set, "domainComponents".to_owned(), Some(json(labels))),
            Self::AddName(name) => (Add, "altNames".to_owned(), Some(element(name))),
            Self::RemoveName(name) => (Remove, "altNames".to_owned(), Some(element(name))),
            Self::SetNames(names) => (Set, "altNames".to_owned(), Some(json(names))),
            Self::AddKeyUsage(usage) => (Add, "keyUsages".to_owned(), Some(usage.to_string())),
            Self::RemoveKeyUsage(usage) => (Remove, "keyUsages".to_owned(), Some(usage.to_string())),
            Self::SetKeyUsages(usages) => (Set, "keyUsages".to_owned(), Some(json(usages))),
            Self::AddExtendedKeyUsage(usage) => (Add, "extendedKeyUsages".to_owned(), Some(usage.to_string())),
            Self::RemoveExtendedKeyUsage(usage) => (Remove, "extendedKeyUsages".to_owned(), Some(usage.to_string())),
            Self::SetExtendedKeyUsages(usages) => (Set, "extendedKeyUsages".to_owned(), Some(json(usages))),
            Self::SetKeyAlgorithm(key) => (Set, "keyAlgorithm".to_owned(), Some(key.to_string())),
            Self::SetSignature(signature) => (Set, "signatureAlgorithm".to_owned(), Some(signature.to_string())),
            Self::SetTtl(ttl) => (Set, "ttl".to_owned(), Some(ttl_text(*ttl))),
            Self::SetEnd(end, _) => (Set, "notAfter".to_owned(), Some(end.to_string())),
            Self::SetBasicConstraints(constraints) => {
                (Set, "basicConstraints".to_owned(), Some(constraints_json(*constraints)))
            }
        };
        let text = sentence(action, &field, value.as_deref(), source);
        Suggestion { action, field, value, text }
    }
}

fn add<T: PartialEq>(list: &mut Vec<Sourced<T>>, value: T) {
    if !list.iter().any(|it| it.value == value) {
        list.push(requested(value));
    }
}

/// Whether somebody named the value, so that it stays when other fields change.
pub(super) const fn is_chosen(source: Source) -> bool {
    matches!(source, Source::Request | Source::Csr | Source::Renewal | Source::Profile)
}

fn sentence(action: SuggestedAction, field: &str, value: Option<&str>, source: Option<Source>) -> String {
    let value = value.unwrap_or_default();
    let change = match action {
        SuggestedAction::Set => format!("set {field} to {value}"),
        SuggestedAction::Add => format!("add {value} to {field}"),
        SuggestedAction::Remove if value.is_empty() => format!("leave {field} out"),
        SuggestedAction::Remove => format!("take {value} out of {field}"),
    };
    match source {
        Some(Source::Csr) => format!("Make a new CSR: {change}"),
        Some(Source::Profile | Source::Template) if action == SuggestedAction::Remove => {
            format!("Overrule the profile: {change} by sending null")
        }
        Some(Source::Profile | Source::Template) => format!("Overrule the profile: {change}"),
        _ => capitalised(&change),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn element(name: &GeneralName) -> String {
    format!("{}:{}", name.kind().as_str(), name.value())
}

fn json<T: serde::Serialize>(values: &T) -> String {
    serde_json::to_string(values).unwrap_or_default()
}

fn constraints_json(constraints: BasicConstraints) -> String {
    match constraints.path_length {
        Some(length) => serde_json::json!({ "isCA": constraints.is_ca, "pathLength": length }).to_string(),
        None => serde_json::json!({ "isCA": constraints.is_ca }).to_string(),
    }
}

/// The grammar of requests, where `m` means minutes.
fn ttl_text(ttl: Ttl) -> String {
    match ttl.as_seconds() {
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
