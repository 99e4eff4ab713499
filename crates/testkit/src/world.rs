//! A whole server for one test: in this process, on a free port, with a clock that the test moves and randomness from a
//! seed; and sessions on it for each role. Everything a test does goes over HTTP, as a stranger's call would.
//!
//! ```ignore
//! let world = World::start().await;
//! let pki = world.pki().await;                                     // root, issuing CA, template, two profiles
//! let (status, body) = world.operator().post("/api/v1/cert-manager/certificates", &json!({…})).await;
//! world.clock.advance_seconds(3600);
//! world.stop().await;
//! ```
//!
//! A fixture that cannot be set up is a failed test, so this module panics with the server's own words.

#![expect(clippy::panic, reason = "a fixture that cannot be set up is a failed test")]

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chancery_authority::{Authority, Call, Requester};
use chancery_cli::{Client, Reply};
use chancery_keys::{PrivateKey, Signer as _};
use chancery_model::random::SeededRandomness;
use chancery_model::time::FixedClock;
use chancery_model::{Clock as _, ProjectId, Timestamp};
use chancery_pkix::{
    Attribute, AttributeType, CertificationRequestInfo, DistinguishedName, GeneralName, GeneralNameKind, KeyAlgorithm,
    KeyUsages, assemble, pem,
};
use chancery_server::{Config, RunningServer};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

/// 2026-01-15T12:00:00Z: when every world begins unless its test says otherwise.
pub const START_SECONDS: i64 = 1_768_478_400;

/// Who the administrator signs in as.
pub const ADMIN_EMAIL: &str = "admin@world.test";
pub const ADMIN_PASSWORD: &str = "correct horse battery staple";
/// The key-encryption key of worlds on PostgreSQL, which makes none by itself. It protects test data only.
const POSTGRES_KEK: &str = "6b0d1a5e3f7c924880aa51d3c2e4f60718293a4b5c6d7e8f9001122334455667";

pub const CERT_MANAGER: &str = chancery_cli::client::CERT_MANAGER;

/// How a world is to be.
pub struct WorldBuilder {
    settings: BTreeMap<String, String>,
    start: Timestamp,
    seed: u64,
    /// What becomes `egress_ca_file`, unless it stays empty.
    trusted: String,
}

impl WorldBuilder {
    /// A key of the configuration, such as `repository_url`.
    #[must_use]
    pub fn setting(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(format!("CHANCERY_{}", key.to_uppercase()), value.to_owned());
        self
    }

    /// May ask services on this machine, whose TLS certificates these CA certificates (PEM) vouch for.
    #[must_use]
    pub fn with_egress_to_loopback(mut self, ca_pem: &str) -> Self {
        self.trusted.push_str(ca_pem);
        self.trusted.push('\n');
        self.setting("egress_allowed_networks", "127.0.0.0/8,::1/128").setting("egress_loopback_for_tests", "true")
    }

