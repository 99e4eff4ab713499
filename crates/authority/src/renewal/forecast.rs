//! What the server will renew day by day, and what it should have renewed and did not.

use chancery_model::certificate::Certificate;
use chancery_model::job::JobKind;
use chancery_model::page::{PageRequest, Total};
use chancery_model::permission::Permission;
use chancery_model::{CertificateId, Timestamp};

use crate::Authority;
use crate::call::Call;
use crate::error::Error;

const DAY_SECONDS: i64 = 86_400;
/// A renewal that is this late was not merely waiting for its turn.
const GRACE_SECONDS: i64 = 60;

/// Renewals to come and renewals that did not come about.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// Midnight UTC of each day from today on, and how many renewals are due then.
    pub days: Vec<(Timestamp, u64)>,
    pub overdue: Vec<OverdueRenewal>,
    /// How many are overdue in all.
    pub total: Total,
    /// Where the list of overdue renewals goes on.
    pub next_cursor: Option<String>,
}

/// A renewal to come.
#[derive(Clone, Debug)]
pub struct DueRenewal {
    pub certificate: Certificate,
    pub due_at: Timestamp,
}

/// A certificate that should have been renewed by now.
#[derive(Clone, Debug)]
pub struct OverdueRenewal {
    pub certificate: Certificate,
    /// When it was to be renewed first.
    pub due_at: Timestamp,
    /// When it is tried again.
    pub next_try: Timestamp,
    /// Failures in a row.
    pub attempts: u32,
}

impl Authority {
    /// The next `days` days (1 to 366), and a page of the overdue renewals: those that are late, the longest overdue first,
    /// then those that failed and wait for their next try.
    pub async fn renewal_forecast(&self, call: &Call, days: u32, page: &PageRequest) -> Result<Forecast, Error> {
        call.requester.require(Permission::CertificateRead)?;
        let now = self.now();
        let today = now.as_seconds().div_euclid(DAY_SECONDS);
        let midnight = |day: i64| Timestamp::from_seconds(day * DAY_SECONDS);
        let project = call.project_id();
        let end = today + i64::from(days);
        let kind = JobKind::RenewCertificate;
        let counted = self.reader().jobs_due_between(project, kind, midnight(today), midnight(end)).await?;
        let due_on = |day| counted.iter().find(|(counted, _)| *counted == day).map_or(0, |(_, due)| *due);
        let late = now.plus_seconds(-GRACE_SECONDS);
        let found = self.reader().overdue_jobs(project, kind, late, page).await?;
        let mut overdue = Vec::with_capacity(found.items.len());
        for job in found.items {
            let id = CertificateId::from_uuid(job.key.object);
            // Renewed, revoked or deleted since the list was read: not overdue any more.
            let Some(certificate) = self.reader().certificate(project, id).await? else { continue };
            let Some(due_at) = certificate.renewal.due_at else { continue };
            overdue.push(OverdueRenewal { certificate, due_at, next_try: job.due_at, attempts: job.attempts });
        }
        Ok(Forecast {
            days: (today..end).map(|day| (midnight(day), due_on(day))).collect(),
            overdue,
            total: found.total,
            next_cursor: found.next_cursor,
        })
    }

    /// The renewals due on the UTC day that starts at `midnight`, by time; at most `limit`.
    pub async fn renewals_due_on(
        &self,
        call: &Call,
        midnight: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueRenewal>, Error> {
        call.requester.require(Permission::CertificateRead)?;
        let project = call.project_id();
        let day = (midnight, midnight.plus_seconds(DAY_SECONDS));
        let jobs = self.reader().jobs_between(project, JobKind::RenewCertificate, day, limit).await?;
        let mut due = Vec::with_capacity(jobs.len());
        for job in jobs {
            let id = CertificateId::from_uuid(job.key.object);
            if let Some(certificate) = self.reader().certificate(project, id).await? {
                due.push(DueRenewal { certificate, due_at: job.due_at });
            }
        }
        Ok(due)
    }

    /// How many renewals are late or failing now, in all projects; of each at most 10 000 are counted.
    pub async fn overdue_renewals(&self) -> Result<u64, Error> {
        let late = self.now().plus_seconds(-GRACE_SECONDS);
        let one = PageRequest { offset: 0, limit: 1, cursor: None };
        let mut overdue = 0;
        for project in self.reader().projects().await? {
            let found = self.reader().overdue_jobs(project.id, JobKind::RenewCertificate, late, &one).await?;
            overdue += found.total.count;
        }
        Ok(overdue)
    }
}
