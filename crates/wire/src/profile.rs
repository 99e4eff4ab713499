//! Certificate profiles.

use uuid::Uuid;

use crate::certificate::BasicConstraints;
use crate::nullable::Nullable;
use crate::words::{
    CaStatus, EnrollmentType, ExtendedKeyUsage, IssuerType, KeyAlgorithm, KeyCustody, KeyUsage, SignatureAlgorithm,
    UnknownCsrExtensions,
};

wire! {
    /// Make a profile.
    pub struct CreateProfile {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_id: Option<String>,
        /// Needed for issuer type `ca`, forbidden for `self-signed`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ca_id: Option<Uuid>,
        /// The template; `certificateTemplateId` is the older name of the same key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate_policy_id: Option<Uuid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate_template_id: Option<Uuid>,
        /// Lower-case letters, digits and hyphens, 1 to 255; unique in the project.
        pub slug: String,
        /// Up to 1000 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        /// Default `ca`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub issuer_type: Option<IssuerType>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub enrollment_type: Option<EnrollmentType>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub api_config: Option<ApiConfig>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub est_config: Option<serde_json::Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub acme_config: Option<serde_json::Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub scep_config: Option<serde_json::Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        pub external_configs: Option<serde_json::Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub defaults: Option<ProfileDefaults>,
        /// Default `stored`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_custody: Option<KeyCustody>,
        /// Shorten a leaf to its issuer's end, with a warning, in place of refusing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub clamp_to_issuer: Option<bool>,
        /// Differences between CSR and attributes refuse.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub strict_csr: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub unknown_csr_extensions: Option<UnknownCsrExtensions>,
        /// Renewals may reuse the key or the stored CSR.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allow_key_reuse: Option<bool>,
        /// Shorter-lived certificates carry noRevAvail (RFC 9608) and no revocation pointers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub no_rev_avail_below: Option<String>,
    }

    /// Change a profile: a key left out stays as it is, `null` clears. Issuer and template never change.
    pub struct UpdateProfile {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub slug: Option<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub description: Nullable<String>,
        /// Must be what the profile has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub issuer_type: Option<IssuerType>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub enrollment_type: Option<EnrollmentType>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<ApiConfig>)]
        pub api_config: Nullable<ApiConfig>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub est_config: Option<serde_json::Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub acme_config: Option<serde_json::Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub scep_config: Option<serde_json::Value>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<serde_json::Value>)]
        pub external_configs: Nullable<serde_json::Value>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<ProfileDefaults>)]
        pub defaults: Nullable<ProfileDefaults>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_custody: Option<KeyCustody>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub clamp_to_issuer: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub strict_csr: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub unknown_csr_extensions: Option<UnknownCsrExtensions>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub allow_key_reuse: Option<bool>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub no_rev_avail_below: Nullable<String>,
    }

    /// How certificates of a profile are renewed by the server.
    #[derive(Default)]
    pub struct ApiConfig {
        /// Answer only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub id: Option<Uuid>,
        /// Default false.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub auto_renew: Option<bool>,
        /// Days before the end, 1 to 30; wins over `renewAt`.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<u32>)]
        pub renew_before_days: Nullable<u32>,
        /// Default: after 0.67 of the lifetime.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<RenewAt>)]
        pub renew_at: Nullable<RenewAt>,
        /// Spread of the due time, such as `1h`; default 5 % of the remaining life.
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub renew_jitter: Nullable<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub revoke_superseded_after: Nullable<String>,
    }

    /// When the server renews: exactly one of the two.
    pub struct RenewAt {
        /// Part of the lifetime, 0.1 to 0.95.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fraction: Option<f64>,
        /// This long before the end, such as `12h`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<String>,
    }

    /// What a request gets when it does not say.
    #[derive(Default)]
    pub struct ProfileDefaults {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ttl_days: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub common_name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub organization: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub organizational_unit: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub country: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub state: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub locality: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub domain_components: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_algorithm: Option<KeyAlgorithm>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub signature_algorithm: Option<SignatureAlgorithm>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_usages: Option<Vec<KeyUsage>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub extended_key_usages: Option<Vec<ExtendedKeyUsage>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub basic_constraints: Option<BasicConstraints>,
    }

    /// A certificate profile.
    pub struct Profile {
        pub id: Uuid,
        pub project_id: Uuid,
        pub ca_id: Option<Uuid>,
        pub certificate_policy_id: Uuid,
        /// The same as `certificatePolicyId`, for older clients.
        pub certificate_template_id: Uuid,
        pub slug: String,
        pub description: Option<String>,
        pub enrollment_type: Option<EnrollmentType>,
        pub issuer_type: IssuerType,
        pub est_config_id: Option<Uuid>,
        pub api_config_id: Option<Uuid>,
        pub acme_config_id: Option<Uuid>,
        pub scep_config_id: Option<Uuid>,
        pub external_configs: Option<serde_json::Value>,
        pub defaults: Option<ProfileDefaults>,
        pub key_custody: KeyCustody,
        pub clamp_to_issuer: bool,
        pub strict_csr: bool,
        pub unknown_csr_extensions: UnknownCsrExtensions,
        pub allow_key_reuse: bool,
        pub no_rev_avail_below: Option<String>,
        pub created_at: String,
        pub updated_at: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub api_config: Option<ApiConfig>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate_authority: Option<ProfileCa>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate_policy: Option<ProfileTemplate>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub metrics: Option<ProfileMetrics>,
    }

    /// The issuing CA in brief.
    pub struct ProfileCa {
        pub id: Uuid,
        pub project_id: Uuid,
        pub status: CaStatus,
        pub name: String,
        pub is_external: bool,
        pub external_type: Option<String>,
    }

    /// The template in brief.
    pub struct ProfileTemplate {
        pub id: Uuid,
        pub project_id: Uuid,
        pub name: String,
        pub description: Option<String>,
    }

    /// How many certificates the profile has.
    pub struct ProfileMetrics {
        pub profile_id: Uuid,
        pub total_certificates: u64,
        pub active_certificates: u64,
        pub expired_certificates: u64,
        /// Ending within 30 days.
        pub expiring_certificates: u64,
        pub revoked_certificates: u64,
    }

    pub struct ProfileAnswer {
        pub certificate_profile: Profile,
        /// What deserves a second look, such as a template that lets the requester choose any name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub warnings: Vec<crate::error::Warning>,
    }

    pub struct ProfilesAnswer {
        pub certificate_profiles: Vec<Profile>,
        pub total_count: u64,
        pub total_count_exact: bool,
        pub next_cursor: Option<String>,
    }

    /// A certificate of a profile in brief.
    pub struct ProfileCertificate {
        pub id: Uuid,
        pub serial_number: String,
        /// Common name.
        pub cn: String,
        pub status: crate::words::CertificateStatus,
        pub not_before: String,
        pub not_after: String,
        pub revoked_at: Option<String>,
        pub created_at: String,
    }

    pub struct ProfileCertificatesAnswer {
        pub certificates: Vec<ProfileCertificate>,
    }
}

query! {
    pub struct ProfilesQuery {
        pub offset: Option<i64>,
        /// 1 to 100, default 20.
        pub limit: Option<i64>,
        pub cursor: Option<String>,
        pub search: Option<String>,
        pub enrollment_type: Option<String>,
        /// `ca` or `self-signed`.
        pub issuer_type: Option<String>,
        pub ca_id: Option<String>,
        /// Only profiles attached to this application.
        pub application_id: Option<String>,
        pub project_id: Option<String>,
    }

    pub struct ProfileCertificatesQuery {
        pub offset: Option<i64>,
        /// 1 to 100, default 20.
        pub limit: Option<i64>,
        pub cursor: Option<String>,
        /// `active`, `expired` or `revoked`.
        pub status: Option<String>,
        pub search: Option<String>,
    }
}
