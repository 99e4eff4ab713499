//! Renewing the CAs of this server: over the same key, or with a new one (roll over), by hand or when it is due.
//!
//! A renewal over the same key repeats subject, key identifier, path length, purposes and name constraints, so that every
//! certificate below verifies under the old and the new certificate alike. After a roll over the old certificate goes on
//! standing above what it signed, and the old key goes on signing the CRLs and OCSP answers for it.

use std::sync::Arc;

use chancery_keys::PrivateKey;
use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::authority::{CaCertificate, CaLevel, CaRenewalReport, CaStatus, CertificationAuthority, SealedKey};
use chancery_model::job::{Fence, Job, JobKey, JobKind, NewJob};
use chancery_model::permission::Permission;
use chancery_model::{CaId, Timestamp};
use chancery_pkix::{Certificate, KeyAlgorithm, Validity};
use chancery_store::{Change, Conflict, StoreError, Write};

use super::certify::{self, CaCertificateContents, Certifier};
use super::create::own_signature;
use super::issuer::Issuer;
use super::subordinate::check_subject_constraints;
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::jobs::Backoff;
use crate::status::crls_for_key;

/// How long before its end a CA is renewed when nobody said.
const DAYS_BEFORE_EXPIRY: u32 = 30;
/// After a failure: soon at first, then four times a day.
const RETRY: Backoff = Backoff { first: 60, longest: 6 * 3_600 };

/// Which key the new certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaRenewalKey {
    Existing,
    /// Roll over to a fresh key; of the same algorithm unless one is named.
    New(Option<KeyAlgorithm>),
}

#[derive(Clone, Copy, Debug)]
pub struct CaRenewal {
    pub key: CaRenewalKey,
    /// Absent: as long as before, as far as the parent lives.
    pub not_after: Option<Timestamp>,
}

/// The certificate in force, and what it says.
pub(super) struct Current {
    pub certificate: CaCertificate,
    pub parsed: Certificate,
}

/// The key of the new certificate.
struct NextKey {
    key: PrivateKey,
    /// Present for a new one.
    sealed: Option<SealedKey>,
}

pub(super) const fn job_key(ca: CaId) -> JobKey {
    JobKey { kind: JobKind::RenewCa, object: ca.as_uuid() }
}

pub(super) fn signed_elsewhere(field: &str) -> Error {
    let text = "this CA is signed by a CA elsewhere: read its csr, have it signed there, and give the certificate to import-certificate";
    Error::malformed("ca.signed_elsewhere", field, text)
}

/// When a CA certificate is to be renewed: the set number of days before its end, or a third of its life where it does
/// not live that long.
fn renewal_due(ca: &CertificationAuthority, current: &CaCertificate) -> Timestamp {
    let life = current.not_after.as_seconds() - current.not_before.as_seconds() + 1;
    let lead = i64::from(ca.configuration.auto_renewal.days_before_expiry.unwrap_or(DAYS_BEFORE_EXPIRY)) * 86_400;
    let lead = if lead > life / 3 * 2 { life / 3 } else { lead };
    current.not_after.plus_seconds(-lead)
}

/// Keeps the renewal job in step with the settings and with the certificate in force.
pub(super) fn schedule(ca: &CertificationAuthority, current: &CaCertificate) -> Change {
    let key = job_key(ca.id);
    if !ca.configuration.auto_renewal.enabled || !ca.is_signed_here(current) {
        return Change::DropJob(key);
    }
    let due_at = renewal_due(ca, current);
    Change::SetJob(NewJob { key, project_id: ca.project_id, due_at, deadline: current.not_after })
}

impl Authority {
    /// Makes the next certificate of a CA that is signed here, and puts it into force.
    pub async fn renew_ca(&self, call: &Call, id: CaId, renewal: CaRenewal) -> Result<CaCertificate, Error> {
        call.requester.require(Permission::CaEdit)?;
        let ca = self.ca_of(call, id).await?;
        self.renewed_ca(call, &ca, renewal, None).await
    }

