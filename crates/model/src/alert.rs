//! Alerts: who is to hear of what, by which channels, and the messages on their way.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{AlertId, ApplicationId, ChannelId, NotificationId, ProjectId};
use crate::time::Timestamp;
use crate::words::words;

/// Bounds of an alert: characters of texts, counts of parts.
pub mod bounds {
    pub const NAME_MAX: usize = 255;
    pub const DESCRIPTION_MAX: usize = 1_000;
    pub const CHANNELS_MAX: usize = 10;
    pub const RECIPIENTS_MAX: usize = 10;
    pub const FILTERS_MAX: usize = 20;
    pub const FILTER_VALUES_MAX: usize = 100;
    pub const FILTER_VALUE_MAX: usize = 255;
    pub const SECRET_MAX: usize = 256;
    pub const URL_MAX: usize = 2_048;
    pub const SLACK_CHANNEL_MAX: usize = 80;
    pub const MENTIONS_MAX: usize = 20;
}

/// Lower-case letters, digits and single hyphens between them: `^[a-z0-9]+(?:-[a-z0-9]+)*$`.
#[must_use]
pub fn is_alert_name(text: &str) -> bool {
    let is_word =
        |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    text.len() <= bounds::NAME_MAX && text.split('-').all(is_word)
}

/// An `https` URL with a host, and without user and password.
#[must_use]
pub fn is_https_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        // A colon inside brackets belongs to an IPv6 address (RFC 3986 §3.2.2).
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    scheme.eq_ignore_ascii_case("https")
        && (1..=bounds::URL_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'`'))
        && !host.is_empty()
        && !authority.contains('@')
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// A Slack member id such as `U012AB3CD`, or `here`, `channel`, `everyone`, with or without an at sign before it.
#[must_use]
pub fn is_slack_mention(text: &str) -> bool {
    let id = text.trim_start_matches('@');
    !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub id: AlertId,
    pub project_id: ProjectId,
    /// Absent: about the whole project.
    pub application_id: Option<ApplicationId>,
    /// Lower-case letters, digits and single hyphens; unique in its project or application.
    pub name: String,
    pub description: Option<String>,
    pub event: AlertEvent,
    /// How long before the end; for events that look ahead.
    pub before: Option<AlertBefore>,
    /// All must hold.
    pub filters: Vec<AlertFilter>,
    pub enabled: bool,
    /// What happened earlier is not told: the time of creation, or of being enabled again.
    pub active_since: Timestamp,
    /// Told again each day for as long as it holds.
    pub daily: bool,
    pub channels: Vec<AlertChannel>,
    pub last_run: Option<AlertRun>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

words! {
    /// What an alert is about.
    AlertEvent {
        /// A certificate ends soon and has neither successor nor revocation.
        Expiration => "expiration",
        Renewal => "renewal",
        Issuance => "issuance",
        Revocation => "revocation",
        /// A renewal, asked for or by the server itself, did not succeed.
        RenewalFailed => "renewal_failed",
        /// A CA elsewhere did not issue what was ordered there, or what it sent was put aside.
        IssuanceFailed => "issuance_failed",
        /// A CA's certificate ends soon.
        CaExpiration => "ca_expiration",
        /// A CRL ends soon and has not been published anew.
        CrlExpiration => "crl_expiration",
    }

    /// What a filter looks at.
    FilterField {
        ProfileName => "profile_name",
        CommonName => "common_name",
        San => "san",
        /// Whether CA certificates count too; no by default.
        IncludeCas => "include_cas",
    }

    /// How a filter compares. Letters of either case are the same.
    FilterOperator {
        Equals => "equals",
        /// The whole value against text in which `*` stands for any run of characters and `?` for one.
        Matches => "matches",
        Contains => "contains",
        StartsWith => "starts_with",
        EndsWith => "ends_with",
    }

    ChannelKind { Email => "email", Webhook => "webhook", Slack => "slack" }

    /// Where a message stands.
    NotificationState {
        /// Waits for its first or next try.
        Pending => "pending",
        Delivered => "delivered",
        /// Given up: a dead letter.
        Failed => "failed",
    }
}

impl AlertEvent {
    /// Whether it looks at what will be, not at what has happened.
    #[must_use]
    pub const fn looks_ahead(self) -> bool {
        matches!(self, Self::Expiration | Self::CaExpiration | Self::CrlExpiration)
    }
}

/// A span as the wire writes it: a number and one of `h d w m y`, where `m` is a month of 30 days and `y` a year of 365.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AlertBefore {
    text: String,
    seconds: i64,
}

impl AlertBefore {
    /// Characters.
    pub const LENGTH_MAX: usize = 32;

