//! Rules about extensions other than usages of the key and alternative names.

use super::parsed::Parsed;
use super::{LintContext, Report};
use crate::asn1::{Tlv, oid};
use crate::certificate::extensions::{DistributionPoint, URI};
use crate::usage::{ExtendedKeyUsage, KeyUsage};

pub(super) fn der(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    for message in &tbs.malformed {
        report.add(format!("An extension cannot be decoded: {message}"));
    }
}

pub(super) fn extension_unique(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    for (position, one) in tbs.extensions.iter().enumerate() {
        if tbs.extensions.iter().take(position).any(|earlier| earlier.oid == one.oid) {
            report.add(format!("The extension {} occurs twice", dotted(one.oid)));
        }
    }
}

pub(super) fn extension_known(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    const KNOWN: [&[u8]; 12] = [
        oid::AUTHORITY_KEY_IDENTIFIER,
        oid::SUBJECT_KEY_IDENTIFIER,
        oid::KEY_USAGE,
        oid::BASIC_CONSTRAINTS,
        oid::NAME_CONSTRAINTS,
        oid::SUBJECT_ALT_NAME,
        oid::EXTENDED_KEY_USAGE,
        oid::CRL_DISTRIBUTION_POINTS,
        oid::AUTHORITY_INFO_ACCESS,
        oid::NO_REV_AVAIL,
        oid::FRESHEST_CRL,
        oid::OCSP_NO_CHECK,
    ];
    for one in tbs.extensions.iter().filter(|one| !KNOWN.contains(&one.oid)) {
        report.add(format!("The extension {} is not known", dotted(one.oid)));
    }
}

fn dotted(content: &[u8]) -> String {
    oid::to_identifier(content, 0).map_or_else(|_| hex::encode(content), |oid| oid.to_string())
}

pub(super) fn extension_default(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(
        tbs.extensions.iter().any(|one| one.has_explicit_default),
        "An extension says that it is not critical instead of leaving that out",
    );
}

pub(super) fn authority_key_id_present(tbs: &Parsed<'_>, context: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(
        !context.self_signed && tbs.extension(oid::AUTHORITY_KEY_IDENTIFIER).is_none(),
        "The authority key identifier is missing",
    );
}

pub(super) fn authority_key_id_form(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let critical = tbs.criticality(oid::AUTHORITY_KEY_IDENTIFIER) == Some(true);
    report.add_if(critical, "The authority key identifier is critical");
    if let Some((id, has_more)) = tbs.known.authority_key_id {
        report.add_if(id.is_none() || has_more, "The authority key identifier is not a key identifier alone");
    }
}

pub(super) fn authority_key_id_value(tbs: &Parsed<'_>, context: &LintContext<'_>, report: &mut Report<'_>) {
    let expected = if context.self_signed { tbs.known.subject_key_id } else { context.issuer_key_id };
    if let (Some((Some(id), _)), Some(expected)) = (tbs.known.authority_key_id, expected) {
        report.add_if(id != expected, "The authority key identifier is not the issuer's key identifier");
    }
}

pub(super) fn subject_key_id_of_ca(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let is_missing = tbs.extension(oid::SUBJECT_KEY_IDENTIFIER).is_none();
    report.add_if(tbs.is_ca() && is_missing, "A CA's certificate lacks the subject key identifier");
}

pub(super) fn subject_key_id_form(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let critical = tbs.criticality(oid::SUBJECT_KEY_IDENTIFIER) == Some(true);
    report.add_if(critical, "The subject key identifier is critical");
    let has_odd_length = tbs.known.subject_key_id.is_some_and(|id| id.is_empty() || id.len() > 32);
    report.add_if(has_odd_length, "The subject key identifier is empty or longer than 32 octets");
}

pub(super) fn basic_constraints_critical(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let not_critical = tbs.criticality(oid::BASIC_CONSTRAINTS) == Some(false);
    report.add_if(tbs.is_ca() && not_critical, "The basic constraints of a CA are not critical");
}

pub(super) fn path_length_of_ca(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let has_length = tbs.known.basic_constraints.is_some_and(|constraints| constraints.path_length.is_some());
    let may_have = tbs.is_ca() && tbs.has_usage(KeyUsage::KeyCertSign);
    report.add_if(has_length && !may_have, "A path length is set on a certificate that signs no certificates");
}

pub(super) fn extended_key_usage_form(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let critical = tbs.criticality(oid::EXTENDED_KEY_USAGE) == Some(true);
    report.add_if(critical, "Extended key usage is critical");
    let Some(all) = &tbs.known.extended_key_usages else { return };
    report.add_if(all.is_empty(), "The list of extended key usages is empty");
    let mut unique = all.clone();
    unique.sort_unstable();
    unique.dedup();
    report.add_if(unique.len() != all.len(), "An extended key usage occurs twice");
}

pub(super) fn extended_key_usage_any(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let has_others = tbs.known.extended_key_usages.as_ref().is_some_and(|all| all.len() > 1);
    report.add_if(
        has_others && tbs.has_purpose(ExtendedKeyUsage::AnyPurpose),
        "any_purpose stands beside other extended key usages",
    );
}

