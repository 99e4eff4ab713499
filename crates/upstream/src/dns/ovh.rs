//! OVHcloud's API 1.0. A value is a record of its own there, so others are never touched; what was changed is published when
//! the zone is refreshed.

use std::sync::OnceLock;

use aws_lc_rs::digest;
use chancery_authority::external::{OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressReply, HeaderMap, HeaderValue, Method, Url};
use chancery_model::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::rest::{Rest, endpoint, put_secret, unquoted};
use super::{TTL, Txt, relative};

const EUROPE: &str = "https://eu.api.ovh.com/1.0";
const CANADA: &str = "https://ca.api.ovh.com/1.0";
const UNITED_STATES: &str = "https://api.us.ovhcloud.com/1.0";
/// Records of one name are listed by number and read one by one.
const RECORDS_MAX: usize = 100;

pub(super) struct Ovh<'c> {
    rest: Rest<'c>,
    connection: &'c OpenedConnection,
    /// Seconds that its clock is ahead of ours.
    ahead: OnceLock<i64>,
}

#[derive(Deserialize)]
struct Record {
    id: u64,
    #[serde(rename = "fieldType")]
    kind: String,
    #[serde(rename = "subDomain", default)]
    name: String,
    target: String,
}

impl<'c> Ovh<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let public = match connection.field("region") {
            None | Some("ovh-eu") => EUROPE,
            Some("ovh-ca") => CANADA,
            Some("ovh-us") => UNITED_STATES,
            Some(_) => {
                return Err(UpstreamError::lasting("region of the app connection is not ovh-eu, ovh-ca or ovh-us"));
            }
        };
        let base = endpoint(connection, "endpoint", public)?;
        Ok(Self { rest: Rest { egress, clock, whom: "OVHcloud", base, said }, connection, ahead: OnceLock::new() })
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<EgressReply, UpstreamError> {
        let time = self.time().await?;
        let url = self.rest.at(path, query)?;
        let headers = self.headers(&method, &url, body, time)?;
        self.rest.send(method, url, headers, body).await
    }

    /// Seconds by its clock: a request that is some seconds off is refused.
    async fn time(&self) -> Result<i64, UpstreamError> {
        let now = self.rest.clock.now().as_seconds();
        if let Some(ahead) = self.ahead.get() {
            return Ok(now.saturating_add(*ahead));
        }
        let url = self.rest.at(&["auth", "time"], &[])?;
        let reply = self.rest.send(Method::GET, url, HeaderMap::new(), None).await?;
        let time: i64 = self.rest.read(&reply)?;
        let _ = self.ahead.set(time.saturating_sub(now));
        Ok(time)
    }

    fn headers(&self, method: &Method, url: &Url, body: Option<&Value>, time: i64) -> Result<HeaderMap, UpstreamError> {
        let (secret, consumer) =
            (self.connection.required("applicationSecret")?, self.connection.required("consumerKey")?);
        let body = body.map(Value::to_string).unwrap_or_default();
        let signature = signature([secret, consumer], method, url, &body, time);
        let mut headers = HeaderMap::new();
        put_secret(&mut headers, "x-ovh-application", "applicationKey", self.connection.required("applicationKey")?)?;
        put_secret(&mut headers, "x-ovh-consumer", "consumerKey", consumer)?;
        put_secret(&mut headers, "x-ovh-signature", "applicationSecret", &signature)?;
        headers.insert("x-ovh-timestamp", HeaderValue::from(time));
        Ok(headers)
    }

    /// Zones go by their names alone.
    async fn records(&self, txt: Txt<'_>) -> Result<Vec<Record>, UpstreamError> {
        let name = relative(txt.name, txt.zone)?;
        let query = [("fieldType", "TXT"), ("subDomain", name)];
        let reply = self.send(Method::GET, &["domain", "zone", txt.zone, "record"], &query, None).await?;
        if reply.status.as_u16() == 404 {
            return Err(self.rest.no_zone(txt.zone));
        }
        let numbers: Vec<u64> = self.rest.read(&reply)?;
        let mut found = Vec::new();
        for number in numbers.into_iter().take(RECORDS_MAX) {
            let number = number.to_string();
            let reply = self.send(Method::GET, &["domain", "zone", txt.zone, "record", &number], &[], None).await?;
            // Somebody has removed it since.
            if reply.status.as_u16() == 404 {
                continue;
            }
            let record: Record = self.rest.read(&reply)?;
            if record.kind == "TXT" && record.name.eq_ignore_ascii_case(name) && unquoted(&record.target) == txt.value {
                found.push(record);
            }
        }
        Ok(found)
    }

    async fn add(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        if self.records(txt).await?.is_empty() {
            let name = relative(txt.name, txt.zone)?;
            let body = json!({ "fieldType": "TXT", "subDomain": name, "target": txt.value, "ttl": TTL });
            let reply = self.send(Method::POST, &["domain", "zone", txt.zone, "record"], &[], Some(&body)).await?;
            self.rest.succeeded(&reply)?;
        }
        self.refresh(txt.zone).await
    }

    async fn remove(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        for record in self.records(txt).await? {
            let number = record.id.to_string();
            let reply = self.send(Method::DELETE, &["domain", "zone", txt.zone, "record", &number], &[], None).await?;
            // Somebody was faster.
            if reply.status.as_u16() != 404 {
                self.rest.succeeded(&reply)?;
            }
        }
        self.refresh(txt.zone).await
    }

    /// Also when nothing was changed: a process may have died between its change and this.
    async fn refresh(&self, zone: &str) -> Result<(), UpstreamError> {
        let reply = self.send(Method::POST, &["domain", "zone", zone, "refresh"], &[], None).await?;
        self.rest.succeeded(&reply)
    }

    async fn verify(&self) -> Result<(), UpstreamError> {
        let reply = self.send(Method::GET, &["auth", "currentCredential"], &[], None).await?;
        // Keys are let in call by call, and need not be for this one; but they are known.
        if code(&reply.body).as_deref() == Some("NOT_GRANTED_CALL") {
            return Ok(());
        }
        let answer: Value = self.rest.read(&reply)?;
        match answer.get("status").and_then(Value::as_str) {
            Some("validated") => Ok(()),
            status => Err(UpstreamError::lasting(format!(
                "OVHcloud: the consumer key is {}; make another one",
                status.unwrap_or("not validated")
            ))),
        }
    }
}

super::provider!(Ovh);

/// Over both secrets, the method, the URL, the body and the time in seconds.
fn signature([secret, consumer]: [&str; 2], method: &Method, url: &Url, body: &str, time: i64) -> String {
    let signed = Zeroizing::new(format!("{secret}+{consumer}+{method}+{url}+{body}+{time}"));
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, signed.as_bytes());
    format!("$1${}", hex::encode(digest))
}

fn said(body: &Value) -> Option<String> {
    body.get("message")?.as_str().map(str::to_owned)
}

fn code(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body.get("errorCode")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_published_example() {
        let secrets = ["EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF", "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1"];
        let url = Url::parse("https://eu.api.ovh.com/1.0/domains/").unwrap();
        let signature = signature(secrets, &Method::GET, &url, "", 1_366_560_945);
        assert_eq!(signature, "$1$d3705e8afb27a0d2970a322b96550abfc67bb798");
    }
}
