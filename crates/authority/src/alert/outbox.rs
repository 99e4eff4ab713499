//! Putting messages into the outbox: one row and one delivery job for each channel.

use chancery_model::alert::{Alert, Notification, NotificationState};
use chancery_model::job::{JobKey, JobKind, NewJob};
use chancery_model::{NotificationId, Timestamp};
use chancery_store::{AlertChange, Change, Write};

use super::message::Message;
use crate::Authority;
use crate::error::Error;

/// How late a message may be before it goes ahead of others.
const DEADLINE_SECONDS: i64 = 60;

pub(super) fn delivery(id: NotificationId, alert: &Alert, now: Timestamp) -> NewJob {
    NewJob {
        key: JobKey { kind: JobKind::Deliver, object: id.as_uuid() },
        project_id: alert.project_id,
        due_at: now,
        deadline: now.plus_seconds(DEADLINE_SECONDS),
    }
}

impl Authority {
    /// The write, and the message to every channel that is switched on.
    pub(super) fn with_messages(&self, mut write: Write, alert: &Alert, message: &Message) -> Result<Write, Error> {
        let now = self.now();
        for channel in alert.channels.iter().filter(|it| it.enabled) {
            let id = NotificationId::generate(now, self.random());
            let addressed = Message { id, ..message.clone() };
            let notification = Notification {
                id,
                alert_id: alert.id,
                channel_id: channel.id,
                project_id: alert.project_id,
                kind: channel.config.kind(),
                payload: serde_json::to_string(&addressed).map_err(Error::internal)?,
                state: NotificationState::Pending,
                attempts: 0,
                last_error: None,
                created_at: now,
                delivered_at: None,
            };
            write = write
                .with(Change::Alert(AlertChange::Notify(Box::new(notification))))
                .with(Change::ScheduleJob(delivery(id, alert, now)));
        }
        Ok(write)
    }
}
