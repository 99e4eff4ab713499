//! Alerts, their channels, what they have told already, and the outbox. What may end soon is looked for in `ending`.

mod ending;

use chancery_model::alert::{
    Alert, AlertBefore, AlertChannel, AlertEvent, AlertRun, ChannelKind, Notification, NotificationState,
};
use chancery_model::job::JobKind;
use chancery_model::page::{Page, PageRequest};
use chancery_model::{AlertId, ApplicationId, NotificationId, ProjectId, Timestamp};
use uuid::Uuid;

pub use ending::{EndingCa, EndingCertificate, EndingWindow, WatchedEntry};

use crate::change::Effects;
use crate::page::SmallList;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, json, params};
use crate::{Conflict, StoreError};

/// Up to where each node's audit chain has been looked through.
pub type AuditPosition = Vec<(String, i64)>;

/// A change of alerts or of what they have sent.
#[derive(Clone)]
pub enum AlertChange {
    Insert(Box<Alert>),
    /// All but project, application and last run. `Stale` unless it was last changed at `expected`.
    Update {
        alert: Box<Alert>,
        expected: Timestamp,
    },
    /// With its channels, its messages and what is due for them.
    Delete(AlertId),
    /// No alert is fine: it may be gone by then.
    SetRun {
        alert: AlertId,
        run: AlertRun,
    },
    /// Nothing happens if there is one.
    StartCursor {
        project: ProjectId,
        position: AuditPosition,
    },
    SetCursor {
        project: ProjectId,
        position: AuditPosition,
    },
    DropCursor(ProjectId),
    /// Into the outbox. The same write has to schedule its delivery.
    Notify(Box<Notification>),
    SetNotification {
        id: NotificationId,
        state: NotificationState,
        attempts: u32,
        last_error: Option<String>,
        delivered_at: Option<Timestamp>,
    },
    /// Noting a thing twice is fine.
    Note {
        alert: AlertId,
        object: Uuid,
        period: i64,
        until: Timestamp,
    },
    /// What was told about things that have ended.
    ForgetNotes {
        alert: AlertId,
        until_before: Timestamp,
    },
    /// Messages that were delivered or given up; at most 1 000 a call.
    ForgetNotifications {
        alert: AlertId,
        before: Timestamp,
    },
}

/// What a list of alerts is narrowed by.
#[derive(Clone, Debug, Default)]
pub struct AlertListFilter {
    /// Part of the name or description.
    pub search: Option<String>,
    pub event: Option<AlertEvent>,
    pub enabled: Option<bool>,
    pub application: Option<ApplicationId>,
}

pub(crate) fn change(effects: &mut Effects, change: AlertChange) -> Result<(), StoreError> {
    match change {
        AlertChange::Insert(it) => {
            effects.push(insert(&it)?);
            channels(effects, &it)?;
        }
        AlertChange::Update { alert, expected } => {
            effects.push(update(&alert, expected)?);
            effects.push(Statement::new("DELETE FROM alert_channel WHERE alert_id = $1", params![alert.id]));
            channels(effects, &alert)?;
        }
        AlertChange::Delete(id) => delete(effects, id),
        AlertChange::SetRun { alert, run } => effects.push(Statement::new(
            "UPDATE alert SET last_run_at = $2, last_run_error = $3 WHERE id = $1",
            params![alert, run.at, run.error],
        )),
        AlertChange::StartCursor { project, position } => effects.push(Statement::new(
            "INSERT INTO alert_cursor (project_id, position) VALUES ($1, $2) ON CONFLICT (project_id) DO NOTHING",
            params![project, json(&position)?],
        )),
        AlertChange::SetCursor { project, position } => effects.push(Statement::new(
            "INSERT INTO alert_cursor (project_id, position) VALUES ($1, $2) \
             ON CONFLICT (project_id) DO UPDATE SET position = excluded.position",
            params![project, json(&position)?],
        )),
        AlertChange::DropCursor(project) => {
            effects.push(Statement::new("DELETE FROM alert_cursor WHERE project_id = $1", params![project]));
        }
        other => add_message(effects, other),
    }
    Ok(())
}

