//! The screens of the Web UI, in the one table from which the pictures are taken and over which the accessibility run
//! walks. A new page gets its row here.

use std::time::Duration;

use crate::demonstration::{Demonstration, sign_in};
use crate::foreign::{Browser, Theme};
use crate::world::World;

/// Widths in pixels: a desk, and a phone.
pub const WIDTHS: [u32; 2] = [1280, 390];
/// What a page may weigh, with styles and scripts (bytes).
pub const WEIGHT_MAX: u64 = 100_000;

/// Whose eyes see a screen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Nobody has signed in.
    SignedOut,
    /// The administrator of a server on which nothing has been made yet.
    Empty,
    /// The administrator of the demonstration.
    Filled,
}

/// What is done on a page before it is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Label, value.
    Fill(&'static str, &'static str),
    /// Label, option.
    Choose(&'static str, &'static str),
    /// The text of a link or a button.
    Click(&'static str),
    /// Until this text is there.
    Wait(&'static str),
}

/// One screen.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    pub name: &'static str,
    pub stage: Stage,
    /// `{certificate}`, `{profile}` and the like are the demonstration's examples.
    pub path: &'static str,
    pub acts: &'static [Act],
}

impl Screen {
    /// The HTTP status that its page is to have.
    #[must_use]
    pub fn status(&self) -> u64 {
        if self.name == "not-found" { 404 } else { 200 }
    }
}

const fn filled(name: &'static str, path: &'static str) -> Screen {
    Screen { name, stage: Stage::Filled, path, acts: &[] }
}

const fn acting(name: &'static str, path: &'static str, acts: &'static [Act]) -> Screen {
    Screen { name, stage: Stage::Filled, path, acts }
}

const fn empty(name: &'static str, path: &'static str) -> Screen {
    Screen { name, stage: Stage::Empty, path, acts: &[] }
}

/// In the order of the navigation.
pub const SCREENS: &[Screen] = &[
    Screen { name: "sign-in", stage: Stage::SignedOut, path: "/ui/sign-in", acts: &[] },
    empty("empty-dashboard", "/ui"),
    empty("empty-inventory", "/ui/certificates"),
    empty("empty-authorities", "/ui/authorities"),
    empty("empty-templates", "/ui/templates"),
    empty("empty-profiles", "/ui/profiles"),
    empty("empty-request", "/ui/request"),
    empty("empty-requests", "/ui/requests"),
    empty("empty-renewals", "/ui/renewals"),
    empty("empty-alerts", "/ui/alerts"),
    empty("setup", "/ui/setup"),
    filled("dashboard", "/ui"),
    filled("inventory", "/ui/certificates"),
    filled("certificate", "/ui/certificates/{certificate}"),
    filled("certificate-revoked", "/ui/certificates/{revoked}"),
    filled("certificate-failed-renewal", "/ui/certificates/{failed}"),
    filled("certificate-renew", "/ui/certificates/{certificate}/renew"),
    filled("certificate-renew-csr", "/ui/certificates/{csr-certificate}/renew"),
    filled("certificate-revoke", "/ui/certificates/{certificate}/revoke"),
    filled("certificate-download", "/ui/certificates/{certificate}/download"),
    filled("request", "/ui/request"),
    filled("request-form", "/ui/request/{profile}"),
    acting(
        "request-refused",
        "/ui/request/{profile}",
        &[Act::Fill("Common name", "www.acme.org"), Act::Wait("www.acme.org")],
    ),
    filled("request-csr", "/ui/request/{profile}?way=csr"),
    filled("requests", "/ui/requests"),
    filled("request-issued", "/ui/requests/{request}"),
    filled("request-pending", "/ui/requests/{pending-request}"),
    filled("authorities", "/ui/authorities"),
    filled("authority-new", "/ui/authorities/new"),
    filled("authority", "/ui/authorities/{ca}"),
    filled("authority-root", "/ui/authorities/{root}"),
    filled("authority-waiting", "/ui/authorities/{waiting-ca}"),
    filled("authority-external", "/ui/authorities/{external-ca}"),
    filled("authority-renew", "/ui/authorities/{ca}/renew"),
    filled("authority-settings", "/ui/authorities/{ca}/settings"),
    filled("authority-import", "/ui/authorities/import"),
    filled("external-new", "/ui/authorities/external/new"),
    filled("connections", "/ui/connections"),
    filled("connection-new", "/ui/connections/new"),
    filled("connection", "/ui/connections/{connection}"),
    filled("templates", "/ui/templates"),
    filled("template", "/ui/templates/{template}"),
    acting("template-new", "/ui/templates/new", &[Act::Choose("Template Preset", "TLS Server Certificate")]),
    filled("template-edit", "/ui/templates/{template}/edit"),
    filled("profiles", "/ui/profiles"),
    filled("profile", "/ui/profiles/{profile}"),
    filled("profile-new", "/ui/profiles/new"),
    filled("profile-edit", "/ui/profiles/{profile}/edit"),
    filled("renewals", "/ui/renewals"),
    filled("alerts", "/ui/alerts"),
    filled("alert", "/ui/alerts/{alert}"),
    filled("alert-new", "/ui/alerts/new"),
    filled("access", "/ui/access"),
    filled("audit", "/ui/audit"),
    filled("settings", "/ui/settings"),
    filled("about", "/ui/about"),
    filled("account", "/ui/account"),
    filled("not-found", "/ui/nowhere"),
];

