//! Asking for a certificate, and for its renewal.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use chancery_wire::certificate::{AltName, Attributes, IssueCertificate, RenewCertificate};
use chancery_wire::words::{ExtendedKeyUsage, KeyAlgorithm, KeyUsage, RenewalKeySource, SanType, SignatureAlgorithm};
use chancery_wire::{KeyValue, Nullable};
use clap::Args;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::destination::{CertificateFiles, Destination};
use super::path_of;
use crate::client::{CERT_MANAGER, Client};
use crate::connection::ConnectionArguments;
use crate::error::{CliError, violation_text};
use crate::output::{Output, list_at, short_time, text_at};
use crate::{files, lookup};

/// How long the server is asked to wait: so quick is a CA that has nothing to look at. Longer waits are for people, who are
/// told in between what is waited for.
const SERVER_WAIT_MAX: u32 = 2;
const POLL_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub struct RequestArguments {
    /// Profile to request from (slug or id)
    #[arg(long)]
    profile: String,
    /// Application that the certificate is for (name or id)
    #[arg(long, value_name = "APPLICATION")]
    application: Option<String>,
    /// PEM file with a certification request (PKCS#10), - for standard input; without it the server makes the key
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    #[command(flatten)]
    subject: SubjectArguments,
    /// How long it shall be valid, such as 90d, 12h or 1y [default: the profile's]
    #[arg(long, conflicts_with_all = ["not_before", "not_after"])]
    ttl: Option<String>,
    /// Exact start, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "DATE")]
    not_before: Option<String>,
    /// Exact end
    #[arg(long, value_name = "DATE")]
    not_after: Option<String>,
    /// Note to keep with the certificate; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_metadata)]
    metadata: Vec<KeyValue>,
    /// Seconds to wait for a certificate that a CA elsewhere issues; 0 returns at once
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    wait: u32,
    /// Only tell what would happen and why; issues nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    destination: Destination,
}

/// What the certificate says. A CSR says these things itself.
#[derive(Debug, Default, Args)]
pub struct SubjectArguments {
    #[arg(long, value_name = "NAME")]
    common_name: Option<String>,
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    #[arg(long, value_name = "NAME")]
    organizational_unit: Option<String>,
    /// Two letters
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    #[arg(long, value_name = "NAME")]
    state: Option<String>,
    #[arg(long, value_name = "NAME")]
    locality: Option<String>,
    /// Alternative name as type:value (dns, ip, email, uri, upn, other_name, directory_name, registered_id); the type
    /// may be left out of a plain DNS name, IP address, e-mail address or URI; may be repeated
    #[arg(long = "san", value_name = "TYPE:VALUE", value_parser = parse_san)]
    sans: Vec<AltName>,
    /// RSA_2048, RSA_3072, RSA_4096, EC_prime256v1, EC_secp384r1, EC_secp521r1, Ed25519, ML-DSA-44, ML-DSA-65 or ML-DSA-87
    #[arg(long, value_name = "NAME", value_parser = key_algorithm)]
    key_algorithm: Option<KeyAlgorithm>,
    /// Such as ECDSA-SHA256 or RSA-PSS-SHA256 [default: the issuer's usual one]
    #[arg(long, value_name = "NAME", value_parser = signature_algorithm)]
    signature_algorithm: Option<SignatureAlgorithm>,
    /// Such as digital_signature; may be repeated
    #[arg(long = "key-usage", value_name = "NAME", value_parser = key_usage)]
    key_usages: Vec<KeyUsage>,
    /// Such as server_auth; may be repeated
    #[arg(long = "extended-key-usage", value_name = "NAME", value_parser = extended_key_usage)]
    extended_key_usages: Vec<ExtendedKeyUsage>,
}

#[derive(Debug, Args)]
pub struct RenewArguments {
    /// Id of the certificate to renew
    id: String,
    /// Whose key the new certificate is for: new (made by the server), reuse (the present one) or csr
    /// [default: new, or csr when --csr is given]
    #[arg(long, value_name = "SOURCE", value_parser = key_source)]
    key_source: Option<RenewalKeySource>,
    /// PEM file with a certification request, - for standard input
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// Another life span than before, such as 90d
    #[arg(long)]
    ttl: Option<String>,
    /// Seconds to wait for a certificate that a CA elsewhere issues; 0 returns at once
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    wait: u32,
    #[command(flatten)]
    destination: Destination,
}

/// One word of a closed set; anything else is answered with the whole set.
fn word<T: Copy + std::fmt::Display>(found: Option<T>, all: &[T]) -> Result<T, String> {
    found.ok_or_else(|| format!("use one of {}", all.iter().map(T::to_string).collect::<Vec<_>>().join(", ")))
}

