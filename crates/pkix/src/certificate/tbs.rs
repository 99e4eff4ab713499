//! TBSCertificate (RFC 5280 §4.1.2) as this product writes it, and the putting together of a signed structure.

use serde::{Deserialize, Serialize};

use super::extensions::Extensions;
use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{Writer, tag, time};
use crate::public_key::PublicKey;
use crate::serial::SerialNumber;

/// Unix seconds, both ends inclusive (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Validity {
    pub not_before: i64,
    pub not_after: i64,
}

impl Validity {
    /// 9999-12-31T23:59:59Z: "no well-defined expiration date" (RFC 5280 §4.1.2.5).
    pub const LATEST: i64 = time::LATEST;

    pub const fn contains(self, instant: i64) -> bool {
        self.not_before <= instant && instant <= self.not_after
    }
}

/// Values that have no encoding, with a stable code such as `encode.validity`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EncodeError {
    pub code: &'static str,
    pub message: String,
}

/// The bytes that are linted and then signed. Equal values give equal bytes.
#[derive(Clone, Copy, Debug)]
pub struct TbsCertificate<'a> {
    pub serial: &'a SerialNumber,
    pub signature_algorithm: SignatureAlgorithm,
    /// The subject of the issuing CA's certificate, copied byte for byte (RFC 5280 §4.1.2.4).
    pub issuer_der: &'a [u8],
    pub validity: Validity,
    pub subject_der: &'a [u8],
    pub public_key: &'a PublicKey,
    pub extensions: &'a Extensions,
}

const EMPTY_NAME: [u8; 2] = [tag::SEQUENCE, 0];

impl TbsCertificate<'_> {
    /// Fails only for what cannot be written at all: an instant before 1950 or after 9999, a URI outside ASCII. Whether
    /// the certificate makes sense is for the lint to say.
    pub fn to_der(&self) -> Result<Vec<u8>, EncodeError> {
        self.check()?;
        let mut out = Writer::with_capacity(1024 + self.public_key.spki_der().len());
        out.nested(tag::SEQUENCE, |w| {
            w.nested(0xa0, |w| w.primitive(tag::INTEGER, &[2]));
            w.unsigned(self.serial.as_bytes());
            w.raw(self.signature_algorithm.identifier_der());
            w.raw(self.issuer_der);
            w.nested(tag::SEQUENCE, |w| {
                time::write(w, self.validity.not_before);
                time::write(w, self.validity.not_after);
            });
            w.raw(self.subject_der);
            w.raw(self.public_key.spki_der());
            w.nested(0xa3, |w| self.extensions.write(w, self.subject_der == EMPTY_NAME));
        });
        Ok(out.into_bytes())
    }

    fn check(&self) -> Result<(), EncodeError> {
        instant(self.validity.not_before)?;
        instant(self.validity.not_after)?;
        let Extensions { ca_issuers, ocsp, crl_distribution_points, freshest_crl, .. } = self.extensions;
        [ca_issuers, ocsp, crl_distribution_points, freshest_crl].into_iter().try_for_each(|uris| ascii_uris(uris))
    }
}

/// URIs are IA5Strings: anything else has no encoding.
pub(crate) fn ascii_uris(uris: &[String]) -> Result<(), EncodeError> {
    match uris.iter().find(|uri| !uri.is_ascii()) {
        None => Ok(()),
        Some(uri) => {
            let message = format!("The URI {uri:?} has characters outside ASCII");
            Err(EncodeError { code: "encode.uri", message })
        }
    }
}

/// An instant that certificates and CRLs can say.
pub(crate) fn instant(seconds: i64) -> Result<(), EncodeError> {
    if (time::EARLIEST..=time::LATEST).contains(&seconds) {
        return Ok(());
    }
    let message = format!("The instant {seconds} is outside the years 1950 to 9999");
    Err(EncodeError { code: "encode.validity", message })
}

/// Puts a signature beside the bytes it signs: a certificate (RFC 5280 §4.1), a request (RFC 2986 §4.2) or a CRL
/// (RFC 5280 §5.1), which have the same shape.
pub fn assemble(tbs_der: &[u8], algorithm: SignatureAlgorithm, signature: &[u8]) -> Vec<u8> {
    let mut out = Writer::with_capacity(tbs_der.len() + signature.len() + 96);
    out.nested(tag::SEQUENCE, |w| {
        w.raw(tbs_der);
        w.raw(algorithm.identifier_der());
        w.bit_string(signature);
    });
    out.into_bytes()
}
