//! Reading certificates, one's own and everybody else's: definite lengths and the right shape are asked for, the rules
//! of the lint are not.

use std::ops::Range;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use const_oid::ObjectIdentifier;

use super::extensions::{self, Extensions, Form, RawExtension};
use super::tbs::Validity;
use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{DerError, Reader, Tlv, oid, tag, time, unsigned_integer};
use crate::name::{DistinguishedName, GeneralName, NameError};
use crate::name_constraints::NameConstraints;
use crate::pem::{self, OutsideText};
use crate::public_key::{KeyError, PublicKey, sha256};
use crate::serial::SerialNumber;

/// Input that is no certificate, with a stable code such as `certificate.pem`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CertificateError {
    pub code: &'static str,
    pub message: String,
}

impl CertificateError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<DerError> for CertificateError {
    fn from(error: DerError) -> Self {
        Self::new("asn1.not_der", format!("The certificate is not valid DER: there is {error}"))
    }
}

/// A certificate (RFC 5280 §4.1) as received. The signature is not checked by reading it: see
/// [`Certificate::is_signed_by`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Box<[u8]>,
    parts: Parts,
    serial: SerialNumber,
    validity: Validity,
    extensions: Extensions,
    unknown_extensions: Vec<ObjectIdentifier>,
    unknown_extended_key_usages: Vec<ObjectIdentifier>,
}

/// Where the parts stand in the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    tbs: Range<usize>,
    inner_algorithm: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    spki: Range<usize>,
    outer_algorithm: Range<usize>,
    signature: Range<usize>,
}

fn range(value: &Tlv<'_>) -> Range<usize> {
    value.offset..value.offset + value.raw.len()
}

impl Certificate {
    /// Far above any certificate of an allowed key and a thousand names.
    const DER_MAX: usize = 256 * 1024;
    /// The largest bundle of certificates that is read.
    const PEM_MAX: usize = 8 * 1024 * 1024;

    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > Self::DER_MAX {
            return Err(CertificateError::new("certificate.too_large", "The certificate is larger than 256 KiB"));
        }
        let mut outer = Reader::new(der);
        let mut whole = outer.sequence("something other than a certificate")?;
        outer.finish()?;
        let tbs = whole.expect(tag::SEQUENCE, "something other than a TBSCertificate")?;
        let outer_algorithm = whole.expect(tag::SEQUENCE, "something other than a signature algorithm")?;
        let signature = whole.octet_aligned_bits("something other than a signature")?;
        whole.finish()?;

