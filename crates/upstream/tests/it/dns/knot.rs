//! A real authoritative server: Knot DNS, with TSIG keys and zones of its own, on a free port of loopback.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

pub const KEY: &str = "chancery";
pub const SECRET: &str = "c2hhcmVkIHNlY3JldCBvZiBib3RoIHNpZGVzIG9mIGl0";
/// Another one, that the server knows and no zone allows.
pub const STRANGER: &str = "stranger";
/// For [`KEY_512`].
pub const SECRET_512: &str = "YW5vdGhlciBzaGFyZWQgc2VjcmV0LCBhbmQgYSBsb25nZXIgb25lIHRoYXQgZml0cyBpdHMgaGFzaA==";
pub const KEY_512: &str = "chancery-512";

const ZONE: &str = r#"$TTL 60
@ SOA ns1 hostmaster 1 3600 600 86400 60
@ NS ns1
@ NS ns2
ns1 A 127.0.0.1
ns2 A 127.0.0.2
_acme-challenge.www TXT "theirs"
_acme-challenge.split TXT "one " "text"
_acme-challenge.shop CNAME Shop.Proof.Test.
_acme-challenge.two CNAME two.proof.test.
_acme-challenge.round CNAME round
round CNAME _acme-challenge.round
_acme-challenge.long CNAME c1
c1 CNAME c2
c2 CNAME c3
c3 CNAME c4
c4 CNAME c5
c5 CNAME c6
c6 CNAME c7
c7 CNAME c8
c8 CNAME c9
c9 CNAME c10
*.hosts CNAME balancer.cloud.test.
_acme-challenge.apart NS ns1
"#;

/// A zone for one name's record alone.
const APART_ZONE: &str = r#"$TTL 60
@ SOA ns1.acme.test. hostmaster 1 3600 600 86400 60
@ NS ns1.acme.test.
@ TXT "apart"
"#;

const PROOF_ZONE: &str = r"$TTL 60
@ SOA ns1.acme.test. hostmaster 1 3600 600 86400 60
@ NS ns1.acme.test.
two CNAME three
";

pub struct Knot {
    pub address: SocketAddr,
    process: Child,
    _folder: TempDir,
}

impl Knot {
    pub fn start() -> Self {
        Self::at("127.0.0.1", free_port())
    }

    /// Another server of the same zones on another address, as port 53 would be the same everywhere.
    pub fn beside(&self) -> Self {
        Self::at("127.0.0.2", self.address.port())
    }

    fn at(host: &str, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::write(path.join("acme.test.zone"), ZONE).unwrap();
        std::fs::write(path.join("closed.test.zone"), ZONE).unwrap();
        std::fs::write(path.join("proof.test.zone"), PROOF_ZONE).unwrap();
        std::fs::write(path.join("_acme-challenge.apart.acme.test.zone"), APART_ZONE).unwrap();
        let configuration = path.join("knot.conf");
        std::fs::write(&configuration, configured(path, host, port)).unwrap();
        let process = Command::new(program())
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("no knotd ({error}): run scripts/test once, which installs knot"));
        let address = format!("{host}:{port}").parse().unwrap();
        let mut knot = Self { address, process, _folder: folder };
        for _ in 0..500 {
            if std::net::TcpStream::connect(address).is_ok() {
                return knot;
            }
            assert!(knot.process.try_wait().unwrap().is_none(), "knotd has ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("knotd does not listen on {address}");
    }

    pub fn server(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Debian keeps it where only an administrator's shell looks.
fn program() -> &'static str {
    if Path::new("/usr/sbin/knotd").exists() { "/usr/sbin/knotd" } else { "knotd" }
}

fn configured(path: &Path, host: &str, port: u16) -> String {
    let path = path.display();
    let key = |id: &str, algorithm: &str, secret: &str| {
        format!("  - id: {id}\n    algorithm: {algorithm}\n    secret: {secret}\n")
    };
    let keys = [
        key(KEY, "hmac-sha256", SECRET),
        key(STRANGER, "hmac-sha256", SECRET),
        key(KEY_512, "hmac-sha512", SECRET_512),
    ]
    .concat();
    let zone = |name: &str, acl: &str| {
        format!("  - domain: {name}\n    storage: {path}\n    file: {name}.zone\n    zonefile-sync: -1\n{acl}")
    };
    let zones = [
        zone("acme.test", "    acl: update\n"),
        zone("proof.test", "    acl: update\n"),
        zone("closed.test", ""),
        zone("_acme-challenge.apart.acme.test", ""),
    ]
    .concat();
    format!(
        "server:\n  rundir: {path}\n  listen: {host}@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\ndatabase:\n  storage: {path}\nkey:\n{keys}acl:\n  - id: update\n    key: [{KEY}, {KEY_512}]\n    action: update\n    update-type: TXT\nzone:\n{zones}"
    )
}

/// Free for TCP and UDP, on both addresses.
fn free_port() -> u16 {
    for _ in 0..100 {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let others = UdpSocket::bind(("127.0.0.1", port)).is_ok()
            && TcpListener::bind(("127.0.0.2", port)).is_ok()
            && UdpSocket::bind(("127.0.0.2", port)).is_ok();
        if others {
            return port;
        }
    }
    panic!("no free port");
}
