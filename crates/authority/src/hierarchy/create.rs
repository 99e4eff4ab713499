//! Making, changing and removing certification authorities.

use chancery_keys::PrivateKey;
use chancery_model::audit::AuditEvent;
use chancery_model::authority::{
    CaCertificate, CaLevel, CaStatus, CertificationAuthority, InternalCaConfiguration, SealedKey,
};
use chancery_model::permission::Permission;
use chancery_model::{CaId, KeyId, ProjectId, TemplateId, Timestamp};
use chancery_pkix::{BasicConstraints, CertificationRequestInfo, KeyAlgorithm, SignatureAlgorithm};
use chancery_store::{Change, Write};

use super::certify::{self, CaCertificateContents, Certifier};
use super::renew;
use super::settings::{self, StatusPatch};
use crate::Authority;
use crate::call::Call;
use crate::enrollment::Field;
use crate::error::Error;
use crate::issuance::{key_place, signed};

/// A CA to be made. The key is made here and never leaves.
#[derive(Clone, Debug)]
pub struct NewCa {
    /// Unique in the project: lower-case letters, digits, hyphens, 1 to 64.
    pub name: String,
    pub status: CaStatus,
    pub configuration: InternalCaConfiguration,
    pub direct_issuance_template: Option<TemplateId>,
}

/// What may be changed of a CA.
#[derive(Clone, Debug, Default)]
pub struct CaPatch {
    pub name: Option<String>,
    pub status: Option<CaStatus>,
    pub direct_issuance_template: Field<TemplateId>,
    pub status_settings: StatusPatch,
}

impl Authority {
    /// Makes a CA. A root with `not_after` gets its certificate at once and is active; every other CA waits for one.
    pub async fn create_ca(&self, call: &Call, new: NewCa) -> Result<CertificationAuthority, Error> {
        call.requester.require(Permission::CaCreate)?;
        check_name(&new.name)?;
        check_configuration(&new.configuration)?;
        self.check_direct_template(call, new.direct_issuance_template).await?;
        let now = self.now();
        let project_id = call.project_id();
        let key = self.generated_ca_key(new.configuration.key_algorithm).await?;
        let sealed = self.sealed_ca_key(project_id, &key).await?;
        let mut ca = CertificationAuthority {
            id: CaId::generate(now, self.random()),
            project_id,
            name: new.name,
            status: CaStatus::PendingCertificate,
            configuration: new.configuration,
            direct_issuance_template: new.direct_issuance_template,
            active_certificate: None,
            key_id: sealed.id,
            last_renewal: None,
            created_at: now,
            updated_at: now,
        };
        let certificate = self.root_certificate(&ca, &key, now)?;
        if let Some(certificate) = &certificate {
            ca.active_certificate = Some(certificate.id);
            ca.status = if new.status == CaStatus::Disabled { CaStatus::Disabled } else { CaStatus::Active };
        }
        let details = serde_json::json!({ "name": ca.name, "status": ca.status, "configuration": ca.configuration });
        let mut write = Write::default()
            .with(Change::InsertKey(sealed))
            .with(Change::InsertCa(Box::new(ca.clone())))
            .audited(call.audit(now, AuditEvent::CaCreated, Some(("ca", ca.id.as_uuid())), details));
        if let Some(certificate) = certificate {
            write.changes.extend(self.coming_into_force(&ca, &certificate));
            write = write.with(Change::InsertCaCertificate(Box::new(certificate)));
        }
        self.commit(write).await?;
        self.wake_jobs();
        Ok(ca)
    }

    pub(super) async fn generated_ca_key(&self, algorithm: KeyAlgorithm) -> Result<PrivateKey, Error> {
        self.keys().generate(algorithm).await.map_err(|error| Error::Unavailable(error.to_string()))
    }

    /// A CA key under a fresh id, ready to be stored.
    pub(super) async fn sealed_ca_key(&self, project_id: ProjectId, key: &PrivateKey) -> Result<SealedKey, Error> {
        self.ensure_project_key(project_id).await?;
        let created_at = self.now();
        let id = KeyId::generate(created_at, self.random());
        let sealed = self.sealer().seal(&key_place(project_id, id), &key.to_pkcs8_der(), self.random());
        Ok(SealedKey {
            id,
            project_id,
            algorithm: key.algorithm(),
            sealed: sealed.map_err(Error::internal)?,
            created_at,
        })
    }

