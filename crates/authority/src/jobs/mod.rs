//! The job loop: what is due is leased and done, by whichever node comes first, most urgent first. Lanes
//! ([`JobLane`]) go on beside one another, so that a web server that does not answer delays no CRL.
//!
//! A lease lasts [`LEASE_SECONDS`] at most. A node that is paused longer finds its fencing token outdated: the write that
//! would have finished its job, effect included, is refused as a whole. What fails is tried again later and later; what was
//! due while no server ran is done at the next start.
//!
//! Each kind of job has its work beside the thing it works on, as a function `run(authority, job, fence)` that commits its
//! effect together with [`Change::FinishJob`]. Start reading at [`Authority::run_due_jobs`].

mod backoff;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chancery_model::job::{Fence, Job, JobKey, JobKind, JobLane};
use chancery_store::{Change, Conflict, StoreError, Write};
use tokio::task::JoinSet;

use crate::error::Error;
use crate::{Authority, alert, external, hierarchy, inventory, renewal, revocation, status};

pub(crate) use backoff::Backoff;

/// How long a node may take for one job before another may take it over.
pub(crate) const LEASE_SECONDS: i64 = 120;
/// The same for CRLs and responders: while the lease of a node that died lasts, no revocation reaches its CRL. The largest
/// takes a few seconds.
const STATUS_LEASE_SECONDS: i64 = 30;
/// Jobs of one lane done at once by this node.
const CONCURRENT_MAX: usize = 16;
/// Jobs looked up at once.
const BATCH: u32 = 256;
/// Jobs done in one sweep at most: what a defect could make of it is bounded.
const SWEEP_MAX: usize = 1_000_000;
const POLL: Duration = Duration::from_secs(1);

/// What the loop remembers in memory.
#[derive(Default)]
pub(crate) struct JobState {
    status: Lane,
    work: Lane,
    outgoing: Lane,
    external: Lane,
    /// Set for good by [`Authority::stop_jobs`].
    stopping: AtomicBool,
    /// Ends of leases that could not be written, as on a full disk: written as soon as that is possible, so that nothing
    /// waits for a lease that nobody uses.
    unwritten: Mutex<Vec<Change>>,
    done: AtomicU64,
    failed: AtomicU64,
}

#[derive(Default)]
struct Lane {
    /// One sweep at a time: a caller that waits for a sweep knows that nothing due before is still under way here.
    sweep: tokio::sync::Mutex<()>,
    wake: tokio::sync::Notify,
}

impl JobState {
    const fn lane(&self, lane: JobLane) -> &Lane {
        match lane {
            JobLane::Status => &self.status,
            JobLane::Work => &self.work,
            JobLane::Outgoing => &self.outgoing,
            JobLane::External => &self.external,
        }
    }
}

/// What the loop has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounters {
    pub done: u64,
    pub failed: u64,
}

impl Authority {
    /// Does every job that is due now and returns how many were done or tried. Used by tests after moving the clock.
    pub async fn run_due_jobs(&self) -> usize {
        let mut tried = 0;
        loop {
            let before = tried;
            for lane in JobLane::ALL {
                tried += self.sweep(*lane).await;
            }
            // What one lane does may be due in another.
            if tried == before || tried >= SWEEP_MAX {
                return tried;
            }
        }
    }

    /// Runs due jobs until it is dropped: every second, and at once when this node has made one due.
    pub async fn run_jobs(self) {
        let turns = async |lane| {
            loop {
                self.sweep(lane).await;
                // Waiting for either; a timeout is the usual case.
                let _ = tokio::time::timeout(POLL, self.job_state().lane(lane).wake.notified()).await;
            }
        };
        tokio::join!(turns(JobLane::Status), turns(JobLane::Work), turns(JobLane::Outgoing), turns(JobLane::External));
    }

    /// Lets the jobs under way here end and begins no more, before the server stops: a job that was cut off would stay
    /// leased until its lease ends.
    pub async fn stop_jobs(&self) {
        self.job_state().stopping.store(true, Ordering::Relaxed);
        for lane in JobLane::ALL {
            drop(self.job_state().lane(*lane).sweep.lock().await);
        }
    }

    pub(crate) fn wake_jobs(&self) {
        for lane in JobLane::ALL {
            self.job_state().lane(*lane).wake.notify_one();
        }
    }

