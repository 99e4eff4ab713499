//! Knot DNS: an authoritative server whose zones are changed by signed updates (RFC 2136, RFC 8945).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::{Program, folder, free_address, launched, must};

const ADVICE: &str = "install it with `apt-get install knot`, or run scripts/test, which does";

/// A key that may change the zones.
#[derive(Clone, Debug)]
pub struct TsigKey {
    /// With or without a final dot.
    pub name: String,
    /// `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    pub algorithm: String,
    /// Base64.
    pub secret: String,
}

impl Default for TsigKey {
    fn default() -> Self {
        Self {
            name: "chancery-test".to_owned(),
            algorithm: "hmac-sha256".to_owned(),
            secret: "ByqoWCGWVUFYmyeopSUCVe8Y9sZ9F+ZDDYyQBdBbmIM=".to_owned(),
        }
    }
}

pub struct Knot {
    /// None while it is down.
    program: Option<Program>,
    address: SocketAddr,
    zones: Vec<String>,
    folder: TempDir,
}

impl Knot {
    /// Serves the zones (without final dots), each with `ns` as its name server and addresses for `www` and `*`.
    pub async fn start(zones: &[&str], key: &TsigKey) -> Self {
        launched("knotd", || Self::launch(zones, key)).await
    }

    async fn launch(zones: &[&str], key: &TsigKey) -> Result<Self, String> {
        let (folder, address) = (folder(), free_address());
        for zone in zones {
            must("a zone", std::fs::write(folder.path().join(format!("{zone}.zone")), zone_file(zone)));
        }
        let zones = zones.iter().map(|it| (*it).to_owned()).collect();
        let mut knot = Self { program: None, address, zones, folder };
        knot.run(key).await?;
        Ok(knot)
    }

    async fn run(&mut self, key: &TsigKey) -> Result<(), String> {
        let path = self.folder.path();
        let configuration = configuration(path, self.address, &self.zones, key);
        must("its configuration", std::fs::write(path.join("knot.conf"), configuration));
        let mut command = Command::new(program());
        command.args(["-c", "knot.conf", "-s", "knot.sock"]);
        let mut program = Program::start(command, path, ADVICE);
        program.listening(self.address).await?;
        self.program = Some(program);
        Ok(())
    }

    /// Nobody answers at its address any more.
    pub fn stop(&mut self) {
        self.program = None;
    }

    /// The same zones, as they were changed, at the same address; from now on this key may change them.
    pub async fn restart(&mut self, key: &TsigKey) {
        self.stop();
        must("knotd", self.run(key).await);
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.as_ref().map(Program::log).unwrap_or_default()
    }
}

/// Debian puts it where only the administrator's path leads.
fn program() -> PathBuf {
    let usual = PathBuf::from("/usr/sbin/knotd");
    if usual.exists() { usual } else { PathBuf::from("knotd") }
}

fn configuration(folder: &std::path::Path, address: SocketAddr, zones: &[String], key: &TsigKey) -> String {
    let TsigKey { name, algorithm, secret } = key;
    let folder = folder.display();
    let (ip, port) = (address.ip(), address.port());
    let mut text = format!(
        "server:\n    listen: {ip}@{port}\n    rundir: \"{folder}\"\n    udp-workers: 1\n    tcp-workers: 2\n    \
         background-workers: 1\n\
         log:\n  - target: stderr\n    any: info\n\
         database:\n    storage: \"{folder}\"\n    journal-db-max-size: 16M\n    kasp-db-max-size: 16M\n    \
         timer-db-max-size: 16M\n    catalog-db-max-size: 16M\n\
         key:\n  - id: {name}\n    algorithm: {algorithm}\n    secret: {secret}\n\
         acl:\n  - id: changes\n    key: {name}\n    action: [update, transfer]\n\
         template:\n  - id: default\n    storage: \"{folder}\"\n    file: \"%s.zone\"\n    acl: changes\n    \
         zonefile-sync: -1\n    journal-content: all\n    journal-max-usage: 8M\n\
         zone:\n"
    );
    for zone in zones {
        writeln!(text, "  - domain: {zone}").ok();
    }
    text
}

fn zone_file(zone: &str) -> String {
    format!(
        "$ORIGIN {zone}.\n$TTL 1\n@ SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n\
         www A 127.0.0.1\n* A 127.0.0.1\n"
    )
}
