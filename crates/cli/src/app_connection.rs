//! `chancery connection`: credentials for services elsewhere. Secrets come from files or standard input, never from the
//! command line, which other users of the machine can read.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::connection::ConnectionArguments;
use crate::error::CliError;
use crate::output::{Output, list_at, text_at};
use crate::{files, lookup};

pub(crate) const BASE: &str = "/api/v1/app-connections";

const EXAMPLES: &str = "\
Examples:
  chancery connection apps
  chancery connection create --as-admin --app rfc2136 --name dns --set server=ns1.acme.com --set keyName=acme. \\
    --secret secret=tsig.key
  chancery connection create --as-admin --app cloudflare --name cloudflare --secret apiToken=- < token
  chancery connection test --as-admin dns
  chancery connection delete --as-admin dns";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AppConnectionArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    #[command(subcommand)]
    command: AppConnectionCommand,
}

#[derive(Debug, Subcommand)]
enum AppConnectionCommand {
    /// List the app connections
    List {
        /// Only those to this app
        #[arg(long)]
        app: Option<String>,
    },
    /// List the apps that connections can be made to, and the fields that each needs
    Apps {
        /// Only this app
        app: Option<String>,
    },
    /// Show one app connection, without its secrets
    Show {
        /// Name or id
        name: String,
    },
    /// Keep credentials for an app; they are tried there first
    Create(CreateArguments),
    /// Change an app connection; what is not given stays
    Update(UpdateArguments),
    /// Try the kept credentials at their service
    Test {
        /// Name or id
        name: String,
    },
    /// Delete an app connection that no CA uses
    Delete {
        /// Name or id
        name: String,
    },
}

#[derive(Debug, Args)]
struct CreateArguments {
    /// What it leads to, such as aws, cloudflare, rfc2136 or hashicorp-vault; see `chancery connection apps`
    #[arg(long)]
    app: String,
    /// Name to call it by: lower-case letters, digits and hyphens
    #[arg(long)]
    name: String,
    #[arg(long)]
    description: Option<String>,
    /// How to log in there [default: the app's only way, if there is one]
    #[arg(long)]
    method: Option<String>,
    #[command(flatten)]
    credentials: CredentialArguments,
}

#[derive(Debug, Args)]
struct UpdateArguments {
    /// Name or id
    name: String,
    /// Another name
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    #[arg(long)]
    description: Option<String>,
    /// Another way to log in; it needs all of its fields
    #[arg(long)]
    method: Option<String>,
    #[command(flatten)]
    credentials: CredentialArguments,
}

#[derive(Debug, Default, Args)]
struct CredentialArguments {
    /// A field that is no secret; may be repeated
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
    /// A field and the file with its value, - for standard input; may be repeated
    #[arg(long = "secret", value_name = "FIELD=FILE", value_parser = pair)]
    secrets: Vec<(String, String)>,
    /// Keep the credentials without trying them
    #[arg(long)]
    no_test: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as field=value".to_owned()),
    }
}

pub(crate) async fn run(arguments: AppConnectionArguments) -> Result<(), CliError> {
    let output = Output::new(arguments.connection.json);
    let client = arguments.connection.connect().await?;
    match arguments.command {
        AppConnectionCommand::List { app } => list(&client, app.as_deref(), output).await,
        AppConnectionCommand::Apps { app } => apps(&client, app.as_deref(), output).await,
        AppConnectionCommand::Show { name } => show(&find(&client, &name).await?, output),
        AppConnectionCommand::Create(new) => create(&client, new, output).await,
        AppConnectionCommand::Update(change) => update(&client, change, output).await,
        AppConnectionCommand::Test { name } => {
            let path = path_of(&find(&client, &name).await?);
            let answer = client.post(&format!("{path}/test"), &json!({})).await?.success()?;
            done(&answer, &text_at(&answer, "/message"), output)
        }
        AppConnectionCommand::Delete { name } => {
            let answer = client.delete(&path_of(&find(&client, &name).await?)).await?.success()?;
            done(&answer, &format!("Deleted {}", text_at(&answer, "/appConnection/name")), output)
        }
    }
}

