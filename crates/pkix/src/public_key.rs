//! Public keys: what a SubjectPublicKeyInfo may hold (RFC 5280 §4.1.2.7) and the checking of signatures with it.
//! A value of type [`PublicKey`] is a key of a known algorithm and size, free of the weaknesses that can be seen from
//! outside. Private keys are not known here.

mod rsa;
mod wide;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{self, ParsedPublicKey, UnparsedPublicKey, VerificationAlgorithm};

use crate::algorithm::{KeyAlgorithm, KeyFamily, SignatureAlgorithm};
use crate::asn1::{DerError, Reader, canonical, oid, tag};

/// A key that is refused, with a stable code such as `key.size`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KeyError {
    pub code: &'static str,
    pub message: String,
}

impl KeyError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<DerError> for KeyError {
    fn from(error: DerError) -> Self {
        Self::new("key.encoding", format!("The public key is not valid DER: there is {error}"))
    }
}

/// A checked public key. Cloning is cheap but for the encoded bytes.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    spki: Box<[u8]>,
    /// Octets of the BIT STRING, without the unused-bit count, counted from the end of `spki`.
    key_length: usize,
    /// Parsed for the default signature of the algorithm; other signatures parse again.
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// Longer inputs hold no key of an allowed size: ML-DSA-87 needs 2 614 octets. Checked before anything else, so a
    /// giant RSA key costs nothing.
    const SPKI_MAX: usize = 16 * 1024;

    /// The key in strict DER. Refused are other algorithms and curves, parameters other than the standard's, RSA keys
    /// of other sizes than 2048, 3072 and 4096 bits or of recognisable weakness, and points that are compressed or not
    /// on their curve.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        if der.len() > Self::SPKI_MAX {
            return Err(size_refused());
        }
        canonical::check(der)?;
        let spki = Spki::read(der)?;
        let algorithm = spki.algorithm()?;
        if algorithm.family() == KeyFamily::Rsa {
            rsa::check_modulus(spki.key)?;
        }
        let parsed = ParsedPublicKey::new(verifier(algorithm.default_signature(), algorithm), der)
            .map_err(|_| unusable(algorithm))?;
        Ok(Self { algorithm, spki: der.into(), key_length: spki.key.len(), parsed })
    }

    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The contents of the BIT STRING: an RSAPublicKey, an uncompressed point, or raw octets.
    pub fn key_bytes(&self) -> &[u8] {
        self.spki.get(self.spki.len().saturating_sub(self.key_length)..).unwrap_or_default()
    }

    /// RFC 7093 §2 method 1: the leftmost 160 bits of the SHA-256 of the key bits.
    pub fn key_id(&self) -> [u8; 20] {
        let hash = sha256(self.key_bytes());
        let mut id = [0; 20];
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        id
    }

    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(&self.spki)
    }

    /// Whether `signature` over `message` was made by the private half with exactly this algorithm. RSA-PSS salts must
    /// be as long as the hash (RFC 4055 §3.1), ECDSA signatures DER (RFC 3279 §2.2.3), ML-DSA contexts empty
    /// (RFC 9881 §3).
    pub fn verify(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        if !algorithm.fits(self.algorithm) {
            return false;
        }
        if algorithm == self.algorithm.default_signature() {
            return self.parsed.verify_sig(message, signature).is_ok();
        }
        UnparsedPublicKey::new(verifier(algorithm, self.algorithm), &self.spki).verify(message, signature).is_ok()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({}, {})", self.algorithm, hex::encode(self.key_id()))
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// What verifies this signature with a key of this kind. The caller has checked that they fit: for ECDSA the curve
/// decides together with the hash.
fn verifier(signature: SignatureAlgorithm, key: KeyAlgorithm) -> &'static dyn VerificationAlgorithm {
    use SignatureAlgorithm as S;
    match (signature, key) {
        (S::RsaSha256, _) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (S::RsaSha384, _) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (S::RsaSha512, _) => &signature::RSA_PKCS1_2048_8192_SHA512,
        (S::RsaPssSha256, _) => &signature::RSA_PSS_2048_8192_SHA256,
        (S::RsaPssSha384, _) => &signature::RSA_PSS_2048_8192_SHA384,
        (S::RsaPssSha512, _) => &signature::RSA_PSS_2048_8192_SHA512,
        (S::EcdsaSha256, KeyAlgorithm::EcP384) => &signature::ECDSA_P384_SHA256_ASN1,
        (S::EcdsaSha384, KeyAlgorithm::EcP384) => &signature::ECDSA_P384_SHA384_ASN1,
        (S::EcdsaSha512, KeyAlgorithm::EcP384) => &signature::ECDSA_P384_SHA512_ASN1,
        (S::EcdsaSha256, KeyAlgorithm::EcP521) => &signature::ECDSA_P521_SHA256_ASN1,
        (S::EcdsaSha384, KeyAlgorithm::EcP521) => &signature::ECDSA_P521_SHA384_ASN1,
        (S::EcdsaSha512, KeyAlgorithm::EcP521) => &signature::ECDSA_P521_SHA512_ASN1,
        (S::EcdsaSha256, _) => &signature::ECDSA_P256_SHA256_ASN1,
        (S::EcdsaSha384, _) => &signature::ECDSA_P256_SHA384_ASN1,
        (S::EcdsaSha512, _) => &signature::ECDSA_P256_SHA512_ASN1,
        (S::Ed25519, _) => &signature::ED25519,
        (S::MlDsa44, _) => &signature::ML_DSA_44,
        (S::MlDsa65, _) => &signature::ML_DSA_65,
        (S::MlDsa87, _) => &signature::ML_DSA_87,
    }
}

