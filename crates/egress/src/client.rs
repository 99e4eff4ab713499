//! The client: one request, one answer, within bounds.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

use crate::address::AddressPolicy;

/// Addresses that one name may have; more is taken as a mistake.
const ADDRESSES_MAX: usize = 32;

/// What the operator has decided about connections to the outside.
#[derive(Clone, Debug)]
pub struct EgressPolicy {
    pub addresses: AddressPolicy,
    /// `http://host:port`. With a proxy it is the proxy that resolves names, and that has to refuse what they lead to;
    /// addresses written into a URL are judged here all the same.
    pub proxy: Option<String>,
    /// PEM certificates that are trusted beside the system's.
    pub ca_bundle: Option<Vec<u8>>,
    /// For everything: resolving, connecting, the answer.
    pub timeout: Duration,
    /// Octets of an answer's body that are read; the rest is dropped.
    pub response_max: usize,
}

impl Default for EgressPolicy {
    fn default() -> Self {
        Self {
            addresses: AddressPolicy::default(),
            proxy: None,
            ca_bundle: None,
            timeout: Duration::from_secs(10),
            response_max: 64 * 1024,
        }
    }
}

/// One request. `https` is required unless `plain_http` says otherwise.
#[derive(Clone, Debug)]
pub struct EgressRequest {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub plain_http: bool,
}

impl EgressRequest {
    /// A POST over https.
    #[must_use]
    pub fn post(url: Url, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, url, headers, body: body.into(), plain_http: false }
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct EgressReply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the body was longer than what was read of it, or broke off.
    pub truncated: bool,
}

/// `Display` is for strangers and tells nothing about what is inside; [`EgressError::detail`] is for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    #[error("the address is not allowed")]
    Denied,
    #[error("the address is not an https URL")]
    Scheme,
    #[error("unreachable")]
    Unreachable(String),
    #[error("no answer in time")]
    Timeout,
    /// This server is not set up for it.
    #[error("outgoing connections are not set up on this server; see its log")]
    Setup(String),
}

impl EgressError {
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Unreachable(detail) | Self::Setup(detail) => detail,
            Self::Denied | Self::Scheme | Self::Timeout => "",
        }
    }
}

/// Who this server is to a service that asks for a TLS client certificate (RFC 8446 §4.4.2).
#[derive(Clone, Copy)]
pub struct ClientIdentity<'a> {
    /// The certificate, and what of its chain the service needs.
    pub certificate_pem: &'a str,
    /// PKCS#8, PKCS#1 or SEC 1, not encrypted.
    pub private_key_pem: &'a str,
}

/// Ways out of one server that trust more, or show a certificate; past this many all are forgotten and made anew.
const DERIVED_MAX: usize = 64;

/// The way out. Cheap to clone.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    policy: EgressPolicy,
    /// Made at the first use: a server that sends nothing needs no trusted certificates.
    client: OnceLock<Result<reqwest::Client, EgressError>>,
    /// By a hash of what makes them different; kept so that their connections are used again.
    derived: Mutex<HashMap<[u8; 32], Egress>>,
}

impl Egress {
    #[must_use]
    pub fn new(policy: EgressPolicy) -> Self {
        Self(Arc::new(Inner { policy, client: OnceLock::new(), derived: Mutex::default() }))
    }

    /// The same way out, trusting further PEM certificates, and showing a certificate where one is asked for. What
    /// cannot be read is a [`EgressError::Setup`].
    pub fn trusting(
        &self,
        ca_bundle: Option<&[u8]>,
        identity: Option<ClientIdentity<'_>>,
    ) -> Result<Self, EgressError> {
        if ca_bundle.is_none() && identity.is_none() {
            return Ok(self.clone());
        }
        let key = fingerprint(ca_bundle, identity);
        if let Some(known) = self.0.derived.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let client = build(&self.0.policy, ca_bundle, identity)?;
        let made = Self::new(self.0.policy.clone());
        // Nobody else has it yet, so it is empty.
        let _ = made.0.client.set(Ok(client));
        let mut derived = self.0.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if derived.len() >= DERIVED_MAX {
            derived.clear();
        }
        Ok(derived.entry(key).or_insert(made).clone())
    }

