//! Somebody who talks to the measured server: the machine identity or the administrator that the quickstart made.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::http::{Connection, request};
use super::server::Server;

/// A logged-in caller. Each call has a connection of its own: between two the server may have closed an idle one.
pub struct Session {
    address: SocketAddr,
    pub token: String,
}

fn credentials(data: &Path) -> Result<Value, String> {
    let text = std::fs::read(data.join("credentials.json")).map_err(|error| format!("credentials.json: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("credentials.json: {error}"))
}

/// A field of `credentials.json`.
pub fn credential(data: &Path, name: &str) -> Result<String, String> {
    let found = credentials(data)?.get(name).and_then(Value::as_str).map(str::to_owned);
    found.ok_or(format!("credentials.json: no {name}"))
}

impl Session {
    /// The machine identity, an operator.
    pub async fn machine(server: &Server, data: &Path) -> Result<Self, String> {
        let body =
            json!({"clientId": credential(data, "clientId")?, "clientSecret": credential(data, "clientSecret")?});
        Self::log_in(server, "/api/v1/auth/universal-auth/login", &body).await
    }

    pub async fn administrator(server: &Server, data: &Path) -> Result<Self, String> {
        let password = std::fs::read_to_string(data.join("admin-password"));
        let password = password.map_err(|error| format!("admin-password: {error}"))?;
        let body = json!({"email": credential(data, "adminEmail")?, "password": password.trim()});
        Self::log_in(server, "/api/v1/auth/login", &body).await
    }

    async fn log_in(server: &Server, path: &str, body: &Value) -> Result<Self, String> {
        let mut connection = Connection::open(server.address).await?;
        let answer = connection.json(&request("POST", path, None, Some(&body.to_string()))).await?;
        let token = answer.get("accessToken").and_then(Value::as_str).ok_or("a log-in without a token")?;
        Ok(Self { address: server.address, token: token.to_owned() })
    }

    pub async fn get(&self, path: &str) -> Result<Value, String> {
        let asked = request("GET", path, Some(&self.token), None);
        self.ask(&asked).await.map_err(|error| format!("GET {path}: {error}"))
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let asked = request("POST", path, Some(&self.token), Some(&body.to_string()));
        self.ask(&asked).await.map_err(|error| format!("POST {path}: {error}"))
    }

    async fn ask(&self, asked: &[u8]) -> Result<Value, String> {
        Connection::open(self.address).await?.json(asked).await
    }

    /// The id of a profile by its slug.
    pub async fn profile(&self, slug: &str) -> Result<String, String> {
        let found = self.get(&format!("/api/v1/cert-manager/certificate-profiles/slug/{slug}")).await?;
        text(&found, "/certificateProfile/id")
    }
}

/// The text at a JSON pointer.
pub fn text(value: &Value, pointer: &str) -> Result<String, String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned).ok_or(format!("no {pointer} in {value}"))
}
