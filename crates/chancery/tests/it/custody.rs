//! Private keys: who gets them, how often, and what lies on disk.
//!
//! ```text
//! root ── issuing ─┬─ profile "stored"      key sealed here, read by requester and administrator
//!                  ├─ profile "returnOnce"  key in the answer and nowhere else
//!                  └─ profile "none"        a CSR or nothing
//! ```
//!
//! Verified: the readers of a key by role and endpoint, with an audit entry for each reading and no caching; what each
//! custody answers at issue and renewal; no key in plaintext in any file; a sealed key that was moved or altered does not
//! open; a server with another key-encryption key does not start.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_model::Timestamp;
use chancery_model::random::SeededRandomness;
use chancery_model::time::FixedClock;
use chancery_pkix::KeyAlgorithm as K;
use chancery_server::Config;
use chancery_testkit::judge;
use chancery_testkit::world::{
    CERT_MANAGER, Pki, START_SECONDS, Session, World, certification_request, id_at, merged, text,
};
use reqwest::Method;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use uuid::Uuid;

fn path(id: &str, rest: &str) -> String {
    format!("{CERT_MANAGER}/certificates/{id}{rest}")
}

fn id_of(issued: &Value) -> String {
    text(issued, "/certificate/certificateId")
}

async fn custody_profile(world: &World, pki: &Pki, custody: &str, changes: &Value) -> Uuid {
    let base = json!({"caId": pki.issuing, "certificatePolicyId": pki.template, "keyCustody": custody});
    world.profile(&merged(base, changes)).await
}

/// How often this key was read, by the audit log.
async fn readings(world: &World, id: &str) -> Vec<Value> {
    let entries = format!("/api/v1/audit-logs?event=certificate.private-key-read&objectId={id}");
    world.auditor().ok(Method::GET, &entries, None).await["auditLogs"].as_array().unwrap().clone()
}

