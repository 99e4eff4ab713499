//! Access: who may come in and as what. People here; machine identities have pages of their own in [`crate::identity`].

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chancery_authority::Authority;
use chancery_authority::access::NewUser;
use chancery_model::UserId;
use chancery_model::identity::{ActorId, Identity, User};
use chancery_model::page::PageRequest;
use chancery_model::permission::{Permission, Role};
use http::StatusCode;

use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::state::WebState;
use crate::text::filters;
use crate::visit::{Answer, Id, Query, Visit};

pub(crate) const HOME: &str = "/ui/access";

pub(crate) fn pages() -> Vec<Page> {
    use Permission::{IdentityManage, IdentityRead};
    vec![
        Page::get(HOME, IdentityRead, show),
        Page::post("/ui/access/people", IdentityManage, invite).elevated(),
        Page::post("/ui/access/people/{id}/role", IdentityManage, set_role).elevated(),
        Page::post("/ui/access/people/{id}/reset", IdentityManage, reset).elevated(),
        Page::post("/ui/access/people/{id}/delete", IdentityManage, delete).elevated(),
    ]
}

/// What a role may do with one kind of thing.
struct Right {
    subject: &'static str,
    /// For each role of [`Role::ALL`], the verbs.
    verbs: Vec<String>,
}

#[derive(Template)]
#[template(path = "access/show.html")]
struct AccessPage {
    frame: Frame,
    people: Vec<User>,
    /// The visitor, who cannot reset or delete the own account here.
    own: Option<UserId>,
    identities: Vec<Identity>,
    older: Option<String>,
    rights: Vec<Right>,
    email: String,
    role: String,
    problems: Problems,
}

impl AccessPage {
    fn is_own(&self, id: &UserId) -> bool {
        self.own.as_ref() == Some(id)
    }

    fn is_locked(&self, user: &User) -> bool {
        user.locked_until.is_some_and(|until| until > self.frame.now)
    }
}

/// A link for somebody else, shown once.
#[derive(Template)]
#[template(path = "access/link.html")]
struct LinkPage {
    frame: Frame,
    email: String,
    link: String,
}

/// The roles, and what they are for in a sentence.
pub(crate) const ROLES: [(&str, &str); 3] = [
    ("operator", "Operator: requests, renews and revokes"),
    ("auditor", "Auditor: reads everything but keys, changes nothing"),
    ("admin", "Administrator: everything in this project"),
];

async fn access(
    authority: &Authority,
    visit: &Visit,
    cursor: Option<&str>,
    problems: Problems,
) -> Result<AccessPage, WebError> {
    let (reader, project) = (authority.reader(), visit.call.project_id());
    let rows = PageRequest { offset: 0, limit: 50, cursor: cursor.map(str::to_owned) };
    let found = reader.identities(project, &rows).await?;
    let own = match visit.call.requester.actor_id() {
        ActorId::User(id) => Some(id),
        _ => None,
    };
    Ok(AccessPage {
        frame: visit.frame("Access", Section::Access),
        people: reader.users(project).await?,
        own,
        identities: found.items,
        older: found.next_cursor.map(|cursor| Form::default().further(HOME, &cursor) + "#machines"),
        rights: rights(),
        email: String::new(),
        role: Role::Operator.as_str().to_owned(),
        problems,
    })
}

/// The whole matrix, made from the one that is asked.
fn rights() -> Vec<Right> {
    let mut subjects: Vec<&'static str> = Permission::ALL.iter().map(|it| it.subject()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let verbs = |role: Role, subject: &str| {
        let allowed = Permission::ALL.iter().filter(|it| it.subject() == subject && role.allows(**it));
        allowed.map(|it| it.action()).collect::<Vec<_>>().join(", ")
    };
    subjects
        .into_iter()
        .map(|subject| Right {
            subject: in_words(subject),
            verbs: Role::ALL.iter().map(|role| verbs(*role, subject)).collect(),
        })
        .collect()
}

/// The wire's word for a kind of thing, in the product's words.
fn in_words(subject: &'static str) -> &'static str {
    match subject {
        "certificate-authorities" => "certification authorities",
        "certificate-policies" => "certificate templates",
        "certificate-profiles" => "certificate profiles",
        "app-connections" => "app connections",
        "audit-logs" => "audit log",
        "identity" => "people and machine identities",
        "session" => "the own session",
        other => other,
    }
}

async fn show(State(authority): State<Authority>, visit: Visit, Query(query): Query) -> Answer {
    page(&access(&authority, &visit, query.given("cursor"), Problems::default()).await?)
}

async fn invite(State(state): State<WebState>, visit: Visit, form: Form) -> Answer {
    let authority = state.authority();
    let (email, role) = (form.text("email").to_owned(), form.text("role").to_owned());
    let mut problems = Problems::default();
    if let Some(role) = form.word("role", Role::from_name, &mut problems) {
        match authority.create_user(&visit.call, NewUser { email: email.clone(), role }).await {
            Ok((user, token)) => return shown_once(&visit, "Invitation", user.email, &token),
            Err(error) => problems = Problems::from_core(error, &[("email", "email")])?,
        }
    } else {
        problems.add("role", "Choose a role");
    }
    let mut page = access(authority, &visit, None, problems).await?;
    (page.email, page.role) = (email, role);
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn shown_once(visit: &Visit, title: &str, email: String, token: &str) -> Result<Response, WebError> {
    let link = format!("{}/ui/sign-in/link?token={token}", visit.server_url);
    page(&LinkPage { frame: visit.frame(title, Section::Access), email, link })
}

async fn set_role(State(authority): State<Authority>, visit: Visit, Id(id): Id<UserId>, form: Form) -> Answer {
    let Some(role) = Role::from_name(form.text("role")) else {
        return Err(WebError::bad_request("That is none of the roles."));
    };
    match authority.set_user_role(&visit.call, id, role).await {
        Ok(user) => Ok(visit.done(HOME, format!("{} is {role} now.", user.email))),
        Err(error) => told(&authority, &visit, error).await,
    }
}

async fn reset(State(authority): State<Authority>, visit: Visit, Id(id): Id<UserId>) -> Answer {
    match authority.reset_user(&visit.call, id).await {
        Ok((user, token)) => shown_once(&visit, "New link", user.email, &token),
        Err(error) => told(&authority, &visit, error).await,
    }
}

async fn delete(State(authority): State<Authority>, visit: Visit, Id(id): Id<UserId>) -> Answer {
    match authority.delete_user(&visit.call, id).await {
        Ok(user) => Ok(visit.done(HOME, format!("{} cannot sign in any more.", user.email))),
        Err(error) => told(&authority, &visit, error).await,
    }
}

/// The page, with what speaks against the action above it.
async fn told(authority: &Authority, visit: &Visit, error: chancery_authority::Error) -> Answer {
    let page = access(authority, visit, None, Problems::from_core(error, &[])?).await?;
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
