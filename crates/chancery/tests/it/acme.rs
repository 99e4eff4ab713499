//! Certificates of a public CA, as Let's Encrypt would give them, from Pebble: an ACME server that others wrote, with a DNS
//! and listeners for every kind of proof. It refuses one good nonce in twenty.
//!
//! ```text
//! Pebble Root CA ── Pebble Intermediate CA ── leaf ─renewed by the clock→ leaf′
//! other root ─────────┘
//! ```
//!
//! Verified: DNS-01 by webhook, and by signed updates of a real name server, with a wildcard beside its base name; HTTP-01
//! with twenty names; TLS-ALPN-01 with a name and an address; a key made here and a CSR given; accounts with and without
//! external binding; the chain up to the root and a preferred other root; renewal when it is due, with nobody asking;
//! revocation there; a new account key; a refusal in words; nothing left in the zone.

use std::net::TcpListener;

use chancery_model::time::SystemClock;
use chancery_model::{Clock as _, Timestamp};
use chancery_pkix::KeyAlgorithm as K;
use chancery_testkit::foreign::{ChallTestSrv, DnsWebhook, Knot, Pebble, PebbleOptions, TsigKey};
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, World, certification_request, merged, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const SECRET: &str = "a secret that both sides know";
const DAY: i64 = 86_400;

/// A server, the CA that it asks, and the DNS that both see.
struct Elsewhere {
    world: World,
    pebble: Pebble,
    dns: ChallTestSrv,
    webhook: DnsWebhook,
}

/// Names, addresses and lives as Pebble gives them (five years).
fn rules() -> Value {
    json!({
        "subject": [{"type": "common_name", "allowed": ["acme.test", "*.acme.test"]}],
        "sans": [
            {"type": "dns_name", "allowed": ["acme.test", "*.acme.test"]},
            {"type": "ip_address", "allowed": ["cidr:127.0.0.0/8"]},
        ],
        "validity": {"max": "10y"},
    })
}

impl Elsewhere {
    async fn start(options: PebbleOptions) -> Self {
        Self::listening(None, options).await
    }

    /// With the listener that this setting opens. Without a resolver the CA asks the same DNS as we do.
    async fn listening(listener: Option<&str>, options: PebbleOptions) -> Self {
        let dns = ChallTestSrv::start().await;
        let webhook = DnsWebhook::start(&dns, SECRET).await;
        // Held as long as possible: a free port is soon somebody else's.
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        let (http_port, tls_port) = (address.port(), address.port());
        let pebble = Pebble::start(PebbleOptions {
            resolver: options.resolver.or(Some(dns.dns())),
            http_port,
            tls_port,
            ..options
        })
        .await;
        let trusted = format!("{}\n{}", pebble.ca_pem(), webhook.ca_pem());
        drop(held);
        // Pebble's clock is the machine's.
        let start = Timestamp::from_seconds(SystemClock.now().as_seconds());
        let mut world = World::builder().with_egress_to_loopback(&trusted).fixed_clock(start);
        if let Some(setting) = listener {
            world = world.setting(setting, &address.to_string());
        }
        Self { world: world.start().await, pebble, dns, webhook }
    }

    /// Settings that prove every name by the DNS webhook; `changes` replace whole keys.
    async fn by_dns(&self, changes: &Value) -> Value {
        let body = json!({
            "name": "zone", "method": "signed", "credentials": {"url": self.webhook.url(), "secret": SECRET},
        });
        let made = self.world.admin().ok(Method::POST, "/api/v1/app-connections/dns-webhook", Some(&body)).await;
        let zone = json!({
            "dnsAppConnectionId": made["appConnection"]["id"],
            "dnsProviderConfig": {"provider": "webhook", "hostedZoneId": "acme.test"},
            "dnsResolvers": [self.dns.dns().to_string()],
        });
        merged(zone, changes)
    }

    async fn try_ca(&self, settings: &Value) -> (u16, Value) {
        let base = json!({"directoryUrl": self.pebble.directory_url(), "accountEmail": "pki@acme.test"});
        let body = json!({"name": "public", "configuration": merged(base, settings)});
        self.world.admin().post(&format!("{CERT_MANAGER}/ca/acme"), &body).await
    }

