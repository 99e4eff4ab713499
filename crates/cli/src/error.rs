//! What can go wrong for an operator, the words for it, and the exit code that tells a script which it was.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line contradicts itself in a way the argument parser cannot see.
    #[error("{0}")]
    Usage(String),
    #[error("Cannot reach {server}: {reason}. Check the address (--server) and that the server runs")]
    Unreachable { server: String, reason: String },
    /// Not logged in, or logged in and not permitted.
    #[error("{}", .0.message())]
    Denied(Refusal),
    #[error("{}", .0.message())]
    NotFound(Refusal),
    /// The server understood and refused, or failed.
    #[error("{}", .0.message())]
    Refused(Refusal),
    /// Nothing of that name is there, found out by looking through a list.
    #[error("{0}")]
    Missing(String),
    /// The server granted the request and something else is not as asked, such as a certificate still pending.
    #[error("{0}")]
    Unfinished(String),
    /// The answer is not what this program understands.
    #[error("The answer of {server} cannot be read: {reason}. Is it a Chancery server?")]
    Answer { server: String, reason: String },
    #[error("Cannot {action} {}: {source}", .path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
}

impl CliError {
    pub fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { action, path: path.to_owned(), source }
    }

    /// 1 refused or failed, 2 wrong usage, 3 server not reached, 4 not authenticated or permitted, 5 not found.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Unfinished(_) | Self::Answer { .. } | Self::File { .. } => 1,
            Self::Usage(_) => 2,
            Self::Unreachable { .. } => 3,
            Self::Denied(_) => 4,
            Self::NotFound(_) | Self::Missing(_) => 5,
        }
    }

    /// The whole message for a person: what is wrong, every broken rule, and the next step for each.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = format!("error: {self}");
        if let Self::Refused(refusal) | Self::Denied(refusal) | Self::NotFound(refusal) = self {
            text.push_str(&refusal.details());
        }
        text
    }
}

/// A refusal as the server put it: the HTTP status and the error body.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    pub body: Value,
}

impl Refusal {
    fn message(&self) -> String {
        match self.body.get("message") {
            Some(Value::String(message)) => message.clone(),
            Some(Value::Array(_)) => "The request is not well formed".to_owned(),
            _ => format!("The server answered with status {}", self.status),
        }
    }

    /// The broken rules or schema issues, one paragraph each, then the request id for the server's log.
    fn details(&self) -> String {
        let mut text = String::new();
        for issue in self.body.get("message").and_then(Value::as_array).into_iter().flatten() {
            let _ = write!(text, "\n  - {}{}", issue_path(issue), field(issue, "message"));
        }
        for violation in self.violations() {
            text.push_str(&violation_text(violation));
        }
        if let Some(id) = self.body.get("reqId").and_then(Value::as_str) {
            let _ = write!(text, "\n  (request {id}, status {})", self.status);
        }
        text
    }

    /// Every violation of a template's refusal.
    pub fn violations(&self) -> impl Iterator<Item = &Value> {
        self.body.get("violations").and_then(Value::as_array).into_iter().flatten()
    }

    /// Sorts an answer by what the operator must do about it. A `ForbiddenError` is a rule of the product, not a missing
    /// permission, so it counts as a refusal.
    #[must_use]
    pub fn into_error(self) -> CliError {
        let name = self.body.get("error").and_then(Value::as_str).unwrap_or_default();
        match self.status {
            401 => CliError::Denied(self),
            403 if name != "ForbiddenError" => CliError::Denied(self),
            404 => CliError::NotFound(self),
            _ => CliError::Refused(self),
        }
    }
}

/// One broken rule in words, with what would mend it.
#[must_use]
pub fn violation_text(violation: &Value) -> String {
    let mut text = format!("\n  - {}: ", field(violation, "rule"));
    match (field(violation, "field"), field(violation, "value")) {
        (name, "") => {
            let _ = write!(text, "{name} is missing");
        }
        (name, value) => {
            let _ = write!(text, "{name} \"{value}\" is refused");
        }
    }
    if let Some(source) = violation.get("source").and_then(Value::as_str) {
        let _ = write!(text, " (from {source})");
    }
    let allowed = field(violation, "allowed");
    if !allowed.is_empty() {
        let _ = write!(text, "\n    allowed: {allowed}");
    }
    let suggestion = violation.get("suggestion");
    if let Some(words) = suggestion.and_then(|one| one.as_str().or_else(|| one.get("text")?.as_str())) {
        let _ = write!(text, "\n    try: {words}");
    }
    text
}

fn issue_path(issue: &Value) -> String {
    let parts: Vec<String> = issue
        .get("path")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned))
        .collect();
    if parts.is_empty() { String::new() } else { format!("{}: ", parts.join(".")) }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(status: u16, error: &str, expected: u8) {
        let refusal = Refusal { status, body: json!({"error": error, "message": "No"}) };
        assert_eq!(refusal.into_error().exit_code(), expected, "{status} {error}");
    }

    #[test]
    fn each_kind_of_refusal_has_its_exit_code() {
        check(400, "BadRequest", 1);
        check(401, "UnauthorizedError", 4);
        check(403, "TokenError", 4);
        check(403, "PermissionDenied", 4);
        check(403, "ForbiddenError", 1);
        check(404, "NotFound", 5);
        check(422, "ValidationFailure", 1);
        check(500, "InternalServerError", 1);
        assert_eq!(CliError::Usage(String::new()).exit_code(), 2);
        assert_eq!(CliError::Unreachable { server: String::new(), reason: String::new() }.exit_code(), 3);
    }

    #[test]
    fn a_refusal_names_every_violation_and_its_suggestion() {
        let refusal = Refusal {
            status: 400,
            body: json!({
                "reqId": "req-1",
                "error": "BadRequest",
                "message": "The template refuses the request",
                "violations": [
                    {"rule": "sans.dns_name.allowed", "field": "altNames[0]", "value": "evil.test", "source": "request",
                     "allowed": "*.acme.com", "suggestion": {"action": "remove", "field": "altNames", "text": "Remove evil.test"}},
                    {"rule": "subject.common_name.required", "field": "commonName", "value": "", "allowed": "*.acme.com"},
                ],
            }),
        };
        let text = refusal.into_error().explain();
        for part in [
            "error: The template refuses the request",
            "sans.dns_name.allowed: altNames[0] \"evil.test\" is refused (from request)",
            "allowed: *.acme.com",
            "try: Remove evil.test",
            "commonName is missing",
            "req-1",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn schema_issues_are_listed_with_their_paths() {
        let body = json!({"message": [{"code": "invalid", "path": ["attributes", "altNames", 0, "type"], "message": "Unknown type"}]});
        let text = Refusal { status: 422, body }.into_error().explain();
        assert!(text.contains("attributes.altNames.0.type: Unknown type"), "{text}");
    }
}
