//! What can be done with a certificate that exists: read its key, see its chain, label it, take it out of the lists.

use chancery_keys::PrivateKey;
use chancery_model::audit::AuditEvent;
use chancery_model::certificate::Certificate;
use chancery_model::permission::{Permission, Role};
use chancery_model::{CertificateId, KeyId, ProjectId};
use chancery_pkix::pkcs12;
use chancery_store::{Change, Write};

pub use zeroize::Zeroizing;

use super::record::key_place;
use crate::Authority;
use crate::access::checked_metadata;
use crate::call::{Call, Requester};
use crate::error::Error;

/// How a PKCS#12 file is wanted.
#[derive(Clone, Copy)]
pub struct Pkcs12Wish<'a> {
    /// 6 to 1024 characters.
    pub password: &'a str,
    /// 1 to 255 characters.
    pub alias: &'a str,
    /// For software that reads nothing newer than 3DES and SHA-1. The audit entry says so.
    pub legacy: bool,
}

impl Pkcs12Wish<'_> {
    fn check(&self) -> Result<(), Error> {
        if !(6..=1_024).contains(&self.password.chars().count()) {
            return Err(Error::malformed("pkcs12.password", "password", "it has 6 to 1024 characters"));
        }
        if !(1..=255).contains(&self.alias.chars().count()) {
            return Err(Error::malformed("pkcs12.alias", "alias", "it has 1 to 255 characters"));
        }
        Ok(())
    }
}

impl Authority {
    /// The certificate, if the caller's project has it.
    pub async fn certificate_of(&self, call: &Call, id: CertificateId) -> Result<Certificate, Error> {
        self.reader().certificate(call.project_id(), id).await?.ok_or_else(|| Error::not_found("Certificate", id))
    }

    /// Keys are readable by their requester, by the operators of their application and by administrators, never by
    /// auditors.
    #[must_use]
    pub fn may_read_key(&self, requester: &Requester, certificate: &Certificate) -> bool {
        self.may_manage(requester, certificate, Permission::CertificateReadPrivateKey)
    }

    /// Certificates are renewed, revoked and changed by their requester, by the operators of their application and by
    /// administrators: whoever renews becomes the requester of the successor, and reads its key.
    #[must_use]
    pub fn may_manage(&self, requester: &Requester, certificate: &Certificate, permission: Permission) -> bool {
        let own = certificate.requester == requester.actor_id();
        let in_project = requester.role().allows(permission) && (own || requester.role() == Role::Admin);
        in_project || certificate.application_id.is_some_and(|id| requester.is_allowed_as_member(id, permission))
    }

    pub(crate) fn require_management(
        &self,
        requester: &Requester,
        certificate: &Certificate,
        permission: Permission,
    ) -> Result<(), Error> {
        if self.may_manage(requester, certificate, permission) {
            Ok(())
        } else {
            Err(Error::PermissionDenied(permission))
        }
    }

    /// The private key in PKCS#8 PEM; `None` when the server holds none. Each read is audited before it is answered.
    pub async fn private_key(
        &self,
        call: &Call,
        certificate: &Certificate,
    ) -> Result<Option<Zeroizing<String>>, Error> {
        let Some(key) = self.read_key(call, certificate, "pem").await? else { return Ok(None) };
        Ok(Some(key.to_pkcs8_pem()))
    }

    pub(super) async fn read_key(
        &self,
        call: &Call,
        certificate: &Certificate,
        format: &str,
    ) -> Result<Option<PrivateKey>, Error> {
        call.requester.require_somewhere(Permission::CertificateReadPrivateKey)?;
        if !self.may_read_key(&call.requester, certificate) {
            return Err(Error::PermissionDenied(Permission::CertificateReadPrivateKey));
        }
        let Some(key_id) = certificate.key_id else { return Ok(None) };
        let key = self.open_key(certificate.project_id, key_id).await?;
        let details = serde_json::json!({ "format": format, "serialNumber": certificate.serial_number });
        let object = Some(("certificate", certificate.id.as_uuid()));
        self.commit(Write::default().audited(call.audit(self.now(), AuditEvent::PrivateKeyRead, object, details)))
            .await?;
        Ok(Some(key))
    }

