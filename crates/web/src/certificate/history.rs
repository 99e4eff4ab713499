//! What happened to a certificate, as sentences.

use chancery_authority::inventory::HistoryEntry;
use chancery_model::Timestamp;
use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::certificate::RevocationReason;
use serde_json::Value;

use super::word;

pub(super) struct Happening {
    pub at: Timestamp,
    pub what: String,
    pub detail: String,
    pub who: String,
    pub class: &'static str,
    /// Another certificate that it is about: its address and what it is called.
    pub link: Option<(String, &'static str)>,
}

impl Happening {
    pub fn of(entry: &HistoryEntry) -> Self {
        let text = |name: &str| entry.details.get(name).and_then(Value::as_str).unwrap_or_default();
        let is_bad = entry.outcome != Outcome::Success
            || [
                AuditEvent::CertificateRevoked,
                AuditEvent::CertificateRenewalFailed,
                AuditEvent::OrderFailed,
                AuditEvent::CertificateQuarantined,
                AuditEvent::ExternalRevocationFailed,
            ]
            .iter()
            .any(|it| it.as_str() == entry.event);
        let is_good = [AuditEvent::CertificateIssued, AuditEvent::CertificateRenewed, AuditEvent::CertificateReleased]
            .iter()
            .any(|it| it.as_str() == entry.event);
        let to = |id: &str, label| (!id.is_empty()).then(|| (format!("/ui/certificates/{id}"), label));
        Self {
            at: entry.time,
            what: what(entry),
            detail: detail(entry),
            who: entry.actor_name.clone(),
            class: if is_bad {
                "bad"
            } else if is_good {
                "good"
            } else {
                ""
            },
            link: to(text("renewedBy"), "its successor").or_else(|| to(text("renewedFrom"), "its predecessor")),
        }
    }
}

fn what(entry: &HistoryEntry) -> String {
    let reason = entry.details.get("reason").and_then(Value::as_str).and_then(RevocationReason::from_name);
    let is_renewed = entry.details.get("renewedBy").is_some();
    let sentence = match AuditEvent::ALL.iter().find(|it| it.as_str() == entry.event) {
        Some(AuditEvent::CertificateIssued) => "Issued",
        Some(AuditEvent::CertificateRenewed) if is_renewed => "Renewed",
        Some(AuditEvent::CertificateRenewed) => "Issued as a renewal",
        Some(AuditEvent::CertificateRenewalRefused) => "A renewal was refused",
        Some(AuditEvent::CertificateRenewalFailed) => "The server could not renew it",
        Some(AuditEvent::CertificateRevoked) if reason == Some(RevocationReason::CertificateHold) => "Put on hold",
        Some(AuditEvent::CertificateRevoked) => "Revoked",
        Some(AuditEvent::CertificateReleased) => "Released from hold",
        Some(AuditEvent::RevokedExternally) => "Revoked at its external CA",
        Some(AuditEvent::ExternalRevocationFailed) => "Its external CA did not take the revocation",
        Some(AuditEvent::CertificateImported) => "Imported",
        Some(AuditEvent::CertificateConfigured) => "Automatic renewal was changed",
        Some(AuditEvent::CertificateUpdated) => "Labels were changed",
        Some(AuditEvent::CertificateDeleted) => "Taken out of the inventory",
        Some(AuditEvent::PrivateKeyRead) => "Private key downloaded",
        Some(AuditEvent::CertificateOrdered) => "Ordered from an external CA",
        Some(AuditEvent::OrderFailed) => "The order failed",
        Some(AuditEvent::CertificateQuarantined) => "What the external CA sent was put aside",
        Some(AuditEvent::ValidationTriggered) => "Validation was asked for again",
        Some(AuditEvent::RequestCancelled) => "The request was cancelled",
        _ => return word::sentence(&entry.event.replace('.', " ")),
    };
    sentence.to_owned()
}

fn detail(entry: &HistoryEntry) -> String {
    let text = |name: &str| entry.details.get(name).and_then(Value::as_str);
    if let Some(reason) = text("reason") {
        return match RevocationReason::from_name(reason) {
            Some(reason) => word::reason(reason).to_owned(),
            None => reason.to_owned(),
        };
    }
    if let Some(format) = text("format") {
        return match format {
            "pem" => "as PEM".to_owned(),
            "pkcs12" => "in a PKCS#12 file".to_owned(),
            "pkcs12-legacy" => "in a PKCS#12 file for old software".to_owned(),
            other => other.to_owned(),
        };
    }
    let violations = entry.details.get("violations").and_then(Value::as_array).map_or(0, Vec::len);
    match text("message").or_else(|| text("error")) {
        Some(message) => message.to_owned(),
        None if violations == 1 => "The template refused it by one rule".to_owned(),
        None if violations > 1 => format!("The template refused it by {violations} rules"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(event: &str, details: Value) -> HistoryEntry {
        HistoryEntry {
            time: Timestamp::from_seconds(0),
            event: event.to_owned(),
            actor_name: "anna".to_owned(),
            outcome: Outcome::Success,
            details,
        }
    }

    #[test]
    fn entries_read_as_sentences() {
        let check = |event: &str, details: Value, expected: (&str, &str, &str)| {
            let found = Happening::of(&entry(event, details));
            assert_eq!((found.what.as_str(), found.detail.as_str(), found.class), expected, "{event}");
        };
        check("certificate.issued", serde_json::json!({}), ("Issued", "", "good"));
        let hold = serde_json::json!({ "reason": "CERTIFICATE_HOLD" });
        check("certificate.revoked", hold, ("Put on hold", "Hold", "bad"));
        let lost = serde_json::json!({ "reason": "KEY_COMPROMISE" });
        check("certificate.revoked", lost, ("Revoked", "Key compromise", "bad"));
        let format = serde_json::json!({ "format": "pkcs12" });
        check("certificate.private-key-read", format, ("Private key downloaded", "in a PKCS#12 file", ""));
        check("later.thing", serde_json::json!(null), ("Later thing", "", ""));
        let renewed = Happening::of(&entry("certificate.renewed", serde_json::json!({ "renewedBy": "7" })));
        assert_eq!((renewed.what.as_str(), renewed.link.unwrap().0.as_str()), ("Renewed", "/ui/certificates/7"));
    }
}
