//! Azure DNS by the resource manager (API 2018-05-01). All values of a name are one record set there; a change names the
//! version it was made from (ETag), so that it cannot undo somebody else's.

use chancery_authority::external::{Asking, OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressReply, EgressRequest, HeaderMap, HeaderValue, Method, Url};
use chancery_model::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::rest::{Rest, endpoint, put_secret};
use super::{DnsProvider, OVERTAKEN_MAX, TTL, Txt};
use crate::exchange;

const PUBLIC: &str = "https://management.azure.com";
const PUBLIC_LOGIN: &str = "https://login.microsoftonline.com";
const VERSION: (&str, &str) = ("api-version", "2018-05-01");
const PAGES_MAX: u32 = 40;

pub(super) struct Azure<'c> {
    rest: Rest<'c>,
    login: Url,
    connection: &'c OpenedConnection,
}

/// A zone within its subscription.
struct Zone {
    subscription: String,
    group: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ZonePage {
    value: Vec<ZoneEntry>,
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct ZoneEntry {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct RecordSet {
    etag: String,
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "TTL", default)]
    ttl: u32,
    #[serde(rename = "TXTRecords", default)]
    records: Vec<Record>,
}

/// The strings of one record, without quotes.
#[derive(Deserialize)]
struct Record {
    value: Vec<String>,
}

impl<'c> Azure<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let base = endpoint(connection, "endpoint", PUBLIC)?;
        let login = endpoint(connection, "loginEndpoint", PUBLIC_LOGIN)?;
        Ok(Self { rest: Rest { egress, clock, whom: "Azure DNS", base, said }, login, connection })
    }

    /// The client credentials grant (RFC 6749 §4.4).
    async fn token(&self) -> Result<HeaderMap, UpstreamError> {
        let login = Rest { base: self.login.clone(), whom: "Azure sign-in", said: said_at_login, ..self.rest };
        let url = login.at(&[self.connection.required("tenantId")?, "oauth2", "v2.0", "token"], &[])?;
        let form = Zeroizing::new(
            url::form_urlencoded::Serializer::new(String::new())
                .append_pair("grant_type", "client_credentials")
                .append_pair("client_id", self.connection.required("clientId")?)
                .append_pair("client_secret", self.connection.required("clientSecret")?)
                .append_pair("scope", &format!("{}/.default", self.rest.base.as_str().trim_end_matches('/')))
                .finish(),
        );
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        let request = EgressRequest::post(url, headers, form.as_bytes().to_vec());
        let reply = exchange::ask(self.rest.egress, login.whom, request).await?;
        bearer(&login, &reply)
    }

    /// The zone's resource id, `<resource group>/<zone>`, or the zone's name alone, which is then looked for in the
    /// subscription.
    async fn zone(&self, token: &HeaderMap, zone: &str) -> Result<Zone, UpstreamError> {
        let subscription = self.connection.required("subscriptionId")?;
        if let Some(zone) = parse_id(zone) {
            return Ok(zone);
        }
        if let Some((group, name)) = zone.split_once('/')
            && !group.is_empty()
            && !name.contains('/')
        {
            return Ok(Zone { subscription: subscription.to_owned(), group: group.to_owned(), name: name.to_owned() });
        }
        let mut url = self.zones_url("50")?;
        for _ in 0..PAGES_MAX {
            let reply = self.rest.send(Method::GET, url, token.clone(), None).await?;
            let page: ZonePage = self.rest.read(&reply)?;
            let found = page.value.iter().find(|it| it.name.eq_ignore_ascii_case(zone));
            if let Some(found) = found.and_then(|it| parse_id(&it.id)) {
                return Ok(found);
            }
            let Some(next) = page.next_link.filter(|it| !it.is_empty()) else { break };
            url = self.same_origin(&next)?;
        }
        Err(UpstreamError::lasting(format!(
            "Azure DNS: no zone {zone} is to be seen in the subscription; set hostedZoneId to the zone's resource id, or give the application the role DNS Zone Contributor"
        )))
    }

    fn zones_url(&self, top: &str) -> Result<Url, UpstreamError> {
        let subscription = self.connection.required("subscriptionId")?;
        let path = ["subscriptions", subscription, "providers", "Microsoft.Network", "dnsZones"];
        self.rest.at(&path, &[VERSION, ("$top", top)])
    }

    /// The token goes nowhere but to the API.
    fn same_origin(&self, link: &str) -> Result<Url, UpstreamError> {
        match Url::parse(link) {
            Ok(url) if url.origin() == self.rest.base.origin() => Ok(url),
            _ => Err(UpstreamError::lasting(
                "Azure DNS: the list of zones goes on at another address; set hostedZoneId to the zone's resource id",
            )),
        }
    }

    async fn change(&self, txt: Txt<'_>, is_wanted: bool) -> Result<(), UpstreamError> {
        let token = self.token().await?;
        let zone = self.zone(&token, txt.zone).await?;
        let url = self.record_url(&zone, txt.name)?;
        for _ in 0..OVERTAKEN_MAX {
            let reply = self.rest.send(Method::GET, url.clone(), token.clone(), None).await?;
            let before: Option<RecordSet> = if reply.status.as_u16() == 404 && !is_zone_missing(&reply) {
                None
            } else {
                Some(self.rest.read(&reply)?)
            };
            let mut values: Vec<Vec<String>> = before
                .as_ref()
                .map(|it| it.properties.records.iter().map(|it| it.value.clone()).collect())
                .unwrap_or_default();
            if values.iter().any(|it| it.concat() == txt.value) == is_wanted {
                return Ok(());
            }
            if is_wanted {
                values.push(vec![txt.value.to_owned()]);
            } else {
                values.retain(|it| it.concat() != txt.value);
            }
            let reply = self.replace(&url, &token, before.as_ref(), &values).await?;
            // Overtaken: it has changed since it was read, or come into being.
            if !matches!(reply.status.as_u16(), 409 | 412) {
                return self.rest.succeeded(&reply);
            }
        }
        Err(UpstreamError::passing(format!("Azure DNS: the record {} keeps being changed by others", txt.name)))
    }

    async fn replace(
        &self,
        url: &Url,
        token: &HeaderMap,
        before: Option<&RecordSet>,
        values: &[Vec<String>],
    ) -> Result<EgressReply, UpstreamError> {
        let mut headers = token.clone();
        match before {
            Some(before) => {
                let etag = HeaderValue::from_str(&before.etag)
                    .map_err(|_| UpstreamError::passing("Azure DNS: its ETag is not one"))?;
                headers.insert("if-match", etag);
            }
            None => {
                headers.insert("if-none-match", HeaderValue::from_static("*"));
            }
        }
        if values.is_empty() {
            return self.rest.send(Method::DELETE, url.clone(), headers, None).await;
        }
        let records: Vec<_> = values.iter().map(|strings| json!({ "value": strings })).collect();
        let ttl = before.map_or(TTL, |it| it.properties.ttl);
        let body = json!({ "properties": { "TTL": ttl, "TXTRecords": records } });
        self.rest.send(Method::PUT, url.clone(), headers, Some(&body)).await
    }

    fn record_url(&self, zone: &Zone, name: &str) -> Result<Url, UpstreamError> {
        let relative = super::relative(name, &zone.name)?;
        let relative = if relative.is_empty() { "@" } else { relative };
        let path = [
            "subscriptions",
            &zone.subscription,
            "resourceGroups",
            &zone.group,
            "providers",
            "Microsoft.Network",
            "dnsZones",
            &zone.name,
            "TXT",
            relative,
        ];
        self.rest.at(&path, &[VERSION])
    }

    /// Who gets a token and may not list zones may still be allowed to change one.
    async fn verify(&self) -> Result<(), UpstreamError> {
        let token = self.token().await?;
        let reply = self.rest.send(Method::GET, self.zones_url("1")?, token, None).await?;
        if reply.status.as_u16() == 403 { Ok(()) } else { self.rest.succeeded(&reply) }
    }
}

