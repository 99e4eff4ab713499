//! `chancery ca`: look at, create, renew and import certification authorities, and set up those of others.

mod external;
mod lifecycle;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::client::{CERT_MANAGER, Client};
use crate::connection::ConnectionArguments;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Output, list_at, print_bytes, short_time, text_at};

const EXAMPLES: &str = "\
Examples:
  chancery ca create --as-admin --name root --common-name 'Acme Root' --key-algorithm EC_secp384r1 --years 10
  chancery ca create --as-admin --name issuing --common-name 'Acme Issuing 1' --parent root --years 5
  chancery ca show issuing
  chancery ca show root --pem > root.pem
  chancery ca renew --as-admin issuing --new-key
  chancery ca auto-renewal --as-admin issuing --enable --days 60
  chancery ca crl issuing > issuing.crl
  chancery ca import --as-admin --name legacy --certificate ca.pem --key ca.key --last-crl crl.pem
  chancery ca create-acme --as-admin --name le --directory letsencrypt --email pki@acme.com --zone rfc2136:dns:acme.com
  chancery ca create-vault --as-admin --name bao --connection bao --role web";

const ROOT_YEARS: u16 = 10;
const INTERMEDIATE_YEARS: u16 = 5;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CaArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Debug, Subcommand)]
enum CaCommand {
    /// List the certification authorities
    List,
    /// Show one certification authority
    Show(ShowArguments),
    /// Create a root CA, or with --parent or --vault an intermediate one, and its certificate
    Create(NewCa),
    /// Give a CA its next certificate, over the same key or with --new-key
    Renew(lifecycle::RenewArguments),
    /// Show or change whether the server renews a CA by itself
    AutoRenewal(lifecycle::AutoRenewalArguments),
    /// Print the complete revocation list of a CA
    Crl(lifecycle::CrlArguments),
    /// Take over a CA that was run elsewhere, with its key
    Import(Box<lifecycle::ImportArguments>),
    /// Set up a CA that speaks ACME, such as Let's Encrypt
    CreateAcme(Box<external::AcmeArguments>),
    /// Set up DigiCert CertCentral
    CreateDigicert(external::DigicertArguments),
    /// Set up the PKI secrets engine of a HashiCorp Vault or OpenBao
    CreateVault(external::VaultArguments),
    /// Give the account at an ACME CA a new key
    ChangeAccountKey {
        /// Name or id
        name: String,
    },
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// Name or id
    name: String,
    /// Print its certificate and those above it as PEM
    #[arg(long)]
    pem: bool,
}

/// A CA to create.
#[derive(Clone, Debug, Default, Args)]
pub struct NewCa {
    /// Name to call it by: lower-case letters, digits and hyphens
    #[arg(long)]
    pub name: String,
    /// Common name in its certificate
    #[arg(long)]
    pub common_name: String,
    #[arg(long)]
    pub organization: Option<String>,
    /// Two letters
    #[arg(long)]
    pub country: Option<String>,
    /// The CA that signs it (name or id); without it the new CA is a root
    #[arg(long, value_name = "CA")]
    pub parent: Option<String>,
    #[command(flatten)]
    pub signed_by: external::SignedByVault,
    #[arg(long, default_value = "EC_prime256v1", value_name = "NAME")]
    pub key_algorithm: String,
    /// How many years its certificate is valid [default: 10 for a root, 5 otherwise]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub years: Option<u16>,
    /// How many further CAs may stand below it, -1 for no limit [default: -1 for a root, 0 otherwise]
    #[arg(long, allow_hyphen_values = true, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(-1..=255))]
    pub path_length: Option<i64>,
}

pub(crate) async fn run(arguments: CaArguments) -> Result<(), CliError> {
    let output = Output::new(arguments.connection.json);
    let client = arguments.connection.connect().await?;
    match arguments.command {
        CaCommand::List => list(&client, output).await,
        CaCommand::Show(show) if show.pem => print_chain(&client, &show.name).await,
        CaCommand::Show(show) => show_ca(&lookup::ca(&client, &show.name).await?, output),
        CaCommand::Renew(arguments) => lifecycle::renew(&client, arguments, output).await,
        CaCommand::AutoRenewal(arguments) => lifecycle::auto_renewal(&client, arguments, output).await,
        CaCommand::Crl(arguments) => lifecycle::crl(&client, arguments, output).await,
        CaCommand::Import(arguments) => lifecycle::import(&client, *arguments, output).await,
        CaCommand::CreateAcme(new) => external::create_acme(&client, *new, output).await,
        CaCommand::CreateDigicert(new) => external::create_digicert(&client, new, output).await,
        CaCommand::CreateVault(new) => external::create_vault(&client, new, output).await,
        CaCommand::ChangeAccountKey { name } => external::change_account_key(&client, &name, output).await,
        CaCommand::Create(new) => {
            let ca = create(&client, &new).await?;
            if output.is_json() {
                return output.json(&ca);
            }
            output.line(&format!("Created {} as {}", new.name, text_at(&ca, "/id")))
        }
    }
}

async fn list(client: &Client, output: Output) -> Result<(), CliError> {
    let found = client.get(&format!("{CERT_MANAGER}/ca")).await?.success()?;
    let all = found.get("certificateAuthorities").cloned().unwrap_or_default();
    if output.is_json() {
        return output.json(&all);
    }
    let rows = list_at(&all, "")
        .map(|one| {
            let first = |names: [&str; 3]| {
                names.map(|name| text_at(one, name)).into_iter().find(|text| !text.is_empty()).unwrap_or_default()
            };
            vec![
                text_at(one, "/name"),
                text_at(one, "/status"),
                first(["/configuration/type", "/type", ""]),
                first(["/configuration/dn", "/configuration/directoryUrl", "/configuration/mount"]),
                short_time(&text_at(one, "/configuration/notAfter")),
                text_at(one, "/id"),
            ]
        })
        .collect();
    output.rows(
        &["name", "status", "type", "subject", "not after", "id"],
        rows,
        "There is no certification authority yet.",
    )
}

