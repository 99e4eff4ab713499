//! The one error type of the core: a kind that doors map to their protocol, a stable code, and two texts.
//!
//! `Display` is the operator's text and may name internals; [`Error::public_message`] is what a stranger is told.

use chancery_model::permission::Permission;
use chancery_model::{ErrorKind, Violation};
use chancery_store::{Conflict, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input contradicts itself or cannot be understood. `field` is the wire's name of the field.
    #[error("{field}: {message} [{code}]")]
    Malformed { code: &'static str, field: String, message: String },
    #[error("not authenticated: {0}")]
    Unauthenticated(&'static str),
    /// The password was right; what is missing is the code of the second factor. Said to nobody who has not got so far.
    #[error("not authenticated: the code of the second factor is missing")]
    OtpRequired,
    #[error("token refused: {0}")]
    InvalidToken(&'static str),
    #[error("permission missing: {0:?}")]
    PermissionDenied(Permission),
    /// A rule of the business, not of the permission matrix, says no.
    #[error("{message} [{code}]")]
    Forbidden { code: &'static str, message: String },
    #[error("{what} {id} not found")]
    NotFound { what: &'static str, id: String },
    #[error("{message} [{code}]")]
    Conflict { code: &'static str, message: String },
    /// The template's rules (or the issuer's name constraints) refuse the request; all violations are listed.
    #[error("refused: {}", join(.0))]
    Refused(Vec<Violation>),
    /// The same about the copy of a certificate that was to be renewed.
    #[error("renewal refused: {}", join(.0))]
    RenewalRefused(Vec<Violation>),
    /// Too many failures; try again after so many seconds.
    #[error("rate limited for {retry_after_seconds} s")]
    RateLimited { retry_after_seconds: u64 },
    #[error("unavailable: {0}")]
    Unavailable(String),
    #[error("internal: {0}")]
    Internal(String),
    #[error("store: {0}")]
    Store(#[source] StoreError),
}

impl Error {
    pub fn malformed(code: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Malformed { code, field: field.into(), message: message.into() }
    }

    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::Forbidden { code, message: message.into() }
    }

    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    /// The server contradicts itself; the text goes to the log only.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::Internal(message.to_string())
    }

    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } => ErrorKind::Malformed,
            Self::Unauthenticated(_) | Self::OtpRequired => ErrorKind::Unauthenticated,
            Self::InvalidToken(_) => ErrorKind::InvalidToken,
            Self::PermissionDenied(_) | Self::Forbidden { .. } => ErrorKind::Forbidden,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Refused(_) | Self::RenewalRefused(_) => ErrorKind::Refused,
            Self::RateLimited { .. } => ErrorKind::RateLimited,
            Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::Internal(_) => ErrorKind::Internal,
            Self::Store(error) => match error {
                StoreError::Conflict(_) => ErrorKind::Conflict,
                StoreError::Full | StoreError::Unavailable(_) => ErrorKind::Unavailable,
                _ => ErrorKind::Internal,
            },
        }
    }

    /// Stable and dotted; programs match on it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { code, .. } | Self::Forbidden { code, .. } | Self::Conflict { code, .. } => code,
            Self::Unauthenticated(_) => "auth.required",
            Self::OtpRequired => "auth.otp_required",
            Self::InvalidToken(_) => "auth.token",
            Self::PermissionDenied(_) => "auth.permission",
            Self::NotFound { .. } => "not_found",
            Self::Refused(_) | Self::RenewalRefused(_) => "template.refused",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
            Self::Store(error) => match error {
                StoreError::Conflict(_) => "conflict",
                StoreError::Full => "storage.full",
                StoreError::Unavailable(_) => "storage.unavailable",
                _ => "internal",
            },
        }
    }

    /// The text for whoever called, free of internals.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::Malformed { field, message, .. } if field.is_empty() => message.clone(),
            Self::Malformed { field, message, .. } => format!("{field}: {message}"),
            Self::Unauthenticated(text) | Self::InvalidToken(text) => (*text).to_owned(),
            Self::OtpRequired => "otp: enter the six digits that your authenticator app shows now".to_owned(),
            Self::PermissionDenied(permission) => {
                format!("You are not allowed to {} on {}", permission.action(), permission.subject())
            }
            Self::Forbidden { message, .. } | Self::Conflict { message, .. } => message.clone(),
            Self::NotFound { what, id } => format!("{what} with ID '{id}' not found"),
            Self::Refused(violations) => join(violations),
            Self::RenewalRefused(violations) => format!("Certificate renewal failed. Errors: {}", join(violations)),
            Self::RateLimited { retry_after_seconds } => {
                format!("Too many attempts. Try again in {retry_after_seconds} seconds")
            }
            Self::Unavailable(text) => text.clone(),
            Self::Internal(_) => "Something went wrong".to_owned(),
            Self::Store(error) => match error {
                StoreError::Conflict(conflict) => conflict_message(*conflict).to_owned(),
                StoreError::Full => "The store is full; nothing was changed. Free disk space and try again".to_owned(),
                StoreError::Unavailable(_) => {
                    "The store is not reachable just now; nothing was changed. Try again".to_owned()
                }
                _ => "Something went wrong".to_owned(),
            },
        }
    }

    /// Every broken rule of a refusal; empty for other errors.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::Refused(violations) | Self::RenewalRefused(violations) => violations,
            _ => &[],
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

const fn conflict_message(conflict: Conflict) -> &'static str {
    match conflict {
        Conflict::Name => "The name is taken in this project; choose another",
        Conflict::AlreadyRenewed => "The certificate was already renewed",
        Conflict::BeingRenewed => {
            "The certificate is being renewed already; wait for that request to end, or cancel it"
        }
        Conflict::AlreadyRevoked => "The certificate is already revoked",
        Conflict::NotHeld => "The certificate is not on hold; only a hold can be taken back",
        Conflict::InUse => "The object is still in use; remove what refers to it first",
        Conflict::Stale => "The object was changed by somebody else meanwhile; read it again and repeat the change",
        Conflict::Missing => "The object does not exist any more",
        Conflict::SecretSpent => "The client secret is spent or revoked",
        Conflict::Idempotency => "A request with this Idempotency-Key was already made",
        Conflict::Serial | Conflict::Exists => "The object exists already",
    }
}

fn join(violations: &[Violation]) -> String {
    let texts: Vec<String> = violations
        .iter()
        .map(|it| {
            if it.value.is_empty() {
                format!("{} is missing: {}", it.field, it.allowed)
            } else {
                format!("{} '{}' is not allowed: {}", it.field, it.value, it.allowed)
            }
        })
        .collect();
    texts.join(", ")
}
