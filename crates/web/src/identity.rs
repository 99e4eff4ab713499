//! Machine identities: who they are, how they log in, and their client secrets.

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::access::{IdentityPatch, NewClientSecret, NewIdentity, UniversalAuthSettings};
use chancery_model::identity::{ClientSecret, Identity};
use chancery_model::permission::{Permission, Role};
use chancery_model::{ClientSecretId, IdentityId};
use http::StatusCode;

use crate::error::WebError;
use crate::form::{Form, Problems, parts};
use crate::frame::{Frame, Section, page, page_with};
use crate::person::{HOME, ROLES};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Id, Ids, Visit};

const DAY_SECONDS: i64 = 86_400;
/// Days a secret may live at most.
const SECRET_DAYS_MAX: i64 = 3_650;

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{IdentityManage, IdentityRead};
    vec![
        Page::get("/ui/access/machines/new", IdentityManage, new),
        Page::post("/ui/access/machines", IdentityManage, create).elevated(),
        Page::get("/ui/access/machines/{id}", IdentityRead, show),
        Page::post("/ui/access/machines/{id}", IdentityManage, update).elevated(),
        Page::post("/ui/access/machines/{id}/secrets", IdentityManage, create_secret).elevated(),
        Page::post("/ui/access/machines/{id}/secrets/{secret}/revoke", IdentityManage, revoke_secret).elevated(),
        Page::post("/ui/access/machines/{id}/delete", IdentityManage, delete).elevated(),
    ]
}

/// What the inputs show: the identity, and how it logs in.
#[derive(Clone, Debug, Default)]
struct Draft {
    name: String,
    role: String,
    is_protected: bool,
    /// Seconds that an access token lives.
    token_seconds: String,
    /// Addresses and ranges, one a line.
    networks: String,
}

impl Draft {
    fn new() -> Self {
        Self { role: Role::Operator.as_str().to_owned(), token_seconds: "2592000".to_owned(), ..Self::default() }
    }

    fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            name: text("name"),
            role: text("role"),
            is_protected: form.has("protected"),
            token_seconds: text("token_seconds"),
            networks: form.raw("networks").unwrap_or_default().to_owned(),
        }
    }

    fn of(identity: &Identity) -> Self {
        let auth = identity.universal_auth.as_ref();
        Self {
            name: identity.name.clone(),
            role: identity.role.as_str().to_owned(),
            is_protected: identity.has_delete_protection,
            token_seconds: auth.map_or_else(String::new, |it| it.access_token_ttl.to_string()),
            networks: auth.map_or_else(String::new, |it| it.access_token_trusted_ips.join("\n")),
        }
    }

    fn role(&self, problems: &mut Problems) -> Option<Role> {
        let role = Role::from_name(&self.role);
        if role.is_none() {
            problems.add("role", "Choose a role");
        }
        role
    }

    /// How it logs in. What stands here as it is `stored` is left alone: the API can say more than this form does, such as
    /// other networks for client secrets than for tokens.
    fn login(&self, stored: Option<&Self>, problems: &mut Problems) -> UniversalAuthSettings {
        let seconds = self.token_seconds.parse::<i64>().ok();
        if seconds.is_none() {
            problems.add("token_seconds", "Give a whole number of seconds; 3600 is an hour");
        }
        let seconds = seconds.filter(|_| stored.is_none_or(|it| it.token_seconds != self.token_seconds));
        let networks = Some(self.networks()).filter(|it| stored.is_none_or(|stored| stored.networks() != *it));
        UniversalAuthSettings {
            access_token_ttl: seconds,
            access_token_max_ttl: seconds,
            client_secret_trusted_ips: networks.clone(),
            access_token_trusted_ips: networks,
            ..UniversalAuthSettings::default()
        }
    }
}

impl Draft {
    fn networks(&self) -> Vec<String> {
        parts(&self.networks).map(str::to_owned).collect()
    }
}

/// The core's names of fields, and those of the form.
const FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("accessTokenTTL", "token_seconds"),
    ("clientSecretTrustedIps[0]", "networks"),
    ("accessTokenTrustedIps[0]", "networks"),
];

#[derive(Template)]
#[template(path = "access/new_machine.html")]
struct NewPage {
    frame: Frame,
    draft: Draft,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "access/machine.html")]
struct MachinePage {
    frame: Frame,
    identity: Identity,
    draft: Draft,
    secrets: Vec<ClientSecret>,
    problems: Problems,
}

impl MachinePage {
    fn state(&self, secret: &ClientSecret) -> (&'static str, &'static str) {
        let is_over = secret.expires_at.is_some_and(|at| at <= self.frame.now);
        let is_spent = secret.uses_max > 0 && secret.uses >= secret.uses_max;
        match (secret.revoked_at.is_some(), is_over, is_spent) {
            (true, ..) => ("", "revoked"),
            (_, true, _) => ("", "expired"),
            (_, _, true) => ("", "spent"),
            _ => ("good", "valid"),
        }
    }
}

/// A secret, shown once.
#[derive(Template)]
#[template(path = "access/secret.html")]
struct SecretPage {
    frame: Frame,
    identity: Identity,
    secret: String,
    url: String,
}

impl SecretPage {
    /// Logs in with it. The secret itself does not stand in the command, nor in the history of a shell.
    fn command(&self) -> String {
        let client_id = self.identity.universal_auth.as_ref().map(|it| it.client_id.to_string()).unwrap_or_default();
        format!(
            "read -rs SECRET   # paste the client secret, then Enter\n\
             printf '{{\"clientId\":\"{client_id}\",\"clientSecret\":\"%s\"}}' \"$SECRET\" |\n  \
             curl -sS -H 'Content-Type: application/json' --data @- {}/api/v1/auth/universal-auth/login",
            self.url.trim_end_matches('/'),
        )
    }
}

