//! A CA elsewhere that speaks in steps like an ACME CA, counts what it is made to do, and fails as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use chancery_authority::external::{
    Asking, Capabilities, ExternalCertificate, IntermediateWish, Next, OpenedConnection, OrderInHand, RenewalAdvice,
    Settled, Site, Step, Tidied, Upstream, UpstreamCa, UpstreamError,
};
use chancery_model::RequestId;
use chancery_model::certificate::RevocationReason;
use chancery_model::external::{ChallengeKind, ExternalCaKind};
use chancery_model::order::{ExternalOrder, PublishedChallenge};
use chancery_pkix::CertificationRequest;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::pki::{Answer, Pki};

/// The steps of an order, in their turn. What a step is called is the state that it leaves.
pub const STEPS: &[&str] = &["asked", "placed", "announced", "set", "validating", "ready", "finalized", "issued"];

/// Where a step is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    BeforeEffect,
    AfterEffect,
}

#[derive(Clone, Debug)]
pub enum Fault {
    Error(UpstreamError),
    Panic,
    /// Says that it is there, and never comes back.
    Stop,
}

/// What is known of one order.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub placed: u32,
    pub finalized: u32,
    /// How often each step was begun.
    pub begun: BTreeMap<String, u32>,
    pub replaces: bool,
    chain: Option<Vec<Vec<u8>>>,
    is_validated: bool,
}

#[derive(Default)]
struct Inner {
    orders: BTreeMap<RequestId, Record>,
    zone: BTreeSet<String>,
    fault: Option<(String, When, Fault, u32)>,
    answer: Answer,
    /// Waits once more before it is validated, for so many looks.
    looks: u32,
    said: Vec<Vec<Vec<u8>>>,
    revoked: BTreeMap<String, (RevocationReason, u32)>,
    revocation_fault: Option<UpstreamError>,
    advice: Option<RenewalAdvice>,
    asked_for_advice: u32,
    settled: u32,
    failure: Option<String>,
    connection_fault: Option<UpstreamError>,
}

pub struct Elsewhere {
    pki: Pki,
    inner: Mutex<Inner>,
    /// Rings when a step has come to where it stops.
    pub reached: Notify,
    /// Lets a stopped step go on.
    pub go_on: Notify,
}

struct Kind(ExternalCaKind, Arc<Elsewhere>);

/// The CA, in the hands of a server.
pub struct Way([Kind; 3]);

impl Way {
    pub fn to(elsewhere: &Arc<Elsewhere>) -> Arc<Self> {
        let kinds = [ExternalCaKind::Acme, ExternalCaKind::Digicert, ExternalCaKind::Vault];
        Arc::new(Self(kinds.map(|kind| Kind(kind, Arc::clone(elsewhere)))))
    }
}

impl Elsewhere {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            pki: Pki::new(),
            inner: Mutex::new(Inner::default()),
            reached: Notify::new(),
            go_on: Notify::new(),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// Hits a step (or `tidy`) so many times from now on.
    pub fn hit(&self, step: &str, when: When, fault: Fault, times: u32) {
        self.inner().fault = Some((step.to_owned(), when, fault, times));
    }

    pub fn heal(&self) {
        self.inner().fault = None;
    }

    pub fn send(&self, answer: Answer) {
        self.inner().answer = answer;
    }

    /// So many looks at the validation say that it is not done.
    pub fn dawdle(&self, looks: u32) {
        self.inner().looks = looks;
    }

    /// The CA says no when it is asked to validate.
    pub fn refuse(&self, message: Option<&str>) {
        self.inner().failure = message.map(str::to_owned);
    }

    pub fn order(&self, id: RequestId) -> Record {
        self.inner().orders.get(&id).cloned().unwrap_or_default()
    }

    pub fn orders(&self) -> usize {
        self.inner().orders.values().filter(|it| it.placed > 0).count()
    }

    /// What is set in the zone now.
    pub fn zone(&self) -> Vec<String> {
        self.inner().zone.iter().cloned().collect()
    }

    /// Reason and how often it was told, by serial number.
    pub fn revoked(&self, serial: &str) -> Option<(RevocationReason, u32)> {
        self.inner().revoked.get(serial).copied()
    }

