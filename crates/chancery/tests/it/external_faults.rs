//! Everything that can go wrong on the way to an ACME CA, short of dying.
//!
//! ```text
//! the server ── somebody who meddles ── Pebble ──────────┐
//!      └─────── somebody who meddles ── DNS webhook ── its DNS server
//! ```
//!
//! Each fault has a CA of its own, with an account of its own at Pebble and its own way there; all orders are under way at
//! once. Verified: an order ends in a certificate as soon as the fault has passed, or in a failure that names the cause, and
//! in neither case is anything ordered or finalised twice or left in the DNS; requesters are told what is in the way;
//! `Retry-After` is kept; what is not what was ordered is put aside and reaches nobody; the audit log verifies.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chancery_authority::audit::verify_export;
use chancery_testkit::foreign::{
    ChallTestSrv, DnsWebhook, Exchange, Meddler, Meddling, Pebble, PebbleOptions, Plan, acme_problem,
};
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, Session, World, WorldBuilder, merged, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::nights::true_now;

pub const WEBHOOK_SECRET: &str = "signed by the server";
/// What Pebble's certificates live, which nobody can choose, and some more.
pub const LIFE_MAX: &str = "6y";
/// Between two looks at what Pebble is doing.
pub const PAUSE: Duration = Duration::from_millis(50);

/// Pebble, with its DNS server behind a webhook.
pub struct Services {
    pub pebble: Pebble,
    pub dns: ChallTestSrv,
    pub webhook: DnsWebhook,
}

impl Services {
    pub async fn start() -> Self {
        let dns = ChallTestSrv::start().await;
        let webhook = DnsWebhook::start(&dns, WEBHOOK_SECRET).await;
        let pebble = Pebble::start(PebbleOptions { resolver: Some(dns.dns()), ..PebbleOptions::default() }).await;
        Self { pebble, dns, webhook }
    }

    /// A way to both that can be spoilt.
    pub async fn way(&self) -> Way {
        let directory = self.pebble.directory_url();
        Way {
            ca: Meddler::start(&directory, self.pebble.ca_pem()).await,
            dns: Meddler::start(&self.webhook.url(), self.webhook.ca_pem()).await,
            resolver: self.dns.dns().to_string(),
        }
    }
}

/// Somebody who meddles in front of the CA, and somebody in front of the DNS webhook.
pub struct Way {
    pub ca: Meddler,
    pub dns: Meddler,
    resolver: String,
}

impl Way {
    pub fn plan(&self, plan: &Plan) {
        self.ca.plan(Arc::clone(plan));
        self.dns.plan(Arc::clone(plan));
    }

    /// Whether questions wait.
    pub fn close(&self, closed: bool) {
        self.ca.close(closed);
        self.dns.close(closed);
    }

    /// CAs that must be trusted to go it.
    pub fn trusted(&self) -> String {
        format!("{}\n{}\n", self.ca.ca_pem(), self.dns.ca_pem())
    }

    pub fn connection(&self, name: &str) -> Value {
        json!({"name": name, "method": "signed",
            "credentials": {"url": self.dns.url("/dns"), "secret": WEBHOOK_SECRET}})
    }

    pub fn ca(&self, name: &str, connection: &str) -> Value {
        let zone = json!({"zone": "acme.test", "provider": "webhook", "appConnectionId": connection,
            "hostedZoneId": "acme.test"});
        json!({"name": name, "status": "active", "configuration": {"directoryUrl": self.ca.url("/dir"),
            "accountEmail": "pki@acme.test", "dnsZones": [zone], "dnsResolvers": [self.resolver],
            "propagationTimeout": "2m"}})
    }

    /// What was asked of the CA, with its answers' statuses.
    pub fn course(&self) -> String {
        let all = self.ca.exchanges();
        all.iter().map(|it| format!("{} {:?}, ", it.path, it.status)).collect()
    }

    /// How often the CA did what is asked for at this part of its paths.
    pub fn done_at(&self, part: &str) -> usize {
        self.ca.exchanges().iter().filter(|it| it.is_at(part) && it.is_done()).count()
    }
}

/// A CA that is asked by this way, and a profile of it, with `changes`.
pub async fn profile(world: &World, way: &Way, name: &str, changes: &Value) -> Uuid {
    let admin = world.admin();
    let made = admin.ok(Method::POST, "/api/v1/app-connections/dns-webhook", Some(&way.connection(name))).await;
    let connection = text(&made, "/appConnection/id");
    let ca = admin.ok(Method::POST, &format!("{CERT_MANAGER}/ca/acme"), Some(&way.ca(name, &connection))).await;
    let template = world.template(&json!({"validity": {"max": LIFE_MAX}})).await;
    world.profile(&merged(json!({"caId": ca["id"], "certificatePolicyId": template}), changes)).await
}

