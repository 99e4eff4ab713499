//! OCSPRequest (RFC 6960 §4.1). Anybody may send one: everything is bounded and nothing is computed here.

use super::cert_id::CertId;
use crate::asn1::{DerError, Reader, Writer, oid, tag};
use crate::certificate::extensions::{RawExtension, extension, read_all};

/// The most certificates that one request may ask about.
pub const REQUESTS_MAX: usize = 8;
/// RFC 9654 §2.1.
pub const NONCE_OCTETS_MAX: usize = 128;

/// Input that is no request that is answered, with a stable code such as `ocsp.nonce`. The answer to all of them is
/// [`super::OcspErrorStatus::MalformedRequest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OcspRequestError {
    pub code: &'static str,
    pub message: String,
}

impl OcspRequestError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<DerError> for OcspRequestError {
    fn from(error: DerError) -> Self {
        Self::new("asn1.not_der", format!("The OCSP request is not valid DER: there is {error}"))
    }
}

/// What a client wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspRequest {
    /// One to [`REQUESTS_MAX`].
    pub requests: Vec<CertId>,
    /// 1 to [`NONCE_OCTETS_MAX`] octets, to be repeated in the answer.
    pub nonce: Option<Vec<u8>>,
}

impl OcspRequest {
    /// A question about eight certificates by SHA-512 needs less than 2 KiB.
    pub const DER_MAX: usize = 64 * 1024;

    /// A signature and the requestor's name are passed over: the status of a certificate is public.
    pub fn from_der(der: &[u8]) -> Result<Self, OcspRequestError> {
        if der.len() > Self::DER_MAX {
            return Err(OcspRequestError::new("ocsp.too_large", "The OCSP request is larger than 64 KiB"));
        }
        let mut outer = Reader::new(der);
        let mut whole = outer.sequence("something other than an OCSP request")?;
        outer.finish()?;
        let mut tbs = whole.sequence("something other than a TBSRequest")?;
        if let Some(signature) = whole.optional(0xa0)? {
            signature.reader().sequence("something other than a signature")?;
        }
        whole.finish()?;

        if let Some(explicit) = tbs.optional(0xa0)? {
            let version = explicit.reader().expect(tag::INTEGER, "something other than a version")?;
            if version.content != [0] {
                return Err(OcspRequestError::new("ocsp.version", "The OCSP request is of a version above 1"));
            }
        }
        tbs.optional(0xa1)?;
        let requests = read_requests(tbs.sequence("something other than a list of requests")?)?;
        let mut nonce = None;
        if let Some(explicit) = tbs.optional(0xa2)? {
            let mut explicit = explicit.reader();
            nonce = read_extensions(explicit.sequence("something other than extensions")?)?;
            explicit.finish()?;
        }
        tbs.finish()?;
        Ok(Self { requests, nonce })
    }

    /// The unsigned request. What comes in with [`OcspRequest::from_der`] loses its requestor, its signature and
    /// extensions other than the nonce.
    pub fn to_der(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(256);
        out.nested(tag::SEQUENCE, |w| {
            w.nested(tag::SEQUENCE, |w| {
                w.nested(tag::SEQUENCE, |w| {
                    for id in &self.requests {
                        w.nested(tag::SEQUENCE, |w| w.raw(&id.der));
                    }
                });
                if let Some(nonce) = &self.nonce {
                    w.nested(0xa2, |w| w.nested(tag::SEQUENCE, |w| write_nonce(w, nonce)));
                }
            });
        });
        out.into_bytes()
    }
}

pub(super) fn write_nonce(w: &mut Writer, nonce: &[u8]) {
    extension(w, oid::OCSP_NONCE, false, |w| w.primitive(tag::OCTET_STRING, nonce));
}

fn read_requests(mut list: Reader<'_>) -> Result<Vec<CertId>, OcspRequestError> {
    let mut requests = Vec::with_capacity(1);
    while !list.is_empty() {
        if requests.len() == REQUESTS_MAX {
            return Err(OcspRequestError::new("ocsp.too_many", "The OCSP request asks about more than 8 certificates"));
        }
        let mut parts = list.sequence("something other than a request")?;
        let id = parts.expect(tag::SEQUENCE, "something other than a CertID")?;
        if let Some(explicit) = parts.optional(0xa0)? {
            let mut explicit = explicit.reader();
            let extensions = read_all(explicit.sequence("something other than extensions")?)?;
            explicit.finish()?;
            extensions.iter().try_for_each(refuse_critical)?;
        }
        parts.finish()?;
        requests.push(CertId::read(id)?);
    }
    if requests.is_empty() {
        return Err(OcspRequestError::new("ocsp.empty", "The OCSP request asks about no certificate"));
    }
    Ok(requests)
}

fn refuse_critical(one: &RawExtension<'_>) -> Result<(), OcspRequestError> {
    if one.critical {
        let message = "The OCSP request has a critical extension that is not understood here";
        return Err(OcspRequestError::new("ocsp.extension", message));
    }
    Ok(())
}

/// The nonce, if there is one.
fn read_extensions(list: Reader<'_>) -> Result<Option<Vec<u8>>, OcspRequestError> {
    let mut found = None;
    for one in read_all(list)? {
        match one.oid {
            oid::OCSP_NONCE if found.is_some() => {
                return Err(OcspRequestError::new("ocsp.nonce", "The OCSP request has two nonces"));
            }
            oid::OCSP_NONCE => found = Some(nonce(&one)?),
            // There is one kind of response, which everybody takes (RFC 6960 §4.4.3).
            oid::OCSP_ACCEPTABLE_RESPONSES => {}
            _ => refuse_critical(&one)?,
        }
    }
    Ok(found)
}

pub(super) fn nonce(one: &RawExtension<'_>) -> Result<Vec<u8>, OcspRequestError> {
    let mut inner = one.reader();
    let value = inner.expect(tag::OCTET_STRING, "something other than a nonce")?;
    inner.finish()?;
    if !(1..=NONCE_OCTETS_MAX).contains(&value.content.len()) {
        return Err(OcspRequestError::new("ocsp.nonce", "A nonce has 1 to 128 octets (RFC 9654 §2.1)"));
    }
    Ok(value.content.to_vec())
}
