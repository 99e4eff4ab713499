//! Reading OCSP responses: those of this product when it checks itself, and those of others.

use super::cert_id::CertId;
use super::request::nonce;
use super::response::{CertStatus, OcspErrorStatus, ResponderId};
use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{DerError, Reader, Tlv, oid, tag, time};
use crate::certificate::extensions::read_all;
use crate::public_key::PublicKey;

/// Why there is no answer about certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OcspResponseError {
    #[error("the OCSP responder gives no answer: {0:?}")]
    Status(OcspErrorStatus),
    #[error("the OCSP response is not valid: there is {0}")]
    Malformed(String),
}

impl From<DerError> for OcspResponseError {
    fn from(error: DerError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// The answer about one certificate, as read. Instants are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadSingleResponse {
    pub cert_id: CertId,
    pub status: CertStatus,
    pub this_update: i64,
    pub next_update: Option<i64>,
}

/// A successful response of the basic type. The signature is not checked by reading it: see
/// [`BasicOcspResponse::is_signed_by`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicOcspResponse {
    data: Vec<u8>,
    signature: Vec<u8>,
    pub responder: ResponderId,
    /// Unix seconds.
    pub produced_at: i64,
    pub responses: Vec<ReadSingleResponse>,
    pub nonce: Option<Vec<u8>>,
    pub extended_revoke: bool,
    /// `None` for algorithms without a type here.
    pub signature_algorithm: Option<SignatureAlgorithm>,
    /// DER of the certificates that came along.
    pub certificates: Vec<Vec<u8>>,
}

impl BasicOcspResponse {
    const DER_MAX: usize = 256 * 1024;
    const RESPONSES_MAX: usize = 64;
    const CERTIFICATES_MAX: usize = 16;

    pub fn from_der(der: &[u8]) -> Result<Self, OcspResponseError> {
        if der.len() > Self::DER_MAX {
            return Err(OcspResponseError::Malformed("more than 256 KiB".to_owned()));
        }
        let mut basic = Reader::new(basic_response(der)?);
        let mut whole = basic.sequence("something other than a basic response")?;
        basic.finish()?;
        let data = whole.expect(tag::SEQUENCE, "something other than response data")?;
        let algorithm = whole.expect(tag::SEQUENCE, "something other than a signature algorithm")?;
        let signature = whole.octet_aligned_bits("something other than a signature")?;
        let mut certificates = Vec::new();
        if let Some(explicit) = whole.optional(0xa0)? {
            let mut list = explicit.reader().sequence("something other than certificates")?;
            while !list.is_empty() && certificates.len() < Self::CERTIFICATES_MAX {
                certificates.push(list.expect(tag::SEQUENCE, "something other than a certificate")?.raw.to_vec());
            }
            list.finish()?;
        }
        whole.finish()?;
        let mut response = Self {
            data: data.raw.to_vec(),
            signature: signature.to_vec(),
            responder: ResponderId::ByName(Vec::new()),
            produced_at: 0,
            responses: Vec::new(),
            nonce: None,
            extended_revoke: false,
            signature_algorithm: SignatureAlgorithm::from_identifier_der(algorithm.raw),
            certificates,
        };
        response.read_data(data.reader())?;
        Ok(response)
    }

    fn read_data(&mut self, mut body: Reader<'_>) -> Result<(), OcspResponseError> {
        body.optional(0xa0)?;
        self.responder = responder(body.any()?)?;
        self.produced_at = time::read(body.expect(tag::GENERALIZED_TIME, "something other than a time")?)?;
        let mut list = body.sequence("something other than responses")?;
        while !list.is_empty() && self.responses.len() < Self::RESPONSES_MAX {
            self.responses.push(single(list.sequence("something other than a response")?)?);
        }
        list.finish()?;
        if let Some(explicit) = body.optional(0xa1)? {
            for one in read_all(explicit.reader().sequence("something other than extensions")?)? {
                match one.oid {
                    oid::OCSP_NONCE => {
                        let read = nonce(&one).map_err(|error| OcspResponseError::Malformed(error.message))?;
                        self.nonce = Some(read);
                    }
                    oid::OCSP_EXTENDED_REVOKE => self.extended_revoke = true,
                    _ if one.critical => return Err(one.error("a critical extension without meaning here").into()),
                    _ => {}
                }
            }
        }
        Ok(body.finish()?)
    }