    #[must_use]
    pub fn fixed_clock(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// On a PostgreSQL database of its own, made on the server that this address leads to.
    #[must_use]
    pub fn postgres(self, server_url: &str) -> Self {
        self.setting("database_url", server_url).setting("kek", POSTGRES_KEK)
    }

    pub async fn start(mut self) -> World {
        let data = must("a temporary directory", tempfile::tempdir());
        if !self.trusted.is_empty() {
            let file = data.path().join("egress-ca.pem");
            must("the file of trusted CAs", std::fs::write(&file, &self.trusted));
            self = self.setting("egress_ca_file", &file.display().to_string());
        }
        if let Some(url) = self.settings.get_mut("CHANCERY_DATABASE_URL") {
            *url = fresh_database(url).await;
        }
        let mut settings: BTreeMap<String, String> = BTreeMap::from([
            ("CHANCERY_DATA_DIR".to_owned(), data.path().join("data").display().to_string()),
            ("CHANCERY_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            // Tests of refusals would otherwise meet the limit on failed calls.
            ("CHANCERY_FAILED_CALLS_PER_SECOND".to_owned(), "0".to_owned()),
        ]);
        settings.append(&mut self.settings);
        let clock = Arc::new(FixedClock::at(self.start));
        let server = start_server(&settings, &clock, self.seed).await;
        let created = server.authority().ensure_administrator(ADMIN_EMAIL, ADMIN_PASSWORD).await;
        must("the administrator", created);
        let anonymous = Session(must("a client", Client::new(&server.url(), None)));
        let admin =
            Session(must("the administrator's log-in", anonymous.login_user(ADMIN_EMAIL, ADMIN_PASSWORD).await));
        let operator = admin.new_identity("operator", "operator").await;
        let auditor = admin.new_identity("auditor", "auditor").await;
        World { clock, settings, seed: self.seed, server: Some(server), data, anonymous, admin, operator, auditor }
    }
}

/// A running server and who talks to it.
pub struct World {
    pub clock: Arc<FixedClock>,
    settings: BTreeMap<String, String>,
    seed: u64,
    server: Option<RunningServer>,
    data: TempDir,
    anonymous: Session,
    admin: Session,
    operator: Session,
    auditor: Session,
}

impl World {
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// An embedded database, the default clock and seed, no limit on failed calls.
    #[must_use]
    pub fn builder() -> WorldBuilder {
        WorldBuilder {
            settings: BTreeMap::new(),
            start: Timestamp::from_seconds(START_SECONDS),
            seed: 1,
            trusted: String::new(),
        }
    }

    /// Nobody: no session.
    #[must_use]
    pub const fn anonymous(&self) -> &Session {
        &self.anonymous
    }

    /// The administrator, a person.
    #[must_use]
    pub const fn admin(&self) -> &Session {
        &self.admin
    }

    /// A machine identity that may request and renew.
    #[must_use]
    pub const fn operator(&self) -> &Session {
        &self.operator
    }

    /// A machine identity that may read everything but keys.
    #[must_use]
    pub const fn auditor(&self) -> &Session {
        &self.auditor
    }

    /// A new session for the administrator: a person's session ends within days of the moving clock.
    pub async fn log_in_administrator(&mut self) {
        let session = self.anonymous.login_user(ADMIN_EMAIL, ADMIN_PASSWORD).await;
        self.admin = Session(must("the administrator's log-in", session));
    }

    /// A further machine identity with a role: `admin`, `operator` or `auditor`.
    pub async fn identity(&self, name: &str, role: &str) -> Session {
        self.admin.new_identity(name, role).await
    }

    /// The administrator of another, fresh project.
    pub async fn other_project_admin(&self) -> Session {
        let name = unique("other");
        let made = self.admin.ok(Method::POST, "/api/v2/workspace", Some(&json!({"projectName": name}))).await;
        let project: ProjectId = must("the project's id", text(&made, "/project/id").parse());
        let call =
            Call { requester: self.requester(&self.admin).await, request_id: "world".to_owned(), idempotency: None };
        let (identity, secret) = must(
            "the other project's administrator",
            self.authority().appoint_administrator(&call, project, &name).await,
        );
        let Some(settings) = identity.universal_auth else { panic!("the other project's administrator cannot log in") };
        Session(must("a log-in", self.anonymous.login(&settings.client_id.to_string(), &secret).await))
    }

    /// The requester that a session's token stands for, for calls past the door.
    pub async fn requester(&self, session: &Session) -> Requester {
        let token = session.token().unwrap_or_default();
        must("a requester", self.authority().authenticate(token, IpAddr::V4(Ipv4Addr::LOCALHOST)).await)
    }

    #[must_use]
    pub fn authority(&self) -> Authority {
        self.server().authority()
    }

    #[must_use]
    pub fn url(&self) -> String {
        self.server().url()
    }

    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.settings.get("CHANCERY_DATA_DIR").map_or_else(|| self.data.path(), |path| Path::new(path.as_str()))
    }

    /// Now, by the world's clock.
    #[must_use]
    pub fn now_seconds(&self) -> i64 {
        self.clock.now().as_seconds()
    }

    fn server(&self) -> &RunningServer {
        self.server.as_ref().unwrap_or_else(|| panic!("the server has been stopped"))
    }

    /// Stops the server properly and starts another on the same data. Sessions stay good; the port is another.
    pub async fn restart(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        // Another seed, or ids and serial numbers would be drawn a second time.
        self.seed += 1;
        let server = start_server(&self.settings, &self.clock, self.seed).await;
        self.anonymous = Session(must("a client", Client::new(&server.url(), None)));
        for session in [&mut self.admin, &mut self.operator, &mut self.auditor] {
            *session = Session(self.anonymous.with_token(session.token().unwrap_or_default()));
        }
        self.server = Some(server);
    }

    /// Stops the server, lets time pass, and starts another on the same data.
    pub async fn down_for(&mut self, seconds: i64) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        self.clock.advance_seconds(seconds);
        self.restart().await;
    }

