//! Who proves DNS names to an ACME CA (dns-01, RFC 8555 §8.4): where a record belongs, who writes it, and whether the world
//! sees it.
//!
//! | file | what |
//! |---|---|
//! | `lookup.rs` | questions to resolvers and to the servers of a zone |
//! | `rest.rs` | what the providers with an HTTP API share |
//! | `sets.rs` | single values where an API knows only whole sets |
//! | `rfc2136.rs`, `cloudflare.rs`, `route53.rs` (`sigv4.rs`), `azure.rs`, `google.rs`, `dns_made_easy.rs`, `digitalocean.rs`, `hetzner.rs`, `desec.rs`, `gandi.rs`, `ovh.rs` | providers |
//! | `webhook.rs`, `exec.rs` | the user's own endpoint, the operator's own program |
//!
//! Called by the ACME kind and by `lib.rs` (trying a connection); start reading at [`Dns`]. Must not know ACME: a value is a text here. A name may have
//! several values at once (two orders; a wildcard beside its base name), so providers add and remove single values and leave
//! the others alone, also when somebody else changes the same name at the same moment.

mod azure;
mod cloudflare;
mod desec;
mod digitalocean;
mod dns_made_easy;
mod exec;
mod gandi;
mod google;
mod hetzner;
mod lookup;
mod ovh;
mod rest;
mod rfc2136;
mod route53;
mod sets;
mod sigv4;
mod webhook;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use chancery_authority::external::{Asking, OpenedConnection, Site, UpstreamError};
use chancery_egress::Egress;
use chancery_model::external::{ConnectionApp, DnsZone, ExternalConfiguration};
use chancery_model::{Clock, Randomness};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::OutsideConfig;

/// Seconds that others may keep a record: it is gone again in minutes.
const TTL: u32 = 60;

/// How often a change is tried again that somebody else's change has overtaken.
const OVERTAKEN_MAX: u32 = 8;

/// One value of a TXT record.
#[derive(Clone, Copy)]
struct Txt<'a> {
    /// The provider's own name for the zone, or the zone's name.
    zone: &'a str,
    /// Lower case, without the trailing dot.
    name: &'a str,
    value: &'a str,
}

/// Somebody who changes the records of zones.
///
/// Both changes may be asked for again: a value that is there is not added twice, one that is gone is not missed.
trait DnsProvider: Send + Sync {
    fn add_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()>;

    fn remove_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()>;

    /// Tries the credentials, and changes nothing.
    fn check(&self) -> Asking<'_, ()>;
}

/// [`DnsProvider`] for a type that has `add`, `remove` and `verify`.
macro_rules! provider {
    ($name:ident) => {
        impl super::DnsProvider for $name<'_> {
            fn add_txt<'a>(&'a self, txt: super::Txt<'a>) -> chancery_authority::external::Asking<'a, ()> {
                Box::pin(self.add(txt))
            }

            fn remove_txt<'a>(&'a self, txt: super::Txt<'a>) -> chancery_authority::external::Asking<'a, ()> {
                Box::pin(self.remove(txt))
            }

            fn check(&self) -> chancery_authority::external::Asking<'_, ()> {
                Box::pin(self.verify())
            }
        }
    };
}
use provider;

/// Where the record that proves a name belongs. Kept in the order's state: what was set is removed from the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// `_acme-challenge.<name>`, or where CNAME records lead from there; lower case, without the trailing dot.
    pub name: String,
    pub zone: DnsZone,
}

/// Whether a value can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    Seen,
    /// `server` is for people: a server that does not have it, or why nobody could be asked.
    NotYet {
        server: String,
    },
}

/// Proves names by way of the DNS.
#[derive(Clone)]
pub struct Dns {
    egress: Egress,
    hooks: BTreeMap<String, PathBuf>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    /// Taken by who changes a whole set of values.
    turn: Arc<Mutex<()>>,
    /// In place of the system's resolvers.
    system: Option<Vec<SocketAddr>>,
    /// Where the servers of zones listen.
    port: u16,
}

