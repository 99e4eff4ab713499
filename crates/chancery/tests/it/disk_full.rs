//! No room, and no turn: a volume that is full under the running program, and a database that another program has locked.
//!
//! ```text
//! quickstart --once ── serve on a small volume ── ballast fills it ── ballast gone ── copy of the volume ── serve
//! ```
//!
//! Verified: while the volume is full, writes are refused with 503 and the word for it, and nothing of them is kept; what
//! is known is shown, CRL and OCSP go on; with room again the next write succeeds, without a restart, and the renewals
//! that fell due are made up for; nothing acknowledged is lost and the audit log is whole. A writer that waits for a lock
//! waits a moment, then says so.
//!
//! The volume is a file system of its own where the kernel lets this user have one. Elsewhere the process may not make
//! any file longer, which the database meets at the same places but can tell from nothing else that goes wrong there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chancery_cli::{Client, Reply};
use chancery_model::CertificateId;
use chancery_pkix::Certificate;
use chancery_pkix::ocsp::CertStatus;
use chancery_testkit::world::{CERT_MANAGER, World, text};
use reqwest::Method;
use serde_json::{Value, json};

use crate::crash::{Shown, administrator, login, prepared, renewals_are_whole, renewing_profile};
use crate::program::{Served, chancery, run};

/// Room for a fresh database and some more.
const VOLUME: &str = "size=16m";

/// How the room of a process is taken away and given back.
enum Volume {
    /// The process sees a small file system at this path; everybody else sees an empty directory.
    Mounted(PathBuf),
    /// Its files may not grow.
    Limited,
}

impl Volume {
    /// What this user may have here. A user namespace lets anybody mount, where it is allowed.
    fn flags() -> Option<&'static str> {
        let probe = tempfile::tempdir().unwrap();
        let mount = format!("mount -t tmpfs -o {VOLUME} tmpfs '{}'", probe.path().display());
        ["-m", "-Urm"].into_iter().find(|flags| {
            let tried = Command::new("unshare").args([flags, "sh", "-c", mount.as_str()]).output();
            tried.is_ok_and(|output| output.status.success())
        })
    }

    /// Serves the data at `directory/data` from a volume of its own.
    fn serve(directory: &Path) -> (Self, Served) {
        let program = env!("CARGO_BIN_EXE_chancery");
        let serving = format!("exec '{program}' serve --data-dir volume/data --listen 127.0.0.1:0");
        std::fs::create_dir(directory.join("volume")).unwrap();
        let (volume, mut command) = if let Some(flags) = Self::flags() {
            let mut command = Command::new("unshare");
            let script = format!("mount -t tmpfs -o {VOLUME} tmpfs volume && cp -a data volume/ && {serving}");
            command.args([flags, "sh", "-c", &script]);
            (Self::Mounted(directory.join("volume")), command)
        } else {
            println!("no file system of its own is allowed here: the length of its files is limited in its place");
            let mut command = Command::new("sh");
            command.args(["-c", &format!("trap '' XFSZ; cp -a data volume/ && {serving}")]);
            (Self::Limited, command)
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CHANCERY_")) {
            command.env_remove(name);
        }
        (volume, Served::start(command.current_dir(directory)))
    }

    /// The volume as the process sees it.
    fn path(&self, directory: &Path, served: &Served) -> PathBuf {
        match self {
            Self::Mounted(path) => {
                Path::new(&format!("/proc/{}/root", served.id())).join(path.strip_prefix("/").unwrap())
            }
            Self::Limited => directory.join("volume"),
        }
    }

    fn fill(&self, directory: &Path, served: &Served) {
        if let Self::Limited = self {
            // No longer than the shortest of them is now: nothing can be appended to any.
            return limit(served, "1");
        }
        let mut ballast = File::create(self.path(directory, served).join("ballast")).unwrap();
        for chunk in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&vec![0x5a; chunk]).is_ok() {}
        }
    }

    fn make_room(&self, directory: &Path, served: &Served) {
        match self {
            Self::Mounted(_) => std::fs::remove_file(self.path(directory, served).join("ballast")).unwrap(),
            Self::Limited => limit(served, "unlimited"),
        }
    }
}

