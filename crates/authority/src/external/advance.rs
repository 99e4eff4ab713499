//! The job of an order: step after step at the CA, each written down before the next, until there is a certificate or a
//! reason why not; then what the order left outside is removed.
//!
//! Everything is written under the job's fence. What dies in between is taken up by whoever leases the job next, from the
//! last state that was written.

use std::time::Duration;

use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::authority::CaStatus;
use chancery_model::certificate::Certificate;
use chancery_model::external::ExternalCa;
use chancery_model::job::{Fence, Job};
use chancery_model::order::{ExternalOrder, OrderPhase};
use chancery_model::request::RequestStatus;
use chancery_model::{RequestId, Timestamp, Warning};
use chancery_store::{Change, Conflict, ExternalChange, StoreError, Write};
use serde_json::json;

use super::upstream::{ExternalCertificate, Next, OrderInHand, Site, Step, UpstreamError, UpstreamErrorKind};
use super::{accept, home};
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::jobs::{Backoff, LEASE_SECONDS};
use crate::renewal::RenewalErrorType;

/// Steps in a row, before the job makes room for others.
pub(super) const STEPS_MAX: usize = 64;
/// For one step.
const STEP_SECONDS: u64 = 75;
/// The longest wait between two looks at a CA, whatever it asks for.
const WAIT_MAX_SECONDS: i64 = 6 * 3_600;
pub(super) const ERROR_BACKOFF: Backoff = Backoff { first: 3, longest: 900 };

pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let id = RequestId::from_uuid(job.key.object);
    let Some(order) = authority.reader().order(job.project_id, id).await? else {
        return authority.commit(Write::default().with(Change::FinishJob { fence, next: None })).await;
    };
    let turn = Turn { authority, job, fence };
    match order.phase {
        OrderPhase::Done => turn.finish(Write::default(), None).await,
        OrderPhase::Tidying => turn.tidy(order).await,
        OrderPhase::Ordering => match turn.advance(order).await {
            // Cancelled while a step was taken? Then the fence still holds, and there is something to tidy.
            Err(Error::Store(StoreError::Conflict(Conflict::Stale))) => {
                match authority.reader().order(job.project_id, id).await? {
                    Some(order) if order.phase == OrderPhase::Tidying => turn.tidy(order).await,
                    _ => Err(Error::Store(StoreError::Conflict(Conflict::Stale))),
                }
            }
            other => other,
        },
    }
}

/// Whether a lease goes on after a step.
#[derive(PartialEq, Eq)]
enum Turned {
    GoesOn,
    /// The job was finished for now.
    Over,
}

/// One lease of an order's job.
pub(super) struct Turn<'a> {
    pub authority: &'a Authority,
    pub job: &'a Job,
    pub fence: Fence,
}

