//! Refused log-ins: counted exactly, locked out by the account's settings, and written to the audit log at most once a
//! second per account, so that a flood of wrong secrets does not fill the disk. All attempts on accounts that do not
//! exist share one line, because their number has no bound.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chancery_model::audit::{Actor, AuditEvent, AuditRecord, Outcome};
use chancery_model::identity::ActorId;
use chancery_model::{ProjectId, Timestamp};
use chancery_store::{Change, Write};
use uuid::Uuid;

use super::{PASSWORD, lockout};
use crate::Authority;
use crate::error::Error;
use crate::open::ip_text;

/// Time between two entries about one account.
const QUIET_MILLIS: i64 = 1_000;

/// A record that is written to no other purpose than to take as long as a true one.
const DECOY: &str = "login-decoy";

/// What a stranger is told, whatever was wrong: which part it was would help a guesser.
const REFUSED: &str =
    "The credentials are wrong or there were too many failed attempts; check them, or wait some minutes";

/// One refused attempt. Nothing in it was proved, so the actor of its audit entry is nobody.
#[derive(Clone, Debug)]
pub(super) struct FailedLogin {
    pub method: &'static str,
    /// The account that was aimed at, if there is one.
    pub account: Option<(ActorId, ProjectId)>,
    /// For the auditor, not for the caller.
    pub reason: &'static str,
    /// Whether it was a wrong secret, which brings the account nearer to its lock.
    pub counts: bool,
    pub ip: IpAddr,
    pub request_id: String,
}

/// Failures per account that are not yet written down.
#[derive(Default)]
pub(super) struct FailureLog {
    lines: Mutex<HashMap<Option<ActorId>, Line>>,
    total: AtomicU64,
    is_flush_due: AtomicBool,
}

struct Line {
    written_at: Timestamp,
    latest: FailedLogin,
    pending: u64,
}

impl FailureLog {
    /// Notes an attempt. The answer is the number of attempts to write down now; `None` while the line is quiet.
    fn note(&self, failed: &FailedLogin, now: Timestamp, at_once: bool) -> Option<u64> {
        self.total.fetch_add(1, Ordering::Relaxed);
        let mut lines = self.lock();
        let line = lines.entry(failed.key()).or_insert_with(|| Line {
            written_at: Timestamp::from_millis(i64::MIN),
            latest: failed.clone(),
            pending: 0,
        });
        line.latest = failed.clone();
        line.pending = line.pending.saturating_add(1);
        let since = now.as_millis().saturating_sub(line.written_at.as_millis());
        if !at_once && (0..QUIET_MILLIS).contains(&since) {
            return None;
        }
        line.written_at = now;
        Some(std::mem::take(&mut line.pending))
    }

    /// Takes what waits to be written and forgets lines that are quiet.
    fn take_pending(&self, now: Timestamp) -> Vec<(FailedLogin, u64)> {
        let mut lines = self.lock();
        let mut taken = Vec::new();
        for line in lines.values_mut().filter(|line| line.pending > 0) {
            taken.push((line.latest.clone(), std::mem::take(&mut line.pending)));
            line.written_at = now;
        }
        lines.retain(|_, line| now.as_millis().saturating_sub(line.written_at.as_millis()) < QUIET_MILLIS);
        taken
    }

