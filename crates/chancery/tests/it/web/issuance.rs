//! Templates, profiles, requests, renewal and revocation on the pages.

use chancery_pkix::{Certificate, KeyAlgorithm};
use chancery_testkit::judge::{self, OcspQuestion};
use chancery_testkit::world::{Pki, World, certification_request, text};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::Desk;

/// A template for *.acme.com and one year from the TLS Server preset, which its try-it box shows to refuse a stranger's
/// name; a profile; a request without a CSR, of which the page says while it is filled in what is wrong, and whose key is
/// handed out only to whoever gives the password again; a CSR that is refused, and one that is not.
#[tokio::test]
async fn a_template_and_a_profile_decide_what_is_issued_with_and_without_a_csr() {
    let desk = Desk::at(World::start().await).await;
    let root = desk.world.root_ca("acme-root", KeyAlgorithm::EcP256).await;
    desk.world.issuing_ca("acme-issuing", KeyAlgorithm::EcP256, root).await;
    template_on_the_pages(&desk).await;
    profile_on_the_pages(&desk).await;
    request_without_csr(&desk).await;
    request_with_csr(&desk).await;
    desk.leave().await;
}

async fn template_on_the_pages(desk: &Desk) {
    let browser = &desk.browser;
    desk.open("/ui/templates/new").await;
    browser.choose("Template Preset", "TLS Server Certificate").await;
    browser.wait_for("#subject-rows [data-row]").await;
    desk.looked().await;
    browser.fill("Name", "web-servers").await;
    browser.within("#subject-rows").fill("#subject-allowed-0", "*.acme.com").await;
    browser.within("#san-rows").fill("#san-allowed-0", "*.acme.com").await;
    browser.fill("Longest", "1y").await;
    let trial = browser.within("aside");
    trial.fill("Common name", "www.other.test").await;
    let reason = browser.within("#preview li.bad");
    reason.wait_for_text("www.other.test").await;
    assert!(reason.shows_text("*.acme.com").await, "the rule");
    assert!(trial.shows_text("This request would be refused.").await);
    trial.fill("Common name", "shop.acme.com").await;
    trial.wait_for_text("This request would pass.").await;
    trial.fill("Valid for", "2y").await;
    trial.wait_for_text("This request would be refused.").await;
    trial.fill("Valid for", "1y").await;
    trial.wait_for_text("This request would pass.").await;
    desk.looked().await;
    browser.click_text("Create the template").await;
    browser.wait_for_text("*.acme.com").await;
    assert_eq!(browser.text("h1").await, "web-servers");
    desk.looked().await;
}

async fn profile_on_the_pages(desk: &Desk) {
    let browser = &desk.browser;
    desk.open("/ui/profiles/new").await;
    desk.looked().await;
    browser.fill("Name", "web-servers").await;
    browser.choose("Issuer type", "CA").await;
    browser.choose("Certification authority", "acme-issuing").await;
    browser.choose("Certificate template", "web-servers").await;
    browser.fill("Valid for (days)", "90").await;
    browser.click_text("Create the profile").await;
    browser.wait_for_text("How to request").await;
    assert_eq!(browser.text("h1").await, "web-servers");
    desk.looked().await;
}

async fn request_without_csr(desk: &Desk) {
    let browser = &desk.browser;
    desk.open("/ui/request").await;
    desk.looked().await;
    browser.within("main .cards").click("a.card").await;
    browser.fill("Common name", "www.other.test").await;
    let verdict = browser.within("#verdict");
    let reason = browser.within("#verdict li.bad");
    reason.wait_for_text("www.other.test").await;
    assert!(verdict.shows_text("It would be refused").await && reason.shows_text("*.acme.com").await);
    desk.looked().await;
    browser.click_text("Request the certificate").await;
    browser.wait_for_text("The template refuses this request.").await;
    assert!(browser.within(".notice.bad").shows_text("www.other.test").await);
    assert_eq!(browser.status().await, 422);
    desk.looked().await;
    browser.fill("Common name", "shop.acme.com").await;
    verdict.wait_for_text("All rules pass").await;
    assert!(!browser.shows("#verdict li.bad").await);
    browser.click_text("Request the certificate").await;
    browser.wait_for_text("The certificate was issued").await;
    browser.click_text("Download").await;
    let chain = desk.verified_chain("shop.acme.com").await;

    // The password was given when signing in; a quarter of an hour later it is asked for again.
    desk.world.clock.advance_seconds(16 * 60);
    browser.check("I know that whoever has this file").await;
    browser.click_text("Download shop.acme.com.key").await;
    browser.wait_for_text("your password was not asked for lately").await;
    desk.looked().await;
    browser.fill("Your password", chancery_testkit::world::ADMIN_PASSWORD).await;
    browser.click_text("Confirm and go on").await;
    let (_, key) = browser.wait_for_download("shop.acme.com.key").await;
    let public = judge::openssl_reads(&["pkey", "-pubout"], &key);
    assert_eq!(public, judge::openssl_reads(&["x509", "-noout", "-pubkey"], chain[0].as_bytes()), "it is its key");
}

