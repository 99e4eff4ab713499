//! Signing a CA that lives elsewhere: its CSR in, a CA certificate out, recorded in the inventory like any other.

use chancery_model::audit::AuditEvent;
use chancery_model::certificate::{Certificate, CertificateDescription, CertificateSource, RenewalState};
use chancery_model::permission::Permission;
use chancery_model::profile::EnrollmentType;
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_model::{CaId, CertificateId, RequestId, Timestamp};
use chancery_pkix::{AttributeType, CertificationRequest, DistinguishedName};
use chancery_store::{Change, Write};
use sha2::{Digest, Sha256};

use super::certify::{self, CaCertificateContents, Certifier};
use super::issuer::Issuer;
use crate::Authority;
use crate::call::Call;
use crate::error::Error;

/// A subordinate CA's request.
#[derive(Clone, Debug)]
pub struct IntermediateRequest {
    /// PEM.
    pub csr: String,
    pub not_before: Option<Timestamp>,
    pub not_after: Timestamp,
    /// −1: no limit.
    pub path_length_max: i64,
}

#[derive(Clone, Debug)]
pub struct SignedIntermediate {
    pub certificate_der: Vec<u8>,
    /// DER: the signing CA first, the root last.
    pub chain: Vec<Vec<u8>>,
    pub serial_number: String,
}

impl Authority {
    pub async fn sign_intermediate(
        &self,
        call: &Call,
        id: CaId,
        request: IntermediateRequest,
    ) -> Result<SignedIntermediate, Error> {
        call.requester.require(Permission::CaSign)?;
        let csr = crate::issuance::parse_csr(&request.csr)?;
        let issuer = self.issuer(call.project_id(), id).await?;
        if csr.subject().is_empty() {
            return Err(Error::malformed(
                "subject.empty",
                "csr",
                "a CA certificate needs a subject (RFC 5280 §4.1.2.6)",
            ));
        }
        check_subject_constraints(&issuer, csr.subject())?;
        let contents = CaCertificateContents {
            subject_der: &csr.subject().to_der(),
            subject_key_id: &csr.public_key().key_id(),
            public_key: csr.public_key(),
            validity: certify::validity(request.not_before, request.not_after, Some(&issuer), self.now())?,
            path_length: certify::path_length(request.path_length_max, Some(&issuer))?,
            name_constraints: None,
            extended_key_usages: Vec::new(),
        };
        let certified = certify::certify(&contents, &Certifier::Parent(&issuer), self.random(), self.repository_url())?;
        let signed = SignedIntermediate {
            certificate_der: certified.der,
            chain: issuer.chain_to_root(),
            serial_number: certified.serial_number,
        };
        self.record_intermediate(call, &issuer, &csr, &contents, &signed).await?;
        Ok(signed)
    }

    async fn record_intermediate(
        &self,
        call: &Call,
        issuer: &Issuer,
        csr: &CertificationRequest,
        contents: &CaCertificateContents<'_>,
        signed: &SignedIntermediate,
    ) -> Result<(), Error> {
        let now = self.now();
        let not_before = Timestamp::from_seconds(contents.validity.not_before);
        let not_after = Timestamp::from_seconds(contents.validity.not_after);
        let certificate = Certificate {
            id: CertificateId::generate(now, self.random()),
            project_id: call.project_id(),
            request_id: RequestId::generate(now, self.random()),
            profile_id: None,
            template_id: None,
            template_version: 0,
            ca_id: Some(issuer.ca_id()),
            ca_certificate_id: Some(issuer.certificate_id()),
            application_id: None,
            enrollment: EnrollmentType::Api,
            source: CertificateSource::Issued,
            friendly_name: None,
            requester: call.requester.actor_id(),
            serial_number: signed.serial_number.clone(),
            fingerprint_sha256: Sha256::digest(&signed.certificate_der).into(),
            der: signed.certificate_der.clone(),
            not_before,
            not_after,
            ttl: contents.validity.not_after - contents.validity.not_before + 1,
            description: CertificateDescription {
                subject: csr.subject().attributes().to_vec(),
                sans: Vec::new(),
                key_usages: certify::KEY_USAGES.to_vec(),
                extended_key_usages: Vec::new(),
                key_algorithm: Some(csr.public_key().algorithm()),
                signature_algorithm: Some(issuer.signature_algorithm()),
                is_ca: true,
                path_length: contents.path_length,
                from_csr: true,
                foreign: None,
            },
            key_id: None,
            crl_partition: 0,
            revocation: None,
            renewal: RenewalState::default(),
            metadata: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        let request = request_row(call, &certificate, csr);
        let details = serde_json::json!({
            "serialNumber": signed.serial_number,
            "subject": csr.subject().to_string(),
            "notAfter": not_after.to_string(),
        });
        let write = Write::default()
            .with(Change::InsertCertificate(Box::new(certificate)))
            .with(Change::InsertRequest(Box::new(request)))
            .audited(call.audit(now, AuditEvent::IntermediateSigned, Some(("ca", issuer.ca_id().as_uuid())), details));
        self.commit(write).await
    }
}

fn request_row(call: &Call, certificate: &Certificate, csr: &CertificationRequest) -> CertificateRequest {
    CertificateRequest {
        id: certificate.request_id,
        project_id: certificate.project_id,
        profile_id: None,
        ca_id: certificate.ca_id,
        application_id: None,
        requester: certificate.requester,
        status: RequestStatus::Issued,
        certificate_id: Some(certificate.id),
        common_name: csr.subject().first(AttributeType::CommonName).map(str::to_owned),
        alt_names: None,
        document: serde_json::json!({ "key": "csr", "route": "sign-intermediate", "verdict": "issued" }).to_string(),
        csr: (!csr.has_challenge_password()).then(|| csr.der().to_vec()),
        error_message: None,
        pending_message: None,
        metadata: Vec::new(),
        idempotency: call.idempotency,
        created_at: certificate.created_at,
        updated_at: certificate.updated_at,
    }
}

/// The issuer's name constraints bind the names of CAs below it too.
pub(super) fn check_subject_constraints(issuer: &Issuer, subject: &DistinguishedName) -> Result<(), Error> {
    let broken = issuer.name_constraints().iter().flat_map(|it| it.check(subject, &[])).next();
    match broken {
        None => Ok(()),
        Some(broken) => Err(Error::malformed(
            "issuer.name_constraints",
            "subject",
            format!("'{}' is outside the signing CA's name constraints: {}", broken.value, broken.constraint),
        )),
    }
}
