//! A certificate request: what was asked, what it resolved to, and what became of it.

use crate::id::{ApplicationId, CaId, CertificateId, ProfileId, ProjectId, RequestId};
use crate::identity::ActorId;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    pub id: RequestId,
    pub project_id: ProjectId,
    pub profile_id: Option<ProfileId>,
    pub ca_id: Option<CaId>,
    pub application_id: Option<ApplicationId>,
    pub requester: ActorId,
    pub status: RequestStatus,
    pub certificate_id: Option<CertificateId>,
    pub common_name: Option<String>,
    /// Comma-joined values.
    pub alt_names: Option<String>,
    /// The resolved `Enrollment` with sources, verdict and warnings, as JSON text.
    pub document: String,
    /// The CSR as received, DER.
    pub csr: Option<Vec<u8>>,
    pub error_message: Option<String>,
    pub pending_message: Option<String>,
    pub metadata: Vec<(String, String)>,
    /// SHA-256 over identity and `Idempotency-Key`; unique, so that a retry finds this request.
    pub idempotency: Option<[u8; 32]>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestStatus {
    PendingApproval,
    Pending,
    PendingValidation,
    Issued,
    Failed,
    Rejected,
}

impl RequestStatus {
    pub const ALL: &[Self] =
        &[Self::PendingApproval, Self::Pending, Self::PendingValidation, Self::Issued, Self::Failed, Self::Rejected];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingApproval => "pending_approval",
            Self::Pending => "pending",
            Self::PendingValidation => "pending_validation",
            Self::Issued => "issued",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.as_str() == name)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Part of the common name or of a SAN.
    pub search: Option<String>,
    pub statuses: Vec<RequestStatus>,
    pub profile_ids: Vec<ProfileId>,
    pub application_id: Option<ApplicationId>,
    pub created_from: Option<Timestamp>,
    pub created_to: Option<Timestamp>,
    pub metadata: Vec<(String, Option<String>)>,
    pub ascending: bool,
}