fn add_message(effects: &mut Effects, change: AlertChange) {
    match change {
        AlertChange::Notify(it) => effects.push(insert_notification(*it)),
        AlertChange::SetNotification { id, state, attempts, last_error, delivered_at } => effects.push(
            Statement::new(
                "UPDATE notification SET state = $2, attempts = $3, last_error = $4, delivered_at = $5 WHERE id = $1",
                params![id, state.as_str(), attempts, last_error, delivered_at],
            )
            .guarded(Conflict::Missing),
        ),
        AlertChange::Note { alert, object, period, until } => effects.push(Statement::new(
            "INSERT INTO alert_notice (alert_id, object, period, until) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (alert_id, object, period) DO NOTHING",
            params![alert, object, period, until],
        )),
        AlertChange::ForgetNotes { alert, until_before } => effects.push(Statement::new(
            "DELETE FROM alert_notice WHERE alert_id = $1 AND until < $2",
            params![alert, until_before],
        )),
        AlertChange::ForgetNotifications { alert, before } => effects.push(Statement::new(
            "DELETE FROM notification WHERE id IN (SELECT id FROM notification WHERE alert_id = $1 AND created_at < $2 \
             AND state <> 'pending' ORDER BY created_at, id LIMIT 1000)",
            params![alert, before],
        )),
        // `change` has taken all others.
        _ => {}
    }
}

fn insert(it: &Alert) -> Result<Statement, StoreError> {
    Ok(Statement::new(
        "INSERT INTO alert (id, project_id, application_id, name, description, event, before, filters, enabled, active_since, \
         daily, last_run_at, last_run_error, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        params![
            it.id,
            it.project_id,
            it.application_id,
            it.name.clone(),
            it.description.clone(),
            it.event.as_str(),
            it.before.as_ref().map(|it| it.as_str().to_owned()),
            json(&it.filters)?,
            it.enabled,
            it.active_since,
            it.daily,
            it.last_run.as_ref().map(|it| it.at),
            it.last_run.as_ref().and_then(|it| it.error.clone()),
            it.created_at,
            it.updated_at
        ],
    ))
}

fn update(it: &Alert, expected: Timestamp) -> Result<Statement, StoreError> {
    let statement = Statement::new(
        "UPDATE alert SET name = $2, description = $3, event = $4, before = $5, filters = $6, enabled = $7, active_since = $8, \
         daily = $9, updated_at = $10 WHERE id = $1 AND updated_at = $11",
        params![
            it.id,
            it.name.clone(),
            it.description.clone(),
            it.event.as_str(),
            it.before.as_ref().map(|it| it.as_str().to_owned()),
            json(&it.filters)?,
            it.enabled,
            it.active_since,
            it.daily,
            it.updated_at,
            expected
        ],
    );
    Ok(statement.guarded_if(Conflict::Stale, "SELECT 1 FROM alert WHERE id = $1"))
}

fn channels(effects: &mut Effects, alert: &Alert) -> Result<(), StoreError> {
    for (position, it) in (0_u32..).zip(&alert.channels) {
        effects.push(Statement::new(
            "INSERT INTO alert_channel (id, alert_id, position, config, sealed_secret, enabled, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                it.id,
                alert.id,
                position,
                json(&it.config)?,
                it.sealed_secret.clone(),
                it.enabled,
                it.created_at,
                it.updated_at
            ],
        ));
    }
    Ok(())
}

fn delete(effects: &mut Effects, id: AlertId) {
    effects.push(Statement::new("DELETE FROM alert WHERE id = $1", params![id]).guarded(Conflict::Missing));
    effects.push(Statement::new("DELETE FROM alert_channel WHERE alert_id = $1", params![id]));
    effects.push(Statement::new("DELETE FROM alert_notice WHERE alert_id = $1", params![id]));
    effects.push(Statement::new(
        "DELETE FROM job WHERE kind = $1 AND object IN (SELECT id FROM notification WHERE alert_id = $2)",
        params![JobKind::Deliver.number(), id],
    ));
    effects.push(Statement::new("DELETE FROM notification WHERE alert_id = $1", params![id]));
}

