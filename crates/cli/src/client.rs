//! The HTTP client: one server, one session. Everything else in this crate, the quickstart and the tests speak to a
//! server through it.

use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{CliError, Refusal};

/// Where the current API of the certificate manager lives.
pub const CERT_MANAGER: &str = "/api/v1/cert-manager";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the longest `wait` a request may ask for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// One server, and after a log-in one session on it. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    site_url: String,
    token: Option<String>,
}

/// A status and a JSON body, whatever they are. `Null` stands for an empty body.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl Reply {
    /// The body of a success; any other status becomes the error it stands for.
    pub fn success(self) -> Result<Value, CliError> {
        if (200..300).contains(&self.status) {
            Ok(self.body)
        } else {
            Err(Refusal { status: self.status, body: self.body }.into_error())
        }
    }
}

impl Client {
    /// A client without a session. `ca_certificates` is PEM: the roots to trust in place of the system's.
    pub fn new(site_url: &str, ca_certificates: Option<&str>) -> Result<Self, CliError> {
        let site_url = site_url.trim().trim_end_matches('/').trim_end_matches("/api").to_owned();
        let address = reqwest::Url::parse(&site_url).map_err(|error| bad_address(&site_url, &error.to_string()))?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("chancery/", env!("CARGO_PKG_VERSION")));
        match address.scheme() {
            // Nothing is trusted on a connection that has no TLS, so no machine needs root certificates for it.
            "http" => builder = builder.tls_certs_only([]),
            "https" => {
                if let Some(pem) = ca_certificates {
                    let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
                        .map_err(|error| CliError::Usage(format!("The CA certificates cannot be read: {error}")))?;
                    builder = builder.tls_certs_only(roots);
                }
            }
            other => return Err(bad_address(&site_url, &format!("the scheme is {other}"))),
        }
        if address.host_str().is_some_and(is_loopback) {
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| CliError::Usage(format!("The HTTP client cannot start: {}", reason(&error))))?;
        Ok(Self { http, site_url, token: None })
    }

    #[must_use]
    pub fn site_url(&self) -> &str {
        &self.site_url
    }

    /// The bearer token of the session, for programs that go on by themselves.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The same server with a token made elsewhere.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Logs a machine identity in.
    pub async fn login(&self, client_id: &str, client_secret: &str) -> Result<Self, CliError> {
        let body = json!({"clientId": client_id, "clientSecret": client_secret});
        self.open_session("/api/v1/auth/universal-auth/login", &body).await
    }

    /// Logs a person in.
    pub async fn login_user(&self, email: &str, password: &str) -> Result<Self, CliError> {
        self.open_session("/api/v1/auth/login", &json!({"email": email, "password": password})).await
    }

    async fn open_session(&self, path: &str, body: &Value) -> Result<Self, CliError> {
        let answer = self.send(Method::POST, path, Some(body)).await?.success()?;
        let token = answer
            .get("accessToken")
            .and_then(Value::as_str)
            .ok_or_else(|| self.unreadable("accessToken is missing"))?;
        Ok(self.with_token(token))
    }

    pub async fn get(&self, path: &str) -> Result<Reply, CliError> {
        self.send::<Value>(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Reply, CliError> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &impl Serialize) -> Result<Reply, CliError> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Reply, CliError> {
        self.send::<Value>(Method::DELETE, path, None).await
    }

    /// Any method with or without a body; an answer of any status is a [`Reply`].
    pub async fn send<B: Serialize + ?Sized>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Reply, CliError> {
        let (status, bytes) = self.send_raw(method, path, body).await?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            // A private key comes as bare text; everything else is JSON.
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()))
        };
        Ok(Reply { status, body })
    }

    /// The same with the answer's bytes as they came, for what is not JSON.
    pub async fn send_raw<B: Serialize + ?Sized>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<(u16, Vec<u8>), CliError> {
        let mut request = self.http.request(method, format!("{}{path}", self.site_url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        Ok((status, bytes.into()))
    }

    /// A request whose success has the shape of `T`.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<T, CliError> {
        let answer = self.send(method, path, body).await?.success()?;
        serde_json::from_value(answer).map_err(|error| self.unreadable(&error.to_string()))
    }

    pub(crate) fn unreadable(&self, reason: &str) -> CliError {
        CliError::Answer { server: self.site_url.clone(), reason: reason.to_owned() }
    }

    fn unreachable(&self, error: &reqwest::Error) -> CliError {
        CliError::Unreachable { server: self.site_url.clone(), reason: reason(error) }
    }
}

fn bad_address(address: &str, why: &str) -> CliError {
    CliError::Usage(format!(
        "\"{address}\" is not a server address: {why}. Write it as http://host:port or https://host"
    ))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The innermost cause: "connection refused" tells more than "error sending request".
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: Option<&str>) {
        assert_eq!(
            Client::new(address, None).ok().map(|client| client.site_url),
            expected.map(str::to_owned),
            "{address}"
        );
    }

    #[test]
    fn server_addresses_are_tidied_and_checked() {
        check("http://127.0.0.1:8200", Some("http://127.0.0.1:8200"));
        check(" http://127.0.0.1:8200/ ", Some("http://127.0.0.1:8200"));
        check("https://pki.acme.com/api", Some("https://pki.acme.com"));
        check("pki.acme.com", None);
        check("ftp://pki.acme.com", None);
        check("", None);
    }

    #[test]
    fn only_the_machine_itself_is_loopback() {
        for (host, expected) in
            [("localhost", true), ("127.0.0.1", true), ("[::1]", true), ("10.0.0.1", false), ("a.example", false)]
        {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = Client::new(&address, None).unwrap().get("/api/status").await.unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains(&address), "{error}");
    }
}
