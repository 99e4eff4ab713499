//! Internal certification authorities and their certificates.

use uuid::Uuid;

use crate::nullable::Nullable;
use crate::words::{CaLevel, CaStatus, KeyAlgorithm, SanType, SignatureAlgorithm};

wire! {
    /// Make an internal CA. A root with `notAfter` signs itself at once; any other waits for its certificate.
    pub struct CreateCa {
        /// Lower-case letters, digits and hyphens, 1 to 64.
        pub name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub status: Option<CaStatus>,
        pub configuration: CaConfiguration,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_id: Option<String>,
        /// Template for routes that name only the CA; without one those routes are refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub direct_issuance_policy_id: Option<Uuid>,
    }

    /// Change a CA; keys left out stay as they are. The subject and key of a CA never change.
    pub struct UpdateCa {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub status: Option<CaStatus>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<Uuid>)]
        pub direct_issuance_policy_id: Nullable<Uuid>,
    }

    /// What an administrator says about an internal CA. At least one subject field must be filled.
    pub struct CaConfiguration {
        #[serde(rename = "type")]
        pub level: CaLevel,
        #[serde(default)]
        pub friendly_name: Option<String>,
        #[serde(default)]
        pub common_name: Option<String>,
        #[serde(default)]
        pub organization: Option<String>,
        /// Organizational unit.
        #[serde(default)]
        pub ou: Option<String>,
        /// Two letters (ISO 3166).
        #[serde(default)]
        pub country: Option<String>,
        /// State or province.
        #[serde(default)]
        pub province: Option<String>,
        #[serde(default)]
        pub locality: Option<String>,
        pub key_algorithm: KeyAlgorithm,
        /// What the CA signs with when a request does not choose; default: what fits its key.
        #[serde(default)]
        pub signature_algorithm: Option<SignatureAlgorithm>,
        #[serde(default)]
        pub not_before: Option<String>,
        #[serde(default)]
        pub not_after: Option<String>,
        /// CAs allowed below this one; -1 means no limit.
        #[serde(default)]
        pub max_path_length: Option<i64>,
        /// Only `infisical` (a key held by this server) exists in this build.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_source: Option<String>,
        /// RFC 5280 §4.2.1.10.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name_constraints: Option<NameConstraints>,
        /// Refused when filled: revocation lists are not published by this build.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub crl_distribution_point_urls: Option<Vec<String>>,
        /// Refused when true: there is no OCSP responder in this build.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub is_ocsp_enabled: Option<bool>,
        /// Answer only: the subject in RFC 4514 form, most specific first.
        #[serde(default)]
        pub dn: Option<String>,
        /// Answer only.
        #[serde(default)]
        pub parent_ca_id: Option<Uuid>,
        /// Answer only: serial number of the certificate in force.
        #[serde(default)]
        pub serial_number: Option<String>,
        /// Answer only.
        #[serde(default)]
        pub active_ca_cert_id: Option<Uuid>,
    }

    /// Names a CA may and may not certify.
    pub struct NameConstraints {
        #[serde(default)]
        pub permitted: Vec<Subtree>,
        #[serde(default)]
        pub excluded: Vec<Subtree>,
    }

    /// One subtree of names.
    pub struct Subtree {
        #[serde(rename = "type")]
        pub kind: SanType,
        /// Such as `acme.com`, `10.0.0.0/8`, or for `directory_name` an RFC 4514 name.
        pub value: String,
    }

    /// An internal certification authority.
    pub struct Ca {
        pub id: Uuid,
        pub project_id: Uuid,
        pub name: String,
        pub status: CaStatus,
        /// Always `internal`.
        #[serde(rename = "type")]
        pub kind: String,
        /// Whether routes that name only the CA work.
        pub enable_direct_issuance: bool,
        pub direct_issuance_policy_id: Option<Uuid>,
        pub configuration: CaConfiguration,
        pub created_at: String,
        pub updated_at: String,
    }

    pub struct CasAnswer {
        pub certificate_authorities: Vec<Ca>,
    }

    pub struct CaCsrAnswer {
        /// PEM.
        pub csr: String,
    }

    /// Certify a CA: by itself (a root) or by the internal CA `parentCaId`.
    pub struct GenerateCaCertificate {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_before: Option<String>,
        pub not_after: String,
        /// -1 means no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_path_length: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub parent_ca_id: Option<Uuid>,
    }

    /// A certificate of a CA.
    pub struct CaCertificate {
        /// PEM.
        pub certificate: String,
        /// PEM of the issuers above it, the root last; empty for a root.
        pub certificate_chain: String,
        pub serial_number: String,
        pub cert_id: Uuid,
        /// 1 for the first, growing by one.
        pub version: i64,
        pub not_before: String,
        pub not_after: String,
        pub max_path_length: Option<i64>,
        pub parent_ca_id: Option<Uuid>,
    }

    /// Sign somebody else's intermediate CA.
    pub struct SignIntermediate {
        /// PEM, up to 64 KiB.
        pub csr: String,
        pub not_after: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub not_before: Option<String>,
        /// -1 means no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_path_length: Option<i64>,
    }

    pub struct SignIntermediateAnswer {
        pub certificate: String,
        pub certificate_chain: String,
        pub issuing_ca_certificate: String,
        pub serial_number: String,
    }

    /// Give a waiting CA the certificate that somebody else made for its key.
    pub struct ImportCaCertificate {
        /// PEM.
        pub certificate: String,
        /// PEM of the issuers above it; may be left out when the issuer is a CA of this server.
        #[serde(default)]
        pub certificate_chain: String,
    }

    pub struct ImportCaCertificateAnswer {
        pub message: String,
        pub ca_id: Uuid,
    }
}
