//! A conversation with an ACME CA (RFC 8555 §6): signed requests, nonces, problems.

use chancery_authority::external::{Site, UpstreamError};
use chancery_egress::{Egress, EgressReply, EgressRequest, HeaderMap, HeaderValue, Method, Url};
use chancery_model::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::directory::{Directory, Memory};
use super::jws::AccountKey;
use super::problem::Problem;
use crate::exchange::{ask, refused, retry_after};

/// How often a request is signed again because its nonce was not taken. CAs that reject some on purpose stay below.
const BAD_NONCE_TRIES: usize = 6;
const NONCE_CHARS_MAX: usize = 512;

pub(super) struct Client<'a> {
    egress: &'a Egress,
    memory: &'a Memory,
    /// As people call the CA.
    pub whom: String,
    pub directory_url: Url,
    pub directory: Directory,
    pub now: Timestamp,
}

/// The account that asks.
pub(super) struct Account {
    pub key: AccountKey,
    pub url: Url,
}

/// Whose signature a request bears: an account's, or that of a key which has none yet.
pub(super) enum Signer<'a> {
    Account(&'a Account),
    Key(&'a AccountKey),
}

pub(super) struct Answer {
    pub headers: HeaderMap,
    pub body: bytes::Bytes,
}

/// Why there is no answer to work with.
pub(super) enum Refusal {
    Unanswered(UpstreamError),
    Problem(Box<Problem>, String),
}

impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        Self::Unanswered(error)
    }
}

impl From<Refusal> for UpstreamError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unanswered(error) => error,
            Refusal::Problem(problem, whom) => problem.error(&whom),
        }
    }
}

impl Refusal {
    /// The name of the ACME error.
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Unanswered(_) => None,
            Self::Problem(problem, _) => Some(problem.kind()),
        }
    }
}

impl Answer {
    pub fn json<T: DeserializeOwned>(&self, client: &Client<'_>, what: &str) -> Result<T, UpstreamError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            UpstreamError::passing(format!("{} sent something that is not an ACME {what}", client.whom))
                .with_detail(error.to_string())
        })
    }

    pub fn location(&self, client: &Client<'_>) -> Result<Url, UpstreamError> {
        let text = self.headers.get("location").and_then(|it| it.to_str().ok()).ok_or_else(|| {
            UpstreamError::lasting(format!("{} did not say where the new resource is (no Location)", client.whom))
        })?;
        client.own(text)
    }

    pub fn retry_after(&self, now: Timestamp) -> Option<u32> {
        retry_after(&self.headers, now)
    }
}

pub(super) fn whom(site: &Site) -> String {
    format!("the CA \"{}\"", site.ca.name)
}

impl<'a> Client<'a> {
    /// `fresh`: the directory is read again, whatever is remembered.
    pub async fn open(
        egress: &'a Egress,
        memory: &'a Memory,
        site: &Site,
        directory_url: &str,
        fresh: bool,
    ) -> Result<Self, UpstreamError> {
        let whom = whom(site);
        let url = Url::parse(directory_url)
            .ok()
            .filter(|url| url.scheme() == "https")
            .ok_or_else(|| UpstreamError::lasting(format!("{whom}: directoryUrl must be an https:// URL")))?;
        let known = if fresh { None } else { memory.directory(url.as_str(), site.now) };
        let directory = match known {
            Some(directory) => directory,
            None => {
                let request = unsigned(Method::GET, url.clone());
                let reply = ask(egress, &whom, request).await?;
                if reply.status.as_u16() != 200 {
                    return Err(unexpected(&whom, &reply, site.now));
                }
                let directory = Directory::read(&whom, &url, &reply.body)?;
                memory.remember(url.as_str(), &directory, site.now);
                directory
            }
        };
        Ok(Self { egress, memory, whom, directory_url: url, directory, now: site.now })
    }

    /// A URL that the CA has sent.
    pub fn own(&self, text: &str) -> Result<Url, UpstreamError> {
        self.directory.own(&self.whom, text)
    }

    /// POST-as-GET (RFC 8555 §6.3).
    pub async fn read(&self, account: &Account, url: &Url) -> Result<Answer, Refusal> {
        self.send(Signer::Account(account), url, "").await
    }

    pub async fn post(&self, signer: Signer<'_>, url: &Url, payload: &Value) -> Result<Answer, Refusal> {
        self.send(signer, url, &payload.to_string()).await
    }

