//! What an alert would tell of now, and trying its channels out.

use chancery_model::alert::{
    Alert, AlertBefore, AlertChannel, AlertEvent, AlertFilter, ChannelConfig, ChannelKind, Notification,
};
use chancery_model::audit::{AuditEvent, Outcome};
use chancery_model::certificate::CertificateFilter;
use chancery_model::page::{Page, PageRequest};
use chancery_model::permission::Permission;
use chancery_model::{AlertId, ApplicationId, ChannelId, ProjectId, Timestamp};
use chancery_store::{EndingWindow, Write};
use serde_json::json;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::matching::includes_cas;
use super::message::{Message, MessageCertificate};
use super::notifier::{NotifyError, OpenedChannel};
use super::service::{check_before, check_filters};
use super::subject::{ProfileNames, Subject};
use crate::{Authority, Call, Error};

/// Certificates that a preview looks at.
const LOOKED_AT_MAX: usize = 10_000;
/// The same in calls to the store, of 1 000 each.
const ENDING_PAGES_MAX: usize = 10;

/// What is asked of an alert that need not exist.
#[derive(Clone, Debug)]
pub struct AlertQuestion {
    pub application_id: Option<ApplicationId>,
    pub event: AlertEvent,
    pub before: Option<AlertBefore>,
    pub filters: Vec<AlertFilter>,
}

/// A slice of what matches.
#[derive(Clone, Debug)]
pub struct MatchingCertificates {
    pub certificates: Vec<MessageCertificate>,
    /// Of those looked at, which are at most 10 000.
    pub total: u64,
    /// Whether all were looked at.
    pub exact: bool,
}

/// How one channel took a test message.
#[derive(Clone, Debug)]
pub struct ChannelTest {
    pub channel_id: ChannelId,
    pub kind: ChannelKind,
    /// Absent: it was taken.
    pub error: Option<String>,
}

impl Authority {
    /// Certificates that an alert would be about: those that end within its span, or for events all that are active.
    pub async fn preview_alert(
        &self,
        call: &Call,
        question: AlertQuestion,
        slice: (usize, usize),
    ) -> Result<MatchingCertificates, Error> {
        call.requester.require_in(question.application_id, Permission::AlertRead)?;
        check_filters(&question.filters)?;
        check_before(question.event, question.before.as_ref())?;
        let alert = imagined(call.project_id(), question, self.now());
        self.matching(&alert, slice).await
    }

    pub async fn certificates_of_alert(
        &self,
        call: &Call,
        id: AlertId,
        slice: (usize, usize),
    ) -> Result<MatchingCertificates, Error> {
        let alert = self.alert_for(call, id, Permission::AlertRead).await?;
        self.matching(&alert, slice).await
    }

    /// What the alert has sent and is about to send, newest first.
    pub async fn notifications_of_alert(
        &self,
        call: &Call,
        id: AlertId,
        page: &PageRequest,
    ) -> Result<Page<Notification>, Error> {
        self.alert_for(call, id, Permission::AlertRead).await?;
        Ok(self.reader().notifications(call.project_id(), id, page).await?)
    }

    async fn matching(&self, alert: &Alert, (offset, limit): (usize, usize)) -> Result<MatchingCertificates, Error> {
        let now = self.now();
        let horizon = now.plus_seconds(alert.before.as_ref().map_or(0, AlertBefore::as_seconds));
        let (mut found, exact) = match alert.event {
            AlertEvent::CaExpiration | AlertEvent::CrlExpiration => (Vec::new(), true),
            AlertEvent::Expiration => self.ending(alert, horizon).await?,
            _ => self.active(alert).await?,
        };
        let all_cas = !alert.event.looks_ahead();
        if alert.event == AlertEvent::CaExpiration || includes_cas(&alert.filters) {
            let to = if all_cas { Timestamp::from_millis(i64::MAX) } else { horizon };
            let cas = self.reader().ending_cas(alert.project_id, now, to).await?;
            found.extend(cas.iter().map(|it| Subject::of_ca(it, now)).filter(|it| it.is_meant_by(alert)));
        }
        let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
        let certificates = found.into_iter().skip(offset).take(limit).map(|it| it.told).collect();
        Ok(MatchingCertificates { certificates, total, exact })
    }

