//! How much work a PKCS#12 file asks for, found without its password. A file of a few octets may ask for years.

use super::Pkcs12Error;
use crate::asn1::{DerError, Reader, oid, tag, unsigned_integer};

/// Rounds of one key derivation. OpenSSL writes 2 048, Java 10 000, this product 100 000.
const ROUNDS_MAX: u64 = 1_000_000;
/// Rounds of all derivations that can be seen from outside.
const ROUNDS_SUM_MAX: u64 = 10_000_000;
/// `128 * N * r` of scrypt, in octets.
const SCRYPT_MEMORY_MAX: u64 = 128 * 1024 * 1024;

impl From<DerError> for Pkcs12Error {
    fn from(error: DerError) -> Self {
        let message =
            format!("The file is not PKCS#12 in DER: there is {error}; export it again, for example with openssl");
        Self::new("pkcs12.encoding", message)
    }
}

/// Refuses files without a MAC, files that ask for too much, and files of another shape. Bags inside of encrypted
/// contents are not seen.
pub(super) fn check(der: &[u8]) -> Result<(), Pkcs12Error> {
    let mut outer = Reader::new(der);
    let mut pfx = outer.sequence("something other than a PFX")?;
    outer.finish()?;
    let version = pfx.expect(tag::INTEGER, "something other than a version")?;
    if version.content != [3] {
        return Err(Pkcs12Error::new("pkcs12.version", "The file is of another version of PKCS#12 than 3"));
    }
    let (kind, content) = content_info(&mut pfx)?;
    if kind != oid::PKCS7_DATA {
        let message = "The file is protected by a signature instead of a password, which is not supported";
        return Err(Pkcs12Error::new("pkcs12.unsupported", message));
    }
    let safes = octets(content)?;
    let Some(mac) = pfx.optional(tag::SEQUENCE)? else {
        let message =
            "The file has no MAC, so that nobody can tell whether it was changed; export it again with a password";
        return Err(Pkcs12Error::new("pkcs12.mac", message));
    };
    pfx.finish()?;
    let mut budget = Budget { sum: 0 };
    budget.spend(mac_rounds(mac.reader())?)?;
    let mut list = Reader::new(safes).sequence("something other than contents")?;
    while !list.is_empty() {
        budget.safe(&mut list)?;
    }
    Ok(())
}

/// Type and explicit contents of a ContentInfo (RFC 5652 §3).
fn content_info<'a>(from: &mut Reader<'a>) -> Result<(&'a [u8], Reader<'a>), DerError> {
    let mut parts = from.sequence("something other than contents")?;
    let kind = parts.expect(tag::OID, "contents without a type")?;
    let content = parts.expect(0xa0, "contents that are missing")?;
    parts.finish()?;
    Ok((kind.content, content.reader()))
}

fn octets(mut explicit: Reader<'_>) -> Result<&[u8], DerError> {
    let value = explicit.expect(tag::OCTET_STRING, "something other than octets")?;
    explicit.finish()?;
    Ok(value.content)
}

/// MacData (RFC 7292 §4): one round where nothing is said.
fn mac_rounds(mut mac: Reader<'_>) -> Result<u64, DerError> {
    mac.sequence("something other than a MAC")?;
    mac.expect(tag::OCTET_STRING, "something other than a salt")?;
    let rounds = if mac.is_empty() { 1 } else { number(&mut mac)? };
    mac.finish()?;
    Ok(rounds)
}

/// A non-negative INTEGER; what does not fit is as much as can be.
fn number(from: &mut Reader<'_>) -> Result<u64, DerError> {
    let magnitude = unsigned_integer(from.expect(tag::INTEGER, "something other than a number of rounds")?)?;
    let octets = magnitude.iter().fold(0u64, |sum, octet| (sum << 8) | u64::from(*octet));
    Ok(if magnitude.len() > 8 { u64::MAX } else { octets })
}

struct Budget {
    sum: u64,
}

