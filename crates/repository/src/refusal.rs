//! What cannot be answered: a status and one line of text.

use axum::response::{IntoResponse, Response};
use chancery_authority::Error;
use chancery_model::ErrorKind;
use http::{HeaderValue, StatusCode, header};

/// When a client may try again after something that passes by itself.
const RETRY_AFTER_SECONDS: &str = "5";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    text: &'static str,
}

impl Refusal {
    pub const fn new(status: StatusCode, text: &'static str) -> Self {
        Self { status, text }
    }

    pub const fn not_found(text: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    pub const fn unavailable(text: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

/// Strangers learn only whether trying again may help; the operator's text goes to the log.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::not_found("There is nothing under this address"),
            ErrorKind::Unavailable => {
                tracing::warn!(%error, "The repository cannot answer.");
                Self::unavailable("This cannot be answered just now; try again")
            }
            _ => {
                tracing::error!(%error, "The repository failed.");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.text)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response
    }
}