impl Turn<'_> {
    async fn advance(&self, order: ExternalOrder) -> Result<(), Error> {
        let authority = self.authority;
        // Before anything that could be in the way for ever.
        if let Some(text) = self.given_up(&order).await? {
            return self.fail(&order, &text, None).await;
        }
        let Some(ca) = authority.reader().external_ca(order.project_id, order.ca_id).await? else {
            return self.fail(&order, "the certification authority was removed", None).await;
        };
        let implementation = authority.implementation(ca.kind())?;
        let (old, predecessor) = self.predecessor(&order).await?;
        if let Some(text) = obsolete(&order, old.as_ref()) {
            return self.fail(&order, text, None).await;
        }
        let mut site = match self.open(&order, ca).await? {
            Ok(site) => site,
            Err(text) => return self.put_off(&order, &UpstreamError::passing(text), false).await,
        };
        let mut hand = OrderInHand { order, predecessor };
        let mut has_moved = false;
        for _ in 0..STEPS_MAX {
            if let Some(text) = self.given_up(&hand.order).await? {
                return self.fail(&hand.order, &text, None).await;
            }
            site.now = authority.now();
            match authority.ask(site.ca.id, implementation.advance(&site, &hand)).await {
                Err(error) if error.kind == UpstreamErrorKind::Lasting => {
                    self.log(&site.ca, &error);
                    return self.fail(&hand.order, &error.text, None).await;
                }
                Err(error) => {
                    self.log(&site.ca, &error);
                    return self.put_off(&hand.order, &error, has_moved).await;
                }
                Ok(step) => {
                    if self.stepped(&mut hand.order, step, old.as_ref()).await? == Turned::Over {
                        return Ok(());
                    }
                    has_moved = true;
                }
            }
        }
        self.finish(Write::default(), Some(1)).await
    }

    /// What is said of an order that has taken too long: what stood in its way last.
    async fn given_up(&self, order: &ExternalOrder) -> Result<Option<String>, Error> {
        if self.authority.now() <= order.give_up_at {
            return Ok(None);
        }
        let waited_for = match &self.job.last_error {
            Some(error) => Some(error.clone()),
            None => {
                let request = self.authority.reader().request(order.project_id, order.request_id).await?;
                request.and_then(|it| it.pending_message)
            }
        };
        let last = waited_for.as_deref().unwrap_or("it did not finish");
        Ok(Some(format!("given up after {}: {last}", lasted(order))))
    }

    /// Writes down what a step has come to.
    async fn stepped(
        &self,
        order: &mut ExternalOrder,
        step: Step,
        predecessor: Option<&Certificate>,
    ) -> Result<Turned, Error> {
        let Step { state, reference, challenges, next } = step;
        let now = self.authority.now();
        order.state = state;
        order.reference = reference.or_else(|| order.reference.take());
        let kept = Change::External(ExternalChange::AdvanceOrder {
            request_id: order.request_id,
            state: order.state.clone(),
            reference: order.reference.clone(),
            challenges,
            at: now,
        });
        match next {
            Next::Continue => {
                let extend = Change::ExtendLease { fence: self.fence, lease_until: now.plus_seconds(LEASE_SECONDS) };
                self.authority.commit(Write::default().with(extend).with(kept)).await?;
                return Ok(Turned::GoesOn);
            }
            Next::Wait { seconds, validating, message } => {
                let status = if validating { RequestStatus::PendingValidation } else { RequestStatus::Pending };
                let told = Change::SetRequestPending { id: order.request_id, status, message: Some(message), at: now };
                let wait = i64::from(seconds).clamp(1, WAIT_MAX_SECONDS).min(left(order, now));
                self.finish(Write::default().with(kept).with(told), Some(wait)).await?;
            }
            Next::Failed { message } => self.fail(order, &message, None).await?,
            Next::Issued { chain, warnings } => {
                let der = chain.first().map(Vec::as_slice);
                let ended = match accept::accept(order, &chain, now)? {
                    Ok(mut accepted) => {
                        let more = warnings.into_iter().map(|text| Warning::new("external.ca", "certificate", text));
                        accepted.warnings.extend(more);
                        self.bring_home(order, accepted, predecessor).await
                    }
                    Err(faults) => self.quarantine(order, der, &faults).await,
                };
                if matches!(ended, Err(Error::Store(StoreError::Conflict(Conflict::Stale)))) {
                    self.issued_in_vain(order, der).await?;
                }
                ended?;
            }
        }
        Ok(Turned::Over)
    }

    /// Whether the CA may be asked; the text says what is in the way for now.
    async fn open(&self, order: &ExternalOrder, ca: ExternalCa) -> Result<Result<Site, String>, Error> {
        if ca.status != CaStatus::Active {
            return Ok(Err(format!("the certification authority '{}' is {}", ca.name, ca.status.as_str())));
        }
        match self.authority.site_of(ca).await {
            Ok(site) => Ok(Ok(site)),
            Err(Error::NotFound { .. }) => {
                Ok(Err("an app connection of the certification authority was removed; give it another".to_owned()))
            }
            Err(error) => {
                tracing::warn!(%error, request = %order.request_id, "An external CA could not be opened.");
                Err(error)
            }
        }
    }

    /// The certificate that is renewed, and what the CA knows of it: nothing of one that came from another CA, as before
    /// its profile was given this one.
    async fn predecessor(
        &self,
        order: &ExternalOrder,
    ) -> Result<(Option<Certificate>, Option<ExternalCertificate>), Error> {
        let Some(id) = order.renews else { return Ok((None, None)) };
        let Some(old) = self.authority.reader().certificate(order.project_id, id).await? else {
            return Ok((None, None));
        };
        let known =
            if old.ca_id == Some(order.ca_id) { Some(self.authority.external_certificate(&old).await?) } else { None };
        Ok((Some(old), known))
    }

    /// Ends the lease; the job is due again after so many seconds, or gone.
    pub(super) async fn finish(&self, rest: Write, next_seconds: Option<i64>) -> Result<(), Error> {
        let next = next_seconds.map(|seconds| self.authority.now().plus_seconds(seconds));
        let mut write = Write::default().with(Change::FinishJob { fence: self.fence, next });
        write.changes.extend(rest.changes);
        write.audit.extend(rest.audit);
        self.authority.commit(write).await
    }

    /// Something is in the way that may pass. After a step that was taken it is the first failure in a row.
    async fn put_off(&self, order: &ExternalOrder, error: &UpstreamError, has_moved: bool) -> Result<(), Error> {
        let now = self.authority.now();
        let earlier_failures = if has_moved { 0 } else { self.job.attempts };
        let wait = ERROR_BACKOFF.seconds(earlier_failures, self.authority.random());
        let asked = match error.kind {
            UpstreamErrorKind::Passing { retry_after } => i64::from(retry_after.unwrap_or(0)),
            UpstreamErrorKind::Lasting => 0,
        };
        let due_at = now.plus_seconds(wait.max(asked.min(WAIT_MAX_SECONDS)).min(left(order, now)));
        let message = format!("{}; tried again at {due_at}", error.text);
        let later = if has_moved {
            Change::FinishJob { fence: self.fence, next: Some(due_at) }
        } else {
            Change::RetryJob { fence: self.fence, due_at, error: error.text.clone() }
        };
        let told = Change::SetRequestPending {
            id: order.request_id,
            status: RequestStatus::Pending,
            message: Some(message),
            at: now,
        };
        self.authority.commit(Write::default().with(later).with(told)).await
    }

    /// What came back is put aside: nobody gets it, and somebody must look at it.
    pub(super) async fn quarantine(
        &self,
        order: &ExternalOrder,
        der: Option<&[u8]>,
        faults: &[String],
    ) -> Result<(), Error> {
        let Some(der) = der else { return self.fail(order, &faults.join("; "), None).await };
        let text = format!(
            "the certification authority sent a certificate that was not what had been asked for, so it was put aside: {}. Have it looked at, and revoked there",
            faults.join("; ")
        );
        self.fail(order, &text, Some(der.to_vec())).await
    }

    /// The end of an order without a certificate.
    pub(super) async fn fail(
        &self,
        order: &ExternalOrder,
        message: &str,
        quarantined: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let authority = self.authority;
        let call = Call::system(order.project_id);
        let now = authority.now();
        let event = if quarantined.is_some() { AuditEvent::CertificateQuarantined } else { AuditEvent::OrderFailed };
        let details = json!({
            "caId": order.ca_id, "message": message, "reference": order.reference, "renewedFrom": order.renews,
            "fingerprintSha256": quarantined.as_ref().map(|der| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(der))),
        });
        let mut audit = call.audit(now, event, Some(("request", order.request_id.as_uuid())), details);
        audit.outcome = Outcome::Failure;
        tracing::warn!(request = %order.request_id, message, "An order at an external CA has failed.");
        let mut write = Write::default().with(home::kept(order, now));
        let ended = authority.ended_without(order, message, quarantined).await?;
        write.changes.extend(ended.changes);
        write.audit.extend(ended.audit);
        let write = write.audited(audit);
        // What it left outside is removed at once.
        self.finish(write, Some(0)).await?;
        if order.plan.by_itself && order.renews.is_some() {
            authority.renewal_counters().count(RenewalErrorType::UnknownError);
        }
        authority.wake_jobs();
        authority.wake_waiting();
        Ok(())
    }

    pub(super) fn log(&self, ca: &ExternalCa, error: &UpstreamError) {
        tracing::warn!(
            ca = %ca.name, kind = ca.kind().as_str(), request = %self.job.key.object, %error, detail = error.detail,
            "An external CA did not do as asked."
        );
    }
}

