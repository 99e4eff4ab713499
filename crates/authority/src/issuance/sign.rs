//! Sign: the only caller of a [`Signer`].

use chancery_keys::Signer;
use chancery_pkix::{SerialNumber, SignatureAlgorithm, assemble};

use super::SubjectKey;
use super::prepare::PreparedCertificate;
use crate::error::Error;
use crate::hierarchy::Issuer;

/// A signed certificate that nobody outside has seen: it counts only once it is recorded.
pub(crate) struct SignedCertificate {
    pub der: Vec<u8>,
    pub serial: SerialNumber,
    pub crl_partition: u32,
}

/// Signs with the issuer's key, or with the subject's own for a self-signed certificate.
pub(super) fn sign(
    prepared: PreparedCertificate,
    issuer: Option<&Issuer>,
    key: &SubjectKey,
) -> Result<SignedCertificate, Error> {
    let PreparedCertificate { tbs_der, serial, signature_algorithm, crl_partition } = prepared;
    let signer: &dyn Signer = match (issuer, key.held()) {
        (Some(issuer), _) => issuer.signer(),
        (None, Some(own)) => own,
        (None, None) => return Err(Error::internal("a self-signed certificate without its private key")),
    };
    Ok(SignedCertificate { der: signed(&tbs_der, signature_algorithm, signer)?, serial, crl_partition })
}

/// To-be-signed bytes with their signature (the `SIGNED` of X.509): certificates, those of CAs, and the CSRs of CAs.
pub(crate) fn signed(tbs_der: &[u8], algorithm: SignatureAlgorithm, signer: &dyn Signer) -> Result<Vec<u8>, Error> {
    let signature = signer.sign(algorithm, tbs_der).map_err(Error::internal)?;
    Ok(assemble(tbs_der, algorithm, &signature))
}