fn key_algorithm(text: &str) -> Result<KeyAlgorithm, String> {
    word(KeyAlgorithm::from_name(text), KeyAlgorithm::ALL)
}

fn signature_algorithm(text: &str) -> Result<SignatureAlgorithm, String> {
    word(SignatureAlgorithm::from_name(text), SignatureAlgorithm::ALL)
}

fn key_usage(text: &str) -> Result<KeyUsage, String> {
    word(KeyUsage::from_name(text), KeyUsage::ALL)
}

fn extended_key_usage(text: &str) -> Result<ExtendedKeyUsage, String> {
    word(ExtendedKeyUsage::from_name(text), ExtendedKeyUsage::ALL)
}

fn key_source(text: &str) -> Result<RenewalKeySource, String> {
    word(RenewalKeySource::from_name(text), RenewalKeySource::ALL)
}

/// `type:value`, or a value whose form tells its type.
fn parse_san(text: &str) -> Result<AltName, String> {
    let (kind, value) = match text.split_once(':') {
        Some((kind, value)) if san_kind(kind).is_some() => (san_kind(kind), value),
        _ if text.parse::<IpAddr>().is_ok() => (Some(SanType::IpAddress), text),
        _ if text.contains("://") => (Some(SanType::Uri), text),
        Some((kind, _)) => return Err(format!("\"{kind}\" is not a type of name; use dns, ip, email, uri or upn")),
        None if text.contains('@') => (Some(SanType::Email), text),
        None => (Some(SanType::DnsName), text),
    };
    match (kind, value.trim()) {
        (_, "") => Err("the value is empty".to_owned()),
        (Some(kind), value) => Ok(AltName { kind, value: value.to_owned() }),
        (None, _) => Err("the type is missing".to_owned()),
    }
}

fn san_kind(word: &str) -> Option<SanType> {
    match word.to_ascii_lowercase().as_str() {
        "dns" => Some(SanType::DnsName),
        "ip" => Some(SanType::IpAddress),
        full => SanType::from_name(full),
    }
}

fn parse_metadata(text: &str) -> Result<KeyValue, String> {
    let (key, value) = text.split_once('=').ok_or("write it as key=value")?;
    if key.is_empty() {
        Err("the key is empty".to_owned())
    } else {
        Ok(KeyValue { key: key.to_owned(), value: value.to_owned() })
    }
}

/// A flag that was not given leaves the profile's default in force.
fn given<T: Clone>(value: Option<&T>) -> Nullable<T> {
    value.map_or(Nullable::Missing, |value| Nullable::Value(value.clone()))
}

fn given_list<T: Clone>(values: &[T]) -> Option<Vec<T>> {
    if values.is_empty() { None } else { Some(values.to_vec()) }
}

impl SubjectArguments {
    fn attributes(&self) -> Attributes {
        Attributes {
            common_name: given(self.common_name.as_ref()),
            organization: given(self.organization.as_ref()),
            organizational_unit: given(self.organizational_unit.as_ref()),
            country: given(self.country.as_ref()),
            state: given(self.state.as_ref()),
            locality: given(self.locality.as_ref()),
            alt_names: given_list(&self.sans),
            key_algorithm: given(self.key_algorithm.as_ref()),
            signature_algorithm: given(self.signature_algorithm.as_ref()),
            key_usages: given_list(&self.key_usages),
            extended_key_usages: given_list(&self.extended_key_usages),
            ..Attributes::default()
        }
    }
}

impl RequestArguments {
    /// The body of an issue or evaluate request.
    fn body(&self, profile_id: Uuid, application_id: Option<Uuid>) -> Result<IssueCertificate, CliError> {
        let attributes = Attributes {
            ttl: self.ttl.clone(),
            not_before: self.not_before.clone(),
            not_after: self.not_after.clone(),
            ..self.subject.attributes()
        };
        Ok(IssueCertificate {
            profile_id,
            application_id,
            csr: self.csr.as_deref().map(files::read_text).transpose()?,
            attributes: Some(attributes),
            remove_roots_from_chain: None,
            metadata: given_list(&self.metadata),
            wait: server_wait(self.wait),
        })
    }
}

/// What the server itself is asked to wait.
fn server_wait(seconds: u32) -> Option<u32> {
    Some(seconds.min(SERVER_WAIT_MAX)).filter(|seconds| *seconds > 0)
}

