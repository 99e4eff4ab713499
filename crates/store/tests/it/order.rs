//! Orders under way at external CAs, from the reservation to the certificate and the tidying up.

use chancery_model::RequestId;
use chancery_model::certificate::Certificate;
use chancery_model::external::ChallengeKind;
use chancery_model::job::{Fence, JobKey, JobKind, NewJob};
use chancery_model::order::{ExternalOrder, OrderPhase, PublishedChallenge};
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_store::{Change, Conflict, ExternalChange as E, ImportedCertificate, StoreError, Write};
use serde_json::json;

use crate::external::{
    advance, at, change, end, external, insert_ca, insert_order, order, ordered, stored, tidy, vault,
};
use crate::group::{insert, together};
use crate::world::{DAY, NOW, World};

pub async fn an_order_goes_from_ordering_to_tidying_to_done(world: &mut World) {
    let (ca, mut order) = ordered(world).await;
    let (reader, request) = (world.reader(), order.request_id);
    assert_eq!(stored(world, request).await, order);
    assert_eq!(reader.order(world.other_project("other").id, request).await, Ok(None));
    assert!(reader.external_ca(world.project.id, order.ca_id).await.unwrap() == Some(ca));
    assert_eq!(world.refused([insert_order(&order)]).await, Some(Conflict::Exists), "a request is ordered once");
    assert_eq!(world.refused([tidy(request, true)]).await, Some(Conflict::Stale), "not before its end");

    world.commit([advance(request, Some("https://acme.test/order/1"), None)]).await.unwrap();
    order.reference = Some("https://acme.test/order/1".to_owned());
    (order.state, order.updated_at) = (json!({"step": 2}), at(5));
    assert_eq!(stored(world, request).await, order);
    world.commit([advance(request, None, None)]).await.unwrap();
    assert_eq!(stored(world, request).await.reference, order.reference, "what is not said again stays");

    world.commit([end(request, Some(vec![0x30, 1]))]).await.unwrap();
    (order.phase, order.quarantined, order.updated_at) = (OrderPhase::Tidying, Some(vec![0x30, 1]), at(6));
    assert_eq!(stored(world, request).await, order);
    for late in [advance(request, None, None), end(request, None)] {
        assert_eq!(world.refused([late]).await, Some(Conflict::Stale));
    }
    world.commit([tidy(request, false)]).await.unwrap();
    (order.state, order.updated_at) = (json!({"left": 1}), at(7));
    assert_eq!(stored(world, request).await, order);
    world.commit([tidy(request, true)]).await.unwrap();
    (order.phase, order.state) = (OrderPhase::Done, json!({"left": 0}));
    assert_eq!(stored(world, request).await, order);
    for late in [advance(request, None, None), end(request, None), tidy(request, false)] {
        assert_eq!(world.refused([late]).await, Some(Conflict::Stale));
    }
    for unknown in [advance(world.id(), None, None), end(world.id(), None), tidy(world.id(), true)] {
        assert_eq!(world.refused([unknown]).await, Some(Conflict::Missing));
    }
}

pub async fn a_certificate_is_renewed_by_one_order_at_a_time(world: &mut World) {
    let ca = external(world, "public", vault(world));
    world.commit([insert_ca(&ca)]).await.unwrap();
    let old = world.certificate("a.acme.com", &[]);
    world.commit([insert(&old)]).await.unwrap();
    let orders: Vec<_> =
        (0..20).map(|_| ExternalOrder { renews: Some(old.id), ..order(world, &ca, world.id()) }).collect();
    let write = |it: &ExternalOrder| Write::default().with(reserve(world, it)).with(insert_order(it));
    let answers = together(world, orders.iter().map(write).collect()).await;
    let granted: Vec<_> = orders.iter().zip(&answers).filter(|(_, it)| it.is_ok()).map(|(it, _)| it).collect();
    let [granted] = granted[..] else { panic!("{} orders for one certificate", granted.len()) };
    let refused = answers.iter().filter(|it| **it == Err(StoreError::Conflict(Conflict::BeingRenewed))).count();
    assert_eq!(refused, 19);
    assert_eq!(stored(world, granted.request_id).await.phase, OrderPhase::Ordering);
    for it in &orders {
        let is_there = world.reader().request(world.project.id, it.request_id).await.unwrap().is_some();
        assert_eq!(is_there, it.request_id == granted.request_id, "what was refused left nothing");
    }

    let project = world.project.id;
    let under_way = world.reader().order_renewing(project, old.id).await.unwrap();
    assert_eq!(under_way.map(|it| it.request_id), Some(granted.request_id));
    assert_eq!(world.reader().ended_orders_renewing(old.id).await, Ok(0));
    world.commit([end(granted.request_id, None)]).await.unwrap();
    assert_eq!(stored(world, granted.request_id).await.phase, OrderPhase::Tidying);
    assert_eq!(world.reader().ended_orders_renewing(old.id).await, Ok(1));
    assert_eq!(world.reader().order_renewing(project, old.id).await, Ok(None));
    let next = ExternalOrder { renews: Some(old.id), ..order(world, &ca, world.id()) };
    world.commit([insert_order(&next)]).await.unwrap();
    assert_eq!(stored(world, next.request_id).await.phase, OrderPhase::Ordering);
    let (first, second) = (order(world, &ca, world.id()), order(world, &ca, world.id()));
    world.commit([insert_order(&first), insert_order(&second)]).await.unwrap();
}

