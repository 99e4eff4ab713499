//! Dynamic updates against Knot DNS: TSIG right and wrong in every way, zones that are closed, and a server that lies.

use chancery_authority::external::UpstreamErrorKind;
use chancery_model::Clock as _;
use chancery_model::external::DnsProviderKind;
use chancery_model::time::SystemClock;
use hickory_proto::op::{Message, ResponseCode};

use super::fake_server::{fake_server, reply_to, values_at};
use super::knot::{KEY, KEY_512, Knot, SECRET, SECRET_512, STRANGER};
use super::{Knobs, NAME, World, refuses};

/// A real server has the real time.
fn world_at(now: i64, server: &str, zone: &str, key: (&str, &str, &str)) -> World {
    let (name, algorithm, secret) = key;
    let fields = [("server", server), ("keyName", name), ("algorithm", algorithm), ("secret", secret)];
    World::with(Knobs { now, ..Knobs::default() }, DnsProviderKind::Rfc2136, zone, &fields)
}

fn world(server: &str, zone: &str, key: (&str, &str, &str)) -> World {
    world_at(SystemClock.now().as_seconds(), server, zone, key)
}

const GOOD: (&str, &str, &str) = (KEY, "", SECRET);

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    let knot = Knot::start();
    for key in [GOOD, (KEY, "hmac-sha256", SECRET), (KEY_512, "hmac-sha512", SECRET_512)] {
        let world = world(&knot.server(), "acme.test", key);
        for (is_set, value, expected) in [
            (true, "a-1", &["a-1", "theirs"][..]),
            (true, "a-1", &["a-1", "theirs"]),
            (true, "b_2", &["a-1", "b_2", "theirs"]),
            (false, "a-1", &["b_2", "theirs"]),
            (false, "a-1", &["b_2", "theirs"]),
            (false, "b_2", &["theirs"]),
            (false, "theirs", &[]),
            (true, "theirs", &["theirs"]),
        ] {
            if is_set { world.set(value).await } else { world.remove(value).await }.unwrap();
            assert_eq!(values_at(knot.address, NAME).await, expected, "{key:?} {is_set} {value}");
        }
    }
}

#[tokio::test]
async fn two_orders_at_once_do_not_disturb_each_other() {
    let knot = Knot::start();
    let world = world(&knot.server(), "acme.test", GOOD);
    let (one, two) = tokio::join!(world.set("one"), world.set("two"));
    one.unwrap();
    two.unwrap();
    assert_eq!(values_at(knot.address, NAME).await, ["one", "theirs", "two"]);
}

#[tokio::test]
async fn the_zone_of_the_ca_stands_in_for_a_hosted_zone_id() {
    let knot = Knot::start();
    let world = world(&knot.server(), "", GOOD);
    world.set("a").await.unwrap();
    assert_eq!(values_at(knot.address, NAME).await, ["a", "theirs"]);
}

#[tokio::test]
async fn each_refusal_is_told_as_what_it_is() {
    let knot = Knot::start();
    let server = knot.server();
    for (zone, key, words) in [
        ("acme.test", ("nobody", "", SECRET), &["nobody", "BADKEY", "keyName"][..]),
        ("acme.test", (KEY, "hmac-sha512", SECRET_512), &[KEY, "BADKEY", "algorithm"]),
        ("acme.test", (KEY, "", "d3Jvbmc="), &[KEY, "BADSIG", "secret"]),
        ("acme.test", (STRANGER, "", SECRET), &[STRANGER, "acme.test", "may change the zone"]),
        ("closed.test", GOOD, &[KEY, "closed.test", "may change the zone"]),
        ("elsewhere.test", GOOD, &["elsewhere.test", "NOTAUTH", "hostedZoneId"]),
        ("proof.test", GOOD, &[NAME, "proof.test", "NOTZONE"]),
    ] {
        refuses(world(&server, zone, key).set("a").await, &[words, &[server.as_str()][..]].concat());
    }
    assert_eq!(values_at(knot.address, NAME).await, ["theirs"]);
}

