//! Sign: the only caller of a [`Signer`] for certificates of the issuance path.

use chancery_keys::Signer;
use chancery_pkix::{SerialNumber, assemble};

use super::SubjectKey;
use super::prepare::PreparedCertificate;
use crate::error::Error;
use crate::hierarchy::Issuer;

/// A signed certificate that nobody outside has seen: it counts only once it is recorded.
pub(crate) struct SignedCertificate {
    pub der: Vec<u8>,
    pub serial: SerialNumber,
}

/// Signs with the issuer's key, or with the subject's own for a self-signed certificate.
pub(super) fn sign(
    prepared: PreparedCertificate,
    issuer: Option<&Issuer>,
    key: &SubjectKey,
) -> Result<SignedCertificate, Error> {
    let PreparedCertificate { tbs_der, serial, signature_algorithm } = prepared;
    let signature = match (issuer, key.held()) {
        (Some(issuer), _) => issuer.signer().sign(signature_algorithm, &tbs_der),
        (None, Some(own)) => own.sign(signature_algorithm, &tbs_der),
        (None, None) => return Err(Error::internal("a self-signed certificate without its private key")),
    }
    .map_err(Error::internal)?;
    Ok(SignedCertificate { der: assemble(&tbs_der, signature_algorithm, &signature), serial })
}