async fn request_with_csr(desk: &Desk) {
    let browser = &desk.browser;
    desk.open("/ui/request").await;
    browser.within("main .cards").click("a.card").await;
    browser.click_text("I have a CSR").await;
    let (wrong, _) = certification_request("www.other.test", &["www.other.test"], KeyAlgorithm::EcP256);
    browser.fill("CSR in PEM", &wrong).await;
    let verdict = browser.within("#verdict");
    verdict.wait_for_text("It would be refused").await;
    desk.looked().await;
    browser.click_text("Request the certificate").await;
    browser.wait_for_text("The template refuses this request.").await;
    assert!(browser.within(".notice.bad").shows_text("www.other.test").await, "with the reason");
    desk.looked().await;
    let (good, _) = certification_request("api.acme.com", &["api.acme.com"], KeyAlgorithm::EcP384);
    browser.fill("CSR in PEM", &good).await;
    verdict.wait_for_text("All rules pass").await;
    browser.click_text("Request the certificate").await;
    browser.wait_for_text("The certificate was issued").await;
    browser.click_text("Download").await;
    let chain = desk.verified_chain("api.acme.com").await;
    let asked = judge::openssl_reads(&["req", "-noout", "-pubkey"], good.as_bytes());
    assert_eq!(judge::openssl_reads(&["x509", "-noout", "-pubkey"], chain[0].as_bytes()), asked, "the key of the CSR");
    assert!(browser.shows_text("its private key never was on this server").await, "there is nothing to hand out");
}

/// A certificate is renewed with a new key and leads to its successor; the successor is revoked with a reason, which the
/// CA's page, its CRL and its OCSP responder then tell, and the inventory shows; two others are revoked at once after a
/// preview of what that comes to.
#[tokio::test]
async fn certificates_are_renewed_and_revoked_on_the_pages_and_strangers_are_told() {
    let world = World::builder()
        .setting("repository_listen", "127.0.0.1:0")
        .setting("repository_url", "http://127.0.0.1:0")
        .start()
        .await;
    let pki = world.pki().await;
    world.authority().run_due_jobs().await;
    let first = world.issue(pki.profile, &json!({"attributes": {"commonName": "one.acme.test"}})).await;
    for name in ["two.acme.test", "three.acme.test", "four.acme.test"] {
        world.issue(pki.profile, &json!({"attributes": {"commonName": name}})).await;
    }
    let desk = Desk::at(world).await;
    let successor = renewed(&desk, &text(&first, "/certificate/certificateId")).await;
    revoked(&desk, &pki, &successor).await;
    revoked_in_bulk(&desk).await;
    desk.leave().await;
}

/// The page of the successor, by its path.
async fn renewed(desk: &Desk, id: &str) -> String {
    let browser = &desk.browser;
    desk.open(&format!("/ui/certificates/{id}")).await;
    desk.looked().await;
    browser.click_text("Renew").await;
    browser.check("A new key").await;
    desk.looked().await;
    browser.within("main form").click_text("Renew").await;
    browser.wait_for_text("Renewed: this is the successor").await;
    desk.looked().await;
    let successor = desk.path().await;
    assert!(!successor.contains(id), "{successor}");
    desk.open(&format!("/ui/certificates/{id}")).await;
    browser.click_text("go to its successor").await;
    browser.wait_for_url(&successor).await;
    let (old, new) = (public_key(desk, id).await, public_key(desk, successor.rsplit('/').next().unwrap()).await);
    assert_ne!(old, new, "re-keyed");
    successor
}

async fn public_key(desk: &Desk, id: &str) -> String {
    let path = format!("{}/certificates/{id}/certificate", chancery_testkit::world::CERT_MANAGER);
    let answer = desk.world.operator().ok(Method::GET, &path, None).await;
    judge::openssl_reads(&["x509", "-noout", "-pubkey"], text(&answer, "/certificate").as_bytes())
}

