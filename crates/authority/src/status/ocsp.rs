//! Answering OCSP requests (RFC 6960, RFC 9654).
//!
//! The store is asked for every answer, so a revocation is seen at once on every node. What is spared, for requests
//! without a nonce, is the signature: a signed answer is given again while the status is the same and it is young.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chancery_keys::Signer as _;
use chancery_model::certificate::{Revocation, RevocationReason};
use chancery_model::{CaId, KeyId, Timestamp};
use chancery_pkix::SerialNumber;
use chancery_pkix::ocsp::{
    CertId, CertStatus, OcspErrorStatus, OcspRequest, ResponseData, SingleResponse, assemble_response,
};

use super::responder::{Responder, RespondersOfCa, Signing};
use crate::Authority;
use crate::error::Error;

/// How long an answer holds: a stapling server may live on it while this one is away.
const LIFE_SECONDS: i64 = 86_400;
/// How long a signed answer is given again, in seconds.
const REUSE_SECONDS: i64 = 3_600;
/// Signed answers kept; beyond that all are forgotten, which only costs signatures.
const ANSWERS_MAX: usize = 100_000;

/// An OCSPResponse and how long it may be kept.
#[derive(Clone, Debug)]
pub struct OcspAnswer {
    pub der: Arc<[u8]>,
    pub produced_at: Timestamp,
    /// Absent for an answer that says only that there is none.
    pub next_update: Option<Timestamp>,
    /// Whether caches between here and the client may give it to others: no nonce, one certificate, a definite status.
    pub cacheable: bool,
}

/// Signed answers, by the key that signed and the CertID as it was asked.
#[derive(Default)]
pub(crate) struct Answers {
    signed: RwLock<HashMap<(KeyId, Vec<u8>), Kept>>,
    counters: Counters,
}

struct Kept {
    status: Status,
    responder_until: Timestamp,
    answer: OcspAnswer,
}

#[derive(Default)]
struct Counters {
    good: AtomicU64,
    revoked: AtomicU64,
    unknown: AtomicU64,
    refused: AtomicU64,
}

/// Answers since the start, by what they said; `refused` counts malformed requests and those that had to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OcspCounters {
    pub good: u64,
    pub revoked: u64,
    pub unknown: u64,
    pub refused: u64,
}

/// What the store says about one serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Good,
    Revoked(Revocation),
    /// Never issued by this key.
    Unknown,
}

impl Status {
    fn as_response(self) -> CertStatus {
        match self {
            Self::Good => CertStatus::Good,
            Self::Unknown => CertStatus::Unknown,
            Self::Revoked(it) => CertStatus::Revoked { at: it.at.as_seconds(), reason: reason_code(it.reason) },
        }
    }
}

/// RFC 5280 §5.3.1: "unspecified" is said by saying nothing.
pub(crate) const fn reason_code(reason: RevocationReason) -> Option<u8> {
    match reason {
        RevocationReason::Unspecified => None,
        other => Some(other.code()),
    }
}

