//! A server with something to show: a made-up company's CAs, templates and profiles, and almost a year of certificates
//! that were issued, renewed, revoked and refused. For pictures of the pages, and for tests that walk over all of them.
//!
//! It ends at the machine's own time, because the browser and the ACME server beside it have no other.

#![expect(clippy::panic, reason = "a fixture that cannot be set up is a failed test")]

use std::collections::BTreeMap;

use chancery_model::time::SystemClock;
use chancery_model::{Clock as _, Timestamp};
use chancery_pkix::KeyAlgorithm;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::foreign::{Browser, ChallTestSrv, DnsWebhook, Pebble, PebbleOptions};
use crate::world::{
    ADMIN_EMAIL, ADMIN_PASSWORD, CERT_MANAGER, Session, World, certification_request, id_at, merged, text,
};

const DAY: i64 = 86_400;
/// Between two rounds of issuance.
const ROUND_DAYS: i64 = 10;
/// After the last round, until now.
const LAST_DAYS: i64 = 15;
/// The least with which every kind of thing is there.
pub const ROUNDS_FEW: u32 = 4;
/// About 300 days.
pub const ROUNDS_FULL: u32 = 30;

const SERVICES: [&str; 12] =
    ["www", "shop", "api", "auth", "mail", "vpn", "git", "ci", "registry", "grafana", "ldap", "wiki"];
const REASONS: [&str; 4] = ["SUPERSEDED", "CESSATION_OF_OPERATION", "KEY_COMPROMISE", "AFFILIATION_CHANGED"];
const SECRET: &str = "a secret that both sides know";

pub struct Demonstration {
    pub world: World,
    /// What stands for `{certificate}`, `{profile}` and the like in the address of a screen.
    examples: BTreeMap<&'static str, String>,
    _outside: Outside,
}

/// Other people's services, for the external CA.
struct Outside {
    pebble: Pebble,
    dns: ChallTestSrv,
    webhook: DnsWebhook,
}

/// What issues in every round.
struct Profiles {
    web: Uuid,
    short: Uuid,
    mutual: Uuid,
    partners: Uuid,
    lab: Uuid,
    legacy: Uuid,
    legacy_template: Uuid,
}

impl Demonstration {
    /// With so many rounds of issuance, ten days apart.
    pub async fn start(rounds: u32) -> Self {
        let outside = Outside::start().await;
        let span = i64::from(rounds) * ROUND_DAYS * DAY + LAST_DAYS * DAY;
        let start = Timestamp::from_seconds(SystemClock.now().as_seconds() - span);
        let trusted = format!("{}\n{}", outside.pebble.ca_pem(), outside.webhook.ca_pem());
        let world = World::builder().with_egress_to_loopback(&trusted).fixed_clock(start).start().await;
        let mut shown = Self { world, examples: BTreeMap::new(), _outside: outside };
        let platform = shown.world.identity("platform", "admin").await;
        let profiles = shown.prepare(&platform, span).await;
        for round in 0..rounds {
            shown.live(&platform, &profiles, round).await;
        }
        shown.trouble(&platform, &profiles).await;
        shown.world.log_in_administrator().await;
        shown.order(&platform).await;
        shown.announce(&platform).await;
        shown
    }

