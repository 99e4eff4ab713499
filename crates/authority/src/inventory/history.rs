//! What happened to one certificate, from the audit log: for everybody who may read the certificate, not only for readers
//! of the whole log. So it tells who and what, and neither addresses nor anything about other objects.

use chancery_model::CertificateId;
use chancery_model::Timestamp;
use chancery_model::audit::{AuditBody, AuditEntry, AuditEvent, AuditFilter, Outcome};
use chancery_model::certificate::Certificate;
use chancery_model::permission::Permission;
use serde_json::Value;
use uuid::Uuid;

use crate::Authority;
use crate::call::Call;
use crate::error::Error;

/// Entries about one object; the newest.
const ENTRIES_MAX: u32 = 200;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    pub time: Timestamp,
    /// A name of [`AuditEvent`], or of a later program's.
    pub event: String,
    pub actor_name: String,
    pub outcome: Outcome,
    /// As the audit log has them. On a certificate that was renewed, its renewal has `renewedBy`.
    pub details: Value,
}

impl Authority {
    /// The life of a certificate, newest first: how it was asked for and issued, whatever was done with it since, and its
    /// renewal by a successor. At most 200 entries about the certificate and 200 about its request.
    pub async fn history_of(&self, call: &Call, id: CertificateId) -> Result<Vec<HistoryEntry>, Error> {
        call.requester.require_somewhere(Permission::CertificateRead)?;
        let certificate = self.certificate_of(call, id).await?;
        let mut entries = self.entries_about(call, id.as_uuid()).await?;
        entries.extend(self.entries_about(call, certificate.request_id.as_uuid()).await?);
        let mut history: Vec<HistoryEntry> = entries.into_iter().map(told).collect::<Result<_, _>>()?;
        history.extend(self.renewal_of(call, &certificate).await?);
        // Entries of one moment stay as the log has them: the certificate's before its request's.
        history.sort_by_key(|entry| std::cmp::Reverse(entry.time));
        Ok(history)
    }

    async fn entries_about(&self, call: &Call, object: Uuid) -> Result<Vec<AuditEntry>, Error> {
        let filter = AuditFilter { object: Some(object), ..AuditFilter::default() };
        Ok(self.reader().audit(call.project_id(), &filter, None, ENTRIES_MAX).await?.0)
    }

    /// The entry that the successor was recorded with speaks about this certificate too.
    async fn renewal_of(&self, call: &Call, certificate: &Certificate) -> Result<Option<HistoryEntry>, Error> {
        let Some(successor) = certificate.renewal.renewed_by else { return Ok(None) };
        let entries = self.entries_about(call, successor.as_uuid()).await?;
        let renewed = entries.into_iter().find(|it| it.event == AuditEvent::CertificateRenewed.as_str());
        let Some(mut entry) = renewed.map(told).transpose()? else { return Ok(None) };
        if entry.details.get("renewedFrom").and_then(Value::as_str) != Some(certificate.id.to_string().as_str()) {
            return Ok(None);
        }
        entry.details = serde_json::json!({ "renewedBy": successor });
        Ok(Some(entry))
    }
}

fn told(entry: AuditEntry) -> Result<HistoryEntry, Error> {
    let body: AuditBody = serde_json::from_str(&entry.body).map_err(|error| {
        Error::internal(format!("the audit entry {} of node {} cannot be read: {error}", entry.sequence, entry.node))
    })?;
    Ok(HistoryEntry {
        time: entry.time,
        event: entry.event,
        actor_name: body.actor.name,
        outcome: body.outcome,
        details: body.details,
    })
}
