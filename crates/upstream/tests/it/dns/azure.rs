//! Azure DNS, from the description of its REST API (2018-05-01) and of the Microsoft identity platform.

use std::sync::{Arc, Mutex};

use chancery_model::external::DnsProviderKind;
use serde_json::{Value, json};

use super::{Asked, Reply, StandIn, World, empty, fits, passes_on_faults, refuses};

const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";
const SECRET: &str = "~client secret & more";

#[derive(Default)]
struct Zone {
    /// Version and values, if there is a set.
    set: Option<(u32, Vec<String>)>,
    version: u32,
    /// What another client does between our reading and our change; once.
    meanwhile: Option<Vec<String>>,
    may_list: bool,
    url: String,
}

type Kept = Arc<Mutex<Zone>>;

fn wrong(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": { "code": code, "message": message } }))
}

fn token(asked: &Asked) -> Reply {
    let form = asked.form();
    assert_eq!(form["grant_type"], "client_credentials");
    assert!(form["scope"].starts_with("https://127.0.0.1:") && form["scope"].ends_with("/.default"), "{form:?}");
    assert!(!form["scope"].contains("//.default"));
    if (form["client_id"].as_str(), form["client_secret"].as_str()) != ("client", SECRET) {
        return Reply::json(
            401,
            &json!({
                "error": "invalid_client",
                "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 0\r\nCorrelation ID: 1",
            }),
        );
    }
    Reply::json(200, &json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": "a.jwt" }))
}

fn answer(zone: &mut Zone, asked: &Asked) -> Reply {
    let segments = asked.segments();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    if let ("POST", ["tenant", "oauth2", "v2.0", "token"]) = (asked.method.as_str(), segments.as_slice()) {
        return token(asked);
    }
    if asked.header("authorization") != "Bearer a.jwt" {
        return wrong(401, "AuthenticationFailed", "Authentication failed.");
    }
    assert_eq!(asked.query("api-version"), "2018-05-01");
    match segments.as_slice() {
        ["subscriptions", SUBSCRIPTION, "providers", "Microsoft.Network", "dnsZones"] => zones(zone, asked),
        [
            "subscriptions",
            SUBSCRIPTION,
            "resourceGroups",
            "dns",
            "providers",
            "Microsoft.Network",
            zones,
            "acme.test",
            "TXT",
            name,
        ] if zones.eq_ignore_ascii_case("dnsZones") => {
            assert_eq!(*name, "_acme-challenge.www");
            record_set(zone, asked)
        }
        _ => wrong(404, "ParentResourceNotFound", "The zone could not be found."),
    }
}

/// Two pages.
fn zones(zone: &Zone, asked: &Asked) -> Reply {
    if !zone.may_list {
        return wrong(403, "AuthorizationFailed", "The client does not have authorization to list.");
    }
    let one = |group: &str, name: &str| {
        json!({
            "name": name,
            "id": format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Network/dnszones/{name}"),
        })
    };
    if asked.query("$skipToken").is_empty() {
        assert!(!asked.query("$top").is_empty());
        let next = format!(
            "{}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network/dnsZones?api-version=2018-05-01&$skipToken=x",
            zone.url
        );
        return Reply::json(200, &json!({ "value": [one("web", "example.test")], "nextLink": next }));
    }
    Reply::json(200, &json!({ "value": [one("dns", "acme.test")] }))
}

fn shown(version: u32, values: &[String]) -> Value {
    let records: Vec<_> = values.iter().map(|it| json!({ "value": [it] })).collect();
    json!({ "name": "_acme-challenge.www", "etag": format!("v{version}"), "properties": { "TTL": 300, "TXTRecords": records } })
}

fn record_set(zone: &mut Zone, asked: &Asked) -> Reply {
    let matches = match (asked.header("if-match"), asked.header("if-none-match"), &zone.set) {
        ("", "*", set) => set.is_none(),
        (etag, "", Some((version, _))) => etag == format!("v{version}"),
        _ => false,
    };
    match asked.method.as_str() {
        "GET" => {
            let reply = match &zone.set {
                Some((version, values)) => Reply::json(200, &shown(*version, values)),
                None => wrong(404, "NotFound", "The resource record was not found."),
            };
            if let Some(values) = zone.meanwhile.take() {
                zone.version += 1;
                zone.set = Some((zone.version, values));
            }
            reply
        }
        "PUT" | "DELETE" if !matches => wrong(412, "PreconditionFailed", "The condition is not met."),
        "PUT" => {
            let body = asked.json();
            let records = body["properties"]["TXTRecords"].as_array().unwrap();
            let values: Vec<String> = records.iter().map(|it| it["value"][0].as_str().unwrap().to_owned()).collect();
            assert!(!values.is_empty() && body["properties"]["TTL"].as_u64().unwrap() > 0, "{body}");
            zone.version += 1;
            zone.set = Some((zone.version, values));
            Reply::json(200, &shown(zone.version, &[]))
        }
        "DELETE" => {
            zone.set = None;
            empty(200)
        }
        other => panic!("asked to {other}"),
    }
}

async fn azure() -> (StandIn, Kept) {
    let set = Some((1, vec!["theirs".to_owned()]));
    let kept: Kept = Arc::new(Mutex::new(Zone { set, version: 1, may_list: true, ..Zone::default() }));
    let zone = Arc::clone(&kept);
    let server = StandIn::start(move |asked| answer(&mut zone.lock().unwrap(), asked)).await;
    kept.lock().unwrap().url = server.url.clone();
    (server, kept)
}

fn world(server: &StandIn, zone: &str, secret: &str) -> World {
    let fields = [
        ("tenantId", "tenant"),
        ("clientId", "client"),
        ("clientSecret", secret),
        ("subscriptionId", SUBSCRIPTION),
        ("loginEndpoint", &server.url),
        ("endpoint", &server.url),
    ];
    server.world(DnsProviderKind::AzureDns, zone, &fields)
}

fn values(kept: &Kept) -> Vec<String> {
    kept.lock().unwrap().set.clone().map(|it| it.1).unwrap_or_default()
}

fn resource_id() -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/dns/providers/Microsoft.Network/dnszones/acme.test")
}

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    for zone in [resource_id().as_str(), "dns/acme.test", "acme.test"] {
        let (server, kept) = azure().await;
        fits(&world(&server, zone, SECRET), || values(&kept)).await;
    }
}

