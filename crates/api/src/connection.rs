//! App connections: credentials for services elsewhere. Secrets go in and never come out.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chancery_authority::external::schema::{APPS, FieldForm, FieldSchema, MethodSchema};
use chancery_authority::external::{ConnectionPatch, NewConnection};
use chancery_authority::issuance::Zeroizing;
use chancery_authority::{Authority, Call};
use chancery_model::ConnectionId;
use chancery_model::external::{AppConnection, ConnectionApp};
use chancery_model::permission::Permission;
use chancery_wire as wire;
use chancery_wire::connection::{
    ConnectionAnswer, ConnectionField, ConnectionMethod, ConnectionOption, ConnectionOptionsAnswer, ConnectionsAnswer,
    CreateConnection, TestConnectionAnswer, UpdateConnection,
};
use chancery_wire::page::ProjectQuery;

use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, PathText, PathTexts, Query, TextAndId};
use crate::issues::Issues;
use crate::nullable::field;
use crate::project::check_project;
use crate::route::Endpoint;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{ConnectionManage, ConnectionRead};
    let base = "/api/v1/app-connections";
    let app = format!("{base}/{{app}}");
    let one = format!("{app}/{{id}}");
    vec![
        Endpoint::get(base, ConnectionRead, list_all)
            .named("listAppConnections", "List app connections of all apps")
            .asks::<ProjectQuery>()
            .answers::<ConnectionsAnswer>(),
        Endpoint::get(format!("{base}/options"), ConnectionRead, options)
            .named("listAppConnectionOptions", "The apps that connections can be made to, and what each needs")
            .answers::<ConnectionOptionsAnswer>(),
        Endpoint::get(&app, ConnectionRead, list)
            .named("listAppConnectionsOfApp", "List the connections to one app")
            .asks::<ProjectQuery>()
            .answers::<ConnectionsAnswer>(),
        Endpoint::post(&app, ConnectionManage, create)
            .named("createAppConnection", "Keep credentials for an app; they are tried there first")
            .takes::<CreateConnection>()
            .answers::<ConnectionAnswer>(),
        Endpoint::get(format!("{app}/connection-name/{{name}}"), ConnectionRead, read_by_name)
            .named("readAppConnectionByName", "Read an app connection by its name")
            .answers::<ConnectionAnswer>(),
        Endpoint::get(&one, ConnectionRead, read)
            .named("readAppConnection", "Read an app connection, without its secrets")
            .answers::<ConnectionAnswer>(),
        Endpoint::patch(&one, ConnectionManage, update)
            .named("updateAppConnection", "Change an app connection; changed credentials are tried first")
            .takes::<UpdateConnection>()
            .answers::<ConnectionAnswer>(),
        Endpoint::delete(&one, ConnectionManage, delete)
            .named("deleteAppConnection", "Delete an app connection that no CA uses")
            .answers::<ConnectionAnswer>(),
        Endpoint::post(format!("{one}/test"), ConnectionManage, test)
            .named("testAppConnection", "Try the kept credentials at their service")
            .answers::<TestConnectionAnswer>(),
    ]
}

async fn list_all(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Query(query): Query<ProjectQuery>,
) -> Answer<ConnectionsAnswer> {
    check_project(&call, query.project_id.as_deref())?;
    let all = authority.reader().connections(call.project_id()).await?;
    Ok(Json(ConnectionsAnswer { app_connections: all.iter().map(shown).collect() }))
}

async fn list(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(word): PathText,
    Query(query): Query<ProjectQuery>,
) -> Answer<ConnectionsAnswer> {
    let app = app(&word)?;
    check_project(&call, query.project_id.as_deref())?;
    let all = authority.reader().connections(call.project_id()).await?;
    Ok(Json(ConnectionsAnswer { app_connections: all.iter().filter(|it| it.app == app).map(shown).collect() }))
}

async fn options() -> Json<ConnectionOptionsAnswer> {
    let options = APPS.iter().map(|schema| ConnectionOption {
        app: schema.app.as_str().to_owned(),
        name: schema.title.to_owned(),
        methods: schema.methods.iter().map(|it| it.name.to_owned()).collect(),
        method_fields: schema.methods.iter().map(method).collect(),
    });
    Json(ConnectionOptionsAnswer { app_connection_options: options.collect() })
}

async fn create(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(word): PathText,
    Body(body): Body<CreateConnection>,
) -> Answer<ConnectionAnswer> {
    let app = app(&word)?;
    check_project(&call, body.project_id.as_deref())?;
    let mut issues = Issues::default();
    issues.slug("name", &body.name, 64);
    issues.finish()?;
    let new = NewConnection {
        name: body.name,
        description: body.description,
        app,
        method: body.method,
        fields: body.credentials.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect(),
        test: body.test.unwrap_or(true),
    };
    answer(&authority.create_connection(&call, new).await?)
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    TextAndId(word, id): TextAndId<ConnectionId>,
) -> Answer<ConnectionAnswer> {
    answer(&find(&authority, &call, &word, id).await?)
}

