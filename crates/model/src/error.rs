//! What can go wrong, said once for every door: a kind, a stable code, and for refusals every violation.

use serde::{Deserialize, Serialize};

use crate::enrollment::Source;

/// The shape of a failure. Each door maps these to its own protocol in one `match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input could not be understood, or contradicts itself.
    Malformed,
    /// No credential, or one that proves nothing.
    Unauthenticated,
    /// A credential that is malformed, expired or revoked.
    InvalidToken,
    /// Known who asks, and they may not.
    Forbidden,
    NotFound,
    /// The object is in a state, or has a name, that rules the change out.
    Conflict,
    /// Understood, permitted to ask, and refused by the rules in force.
    Refused,
    /// Accepted and not finished yet.
    Pending,
    RateLimited,
    /// Try again: a dependency is down, the store is full, the server is sealed.
    Unavailable,
    Internal,
}

/// One broken rule of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// Stable name of the rule, such as `subject.common_name.allowed`.
    pub rule: String,
    /// The field of the certificate-to-be, such as `altNames[0]`.
    pub field: String,
    pub value: String,
    /// Where the value came from; absent when the violation is that a value is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What would be allowed, in words.
    pub allowed: String,
    /// A change that mends this violation. Applying all suggestions of a refusal passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Suggestion>,
}

/// A change to the request that mends one violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suggestion {
    pub action: SuggestedAction,
    /// Field of the issue request's `attributes` to change.
    pub field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The change in words.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SuggestedAction {
    /// Set the field to `value`.
    Set,
    /// Append `value` to the list.
    Add,
    /// Take `value` out of the list, or clear the field.
    Remove,
}

/// Something the requester should know about a request that was nevertheless granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// Stable and dotted, such as `validity.clamped`.
    pub code: String,
    pub field: String,
    pub message: String,
}

impl Warning {
    #[must_use]
    pub fn new(code: &str, field: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), field: field.to_owned(), message: message.into() }
    }
}
