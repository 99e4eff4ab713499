//! Alerts between the wire's words and the model's: what is asked for is judged here, what is shown is made here.

use chancery_authority::alert::{AlertPatch, MessageCertificate, NewAlert, NewChannel};
use chancery_authority::enrollment::Field;
use chancery_model::alert::bounds::{
    CHANNELS_MAX, DESCRIPTION_MAX, FILTER_VALUE_MAX, FILTER_VALUES_MAX, FILTERS_MAX, MENTIONS_MAX, NAME_MAX,
    RECIPIENTS_MAX, SLACK_CHANNEL_MAX, URL_MAX,
};
use chancery_model::alert::{
    Alert, AlertBefore, AlertChannel, AlertEvent, AlertFilter, ChannelConfig, ChannelKind, FilterField, FilterOperator,
    FilterValue, Notification, NotificationState, is_alert_name, is_https_url, is_slack_mention,
};
use chancery_model::{ApplicationId, ChannelId};
use chancery_pkix::{GeneralName, GeneralNameKind};
use chancery_wire::alert as wire;

use crate::error::ApiError;
use crate::issues::Issues;
use crate::nullable::{field, try_field};

pub(crate) use chancery_model::alert::bounds::SECRET_MAX;

pub(crate) fn new_alert(body: wire::CreateAlert, application_id: Option<ApplicationId>) -> Result<NewAlert, ApiError> {
    let mut issues = Issues::default();
    name(&body.name, &mut issues);
    issues.length("description", body.description.as_deref().unwrap_or_default(), 0..=DESCRIPTION_MAX);
    let new = NewAlert {
        application_id,
        name: body.name,
        description: body.description,
        event: event(body.event_type),
        before: before(body.alert_before.as_deref(), &mut issues),
        filters: filters(body.filters.unwrap_or_default(), &mut issues),
        enabled: body.enabled.unwrap_or(true),
        daily: body.notification_config.and_then(|it| it.enable_daily_notification).unwrap_or(false),
        channels: channels(body.channels, &mut issues),
    };
    issues.finish()?;
    Ok(new)
}

pub(crate) fn patch(body: wire::UpdateAlert) -> Result<AlertPatch, ApiError> {
    let mut issues = Issues::default();
    if let Some(text) = &body.name {
        name(text, &mut issues);
    }
    if let Some(text) = body.description.as_value() {
        issues.length("description", text, 0..=DESCRIPTION_MAX);
    }
    let patch = AlertPatch {
        name: body.name,
        description: field(body.description),
        event: body.event_type.map(event),
        before: try_field(body.alert_before, |text| before(Some(&text), &mut issues)),
        filters: body.filters.map(|it| filters(it, &mut issues)),
        enabled: body.enabled,
        daily: body.notification_config.and_then(|it| it.enable_daily_notification),
        channels: body.channels.map(|it| channels(it, &mut issues)),
    };
    issues.finish()?;
    Ok(patch)
}

fn name(text: &str, issues: &mut Issues) {
    issues.length("name", text, 1..=NAME_MAX);
    if !text.is_empty() && text.chars().count() <= NAME_MAX && !is_alert_name(text) {
        issues.add_as(
            "name",
            "invalid_string",
            "may contain lower-case letters, digits and single hyphens between them",
        );
    }
}

pub(crate) fn before(text: Option<&str>, issues: &mut Issues) -> Option<AlertBefore> {
    let parsed = AlertBefore::parse(text?);
    if parsed.is_none() {
        let text = "must be a number and one of h, d, w, m (30 days), y, such as 30d, and at most 100 years";
        issues.add_as("alertBefore", "invalid_string", text);
    }
    parsed
}