/// Asks for a certificate; the id of the request.
pub async fn order(session: &Session, profile: Uuid, name: &str) -> String {
    let body = json!({"profileId": profile, "attributes": {"commonName": name}});
    let answer = session.ok(Method::POST, &format!("{CERT_MANAGER}/certificates"), Some(&body)).await;
    assert_eq!(answer["certificate"], Value::Null, "{answer:#}");
    text(&answer, "/certificateRequestId")
}

pub async fn request(session: &Session, id: &str) -> Value {
    session.ok(Method::GET, &format!("{CERT_MANAGER}/certificates/certificate-requests/{id}"), None).await
}

pub fn has_ended(request: &Value) -> bool {
    !matches!(request["status"].as_str(), Some("pending" | "pending_validation"))
}

/// Nothing of it is left outside either.
pub fn is_over(request: &Value) -> bool {
    has_ended(request) && request["orderStatus"] == "done"
}

/// The certificate and what is above it up to the root.
pub fn chain_of(request: &Value, root: &str) -> Vec<String> {
    let mut chain = vec![text(request, "/certificate")];
    let above = text(request, "/certificateChain");
    chain.extend(above.split_inclusive("-----END CERTIFICATE-----").map(str::trim).map(str::to_owned));
    chain.retain(|it| it.contains("BEGIN"));
    chain.push(root.to_owned());
    chain
}

pub async fn certificates_of(session: &Session) -> Vec<Value> {
    let project = session.ok(Method::GET, "/api/v1/projects", None).await;
    let search = format!("/api/v1/projects/{}/certificates/search", text(&project, "/projects/0/id"));
    let page = session.ok(Method::POST, &search, Some(&json!({"limit": 500}))).await;
    page["certificates"].as_array().unwrap().clone()
}

pub async fn audit_verifies(world: &World) {
    let export = world.auditor().raw(Method::GET, "/api/v1/audit-logs/export", &[], Vec::new()).await;
    verify_export(&export.bytes().await.unwrap()[..]).unwrap_or_else(|fault| panic!("{fault}"));
}

/// A world that may go these ways, at the time of everybody else.
pub fn world_for<'w>(ways: impl IntoIterator<Item = &'w Way>) -> WorldBuilder {
    let trusted: String = ways.into_iter().map(Way::trusted).collect();
    World::builder().fixed_clock(true_now()).with_egress_to_loopback(&trusted)
}

/// The fault for the first so many questions at a part of a path; an empty part is every one.
fn first(count: usize, part: &'static str, fault: fn(&Exchange) -> Meddling) -> Plan {
    let seen = AtomicUsize::new(0);
    Arc::new(move |exchange| {
        let is_meant = part.is_empty() || exchange.is_at(part);
        if is_meant && seen.fetch_add(1, Ordering::SeqCst) < count { fault(exchange) } else { Meddling::Pass }
    })
}

/// The fault at the first question of every kind.
fn everywhere_once(fault: fn(&Exchange) -> Meddling) -> Plan {
    let seen = Mutex::new(HashSet::new());
    Arc::new(move |exchange| {
        let kind = exchange.path.split('/').nth(1).unwrap_or_default().to_owned();
        let kind = if kind == "dns" { exchange.question.contains("\"set\"").to_string() } else { kind };
        if seen.lock().unwrap().insert(kind) { fault(exchange) } else { Meddling::Pass }
    })
}

