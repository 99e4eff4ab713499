//! Alerts: who is to hear of what, and what has been sent.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::nullable::{Nullable, lenient_bool};

words! {
    /// What an alert is about. `renewal_failed`, `issuance_failed`, `ca_expiration` and `crl_expiration` are
    /// ours.
    AlertEventType {
        Expiration => "expiration", Renewal => "renewal", Issuance => "issuance", Revocation => "revocation",
        RenewalFailed => "renewal_failed", IssuanceFailed => "issuance_failed", CaExpiration => "ca_expiration",
        CrlExpiration => "crl_expiration",
    }
    /// What a filter looks at.
    AlertFilterField {
        ProfileName => "profile_name", CommonName => "common_name", San => "san", IncludeCas => "include_cas",
    }
    /// How a filter compares; case makes no difference. `matches`: the whole value, `*` for any run of characters, `?` for
    /// one.
    AlertFilterOperator {
        Equals => "equals", Matches => "matches", Contains => "contains", StartsWith => "starts_with",
        EndsWith => "ends_with",
    }
    /// How a message travels.
    AlertChannelType { Email => "email", Webhook => "webhook", Slack => "slack" }
    /// Where a message stands.
    NotificationState { Pending => "pending", Delivered => "delivered", Failed => "failed" }
    /// How the last message went.
    AlertRunStatus { Success => "success", Failed => "failed" }
}

/// `true` or `false` for `include_cas`; else a text, or several of which one is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum AlertFilterValue {
    Flag(bool),
    Text(String),
    List(Vec<String>),
}

