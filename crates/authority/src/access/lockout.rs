//! How failures of one account add up: pure functions from its state before to its state after.
//!
//! A lock always ends by itself, and attempts made while it lasts do not prolong it, so nobody can be kept out for good.

use chancery_model::Timestamp;
use chancery_model::identity::{UniversalAuth, User};
use chancery_store::{Change, UserChange};

/// Failures of a person that cost nothing; from then on each one costs a wait.
const USER_FAILURES_FREE: u32 = 5;
const USER_WAIT_SECONDS: i64 = 10;
const USER_WAIT_SECONDS_MAX: i64 = 300;
/// Without a failure for so long, a person's count starts again.
const USER_RESET_SECONDS: i64 = 900;

pub(super) fn is_locked(locked_until: Option<Timestamp>, now: Timestamp) -> bool {
    locked_until.is_some_and(|until| until > now)
}

/// The machine identity after one more failure; `None` when the failure does not count.
pub(super) fn after_identity_failure(before: &UniversalAuth, now: Timestamp) -> Option<UniversalAuth> {
    if !before.lockout_enabled || is_locked(before.locked_until, now) {
        return None;
    }
    let lasting = before.last_failed_at.is_some_and(|at| at.plus_seconds(before.lockout_counter_reset) > now);
    let failed = if lasting { before.failed_logins.saturating_add(1) } else { 1 };
    let locks = failed >= before.lockout_threshold.max(1);
    Some(UniversalAuth {
        failed_logins: if locks { 0 } else { failed },
        last_failed_at: if locks { None } else { Some(now) },
        locked_until: locks.then(|| now.plus_seconds(before.lockout_duration)),
        ..before.clone()
    })
}

/// The machine identity after a log-in; `None` when nothing is to be forgiven.
pub(super) fn after_identity_success(before: &UniversalAuth) -> Option<UniversalAuth> {
    let clean = before.failed_logins == 0 && before.last_failed_at.is_none() && before.locked_until.is_none();
    (!clean).then(|| UniversalAuth { failed_logins: 0, last_failed_at: None, locked_until: None, ..before.clone() })
}

/// The person after one more failure: a wait that doubles up to its maximum. `None` when the failure does not count.
pub(super) fn after_user_failure(before: &User, now: Timestamp) -> Option<User> {
    if is_locked(before.locked_until, now) {
        return None;
    }
    let lasting = before.failed_logins > 0 && before.updated_at.plus_seconds(USER_RESET_SECONDS) > now;
    let failed_logins = if lasting { before.failed_logins.saturating_add(1) } else { 1 };
    let locked_until = failed_logins.checked_sub(USER_FAILURES_FREE).map(|beyond| {
        let wait = USER_WAIT_SECONDS.checked_shl(beyond.min(16)).unwrap_or(USER_WAIT_SECONDS_MAX);
        now.plus_seconds(wait.min(USER_WAIT_SECONDS_MAX))
    });
    Some(User { failed_logins, locked_until, updated_at: now, ..before.clone() })
}

pub(super) fn after_user_success(before: &User, now: Timestamp) -> Option<User> {
    let clean = before.failed_logins == 0 && before.locked_until.is_none();
    (!clean).then(|| User { failed_logins: 0, locked_until: None, updated_at: now, ..before.clone() })
}

/// What a person's state after a failure or a log-in is to the store.
pub(super) fn change(after: &User) -> Change {
    Change::User(UserChange::SetLockout {
        id: after.id,
        failed_logins: after.failed_logins,
        locked_until: after.locked_until,
        at: after.updated_at,
    })
}

#[cfg(test)]
mod tests {
    use chancery_model::permission::Role;
    use chancery_model::{ProjectId, UserId};
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn settings() -> UniversalAuth {
        UniversalAuth {
            client_id: Uuid::nil(),
            access_token_ttl: 60,
            access_token_max_ttl: 60,
            client_secret_trusted_ips: Vec::new(),
            access_token_trusted_ips: Vec::new(),
            lockout_enabled: true,
            lockout_threshold: 3,
            lockout_duration: 300,
            lockout_counter_reset: 30,
            failed_logins: 0,
            last_failed_at: None,
            locked_until: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    fn user() -> User {
        User {
            id: UserId::from_uuid(Uuid::nil()),
            email: "a@example.com".to_owned(),
            password_hash: String::new(),
            project_id: ProjectId::from_uuid(Uuid::nil()),
            role: Role::Admin,
            totp: None,
            failed_logins: 0,
            locked_until: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    /// Failures at the given seconds; whether the identity is locked right after the last.
    fn check_identity(start: UniversalAuth, failures_at: &[i64], locked: bool) {
        let mut state = start;
        let mut now = NOW;
        for second in failures_at {
            now = NOW.plus_seconds(*second);
            state = after_identity_failure(&state, now).unwrap_or(state);
        }
        assert_eq!(is_locked(state.locked_until, now), locked, "{failures_at:?}");
    }

    #[test]
    fn identity_locks_at_its_threshold_and_counts_only_recent_failures() {
        check_identity(settings(), &[0, 1], false);
        check_identity(settings(), &[0, 1, 2], true);
        check_identity(settings(), &[0, 1, 31], false);
        check_identity(settings(), &[0, 29, 58], true);
        check_identity(settings(), &[0, 1, 2, 301], true);
        check_identity(settings(), &[0, 1, 2, 302], false);
        check_identity(settings(), &[0, 1, 2, 302, 303, 304], true);
        check_identity(UniversalAuth { lockout_enabled: false, ..settings() }, &[0, 1, 2, 3, 4], false);
        check_identity(UniversalAuth { lockout_threshold: 1, ..settings() }, &[0], true);
    }

    #[test]
    fn attempts_during_a_lock_do_not_prolong_it() {
        let locked = UniversalAuth { locked_until: Some(NOW.plus_seconds(300)), ..settings() };
        assert_eq!(after_identity_failure(&locked, NOW.plus_seconds(299)), None);
        let locked = User { failed_logins: 9, locked_until: Some(NOW.plus_seconds(300)), ..user() };
        assert_eq!(after_user_failure(&locked, NOW.plus_seconds(299)), None);
    }

    #[test]
    fn a_person_waits_longer_after_each_failure_but_never_for_good() {
        let mut state = user();
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..40 {
            state = after_user_failure(&state, now).unwrap();
            let wait = state.locked_until.map_or(0, |until| until.as_seconds() - now.as_seconds());
            waits.push(wait);
            now = now.plus_seconds(wait.max(1));
        }
        assert_eq!(waits.get(..10).unwrap(), [0, 0, 0, 0, 10, 20, 40, 80, 160, 300]);
        assert!(waits.iter().all(|wait| *wait <= USER_WAIT_SECONDS_MAX));
    }

    #[test]
    fn a_log_in_forgives_and_a_clean_account_is_not_written() {
        assert_eq!(after_identity_success(&settings()), None);
        assert_eq!(after_user_success(&user(), NOW), None);
        let failed = after_identity_failure(&settings(), NOW).unwrap();
        assert_eq!(after_identity_success(&failed), Some(settings()));
        let failed = after_user_failure(&user(), NOW.plus_seconds(5)).unwrap();
        assert_eq!(after_user_success(&failed, NOW), Some(user()));
    }
}
