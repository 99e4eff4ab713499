//! The check made before a certificate is issued under constraints.

use std::net::IpAddr;

use super::{GeneralSubtree, NameConstraints};
use crate::name::{AttributeType, DistinguishedName, GeneralName, GeneralNameKind};

/// A name outside what the issuer may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameConstraintViolation {
    /// `subject`, `subject.common_name`, `subject.email_address`, or `san.` and the kind, such as `san.dns_name`.
    pub field: String,
    pub value: String,
    /// In words, such as `must be within dns_name acme.com`.
    pub constraint: String,
}

pub(super) fn check(
    constraints: &NameConstraints,
    subject: &DistinguishedName,
    sans: &[GeneralName],
) -> Vec<NameConstraintViolation> {
    let mut violations = Vec::new();
    let mut judge = |field: String, name: &GeneralName| {
        if let Some(constraint) = refusal(constraints, name) {
            violations.push(NameConstraintViolation { field, value: name.value(), constraint });
        }
    };
    if !subject.is_empty() {
        judge("subject".to_owned(), &GeneralName::Directory(subject.clone()));
    }
    for address in subject.all(AttributeType::EmailAddress) {
        judge("subject.email_address".to_owned(), &GeneralName::Email(address.to_owned()));
    }
    for name in subject.all(AttributeType::CommonName).filter_map(name_in_common_name) {
        judge("subject.common_name".to_owned(), &name);
    }
    for name in sans {
        judge(format!("san.{}", name.kind()), name);
    }
    violations
}

/// What software that still reads common names would take it for.
pub(super) fn name_in_common_name(value: &str) -> Option<GeneralName> {
    if let Ok(address) = value.parse::<IpAddr>() {
        return Some(GeneralName::Ip(address.to_canonical()));
    }
    if value.contains('@') {
        return GeneralName::parse(GeneralNameKind::Email, value).ok();
    }
    let host = value.strip_suffix('.').unwrap_or(value);
    if let Ok(name) = GeneralName::parse(GeneralNameKind::DnsName, host) {
        // Asked of the canonical form: other scripts have dots of their own.
        return name.value().contains('.').then_some(name);
    }
    // An underscore, or a label that is no punycode, makes no SAN, but a lenient reader still takes it for a host.
    let lenient = host.to_ascii_lowercase().replace('_', "x").replace("xn--", "x");
    let is_nearly_a_name = host.contains('.') && GeneralName::parse(GeneralNameKind::DnsName, &lenient).is_ok();
    is_nearly_a_name.then(|| GeneralName::Dns(host.to_ascii_lowercase()))
}

