//! Taking certificates back, for good or until they are released.

use chancery_wire::words::RevocationReason;
use clap::Args;
use serde_json::json;

use super::path_of;
use crate::client::Client;
use crate::error::CliError;
use crate::output::{Output, short_time, text_at};

#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// Id, serial number or SHA-256 fingerprint of the certificate
    certificate: String,
    /// Why: unspecified, key-compromise, ca-compromise, affiliation-changed, superseded, cessation-of-operation,
    /// certificate-hold (can be released), privilege-withdrawn or a-a-compromise
    #[arg(long, default_value = "unspecified", value_parser = reason)]
    reason: RevocationReason,
}

#[derive(Debug, Args)]
pub struct ReleaseArguments {
    /// Id, serial number or SHA-256 fingerprint of a certificate that is on hold
    certificate: String,
}

/// The wire's words as one types them: in lower case and with hyphens.
fn reason(text: &str) -> Result<RevocationReason, String> {
    let word = text.to_ascii_uppercase().replace('-', "_");
    RevocationReason::from_name(&word).ok_or_else(|| {
        let typed = |one: &RevocationReason| one.as_str().to_ascii_lowercase().replace('_', "-");
        format!("use one of {}", RevocationReason::ALL.iter().map(typed).collect::<Vec<_>>().join(", "))
    })
}

pub(super) async fn revoke(client: &Client, arguments: RevokeArguments, output: Output) -> Result<(), CliError> {
    let path = format!("{}/revoke", path_of(&arguments.certificate));
    let answer = client.post(&path, &json!({"revocationReason": arguments.reason})).await?.success()?;
    if output.is_json() {
        return output.json(&answer);
    }
    let at = short_time(&text_at(&answer, "/revokedAt"));
    output.line(&format!("Revoked {} at {at}", text_at(&answer, "/serialNumber")))
}

pub(super) async fn release(client: &Client, arguments: ReleaseArguments, output: Output) -> Result<(), CliError> {
    let path = format!("{}/release", path_of(&arguments.certificate));
    let answer = client.post(&path, &json!({})).await?.success()?;
    if output.is_json() {
        return output.json(&answer);
    }
    output.line(&format!("Released {}; it is valid again", text_at(&answer, "/serialNumber")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_typed_in_words() {
        for (text, expected) in [
            ("key-compromise", Some(RevocationReason::KeyCompromise)),
            ("KEY_COMPROMISE", Some(RevocationReason::KeyCompromise)),
            ("certificate-hold", Some(RevocationReason::CertificateHold)),
            ("a-a-compromise", Some(RevocationReason::AaCompromise)),
            ("lost", None),
            ("remove-from-crl", None),
            ("", None),
        ] {
            assert_eq!(reason(text).ok(), expected, "{text}");
        }
        assert!(reason("lost").unwrap_err().contains("cessation-of-operation"));
    }
}
