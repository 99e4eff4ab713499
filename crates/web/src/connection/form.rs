//! The form of an app connection: its fields are the core's table of what each app needs.

use std::collections::BTreeMap;

use chancery_authority::enrollment::Field;
use chancery_authority::external::schema::{self, AppSchema, FieldForm, FieldSchema};
use chancery_authority::issuance::Zeroizing;
use chancery_model::external::{AppConnection, ConnectionApp};

use crate::form::{Form, Problems};

/// What the form shows. Secrets are not among it: they are typed, and never shown again.
#[derive(Clone, Debug)]
pub(super) struct ConnectionDraft {
    pub app: String,
    pub method: String,
    pub name: String,
    pub description: String,
    /// By the schema's names, secrets left out.
    values: BTreeMap<String, String>,
    pub tests: bool,
}

/// One field as the page shows it.
#[derive(Debug)]
pub(super) struct FieldView {
    pub name: String,
    pub label: String,
    pub hint: String,
    pub value: String,
    pub problem: String,
    pub is_required: bool,
    pub kind: &'static str,
    pub is_long: bool,
    /// Words to choose from; empty for free text.
    pub choices: Vec<(&'static str, &'static str)>,
}

impl ConnectionDraft {
    pub fn fresh(app: &str, method: &str, name: &str) -> Self {
        let app = ConnectionApp::from_name(app).unwrap_or(ConnectionApp::Vault);
        let mut draft = Self {
            app: app.as_str().to_owned(),
            method: method.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            values: BTreeMap::new(),
            tests: true,
        };
        draft.settle_method();
        draft
    }

    pub fn of(connection: &AppConnection, method: Option<&str>) -> Self {
        let mut draft = Self {
            app: connection.app.as_str().to_owned(),
            method: method.unwrap_or(&connection.method).to_owned(),
            name: connection.name.clone(),
            description: connection.description.clone().unwrap_or_default(),
            values: connection.settings.clone(),
            tests: true,
        };
        draft.settle_method();
        draft
    }

    pub fn read(form: &Form) -> Self {
        let mut draft = Self {
            app: form.text("app").to_owned(),
            method: form.text("method").to_owned(),
            name: form.text("name").to_owned(),
            description: form.text("description").to_owned(),
            values: BTreeMap::new(),
            tests: form.has("tests"),
        };
        draft.settle_method();
        let open = draft.schema_fields().filter(|it| !it.is_secret);
        let values = open.map(|it| (it.name.to_owned(), form.text(&input_name(it.name)).to_owned()));
        draft.values = values.collect();
        draft
    }

    /// A method that the app has not is its first one.
    fn settle_method(&mut self) {
        let schema = self.schema();
        if schema.method(&self.method).is_none() {
            schema.methods.first().map_or("", |it| it.name).clone_into(&mut self.method);
        }
    }

