//! Certification authority: a name, a signing key, and the certificates that say so.

use chancery_pkix::{KeyAlgorithm, SignatureAlgorithm};
use serde::{Deserialize, Serialize};

use crate::id::{CaCertificateId, CaId, KeyId, ProjectId, TemplateId};
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificationAuthority {
    pub id: CaId,
    pub project_id: ProjectId,
    /// Unique in the project: lower-case letters, digits, hyphens, 1 to 64.
    pub name: String,
    pub status: CaStatus,
    pub configuration: InternalCaConfiguration,
    /// Template for routes that name only the CA; absent: those routes are refused.
    pub direct_issuance_template: Option<TemplateId>,
    /// The certificate that signs now; absent while the CA waits for one.
    pub active_certificate: Option<CaCertificateId>,
    pub key_id: KeyId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaStatus {
    Active,
    Disabled,
    /// The key exists; nobody has certified it yet.
    PendingCertificate,
}

impl CaStatus {
    pub const ALL: &[Self] = &[Self::Active, Self::Disabled, Self::PendingCertificate];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::PendingCertificate => "pending-certificate",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.as_str() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaLevel {
    Root,
    Intermediate,
}

/// What an administrator said about an internal CA; stored as one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternalCaConfiguration {
    pub level: CaLevel,
    #[serde(default)]
    pub friendly_name: String,
    #[serde(default)]
    pub common_name: String,
    #[serde(default)]
    pub organization: String,
    #[serde(default)]
    pub organizational_unit: String,
    #[serde(default)]
    pub country: String,
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub locality: String,
    pub key_algorithm: KeyAlgorithm,
    /// What this CA signs with when a request does not choose; absent: the key algorithm's default.
    #[serde(default)]
    pub signature_algorithm: Option<SignatureAlgorithm>,
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    #[serde(default)]
    pub not_after: Option<Timestamp>,
    /// Absent or −1: no limit.
    #[serde(default)]
    pub path_length_max: Option<i64>,
    /// Put into the CA's certificate and enforced at issuance (RFC 5280 §4.2.1.10).
    #[serde(default)]
    pub name_constraints: Option<NameConstraintRules>,
}

/// Name constraints as written: each subtree a name kind and a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NameConstraintRules {
    pub permitted: Vec<Subtree>,
    pub excluded: Vec<Subtree>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subtree {
    #[serde(rename = "type")]
    pub kind: chancery_pkix::GeneralNameKind,
    pub value: String,
}

/// One certificate of a CA, with the chain that leads to its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaCertificate {
    pub id: CaCertificateId,
    pub ca_id: CaId,
    pub project_id: ProjectId,
    /// 1 for the first, growing by one.
    pub version: i64,
    /// Lower-case hex.
    pub serial_number: String,
    pub der: Vec<u8>,
    /// Issuers above it, nearest first, the root last; empty for a root.
    pub chain: Vec<Vec<u8>>,
    /// Absent for a root and for a certificate issued elsewhere.
    pub parent_ca_id: Option<CaId>,
    pub path_length: Option<u8>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub created_at: Timestamp,
}

/// A private key as it lies in the store: sealed, openable only under its own record's identity.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey {
    pub id: KeyId,
    pub project_id: ProjectId,
    pub algorithm: KeyAlgorithm,
    pub sealed: Vec<u8>,
    pub created_at: Timestamp,
}
