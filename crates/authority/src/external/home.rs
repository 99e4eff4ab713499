//! The end of an order, in one transaction: the certificate that came home, or what is left of a failure.

use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::certificate::{Certificate, CertificateSource, RenewalState};
use chancery_model::job::{JobKey, JobKind, NewJob};
use chancery_model::order::ExternalOrder;
use chancery_model::profile::EnrollmentType;
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_model::{CertificateId, Timestamp, Warning};
use chancery_store::{Change, Conflict, ExternalChange, ImportedCertificate, StoreError, Write};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::accept::Accepted;
use super::advance::Turn;
use super::upstream::ExternalCertificate;
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::inventory;
use crate::issuance::record::audit_details;
use crate::jobs::LEASE_SECONDS;
use crate::renewal::{self, RenewalOutlook, RenewalRules};

impl Turn<'_> {
    /// Records the certificate, and with it the end of the order, of the request and of this lease.
    pub(super) async fn bring_home(
        &self,
        order: &ExternalOrder,
        accepted: Accepted,
        predecessor: Option<&Certificate>,
    ) -> Result<(), Error> {
        let authority = self.authority;
        let Some(request) = authority.reader().request(order.project_id, order.request_id).await? else {
            return Err(Error::internal(format!("the request of order {} is gone", order.request_id)));
        };
        // A predecessor that was renewed or revoked meanwhile gets no successor; the certificate exists all the same.
        for predecessor in [predecessor, None] {
            let write = self.record_of(order, &accepted, &request, predecessor).await?;
            match self.finish(write, Some(0)).await {
                Err(Error::Store(StoreError::Conflict(Conflict::AlreadyRenewed))) if predecessor.is_some() => {}
                Err(Error::Store(StoreError::Conflict(Conflict::Serial))) => {
                    return self.refuse_twin(order, accepted.leaf.der()).await;
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    authority.stages().count_issued();
                    if predecessor.is_some() && order.plan.by_itself {
                        authority.renewal_counters().count_renewed();
                    }
                    break;
                }
            }
        }
        authority.wake_jobs();
        authority.wake_waiting();
        Ok(())
    }

    /// Of a request that was cancelled in the moment when its certificate came: nobody gets it, but it exists. The order has
    /// ended and keeps no bytes any more, so the log does.
    pub(super) async fn issued_in_vain(&self, order: &ExternalOrder, der: Option<&[u8]>) -> Result<(), Error> {
        let Some(der) = der else { return Ok(()) };
        let authority = self.authority;
        let now = authority.now();
        let details = json!({
            "caId": order.ca_id, "reference": order.reference, "renewedFrom": order.renews,
            "message": "the request had ended when the certification authority issued the certificate; have it revoked there",
            "fingerprintSha256": hex::encode(Sha256::digest(der)),
            "certificate": chancery_pkix::pem::encode(chancery_pkix::pem::CERTIFICATE, der),
        });
        let object = Some(("request", order.request_id.as_uuid()));
        let mut audit = Call::system(order.project_id).audit(now, AuditEvent::CertificateQuarantined, object, details);
        audit.outcome = Outcome::Failure;
        // Whoever lost the lease has nothing to say: its successor took the same step.
        let extend = Change::ExtendLease { fence: self.fence, lease_until: now.plus_seconds(LEASE_SECONDS) };
        authority.commit(Write::default().with(extend).audited(audit)).await
    }

    /// Of a serial number that the CA has used before (RFC 5280 §4.1.2.2).
    async fn refuse_twin(&self, order: &ExternalOrder, der: &[u8]) -> Result<(), Error> {
        let fingerprint = Sha256::digest(der).into();
        if self.authority.reader().certificate_by_fingerprint(order.project_id, &fingerprint).await?.is_some() {
            let text = "the certification authority sent a certificate that is in the inventory already";
            return self.fail(order, text, None).await;
        }
        self.quarantine(order, Some(der), &["its serial number is that of another certificate".to_owned()]).await
    }

    async fn record_of(
        &self,
        order: &ExternalOrder,
        accepted: &Accepted,
        request: &CertificateRequest,
        predecessor: Option<&Certificate>,
    ) -> Result<Write, Error> {
        let authority = self.authority;
        let now = authority.now();
        let mut certificate = authority.certificate_of_order(order, accepted, request, now);
        certificate.friendly_name = predecessor.and_then(|old| old.friendly_name.clone());
        let outlook = self.outlook(order, &certificate, predecessor).await?;
        certificate.renewal = outlook.state;
        let call = Call::system(order.project_id);
        let event = if predecessor.is_some() { AuditEvent::CertificateRenewed } else { AuditEvent::CertificateIssued };
        let object = Some(("certificate", certificate.id.as_uuid()));
        let mut write = Write::default();
        if let Some(old) = predecessor {
            write = write.with(Change::MarkRenewed { id: old.id, by: certificate.id, at: now });
        }
        write.changes.extend(outlook.revocation.map(Change::SetJob));
        if certificate.renewal.due_at.is_some() && self.advises_renewal(order).await? {
            write = write.with(Change::ScheduleJob(asking_renewal_time(&certificate, now)));
        }
        let finished = Change::FinishRequest {
            id: order.request_id,
            status: RequestStatus::Issued,
            certificate_id: Some(certificate.id),
            document: with_warnings(&request.document, &accepted.warnings),
            error_message: None,
            at: now,
        };
        let audit = call.audit(now, event, object, audited(order, &certificate, &accepted.warnings));
        let chain = accepted.chain.clone();
        write = write
            .with(Change::ImportCertificate(Box::new(ImportedCertificate { certificate, chain })))
            .with(finished)
            .audited(audit);
        write.changes.extend([kept(order, now), ended(order, None, now)]);
        Ok(write)
    }

    async fn advises_renewal(&self, order: &ExternalOrder) -> Result<bool, Error> {
        let ca = self.authority.reader().ca_summary(order.project_id, order.ca_id).await?;
        Ok(self.authority.advises_renewal(ca.and_then(|it| it.kind)))
    }

    /// Renewals to come, by the profile as it is now, whether or not its CA would be asked at this moment. Without it there
    /// are none.
    async fn outlook(
        &self,
        order: &ExternalOrder,
        certificate: &Certificate,
        predecessor: Option<&Certificate>,
    ) -> Result<RenewalOutlook, Error> {
        let authority = self.authority;
        let profile_id = order.plan.profile_id;
        let Some(profile) = authority.reader().profile(order.project_id, profile_id).await? else {
            let state = RenewalState { renewed_from: predecessor.map(|it| it.id), ..RenewalState::default() };
            return Ok(RenewalOutlook { state, revocation: None });
        };
        let settings = profile.settings;
        let api = match order.plan.application_id {
            Some(application) => {
                let attached = authority.reader().application_profile(application, profile_id).await?;
                attached.map_or(settings.api, |it| it.api)
            }
            None => settings.api,
        };
        let rules = RenewalRules { api: api.as_ref(), allows_key_reuse: settings.allow_key_reuse };
        Ok(authority.renewal_outlook(rules, certificate, predecessor))
    }
}

