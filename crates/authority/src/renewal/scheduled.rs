//! Renewal by the server itself: the job of a certificate that is due.
//!
//! Successor, predecessor's mark and the end of the job are one transaction under the job's fence, and so are the traces of
//! a failure: of two nodes that hold the same job, the one that was paused writes nothing.

use chancery_model::audit::{AuditEvent, AuditRecord, Outcome};
use chancery_model::certificate::Certificate;
use chancery_model::job::{Fence, Job};
use chancery_model::{CertificateId, Randomness, Timestamp};
use chancery_store::{Change, Conflict, StoreError, Write};

use super::obstacle::{Obstacle, RenewalCounters, RenewalErrorType};
use super::renew::{Attempt, RenewalKeySource};
use crate::Authority;
use crate::call::Call;
use crate::enrollment::Attributes;
use crate::error::Error;
use crate::issuance::Issuance;
use crate::issuance::record::refusal;
use crate::jobs::Backoff;

/// How long after its end a certificate is still tried: by then somebody has replaced it, or nobody needs it.
const GIVE_UP_SECONDS: i64 = 30 * 86_400;
/// How long to leave an order alone that somebody else has made.
const BEING_RENEWED_SECONDS: i64 = 3_600;
const RETRY_FIRST_MIN: i64 = 10;
const RETRY_FIRST_MAX: i64 = 300;
const RETRY_LONGEST: i64 = 6 * 3_600;

/// Renews the certificate of the job, or writes down why not and when the next try is.
pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let id = CertificateId::from_uuid(job.key.object);
    let found = authority.reader().certificate(job.project_id, id).await?;
    let Some(old) = found.filter(|it| it.renewal.renewed_by.is_none() && it.revocation.is_none()) else {
        return finish(authority, fence, None).await;
    };
    // It may have been switched off, or put off, since the job was looked up.
    match old.renewal.due_at {
        None => return finish(authority, fence, None).await,
        Some(due_at) if due_at > authority.now() => return finish(authority, fence, Some(due_at)).await,
        Some(_) => {}
    }
    let call = Call::system(job.project_id);
    let source = if old.key_id.is_some() { RenewalKeySource::New } else { RenewalKeySource::Reuse };
    let attempt = Attempt { old: &old, source, csr: None, edits: Attributes::default(), fence: Some(fence) };
    match authority.try_renewal(&call, attempt).await {
        Ok(Issuance::Issued(_)) => {
            authority.renewal_counters().count_renewed();
            Ok(())
        }
        // Ordered elsewhere; whoever brings it home counts it.
        Ok(Issuance::Pending(_)) => Ok(()),
        // Somebody has had it ordered already: that order ends with a successor, or makes this due again.
        Err(Obstacle::Failed(Error::Store(StoreError::Conflict(Conflict::BeingRenewed)))) => {
            finish(authority, fence, Some(authority.now().plus_seconds(BEING_RENEWED_SECONDS))).await
        }
        Err(Obstacle::Failed(error @ Error::Store(StoreError::Conflict(Conflict::Stale)))) => Err(error),
        // Renewed by somebody, or revoked, while this was under way: nothing is left to do.
        Err(Obstacle::Failed(Error::Store(StoreError::Conflict(Conflict::AlreadyRenewed)))) => {
            finish(authority, fence, None).await
        }
        Err(obstacle) => authority.postpone_renewal(&call, (job, fence), &old, obstacle).await,
    }
}

async fn finish(authority: &Authority, fence: Fence, next: Option<Timestamp>) -> Result<(), Error> {
    authority.commit(Write::default().with(Change::FinishJob { fence, next })).await
}

impl Authority {
    /// How the renewals ended that this process began by itself.
    #[must_use]
    pub fn renewal_counters(&self) -> &RenewalCounters {
        self.stages().renewals()
    }

