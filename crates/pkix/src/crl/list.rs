//! Reading CRLs, one's own and those of CAs that come from elsewhere.

use std::ops::Range;

use super::IssuingDistributionPoint;
use super::parsed::{self, Entries, ParsedList, ParsedTbs, RevokedCertificate};
use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{DerError, Tlv, oid};
use crate::certificate::extensions::{self, RawExtension};
use crate::pem::{self, OutsideText};
use crate::public_key::PublicKey;

/// Input that is no CRL of a kind that is understood, with a stable code such as `crl.version`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CrlError {
    pub code: &'static str,
    pub message: String,
}

impl CrlError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<DerError> for CrlError {
    fn from(error: DerError) -> Self {
        Self::new("asn1.not_der", format!("The CRL is not valid DER: there is {error}"))
    }
}

/// A CRL (RFC 5280 §5.1) as received: complete or delta, direct, for all reasons. The signature is not checked by
/// reading it: see [`CertificateList::is_signed_by`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateList {
    der: Box<[u8]>,
    parts: Parts,
    this_update: i64,
    next_update: Option<i64>,
    number: Option<Vec<u8>>,
    base_number: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    issuing_distribution_point: Option<IssuingDistributionPoint>,
    freshest_crl: Vec<String>,
    signature_algorithm: Option<SignatureAlgorithm>,
    entry_count: usize,
}

/// Where the parts stand in the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    tbs: Range<usize>,
    issuer: Range<usize>,
    signature: Range<usize>,
}

impl CertificateList {
    /// A million entries are about 50 MiB.
    pub const DER_MAX: usize = 64 * 1024 * 1024;

    /// Every entry is read once. Refused are versions above 2, critical extensions that are not understood, and lists
    /// that are indirect or for some reasons only (RFC 5280 §5.2 forbids the use of what is not understood).
    pub fn from_der(der: &[u8]) -> Result<Self, CrlError> {
        if der.len() > Self::DER_MAX {
            return Err(CrlError::new("crl.too_large", "The CRL is larger than 64 MiB"));
        }
        let list = ParsedList::read(der)?;
        let tbs = ParsedTbs::read(list.tbs.reader())?;
        if !matches!(tbs.version, None | Some([1])) {
            return Err(CrlError::new("crl.version", "The CRL is of a version above 2"));
        }
        let algorithm = (tbs.signature == list.algorithm.raw)
            .then(|| SignatureAlgorithm::from_identifier_der(list.algorithm.raw))
            .flatten();
        let end_of_signature = der.len();
        let mut crl = Self {
            der: der.into(),
            parts: Parts {
                tbs: list.tbs.offset..list.tbs.offset + list.tbs.raw.len(),
                issuer: tbs.issuer.offset..tbs.issuer.offset + tbs.issuer.raw.len(),
                signature: end_of_signature - list.signature.len()..end_of_signature,
            },
            this_update: tbs.this_update.seconds,
            next_update: tbs.next_update.map(|instant| instant.seconds),
            number: None,
            base_number: None,
            authority_key_id: None,
            issuing_distribution_point: None,
            freshest_crl: Vec::new(),
            signature_algorithm: algorithm,
            entry_count: 0,
        };
        crl.read_extensions(&tbs.extensions)?;
        for entry in tbs.entries() {
            if entry?.has_unknown_critical {
                let message = "An entry of the CRL has a critical extension that is not understood here";
                return Err(CrlError::new("crl.extension", message));
            }
            crl.entry_count += 1;
        }
        Ok(crl)
    }

    /// Exactly one X509 CRL block, white space around it tolerated.
    pub fn from_pem(text: &str) -> Result<Self, CrlError> {
        if text.len() > Self::DER_MAX / 2 * 3 {
            return Err(CrlError::new("crl.too_large", "The PEM text is larger than 96 MiB"));
        }
        let blocks =
            pem::decode(text, OutsideText::Refuse).map_err(|error| CrlError::new("crl.pem", error.to_string()))?;
        match blocks.as_slice() {
            [block] if block.label == pem::X509_CRL => Self::from_der(&block.der),
            _ => Err(CrlError::new("crl.pem", "Send exactly one PEM block of type X509 CRL")),
        }
    }