impl Authority {
    fn certificate_of_order(
        &self,
        order: &ExternalOrder,
        accepted: &Accepted,
        request: &CertificateRequest,
        now: Timestamp,
    ) -> Certificate {
        let leaf = &accepted.leaf;
        let (not_before, not_after) =
            (Timestamp::from_seconds(leaf.validity.not_before), Timestamp::from_seconds(leaf.validity.not_after));
        let granted = leaf.validity.not_after - leaf.validity.not_before + 1;
        let mut description = inventory::description(leaf);
        description.from_csr = order.plan.from_csr;
        Certificate {
            id: CertificateId::generate(now, self.random()),
            project_id: order.project_id,
            request_id: order.request_id,
            profile_id: Some(order.plan.profile_id),
            template_id: Some(order.plan.template_id),
            template_version: order.plan.template_version,
            ca_id: Some(order.ca_id),
            ca_certificate_id: None,
            application_id: order.plan.application_id,
            enrollment: EnrollmentType::Api,
            source: CertificateSource::Issued,
            friendly_name: None,
            requester: order.plan.requester,
            serial_number: inventory::serial_number(leaf),
            der: leaf.der().to_vec(),
            fingerprint_sha256: Sha256::digest(leaf.der()).into(),
            not_before,
            not_after,
            ttl: order.plan.ttl.min(granted),
            description,
            key_id: order.key_id,
            crl_partition: 0,
            revocation: None,
            renewal: RenewalState::default(),
            metadata: request.metadata.clone(),
            created_at: now,
            updated_at: now,
        }
    }

    /// What an order that ends without a certificate changes, whoever ends it. Its caller adds why, in the audit log.
    pub(super) async fn ended_without(
        &self,
        order: &ExternalOrder,
        message: &str,
        quarantined: Option<Vec<u8>>,
    ) -> Result<Write, Error> {
        let now = self.now();
        let mut write = Write::default();
        write.changes.push(ended(order, quarantined, now));
        write = write.with(Change::FinishRequest {
            id: order.request_id,
            status: RequestStatus::Failed,
            certificate_id: None,
            document: None,
            error_message: Some(message.to_owned()),
            at: now,
        });
        write.changes.extend(order.key_id.map(|key| Change::External(ExternalChange::DropKey(key))));
        if let Some(renews) = order.renews {
            self.renewal_has_failed(&mut write, order, renews, message).await?;
        }
        Ok(write)
    }

