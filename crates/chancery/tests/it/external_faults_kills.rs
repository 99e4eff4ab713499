//! kill -9 between every two steps of an order at an ACME CA, with the real program.
//!
//! ```text
//! quickstart --once ── serve ── somebody who kills ── Pebble, DNS webhook        (four of these side by side)
//!                        └─ the n-th exchange of an order: kill -9 before it arrives, or after it was done ── serve ── …
//! ```
//!
//! For n = 1, 2, 3 … until an order is over before its n-th exchange, and for both places. Verified each time: the order
//! goes on by itself after the restart and ends in a certificate that OpenSSL accepts; the CA was given one order and one
//! CSR; nothing is left in the DNS. At the end: each order has exactly one certificate in the inventory, and the audit log
//! verifies.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chancery_cli::Client;
use chancery_testkit::foreign::{Exchange, Meddling, Plan};
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, text};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::crash::{administrator, finish, login, prepared};
use crate::external_faults::{LIFE_MAX, PAUSE, Services, Way, chain_of, is_over};
use crate::nights::true_now;
use crate::program::{Served, chancery};

const LANES: usize = 4;
/// An order has some twenty exchanges.
const EXCHANGES_MAX: usize = 60;
pub const ORDER_TIMEOUT: Duration = Duration::from_secs(90);

/// At which exchange a process is to die.
#[derive(Clone, Copy, Debug)]
pub enum At {
    /// That many exchanges from now.
    Number(usize),
    /// The first of this kind.
    Kind(&'static str),
}

/// Kills a process at a certain exchange.
#[derive(Default)]
pub struct Trap {
    process: AtomicU32,
    /// The place, and whether the service may do what it was asked for first.
    set: Mutex<Option<(At, bool)>>,
    /// What it was that the process died of.
    sprung: Mutex<Option<Exchange>>,
}

impl Trap {
    pub fn set(&self, process: u32, at: At, after: bool) {
        self.process.store(process, Ordering::SeqCst);
        *self.sprung.lock().unwrap() = None;
        *self.set.lock().unwrap() = Some((at, after));
    }

    pub fn disarm(&self) {
        *self.set.lock().unwrap() = None;
    }

    pub fn sprung(&self) -> Option<Exchange> {
        self.sprung.lock().unwrap().clone()
    }

    pub fn plan(self: &Arc<Self>) -> Plan {
        let trap = Arc::clone(self);
        Arc::new(move |exchange| {
            let mut set = trap.set.lock().unwrap();
            let Some((at, after)) = *set else { return Meddling::Pass };
            match at {
                At::Number(number) if number > 1 => {
                    *set = Some((At::Number(number - 1), after));
                    return Meddling::Pass;
                }
                At::Kind(wanted) if kind(exchange) != wanted => return Meddling::Pass,
                At::Number(_) | At::Kind(_) => {}
            }
            *set = None;
            if after {
                let (trap, exchange) = (Arc::clone(&trap), exchange.clone());
                return Meddling::CutAfter(Box::new(move || trap.spring(exchange)));
            }
            trap.spring(exchange.clone());
            Meddling::CutBefore
        })
    }

    fn spring(&self, exchange: Exchange) {
        kill(self.process.load(Ordering::SeqCst));
        *self.sprung.lock().unwrap() = Some(exchange);
    }
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
}

/// A server of its own, again and again.
pub struct Lane {
    pub folder: TempDir,
    pub credentials: Value,
    pub served: Served,
    pub client: Client,
    pub admin: Client,
    template: String,
}

/// What a server is given to go ways that meddle.
pub fn outside(command: &mut Command, trusted: PathBuf) -> &mut Command {
    command
        .env("CHANCERY_EGRESS_ALLOWED_NETWORKS", "127.0.0.0/8")
        .env("CHANCERY_EGRESS_LOOPBACK_FOR_TESTS", "true")
        .env("CHANCERY_EGRESS_CA_FILE", trusted)
}

impl Lane {
    pub async fn start(trusted: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("trusted.pem"), trusted).unwrap();
        let credentials = prepared(folder.path());
        let served = serve(&folder);
        let client = login(&served.url, &credentials).await;
        let admin = administrator(&served.url, &credentials).await;
        let template = json!({"name": "public", "preset": "tls-server", "validity": {"max": LIFE_MAX},
            "subject": [{"type": "common_name", "allowed": ["*.acme.test"]}],
            "sans": [{"type": "dns_name", "allowed": ["*.acme.test"]}]});
        let made = post(&admin, &format!("{CERT_MANAGER}/certificate-policies"), &template).await;
        let template = text(&made, "/certificatePolicy/id");
        Self { folder, credentials, served, client, admin, template }
    }

