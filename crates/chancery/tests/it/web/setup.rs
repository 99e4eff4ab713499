//! From an empty server to a first certificate, guided by the pages.

use chancery_testkit::judge;
use chancery_testkit::world::World;

use super::Desk;

/// CA (root and issuing on one page) → template from a preset → profile → certificate, each on the page that the one
/// before leads to; a slip is told beside its field; the files of the certificate satisfy OpenSSL.
#[tokio::test]
async fn the_guided_set_up_leads_from_an_empty_server_to_a_first_certificate() {
    let desk = Desk::at(World::start().await).await;
    let browser = &desk.browser;
    browser.wait_for_text("Who signs your certificates?").await;
    browser.fill("Your organization", "Acme").await;
    browser.click_text("Create both and go on").await;

    browser.wait_for_text("What may be requested?").await;
    desk.looked().await;
    browser.choose("Template Preset", "TLS Server Certificate").await;
    browser.fill("Names that may be certified", "*.acme.com").await;
    browser.fill("Longest validity", "a while").await;
    browser.click_text("Create the template and go on").await;
    browser.wait_for(".problem").await;
    assert!(browser.description("Longest validity").await.contains("90d"));
    assert_eq!(browser.value("Names that may be certified").await, "*.acme.com", "what was typed is kept");
    desk.looked().await;
    browser.fill("Longest validity", "1y").await;
    browser.click_text("Create the template and go on").await;

    browser.wait_for_text("How is it requested?").await;
    desk.looked().await;
    assert_eq!(browser.text("#f-issuer option:checked").await, "issuing-ca", "the root signs nothing else");
    browser.click_text("Create the profile and go on").await;

    browser.wait_for_text("Your first certificate").await;
    desk.looked().await;
    browser.click_text("Request a certificate from web-servers").await;
    browser.fill("Common name", "www.acme.com").await;
    browser.wait_for_text("All rules pass").await;
    desk.looked().await;
    browser.click_text("Request the certificate").await;

    browser.wait_for_text("The certificate was issued").await;
    desk.looked().await;
    browser.click_text("Download").await;
    browser.wait_for_text("Where it goes").await;
    desk.looked().await;
    let chain = desk.verified_chain("www.acme.com").await;
    assert_eq!(chain.len(), 3);
    let leaf = judge::openssl_text(&chain[0]);
    assert!(leaf.contains("DNS:www.acme.com") && leaf.contains("Issuer: CN=Acme Issuing CA"), "{leaf}");
    judge::webpki_verifies(&chain, "www.acme.com", desk.world.now_seconds());

    desk.open("/ui").await;
    browser.wait_for("svg").await;
    assert!(!browser.url().await.contains("setup"), "the dashboard is the first page from now on");
    desk.looked().await;
    desk.open("/ui/setup").await;
    browser.wait_for_text("All set").await;
    desk.leave().await;
}
