//! deSEC, from the description of its API v1.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chancery_model::external::DnsProviderKind;
use serde_json::{Value, json};

use super::{Asked, NAME as FULL_NAME, Reply, StandIn, World, fits, passes_on_faults, refuses};

const TOKEN: &str = "a-token";
const NAME: &str = "_acme-challenge.www";

/// TTL and quoted values by name within the zone.
type Sets = BTreeMap<String, (u64, Vec<String>)>;
type Kept = Arc<Mutex<Sets>>;

fn wrong(status: u16, detail: &str) -> Reply {
    Reply::json(status, &json!({ "detail": detail }))
}

/// Name, TTL and values of a set that somebody wants written.
fn wanted(body: &Value) -> Result<(String, u64, Vec<String>), Reply> {
    assert_eq!(body["type"], "TXT");
    let ttl = body["ttl"].as_u64().unwrap();
    if ttl < 3600 {
        let text = "Ensure this value is greater than or equal to 3600.";
        return Err(Reply::json(400, &json!({ "ttl": [text] })));
    }
    let values: Vec<_> = body["records"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    assert!(values.iter().all(|it| it.starts_with('"') && it.ends_with('"') && it.len() > 2), "TXT values are quoted");
    let name = body["subname"].as_str().unwrap();
    assert!(name != "@", "in a body, the zone itself is empty");
    Ok((name.to_owned(), ttl, values))
}

fn create(sets: &mut Sets, body: &Value) -> Reply {
    let (name, ttl, values) = match wanted(body) {
        Ok(wanted) => wanted,
        Err(reply) => return reply,
    };
    assert!(!values.is_empty());
    if sets.contains_key(&name) {
        let text = "Another RRset with the same subdomain and type exists for this domain.";
        return Reply::json(400, &json!({ "non_field_errors": [text] }));
    }
    sets.insert(name, (ttl, values));
    Reply::json(201, body)
}

fn patch(sets: &mut Sets, body: &Value) -> Reply {
    for one in body.as_array().expect("changes in bulk are a list") {
        match wanted(one) {
            Ok((name, _, values)) if values.is_empty() => drop(sets.remove(&name)),
            Ok((name, ttl, values)) => drop(sets.insert(name, (ttl, values))),
            Err(reply) => return reply,
        }
    }
    Reply::json(200, body)
}

fn answer(sets: &mut Sets, asked: &Asked) -> Reply {
    if asked.header("authorization") != format!("Token {TOKEN}") {
        return wrong(401, "Invalid token.");
    }
    if !asked.path.ends_with('/') {
        return Reply(301, vec![("location", format!("{}/", asked.path))], String::new());
    }
    let segments = asked.segments();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["api", "v1", "domains", ""]) => {
            assert!(asked.query.contains_key("cursor"), "without it, accounts with many domains are refused");
            Reply::json(200, &json!([]))
        }
        ("GET", ["api", "v1", "domains", "acme.test", ""]) => {
            Reply::json(200, &json!({ "name": "acme.test", "minimum_ttl": 3600 }))
        }
        ("GET", ["api", "v1", "domains", "acme.test", "rrsets", name, "TXT", ""]) => {
            assert!(!name.is_empty(), "in a path, the zone itself is @");
            let name = if *name == "@" { "" } else { name };
            match sets.get(name) {
                Some((ttl, values)) => Reply::json(200, &json!({ "subname": name, "ttl": ttl, "records": values })),
                None => wrong(404, "Not found."),
            }
        }
        ("POST", ["api", "v1", "domains", "acme.test", "rrsets", ""]) => create(sets, &asked.json()),
        ("PATCH", ["api", "v1", "domains", "acme.test", "rrsets", ""]) => patch(sets, &asked.json()),
        (_, ["api", "v1", "domains", domain, ..]) if *domain != "acme.test" => wrong(404, "Not found."),
        other => panic!("asked for {other:?}"),
    }
}

async fn desec() -> (StandIn, Kept) {
    let set = |value: &str| (7200, vec![format!("\"{value}\"")]);
    let kept = Arc::new(Mutex::new(Sets::from([(NAME.to_owned(), set("theirs")), (String::new(), set("a-1"))])));
    let sets = Arc::clone(&kept);
    (StandIn::start(move |asked| answer(&mut sets.lock().unwrap(), asked)).await, kept)
}

