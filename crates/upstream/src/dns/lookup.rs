//! Questions to resolvers and to the servers of a zone. Every question is over in [`QUESTION`], whatever the other side does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use chancery_authority::external::UpstreamError;
use chancery_egress::Egress;
use chancery_model::Randomness;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::{DnsError, NetError};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::lookup::Lookup;
use tokio::task::JoinSet;

use super::Visibility;

/// For one question to one server, with its second try and with TCP after UDP.
const QUESTION: Duration = Duration::from_secs(5);
/// For finding the servers of a zone.
const SEARCH: Duration = Duration::from_secs(6);
/// Addresses that are asked at once for what any of them knows.
const ASKED_MAX: usize = 6;
/// CNAME records after one another.
const CNAMES_MAX: usize = 8;
/// Labels of a name that are cut off while its zone is looked for.
const LABELS_MAX: usize = 32;
const SERVERS_MAX: usize = 16;
const ADDRESSES_MAX: usize = 8;

/// Asks on behalf of one CA.
pub(super) struct Lookups<'a> {
    egress: &'a Egress,
    /// Those of the CA's settings; empty: it has none.
    chosen: Vec<SocketAddr>,
    /// In place of the system's.
    system: Option<&'a [SocketAddr]>,
    /// Of the servers of a zone.
    port: u16,
}

/// A server that is expected to have a record.
struct Server {
    /// For people.
    name: String,
    addresses: Vec<SocketAddr>,
}

/// What one address said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Has,
    HasNot,
    Silent,
}

impl<'a> Lookups<'a> {
    pub fn new(
        egress: &'a Egress,
        resolvers: &[String],
        system: Option<&'a [SocketAddr]>,
        port: u16,
    ) -> Result<Self, UpstreamError> {
        let chosen = resolvers.iter().map(|text| judged(egress, text)).collect::<Result<_, _>>()?;
        Ok(Self { egress, chosen, system, port })
    }

    /// Where the CNAME records of a name lead (RFC 8555 §8.4 has the CA follow them).
    ///
    /// A CNAME that a wildcard of the zone has made up is not followed: it is for hosts, and ends for this name with the
    /// record that is about to be written (RFC 4592 §2.2.1).
    pub async fn follow(&self, name: &str, randomness: &dyn Randomness) -> Result<String, UpstreamError> {
        let resolver = self.recursive()?;
        let mut seen = vec![name.to_owned()];
        let mut current = name.to_owned();
        while let Some(target) = self.cname_of(&resolver, &current).await? {
            if is_made_up(&resolver, &current, &target, randomness).await? {
                return Ok(current);
            }
            if seen.contains(&target) {
                return Err(UpstreamError::lasting(format!(
                    "the CNAME records of {name} lead in a circle (at {target}); mend them in the DNS"
                )));
            }
            if seen.len() > CNAMES_MAX {
                return Err(UpstreamError::lasting(format!(
                    "more than {CNAMES_MAX} CNAME records follow one another from {name}; shorten the chain in the DNS"
                )));
            }
            seen.push(target.clone());
            current = target;
        }
        Ok(current)
    }

    /// Whether everybody who should have the value has it.
    ///
    /// A server that gives no answer at all is left out as long as another has the value: the CA's own look-up goes past
    /// it too. One that answers without the value is waited for.
    pub async fn visibility(&self, name: &str, value: &str) -> Result<Visibility, UpstreamError> {
        let servers = match self.chosen.as_slice() {
            [] => self.servers_of(name).await?,
            chosen => chosen.iter().map(|it| Server { name: it.to_string(), addresses: vec![*it] }).collect(),
        };
        // Of a CA's own resolvers every answer may be an old one; servers of the zone are to speak for themselves.
        let recursion_desired = !self.chosen.is_empty();
        let record = absolute(name)?;
        let mut questions = JoinSet::new();
        for (index, server) in servers.iter().enumerate() {
            for address in &server.addresses {
                let (address, record, value) = (*address, record.clone(), value.to_owned());
                questions.spawn(async move { (index, has(address, record, &value, recursion_desired).await) });
            }
        }
        let mut answers: Vec<Vec<Answer>> = servers.iter().map(|_| Vec::new()).collect();
        while let Some(answered) = questions.join_next().await {
            if let Ok((index, answer)) = answered
                && let Some(of_server) = answers.get_mut(index)
            {
                of_server.push(answer);
            }
        }
        Ok(verdict(&servers, &answers))
    }

