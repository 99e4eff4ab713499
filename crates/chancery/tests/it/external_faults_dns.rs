//! A DNS server that is down, or does not accept the key, on the way to an ACME CA.
//!
//! ```text
//! the server ── Pebble ──────────────── Knot: the zone acme.test
//!      └─────── updates (RFC 2136, TSIG) ─┘
//! ```
//!
//! Verified: a server that is down is waited for; one that has another key, or another secret for it, ends the order with a
//! reason that says which; what such an order had put into the zone before stays known and is removed when the server
//! accepts the key again; and the next order is issued.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use chancery_testkit::foreign::{Knot, Meddler, Meddling, Pebble, PebbleOptions, TsigKey};
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, World, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::external_faults::{LIFE_MAX, PAUSE, chain_of, has_ended, is_over, order, request};
use crate::external_faults_kills::ORDER_TIMEOUT;
use crate::nights::true_now;

fn other_key() -> TsigKey {
    TsigKey { name: "somebody-else".to_owned(), ..TsigKey::default() }
}

fn other_secret() -> TsigKey {
    TsigKey { secret: "c29tZWJvZHkgZWxzZSdzIHNlY3JldCwgbm90IG91cnM=".to_owned(), ..TsigKey::default() }
}

/// The values of a challenge's record, as `kdig` reads them.
fn records(knot: &Knot, name: &str) -> String {
    let (at, port) = (format!("@{}", knot.address().ip()), knot.address().port().to_string());
    let record = format!("_acme-challenge.{name}");
    let asked = Command::new("kdig").args([&at, "-p", &port, &record, "TXT", "+short", "+tcp", "+retry=0"]).output();
    let asked = asked.expect("kdig is missing: install it with `apt-get install knot-dnsutils`, or run scripts/test");
    assert!(asked.status.success(), "{asked:?}");
    String::from_utf8(asked.stdout).unwrap()
}

/// Signatures of DNS messages are good for minutes, so time passes as it does for everybody else.
async fn wait(world: &World, id: &str, what: &str, reached: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        world.clock.advance_seconds((true_now().as_seconds() - world.now_seconds()).max(0));
        world.authority().run_due_jobs().await;
        let seen = request(world.operator(), id).await;
        if reached(&seen) {
            return seen;
        }
        assert!(began.elapsed() < ORDER_TIMEOUT, "not {what}: {seen:#}");
        tokio::time::sleep(PAUSE).await;
    }
}

fn says(request: &Value, words: &str) -> bool {
    ["pendingMessage", "errorMessage"].iter().any(|it| request[it].as_str().is_some_and(|text| text.contains(words)))
}

async fn profile(world: &World, knot: &Knot, directory: &str) -> Uuid {
    let key = TsigKey::default();
    let connection = json!({"name": "knot", "method": "tsig", "credentials": {"server": knot.address().to_string(),
        "keyName": key.name, "algorithm": key.algorithm, "secret": key.secret}});
    let made = world.admin().ok(Method::POST, "/api/v1/app-connections/rfc2136", Some(&connection)).await;
    let zone = json!({"zone": "acme.test", "provider": "rfc2136", "hostedZoneId": "acme.test",
        "appConnectionId": made["appConnection"]["id"]});
    let ca = json!({"name": "public", "status": "active", "configuration": {"directoryUrl": directory,
        "accountEmail": "pki@acme.test", "dnsZones": [zone], "dnsResolvers": [knot.address().to_string()]}});
    let ca = world.admin().ok(Method::POST, &format!("{CERT_MANAGER}/ca/acme"), Some(&ca)).await;
    let template = world.template(&json!({"validity": {"max": LIFE_MAX}})).await;
    world.profile(&json!({"caId": ca["id"], "certificatePolicyId": template})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dns_server_that_refuses_is_named_and_left_clean_when_it_accepts_again() {
    let mut knot = Knot::start(&["acme.test"], &TsigKey::default()).await;
    let pebble = Pebble::start(PebbleOptions { resolver: Some(knot.address()), ..PebbleOptions::default() }).await;
    let way = Meddler::start(&pebble.directory_url(), pebble.ca_pem()).await;
    let world = World::builder().fixed_clock(true_now()).with_egress_to_loopback(way.ca_pem()).start().await;
    let profile = profile(&world, &knot, &way.url("/dir")).await;
    let root = pebble.roots().await.remove(0);

    // Down when the record is to be set.
    knot.stop();
    let id = order(world.operator(), profile, "down.acme.test").await;
    let waiting = wait(&world, &id, "told", |it| it["pendingMessage"].is_string()).await;
    assert!(says(&waiting, "DNS"), "{waiting:#}");
    knot.restart(&TsigKey::default()).await;
    let ended = wait(&world, &id, "over", is_over).await;
    assert_eq!(ended["status"], "issued", "{ended:#}");
    judge::openssl_verifies(&chain_of(&ended, &root), true_now().as_seconds());

    for (key, name, words) in [(other_key(), "key.acme.test", "BADKEY"), (other_secret(), "secret.acme.test", "BADSIG")]
    {
        knot.restart(&key).await;
        let id = order(world.operator(), profile, name).await;
        let failed = wait(&world, &id, "ended", has_ended).await;
        assert!(failed["status"] == "failed" && says(&failed, words), "{name}: {failed:#}");
        assert!(!text(&failed, "/errorMessage").contains(&TsigKey::default().secret), "{failed:#}");
        knot.restart(&TsigKey::default()).await;
        let over = wait(&world, &id, "tidied up", is_over).await;
        assert_eq!((over["status"].as_str(), records(&knot, name)), (Some("failed"), String::new()));
    }

    // Set, and then nobody may remove it.
    let before = way.exchanges().len();
    way.close(true);
    let id = order(world.operator(), profile, "late.acme.test").await;
    let held = Mutex::new(Some(Meddling::Hold));
    way.plan(Arc::new(move |exchange| {
        let hold = if exchange.is_at("chalZ") { held.lock().unwrap().take() } else { None };
        hold.unwrap_or(Meddling::Pass)
    }));
    way.close(false);
    let authority = world.authority();
    let going_on = tokio::spawn(async move { authority.run_due_jobs().await });
    let began = Instant::now();
    while !way.exchanges().iter().skip(before).any(|it| it.is_at("chalZ") && it.is_done()) {
        assert!(began.elapsed() < ORDER_TIMEOUT, "the CA is not told");
        tokio::time::sleep(PAUSE).await;
    }
    assert!(!records(&knot, "late.acme.test").is_empty());
    knot.restart(&other_key()).await;
    way.let_go();
    going_on.await.unwrap();
    let ended = wait(&world, &id, "ended", has_ended).await;
    for _ in 0..3 {
        world.authority().run_due_jobs().await;
    }
    let untidy = request(world.operator(), &id).await;
    assert!(!is_over(&untidy) && !records(&knot, "late.acme.test").is_empty(), "{untidy:#}");
    knot.restart(&TsigKey::default()).await;
    let over = wait(&world, &id, "tidied up", is_over).await;
    assert_eq!((&over["status"], records(&knot, "late.acme.test")), (&ended["status"], String::new()));
    world.stop().await;
}
