//! DNS Made Easy's API v2.0. A value is a record of its own there, so others are never touched.

use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use chancery_authority::external::{OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressReply, HeaderMap, HeaderValue, Method};
use chancery_model::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

use super::rest::{Rest, endpoint, put_secret, quoted, unquoted};
use super::{TTL, Txt};

const PUBLIC: &str = "https://api.dnsmadeeasy.com/V2.0";
const PAGES_MAX: u32 = 40;

pub(super) struct DnsMadeEasy<'c> {
    rest: Rest<'c>,
    connection: &'c OpenedConnection,
}

#[derive(Deserialize)]
struct Domain {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    data: Vec<Record>,
    #[serde(default)]
    total_pages: u32,
}

#[derive(Deserialize)]
struct Record {
    id: u64,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

impl<'c> DnsMadeEasy<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let base = endpoint(connection, "endpoint", PUBLIC)?;
        Ok(Self { rest: Rest { egress, clock, whom: "DNS Made Easy", base, said }, connection })
    }

    /// Every request carries its time, and the HMAC-SHA-1 of that time by the secret key.
    fn headers(&self) -> Result<HeaderMap, UpstreamError> {
        let seconds = u64::try_from(self.rest.clock.now().as_seconds()).unwrap_or(0);
        let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let secret = self.connection.required("secretKey")?;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let signature = hex::encode(hmac::sign(&key, date.as_bytes()));
        let mut headers = HeaderMap::new();
        put_secret(&mut headers, "x-dnsme-apikey", "apiKey", self.connection.required("apiKey")?)?;
        put_secret(&mut headers, "x-dnsme-hmac", "secretKey", &signature)?;
        let date = HeaderValue::from_str(&date).map_err(|_| UpstreamError::lasting("the clock is out of range"))?;
        headers.insert("x-dnsme-requestdate", date);
        Ok(headers)
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<EgressReply, UpstreamError> {
        let url = self.rest.at(path, query)?;
        let reply = self.rest.send(method, url, self.headers()?, body).await?;
        // It has no status of its own for this.
        let error = self.rest.refusal(&reply);
        if reply.status.as_u16() == 400 && error.text.to_ascii_lowercase().contains("rate limit") {
            return Err(UpstreamError::passing(error.text));
        }
        Ok(reply)
    }

    /// By its number or its name.
    async fn domain(&self, zone: &str) -> Result<Domain, UpstreamError> {
        let is_number = zone.bytes().all(|it| it.is_ascii_digit());
        let reply = if is_number {
            self.send(Method::GET, &["dns", "managed", zone], &[], None).await?
        } else {
            self.send(Method::GET, &["dns", "managed", "name"], &[("domainname", zone)], None).await?
        };
        self.rest.read(&reply)
    }

    async fn records(&self, domain: &str, name: &str, value: &str) -> Result<Vec<Record>, UpstreamError> {
        let mut found = Vec::new();
        for page in 0..PAGES_MAX {
            let number = page.to_string();
            let query = [("recordName", name), ("type", "TXT"), ("page", number.as_str())];
            let reply = self.send(Method::GET, &["dns", "managed", domain, "records"], &query, None).await?;
            let answer: Page = self.rest.read(&reply)?;
            found.extend(
                answer.data.into_iter().filter(|it| {
                    it.kind == "TXT" && it.name.eq_ignore_ascii_case(name) && unquoted(&it.value) == value
                }),
            );
            if answer.total_pages <= page + 1 {
                break;
            }
        }
        Ok(found)
    }

    async fn add(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        let domain = self.domain(txt.zone).await?;
        let (id, name) = (domain.id.to_string(), super::relative(txt.name, &domain.name)?);
        if !self.records(&id, name, txt.value).await?.is_empty() {
            return Ok(());
        }
        let body =
            json!({ "type": "TXT", "name": name, "value": quoted(txt.value), "ttl": TTL, "gtdLocation": "DEFAULT" });
        let reply = self.send(Method::POST, &["dns", "managed", &id, "records"], &[], Some(&body)).await?;
        if reply.status.is_success() || self.records(&id, name, txt.value).await?.is_empty() {
            return self.rest.succeeded(&reply);
        }
        // Refused because it came into being since.
        Ok(())
    }

    async fn remove(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        let domain = self.domain(txt.zone).await?;
        let (id, name) = (domain.id.to_string(), super::relative(txt.name, &domain.name)?);
        for record in self.records(&id, name, txt.value).await? {
            let number = record.id.to_string();
            let reply = self.send(Method::DELETE, &["dns", "managed", &id, "records", &number], &[], None).await?;
            // Somebody was faster.
            if reply.status.as_u16() != 404 {
                self.rest.succeeded(&reply)?;
            }
        }
        Ok(())
    }

    async fn verify(&self) -> Result<(), UpstreamError> {
        let reply = self.send(Method::GET, &["dns", "managed"], &[("rows", "1")], None).await?;
        self.rest.succeeded(&reply)
    }
}

super::provider!(DnsMadeEasy);

fn said(body: &Value) -> Option<String> {
    let errors = body.get("error")?;
    match errors {
        Value::String(text) => Some(text.clone()),
        Value::Array(texts) => Some(texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")),
        _ => None,
    }
}