    fn read_extensions(&mut self, all: &[RawExtension<'_>]) -> Result<(), CrlError> {
        for (position, one) in all.iter().enumerate() {
            if all.iter().take(position).any(|earlier| earlier.oid == one.oid) {
                return Err(CrlError::new("crl.extension", "The CRL has an extension twice"));
            }
            match one.oid {
                oid::AUTHORITY_KEY_IDENTIFIER => {
                    self.authority_key_id = extensions::authority_key_id(one)?.0.map(<[u8]>::to_vec);
                }
                oid::CRL_NUMBER => self.number = Some(parsed::number(one)?.to_vec()),
                oid::DELTA_CRL_INDICATOR => self.base_number = Some(parsed::number(one)?.to_vec()),
                oid::ISSUING_DISTRIBUTION_POINT => self.issuing_distribution_point = Some(scope(one)?),
                oid::FRESHEST_CRL => self.freshest_crl = extensions::distribution_point_uris(one)?,
                _ if one.critical => {
                    let message = "The CRL has a critical extension that is not understood here";
                    return Err(CrlError::new("crl.extension", message));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn part(&self, part: &Range<usize>) -> &[u8] {
        self.der.get(part.clone()).unwrap_or_default()
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The signed bytes.
    pub fn tbs_der(&self) -> &[u8] {
        self.part(&self.parts.tbs)
    }

    pub fn issuer_der(&self) -> &[u8] {
        self.part(&self.parts.issuer)
    }

    /// Unix seconds.
    pub fn this_update(&self) -> i64 {
        self.this_update
    }

    /// Unix seconds. RFC 5280 §5.1.2.5 asks for it, X.509 does not.
    pub fn next_update(&self) -> Option<i64> {
        self.next_update
    }

    /// The CRL number (RFC 5280 §5.2.3), `None` where there is none or it is above 2^63: see
    /// [`CertificateList::number_octets`].
    pub fn number(&self) -> Option<i64> {
        self.number.as_deref().and_then(small)
    }

    /// Content octets of the CRL number, which may have up to 20 octets.
    pub fn number_octets(&self) -> Option<&[u8]> {
        self.number.as_deref()
    }

    /// What a delta CRL is relative to (RFC 5280 §5.2.4).
    pub fn base_number(&self) -> Option<i64> {
        self.base_number.as_deref().and_then(small)
    }

    /// Whether this is a delta CRL.
    pub fn is_delta(&self) -> bool {
        self.base_number.is_some()
    }

    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.authority_key_id.as_deref()
    }

    pub fn issuing_distribution_point(&self) -> Option<&IssuingDistributionPoint> {
        self.issuing_distribution_point.as_ref()
    }

    /// URIs of delta CRLs to this one.
    pub fn freshest_crl(&self) -> &[String] {
        &self.freshest_crl
    }

    /// `None` for algorithms without a type here, and when the two places that name it differ (RFC 5280 §5.1.1.2).
    pub fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        self.signature_algorithm
    }

    pub fn entry_count(&self) -> usize {
        self.entry_count
    }

    /// In the order of the list.
    pub fn entries(&self) -> impl Iterator<Item = RevokedCertificate<'_>> {
        let entries = ParsedList::read(&self.der).and_then(|list| ParsedTbs::read(list.tbs.reader()));
        entries.ok().into_iter().flat_map(|tbs| -> Entries<'_> { tbs.entries() }).filter_map(Result::ok)
    }

    /// Whether the signature was made by the private half of `key`. Names and dates are not looked at.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.signature_algorithm
            .is_some_and(|algorithm| key.verify(algorithm, self.tbs_der(), self.part(&self.parts.signature)))
    }
}

fn small(octets: &[u8]) -> Option<i64> {
    let magnitude = octets.iter().skip_while(|octet| **octet == 0);
    let is_short = magnitude.clone().nth(8).is_none();
    let number = is_short.then(|| magnitude.fold(0u64, |sum, octet| (sum << 8) | u64::from(*octet)));
    number.and_then(|number| i64::try_from(number).ok())
}

fn scope(one: &RawExtension<'_>) -> Result<IssuingDistributionPoint, CrlError> {
    let point = parsed::issuing_distribution_point(one)?;
    if point.has_more {
        let message = "The CRL is indirect, for some reasons only, or for attribute certificates";
        return Err(CrlError::new("crl.scope", message));
    }
    let uri = |name: &Tlv<'_>| extensions::uri(name);
    Ok(IssuingDistributionPoint {
        full_name: point.names.iter().filter_map(uri).collect(),
        only_contains_user_certs: point.user_certs,
        only_contains_ca_certs: point.ca_certs,
    })
}