fn done(answer: &Value, words: &str, output: Output) -> Result<(), CliError> {
    if output.is_json() { output.json(answer) } else { output.line(words) }
}

fn path_of(connection: &Value) -> String {
    format!("{BASE}/{}/{}", lookup::encoded(&text_at(connection, "/app")), text_at(connection, "/id"))
}

/// The app connection with this name or id.
pub(crate) async fn find(client: &Client, name: &str) -> Result<Value, CliError> {
    let all = client.get(BASE).await?.success()?;
    let mut all = list_at(&all, "/appConnections");
    let found = all.find(|one| text_at(one, "/name") == name || text_at(one, "/id").eq_ignore_ascii_case(name));
    found.cloned().ok_or_else(|| {
        let text =
            format!("There is no app connection named \"{name}\"; `chancery connection list` shows what there is");
        CliError::Missing(text)
    })
}

async fn list(client: &Client, app: Option<&str>, output: Output) -> Result<(), CliError> {
    let path = app.map_or_else(|| BASE.to_owned(), |app| format!("{BASE}/{}", lookup::encoded(app)));
    let found = client.get(&path).await?.success()?;
    if output.is_json() {
        return output.json(&found);
    }
    let rows = list_at(&found, "/appConnections")
        .map(|one| ["/name", "/app", "/method", "/description", "/id"].map(|pointer| text_at(one, pointer)).to_vec())
        .collect();
    output.rows(&["name", "app", "method", "description", "id"], rows, "There is no app connection yet.")
}

async fn apps(client: &Client, only: Option<&str>, output: Output) -> Result<(), CliError> {
    let found = client.get(&format!("{BASE}/options")).await?.success()?;
    if output.is_json() {
        return output.json(&found);
    }
    let mut rows = Vec::new();
    for app in list_at(&found, "/appConnectionOptions") {
        let word = text_at(app, "/app");
        for method in list_at(app, "/methodFields").filter(|_| only.is_none_or(|only| only == word)) {
            for field in list_at(method, "/fields") {
                let is = |pointer: &str| field.pointer(pointer).and_then(Value::as_bool).unwrap_or_default();
                let flag = if is("/secret") { "--secret" } else { "--set" };
                let need = if is("/required") { "needed" } else { "optional" };
                let (field, text) = (text_at(field, "/name"), text_at(field, "/description"));
                rows.push(vec![word.clone(), text_at(method, "/method"), field, flag.into(), need.into(), text]);
            }
        }
    }
    output.rows(&["app", "method", "field", "given by", "", "what"], rows, "There is no such app.")
}

fn show(connection: &Value, output: Output) -> Result<(), CliError> {
    if output.is_json() {
        return output.json(connection);
    }
    let plain = |name: &str| text_at(connection, &format!("/{name}"));
    let mut facts: Vec<(&str, String)> = vec![
        ("Id", plain("id")),
        ("Name", plain("name")),
        ("Description", plain("description")),
        ("App", plain("app")),
        ("Method", plain("method")),
    ];
    let credentials = connection.get("credentials").and_then(Value::as_object);
    for (name, value) in credentials.into_iter().flatten() {
        facts.push((name, value.as_str().unwrap_or_default().to_owned()));
    }
    output.facts(&facts)
}

async fn create(client: &Client, new: CreateArguments, output: Output) -> Result<(), CliError> {
    let schema = schema(client, &new.app).await?;
    let method = match new.method {
        Some(method) => method,
        None => only_method(&schema, &new.app)?,
    };
    let body = json!({
        "name": new.name,
        "description": new.description,
        "method": method,
        "credentials": new.credentials.fields(&schema)?,
        "test": !new.credentials.no_test,
    });
    let answer = client.post(&format!("{BASE}/{}", lookup::encoded(&new.app)), &body).await?.success()?;
    done(&answer, &format!("Created {} as {}", new.name, text_at(&answer, "/appConnection/id")), output)
}

