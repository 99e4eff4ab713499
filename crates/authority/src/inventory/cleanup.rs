//! Clean-up: what has ended long ago leaves the inventory, where a project has asked for it.
//!
//! Off unless an administrator switches it on, and the first run is a day later, so that a mistake can be taken back. A
//! certificate that a CRL still lists stays (an expired one is listed until the CRL after its end), and so does one whose
//! renewal is still being tried. Serial numbers stay taken for ever.

use std::collections::HashSet;

use chancery_model::audit::AuditEvent;
use chancery_model::certificate::Certificate;
use chancery_model::job::{Fence, Job, JobKey, JobKind, NewJob};
use chancery_model::permission::Permission;
use chancery_model::{CertificateId, ProjectId, Timestamp};
use chancery_store::{Change, Write};
use serde::{Deserialize, Serialize};

use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::jobs::LEASE_SECONDS;

const DAY_SECONDS: i64 = 86_400;
/// Certificates removed by one write.
const BATCH: u32 = 500;
/// Certificates looked at for one write at most, those among them that have to stay.
const LOOKED_AT_MAX: u32 = 10_000;
/// Writes of one run; the rest is next day's, or the next minute's when that many were found.
const BATCHES_MAX: usize = 200;

/// Whether and when a project's ended certificates are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanUpPolicy {
    pub enabled: bool,
    /// Days after the end of its validity that a certificate is kept: 1 to 3650.
    pub expired_for_days: u32,
}

impl Default for CleanUpPolicy {
    fn default() -> Self {
        Self { enabled: false, expired_for_days: 90 }
    }
}

/// A change of it; what is absent stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct CleanUpPatch {
    pub enabled: Option<bool>,
    pub expired_for_days: Option<u32>,
}

fn policy_name(project: ProjectId) -> String {
    format!("clean-up/{project}")
}

fn job_key(project: ProjectId) -> JobKey {
    JobKey { kind: JobKind::CleanUp, object: project.as_uuid() }
}

impl Authority {
    /// The policy and, while it is on, the time of the next run.
    pub async fn clean_up_policy(&self, call: &Call) -> Result<(CleanUpPolicy, Option<Timestamp>), Error> {
        call.requester.require(Permission::ProjectRead)?;
        let policy = self.stored_policy(call.project_id()).await?;
        let next = match policy.enabled {
            true => self.reader().job(job_key(call.project_id())).await?.map(|job| job.due_at),
            false => None,
        };
        Ok((policy, next))
    }

    pub async fn set_clean_up_policy(
        &self,
        call: &Call,
        patch: CleanUpPatch,
    ) -> Result<(CleanUpPolicy, Option<Timestamp>), Error> {
        call.requester.require(Permission::ProjectEdit)?;
        let project_id = call.project_id();
        let before = self.stored_policy(project_id).await?;
        let after = CleanUpPolicy {
            enabled: patch.enabled.unwrap_or(before.enabled),
            expired_for_days: patch.expired_for_days.unwrap_or(before.expired_for_days),
        };
        if !(1..=3_650).contains(&after.expired_for_days) {
            return Err(Error::malformed("clean_up.days", "expiredForDays", "must be between 1 and 3650"));
        }
        if after == before {
            return self.clean_up_policy(call).await;
        }
        let now = self.now();
        let value = serde_json::to_vec(&after).map_err(Error::internal)?;
        let due_at = now.plus_seconds(DAY_SECONDS);
        let job = if after.enabled {
            Change::SetJob(NewJob { key: job_key(project_id), project_id, due_at, deadline: due_at })
        } else {
            Change::DropJob(job_key(project_id))
        };
        let object = Some(("project", project_id.as_uuid()));
        let details = serde_json::json!({ "cleanUp": { "before": before, "after": after } });
        let write = Write::default()
            .with(Change::SetMeta { key: policy_name(project_id), value })
            .with(job)
            .audited(call.audit(now, AuditEvent::ProjectUpdated, object, details));
        self.commit(write).await?;
        Ok((after, after.enabled.then_some(due_at)))
    }

    async fn stored_policy(&self, project: ProjectId) -> Result<CleanUpPolicy, Error> {
        let Some(value) = self.reader().meta(&policy_name(project)).await? else { return Ok(CleanUpPolicy::default()) };
        serde_json::from_slice(&value)
            .map_err(|error| Error::internal(format!("the clean-up policy of project {project}: {error}")))
    }
}

/// A day's clean-up of one project, in writes of a bounded size. Each write proves that the lease still holds.
pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let policy = authority.stored_policy(job.project_id).await?;
    if !policy.enabled {
        return authority.commit(Write::default().with(Change::FinishJob { fence, next: None })).await;
    }
    let started = authority.now();
    let before = started.plus_seconds(-i64::from(policy.expired_for_days) * DAY_SECONDS);
    let mut kept = HashSet::new();
    for _ in 0..BATCHES_MAX {
        let ended = removable(authority, job.project_id, before, &mut kept).await?;
        if ended.is_empty() {
            let next = Some(started.plus_seconds(DAY_SECONDS));
            return authority.commit(Write::default().with(Change::FinishJob { fence, next })).await;
        }
        let now = authority.now();
        let serials: Vec<&str> = ended.iter().map(|it| it.serial_number.as_str()).collect();
        let details = serde_json::json!({
            "count": ended.len(),
            "endedBefore": before.to_string(),
            "expiredForDays": policy.expired_for_days,
            "serialNumbers": serials,
        });
        let object = Some(("project", job.project_id.as_uuid()));
        let audit = Call::system(job.project_id).audit(now, AuditEvent::CertificatesCleanedUp, object, details);
        let write = Write::default()
            .with(Change::ExtendLease { fence, lease_until: now.plus_seconds(LEASE_SECONDS) })
            .with(Change::CleanUpCertificates { certificates: ended })
            .audited(audit);
        authority.commit(write).await?;
    }
    // A very long list goes on soon, after the others have had their turn.
    let next = Some(authority.now().plus_seconds(60));
    authority.commit(Write::default().with(Change::FinishJob { fence, next })).await
}

/// The next ones to go. `kept` collects those that stay although they have ended, so that they do not stand in the way of
/// the others for ever.
async fn removable(
    authority: &Authority,
    project: ProjectId,
    before: Timestamp,
    kept: &mut HashSet<CertificateId>,
) -> Result<Vec<Certificate>, Error> {
    loop {
        let limit = BATCH.saturating_add(u32::try_from(kept.len()).unwrap_or(u32::MAX)).min(LOOKED_AT_MAX);
        let ended = authority.reader().certificates_ended_before(project, before, limit).await?;
        let known = kept.len();
        let mut going = Vec::new();
        for certificate in ended {
            if kept.contains(&certificate.id) {
                continue;
            }
            if is_being_renewed(authority, &certificate).await? {
                kept.insert(certificate.id);
            } else if going.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
                going.push(certificate);
            }
        }
        if !going.is_empty() || kept.len() == known || limit >= LOOKED_AT_MAX {
            return Ok(going);
        }
    }
}

/// A certificate that the server still tries to renew, though it has ended: people look for the reason there.
async fn is_being_renewed(authority: &Authority, certificate: &Certificate) -> Result<bool, Error> {
    if certificate.renewal.due_at.is_none() || certificate.renewal.renewed_by.is_some() {
        return Ok(false);
    }
    let key = JobKey { kind: JobKind::RenewCertificate, object: certificate.id.as_uuid() };
    Ok(authority.reader().job(key).await?.is_some())
}
