//! App connections: credentials for services elsewhere. Sealed when they are stored, never shown again, tried when they are
//! saved, and used by reference.

use std::collections::BTreeMap;

use base64::Engine;
use chancery_keys::Place;
use chancery_model::audit::AuditEvent;
use chancery_model::external::{AppConnection, ConnectionApp};
use chancery_model::permission::Permission;
use chancery_model::{CaId, ConnectionId, ProjectId};
use chancery_store::{Change, Conflict, ExternalChange, StoreError, Write};
use serde_json::json;
use zeroize::Zeroizing;

use super::schema::{self, FieldForm, FieldSchema, MethodSchema};
use super::upstream::OpenedConnection;
use crate::Authority;
use crate::call::Call;
use crate::enrollment::Field;
use crate::error::Error;
use crate::hierarchy::check_name;

pub struct NewConnection {
    /// 1 to 64 lower-case letters, digits and hyphens; unique in the project.
    pub name: String,
    pub description: Option<String>,
    pub app: ConnectionApp,
    pub method: String,
    /// By name; see [`schema::APPS`].
    pub fields: BTreeMap<String, Zeroizing<String>>,
    /// Whether the credentials are tried at the service before they are stored.
    pub test: bool,
}

pub struct ConnectionPatch {
    pub name: Option<String>,
    pub description: Field<String>,
    pub method: Option<String>,
    /// Those given replace the stored ones; an empty one is taken away. Secrets that are left out stay, unless the method
    /// changes or the credentials would go to another server.
    pub fields: Option<BTreeMap<String, Zeroizing<String>>>,
    pub test: bool,
}

const DESCRIPTION_MAX: usize = 1_000;
/// Characters of one field.
const FIELD_MAX: usize = 32 * 1_024;

/// Settings that say where credentials are sent.
const DESTINATIONS: &[&str] = &["endpoint", "loginEndpoint", "instanceUrl", "url", "server", "hook", "caCertificate"];

