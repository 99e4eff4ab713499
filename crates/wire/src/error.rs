//! The one error body, and what refusals and warnings consist of.

use crate::words::SuggestedAction;

wire! {
    /// Every error of the API.
    pub struct ErrorBody {
        /// Id of the request; the same stands in the server's log and in the audit log.
        pub req_id: String,
        pub status_code: u16,
        /// Kind of error, such as `BadRequest`, `NotFound`, `PermissionDenied`, `ValidationFailure`.
        pub error: String,
        pub message: Message,
        /// Stable and dotted, such as `csr.bad_signature`; programs match on it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub code: Option<String>,
        /// Every rule that refused the request; present on refusals only.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub violations: Vec<Violation>,
        /// For a missing permission: `[{action, inverted, subject, conditions}]`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub details: Option<serde_json::Value>,
    }

    /// One place where a request does not fit its schema.
    pub struct Issue {
        /// Kind of mismatch, such as `invalid_type`, `too_big`, `custom`.
        pub code: String,
        /// Keys and list positions that lead to the value.
        pub path: Vec<PathSegment>,
        pub message: String,
    }

    /// One broken rule of a refusal.
    pub struct Violation {
        /// Stable name of the rule, such as `subject.common_name.allowed`.
        pub rule: String,
        /// Field of the certificate-to-be, such as `altNames[0]`.
        pub field: String,
        pub value: String,
        /// Where the value came from; absent when the violation is that a value is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source: Option<String>,
        /// What would be allowed, in words.
        pub allowed: String,
        /// A change that mends this violation. Applying all suggestions of a refusal passes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub suggestion: Option<Suggestion>,
    }

    /// A change to the request that mends one violation.
    pub struct Suggestion {
        pub action: SuggestedAction,
        /// Field of the request's `attributes` to change.
        pub field: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<String>,
        /// The change in words.
        pub text: String,
    }

    /// Something the requester should know about a request that was granted all the same.
    pub struct Warning {
        /// Stable and dotted, such as `validity.clamped`.
        pub code: String,
        pub field: String,
        pub message: String,
    }
}

/// Text, or for schema errors (422) the list of issues.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Message {
    Text(String),
    Issues(Vec<Issue>),
}

impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Issues(issues) => {
                for (position, issue) in issues.iter().enumerate() {
                    let separator = if position == 0 { "" } else { "; " };
                    write!(f, "{separator}{}: {}", issue.location(), issue.message)?;
                }
                Ok(())
            }
        }
    }
}

impl Issue {
    /// The path as people write it: `attributes.altNames[0].value`.
    #[must_use]
    pub fn location(&self) -> String {
        let mut text = String::new();
        for segment in &self.path {
            match segment {
                PathSegment::Key(key) if text.is_empty() => text.push_str(key),
                PathSegment::Key(key) => text.extend([".", key.as_str()]),
                PathSegment::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }
}

/// A key of an object or a position in a list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum PathSegment {
    Index(u32),
    Key(String),
}

impl From<&str> for PathSegment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issues_read_as_places_and_reasons() {
        let issue = Issue {
            code: "custom".to_owned(),
            path: vec!["attributes".into(), "altNames".into(), PathSegment::Index(2), "value".into()],
            message: "Required".to_owned(),
        };
        let text = serde_json::to_string(&issue).unwrap();
        assert_eq!(text, r#"{"code":"custom","path":["attributes","altNames",2,"value"],"message":"Required"}"#);
        assert_eq!(serde_json::from_str::<Issue>(&text).unwrap(), issue);
        assert_eq!(Message::Issues(vec![issue]).to_string(), "attributes.altNames[2].value: Required");
    }
}
