//! Record: certificate, request, sealed private key and audit entry in one durable transaction. Only after it does
//! anybody outside see the certificate.

use chancery_keys::Place;
use chancery_model::audit::{AuditEvent, AuditRecord, Outcome};
use chancery_model::authority::SealedKey;
use chancery_model::certificate::{Certificate, CertificateDescription, CertificateSource, RenewalState};
use chancery_model::enrollment::{Enrollment, KeySource};
use chancery_model::identity::ActorId;
use chancery_model::job::Fence;
use chancery_model::profile::{EnrollmentType, KeyCustody};
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_model::{CertificateId, KeyId, RequestId, Timestamp};
use chancery_store::{Change, Write};
use sha2::{Digest, Sha256};

use super::decide::{ApprovedRequest, RefusedRequest};
use super::sign::SignedCertificate;
use super::{Ground, Issued, SubjectKey};
use crate::Authority;
use crate::call::Call;
use crate::enrollment::document;
use crate::error::Error;
use crate::hierarchy::Issuer;

/// What is about to be recorded.
pub(super) struct Recording<'a> {
    pub approved: &'a ApprovedRequest,
    pub signed: SignedCertificate,
    pub key: &'a SubjectKey,
    pub ground: &'a Ground,
    pub event: AuditEvent,
    pub predecessor: Option<&'a Certificate>,
    pub fence: Option<Fence>,
}

/// The table and column under which leaf keys are sealed: part of what the seal authenticates.
pub(crate) const fn key_place(project: chancery_model::ProjectId, id: KeyId) -> Place {
    Place { project, table: "private_keys", column: "sealed", record: id.as_uuid() }
}

impl Authority {
    pub(super) async fn record(&self, call: &Call, recording: Recording<'_>) -> Result<Issued, Error> {
        let now = self.now();
        let Recording { approved, signed, key, ground, event, predecessor, fence } = recording;
        let enrollment = approved.enrollment();
        let sealed = self.seal_new_key(call, enrollment, key, ground, now).await?;
        let request_id = RequestId::generate(now, self.random());
        let mut certificate = self.certificate(call, enrollment, signed, ground, (request_id, now));
        certificate.key_id = sealed.as_ref().map(|it| it.id).or(match enrollment.key {
            KeySource::ReuseStored(id) => Some(id),
            _ => None,
        });
        if let Some(old) = predecessor {
            inherit(&mut certificate, call, old);
        }
        let outlook = self.renewal_outlook(ground.renewal_rules(), &certificate, predecessor);
        certificate.renewal = outlook.state;
        let request = CertificateRequest {
            requester: certificate.requester,
            status: RequestStatus::Issued,
            certificate_id: Some(certificate.id),
            application_id: certificate.application_id,
            ..request_row(call, enrollment, request_id, now)
        };
        let audit =
            call.audit(now, event, Some(("certificate", certificate.id.as_uuid())), audit_details(&certificate));
        let mut write = Write::default();
        // A job that lost its lease has nothing to say any more.
        if let Some(fence) = fence {
            write = write.with(Change::FinishJob { fence, next: None });
        }
        // The guard goes first: of many parallel renewals all but one stop here, having written nothing.
        if let Some(old) = predecessor {
            write = write.with(Change::MarkRenewed { id: old.id, by: certificate.id, at: now });
        }
        if let Some(job) = outlook.revocation {
            write = write.with(Change::SetJob(job));
        }
        if let Some(sealed) = sealed {
            write = write.with(Change::InsertKey(sealed));
        }
        write = write
            .with(Change::InsertCertificate(Box::new(certificate.clone())))
            .with(Change::InsertRequest(Box::new(request)))
            .audited(audit);
        self.commit(write).await?;
        let answered_key = match (&enrollment.key, key.held()) {
            (KeySource::Generate, Some(private)) => Some(private.to_pkcs8_pem()),
            _ => None,
        };
        let chain = ground.issued_by.issuer().map_or_else(|| vec![certificate.der.clone()], Issuer::chain_to_root);
        Ok(Issued { certificate, request_id, chain, private_key: answered_key, warnings: enrollment.warnings.clone() })
    }

