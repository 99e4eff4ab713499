//! Certificate templates, which the wire also calls certificate policies.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::nullable::Nullable;
use crate::words::{ExtendedKeyUsage, KeyUsage, RuleState, SanType, SubjectAttributeType};

wire! {
    /// Make a template. A block that is missing or `null` is no constraint; `[]` allows nothing of that kind. Given
    /// blocks replace the preset's.
    pub struct CreateTemplate {
        /// Lower-case letters, digits and single hyphens, 1 to 255. If the name is taken, `-` and 8 characters are added.
        pub name: String,
        /// Up to 1000 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_id: Option<String>,
        /// Id of a preset to start from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub preset: Option<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<Vec<SubjectRule>>)]
        pub subject: Nullable<Vec<SubjectRule>>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<Vec<SanRule>>)]
        pub sans: Nullable<Vec<SanRule>>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<KeyUsageRule>)]
        pub key_usages: Nullable<KeyUsageRule>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<ExtendedKeyUsageRule>)]
        pub extended_key_usages: Nullable<ExtendedKeyUsageRule>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<AlgorithmRule>)]
        pub algorithms: Nullable<AlgorithmRule>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<ValidityRule>)]
        pub validity: Nullable<ValidityRule>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<BasicConstraintsRule>)]
        pub basic_constraints: Nullable<BasicConstraintsRule>,
        /// Shortest lifetime, such as `1h`.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub min_validity: Nullable<String>,
        /// Most subject alternative names in one certificate, 1 to 100.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<u32>)]
        pub max_sans: Nullable<u32>,
    }

    /// Change a template: a key left out keeps its block, `null` clears it.
    pub struct UpdateTemplate {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub description: Nullable<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<Vec<SubjectRule>>)]
        pub subject: Nullable<Vec<SubjectRule>>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<Vec<SanRule>>)]
        pub sans: Nullable<Vec<SanRule>>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<KeyUsageRule>)]
        pub key_usages: Nullable<KeyUsageRule>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<ExtendedKeyUsageRule>)]
        pub extended_key_usages: Nullable<ExtendedKeyUsageRule>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<AlgorithmRule>)]
        pub algorithms: Nullable<AlgorithmRule>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<ValidityRule>)]
        pub validity: Nullable<ValidityRule>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<BasicConstraintsRule>)]
        pub basic_constraints: Nullable<BasicConstraintsRule>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub min_validity: Nullable<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<u32>)]
        pub max_sans: Nullable<u32>,
    }

    /// A rule about one kind of subject attribute. At least one of the three lists must be there.
    pub struct SubjectRule {
        #[serde(rename = "type")]
        pub kind: SubjectAttributeType,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allowed: Option<Patterns>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub required: Option<Patterns>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub denied: Option<Patterns>,
        /// `false` forbids wildcard names under this rule.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allow_wildcards: Option<bool>,
    }

    /// A rule about one kind of subject alternative name. At least one of the three lists must be there.
    pub struct SanRule {
        #[serde(rename = "type")]
        pub kind: SanType,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allowed: Option<Patterns>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub required: Option<Patterns>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub denied: Option<Patterns>,
        /// `false` forbids wildcard names under this rule.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allow_wildcards: Option<bool>,
    }

    /// Which key usages may, must and must not be there.
    pub struct KeyUsageRule {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allowed: Option<Vec<KeyUsage>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub required: Option<Vec<KeyUsage>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub denied: Option<Vec<KeyUsage>>,
    }

    /// Which extended key usages may, must and must not be there.
    pub struct ExtendedKeyUsageRule {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allowed: Option<Vec<ExtendedKeyUsage>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub required: Option<Vec<ExtendedKeyUsage>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub denied: Option<Vec<ExtendedKeyUsage>>,
    }

    /// Allowed algorithms, in the spelling of policies (`SHA256-RSA`, `ECDSA-P256`) or of requests.
    pub struct AlgorithmRule {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub signature: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_algorithm: Option<Vec<String>>,
    }

    /// Longest lifetime. Here `m` is a 30-day month and `y` 365 days.
    pub struct ValidityRule {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max: Option<String>,
    }

    /// Whether CA certificates may be requested, and how deep.
    pub struct BasicConstraintsRule {
        /// Missing counts as denied.
        #[serde(default, rename = "isCA", skip_serializing_if = "Option::is_none")]
        pub is_ca: Option<RuleState>,
        /// -1 means no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_path_length: Option<i64>,
    }

    /// A certificate template.
    pub struct Template {
        pub id: Uuid,
        pub project_id: Uuid,
        pub name: String,
        pub description: Option<String>,
        pub subject: Option<Vec<SubjectRule>>,
        pub sans: Option<Vec<SanRule>>,
        pub key_usages: Option<KeyUsageRule>,
        pub extended_key_usages: Option<ExtendedKeyUsageRule>,
        pub algorithms: Option<AlgorithmRule>,
        pub validity: Option<ValidityRule>,
        pub basic_constraints: Option<BasicConstraintsRule>,
        pub min_validity: Option<String>,
        pub max_sans: Option<u32>,
        /// Grows by one with every change.
        pub version: i64,
        /// What is in force, in sentences.
        pub summary: Vec<String>,
        pub created_at: String,
        pub updated_at: String,
    }

    /// One template, under the key that belongs to the path: `certificatePolicy` or `certificateTemplate`.
    pub struct TemplateAnswer {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate_policy: Option<Template>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate_template: Option<Template>,
    }

    /// Templates, under the key that belongs to the path: `certificatePolicies` or `certificateTemplates`.
    pub struct TemplatesAnswer {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate_policies: Option<Vec<Template>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate_templates: Option<Vec<Template>>,
        pub total_count: u64,
        pub total_count_exact: bool,
        pub next_cursor: Option<String>,
    }

    /// The blocks of a template without its name.
    pub struct TemplateRules {
        pub subject: Option<Vec<SubjectRule>>,
        pub sans: Option<Vec<SanRule>>,
        pub key_usages: Option<KeyUsageRule>,
        pub extended_key_usages: Option<ExtendedKeyUsageRule>,
        pub algorithms: Option<AlgorithmRule>,
        pub validity: Option<ValidityRule>,
        pub basic_constraints: Option<BasicConstraintsRule>,
        pub min_validity: Option<String>,
        pub max_sans: Option<u32>,
    }

    /// A ready-made set of rules.
    pub struct Preset {
        pub id: String,
        pub name: String,
        pub description: String,
        pub policy: TemplateRules,
    }

    pub struct PresetsAnswer {
        pub presets: Vec<Preset>,
    }
}