pub(crate) fn filters(wanted: Vec<wire::AlertFilter>, issues: &mut Issues) -> Vec<AlertFilter> {
    issues.count("filters", wanted.len(), FILTERS_MAX);
    let judged = wanted.into_iter().enumerate().map(|(index, filter)| {
        let place = format!("filters[{index}].value");
        let value = match filter.value {
            wire::AlertFilterValue::Flag(flag) => FilterValue::Flag(flag),
            wire::AlertFilterValue::Text(text) => {
                issues.length(&place, &text, 1..=FILTER_VALUE_MAX);
                FilterValue::Text(text)
            }
            wire::AlertFilterValue::List(texts) => {
                if texts.is_empty() {
                    issues.add_as(&place, "too_small", "must contain at least 1 item(s)");
                }
                issues.count(&place, texts.len(), FILTER_VALUES_MAX);
                texts.iter().for_each(|text| issues.length(&place, text, 1..=FILTER_VALUE_MAX));
                FilterValue::List(texts)
            }
        };
        AlertFilter { field: filter_field(filter.field), operator: operator(filter.operator), value }
    });
    judged.collect()
}

fn channels(wanted: Vec<wire::NewAlertChannel>, issues: &mut Issues) -> Vec<NewChannel> {
    if wanted.is_empty() {
        issues.add_as("channels", "too_small", "must contain at least 1 item(s)");
    }
    issues.count("channels", wanted.len(), CHANNELS_MAX);
    let judged = wanted.into_iter().enumerate().map(|(index, channel)| {
        let place = format!("channels[{index}].config");
        let (config, secret) = match channel.channel_type {
            wire::AlertChannelType::Email => (email(channel.config, &place, issues), Field::Null),
            wire::AlertChannelType::Webhook => webhook(channel.config, &place, issues),
            wire::AlertChannelType::Slack => slack(channel.config, (&place, channel.id.is_some()), issues),
        };
        NewChannel {
            id: channel.id.map(ChannelId::from_uuid),
            enabled: channel.enabled.unwrap_or(true),
            config,
            secret,
        }
    });
    judged.collect()
}

fn email(config: wire::NewChannelConfig, place: &str, issues: &mut Issues) -> ChannelConfig {
    let recipients = config.recipients.unwrap_or_default();
    let place = format!("{place}.recipients");
    if recipients.is_empty() {
        issues.add_as(&place, "too_small", "must contain at least 1 item(s)");
    }
    issues.count(&place, recipients.len(), RECIPIENTS_MAX);
    for (index, address) in recipients.iter().enumerate() {
        if GeneralName::parse(GeneralNameKind::Email, address).is_err() {
            issues.add_as(&format!("{place}[{index}]"), "invalid_string", "Invalid email");
        }
    }
    ChannelConfig::Email { recipients }
}

fn webhook(config: wire::NewChannelConfig, place: &str, issues: &mut Issues) -> (ChannelConfig, Field<String>) {
    let url = required(config.url, &format!("{place}.url"), issues);
    if let Some(secret) = config.signing_secret.as_value() {
        issues.length(&format!("{place}.signingSecret"), secret, 1..=SECRET_MAX);
    }
    (ChannelConfig::Webhook { url }, field(config.signing_secret))
}

/// The address is a secret: whoever has it can write into the channel. Kept when a known channel leaves it out.
fn slack(
    config: wire::NewChannelConfig,
    (place, known): (&str, bool),
    issues: &mut Issues,
) -> (ChannelConfig, Field<String>) {
    let address = match config.webhook_url {
        None if known => Field::Missing,
        url => Field::Value(required(url, &format!("{place}.webhookUrl"), issues)),
    };
    issues.length(&format!("{place}.channel"), config.channel.as_deref().unwrap_or_default(), 0..=SLACK_CHANNEL_MAX);
    let mention_users = config.mention_users.unwrap_or_default();
    issues.count(&format!("{place}.mentionUsers"), mention_users.len(), MENTIONS_MAX);
    for (index, user) in mention_users.iter().enumerate() {
        if !is_slack_mention(user) {
            let text = "must be a Slack member id such as U012AB3CD, or here, channel, everyone";
            issues.add_as(&format!("{place}.mentionUsers[{index}]"), "invalid_string", text);
        }
    }
    let channel = config.channel.filter(|it| !it.is_empty());
    (ChannelConfig::Slack { channel, mention_users }, address)
}

