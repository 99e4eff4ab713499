//! kill -9 at random moments under load, on SQLite, with the real program.
//!
//! ```text
//! quickstart --once ── serve ── 8 clients issue, revoke, hold, release; the server renews and publishes
//!                        └──────────────── kill -9 ── serve ── check ── …   (CHANCERY_CRASH_ROUNDS, default 25)
//! ```
//!
//! Verified after every crash: each certificate a client received is in the inventory with the same bytes, and API and OCSP
//! say of each what the client was told last; the numbers of a CRL only grow, and one number is only ever seen with one
//! content. At the end: every acknowledged revocation is on the CRL within five seconds of the start; no serial number
//! occurs twice, no certificate has two successors, every certificate that is to renew has its job; and the exported audit
//! log verifies offline.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chancery_cli::Client;
use chancery_model::job::{JobKey, JobKind};
use chancery_model::{CertificateId, ProjectId};
use chancery_pkix::Certificate;
use chancery_pkix::crl::CertificateList;
use chancery_pkix::ocsp::{BasicOcspResponse, CertId, CertStatus, HashAlgorithm, OcspRequest};
use chancery_store::{Location, Store};
use chancery_testkit::world::{CERT_MANAGER, text};
use reqwest::Method;
use serde_json::{Value, json};

use crate::program::{Served, chancery, read, run};

const CLIENTS: usize = 8;
/// What a revocation may take to be on the CRL.
const ON_THE_CRL: Duration = Duration::from_secs(5);

/// What the server has acknowledged last about a certificate: CRLReason, or good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Good,
    Revoked(u8),
    /// A change was under way when the server died: it has happened, or it has not.
    Unsure,
}

/// A certificate that the server has acknowledged.
struct Acknowledged {
    id: String,
    pem: String,
    fate: Fate,
}

impl Acknowledged {
    fn serial(&self) -> Vec<u8> {
        Certificate::from_pem(&self.pem).unwrap().serial().as_bytes().to_vec()
    }
}

