//! deSEC's API v1. It knows whole sets of values: see `sets.rs`.

use chancery_authority::external::{Asking, OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressReply, Method};
use chancery_model::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::rest::{Rest, endpoint, token_headers};
use super::sets::{ValueSet, WholeSets, settle};
use super::{TTL, Txt, relative, relative_or_at};

const PUBLIC: &str = "https://desec.io/api/v1";

pub(super) struct Desec<'c> {
    rest: Rest<'c>,
    connection: &'c OpenedConnection,
    turn: &'c Mutex<()>,
}

#[derive(Deserialize)]
struct Domain {
    /// Seconds; 3600 for most.
    minimum_ttl: u64,
}

#[derive(Deserialize)]
struct Records {
    ttl: u64,
    records: Vec<String>,
}

impl<'c> Desec<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        turn: &'c Mutex<()>,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let base = endpoint(connection, "endpoint", PUBLIC)?;
        Ok(Self { rest: Rest { egress, clock, whom: "deSEC", base, said }, connection, turn })
    }

    /// Paths end with a slash, else it answers with a redirect.
    async fn send(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<EgressReply, UpstreamError> {
        let path: Vec<_> = path.iter().copied().chain([""]).collect();
        let url = self.rest.at(&path, &[])?;
        self.rest.send(method, url, token_headers(self.connection, "Token", "apiToken")?, body).await
    }

    async fn domain(&self, zone: &str) -> Result<Domain, UpstreamError> {
        let reply = self.send(Method::GET, &["domains", zone], None).await?;
        if reply.status.as_u16() == 404 {
            return Err(self.rest.no_zone(zone));
        }
        self.rest.read(&reply)
    }

    async fn add(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        settle(self, self.turn, txt, true).await
    }

    async fn remove(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        settle(self, self.turn, txt, false).await
    }

    async fn verify(&self) -> Result<(), UpstreamError> {
        // The first page: without it, accounts with many domains are refused.
        let url = self.rest.at(&["domains", ""], &[("cursor", "")])?;
        let headers = token_headers(self.connection, "Token", "apiToken")?;
        let reply = self.rest.send(Method::GET, url, headers, None).await?;
        self.rest.succeeded(&reply)
    }
}

impl WholeSets for Desec<'_> {
    fn read<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, Option<ValueSet>> {
        Box::pin(async move {
            let name = relative_or_at(txt.name, txt.zone)?;
            let reply = self.send(Method::GET, &["domains", txt.zone, "rrsets", name, "TXT"], None).await?;
            if reply.status.as_u16() == 404 {
                return Ok(None);
            }
            let found: Records = self.rest.read(&reply)?;
            Ok(Some(ValueSet { ttl: found.ttl, values: found.records }))
        })
    }

    fn create<'a>(&'a self, txt: Txt<'a>, value: String) -> Asking<'a, ()> {
        Box::pin(async move {
            let ttl = self.domain(txt.zone).await?.minimum_ttl.max(u64::from(TTL));
            let name = relative(txt.name, txt.zone)?;
            let body = json!({ "subname": name, "type": "TXT", "ttl": ttl, "records": [value] });
            let reply = self.send(Method::POST, &["domains", txt.zone, "rrsets"], Some(&body)).await?;
            let refusal = self.rest.refusal(&reply);
            if reply.status.as_u16() == 400 && refusal.text.contains("Another RRset") {
                return Ok(());
            }
            self.rest.succeeded(&reply)
        })
    }

    fn replace<'a>(&'a self, txt: Txt<'a>, set: ValueSet) -> Asking<'a, ()> {
        Box::pin(async move {
            let name = relative(txt.name, txt.zone)?;
            let body = json!([{ "subname": name, "type": "TXT", "ttl": set.ttl, "records": set.values }]);
            let reply = self.send(Method::PATCH, &["domains", txt.zone, "rrsets"], Some(&body)).await?;
            self.rest.succeeded(&reply)
        })
    }
}

super::provider!(Desec);

/// `detail`, or texts by field; of changes in bulk there is a list.
fn said(body: &Value) -> Option<String> {
    let mut texts = Vec::new();
    gather(body, &mut texts);
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn gather(body: &Value, texts: &mut Vec<String>) {
    match body {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|it| gather(it, texts)),
        Value::Object(fields) => fields.values().for_each(|it| gather(it, texts)),
        _ => {}
    }
}