    /// Whether this address may be asked; for protocols other than HTTP, whose connections are made elsewhere.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.0.policy.addresses.allows(address)
    }

    pub async fn post(&self, url: Url, headers: HeaderMap, body: impl Into<Bytes>) -> Result<EgressReply, EgressError> {
        self.send(EgressRequest::post(url, headers, body)).await
    }

    pub async fn send(&self, request: EgressRequest) -> Result<EgressReply, EgressError> {
        let plain = request.plain_http && request.url.scheme() == "http";
        if request.url.scheme() != "https" && !plain {
            return Err(EgressError::Scheme);
        }
        self.judge_literal(&request.url)?;
        let client = self.client()?;
        let until = tokio::time::Instant::now() + self.0.policy.timeout;
        let sent = client.request(request.method, request.url).headers(request.headers).body(request.body).send();
        match tokio::time::timeout_at(until, sent).await {
            Ok(Ok(response)) => Ok(self.read(response, until).await),
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(EgressError::Timeout),
        }
    }

    /// From the status on the request was taken, whatever becomes of the body: who took "it broke off" for "not taken"
    /// would send the same again.
    async fn read(&self, mut response: reqwest::Response, until: tokio::time::Instant) -> EgressReply {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        let truncated = loop {
            match tokio::time::timeout_at(until, response.chunk()).await {
                Ok(Ok(None)) => break false,
                Ok(Ok(Some(chunk))) => {
                    let room = self.0.policy.response_max.saturating_sub(body.len());
                    body.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
                    if chunk.len() > room {
                        break true;
                    }
                }
                Ok(Err(_)) | Err(_) => break true,
            }
        };
        EgressReply { status, headers, body: body.freeze(), truncated }
    }

    /// An address in the URL itself never meets the resolver, so it is judged here. The URL's parser has already turned
    /// octal, hexadecimal and shortened forms into the one they mean.
    fn judge_literal(&self, url: &Url) -> Result<(), EgressError> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            // RFC 6761 §6.3: never leaves this machine, whatever a proxy may think of it.
            Some(Host::Domain(name)) if is_localhost(name) => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(EgressError::Scheme),
        };
        if self.0.policy.addresses.allows(address) { Ok(()) } else { Err(EgressError::Denied) }
    }

    fn client(&self) -> Result<&reqwest::Client, EgressError> {
        self.0.client.get_or_init(|| build(&self.0.policy, None, None)).as_ref().map_err(Clone::clone)
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Each part with its length before it: no two different sets read the same.
fn fingerprint(ca_bundle: Option<&[u8]>, identity: Option<ClientIdentity<'_>>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let certificate = identity.map(|it| it.certificate_pem.as_bytes());
    let private_key = identity.map(|it| it.private_key_pem.as_bytes());
    for part in [ca_bundle, certificate, private_key] {
        hash.update(part.map_or(u64::MAX, |it| it.len() as u64).to_be_bytes());
        hash.update(part.unwrap_or_default());
    }
    hash.finalize().into()
}

fn build(
    policy: &EgressPolicy,
    ca_bundle: Option<&[u8]>,
    identity: Option<ClientIdentity<'_>>,
) -> Result<reqwest::Client, EgressError> {
    let setup = |error: reqwest::Error| EgressError::Setup(chain(&error));
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("chancery/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        // Before the explicit one, which this would forget.
        .no_proxy()
        .timeout(policy.timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .referer(false);
    builder = match &policy.proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy).map_err(setup)?),
        None => builder.dns_resolver(Guarded(policy.addresses.clone())),
    };
    for bundle in policy.ca_bundle.as_deref().into_iter().chain(ca_bundle) {
        let certificates = reqwest::Certificate::from_pem_bundle(bundle).map_err(setup)?;
        if certificates.is_empty() {
            return Err(EgressError::Setup("there is no PEM certificate in what is to be trusted".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some(ClientIdentity { certificate_pem, private_key_pem }) = identity {
        let both = format!("{}\n{}\n", certificate_pem.trim(), private_key_pem.trim());
        builder = builder.identity(reqwest::Identity::from_pem(both.as_bytes()).map_err(setup)?);
    }
    builder.build().map_err(setup)
}

/// Resolves a name and gives out its addresses only if every one of them is allowed. The connection goes to what is given
/// out here and nowhere else: a name that leads somewhere else the next moment gains nothing.
struct Guarded(AddressPolicy);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.take(ADDRESSES_MAX).collect();
            if found.iter().any(|address| !policy.allows(address.ip())) {
                return Err(Denied.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Denied;

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads to an address that is not allowed")
    }
}

impl std::error::Error for Denied {}

fn classify(error: &reqwest::Error) -> EgressError {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<Denied>() {
            return EgressError::Denied;
        }
        source = cause.source();
    }
    if error.is_timeout() { EgressError::Timeout } else { EgressError::Unreachable(chain(error)) }
}

/// All causes in one line. The URL is left out: it may hold what only its owner should know.
fn chain(error: &reqwest::Error) -> String {
    let mut texts =
        vec![if error.is_connect() { "connecting failed".to_owned() } else { "the exchange failed".to_owned() }];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trusting_tests;