fn limit(served: &Served, octets: &str) {
    let (process, limit) = (served.id().to_string(), format!("--fsize={octets}:unlimited"));
    run(Command::new("prlimit").args(["--pid", &process, &limit])).succeeded();
}

fn signal(served: &Served, signal: &str) {
    run(Command::new("kill").args([signal, &served.id().to_string()])).succeeded();
}

/// What a client does and has been told.
struct Desk {
    client: Client,
    shown: Shown,
    profile: String,
    renewing: String,
    pems: BTreeMap<String, String>,
}

impl Desk {
    async fn open(served: &Served, credentials: &Value) -> Self {
        let admin = administrator(&served.url, credentials).await;
        let client = login(&served.url, credentials).await;
        let profile = admin.profile_by_slug(&text(credentials, "/profile")).await.unwrap().id.to_string();
        let renewing = renewing_profile(&admin, credentials).await;
        Self { shown: Shown::of(&client).await, client, profile, renewing, pems: BTreeMap::new() }
    }

    async fn request(&self, profile: &str, ttl: &str) -> Reply {
        let body = json!({"profileId": profile, "attributes": {"commonName": "www.example.internal", "ttl": ttl}});
        self.client.post(&format!("{CERT_MANAGER}/certificates"), &body).await.unwrap()
    }

    async fn issue(&mut self, profile: &str, ttl: &str) -> String {
        let issued = self.request(profile, ttl).await.success().unwrap();
        let id = text(&issued, "/certificate/certificateId");
        self.pems.insert(id.clone(), text(&issued, "/certificate/certificate"));
        id
    }

    async fn revoke(&self, id: &str) -> Reply {
        let path = format!("{CERT_MANAGER}/certificates/{id}/revoke");
        self.client.post(&path, &json!({"revocationReason": "KEY_COMPROMISE"})).await.unwrap()
    }

    fn serial(&self, id: &str) -> Vec<u8> {
        Certificate::from_pem(&self.pems[id]).unwrap().serial().as_bytes().to_vec()
    }

    async fn shown(&self, id: &str) -> Value {
        let path = format!("{CERT_MANAGER}/certificates/{id}");
        self.client.get(&path).await.unwrap().success().unwrap()["certificate"].clone()
    }

    /// Everything that was acknowledged is there.
    async fn everything_is_there(&self) {
        for (id, pem) in &self.pems {
            let path = format!("{CERT_MANAGER}/certificates/{id}/certificate");
            let found = self.client.get(&path).await.unwrap().success().unwrap();
            assert_eq!(text(&found, "/certificate").trim(), pem.trim());
        }
    }