/// The servers and the browser with which every screen can be seen.
pub struct Gallery {
    pub filled: Demonstration,
    empty: World,
    browser: Browser,
    /// Whose session the browser has now.
    stage: Stage,
}

/// How a screen turned out.
#[derive(Clone, Debug)]
pub struct Look {
    /// HTTP; 0 if the browser does not know.
    pub status: u64,
    pub weight: u64,
    pub overflow: i64,
    /// Of the browser, and of axe-core if it was asked.
    pub faults: Vec<String>,
}

impl Gallery {
    /// With so many rounds of issuance in the demonstration.
    pub async fn start(rounds: u32) -> Self {
        let (filled, empty, browser) =
            (Demonstration::start(rounds).await, World::builder().start().await, Browser::start().await);
        Self { filled, empty, browser, stage: Stage::SignedOut }
    }

    #[must_use]
    pub const fn browser(&self) -> &Browser {
        &self.browser
    }

    /// Shows a screen at a width in a theme.
    pub async fn show(&mut self, screen: &Screen, width: u32, theme: Theme) {
        let site = if screen.stage == Stage::Empty { self.empty.url() } else { self.filled.world.url() };
        self.browser.set_window(1280, 900).await;
        if screen.stage != self.stage {
            // One host for both servers, and cookies know no ports.
            self.browser.open(&format!("{site}/ui/sign-in")).await;
            self.browser.forget_cookies().await;
            if screen.stage != Stage::SignedOut {
                sign_in(&self.browser, &site).await;
            }
            self.stage = screen.stage;
        }
        self.browser.set_window(width, if width < 600 { 844 } else { 900 }).await;
        self.browser.set_theme(theme).await;
        let address = if screen.stage == Stage::Empty {
            format!("{site}{}", screen.path)
        } else {
            self.filled.address(screen.path)
        };
        drop(self.browser.complaints().await);
        self.browser.open(&address).await;
        let patient = self.browser.with_patience(Duration::from_secs(5));
        for act in screen.acts {
            match *act {
                Act::Fill(label, value) => patient.fill(label, value).await,
                Act::Choose(label, option) => patient.choose(label, option).await,
                Act::Click(text) => patient.click_text(text).await,
                Act::Wait(text) => patient.wait_for_text(text).await,
            }
        }
    }

    /// Judges the screen that is shown.
    pub async fn look(&self) -> Look {
        let status = self.browser.status().await;
        let (weight, overflow) = (self.browser.weight().await, self.browser.sideways_overflow().await);
        let mut faults = self.browser.complaints().await;
        faults.extend(self.browser.accessibility_faults().await);
        if weight > WEIGHT_MAX {
            faults.push(format!("it weighs {weight} bytes, and may weigh {WEIGHT_MAX}"));
        }
        if overflow > 0 {
            faults.push(format!("it is {overflow} pixels wider than its window"));
        }
        Look { status, weight, overflow, faults }
    }

    pub async fn stop(self) {
        drop(self.browser);
        self.empty.stop().await;
        self.filled.world.stop().await;
    }
}
