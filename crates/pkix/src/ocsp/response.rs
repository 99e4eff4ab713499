//! OCSPResponse (RFC 6960 §4.2) as this product writes it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::request::write_nonce;
use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{Writer, oid, tag, time};
use crate::certificate::EncodeError;
use crate::certificate::extensions::extension;
use crate::certificate::tbs::instant;
use crate::crl::entry::is_meaningful;
use crate::public_key::PublicKey;

/// What is known of a certificate (RFC 6960 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertStatus {
    Good,
    Revoked {
        /// Unix seconds.
        at: i64,
        /// CRLReason; 0, 7 and codes without meaning are written as none.
        reason: Option<u8>,
    },
    Unknown,
}

/// The answer about one certificate. Instants are Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SingleResponse<'a> {
    /// [`super::CertId::der`] of the question.
    pub cert_id_der: &'a [u8],
    pub status: CertStatus,
    pub this_update: i64,
    pub next_update: Option<i64>,
}

/// Who signs the answer (RFC 6960 §4.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ResponderId {
    /// SHA-1 of the key bits of the responder.
    ByKey([u8; 20]),
    /// DER of the responder's subject.
    ByName(Vec<u8>),
}

impl ResponderId {
    /// By key.
    pub fn of(key: &PublicKey) -> Self {
        let mut id = [0; 20];
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, key.key_bytes());
        id.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        Self::ByKey(id)
    }
}

/// The bytes that are signed. Equal values give equal bytes.
#[derive(Clone, Debug)]
pub struct ResponseData<'a> {
    pub responder: ResponderId,
    /// Unix seconds.
    pub produced_at: i64,
    pub responses: &'a [SingleResponse<'a>],
    /// That of the request.
    pub nonce: Option<&'a [u8]>,
    /// Whether `revoked` is also said of certificates that were never issued (RFC 6960 §4.4.8).
    pub extended_revoke: bool,
}

impl ResponseData<'_> {
    /// Fails only for instants before 1950 or after 9999.
    pub fn to_der(&self) -> Result<Vec<u8>, EncodeError> {
        self.check()?;
        let mut out = Writer::with_capacity(256 + 256 * self.responses.len());
        out.nested(tag::SEQUENCE, |w| {
            match &self.responder {
                ResponderId::ByName(name) => w.nested(0xa1, |w| w.raw(name)),
                ResponderId::ByKey(id) => w.nested(0xa2, |w| w.primitive(tag::OCTET_STRING, id)),
            }
            time::write_generalized(w, self.produced_at);
            w.nested(tag::SEQUENCE, |w| self.responses.iter().for_each(|one| one.write(w)));
            if self.nonce.is_none() && !self.extended_revoke {
                return;
            }
            w.nested(0xa1, |w| {
                w.nested(tag::SEQUENCE, |w| {
                    if let Some(nonce) = self.nonce {
                        write_nonce(w, nonce);
                    }
                    if self.extended_revoke {
                        extension(w, oid::OCSP_EXTENDED_REVOKE, false, |w| w.primitive(tag::NULL, &[]));
                    }
                });
            });
        });
        Ok(out.into_bytes())
    }

    fn check(&self) -> Result<(), EncodeError> {
        instant(self.produced_at)?;
        for one in self.responses {
            instant(one.this_update)?;
            one.next_update.map_or(Ok(()), instant)?;
            if let CertStatus::Revoked { at, .. } = one.status {
                instant(at)?;
            }
        }
        Ok(())
    }
}

impl SingleResponse<'_> {
    fn write(&self, w: &mut Writer) {
        w.nested(tag::SEQUENCE, |w| {
            w.raw(self.cert_id_der);
            match self.status {
                CertStatus::Good => w.primitive(0x80, &[]),
                CertStatus::Unknown => w.primitive(0x82, &[]),
                CertStatus::Revoked { at, reason } => w.nested(0xa1, |w| {
                    time::write_generalized(w, at);
                    if let Some(code) = reason.filter(|code| is_meaningful(*code)) {
                        w.nested(0xa0, |w| w.primitive(tag::ENUMERATED, &[code]));
                    }
                }),
            }
            time::write_generalized(w, self.this_update);
            if let Some(instant) = self.next_update {
                w.nested(0xa0, |w| time::write_generalized(w, instant));
            }
        });
    }
}

/// A successful response of the basic type. `certificates` are those of a delegated responder, none where the CA
/// itself signs.
pub fn assemble_response(
    data_der: &[u8],
    algorithm: SignatureAlgorithm,
    signature: &[u8],
    certificates: &[&[u8]],
) -> Vec<u8> {
    const SUCCESSFUL: u8 = 0;
    let octets = data_der.len() + signature.len() + certificates.iter().map(|one| one.len()).sum::<usize>();
    let mut out = Writer::with_capacity(octets + 256);
    out.nested(tag::SEQUENCE, |w| {
        w.primitive(tag::ENUMERATED, &[SUCCESSFUL]);
        w.nested(0xa0, |w| {
            w.nested(tag::SEQUENCE, |w| {
                w.oid_bytes(oid::OCSP_BASIC);
                w.nested(tag::OCTET_STRING, |w| {
                    w.nested(tag::SEQUENCE, |w| {
                        w.raw(data_der);
                        w.raw(algorithm.identifier_der());
                        w.bit_string(signature);
                        if !certificates.is_empty() {
                            w.nested(0xa0, |w| {
                                w.nested(tag::SEQUENCE, |w| certificates.iter().for_each(|one| w.raw(one)));
                            });
                        }
                    });
                });
            });
        });
    });
    out.into_bytes()
}

/// Answers that say nothing about a certificate and are not signed (RFC 6960 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OcspErrorStatus {
    MalformedRequest,
    InternalError,
    TryLater,
    SigRequired,
    Unauthorized,
}

impl OcspErrorStatus {
    pub const ALL: &[Self] =
        &[Self::MalformedRequest, Self::InternalError, Self::TryLater, Self::SigRequired, Self::Unauthorized];

    /// OCSPResponseStatus (RFC 6960 §4.2.1).
    pub const fn code(self) -> u8 {
        match self {
            Self::MalformedRequest => 1,
            Self::InternalError => 2,
            Self::TryLater => 3,
            Self::SigRequired => 5,
            Self::Unauthorized => 6,
        }
    }

    pub fn to_der(self) -> Vec<u8> {
        let mut out = Writer::with_capacity(5);
        out.nested(tag::SEQUENCE, |w| w.primitive(tag::ENUMERATED, &[self.code()]));
        out.into_bytes()
    }
}