    /// A profile of a CA that is asked by this way.
    async fn profile(&self, way: &Way, name: &str) -> String {
        let made = post(&self.admin, "/api/v1/app-connections/dns-webhook", &way.connection(name)).await;
        let connection = text(&made, "/appConnection/id");
        let ca = post(&self.admin, &format!("{CERT_MANAGER}/ca/acme"), &way.ca(name, &connection)).await;
        self.profile_of(&ca, name, &Value::Null).await
    }

    /// `api` is how its certificates renew.
    pub async fn profile_of(&self, ca: &Value, slug: &str, api: &Value) -> String {
        let profile = json!({"slug": slug, "issuerType": "ca", "enrollmentType": "api", "caId": ca["id"],
            "certificatePolicyId": self.template, "defaults": {"ttlDays": 90}, "apiConfig": api});
        let made = post(&self.admin, &format!("{CERT_MANAGER}/certificate-profiles"), &profile).await;
        text(&made, "/certificateProfile/id")
    }

    pub async fn order(&self, profile: &str, name: &str, ttl: &str) -> String {
        let body = json!({"profileId": profile, "attributes": {"commonName": name, "ttl": ttl}});
        text(&post(&self.client, &format!("{CERT_MANAGER}/certificates"), &body).await, "/certificateRequestId")
    }

    /// None while there is nobody to ask.
    pub async fn request(&self, id: &str) -> Option<Value> {
        let path = format!("{CERT_MANAGER}/certificates/certificate-requests/{id}");
        self.client.get(&path).await.ok()?.success().ok()
    }

