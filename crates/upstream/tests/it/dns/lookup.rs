//! Where a record belongs and whether it is to be seen: Knot DNS as resolver and as the zone's servers, and servers that
//! misbehave.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use chancery_authority::external::{UpstreamError, UpstreamErrorKind};
use chancery_egress::{AddressPolicy, Egress, EgressPolicy};
use chancery_model::Clock as _;
use chancery_model::external::{DnsProviderKind, DnsZone};
use chancery_model::time::SystemClock;
use chancery_upstream::dns::Visibility;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record};

use super::fake_server::{fake_server, reply_to};
use super::knot::{KEY, Knot, SECRET};
use super::{Knobs, NAME, World, refuses, zone};

const WEBHOOK: DnsProviderKind = DnsProviderKind::Webhook;

/// A CA with these zones; names are asked of `resolver`, and the zones' servers listen at its port.
fn world(resolver: SocketAddr, zones: Vec<DnsZone>) -> World {
    let mut world = World::with(Knobs { zones: Some(zones), ..Knobs::default() }, WEBHOOK, "", &[]);
    world.dns = world.dns.with_resolvers(vec![resolver], resolver.port());
    world
}

async fn placed(world: &World, name: &str) -> Result<(String, String), UpstreamError> {
    let placement = world.dns.place(&world.site, name).await?;
    Ok((placement.name, placement.zone.hosted_zone_id))
}

