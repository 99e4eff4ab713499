//! A private key held by this process.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, PqdsaKeyPair, PqdsaSigningAlgorithm,
    RsaEncoding, RsaKeyPair,
};
use chancery_model::ErrorKind;
use chancery_pkix::{KeyAlgorithm, KeyFamily, PublicKey, SignatureAlgorithm};
use der::asn1::AnyRef;
use der::{Decode as _, Header, Reader as _, SliceReader, Tag};
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::signer::{SignError, Signer};

/// Larger than any key of the supported kinds; checked before parsing.
const PKCS8_BYTES_MAX: usize = 16 * 1024;

/// A software key: RSA, ECDSA, Ed25519 or ML-DSA, with its public half and its PKCS#8 form.
///
/// It has no `Debug`, `Display`, `Clone` or `Serialize`; share it as `Arc<PrivateKey>`.
pub struct PrivateKey {
    pair: Pair,
    public_key: PublicKey,
    pkcs8: Zeroizing<Vec<u8>>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair, &'static digest::Algorithm),
    Ed25519(Ed25519KeyPair),
    MlDsa(PqdsaKeyPair),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    #[error("the key is not one PKCS#8 PrivateKeyInfo in DER: {0}")]
    Malformed(&'static str),
    #[error("the key's algorithm or size is not supported")]
    Unsupported,
    #[error("the key is not acceptable: {0}")]
    Unacceptable(#[from] chancery_pkix::KeyError),
    #[error("the key is encrypted; give its password")]
    PasswordMissing,
    #[error("the password does not open the key")]
    WrongPassword,
    #[error("the key is encrypted in a way that is not supported: {0}")]
    Encryption(&'static str),
    #[error("the cryptographic library could not make or use the key")]
    Failed,
}

impl PrivateKeyError {
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed(_)
            | Self::Unsupported
            | Self::Unacceptable(_)
            | Self::PasswordMissing
            | Self::WrongPassword
            | Self::Encryption(_) => ErrorKind::Malformed,
            Self::Failed => ErrorKind::Internal,
        }
    }
}

impl PrivateKey {
    /// Makes a new key. RSA takes from 0.1 s to several seconds of CPU: use [`crate::KeyPool`] on async threads.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, PrivateKeyError> {
        Self::from_pair(Pair::generate(algorithm)?)
    }

    /// Reads an unencrypted PKCS#8 `PrivateKeyInfo` or `OneAsymmetricKey` (RFC 5208 §5, RFC 5958 §2) in DER, at most
    /// 16 KiB, without anything after it. The public half must be acceptable for a certificate.
    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, PrivateKeyError> {
        let algorithm = pkcs8_algorithm(pkcs8)?;
        Self::from_pair(Pair::from_pkcs8(algorithm, pkcs8)?)
    }

    fn from_pair(pair: Pair) -> Result<Self, PrivateKeyError> {
        let public_key = PublicKey::from_spki_der(&pair.spki()?)?;
        let pkcs8 = pair.pkcs8()?;
        Ok(Self { pair, public_key, pkcs8 })
    }

    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.public_key.algorithm()
    }

    /// PKCS#8 version 1 (RFC 5208 §5), ML-DSA in its seed form (RFC 9881 §6).
    #[must_use]
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.clone()
    }

    /// The same as a `PRIVATE KEY` block of 64 columns (RFC 7468 §10).
    #[must_use]
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        #[expect(clippy::expect_used, reason = "the label is a constant and the input is bounded")]
        let pem = pem_rfc7468::encode_string("PRIVATE KEY", pem_rfc7468::LineEnding::LF, &self.pkcs8)
            .expect("because a constant label and 16 KiB at most always encode");
        Zeroizing::new(pem)
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let key = self.algorithm();
        if !algorithm.fits(key) {
            return Err(SignError::Unfit { key, signature: algorithm });
        }
        self.pair.sign(algorithm, message).ok_or(SignError::Failed { key })
    }
}

impl Pair {
    fn generate(algorithm: KeyAlgorithm) -> Result<Self, PrivateKeyError> {
        let failed = |_| PrivateKeyError::Failed;
        Ok(match algorithm.family() {
            KeyFamily::Rsa => Self::Rsa(RsaKeyPair::generate(rsa_size(algorithm)?).map_err(failed)?),
            KeyFamily::Ecdsa => {
                let (curve, digest) = curve(algorithm)?;
                Self::Ecdsa(EcdsaKeyPair::generate(curve).map_err(failed)?, digest)
            }
            KeyFamily::Ed25519 => Self::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            KeyFamily::MlDsa => Self::MlDsa(PqdsaKeyPair::generate(parameter_set(algorithm)?).map_err(failed)?),
        })
    }