/// Patterns of a rule: a list of texts, or for `domain_component` a list of label sequences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Patterns {
    Flat(Vec<String>),
    Nested(Vec<Vec<String>>),
}

/// One item of either form; the first decides which form the list has.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
enum Item {
    Text(String),
    Sequence(Vec<String>),
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flat = Vec::new();
        let mut nested = Vec::new();
        for item in Vec::<Item>::deserialize(deserializer)? {
            match item {
                Item::Text(text) => flat.push(text),
                Item::Sequence(sequence) => nested.push(sequence),
            }
        }
        match (flat.is_empty(), nested.is_empty()) {
            (_, true) => Ok(Self::Flat(flat)),
            (true, false) => Ok(Self::Nested(nested)),
            (false, false) => Err(serde::de::Error::custom("the list mixes texts and sequences")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_keep_the_form_they_were_written_in() {
        for text in [r#"["*.acme.com"]"#, "[]", r#"[["acme","com"],["*"]]"#] {
            let patterns: Patterns = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&patterns).unwrap(), text);
        }
        for text in [r#"["a",["b"]]"#, "[1]", "\"a\"", r#"[["a",1]]"#] {
            assert!(serde_json::from_str::<Patterns>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_update_tells_keep_from_clear() {
        let update: UpdateTemplate = serde_json::from_str(r#"{"subject":null,"sans":[]}"#).unwrap();
        assert_eq!(update.subject, Nullable::Null);
        assert_eq!(update.sans, Nullable::Value(vec![]));
        assert_eq!(update.key_usages, Nullable::Missing);
    }
}
