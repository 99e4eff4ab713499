//! Access tokens: `chy_<22 characters id>_<43 characters secret>`, opaque to clients and easy to find for secret scanners.
//!
//! The id is the look-up key; of the secret (256 random bits) only a keyed hash is stored. A token comes from a log-in,
//! is renewed until its last end, and is dead the moment its revocation is acknowledged on the node that took it.

use std::net::IpAddr;
use std::sync::Arc;

use chancery_model::audit::{AuditEvent, AuditRecord, Outcome};
use chancery_model::identity::{AccessToken, ActorId, BrowserSession};
use chancery_model::{AccessTokenId, ProjectId, Timestamp};
use chancery_store::{Change, Write};
use zeroize::Zeroizing;

use super::address::TrustedRanges;
use super::bearer::Bearer;
use super::session::Session;
use super::{PASSWORD, UNIVERSAL_AUTH, access_token_hash};
use crate::Authority;
use crate::call::Requester;
use crate::error::Error;

const PREFIX: &str = "chy_";
pub(super) const REFUSED: &str = "The access token is not valid; log in again";

/// What a log-in answers.
pub struct SessionToken {
    pub access_token: Zeroizing<String>,
    /// Seconds from now.
    pub expires_in: i64,
    /// Seconds from the log-in to the end of the last possible renewal.
    pub max_ttl: i64,
}

impl Authority {
    /// Who presents this token. Costs one keyed hash when the session was seen lately; see `session.rs` for how long a
    /// revocation on another node can stay unseen.
    pub async fn authenticate(&self, bearer: &str, ip: IpAddr) -> Result<Requester, Error> {
        let bearer = Bearer::parse(PREFIX, bearer).ok_or(Error::InvalidToken(REFUSED))?;
        let now = self.now();
        let hash = access_token_hash(self.sealer(), &bearer.secret);
        let sessions = &self.access_state().sessions;
        if let Some(session) = sessions.find(AccessTokenId::from_uuid(bearer.id), now) {
            return session.admit(&hash, ip, now);
        }
        // Taken before the read: a revocation in between must not be overwritten by what was read before it.
        let generation = sessions.generation();
        let (_, session) = self.read_session(AccessTokenId::from_uuid(bearer.id), now).await?;
        let requester = session.admit(&hash, ip, now)?;
        self.ensure_project_key(session.project_id).await?;
        sessions.keep(&Arc::new(session), generation, now);
        Ok(requester)
    }

    /// Prolongs a token by its time to live, up to its last end. The token itself stays the same. Not one of a browser:
    /// that lives by being used.
    pub async fn renew_token(&self, token: &str, ip: IpAddr, request_id: &str) -> Result<SessionToken, Error> {
        let (row, session, bearer) = self.proved_session(token, ip).await?;
        if row.browser.is_some() {
            return Err(Error::InvalidToken(REFUSED));
        }
        let now = self.now();
        let expires_at = now.plus_seconds(row.ttl).min(row.expires_at_max);
        let details = serde_json::json!({ "expiresAt": expires_at.to_string() });
        let write = Write::default()
            .with(Change::ExtendAccessToken { id: row.id, expires_at })
            .audited(session_record(&session, AuditEvent::TokenRenewed, (now, ip, request_id), details));
        self.commit(write).await?;
        self.access_state().sessions.clear();
        Ok(SessionToken {
            access_token: bearer.to_text(PREFIX),
            expires_in: seconds_between(now, expires_at),
            max_ttl: seconds_between(row.created_at, row.expires_at_max),
        })
    }

    /// Ends a session. Whoever holds the token may do it.
    pub async fn revoke_token(&self, token: &str, ip: IpAddr, request_id: &str) -> Result<(), Error> {
        let (row, session, _) = self.proved_session(token, ip).await?;
        let now = self.now();
        let write = Write::default().with(Change::RevokeAccessToken { id: row.id, at: now }).audited(session_record(
            &session,
            AuditEvent::TokenRevoked,
            (now, ip, request_id),
            serde_json::json!({}),
        ));
        self.commit(write).await?;
        self.access_state().sessions.clear();
        Ok(())
    }

