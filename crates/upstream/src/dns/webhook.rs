//! A webhook of the user's own: one signed POST for each change. What it does behind that is its affair.
//!
//! The signature is the one that alerts carry (`X-Chancery-Signature`), so that one receiver's code serves both.

use aws_lc_rs::hmac;
use chancery_authority::external::{Asking, OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressRequest, HeaderMap, HeaderName, HeaderValue, Url};
use chancery_model::Clock;
use serde_json::{Value, json};

use super::rest::https;
use super::{DnsProvider, TTL, Txt};
use crate::exchange;

const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("x-chancery-signature");

pub(super) struct Webhook<'c> {
    egress: &'c Egress,
    clock: &'c dyn Clock,
    url: Url,
    secret: &'c str,
}

impl<'c> Webhook<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let text = connection.required("url")?;
        // Its query is kept: receivers are told apart by it.
        let query = Url::parse(text).ok().and_then(|url| url.query().map(str::to_owned));
        let mut url = https("url", text)?;
        url.set_query(query.as_deref());
        Ok(Self { egress, clock, url, secret: connection.required("secret")? })
    }

    async fn call(&self, body: Value) -> Result<(), UpstreamError> {
        let (now, body) = (self.clock.now(), body.to_string());
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let signature = signature(self.secret, now.as_seconds(), body.as_bytes());
        let signature =
            HeaderValue::from_str(&signature).map_err(|_| UpstreamError::lasting("the clock is out of range"))?;
        headers.insert(SIGNATURE_HEADER, signature);
        let request = EgressRequest::post(self.url.clone(), headers, body);
        let reply = exchange::ask(self.egress, "the DNS webhook", request).await?;
        if reply.status.is_success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&reply.body);
        Err(exchange::refused("the DNS webhook", &reply, text.lines().next().unwrap_or_default(), now))
    }

    fn change(&self, action: &str, txt: Txt<'_>) -> impl Future<Output = Result<(), UpstreamError>> + Send {
        self.call(json!({ "action": action, "zone": txt.zone, "name": txt.name, "value": txt.value, "ttl": TTL }))
    }
}

impl DnsProvider for Webhook<'_> {
    fn add_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()> {
        Box::pin(self.change("set", txt))
    }

    fn remove_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()> {
        Box::pin(self.change("remove", txt))
    }

    fn check(&self) -> Asking<'_, ()> {
        Box::pin(self.call(json!({ "action": "test" })))
    }
}

/// `t=<unix seconds>,v1=<hex HMAC-SHA-256 over "<t>.<body>">`.
fn signature(secret: &str, time: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    context.update(format!("{time}.").as_bytes());
    context.update(body);
    format!("t={time},v1={}", hex::encode(context.sign()))
}
