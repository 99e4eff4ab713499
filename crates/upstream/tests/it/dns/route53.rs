//! Route 53, from its API reference (2013-04-01) and the description of Signature Version 4.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::{digest, hmac};
use chancery_authority::external::UpstreamErrorKind;
use chancery_model::external::DnsProviderKind;
use serde::Deserialize;

use super::{Asked, NAME, Reply, StandIn, World, fits, passes_on_faults, refuses};

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const ZONE: &str = "Z1PA6795UKMFR9";

/// TTL and values (quoted) of each name with its dot, sorted as the real one sorts well enough for these names.
#[derive(Default)]
struct Zone {
    sets: BTreeMap<String, (u32, Vec<String>)>,
    /// What another client does between our reading and our change; once.
    meanwhile: Option<(u32, Vec<String>)>,
}

type Kept = Arc<Mutex<Zone>>;

#[derive(Deserialize)]
struct Request {
    #[serde(rename = "@xmlns")]
    namespace: String,
    #[serde(rename = "ChangeBatch")]
    batch: Batch,
}

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Changes")]
    changes: Changes,
}

#[derive(Deserialize)]
struct Changes {
    #[serde(rename = "Change")]
    change: Vec<Change>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    action: String,
    resource_record_set: Set,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Set {
    name: String,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "TTL")]
    ttl: u32,
    resource_records: Records,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Records {
    resource_record: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    value: String,
}

fn wrong(status: u16, code: &str, text: &str) -> Reply {
    let body = format!(
        r#"<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error><RequestId>b25f48e8</RequestId></ErrorResponse>"#
    );
    Reply(status, vec![("content-type", "text/xml".to_owned())], body)
}

fn invalid(text: &str) -> Reply {
    let body = format!(
        r#"<?xml version="1.0"?><InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>{text}</Message></Messages><RequestId>b25f48e8</RequestId></InvalidChangeBatch>"#
    );
    Reply(400, Vec::new(), body)
}

/// Signature Version 4 once more, by hand for exactly these requests: two signed headers, plain paths.
fn is_signed(asked: &Asked) -> bool {
    let (host, date) = (asked.header("host"), asked.header("x-amz-date"));
    assert_eq!(date, "20261123T181010Z", "the clock's time");
    let mut query: Vec<_> = asked.raw_query.split('&').filter(|it| !it.is_empty()).collect();
    query.sort_unstable();
    let sha = |bytes: &[u8]| hex::encode(digest::digest(&digest::SHA256, bytes));
    let canonical = format!(
        "{}\n{}\n{}\nhost:{host}\nx-amz-date:{date}\n\nhost;x-amz-date\n{}",
        asked.method,
        asked.path,
        query.join("&"),
        sha(&asked.body)
    );
    let scope = "20261123/us-east-1/route53/aws4_request";
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha(canonical.as_bytes()));
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let key = mac(format!("AWS4{SECRET}").as_bytes(), "20261123");
    let key = mac(mac(mac(key.as_ref(), "us-east-1").as_ref(), "route53").as_ref(), "aws4_request");
    let expected = format!(
        "AWS4-HMAC-SHA256 Credential={ID}/{scope}, SignedHeaders=host;x-amz-date, Signature={}",
        hex::encode(mac(key.as_ref(), &to_sign))
    );
    asked.header("authorization") == expected
}

fn answer(zone: &mut Zone, asked: &Asked) -> Reply {
    if !asked.header("authorization").contains(ID) {
        return wrong(403, "InvalidClientTokenId", "The security token included in the request is invalid");
    }
    if !is_signed(asked) {
        return wrong(403, "SignatureDoesNotMatch", "The request signature we calculated does not match");
    }
    let segments = asked.segments();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["2013-04-01", "hostedzone"]) => wrong(403, "AccessDenied", "not authorized: route53:ListHostedZones"),
        ("GET", ["2013-04-01", "hostedzonesbyname"]) => zones(asked),
        ("GET", ["2013-04-01", "hostedzone", ZONE, "rrset"]) => listed(zone, asked),
        ("POST", ["2013-04-01", "hostedzone", ZONE, "rrset"]) => changed(zone, asked),
        ("GET" | "POST", ["2013-04-01", "hostedzone", ..]) => wrong(404, "NoSuchHostedZone", "No hosted zone found"),
        other => panic!("asked for {other:?}"),
    }
}

