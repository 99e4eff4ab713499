//! Key usages and extended key usages: who named them, and which of them the key can serve.

use chancery_model::enrollment::{Enrollment, Source, Sourced};
use chancery_model::{Violation, Warning};
use chancery_pkix::{ExtendedKeyUsage, KeyAlgorithm, KeyFamily, KeyUsage};

use super::{Circumstances, violation};
use crate::hierarchy::Issuer;

/// The asker's list, else the profile's, else what the template requires.
pub(super) fn key_usages(
    around: &Circumstances<'_>,
    asked: Option<&[KeyUsage]>,
    source: Source,
) -> Vec<Sourced<KeyUsage>> {
    let profile = || around.defaults().and_then(|it| it.key_usages.as_deref());
    let mut usages = match (asked, profile()) {
        (Some(asked), _) => sourced(asked, source),
        (None, Some(default)) => sourced(default, Source::Profile),
        (None, None) => {
            around.template.rules.key_usages_required().iter().map(|it| Sourced::new(it, Source::Template)).collect()
        }
    };
    usages.sort_by_key(|it| it.value);
    usages
}

/// The asker's list, else the profile's, else what the template requires.
pub(super) fn extended_key_usages(
    around: &Circumstances<'_>,
    asked: Option<&[ExtendedKeyUsage]>,
    source: Source,
) -> Vec<Sourced<ExtendedKeyUsage>> {
    let profile = || around.defaults().and_then(|it| it.extended_key_usages.as_deref());
    match (asked, profile()) {
        (Some(asked), _) => sourced(asked, source),
        (None, Some(default)) => sourced(default, Source::Profile),
        (None, None) => sourced(around.template.rules.extended_key_usages_required(), Source::Template),
    }
}

/// Each value once, in the order given.
fn sourced<T: Copy + PartialEq>(values: &[T], source: Source) -> Vec<Sourced<T>> {
    let mut list: Vec<Sourced<T>> = Vec::with_capacity(values.len());
    for value in values {
        if !list.iter().any(|known| known.value == *value) {
            list.push(Sourced::new(*value, source));
        }
    }
    list
}

/// Purposes that relying parties would not accept under this issuer.
pub(super) fn issuer_violations(issuer: &Issuer, enrollment: &Enrollment) -> Vec<Violation> {
    let asked = enrollment.extended_key_usages.iter();
    asked
        .filter(|it| !issuer.permits_extended_key_usage(it.value))
        .map(|it| {
            let permitted = ExtendedKeyUsage::ALL.iter().filter(|usage| issuer.permits_extended_key_usage(**usage));
            let permitted: Vec<&str> = permitted.map(|usage| usage.as_str()).collect();
            violation(
                "issuer.extended_key_usages",
                "extendedKeyUsages",
                it.value.as_str(),
                it.source,
                format!("the issuing CA's chain serves only: {}", permitted.join(", ")),
            )
        })
        .collect()
}

/// Takes out usages that the key cannot serve (RFC 8813 §3, RFC 8410 §5, RFC 9881 §5) and says so. Clients ask for
/// `key_encipherment` by habit whatever the key; a certificate that claims it for a signing key is malformed.
pub(super) fn drop_unusable(enrollment: &mut Enrollment) {
    let algorithm = enrollment.key_algorithm.value;
    let warnings = &mut enrollment.warnings;
    enrollment.key_usages.retain(|usage| {
        let usable = can_serve(algorithm, usage.value);
        if !usable {
            warnings.push(Warning::new(
                "key_usage.not_for_key",
                "keyUsages",
                format!("{} is left out: a key of type {} cannot serve it", usage.value.as_str(), algorithm.as_str()),
            ));
        }
        usable
    });
}

/// Whether a key of this algorithm can serve the usage at all.
pub(crate) fn can_serve(algorithm: KeyAlgorithm, usage: KeyUsage) -> bool {
    use KeyUsage as U;
    match algorithm.family() {
        KeyFamily::Rsa => !matches!(usage, U::KeyAgreement | U::EncipherOnly | U::DecipherOnly),
        KeyFamily::Ecdsa => !matches!(usage, U::KeyEncipherment | U::DataEncipherment),
        KeyFamily::Ed25519 | KeyFamily::MlDsa => {
            matches!(usage, U::DigitalSignature | U::NonRepudiation | U::KeyCertSign | U::CrlSign)
        }
    }
}
