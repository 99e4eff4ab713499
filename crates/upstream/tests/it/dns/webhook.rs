//! The signed webhook, as a receiver of somebody's own would take it.

use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use chancery_model::external::DnsProviderKind;
use serde_json::Value;

use super::{Asked, NAME, NOW, Reply, StandIn, World, empty, fits, refuses};

const SECRET: &str = "shared secret of both";

/// As the guide for receivers says: the time, then the signature over the body as it came.
fn is_signed(asked: &Asked) -> bool {
    let (time, signature) = asked.header("x-chancery-signature").split_once(',').unwrap();
    let (time, signature) = (time.strip_prefix("t=").unwrap(), signature.strip_prefix("v1=").unwrap());
    assert_eq!(time, NOW.to_string());
    let signed = [time.as_bytes(), b".", &asked.body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    hmac::verify(&key, &signed, &hex::decode(signature).unwrap()).is_ok()
}

fn answer(values: &mut Vec<String>, asked: &Asked) -> Reply {
    assert_eq!((asked.method.as_str(), asked.path.as_str(), asked.raw_query.as_str()), ("POST", "/hook", "for=me"));
    if !is_signed(asked) {
        return Reply(401, Vec::new(), "the signature is wrong\nline two".to_owned());
    }
    let body = asked.json();
    if body["action"] == "test" {
        assert_eq!(body.as_object().unwrap().len(), 1);
        return empty(204);
    }
    assert_eq!((&body["zone"], &body["name"], &body["ttl"]), (&Value::from("acme.test"), &NAME.into(), &60.into()));
    let value = body["value"].as_str().unwrap().to_owned();
    values.retain(|it| *it != value);
    match body["action"].as_str() {
        Some("set") => values.push(value),
        Some("remove") => {}
        other => panic!("asked for {other:?}"),
    }
    empty(200)
}

async fn receiver() -> (StandIn, Arc<Mutex<Vec<String>>>) {
    let kept = Arc::new(Mutex::new(vec!["theirs".to_owned()]));
    let values = Arc::clone(&kept);
    (StandIn::start(move |asked| answer(&mut values.lock().unwrap(), asked)).await, kept)
}

fn world(server: &StandIn, secret: &str) -> World {
    let url = format!("{}/hook?for=me", server.url);
    // No zone of its own: the suffix stands for it.
    server.world(DnsProviderKind::Webhook, "", &[("url", url.as_str()), ("secret", secret)])
}

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    let (server, kept) = receiver().await;
    fits(&world(&server, SECRET), || kept.lock().unwrap().clone()).await;
}

#[tokio::test]
async fn faults_are_told_as_what_they_are() {
    let (server, _) = receiver().await;
    let good = world(&server, SECRET);
    server.fail_once(Reply(429, vec![("retry-after", "7".to_owned())], String::new()));
    assert!(good.set("c").await.is_err());
    let error = world(&server, "another").set("a").await;
    refuses(error.clone(), &["the DNS webhook", "401", "the signature is wrong"]);
    assert!(!error.unwrap_err().text.contains("line two"));
    good.check_connection().await.unwrap();
    refuses(world(&server, "another").check_connection().await, &["the DNS webhook", "401"]);
    // A body that is not JSON is no fault here: only the status counts.
    server.fail_once(Reply(200, Vec::new(), "<html>welcome</html>".to_owned()));
    good.set("c").await.unwrap();
}

#[tokio::test]
async fn plain_http_and_inner_addresses_are_refused() {
    for (url, word) in [
        ("http://hooks.acme.test/", "https://"),
        ("https://169.254.169.254/", "may not ask"),
        ("https://10.0.0.1/", "may not ask"),
    ] {
        let world = World::new(DnsProviderKind::Webhook, "z", &[("url", url), ("secret", SECRET)]);
        refuses(world.set("a").await, &[word]);
    }
}
