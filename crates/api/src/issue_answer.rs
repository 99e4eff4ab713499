//! What issue and renew answer: the certificate, or a request to poll while an external CA is being asked.

use axum::Json;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use chancery_authority::issuance::{Issuance, Issued, Zeroizing};
use chancery_authority::{Authority, Call};
use chancery_model::Warning;
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_pkix::{Certificate, pem};
use chancery_wire as wire;
use chancery_wire::certificate::{FlatIssueAnswer, IssueAnswer, IssuedCertificate, OrderAnswer};
use serde::Serialize;

use crate::authority_certificate::pem_chain;
use crate::certificate::readable_key;
use crate::error::{ApiError, warnings};
use crate::gate::RepeatedBody;
use crate::request;

/// How the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// The root stays out of the chain.
    pub without_root: bool,
    /// Seconds that the caller waits for an external CA.
    pub wait: u64,
}

/// How far a request has come when it is answered.
pub(crate) enum Outcome {
    Issued(Box<Issued>, Wish),
    Open(Box<CertificateRequest>, Vec<Warning>),
}

impl Outcome {
    /// Waits as long as is wished for what is ordered at an external CA.
    pub async fn of(authority: &Authority, call: &Call, issuance: Issuance, wish: Wish) -> Result<Self, ApiError> {
        let pending = match issuance {
            Issuance::Issued(issued) => return Ok(Self::Issued(issued, wish)),
            Issuance::Pending(pending) => *pending,
        };
        if wish.wait == 0 {
            return Ok(Self::Open(Box::new(pending.request), pending.warnings));
        }
        let request = authority.await_request(call, pending.request.id, wish.wait).await?;
        match issued(authority, call, &request).await? {
            Some(issued) => Ok(Self::Issued(Box::new(issued), wish)),
            None => Ok(Self::Open(Box::new(request), pending.warnings)),
        }
    }

    pub fn nested(&self) -> Response {
        match self {
            Self::Issued(issued, wish) => respond(issued, issue_answer(issued, wish.without_root)),
            Self::Open(request, noted) => Json(open_answer(request, noted)).into_response(),
        }
    }

    pub fn flat(&self, further: Option<wire::Warning>) -> Response {
        match self {
            Self::Issued(issued, wish) => {
                let mut answer = flat_answer(issued, wish.without_root);
                answer.warnings.extend(further);
                respond(issued, answer)
            }
            Self::Open(request, noted) => {
                let mut answer = flat_open_answer(request, noted);
                answer.warnings.extend(further);
                Json(answer).into_response()
            }
        }
    }
}

/// What the older order route says besides.
pub(crate) struct Ordered {
    pub project_id: uuid::Uuid,
    /// Slug.
    pub profile_name: String,
    pub common_name: Option<String>,
}

impl Outcome {
    pub fn ordered(&self, about: Ordered) -> Response {
        let Ordered { project_id, profile_name, common_name } = about;
        let nested = match self {
            Self::Issued(issued, wish) => issue_answer(issued, wish.without_root),
            Self::Open(request, noted) => open_answer(request, noted),
        };
        let IssueAnswer { certificate, certificate_request_id, status, message, warnings } = nested;
        let answer = OrderAnswer {
            certificate_request_id,
            status,
            certificate,
            message,
            project_id,
            profile_name,
            common_name,
            warnings,
        };
        match self {
            Self::Issued(issued, _) => respond(issued, answer),
            Self::Open(..) => Json(answer).into_response(),
        }
    }
}

/// What a request that has ended well has brought.
async fn issued(authority: &Authority, call: &Call, request: &CertificateRequest) -> Result<Option<Issued>, ApiError> {
    let Some(id) = request.certificate_id.filter(|_| request.status == RequestStatus::Issued) else { return Ok(None) };
    let certificate = authority.certificate_of(call, id).await?;
    Ok(Some(Issued {
        request_id: request.id,
        chain: authority.chain(&certificate).await?,
        private_key: readable_key(authority, call, &certificate).await?.map(Zeroizing::new),
        warnings: request::kept_warnings(&request.document),
        certificate,
    }))
}

/// The answer, and beside it what an `Idempotency-Key` may repeat: a key that is not kept here is shown only once.
fn respond<T: Serialize + WithoutKey>(issued: &Issued, answer: T) -> Response {
    let shown_once = issued.private_key.is_some() && issued.certificate.key_id.is_none();
    let mut response = Json(&answer).into_response();
    if shown_once && let Ok(repeated) = serde_json::to_vec(&answer.without_key()) {
        response.extensions_mut().insert(RepeatedBody(Bytes::from(repeated)));
    }
    response
}

