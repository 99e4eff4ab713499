//! `chancery template`: what a request may contain.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::client::{CERT_MANAGER, Client};
use crate::connection::ConnectionArguments;
use crate::error::CliError;
use crate::output::{Output, list_at, text_at};
use crate::{files, lookup};

const EXAMPLES: &str = "\
Examples:
  chancery template presets
  chancery template create --as-admin --name acme-tls --preset tls-server --domain '*.acme.com' --max-ttl 90d
  chancery template create --as-admin --name custom --rules rules.json
  chancery template show acme-tls";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TemplateArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    #[command(subcommand)]
    command: TemplateCommand,
}

#[derive(Debug, Subcommand)]
enum TemplateCommand {
    /// List the certificate templates
    List,
    /// List the presets that a template can start from
    Presets,
    /// Show one template and, in words, what it allows
    Show {
        /// Name or id
        name: String,
    },
    /// Create a template from a preset, from rules in a JSON file, or from both
    Create(NewTemplate),
}

/// A template to create.
#[derive(Clone, Debug, Default, Args)]
pub struct NewTemplate {
    /// Name to call it by: lower-case letters, digits and hyphens
    #[arg(long)]
    pub name: String,
    #[arg(long)]
    pub description: Option<String>,
    /// Where to start from, such as tls-server
    #[arg(long)]
    pub preset: Option<String>,
    /// Pattern that the common name and the DNS names must match, such as '*.acme.com'; may be repeated
    #[arg(long = "domain", value_name = "PATTERN")]
    pub domains: Vec<String>,
    /// Longest validity, such as 90d or 1y (here m means months of 30 days)
    #[arg(long, value_name = "DURATION")]
    pub max_ttl: Option<String>,
    /// JSON file with rules as the API takes them; its blocks replace the preset's
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
}

pub(crate) async fn run(arguments: TemplateArguments) -> Result<(), CliError> {
    let output = Output::new(arguments.connection.json);
    let client = arguments.connection.connect().await?;
    match arguments.command {
        TemplateCommand::List => list(&client, output).await,
        TemplateCommand::Presets => presets(&client, output).await,
        TemplateCommand::Show { name } => show(&lookup::template(&client, &name).await?, output),
        TemplateCommand::Create(new) => {
            let template = create(&client, &new).await?;
            // The server puts a suffix to a name that is taken, so its word counts.
            output.note(&format!("Created {} as {}", text_at(&template, "/name"), text_at(&template, "/id")));
            show(&template, output)
        }
    }
}

async fn list(client: &Client, output: Output) -> Result<(), CliError> {
    let found =
        lookup::all_pages(client, &format!("{CERT_MANAGER}/certificate-policies"), "/certificatePolicies").await?;
    if output.is_json() {
        return output.json(&json!({"certificatePolicies": found}));
    }
    let rows = found
        .iter()
        .map(|one| {
            vec![
                text_at(one, "/name"),
                text_at(one, "/validity/max"),
                text_at(one, "/description"),
                text_at(one, "/id"),
            ]
        })
        .collect();
    output.rows(&["name", "longest", "description", "id"], rows, "There is no certificate template yet.")
}

async fn presets(client: &Client, output: Output) -> Result<(), CliError> {
    let found = client.get(&format!("{CERT_MANAGER}/certificate-policies/presets")).await?.success()?;
    if output.is_json() {
        return output.json(&found);
    }
    let rows = list_at(&found, "/presets")
        .map(|one| vec![text_at(one, "/id"), text_at(one, "/name"), text_at(one, "/description")])
        .collect();
    output.rows(&["preset", "name", "description"], rows, "This server has no presets.")
}

fn show(template: &Value, output: Output) -> Result<(), CliError> {
    if output.is_json() {
        return output.json(template);
    }
    output.facts(&[
        ("Id", text_at(template, "/id")),
        ("Name", text_at(template, "/name")),
        ("Description", text_at(template, "/description")),
        ("Created", text_at(template, "/createdAt")),
    ])?;
    for sentence in list_at(template, "/summary").filter_map(Value::as_str) {
        output.line(&format!("- {sentence}"))?;
    }
    Ok(())
}

/// Creates a template and answers with it as the server keeps it.
pub async fn create(client: &Client, new: &NewTemplate) -> Result<Value, CliError> {
    let mut answer = client.post(&format!("{CERT_MANAGER}/certificate-policies"), &body(new)?).await?.success()?;
    Ok(answer.pointer_mut("/certificatePolicy").map(Value::take).unwrap_or_default())
}

fn body(new: &NewTemplate) -> Result<Value, CliError> {
    let mut body = match &new.rules {
        None => Map::new(),
        Some(path) => match serde_json::from_str(&files::read_text(path)?) {
            Ok(Value::Object(rules)) => rules,
            Ok(_) => return Err(CliError::Usage(format!("{} is not a JSON object", path.display()))),
            Err(error) => return Err(CliError::Usage(format!("{} is not JSON: {error}", path.display()))),
        },
    };
    body.insert("name".to_owned(), json!(new.name));
    for (name, value) in [("description", &new.description), ("preset", &new.preset)] {
        if let Some(value) = value {
            body.insert(name.to_owned(), json!(value));
        }
    }
    if !new.domains.is_empty() {
        body.insert("subject".to_owned(), json!([{"type": "common_name", "allowed": new.domains}]));
        body.insert("sans".to_owned(), json!([{"type": "dns_name", "allowed": new.domains}]));
    }
    if let Some(max) = &new.max_ttl {
        body.insert("validity".to_owned(), json!({"max": max}));
    }
    Ok(Value::Object(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_replace_blocks_of_the_rules_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rules.json");
        std::fs::write(
            &path,
            r#"{"name": "other", "validity": {"max": "1y"}, "algorithms": {"signature": ["SHA256-ECDSA"]}}"#,
        )
        .unwrap();
        let new = NewTemplate {
            name: "acme".into(),
            domains: vec!["*.acme.com".into()],
            max_ttl: Some("90d".into()),
            rules: Some(path.clone()),
            ..NewTemplate::default()
        };
        assert_eq!(
            body(&new).unwrap(),
            json!({
                "name": "acme",
                "subject": [{"type": "common_name", "allowed": ["*.acme.com"]}],
                "sans": [{"type": "dns_name", "allowed": ["*.acme.com"]}],
                "validity": {"max": "90d"},
                "algorithms": {"signature": ["SHA256-ECDSA"]},
            })
        );
        std::fs::write(&path, "[]").unwrap();
        assert_eq!(body(&new).unwrap_err().exit_code(), 2);
    }
}
