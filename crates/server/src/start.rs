//! Bringing the server up, in the order in which a fault is cheapest to meet: self test, files, keys, database,
//! certificate, socket.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::{ApiState, Limiter, Measure, RateLimit};
use chancery_authority::{Authority, AuthorityConfig, OpenError};
use chancery_egress::EgressPolicy;
use chancery_keys::{Kek, KekError, SelfTestError};
use chancery_model::{Clock, Randomness};
use chancery_store::Location;
use chancery_web::{Admission, WebConfig, WebState};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::challenge::tls::TlsChallenges;
use crate::challenge::{self, Challenges, Lookup};
use crate::config::{Config, KekSource};
use crate::files::{FileError, holds_data, prepare_data_dir, prepare_database_file};
use crate::listener::Listener;
use crate::mirror::{MirrorCounters, MirrorTask};
use crate::outbound;
use crate::repository;
use crate::tls::{ServerCertificate, TlsError};

/// A call that takes longer is answered 503. A request to an external CA may be waited for during a minute of it.
const CALL_TIMEOUT: Duration = Duration::from_secs(90);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the self test failed: {0}")]
    SelfTest(#[from] SelfTestError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Kek(#[from] KekError),
    #[error(
        "the key-encryption key file {path} is missing, and {why}; restore it from your copy, or set kek_file{hint}",
        path = .path.display()
    )]
    MissingKek { path: PathBuf, why: &'static str, hint: String },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{address} cannot be listened on: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("the mail server's configuration cannot be used: {0}")]
    Mail(String),
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// A server that answers. Dropping it stops it without waiting; [`Self::stop`] does it properly.
pub struct RunningServer {
    /// Where it listens, with the port that was really taken.
    pub address: SocketAddr,
    /// Where CRLs, OCSP and CA certificates are served alone, if a listener was asked for.
    pub repository_address: Option<SocketAddr>,
    /// Where HTTP-01 and TLS-ALPN-01 challenges are answered, if listeners were asked for.
    pub acme_http_address: Option<SocketAddr>,
    pub acme_tls_address: Option<SocketAddr>,
    authority: Authority,
    tls: bool,
    stop_timeout: Duration,
    listeners: Vec<Serving>,
    /// Dropped, and with it ended, with the server.
    background: JoinSet<()>,
}

/// A listener at work.
struct Serving {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts the whole server. When this returns, connections are accepted.
pub async fn start(
    mut config: Config,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
) -> Result<RunningServer, StartError> {
    chancery_keys::self_test()?;
    // The certificate and the sockets are taken before the database, so that a slip in them leaves nothing behind.
    let certificate = config.tls.clone().map(ServerCertificate::load).transpose()?;
    let tls = match &certificate {
        Some(certificate) => Some(TlsAcceptor::from(certificate.server_config()?)),
        None => None,
    };
    let Sockets { api: (tcp, address), repository: repository_socket, acme } = Sockets::bind(&config).await?;
    let repository_address = taken(repository_socket.as_ref());
    let (acme_http_address, acme_tls_address) = (taken(acme.http.as_ref()), taken(acme.tls.as_ref()));
    if let (Some(url), Some(taken)) = (&mut config.repository_url, repository_address) {
        *url = with_port(url, taken.port());
    }

    // Taken while the configuration is whole: what the browser's door shows of it.
    let shown = config.to_pairs();
    let policy = outbound::egress_policy(&config.outbound)?;
    let authority = open_authority(&config, policy.clone(), &clock, &randomness).await?;
    let mirrors = Arc::new(MirrorCounters::default());
    let mut background = JoinSet::new();
    background.spawn(authority.clone().run_jobs());
    for mirror in config.crl_mirrors.drain(..) {
        let task = MirrorTask::new(mirror, &config.node, policy.clone(), Arc::clone(&mirrors));
        background.spawn(task.keep_fresh(authority.clone()));
    }
    if let Some(certificate) = certificate {
        background.spawn(certificate.keep_fresh());
    }

    let public = repository::router(authority.clone(), rate_limit(config.limits.repository_calls_per_second));
    let rate_limit = rate_limit(config.limits.failed_calls_per_second);
    let state = ApiState::with_limits(authority.clone(), rate_limit, CALL_TIMEOUT)
        .also_measuring(move || mirror_measures(&mirrors));
    let web = WebConfig {
        is_https: is_https(&config),
        admission: admission(rate_limit),
        randomness: Arc::clone(&randomness),
        settings: shown,
        version: env!("CARGO_PKG_VERSION"),
    };
    let web = chancery_web::router(WebState::new(authority.clone(), web));
    let router = chancery_api::router(state).merge(public.clone()).merge(web);
    let tls_used = tls.is_some();
    let stop_timeout = config.limits.stop_timeout;
    let Config { trusted_proxies, limits, node, .. } = config;
    let mut listeners = Vec::new();
    if let Some((tcp, address)) = repository_socket {
        let trusted_proxies = trusted_proxies.clone();
        listeners.push(serve(Listener { router: public, tls: None, trusted_proxies, limits }, tcp));
        tracing::info!(%address, "Serving CRLs, OCSP and CA certificates on plain HTTP.");
    }
    let challenges = challenges(&authority, rate_limit);
    listeners.extend(serve_challenges(acme, TlsChallenges { challenges, clock, randomness, limits }));
    listeners.push(serve(Listener { router, tls, trusted_proxies, limits }, tcp));
    tracing::info!(%address, tls = tls_used, %node, version = env!("CARGO_PKG_VERSION"), "Serving.");
    Ok(RunningServer {
        address,
        repository_address,
        acme_http_address,
        acme_tls_address,
        authority,
        tls: tls_used,
        stop_timeout,
        listeners,
        background,
    })
}

/// Whether browsers come by HTTPS: what the site's address says, else whether this server or a proxy before it has a
/// certificate.
fn is_https(config: &Config) -> bool {
    match &config.site_url {
        Some(url) => url.starts_with("https://"),
        None => config.tls.is_some() || config.behind_proxy,
    }
}

/// Sign-ins that prove nothing yet are limited as other calls without a token are.
fn admission(limit: Option<RateLimit>) -> Option<Admission> {
    let limiter = Limiter::new(limit?);
    Some(Arc::new(move |address| limiter.take(address)))
}

/// A socket, and the address that was really taken.
type Socket = (TcpListener, SocketAddr);

struct Sockets {
    api: Socket,
    repository: Option<Socket>,
    acme: AcmeSockets,
}

struct AcmeSockets {
    http: Option<Socket>,
    tls: Option<Socket>,
}

impl Sockets {
    async fn bind(config: &Config) -> Result<Self, StartError> {
        Ok(Self {
            api: bind(config.listen).await?,
            repository: bind_optional(config.repository_listen).await?,
            acme: AcmeSockets {
                http: bind_optional(config.acme_http_listen).await?,
                tls: bind_optional(config.acme_tls_listen).await?,
            },
        })
    }
}

fn taken(socket: Option<&Socket>) -> Option<SocketAddr> {
    socket.map(|(_, address)| *address)
}

async fn bind_optional(address: Option<SocketAddr>) -> Result<Option<Socket>, StartError> {
    match address {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(address: SocketAddr) -> Result<Socket, StartError> {
    let unbound = |source| StartError::Bind { address, source };
    let tcp = TcpListener::bind(address).await.map_err(unbound)?;
    let taken = tcp.local_addr().map_err(unbound)?;
    Ok((tcp, taken))
}

fn serve(listener: Listener, tcp: TcpListener) -> Serving {
    let (stop, stopped) = oneshot::channel();
    Serving { stop, task: tokio::spawn(listener.serve(tcp, stopped)) }
}

/// Where the challenge listeners look: what orders under way have published.
fn challenges(authority: &Authority, limit: Option<RateLimit>) -> Challenges {
    let authority = authority.clone();
    let lookup: Lookup = Arc::new(move |kind, name| {
        let authority = authority.clone();
        Box::pin(async move {
            let found = authority.challenge(kind, &name).await;
            found.inspect_err(|error| tracing::warn!(%error, "Challenges could not be looked up.")).ok()
        })
    });
    Challenges { lookup, limiter: limit.map(|limit| Arc::new(Limiter::new(limit))) }
}

fn serve_challenges(sockets: AcmeSockets, listener: TlsChallenges) -> Vec<Serving> {
    let mut serving = Vec::new();
    if let Some((tcp, address)) = sockets.http {
        let (router, limits) = (challenge::router(listener.challenges.clone()), listener.limits);
        serving.push(serve(Listener { router, tls: None, trusted_proxies: Vec::new(), limits }, tcp));
        tracing::info!(%address, "Answering HTTP-01 challenges.");
    }
    if let Some((tcp, address)) = sockets.tls {
        let (stop, stopped) = oneshot::channel();
        serving.push(Serving { stop, task: tokio::spawn(listener.serve(tcp, stopped)) });
        tracing::info!(%address, "Answering TLS-ALPN-01 challenges.");
    }
    serving
}

/// The URL with port 0 replaced by the one that was taken; any other is what the operator means.
fn with_port(url: &str, port: u16) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    match host.strip_suffix(":0") {
        Some(host) => format!("{scheme}://{host}:{port}{path}"),
        None => url.to_owned(),
    }
}

fn mirror_measures(counters: &MirrorCounters) -> Vec<Measure> {
    vec![
        Measure {
            name: "chancery_crl_mirror_copies_total",
            help: "CRLs copied to mirrors since the start.",
            value: counters.copied(),
        },
        Measure {
            name: "chancery_crl_mirror_failures_total",
            help: "Copies to mirrors that failed since the start.",
            value: counters.failed(),
        },
    ]
}

impl RunningServer {
    #[must_use]
    pub fn authority(&self) -> Authority {
        self.authority.clone()
    }

    /// Where this machine reaches the server: `http://127.0.0.1:8200`. A wildcard address is shown as loopback.
    #[must_use]
    pub fn url(&self) -> String {
        let mut address = self.address;
        match address {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(v6) if v6.ip().is_unspecified() => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("{}://{address}", if self.tls { "https" } else { "http" })
    }

    /// Takes no new connection, lets running requests finish within the stop timeout, then closes the database.
    pub async fn stop(mut self) {
        let (stops, tasks): (Vec<_>, Vec<_>) =
            self.listeners.into_iter().map(|Serving { stop, task }| (stop, task)).unzip();
        for stop in stops {
            stop.send(()).ok();
        }
        // A job that is cut off would be leased until another may take it over.
        if tokio::time::timeout(self.stop_timeout, self.authority.stop_jobs()).await.is_err() {
            tracing::warn!("Jobs were cut off after the stop timeout; they are due again when their leases end.");
        }
        self.background.shutdown().await;
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "A listener ended abnormally.");
            }
        }
        // Only now is nobody left who could still write.
        self.authority.close().await;
        tracing::info!("Stopped.");
    }
}

async fn open_authority(
    config: &Config,
    policy: EgressPolicy,
    clock: &Arc<dyn Clock>,
    randomness: &Arc<dyn Randomness>,
) -> Result<Authority, StartError> {
    let location = config.location();
    let upstream = outbound::upstream(&config.outbound, policy.clone(), Arc::clone(clock), Arc::clone(randomness))?;
    let notifier = outbound::notifier(&config.outbound, policy, Arc::clone(clock))?;
    prepare_data_dir(&config.data_dir)?;
    // First the key, then the database: a crash in between leaves a key that seals nothing, never data without its key.
    let kek = kek(&config.kek, &location, randomness.as_ref())?;
    if let Location::Sqlite { path } = &location {
        prepare_database_file(path)?;
    }
    let authority = AuthorityConfig {
        location,
        node: config.node.clone(),
        kek,
        site_url: config.site_url.clone(),
        repository_url: config.repository_url.clone(),
        notifier: Arc::new(notifier),
        upstream: Arc::new(upstream),
    };
    Ok(Authority::open(authority, Arc::clone(clock), Arc::clone(randomness)).await?)
}

/// A missing key file is made only where it cannot be a lost one.
fn kek(source: &KekSource, location: &Location, randomness: &dyn Randomness) -> Result<Kek, StartError> {
    let path = match source {
        KekSource::Text(text) => return Ok(Kek::from_text(text)?),
        KekSource::File(path) => path,
    };
    let missing = |why, hint| Err(StartError::MissingKek { path: path.clone(), why, hint });
    match location {
        _ if path.exists() => Ok(Kek::from_file(path)?),
        Location::Sqlite { path: database } if holds_data(database) => {
            missing("the database was sealed with it", String::new())
        }
        Location::Sqlite { .. } => {
            let kek = Kek::create_file(path, randomness)?;
            tracing::info!(file = %path.display(), "A new key-encryption key was made; keep a copy apart from the database.");
            Ok(kek)
        }
        Location::Postgres { .. } => missing(
            "all nodes of one PostgreSQL database need the same one",
            format!("; for a new database make one: (umask 077; openssl rand -hex 32 > {})", path.display()),
        ),
    }
}

fn rate_limit(per_second: u32) -> Option<RateLimit> {
    let per_second = f64::from(per_second);
    (per_second > 0.0).then_some(RateLimit { per_second, burst: per_second * 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_of_the_repository_is_the_one_that_was_taken() {
        for (url, expected) in [
            ("http://127.0.0.1:0", "http://127.0.0.1:4711"),
            ("http://[::1]:0/pki", "http://[::1]:4711/pki"),
            ("http://pki.example", "http://pki.example"),
            ("http://pki.example:80/a:0", "http://pki.example:80/a:0"),
        ] {
            assert_eq!(with_port(url, 4_711), expected);
        }
    }
}
