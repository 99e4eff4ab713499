//! OVHcloud, from the description of its API 1.0. The signature of every request is computed anew.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest;
use chancery_model::external::DnsProviderKind;
use serde_json::json;

use super::{Asked, NOW, Reply, StandIn, World, fits, passes_on_faults, refuses};

const KEY: &str = "application";
const SECRET: &str = "application-secret";
const CONSUMER: &str = "consumer";
const NAME: &str = "_acme-challenge.www";
/// Its clock is not ours.
const AHEAD: i64 = 7_200;

#[derive(Default)]
struct Zone {
    url: String,
    next: u64,
    /// Number, name within the zone, quoted text.
    records: Vec<(u64, String, String)>,
    /// What the world sees: the records at the last refresh.
    published: BTreeSet<(String, String)>,
    credential: &'static str,
    is_let_see_itself: bool,
}

type Kept = Arc<Mutex<Zone>>;

fn wrong(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "errorCode": code, "httpCode": status.to_string(), "message": message });
    Reply::json(status, &body)
}

fn signature(url: &str, asked: &Asked) -> String {
    let query = if asked.raw_query.is_empty() { String::new() } else { format!("?{}", asked.raw_query) };
    let body = String::from_utf8(asked.body.clone()).unwrap();
    let time = asked.header("x-ovh-timestamp");
    let text = [SECRET, CONSUMER, &asked.method, &format!("{url}{}{query}", asked.path), &body, time].join("+");
    format!("$1${}", hex::encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes())))
}

fn admitted(zone: &Zone, asked: &Asked) -> Result<(), Reply> {
    if asked.header("x-ovh-application") != KEY {
        return Err(wrong(403, "INVALID_KEY", "This application key is invalid"));
    }
    if asked.header("x-ovh-consumer") != CONSUMER {
        return Err(wrong(403, "INVALID_CREDENTIAL", "This credential is not valid"));
    }
    let time: i64 = asked.header("x-ovh-timestamp").parse().unwrap();
    if (time - NOW - AHEAD).abs() > 30 {
        return Err(wrong(400, "QUERY_TIME_OUT", "Query out of time"));
    }
    if asked.header("x-ovh-signature") != signature(&zone.url, asked) {
        return Err(wrong(400, "INVALID_SIGNATURE", "Invalid signature"));
    }
    Ok(())
}

fn answer(zone: &mut Zone, asked: &Asked) -> Reply {
    let segments = asked.segments();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    if segments == ["1.0", "auth", "time"] {
        return Reply::json(200, &json!(NOW + AHEAD));
    }
    if let Err(reply) = admitted(zone, asked) {
        return reply;
    }
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["1.0", "auth", "currentCredential"]) if zone.is_let_see_itself => {
            Reply::json(200, &json!({ "credentialId": 1, "status": zone.credential, "rules": [] }))
        }
        ("GET", ["1.0", "auth", "currentCredential"]) => {
            wrong(403, "NOT_GRANTED_CALL", "This call has not been granted")
        }
        ("GET", ["1.0", "domain", "zone", "acme.test", "record"]) => {
            assert_eq!(asked.query("fieldType"), "TXT");
            let name = &asked.query["subDomain"];
            let numbers: Vec<_> = zone.records.iter().filter(|it| it.1 == *name).map(|it| it.0).collect();
            Reply::json(200, &json!(numbers))
        }
        ("POST", ["1.0", "domain", "zone", "acme.test", "record"]) => {
            let body = asked.json();
            assert_eq!(body["fieldType"], "TXT");
            assert!(body["ttl"].as_u64().unwrap() >= 60, "the shortest that it takes");
            let (name, target) = (body["subDomain"].as_str().unwrap(), body["target"].as_str().unwrap());
            assert!(!name.contains("acme.test"), "{name}: within the zone");
            zone.next += 1;
            zone.records.push((zone.next, name.to_owned(), format!("\"{target}\"")));
            Reply::json(200, &json!({ "id": zone.next, "fieldType": "TXT", "subDomain": name, "target": target }))
        }
        ("POST", ["1.0", "domain", "zone", "acme.test", "refresh"]) => {
            assert!(asked.body.is_empty());
            zone.published = zone.records.iter().map(|it| (it.1.clone(), it.2.clone())).collect();
            Reply::json(200, &json!(null))
        }
        (method, ["1.0", "domain", "zone", "acme.test", "record", number]) => {
            let Some(at) = zone.records.iter().position(|it| it.0.to_string() == *number) else {
                return wrong(404, "", "The requested object (id = x) does not exist");
            };
            if method == "DELETE" {
                zone.records.remove(at);
                return Reply::json(200, &json!(null));
            }
            assert_eq!(method, "GET");
            let (id, name, target) = &zone.records[at];
            let record =
                json!({ "id": id, "zone": "acme.test", "fieldType": "TXT", "subDomain": name, "target": target });
            Reply::json(200, &record)
        }
        (_, ["1.0", "domain", "zone", ..]) => wrong(404, "", "This service does not exist"),
        other => panic!("asked for {other:?}"),
    }
}