    /// PKCS#12 with key and chain (RFC 7292), for whoever may read the key.
    pub async fn pkcs12(
        &self,
        call: &Call,
        id: CertificateId,
        wanted: &Pkcs12Wish<'_>,
    ) -> Result<(Certificate, Vec<u8>), Error> {
        wanted.check()?;
        let certificate = self.certificate_of(call, id).await?;
        let format = if wanted.legacy { "pkcs12-legacy" } else { "pkcs12" };
        let Some(key) = self.read_key(call, &certificate, format).await? else {
            return Err(Error::malformed(
                "key.absent",
                "id",
                "the server holds no private key for this certificate, so there is nothing to put into a PKCS#12 file",
            ));
        };
        let mut chain = self.chain(&certificate).await?;
        chain.retain(|der| *der != certificate.der);
        let bytes =
            pkcs12::write(&certificate.der, &key.to_pkcs8_der(), &chain, wanted.password, wanted.alias, wanted.legacy)
                .map_err(Error::internal)?;
        Ok((certificate, bytes))
    }

    /// DER: the issuing CA first, the root last; for a self-signed certificate the certificate itself. Of a certificate
    /// made elsewhere, what came along with it.
    pub async fn chain(&self, certificate: &Certificate) -> Result<Vec<Vec<u8>>, Error> {
        let Some(issuer) = certificate.ca_certificate_id else {
            let foreign = certificate.description.foreign.as_ref();
            return match foreign {
                Some(it) if it.subject != it.issuer => Ok(self.reader().foreign_chain(certificate.id).await?),
                _ => Ok(vec![certificate.der.clone()]),
            };
        };
        let Some(ca) = self.reader().ca_certificate(issuer).await? else {
            return Err(Error::internal(format!("certificate {} names a CA certificate that is gone", certificate.id)));
        };
        let mut chain = Vec::with_capacity(ca.chain.len() + 1);
        chain.push(ca.der);
        chain.extend(ca.chain);
        Ok(chain)
    }

    pub async fn update_metadata(
        &self,
        call: &Call,
        id: CertificateId,
        metadata: Vec<(String, String)>,
    ) -> Result<Certificate, Error> {
        call.requester.require_somewhere(Permission::CertificateEdit)?;
        let metadata = checked_metadata(metadata)?;
        let mut certificate = self.certificate_of(call, id).await?;
        self.require_management(&call.requester, &certificate, Permission::CertificateEdit)?;
        let now = self.now();
        let details = serde_json::json!({ "before": certificate.metadata, "after": metadata });
        let audit = call.audit(now, AuditEvent::CertificateUpdated, Some(("certificate", id.as_uuid())), details);
        let change = Change::SetCertificateMetadata { id, metadata: metadata.clone(), at: now };
        self.commit(Write::default().with(change).audited(audit)).await?;
        certificate.metadata = metadata;
        certificate.updated_at = now;
        Ok(certificate)
    }

    /// Takes the certificate out of the lists. Its serial number stays taken for ever.
    pub async fn delete_certificate(&self, call: &Call, id: CertificateId) -> Result<Certificate, Error> {
        call.requester.require(Permission::CertificateDelete)?;
        let certificate = self.certificate_of(call, id).await?;
        let details = serde_json::json!({ "serialNumber": certificate.serial_number });
        let audit =
            call.audit(self.now(), AuditEvent::CertificateDeleted, Some(("certificate", id.as_uuid())), details);
        self.commit(Write::default().with(Change::DeleteCertificate(id)).audited(audit)).await?;
        Ok(certificate)
    }

    /// Opens a sealed key of the project.
    pub(crate) async fn open_key(&self, project: ProjectId, id: KeyId) -> Result<PrivateKey, Error> {
        self.ensure_project_key(project).await?;
        let sealed = self.reader().key(id).await?.filter(|key| key.project_id == project);
        let sealed = sealed.ok_or_else(|| Error::internal(format!("key {id} is gone")))?;
        let der = self.sealer().unseal(&key_place(project, id), &sealed.sealed).map_err(Error::internal)?;
        PrivateKey::from_pkcs8_der(&der).map_err(Error::internal)
    }
}
