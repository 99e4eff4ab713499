//! Who asks: log-ins, sessions, people, machine identities and their secrets, projects, the first administrator.
//!
//! Doors hand in what a caller presents and get a [`crate::Requester`] back; nothing else makes one. Secrets are kept
//! as keyed hashes only and are shown once, to whoever made them. Must not know how a credential travelled (header,
//! form, cookie). Start reading at `token.rs` (the hot path), `login.rs` for
//! machines and `sign_in.rs` for people.

mod address;
mod administrator;
mod bearer;
mod failure;
mod identity;
mod link;
mod lockout;
mod login;
mod own_account;
mod own_session;
mod password;
mod project;
mod secret;
mod session;
mod sign_in;
mod token;
mod totp;
mod user;

pub use identity::{IdentityPatch, NewIdentity, UniversalAuthSettings};
pub use link::SignInLink;
pub use own_account::TotpSetup;
pub use own_session::OwnSession;
pub use project::{NewProject, ProjectPatch};
pub use secret::NewClientSecret;
pub use token::SessionToken;
pub use user::NewUser;

use std::net::IpAddr;

use chancery_keys::Sealer;

use self::failure::FailureLog;
pub(crate) use self::identity::checked_metadata;
use self::password::PasswordGate;
use self::session::SessionCache;

/// Who stands before the door: for the audit log, and for the list of sessions.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// Peer address as judged.
    pub ip: IpAddr,
    /// As the browser calls itself; of a longer one 255 characters are kept.
    pub user_agent: &'a str,
    pub request_id: &'a str,
}

/// What the rooms of access keep in memory: known sessions, failures not yet written down, and two gates.
#[derive(Default)]
pub(crate) struct AccessState {
    sessions: SessionCache,
    failures: FailureLog,
    passwords: PasswordGate,
    /// One change of an identity at a time on this node: a change is a read, a decision and a write of the whole row.
    changes: tokio::sync::Mutex<()>,
}

impl AccessState {
    /// Forgets every session. Failures that wait to be written stay.
    pub fn clear(&self) {
        self.sessions.clear();
    }
}

/// How a caller was authenticated, as audit entries name it.
const UNIVERSAL_AUTH: &str = "universal-auth";
const PASSWORD: &str = "password";

/// What the store keeps of a client secret.
fn client_secret_hash(sealer: &Sealer, secret: &str) -> [u8; 32] {
    sealer.keyed_hash("client-secret", secret.as_bytes())
}

/// What the store keeps of a token's secret part.
fn access_token_hash(sealer: &Sealer, secret: &[u8; 32]) -> [u8; 32] {
    sealer.keyed_hash("access-token", secret)
}

/// What the store keeps of a sign-in link's secret part.
fn sign_in_link_hash(sealer: &Sealer, secret: &[u8; 32]) -> [u8; 32] {
    sealer.keyed_hash("sign-in-link", secret)
}
