//! Gandi's LiveDNS API v5. It knows whole sets of values: see `sets.rs`.

use chancery_authority::external::{Asking, OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressReply, Method};
use chancery_model::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::rest::{Rest, endpoint, token_headers};
use super::sets::{ValueSet, WholeSets, settle};
use super::{Txt, relative_or_at};

const PUBLIC: &str = "https://api.gandi.net/v5/livedns";
/// The shortest that it takes, in seconds.
const TTL_MIN: u32 = 300;

pub(super) struct Gandi<'c> {
    rest: Rest<'c>,
    connection: &'c OpenedConnection,
    turn: &'c Mutex<()>,
}

#[derive(Deserialize)]
struct Records {
    rrset_ttl: u64,
    rrset_values: Vec<String>,
}

impl<'c> Gandi<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        turn: &'c Mutex<()>,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let base = endpoint(connection, "endpoint", PUBLIC)?;
        Ok(Self { rest: Rest { egress, clock, whom: "Gandi", base, said }, connection, turn })
    }

    async fn send(&self, method: Method, txt: Txt<'_>, body: Option<&Value>) -> Result<EgressReply, UpstreamError> {
        let name = relative_or_at(txt.name, txt.zone)?;
        let url = self.rest.at(&["domains", txt.zone, "records", name, "TXT"], &[])?;
        self.rest.send(method, url, token_headers(self.connection, "Bearer", "apiToken")?, body).await
    }

    async fn add(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        settle(self, self.turn, txt, true).await
    }

    async fn remove(&self, txt: Txt<'_>) -> Result<(), UpstreamError> {
        settle(self, self.turn, txt, false).await
    }

    async fn verify(&self) -> Result<(), UpstreamError> {
        let url = self.rest.at(&["domains"], &[("per_page", "1")])?;
        let headers = token_headers(self.connection, "Bearer", "apiToken")?;
        let reply = self.rest.send(Method::GET, url, headers, None).await?;
        self.rest.succeeded(&reply)
    }
}

impl WholeSets for Gandi<'_> {
    fn read<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, Option<ValueSet>> {
        Box::pin(async move {
            let reply = self.send(Method::GET, txt, None).await?;
            if reply.status.as_u16() == 404 {
                return Ok(None);
            }
            let found: Records = self.rest.read(&reply)?;
            Ok(Some(ValueSet { ttl: found.rrset_ttl, values: found.rrset_values }))
        })
    }

    fn create<'a>(&'a self, txt: Txt<'a>, value: String) -> Asking<'a, ()> {
        Box::pin(async move {
            let body = json!({ "rrset_values": [value], "rrset_ttl": TTL_MIN });
            let reply = self.send(Method::POST, txt, Some(&body)).await?;
            match reply.status.as_u16() {
                // It has come into being since.
                409 => Ok(()),
                404 => Err(self.rest.no_zone(txt.zone)),
                _ => self.rest.succeeded(&reply),
            }
        })
    }

    fn replace<'a>(&'a self, txt: Txt<'a>, set: ValueSet) -> Asking<'a, ()> {
        Box::pin(async move {
            let reply = if set.values.is_empty() {
                self.send(Method::DELETE, txt, None).await?
            } else {
                let body = json!({ "rrset_values": set.values, "rrset_ttl": set.ttl });
                self.send(Method::PUT, txt, Some(&body)).await?
            };
            // The name is gone since.
            if reply.status.as_u16() == 404 { Ok(()) } else { self.rest.succeeded(&reply) }
        })
    }
}

super::provider!(Gandi);

fn said(body: &Value) -> Option<String> {
    if let Some(faults) = body.get("errors").and_then(Value::as_array) {
        let texts: Vec<_> = faults.iter().filter_map(|it| it.get("description")?.as_str()).collect();
        return Some(texts.join("; "));
    }
    ["message", "cause"].iter().find_map(|it| body.get(it)?.as_str()).map(str::to_owned)
}
