//! Certificate profile: a template, who issues, how to enrol, and what a request gets when it does not say.

use chancery_pkix::{BasicConstraints, ExtendedKeyUsage, KeyAlgorithm, KeyUsage, SignatureAlgorithm};
use serde::{Deserialize, Serialize};

use crate::id::{CaId, EnrollmentConfigId, ProfileId, ProjectId, TemplateId};
use crate::time::{Timestamp, Ttl};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateProfile {
    pub id: ProfileId,
    pub project_id: ProjectId,
    /// Unique in the project: lower-case letters, digits, hyphens.
    pub slug: String,
    pub description: Option<String>,
    pub issuer: ProfileIssuer,
    pub template_id: TemplateId,
    /// Absent behaves as API enrolment.
    pub enrollment: Option<EnrollmentType>,
    pub settings: ProfileSettings,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProfileIssuer {
    Ca(CaId),
    SelfSigned,
}

impl ProfileIssuer {
    #[must_use]
    pub const fn ca_id(self) -> Option<CaId> {
        match self {
            Self::Ca(id) => Some(id),
            Self::SelfSigned => None,
        }
    }
}

/// The doors a certificate can be requested by. Only those that exist in this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnrollmentType {
    Api,
}

impl EnrollmentType {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
        }
    }
}

/// Everything of a profile that is stored as one document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProfileSettings {
    pub defaults: Option<ProfileDefaults>,
    pub api: Option<ApiEnrollment>,
    pub external_configs: Option<serde_json::Value>,
    pub key_custody: KeyCustody,
    /// Shorten a leaf to its issuer's end, with a warning, in place of refusing.
    pub clamp_to_issuer: bool,
    /// Differences between CSR and attributes refuse.
    pub strict_csr: bool,
    pub unknown_csr_extensions: UnknownCsrExtensions,
    /// Renewals may reuse the key or the stored CSR.
    pub allow_key_reuse: bool,
    /// Shorter-lived certificates carry noRevAvail (RFC 9608) and no revocation pointers.
    pub no_rev_avail_below: Option<Ttl>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiEnrollment {
    pub id: EnrollmentConfigId,
    pub auto_renew: bool,
    /// Days, 1 to 30; wins over `renew_at`.
    pub renew_before_days: Option<u32>,
    pub renew_at: RenewAt,
    /// Seconds; absent means 5 % of the remaining life.
    pub renew_jitter: Option<Ttl>,
    pub revoke_superseded_after: Option<Ttl>,
}

/// When the server renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RenewAt {
    /// Thousandths of the lifetime, 100 to 950.
    Permille(u16),
    /// This long before the end.
    Before(Ttl),
}

impl Default for RenewAt {
    fn default() -> Self {
        Self::Permille(670)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProfileDefaults {
    pub ttl_days: Option<u32>,
    pub common_name: Option<String>,
    pub organization: Option<String>,
    pub organizational_unit: Option<String>,
    pub country: Option<String>,
    pub state: Option<String>,
    pub locality: Option<String>,
    pub domain_components: Option<Vec<String>>,
    pub key_algorithm: Option<KeyAlgorithm>,
    pub signature_algorithm: Option<SignatureAlgorithm>,
    pub key_usages: Option<Vec<KeyUsage>>,
    pub extended_key_usages: Option<Vec<ExtendedKeyUsage>>,
    #[serde(with = "basic_constraints")]
    pub basic_constraints: Option<BasicConstraints>,
}

/// Where a server-made private key stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyCustody {
    /// Sealed in the store; readable again by those permitted.
    #[default]
    Stored,
    /// In the issue or renew answer only.
    ReturnOnce,
    /// Never made here: CSR only.
    None,
}

impl KeyCustody {
    pub const ALL: &[Self] = &[Self::Stored, Self::ReturnOnce, Self::None];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::ReturnOnce => "returnOnce",
            Self::None => "none",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownCsrExtensions {
    #[default]
    Ignore,
    Refuse,
}

/// `BasicConstraints` as a pair, because floor 0 does not know this document format.
mod basic_constraints {
    use chancery_pkix::BasicConstraints;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub fn serialize<S: Serializer>(value: &Option<BasicConstraints>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|it| (it.is_ca, it.path_length)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BasicConstraints>, D::Error> {
        let pair = Option::<(bool, Option<u8>)>::deserialize(deserializer)?;
        Ok(pair.map(|(is_ca, path_length)| BasicConstraints { is_ca, path_length }))
    }
}
