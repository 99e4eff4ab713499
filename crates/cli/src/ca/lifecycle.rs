//! Renewing CAs, their revocation lists, and CAs that were run elsewhere.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{ArgGroup, Args};
use serde_json::{Map, Value, json};

use crate::client::{CERT_MANAGER, Client};
use crate::error::CliError;
use crate::files;
use crate::lookup;
use crate::output::{Output, list_at, print_bytes, short_time, text_at};

/// A CRL of some hundred thousand entries.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// Give a CA its next certificate.
#[derive(Debug, Args)]
pub struct RenewArguments {
    /// Name or id
    name: String,
    /// Roll over to a fresh key; without it the key stays
    #[arg(long)]
    new_key: bool,
    /// Kind of the fresh key [default: as before]
    #[arg(long, value_name = "NAME", requires = "new_key")]
    key_algorithm: Option<String>,
    /// End of its validity, such as 2031-01-31 [default: as long as before, as far as the parent lives]
    #[arg(long, value_name = "DATE")]
    not_after: Option<String>,
}

#[derive(Debug, Args)]
pub struct CrlArguments {
    /// Name or id
    name: String,
    /// List the revocation lists of all keys and partitions, in place of printing the complete one
    #[arg(long)]
    list: bool,
}

/// Whether and when the server renews a CA.
#[derive(Debug, Args)]
pub struct AutoRenewalArguments {
    /// Name or id
    name: String,
    /// Renew it when it is due
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Leave it alone
    #[arg(long)]
    disable: bool,
    /// How many days before its end
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=365))]
    days: Option<u32>,
    /// Whether each renewal rolls over to a fresh key
    #[arg(long, value_name = "BOOL")]
    new_key: Option<bool>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("imported key").required(true).args(["key", "pkcs12"]))]
pub struct ImportArguments {
    /// Name to call it by: lower-case letters, digits and hyphens
    #[arg(long)]
    name: String,
    /// Its certificate, PEM
    #[arg(long, value_name = "FILE", required_unless_present = "pkcs12")]
    certificate: Option<PathBuf>,
    /// The certificates above it, PEM; not needed for a root, nor when the issuer is a CA of this server
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
    /// Its private key, PEM, encrypted or not
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A PKCS#12 file with certificate and key
    #[arg(long, value_name = "FILE")]
    pkcs12: Option<PathBuf>,
    /// File whose first line is the password of the key or of the PKCS#12 file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Its last CRL, PEM or DER: who is on it stays revoked, and the numbers go on
    #[arg(long, value_name = "FILE")]
    last_crl: Option<PathBuf>,
    /// The number of its last CRL, where the CRL itself is not at hand
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(0..))]
    last_crl_number: Option<i64>,
    /// Certificates that it has issued, PEM; may be given several times
    #[arg(long, value_name = "FILE")]
    issued: Vec<PathBuf>,
    /// A file with a serial number in hex on each line: numbers that are not used again
    #[arg(long, value_name = "FILE")]
    serials: Option<PathBuf>,
}

pub(super) async fn renew(client: &Client, arguments: RenewArguments, output: Output) -> Result<(), CliError> {
    let id = lookup::ca_id(client, &arguments.name).await?;
    let mut body = Map::new();
    body.insert("type".to_owned(), json!(if arguments.new_key { "new-key" } else { "existing" }));
    body.extend(arguments.not_after.map(|date| ("notAfter".to_owned(), json!(date))));
    body.extend(arguments.key_algorithm.map(|name| ("keyAlgorithm".to_owned(), json!(name))));
    let renewed = client.post(&format!("{CERT_MANAGER}/ca/internal/{id}/renew"), &body).await?.success()?;
    if output.is_json() {
        return output.json(&renewed);
    }
    let end = short_time(&text_at(&renewed, "/notAfter"));
    let what = if arguments.new_key { "Rolled over to a new key" } else { "Renewed" };
    output.line(&format!("{what}: version {}, valid to {end}", text_at(&renewed, "/version")))
}

pub(super) async fn crl(client: &Client, arguments: CrlArguments, output: Output) -> Result<(), CliError> {
    let id = lookup::ca_id(client, &arguments.name).await?;
    if !arguments.list && !output.is_json() {
        let answer = client.get(&format!("/api/v1/pki/ca/{id}/crl")).await?.success()?;
        return print_bytes(text_at(&answer, "/crl").as_bytes());
    }
    let all = client.get(&format!("{CERT_MANAGER}/ca/internal/{id}/crls")).await?.success()?;
    if output.is_json() {
        return output.json(&all);
    }
    let row = |one: &Value| {
        let text = |name: &str| text_at(one, &format!("/{name}"));
        let next = short_time(&text("nextUpdate"));
        vec![text("partition"), text("number"), short_time(&text("thisUpdate")), next, text("entries"), text("url")]
    };
    output.rows(
        &["partition", "number", "this update", "next update", "entries", "address"],
        list_at(&all, "").map(row).collect(),
        "Nothing has been published for this CA yet.",
    )
}