/// A private zone of the same name comes first; the public one is on the second page.
fn zones(asked: &Asked) -> Reply {
    assert!(asked.query("maxitems").parse::<u32>().unwrap() <= 300);
    let one = |id: &str, private: bool| {
        format!(
            "<HostedZone><Id>/hostedzone/{id}</Id><Name>acme.test.</Name><Config><PrivateZone>{private}</PrivateZone></Config></HostedZone>"
        )
    };
    let (zones, next) = match (asked.query("dnsname"), asked.query("hostedzoneid")) {
        ("acme.test", "") => {
            let next = format!(
                "<IsTruncated>true</IsTruncated><NextDNSName>acme.test.</NextDNSName><NextHostedZoneId>{ZONE}</NextHostedZoneId>"
            );
            (one("ZPRIVATE", true), next)
        }
        ("acme.test.", ZONE) => (one(ZONE, false), "<IsTruncated>false</IsTruncated>".to_owned()),
        _ => (String::new(), "<IsTruncated>false</IsTruncated>".to_owned()),
    };
    let body = format!(
        r#"<?xml version="1.0"?><ListHostedZonesByNameResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><HostedZones>{zones}</HostedZones>{next}<MaxItems>50</MaxItems></ListHostedZonesByNameResponse>"#
    );
    Reply(200, Vec::new(), body)
}

/// From the name on, as the real one does, so the next set is shown where the name has none.
fn listed(zone: &mut Zone, asked: &Asked) -> Reply {
    assert_eq!((asked.query("type"), asked.query("maxitems")), ("TXT", "1"));
    let from = format!("{}.", asked.query("name"));
    let set = zone.sets.range(from..).next().map(|(name, (ttl, values))| {
        let values: String = values
            .iter()
            .map(|it| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", it.replace('"', "&quot;")))
            .collect();
        format!(
            "<ResourceRecordSet><Name>{name}</Name><Type>TXT</Type><TTL>{ttl}</TTL><ResourceRecords>{values}</ResourceRecords></ResourceRecordSet>"
        )
    });
    if let Some(meanwhile) = zone.meanwhile.take() {
        zone.sets.insert(format!("{NAME}."), meanwhile);
    }
    let body = format!(
        r#"<?xml version="1.0"?><ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets>{}</ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>"#,
        set.unwrap_or_default()
    );
    Reply(200, Vec::new(), body)
}

/// All or nothing.
fn changed(zone: &mut Zone, asked: &Asked) -> Reply {
    let request: Request = quick_xml::de::from_str(std::str::from_utf8(&asked.body).unwrap()).unwrap();
    assert_eq!(request.namespace, "https://route53.amazonaws.com/doc/2013-04-01/");
    let mut sets = zone.sets.clone();
    for Change { action, resource_record_set: set } in request.batch.changes.change {
        assert_eq!(set.kind, "TXT");
        let values: Vec<_> = set.resource_records.resource_record.into_iter().map(|it| it.value).collect();
        assert!(!values.is_empty() && values.iter().all(|it| it.starts_with('"') && it.ends_with('"')), "{values:?}");
        match action.as_str() {
            "DELETE" => {
                if sets.remove(&set.name) != Some((set.ttl, values)) {
                    return invalid("Tried to delete resource record set but the values provided do not match");
                }
            }
            "CREATE" => {
                if sets.insert(set.name, (set.ttl, values)).is_some() {
                    return invalid("Tried to create resource record set but it already exists");
                }
            }
            other => panic!("asked to {other}"),
        }
    }
    zone.sets = sets;
    Reply(200, Vec::new(), "<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status></ChangeInfo></ChangeResourceRecordSetsResponse>".to_owned())
}

async fn route53() -> (StandIn, Kept) {
    let kept = Kept::default();
    kept.lock().unwrap().sets = BTreeMap::from([
        (format!("{NAME}."), (300, vec!["\"theirs\"".to_owned()])),
        ("_b.acme.test.".to_owned(), (300, vec!["\"a-1\"".to_owned()])),
    ]);
    let zone = Arc::clone(&kept);
    (StandIn::start(move |asked| answer(&mut zone.lock().unwrap(), asked)).await, kept)
}

fn world(server: &StandIn, zone: &str, id: &str, secret: &str) -> World {
    let fields = [("accessKeyId", id), ("secretAccessKey", secret), ("endpoint", &server.url)];
    server.world(DnsProviderKind::Route53, zone, &fields)
}

fn values(kept: &Kept) -> Vec<String> {
    let zone = kept.lock().unwrap();
    assert_eq!(zone.sets["_b.acme.test."], (300, vec!["\"a-1\"".to_owned()]), "another name's record has changed");
    let set = zone.sets.get(&format!("{NAME}."));
    set.map(|it| it.1.iter().map(|it| it.trim_matches('"').to_owned()).collect()).unwrap_or_default()
}

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    for zone in [ZONE, "/hostedzone/Z1PA6795UKMFR9", "acme.test"] {
        let (server, kept) = route53().await;
        fits(&world(&server, zone, ID, SECRET), || values(&kept)).await;
    }
}