impl Authority {
    pub async fn create_connection(&self, call: &Call, new: NewConnection) -> Result<AppConnection, Error> {
        call.requester.require(Permission::ConnectionManage)?;
        check_form(&new.name, new.description.as_deref())?;
        let opened = OpenedConnection { app: new.app, method: new.method, fields: new.fields };
        let now = self.now();
        let mut connection = AppConnection {
            id: ConnectionId::generate(now, self.random()),
            project_id: call.project_id(),
            name: new.name,
            description: new.description,
            app: opened.app,
            method: opened.method.clone(),
            settings: BTreeMap::new(),
            sealed: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        self.seal_connection(&mut connection, &opened).await?;
        if new.test {
            self.try_connection(&opened).await?;
        }
        let details = json!({ "after": shown(&connection), "tested": new.test });
        let audit =
            call.audit(now, AuditEvent::ConnectionCreated, Some(("app-connection", connection.id.as_uuid())), details);
        let change = ExternalChange::InsertConnection(Box::new(connection.clone()));
        self.commit(Write::default().with(Change::External(change)).audited(audit))
            .await
            .map_err(|error| name_taken(error, &connection.name))?;
        Ok(connection)
    }

    pub async fn update_connection(
        &self,
        call: &Call,
        id: ConnectionId,
        patch: ConnectionPatch,
    ) -> Result<AppConnection, Error> {
        call.requester.require(Permission::ConnectionManage)?;
        let before = self.connection_of(call.project_id(), id).await?;
        let mut after = before.clone();
        if let Some(name) = patch.name {
            after.name = name;
        }
        match patch.description {
            Field::Missing => {}
            Field::Null => after.description = None,
            Field::Value(text) => after.description = Some(text),
        }
        check_form(&after.name, after.description.as_deref())?;
        let changes_credentials = patch.method.is_some() || patch.fields.is_some();
        if changes_credentials {
            let mut opened = self.open_connection(&before).await?;
            let given = patch.fields.unwrap_or_default();
            if let Some(method) = patch.method.filter(|it| *it != opened.method) {
                opened = OpenedConnection { app: opened.app, method, fields: BTreeMap::new() };
            }
            check_destination(&opened, &given)?;
            opened.fields.extend(given);
            opened.fields.retain(|_, value| !value.is_empty());
            after.method.clone_from(&opened.method);
            self.seal_connection(&mut after, &opened).await?;
            if patch.test {
                self.try_connection(&opened).await?;
            }
        }
        after.updated_at = self.now();
        let details = json!({
            "before": shown(&before), "after": shown(&after), "credentialsChanged": changes_credentials,
            "tested": changes_credentials && patch.test,
        });
        let object = Some(("app-connection", id.as_uuid()));
        let audit = call.audit(after.updated_at, AuditEvent::ConnectionUpdated, object, details);
        let change = ExternalChange::UpdateConnection(Box::new(after.clone()));
        self.commit(Write::default().with(Change::External(change)).audited(audit))
            .await
            .map_err(|error| name_taken(error, &after.name))?;
        Ok(after)
    }

    /// Removes a connection that no certification authority uses.
    pub async fn delete_connection(&self, call: &Call, id: ConnectionId) -> Result<AppConnection, Error> {
        call.requester.require(Permission::ConnectionManage)?;
        let connection = self.connection_of(call.project_id(), id).await?;
        let users = self.users_of_connection(call.project_id(), id).await?;
        let users: Vec<String> = users.into_iter().map(|(_, name)| name).collect();
        if !users.is_empty() {
            return Err(Error::conflict(
                "app_connection.in_use",
                format!(
                    "The app connection '{}' is used by the certification authorities {}; give them another one first",
                    connection.name,
                    users.join(", ")
                ),
            ));
        }
        let details = json!({ "before": shown(&connection) });
        let audit =
            call.audit(self.now(), AuditEvent::ConnectionDeleted, Some(("app-connection", id.as_uuid())), details);
        self.commit(Write::default().with(Change::External(ExternalChange::DeleteConnection(id))).audited(audit))
            .await?;
        Ok(connection)
    }

    /// Tries the stored credentials at their service.
    pub async fn test_connection(&self, call: &Call, id: ConnectionId) -> Result<(), Error> {
        call.requester.require(Permission::ConnectionManage)?;
        let connection = self.connection_of(call.project_id(), id).await?;
        let opened = self.open_connection(&connection).await?;
        let tried = self.try_connection(&opened).await;
        let details = json!({ "works": tried.is_ok(), "message": tried.as_ref().err().map(Error::public_message) });
        let audit =
            call.audit(self.now(), AuditEvent::ConnectionTested, Some(("app-connection", id.as_uuid())), details);
        self.commit(Write::default().audited(audit)).await?;
        tried
    }

    pub(crate) async fn connection_of(&self, project: ProjectId, id: ConnectionId) -> Result<AppConnection, Error> {
        self.reader().connection(project, id).await?.ok_or_else(|| Error::not_found("App connection", id))
    }

    pub(crate) async fn open_connection(&self, connection: &AppConnection) -> Result<OpenedConnection, Error> {
        self.ensure_project_key(connection.project_id).await?;
        let json = self
            .sealer()
            .unseal(&place(connection.project_id, connection.id), &connection.sealed)
            .map_err(Error::internal)?;
        let mut fields = super::secrets_from_json(&json)?;
        fields.extend(connection.settings.iter().map(|(name, value)| (name.clone(), Zeroizing::new(value.clone()))));
        Ok(OpenedConnection { app: connection.app, method: connection.method.clone(), fields })
    }

    async fn try_connection(&self, opened: &OpenedConnection) -> Result<(), Error> {
        self.upstream().check_connection(opened).await.map_err(|error| {
            tracing::warn!(app = opened.app.as_str(), %error, detail = error.detail, "An app connection did not work.");
            Error::malformed("app_connection.refused", "credentials", error.text)
        })
    }

    /// Checks the fields against the app's schema and puts them into the connection: what may be shown, and the rest sealed.
    async fn seal_connection(&self, connection: &mut AppConnection, opened: &OpenedConnection) -> Result<(), Error> {
        let method = method_of(opened)?;
        check_fields(method, &opened.fields)?;
        connection.settings.clear();
        let mut secrets = BTreeMap::new();
        for (name, value) in opened.fields.iter().filter(|(_, value)| !value.is_empty()) {
            let is_secret = method.fields.iter().any(|field| field.name == name && field.is_secret);
            if is_secret {
                secrets.insert(name.clone(), value.clone());
            } else {
                connection.settings.insert(name.clone(), value.to_string());
            }
        }
        self.ensure_project_key(connection.project_id).await?;
        let json = super::secrets_to_json(&secrets)?;
        let place = place(connection.project_id, connection.id);
        connection.sealed = self.sealer().seal(&place, &json, self.random()).map_err(Error::internal)?;
        Ok(())
    }

    /// The CAs that a connection serves, external ones first.
    pub async fn users_of_connection(
        &self,
        project: ProjectId,
        id: ConnectionId,
    ) -> Result<Vec<(CaId, String)>, Error> {
        let external = self.reader().external_cas(project).await?;
        let external = external.into_iter().filter(|ca| ca.configuration.connections().contains(&id));
        let mut users: Vec<(CaId, String)> = external.map(|ca| (ca.id, ca.name)).collect();
        let internal = self.reader().cas(project).await?;
        let signed = internal.into_iter().filter(|ca| {
            ca.configuration
                .signing
                .as_ref()
                .and_then(|it| it.outside.as_ref())
                .is_some_and(|it| it.connection_id == id)
        });
        users.extend(signed.map(|ca| (ca.id, ca.name)));
        Ok(users)
    }
}

const fn place(project: ProjectId, id: ConnectionId) -> Place {
    Place { project, table: "app_connection", column: "sealed", record: id.as_uuid() }
}

fn method_of(opened: &OpenedConnection) -> Result<&'static MethodSchema, Error> {
    let Some(schema) = schema::app(opened.app) else {
        return Err(Error::internal(format!("app {} has no schema", opened.app.as_str())));
    };
    schema.method(&opened.method).ok_or_else(|| {
        let known: Vec<&str> = schema.methods.iter().map(|it| it.name).collect();
        Error::malformed(
            "app_connection.method",
            "method",
            format!("{} has no method '{}'; use {}", schema.title, short(&opened.method), known.join(", ")),
        )
    })
}