pub(super) fn ocsp_signing_alone(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    if !tbs.has_purpose(ExtendedKeyUsage::OcspSigning) {
        return;
    }
    let has_others = tbs.known.extended_key_usages.as_ref().is_some_and(|all| all.len() > 1);
    report.add_if(has_others, "ocsp_signing stands beside other extended key usages");
    report.add_if(tbs.is_ca(), "ocsp_signing is set on a CA's certificate");
}

pub(super) fn name_constraints_of_ca(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let is_there = tbs.extension(oid::NAME_CONSTRAINTS).is_some();
    report.add_if(is_there && !tbs.is_ca(), "Name constraints are set on a certificate that is no CA's");
}

pub(super) fn name_constraints_critical(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(tbs.criticality(oid::NAME_CONSTRAINTS) == Some(false), "Name constraints are not critical");
}

pub(super) fn name_constraints_not_empty(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let is_empty = tbs.known.name_constraints.as_ref().is_some_and(|one| one.is_empty());
    report.add_if(is_empty, "Name constraints permit and exclude nothing");
}

pub(super) fn crl_distribution_points(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let critical = tbs.criticality(oid::CRL_DISTRIBUTION_POINTS) == Some(true);
    report.add_if(critical, "CRL distribution points are critical");
    if let Some(points) = &tbs.known.distribution_points {
        one_plain_point(points, |name| is_http(name) || is_https(name), report);
    }
}

fn one_plain_point(points: &[DistributionPoint<'_>], fits: fn(&Tlv<'_>) -> bool, report: &mut Report<'_>) {
    report.add_if(points.len() != 1, "There is not exactly one CRL distribution point");
    for point in points {
        report.add_if(!point.is_plain, "A CRL distribution point has reasons, a CRL issuer, or no full name");
        report.add_if(
            point.names.is_empty() || !point.names.iter().all(fits),
            "A CRL distribution point is not a web address",
        );
    }
}

pub(super) fn freshest_crl(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(tbs.criticality(oid::FRESHEST_CRL) == Some(true), "The freshest CRL is critical");
    let Some(points) = &tbs.known.freshest_crl else { return };
    one_plain_point(points, is_http, report);
    let has_complete = tbs.extension(oid::CRL_DISTRIBUTION_POINTS).is_some();
    report.add_if(!has_complete, "A freshest CRL stands without the CRL it refers to");
}

pub(super) fn authority_info_access(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let critical = tbs.criticality(oid::AUTHORITY_INFO_ACCESS) == Some(true);
    report.add_if(critical, "Authority information access is critical");
    let Some(all) = &tbs.known.access else { return };
    report.add_if(all.is_empty(), "Authority information access is empty");
    for (method, location) in all {
        let is_known = matches!(*method, oid::ACCESS_OCSP | oid::ACCESS_CA_ISSUERS);
        report.add_if(!is_known, "Authority information access has an unknown method");
        report.add_if(!is_http(location), "Authority information access is not an http URI");
    }
}

/// https would need the very certificate that is being checked.
pub(super) fn is_http(location: &Tlv<'_>) -> bool {
    has_scheme(location, b"http://")
}

/// RFC 5280 §8 advises against it and forbids nothing: a place that an administrator names beside ours is theirs to judge.
fn is_https(location: &Tlv<'_>) -> bool {
    has_scheme(location, b"https://")
}

fn has_scheme(location: &Tlv<'_>, scheme: &[u8]) -> bool {
    location.tag == URI
        && location
            .content
            .strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty() && rest.iter().all(|octet| octet.is_ascii_graphic()))
}

pub(super) fn no_rev_avail(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let Some(one) = tbs.extension(oid::NO_REV_AVAIL) else { return };
    report.add_if(one.critical, "noRevAvail is critical");
    report.add_if(one.value != [5, 0], "The value of noRevAvail is not NULL");
    report.add_if(tbs.is_ca(), "noRevAvail is set on a CA's certificate");
    let points_to_ocsp = tbs.known.access.iter().flatten().any(|(method, _)| *method == oid::ACCESS_OCSP);
    let points_to_crl =
        [oid::CRL_DISTRIBUTION_POINTS, oid::FRESHEST_CRL].iter().any(|oid| tbs.extension(oid).is_some());
    report.add_if(points_to_ocsp || points_to_crl, "noRevAvail stands beside a pointer to revocation information");
}

pub(super) fn ocsp_no_check(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let Some(one) = tbs.extension(oid::OCSP_NO_CHECK) else { return };
    report.add_if(one.critical, "id-pkix-ocsp-nocheck is critical");
    report.add_if(one.value != [5, 0], "The value of id-pkix-ocsp-nocheck is not NULL");
    let answers = tbs.has_purpose(ExtendedKeyUsage::OcspSigning);
    report.add_if(!answers, "id-pkix-ocsp-nocheck is set on a certificate that signs no OCSP responses");
}