    /// The signed bytes.
    pub fn data_der(&self) -> &[u8] {
        &self.data
    }

    /// Whether the signature was made by the private half of `key`. Whether that key may speak for the issuer (RFC 6960
    /// §4.2.2.2) is not looked at.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.signature_algorithm.is_some_and(|algorithm| key.verify(algorithm, &self.data, &self.signature))
    }
}

/// The octets of the BasicOCSPResponse inside a successful OCSPResponse.
fn basic_response(der: &[u8]) -> Result<&[u8], OcspResponseError> {
    let mut outer = Reader::new(der);
    let mut whole = outer.sequence("something other than an OCSP response")?;
    outer.finish()?;
    let status = whole.expect(tag::ENUMERATED, "something other than a response status")?;
    let [code] = status.content else { return Err(status.error("something other than a response status").into()) };
    if let Some(error) = OcspErrorStatus::ALL.iter().find(|one| one.code() == *code) {
        return Err(OcspResponseError::Status(*error));
    }
    if *code != 0 {
        return Err(status.error("a response status without meaning").into());
    }
    let mut explicit = whole.expect(0xa0, "a successful response without contents")?.reader();
    whole.finish()?;
    let mut parts = explicit.sequence("something other than response bytes")?;
    explicit.finish()?;
    let kind = parts.expect(tag::OID, "something other than a response type")?;
    if kind.content != oid::OCSP_BASIC {
        return Err(kind.error("a response type other than basic").into());
    }
    let octets = parts.expect(tag::OCTET_STRING, "something other than response bytes")?;
    parts.finish()?;
    Ok(octets.content)
}

fn responder(choice: Tlv<'_>) -> Result<ResponderId, DerError> {
    match choice.tag {
        0xa1 => Ok(ResponderId::ByName(choice.content.to_vec())),
        0xa2 => {
            let id = choice.reader().expect(tag::OCTET_STRING, "something other than a responder's key hash")?;
            id.content.try_into().map(ResponderId::ByKey).map_err(|_| id.error("a key hash that is not SHA-1"))
        }
        _ => Err(choice.error("something other than a responder id")),
    }
}

fn single(mut parts: Reader<'_>) -> Result<ReadSingleResponse, DerError> {
    let cert_id = CertId::read(parts.expect(tag::SEQUENCE, "something other than a CertID")?)?;
    let choice = parts.any()?;
    let status = match choice.tag {
        0x80 => CertStatus::Good,
        0x82 => CertStatus::Unknown,
        0xa1 => revoked(choice.reader())?,
        _ => return Err(choice.error("something other than a certificate status")),
    };
    let this_update = time::read(parts.expect(tag::GENERALIZED_TIME, "something other than a time")?)?;
    let next_update = match parts.optional(0xa0)? {
        Some(explicit) => Some(time::read(explicit.reader().any()?)?),
        None => None,
    };
    parts.optional(0xa1)?;
    parts.finish()?;
    Ok(ReadSingleResponse { cert_id, status, this_update, next_update })
}

fn revoked(mut parts: Reader<'_>) -> Result<CertStatus, DerError> {
    let at = time::read(parts.expect(tag::GENERALIZED_TIME, "something other than a time")?)?;
    let reason = match parts.optional(0xa0)? {
        None => None,
        Some(explicit) => {
            let code = explicit.reader().expect(tag::ENUMERATED, "something other than a reason code")?;
            let [octet] = code.content else { return Err(code.error("a reason code that has no meaning")) };
            Some(*octet)
        }
    };
    parts.finish()?;
    Ok(CertStatus::Revoked { at, reason })
}
