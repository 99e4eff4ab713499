//! The job that reads the audit chains and turns what happened into messages.
//!
//! Each node's chain is read from where the project's cursor stands; messages, notes and the new cursor are one write, so
//! an entry is told exactly once. Entries that are written while no alert listens are never told.

use std::collections::{HashMap, HashSet};

use chancery_model::alert::{Alert, AlertEvent};
use chancery_model::audit::{AuditBody, AuditEvent};
use chancery_model::job::{Fence, Job};
use chancery_model::{CaId, CertificateId, ProjectId, RequestId, Timestamp, Violation};
use chancery_store::{AlertChange, AuditPosition, Change, WatchedEntry, Write};
use uuid::Uuid;

use super::matching::includes_cas;
use super::message::{Message, MessageCertificate};
use super::subject::{ProfileNames, Subject};
use crate::Authority;
use crate::error::Error;

/// Between two looks.
pub(super) const PERIOD_SECONDS: i64 = 5;
/// Entries of one node that a run goes over, whoever's they are.
const ENTRIES_MAX: i64 = 2_000;
const DAY_SECONDS: i64 = 86_400;

/// What a watched event means: of a certificate, of a request, or of a CA.
const WATCHED: &[(AuditEvent, AlertEvent)] = &[
    (AuditEvent::CertificateIssued, AlertEvent::Issuance),
    (AuditEvent::CertificateRenewed, AlertEvent::Renewal),
    (AuditEvent::CertificateRevoked, AlertEvent::Revocation),
    (AuditEvent::CertificateRenewalRefused, AlertEvent::RenewalFailed),
    (AuditEvent::CertificateRenewalFailed, AlertEvent::RenewalFailed),
    (AuditEvent::OrderFailed, AlertEvent::IssuanceFailed),
    (AuditEvent::CertificateQuarantined, AlertEvent::IssuanceFailed),
    (AuditEvent::CaCertificateIssued, AlertEvent::Issuance),
    (AuditEvent::CaCertificateImported, AlertEvent::Issuance),
    (AuditEvent::CaCertificateRenewed, AlertEvent::Renewal),
    (AuditEvent::CaRolledOver, AlertEvent::Renewal),
    (AuditEvent::CaCertificateRevoked, AlertEvent::Revocation),
    (AuditEvent::CaRenewalFailed, AlertEvent::RenewalFailed),
];

/// One thing that happened.
struct Happening {
    event: AlertEvent,
    time: Timestamp,
    subject: Subject,
}

pub(crate) async fn run(authority: &Authority, job: &Job, fence: Fence) -> Result<(), Error> {
    let project = job.project_id;
    let mut alerts = authority.reader().enabled_alerts(project).await?;
    alerts.retain(|alert| !alert.event.looks_ahead());
    if alerts.is_empty() {
        let write = Write::default()
            .with(Change::FinishJob { fence, next: None })
            .with(Change::Alert(AlertChange::DropCursor(project)));
        return authority.commit(write).await;
    }
    let read = read_chains(authority, project).await?;
    let happenings = happenings(authority, project, &read.entries).await?;
    let now = authority.now();
    let next = if read.more { now } else { now.plus_seconds(PERIOD_SECONDS) };
    let mut write = Write::default()
        .with(Change::FinishJob { fence, next: Some(next) })
        .with(Change::Alert(AlertChange::SetCursor { project, position: read.position }));
    let mut told = false;
    for alert in &alerts {
        let (after, any) = tell(authority, write, alert, &happenings).await?;
        write = after;
        told |= any;
    }
    authority.commit(write).await?;
    if told {
        authority.wake_jobs();
    }
    Ok(())
}

struct Chains {
    entries: Vec<WatchedEntry>,
    position: AuditPosition,
    /// Whether some chain goes on beyond what was read.
    more: bool,
}

async fn read_chains(authority: &Authority, project: ProjectId) -> Result<Chains, Error> {
    let reader = authority.reader();
    let heads = reader.audit_nodes().await?;
    let Some(seen) = reader.alert_cursor(project).await? else {
        return Ok(Chains { entries: Vec::new(), position: heads, more: false });
    };
    let seen: HashMap<String, i64> = seen.into_iter().collect();
    let events: Vec<AuditEvent> = WATCHED.iter().map(|(event, _)| *event).collect();
    let mut chains = Chains { entries: Vec::new(), position: Vec::new(), more: false };
    for (node, head) in heads {
        // A node that the cursor does not know is younger than the cursor.
        let after = seen.get(&node).copied().unwrap_or(0);
        let to = head.min(after.saturating_add(ENTRIES_MAX));
        chains.more |= to < head;
        if to > after {
            chains.entries.extend(reader.watched_entries(project, &node, (after, to), &events).await?);
        }
        chains.position.push((node, to.max(after)));
    }
    Ok(chains)
}

