//! The words of certificates as people read them, for drop-downs and tables.

use chancery_pkix::{AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage, SignatureAlgorithm};

/// What a drop-down offers: the value, and how it reads.
pub(crate) type Choice = (&'static str, String);

/// `digital_signature` reads `Digital signature`.
pub(crate) fn spoken(word: &str) -> String {
    let text = word.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

pub(crate) const fn key_algorithm(key: KeyAlgorithm) -> &'static str {
    match key {
        KeyAlgorithm::Rsa2048 => "RSA 2048",
        KeyAlgorithm::Rsa3072 => "RSA 3072",
        KeyAlgorithm::Rsa4096 => "RSA 4096",
        KeyAlgorithm::EcP256 => "ECDSA P-256",
        KeyAlgorithm::EcP384 => "ECDSA P-384",
        KeyAlgorithm::EcP521 => "ECDSA P-521",
        KeyAlgorithm::Ed25519 => "Ed25519",
        KeyAlgorithm::MlDsa44 => "ML-DSA-44 (post-quantum)",
        KeyAlgorithm::MlDsa65 => "ML-DSA-65 (post-quantum)",
        KeyAlgorithm::MlDsa87 => "ML-DSA-87 (post-quantum)",
    }
}

pub(crate) fn key_algorithms() -> Vec<Choice> {
    KeyAlgorithm::ALL.iter().map(|it| (it.as_str(), key_algorithm(*it).to_owned())).collect()
}

pub(crate) fn signature_algorithms() -> Vec<Choice> {
    SignatureAlgorithm::ALL.iter().map(|it| (it.as_str(), it.as_str().to_owned())).collect()
}

pub(crate) fn key_usages() -> Vec<Choice> {
    KeyUsage::ALL.iter().map(|it| (it.as_str(), usage(it.as_str()))).collect()
}

pub(crate) fn extended_key_usages() -> Vec<Choice> {
    ExtendedKeyUsage::ALL.iter().map(|it| (it.as_str(), usage(it.as_str()))).collect()
}

pub(crate) fn usage(word: &str) -> String {
    match word {
        "server_auth" => "TLS server".to_owned(),
        "client_auth" => "TLS client".to_owned(),
        "email_protection" => "E-mail protection".to_owned(),
        "ocsp_signing" => "OCSP signing".to_owned(),
        "crl_sign" => "CRL sign".to_owned(),
        "key_cert_sign" => "Certificate sign".to_owned(),
        other => spoken(other),
    }
}

pub(crate) fn subject_attributes() -> Vec<Choice> {
    AttributeType::ALL.iter().map(|it| (it.as_str(), spoken(it.as_str()))).collect()
}

pub(crate) fn name_kinds() -> Vec<Choice> {
    GeneralNameKind::ALL.iter().map(|it| (it.as_str(), name_kind(*it).to_owned())).collect()
}

pub(crate) const fn name_kind(kind: GeneralNameKind) -> &'static str {
    match kind {
        GeneralNameKind::DnsName => "DNS name",
        GeneralNameKind::IpAddress => "IP address",
        GeneralNameKind::Email => "E-mail address",
        GeneralNameKind::Uri => "URI",
        GeneralNameKind::Upn => "User principal name",
        GeneralNameKind::OtherName => "Other name",
        GeneralNameKind::DirectoryName => "Directory name",
        GeneralNameKind::RegisteredId => "Registered ID",
    }
}
