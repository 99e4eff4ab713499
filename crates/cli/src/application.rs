//! `chancery application`: what groups certificates, the profiles they may come from, and who may ask for them.

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{CERT_MANAGER, Client};
use crate::connection::ConnectionArguments;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Output, list_at, text_at};

const EXAMPLES: &str = "\
Examples:
  chancery application create --as-admin billing --profile tls-server
  chancery application attach --as-admin billing --profile internal-mtls --renew-before-days 7
  chancery application member --as-admin billing 01890a5d-ac96-774b-bcce-b302099a8057 --role operator
  chancery application show billing";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ApplicationArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    #[command(subcommand)]
    command: ApplicationCommand,
}

#[derive(Debug, Subcommand)]
enum ApplicationCommand {
    /// List the applications with their numbers
    List,
    /// Show one application with its profiles and members
    Show {
        /// Name or id
        name: String,
    },
    /// Create an application, attach profiles, and let it enrol with them
    Create(NewApplication),
    /// Attach profiles to an application, and let it enrol with them
    Attach(AttachArguments),
    /// Make a machine identity a member of an application
    Member(MemberArguments),
}

#[derive(Debug, Args)]
struct NewApplication {
    /// Lower-case letters, digits and hyphens
    name: String,
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    profiles: ProfileArguments,
}

#[derive(Debug, Args)]
struct AttachArguments {
    /// Name or id of the application
    name: String,
    #[command(flatten)]
    profiles: ProfileArguments,
}

#[derive(Debug, Args)]
struct ProfileArguments {
    /// Profile to attach (slug or id); may be repeated
    #[arg(long = "profile", value_name = "PROFILE")]
    profiles: Vec<String>,
    /// Certificates shall be renewed by the server, so many days before they end
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=30))]
    renew_before_days: Option<u32>,
}

#[derive(Debug, Args)]
struct MemberArguments {
    /// Name or id of the application
    name: String,
    /// Id of the machine identity
    identity: uuid::Uuid,
    #[arg(long, value_enum, default_value_t = MemberRole::Operator)]
    role: MemberRole,
}

/// What a member may do in the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MemberRole {
    /// As an operator, and keeps members and settings
    Admin,
    /// Requests, renews and revokes the application's certificates, and reads their keys
    Operator,
    /// Looks
    Auditor,
}

impl MemberRole {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }
}

pub(crate) async fn run(arguments: ApplicationArguments) -> Result<(), CliError> {
    let output = Output::new(arguments.connection.json);
    let client = arguments.connection.connect().await?;
    match arguments.command {
        ApplicationCommand::List => list(&client, output).await,
        ApplicationCommand::Show { name } => show(&client, &lookup::application(&client, &name).await?, output).await,
        ApplicationCommand::Create(new) => {
            let profiles = found(&client, &new.profiles).await?;
            let body = json!({"name": new.name, "description": new.description});
            let made = client.post(&applications(), &body).await?.success()?;
            let application = made.pointer("/application").cloned().unwrap_or_default();
            output.note(&format!("Created {} as {}", new.name, text_at(&application, "/id")));
            attach(&client, &application, &profiles, new.profiles.renew_before_days).await?;
            show(&client, &application, output).await
        }
        ApplicationCommand::Attach(arguments) => {
            let application = lookup::application(&client, &arguments.name).await?;
            let profiles = found(&client, &arguments.profiles).await?;
            attach(&client, &application, &profiles, arguments.profiles.renew_before_days).await?;
            show(&client, &application, output).await
        }
        ApplicationCommand::Member(arguments) => {
            let application = lookup::application(&client, &arguments.name).await?;
            let path = format!("{}/identities/{}", path_of(&application), arguments.identity);
            let body = json!({"role": arguments.role.as_str()});
            client.post(&path, &body).await?.success()?;
            show(&client, &application, output).await
        }
    }
}

fn applications() -> String {
    format!("{CERT_MANAGER}/applications")
}

fn path_of(application: &Value) -> String {
    format!("{}/{}", applications(), text_at(application, "/id"))
}

/// Looked up before anything is made, so that a misspelt profile leaves nothing half done.
async fn found(client: &Client, arguments: &ProfileArguments) -> Result<Vec<uuid::Uuid>, CliError> {
    let mut ids = Vec::with_capacity(arguments.profiles.len());
    for name in &arguments.profiles {
        ids.push(lookup::profile_id(client, name).await?);
    }
    Ok(ids)
}

async fn attach(
    client: &Client,
    application: &Value,
    profiles: &[uuid::Uuid],
    renew_before_days: Option<u32>,
) -> Result<(), CliError> {
    if profiles.is_empty() {
        return Ok(());
    }
    let path = format!("{}/profiles", path_of(application));
    let attached = client.post(&path, &json!({"profileIds": profiles})).await?.success()?;
    let enrols = |profile: &uuid::Uuid| {
        let id = profile.to_string();
        let mut all = list_at(&attached, "/profiles");
        all.any(|one| text_at(one, "/profileId") == id && !text_at(one, "/apiConfigId").is_empty())
    };
    // What is on stays as it is, unless something else is asked for.
    for profile in profiles.iter().filter(|profile| renew_before_days.is_some() || !enrols(profile)) {
        let mut settings = json!({"autoRenew": renew_before_days.is_some()});
        if let (Some(days), Some(fields)) = (renew_before_days, settings.as_object_mut()) {
            fields.insert("renewBeforeDays".to_owned(), json!(days));
        }
        let api = format!("{path}/{profile}/enrollment/api");
        client.send(Method::PUT, &api, Some(&settings)).await?.success()?;
    }
    Ok(())
}

async fn list(client: &Client, output: Output) -> Result<(), CliError> {
    let found = lookup::all_pages(client, &applications(), "/applications").await?;
    if output.is_json() {
        return output.json(&json!({"applications": found}));
    }
    let columns = ["/name", "/profileCount", "/memberCount", "/certificateCount", "/description", "/id"];
    let rows = found.iter().map(|one| columns.map(|column| text_at(one, column)).to_vec()).collect();
    let titles = ["name", "profiles", "members", "certificates", "description", "id"];
    output.rows(&titles, rows, "There is no application yet.")
}

async fn show(client: &Client, application: &Value, output: Output) -> Result<(), CliError> {
    let path = path_of(application);
    let profiles = client.get(&format!("{path}/profiles")).await?.success()?;
    let people = client.get(&format!("{path}/users")).await?.success()?;
    let identities = client.get(&format!("{path}/identities")).await?.success()?;
    let members: Vec<&Value> = list_at(&people, "/memberships").chain(list_at(&identities, "/memberships")).collect();
    if output.is_json() {
        return output.json(&json!({
            "application": application,
            "profiles": profiles.pointer("/profiles"),
            "memberships": members,
        }));
    }
    let profile = |one: &Value| {
        let off = if text_at(one, "/apiConfigId").is_empty() { " (off)" } else { "" };
        format!("{}{off}", text_at(one, "/profileSlug"))
    };
    let member = |one: &&Value| format!("{} ({})", text_at(one, "/details/username"), text_at(one, "/role"));
    output.facts(&[
        ("Id", text_at(application, "/id")),
        ("Name", text_at(application, "/name")),
        ("Description", text_at(application, "/description")),
        ("Profiles", list_at(&profiles, "/profiles").map(profile).collect::<Vec<_>>().join(", ")),
        ("Members", members.iter().map(member).collect::<Vec<_>>().join(", ")),
    ])
}
