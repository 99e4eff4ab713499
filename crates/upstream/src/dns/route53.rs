//! Amazon Route 53 (API 2013-04-01). All values of a name are one record set there, so a change takes the set away exactly as
//! it was read and puts another in its place, in one batch: the batch fails as a whole if the set has changed meanwhile.

use chancery_authority::external::{Asking, OpenedConnection, UpstreamError};
use chancery_egress::{Egress, EgressReply, EgressRequest, HeaderMap, HeaderValue, Method, Url};
use chancery_model::{Clock, Timestamp};
use quick_xml::escape::escape;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::rest::{endpoint, put_secret, quoted, unquoted};
use super::sigv4::{Signed, Signer};
use super::{DnsProvider, OVERTAKEN_MAX, TTL, Txt};
use crate::exchange;

const WHOM: &str = "Route 53";
const PUBLIC: &str = "https://route53.amazonaws.com";
const VERSION: &str = "2013-04-01";
const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
const PAGES_MAX: u32 = 40;

pub(super) struct Route53<'c> {
    egress: &'c Egress,
    clock: &'c dyn Clock,
    connection: &'c OpenedConnection,
    base: Url,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordSets {
    resource_record_sets: RecordSetList,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordSetList {
    #[serde(default)]
    resource_record_set: Vec<RecordSet>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordSet {
    name: String,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "TTL", default)]
    ttl: u32,
    #[serde(default)]
    resource_records: Values,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Values {
    #[serde(default)]
    resource_record: Vec<RecordValue>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordValue {
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Zones {
    hosted_zones: ZoneList,
    #[serde(default)]
    is_truncated: bool,
    next_hosted_zone_id: Option<String>,
    #[serde(rename = "NextDNSName")]
    next_dns_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ZoneList {
    #[serde(default)]
    hosted_zone: Vec<Zone>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Zone {
    id: String,
    name: String,
    config: Option<ZoneConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ZoneConfig {
    #[serde(default)]
    private_zone: bool,
}

/// Two shapes: `ErrorResponse` with one error, `InvalidChangeBatch` with messages.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Refusal {
    error: Reason,
    messages: Messages,
    message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Reason {
    code: String,
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Messages {
    message: Vec<String>,
}

impl<'c> Route53<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let base = endpoint(connection, "endpoint", PUBLIC)?;
        Ok(Self { egress, clock, connection, base })
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: String,
    ) -> Result<EgressReply, UpstreamError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| UpstreamError::lasting("endpoint of the app connection has no path"))?
            .pop_if_empty()
            .push(VERSION)
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let date = compact(self.clock.now());
        let signer = Signer {
            access_key_id: self.connection.required("accessKeyId")?,
            secret_access_key: self.connection.required("secretAccessKey")?,
            region: region(&url),
            service: "route53",
        };
        let signed = Signed { method: method.as_str(), url: &url, headers: &[], body: body.as_bytes(), date: &date };
        let mut headers = HeaderMap::new();
        put_secret(&mut headers, "authorization", "accessKeyId", &signer.authorization(&signed))?;
        put_secret(&mut headers, "x-amz-date", "clock", &date)?;
        if !body.is_empty() {
            headers.insert("content-type", HeaderValue::from_static("application/xml"));
        }
        let request = EgressRequest { method, url, headers, body: body.into(), plain_http: false };
        exchange::ask(self.egress, WHOM, request).await
    }

    fn read<T: DeserializeOwned>(&self, reply: &EgressReply) -> Result<T, UpstreamError> {
        if !reply.status.is_success() {
            return Err(self.refused(reply));
        }
        let text = String::from_utf8_lossy(&reply.body);
        quick_xml::de::from_str(&text).map_err(|error| {
            UpstreamError::passing(format!("{WHOM}: its answer is not what its API promises"))
                .with_detail(error.to_string())
        })
    }

    fn refused(&self, reply: &EgressReply) -> UpstreamError {
        let (code, said) = reason(reply);
        let error = exchange::refused(WHOM, reply, &said, self.clock.now());
        // Both come with status 400.
        match code.as_str() {
            "Throttling" | "PriorRequestNotComplete" => {
                UpstreamError::passing_after(error.text, exchange::retry_after(&reply.headers, self.clock.now()))
            }
            _ => error,
        }
    }

    /// An id (with or without `/hostedzone/`), or the name of a public zone.
    async fn zone_id(&self, zone: &str) -> Result<String, UpstreamError> {
        if !zone.contains('.') {
            return Ok(zone.rsplit('/').next().unwrap_or(zone).to_owned());
        }
        let (mut name, mut id) = (zone.to_owned(), String::new());
        for _ in 0..PAGES_MAX {
            let mut query = vec![("dnsname", name.as_str()), ("maxitems", "50")];
            if !id.is_empty() {
                query.push(("hostedzoneid", &id));
            }
            let page: Zones =
                self.read(&self.send(Method::GET, &["hostedzonesbyname"], &query, String::new()).await?)?;
            let fits = |it: &&Zone| {
                it.name.trim_end_matches('.').eq_ignore_ascii_case(zone)
                    && !it.config.as_ref().is_some_and(|config| config.private_zone)
            };
            if let Some(found) = page.hosted_zones.hosted_zone.iter().find(fits) {
                return Ok(found.id.rsplit('/').next().unwrap_or_default().to_owned());
            }
            match (page.is_truncated, page.next_dns_name, page.next_hosted_zone_id) {
                (true, Some(next_name), Some(next_id)) => {
                    name = next_name;
                    id = next_id.rsplit('/').next().unwrap_or_default().to_owned();
                }
                _ => break,
            }
        }
        Err(UpstreamError::lasting(format!(
            "{WHOM}: the access key sees no public zone {zone}; set hostedZoneId to the zone's id"
        )))
    }

    async fn record_set(&self, zone: &str, name: &str) -> Result<Option<RecordSet>, UpstreamError> {
        let query = [("name", name), ("type", "TXT"), ("maxitems", "1")];
        let reply = self.send(Method::GET, &["hostedzone", zone, "rrset"], &query, String::new()).await?;
        let found: RecordSets = self.read(&reply)?;
        // The list begins at the name, or at what comes after it.
        Ok(found
            .resource_record_sets
            .resource_record_set
            .into_iter()
            .find(|it| it.kind == "TXT" && it.name.trim_end_matches('.').eq_ignore_ascii_case(name)))
    }

    async fn change(&self, txt: Txt<'_>, is_wanted: bool) -> Result<(), UpstreamError> {
        let zone = self.zone_id(txt.zone).await?;
        for _ in 0..OVERTAKEN_MAX {
            let before = self.record_set(&zone, txt.name).await?;
            let old: Vec<String> = before
                .as_ref()
                .map(|it| it.resource_records.resource_record.iter().map(|it| it.value.clone()).collect())
                .unwrap_or_default();
            if old.iter().any(|it| unquoted(it) == txt.value) == is_wanted {
                return Ok(());
            }
            let mut new = old.clone();
            if is_wanted {
                new.push(quoted(txt.value));
            } else {
                new.retain(|it| unquoted(it) != txt.value);
            }
            let mut changes = String::new();
            if let Some(before) = &before {
                changes.push_str(&one("DELETE", txt.name, before.ttl, &old));
            }
            if !new.is_empty() {
                changes.push_str(&one("CREATE", txt.name, before.as_ref().map_or(TTL, |it| it.ttl), &new));
            }
            let body = format!(
                r#"<?xml version="1.0" encoding="UTF-8"?><ChangeResourceRecordSetsRequest xmlns="{NAMESPACE}"><ChangeBatch><Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"#
            );
            let reply = self.send(Method::POST, &["hostedzone", &zone, "rrset"], &[], body).await?;
            if reply.status.is_success() {
                return Ok(());
            }
            if reason(&reply).0 != "InvalidChangeBatch" {
                return Err(self.refused(&reply));
            }
            // Either somebody has changed the set since it was read, or the batch is wrong for good; a new look tells.
            let now = self.record_set(&zone, txt.name).await?;
            let is_same = now.map(|it| (it.ttl, it.resource_records.resource_record.len()))
                == before.map(|it| (it.ttl, it.resource_records.resource_record.len()));
            if is_same {
                return Err(self.refused(&reply));
            }
        }
        Err(UpstreamError::passing(format!("{WHOM}: the record {} keeps being changed by others", txt.name)))
    }

    /// Who may not list zones has shown a key that is known all the same.
    async fn verify(&self) -> Result<(), UpstreamError> {
        let reply = self.send(Method::GET, &["hostedzone"], &[("maxitems", "1")], String::new()).await?;
        if reply.status.is_success() || reason(&reply).0 == "AccessDenied" {
            return Ok(());
        }
        Err(self.refused(&reply))
    }
}

impl DnsProvider for Route53<'_> {
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

fn one(action: &str, name: &str, ttl: u32, values: &[String]) -> String {
    let values: String = values
        .iter()
        .map(|it| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(it.as_str())))
        .collect();
    format!(
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{}.</Name><Type>TXT</Type><TTL>{ttl}</TTL><ResourceRecords>{values}</ResourceRecords></ResourceRecordSet></Change>",
        escape(name)
    )
}

/// Code and text of a refusal.
fn reason(reply: &EgressReply) -> (String, String) {
    let text = String::from_utf8_lossy(&reply.body);
    let refusal: Refusal = quick_xml::de::from_str(&text).unwrap_or_default();
    if !refusal.error.code.is_empty() {
        return (refusal.error.code, refusal.error.message);
    }
    let texts: Vec<_> = refusal.messages.message.into_iter().chain(refusal.message).collect();
    let code = if text.contains("<InvalidChangeBatch") { "InvalidChangeBatch" } else { "" };
    (code.to_owned(), texts.join("; "))
}

/// Route 53 is signed for one region in each partition of the cloud.
fn region(url: &Url) -> &'static str {
    let host = url.host_str().unwrap_or_default();
    if host.ends_with(".amazonaws.com.cn") {
        "cn-northwest-1"
    } else if host.contains("us-gov") {
        "us-gov-west-1"
    } else {
        "us-east-1"
    }
}

/// `2026-11-23T18:00:00.000Z` → `20261123T180000Z`.
fn compact(now: Timestamp) -> String {
    let text = now.to_string();
    let whole = text.split('.').next().unwrap_or_default();
    format!("{}Z", whole.trim_end_matches('Z').replace(['-', ':'], ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_written_as_the_signature_wants_it() {
        assert_eq!(compact(Timestamp::from_seconds(1_440_938_160)), "20150830T123600Z");
    }

    #[test]
    fn each_partition_signs_for_its_region() {
        for (host, expected) in [
            ("route53.amazonaws.com", "us-east-1"),
            ("route53.amazonaws.com.cn", "cn-northwest-1"),
            ("route53.us-gov.amazonaws.com", "us-gov-west-1"),
            ("localhost", "us-east-1"),
        ] {
            assert_eq!(region(&Url::parse(&format!("https://{host}/")).unwrap()), expected, "{host}");
        }
    }
}