    /// Token, session and secret, if the caller may use them now.
    pub(super) async fn proved_session(
        &self,
        token: &str,
        ip: IpAddr,
    ) -> Result<(AccessToken, Session, Bearer), Error> {
        let bearer = Bearer::parse(PREFIX, token.trim()).ok_or(Error::InvalidToken(REFUSED))?;
        let now = self.now();
        let hash = access_token_hash(self.sealer(), &bearer.secret);
        let (row, session) = self.read_session(AccessTokenId::from_uuid(bearer.id), now).await?;
        session.admit(&hash, ip, now)?;
        Ok((row, session, bearer))
    }

    /// Token and actor as the store has them now. Nothing is proved yet: the caller still has to admit the secret.
    async fn read_session(&self, id: AccessTokenId, now: Timestamp) -> Result<(AccessToken, Session), Error> {
        let refused = || Error::InvalidToken(REFUSED);
        let row = self.reader().access_token(id).await?.ok_or_else(refused)?;
        if row.revoked_at.is_some() {
            return Err(refused());
        }
        let (name, method, project_id, role, trusted) = match row.actor {
            ActorId::User(id) => {
                let user = self.reader().user(id).await?.ok_or_else(refused)?;
                (user.email, PASSWORD, user.project_id, user.role, TrustedRanges::default())
            }
            ActorId::Identity(id) => {
                let identity = self.reader().identity(row.project_id, id).await?.ok_or_else(refused)?;
                // Without universal auth there is nothing its tokens could have come from any more.
                let settings = identity.universal_auth.ok_or_else(refused)?;
                let trusted = TrustedRanges::parse("accessTokenTrustedIps", &settings.access_token_trusted_ips)?;
                (identity.name, UNIVERSAL_AUTH, identity.project_id, identity.role, trusted)
            }
            ActorId::System => return Err(refused()),
        };
        if project_id != row.project_id {
            return Err(refused());
        }
        let session = Session {
            token_id: row.id,
            hash: row.hash,
            expires_at: row.expires_at,
            expires_at_max: row.expires_at_max,
            actor_id: row.actor,
            name,
            method,
            project_id,
            role,
            memberships: self.reader().memberships_of(row.actor).await?.into(),
            trusted,
            browser: row.browser.clone(),
            read_at: now,
        };
        Ok((row, session))
    }

    /// A fresh token: its row for the store and its text for the caller.
    pub(super) fn new_token(&self, grant: &Grant) -> (AccessToken, SessionToken) {
        let now = self.now();
        let bearer = Bearer::generate(AccessTokenId::generate(now, self.random()).as_uuid(), self.random());
        let expires_at_max = now.plus_seconds(grant.max_ttl);
        let expires_at = now.plus_seconds(grant.ttl).min(expires_at_max);
        let row = AccessToken {
            id: AccessTokenId::from_uuid(bearer.id),
            actor: grant.actor,
            project_id: grant.project_id,
            hash: access_token_hash(self.sealer(), &bearer.secret),
            expires_at,
            expires_at_max,
            ttl: grant.ttl,
            revoked_at: None,
            browser: grant.browser.clone(),
            created_at: now,
        };
        let token = SessionToken {
            access_token: bearer.to_text(PREFIX),
            expires_in: seconds_between(now, expires_at),
            max_ttl: grant.max_ttl,
        };
        (row, token)
    }
}

/// What a log-in entitles to. Seconds.
pub(super) struct Grant {
    pub actor: ActorId,
    pub project_id: ProjectId,
    pub ttl: i64,
    pub max_ttl: i64,
    pub browser: Option<BrowserSession>,
}

pub(super) const fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millis().saturating_sub(from.as_millis()) / 1000
}

pub(super) fn session_record(
    session: &Session,
    event: AuditEvent,
    (now, ip, request_id): (Timestamp, IpAddr, &str),
    details: serde_json::Value,
) -> AuditRecord {
    AuditRecord {
        time: now,
        project_id: Some(session.project_id),
        actor: session.actor(ip),
        event,
        outcome: Outcome::Success,
        object: Some(("access-token", session.token_id.as_uuid())),
        request_id: request_id.to_owned(),
        details,
    }
}
