//! Cloudflare, from the description of its API v4.

use std::sync::{Arc, Mutex};

use chancery_model::external::DnsProviderKind;
use serde_json::{Value, json};

use super::{Asked, NAME, Reply, StandIn, World, fits, passes_on_faults, refuses};

const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";
const TOKEN: &str = "a-token";

#[derive(Default)]
struct Zone {
    next: u32,
    /// Id, name, content as Cloudflare keeps it: quoted.
    records: Vec<(String, String, String)>,
}

type Kept = Arc<Mutex<Zone>>;

fn wrong(status: u16, code: i64, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "success": false, "errors": [{ "code": code, "message": message }], "messages": [], "result": null }),
    )
}

fn page(all: &[Value], asked: &Asked) -> Reply {
    // It pages by less than is asked for, as it may.
    let (size, number) = (2, asked.query("page").parse::<usize>().unwrap_or(1));
    assert!((1..=100).contains(&asked.query("per_page").parse::<usize>().unwrap()));
    let shown: Vec<_> = all.iter().skip((number - 1) * size).take(size).collect();
    let info = json!({
        "page": number, "per_page": size, "count": shown.len(), "total_count": all.len(),
        "total_pages": all.len().div_ceil(size),
    });
    Reply::json(200, &json!({ "success": true, "errors": [], "messages": [], "result": shown, "result_info": info }))
}

fn answer(zone: &mut Zone, asked: &Asked) -> Reply {
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return wrong(403, 10_000, "Authentication error");
    }
    let segments = asked.segments();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["client", "v4", "user", "tokens", "verify"]) => {
            Reply::json(200, &json!({ "success": true, "result": { "id": "1", "status": "active" } }))
        }
        ("GET", ["client", "v4", "zones"]) => match asked.query("name") {
            "acme.test" => page(&[json!({ "id": ZONE, "name": "acme.test", "status": "active" })], asked),
            _ => page(&[], asked),
        },
        ("GET", ["client", "v4", "zones", ZONE, "dns_records"]) => {
            let fits = |(id, name, content): &(String, String, String)| {
                let record = json!({ "id": id, "name": name, "type": "TXT", "content": content, "ttl": 60 });
                (name == asked.query("name") && asked.query("type") == "TXT").then_some(record)
            };
            let all: Vec<_> = zone.records.iter().filter_map(fits).collect();
            page(&all, asked)
        }
        ("POST", ["client", "v4", "zones", ZONE, "dns_records"]) => {
            let body = asked.json();
            assert_eq!(body["type"], "TXT");
            assert!(body["ttl"].as_u64().unwrap() >= 60, "shorter is for enterprises");
            let (name, content) = (body["name"].as_str().unwrap(), body["content"].as_str().unwrap());
            if zone.records.iter().any(|it| it.1 == name && it.2 == content) {
                return wrong(400, 81_058, "An identical record already exists.");
            }
            zone.next += 1;
            let id = format!("{:032x}", zone.next);
            zone.records.push((id.clone(), name.to_owned(), content.to_owned()));
            Reply::json(200, &json!({ "success": true, "result": { "id": id } }))
        }
        ("DELETE", ["client", "v4", "zones", ZONE, "dns_records", id]) => {
            let before = zone.records.len();
            zone.records.retain(|it| it.0 != *id);
            if zone.records.len() == before {
                return wrong(404, 81_044, "Record does not exist.");
            }
            Reply::json(200, &json!({ "success": true, "result": { "id": id } }))
        }
        ("GET", ["client", "v4", "zones", ..]) => wrong(404, 7_003, "Could not route to this zone"),
        other => panic!("asked for {other:?}"),
    }
}

async fn cloudflare() -> (StandIn, Kept) {
    let kept = Kept::default();
    kept.lock().unwrap().records = vec![
        ("0".repeat(32), NAME.to_owned(), "\"theirs\"".to_owned()),
        ("f".repeat(32), "acme.test".to_owned(), "\"a-1\"".to_owned()),
    ];
    let zone = Arc::clone(&kept);
    (StandIn::start(move |asked| answer(&mut zone.lock().unwrap(), asked)).await, kept)
}

fn world(server: &StandIn, zone: &str, token: &str) -> World {
    let endpoint = format!("{}/client/v4", server.url);
    server.world(DnsProviderKind::Cloudflare, zone, &[("apiToken", token), ("endpoint", &endpoint)])
}

fn values(kept: &Kept) -> Vec<String> {
    let zone = kept.lock().unwrap();
    assert!(zone.records.iter().any(|it| it.1 == "acme.test"), "another name's record is gone");
    zone.records.iter().filter(|it| it.1 == NAME).map(|it| it.2.trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    for zone in [ZONE, "acme.test"] {
        let (server, kept) = cloudflare().await;
        fits(&world(&server, zone, TOKEN), || values(&kept)).await;
    }
}

#[tokio::test]
async fn a_value_on_a_later_page_is_found() {
    let (server, kept) = cloudflare().await;
    let world = world(&server, ZONE, TOKEN);
    let mut expected = vec!["theirs".to_owned()];
    for n in 0..5 {
        world.set(&format!("v{n}")).await.unwrap();
        expected.push(format!("v{n}"));
    }
    world.set("v4").await.unwrap();
    assert_eq!(values(&kept), expected);
    world.remove("v4").await.unwrap();
    expected.pop();
    assert_eq!(values(&kept), expected);
}

#[tokio::test]
async fn what_somebody_else_was_faster_with_is_fine() {
    let (server, kept) = cloudflare().await;
    let world = world(&server, ZONE, TOKEN);
    world.set("a").await.unwrap();
    let nothing = json!({ "success": true, "result": [], "result_info": { "page": 1, "total_pages": 1 } });
    server.fail_once(Reply::json(200, &nothing));
    world.set("a").await.unwrap();
    let gone = json!({ "success": true, "result": [
        { "id": "e".repeat(32), "name": NAME, "type": "TXT", "content": "\"a\"" }] });
    server.fail_once(Reply::json(200, &gone));
    world.remove("a").await.unwrap();
    assert_eq!(values(&kept), ["theirs", "a"]);
}

#[tokio::test]
async fn faults_are_told_as_what_they_are() {
    let (server, _) = cloudflare().await;
    passes_on_faults(&world(&server, ZONE, TOKEN), &server).await;
    refuses(world(&server, ZONE, "another").set("a").await, &["Cloudflare", "403", "Authentication error"]);
    refuses(world(&server, &"9".repeat(32), TOKEN).set("a").await, &["Cloudflare", "404", "Could not route"]);
    refuses(world(&server, "other.test", TOKEN).set("a").await, &["no zone other.test", "hostedZoneId"]);
}

#[tokio::test]
async fn a_token_is_tried_where_tokens_are_verified() {
    let (server, _) = cloudflare().await;
    world(&server, ZONE, TOKEN).check_connection().await.unwrap();
    refuses(world(&server, ZONE, "another").check_connection().await, &["Cloudflare", "Authentication error"]);
    let disabled = json!({ "success": true, "result": { "id": "1", "status": "disabled" } });
    server.fail_once(Reply::json(200, &disabled));
    refuses(world(&server, ZONE, TOKEN).check_connection().await, &["disabled"]);
}
