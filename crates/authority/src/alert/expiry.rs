//! The job that looks for what ends soon: certificates, CAs, CRLs. One for each alert that looks ahead.

use chancery_model::alert::{Alert, AlertEvent};
use chancery_model::crl::PublishedCrl;
use chancery_model::job::{Fence, Job};
use chancery_model::{AlertId, Timestamp};
use chancery_store::{AlertChange, Change, EndingWindow, Write};
use uuid::Uuid;

use super::matching::includes_cas;
use super::message::{Message, MessageCertificate, MessageCrl};
use super::subject::{ProfileNames, Subject};
use crate::Authority;
use crate::error::Error;

const DAY_SECONDS: i64 = 86_400;
/// Between two looks, at most and at least.
const PERIOD_SECONDS: i64 = 3_600;
const PERIOD_SECONDS_MIN: i64 = 60;
/// What one run tells of; the next follows at once.
const TOLD_MAX: usize = 2_000;
/// A CRL that has been published as planned always has more than this part of its life before it.
const CRL_LIFE_LEFT: i64 = 4;

/// What a run has found, to be told in one message and noted.
#[derive(Default)]
struct Findings {
    certificates: Vec<MessageCertificate>,
    crls: Vec<MessageCrl>,
    /// What, for which period, until when.
    notes: Vec<(Uuid, i64, Timestamp)>,
    /// Whether there is more than one run tells of.
    more: bool,
}

pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let id = AlertId::from_uuid(job.key.object);
    let alert = authority.reader().alert(job.project_id, id).await?;
    let Some(alert) = alert.filter(|it| it.enabled && it.event.looks_ahead()) else {
        return authority.commit(Write::default().with(Change::FinishJob { fence, next: None })).await;
    };
    let now = authority.now();
    let found = match alert.event {
        AlertEvent::Expiration => certificates(authority, &alert).await?,
        AlertEvent::CaExpiration => cas(authority, &alert).await?,
        _ => crls(authority, &alert).await?,
    };
    let next = if found.more { now } else { now.plus_seconds(period_seconds(&alert)) };
    let mut write = Write::default()
        .with(Change::FinishJob { fence, next: Some(next) })
        .with(Change::Alert(AlertChange::ForgetNotes { alert: id, until_before: now }));
    for (object, period, until) in &found.notes {
        let note = AlertChange::Note { alert: id, object: *object, period: *period, until: *until };
        write = write.with(Change::Alert(note));
    }
    let total = found.certificates.len() + found.crls.len();
    if total == 0 {
        return authority.commit(write).await;
    }
    let message = Message {
        certificates: found.certificates.into_iter().take(Message::CERTIFICATES_MAX).collect(),
        crls: found.crls.into_iter().take(Message::CERTIFICATES_MAX).collect(),
        total: u64::try_from(total).unwrap_or(u64::MAX),
        ..authority.blank_message(&alert, Some(alert.event))
    };
    authority.commit(authority.with_messages(write, &alert, &message)?).await?;
    authority.wake_jobs();
    Ok(())
}

/// A tenth of the span, so that what lives for hours is found in time.
fn period_seconds(alert: &Alert) -> i64 {
    let tenth = alert.before.as_ref().map_or(PERIOD_SECONDS, |it| it.as_seconds() / 10);
    tenth.clamp(PERIOD_SECONDS_MIN, PERIOD_SECONDS)
}

/// The period that a note is for, and until when it is kept: for good, or for this day.
fn period(alert: &Alert, now: Timestamp, end: Timestamp) -> (i64, Timestamp) {
    if !alert.daily {
        return (0, end);
    }
    let day = now.as_seconds().div_euclid(DAY_SECONDS);
    (day, Timestamp::from_seconds((day + 1) * DAY_SECONDS))
}

fn horizon(alert: &Alert, now: Timestamp) -> Timestamp {
    now.plus_seconds(alert.before.as_ref().map_or(0, |it| it.as_seconds()))
}

async fn certificates(authority: &Authority, alert: &Alert) -> Result<Findings, Error> {
    let now = authority.now();
    let (period_of_today, _) = period(alert, now, now);
    let mut found = if includes_cas(&alert.filters) { cas(authority, alert).await? } else { Findings::default() };
    let mut names = ProfileNames::default();
    let mut window = EndingWindow {
        project: alert.project_id,
        from: now,
        to: horizon(alert, now),
        untold: Some((alert.id, period_of_today)),
        after: None,
    };
    loop {
        let (ending, after) = authority.reader().ending_certificates(&window).await?;
        for it in ending {
            let name = names.name(authority, alert.project_id, it.profile_id).await?;
            let subject = Subject::of_ending(&it, name, now);
            if !subject.is_meant_by(alert) {
                continue;
            }
            if found.certificates.len() >= TOLD_MAX {
                found.more = true;
                return Ok(found);
            }
            let (period, until) = period(alert, now, it.not_after);
            found.notes.push((it.id.as_uuid(), period, until));
            found.certificates.push(subject.told);
        }
        if after.is_none() {
            return Ok(found);
        }
        window.after = after;
    }
}

