//! Alerts: who is told of what, by which channels, and how that went.

mod form;

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::alert::{AlertPatch, AlertQuestion, MatchingCertificates};
use chancery_authority::enrollment::Field;
use chancery_model::AlertId;
use chancery_model::alert::{Alert, AlertEvent, ChannelConfig, Notification, NotificationState};
use chancery_model::page::PageRequest;
use chancery_model::permission::Permission;
use chancery_store::AlertListFilter;
use http::StatusCode;

use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Id, Query, Visit};
use form::Draft;

const HOME: &str = "/ui/alerts";
const ROWS: u32 = 50;
/// Certificates named by a preview.
const SAMPLE: usize = 5;

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{AlertManage, AlertRead};
    vec![
        Page::get(HOME, AlertRead, list),
        Page::get("/ui/alerts/new", AlertManage, new),
        Page::post(HOME, AlertManage, create),
        Page::post("/ui/alerts/preview", AlertRead, preview),
        Page::get("/ui/alerts/{id}", AlertRead, show),
        Page::get("/ui/alerts/{id}/edit", AlertManage, edit),
        Page::post("/ui/alerts/{id}", AlertManage, update),
        Page::post("/ui/alerts/{id}/switch", AlertManage, switch),
        Page::post("/ui/alerts/{id}/test", AlertManage, test),
        Page::post("/ui/alerts/{id}/delete", AlertManage, delete),
    ]
}

/// What an event means, for people.
pub(crate) const fn sentence(event: &AlertEvent) -> &'static str {
    match event {
        AlertEvent::Expiration => "A certificate ends soon and is not renewed",
        AlertEvent::Renewal => "A certificate was renewed",
        AlertEvent::Issuance => "A certificate was issued",
        AlertEvent::Revocation => "A certificate was revoked",
        AlertEvent::RenewalFailed => "A renewal failed",
        AlertEvent::IssuanceFailed => "An external CA did not issue what was ordered",
        AlertEvent::CaExpiration => "A CA's certificate ends soon",
        AlertEvent::CrlExpiration => "A revocation list is about to be stale",
    }
}

fn events() -> Vec<(&'static str, &'static str)> {
    AlertEvent::ALL.iter().map(|it| (it.as_str(), sentence(it))).collect()
}

/// A channel in a few words; nothing of it is secret.
pub(crate) fn channel_text(config: &ChannelConfig) -> String {
    match config {
        ChannelConfig::Email { recipients } => format!("E-mail to {}", recipients.join(", ")),
        ChannelConfig::Webhook { url } => format!("Webhook {url}"),
        ChannelConfig::Slack { channel: Some(channel), .. } => format!("Slack {channel}"),
        ChannelConfig::Slack { .. } => "Slack".to_owned(),
    }
}

#[derive(Template)]
#[template(path = "alert/list.html")]
struct ListPage {
    frame: Frame,
    alerts: Vec<Alert>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "alert/form.html")]
struct FormPage {
    frame: Frame,
    /// Of the alert that is changed; absent for a new one.
    id: Option<AlertId>,
    draft: Draft,
    events: Vec<(&'static str, &'static str)>,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "alert/preview.html")]
struct PreviewPart {
    found: Option<MatchingCertificates>,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "alert/show.html")]
struct ShowPage {
    frame: Frame,
    alert: Alert,
    notifications: Vec<Notification>,
    older: Option<String>,
}

async fn list(State(authority): State<Authority>, visit: Visit, Query(query): Query) -> Answer {
    let rows = PageRequest { offset: 0, limit: ROWS, cursor: query.given("cursor").map(str::to_owned) };
    let found = authority.list_alerts(&visit.call, &AlertListFilter::default(), &rows).await?;
    page(&ListPage {
        frame: visit.frame("Alerts", Section::Alerts),
        alerts: found.items,
        older: found.next_cursor.map(|cursor| query.further(HOME, &cursor)),
    })
}

fn form_page(visit: &Visit, id: Option<AlertId>, draft: Draft, problems: Problems) -> FormPage {
    let title = if id.is_some() { "Change the alert" } else { "New alert" };
    FormPage { frame: visit.frame(title, Section::Alerts), id, draft, events: events(), problems }
}

async fn new(visit: Visit) -> Answer {
    page(&form_page(&visit, None, Draft::new(), Problems::default()))
}

async fn create(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let draft = Draft::read(&form);
    let mut problems = Problems::default();
    if let Some(new) = draft.to_core(&[], &mut problems) {
        match authority.create_alert(&visit.call, new).await {
            Ok(made) => {
                let note = format!("The alert {} is on. Send a test, to see that it arrives.", made.name);
                return Ok(visit.done(&format!("{HOME}/{}", made.id), note));
            }
            Err(error) => problems = Problems::from_core(error, form::FIELDS)?,
        }
    }
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &form_page(&visit, None, draft, problems))
}

