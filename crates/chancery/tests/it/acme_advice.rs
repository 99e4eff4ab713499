//! A CA that says when it wants its certificates renewed (RFC 9773): acme2certifier, a second ACME server that others wrote.
//!
//! ```text
//! acme2certifier root ── leaf ─"renew now"→ leaf′
//! ```
//!
//! Verified: the due time moves into the window that the CA suggests; a CA that wants a certificate replaced at once gets
//! its way when it is next asked. (This server does not look at `replaces`; the strict one in the tests of `upstream` does.)

use std::time::Duration;

use chancery_model::time::SystemClock;
use chancery_model::{Clock as _, Timestamp};
use chancery_testkit::foreign::{Acme2certifier, Acme2certifierOptions};
use chancery_testkit::judge;
use chancery_testkit::world::{CERT_MANAGER, World, text};
use reqwest::Method;
use serde_json::{Value, json};

const DAY: i64 = 86_400;

async fn shown(world: &World, id: &str) -> Value {
    let path = format!("{CERT_MANAGER}/certificates/{id}");
    world.operator().ok(Method::GET, &path, None).await["certificate"].clone()
}

fn seconds(time: &Value) -> i64 {
    Timestamp::parse_date(time.as_str().unwrap()).unwrap().as_seconds()
}

/// Lets things be done, and little time pass, until there is a successor.
async fn successor(world: &World, id: &str) -> String {
    for _ in 0..400 {
        world.authority().run_due_jobs().await;
        if let Some(successor) = shown(world, id).await["renewedByCertificateId"].as_str() {
            return successor.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.clock.advance_seconds(1);
    }
    panic!("no successor: {:#}", shown(world, id).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_when_its_ca_wants_it() {
    let advice = Acme2certifierOptions { renewal_threshold_percent: 85, ..Default::default() };
    let ca = Acme2certifier::start(advice).await;
    let world = World::builder()
        .with_egress_to_loopback(ca.ca_pem())
        .fixed_clock(Timestamp::from_seconds(SystemClock.now().as_seconds()))
        .start()
        .await;
    let body = json!({"name": "advising", "configuration": {
        "directoryUrl": ca.directory_url(), "accountEmail": "pki@acme.test", "challenges": ["http-01"]}});
    let made = world.admin().ok(Method::POST, &format!("{CERT_MANAGER}/ca/acme"), Some(&body)).await;
    let template = world.template(&json!({})).await;
    // By itself it would be renewed after two thirds of its life.
    let api = json!({"autoRenew": true, "renewBeforeDays": 30});
    let body =
        json!({"caId": made["id"], "certificatePolicyId": template, "defaults": {"ttlDays": 90}, "apiConfig": api});
    let profile = world.profile(&body).await;
    let asked = world.issue(profile, &json!({})).await;
    let issued = world.settle_order(&text(&asked, "/certificateRequestId")).await;
    assert_eq!(issued["status"], "issued", "{issued}");
    judge::webpki_verifies(
        &[text(&issued, "/certificate"), ca.root_pem().to_owned()],
        "www.acme.test",
        SystemClock.now().as_seconds() + 1,
    );
    let id = text(&issued, "/certificateId");
    world.authority().run_due_jobs().await;
    let certificate = shown(&world, &id).await;
    let (start, end, due) =
        (&certificate["notBefore"], &certificate["notAfter"], seconds(&certificate["renewalDueAt"]));
    let passed = (due - seconds(start)) * 100 / (seconds(end) - seconds(start));
    assert!((84..=100).contains(&passed), "{passed} % of its life: {certificate:#}");

    // Asked again after a day, the CA is in a hurry; two months before the certificate would be due by itself.
    ca.advise(Acme2certifierOptions { renew_now: true, ..advice });
    world.clock.advance_seconds(DAY - 10);
    world.authority().run_due_jobs().await;
    assert_eq!(shown(&world, &id).await["renewedByCertificateId"], Value::Null);
    world.clock.advance_seconds(DAY);
    let second = shown(&world, &successor(&world, &id).await).await;
    assert_eq!((&second["commonName"], &second["status"]), (&json!("www.acme.test"), &json!("active")));
    world.stop().await;
}
