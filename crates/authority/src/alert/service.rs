//! Alerts are made, changed and deleted here: permission, contradictions, sealed secrets, what becomes due, audit entry.

use chancery_model::alert::{
    Alert, AlertBefore, AlertChannel, AlertEvent, AlertFilter, ChannelConfig, ChannelKind, FilterField, FilterOperator,
    FilterValue,
};
use chancery_model::audit::AuditEvent;
use chancery_model::job::{JobKey, JobKind, NewJob};
use chancery_model::page::{Page, PageRequest};
use chancery_model::permission::Permission;
use chancery_model::{AlertId, ApplicationId, ChannelId, Timestamp};
use chancery_store::{AlertChange, AlertListFilter, Change, Write};
use serde_json::json;

use crate::enrollment::Field;
use crate::{Authority, Call, Error};

/// An alert is looked at with every event of its project, so there are not many.
const ALERTS_MAX: u64 = 500;

/// What an alert is made from; names, counts and addresses have been judged at the door.
#[derive(Clone, Debug)]
pub struct NewAlert {
    pub application_id: Option<ApplicationId>,
    pub name: String,
    pub description: Option<String>,
    pub event: AlertEvent,
    pub before: Option<AlertBefore>,
    pub filters: Vec<AlertFilter>,
    pub enabled: bool,
    pub daily: bool,
    pub channels: Vec<NewChannel>,
}

#[derive(Clone)]
pub struct NewChannel {
    /// Of a channel that the alert has: its secret is kept unless another is given.
    pub id: Option<ChannelId>,
    pub enabled: bool,
    pub config: ChannelConfig,
    /// The signing secret of a webhook, the address of a Slack webhook.
    pub secret: Field<String>,
}

/// Leaves the secret out.
impl std::fmt::Debug for NewChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewChannel").field("id", &self.id).field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Default)]
pub struct AlertPatch {
    pub name: Option<String>,
    pub description: Field<String>,
    pub event: Option<AlertEvent>,
    pub before: Field<AlertBefore>,
    pub filters: Option<Vec<AlertFilter>>,
    pub enabled: Option<bool>,
    pub daily: Option<bool>,
    pub channels: Option<Vec<NewChannel>>,
}

impl Authority {
    pub async fn create_alert(&self, call: &Call, new: NewAlert) -> Result<Alert, Error> {
        call.requester.require_in(new.application_id, Permission::AlertManage)?;
        if self.reader().alert_count(call.project_id()).await? >= ALERTS_MAX {
            return Err(Error::conflict(
                "alert.count",
                format!("a project has at most {ALERTS_MAX} alerts; widen the filters of one, or delete another"),
            ));
        }
        let now = self.now();
        let mut alert = Alert {
            id: AlertId::generate(now, self.random()),
            project_id: call.project_id(),
            application_id: new.application_id,
            name: new.name,
            description: new.description,
            event: new.event,
            before: new.before,
            filters: new.filters,
            enabled: new.enabled,
            active_since: now,
            daily: new.daily,
            channels: Vec::new(),
            last_run: None,
            created_at: now,
            updated_at: now,
        };
        check(&alert)?;
        alert.channels = self.channels(call, &[], new.channels).await?;
        let details = json!({ "name": alert.name, "after": content(&alert) });
        let audit = call.audit(now, AuditEvent::AlertCreated, Some(("alert", alert.id.as_uuid())), details);
        let insert = Change::Alert(AlertChange::Insert(Box::new(alert.clone())));
        self.commit_alert(&alert, Write::default().with(insert).audited(audit)).await?;
        Ok(alert)
    }

    /// What happened before an alert is switched on again, or turned to another event, is not told.
    pub async fn update_alert(&self, call: &Call, id: AlertId, patch: AlertPatch) -> Result<Alert, Error> {
        let before = self.alert_for(call, id, Permission::AlertManage).await?;
        let now = self.now();
        let mut after = before.clone();
        after.name = patch.name.unwrap_or(after.name);
        put(&mut after.description, patch.description);
        after.event = patch.event.unwrap_or(after.event);
        put(&mut after.before, patch.before);
        after.filters = patch.filters.unwrap_or(after.filters);
        after.enabled = patch.enabled.unwrap_or(after.enabled);
        after.daily = patch.daily.unwrap_or(after.daily);
        after.updated_at = now;
        if (after.enabled && !before.enabled) || after.event != before.event {
            after.active_since = now;
        }
        check(&after)?;
        if let Some(channels) = patch.channels {
            after.channels = self.channels(call, &before.channels, channels).await?;
        }
        let details = json!({ "name": after.name, "before": content(&before), "after": content(&after) });
        let audit = call.audit(now, AuditEvent::AlertUpdated, Some(("alert", id.as_uuid())), details);
        let update = AlertChange::Update { alert: Box::new(after.clone()), expected: before.updated_at };
        let mut write = Write::default().with(Change::Alert(update));
        if after.before != before.before || after.event != before.event {
            // Told for thirty days ahead is not told for seven.
            let until_before = Timestamp::from_millis(i64::MAX);
            write = write.with(Change::Alert(AlertChange::ForgetNotes { alert: id, until_before }));
        }
        self.commit_alert(&after, write.audited(audit)).await?;
        Ok(after)
    }

