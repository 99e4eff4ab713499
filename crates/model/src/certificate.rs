//! An issued certificate as the inventory knows it.

use chancery_pkix::{Attribute, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage, SignatureAlgorithm};
use serde::{Deserialize, Serialize};

use crate::id::{
    ApplicationId, CaCertificateId, CaId, CertificateId, KeyId, ProfileId, ProjectId, RequestId, TemplateId,
};
use crate::identity::ActorId;
use crate::page::SortOrder;
use crate::profile::{EnrollmentType, RenewAt};
use crate::time::{Timestamp, Ttl};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub id: CertificateId,
    pub project_id: ProjectId,
    /// For an imported certificate, or one the server made for itself, an id that no request has.
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
    pub source: CertificateSource,
    /// What people call it, up to 255 characters.
    pub friendly_name: Option<String>,
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
    /// Which partition of its issuer's CRLs would list it; 0 where they are not partitioned.
    pub crl_partition: u32,
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
    /// Absent: a foreign certificate with a key of a kind that is never made here.
    pub key_algorithm: Option<KeyAlgorithm>,
    /// Absent: a foreign certificate, signed in a way that is never done here.
    pub signature_algorithm: Option<SignatureAlgorithm>,
    pub is_ca: bool,
    pub path_length: Option<u8>,
    pub from_csr: bool,
    /// For a certificate that was made elsewhere: what the fields above have no words for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<ForeignDescription>,
}

/// What only a foreign certificate may say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignDescription {
    /// The whole subject as text (RFC 4514), attributes without a type here included.
    pub subject: String,
    /// The issuer's name as text (RFC 4514).
    pub issuer: String,
    /// The key as people name it: `RSA 1024`, `DSA`, `EC 1.3.132.0.10`.
    pub key: String,
    /// The signature algorithm: a known name, else the object identifier.
    pub signature: String,
    /// Object identifiers of extended key usages that have no name here.
    pub extended_key_usages: Vec<String>,
    /// Object identifiers of extensions that were not understood.
    pub extensions: Vec<String>,
}

/// How a certificate came into the inventory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateSource {
    #[default]
    Issued,
    Imported,
}

impl CertificateSource {
    pub const ALL: &[Self] = &[Self::Issued, Self::Imported];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Imported => "imported",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|source| source.as_str() == name)
    }
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

    /// Whether key or signature is of a kind that is never made here: too short, broken, or unknown. RSA 2048 is the
    /// least that counts as strong (NIST SP 800-131A).
    #[must_use]
    pub const fn has_weak_key(&self) -> bool {
        self.key_algorithm.is_none() || self.signature_algorithm.is_none()
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
    pub reason: RevocationReason,
}

macro_rules! reasons {
    ($($variant:ident = $code:literal, $name:literal;)+) => {
        /// Why a certificate is revoked (RFC 5280 §5.3.1). `removeFromCRL` is no reason but a note in delta CRLs, and
        /// code 7 is not used.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RevocationReason { $($variant),+ }

        impl RevocationReason {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The CRLReason code.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code),+ }
            }

            /// The wire's name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            #[must_use]
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.code() == code)
            }

            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
            }
        }
    };
}

reasons! {
    Unspecified = 0, "UNSPECIFIED";
    KeyCompromise = 1, "KEY_COMPROMISE";
    CaCompromise = 2, "CA_COMPROMISE";
    AffiliationChanged = 3, "AFFILIATION_CHANGED";
    Superseded = 4, "SUPERSEDED";
    CessationOfOperation = 5, "CESSATION_OF_OPERATION";
    CertificateHold = 6, "CERTIFICATE_HOLD";
    PrivilegeWithdrawn = 9, "PRIVILEGE_WITHDRAWN";
    AaCompromise = 10, "A_A_COMPROMISE";
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
    /// What was set for this certificate beyond its profile; carried along to its successor.
    pub settings: Option<RenewalSettings>,
}

/// Renewal settings of one certificate; what is absent follows the profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RenewalSettings {
    pub renew_at: Option<RenewAt>,
    pub renew_jitter: Option<Ttl>,
    /// How long after its renewal a superseded certificate is revoked.
    pub revoke_superseded_after: Option<Ttl>,
    /// The server does not renew it, nor its successors, whatever the profile says.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub switched_off: bool,
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
    /// These and no others, unless empty: what somebody picked from a list, some hundreds at most.
    pub ids: Vec<CertificateId>,
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
    pub source: Option<CertificateSource>,
    pub application_id: Option<ApplicationId>,
    pub view: Option<CertificateView>,
    pub sort_by: CertificateSort,
    pub sort_order: SortOrder,
}

impl CertificateFilter {
    /// Whether it names no condition but states, and so would find every certificate.
    #[must_use]
    pub fn is_unconditional(&self) -> bool {
        let ignoring = Self { sort_by: self.sort_by, sort_order: self.sort_order, ..Self::default() };
        Self { statuses: Vec::new(), ..self.clone() } == ignoring
    }
}

/// Ready-made questions to the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateView {
    /// Active, ending within 30 days, and without a successor.
    Expiring,
    /// The last renewal did not succeed.
    FailedRenewal,
    /// A key or signature that is too weak today: RSA below 2048 bits, SHA-1 and the like. Not expired, not revoked.
    WeakKey,
    /// Renewed, and still neither expired nor revoked.
    SupersededActive,
}

impl CertificateView {
    pub const ALL: &[Self] = &[Self::Expiring, Self::FailedRenewal, Self::WeakKey, Self::SupersededActive];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expiring => "expiring",
            Self::FailedRenewal => "failed-renewal",
            Self::WeakKey => "weak-key",
            Self::SupersededActive => "superseded-active",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|view| view.as_str() == name)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateSort {
    #[default]
    CreatedAt,
    NotAfter,
}