pub(super) async fn request(
    connection: &ConnectionArguments,
    arguments: RequestArguments,
    output: Output,
) -> Result<(), CliError> {
    if !arguments.dry_run {
        arguments.destination.check()?;
    }
    let client = connection.connect().await?;
    let profile_id = lookup::profile_id(&client, &arguments.profile).await?;
    let application_id = match &arguments.application {
        Some(name) => Some(lookup::application_id(&client, name).await?),
        None => None,
    };
    let body = arguments.body(profile_id, application_id)?;
    if arguments.dry_run {
        return evaluate(&client, &body, output).await;
    }
    let answer = client.post(&format!("{CERT_MANAGER}/certificates"), &body).await?.success()?;
    let answer = match answer.pointer("/certificate") {
        Some(certificate) if !certificate.is_null() => answer,
        _ => wait_for(&client, answer, Duration::from_secs(arguments.wait.into()), output).await?,
    };
    let files = files_of(&client, &answer).await?;
    finish(&arguments.destination, &files, answer, output)
}

/// Looks at the request until it is issued or has failed, at most so long.
async fn wait_for(client: &Client, answer: Value, patience: Duration, output: Output) -> Result<Value, CliError> {
    let id = text_at(&answer, "/certificateRequestId");
    let deadline = Instant::now() + patience;
    let mut told = String::new();
    loop {
        let request = client.get(&format!("{CERT_MANAGER}/certificates/certificate-requests/{id}")).await?.success()?;
        let status = text_at(&request, "/status");
        match status.as_str() {
            "issued" => return Ok(request),
            "failed" | "rejected" => {
                return Err(CliError::Unfinished(format!(
                    "Request {id} has ended as {status}: {}",
                    text_at(&request, "/errorMessage")
                )));
            }
            _ if Instant::now() >= deadline => {
                return Err(CliError::Unfinished(format!(
                    "Request {id} is {status} and not issued yet. {} `chancery request show {id}` tells how it goes on; \
                     --wait SECONDS gives it time",
                    sentence(&text_at(&request, "/pendingMessage"))
                )));
            }
            _ => {
                let waits_for = text_at(&request, "/pendingMessage");
                if !waits_for.is_empty() && waits_for != told {
                    output.note(&waits_for);
                    told = waits_for;
                }
                tokio::time::sleep(POLL_PAUSE).await;
            }
        }
    }
}

/// With a full stop at its end.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// Gathers the PEM texts from an issue answer, a renew answer or an issued request.
async fn files_of(client: &Client, answer: &Value) -> Result<CertificateFiles, CliError> {
    let issued = answer.pointer("/certificate").filter(|it| it.is_object()).unwrap_or(answer);
    let id = text_at(issued, "/certificateId");
    let shown = client.get(&path_of(&id)).await?.success()?;
    let name = text_at(&shown, "/certificate/commonName");
    let first_san = text_at(&shown, "/certificate/altNames").split(',').next().unwrap_or_default().trim().to_owned();
    Ok(CertificateFiles {
        name: if name.is_empty() { first_san } else { name },
        certificate: text_at(issued, "/certificate"),
        chain: text_at(issued, "/certificateChain"),
        private_key: Some(text_at(issued, "/privateKey")).filter(|key| !key.is_empty()),
        id,
    })
}

fn finish(destination: &Destination, files: &CertificateFiles, answer: Value, output: Output) -> Result<(), CliError> {
    for warning in list_at(&answer, "/warnings") {
        output.note(&format!("warning: {} ({})", text_at(warning, "/message"), text_at(warning, "/field")));
    }
    let written = destination.deliver(files, output)?;
    if output.is_json() {
        return output.json(&destination.report(files, answer, &written));
    }
    if destination.stdout {
        return Ok(());
    }
    output.line(&format!("Issued {} as certificate {}", files.name, files.id))?;
    for path in &written {
        output.line(&format!("  {}", path.display()))?;
    }
    Ok(())
}

pub(super) async fn renew(
    connection: &ConnectionArguments,
    arguments: RenewArguments,
    output: Output,
) -> Result<(), CliError> {
    let source = match (arguments.key_source, &arguments.csr) {
        (Some(RenewalKeySource::Csr), None) => {
            return Err(CliError::Usage("--key-source csr needs --csr FILE".to_owned()));
        }
        (Some(RenewalKeySource::New | RenewalKeySource::Reuse), Some(_)) => {
            return Err(CliError::Usage("--csr goes with --key-source csr only".to_owned()));
        }
        (None, Some(_)) => Some(RenewalKeySource::Csr),
        (source, _) => source,
    };
    arguments.destination.check()?;
    let body = RenewCertificate {
        renewal_key_source: source,
        csr: arguments.csr.as_deref().map(files::read_text).transpose()?,
        attributes: arguments.ttl.map(|ttl| Attributes { ttl: Some(ttl), ..Attributes::default() }),
        wait: server_wait(arguments.wait),
        ..RenewCertificate::default()
    };
    let client = connection.connect().await?;
    let answer = client.post(&format!("{}/renew", path_of(&arguments.id)), &body).await?.success()?;
    let answer = if text_at(&answer, "/certificate").is_empty() {
        wait_for(&client, answer, Duration::from_secs(arguments.wait.into()), output).await?
    } else {
        answer
    };
    let mut files = files_of(&client, &answer).await?;
    if files.private_key.is_none() && source != Some(RenewalKeySource::Csr) {
        files.private_key = stored_key(&client, &files.id).await?;
    }
    finish(&arguments.destination, &files, answer, output)
}

