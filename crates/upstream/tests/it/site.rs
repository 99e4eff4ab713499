//! Sites and orders as the core hands them out, and a driver that does with steps what the core does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chancery_authority::external::{Next, OpenedConnection, OrderInHand, Site, Step, UpstreamCa, UpstreamError};
use chancery_egress::{AddressPolicy, Egress, EgressPolicy};
use chancery_model::authority::CaStatus;
use chancery_model::external::{ConnectionApp, ExternalCa, ExternalConfiguration};
use chancery_model::id::{CaId, ConnectionId, ProfileId, ProjectId, RequestId, TemplateId};
use chancery_model::identity::ActorId;
use chancery_model::order::{ExternalOrder, OrderPhase, OrderPlan};
use chancery_model::random::SeededRandomness;
use chancery_model::time::SystemClock;
use chancery_model::{Clock, Timestamp};
use chancery_upstream::{Outside, OutsideConfig};
use serde_json::Value;
use zeroize::Zeroizing;

/// A way out to loopback; without a bundle it trusts nobody.
pub fn egress(ca_bundle: Option<Vec<u8>>) -> Egress {
    Egress::new(EgressPolicy {
        addresses: AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()], true),
        timeout: Duration::from_secs(10),
        response_max: 2 * 1024 * 1024,
        // A bare machine has no certificates of its own, and none is needed.
        ca_bundle: Some(ca_bundle.unwrap_or_else(|| crate::pki::Ca::new("Nobody").certificate().into_bytes())),
        ..EgressPolicy::default()
    })
}

pub fn outside(egress: Egress, seed: u64) -> Outside {
    Outside::new(OutsideConfig {
        egress,
        dns_hooks: BTreeMap::new(),
        clock: Arc::new(SystemClock),
        randomness: Arc::new(SeededRandomness::new(seed)),
    })
}

pub fn connection_id() -> ConnectionId {
    "01930000-0000-7000-8000-000000000001".parse().unwrap()
}

pub fn connection(app: ConnectionApp, method: &str, fields: &[(&str, &str)]) -> OpenedConnection {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())));
    OpenedConnection { app, method: method.to_owned(), fields: fields.collect() }
}

pub fn site(configuration: ExternalConfiguration, connection: OpenedConnection) -> Site {
    let now = SystemClock.now();
    Site {
        ca: ExternalCa {
            id: CaId::generate(now, &SeededRandomness::new(7)),
            project_id: ProjectId::generate(now, &SeededRandomness::new(8)),
            name: "elsewhere".to_owned(),
            status: CaStatus::Active,
            configuration,
            standing: Value::Null,
            sealed: None,
            created_at: now,
            updated_at: now,
        },
        secrets: BTreeMap::new(),
        connections: BTreeMap::from([(connection_id(), connection)]),
        now,
    }
}

/// A first order; `seed` makes its id.
pub fn order(csr: Vec<u8>, ttl: i64, seed: u64) -> OrderInHand {
    let now = SystemClock.now();
    let random = SeededRandomness::new(seed);
    let order = ExternalOrder {
        request_id: RequestId::generate(now, &random),
        project_id: ProjectId::generate(now, &random),
        ca_id: CaId::generate(now, &random),
        phase: OrderPhase::Ordering,
        renews: None,
        key_id: None,
        csr,
        plan: OrderPlan {
            profile_id: ProfileId::generate(now, &random),
            template_id: TemplateId::generate(now, &random),
            template_version: 1,
            application_id: None,
            requester: ActorId::System,
            ttl,
            validity_max: None,
            is_ca: false,
            from_csr: false,
            by_itself: false,
            external_configs: None,
        },
        state: Value::Null,
        reference: None,
        quarantined: None,
        give_up_at: now.plus_seconds(86_400),
        created_at: now,
        updated_at: now,
    };
    OrderInHand { order, predecessor: None }
}

/// One step, written down.
pub async fn step(ca: &dyn UpstreamCa, site: &Site, hand: &mut OrderInHand) -> Result<Next, UpstreamError> {
    let Step { state, reference, next, .. } = ca.advance(site, hand).await?;
    // As the store does it: through text.
    hand.order.state = serde_json::from_str(&state.to_string()).unwrap();
    hand.order.reference = reference.or(hand.order.reference.take());
    Ok(next)
}

/// How an order that nobody interrupts stops, at a wait at the latest.
pub async fn run(ca: &dyn UpstreamCa, site: &Site, hand: &mut OrderInHand) -> Result<Next, UpstreamError> {
    for _ in 0..50 {
        match step(ca, site, hand).await? {
            Next::Continue => {}
            next => return Ok(next),
        }
    }
    panic!("the order does not stop: {}", hand.order.state)
}

/// The chain and the warnings of an order that ends well.
pub async fn issued(ca: &dyn UpstreamCa, site: &Site, hand: &mut OrderInHand) -> (Vec<Vec<u8>>, Vec<String>) {
    match run(ca, site, hand).await {
        Ok(Next::Issued { chain, warnings }) => (chain, warnings),
        other => panic!("not issued: {other:?}"),
    }
}

/// The reason of an order that does not.
pub async fn failed(ca: &dyn UpstreamCa, site: &Site, hand: &mut OrderInHand) -> String {
    match run(ca, site, hand).await {
        Ok(Next::Failed { message }) => message,
        other => panic!("not failed: {other:?}"),
    }
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}
