//! DNS providers and look-ups.
//!
//! The clouds are stand-ins written from their public API descriptions (`cloudflare.rs` …): each keeps a zone, checks what a
//! real one would check of a request (signatures are computed anew here), and pages its lists. Every one of them goes through
//! `fits` below: values come and go one by one, whatever else is at the name, and each refusal is told as what it is.
//!
//! `rfc2136.rs` and `lookup.rs` ask a real server (Knot DNS), and one that misbehaves.

mod azure;
mod cloudflare;
mod desec;
mod digitalocean;
mod dns_made_easy;
mod fake_server;
mod gandi;
mod google;
mod hetzner;
mod knot;
mod lookup;
mod ovh;
mod rfc2136;
mod route53;
mod webhook;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use chancery_authority::external::{Site, UpstreamError, UpstreamErrorKind};
use chancery_egress::Egress;
use chancery_model::Timestamp;
use chancery_model::external::{AcmeConfiguration, ChallengeKind, DnsProviderKind, DnsZone, ExternalConfiguration};
use chancery_model::random::SeededRandomness;
use chancery_model::time::{FixedClock, Ttl};
use chancery_upstream::OutsideConfig;
use chancery_upstream::dns::{Dns, Placement};
use serde_json::Value;

pub use crate::stand_in::Reply;
use crate::{site, stand_in};

/// When all of this happens.
pub const NOW: i64 = 1_795_457_410;
pub const NAME: &str = "_acme-challenge.www.acme.test";

