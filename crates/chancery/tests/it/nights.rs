//! What goes wrong while nobody looks, and how it is in the morning.
//!
//! ```text
//! root ── issuing ── leaves that renew themselves        node-1 (here, its clock is moved)   node-2 (a process, killed)
//! ```
//!
//! Verified: after a month of downtime what was published is given out as it is until its successor is there, which comes
//! before the renewals that were missed; a publication that a crash cut off holds up no revocation; a mirror without room
//! keeps its older CRL whole, delays neither revocation nor publication, is counted, and gets the newer one; of a revocation
//! and a renewal of the same certificate at the same moment there is no outcome with a successor of what was revoked; of
//! two nodes with a thousand renewals before them one dies, and each renewal happens once.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use chancery_authority::audit::verify_export;
use chancery_cli::Client;
use chancery_model::{CaId, CrlId, Timestamp};
use chancery_pkix::Certificate;
use chancery_pkix::crl::CertificateList;
use chancery_pkix::ocsp::{BasicOcspResponse, CertId, CertStatus, HashAlgorithm, OcspRequest};
use chancery_testkit::world::{CERT_MANAGER, Pki, World, WorldBuilder, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::program::{Served, chancery};

const DAY: i64 = 86_400;

fn builder() -> WorldBuilder {
    World::builder().setting("repository_url", "http://pki.acme.test")
}

/// A profile whose certificates renew themselves at two thirds of their life.
async fn renewing(world: &World, pki: &Pki) -> Uuid {
    let api = json!({"autoRenew": true, "renewAt": {"fraction": 0.67}, "renewJitter": "1s"});
    world.profile(&json!({"caId": pki.issuing, "certificatePolicyId": pki.template, "apiConfig": api})).await
}

async fn issue(world: &World, profile: Uuid, ttl: &str) -> Value {
    let attributes = json!({"commonName": "www.acme.test", "ttl": ttl});
    world.issue(profile, &json!({"attributes": attributes})).await["certificate"].clone()
}

fn id(certificate: &Value) -> String {
    text(certificate, "/certificateId")
}

fn serial(certificate: &Value) -> Vec<u8> {
    Certificate::from_pem(&text(certificate, "/certificate")).unwrap().serial().as_bytes().to_vec()
}

async fn shown(world: &World, id: &str) -> Value {
    world.operator().ok(Method::GET, &format!("{CERT_MANAGER}/certificates/{id}"), None).await["certificate"].clone()
}

async fn revoke(world: &World, id: &str) -> (u16, Value) {
    let path = format!("{CERT_MANAGER}/certificates/{id}/revoke");
    world.operator().post(&path, &json!({"revocationReason": "KEY_COMPROMISE"})).await
}

/// Lets the gathering second of a revocation pass, and everything due be done.
async fn settle(world: &World) {
    world.clock.advance_seconds(2);
    world.authority().run_due_jobs().await;
}

async fn crl_id(world: &World, ca: Uuid) -> CrlId {
    let all = world.authority().reader().crls_of(CaId::from_uuid(ca)).await.unwrap();
    all.iter().find(|crl| crl.partition == 0).expect("a complete CRL").id
}

/// As a relying party fetches it.
async fn crl(world: &World, id: CrlId) -> CertificateList {
    let answer = world.anonymous().raw(Method::GET, &format!("{CERT_MANAGER}/crl/{id}/der"), &[], Vec::new()).await;
    assert_eq!(answer.status(), 200);
    CertificateList::from_der(&answer.bytes().await.unwrap()).unwrap()
}

fn listed(crl: &CertificateList) -> BTreeSet<Vec<u8>> {
    crl.entries().map(|it| it.serial.to_vec()).collect()
}

/// As a relying party asks, with the times of the answer checked.
async fn ocsp(world: &World, ca: Uuid, serial: &[u8]) -> CertStatus {
    let path = format!("{CERT_MANAGER}/ca/internal/{ca}/certificate");
    let issuer = text(&world.operator().ok(Method::GET, &path, None).await, "/certificate");
    let issuer = Certificate::from_pem(&issuer).unwrap();
    let key = issuer.public_key().unwrap();
    let id = CertId::of(HashAlgorithm::Sha256, issuer.subject_der(), &key, serial).unwrap();
    let question = OcspRequest { requests: vec![id], nonce: None }.to_der();
    let kind = [("content-type", "application/ocsp-request")];
    let answer = world.anonymous().raw(Method::POST, &format!("{CERT_MANAGER}/ocsp/{ca}"), &kind, question).await;
    let response = BasicOcspResponse::from_der(&answer.bytes().await.unwrap()).expect("a successful response");
    let responder = Certificate::from_der(&response.certificates[0]).unwrap();
    assert!(responder.is_signed_by(&key) && responder.validity().not_after > world.now_seconds());
    let [single] = response.responses.as_slice() else { panic!("one answer for one question") };
    assert!(single.this_update <= world.now_seconds() && single.next_update.unwrap() > world.now_seconds());
    single.status
}

/// Sequence numbers of the entries of an event, with the entries.
async fn audited(world: &World, event: &str) -> Vec<(i64, Value)> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/audit-logs?event={event}&limit=100&cursor={cursor}");
        let page = world.auditor().ok(Method::GET, &path, None).await;
        let entries = page["auditLogs"].as_array().unwrap();
        found.extend(entries.iter().map(|entry| (entry["sequence"].as_i64().unwrap(), entry.clone())));
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_month_of_downtime_status_is_fresh_before_the_missed_renewals_are_made_up_for() {
    let mut world = builder().start().await;
    let pki = world.pki().await;
    let profile = renewing(&world, &pki).await;
    world.authority().run_due_jobs().await;
    let bad = issue(&world, pki.profile, "60d").await;
    assert_eq!(revoke(&world, &id(&bad)).await.0, 200);
    let good = issue(&world, pki.profile, "60d").await;
    let mut missed = Vec::new();
    for _ in 0..120 {
        // These end long before the CRL does, so their deadlines are nearer than any other.
        missed.push(id(&issue(&world, profile, "1d").await));
    }
    settle(&world).await;
    let line = crl_id(&world, pki.issuing).await;
    let before = crl(&world, line).await;
    let last = audited(&world, "crl.published").await.iter().map(|it| it.0).max().unwrap();

    world.down_for(30 * DAY).await;
    // Given out as it is, though it has ended, or its successor: never nothing.
    let first = crl(&world, line).await;
    assert!(first.number() >= before.number());
    world.authority().run_due_jobs().await;
    let after = crl(&world, line).await;
    assert!(after.number() > before.number());
    assert_eq!(after.number(), Some(after.this_update()), "one for all that was missed: a second one would count on");
    assert_eq!(after.this_update(), world.now_seconds());
    assert_eq!(listed(&after), BTreeSet::from([serial(&bad)]));
    assert!(matches!(ocsp(&world, pki.issuing, &serial(&bad)).await, CertStatus::Revoked { reason: Some(1), .. }));
    assert_eq!(ocsp(&world, pki.issuing, &serial(&good)).await, CertStatus::Good);
    for health in world.authority().status_health().await.unwrap() {
        assert!(health.lapses_at.is_some_and(|at| at.as_seconds() > world.now_seconds() + 3 * DAY), "{health:?}");
    }
    assert_eq!(world.anonymous().get("/readyz").await.0, 200);
    for id in &missed {
        assert!(shown(&world, id).await["renewedByCertificateId"].is_string());
    }

    let renewed: Vec<i64> = audited(&world, "certificate.renewed").await.iter().map(|it| it.0).collect();
    let published: Vec<i64> =
        audited(&world, "crl.published").await.iter().map(|it| it.0).filter(|at| *at > last).collect();
    assert_eq!((renewed.len(), published.len()), (missed.len(), 2), "a renewal each, a CRL for each CA");
    let earlier = renewed.iter().filter(|at| *at < published.iter().max().unwrap()).count();
    // The CRLs are begun first; renewals beside them may end sooner.
    assert!(earlier < missed.len() / 2, "{earlier} renewals were made before the CRLs");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_that_a_crash_cut_off_is_made_at_the_next_start() {
    let mut world = builder().start().await;
    let pki = world.pki().await;
    let profile = renewing(&world, &pki).await;
    world.authority().run_due_jobs().await;
    let (bad, restless) = (issue(&world, pki.profile, "60d").await, issue(&world, profile, "60s").await);
    assert_eq!(revoke(&world, &id(&bad)).await.0, 200);
    // A process that leased every job there is, a moment before it was killed.
    let lease = Timestamp::from_seconds(world.now_seconds() + 119).as_millis();
    let other = rusqlite::Connection::open(world.data_dir().join("chancery.db")).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    other.execute("UPDATE job SET token = token + 1, lease_until = ?1, due_at = ?1", [lease]).unwrap();
    drop(other);
    settle(&world).await;
    let line = crl_id(&world, pki.issuing).await;
    assert_eq!(listed(&crl(&world, line).await).len(), 0, "leased, so nobody publishes");
    world.restart().await;
    world.clock.advance_seconds(50);
    world.authority().run_due_jobs().await;
    assert_eq!(listed(&crl(&world, line).await), BTreeSet::from([serial(&bad)]));
    assert!(shown(&world, &id(&restless)).await["renewedByCertificateId"].is_string(), "renewed before its end");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_without_room_keeps_what_it_has_and_gets_the_newer_crl_later() {
    let place = tempfile::tempdir().unwrap();
    let world = builder().setting("crl_mirrors", place.path().to_str().unwrap()).start().await;
    let pki = world.pki().await;
    world.authority().run_due_jobs().await;
    let line = crl_id(&world, pki.issuing).await;
    let file = place.path().join(format!("{line}.crl"));
    let until = async |what: &str, holds: &dyn Fn(&[u8]) -> bool| {
        let began = Instant::now();
        while !std::fs::read(&file).is_ok_and(|found| holds(&found)) {
            assert!(began.elapsed() < Duration::from_secs(25), "{what} never came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let failures = async || {
        let said = world.anonymous().raw(Method::GET, "/metrics", &[], Vec::new()).await.text().await.unwrap();
        let line = said.lines().find_map(|line| line.strip_prefix("chancery_crl_mirror_failures_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    until("the first copy", &|_| true).await;
    let first = std::fs::read(&file).unwrap();
    let failed = failures().await;

    // The next file begins under this name: every write to it finds the device full.
    std::os::unix::fs::symlink("/dev/full", place.path().join(format!(".{line}.crl.node-1.new"))).unwrap();
    let bad = issue(&world, pki.profile, "60d").await;
    assert_eq!(revoke(&world, &id(&bad)).await.0, 200);
    settle(&world).await;
    assert_eq!(listed(&crl(&world, line).await), BTreeSet::from([serial(&bad)]), "published all the same");
    let began = Instant::now();
    while failures().await == failed {
        assert!(began.elapsed() < Duration::from_secs(10), "no failure is counted");
    }
    assert_eq!(std::fs::read(&file).unwrap(), first, "the older one is whole");
    // The failed attempt has taken the obstacle away; nothing but the mirror's own turn brings the newer one.
    until("the newer copy", &|found| {
        CertificateList::from_der(found).is_ok_and(|crl| listed(&crl) == BTreeSet::from([serial(&bad)]))
    })
    .await;
    let served = world.authority().crl(line, false).await.unwrap().unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), served.der.as_ref());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_revocation_and_a_renewal_at_once_no_successor_of_a_revoked_one_comes() {
    let world = builder().start().await;
    race_revocations(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocations_race_renewals_on_postgres() {
    let Some(url) = crate::postgres::server_url("revocations_race_renewals_on_postgres") else { return };
    let world = builder().postgres(&url).start().await;
    race_revocations(&world).await;
    world.stop().await;
}

/// 30 certificates are renewed by hand, 30 by the server, and each is revoked at the same moment.
async fn race_revocations(world: &World) {
    let pki = world.pki().await;
    let profile = renewing(world, &pki).await;
    world.authority().run_due_jobs().await;
    let mut racing = Vec::new();
    for _ in 0..60 {
        racing.push(issue(world, profile, "10d").await);
    }
    let (by_hand, by_itself) = racing.split_at(30);
    let mut answers = BTreeMap::new();
    for (place, certificate) in by_hand.iter().enumerate() {
        let path = format!("{CERT_MANAGER}/certificates/{}/renew", id(certificate));
        let renew = async { world.operator().post(&path, &json!({})).await };
        let named = id(certificate);
        let revoke = async { revoke(world, &named).await };
        // Whichever is named first is begun first.
        let (renewed, revoked) = if place % 2 == 0 {
            tokio::join!(renew, revoke)
        } else {
            let (revoked, renewed) = tokio::join!(revoke, renew);
            (renewed, revoked)
        };
        assert_eq!(revoked.0, 200, "nothing stands in the way of a revocation: {:#}", revoked.1);
        answers.insert(id(certificate), renewed);
    }
    world.clock.advance_seconds(7 * DAY);
    let authority = world.authority();
    let renewing = tokio::spawn(async move { authority.run_due_jobs().await });
    for certificate in by_itself {
        let (status, answer) = revoke(world, &id(certificate)).await;
        assert_eq!(status, 200, "{answer:#}");
    }
    renewing.await.unwrap();
    settle(world).await;
    judge_race(world, &pki, &racing, &answers).await;
}

async fn judge_race(world: &World, pki: &Pki, racing: &[Value], answers: &BTreeMap<String, (u16, Value)>) {
    let renewed = audited(world, "certificate.renewed").await;
    let renewed_at = |old: &str| -> Vec<i64> {
        renewed.iter().filter(|it| it.1["details"]["renewedFrom"] == old).map(|it| it.0).collect()
    };
    let revoked = audited(world, "certificate.revoked").await;
    let listed = listed(&crl(world, crl_id(world, pki.issuing).await).await);
    let mut successors = 0;
    for certificate in racing {
        let old = id(certificate);
        let after = shown(world, &old).await;
        assert_eq!((&after["status"], &after["renewalDueAt"]), (&json!("revoked"), &Value::Null));
        assert!(listed.contains(&serial(certificate)), "{old} is not on the CRL");
        assert!(matches!(ocsp(world, pki.issuing, &serial(certificate)).await, CertStatus::Revoked { .. }));
        let at: Vec<i64> = revoked.iter().filter(|it| it.1["object"]["id"] == old).map(|it| it.0).collect();
        let [revoked_at] = at.as_slice() else { panic!("{old} was revoked once: {at:?}") };
        match after["renewedByCertificateId"].as_str() {
            None => assert!(renewed_at(&old).is_empty(), "a successor that its predecessor does not know"),
            Some(by) => {
                successors += 1;
                let [renewed_at] = renewed_at(&old)[..] else { panic!("{old} was renewed once") };
                assert!(renewed_at < *revoked_at, "{old} was revoked first and renewed all the same");
                assert_eq!(shown(world, by).await["renewedFromCertificateId"], json!(old));
                assert_eq!(shown(world, by).await["status"], "active");
            }
        }
        if let Some((status, answer)) = answers.get(&old) {
            let expected = if after["renewedByCertificateId"].is_null() { 400 } else { 200 };
            assert_eq!(*status, expected, "{answer:#}");
        }
    }
    assert_eq!(listed.len(), racing.len(), "no successor is on the CRL");
    let old: HashSet<String> = racing.iter().map(id).collect();
    let of_racing =
        renewed.iter().filter(|it| it.1["details"]["renewedFrom"].as_str().is_some_and(|it| old.contains(it)));
    // A successor made by hand is renewed too, a week later.
    assert_eq!(of_racing.count(), successors);
    let overdue = world.auditor().ok(Method::GET, &format!("{CERT_MANAGER}/renewals/forecast"), None).await;
    assert_eq!(overdue["overdueCount"], 0, "{overdue:#}");
}

/// Now, by the clock that a process goes by: a file that was just made says it.
pub fn true_now() -> Timestamp {
    let made = tempfile::NamedTempFile::new().unwrap().as_file().metadata().unwrap().modified().unwrap();
    let since = made.duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap())
}

/// How many certificates the node says it has renewed by itself.
async fn renewals_of(node: &Client) -> u64 {
    let said = node.get("/metrics").await.unwrap().body;
    let count = said
        .as_str()
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("chancery_renewals_total{outcome=\"renewed\",error=\"\"} "));
    count.map_or(0, |count| count.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_amid_a_thousand_renewals_leaves_none_out_and_none_twice() {
    let story = "a_node_killed_amid_a_thousand_renewals_leaves_none_out_and_none_twice";
    let Some(url) = crate::postgres::server_url(story) else { return };
    let world = builder().fixed_clock(true_now().plus_seconds(-7 * DAY)).postgres(&url).start().await;
    let pki = world.pki().await;
    let profile = renewing(&world, &pki).await;
    let mut issuing = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let session = world.operator().clone();
        issuing.spawn(async move {
            let body = json!({"profileId": profile, "attributes": {"commonName": "www.acme.test", "ttl": "10d"}});
            for _ in 0..50 {
                session.ok(Method::POST, &format!("{CERT_MANAGER}/certificates"), Some(&body)).await;
            }
        });
    }
    issuing.join_all().await;

    // For the other node seven days have passed since, so it begins at once, and this one a little later.
    let folder = tempfile::tempdir().unwrap();
    let mut command = chancery(folder.path(), &["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]);
    for key in ["database_url", "kek", "repository_url"] {
        command.env(format!("CHANCERY_{}", key.to_uppercase()), world.setting(key).unwrap());
    }
    let doomed = Served::start(command.env("CHANCERY_NODE", "node-2"));
    let node = Client::new(&doomed.url, None).unwrap();
    let mut running = None;
    let began = Instant::now();
    let died_after = loop {
        let renewed = renewals_of(&node).await;
        if renewed >= 50 && running.is_none() {
            world.clock.advance_seconds(true_now().as_seconds() - world.now_seconds());
            let authority = world.authority();
            running = Some(tokio::spawn(async move { authority.run_due_jobs().await }));
        }
        if renewed >= 150 {
            break renewed;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "node-2 has renewed {renewed} only");
    };
    drop(doomed);
    running.unwrap().await.unwrap();
    // What it had leased is free two minutes later.
    world.clock.advance_seconds(180);
    world.authority().run_due_jobs().await;
    let here = world.authority().renewal_counters().renewed();
    assert!(died_after < 1_000 && here > 0, "{died_after} there, {here} here");

    assert_eq!(crate::scheduler::renewed_once(&world, profile).await, 1_000);
    let overdue = world.auditor().ok(Method::GET, &format!("{CERT_MANAGER}/renewals/forecast"), None).await;
    assert_eq!(overdue["overdueCount"], 0);
    let export = world.auditor().raw(Method::GET, "/api/v1/audit-logs/export", &[], Vec::new()).await;
    let audit = verify_export(&export.bytes().await.unwrap()[..]).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(audit.nodes.len(), 2, "both chains hold, the one that broke off too");
    world.stop().await;
}
