//! What goes wrong on the way to OpenBao.
//!
//! ```text
//! quickstart --once ── serve ── somebody who kills ── OpenBao: its PKI engine
//! ```
//!
//! Verified: a server that is killed while it asks for a signature, and again while it looks for the one it may have got,
//! ends with one certificate, the only one that the engine has made; a sealed server is waited for, a token that is revoked
//! ends the order with a reason that names it; of certificates of a minute, renewed by the server amid kills, each has at
//! most one successor, and the engine has made no others.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_testkit::foreign::{Bao, Exchange, Meddler};
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, World, text};
use reqwest::Method;
use serde_json::{Value, json};

use crate::crash::{administrator, finish};
use crate::external_faults::{PAUSE, chain_of, has_ended, order, request};
use crate::external_faults_kills::{At, Lane, ORDER_TIMEOUT, Trap, post};
use crate::nights::true_now;

const CONNECTIONS: &str = "/api/v1/app-connections/hashicorp-vault";

fn connection(way: &Meddler, token: &str) -> Value {
    json!({"name": "bao", "method": "access-token", "credentials":
        {"instanceUrl": way.url(""), "accessToken": token, "caCertificate": way.ca_pem()}})
}

fn ca(connection: &Value) -> Value {
    json!({"name": "bao", "status": "active", "configuration": {"mount": Bao::MOUNT, "role": Bao::ROLE,
        "appConnectionId": connection["appConnection"]["id"]}})
}

/// How many certificates the engine has.
async fn made(bao: &Bao) -> usize {
    let list = Method::from_bytes(b"LIST").unwrap();
    bao.ok(list, &format!("{}/certs", Bao::MOUNT), None).await["keys"].as_array().unwrap().len()
}

async fn profile(lane: &Lane, way: &Meddler, api: &Value) -> String {
    let made = post(&lane.admin, CONNECTIONS, &connection(way, Bao::ROOT_TOKEN)).await;
    let ca = post(&lane.admin, &format!("{CERT_MANAGER}/ca/vault"), &ca(&made)).await;
    lane.profile_of(&ca, "bao", api).await
}

/// Waits until the server is dead; false if the order was over before.
async fn dead(lane: &Lane, trap: &Trap, id: &str) -> bool {
    let began = Instant::now();
    while trap.sprung().is_none() {
        if lane.request(id).await.is_some_and(|it| has_ended(&it)) {
            trap.disarm();
            return false;
        }
        assert!(began.elapsed() < ORDER_TIMEOUT, "neither dead nor over");
        tokio::time::sleep(PAUSE).await;
    }
    true
}

