//! Two nodes over one PostgreSQL: every order is advanced by one of them at a time, and one that was paused writes nothing.

use std::sync::Arc;

use chancery_authority::Authority;
use chancery_authority::profile::ProfileSettingsPatch;
use chancery_model::order::OrderPhase;
use chancery_model::request::RequestStatus;
use chancery_store::Location;
use tokio_postgres::NoTls;

use super::elsewhere::{Fault, When};
use super::world::{World, named, open, pending};

struct Database {
    admin: String,
    name: String,
    url: String,
}

async fn run(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
}

impl Database {
    async fn new(story: &str) -> Option<Self> {
        let Ok(admin) = std::env::var("CHANCERY_TEST_POSTGRES_URL") else {
            assert!(std::env::var_os("CI").is_none(), "CI must set CHANCERY_TEST_POSTGRES_URL; scripts/test does");
            eprintln!("left out, because CHANCERY_TEST_POSTGRES_URL is not set: external::nodes::{story}");
            return None;
        };
        let name = format!("chancery_orders_{}_{story}", std::process::id());
        run(&admin, &format!("CREATE DATABASE {name}")).await;
        let server = admin.rsplit_once('/').unwrap().0;
        Some(Self { url: format!("{server}/{name}"), admin, name })
    }

    async fn world(&self) -> (World, Authority) {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Postgres { url: self.url.clone() };
        let world = World::start_at(location, folder, ProfileSettingsPatch::default()).await;
        let second = open(&world.location, "node-2", &world.clock, &world.elsewhere).await.unwrap();
        (world, second)
    }

    async fn drop(self) {
        run(&self.admin, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_two_nodes_advance_come_home_once_each() {
    let Some(database) = Database::new("once").await else { return };
    let (world, second) = database.world().await;
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(pending(world.issue(world.wish(named(&format!("n{number}.acme.com")))).await).id);
    }
    for _ in 0..20 {
        tokio::join!(world.authority().run_due_jobs(), second.run_due_jobs());
        world.clock.advance_seconds(6);
    }
    for id in &ids {
        assert_eq!(world.status(*id).await, RequestStatus::Issued, "{:?}", world.request(*id).await);
        let record = world.elsewhere.order(*id);
        assert_eq!((record.placed, record.finalized), (1, 1));
        assert!(record.begun.values().all(|count| *count == 1), "no step twice: {:?}", record.begun);
        assert_eq!(world.order_of(*id).await.phase, OrderPhase::Done);
    }
    assert_eq!(world.inventory().await.len(), 40);
    assert!(world.elsewhere.zone().is_empty());
    assert!(second.job_counters().done > 0 && world.authority().job_counters().done > 0, "both took part");
    second.close().await;
    world.authority().close().await;
    database.drop().await;
}

/// The first node stops in the middle of a step for longer than its lease; the second brings the order home; the first goes
/// on with what it had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_paused_in_a_step_writes_nothing() {
    let Some(database) = Database::new("paused").await else { return };
    let (world, second) = database.world().await;
    for step in ["placed", "set", "finalized", "issued"] {
        let id = world.order().await;
        world.elsewhere.hit(step, When::AfterEffect, Fault::Stop, 1);
        if step == "finalized" || step == "issued" {
            world.run().await;
            world.clock.advance_seconds(6);
        }
        let running = world.run_until_stopped().await;
        second.run_due_jobs().await;
        assert_eq!(world.elsewhere.order(id).begun[step], 1, "{step}: leased");
        world.clock.advance_seconds(121);
        for _ in 0..10 {
            second.run_due_jobs().await;
            world.clock.advance_seconds(6);
        }
        assert_eq!(world.status(id).await, RequestStatus::Issued, "{step}");
        let (request, order) = (world.request(id).await, world.order_of(id).await);
        assert_eq!(order.phase, OrderPhase::Done, "{step}");
        world.elsewhere.go_on.notify_one();
        running.await.unwrap();
        assert_eq!((world.request(id).await, world.order_of(id).await), (request, order), "{step}");
        let record = world.elsewhere.order(id);
        assert_eq!((record.placed, record.finalized), (1, 1), "{step}");
    }
    assert_eq!(world.inventory().await.len(), 4);
    second.close().await;
    world.authority().close().await;
    database.drop().await;
}

/// A request made on one node is awaited on the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_awaited_on_a_node_that_does_not_work_on_it() {
    let Some(database) = Database::new("await").await else { return };
    let (world, second) = database.world().await;
    let world = Arc::new(world);
    let id = world.order().await;
    let (other, admin) = (second.clone(), world.admin.clone());
    let waiting = tokio::spawn(async move { other.await_request(&admin, id, 60).await });
    world.until_ended(id).await;
    assert_eq!(waiting.await.unwrap().unwrap().status, RequestStatus::Issued);
    second.close().await;
    world.authority().close().await;
    database.drop().await;
}