    fn root_certificate(
        &self,
        ca: &CertificationAuthority,
        key: &PrivateKey,
        now: Timestamp,
    ) -> Result<Option<CaCertificate>, Error> {
        let configuration = &ca.configuration;
        let (CaLevel::Root, Some(not_after)) = (configuration.level, configuration.not_after) else { return Ok(None) };
        let validity = certify::validity(configuration.not_before, not_after, None, now)?;
        let wanted = configuration.path_length_max.unwrap_or(-1);
        self.self_signed_root(ca, key, validity, wanted).map(Some)
    }

    /// A root's first certificate over its own key.
    pub(super) fn self_signed_root(
        &self,
        ca: &CertificationAuthority,
        key: &PrivateKey,
        validity: chancery_pkix::Validity,
        path_length_max: i64,
    ) -> Result<CaCertificate, Error> {
        let contents = CaCertificateContents {
            subject_der: &certify::subject(&ca.configuration)?.to_der(),
            subject_key_id: &key.public_key().key_id(),
            public_key: key.public_key(),
            validity,
            path_length: certify::path_length(path_length_max, None)?,
            name_constraints: certify::name_constraints(ca.configuration.name_constraints.as_ref())?,
            extended_key_usages: Vec::new(),
        };
        let by = Certifier::Own { key, algorithm: own_signature(&ca.configuration) };
        self.certified(ca, &contents, &by, 1)
    }

    /// Changes a CA's name, state or direct-issuance template.
    pub async fn update_ca(&self, call: &Call, id: CaId, patch: CaPatch) -> Result<CertificationAuthority, Error> {
        call.requester.require(Permission::CaEdit)?;
        let mut ca = self.ca_of(call, id).await?;
        let before = shown(&ca);
        if let Some(name) = patch.name {
            check_name(&name)?;
            ca.name = name;
        }
        match patch.status {
            Some(status) if status == ca.status => {}
            // Terraform reads a waiting CA back as "active" and sends that on every update.
            Some(CaStatus::Active) if ca.active_certificate.is_none() => {}
            Some(CaStatus::PendingCertificate) => {
                return Err(Error::malformed(
                    "ca.status",
                    "status",
                    "a CA cannot be set back to pending-certificate; use active or disabled",
                ));
            }
            Some(status) => ca.status = status,
            None => {}
        }
        match patch.direct_issuance_template {
            Field::Missing => {}
            Field::Null => ca.direct_issuance_template = None,
            Field::Value(template) => {
                self.check_direct_template(call, Some(template)).await?;
                ca.direct_issuance_template = Some(template);
            }
        }
        let publication = self.changed_status(&mut ca, &patch.status_settings).await?;
        ca.updated_at = self.now();
        let details = serde_json::json!({ "before": before, "after": shown(&ca) });
        let audit = call.audit(ca.updated_at, AuditEvent::CaUpdated, Some(("ca", id.as_uuid())), details);
        let mut write = Write::default().with(Change::UpdateCa(Box::new(ca.clone()))).audited(audit);
        write.changes.extend(publication);
        self.commit(write).await?;
        self.wake_jobs();
        Ok(ca)
    }

    /// Removes a CA that no profile and no CA below it uses.
    pub async fn delete_ca(&self, call: &Call, id: CaId) -> Result<CertificationAuthority, Error> {
        call.requester.require(Permission::CaDelete)?;
        let ca = self.ca_of(call, id).await?;
        let details = serde_json::json!({ "name": ca.name });
        let audit = call.audit(self.now(), AuditEvent::CaDeleted, Some(("ca", id.as_uuid())), details);
        let write = Write::default().with(Change::DeleteCa(id)).with(Change::DropJob(renew::job_key(id)));
        self.commit(write.audited(audit)).await?;
        Ok(ca)
    }

