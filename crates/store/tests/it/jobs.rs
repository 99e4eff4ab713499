//! Jobs: leased once, fenced, and never forgotten.

use chancery_model::Timestamp;
use chancery_model::job::{Fence, Job, JobKey, JobKind, JobLane, NewJob};
use chancery_model::page::PageRequest;
use chancery_store::{Change, Conflict, Location, Store, StoreError, Write};
use uuid::Uuid;

use crate::group::{commit_all, insert, together};
use crate::world::{DAY, NOW, World, page};

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

fn new_job(world: &World, kind: JobKind, object: Uuid, due: i64, deadline: i64) -> NewJob {
    NewJob { key: JobKey { kind, object }, project_id: world.project.id, due_at: at(due), deadline: at(deadline) }
}

fn publish(world: &World, due: i64) -> NewJob {
    new_job(world, JobKind::PublishCrl, world.id(), due, due + 100)
}

async fn job(world: &World, key: JobKey) -> Job {
    world.reader().job(key).await.unwrap().unwrap()
}

/// Leases it for a minute.
async fn claim(world: &World, key: JobKey, now: i64) -> Fence {
    let token = job(world, key).await.token;
    let (now, lease_until) = (at(now), at(now + 60));
    world.commit([Change::ClaimJob { key, expected_token: token, now, lease_until }]).await.unwrap();
    Fence { key, token: token + 1 }
}

async fn due(world: &World, now: i64) -> Vec<JobKey> {
    let mut found = Vec::new();
    for lane in JobLane::ALL {
        let of_lane = world.reader().due_jobs(at(now), *lane, 100).await.unwrap();
        assert!(of_lane.iter().all(|it| it.key.kind.lane() == *lane), "{lane:?}: {of_lane:?}");
        found.extend(of_lane.iter().map(|it| it.key));
    }
    found
}

pub async fn jobs_are_due_in_the_order_of_their_deadlines(world: &mut World) {
    let late = new_job(world, JobKind::CheckExpiry, world.id(), 0, 1_000);
    let urgent = new_job(world, JobKind::RenewCertificate, world.id(), 5, 10);
    let later = new_job(world, JobKind::RenewCa, world.id(), 6, 7);
    world.commit([Change::SetJob(late), Change::ScheduleJob(urgent), Change::SetJob(later)]).await.unwrap();
    assert_eq!(due(world, -1).await, []);
    assert_eq!(due(world, 0).await, [late.key]);
    assert_eq!(due(world, 5).await, [urgent.key, late.key]);
    assert_eq!(due(world, 6).await, [later.key, urgent.key, late.key]);
    let first = world.reader().due_jobs(at(6), JobLane::Work, 1).await.unwrap();
    assert_eq!(first.len(), 1);
    let expected = Job {
        key: later.key,
        project_id: world.project.id,
        due_at: at(6),
        deadline: at(7),
        attempts: 0,
        token: first[0].token,
        lease_until: None,
        last_error: None,
    };
    assert_eq!(first[0], expected);
    world.commit([Change::DropJob(later.key), Change::DropJob(later.key)]).await.unwrap();
    assert_eq!(world.reader().job(later.key).await, Ok(None));

    // What the world is told about revocation waits for no renewal, however late that is.
    let crl = new_job(world, JobKind::PublishCrl, world.id(), 7, 2_000);
    let responder = new_job(world, JobKind::RotateResponder, world.id(), 8, 1_500);
    world.commit([Change::SetJob(crl), Change::SetJob(responder)]).await.unwrap();
    assert_eq!(due(world, 7).await, [crl.key, urgent.key, late.key]);
    assert_eq!(due(world, 8).await, [responder.key, crl.key, urgent.key, late.key]);
    let fence = claim(world, responder.key, 8).await;
    assert_eq!(due(world, 8).await, [crl.key, urgent.key, late.key], "leased");
    assert_eq!(due(world, 68).await[0], fence.key);
}