pub(super) async fn auto_renewal(
    client: &Client,
    arguments: AutoRenewalArguments,
    output: Output,
) -> Result<(), CliError> {
    let id = lookup::ca_id(client, &arguments.name).await?;
    let path = format!("{CERT_MANAGER}/ca/internal/{id}/auto-renewal");
    let mut body = Map::new();
    if arguments.enable || arguments.disable {
        body.insert("autoRenewalEnabled".to_owned(), json!(arguments.enable));
    }
    body.extend(arguments.days.map(|days| ("autoRenewalDaysBeforeExpiry".to_owned(), json!(days))));
    body.extend(arguments.new_key.map(|new_key| ("autoRenewalNewKey".to_owned(), json!(new_key))));
    let reply = if body.is_empty() { client.get(&path).await? } else { client.patch(&path, &body).await? };
    let shown = reply.success()?;
    if output.is_json() {
        return output.json(&shown);
    }
    let text = |name: &str| text_at(&shown, &format!("/{name}"));
    output.facts(&[
        ("Renewed by the server", text("autoRenewalEnabled")),
        ("Days before its end", text("autoRenewalDaysBeforeExpiry")),
        ("With a new key", text("autoRenewalNewKey")),
        ("Next", short_time(&text("nextRenewalAt"))),
        ("Last", short_time(&text("lastRenewalAt"))),
        ("Last outcome", text("lastRenewalStatus")),
        ("Last message", text("lastRenewalMessage")),
    ])
}

pub(super) async fn import(client: &Client, arguments: ImportArguments, output: Output) -> Result<(), CliError> {
    let body = import_body(&arguments)?;
    let ca = client.post(&format!("{CERT_MANAGER}/ca/internal/import"), &body).await?.success()?;
    for warning in list_at(&ca, "/warnings") {
        output.note(&format!("Warning: {}: {}", text_at(warning, "/field"), text_at(warning, "/message")));
    }
    if output.is_json() {
        return output.json(&ca);
    }
    output.line(&format!("Imported {} as {}", arguments.name, text_at(&ca, "/id")))
}

fn import_body(arguments: &ImportArguments) -> Result<Map<String, Value>, CliError> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
    let text = |path: &Option<PathBuf>| path.as_deref().map(files::read_text).transpose();
    let password = text(&arguments.password_file)?.map(|text| json!(text.lines().next().unwrap_or_default()));
    set("name", Some(json!(arguments.name)));
    set("certificate", text(&arguments.certificate)?.map(|text| json!(text)));
    set("certificateChain", text(&arguments.chain)?.map(|text| json!(text)));
    set("privateKey", text(&arguments.key)?.map(|text| json!(text)));
    set(if arguments.key.is_some() { "privateKeyPassword" } else { "pkcs12Password" }, password);
    set(
        "pkcs12",
        arguments
            .pkcs12
            .as_deref()
            .map(|path| files::read_bytes(path, FILE_MAX))
            .transpose()?
            .map(|it| json!(STANDARD.encode(it))),
    );
    set("lastCrl", arguments.last_crl.as_deref().map(pem_or_base64).transpose()?.map(|text| json!(text)));
    set("lastCrlNumber", arguments.last_crl_number.map(|number| json!(number)));
    let mut issued = Vec::new();
    for path in &arguments.issued {
        issued.extend(certificates(&files::read_text(path)?));
    }
    set("issuedCertificates", (!issued.is_empty()).then(|| json!(issued)));
    let serials = text(&arguments.serials)?.map(|text| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        json!(lines.collect::<Vec<_>>())
    });
    set("serialNumbers", serials);
    Ok(body)
}

/// PEM as it is, DER in base64: what the API takes either way.
fn pem_or_base64(path: &Path) -> Result<String, CliError> {
    let bytes = files::read_bytes(path, FILE_MAX)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => STANDARD.encode(error.into_bytes()),
    })
}

/// The CERTIFICATE blocks of a text, one by one.
fn certificates(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let block = |rest: &str| rest.split_once(END).map(|(inside, _)| format!("{BEGIN}{inside}{END}\n"));
    text.split(BEGIN).skip(1).filter_map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_falls_apart_into_its_certificates() {
        let block = |inside: &str| format!("-----BEGIN CERTIFICATE-----\n{inside}\n-----END CERTIFICATE-----\n");
        let bundle = format!("subject=a\n{}between\n{}-----BEGIN CERTIFICATE-----\ncut", block("AA"), block("BB"));
        assert_eq!(certificates(&bundle), [block("AA"), block("BB")]);
        assert!(certificates("").is_empty());
    }
}