    pub fn schema(&self) -> &'static AppSchema {
        let app = ConnectionApp::from_name(&self.app).unwrap_or(ConnectionApp::Vault);
        // Every app has one; were it missing, the form would be that of the first.
        schema::app(app).unwrap_or(&FALLBACK)
    }

    pub fn schema_fields(&self) -> impl Iterator<Item = &'static FieldSchema> + use<> {
        self.schema().method(&self.method).map_or(&[][..], |it| it.fields).iter()
    }

    /// `keeps_secrets`: those that are left empty stay as they are stored.
    pub fn fields(&self, keeps_secrets: bool, problems: &Problems) -> Vec<FieldView> {
        self.schema_fields().map(|it| self.field(it, keeps_secrets, problems)).collect()
    }

    fn field(&self, from: &'static FieldSchema, keeps_secrets: bool, problems: &Problems) -> FieldView {
        let name = input_name(from.name);
        let mut hint = from.description.to_owned();
        if from.is_secret && keeps_secrets {
            hint.push_str(" Leave it empty to keep the one that is stored.");
        } else if from.is_secret {
            hint.push_str(" It is sealed, and never shown again.");
        }
        let choices = match from.form {
            FieldForm::OneOf(words) => {
                std::iter::once(("", "Default")).chain(words.iter().map(|it| (*it, *it))).collect()
            }
            _ => Vec::new(),
        };
        FieldView {
            label: if from.is_required { label(from.name) } else { format!("{} (optional)", label(from.name)) },
            problem: problems.of(&name).to_owned(),
            value: self.values.get(from.name).cloned().unwrap_or_default(),
            is_required: from.is_required && !(from.is_secret && keeps_secrets),
            kind: match from.form {
                _ if from.is_secret => "password",
                FieldForm::Url => "url",
                _ => "text",
            },
            is_long: matches!(from.form, FieldForm::Pem | FieldForm::Json),
            choices,
            hint,
            name,
        }
    }

    /// Every field that is filled in, secrets among them.
    pub fn given(&self, form: &Form) -> BTreeMap<String, Zeroizing<String>> {
        let typed = self.schema_fields().map(|it| (it.name, form.text(&input_name(it.name))));
        typed.filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), zeroizing(text))).collect()
    }

    /// What differs from what is stored; none where nothing does, so that the service is not asked for nothing.
    pub fn changes(&self, form: &Form, stored: &AppConnection) -> Option<BTreeMap<String, Zeroizing<String>>> {
        if stored.method != self.method {
            return Some(self.given(form));
        }
        let typed = self.schema_fields().map(|it| (it, form.text(&input_name(it.name))));
        let differs = |(field, text): &(&FieldSchema, &str)| match field.is_secret {
            true => !text.is_empty(),
            false => stored.settings.get(field.name).map_or("", String::as_str) != *text,
        };
        let changes: BTreeMap<_, _> =
            typed.filter(differs).map(|(field, text)| (field.name.to_owned(), zeroizing(text))).collect();
        (!changes.is_empty()).then_some(changes)
    }

    pub fn description(&self) -> Option<String> {
        Some(self.description.clone()).filter(|it| !it.is_empty())
    }

    pub fn description_field(&self) -> Field<String> {
        self.description().map_or(Field::Null, Field::Value)
    }
}

static FALLBACK: AppSchema = AppSchema { app: ConnectionApp::Vault, title: "", methods: &[] };

fn zeroizing(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

/// The input's own name, so that no field of an app is taken for one of the form.
pub(super) fn input_name(field: &str) -> String {
    format!("field.{field}")
}

/// `secretAccessKey` reads `Secret access key`.
pub(super) fn label(field: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for it in field.chars() {
        match words.last_mut() {
            Some(word) if !it.is_ascii_uppercase() => word.push(it),
            _ => words.push(it.to_ascii_lowercase().to_string()),
        }
    }
    let known = |word: &String| match word.as_str() {
        "url" => "URL".to_owned(),
        "api" => "API".to_owned(),
        "ca" => "CA".to_owned(),
        "id" => "ID".to_owned(),
        other => other.to_owned(),
    };
    capitalized(&words.iter().map(known).collect::<Vec<_>>().join(" "))
}

/// `api-key-secret` reads `Api key secret`.
pub(super) fn words_of(method: &str) -> String {
    let text = match method {
        "tsig" => "TSIG key".to_owned(),
        "app-role" => "AppRole".to_owned(),
        "tls-certificate" => "TLS client certificate".to_owned(),
        other => other.replace('-', " ").replace("api", "API"),
    };
    capitalized(&text)
}

fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_ascii_uppercase().to_string() + rest.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_read_as_words() {
        for (name, expected) in [
            ("apiToken", "API token"),
            ("secretAccessKey", "Secret access key"),
            ("instanceUrl", "Instance URL"),
            ("caCertificate", "CA certificate"),
            ("tenantId", "Tenant ID"),
            ("server", "Server"),
        ] {
            assert_eq!(label(name), expected);
        }
        assert_eq!(words_of("api-key-secret"), "API key secret");
        assert_eq!(words_of("app-role"), "AppRole");
    }

    #[test]
    fn secrets_are_never_part_of_what_a_form_shows() {
        let form = Form::parse(
            b"app=hashicorp-vault&method=access-token&field.instanceUrl=https://v&field.accessToken=s3cr3t",
        );
        let draft = ConnectionDraft::read(&form);
        assert_eq!(draft.given(&form).get("accessToken").map(|it| it.as_str()), Some("s3cr3t"));
        let shown = draft.fields(false, &Problems::default());
        assert!(shown.iter().any(|it| it.value == "https://v"));
        assert!(!format!("{draft:?}{shown:?}").contains("s3cr3t"));
    }
}