    fn from_pkcs8(algorithm: Pkcs8Algorithm, pkcs8: &[u8]) -> Result<Self, PrivateKeyError> {
        let rejected = |_| PrivateKeyError::Malformed("its values are not a key pair of a supported size");
        Ok(match algorithm {
            Pkcs8Algorithm::Rsa => Self::Rsa(RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?),
            Pkcs8Algorithm::Other(algorithm) => match algorithm.family() {
                KeyFamily::Ecdsa => {
                    let (curve, digest) = curve(algorithm)?;
                    Self::Ecdsa(EcdsaKeyPair::from_pkcs8(curve, pkcs8).map_err(rejected)?, digest)
                }
                KeyFamily::MlDsa => {
                    Self::MlDsa(PqdsaKeyPair::from_pkcs8(parameter_set(algorithm)?, pkcs8).map_err(rejected)?)
                }
                KeyFamily::Ed25519 => Self::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8).map_err(rejected)?),
                KeyFamily::Rsa => Self::Rsa(RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?),
            },
        })
    }

    fn spki(&self) -> Result<Vec<u8>, PrivateKeyError> {
        let der = match self {
            Self::Rsa(pair) => pair.public_key().as_der(),
            Self::Ecdsa(pair, _) => pair.public_key().as_der(),
            Self::Ed25519(pair) => pair.public_key().as_der(),
            Self::MlDsa(pair) => pair.public_key().as_der(),
        };
        der.map(|der| der.as_ref().to_vec()).map_err(|_| PrivateKeyError::Failed)
    }

    /// ML-DSA keys that came without their seed cannot be written back and are refused with the rest.
    fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, PrivateKeyError> {
        let copied = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        match self {
            Self::Rsa(pair) => pair.as_der().map(|der| copied(der.as_ref())).map_err(|_| PrivateKeyError::Failed),
            Self::Ecdsa(pair, _) => {
                pair.to_pkcs8v1().map(|der| copied(der.as_ref())).map_err(|_| PrivateKeyError::Failed)
            }
            Self::Ed25519(pair) => {
                pair.to_pkcs8v1().map(|der| copied(der.as_ref())).map_err(|_| PrivateKeyError::Failed)
            }
            Self::MlDsa(pair) => pair
                .to_pkcs8v1()
                .map(|der| copied(der.as_ref()))
                .map_err(|_| PrivateKeyError::Malformed("an ML-DSA key needs its seed")),
        }
    }

    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_encoding(algorithm)?, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ecdsa(pair, native) => sign_ecdsa(pair, native, algorithm, message),
            Self::Ed25519(pair) => pair.try_sign(message).ok().map(|signature| signature.as_ref().to_vec()),
            Self::MlDsa(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                let length = pair.sign(message, &mut signature).ok()?;
                signature.truncate(length);
                Some(signature)
            }
        }
    }
}

/// FIPS 186-5 §6.4.1: only the leftmost bits of the digest, as many as the group order has, enter the signature, as an
/// integer. The library signs each curve with one digest; any other is brought to that length without changing the
/// integer: cut on the right where longer (P-256, P-384), zeros on the left where shorter.
fn sign_ecdsa(
    pair: &EcdsaKeyPair,
    native: &'static digest::Algorithm,
    algorithm: SignatureAlgorithm,
    message: &[u8],
) -> Option<Vec<u8>> {
    let asked = match algorithm {
        SignatureAlgorithm::EcdsaSha256 => &digest::SHA256,
        SignatureAlgorithm::EcdsaSha384 => &digest::SHA384,
        SignatureAlgorithm::EcdsaSha512 => &digest::SHA512,
        _ => return None,
    };
    let signature = if asked == native {
        pair.sign(&SystemRandom::new(), message).ok()?
    } else {
        let digest = digest::digest(asked, message);
        let length = native.output_len();
        let mut fitted = vec![0; length.saturating_sub(digest.as_ref().len())];
        fitted.extend(digest.as_ref().iter().take(length));
        pair.sign_digest(&Digest::import_less_safe(&fitted, native).ok()?).ok()?
    };
    Some(signature.as_ref().to_vec())
}

fn rsa_size(algorithm: KeyAlgorithm) -> Result<KeySize, PrivateKeyError> {
    match algorithm {
        KeyAlgorithm::Rsa2048 => Ok(KeySize::Rsa2048),
        KeyAlgorithm::Rsa3072 => Ok(KeySize::Rsa3072),
        KeyAlgorithm::Rsa4096 => Ok(KeySize::Rsa4096),
        _ => Err(PrivateKeyError::Unsupported),
    }
}

