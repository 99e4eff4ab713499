//! Bringing certificates that were made elsewhere into the inventory: files, whole directories, PKCS#12.
//!
//! Every certificate has its line in the report, and one that is refused stops no other.

mod found;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_pkix::ForeignCertificate;
use chancery_pkix::pem;
use chancery_pkix::pkcs12;
use clap::Args;
use serde_json::{Value, json};

use crate::client::{CERT_MANAGER, Client, Reply};
use crate::connection::ConnectionArguments;
use crate::error::CliError;
use crate::files;
use crate::output::{Output, list_at, text_at};

use found::{Contents, Found};

#[derive(Debug, Args)]
pub struct ImportArguments {
    /// Files (.pem .crt .cer .der .p12 .pfx) and directories with such files
    #[arg(required = true, value_name = "FILE|DIRECTORY")]
    paths: Vec<PathBuf>,
    /// The private key of the one certificate, PEM; keys that stand in the same file are found by themselves
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// File whose first line is the password of the private key or of the PKCS#12 files
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// What people call it [default: the common name]
    #[arg(long)]
    friendly_name: Option<String>,
    /// Id of the application that they belong to
    #[arg(long, value_name = "UUID")]
    application: Option<String>,
    /// Go into the directories of a directory, too
    #[arg(long)]
    recursive: bool,
    /// Read and report what would be imported; nothing is sent
    #[arg(long)]
    dry_run: bool,
}

/// One line of the report.
struct Line {
    file: String,
    result: &'static str,
    certificate_id: String,
    subject: String,
    reason: String,
}

const IMPORTED: &str = "imported";
const ALREADY_THERE: &str = "already there";
const REFUSED: &str = "refused";
const SKIPPED: &str = "skipped";
const WOULD_IMPORT: &str = "would import";

impl Line {
    fn new(file: &Path, result: &'static str) -> Self {
        Self {
            file: file.display().to_string(),
            result,
            certificate_id: String::new(),
            subject: String::new(),
            reason: String::new(),
        }
    }

    fn refused(file: &Path, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::new(file, REFUSED) }
    }

    fn to_json(&self) -> Value {
        json!({
            "file": self.file,
            "result": self.result,
            "certificateId": self.certificate_id,
            "subject": self.subject,
            "reason": self.reason,
        })
    }
}

pub(super) async fn import(
    connection: &ConnectionArguments,
    arguments: ImportArguments,
    output: Output,
) -> Result<(), CliError> {
    let files = found::find(&arguments.paths, arguments.recursive)?;
    if arguments.key.is_some() && files.len() != 1 {
        return Err(CliError::Usage("--key goes with one file".to_owned()));
    }
    let importer = Importer {
        client: if arguments.dry_run { None } else { Some(connection.connect().await?) },
        key: arguments.key.as_deref().map(files::read_text).transpose()?,
        password: password(arguments.password_file.as_deref())?,
        friendly_name: arguments.friendly_name,
        application: arguments.application,
    };
    let mut lines = Vec::new();
    for file in files {
        importer.import_file(file, &mut lines).await?;
    }
    report(&lines, output)
}

fn password(path: Option<&Path>) -> Result<Option<String>, CliError> {
    let text = path.map(files::read_text).transpose()?;
    Ok(text.map(|text| text.lines().next().unwrap_or_default().to_owned()))
}

fn report(lines: &[Line], output: Output) -> Result<(), CliError> {
    let count = |result: &str| lines.iter().filter(|line| line.result == result).count();
    if output.is_json() {
        output.json(&json!({
            "results": lines.iter().map(Line::to_json).collect::<Vec<_>>(),
            "imported": count(IMPORTED),
            "alreadyThere": count(ALREADY_THERE),
            "refused": count(REFUSED),
            "skipped": count(SKIPPED),
        }))?;
    } else {
        let row = |line: &Line| {
            let cells = [&line.file, line.result, &line.certificate_id, &line.subject, &line.reason];
            cells.map(str::to_owned).to_vec()
        };
        let heading = ["file", "result", "id", "subject", "reason"];
        output.rows(&heading, lines.iter().map(row).collect(), "There is nothing to import.")?;
    }
    match count(REFUSED) {
        0 => Ok(()),
        refused => Err(CliError::Unfinished(format!(
            "{refused} of {} were refused; the report says why, and the others are done",
            lines.len()
        ))),
    }
}

struct Importer {
    /// Absent in a dry run.
    client: Option<Client>,
    key: Option<String>,
    password: Option<String>,
    friendly_name: Option<String>,
    application: Option<String>,
}

impl Importer {
    async fn import_file(&self, file: Found, lines: &mut Vec<Line>) -> Result<(), CliError> {
        let path = file.path;
        match file.contents {
            Contents::Skipped(reason) => lines.push(Line { reason, ..Line::new(&path, SKIPPED) }),
            Contents::Unreadable(reason) => lines.push(Line::refused(&path, reason)),
            Contents::Pkcs12(bytes) => self.import_pkcs12(&path, &bytes, lines).await?,
            Contents::Certificates { certificates, key } => {
                let key = self.key.clone().or(key);
                self.import_certificates(&path, &certificates, key, lines).await?;
            }
        }
        Ok(())
    }