    async fn send(&self, signer: Signer<'_>, url: &Url, payload: &str) -> Result<Answer, Refusal> {
        for _ in 0..BAD_NONCE_TRIES {
            let body = self.signed(&signer, url, payload).await?;
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static("application/jose+json"));
            let request = EgressRequest::post(url.clone(), headers, body.to_string());
            let reply = ask(self.egress, &self.whom, request).await?;
            self.keep_nonce(&reply.headers);
            if reply.status.is_success() {
                return self.whole(reply).map_err(Refusal::from);
            }
            let Some(problem) = Problem::read(&reply.body) else {
                return Err(unexpected(&self.whom, &reply, self.now).into());
            };
            if problem.kind() != "badNonce" {
                return Err(self.refusal(problem, &reply));
            }
            // Those that were kept are as old, or older: only the one that came with this answer is worth a try.
            self.memory.forget_nonces(self.directory_url.as_str());
            self.keep_nonce(&reply.headers);
        }
        Err(UpstreamError::passing(format!("{} takes none of the nonces that it gives out", self.whom)).into())
    }

    async fn signed(&self, signer: &Signer<'_>, url: &Url, payload: &str) -> Result<Value, UpstreamError> {
        let nonce = self.nonce().await?;
        match signer {
            Signer::Account(account) => {
                account.key.sign(json!({ "kid": account.url.as_str(), "nonce": nonce, "url": url.as_str() }), payload)
            }
            Signer::Key(key) => key.sign(json!({ "jwk": key.jwk(), "nonce": nonce, "url": url.as_str() }), payload),
        }
    }

    async fn nonce(&self) -> Result<String, UpstreamError> {
        if let Some(nonce) = self.memory.nonce(self.directory_url.as_str()) {
            return Ok(nonce);
        }
        let reply = ask(self.egress, &self.whom, unsigned(Method::HEAD, self.directory.new_nonce.clone())).await?;
        if !reply.status.is_success() {
            return Err(unexpected(&self.whom, &reply, self.now));
        }
        nonce_of(&reply.headers)
            .ok_or_else(|| UpstreamError::passing(format!("{} gave out no nonce to sign with", self.whom)))
    }

    fn keep_nonce(&self, headers: &HeaderMap) {
        if let Some(nonce) = nonce_of(headers) {
            self.memory.keep_nonce(self.directory_url.as_str(), nonce);
        }
    }

    /// Not signed: renewal information is open to everybody (RFC 9773 §4.1).
    pub async fn read_unsigned(&self, url: Url) -> Result<Answer, Refusal> {
        let reply = ask(self.egress, &self.whom, unsigned(Method::GET, url)).await?;
        if reply.status.is_success() {
            return self.whole(reply).map_err(Refusal::from);
        }
        Err(match Problem::read(&reply.body) {
            Some(problem) => self.refusal(problem, &reply),
            None => unexpected(&self.whom, &reply, self.now).into(),
        })
    }

    fn refusal(&self, mut problem: Problem, reply: &EgressReply) -> Refusal {
        problem.status = reply.status.as_u16();
        problem.retry_after = retry_after(&reply.headers, self.now);
        Refusal::Problem(Box::new(problem), self.whom.clone())
    }

    fn whole(&self, reply: EgressReply) -> Result<Answer, UpstreamError> {
        if reply.truncated {
            return Err(UpstreamError::passing(format!("the answer of {} broke off or is too long", self.whom)));
        }
        Ok(Answer { headers: reply.headers, body: reply.body })
    }
}

fn unsigned(method: Method, url: Url) -> EgressRequest {
    EgressRequest { method, url, headers: HeaderMap::new(), body: bytes::Bytes::new(), plain_http: false }
}

fn unexpected(whom: &str, reply: &EgressReply, now: Timestamp) -> UpstreamError {
    if reply.status.is_redirection() {
        let status = reply.status.as_u16();
        return UpstreamError::lasting(format!(
            "{whom} answered with a redirect (status {status}), which is not followed; set directoryUrl to the final URL"
        ));
    }
    let said = Problem::read(&reply.body).map(|it| it.text()).unwrap_or_default();
    refused(whom, reply, &said, now)
}

/// RFC 8555 §6.5.1: what is not base64url is as good as no nonce.
fn nonce_of(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("replay-nonce")?.to_str().ok()?;
    let is_sound = (1..=NONCE_CHARS_MAX).contains(&text.len()) && text.bytes().all(is_base64url);
    is_sound.then(|| text.to_owned())
}

pub(super) const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}