    #[must_use]
    pub fn job_counters(&self) -> JobCounters {
        let state = self.job_state();
        JobCounters { done: state.done.load(Ordering::Relaxed), failed: state.failed.load(Ordering::Relaxed) }
    }

    /// Does what is due in one lane until nothing is, and returns how many jobs were leased. A place that becomes free is
    /// taken at once: a slow job holds up nothing but itself.
    async fn sweep(&self, lane: JobLane) -> usize {
        let _one_sweep = self.job_state().lane(lane).sweep.lock().await;
        self.end_leases_late().await;
        let mut sweep = Sweep::default();
        loop {
            let stopping = self.job_state().stopping.load(Ordering::Relaxed) || sweep.leased >= SWEEP_MAX;
            if stopping {
                sweep.waiting.clear();
            } else if sweep.wants_more() {
                sweep.found(self.due(lane).await);
            }
            while sweep.running.len() < CONCURRENT_MAX
                && let Some(job) = sweep.waiting.pop_front()
            {
                let (authority, key) = (self.clone(), job.key);
                let task = sweep.running.spawn(async move { authority.run_one(job).await });
                sweep.keys.insert(task.id(), key);
            }
            if sweep.running.is_empty() {
                return sweep.leased;
            }
            // Something new may be due before any of these is done.
            if let Ok(Some(ended)) = tokio::time::timeout(POLL, sweep.running.join_next_with_id()).await {
                sweep.ended(ended);
            } else {
                sweep.fruitful = true;
            }
        }
    }

    async fn due(&self, lane: JobLane) -> Vec<Job> {
        self.reader().due_jobs(self.now(), lane, BATCH).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "due jobs could not be looked up");
            Vec::new()
        })
    }

    async fn run_one(&self, job: Job) -> Turn {
        let now = self.now();
        let lease_until = now.plus_seconds(lease_seconds(job.key.kind));
        let claim = Change::ClaimJob { key: job.key, expected_token: job.token, now, lease_until };
        match self.commit(Write::default().with(claim)).await {
            Ok(()) => {}
            Err(Error::Store(StoreError::Conflict(Conflict::Stale | Conflict::Missing))) => return Turn::Taken,
            Err(error) => {
                tracing::warn!(%error, job = job.key.kind.as_str(), object = %job.key.object, "a due job could not be leased");
                return Turn::Unwritten;
            }
        }
        let fence = Fence { key: job.key, token: job.token + 1 };
        match self.work(&job, fence).await {
            Ok(()) => {
                self.job_state().done.fetch_add(1, Ordering::Relaxed);
            }
            Err(Error::Store(StoreError::Conflict(Conflict::Stale))) => {
                tracing::info!(job = job.key.kind.as_str(), object = %job.key.object, "another node took the job over");
            }
            Err(error) => self.postpone(&job, fence, &error).await,
        }
        Turn::Leased
    }

    /// The one place that knows which room does which kind of job.
    async fn work(&self, job: &Job, fence: Fence) -> Result<(), Error> {
        match job.key.kind {
            JobKind::RenewCertificate => renewal::scheduled::run(self, job, fence).await,
            JobKind::RevokeSuperseded => revocation::superseded::run(self, job, fence).await,
            JobKind::RenewCa => hierarchy::renew::run(self, job, fence).await,
            JobKind::PublishCrl => status::publish::run(self, job, fence).await,
            JobKind::RotateResponder => status::responder::run(self, job, fence).await,
            JobKind::WatchEvents => alert::watch::run(self, job, fence).await,
            JobKind::CheckExpiry => alert::expiry::run(self, job, fence).await,
            JobKind::Deliver => alert::deliver::run(self, job, fence).await,
            JobKind::CleanUp => inventory::cleanup::run(self, job, fence).await,
            JobKind::AdvanceOrder => external::advance::run(self, job, fence).await,
            JobKind::RevokeExternally => external::revoke::run(self, job, fence).await,
            JobKind::AskRenewalTime => external::advice::run(self, job, fence).await,
        }
    }

    async fn postpone(&self, job: &Job, fence: Fence, error: &Error) {
        self.job_state().failed.fetch_add(1, Ordering::Relaxed);
        let wait = backoff(job.key.kind).seconds(job.attempts, self.random());
        let due_at = self.now().plus_seconds(wait);
        tracing::warn!(%error, job = job.key.kind.as_str(), object = %job.key.object, %due_at, "a job failed and is tried again");
        let retry = Change::RetryJob { fence, due_at, error: error.public_message() };
        match self.commit(Write::default().with(retry.clone())).await {
            Ok(()) | Err(Error::Store(StoreError::Conflict(_))) => {}
            Err(error) => {
                tracing::warn!(%error, object = %job.key.object, "a failed job could not be postponed");
                self.unwritten().push(retry);
            }
        }
    }

    /// What the fence does not hold for any more is somebody else's by now.
    async fn end_leases_late(&self) {
        let mut waiting = std::mem::take(&mut *self.unwritten());
        while let Some(retry) = waiting.pop() {
            match self.commit(Write::default().with(retry.clone())).await {
                Ok(()) | Err(Error::Store(StoreError::Conflict(_))) => {}
                Err(_) => {
                    waiting.push(retry);
                    break;
                }
            }
        }
        self.unwritten().append(&mut waiting);
    }

    pub(crate) fn unwritten(&self) -> std::sync::MutexGuard<'_, Vec<Change>> {
        self.job_state().unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a job that was due.