#[tokio::test]
async fn a_change_in_between_is_not_lost() {
    let quoted = |values: &[&str]| values.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>();
    for (before, meanwhile) in [(vec!["theirs"], vec!["theirs", "late"]), (vec![], vec!["late"])] {
        let (server, kept) = route53().await;
        let world = world(&server, ZONE, ID, SECRET);
        {
            let mut zone = kept.lock().unwrap();
            zone.sets.remove(&format!("{NAME}."));
            if !before.is_empty() {
                zone.sets.insert(format!("{NAME}."), (300, quoted(&before)));
            }
            zone.meanwhile = Some((300, quoted(&meanwhile)));
        }
        world.set("ours").await.unwrap();
        let mut expected = meanwhile.clone();
        expected.push("ours");
        assert_eq!(values(&kept), expected, "set over {before:?}");
        kept.lock().unwrap().meanwhile = Some((300, quoted(&[&expected[..], &["later"]].concat())));
        world.remove("ours").await.unwrap();
        expected.pop();
        expected.push("later");
        assert_eq!(values(&kept), expected, "removed");
    }
}

#[tokio::test]
async fn faults_are_told_as_what_they_are() {
    let (server, _) = route53().await;
    let good = world(&server, ZONE, ID, SECRET);
    passes_on_faults(&good, &server).await;
    for code in ["Throttling", "PriorRequestNotComplete"] {
        server.fail_once(wrong(400, code, "slowly"));
        assert_eq!(good.set("c").await.unwrap_err().kind, UpstreamErrorKind::Passing { retry_after: None }, "{code}");
    }
    refuses(world(&server, ZONE, ID, "another").set("a").await, &["Route 53", "403", "signature"]);
    refuses(world(&server, ZONE, "AKIDOTHER", SECRET).set("a").await, &["Route 53", "403", "security token"]);
    refuses(world(&server, "ZOTHER", ID, SECRET).set("a").await, &["Route 53", "404", "No hosted zone found"]);
    refuses(world(&server, "other.test", ID, SECRET).set("a").await, &["no public zone other.test", "hostedZoneId"]);
}

#[tokio::test]
async fn a_batch_that_is_wrong_for_good_is_not_tried_for_ever() {
    let (server, _) = route53().await;
    let good = world(&server, ZONE, ID, SECRET);
    let list =
        r#"<ListResourceRecordSetsResponse><ResourceRecordSets></ResourceRecordSets></ListResourceRecordSetsResponse>"#;
    let list = || Reply(200, Vec::new(), list.to_owned());
    server.fail_once(list());
    server.fail_once(invalid("RRSet of type TXT conflicts with RRSet of type CNAME"));
    server.fail_once(list());
    refuses(good.set("a").await, &["Route 53", "conflicts with RRSet of type CNAME"]);
}

#[tokio::test]
async fn a_key_without_permission_to_list_is_a_key_all_the_same() {
    let (server, _) = route53().await;
    world(&server, ZONE, ID, SECRET).check_connection().await.unwrap();
    refuses(world(&server, ZONE, ID, "another").check_connection().await, &["Route 53", "signature"]);
    refuses(world(&server, ZONE, "AKIDOTHER", SECRET).check_connection().await, &["Route 53", "security token"]);
}