impl Dns {
    #[must_use]
    pub fn new(config: &OutsideConfig) -> Self {
        Self {
            egress: config.egress.clone(),
            hooks: config.dns_hooks.clone(),
            clock: Arc::clone(&config.clock),
            randomness: Arc::clone(&config.randomness),
            turn: Arc::default(),
            system: None,
            port: 53,
        }
    }

    /// Asks these resolvers in place of the system's, and the servers of zones at this port.
    #[must_use]
    pub fn with_resolvers(self, resolvers: Vec<SocketAddr>, port: u16) -> Self {
        Self { system: Some(resolvers), port, ..self }
    }

    /// Where the record for a name (without `*.`) belongs: CNAME records are followed, then the zone with the longest suffix of
    /// the target is taken.
    pub async fn place(&self, site: &Site, name: &str) -> Result<Placement, UpstreamError> {
        let (zones, resolvers) = settings(site)?;
        let challenge = format!("_acme-challenge.{}", name.trim_end_matches('.').to_ascii_lowercase());
        let target = self.lookups(resolvers)?.follow(&challenge, &*self.randomness).await?;
        match zone_of(zones, &target) {
            Some(zone) => Ok(Placement { name: target, zone: zone.clone() }),
            None => Err(nowhere(zones, &challenge, &target)),
        }
    }

    /// Adds the value to the record.
    pub async fn set(&self, site: &Site, placement: &Placement, value: &str) -> Result<(), UpstreamError> {
        let provider = self.provider(connection(site, placement)?)?;
        provider.add_txt(placement.txt(value)?).await
    }

    /// Removes the value, and none of the others.
    pub async fn remove(&self, site: &Site, placement: &Placement, value: &str) -> Result<(), UpstreamError> {
        let provider = self.provider(connection(site, placement)?)?;
        provider.remove_txt(placement.txt(value)?).await
    }

    /// Asks the servers of the zone, or those that the CA's settings name, whether they have the value.
    pub async fn check(&self, site: &Site, placement: &Placement, value: &str) -> Result<Visibility, UpstreamError> {
        let (_, resolvers) = settings(site)?;
        self.lookups(resolvers)?.visibility(&placement.name, value).await
    }

    /// Tries the credentials of a connection to a DNS provider.
    pub async fn check_connection(&self, connection: &OpenedConnection) -> Result<(), UpstreamError> {
        self.provider(connection)?.check().await
    }

    fn lookups(&self, resolvers: &[String]) -> Result<lookup::Lookups<'_>, UpstreamError> {
        lookup::Lookups::new(&self.egress, resolvers, self.system.as_deref(), self.port)
    }

    fn provider<'a>(&'a self, connection: &'a OpenedConnection) -> Result<Box<dyn DnsProvider + 'a>, UpstreamError> {
        let (egress, clock) = (&self.egress, &*self.clock);
        Ok(match connection.app {
            ConnectionApp::Aws => Box::new(route53::Route53::new(egress, clock, connection)?),
            ConnectionApp::Cloudflare => Box::new(cloudflare::Cloudflare::new(egress, clock, connection)?),
            ConnectionApp::DnsMadeEasy => Box::new(dns_made_easy::DnsMadeEasy::new(egress, clock, connection)?),
            ConnectionApp::AzureDns => Box::new(azure::Azure::new(egress, clock, connection)?),
            ConnectionApp::Gcp => Box::new(google::Google::new(egress, clock, connection)?),
            ConnectionApp::DigitalOcean => Box::new(digitalocean::DigitalOcean::new(egress, clock, connection)?),
            ConnectionApp::Hetzner => Box::new(hetzner::Hetzner::new(egress, clock, connection)?),
            ConnectionApp::Desec => Box::new(desec::Desec::new(egress, clock, &self.turn, connection)?),
            ConnectionApp::Gandi => Box::new(gandi::Gandi::new(egress, clock, &self.turn, connection)?),
            ConnectionApp::Ovh => Box::new(ovh::Ovh::new(egress, clock, connection)?),
            ConnectionApp::Rfc2136 => Box::new(rfc2136::Rfc2136::new(egress, clock, &*self.randomness, connection)?),
            ConnectionApp::DnsWebhook => Box::new(webhook::Webhook::new(egress, clock, connection)?),
            ConnectionApp::DnsExec => Box::new(exec::Exec::new(&self.hooks, connection)?),
            ConnectionApp::Digicert | ConnectionApp::Vault => {
                return Err(UpstreamError::lasting(format!(
                    "an app connection to {} changes no DNS records",
                    connection.app.as_str()
                )));
            }
        })
    }
}