    /// Certificates of one file are a certificate with its chain, or many that have nothing to do with each other.
    async fn import_certificates(
        &self,
        path: &Path,
        certificates: &[Vec<u8>],
        key: Option<String>,
        lines: &mut Vec<Line>,
    ) -> Result<(), CliError> {
        let Some((leaf, above)) = certificates.split_first() else { return Ok(()) };
        let Some(client) = &self.client else {
            lines.push(would_import(path, leaf));
            return Ok(());
        };
        let reply = self.send(client, leaf, above, key.as_deref()).await?;
        if text_at(&reply.body, "/code") != "import.chain" {
            lines.push(line_of(path, leaf, reply)?);
            return Ok(());
        }
        for (place, one) in certificates.iter().enumerate() {
            // The key in the file is the first one's, as programs write it.
            let key = key.as_deref().filter(|_| place == 0);
            lines.push(line_of(path, one, self.send(client, one, &[], key).await?)?);
        }
        Ok(())
    }

    async fn send(
        &self,
        client: &Client,
        leaf: &[u8],
        above: &[Vec<u8>],
        key: Option<&str>,
    ) -> Result<Reply, CliError> {
        let mut body = self.labels();
        let mut put = |name: &str, value: Option<Value>| {
            if let (Some(value), Some(fields)) = (value, body.as_object_mut()) {
                fields.insert(name.to_owned(), value);
            }
        };
        put("certificatePem", Some(pem::encode(pem::CERTIFICATE, leaf).into()));
        let chain: String = above.iter().map(|der| pem::encode(pem::CERTIFICATE, der)).collect();
        put("chainPem", (!chain.is_empty()).then(|| chain.into()));
        put("privateKeyPem", key.map(Value::from));
        put("privateKeyPassword", key.and(self.password.clone()).map(Value::from));
        client.post(&format!("{CERT_MANAGER}/certificates/import-certificate"), &body).await
    }

    fn labels(&self) -> Value {
        let mut body = json!({});
        if let Some(fields) = body.as_object_mut() {
            let given = [("friendlyName", &self.friendly_name), ("applicationId", &self.application)];
            fields.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))));
        }
        body
    }

    async fn import_pkcs12(&self, path: &Path, bytes: &[u8], lines: &mut Vec<Line>) -> Result<(), CliError> {
        let password = self.password.clone().unwrap_or_default();
        let Some(client) = &self.client else {
            match pkcs12::read(bytes, &password) {
                Ok(entries) => lines.extend(entries.iter().map(|it| would_import(path, &it.certificate_der))),
                Err(error) => lines.push(Line::refused(path, error.message)),
            }
            return Ok(());
        };
        let mut body = self.labels();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("pkcs12".to_owned(), STANDARD.encode(bytes).into());
            fields.insert("password".to_owned(), password.into());
        }
        let reply = client.post(&format!("{CERT_MANAGER}/certificates/import-pkcs12"), &body).await?;
        if is_about_one_file(&reply) {
            lines.push(Line::refused(path, message_of(&reply.body)));
            return Ok(());
        }
        let answer = reply.success()?;
        lines.extend(list_at(&answer, "/results").map(|one| {
            let result = match text_at(one, "/result").as_str() {
                "imported" => IMPORTED,
                "already_there" => ALREADY_THERE,
                _ => REFUSED,
            };
            Line {
                certificate_id: text_at(one, "/certificateId"),
                subject: text_at(one, "/subject"),
                reason: text_at(one, "/message"),
                ..Line::new(path, result)
            }
        }));
        Ok(())
    }
}

/// A refusal of this certificate; what concerns every further one (no permission, server gone) ends the command.
fn is_about_one_file(reply: &Reply) -> bool {
    matches!(reply.status, 400 | 409 | 413 | 422)
}

fn line_of(path: &Path, certificate: &[u8], reply: Reply) -> Result<Line, CliError> {
    let subject = subject_of(certificate);
    if reply.status == 409 && text_at(&reply.body, "/code") == "import.exists" {
        let message = message_of(&reply.body);
        let certificate_id = message.split('\'').nth(1).unwrap_or_default().to_owned();
        return Ok(Line { certificate_id, subject, ..Line::new(path, ALREADY_THERE) });
    }
    if is_about_one_file(&reply) {
        return Ok(Line { subject, ..Line::refused(path, message_of(&reply.body)) });
    }
    let answer = reply.success()?;
    let warnings: Vec<String> = list_at(&answer, "/warnings").map(|one| text_at(one, "/message")).collect();
    Ok(Line {
        certificate_id: text_at(&answer, "/certificateId"),
        subject,
        reason: warnings.join("; "),
        ..Line::new(path, IMPORTED)
    })
}

fn message_of(body: &Value) -> String {
    match body.get("message") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(issues)) => issues.iter().map(|one| text_at(one, "/message")).collect::<Vec<_>>().join("; "),
        _ => "the server gave no reason".to_owned(),
    }
}

fn subject_of(certificate: &[u8]) -> String {
    ForeignCertificate::from_der(certificate).map(|it| it.subject_text).unwrap_or_default()
}

fn would_import(path: &Path, certificate: &[u8]) -> Line {
    match ForeignCertificate::from_der(certificate) {
        Ok(it) => Line { subject: it.subject_text, ..Line::new(path, WOULD_IMPORT) },
        Err(error) => Line::refused(path, error.message),
    }
}
