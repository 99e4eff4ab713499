//! One call of a page: who, from which session, and how an answer is made. Handlers get it from the gate.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::response::{IntoResponse, Response};
use chancery_authority::Call;
use chancery_model::Timestamp;
use chancery_model::permission::Permission;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::WebError;
use crate::form::Form;
use crate::frame::{Frame, Note, Section, Theme, Who};
use crate::session::{Cookie, Life};

/// What most handlers answer.
pub(crate) type Answer = Result<Response, WebError>;

/// A visitor with a session, at one page.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub call: Call,
    pub csrf: String,
    pub now: Timestamp,
    pub is_https: bool,
    /// Where this server is reached: its `site_url`, else the address that the browser used.
    pub server_url: String,
    /// The path that was asked for, without its query.
    pub path: String,
    /// Whether a script asks for a part of a page.
    pub is_fragment: bool,
    pub theme: Theme,
    pub note: Option<Note>,
    pub nonce: String,
}

impl Visit {
    /// What the frame around a page of this visit needs.
    pub fn frame(&self, title: impl Into<String>, section: Section) -> Frame {
        Frame {
            title: title.into(),
            section,
            who: Some(Who { name: self.call.requester.actor().name.clone(), role: self.call.requester.role() }),
            csrf: self.csrf.clone(),
            once: self.nonce.clone(),
            path: self.path.clone(),
            theme: self.theme,
            note: self.note.clone(),
            now: self.now,
        }
    }

    pub fn may(&self, permission: Permission) -> bool {
        self.call.requester.role().allows(permission)
    }

    /// To another page (303, so that a reload repeats nothing), which says what was done.
    pub fn done(&self, to: &str, note: impl Into<String>) -> Response {
        self.sent(to, &Note { is_problem: false, text: note.into() })
    }

    /// To another page, which says what went wrong.
    pub fn failed(&self, to: &str, note: impl Into<String>) -> Response {
        self.sent(to, &Note { is_problem: true, text: note.into() })
    }

    fn sent(&self, to: &str, note: &Note) -> Response {
        let mut response = redirect(to);
        Cookie::Note.put(response.headers_mut(), &note.to_text(), self.is_https, Life::Browser);
        response
    }

    /// The call, made once however often its form is sent: the form's own number is its idempotency key, together with
    /// where the form goes and what it says. All forms of a page have one number; and whoever goes back to a page, changes
    /// the form and sends it again asks for something else.
    pub fn once(&self, form: &Form) -> Call {
        let mut call = self.call.clone();
        if form.given("_once").is_some() {
            let mut hash = Sha256::new();
            let mut add = |text: &str| {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text.as_bytes());
            };
            add("chancery web form");
            add(&self.csrf);
            add(&self.path);
            for (name, value) in form.iter() {
                add(name);
                add(value);
            }
            call.idempotency = Some(hash.finalize().into());
        }
        call
    }
}

/// 303 to a page of this door.
pub(crate) fn redirect(to: &str) -> Response {
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/ui"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WebError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| WebError::internal("no gate before this page"))
    }
}

/// The form that was posted; the gate has read it.
impl<S: Send + Sync> FromRequestParts<S> for Form {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WebError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| WebError::internal("no form before this page"))
    }
}

/// The query string, as a form.
pub(crate) struct Query(pub Form);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WebError> {
        Ok(Self(Form::parse(parts.uri.query().unwrap_or_default().as_bytes())))
    }
}

/// The first id in the path.
pub(crate) struct Id<T>(pub T);

impl<T: From<Uuid>, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, WebError> {
        let texts = path_texts(parts, state).await?;
        texts.first().and_then(|it| it.parse::<Uuid>().ok()).map(|id| Self(T::from(id))).ok_or_else(unknown)
    }
}

/// The first two ids in the path.
pub(crate) struct Ids<A, B>(pub A, pub B);

impl<A: From<Uuid>, B: From<Uuid>, S: Send + Sync> FromRequestParts<S> for Ids<A, B> {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, WebError> {
        let texts = path_texts(parts, state).await?;
        let mut ids = texts.iter().filter_map(|it| it.parse::<Uuid>().ok());
        match (ids.next(), ids.next()) {
            (Some(first), Some(second)) => Ok(Self(A::from(first), B::from(second))),
            _ => Err(unknown()),
        }
    }
}

async fn path_texts<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<String>, WebError> {
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| unknown())?;
    Ok(params.iter().map(|(_, text)| text.to_owned()).collect())
}

fn unknown() -> WebError {
    WebError::not_found("This page")
}

/// A file to download: never kept by a cache, never guessed at (RFC 6266, fixed alphabet for its name).
pub(crate) struct Download {
    pub media_type: &'static str,
    pub name: String,
    pub bytes: Vec<u8>,
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let keep = |it: char| if it.is_ascii_alphanumeric() || matches!(it, '_' | '.' | '-') { it } else { '_' };
        let name: String = self.name.chars().map(keep).take(120).collect();
        let disposition = format!("attachment; filename=\"{}\"", name.trim_start_matches('.'));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        if let Ok(value) = HeaderValue::from_str(&disposition) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        (headers, self.bytes).into_response()
    }
}