        let mut body = tbs.reader();
        read_version(&mut body)?;
        let serial = read_serial(&mut body)?;
        let inner_algorithm = body.expect(tag::SEQUENCE, "something other than a signature algorithm")?;
        let issuer = body.expect(tag::SEQUENCE, "something other than an issuer")?;
        let validity = read_validity(body.sequence("something other than a validity")?)?;
        let subject = body.expect(tag::SEQUENCE, "something other than a subject")?;
        let spki = body.expect(tag::SEQUENCE, "something other than a public key")?;
        // issuerUniqueID and subjectUniqueID (§4.1.2.8) have no use but to be passed over.
        body.optional(0x81)?;
        body.optional(0x82)?;
        let mut certificate = Self {
            der: der.into(),
            parts: Parts {
                tbs: range(&tbs),
                inner_algorithm: range(&inner_algorithm),
                issuer: range(&issuer),
                subject: range(&subject),
                spki: range(&spki),
                outer_algorithm: range(&outer_algorithm),
                signature: der.len() - signature.len()..der.len(),
            },
            serial,
            validity,
            extensions: Extensions::default(),
            unknown_extensions: Vec::new(),
            unknown_extended_key_usages: Vec::new(),
        };
        if let Some(explicit) = body.optional(0xa3)? {
            let mut explicit = explicit.reader();
            let list = explicit.sequence("something other than extensions")?;
            explicit.finish()?;
            certificate.read_extensions(list)?;
        }
        body.finish()?;
        Ok(certificate)
    }

    fn read_extensions(&mut self, list: Reader<'_>) -> Result<(), CertificateError> {
        let all = extensions::read_all(list)?;
        for (position, one) in all.iter().enumerate() {
            if all.iter().take(position).any(|earlier| earlier.oid == one.oid) {
                return Err(CertificateError::new("certificate.extension", "The certificate has an extension twice"));
            }
            self.read_extension(one)?;
        }
        Ok(())
    }

    fn read_extension(&mut self, one: &RawExtension<'_>) -> Result<(), CertificateError> {
        let known = &mut self.extensions;
        match one.oid {
            oid::BASIC_CONSTRAINTS => {
                known.basic_constraints = Some(extensions::basic_constraints(one, Form::Foreign)?);
            }
            oid::KEY_USAGE => known.key_usages = extensions::key_usages(one, Form::Foreign)?,
            oid::EXTENDED_KEY_USAGE => {
                (known.extended_key_usages, self.unknown_extended_key_usages) = extensions::extended_key_usages(one)?;
            }
            oid::SUBJECT_ALT_NAME => {
                let names = extensions::general_names(one)?;
                known.subject_alt_names = names.into_iter().filter_map(GeneralName::from_foreign_tlv).collect();
            }
            oid::SUBJECT_KEY_IDENTIFIER => known.subject_key_id = extensions::subject_key_id(one)?.to_vec(),
            oid::AUTHORITY_KEY_IDENTIFIER => {
                known.authority_key_id = extensions::authority_key_id(one)?.0.map(<[u8]>::to_vec);
            }
            oid::NAME_CONSTRAINTS => {
                let constraints = NameConstraints::from_der(one.value).map_err(|error| {
                    CertificateError::new("certificate.name_constraints", format!("Name constraints: {error}"))
                })?;
                known.name_constraints = Some(constraints);
            }
            oid::AUTHORITY_INFO_ACCESS => {
                for (method, location) in extensions::access_descriptions(one)? {
                    match method {
                        oid::ACCESS_OCSP => known.ocsp.extend(extensions::uri(&location)),
                        oid::ACCESS_CA_ISSUERS => known.ca_issuers.extend(extensions::uri(&location)),
                        _ => {}
                    }
                }
            }
            oid::CRL_DISTRIBUTION_POINTS => {
                known.crl_distribution_points = extensions::distribution_point_uris(one)?;
            }
            oid::FRESHEST_CRL => known.freshest_crl = extensions::distribution_point_uris(one)?,
            oid::NO_REV_AVAIL => known.no_rev_avail = true,
            oid::OCSP_NO_CHECK => known.ocsp_no_check = true,
            // Anything but one OCTET STRING of a SHA-256 digest is not what RFC 8737 means, and so is not known.
            oid::ACME_IDENTIFIER if matches!(one.value, [tag::OCTET_STRING, 32, rest @ ..] if rest.len() == 32) => {
                known.acme_identifier = one.value.get(2..).and_then(|digest| digest.try_into().ok());
            }
            other => self.unknown_extensions.push(oid::to_identifier(other, one.offset)?),
        }
        Ok(())
    }

    /// Exactly one CERTIFICATE block, white space around it tolerated.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let mut all = Self::from_blocks(text, OutsideText::Refuse)?;
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err(CertificateError::new("certificate.pem", "Send exactly one PEM block of type CERTIFICATE")),
        }
    }

    /// All CERTIFICATE blocks in order, at least one; text between them is passed over, other blocks are refused.
    pub fn from_pem_bundle(text: &str) -> Result<Vec<Self>, CertificateError> {
        let all = Self::from_blocks(text, OutsideText::Skip)?;
        if all.is_empty() {
            return Err(CertificateError::new("certificate.pem", "There is no PEM block of type CERTIFICATE"));
        }
        Ok(all)
    }

    fn from_blocks(text: &str, outside: OutsideText) -> Result<Vec<Self>, CertificateError> {
        if text.len() > Self::PEM_MAX {
            return Err(CertificateError::new("certificate.too_large", "The PEM text is larger than 8 MiB"));
        }
        let blocks =
            pem::decode(text, outside).map_err(|error| CertificateError::new("certificate.pem", error.to_string()))?;
        blocks
            .iter()
            .map(|block| match block.label.as_str() {
                pem::CERTIFICATE | "X509 CERTIFICATE" => Self::from_der(&block.der),
                label => {
                    let message = format!("A PEM block is of type {label:?} instead of CERTIFICATE");
                    Err(CertificateError::new("certificate.pem", message))
                }
            })
            .collect()
    }

    fn part(&self, part: &Range<usize>) -> &[u8] {
        self.der.get(part.clone()).unwrap_or_default()
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// RFC 7468 with 64 columns and LF.
    pub fn to_pem(&self) -> String {
        pem::encode(pem::CERTIFICATE, &self.der)
    }

    /// The signed bytes.
    pub fn tbs_der(&self) -> &[u8] {
        self.part(&self.parts.tbs)
    }

    pub fn serial(&self) -> &SerialNumber {
        &self.serial
    }

    pub fn issuer_der(&self) -> &[u8] {
        self.part(&self.parts.issuer)
    }

    pub fn subject_der(&self) -> &[u8] {
        self.part(&self.parts.subject)
    }

    /// Values are as they stand, unchecked. Fails for attribute types that have no name here.
    pub fn issuer(&self) -> Result<DistinguishedName, NameError> {
        DistinguishedName::from_foreign_der(self.issuer_der())
    }

    /// Values are as they stand, unchecked. Fails for attribute types that have no name here.
    pub fn subject(&self) -> Result<DistinguishedName, NameError> {
        DistinguishedName::from_foreign_der(self.subject_der())
    }

    pub fn validity(&self) -> Validity {
        self.validity
    }

    pub fn spki_der(&self) -> &[u8] {
        self.part(&self.parts.spki)
    }

    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_spki_der(self.spki_der())
    }

    /// SANs of kinds or forms without a type here are left out.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    pub fn unknown_extensions(&self) -> &[ObjectIdentifier] {
        &self.unknown_extensions
    }

    pub fn unknown_extended_key_usages(&self) -> &[ObjectIdentifier] {
        &self.unknown_extended_key_usages
    }

    /// `None` for algorithms without a type here, and when the two places that name it differ (§4.1.1.2).
    pub fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        let inner = self.part(&self.parts.inner_algorithm);
        let outer = self.part(&self.parts.outer_algorithm);
        (inner == outer).then(|| SignatureAlgorithm::from_identifier_der(outer)).flatten()
    }

    pub fn signature(&self) -> &[u8] {
        self.part(&self.parts.signature)
    }

    /// Whether the signature was made by the private half of `key`. Names, dates and purposes are not looked at.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.signature_algorithm().is_some_and(|algorithm| key.verify(algorithm, self.tbs_der(), self.signature()))
    }

    /// Whether issuer and subject are the same name. A root is also signed by its own key.
    pub fn is_self_issued(&self) -> bool {
        self.issuer_der() == self.subject_der()
    }

    pub fn fingerprint_sha256(&self) -> [u8; 32] {
        sha256(&self.der)
    }

    /// For people and old software that know certificates by it; never for a decision.
    pub fn fingerprint_sha1(&self) -> [u8; 20] {
        fingerprint_sha1(&self.der)
    }
}

/// The SHA-1 fingerprint of a certificate in DER, read or not.
pub fn fingerprint_sha1(der: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, der);
    out.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    out
}

fn read_version(body: &mut Reader<'_>) -> Result<(), CertificateError> {
    let Some(explicit) = body.optional(0xa0)? else { return Ok(()) };
    let mut explicit = explicit.reader();
    let version = explicit.expect(tag::INTEGER, "something other than a version")?;
    explicit.finish()?;
    match version.content {
        [0..=2] => Ok(()),
        _ => Err(CertificateError::new("certificate.version", "The certificate is of a version above 3")),
    }
}

fn read_serial(body: &mut Reader<'_>) -> Result<SerialNumber, CertificateError> {
    let value = body.expect(tag::INTEGER, "something other than a serial number")?;
    let magnitude = unsigned_integer(value)?;
    SerialNumber::from_foreign(magnitude)
        .ok_or_else(|| CertificateError::new("certificate.serial", "The serial number is longer than 20 octets"))
}

fn read_validity(mut parts: Reader<'_>) -> Result<Validity, DerError> {
    let not_before = time::read(parts.any()?)?;
    let not_after = time::read(parts.any()?)?;
    parts.finish()?;
    Ok(Validity { not_before, not_after })
}
