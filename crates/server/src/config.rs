//! What can be set, read once into a [`Config`] that holds no wrong value.
//!
//! Each key stands in the configuration file (TOML, flat) or in an environment variable `CHANCERY_<KEY>`, which wins.
//! [`key::KEYS`] is the one list that reading, printing and the reference page are made from.

mod key;
pub(crate) mod outbound;
mod parse;
mod render;
mod settings;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chancery_keys::{Kek, KekError};
use chancery_store::Location;
use zeroize::Zeroizing;

use crate::peer::Network;
use outbound::OutboundConfig;
use settings::Settings;

/// The effective configuration. It has no `Debug`, since it may hold the key-encryption key.
#[derive(Clone)]
pub struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) behind_proxy: bool,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) site_url: Option<String>,
    pub(crate) repository_url: Option<String>,
    pub(crate) repository_listen: Option<SocketAddr>,
    pub(crate) crl_mirrors: Vec<Mirror>,
    pub(crate) node: String,
    pub(crate) database_url: Option<String>,
    pub(crate) kek: KekSource,
    /// Where HTTP-01 and TLS-ALPN-01 challenges are answered; absent: nowhere.
    pub(crate) acme_http_listen: Option<SocketAddr>,
    pub(crate) acme_tls_listen: Option<SocketAddr>,
    pub(crate) outbound: OutboundConfig,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: String,
    pub(crate) limits: Limits,
}

/// A certificate chain and its key, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub private_key: PathBuf,
}

/// Where the key-encryption key comes from.
#[derive(Clone)]
pub enum KekSource {
    File(PathBuf),
    /// From the environment: weaker than a file, since other processes of the same user can read it.
    Text(Zeroizing<String>),
}

/// A place that CRLs are copied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// An absolute path.
    Directory(PathBuf),
    /// Without a trailing slash; a CRL is `PUT` below it.
    Url(String),
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Bounds on what one peer, or all together, can take up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections served at once; further ones wait in the listen queue.
    pub connections_max: usize,
    /// Bytes of request line and headers; more is answered 431.
    pub header_bytes_max: usize,
    /// Time for a TLS handshake and for the headers of a request, idle keep-alive time included.
    pub header_timeout: Duration,
    /// How long running requests may take after a stop was asked for.
    pub stop_timeout: Duration,
    /// Unauthenticated or failed calls per second and address; 0 turns the limit off.
    pub failed_calls_per_second: u32,
    /// Calls of the repository per second and address; 0 turns the limit off.
    pub repository_calls_per_second: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration file {path} cannot be read", path = .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "the configuration file {path} can be changed by others (mode {mode:04o}); run: chmod go-w {path}",
        path = .path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the configuration file {path} is not TOML: line {line}: {message}", path = .path.display())]
    Syntax { path: PathBuf, line: usize, message: String },
    #[error("{origin} is not a known key{}", closest_hint(*.closest))]
    Unknown { origin: String, closest: Option<&'static str> },
    #[error("{origin} is not usable: {reason}")]
    Invalid { origin: String, reason: String },
    #[error(
        "plain HTTP on {0} would show every key and token to the network; choose one: listen on a loopback address \
         such as 127.0.0.1:8200, or set tls_certificate_file and tls_private_key_file, or set behind_proxy = true if a \
         reverse proxy in front of this server terminates TLS"
    )]
    PlainHttp(SocketAddr),
}

fn closest_hint(closest: Option<&'static str>) -> impl fmt::Display {
    closest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

impl Config {
    /// Reads the file, if one is given, and every `CHANCERY_*` variable of `environment`, which wins over the file.
    /// Of two variables of one name the later wins, so that a command line's options can be appended. Variables of
    /// other names are ignored unless they look like a misspelt key; in the file every unknown key is refused.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut settings = Settings::default();
        if let Some(path) = path {
            settings.read_file(path)?;
        }
        settings.read_environment(environment)?;
        Self::validate(&settings)
    }

    /// The effective values as a commented TOML file. Secrets are masked.
    #[must_use]
    pub fn render(&self) -> String {
        render::toml(self)
    }

    /// Name and value of every key that is set, secrets masked.
    pub(crate) fn to_pairs(&self) -> Vec<(String, String)> {
        render::pairs(self)
    }

    /// The reference page of all keys, in Markdown.
    #[must_use]
    pub fn reference() -> String {
        render::markdown()
    }

    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    #[must_use]
    pub const fn listen(&self) -> SocketAddr {
        self.listen
    }

    #[must_use]
    pub fn site_url(&self) -> Option<&str> {
        self.site_url.as_deref()
    }

    #[must_use]
    pub fn repository_url(&self) -> Option<&str> {
        self.repository_url.as_deref()
    }

    #[must_use]
    pub const fn repository_listen(&self) -> Option<SocketAddr> {
        self.repository_listen
    }

    /// Where HTTP-01 challenges of external CAs are answered; `None`: nowhere.
    #[must_use]
    pub const fn acme_http_listen(&self) -> Option<SocketAddr> {
        self.acme_http_listen
    }

    /// Where TLS-ALPN-01 challenges of external CAs are answered; `None`: nowhere.
    #[must_use]
    pub const fn acme_tls_listen(&self) -> Option<SocketAddr> {
        self.acme_tls_listen
    }

    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The embedded database's file, or the PostgreSQL server.
    #[must_use]
    pub fn location(&self) -> Location {
        match &self.database_url {
            Some(url) => Location::Postgres { url: url.clone() },
            None => Location::Sqlite { path: self.data_dir.join("chancery.db") },
        }
    }

    /// The key-encryption key's file; `None` if it comes from the environment.
    #[must_use]
    pub fn kek_file(&self) -> Option<&Path> {
        match &self.kek {
            KekSource::File(path) => Some(path),
            KekSource::Text(_) => None,
        }
    }

    fn validate(settings: &Settings) -> Result<Self, ConfigError> {
        let data_dir = settings.path("data_dir")?.unwrap_or_else(|| PathBuf::from("./chancery-data"));
        let behind_proxy = settings.boolean("behind_proxy")?.unwrap_or(false);
        let tls = tls_files(settings)?;
        let config = Self {
            listen: listen(settings, behind_proxy || tls.is_some())?,
            behind_proxy,
            trusted_proxies: trusted_proxies(settings, behind_proxy)?,
            tls,
            site_url: settings.parsed("site_url", parse::url)?,
            repository_url: settings.parsed("repository_url", parse::url)?,
            repository_listen: settings.parsed("repository_listen", parse::listen)?,
            crl_mirrors: crl_mirrors(settings)?,
            node: settings.parsed("node", parse::node)?.unwrap_or_else(|| "node-1".to_owned()),
            database_url: settings.parsed("database_url", parse::database_url)?,
            kek: kek(settings, &data_dir)?,
            acme_http_listen: settings.parsed("acme_http_listen", parse::listen)?,
            acme_tls_listen: settings.parsed("acme_tls_listen", parse::listen)?,
            outbound: OutboundConfig::read(settings)?,
            log_format: settings.parsed("log_format", parse::log_format)?.unwrap_or(LogFormat::Text),
            log_level: settings.parsed("log_level", parse::log_level)?.unwrap_or_else(|| "info".to_owned()),
            limits: limits(settings)?,
            data_dir,
        };
        Ok(config)
    }
}