    /// Of the servers of the zone, if they can be asked. A resolver would remember that there was no such name, and would
    /// tell that to a CA that asks the same resolver, long after the record was made (RFC 2308 §5).
    async fn cname_of(&self, resolver: &TokioResolver, name: &str) -> Result<Option<String>, UpstreamError> {
        if self.chosen.is_empty()
            && let Ok(servers) = self.servers_of(name).await
        {
            let asked = |address| {
                let name = name.to_owned();
                async move { cname(&direct(address).ok()?, &name).await.ok() }
            };
            if let Some(answer) = first_of(&servers, asked).await {
                return Ok(answer);
            }
        }
        cname(resolver, name).await
    }

    /// The servers of the zone that a challenge's record lies in.
    async fn servers_of(&self, name: &str) -> Result<Vec<Server>, UpstreamError> {
        tokio::time::timeout(SEARCH, self.search(name)).await.unwrap_or_else(|_| {
            Err(UpstreamError::passing(format!("looking up the servers of {name} in the DNS failed"))
                .with_detail("no answer in time"))
        })
    }

    /// Those of the nearest name above it that has NS records of its own, unless they say that the name is a zone of
    /// its own. No resolver is asked for the name itself, lest it remember that there is none.
    ///
    /// A name on the way may be an alias (`www` often is) of something that cannot be looked up, or that has servers of
    /// its own: neither says anything about this zone.
    async fn search(&self, name: &str) -> Result<Vec<Server>, UpstreamError> {
        let resolver = self.recursive()?;
        let record = absolute(name)?;
        let mut zone = record.base_name();
        let mut failed = None;
        for _ in 0..LABELS_MAX {
            if zone.is_root() {
                break;
            }
            match ask(&resolver, &zone, RecordType::NS).await {
                Ok(Some(found)) => {
                    let names = servers_in(&found, &zone);
                    if !names.is_empty() {
                        let servers = self.addresses_of(&resolver, name, names).await?;
                        let own = first_of(&servers, |address| delegated(address, record.clone())).await;
                        return match own.filter(|it| !it.is_empty()) {
                            Some(names) => self.addresses_of(&resolver, name, names).await,
                            None => Ok(servers),
                        };
                    }
                }
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
            zone = zone.base_name();
        }
        Err(failed.unwrap_or_else(|| {
            UpstreamError::lasting(format!(
                "no zone was found in the DNS that {name} lies in; set dnsResolvers on the CA if the zone is not public"
            ))
        }))
    }

    async fn addresses_of(
        &self,
        resolver: &TokioResolver,
        name: &str,
        names: Vec<Name>,
    ) -> Result<Vec<Server>, UpstreamError> {
        let mut servers = Vec::new();
        let mut denied = None;
        for server in names {
            let text = server.to_ascii().trim_end_matches('.').to_owned();
            let mut addresses = Vec::new();
            for kind in [RecordType::A, RecordType::AAAA] {
                // A server whose address is unknown is one that does not answer.
                let Ok(Some(found)) = ask(resolver, &server, kind).await else { continue };
                addresses.extend(found.answers().iter().filter_map(|record| match &record.data {
                    RData::A(it) => Some(IpAddr::V4(it.0)),
                    RData::AAAA(it) => Some(IpAddr::V6(it.0)),
                    _ => None,
                }));
            }
            let (allowed, refused): (Vec<_>, Vec<_>) =
                addresses.into_iter().take(ADDRESSES_MAX).partition(|it| self.egress.allows(*it));
            if allowed.is_empty() && !refused.is_empty() {
                denied = Some(text.clone());
            }
            let addresses = allowed.into_iter().map(|it| SocketAddr::new(it, self.port)).collect();
            servers.push(Server { name: text, addresses });
        }
        match denied {
            Some(server) if servers.iter().all(|it| it.addresses.is_empty()) => Err(UpstreamError::lasting(format!(
                "the DNS server {server} of {name} is at an address that this server may not ask; the operator allows inner networks by egress_allowed_networks"
            ))),
            _ => Ok(servers),
        }
    }

    /// Somebody who looks names up in the whole DNS.
    fn recursive(&self) -> Result<TokioResolver, UpstreamError> {
        let addresses = if self.chosen.is_empty() { self.system } else { Some(self.chosen.as_slice()) };
        let config = match addresses {
            Some(addresses) => configuration(addresses),
            None => {
                let (found, _) = hickory_resolver::system_conf::read_system_conf().map_err(|error| {
                    UpstreamError::passing("this machine has no DNS resolvers; set dnsResolvers on the CA")
                        .with_detail(error.to_string())
                })?;
                // Without its search list: names are whole here.
                ResolverConfig::from_name_servers(found.name_servers().to_vec())
            }
        };
        resolver(config, true)
    }
}

/// The first answer that is one: a server that is down keeps nobody waiting.
async fn first_of<T, F>(servers: &[Server], ask: impl Fn(SocketAddr) -> F) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = Option<T>> + Send + 'static,
{
    let mut asked = JoinSet::new();
    for address in servers.iter().flat_map(|it| &it.addresses).take(ASKED_MAX) {
        asked.spawn(ask(*address));
    }
    while let Some(answer) = asked.join_next().await {
        if let Ok(Some(answer)) = answer {
            return Some(answer);
        }
    }
    None
}

/// The servers of the record's own zone, if it is one, by the word of a server of the zone above.
async fn delegated(address: SocketAddr, record: Name) -> Option<Vec<Name>> {
    let resolver = direct(address).ok()?;
    match tokio::time::timeout(QUESTION, resolver.lookup(record.clone(), RecordType::NS)).await.ok()? {
        Ok(found) => Some(servers_in(&found, &record)),
        // A referral (RFC 1034 §4.3.1) comes without an answer.
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            let referred = none.ns.iter().flat_map(|it| it.iter()).map(|it| &it.ns);
            let names = referred.filter(|it| it.name == record).filter_map(|it| match &it.data {
                RData::NS(server) => Some(server.0.clone()),
                _ => None,
            });
            Some(names.take(SERVERS_MAX).collect())
        }
        Err(_) => None,
    }
}

