//! Where a certificate and its key go. A private key reaches a terminal only when `--stdout` asks for it.

use std::path::{Path, PathBuf};

use chancery_pkix::Certificate;
use clap::Args;
use serde_json::{Value, json};

use crate::error::CliError;
use crate::files::{self, Access, Existing};
use crate::output::{Output, print_bytes};

/// Flags that say where the results go.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Results")]
pub struct Destination {
    /// Directory for certificate.pem, chain.pem, fullchain.pem and private-key.pem
    /// [default: a directory named after the certificate]
    #[arg(long, value_name = "DIR", conflicts_with = "stdout")]
    pub out_dir: Option<PathBuf>,
    /// File for the certificate alone
    #[arg(long, value_name = "FILE", conflicts_with = "stdout")]
    pub out_cert: Option<PathBuf>,
    /// File for the private key, readable by you only
    #[arg(long, value_name = "FILE", conflicts_with = "stdout")]
    pub out_key: Option<PathBuf>,
    /// File for the chain: the issuing CA first, the root last
    #[arg(long, value_name = "FILE", conflicts_with = "stdout")]
    pub out_chain: Option<PathBuf>,
    /// Print certificate, chain and private key in place of writing files
    #[arg(long)]
    pub stdout: bool,
    /// Replace files that are there already
    #[arg(long)]
    pub force: bool,
}

/// What an answer holds, as PEM text.
#[derive(Clone, Default)]
pub struct CertificateFiles {
    pub id: String,
    /// The common name or first alternative name; only for naming a directory.
    pub name: String,
    pub certificate: String,
    pub chain: String,
    pub private_key: Option<String>,
}

impl CertificateFiles {
    /// The certificate and every CA certificate below the root: what a TLS server presents (RFC 8446 §4.4.2).
    #[must_use]
    pub fn full_chain(&self) -> String {
        let mut text = self.certificate.trim_end().to_owned();
        text.push('\n');
        for one in Certificate::from_pem_bundle(&self.chain).unwrap_or_default() {
            if one.subject_der() != one.issuer_der() {
                text.push_str(&one.to_pem());
            }
        }
        text
    }
}

impl Destination {
    const fn has_single_files(&self) -> bool {
        self.out_cert.is_some() || self.out_key.is_some() || self.out_chain.is_some()
    }

    const fn existing(&self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Keep }
    }

    /// Refuses before anything is issued what could not be written afterwards.
    pub fn check(&self) -> Result<(), CliError> {
        if self.force {
            return Ok(());
        }
        let directory =
            self.out_dir.iter().flat_map(|it| ["certificate.pem", "private-key.pem"].map(|name| it.join(name)));
        let single = [&self.out_cert, &self.out_key, &self.out_chain].into_iter().flatten().cloned();
        match directory.chain(single).find(|path| path.exists()) {
            Some(path) => {
                Err(CliError::Usage(format!("{} is already there; name another place or add --force", path.display())))
            }
            None => Ok(()),
        }
    }

    /// Puts everything where it was asked to go and tells which files were written.
    pub(super) fn deliver(&self, files: &CertificateFiles, output: Output) -> Result<Vec<PathBuf>, CliError> {
        if self.stdout {
            if !output.is_json() {
                print_bytes(files.certificate.as_bytes())?;
                print_bytes(files.chain.as_bytes())?;
                print_bytes(files.private_key.as_deref().unwrap_or_default().as_bytes())?;
            }
            return Ok(Vec::new());
        }
        if self.has_single_files() && self.out_dir.is_none() {
            return self.write_single_files(files);
        }
        let directory = self.out_dir.clone().unwrap_or_else(|| default_directory(files));
        let mut written = write_files(&directory, files, self.existing())?;
        written.extend(self.write_single_files_beside(files)?);
        Ok(written)
    }

    fn write_single_files(&self, files: &CertificateFiles) -> Result<Vec<PathBuf>, CliError> {
        let mut written = self.write_single_files_beside(files)?;
        // A key that comes only once must not be lost because only --out-cert was given.
        if let (Some(key), None) = (&files.private_key, &self.out_key) {
            let path = default_directory(files).with_extension("key.pem");
            files::write(&path, key.as_bytes(), Access::Private, self.existing())?;
            written.push(path);
        }
        Ok(written)
    }

    fn write_single_files_beside(&self, files: &CertificateFiles) -> Result<Vec<PathBuf>, CliError> {
        let key = files.private_key.as_deref().unwrap_or_default();
        let mut written = Vec::new();
        for (path, text, access) in [
            (&self.out_cert, files.certificate.as_str(), Access::Public),
            (&self.out_chain, files.chain.as_str(), Access::Public),
            (&self.out_key, key, Access::Private),
        ] {
            if let (Some(path), false) = (path, text.is_empty()) {
                files::write(path, text.as_bytes(), access, self.existing())?;
                written.push(path.clone());
            }
        }
        Ok(written)
    }

    /// The answer for programs: ids and paths; PEM texts and the key only with `--stdout`.
    pub(super) fn report(&self, files: &CertificateFiles, mut answer: Value, written: &[PathBuf]) -> Value {
        if !self.stdout {
            for holder in ["", "/certificate"] {
                if let Some(fields) = answer.pointer_mut(holder).and_then(Value::as_object_mut) {
                    fields.remove("privateKey");
                }
            }
        } else if let (Some(key), Some(fields)) = (&files.private_key, answer.as_object_mut()) {
            fields.entry("privateKey").or_insert_with(|| json!(key));
        }
        if let Some(fields) = answer.as_object_mut() {
            fields.insert("files".to_owned(), json!(written));
        }
        answer
    }
}

