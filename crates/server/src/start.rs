//! Bringing the server up, in the order in which a fault is cheapest to meet: self test, files, keys, database,
//! certificate, socket.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::{ApiState, RateLimit};
use chancery_authority::{Authority, AuthorityConfig, OpenError};
use chancery_keys::{Kek, KekError, SelfTestError};
use chancery_model::{Clock, Randomness};
use chancery_store::Location;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::config::{Config, KekSource};
use crate::files::{FileError, holds_data, prepare_data_dir, prepare_database_file};
use crate::listener::Listener;
use crate::tls::{ServerCertificate, TlsError};

/// A call that takes longer is answered 503.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

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
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// A server that answers. Dropping it stops it without waiting; [`Self::stop`] does it properly.
pub struct RunningServer {
    /// Where it listens, with the port that was really taken.
    pub address: SocketAddr,
    authority: Authority,
    tls: bool,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    /// Dropped, and with it ended, with the server.
    background: JoinSet<()>,
}

/// Starts the whole server. When this returns, connections are accepted.
pub async fn start(
    config: Config,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
) -> Result<RunningServer, StartError> {
    chancery_keys::self_test()?;
    // The certificate and the socket are taken before the database, so that a slip in them leaves nothing behind.
    let certificate = config.tls.clone().map(ServerCertificate::load).transpose()?;
    let tls = match &certificate {
        Some(certificate) => Some(TlsAcceptor::from(certificate.server_config()?)),
        None => None,
    };
    let unbound = |source| StartError::Bind { address: config.listen, source };
    let tcp = TcpListener::bind(config.listen).await.map_err(unbound)?;
    let address = tcp.local_addr().map_err(unbound)?;

    let authority = open_authority(&config, clock, randomness).await?;
    let rate_limit = rate_limit(config.limits.failed_calls_per_second);
    let router = chancery_api::router(ApiState::with_limits(authority.clone(), rate_limit, CALL_TIMEOUT));

    let mut background = JoinSet::new();
    if let Some(certificate) = certificate {
        background.spawn(certificate.keep_fresh());
    }
    let tls_used = tls.is_some();
    let listener = Listener { router, tls, trusted_proxies: config.trusted_proxies, limits: config.limits };
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(listener.serve(tcp, stopped));
    tracing::info!(%address, tls = tls_used, node = %config.node, version = env!("CARGO_PKG_VERSION"), "Serving.");
    Ok(RunningServer { address, authority, tls: tls_used, stop, serving, background })
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
        self.background.shutdown().await;
        self.stop.send(()).ok();
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "The listener ended abnormally.");
        }
        // Only now is nobody left who could still write.
        self.authority.close().await;
        tracing::info!("Stopped.");
    }
}

async fn open_authority(
    config: &Config,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
) -> Result<Authority, StartError> {
    let location = config.location();
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
    };
    Ok(Authority::open(authority, clock, randomness).await?)
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
