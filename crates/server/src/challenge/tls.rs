//! TLS-ALPN-01 (RFC 8737, RFC 8738 §6): a handshake that shows a certificate made for one question.
//!
//! The name that the CA's client asks for must be looked up before there is a certificate to show, so the handshake is
//! held after the client's first message. No application data is ever read or sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use chancery_keys::{PrivateKey, Signer as _};
use chancery_model::external::ChallengeKind;
use chancery_model::{Clock, Randomness};
use chancery_pkix::{
    Attribute, AttributeType, DistinguishedName, Extensions, GeneralName, GeneralNameKind, KeyAlgorithm, SerialNumber,
    TbsCertificate, Validity, assemble,
};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::LazyConfigAcceptor;

use super::Challenges;
use crate::config::Limits;
use crate::listener::next_connection;

/// A validating CA says what it wants at once; who is silent keeps a place from others.
const HANDSHAKE: Duration = Duration::from_secs(4);

const ALPN: &[u8] = b"acme-tls/1";

/// Handshakes at once. A CA looks from a handful of places; whoever else connects shall not cost more than this.
const HANDSHAKES_MAX: usize = 64;

/// Nobody is shown the certificate twice.
const VALIDITY_SECONDS: i64 = 3_600;

pub struct TlsChallenges {
    pub challenges: Challenges,
    pub clock: Arc<dyn Clock>,
    pub randomness: Arc<dyn Randomness>,
    pub limits: Limits,
}

impl TlsChallenges {
    /// Serves until `stop` is sent or dropped; a handshake that is under way then is cut off, since the CA tries again.
    pub async fn serve(self, tcp: TcpListener, mut stop: oneshot::Receiver<()>) {
        let places = Arc::new(Semaphore::new(HANDSHAKES_MAX.min(self.limits.connections_max)));
        let (listener, provider) = (Arc::new(self), Arc::new(provider::default_provider()));
        let mut connections = JoinSet::new();
        while let Some((place, stream, remote)) = next_connection(&tcp, &places, &mut stop).await {
            while connections.try_join_next().is_some() {}
            let (listener, provider) = (Arc::clone(&listener), Arc::clone(&provider));
            connections.spawn(async move {
                listener.connection(stream, remote.ip(), provider).await;
                drop(place);
            });
        }
        connections.shutdown().await;
    }

    async fn connection(&self, stream: TcpStream, remote: IpAddr, provider: Arc<CryptoProvider>) {
        if !self.challenges.permits(remote.to_canonical()) {
            return;
        }
        match tokio::time::timeout(HANDSHAKE.min(self.limits.header_timeout), self.handshake(stream, provider)).await {
            Ok(Ok(name)) => tracing::debug!(%remote, name, "A TLS-ALPN-01 challenge was answered."),
            Ok(Err(error)) => tracing::debug!(%remote, %error, "A TLS-ALPN-01 handshake failed."),
            Err(_) => tracing::debug!(%remote, "A TLS-ALPN-01 handshake took too long."),
        }
    }

    /// The name that was answered for.
    async fn handshake(&self, stream: TcpStream, provider: Arc<CryptoProvider>) -> io::Result<String> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let asked = asked_name(&start.client_hello());
        let shown = match &asked {
            Some(name) => self.certificate(name, &provider).await?,
            None => None,
        };
        let config = server_config(shown, provider).map_err(io::Error::other)?;
        let mut stream = start.into_stream(Arc::new(config)).await?;
        stream.shutdown().await?;
        Ok(asked.unwrap_or_default())
    }

    async fn certificate(&self, name: &str, provider: &CryptoProvider) -> io::Result<Option<Arc<CertifiedKey>>> {
        let found = self.challenges.newest(ChallengeKind::TlsAlpn01, name).await;
        let found = found.map_err(|_| io::Error::other("the store cannot be asked for challenges now"))?;
        match found {
            None => Ok(None),
            Some(authorization) => self.certify(name, &authorization, provider).map(Some),
        }
    }

    /// RFC 8737 §3: self-signed, one name, the digest of the key authorization in a critical extension.
    fn certify(&self, name: &str, authorization: &str, provider: &CryptoProvider) -> io::Result<Arc<CertifiedKey>> {
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).map_err(io::Error::other)?;
        let algorithm = KeyAlgorithm::EcP256.default_signature();
        let subject = DistinguishedName::new(vec![Attribute::new(AttributeType::CommonName, "ACME challenge")]);
        let subject_der = subject.map_err(io::Error::other)?.to_der();
        let mut entropy = [0; 16];
        self.randomness.fill(&mut entropy);
        let now = self.clock.now().as_seconds();
        let extensions = Extensions {
            subject_alt_names: vec![general_name(name)?],
            acme_identifier: digest(&SHA256, authorization.as_bytes()).as_ref().try_into().ok(),
            ..Extensions::default()
        };
        let tbs = TbsCertificate {
            serial: &SerialNumber::from_random(entropy),
            signature_algorithm: algorithm,
            issuer_der: &subject_der,
            validity: Validity { not_before: now - VALIDITY_SECONDS, not_after: now + VALIDITY_SECONDS },
            subject_der: &subject_der,
            public_key: key.public_key(),
            extensions: &extensions,
        }
        .to_der()
        .map_err(io::Error::other)?;
        let signature = key.sign(algorithm, &tbs).map_err(io::Error::other)?;
        let certificate = CertificateDer::from(assemble(&tbs, algorithm, &signature));
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_pkcs8_der().to_vec()));
        // Not held against the key by rustls, whose reader refuses a critical extension that it does not know.
        let key = provider.key_provider.load_private_key(key).map_err(io::Error::other)?;
        Ok(Arc::new(CertifiedKey::new(vec![certificate], key)))
    }
}

/// The server name of a client that speaks nothing but this protocol (RFC 8737 §3).
fn asked_name(hello: &ClientHello<'_>) -> Option<String> {
    let mut protocols = hello.alpn()?;
    let alone = protocols.next() == Some(ALPN) && protocols.next().is_none();
    hello.server_name().filter(|_| alone).map(|name| name.trim_end_matches('.').to_ascii_lowercase())
}

/// Without a certificate, the handshake ends with an alert.
fn server_config(
    shown: Option<Arc<CertifiedKey>>,
    provider: Arc<CryptoProvider>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(Shown(shown)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}

struct Shown(Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shown").field(&self.0.is_some()).finish()
    }
}

/// A server name cannot be an address, so RFC 8738 §6 asks for one by its name in the reverse DNS.
fn general_name(server_name: &str) -> io::Result<GeneralName> {
    let parsed = match reversed(server_name) {
        Some(address) => GeneralName::parse(GeneralNameKind::IpAddress, &address.to_string()),
        None => GeneralName::parse(GeneralNameKind::DnsName, server_name),
    };
    parsed.map_err(io::Error::other)
}

/// `7.2.0.192.in-addr.arpa` (RFC 1035 §3.5) or 32 nibbles under `ip6.arpa` (RFC 3596 §2.5).
fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<u8> = labels.rsplit('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        return <[u8; 4]>::try_from(octets).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    }
    let labels = name.strip_suffix(".ip6.arpa")?;
    let nibble = |label: &str| u128::from_str_radix(label, 16).ok().filter(|_| label.len() == 1);
    let nibbles: Vec<u128> = labels.rsplit('.').map(nibble).collect::<Option<_>>()?;
    let whole = nibbles.iter().fold(0_u128, |sum, nibble| (sum << 4) | nibble);
    (nibbles.len() == 32).then(|| IpAddr::V6(Ipv6Addr::from(whole)))
}

#[cfg(test)]
mod tests;
