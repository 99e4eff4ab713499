//! DNS Made Easy, from the description of its API v2.0.

use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use chancery_authority::external::UpstreamErrorKind;
use chancery_model::external::DnsProviderKind;
use serde_json::json;

use super::{Asked, NOW, Reply, StandIn, World, empty, fits, passes_on_faults, refuses};

const KEY: &str = "1c1a3c91-4770-4ce7-96f4-54c0eb0e457a";
const SECRET: &str = "c9b5625f-9834-4ff8-baba-4ed5f32cae55";
const DOMAIN: &str = "1119443";

/// Id, name within the zone, value with quotes.
type Kept = Arc<Mutex<Vec<(u64, String, String)>>>;

fn wrong(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "error": [text] }))
}

fn is_signed(asked: &Asked) -> bool {
    let date = asked.header("x-dnsme-requestdate");
    let at = httpdate::parse_http_date(date).unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(at.as_secs(), u64::try_from(NOW).unwrap(), "{date}");
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
    asked.header("x-dnsme-apikey") == KEY
        && asked.header("x-dnsme-hmac") == hex::encode(hmac::sign(&key, date.as_bytes()))
}

fn answer(records: &mut Vec<(u64, String, String)>, asked: &Asked) -> Reply {
    if !is_signed(asked) {
        return wrong(403, "API key not found");
    }
    let segments = asked.segments();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    let domain = json!({ "id": 1_119_443, "name": "acme.test" });
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["V2.0", "dns", "managed"]) => {
            Reply::json(200, &json!({ "data": [domain], "page": 0, "totalPages": 1, "totalRecords": 1 }))
        }
        ("GET", ["V2.0", "dns", "managed", "name"]) => match asked.query("domainname") {
            "acme.test" => Reply::json(200, &domain),
            _ => wrong(404, "Cannot find resource requested."),
        },
        ("GET", ["V2.0", "dns", "managed", DOMAIN]) => Reply::json(200, &domain),
        ("GET", ["V2.0", "dns", "managed", DOMAIN, "records"]) => {
            assert_eq!(asked.query("type"), "TXT");
            let all: Vec<_> = records
                .iter()
                .filter(|it| it.1 == asked.query("recordName"))
                .map(|(id, name, value)| json!({ "id": id, "name": name, "type": "TXT", "value": value, "ttl": 60 }))
                .collect();
            let page: usize = asked.query("page").parse().unwrap();
            let shown: Vec<_> = all.iter().skip(page * 2).take(2).collect();
            let body = json!({
                "data": shown, "page": page, "totalPages": all.len().div_ceil(2), "totalRecords": all.len(),
            });
            Reply::json(200, &body)
        }
        ("POST", ["V2.0", "dns", "managed", DOMAIN, "records"]) => {
            let body = asked.json();
            assert_eq!((body["type"].as_str(), body["gtdLocation"].as_str()), (Some("TXT"), Some("DEFAULT")));
            let (name, value) = (body["name"].as_str().unwrap(), body["value"].as_str().unwrap());
            if records.iter().any(|it| it.1 == name && it.2 == value) {
                return wrong(400, "Record with this type (TXT), name, and value already exists.");
            }
            let id = 1 + records.iter().map(|it| it.0).max().unwrap_or(0);
            records.push((id, name.to_owned(), value.to_owned()));
            Reply::json(201, &json!({ "id": id }))
        }
        ("DELETE", ["V2.0", "dns", "managed", DOMAIN, "records", id]) => {
            let before = records.len();
            records.retain(|it| it.0.to_string() != *id);
            if records.len() == before { wrong(404, "Cannot find resource requested.") } else { empty(200) }
        }
        ("GET", _) => wrong(404, "Cannot find resource requested."),
        other => panic!("asked for {other:?}"),
    }
}

async fn made_easy() -> (StandIn, Kept) {
    let name = "_acme-challenge.www".to_owned();
    let kept: Kept = Arc::new(Mutex::new(vec![(5, name, "\"theirs\"".to_owned())]));
    let records = Arc::clone(&kept);
    (StandIn::start(move |asked| answer(&mut records.lock().unwrap(), asked)).await, kept)
}

fn world(server: &StandIn, zone: &str, secret: &str) -> World {
    let endpoint = format!("{}/V2.0/", server.url);
    let fields = [("apiKey", KEY), ("secretKey", secret), ("endpoint", endpoint.as_str())];
    server.world(DnsProviderKind::DnsMadeEasy, zone, &fields)
}

fn values(kept: &Kept) -> Vec<String> {
    let records = kept.lock().unwrap();
    let at_name = records.iter().filter(|it| it.1 == "_acme-challenge.www");
    at_name.map(|it| it.2.trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    for zone in [DOMAIN, "acme.test"] {
        let (server, kept) = made_easy().await;
        fits(&world(&server, zone, SECRET), || values(&kept)).await;
    }
}

#[tokio::test]
async fn a_value_on_a_later_page_is_found() {
    let (server, kept) = made_easy().await;
    let world = world(&server, DOMAIN, SECRET);
    for n in 0..4 {
        world.set(&format!("v{n}")).await.unwrap();
    }
    world.set("v3").await.unwrap();
    assert_eq!(values(&kept), ["theirs", "v0", "v1", "v2", "v3"]);
    world.remove("v3").await.unwrap();
    assert_eq!(values(&kept), ["theirs", "v0", "v1", "v2"]);
}

#[tokio::test]
async fn faults_are_told_as_what_they_are() {
    let (server, _) = made_easy().await;
    let good = world(&server, DOMAIN, SECRET);
    passes_on_faults(&good, &server).await;
    server.fail_once(wrong(400, "Rate limit exceeded"));
    assert_eq!(good.set("c").await.unwrap_err().kind, UpstreamErrorKind::Passing { retry_after: None });
    refuses(world(&server, DOMAIN, "another").set("a").await, &["DNS Made Easy", "403", "API key not found"]);
    refuses(world(&server, "other.test", SECRET).set("a").await, &["DNS Made Easy", "404"]);
    let elsewhere = good.placement_of("_acme-challenge.www.other.test");
    refuses(good.dns.set(&good.site, &elsewhere, "a").await, &["does not lie in the zone acme.test", "hostedZoneId"]);
}

#[tokio::test]
async fn keys_are_tried_by_a_list_of_one() {
    let (server, _) = made_easy().await;
    world(&server, DOMAIN, SECRET).check_connection().await.unwrap();
    refuses(world(&server, DOMAIN, "another").check_connection().await, &["DNS Made Easy", "API key not found"]);
}
