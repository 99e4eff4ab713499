//! Alerts of a project and of an application, what they would tell of, and what they have sent.

use axum::Json;
use axum::extract::State;
use chancery_authority::alert::{AlertQuestion, MatchingCertificates};
use chancery_authority::{Authority, Call};
use chancery_model::alert::{Alert, AlertEvent};
use chancery_model::permission::Permission;
use chancery_model::{AlertId, ApplicationId};
use chancery_store::AlertListFilter;
use chancery_wire::alert::{
    AlertAnswer, AlertCertificatesAnswer, AlertSliceQuery, AlertsAnswer, AlertsQuery, CreateAlert, NotificationsAnswer,
    PreviewAlert, TestAlertAnswer, TestWebhook, TestWebhookAnswer, TestedChannel, UpdateAlert,
};

use crate::alert_form;
use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Id, Ids, Query};
use crate::issues::Issues;
use crate::page::{Slice, page};
use crate::project::check_project;
use crate::route::Endpoint;

const BASE: &str = "/api/v1/cert-manager/alerts";
const OF_APPLICATION: &str = "/api/v1/cert-manager/applications/{applicationId}/alerts";

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut made = of_project();
    made.extend(of_application());
    made
}

fn of_project() -> Vec<Endpoint> {
    use Permission::{AlertManage, AlertRead};
    let one = format!("{BASE}/{{alertId}}");
    vec![
        Endpoint::post(BASE, AlertManage, create)
            .named("createAlert", "Make an alert")
            .takes::<CreateAlert>()
            .answers::<AlertAnswer>(),
        Endpoint::get(BASE, AlertRead, list)
            .named("listAlerts", "List alerts")
            .asks::<AlertsQuery>()
            .answers::<AlertsAnswer>(),
        Endpoint::post(format!("{BASE}/preview/certificates"), AlertRead, preview)
            .named("previewAlertCertificates", "Which certificates would an alert be about?")
            .reads_only()
            .takes::<PreviewAlert>()
            .answers::<AlertCertificatesAnswer>(),
        Endpoint::post(format!("{BASE}/test-webhook"), AlertManage, test_webhook)
            .named("testAlertWebhook", "Send a test event to a webhook")
            .takes::<TestWebhook>()
            .answers::<TestWebhookAnswer>(),
        Endpoint::get(&one, AlertRead, read).named("readAlert", "Read an alert").answers::<AlertAnswer>(),
        Endpoint::patch(&one, AlertManage, update)
            .named("updateAlert", "Change an alert; given channels replace all")
            .takes::<UpdateAlert>()
            .answers::<AlertAnswer>(),
        Endpoint::delete(&one, AlertManage, delete)
            .named("deleteAlert", "Delete an alert and what it has not sent yet")
            .answers::<AlertAnswer>(),
        Endpoint::get(format!("{one}/certificates"), AlertRead, certificates)
            .named("listAlertCertificates", "Which certificates an alert is about now")
            .asks::<AlertSliceQuery>()
            .answers::<AlertCertificatesAnswer>(),
        Endpoint::get(format!("{one}/notifications"), AlertRead, notifications)
            .named("listAlertNotifications", "What an alert has sent, newest first")
            .asks::<AlertSliceQuery>()
            .answers::<NotificationsAnswer>(),
        Endpoint::post(format!("{one}/test"), AlertManage, test)
            .named("testAlert", "Send a test message by every channel of an alert")
            .answers::<TestAlertAnswer>(),
    ]
}

fn of_application() -> Vec<Endpoint> {
    use Permission::{AlertManage, AlertRead};
    let one = format!("{OF_APPLICATION}/{{alertId}}");
    vec![
        Endpoint::post(OF_APPLICATION, AlertManage, create_in)
            .named("createApplicationAlert", "Make an alert about an application's certificates")
            .takes::<CreateAlert>()
            .answers::<AlertAnswer>(),
        Endpoint::get(OF_APPLICATION, AlertRead, list_in)
            .named("listApplicationAlerts", "List the alerts of an application")
            .asks::<AlertsQuery>()
            .answers::<AlertsAnswer>(),
        Endpoint::patch(&one, AlertManage, update_in)
            .named("updateApplicationAlert", "Change an alert of an application")
            .takes::<UpdateAlert>()
            .answers::<AlertAnswer>(),
        Endpoint::delete(&one, AlertManage, delete_in)
            .named("deleteApplicationAlert", "Delete an alert of an application")
            .answers::<AlertAnswer>(),
    ]
}

