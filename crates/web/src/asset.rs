//! Style sheet, script and icon: in the program, addressed by what they contain, so that browsers keep them for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use sha2::{Digest, Sha256};

use crate::route::Page;

const STYLE: &str = include_str!("../assets/chancery.css");
const SCRIPT: &str = include_str!("../assets/chancery.js");
const ICON: &str = include_str!("../assets/icon.svg");

static STYLE_PATH: LazyLock<String> = LazyLock::new(|| path("chancery", STYLE, "css"));
static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| path("chancery", SCRIPT, "js"));

fn path(name: &str, content: &str, ending: &str) -> String {
    let hash = hex::encode(Sha256::digest(content.as_bytes()));
    format!("/ui/assets/{name}-{}.{ending}", hash.get(..12).unwrap_or(&hash))
}

pub(crate) fn style_path() -> &'static str {
    &STYLE_PATH
}

pub(crate) fn script_path() -> &'static str {
    &SCRIPT_PATH
}

pub(crate) fn pages() -> Vec<Page> {
    vec![Page::open("/ui/assets/{name}", asset)]
}

async fn asset(Path(name): Path<String>) -> Response {
    let asked = format!("/ui/assets/{name}");
    let (media_type, content) = match asked.as_str() {
        it if it == style_path() => ("text/css; charset=utf-8", STYLE),
        it if it == script_path() => ("text/javascript; charset=utf-8", SCRIPT),
        "/ui/assets/icon.svg" => ("image/svg+xml", ICON),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, content).into_response()
}
