//! `chancery quickstart`: from nothing to certificates, through the same HTTP API that everybody uses.
//!
//! It starts a server on a fresh (or its own earlier) data directory, logs in over HTTP, makes what is missing (an
//! identity, two CAs, a template, two profiles), requests, renews and verifies certificates, and shows the commands that
//! do the same by hand. Every step looks first, so that a second run finds and repeats nothing.

mod accounts;
mod certificates;
mod configuration;
mod guide;
mod verification;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use chancery_cli::Client;
use chancery_cli::files;
use chancery_cli::output::print_bytes;
use chancery_pkix::{GeneralName, GeneralNameKind};
use chancery_server::{Config, RunningServer};
use clap::Args;

use crate::config::Overrides;
use crate::failure::Failure;
use crate::serve;
use crate::signals::StopSignal;
use accounts::Accounts;

const EXAMPLES: &str = "\
Examples:
  chancery quickstart
  chancery quickstart --domain acme.internal --data-dir /var/lib/chancery
  chancery quickstart --once --listen 127.0.0.1:0     sets everything up and stops";

const DEFAULT_DOMAIN: &str = "example.internal";
/// Used where the next port is none.
const DEFAULT_REPOSITORY_PORT: u16 = 8_201;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct QuickstartArguments {
    /// Domain whose names may be certified [default: example.internal, or that of the run before]
    #[arg(long)]
    domain: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
    /// Stop after the certificates are there, in place of going on serving
    #[arg(long)]
    once: bool,
}

/// What the steps share.
struct Setting {
    data_dir: PathBuf,
    domain: String,
    accounts: Accounts,
    /// Where CRLs and OCSP are served now.
    repository_url: Option<String>,
}

pub async fn run(arguments: QuickstartArguments) -> Result<(), Failure> {
    let config = configuration(&arguments.overrides)?;
    let data_dir = config.data_dir().to_owned();
    files::create_directory(&data_dir)?;
    let earlier = accounts::load(&data_dir)?;
    let domain = choose_domain(arguments.domain.as_deref(), earlier.as_ref().map(|it| it.domain.as_str()))?;
    chancery_server::init_logging(&config);
    let mut stop = StopSignal::listen()?;
    say(&format!("Chancery quickstart for {domain}"))?;
    let server = serve::start(config).await?;
    let outcome = tokio::select! {
        outcome = walk(&server, data_dir, domain, arguments.once) => outcome,
        () = stop.received() => Err(Failure::failed("Stopped before everything was there; run it again to go on")),
    };
    if outcome.is_ok() && !arguments.once {
        serve::announce(&server)?;
        say("Press Ctrl-C to stop.")?;
        stop.received().await;
        say("Stopping.")?;
    }
    server.stop().await;
    outcome
}

/// The configuration in force. Unless something else is set, the repository is served on the next port of loopback, so
/// that every certificate says where its revocation is looked up.
fn configuration(overrides: &Overrides) -> Result<Config, Failure> {
    const QUIET: (&str, &str) = ("CHANCERY_LOG_LEVEL", "warn");
    let config = overrides.load(None, &[QUIET])?;
    if config.repository_listen().is_some() || config.repository_url().is_some() {
        return Ok(config);
    }
    let address = repository_address(config.listen());
    let (listen, url) = (address.to_string(), format!("http://{address}"));
    overrides.load(
        None,
        &[QUIET, ("CHANCERY_REPOSITORY_LISTEN", listen.as_str()), ("CHANCERY_REPOSITORY_URL", url.as_str())],
    )
}

/// Any free port beside any free port.
fn repository_address(listen: SocketAddr) -> SocketAddr {
    let port = match listen.port() {
        0 => 0,
        taken => taken.checked_add(1).unwrap_or(DEFAULT_REPOSITORY_PORT),
    };
    let ip = if listen.is_ipv4() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { IpAddr::from(Ipv6Addr::LOCALHOST) };
    SocketAddr::new(ip, port)
}

