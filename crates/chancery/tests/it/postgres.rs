//! The same server on PostgreSQL, alone and as two nodes on one database.
//!
//! ```text
//! node-1 ─┐
//!         ├─ one database: root ── issuing ── leaves of both
//! node-2 ─┘
//! ```
//!
//! Verified: issue, renew, search and audit verification; twenty renewals at once give one successor; two nodes issue
//! with different serial numbers, each sees what the other did and changed, and both audit chains verify.
//!
//! Needs `CHANCERY_TEST_POSTGRES_URL`; `scripts/test` sets it.

use std::collections::HashSet;
use std::time::Duration;

use chancery_authority::audit::{VerifiedAudit, verify_export};
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, Session, World, text};
use reqwest::Method;
use serde_json::{Value, json};

use crate::renewal::race_renewals;
use crate::strangers::chain_of;

/// A world on PostgreSQL, if there is a server.
async fn world(story: &str) -> Option<World> {
    Some(World::builder().postgres(&server_url(story)?).start().await)
}

/// The PostgreSQL server of the tests; where there is none, a run in CI fails and another says what it left out.
pub fn server_url(story: &str) -> Option<String> {
    let Ok(url) = std::env::var("CHANCERY_TEST_POSTGRES_URL") else {
        assert!(std::env::var_os("CI").is_none(), "CI must set CHANCERY_TEST_POSTGRES_URL; scripts/test does");
        eprintln!("left out, because CHANCERY_TEST_POSTGRES_URL is not set: {story}");
        return None;
    };
    Some(url)
}

async fn issue(session: &Session, profile: uuid::Uuid, name: &str) -> (u16, Value) {
    let body = json!({"profileId": profile, "attributes": {"commonName": name}});
    session.post(&format!("{CERT_MANAGER}/certificates"), &body).await
}

async fn verified_audit(session: &Session) -> VerifiedAudit {
    let export = session.raw(Method::GET, "/api/v1/audit-logs/export", &[], Vec::new()).await;
    assert_eq!(export.status(), 200);
    let bytes = export.bytes().await.unwrap();
    verify_export(&bytes[..]).unwrap_or_else(|fault| panic!("the audit log is not intact: {fault}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_serves_the_whole_workflow() {
    let Some(world) = world("postgres_serves_the_whole_workflow").await else { return };
    let pki = world.pki().await;
    let (status, issued) = issue(world.operator(), pki.profile, "www.acme.test").await;
    assert_eq!(status, 200, "{issued}");
    judge::openssl_verifies(&chain_of(&issued), world.now_seconds());
    let (status, refused) = issue(world.operator(), pki.profile, "www.other.test").await;
    assert_eq!((status, &refused["error"]), (400, &json!("BadRequest")));
    let id = text(&issued, "/certificate/certificateId");
    let path = format!("{CERT_MANAGER}/certificates/{id}/renew");
    let renewed = world.operator().ok(Method::POST, &path, Some(&json!({}))).await;

    let project = world.admin().get("/api/v1/projects").await.1;
    let search = format!("/api/v1/projects/{}/certificates/search", text(&project, "/projects/0/id"));
    let found = world.auditor().ok(Method::POST, &search, Some(&json!({"search": "acme.test"}))).await;
    let mut serials: Vec<String> =
        found["certificates"].as_array().unwrap().iter().map(|it| text(it, "/serialNumber")).collect();
    let mut expected = vec![text(&issued, "/certificate/serialNumber"), text(&renewed, "/serialNumber")];
    serials.sort();
    expected.sort();
    assert_eq!(serials, expected);
    assert_eq!((&found["totalCount"], &found["totalCountExact"]), (&json!(2), &json!(true)));
    let audit = verified_audit(world.auditor()).await;
    assert!(audit.entries > 10 && audit.nodes.len() == 1, "{audit:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_renewals_at_once_on_postgres_one_wins() {
    let Some(world) = world("of_twenty_renewals_at_once_on_postgres_one_wins").await else { return };
    race_renewals(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_one_database() {
    let Some(world) = world("two_nodes_share_one_database").await else { return };
    let pki = world.pki().await;
    let other = world.another_node("node-2").await;

    let mut running = tokio::task::JoinSet::new();
    for number in 0..40 {
        let session = if number % 2 == 0 { world.operator() } else { other.operator() }.clone();
        running.spawn(async move { issue(&session, pki.profile, &format!("host-{number}.acme.test")).await });
    }
    let mut serials = HashSet::new();
    for (status, issued) in running.join_all().await {
        assert_eq!(status, 200, "{issued}");
        judge::webpki_verifies(&chain_of(&issued), &name_of(&issued), world.now_seconds());
        assert!(serials.insert(text(&issued, "/certificate/serialNumber")), "a serial number twice");
        // Whoever issued it, both show it, and both can open its key.
        let path = format!("{CERT_MANAGER}/certificates/{}/bundle", text(&issued, "/certificate/certificateId"));
        let bundles = [world.operator().get(&path).await, other.operator().get(&path).await];
        assert_eq!(bundles[0], bundles[1]);
        assert!(bundles[0].1["privateKey"].is_string());
    }

    // Both know the template by now; a change on one node reaches the other.
    let template = format!("{CERT_MANAGER}/certificate-policies/{}", pki.template);
    let tight = json!({"sans": [{"type": "dns_name", "allowed": ["only.acme.test"]}]});
    world.admin().ok(Method::PATCH, &template, Some(&tight)).await;
    assert_eq!(issue(world.operator(), pki.profile, "www.acme.test").await.0, 400, "its own node at once");
    let seen = async { while issue(other.operator(), pki.profile, "www.acme.test").await.0 != 400 {} };
    // The version is looked at every second; the rest is for a machine with more to do.
    tokio::time::timeout(Duration::from_secs(2), seen).await.expect("the other node keeps to the old template");

    let audit = verified_audit(other.auditor()).await;
    let nodes: Vec<&str> = audit.nodes.iter().map(|chain| chain.node.as_str()).collect();
    assert_eq!(nodes, ["node-1", "node-2"]);
    assert!(audit.nodes.iter().all(|chain| chain.last_sequence >= 20), "{audit:?}");
    other.stop().await;
    let alone = verified_audit(world.auditor()).await;
    assert!(alone.entries >= audit.entries);
    world.stop().await;
}

fn name_of(issued: &Value) -> String {
    let shown = judge::openssl_text(&text(issued, "/certificate/certificate"));
    let (_, after) = shown.split_once("DNS:").unwrap();
    after.split(|end: char| end == ',' || end.is_whitespace()).next().unwrap().to_owned()
}