fn size_refused() -> KeyError {
    KeyError::new("key.size", "RSA keys must have 2048, 3072 or 4096 bits")
}

fn unusable(algorithm: KeyAlgorithm) -> KeyError {
    match algorithm {
        KeyAlgorithm::EcP256 | KeyAlgorithm::EcP384 | KeyAlgorithm::EcP521 => {
            KeyError::new("key.point", "The public key is not a point on its curve")
        }
        _ => KeyError::new("key.encoding", "The public key is not a valid key of its algorithm"),
    }
}

/// The parts of a SubjectPublicKeyInfo, unjudged.
pub(crate) struct Spki<'a> {
    oid: &'a [u8],
    /// Everything after the OID inside the AlgorithmIdentifier.
    parameters: &'a [u8],
    key: &'a [u8],
}

impl<'a> Spki<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, DerError> {
        let mut outer = Reader::new(der);
        let mut spki = outer.sequence("something other than a public key")?;
        outer.finish()?;
        let identifier = spki.expect(tag::SEQUENCE, "something other than a key algorithm")?;
        let mut parts = identifier.reader();
        let oid = parts.expect(tag::OID, "something other than a key algorithm")?;
        let parameters = identifier.content.get(oid.raw.len()..).unwrap_or_default();
        let key = spki.octet_aligned_bits("something other than key bits")?;
        spki.finish()?;
        Ok(Self { oid: oid.content, parameters, key })
    }

    /// The algorithm, by OID, exact parameters and the form of the key bits; no mathematics.
    pub(crate) fn algorithm(&self) -> Result<KeyAlgorithm, KeyError> {
        let (algorithm, octets) = match (self.oid, self.parameters) {
            (oid::RSA, [tag::NULL, 0]) => return rsa::check_form(self.key),
            (oid::EC, [tag::OID, _, curve @ ..]) => return self.curve(curve),
            (oid::ED25519, []) => (KeyAlgorithm::Ed25519, 32),
            (oid::ML_DSA_44, []) => (KeyAlgorithm::MlDsa44, 1312),
            (oid::ML_DSA_65, []) => (KeyAlgorithm::MlDsa65, 1952),
            (oid::ML_DSA_87, []) => (KeyAlgorithm::MlDsa87, 2592),
            (oid::RSA | oid::ED25519 | oid::ML_DSA_44 | oid::ML_DSA_65 | oid::ML_DSA_87, _) => {
                return Err(KeyError::new("key.encoding", "The key algorithm has the wrong parameters"));
            }
            (oid::EC, _) => return Err(KeyError::new("key.algorithm", "An EC key must name its curve")),
            _ => return Err(unknown_algorithm()),
        };
        if self.key.len() != octets {
            return Err(KeyError::new("key.encoding", format!("An {algorithm} key has {octets} octets")));
        }
        Ok(algorithm)
    }

    fn curve(&self, curve: &[u8]) -> Result<KeyAlgorithm, KeyError> {
        let (algorithm, octets) = match curve {
            oid::P256 => (KeyAlgorithm::EcP256, 32),
            oid::P384 => (KeyAlgorithm::EcP384, 48),
            oid::P521 => (KeyAlgorithm::EcP521, 66),
            _ => return Err(KeyError::new("key.algorithm", "The curve must be P-256, P-384 or P-521")),
        };
        // RFC 5480 §2.2: compressed points are optional to support, hybrid ones forbidden.
        if self.key.first() != Some(&4) || self.key.len() != 1 + 2 * octets {
            return Err(KeyError::new("key.point", "The point of an EC key must be in uncompressed form"));
        }
        Ok(algorithm)
    }
}

