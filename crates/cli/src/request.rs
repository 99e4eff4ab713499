//! `chancery request`: what became of requests that wait for an external CA.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::client::{CERT_MANAGER, Client};
use crate::connection::ConnectionArguments;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Output, list_at, short_time, text_at};

const EXAMPLES: &str = "\
Examples:
  chancery request list --status pending,pending_validation
  chancery request show 0198c0de-0000-7000-8000-000000000000
  chancery request validate 0198c0de-0000-7000-8000-000000000000
  chancery request cancel 0198c0de-0000-7000-8000-000000000000";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RequestsArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    #[command(subcommand)]
    command: RequestsCommand,
}

#[derive(Debug, Subcommand)]
enum RequestsCommand {
    /// List certificate requests, newest first
    List(ListArguments),
    /// Show one request: how far it is, what it waits for, why it failed
    Show {
        /// Id of the request
        id: String,
    },
    /// Have the external CA asked again now, such as after a DNS record was mended
    Validate {
        /// Id of the request
        id: String,
    },
    /// Cancel a request that is not finished; what it left outside is removed
    Cancel {
        /// Id of the request
        id: String,
    },
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only in these states, joined by commas: pending, pending_validation, pending_approval, issued, failed, rejected
    #[arg(long)]
    status: Option<String>,
    /// Only with this text in a name
    #[arg(long)]
    search: Option<String>,
    /// How many to show
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    /// Where to go on: what the page before named
    #[arg(long)]
    cursor: Option<String>,
}

pub(crate) async fn run(arguments: RequestsArguments) -> Result<(), CliError> {
    let output = Output::new(arguments.connection.json);
    let client = arguments.connection.connect().await?;
    match arguments.command {
        RequestsCommand::List(arguments) => list(&client, arguments, output).await,
        RequestsCommand::Show { id } => show(&client, &id, output).await,
        RequestsCommand::Validate { id } => {
            let answer = client.post(&format!("{}/trigger-validation", path_of(&id)), &json!({})).await?.success()?;
            let words = match text_at(&answer, "/orderStatus").as_str() {
                "ordering" => "The external CA is asked again now".to_owned(),
                _ => format!("There is nothing to ask for: the request is {}", text_at(&answer, "/status")),
            };
            if output.is_json() { output.json(&answer) } else { output.line(&words) }
        }
        RequestsCommand::Cancel { id } => {
            let answer = client.post(&format!("{}/cancel", path_of(&id)), &json!({})).await?.success()?;
            let words = match text_at(&answer, "/cancelled").as_str() {
                "true" => "Cancelled".to_owned(),
                _ => format!("The request has ended already: it is {}", text_at(&answer, "/status")),
            };
            if output.is_json() { output.json(&answer) } else { output.line(&words) }
        }
    }
}

fn path_of(id: &str) -> String {
    format!("{CERT_MANAGER}/certificates/certificate-requests/{}", lookup::encoded(id))
}

async fn list(client: &Client, arguments: ListArguments, output: Output) -> Result<(), CliError> {
    let mut search = Map::from_iter([("limit".to_owned(), json!(arguments.limit))]);
    search.extend(arguments.status.map(|status| ("status".to_owned(), json!(status))));
    search.extend(arguments.search.map(|text| ("search".to_owned(), json!(text))));
    search.extend(arguments.cursor.map(|cursor| ("cursor".to_owned(), json!(cursor))));
    let path = format!("{CERT_MANAGER}/certificates/certificate-requests/search");
    let found = client.post(&path, &search).await?.success()?;
    if output.is_json() {
        return output.json(&found);
    }
    let rows = list_at(&found, "/certificateRequests").map(row).collect();
    output.rows(&["id", "name", "status", "created", "profile", "message"], rows, "No request fits.")?;
    let next = text_at(&found, "/nextCursor");
    if !next.is_empty() {
        output.note(&format!("More: add --cursor {next}"));
    }
    Ok(())
}

fn row(one: &Value) -> Vec<String> {
    let first = |names: [&str; 2]| {
        names.map(|name| text_at(one, name)).into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    };
    vec![
        text_at(one, "/id"),
        first(["/commonName", "/altNames"]),
        text_at(one, "/status"),
        short_time(&text_at(one, "/createdAt")),
        text_at(one, "/profileName"),
        first(["/errorMessage", "/pendingMessage"]),
    ]
}

async fn show(client: &Client, id: &str, output: Output) -> Result<(), CliError> {
    let mut request = client.get(&path_of(id)).await?.success()?;
    if let Some(fields) = request.as_object_mut() {
        // Keys go to files only: `chancery cert download` fetches them.
        fields.remove("privateKey");
    }
    if output.is_json() {
        return output.json(&request);
    }
    let plain = |name: &str| text_at(&request, &format!("/{name}"));
    output.facts(&[
        ("Status", plain("status")),
        ("Common name", plain("commonName")),
        ("Waits for", plain("pendingMessage")),
        ("Failed because", plain("errorMessage")),
        ("Certificate", plain("certificateId")),
        ("Serial number", plain("serialNumber")),
        ("Order at the CA", plain("orderReference")),
        ("State of the order", plain("orderStatus")),
        ("Created", short_time(&plain("createdAt"))),
        ("Changed", short_time(&plain("updatedAt"))),
    ])?;
    for warning in list_at(&request, "/warnings") {
        output.note(&format!("warning: {} ({})", text_at(warning, "/message"), text_at(warning, "/field")));
    }
    let aside = plain("quarantinedCertificate");
    if aside.is_empty() {
        return Ok(());
    }
    output.line("\nThe CA answered with this certificate, which is not what was asked for; it was put aside:")?;
    output.line(aside.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_why_a_request_failed_or_waits() {
        let check = |one: Value, expected: &str| assert_eq!(row(&one).last().map(String::as_str), Some(expected));
        check(json!({"errorMessage": "refused", "pendingMessage": null}), "refused");
        check(json!({"errorMessage": null, "pendingMessage": "DNS"}), "DNS");
        check(json!({}), "");
    }
}
