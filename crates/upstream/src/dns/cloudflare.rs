//! Cloudflare's API v4. A value is a record of its own there, so others are never touched.

use chancery_authority::external::{OpenedConnection, UpstreamError};
use chancery_egress::{Egress, HeaderMap, Method};
use chancery_model::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

use super::rest::{Rest, endpoint, quoted, token_headers, unquoted};
use super::{TTL, Txt};

const PUBLIC: &str = "https://api.cloudflare.com/client/v4";
const PER_PAGE: &str = "50";
const PAGES_MAX: u32 = 40;
/// "An identical record already exists."
const IDENTICAL: i64 = 81_058;

pub(super) struct Cloudflare<'c> {
    rest: Rest<'c>,
    connection: &'c OpenedConnection,
}

#[derive(Deserialize)]
struct Page<T> {
    result: Vec<T>,
    result_info: Option<PageInfo>,
}

#[derive(Deserialize)]
struct PageInfo {
    #[serde(default)]
    total_pages: u32,
}

#[derive(Deserialize)]
struct Zone {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Record {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    content: String,
}

impl<'c> Cloudflare<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let base = endpoint(connection, "endpoint", PUBLIC)?;
        Ok(Self { rest: Rest { egress, clock, whom: "Cloudflare", base, said }, connection })
    }

    fn headers(&self) -> Result<HeaderMap, UpstreamError> {
        token_headers(self.connection, "Bearer", "apiToken")
    }

    /// Zone ids are 32 hex digits; anything else is the zone's name.
    async fn zone_id(&self, zone: &str) -> Result<String, UpstreamError> {
        if zone.len() == 32 && zone.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Ok(zone.to_owned());
        }
        let url = self.rest.at(&["zones"], &[("name", zone), ("per_page", PER_PAGE)])?;
        let reply = self.rest.send(Method::GET, url, self.headers()?, None).await?;
        let page: Page<Zone> = self.rest.read(&reply)?;
        let found = page.result.into_iter().find(|it| it.name.eq_ignore_ascii_case(zone)).map(|it| it.id);
        found.ok_or_else(|| {
            UpstreamError::lasting(format!(
                "Cloudflare: the API token sees no zone {zone}; give it the zone, or set hostedZoneId to the zone's id"
            ))
        })
    }

    async fn records(&self, zone: &str, txt: Txt<'_>) -> Result<Vec<Record>, UpstreamError> {
        let mut found = Vec::new();
        for page in 1..=PAGES_MAX {
            let number = page.to_string();
            let query = [("type", "TXT"), ("name", txt.name), ("per_page", PER_PAGE), ("page", number.as_str())];
            let url = self.rest.at(&["zones", zone, "dns_records"], &query)?;
            let reply = self.rest.send(Method::GET, url, self.headers()?, None).await?;
            let answer: Page<Record> = self.rest.read(&reply)?;
            found.extend(answer.result.into_iter().filter(|it| {
                it.kind == "TXT" && it.name.eq_ignore_ascii_case(txt.name) && unquoted(&it.content) == txt.value
            }));
            if answer.result_info.is_none_or(|info| info.total_pages <= page) {
                break;
            }
        }
        Ok(found)
    }

    async fn add(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        let zone = self.zone_id(txt.zone).await?;
        if !self.records(&zone, txt).await?.is_empty() {
            return Ok(());
        }
        let body = json!({ "type": "TXT", "name": txt.name, "content": quoted(txt.value), "ttl": TTL });
        let url = self.rest.at(&["zones", &zone, "dns_records"], &[])?;
        let reply = self.rest.send(Method::POST, url, self.headers()?, Some(&body)).await?;
        if code(&reply.body) == Some(IDENTICAL) {
            return Ok(());
        }
        self.rest.succeeded(&reply)
    }

    async fn remove(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        let zone = self.zone_id(txt.zone).await?;
        for record in self.records(&zone, txt).await? {
            let url = self.rest.at(&["zones", &zone, "dns_records", &record.id], &[])?;
            let reply = self.rest.send(Method::DELETE, url, self.headers()?, None).await?;
            // Somebody was faster.
            if reply.status.as_u16() != 404 {
                self.rest.succeeded(&reply)?;
            }
        }
        Ok(())
    }

    /// A token belongs to a user, or to an account; the latter is known only to its account.
    async fn verify(&self) -> Result<(), UpstreamError> {
        let url = self.rest.at(&["user", "tokens", "verify"], &[])?;
        let mut reply = self.rest.send(Method::GET, url, self.headers()?, None).await?;
        if let Some(account) = self.connection.field("accountId")
            && reply.status.is_client_error()
            && reply.status.as_u16() != 429
        {
            let url = self.rest.at(&["accounts", account, "tokens", "verify"], &[])?;
            reply = self.rest.send(Method::GET, url, self.headers()?, None).await?;
        }
        let answer: Value = self.rest.read(&reply)?;
        match answer.pointer("/result/status").and_then(Value::as_str) {
            Some("active") => Ok(()),
            status => Err(UpstreamError::lasting(format!(
                "Cloudflare: the API token is {}; make another one",
                status.unwrap_or("not active")
            ))),
        }
    }
}

super::provider!(Cloudflare);

fn said(body: &Value) -> Option<String> {
    let errors = body.get("errors")?.as_array()?;
    let texts: Vec<_> = errors.iter().filter_map(|it| it.get("message")?.as_str()).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn code(body: &[u8]) -> Option<i64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body.pointer("/errors/0/code")?.as_i64()
}
