//! The wire's error body, and the one `match` from the core's errors to it.
//!
//! An [`ApiError`] travels as a response extension; [`crate::observe`] writes its body, because only there the request id
//! is at hand for certain.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use chancery_authority::Error;
use chancery_model::permission::Permission;
use chancery_model::{ErrorKind, Violation};
use chancery_store::{Conflict, StoreError};
use chancery_wire as wire;
use chancery_wire::words::SuggestedAction;
use http::{HeaderValue, StatusCode, header};

/// When a caller may ask again for what cannot be done just now: long enough for a lock to be gone, short enough for whoever
/// waits until a disk has room.
const UNAVAILABLE_SECONDS: u64 = 5;

/// An error on its way out.
#[derive(Clone, Debug)]
pub(crate) struct ApiError(Box<Fault>);

#[derive(Clone, Debug)]
struct Fault {
    status: StatusCode,
    /// The wire's word, such as `BadRequest`.
    error: &'static str,
    code: Option<String>,
    message: wire::Message,
    violations: Vec<wire::Violation>,
    details: Option<serde_json::Value>,
    retry_after: Option<u64>,
    /// For the log only.
    operator_text: Option<String>,
    denied: Option<Permission>,
}

impl ApiError {
    pub fn new(status: StatusCode, error: &'static str, code: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Fault {
            status,
            error,
            code: Some(code.to_owned()),
            message: wire::Message::Text(message.into()),
            violations: Vec::new(),
            details: None,
            retry_after: None,
            operator_text: None,
            denied: None,
        }))
    }

    pub fn bad_request(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", code, message)
    }

    pub fn unauthorized(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UnauthorizedError", code, message)
    }

    pub fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "not_found", format!("{what} with ID '{id}' not found"))
    }

    pub fn conflict(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", code, message)
    }

    pub fn invalid(issues: Vec<wire::Issue>) -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "ValidationFailure", "schema", "");
        error.0.message = wire::Message::Issues(issues);
        error
    }

    pub fn rate_limited(seconds: u64) -> Self {
        let message = format!("Too many unauthenticated or failed calls from this address. Try again in {seconds} s");
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "RateLimitExceeded", "rate_limited", message);
        error.0.retry_after = Some(seconds);
        error
    }

    pub fn internal(operator_text: impl std::fmt::Display) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let mut error = Self::new(status, "InternalServerError", "internal", "Something went wrong");
        error.0.operator_text = Some(operator_text.to_string());
        error
    }

    /// The permission whose lack this error reports.
    pub fn denied(&self) -> Option<Permission> {
        self.0.denied
    }

    #[cfg(test)]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub fn operator_text(&self) -> Option<&str> {
        self.0.operator_text.as_deref()
    }

    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    pub fn body(self, request_id: &str) -> wire::ErrorBody {
        let Fault { status, error, code, message, violations, details, .. } = *self.0;
        wire::ErrorBody {
            req_id: request_id.to_owned(),
            status_code: status.as_u16(),
            error: error.to_owned(),
            message,
            code,
            violations,
            details,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.status;
        if let Some(seconds) = self.0.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response.headers_mut().insert("x-ratelimit-reset", HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The core's errors in the wire's words: the only place where kinds become HTTP statuses.
impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let (status, word) = match &error {
            Error::PermissionDenied(_) => (StatusCode::FORBIDDEN, "PermissionDenied"),
            Error::Store(StoreError::Conflict(Conflict::Missing)) => (StatusCode::NOT_FOUND, "NotFound"),
            Error::Store(StoreError::Conflict(Conflict::Idempotency)) => (StatusCode::CONFLICT, "Conflict"),
            Error::Store(StoreError::BadCursor) => {
                return Self::invalid(vec![crate::issues::issue(
                    "cursor",
                    "custom",
                    StoreError::BadCursor.to_string(),
                )]);
            }
            Error::Store(StoreError::Backend(_) | StoreError::Inconsistent { .. }) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "DatabaseError")
            }
            other => match other.kind() {
                ErrorKind::Malformed | ErrorKind::Conflict | ErrorKind::Refused | ErrorKind::Pending => {
                    (StatusCode::BAD_REQUEST, "BadRequest")
                }
                ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "UnauthorizedError"),
                ErrorKind::InvalidToken => (StatusCode::FORBIDDEN, "TokenError"),
                ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "ForbiddenError"),
                ErrorKind::NotFound => (StatusCode::NOT_FOUND, "NotFound"),
                ErrorKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "RateLimitExceeded"),
                ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
                ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
            },
        };
        let mut mapped = Self::new(status, word, error.code(), error.public_message());
        mapped.0.violations = error.violations().iter().map(violation).collect();
        match &error {
            Error::PermissionDenied(permission) => {
                mapped.0.denied = Some(*permission);
                mapped.0.details = Some(serde_json::json!([{
                    "action": permission.action(),
                    "subject": permission.subject(),
                    "inverted": false,
                    "conditions": {},
                }]));
            }
            Error::RateLimited { retry_after_seconds } => mapped.0.retry_after = Some(*retry_after_seconds),
            Error::Store(StoreError::Full | StoreError::Unavailable(_)) | Error::Unavailable(_) => {
                mapped.0.retry_after = Some(UNAVAILABLE_SECONDS);
                mapped.0.operator_text = Some(error.to_string());
            }
            _ if status.is_server_error() => mapped.0.operator_text = Some(error.to_string()),
            _ => {}
        }
        mapped
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

