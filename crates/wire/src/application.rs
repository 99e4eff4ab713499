//! Applications, the profiles attached to them, how they enrol, and their members.

use uuid::Uuid;

use crate::certificate::Certificate;
use crate::nullable::Nullable;
use crate::profile::RenewAt;
use crate::words::Role;

wire! {
    /// Make an application.
    pub struct CreateApplication {
        /// 1 to 64 lower-case letters, digits and hyphens; unique in the project.
        pub name: String,
        /// Up to 256 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        /// Profiles to attach, up to 100. Enrolment with each is off until it is switched on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub profile_ids: Option<Vec<Uuid>>,
        /// The caller's project; may be left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_id: Option<String>,
    }

    /// Change an application: a key left out stays as it is, `null` clears. At least one key.
    pub struct UpdateApplication {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        #[schema(value_type = Option<String>)]
        pub description: Nullable<String>,
    }

    /// What groups certificates, the profiles they may come from, and those who care for them.
    pub struct Application {
        pub id: Uuid,
        pub project_id: Uuid,
        pub name: String,
        pub description: Option<String>,
        pub created_at: String,
        pub updated_at: String,
    }

    pub struct ApplicationAnswer {
        pub application: Application,
    }

    /// An application with its numbers.
    pub struct CountedApplication {
        pub id: Uuid,
        pub project_id: Uuid,
        pub name: String,
        pub description: Option<String>,
        pub created_at: String,
        pub updated_at: String,
        pub profile_count: u64,
        pub member_count: u64,
        pub certificate_count: u64,
    }

    pub struct ApplicationsAnswer {
        pub applications: Vec<CountedApplication>,
        pub total: u64,
        pub next_cursor: Option<String>,
    }

    /// What the caller may do in an application, and as what.
    pub struct ApplicationPermissions {
        pub permissions: Vec<ApplicationPermission>,
        /// The caller's own membership, if it is a member.
        pub memberships: Vec<OwnMembership>,
    }

    pub struct ApplicationPermission {
        pub action: String,
        pub subject: String,
    }

    pub struct OwnMembership {
        pub id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub actor_user_id: Option<Uuid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub actor_identity_id: Option<Uuid>,
        pub roles: Vec<MembershipRole>,
    }

    pub struct MembershipRole {
        pub role: Role,
    }

    pub struct ApplicationPermissionsAnswer {
        pub data: ApplicationPermissions,
    }

    /// Attach profiles, up to 100; those attached already stay as they are.
    pub struct AttachProfiles {
        pub profile_ids: Vec<Uuid>,
    }

    /// A profile of an application. The ids of enrolment settings are `null` while that method is off.
    pub struct ApplicationProfile {
        pub application_id: Uuid,
        pub profile_id: Uuid,
        pub profile_slug: String,
        pub profile_description: Option<String>,
        pub est_config_id: Option<Uuid>,
        pub api_config_id: Option<Uuid>,
        pub acme_config_id: Option<Uuid>,
        pub scep_config_id: Option<Uuid>,
        pub created_at: String,
        pub updated_at: String,
    }

    pub struct ApplicationProfilesAnswer {
        pub profiles: Vec<ApplicationProfile>,
    }

    /// Which pair a change was about.
    pub struct ApplicationProfilePair {
        pub application_id: Uuid,
        pub profile_id: Uuid,
    }

    /// How an application enrols with a profile; a method is `null` while it is off.
    pub struct EnrollmentAnswer {
        pub application_id: Uuid,
        pub profile_id: Uuid,
        pub api: Option<ApiEnrollment>,
        /// Always `null` in this build, as `acme` and `scep`.
        #[schema(value_type = Option<Object>)]
        pub est: Option<serde_json::Value>,
        #[schema(value_type = Option<Object>)]
        pub acme: Option<serde_json::Value>,
        #[schema(value_type = Option<Object>)]
        pub scep: Option<serde_json::Value>,
        pub ra_ca_signing_supported: bool,
        /// `internal`, or `null` for a self-signed profile.
        pub ca_type: Option<String>,
        pub est_configured: bool,
        pub acme_configured: bool,
        pub scep_configured: bool,
    }

    /// Enrolment by the API.
    pub struct ApiEnrollment {
        pub id: Uuid,
        pub auto_renew: bool,
        pub renew_before_days: Option<u32>,
        /// In force where `renewBeforeDays` is `null`.
        pub renew_at: RenewAt,
        pub renew_jitter: Option<String>,
        pub revoke_superseded_after: Option<String>,
    }

    /// Switch enrolment by the API on, or replace its settings. With `autoRenew`, give `renewBeforeDays` or `renewAt`.
    pub struct ConfigureApiEnrollment {
        pub auto_renew: bool,
        /// 1 to 30; wins over `renewAt`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub renew_before_days: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub renew_at: Option<RenewAt>,
        /// Spread of the due time, such as `1h`; default 5 % of the remaining life.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub renew_jitter: Option<String>,
        /// Revoke a renewed certificate so long after its renewal; left out: never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub revoke_superseded_after: Option<String>,
    }

    pub struct ApiEnrollmentAnswer {
        pub application_id: Uuid,
        pub profile_id: Uuid,
        pub api: ApiEnrollment,
    }

    /// Make people members, by e-mail address; up to 100.
    pub struct AddPeople {
        pub emails: Vec<String>,
        pub role: Role,
    }

    /// The role of a member.
    pub struct GiveRole {
        pub role: Role,
    }

    /// Somebody who belongs to an application.
    pub struct Member {
        pub membership_id: Uuid,
        pub application_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub actor_user_id: Option<Uuid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub actor_identity_id: Option<Uuid>,
        pub role: Role,
        pub created_at: String,
        pub updated_at: String,
        pub details: MemberDetails,
    }

    pub struct MemberDetails {
        /// Of a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub email: Option<String>,
        /// E-mail address of a person, name of a machine identity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub username: Option<String>,
    }

    pub struct MembersAnswer {
        pub memberships: Vec<Member>,
    }

    pub struct PeopleAddedAnswer {
        pub memberships: Vec<Member>,
        /// Addresses of members; their role stays.
        pub skipped: Vec<String>,
        /// Addresses that nobody in the project has.
        pub unresolved: Vec<String>,
    }

    pub struct MemberAnswer {
        pub membership: Member,
    }

    pub struct MemberRemovedAnswer {
        pub membership_id: Uuid,
        pub application_id: Uuid,
    }

    /// Put a certificate into an application.
    pub struct AssignApplication {
        pub application_id: Uuid,
    }

    pub struct AssignedCertificateAnswer {
        pub certificate: Certificate,
    }
}

query! {
    pub struct ApplicationsQuery {
        /// Part of the name or description.
        pub search: Option<String>,
        /// 1 to 100, default 20.
        pub limit: Option<i64>,
        pub offset: Option<i64>,
        pub cursor: Option<String>,
        /// Ids joined by commas, up to 100.
        pub application_ids: Option<String>,
        pub project_id: Option<String>,
    }
}