    async fn ca(&self, settings: &Value) -> String {
        let (status, made) = self.try_ca(settings).await;
        assert_eq!(status, 200, "{made}");
        text(&made, "/id")
    }

    /// A CA with these settings, and a profile of it.
    async fn profile(&self, settings: &Value, changes: &Value) -> Uuid {
        let (ca, template) = (self.ca(settings).await, self.world.template(&rules()).await);
        let base = json!({"caId": ca, "certificatePolicyId": template, "defaults": {"ttlDays": 90}});
        self.world.profile(&merged(base, changes)).await
    }

    /// What became of a request; whatever it was, the zone is clean again.
    async fn ended(&self, asked: &Value) -> Value {
        assert_eq!(asked["certificate"], Value::Null, "{asked}");
        let id = text(asked, "/certificateRequestId");
        let ended = self.world.settle_order(&id).await;
        self.world.tidy_order(&id).await;
        assert!(self.webhook.records().await.is_empty());
        ended
    }

    async fn issued(&self, profile: Uuid, names: &[&str]) -> Value {
        let names: Vec<_> = names.iter().map(|name| alternative(name)).collect();
        let attributes = json!({"altNames": names, "ttl": "1825d"});
        let asked = self.world.issue(profile, &json!({"attributes": attributes})).await;
        let ended = self.ended(&asked).await;
        assert_eq!(ended["status"], "issued", "{ended}");
        ended
    }

    /// A TLS client that trusts one of Pebble's roots, and OpenSSL, take the certificate for the name.
    async fn verify(&self, issued: &Value, name: &str, root: usize) {
        let between = text(issued, "/certificateChain");
        let root = self.pebble.roots().await.swap_remove(root);
        let chain = [text(issued, "/certificate"), between, root];
        // Pebble's certificates begin by the machine's clock.
        judge::webpki_verifies(&chain, name, SystemClock.now().as_seconds() + 1);
    }

    async fn certificate(&self, id: &str) -> Value {
        let path = format!("{CERT_MANAGER}/certificates/{id}");
        self.world.operator().ok(Method::GET, &path, None).await["certificate"].clone()
    }
}

