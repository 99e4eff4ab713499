//! Reserve: where a CA elsewhere signs, the approved request is written down whole (with its sealed key and the CSR that the
//! CA will get) before anybody outside is asked. What dies afterwards is resumed from this record.

use chancery_model::RequestId;
use chancery_model::audit::AuditEvent;
use chancery_model::certificate::Certificate;
use chancery_model::enrollment::{Enrollment, KeySource};
use chancery_model::identity::ActorId;
use chancery_model::job::Fence;
use chancery_model::order::{ExternalOrder, OrderPhase, OrderPlan};
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_pkix::{CertificationRequestInfo, DistinguishedName};
use chancery_store::{Change, Conflict, ExternalChange, StoreError, Write};

use super::decide::ApprovedRequest;
use super::record::request_row;
use super::{Ground, Issuance, PendingRequest, SubjectKey, signed};
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::external::advancing;
use crate::hierarchy::ExternalIssuer;
use crate::renewal::is_tried_at;

/// What is about to be reserved.
pub(super) struct Reservation<'a> {
    pub approved: &'a ApprovedRequest,
    pub key: &'a SubjectKey,
    pub ground: &'a Ground,
    pub external: &'a ExternalIssuer,
    pub predecessor: Option<&'a Certificate>,
    pub fence: Option<Fence>,
}

const DAY_SECONDS: i64 = 86_400;

impl Authority {
    pub(super) async fn reserve(&self, call: &Call, reservation: Reservation<'_>) -> Result<Issuance, Error> {
        let Reservation { approved, key, ground, external, predecessor, fence } = reservation;
        let enrollment = approved.enrollment();
        let now = self.now();
        let id = RequestId::generate(now, self.random());
        let csr = self.csr_to_send(call, enrollment, key, predecessor).await?;
        let plan = plan(call, ground, enrollment, requester_of(call, predecessor))?;
        let sealed = self.seal_new_key(call, enrollment, key, ground, now).await?;
        if sealed.is_none() && matches!(enrollment.key, KeySource::Generate) {
            return Err(Error::malformed(
                "csr.required",
                "csr",
                "the profile keeps no keys, and a CA elsewhere answers when nobody is there to take one; send a CSR made with your own key, or set keyCustody to \"stored\"",
            ));
        }
        let order = ExternalOrder {
            request_id: id,
            project_id: call.project_id(),
            ca_id: external.ca.id,
            phase: OrderPhase::Ordering,
            renews: predecessor.map(|it| it.id),
            key_id: sealed.as_ref().map(|it| it.id),
            csr,
            plan,
            state: serde_json::Value::Null,
            reference: None,
            quarantined: None,
            give_up_at: now.plus_seconds(external.capabilities.patience_seconds),
            created_at: now,
            updated_at: now,
        };
        let request = CertificateRequest {
            application_id: order.plan.application_id,
            requester: order.plan.requester,
            status: RequestStatus::Pending,
            pending_message: Some(format!("Waiting for the certification authority '{}'", external.ca.name)),
            ..request_row(call, enrollment, id, now)
        };
        let mut write = Write::default();
        if let Some(fence) = fence {
            // The order will end with a successor, which drops the renewal's job, or make it due again while it is tried.
            let next = order.give_up_at.plus_seconds(DAY_SECONDS);
            let next = predecessor.is_some_and(|old| is_tried_at(old, next)).then_some(next);
            write = write.with(Change::FinishJob { fence, next });
        }
        write = write.with(Change::External(ExternalChange::InsertOrder(Box::new(order.clone()))));
        if let Some(sealed) = sealed {
            write = write.with(Change::InsertKey(sealed));
        }
        write = write
            .with(Change::InsertRequest(Box::new(request.clone())))
            .with(Change::ScheduleJob(advancing(&order, now)))
            .audited(call.audit(now, AuditEvent::CertificateOrdered, Some(("request", id.as_uuid())), audited(&order)));
        match self.commit(write).await {
            Ok(()) => {}
            Err(Error::Store(StoreError::Conflict(Conflict::Idempotency))) => {
                return self.replay(call).await?.ok_or_else(|| Error::internal("idempotent request vanished"));
            }
            // Being renewed by somebody else, or by this very call on its first try.
            Err(error @ Error::Store(StoreError::Conflict(Conflict::BeingRenewed))) => {
                return self.replay(call).await?.ok_or(error);
            }
            Err(error) => return Err(error),
        }
        self.wake_jobs();
        Ok(Issuance::Pending(Box::new(PendingRequest { request, warnings: enrollment.warnings.clone() })))
    }