pub async fn leases_that_nobody_holds_any_more_are_ended_and_lose_no_wake_up(world: &mut World) {
    let (first, second, idle) = (publish(world, 0), publish(world, 0), publish(world, 30));
    world.commit([Change::SetJob(first), Change::SetJob(second), Change::SetJob(idle)]).await.unwrap();
    let fence = claim(world, first.key, 1).await;
    claim(world, second.key, 10).await;
    let asked = NewJob { due_at: at(40), ..first };
    world.commit([Change::ScheduleJob(asked)]).await.unwrap();
    // Lasts from 10 to 70, longer than leases last by what the caller says.
    let end = |now: i64, latest: i64| Change::EndLeases { now: at(now), latest: at(latest) };
    world.commit([end(20, 61)]).await.unwrap();
    assert_eq!(due(world, 20).await, [first.key], "one is over, the other is not, and the third was never leased");
    assert_eq!(job(world, idle.key).await.due_at, at(30));
    let late = Change::FinishJob { fence, next: None };
    assert_eq!(world.refused([late]).await, Some(Conflict::Stale), "its holder has lost it");
    let fence = claim(world, first.key, 20).await;
    world.commit([Change::FinishJob { fence, next: Some(at(500)) }]).await.unwrap();
    assert_eq!(job(world, first.key).await.due_at, at(40), "asked for before, and not forgotten");
    world.commit([end(20, 70)]).await.unwrap();
    assert_eq!(due(world, 20).await, [second.key]);
}

pub async fn scheduling_brings_forward_and_setting_replaces(world: &mut World) {
    let first = publish(world, 100);
    world.commit([Change::ScheduleJob(first)]).await.unwrap();
    let times = async |world: &World| {
        let it = job(world, first.key).await;
        (it.due_at, it.deadline)
    };
    for (schedule, due_at, deadline, expected) in [
        (true, 150, 300, (100, 200)),
        (true, 50, 300, (50, 200)),
        (true, 70, 120, (50, 120)),
        (false, 500, 900, (500, 900)),
        (false, 20, 30, (20, 30)),
    ] {
        let it = NewJob { due_at: at(due_at), deadline: at(deadline), ..first };
        world.commit([if schedule { Change::ScheduleJob(it) } else { Change::SetJob(it) }]).await.unwrap();
        assert_eq!(times(world).await, (at(expected.0), at(expected.1)), "{schedule} {due_at} {deadline}");
    }
    let fence = claim(world, first.key, 20).await;
    world.commit([Change::RetryJob { fence, due_at: at(40), error: "no".to_owned() }]).await.unwrap();
    world.commit([Change::ScheduleJob(first)]).await.unwrap();
    assert_eq!(job(world, first.key).await.attempts, 1, "scheduling forgives nothing");
    world.commit([Change::SetJob(first)]).await.unwrap();
    let it = job(world, first.key).await;
    assert_eq!((it.attempts, it.last_error), (0, None), "setting begins anew");
}

pub async fn one_node_leases_a_job_and_a_lost_lease_writes_nothing(world: &mut World) {
    let it = publish(world, 0);
    let key = it.key;
    world.commit([Change::SetJob(it)]).await.unwrap();
    let token = job(world, key).await.token;
    let claim_by = |now: i64| Change::ClaimJob { key, expected_token: token, now: at(now), lease_until: at(now + 60) };
    let writes = (0..5).map(|_| Write::default().with(claim_by(1))).collect();
    let answers = together(world, writes).await;
    assert_eq!(answers.iter().filter(|it| it.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|it| **it == Err(StoreError::Conflict(Conflict::Stale))).count(), 4);
    let leased = job(world, key).await;
    assert_eq!((leased.token, leased.lease_until, leased.due_at), (token + 1, Some(at(61)), at(61)));
    let held = Fence { key, token: token + 1 };
    assert_eq!(due(world, 60).await, [], "leased");
    let again = Change::ClaimJob { key, expected_token: token + 1, now: at(60), lease_until: at(120) };
    assert_eq!(world.refused([again]).await, Some(Conflict::Stale), "not before the lease is over");
    world.commit([Change::ExtendLease { fence: held, lease_until: at(90) }]).await.unwrap();
    assert_eq!(due(world, 89).await, []);
    assert_eq!(due(world, 90).await, [key], "its node died");
    let taken = claim(world, key, 90).await;
    assert_eq!(taken.token, held.token + 1);
    // The first node wakes up: nothing of what it writes is kept, wherever the fence stands.
    let certificate = world.certificate("late", &[]);
    let finish = Change::FinishJob { fence: held, next: None };
    let writes = [
        vec![finish.clone(), insert(&certificate)],
        vec![insert(&certificate), finish],
        vec![Change::RetryJob { fence: held, due_at: at(95), error: String::new() }, insert(&certificate)],
        vec![Change::ExtendLease { fence: held, lease_until: at(900) }, insert(&certificate)],
    ];
    for changes in writes {
        let answer = world.store().commit(Write { changes, audit: vec![] }).await;
        assert_eq!(answer, Err(StoreError::Conflict(Conflict::Stale)));
    }
    assert_eq!(world.reader().certificate(world.project.id, certificate.id).await, Ok(None));
    world.commit([Change::FinishJob { fence: taken, next: None }, insert(&certificate)]).await.unwrap();
    assert_eq!(world.reader().job(key).await, Ok(None));
    let gone = Change::ClaimJob { key, expected_token: 0, now: at(200), lease_until: at(300) };
    assert_eq!(world.refused([gone]).await, Some(Conflict::Missing));
    assert_eq!(world.refused([Change::FinishJob { fence: taken, next: None }]).await, Some(Conflict::Stale));
}

