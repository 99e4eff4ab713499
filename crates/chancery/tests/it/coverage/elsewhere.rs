//! External CAs, app connections and a request that waits, set up at a service of the test's own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use chancery_testkit::foreign::Loopback;
use chancery_testkit::judge::python_program;
use chancery_testkit::world::{CERT_MANAGER, Session, World, text};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

/// `outside.py` at work.
pub struct Outside {
    _folder: TempDir,
    process: Child,
    url: String,
    ca_pem: String,
}

impl Outside {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tls = Loopback::make();
        tls.write(folder.path());
        let script = folder.path().join("outside.py");
        std::fs::write(&script, include_str!("outside.py")).unwrap();
        let mut process = Command::new(python_program())
            .arg(&script)
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("no Python ({error}): run scripts/test once"));
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let url = format!("https://localhost:{}", port.trim());
        Self { _folder: folder, process, url, ca_pem: tls.ca_pem }
    }

    /// A world that may reach it.
    pub async fn world(&self) -> World {
        World::builder().with_egress_to_loopback(&self.ca_pem).start().await
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One of each, fresh.
pub struct Elsewhere {
    /// Of no use to any CA.
    pub connection: String,
    pub connection_name: String,
    pub acme: String,
    pub digicert: String,
    pub vault: String,
    /// Waits for an ACME CA that does not answer.
    pub request: String,
    digicert_connection: String,
    vault_connection: String,
    directory: String,
}

/// Whether a route needs them.
pub fn concerns(path: &str) -> bool {
    ["/app-connections", "/ca/acme", "/ca/digicert", "/ca/vault", "/certificate-requests/"]
        .iter()
        .any(|part| path.contains(part))
}

impl Elsewhere {
    /// What the route of this path needs, or everything.
    pub async fn make(world: &World, outside: &Outside, template: Uuid, path: Option<&str>, count: u32) -> Self {
        let needs = |part: &str| path.is_none_or(|path| path.contains(part));
        let admin = world.admin();
        let free = format!("free-{count}");
        let bao = |name: &str| {
            json!({"name": name, "method": "access-token",
            "credentials": {"instanceUrl": outside.url, "accessToken": "a-token"}})
        };
        let digicert = json!({"name": format!("digicert-{count}"), "method": "api-key",
            "credentials": {"apiKey": "a-key", "endpoint": format!("{}/services/v2", outside.url)}});
        let mut made = Self {
            connection: connection(admin, "hashicorp-vault", &bao(&free)).await,
            connection_name: free,
            digicert_connection: connection(admin, "digicert", &digicert).await,
            vault_connection: connection(admin, "hashicorp-vault", &bao(&format!("bao-{count}"))).await,
            directory: format!("{}/acme/directory", outside.url),
            acme: String::new(),
            digicert: String::new(),
            vault: String::new(),
            request: String::new(),
        };
        for kind in ["acme", "digicert", "vault"].into_iter().filter(|kind| needs(&format!("/ca/{kind}"))) {
            let id = ca(admin, kind, &made.body(kind, &format!("{kind}-{count}"))).await;
            match kind {
                "acme" => made.acme = id,
                "digicert" => made.digicert = id,
                _ => made.vault = id,
            }
        }
        if needs("/certificate-requests/") {
            let busy = ca(admin, "acme", &made.body("acme", &format!("busy-{count}"))).await;
            let profile = world.profile(&json!({"caId": busy, "certificatePolicyId": template})).await;
            made.request = text(&world.issue(profile, &json!({})).await, "/certificateRequestId");
        }
        made
    }

    /// A body that makes a CA of this kind.
    pub fn body(&self, kind: &str, name: &str) -> Value {
        let configuration = match kind {
            "acme" => {
                json!({"directoryUrl": self.directory, "accountEmail": "ops@acme.test", "challenges": ["http-01"]})
            }
            "digicert" => json!({"appConnectionId": self.digicert_connection, "organizationId": 42,
                "productNameId": "ssl_plus"}),
            _ => json!({"appConnectionId": self.vault_connection, "role": "web"}),
        };
        json!({"name": name, "status": "active", "configuration": configuration})
    }

    /// A body with which a route about them does what it is for.
    pub fn body_for(&self, route: &str, count: u32) -> Option<Value> {
        let (method, path) = route.split_once(' ')?;
        let kind = path.strip_prefix("/ca/").unwrap_or_default();
        Some(match (method, path) {
            ("POST", "/api/v1/app-connections/{app}") => json!({"name": format!("made-{count}"),
                "method": "access-token", "test": false,
                "credentials": {"instanceUrl": "https://bao.acme.test", "accessToken": "a-token"}}),
            ("PATCH", "/api/v1/app-connections/{app}/{id}") => json!({"description": "changed"}),
            ("POST", "/ca/acme" | "/ca/digicert" | "/ca/vault") => self.body(kind, &format!("made-{kind}-{count}")),
            ("PATCH", "/ca/acme/{id}" | "/ca/digicert/{id}" | "/ca/vault/{id}") => json!({"status": "disabled"}),
            _ => return None,
        })
    }

    /// What stands for a path's parameter on a route about them.
    pub fn parameter(&self, route: &str, parameter: &str) -> Option<String> {
        Some(match parameter {
            "name" if route.contains("/app-connections") => self.connection_name.clone(),
            "id" if route.contains("/app-connections") => self.connection.clone(),
            "id" if route.contains("/ca/acme") => self.acme.clone(),
            "id" if route.contains("/ca/digicert") => self.digicert.clone(),
            "id" if route.contains("/ca/vault") => self.vault.clone(),
            "requestId" => self.request.clone(),
            _ => return None,
        })
    }
}

async fn connection(admin: &Session, app: &str, body: &Value) -> String {
    let made = admin.ok(Method::POST, &format!("/api/v1/app-connections/{app}"), Some(body)).await;
    text(&made, "/appConnection/id")
}

async fn ca(admin: &Session, kind: &str, body: &Value) -> String {
    text(&admin.ok(Method::POST, &format!("{CERT_MANAGER}/ca/{kind}"), Some(body)).await, "/id")
}
