//! The Services API: asking, and what its refusals mean.

use chancery_authority::external::{OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressReply, EgressRequest, HeaderMap, HeaderValue, Method, Url};
use chancery_model::Timestamp;
use serde_json::Value;

use crate::exchange;

/// What people call the service in messages.
pub(super) const WHOM: &str = "DigiCert";

/// Where accounts outside Europe live.
const ENDPOINT: &str = "https://www.digicert.com/services/v2";

/// The service as seen through one connection.
pub(super) struct Client<'a> {
    egress: &'a Egress,
    base: Url,
    key: HeaderValue,
    pub(super) now: Timestamp,
}

/// An answer; `Null` in place of what is not JSON.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) json: Value,
    reply: EgressReply,
}

impl Answer {
    pub(super) const fn is_fine(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.reply.body).into_owned()
    }

    /// `code: message` of every error.
    pub(super) fn said(&self) -> String {
        let errors = self.json.get("errors").and_then(Value::as_array);
        let texts = errors.into_iter().flatten().map(|error| {
            let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{}: {}", part("code"), part("message")).trim_matches([':', ' ']).to_owned()
        });
        texts.collect::<Vec<_>>().join("; ")
    }

    pub(super) const fn is_passing(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..=599)
    }
}

/// A number, also where it is written as text.
pub(super) fn number(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).filter(|it| *it > 0)
}

impl<'a> Client<'a> {
    pub(super) fn new(
        egress: &'a Egress,
        connection: &OpenedConnection,
        now: Timestamp,
    ) -> Result<Self, UpstreamError> {
        let base = Url::parse(connection.field("endpoint").unwrap_or(ENDPOINT))
            .map_err(|_| UpstreamError::lasting("endpoint of the app connection is not a URL"))?;
        let mut key = HeaderValue::from_str(connection.required("apiKey")?).map_err(|_| {
            UpstreamError::lasting("apiKey of the app connection has characters that no header can carry")
        })?;
        key.set_sensitive(true);
        Ok(Self { egress, base, key, now })
    }

    pub(super) async fn get(&self, path: &[&str]) -> Result<Answer, UpstreamError> {
        self.send(Method::GET, self.url(path, &[])?, None).await
    }

    pub(super) async fn search(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, UpstreamError> {
        self.send(Method::GET, self.url(path, query)?, None).await
    }

    pub(super) async fn post(&self, path: &[&str], body: &Value) -> Result<Answer, UpstreamError> {
        self.send(Method::POST, self.url(path, &[])?, Some(body)).await
    }

    pub(super) async fn put(&self, path: &[&str], body: &Value) -> Result<Answer, UpstreamError> {
        self.send(Method::PUT, self.url(path, &[])?, Some(body)).await
    }

    /// An answer of the class 2xx, or why there is none.
    pub(super) fn fine(&self, doing: &str, answer: Answer) -> Result<Answer, UpstreamError> {
        if answer.is_fine() { Ok(answer) } else { Err(self.refused(doing, &answer)) }
    }

    /// An error in people's words from an answer that is none of the class 2xx.
    pub(super) fn refused(&self, doing: &str, answer: &Answer) -> UpstreamError {
        let said = answer.said();
        match answer.status {
            401 => UpstreamError::lasting(format!(
                "{WHOM} does not accept the API key ({said}); give the app connection one that is valid"
            )),
            403 => UpstreamError::lasting(format!(
                "{WHOM} does not permit the API key {doing} ({said}); give its user a role that may, in CertCentral"
            )),
            404 => UpstreamError::lasting(format!("{WHOM} knows no such thing when asked {doing} ({said})")),
            _ => exchange::refused(WHOM, &answer.reply, &said, self.now),
        }
    }

    async fn send(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Answer, UpstreamError> {
        let mut headers = HeaderMap::new();
        headers.insert("x-dc-devkey", self.key.clone());
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = EgressRequest { method, url, headers, body: body.into(), plain_http: false };
        let reply = exchange::ask(self.egress, WHOM, request).await?;
        let status = reply.status.as_u16();
        if reply.truncated && matches!(status, 200..=299) {
            return Err(UpstreamError::passing(format!("the answer of {WHOM} broke off or was longer than allowed")));
        }
        let json = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        Ok(Answer { status, json, reply })
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, UpstreamError> {
        let mut url = self.base.clone();
        {
            let cannot = UpstreamError::lasting("endpoint of the app connection is not a URL with a host");
            let Ok(mut segments) = url.path_segments_mut() else { return Err(cannot) };
            segments.pop_if_empty().extend(path);
        }
        url.set_query(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}