fn show_ca(ca: &Value, output: Output) -> Result<(), CliError> {
    if output.is_json() {
        return output.json(ca);
    }
    if text_at(ca, "/type") != "internal" {
        return external::show(ca, output);
    }
    let setting = |name: &str| text_at(ca, &format!("/configuration/{name}"));
    output.facts(&[
        ("Id", text_at(ca, "/id")),
        ("Name", text_at(ca, "/name")),
        ("Status", text_at(ca, "/status")),
        ("Type", setting("type")),
        ("Subject", setting("dn")),
        ("Key", setting("keyAlgorithm")),
        ("Serial number", setting("serialNumber")),
        ("Valid from", short_time(&setting("notBefore"))),
        ("Valid to", short_time(&setting("notAfter"))),
        ("CAs below it", setting("maxPathLength").replace("-1", "no limit")),
        ("Signed by", setting("parentCaId")),
    ])
}

async fn print_chain(client: &Client, name: &str) -> Result<(), CliError> {
    let id = lookup::ca_id(client, name).await?;
    let answer = client.get(&format!("{CERT_MANAGER}/ca/internal/{id}/certificate")).await?.success()?;
    let mut text = text_at(&answer, "/certificate").trim_end().to_owned();
    text.push('\n');
    text.push_str(&text_at(&answer, "/certificateChain"));
    print_bytes(text.as_bytes())
}

/// Creates a CA with its certificate and answers with the CA as it then is.
pub async fn create(client: &Client, new: &NewCa) -> Result<Value, CliError> {
    let is_root = new.parent.is_none() && new.signed_by.vault.is_none();
    let years = new.years.unwrap_or(if is_root { ROOT_YEARS } else { INTERMEDIATE_YEARS });
    let not_after =
        years_later(&server_time(client).await?, years).ok_or_else(|| client.unreadable("it shows no time"))?;
    let parent_id = match &new.parent {
        Some(parent) => Some(lookup::ca_id(client, parent).await?),
        None => None,
    };
    let mut configuration = Map::from_iter([
        ("type".to_owned(), json!(if is_root { "root" } else { "intermediate" })),
        ("commonName".to_owned(), json!(new.common_name)),
        ("keyAlgorithm".to_owned(), json!(new.key_algorithm)),
    ]);
    for (name, value) in [("organization", &new.organization), ("country", &new.country)] {
        if let Some(value) = value {
            configuration.insert(name.to_owned(), json!(value));
        }
    }
    if is_root {
        configuration.insert("notAfter".to_owned(), json!(not_after));
        configuration.insert("maxPathLength".to_owned(), json!(new.path_length.unwrap_or(-1)));
    }
    let body = json!({"name": new.name, "status": "active", "configuration": configuration});
    let ca = client.post(&format!("{CERT_MANAGER}/ca/internal"), &body).await?.success()?;
    let path = format!("{CERT_MANAGER}/ca/internal/{}", text_at(&ca, "/id"));
    if is_root {
        return Ok(ca);
    }
    let path_length = new.path_length.unwrap_or(0);
    let signed = if let Some(parent_id) = parent_id {
        let wanted = json!({"notAfter": not_after, "maxPathLength": path_length, "parentCaId": parent_id});
        client.post(&format!("{path}/certificate"), &wanted).await.and_then(crate::Reply::success).map(|_| ())
    } else {
        let wanted = json!({"notAfter": not_after, "maxPathLength": path_length});
        external::sign_by_vault(client, &path, &new.signed_by, &wanted).await
    };
    if let Err(error) = signed {
        // An intermediate that nobody signed would only stand in the way of the next try.
        let _ = client.delete(&path).await;
        return Err(error);
    }
    client.get(&path).await?.success()
}

/// The server's own clock: what it will judge the dates by.
async fn server_time(client: &Client) -> Result<String, CliError> {
    Ok(text_at(&client.get("/api/status").await?.success()?, "/date"))
}

/// The same moment so many calendar years later; 29 February becomes the 28th where there is none.
fn years_later(time: &str, years: u16) -> Option<String> {
    let (date, clock) = time.split_once('T')?;
    let mut parts = date.splitn(3, '-');
    let year: u16 = parts.next()?.parse().ok()?;
    let (month, day) = (parts.next()?, parts.next()?);
    let year = year.checked_add(years).filter(|year| *year <= 9999)?;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let day = if month == "02" && day == "29" && !is_leap { "28" } else { day };
    Some(format!("{year:04}-{month}-{day}T{clock}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_calendar_years() {
        let check = |time: &str, years: u16, expected: Option<&str>| {
            assert_eq!(years_later(time, years).as_deref(), expected, "{time} + {years}");
        };
        check("2026-11-23T12:30:00.000Z", 10, Some("2036-11-23T12:30:00.000Z"));
        check("2028-02-29T00:00:00.000Z", 1, Some("2029-02-28T00:00:00.000Z"));
        check("2028-02-29T00:00:00.000Z", 4, Some("2032-02-29T00:00:00.000Z"));
        check("9990-01-01T00:00:00.000Z", 10, None);
        check("today", 1, None);
        check("", 1, None);
    }
}