async fn cas(authority: &Authority, alert: &Alert) -> Result<Findings, Error> {
    let now = authority.now();
    let mut found = Findings::default();
    for ca in authority.reader().ending_cas(alert.project_id, now, horizon(alert, now)).await? {
        let subject = Subject::of_ca(&ca, now);
        let (period, until) = period(alert, now, ca.not_after);
        let object = ca.certificate_id.as_uuid();
        if !subject.is_meant_by(alert) || authority.reader().is_noted(alert.id, object, period).await? {
            continue;
        }
        found.notes.push((object, period, until));
        found.certificates.push(subject.told);
    }
    Ok(found)
}

/// A CRL is near its end when that is closer than the alert's span and the planned publication has not come: it is always
/// made anew well before its last quarter, so only a CRL within that quarter, or past its end, is told of.
async fn crls(authority: &Authority, alert: &Alert) -> Result<Findings, Error> {
    let now = authority.now();
    let mut found = Findings::default();
    for crl in authority.reader().all_crls().await? {
        let Some(published) = crl.complete.filter(|_| crl.project_id == alert.project_id) else { continue };
        if !is_overdue(&published, alert, now) {
            continue;
        }
        let (object, until) = (crl.id.as_uuid(), published.next_update.plus_seconds(30 * DAY_SECONDS));
        // Told once for each CRL that grows old, not once for the whole line of them.
        let (period, until) = if alert.daily { period(alert, now, until) } else { (published.number, until) };
        if authority.reader().is_noted(alert.id, object, period).await? {
            continue;
        }
        let Some(ca) = authority.reader().ca(alert.project_id, crl.ca_id).await? else { continue };
        found.notes.push((object, period, until));
        found.crls.push(MessageCrl {
            id: crl.id,
            ca_id: crl.ca_id,
            ca_name: ca.name,
            partition: crl.partition,
            number: published.number,
            this_update: published.this_update,
            next_update: published.next_update,
        });
    }
    Ok(found)
}

fn is_overdue(crl: &PublishedCrl, alert: &Alert, now: Timestamp) -> bool {
    let life = crl.next_update.as_seconds() - crl.this_update.as_seconds();
    let left = crl.next_update.as_seconds() - now.as_seconds();
    let span = alert.before.as_ref().map_or(i64::MAX, |it| it.as_seconds());
    left <= span && left <= life / CRL_LIFE_LEFT
}

#[cfg(test)]
mod tests {
    use chancery_model::alert::AlertBefore;
    use chancery_model::{AlertId, ProjectId};

    use super::*;

    fn alert(before: Option<&str>) -> Alert {
        let at = Timestamp::from_seconds(1_800_000_000);
        Alert {
            id: AlertId::from_uuid(Uuid::from_u128(1)),
            project_id: ProjectId::from_uuid(Uuid::from_u128(2)),
            application_id: None,
            name: "crl".to_owned(),
            description: None,
            event: AlertEvent::CrlExpiration,
            before: before.and_then(AlertBefore::parse),
            filters: Vec::new(),
            enabled: true,
            active_since: at,
            daily: false,
            channels: Vec::new(),
            last_run: None,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn a_crl_is_overdue_in_its_last_quarter_and_within_the_span() {
        let start = Timestamp::from_seconds(1_800_000_000);
        let hours = |count: i64| start.plus_seconds(count * 3_600);
        let crl = PublishedCrl { number: 7, this_update: start, next_update: hours(24), entries: 0, size: 0 };
        for (before, at, expected) in [
            (Some("1d"), 1, false),
            (Some("1d"), 17, false),
            (Some("1d"), 18, true),
            (Some("2h"), 18, false),
            (Some("2h"), 22, true),
            (None, 17, false),
            (None, 18, true),
            (None, 30, true),
        ] {
            assert_eq!(is_overdue(&crl, &alert(before), hours(at)), expected, "{before:?} after {at} h");
        }
    }

    #[test]
    fn looks_follow_the_span() {
        for (before, seconds) in [(None, 3_600), (Some("1h"), 360), (Some("30d"), 3_600)] {
            assert_eq!(period_seconds(&alert(before)), seconds);
        }
    }
}
