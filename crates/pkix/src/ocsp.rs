//! The Online Certificate Status Protocol (RFC 6960, RFC 9654): requests read strictly, responses written and, for
//! checking one's own, read again. What the status is and who signs is decided elsewhere.
//!
//! A request goes [`OcspRequest::from_der`] → [`IssuerHashes::matches`] for each [`CertId`]; an answer goes
//! [`ResponseData::to_der`] → signature → [`assemble_response`], or is one of [`OcspErrorStatus`].

mod cert_id;
mod request;
mod response;
mod response_reader;

pub use cert_id::{CertId, HashAlgorithm, IssuerHashes};
pub use request::{NONCE_OCTETS_MAX, OcspRequest, OcspRequestError, REQUESTS_MAX};
pub use response::{CertStatus, OcspErrorStatus, ResponderId, ResponseData, SingleResponse, assemble_response};
pub use response_reader::{BasicOcspResponse, OcspResponseError, ReadSingleResponse};