fn required(url: Option<String>, place: &str, issues: &mut Issues) -> String {
    match url {
        None => issues.add_as(place, "invalid_type", "Required"),
        Some(text) => {
            https_url(place, &text, issues);
            return text;
        }
    }
    String::new()
}

pub(crate) fn https_url(place: &str, text: &str, issues: &mut Issues) {
    issues.length(place, text, 1..=URL_MAX);
    if !text.is_empty() && text.len() <= URL_MAX && !is_https_url(text) {
        issues.add_as(place, "invalid_string", "must be an https URL without user and password");
    }
}

pub(crate) fn shown(alert: &Alert) -> wire::Alert {
    wire::Alert {
        id: alert.id.as_uuid(),
        project_id: alert.project_id.as_uuid(),
        application_id: alert.application_id.map(|id| id.as_uuid()),
        name: alert.name.clone(),
        description: alert.description.clone(),
        event_type: event_type(alert.event),
        alert_before: alert.before.as_ref().map(ToString::to_string),
        filters: alert.filters.iter().map(shown_filter).collect(),
        enabled: alert.enabled,
        channels: alert.channels.iter().map(shown_channel).collect(),
        notification_config: wire::NotificationConfig { enable_daily_notification: Some(alert.daily) },
        last_run: alert.last_run.as_ref().map(|run| wire::AlertRun {
            timestamp: run.at.to_string(),
            status: if run.error.is_none() { wire::AlertRunStatus::Success } else { wire::AlertRunStatus::Failed },
            error: run.error.clone(),
        }),
        created_at: alert.created_at.to_string(),
        updated_at: alert.updated_at.to_string(),
    }
}

fn shown_channel(channel: &AlertChannel) -> wire::AlertChannel {
    let has_secret = Some(channel.sealed_secret.is_some());
    let config = match &channel.config {
        ChannelConfig::Email { recipients } => {
            wire::ChannelConfig { recipients: Some(recipients.clone()), ..wire::ChannelConfig::default() }
        }
        ChannelConfig::Webhook { url } => wire::ChannelConfig {
            url: Some(url.clone()),
            has_signing_secret: has_secret,
            ..wire::ChannelConfig::default()
        },
        ChannelConfig::Slack { channel, mention_users } => wire::ChannelConfig {
            channel: channel.clone(),
            mention_users: Some(mention_users.clone()),
            has_webhook_url: has_secret,
            ..wire::ChannelConfig::default()
        },
    };
    wire::AlertChannel {
        id: channel.id.as_uuid(),
        channel_type: channel_type(channel.config.kind()),
        config,
        enabled: channel.enabled,
        created_at: channel.created_at.to_string(),
        updated_at: channel.updated_at.to_string(),
    }
}

fn shown_filter(filter: &AlertFilter) -> wire::AlertFilter {
    wire::AlertFilter {
        field: match filter.field {
            FilterField::ProfileName => wire::AlertFilterField::ProfileName,
            FilterField::CommonName => wire::AlertFilterField::CommonName,
            FilterField::San => wire::AlertFilterField::San,
            FilterField::IncludeCas => wire::AlertFilterField::IncludeCas,
        },
        operator: match filter.operator {
            FilterOperator::Equals => wire::AlertFilterOperator::Equals,
            FilterOperator::Matches => wire::AlertFilterOperator::Matches,
            FilterOperator::Contains => wire::AlertFilterOperator::Contains,
            FilterOperator::StartsWith => wire::AlertFilterOperator::StartsWith,
            FilterOperator::EndsWith => wire::AlertFilterOperator::EndsWith,
        },
        value: match &filter.value {
            FilterValue::Flag(flag) => wire::AlertFilterValue::Flag(*flag),
            FilterValue::Text(text) => wire::AlertFilterValue::Text(text.clone()),
            FilterValue::List(texts) => wire::AlertFilterValue::List(texts.clone()),
        },
    }
}

