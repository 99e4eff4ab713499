//! OpenBao's development server over TLS, with a PKI engine at `pki` that has a root and a role.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Program, client, exchange, folder, free_address, launched, must};
use crate::judge::python_program;

const ADVICE: &str = "run scripts/test once: it makes target/test-tools with OpenBao in it";

pub struct Bao {
    program: Program,
    client: Client,
    address: SocketAddr,
    ca_pem: String,
    _folder: TempDir,
}

impl Bao {
    /// May do everything.
    pub const ROOT_TOKEN: &'static str = "chancery-test-root";
    /// Issues for every name, at most 90 days.
    pub const ROLE: &'static str = "server";
    /// Where the PKI engine is.
    pub const MOUNT: &'static str = "pki";

    pub async fn start() -> Self {
        let bao = launched("bao", Self::launch).await;
        bao.make_pki(Self::MOUNT).await;
        bao
    }

    async fn launch() -> Result<Self, String> {
        let (folder, address) = (folder(), free_address());
        let mut command = Command::new(program());
        command.args(["server", "-dev", "-dev-tls", "-dev-no-store-token"]);
        command.arg(format!("-dev-tls-cert-dir={}", folder.path().display()));
        command.arg(format!("-dev-root-token-id={}", Self::ROOT_TOKEN));
        command.arg(format!("-dev-listen-address={address}"));
        command.env("HOME", folder.path());
        let mut program = Program::start(command, folder.path(), ADVICE);
        program.listening(address).await?;
        let ca_pem = authority_of(folder.path())?;
        let client = client(&ca_pem);
        let bao = Self { program, client, address, ca_pem, _folder: folder };
        bao.unsealed().await?;
        Ok(bao)
    }

    /// It listens before it is ready.
    async fn unsealed(&self) -> Result<(), String> {
        let url = format!("{}/v1/sys/health", self.url());
        for _ in 0..400 {
            if let Ok(answer) = self.client.get(&url).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            tokio::time::sleep(super::PAUSE).await;
        }
        Err(format!("bao is not ready:\n{}", self.program.log()))
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Who vouches for its TLS certificate.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A call of its HTTP API as the administrator: `sys/mounts/x`, `pki/roles/server` …
    pub async fn api(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let url = format!("{}/v1/{path}", self.url());
        exchange(&self.client, method, &url, Some(Self::ROOT_TOKEN), body).await
    }

    /// The `data` of a call that must succeed.
    pub async fn ok(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, mut answer) = self.api(method.clone(), path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer:#}");
        answer.get_mut("data").map(Value::take).unwrap_or_default()
    }

    /// A further PKI engine, with a root of its own and the role [`Self::ROLE`]. Its root certificate (PEM).
    pub async fn make_pki(&self, mount: &str) -> String {
        let engine = json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}});
        self.ok(Method::POST, &format!("sys/mounts/{mount}"), Some(&engine)).await;
        let root = json!({
            "common_name": format!("OpenBao {mount} root"), "key_type": "ec", "key_bits": 256, "ttl": "87600h",
        });
        let made = self.ok(Method::POST, &format!("{mount}/root/generate/internal"), Some(&root)).await;
        let role = json!({
            "allow_any_name": true, "enforce_hostnames": false, "allow_ip_sans": true, "key_type": "any",
            "max_ttl": "2160h", "ttl": "720h", "use_csr_common_name": true, "use_csr_sans": true, "no_store": false,
        });
        self.ok(Method::POST, &format!("{mount}/roles/{}", Self::ROLE), Some(&role)).await;
        text(&made, "certificate")
    }

    /// An AppRole whose tokens may do what the policy (HCL) says: role id and secret id.
    pub async fn make_app_role(&self, name: &str, policy: &str) -> (String, String) {
        self.ok(Method::PUT, &format!("sys/policies/acl/{name}"), Some(&json!({"policy": policy}))).await;
        // There already, if this is not the first.
        self.api(Method::POST, "sys/auth/approle", Some(&json!({"type": "approle"}))).await;
        let role = json!({"token_policies": [name], "token_ttl": "1h"});
        self.ok(Method::POST, &format!("auth/approle/role/{name}"), Some(&role)).await;
        let role_id = self.ok(Method::GET, &format!("auth/approle/role/{name}/role-id"), None).await;
        let secret = self.ok(Method::POST, &format!("auth/approle/role/{name}/secret-id"), Some(&json!({}))).await;
        (text(&role_id, "role_id"), text(&secret, "secret_id"))
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The CA that the server has made for itself.
fn authority_of(folder: &std::path::Path) -> Result<String, String> {
    let files = must("its folder", std::fs::read_dir(folder));
    let found = files.flatten().map(|it| it.path()).find(|path| path.to_string_lossy().ends_with("-ca.pem"));
    let found = found.ok_or_else(|| "bao has made no CA file".to_owned())?;
    std::fs::read_to_string(found).map_err(|error| error.to_string())
}

/// Named by the environment, or beside the Python that `scripts/test` has prepared.
fn program() -> PathBuf {
    let named = std::env::var_os("CHANCERY_TEST_BAO").map(PathBuf::from);
    named.unwrap_or_else(|| python_program().with_file_name("bao"))
}