/// Two nodes on PostgreSQL, one on SQLite, which go for the same jobs from both ends.
pub async fn nodes_that_meet_lease_each_job_once(world: &mut World) {
    let jobs: Vec<_> = (0..120).map(|_| publish(world, 0)).collect();
    world
        .store()
        .commit(Write { changes: jobs.iter().map(|it| Change::SetJob(*it)).collect(), audit: vec![] })
        .await
        .unwrap();
    let found = world.reader().due_jobs(NOW, JobLane::Status, 500).await.unwrap();
    let claim = |it: &Job| {
        let (key, expected_token) = (it.key, it.token);
        Write::default().with(Change::ClaimJob { key, expected_token, now: NOW, lease_until: at(60) })
    };
    let other = Store::open(&world.location, "node-2").await.ok();
    assert_eq!(other.is_some(), matches!(world.location, Location::Postgres { .. }));
    let second = other.as_ref().unwrap_or(world.store());
    let (mine, theirs) = tokio::join!(
        commit_all(world.store(), found.iter().map(claim).collect()),
        commit_all(second, found.iter().rev().map(claim).collect())
    );
    for (mine, theirs) in mine.iter().zip(theirs.iter().rev()) {
        let refused = Err(StoreError::Conflict(Conflict::Stale));
        assert!(
            (mine.is_ok() && *theirs == refused) || (theirs.is_ok() && *mine == refused),
            "one of them: {mine:?} {theirs:?}"
        );
    }
    assert_eq!(due(world, 0).await, []);
    if let Some(other) = other {
        other.close().await;
    }
}

pub async fn a_job_made_again_has_no_token_of_before(world: &mut World) {
    let it = publish(world, 0);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        world.commit([Change::SetJob(it)]).await.unwrap();
        for round in 0..3 {
            let fence = claim(world, it.key, round * 100).await;
            assert!(seen.insert(fence.token), "{} was given out before", fence.token);
        }
        world.commit([Change::DropJob(it.key)]).await.unwrap();
    }
}