#[tokio::test]
async fn a_change_in_between_is_not_lost() {
    let texts = |values: &[&str]| values.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    for (before, meanwhile) in [(Some((1, texts(&["theirs"]))), texts(&["theirs", "late"])), (None, texts(&["late"]))] {
        let (server, kept) = azure().await;
        let world = world(&server, "dns/acme.test", SECRET);
        {
            let mut zone = kept.lock().unwrap();
            zone.set = before;
            zone.meanwhile = Some(meanwhile.clone());
        }
        world.set("ours").await.unwrap();
        let mut expected = [meanwhile.clone(), texts(&["ours"])].concat();
        assert_eq!(values(&kept), expected, "set");
        kept.lock().unwrap().meanwhile = Some([expected.clone(), texts(&["later"])].concat());
        world.remove("ours").await.unwrap();
        expected.retain(|it| it != "ours");
        expected.push("later".to_owned());
        assert_eq!(values(&kept), expected, "removed");
    }
}

#[tokio::test]
async fn faults_are_told_as_what_they_are() {
    let (server, _) = azure().await;
    passes_on_faults(&world(&server, "dns/acme.test", SECRET), &server).await;
    let wrong_secret = world(&server, "dns/acme.test", "another").set("a").await;
    refuses(wrong_secret.clone(), &["Azure sign-in", "401", "AADSTS7000215"]);
    assert!(!wrong_secret.unwrap_err().text.contains("Trace"));
    refuses(world(&server, "web/acme.test", SECRET).set("a").await, &["Azure DNS", "404", "zone could not be found"]);
    refuses(world(&server, "other.test", SECRET).set("a").await, &["no zone other.test", "hostedZoneId"]);
    let other = world(&server, "dns/example.test", SECRET);
    refuses(other.set("a").await, &["does not lie in the zone example.test"]);
}

#[tokio::test]
async fn a_token_is_sent_to_nobody_but_the_api() {
    let (server, kept) = azure().await;
    kept.lock().unwrap().url = "https://elsewhere.test".to_owned();
    refuses(world(&server, "acme.test", SECRET).set("a").await, &["goes on at another address"]);
}

#[tokio::test]
async fn an_application_that_may_not_list_zones_is_known_all_the_same() {
    let (server, kept) = azure().await;
    world(&server, "acme.test", SECRET).check_connection().await.unwrap();
    kept.lock().unwrap().may_list = false;
    world(&server, "acme.test", SECRET).check_connection().await.unwrap();
    refuses(world(&server, "acme.test", "another").check_connection().await, &["Azure sign-in", "AADSTS7000215"]);
}
