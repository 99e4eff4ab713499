//! Gandi, from the description of its LiveDNS API v5.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chancery_model::external::DnsProviderKind;
use serde_json::json;

use super::{Asked, Reply, StandIn, World, empty, fits, passes_on_faults, refuses};

const TOKEN: &str = "a-token";
const NAME: &str = "_acme-challenge.www";

/// TTL and quoted values by name within the zone; `@` is the zone itself.
type Sets = BTreeMap<String, (u64, Vec<String>)>;
type Kept = Arc<Mutex<Sets>>;

fn wrong(status: u16, object: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "object": object, "cause": object, "code": status, "message": message }))
}

fn nothing() -> Reply {
    wrong(404, "HTTPNotFound", "The resource could not be found.")
}

fn write(sets: &mut Sets, name: &str, asked: &Asked) -> Reply {
    let body = asked.json();
    let ttl = body["rrset_ttl"].as_u64().unwrap();
    if !(300..=2_592_000).contains(&ttl) {
        let fault = json!({ "location": "body", "name": "rrset_ttl", "description": "300 is the minimum value" });
        return Reply::json(400, &json!({ "status": "error", "errors": [fault] }));
    }
    let values: Vec<_> =
        body["rrset_values"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    assert!(!values.is_empty(), "a set has values");
    assert!(values.iter().all(|it| it.starts_with('"') && it.ends_with('"') && it.len() > 2), "TXT values are quoted");
    if asked.method == "POST" && sets.contains_key(name) {
        return wrong(409, "HTTPConflict", "A DNS Record already exists with same name and type");
    }
    sets.insert(name.to_owned(), (ttl, values));
    Reply::json(201, &json!({ "message": "DNS Record Created" }))
}

fn answer(sets: &mut Sets, asked: &Asked) -> Reply {
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return wrong(403, "HTTPForbidden", "Access was denied to this resource.");
    }
    let segments = asked.segments();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["v5", "livedns", "domains"]) => Reply::json(200, &json!([])),
        (_, ["v5", "livedns", "domains", domain, ..]) if *domain != "acme.test" => nothing(),
        ("GET", ["v5", "livedns", "domains", _, "records", name, "TXT"]) => match sets.get(*name) {
            Some((ttl, values)) => Reply::json(
                200,
                &json!({ "rrset_name": name, "rrset_type": "TXT", "rrset_ttl": ttl, "rrset_values": values }),
            ),
            None => nothing(),
        },
        ("POST" | "PUT", ["v5", "livedns", "domains", _, "records", name, "TXT"]) => write(sets, name, asked),
        ("DELETE", ["v5", "livedns", "domains", _, "records", name, "TXT"]) => match sets.remove(*name) {
            Some(_) => empty(204),
            None => nothing(),
        },
        other => panic!("asked for {other:?}"),
    }
}

async fn gandi() -> (StandIn, Kept) {
    let set = |value: &str| (10_800, vec![format!("\"{value}\"")]);
    let kept = Arc::new(Mutex::new(Sets::from([(NAME.to_owned(), set("theirs")), ("@".to_owned(), set("a-1"))])));
    let sets = Arc::clone(&kept);
    (StandIn::start(move |asked| answer(&mut sets.lock().unwrap(), asked)).await, kept)
}

fn world(server: &StandIn, zone: &str, token: &str) -> World {
    let endpoint = format!("{}/v5/livedns", server.url);
    server.world(DnsProviderKind::Gandi, zone, &[("apiToken", token), ("endpoint", &endpoint)])
}

fn values_of(kept: &Kept, name: &str) -> Vec<String> {
    let sets = kept.lock().unwrap();
    let values = sets.get(name).map(|it| it.1.clone()).unwrap_or_default();
    values.into_iter().map(|it| it.trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    let (server, kept) = gandi().await;
    fits(&world(&server, "acme.test", TOKEN), || values_of(&kept, NAME)).await;
    assert_eq!(values_of(&kept, "@"), ["a-1"], "another name's record");
}

#[tokio::test]
async fn the_zone_itself_has_values_too() {
    let (server, kept) = gandi().await;
    let world = world(&server, "acme.test", TOKEN);
    let apex = world.placement_of("acme.test");
    world.dns.set(&world.site, &apex, "b").await.unwrap();
    assert_eq!(kept.lock().unwrap()["@"].0, 10_800, "the set keeps its TTL");
    world.dns.remove(&world.site, &apex, "a-1").await.unwrap();
    assert_eq!(values_of(&kept, "@"), ["b"]);
}

#[tokio::test]
async fn orders_at_the_same_time_do_not_undo_each_other() {
    let (server, kept) = gandi().await;
    let world = world(&server, "acme.test", TOKEN);
    let (a, b, c) = tokio::join!(world.set("a"), world.set("b"), world.remove("theirs"));
    a.and(b).and(c).unwrap();
    let mut found = values_of(&kept, NAME);
    found.sort();
    assert_eq!(found, ["a", "b"]);
}

#[tokio::test]
async fn a_set_that_has_come_into_being_since_is_not_replaced() {
    let (server, kept) = gandi().await;
    server.fail_once(nothing());
    world(&server, "acme.test", TOKEN).set("a").await.unwrap();
    assert_eq!(values_of(&kept, NAME), ["theirs", "a"]);
}

#[tokio::test]
async fn a_value_that_somebody_else_has_written_over_is_written_again() {
    let (server, kept) = gandi().await;
    server.fail_once(Reply::json(200, &json!({ "rrset_ttl": 10_800, "rrset_values": ["\"theirs\""] })));
    server.fail_once(Reply::json(201, &json!({ "message": "DNS Record Created" })));
    world(&server, "acme.test", TOKEN).set("a").await.unwrap();
    assert_eq!(values_of(&kept, NAME), ["theirs", "a"]);
}

#[tokio::test]
async fn faults_are_told_as_what_they_are() {
    let (server, _) = gandi().await;
    let good = world(&server, "acme.test", TOKEN);
    passes_on_faults(&good, &server).await;
    refuses(world(&server, "acme.test", "another").set("a").await, &["Gandi", "403", "Access was denied"]);
    server.fail_once(Reply::json(200, &json!({ "rrset_ttl": 60, "rrset_values": ["\"theirs\""] })));
    refuses(good.set("a").await, &["Gandi", "400", "300 is the minimum value"]);
    let elsewhere = good.placement_of("_acme-challenge.www.other.test");
    refuses(good.dns.set(&good.site, &elsewhere, "a").await, &["does not lie in the zone acme.test", "hostedZoneId"]);
    let other = world(&server, "www.acme.test", TOKEN);
    refuses(other.set("a").await, &["Gandi", "no zone www.acme.test", "hostedZoneId"]);
}

#[tokio::test]
async fn a_token_is_tried_by_a_list_of_one() {
    let (server, _) = gandi().await;
    world(&server, "acme.test", TOKEN).check_connection().await.unwrap();
    refuses(world(&server, "acme.test", "another").check_connection().await, &["Gandi", "Access was denied"]);
}
