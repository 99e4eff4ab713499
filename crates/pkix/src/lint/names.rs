//! Rules about the subject and its alternative names.

use super::parsed::Parsed;
use super::{LintContext, Report};
use crate::asn1::{oid, strings};
use crate::name::attribute::AttributeType;
use crate::name::{self, GeneralName};
use crate::name_constraints::NameConstraints;
use crate::usage::{ExtendedKeyUsage, KeyUsage};

pub(super) fn subject_present(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    if !tbs.has_empty_subject() {
        return;
    }
    report.add_if(tbs.is_ca(), "A CA's certificate has an empty subject");
    report.add_if(
        tbs.extension(oid::SUBJECT_ALT_NAME).is_none(),
        "The certificate has neither a subject nor subject alternative names",
    );
}

pub(super) fn subject_string_types(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    for (kind, value) in tbs.known_attributes() {
        // PrintableString is as good as UTF8String where the standard leaves the choice (DirectoryString).
        let is_directory_string = kind.string_tag() == crate::asn1::tag::UTF8_STRING;
        let is_printable = is_directory_string && value.tag == crate::asn1::tag::PRINTABLE_STRING;
        if value.tag != kind.string_tag() && !is_printable {
            report.add(format!("The {kind} of the subject is of the wrong string type"));
        }
    }
}

pub(super) fn subject_bounds(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    for (kind, value) in tbs.known_attributes() {
        let characters = std::str::from_utf8(value.content).map_or(value.content.len(), |text| text.chars().count());
        if characters == 0 || characters > kind.characters_max() {
            report.add(format!("The {kind} of the subject is empty or longer than {}", kind.characters_max()));
        }
        if kind == AttributeType::Country && !matches!(value.content, [b'A'..=b'Z', b'A'..=b'Z']) {
            report.add("The country of the subject is not two capital letters");
        }
    }
}

pub(super) fn subject_characters(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    for (kind, value) in tbs.known_attributes() {
        let text = strings::any_text(value).unwrap_or_default();
        if text.chars().any(char::is_control) || text.trim() != text {
            report.add(format!("The {kind} of the subject has control characters or blanks at its ends"));
        }
    }
}

pub(super) fn subject_types(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    match &tbs.attributes {
        Err(error) => report.add(format!("The subject is malformed: there is {error}")),
        Ok(attributes) => {
            report.add_if(attributes.iter().any(|one| one.kind.is_none()), "The subject has an unknown attribute");
            report
                .add_if(attributes.iter().any(|one| !one.is_first_of_rdn), "The subject has several values in one RDN");
        }
    }
}

pub(super) fn san_not_empty(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let is_empty = tbs.known.subject_alt_names.as_ref().is_some_and(Vec::is_empty);
    report.add_if(is_empty, "The list of subject alternative names is empty");
}

pub(super) fn san_critical(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    if let Some(critical) = tbs.criticality(oid::SUBJECT_ALT_NAME) {
        report.add_if(
            critical != tbs.has_empty_subject(),
            "Subject alternative names are critical beside a subject, or not critical without one",
        );
    }
}

pub(super) fn san_form(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    for raw in tbs.known.subject_alt_names.iter().flatten() {
        match GeneralName::from_tlv(*raw) {
            Err(error) => report.add(error.message),
            Ok(name) if name.to_der() != raw.raw => {
                report.add(format!("The {} {} is not in canonical form", name.kind(), name::shown(&name.value())));
            }
            Ok(_) => {}
        }
    }
}

pub(super) fn san_unique(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let mut all: Vec<&[u8]> = tbs.known.subject_alt_names.iter().flatten().map(|one| one.raw).collect();
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    report.add_if(all.len() != count, "A subject alternative name occurs twice");
}

pub(super) fn common_name_repeated(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    if !tbs.has_purpose(ExtendedKeyUsage::ServerAuth) || tbs.is_ca() {
        return;
    }
    for (kind, value) in tbs.known_attributes() {
        let text = std::str::from_utf8(value.content).unwrap_or_default();
        if kind != AttributeType::CommonName || text.contains('@') {
            continue;
        }
        let Some(name) = NameConstraints::name_in_common_name(text) else { continue };
        // A common name that no alternative name can repeat is not a server's name.
        if GeneralName::parse(name.kind(), &name.value()).is_err() {
            continue;
        }
        let repeated = tbs.known.subject_alt_names.iter().flatten().any(|one| one.raw == name.to_der());
        if !repeated {
            report.add(format!("The common name {} is not among the subject alternative names", name::shown(text)));
        }
    }
}

pub(super) fn spiffe(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    const URI: u8 = crate::certificate::extensions::URI;
    let uris: Vec<&str> = tbs
        .known
        .subject_alt_names
        .iter()
        .flatten()
        .filter(|one| one.tag == URI)
        .filter_map(|one| std::str::from_utf8(one.content).ok())
        .collect();
    let Some(id) = uris.iter().find(|uri| uri.starts_with("spiffe:")) else { return };
    report.add_if(uris.len() > 1, "A SPIFFE id stands beside other URIs");
    let Ok(id) = name::spiffe(id) else { return };
    if tbs.is_ca() {
        report.add_if(!id.path.is_empty(), "A CA's SPIFFE id has a path");
        return;
    }
    report.add_if(id.path.is_empty(), "A leaf's SPIFFE id has no path");
    report.add_if(!tbs.has_usage(KeyUsage::DigitalSignature), "A SPIFFE certificate lacks digital_signature");
    report.add_if(tbs.has_usage(KeyUsage::CrlSign), "A SPIFFE certificate has crl_sign");
    let purposes = [ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth];
    report.add_if(
        tbs.known.extended_key_usages.is_some() && !purposes.iter().all(|one| tbs.has_purpose(*one)),
        "A SPIFFE certificate with extended key usages needs server_auth and client_auth",
    );
}
