//! `pebble-challtestsrv`: a DNS server that answers what it is told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Program, folder, free_address, launched, must};

const ADVICE: &str = "install it with `apt-get install pebble`, or run scripts/test, which does";

/// Cheap to clone are its addresses only; the server itself ends with this.
pub struct ChallTestSrv {
    program: Program,
    dns: SocketAddr,
    management: Management,
    _folder: TempDir,
}

/// What tells the server what to answer.
#[derive(Clone)]
pub(super) struct Management {
    client: Client,
    address: SocketAddr,
}

impl ChallTestSrv {
    /// Every name has the address 127.0.0.1, and nothing else until it is told so.
    pub async fn start() -> Self {
        launched("pebble-challtestsrv", Self::launch).await
    }

    async fn launch() -> Result<Self, String> {
        let (folder, dns, management) = (folder(), free_address(), free_address());
        let mut command = Command::new("pebble-challtestsrv");
        command.args(["-dns01", &dns.to_string(), "-management", &management.to_string()]);
        command.args([
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
        ]);
        let mut program = Program::start(command, folder.path(), ADVICE);
        program.listening(management).await?;
        // It answers by TCP as well as by UDP, which is what waiting needs.
        program.listening(dns).await?;
        let client = must("a client", Client::builder().tls_certs_only([]).no_proxy().build());
        Ok(Self { program, dns, management: Management { client, address: management }, _folder: folder })
    }

    /// Where it answers DNS questions.
    #[must_use]
    pub const fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// Adds a TXT value; the name ends with a dot.
    pub async fn set_txt(&self, name: &str, value: &str) {
        self.management.set_txt(name, value).await;
    }

    /// Removes all TXT values of the name.
    pub async fn clear_txt(&self, name: &str) {
        self.management.clear_txt(name).await;
    }

    pub async fn add_a(&self, name: &str, addresses: &[Ipv4Addr]) {
        self.management.call("add-a", &json!({"host": name, "addresses": addresses})).await;
    }

    pub async fn set_cname(&self, name: &str, target: &str) {
        self.management.call("set-cname", &json!({"host": name, "target": target})).await;
    }

    /// Questions about the name are answered with SERVFAIL until further notice.
    pub async fn set_servfail(&self, name: &str) {
        self.management.call("set-servfail", &json!({"host": name})).await;
    }

    pub async fn clear_servfail(&self, name: &str) {
        self.management.call("clear-servfail", &json!({"host": name})).await;
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }

    pub(super) fn management(&self) -> Management {
        self.management.clone()
    }
}

impl Management {
    pub async fn set_txt(&self, name: &str, value: &str) {
        self.call("set-txt", &json!({"host": name, "value": value})).await;
    }

    pub async fn clear_txt(&self, name: &str) {
        self.call("clear-txt", &json!({"host": name})).await;
    }

    async fn call(&self, what: &str, body: &Value) {
        let url = format!("http://{}/{what}", self.address);
        let answer = must(&url, self.client.post(&url).body(body.to_string()).send().await);
        must(&url, answer.error_for_status());
    }
}
