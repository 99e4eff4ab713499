//! Hetzner's Cloud API v1, from its description.

use std::sync::{Arc, Mutex};

use chancery_authority::external::UpstreamErrorKind;
use chancery_model::external::DnsProviderKind;
use serde_json::{Value, json};

use super::{Asked, Reply, StandIn, World, fits, passes_on_faults, refuses};

const TOKEN: &str = "a-token";
const ZONE: &str = "42";
const NAME: &str = "_acme-challenge.www";

struct Rrset {
    name: String,
    ttl: Option<u64>,
    /// Quoted.
    values: Vec<String>,
}

type Kept = Arc<Mutex<Vec<Rrset>>>;

fn wrong(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": { "code": code, "message": message, "details": {} } }))
}

fn action(status: &str) -> Value {
    json!({ "action": { "id": 1, "command": "change_rrset", "status": status, "progress": 50, "error": null } })
}

fn texts(body: &Value) -> Vec<String> {
    let records = body["records"].as_array().unwrap();
    assert!(!records.is_empty());
    let texts: Vec<_> = records.iter().map(|it| it["value"].as_str().unwrap().to_owned()).collect();
    assert!(texts.iter().all(|it| it.starts_with('"') && it.ends_with('"') && it.len() > 2), "TXT values are quoted");
    texts
}

fn add(sets: &mut Vec<Rrset>, name: &str, body: &Value) -> Reply {
    let (values, ttl) = (texts(body), body.get("ttl").map(|it| it.as_u64().unwrap()));
    assert!(ttl.is_none_or(|it| (60..=2_147_483_647).contains(&it)), "{ttl:?}");
    match sets.iter_mut().find(|it| it.name == name) {
        None => sets.push(Rrset { name: name.to_owned(), ttl, values }),
        Some(set) => {
            if ttl.is_some() && ttl != set.ttl {
                return wrong(422, "invalid_input", "ttl differs from that of the existing RRSet");
            }
            if values.iter().any(|it| set.values.contains(it)) {
                return wrong(422, "invalid_input", "record exists");
            }
            set.values.extend(values);
        }
    }
    Reply::json(201, &action("success"))
}

fn remove(sets: &mut Vec<Rrset>, name: &str, body: &Value) -> Reply {
    let values = texts(body);
    let Some(set) = sets.iter_mut().find(|it| it.name == name) else {
        return wrong(404, "not_found", "rrset not found");
    };
    if !values.iter().all(|it| set.values.contains(it)) {
        return wrong(404, "not_found", "record not found");
    }
    set.values.retain(|it| !values.contains(it));
    // The last record takes its set along.
    sets.retain(|it| !it.values.is_empty());
    Reply::json(201, &action("success"))
}

fn answer(sets: &mut Vec<Rrset>, asked: &Asked) -> Reply {
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return wrong(401, "unauthorized", "unable to authenticate");
    }
    let segments = asked.segments();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["v1", "zones"]) => Reply::json(200, &json!({ "zones": [], "meta": {} })),
        ("GET", ["v1", "zones", ZONE | "acme.test"]) => {
            Reply::json(200, &json!({ "zone": { "id": 42, "name": "acme.test", "mode": "primary", "ttl": 3600 } }))
        }
        ("GET", ["v1", "zones", ZONE, "rrsets", name, "TXT"]) => match sets.iter().find(|it| it.name == *name) {
            Some(set) => {
                let records: Vec<_> = set.values.iter().map(|it| json!({ "value": it, "comment": "" })).collect();
                let id = format!("{name}/TXT");
                let set =
                    json!({ "id": id, "name": name, "type": "TXT", "ttl": set.ttl, "records": records, "zone": 42 });
                Reply::json(200, &json!({ "rrset": set }))
            }
            None => wrong(404, "not_found", "rrset not found"),
        },
        ("POST", ["v1", "zones", ZONE, "rrsets", name, "TXT", "actions", "add_records"]) => {
            add(sets, name, &asked.json())
        }
        ("POST", ["v1", "zones", ZONE, "rrsets", name, "TXT", "actions", "remove_records"]) => {
            remove(sets, name, &asked.json())
        }
        ("GET", ["v1", "zones", _]) => wrong(404, "not_found", "zone not found"),
        other => panic!("asked for {other:?}"),
    }
}

async fn hetzner() -> (StandIn, Kept) {
    let set =
        |name: &str, value: &str| Rrset { name: name.to_owned(), ttl: Some(300), values: vec![format!("\"{value}\"")] };
    let kept = Arc::new(Mutex::new(vec![set(NAME, "theirs"), set("@", "a-1")]));
    let sets = Arc::clone(&kept);
    (StandIn::start(move |asked| answer(&mut sets.lock().unwrap(), asked)).await, kept)
}