    /// `None` for text of another form, zero, and more than 100 years.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let unit = text.chars().last()?;
        let number = text.strip_suffix(unit)?;
        let scale = match unit {
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            'm' => 30 * 86_400,
            'y' => 365 * 86_400,
            _ => return None,
        };
        if number.is_empty() || text.len() > Self::LENGTH_MAX || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let seconds = number.parse::<i64>().ok()?.checked_mul(scale)?;
        let ttl = crate::time::Ttl::from_seconds(seconds)?;
        Some(Self { text: text.to_owned(), seconds: ttl.as_seconds() })
    }

    #[must_use]
    pub const fn as_seconds(&self) -> i64 {
        self.seconds
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for AlertBefore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for AlertBefore {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("\"{text}\" is not a number and one of h, d, w, m, y"))
    }
}

impl From<AlertBefore> for String {
    fn from(it: AlertBefore) -> Self {
        it.text
    }
}

/// One condition on the certificates that an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertFilter {
    pub field: FilterField,
    pub operator: FilterOperator,
    pub value: FilterValue,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FilterValue {
    Flag(bool),
    Text(String),
    /// One of them is enough.
    List(Vec<String>),
}

/// One way out. What is secret in it is apart, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertChannel {
    pub id: ChannelId,
    pub config: ChannelConfig,
    /// The signing secret of a webhook, the address of a Slack webhook.
    pub sealed_secret: Option<Vec<u8>>,
    pub enabled: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ChannelConfig {
    Email {
        recipients: Vec<String>,
    },
    Webhook {
        /// https.
        url: String,
    },
    Slack {
        channel: Option<String>,
        mention_users: Vec<String>,
    },
}

impl ChannelConfig {
    #[must_use]
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Email { .. } => ChannelKind::Email,
            Self::Webhook { .. } => ChannelKind::Webhook,
            Self::Slack { .. } => ChannelKind::Slack,
        }
    }
}

/// How the last message went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRun {
    pub at: Timestamp,
    /// Absent: it was delivered.
    pub error: Option<String>,
}

/// A message of one alert through one channel: a row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub id: NotificationId,
    pub alert_id: AlertId,
    pub channel_id: ChannelId,
    pub project_id: ProjectId,
    pub kind: ChannelKind,
    /// JSON: what is told. Fixed when the message is made, so that every try says the same.
    pub payload: String,
    pub state: NotificationState,
    /// Tries so far.
    pub attempts: u32,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
    pub delivered_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_joined_by_single_hyphens() {
        for (text, good) in
            [("expiring-soon", true), ("a", true), ("", false), ("A", false), ("a--b", false), ("-a", false)]
        {
            assert_eq!(is_alert_name(text), good, "{text}");
        }
        assert!(!is_alert_name(&"a".repeat(256)));
        for (url, good) in [
            ("https://hooks.acme.com/a?b=c", true),
            ("HTTPS://hooks.acme.com:8443", true),
            ("https://[2001:db8::1]:443/x", true),
            ("https://[2001:db8::1]", true),
            ("http://hooks.acme.com/", false),
            ("https://user:secret@hooks.acme.com/", false),
            ("https://", false),
            ("https:///path", false),
            ("https://hooks.acme.com:port/", false),
            ("https://hooks.acme.com/a b", false),
            ("hooks.acme.com", false),
        ] {
            assert_eq!(is_https_url(url), good, "{url}");
        }
        assert!(is_slack_mention("@U012AB3CD") && !is_slack_mention("@") && !is_slack_mention("a b"));
    }

    #[test]
    fn spans_before_the_end_are_a_number_and_a_unit() {
        for (text, seconds) in [
            ("12h", Some(43_200)),
            ("30d", Some(2_592_000)),
            ("2w", Some(1_209_600)),
            ("1m", Some(2_592_000)),
            ("1y", Some(31_536_000)),
            ("007d", Some(604_800)),
            ("0d", None),
            ("d", None),
            ("", None),
            ("30", None),
            ("-1d", None),
            ("1.5d", None),
            ("1 d", None),
            ("30D", None),
            ("30s", None),
            ("101y", None),
            ("99999999999999999999d", None),
            ("00000000000000000000000000000001d", None),
            ("١d", None),
        ] {
            assert_eq!(AlertBefore::parse(text).map(|it| it.as_seconds()), seconds, "{text}");
        }
    }

    #[test]
    fn filters_and_channels_read_back() {
        let filters = r#"[{"field":"san","operator":"ends_with","value":[".acme.com"]},{"field":"include_cas","operator":"equals","value":true}]"#;
        let read: Vec<AlertFilter> = serde_json::from_str(filters).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), filters);
        let channel = ChannelConfig::Slack { channel: None, mention_users: vec!["U1".to_owned()] };
        let text = serde_json::to_string(&channel).unwrap();
        assert_eq!(serde_json::from_str::<ChannelConfig>(&text).unwrap(), channel);
        assert_eq!(channel.kind(), ChannelKind::Slack);
    }
}