#[tokio::test]
async fn clocks_that_differ_are_told_and_may_be_set_right() {
    let knot = Knot::start();
    for seconds in [-3_600, 3_600] {
        let now = SystemClock.now().as_seconds() + seconds;
        let error = world_at(now, &knot.server(), "acme.test", GOOD).set("a").await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: None }, "{error}");
        assert!(error.text.contains("BADTIME"), "{error}");
    }
    assert_eq!(values_at(knot.address, NAME).await, ["theirs"]);
}

#[tokio::test]
async fn a_connection_is_tried_by_an_update_of_nothing() {
    let knot = Knot::start();
    let server = knot.server();
    let tried = async |server: &str, zone: &str, (name, algorithm, secret): (&str, &str, &str)| {
        let fields =
            [("server", server), ("keyName", name), ("algorithm", algorithm), ("secret", secret), ("zone", zone)];
        let now = SystemClock.now().as_seconds();
        let world = World::with(Knobs { now, ..Knobs::default() }, DnsProviderKind::Rfc2136, "", &fields);
        world.check_connection().await
    };
    tried(&server, "acme.test", GOOD).await.unwrap();
    assert_eq!(values_at(knot.address, NAME).await, ["theirs"]);
    // Without a zone Knot looks at no key.
    tried(&server, "", GOOD).await.unwrap();
    for (server, zone, key, words) in [
        (server.as_str(), "acme.test", ("nobody", "", SECRET), &["BADKEY"][..]),
        (&server, "acme.test", (KEY, "", "d3Jvbmc="), &["BADSIG"]),
        (&server, "acme.test", (STRANGER, "", SECRET), &["may change the zone"]),
        (&server, "elsewhere.test", GOOD, &["elsewhere.test", "NOTAUTH"]),
        (&server, "", (KEY, "", "not base64!"), &["not base64"]),
        (&server, "", (KEY, "hmac-md5", SECRET), &["hmac-sha256"]),
        ("10.0.0.1", "", GOOD, &["may not ask", "egress_allowed_networks"]),
        ("169.254.169.254:53", "", GOOD, &["may not ask"]),
        ("localhost:port", "", GOOD, &["localhost:port"]),
    ] {
        refuses(tried(server, zone, key).await, words);
    }
}

/// None of these may be taken for a success.
#[tokio::test]
async fn an_answer_that_nobody_has_signed_proves_nothing() {
    type Lie = fn(&[u8]) -> Option<Vec<u8>>;
    let lies: &[(&str, Lie)] = &[
        ("unsigned", |question| Some(reply_to(question).to_vec().unwrap())),
        ("signed as the question was", |question| {
            let mut reply = reply_to(question);
            reply.signature = Message::from_vec(question).unwrap().signature;
            Some(reply.to_vec().unwrap())
        }),
        ("the question sent back", |question| Some(question.to_vec())),
        ("another id", |question| {
            let mut reply = reply_to(question);
            reply.metadata.id = reply.metadata.id.wrapping_add(1);
            Some(reply.to_vec().unwrap())
        }),
        ("garbage", |_| Some(vec![0xff; 700])),
        ("nothing", |_| Some(Vec::new())),
        ("counts of more than there is", |question| {
            let mut reply = reply_to(question).to_vec().unwrap();
            reply[6..12].fill(0xff);
            Some(reply)
        }),
        ("an unsigned failure", |question| {
            let mut reply = reply_to(question);
            reply.metadata.response_code = ResponseCode::ServFail;
            Some(reply.to_vec().unwrap())
        }),
    ];
    for (name, lie) in lies {
        let address = fake_server(lie).await.to_string();
        let error = world(&address, "acme.test", GOOD).set("a").await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: None }, "{name}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_nothing_is_tried_again_later() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let silent = fake_server(|_| None).await.to_string();
    for server in [gone, silent] {
        let error = world(&server, "acme.test", GOOD).set("a").await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Passing { retry_after: None }, "{error}");
        assert!(error.text.contains("cannot be reached over TCP"), "{error}");
    }
}