fn check_form(name: &str, description: Option<&str>) -> Result<(), Error> {
    check_name(name)?;
    if description.is_some_and(|text| text.chars().count() > DESCRIPTION_MAX) {
        let message = format!("a description has at most {DESCRIPTION_MAX} characters");
        return Err(Error::malformed("app_connection.description", "description", message));
    }
    Ok(())
}

/// Secrets must not follow a destination that somebody changes without knowing them: who may edit connections but has never
/// seen the secrets could otherwise have them sent to a server of their own.
fn check_destination(opened: &OpenedConnection, given: &BTreeMap<String, Zeroizing<String>>) -> Result<(), Error> {
    let moved = given.iter().find(|(name, value)| {
        DESTINATIONS.contains(&name.as_str()) && opened.field(name).unwrap_or_default() != value.as_str()
    });
    let Some((moved, _)) = moved else { return Ok(()) };
    let secrets = method_of(opened)?.fields.iter().filter(|field| field.is_secret);
    let kept: Vec<&str> = secrets
        .map(|field| field.name)
        .filter(|name| opened.field(name).is_some() && !given.contains_key(*name))
        .collect();
    if kept.is_empty() {
        return Ok(());
    }
    Err(Error::malformed(
        "app_connection.destination",
        format!("credentials.{moved}"),
        format!("a new {moved} needs the secrets again: send {} too", kept.join(", ")),
    ))
}

fn check_fields(method: &MethodSchema, fields: &BTreeMap<String, Zeroizing<String>>) -> Result<(), Error> {
    if let Some(unknown) = fields.keys().find(|name| !method.fields.iter().any(|field| field.name == name.as_str())) {
        let known: Vec<&str> = method.fields.iter().map(|it| it.name).collect();
        return Err(Error::malformed(
            "app_connection.field",
            format!("credentials.{}", short(unknown)),
            format!("the method '{}' has no such field; its fields are {}", method.name, known.join(", ")),
        ));
    }
    for field in method.fields {
        let at = format!("credentials.{}", field.name);
        match fields.get(field.name).map(|it| it.trim()).filter(|it| !it.is_empty()) {
            None if field.is_required => {
                return Err(Error::malformed("app_connection.field", at, format!("is missing. {}", field.description)));
            }
            None => {}
            Some(value) if value.len() > FIELD_MAX => {
                let message = format!("has more than {FIELD_MAX} characters");
                return Err(Error::malformed("app_connection.field", at, message));
            }
            Some(value) => {
                if let Some(fault) = fault_of(field, value) {
                    return Err(Error::malformed("app_connection.field", at, fault));
                }
            }
        }
    }
    Ok(())
}

