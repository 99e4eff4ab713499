//! App connections: credentials for services elsewhere, by a form that comes from the core's table of apps.

mod form;

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use chancery_authority::external::schema::{self, APPS};
use chancery_authority::external::{ConnectionPatch, NewConnection};
use chancery_authority::{Authority, Error};
use chancery_model::external::AppConnection;
use chancery_model::permission::Permission;
use chancery_model::{ConnectionId, Timestamp};
use http::StatusCode;

use crate::authority::name_taken;
use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Id, Query, Visit};
use form::{ConnectionDraft, FieldView};

const BASE: &str = "/ui/connections";

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{ConnectionManage, ConnectionRead};
    vec![
        Page::get(BASE, ConnectionRead, list),
        Page::get("/ui/connections/new", ConnectionManage, new),
        Page::post("/ui/connections/new", ConnectionManage, create),
        Page::get("/ui/connections/{id}", ConnectionRead, show),
        Page::get("/ui/connections/{id}/edit", ConnectionManage, edit),
        Page::post("/ui/connections/{id}/edit", ConnectionManage, update),
        Page::post("/ui/connections/{id}/test", ConnectionManage, test),
        Page::post("/ui/connections/{id}/delete", ConnectionManage, delete).elevated(),
    ]
}

/// How long a page waits for a service elsewhere; the page itself is given up later.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn href(id: ConnectionId) -> String {
    format!("{BASE}/{id}")
}

#[derive(Template)]
#[template(path = "connection/list.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    href: String,
    name: String,
    app: &'static str,
    method: String,
    users: Vec<String>,
    updated_at: Timestamp,
}

#[derive(Template)]
#[template(path = "connection/form.html")]
struct FormPage {
    frame: Frame,
    connection: Option<AppConnection>,
    apps: Vec<(&'static str, &'static str)>,
    methods: Vec<(&'static str, String)>,
    title: &'static str,
    draft: ConnectionDraft,
    fields: Vec<FieldView>,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "connection/show.html")]
struct ShowPage {
    frame: Frame,
    connection: AppConnection,
    href: String,
    app: &'static str,
    method: String,
    settings: Vec<(String, String)>,
    secrets: Vec<String>,
    /// Name and address of each CA that uses it.
    users: Vec<(String, String)>,
}

async fn list(State(authority): State<Authority>, visit: Visit) -> Answer {
    let project = visit.call.project_id();
    let mut rows = Vec::new();
    for it in authority.reader().connections(project).await? {
        let users = authority.users_of_connection(project, it.id).await?;
        rows.push(Row {
            href: href(it.id),
            app: app_title(&it),
            method: form::words_of(&it.method),
            users: users.into_iter().map(|(_, name)| name).collect(),
            updated_at: it.updated_at,
            name: it.name,
        });
    }
    page(&ListPage { frame: visit.frame("App connections", Section::Connections), rows })
}

fn app_title(connection: &AppConnection) -> &'static str {
    schema::app(connection.app).map_or("", |it| it.title)
}

async fn new(visit: Visit, Query(query): Query) -> Answer {
    let draft = ConnectionDraft::fresh(query.text("app"), query.text("method"), query.text("name"));
    show_form(&visit, None, draft, Problems::default())
}

fn show_form(visit: &Visit, connection: Option<AppConnection>, draft: ConnectionDraft, problems: Problems) -> Answer {
    let title = match &connection {
        Some(it) => format!("Change {}", it.name),
        None => "New app connection".to_owned(),
    };
    let schema = draft.schema();
    let kept = connection.as_ref().filter(|it| it.method == draft.method).is_some();
    page_with(
        if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY },
        &FormPage {
            frame: visit.frame(title, Section::Connections),
            apps: APPS.iter().map(|it| (it.app.as_str(), it.title)).collect(),
            methods: schema.methods.iter().map(|it| (it.name, form::words_of(it.name))).collect(),
            title: schema.title,
            fields: draft.fields(kept, &problems),
            connection,
            draft,
            problems,
        },
    )
}

async fn create(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let draft = ConnectionDraft::read(&form);
    let new = NewConnection {
        name: draft.name.clone(),
        description: draft.description(),
        app: draft.schema().app,
        method: draft.method.clone(),
        fields: draft.given(&form),
        test: draft.tests,
    };
    match in_time(authority.create_connection(&visit.call, new)).await {
        Ok(made) => {
            let how =
                if draft.tests { "the service accepts the credentials" } else { "the credentials were not tried" };
            Ok(visit.done(&href(made.id), format!("{} is stored; {how}", made.name)))
        }
        Err(error) => {
            let problems = draft.told(error)?;
            show_form(&visit, None, draft, problems)
        }
    }
}

