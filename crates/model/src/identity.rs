//! People, machine identities, and what they log in with.

use std::net::IpAddr;

use crate::id::{AccessTokenId, ClientSecretId, IdentityId, ProjectId, SignInLinkId, UserId};
use crate::permission::Role;
use crate::time::Timestamp;

/// A person who signs in with e-mail and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// Lower case, unique.
    pub email: String,
    /// Argon2id in PHC string form; never leaves the core. Empty until the person has chosen a password, and after a reset.
    pub password_hash: String,
    pub project_id: ProjectId,
    pub role: Role,
    /// The second factor, once it is set up.
    pub totp: Option<SealedTotp>,
    pub failed_logins: u32,
    /// Sign-in is refused until then.
    pub locked_until: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl User {
    /// Whether a log-in needs a code beside the password. A secret that was shown and never confirmed asks for nothing.
    #[must_use]
    pub fn has_second_factor(&self) -> bool {
        self.totp.as_ref().is_some_and(|it| it.is_confirmed)
    }

    /// Whether the second factor is the one that `other` has; how often it was used does not matter.
    #[must_use]
    pub fn totp_is_of(&self, other: &Self) -> bool {
        let facts = |it: &Self| it.totp.as_ref().map(|it| (it.sealed.clone(), it.is_confirmed));
        facts(self) == facts(other)
    }

    /// Whether the person has chosen a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        !self.password_hash.is_empty()
    }
}

/// The secret that a person's authenticator app shares with the server (RFC 6238), sealed under the project's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedTotp {
    pub sealed: Vec<u8>,
    /// Number of the last time step whose code was accepted; none up to it is accepted again (RFC 6238 §5.2).
    pub last_step: i64,
    /// Whether the person has shown that the app knows the secret.
    pub is_confirmed: bool,
}

/// A link that signs a person in once. Of the token in it only a keyed hash is kept; the row is gone when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInLinkRecord {
    pub id: SignInLinkId,
    pub user_id: UserId,
    pub hash: [u8; 32],
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

/// A program that signs in with a client id and secret (universal auth).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub id: IdentityId,
    pub project_id: ProjectId,
    pub name: String,
    pub role: Role,
    pub has_delete_protection: bool,
    pub metadata: Vec<(String, String)>,
    pub universal_auth: Option<UniversalAuth>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The universal-auth settings of a machine identity.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UniversalAuth {
    pub client_id: uuid::Uuid,
    /// Seconds, 1 to 315 360 000.
    pub access_token_ttl: i64,
    /// Seconds; the end of the chain of renewals of one token.
    pub access_token_max_ttl: i64,
    /// CIDR ranges from which secrets and tokens are accepted; empty means anywhere.
    pub client_secret_trusted_ips: Vec<String>,
    pub access_token_trusted_ips: Vec<String>,
    pub lockout_enabled: bool,
    pub lockout_threshold: u32,
    /// Seconds.
    pub lockout_duration: i64,
    /// Seconds without a failure after which the count starts again.
    pub lockout_counter_reset: i64,
    pub failed_logins: u32,
    pub last_failed_at: Option<Timestamp>,
    pub locked_until: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// One secret of a machine identity. Only a keyed hash of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    pub id: ClientSecretId,
    pub identity_id: IdentityId,
    pub project_id: ProjectId,
    pub description: String,
    /// First characters of the secret, so that people can tell secrets apart.
    pub prefix: String,
    /// HMAC-SHA-256 under the server's pepper.
    pub hash: [u8; 32],
    /// 0 means no limit.
    pub uses_max: u32,
    pub uses: u32,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Who a token or an audit entry speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "lowercase")]
pub enum ActorId {
    User(UserId),
    Identity(IdentityId),
    /// The server itself: jobs and first set-up.
    System,
}

/// A login session. The bearer token holds the id and a secret; only a keyed hash of the secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    pub id: AccessTokenId,
    pub actor: ActorId,
    pub project_id: ProjectId,
    pub hash: [u8; 32],
    pub expires_at: Timestamp,
    /// Renewals never go beyond this.
    pub expires_at_max: Timestamp,
    /// Seconds each renewal adds.
    pub ttl: i64,
    pub revoked_at: Option<Timestamp>,
    /// Present when a person signed in with a browser.
    pub browser: Option<BrowserSession>,
    pub created_at: Timestamp,
}

/// What is kept of a session in a browser, so that its owner recognises it in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSession {
    /// Where it began.
    pub ip: IpAddr,
    /// As the browser calls itself, at most 255 characters; hostile text.
    pub user_agent: String,
    /// Behind by a minute at most.
    pub last_used_at: Timestamp,
    /// When the person last proved who they are: at the sign-in, or before something grave.
    pub confirmed_at: Timestamp,
}