    /// The requester's CSR as it came, or one by the key that was made here.
    async fn csr_to_send(
        &self,
        call: &Call,
        enrollment: &Enrollment,
        key: &SubjectKey,
        predecessor: Option<&Certificate>,
    ) -> Result<Vec<u8>, Error> {
        match (&enrollment.key, key.held()) {
            (KeySource::Csr(_), _) => enrollment.csr.clone().ok_or_else(|| {
                Error::malformed(
                    "csr.challenge_password",
                    "csr",
                    "the CSR carries a challenge password, which is a secret and would be sent to the certification authority; make one without",
                )
            }),
            (KeySource::ReuseCsr(_), _) => {
                let request = predecessor.map(|it| it.request_id);
                let order = match request {
                    Some(request) => self.reader().order(call.project_id(), request).await?,
                    None => None,
                };
                order.map(|it| it.csr).ok_or_else(|| {
                    Error::malformed("renewal.no_csr", "renewalKeySource", "the CSR that could be sent again is not stored; renew with a new one")
                })
            }
            (_, Some(private)) => {
                let subject = DistinguishedName::new(enrollment.subject.iter().map(|it| it.value.clone()).collect())
                    .map_err(|error| Error::malformed(error.code, "subject", error.message))?;
                let names: Vec<_> = enrollment.sans.iter().map(|it| it.value.clone()).collect();
                let usages: Vec<_> = enrollment.extended_key_usages.iter().map(|it| it.value).collect();
                let unsigned = CertificationRequestInfo {
                    subject_der: &subject.to_der(),
                    public_key: private.public_key(),
                    subject_alt_names: &names,
                    key_usages: enrollment.key_usages.iter().map(|it| it.value).collect(),
                    extended_key_usages: &usages,
                    basic_constraints: Some(enrollment.basic_constraints.value).filter(|it| it.is_ca),
                }
                .to_der();
                signed(&unsigned, private.algorithm().default_signature(), private)
            }
            (_, None) => Err(Error::internal("an order without a CSR and without a key")),
        }
    }
}

/// Whoever renews owns the successor; the server renews for the owner.
fn requester_of(call: &Call, predecessor: Option<&Certificate>) -> ActorId {
    match predecessor {
        Some(old) if call.requester.actor_id() == ActorId::System => old.requester,
        _ => call.requester.actor_id(),
    }
}

fn plan(call: &Call, ground: &Ground, enrollment: &Enrollment, requester: ActorId) -> Result<OrderPlan, Error> {
    let Some(profile_id) = enrollment.profile_id else {
        return Err(Error::internal("an order without a profile"));
    };
    Ok(OrderPlan {
        profile_id,
        template_id: enrollment.template_id,
        template_version: enrollment.template_version,
        application_id: ground.application_id(),
        requester,
        ttl: enrollment.validity.value.ttl.as_seconds(),
        validity_max: ground.template.rules.validity_max().map(|most| most.as_seconds()),
        is_ca: enrollment.basic_constraints.value.is_ca,
        by_itself: call.requester.actor_id() == ActorId::System,
        from_csr: matches!(enrollment.key, KeySource::Csr(_) | KeySource::ReuseCsr(_)),
        external_configs: ground.settings().external_configs.clone(),
    })
}

fn audited(order: &ExternalOrder) -> serde_json::Value {
    serde_json::json!({
        "caId": order.ca_id, "profileId": order.plan.profile_id, "applicationId": order.plan.application_id,
        "templateId": order.plan.template_id, "templateVersion": order.plan.template_version,
        "renewedFrom": order.renews, "csrSha256": hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&order.csr)),
    })
}