    /// With what it has in the outbox.
    pub async fn delete_alert(&self, call: &Call, id: AlertId) -> Result<Alert, Error> {
        let alert = self.alert_for(call, id, Permission::AlertManage).await?;
        let details = json!({ "name": alert.name, "before": content(&alert) });
        let audit = call.audit(self.now(), AuditEvent::AlertDeleted, Some(("alert", id.as_uuid())), details);
        let write = Write::default()
            .with(Change::Alert(AlertChange::Delete(id)))
            .with(Change::DropJob(expiry_job(id)))
            .audited(audit);
        self.commit(write).await?;
        Ok(alert)
    }

    pub async fn read_alert(&self, call: &Call, id: AlertId) -> Result<Alert, Error> {
        self.alert_for(call, id, Permission::AlertRead).await
    }

    /// Newest first. Who is only a member of an application names it.
    pub async fn list_alerts(
        &self,
        call: &Call,
        filter: &AlertListFilter,
        page: &PageRequest,
    ) -> Result<Page<Alert>, Error> {
        call.requester.require_in(filter.application, Permission::AlertRead)?;
        Ok(self.reader().alerts(call.project_id(), filter, page).await?)
    }

    pub(super) async fn alert_for(&self, call: &Call, id: AlertId, permission: Permission) -> Result<Alert, Error> {
        let found = self.reader().alert(call.project_id(), id).await?;
        let alert = found.ok_or_else(|| Error::not_found("Alert", id))?;
        call.requester.require_in(alert.application_id, permission)?;
        Ok(alert)
    }

    /// Channels as they are stored: known ones keep their id, and their secret unless another is given.
    async fn channels(
        &self,
        call: &Call,
        known: &[AlertChannel],
        wanted: Vec<NewChannel>,
    ) -> Result<Vec<AlertChannel>, Error> {
        let now = self.now();
        let mut made: Vec<AlertChannel> = Vec::new();
        for (index, channel) in wanted.into_iter().enumerate() {
            let field = format!("channels[{index}]");
            let old = channel.id.and_then(|id| known.iter().find(|it| it.id == id));
            if channel.id.is_some() && old.is_none() {
                let text = "the alert has no channel of this id; leave it out for a new channel";
                return Err(Error::malformed("alert.channel", format!("{field}.id"), text));
            }
            if old.is_some_and(|old| made.iter().any(|it| it.id == old.id)) {
                return Err(Error::malformed("alert.channel", format!("{field}.id"), "the channel is given twice"));
            }
            let id = old.map_or_else(|| ChannelId::generate(now, self.random()), |it| it.id);
            // Another address under a kept secret would send it somewhere new: only the same kind keeps it.
            let kept = old.filter(|it| it.config.kind() == channel.config.kind());
            let sealed_secret = match &channel.secret {
                Field::Missing => kept.and_then(|it| it.sealed_secret.clone()),
                Field::Null => None,
                Field::Value(secret) => Some(self.seal_channel_secret(call.project_id(), id, secret).await?),
            };
            if channel.config.kind() == ChannelKind::Slack && sealed_secret.is_none() {
                let text = "a Slack channel needs the address of its webhook, https://hooks.slack.com/…";
                return Err(Error::malformed("alert.channel", format!("{field}.config.webhookUrl"), text));
            }
            made.push(AlertChannel {
                id,
                config: channel.config,
                sealed_secret,
                enabled: channel.enabled,
                created_at: old.map_or(now, |it| it.created_at),
                updated_at: now,
            });
        }
        Ok(made)
    }

