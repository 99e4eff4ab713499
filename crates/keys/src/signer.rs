//! What can sign. A trait, because a key may live in this process or behind PKCS#11.

use chancery_model::ErrorKind;
use chancery_pkix::{KeyAlgorithm, PublicKey, SignatureAlgorithm};

/// Something that holds a private key and signs with it. Signing costs CPU (0.02 ms to 5 ms for software keys), so it
/// is called off the async threads where it matters.
pub trait Signer: Send + Sync {
    fn public_key(&self) -> &PublicKey;

    /// Signs `message` (hashed inside where the algorithm asks for it). The answer is what a certificate's
    /// `signatureValue` holds: ECDSA as the DER `Ecdsa-Sig-Value` (RFC 5480 §2.2.1), all others as they are.
    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("a {} key cannot make a {} signature", key.as_str(), signature.as_str())]
    Unfit { key: KeyAlgorithm, signature: SignatureAlgorithm },
    #[error("the cryptographic library refused to sign with this {} key", key.as_str())]
    Failed { key: KeyAlgorithm },
}

impl SignError {
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unfit { .. } => ErrorKind::Malformed,
            Self::Failed { .. } => ErrorKind::Internal,
        }
    }
}
