//! Private keys from files that other programs wrote: PKCS#8, plain or behind a password, and the two older forms.

use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, OctetStringRef};
use der::{Decode as _, Encode as _, Reader as _, SliceReader};
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use spki::AlgorithmIdentifier;
use zeroize::Zeroizing;

use crate::private_key::{PrivateKey, PrivateKeyError};

/// Text of a key file; far above any key of a supported kind.
const PEM_BYTES_MAX: usize = 64 * 1024;
/// Deriving a key from a password may cost this much, or a file could hold up the server.
const ITERATIONS_MAX: u32 = 10_000_000;
const SCRYPT_BYTES_MAX: u64 = 256 * 1024 * 1024;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

impl PrivateKey {
    /// Reads the one private key of a PEM text: `PRIVATE KEY` (RFC 5208 §5), `ENCRYPTED PRIVATE KEY` (RFC 5208 §6 with
    /// PBES2, RFC 8018 §6.2), `RSA PRIVATE KEY` (RFC 8017 §A.1.2) or `EC PRIVATE KEY` (RFC 5915 §3). A password for a key
    /// that needs none is ignored.
    ///
    /// # Errors
    /// [`PrivateKeyError::PasswordMissing`] and [`PrivateKeyError::WrongPassword`] for an encrypted key;
    /// [`PrivateKeyError::Malformed`] and [`PrivateKeyError::Unsupported`] for what is no key, or none of a supported kind.
    pub fn from_pem(pem: &str, password: Option<&str>) -> Result<Self, PrivateKeyError> {
        if pem.len() > PEM_BYTES_MAX {
            return Err(PrivateKeyError::Malformed("the text is longer than 64 KiB"));
        }
        let (label, der) = only_key(pem)?;
        match label {
            "PRIVATE KEY" => Self::from_pkcs8_der(&der),
            "RSA PRIVATE KEY" => Self::from_pkcs1(&der),
            "EC PRIVATE KEY" => Self::from_sec1(&der),
            _ => Self::from_encrypted(&der, password),
        }
    }

    /// The same in DER, whichever of the four forms it is.
    pub fn from_any_der(der: &[u8], password: Option<&str>) -> Result<Self, PrivateKeyError> {
        if EncryptedPrivateKeyInfoRef::from_der(der).is_ok() {
            return Self::from_encrypted(der, password);
        }
        let first = Self::from_pkcs8_der(der);
        match first {
            Err(PrivateKeyError::Malformed(_)) => Self::from_sec1(der).or_else(|_| Self::from_pkcs1(der)).or(first),
            other => other,
        }
    }