    async fn renewed_ca(
        &self,
        call: &Call,
        ca: &CertificationAuthority,
        renewal: CaRenewal,
        fence: Option<Fence>,
    ) -> Result<CaCertificate, Error> {
        if ca.status != CaStatus::Active {
            let text =
                format!("the certificate authority '{}' is {}, so it cannot be renewed", ca.name, ca.status.as_str());
            return Err(Error::malformed("ca.not_active", "caId", text));
        }
        let current = self.current_certificate(ca).await?;
        if current.certificate.revocation.is_some() && renewal.key == CaRenewalKey::Existing {
            let text = "its certificate is revoked; renew with type new-key, so that nothing revoked goes on under another certificate";
            return Err(Error::malformed("ca.revoked", "type", text));
        }
        let parent = self.renewal_parent(ca, &current).await?;
        let validity = renewed_validity(&current.certificate, renewal.not_after, parent.as_deref(), self.now())?;
        let next = self.next_key(ca, renewal.key).await?;
        let mut renewed = ca.clone();
        if let Some(sealed) = &next.sealed {
            renewed.key_id = sealed.id;
            renewed.configuration.key_algorithm = sealed.algorithm;
            renewed.configuration.signature_algorithm =
                ca.configuration.signature_algorithm.filter(|it| it.fits(sealed.algorithm));
        }
        let certificate = self.next_certificate(&renewed, &current, &next, validity, parent.as_deref()).await?;
        renewed.active_certificate = Some(certificate.id);
        self.record_renewal(call, ca, (&renewed, &certificate), next.sealed, fence).await?;
        self.wake_jobs();
        Ok(certificate)
    }

    pub(super) async fn current_certificate(&self, ca: &CertificationAuthority) -> Result<Current, Error> {
        let Some(active) = ca.active_certificate else {
            return Err(Error::malformed("ca.no_certificate", "caId", "the CA waits for its first certificate"));
        };
        let certificate = self.reader().ca_certificate(active).await?;
        let certificate = certificate.ok_or_else(|| Error::internal(format!("CA certificate {active} is gone")))?;
        let parsed = Certificate::from_der(&certificate.der).map_err(Error::internal)?;
        Ok(Current { certificate, parsed })
    }

    /// The internal signer, opened; `None` for a root.
    async fn renewal_parent(
        &self,
        ca: &CertificationAuthority,
        current: &Current,
    ) -> Result<Option<Arc<Issuer>>, Error> {
        if ca.configuration.level == CaLevel::Root {
            return Ok(None);
        }
        let Some(parent) = ca.signer(&current.certificate) else { return Err(signed_elsewhere("type")) };
        self.issuer(ca.project_id, parent).await.map(Some)
    }

    async fn next_key(&self, ca: &CertificationAuthority, wanted: CaRenewalKey) -> Result<NextKey, Error> {
        match wanted {
            CaRenewalKey::Existing => Ok(NextKey { key: self.open_key(ca.project_id, ca.key_id).await?, sealed: None }),
            CaRenewalKey::New(algorithm) => {
                let key = self.generated_ca_key(algorithm.unwrap_or(ca.configuration.key_algorithm)).await?;
                let sealed = self.sealed_ca_key(ca.project_id, &key).await?;
                Ok(NextKey { key, sealed: Some(sealed) })
            }
        }
    }

    async fn next_certificate(
        &self,
        renewed: &CertificationAuthority,
        current: &Current,
        next: &NextKey,
        validity: Validity,
        parent: Option<&Issuer>,
    ) -> Result<CaCertificate, Error> {
        let said = current.parsed.extensions();
        if !current.parsed.unknown_extended_key_usages().is_empty() {
            let text = "its certificate is limited to extended key usages that are not known here, so none like it can be made";
            return Err(Error::malformed("ca.extended_key_usages", "caId", text));
        }
        if let Some(parent) = parent.filter(|it| !it.name_constraints().is_empty()) {
            let subject = current.parsed.subject();
            let subject = subject.map_err(|error| Error::malformed("ca.subject", "caId", error.message))?;
            check_subject_constraints(parent, &subject)?;
        }
        let new_key_id = next.key.public_key().key_id();
        let contents = CaCertificateContents {
            subject_der: current.parsed.subject_der(),
            subject_key_id: if next.sealed.is_some() { &new_key_id } else { &said.subject_key_id },
            public_key: next.key.public_key(),
            validity,
            path_length: certify::path_length(current.certificate.path_length.map_or(-1, i64::from), parent)?,
            name_constraints: said.name_constraints.clone(),
            extended_key_usages: said.extended_key_usages.clone(),
        };
        let own = Certifier::Own { key: &next.key, algorithm: own_signature(&renewed.configuration) };
        let by = parent.map_or(own, Certifier::Parent);
        let versions = self.reader().ca_certificates(renewed.id).await?;
        let version = versions.iter().map(|it| it.version).max().unwrap_or(0) + 1;
        self.certified(renewed, &contents, &by, version)
    }

