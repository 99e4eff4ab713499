//! The core's names of fields and values, and what people and forms call them.

use chancery_authority::enrollment::DecidedKey;
use chancery_model::enrollment::Source;
use chancery_pkix::{AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage};

/// The core's field, the form's, and the word for people.
pub(super) const FIELDS: &[(&str, &str, &str)] = &[
    ("commonName", "common_name", "Common name"),
    ("organization", "organization", "Organization"),
    ("organizationalUnit", "organizational_unit", "Organizational unit"),
    ("country", "country", "Country"),
    ("state", "state", "State or province"),
    ("locality", "locality", "Locality"),
    ("domainComponents", "domain_component", "Domain components"),
    ("altNames", "names", "Subject alternative name"),
    ("keyUsages", "key_usage", "Key usage"),
    ("extendedKeyUsages", "extended_key_usage", "Extended key usage"),
    ("keyAlgorithm", "key_algorithm", "Key algorithm"),
    ("signatureAlgorithm", "signature_algorithm", "Signature algorithm"),
    ("ttl", "ttl", "Validity"),
    ("notBefore", "not_before", "Valid from"),
    ("notAfter", "not_after", "Valid until"),
    ("basicConstraints.isCA", "ca", "CA certificate"),
    ("basicConstraints.pathLength", "path_length", "Path length"),
    ("csr", "csr", "CSR"),
    ("applicationId", "application", "Application"),
    ("metadata", "labels", "Labels"),
];

/// Without the index: `altNames[0]` is one of `altNames`.
fn bare(field: &str) -> &str {
    field.split('[').next().unwrap_or(field)
}

/// The form's field for one of the core.
pub(super) fn field_of(core: &str) -> &str {
    let core = bare(core);
    FIELDS.iter().find(|(it, _, _)| *it == core).map_or(core, |(_, here, _)| *here)
}

/// The core's field, in words.
pub(crate) fn field_label(core: &str) -> String {
    let core = bare(core);
    FIELDS.iter().find(|(it, _, _)| *it == core).map_or_else(|| core.to_owned(), |(_, _, label)| (*label).to_owned())
}

pub(super) fn attribute_of(core: &str) -> Option<AttributeType> {
    let name = field_of(core);
    AttributeType::ALL.iter().copied().find(|it| it.as_str() == name)
}

pub(crate) fn attribute_label(kind: AttributeType) -> String {
    let known = FIELDS.iter().find(|(_, here, _)| *here == kind.as_str()).map(|(_, _, label)| (*label).to_owned());
    known.unwrap_or_else(|| kind.as_str().replace('_', " "))
}

/// A value of the core as people read it: usages and keys by their names, everything else as it is.
pub(crate) fn value_label(field: &str, value: &str) -> String {
    let label = match bare(field) {
        "keyUsages" => value.parse::<KeyUsage>().ok().map(|it| it.label().to_owned()),
        "extendedKeyUsages" => value.parse::<ExtendedKeyUsage>().ok().map(|it| it.label().to_owned()),
        "keyAlgorithm" => value.parse::<KeyAlgorithm>().ok().map(|it| it.label().to_owned()),
        "basicConstraints.isCA" => Some(if value == "true" { "Yes" } else { "No" }.to_owned()),
        "ttl" => chancery_model::time::Ttl::parse(value).ok().map(|it| it.to_string()),
        "notBefore" | "notAfter" => chancery_model::Timestamp::parse_date(value).ok().map(crate::text::utc),
        _ => None,
    };
    label.unwrap_or_else(|| value.to_owned())
}

/// Where a value came from, in words.
pub(crate) const fn source_label(source: Source) -> &'static str {
    match source {
        Source::Request => "as asked",
        Source::Csr => "from the CSR",
        Source::Default => "built-in default",
        Source::Profile => "default of the profile",
        Source::Template => "from the template",
        Source::Derived => "copied from the common name",
        Source::Issuer => "set by the issuer",
        Source::Renewal => "as before",
    }
}

/// Whose key was to be certified.
pub(crate) const fn key_label(key: Option<DecidedKey>) -> &'static str {
    match key {
        Some(DecidedKey::Generated) => "Made by the server",
        Some(DecidedKey::Csr) => "From a CSR: the requester holds it",
        Some(DecidedKey::Reused) => "That of the certificate that is renewed",
        None => "Not recorded",
    }
}

/// What to write for a kind of name.
pub(crate) const fn example_of(kind: GeneralNameKind) -> &'static str {
    match kind {
        GeneralNameKind::DnsName => "www.example.com",
        GeneralNameKind::IpAddress => "10.0.0.7 or 2001:db8::7",
        GeneralNameKind::Email | GeneralNameKind::Upn => "user@example.com",
        GeneralNameKind::Uri => "spiffe://example.com/service",
        GeneralNameKind::OtherName => "1.2.3.4;utf8:text",
        GeneralNameKind::DirectoryName => "CN=name, O=organization",
        GeneralNameKind::RegisteredId => "1.3.6.1.4.1.32473",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_core_have_a_place_and_a_word() {
        for (core, here, label) in [
            ("altNames[3]", "names", "Subject alternative name"),
            ("commonName", "common_name", "Common name"),
            ("metadata[0].key", "labels", "Labels"),
            ("somethingNew", "somethingNew", "somethingNew"),
        ] {
            assert_eq!((field_of(core), field_label(core).as_str()), (here, label));
        }
        assert_eq!(attribute_of("organizationalUnit"), Some(AttributeType::OrganizationalUnit));
        assert_eq!(attribute_of("ttl"), None);
        assert_eq!(value_label("extendedKeyUsages", "server_auth"), ExtendedKeyUsage::ServerAuth.label());
        assert_eq!(value_label("ttl", "7776000s"), "90 days");
        assert_eq!(value_label("commonName", "true"), "true");
    }
}
