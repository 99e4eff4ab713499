//! An issued certificate as the inventory knows it.

use chancery_pkix::{Attribute, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage, SignatureAlgorithm};
use serde::{Deserialize, Serialize};

use crate::id::{
    ApplicationId, CaCertificateId, CaId, CertificateId, KeyId, ProfileId, ProjectId, RequestId, TemplateId,
};
use crate::identity::ActorId;
use crate::page::SortOrder;
use crate::profile::EnrollmentType;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub id: CertificateId,
    pub project_id: ProjectId,
    pub request_id: RequestId,
    /// Absent for certificates signed outside a profile (sign-intermediate).
    pub profile_id: Option<ProfileId>,
    pub template_id: Option<TemplateId>,
    pub template_version: i64,
    /// Absent for a self-signed certificate.
    pub ca_id: Option<CaId>,
    pub ca_certificate_id: Option<CaCertificateId>,
    pub application_id: Option<ApplicationId>,
    pub enrollment: EnrollmentType,
    pub requester: ActorId,
    /// Lower-case hex, unique per issuer.
    pub serial_number: String,
    pub der: Vec<u8>,
    pub fingerprint_sha256: [u8; 32],
    pub not_before: Timestamp,
    /// Inclusive (RFC 5280 §4.1.2.5).
    pub not_after: Timestamp,
    /// Seconds granted: what renewals repeat. Never the back-dated span.
    pub ttl: i64,
    pub description: CertificateDescription,
    /// The sealed private key, where the server keeps one.
    pub key_id: Option<KeyId>,
    pub revocation: Option<Revocation>,
    pub renewal: RenewalState,
    pub metadata: Vec<(String, String)>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Certificate {
    /// The state a client sees: revocation first, then the clock.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> CertificateStatus {
        if self.revocation.is_some() {
            CertificateStatus::Revoked
        } else if self.not_after < now {
            CertificateStatus::Expired
        } else {
            CertificateStatus::Active
        }
    }

    /// Whether the certificate was made from the requester's own CSR, so that no private key was ever here.
    #[must_use]
    pub const fn from_csr(&self) -> bool {
        self.description.from_csr
    }
}

/// What the certificate says, kept beside the DER so that lists need not parse it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateDescription {
    pub subject: Vec<Attribute>,
    pub sans: Vec<(GeneralNameKind, String)>,
    pub key_usages: Vec<KeyUsage>,
    pub extended_key_usages: Vec<ExtendedKeyUsage>,
    pub key_algorithm: KeyAlgorithm,
    pub signature_algorithm: SignatureAlgorithm,
    pub is_ca: bool,
    pub path_length: Option<u8>,
    pub from_csr: bool,
}

impl CertificateDescription {
    /// The first value of a subject attribute.
    #[must_use]
    pub fn subject_value(&self, kind: chancery_pkix::AttributeType) -> Option<&str> {
        self.subject.iter().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value.as_str())
    }

    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.subject_value(chancery_pkix::AttributeType::CommonName)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateStatus {
    Active,
    Expired,
    Revoked,
}

impl CertificateStatus {
    pub const ALL: &[Self] = &[Self::Active, Self::Expired, Self::Revoked];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.as_str() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub at: Timestamp,
    /// RFC 5280 §5.3.1 code.
    pub reason: u8,
}

/// Where a certificate stands in its line of renewals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenewalState {
    pub renewed_from: Option<CertificateId>,
    pub renewed_by: Option<CertificateId>,
    /// Days, 1 to 30, as a client set it.
    pub renew_before_days: Option<u32>,
    /// When the server is due to renew it; absent: never by itself.
    pub due_at: Option<Timestamp>,
    /// Why the last renewal was refused.
    pub error: Option<String>,
}

/// What a search asks for. All given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFilter {
    /// Part of the common name or a SAN, or a serial number or fingerprint in hex.
    pub search: Option<String>,
    /// Exact common name, or with a leading `*.` any name below.
    pub common_name: Option<String>,
    pub friendly_name: Option<String>,
    /// Exact SAN value, or with a leading `*.` any name below.
    pub san: Option<String>,
    pub serial_number: Option<String>,
    pub fingerprint_sha256: Option<[u8; 32]>,
    pub statuses: Vec<CertificateStatus>,
    pub profile_ids: Vec<ProfileId>,
    pub ca_ids: Vec<CaId>,
    pub created_from: Option<Timestamp>,
    pub created_to: Option<Timestamp>,
    pub not_before_from: Option<Timestamp>,
    pub not_before_to: Option<Timestamp>,
    pub not_after_from: Option<Timestamp>,
    pub not_after_to: Option<Timestamp>,
    pub key_algorithms: Vec<KeyAlgorithm>,
    pub signature_algorithms: Vec<SignatureAlgorithm>,
    pub extended_key_usage: Option<ExtendedKeyUsage>,
    pub metadata: Vec<(String, Option<String>)>,
    pub sort_by: CertificateSort,
    pub sort_order: SortOrder,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateSort {
    #[default]
    CreatedAt,
    NotAfter,
}
