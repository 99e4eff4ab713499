//! `chancery cert`: request, renew, show, list, download and revoke certificates.

mod destination;
mod download;
mod import;
mod request;
mod revoke;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

pub use destination::{CertificateFiles, Destination, write_files};

use crate::client::{CERT_MANAGER, Client};
use crate::connection::ConnectionArguments;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Output, list_at, short_time, text_at};

const EXAMPLES: &str = "\
Examples:
  chancery cert request --profile tls-server --common-name www.example.internal --ttl 90d
  openssl req -new -newkey rsa:2048 -nodes -keyout api.key -subj /CN=api.example.internal \\
    | chancery cert request --profile tls-server --csr - --out-dir api
  chancery cert list --status active
  chancery cert renew 0198c0de-0000-7000-8000-000000000000
  chancery cert download 0198c0de-0000-7000-8000-000000000000 --format pkcs12 --password-file pw --out www.p12
  chancery cert import /etc/pki/tls/certs --recursive --dry-run
  chancery cert revoke 0198c0de-0000-7000-8000-000000000000 --reason key-compromise";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CertificateArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    #[command(subcommand)]
    command: CertificateCommand,
}

#[derive(Debug, Subcommand)]
enum CertificateCommand {
    /// Request a certificate, with a key made by the server or for a CSR
    Request(Box<request::RequestArguments>),
    /// Renew a certificate: the same contents with a new validity
    Renew(request::RenewArguments),
    /// Show one certificate
    Show(ShowArguments),
    /// List and search certificates, newest first
    List(ListArguments),
    /// Fetch a certificate, its chain or its private key
    Download(download::DownloadArguments),
    /// Revoke a certificate, or put it on hold with --reason certificate-hold
    Revoke(revoke::RevokeArguments),
    /// Take a certificate off hold: it is valid again
    Release(revoke::ReleaseArguments),
    /// Bring certificates that were made elsewhere into the inventory
    Import(import::ImportArguments),
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// Id of the certificate
    id: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Active,
    Expired,
    Revoked,
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only certificates of this profile (slug or id)
    #[arg(long)]
    profile: Option<String>,
    /// Only certificates with this text in a name or serial number
    #[arg(long)]
    search: Option<String>,
    /// Only certificates with exactly this common name
    #[arg(long)]
    common_name: Option<String>,
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only certificates that end before this date, such as 2026-12-31
    #[arg(long, value_name = "DATE")]
    expires_before: Option<String>,
    /// How many to show
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    /// Where to go on: what the page before named
    #[arg(long)]
    cursor: Option<String>,
}

pub(crate) async fn run(arguments: CertificateArguments) -> Result<(), CliError> {
    let output = Output::new(arguments.connection.json);
    let connection = &arguments.connection;
    match arguments.command {
        CertificateCommand::Request(request) => request::request(connection, *request, output).await,
        CertificateCommand::Renew(renew) => request::renew(connection, renew, output).await,
        CertificateCommand::Show(show) => show_certificate(&connection.connect().await?, &show.id, output).await,
        CertificateCommand::List(list) => list_certificates(&connection.connect().await?, list, output).await,
        CertificateCommand::Download(download) => download::download(connection, download, output).await,
        CertificateCommand::Revoke(revoke) => revoke::revoke(&connection.connect().await?, revoke, output).await,
        CertificateCommand::Release(release) => revoke::release(&connection.connect().await?, release, output).await,
        CertificateCommand::Import(import) => import::import(connection, import, output).await,
    }
}

/// The address of one certificate, for an id as typed.
fn path_of(id: &str) -> String {
    format!("{CERT_MANAGER}/certificates/{}", lookup::encoded(id))
}

async fn show_certificate(client: &Client, id: &str, output: Output) -> Result<(), CliError> {
    let answer = client.get(&path_of(id)).await?.success()?;
    if output.is_json() {
        return output.json(&answer);
    }
    let certificate = answer.pointer("/certificate").unwrap_or(&answer);
    let plain = |name: &str| text_at(certificate, &format!("/{name}"));
    let time = |name: &str| short_time(&plain(name));
    let validity = format!("{} to {}", time("notBefore"), time("notAfter"));
    output.facts(&[
        ("Id", plain("id")),
        ("Status", plain("status")),
        ("Common name", plain("commonName")),
        ("Alternative names", plain("altNames").replace(',', ", ")),
        ("Organization", plain("subjectOrganization")),
        ("Serial number", plain("serialNumber")),
        ("Valid", validity),
        ("Issuer", plain("caName")),
        ("Profile", plain("profileName")),
        ("Key", plain("keyAlgorithm")),
        ("Signature", plain("signatureAlgorithm")),
        ("Key usages", plain("keyUsages")),
        ("Extended key usages", plain("extendedKeyUsages")),
        ("Private key stored", plain("hasPrivateKey")),
        ("SHA-256 fingerprint", plain("fingerprintSha256")),
        ("Renewed from", plain("renewedFromCertificateId")),
        ("Renewed by", plain("renewedByCertificateId")),
        ("Renewal error", plain("renewalError")),
        ("Revoked", time("revokedAt")),
    ])
}

async fn list_certificates(client: &Client, arguments: ListArguments, output: Output) -> Result<(), CliError> {
    let project = lookup::project_id(client).await?;
    let mut search = json!({"limit": arguments.limit});
    let mut put = |name: &str, value: Option<Value>| {
        if let (Some(value), Some(fields)) = (value, search.as_object_mut()) {
            fields.insert(name.to_owned(), value);
        }
    };
    if let Some(profile) = &arguments.profile {
        put("profileIds", Some(json!([lookup::profile_id(client, profile).await?])));
    }
    put("search", arguments.search.map(Value::from));
    put("commonName", arguments.common_name.map(Value::from));
    put("notAfterTo", arguments.expires_before.map(Value::from));
    put("cursor", arguments.cursor.map(Value::from));
    put("status", arguments.status.and_then(|one| one.to_possible_value()).map(|one| Value::from(one.get_name())));
    let found = client.post(&format!("/api/v1/projects/{project}/certificates/search"), &search).await?.success()?;
    if output.is_json() {
        return output.json(&found);
    }
    let rows = list_at(&found, "/certificates")
        .map(|one| {
            let name = text_at(one, "/commonName");
            vec![
                text_at(one, "/id"),
                if name.is_empty() { text_at(one, "/altNames") } else { name },
                text_at(one, "/status"),
                short_time(&text_at(one, "/notAfter")),
                text_at(one, "/serialNumber"),
            ]
        })
        .collect();
    output.rows(&["id", "name", "status", "not after", "serial number"], rows, "No certificate fits.")?;
    let next = text_at(&found, "/nextCursor");
    if !next.is_empty() {
        output.note(&format!("More: add --cursor {next}"));
    }
    Ok(())
}