async fn ovh() -> (StandIn, Kept) {
    let kept = Kept::default();
    let zone = Arc::clone(&kept);
    let server = StandIn::start(move |asked| answer(&mut zone.lock().unwrap(), asked)).await;
    let records = vec![(900, NAME.to_owned(), "\"theirs\"".to_owned()), (901, String::new(), "\"a-1\"".to_owned())];
    let published = records.iter().map(|it| (it.1.clone(), it.2.clone())).collect();
    *kept.lock().unwrap() =
        Zone { url: server.url.clone(), records, published, credential: "validated", ..Zone::default() };
    (server, kept)
}

fn world(server: &StandIn, zone: &str, [key, secret, consumer]: [&str; 3]) -> World {
    let endpoint = format!("{}/1.0", server.url);
    let fields = [
        ("applicationKey", key),
        ("applicationSecret", secret),
        ("consumerKey", consumer),
        ("region", "ovh-ca"),
        ("endpoint", endpoint.as_str()),
    ];
    server.world(DnsProviderKind::Ovh, zone, &fields)
}

fn good(server: &StandIn) -> World {
    world(server, "acme.test", [KEY, SECRET, CONSUMER])
}

/// What the world sees.
fn values_of(kept: &Kept, name: &str) -> Vec<String> {
    let zone = kept.lock().unwrap();
    zone.published.iter().filter(|it| it.0 == name).map(|it| it.1.trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    let (server, kept) = ovh().await;
    fits(&good(&server), || values_of(&kept, NAME)).await;
    assert_eq!(values_of(&kept, ""), ["a-1"], "another name's record");
    assert_eq!(kept.lock().unwrap().records.len(), 2, "nothing was added twice");
}

#[tokio::test]
async fn the_zone_itself_has_values_too() {
    let (server, kept) = ovh().await;
    let world = good(&server);
    let apex = world.placement_of("acme.test");
    world.dns.set(&world.site, &apex, "b").await.unwrap();
    world.dns.remove(&world.site, &apex, "a-1").await.unwrap();
    assert_eq!(values_of(&kept, ""), ["b"]);
}

#[tokio::test]
async fn a_change_that_was_not_published_is_published_by_the_next_try() {
    let (server, kept) = ovh().await;
    kept.lock().unwrap().records.push((950, NAME.to_owned(), "\"a\"".to_owned()));
    good(&server).set("a").await.unwrap();
    assert_eq!(values_of(&kept, NAME), ["a", "theirs"]);
    kept.lock().unwrap().records.retain(|it| it.0 != 950);
    good(&server).remove("a").await.unwrap();
    assert_eq!(values_of(&kept, NAME), ["theirs"]);
}

#[tokio::test]
async fn faults_are_told_as_what_they_are() {
    let (server, _) = ovh().await;
    passes_on_faults(&good(&server), &server).await;
    for (credentials, word) in [
        (["another", SECRET, CONSUMER], "This application key is invalid"),
        ([KEY, "another", CONSUMER], "Invalid signature"),
        ([KEY, SECRET, "another"], "This credential is not valid"),
    ] {
        refuses(world(&server, "acme.test", credentials).set("a").await, &["OVHcloud", word]);
        refuses(world(&server, "acme.test", credentials).check_connection().await, &["OVHcloud", word]);
    }
    let other = world(&server, "www.acme.test", [KEY, SECRET, CONSUMER]);
    refuses(other.set("a").await, &["OVHcloud", "no zone www.acme.test", "hostedZoneId"]);
    let world = good(&server);
    let elsewhere = world.placement_of("_acme-challenge.www.other.test");
    refuses(world.dns.set(&world.site, &elsewhere, "a").await, &["does not lie in the zone acme.test"]);
}

#[tokio::test]
async fn a_region_that_does_not_exist_is_refused() {
    let fields =
        [("applicationKey", KEY), ("applicationSecret", SECRET), ("consumerKey", CONSUMER), ("region", "ovh-x")];
    let world = World::new(DnsProviderKind::Ovh, "acme.test", &fields);
    refuses(world.set("a").await, &["region", "ovh-eu"]);
}

#[tokio::test]
async fn keys_are_tried_by_asking_what_they_are() {
    let (server, kept) = ovh().await;
    // Keys need not be allowed to ask that.
    good(&server).check_connection().await.unwrap();
    kept.lock().unwrap().is_let_see_itself = true;
    good(&server).check_connection().await.unwrap();
    kept.lock().unwrap().credential = "expired";
    refuses(good(&server).check_connection().await, &["OVHcloud", "expired"]);
}
