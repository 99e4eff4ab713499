//! Fetching what was issued, in the form that the next program wants.

use std::path::{Path, PathBuf};

use chancery_pkix::{Certificate, pem, pkcs12};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::destination::CertificateFiles;
use super::path_of;
use crate::client::Client;
use crate::connection::ConnectionArguments;
use crate::error::CliError;
use crate::files::{self, Access, Existing};
use crate::output::{Output, print_bytes, stdout_is_terminal, text_at};

/// The shortest password a PKCS#12 file is protected with.
const PASSWORD_CHARACTERS_MIN: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The certificate, PEM
    Pem,
    /// The certificate, DER
    Der,
    /// The CA certificates, the issuing one first, PEM
    Chain,
    /// The certificate and the CA certificates below the root, PEM: what a TLS server presents
    Fullchain,
    /// The private key, PEM (PKCS#8); needs --out or --stdout
    Key,
    /// Certificate, chain and private key under a password (PKCS#12); needs --out
    Pkcs12,
}

#[derive(Debug, Args)]
pub struct DownloadArguments {
    /// Id of the certificate
    id: String,
    #[arg(long, value_enum, default_value = "pem")]
    format: Format,
    /// File to write; without it the result goes to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// File whose first line is the password for PKCS#12
    #[arg(long, value_name = "FILE", required_if_eq("format", "pkcs12"))]
    password_file: Option<PathBuf>,
    /// Name of the entry in the PKCS#12 file [default: the certificate's name]
    #[arg(long)]
    alias: Option<String>,
    /// Print a private key to standard output
    #[arg(long)]
    stdout: bool,
    /// Replace a file that is there already
    #[arg(long)]
    force: bool,
}

pub(super) async fn download(
    connection: &ConnectionArguments,
    arguments: DownloadArguments,
    output: Output,
) -> Result<(), CliError> {
    refuse_unsafe_standard_output(&arguments)?;
    let client = connection.connect().await?;
    let (contents, access) = contents(&client, &arguments).await?;
    let Some(path) = &arguments.out else {
        return print_bytes(&contents);
    };
    let existing = if arguments.force { Existing::Replace } else { Existing::Keep };
    files::write(path, &contents, access, existing)?;
    if output.is_json() {
        return output.json(&json!({"certificateId": arguments.id, "files": [path]}));
    }
    output.line(&format!("Wrote {}", path.display()))
}

fn refuse_unsafe_standard_output(arguments: &DownloadArguments) -> Result<(), CliError> {
    if arguments.out.is_some() {
        return Ok(());
    }
    match arguments.format {
        Format::Key if !arguments.stdout => {
            Err(CliError::Usage("A private key is printed only with --stdout; or name a file with --out".to_owned()))
        }
        Format::Pkcs12 => Err(CliError::Usage("PKCS#12 needs a file: add --out FILE".to_owned())),
        Format::Der if stdout_is_terminal() => {
            Err(CliError::Usage("DER is not for a terminal: add --out FILE or pipe it into a program".to_owned()))
        }
        _ => Ok(()),
    }
}

async fn contents(client: &Client, arguments: &DownloadArguments) -> Result<(Vec<u8>, Access), CliError> {
    let with_key = matches!(arguments.format, Format::Key | Format::Pkcs12);
    let answer = client
        .get(&format!("{}/{}", path_of(&arguments.id), if with_key { "bundle" } else { "certificate" }))
        .await?
        .success()?;
    let files = CertificateFiles {
        id: arguments.id.clone(),
        name: String::new(),
        certificate: text_at(&answer, "/certificate"),
        chain: text_at(&answer, "/certificateChain"),
        private_key: answer.get("privateKey").and_then(Value::as_str).map(str::to_owned),
    };
    Ok(match arguments.format {
        Format::Pem => (files.certificate.into_bytes(), Access::Public),
        Format::Der => (leaf(client, &files)?.der().to_vec(), Access::Public),
        Format::Chain => (files.chain.into_bytes(), Access::Public),
        Format::Fullchain => (files.full_chain().into_bytes(), Access::Public),
        Format::Key => (key(&files)?.to_owned().into_bytes(), Access::Private),
        Format::Pkcs12 => (bundle(client, &files, arguments)?, Access::Private),
    })
}

fn leaf(client: &Client, files: &CertificateFiles) -> Result<Certificate, CliError> {
    Certificate::from_pem(&files.certificate).map_err(|error| client.unreadable(&error.to_string()))
}

fn key(files: &CertificateFiles) -> Result<&str, CliError> {
    files.private_key.as_deref().ok_or_else(|| {
        CliError::Missing(format!(
            "The server keeps no private key for certificate {} that this caller may read; whoever made the CSR has it, or \
             it was returned once when the certificate was issued",
            files.id
        ))
    })
}

fn bundle(client: &Client, files: &CertificateFiles, arguments: &DownloadArguments) -> Result<Vec<u8>, CliError> {
    let password = password(arguments.password_file.as_deref())?;
    let unreadable = |error: &dyn std::fmt::Display| client.unreadable(&error.to_string());
    let blocks = pem::decode(key(files)?, pem::OutsideText::Refuse).map_err(|error| unreadable(&error))?;
    let Some(key) = blocks.first() else {
        return Err(client.unreadable("the private key is empty"));
    };
    let leaf = leaf(client, files)?;
    let chain: Vec<Vec<u8>> = Certificate::from_pem_bundle(&files.chain)
        .map_err(|error| unreadable(&error))?
        .iter()
        .map(|one| one.der().to_vec())
        .filter(|der| der.as_slice() != leaf.der())
        .collect();
    let alias = arguments.alias.as_deref().unwrap_or(&arguments.id);
    pkcs12::write(leaf.der(), &key.der, &chain, &password, alias, false)
        .map_err(|error| CliError::Unfinished(format!("Cannot make the PKCS#12 file: {error}")))
}

fn password(path: Option<&Path>) -> Result<String, CliError> {
    let text = path.map(files::read_text).transpose()?.unwrap_or_default();
    let password = text.lines().next().unwrap_or_default();
    if password.chars().count() < PASSWORD_CHARACTERS_MIN {
        return Err(CliError::Usage(format!(
            "The password of a PKCS#12 file needs at least {PASSWORD_CHARACTERS_MIN} characters"
        )));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(format: Format) -> DownloadArguments {
        DownloadArguments {
            id: "id".into(),
            format,
            out: None,
            password_file: None,
            alias: None,
            stdout: false,
            force: false,
        }
    }

    #[test]
    fn keys_go_to_standard_output_only_when_asked() {
        assert_eq!(refuse_unsafe_standard_output(&arguments(Format::Key)).unwrap_err().exit_code(), 2);
        assert_eq!(refuse_unsafe_standard_output(&arguments(Format::Pkcs12)).unwrap_err().exit_code(), 2);
        assert!(refuse_unsafe_standard_output(&DownloadArguments { stdout: true, ..arguments(Format::Key) }).is_ok());
        assert!(refuse_unsafe_standard_output(&arguments(Format::Chain)).is_ok());
    }

    #[test]
    fn a_short_export_password_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pw");
        for (text, good) in [("abcde\n", false), ("abcdef\n", true), ("", false), ("first line\nsecond", true)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(password(Some(&path)).is_ok(), good, "{text:?}");
        }
        assert_eq!(password(Some(&path)).unwrap(), "first line");
    }
}
