//! A foreign certificate in the inventory's words.

use chancery_model::certificate::{CertificateDescription, ForeignDescription};
use chancery_pkix::ForeignCertificate;
use chancery_pkix::pem::{self, OutsideText};

use crate::error::Error;

/// Largest text of certificates that is read.
const PEM_MAX: usize = 8 * 1024 * 1024;
/// Most certificates in one text.
const CERTIFICATES_MAX: usize = 100;

/// All certificates of a PEM text, at least one.
pub(super) fn from_pem(field: &str, text: &str) -> Result<Vec<ForeignCertificate>, Error> {
    if text.len() > PEM_MAX {
        return Err(Error::malformed("import.too_large", field, "the PEM text is larger than 8 MiB"));
    }
    let blocks = pem::decode(text, OutsideText::Skip)
        .map_err(|error| Error::malformed("import.pem", field, format!("{error}; send PEM blocks of CERTIFICATE")))?;
    if blocks.is_empty() {
        let message = "there is no PEM block; send one that begins with -----BEGIN CERTIFICATE-----";
        return Err(Error::malformed("import.pem", field, message));
    }
    if blocks.len() > CERTIFICATES_MAX {
        let message = format!("there are more than {CERTIFICATES_MAX} PEM blocks; import them in several calls");
        return Err(Error::malformed("import.too_many", field, message));
    }
    blocks.iter().map(|block| from_block(field, &block.label, &block.der)).collect()
}

fn from_block(field: &str, label: &str, der: &[u8]) -> Result<ForeignCertificate, Error> {
    if label.ends_with("PRIVATE KEY") {
        let message = "there is a private key among the certificates; send it as privateKeyPem, nothing was kept of it";
        return Err(Error::malformed("import.key_misplaced", field, message));
    }
    if !matches!(label, pem::CERTIFICATE | "X509 CERTIFICATE") {
        let shown: String = label.chars().take(40).collect();
        let message = format!("a PEM block is of type {shown:?}; only CERTIFICATE is imported");
        return Err(Error::malformed("import.pem", field, message));
    }
    from_der(field, der)
}

pub(super) fn from_der(field: &str, der: &[u8]) -> Result<ForeignCertificate, Error> {
    ForeignCertificate::from_der(der).map_err(|error| Error::malformed(error.code, field, error.message))
}

/// What lists and searches go by.
pub(crate) fn description(foreign: &ForeignCertificate) -> CertificateDescription {
    CertificateDescription {
        subject: foreign.subject.clone(),
        sans: foreign.subject_alt_names.clone(),
        key_usages: foreign.key_usages.clone(),
        extended_key_usages: foreign.extended_key_usages.clone(),
        key_algorithm: foreign.key_algorithm,
        signature_algorithm: foreign.signature_algorithm,
        is_ca: foreign.is_ca,
        path_length: foreign.path_length,
        from_csr: false,
        foreign: Some(ForeignDescription {
            subject: foreign.subject_text.clone(),
            issuer: foreign.issuer_text.clone(),
            key: foreign.key_text.clone(),
            signature: foreign.signature_text.clone(),
            extended_key_usages: foreign.unknown_extended_key_usages.clone(),
            extensions: foreign.unknown_extensions.clone(),
        }),
    }
}

/// The serial number as this inventory writes all of them: hex of whole octets, without the zero octet that only keeps a
/// number positive.
pub(crate) fn serial_number(foreign: &ForeignCertificate) -> String {
    let hex = foreign.serial_hex.as_str();
    match hex.strip_prefix("00") {
        Some(rest) if rest.starts_with(['8', '9', 'a', 'b', 'c', 'd', 'e', 'f']) => rest.to_owned(),
        _ => hex.to_owned(),
    }
}