fn status(status: u16, headers: &[(&'static str, &str)]) -> Meddling {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Meddling::Answer { status, headers, body: String::new() }
}

fn rewritten(member: &'static str, value: Value) -> Meddling {
    Meddling::Rewrite(Box::new(move |text| {
        let mut json: Value = serde_json::from_str(&text).unwrap_or_default();
        json[member] = value;
        json.to_string()
    }))
}

/// The tokens of the challenges are others than those that the CA will look for.
fn other_tokens(_: &Exchange) -> Meddling {
    Meddling::Rewrite(Box::new(|text| {
        let mut json: Value = serde_json::from_str(&text).unwrap_or_default();
        for challenge in json["challenges"].as_array_mut().into_iter().flatten() {
            let token: String = text_of(&challenge["token"]).chars().rev().collect();
            challenge["token"] = json!(token);
        }
        json.to_string()
    }))
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

enum End {
    Issued,
    Failed,
}

struct Case {
    name: &'static str,
    plan: Plan,
    end: End,
    /// In what the requester was told on the way, or at the end; empty: nothing needs to be told.
    told: &'static str,
}

const fn case(name: &'static str, plan: Plan, end: End, told: &'static str) -> Case {
    Case { name, plan, end, told }
}

/// `foreign`: a certificate that was issued for somebody else.
fn cases(foreign: String) -> Vec<Case> {
    use End::{Failed, Issued};
    const ALWAYS: usize = usize::MAX;
    let swapped: Plan = Arc::new(move |exchange| {
        let foreign = foreign.clone();
        if exchange.is_at("certZ") { Meddling::Rewrite(Box::new(|_| foreign)) } else { Meddling::Pass }
    });
    let unset: Plan = Arc::new(|exchange| match exchange.question.contains("\"set\"") {
        true => status(200, &[]),
        false => Meddling::Pass,
    });
    let forbidden: Plan = Arc::new(|exchange| match exchange.question.contains("\"set\"") {
        true => status(403, &[]),
        false => Meddling::Pass,
    });
    vec![
        case("unavailable", first(3, "", |_| status(503, &[("retry-after", "20")])), Issued, "status 503"),
        case("broken", first(2, "order-plz", |_| status(500, &[])), Issued, "status 500"),
        case("unheard", everywhere_once(|_| Meddling::CutBefore), Issued, "cannot be reached"),
        case("unanswered", everywhere_once(|_| Meddling::CutAfter(Box::new(|| {}))), Issued, "cannot be reached"),
        case("slow", first(3, "", |_| Meddling::Delay(Duration::from_secs(3))), Issued, ""),
        case("silent", first(1, "my-order", |_| Meddling::Delay(Duration::from_secs(25))), Issued, "in time"),
        case("nonces", first(4, "order-plz", |_| acme_problem(400, "badNonce", "used")), Issued, ""),
        case("nonce-storm", first(20, "order-plz", |_| acme_problem(400, "badNonce", "used")), Issued, "nonces"),
        case("limited", first(1, "order-plz", limited), Issued, "too many orders"),
        case(
            "invalid",
            first(ALWAYS, "my-order", |_| rewritten("status", json!("invalid"))),
            Failed,
            "given the order up",
        ),
        case("wrong-challenge", first(ALWAYS, "authZ", other_tokens), Failed, "did not accept control"),
        case("webhook-down", first(3, "dns", |_| status(500, &[])), Issued, "the DNS webhook answered with status 500"),
        case("webhook-refuses", forbidden, Failed, "the DNS webhook answered with status 403"),
        case("webhook-lies", unset, Failed, "was set, but"),
        case("dns-refuses", Arc::new(|_| Meddling::Pass), Issued, "looking up _acme-challenge.dns-refuses.acme.test"),
        case("other-certificate", swapped, Failed, "names that were not asked for"),
        case(
            "no-certificate",
            first(ALWAYS, "certZ", |_| Meddling::Rewrite(Box::new(|_| "<html>".to_owned()))),
            Failed,
            "in place of a certificate",
        ),
        case(
            "rejected",
            first(1, "order-plz", |_| acme_problem(400, "rejectedIdentifier", "on a list")),
            Failed,
            "request other names",
        ),
        case(
            "bad-csr",
            first(1, "finalize-order", |_| acme_problem(400, "badCSR", "a weak key")),
            Failed,
            "a weak key",
        ),
        case(
            "forgotten",
            first(1, "my-order", |_| acme_problem(404, "malformed", "no such order")),
            Failed,
            "no such order",
        ),
        case("down-for-days", first(ALWAYS, "", |_| Meddling::CutBefore), Failed, "given up after 48 hours"),
    ]
}

fn limited(_: &Exchange) -> Meddling {
    let body = json!({"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many orders"}).to_string();
    Meddling::Answer { status: 429, headers: vec![("retry-after", "240".to_owned())], body }
}

/// What requesters saw of their orders, and how these ended.
struct Course {
    told: BTreeMap<&'static str, BTreeSet<String>>,
    ended: BTreeMap<&'static str, Value>,
    /// When the CA was told to wait, and how long it was left alone.
    limited_for: i64,
}

/// Lets the orders go on until all are over. Time passes two seconds at once; when only the one that waits for days is
/// left, by the hour.
async fn run(
    world: &World,
    services: &Services,
    ways: &BTreeMap<&str, Way>,
    asked: &[(&'static str, String)],
) -> Course {
    const ROUNDS_MAX: usize = 900;
    let mut course = Course { told: BTreeMap::new(), ended: BTreeMap::new(), limited_for: 0 };
    let mut limited_at = None;
    for _ in 0..ROUNDS_MAX {
        world.authority().run_due_jobs().await;
        for (name, id) in asked.iter().filter(|(name, _)| !course.ended.contains_key(name)).collect::<Vec<_>>() {
            let seen = request(world.operator(), id).await;
            let said = ["pendingMessage", "errorMessage"].map(|field| text_of(&seen[field])).join("");
            if *name == "dns-refuses" && said.contains("looking up") {
                services.dns.clear_servfail("_acme-challenge.dns-refuses.acme.test.").await;
            }
            course.told.entry(name).or_default().insert(said);
            if is_over(&seen) {
                course.ended.insert(name, seen);
            }
        }
        let orders = ways["limited"].ca.exchanges().iter().filter(|it| it.is_at("order-plz")).count();
        match (orders, limited_at) {
            (1, None) => limited_at = Some(world.now_seconds()),
            (2.., Some(at)) if course.limited_for == 0 => course.limited_for = world.now_seconds() - at,
            _ => {}
        }
        if course.ended.len() == asked.len() {
            return course;
        }
        tokio::time::sleep(PAUSE).await;
        let others = course.ended.len() + 1 < asked.len();
        world.clock.advance_seconds(if others { 2 } else { 3_600 });
    }
    let open: Vec<_> = asked.iter().filter(|(name, _)| !course.ended.contains_key(name)).map(|it| it.0).collect();
    panic!("not over: {open:?}; told: {:#?}", course.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_on_the_way_to_a_ca_ends_in_a_certificate_or_a_clear_failure() {
    let services = Services::start().await;
    let names: Vec<&str> = cases(String::new()).iter().map(|it| it.name).chain(["undisturbed"]).collect();
    let mut ways = BTreeMap::new();
    for name in names {
        ways.insert(name, services.way().await);
    }
    let world = world_for(ways.values()).start().await;
    let undisturbed = profile(&world, &ways["undisturbed"], "undisturbed", &json!({})).await;
    let first = order(world.operator(), undisturbed, "undisturbed.acme.test").await;
    let first = world.tidy_order(&first).await;
    let foreign = format!("{}\n{}", text(&first, "/certificate"), text(&first, "/certificateChain"));

    let (cases, mut asked) = (cases(foreign), Vec::new());
    services.dns.set_servfail("_acme-challenge.dns-refuses.acme.test.").await;
    for case in &cases {
        let profile = profile(&world, &ways[case.name], case.name, &json!({})).await;
        ways[case.name].plan(&case.plan);
        asked.push((case.name, order(world.operator(), profile, &format!("{}.acme.test", case.name)).await));
    }
    let course = run(&world, &services, &ways, &asked).await;

    let (root, mut issued) = (services.pebble.roots().await.remove(0), 1);
    for case in &cases {
        let (name, way, ended) = (case.name, &ways[case.name], &course.ended[case.name]);
        let told = &course.told[name];
        assert!(told.iter().any(|it| it.contains(case.told)), "{name}: {told:#?}");
        let (orders, finalised) = (way.done_at("order-plz"), way.done_at("finalize-order"));
        assert!(orders <= 1 && finalised <= 1, "{name}: {orders} orders, {finalised} finalised: {}", way.course());
        match case.end {
            End::Issued => {
                assert_eq!(ended["status"], "issued", "{name}: {ended:#}");
                assert_eq!((orders, finalised), (1, 1), "{name}");
                judge::openssl_verifies(&chain_of(ended, &root), world.now_seconds().min(true_now().as_seconds() + 60));
                issued += 1;
            }
            End::Failed => {
                assert_eq!(ended["status"], "failed", "{name}: {ended:#}");
                assert!(text(ended, "/errorMessage").contains(case.told), "{name}: {ended:#}");
                assert_eq!(ended["certificate"], Value::Null, "{name}");
            }
        }
    }
    let aside = &course.ended["other-certificate"];
    assert_eq!(aside["quarantinedCertificate"].as_str().map(str::trim), first["certificate"].as_str().map(str::trim));
    assert!(text(aside, "/errorMessage").contains("another key"), "{aside:#}");
    assert!(course.limited_for >= 238, "asked again after {} s, not 240", course.limited_for);
    assert!(services.webhook.records().await.is_empty(), "left in the DNS: {:?}", services.webhook.records().await);
    assert_eq!(certificates_of(world.auditor()).await.len(), issued);
    audit_verifies(&world).await;
    world.stop().await;
}