    /// Everything at once: the old certificate stops signing in the moment in which the new one starts.
    async fn record_renewal(
        &self,
        call: &Call,
        before: &CertificationAuthority,
        (renewed, certificate): (&CertificationAuthority, &CaCertificate),
        sealed: Option<SealedKey>,
        fence: Option<Fence>,
    ) -> Result<(), Error> {
        let now = self.now();
        let event = if sealed.is_some() { AuditEvent::CaRolledOver } else { AuditEvent::CaCertificateRenewed };
        let mut write = Write::default();
        // The guards go first: a job that lost its lease, or a second renewal at the same time, writes nothing.
        write = match fence {
            Some(fence) => write.with(Change::FinishJob { fence, next: Some(renewal_due(renewed, certificate)) }),
            None => write,
        };
        if let Some(sealed) = sealed {
            write = write.with(Change::InsertKey(sealed));
        }
        write = write.with(Change::InsertCaCertificate(Box::new(certificate.clone()))).with(Change::ActivateCa {
            ca: renewed.id,
            certificate: certificate.id,
            expected_active: before.active_certificate,
            at: now,
        });
        if renewed.configuration != before.configuration {
            write = write.with(Change::UpdateCa(Box::new(renewed.clone())));
        }
        write.changes.extend(crls_for_key(self, renewed, renewed.key_id, now));
        write.changes.extend(self.status_resumed(certificate).await?);
        if fence.is_none() {
            write = write.with(schedule(renewed, certificate));
        }
        let message = format!("renewed until {}", certificate.not_after);
        let report = CaRenewalReport { success: true, message, at: now };
        let details = serde_json::json!({
            "caCertificateId": certificate.id,
            "serialNumber": certificate.serial_number,
            "version": certificate.version,
            "parentCaId": certificate.parent_ca_id,
            "keyAlgorithm": renewed.configuration.key_algorithm,
            "notAfter": certificate.not_after.to_string(),
        });
        let audit = call.audit(now, event, Some(("ca", renewed.id.as_uuid())), details);
        self.commit(write.with(Change::ReportCaRenewal { ca: renewed.id, report }).audited(audit)).await
    }

    /// What a certificate that comes into force needs: CRLs and a responder for its key, and its renewal.
    pub(super) fn coming_into_force(&self, ca: &CertificationAuthority, certificate: &CaCertificate) -> Vec<Change> {
        let mut changes = crls_for_key(self, ca, certificate.key_id, self.now());
        changes.push(schedule(ca, certificate));
        changes
    }

    /// When the server will renew the CA next, or try again.
    pub async fn next_ca_renewal(&self, ca: CaId) -> Result<Option<Timestamp>, Error> {
        Ok(self.reader().job(job_key(ca)).await?.map(|job| job.due_at))
    }

    async fn record_failed_renewal(&self, job: &Job, fence: Fence, error: &Error, gives_up: bool) -> Result<(), Error> {
        let now = self.now();
        let ca = CaId::from_uuid(job.key.object);
        let text = error.public_message();
        let wait = RETRY.seconds(job.attempts, self.random());
        let end = if gives_up {
            Change::FinishJob { fence, next: None }
        } else {
            Change::RetryJob { fence, due_at: now.plus_seconds(wait), error: text.clone() }
        };
        let details = serde_json::json!({
            "code": error.code(),
            "message": text,
            "attempt": job.attempts + 1,
            "nextTry": (!gives_up).then(|| now.plus_seconds(wait).to_string()),
        });
        let call = Call::system(job.project_id);
        let mut audit = call.audit(now, AuditEvent::CaRenewalFailed, Some(("ca", ca.as_uuid())), details);
        audit.outcome = Outcome::Failure;
        let report = CaRenewalReport { success: false, message: text, at: now };
        let write = Write::default().with(end).with(Change::ReportCaRenewal { ca, report }).audited(audit);
        self.commit(write).await
    }
}

/// A renewed CA starts now, set back a little, and lives as long as before; a date that was asked for is kept exactly.
fn renewed_validity(
    current: &CaCertificate,
    wanted: Option<Timestamp>,
    parent: Option<&Issuer>,
    now: Timestamp,
) -> Result<Validity, Error> {
    if let Some(wanted) = wanted {
        return certify::validity(None, wanted, parent, now);
    }
    let life = current.not_after.as_seconds() - current.not_before.as_seconds();
    let end = now.plus_seconds(life).min(Timestamp::MAX);
    let end = parent.map_or(end, |parent| end.min(parent.not_after()));
    if end <= current.not_after {
        let text = format!(
            "the certificate would end {end}, no later than the one in force; renew the CA above first, or name a notAfter"
        );
        return Err(Error::malformed("ca.outlives_parent", "notAfter", text));
    }
    certify::validity(None, end, parent, now)
}