trait WithoutKey {
    fn without_key(self) -> Self;
}

impl WithoutKey for IssueAnswer {
    fn without_key(mut self) -> Self {
        if let Some(certificate) = &mut self.certificate {
            certificate.private_key = None;
        }
        self
    }
}

impl WithoutKey for OrderAnswer {
    fn without_key(mut self) -> Self {
        if let Some(certificate) = &mut self.certificate {
            certificate.private_key = None;
        }
        self
    }
}

impl WithoutKey for FlatIssueAnswer {
    fn without_key(mut self) -> Self {
        self.private_key = None;
        self
    }
}

fn issue_answer(issued: &Issued, without_root: bool) -> IssueAnswer {
    IssueAnswer {
        certificate: Some(issued_certificate(issued, without_root)),
        certificate_request_id: issued.request_id.as_uuid(),
        status: wire::words::RequestStatus::Issued,
        message: None,
        warnings: warnings(&issued.warnings),
    }
}

fn flat_answer(issued: &Issued, without_root: bool) -> FlatIssueAnswer {
    let nested = issued_certificate(issued, without_root);
    FlatIssueAnswer {
        certificate: nested.certificate,
        issuing_ca_certificate: nested.issuing_ca_certificate,
        certificate_chain: nested.certificate_chain,
        private_key: nested.private_key,
        serial_number: nested.serial_number,
        certificate_id: nested.certificate_id,
        certificate_request_id: issued.request_id.as_uuid(),
        status: Some(wire::words::RequestStatus::Issued),
        message: None,
        warnings: warnings(&issued.warnings),
    }
}

fn issued_certificate(issued: &Issued, without_root: bool) -> IssuedCertificate {
    IssuedCertificate {
        certificate: pem::encode(pem::CERTIFICATE, &issued.certificate.der),
        issuing_ca_certificate: issuing_ca(issued),
        certificate_chain: chain(issued, without_root),
        private_key: issued.private_key.as_ref().map(|key| key.as_str().to_owned()),
        serial_number: issued.certificate.serial_number.clone(),
        certificate_id: issued.certificate.id.as_uuid(),
    }
}

fn issuing_ca(issued: &Issued) -> String {
    issuing_ca_of(&issued.certificate, &issued.chain)
}

/// Nothing for a certificate that is its own issuer, or whose chain is not known.
pub(crate) fn issuing_ca_of(certificate: &chancery_model::certificate::Certificate, chain: &[Vec<u8>]) -> String {
    let above = chain.first().filter(|der| **der != certificate.der);
    above.map(|der| pem::encode(pem::CERTIFICATE, der)).unwrap_or_default()
}

/// Issuing CA first, root last. A self-signed certificate is its own chain, with or without roots.
fn chain(issued: &Issued, without_root: bool) -> String {
    match issued.chain.split_last() {
        Some((last, rest)) if without_root && *last != issued.certificate.der && is_root(last) => pem_chain(rest),
        _ => pem_chain(&issued.chain),
    }
}

fn is_root(der: &[u8]) -> bool {
    Certificate::from_der(der).is_ok_and(|it| it.issuer_der() == it.subject_der())
}

fn open_answer(request: &CertificateRequest, noted: &[Warning]) -> IssueAnswer {
    IssueAnswer {
        certificate: None,
        certificate_request_id: request.id.as_uuid(),
        status: request::status(request.status),
        message: Some(message(request)),
        warnings: warnings(noted),
    }
}

/// Empty where a certificate will be; its id is the request's until it has one.
fn flat_open_answer(request: &CertificateRequest, noted: &[Warning]) -> FlatIssueAnswer {
    FlatIssueAnswer {
        certificate: String::new(),
        issuing_ca_certificate: String::new(),
        certificate_chain: String::new(),
        private_key: None,
        serial_number: String::new(),
        certificate_id: request.certificate_id.map_or_else(|| request.id.as_uuid(), |id| id.as_uuid()),
        certificate_request_id: request.id.as_uuid(),
        status: Some(request::status(request.status)),
        message: Some(message(request)),
        warnings: warnings(noted),
    }
}

/// What is waited for, or why nothing will come.
fn message(request: &CertificateRequest) -> String {
    let told = request.error_message.as_ref().or(request.pending_message.as_ref());
    told.cloned().unwrap_or_else(|| {
        "The external CA is being asked; read the certificate request until it is issued or has failed".to_owned()
    })
}