    /// A PKCS#10 request in the CA's own name and by its own key, for a parent elsewhere (RFC 2986).
    pub async fn ca_csr(&self, call: &Call, id: CaId) -> Result<String, Error> {
        call.requester.require(Permission::CaRead)?;
        let ca = self.ca_of(call, id).await?;
        if ca.configuration.level == CaLevel::Root {
            return Err(Error::malformed("ca.root", "caId", "a root signs itself; only an intermediate CA has a CSR"));
        }
        let key = self.open_key(ca.project_id, ca.key_id).await?;
        let algorithm = own_signature(&ca.configuration);
        let unsigned = CertificationRequestInfo {
            subject_der: &self.subject_of(&ca).await?,
            public_key: key.public_key(),
            subject_alt_names: &[],
            key_usages: certify::KEY_USAGES.into_iter().collect(),
            extended_key_usages: &[],
            basic_constraints: Some(BasicConstraints { is_ca: true, path_length: None }),
        }
        .to_der();
        let csr = signed(&unsigned, algorithm, &key)?;
        let audit = call.audit(self.now(), AuditEvent::CaCsrRead, Some(("ca", id.as_uuid())), serde_json::json!({}));
        self.commit(Write::default().audited(audit)).await?;
        Ok(chancery_pkix::pem::encode("CERTIFICATE REQUEST", &csr))
    }

    pub(super) async fn ca_of(&self, call: &Call, id: CaId) -> Result<CertificationAuthority, Error> {
        let ca = self.reader().ca(call.project_id(), id).await?;
        ca.ok_or_else(|| Error::not_found("Certificate authority", id))
    }

    /// The subject of the certificate in force as it is encoded there; before there is one, as configured.
    pub(super) async fn subject_of(&self, ca: &CertificationAuthority) -> Result<Vec<u8>, Error> {
        if ca.active_certificate.is_none() {
            return Ok(certify::subject(&ca.configuration)?.to_der());
        }
        Ok(self.current_certificate(ca).await?.parsed.subject_der().to_vec())
    }

    async fn check_direct_template(&self, call: &Call, template: Option<TemplateId>) -> Result<(), Error> {
        match template {
            None => Ok(()),
            Some(template) => self.template_in_force(call.project_id(), template).await.map(|_| ()),
        }
    }
}

/// What the CA's key signs with.
pub(super) fn own_signature(configuration: &InternalCaConfiguration) -> SignatureAlgorithm {
    configuration.signature_algorithm.unwrap_or_else(|| configuration.key_algorithm.default_signature())
}

/// What the audit log keeps of a change.
fn shown(ca: &CertificationAuthority) -> serde_json::Value {
    serde_json::json!({
        "name": ca.name,
        "status": ca.status,
        "directIssuancePolicyId": ca.direct_issuance_template,
        "revocationStatus": ca.configuration.status,
    })
}

pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let slug = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if slug {
        return Ok(());
    }
    Err(Error::malformed("ca.name", "name", "use 1 to 64 lower-case letters, digits and hyphens, such as issuing-ca-1"))
}

/// Everything that can be known to be wrong before a key is made.
fn check_configuration(configuration: &InternalCaConfiguration) -> Result<(), Error> {
    certify::subject(configuration)?;
    certify::name_constraints(configuration.name_constraints.as_ref())?;
    certify::path_length(configuration.path_length_max.unwrap_or(-1), None)?;
    settings::check_status(&configuration.status)?;
    if let Some(algorithm) = configuration.signature_algorithm
        && !algorithm.fits(configuration.key_algorithm)
    {
        return Err(Error::malformed(
            "signature_algorithm.mismatch",
            "configuration.signatureAlgorithm",
            format!(
                "{} cannot be made with a key of type {}",
                algorithm.as_str(),
                configuration.key_algorithm.as_str()
            ),
        ));
    }
    if configuration.level == CaLevel::Root && configuration.not_before.is_some() && configuration.not_after.is_none() {
        return Err(Error::malformed("ca.not_after", "configuration.notAfter", "notBefore needs notAfter beside it"));
    }
    Ok(())
}
