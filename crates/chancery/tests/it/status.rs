//! The public door over real sockets, and how strangers judge what it gives out.
//!
//! ```text
//! root ── issuing ── www.acme.test            main listener ──┐
//!                                                             ├── the same CRLs, OCSP answers, CA certificates
//!                                       repository listener ──┘   and on the latter nothing else
//! ```
//!
//! Verified: OpenSSL checks chains with our CRLs and deltas and believes our OCSP answers, good, revoked and unknown, by
//! POST and by GET; pkilint finds no error in either; malformed, oversized and overlong requests; what caches are told;
//! that the repository's listener has no other route; mirrors in a directory and on a server; what probes and metrics say.
//! What revocation does, by the clock, is in `revocation.rs`.

mod crl;
mod door;
mod mirror;
mod ocsp;

use std::net::SocketAddr;

use chancery_pkix::Certificate;
use chancery_testkit::world::{CERT_MANAGER, Pki, World, WorldBuilder, text};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::strangers::chain_of;

fn builder() -> WorldBuilder {
    // Port 0 in the URL becomes the port that the listener took.
    World::builder().setting("repository_listen", "127.0.0.1:0").setting("repository_url", "http://127.0.0.1:0")
}

/// A world with a repository of its own, two CAs whose first CRLs are published, and one certificate.
struct Scene {
    world: World,
    pki: Pki,
    /// As the API answered it.
    issued: Value,
    /// Leaf, issuing CA, root; PEM.
    chain: Vec<String>,
}

impl Scene {
    async fn new() -> Self {
        Self::with(builder().start().await).await
    }

    async fn with(world: World) -> Self {
        let pki = world.pki().await;
        world.authority().run_due_jobs().await;
        let issued = world.issue(pki.profile, &json!({})).await;
        let chain = chain_of(&issued);
        Self { world, pki, issued, chain }
    }

    fn leaf(&self) -> Certificate {
        Certificate::from_pem(&self.chain[0]).unwrap()
    }

    /// Where the certificate says that its CRL is.
    fn crl_url(&self) -> String {
        self.leaf().extensions().crl_distribution_points[0].clone()
    }

    fn ocsp_url(&self) -> String {
        self.leaf().extensions().ocsp[0].clone()
    }

    async fn revoke(&self, reason: &str) -> Value {
        let id = text(&self.issued, "/certificate/certificateId");
        let path = format!("{CERT_MANAGER}/certificates/{id}/revoke");
        self.world.operator().ok(Method::POST, &path, Some(&json!({"revocationReason": reason}))).await
    }

    async fn release(&self) {
        let id = text(&self.issued, "/certificate/certificateId");
        let path = format!("{CERT_MANAGER}/certificates/{id}/release");
        self.world.operator().ok(Method::POST, &path, Some(&json!({}))).await;
    }

    /// Lets the clock go on by so much and everything due be done.
    async fn later(&self, seconds: i64) {
        self.world.clock.advance_seconds(seconds);
        self.world.authority().run_due_jobs().await;
    }

    /// The listener that serves nothing but the repository.
    fn repository(&self) -> SocketAddr {
        let authority = self.world.authority();
        authority.repository_url().and_then(|url| url.strip_prefix("http://")).unwrap().parse().unwrap()
    }
}

/// An answer as it came over the wire.
#[derive(Debug)]
struct Answered {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answered {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|it| it.0.eq_ignore_ascii_case(name))
            .map(|it| it.1)
    }

    /// Seconds that a cache may keep it.
    fn max_age(&self) -> Option<i64> {
        self.header("cache-control")?.strip_prefix("max-age=")?.split(',').next()?.parse().ok()
    }
}

/// One request whose target no client library has touched.
async fn exchange(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answered {
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses early does not read to the end.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let split =
        answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer to {target:.200}"));
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answered { status, head, body: answer[split + 4..].to_vec() }
}

async fn get(address: SocketAddr, target: &str) -> Answered {
    exchange(address, "GET", target, &[], b"").await
}

/// The path of a URL below an address.
fn path(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap();
    &rest[rest.find('/').unwrap()..]
}

/// A CA's certificate, PEM.
async fn ca_pem(world: &World, ca: Uuid) -> String {
    let path = format!("{CERT_MANAGER}/ca/internal/{ca}/certificate");
    text(&world.admin().ok(Method::GET, &path, None).await, "/certificate")
}
