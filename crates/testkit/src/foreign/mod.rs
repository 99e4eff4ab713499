//! Other people's services, started for one test on free ports of this machine and ended with it: ACME servers, a DNS
//! server, OpenBao. All speak TLS with certificates that [`Loopback`] makes, since this product asks nobody else. And a
//! browser, for the other side.
//!
//! `scripts/test` installs the programs. A missing one fails the test that needs it and says how to get it.

#![expect(clippy::panic, reason = "a service that does not start is a failed test")]

mod acme2certifier;
mod bao;
mod browser;
mod challtest;
mod knot;
mod meddler;
mod pebble;
mod webhook;

use std::fmt::{Debug, Display};
use std::fs::File;
use std::future::Future;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chancery_keys::{PrivateKey, Signer as _};
use chancery_pkix::{
    Attribute, AttributeType, BasicConstraints, DistinguishedName, ExtendedKeyUsage, Extensions, GeneralName,
    GeneralNameKind, KeyAlgorithm, KeyUsage, SerialNumber, TbsCertificate, Validity, assemble, pem,
};
use reqwest::{Client, Method};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

pub use acme2certifier::{Acme2certifier, Acme2certifierOptions};
pub use bao::Bao;
pub use browser::{Browser, Cookie, Theme};
pub use challtest::ChallTestSrv;
pub use knot::{Knot, TsigKey};
pub use meddler::{Exchange, Meddler, Meddling, Plan, acme_problem};
pub use pebble::{Pebble, PebbleOptions};
pub use webhook::DnsWebhook;

/// Until a program listens; a busy machine needs a few seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(25);

/// How often a launch is tried: between finding a free port and taking it, somebody else may.
const LAUNCHES_MAX: u32 = 3;

/// 2020-01-01 to 2049-12-31: the programs have real clocks, tests have their own.
const VALIDITY: Validity = Validity { not_before: 1_577_836_800, not_after: 2_524_607_999 };

/// A port of the loopback address that nobody listens on now.
#[must_use]
pub fn free_port() -> u16 {
    let listener = must("a free port", std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    must("its number", listener.local_addr()).port()
}

/// A free address on loopback.
#[must_use]
pub fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
}

/// A program at work in a folder of its own. Killed when dropped.
pub(crate) struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts the command with its output in `<name>.log` of the folder.
    pub fn start(mut command: Command, folder: &Path, advice: &str) -> Self {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = folder.join(format!("{name}.log"));
        let out = must("the log", File::create(&log));
        let copy = must("the log", out.try_clone());
        let spawned = command.current_dir(folder).stdin(Stdio::null()).stdout(out).stderr(copy).spawn();
        match spawned {
            Ok(child) => Self { name, child, log },
            Err(error) if error.kind() == ErrorKind::NotFound => panic!("{name} is missing: {advice}"),
            Err(error) => panic!("{name} does not start: {error}"),
        }
    }

    /// Waits until somebody accepts connections at the address.
    pub async fn listening(&mut self, address: SocketAddr) -> Result<(), String> {
        let until = Instant::now() + START_TIMEOUT;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended ({status}):\n{}", self.name, self.log()));
            }
            if TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        Err(format!("{} does not listen on {address}:\n{}", self.name, self.log()))
    }

    /// What it has written so far; the last of it, if that is much.
    pub fn log(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(200)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            // Captured with the failed test's own output.
            eprintln!("--- {} ---\n{}", self.name, self.log());
        }
    }
}

/// Launches until it works, since ports may be lost to others.
async fn launched<T, F: Future<Output = Result<T, String>>>(what: &str, launch: impl Fn() -> F) -> T {
    let mut words = String::new();
    for _ in 0..LAUNCHES_MAX {
        match launch().await {
            Ok(started) => return started,
            Err(reason) => words = reason,
        }
    }
    panic!("{what} did not start: {words}")
}

/// A CA of its own, and a certificate of it for `localhost` and the loopback addresses.
pub struct Loopback {
    /// The CA's certificate, for whoever is to trust the service.
    pub ca_pem: String,
    pub certificate_pem: String,
    pub key_pem: String,
}