    /// A key of the configuration, if this world has set it.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(&format!("CHANCERY_{}", key.to_uppercase())).map(String::as_str)
    }

    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// A second node on this world's PostgreSQL database: its own server and data directory, the same clock, the same
    /// sessions.
    pub async fn another_node(&self, name: &str) -> Self {
        let data = must("a temporary directory", tempfile::tempdir());
        let mut settings = self.settings.clone();
        settings.insert("CHANCERY_NODE".to_owned(), name.to_owned());
        settings.insert("CHANCERY_DATA_DIR".to_owned(), data.path().join("data").display().to_string());
        // Two nodes with one seed would draw the same ids and serial numbers.
        let seed = self.seed + 1_000;
        let server = start_server(&settings, &self.clock, seed).await;
        let anonymous = Session(must("a client", Client::new(&server.url(), None)));
        let there = |session: &Session| Session(anonymous.with_token(session.token().unwrap_or_default()));
        Self {
            clock: Arc::clone(&self.clock),
            settings,
            seed,
            server: Some(server),
            data,
            admin: there(&self.admin),
            operator: there(&self.operator),
            auditor: there(&self.auditor),
            anonymous,
        }
    }

    /// A root CA, an issuing CA under it, a template (`*.acme.test`, one year) and two profiles.
    pub async fn pki(&self) -> Pki {
        let root = self.root_ca(&unique("root"), KeyAlgorithm::EcP256).await;
        let issuing = self.issuing_ca(&unique("issuing"), KeyAlgorithm::EcP256, root).await;
        let template = self.template(&json!({})).await;
        let profile = self.profile(&json!({"caId": issuing, "certificatePolicyId": template})).await;
        let self_signed = self.profile(&json!({"issuerType": "self-signed", "certificatePolicyId": template})).await;
        Pki { root, issuing, template, profile, self_signed }
    }

    /// An active root CA, valid for ten years.
    pub async fn root_ca(&self, name: &str, algorithm: KeyAlgorithm) -> Uuid {
        self.ca(&json!({
            "name": name,
            "configuration": {
                "type": "root",
                "commonName": format!("World {name}"),
                "keyAlgorithm": algorithm.as_str(),
                "notAfter": self.date_in_days(3650),
                "maxPathLength": -1,
            },
        }))
        .await
    }

    /// An active CA under another, valid for five years, with no CA below it.
    pub async fn issuing_ca(&self, name: &str, algorithm: KeyAlgorithm, parent: Uuid) -> Uuid {
        let certificate = json!({"notAfter": self.date_in_days(1825), "maxPathLength": 0, "parentCaId": parent});
        self.intermediate_ca(name, algorithm, &certificate).await
    }

    /// An active CA whose certificate is asked for with this body; `parentCaId` must be in it.
    pub async fn intermediate_ca(&self, name: &str, algorithm: KeyAlgorithm, certificate: &Value) -> Uuid {
        let configuration = json!({
            "type": "intermediate",
            "commonName": format!("World {name}"),
            "keyAlgorithm": algorithm.as_str(),
        });
        let id = self.ca(&json!({"name": name, "configuration": configuration})).await;
        self.admin.ok(Method::POST, &format!("{CERT_MANAGER}/ca/internal/{id}/certificate"), Some(certificate)).await;
        id
    }

    /// A CA from the body of its create request.
    pub async fn ca(&self, body: &Value) -> Uuid {
        let body = merged(json!({"status": "active"}), body);
        let made = self.admin.ok(Method::POST, &format!("{CERT_MANAGER}/ca/internal"), Some(&body)).await;
        id_at(&made, "/id")
    }

    /// A template: preset `tls-server`, names under `acme.test`, at most one year; `changes` replace whole keys.
    pub async fn template(&self, changes: &Value) -> Uuid {
        let base = json!({
            "name": unique("template"),
            "preset": "tls-server",
            "subject": [{"type": "common_name", "allowed": ["*.acme.test"]}],
            "sans": [{"type": "dns_name", "allowed": ["*.acme.test"]}],
            "validity": {"max": "1y"},
        });
        let path = format!("{CERT_MANAGER}/certificate-policies");
        let made = self.admin.ok(Method::POST, &path, Some(&merged(base, changes))).await;
        id_at(&made, "/certificatePolicy/id")
    }

    /// A profile; `changes` must name the template and, unless self-signed, the CA.
    pub async fn profile(&self, changes: &Value) -> Uuid {
        let base = json!({
            "slug": unique("profile"),
            "issuerType": "ca",
            "enrollmentType": "api",
            "defaults": {"ttlDays": 90},
        });
        let path = format!("{CERT_MANAGER}/certificate-profiles");
        let made = self.admin.ok(Method::POST, &path, Some(&merged(base, changes))).await;
        id_at(&made, "/certificateProfile/id")
    }

    /// A certificate as the operator gets it; `changes` replace whole keys of `{profileId, attributes}`.
    pub async fn issue(&self, profile: Uuid, changes: &Value) -> Value {
        let base = json!({"profileId": profile, "attributes": {"commonName": "www.acme.test"}});
        self.operator.ok(Method::POST, &format!("{CERT_MANAGER}/certificates"), Some(&merged(base, changes))).await
    }

    /// Lets everything be done for a request at an external CA, and time pass, until the request has ended; its answer.
    pub async fn settle_order(&self, request: &str) -> Value {
        let ended = |answer: &Value| !matches!(answer["status"].as_str(), Some("pending" | "pending_validation"));
        self.order_until(request, "ended", ended).await
    }

    /// The same until nothing of the order is left outside.
    pub async fn tidy_order(&self, request: &str) -> Value {
        self.order_until(request, "been tidied up", |answer| answer["orderStatus"] == "done").await
    }

    /// Other people's services work by the real clock and this server by the test's, so both go on.
    async fn order_until(&self, request: &str, what: &str, reached: impl Fn(&Value) -> bool) -> Value {
        const ROUNDS_MAX: u32 = 1_200;
        const PAUSE: Duration = Duration::from_millis(50);
        const STEP_SECONDS: i64 = 2;
        let path = format!("{CERT_MANAGER}/certificates/certificate-requests/{request}");
        let mut answer = Value::Null;
        for _ in 0..ROUNDS_MAX {
            self.authority().run_due_jobs().await;
            answer = self.operator.ok(Method::GET, &path, None).await;
            if reached(&answer) {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
            self.clock.advance_seconds(STEP_SECONDS);
        }
        panic!("the order has not {what}: {answer:#}")
    }

    /// A date so many days from now, as requests take it.
    #[must_use]
    pub fn date_in_days(&self, days: i64) -> String {
        self.clock.now().plus_seconds(days * 86_400).to_string()
    }
}