pub(crate) fn certificate(it: &MessageCertificate) -> wire::AlertCertificate {
    wire::AlertCertificate {
        id: it.id,
        ca_id: it.ca_id.map(|id| id.as_uuid()),
        serial_number: it.serial_number.clone(),
        common_name: it.common_name.clone(),
        san: it.sans.clone(),
        profile_name: it.profile_name.clone(),
        not_before: it.not_before.to_string(),
        not_after: it.not_after.to_string(),
        status: it.status.clone(),
        days_until_expiry: it.days_until_expiry,
    }
}

pub(crate) fn notification(it: &Notification) -> wire::Notification {
    wire::Notification {
        id: it.id.as_uuid(),
        channel_id: it.channel_id.as_uuid(),
        channel_type: channel_type(it.kind),
        state: match it.state {
            NotificationState::Pending => wire::NotificationState::Pending,
            NotificationState::Delivered => wire::NotificationState::Delivered,
            NotificationState::Failed => wire::NotificationState::Failed,
        },
        attempts: it.attempts,
        last_error: it.last_error.clone(),
        created_at: it.created_at.to_string(),
        delivered_at: it.delivered_at.map(|time| time.to_string()),
    }
}

pub(crate) const fn event(word: wire::AlertEventType) -> AlertEvent {
    match word {
        wire::AlertEventType::Expiration => AlertEvent::Expiration,
        wire::AlertEventType::Renewal => AlertEvent::Renewal,
        wire::AlertEventType::Issuance => AlertEvent::Issuance,
        wire::AlertEventType::Revocation => AlertEvent::Revocation,
        wire::AlertEventType::RenewalFailed => AlertEvent::RenewalFailed,
        wire::AlertEventType::IssuanceFailed => AlertEvent::IssuanceFailed,
        wire::AlertEventType::CaExpiration => AlertEvent::CaExpiration,
        wire::AlertEventType::CrlExpiration => AlertEvent::CrlExpiration,
    }
}

const fn event_type(event: AlertEvent) -> wire::AlertEventType {
    match event {
        AlertEvent::Expiration => wire::AlertEventType::Expiration,
        AlertEvent::Renewal => wire::AlertEventType::Renewal,
        AlertEvent::Issuance => wire::AlertEventType::Issuance,
        AlertEvent::Revocation => wire::AlertEventType::Revocation,
        AlertEvent::RenewalFailed => wire::AlertEventType::RenewalFailed,
        AlertEvent::IssuanceFailed => wire::AlertEventType::IssuanceFailed,
        AlertEvent::CaExpiration => wire::AlertEventType::CaExpiration,
        AlertEvent::CrlExpiration => wire::AlertEventType::CrlExpiration,
    }
}

const fn filter_field(word: wire::AlertFilterField) -> FilterField {
    match word {
        wire::AlertFilterField::ProfileName => FilterField::ProfileName,
        wire::AlertFilterField::CommonName => FilterField::CommonName,
        wire::AlertFilterField::San => FilterField::San,
        wire::AlertFilterField::IncludeCas => FilterField::IncludeCas,
    }
}

const fn operator(word: wire::AlertFilterOperator) -> FilterOperator {
    match word {
        wire::AlertFilterOperator::Equals => FilterOperator::Equals,
        wire::AlertFilterOperator::Matches => FilterOperator::Matches,
        wire::AlertFilterOperator::Contains => FilterOperator::Contains,
        wire::AlertFilterOperator::StartsWith => FilterOperator::StartsWith,
        wire::AlertFilterOperator::EndsWith => FilterOperator::EndsWith,
    }
}

pub(crate) const fn channel_type(kind: ChannelKind) -> wire::AlertChannelType {
    match kind {
        ChannelKind::Email => wire::AlertChannelType::Email,
        ChannelKind::Webhook => wire::AlertChannelType::Webhook,
        ChannelKind::Slack => wire::AlertChannelType::Slack,
    }
}
