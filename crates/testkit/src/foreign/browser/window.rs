//! The window and the reader behind it: size, theme, time zone, whether scripts run, cookies, pictures of the page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::must;
use super::{Browser, texts_of};

/// What the reader prefers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Theme {
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Self; 2] = [Self::Light, Self::Dark];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A cookie as the browser keeps it.
#[derive(Clone, Debug)]
pub struct Cookie {
    pub name: String,
    pub value: String,
    pub path: String,
    pub http_only: bool,
    pub secure: bool,
    /// `Strict`, `Lax` or `None`.
    pub same_site: String,
}

impl Browser {
    /// Pixels. Narrower than the window itself could be made, as on a phone.
    pub async fn set_window(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Also asks for no motion, so that pictures do not depend on the moment.
    pub async fn set_theme(&self, theme: Theme) {
        let features = json!([
            {"name": "prefers-color-scheme", "value": theme.as_str()},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// A name of the time zone database, such as `Asia/Tokyo`.
    pub async fn set_time_zone(&self, name: &str) {
        self.devtools("Emulation.setTimezoneOverride", json!({"timezoneId": name})).await;
    }

    /// Whether the scripts of pages run, from the next page on.
    pub async fn set_scripts(&self, run: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({"value": !run})).await;
    }

    /// The window's contents (PNG).
    pub async fn screenshot(&self) -> Vec<u8> {
        decoded(&self.must_call(Method::GET, "screenshot", Value::Null).await)
    }

    /// The page from its top to its end (PNG), however long it is, up to 12 000 pixels.
    pub async fn screenshot_of_page(&self) -> Vec<u8> {
        const HEIGHT_MAX: f64 = 12_000.0;
        let metrics = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let length = |pointer: &str| metrics.pointer(pointer).and_then(Value::as_f64).unwrap_or(1.0);
        let (width, height) = (length("/cssLayoutViewport/clientWidth"), length("/cssContentSize/height"));
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height.min(HEIGHT_MAX), "scale": 1});
        let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.devtools("Page.captureScreenshot", wanted).await;
        decoded(picture.get("data").unwrap_or(&Value::Null))
    }

    /// The cookies of the page that is open.
    pub async fn cookies(&self) -> Vec<Cookie> {
        let cookies = self.must_call(Method::GET, "cookie", Value::Null).await;
        let cookies = cookies.as_array().map(Vec::as_slice).unwrap_or_default();
        let cookie = |it: &Value| Cookie {
            name: texts_of(&it["name"]),
            value: texts_of(&it["value"]),
            path: texts_of(&it["path"]),
            http_only: it["httpOnly"] == true,
            secure: it["secure"] == true,
            same_site: texts_of(&it["sameSite"]),
        };
        cookies.iter().map(cookie).collect()
    }

    /// Sets a cookie that no script can read, for the site that is open.
    pub async fn set_cookie(&self, name: &str, value: &str) {
        let cookie = json!({"name": name, "value": value, "path": "/", "httpOnly": true, "sameSite": "Strict"});
        self.must_call(Method::POST, "cookie", json!({"cookie": cookie})).await;
    }

    /// As when the browser is closed and opened again.
    pub async fn forget_cookies(&self) {
        self.must_call(Method::DELETE, "cookie", Value::Null).await;
    }
}

fn decoded(picture: &Value) -> Vec<u8> {
    must("a picture", STANDARD.decode(picture.as_str().unwrap_or_default()))
}