/// Somebody who asks one server for what it has of its own.
fn direct(address: SocketAddr) -> Result<TokioResolver, UpstreamError> {
    resolver(configuration(&[address]), false)
}

fn servers_in(found: &Lookup, zone: &Name) -> Vec<Name> {
    let of_zone = found.answers().iter().filter(|record| record.name == *zone);
    let names = of_zone.filter_map(|record| match &record.data {
        RData::NS(server) => Some(server.0.clone()),
        _ => None,
    });
    names.take(SERVERS_MAX).collect()
}

fn judged(egress: &Egress, text: &str) -> Result<SocketAddr, UpstreamError> {
    let bare = |text: &str| text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53));
    let address = text.trim().parse().ok().or_else(|| bare(text.trim())).ok_or_else(|| {
        UpstreamError::lasting(format!("dnsResolvers: {text} is not an address, or an address and a port"))
    })?;
    if egress.allows(address.ip()) {
        Ok(address)
    } else {
        Err(UpstreamError::lasting(format!(
            "dnsResolvers: {text} is an address that this server may not ask; the operator allows inner networks by egress_allowed_networks"
        )))
    }
}

fn configuration(addresses: &[SocketAddr]) -> ResolverConfig {
    let server = |address: &SocketAddr| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = address.port();
            connection
        });
        NameServerConfig::new(address.ip(), true, connections.to_vec())
    };
    ResolverConfig::from_name_servers(addresses.iter().map(server).collect())
}

/// Keeps nothing: what is asked is whether something has changed.
fn resolver(config: ResolverConfig, recursion_desired: bool) -> Result<TokioResolver, UpstreamError> {
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = Duration::from_secs(2);
    options.attempts = 2;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.recursion_desired = recursion_desired;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    builder.build().map_err(|error| {
        UpstreamError::passing("DNS look-ups are not possible on this server; see its log")
            .with_detail(error.to_string())
    })
}