async fn create(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<CreateAlert>,
) -> Answer<AlertAnswer> {
    made(&authority, &call, body, None).await
}

async fn create_in(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(application): Id<ApplicationId>,
    Body(body): Body<CreateAlert>,
) -> Answer<AlertAnswer> {
    authority.application_of(&call, application).await?;
    made(&authority, &call, body, Some(application)).await
}

async fn made(
    authority: &Authority,
    call: &Call,
    body: CreateAlert,
    application: Option<ApplicationId>,
) -> Answer<AlertAnswer> {
    check_project(call, body.project_id.as_deref())?;
    let new = alert_form::new_alert(body, application)?;
    Ok(answer(&authority.create_alert(call, new).await?))
}

async fn list(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Query(query): Query<AlertsQuery>,
) -> Answer<AlertsAnswer> {
    listed(&authority, &call, query, None).await
}

async fn list_in(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(application): Id<ApplicationId>,
    Query(query): Query<AlertsQuery>,
) -> Answer<AlertsAnswer> {
    authority.application_of(&call, application).await?;
    listed(&authority, &call, query, Some(application)).await
}

async fn listed(
    authority: &Authority,
    call: &Call,
    query: AlertsQuery,
    application: Option<ApplicationId>,
) -> Answer<AlertsAnswer> {
    check_project(call, query.project_id.as_deref())?;
    let page = page(&Slice { offset: query.offset, limit: query.limit, cursor: query.cursor.as_deref() }, 20, 100)?;
    let filter = AlertListFilter { application, ..list_filter(query)? };
    let found = authority.list_alerts(call, &filter, &page).await?;
    Ok(Json(AlertsAnswer {
        alerts: found.items.iter().map(alert_form::shown).collect(),
        total: found.total.count,
        next_cursor: found.next_cursor,
    }))
}

fn list_filter(query: AlertsQuery) -> Result<AlertListFilter, ApiError> {
    let mut issues = Issues::default();
    let search = query.search.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
    issues.length("search", search.as_deref().unwrap_or_default(), 0..=255);
    let event = match query.event_type.as_deref() {
        None | Some("") => None,
        Some(word) => {
            let event = AlertEvent::from_name(word);
            if event.is_none() {
                issues.add_as("eventType", "invalid_enum_value", "is not one of the known values");
            }
            event
        }
    };
    let enabled = match query.enabled.as_deref() {
        None | Some("") => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => {
            issues.add_as("enabled", "invalid_type", "must be true or false");
            None
        }
    };
    issues.finish()?;
    Ok(AlertListFilter { search, event, enabled, application: None })
}

async fn read(State(authority): State<Authority>, Caller(call): Caller, Id(id): Id<AlertId>) -> Answer<AlertAnswer> {
    Ok(answer(&authority.read_alert(&call, id).await?))
}

async fn update(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<AlertId>,
    Body(body): Body<UpdateAlert>,
) -> Answer<AlertAnswer> {
    Ok(answer(&authority.update_alert(&call, id, alert_form::patch(body)?).await?))
}

async fn update_in(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(application, id): Ids<ApplicationId, AlertId>,
    Body(body): Body<UpdateAlert>,
) -> Answer<AlertAnswer> {
    belongs(&authority, &call, application, id).await?;
    Ok(answer(&authority.update_alert(&call, id, alert_form::patch(body)?).await?))
}

async fn delete(State(authority): State<Authority>, Caller(call): Caller, Id(id): Id<AlertId>) -> Answer<AlertAnswer> {
    Ok(answer(&authority.delete_alert(&call, id).await?))
}