    /// Writes the obstacle down under the fence, with the time of the next try or that there is none.
    pub(super) async fn postpone_renewal(
        &self,
        call: &Call,
        (job, fence): (&Job, Fence),
        old: &Certificate,
        obstacle: Obstacle,
    ) -> Result<(), Error> {
        let now = self.now();
        let (kind, error, refused) = told(call, old, obstacle, now);
        let next_try = next_try(old, job.attempts, now, self.random());
        let message = match next_try {
            Some(_) => error.public_message(),
            None => last_words(&error.public_message()),
        };
        tracing::warn!(%error, certificate = %old.id, r#type = kind.as_str(), "A certificate could not be renewed.");
        let verdict = match next_try {
            Some(due_at) => Change::RetryJob { fence, due_at, error: message.clone() },
            None => Change::FinishJob { fence, next: None },
        };
        let details = serde_json::json!({
            "type": kind.as_str(),
            "code": error.code(),
            "message": message,
            "violations": error.violations(),
            "attempt": job.attempts.saturating_add(1),
            "nextTry": next_try.map(|it| it.to_string()),
        });
        let object = Some(("certificate", old.id.as_uuid()));
        let mut audit = call.audit(now, AuditEvent::CertificateRenewalFailed, object, details);
        audit.outcome = Outcome::Failure;
        let mut write =
            Write::default().with(verdict).with(Change::SetRenewalError { id: old.id, error: Some(message), at: now });
        write.audit.extend(refused);
        self.commit(write.audited(audit)).await?;
        self.renewal_counters().count(kind);
        Ok(())
    }
}

/// An obstacle as word and error; a refusal by rules also as the entry that holds the whole enrolment.
fn told(
    call: &Call,
    old: &Certificate,
    obstacle: Obstacle,
    now: Timestamp,
) -> (RenewalErrorType, Error, Option<AuditRecord>) {
    match obstacle {
        Obstacle::Standing(kind, error) => (kind, error, None),
        Obstacle::Request(error) | Obstacle::Unresolved(_, error) | Obstacle::Failed(error) => {
            (RenewalErrorType::of(&error), error, None)
        }
        Obstacle::Refused(refused) => {
            let (error, audit) = refusal(call, Some(old), *refused, now);
            (RenewalErrorType::of(&error), error, Some(audit))
        }
    }
}

/// Soon at first and never so late that no try is left before the end; `None` when it is given up.
pub(crate) fn next_try(
    old: &Certificate,
    earlier_failures: u32,
    now: Timestamp,
    random: &dyn Randomness,
) -> Option<Timestamp> {
    let remaining = old.not_after.as_seconds() + 1 - now.as_seconds();
    let backoff = match remaining {
        left if left < -GIVE_UP_SECONDS => return None,
        left if left <= 0 => Backoff { first: RETRY_FIRST_MAX, longest: RETRY_LONGEST },
        left => Backoff {
            first: (left / 20).clamp(RETRY_FIRST_MIN, RETRY_FIRST_MAX),
            longest: (left / 4).min(RETRY_LONGEST),
        },
    };
    Some(now.plus_seconds(backoff.seconds(earlier_failures, random)))
}

/// Whether a try at that time would be one at all.
pub(crate) const fn is_tried_at(old: &Certificate, at: Timestamp) -> bool {
    old.not_after.as_seconds() + 1 - at.as_seconds() >= -GIVE_UP_SECONDS
}

pub(crate) fn last_words(reason: &str) -> String {
    format!("The server stopped trying to renew this certificate 30 days after its end. The last reason: {reason}")
}

#[cfg(test)]
mod tests {
    use chancery_model::random::SeededRandomness;

    use super::super::due::tests::lasting;
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn the_next_try_comes_soon_at_first_and_never_too_late() {
        let random = SeededRandomness::new(5);
        // Life, seconds since the issue, failures so far, the wait without its jitter of a fifth.
        for (life, passed, failures, expected) in [
            (90 * DAY, 60 * DAY, 0, Some(300)),
            (90 * DAY, 60 * DAY, 1, Some(600)),
            (90 * DAY, 60 * DAY, 20, Some(6 * 3_600)),
            (90 * DAY, 90 * DAY - 3_600, 20, Some(900)),
            (600, 402, 0, Some(10)),
            (600, 402, 20, Some(49)),
            (600, 592, 0, Some(2)),
            (600, 599, 0, Some(1)),
            (600, 600, 0, Some(300)),
            (600, 600 + 29 * DAY, 50, Some(6 * 3_600)),
            (600, 600 + 30 * DAY, 50, Some(6 * 3_600)),
            (600, 601 + 30 * DAY, 50, None),
        ] {
            let old = lasting(life);
            for _ in 0..50 {
                let now = old.created_at.plus_seconds(passed);
                let wait = next_try(&old, failures, now, &random).map(|at| at.as_seconds() - now.as_seconds());
                let fits = match (wait, expected) {
                    (Some(wait), Some(middle)) => (wait - middle).abs() <= middle / 5 && wait > 0,
                    (wait, expected) => wait == expected,
                };
                assert!(fits, "{life} {passed} {failures}: {wait:?}");
            }
        }
    }
}