/// What [`World::pki`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Pki {
    pub root: Uuid,
    pub issuing: Uuid,
    pub template: Uuid,
    /// Issued by `issuing`, 90 days unless asked otherwise.
    pub profile: Uuid,
    pub self_signed: Uuid,
}

/// Somebody's session. Typed calls are those of [`Client`]; the four below take and give bare JSON and never fail on a
/// status.
#[derive(Clone)]
pub struct Session(Client);

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}

impl Session {
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> (u16, Value) {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let Reply { status, body } = must(path, self.0.send(method, path, body).await);
        (status, body)
    }

    /// The body of a success; any other status fails the test with the server's answer.
    pub async fn ok(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.send(method.clone(), path, body).await;
        if (200..300).contains(&status) { answer } else { panic!("{method} {path}: {status} {answer:#}") }
    }

    /// A machine identity in this session's project, logged in.
    async fn new_identity(&self, name: &str, role: &str) -> Self {
        let name = unique(name);
        let made = self.ok(Method::POST, "/api/v1/identities", Some(&json!({"name": name, "role": role}))).await;
        let path = format!("/api/v1/auth/universal-auth/identities/{}", text(&made, "/identity/id"));
        // Tests move the clock by months; a session must not end meanwhile.
        let lasting = json!({"accessTokenTTL": 315_360_000, "accessTokenMaxTTL": 315_360_000});
        let login = self.ok(Method::POST, &path, Some(&lasting)).await;
        let secret = self.ok(Method::POST, &format!("{path}/client-secrets"), Some(&json!({}))).await;
        let client_id = text(&login, "/identityUniversalAuth/clientId");
        Self(must("a log-in", self.0.login(&client_id, &text(&secret, "/clientSecret")).await))
    }