impl DnsProvider for Azure<'_> {
    fn add_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()> {
        Box::pin(self.change(txt, true))
    }

    fn remove_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()> {
        Box::pin(self.change(txt, false))
    }

    fn check(&self) -> Asking<'_, ()> {
        Box::pin(self.verify())
    }
}

/// The header that an access token (RFC 6750 §2.1) is sent in.
pub(super) fn bearer(issuer: &Rest<'_>, reply: &EgressReply) -> Result<HeaderMap, UpstreamError> {
    #[derive(Deserialize)]
    struct Token {
        #[serde(deserialize_with = "super::rest::secret")]
        access_token: Zeroizing<String>,
    }
    let token: Token = issuer.read(reply)?;
    let mut headers = HeaderMap::new();
    let value = Zeroizing::new(format!("Bearer {}", token.access_token.as_str()));
    put_secret(&mut headers, "authorization", "the token", &value)?;
    Ok(headers)
}

/// `/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/dnsZones/{}`, in whatever case.
fn parse_id(id: &str) -> Option<Zone> {
    let parts: Vec<_> = id.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        [subscriptions, subscription, groups, group, providers, network, zones, name]
            if subscriptions.eq_ignore_ascii_case("subscriptions")
                && groups.eq_ignore_ascii_case("resourceGroups")
                && providers.eq_ignore_ascii_case("providers")
                && network.eq_ignore_ascii_case("Microsoft.Network")
                && zones.eq_ignore_ascii_case("dnsZones") =>
        {
            Some(Zone {
                subscription: (*subscription).to_owned(),
                group: (*group).to_owned(),
                name: (*name).to_owned(),
            })
        }
        _ => None,
    }
}

/// A 404 is of the record set, or of what it would lie in.
fn is_zone_missing(reply: &EgressReply) -> bool {
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let code = body.as_ref().and_then(|it| it.pointer("/error/code").or_else(|| it.get("code"))?.as_str());
    matches!(code, Some("ParentResourceNotFound" | "ResourceGroupNotFound" | "SubscriptionNotFound"))
}

fn said(body: &Value) -> Option<String> {
    let text = body.pointer("/error/message").or_else(|| body.get("message"))?;
    text.as_str().map(str::to_owned)
}

/// RFC 6749 §5.2. Of the description the first line: what follows are correlation ids.
fn said_at_login(body: &Value) -> Option<String> {
    let text = body.get("error_description").or_else(|| body.get("error"))?.as_str()?;
    text.lines().next().map(str::to_owned)
}
