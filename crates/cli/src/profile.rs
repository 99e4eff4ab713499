//! `chancery profile`: a template, an issuer and defaults under one name.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use crate::client::{CERT_MANAGER, Client};
use crate::connection::ConnectionArguments;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Output, text_at};

const EXAMPLES: &str = "\
Examples:
  chancery profile create --as-admin --slug web --template acme-tls --ca issuing --ttl-days 90
  chancery profile create --as-admin --slug lab --template acme-tls --self-signed
  chancery profile show web";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProfileArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// List the certificate profiles
    List,
    /// Show one certificate profile
    Show {
        /// Slug or id
        name: String,
    },
    /// Create a profile
    Create(NewProfile),
}

/// Where private keys made by the server are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyCustody {
    /// Sealed in the server's store
    Stored,
    /// Nowhere: the issue answer holds the only copy
    ReturnOnce,
    /// The server makes none: requests need a CSR
    None,
}

impl KeyCustody {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::ReturnOnce => "returnOnce",
            Self::None => "none",
        }
    }
}

/// A profile to create.
#[derive(Clone, Debug, Default, Args)]
#[command(group = clap::ArgGroup::new("issuer").required(true).args(["ca", "self_signed"]))]
pub struct NewProfile {
    /// Name that requests use: lower-case letters, digits and hyphens
    #[arg(long)]
    pub slug: String,
    /// Template that says what may be requested (name or id)
    #[arg(long)]
    pub template: String,
    /// CA that signs (name or id)
    #[arg(long)]
    pub ca: Option<String>,
    /// No CA: each certificate is signed with its own key
    #[arg(long)]
    pub self_signed: bool,
    #[arg(long)]
    pub description: Option<String>,
    /// Validity in days when a request names none
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub ttl_days: Option<u32>,
    /// Key algorithm when a request names none
    #[arg(long, value_name = "NAME")]
    pub key_algorithm: Option<String>,
    /// Where keys made by the server are kept [default: stored]
    #[arg(long, value_enum)]
    pub key_custody: Option<KeyCustody>,
    /// Renewals may keep the key, or the CSR
    #[arg(long)]
    pub allow_key_reuse: bool,
    /// Certificates shall be renewed by the server: when their CA says so, or after two thirds of their life
    #[arg(long)]
    pub auto_renew: bool,
    /// Certificates shall be renewed by the server, so many days before they end
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=30))]
    pub renew_before_days: Option<u32>,
}

pub(crate) async fn run(arguments: ProfileArguments) -> Result<(), CliError> {
    let output = Output::new(arguments.connection.json);
    let client = arguments.connection.connect().await?;
    match arguments.command {
        ProfileCommand::List => list(&client, output).await,
        ProfileCommand::Show { name } => show(&lookup::profile(&client, &name).await?, output),
        ProfileCommand::Create(new) => {
            let profile = create(&client, &new).await?;
            output.note(&format!("Created {} as {}", new.slug, text_at(&profile, "/id")));
            show(&profile, output)
        }
    }
}

async fn list(client: &Client, output: Output) -> Result<(), CliError> {
    let found =
        lookup::all_pages(client, &format!("{CERT_MANAGER}/certificate-profiles"), "/certificateProfiles").await?;
    if output.is_json() {
        return output.json(&json!({"certificateProfiles": found}));
    }
    let rows = found
        .iter()
        .map(|one| {
            vec![
                text_at(one, "/slug"),
                text_at(one, "/issuerType"),
                text_at(one, "/certificateAuthority/name"),
                text_at(one, "/metrics/activeCertificates"),
                text_at(one, "/description"),
                text_at(one, "/id"),
            ]
        })
        .collect();
    output.rows(&["slug", "issuer", "ca", "active", "description", "id"], rows, "There is no certificate profile yet.")
}

fn show(profile: &Value, output: Output) -> Result<(), CliError> {
    if output.is_json() {
        return output.json(profile);
    }
    let plain = |pointer: &str| text_at(profile, pointer);
    let first = |names: [&str; 2]| {
        names.map(|name| text_at(profile, name)).into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    };
    output.facts(&[
        ("Id", plain("/id")),
        ("Slug", plain("/slug")),
        ("Description", plain("/description")),
        ("Issuer", plain("/issuerType")),
        ("CA", first(["/certificateAuthority/name", "/caId"])),
        ("Template", first(["/certificatePolicy/name", "/certificatePolicyId"])),
        ("Default validity in days", plain("/defaults/ttlDays")),
        ("Default key", plain("/defaults/keyAlgorithm")),
        ("Private keys", plain("/keyCustody")),
        ("Renewed by the server", plain("/apiConfig/autoRenew")),
        ("Days before the end", plain("/apiConfig/renewBeforeDays")),
    ])
}

/// Creates a profile and answers with it as the server keeps it.
pub async fn create(client: &Client, new: &NewProfile) -> Result<Value, CliError> {
    let mut body = Map::from_iter([
        ("slug".to_owned(), json!(new.slug)),
        ("certificatePolicyId".to_owned(), json!(lookup::template_id(client, &new.template).await?)),
        ("issuerType".to_owned(), json!(if new.self_signed { "self-signed" } else { "ca" })),
        ("enrollmentType".to_owned(), json!("api")),
    ]);
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    if let Some(ca) = &new.ca {
        put("caId", json!(lookup::ca_id(client, ca).await?));
    }
    if let Some(description) = &new.description {
        put("description", json!(description));
    }
    let mut defaults = Map::new();
    if let Some(days) = new.ttl_days {
        defaults.insert("ttlDays".to_owned(), json!(days));
    }
    if let Some(algorithm) = &new.key_algorithm {
        defaults.insert("keyAlgorithm".to_owned(), json!(algorithm));
    }
    if !defaults.is_empty() {
        put("defaults", Value::Object(defaults));
    }
    if let Some(custody) = new.key_custody {
        put("keyCustody", json!(custody.as_str()));
    }
    if new.allow_key_reuse {
        put("allowKeyReuse", json!(true));
    }
    match new.renew_before_days {
        Some(days) => put("apiConfig", json!({"autoRenew": true, "renewBeforeDays": days})),
        None if new.auto_renew => put("apiConfig", json!({"autoRenew": true})),
        None => None,
    };
    let mut answer = client.post(&format!("{CERT_MANAGER}/certificate-profiles"), &body).await?.success()?;
    Ok(answer.pointer_mut("/certificateProfile").map(Value::take).unwrap_or_default())
}
