//! What every handler shares.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::FromRef;
use chancery_authority::Authority;

use crate::limiter::{Limiter, RateLimit};

/// The core and this door's limits. Cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

struct Shared {
    authority: Authority,
    limiter: Option<Limiter>,
    timeout: Duration,
    request_ids: RequestIds,
    measures: OnceLock<Box<dyn Fn() -> Vec<Measure> + Send + Sync>>,
}

/// A counter that another part of the server keeps and that `/metrics` shows too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    pub name: &'static str,
    pub help: &'static str,
    pub value: u64,
}

impl ApiState {
    /// With the default limits: 50 unauthenticated or failed calls per second and address (bursts of 100), 90 s a call, which
    /// is more than a request may `wait`.
    #[must_use]
    pub fn new(authority: Authority) -> Self {
        Self::with_limits(authority, Some(RateLimit::default()), Duration::from_secs(90))
    }

    /// `unauthenticated: None` turns the rate limit off.
    #[must_use]
    pub fn with_limits(authority: Authority, unauthenticated: Option<RateLimit>, timeout: Duration) -> Self {
        let limiter = unauthenticated.map(Limiter::new);
        let (request_ids, measures) = (RequestIds::default(), OnceLock::new());
        Self(Arc::new(Shared { authority, limiter, timeout, request_ids, measures }))
    }

    /// Lets `/metrics` show further counters. The first source given stays.
    #[must_use]
    pub fn also_measuring(self, source: impl Fn() -> Vec<Measure> + Send + Sync + 'static) -> Self {
        // Refused only when there is one already.
        let _ = self.0.measures.set(Box::new(source));
        self
    }

    pub(crate) fn measures(&self) -> Vec<Measure> {
        self.0.measures.get().map(|source| source()).unwrap_or_default()
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.0.authority
    }

    pub(crate) fn limiter(&self) -> Option<&Limiter> {
        self.0.limiter.as_ref()
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    pub(crate) fn next_request_id(&self) -> String {
        self.0.request_ids.next()
    }
}

impl FromRef<ApiState> for Authority {
    fn from_ref(state: &ApiState) -> Self {
        state.authority().clone()
    }
}

/// Names calls for logs. Unique within a process and hard to confuse between processes; nothing secret hangs on them.
#[derive(Default)]
struct RequestIds {
    scramble: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    fn next(&self) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut bits = self.scramble.hash_one(self.count.fetch_add(1, Ordering::Relaxed));
        let mut id = String::with_capacity(17);
        id.push_str("req-");
        for _ in 0..13 {
            let index = usize::try_from(bits & 31).unwrap_or(0);
            id.push(ALPHABET.get(index).copied().map_or('0', char::from));
            bits >>= 5;
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_differ_and_are_short() {
        let ids = RequestIds::default();
        let made: std::collections::HashSet<_> = (0..1_000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 1_000);
        assert!(made.iter().all(|id| id.len() == 17));
    }
}