/// The key that the server keeps for a certificate, if there is one and this caller may read it.
async fn stored_key(client: &Client, id: &str) -> Result<Option<String>, CliError> {
    let bundle = client.get(&format!("{}/bundle", path_of(id))).await?.success()?;
    Ok(Some(text_at(&bundle, "/privateKey")).filter(|key| !key.is_empty()))
}

/// The dry run: every field with its source, every rule that refuses, and what would mend it.
async fn evaluate(client: &Client, body: &IssueCertificate, output: Output) -> Result<(), CliError> {
    let answer = client.post(&format!("{CERT_MANAGER}/certificates/evaluate"), body).await?.success()?;
    let verdict = text_at(&answer, "/verdict");
    if output.is_json() {
        output.json(&answer)?;
    } else {
        let rows = list_at(&answer, "/fields")
            .map(|one| vec![text_at(one, "/field"), short_time(&text_at(one, "/value")), text_at(one, "/source")])
            .collect();
        output.rows(&["field", "value", "source"], rows, "The request says nothing.")?;
        for warning in list_at(&answer, "/warnings") {
            output.line(&format!("warning: {} ({})", text_at(warning, "/message"), text_at(warning, "/field")))?;
        }
    }
    if verdict != "refused" {
        return output.line(&format!("\nVerdict: {verdict}. Nothing was issued."));
    }
    let broken: String =
        list_at(&answer, "/rules").filter(|rule| text_at(rule, "/verdict") == "fail").map(violation_text).collect();
    Err(CliError::Unfinished(format!("The request would be refused:{broken}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn alternative_names_are_read_with_and_without_a_type() {
        let check = |text: &str, expected: Option<(SanType, &str)>| {
            let expected = expected.map(|(kind, value)| AltName { kind, value: value.to_owned() });
            assert_eq!(parse_san(text).ok(), expected, "{text}");
        };
        check("dns:www.acme.com", Some((SanType::DnsName, "www.acme.com")));
        check("www.acme.com", Some((SanType::DnsName, "www.acme.com")));
        check("*.acme.com", Some((SanType::DnsName, "*.acme.com")));
        check("IP:10.0.0.1", Some((SanType::IpAddress, "10.0.0.1")));
        check("10.0.0.1", Some((SanType::IpAddress, "10.0.0.1")));
        check("2001:db8::1", Some((SanType::IpAddress, "2001:db8::1")));
        check("ip:2001:db8::1", Some((SanType::IpAddress, "2001:db8::1")));
        check("me@acme.com", Some((SanType::Email, "me@acme.com")));
        check("spiffe://acme.com/web", Some((SanType::Uri, "spiffe://acme.com/web")));
        check("uri:urn:uuid:1", Some((SanType::Uri, "urn:uuid:1")));
        check("other_name:1.2.3;utf8:x", Some((SanType::OtherName, "1.2.3;utf8:x")));
        check("nonsense:x", None);
        check("dns:", None);
        check("", None);
    }

    #[test]
    fn a_request_says_only_what_was_given() {
        let arguments = RequestArguments {
            profile: "tls-server".into(),
            application: None,
            csr: None,
            subject: SubjectArguments {
                common_name: Some("www.acme.com".into()),
                sans: vec![parse_san("dns:www.acme.com").unwrap()],
                key_algorithm: Some(key_algorithm("Ed25519").unwrap()),
                ..SubjectArguments::default()
            },
            ttl: Some("90d".into()),
            not_before: None,
            not_after: None,
            metadata: vec![parse_metadata("team=a=b").unwrap()],
            wait: 100,
            dry_run: false,
            destination: Destination::default(),
        };
        assert_eq!(
            serde_json::to_value(arguments.body(Uuid::nil(), None).unwrap()).unwrap(),
            json!({
                "profileId": "00000000-0000-0000-0000-000000000000",
                "attributes": {
                    "commonName": "www.acme.com",
                    "altNames": [{"type": "dns_name", "value": "www.acme.com"}],
                    "keyAlgorithm": "Ed25519",
                    "ttl": "90d",
                },
                "metadata": [{"key": "team", "value": "a=b"}],
                "wait": 2,
            })
        );
    }

    #[test]
    fn an_unknown_algorithm_is_answered_with_the_known_ones() {
        let words = key_algorithm("RSA_1024").unwrap_err();
        assert!(words.contains("RSA_2048") && words.contains("ML-DSA-87"), "{words}");
    }
}