#[tokio::test]
async fn the_longest_suffix_of_where_cnames_lead_decides() {
    let knot = Knot::start();
    let _second = knot.beside();
    let zones = vec![
        zone("acme.test", WEBHOOK, "acme"),
        zone("eu.acme.test", WEBHOOK, "eu"),
        zone("proof.test", WEBHOOK, "proof"),
    ];
    let world = world(knot.address, zones);
    for (name, expected_name, expected_zone) in [
        ("www.acme.test", NAME, "acme"),
        ("WWW.Acme.test", NAME, "acme"),
        ("acme.test", "_acme-challenge.acme.test", "acme"),
        ("eu.acme.test", "_acme-challenge.eu.acme.test", "eu"),
        ("a.b.eu.acme.test", "_acme-challenge.a.b.eu.acme.test", "eu"),
        ("neu.acme.test", "_acme-challenge.neu.acme.test", "acme"),
        ("shop.acme.test", "shop.proof.test", "proof"),
        ("two.acme.test", "three.proof.test", "proof"),
        // Made up by a wildcard that is for hosts.
        ("hosts.acme.test", "_acme-challenge.hosts.acme.test", "acme"),
    ] {
        let expected = (expected_name.to_owned(), expected_zone.to_owned());
        assert_eq!(placed(&world, name).await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn the_empty_zone_takes_every_name_and_is_the_last_choice() {
    let knot = Knot::start();
    let everywhere = world(knot.address, vec![zone("", WEBHOOK, "all"), zone("proof.test", WEBHOOK, "proof")]);
    assert_eq!(placed(&everywhere, "www.acme.test").await.unwrap().1, "all");
    assert_eq!(placed(&everywhere, "shop.acme.test").await.unwrap().1, "proof");
}

#[tokio::test]
async fn names_that_lead_nowhere_are_refused() {
    let knot = Knot::start();
    let world = world(knot.address, vec![zone("acme.test", WEBHOOK, "acme"), zone("b.test", WEBHOOK, "b")]);
    for (name, words) in [
        ("shop.acme.test", &["shop.proof.test", "_acme-challenge.shop.acme.test", "acme.test, b.test", "dnsZones"][..]),
        ("www.proof.test", &["_acme-challenge.www.proof.test", "lies in no DNS zone"]),
        ("round.acme.test", &["_acme-challenge.round.acme.test", "circle"]),
        ("long.acme.test", &["_acme-challenge.long.acme.test", "more than 8"]),
    ] {
        refuses(placed(&world, name).await.map(|_| ()), words);
    }
}

#[tokio::test]
async fn a_record_is_seen_when_every_server_of_the_zone_has_it() {
    let (first, now) = (Knot::start(), SystemClock.now().as_seconds());
    let second = first.beside();
    let at = |knot: &Knot| {
        let server = knot.server();
        let fields = [("server", server.as_str()), ("keyName", KEY), ("secret", SECRET)];
        let mut world = World::with(Knobs { now, ..Knobs::default() }, DnsProviderKind::Rfc2136, "acme.test", &fields);
        world.dns = world.dns.with_resolvers(vec![first.address], first.address.port());
        world
    };
    let (one, two) = (at(&first), at(&second));
    let placement = one.dns.place(&one.site, "www.acme.test").await.unwrap();
    let see = async |value: &str| one.dns.check(&one.site, &placement, value).await.unwrap();
    let without = |server: &str| Visibility::NotYet { server: server.to_owned() };

    assert_eq!(see("theirs").await, Visibility::Seen);
    one.set("ours").await.unwrap();
    assert_eq!(see("ours").await, without("ns2.acme.test"));
    two.set("ours").await.unwrap();
    assert_eq!(see("ours").await, Visibility::Seen);
    assert_eq!(see("theirs").await, Visibility::Seen, "beside the other");
    one.remove("ours").await.unwrap();
    assert_eq!(see("ours").await, without("ns1.acme.test"));
    // Who gives no answer at all does not keep the others waiting.
    one.set("ours").await.unwrap();
    drop(second);
    assert_eq!(see("ours").await, Visibility::Seen);
    assert_eq!(see("another").await, without("ns1.acme.test"));
}

#[tokio::test]
async fn the_strings_of_a_record_are_one_text_and_absent_names_are_waited_for() {
    let knot = Knot::start();
    let _second = knot.beside();
    let world = world(knot.address, vec![zone("acme.test", WEBHOOK, "acme")]);
    for (name, value, is_seen) in [
        ("split.acme.test", "one text", true),
        ("split.acme.test", "one ", false),
        ("new.acme.test", "x", false),
        // A wildcard answers with somebody else's CNAME.
        ("hosts.acme.test", "x", false),
    ] {
        let placement = world.placement_of(&format!("_acme-challenge.{name}"));
        let seen = world.dns.check(&world.site, &placement, value).await.unwrap();
        assert_eq!(seen == Visibility::Seen, is_seen, "{name} {value}: {seen:?}");
    }
}

/// It would remember that there was none, and a CA that asks it too would hear that.
#[tokio::test]
async fn no_resolver_is_asked_for_the_record_itself() {
    let knot = Knot::start();
    let _second = knot.beside();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (heard, behind) = (Arc::clone(&asked), knot.address);
    let resolver = fake_server(move |question| {
        heard.lock().unwrap().push(Message::from_vec(question).unwrap().queries[0].name().to_ascii());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(question, behind).unwrap();
        let mut answer = [0; 4096];
        let length = socket.recv(&mut answer).unwrap();
        Some(answer[..length].to_vec())
    })
    .await;
    let mut world = world(knot.address, vec![zone("", WEBHOOK, "all")]);
    world.dns = world.dns.with_resolvers(vec![resolver], knot.address.port());
    for (name, expected, value) in [
        ("new.acme.test", "_acme-challenge.new.acme.test", None),
        ("www.acme.test", NAME, Some("theirs")),
        ("shop.acme.test", "shop.proof.test", None),
        ("apart.acme.test", "_acme-challenge.apart.acme.test", Some("apart")),
    ] {
        let placement = world.dns.place(&world.site, name).await.unwrap();
        assert_eq!(placement.name, expected);
        let seen = world.dns.check(&world.site, &placement, value.unwrap_or("x")).await.unwrap();
        assert_eq!(seen == Visibility::Seen, value.is_some(), "{name}: {seen:?}");
    }
    let asked = asked.lock().unwrap();
    assert!(asked.iter().any(|it| it == "acme.test."), "{asked:?}");
    for name in ["_acme-challenge.", "shop.proof."] {
        assert!(!asked.iter().any(|it| it.to_ascii_lowercase().starts_with(name)), "{name} in {asked:?}");
    }
}

#[tokio::test]
async fn resolvers_of_the_ca_are_asked_in_place_of_all_others() {
    let knot = Knot::start();
    let dead: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let knobs = Knobs {
        zones: Some(vec![zone("acme.test", WEBHOOK, "acme"), zone("proof.test", WEBHOOK, "proof")]),
        dns_resolvers: vec![knot.server()],
        ..Knobs::default()
    };
    let mut world = World::with(knobs, WEBHOOK, "", &[]);
    world.dns = world.dns.with_resolvers(vec![dead], dead.port());
    assert_eq!(placed(&world, "shop.acme.test").await.unwrap().0, "shop.proof.test");
    let placement = world.placement();
    assert_eq!(world.dns.check(&world.site, &placement, "theirs").await.unwrap(), Visibility::Seen);
    let expected = Visibility::NotYet { server: knot.server() };
    assert_eq!(world.dns.check(&world.site, &placement, "another").await.unwrap(), expected);
}

#[tokio::test]
async fn servers_at_inner_addresses_are_not_asked() {
    let knot = Knot::start();
    let closed = || Egress::new(EgressPolicy { addresses: AddressPolicy::default(), ..EgressPolicy::default() });
    for text in [knot.server(), "10.0.0.1".to_owned(), "[::1]:53".to_owned(), "169.254.169.254".to_owned()] {
        let knobs = Knobs { egress: closed(), dns_resolvers: vec![text.clone()], ..Knobs::default() };
        let world = World::with(knobs, WEBHOOK, "z", &[]);
        refuses(placed(&world, "www.acme.test").await.map(|_| ()), &[&text, "may not ask"]);
    }
    let knobs = Knobs { dns_resolvers: vec!["dns.acme.test".to_owned()], ..Knobs::default() };
    refuses(placed(&World::with(knobs, WEBHOOK, "z", &[]), "www.acme.test").await.map(|_| ()), &["is not an address"]);
    // The zone's own servers, which whoever owns the name chooses.
    let mut world = World::with(Knobs { egress: closed(), ..Knobs::default() }, WEBHOOK, "z", &[]);
    world.dns = world.dns.with_resolvers(vec![knot.address], knot.address.port());
    let outcome = world.dns.check(&world.site, &world.placement(), "theirs").await.map(|_| ());
    refuses(outcome, &["ns", "acme.test", "may not ask"]);
}

/// security.md has the list: every one of these ends in a text, and soon.
#[tokio::test]
async fn a_dns_that_misbehaves_is_waited_out() {
    type Answer = fn(&[u8]) -> Option<Vec<u8>>;
    let coded = |code: ResponseCode| {
        move |question: &[u8]| {
            let mut reply = reply_to(question);
            reply.metadata.response_code = code;
            Some(reply.to_vec().unwrap())
        }
    };
    let garbage: Answer = |_| Some(vec![0xff; 500]);
    let cut_short: Answer = |question| {
        let mut reply = reply_to(question);
        reply.metadata.truncation = true;
        Some(reply.to_vec().unwrap())
    };
    let servers = [
        ("failing", fake_server(coded(ResponseCode::ServFail)).await),
        ("refusing", fake_server(coded(ResponseCode::Refused)).await),
        ("garbage", fake_server(garbage).await),
        ("silent", fake_server(|_| None).await),
        ("cut short", fake_server(cut_short).await),
    ];
    let mut placed = tokio::task::JoinSet::new();
    for (name, server) in servers {
        placed.spawn(async move {
            let world = world(server, vec![zone("acme.test", WEBHOOK, "acme")]);
            let started = std::time::Instant::now();
            // One that answers nothing useful has no CNAME either; others are waited for.
            if let Err(error) = world.dns.place(&world.site, "www.acme.test").await {
                assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: None }, "{name}: {error}");
            } else {
                assert_eq!(name, "cut short");
            }
            assert!(started.elapsed().as_secs() < 15, "{name} took {:?}", started.elapsed());
        });
    }
    assert_eq!(placed.join_all().await.len(), 5);
}

#[tokio::test]
async fn a_value_is_found_among_hundreds() {
    let many = |question: &[u8]| {
        let mut reply = reply_to(question);
        let name = reply.queries[0].name().clone();
        for n in 0..600 {
            let value = TXT::new(vec![format!("value-{n}-{}", "x".repeat(20))]);
            reply.add_answer(Record::from_rdata(name.clone(), 60, RData::TXT(value)));
        }
        Some(reply.to_vec().unwrap())
    };
    let server = fake_server(many).await;
    let knobs = Knobs { dns_resolvers: vec![server.to_string()], ..Knobs::default() };
    let world = World::with(knobs, WEBHOOK, "z", &[]);
    let value = format!("value-599-{}", "x".repeat(20));
    assert_eq!(world.dns.check(&world.site, &world.placement(), &value).await.unwrap(), Visibility::Seen);
}
