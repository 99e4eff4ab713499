//! Machine identities, how they log in, and their client secrets.

use uuid::Uuid;

use crate::page::KeyValue;
use crate::words::Role;

wire! {
    /// Make a machine identity.
    pub struct CreateIdentity {
        /// 1 to 255 characters.
        pub name: String,
        /// The caller's project; may be left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub project_id: Option<String>,
        /// Sent by clients of the older service; there is one organisation here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub organization_id: Option<String>,
        /// Default `operator`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub role: Option<Role>,
        /// A protected identity cannot be deleted until the protection is taken off.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub has_delete_protection: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub metadata: Option<Vec<KeyValue>>,
    }

    /// Give a new project its first administrator.
    pub struct AppointAdministrator {
        /// Name of the machine identity that is made, 1 to 255 characters.
        pub name: String,
    }

    /// The administrator and how it logs in. The secret is shown here and never again.
    pub struct AppointedAdministrator {
        pub identity: Identity,
        pub client_id: Uuid,
        pub client_secret: String,
    }

    /// Change a machine identity; keys left out stay as they are.
    pub struct UpdateIdentity {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub role: Option<Role>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub has_delete_protection: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub metadata: Option<Vec<KeyValue>>,
    }

    /// A machine identity.
    pub struct Identity {
        pub id: Uuid,
        pub name: String,
        /// Ways it can log in; `universal-auth` or none yet.
        pub auth_methods: Vec<String>,
        pub has_delete_protection: bool,
        pub role: Role,
        pub project_id: Uuid,
        pub org_id: Uuid,
        pub metadata: Vec<KeyValue>,
        pub created_at: String,
        pub updated_at: String,
    }

    pub struct IdentityAnswer {
        pub identity: Identity,
    }

    /// An identity with its place in the organisation.
    pub struct IdentityMembership {
        pub identity: Identity,
        pub role: Role,
        pub org_id: Uuid,
        pub metadata: Vec<KeyValue>,
    }

    pub struct IdentityMembershipAnswer {
        pub identity: IdentityMembership,
    }

    pub struct IdentitiesAnswer {
        pub identities: Vec<IdentityMembership>,
        pub total_count: u64,
        pub total_count_exact: bool,
        pub next_cursor: Option<String>,
    }

    pub struct Organization {
        pub id: Uuid,
        pub name: String,
        pub slug: String,
    }

    /// Who am I.
    pub struct IdentityDetails {
        pub organization: Organization,
        /// `identity` or `user`.
        #[serde(rename = "type")]
        pub kind: String,
        pub id: Option<Uuid>,
        pub name: String,
        pub role: Role,
        pub project_id: Uuid,
    }

    pub struct IdentityDetailsAnswer {
        pub identity_details: IdentityDetails,
    }

    /// An address or CIDR range.
    pub struct TrustedIp {
        pub ip_address: String,
    }

    /// Universal-auth settings; keys left out stay as they are or take their default.
    #[derive(Default)]
    pub struct UniversalAuthSettings {
        /// Ranges from which client secrets are accepted; empty means anywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub client_secret_trusted_ips: Option<Vec<TrustedIp>>,
        /// Ranges from which tokens are accepted; empty means anywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub access_token_trusted_ips: Option<Vec<TrustedIp>>,
        /// Seconds, 1 to 315360000; default 2592000.
        #[serde(default, rename = "accessTokenTTL", skip_serializing_if = "Option::is_none")]
        pub access_token_ttl: Option<i64>,
        /// Seconds, at least `accessTokenTTL`; default 2592000.
        #[serde(default, rename = "accessTokenMaxTTL", skip_serializing_if = "Option::is_none")]
        pub access_token_max_ttl: Option<i64>,
        /// Only 0 (no limit) exists in this build.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub access_token_num_uses_limit: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub lockout_enabled: Option<bool>,
        /// Failures in a row until the lock, 1 to 30; default 3.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub lockout_threshold: Option<u32>,
        /// Seconds of the lock; default 300.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub lockout_duration_seconds: Option<i64>,
        /// Seconds without a failure after which the count starts again; default 30.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub lockout_counter_reset_seconds: Option<i64>,
    }

    /// How a machine identity logs in with client id and secret.
    pub struct UniversalAuth {
        pub id: Uuid,
        pub client_id: Uuid,
        pub identity_id: Uuid,
        #[serde(rename = "accessTokenTTL")]
        pub access_token_ttl: i64,
        #[serde(rename = "accessTokenMaxTTL")]
        pub access_token_max_ttl: i64,
        pub access_token_num_uses_limit: i64,
        pub access_token_period: i64,
        pub client_secret_trusted_ips: Vec<TrustedIp>,
        pub access_token_trusted_ips: Vec<TrustedIp>,
        pub lockout_enabled: bool,
        pub lockout_threshold: u32,
        pub lockout_duration_seconds: i64,
        pub lockout_counter_reset_seconds: i64,
        pub created_at: String,
        pub updated_at: String,
    }

    pub struct UniversalAuthAnswer {
        pub identity_universal_auth: UniversalAuth,
    }

    /// Make a client secret.
    #[derive(Default)]
    pub struct CreateClientSecret {
        #[serde(default)]
        pub description: String,
        /// Log-ins it is good for; 0 means no limit.
        #[serde(default)]
        pub num_uses_limit: u32,
        /// Seconds it lives; 0 means no end.
        #[serde(default)]
        pub ttl: i64,
    }

    /// A client secret without the secret.
    pub struct ClientSecretData {
        pub id: Uuid,
        pub description: String,
        /// First characters of the secret.
        pub client_secret_prefix: String,
        pub client_secret_num_uses: u32,
        pub client_secret_num_uses_limit: u32,
        /// Seconds it lives; 0 means no end.
        #[serde(rename = "clientSecretTTL")]
        pub client_secret_ttl: i64,
        pub is_client_secret_revoked: bool,
        #[serde(rename = "identityUAId")]
        pub identity_ua_id: Uuid,
        pub created_at: String,
        pub updated_at: String,
    }

    /// The secret itself is shown here and never again.
    pub struct CreatedClientSecret {
        pub client_secret: String,
        pub client_secret_data: ClientSecretData,
    }

    pub struct ClientSecretAnswer {
        pub client_secret_data: ClientSecretData,
    }

    pub struct ClientSecretsAnswer {
        pub client_secret_data: Vec<ClientSecretData>,
    }
}
