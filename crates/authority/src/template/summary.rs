//! What a template enforces, in sentences that the API and people read.

use chancery_model::template::RuleState;
use chancery_pkix::{AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage, SignatureAlgorithm};

use super::Template;
use super::check::{joined, one_of};
use super::pattern::Pattern;
use super::rule::{ComponentRule, NameRule, Sequence, UsageRule};

pub(super) fn sentences(template: &Template) -> Vec<String> {
    let mut out = Vec::new();
    subject(template, &mut out);
    sans(template, &mut out);
    out.push(usages("Key usages", template.key_usages.as_ref(), KeyUsage::as_str));
    out.push(usages("Extended key usages", template.extended_key_usages.as_ref(), ExtendedKeyUsage::as_str));
    out.push(match &template.key_algorithms {
        Some(listed) => format!("Key algorithm: {}.", one_of(listed.iter().copied().map(KeyAlgorithm::as_str))),
        None => "Key algorithm: any.".to_owned(),
    });
    out.push(match &template.signature_algorithms {
        Some(listed) => {
            format!("Signature algorithm: {}.", one_of(listed.iter().copied().map(SignatureAlgorithm::as_str)))
        }
        None => "Signature algorithm: any that the issuer can make.".to_owned(),
    });
    out.push(validity(template));
    out.push(authority(template));
    out
}

fn subject(template: &Template, out: &mut Vec<String>) {
    let Some(subject) = &template.subject else {
        out.push("Subject: anything.".to_owned());
        return;
    };
    for (kind, rule) in &subject.attributes {
        out.push(format!(
            "{}: {}.",
            words(kind.as_str()),
            names(
                rule,
                &format!("one of its values must match {}", one_of(rule.required().iter().map(Pattern::written)))
            )
        ));
    }
    if let Some(rule) = &subject.components {
        out.push(format!("{}: {}.", words(AttributeType::DomainComponent.as_str()), components(rule)));
    }
    out.push(if subject.attributes.is_empty() && subject.components.is_none() {
        "Subject: must be empty.".to_owned()
    } else {
        "Other subject attributes: none.".to_owned()
    });
}

fn sans(template: &Template, out: &mut Vec<String>) {
    match &template.sans {
        None => out.push("Subject alternative names: anything.".to_owned()),
        Some(rules) => {
            for (kind, rule) in rules {
                out.push(format!(
                    "{}: {}.",
                    san_words(*kind),
                    names(
                        rule,
                        &format!("there must be one for {}", all(rule.required().iter().map(Pattern::written)))
                    )
                ));
            }
            out.push(if rules.is_empty() {
                "Subject alternative names: none, and so no common name that is a host name or an address.".to_owned()
            } else {
                "Other subject alternative names: none.".to_owned()
            });
        }
    }
    if let Some(most) = template.sans_max {
        out.push(format!("At most {most} subject alternative names, the one copied from the common name included."));
    }
}

fn names(rule: &NameRule, required: &str) -> String {
    let mut parts = Vec::new();
    if !rule.required().is_empty() {
        parts.push(format!("required, {required}"));
    }
    if rule.allowed().is_empty() {
        if !rule.permits_something() {
            parts.push("not allowed".to_owned());
        } else if rule.allowed.is_none() && rule.required.is_none() {
            parts.push("anything".to_owned());
        } else {
            parts.push("nothing else".to_owned());
        }
    } else if rule.allowed().iter().any(Pattern::is_any) {
        parts.push("any value".to_owned());
    } else {
        let also = if rule.required().is_empty() { "must match" } else { "may also match" };
        parts.push(format!("{also} {}", one_of(rule.allowed().iter().map(Pattern::written))));
    }
    if !rule.denied.is_empty() {
        let expressions = rule.denied.iter().any(Pattern::is_regex);
        let wildcards =
            if expressions { ", nor a wildcard name, which an expression cannot be compared with" } else { "" };
        parts.push(format!("never {}{wildcards}", one_of(rule.denied.iter().map(Pattern::written))));
    }
    if !rule.wildcards {
        parts.push("no wildcard names".to_owned());
    }
    parts.join("; ")
}

fn components(rule: &ComponentRule) -> String {
    let written = |list: &[Sequence]| {
        let texts: Vec<String> = list.iter().map(Sequence::written).collect();
        one_of(texts.iter().map(String::as_str))
    };
    let mut parts = Vec::new();
    if !rule.required().is_empty() {
        parts.push(format!("required, must be {}", written(rule.required())));
    }
    if !rule.allowed().is_empty() {
        parts.push(format!("may be {}", written(rule.allowed())));
    } else if rule.required().is_empty() {
        let none = rule.allowed.is_some() || rule.required.is_some();
        parts.push(if none { "not allowed" } else { "anything" }.to_owned());
    }
    if !rule.denied.is_empty() {
        parts.push(format!("never with {} inside", written(&rule.denied)));
    }
    parts.join("; ")
}

fn usages<T: Copy + PartialEq>(what: &str, rule: Option<&UsageRule<T>>, word: fn(T) -> &'static str) -> String {
    let Some(rule) = rule else { return format!("{what}: any.") };
    let list = |usages: &[T]| all(usages.iter().copied().map(word));
    let mut parts = Vec::new();
    if !rule.required.is_empty() {
        parts.push(format!("required {} (filled in when a request names none)", list(&rule.required)));
    }
    if !rule.allowed.is_empty() {
        parts.push(format!("allowed {}", list(&rule.allowed)));
    }
    if rule.allowed.is_empty() {
        parts.push(if rule.required.is_empty() { "none may be requested" } else { "no others" }.to_owned());
    }
    if !rule.denied.is_empty() {
        parts.push(format!("never {}", list(&rule.denied)));
    }
    format!("{what}: {}.", parts.join("; "))
}

fn validity(template: &Template) -> String {
    match (template.validity_min, template.validity_max) {
        (None, None) => "Validity: any, within the issuer's.".to_owned(),
        (None, Some(most)) => format!("Validity: at most {most}."),
        (Some(least), None) => format!("Validity: at least {least}."),
        (Some(least), Some(most)) => format!("Validity: {least} to {most}."),
    }
}

fn authority(template: &Template) -> String {
    let length =
        template.path_length_max.map_or_else(String::new, |most| format!(", with a path length of at most {most}"));
    match template.ca {
        RuleState::Denied => "CA certificates: none.".to_owned(),
        RuleState::Allowed => format!("CA certificates: may be requested{length}."),
        RuleState::Required => format!("CA certificates: only these{length}."),
    }
}

/// `common_name` → `Common name`.
fn words(name: &str) -> String {
    let text = name.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

const fn san_words(kind: GeneralNameKind) -> &'static str {
    match kind {
        GeneralNameKind::DnsName => "DNS names",
        GeneralNameKind::IpAddress => "IP addresses",
        GeneralNameKind::Email => "E-mail addresses",
        GeneralNameKind::Uri => "URIs",
        GeneralNameKind::Upn => "User principal names",
        GeneralNameKind::OtherName => "Other names",
        GeneralNameKind::DirectoryName => "Directory names",
        GeneralNameKind::RegisteredId => "Registered IDs",
    }
}

/// `a`, `a and b`, `a, b and c`.
fn all<'a>(words: impl Iterator<Item = &'a str>) -> String {
    joined(words, "and")
}