/// The request of an order, not yet answered.
fn request_of(world: &World, order: &ExternalOrder) -> CertificateRequest {
    CertificateRequest { id: order.request_id, ca_id: Some(order.ca_id), ..world.request("a.acme.com") }
}

fn reserve(world: &World, order: &ExternalOrder) -> Change {
    Change::InsertRequest(Box::new(request_of(world, order)))
}

pub async fn challenges_are_answered_while_their_order_is_under_way(world: &mut World) {
    let (ca, first) = ordered(world).await;
    let second = order(world, &ca, world.id_at(at(1)));
    world.commit([insert_order(&second)]).await.unwrap();
    let answers = |kind, name: &'static str| {
        let reader = world.reader();
        async move { reader.challenges(kind, name).await.unwrap() }
    };
    let published =
        |kind, name: &str, value: &str| PublishedChallenge { kind, name: name.to_owned(), value: value.to_owned() };
    use ChallengeKind::{Http01, TlsAlpn01};
    let of_first = vec![
        published(Http01, "token", "token.thumb"),
        published(TlsAlpn01, "a.acme.com", "one"),
        published(TlsAlpn01, "a.acme.com", "one"),
    ];
    world.commit([advance(first.request_id, None, Some(of_first))]).await.unwrap();
    let of_second = vec![published(TlsAlpn01, "a.acme.com", "two")];
    world.commit([advance(second.request_id, None, Some(of_second))]).await.unwrap();
    assert_eq!(answers(Http01, "token").await, ["token.thumb"]);
    assert_eq!(answers(TlsAlpn01, "a.acme.com").await, ["one", "two"]);
    assert_eq!(answers(Http01, "a.acme.com").await, Vec::<String>::new(), "of another kind");
    assert_eq!(answers(Http01, "\0").await, Vec::<String>::new());

    world.commit([advance(first.request_id, None, None)]).await.unwrap();
    assert_eq!(answers(TlsAlpn01, "a.acme.com").await, ["one", "two"], "nothing new was said");
    let next = vec![published(Http01, "next", "next.thumb")];
    world.commit([advance(first.request_id, None, Some(next))]).await.unwrap();
    assert_eq!(answers(Http01, "token").await, Vec::<String>::new());
    assert_eq!(answers(Http01, "next").await, ["next.thumb"]);
    world.commit([end(second.request_id, None)]).await.unwrap();
    assert_eq!(answers(TlsAlpn01, "a.acme.com").await, Vec::<String>::new());
    let late = advance(second.request_id, None, Some(vec![published(Http01, "late", "x")]));
    assert_eq!(world.refused([late]).await, Some(Conflict::Stale));
    assert_eq!(answers(Http01, "late").await, Vec::<String>::new());
    world.commit([advance(first.request_id, None, Some(vec![]))]).await.unwrap();
    assert_eq!(answers(Http01, "next").await, Vec::<String>::new());
}

/// A job under way, whose end is written with the order it leads to.
async fn claimed(world: &World, kind: JobKind) -> Fence {
    let key = JobKey { kind, object: world.id() };
    let job = NewJob { key, project_id: world.project.id, due_at: NOW, deadline: NOW };
    world.commit([Change::SetJob(job)]).await.unwrap();
    let token = world.reader().job(key).await.unwrap().unwrap().token;
    world.commit([Change::ClaimJob { key, expected_token: token, now: NOW, lease_until: at(60) }]).await.unwrap();
    Fence { key, token: token + 1 }
}

