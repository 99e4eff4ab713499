//! Who has which role in the project, in the shape of clients that keep access apart from identities.

use uuid::Uuid;

wire! {
    /// Give a role: exactly one in this build.
    pub struct GiveRoles {
        pub roles: Vec<GivenRole>,
    }

    pub struct GivenRole {
        /// `admin`, `operator` or `auditor`.
        pub role: String,
        /// Only `false` exists in this build.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub is_temporary: Option<bool>,
    }

    /// A role that somebody has. Temporary and custom roles do not exist in this build.
    pub struct AccessRole {
        pub id: Uuid,
        pub role: String,
        pub is_temporary: bool,
        pub temporary_mode: Option<String>,
        pub temporary_range: Option<String>,
        pub temporary_access_start_time: Option<String>,
        pub temporary_access_end_time: Option<String>,
        pub custom_role_id: Option<Uuid>,
        pub custom_role_name: Option<String>,
        pub custom_role_slug: Option<String>,
    }

    pub struct AccessIdentity {
        pub id: Uuid,
        pub name: String,
    }

    /// A machine identity in its project.
    pub struct IdentityAccess {
        pub id: Uuid,
        pub identity_id: Uuid,
        pub project_id: Uuid,
        pub identity: AccessIdentity,
        pub roles: Vec<AccessRole>,
        pub created_at: String,
        pub updated_at: String,
    }

    pub struct IdentityAccessAnswer {
        pub identity_membership: IdentityAccess,
    }

    pub struct AccessUser {
        pub id: Uuid,
        pub email: String,
        pub username: String,
    }

    /// A person in the project.
    pub struct UserAccess {
        pub id: Uuid,
        pub user_id: Uuid,
        pub project_id: Uuid,
        pub user: AccessUser,
        pub roles: Vec<AccessRole>,
        pub created_at: String,
        pub updated_at: String,
    }

    pub struct RolesAnswer {
        pub roles: Vec<AccessRole>,
    }

    pub struct UserAccessAnswer {
        pub membership: UserAccess,
    }

    pub struct UsersAccessAnswer {
        pub memberships: Vec<UserAccess>,
    }
}
