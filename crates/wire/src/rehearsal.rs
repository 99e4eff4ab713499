//! Templates before they are saved: tried with one request, rehearsed with those of the past.

use uuid::Uuid;

use crate::certificate::Attributes;
use crate::error::{Violation, Warning};
use crate::evaluation::{EvaluatedField, EvaluatedRule};
use crate::nullable::Nullable;
use crate::template::{
    AlgorithmRule, BasicConstraintsRule, ExtendedKeyUsageRule, KeyUsageRule, SanRule, SubjectRule, ValidityRule,
};
use crate::words::Verdict;

/// Rules that are not saved, and what is asked about them.
macro_rules! proposal {
    ($(#[$meta:meta])* pub struct $name:ident { $($further:tt)* }) => {
        wire! {
            $(#[$meta])*
            ///
            /// The rules are those of the template `policyId`, or of the preset, with the given blocks in place of its own. A
            /// block that is missing stays, `null` is no constraint, `[]` allows nothing of that kind.
            pub struct $name {
                /// Template whose rules these would change.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub policy_id: Option<Uuid>,
                /// Id of a preset to start from; not beside `policyId`.
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
                $($further)*
            }
        }
    };
}

proposal! {
    /// Which granted requests rules would have refused.
    pub struct RehearseTemplate {
        /// How far back, 1 to 3650; default 90.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub days: Option<i64>,
    }
}

proposal! {
    /// A request to try rules with: a CSR, or attributes.
    pub struct TryTemplate {
        /// PEM, up to 64 KiB. With it, subject, names, usages and key come from the CSR.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub csr: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub attributes: Option<Attributes>,
    }
}

wire! {
    /// What the rules would have said to the granted requests of the profiles that use the template, or without
    /// `policyId` to those of every profile.
    pub struct RehearsalAnswer {
        /// Requests that were judged: the newest, at most 10000.
        pub examined: u64,
        /// Requests among the newest that could not be read back, and so were not judged.
        pub unreadable: u64,
        /// There are older requests within these days, which were not looked at.
        pub truncated: bool,
        pub refused_total: u64,
        /// Those that would have been refused, newest first, at most 500.
        pub refused: Vec<RehearsedRefusal>,
    }

    pub struct RehearsedRefusal {
        pub certificate_request_id: Uuid,
        pub common_name: Option<String>,
        pub created_at: String,
        pub profile_id: Uuid,
        pub violations: Vec<Violation>,
    }

    /// What the rules say to it, under a profile without defaults. What only a CA can say is not judged.
    pub struct TryTemplateAnswer {
        pub verdict: Verdict,
        pub fields: Vec<EvaluatedField>,
        pub rules: Vec<EvaluatedRule>,
        pub warnings: Vec<Warning>,
    }
}