/// Serves until it is dropped, which is a kill -9.
fn serve(directory: &Path) -> Served {
    Served::start(&mut chancery(directory, &["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]))
}

/// A data directory as the quickstart leaves it, and the credentials in it.
pub fn prepared(directory: &Path) -> Value {
    run(&mut chancery(directory, &["quickstart", "--once", "--listen", "127.0.0.1:0", "--data-dir", "data"]))
        .succeeded();
    serde_json::from_str(&read(directory.join("data/credentials.json"))).expect("JSON")
}

pub async fn login(url: &str, credentials: &Value) -> Client {
    let client = Client::new(url, None).expect("an address");
    let (id, secret) = (text(credentials, "/clientId"), text(credentials, "/clientSecret"));
    client.login(&id, &secret).await.expect("the identity logs in")
}

pub async fn administrator(url: &str, credentials: &Value) -> Client {
    let password = read(text(credentials, "/adminPasswordFile"));
    let client = Client::new(url, None).expect("an address");
    client.login_user(&text(credentials, "/adminEmail"), password.trim()).await.expect("logs in")
}

/// The quickstart's profile again, with certificates that renew themselves every six seconds of their minute.
pub async fn renewing_profile(admin: &Client, credentials: &Value) -> String {
    let path = format!("{CERT_MANAGER}/certificate-profiles/slug/{}", text(credentials, "/profile"));
    let known = admin.get(&path).await.unwrap().success().unwrap();
    let api = json!({"autoRenew": true, "renewAt": {"fraction": 0.1}, "renewJitter": "1s"});
    let profile = json!({"slug": "restless", "issuerType": "ca", "enrollmentType": "api", "apiConfig": api,
        "caId": known.pointer("/certificateProfile/caId"),
        "certificatePolicyId": known.pointer("/certificateProfile/certificatePolicyId")});
    let made = admin.post(&format!("{CERT_MANAGER}/certificate-profiles"), &profile).await.unwrap();
    text(&made.success().unwrap(), "/certificateProfile/id")
}

/// What a CA shows the world, asked as the world does.
#[derive(Clone)]
pub struct Shown {
    http: reqwest::Client,
    url: String,
    ca: String,
    issuer: Certificate,
    crl: String,
}

impl Shown {
    /// The issuing CA of the quickstart.
    pub async fn of(client: &Client) -> Self {
        let all = client.get(&format!("{CERT_MANAGER}/ca/internal")).await.unwrap().success().unwrap();
        let ca = all.as_array().unwrap().iter().find(|it| it["name"] == "issuing-ca").expect("the issuing CA");
        let path = format!("{CERT_MANAGER}/ca/internal/{}", text(ca, "/id"));
        let issuer = client.get(&format!("{path}/certificate")).await.unwrap().success().unwrap();
        let crls = client.get(&format!("{path}/crls")).await.unwrap().success().unwrap();
        Self {
            http: reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap(),
            url: client.site_url().to_owned(),
            ca: text(ca, "/id"),
            issuer: Certificate::from_pem(&text(&issuer, "/certificate")).unwrap(),
            crl: text(&crls, "/0/id"),
        }
    }

    /// The complete CRL; none if the server is gone.
    pub async fn crl(&self) -> Option<Vec<u8>> {
        let url = format!("{}{CERT_MANAGER}/crl/{}/der", self.url, self.crl);
        let answer = self.http.get(url).send().await.ok()?;
        assert_eq!(answer.status(), 200, "a CRL was published before");
        Some(answer.bytes().await.ok()?.to_vec())
    }

    pub async fn ocsp(&self, serial: &[u8]) -> CertStatus {
        let key = self.issuer.public_key().unwrap();
        let id = CertId::of(HashAlgorithm::Sha256, self.issuer.subject_der(), &key, serial).unwrap();
        let question = OcspRequest { requests: vec![id.clone()], nonce: None }.to_der();
        let request = self.http.post(format!("{}{CERT_MANAGER}/ocsp/{}", self.url, self.ca)).body(question);
        let answer = request.header("content-type", "application/ocsp-request").send().await.expect("an OCSP answer");
        let response = BasicOcspResponse::from_der(&answer.bytes().await.unwrap()).expect("a successful response");
        let responder = Certificate::from_der(&response.certificates[0]).unwrap();
        assert!(responder.is_signed_by(&key) && response.is_signed_by(&responder.public_key().unwrap()));
        let single = response.responses.into_iter().find(|it| it.cert_id == id).expect("the answer to the question");
        single.status
    }

    /// Waits until the CRL lists exactly so much of what is asked for, or fails after five seconds since `start`.
    pub async fn listed_in_time(&self, start: Instant, expected: &BTreeMap<Vec<u8>, u8>) {
        loop {
            let der = self.crl().await.expect("the server is there");
            let crl = CertificateList::from_der(&der).unwrap();
            let listed: BTreeMap<Vec<u8>, u8> =
                crl.entries().map(|it| (it.serial.to_vec(), it.reason.unwrap_or(0))).collect();
            let missing = expected.iter().filter(|(serial, reason)| listed.get(*serial) != Some(*reason)).count();
            if missing == 0 {
                return;
            }
            let late = start.elapsed() > ON_THE_CRL;
            assert!(!late, "{missing} of {} revocations are not on CRL {:?}", expected.len(), crl.number());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Every CRL that anybody was given, by its number.
#[derive(Clone, Default)]
struct Publications(Arc<Mutex<BTreeMap<i64, Vec<u8>>>>);

impl Publications {
    /// `floor`: no older one may be given out.
    fn seen(&self, floor: i64, der: Vec<u8>) -> i64 {
        let number = CertificateList::from_der(&der).unwrap().number().unwrap();
        assert!(number >= floor, "CRL {number} was served after CRL {floor}");
        let mut all = self.0.lock().unwrap();
        let first = all.entry(number).or_insert_with(|| der.clone());
        assert_eq!(*first, der, "CRL {number} was served with two contents");
        number
    }

    fn newest(&self) -> i64 {
        self.0.lock().unwrap().keys().next_back().copied().unwrap_or(0)
    }
}

async fn watch(shown: Shown, publications: Publications) {
    let mut floor = publications.newest();
    while let Some(der) = shown.crl().await {
        floor = publications.seen(floor, der);
    }
}

/// One client: issues, and changes the status of what it got, until the server is gone.
async fn work_until_it_dies(client: Client, profiles: [String; 2], worker: usize, seen: Arc<Mutex<Vec<Acknowledged>>>) {
    for count in 0.. {
        let name = format!("w{worker}-{count}.example.internal");
        let renews = usize::from(worker == 0);
        let ttl = ["1d", "1m"][renews];
        let body = json!({"profileId": profiles[renews], "attributes": {"commonName": name, "ttl": ttl}});
        let Ok(reply) = client.post(&format!("{CERT_MANAGER}/certificates"), &body).await else { return };
        if reply.status != 200 {
            return;
        }
        let id = text(&reply.body, "/certificate/certificateId");
        let fate = Arc::new(Mutex::new(Fate::Good));
        let ended = change(&client, &id, (worker + count) % 4, &fate).await;
        let (pem, fate) = (text(&reply.body, "/certificate/certificate"), *fate.lock().unwrap());
        seen.lock().unwrap().push(Acknowledged { id, pem, fate });
        if ended.is_none() {
            return;
        }
    }
}

/// None when the server is gone.
async fn change(client: &Client, id: &str, kind: usize, fate: &Mutex<Fate>) -> Option<()> {
    let reasons: &[(Option<&str>, Fate)] = match kind {
        0 => &[],
        1 => &[(Some("KEY_COMPROMISE"), Fate::Revoked(1))],
        2 => &[(Some("CERTIFICATE_HOLD"), Fate::Revoked(6))],
        _ => &[(Some("CERTIFICATE_HOLD"), Fate::Revoked(6)), (None, Fate::Good)],
    };
    for (reason, after) in reasons {
        *fate.lock().unwrap() = Fate::Unsure;
        let path = format!("{CERT_MANAGER}/certificates/{id}");
        let reply = match reason {
            Some(reason) => client.post(&format!("{path}/revoke"), &json!({"revocationReason": reason})).await,
            None => client.post(&format!("{path}/release"), &json!({})).await,
        };
        let reply = reply.ok()?;
        if reply.status != 200 {
            return None;
        }
        *fate.lock().unwrap() = *after;
    }
    Some(())
}

async fn check(client: &Client, shown: &Shown, acknowledged: &[Acknowledged]) {
    for known in acknowledged {
        let path = format!("{CERT_MANAGER}/certificates/{}", known.id);
        let reply = client.get(&format!("{path}/certificate")).await.expect("an answer");
        assert_eq!(reply.status, 200, "an acknowledged certificate is gone: {}", known.id);
        assert_eq!(reply.body["certificate"].as_str().map(str::trim), Some(known.pem.trim()));
        let reply = client.get(&path).await.unwrap().success().unwrap();
        let by_api = reply["certificate"]["revocationReason"].as_u64();
        let by_ocsp = match shown.ocsp(&known.serial()).await {
            CertStatus::Good => None,
            CertStatus::Revoked { reason, .. } => Some(u64::from(reason.unwrap_or(0))),
            CertStatus::Unknown => panic!("{} was issued", known.id),
        };
        assert_eq!(by_api, by_ocsp, "API and OCSP disagree about {}", known.id);
        match known.fate {
            Fate::Good => assert_eq!(by_api, None, "{}", known.id),
            Fate::Revoked(reason) => assert_eq!(by_api, Some(u64::from(reason)), "an acknowledged revocation is gone"),
            Fate::Unsure => {}
        }
    }
}

/// A small generator, so that a run can be repeated: the moments follow from the round alone.
const fn moment(round: u64) -> Duration {
    let mixed = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Duration::from_millis(20 + (mixed >> 33) % 180)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let rounds = std::env::var("CHANCERY_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(25u64);
    let folder = tempfile::tempdir().expect("a folder");
    let credentials = prepared(folder.path());
    let mut served = serve(folder.path());
    let admin = administrator(&served.url, &credentials).await;
    let slug = text(&credentials, "/profile");
    let profile = admin.profile_by_slug(&slug).await.expect("the profile").id.to_string();
    let profiles = [profile, renewing_profile(&admin, &credentials).await];
    let publications = Publications::default();

    let (mut serials, mut revoked) = (HashSet::new(), BTreeMap::new());
    for round in 0..rounds {
        let client = login(&served.url, &credentials).await;
        let shown = Shown::of(&client).await;
        publications.seen(publications.newest(), shown.crl().await.expect("the server is there"));
        let watcher = tokio::spawn(watch(shown, publications.clone()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let workers: Vec<_> = (0..CLIENTS)
            .map(|it| tokio::spawn(work_until_it_dies(client.clone(), profiles.clone(), it, Arc::clone(&seen))))
            .collect();
        tokio::time::sleep(moment(round)).await;
        drop(served);
        for task in workers.into_iter().chain([watcher]) {
            task.await.expect("no client panics");
        }
        let last = std::mem::take(&mut *seen.lock().unwrap());
        for known in &last {
            assert!(serials.insert(known.serial()), "a serial number was given twice: {}", known.id);
            if let Fate::Revoked(reason) = known.fate {
                revoked.insert(known.serial(), reason);
            }
        }
        served = serve(folder.path());
        let start = Instant::now();
        let client = login(&served.url, &credentials).await;
        let shown = Shown::of(&client).await;
        check(&client, &shown, &last).await;
        if round % 8 == 7 || round + 1 == rounds {
            shown.listed_in_time(start, &revoked).await;
        }
    }
    assert!(!revoked.is_empty(), "the load never got anything revoked, so nothing was tested");
    let published = publications.0.lock().unwrap().len();
    assert!(published > 2, "hardly any CRL was published under load: {published}");
    finish(&administrator(&served.url, &credentials).await, folder.path()).await;
    let certificates = all_certificates(&login(&served.url, &credentials).await, &credentials).await;
    drop(served);
    let (renewing, renewed) = renewals_are_whole(folder.path(), &credentials, certificates).await;
    assert!(renewing > 0 && renewed > 0, "{renewing} to renew, {renewed} renewed: too few to tell anything");
    println!(
        "{rounds} crashes, {} acknowledged certificates, {} revocations, {published} CRLs, {renewed} renewals",
        serials.len(),
        revoked.len()
    );
}

pub async fn finish(client: &Client, directory: &Path) {
    let (status, export) =
        client.send_raw::<Value>(Method::GET, "/api/v1/audit-logs/export", None).await.expect("an answer");
    assert_eq!(status, 200);
    std::fs::write(directory.join("audit.ndjson"), export).expect("written");
    run(&mut chancery(directory, &["audit", "verify", "audit.ndjson"])).succeeded();
}

/// The ids of all certificates that are there now.
async fn all_certificates(client: &Client, credentials: &Value) -> Vec<CertificateId> {
    let search = format!("/api/v1/projects/{}/certificates/search", text(credentials, "/projectId"));
    let (mut ids, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let body = json!({"limit": 500, "cursor": cursor.as_str().unwrap_or_default()});
        let page = client.post(&search, &body).await.unwrap().success().unwrap();
        let page_ids =
            page["certificates"].as_array().unwrap().iter().map(|it| text(it, "/id").parse::<CertificateId>().unwrap());
        ids.extend(page_ids);
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            return ids;
        }
    }
}

/// Looked at in the store, with the server gone: each renewal is known at both ends, and what is to renew has its job.
/// How many certificates are to renew, and how many have.
pub async fn renewals_are_whole(directory: &Path, credentials: &Value, mut ids: Vec<CertificateId>) -> (usize, usize) {
    let location = Location::Sqlite { path: directory.join("data/chancery.db") };
    let store = Store::open(&location, "looks-on").await.unwrap();
    let project: ProjectId = text(credentials, "/projectId").parse().unwrap();
    let (mut forward, mut back, mut seen) = (BTreeMap::new(), BTreeMap::new(), HashSet::new());
    let mut renewing = 0;
    while let Some(id) = ids.pop() {
        if !seen.insert(id) {
            continue;
        }
        let certificate = store.reader().certificate(project, id).await.unwrap().unwrap();
        let renewal = &certificate.renewal;
        if let Some(by) = renewal.renewed_by {
            forward.insert(id, by);
            // Made after the list was.
            ids.push(by);
        }
        if let Some(from) = renewal.renewed_from {
            assert_eq!(back.insert(from, id), None, "{from} has two successors");
        }
        let job = JobKey { kind: JobKind::RenewCertificate, object: id.as_uuid() };
        let job = store.reader().job(job).await.unwrap();
        let ended = renewal.renewed_by.is_some() || certificate.revocation.is_some();
        assert_eq!(job.is_some(), renewal.due_at.is_some() && !ended, "{id}: {certificate:?}");
        // Its profile renews: whatever is neither renewed nor revoked is to be.
        assert!(certificate.ttl != 60 || ended || job.is_some(), "{id} is forgotten: {certificate:?}");
        renewing += usize::from(job.is_some());
    }
    assert_eq!(forward, back, "a renewal is known at one end only");
    store.close().await;
    (renewing, forward.len())
}
