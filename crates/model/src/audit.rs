//! The audit vocabulary: which events exist and what each entry says.

use serde::{Deserialize, Serialize};

use crate::id::ProjectId;
use crate::identity::ActorId;
use crate::time::Timestamp;

macro_rules! events {
    ($($(#[$meta:meta])* $variant:ident => $name:literal;)+) => {
        /// What happened. The names are stable: programs filter by them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum AuditEvent { $($(#[$meta])* $variant),+ }

        impl AuditEvent {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|event| event.as_str() == name)
            }
        }
    };
}

events! {
    ServerInitialized => "server.initialized";
    LoginSucceeded => "auth.login";
    LoginFailed => "auth.login-failed";
    TokenRenewed => "auth.token-renewed";
    TokenRevoked => "auth.token-revoked";
    /// A person has proved again who they are, before something grave.
    SessionConfirmed => "auth.session-confirmed";
    /// A person has ended a session of their own, or all the others.
    SessionEnded => "auth.session-ended";
    /// The server made a sign-in link by itself; invitations and resets have events of their own.
    SignInLinkCreated => "auth.link-created";
    SignInLinkUsed => "auth.link-used";
    UserCreated => "user.created";
    UserRoleChanged => "user.role-changed";
    UserDeleted => "user.deleted";
    /// Password and second factor were taken away and a link was made to choose new ones.
    UserReset => "user.reset";
    UserPasswordChanged => "user.password-changed";
    TotpEnabled => "user.totp-enabled";
    TotpDisabled => "user.totp-disabled";
    ProjectCreated => "project.created";
    ProjectUpdated => "project.updated";
    IdentityCreated => "identity.created";
    IdentityUpdated => "identity.updated";
    IdentityDeleted => "identity.deleted";
    UniversalAuthConfigured => "identity.universal-auth-configured";
    UniversalAuthRemoved => "identity.universal-auth-removed";
    ClientSecretCreated => "identity.client-secret-created";
    ClientSecretRevoked => "identity.client-secret-revoked";
    CaCreated => "ca.created";
    CaUpdated => "ca.updated";
    CaDeleted => "ca.deleted";
    /// The account at an external CA got a new key.
    CaAccountKeyChanged => "ca.account-key-changed";
    CaCertificateIssued => "ca.certificate-issued";
    CaCertificateImported => "ca.certificate-imported";
    CaCsrRead => "ca.csr-read";
    CaCertificateRenewed => "ca.certificate-renewed";
    /// A new key, and a certificate over it.
    CaRolledOver => "ca.rolled-over";
    CaRenewalFailed => "ca.renewal-failed";
    CaCertificateRevoked => "ca.certificate-revoked";
    /// A CA that was run elsewhere, with its key.
    CaImported => "ca.imported";
    CrlPublished => "crl.published";
    OcspResponderRotated => "ocsp.responder-rotated";
    /// A planned publication or rotation did not succeed; it is tried again.
    StatusFailed => "status.failed";
    IntermediateSigned => "ca.intermediate-signed";
    TemplateCreated => "template.created";
    TemplateUpdated => "template.updated";
    TemplateDeleted => "template.deleted";
    ProfileCreated => "profile.created";
    ProfileUpdated => "profile.updated";
    ProfileDeleted => "profile.deleted";
    CertificateIssued => "certificate.issued";
    /// A request was understood and a rule refused it; the entry holds the resolved enrolment and every violation.
    CertificateRefused => "certificate.refused";
    CertificateRenewed => "certificate.renewed";
    CertificateRenewalRefused => "certificate.renewal-refused";
    /// The server was to renew it and could not.
    CertificateRenewalFailed => "certificate.renewal-failed";
    CertificateRevoked => "certificate.revoked";
    CertificateReleased => "certificate.released";
    CertificatesBulkRevoked => "certificate.bulk-revoked";
    CertificatesBulkRenewed => "certificate.bulk-renewed";
    CertificateImported => "certificate.imported";
    CertificatesCleanedUp => "certificate.cleaned-up";
    CertificateEvaluated => "certificate.evaluated";
    CertificateConfigured => "certificate.configured";
    CertificateUpdated => "certificate.updated";
    CertificateDeleted => "certificate.deleted";
    ViewSaved => "inventory.view-saved";
    ViewDeleted => "inventory.view-deleted";
    PrivateKeyRead => "certificate.private-key-read";
    RequestCancelled => "certificate-request.cancelled";
    /// An external CA is being asked; the entry was written before it was.
    CertificateOrdered => "certificate-request.ordered";
    /// An order ended without a certificate; the entry says why.
    OrderFailed => "certificate-request.failed";
    /// What an external CA sent was not what had been asked for; it was put aside and no client gets it.
    CertificateQuarantined => "certificate-request.quarantined";
    /// Somebody asked for the domain validation to be looked at again.
    ValidationTriggered => "certificate-request.validation-triggered";
    /// What an order left outside, such as DNS records, could not be removed.
    OrderNotTidied => "certificate-request.not-tidied";
    /// An external CA has taken a revocation.
    RevokedExternally => "certificate.revoked-externally";
    ExternalRevocationFailed => "certificate.external-revocation-failed";
    ConnectionCreated => "app-connection.created";
    ConnectionUpdated => "app-connection.updated";
    ConnectionDeleted => "app-connection.deleted";
    /// Its credentials were tried at the service.
    ConnectionTested => "app-connection.tested";
    ApplicationCreated => "application.created";
    ApplicationUpdated => "application.updated";
    ApplicationDeleted => "application.deleted";
    ApplicationProfilesChanged => "application.profiles-changed";
    ApplicationEnrollmentConfigured => "application.enrollment-configured";
    ApplicationMembersChanged => "application.members-changed";
    AlertCreated => "alert.created";
    AlertUpdated => "alert.updated";
    AlertDeleted => "alert.deleted";
    AlertTested => "alert.tested";
    NotificationFailed => "alert.notification-failed";
    AccessDenied => "access.denied";
    AuditExported => "audit.exported";
}

