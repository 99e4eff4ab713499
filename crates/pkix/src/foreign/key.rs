//! What kind of key a SubjectPublicKeyInfo holds, in words.

use super::dotted;
use crate::algorithm::KeyAlgorithm;
use crate::asn1::{DerError, Reader, Tlv, oid, tag, unsigned_integer};
use crate::public_key::Spki;

/// Object identifiers of keys that are never made here.
const NAMED: [(&str, &str); 9] = [
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.10046.2.1", "DH"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.3.101.110", "X25519"),
    ("1.3.101.111", "X448"),
    ("1.3.101.113", "Ed448"),
    ("1.2.643.2.2.19", "GOST R 34.10-2001"),
    ("1.2.643.7.1.1.1.1", "GOST R 34.10-2012"),
    ("1.3.14.3.2.12", "DSA"),
];

/// The algorithm, if the key has exactly the form of one that is used here, and its name.
pub(super) fn described(spki: Tlv<'_>) -> Result<(Option<KeyAlgorithm>, String), DerError> {
    let algorithm = Spki::read(spki.raw).ok().and_then(|spki| spki.algorithm().ok());
    if let Some(algorithm) = algorithm {
        return Ok((Some(algorithm), name(algorithm).to_owned()));
    }
    let mut parts = spki.reader();
    let mut identifier = parts.sequence("something other than a key algorithm")?;
    let kind = identifier.expect(tag::OID, "something other than a key algorithm")?;
    let key = parts.expect(tag::BIT_STRING, "something other than key bits")?;
    let text = match kind.content {
        oid::RSA => match modulus_bits(key.content) {
            Some(bits) => format!("RSA {bits}"),
            None => "RSA".to_owned(),
        },
        oid::EC => match identifier.optional(tag::OID)? {
            Some(curve) => format!("EC {}", curve_name(curve.content)),
            None => "EC".to_owned(),
        },
        other => {
            let dotted = dotted(other);
            NAMED.iter().find(|(oid, _)| *oid == dotted).map_or(dotted, |(_, name)| (*name).to_owned())
        }
    };
    Ok((None, text))
}

const fn name(algorithm: KeyAlgorithm) -> &'static str {
    match algorithm {
        KeyAlgorithm::Rsa2048 => "RSA 2048",
        KeyAlgorithm::Rsa3072 => "RSA 3072",
        KeyAlgorithm::Rsa4096 => "RSA 4096",
        KeyAlgorithm::EcP256 => "EC P-256",
        KeyAlgorithm::EcP384 => "EC P-384",
        KeyAlgorithm::EcP521 => "EC P-521",
        other => other.as_str(),
    }
}

/// A known curve in an unusual form, such as a compressed point, is still that curve.
fn curve_name(curve: &[u8]) -> String {
    match curve {
        oid::P256 => "P-256".to_owned(),
        oid::P384 => "P-384".to_owned(),
        oid::P521 => "P-521".to_owned(),
        other => dotted(other),
    }
}

/// Bits of the modulus of an RSAPublicKey that stands in these BIT STRING contents.
fn modulus_bits(content: &[u8]) -> Option<usize> {
    let [0, key @ ..] = content else { return None };
    let mut parts = Reader::new(key).sequence("something other than an RSA key").ok()?;
    let modulus = parts.expect(tag::INTEGER, "something other than an RSA modulus").ok()?;
    let magnitude = unsigned_integer(modulus).ok()?;
    let top = magnitude.first()?;
    Some(magnitude.len() * 8 - top.leading_zeros() as usize)
}
