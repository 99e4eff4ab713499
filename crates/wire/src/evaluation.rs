//! The dry run of an issue request: every field, where it came from, and what each rule said.

use uuid::Uuid;

use crate::error::{Suggestion, Warning};
use crate::words::{RuleVerdict, Verdict};

wire! {
    pub struct EvaluateAnswer {
        pub verdict: Verdict,
        pub fields: Vec<EvaluatedField>,
        pub rules: Vec<EvaluatedRule>,
        pub warnings: Vec<Warning>,
        pub profile_id: Option<Uuid>,
        pub policy_id: Uuid,
    }

    /// One field of the certificate-to-be.
    pub struct EvaluatedField {
        pub field: String,
        pub value: String,
        /// `request`, `csr`, `default`, `profile`, `template`, `derived` or `issuer`.
        pub source: String,
    }

    /// One rule and what it said.
    pub struct EvaluatedRule {
        /// Stable name of the rule, such as `subject.common_name.allowed`.
        pub rule: String,
        pub field: String,
        pub value: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source: Option<String>,
        pub verdict: RuleVerdict,
        /// What is allowed, in words.
        pub allowed: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub suggestion: Option<Suggestion>,
    }
}
