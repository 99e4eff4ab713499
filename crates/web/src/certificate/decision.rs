//! Why a certificate was issued as it is: the decision that was written down with its request.

use chancery_authority::Authority;
use chancery_authority::enrollment::{Decision, FieldReport};
use chancery_model::certificate::Certificate;
use chancery_model::enrollment::Source;
use chancery_model::{Timestamp, Warning};

use crate::error::WebError;
use crate::request::words::{field_label, key_label, source_label, value_label};

pub(super) struct ShownDecision {
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

impl ShownDecision {
    /// Absent for what was not requested here: imported certificates, and those of CAs for themselves.
    pub async fn of(authority: &Authority, it: &Certificate) -> Result<Option<Self>, WebError> {
        let Some(request) = authority.reader().request(it.project_id, it.request_id).await? else { return Ok(None) };
        let decision = Decision::read(&request.document).unwrap_or_default();
        Ok(Some(Self {
            key: key_label(decision.key),
            fields: fields(&decision.fields, decision.renews.is_some()),
            warnings: decision.warnings,
            requested_at: request.created_at,
        }))
    }
}

/// Values of one field that came from one place stand in one row.
fn fields(list: &[FieldReport], is_renewal: bool) -> Vec<DecidedField> {
    let mut rows: Vec<DecidedField> = Vec::new();
    for one in list {
        let source = match one.source {
            // What a renewal copies counts as asked for.
            Source::Request if is_renewal => "as before, or asked for",
            source => source_label(source),
        };
        let (label, value) = (field_label(&one.field), value_label(&one.field, &one.value));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_field_and_source_are_one_row() {
        let report =
            |field: &str, value: &str, source| FieldReport { field: field.to_owned(), value: value.to_owned(), source };
        let list = [
            report("commonName", "a.acme.com", Source::Request),
            report("altNames[0]", "a.acme.com", Source::Derived),
            report("altNames[1]", "b.acme.com", Source::Request),
            report("altNames[2]", "c.acme.com", Source::Request),
            report("keyUsages", "digital_signature", Source::Template),
            report("ttl", "7776000s", Source::Default),
            report("notAfter", "2026-04-15T11:59:59.000Z", Source::Request),
        ];
        let shown = |is_renewal| {
            let rows = fields(&list, is_renewal);
            rows.iter().map(|it| format!("{}={} ({})", it.label, it.value, it.source)).collect::<Vec<_>>()
        };
        assert_eq!(
            shown(false),
            [
                "Common name=a.acme.com (as asked)",
                "Subject alternative name=a.acme.com (copied from the common name)",
                "Subject alternative name=b.acme.com, c.acme.com (as asked)",
                "Key usage=Digital signature (from the template)",
                "Validity=90 days (built-in default)",
                "Valid until=2026-04-15 11:59 UTC (as asked)",
            ]
        );
        assert_eq!(shown(true).first().map(String::as_str), Some("Common name=a.acme.com (as before, or asked for)"));
    }
}