/// Writes the four files of one certificate. The key is written first: it is the one that cannot be had again.
pub fn write_files(directory: &Path, files: &CertificateFiles, existing: Existing) -> Result<Vec<PathBuf>, CliError> {
    files::create_directory(directory)?;
    let full_chain = files.full_chain();
    let mut written = Vec::new();
    for (name, text, access) in [
        ("private-key.pem", files.private_key.as_deref().unwrap_or_default(), Access::Private),
        ("certificate.pem", files.certificate.as_str(), Access::Public),
        ("chain.pem", files.chain.as_str(), Access::Public),
        ("fullchain.pem", full_chain.as_str(), Access::Public),
    ] {
        if !text.is_empty() {
            let path = directory.join(name);
            files::write(&path, text.as_bytes(), access, existing)?;
            written.push(path);
        }
    }
    Ok(written)
}

/// A fresh directory here, named after the certificate.
fn default_directory(files: &CertificateFiles) -> PathBuf {
    let name = file_name(&files.name);
    let plain = if name.is_empty() { files.id.clone() } else { name };
    let path = PathBuf::from(&plain);
    if path.exists() { PathBuf::from(format!("{plain}-{}", files.id)) } else { path }
}

/// A name with nothing in it that a shell or a file system reads in its own way.
fn file_name(name: &str) -> String {
    let safe: String = name
        .replace('*', "wildcard")
        .chars()
        .take(100)
        .map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' })
        .collect();
    safe.trim_start_matches(['.', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_names_are_harmless() {
        for (name, expected) in [
            ("www.acme.com", "www.acme.com"),
            ("*.acme.com", "wildcard.acme.com"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("-rf", "rf"),
            ("Jane Doe", "Jane_Doe"),
            ("", ""),
        ] {
            assert_eq!(file_name(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_already_there_is_found_before_anything_is_issued() {
        let directory = tempfile::tempdir().unwrap();
        let mut destination = Destination { out_dir: Some(directory.path().into()), ..Destination::default() };
        assert!(destination.check().is_ok());
        std::fs::write(directory.path().join("private-key.pem"), "mine").unwrap();
        assert_eq!(destination.check().unwrap_err().exit_code(), 2);
        destination.force = true;
        assert!(destination.check().is_ok());
    }

    #[test]
    fn programs_see_a_key_only_with_stdout() {
        let files = CertificateFiles { private_key: Some("KEY".into()), ..CertificateFiles::default() };
        let answer = json!({"privateKey": "KEY", "certificate": {"privateKey": "KEY", "serialNumber": "01"}});
        let quiet = Destination::default().report(&files, answer.clone(), &[]);
        assert!(!quiet.to_string().contains("KEY"), "{quiet}");
        let open = Destination { stdout: true, ..Destination::default() }.report(&files, answer, &[]);
        assert!(open.to_string().contains("KEY"));
    }
}