/// Whether the event took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Success,
    Denied,
    Failure,
}

impl Outcome {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Failure => "failure",
        }
    }
}

/// Who did it, as judged when the call was authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    #[serde(flatten)]
    pub id: ActorId,
    pub name: String,
    /// How the call was authenticated: `universal-auth`, `password`, `system`, `none`.
    pub method: String,
    /// Peer address as judged; empty for the server itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ip: String,
}

/// One entry before it is chained. The store adds node, sequence number, previous hash and hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    pub time: Timestamp,
    pub project_id: Option<ProjectId>,
    pub actor: Actor,
    pub event: AuditEvent,
    pub outcome: Outcome,
    /// What it happened to, such as (`certificate`, id).
    pub object: Option<(&'static str, uuid::Uuid)>,
    /// The request id that the caller saw.
    pub request_id: String,
    /// A JSON object; secrets never get here because secret types cannot be serialised.
    pub details: serde_json::Value,
}

/// A chained entry as it is stored and exported. `hash = SHA-256(previous_hash ‖ canonical body)`, where the body is
/// the exact text kept in `body`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub node: String,
    /// 1 for a node's first entry, then without gaps.
    pub sequence: i64,
    pub time: Timestamp,
    pub project_id: Option<ProjectId>,
    pub event: String,
    pub actor_id: Option<uuid::Uuid>,
    pub object_id: Option<uuid::Uuid>,
    /// Canonical JSON: everything of the [`AuditRecord`] plus node and sequence.
    pub body: String,
    pub previous_hash: [u8; 32],
    pub hash: [u8; 32],
}

/// The body of an [`AuditEntry`], field order fixed: this text is what is hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditBody {
    pub node: String,
    pub sequence: i64,
    pub time: String,
    pub project_id: Option<ProjectId>,
    pub actor: Actor,
    pub event: String,
    pub outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<AuditObject>,
    pub request_id: String,
    pub details: serde_json::Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditObject {
    #[serde(rename = "type")]
    pub kind: String,
    pub id: uuid::Uuid,
}

/// What a reader of the audit log may filter by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub actor: Option<uuid::Uuid>,
    pub event: Option<AuditEvent>,
    pub object: Option<uuid::Uuid>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}
