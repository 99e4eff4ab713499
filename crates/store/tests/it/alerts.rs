//! Alerts, their outbox, and what they look at.

use chancery_model::alert::{
    Alert, AlertBefore, AlertChannel, AlertEvent, AlertFilter, AlertRun, ChannelConfig, ChannelKind, FilterField,
    FilterOperator, FilterValue, Notification, NotificationState,
};
use chancery_model::audit::AuditEvent;
use chancery_model::identity::ActorId;
use chancery_model::job::{JobKey, JobKind, NewJob};
use chancery_model::{AlertId, Timestamp};
use chancery_store::{AlertChange, AlertListFilter, Change, Conflict, EndingWindow, Write};

use crate::world::{DAY, NOW, World, page};

fn change(it: AlertChange) -> Change {
    Change::Alert(it)
}

fn channel(world: &World, config: ChannelConfig, sealed_secret: Option<Vec<u8>>) -> AlertChannel {
    AlertChannel { id: world.id(), config, sealed_secret, enabled: true, created_at: NOW, updated_at: NOW }
}

fn alert(world: &World, name: &str, event: AlertEvent) -> Alert {
    let email = ChannelConfig::Email { recipients: vec!["ops@acme.com".to_owned()] };
    let slack = ChannelConfig::Slack { channel: Some("#pki".to_owned()), mention_users: vec!["U1".to_owned()] };
    Alert {
        id: world.id(),
        project_id: world.project.id,
        application_id: None,
        name: name.to_owned(),
        description: Some("with ü and '".to_owned()),
        event,
        before: event.looks_ahead().then(|| AlertBefore::parse("30d").unwrap()),
        filters: vec![AlertFilter {
            field: FilterField::San,
            operator: FilterOperator::EndsWith,
            value: FilterValue::List(vec![".acme.com".to_owned()]),
        }],
        enabled: true,
        active_since: NOW,
        daily: false,
        channels: vec![channel(world, email, None), channel(world, slack, Some(vec![0, 255]))],
        last_run: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn insert(world: &World, alert: &Alert) {
    world.commit([change(AlertChange::Insert(Box::new(alert.clone())))]).await.unwrap();
}

pub async fn alerts_read_back_and_change_from_the_expected_state_only(world: &mut World) {
    let reader = world.reader();
    let mut first = alert(world, "soon", AlertEvent::Expiration);
    insert(world, &first).await;
    assert_eq!(reader.alert(world.project.id, first.id).await, Ok(Some(first.clone())));
    let twin = alert(world, "soon", AlertEvent::Issuance);
    assert_eq!(world.refused([change(AlertChange::Insert(Box::new(twin.clone())))]).await, Some(Conflict::Name));
    let elsewhere = Alert { application_id: Some(world.id()), enabled: false, ..twin };
    insert(world, &elsewhere).await;

    first.name = "sooner".to_owned();
    first.before = None;
    first.channels.remove(0);
    first.daily = true;
    first.updated_at = NOW.plus_seconds(1);
    let update = |expected| change(AlertChange::Update { alert: Box::new(first.clone()), expected });
    assert_eq!(world.refused([update(NOW.plus_seconds(5))]).await, Some(Conflict::Stale));
    world.commit([update(NOW)]).await.unwrap();
    let run = AlertRun { at: NOW.plus_seconds(2), error: Some("unreachable".to_owned()) };
    world.commit([change(AlertChange::SetRun { alert: first.id, run: run.clone() })]).await.unwrap();
    first.last_run = Some(run);
    assert_eq!(reader.alert(world.project.id, first.id).await, Ok(Some(first.clone())));

    assert_eq!(reader.enabled_alerts(world.project.id).await, Ok(vec![first.clone()]));
    assert_eq!(reader.alert_count(world.project.id).await, Ok(2));
    for (filter, expected) in [
        (AlertListFilter::default(), 2),
        (AlertListFilter { search: Some("SOONER".to_owned()), ..AlertListFilter::default() }, 1),
        (AlertListFilter { event: Some(AlertEvent::Issuance), ..AlertListFilter::default() }, 1),
        (AlertListFilter { enabled: Some(true), ..AlertListFilter::default() }, 1),
        (AlertListFilter { application: elsewhere.application_id, ..AlertListFilter::default() }, 1),
        (AlertListFilter { application: Some(world.id()), ..AlertListFilter::default() }, 0),
    ] {
        let found = reader.alerts(world.project.id, &filter, &page(10)).await.unwrap();
        assert_eq!((found.items.len(), found.total.count), (expected, expected as u64), "{filter:?}");
        assert!(found.items.iter().all(|it| !it.channels.is_empty()));
    }
    let other = world.other_project("other");
    world.commit([Change::InsertProject(other.clone())]).await.unwrap();
    assert_eq!(reader.alert(other.id, first.id).await, Ok(None));
}

fn message(world: &World, alert: &Alert) -> Notification {
    Notification {
        id: world.id(),
        alert_id: alert.id,
        channel_id: alert.channels[0].id,
        project_id: alert.project_id,
        kind: ChannelKind::Email,
        payload: "{}".to_owned(),
        state: NotificationState::Pending,
        attempts: 0,
        last_error: None,
        created_at: NOW,
        delivered_at: None,
    }
}

pub async fn messages_change_state_and_go_with_their_alert(world: &mut World) {
    let reader = world.reader();
    let project = world.project.id;
    let alert = alert(world, "soon", AlertEvent::Expiration);
    insert(world, &alert).await;
    let (mut sent, waiting) = (message(world, &alert), message(world, &alert));
    for it in [&sent, &waiting] {
        let key = JobKey { kind: JobKind::Deliver, object: it.id.as_uuid() };
        let due = NewJob { key, project_id: project, due_at: NOW, deadline: NOW };
        world.commit([change(AlertChange::Notify(Box::new(it.clone()))), Change::ScheduleJob(due)]).await.unwrap();
    }
    let delivered = |id, attempts| {
        change(AlertChange::SetNotification {
            id,
            state: NotificationState::Delivered,
            attempts,
            last_error: Some("once".to_owned()),
            delivered_at: Some(NOW.plus_seconds(3)),
        })
    };
    world.commit([delivered(sent.id, 2)]).await.unwrap();
    assert_eq!(world.refused([delivered(world.id(), 1)]).await, Some(Conflict::Missing));
    sent.state = NotificationState::Delivered;
    sent.attempts = 2;
    sent.last_error = Some("once".to_owned());
    sent.delivered_at = Some(NOW.plus_seconds(3));
    assert_eq!(reader.notification(project, sent.id).await, Ok(Some(sent.clone())));
    let listed = reader.notifications(project, alert.id, &page(1)).await.unwrap();
    assert_eq!((listed.items.len(), listed.total.count, listed.next_cursor.is_some()), (1, 2, true));

    let forget = AlertChange::ForgetNotifications { alert: alert.id, before: NOW.plus_seconds(1) };
    world.commit([change(forget)]).await.unwrap();
    assert_eq!(reader.notification(project, sent.id).await, Ok(None));
    assert_eq!(reader.notification(project, waiting.id).await, Ok(Some(waiting.clone())), "it was not sent yet");
    let key = JobKey { kind: JobKind::Deliver, object: waiting.id.as_uuid() };
    assert!(reader.job(key).await.unwrap().is_some());
    world.commit([change(AlertChange::Delete(alert.id))]).await.unwrap();
    assert_eq!(reader.notification(project, waiting.id).await, Ok(None));
    assert_eq!(reader.job(key).await, Ok(None));
    assert_eq!(world.refused([change(AlertChange::Delete(alert.id))]).await, Some(Conflict::Missing));
}

pub async fn cursors_start_once_and_notes_are_kept_until_they_end(world: &mut World) {
    let reader = world.reader();
    let project = world.project.id;
    assert_eq!(reader.alert_cursor(project).await, Ok(None));
    let at = |sequence: i64| vec![("node-1".to_owned(), sequence), ("node \"2\"".to_owned(), 0)];
    for (step, expected) in [
        (AlertChange::StartCursor { project, position: at(5) }, Some(at(5))),
        (AlertChange::StartCursor { project, position: at(9) }, Some(at(5))),
        (AlertChange::SetCursor { project, position: at(7) }, Some(at(7))),
        (AlertChange::DropCursor(project), None),
        (AlertChange::SetCursor { project, position: at(8) }, Some(at(8))),
    ] {
        world.commit([change(step)]).await.unwrap();
        assert_eq!(reader.alert_cursor(project).await, Ok(expected));
    }
    let (alert, object): (AlertId, uuid::Uuid) = (world.id(), world.id());
    let note = |period, seconds| AlertChange::Note { alert, object, period, until: NOW.plus_seconds(seconds) };
    world.commit([change(note(0, 10)), change(note(0, 99)), change(note(1, 20))]).await.unwrap();
    let noted = async |period| reader.is_noted(alert, object, period).await.unwrap();
    assert!(noted(0).await && noted(1).await && !noted(2).await);
    world.commit([change(AlertChange::ForgetNotes { alert, until_before: NOW.plus_seconds(15) })]).await.unwrap();
    assert!(!noted(0).await && noted(1).await);
}

pub async fn only_certificates_that_need_somebody_are_found_before_their_end(world: &mut World) {
    let reader = world.reader();
    let project = world.project.id;
    let ending = |name: &str, days: i64| {
        let mut it = world.certificate(name, &[name]);
        it.not_after = NOW.plus_seconds(days * DAY);
        it.requester = ActorId::User(world.id());
        it
    };
    let (soon, later, told, far) = (ending("soon", 1), ending("later", 2), ending("told", 2), ending("far", 40));
    let (over, renewed, gone) = (ending("over", -1), ending("renewed", 1), ending("gone", 1));
    let mut own = ending("own", 1);
    own.requester = ActorId::System;
    for it in [&soon, &later, &told, &far, &over, &renewed, &gone, &own] {
        world.commit([Change::InsertCertificate(Box::new(it.clone()))]).await.unwrap();
    }
    world.commit([Change::MarkRenewed { id: renewed.id, by: far.id, at: NOW }]).await.unwrap();
    world.commit([Change::DeleteCertificate(gone.id)]).await.unwrap();
    let alert: AlertId = world.id();
    let note = AlertChange::Note { alert, object: told.id.as_uuid(), period: 3, until: NOW };
    world.commit([change(note)]).await.unwrap();
    let window = |untold, to: i64| EndingWindow { project, from: NOW, to: NOW.plus_seconds(to), untold, after: None };
    for (untold, to, expected) in [
        (Some((alert, 3)), 30 * DAY, vec!["soon", "later"]),
        (Some((alert, 4)), 30 * DAY, vec!["soon", "later", "told"]),
        (None, 30 * DAY, vec!["soon", "later", "told"]),
        (None, DAY, vec!["soon"]),
        (None, DAY - 1, vec![]),
        (None, 40 * DAY, vec!["soon", "later", "told", "far"]),
    ] {
        let (found, more) = reader.ending_certificates(&window(untold, to)).await.unwrap();
        let names: Vec<&str> = found.iter().filter_map(|it| it.description.common_name()).collect();
        assert_eq!((names, more), (expected, None), "{untold:?} {to}");
    }
    let (found, _) = reader.ending_certificates(&window(None, DAY)).await.unwrap();
    assert_eq!((found[0].id, &found[0].serial_number), (soon.id, &soon.serial_number));
    assert_eq!((found[0].not_before, found[0].not_after), (soon.not_before, soon.not_after));
}

pub async fn a_long_window_is_walked_in_pieces(world: &mut World) {
    let project = world.project.id;
    let mut all = Vec::new();
    for index in 0..2_300_i64 {
        let mut it = world.certificate(&format!("n{index}"), &[]);
        // Many share an end, also across the pieces' edges.
        it.not_after = NOW.plus_seconds(index / 700);
        it.requester = ActorId::User(world.id());
        all.push(Change::InsertCertificate(Box::new(it)));
    }
    for changes in all.chunks(500) {
        world.store().commit(Write { changes: changes.to_vec(), audit: Vec::new() }).await.unwrap();
    }
    let mut window = EndingWindow { project, from: NOW, to: NOW.plus_seconds(DAY), untold: None, after: None };
    let (mut seen, mut calls) = (std::collections::HashSet::new(), 0);
    loop {
        let (found, after) = world.reader().ending_certificates(&window).await.unwrap();
        assert!(found.len() <= 1_000);
        for it in found {
            assert!(seen.insert(it.id), "found twice");
        }
        calls += 1;
        window.after = after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), calls), (2_300, 3));
}

