//! A message for tests.

use chancery_authority::alert::{Message, MessageAlert, MessageCertificate};
use chancery_model::alert::AlertEvent;
use chancery_model::{AlertId, NotificationId, ProjectId, Timestamp};
use uuid::Uuid;

pub(crate) fn message() -> Message {
    Message {
        id: NotificationId::from_uuid(Uuid::from_u128(1)),
        event: Some(AlertEvent::Expiration),
        time: Timestamp::from_seconds(1_800_000_000),
        alert: MessageAlert {
            id: AlertId::from_uuid(Uuid::from_u128(2)),
            name: "soon".to_owned(),
            before: Some("30d".to_owned()),
            project_id: ProjectId::from_uuid(Uuid::from_u128(3)),
        },
        certificates: vec![certificate("www.acme.com")],
        crls: Vec::new(),
        total: 1,
        view_url: Some("https://pki.acme.com/view".to_owned()),
        source: "https://pki.acme.com/alert".to_owned(),
    }
}

pub(crate) fn certificate(common_name: &str) -> MessageCertificate {
    MessageCertificate {
        id: Uuid::from_u128(4),
        ca_id: None,
        request_id: None,
        serial_number: "0a1b".to_owned(),
        common_name: common_name.to_owned(),
        sans: vec![common_name.to_owned(), "10.0.0.1".to_owned()],
        profile_name: Some("web".to_owned()),
        not_before: Timestamp::from_seconds(1_790_000_000),
        not_after: Timestamp::from_seconds(1_800_000_000 + 30 * 86_400),
        status: "active".to_owned(),
        days_until_expiry: 30,
        error: None,
    }
}