fn world(server: &StandIn, zone: &str, token: &str) -> World {
    let endpoint = format!("{}/v1", server.url);
    server.world(DnsProviderKind::Hetzner, zone, &[("apiToken", token), ("endpoint", &endpoint)])
}

fn values_of(kept: &Kept, name: &str) -> Vec<String> {
    let sets = kept.lock().unwrap();
    let at_name = sets.iter().filter(|it| it.name == name).flat_map(|it| it.values.clone());
    at_name.map(|it| it.trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    for zone in [ZONE, "acme.test"] {
        let (server, kept) = hetzner().await;
        fits(&world(&server, zone, TOKEN), || values_of(&kept, NAME)).await;
        assert_eq!(values_of(&kept, "@"), ["a-1"], "another name's record");
    }
}

#[tokio::test]
async fn the_zone_itself_has_values_too() {
    let (server, kept) = hetzner().await;
    let world = world(&server, ZONE, TOKEN);
    let apex = world.placement_of("acme.test");
    // A set without a TTL of its own keeps the zone's.
    kept.lock().unwrap()[1].ttl = None;
    world.dns.set(&world.site, &apex, "b").await.unwrap();
    world.dns.remove(&world.site, &apex, "a-1").await.unwrap();
    assert_eq!(values_of(&kept, "@"), ["b"]);
}

#[tokio::test]
async fn what_somebody_else_was_faster_with_is_fine() {
    let (server, kept) = hetzner().await;
    let world = world(&server, ZONE, TOKEN);
    let zone = json!({ "zone": { "id": 42, "name": "acme.test" } });
    let read = |values: &[&str]| {
        let records: Vec<_> = values.iter().map(|it| json!({ "value": format!("\"{it}\"") })).collect();
        Reply::json(200, &json!({ "rrset": { "ttl": 300, "records": records } }))
    };
    world.set("a").await.unwrap();
    server.fail_once(Reply::json(200, &zone));
    server.fail_once(read(&["theirs"]));
    world.set("a").await.unwrap();
    server.fail_once(Reply::json(200, &zone));
    server.fail_once(read(&["theirs", "gone"]));
    world.remove("gone").await.unwrap();
    assert_eq!(values_of(&kept, NAME), ["theirs", "a"]);
}

#[tokio::test]
async fn a_zone_that_is_being_changed_is_waited_for() {
    let (server, kept) = hetzner().await;
    let world = world(&server, ZONE, TOKEN);
    for (status, code) in [(409, "conflict"), (423, "locked")] {
        server.fail_once(wrong(status, code, "the zone is being changed"));
        let error = world.set("a").await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: Some(2) }, "{error}");
    }
    world.set("a").await.unwrap();
    let zone = json!({ "zone": { "id": 42, "name": "acme.test" } });
    let rrset = json!({ "rrset": { "ttl": 300, "records": [{ "value": "\"a\"" }] } });
    // A removal is done when it is seen to be, and fails in the open.
    for (state, word) in [("running", "still being removed"), ("error", "failed")] {
        for reply in [&zone, &rrset, &action(state)] {
            server.fail_once(Reply::json(200, reply));
        }
        let error = world.remove("a").await.unwrap_err();
        assert!(matches!(error.kind, UpstreamErrorKind::Passing { .. }) && error.text.contains(word), "{error}");
    }
    world.remove("a").await.unwrap();
    assert_eq!(values_of(&kept, NAME), ["theirs"]);
}

#[tokio::test]
async fn faults_are_told_as_what_they_are() {
    let (server, _) = hetzner().await;
    let good = world(&server, ZONE, TOKEN);
    passes_on_faults(&good, &server).await;
    refuses(world(&server, ZONE, "another").set("a").await, &["Hetzner", "401", "unable to authenticate"]);
    refuses(world(&server, "other.test", TOKEN).set("a").await, &["Hetzner", "no zone other.test", "hostedZoneId"]);
    let elsewhere = good.placement_of("_acme-challenge.www.other.test");
    refuses(good.dns.set(&good.site, &elsewhere, "a").await, &["does not lie in the zone acme.test", "hostedZoneId"]);
}

#[tokio::test]
async fn a_token_is_tried_by_a_list() {
    let (server, _) = hetzner().await;
    world(&server, ZONE, TOKEN).check_connection().await.unwrap();
    refuses(world(&server, ZONE, "another").check_connection().await, &["Hetzner", "401"]);
}
