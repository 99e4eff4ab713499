//! The core workflow for those who have no scripts, no wide window, or no mouse.

use chancery_pkix::KeyAlgorithm;
use chancery_testkit::foreign::Browser;
use chancery_testkit::judge;
use chancery_testkit::world::{ADMIN_EMAIL, ADMIN_PASSWORD, World, certification_request};

use super::Desk;

/// Without scripts, on a phone: a template from a preset, a profile, a CSR that is refused with the reason, a name that a
/// look at the rules refuses before it is sent, and what is then issued.
#[tokio::test]
async fn the_core_workflow_needs_no_script_and_no_wide_window() {
    let world = World::start().await;
    let root = world.root_ca("acme-root", KeyAlgorithm::EcP256).await;
    world.issuing_ca("acme-issuing", KeyAlgorithm::EcP256, root).await;
    let browser = Browser::start().await;
    browser.set_window(390, 844).await;
    browser.set_scripts(false).await;
    sign_in_by_the_form(&browser, &world.url()).await;
    let desk = Desk { world, browser };
    let browser = &desk.browser;

    desk.open("/ui/templates/new").await;
    narrow(browser).await;
    browser.choose("Template Preset", "TLS Server Certificate").await;
    browser.click_text("Use preset").await;
    browser.fill("#subject-allowed-0", "*.acme.com").await;
    browser.fill("#san-allowed-0", "*.acme.com").await;
    browser.fill("Name", "web-servers").await;
    browser.fill("Longest", "1y").await;
    browser.within("aside").fill("Common name", "www.other.test").await;
    browser.within("main .split > div > .buttons").click_text("Check").await;
    browser.wait_for_text("This request would be refused.").await;
    narrow(browser).await;
    browser.click_text("Create the template").await;
    browser.wait_for_text("web-servers").await;

    desk.open("/ui/profiles/new").await;
    browser.fill("Name", "web-servers").await;
    browser.choose("Certification authority", "acme-issuing").await;
    browser.choose("Certificate template", "web-servers").await;
    browser.fill("Valid for (days)", "90").await;
    narrow(browser).await;
    browser.click_text("Create the profile").await;
    browser.wait_for_text("How to request").await;
    narrow(browser).await;
    browser.click_text("Request a certificate").await;

    browser.click_text("I have a CSR").await;
    let (wrong, _) = certification_request("www.other.test", &["www.other.test"], KeyAlgorithm::EcP256);
    browser.fill("CSR in PEM", &wrong).await;
    browser.click_text("Check first").await;
    browser.wait_for_text("It would be refused").await;
    browser.click_text("Request the certificate").await;
    browser.wait_for_text("The template refuses this request.").await;
    assert!(browser.within(".notice.bad").shows_text("www.other.test").await, "with the reason");
    narrow(browser).await;
    let (good, _) = certification_request("api.acme.com", &["api.acme.com"], KeyAlgorithm::EcP256);
    browser.fill("CSR in PEM", &good).await;
    browser.click_text("Request the certificate").await;
    browser.wait_for_text("The certificate was issued").await;
    narrow(browser).await;
    browser.click_text("Open the certificate").await;
    browser.wait_for_text("Why it was issued like this").await;
    narrow(browser).await;
    browser.click_text("Download").await;
    narrow(browser).await;
    desk.verified_chain("api.acme.com").await;
    desk.leave().await;
}

/// On a phone the navigation is folded away, so it is not what tells that one is in.
async fn sign_in_by_the_form(browser: &Browser, site: &str) {
    browser.open(&format!("{site}/ui/sign-in")).await;
    browser.fill("E-mail", ADMIN_EMAIL).await;
    browser.fill("Password", ADMIN_PASSWORD).await;
    browser.click_text("Sign in").await;
    browser.wait_for("a.brand").await;
    browser.wait_for(".menu-label").await;
}

/// Nothing stands beyond the edge of the window.
async fn narrow(browser: &Browser) {
    assert_eq!(browser.sideways_overflow().await, 0, "{}", browser.url().await);
}

/// By keys alone: the skip link leads past the navigation, every field is reached in the order of the page, Enter in a
/// field only asks what the rules say, and the button sends.
#[tokio::test]
async fn a_certificate_is_requested_without_a_mouse() {
    let world = World::start().await;
    let pki = world.pki().await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/ui/request/{}", world.url(), pki.profile)).await;
    tab_to(&browser, "E-mail").await;
    typed(&browser, ADMIN_EMAIL).await;
    tab_to(&browser, "Password").await;
    typed(&browser, ADMIN_PASSWORD).await;
    browser.press("Enter").await;
    browser.wait_for("#f-common_name").await;
    assert!(browser.url().await.contains("/ui/request/"), "signing in leads on to where one wanted to go");
    browser.press("Tab").await;
    assert_eq!(browser.focused().await, "Skip to the content");
    browser.press("Enter").await;
    tab_to(&browser, "Common name").await;
    typed(&browser, "keys.acme.test").await;
    browser.wait_for_text("All rules pass").await;
    tab_to(&browser, "Request the certificate").await;
    browser.press("Enter").await;
    browser.wait_for_text("The certificate was issued").await;
    tab_to(&browser, "Download").await;
    browser.press("Enter").await;
    browser.wait_for_text("Where it goes").await;
    tab_to(&browser, "keys.acme.test.pem").await;
    browser.press("Enter").await;
    let (_, pem) = browser.wait_for_download("keys.acme.test.pem").await;
    assert!(judge::openssl_text(std::str::from_utf8(&pem).unwrap()).contains("DNS:keys.acme.test"));
    browser.assert_quiet().await;
    drop(browser);
    world.stop().await;
}

/// Presses Tab until what has this name has the focus.
async fn tab_to(browser: &Browser, name: &str) {
    const STOPS_MAX: u32 = 60;
    let mut seen = Vec::new();
    for _ in 0..STOPS_MAX {
        let focused = browser.focused().await;
        if focused == name {
            return;
        }
        seen.push(focused);
        browser.press("Tab").await;
    }
    panic!("\"{name}\" is not reached by the Tab key; these are: {seen:?}");
}

async fn typed(browser: &Browser, text: &str) {
    for key in text.chars() {
        let key = key.to_string();
        browser.press(if key == " " { "Space" } else { &key }).await;
    }
}
