//! The resolved request: every field of the certificate-to-be, and where its value came from.
//!
//! Built once by `authority::enrollment`, never changed afterwards. Template rules, linter, builder, explain and audit
//! look at this object and at nothing else, so what was approved is what is issued.

use chancery_pkix::{
    Attribute, AttributeType, BasicConstraints, ExtendedKeyUsage, GeneralName, KeyAlgorithm, KeyUsage, PublicKey,
    SignatureAlgorithm,
};
use serde::{Deserialize, Serialize};

use crate::Warning;
use crate::id::{CertificateId, KeyId, ProfileId, ProjectId, TemplateId};
use crate::profile::ProfileIssuer;
use crate::time::{Timestamp, Ttl};

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The request's attributes.
    Request,
    Csr,
    /// A built-in default of the product.
    Default,
    /// A default of the profile.
    Profile,
    /// Filled in from the template's required list.
    Template,
    /// Computed from another field, such as the SAN copied from the common name.
    Derived,
    /// Forced by the issuing CA, such as a clamped end or its signature algorithm.
    Issuer,
    /// Copied from the certificate that is renewed.
    Renewal,
}

impl Source {
    /// The word on the wire. A renewal's copies count as requested: they are what the caller asked to keep.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request | Self::Renewal => "request",
            Self::Csr => "csr",
            Self::Default => "default",
            Self::Profile => "profile",
            Self::Template => "template",
            Self::Derived => "derived",
            Self::Issuer => "issuer",
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    pub value: T,
    pub source: Source,
}

impl<T> Sourced<T> {
    pub const fn new(value: T, source: Source) -> Self {
        Self { value, source }
    }
}

#[derive(Clone, Debug)]
pub struct Enrollment {
    pub project_id: ProjectId,
    /// Absent on the older CA-only routes, which a CA's direct-issuance template governs.
    pub profile_id: Option<ProfileId>,
    pub template_id: TemplateId,
    pub template_version: i64,
    pub issuer: ProfileIssuer,
    /// In the order they will have in the certificate.
    pub subject: Vec<Sourced<Attribute>>,
    pub sans: Vec<Sourced<GeneralName>>,
    pub key_usages: Vec<Sourced<KeyUsage>>,
    pub extended_key_usages: Vec<Sourced<ExtendedKeyUsage>>,
    pub basic_constraints: Sourced<BasicConstraints>,
    pub key_algorithm: Sourced<KeyAlgorithm>,
    pub signature_algorithm: Sourced<SignatureAlgorithm>,
    pub validity: Sourced<RequestedValidity>,
    pub key: KeySource,
    /// DER of the CSR as received.
    pub csr: Option<Vec<u8>>,
    /// The certificate this one renews.
    pub renews: Option<CertificateId>,
    pub metadata: Vec<(String, String)>,
    pub warnings: Vec<Warning>,
}

impl Enrollment {
    #[must_use]
    pub fn subject_value(&self, kind: AttributeType) -> Option<&Sourced<Attribute>> {
        self.subject.iter().find(|it| it.value.kind == kind)
    }

    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.subject_value(AttributeType::CommonName).map(|it| it.value.value.as_str())
    }
}

/// The validity before the issuer has its say; whole seconds, both ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedValidity {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// What the template's maximum is compared with and what renewals repeat.
    pub ttl: Ttl,
    /// The caller named the start, so it is used exactly; otherwise it is back-dated.
    pub explicit: bool,
    /// The caller named a start or an end in place of a ttl, so a change is about dates too.
    pub dated: bool,
}

/// Whose key the certificate will certify.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The server makes a fresh pair.
    Generate,
    /// The requester's, from a CSR.
    Csr(Box<PublicKey>),
    /// The key of the renewed certificate, sealed in the store.
    ReuseStored(KeyId),
    /// The public key of the renewed certificate's CSR.
    ReuseCsr(Box<PublicKey>),
}
