//! Telling an external CA that a certificate is revoked. The revocation itself is on record already, here and now; this job
//! goes on until the CA has taken it or the certificate has ended.

use chancery_model::CertificateId;
use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::certificate::{Certificate, RevocationReason};
use chancery_model::external::ExternalCaKind;
use chancery_model::job::{Fence, Job, JobKey, JobKind, NewJob};
use chancery_store::{CaSummary, Change, Write};
use serde_json::json;

use super::upstream::{UpstreamError, UpstreamErrorKind};
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::jobs::Backoff;

/// What may pass is tried again soon; what needs somebody to mend a setting, a few times a day.
const PASSING: Backoff = Backoff { first: 5, longest: 1_800 };
const LASTING: Backoff = Backoff { first: 300, longest: 6 * 3_600 };

impl Authority {
    /// The external CA of a certificate; absent where it is ours, or gone.
    pub(crate) async fn external_ca_of_certificate(
        &self,
        certificate: &Certificate,
    ) -> Result<Option<(CaSummary, ExternalCaKind)>, Error> {
        let (Some(ca), None) = (certificate.ca_id, certificate.ca_certificate_id) else { return Ok(None) };
        let summary = self.reader().ca_summary(certificate.project_id, ca).await?;
        Ok(summary.and_then(|it| it.kind.map(|kind| (it, kind))))
    }

    /// What goes into the write of a revocation so that the certificate's external CA hears of it. Refused where that CA
    /// could not be told.
    pub(crate) async fn telling_of_revocation(
        &self,
        certificate: &Certificate,
        reason: RevocationReason,
    ) -> Result<Option<Change>, Error> {
        let Some((ca, kind)) = self.external_ca_of_certificate(certificate).await? else { return Ok(None) };
        if !self.implementation(kind)?.capabilities().revoke {
            let text = format!("certificates of the certification authority '{}' cannot be revoked from here", ca.name);
            return Err(Error::malformed("revocation.external", "id", text));
        }
        if reason == RevocationReason::CertificateHold {
            let text = format!(
                "the certification authority '{}' is run elsewhere and knows no hold; a revocation there is final, so give its reason",
                ca.name
            );
            return Err(Error::malformed("revocation.external_hold", "revocationReason", text));
        }
        Ok(Some(Change::ScheduleJob(NewJob {
            key: JobKey { kind: JobKind::RevokeExternally, object: certificate.id.as_uuid() },
            project_id: certificate.project_id,
            due_at: self.now(),
            deadline: self.now(),
        })))
    }
}

pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let done = Write::default().with(Change::FinishJob { fence, next: None });
    let id = CertificateId::from_uuid(job.key.object);
    let mut found = authority.reader().certificate(job.project_id, id).await?;
    if found.is_none() {
        // Out of the inventory, and still to be revoked.
        found = authority.reader().deleted_certificate(job.project_id, id).await?;
    }
    let Some((certificate, revocation)) = found.and_then(|it| it.revocation.map(|revocation| (it, revocation))) else {
        return authority.commit(done).await;
    };
    let call = Call::system(job.project_id);
    let object = Some(("certificate", id.as_uuid()));
    let said = |message: Option<&str>| json!({ "serialNumber": certificate.serial_number, "caId": certificate.ca_id, "reason": revocation.reason.as_str(), "message": message });
    let Some(ca) = certificate.ca_id else { return authority.commit(done).await };
    let Some(ca) = authority.reader().external_ca(job.project_id, ca).await? else {
        let text = "the certification authority was removed before it had taken the revocation; revoke there by hand";
        let details = said(Some(text));
        let mut audit = call.audit(authority.now(), AuditEvent::ExternalRevocationFailed, object, details);
        audit.outcome = Outcome::Failure;
        return authority.commit(done.audited(audit)).await;
    };
    let implementation = authority.implementation(ca.kind())?;
    let name = ca.name.clone();
    let asked = match authority.site_of(ca).await {
        Ok(site) => {
            let known = authority.external_certificate(&certificate).await?;
            authority.ask(site.ca.id, implementation.revoke(&site, &known, revocation.reason)).await
        }
        Err(Error::NotFound { .. }) => Err(UpstreamError::lasting("an app connection of the CA was removed")),
        Err(error) => return Err(error),
    };
    let now = authority.now();
    let Err(error) = asked else {
        return authority
            .commit(done.audited(call.audit(now, AuditEvent::RevokedExternally, object, said(None))))
            .await;
    };
    tracing::warn!(ca = %name, certificate = %id, %error, detail = error.detail, "An external CA did not take a revocation.");
    let backoff = if error.kind == UpstreamErrorKind::Lasting { LASTING } else { PASSING };
    let due_at = now.plus_seconds(backoff.seconds(job.attempts, authority.random()));
    let verdict = if due_at > certificate.not_after {
        Change::FinishJob { fence, next: None }
    } else {
        Change::RetryJob { fence, due_at, error: error.text.clone() }
    };
    let mut write = Write::default().with(verdict);
    // Once is enough for what passes by itself; what lasts is said each time it is tried.
    if job.attempts == 0 || error.kind == UpstreamErrorKind::Lasting {
        let mut audit = call.audit(now, AuditEvent::ExternalRevocationFailed, object, said(Some(&error.text)));
        audit.outcome = Outcome::Failure;
        write = write.audited(audit);
    }
    authority.commit(write).await
}
