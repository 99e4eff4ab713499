//! The mail server and https server of `sinks.py`, in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use chancery_testkit::judge::python_program;
use chancery_testkit::world::{World, WorldBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What `sinks.py` checks signatures with.
pub const SECRET: &str = "shared secret";

pub struct Sinks {
    folder: TempDir,
    process: Child,
    smtp: u64,
    https: u64,
}

impl Sinks {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("sinks.py");
        std::fs::write(&script, include_str!("sinks.py")).unwrap();
        let mut process = Command::new(python_program())
            .arg(&script)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("no Python with aiosmtpd ({error}): run scripts/test once"));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ports: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("the sinks did not start; run scripts/test once, which installs aiosmtpd"));
        Self { folder, process, smtp: ports["smtp"].as_u64().unwrap(), https: ports["https"].as_u64().unwrap() }
    }

    /// A world that may reach them.
    pub fn world(&self) -> WorldBuilder {
        World::builder()
            .setting("smtp_url", &format!("smtp://127.0.0.1:{}", self.smtp))
            .setting("smtp_from", "Chancery <pki@acme.test>")
            .with_egress_to_loopback(&std::fs::read_to_string(self.path("ca.pem")).unwrap())
            .setting("site_url", "https://pki.acme.test")
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.https)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How they answer from now on: an HTTP status, an SMTP reply.
    pub fn answer(&self, https: u16, smtp: &str) {
        std::fs::write(self.path("answer.json"), json!({"https": https, "smtp": smtp}).to_string()).unwrap();
    }

    /// Everything that has come, in order.
    pub fn received(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("received.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn mails(&self) -> Vec<Value> {
        self.received().into_iter().filter(|it| it["by"] == "smtp").collect()
    }

    /// What came to a path.
    pub fn hooks(&self, path: &str) -> Vec<Value> {
        self.received().into_iter().filter(|it| it["path"] == path).collect()
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