    pub async fn over(&self, id: &str, what: &str) -> Value {
        let began = Instant::now();
        loop {
            let request = self.request(id).await.expect("the server is there");
            if is_over(&request) {
                return request;
            }
            assert!(began.elapsed() < ORDER_TIMEOUT, "{what}: not over: {request:#}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Buries what was killed, and starts another on the same data.
    pub async fn again(self) -> Self {
        let Self { folder, credentials, served, template, .. } = self;
        drop(served);
        let served = serve(&folder);
        let client = login(&served.url, &credentials).await;
        let admin = client.with_token(self.admin.token().unwrap_or_default());
        Self { folder, credentials, served, client, admin, template }
    }

    pub async fn certificates(&self) -> Vec<Value> {
        let search = format!("/api/v1/projects/{}/certificates/search", text(&self.credentials, "/projectId"));
        let page = post(&self.client, &search, &json!({"limit": 500})).await;
        page["certificates"].as_array().unwrap().clone()
    }
}

fn serve(folder: &TempDir) -> Served {
    let mut command = chancery(folder.path(), &["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]);
    Served::start(outside(&mut command, folder.path().join("trusted.pem")))
}

pub async fn post(client: &Client, path: &str, body: &Value) -> Value {
    let reply = client.post(path, body).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    reply.success().unwrap_or_else(|error| panic!("{path}: {error:?}"))
}

/// One order at a CA of its own, which is the death of the server at a certain exchange. What it died of, if the order was
/// not over before.
async fn killed(lane: Lane, way: &Way, trap: &Trap, (at, after): (At, bool), root: &str) -> (Lane, Option<Exchange>) {
    let mut lane = lane;
    let place = if after { "after" } else { "before" };
    let name = match at {
        At::Number(number) => format!("{place}-{number}"),
        At::Kind(kind) => format!("{place}-{}", kind.replace(' ', "-").to_lowercase()),
    };
    let profile = lane.profile(way, &name).await;
    let (orders, finalised) = (way.done_at("order-plz"), way.done_at("finalize-order"));

    // The answer about the request must be here before anything can happen to it.
    way.close(true);
    let request = lane.order(&profile, &format!("{name}.acme.test"), "90d").await;
    trap.set(lane.served.id(), at, after);
    way.close(false);
    let began = Instant::now();
    let died_of = loop {
        if let Some(exchange) = trap.sprung() {
            break Some(exchange);
        }
        if lane.request(&request).await.is_some_and(|it| is_over(&it)) {
            break None;
        }
        assert!(began.elapsed() < ORDER_TIMEOUT, "{name}: neither dead nor over");
        tokio::time::sleep(PAUSE).await;
    };
    trap.disarm();
    if died_of.is_some() {
        lane = lane.again().await;
    }

    let ended = lane.over(&request, &name).await;
    let what = format!("{name}, dead of {died_of:?}");
    assert_eq!(ended["status"], "issued", "{what}: {ended:#}");
    judge::openssl_verifies(&chain_of(&ended, root), true_now().as_seconds());
    let (orders, finalised) = (way.done_at("order-plz") - orders, way.done_at("finalize-order") - finalised);
    assert_eq!((orders, finalised), (1, 1), "{what}: orders and CSRs that the CA took");
    (lane, died_of)
}

/// Which kind of exchange it was.
fn kind(exchange: &Exchange) -> String {
    if !exchange.is_at("dns") {
        return exchange.path.split('/').nth(1).unwrap_or_default().to_owned();
    }
    let question: Value = serde_json::from_str(&exchange.question).unwrap_or_default();
    format!("dns {}", question["action"].as_str().unwrap_or_default())
}

/// Those that each order has, in their order.
const KINDS: [&str; 9] =
    ["list-orderz", "order-plz", "authZ", "dns set", "chalZ", "my-order", "finalize-order", "certZ", "dns remove"];

/// What the lanes share.
struct Table {
    next: AtomicUsize,
    over: AtomicBool,
    died_of: Mutex<BTreeSet<(String, bool)>>,
    root: String,
}

impl Table {
    /// The next place to die at: exchange after exchange, and then the kinds that were missed because Pebble, which
    /// refuses a nonce now and then, made one order longer than another.
    fn next(&self) -> Option<(At, bool)> {
        if !self.over.load(Ordering::SeqCst) {
            let case = self.next.fetch_add(1, Ordering::SeqCst);
            assert!(case / 2 < EXCHANGES_MAX, "an order without an end");
            return Some((At::Number(case / 2 + 1), case % 2 == 1));
        }
        let mut died_of = self.died_of.lock().unwrap();
        let places = KINDS.iter().flat_map(|kind| [(*kind, false), (*kind, true)]);
        let (kind, after) = places.into_iter().find(|(kind, after)| died_of.insert(((*kind).to_owned(), *after)))?;
        Some((At::Kind(kind), after))
    }

    fn note(&self, at: At, after: bool, died_of: Option<&Exchange>) {
        match (at, died_of) {
            (_, Some(exchange)) => drop(self.died_of.lock().unwrap().insert((kind(exchange), after))),
            (At::Number(_), None) => self.over.store(true, Ordering::SeqCst),
            (At::Kind(kind), None) => panic!("an order without {kind}"),
        }
    }
}

/// One lane: takes the next place to die at until there is none.
async fn work(table: Arc<Table>, way: Way) -> usize {
    let trap = Arc::new(Trap::default());
    way.plan(&trap.plan());
    let mut lane = Lane::start(&way.trusted()).await;
    let mut orders = 0;
    while let Some((at, after)) = table.next() {
        let (next, died_of) = killed(lane, &way, &trap, (at, after), &table.root).await;
        table.note(at, after, died_of.as_ref());
        (lane, orders) = (next, orders + 1);
    }
    // Those of the quickstart are its own.
    let of_orders = lane.certificates().await.iter().filter(|it| it.to_string().contains(".acme.test")).count();
    assert_eq!(of_orders, orders, "certificates and orders");
    finish(&administrator(&lane.served.url, &lane.credentials).await, lane.folder.path()).await;
    orders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_survives_a_kill_between_every_two_steps() {
    let services = Services::start().await;
    let root = services.pebble.roots().await.remove(0);
    let table =
        Arc::new(Table { next: AtomicUsize::new(0), over: AtomicBool::new(false), died_of: Mutex::default(), root });
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..LANES {
        lanes.spawn(work(Arc::clone(&table), services.way().await));
    }
    let orders: usize = lanes.join_all().await.into_iter().sum();
    assert!(orders > 2 * KINDS.len(), "{orders} orders only");
    assert!(services.webhook.records().await.is_empty(), "left in the DNS: {:?}", services.webhook.records().await);
}