fn is_signing(exchange: &Exchange) -> bool {
    exchange.is_at("sign")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_survives_kills_while_it_is_asked_and_looked_for() {
    let bao = Bao::start().await;
    let way = Meddler::start(&bao.url(), bao.ca_pem()).await;
    let trap = Arc::new(Trap::default());
    way.plan(trap.plan());
    let mut lane = Lane::start(way.ca_pem()).await;
    let profile = profile(&lane, &way, &Value::Null).await;
    let root = text(&bao.ok(Method::GET, &format!("{}/cert/ca", Bao::MOUNT), None).await, "/certificate");

    // The signature is the first thing that is asked for. After it the server is killed a second time, at an exchange of
    // its search; in the first rows it is not.
    let mut deaths = vec![(false, None), (true, None)];
    for number in 1..=4 {
        deaths.extend([(true, Some((number, false))), (true, Some((number, true))), (false, Some((number, true)))]);
    }
    let mut searches = 0;
    for (row, (first, second)) in deaths.into_iter().enumerate() {
        let before = made(&bao).await;
        way.close(true);
        let id = lane.order(&profile, &format!("bao-{row}.acme.test"), "30d").await;
        trap.set(lane.served.id(), At::Number(1), first);
        way.close(false);
        assert!(dead(&lane, &trap, &id).await && trap.sprung().is_some_and(|it| is_signing(&it)), "row {row}");
        way.close(true);
        lane = lane.again().await;
        if let Some((number, after)) = second {
            trap.set(lane.served.id(), At::Number(number), after);
        }
        way.close(false);
        if second.is_some() && dead(&lane, &trap, &id).await {
            searches += 1;
            lane = lane.again().await;
        }
        let ended = lane.over(&id, &format!("row {row}")).await;
        assert_eq!(ended["status"], "issued", "row {row}: {ended:#}");
        judge::openssl_verifies(&chain_of(&ended, &root), true_now().as_seconds() + 1);
        assert_eq!(made(&bao).await - before, 1, "row {row}: certificates of the engine");
    }
    assert!(searches >= 4, "only {searches} searches were interrupted");
    finish(&administrator(&lane.served.url, &lane.credentials).await, lane.folder.path()).await;
}

/// Kills in lines of renewals, and after how many exchanges each.
const KILLS: usize = 8;
const EXCHANGES: usize = 5;
const LINES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_renewals_amid_kills_each_certificate_gets_one_successor() {
    let bao = Bao::start().await;
    let way = Meddler::start(&bao.url(), bao.ca_pem()).await;
    let trap = Arc::new(Trap::default());
    way.plan(trap.plan());
    let mut lane = Lane::start(way.ca_pem()).await;
    let api = json!({"autoRenew": true, "renewAt": {"fraction": 0.1}, "renewJitter": "1s"});
    let profile = profile(&lane, &way, &api).await;
    let before = made(&bao).await;
    for line in 0..LINES {
        let id = lane.order(&profile, &format!("line-{line}.acme.test"), "1m").await;
        lane.over(&id, "the first of a line").await;
    }
    for round in 0..KILLS {
        trap.set(lane.served.id(), At::Number(EXCHANGES + round % 3), round % 2 == 0);
        let began = Instant::now();
        while trap.sprung().is_none() {
            assert!(began.elapsed() < ORDER_TIMEOUT, "round {round}: nothing is renewed any more");
            tokio::time::sleep(PAUSE).await;
        }
        lane = lane.again().await;
    }
    let certificates = at_rest(&lane, &way).await;
    assert_eq!(made(&bao).await - before, certificates.len(), "certificates of the engine, and here");
    let ids: HashSet<String> = certificates.iter().map(|it| text(it, "/id")).collect();
    let successors: Vec<&str> = certificates.iter().filter_map(|it| it["renewedByCertificateId"].as_str()).collect();
    let distinct: HashSet<&str> = successors.iter().copied().collect();
    assert_eq!(distinct.len(), successors.len(), "two have the same successor");
    assert!(distinct.iter().all(|it| ids.contains(*it)), "a successor is missing");
    assert_eq!(certificates.len() - successors.len(), LINES, "certificates without a successor: {certificates:#?}");
    assert!(successors.len() > KILLS / 2, "only {} renewals", successors.len());
    finish(&administrator(&lane.served.url, &lane.credentials).await, lane.folder.path()).await;
}

/// Switches all lines off and waits until nothing is asked any more.
async fn at_rest(lane: &Lane, way: &Meddler) -> Vec<Value> {
    let began = Instant::now();
    let mut silent_since = Instant::now();
    let mut asked = 0;
    loop {
        let certificates = lane.certificates().await;
        let certificates: Vec<Value> = certificates.into_iter().filter(|it| it.to_string().contains("line-")).collect();
        for last in certificates.iter().filter(|it| it["renewedByCertificateId"].is_null()) {
            let path = format!("{CERT_MANAGER}/certificates/{}/config", text(last, "/id"));
            let reply = lane.client.patch(&path, &json!({"enableAutoRenewal": false})).await.unwrap();
            // Renewed in this moment, or ended.
            assert!(matches!(reply.status, 200 | 400 | 409), "{}: {}", reply.status, reply.body);
        }
        if way.exchanges().len() != asked {
            (asked, silent_since) = (way.exchanges().len(), Instant::now());
        }
        // An error's first wait, and then some.
        if silent_since.elapsed() > Duration::from_secs(6) {
            return certificates;
        }
        assert!(began.elapsed() < ORDER_TIMEOUT, "it goes on and on");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn world(way: &Meddler) -> World {
    World::builder().fixed_clock(true_now()).with_egress_to_loopback(way.ca_pem()).start().await
}

async fn profile_in(world: &World, way: &Meddler, token: &str) -> uuid::Uuid {
    let made = world.admin().ok(Method::POST, CONNECTIONS, Some(&connection(way, token))).await;
    let ca = world.admin().ok(Method::POST, &format!("{CERT_MANAGER}/ca/vault"), Some(&ca(&made))).await;
    let template = world.template(&json!({})).await;
    world.profile(&json!({"caId": ca["id"], "certificatePolicyId": template})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_server_is_waited_for() {
    let bao = Bao::start().await;
    let way = Meddler::start(&bao.url(), bao.ca_pem()).await;
    let world = world(&way).await;
    let profile = profile_in(&world, &way, Bao::ROOT_TOKEN).await;
    let before = made(&bao).await;
    let log = bao.log();
    let key = log.lines().find_map(|line| line.trim().strip_prefix("Unseal Key: ")).expect("an unseal key");
    bao.ok(Method::PUT, "sys/seal", None).await;
    let id = order(world.operator(), profile, "sealed.acme.test").await;
    world.authority().run_due_jobs().await;
    let waiting = request(world.operator(), &id).await;
    assert_eq!(waiting["status"], "pending", "{waiting:#}");
    assert!(text(&waiting, "/pendingMessage").contains("is sealed"), "{waiting:#}");
    bao.ok(Method::PUT, "sys/unseal", Some(&json!({"key": key}))).await;
    let ended = world.settle_order(&id).await;
    assert_eq!(ended["status"], "issued", "{ended:#}");
    assert_eq!(made(&bao).await - before, 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_ends_the_order_with_a_reason() {
    let bao = Bao::start().await;
    let way = Meddler::start(&bao.url(), bao.ca_pem()).await;
    let world = world(&way).await;
    let (status, token) = bao.api(Method::POST, "auth/token/create", Some(&json!({"policies": ["root"]}))).await;
    assert_eq!(status, 200, "{token:#}");
    let token = text(&token, "/auth/client_token");
    let profile = profile_in(&world, &way, &token).await;
    let before = made(&bao).await;
    let (status, answer) = bao.api(Method::POST, "auth/token/revoke", Some(&json!({"token": token}))).await;
    assert_eq!(status, 204, "{answer}");
    let id = order(world.operator(), profile, "revoked.acme.test").await;
    let ended = world.settle_order(&id).await;
    assert_eq!(ended["status"], "failed", "{ended:#}");
    let why = text(&ended, "/errorMessage");
    assert!(why.contains("token") && !why.contains(token.as_str()), "{why}");
    assert_eq!(made(&bao).await, before);
    world.stop().await;
}
