//! An order: a certificate request on its way through an external CA.
//!
//! It is written down before the CA is asked (reserve), and after each step: a process that dies resumes the same order.

use serde::{Deserialize, Serialize};

use crate::external::ChallengeKind;
use crate::id::{ApplicationId, CaId, CertificateId, KeyId, ProfileId, ProjectId, RequestId, TemplateId};
use crate::identity::ActorId;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalOrder {
    /// An order is of one request, and has its id.
    pub request_id: RequestId,
    pub project_id: ProjectId,
    pub ca_id: CaId,
    pub phase: OrderPhase,
    /// The certificate that it renews. Of those under way, a certificate has one at most.
    pub renews: Option<CertificateId>,
    /// The sealed key that was made for it here.
    pub key_id: Option<KeyId>,
    /// PKCS#10 as the CA gets it, DER.
    pub csr: Vec<u8>,
    pub plan: OrderPlan,
    /// How far the CA's kind has come, in its own words. No secrets.
    pub state: serde_json::Value,
    /// How the CA calls it: an order's URL or number. For people, and to revoke by.
    pub reference: Option<String>,
    /// What came back and was not what had been asked for, DER.
    pub quarantined: Option<Vec<u8>>,
    /// When it is given up.
    pub give_up_at: Timestamp,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderPhase {
    /// The CA is being asked.
    Ordering,
    /// It has ended, well or not; what it left outside (DNS records) is being removed.
    Tidying,
    Done,
}

impl OrderPhase {
    pub const ALL: &[Self] = &[Self::Ordering, Self::Tidying, Self::Done];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ordering => "ordering",
            Self::Tidying => "tidying",
            Self::Done => "done",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|phase| phase.as_str() == name)
    }
}

/// What was decided when the request was approved, and the certificate's record will repeat. Stored as one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlan {
    pub profile_id: ProfileId,
    pub template_id: TemplateId,
    pub template_version: i64,
    pub application_id: Option<ApplicationId>,
    pub requester: ActorId,
    /// Seconds that were asked for.
    pub ttl: i64,
    /// The template's longest life in seconds, if it has one: what comes back must not exceed it.
    pub validity_max: Option<i64>,
    /// Whether a CA certificate was asked for.
    pub is_ca: bool,
    /// Whether the server renews by itself.
    #[serde(default)]
    pub by_itself: bool,
    /// Whether the requester holds the key.
    pub from_csr: bool,
    /// The profile's `externalConfigs`.
    #[serde(default)]
    pub external_configs: Option<serde_json::Value>,
}

/// An answer to a challenge that this server's own listeners give (RFC 8555 §8.3, RFC 8737).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedChallenge {
    /// HTTP-01 or TLS-ALPN-01.
    pub kind: ChallengeKind,
    /// HTTP-01: the token. TLS-ALPN-01: the name as the CA's client sends it (SNI), lower case.
    pub name: String,
    /// The key authorization (RFC 8555 §8.1).
    pub value: String,
}