fn tls_files(settings: &Settings) -> Result<Option<TlsFiles>, ConfigError> {
    match (settings.path("tls_certificate_file")?, settings.path("tls_private_key_file")?) {
        (Some(certificate), Some(private_key)) => Ok(Some(TlsFiles { certificate, private_key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(settings.invalid("tls_certificate_file", "tls_private_key_file must be set with it")),
        (None, Some(_)) => Err(settings.invalid("tls_private_key_file", "tls_certificate_file must be set with it")),
    }
}

fn listen(settings: &Settings, protected: bool) -> Result<SocketAddr, ConfigError> {
    let address = settings.parsed("listen", parse::listen)?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8200)));
    if protected || address.ip().to_canonical().is_loopback() {
        Ok(address)
    } else {
        Err(ConfigError::PlainHttp(address))
    }
}

/// Loopback is trusted by default, where a proxy on the same machine connects from.
fn trusted_proxies(settings: &Settings, behind_proxy: bool) -> Result<Vec<Network>, ConfigError> {
    match settings.list("trusted_proxies")? {
        Some(_) if !behind_proxy => {
            Err(settings
                .invalid("trusted_proxies", "it has no effect without behind_proxy = true; set both or neither"))
        }
        Some(networks) => networks
            .iter()
            .map(|text| text.parse().map_err(|reason: String| settings.invalid("trusted_proxies", &reason)))
            .collect(),
        None if behind_proxy => Ok(vec![Network::LOOPBACK_V4, Network::LOOPBACK_V6]),
        None => Ok(Vec::new()),
    }
}

fn crl_mirrors(settings: &Settings) -> Result<Vec<Mirror>, ConfigError> {
    let texts = settings.list("crl_mirrors")?.unwrap_or_default();
    texts
        .iter()
        .map(|text| parse::mirror(text.trim()).map_err(|reason| settings.invalid("crl_mirrors", &reason)))
        .collect()
}

fn kek(settings: &Settings, data_dir: &Path) -> Result<KekSource, ConfigError> {
    match (settings.text("kek")?, settings.path("kek_file")?) {
        (Some(_), Some(_)) => {
            Err(settings.invalid("kek_file", "the key-encryption key is also in CHANCERY_KEK; set one"))
        }
        (Some(text), None) => {
            let text = Zeroizing::new(text.to_owned());
            // Checked here so that a wrong value is named by its key; the key itself is made when the server starts.
            Kek::from_text(&text).map_err(|error: KekError| settings.invalid("kek", &error.to_string()))?;
            Ok(KekSource::Text(text))
        }
        (None, Some(path)) => Ok(KekSource::File(path)),
        (None, None) => Ok(KekSource::File(data_dir.join("kek"))),
    }
}

fn limits(settings: &Settings) -> Result<Limits, ConfigError> {
    let seconds = |key, range, default| settings.integer(key, range).map(|value| value.unwrap_or(default));
    let rate =
        |key, default| seconds(key, 0..=1_000_000, default).map(|value| u32::try_from(value).unwrap_or(u32::MAX));
    Ok(Limits {
        connections_max: settings.size("connections_max", 1..=65_536)?.unwrap_or(4_096),
        header_bytes_max: settings.size("header_bytes_max", 8_192..=1_048_576)?.unwrap_or(16_384),
        header_timeout: Duration::from_secs(seconds("header_timeout_seconds", 1..=600, 10)?),
        stop_timeout: Duration::from_secs(seconds("stop_timeout_seconds", 0..=600, 10)?),
        failed_calls_per_second: rate("failed_calls_per_second", 50)?,
        repository_calls_per_second: rate("repository_calls_per_second", 2_000)?,
    })
}