    /// The certificate that was to be renewed is due again later, and says why it was not.
    async fn renewal_has_failed(
        &self,
        write: &mut Write,
        order: &ExternalOrder,
        renews: CertificateId,
        message: &str,
    ) -> Result<(), Error> {
        let Some(old) = self.reader().certificate(order.project_id, renews).await? else { return Ok(()) };
        if old.renewal.renewed_by.is_some() || old.revocation.is_some() {
            return Ok(());
        }
        let now = self.now();
        let failures = self.reader().ended_orders_renewing(renews).await?;
        let is_due = old.renewal.due_at.is_some_and(|due_at| due_at <= now);
        let next_try = is_due.then(|| renewal::next_try(&old, failures, now, self.random())).flatten();
        let message = if is_due && next_try.is_none() { renewal::last_words(message) } else { message.to_owned() };
        let error = Change::SetRenewalError { id: renews, error: Some(message.clone()), at: now };
        write.changes.push(error);
        if let Some(due_at) = next_try {
            write.changes.push(Change::SetJob(NewJob {
                key: JobKey { kind: JobKind::RenewCertificate, object: renews.as_uuid() },
                project_id: order.project_id,
                due_at,
                deadline: old.not_after,
            }));
        }
        let details = json!({
            "type": "UNKNOWN_ERROR", "message": message, "requestId": order.request_id,
            "nextTry": next_try.map(|it| it.to_string()),
        });
        let object = Some(("certificate", renews.as_uuid()));
        let mut audit =
            Call::system(order.project_id).audit(now, AuditEvent::CertificateRenewalFailed, object, details);
        audit.outcome = Outcome::Failure;
        write.audit.push(audit);
        Ok(())
    }

    /// What the CA of a certificate is told about it.
    pub(crate) async fn external_certificate(&self, certificate: &Certificate) -> Result<ExternalCertificate, Error> {
        let order = self.reader().order(certificate.project_id, certificate.request_id).await?;
        let (reference, state) = order.map_or((None, serde_json::Value::Null), |it| (it.reference, it.state));
        Ok(ExternalCertificate {
            der: certificate.der.clone(),
            reference,
            state,
            serial_number: certificate.serial_number.clone(),
        })
    }
}

/// The state of the last step, from whoever took it. It goes before the end: what is left outside is found by it. Who ends
/// an order from outside must not write one: the order may be further by now than it was when it was read.
pub(super) fn kept(order: &ExternalOrder, at: Timestamp) -> Change {
    let (request_id, state, reference) = (order.request_id, order.state.clone(), order.reference.clone());
    Change::External(ExternalChange::AdvanceOrder { request_id, state, reference, challenges: None, at })
}

const fn ended(order: &ExternalOrder, quarantined: Option<Vec<u8>>, at: Timestamp) -> Change {
    Change::External(ExternalChange::EndOrder { request_id: order.request_id, quarantined, at })
}

/// The job that asks the CA when it wants the certificate renewed.
pub(crate) fn asking_renewal_time(certificate: &Certificate, due_at: Timestamp) -> NewJob {
    NewJob {
        key: JobKey { kind: JobKind::AskRenewalTime, object: certificate.id.as_uuid() },
        project_id: certificate.project_id,
        due_at,
        deadline: certificate.not_after,
    }
}

/// The request's document with what came back being remarked on.
fn with_warnings(document: &str, more: &[Warning]) -> Option<String> {
    if more.is_empty() {
        return None;
    }
    let mut document: serde_json::Map<String, serde_json::Value> = serde_json::from_str(document).ok()?;
    let warnings = document.entry("warnings").or_insert_with(|| json!([])).as_array_mut()?;
    warnings.extend(more.iter().filter_map(|it| serde_json::to_value(it).ok()));
    serde_json::to_string(&document).ok()
}

fn audited(order: &ExternalOrder, certificate: &Certificate, warnings: &[Warning]) -> serde_json::Value {
    let mut details = audit_details(certificate);
    if let Some(fields) = details.as_object_mut() {
        fields.insert("orderReference".to_owned(), json!(order.reference));
        fields.insert("warnings".to_owned(), json!(warnings));
    }
    details
}
