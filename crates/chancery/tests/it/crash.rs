//! kill -9 at random moments under load, on SQLite, with the real program.
//!
//! ```text
//! quickstart --once ── serve ── 8 clients issue ── kill -9 ── serve ── check ── …   (CHANCERY_CRASH_ROUNDS, default 50)
//! ```
//!
//! Verified after every crash: each certificate a client received is in the inventory with the same bytes. At the end:
//! no serial number occurs twice, and the exported audit log verifies offline.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chancery_cli::Client;
use reqwest::Method;
use serde_json::{Value, json};

use crate::program::{Served, chancery, read, run};

const CLIENTS: usize = 8;

/// A certificate that the server has acknowledged.
struct Acknowledged {
    id: String,
    serial: String,
    pem: String,
}

/// Serves until it is dropped, which is a kill -9.
fn serve(directory: &Path) -> Served {
    Served::start(&mut chancery(directory, &["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]))
}

async fn login(url: &str, credentials: &Value) -> Client {
    let text = |key: &str| credentials[key].as_str().expect("a text").to_owned();
    let client = Client::new(url, None).expect("an address");
    client.login(&text("clientId"), &text("clientSecret")).await.expect("the identity logs in")
}

async fn administrator(url: &str, credentials: &Value) -> Client {
    let file = credentials["adminPasswordFile"].as_str().expect("a path");
    let password = read(file);
    let client = Client::new(url, None).expect("an address");
    client.login_user(credentials["adminEmail"].as_str().expect("a text"), password.trim()).await.expect("logs in")
}

async fn issue_until_it_dies(client: Client, profile: String, worker: usize, seen: Arc<Mutex<Vec<Acknowledged>>>) {
    for count in 0.. {
        let name = format!("w{worker}-{count}.example.internal");
        let body = json!({"profileId": profile, "attributes": {"commonName": name, "ttl": "1d"}});
        let Ok(reply) = client.post("/api/v1/cert-manager/certificates", &body).await else { return };
        if reply.status != 200 {
            return;
        }
        let text = |key: &str| reply.body["certificate"][key].as_str().expect("a text").to_owned();
        let acknowledged =
            Acknowledged { id: text("certificateId"), serial: text("serialNumber"), pem: text("certificate") };
        seen.lock().expect("unpoisoned").push(acknowledged);
    }
}

async fn check(client: &Client, acknowledged: &[Acknowledged]) {
    for known in acknowledged {
        let path = format!("/api/v1/cert-manager/certificates/{}/certificate", known.id);
        let reply = client.get(&path).await.expect("an answer");
        assert_eq!(reply.status, 200, "an acknowledged certificate is gone: {}", known.id);
        assert_eq!(reply.body["certificate"].as_str().map(str::trim), Some(known.pem.trim()));
    }
}

/// A small generator, so that a run can be repeated: the moments follow from the round alone.
const fn moment(round: u64) -> Duration {
    let mixed = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Duration::from_millis(20 + (mixed >> 33) % 180)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let rounds = std::env::var("CHANCERY_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(50u64);
    let folder = tempfile::tempdir().expect("a folder");
    run(&mut chancery(folder.path(), &["quickstart", "--once", "--listen", "127.0.0.1:0", "--data-dir", "data"]))
        .succeeded();
    let credentials: Value = serde_json::from_str(&read(folder.path().join("data/credentials.json"))).expect("JSON");
    let slug = credentials["profile"].as_str().expect("a profile").to_owned();

    let mut all = HashSet::new();
    let mut last: Vec<Acknowledged> = Vec::new();
    for round in 0..=rounds {
        let served = serve(folder.path());
        let client = login(&served.url, &credentials).await;
        check(&client, &last).await;
        if round == rounds {
            finish(&administrator(&served.url, &credentials).await, folder.path()).await;
            break;
        }
        let profile = client.profile_by_slug(&slug).await.expect("the profile").id.to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let workers: Vec<_> = (0..CLIENTS)
            .map(|worker| tokio::spawn(issue_until_it_dies(client.clone(), profile.clone(), worker, Arc::clone(&seen))))
            .collect();
        tokio::time::sleep(moment(round)).await;
        drop(served);
        for worker in workers {
            worker.await.expect("no client panics");
        }
        last = std::mem::take(&mut *seen.lock().expect("unpoisoned"));
        for known in &last {
            assert!(all.insert(known.serial.clone()), "serial {} was given twice", known.serial);
        }
    }
    assert!(!all.is_empty(), "the load never got a certificate, so nothing was tested");
    println!("{rounds} crashes, {} acknowledged certificates, none lost", all.len());
}

async fn finish(client: &Client, directory: &Path) {
    let (status, export) =
        client.send_raw::<Value>(Method::GET, "/api/v1/audit-logs/export", None).await.expect("an answer");
    assert_eq!(status, 200);
    std::fs::write(directory.join("audit.ndjson"), export).expect("written");
    run(&mut chancery(directory, &["audit", "verify", "audit.ndjson"])).succeeded();
}