impl Budget {
    fn spend(&mut self, rounds: u64) -> Result<(), Pkcs12Error> {
        self.sum = self.sum.saturating_add(rounds);
        if rounds > ROUNDS_MAX || self.sum > ROUNDS_SUM_MAX {
            let message = "The file asks for more than a million rounds of key derivation, or ten million in all; export \
                           it again with fewer";
            return Err(Pkcs12Error::new("pkcs12.iterations", message));
        }
        Ok(())
    }

    /// One of the contents of the AuthenticatedSafe (RFC 7292 §4.1).
    fn safe(&mut self, list: &mut Reader<'_>) -> Result<(), Pkcs12Error> {
        let (kind, mut content) = content_info(list)?;
        match kind {
            oid::PKCS7_DATA => {
                let mut bags = Reader::new(octets(content)?).sequence("something other than bags")?;
                while !bags.is_empty() {
                    self.bag(bags.sequence("something other than a bag")?)?;
                }
                Ok(())
            }
            oid::ENCRYPTED_DATA => {
                let mut encrypted = content.sequence("something other than encrypted contents")?;
                encrypted.expect(tag::INTEGER, "something other than a version")?;
                let mut info = encrypted.sequence("something other than encrypted contents")?;
                info.expect(tag::OID, "encrypted contents without a type")?;
                self.encryption(info.sequence("something other than an encryption")?)
            }
            _ => Err(unsupported()),
        }
    }

    fn bag(&mut self, mut bag: Reader<'_>) -> Result<(), Pkcs12Error> {
        let kind = bag.expect(tag::OID, "a bag without a type")?;
        let mut value = bag.expect(0xa0, "a bag without contents")?.reader();
        match kind.content {
            oid::SHROUDED_KEY_BAG => {
                let mut key = value.sequence("something other than an encrypted key")?;
                self.encryption(key.sequence("something other than an encryption")?)
            }
            oid::SECRET_BAG => {
                let message = "The file holds a secret that belongs to no certificate; export it again without that";
                Err(Pkcs12Error::new("pkcs12.unsupported", message))
            }
            _ => Ok(()),
        }
    }

    /// The contents of an AlgorithmIdentifier of password-based encryption (RFC 8018 §6, RFC 7292 §C).
    fn encryption(&mut self, mut identifier: Reader<'_>) -> Result<(), Pkcs12Error> {
        let kind = identifier.expect(tag::OID, "something other than an encryption")?;
        let mut parameters = identifier.sequence("an encryption without parameters")?;
        match kind.content {
            oid::PBE_SHA1_3DES | oid::PBE_SHA1_RC2_40 => {
                parameters.expect(tag::OCTET_STRING, "something other than a salt")?;
                self.spend(number(&mut parameters)?)
            }
            oid::PBES2 => self.derivation(parameters.sequence("something other than a key derivation")?),
            _ => Err(unsupported()),
        }
    }

    fn derivation(&mut self, mut identifier: Reader<'_>) -> Result<(), Pkcs12Error> {
        let kind = identifier.expect(tag::OID, "something other than a key derivation")?;
        let mut parameters = identifier.sequence("a key derivation without parameters")?;
        parameters.expect(tag::OCTET_STRING, "something other than a salt")?;
        let cost = number(&mut parameters)?;
        match kind.content {
            oid::PBKDF2 => self.spend(cost),
            oid::SCRYPT => {
                let (block, parallel) = (number(&mut parameters)?, number(&mut parameters)?);
                let memory = cost.saturating_mul(block).saturating_mul(128);
                if memory > SCRYPT_MEMORY_MAX {
                    return Err(Pkcs12Error::new("pkcs12.iterations", "The file asks for more than 128 MiB of memory"));
                }
                self.spend(cost.saturating_mul(block).saturating_mul(parallel))
            }
            _ => Err(unsupported()),
        }
    }
}

fn unsupported() -> Pkcs12Error {
    let message = "The file is encrypted in a way that is not supported; export it again with AES-256 and PBKDF2";
    Pkcs12Error::new("pkcs12.unsupported", message)
}