pub async fn cas_in_use_are_found_before_their_end(world: &mut World) {
    let reader = world.reader();
    let project = world.project.id;
    let ca = world.ca("issuing");
    let certificate = world.ca_certificate(&ca, 1);
    let mut waiting = world.ca("waiting");
    waiting.active_certificate = None;
    world
        .commit([
            Change::InsertCa(Box::new(ca.clone())),
            Change::InsertCaCertificate(Box::new(certificate.clone())),
            Change::ActivateCa { ca: ca.id, certificate: certificate.id, expected_active: None, at: NOW },
            Change::InsertCa(Box::new(waiting)),
        ])
        .await
        .unwrap();
    let end = certificate.not_after;
    let found = reader.ending_cas(project, NOW, end).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id, found[0].certificate_id, &found[0].name), (ca.id, certificate.id, &ca.name));
    assert_eq!(found[0].common_name, ca.configuration.common_name);
    let before = Timestamp::from_millis(end.as_millis() - 1);
    assert_eq!(reader.ending_cas(project, NOW, before).await, Ok(vec![]));
}

pub async fn a_projects_events_are_read_from_a_place_in_the_chain(world: &mut World) {
    let other = world.other_project("other");
    world.commit([Change::InsertProject(other.clone())]).await.unwrap();
    let object: uuid::Uuid = world.id();
    for (event, project) in [
        (AuditEvent::CertificateIssued, world.project.id),
        (AuditEvent::CertificateIssued, other.id),
        (AuditEvent::CertificateRevoked, world.project.id),
        (AuditEvent::CertificateDeleted, world.project.id),
    ] {
        let mut record = world.record(event, object);
        record.project_id = Some(project);
        world.store().commit(Write::default().audited(record)).await.unwrap();
    }
    let events = [AuditEvent::CertificateIssued, AuditEvent::CertificateRevoked];
    for (range, expected) in [((0, 10), vec![1, 3]), ((1, 10), vec![3]), ((0, 2), vec![1]), ((3, 10), vec![])] {
        let found = world.reader().watched_entries(world.project.id, "node-1", range, &events).await.unwrap();
        let sequences: Vec<i64> = found.iter().map(|it| it.sequence).collect();
        assert_eq!(sequences, expected, "{range:?}");
        assert!(found.iter().all(|it| it.object_id == Some(object) && it.body.contains("\"event\"")));
    }
}
