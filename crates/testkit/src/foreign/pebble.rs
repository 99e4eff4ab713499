//! Pebble: the test server of the ACME project itself. It refuses one good nonce in twenty, as it does by default, so that
//! a client that cannot bear it is found out.

use std::net::SocketAddr;
use std::process::Command;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Loopback, Program, client, exchange, folder, free_address, launched, must};

const ADVICE: &str = "install it with `apt-get install pebble`, or run scripts/test, which does";

/// What is to be different. Ports that are not given belong to nobody.
#[derive(Clone, Debug)]
pub struct PebbleOptions {
    /// Whether accounts need an external account binding (RFC 8555 §7.3.4); [`Pebble::EAB_KEY_ID`] has one.
    pub eab: bool,
    /// Refuses what a future version of the API will.
    pub strict: bool,
    /// The DNS server that challenges are looked up at; without one it is the machine's own.
    pub resolver: Option<SocketAddr>,
    /// Where HTTP-01 is looked for in place of port 80.
    pub http_port: u16,
    /// Where TLS-ALPN-01 is looked for in place of port 443.
    pub tls_port: u16,
    /// How many further roots the issuing CA has certificates of.
    pub alternate_roots: u8,
    /// Percentage of authorizations that are used again; `None`: Pebble's own, which is a half.
    pub authorizations_reused: Option<u8>,
    /// Percentage of good nonces that are refused; `None`: Pebble's own.
    pub nonces_refused: Option<u8>,
}

impl Default for PebbleOptions {
    fn default() -> Self {
        Self {
            eab: false,
            strict: false,
            resolver: None,
            http_port: 1,
            tls_port: 1,
            alternate_roots: 0,
            authorizations_reused: None,
            nonces_refused: None,
        }
    }
}

pub struct Pebble {
    program: Program,
    tls: Loopback,
    client: Client,
    directory: SocketAddr,
    management: SocketAddr,
    alternate_roots: u8,
    _folder: TempDir,
}

impl Pebble {
    pub const EAB_KEY_ID: &'static str = "kid-1";
    /// Base64url, as CAs hand it out.
    pub const EAB_HMAC_KEY: &'static str = "Y2hhbmNlcnktdGVzdC1vZi1leHRlcm5hbC1hY2NvdW50LWJpbmRpbmctMQ";

    pub async fn start(options: PebbleOptions) -> Self {
        launched("pebble", || Self::launch(options.clone())).await
    }

    async fn launch(options: PebbleOptions) -> Result<Self, String> {
        let (folder, tls) = (folder(), Loopback::make());
        let (directory, management) = (free_address(), free_address());
        tls.write(folder.path());
        let configuration = json!({"pebble": {
            "listenAddress": directory.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": "cert.pem",
            "privateKey": "key.pem",
            "httpPort": options.http_port,
            "tlsPort": options.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": options.eab,
            "externalAccountMACKeys": {Self::EAB_KEY_ID: Self::EAB_HMAC_KEY},
        }});
        must("its configuration", std::fs::write(folder.path().join("pebble.json"), configuration.to_string()));
        let mut command = Command::new("pebble");
        command.args(["-config", "pebble.json"]).env("PEBBLE_VA_NOSLEEP", "1");
        command.env("PEBBLE_ALTERNATE_ROOTS", options.alternate_roots.to_string());
        if options.strict {
            command.arg("-strict");
        }
        if let Some(resolver) = options.resolver {
            command.args(["-dnsserver", &resolver.to_string()]);
        }
        let percentages =
            [("PEBBLE_AUTHZREUSE", options.authorizations_reused), ("PEBBLE_WFE_NONCEREJECT", options.nonces_refused)];
        for (name, value) in percentages {
            value.map(|value| command.env(name, value.to_string()));
        }
        let mut program = Program::start(command, folder.path(), ADVICE);
        program.listening(directory).await?;
        program.listening(management).await?;
        let client = client(&tls.ca_pem);
        let alternate_roots = options.alternate_roots;
        Ok(Self { program, tls, client, directory, management, alternate_roots, _folder: folder })
    }

    #[must_use]
    pub fn directory_url(&self) -> String {
        format!("https://{}/dir", self.directory)
    }

    /// Who vouches for its TLS certificate. What it issues ends at [`Self::roots`].
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.tls.ca_pem
    }

    /// The roots of the certificates that it issues, the usual one first (PEM).
    pub async fn roots(&self) -> Vec<String> {
        let mut roots = Vec::new();
        for number in 0..=self.alternate_roots {
            roots.push(self.managed(&format!("roots/{number}")).await);
        }
        roots
    }

    /// The CA that signs (PEM).
    pub async fn intermediate(&self) -> String {
        self.managed("intermediates/0").await
    }

    /// `Valid` or `Revoked`, by serial number in hexadecimal.
    pub async fn certificate_status(&self, serial: &str) -> String {
        let url = format!("https://{}/cert-status-by-serial/{serial}", self.management);
        let (_, body) = exchange(&self.client, Method::GET, &url, None, None).await;
        body.get("Status").and_then(Value::as_str).unwrap_or("unknown").to_owned()
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }

    async fn managed(&self, path: &str) -> String {
        let url = format!("https://{}/{path}", self.management);
        let answer = must(&url, self.client.get(&url).send().await);
        must(&url, answer.text().await)
    }
}