async fn show(State(authority): State<Authority>, visit: Visit, Id(id): Id<ConnectionId>) -> Answer {
    let connection = find(&authority, &visit, id).await?;
    let users = authority.users_of_connection(visit.call.project_id(), id).await?;
    let method = schema::app(connection.app).and_then(|it| it.method(&connection.method));
    let secrets = method.iter().flat_map(|it| it.fields).filter(|it| it.is_secret);
    page(&ShowPage {
        frame: visit.frame(connection.name.clone(), Section::Connections),
        href: href(id),
        app: app_title(&connection),
        method: form::words_of(&connection.method),
        settings: connection.settings.iter().map(|(name, value)| (form::label(name), value.clone())).collect(),
        secrets: secrets.map(|it| form::label(it.name)).collect(),
        users: users.into_iter().map(|(id, name)| (name, crate::authority::href(id))).collect(),
        connection,
    })
}

async fn edit(
    State(authority): State<Authority>,
    visit: Visit,
    Id(id): Id<ConnectionId>,
    Query(query): Query,
) -> Answer {
    let connection = find(&authority, &visit, id).await?;
    let draft = ConnectionDraft::of(&connection, query.given("method"));
    show_form(&visit, Some(connection), draft, Problems::default())
}

async fn update(State(authority): State<Authority>, visit: Visit, Id(id): Id<ConnectionId>, form: Form) -> Answer {
    let connection = find(&authority, &visit, id).await?;
    let draft = ConnectionDraft::read(&form);
    if draft.app != connection.app.as_str() {
        return Err(WebError::bad_request("The form is for another app than the connection."));
    }
    let patch = ConnectionPatch {
        name: Some(draft.name.clone()),
        description: draft.description_field(),
        method: (draft.method != connection.method).then(|| draft.method.clone()),
        fields: draft.changes(&form, &connection),
        test: draft.tests,
    };
    match in_time(authority.update_connection(&visit.call, id, patch)).await {
        Ok(_) => Ok(visit.done(&href(id), "The connection is saved")),
        Err(error) => {
            let problems = draft.told(error)?;
            show_form(&visit, Some(connection), draft, problems)
        }
    }
}

async fn test(State(authority): State<Authority>, visit: Visit, Id(id): Id<ConnectionId>) -> Answer {
    match in_time(authority.test_connection(&visit.call, id)).await {
        Ok(()) => Ok(visit.done(&href(id), "The service accepts the credentials")),
        Err(error) => refused(&visit, id, error),
    }
}

async fn delete(State(authority): State<Authority>, visit: Visit, Id(id): Id<ConnectionId>) -> Answer {
    match authority.delete_connection(&visit.call, id).await {
        Ok(gone) => Ok(visit.done(BASE, format!("{} is deleted", gone.name))),
        Err(error) => refused(&visit, id, error),
    }
}

/// Back to the connection's page, which says why not.
fn refused(visit: &Visit, id: ConnectionId, error: Error) -> Answer {
    let problems = Problems::from_core(error, &[("credentials", "")])?;
    Ok(visit.failed(&href(id), problems.whole.join(" ")))
}

/// A service that does not answer is told beside the form, while everything that was typed is still there.
async fn in_time<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
        let text =
            "the service did not answer in time; look whether it can be reached from this server, then try again";
        Err(Error::malformed("app_connection.refused", "credentials", text))
    })
}

async fn find(authority: &Authority, visit: &Visit, id: ConnectionId) -> Result<AppConnection, WebError> {
    let found = authority.reader().connection(visit.call.project_id(), id).await?;
    found.ok_or_else(|| WebError::not_found("This app connection"))
}

impl ConnectionDraft {
    /// What the core said, beside the fields of this form.
    fn told(&self, error: Error) -> Result<Problems, WebError> {
        let named: BTreeMap<String, String> =
            self.schema_fields().map(|it| (format!("credentials.{}", it.name), form::input_name(it.name))).collect();
        let mut rename: Vec<(&str, &str)> = named.iter().map(|(core, here)| (core.as_str(), here.as_str())).collect();
        rename.extend([("name", "name"), ("description", "description"), ("method", "method"), ("credentials", "")]);
        Problems::from_core(name_taken(error), &rename)
    }
}