/// Why the constraints do not allow this name.
fn refusal(constraints: &NameConstraints, name: &GeneralName) -> Option<String> {
    let of_kind = |subtree: &&GeneralSubtree| subtree.kind() == name.kind();
    if let Some(hit) = constraints.excluded.iter().filter(of_kind).find(|one| one.holds_some_of(name)) {
        return Some(format!("must not be within {} {}", hit.kind(), hit.value()));
    }
    let permitted: Vec<&GeneralSubtree> = constraints.permitted.iter().filter(of_kind).collect();
    if permitted.is_empty() || permitted.iter().any(|one| one.holds_all_of(name)) {
        return None;
    }
    let values: Vec<String> = permitted.iter().map(|one| one.value()).collect();
    Some(format!("must be within {} {}", name.kind(), values.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Attribute;

    fn constraints(json: &str) -> NameConstraints {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn constraints_survive_der_and_json() {
        let all = constraints(
            r#"{"permitted": [{"type": "dns_name", "value": "acme.com"}, {"type": "ip_address", "value": "10.0.0.0/8"},
                {"type": "ip_address", "value": "2001:db8::/32"}, {"type": "email", "value": ".acme.com"},
                {"type": "uri", "value": "acme.com"}, {"type": "directory_name", "value": "O=Acme,C=DE"}],
                "excluded": [{"type": "dns_name", "value": "*"}, {"type": "ip_address", "value": "0.0.0.0/0"},
                {"type": "email", "value": "jo@acme.com"}, {"type": "ip_address", "value": "10.1.2.3/32"}]}"#,
        );
        assert_eq!(NameConstraints::from_der(&all.to_der()).unwrap(), all);
        assert_eq!(constraints(&serde_json::to_string(&all).unwrap()), all);
        assert_eq!(
            NameConstraints::from_der(&NameConstraints::default().to_der()).unwrap(),
            NameConstraints::default()
        );
    }

    #[test]
    fn constraints_that_cannot_be_checked_are_refused() {
        let check = |der: &str, code: &str| {
            let der = hex::decode(der.replace(' ', "")).unwrap();
            assert_eq!(NameConstraints::from_der(&der).unwrap_err().code, code, "{}", hex::encode(der));
        };
        check("30 0a a0 08 30 06 82 01 61 80 01 01", "name_constraints.distance");
        check("30 06 a0 04 30 02 88 00", "name_constraints.kind");
        check("30 0e a0 0c 30 0a 87 08 0a000000 ff00ff00", "asn1.not_der");
        check("30 0b a0 09 30 07 87 05 0a00000000", "asn1.not_der");
        check("30 02 a2 00", "asn1.not_der");
        let dotted = hex::decode("3009a007300582032e6162").unwrap();
        assert_eq!(NameConstraints::from_der(&dotted).unwrap().permitted[0].value(), "ab");
    }

    #[test]
    fn every_name_is_judged_by_the_constraints_of_its_kind() {
        let constraints = constraints(
            r#"{"permitted": [{"type": "dns_name", "value": "acme.com"}, {"type": "directory_name", "value": "O=Acme"}],
                "excluded": [{"type": "dns_name", "value": "secret.acme.com"}, {"type": "uri", "value": "*"},
                             {"type": "ip_address", "value": "10.0.0.0/8"}]}"#,
        );
        let check = |common_name: &str, sans: &[(GeneralNameKind, &str)], expected: &[&str]| {
            let attributes = [(AttributeType::Organization, "Acme"), (AttributeType::CommonName, common_name)];
            let subject = attributes.map(|(kind, value)| Attribute::new(kind, value)).to_vec();
            let sans: Vec<_> = sans.iter().map(|(kind, text)| GeneralName::parse(*kind, text).unwrap()).collect();
            let violations = constraints.check(&DistinguishedName::new(subject).unwrap(), &sans);
            let found: Vec<String> =
                violations.iter().map(|one| format!("{} {} {}", one.field, one.value, one.constraint)).collect();
            assert_eq!(found, expected);
        };
        use GeneralNameKind as K;
        check("a.acme.com", &[(K::DnsName, "a.acme.com"), (K::Email, "a@elsewhere.com")], &[]);
        check("Jo Doe", &[(K::IpAddress, "192.0.2.1")], &[]);
        check("evil.com", &[], &["subject.common_name evil.com must be within dns_name acme.com"]);
        check("EVIL.com.", &[], &["subject.common_name evil.com must be within dns_name acme.com"]);
        check("a_b.evil.com", &[], &["subject.common_name a_b.evil.com must be within dns_name acme.com"]);
        check("_x.evil.com", &[], &["subject.common_name _x.evil.com must be within dns_name acme.com"]);
        check("xn--.evil.com", &[], &["subject.common_name xn--.evil.com must be within dns_name acme.com"]);
        check("evil。com", &[], &["subject.common_name evil.com must be within dns_name acme.com"]);
        check("www.bücher.acme.com", &[], &[]);
        check("10.0.0.1", &[], &["subject.common_name 10.0.0.1 must not be within ip_address 10.0.0.0/8"]);
        check(
            "x",
            &[(K::DnsName, "*.acme.com")],
            &["san.dns_name *.acme.com must not be within dns_name secret.acme.com"],
        );
        check("x", &[(K::DnsName, "*.b.acme.com")], &[]);
        check("x", &[(K::Uri, "urn:a:b")], &["san.uri urn:a:b must not be within uri *"]);
        check(
            "x",
            &[(K::DirectoryName, "O=Other")],
            &["san.directory_name O=Other must be within directory_name O=Acme"],
        );
        let stranger = DistinguishedName::new(vec![Attribute::new(AttributeType::Organization, "Evil")]).unwrap();
        assert_eq!(constraints.check(&stranger, &[])[0].field, "subject");
        assert!(constraints.check(&DistinguishedName::default(), &[]).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets: Vec<u8>, value: String) {
            let _ = NameConstraints::from_der(&octets);
            let _ = name_in_common_name(&value);
        }
    }
}
