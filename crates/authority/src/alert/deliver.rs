//! The job that sends one message: again and again, later and later, until it is taken or given up.

use chancery_model::NotificationId;
use chancery_model::alert::{Alert, AlertRun, Notification, NotificationState};
use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::job::{Fence, Job};
use chancery_store::{AlertChange, Change, Write};

use super::message::Message;
use super::notifier::NotifyError;
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::jobs::Backoff;

/// Half a minute, doubling up to an hour: with the tries below, most of a day.
const BACKOFF: Backoff = Backoff { first: 30, longest: 3_600 };
const TRIES_MAX: u32 = 24;
/// How long the outbox remembers what it has sent.
const KEPT_SECONDS: i64 = 90 * 86_400;

pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let id = NotificationId::from_uuid(job.key.object);
    let reader = authority.reader();
    let waiting = reader.notification(job.project_id, id).await?.filter(|it| it.state == NotificationState::Pending);
    let alert = match &waiting {
        Some(it) => reader.alert(job.project_id, it.alert_id).await?,
        None => None,
    };
    let (Some(notification), Some(alert)) = (waiting, alert) else {
        return authority.commit(Write::default().with(Change::FinishJob { fence, next: None })).await;
    };
    let outcome = send(authority, &alert, &notification).await;
    let write = settle(authority, fence, &alert, &notification, outcome);
    authority.commit(write).await
}

async fn send(authority: &Authority, alert: &Alert, notification: &Notification) -> Result<(), NotifyError> {
    let channel = alert.channels.iter().find(|it| it.id == notification.channel_id && it.enabled);
    let Some(channel) = channel else {
        return Err(NotifyError::lasting("the channel was removed or switched off before the message was sent"));
    };
    let message: Message = serde_json::from_str(&notification.payload)
        .map_err(|_| NotifyError::lasting("the stored message cannot be read"))?;
    let opened = authority.open_channel(alert.project_id, channel).await.map_err(|error| {
        tracing::error!(%error, channel = %channel.id, "a channel's secret does not open");
        NotifyError::passing("the channel's secret does not open; set it again")
    })?;
    authority.notifier().send(&opened, &message).await
}

/// The one write after a try: what became of the message, and of the job.
fn settle(
    authority: &Authority,
    fence: Fence,
    alert: &Alert,
    notification: &Notification,
    outcome: Result<(), NotifyError>,
) -> Write {
    let now = authority.now();
    let attempts = notification.attempts.saturating_add(1);
    let given_up = |error: &NotifyError| !error.retryable || attempts >= TRIES_MAX;
    let (verdict, state) = match &outcome {
        Ok(()) => (Change::FinishJob { fence, next: None }, NotificationState::Delivered),
        Err(error) if given_up(error) => (Change::FinishJob { fence, next: None }, NotificationState::Failed),
        Err(error) => {
            let due_at = now.plus_seconds(BACKOFF.seconds(notification.attempts, authority.random()));
            (Change::RetryJob { fence, due_at, error: error.text.clone() }, NotificationState::Pending)
        }
    };
    let error = outcome.err().map(|it| it.text);
    let mut write = Write::default()
        .with(verdict)
        .with(Change::Alert(AlertChange::SetNotification {
            id: notification.id,
            state,
            attempts,
            last_error: error.clone(),
            delivered_at: (state == NotificationState::Delivered).then_some(now),
        }))
        .with(Change::Alert(AlertChange::SetRun { alert: alert.id, run: AlertRun { at: now, error: error.clone() } }));
    match state {
        NotificationState::Delivered => {
            let before = now.plus_seconds(-KEPT_SECONDS);
            write = write.with(Change::Alert(AlertChange::ForgetNotifications { alert: alert.id, before }));
        }
        NotificationState::Failed => {
            let details = serde_json::json!({
                "notificationId": notification.id, "channelId": notification.channel_id,
                "channelType": notification.kind.as_str(), "attempts": attempts, "error": error,
            });
            let call = Call::system(alert.project_id);
            let object = Some(("alert", alert.id.as_uuid()));
            let mut audit = call.audit(now, AuditEvent::NotificationFailed, object, details);
            audit.outcome = Outcome::Failure;
            write = write.audited(audit);
        }
        NotificationState::Pending => {}
    }
    write
}
