//! Revoking certificates of CAs: by the parent's key, in the parent's complete CRL. A CA whose signing certificate is
//! revoked issues nothing more.

use chancery_model::audit::AuditEvent;
use chancery_model::authority::CaCertificate;
use chancery_model::certificate::{Revocation, RevocationReason};
use chancery_model::permission::Permission;
use chancery_model::{CaCertificateId, CaId, KeyId};
use chancery_store::{Change, Conflict, StoreError, Write};

use super::revoke::not_held;
use super::{already, entry, publications, step};
use crate::Authority;
use crate::call::Call;
use crate::error::Error;

impl Authority {
    /// Revokes a CA certificate that a CA of this server signed.
    pub async fn revoke_ca_certificate(
        &self,
        call: &Call,
        ca: CaId,
        id: CaCertificateId,
        reason: RevocationReason,
    ) -> Result<CaCertificate, Error> {
        let (mut certificate, key) = self.revocable_ca_certificate(call, ca, id).await?;
        let held = step(certificate.revocation, reason)?;
        let now = self.now();
        let revocation = Revocation { at: now, reason };
        let serial = hex::decode(&certificate.serial_number).map_err(Error::internal)?;
        let entry = entry(key, (0, &serial), certificate.not_after, revocation);
        let mut write = Write::default().with(Change::RevokeCaCertificate { id, revocation, held, entry });
        write.changes.extend(publications(&self.reader().crls_of_key(key).await?, 0, now));
        let write = write.audited(self.ca_revocation_audit(call, &certificate, reason.as_str()));
        match self.commit(write).await {
            Ok(()) => {}
            Err(Error::Store(StoreError::Conflict(Conflict::AlreadyRevoked))) => {
                let now_stands = self.reader().ca_certificate(id).await?.and_then(|it| it.revocation);
                return Err(now_stands.map_or_else(|| Error::Store(StoreError::Conflict(Conflict::Stale)), already));
            }
            Err(error) => return Err(error),
        }
        certificate.revocation = Some(revocation);
        Ok(certificate)
    }

    /// Takes a CA certificate off hold.
    pub async fn release_ca_certificate(
        &self,
        call: &Call,
        ca: CaId,
        id: CaCertificateId,
    ) -> Result<CaCertificate, Error> {
        let (mut certificate, key) = self.revocable_ca_certificate(call, ca, id).await?;
        match certificate.revocation {
            Some(it) if it.reason == RevocationReason::CertificateHold => {}
            Some(it) => return Err(already(it)),
            None => return Err(not_held()),
        }
        let now = self.now();
        let release = Change::ReleaseCaCertificate { id, at: now, key_id: key, partition: 0 };
        let mut write = Write::default().with(release);
        write.changes.extend(publications(&self.reader().crls_of_key(key).await?, 0, now));
        write.changes.extend(self.status_resumed(&certificate).await?);
        self.commit(write.audited(self.ca_revocation_audit(call, &certificate, "release"))).await?;
        self.wake_jobs();
        certificate.revocation = None;
        Ok(certificate)
    }

    /// The certificate and the parent's key that signed it.
    async fn revocable_ca_certificate(
        &self,
        call: &Call,
        ca: CaId,
        id: CaCertificateId,
    ) -> Result<(CaCertificate, KeyId), Error> {
        call.requester.require(Permission::CaEdit)?;
        let found = self.reader().ca_certificate(id).await?;
        let found = found.filter(|it| it.ca_id == ca && it.project_id == call.project_id());
        let certificate = found.ok_or_else(|| Error::not_found("CA certificate", id))?;
        let Some(parent) = certificate.parent_certificate_id else {
            return Err(Error::malformed(
                "revocation.no_parent",
                "caCertId",
                "no CA of this server signed it: a root cannot revoke itself (remove it from trust stores), and what was signed elsewhere is revoked there",
            ));
        };
        let parent = self.reader().ca_certificate(parent).await?;
        let parent = parent.ok_or_else(|| Error::internal(format!("the parent of CA certificate {id} is gone")))?;
        Ok((certificate, parent.key_id))
    }

    fn ca_revocation_audit(
        &self,
        call: &Call,
        certificate: &CaCertificate,
        reason: &str,
    ) -> chancery_model::audit::AuditRecord {
        let details = serde_json::json!({
            "caCertificateId": certificate.id, "serialNumber": certificate.serial_number, "reason": reason,
        });
        let object = Some(("ca", certificate.ca_id.as_uuid()));
        call.audit(self.now(), AuditEvent::CaCertificateRevoked, object, details)
    }
}