pub async fn an_order_is_reserved_whole_or_not_at_all(world: &mut World) {
    let ca = external(world, "public", vault(world));
    world.commit([insert_ca(&ca)]).await.unwrap();
    let old = world.certificate("a.acme.com", &[]);
    world.commit([insert(&old)]).await.unwrap();
    let fence = claimed(world, JobKind::RenewCertificate).await;
    let lost = Fence { token: fence.token + 1, ..fence };
    let make = || {
        let key = world.key();
        (ExternalOrder { renews: Some(old.id), key_id: Some(key.id), ..order(world, &ca, world.id()) }, key)
    };
    let ((first, first_key), (second, second_key)) = (make(), make());
    let steps = |order: &ExternalOrder| JobKey { kind: JobKind::AdvanceOrder, object: order.request_id.as_uuid() };
    let write = |fence, order: &ExternalOrder, key: &_| {
        let job = NewJob { key: steps(order), project_id: order.project_id, due_at: NOW, deadline: order.give_up_at };
        [
            Change::FinishJob { fence, next: None },
            insert_order(order),
            reserve(world, order),
            Change::InsertKey(Clone::clone(key)),
            Change::ScheduleJob(job),
        ]
    };
    let kept = async |order: &ExternalOrder| {
        let (reader, project) = (world.reader(), world.project.id);
        [
            reader.order(project, order.request_id).await.unwrap().is_some(),
            reader.request(project, order.request_id).await.unwrap().is_some(),
            reader.key(order.key_id.unwrap()).await.unwrap().is_some(),
            reader.job(steps(order)).await.unwrap().is_some(),
        ]
    };
    assert_eq!(world.refused(write(lost, &first, &first_key)).await, Some(Conflict::Stale));
    assert_eq!(kept(&first).await, [false; 4]);
    world.commit(write(fence, &first, &first_key)).await.unwrap();
    assert_eq!(kept(&first).await, [true; 4]);
    assert_eq!(world.reader().job(fence.key).await, Ok(None), "the job that led to it has ended");

    let fence = claimed(world, JobKind::RenewCertificate).await;
    assert_eq!(world.refused(write(fence, &second, &second_key)).await, Some(Conflict::BeingRenewed));
    assert_eq!(kept(&second).await, [false; 4]);
    assert!(world.reader().job(fence.key).await.unwrap().is_some(), "and the job goes on");
}

fn finish(id: RequestId, status: RequestStatus, certificate: Option<&Certificate>) -> Change {
    let document = certificate.map(|_| "{\"fields\":[1]}".to_owned());
    let error_message = certificate.is_none().then(|| "The CA says no".to_owned());
    Change::FinishRequest {
        id,
        status,
        certificate_id: certificate.map(|it| it.id),
        document,
        error_message,
        at: at(8),
    }
}

pub async fn a_request_waits_and_ends_once(world: &mut World) {
    let (reader, project) = (world.reader(), world.project.id);
    let pending = |id, status, message: Option<&str>| Change::SetRequestPending {
        id,
        status,
        message: message.map(str::to_owned),
        at: at(4),
    };
    let certificate = world.certificate("a.acme.com", &[]);
    for (before, certificate, status) in [
        (RequestStatus::Pending, Some(&certificate), RequestStatus::Issued),
        (RequestStatus::PendingValidation, None, RequestStatus::Failed),
        (RequestStatus::PendingApproval, None, RequestStatus::Rejected),
    ] {
        let mut request = CertificateRequest { status: before, ..world.request("a.acme.com") };
        world.commit([Change::InsertRequest(Box::new(request.clone()))]).await.unwrap();
        let wait = pending(request.id, RequestStatus::PendingValidation, Some("The CA looks for the record"));
        world.commit([wait.clone()]).await.unwrap();
        if before != RequestStatus::PendingApproval {
            request.status = RequestStatus::PendingValidation;
            request.pending_message = Some("The CA looks for the record".to_owned());
            request.updated_at = at(4);
        }
        assert_eq!(reader.request(project, request.id).await, Ok(Some(request.clone())));
        world.commit([finish(request.id, status, certificate)]).await.unwrap();
        (request.status, request.pending_message, request.updated_at) = (status, None, at(8));
        request.certificate_id = certificate.map(|it| it.id);
        if certificate.is_some() {
            request.document = "{\"fields\":[1]}".to_owned();
        } else {
            request.error_message = Some("The CA says no".to_owned());
        }
        assert_eq!(reader.request(project, request.id).await, Ok(Some(request.clone())));
        world.commit([wait]).await.unwrap();
        assert_eq!(world.refused([finish(request.id, RequestStatus::Failed, None)]).await, Some(Conflict::Stale));
        assert_eq!(reader.request(project, request.id).await, Ok(Some(request)), "it has ended");
    }
    assert_eq!(world.refused([finish(world.id(), RequestStatus::Failed, None)]).await, Some(Conflict::Missing));
    world.commit([pending(world.id(), RequestStatus::Pending, None)]).await.unwrap();
}