/// Within the lease, whatever the implementation waits for.
pub(super) async fn in_time<T>(asking: super::Asking<'_, T>) -> Result<T, UpstreamError> {
    within(Duration::from_secs(STEP_SECONDS), asking).await
}

async fn within<T>(time: Duration, asking: super::Asking<'_, T>) -> Result<T, UpstreamError> {
    match tokio::time::timeout(time, asking).await {
        Ok(answer) => answer,
        Err(_) => {
            Err(UpstreamError::passing("the certification authority, or a service on the way to it, took too long"))
        }
    }
}

fn lasted(order: &ExternalOrder) -> String {
    let hours = (order.give_up_at.as_seconds() - order.created_at.as_seconds()) / 3_600;
    if hours > 72 { format!("{} days", hours / 24) } else { format!("{hours} hours") }
}

/// Seconds until an order is given up, and one: nobody waits longer to hear of it.
fn left(order: &ExternalOrder, now: Timestamp) -> i64 {
    (order.give_up_at.as_seconds() - now.as_seconds()).max(0) + 1
}

/// A certificate that has ended up otherwise before its CA was asked needs no successor any more.
fn obsolete(order: &ExternalOrder, predecessor: Option<&Certificate>) -> Option<&'static str> {
    let old = predecessor.filter(|_| order.state.is_null())?;
    if old.revocation.is_some() {
        return Some("the certificate that was to be renewed was revoked before the certification authority was asked");
    }
    old.renewal.renewed_by.map(|_| "the certificate was renewed otherwise before the certification authority was asked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_is_cut_off_before_the_lease_ends() {
        let never: crate::external::Asking<'_, ()> = Box::pin(std::future::pending());
        let error = within(Duration::from_millis(5), never).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: None });
        assert!(error.text.ends_with("took too long"));
        let slow: crate::external::Asking<'_, u8> = Box::pin(async { Ok(7) });
        assert_eq!(within(Duration::from_millis(5), slow).await, Ok(7));
        // With time to write down what came of it.
        assert!(i64::try_from(STEP_SECONDS).unwrap() + 30 <= LEASE_SECONDS);
    }
}