impl Placement {
    fn txt<'a>(&'a self, value: &'a str) -> Result<Txt<'a>, UpstreamError> {
        let zone = [self.zone.hosted_zone_id.trim(), self.zone.zone.as_str()].into_iter().find(|it| !it.is_empty());
        let zone = zone.ok_or_else(|| {
            UpstreamError::lasting("the DNS zone has neither hostedZoneId nor a name; set hostedZoneId on the CA")
        })?;
        Ok(Txt { zone: zone.trim_end_matches('.'), name: &self.name, value })
    }
}

fn settings(site: &Site) -> Result<(&[DnsZone], &[String]), UpstreamError> {
    match &site.ca.configuration {
        ExternalConfiguration::Acme(acme) => Ok((&acme.zones, &acme.dns_resolvers)),
        ExternalConfiguration::Digicert(_) | ExternalConfiguration::Vault(_) => {
            Err(UpstreamError::lasting("this kind of CA has no DNS zones"))
        }
    }
}

fn connection<'a>(site: &'a Site, placement: &Placement) -> Result<&'a OpenedConnection, UpstreamError> {
    site.connections.get(&placement.zone.connection_id).ok_or_else(|| {
        UpstreamError::lasting(format!(
            "the record {} belongs to an app connection ({}) that the CA no longer names; name it again in dnsZones, or change the record by hand",
            placement.name, placement.zone.connection_id
        ))
    })
}

/// The zone with the longest suffix of whole labels.
fn zone_of<'a>(zones: &'a [DnsZone], name: &str) -> Option<&'a DnsZone> {
    zones.iter().filter(|zone| is_under(name, &zone.zone)).max_by_key(|zone| zone.zone.len())
}

/// The name within the zone as most APIs want it, `@` for the zone itself.
fn relative_or_at<'a>(name: &'a str, zone: &str) -> Result<&'a str, UpstreamError> {
    relative(name, zone).map(|it| if it.is_empty() { "@" } else { it })
}

/// Whether the name is the zone or lies in it; in the empty zone lies every name.
fn is_under(name: &str, zone: &str) -> bool {
    let zone = zone.trim_end_matches('.');
    if zone.is_empty() || name.eq_ignore_ascii_case(zone) {
        return true;
    }
    let start = name.len().checked_sub(zone.len() + 1);
    start.and_then(|at| name.get(at..)).is_some_and(|tail| {
        let mut tail = tail.chars();
        tail.next() == Some('.') && tail.as_str().eq_ignore_ascii_case(zone)
    })
}

/// The name within the zone; empty for the zone itself.
fn relative<'a>(name: &'a str, zone: &str) -> Result<&'a str, UpstreamError> {
    let zone = zone.trim_end_matches('.');
    if !zone.is_empty() && is_under(name, zone) {
        let end = name.len().saturating_sub(zone.len());
        return Ok(name.get(..end).unwrap_or_default().trim_end_matches('.'));
    }
    Err(UpstreamError::lasting(format!(
        "the record {name} does not lie in the zone {zone}; correct hostedZoneId of the DNS zone"
    )))
}

fn nowhere(zones: &[DnsZone], challenge: &str, target: &str) -> UpstreamError {
    let what = if challenge == target {
        format!("the record {challenge}")
    } else {
        format!("the record {target}, to which {challenge} leads,")
    };
    let known: Vec<_> = zones.iter().map(|zone| zone.zone.as_str()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    UpstreamError::lasting(format!("{what} lies in no DNS zone of the CA ({known}); add its zone to dnsZones"))
}
