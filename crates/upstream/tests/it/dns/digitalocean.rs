//! DigitalOcean, from the description of its API v2.

use std::sync::{Arc, Mutex};

use chancery_model::external::DnsProviderKind;
use serde_json::{Value, json};

use super::{Asked, Reply, StandIn, World, empty, fits, passes_on_faults, refuses};

const TOKEN: &str = "dop_v1_token";
const NAME: &str = "_acme-challenge.www";

#[derive(Default)]
struct Zone {
    next: u64,
    /// Id, name within the zone, text.
    records: Vec<(u64, String, String)>,
}

type Kept = Arc<Mutex<Zone>>;

fn wrong(status: u16, id: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "id": id, "message": message }))
}

fn page(zone: &Zone, asked: &Asked) -> Reply {
    assert_eq!(asked.query("type"), "TXT");
    assert!((1..=200).contains(&asked.query("per_page").parse::<usize>().unwrap()));
    // Names are asked for in full and answered within the zone.
    let wanted = asked.query("name").strip_suffix(".acme.test").unwrap_or("@");
    let all: Vec<Value> = zone
        .records
        .iter()
        .filter(|it| it.1 == wanted)
        .map(
            |(id, name, data)| json!({ "id": id, "type": "TXT", "name": name, "data": data, "ttl": 60, "flags": null }),
        )
        .collect();
    let (size, number) = (2, asked.query("page").parse::<usize>().unwrap_or(1));
    let shown: Vec<_> = all.iter().skip((number - 1) * size).take(size).collect();
    let links = if number * size < all.len() {
        json!({ "pages": { "next": "https://api.digitalocean.com/v2/elsewhere", "last": "https://api.digitalocean.com/v2/x" } })
    } else {
        json!({})
    };
    Reply::json(200, &json!({ "domain_records": shown, "links": links, "meta": { "total": all.len() } }))
}

fn answer(zone: &mut Zone, asked: &Asked) -> Reply {
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return wrong(401, "unauthorized", "Unable to authenticate you");
    }
    let segments = asked.segments();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["v2", "domains"]) => Reply::json(200, &json!({ "domains": [], "links": {}, "meta": { "total": 0 } })),
        ("GET", ["v2", "domains", "acme.test", "records"]) => page(zone, asked),
        ("POST", ["v2", "domains", "acme.test", "records"]) => {
            let body = asked.json();
            let (name, data) = (body["name"].as_str().unwrap(), body["data"].as_str().unwrap());
            assert_eq!(body["type"], "TXT");
            assert!(body["ttl"].as_u64().unwrap() >= 30, "the shortest that it takes");
            assert!(!name.contains("acme.test") && !name.is_empty(), "{name}: within the zone, @ for the zone itself");
            assert!(!data.contains('"'), "quotation marks would be part of the text");
            zone.next += 1;
            zone.records.push((zone.next, name.to_owned(), data.to_owned()));
            Reply::json(201, &json!({ "domain_record": { "id": zone.next, "name": name, "data": data } }))
        }
        ("DELETE", ["v2", "domains", "acme.test", "records", id]) => {
            let before = zone.records.len();
            zone.records.retain(|it| it.0.to_string() != *id);
            if zone.records.len() == before {
                return wrong(404, "not_found", "The resource you requested could not be found.");
            }
            empty(204)
        }
        (_, ["v2", "domains", ..]) => wrong(404, "not_found", "The resource you requested could not be found."),
        other => panic!("asked for {other:?}"),
    }
}

async fn digitalocean() -> (StandIn, Kept) {
    let kept = Kept::default();
    kept.lock().unwrap().records =
        vec![(900, NAME.to_owned(), "theirs".to_owned()), (901, "@".to_owned(), "a-1".to_owned())];
    let zone = Arc::clone(&kept);
    (StandIn::start(move |asked| answer(&mut zone.lock().unwrap(), asked)).await, kept)
}

fn world(server: &StandIn, zone: &str, token: &str) -> World {
    let endpoint = format!("{}/v2", server.url);
    server.world(DnsProviderKind::DigitalOcean, zone, &[("apiToken", token), ("endpoint", &endpoint)])
}

fn values_of(kept: &Kept, name: &str) -> Vec<String> {
    let zone = kept.lock().unwrap();
    zone.records.iter().filter(|it| it.1 == name).map(|it| it.2.clone()).collect()
}

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    let (server, kept) = digitalocean().await;
    fits(&world(&server, "acme.test", TOKEN), || values_of(&kept, NAME)).await;
    assert_eq!(values_of(&kept, "@"), ["a-1"], "another name's record");
    // Without hostedZoneId the zone is what the CA calls it.
    let (server, kept) = digitalocean().await;
    fits(&world(&server, "", TOKEN), || values_of(&kept, NAME)).await;
}

#[tokio::test]
async fn the_zone_itself_has_values_too() {
    let (server, kept) = digitalocean().await;
    let world = world(&server, "acme.test", TOKEN);
    let apex = world.placement_of("acme.test");
    world.dns.set(&world.site, &apex, "b").await.unwrap();
    assert_eq!(values_of(&kept, "@"), ["a-1", "b"]);
    world.dns.remove(&world.site, &apex, "a-1").await.unwrap();
    assert_eq!(values_of(&kept, "@"), ["b"]);
}

#[tokio::test]
async fn a_value_on_a_later_page_is_found() {
    let (server, kept) = digitalocean().await;
    let world = world(&server, "acme.test", TOKEN);
    for n in 0..4 {
        world.set(&format!("v{n}")).await.unwrap();
    }
    world.set("v3").await.unwrap();
    assert_eq!(values_of(&kept, NAME), ["theirs", "v0", "v1", "v2", "v3"]);
    world.remove("v3").await.unwrap();
    assert_eq!(values_of(&kept, NAME), ["theirs", "v0", "v1", "v2"]);
}

#[tokio::test]
async fn faults_are_told_as_what_they_are() {
    let (server, _) = digitalocean().await;
    let good = world(&server, "acme.test", TOKEN);
    passes_on_faults(&good, &server).await;
    refuses(world(&server, "acme.test", "another").set("a").await, &["DigitalOcean", "401", "Unable to authenticate"]);
    let elsewhere = good.placement_of("_acme-challenge.www.other.test");
    refuses(good.dns.set(&good.site, &elsewhere, "a").await, &["does not lie in the zone acme.test", "hostedZoneId"]);
    // The CA may call a zone by less than the provider does.
    let other = world(&server, "www.acme.test", TOKEN);
    refuses(other.set("a").await, &["DigitalOcean", "no zone www.acme.test", "hostedZoneId"]);
}

#[tokio::test]
async fn a_token_is_tried_by_a_list_of_one() {
    let (server, _) = digitalocean().await;
    world(&server, "acme.test", TOKEN).check_connection().await.unwrap();
    refuses(world(&server, "acme.test", "another").check_connection().await, &["DigitalOcean", "401"]);
}
