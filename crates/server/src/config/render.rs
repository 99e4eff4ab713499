//! The configuration printed: the effective one as TOML, and all keys as a Markdown page.

use std::fmt::Write as _;

use super::key::{KEYS, Key};
use super::outbound::PasswordSource;
use super::{Config, KekSource, LogFormat};

const MASK: &str = "****";

pub fn toml(config: &Config) -> String {
    let mut out = String::from("# The effective configuration. Secrets are masked.\n");
    for key in KEYS {
        out.push('\n');
        for line in wrapped(key.meaning, 110) {
            writeln!(out, "# {line}").ok();
        }
        writeln!(out, "# {}; default: {}; also {}", key.form, key.default, key.variable()).ok();
        match value(config, key) {
            Some(value) if key.environment_only => writeln!(out, "# {} = {value}", key.name).ok(),
            Some(value) => writeln!(out, "{} = {value}", key.name).ok(),
            None => writeln!(out, "# {} is not set", key.name).ok(),
        };
    }
    out
}

/// Name and value of every key that is set, secrets masked.
pub fn pairs(config: &Config) -> Vec<(String, String)> {
    KEYS.iter().filter_map(|key| Some((key.name.to_owned(), value(config, key)?))).collect()
}

pub fn markdown() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         Generated from the program; do not edit by hand.\n\n\
         Each key stands in the file given with `--config` (TOML) or in the environment variable beside it, which wins.\n\
         `chancery config print` shows the effective values with secrets masked. A file that its group or others may\n\
         write is refused, and so is every unknown key.\n\n\
         | key | variable | value | default | meaning |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for key in KEYS {
        let name = if key.environment_only { "(environment only)".to_owned() } else { format!("`{}`", key.name) };
        writeln!(out, "| {name} | `{}` | {} | {} | {} |", key.variable(), key.form, key.default, key.meaning).ok();
    }
    out
}

/// The value as TOML; `None` if it is not set.
fn value(config: &Config, key: &Key) -> Option<String> {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let path = |path: &std::path::Path| quoted(&path.to_string_lossy());
    match key.name {
        "data_dir" => Some(path(&config.data_dir)),
        "listen" => Some(quoted(&config.listen.to_string())),
        "behind_proxy" => Some(config.behind_proxy.to_string()),
        "trusted_proxies" if config.behind_proxy => {
            let networks = config.trusted_proxies.iter().map(|network| quoted(&network.to_string()));
            Some(format!("[{}]", networks.collect::<Vec<_>>().join(", ")))
        }
        "tls_certificate_file" => config.tls.as_ref().map(|files| path(&files.certificate)),
        "tls_private_key_file" => config.tls.as_ref().map(|files| path(&files.private_key)),
        "site_url" => config.site_url.as_deref().map(quoted),
        "repository_url" => config.repository_url.as_deref().map(quoted),
        "repository_listen" => config.repository_listen.map(|address| quoted(&address.to_string())),
        "crl_mirrors" => {
            let mirrors = config.crl_mirrors.iter().map(|mirror| quoted(&mirror.to_string()));
            Some(format!("[{}]", mirrors.collect::<Vec<_>>().join(", ")))
        }
        "acme_http_listen" => config.acme_http_listen.map(|address| quoted(&address.to_string())),
        "acme_tls_listen" => config.acme_tls_listen.map(|address| quoted(&address.to_string())),
        "dns_hooks" => {
            let hooks = config.outbound.dns_hooks.iter();
            let hooks = hooks.map(|(name, program)| quoted(&format!("{name}={}", program.display())));
            Some(format!("[{}]", hooks.collect::<Vec<_>>().join(", ")))
        }
        "node" => Some(quoted(&config.node)),
        "database_url" => config.database_url.as_deref().map(|url| quoted(&without_password(url))),
        "kek_file" => config.kek_file().map(path),
        "kek" => matches!(config.kek, KekSource::Text(_)).then(|| quoted(MASK)),
        "smtp_url" => config.outbound.smtp.as_ref().map(|smtp| quoted(&smtp.url)),
        "smtp_from" => config.outbound.smtp.as_ref().map(|smtp| quoted(&smtp.from)),
        "smtp_password" | "smtp_password_file" => {
            match config.outbound.smtp.as_ref().and_then(|it| it.password.as_ref()) {
                Some(PasswordSource::Text(_)) if key.environment_only => Some(quoted(MASK)),
                Some(PasswordSource::File(file)) if !key.environment_only => Some(path(file)),
                _ => None,
            }
        }
        "egress_allowed_networks" if !config.outbound.allowed_networks.is_empty() => {
            let networks = config.outbound.allowed_networks.iter().map(|network| quoted(&network.to_string()));
            Some(format!("[{}]", networks.collect::<Vec<_>>().join(", ")))
        }
        "egress_loopback_for_tests" => Some(config.outbound.loopback.to_string()),
        "egress_proxy" => config.outbound.proxy.as_deref().map(quoted),
        "egress_ca_file" => config.outbound.ca_file.as_deref().map(path),
        "log_format" => Some(quoted(match config.log_format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })),
        "log_level" => Some(quoted(&config.log_level)),
        "connections_max" => Some(config.limits.connections_max.to_string()),
        "header_bytes_max" => Some(config.limits.header_bytes_max.to_string()),
        "header_timeout_seconds" => Some(config.limits.header_timeout.as_secs().to_string()),
        "stop_timeout_seconds" => Some(config.limits.stop_timeout.as_secs().to_string()),
        "failed_calls_per_second" => Some(config.limits.failed_calls_per_second.to_string()),
        "repository_calls_per_second" => Some(config.limits.repository_calls_per_second.to_string()),
        _ => None,
    }
}

/// Masks `user:password@` and every query parameter whose name speaks of a password or a key.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // A careless password holds unescaped slashes, question marks or at signs: all up to the last at sign is masked.
    let (credentials, host) = match rest.rsplit_once('@') {
        Some((credentials, host)) => match credentials.split_once(':') {
            Some((user, _)) => (format!("{user}:{MASK}@"), host),
            None => (format!("{credentials}@"), host),
        },
        None => (String::new(), rest),
    };
    let Some((host, query)) = host.split_once('?') else { return format!("{scheme}://{credentials}{host}") };
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if name.contains("pass") || name.contains("key") => format!("{name}={MASK}"),
        _ => parameter.to_owned(),
    });
    format!("{scheme}://{credentials}{host}?{}", parameters.collect::<Vec<_>>().join("&"))
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