fn insert_notification(it: Notification) -> Statement {
    Statement::new(
        "INSERT INTO notification (id, project_id, alert_id, channel_id, kind, payload, state, attempts, last_error, created_at, \
         delivered_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            it.id,
            it.project_id,
            it.alert_id,
            it.channel_id,
            it.kind.as_str(),
            it.payload,
            it.state.as_str(),
            it.attempts,
            it.last_error,
            it.created_at,
            it.delivered_at
        ],
    )
}

/// Without its channels.
fn from_row(mut row: Row) -> Result<Alert, StoreError> {
    Ok(Alert {
        id: row.id("id")?,
        project_id: row.id("project_id")?,
        application_id: row.opt_id("application_id")?,
        name: row.text("name")?,
        description: row.opt_text("description")?,
        event: row.word("event", AlertEvent::from_name)?,
        before: match row.opt_text("before")? {
            None => None,
            Some(text) => Some(AlertBefore::parse(&text).ok_or_else(|| row.inconsistent("before"))?),
        },
        filters: row.json("filters")?,
        enabled: row.flag("enabled")?,
        active_since: row.time("active_since")?,
        daily: row.flag("daily")?,
        last_run: {
            let (at, error) = (row.opt_time("last_run_at")?, row.opt_text("last_run_error")?);
            at.map(|at| AlertRun { at, error })
        },
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        channels: Vec::new(),
    })
}

fn channel_from_row(mut row: Row) -> Result<(AlertId, AlertChannel), StoreError> {
    let channel = AlertChannel {
        id: row.id("id")?,
        config: row.json("config")?,
        sealed_secret: row.opt_blob("sealed_secret")?,
        enabled: row.flag("enabled")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    };
    Ok((row.id("alert_id")?, channel))
}

fn notification_from_row(mut row: Row) -> Result<Notification, StoreError> {
    Ok(Notification {
        id: row.id("id")?,
        project_id: row.id("project_id")?,
        alert_id: row.id("alert_id")?,
        channel_id: row.id("channel_id")?,
        kind: row.word("kind", ChannelKind::from_name)?,
        payload: row.text("payload")?,
        state: row.word("state", NotificationState::from_name)?,
        attempts: row.small("attempts")?,
        last_error: row.opt_text("last_error")?,
        created_at: row.time("created_at")?,
        delivered_at: row.opt_time("delivered_at")?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, application_id, name, description, event, before, filters, enabled, active_since, daily, \
             last_run_at, last_run_error, created_at, updated_at FROM alert ",
            $rest
        )
    };
}

macro_rules! select_channel {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.config, c.sealed_secret, c.enabled, c.created_at, c.updated_at, c.alert_id FROM alert_channel c ",
            $rest
        )
    };
}

macro_rules! select_notification {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, alert_id, channel_id, kind, payload, state, attempts, last_error, created_at, delivered_at \
             FROM notification ",
            $rest
        )
    };
}

impl Reader {
    pub async fn alert(&self, project: ProjectId, id: AlertId) -> Result<Option<Alert>, StoreError> {
        let query = Query::new("alert", select!("WHERE id = $1 AND project_id = $2"), params![id, project]);
        let Some(mut alert) = self.point(query).await?.map(from_row).transpose()? else { return Ok(None) };
        let sql = select_channel!("WHERE c.alert_id = $1 ORDER BY c.position");
        let rows = self.rows(Query::new("alert_channel", sql, params![id])).await?;
        let channels = rows.into_iter().map(|row| channel_from_row(row).map(|(_, channel)| channel));
        alert.channels = channels.collect::<Result<_, _>>()?;
        Ok(Some(alert))
    }