    fn from_encrypted(der: &[u8], password: Option<&str>) -> Result<Self, PrivateKeyError> {
        let malformed = |_| PrivateKeyError::Malformed("it is not an EncryptedPrivateKeyInfo in DER");
        let encrypted = EncryptedPrivateKeyInfoRef::from_der(der).map_err(malformed)?;
        let EncryptionScheme::Pbes2(parameters) = &encrypted.encryption_algorithm else {
            return Err(PrivateKeyError::Encryption("an old scheme; convert it with: openssl pkcs8 -topk8 -v2 aes256"));
        };
        let affordable = match &parameters.kdf {
            Kdf::Pbkdf2(it) => it.iteration_count <= ITERATIONS_MAX,
            Kdf::Scrypt(it) => {
                let memory = it.cost_parameter.saturating_mul(u64::from(it.block_size)).saturating_mul(128);
                memory.saturating_mul(u64::from(it.parallelization)) <= SCRYPT_BYTES_MAX
            }
            _ => false,
        };
        if !affordable {
            return Err(PrivateKeyError::Encryption("its password derivation costs more than is allowed"));
        }
        let password = password.filter(|it| !it.is_empty()).ok_or(PrivateKeyError::PasswordMissing)?;
        // A wrong password shows as bad padding, or as contents that are no key.
        let plain = encrypted.decrypt(password).map_err(|_| PrivateKeyError::WrongPassword)?;
        match Self::from_pkcs8_der(plain.as_bytes()) {
            Err(PrivateKeyError::Malformed(_)) => Err(PrivateKeyError::WrongPassword),
            other => other,
        }
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, PrivateKeyError> {
        Self::from_pkcs8_der(&wrapped(RSA_ENCRYPTION, AnyRef::NULL, der)?)
    }

    fn from_sec1(der: &[u8]) -> Result<Self, PrivateKeyError> {
        let curve =
            sec1_curve(der).ok_or(PrivateKeyError::Malformed("it is not an ECPrivateKey with a named curve"))?;
        Self::from_pkcs8_der(&wrapped(EC_PUBLIC_KEY, AnyRef::from(&curve), der)?)
    }
}

/// An older form as the contents of PKCS#8.
fn wrapped(oid: ObjectIdentifier, parameters: AnyRef<'_>, key: &[u8]) -> Result<Zeroizing<Vec<u8>>, PrivateKeyError> {
    let failed = |_| PrivateKeyError::Malformed("it cannot be written as PKCS#8");
    let algorithm = AlgorithmIdentifier { oid, parameters: Some(parameters) }.to_der().map_err(failed)?;
    let octets = OctetStringRef::new(key).and_then(|octets| octets.to_der()).map(Zeroizing::new).map_err(failed)?;
    let mut contents = Zeroizing::new(vec![0x02, 0x01, 0x00]);
    contents.extend_from_slice(&algorithm);
    contents.extend_from_slice(&octets);
    let whole = AnyRef::new(der::Tag::Sequence, &contents).and_then(|any| any.to_der());
    whole.map(Zeroizing::new).map_err(failed)
}

/// The curve that an ECPrivateKey names, else the one whose keys are this long.
fn sec1_curve(der: &[u8]) -> Option<ObjectIdentifier> {
    let mut outer = SliceReader::new(der).ok()?;
    outer
        .sequence(|reader: &mut SliceReader<'_>| -> Result<Option<ObjectIdentifier>, der::Error> {
            let version = reader.decode::<u8>()?;
            let length = reader.decode::<&OctetStringRef>()?.as_bytes().len();
            let named = reader.context_specific::<ObjectIdentifier>(der::TagNumber(0), der::TagMode::Explicit)?;
            reader.context_specific::<der::asn1::BitStringRef<'_>>(der::TagNumber(1), der::TagMode::Explicit)?;
            let by_length = match length {
                32 => Some("1.2.840.10045.3.1.7"),
                48 => Some("1.3.132.0.34"),
                66 => Some("1.3.132.0.35"),
                _ => None,
            };
            let curve = named.or_else(|| by_length.and_then(|text| ObjectIdentifier::new(text).ok()));
            Ok(curve.filter(|_| version == 1))
        })
        .ok()
        .flatten()
}

/// Label and contents of the only private key in the text. Other blocks, such as `EC PARAMETERS`, are passed over.
fn only_key(pem: &str) -> Result<(&'static str, Zeroizing<Vec<u8>>), PrivateKeyError> {
    const LABELS: [&str; 4] = ["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
    let mut found = None;
    for label in LABELS {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let mut rest = pem;
        while let Some((_, after)) = rest.split_once(begin.as_str()) {
            let closed = after.split_once(end.as_str());
            let (body, next) = closed.ok_or(PrivateKeyError::Malformed("a PEM block has no end"))?;
            if found.replace((label, body)).is_some() {
                return Err(PrivateKeyError::Malformed("there is more than one private key; give one"));
            }
            rest = next;
        }
    }
    let (label, body) = found.ok_or(PrivateKeyError::Malformed("there is no PEM block of a private key"))?;
    if body.contains("Proc-Type:") {
        return Err(PrivateKeyError::Encryption("the form from before PKCS#8; convert it with: openssl pkcs8 -topk8"));
    }
    let digits: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, digits.as_bytes());
    der.map(|der| (label, Zeroizing::new(der))).map_err(|_| PrivateKeyError::Malformed("a PEM block is not base64"))
}