pub async fn a_key_made_for_an_order_goes_unless_a_certificate_has_it(world: &mut World) {
    let (unused, used) = (world.key(), world.key());
    let mut certificate = world.certificate("a.acme.com", &[]);
    certificate.key_id = Some(used.id);
    world
        .commit([Change::InsertKey(unused.clone()), Change::InsertKey(used.clone()), insert(&certificate)])
        .await
        .unwrap();
    let drops = [unused.id, used.id, world.id(), unused.id].map(|id| change(E::DropKey(id)));
    world.commit(drops).await.unwrap();
    assert!(world.reader().key(unused.id).await.unwrap().is_none());
    assert!(world.reader().key(used.id).await.unwrap().is_some());
}

/// As the last step of an order writes it, on top of a renewed certificate.
pub async fn an_issued_order_is_recorded_in_one_write_and_cleaned_up_with_its_certificate(world: &mut World) {
    let (reader, project) = (world.reader(), world.project.id);
    let (ca, mut first) = ordered(world).await;
    let key = world.key();
    let old = world.certificate("a.acme.com", &["a.acme.com"]);
    first = ExternalOrder { request_id: world.id(), renews: Some(old.id), key_id: Some(key.id), ..first };
    world
        .commit([insert(&old), insert_order(&first), reserve(world, &first), Change::InsertKey(key.clone())])
        .await
        .unwrap();
    let fence = claimed(world, JobKind::AdvanceOrder).await;
    let mut new = world.certificate("a.acme.com", &["a.acme.com"]);
    (new.request_id, new.ca_id, new.key_id) = (first.request_id, Some(ca.id), Some(key.id));
    new.renewal.renewed_from = Some(old.id);
    let chain = vec![vec![0x30, 1], vec![0x30, 2]];
    let imported = ImportedCertificate { certificate: new.clone(), chain: chain.clone() };
    let ask = NewJob {
        key: JobKey { kind: JobKind::AskRenewalTime, object: new.id.as_uuid() },
        project_id: project,
        due_at: at(DAY),
        deadline: new.not_after,
    };
    world
        .commit([
            Change::FinishJob { fence, next: Some(NOW) },
            Change::ImportCertificate(Box::new(imported)),
            Change::MarkRenewed { id: old.id, by: new.id, at: at(8) },
            finish(first.request_id, RequestStatus::Issued, Some(&new)),
            end(first.request_id, None),
            Change::SetJob(ask),
        ])
        .await
        .unwrap();
    assert_eq!(reader.certificate_by_request(project, first.request_id).await, Ok(Some(new.clone())));
    assert_eq!(reader.foreign_chain(new.id).await, Ok(chain));
    assert_eq!(reader.certificate(project, old.id).await.unwrap().unwrap().renewal.renewed_by, Some(new.id));
    assert_eq!(reader.statistics(project, NOW).await.unwrap().by_ca, [(ca.id, 1)]);

    let clean_up = Change::CleanUpCertificates { certificates: vec![new.clone()] };
    world.commit([tidy(first.request_id, true), clean_up]).await.unwrap();
    assert_eq!(reader.certificate(project, new.id).await, Ok(None));
    assert_eq!(reader.foreign_chain(new.id).await, Ok(vec![]));
    assert_eq!(reader.order(project, first.request_id).await, Ok(None));
    assert_eq!(reader.request(project, first.request_id).await, Ok(None));
    assert!(reader.key(key.id).await.unwrap().is_none());
    assert_eq!(reader.job(ask.key).await, Ok(None));
    assert_eq!(reader.open_orders(ca.id).await, Ok(1), "the other order");
}