impl Authority {
    /// Answers an OCSP request about certificates of one CA. Whatever goes wrong is an answer too: `malformedRequest`,
    /// `unauthorized` for a CA that is not here, `tryLater` while the store or the responder is away.
    pub async fn ocsp(&self, ca: CaId, request_der: &[u8]) -> OcspAnswer {
        let request = match OcspRequest::from_der(request_der) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%error, "a malformed OCSP request");
                return self.refusal(OcspErrorStatus::MalformedRequest);
            }
        };
        match self.answer(ca, &request).await {
            Ok(answer) => answer,
            Err(Refusal::Elsewhere) => self.refusal(OcspErrorStatus::Unauthorized),
            Err(Refusal::Later(error)) => {
                tracing::warn!(%error, %ca, "an OCSP request could not be answered");
                self.refusal(OcspErrorStatus::TryLater)
            }
        }
    }

    #[must_use]
    pub fn ocsp_counters(&self) -> OcspCounters {
        let counters = &self.status_state().answers.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        OcspCounters {
            good: read(&counters.good),
            revoked: read(&counters.revoked),
            unknown: read(&counters.unknown),
            refused: read(&counters.refused),
        }
    }

    fn refusal(&self, status: OcspErrorStatus) -> OcspAnswer {
        self.status_state().answers.counters.refused.fetch_add(1, Ordering::Relaxed);
        OcspAnswer { der: status.to_der().into(), produced_at: self.now(), next_update: None, cacheable: false }
    }

    async fn answer(&self, ca: CaId, request: &OcspRequest) -> Result<OcspAnswer, Refusal> {
        let responders = self.responders_of(ca).await?;
        let (responder, signing) = chosen(&responders, request, self.now())?;
        let mut statuses = Vec::with_capacity(request.requests.len());
        for cert_id in &request.requests {
            statuses.push(self.status_of(ca, responder, cert_id).await?);
        }
        self.count(&statuses);
        if let ([cert_id], [status], None) = (request.requests.as_slice(), statuses.as_slice(), &request.nonce) {
            let key = (responder.ca_key, cert_id.der.clone());
            if let Some(kept) = self.kept(&key, *status, signing) {
                return Ok(kept);
            }
            let answer = self.sign_answer(signing, request, &statuses)?;
            self.keep(key, *status, signing, &answer);
            return Ok(answer);
        }
        Ok(self.sign_answer(signing, request, &statuses)?)
    }

    /// Never "good" for what this key did not issue.
    async fn status_of(&self, ca: CaId, responder: &Responder, cert_id: &CertId) -> Result<Status, Error> {
        if !responder.hashes.matches(cert_id) {
            return Ok(Status::Unknown);
        }
        let number = SerialNumber::from_bytes(&cert_id.serial).ok();
        let Some(number) = number.filter(|it| it.to_content_octets() == cert_id.serial) else {
            return Ok(Status::Unknown);
        };
        let found = self.reader().serial_status(ca, number.as_bytes()).await?;
        let of_this_key =
            found.filter(|it| it.ca_certificate_id.is_some_and(|id| responder.certificates.contains(&id)));
        let revocation = match &of_this_key {
            Some(found) => found.revocation,
            // An imported CA's last CRL lists certificates that nobody brought along.
            None => self.listed_revocation(responder.ca_key, number.as_bytes()).await?,
        };
        Ok(match revocation {
            Some(revocation) => Status::Revoked(revocation),
            None if of_this_key.is_some() => Status::Good,
            None => Status::Unknown,
        })
    }

    fn sign_answer(&self, signing: &Signing, request: &OcspRequest, statuses: &[Status]) -> Result<OcspAnswer, Error> {
        let now = Timestamp::from_seconds(self.now().as_seconds());
        let next_update = now.plus_seconds(LIFE_SECONDS).min(signing.not_after);
        let responses: Vec<SingleResponse<'_>> = request
            .requests
            .iter()
            .zip(statuses)
            .map(|(cert_id, status)| SingleResponse {
                cert_id_der: &cert_id.der,
                status: status.as_response(),
                this_update: now.as_seconds(),
                next_update: Some(next_update.as_seconds()),
            })
            .collect();
        let data = ResponseData {
            responder: signing.id.clone(),
            produced_at: now.as_seconds(),
            responses: &responses,
            nonce: request.nonce.as_deref(),
            extended_revoke: false,
        }
        .to_der()
        .map_err(Error::internal)?;
        let signature = signing.key.sign(signing.algorithm, &data).map_err(Error::internal)?;
        let der = assemble_response(&data, signing.algorithm, &signature, &[&signing.der]);
        let definite = !statuses.contains(&Status::Unknown);
        let cacheable = definite && request.nonce.is_none() && statuses.len() == 1;
        Ok(OcspAnswer { der: der.into(), produced_at: now, next_update: Some(next_update), cacheable })
    }

    fn kept(&self, key: &(KeyId, Vec<u8>), status: Status, signing: &Signing) -> Option<OcspAnswer> {
        let answers = self.status_state().answers.signed.read().unwrap_or_else(PoisonError::into_inner);
        let kept = answers.get(key)?;
        let age = self.now().as_seconds() - kept.answer.produced_at.as_seconds();
        let holds = kept.status == status
            && kept.responder_until == signing.not_after
            && (0..REUSE_SECONDS).contains(&age)
            && kept.answer.next_update.is_some_and(|end| end > self.now());
        holds.then(|| kept.answer.clone())
    }

    fn keep(&self, key: (KeyId, Vec<u8>), status: Status, signing: &Signing, answer: &OcspAnswer) {
        // Serial numbers nobody has issued are without number: remembering them would only push the others out.
        if status == Status::Unknown {
            return;
        }
        let mut answers = self.status_state().answers.signed.write().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(key, Kept { status, responder_until: signing.not_after, answer: answer.clone() });
    }

    fn count(&self, statuses: &[Status]) {
        let counters = &self.status_state().answers.counters;
        for status in statuses {
            let counter = match status {
                Status::Good => &counters.good,
                Status::Revoked(_) => &counters.revoked,
                Status::Unknown => &counters.unknown,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

enum Refusal {
    /// The CA is not one of ours.
    Elsewhere,
    Later(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Later(error)
    }
}

/// The responder of the key that is asked about. A request about a key that is none of this CA's is answered by the CA's
/// newest key, which can say nothing but "unknown".
fn chosen<'a>(
    responders: &'a RespondersOfCa,
    request: &OcspRequest,
    now: Timestamp,
) -> Result<(&'a Responder, &'a Signing), Refusal> {
    let asked = responders.all.iter().find(|it| request.requests.iter().any(|id| it.hashes.matches(id)));
    let responder = asked.or_else(|| responders.all.first()).ok_or(Refusal::Elsewhere)?;
    let signing = responder.signer.as_ref().filter(|it| it.not_after > now && it.not_before <= now);
    let away = || Refusal::Later(Error::Unavailable(format!("CA key {} has no responder just now", responder.ca_key)));
    Ok((responder, signing.ok_or_else(away)?))
}
