//! DigitalOcean's API v2. A value is a record of its own there, so others are never touched.

use chancery_authority::external::{OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressReply, Method};
use chancery_model::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

use super::rest::{Rest, endpoint, token_headers, unquoted};
use super::{TTL, Txt, relative_or_at};

const PUBLIC: &str = "https://api.digitalocean.com/v2";
const PER_PAGE: &str = "100";
const PAGES_MAX: u32 = 40;

pub(super) struct DigitalOcean<'c> {
    rest: Rest<'c>,
    connection: &'c OpenedConnection,
}

#[derive(Deserialize)]
struct Page {
    domain_records: Vec<Record>,
    #[serde(default)]
    links: Value,
}

#[derive(Deserialize)]
struct Record {
    id: u64,
    /// Within the zone; `@` for the zone itself.
    name: String,
    #[serde(rename = "type")]
    kind: String,
    data: String,
}

impl<'c> DigitalOcean<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let base = endpoint(connection, "endpoint", PUBLIC)?;
        Ok(Self { rest: Rest { egress, clock, whom: "DigitalOcean", base, said }, connection })
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<EgressReply, UpstreamError> {
        let url = self.rest.at(path, query)?;
        self.rest.send(method, url, token_headers(self.connection, "Bearer", "apiToken")?, body).await
    }

    /// Domains go by their names alone.
    async fn records(&self, txt: Txt<'_>) -> Result<Vec<Record>, UpstreamError> {
        let name = relative_or_at(txt.name, txt.zone)?;
        let mut found = Vec::new();
        for page in 1..=PAGES_MAX {
            let number = page.to_string();
            let query = [("type", "TXT"), ("name", txt.name), ("per_page", PER_PAGE), ("page", number.as_str())];
            let reply = self.send(Method::GET, &["domains", txt.zone, "records"], &query, None).await?;
            if reply.status.as_u16() == 404 {
                return Err(self.rest.no_zone(txt.zone));
            }
            let answer: Page = self.rest.read(&reply)?;
            found.extend(answer.domain_records.into_iter().filter(|it| {
                it.kind == "TXT" && it.name.eq_ignore_ascii_case(name) && unquoted(&it.data) == txt.value
            }));
            if answer.links.pointer("/pages/next").and_then(Value::as_str).is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn add(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        if !self.records(txt).await?.is_empty() {
            return Ok(());
        }
        let name = relative_or_at(txt.name, txt.zone)?;
        let body = json!({ "type": "TXT", "name": name, "data": txt.value, "ttl": TTL });
        let reply = self.send(Method::POST, &["domains", txt.zone, "records"], &[], Some(&body)).await?;
        self.rest.succeeded(&reply)
    }

    async fn remove(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        for record in self.records(txt).await? {
            let id = record.id.to_string();
            let reply = self.send(Method::DELETE, &["domains", txt.zone, "records", &id], &[], None).await?;
            // Somebody was faster.
            if reply.status.as_u16() != 404 {
                self.rest.succeeded(&reply)?;
            }
        }
        Ok(())
    }

    async fn verify(&self) -> Result<(), UpstreamError> {
        let reply = self.send(Method::GET, &["domains"], &[("per_page", "1")], None).await?;
        self.rest.succeeded(&reply)
    }
}

super::provider!(DigitalOcean);

fn said(body: &Value) -> Option<String> {
    body.get("message")?.as_str().map(str::to_owned)
}