    /// With what becomes due, and what is not due any more.
    async fn commit_alert(&self, alert: &Alert, mut write: Write) -> Result<(), Error> {
        let now = self.now();
        let ahead = NewJob { key: expiry_job(alert.id), project_id: alert.project_id, due_at: now, deadline: now };
        write = match (alert.enabled, alert.event.looks_ahead()) {
            (true, true) => write.with(Change::SetJob(ahead)),
            _ => write.with(Change::DropJob(ahead.key)),
        };
        if alert.enabled && !alert.event.looks_ahead() {
            let key = JobKey { kind: JobKind::WatchEvents, object: alert.project_id.as_uuid() };
            // From here on, not from the beginning of the log.
            let position = self.reader().audit_nodes().await?;
            write = write
                .with(Change::Alert(AlertChange::StartCursor { project: alert.project_id, position }))
                .with(Change::ScheduleJob(NewJob { key, ..ahead }));
        }
        self.commit(write).await?;
        self.wake_jobs();
        Ok(())
    }
}

const fn expiry_job(id: AlertId) -> JobKey {
    JobKey { kind: JobKind::CheckExpiry, object: id.as_uuid() }
}

fn put<T>(current: &mut Option<T>, field: Field<T>) {
    match field {
        Field::Missing => {}
        Field::Null => *current = None,
        Field::Value(value) => *current = Some(value),
    }
}

/// What must fit together.
fn check(alert: &Alert) -> Result<(), Error> {
    check_before(alert.event, alert.before.as_ref())?;
    if alert.daily && !alert.event.looks_ahead() {
        let text =
            format!("an alert of {} tells each event once; switch the daily notification off", alert.event.as_str());
        return Err(Error::malformed("alert.daily", "notificationConfig.enableDailyNotification", text));
    }
    check_filters(&alert.filters)
}

pub(super) fn check_before(event: AlertEvent, before: Option<&AlertBefore>) -> Result<(), Error> {
    let refuse = |text: String| Err(Error::malformed("alert.before", "alertBefore", text));
    match (event, before) {
        (AlertEvent::Expiration | AlertEvent::CaExpiration, None) => {
            refuse(format!("an alert of {} needs the time before the end, such as 30d", event.as_str()))
        }
        (event, Some(_)) if !event.looks_ahead() => {
            refuse(format!("an alert of {} looks at what has happened; leave this out", event.as_str()))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_filters(filters: &[AlertFilter]) -> Result<(), Error> {
    for (index, filter) in filters.iter().enumerate() {
        let is_flag = matches!(filter.value, FilterValue::Flag(_));
        let problem = match filter.field {
            FilterField::IncludeCas if !is_flag => "include_cas takes true or false",
            FilterField::IncludeCas if filter.operator != FilterOperator::Equals => "include_cas takes equals only",
            FilterField::ProfileName | FilterField::CommonName | FilterField::San if is_flag => {
                "give a text or a list of texts"
            }
            _ => continue,
        };
        return Err(Error::malformed("alert.filter", format!("filters[{index}].value"), problem));
    }
    Ok(())
}

/// What the audit log keeps of an alert: no secret, and no address of a Slack webhook.
fn content(alert: &Alert) -> serde_json::Value {
    let channels: Vec<_> = alert
        .channels
        .iter()
        .map(|it| json!({ "id": it.id, "config": it.config, "enabled": it.enabled, "hasSecret": it.sealed_secret.is_some() }))
        .collect();
    json!({
        "name": alert.name, "description": alert.description, "event": alert.event, "alertBefore": alert.before,
        "filters": alert.filters, "enabled": alert.enabled, "daily": alert.daily, "channels": channels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_goes_with_events_that_look_ahead() {
        let month = AlertBefore::parse("30d");
        for (event, before, good) in [
            (AlertEvent::Expiration, month.as_ref(), true),
            (AlertEvent::Expiration, None, false),
            (AlertEvent::CaExpiration, None, false),
            (AlertEvent::CrlExpiration, None, true),
            (AlertEvent::CrlExpiration, month.as_ref(), true),
            (AlertEvent::Issuance, None, true),
            (AlertEvent::Revocation, month.as_ref(), false),
        ] {
            assert_eq!(check_before(event, before).is_ok(), good, "{event:?} {before:?}");
        }
    }

    #[test]
    fn filters_take_values_of_their_kind() {
        use FilterOperator::{Contains, Equals};
        let text = || FilterValue::Text("true".to_owned());
        for (field, operator, value, good) in [
            (FilterField::IncludeCas, Equals, FilterValue::Flag(true), true),
            (FilterField::IncludeCas, Contains, FilterValue::Flag(true), false),
            (FilterField::IncludeCas, Equals, text(), false),
            (FilterField::San, Equals, FilterValue::Flag(true), false),
            (FilterField::San, Contains, text(), true),
            (FilterField::ProfileName, Equals, FilterValue::List(vec!["a".to_owned()]), true),
        ] {
            let filter = AlertFilter { field, operator, value };
            assert_eq!(check_filters(std::slice::from_ref(&filter)).is_ok(), good, "{filter:?}");
        }
    }
}
