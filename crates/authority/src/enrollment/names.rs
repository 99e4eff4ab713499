//! Names: the common name among the SANs, public suffixes, and the issuer's name constraints.

use std::net::IpAddr;

use chancery_model::Violation;
use chancery_model::enrollment::{Enrollment, Source, Sourced};
use chancery_pkix::{Attribute, AttributeType, DistinguishedName, GeneralName, GeneralNameKind};

use super::violation;
use crate::hierarchy::Issuer;

/// Verifiers look at SANs only (RFC 9525 §6.3), so a common name that is a DNS name or an IP address becomes one.
/// A single label such as `jane` is not taken for a host, except `localhost`.
pub(crate) fn copy_common_name(subject: &[Sourced<Attribute>], sans: &mut Vec<Sourced<GeneralName>>) {
    let Some(common_name) = subject.iter().find(|it| it.value.kind == AttributeType::CommonName) else { return };
    let text = common_name.value.value.as_str();
    let name = if text.parse::<IpAddr>().is_ok() {
        GeneralName::parse(GeneralNameKind::IpAddress, text)
    } else if text.contains('.') || text.eq_ignore_ascii_case("localhost") {
        GeneralName::parse(GeneralNameKind::DnsName, text)
    } else {
        return;
    };
    if let Ok(name) = name
        && !sans.iter().any(|known| known.value == name)
    {
        sans.insert(0, Sourced::new(name, Source::Derived));
    }
}

/// A certificate names somebody, by its subject or by a subject alternative name (RFC 5280 §4.1.2.6).
pub(crate) fn nameless_violation(enrollment: &Enrollment) -> Option<Violation> {
    (enrollment.subject.is_empty() && enrollment.sans.is_empty()).then(|| Violation {
        rule: "subject.present".to_owned(),
        field: "commonName".to_owned(),
        value: String::new(),
        source: None,
        allowed: "give a subject or a subject alternative name; a certificate must name somebody".to_owned(),
        suggestion: None,
    })
}

/// A wildcard directly under a public suffix (`*.com`, `*.co.uk`) would speak for everybody there.
pub(super) fn public_suffix_violations(enrollment: &Enrollment) -> Vec<Violation> {
    enrollment
        .sans
        .iter()
        .enumerate()
        .filter_map(|(index, san)| {
            let GeneralName::Dns(name) = &san.value else { return None };
            let base = name.strip_prefix("*.")?;
            let suffix = psl::suffix(base.as_bytes())?;
            let public =
                suffix.is_known() && suffix.typ() == Some(psl::Type::Icann) && suffix.as_bytes() == base.as_bytes();
            public.then(|| {
                violation(
                    "name.public_suffix",
                    &format!("altNames[{index}]"),
                    name,
                    san.source,
                    format!("'{base}' is a public suffix; a wildcard must be below a registered domain"),
                )
            })
        })
        .collect()
}

/// RFC 5280 §4.2.1.10, judged by us at issuance: relying parties have got it wrong.
pub(super) fn constraint_violations(issuer: &Issuer, enrollment: &Enrollment) -> Vec<Violation> {
    if issuer.name_constraints().is_empty() {
        return Vec::new();
    }
    let subject: Vec<Attribute> = enrollment.subject.iter().map(|it| it.value.clone()).collect();
    let Ok(subject) = DistinguishedName::new(subject) else { return Vec::new() };
    let sans: Vec<GeneralName> = enrollment.sans.iter().map(|it| it.value.clone()).collect();
    issuer
        .name_constraints()
        .iter()
        .flat_map(|constraints| constraints.check(&subject, &sans))
        .map(|broken| {
            let source = source_of(enrollment, &broken.value);
            violation(
                "issuer.name_constraints",
                &broken.field,
                &broken.value,
                source,
                format!("the issuing CA's name constraints: {}", broken.constraint),
            )
        })
        .collect()
}

fn source_of(enrollment: &Enrollment, value: &str) -> Source {
    enrollment
        .sans
        .iter()
        .find(|san| san.value.value() == value)
        .map(|san| san.source)
        .or_else(|| enrollment.subject.iter().find(|it| it.value.value == value).map(|it| it.source))
        .unwrap_or(Source::Request)
}