pub async fn what_is_asked_for_while_a_job_runs_is_not_lost(world: &mut World) {
    let it = publish(world, 0);
    let key = it.key;
    let asked = |due: i64| NewJob { due_at: at(due), deadline: at(due + 5), ..it };
    let finish = |next: Option<i64>| move |fence: Fence| Change::FinishJob { fence, next: next.map(at) };
    let retry = |due: i64| move |fence: Fence| Change::RetryJob { fence, due_at: at(due), error: "why".to_owned() };
    type End = Box<dyn Fn(Fence) -> Change>;
    let cases: Vec<(Vec<Change>, End, Option<i64>)> = vec![
        (vec![], Box::new(finish(None)), None),
        (vec![], Box::new(finish(Some(700))), Some(700)),
        (vec![Change::ScheduleJob(asked(10))], Box::new(finish(None)), Some(10)),
        (vec![Change::ScheduleJob(asked(10))], Box::new(finish(Some(700))), Some(10)),
        (vec![Change::ScheduleJob(asked(30)), Change::ScheduleJob(asked(20))], Box::new(finish(None)), Some(20)),
        (vec![Change::ScheduleJob(asked(20)), Change::ScheduleJob(asked(30))], Box::new(finish(None)), Some(20)),
        // Beyond the lease, and beyond what the job itself wants.
        (vec![Change::ScheduleJob(asked(5_000))], Box::new(finish(None)), Some(5_000)),
        (vec![Change::ScheduleJob(asked(5_000))], Box::new(finish(Some(700))), Some(700)),
        (vec![Change::SetJob(asked(5_000))], Box::new(finish(None)), Some(5_000)),
        (vec![Change::SetJob(asked(20)), Change::SetJob(asked(40))], Box::new(finish(None)), Some(40)),
        (vec![Change::ScheduleJob(asked(10))], Box::new(retry(80)), Some(10)),
        (vec![], Box::new(retry(80)), Some(80)),
    ];
    for (index, (meanwhile, end, expected)) in cases.into_iter().enumerate() {
        world.commit([Change::DropJob(key), Change::SetJob(it)]).await.unwrap();
        let fence = claim(world, key, 1).await;
        for change in meanwhile {
            world.commit([change]).await.unwrap();
            assert_eq!(due(world, 60).await, [], "{index}: still leased");
        }
        world.commit([end(fence)]).await.unwrap();
        let left = world.reader().job(key).await.unwrap();
        assert_eq!(left.as_ref().map(|it| it.due_at), expected.map(at), "{index}");
        if let Some(left) = left {
            assert_eq!(left.lease_until, None);
            assert_eq!(left.token, fence.token);
        }
    }
    // A lease that nobody ended: what was asked for a time to come stays asked for.
    world.commit([Change::DropJob(key), Change::SetJob(it)]).await.unwrap();
    claim(world, key, 1).await;
    world.commit([Change::ScheduleJob(asked(5_000))]).await.unwrap();
    let fence = claim(world, key, 100).await;
    world.commit([Change::FinishJob { fence, next: None }]).await.unwrap();
    assert_eq!(job(world, key).await.due_at, at(5_000));
    // And a write may end its job and ask for the next one.
    let fence = claim(world, key, 5_000).await;
    world.commit([Change::FinishJob { fence, next: None }, Change::ScheduleJob(asked(9_000))]).await.unwrap();
    assert_eq!(job(world, key).await.due_at, at(9_000));
}

pub async fn failures_are_counted_until_one_success(world: &mut World) {
    let it = publish(world, 0);
    world.commit([Change::SetJob(it)]).await.unwrap();
    for round in 1..4 {
        let fence = claim(world, it.key, round * 100).await;
        let error = format!("failure {round}");
        world.commit([Change::RetryJob { fence, due_at: at(round * 100 + 10), error: error.clone() }]).await.unwrap();
        let left = job(world, it.key).await;
        let expected = (u32::try_from(round).unwrap(), Some(error), at(round * 100 + 10), at(100));
        assert_eq!((left.attempts, left.last_error, left.due_at, left.deadline), expected);
    }
    let fence = claim(world, it.key, 400).await;
    world.commit([Change::FinishJob { fence, next: Some(at(800)) }]).await.unwrap();
    let left = job(world, it.key).await;
    assert_eq!((left.attempts, left.last_error, left.due_at), (0, None, at(800)));
    assert_eq!(left.deadline, at(800), "no job is late before it is due");
}

