//! Sessions seen lately, so that a request costs one keyed hash and no read of the store.
//!
//! An entry is trusted for [`TRUSTED_MILLIS`]; then token and actor are read again, which bounds how long a revocation on
//! another node stays unseen. A revocation on this node empties the cache before it is acknowledged.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_model::audit::Actor;
use chancery_model::identity::{ActorId, BrowserSession};
use chancery_model::permission::Role;
use chancery_model::{AccessTokenId, ProjectId, Timestamp};

use super::address::TrustedRanges;
use super::token::REFUSED;
use crate::call::{Memberships, Presence, Requester};
use crate::error::Error;
use crate::open::ip_text;

/// Security promise: a revoked token is dead on every node within 5 s.
const TRUSTED_MILLIS: i64 = 4_000;
const SESSIONS_MAX: usize = 10_000;

/// A token and the actor behind it, as read from the store.
pub(super) struct Session {
    pub token_id: AccessTokenId,
    pub hash: [u8; 32],
    pub expires_at: Timestamp,
    pub expires_at_max: Timestamp,
    pub actor_id: ActorId,
    pub name: String,
    pub method: &'static str,
    pub project_id: ProjectId,
    pub role: Role,
    pub memberships: Memberships,
    pub trusted: TrustedRanges,
    pub browser: Option<BrowserSession>,
    pub read_at: Timestamp,
}

impl Session {
    /// The caller, if the presented secret is this session's and it is used in time and from a trusted address.
    pub fn admit(&self, hash: &[u8; 32], ip: IpAddr, now: Timestamp) -> Result<Requester, Error> {
        if !chancery_keys::constant_time_eq(&self.hash, hash) {
            return Err(Error::InvalidToken(REFUSED));
        }
        if self.expires_at <= now {
            return Err(Error::InvalidToken("The access token has expired; log in again"));
        }
        if !self.trusted.contains(ip) {
            let message =
                "The access token is not accepted from this address; see the identity's accessTokenTrustedIps";
            return Err(Error::forbidden("auth.address", message));
        }
        if self.browser.as_ref().is_some_and(|it| !is_near(it.ip, ip)) {
            return Err(Error::InvalidToken("The session was begun on another network; sign in again"));
        }
        Ok(Requester {
            actor: self.actor(ip),
            project_id: self.project_id,
            role: self.role,
            token_id: Some(self.token_id),
            memberships: Arc::clone(&self.memberships),
            presence: self.browser.as_ref().map(|it| Presence {
                confirmed_at: it.confirmed_at,
                last_used_at: it.last_used_at,
                ends_at: self.expires_at_max,
            }),
        })
    }

    pub fn actor(&self, ip: IpAddr) -> Actor {
        Actor { id: self.actor_id, name: self.name.clone(), method: self.method.to_owned(), ip: ip_text(ip) }
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        // A clock that was set back makes the age negative; such an entry is read again as well.
        (0..TRUSTED_MILLIS).contains(&now.as_millis().saturating_sub(self.read_at.as_millis())) && self.expires_at > now
    }
}

/// Whether two addresses may be one person's: the same /24 or /48, or both on this machine. A stolen cookie does not
/// travel further, and a lease that changes inside one network ends no session.
fn is_near(one: IpAddr, other: IpAddr) -> bool {
    match (one.to_canonical(), other.to_canonical()) {
        (one, other) if one.is_loopback() && other.is_loopback() => true,
        (IpAddr::V4(one), IpAddr::V4(other)) => one.to_bits() >> 8 == other.to_bits() >> 8,
        (IpAddr::V6(one), IpAddr::V6(other)) => one.to_bits() >> 80 == other.to_bits() >> 80,
        _ => false,
    }
}

#[derive(Default)]
pub(super) struct SessionCache(Mutex<Sessions>);