    /// The full address of a page; `{certificate}` and the like are filled in.
    #[must_use]
    pub fn address(&self, path: &str) -> String {
        let filled =
            self.examples.iter().fold(path.to_owned(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
        if filled.contains('{') {
            panic!("{path} names an example that there is not: {:?}", self.examples.keys())
        }
        format!("{}{filled}", self.world.url())
    }

    /// An id that stands for a word in braces; see [`Self::address`].
    #[must_use]
    pub fn example(&self, name: &str) -> &str {
        self.examples.get(name).map_or_else(|| panic!("there is no example of {name}"), String::as_str)
    }

    async fn prepare(&mut self, platform: &Session, span: i64) -> Profiles {
        let root = self.root("Acme Root CA", 5_475, &json!({"keyAlgorithm": "EC_secp384r1"})).await;
        let issuing = self.below(root, "Acme Issuing CA 1", &json!({}), 1_825).await;
        let devices = self.below(root, "Acme Device CA", &json!({"keyAlgorithm": "EC_secp384r1"}), 1_095).await;
        // It has three weeks left in the end.
        let legacy = self.root("Acme Legacy Root", span / DAY + 21, &json!({})).await;
        let waiting = self.waiting().await;
        let web = self.template("web-servers", &json!({"description": "Web servers and APIs under acme.com"})).await;
        let services = json!({"preset": "tls-client", "sans": [{"type": "dns_name", "allowed": ["*.svc.acme.com"]}],
            "subject": [{"type": "common_name", "allowed": ["*.svc.acme.com"]}]});
        let services = self.template("services", &services).await;
        let old = self.template("legacy-applications", &json!({})).await;
        let devices_template = self.template("devices", &json!({"preset": "device"})).await;
        let automatic = json!({"apiConfig": {"autoRenew": true, "renewBeforeDays": 20}});
        let profile = async |slug: &str, issuer: Uuid, template: Uuid, more: &Value| {
            let base = json!({"slug": slug, "caId": issuer, "certificatePolicyId": template});
            self.world.profile(&merged(base, more)).await
        };
        profile("devices", devices, devices_template, &json!({"defaults": {"ttlDays": 365}})).await;
        let profiles = Profiles {
            web: profile("web-servers", issuing, web, &automatic).await,
            short: profile("short-lived", issuing, web, &json!({"defaults": {"ttlDays": 7}})).await,
            mutual: profile("mutual-tls", issuing, services, &json!({"keyCustody": "returnOnce"})).await,
            partners: profile("partners", issuing, web, &json!({"keyCustody": "none"})).await,
            lab: {
                let lab = json!({"slug": "lab", "issuerType": "self-signed", "certificatePolicyId": web});
                self.world.profile(&lab).await
            },
            legacy: profile("legacy-applications", legacy, old, &merged(json!({"clampToIssuer": true}), &automatic))
                .await,
            legacy_template: old,
        };
        self.example_is("root", root);
        self.example_is("ca", issuing);
        self.example_is("waiting-ca", waiting);
        self.example_is("template", web);
        self.example_is("profile", profiles.web);
        self.example_is("self-signed-profile", profiles.lab);
        platform.ok(Method::POST, "/api/v1/identities", Some(&json!({"name": "build-farm", "role": "operator"}))).await;
        profiles
    }

    fn example_is(&mut self, name: &'static str, id: impl ToString) {
        self.examples.insert(name, id.to_string());
    }

    async fn root(&self, name: &str, days: i64, more: &Value) -> Uuid {
        let base = json!({"type": "root", "commonName": name, "organization": "Acme GmbH", "country": "DE",
            "keyAlgorithm": "EC_prime256v1", "notAfter": self.world.date_in_days(days), "maxPathLength": -1});
        self.world.ca(&json!({"name": slug(name), "configuration": merged(base, more)})).await
    }

    async fn below(&self, parent: Uuid, name: &str, more: &Value, days: i64) -> Uuid {
        let base = json!({"type": "intermediate", "commonName": name, "organization": "Acme GmbH", "country": "DE",
            "keyAlgorithm": "EC_prime256v1"});
        let id = self.world.ca(&json!({"name": slug(name), "configuration": merged(base, more)})).await;
        let certificate = json!({"parentCaId": parent, "notAfter": self.world.date_in_days(days), "maxPathLength": 0});
        let path = format!("{CERT_MANAGER}/ca/internal/{id}/certificate");
        self.world.admin().ok(Method::POST, &path, Some(&certificate)).await;
        id
    }

    /// A CA whose certificate is to come from a parent elsewhere.
    async fn waiting(&self) -> Uuid {
        let configuration = json!({"type": "intermediate", "commonName": "Acme Partner CA", "organization": "Acme GmbH",
            "keyAlgorithm": "EC_prime256v1"});
        let body = json!({"name": "acme-partner-ca", "status": "pending-certificate", "configuration": configuration});
        self.world.ca(&body).await
    }

    async fn template(&self, name: &str, more: &Value) -> Uuid {
        let base = json!({"name": name, "subject": [{"type": "common_name", "allowed": ["*.acme.com"]}],
            "sans": [{"type": "dns_name", "allowed": ["*.acme.com"]}], "validity": {"max": "1y"}});
        self.world.template(&merged(base, more)).await
    }

    /// Ten days of a company: some certificates, a refusal, now and then a revocation.
    async fn live(&mut self, platform: &Session, profiles: &Profiles, round: u32) {
        for (at, service) in (0_u32..).zip(SERVICES) {
            let number = round * 12 + at;
            let (profile, name) = match number % 7 {
                0 | 1 | 3 => (profiles.web, format!("{service}-{round}.acme.com")),
                2 => (profiles.short, format!("{service}.preview.acme.com")),
                4 => (profiles.mutual, format!("{service}-{round}.svc.acme.com")),
                5 => (profiles.lab, format!("{service}.lab.acme.com")),
                _ => (profiles.partners, format!("{service}.partner{round}.acme.com")),
            };
            let id = self.issue(profile, profiles, &name, number).await;
            if number % 9 == 4 {
                let reason = usize::try_from(number / 9).ok().and_then(|it| REASONS.get(it % REASONS.len()));
                let path = format!("{CERT_MANAGER}/certificates/{id}/revoke");
                platform.ok(Method::POST, &path, Some(&json!({"revocationReason": reason}))).await;
                self.example_is("revoked", id);
            } else if profile == profiles.web {
                self.example_is("certificate", id);
            } else if profile == profiles.partners {
                self.example_is("csr-certificate", id);
            }
            self.world.clock.advance_seconds(ROUND_DAYS * DAY / 12);
            if at % 3 == 2 {
                self.world.authority().run_due_jobs().await;
            }
        }
        let wrong = json!({"profileId": profiles.web, "attributes": {"commonName": "www.acme.org", "ttl": "2y"}});
        let (status, answer) = self.world.operator().post(&format!("{CERT_MANAGER}/certificates"), &wrong).await;
        if status < 400 {
            panic!("acme.org is not to have a certificate: {answer}");
        }
        if round == 0 {
            self.issue(profiles.legacy, profiles, "erp.acme.com", 0).await;
        }
    }

    async fn issue(&self, profile: Uuid, profiles: &Profiles, name: &str, number: u32) -> String {
        let team = if number.is_multiple_of(2) { "shop" } else { "platform" };
        let metadata = json!([{"key": "team", "value": team}]);
        let body = if profile == profiles.partners {
            let (csr, _) = certification_request(name, &[name], KeyAlgorithm::EcP256);
            json!({"metadata": metadata, "csr": csr, "attributes": {"ttl": "180d"}})
        } else {
            let life = ["90d", "180d", "45d", "365d", "30d"];
            let life = usize::try_from(number).ok().and_then(|it| life.get(it % life.len()));
            let life = if profile == profiles.short { Some(&"7d") } else { life };
            let key = if number % 5 == 3 { "EC_secp384r1" } else { "EC_prime256v1" };
            json!({"metadata": metadata, "attributes": {"commonName": name, "ttl": life, "keyAlgorithm": key}})
        };
        text(&self.world.issue(profile, &body).await, "/certificate/certificateId")
    }

    /// A renewal that its template does not allow any more.
    async fn trouble(&mut self, platform: &Session, profiles: &Profiles) {
        let legacy = json!({"profileId": profiles.legacy, "attributes": {"commonName": "crm.acme.com", "ttl": "30d"}});
        let made = self.world.operator().ok(Method::POST, &format!("{CERT_MANAGER}/certificates"), Some(&legacy)).await;
        self.example_is("failed", text(&made, "/certificate/certificateId"));
        let narrow = json!({"subject": [{"type": "common_name", "allowed": ["*.erp.acme.com"]}]});
        let path = format!("{CERT_MANAGER}/certificate-policies/{}", profiles.legacy_template);
        platform.ok(Method::PATCH, &path, Some(&narrow)).await;
        self.world.clock.advance_seconds(LAST_DAYS * DAY);
        self.world.authority().run_due_jobs().await;
    }

    /// An external CA with a certificate, and with an order that waits.
    async fn order(&mut self, platform: &Session) {
        let outside = &self._outside;
        let connection = json!({"name": "acme-zone", "method": "signed",
            "credentials": {"url": outside.webhook.url(), "secret": SECRET}});
        let connection = platform.ok(Method::POST, "/api/v1/app-connections/dns-webhook", Some(&connection)).await;
        let ca = json!({"name": "public-ca", "configuration": {
            "directoryUrl": outside.pebble.directory_url(),
            "accountEmail": "pki@acme.com",
            "dnsAppConnectionId": id_at(&connection, "/appConnection/id"),
            "dnsProviderConfig": {"provider": "webhook", "hostedZoneId": "acme.com"},
            "dnsResolvers": [outside.dns.dns().to_string()],
        }});
        let ca = id_at(&platform.ok(Method::POST, &format!("{CERT_MANAGER}/ca/acme"), Some(&ca)).await, "/id");
        let template = self.template("public-web-servers", &json!({"validity": {"max": "10y"}})).await;
        let profile = json!({"slug": "public-web-servers", "caId": ca, "certificatePolicyId": template});
        let profile = self.world.profile(&profile).await;
        let names =
            |name: &str| json!({"attributes": {"altNames": [{"type": "dns_name", "value": name}], "ttl": "1825d"}});
        let asked = self.world.issue(profile, &names("www.acme.com")).await;
        let request = text(&asked, "/certificateRequestId");
        self.world.settle_order(&request).await;
        let waiting = self.world.issue(profile, &names("status.acme.com")).await;
        self.example_is("external-ca", ca);
        self.example_is("connection", id_at(&connection, "/appConnection/id"));
        self.example_is("external-profile", profile);
        self.example_is("request", request);
        self.example_is("pending-request", text(&waiting, "/certificateRequestId"));
    }

    async fn announce(&mut self, platform: &Session) {
        let hook = |url: &str| json!([{"channelType": "webhook", "config": {"url": url, "signingSecret": SECRET}}]);
        let alerts = [
            json!({"name": "ends-soon", "eventType": "expiration", "alertBefore": "14d",
                "channels": hook("https://hooks.acme.com/pki")}),
            json!({"name": "renewal-failed", "eventType": "renewal_failed", "channels": [
                {"channelType": "slack", "config": {"webhookUrl": "https://hooks.slack.com/services/T0/B0/x"}}]}),
        ];
        for alert in alerts {
            let made = platform.ok(Method::POST, &format!("{CERT_MANAGER}/alerts"), Some(&alert)).await;
            self.example_is("alert", text(&made, "/alert/id"));
        }
    }
}

impl Outside {
    async fn start() -> Self {
        let dns = ChallTestSrv::start().await;
        let webhook = DnsWebhook::start(&dns, SECRET).await;
        let pebble = Pebble::start(PebbleOptions { resolver: Some(dns.dns()), ..Default::default() }).await;
        Self { pebble, dns, webhook }
    }
}

/// Signs the administrator in by the form.
pub async fn sign_in(browser: &Browser, site_url: &str) {
    browser.open(&format!("{site_url}/ui/sign-in")).await;
    browser.fill("E-mail", ADMIN_EMAIL).await;
    browser.fill("Password", ADMIN_PASSWORD).await;
    browser.click_text("Sign in").await;
    browser.wait_for("nav").await;
}

fn slug(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}
