//! Certificate template: the rules about what may be requested, as an administrator wrote them.
//!
//! This is the *raw* form that is stored and answered. `authority::template` turns it once into a compiled template
//! that cannot hold a wrong rule; nothing else evaluates these fields.

use serde::{Deserialize, Serialize};

use chancery_pkix::{AttributeType, GeneralNameKind};

use crate::id::{ProjectId, TemplateId};
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateTemplate {
    pub id: TemplateId,
    pub project_id: ProjectId,
    /// Unique in the project: lower-case letters, digits, single hyphens.
    pub name: String,
    pub description: Option<String>,
    pub rules: TemplateRules,
    /// Grows by one with every change; each issued certificate remembers the version that allowed it.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A missing block means no constraint; an empty list means nothing of that kind is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateRules {
    pub subject: Option<Vec<SubjectRule>>,
    pub sans: Option<Vec<SanRule>>,
    /// Strings are usage names in snake case; parsed when the template is compiled.
    pub key_usages: Option<ListRule>,
    pub extended_key_usages: Option<ListRule>,
    pub algorithms: Option<AlgorithmRule>,
    pub validity: Option<ValidityRule>,
    pub basic_constraints: Option<BasicConstraintsRule>,
    /// Most subject alternative names in one certificate.
    pub sans_max: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectRule {
    pub kind: AttributeType,
    #[serde(default)]
    pub lists: RuleLists,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SanRule {
    pub kind: GeneralNameKind,
    #[serde(default)]
    pub lists: RuleLists,
}

/// The three lists of patterns, each absent, empty or filled: the difference matters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleLists {
    pub allowed: Option<Patterns>,
    pub required: Option<Patterns>,
    pub denied: Option<Patterns>,
    /// `Some(false)` forbids every wildcard name under this rule.
    pub allow_wildcards: Option<bool>,
}

/// Patterns as the caller wrote them, so that the answer echoes the same form. Only `domain_component` rules nest:
/// each inner list is one sequence of labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Patterns {
    Flat(Vec<String>),
    Nested(Vec<Vec<String>>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListRule {
    pub allowed: Option<Vec<String>>,
    pub required: Option<Vec<String>>,
    pub denied: Option<Vec<String>>,
}

/// Either spelling of an algorithm is kept as written (`RSA-2048` or `RSA_2048`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlgorithmRule {
    pub signature: Option<Vec<String>>,
    pub key_algorithm: Option<Vec<String>>,
}

/// Durations as written; in `max` the unit `m` is a 30-day month.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ValidityRule {
    pub max: Option<String>,
    pub min: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BasicConstraintsRule {
    /// Missing counts as denied.
    pub is_ca: Option<RuleState>,
    /// −1 means no limit.
    pub path_length_max: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleState {
    Allowed,
    Required,
    Denied,
}