/// The job of one CA: renews it when that is due, and is due again for the next time.
pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let finish = async |next| authority.commit(Write::default().with(Change::FinishJob { fence, next })).await;
    let ca = authority.reader().ca(job.project_id, CaId::from_uuid(job.key.object)).await?;
    let Some(ca) = ca.filter(|it| it.configuration.auto_renewal.enabled && it.active_certificate.is_some()) else {
        return finish(None).await;
    };
    let current = authority.current_certificate(&ca).await?.certificate;
    if !ca.is_signed_here(&current) {
        return finish(None).await;
    }
    let now = authority.now();
    if now > current.not_after {
        let text = format!("the certificate ended {}; renew the CA by hand if it is to go on", current.not_after);
        let error = Error::malformed("ca.expired", "", text);
        return authority.record_failed_renewal(job, fence, &error, true).await;
    }
    let due = renewal_due(&ca, &current);
    if now < due {
        // Renewed by hand, or settings changed, since the job was asked for.
        return finish(Some(due)).await;
    }
    let key = if ca.configuration.auto_renewal.new_key { CaRenewalKey::New(None) } else { CaRenewalKey::Existing };
    let call = Call::system(job.project_id);
    match authority.renewed_ca(&call, &ca, CaRenewal { key, not_after: None }, Some(fence)).await {
        Ok(_) => Ok(()),
        Err(error @ Error::Store(StoreError::Conflict(Conflict::Stale))) => Err(error),
        Err(error) => authority.record_failed_renewal(job, fence, &error, false).await,
    }
}

#[cfg(test)]
mod tests {
    use chancery_model::authority::{AutoRenewal, InternalCaConfiguration};
    use chancery_model::{CaCertificateId, KeyId, ProjectId};
    use uuid::Uuid;

    use super::*;

    fn ca(days: Option<u32>) -> CertificationAuthority {
        let mut configuration: InternalCaConfiguration =
            serde_json::from_value(serde_json::json!({"level": "root", "key_algorithm": "EC_prime256v1"})).unwrap();
        configuration.auto_renewal = AutoRenewal { enabled: true, days_before_expiry: days, new_key: false };
        let nil = Uuid::nil();
        CertificationAuthority {
            id: CaId::from_uuid(nil),
            project_id: ProjectId::from_uuid(nil),
            name: "root".to_owned(),
            status: CaStatus::Active,
            configuration,
            direct_issuance_template: None,
            active_certificate: None,
            key_id: KeyId::from_uuid(nil),
            last_renewal: None,
            created_at: Timestamp::from_seconds(0),
            updated_at: Timestamp::from_seconds(0),
        }
    }

    fn certificate(life_days: i64) -> CaCertificate {
        let nil = Uuid::nil();
        CaCertificate {
            id: CaCertificateId::from_uuid(nil),
            ca_id: CaId::from_uuid(nil),
            project_id: ProjectId::from_uuid(nil),
            key_id: KeyId::from_uuid(nil),
            version: 1,
            serial_number: "01".to_owned(),
            der: Vec::new(),
            chain: Vec::new(),
            parent_ca_id: None,
            parent_certificate_id: None,
            path_length: None,
            not_before: Timestamp::from_seconds(0),
            not_after: Timestamp::from_seconds(life_days * 86_400 - 1),
            revocation: None,
            created_at: Timestamp::from_seconds(0),
        }
    }

    #[test]
    fn a_ca_is_due_so_many_days_before_its_end_and_never_from_its_start() {
        let check = |days: Option<u32>, life_days: i64, expected_lead_days: i64| {
            let current = certificate(life_days);
            let due = renewal_due(&ca(days), &current);
            let lead = current.not_after.as_seconds() - due.as_seconds();
            assert_eq!(lead, expected_lead_days * 86_400, "{days:?} of {life_days}");
        };
        check(None, 3_650, 30);
        check(Some(1), 3_650, 1);
        check(Some(365), 3_650, 365);
        check(Some(60), 90, 60);
        check(Some(61), 90, 30);
        check(None, 30, 10);
        check(Some(365), 3, 1);
    }

    #[test]
    fn the_same_life_again_ends_later_or_is_refused() {
        let current = certificate(10);
        let day = |days: i64| Timestamp::from_seconds(days * 86_400);
        let again = renewed_validity(&current, None, None, day(8)).unwrap();
        assert_eq!(again.not_after, 18 * 86_400 - 1);
        assert_eq!(renewed_validity(&current, Some(day(9)), None, day(8)).unwrap().not_after, 9 * 86_400);
        assert_eq!(renewed_validity(&current, Some(day(7)), None, day(8)).unwrap_err().code(), "ca.not_after");
        assert_eq!(renewed_validity(&current, None, None, day(0)).unwrap_err().code(), "ca.outlives_parent");
    }
}