async fn happenings(
    authority: &Authority,
    project: ProjectId,
    entries: &[WatchedEntry],
) -> Result<Vec<Happening>, Error> {
    let mut names = ProfileNames::default();
    let mut subjects: HashMap<Uuid, Option<Subject>> = HashMap::new();
    let mut found = Vec::new();
    for entry in entries {
        let meaning = WATCHED.iter().find(|(event, _)| event.as_str() == entry.event);
        let (Some((audited, event)), Some(object)) = (meaning, entry.object_id) else { continue };
        let known = match subjects.get(&object) {
            Some(known) => known.clone(),
            None => {
                let read = subject(authority, project, *audited, object, &mut names).await?;
                subjects.insert(object, read.clone());
                read
            }
        };
        // Deleted in the meantime: nobody can look at it any more.
        let Some(mut subject) = known else { continue };
        if matches!(event, AlertEvent::RenewalFailed | AlertEvent::IssuanceFailed) {
            subject.told.error = reason(&entry.body);
        }
        found.push(Happening { event: *event, time: entry.time, subject });
    }
    Ok(found)
}

async fn subject(
    authority: &Authority,
    project: ProjectId,
    event: AuditEvent,
    object: Uuid,
    names: &mut ProfileNames,
) -> Result<Option<Subject>, Error> {
    if event.as_str().starts_with("ca.") {
        return authority.ca_subject(project, CaId::from_uuid(object)).await;
    }
    if matches!(event, AuditEvent::OrderFailed | AuditEvent::CertificateQuarantined) {
        let found = authority.reader().request(project, RequestId::from_uuid(object)).await?;
        let Some(request) = found else { return Ok(None) };
        let name = names.name(authority, project, request.profile_id).await?;
        return Ok(Some(Subject::of_request(&request, name)));
    }
    let found = authority.reader().certificate(project, CertificateId::from_uuid(object)).await?;
    let Some(certificate) = found else { return Ok(None) };
    let name = names.name(authority, project, certificate.profile_id).await?;
    Ok(Some(Subject::of_certificate(&certificate, name, authority.now())))
}

/// The refusal's own words, where the entry has them; else the rules that were broken.
fn reason(body: &str) -> Option<String> {
    let body: AuditBody = serde_json::from_str(body).ok()?;
    if let Some(message) = body.details.get("message").and_then(serde_json::Value::as_str) {
        return Some(message.to_owned());
    }
    let violations: Vec<Violation> = serde_json::from_value(body.details.get("violations")?.clone()).ok()?;
    Some(Error::RenewalRefused(violations).public_message())
}

/// Adds the alert's messages about what happened since it listens.
async fn tell(
    authority: &Authority,
    mut write: Write,
    alert: &Alert,
    happenings: &[Happening],
) -> Result<(Write, bool), Error> {
    let with_cas = includes_cas(&alert.filters);
    let day = authority.now().as_seconds().div_euclid(DAY_SECONDS);
    let mut told: Vec<MessageCertificate> = Vec::new();
    let mut seen = HashSet::new();
    for it in happenings {
        let listens = it.event == alert.event && it.time >= alert.active_since;
        let counts = it.subject.told.ca_id.is_none() || with_cas;
        if !listens || !counts || !it.subject.is_meant_by(alert) || !seen.insert(it.subject.told.id) {
            continue;
        }
        if it.event == AlertEvent::RenewalFailed {
            // A renewal is tried again and again; people hear of it once a day.
            let object = it.subject.told.id;
            if authority.reader().is_noted(alert.id, object, day).await? {
                continue;
            }
            let until = Timestamp::from_seconds((day + 1) * DAY_SECONDS);
            write = write.with(Change::Alert(AlertChange::Note { alert: alert.id, object, period: day, until }));
        }
        told.push(it.subject.told.clone());
    }
    if alert.event == AlertEvent::RenewalFailed && !told.is_empty() {
        let until_before = authority.now();
        write = write.with(Change::Alert(AlertChange::ForgetNotes { alert: alert.id, until_before }));
    }
    let total = u64::try_from(told.len()).unwrap_or(u64::MAX);
    for certificates in told.chunks(Message::CERTIFICATES_MAX) {
        let blank = authority.blank_message(alert, Some(alert.event));
        let count = u64::try_from(certificates.len()).unwrap_or(total);
        let message = Message { certificates: certificates.to_vec(), total: count, ..blank };
        write = authority.with_messages(write, alert, &message)?;
    }
    Ok((write, total > 0))
}
