//! One function per form of value: text in, value or reason out. Reasons never repeat a value that may be a secret.

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use http::Uri;
use tracing_subscriber::EnvFilter;

use super::{LogFormat, Mirror};

pub fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is not an address and a port; write it as 127.0.0.1:8200 or [::1]:8200"))
}

/// An absolute http or https URL, returned without a trailing slash.
pub fn url(text: &str) -> Result<String, String> {
    let refuse = |reason: &str| Err(format!("\"{text}\" {reason}; write it as https://certificates.example.com"));
    let Ok(uri) = text.parse::<Uri>() else { return refuse("is not a URL") };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return refuse("does not start with http:// or https://");
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => return refuse("must not contain a user or password"),
        Some(authority) if authority.host().is_empty() => return refuse("has no host"),
        None => return refuse("has no host"),
        Some(_) => {}
    }
    if uri.query().is_some() || text.contains('#') {
        return refuse("must not have a query or a fragment");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A directory by its absolute path, or an http or https URL.
pub fn mirror(text: &str) -> Result<Mirror, String> {
    let path = Path::new(text);
    if text.contains("://") {
        return url(text).map(Mirror::Url);
    }
    if is_absolute(path) {
        Ok(Mirror::Directory(path.to_owned()))
    } else {
        Err(format!("\"{text}\" is neither an absolute path without .. nor an http or https URL"))
    }
}

/// A program by a name that app connections use: `internal-dns=/usr/local/lib/chancery/internal-dns`.
pub fn hook(text: &str) -> Result<(String, PathBuf), String> {
    let refuse = |reason: &str| Err(format!("\"{text}\" {reason}; write it as name=/absolute/path/of/the/program"));
    let Some((name, path)) = text.split_once('=') else { return refuse("has no = in it") };
    let (name, path) = (name.trim(), Path::new(path.trim()));
    if !is_plain_name(name) {
        return refuse("begins with no name of 1 to 64 of a-z, 0-9, dot, underscore and hyphen");
    }
    if is_absolute(path) { Ok((name.to_owned(), path.to_owned())) } else { refuse("has no absolute path without ..") }
}

pub fn node(text: &str) -> Result<String, String> {
    if is_plain_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a node name is 1 to 64 of a-z, 0-9, dot, underscore and hyphen".to_owned())
    }
}

fn is_plain_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_absolute(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
}

pub fn database_url(text: &str) -> Result<String, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        Ok(text.to_owned())
    } else {
        Err("it does not start with postgres://; leave it out to use the embedded database".to_owned())
    }
}

pub fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("\"{other}\" is neither text nor json")),
    }
}

pub fn log_level(text: &str) -> Result<String, String> {
    match EnvFilter::builder().parse(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err(format!("\"{text}\" is not a level; write one of error, warn, info, debug, trace")),
    }
}
