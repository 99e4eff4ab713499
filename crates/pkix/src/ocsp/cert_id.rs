//! CertID (RFC 6960 §4.1.1): which certificate is asked about, by hashes of its issuer's name and key.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use const_oid::ObjectIdentifier;

use crate::asn1::{DerError, Tlv, Writer, oid, tag};
use crate::public_key::PublicKey;

/// How a [`CertId`] hashes its issuer. SHA-1 is what most clients send; here it names and protects nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    /// Understood well enough to answer `unknown`.
    Unknown(ObjectIdentifier),
}

impl HashAlgorithm {
    const KNOWN: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    fn from_oid(content: &[u8], offset: usize) -> Result<Self, DerError> {
        match content {
            oid::SHA1 => Ok(Self::Sha1),
            oid::SHA256 => Ok(Self::Sha256),
            oid::SHA384 => Ok(Self::Sha384),
            oid::SHA512 => Ok(Self::Sha512),
            other => oid::to_identifier(other, offset).map(Self::Unknown),
        }
    }

    fn oid(&self) -> &[u8] {
        match self {
            Self::Sha1 => oid::SHA1,
            Self::Sha256 => oid::SHA256,
            Self::Sha384 => oid::SHA384,
            Self::Sha512 => oid::SHA512,
            Self::Unknown(other) => other.as_bytes(),
        }
    }

    fn digest(self, octets: &[u8]) -> Option<Vec<u8>> {
        let algorithm: &Algorithm = match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
            Self::Unknown(_) => return None,
        };
        Some(digest(algorithm, octets).as_ref().to_vec())
    }
}

/// One certificate that is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertId {
    pub hash: HashAlgorithm,
    pub issuer_name_hash: Vec<u8>,
    pub issuer_key_hash: Vec<u8>,
    /// Content octets of the serial number.
    pub serial: Vec<u8>,
    /// The whole CertID as it stands in the request: an answer repeats it byte for byte, because clients compare
    /// bytes and differ on whether the hash has NULL parameters.
    pub der: Vec<u8>,
}

impl CertId {
    /// The question about a certificate of this issuer, `None` for an unknown hash. `serial` holds content octets.
    pub fn of(hash: HashAlgorithm, issuer_subject_der: &[u8], issuer_key: &PublicKey, serial: &[u8]) -> Option<Self> {
        let issuer_name_hash = hash.digest(issuer_subject_der)?;
        let issuer_key_hash = hash.digest(issuer_key.key_bytes())?;
        let mut w = Writer::with_capacity(192);
        w.nested(tag::SEQUENCE, |w| {
            w.nested(tag::SEQUENCE, |w| {
                w.oid_bytes(hash.oid());
                w.primitive(tag::NULL, &[]);
            });
            w.primitive(tag::OCTET_STRING, &issuer_name_hash);
            w.primitive(tag::OCTET_STRING, &issuer_key_hash);
            w.primitive(tag::INTEGER, serial);
        });
        Some(Self { hash, issuer_name_hash, issuer_key_hash, serial: serial.to_vec(), der: w.into_bytes() })
    }

    pub(super) fn read(whole: Tlv<'_>) -> Result<Self, DerError> {
        /// Far above any serial number (RFC 5280 §4.1.2.2 allows 20 octets).
        const SERIAL_OCTETS_MAX: usize = 64;
        let mut parts = whole.reader();
        let mut algorithm = parts.sequence("something other than a hash algorithm")?;
        let hash = algorithm.expect(tag::OID, "something other than a hash algorithm")?;
        let known = HashAlgorithm::from_oid(hash.content, hash.offset)?;
        if !algorithm.is_empty() {
            let parameters = algorithm.any()?;
            // RFC 5754 §2: NULL or absent. Anything else would be another way to ask the same, and ways without number.
            let is_null = parameters.tag == tag::NULL && parameters.content.is_empty();
            if !is_null && !matches!(known, HashAlgorithm::Unknown(_)) {
                return Err(parameters.error("parameters of a hash algorithm that has none"));
            }
        }
        algorithm.finish()?;
        let name = parts.expect(tag::OCTET_STRING, "something other than a hash of the issuer's name")?;
        let key = parts.expect(tag::OCTET_STRING, "something other than a hash of the issuer's key")?;
        let serial = parts.expect(tag::INTEGER, "something other than a serial number")?;
        parts.finish()?;
        if serial.content.is_empty() || serial.content.len() > SERIAL_OCTETS_MAX {
            return Err(serial.error("a serial number that is empty or longer than 64 octets"));
        }
        Ok(Self {
            hash: known,
            issuer_name_hash: name.content.to_vec(),
            issuer_key_hash: key.content.to_vec(),
            serial: serial.content.to_vec(),
            der: whole.raw.to_vec(),
        })
    }

    /// Whether the issuer has this name and key. `issuer_key_bits` are those of [`PublicKey::key_bytes`]. Asking often
    /// about the same issuer is faster with [`IssuerHashes`].
    pub fn is_of(&self, issuer_subject_der: &[u8], issuer_key_bits: &[u8]) -> bool {
        self.hash.digest(issuer_subject_der).is_some_and(|hash| hash == self.issuer_name_hash)
            && self.hash.digest(issuer_key_bits).is_some_and(|hash| hash == self.issuer_key_hash)
    }
}

/// The hashes of one issuer's name and key, worked out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerHashes {
    /// Name and key, in the order of the known algorithms.
    pairs: [(HashAlgorithm, Vec<u8>, Vec<u8>); 4],
}

impl IssuerHashes {
    pub fn of(issuer_subject_der: &[u8], issuer_key: &PublicKey) -> Self {
        let pairs = HashAlgorithm::KNOWN.map(|hash| {
            let of = |octets: &[u8]| hash.digest(octets).unwrap_or_default();
            (hash, of(issuer_subject_der), of(issuer_key.key_bytes()))
        });
        Self { pairs }
    }

    /// Whether the question is about a certificate of this issuer.
    pub fn matches(&self, id: &CertId) -> bool {
        self.pairs
            .iter()
            .any(|(hash, name, key)| *hash == id.hash && *name == id.issuer_name_hash && *key == id.issuer_key_hash)
    }

    /// SHA-1 of the key bits: the responder id of an issuer that answers by itself (RFC 6960 §4.2.1).
    pub fn key_sha1(&self) -> [u8; 20] {
        let [(_, _, key), ..] = &self.pairs;
        let mut out = [0; 20];
        out.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        out
    }
}