pub(crate) fn violation(from: &Violation) -> wire::Violation {
    wire::Violation {
        rule: from.rule.clone(),
        field: from.field.clone(),
        value: from.value.clone(),
        source: from.source.map(|source| source.as_str().to_owned()),
        allowed: from.allowed.clone(),
        suggestion: from.suggestion.as_ref().map(suggestion),
    }
}

pub(crate) fn suggestion(from: &chancery_model::error::Suggestion) -> wire::Suggestion {
    use chancery_model::error::SuggestedAction as Action;
    wire::Suggestion {
        action: match from.action {
            Action::Set => SuggestedAction::Set,
            Action::Add => SuggestedAction::Add,
            Action::Remove => SuggestedAction::Remove,
        },
        field: from.field.clone(),
        value: from.value.clone(),
        text: from.text.clone(),
    }
}

pub(crate) fn warnings(from: &[chancery_model::Warning]) -> Vec<wire::Warning> {
    let copy = |it: &chancery_model::Warning| wire::Warning {
        code: it.code.clone(),
        field: it.field.clone(),
        message: it.message.clone(),
    };
    from.iter().map(copy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_status_and_word() {
        let check = |error: Error, status: u16, word: &str| {
            let text = format!("{error:?}");
            let body = ApiError::from(error).body("req-1");
            assert_eq!((body.status_code, body.error.as_str()), (status, word), "{text}");
            assert!(body.code.is_some_and(|code| !code.is_empty()), "{text}");
            assert_eq!(body.req_id, "req-1");
        };
        check(Error::malformed("csr.pem", "csr", "no PEM"), 400, "BadRequest");
        check(Error::Refused(vec![]), 400, "BadRequest");
        check(Error::conflict("ca.active", "active already"), 400, "BadRequest");
        check(Error::Unauthenticated("wrong"), 401, "UnauthorizedError");
        check(Error::InvalidToken("expired"), 403, "TokenError");
        check(Error::forbidden("ca.used", "in use"), 403, "ForbiddenError");
        check(Error::PermissionDenied(Permission::CaCreate), 403, "PermissionDenied");
        check(Error::not_found("CA", 1), 404, "NotFound");
        check(Error::RateLimited { retry_after_seconds: 3 }, 429, "RateLimitExceeded");
        check(Error::Unavailable("busy".to_owned()), 503, "ServiceUnavailable");
        check(Error::Store(StoreError::Full), 503, "ServiceUnavailable");
        check(Error::Store(StoreError::Backend("SELECT".to_owned())), 500, "DatabaseError");
        check(Error::Store(StoreError::BadCursor), 422, "ValidationFailure");
        check(Error::Store(StoreError::Conflict(Conflict::Name)), 400, "BadRequest");
        check(Error::Store(StoreError::Conflict(Conflict::Missing)), 404, "NotFound");
        check(Error::Store(StoreError::Conflict(Conflict::Idempotency)), 409, "Conflict");
        check(Error::internal("stack"), 500, "InternalServerError");
        let full = ApiError::from(StoreError::Full);
        assert_eq!((full.0.retry_after, full.0.code.as_deref()), (Some(5), Some("storage.full")));
    }

    #[test]
    fn internals_stay_in_the_log() {
        for error in [Error::internal("/var/lib/secret"), Error::Store(StoreError::Backend("SELECT 1".to_owned()))] {
            let error = ApiError::from(error);
            assert!(error.operator_text().is_some());
            assert_eq!(error.body("r").message, wire::Message::Text("Something went wrong".to_owned()));
        }
    }

    #[test]
    fn a_missing_permission_names_action_and_subject() {
        let error = ApiError::from(Error::PermissionDenied(Permission::CaCreate));
        assert_eq!(error.denied(), Some(Permission::CaCreate));
        let body = error.body("r");
        assert_eq!(body.message.to_string(), "You are not allowed to create on certificate-authorities");
        let details = body.details.unwrap();
        assert_eq!(details[0]["action"], "create");
        assert_eq!(details[0]["inverted"], false);
    }
}
