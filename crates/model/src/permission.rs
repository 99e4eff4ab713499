//! Who may do what: three roles over one list of permissions.

use std::fmt;

macro_rules! permissions {
    ($($(#[$meta:meta])* $variant:ident => $action:literal, $subject:literal;)+) => {
        /// One thing a requester may do. Every route declares exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission { $($(#[$meta])* $variant),+ }

        impl Permission {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The verb, as the wire's refusal names it.
            #[must_use]
            pub const fn action(self) -> &'static str {
                match self { $(Self::$variant => $action),+ }
            }

            /// What the verb acts on, as the wire's refusal names it.
            #[must_use]
            pub const fn subject(self) -> &'static str {
                match self { $(Self::$variant => $subject),+ }
            }
        }
    };
}

permissions! {
    CertificateIssue => "issue-cert", "certificate-profiles";
    CertificateRead => "read", "certificates";
    CertificateReadPrivateKey => "read-private-key", "certificates";
    CertificateRenew => "renew", "certificates";
    CertificateEdit => "edit", "certificates";
    CertificateDelete => "delete", "certificates";
    /// Revoke, and release from hold. An operator's reaches only what it requested, or its application's.
    CertificateRevoke => "revoke", "certificates";
    CertificateImport => "import", "certificates";
    CaRead => "read", "certificate-authorities";
    CaCreate => "create", "certificate-authorities";
    CaEdit => "edit", "certificate-authorities";
    CaDelete => "delete", "certificate-authorities";
    CaSign => "sign-intermediate", "certificate-authorities";
    TemplateRead => "read", "certificate-policies";
    TemplateCreate => "create", "certificate-policies";
    TemplateEdit => "edit", "certificate-policies";
    TemplateDelete => "delete", "certificate-policies";
    ProfileRead => "read", "certificate-profiles";
    ProfileCreate => "create", "certificate-profiles";
    ProfileEdit => "edit", "certificate-profiles";
    ProfileDelete => "delete", "certificate-profiles";
    ApplicationRead => "read", "applications";
    ApplicationManage => "manage", "applications";
    AlertRead => "read", "alerts";
    AlertManage => "manage", "alerts";
    ConnectionRead => "read", "app-connections";
    ConnectionManage => "manage", "app-connections";
    IdentityRead => "read", "identity";
    IdentityManage => "manage", "identity";
    ProjectRead => "read", "project";
    ProjectEdit => "edit", "project";
    AuditRead => "read", "audit-logs";
    /// Who am I, log out: what every authenticated requester may do.
    OwnSession => "use", "session";
}

/// A named set of permissions in one project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything in the project.
    Admin,
    /// Requests, renews and revokes certificates and reads what that needs; reads the keys of its own certificates.
    Operator,
    /// Reads all metadata and the audit log; no keys, no changes.
    Auditor,
}

impl Role {
    pub const ALL: &[Self] = &[Self::Admin, Self::Operator, Self::Auditor];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == name)
    }

    /// The whole access matrix. An operator's `CertificateReadPrivateKey` reaches only certificates it requested itself.
    #[must_use]
    pub const fn allows(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Admin => true,
            Self::Operator => matches!(
                permission,
                P::CertificateIssue
                    | P::CertificateRead
                    | P::CertificateReadPrivateKey
                    | P::CertificateRenew
                    | P::CertificateEdit
                    | P::CertificateRevoke
                    | P::ApplicationRead
                    | P::AlertRead
                    | P::CaRead
                    | P::TemplateRead
                    | P::ProfileRead
                    | P::ProjectRead
                    | P::OwnSession
            ),
            Self::Auditor => matches!(
                permission,
                P::CertificateRead
                    | P::ApplicationRead
                    | P::AlertRead
                    | P::CaRead
                    | P::TemplateRead
                    | P::ProfileRead
                    | P::ConnectionRead
                    | P::IdentityRead
                    | P::ProjectRead
                    | P::AuditRead
                    | P::OwnSession
            ),
        }
    }

    /// What the role adds inside one application, to a member whose role in the project may be a lesser one. An
    /// application's administrator cannot attach profiles to it: that would be to take the right to issue by them.
    #[must_use]
    pub const fn allows_in_application(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Admin => {
                matches!(permission, P::ApplicationManage | P::AlertManage)
                    || Self::Operator.allows_in_application(permission)
            }
            Self::Operator => matches!(
                permission,
                P::CertificateIssue
                    | P::CertificateRead
                    | P::CertificateReadPrivateKey
                    | P::CertificateRenew
                    | P::CertificateEdit
                    | P::CertificateRevoke
                    | P::ApplicationRead
            ),
            Self::Auditor => matches!(permission, P::CertificateRead | P::ApplicationRead),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
