//! A CA that keeps its askers waiting is let alone for a while. Every question that ends in a time-out holds one of the few
//! places that all external CAs share, and a few hundred orders at one dead CA would leave the others none.
//!
//! In memory only: a node that does not know yet learns it with its first question.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chancery_model::{CaId, Timestamp};
use tokio::time::Instant;

use super::Asking;
use super::advance::in_time;
use super::upstream::{UpstreamError, UpstreamErrorKind};
use crate::Authority;

/// A question that fails after this long has cost others their place. What fails at once costs nobody anything.
const SLOW: Duration = Duration::from_secs(5);
/// Seconds without questions after one that was slow and failed.
const REST_SECONDS: i64 = 30;
/// Seconds for the one question that tries whether it goes again; longer than any question lasts.
const TRIAL_SECONDS: i64 = 90;
/// CAs in trouble; past this many all are forgotten.
const TROUBLED_MAX: usize = 1_024;

/// The CAs that are let alone, until when, and why.
#[derive(Default)]
pub(crate) struct Trouble(Mutex<HashMap<CaId, Rest>>);

struct Rest {
    until: Timestamp,
    text: String,
}

impl Trouble {
    /// Why the CA is not asked now. Whoever comes first after the rest tries, and the others wait for what comes of it.
    fn obstacle(&self, ca: CaId, now: Timestamp) -> Option<String> {
        let mut troubled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = troubled.get_mut(&ca)?;
        if now < rest.until {
            return Some(rest.text.clone());
        }
        rest.until = now.plus_seconds(TRIAL_SECONDS);
        None
    }

    fn learn<T>(&self, ca: CaId, now: Timestamp, took: Duration, answer: &Result<T, UpstreamError>) {
        let mut troubled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Err(error) if took >= SLOW && error.kind != UpstreamErrorKind::Lasting => {
                if troubled.len() >= TROUBLED_MAX {
                    troubled.clear();
                }
                troubled.insert(ca, Rest { until: now.plus_seconds(REST_SECONDS), text: error.text.clone() });
            }
            _ => {
                troubled.remove(&ca);
            }
        }
    }
}

impl Authority {
    /// Asks a CA on behalf of a job: within the lease, and only if it is not in trouble.
    pub(super) async fn ask<T>(&self, ca: CaId, asking: Asking<'_, T>) -> Result<T, UpstreamError> {
        if let Some(text) = self.trouble().obstacle(ca, self.now()) {
            return Err(UpstreamError::passing(text));
        }
        let began = Instant::now();
        let answer = in_time(asking).await;
        self.trouble().learn(ca, self.now(), began.elapsed(), &answer);
        answer
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_ca_that_keeps_people_waiting_is_tried_by_one_at_a_time() {
        let (trouble, at) = (Trouble::default(), Timestamp::from_seconds);
        let (dead, other) = (CaId::from_uuid(Uuid::from_u128(1)), CaId::from_uuid(Uuid::from_u128(2)));
        let passing = || Err::<(), _>(UpstreamError::passing("it does not answer"));
        let check = |ca, seconds, expected: Option<&str>| {
            assert_eq!(trouble.obstacle(ca, at(seconds)).as_deref(), expected, "{seconds}");
        };
        // What fails at once, or for good, or goes well, is no trouble.
        trouble.learn(dead, at(0), Duration::from_secs(1), &passing());
        trouble.learn(dead, at(0), Duration::from_secs(60), &Err::<(), _>(UpstreamError::lasting("no")));
        trouble.learn(dead, at(0), Duration::from_secs(60), &Ok(()));
        check(dead, 0, None);
        trouble.learn(dead, at(0), SLOW, &passing());
        check(dead, 29, Some("it does not answer"));
        check(other, 29, None);
        // One tries, the others wait.
        check(dead, 30, None);
        check(dead, 31, Some("it does not answer"));
        trouble.learn(dead, at(50), SLOW, &passing());
        check(dead, 79, Some("it does not answer"));
        check(dead, 80, None);
        trouble.learn(dead, at(81), Duration::from_secs(1), &Ok(()));
        check(dead, 81, None);
        check(dead, 81, None);
    }

    #[test]
    fn a_trial_that_is_never_heard_of_again_is_followed_by_another() {
        let (trouble, at) = (Trouble::default(), Timestamp::from_seconds);
        let ca = CaId::from_uuid(Uuid::from_u128(1));
        trouble.learn(ca, at(0), SLOW, &Err::<(), _>(UpstreamError::passing("slow")));
        assert_eq!(trouble.obstacle(ca, at(40)), None);
        assert!(trouble.obstacle(ca, at(40 + TRIAL_SECONDS - 1)).is_some());
        assert_eq!(trouble.obstacle(ca, at(40 + TRIAL_SECONDS)), None);
    }
}