    /// Seals a key that was made here and stays here.
    pub(super) async fn seal_new_key(
        &self,
        call: &Call,
        enrollment: &Enrollment,
        key: &SubjectKey,
        ground: &Ground,
        now: Timestamp,
    ) -> Result<Option<SealedKey>, Error> {
        let (KeySource::Generate, Some(private)) = (&enrollment.key, key.held()) else { return Ok(None) };
        if ground.settings().key_custody != KeyCustody::Stored {
            return Ok(None);
        }
        let project_id = call.project_id();
        self.ensure_project_key(project_id).await?;
        let id = KeyId::generate(now, self.random());
        let sealed = self
            .sealer()
            .seal(&key_place(project_id, id), &private.to_pkcs8_der(), self.random())
            .map_err(Error::internal)?;
        Ok(Some(SealedKey { id, project_id, algorithm: enrollment.key_algorithm.value, sealed, created_at: now }))
    }

    fn certificate(
        &self,
        call: &Call,
        enrollment: &Enrollment,
        signed: SignedCertificate,
        ground: &Ground,
        (request_id, now): (RequestId, Timestamp),
    ) -> Certificate {
        Certificate {
            id: CertificateId::generate(now, self.random()),
            project_id: call.project_id(),
            request_id,
            profile_id: enrollment.profile_id,
            template_id: Some(enrollment.template_id),
            template_version: enrollment.template_version,
            ca_id: enrollment.issuer.ca_id(),
            ca_certificate_id: ground.issued_by.issuer().map(Issuer::certificate_id),
            application_id: ground.application_id(),
            enrollment: EnrollmentType::Api,
            source: CertificateSource::Issued,
            friendly_name: None,
            requester: call.requester.actor_id(),
            serial_number: signed.serial.to_hex(),
            fingerprint_sha256: Sha256::digest(&signed.der).into(),
            der: signed.der,
            not_before: enrollment.validity.value.not_before,
            not_after: enrollment.validity.value.not_after,
            ttl: enrollment.validity.value.ttl.as_seconds(),
            description: description(enrollment),
            key_id: None,
            crl_partition: signed.crl_partition,
            revocation: None,
            renewal: RenewalState::default(),
            metadata: enrollment.metadata.clone(),
            created_at: now,
            updated_at: now,
        }
    }

    /// A refusal stands in the audit log with the whole enrolment, and on the certificate whose renewal it was.
    pub(crate) async fn record_refusal(
        &self,
        call: &Call,
        predecessor: Option<&Certificate>,
        refused: RefusedRequest,
    ) -> Error {
        let now = self.now();
        let (error, audit) = refusal(call, predecessor, refused, now);
        let mut write = Write::default();
        if let Some(old) = predecessor {
            let message = Some(error.public_message());
            write = write.with(Change::SetRenewalError { id: old.id, error: message, at: now });
        }
        match self.commit(write.audited(audit)).await {
            Ok(()) => error,
            Err(failed) => failed,
        }
    }

    /// A request that could not even be resolved: the reason stands in the audit log.
    pub(crate) async fn refuse_unresolved(&self, call: &Call, ground: &Ground, error: Error) -> Error {
        self.stages().count_refused();
        let details = serde_json::json!({ "code": error.code(), "message": error.public_message(), "violations": error.violations() });
        let object = ground.profile_id().map(|id| ("profile", id.as_uuid()));
        let mut audit = call.audit(self.now(), AuditEvent::CertificateRefused, object, details);
        audit.outcome = Outcome::Denied;
        match self.commit(Write::default().audited(audit)).await {
            Ok(()) => error,
            Err(failed) => failed,
        }
    }
}