fn fault_of(field: &FieldSchema, value: &str) -> Option<String> {
    let multi_line = matches!(field.form, FieldForm::Pem | FieldForm::Json);
    if !multi_line && value.chars().any(char::is_control) {
        return Some("must be one line without control characters".to_owned());
    }
    match field.form {
        FieldForm::Text => None,
        FieldForm::Url => (!super::is_https_url(value)).then(|| "must be a URL that begins with https://".to_owned()),
        FieldForm::Base64 => {
            let bare = value.trim_end_matches('=');
            base64::engine::general_purpose::STANDARD_NO_PAD
                .decode(bare)
                .is_err()
                .then(|| "must be base64, as key tools print it".to_owned())
        }
        FieldForm::Pem => (!value.contains("-----BEGIN ")).then(|| "must be PEM".to_owned()),
        FieldForm::Json => serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value)
            .is_err()
            .then(|| "must be a JSON object".to_owned()),
        FieldForm::OneOf(words) => (!words.contains(&value)).then(|| format!("must be one of {}", words.join(", "))),
    }
}

fn name_taken(error: Error, name: &str) -> Error {
    match error {
        Error::Store(StoreError::Conflict(Conflict::Name)) => Error::conflict(
            "app_connection.name_taken",
            format!("An app connection with the name '{name}' exists already; choose another"),
        ),
        other => other,
    }
}

/// What the audit log keeps of a connection: no secret is among its settings.
fn shown(connection: &AppConnection) -> serde_json::Value {
    json!({
        "name": connection.name, "description": connection.description, "app": connection.app,
        "method": connection.method, "settings": connection.settings,
    })
}

fn short(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(app: ConnectionApp, method: &str, fields: &[(&str, &str)]) -> OpenedConnection {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())));
        OpenedConnection { app, method: method.to_owned(), fields: fields.collect() }
    }

    #[test]
    fn fields_are_held_against_the_schema() {
        let tsig = [("server", "ns1.acme.com"), ("keyName", "k."), ("secret", "c2VjcmV0")];
        for (app, method, fields, expected) in [
            (ConnectionApp::Rfc2136, "tsig", &tsig[..], None),
            (ConnectionApp::Rfc2136, "tsig", &tsig[..2], Some("credentials.secret")),
            (ConnectionApp::Rfc2136, "tsig", &[tsig[0], tsig[1], ("secret", "no base64!")], Some("credentials.secret")),
            (ConnectionApp::Rfc2136, "tsig", &[tsig[0], tsig[1], tsig[2], ("x", "y")], Some("credentials.x")),
            (
                ConnectionApp::Rfc2136,
                "tsig",
                &[tsig[0], tsig[1], tsig[2], ("algorithm", "hmac-md5")],
                Some("credentials.algorithm"),
            ),
            (ConnectionApp::Cloudflare, "api-token", &[("apiToken", "t")], None),
            (
                ConnectionApp::Cloudflare,
                "api-token",
                &[("apiToken", "t"), ("endpoint", "http://api.test")],
                Some("credentials.endpoint"),
            ),
            (ConnectionApp::Cloudflare, "api-token", &[("apiToken", "t\r\nX: y")], Some("credentials.apiToken")),
            (
                ConnectionApp::Gcp,
                "service-account-key",
                &[("serviceAccountKey", "[1]")],
                Some("credentials.serviceAccountKey"),
            ),
        ] {
            let connection = opened(app, method, fields);
            let verdict = check_fields(method_of(&connection).unwrap(), &connection.fields);
            let field = match &verdict {
                Err(Error::Malformed { field, .. }) => Some(field.as_str()),
                _ => None,
            };
            assert_eq!(field, expected, "{fields:?}");
        }
        assert!(method_of(&opened(ConnectionApp::Aws, "assume-role", &[])).is_err());
    }

    #[test]
    fn secrets_do_not_follow_a_destination_that_is_changed_without_them() {
        let stored = opened(
            ConnectionApp::Vault,
            "access-token",
            &[("instanceUrl", "https://vault.acme.com"), ("accessToken", "t")],
        );
        for (given, refused) in [
            (&[("instanceUrl", "https://evil.test")][..], true),
            (&[("caCertificate", "-----BEGIN CERTIFICATE-----")], true),
            (&[("instanceUrl", "https://vault.acme.com")], false),
            (&[("instanceUrl", "https://new.acme.com"), ("accessToken", "u")], false),
            (&[("namespace", "team")], false),
        ] {
            let given = opened(ConnectionApp::Vault, "", given).fields;
            assert_eq!(check_destination(&stored, &given).is_err(), refused, "{:?}", given.keys());
        }
    }
}
