//! Chromium without a window, driven through WebDriver (W3C) as a person would drive it: by what stands on buttons and
//! beside fields.
//!
//! ```ignore
//! let browser = Browser::start().await;
//! browser.open(&world.url()).await;
//! browser.fill("E-mail", "admin@world.test").await;
//! browser.click_text("Sign in").await;
//! browser.wait_for_text("Dashboard").await;
//! browser.assert_quiet().await;
//! ```
//!
//! What is looked for may come late, so every step waits for it for some seconds by asking the page again; a step that
//! cannot be done fails the test with what the page shows. The browser asks nobody but loopback addresses, has a profile
//! of its own, and ends with the test. WebDriver's own scripts are not subject to the page's Content-Security-Policy, so
//! pages are judged under the policy that they ship with.

mod act;
mod axe;
mod look;
mod session;
mod window;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{Program, folder, free_address, launched, must};
use session::Session;
pub use window::{Cookie, Theme};

const ADVICE: &str = "install it with `apt-get install chromium chromium-driver`, or run scripts/test, which does";

/// How long a step waits for what it is about. A debug server on a busy machine needs seconds for a page.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(40);

/// Why a step cannot be done, yet or at all.
type Fault = String;

/// A browser, or with [`Browser::within`] a part of its page.
#[derive(Clone)]
pub struct Browser {
    inner: Arc<Inner>,
    /// A CSS selector; empty: the whole page.
    scope: String,
    patience: Duration,
}

struct Inner {
    // Ended in this order: the session takes Chromium with it, then the driver goes, then the folder.
    session: Session,
    _driver: Program,
    folder: TempDir,
}

impl Browser {
    /// A fresh profile, a window of 1280 × 900, English, UTC.
    pub async fn start() -> Self {
        let browser = launched("Chromium", Self::launch).await;
        browser.set_window(1280, 900).await;
        browser.set_time_zone("UTC").await;
        browser
    }

    async fn launch() -> Result<Self, String> {
        let (folder, address) = (folder(), free_address());
        must("the folder of downloads", std::fs::create_dir(folder.path().join("downloads")));
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={}", address.port())).arg("--log-level=WARNING");
        for name in ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, folder.path());
        }
        command.env("DBUS_SESSION_BUS_ADDRESS", "disabled:").env("LANGUAGE", "en");
        let mut driver = Program::start(command, folder.path(), ADVICE);
        driver.listening(address).await?;
        let session = Session::open(address, &capabilities(folder.path())).await?;
        Ok(Self {
            inner: Arc::new(Inner { session, _driver: driver, folder }),
            scope: String::new(),
            patience: PATIENCE,
        })
    }

    /// The same browser, looking only into the first element that the selector fits.
    #[must_use]
    pub fn within(&self, css: &str) -> Self {
        let scope = if self.scope.is_empty() { format!(":is({css})") } else { format!("{} :is({css})", self.scope) };
        Self { inner: Arc::clone(&self.inner), scope, patience: self.patience }
    }

    /// The same browser, waiting this long in every step. What is slow on purpose needs more than is usual.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// Goes to an address, and waits until the page is loaded.
    pub async fn open(&self, url: &str) {
        self.must_call(Method::POST, "url", json!({"url": url})).await;
    }

    pub async fn reload(&self) {
        self.must_call(Method::POST, "refresh", json!({})).await;
    }

    pub async fn back(&self) {
        self.must_call(Method::POST, "back", json!({})).await;
    }

    pub async fn url(&self) -> String {
        texts_of(&self.must_call(Method::GET, "url", Value::Null).await)
    }

    pub async fn title(&self) -> String {
        texts_of(&self.must_call(Method::GET, "title", Value::Null).await)
    }

    /// Runs a script (the body of a function, with `arguments`) in the page, and gives what it returns or, if that is a
    /// promise, what it ends with.
    pub async fn execute(&self, script: &str, arguments: &[Value]) -> Value {
        must("a script", self.try_execute(script, arguments).await)
    }

    async fn try_execute(&self, script: &str, arguments: &[Value]) -> Result<Value, Fault> {
        self.call(Method::POST, "execute/sync", json!({"script": script, "args": arguments})).await
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Result<Value, Fault> {
        self.inner.session.call(method, path, &body).await
    }

    async fn must_call(&self, method: Method, path: &str, body: Value) -> Value {
        must(path, self.call(method, path, body).await)
    }

    /// A command of the Chrome DevTools protocol.
    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.must_call(Method::POST, "goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    /// Tries a step until it is done.
    async fn patiently<T>(&self, what: &str, step: impl AsyncFn() -> Result<T, Fault>) -> T {
        let until = Instant::now() + self.patience;
        loop {
            match step().await {
                Ok(done) => return done,
                Err(fault) if Instant::now() > until => panic!("{what}: {fault}\n{}", self.describe().await),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Where the browser is and what it shows, for whoever reads of a failed test.
    async fn describe(&self) -> String {
        const SHOWN_MAX: usize = 4_000;
        let script = "return [location.href, document.title, (document.querySelector('main') || document.body || {}).innerText || '']";
        let page = self.try_execute(script, &[]).await.unwrap_or_else(Value::String);
        let part = |at: usize| page.get(at).map(texts_of).unwrap_or_default();
        let shown: String = part(2).chars().take(SHOWN_MAX).collect();
        format!(
            "at {}, \"{}\", which shows:\n{shown}\nthe browser's own words: {:?}",
            part(0),
            part(1),
            self.log().await
        )
    }
}

fn capabilities(folder: &Path) -> Value {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        // Chromium ends when its driver does, however that happens.
        "--remote-debugging-pipe".to_owned(),
        format!("--user-data-dir={}", folder.join("profile").display()),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-default-apps".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-extensions".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-sync".to_owned(),
        "--force-color-profile=srgb".to_owned(),
        "--hide-scrollbars".to_owned(),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost".to_owned(),
        "--lang=en-GB".to_owned(),
        "--mute-audio".to_owned(),
        "--no-first-run".to_owned(),
        "--no-proxy-server".to_owned(),
    ];
    if is_root() {
        // Chromium's sandbox refuses to work for root, as which containers run.
        arguments.push("--no-sandbox".to_owned());
    }
    json!({
        "goog:chromeOptions": {
            "args": arguments,
            "prefs": {
                "credentials_enable_service": false,
                "download.default_directory": folder.join("downloads"),
                "download.prompt_for_download": false,
                "intl.accept_languages": "en-GB,en",
                "profile.default_content_setting_values.automatic_downloads": 1,
                "profile.password_manager_enabled": false,
                "profile.password_manager_leak_detection": false,
            },
        },
        "goog:loggingPrefs": {"browser": "ALL"},
        "timeouts": {"script": 60_000, "pageLoad": 60_000},
        "unhandledPromptBehavior": "ignore",
    })
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

/// A text as it is, anything else as JSON.
fn texts_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
