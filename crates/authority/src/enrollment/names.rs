//! Names: the common name among the SANs, public suffixes, and the issuer's name constraints.

use std::net::IpAddr;

use chancery_model::Violation;
use chancery_model::enrollment::{Enrollment, Source, Sourced};
use chancery_model::profile::ProfileIssuer;
use chancery_pkix::{Attribute, AttributeType, DistinguishedName, GeneralName, GeneralNameKind};

use super::violation;
use crate::hierarchy::Issuer;

/// Verifiers look at SANs only (RFC 9525 §6.3), so a common name that is a DNS name or an IP address becomes one.
/// A single label such as `jane` is not taken for a host, except `localhost`.
pub(crate) fn copy_common_name(subject: &[Sourced<Attribute>], sans: &mut Vec<Sourced<GeneralName>>) {
    let common_names = subject.iter().filter(|it| it.value.kind == AttributeType::CommonName);
    let derived: Vec<GeneralName> = common_names.filter_map(|it| host_name(&it.value.value)).collect();
    // A CSR may carry several common names; they lead the list in their own order.
    for name in derived.into_iter().rev() {
        if !sans.iter().any(|known| known.value == name) {
            sans.insert(0, Sourced::new(name, Source::Derived));
        }
    }
}

/// The name that a common name stands for, if it is a host's.
pub(crate) fn host_name(common_name: &str) -> Option<GeneralName> {
    if common_name.parse::<IpAddr>().is_ok() {
        GeneralName::parse(GeneralNameKind::IpAddress, common_name).ok()
    } else if common_name.contains('.') || common_name.eq_ignore_ascii_case("localhost") {
        GeneralName::parse(GeneralNameKind::DnsName, common_name).ok()
    } else {
        None
    }
}

/// A certificate names somebody, by its subject or by a subject alternative name (RFC 5280 §4.1.2.6); one that signs
/// itself needs the subject, which is its issuer too (§4.1.2.4).
pub(super) fn nameless_violation(enrollment: &Enrollment) -> Option<Violation> {
    let allowed = if !enrollment.subject.is_empty() {
        return None;
    } else if enrollment.issuer == ProfileIssuer::SelfSigned {
        "give a subject; a self-signed certificate is its own issuer, and an issuer has a name"
    } else if enrollment.sans.is_empty() {
        "give a subject or a subject alternative name; a certificate must name somebody"
    } else {
        return None;
    };
    Some(Violation {
        rule: "subject.present".to_owned(),
        field: "commonName".to_owned(),
        value: String::new(),
        source: None,
        allowed: allowed.to_owned(),
        suggestion: None,
    })
}

/// Names that speak for everybody below a public suffix (`*.co.uk`), and common names that no SAN rule can judge.
pub(super) fn standing_violations(enrollment: &Enrollment) -> Vec<Violation> {
    let wildcards = enrollment.sans.iter().enumerate().filter_map(|(index, san)| {
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
    });
    wildcards.chain(unjudged_common_names(enrollment)).collect()
}

fn unjudged_common_names(enrollment: &Enrollment) -> impl Iterator<Item = Violation> {
    let common_names = enrollment.subject.iter().filter(|it| it.value.kind == AttributeType::CommonName);
    common_names.filter_map(|it| {
        let allowed = unjudged(&it.value.value)?;
        Some(violation("name.common_name", "commonName", &it.value.value, it.source, allowed.to_owned()))
    })
}

/// What to write in place of a common name that software may take for a host or a wildcard, though it cannot stand among
/// the SANs, where the SAN rules would judge it.
fn unjudged(common_name: &str) -> Option<&'static str> {
    let is_dns = |text: &str| GeneralName::parse(GeneralNameKind::DnsName, text).is_ok();
    match common_name.strip_suffix('.') {
        Some(host) if host.contains('.') && is_dns(host) => Some("write the host name without the dot at its end"),
        _ if common_name.starts_with('*') && !is_dns(common_name) => {
            Some("a wildcard is the whole first label, and at least two labels follow it, such as *.acme.com")
        }
        _ => None,
    }
}

/// A certificate in its issuer's own name would pass for one that the CA issued to itself, which name constraints and
/// path lengths do not bind (RFC 5280 §6.1.4).
pub(super) fn impersonation(issuer: &Issuer, enrollment: &Enrollment) -> Option<Violation> {
    let subject = DistinguishedName::new(enrollment.subject.iter().map(|it| it.value.clone()).collect()).ok()?;
    (!subject.is_empty() && subject.to_der() == issuer.subject_der()).then(|| {
        let source = enrollment.subject.first().map_or(Source::Request, |it| it.source);
        let allowed = "the subject is the issuing CA's own name; give the certificate a name of its own".to_owned();
        violation("subject.issuer", "subject", &subject.to_string(), source, allowed)
    })
}

/// RFC 5280 §4.2.1.10, judged by us at issuance: relying parties have got it wrong.
pub(super) fn constraint_violations(issuer: &Issuer, enrollment: &Enrollment) -> Vec<Violation> {
    if issuer.name_constraints().is_empty() {
        return Vec::new();
    }
    let subject: Vec<Attribute> = enrollment.subject.iter().map(|it| it.value.clone()).collect();
    let subject = match DistinguishedName::new(subject) {
        Ok(subject) => subject,
        // A name that cannot be read cannot be held against the constraints.
        Err(error) => return vec![violation("issuer.name_constraints", "subject", "", Source::Request, error.message)],
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_name_that_is_a_host_becomes_a_san_once() {
        let common_name = |value: &str| {
            Sourced::new(Attribute { kind: AttributeType::CommonName, value: value.to_owned() }, Source::Csr)
        };
        let subject = ["a.acme.com", "Jane Doe", "192.0.2.7", "b.acme.com", "A.acme.com"].map(common_name);
        let known = GeneralName::parse(GeneralNameKind::DnsName, "b.acme.com").unwrap();
        let mut sans = vec![Sourced::new(known, Source::Csr)];
        copy_common_name(&subject, &mut sans);
        let texts: Vec<_> = sans.iter().map(|it| (it.value.value(), it.source)).collect();
        let expected = [("192.0.2.7", Source::Derived), ("a.acme.com", Source::Derived), ("b.acme.com", Source::Csr)];
        assert_eq!(texts, expected.map(|(text, source)| (text.to_owned(), source)));
    }

    #[test]
    fn a_common_name_that_no_san_rule_can_judge_is_refused() {
        for (common_name, refused) in [
            ("www.bank.example.", true),
            ("*.com", true),
            ("*", true),
            ("*.*.acme.com", true),
            ("*a.acme.com", true),
            ("*.bank.example.", true),
            ("www.bank.example", false),
            ("*.acme.com", false),
            ("Jane Doe", false),
            ("Acme Ltd.", false),
            ("printer-5", false),
        ] {
            assert_eq!(unjudged(common_name).is_some(), refused, "{common_name}");
        }
    }
}
