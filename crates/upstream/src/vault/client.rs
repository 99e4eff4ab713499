//! The HTTP API of Vault and OpenBao: logging in, asking, and what its refusals mean.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use chancery_authority::external::{OpenedConnection, UpstreamError};
use chancery_egress::{ClientIdentity, Egress, EgressReply, EgressRequest, HeaderMap, HeaderValue, Method, Url};
use chancery_model::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::exchange;

/// What people call the service in messages.
pub(super) const WHOM: &str = "Vault";

/// A token is used until this many seconds before its lease ends.
const LEASE_MARGIN: i64 = 30;
/// Logins that are remembered; past this many all are forgotten.
const TOKENS_MAX: usize = 256;

const NAMES_FROM_REQUEST: &str = "field was provided but the role is set with";

/// Tokens that logins have brought, in memory only.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<[u8; 32], Token>>);

struct Token {
    text: Zeroizing<String>,
    /// Absent: it does not end.
    usable_until: Option<Timestamp>,
}

impl Tokens {
    fn find(&self, key: &[u8; 32], now: Timestamp) -> Option<Zeroizing<String>> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get(key)?;
        token.usable_until.is_none_or(|until| now < until).then(|| token.text.clone())
    }

    fn keep(&self, key: [u8; 32], token: Token) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(key, token);
    }

    fn forget(&self, key: &[u8; 32]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// One server as seen through one connection.
pub(super) struct Client<'a> {
    egress: Egress,
    base: Url,
    connection: &'a OpenedConnection,
    tokens: &'a Tokens,
    now: Timestamp,
}

/// A path below `/v1/`, in segments.
#[derive(Clone, Debug, Default)]
pub(super) struct Path(Vec<String>);

impl Path {
    /// Of a mount, which may have several segments.
    pub(super) fn of(mount: &str) -> Self {
        Self(mount.split('/').filter(|it| !it.is_empty()).map(ToOwned::to_owned).collect())
    }

    /// With further segments, each taken as it is.
    pub(super) fn then<'s>(mut self, segments: impl IntoIterator<Item = &'s str>) -> Self {
        self.0.extend(segments.into_iter().map(ToOwned::to_owned));
        self
    }
}

/// An answer with a JSON object, or with nothing, in it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    json: Value,
    reply: EgressReply,
}

impl Answer {
    /// A member of `data`.
    pub(super) fn data(&self, name: &str) -> Option<&Value> {
        self.json.get("data")?.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.data(name)?.as_str().filter(|it| !it.is_empty())
    }

    /// A list of texts; empty where there is none.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        let list = self.data(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// What the engine did differently. That it takes names from the request alone is no news: they are the same.
    pub(super) fn warnings(&self) -> Vec<String> {
        let list = self.json.get("warnings").and_then(Value::as_array);
        let news = list.into_iter().flatten().filter_map(Value::as_str).filter(|it| !it.contains(NAMES_FROM_REQUEST));
        news.take(8).map(|it| format!("{WHOM}: {it}")).collect()
    }