async fn new(visit: Visit) -> Answer {
    let frame = visit.frame("New machine identity", Section::Access);
    page(&NewPage { frame, draft: Draft::new(), problems: Problems::default() })
}

async fn create(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let draft = Draft::read(&form);
    let mut problems = Problems::default();
    let (role, login) = (draft.role(&mut problems), draft.login(None, &mut problems));
    if let (Some(role), true) = (role, problems.is_empty()) {
        let new = NewIdentity {
            name: draft.name.clone(),
            role,
            has_delete_protection: draft.is_protected,
            metadata: Vec::new(),
        };
        match authority.create_identity(&visit.call, new).await {
            Ok(made) => return attach(&authority, &visit, made, login).await,
            Err(error) => problems = Problems::from_core(error, FIELDS)?,
        }
    }
    let frame = visit.frame("New machine identity", Section::Access);
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &NewPage { frame, draft, problems })
}

/// Lets the new identity log in. What is wrong with the settings is mended on its own page: it exists by now.
async fn attach(authority: &Authority, visit: &Visit, made: Identity, login: UniversalAuthSettings) -> Answer {
    let home = format!("/ui/access/machines/{}", made.id);
    match authority.configure_universal_auth(&visit.call, made.id, login).await {
        Ok(_) => Ok(visit.done(&home, format!("{} is there. Make a client secret for it next.", made.name))),
        Err(error) => {
            let note = format!("{} is there, and cannot log in yet: {}", made.name, error.public_message());
            Ok(visit.failed(&home, note))
        }
    }
}

async fn machine(
    authority: &Authority,
    visit: &Visit,
    id: IdentityId,
    problems: Problems,
) -> Result<MachinePage, WebError> {
    let found = authority.reader().identity(visit.call.project_id(), id).await?;
    let identity = found.ok_or_else(|| WebError::not_found("The machine identity"))?;
    Ok(MachinePage {
        frame: visit.frame(identity.name.clone(), Section::Access),
        draft: Draft::of(&identity),
        secrets: authority.reader().client_secrets(id).await?,
        identity,
        problems,
    })
}

async fn show(State(authority): State<Authority>, visit: Visit, Id(id): Id<IdentityId>) -> Answer {
    page(&machine(&authority, &visit, id, Problems::default()).await?)
}

async fn update(State(authority): State<Authority>, visit: Visit, Id(id): Id<IdentityId>, form: Form) -> Answer {
    let draft = Draft::read(&form);
    let mut problems = Problems::default();
    let stored = machine(&authority, &visit, id, Problems::default()).await?.draft;
    let (role, login) = (draft.role(&mut problems), draft.login(Some(&stored), &mut problems));
    if problems.is_empty() {
        let patch = IdentityPatch {
            name: Some(draft.name.clone()),
            role,
            has_delete_protection: Some(draft.is_protected),
            metadata: None,
        };
        let outcome = match authority.configure_universal_auth(&visit.call, id, login).await {
            Ok(_) => authority.update_identity(&visit.call, id, patch).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(_) => return Ok(visit.done(&format!("/ui/access/machines/{id}"), "Saved.")),
            Err(error) => problems = Problems::from_core(error, FIELDS)?,
        }
    }
    let mut page = machine(&authority, &visit, id, problems).await?;
    page.draft = draft;
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn create_secret(State(authority): State<Authority>, visit: Visit, Id(id): Id<IdentityId>, form: Form) -> Answer {
    let days = form.given("days").map_or(Some(0), |text| text.parse::<i64>().ok());
    let mut problems = Problems::default();
    match days.filter(|days| (0..=SECRET_DAYS_MAX).contains(days)) {
        None => problems.add("days", "Give a whole number of days up to 3650, or leave it empty"),
        Some(days) => {
            let description = form.text("description").to_owned();
            let new = NewClientSecret { description, uses_max: 0, ttl: days * DAY_SECONDS };
            match authority.create_client_secret(&visit.call, id, new).await {
                Ok((_, text)) => return shown_once(&authority, &visit, id, &text).await,
                Err(error) => problems = Problems::from_core(error, &[("description", "description")])?,
            }
        }
    }
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &machine(&authority, &visit, id, problems).await?)
}

async fn shown_once(authority: &Authority, visit: &Visit, id: IdentityId, secret: &str) -> Answer {
    let identity = machine(authority, visit, id, Problems::default()).await?.identity;
    page(&SecretPage {
        frame: visit.frame("Client secret", Section::Access),
        identity,
        secret: secret.to_owned(),
        url: visit.server_url.clone(),
    })
}

async fn revoke_secret(
    State(authority): State<Authority>,
    visit: Visit,
    Ids(id, secret): Ids<IdentityId, ClientSecretId>,
) -> Answer {
    authority.revoke_client_secret(&visit.call, id, secret).await?;
    Ok(visit.done(&format!("/ui/access/machines/{id}"), "The client secret works no more."))
}

async fn delete(State(authority): State<Authority>, visit: Visit, Id(id): Id<IdentityId>) -> Answer {
    match authority.delete_identity(&visit.call, id).await {
        Ok(identity) => Ok(visit.done(HOME, format!("{} is deleted; its tokens work no more.", identity.name))),
        Err(error) => {
            let problems = Problems::from_core(error, &[])?;
            page_with(StatusCode::UNPROCESSABLE_ENTITY, &machine(&authority, &visit, id, problems).await?)
        }
    }
}