fn unknown_algorithm() -> KeyError {
    let names: Vec<&str> = KeyAlgorithm::ALL.iter().map(|one| one.as_str()).collect();
    KeyError::new("key.algorithm", format!("The key algorithm is not supported; supported are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair, PqdsaKeyPair};

    use super::*;

    fn p256() -> (EcdsaKeyPair, Vec<u8>) {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki = pair.public_key().as_der().unwrap().as_ref().to_vec();
        (pair, spki)
    }

    fn code(spki: &[u8]) -> &'static str {
        PublicKey::from_spki_der(spki).unwrap_err().code
    }

    #[test]
    fn signatures_verify_only_with_their_key_algorithm_and_message() {
        let (pair, spki) = p256();
        let key = PublicKey::from_spki_der(&spki).unwrap();
        assert_eq!(key.algorithm(), KeyAlgorithm::EcP256);
        assert_eq!(key.key_bytes(), pair.public_key().as_ref());
        assert_eq!(key.key_id()[..], digest(&SHA256, pair.public_key().as_ref()).as_ref()[..20]);
        let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
        assert!(key.verify(SignatureAlgorithm::EcdsaSha256, b"message", signature.as_ref()));
        assert!(!key.verify(SignatureAlgorithm::EcdsaSha384, b"message", signature.as_ref()));
        assert!(!key.verify(SignatureAlgorithm::Ed25519, b"message", signature.as_ref()));
        assert!(!key.verify(SignatureAlgorithm::EcdsaSha256, b"massage", signature.as_ref()));
        let other = PublicKey::from_spki_der(&p256().1).unwrap();
        assert!(!other.verify(SignatureAlgorithm::EcdsaSha256, b"message", signature.as_ref()));
    }

    #[test]
    fn edwards_and_lattice_keys_are_read_and_verify() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = PublicKey::from_spki_der(pair.public_key().as_der().unwrap().as_ref()).unwrap();
        assert!(key.verify(SignatureAlgorithm::Ed25519, b"m", pair.sign(b"m").as_ref()));

        for (signing, algorithm) in [
            (&signature::ML_DSA_44_SIGNING, KeyAlgorithm::MlDsa44),
            (&signature::ML_DSA_65_SIGNING, KeyAlgorithm::MlDsa65),
            (&signature::ML_DSA_87_SIGNING, KeyAlgorithm::MlDsa87),
        ] {
            let pair = PqdsaKeyPair::generate(signing).unwrap();
            let spki = pair.public_key().as_der().unwrap().as_ref().to_vec();
            let key = PublicKey::from_spki_der(&spki).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            let mut signature = vec![0; signing.signature_len()];
            let length = pair.sign(b"m", &mut signature).unwrap();
            assert!(key.verify(algorithm.default_signature(), b"m", &signature[..length]));
            assert!(!key.verify(algorithm.default_signature(), b"n", &signature[..length]));
        }
    }

    #[test]
    fn points_must_be_uncompressed_and_on_the_curve() {
        let (_, good) = p256();
        let start = good.len() - 65;
        let with_point = |point: &[u8]| {
            let mut w = crate::asn1::Writer::new();
            w.nested(tag::SEQUENCE, |w| {
                w.nested(tag::SEQUENCE, |w| {
                    w.oid_bytes(oid::EC);
                    w.oid_bytes(oid::P256);
                });
                w.bit_string(point);
            });
            w.into_bytes()
        };
        assert_eq!(with_point(&good[start..]), good);
        let mut off_curve = good[start..].to_vec();
        off_curve[64] ^= 1;
        assert_eq!(code(&with_point(&off_curve)), "key.point");
        let mut beyond_p = vec![4];
        beyond_p.extend([0xff; 64]);
        assert_eq!(code(&with_point(&beyond_p)), "key.point");
        assert_eq!(code(&with_point(&[0])), "key.point");
        let parity = good[good.len() - 1] & 1;
        let compressed: Vec<u8> = [2 + parity].into_iter().chain(good[start + 1..start + 33].iter().copied()).collect();
        assert_eq!(code(&with_point(&compressed)), "key.point");
        let mut hybrid = good[start..].to_vec();
        hybrid[0] = 6 + parity;
        assert_eq!(code(&with_point(&hybrid)), "key.point");
        assert_eq!(code(&with_point(&good[start..good.len() - 1])), "key.point");
        assert_eq!(code(&with_point(&[&good[start..], &[0]].concat())), "key.point");
    }

    #[test]
    fn other_algorithms_parameters_and_trailing_data_are_refused() {
        let check = |parameters: &[&[u8]], key: &[u8], expected: &str| {
            let mut w = crate::asn1::Writer::new();
            w.nested(tag::SEQUENCE, |w| {
                w.nested(tag::SEQUENCE, |w| parameters.iter().for_each(|one| w.raw(one)));
                w.bit_string(key);
            });
            assert_eq!(code(&w.into_bytes()), expected, "{parameters:?}");
        };
        let encoded = |oid: &[u8]| [&[6, oid.len() as u8], oid].concat();
        let null: &[u8] = &[5, 0];
        check(&[&encoded(oid::ED25519), null], &[0; 32], "key.encoding");
        check(&[&encoded(oid::ED25519)], &[0; 31], "key.encoding");
        check(&[&encoded(oid::ML_DSA_44), null], &[0; 1312], "key.encoding");
        check(&[&encoded(oid::ML_DSA_44)], &[0; 1313], "key.encoding");
        check(&[&encoded(oid::RSA)], &[0; 270], "key.encoding");
        check(&[&encoded(oid::RSA_PSS), null], &[0; 270], "key.algorithm");
        check(&[&encoded(oid::EC), null], &[4; 65], "key.algorithm");
        // secp256k1 and Ed448
        check(&[&encoded(oid::EC), &[6, 5, 0x2b, 0x81, 4, 0, 10]], &[4; 65], "key.algorithm");
        check(&[&[6, 3, 0x2b, 101, 113]], &[0; 57], "key.algorithm");
        let (_, mut spki) = p256();
        spki.push(0);
        assert_eq!(code(&spki), "key.encoding");
        assert_eq!(code(&vec![0x30; 20_000]), "key.size");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets: Vec<u8>) {
            let _ = PublicKey::from_spki_der(&octets);
        }
    }
}