async fn read_by_name(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathTexts(word, name): PathTexts,
) -> Answer<ConnectionAnswer> {
    let app = app(&word)?;
    let found = authority.reader().connection_by_name(call.project_id(), &name).await?;
    let found = found.filter(|it| it.app == app).ok_or_else(|| ApiError::not_found("App connection", short(&name)))?;
    answer(&found)
}

async fn update(
    State(authority): State<Authority>,
    Caller(call): Caller,
    TextAndId(word, id): TextAndId<ConnectionId>,
    Body(body): Body<UpdateConnection>,
) -> Answer<ConnectionAnswer> {
    find(&authority, &call, &word, id).await?;
    let mut issues = Issues::default();
    if let Some(name) = &body.name {
        issues.slug("name", name, 64);
    }
    issues.finish()?;
    let fields = |given: BTreeMap<String, Option<String>>| {
        given.into_iter().map(|(name, value)| (name, Zeroizing::new(value.unwrap_or_default()))).collect()
    };
    let patch = ConnectionPatch {
        name: body.name,
        description: field(body.description),
        method: body.method,
        fields: body.credentials.map(fields),
        test: body.test.unwrap_or(true),
    };
    answer(&authority.update_connection(&call, id, patch).await?)
}

async fn delete(
    State(authority): State<Authority>,
    Caller(call): Caller,
    TextAndId(word, id): TextAndId<ConnectionId>,
) -> Answer<ConnectionAnswer> {
    find(&authority, &call, &word, id).await?;
    answer(&authority.delete_connection(&call, id).await?)
}

async fn test(
    State(authority): State<Authority>,
    Caller(call): Caller,
    TextAndId(word, id): TextAndId<ConnectionId>,
) -> Answer<TestConnectionAnswer> {
    let connection = find(&authority, &call, &word, id).await?;
    authority.test_connection(&call, id).await?;
    let message = format!("The service accepts the credentials of '{}'", connection.name);
    Ok(Json(TestConnectionAnswer { message, app_connection: shown(&connection) }))
}

fn app(word: &str) -> Result<ConnectionApp, ApiError> {
    ConnectionApp::from_name(word).ok_or_else(|| {
        let all: Vec<&str> = ConnectionApp::ALL.iter().map(|it| it.as_str()).collect();
        let message = format!("There is no app \"{}\"; the apps that exist are: {}", short(word), all.join(", "));
        ApiError::bad_request("app_connection.app", message)
    })
}

fn short(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(64).collect()
}

/// An id of another app is as unknown as one of nobody.
async fn find(authority: &Authority, call: &Call, word: &str, id: ConnectionId) -> Result<AppConnection, ApiError> {
    let app = app(word)?;
    let found = authority.reader().connection(call.project_id(), id).await?;
    found.filter(|it| it.app == app).ok_or_else(|| ApiError::not_found("App connection", id))
}

fn answer(connection: &AppConnection) -> Answer<ConnectionAnswer> {
    Ok(Json(ConnectionAnswer { app_connection: shown(connection) }))
}

fn shown(from: &AppConnection) -> wire::connection::AppConnection {
    wire::connection::AppConnection {
        id: from.id.as_uuid(),
        project_id: from.project_id.as_uuid(),
        name: from.name.clone(),
        description: from.description.clone(),
        app: from.app.as_str().to_owned(),
        method: from.method.clone(),
        credentials: from.settings.clone(),
        created_at: from.created_at.to_string(),
        updated_at: from.updated_at.to_string(),
    }
}

fn method(from: &MethodSchema) -> ConnectionMethod {
    ConnectionMethod { method: from.name.to_owned(), fields: from.fields.iter().map(shown_field).collect() }
}

fn shown_field(from: &FieldSchema) -> ConnectionField {
    let (form, options): (&str, &[&str]) = match from.form {
        FieldForm::Text => ("text", &[]),
        FieldForm::Url => ("url", &[]),
        FieldForm::Base64 => ("base64", &[]),
        FieldForm::Pem => ("pem", &[]),
        FieldForm::Json => ("json", &[]),
        FieldForm::OneOf(words) => ("enum", words),
    };
    ConnectionField {
        name: from.name.to_owned(),
        required: from.is_required,
        secret: from.is_secret,
        description: from.description.to_owned(),
        form: form.to_owned(),
        options: options.iter().map(|it| (*it).to_owned()).collect(),
    }
}
