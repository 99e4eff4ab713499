//! The form of an alert: one channel of each kind, filters on profile and name.

use chancery_authority::alert::{NewAlert, NewChannel};
use chancery_authority::enrollment::Field;
use chancery_model::alert::{
    Alert, AlertBefore, AlertChannel, AlertEvent, AlertFilter, ChannelConfig, ChannelKind, FilterField, FilterOperator,
    FilterValue, bounds, is_alert_name, is_https_url,
};
use chancery_pkix::{GeneralName, GeneralNameKind};

use crate::form::{Form, Problems, parts};

/// The core's names of fields, and those of the form.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("alertBefore", "before"),
    ("name", "name"),
    ("notificationConfig.enableDailyNotification", "daily"),
    ("filters[0].value", "common_name"),
];

#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub name: String,
    pub description: String,
    pub event: String,
    pub before: String,
    pub daily: bool,
    pub profile: String,
    pub common_name: String,
    pub includes_cas: bool,
    pub recipients: String,
    pub webhook: String,
    /// Given only to be set: what is kept is not shown.
    pub webhook_secret: String,
    pub has_webhook_secret: bool,
    pub slack: String,
    pub has_slack: bool,
    pub slack_off: bool,
}

impl Draft {
    pub fn new() -> Self {
        Self {
            name: "expiring".to_owned(),
            event: AlertEvent::Expiration.as_str().to_owned(),
            before: "30d".to_owned(),
            ..Self::default()
        }
    }