    /// Newest first.
    pub async fn alerts(
        &self,
        project: ProjectId,
        filter: &AlertListFilter,
        page: &PageRequest,
    ) -> Result<Page<Alert>, StoreError> {
        let mut list = SmallList::new("alert", select!(""), project);
        list.condition.push("project_id = ");
        list.condition.bind(project);
        list.search(filter.search.as_deref(), &["name", "description"]);
        if let Some(event) = filter.event {
            list.condition.push(" AND event = ");
            list.condition.bind(event.as_str());
        }
        if let Some(enabled) = filter.enabled {
            list.condition.push(" AND enabled = ");
            list.condition.bind(enabled);
        }
        if let Some(application) = filter.application {
            list.condition.push(" AND application_id = ");
            list.condition.bind(application);
        }
        let mut found = self.small_page(list, page, from_row, |it| (it.created_at, it.id.as_uuid())).await?;
        self.with_channels(project, &mut found.items).await?;
        Ok(found)
    }

    /// Every enabled alert of the project.
    pub async fn enabled_alerts(&self, project: ProjectId) -> Result<Vec<Alert>, StoreError> {
        let sql = select!("WHERE project_id = $1 AND enabled = 1 ORDER BY created_at, id");
        let rows = self.rows(Query::new("alert", sql, params![project])).await?;
        let mut alerts = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        self.with_channels(project, &mut alerts).await?;
        Ok(alerts)
    }

    pub async fn alert_count(&self, project: ProjectId) -> Result<u64, StoreError> {
        let query = Query::new("alert", "SELECT COUNT(*) FROM alert WHERE project_id = $1", params![project]);
        Ok(u64::try_from(self.number(query).await?).unwrap_or(0))
    }

    async fn with_channels(&self, project: ProjectId, alerts: &mut [Alert]) -> Result<(), StoreError> {
        if alerts.is_empty() {
            return Ok(());
        }
        let sql = select_channel!("JOIN alert a ON a.id = c.alert_id WHERE a.project_id = $1 ORDER BY c.position");
        for row in self.rows(Query::new("alert_channel", sql, params![project])).await? {
            let (alert, channel) = channel_from_row(row)?;
            if let Some(alert) = alerts.iter_mut().find(|it| it.id == alert) {
                alert.channels.push(channel);
            }
        }
        Ok(())
    }

    pub async fn alert_cursor(&self, project: ProjectId) -> Result<Option<AuditPosition>, StoreError> {
        let sql = "SELECT position FROM alert_cursor WHERE project_id = $1";
        self.point(Query::new("alert_cursor", sql, params![project]))
            .await?
            .map(|mut row| row.json("position"))
            .transpose()
    }

    /// Whether the alert has told of the object in this period.
    pub async fn is_noted(&self, alert: AlertId, object: Uuid, period: i64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM alert_notice WHERE alert_id = $1 AND object = $2 AND period = $3";
        Ok(self.point(Query::new("alert_notice", sql, params![alert, object, period])).await?.is_some())
    }

    pub async fn notification(
        &self,
        project: ProjectId,
        id: NotificationId,
    ) -> Result<Option<Notification>, StoreError> {
        let sql = select_notification!("WHERE id = $1 AND project_id = $2");
        let row = self.point(Query::new("notification", sql, params![id, project])).await?;
        row.map(notification_from_row).transpose()
    }

    /// Newest first.
    pub async fn notifications(
        &self,
        project: ProjectId,
        alert: AlertId,
        page: &PageRequest,
    ) -> Result<Page<Notification>, StoreError> {
        let mut list = SmallList::new("notification", select_notification!(""), project);
        list.condition.push("project_id = ");
        list.condition.bind(project);
        list.condition.push(" AND alert_id = ");
        list.condition.bind(alert);
        self.small_page(list, page, notification_from_row, |it| (it.created_at, it.id.as_uuid())).await
    }
}
