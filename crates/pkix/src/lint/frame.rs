//! Rules about the fields every certificate has.

use super::parsed::Parsed;
use super::{LintContext, Report};
use crate::algorithm::SignatureAlgorithm;
use crate::asn1::time;

pub(super) fn version(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(tbs.version != Some(&[2]), "The version is not 3");
}

pub(super) fn unique_ids(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(tbs.has_unique_ids, "There is a unique identifier of issuer or subject");
}

pub(super) fn serial_positive(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(
        tbs.serial.first().is_none_or(|top| *top >= 0x80) || tbs.serial == [0],
        "The serial number is zero or negative",
    );
}

pub(super) fn serial_length(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(tbs.serial.len() > 20, "The serial number has more than 20 octets");
}

pub(super) fn serial_entropy(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(tbs.serial.len() < 8, "The serial number has fewer than 8 octets");
}

pub(super) fn signature_algorithm(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let is_known = SignatureAlgorithm::from_identifier_der(tbs.signature).is_some();
    report.add_if(!is_known, "The signature algorithm is unknown or has other parameters than its standard says");
}

pub(super) fn issuer_present(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(tbs.issuer.len() == 2, "The issuer is empty");
}

pub(super) fn issuer_bytes(tbs: &Parsed<'_>, context: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(tbs.issuer != context.issuer_subject_der, "The issuer differs from the issuing CA's subject");
}

pub(super) fn self_signed_subject(tbs: &Parsed<'_>, context: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(
        context.self_signed && tbs.issuer != tbs.subject,
        "The certificate is self-signed but its issuer and subject differ",
    );
}

pub(super) fn validity_form(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    for (what, instant) in [("start", &tbs.not_before), ("end", &tbs.not_after)] {
        if !time::is_in_required_form(instant.tag, instant.seconds) {
            report.add(format!("The {what} of the validity is not in the form its year asks for"));
        }
    }
}

pub(super) fn validity_order(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(tbs.not_after.seconds < tbs.not_before.seconds, "The validity ends before it begins");
}

pub(super) fn validity_nesting(tbs: &Parsed<'_>, context: &LintContext<'_>, report: &mut Report<'_>) {
    let Some(issuer) = context.issuer_validity else { return };
    report.add_if(tbs.not_before.seconds < issuer.not_before, "The validity begins before that of the issuer");
    report.add_if(tbs.not_after.seconds > issuer.not_after, "The validity ends after that of the issuer");
}
