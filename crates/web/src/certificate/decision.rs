//! Why a certificate was issued as it is: the decision that was written down with its request.

use chancery_authority::Authority;
use chancery_model::certificate::Certificate;
use chancery_model::{Timestamp, Warning};
use chancery_pkix::{ExtendedKeyUsage, KeyAlgorithm, KeyUsage};
use serde_json::Value;

use super::word::sentence;
use crate::error::WebError;
use crate::text::{span, utc};

pub(super) struct Decision {
    /// Whose key it certifies.
    pub key: &'static str,
    pub fields: Vec<DecidedField>,
    pub warnings: Vec<Warning>,
    pub requested_at: Timestamp,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct DecidedField {
    pub label: String,
    pub value: String,
    pub source: &'static str,
}

impl Decision {
    /// Absent for what was not requested here: imported certificates, and those of CAs for themselves.
    pub async fn of(authority: &Authority, it: &Certificate) -> Result<Option<Self>, WebError> {
        let Some(request) = authority.reader().request(it.project_id, it.request_id).await? else { return Ok(None) };
        let document: Value = serde_json::from_str(&request.document).unwrap_or_default();
        Ok(Some(Self {
            key: key(document.get("key").and_then(Value::as_str).unwrap_or_default()),
            fields: fields(document.get("fields"), document.get("renews").is_some()),
            warnings: document
                .get("warnings")
                .map(|it| serde_json::from_value(it.clone()))
                .transpose()
                .ok()
                .flatten()
                .unwrap_or_default(),
            requested_at: request.created_at,
        }))
    }
}

fn key(word: &str) -> &'static str {
    match word {
        "generated" => "A new key pair, made by the server",
        "csr" => "The requester's own, from a CSR; the private key was never here",
        "reused" => "The key of the certificate that it renews",
        _ => "Not written down",
    }
}

/// Values of one field that came from one place stand in one row.
fn fields(list: Option<&Value>, is_renewal: bool) -> Vec<DecidedField> {
    let mut rows: Vec<DecidedField> = Vec::new();
    for one in list.and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
        let field = text("field");
        let (label, source) = (label(field), source(text("source"), is_renewal));
        let value = value(field, text("value"));
        match rows.last_mut() {
            Some(row) if row.label == label && row.source == source => {
                row.value.push_str(", ");
                row.value.push_str(&value);
            }
            _ => rows.push(DecidedField { label, value, source }),
        }
    }
    rows
}

fn label(field: &str) -> String {
    match field {
        "basicConstraints.isCA" => "CA certificate".to_owned(),
        "basicConstraints.pathLength" => "Path length".to_owned(),
        "ttl" => "Lifetime".to_owned(),
        "notBefore" => "Valid from".to_owned(),
        "notAfter" => "Valid until".to_owned(),
        field if field.starts_with("altNames[") => "Alternative names".to_owned(),
        field => sentence(field),
    }
}

fn value(field: &str, value: &str) -> String {
    let shown = match field {
        "ttl" => value.strip_suffix('s').and_then(|it| it.parse().ok()).map(span),
        "keyUsages" => value.parse::<KeyUsage>().ok().map(|it| it.label().to_owned()),
        "extendedKeyUsages" => value.parse::<ExtendedKeyUsage>().ok().map(|it| it.label().to_owned()),
        "keyAlgorithm" => value.parse::<KeyAlgorithm>().ok().map(|it| it.label().to_owned()),
        "notBefore" | "notAfter" => Timestamp::parse_date(value).ok().map(utc),
        "basicConstraints.isCA" => Some(if value == "true" { "yes" } else { "no" }.to_owned()),
        _ => None,
    };
    shown.unwrap_or_else(|| value.to_owned())
}

fn source(word: &str, is_renewal: bool) -> &'static str {
    match word {
        // What is copied counts as asked for.
        "request" if is_renewal => "as before, or asked for",
        "request" => "asked for",
        "csr" => "from the CSR",
        "default" => "default of the product",
        "profile" => "default of the profile",
        "template" => "required by the template",
        "derived" => "follows from the common name",
        "issuer" => "set by the issuing CA",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_field_and_source_are_one_row() {
        let list = serde_json::json!([
            { "field": "commonName", "value": "a.acme.com", "source": "request" },
            { "field": "altNames[0]", "value": "a.acme.com", "source": "derived" },
            { "field": "altNames[1]", "value": "b.acme.com", "source": "request" },
            { "field": "altNames[2]", "value": "c.acme.com", "source": "request" },
            { "field": "keyUsages", "value": "digital_signature", "source": "template" },
            { "field": "ttl", "value": "7776000s", "source": "default" },
            { "field": "notAfter", "value": "2026-04-15T11:59:59.000Z", "source": "request" },
            { "field": "basicConstraints.isCA", "value": "false", "source": "default" },
            17,
        ]);
        let found: Vec<String> =
            fields(Some(&list), false).iter().map(|it| format!("{}={} ({})", it.label, it.value, it.source)).collect();
        assert_eq!(
            found,
            [
                "Common name=a.acme.com (asked for)",
                "Alternative names=a.acme.com (follows from the common name)",
                "Alternative names=b.acme.com, c.acme.com (asked for)",
                "Key usages=Digital signature (required by the template)",
                "Lifetime=90 days (default of the product)",
                "Valid until=2026-04-15 11:59 UTC (asked for)",
                "CA certificate=no (default of the product)",
                "= ()",
            ]
        );
    }
}