wire! {
    /// Make an alert.
    pub struct CreateAlert {
        /// The caller's project; may be left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_id: Option<String>,
        /// 1 to 255 lower-case letters, digits and single hyphens; unique in the project or application.
        pub name: String,
        /// Up to 1000 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        pub event_type: AlertEventType,
        /// How long before the end: a number and `h`, `d`, `w`, `m` (30 days) or `y`. For events that look ahead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub alert_before: Option<String>,
        /// All must hold; up to 20.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub filters: Option<Vec<AlertFilter>>,
        /// Default: true.
        #[serde(default, deserialize_with = "lenient_bool", skip_serializing_if = "Option::is_none")]
        pub enabled: Option<bool>,
        /// 1 to 10.
        pub channels: Vec<NewAlertChannel>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub notification_config: Option<NotificationConfig>,
    }

    /// Change an alert: a key left out stays as it is. Given channels replace all.
    pub struct UpdateAlert {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub description: Nullable<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub event_type: Option<AlertEventType>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub alert_before: Nullable<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub filters: Option<Vec<AlertFilter>>,
        #[serde(default, deserialize_with = "lenient_bool", skip_serializing_if = "Option::is_none")]
        pub enabled: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub channels: Option<Vec<NewAlertChannel>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub notification_config: Option<NotificationConfig>,
    }

    /// One condition on certificates.
    pub struct AlertFilter {
        pub field: AlertFilterField,
        pub operator: AlertFilterOperator,
        pub value: AlertFilterValue,
    }

    /// A channel as it is asked for.
    pub struct NewAlertChannel {
        /// Of a channel that the alert has: secrets that are left out are kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub id: Option<Uuid>,
        pub channel_type: AlertChannelType,
        pub config: NewChannelConfig,
        /// Default: true.
        #[serde(default, deserialize_with = "lenient_bool", skip_serializing_if = "Option::is_none")]
        pub enabled: Option<bool>,
    }

    /// What the channel's kind needs: e-mail `recipients`; a webhook `url` and perhaps `signingSecret`; Slack `webhookUrl`
    /// and perhaps `channel` and `mentionUsers`.
    #[derive(Default)]
    pub struct NewChannelConfig {
        /// 1 to 10 addresses.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub recipients: Option<Vec<String>>,
        /// https.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub url: Option<String>,
        /// Up to 256 characters. Never shown again; `null` removes it.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub signing_secret: Nullable<String>,
        /// https. Never shown again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub webhook_url: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub channel: Option<String>,
        /// Slack user ids, or `here`, `channel`, `everyone`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub mention_users: Option<Vec<String>>,
    }

    /// How often the same is told.
    #[derive(Default)]
    pub struct NotificationConfig {
        /// Tell again each day while it holds; for events that look ahead. Default: false.
        #[serde(default, deserialize_with = "lenient_bool", skip_serializing_if = "Option::is_none")]
        pub enable_daily_notification: Option<bool>,
    }

    /// An alert.
    pub struct Alert {
        pub id: Uuid,
        pub project_id: Uuid,
        pub application_id: Option<Uuid>,
        pub name: String,
        pub description: Option<String>,
        pub event_type: AlertEventType,
        pub alert_before: Option<String>,
        pub filters: Vec<AlertFilter>,
        pub enabled: bool,
        pub channels: Vec<AlertChannel>,
        pub notification_config: NotificationConfig,
        pub last_run: Option<AlertRun>,
        pub created_at: String,
        pub updated_at: String,
    }

    /// A channel without its secrets.
    pub struct AlertChannel {
        pub id: Uuid,
        pub channel_type: AlertChannelType,
        pub config: ChannelConfig,
        pub enabled: bool,
        pub created_at: String,
        pub updated_at: String,
    }

    /// What may be shown of a channel.
    #[derive(Default)]
    pub struct ChannelConfig {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub recipients: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub url: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub has_signing_secret: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub has_webhook_url: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub channel: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub mention_users: Option<Vec<String>>,
    }

    pub struct AlertRun {
        pub timestamp: String,
        pub status: AlertRunStatus,
        pub error: Option<String>,
    }

    pub struct AlertAnswer {
        pub alert: Alert,
    }

    pub struct AlertsAnswer {
        pub alerts: Vec<Alert>,
        pub total: u64,
        pub next_cursor: Option<String>,
    }

    /// What would an alert be about?
    pub struct PreviewAlert {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub application_id: Option<Uuid>,
        /// Default: `expiration`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub event_type: Option<AlertEventType>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub alert_before: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub filters: Option<Vec<AlertFilter>>,
        /// 1 to 100, default 20.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub offset: Option<i64>,
    }

    /// A certificate as messages show it.
    pub struct AlertCertificate {
        pub id: Uuid,
        /// Of the CA whose own certificate this is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ca_id: Option<Uuid>,
        pub serial_number: String,
        pub common_name: String,
        pub san: Vec<String>,
        pub profile_name: Option<String>,
        pub not_before: String,
        pub not_after: String,
        pub status: String,
        /// Whole days.
        pub days_until_expiry: i64,
    }

    pub struct AlertCertificatesAnswer {
        pub certificates: Vec<AlertCertificate>,
        pub total: u64,
        /// False when there were more than 10 000 certificates to look at.
        pub total_exact: bool,
    }

    /// Send a test event to a webhook.
    pub struct TestWebhook {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_id: Option<String>,
        /// https.
        pub url: String,
        /// Up to 256 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub signing_secret: Option<String>,
    }

    pub struct TestWebhookAnswer {
        pub success: bool,
        pub error: Option<String>,
    }

    pub struct TestAlertAnswer {
        pub channels: Vec<TestedChannel>,
    }

    /// How a channel took a test message.
    pub struct TestedChannel {
        pub id: Uuid,
        pub channel_type: AlertChannelType,
        pub success: bool,
        pub error: Option<String>,
    }

    /// A message, sent or on its way.
    pub struct Notification {
        /// The event's `id`, and the `Message-ID` of the mail.
        pub id: Uuid,
        pub channel_id: Uuid,
        pub channel_type: AlertChannelType,
        pub state: NotificationState,
        pub attempts: u32,
        pub last_error: Option<String>,
        pub created_at: String,
        pub delivered_at: Option<String>,
    }

    pub struct NotificationsAnswer {
        pub notifications: Vec<Notification>,
        pub total: u64,
        pub next_cursor: Option<String>,
    }
}

query! {
    pub struct AlertsQuery {
        pub project_id: Option<String>,
        /// Part of the name or description.
        pub search: Option<String>,
        /// Such as `expiration`.
        pub event_type: Option<String>,
        /// `true` or `false`.
        pub enabled: Option<String>,
        /// Rows wanted, 1 to 100, default 20.
        pub limit: Option<i64>,
        /// Rows to skip, 0 to 10000.
        pub offset: Option<i64>,
        /// `nextCursor` of an earlier page; wins over `offset`.
        pub cursor: Option<String>,
    }

    pub struct AlertSliceQuery {
        /// 1 to 100, default 20.
        pub limit: Option<i64>,
        pub offset: Option<i64>,
        pub cursor: Option<String>,
    }
}