fn alternative(name: &str) -> Value {
    let kind = if name.parse::<std::net::IpAddr>().is_ok() { "ip_address" } else { "dns_name" };
    json!({"type": kind, "value": name})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dns_proves_a_wildcard_and_its_base_name() {
    let elsewhere = Elsewhere::start(PebbleOptions { authorizations_reused: Some(0), ..Default::default() }).await;
    let settings = elsewhere.by_dns(&json!({})).await;
    let profile = elsewhere.profile(&settings, &json!({})).await;
    let issued = elsewhere.issued(profile, &["acme.test", "*.acme.test"]).await;
    elsewhere.verify(&issued, "acme.test", 0).await;
    elsewhere.verify(&issued, "any.acme.test", 0).await;
    assert!(judge::openssl_key_text(&text(&issued, "/privateKey")).contains("256 bit"));
    assert!(text(&issued, "/orderReference").starts_with("https://127.0.0.1:"));
    let received = elsewhere.webhook.received();
    let at_once: Vec<_> = received.iter().filter(|it| it["action"] == "set").map(|it| &it["name"]).collect();
    assert_eq!(at_once, ["_acme-challenge.acme.test", "_acme-challenge.acme.test"]);
    let shown = elsewhere.certificate(&text(&issued, "/certificateId")).await;
    assert_eq!(shown["status"], "active");
    elsewhere.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_takes_signed_updates_and_the_ca_reads_them_there() {
    let key = TsigKey { algorithm: "hmac-sha512".to_owned(), ..TsigKey::default() };
    let knot = Knot::start(&["acme.test"], &key).await;
    let options =
        PebbleOptions { resolver: Some(knot.address()), authorizations_reused: Some(0), ..Default::default() };
    let elsewhere = Elsewhere::start(options).await;
    let TsigKey { name, algorithm, secret } = key;
    let server = knot.address().to_string();
    let credentials = json!({"server": server, "keyName": name, "algorithm": algorithm, "secret": secret});
    let body = json!({"name": "knot", "method": "tsig", "credentials": credentials});
    let made = elsewhere.world.admin().ok(Method::POST, "/api/v1/app-connections/rfc2136", Some(&body)).await;
    let zone = json!({"zone": "acme.test", "provider": "rfc2136", "hostedZoneId": "acme.test",
        "appConnectionId": made["appConnection"]["id"]});
    let settings = json!({"dnsZones": [zone], "dnsResolvers": [server]});
    let profile = elsewhere.profile(&settings, &json!({})).await;
    let issued = elsewhere.issued(profile, &["acme.test", "*.acme.test"]).await;
    elsewhere.verify(&issued, "any.acme.test", 0).await;
    elsewhere.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_listener_proves_twenty_names_to_a_ca_that_binds_accounts() {
    let elsewhere =
        Elsewhere::listening(Some("acme_http_listen"), PebbleOptions { eab: true, strict: true, ..Default::default() })
            .await;
    let (status, refused) = elsewhere.try_ca(&json!({"challenges": ["http-01"]})).await;
    assert_eq!(status, 400);
    assert!(text(&refused, "/message").contains("eabKid"), "{refused}");
    let settings = json!({
        "challenges": ["http-01"], "eabKid": Pebble::EAB_KEY_ID, "eabHmacKey": Pebble::EAB_HMAC_KEY,
    });
    let profile = elsewhere.profile(&settings, &json!({})).await;
    let names: Vec<_> = (1..=20).map(|number| format!("host-{number}.acme.test")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let issued = elsewhere.issued(profile, &names).await;
    elsewhere.verify(&issued, "host-1.acme.test", 0).await;
    elsewhere.verify(&issued, "host-20.acme.test", 0).await;
    assert!(elsewhere.webhook.received().is_empty());
    elsewhere.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tls_listener_proves_a_name_and_an_address() {
    let elsewhere = Elsewhere::listening(Some("acme_tls_listen"), PebbleOptions::default()).await;
    let profile = elsewhere.profile(&json!({"challenges": ["tls-alpn-01"]}), &json!({})).await;
    let issued = elsewhere.issued(profile, &["www.acme.test", "127.0.0.1"]).await;
    elsewhere.verify(&issued, "www.acme.test", 0).await;
    elsewhere.verify(&issued, "127.0.0.1", 0).await;
    elsewhere.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_requester_keeps_the_key_and_gets_the_chain_that_is_preferred() {
    let elsewhere = Elsewhere::start(PebbleOptions { alternate_roots: 1, ..Default::default() }).await;
    let roots = elsewhere.pebble.roots().await;
    let subject = judge::openssl_reads(&["x509", "-noout", "-subject", "-nameopt", "RFC2253"], roots[1].as_bytes());
    let preferred = subject.trim().trim_start_matches("subject=").trim_start_matches("CN=").to_owned();
    let settings = elsewhere.by_dns(&json!({"preferredChain": preferred})).await;
    let profile = elsewhere.profile(&settings, &json!({})).await;
    let (csr, key) = certification_request("www.acme.test", &["www.acme.test"], K::EcP384);
    let body = json!({"profileId": profile, "csr": csr});
    let asked = elsewhere.world.operator().ok(Method::POST, &format!("{CERT_MANAGER}/certificates"), Some(&body)).await;
    let issued = elsewhere.ended(&asked).await;
    assert_eq!((&issued["status"], &issued["privateKey"]), (&json!("issued"), &Value::Null), "{issued}");
    elsewhere.verify(&issued, "www.acme.test", 1).await;
    let certified = judge::openssl_reads(&["x509", "-noout", "-pubkey"], text(&issued, "/certificate").as_bytes());
    let own = judge::openssl_reads(&["pkey", "-pubout"], key.to_pkcs8_pem().as_bytes());
    assert_eq!(certified, own);
    elsewhere.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_renews_when_it_is_time_and_nobody_asks() {
    let elsewhere = Elsewhere::start(PebbleOptions::default()).await;
    let settings = elsewhere.by_dns(&json!({})).await;
    let renewing = json!({"apiConfig": {"autoRenew": true, "renewAt": {"fraction": 0.1}, "renewJitter": "1s"}});
    let profile = elsewhere.profile(&settings, &renewing).await;
    let first = elsewhere.issued(profile, &["www.acme.test"]).await;
    let id = text(&first, "/certificateId");
    let due = text(&elsewhere.certificate(&id).await, "/renewalDueAt");
    let due = Timestamp::parse_date(&due).unwrap().as_seconds();
    let world = &elsewhere.world;
    // Five years, of which a tenth passes.
    let wait = due - world.now_seconds();
    assert!((175 * DAY..190 * DAY).contains(&wait), "{wait}");
    world.clock.advance_seconds(wait - 5);
    world.authority().run_due_jobs().await;
    assert_eq!(elsewhere.certificate(&id).await["renewedByCertificateId"], Value::Null);
    world.clock.advance_seconds(6);
    let mut successor = Value::Null;
    for _ in 0..400 {
        world.authority().run_due_jobs().await;
        successor = elsewhere.certificate(&id).await["renewedByCertificateId"].clone();
        if successor.is_string() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        world.clock.advance_seconds(1);
    }
    let successor = successor.as_str().expect("a successor");
    let renewed = elsewhere.certificate(successor).await;
    assert_eq!(renewed["altNames"], elsewhere.certificate(&id).await["altNames"]);
    assert_ne!(renewed["serialNumber"], first["serialNumber"]);
    elsewhere.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_and_a_new_account_key_reach_the_ca() {
    let elsewhere = Elsewhere::start(PebbleOptions::default()).await;
    let settings = elsewhere.by_dns(&json!({})).await;
    let ca = elsewhere.ca(&settings).await;
    let template = elsewhere.world.template(&rules()).await;
    let body = json!({"caId": ca, "certificatePolicyId": template, "defaults": {"ttlDays": 90}});
    let profile = elsewhere.world.profile(&body).await;
    let before = elsewhere.issued(profile, &["a.acme.test"]).await;
    let path = format!("{CERT_MANAGER}/ca/acme/{ca}/account-key");
    elsewhere.world.admin().ok(Method::POST, &path, Some(&json!({}))).await;
    let after = elsewhere.issued(profile, &["b.acme.test"]).await;
    elsewhere.verify(&after, "b.acme.test", 0).await;
    // By the account, whose key is another now.
    for issued in [&before, &after] {
        let serial = text(issued, "/serialNumber");
        assert_eq!(elsewhere.pebble.certificate_status(&serial).await, "Valid");
        let path = format!("{CERT_MANAGER}/certificates/{}/revoke", text(issued, "/certificateId"));
        let body = json!({"revocationReason": "SUPERSEDED"});
        elsewhere.world.operator().ok(Method::POST, &path, Some(&body)).await;
        elsewhere.world.authority().run_due_jobs().await;
        assert_eq!(elsewhere.pebble.certificate_status(&serial).await, "Revoked");
    }
    elsewhere.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_cannot_be_proved_fails_with_its_reason() {
    let elsewhere = Elsewhere::start(PebbleOptions::default()).await;
    let profile = elsewhere.profile(&json!({"challenges": ["http-01"]}), &json!({})).await;
    // The name leads to where nobody listens.
    elsewhere.dns.add_a("www.acme.test.", &[std::net::Ipv4Addr::new(127, 0, 0, 9)]).await;
    let attributes = json!({"altNames": [alternative("www.acme.test")], "ttl": "90d"});
    let asked = elsewhere.world.issue(profile, &json!({"attributes": attributes})).await;
    let ended = elsewhere.ended(&asked).await;
    assert_eq!(ended["status"], "failed", "{ended}");
    let reason = text(&ended, "/errorMessage");
    assert!(reason.contains("www.acme.test by http-01") && reason.contains("acme_http_listen"), "{reason}");
    let attributes = json!({"altNames": [alternative("*.acme.test")], "ttl": "90d"});
    let asked = elsewhere.world.issue(profile, &json!({"attributes": attributes})).await;
    let reason = text(&elsewhere.ended(&asked).await, "/errorMessage");
    assert!(reason.contains("*.acme.test") && reason.contains("dns-01 only"), "{reason}");
    elsewhere.world.stop().await;
}