    pub fn refuse_revocations(&self, error: Option<UpstreamError>) {
        self.inner().revocation_fault = error;
    }

    pub fn advise(&self, advice: Option<RenewalAdvice>) {
        self.inner().advice = advice;
    }

    pub fn asked_for_advice(&self) -> u32 {
        self.inner().asked_for_advice
    }

    pub fn settled(&self) -> u32 {
        self.inner().settled
    }

    pub fn refuse_connections(&self, error: Option<UpstreamError>) {
        self.inner().connection_fault = error;
    }

    async fn meet(&self, step: &str, now: When) -> Result<(), UpstreamError> {
        let fault = {
            let mut inner = self.inner();
            match &mut inner.fault {
                Some((hit, when, fault, times)) if hit == step && *when == now && *times > 0 => {
                    *times -= 1;
                    Some(fault.clone())
                }
                _ => None,
            }
        };
        match fault {
            None => Ok(()),
            Some(Fault::Error(error)) => Err(error),
            Some(Fault::Panic) => panic!("as the story wants"),
            Some(Fault::Stop) => {
                self.reached.notify_one();
                self.go_on.notified().await;
                Ok(())
            }
        }
    }

    fn effect(&self, step: &str, site: &Site, hand: &OrderInHand) {
        let order = &hand.order;
        let name = record_name(order);
        let mut inner = self.inner();
        let Inner { orders, zone, answer, said, looks, .. } = &mut *inner;
        // The serial number.
        let number = if *answer == Answer::SerialTwice { 0 } else { said.len() as u64 } + 100;
        let record = orders.entry(order.request_id).or_default();
        match step {
            // As a CA that finds the order of before: placed once however often it is asked for.
            "placed" => {
                record.placed = 1;
                record.replaces = hand.predecessor.is_some();
            }
            "set" => drop(zone.insert(name)),
            "ready" if *looks > 0 => *looks -= 1,
            "ready" => record.is_validated = zone.contains(&name),
            "finalized" => {
                assert!(record.is_validated, "finalised without a validation");
                if record.chain.is_none() {
                    record.finalized += 1;
                    let csr = CertificationRequest::from_der(&order.csr).unwrap();
                    let asked = (order.plan.ttl, site.now, number);
                    let chain = self.pki.answer(*answer, &csr, asked, said.first());
                    said.push(chain.clone());
                    record.chain = Some(chain);
                }
            }
            _ => {}
        }
    }

    fn after(&self, step: &str, order: &ExternalOrder) -> Step {
        let inner = self.inner();
        let record = inner.orders.get(&order.request_id).cloned().unwrap_or_default();
        let url = format!("https://elsewhere.test/order/{}", order.request_id);
        let name = record_name(order);
        let mut state = if order.state.is_null() { json!({ "records": [] }) } else { order.state.clone() };
        let mut next = Next::Continue;
        let mut challenges = None;
        match step {
            "announced" => {
                state["records"] = json!([name]);
                challenges = Some(vec![PublishedChallenge {
                    kind: ChallengeKind::Http01,
                    name: order.request_id.to_string(),
                    value: "token.thumbprint".to_owned(),
                }]);
            }
            "validating" => next = wait("Waiting for the validation of the names"),
            "ready" => {
                if let Some(message) = &inner.failure {
                    next = Next::Failed { message: message.clone() };
                } else if !record.is_validated {
                    // Looked at again.
                    return Step { state, reference: None, challenges, next: wait("Not validated yet") };
                }
            }
            "issued" => {
                let warnings = vec!["signed under the policy of the day".to_owned()];
                next = Next::Issued { chain: record.chain.unwrap(), warnings };
            }
            _ => {}
        }
        state["at"] = json!(step);
        let reference = (step == "placed").then_some(url);
        Step { state, reference, challenges, next }
    }

    async fn take(&self, site: &Site, hand: &OrderInHand) -> Result<Step, UpstreamError> {
        let order = &hand.order;
        let at = order.state.get("at").and_then(Value::as_str);
        let place = at.map_or(0, |at| STEPS.iter().position(|step| *step == at).unwrap() + 1);
        let step = STEPS[place];
        *self.inner().orders.entry(order.request_id).or_default().begun.entry(step.to_owned()).or_default() += 1;
        self.meet(step, When::BeforeEffect).await?;
        self.effect(step, site, hand);
        self.meet(step, When::AfterEffect).await?;
        Ok(self.after(step, order))
    }

