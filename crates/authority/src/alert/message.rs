//! What is told, the same by every channel and at every try.

use chancery_model::alert::{Alert, AlertEvent};
use chancery_model::{AlertId, CaId, CertificateId, CrlId, NotificationId, ProjectId, RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Authority;

/// Kept in the outbox as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Of the notification: the same at every try, so that receivers can drop repeats.
    pub id: NotificationId,
    /// `None`: somebody tries the channel out.
    pub event: Option<AlertEvent>,
    pub time: Timestamp,
    pub alert: MessageAlert,
    /// Up to [`Message::CERTIFICATES_MAX`].
    pub certificates: Vec<MessageCertificate>,
    #[serde(default)]
    pub crls: Vec<MessageCrl>,
    /// How many there are, listed or not.
    pub total: u64,
    /// Where to read on.
    pub view_url: Option<String>,
    /// Who tells it: the server's own address where it has one.
    pub source: String,
}

impl Message {
    pub const CERTIFICATES_MAX: usize = 100;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAlert {
    pub id: AlertId,
    pub name: String,
    pub before: Option<String>,
    pub project_id: ProjectId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCertificate {
    /// Of the certificate; for a CA, of the CA's certificate.
    pub id: Uuid,
    /// Of the CA whose own certificate this is.
    pub ca_id: Option<CaId>,
    /// It is no certificate but a request that led to none: numbers and times are then the request's, as far as it has any.
    #[serde(default)]
    pub request_id: Option<RequestId>,
    pub serial_number: String,
    pub common_name: String,
    pub sans: Vec<String>,
    pub profile_name: Option<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// `active`, `expired` or `revoked`.
    pub status: String,
    /// Whole days left; negative when it has ended.
    pub days_until_expiry: i64,
    /// Why a renewal or a request did not succeed.
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCrl {
    pub id: CrlId,
    pub ca_id: CaId,
    pub ca_name: String,
    pub partition: u32,
    pub number: i64,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
}

impl Authority {
    /// A message about nothing yet.
    pub(super) fn blank_message(&self, alert: &Alert, event: Option<AlertEvent>) -> Message {
        let now = self.now();
        let base = format!("/api/v1/cert-manager/alerts/{}", alert.id);
        Message {
            id: NotificationId::generate(now, self.random()),
            event,
            time: now,
            alert: MessageAlert {
                id: alert.id,
                name: alert.name.clone(),
                before: alert.before.as_ref().map(ToString::to_string),
                project_id: alert.project_id,
            },
            certificates: Vec::new(),
            crls: Vec::new(),
            total: 0,
            view_url: self.site_url().map(|site| format!("{site}{base}/certificates")),
            source: format!("{}{base}", self.site_url().unwrap_or_default()),
        }
    }

    /// A message with an invented certificate, for trying a channel out.
    pub(super) fn test_message(&self, alert: &Alert) -> Message {
        const DAY: i64 = 86_400;
        let now = self.now();
        let example = MessageCertificate {
            id: CertificateId::from_uuid(Uuid::nil()).as_uuid(),
            ca_id: None,
            request_id: None,
            serial_number: "00".to_owned(),
            common_name: "test.example".to_owned(),
            sans: vec!["test.example".to_owned()],
            profile_name: Some("example".to_owned()),
            not_before: now.plus_seconds(-60 * DAY),
            not_after: now.plus_seconds(30 * DAY),
            status: "active".to_owned(),
            days_until_expiry: 30,
            error: None,
        };
        Message { certificates: vec![example], total: 1, ..self.blank_message(alert, None) }
    }
}
