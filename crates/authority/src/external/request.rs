//! What can be done with a request while a CA elsewhere is at it: wait for it, cancel it, have the validation looked at again.

use std::time::Duration;

use chancery_model::audit::AuditEvent;
use chancery_model::external::ChallengeKind;
use chancery_model::job::{JobKey, JobKind, NewJob};
use chancery_model::order::{ExternalOrder, OrderPhase};
use chancery_model::permission::Permission;
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_model::{RequestId, Timestamp};
use chancery_store::{Change, Conflict, StoreError, Write};
use serde_json::json;
use tokio::time::Instant;

use crate::Authority;
use crate::call::Call;
use crate::error::Error;

/// From a look that met with trouble to the next that somebody may ask for.
const TROUBLED_LOOK_SECONDS: i64 = 30;
/// Between two looks at a request that somebody waits for; another node may be the one that ends it.
const LOOK: Duration = Duration::from_millis(250);

const fn is_open(status: RequestStatus) -> bool {
    matches!(status, RequestStatus::Pending | RequestStatus::PendingApproval | RequestStatus::PendingValidation)
}

impl Authority {
    /// The request once it has ended, or as it stands after so many seconds.
    pub async fn await_request(&self, call: &Call, id: RequestId, seconds: u64) -> Result<CertificateRequest, Error> {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            let request = self.request_of(call, id).await?;
            if !is_open(request.status) || Instant::now() >= until {
                return Ok(request);
            }
            // Woken when this node has ended some request; a timeout is the usual case.
            let _ = tokio::time::timeout_at(until.min(Instant::now() + LOOK), self.waiting().notified()).await;
        }
    }

    /// Cancels a request that is not finished. A finished one stays as it is.
    pub async fn cancel_request(&self, call: &Call, id: RequestId) -> Result<(CertificateRequest, bool), Error> {
        call.requester.require_somewhere(Permission::CertificateIssue)?;
        let request = self.request_of(call, id).await?;
        call.requester.require_in(request.application_id, Permission::CertificateIssue)?;
        if !is_open(request.status) {
            return Ok((request, false));
        }
        let now = self.now();
        let message = "Cancelled by the requester";
        let order = self.reader().order(call.project_id(), id).await?;
        let write = match order.filter(|it| it.phase == OrderPhase::Ordering) {
            Some(order) => {
                self.ended_without(&order, message, None).await?.with(Change::ScheduleJob(advancing(&order, now)))
            }
            None => Write::default().with(Change::FinishRequest {
                id,
                status: RequestStatus::Failed,
                certificate_id: None,
                document: None,
                error_message: Some(message.to_owned()),
                at: now,
            }),
        };
        let audit = call.audit(now, AuditEvent::RequestCancelled, Some(("request", id.as_uuid())), json!({}));
        match self.commit(write.audited(audit)).await {
            Ok(()) => {}
            // It ended by itself in this moment.
            Err(Error::Store(StoreError::Conflict(Conflict::Stale))) => {
                return Ok((self.request_of(call, id).await?, false));
            }
            Err(error) => return Err(error),
        }
        self.wake_jobs();
        self.wake_waiting();
        Ok((self.request_of(call, id).await?, true))
    }

    /// Has the CA asked now instead of later. The order, where there is one, says how far it is.
    pub async fn trigger_validation(
        &self,
        call: &Call,
        id: RequestId,
    ) -> Result<(CertificateRequest, Option<ExternalOrder>), Error> {
        call.requester.require_somewhere(Permission::CertificateIssue)?;
        let request = self.request_of(call, id).await?;
        call.requester.require_in(request.application_id, Permission::CertificateIssue)?;
        let order = self.reader().order(call.project_id(), id).await?;
        if let Some(order) = order.as_ref().filter(|it| it.phase == OrderPhase::Ordering) {
            let now = self.now();
            let object = Some(("request", id.as_uuid()));
            let audit = call.audit(now, AuditEvent::ValidationTriggered, object, json!({}));
            let job = advancing(order, self.not_too_often(order, &request).await?);
            self.commit(Write::default().with(Change::ScheduleJob(job)).audited(audit)).await?;
            self.wake_jobs();
        }
        Ok((request, order))
    }

    /// Now; but where something is in the way, so many seconds after the last look: a CA that asked to be left alone is not
    /// asked by every impatient caller.
    async fn not_too_often(&self, order: &ExternalOrder, request: &CertificateRequest) -> Result<Timestamp, Error> {
        let key = advancing(order, self.now()).key;
        let is_in_trouble = self.reader().job(key).await?.is_some_and(|job| job.attempts > 0);
        let earliest = request.updated_at.plus_seconds(if is_in_trouble { TROUBLED_LOOK_SECONDS } else { 0 });
        Ok(earliest.max(self.now()))
    }

    /// What this server's challenge listeners answer for a token (HTTP-01) or name (TLS-ALPN-01): key authorizations. Public:
    /// the CA asks without an account.
    pub async fn challenge(&self, kind: ChallengeKind, name: &str) -> Result<Vec<String>, Error> {
        Ok(self.reader().challenges(kind, name).await?)
    }

    async fn request_of(&self, call: &Call, id: RequestId) -> Result<CertificateRequest, Error> {
        let request = self.reader().request(call.project_id(), id).await?;
        request.ok_or_else(|| Error::not_found("Certificate request", id))
    }
}

/// The job that takes an order on.
pub(crate) fn advancing(order: &ExternalOrder, due_at: Timestamp) -> NewJob {
    NewJob {
        key: JobKey { kind: JobKind::AdvanceOrder, object: order.request_id.as_uuid() },
        project_id: order.project_id,
        due_at,
        deadline: order.give_up_at,
    }
}