/// A request as a stand-in sees it.
pub struct Asked {
    pub method: String,
    /// Escaped, as it came.
    pub path: String,
    /// Plain.
    pub query: BTreeMap<String, String>,
    pub raw_query: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Asked {
    fn of(asked: &stand_in::Asked) -> Self {
        let (path, raw_query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        Self {
            method: asked.method.to_string(),
            path: path.to_owned(),
            query: url::form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect(),
            raw_query: raw_query.to_owned(),
            headers: asked.headers.clone(),
            body: asked.raw.to_vec(),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }

    pub fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// The plain segments of the path.
    pub fn segments(&self) -> Vec<String> {
        let plain = |it: &str| percent_encoding::percent_decode_str(it).decode_utf8().unwrap().into_owned();
        self.path.trim_start_matches('/').split('/').map(plain).collect()
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// An `application/x-www-form-urlencoded` body.
    pub fn form(&self) -> BTreeMap<String, String> {
        assert_eq!(self.header("content-type"), "application/x-www-form-urlencoded");
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

pub fn empty(status: u16) -> Reply {
    Reply::text(status, "")
}

/// A server on this machine.
pub struct StandIn {
    pub url: String,
    egress: Egress,
    /// Answers that are given before the stand-in is asked again.
    faults: Arc<Mutex<VecDeque<Reply>>>,
}

impl StandIn {
    pub async fn start(mut answering: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let faults = Arc::<Mutex<VecDeque<Reply>>>::default();
        let first = Arc::clone(&faults);
        let server = stand_in::StandIn::start(move |asked| {
            let asked = Asked::of(asked);
            let fault = first.lock().unwrap().pop_front();
            fault.unwrap_or_else(|| answering(&asked))
        })
        .await;
        Self { url: server.url(), egress: site::egress(Some(server.ca_pem())), faults }
    }

    pub fn fail_once(&self, reply: Reply) {
        self.faults.lock().unwrap().push_back(reply);
    }

    pub fn world(&self, provider: DnsProviderKind, zone_id: &str, fields: &[(&str, &str)]) -> World {
        World::with(Knobs { egress: self.egress.clone(), ..Knobs::default() }, provider, zone_id, fields)
    }
}

/// One zone at one provider.
pub struct World {
    pub dns: Dns,
    pub site: Site,
}

impl World {
    /// Without anybody to talk to.
    pub fn new(provider: DnsProviderKind, zone_id: &str, fields: &[(&str, &str)]) -> Self {
        Self::with(Knobs::default(), provider, zone_id, fields)
    }

    pub fn with(knobs: Knobs, provider: DnsProviderKind, zone_id: &str, fields: &[(&str, &str)]) -> Self {
        let connection = site::connection(provider.app(), "", fields);
        let zones = knobs.zones.unwrap_or_else(|| vec![zone("acme.test", provider, zone_id)]);
        let acme = AcmeConfiguration {
            directory_url: "https://ca.test/directory".to_owned(),
            account_email: String::new(),
            eab_kid: None,
            challenges: vec![ChallengeKind::Dns01],
            zones,
            dns_resolvers: knobs.dns_resolvers,
            propagation_timeout: Ttl::from_seconds(600).unwrap(),
            preferred_chain: None,
            certificate_profile: None,
        };
        let now = Timestamp::from_seconds(knobs.now);
        let site = Site { now, ..site::site(ExternalConfiguration::Acme(acme), connection) };
        Self { dns: dns(knobs.egress, now), site }
    }

    pub fn placement(&self) -> Placement {
        self.placement_of(NAME)
    }

    pub fn placement_of(&self, name: &str) -> Placement {
        let ExternalConfiguration::Acme(acme) = &self.site.ca.configuration else { unreachable!() };
        Placement { name: name.to_owned(), zone: acme.zones[0].clone() }
    }

    pub async fn set(&self, value: &str) -> Result<(), UpstreamError> {
        self.dns.set(&self.site, &self.placement(), value).await
    }

    pub async fn remove(&self, value: &str) -> Result<(), UpstreamError> {
        self.dns.remove(&self.site, &self.placement(), value).await
    }

    pub async fn check_connection(&self) -> Result<(), UpstreamError> {
        self.dns.check_connection(&self.site.connections[&site::connection_id()]).await
    }
}

/// What differs from one world to another.
pub struct Knobs {
    pub egress: Egress,
    pub zones: Option<Vec<DnsZone>>,
    pub dns_resolvers: Vec<String>,
    pub now: i64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self { egress: site::egress(None), zones: None, dns_resolvers: Vec::new(), now: NOW }
    }
}

pub fn dns(egress: Egress, now: Timestamp) -> Dns {
    Dns::new(&OutsideConfig {
        egress,
        dns_hooks: BTreeMap::new(),
        clock: Arc::new(FixedClock::at(now)),
        randomness: Arc::new(SeededRandomness::new(11)),
    })
}

pub fn zone(suffix: &str, provider: DnsProviderKind, hosted_zone_id: &str) -> DnsZone {
    DnsZone {
        zone: suffix.to_owned(),
        provider,
        connection_id: site::connection_id(),
        hosted_zone_id: hosted_zone_id.to_owned(),
    }
}

/// What every provider has to do. `values` tells what is at the name; the name has the value `theirs` before.
pub async fn fits(world: &World, values: impl Fn() -> Vec<String>) {
    let at_name = || {
        let mut found = values();
        found.sort();
        found
    };
    assert_eq!(at_name(), ["theirs"], "before");
    world.set("a-1").await.unwrap();
    world.set("a-1").await.unwrap();
    assert_eq!(at_name(), ["a-1", "theirs"], "set twice, there once");
    world.set("b_2").await.unwrap();
    assert_eq!(at_name(), ["a-1", "b_2", "theirs"], "a second value beside the first");
    world.remove("a-1").await.unwrap();
    world.remove("a-1").await.unwrap();
    assert_eq!(at_name(), ["b_2", "theirs"], "removing one leaves the others, twice too");
    world.remove("b_2").await.unwrap();
    assert_eq!(at_name(), ["theirs"], "what others have set stays");
    world.remove("theirs").await.unwrap();
    assert_eq!(at_name(), [""; 0], "the last one");
    world.remove("theirs").await.unwrap();
    world.set("a-1").await.unwrap();
    assert_eq!(at_name(), ["a-1"], "the first one");
}

/// Too many requests and a broken server are waited out; anything else is told.
pub async fn passes_on_faults(world: &World, server: &StandIn) {
    server.fail_once(Reply(429, vec![("retry-after", "7".to_owned())], String::new()));
    let error = world.set("c").await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: Some(7) }, "{error}");
    server.fail_once(empty(503));
    let error = world.set("c").await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: None }, "{error}");
    assert!(error.text.contains("503"), "{error}");
    server.fail_once(Reply(200, Vec::new(), "<html>welcome</html>".to_owned()));
    let error = world.set("c").await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: None }, "{error}");
    server.fail_once(Reply(302, vec![("location", "http://169.254.169.254/".to_owned())], String::new()));
    let error = world.set("c").await.unwrap_err();
    assert!(error.kind == UpstreamErrorKind::Lasting && error.text.contains("302"), "{error}");
}

/// A refusal for good that says all of this.
pub fn refuses(outcome: Result<(), UpstreamError>, words: &[&str]) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Lasting, "{error}");
    for word in words {
        assert!(error.text.contains(word), "{word:?} is not in: {error}");
    }
}
