//! What the providers with an HTTP API share: a base address, JSON both ways, and errors in the provider's own words.

use chancery_authority::external::{OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressReply, EgressRequest, HeaderMap, HeaderName, HeaderValue, Method, Url};
use chancery_model::Clock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::exchange;

/// A provider's API.
pub(super) struct Rest<'c> {
    pub egress: &'c Egress,
    pub clock: &'c dyn Clock,
    /// As people call it.
    pub whom: &'static str,
    pub base: Url,
    /// Finds the reason in an answer that is a refusal.
    pub said: fn(&Value) -> Option<String>,
}

impl Rest<'_> {
    /// An address below the base; every segment and parameter is escaped.
    pub fn at(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, UpstreamError> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(path);
            }
            Err(()) => return Err(UpstreamError::lasting(format!("{}: its URL has no path", self.whom))),
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    pub async fn send(
        &self,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: Option<&Value>,
    ) -> Result<EgressReply, UpstreamError> {
        headers.insert("accept", HeaderValue::from_static("application/json"));
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        let request = EgressRequest { method, url, headers, body: body.into(), plain_http: false };
        exchange::ask(self.egress, self.whom, request).await
    }

    /// The answer as the type, if it was a success.
    pub fn read<T: DeserializeOwned>(&self, reply: &EgressReply) -> Result<T, UpstreamError> {
        if !reply.status.is_success() {
            return Err(self.refusal(reply));
        }
        serde_json::from_slice(&reply.body).map_err(|error| {
            let why =
                if reply.truncated { "its answer is too long" } else { "its answer is not what its API promises" };
            UpstreamError::passing(format!("{}: {why}", self.whom)).with_detail(error.to_string())
        })
    }

    pub fn succeeded(&self, reply: &EgressReply) -> Result<(), UpstreamError> {
        if reply.status.is_success() { Ok(()) } else { Err(self.refusal(reply)) }
    }

    /// The zone is not there, or not for these credentials: services do not tell the two apart.
    pub fn no_zone(&self, zone: &str) -> UpstreamError {
        UpstreamError::lasting(format!(
            "{}: the credentials see no zone {zone}; let them change it, or correct hostedZoneId",
            self.whom
        ))
    }

    pub fn refusal(&self, reply: &EgressReply) -> UpstreamError {
        let said = serde_json::from_slice(&reply.body).ok().and_then(|body| (self.said)(&body)).unwrap_or_default();
        exchange::refused(self.whom, reply, &said, self.clock.now())
    }
}

/// The `endpoint` of a connection, or the public one. What comes after the path is dropped.
pub(super) fn endpoint(connection: &OpenedConnection, field: &str, public: &str) -> Result<Url, UpstreamError> {
    https(field, connection.field(field).unwrap_or(public))
}

pub(super) fn https(field: &str, text: &str) -> Result<Url, UpstreamError> {
    let wrong = || UpstreamError::lasting(format!("{field} of the app connection is not an https:// URL"));
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong());
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// `Authorization` by a token of the connection; what it does not name is added by [`Rest::send`].
pub(super) fn token_headers(
    connection: &OpenedConnection,
    scheme: &str,
    field: &'static str,
) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::new();
    let value = Zeroizing::new(format!("{scheme} {}", connection.required(field)?));
    put_secret(&mut headers, "authorization", field, &value)?;
    Ok(headers)
}

/// Adds a header that no log may show.
pub(super) fn put_secret(
    headers: &mut HeaderMap,
    name: &'static str,
    field: &str,
    value: &str,
) -> Result<(), UpstreamError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        UpstreamError::lasting(format!("{field} of the app connection has characters that cannot be sent"))
    })?;
    value.set_sensitive(true);
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

/// A text that is wiped when it is dropped.
pub(super) fn secret<'de, D: Deserializer<'de>>(source: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(source).map(Zeroizing::new)
}

/// The strings of a TXT record in presentation format (RFC 1035 §5.1), as most APIs want and give them, joined.
pub(super) fn unquoted(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut is_inside, mut is_escaped) = (false, false);
    for it in text.chars() {
        match it {
            _ if is_escaped => {
                plain.push(it);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => is_inside = !is_inside,
            // Between the strings of one record; outside quotes a space is not part of the text.
            ' ' | '\t' if !is_inside => {}
            _ => plain.push(it),
        }
    }
    plain
}

pub(super) fn quoted(value: &str) -> String {
    format!("\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_txt_record_is_one_text_however_it_is_quoted() {
        for (text, expected) in [
            ("abc", "abc"),
            ("\"abc\"", "abc"),
            ("\"ab\" \"cd\"", "abcd"),
            ("\"a b\"", "a b"),
            ("\"a\\\"b\"", "a\"b"),
            ("", ""),
        ] {
            assert_eq!(unquoted(text), expected, "{text}");
        }
        assert_eq!(unquoted(&quoted("Zm9v_-")), "Zm9v_-");
    }
}