    async fn certificates(&self, credentials: &Value) -> Vec<CertificateId> {
        let search = format!("/api/v1/projects/{}/certificates/search", text(credentials, "/projectId"));
        let page = self.client.post(&search, &json!({"limit": 500})).await.unwrap().success().unwrap();
        page["certificates"].as_array().unwrap().iter().map(|it| text(it, "/id").parse().unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_volume_refuses_writes_shows_what_is_there_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path();
    let credentials = prepared(directory);
    let (volume, served) = Volume::serve(directory);
    let mut desk = Desk::open(&served, &credentials).await;
    let (profile, renewing) = (desk.profile.clone(), desk.renewing.clone());
    let (good, bad) = (desk.issue(&profile, "1d").await, desk.issue(&profile, "1d").await);
    assert_eq!(desk.revoke(&bad).await.status, 200);
    let revoked = BTreeMap::from([(desk.serial(&bad), 1)]);
    desk.shown.listed_in_time(Instant::now(), &revoked).await;
    let mut restless = Vec::new();
    for _ in 0..5 {
        restless.push(desk.issue(&renewing, "1m").await);
    }
    let before = desk.shown.crl().await.unwrap();

    volume.fill(directory, &served);
    refuses_and_shows(&desk, &volume, &good, &bad, &before).await;
    // The renewals fall due six seconds after the issue, and nothing can be done about it.
    tokio::time::sleep(Duration::from_secs(7)).await;
    refuses_and_shows(&desk, &volume, &good, &bad, &before).await;
    for id in &restless {
        assert_eq!(desk.shown(id).await["renewedByCertificateId"], Value::Null);
    }

    volume.make_room(directory, &served);
    desk.issue(&profile, "1d").await;
    assert_eq!(desk.revoke(&good).await.status, 200);
    let mut revoked = revoked;
    revoked.insert(desk.serial(&good), 1);
    desk.shown.listed_in_time(Instant::now(), &revoked).await;
    let began = Instant::now();
    for id in &restless {
        while desk.shown(id).await["renewedByCertificateId"].is_null() {
            let late = began.elapsed() > Duration::from_secs(20);
            assert!(!late, "{id} is not renewed: {:#}", desk.shown(id).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    desk.everything_is_there().await;

    // The volume as a power cut would leave it, on a disk with room.
    let certificates = desk.certificates(&credentials).await;
    signal(&served, "-STOP");
    let copied = directory.join("copied");
    std::fs::create_dir(&copied).unwrap();
    run(Command::new("cp").arg("-a").arg(volume.path(directory, &served).join("data")).arg(&copied)).succeeded();
    drop(served);
    let served = Served::start(&mut chancery(&copied, &["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]));
    desk.client = login(&served.url, &credentials).await;
    desk.everything_is_there().await;
    let admin = administrator(&served.url, &credentials).await;
    let (_, export) = admin.send_raw::<Value>(Method::GET, "/api/v1/audit-logs/export", None).await.unwrap();
    std::fs::write(copied.join("audit.ndjson"), export).unwrap();
    run(&mut chancery(&copied, &["audit", "verify", "audit.ndjson"])).succeeded();
    drop(served);
    let (renewing, renewed) = renewals_are_whole(&copied, &credentials, certificates).await;
    assert!(renewing >= restless.len() && renewed >= restless.len(), "{renewing} to renew, {renewed} renewed");
}

async fn refuses_and_shows(desk: &Desk, volume: &Volume, good: &str, bad: &str, crl: &[u8]) {
    for _ in 0..3 {
        for refused in [desk.request(&desk.profile, "1d").await, desk.revoke(good).await] {
            let code = text(&refused.body, "/code");
            let named = matches!(volume, Volume::Limited) && code == "storage.unavailable";
            assert_eq!(refused.status, 503, "{:#}", refused.body);
            assert!(code == "storage.full" || named, "{:#}", refused.body);
        }
    }
    desk.everything_is_there().await;
    assert_eq!(desk.shown(good).await["status"], "active", "a refused revocation leaves nothing behind");
    assert_eq!(desk.shown.crl().await.unwrap(), crl);
    assert_eq!(desk.shown.ocsp(&desk.serial(good)).await, CertStatus::Good);
    assert!(matches!(desk.shown.ocsp(&desk.serial(bad)).await, CertStatus::Revoked { reason: Some(1), .. }));
    for path in ["/healthz", "/readyz", "/metrics", "/api/status"] {
        assert_eq!(desk.client.get(path).await.unwrap().status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_waits_for_a_lock_for_a_moment_and_then_says_so() {
    let world = World::start().await;
    let pki = world.pki().await;
    let known = world.issue(pki.profile, &json!({})).await;
    let other = rusqlite::Connection::open(world.data_dir().join("chancery.db")).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    let (session, body) =
        (world.operator().clone(), json!({"profileId": pki.profile, "attributes": {"commonName": "a.acme.test"}}));
    let issue = move || {
        let (session, body) = (session.clone(), body.to_string().into_bytes());
        tokio::spawn(async move {
            let path = format!("{CERT_MANAGER}/certificates");
            session.raw(Method::POST, &path, &[("content-type", "application/json")], body).await
        })
    };

    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = issue();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let path = format!("{CERT_MANAGER}/certificates/{}", text(&known, "/certificate/certificateId"));
    assert_eq!(world.operator().get(&path).await.0, 200, "reading goes on");
    assert!(!waiting.is_finished());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(waiting.await.unwrap().status(), 200, "a second is waited for");

    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = issue().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"), "{:?}", refused.headers());
    let refused: Value = serde_json::from_slice(&refused.bytes().await.unwrap()).unwrap();
    assert_eq!(text(&refused, "/code"), "storage.unavailable");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(issue().await.unwrap().status(), 200);
    world.stop().await;
}