enum Turn {
    /// Another node's, or gone.
    Taken,
    Leased,
    /// The lease could not be written.
    Unwritten,
}

fn lease_seconds(kind: JobKind) -> i64 {
    match kind.lane() {
        JobLane::Status => STATUS_LEASE_SECONDS,
        JobLane::Work | JobLane::Outgoing | JobLane::External => LEASE_SECONDS,
    }
}

const fn backoff(kind: JobKind) -> Backoff {
    match kind.lane() {
        JobLane::Status => Backoff::STATUS,
        JobLane::Work | JobLane::Outgoing | JobLane::External => Backoff::USUAL,
    }
}

/// One pass over a lane.
#[derive(Default)]
struct Sweep {
    waiting: VecDeque<Job>,
    running: JoinSet<Turn>,
    keys: HashMap<tokio::task::Id, JobKey>,
    leased: usize,
    has_looked: bool,
    /// Whether anything was leased since the last look. If not, other nodes were faster with all of it, or nothing can be
    /// written: looking again at once would find the same.
    fruitful: bool,
}

impl Sweep {
    fn wants_more(&self) -> bool {
        self.waiting.is_empty() && self.running.len() < CONCURRENT_MAX && (self.fruitful || !self.has_looked)
    }

    /// Those that have begun here and are not leased yet are found again.
    fn found(&mut self, due: Vec<Job>) {
        let running: HashSet<JobKey> = self.keys.values().copied().collect();
        self.waiting.extend(due.into_iter().filter(|job| !running.contains(&job.key)));
        (self.has_looked, self.fruitful) = (true, false);
    }

    fn ended(&mut self, task: Result<(tokio::task::Id, Turn), tokio::task::JoinError>) {
        let (id, turn) = match task {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a job ended abnormally; it is tried again when its lease is over");
                (error.id(), Turn::Leased)
            }
        };
        self.keys.remove(&id);
        if matches!(turn, Turn::Unwritten) {
            // The others would only say the same, a great many times.
            self.waiting.clear();
        }
        let leased = matches!(turn, Turn::Leased);
        self.leased += usize::from(leased);
        self.fruitful |= leased;
    }
}

#[cfg(test)]
mod tests {
    use chancery_model::random::SeededRandomness;

    use super::*;

    #[test]
    fn a_crl_that_could_not_be_made_is_tried_again_every_minute_and_leased_for_half_of_one() {
        let random = SeededRandomness::new(3);
        for (kind, longest, lease) in [
            (JobKind::PublishCrl, 60, 30),
            (JobKind::RotateResponder, 60, 30),
            (JobKind::CleanUp, 3_600, 120),
            (JobKind::Deliver, 3_600, 120),
        ] {
            let wait = backoff(kind).seconds(50, &random);
            assert!((wait - longest).abs() <= longest / 5, "{kind:?}: {wait}");
            assert_eq!(lease_seconds(kind), lease, "{kind:?}");
        }
    }
}
