//! The job that revokes what was renewed, when the settings say so: reason "superseded".

use chancery_model::CertificateId;
use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::certificate::RevocationReason;
use chancery_model::job::{Fence, Job};
use chancery_store::{Change, Write};
use serde_json::json;

use crate::Authority;
use crate::call::Call;
use crate::error::Error;

/// Revokes the certificate, unless it was revoked or ended meanwhile, or lost its successor. A hold becomes final: nobody
/// would come back to it after a release.
pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let id = CertificateId::from_uuid(job.key.object);
    let done = Change::FinishJob { fence, next: None };
    let certificate = authority.reader().certificate(job.project_id, id).await?;
    let now = authority.now();
    let certificate = certificate.filter(|it| {
        it.revocation.is_none_or(|revocation| revocation.reason == RevocationReason::CertificateHold)
            && it.not_after >= now
            && it.renewal.renewed_by.is_some()
    });
    let Some(certificate) = certificate else {
        return authority.commit(Write::default().with(done)).await;
    };
    let call = Call::system(job.project_id);
    match authority.revoke_certificate(&call, certificate, RevocationReason::Superseded, Some(done.clone())).await {
        Ok(_) => Ok(()),
        // Its CA takes no revocations from here, and will not by trying again.
        Err(error @ Error::Malformed { code: "revocation.external", .. }) => {
            let details = json!({ "reason": RevocationReason::Superseded.as_str(), "message": error.public_message() });
            let object = Some(("certificate", id.as_uuid()));
            let mut audit = call.audit(now, AuditEvent::ExternalRevocationFailed, object, details);
            audit.outcome = Outcome::Failure;
            authority.commit(Write::default().with(done).audited(audit)).await
        }
        Err(error) => Err(error),
    }
}