fn absolute(name: &str) -> Result<Name, UpstreamError> {
    let mut parsed = Name::from_ascii(name)
        .map_err(|error| UpstreamError::lasting(format!("{name} is not a DNS name")).with_detail(error.to_string()))?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

/// `None`: the name has no such records.
async fn ask(resolver: &TokioResolver, name: &Name, kind: RecordType) -> Result<Option<Lookup>, UpstreamError> {
    let failed = |detail: String| {
        let name = name.to_ascii();
        let name = name.trim_end_matches('.');
        UpstreamError::passing(format!("looking up {name} in the DNS failed")).with_detail(detail)
    };
    match tokio::time::timeout(QUESTION, resolver.lookup(name.clone(), kind)).await {
        Ok(Ok(lookup)) => Ok(Some(lookup)),
        Ok(Err(NetError::Dns(DnsError::NoRecordsFound(_)))) => Ok(None),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("no answer in time".to_owned())),
    }
}

async fn cname(resolver: &TokioResolver, name: &str) -> Result<Option<String>, UpstreamError> {
    let name = absolute(name)?;
    let Some(found) = ask(resolver, &name, RecordType::CNAME).await? else { return Ok(None) };
    Ok(found.answers().iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == name => {
            Some(target.0.to_ascii().trim_end_matches('.').to_ascii_lowercase())
        }
        _ => None,
    }))
}

/// Whether a neighbour that nobody has made leads to the same place.
async fn is_made_up(
    resolver: &TokioResolver,
    name: &str,
    target: &str,
    randomness: &dyn Randomness,
) -> Result<bool, UpstreamError> {
    let Some((_, parent)) = name.split_once('.') else { return Ok(false) };
    let mut random = [0; 10];
    randomness.fill(&mut random);
    let neighbour = cname(resolver, &format!("_{}.{parent}", hex::encode(random))).await?;
    Ok(neighbour.as_deref() == Some(target))
}

async fn has(address: SocketAddr, name: Name, value: &str, recursion_desired: bool) -> Answer {
    let Ok(resolver) = resolver(configuration(&[address]), recursion_desired) else { return Answer::Silent };
    match tokio::time::timeout(QUESTION, resolver.lookup(name, RecordType::TXT)).await {
        Ok(Ok(found)) => {
            let is_there = found.answers().iter().any(|record| match &record.data {
                // RFC 7208 §3.3 and others: the strings of one record are one text.
                RData::TXT(txt) => txt.txt_data.concat() == value.as_bytes(),
                _ => false,
            });
            if is_there { Answer::Has } else { Answer::HasNot }
        }
        Ok(Err(NetError::Dns(_))) => Answer::HasNot,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "a DNS server was asked in vain");
            Answer::Silent
        }
        Err(_) => Answer::Silent,
    }
}

fn verdict(servers: &[Server], answers: &[Vec<Answer>]) -> Visibility {
    let without = answers.iter().position(|of_server| of_server.contains(&Answer::HasNot));
    if let Some(server) = without.and_then(|index| servers.get(index)) {
        return Visibility::NotYet { server: server.name.clone() };
    }
    if answers.iter().flatten().any(|answer| *answer == Answer::Has) {
        return Visibility::Seen;
    }
    let names: Vec<_> = servers.iter().map(|server| server.name.as_str()).collect();
    Visibility::NotYet { server: format!("{} (no answer)", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_server_is_left_out_while_another_has_the_value() {
        use Answer::{Has, HasNot, Silent};
        let check = |answers: &[&[Answer]], expected: Option<&str>| {
            let servers: Vec<_> =
                (1..=answers.len()).map(|n| Server { name: format!("ns{n}"), addresses: Vec::new() }).collect();
            let answers: Vec<_> = answers.iter().map(|it| it.to_vec()).collect();
            let expected = match expected {
                None => Visibility::Seen,
                Some(server) => Visibility::NotYet { server: server.to_owned() },
            };
            assert_eq!(verdict(&servers, &answers), expected, "{answers:?}");
        };
        check(&[&[Has], &[Has, Has]], None);
        check(&[&[Has], &[Has, Silent]], None);
        check(&[&[Has], &[Silent]], None);
        check(&[&[Has], &[]], None);
        check(&[&[Has], &[HasNot]], Some("ns2"));
        check(&[&[Has, HasNot], &[Has]], Some("ns1"));
        check(&[&[Silent], &[HasNot]], Some("ns2"));
        check(&[&[Silent], &[]], Some("ns1, ns2 (no answer)"));
    }
}
