//! A public CA, made on the pages: Pebble, which proves names by a DNS that this story's webhook changes.

use chancery_model::time::SystemClock;
use chancery_model::{Clock as _, Timestamp};
use chancery_testkit::foreign::{ChallTestSrv, DnsWebhook, Pebble, PebbleOptions};
use chancery_testkit::judge;
use chancery_testkit::world::World;
use serde_json::json;

use super::Desk;

const SECRET: &str = "a secret that both sides know";

/// Connection to the DNS, ACME CA, profile and request, each on its page; the page of the request tells how far the order
/// is, and shows by itself that the certificate was issued.
#[tokio::test]
async fn an_acme_ca_is_connected_and_asked_on_the_pages() {
    let dns = ChallTestSrv::start().await;
    let webhook = DnsWebhook::start(&dns, SECRET).await;
    let pebble = Pebble::start(PebbleOptions { resolver: Some(dns.dns()), ..Default::default() }).await;
    let trusted = format!("{}\n{}", pebble.ca_pem(), webhook.ca_pem());
    // Pebble's clock is the machine's.
    let start = Timestamp::from_seconds(SystemClock.now().as_seconds());
    let world = World::builder().with_egress_to_loopback(&trusted).fixed_clock(start).start().await;
    world.template(&json!({"name": "public-servers", "validity": {"max": "10y"}})).await;
    let desk = Desk::at(world).await;
    let browser = &desk.browser;

    desk.open("/ui/connections/new").await;
    browser.choose("Service", "DNS by a webhook").await;
    browser.wait_for_url("app=dns-webhook").await;
    browser.wait_for_text("DNS by a webhook of your own").await;
    browser.fill("Name", "acme-zone").await;
    browser.fill("URL", &webhook.url()).await;
    browser.fill("Secret", SECRET).await;
    desk.looked().await;
    browser.click_text("Save the connection").await;
    browser.wait_for_url("/ui/connections/").await;
    browser.wait_for_text("acme-zone").await;
    desk.looked().await;

    desk.open("/ui/authorities/external/new?kind=acme").await;
    browser.fill("Name", "public-ca").await;
    browser.choose("ACME CA", "Another").await;
    browser.fill("Directory URL", &pebble.directory_url()).await;
    browser.fill("Account e-mail", "pki@acme.test").await;
    browser.within("#zones").fill("Zone", "acme.test").await;
    browser.within("#zones").choose("Connection", "acme-zone").await;
    browser.within("#zones").fill("Zone ID at the provider", "acme.test").await;
    browser.click_text("More: account binding").await;
    browser.fill("DNS servers to look with", &dns.dns().to_string()).await;
    desk.looked().await;
    browser.click_text("Try and create").await;
    browser.wait_for_text("public-ca").await;
    browser.wait_for_url("/ui/authorities/").await;
    desk.looked().await;

    desk.open("/ui/profiles/new").await;
    browser.fill("Name", "public-servers").await;
    browser.choose("Issuer type", "CA").await;
    browser.choose("Certification authority", "public-ca").await;
    browser.choose("Certificate template", "public-servers").await;
    browser.fill("Valid for (days)", "1825").await;
    browser.click_text("Create the profile").await;
    browser.wait_for_text("How to request").await;
    browser.click_text("Request a certificate").await;
    browser.wait_for("#f-common_name").await;
    browser.fill("Common name", "www.acme.test").await;
    browser.wait_for_text("All rules pass").await;
    browser.click_text("Request the certificate").await;
    let request = browser.wait_for_url("/ui/requests/").await;
    browser.wait_for("ol.steps").await;
    desk.looked().await;

    let settled = desk.world.settle_order(request.rsplit('/').next().unwrap()).await;
    assert_eq!(settled["status"], "issued", "{settled}");
    browser.wait_for_text("The certificate was issued").await;
    desk.looked().await;
    browser.click_text("Download").await;
    let leaf = desk.download("www.acme.test.pem").await;
    assert!(judge::openssl_text(&leaf[0]).contains("Pebble Intermediate CA"), "{}", leaf[0]);
    desk.world.tidy_order(request.rsplit('/').next().unwrap()).await;
    assert!(webhook.records().await.is_empty(), "nothing is left in the zone");
    desk.leave().await;
}