    async fn clear(&self, order: &ExternalOrder) -> Result<Tidied, UpstreamError> {
        let records = order.state.get("records").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(first) = records.first().and_then(Value::as_str) else { return Ok(Tidied::Done) };
        self.meet("tidy", When::BeforeEffect).await?;
        self.inner().zone.remove(first);
        self.meet("tidy", When::AfterEffect).await?;
        let mut state = order.state.clone();
        state["records"] = records[1..].into();
        Ok(Tidied::More { state })
    }
}

fn wait(message: &str) -> Next {
    Next::Wait { seconds: 5, validating: true, message: message.to_owned() }
}

fn record_name(order: &ExternalOrder) -> String {
    format!("_acme-challenge.{}", order.request_id)
}

impl UpstreamCa for Kind {
    fn capabilities(&self) -> Capabilities {
        let able = self.0 != ExternalCaKind::Digicert;
        Capabilities {
            revoke: able,
            renew: able,
            advises_renewal: self.0 == ExternalCaKind::Acme,
            patience_seconds: 2 * 86_400,
        }
    }

    fn settle<'a>(&'a self, site: &'a Site) -> Asking<'a, Settled> {
        Box::pin(async move {
            let it = &self.1;
            it.inner().settled += 1;
            let mut secrets = site.secrets.clone();
            secrets.insert("accountKey".to_owned(), "open-sesame-account-key".to_owned().into());
            Ok(Settled {
                standing: json!({ "accountUrl": "https://elsewhere.test/acct/1" }),
                secrets,
                warnings: vec![],
            })
        })
    }

    fn advance<'a>(&'a self, site: &'a Site, order: &'a OrderInHand) -> Asking<'a, Step> {
        Box::pin(async move { self.1.take(site, order).await })
    }

    fn tidy<'a>(&'a self, _: &'a Site, order: &'a ExternalOrder) -> Asking<'a, Tidied> {
        Box::pin(async move { self.1.clear(order).await })
    }

    fn revoke<'a>(
        &'a self,
        _: &'a Site,
        certificate: &'a ExternalCertificate,
        reason: RevocationReason,
    ) -> Asking<'a, ()> {
        Box::pin(async move {
            let it = &self.1;
            let mut inner = it.inner();
            if let Some(error) = &inner.revocation_fault {
                return Err(error.clone());
            }
            inner.revoked.entry(certificate.serial_number.clone()).or_insert((reason, 0)).1 += 1;
            Ok(())
        })
    }

    fn renewal_advice<'a>(&'a self, _: &'a Site, _: &'a ExternalCertificate) -> Asking<'a, Option<RenewalAdvice>> {
        Box::pin(async move {
            let it = &self.1;
            let mut inner = it.inner();
            inner.asked_for_advice += 1;
            match &inner.advice {
                Some(advice) => Ok(Some(advice.clone())),
                None => Err(UpstreamError::passing("the CA does not say when")),
            }
        })
    }

    fn change_account_key<'a>(&'a self, _: &'a Site) -> Asking<'a, Option<Settled>> {
        Box::pin(async { Ok(None) })
    }
}

impl Upstream for Way {
    fn ca(&self, kind: ExternalCaKind) -> Option<&dyn UpstreamCa> {
        self.0.iter().find(|it| it.0 == kind).map(|it| it as &dyn UpstreamCa)
    }

    fn check_connection<'a>(&'a self, _: &'a OpenedConnection) -> Asking<'a, ()> {
        Box::pin(async { self.0[0].1.inner().connection_fault.clone().map_or(Ok(()), Err) })
    }

    fn sign_intermediate<'a>(&'a self, _: &'a OpenedConnection, _: &'a IntermediateWish) -> Asking<'a, Vec<Vec<u8>>> {
        Box::pin(async { Err(UpstreamError::lasting("no CA is signed here")) })
    }
}