    async fn ending(&self, alert: &Alert, to: Timestamp) -> Result<(Vec<Subject>, bool), Error> {
        let now = self.now();
        let mut window = EndingWindow { project: alert.project_id, from: now, to, untold: None, after: None };
        let mut names = ProfileNames::default();
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let (ending, after) = self.reader().ending_certificates(&window).await?;
            pages += 1;
            for it in ending {
                let name = names.name(self, alert.project_id, it.profile_id).await?;
                found.push(Subject::of_ending(&it, name, now));
            }
            found.retain(|it| it.is_meant_by(alert));
            if after.is_none() || pages >= ENDING_PAGES_MAX {
                return Ok((found, after.is_none()));
            }
            window.after = after;
        }
    }

    async fn active(&self, alert: &Alert) -> Result<(Vec<Subject>, bool), Error> {
        use chancery_model::certificate::CertificateStatus::Active;
        let now = self.now();
        let filter = CertificateFilter {
            statuses: vec![Active],
            application_id: alert.application_id,
            ..CertificateFilter::default()
        };
        let mut names = ProfileNames::default();
        let (mut found, mut looked_at, mut cursor) = (Vec::new(), 0, None);
        loop {
            let request = PageRequest { offset: 0, limit: PageRequest::LIMIT_MAX, cursor: cursor.take() };
            let page = self.reader().certificates(alert.project_id, &filter, now, &request).await?;
            looked_at += page.items.len();
            for it in page.items {
                let name = names.name(self, alert.project_id, it.profile_id).await?;
                found.push(Subject::of_certificate(&it, name, now));
            }
            found.retain(|it| it.is_meant_by(alert));
            if page.next_cursor.is_none() || looked_at >= LOOKED_AT_MAX {
                return Ok((found, page.next_cursor.is_none()));
            }
            cursor = page.next_cursor;
        }
    }

    /// Sends an invented message by every channel that is switched on, now and once.
    pub async fn test_alert(&self, call: &Call, id: AlertId) -> Result<Vec<ChannelTest>, Error> {
        let alert = self.alert_for(call, id, Permission::AlertManage).await?;
        let message = self.test_message(&alert);
        let mut running = JoinSet::new();
        for channel in alert.channels.iter().filter(|it| it.enabled) {
            let opened = self.open_channel(alert.project_id, channel).await?;
            let (authority, message, channel) = (self.clone(), message.clone(), channel.clone());
            running.spawn(async move { authority.test_channel(&channel, &opened, &message).await });
        }
        let tests = running.join_all().await;
        let details = json!({ "name": alert.name, "channels": tests.iter().map(outcome).collect::<Vec<_>>() });
        let mut audit = call.audit(self.now(), AuditEvent::AlertTested, Some(("alert", id.as_uuid())), details);
        if tests.iter().any(|it| it.error.is_some()) {
            audit.outcome = Outcome::Failure;
        }
        self.commit(Write::default().audited(audit)).await?;
        Ok(alert.channels.iter().filter_map(|it| tests.iter().find(|test| test.channel_id == it.id).cloned()).collect())
    }

    async fn test_channel(&self, channel: &AlertChannel, opened: &OpenedChannel, message: &Message) -> ChannelTest {
        let sent = self.notifier().send(opened, message).await;
        ChannelTest { channel_id: channel.id, kind: channel.config.kind(), error: sent.err().map(|it| it.text) }
    }

    /// The same to a webhook that is no alert's yet.
    pub async fn test_webhook(
        &self,
        call: &Call,
        url: &str,
        signing_secret: Option<String>,
    ) -> Result<Result<(), NotifyError>, Error> {
        call.requester.require(Permission::AlertManage)?;
        let question =
            AlertQuestion { application_id: None, event: AlertEvent::Issuance, before: None, filters: Vec::new() };
        let message = self.test_message(&imagined(call.project_id(), question, self.now()));
        let channel =
            OpenedChannel::Webhook { url: url.to_owned(), signing_secret: signing_secret.map(Zeroizing::new) };
        let sent = self.notifier().send(&channel, &message).await;
        let config = ChannelConfig::Webhook { url: url.to_owned() };
        let details = json!({ "channel": config, "error": sent.as_ref().err().map(|it| it.text.clone()) });
        let mut audit = call.audit(self.now(), AuditEvent::AlertTested, None, details);
        if sent.is_err() {
            audit.outcome = Outcome::Failure;
        }
        self.commit(Write::default().audited(audit)).await?;
        Ok(sent)
    }
}

fn outcome(test: &ChannelTest) -> serde_json::Value {
    json!({ "channelId": test.channel_id, "channelType": test.kind, "error": test.error })
}

/// An alert that is nowhere stored.
fn imagined(project_id: ProjectId, question: AlertQuestion, now: Timestamp) -> Alert {
    Alert {
        id: AlertId::from_uuid(uuid::Uuid::nil()),
        project_id,
        application_id: question.application_id,
        name: "test".to_owned(),
        description: None,
        event: question.event,
        before: question.before,
        filters: question.filters,
        enabled: true,
        active_since: now,
        daily: false,
        channels: Vec::new(),
        last_run: None,
        created_at: now,
        updated_at: now,
    }
}