impl Loopback {
    #[must_use]
    pub fn make() -> Self {
        let authority = Authority::make("Loopback CA");
        let key = must("a key", PrivateKey::generate(KeyAlgorithm::EcP256));
        let names = [
            (GeneralNameKind::DnsName, "localhost"),
            (GeneralNameKind::IpAddress, "127.0.0.1"),
            (GeneralNameKind::IpAddress, "::1"),
        ];
        let extensions = Extensions {
            basic_constraints: Some(BasicConstraints::default()),
            key_usages: [KeyUsage::DigitalSignature].into_iter().collect(),
            extended_key_usages: vec![ExtendedKeyUsage::ServerAuth],
            subject_alt_names: names
                .iter()
                .map(|(kind, value)| must(value, GeneralName::parse(*kind, value)))
                .collect(),
            ..Extensions::default()
        };
        let certificate_pem = authority.certify("localhost", &key, extensions);
        Self { ca_pem: authority.certificate_pem, certificate_pem, key_pem: key.to_pkcs8_pem().to_string() }
    }

    /// Writes certificate and key into a folder, as `cert.pem` and `key.pem`.
    pub fn write(&self, folder: &Path) {
        must("the certificate", std::fs::write(folder.join("cert.pem"), &self.certificate_pem));
        must("its key", std::fs::write(folder.join("key.pem"), &self.key_pem));
    }
}

/// A root CA for services that issue or need certificates.
pub(crate) struct Authority {
    name: DistinguishedName,
    key: PrivateKey,
    pub certificate_pem: String,
}

impl Authority {
    pub fn make(name: &str) -> Self {
        let key = must("a key", PrivateKey::generate(KeyAlgorithm::EcP256));
        let extensions = Extensions {
            basic_constraints: Some(BasicConstraints { is_ca: true, path_length: None }),
            key_usages: [KeyUsage::KeyCertSign, KeyUsage::CrlSign, KeyUsage::DigitalSignature].into_iter().collect(),
            ..Extensions::default()
        };
        let mut made = Self { name: common_name(name), key, certificate_pem: String::new() };
        made.certificate_pem = made.certify(name, &made.key, extensions);
        made
    }

    pub fn key_pem(&self) -> String {
        self.key.to_pkcs8_pem().to_string()
    }

    /// A certificate (PEM) for a key.
    pub fn certify(&self, subject: &str, key: &PrivateKey, extensions: Extensions) -> String {
        let algorithm = KeyAlgorithm::EcP256.default_signature();
        let mut serial = [0; 16];
        must("random bytes", fill(&mut serial));
        let extensions = Extensions {
            subject_key_id: key.public_key().key_id().to_vec(),
            authority_key_id: Some(self.key.public_key().key_id().to_vec()),
            ..extensions
        };
        let tbs = TbsCertificate {
            serial: &SerialNumber::from_random(serial),
            signature_algorithm: algorithm,
            issuer_der: &self.name.to_der(),
            validity: VALIDITY,
            subject_der: &common_name(subject).to_der(),
            public_key: key.public_key(),
            extensions: &extensions,
        };
        let tbs = must("a certificate", tbs.to_der());
        let signature = must("a signature", self.key.sign(algorithm, &tbs));
        pem::encode(pem::CERTIFICATE, &assemble(&tbs, algorithm, &signature))
    }
}

fn common_name(name: &str) -> DistinguishedName {
    must("a name", DistinguishedName::new(vec![Attribute::new(AttributeType::CommonName, name)]))
}

fn fill(bytes: &mut [u8]) -> std::io::Result<()> {
    use std::io::Read as _;
    File::open("/dev/urandom")?.read_exact(bytes)
}

/// A client that trusts one CA and nobody else.
fn client(ca_pem: &str) -> Client {
    let root = must("the CA's certificate", reqwest::Certificate::from_pem(ca_pem.as_bytes()));
    let builder = Client::builder().tls_certs_only([root]).no_proxy().timeout(Duration::from_secs(30));
    must("a client", builder.build())
}

/// Status and body; the body of an answer without JSON is a text.
async fn exchange(
    client: &Client,
    method: Method,
    url: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> (u16, Value) {
    let mut request = client.request(method, url);
    if let Some(token) = token {
        request = request.header("x-vault-token", token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = must(url, request.send().await);
    let status = answer.status().as_u16();
    let text = must(url, answer.text().await);
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A folder for a program; gone with it.
fn folder() -> TempDir {
    must("a temporary directory", tempfile::tempdir())
}

fn must<T, E: Debug>(what: impl Display, outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}