async fn delete_in(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(application, id): Ids<ApplicationId, AlertId>,
) -> Answer<AlertAnswer> {
    belongs(&authority, &call, application, id).await?;
    Ok(answer(&authority.delete_alert(&call, id).await?))
}

/// Another application's alert is not there.
async fn belongs(authority: &Authority, call: &Call, application: ApplicationId, id: AlertId) -> Result<(), ApiError> {
    let alert = authority.reader().alert(call.project_id(), id).await?;
    match alert.filter(|it| it.application_id == Some(application)) {
        Some(_) => Ok(()),
        None => Err(ApiError::not_found("Alert", id)),
    }
}

async fn preview(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<PreviewAlert>,
) -> Answer<AlertCertificatesAnswer> {
    check_project(&call, body.project_id.as_deref())?;
    let slice = slice(body.offset, body.limit)?;
    let mut issues = Issues::default();
    let question = AlertQuestion {
        application_id: body.application_id.map(ApplicationId::from_uuid),
        event: body.event_type.map_or(AlertEvent::Expiration, alert_form::event),
        before: alert_form::before(body.alert_before.as_deref(), &mut issues),
        filters: alert_form::filters(body.filters.unwrap_or_default(), &mut issues),
    };
    issues.finish()?;
    Ok(found(authority.preview_alert(&call, question, slice).await?))
}

async fn certificates(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<AlertId>,
    Query(query): Query<AlertSliceQuery>,
) -> Answer<AlertCertificatesAnswer> {
    let slice = slice(query.offset, query.limit)?;
    Ok(found(authority.certificates_of_alert(&call, id, slice).await?))
}

fn slice(offset: Option<i64>, limit: Option<i64>) -> Result<(usize, usize), ApiError> {
    let page = page(&Slice { offset, limit, cursor: None }, 20, 100)?;
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Ok((size(page.offset), size(page.limit)))
}

fn found(matching: MatchingCertificates) -> Json<AlertCertificatesAnswer> {
    Json(AlertCertificatesAnswer {
        certificates: matching.certificates.iter().map(alert_form::certificate).collect(),
        total: matching.total,
        total_exact: matching.exact,
    })
}

async fn notifications(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<AlertId>,
    Query(query): Query<AlertSliceQuery>,
) -> Answer<NotificationsAnswer> {
    let page = page(&Slice { offset: query.offset, limit: query.limit, cursor: query.cursor.as_deref() }, 20, 100)?;
    let found = authority.notifications_of_alert(&call, id, &page).await?;
    Ok(Json(NotificationsAnswer {
        notifications: found.items.iter().map(alert_form::notification).collect(),
        total: found.total.count,
        next_cursor: found.next_cursor,
    }))
}

async fn test(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<AlertId>,
) -> Answer<TestAlertAnswer> {
    let tested = authority.test_alert(&call, id).await?;
    let channels = tested.into_iter().map(|it| TestedChannel {
        id: it.channel_id.as_uuid(),
        channel_type: alert_form::channel_type(it.kind),
        success: it.error.is_none(),
        error: it.error,
    });
    Ok(Json(TestAlertAnswer { channels: channels.collect() }))
}

async fn test_webhook(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<TestWebhook>,
) -> Answer<TestWebhookAnswer> {
    check_project(&call, body.project_id.as_deref())?;
    let mut issues = Issues::default();
    alert_form::https_url("url", &body.url, &mut issues);
    if let Some(secret) = &body.signing_secret {
        issues.length("signingSecret", secret, 1..=alert_form::SECRET_MAX);
    }
    issues.finish()?;
    let sent = authority.test_webhook(&call, &body.url, body.signing_secret).await?;
    Ok(Json(TestWebhookAnswer { success: sent.is_ok(), error: sent.err().map(|it| it.text) }))
}

fn answer(alert: &Alert) -> Json<AlertAnswer> {
    Json(AlertAnswer { alert: alert_form::shown(alert) })
}