    /// A call in bytes and headers as the test spells them, for input that is wrong on purpose.
    pub async fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> reqwest::Response {
        let client = must("an HTTP client", reqwest::Client::builder().tls_certs_only([]).no_proxy().build());
        let mut request = client.request(method, format!("{}{path}", self.site_url())).body(body);
        if let Some(token) = self.token() {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        must(path, request.send().await)
    }
}

/// A certification request (PEM) with its key: a common name, and DNS names.
#[must_use]
pub fn certification_request(common_name: &str, dns_names: &[&str], algorithm: KeyAlgorithm) -> (String, PrivateKey) {
    let names: Vec<(GeneralNameKind, &str)> = dns_names.iter().map(|name| (GeneralNameKind::DnsName, *name)).collect();
    certification_request_with(common_name, &names, algorithm)
}

/// The same with names of any kind. An empty common name leaves the subject empty.
#[must_use]
pub fn certification_request_with(
    common_name: &str,
    names: &[(GeneralNameKind, &str)],
    algorithm: KeyAlgorithm,
) -> (String, PrivateKey) {
    let key = must("a key", PrivateKey::generate(algorithm));
    let attributes =
        if common_name.is_empty() { Vec::new() } else { vec![Attribute::new(AttributeType::CommonName, common_name)] };
    let subject = must("a subject", DistinguishedName::new(attributes));
    let sans: Vec<GeneralName> =
        names.iter().map(|(kind, value)| must(value, GeneralName::parse(*kind, value))).collect();
    let info = CertificationRequestInfo {
        subject_der: &subject.to_der(),
        public_key: key.public_key(),
        subject_alt_names: &sans,
        key_usages: KeyUsages::default(),
        extended_key_usages: &[],
        basic_constraints: None,
    }
    .to_der();
    let signature = must("a signature", key.sign(algorithm.default_signature(), &info));
    (pem::encode(pem::CERTIFICATE_REQUEST, &assemble(&info, algorithm.default_signature(), &signature)), key)
}

/// The text at a JSON pointer; fails the test when there is none.
#[must_use]
pub fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer).and_then(Value::as_str) {
        Some(text) => text.to_owned(),
        None => panic!("no text at {pointer} in {value:#}"),
    }
}

/// The id at a JSON pointer.
#[must_use]
pub fn id_at(value: &Value, pointer: &str) -> Uuid {
    must(pointer, text(value, pointer).parse())
}

/// An object with some keys replaced or added; `null` in `changes` is kept as `null`.
#[must_use]
pub fn merged(mut base: Value, changes: &Value) -> Value {
    if let (Some(fields), Some(changes)) = (base.as_object_mut(), changes.as_object()) {
        fields.extend(changes.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    base
}

/// A name that no other fixture of this process has.
fn unique(word: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("{word}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn start_server(settings: &BTreeMap<String, String>, clock: &Arc<FixedClock>, seed: u64) -> RunningServer {
    let config = must("the configuration", Config::load(None, settings.clone()));
    must("the server", chancery_server::start(config, clock.clone(), Arc::new(SeededRandomness::new(seed))).await)
}

/// A new database on the server, and its address.
async fn fresh_database(server_url: &str) -> String {
    let name = format!("world_{}", must("random bytes", random_hex()));
    let (client, connection) = must("PostgreSQL", tokio_postgres::connect(server_url, tokio_postgres::NoTls).await);
    let driver = tokio::spawn(connection);
    must("a database", client.batch_execute(&format!("CREATE DATABASE {name}")).await);
    drop(client);
    driver.abort();
    let (address, query) = server_url.split_once('?').map_or((server_url, ""), |(address, query)| (address, query));
    let base = address
        .rfind('/')
        .filter(|at| *at > "postgres://".len())
        .map_or(address, |at| address.get(..at).unwrap_or(address));
    if query.is_empty() { format!("{base}/{name}") } else { format!("{base}/{name}?{query}") }
}

fn random_hex() -> std::io::Result<String> {
    use std::io::Read as _;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex::encode(bytes))
}

fn must<T, E: Debug>(what: impl Display, outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}
