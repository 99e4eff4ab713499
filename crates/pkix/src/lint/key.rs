//! Rules about the public key and what it may be used for.

use super::parsed::Parsed;
use super::{LintContext, Report};
use crate::algorithm::KeyFamily;
use crate::asn1::oid;
use crate::usage::KeyUsage;

pub(super) fn key_algorithm(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    if let Err(error) = &tbs.key {
        report.add(error.message.clone());
    }
}

pub(super) fn key_usage_critical(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    report.add_if(tbs.criticality(oid::KEY_USAGE) == Some(false), "Key usage is not critical");
}

pub(super) fn key_usage_bits(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let Some((usages, bits)) = tbs.known.key_usages else { return };
    report.add_if(usages.is_empty(), "Key usage has no bit set");
    report.add_if(usages.to_bit_string() != bits, "Key usage has undefined bits or trailing zero bits");
}

pub(super) fn key_usage_fits_key(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let (Ok(key), Some((usages, _))) = (&tbs.key, tbs.known.key_usages) else { return };
    let unfit = |usage: KeyUsage| match usage {
        KeyUsage::KeyEncipherment | KeyUsage::DataEncipherment => key.family() != KeyFamily::Rsa,
        KeyUsage::KeyAgreement => key.family() != KeyFamily::Ecdsa,
        _ => false,
    };
    for usage in usages.iter().filter(|one| unfit(*one)) {
        report.add(format!("A key of algorithm {key} cannot serve {usage}"));
    }
}

pub(super) fn key_usage_only_modifiers(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let modified = tbs.has_usage(KeyUsage::EncipherOnly) || tbs.has_usage(KeyUsage::DecipherOnly);
    report.add_if(
        modified && !tbs.has_usage(KeyUsage::KeyAgreement),
        "encipher_only or decipher_only is set without key_agreement",
    );
}

pub(super) fn key_usage_of_ca(tbs: &Parsed<'_>, _: &LintContext<'_>, report: &mut Report<'_>) {
    let signs = tbs.has_usage(KeyUsage::KeyCertSign);
    report.add_if(tbs.is_ca() && !signs, "The certificate is a CA's but lacks key_cert_sign");
    report.add_if(signs && !tbs.is_ca(), "key_cert_sign is set on a certificate that is no CA's");
}
