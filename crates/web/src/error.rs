//! What went wrong, for a page: a status, a title, what happened and what to do next. The one `match` from the core's
//! errors to it.
//!
//! A [`WebError`] travels as a response extension; the gate (inside the frame of the UI) or [`crate::observe`] (without a
//! session) writes its page, because only there the visitor and the request id are at hand.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use chancery_authority::Error;
use chancery_model::ErrorKind;
use chancery_model::permission::Permission;
use chancery_store::{Conflict, StoreError};
use http::{HeaderValue, StatusCode, header};

/// An error on its way out.
#[derive(Clone, Debug)]
pub(crate) struct WebError(Box<Fault>);

#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub status: StatusCode,
    pub title: &'static str,
    pub message: String,
    pub next_step: String,
    /// For the log only.
    pub operator_text: Option<String>,
    pub denied: Option<Permission>,
    pub retry_after: Option<u64>,
}

impl WebError {
    pub fn new(status: StatusCode, title: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self(Box::new(Fault {
            status,
            title,
            message: message.into(),
            next_step: next.into(),
            operator_text: None,
            denied: None,
            retry_after: None,
        }))
    }

    /// There is no such thing, or it belongs to another project.
    pub fn not_found(what: &str) -> Self {
        let message = format!("{what} does not exist, or not in this project.");
        Self::new(StatusCode::NOT_FOUND, "Not found", message, "Go back to the list; it may have been deleted.")
    }

    /// The address or form is none that this UI makes.
    pub fn bad_request(message: impl Into<String>) -> Self {
        let next = "Go back, reload the page and try again.";
        Self::new(StatusCode::BAD_REQUEST, "That could not be understood", message, next)
    }

    pub fn internal(operator_text: impl std::fmt::Display) -> Self {
        let mut error = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong",
            "The server met an error of its own. What you asked for may not have been done.",
            "Look at the page you came from before you repeat it, and tell whoever runs the server the number below.",
        );
        error.0.operator_text = Some(operator_text.to_string());
        error
    }

    pub fn rate_limited(seconds: u64) -> Self {
        let message = "There were too many attempts from this address.";
        let next = format!("Wait {seconds} s, then try again.");
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many attempts", message, next);
        error.0.retry_after = Some(seconds);
        error
    }

    pub const fn fault(&self) -> &Fault {
        &self.0
    }
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.status;
        if let Some(seconds) = self.0.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The core's errors as pages: the only place where kinds become statuses here.
impl From<Error> for WebError {
    fn from(error: Error) -> Self {
        if let Error::Store(StoreError::Conflict(Conflict::Missing)) | Error::NotFound { .. } = &error {
            return Self::new(
                StatusCode::NOT_FOUND,
                "Not found",
                error.public_message(),
                "Go back to the list; it may have been deleted.",
            );
        }
        if matches!(error, Error::Store(StoreError::BadCursor)) {
            return Self::bad_request("The address names a place in the list that this server did not give out.");
        }
        let (status, title, next) = match error.kind() {
            ErrorKind::Malformed => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "That could not be understood",
                "Go back, change what is named above, and try again.",
            ),
            ErrorKind::Conflict | ErrorKind::Refused | ErrorKind::Pending => {
                (StatusCode::CONFLICT, "That is not possible", "Go back and look at the present state first.")
            }
            ErrorKind::Unauthenticated | ErrorKind::InvalidToken => {
                (StatusCode::UNAUTHORIZED, "Please sign in", "Sign in and try again.")
            }
            ErrorKind::Forbidden => (
                StatusCode::FORBIDDEN,
                "Not allowed",
                "Ask an administrator of the project to do it, or for another role.",
            ),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "Not found", "Go back to the list."),
            ErrorKind::RateLimited => {
                (StatusCode::TOO_MANY_REQUESTS, "Too many attempts", "Wait a little, then try again.")
            }
            ErrorKind::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "Not possible just now", "Try again in some seconds.")
            }
            ErrorKind::Internal => return Self::internal(error),
        };
        let mut page = Self::new(status, title, error.public_message(), next);
        match &error {
            Error::PermissionDenied(permission) => page.0.denied = Some(*permission),
            Error::RateLimited { retry_after_seconds } => page.0.retry_after = Some(*retry_after_seconds),
            Error::Unavailable(_) | Error::Store(_) => page.0.operator_text = Some(error.to_string()),
            _ => {}
        }
        page
    }
}

impl From<StoreError> for WebError {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<askama::Error> for WebError {
    fn from(error: askama::Error) -> Self {
        Self::internal(format_args!("a page could not be written: {error}"))
    }
}