    /// Gives back attempts that could not be written.
    fn put_back(&self, failed: &FailedLogin, count: u64) {
        let mut lines = self.lock();
        let fresh = || Line { written_at: Timestamp::from_millis(i64::MIN), latest: failed.clone(), pending: 0 };
        let line = lines.entry(failed.key()).or_insert_with(fresh);
        line.pending = line.pending.saturating_add(count);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<ActorId>, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FailedLogin {
    fn key(&self) -> Option<ActorId> {
        self.account.map(|(actor, _)| actor)
    }

    fn record(&self, now: Timestamp, count: u64, locked_until: Option<Timestamp>) -> AuditRecord {
        let mut details = serde_json::json!({ "method": self.method, "reason": self.reason, "attempts": count });
        if let (Some(until), Some(map)) = (locked_until, details.as_object_mut()) {
            map.insert("lockedUntil".to_owned(), until.to_string().into());
        }
        AuditRecord {
            time: now,
            project_id: self.account.map(|(_, project)| project),
            actor: Actor {
                id: ActorId::System,
                name: "anonymous".to_owned(),
                method: "none".to_owned(),
                ip: ip_text(self.ip),
            },
            event: AuditEvent::LoginFailed,
            outcome: Outcome::Denied,
            object: self.account.and_then(|(actor, _)| object_of(actor)),
            request_id: self.request_id.clone(),
            details,
        }
    }
}

pub(super) fn object_of(actor: ActorId) -> Option<(&'static str, Uuid)> {
    match actor {
        ActorId::User(id) => Some(("user", id.as_uuid())),
        ActorId::Identity(id) => Some(("identity", id.as_uuid())),
        ActorId::System => None,
    }
}

impl Authority {
    /// Log-ins refused since the start, exactly.
    #[must_use]
    pub fn failed_logins(&self) -> u64 {
        self.access_state().failures.total.load(Ordering::Relaxed)
    }

    /// Counts a refused log-in against its account, writes it down when it is time, and gives the error to answer.
    pub(super) async fn refuse_login(&self, failed: FailedLogin) -> Error {
        let refused =
            if failed.counts { self.count_failure(&failed).await } else { self.write_failure(&failed, None).await };
        refused.err().unwrap_or(Error::Unauthenticated(REFUSED))
    }

    async fn count_failure(&self, failed: &FailedLogin) -> Result<(), Error> {
        let Some((actor, project)) = failed.account else {
            return self.write_failure(failed, None).await;
        };
        // Only one failure at a time may read and write the count; otherwise parallel guesses count as one.
        let _changes = self.access_state().changes.lock().await;
        let now = self.now();
        let (change, locked_until) = match actor {
            ActorId::Identity(id) => {
                let identity = self.reader().identity(project, id).await?;
                let after = identity.and_then(|it| {
                    let state = lockout::after_identity_failure(it.universal_auth.as_ref()?, now)?;
                    let until = state.locked_until;
                    let changed = chancery_model::identity::Identity { universal_auth: Some(state), ..it };
                    Some((Change::UpdateIdentity(changed), until))
                });
                after.unzip()
            }
            ActorId::User(id) => {
                let after = self.reader().user(id).await?.and_then(|it| lockout::after_user_failure(&it, now));
                after.map(|user| (lockout::change(&user), user.locked_until)).unzip()
            }
            ActorId::System => (None, None),
        };
        match change {
            Some(change) => self.write_failure(failed, Some((change, locked_until.flatten()))).await,
            None => self.write_failure(failed, None).await,
        }
    }

    /// Commits the account's new state, if any, and the audit entry, if it is time for one. A lock is always told.
    async fn write_failure(
        &self,
        failed: &FailedLogin,
        change: Option<(Change, Option<Timestamp>)>,
    ) -> Result<(), Error> {
        let now = self.now();
        let log = &self.access_state().failures;
        let locked_until = change.as_ref().and_then(|(_, until)| *until);
        let count = log.note(failed, now, locked_until.is_some());
        let mut write = Write::default();
        match change {
            Some((change, _)) => write = write.with(change),
            // A wrong password for an account that exists costs a durable write; without one here, the time of a refusal
            // would tell which addresses are known. The gate for passwords bounds how many there can be.
            None if failed.method == PASSWORD => {
                write = write
                    .with(Change::SetMeta { key: DECOY.to_owned(), value: now.as_millis().to_be_bytes().to_vec() });
            }
            None => {}
        }
        match count {
            Some(count) => write = write.audited(failed.record(now, count, locked_until)),
            None => self.flush_failures_soon(),
        }
        if write.changes.is_empty() && write.audit.is_empty() {
            return Ok(());
        }
        self.commit(write).await.inspect_err(|_| {
            if let Some(count) = count {
                log.put_back(failed, count);
                self.flush_failures_soon();
            }
        })
    }

    /// A flood that ends leaves attempts unwritten; they are written a second later.
    fn flush_failures_soon(&self) {
        if self.access_state().failures.is_flush_due.swap(true, Ordering::SeqCst) {
            return;
        }
        let authority = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(1_000)).await;
            authority.access_state().failures.is_flush_due.store(false, Ordering::SeqCst);
            if let Err(error) = authority.flush_failed_logins().await {
                tracing::warn!(%error, "refused log-ins could not be written to the audit log; they are kept and written later");
            }
        });
    }

    /// Writes every refused log-in that is not yet in the audit log. To be called before the store is closed.
    pub async fn flush_failed_logins(&self) -> Result<(), Error> {
        let now = self.now();
        let log = &self.access_state().failures;
        let pending = log.take_pending(now);
        if pending.is_empty() {
            return Ok(());
        }
        let mut write = Write::default();
        for (failed, count) in &pending {
            write = write.audited(failed.record(now, *count, None));
        }
        self.commit(write).await.inspect_err(|_| {
            for (failed, count) in &pending {
                log.put_back(failed, *count);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use chancery_model::IdentityId;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn attempt(account: Option<u128>) -> FailedLogin {
        let account = account.map(|number| {
            let id = ActorId::Identity(IdentityId::from_uuid(Uuid::from_u128(number)));
            (id, ProjectId::from_uuid(Uuid::nil()))
        });
        FailedLogin {
            method: "universal-auth",
            account,
            reason: "wrong secret",
            counts: true,
            ip: IpAddr::from([192, 0, 2, 1]),
            request_id: "r".to_owned(),
        }
    }

    #[test]
    fn a_flood_writes_one_entry_a_second_and_loses_no_count() {
        let log = FailureLog::default();
        let mut written = Vec::new();
        for millis in 0..2_500 {
            let now = Timestamp::from_millis(NOW.as_millis() + millis);
            written.extend(log.note(&attempt(Some(1)), now, false));
        }
        assert_eq!(written, [1, 1_000, 1_000]);
        let rest = log.take_pending(NOW.plus_seconds(3));
        assert_eq!(rest.iter().map(|(_, count)| *count).sum::<u64>() + written.iter().sum::<u64>(), 2_500);
        assert_eq!(log.total.load(Ordering::Relaxed), 2_500);
    }

    #[test]
    fn accounts_have_lines_of_their_own_and_unknown_ones_share_one() {
        let log = FailureLog::default();
        assert_eq!(log.note(&attempt(Some(1)), NOW, false), Some(1));
        assert_eq!(log.note(&attempt(Some(2)), NOW, false), Some(1));
        assert_eq!(log.note(&attempt(None), NOW, false), Some(1));
        assert_eq!(log.note(&attempt(None), NOW, false), None);
        assert_eq!(log.note(&attempt(Some(1)), NOW, true), Some(1), "a lock is written at once");
        assert_eq!(log.lock().len(), 3);
    }

    #[test]
    fn attempts_that_could_not_be_written_are_kept() {
        let log = FailureLog::default();
        let count = log.note(&attempt(Some(1)), NOW, false).unwrap();
        log.put_back(&attempt(Some(1)), count);
        assert_eq!(log.note(&attempt(Some(1)), NOW, false), None);
        assert_eq!(log.take_pending(NOW).first().map(|(_, count)| *count), Some(2));
        assert!(log.take_pending(NOW.plus_seconds(2)).is_empty());
        assert!(log.lock().is_empty(), "quiet lines are forgotten");
    }
}