/// Which certificates the alert would be about now; changes nothing.
async fn preview(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let draft = Draft::read(&form);
    let mut problems = Problems::default();
    let question = draft.question(&mut problems);
    let found = match question {
        Some((event, before, filters)) if event != AlertEvent::CrlExpiration => {
            let question = AlertQuestion { application_id: None, event, before, filters };
            match authority.preview_alert(&visit.call, question, (0, SAMPLE)).await {
                Ok(found) => Some(found),
                Err(error) => {
                    problems = Problems::from_core(error, form::FIELDS)?;
                    None
                }
            }
        }
        _ => None,
    };
    page(&PreviewPart { found, problems })
}

async fn show(State(authority): State<Authority>, visit: Visit, Id(id): Id<AlertId>, Query(query): Query) -> Answer {
    let alert = authority.read_alert(&visit.call, id).await?;
    let rows = PageRequest { offset: 0, limit: ROWS, cursor: query.given("cursor").map(str::to_owned) };
    let sent = authority.notifications_of_alert(&visit.call, id, &rows).await?;
    page(&ShowPage {
        frame: visit.frame(alert.name.clone(), Section::Alerts),
        notifications: sent.items,
        older: sent.next_cursor.map(|cursor| query.further(&format!("{HOME}/{id}"), &cursor)),
        alert,
    })
}

async fn edit(State(authority): State<Authority>, visit: Visit, Id(id): Id<AlertId>) -> Answer {
    let alert = authority.read_alert(&visit.call, id).await?;
    page(&form_page(&visit, Some(id), Draft::of(&alert), Problems::default()))
}

async fn update(State(authority): State<Authority>, visit: Visit, Id(id): Id<AlertId>, form: Form) -> Answer {
    let known = authority.read_alert(&visit.call, id).await?;
    let draft = Draft::read(&form);
    let mut problems = Problems::default();
    if let Some(new) = draft.to_core(&known.channels, &mut problems) {
        let patch = AlertPatch {
            name: Some(new.name),
            description: new.description.map_or(Field::Null, Field::Value),
            event: Some(new.event),
            before: new.before.map_or(Field::Null, Field::Value),
            filters: Some(new.filters),
            enabled: None,
            daily: Some(new.daily),
            channels: Some(new.channels),
        };
        match authority.update_alert(&visit.call, id, patch).await {
            Ok(_) => return Ok(visit.done(&format!("{HOME}/{id}"), "The alert is changed.")),
            Err(error) => problems = Problems::from_core(error, form::FIELDS)?,
        }
    }
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &form_page(&visit, Some(id), draft, problems))
}

async fn switch(State(authority): State<Authority>, visit: Visit, Id(id): Id<AlertId>, form: Form) -> Answer {
    let enabled = form.has("on");
    let patch = AlertPatch { enabled: Some(enabled), ..AlertPatch::default() };
    authority.update_alert(&visit.call, id, patch).await?;
    let note = if enabled { "The alert is on." } else { "The alert is off; nobody is told." };
    Ok(visit.done(&format!("{HOME}/{id}"), note))
}

async fn test(State(authority): State<Authority>, visit: Visit, Id(id): Id<AlertId>) -> Answer {
    let tests = authority.test_alert(&visit.call, id).await?;
    let here = format!("{HOME}/{id}");
    let failed: Vec<String> =
        tests.iter().filter_map(|it| it.error.as_ref().map(|error| format!("{}: {error}", it.kind.as_str()))).collect();
    if tests.is_empty() {
        return Ok(visit.failed(&here, "No channel of this alert is on, so nothing was sent."));
    }
    if failed.is_empty() {
        return Ok(visit.done(&here, "The test message was taken by every channel. See that it arrived."));
    }
    Ok(visit.failed(&here, format!("Not every channel took the test message. {}", failed.join("; "))))
}

async fn delete(State(authority): State<Authority>, visit: Visit, Id(id): Id<AlertId>) -> Answer {
    let alert = authority.delete_alert(&visit.call, id).await?;
    Ok(visit.done(HOME, format!("The alert {} is deleted.", alert.name)))
}

impl ShowPage {
    fn tone(&self, state: &NotificationState) -> &'static str {
        match state {
            NotificationState::Pending => "info",
            NotificationState::Delivered => "good",
            NotificationState::Failed => "bad",
        }
    }

    /// The filters as sentences.
    fn conditions(&self) -> Vec<String> {
        self.alert.filters.iter().map(form::in_words).collect()
    }
}

impl FormPage {
    fn action(&self) -> String {
        self.id.map_or_else(|| HOME.to_owned(), |id| format!("{HOME}/{id}"))
    }
}