pub async fn certificates_keep_their_renewal_job_in_step(world: &mut World) {
    let key = |it: &chancery_model::certificate::Certificate| JobKey {
        kind: JobKind::RenewCertificate,
        object: it.id.as_uuid(),
    };
    let mut made: Vec<_> = (0..4).map(|index| world.certificate(&format!("c{index}"), &[])).collect();
    for (index, it) in made.iter_mut().enumerate() {
        it.renewal.due_at = (index != 3).then(|| at(DAY * 60));
    }
    together(world, made.iter().map(|it| Write::default().with(insert(it))).collect()).await;
    for it in &made[..3] {
        let left = job(world, key(it)).await;
        assert_eq!((left.due_at, left.deadline, left.project_id), (at(DAY * 60), it.not_after, world.project.id));
    }
    assert_eq!(world.reader().job(key(&made[3])).await, Ok(None));
    let configure = |it: &chancery_model::certificate::Certificate, due_at| Change::ConfigureRenewal {
        id: it.id,
        renew_before_days: Some(3),
        due_at,
        settings: None,
        at: NOW,
    };
    world.commit([configure(&made[3], Some(at(7)))]).await.unwrap();
    let left = job(world, key(&made[3])).await;
    assert_eq!((left.due_at, left.deadline, left.project_id), (at(7), made[3].not_after, world.project.id));
    world.commit([configure(&made[3], Some(at(9)))]).await.unwrap();
    assert_eq!(job(world, key(&made[3])).await.due_at, at(9));
    world.commit([configure(&made[3], None)]).await.unwrap();
    assert_eq!(world.reader().job(key(&made[3])).await, Ok(None));
    // The job itself renews: its fence, the mark and the successor with a job of its own.
    let fence = claim(world, key(&made[0]), DAY * 60).await;
    let mut successor = world.certificate("c0", &[]);
    successor.renewal.due_at = Some(at(DAY * 120));
    let mark = Change::MarkRenewed { id: made[0].id, by: successor.id, at: NOW };
    world.commit([Change::FinishJob { fence, next: None }, mark, insert(&successor)]).await.unwrap();
    assert_eq!(world.reader().job(key(&made[0])).await, Ok(None));
    assert_eq!(job(world, key(&successor)).await.due_at, at(DAY * 120));
    world.commit([configure(&made[0], Some(at(5)))]).await.unwrap();
    assert_eq!(world.reader().job(key(&made[0])).await, Ok(None), "what is renewed is not renewed again");
    world.commit([Change::DeleteCertificate(made[1].id)]).await.unwrap();
    assert_eq!(world.reader().job(key(&made[1])).await, Ok(None));
    assert_eq!(world.refused([configure(&made[1], Some(at(5)))]).await, Some(Conflict::Missing));
}

pub async fn overdue_and_coming_jobs_are_found(world: &mut World) {
    let kind = JobKind::RenewCertificate;
    let mut keys = vec![];
    for due in [10, 20, 30, 2_000, DAY + 2_000, DAY + 3_000] {
        let it = new_job(world, kind, world.id(), due, due);
        world.commit([Change::SetJob(it)]).await.unwrap();
        keys.push(it.key);
    }
    world.commit([Change::SetJob(publish(world, 1))]).await.unwrap();
    let fence = claim(world, keys[3], 2_000).await;
    world.commit([Change::RetryJob { fence, due_at: at(3_000), error: "refused".to_owned() }]).await.unwrap();
    let reader = world.reader();
    let find = async |cursor: Option<String>, limit| {
        let page = PageRequest { offset: 0, limit, cursor };
        reader.overdue_jobs(world.project.id, kind, at(25), &page).await.unwrap()
    };
    let all = find(None, 10).await;
    assert_eq!(all.items.iter().map(|it| it.key).collect::<Vec<_>>(), [keys[0], keys[1], keys[3]]);
    assert_eq!((all.total.count, all.total.exact, all.next_cursor), (3, true, None));
    let mut paged = vec![];
    let mut cursor = None;
    loop {
        let some = find(cursor, 1).await;
        paged.extend(some.items.iter().map(|it| it.key));
        cursor = some.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, [keys[0], keys[1], keys[3]]);
    let other = world.other_project("other");
    assert_eq!(reader.overdue_jobs(other.id, kind, at(25), &page(5)).await.unwrap().items, []);
    let day = NOW.as_millis() / 86_400_000;
    let counts = reader.jobs_due_between(world.project.id, kind, at(15), at(DAY + 3_000)).await.unwrap();
    let first = at(DAY + 2_000).as_millis() / 86_400_000;
    assert_eq!(counts, [(day, 3), (first, 1)]);
    let between = async |project, from, to, limit| {
        let found = reader.jobs_between(project, kind, (at(from), at(to)), limit).await.unwrap();
        found.into_iter().map(|it| it.key).collect::<Vec<_>>()
    };
    assert_eq!(between(world.project.id, 20, 2_000 + DAY, 10).await, [keys[1], keys[2], keys[3]]);
    assert_eq!(between(world.project.id, 20, 2_000 + DAY, 2).await, [keys[1], keys[2]]);
    assert_eq!(between(other.id, 0, 3 * DAY, 10).await, []);
}
