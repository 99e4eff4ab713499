//! How this server reaches others: the mail server, and what webhooks and external CAs may be at.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use chancery_egress::AddressPolicy;
use chancery_notifier::{Mailer, SmtpSettings};
use ipnet::IpNet;
use zeroize::Zeroizing;

use super::settings::Settings;
use super::{ConfigError, parse};

/// Everything about connections that this server opens by itself.
#[derive(Clone)]
pub struct OutboundConfig {
    /// Absent: no e-mail.
    pub smtp: Option<SmtpConfig>,
    /// Networks that are not public and may be reached nevertheless.
    pub allowed_networks: Vec<IpNet>,
    /// Whether those of loopback among them count.
    pub loopback: bool,
    pub proxy: Option<String>,
    pub ca_file: Option<PathBuf>,
    /// Programs that app connections may name: name and absolute path.
    pub dns_hooks: BTreeMap<String, PathBuf>,
}

#[derive(Clone)]
pub struct SmtpConfig {
    /// As it was written.
    pub url: String,
    pub settings: SmtpSettings,
    pub from: String,
    pub password: Option<PasswordSource>,
}

#[derive(Clone)]
pub enum PasswordSource {
    File(PathBuf),
    /// From the environment.
    Text(Zeroizing<String>),
}

impl OutboundConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let loopback = settings.boolean("egress_loopback_for_tests")?.unwrap_or(false);
        Ok(Self {
            smtp: smtp(settings)?,
            allowed_networks: allowed_networks(settings, loopback)?,
            loopback,
            proxy: settings.parsed("egress_proxy", parse::url)?,
            ca_file: settings.path("egress_ca_file")?,
            dns_hooks: dns_hooks(settings)?,
        })
    }
}

fn allowed_networks(settings: &Settings, loopback: bool) -> Result<Vec<IpNet>, ConfigError> {
    let refused = |reason: String| settings.invalid("egress_allowed_networks", &reason);
    let texts = settings.list("egress_allowed_networks")?.unwrap_or_default();
    let networks: Vec<_> = texts.iter().map(|text| network(text).map_err(refused)).collect::<Result<_, _>>()?;
    match networks.iter().find(|network| !loopback && AddressPolicy::covers_loopback(network)) {
        Some(network) => Err(refused(format!(
            "{network} takes in loopback addresses, and with them whatever listens on this machine alone (this server's \
             own doors, databases): everybody who may set a webhook or an external CA could have it asked; name the \
             networks that are meant, such as 10.0.0.0/8. A test that runs its services here may set \
             egress_loopback_for_tests = true"
        ))),
        None => Ok(networks),
    }
}

fn dns_hooks(settings: &Settings) -> Result<BTreeMap<String, PathBuf>, ConfigError> {
    let refused = |reason: String| settings.invalid("dns_hooks", &reason);
    let mut hooks = BTreeMap::new();
    for text in settings.list("dns_hooks")?.unwrap_or_default() {
        let (name, path) = parse::hook(text.trim()).map_err(refused)?;
        if hooks.insert(name.clone(), path).is_some() {
            return Err(refused(format!("{name} stands there twice")));
        }
    }
    Ok(hooks)
}

fn smtp(settings: &Settings) -> Result<Option<SmtpConfig>, ConfigError> {
    let password = match (settings.text("smtp_password")?, settings.path("smtp_password_file")?) {
        (Some(_), Some(_)) => {
            return Err(
                settings.invalid("smtp_password_file", "the password is also in CHANCERY_SMTP_PASSWORD; set one")
            );
        }
        (Some(text), None) => Some(PasswordSource::Text(Zeroizing::new(text.to_owned()))),
        (None, file) => file.map(PasswordSource::File),
    };
    let password_key =
        if matches!(password, Some(PasswordSource::Text(_))) { "smtp_password" } else { "smtp_password_file" };
    let from = settings.text("smtp_from")?;
    let Some(url) = settings.text("smtp_url")? else {
        return match (from, password) {
            (Some(_), _) => {
                Err(settings.invalid("smtp_from", "it has no effect without smtp_url; set both or neither"))
            }
            (None, Some(_)) => Err(settings.invalid(password_key, "it has no effect without smtp_url")),
            (None, None) => Ok(None),
        };
    };
    let parsed = SmtpSettings::parse(url).map_err(|reason| settings.invalid("smtp_url", &reason))?;
    let Some(from) = from else {
        return Err(settings.invalid("smtp_url", "smtp_from must be set with it, such as Chancery <pki@example.com>"));
    };
    Mailer::check_sender(from).map_err(|reason| settings.invalid("smtp_from", &reason))?;
    match (parsed.needs_password(), &password) {
        (true, None) => return Err(settings.invalid("smtp_url", "its user needs smtp_password_file")),
        (false, Some(_)) => {
            return Err(
                settings.invalid(password_key, "smtp_url names no user; write it as smtps://user@mail.example.com")
            );
        }
        _ => {}
    }
    Ok(Some(SmtpConfig { url: url.to_owned(), settings: parsed, from: from.to_owned(), password }))
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from).ok();
    let parsed = text.parse::<IpNet>().ok().map(|it| it.trunc()).or_else(address);
    parsed.ok_or_else(|| format!("\"{text}\" is neither an address nor a CIDR block; write it as 10.0.0.0/8"))
}