fn world(server: &StandIn, zone: &str, token: &str) -> World {
    let endpoint = format!("{}/api/v1", server.url);
    server.world(DnsProviderKind::Desec, zone, &[("apiToken", token), ("endpoint", &endpoint)])
}

fn values_of(kept: &Kept, name: &str) -> Vec<String> {
    let sets = kept.lock().unwrap();
    let values = sets.get(name).map(|it| it.1.clone()).unwrap_or_default();
    values.into_iter().map(|it| it.trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    let (server, kept) = desec().await;
    fits(&world(&server, "acme.test", TOKEN), || values_of(&kept, NAME)).await;
    assert_eq!(values_of(&kept, ""), ["a-1"], "another name's record");
}

#[tokio::test]
async fn the_zone_itself_has_values_too() {
    let (server, kept) = desec().await;
    let world = world(&server, "acme.test", TOKEN);
    let apex = world.placement_of("acme.test");
    world.dns.set(&world.site, &apex, "b").await.unwrap();
    assert_eq!(kept.lock().unwrap()[""].0, 7200, "the set keeps its TTL");
    world.dns.remove(&world.site, &apex, "a-1").await.unwrap();
    assert_eq!(values_of(&kept, ""), ["b"]);
}

#[tokio::test]
async fn orders_at_the_same_time_do_not_undo_each_other() {
    let (server, kept) = desec().await;
    let world = world(&server, "acme.test", TOKEN);
    let (a, b, c) = tokio::join!(world.set("a"), world.set("b"), world.remove("theirs"));
    a.and(b).and(c).unwrap();
    let mut found = values_of(&kept, NAME);
    found.sort();
    assert_eq!(found, ["a", "b"]);
}

#[tokio::test]
async fn a_set_that_has_come_into_being_since_is_not_replaced() {
    let (server, kept) = desec().await;
    server.fail_once(wrong(404, "Not found."));
    world(&server, "acme.test", TOKEN).set("a").await.unwrap();
    assert_eq!(values_of(&kept, NAME), ["theirs", "a"]);
}

#[tokio::test]
async fn a_value_that_somebody_else_has_written_over_is_written_again() {
    let (server, kept) = desec().await;
    let theirs = json!({ "ttl": 7200, "records": ["\"theirs\""] });
    server.fail_once(Reply::json(200, &theirs));
    server.fail_once(Reply::json(200, &json!([])));
    world(&server, "acme.test", TOKEN).set("a").await.unwrap();
    assert_eq!(values_of(&kept, NAME), ["theirs", "a"]);
}

#[tokio::test]
async fn who_is_always_overtaken_tries_again_later() {
    let (server, _) = desec().await;
    for _ in 0..20 {
        server.fail_once(Reply::json(200, &json!({ "ttl": 7200, "records": ["\"theirs\""] })));
    }
    let error = world(&server, "acme.test", TOKEN).set("a").await.unwrap_err();
    assert!(error.text.contains(FULL_NAME) && error.text.contains("keep changing"), "{error}");
}

#[tokio::test]
async fn faults_are_told_as_what_they_are() {
    let (server, _) = desec().await;
    let good = world(&server, "acme.test", TOKEN);
    passes_on_faults(&good, &server).await;
    refuses(world(&server, "acme.test", "another").set("a").await, &["deSEC", "401", "Invalid token."]);
    server.fail_once(wrong(404, "Not found."));
    server.fail_once(Reply::json(200, &json!({ "minimum_ttl": 60 })));
    refuses(good.set("a").await, &["deSEC", "400", "greater than or equal to 3600"]);
    let elsewhere = good.placement_of("_acme-challenge.www.other.test");
    refuses(good.dns.set(&good.site, &elsewhere, "a").await, &["does not lie in the zone acme.test", "hostedZoneId"]);
    let other = world(&server, "www.acme.test", TOKEN);
    refuses(other.set("a").await, &["deSEC", "no zone www.acme.test", "hostedZoneId"]);
}

#[tokio::test]
async fn a_token_is_tried_by_a_list() {
    let (server, _) = desec().await;
    world(&server, "acme.test", TOKEN).check_connection().await.unwrap();
    refuses(world(&server, "acme.test", "another").check_connection().await, &["deSEC", "Invalid token."]);
}