async fn denials(world: &World) -> usize {
    let entries = "/api/v1/audit-logs?event=access.denied&limit=500";
    world.auditor().ok(Method::GET, entries, None).await["auditLogs"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_read_by_its_requester_and_by_administrators_only() {
    let world = World::start().await;
    let pki = world.pki().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let (id, key) = (id_of(&issued), text(&issued, "/certificate/privateKey"));
    let request =
        format!("{CERT_MANAGER}/certificates/certificate-requests/{}", text(&issued, "/certificateRequestId"));
    let latest = format!("{CERT_MANAGER}/certificate-profiles/{}/certificates/latest-active-bundle", pki.profile);
    let other = world.identity("other", "operator").await;
    assert!(readings(&world, &id).await.is_empty(), "the answer of the issue request itself is no reading");

    let mut read = 0;
    for (who, session, may) in [
        ("requester", world.operator(), true),
        ("administrator", world.admin(), true),
        ("another operator", &other, false),
        ("auditor", world.auditor(), false),
    ] {
        let (status, answer) = session.get(&path(&id, "/private-key")).await;
        if may {
            assert_eq!((status, &answer), (200, &json!(key)), "{who}: the bare PEM");
        } else {
            assert_eq!((status, &answer["error"]), (403, &json!("PermissionDenied")), "{who}: {answer}");
        }
        for path in [path(&id, "/bundle"), request.clone(), latest.clone()] {
            let answer = session.ok(Method::GET, &path, None).await;
            assert_eq!(answer["privateKey"], if may { json!(key) } else { Value::Null }, "{who}: {path}");
            assert_eq!(answer["serialNumber"], issued["certificate"]["serialNumber"], "{who}: {path}");
        }
        let pkcs12 = json!({"password": "correct horse", "alias": "www"});
        let (status, bytes) = session.send_raw(Method::POST, &path(&id, "/pkcs12"), Some(&pkcs12)).await.unwrap();
        assert_eq!(status, if may { 200 } else { 403 }, "{who}");
        if may {
            assert!(judge::openssl_opens_pkcs12(&bytes, "correct horse").contains("PRIVATE KEY-----"), "{who}");
            read += 5;
        }
        assert_eq!(readings(&world, &id).await.len(), read, "{who}: each reading has its entry");
    }
    let entries = readings(&world, &id).await;
    assert_eq!(entries.iter().filter(|it| it["details"]["format"] == "pkcs12").count(), 2);
    assert_eq!(entries.iter().filter(|it| it["actor"]["type"] == "user").count(), 5);
    assert_eq!(denials(&world).await, 4, "two who may not, two endpoints that say so");
    let weak = json!({"password": "short", "alias": "www"});
    assert_eq!(world.operator().post(&path(&id, "/pkcs12"), &weak).await.0, 422);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_with_a_key_are_never_cached() {
    let world = World::start().await;
    let pki = world.pki().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let id = id_of(&issued);
    let json = ("content-type", "application/json");
    let again = json!({"profileId": pki.profile, "attributes": {"commonName": "www.acme.test"}}).to_string();
    let pkcs12 = json!({"password": "correct horse", "alias": "www"}).to_string();
    for (method, path, body) in [
        (Method::GET, path(&id, "/private-key"), String::new()),
        (Method::GET, path(&id, "/bundle"), String::new()),
        (Method::POST, path(&id, "/pkcs12"), pkcs12),
        (Method::POST, format!("{CERT_MANAGER}/certificates"), again),
    ] {
        let answer = world.operator().raw(method, &path, &[json], body.into_bytes()).await;
        assert_eq!(answer.status(), 200, "{path}");
        let control = answer.headers()["cache-control"].to_str().unwrap().to_owned();
        assert!(control.contains("no-store"), "{path}: {control}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn custody_decides_where_a_key_is_and_is_not() {
    let world = World::start().await;
    let pki = world.pki().await;
    let reuse = json!({"allowKeyReuse": true});
    let absent = async |id: &str| {
        let (status, answer) = world.operator().get(&path(id, "/private-key")).await;
        assert_eq!((status, &answer["error"]), (404, &json!("NotFound")), "{answer}");
        let bundle = world.operator().ok(Method::GET, &path(id, "/bundle"), None).await;
        assert_eq!(bundle["privateKey"], Value::Null);
        let (status, answer) =
            world.operator().post(&path(id, "/pkcs12"), &json!({"password": "correct horse", "alias": "a"})).await;
        assert_eq!((status, &answer["code"]), (400, &json!("key.absent")));
        let shown = world.operator().ok(Method::GET, &path(id, ""), None).await;
        assert_eq!(shown["certificate"]["hasPrivateKey"], json!(false));
    };

    let once = custody_profile(&world, &pki, "returnOnce", &reuse).await;
    let issued = world.issue(once, &json!({})).await;
    let key = text(&issued, "/certificate/privateKey");
    assert!(judge::openssl_key_text(&key).contains("256 bit"));
    absent(&id_of(&issued)).await;
    let renewed = world.operator().ok(Method::POST, &path(&id_of(&issued), "/renew"), Some(&json!({}))).await;
    assert_ne!(text(&renewed, "/privateKey"), key, "a renewal's key is returned once as well");
    absent(&text(&renewed, "/certificateId")).await;

    let none = custody_profile(&world, &pki, "none", &reuse).await;
    let body = json!({"profileId": none, "attributes": {"commonName": "www.acme.test"}});
    let (status, answer) = world.operator().post(&format!("{CERT_MANAGER}/certificates"), &body).await;
    assert_eq!((status, &answer["code"]), (400, &json!("csr.required")), "{answer}");
    let (csr, _) = certification_request("www.acme.test", &[], K::EcP256);
    for profile in [pki.profile, once, none] {
        let issued = world.issue(profile, &json!({"csr": csr, "attributes": {"ttl": "90d"}})).await;
        assert!(issued["certificate"].get("privateKey").is_none());
        absent(&id_of(&issued)).await;
    }
    let self_signed = json!({"issuerType": "self-signed", "certificatePolicyId": pki.template, "slug": "own",
        "keyCustody": "none", "enrollmentType": "api"});
    let path = format!("{CERT_MANAGER}/certificate-profiles");
    assert_eq!(world.admin().post(&path, &self_signed).await.0, 400, "it could never issue anything");
    world.stop().await;
}

fn found(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Every file below the directory with its bytes, copied by another process so that no lock of ours is touched.
fn files_below(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(directory).arg(copy.path().join("data")).status().unwrap();
    assert!(copied.success());
    let mut files = Vec::new();
    let mut folders = vec![copy.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
    }
    files
}

/// PKCS#8 of every P-256 key begins with this, up to the private number.
const P256_KEY_HEAD: &str = "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_holds_a_key_in_plaintext() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let once = custody_profile(&world, &pki, "returnOnce", &json!({})).await;
    let mut keys = Vec::new();
    let mut certificates = Vec::new();
    for (number, profile) in [pki.profile, pki.self_signed, once].into_iter().enumerate() {
        let body = json!({"profileId": profile, "attributes": {"commonName": "www.acme.test"}}).to_string();
        let number = format!("key-{number}");
        // With an idempotency key the answer itself is kept as well.
        let headers = [("content-type", "application/json"), ("idempotency-key", number.as_str())];
        let path = format!("{CERT_MANAGER}/certificates");
        let answer = world.operator().raw(Method::POST, &path, &headers, body.into_bytes()).await;
        let issued: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        keys.push(text(&issued, "/certificate/privateKey"));
        certificates.push(text(&issued, "/certificate/certificate"));
    }
    let der = |pem: &str| {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        STANDARD.decode(body).unwrap()
    };
    let head = hex::decode(P256_KEY_HEAD).unwrap();
    // While the write-ahead log is full, and after the server has written it back and begun anew.
    for _ in 0..2 {
        let files = files_below(world.data_dir());
        let holds = |needle: &[u8]| files.iter().find(|(_, bytes)| found(bytes, needle)).map(|(name, _)| name.clone());
        for certificate in &certificates {
            assert!(holds(&der(certificate)).is_some(), "the search must find what is there");
        }
        for key in &keys {
            let bytes = der(key);
            assert_eq!(bytes[..head.len()], head);
            let number = &bytes[head.len()..head.len() + 32];
            let line = key.lines().nth(2).unwrap();
            let (lower, upper) = (hex::encode(number), hex::encode_upper(number));
            for needle in [number, line.as_bytes(), lower.as_bytes(), upper.as_bytes()] {
                assert_eq!(holds(needle), None);
            }
        }
        // Of the CAs' keys nothing more is known outside than how they would begin.
        assert_eq!(holds(&head), None);
        assert_eq!(holds(b"PRIVATE KEY"), None);
        world.restart().await;
    }
    world.stop().await;
}

/// The database itself, past the server.
fn database(world: &World) -> Connection {
    let connection = Connection::open(world.data_dir().join("chancery.db")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    connection
}

fn key_of(database: &Connection, certificate: &str) -> Vec<u8> {
    let id: Uuid = certificate.parse().unwrap();
    let found = "SELECT key_id FROM certificate WHERE id = ?1";
    database.query_row(found, params![id.as_bytes().as_slice()], |row| row.get(0)).unwrap()
}

fn sealed(database: &Connection, key: &[u8]) -> Vec<u8> {
    database.query_row("SELECT sealed FROM sealed_key WHERE id = ?1", params![key], |row| row.get(0)).unwrap()
}

fn put_sealed(database: &Connection, key: &[u8], bytes: &[u8]) {
    let changed = database.execute("UPDATE sealed_key SET sealed = ?2 WHERE id = ?1", params![key, bytes]).unwrap();
    assert_eq!(changed, 1);
}

/// Neither the key nor anything about it.
async fn stays_closed(session: &Session, id: &str) {
    let (status, answer) = session.get(&path(id, "/private-key")).await;
    assert_eq!((status, &answer["message"]), (500, &json!("Something went wrong")), "{answer}");
    assert!(!answer.to_string().contains("PRIVATE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_key_opens_in_its_own_row_only_and_unaltered() {
    let mut world = World::start().await;
    let pki = world.pki().await;
    let [first, second] =
        [id_of(&world.issue(pki.profile, &json!({})).await), id_of(&world.issue(pki.profile, &json!({})).await)];
    let own = text(&json!({"key": world.operator().get(&path(&first, "/private-key")).await.1}), "/key");
    {
        let database = database(&world);
        let (a, b) = (key_of(&database, &first), key_of(&database, &second));
        let (seal_a, seal_b) = (sealed(&database, &a), sealed(&database, &b));
        put_sealed(&database, &a, &seal_b);
        put_sealed(&database, &b, &seal_a);
        stays_closed(world.operator(), &first).await;
        stays_closed(world.operator(), &second).await;
        // Any byte altered, and bytes missing.
        for place in [0, seal_a.len() / 2, seal_a.len() - 1] {
            let mut altered = seal_a.clone();
            altered[place] ^= 1;
            put_sealed(&database, &a, &altered);
            stays_closed(world.operator(), &first).await;
        }
        put_sealed(&database, &a, &seal_a[..seal_a.len() - 1]);
        stays_closed(world.operator(), &first).await;
        put_sealed(&database, &a, &[]);
        stays_closed(world.operator(), &first).await;
        put_sealed(&database, &a, &seal_a);
    }
    assert_eq!(world.operator().get(&path(&first, "/private-key")).await, (200, json!(own)));
    assert_eq!(readings(&world, &first).await.len(), 2, "only what was read is written down");

    // A CA whose key was swapped signs nothing.
    {
        let database = database(&world);
        let ca_key = |id: Uuid| -> Vec<u8> {
            let found = "SELECT key_id FROM ca WHERE id = ?1";
            database.query_row(found, params![id.as_bytes().as_slice()], |row| row.get(0)).unwrap()
        };
        let (root, issuing) = (ca_key(pki.root), ca_key(pki.issuing));
        put_sealed(&database, &issuing, &sealed(&database, &root));
    }
    world.restart().await; // an opened issuer is kept in memory
    let body = json!({"profileId": pki.profile, "attributes": {"commonName": "www.acme.test"}});
    let (status, answer) = world.operator().post(&format!("{CERT_MANAGER}/certificates"), &body).await;
    assert_eq!((status, &answer["message"]), (500, &json!("Something went wrong")), "{answer}");
    assert_eq!(world.operator().get(&path(&first, "")).await.0, 200, "what needs no key goes on");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_projects_sealed_key_does_not_open_here() {
    let world = World::start().await;
    let pki = world.pki().await;
    let id = id_of(&world.issue(pki.profile, &json!({})).await);
    let stranger = world.other_project_admin().await;
    let policies = format!("{CERT_MANAGER}/certificate-policies");
    let policy = stranger.ok(Method::POST, &policies, Some(&json!({"name": "mine", "preset": "tls-server"}))).await;
    let profile = json!({"slug": "mine", "issuerType": "self-signed", "certificatePolicyId":
        policy["certificatePolicy"]["id"], "defaults": {"ttlDays": 30}});
    let profile = stranger.ok(Method::POST, &format!("{CERT_MANAGER}/certificate-profiles"), Some(&profile)).await;
    let body = json!({"profileId": id_at(&profile, "/certificateProfile/id"),
        "attributes": {"commonName": "www.other.test"}});
    let theirs = stranger.ok(Method::POST, &format!("{CERT_MANAGER}/certificates"), Some(&body)).await;
    let theirs = id_of(&theirs);
    let database = database(&world);
    let (ours, foreign) = (key_of(&database, &id), key_of(&database, &theirs));
    put_sealed(&database, &foreign, &sealed(&database, &ours));
    stays_closed(&stranger, &theirs).await;
    // Nor when the certificate's row is bent to the key itself.
    let bent: Uuid = theirs.parse().unwrap();
    let bend = "UPDATE certificate SET key_id = ?2 WHERE id = ?1";
    assert_eq!(database.execute(bend, params![bent.as_bytes().as_slice(), ours]).unwrap(), 1);
    stays_closed(&stranger, &theirs).await;
    drop(database);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_another_key_encryption_key_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let directory = data.display().to_string();
    let world = World::builder().setting("data_dir", &directory).start().await;
    let issued = world.issue(world.pki().await.profile, &json!({})).await;
    world.stop().await;

    let kek = data.join("kek");
    let right = fs::read_to_string(&kek).unwrap();
    fs::write(&kek, format!("{}\n", "5a".repeat(32))).unwrap();
    let settings =
        [("CHANCERY_DATA_DIR".to_owned(), directory.clone()), ("CHANCERY_LISTEN".to_owned(), "127.0.0.1:0".to_owned())];
    let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(START_SECONDS)));
    let config = Config::load(None, settings).unwrap();
    let Err(error) = chancery_server::start(config, clock, Arc::new(SeededRandomness::new(7))).await else {
        panic!("it starts with a key that opens nothing")
    };
    let words = format!("{error}");
    assert!(words.contains("key"), "{words}");
    assert!(!words.contains("5a5a"), "{words}");

    fs::write(&kek, right).unwrap();
    let world = World::builder().setting("data_dir", &directory).seed(8).start().await;
    let key = world.admin().ok(Method::GET, &path(&id_of(&issued), "/private-key"), None).await;
    assert_eq!(key, issued["certificate"]["privateKey"]);
    world.stop().await;
}
