//! External orders on two nodes that share one PostgreSQL database.
//!
//! ```text
//! node-1 (here) ───┐                             node-2 (a process that is killed, or here and going on for node-1)
//!        └─────────┴─ somebody who meddles ── Pebble, DNS webhook
//! ```
//!
//! Verified: of twenty orders under way on two nodes, of which one dies, each ends in one certificate; an order whose node
//! falls silent in the middle of an exchange is taken over when its lease is over, and what the silent one does when it wakes
//! up again changes nothing: one order, one CSR, one certificate, nothing left in the DNS.
//!
//! Needs `CHANCERY_TEST_POSTGRES_URL`; `scripts/test` sets it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chancery_testkit::foreign::{Meddling, Plan};
use chancery_testkit::judge;
use chancery_testkit::world::{World, text};
use serde_json::{Value, json};

use crate::external_faults::{
    PAUSE, Services, Way, audit_verifies, certificates_of, chain_of, is_over, order, profile, request, world_for,
};
use crate::external_faults_kills::outside;
use crate::nights::true_now;
use crate::postgres::server_url;
use crate::program::{Served, chancery};

const ORDERS: usize = 20;
/// Exchanges with CA and webhook until a node dies: about a third of all.
const DEADLY: usize = 80;
const TIMEOUT: Duration = Duration::from_secs(60);
/// A lease, and a second.
const LEASE: i64 = 121;

/// The clock here goes as the one of the other process does.
fn keep_time(world: &World) {
    world.clock.advance_seconds((true_now().as_seconds() - world.now_seconds()).max(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_orders_on_two_nodes_survive_the_kill_of_one() {
    let Some(url) = server_url("twenty_orders_on_two_nodes_survive_the_kill_of_one") else { return };
    let services = Services::start().await;
    let way = services.way().await;
    let world = world_for([&way]).postgres(&url).start().await;
    let profile = profile(&world, &way, "public", &json!({})).await;
    let before = way.ca.exchanges().len();

    let folder = tempfile::tempdir().unwrap();
    let mut command = chancery(folder.path(), &["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]);
    for key in ["database_url", "kek"] {
        command.env(format!("CHANCERY_{}", key.to_uppercase()), world.setting(key).unwrap());
    }
    let trusted = PathBuf::from(world.setting("egress_ca_file").unwrap());
    let doomed = Served::start(outside(&mut command, trusted).env("CHANCERY_NODE", "node-2"));
    let mut asked = Vec::new();
    for number in 0..ORDERS {
        asked.push(order(world.operator(), profile, &format!("host-{number}.acme.test")).await);
    }
    let began = Instant::now();
    while way.ca.exchanges().len() + way.dns.exchanges().len() - before < DEADLY {
        keep_time(&world);
        world.authority().run_due_jobs().await;
        assert!(began.elapsed() < TIMEOUT, "hardly anything happens");
        tokio::time::sleep(PAUSE).await;
    }
    drop(doomed);

    let ended = all_over(&world, &asked).await;
    let root = services.pebble.roots().await.remove(0);
    for request in &ended {
        assert_eq!(request["status"], "issued", "{request:#}");
        judge::openssl_verifies(&chain_of(request, &root), true_now().as_seconds());
    }
    assert_eq!(way.done_at("finalize-order"), ORDERS, "{}", way.course());
    assert_eq!(certificates_of(world.auditor()).await.len(), ORDERS);
    assert!(services.webhook.records().await.is_empty(), "left in the DNS: {:?}", services.webhook.records().await);
    audit_verifies(&world).await;
    world.stop().await;
}

/// Goes on at this node, where time passes faster, until all orders are over.
async fn all_over(world: &World, asked: &[String]) -> Vec<Value> {
    let began = Instant::now();
    loop {
        world.authority().run_due_jobs().await;
        let mut seen = Vec::new();
        for id in asked {
            seen.push(request(world.operator(), id).await);
        }
        let open: Vec<&Value> = seen.iter().filter(|it| !is_over(it)).collect();
        if open.is_empty() {
            return seen;
        }
        assert!(began.elapsed() < TIMEOUT, "not over: {open:#?}");
        world.clock.advance_seconds(2);
        tokio::time::sleep(PAUSE).await;
    }
}

/// The first answer of this kind arrives when it is let go.
fn held(part: &'static str) -> Plan {
    let is_first = AtomicBool::new(true);
    Arc::new(move |exchange| {
        let is_meant = match part {
            "dns" => exchange.question.contains("\"set\""),
            part => exchange.is_at(part),
        };
        if is_meant && is_first.swap(false, Ordering::SeqCst) { Meddling::Hold } else { Meddling::Pass }
    })
}

fn is_held(way: &Way, part: &str) -> bool {
    match part {
        "dns" => way.dns.exchanges().iter().any(|it| it.question.contains("\"set\"") && it.is_done()),
        part => way.done_at(part) > 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_node_falls_silent_is_gone_on_with_by_another() {
    let Some(url) = server_url("an_order_whose_node_falls_silent_is_gone_on_with_by_another") else { return };
    let services = Services::start().await;
    let parts = ["order-plz", "authZ", "dns", "chalZ", "finalize-order", "certZ"];
    let mut ways = Vec::new();
    for _ in parts {
        ways.push(services.way().await);
    }
    let world = world_for(&ways).postgres(&url).start().await;
    let other = world.another_node("node-2").await;
    let root = services.pebble.roots().await.remove(0);
    for (part, way) in parts.into_iter().zip(&ways) {
        let name = part.to_lowercase();
        let profile = profile(&world, way, &name, &json!({})).await;
        way.plan(&held(part));
        let id = order(world.operator(), profile, &format!("{name}.acme.test")).await;
        let silent = world.authority();
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let silent = tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                silent.run_due_jobs().await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        let began = Instant::now();
        while !is_held(way, part) {
            assert!(began.elapsed() < TIMEOUT, "{part}: nobody asks");
            world.clock.advance_seconds(1);
            tokio::time::sleep(PAUSE).await;
        }
        stopped.store(true, Ordering::SeqCst);
        // Its lease ends while it waits for the answer.
        world.clock.advance_seconds(LEASE);
        let ended = all_over(&other, std::slice::from_ref(&id)).await.remove(0);
        assert_eq!(ended["status"], "issued", "{part}: {ended:#}");
        way.ca.let_go();
        way.dns.let_go();
        tokio::time::timeout(TIMEOUT, silent).await.expect("it wakes up").unwrap();

        let after = request(world.operator(), &id).await;
        assert_eq!((&after["status"], &after["certificateId"]), (&ended["status"], &ended["certificateId"]), "{part}");
        judge::openssl_verifies(&chain_of(&after, &root), true_now().as_seconds());
        assert_eq!((way.done_at("order-plz"), way.done_at("finalize-order")), (1, 1), "{part}: {}", way.course());
        assert!(services.webhook.records().await.is_empty(), "{part} left {:?}", services.webhook.records().await);
        let found = certificates_of(world.auditor()).await;
        let of_it = found.iter().filter(|it| text(it, "/commonName") == format!("{name}.acme.test")).count();
        assert_eq!(of_it, 1, "{part}: {found:#?}");
    }
    audit_verifies(&world).await;
    other.stop().await;
    world.stop().await;
}