fn curve(
    algorithm: KeyAlgorithm,
) -> Result<(&'static EcdsaSigningAlgorithm, &'static digest::Algorithm), PrivateKeyError> {
    match algorithm {
        KeyAlgorithm::EcP256 => Ok((&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &digest::SHA256)),
        KeyAlgorithm::EcP384 => Ok((&signature::ECDSA_P384_SHA384_ASN1_SIGNING, &digest::SHA384)),
        KeyAlgorithm::EcP521 => Ok((&signature::ECDSA_P521_SHA512_ASN1_SIGNING, &digest::SHA512)),
        _ => Err(PrivateKeyError::Unsupported),
    }
}

fn parameter_set(algorithm: KeyAlgorithm) -> Result<&'static PqdsaSigningAlgorithm, PrivateKeyError> {
    match algorithm {
        KeyAlgorithm::MlDsa44 => Ok(&signature::ML_DSA_44_SIGNING),
        KeyAlgorithm::MlDsa65 => Ok(&signature::ML_DSA_65_SIGNING),
        KeyAlgorithm::MlDsa87 => Ok(&signature::ML_DSA_87_SIGNING),
        _ => Err(PrivateKeyError::Unsupported),
    }
}

/// RSASSA-PSS here always has a salt as long as the hash (RFC 4055 §3.1), as `pkix` writes into the identifier.
fn rsa_encoding(algorithm: SignatureAlgorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        SignatureAlgorithm::RsaSha256 => &signature::RSA_PKCS1_SHA256,
        SignatureAlgorithm::RsaSha384 => &signature::RSA_PKCS1_SHA384,
        SignatureAlgorithm::RsaSha512 => &signature::RSA_PKCS1_SHA512,
        SignatureAlgorithm::RsaPssSha256 => &signature::RSA_PSS_SHA256,
        SignatureAlgorithm::RsaPssSha384 => &signature::RSA_PSS_SHA384,
        SignatureAlgorithm::RsaPssSha512 => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

/// An RSA key's size is not in its AlgorithmIdentifier; `pkix` judges it from the public half.
enum Pkcs8Algorithm {
    Rsa,
    Other(KeyAlgorithm),
}

/// Reads only the outer SEQUENCE, the version and the algorithm (RFC 5958 §2); the library reads the key itself.
fn pkcs8_algorithm(pkcs8: &[u8]) -> Result<Pkcs8Algorithm, PrivateKeyError> {
    if pkcs8.len() > PKCS8_BYTES_MAX {
        return Err(PrivateKeyError::Malformed("it is larger than 16 KiB"));
    }
    let identifier =
        read_identifier(pkcs8).map_err(|_| PrivateKeyError::Malformed("its outer structure is not DER"))?;
    named_algorithm(&identifier).ok_or(PrivateKeyError::Unsupported)
}

fn read_identifier(pkcs8: &[u8]) -> der::Result<AlgorithmIdentifierRef<'_>> {
    let mut reader = SliceReader::new(pkcs8)?;
    let header = Header::decode(&mut reader)?;
    header.tag().assert_eq(Tag::Sequence)?;
    if header.length() != reader.remaining_len() {
        return Err(der::ErrorKind::TrailingData { decoded: header.length(), remaining: reader.remaining_len() }.into());
    }
    u8::decode(&mut reader)?;
    AlgorithmIdentifierRef::decode(&mut reader)
}

fn named_algorithm(identifier: &AlgorithmIdentifierRef<'_>) -> Option<Pkcs8Algorithm> {
    use const_oid::db::{fips204, rfc5912, rfc8410};
    let bare = |algorithm| identifier.parameters.is_none().then_some(Pkcs8Algorithm::Other(algorithm));
    match identifier.oid {
        rfc5912::RSA_ENCRYPTION => (identifier.parameters == Some(AnyRef::NULL)).then_some(Pkcs8Algorithm::Rsa),
        rfc5912::ID_EC_PUBLIC_KEY => {
            let curve = match identifier.parameters_oid().ok()? {
                rfc5912::SECP_256_R_1 => KeyAlgorithm::EcP256,
                rfc5912::SECP_384_R_1 => KeyAlgorithm::EcP384,
                rfc5912::SECP_521_R_1 => KeyAlgorithm::EcP521,
                _ => return None,
            };
            Some(Pkcs8Algorithm::Other(curve))
        }
        rfc8410::ID_ED_25519 => bare(KeyAlgorithm::Ed25519),
        fips204::ID_ML_DSA_44 => bare(KeyAlgorithm::MlDsa44),
        fips204::ID_ML_DSA_65 => bare(KeyAlgorithm::MlDsa65),
        fips204::ID_ML_DSA_87 => bare(KeyAlgorithm::MlDsa87),
        _ => None,
    }
}