/// What a successor has from the certificate it renews. Whoever renews owns it; the server renews for the owner.
fn inherit(certificate: &mut Certificate, call: &Call, old: &Certificate) {
    certificate.application_id = certificate.application_id.or(old.application_id);
    certificate.friendly_name.clone_from(&old.friendly_name);
    if call.requester.actor_id() == ActorId::System {
        certificate.requester = old.requester;
    }
}

/// A refusal as its caller hears it and as the audit log keeps it.
pub(crate) fn refusal(
    call: &Call,
    predecessor: Option<&Certificate>,
    refused: RefusedRequest,
    now: Timestamp,
) -> (Error, AuditRecord) {
    let RefusedRequest { enrollment, violations } = refused;
    let (error, event, object) = match predecessor {
        None => {
            let object = enrollment.profile_id.map(|id| ("profile", id.as_uuid()));
            (Error::Refused(violations), AuditEvent::CertificateRefused, object)
        }
        Some(old) => {
            let object = Some(("certificate", old.id.as_uuid()));
            (Error::RenewalRefused(violations), AuditEvent::CertificateRenewalRefused, object)
        }
    };
    let text = document(&enrollment, error.violations());
    let details = serde_json::from_str(&text).unwrap_or_default();
    let mut audit = call.audit(now, event, object, details);
    audit.outcome = Outcome::Denied;
    (error, audit)
}

fn description(enrollment: &Enrollment) -> CertificateDescription {
    CertificateDescription {
        subject: enrollment.subject.iter().map(|it| it.value.clone()).collect(),
        sans: enrollment.sans.iter().map(|it| (it.value.kind(), it.value.value())).collect(),
        key_usages: enrollment.key_usages.iter().map(|it| it.value).collect(),
        extended_key_usages: enrollment.extended_key_usages.iter().map(|it| it.value).collect(),
        key_algorithm: Some(enrollment.key_algorithm.value),
        signature_algorithm: Some(enrollment.signature_algorithm.value),
        is_ca: enrollment.basic_constraints.value.is_ca,
        path_length: enrollment.basic_constraints.value.path_length,
        from_csr: matches!(enrollment.key, KeySource::Csr(_) | KeySource::ReuseCsr(_)),
        foreign: None,
    }
}

/// A request that has come to nothing yet.
pub(super) fn request_row(call: &Call, enrollment: &Enrollment, id: RequestId, now: Timestamp) -> CertificateRequest {
    let names: Vec<String> = enrollment.sans.iter().map(|it| it.value.value()).collect();
    CertificateRequest {
        id,
        project_id: call.project_id(),
        profile_id: enrollment.profile_id,
        ca_id: enrollment.issuer.ca_id(),
        application_id: None,
        requester: call.requester.actor_id(),
        status: RequestStatus::Pending,
        certificate_id: None,
        common_name: enrollment.common_name().map(str::to_owned),
        alt_names: (!names.is_empty()).then(|| names.join(",")),
        document: document(enrollment, &[]),
        csr: enrollment.csr.clone(),
        error_message: None,
        pending_message: None,
        metadata: enrollment.metadata.clone(),
        idempotency: call.idempotency,
        created_at: now,
        updated_at: now,
    }
}

/// What the audit log keeps of a certificate that was issued.
pub(crate) fn audit_details(certificate: &Certificate) -> serde_json::Value {
    serde_json::json!({
        "serialNumber": certificate.serial_number,
        "fingerprintSha256": hex::encode(certificate.fingerprint_sha256),
        "commonName": certificate.description.common_name(),
        "requestId": certificate.request_id,
        "profileId": certificate.profile_id,
        "applicationId": certificate.application_id,
        "caId": certificate.ca_id,
        "templateId": certificate.template_id,
        "templateVersion": certificate.template_version,
        "renewedFrom": certificate.renewal.renewed_from,
    })
}