    pub(super) const fn is_fine(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// What the service gave as its reason.
    pub(super) fn said(&self) -> String {
        let list = self.json.get("errors").and_then(Value::as_array);
        let said: Vec<&str> = list.into_iter().flatten().filter_map(Value::as_str).collect();
        said.join("; ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Whether another try may bring another answer: overload, a standby node (429, 472, 473; a redirect leads from one),
    /// a seal (503), other faults of the server.
    pub(super) const fn is_passing(&self) -> bool {
        matches!(self.status, 307 | 308 | 408 | 412 | 425 | 429 | 472 | 473 | 500..=599)
    }
}

impl<'a> Client<'a> {
    pub(super) fn new(
        egress: &Egress,
        connection: &'a OpenedConnection,
        tokens: &'a Tokens,
        now: Timestamp,
    ) -> Result<Self, UpstreamError> {
        let base = Url::parse(connection.required("instanceUrl")?)
            .map_err(|_| UpstreamError::lasting("instanceUrl of the app connection is not a URL"))?;
        let identity = match (connection.field("certificate"), connection.field("privateKey")) {
            (Some(certificate_pem), Some(private_key_pem)) => Some(ClientIdentity { certificate_pem, private_key_pem }),
            _ => None,
        };
        let egress = egress.trusting(connection.field("caCertificate").map(str::as_bytes), identity).map_err(|error| {
            let text = "caCertificate, certificate or privateKey of the app connection cannot be used; give each as PEM, \
                        the private key without a passphrase and belonging to the certificate";
            UpstreamError::lasting(text).with_detail(error.detail())
        })?;
        Ok(Self { egress, base, connection, tokens, now })
    }

    pub(super) async fn get(&self, path: Path) -> Result<Answer, UpstreamError> {
        self.call(Method::GET, &self.url(&path, false)?, None).await
    }

    /// Vault's own verb LIST, in its form for clients that have only the usual ones.
    pub(super) async fn list(&self, path: Path) -> Result<Answer, UpstreamError> {
        self.call(Method::GET, &self.url(&path, true)?, None).await
    }

    pub(super) async fn post(&self, path: Path, body: &Value) -> Result<Answer, UpstreamError> {
        self.call(Method::POST, &self.url(&path, false)?, Some(body)).await
    }

    /// An answer of the class 2xx, or why there is none.
    pub(super) fn fine(&self, doing: &str, answer: Answer) -> Result<Answer, UpstreamError> {
        if answer.is_fine() { Ok(answer) } else { Err(self.refused(doing, &answer)) }
    }

    /// An error in people's words from an answer that is none of the class 2xx.
    pub(super) fn refused(&self, doing: &str, answer: &Answer) -> UpstreamError {
        let said = answer.said();
        match answer.status {
            403 => UpstreamError::lasting(format!(
                "{WHOM} does not permit the app connection {doing} ({said}); extend the policy of its token or role"
            )),
            404 => UpstreamError::lasting(format!(
                "{WHOM} knows no such thing when asked {doing}; check the mount, the names and the namespace"
            )),
            503 if said.contains("sealed") => {
                UpstreamError::passing(format!("{WHOM} is sealed; unseal it and the order goes on"))
            }
            307 | 308 | 472 | 473 => UpstreamError::passing(format!(
                "{WHOM} answered from a standby node (status {}); give the URL of the active one or of a load balancer",
                answer.status
            )),
            412 => UpstreamError::passing(format!("{WHOM} has not caught up with itself yet (status 412)")),
            _ => exchange::refused(WHOM, &answer.reply, &said, self.now),
        }
    }

    /// A token that a login brought may have been revoked since: then one more login is tried.
    async fn call(&self, method: Method, url: &Url, body: Option<&Value>) -> Result<Answer, UpstreamError> {
        if let Some(token) = self.known_token()? {
            let answer = self.send(method.clone(), url.clone(), body, Some(&token)).await?;
            if answer.status != 403 || self.connection.method == "access-token" {
                return Ok(answer);
            }
            self.tokens.forget(&self.key());
        }
        let token = self.log_in().await?;
        self.send(method, url.clone(), body, Some(&token)).await
    }

    fn known_token(&self) -> Result<Option<Zeroizing<String>>, UpstreamError> {
        if self.connection.method == "access-token" {
            return self.connection.required("accessToken").map(|it| Some(Zeroizing::new(it.to_owned())));
        }
        Ok(self.tokens.find(&self.key(), self.now))
    }

    async fn log_in(&self) -> Result<Zeroizing<String>, UpstreamError> {
        let (mount, body) = match self.connection.method.as_str() {
            "app-role" => {
                let (role, secret) = (self.connection.required("roleId")?, self.connection.required("secretId")?);
                ("approle", json!({ "role_id": role, "secret_id": secret }))
            }
            "tls-certificate" => {
                self.connection.required("certificate")?;
                self.connection.required("privateKey")?;
                ("cert", self.connection.field("role").map_or_else(|| json!({}), |role| json!({ "name": role })))
            }
            other => {
                return Err(UpstreamError::lasting(format!(
                    "this build cannot log in to {WHOM} by the method {other}"
                )));
            }
        };
        let mount = self.connection.field("mount").unwrap_or(mount);
        let url = self.url(&Path::of("auth").then(mount.split('/')).then(["login"]), false)?;
        let answer = self.send(Method::POST, url, Some(&body), None).await?;
        if matches!(answer.status, 400..=404) {
            return Err(UpstreamError::lasting(format!(
                "{WHOM} refused the login by {} at auth/{mount}: {}; check the credentials of the app connection",
                self.connection.method,
                answer.said()
            )));
        }
        let answer = self.fine("to log in", answer)?;
        let auth = answer.json.get("auth");
        let token = auth.and_then(|it| it.get("client_token")).and_then(Value::as_str).filter(|it| !it.is_empty());
        let Some(token) = token.map(|it| Zeroizing::new(it.to_owned())) else {
            return Err(UpstreamError::lasting(format!("{WHOM} answered the login without a token")));
        };
        let lease = auth.and_then(|it| it.get("lease_duration")).and_then(Value::as_i64).unwrap_or(0);
        let usable_until = (lease > 0).then(|| self.now.plus_seconds(lease - LEASE_MARGIN));
        self.tokens.keep(self.key(), Token { text: token.clone(), usable_until });
        Ok(token)
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
        token: Option<&str>,
    ) -> Result<Answer, UpstreamError> {
        let mut headers = HeaderMap::new();
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        if body.is_some() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        for (name, field, text) in
            [("x-vault-namespace", "namespace", self.connection.field("namespace")), ("x-vault-token", "token", token)]
        {
            let Some(text) = text else { continue };
            let mut value = HeaderValue::from_str(text).map_err(|_| {
                UpstreamError::lasting(format!(
                    "the {field} of the app connection has characters that no header can carry"
                ))
            })?;
            value.set_sensitive(name == "x-vault-token");
            headers.insert(name, value);
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = EgressRequest { method, url, headers, body: body.into(), plain_http: false };
        let reply = exchange::ask(&self.egress, WHOM, request).await?;
        answer(reply)
    }

    fn url(&self, path: &Path, list: bool) -> Result<Url, UpstreamError> {
        let mut url = self.base.clone();
        {
            let cannot = UpstreamError::lasting("instanceUrl of the app connection is not a URL with a host");
            let Ok(mut segments) = url.path_segments_mut() else { return Err(cannot) };
            segments.pop_if_empty().push("v1").extend(path.0.iter().filter(|it| !it.is_empty()));
        }
        url.set_query(list.then_some("list=true"));
        url.set_fragment(None);
        Ok(url)
    }

    /// Whose token it is: everything that a login depends on.
    fn key(&self) -> [u8; 32] {
        let mut text = Zeroizing::new(String::from(self.connection.method.as_str()));
        for (name, value) in &self.connection.fields {
            text.push_str(&format!("\n{}:{name}:{}:{}", name.len(), value.len(), value.as_str()));
        }
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        key
    }
}

/// A 2xx answer must be whole and JSON: half of one says that something was done, and not what.
fn answer(reply: EgressReply) -> Result<Answer, UpstreamError> {
    let status = reply.status.as_u16();
    let json = if reply.body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&reply.body) };
    let is_fine = matches!(status, 200..=299);
    match json {
        _ if is_fine && reply.truncated => {
            Err(UpstreamError::passing(format!("the answer of {WHOM} broke off or was longer than allowed")))
        }
        Ok(json) => Ok(Answer { status, json, reply }),
        Err(_) if is_fine => Err(UpstreamError::passing(format!(
            "what answers at instanceUrl does not speak as {WHOM} does (no JSON); check the URL and what stands in between"
        ))),
        Err(_) => Ok(Answer { status, json: Value::Null, reply }),
    }
}