    pub fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            name: text("name"),
            description: text("description"),
            event: text("event"),
            before: text("before"),
            daily: form.has("daily"),
            profile: text("profile"),
            common_name: text("common_name"),
            includes_cas: form.has("includes_cas"),
            recipients: form.raw("recipients").unwrap_or_default().to_owned(),
            webhook: text("webhook"),
            webhook_secret: form.raw("webhook_secret").unwrap_or_default().to_owned(),
            has_webhook_secret: form.has("has_webhook_secret"),
            slack: text("slack"),
            has_slack: form.has("has_slack"),
            slack_off: form.has("slack_off"),
        }
    }

    pub fn of(alert: &Alert) -> Self {
        let mut draft = Self {
            name: alert.name.clone(),
            description: alert.description.clone().unwrap_or_default(),
            event: alert.event.as_str().to_owned(),
            before: alert.before.as_ref().map(ToString::to_string).unwrap_or_default(),
            daily: alert.daily,
            ..Self::default()
        };
        for filter in &alert.filters {
            match (filter.field, &filter.value) {
                (FilterField::ProfileName, value) => draft.profile = joined(value),
                (FilterField::CommonName | FilterField::San, value) => draft.common_name = joined(value),
                (FilterField::IncludeCas, FilterValue::Flag(flag)) => draft.includes_cas = *flag,
                (FilterField::IncludeCas, _) => {}
            }
        }
        for channel in &alert.channels {
            match &channel.config {
                ChannelConfig::Email { recipients } => draft.recipients = recipients.join("\n"),
                ChannelConfig::Webhook { url } => {
                    draft.webhook.clone_from(url);
                    draft.has_webhook_secret = channel.sealed_secret.is_some();
                }
                ChannelConfig::Slack { .. } => draft.has_slack = true,
            }
        }
        draft
    }

    /// What the alert looks at.
    pub fn question(&self, problems: &mut Problems) -> Option<(AlertEvent, Option<AlertBefore>, Vec<AlertFilter>)> {
        let Some(event) = AlertEvent::from_name(&self.event) else {
            problems.add("event", "Choose what the alert is about");
            return None;
        };
        let before = (event.looks_ahead() && !self.before.is_empty()).then(|| AlertBefore::parse(&self.before));
        if before == Some(None) {
            problems.add("before", "Give a number and one of h, d, w, m (30 days), y, such as 30d");
            return None;
        }
        Some((event, before.flatten(), self.filters(problems)))
    }

    fn filters(&self, problems: &mut Problems) -> Vec<AlertFilter> {
        let mut filters = Vec::new();
        for (name, field, text) in [
            ("common_name", FilterField::CommonName, &self.common_name),
            ("profile", FilterField::ProfileName, &self.profile),
        ] {
            let values: Vec<String> =
                text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
            if values.len() > bounds::FILTER_VALUES_MAX
                || values.iter().any(|it| it.chars().count() > bounds::FILTER_VALUE_MAX)
            {
                problems.add(name, "At most 100 values of at most 255 characters");
            }
            if !values.is_empty() {
                filters.push(AlertFilter {
                    field,
                    operator: FilterOperator::Matches,
                    value: FilterValue::List(values),
                });
            }
        }
        if self.includes_cas {
            let value = FilterValue::Flag(true);
            filters.push(AlertFilter { field: FilterField::IncludeCas, operator: FilterOperator::Equals, value });
        }
        filters
    }

    /// The alert that is asked for; `known` are the channels it has, whose secrets are kept.
    pub fn to_core(&self, known: &[AlertChannel], problems: &mut Problems) -> Option<NewAlert> {
        if !is_alert_name(&self.name) {
            problems.add("name", "Lower-case letters, digits and single hyphens between them, such as expiring-soon");
        }
        if self.description.chars().count() > bounds::DESCRIPTION_MAX {
            problems.add("description", "At most 1000 characters");
        }
        let question = self.question(problems);
        let channels = self.channels(known, problems);
        let (event, before, filters) = question.filter(|_| problems.is_empty())?;
        Some(NewAlert {
            application_id: None,
            name: self.name.clone(),
            description: Some(self.description.clone()).filter(|it| !it.is_empty()),
            event,
            before,
            filters,
            enabled: true,
            daily: self.daily && event.looks_ahead(),
            channels,
        })
    }

    fn channels(&self, known: &[AlertChannel], problems: &mut Problems) -> Vec<NewChannel> {
        let of_kind = |kind| known.iter().find(|it: &&AlertChannel| it.config.kind() == kind);
        let mut channels = Vec::new();
        let mut add = |kind, config, secret| {
            let before = of_kind(kind);
            let enabled = before.is_none_or(|it| it.enabled);
            channels.push(NewChannel { id: before.map(|it| it.id), enabled, config, secret });
        };
        let recipients: Vec<String> = parts(&self.recipients).map(str::to_owned).collect();
        if recipients.len() > bounds::RECIPIENTS_MAX {
            problems.add("recipients", "At most 10 addresses");
        }
        if let Some(bad) = recipients.iter().find(|it| GeneralName::parse(GeneralNameKind::Email, it).is_err()) {
            problems.add("recipients", format!("{bad} is not an e-mail address"));
        }
        if !recipients.is_empty() {
            add(ChannelKind::Email, ChannelConfig::Email { recipients }, Field::Null);
        }
        if !self.webhook.is_empty() {
            let secret = match self.webhook_secret.as_str() {
                "" if self.has_webhook_secret => Field::Missing,
                "" => Field::Null,
                secret => Field::Value(secret.to_owned()),
            };
            add(ChannelKind::Webhook, ChannelConfig::Webhook { url: self.webhook.clone() }, secret);
        }
        if !self.slack.is_empty() || (self.has_slack && !self.slack_off) {
            let secret = if self.slack.is_empty() { Field::Missing } else { Field::Value(self.slack.clone()) };
            let config = match of_kind(ChannelKind::Slack).map(|it| it.config.clone()) {
                Some(config) => config,
                None => ChannelConfig::Slack { channel: None, mention_users: Vec::new() },
            };
            add(ChannelKind::Slack, config, secret);
        }
        for (name, url) in [("webhook", &self.webhook), ("slack", &self.slack)] {
            if !url.is_empty() && !is_https_url(url) {
                problems.add(name, "Give an https address without user and password");
            }
        }
        if self.webhook_secret.chars().count() > bounds::SECRET_MAX {
            problems.add("webhook_secret", "At most 256 characters");
        }
        if channels.is_empty() {
            problems.add("recipients", "Name at least one way to be told: an e-mail address, a webhook or Slack");
        }
        channels
    }
}

fn joined(value: &FilterValue) -> String {
    match value {
        FilterValue::Flag(flag) => flag.to_string(),
        FilterValue::Text(text) => text.clone(),
        FilterValue::List(texts) => texts.join(", "),
    }
}

/// A filter as a sentence.
pub(super) fn in_words(filter: &AlertFilter) -> String {
    let value = joined(&filter.value);
    let compared = match filter.operator {
        FilterOperator::Equals => "is",
        FilterOperator::Matches => "matches",
        FilterOperator::Contains => "contains",
        FilterOperator::StartsWith => "starts with",
        FilterOperator::EndsWith => "ends with",
    };
    match filter.field {
        FilterField::ProfileName => format!("the profile {compared} {value}"),
        FilterField::CommonName => format!("the common name {compared} {value}"),
        FilterField::San => format!("a subject alternative name {compared} {value}"),
        FilterField::IncludeCas if value == "true" => "CA certificates count too".to_owned(),
        FilterField::IncludeCas => "CA certificates do not count".to_owned(),
    }
}