#[derive(Default)]
struct Sessions {
    entries: HashMap<AccessTokenId, Arc<Session>>,
    /// Counts clearings: a session read before one must not be put back after it.
    generation: u64,
}

impl SessionCache {
    pub fn find(&self, id: AccessTokenId, now: Timestamp) -> Option<Arc<Session>> {
        self.lock().entries.get(&id).filter(|session| session.is_fresh(now)).map(Arc::clone)
    }

    pub fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Keeps a session that was read while the cache was at `generation`.
    pub fn keep(&self, session: &Arc<Session>, generation: u64, now: Timestamp) {
        let mut sessions = self.lock();
        if sessions.generation != generation {
            return;
        }
        if sessions.entries.len() >= SESSIONS_MAX {
            sessions.entries.retain(|_, kept| kept.is_fresh(now));
        }
        if sessions.entries.len() >= SESSIONS_MAX {
            sessions.entries.clear();
        }
        sessions.entries.insert(session.token_id, Arc::clone(session));
    }

    /// Forgets one session: what it says has changed.
    pub fn forget(&self, id: AccessTokenId) {
        self.lock().entries.remove(&id);
    }

    pub fn clear(&self) {
        let mut sessions = self.lock();
        sessions.generation = sessions.generation.wrapping_add(1);
        sessions.entries.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chancery_model::random::SeededRandomness;
    use chancery_model::{IdentityId, Randomness};

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn session(random: &dyn Randomness) -> Arc<Session> {
        Arc::new(Session {
            token_id: AccessTokenId::generate(NOW, random),
            hash: [7; 32],
            expires_at: NOW.plus_seconds(60),
            expires_at_max: NOW.plus_seconds(60),
            actor_id: ActorId::Identity(IdentityId::generate(NOW, random)),
            name: "agent".to_owned(),
            method: "universal-auth",
            project_id: ProjectId::generate(NOW, random),
            role: Role::Operator,
            memberships: Arc::default(),
            trusted: TrustedRanges::parse("ips", &["10.0.0.0/8".to_owned()]).unwrap(),
            browser: None,
            read_at: NOW,
        })
    }

    #[test]
    fn a_session_is_read_again_after_its_time_of_trust() {
        let cache = SessionCache::default();
        let session = session(&SeededRandomness::new(1));
        cache.keep(&session, cache.generation(), NOW);
        for (millis, found) in [(0, true), (3_999, true), (4_000, false), (-1, false)] {
            let now = Timestamp::from_millis(NOW.as_millis() + millis);
            assert_eq!(cache.find(session.token_id, now).is_some(), found, "{millis}");
        }
    }

    #[test]
    fn a_session_read_before_a_clearing_is_not_kept_after_it() {
        let cache = SessionCache::default();
        let session = session(&SeededRandomness::new(2));
        let generation = cache.generation();
        cache.clear();
        cache.keep(&session, generation, NOW);
        assert!(cache.find(session.token_id, NOW).is_none());
    }

    #[test]
    fn the_cache_stays_bounded() {
        let cache = SessionCache::default();
        let random = SeededRandomness::new(3);
        for _ in 0..SESSIONS_MAX + 5 {
            cache.keep(&session(&random), cache.generation(), NOW);
        }
        assert!(cache.lock().entries.len() <= SESSIONS_MAX);
    }

    #[test]
    fn admission_needs_the_secret_the_time_and_the_address() {
        let session = session(&SeededRandomness::new(4));
        let inside: IpAddr = "10.1.1.1".parse().unwrap();
        let outside: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(session.admit(&[7; 32], inside, NOW).is_ok());
        assert!(matches!(session.admit(&[8; 32], inside, NOW), Err(Error::InvalidToken(_))));
        assert!(matches!(session.admit(&[7; 32], inside, NOW.plus_seconds(60)), Err(Error::InvalidToken(_))));
        assert!(matches!(session.admit(&[7; 32], outside, NOW), Err(Error::Forbidden { .. })));
    }
}
