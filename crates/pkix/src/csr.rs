//! PKCS#10 certification requests (RFC 2986): strict DER, bounded, proof of possession checked over the bytes as
//! received before anybody can look inside. A request is a claim: what of it goes into a certificate is decided
//! elsewhere.

mod attributes;
mod info;

use const_oid::ObjectIdentifier;

use attributes::Requested;
pub use info::CertificationRequestInfo;

use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{DerError, Reader, canonical, oid, tag};
use crate::certificate::BasicConstraints;
use crate::name::{DistinguishedName, GeneralName, NameError};
use crate::pem::{self, OutsideText};
use crate::public_key::{KeyError, PublicKey};
use crate::usage::{ExtendedKeyUsage, KeyUsages};

/// A request that is refused, with a stable code such as `csr.bad_signature`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CsrError {
    pub code: &'static str,
    pub message: String,
}

impl CsrError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<DerError> for CsrError {
    fn from(error: DerError) -> Self {
        Self::new("asn1.not_der", format!("The CSR is not valid DER: there is {error}"))
    }
}

impl From<KeyError> for CsrError {
    fn from(error: KeyError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl From<NameError> for CsrError {
    fn from(error: NameError) -> Self {
        Self::new("csr.name", format!("The CSR has a name that cannot be certified: {error}"))
    }
}

/// A request whose signature has been checked with the key it asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificationRequest {
    der: Box<[u8]>,
    subject: DistinguishedName,
    public_key: PublicKey,
    signature_algorithm: SignatureAlgorithm,
    requested: Requested,
}

impl CertificationRequest {
    /// Of the DER and of the PEM text.
    pub const SIZE_MAX: usize = 64 * 1024;

    /// Exactly one block of type CERTIFICATE REQUEST (or the older NEW CERTIFICATE REQUEST); white space around it, CRLF
    /// and base64 in one line are tolerated.
    pub fn from_pem(text: &str) -> Result<Self, CsrError> {
        check_size(text.len())?;
        if text.contains("PRIVATE KEY-----") {
            let message = "The text has a private key in it. Treat that key as exposed, make a new one, and send only \
                           the certificate request";
            return Err(CsrError::new("csr.private_key", message));
        }
        let blocks = pem::decode(text, OutsideText::Refuse)
            .map_err(|error| CsrError::new("csr.pem", format!("The CSR is not PEM: {error}")))?;
        match blocks.as_slice() {
            [block] if matches!(block.label.as_str(), pem::CERTIFICATE_REQUEST | "NEW CERTIFICATE REQUEST") => {
                Self::from_der(&block.der)
            }
            [block] => {
                let message = format!("The PEM block is of type {:?} instead of CERTIFICATE REQUEST", block.label);
                Err(CsrError::new("csr.pem", message))
            }
            _ => Err(CsrError::new("csr.pem", "Send exactly one PEM block of type CERTIFICATE REQUEST")),
        }
    }

    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        check_size(der.len())?;
        canonical::check(der)?;
        let mut outer = Reader::new(der);
        let mut whole = outer.sequence("something other than a certification request")?;
        let info = whole.expect(tag::SEQUENCE, "something other than a CertificationRequestInfo")?;
        let identifier = whole.expect(tag::SEQUENCE, "something other than a signature algorithm")?;
        let signature = whole.octet_aligned_bits("something other than a signature")?;
        whole.finish()?;

        let mut body = info.reader();
        if body.expect(tag::INTEGER, "something other than a version")?.content != [0] {
            return Err(CsrError::new("csr.version", "The CSR is not of version 1 (encoded as 0)"));
        }
        let subject = body.expect(tag::SEQUENCE, "something other than a subject")?;
        let spki = body.expect(tag::SEQUENCE, "something other than a public key")?;
        // Mandatory by the letter (RFC 2986 §4.1), left out by some when there are none.
        let attributes = body.optional(0xa0)?;
        body.finish()?;

        // Nothing inside is used before the requester has proved to hold the key.
        let public_key = PublicKey::from_spki_der(spki.raw)?;
        let signature_algorithm = signature_algorithm(identifier.raw, &public_key)?;
        if !public_key.verify(signature_algorithm, info.raw, signature) {
            let message = "The signature of the CSR does not verify with its own public key";
            return Err(CsrError::new("csr.bad_signature", message));
        }
        let subject = DistinguishedName::from_der(subject.raw)?;
        let requested = attributes.map_or_else(|| Ok(Requested::default()), attributes::read)?;
        Ok(Self { der: der.into(), subject, public_key, signature_algorithm, requested })
    }

    /// The bytes as received. They hold the value of a challenge password, if there is one: see
    /// [`CertificationRequest::has_challenge_password`] before keeping them.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn to_pem(&self) -> String {
        pem::encode(pem::CERTIFICATE_REQUEST, &self.der)
    }

    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.signature_algorithm
    }

    pub fn subject_alt_names(&self) -> &[GeneralName] {
        &self.requested.subject_alt_names
    }

    /// `None`: the extension is absent.
    pub fn key_usages(&self) -> Option<KeyUsages> {
        self.requested.key_usages
    }

    /// The known ones; `None`: the extension is absent.
    pub fn extended_key_usages(&self) -> Option<&[ExtendedKeyUsage]> {
        self.requested.extended_key_usages.as_deref()
    }

    pub fn unknown_extended_key_usages(&self) -> &[ObjectIdentifier] {
        &self.requested.unknown_extended_key_usages
    }

    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.requested.basic_constraints
    }

    /// Requested extensions that have no meaning here.
    pub fn unknown_extensions(&self) -> &[ObjectIdentifier] {
        &self.requested.unknown_extensions
    }

    /// Attributes other than extensionRequest. Their values are not decoded.
    pub fn ignored_attributes(&self) -> &[ObjectIdentifier] {
        &self.requested.ignored_attributes
    }

    /// Whether the bytes of the request hold a shared secret (RFC 2985 §5.4.1), so that storing or showing them gives
    /// it away.
    pub fn has_challenge_password(&self) -> bool {
        self.requested.ignored_attributes.iter().any(|one| one.as_bytes() == oid::CHALLENGE_PASSWORD)
    }
}

/// Without the bytes, which may hold a challenge password.
impl std::fmt::Debug for CertificationRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificationRequest")
            .field("subject", &self.subject)
            .field("public_key", &self.public_key)
            .field("signature_algorithm", &self.signature_algorithm)
            .field("requested", &self.requested)
            .finish_non_exhaustive()
    }
}

fn check_size(octets: usize) -> Result<(), CsrError> {
    if octets > CertificationRequest::SIZE_MAX {
        return Err(CsrError::new("csr.too_large", "The CSR is larger than 64 KiB"));
    }
    Ok(())
}

fn signature_algorithm(identifier: &[u8], key: &PublicKey) -> Result<SignatureAlgorithm, CsrError> {
    SignatureAlgorithm::from_identifier_der(identifier).filter(|algorithm| algorithm.fits(key.algorithm())).ok_or_else(
        || {
            let fitting: Vec<&str> = SignatureAlgorithm::ALL
                .iter()
                .filter(|one| one.fits(key.algorithm()))
                .map(|one| one.as_str())
                .collect();
            let message = format!(
                "The CSR is signed with an algorithm that is not accepted for its key; accepted are {}",
                fitting.join(", ")
            );
            CsrError::new("csr.signature_algorithm", message)
        },
    )
}
