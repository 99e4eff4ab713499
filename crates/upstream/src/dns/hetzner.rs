//! DNS of Hetzner's Cloud API v1. It adds and removes single values of a name, so others are never touched.

use chancery_authority::external::{OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressReply, Method};
use chancery_model::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

use super::rest::{Rest, endpoint, quoted, token_headers, unquoted};
use super::{TTL, Txt, relative_or_at};

const PUBLIC: &str = "https://api.hetzner.cloud/v1";
/// Seconds after which a change that is under way is asked for again.
const UNDER_WAY: u32 = 2;

pub(super) struct Hetzner<'c> {
    rest: Rest<'c>,
    connection: &'c OpenedConnection,
}

#[derive(Deserialize)]
struct ZoneAnswer {
    zone: Zone,
}

#[derive(Deserialize)]
struct Zone {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct RecordsAnswer {
    rrset: Records,
}

/// Every value of a name.
#[derive(Default, Deserialize)]
struct Records {
    /// Absent: the zone's own.
    ttl: Option<u64>,
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    value: String,
}

/// A change, which may be under way yet.
#[derive(Deserialize)]
struct ActionAnswer {
    action: Action,
}

#[derive(Deserialize)]
struct Action {
    status: String,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    message: String,
}

impl<'c> Hetzner<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let base = endpoint(connection, "endpoint", PUBLIC)?;
        Ok(Self { rest: Rest { egress, clock, whom: "Hetzner", base, said }, connection })
    }

    async fn send(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<EgressReply, UpstreamError> {
        let url = self.rest.at(path, &[])?;
        let reply = self.rest.send(method, url, token_headers(self.connection, "Bearer", "apiToken")?, body).await?;
        // Another change of the zone is under way.
        if matches!(reply.status.as_u16(), 409 | 423) {
            return Err(UpstreamError::passing_after(self.rest.refusal(&reply).text, Some(UNDER_WAY)));
        }
        Ok(reply)
    }

    /// By its number or its name.
    async fn zone(&self, zone: &str) -> Result<Zone, UpstreamError> {
        let reply = self.send(Method::GET, &["zones", zone], None).await?;
        if reply.status.as_u16() == 404 {
            return Err(self.rest.no_zone(zone));
        }
        Ok(self.rest.read::<ZoneAnswer>(&reply)?.zone)
    }

    async fn values(&self, path: &[&str]) -> Result<Records, UpstreamError> {
        let reply = self.send(Method::GET, path, None).await?;
        if reply.status.as_u16() == 404 {
            return Ok(Records::default());
        }
        Ok(self.rest.read::<RecordsAnswer>(&reply)?.rrset)
    }

    async fn add(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        let zone = self.zone(txt.zone).await?;
        let (id, name) = (zone.id.to_string(), relative_or_at(txt.name, &zone.name)?);
        let path = ["zones", id.as_str(), "rrsets", name, "TXT"];
        let before = self.values(&path).await?;
        if before.has(txt.value) {
            return Ok(());
        }
        let mut body = json!({ "records": [{ "value": quoted(txt.value) }] });
        // All values of a name have one TTL: that of whoever was first.
        let ttl = if before.records.is_empty() { Some(u64::from(TTL)) } else { before.ttl };
        if let (Some(ttl), Some(body)) = (ttl, body.as_object_mut()) {
            body.insert("ttl".to_owned(), ttl.into());
        }
        let reply = self.change(&path, "add_records", &body).await?;
        if !reply.status.is_success() && self.values(&path).await?.has(txt.value) {
            // Refused because it came into being since.
            return Ok(());
        }
        // While it is under way, the look-up at the zone's servers waits.
        self.outcome(&reply).map(|_| ())
    }

    async fn remove(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        let zone = self.zone(txt.zone).await?;
        let (id, name) = (zone.id.to_string(), relative_or_at(txt.name, &zone.name)?);
        let path = ["zones", id.as_str(), "rrsets", name, "TXT"];
        let before = self.values(&path).await?;
        let ours = before.records.iter().filter(|it| unquoted(&it.value) == txt.value);
        let ours: Vec<_> = ours.map(|it| json!({ "value": it.value })).collect();
        if ours.is_empty() {
            return Ok(());
        }
        let reply = self.change(&path, "remove_records", &json!({ "records": ours })).await?;
        if reply.status.as_u16() == 404 {
            // Somebody was faster.
            return Ok(());
        }
        if self.outcome(&reply)? {
            return Ok(());
        }
        // Nobody would notice later that it has failed.
        Err(UpstreamError::passing_after(
            format!("Hetzner: the record {} is still being removed", txt.name),
            Some(UNDER_WAY),
        ))
    }

    async fn change(&self, path: &[&str], action: &str, body: &Value) -> Result<EgressReply, UpstreamError> {
        let path: Vec<_> = path.iter().copied().chain(["actions", action]).collect();
        self.send(Method::POST, &path, Some(body)).await
    }

    /// Whether the change is done; otherwise it is under way.
    fn outcome(&self, reply: &EgressReply) -> Result<bool, UpstreamError> {
        let action = self.rest.read::<ActionAnswer>(reply)?.action;
        if action.status == "error" {
            let why = action.error.map_or_else(|| "no reason is given".to_owned(), |it| it.message);
            return Err(UpstreamError::passing(format!("Hetzner: the change has failed: {why}")));
        }
        Ok(action.status == "success")
    }

    async fn verify(&self) -> Result<(), UpstreamError> {
        let reply = self.send(Method::GET, &["zones"], None).await?;
        self.rest.succeeded(&reply)
    }
}

impl Records {
    fn has(&self, value: &str) -> bool {
        self.records.iter().any(|it| unquoted(&it.value) == value)
    }
}

super::provider!(Hetzner);

fn said(body: &Value) -> Option<String> {
    body.pointer("/error/message")?.as_str().map(str::to_owned)
}
