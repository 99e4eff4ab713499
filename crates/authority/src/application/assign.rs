//! Taking a certificate into an application, once and for good.

use chancery_model::audit::AuditEvent;
use chancery_model::certificate::Certificate;
use chancery_model::permission::Permission;
use chancery_model::{ApplicationId, CertificateId};
use chancery_store::{ApplicationChange, Change, Conflict, StoreError, Write};
use serde_json::json;

use crate::{Authority, Call, Error};

impl Authority {
    /// Puts a certificate that belongs to no application into one. Whoever does it must manage the certificate and be
    /// allowed to issue in the application: its operators can read the certificate's key from then on.
    pub async fn assign_certificate(
        &self,
        call: &Call,
        id: CertificateId,
        application: ApplicationId,
    ) -> Result<Certificate, Error> {
        call.requester.require_somewhere(Permission::CertificateEdit)?;
        let mut certificate = self.certificate_of(call, id).await?;
        self.application_of(call, application).await?;
        self.require_management(&call.requester, &certificate, Permission::CertificateEdit)?;
        call.requester.require_in(Some(application), Permission::CertificateIssue)?;
        if certificate.application_id.is_some() {
            return Err(assigned());
        }
        if let Some(profile) = certificate.profile_id
            && self.reader().application_profile(application, profile).await?.is_none()
        {
            return Err(Error::malformed(
                "application.not_attached",
                "applicationId",
                "the certificate's profile is not attached to this application, so it could not be renewed there; attach the profile first",
            ));
        }
        let now = self.now();
        let details = json!({ "applicationId": application });
        let record = call.audit(now, AuditEvent::CertificateUpdated, Some(("certificate", id.as_uuid())), details);
        let change = ApplicationChange::Assign { certificate: id, application, at: now };
        self.commit(Write::default().with(Change::Application(change)).audited(record)).await.map_err(|error| {
            match error {
                Error::Store(StoreError::Conflict(Conflict::Stale)) => assigned(),
                other => other,
            }
        })?;
        certificate.application_id = Some(application);
        certificate.updated_at = now;
        Ok(certificate)
    }
}

fn assigned() -> Error {
    Error::conflict(
        "application.assigned",
        "The certificate belongs to an application already and cannot be moved; issue a new one in the other application",
    )
}
