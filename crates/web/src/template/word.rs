//! The words of certificates as people read them, for drop-downs and tables.

use chancery_pkix::{AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage, SignatureAlgorithm};

/// What a drop-down offers: the value, and how it reads.
pub(crate) type Choice = (&'static str, String);

/// `digital_signature` reads `Digital signature`.
pub(crate) fn spoken(word: &str) -> String {
    if let Ok(kind) = word.parse::<GeneralNameKind>() {
        return kind.label().to_owned();
    }
    let text = word.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

pub(crate) fn key_algorithms() -> Vec<Choice> {
    KeyAlgorithm::ALL.iter().map(|it| (it.as_str(), it.label().to_owned())).collect()
}

pub(crate) fn signature_algorithms() -> Vec<Choice> {
    SignatureAlgorithm::ALL.iter().map(|it| (it.as_str(), it.as_str().to_owned())).collect()
}

pub(crate) fn key_usages() -> Vec<Choice> {
    KeyUsage::ALL.iter().map(|it| (it.as_str(), it.label().to_owned())).collect()
}

pub(crate) fn extended_key_usages() -> Vec<Choice> {
    ExtendedKeyUsage::ALL.iter().map(|it| (it.as_str(), it.label().to_owned())).collect()
}

/// A key usage or an extended one, by its word.
pub(crate) fn usage(word: &str) -> String {
    let key = word.parse::<KeyUsage>().map(KeyUsage::label);
    let label = key.or_else(|_| word.parse::<ExtendedKeyUsage>().map(ExtendedKeyUsage::label));
    label.map_or_else(|_| spoken(word), str::to_owned)
}

pub(crate) fn subject_attributes() -> Vec<Choice> {
    AttributeType::ALL.iter().map(|it| (it.as_str(), spoken(it.as_str()))).collect()
}

pub(crate) fn name_kinds() -> Vec<Choice> {
    GeneralNameKind::ALL.iter().map(|it| (it.as_str(), it.label().to_owned())).collect()
}
