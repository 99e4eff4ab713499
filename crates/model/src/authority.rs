//! Certification authority: a name, a signing key, and the certificates that say so.

use chancery_pkix::{KeyAlgorithm, SignatureAlgorithm};
use serde::{Deserialize, Serialize};

use crate::certificate::Revocation;
use crate::id::{CaCertificateId, CaId, ConnectionId, KeyId, ProjectId, TemplateId};
use crate::time::{Timestamp, Ttl};

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
    /// The key that signs new certificates; earlier keys go on signing CRLs for what they issued.
    pub key_id: KeyId,
    pub last_renewal: Option<CaRenewalReport>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl CertificationAuthority {
    /// The CA of this server that signs the next certificate of this intermediate CA; none for a root, and for a CA that is
    /// signed elsewhere.
    #[must_use]
    pub fn signer(&self, current: &CaCertificate) -> Option<CaId> {
        self.configuration.signing.as_ref().map_or(current.parent_ca_id, |signing| signing.parent_ca_id)
    }

    /// Whether this server can make the CA's next certificate: a root's, or that of a CA with an internal signer.
    #[must_use]
    pub fn is_signed_here(&self, current: &CaCertificate) -> bool {
        self.configuration.level == CaLevel::Root || self.signer(current).is_some()
    }
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
    /// How the CA tells what it has revoked.
    #[serde(default)]
    pub status: StatusSettings,
    #[serde(default)]
    pub auto_renewal: AutoRenewal,
    /// Who signs this intermediate; absent: whoever signed the certificate in force.
    #[serde(default)]
    pub signing: Option<SigningSettings>,
}

/// Who signs the certificates of an intermediate CA: an internal parent, a CA behind an app connection, or (with neither)
/// a CA elsewhere, whose certificates are carried by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningSettings {
    /// Of the settings themselves: clients know them by it.
    pub id: uuid::Uuid,
    pub parent_ca_id: Option<CaId>,
    #[serde(default)]
    pub outside: Option<OutsideSigner>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A CA behind an app connection that signs ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideSigner {
    pub connection_id: ConnectionId,
    /// Path of the secrets engine, such as `pki`.
    pub mount: String,
    /// Name or id of the issuer within the engine; absent: its default.
    #[serde(default)]
    pub issuer_ref: Option<String>,
}

/// How a CA tells relying parties which of its certificates are revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusSettings {
    /// From thisUpdate to nextUpdate: 1 hour to 365 days.
    pub crl_validity: Ttl,
    /// How many partitions new certificates are spread over: 1 to 256. With 1 there is the complete CRL only.
    pub crl_partitions: u32,
    /// How often a delta CRL is made; absent: never.
    pub delta_crl_interval: Option<Ttl>,
    /// Whether certificates point to the OCSP responder.
    pub ocsp: bool,
    /// Whether certificates point to the CRL served here.
    pub managed_crl_url: bool,
    /// Further places of the CRL, written into certificates beside the managed one.
    pub crl_urls: Vec<String>,
}

impl Default for StatusSettings {
    fn default() -> Self {
        Self {
            crl_validity: Ttl::DAY.times(7),
            crl_partitions: 1,
            delta_crl_interval: None,
            ocsp: true,
            managed_crl_url: true,
            crl_urls: Vec::new(),
        }
    }
}

/// Whether and when the server renews a CA that has an internal parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoRenewal {
    pub enabled: bool,
    /// 1 to 365.
    pub days_before_expiry: Option<u32>,
    /// Whether the renewed certificate gets a new key (roll over).
    pub new_key: bool,
}

/// How the last renewal of a CA by the server went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaRenewalReport {
    pub success: bool,
    pub message: String,
    pub at: Timestamp,
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
    /// The key that it certifies.
    pub key_id: KeyId,
    /// 1 for the first, growing by one.
    pub version: i64,
    /// Lower-case hex.
    pub serial_number: String,
    pub der: Vec<u8>,
    /// Issuers above it, nearest first, the root last; empty for a root.
    pub chain: Vec<Vec<u8>>,
    /// Absent for a root and for a certificate issued elsewhere.
    pub parent_ca_id: Option<CaId>,
    /// Which certificate of the parent signed it; absent like the parent.
    pub parent_certificate_id: Option<CaCertificateId>,
    pub path_length: Option<u8>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// By its parent.
    pub revocation: Option<Revocation>,
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
