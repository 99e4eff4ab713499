//! The group writer: durable, whole, and without harm to neighbours; and the audit chain through all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chancery_model::CertificateId;
use chancery_model::audit::{AuditBody, AuditEvent};
use chancery_model::certificate::{Certificate, CertificateFilter};
use chancery_store::{Change, Conflict, Location, Store, StoreError, Write, entry_hash_holds};

use crate::world::{NOW, World, page};

pub fn insert(it: &Certificate) -> Change {
    Change::InsertCertificate(Box::new(it.clone()))
}

fn issued(world: &World, it: &Certificate) -> Write {
    Write::default().with(insert(it)).audited(world.record(AuditEvent::CertificateIssued, it.id.as_uuid()))
}

/// Commits all at once and gives the answers in order.
pub async fn together(world: &World, writes: Vec<Write>) -> Vec<Result<(), StoreError>> {
    commit_all(world.store(), writes).await
}

pub async fn commit_all(store: &Store, writes: Vec<Write>) -> Vec<Result<(), StoreError>> {
    let mut waiting: Vec<_> = writes.into_iter().map(|write| Box::pin(store.commit(write))).collect();
    let mut answers: Vec<Option<Result<(), StoreError>>> = waiting.iter().map(|_| None).collect();
    // Polled in turn, so that all are queued before the first is answered.
    std::future::poll_fn(|context| {
        for (future, answer) in waiting.iter_mut().zip(&mut answers).filter(|(_, answer)| answer.is_none()) {
            if let std::task::Poll::Ready(done) = future.as_mut().poll(context) {
                *answer = Some(done);
            }
        }
        if answers.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// Verifies the whole chain of this node and gives the objects of its entries.
pub async fn verified(world: &World) -> Vec<uuid::Uuid> {
    let mut entries = vec![];
    loop {
        let after = entries.len() as i64;
        let some = world.reader().audit_chain("node-1", after, 100).await.unwrap();
        if some.is_empty() {
            break;
        }
        entries.extend(some);
    }
    let mut previous = [0; 32];
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(entry.sequence, index as i64 + 1);
        assert_eq!(entry.previous_hash, previous);
        assert!(entry_hash_holds(entry));
        let body: AuditBody = serde_json::from_str(&entry.body).unwrap();
        assert_eq!(serde_json::to_string(&body).unwrap(), entry.body);
        assert_eq!((body.node.as_str(), body.sequence, body.event), ("node-1", entry.sequence, entry.event.clone()));
        previous = entry.hash;
    }
    let nodes = world.reader().audit_nodes().await.unwrap();
    let expected = if entries.is_empty() { vec![] } else { vec![("node-1".to_owned(), entries.len() as i64)] };
    assert_eq!(nodes, expected);
    entries.iter().filter_map(|it| it.object_id).collect()
}

pub async fn ids(world: &World) -> BTreeSet<CertificateId> {
    let found =
        world.reader().certificates(world.project.id, &CertificateFilter::default(), NOW, &page(500)).await.unwrap();
    let ids: BTreeSet<_> = found.items.iter().map(|it| it.id).collect();
    assert_eq!((found.total.count, found.total.exact), (ids.len() as u64, true), "the counter counts what is there");
    ids
}

/// Servers move calls between threads.
const fn can_move<T: Send>(call: T) -> T {
    call
}

pub async fn many_writers_share_groups_and_all_are_kept(world: &mut World) {
    let before = world.store().statistics();
    let made: Vec<_> = (0..300).map(|index| world.certificate(&format!("h{index}"), &["shared.acme.com"])).collect();
    let answers = together(world, made.iter().map(|it| issued(world, it)).collect()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    can_move(world.store().commit(Write::default())).await.unwrap();
    let after = world.store().statistics();
    assert_eq!(after.writes - before.writes, 301);
    assert!(after.groups - before.groups < 100, "{} groups", after.groups - before.groups);
    assert!(after.busy_nanoseconds > before.busy_nanoseconds);
    assert_eq!(ids(world).await, made.iter().map(|it| it.id).collect());
    let logged: BTreeSet<_> = verified(world).await.into_iter().collect();
    assert_eq!(logged, made.iter().map(|it| it.id.as_uuid()).collect());
}

pub async fn a_failing_write_harms_no_neighbour(world: &mut World) {
    let ca = world.id();
    let mut made: Vec<_> = (0..40).map(|index| world.certificate(&format!("h{index}"), &[])).collect();
    for it in &mut made {
        it.ca_id = Some(ca);
    }
    made[20].serial_number = made[3].serial_number.clone();
    let mut writes: Vec<_> = made.iter().map(|it| issued(world, it)).collect();
    // One fails in the middle of its own statements, one names a project that is not there, one cannot be written at all.
    let template = world.template("servers");
    let twin = world.template("servers");
    let poisoned = Write::default()
        .with(Change::InsertTemplate(Box::new(template.clone())))
        .with(Change::InsertTemplate(Box::new(twin)))
        .audited(world.record(AuditEvent::TemplateCreated, template.id.as_uuid()));
    let mut orphan = world.certificate("orphan", &[]);
    orphan.project_id = world.id();
    writes.push(poisoned);
    writes.push(issued(world, &orphan));
    let answers = together(world, writes).await;
    let refused: BTreeMap<_, _> =
        answers.iter().enumerate().filter_map(|(index, it)| Some((index, it.clone().err()?.conflict()))).collect();
    let expected = [(20, Some(Conflict::Serial)), (40, Some(Conflict::Name)), (41, Some(Conflict::Missing))];
    assert_eq!(refused, expected.into());
    made.remove(20);
    assert_eq!(ids(world).await, made.iter().map(|it| it.id).collect());
    let logged: BTreeSet<_> = verified(world).await.into_iter().collect();
    assert_eq!(logged, made.iter().map(|it| it.id.as_uuid()).collect());
    assert_eq!(world.reader().template(world.project.id, template.id).await, Ok(None));
    world.store().commit(issued(world, &world.certificate("later", &[]))).await.unwrap();
    assert_eq!(verified(world).await.len(), 40);
}

pub async fn a_guard_that_refuses_leaves_no_trace(world: &mut World) {
    let (key, body_hash) = (world.hash(), world.hash());
    world.commit([Change::ClaimIdempotency { key, body_hash, now: NOW }]).await.unwrap();
    let made: Vec<_> = (0..30).map(|index| world.certificate(&format!("h{index}"), &[])).collect();
    let write = |index: usize| {
        let mut write = issued(world, &made[index]);
        if index.is_multiple_of(3) {
            write.changes.insert(0, Change::ClaimIdempotency { key, body_hash, now: NOW });
        }
        write
    };
    let before = world.store().statistics();
    let answers = together(world, (0..30).map(write).collect()).await;
    let after = world.store().statistics();
    for (index, answer) in answers.iter().enumerate() {
        let expected = if index % 3 == 0 { Err(StoreError::Conflict(Conflict::Idempotency)) } else { Ok(()) };
        assert_eq!(*answer, expected, "{index}");
    }
    assert_eq!(after.writes - before.writes, 20);
    assert!(after.groups - before.groups < 15, "refused guards do not break up the group");
    let kept: BTreeSet<_> = made.iter().enumerate().filter(|(index, _)| index % 3 != 0).map(|(_, it)| it.id).collect();
    assert_eq!(ids(world).await, kept);
    assert_eq!(verified(world).await.len(), 20);
}

pub async fn writes_happen_as_a_whole_or_not_at_all(world: &mut World) {
    let certificate = world.certificate("a", &["a.acme.com"]);
    let missing = Change::MarkRenewed { id: world.id(), by: certificate.id, at: NOW };
    let mut write = issued(world, &certificate);
    write.changes.push(Change::SetMeta { key: "k".to_owned(), value: vec![1] });
    write.changes.push(missing);
    assert_eq!(world.store().commit(write).await, Err(StoreError::Conflict(Conflict::Missing)));
    assert_eq!(ids(world).await, BTreeSet::new());
    assert_eq!(world.reader().meta("k").await, Ok(None));
    assert_eq!(verified(world).await.len(), 0);
    // What a write inserted it may change and delete again, in order.
    let other = world.certificate("b", &[]);
    let metadata = vec![("a".to_owned(), "b".to_owned())];
    world
        .commit([
            insert(&certificate),
            Change::SetCertificateMetadata { id: certificate.id, metadata: metadata.clone(), at: NOW },
            insert(&other),
            Change::DeleteCertificate(other.id),
        ])
        .await
        .unwrap();
    assert_eq!(ids(world).await, [certificate.id].into());
    let stored = world.reader().certificate(world.project.id, certificate.id).await.unwrap().unwrap();
    assert_eq!(stored.metadata, metadata);
    assert_eq!(world.store().commit(Write::default()).await, Ok(()), "an empty write is written at once");
}

pub async fn twenty_renewals_of_one_certificate_give_one_successor(world: &mut World) {
    let old = world.certificate("a", &[]);
    world.commit([insert(&old)]).await.unwrap();
    let successors: Vec<_> = (0..20).map(|_| world.certificate("a", &[])).collect();
    let renew = |it: &Certificate| {
        let mark = Change::MarkRenewed { id: old.id, by: it.id, at: NOW };
        Write::default()
            .with(mark)
            .with(insert(it))
            .audited(world.record(AuditEvent::CertificateRenewed, it.id.as_uuid()))
    };
    let answers = together(world, successors.iter().map(renew).collect()).await;
    let granted: Vec<_> =
        answers.iter().zip(&successors).filter(|(answer, _)| answer.is_ok()).map(|(_, it)| it.id).collect();
    assert_eq!(granted.len(), 1);
    let refused = Err(StoreError::Conflict(Conflict::AlreadyRenewed));
    assert_eq!(answers.iter().filter(|it| **it == refused).count(), 19);
    let stored = world.reader().certificate(world.project.id, old.id).await.unwrap().unwrap();
    assert_eq!(stored.renewal.renewed_by, Some(granted[0]));
    assert_eq!(ids(world).await, [old.id, granted[0]].into());
    assert_eq!(verified(world).await, vec![granted[0].as_uuid()]);
}

pub async fn reopening_keeps_everything(world: &mut World) {
    let mut made = vec![];
    for round in 0..4 {
        for _ in 0..10 {
            let it = world.certificate("a.acme.com", &["a.acme.com"]);
            world.store().commit(issued(world, &it)).await.unwrap();
            made.push(it);
        }
        if round % 2 == 0 {
            world.reopen().await
        } else {
            world.drop_and_reopen().await
        }
        assert_eq!(ids(world).await, made.iter().map(|it| it.id).collect());
        assert_eq!(verified(world).await.len(), made.len());
    }
    let found =
        world.reader().certificates(world.project.id, &CertificateFilter::default(), NOW, &page(500)).await.unwrap();
    let newest_first: Vec<_> = made.iter().rev().map(|it| it.id).collect();
    assert_eq!(found.items.iter().map(|it| it.id).collect::<Vec<_>>(), newest_first);
    assert_eq!(found.items[0], made[39]);
}

pub async fn a_second_process_is_refused(world: &mut World) {
    let second = Store::open(&world.location, "node-1").await;
    let Err(StoreError::Unavailable(reason)) = second else { panic!("two processes share one audit chain") };
    assert!(reason.contains("another process"), "{reason}");
    world.commit([Change::SetMeta { key: "k".to_owned(), value: vec![] }]).await.unwrap();
    if matches!(world.location, Location::Postgres { .. }) {
        let other = Store::open(&world.location, "node-2").await.unwrap();
        let it = world.certificate("b", &[]);
        let record = world.record(AuditEvent::CertificateIssued, it.id.as_uuid());
        other.commit(Write::default().with(insert(&it)).audited(record)).await.unwrap();
        assert_eq!(ids(world).await, [it.id].into(), "both nodes count");
        assert_eq!(world.reader().audit_nodes().await, Ok(vec![("node-2".to_owned(), 1)]));
        other.close().await;
    }
}

pub async fn a_closed_store_says_so(world: &mut World) {
    let reader = world.reader();
    let last = world.certificate("last", &[]);
    let store = Arc::new(Store::open(&world.location, "node-9").await);
    assert_eq!(store.is_ok(), matches!(world.location, Location::Postgres { .. }));
    if let Ok(store) = store.as_ref() {
        store.close().await;
    }
    let (written, ()) = tokio::join!(world.store().commit(issued(world, &last)), world.store().close());
    assert_eq!(written, Ok(()), "what was queued before is written");
    for _ in 0..2 {
        let again = world.store().commit(issued(world, &last)).await;
        assert!(matches!(again, Err(StoreError::Unavailable(_))), "{again:?}");
        let read = reader.project(world.project.id).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
        world.store().close().await;
    }
    world.reopen().await;
    assert_eq!(ids(world).await, [last.id].into());
}

pub async fn a_newer_schema_is_refused(world: &mut World) {
    world.store().close().await;
    world.tamper("INSERT INTO schema_version (version, name) VALUES (9999, 'from the future')").await;
    let Err(error) = Store::open(&world.location, "node-1").await else { panic!("opened a database of the future") };
    assert!(matches!(error, StoreError::NewerSchema { found: 9_999, .. }), "{error:?}");
}

/// Ten certificates at a time while every connection is cut again and again: what was acknowledged is there, what is
/// there is in the chain, and the chain is whole.
pub async fn cut_connections_lose_nothing_that_was_acknowledged(world: &mut World) {
    let mut acknowledged = BTreeSet::new();
    for round in 0..12 {
        let made: Vec<_> = (0..10).map(|_| world.certificate("a", &["a.acme.com"])).collect();
        let writes: Vec<_> = made.iter().map(|it| issued(world, it)).collect();
        let cut = async {
            if matches!(world.location, Location::Postgres { .. }) && round % 2 == 0 {
                let others = "datname = current_database() AND pid <> pg_backend_pid()";
                world.tamper(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")).await;
            }
        };
        let (answers, ()) = tokio::join!(together(world, writes), cut);
        for (answer, it) in answers.iter().zip(&made) {
            match answer {
                Ok(()) => assert!(acknowledged.insert(it.id)),
                Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error}"),
            }
        }
    }
    // The first call after a cut may still find it out.
    while world.reader().project(world.project.id).await.is_err() {}
    let last = world.certificate("last", &[]);
    while world.store().commit(issued(world, &last)).await.is_err() {}
    let kept = ids(world).await;
    assert!(acknowledged.is_subset(&kept));
    assert!(acknowledged.len() >= 60, "only {} of 120 were acknowledged", acknowledged.len());
    let logged: BTreeSet<_> = verified(world).await.into_iter().collect();
    assert_eq!(logged, kept.iter().map(CertificateId::as_uuid).collect());
}