/// All steps, in order.
async fn walk(server: &RunningServer, data_dir: PathBuf, domain: String, once: bool) -> Result<(), Failure> {
    step("data directory", &data_dir.display().to_string())?;
    let client = Client::new(&server.url(), None)?;
    let accounts = Accounts::prepare(client, &data_dir, &domain).await?;
    let repository_url = server.authority().repository_url().map(str::to_owned);
    let mut setting = Setting { data_dir, domain, accounts, repository_url };
    let configuration = configuration::prepare(&mut setting).await?;
    let outcome = certificates::prepare(&setting, &configuration).await?;
    // As late as can be: the link works for a quarter of an hour from here.
    let web_ui = if once { None } else { Some(web_ui(server, &setting.accounts.credentials.admin_email).await?) };
    let served = guide::Served { address: server.address, repository_address: server.repository_address, web_ui };
    guide::print(&setting, &configuration, &outcome, &served)
}

/// Where the administrator goes on in a browser. Whoever has switched a second factor on signs in with it.
async fn web_ui(server: &RunningServer, admin_email: &str) -> Result<guide::WebUi, Failure> {
    let authority = server.authority();
    let site = authority.site_url().map_or_else(|| server.url(), str::to_owned);
    let link = authority.new_sign_in_link(admin_email).await;
    let link = link.map_err(|error| Failure::caused("The sign-in link cannot be made", &error))?;
    Ok(match link {
        Some(token) => guide::WebUi { url: format!("{site}/ui/sign-in/link?token={}", token.as_str()), signs_in: true },
        None => guide::WebUi { url: format!("{site}/ui"), signs_in: false },
    })
}

/// A data directory belongs to one domain: its template allows no other.
fn choose_domain(asked: Option<&str>, earlier: Option<&str>) -> Result<String, Failure> {
    let earlier = earlier.filter(|domain| !domain.is_empty());
    let asked = asked.map(checked_domain).transpose()?;
    match (asked, earlier) {
        (Some(asked), Some(earlier)) if asked != earlier => Err(Failure::usage(format!(
            "This data directory was set up for {earlier}; leave --domain out, or name another --data-dir for {asked}"
        ))),
        (Some(domain), _) => Ok(domain),
        (None, earlier) => Ok(earlier.unwrap_or(DEFAULT_DOMAIN).to_owned()),
    }
}

/// The domain in its canonical form; judged by a name below it, since that is what gets certified.
fn checked_domain(text: &str) -> Result<String, Failure> {
    let host = GeneralName::parse(GeneralNameKind::DnsName, &format!("host.{text}"))
        .map_err(|error| Failure::usage(format!("\"{text}\" is not a domain: {error}")))?;
    Ok(host.value().trim_start_matches("host.").to_owned())
}

/// A line of progress.
fn step(what: &str, outcome: &str) -> Result<(), Failure> {
    say(&format!("  {what:<24} {outcome}"))
}

fn say(line: &str) -> Result<(), Failure> {
    Ok(print_bytes(format!("{line}\n").as_bytes())?)
}

/// A path as a shell takes it back.
fn shell_quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_keeps_its_domain() {
        let check = |asked: Option<&str>, earlier: Option<&str>, expected: Option<&str>| {
            assert_eq!(choose_domain(asked, earlier).ok().as_deref(), expected, "{asked:?} {earlier:?}");
        };
        check(None, None, Some("example.internal"));
        check(Some("Acme.Internal"), None, Some("acme.internal"));
        check(None, Some("acme.internal"), Some("acme.internal"));
        check(Some("acme.internal"), Some("acme.internal"), Some("acme.internal"));
        check(Some("other.internal"), Some("acme.internal"), None);
        check(Some("not a domain"), None, None);
        check(Some(""), None, None);
    }

    #[test]
    fn the_repository_is_served_beside_the_api() {
        for (listen, expected) in [
            ("127.0.0.1:8200", "127.0.0.1:8201"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:443", "127.0.0.1:444"),
            ("[::1]:8200", "[::1]:8201"),
            ("127.0.0.1:65535", "127.0.0.1:8201"),
        ] {
            assert_eq!(repository_address(listen.parse().unwrap()).to_string(), expected, "{listen}");
        }
    }

    #[test]
    fn paths_survive_the_shell() {
        for (path, expected) in
            [("./chancery-data", "./chancery-data"), ("/tmp/my data", "'/tmp/my data'"), ("it's", r"'it'\''s'")]
        {
            assert_eq!(shell_quoted(Path::new(path)), expected);
        }
    }
}
