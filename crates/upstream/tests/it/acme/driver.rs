//! The core's part: takes steps, writes their states down, waits as long as it is told.

use std::sync::{Arc, Mutex};

use chancery_authority::external::{
    ExternalCertificate, Next, OrderInHand, Site, Step, Tidied, Upstream as _, UpstreamCa, UpstreamError,
    UpstreamErrorKind,
};
use chancery_model::Timestamp;
use chancery_model::external::{
    AcmeConfiguration, ChallengeKind, ConnectionApp, DnsProviderKind, DnsZone, ExternalCaKind, ExternalConfiguration,
};
use chancery_model::time::Ttl;
use chancery_pkix::{GeneralName, GeneralNameKind};
use chancery_upstream::Outside;

use super::issuer::csr;
use super::server::{self, Options, World};
use super::zone::Zone;
use crate::site;
use crate::stand_in::StandIn;

/// A CA, a zone, and a site that knows both.
pub struct Stage {
    pub world: Arc<Mutex<World>>,
    pub zone: Zone,
    pub site: Site,
    bundle: Vec<u8>,
    outside: Outside,
    _servers: [StandIn; 2],
}

/// How an order is driven.
#[derive(Clone, Copy, PartialEq)]
pub enum Manner {
    Plain,
    /// After every step the process dies and another goes on.
    Restarting,
    /// Every step is done, forgotten, and done again by another process.
    Repeating,
}

pub struct Ended {
    pub next: Next,
    /// Seconds of every wait.
    pub waits: Vec<u32>,
    pub messages: Vec<String>,
    pub hand: OrderInHand,
}

impl Ended {
    pub fn failure(&self) -> &str {
        match &self.next {
            Next::Failed { message } => message,
            other => panic!("not failed: {other:?}"),
        }
    }

    pub fn chain(&self) -> &[Vec<u8>] {
        match &self.next {
            Next::Issued { chain, .. } => chain,
            other => panic!("not issued: {other:?}"),
        }
    }

    pub fn warnings(&self) -> &[String] {
        match &self.next {
            Next::Issued { warnings, .. } => warnings,
            other => panic!("not issued: {other:?}"),
        }
    }

    /// What the core keeps.
    pub fn certificate(&self) -> ExternalCertificate {
        ExternalCertificate {
            der: self.chain()[0].clone(),
            reference: self.hand.order.reference.clone(),
            state: self.hand.order.state.clone(),
            serial_number: String::new(),
        }
    }
}

impl Stage {
    /// With an account.
    pub async fn new(options: Options) -> Self {
        let mut stage = Self::unsettled(options).await;
        stage.settle().await.unwrap();
        stage
    }

    pub async fn unsettled(options: Options) -> Self {
        let zone = Zone::default();
        let (server, world) = server::start(options, zone.clone()).await;
        let webhook = zone.webhook().await;
        let resolver = zone.serve().await;
        let configuration = AcmeConfiguration {
            directory_url: format!("{}/directory", server.url()),
            account_email: "pki@acme.test".to_owned(),
            eab_kid: None,
            challenges: vec![ChallengeKind::Dns01],
            zones: vec![DnsZone {
                zone: String::new(),
                provider: DnsProviderKind::Webhook,
                connection_id: site::connection_id(),
                hosted_zone_id: "acme.test".to_owned(),
            }],
            dns_resolvers: vec![resolver.to_string()],
            propagation_timeout: Ttl::from_seconds(600).unwrap(),
            preferred_chain: None,
            certificate_profile: None,
        };
        let fields = [("url", webhook.url()), ("secret", "a secret of the webhook".to_owned())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        let connection = site::connection(ConnectionApp::DnsWebhook, "signed", &fields);
        let site = site::site(ExternalConfiguration::Acme(configuration), connection);
        let bundle = [server.ca_pem(), webhook.ca_pem()].concat();
        let outside = site::outside(site::egress(Some(bundle.clone())), 1);
        Self { world, zone, site, bundle, outside, _servers: [server, webhook] }
    }

    pub fn config(&mut self) -> &mut AcmeConfiguration {
        match &mut self.site.ca.configuration {
            ExternalConfiguration::Acme(config) => config,
            _ => panic!("another kind"),
        }
    }

    pub fn ca(&self) -> &dyn UpstreamCa {
        self.outside.ca(ExternalCaKind::Acme).unwrap()
    }

    /// Another process: nothing is remembered.
    pub fn restart(&mut self) {
        self.outside = site::outside(site::egress(Some(self.bundle.clone())), 2);
    }

    /// As the core does when the CA is saved.
    pub async fn settle(&mut self) -> Result<(), UpstreamError> {
        let settled = self.ca().settle(&self.site).await?;
        (self.site.ca.standing, self.site.secrets) = (settled.standing, settled.secrets);
        Ok(())
    }

    pub fn standing(&self, name: &str) -> String {
        self.site.ca.standing[name].as_str().unwrap_or_default().to_owned()
    }

    pub async fn order(&mut self, names: &[&str], manner: Manner) -> Result<Ended, UpstreamError> {
        let hand = hand(names);
        self.run(hand, manner).await
    }

    /// To the end, or to an error that trying again does not mend.
    pub async fn run(&mut self, mut hand: OrderInHand, manner: Manner) -> Result<Ended, UpstreamError> {
        let (mut waits, mut messages, mut errors) = (Vec::new(), Vec::new(), 0);
        for _ in 0..300 {
            if manner == Manner::Repeating {
                let _forgotten = self.ca().advance(&self.site, &hand).await;
            }
            if manner != Manner::Plain {
                self.restart();
            }
            let next = match self.step(&mut hand).await {
                Ok(next) => next,
                Err(error) if error.kind != UpstreamErrorKind::Lasting && errors < 5 => {
                    errors += 1;
                    self.pass(10);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match next {
                Next::Continue => {}
                Next::Wait { seconds, message, .. } => {
                    waits.push(seconds);
                    messages.push(message);
                    self.pass(seconds);
                }
                next => return Ok(Ended { next, waits, messages, hand }),
            }
        }
        panic!("the order does not end: {}", hand.order.state)
    }

    /// One step, written down as the store does it: through text.
    pub async fn step(&mut self, hand: &mut OrderInHand) -> Result<Next, UpstreamError> {
        let Step { state, reference, challenges, next } = self.ca().advance(&self.site, hand).await?;
        hand.order.state = serde_json::from_str(&state.to_string()).unwrap();
        hand.order.reference = reference.or(hand.order.reference.take());
        if let Some(challenges) = challenges {
            self.world.lock().unwrap().published = challenges;
        }
        Ok(next)
    }

    pub fn pass(&mut self, seconds: u32) {
        self.site.now = Timestamp::from_millis(self.site.now.as_millis() + i64::from(seconds) * 1000);
    }

    /// Until nothing is left outside.
    pub async fn tidy(&mut self, hand: &mut OrderInHand) {
        for _ in 0..100 {
            match self.ca().tidy(&self.site, &hand.order).await.unwrap() {
                Tidied::Done => return,
                Tidied::More { state } => hand.order.state = state,
            }
        }
        panic!("tidying does not end: {}", hand.order.state)
    }
}

/// A first order for the names.
pub fn hand(names: &[&str]) -> OrderInHand {
    let kind = |name: &str| {
        if name.parse::<std::net::IpAddr>().is_ok() { GeneralNameKind::IpAddress } else { GeneralNameKind::DnsName }
    };
    let names: Vec<_> = names.iter().map(|name| GeneralName::parse(kind(name), name).unwrap()).collect();
    site::order(csr(&names).1, 86_400, 3)
}