async fn update(client: &Client, change: UpdateArguments, output: Output) -> Result<(), CliError> {
    let connection = find(client, &change.name).await?;
    let schema = schema(client, &text_at(&connection, "/app")).await?;
    let fields = change.credentials.fields(&schema)?;
    let mut body = Map::from_iter([("test".to_owned(), json!(!change.credentials.no_test))]);
    body.extend(change.rename.map(|name| ("name".to_owned(), json!(name))));
    body.extend(change.description.map(|text| ("description".to_owned(), json!(text))));
    body.extend(change.method.map(|method| ("method".to_owned(), json!(method))));
    if !fields.is_empty() {
        body.insert("credentials".to_owned(), Value::Object(fields));
    }
    let answer = client.patch(&path_of(&connection), &body).await?.success()?;
    done(&answer, &format!("Changed {}", text_at(&answer, "/appConnection/name")), output)
}

/// What the app needs, from the server itself.
async fn schema(client: &Client, app: &str) -> Result<Value, CliError> {
    let found = client.get(&format!("{BASE}/options")).await?.success()?;
    let schema = list_at(&found, "/appConnectionOptions").find(|one| text_at(one, "/app") == app).cloned();
    schema.ok_or_else(|| {
        let all: Vec<String> = list_at(&found, "/appConnectionOptions").map(|one| text_at(one, "/app")).collect();
        CliError::Missing(format!("There is no app \"{app}\"; the apps that exist are: {}", all.join(", ")))
    })
}

fn only_method(schema: &Value, app: &str) -> Result<String, CliError> {
    let methods: Vec<String> = list_at(schema, "/methodFields").map(|one| text_at(one, "/method")).collect();
    match methods.as_slice() {
        [only] => Ok(only.clone()),
        all => Err(CliError::Usage(format!("{app} has several methods; add --method with one of {}", all.join(", ")))),
    }
}

impl CredentialArguments {
    /// By name. A secret on the command line is refused: it would stand in the list of processes and in the shell's history.
    fn fields(&self, schema: &Value) -> Result<Map<String, Value>, CliError> {
        let is_secret = |name: &str| {
            let fields = list_at(schema, "/methodFields").flat_map(|method| list_at(method, "/fields"));
            fields.into_iter().any(|field| text_at(field, "/name") == name && text_at(field, "/secret") == "true")
        };
        let mut fields = Map::new();
        for (name, value) in &self.settings {
            if is_secret(name) {
                let text = format!(
                    "{name} is a secret: put it into a file and give --secret {name}=FILE, or {name}=- to pipe it in"
                );
                return Err(CliError::Usage(text));
            }
            fields.insert(name.clone(), json!(value));
        }
        for (name, file) in &self.secrets {
            fields.insert(name.clone(), json!(secret_in(&PathBuf::from(file))?));
        }
        Ok(fields)
    }
}

/// The text of a file without the line's end that editors and `echo` add.
pub(crate) fn secret_in(path: &Path) -> Result<String, CliError> {
    let text = files::read_text(path)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        json!({"methodFields": [{"method": "tsig", "fields": [
            {"name": "server", "secret": false}, {"name": "secret", "secret": true}]}]})
    }

    #[test]
    fn secrets_are_read_from_files_and_refused_on_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "c2VjcmV0\n").unwrap();
        let given = CredentialArguments {
            settings: vec![pair("server=ns1.acme.com:53").unwrap()],
            secrets: vec![("secret".to_owned(), file.display().to_string())],
            no_test: false,
        };
        assert_eq!(
            Value::Object(given.fields(&schema()).unwrap()),
            json!({"server": "ns1.acme.com:53", "secret": "c2VjcmV0"})
        );
        let bare = CredentialArguments { settings: vec![pair("secret=abc").unwrap()], ..Default::default() };
        let error = bare.fields(&schema()).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("--secret secret=FILE"), "{error}");
    }

    #[test]
    fn a_method_is_only_left_out_where_there_is_one() {
        assert_eq!(only_method(&schema(), "rfc2136").unwrap(), "tsig");
        let two = json!({"methodFields": [{"method": "access-token"}, {"method": "app-role"}]});
        assert!(only_method(&two, "hashicorp-vault").unwrap_err().to_string().contains("access-token, app-role"));
    }

    #[test]
    fn a_field_is_written_with_its_value() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(pair("a="), Ok(("a".to_owned(), String::new())));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