async fn revoked(desk: &Desk, pki: &Pki, successor: &str) {
    let browser = &desk.browser;
    desk.open(&format!("{successor}/download")).await;
    let chain = desk.verified_chain("one.acme.test").await;
    let leaf = Certificate::from_pem(&chain[0]).unwrap();
    let url = leaf.extensions().ocsp[0].clone();
    let ask = async |chain: Vec<String>, at: i64| {
        let url = url.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let [certificate, issuer, trusted] = chain.as_slice() else { panic!("a chain of three") };
            judge::openssl_ocsp(
                &url,
                &OcspQuestion { certificate, issuer, trusted, at_epoch_seconds: at, with_nonce: true },
            )
        });
        asked.await.unwrap()
    };
    assert!(ask(chain.clone(), desk.world.now_seconds()).await.contains("certificate.pem: good"));

    desk.open(successor).await;
    browser.click_text("Revoke").await;
    desk.looked().await;
    let option = browser.texts("#f-reason option").await.into_iter().find(|it| it.to_lowercase().contains("key"));
    browser.choose("Reason", &option.expect("a reason that tells of the key")).await;
    browser.click_text("Revoke the certificate").await;
    browser.wait_for_text("Revoked; OCSP says so at once").await;
    desk.looked().await;
    desk.world.clock.advance_seconds(60);
    desk.world.authority().run_due_jobs().await;

    let answer = ask(chain.clone(), desk.world.now_seconds()).await;
    assert!(answer.contains("certificate.pem: revoked") && answer.contains("keyCompromise"), "{answer}");
    desk.open(&format!("/ui/authorities/{}", pki.issuing)).await;
    browser.wait_for_text("what relying parties are told").await;
    let lists = browser.within("section[aria-labelledby=h-status]");
    assert_eq!(lists.texts("td[data-label=Revoked]").await[0], "1");
    assert!(lists.shows_text(&url).await, "where OCSP is");
    desk.looked().await;
    lists.click_text("Download").await;
    let (_, crl) = browser.wait_for_download(".crl").await;
    let words =
        judge::openssl_refuses_crl_check(&chain[..], &[crl, root_crl(desk, pki.root).await], desk.world.now_seconds());
    assert!(words.contains("revoked"), "{words}");
}

/// The CRL of a CA, DER, by its page.
async fn root_crl(desk: &Desk, ca: Uuid) -> Vec<u8> {
    desk.open(&format!("/ui/authorities/{ca}")).await;
    desk.browser.within("section[aria-labelledby=h-status]").click_text("Download").await;
    desk.browser.wait_for_download("root").await.1
}

async fn revoked_in_bulk(desk: &Desk) {
    let browser = &desk.browser;
    desk.open("/ui/certificates").await;
    desk.looked().await;
    let state_of = async |name: &str| {
        let rows = browser.texts("#found tbody tr").await;
        let rows: Vec<String> = rows.into_iter().filter(|it| it.contains(name)).collect();
        rows.join("\n")
    };
    assert!(state_of("one.acme.test").await.contains("Revoked"));
    assert!(state_of("two.acme.test").await.contains("Active"));
    for name in ["two.acme.test", "three.acme.test"] {
        browser.within("#found").check(name).await;
    }
    browser.click_text("Revoke …").await;
    browser.wait_for_text("2 certificates will be revoked").await;
    assert!(browser.shows_text("two.acme.test").await && browser.shows_text("three.acme.test").await);
    assert!(!browser.shows_text("four.acme.test").await);
    desk.looked().await;
    browser.click_text("Revoke all 2").await;
    browser.wait_for_text("2 certificates revoked").await;
    desk.looked().await;
    desk.open("/ui/certificates").await;
    assert!(state_of("two.acme.test").await.contains("Revoked"));
    assert!(state_of("three.acme.test").await.contains("Revoked"));
    assert!(state_of("four.acme.test").await.contains("Active"));
}

/// A profile whose issuer type is Self-Signed: its certificate is its own issuer, and OpenSSL trusts it by itself.
#[tokio::test]
async fn a_self_signed_profile_issues_certificates_that_are_their_own_issuers() {
    let world = World::start().await;
    let template = world.template(&json!({"name": "lab"})).await;
    let desk = Desk::at(world).await;
    let browser = &desk.browser;
    desk.open("/ui/profiles/new").await;
    browser.fill("Name", "lab").await;
    browser.choose("Issuer type", "Self-Signed").await;
    browser.choose("Certificate template", "lab").await;
    browser.fill("Valid for (days)", "90").await;
    desk.looked().await;
    browser.click_text("Create the profile").await;
    browser.wait_for_text("How to request").await;
    let profiles = desk.world.admin().ok(Method::GET, "/api/v1/cert-manager/certificate-profiles", None).await;
    let made = &profiles["certificateProfiles"][0];
    assert_eq!((&made["issuerType"], &made["certificatePolicyId"]), (&json!("self-signed"), &json!(template)));
    desk.open(&format!("/ui/request/{}", text(made, "/id"))).await;
    browser.fill("Common name", "bench.acme.test").await;
    browser.wait_for_text("All rules pass").await;
    browser.click_text("Request the certificate").await;
    browser.wait_for_text("The certificate was issued").await;
    browser.click_text("Open the certificate").await;
    browser.wait_for_text("it is its own issuer").await;
    desk.looked().await;
    browser.click_text("Download").await;
    let own = desk.download("bench.acme.test.pem").await;
    judge::openssl_verifies(&[own[0].as_str()], desk.world.now_seconds());
    desk.leave().await;
}
