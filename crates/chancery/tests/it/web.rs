//! The Web UI as a person uses it: headless Chromium against a whole server, by what stands on buttons and beside fields.
//!
//! ```text
//! Acme Root CA ── Acme Issuing CA ── what is requested on the pages        (set up on the pages themselves)
//! root ── issuing ── www.acme.test …                                       (where a story begins later)
//! Pebble Root CA ── Pebble Intermediate CA ── what is ordered on the pages
//! ```
//!
//! Verified: the guided set-up; a template from a preset, a profile and requests with and without a CSR, refused ones with
//! the reason in sight; renewal, revocation and what CRL and OCSP then say; many certificates searched and revoked at
//! once; a self-signed profile; an ACME CA; the same without scripts on a phone, and without a mouse; every screen as
//! people with a screen reader get it. OpenSSL judges what was downloaded. On every page of every story the browser has
//! nothing to complain about (scripts, Content-Security-Policy), and axe-core finds no fault.

mod external;
mod issuance;
mod plain;
mod screens;
mod search;
mod setup;

use chancery_testkit::demonstration::sign_in;
use chancery_testkit::foreign::Browser;
use chancery_testkit::judge;
use chancery_testkit::world::World;

/// A server, and a browser in which its administrator has signed in.
struct Desk {
    world: World,
    browser: Browser,
}

impl Desk {
    async fn at(world: World) -> Self {
        let browser = Browser::start().await;
        sign_in(&browser, &world.url()).await;
        let desk = Self { world, browser };
        desk.looked().await;
        desk
    }

    async fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.world.url())).await;
    }

    /// The page that is shown is one that everybody can use, and the browser has nothing to say against it.
    async fn looked(&self) {
        self.browser.assert_quiet().await;
        self.browser.assert_accessible().await;
    }

    /// The certificates of a PEM file that this link leads to, in the file's order. The name must be of this file alone.
    async fn download(&self, link: &str) -> Vec<String> {
        self.browser.click_text(link).await;
        let (_, bytes) = self.browser.wait_for_download(link).await;
        certificates(&String::from_utf8(bytes).unwrap())
    }

    /// The chain of the certificate whose downloads are shown, root last, as OpenSSL has verified it.
    async fn verified_chain(&self, stem: &str) -> Vec<String> {
        let mut chain = self.download(&format!("{stem}.pem")).await;
        assert_eq!(chain.len(), 1, "one certificate alone");
        chain.extend(self.download(&format!("{stem}.chain.pem")).await);
        judge::openssl_verifies(&chain, self.world.now_seconds());
        chain
    }

    /// Follows the link of a certificate's page, and gives the page's path.
    async fn path(&self) -> String {
        self.browser.url().await.trim_start_matches(&self.world.url()).to_owned()
    }

    async fn leave(self) {
        self.browser.assert_quiet().await;
        drop(self.browser);
        self.world.stop().await;
    }
}

fn certificates(pem: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----\n";
    pem.split_inclusive(END).map(str::to_owned).filter(|it| it.ends_with(END)).collect()
}
