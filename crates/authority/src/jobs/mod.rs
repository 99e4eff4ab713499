//! The job loop: what is due is leased and done, by whichever node comes first, most urgent first.
//!
//! A lease lasts [`LEASE_SECONDS`]. A node that is paused longer finds its fencing token outdated: the write that would
//! have finished its job, effect included, is refused as a whole. What fails is tried again later and later; what was due
//! while no server ran is done at the next start.
//!
//! Each kind of job has its work beside the thing it works on, as a function `run(authority, job, fence)` that commits its
//! effect together with [`Change::FinishJob`]. Start reading at [`Authority::run_due_jobs`].

mod backoff;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chancery_model::job::{Fence, Job, JobKind};
use chancery_store::{Change, Conflict, StoreError, Write};
use tokio::task::JoinSet;

use crate::error::Error;
use crate::{Authority, alert, hierarchy, inventory, renewal, revocation, status};

pub(crate) use backoff::Backoff;

/// How long a node may take for one job before another may take it over.
pub(crate) const LEASE_SECONDS: i64 = 120;
/// Jobs done at once by this node.
const CONCURRENT_MAX: usize = 16;
/// Jobs looked up at once.
const BATCH: u32 = 256;
/// Jobs done in one sweep at most: what a defect could make of it is bounded.
const SWEEP_MAX: usize = 1_000_000;
const POLL: Duration = Duration::from_secs(1);

/// What the loop remembers in memory.
#[derive(Default)]
pub(crate) struct JobState {
    /// One sweep at a time: a caller that waits for a sweep knows that nothing due before is still under way here.
    sweep: tokio::sync::Mutex<()>,
    wake: tokio::sync::Notify,
    /// Set for good by [`Authority::stop_jobs`].
    stopping: AtomicBool,
    done: AtomicU64,
    failed: AtomicU64,
}

/// What the loop has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounters {
    pub done: u64,
    pub failed: u64,
}

impl Authority {
    /// Does every job that is due now and returns how many were done or tried. Used by tests after moving the clock, and
    /// by the loop.
    pub async fn run_due_jobs(&self) -> usize {
        let _one_sweep = self.job_state().sweep.lock().await;
        let mut tried = 0;
        while tried < SWEEP_MAX && !self.job_state().stopping.load(Ordering::Relaxed) {
            let due = match self.reader().due_jobs(self.now(), BATCH).await {
                Ok(due) if due.is_empty() => break,
                Ok(due) => due,
                Err(error) => {
                    tracing::warn!(%error, "due jobs could not be looked up");
                    break;
                }
            };
            let leased = self.run_batch(due).await;
            if leased == 0 {
                // Other nodes were faster with all of them, or nothing can be written: look again at the next turn.
                break;
            }
            tried += leased;
        }
        tried
    }

    /// Runs due jobs until it is dropped: every second, and at once when this node has made one due.
    pub async fn run_jobs(self) {
        loop {
            self.run_due_jobs().await;
            // Waiting for either; a timeout is the usual case.
            let _ = tokio::time::timeout(POLL, self.job_state().wake.notified()).await;
        }
    }

    /// Lets the jobs under way here end and begins no more, before the server stops: a job that was cut off would stay
    /// leased until its lease ends.
    pub async fn stop_jobs(&self) {
        self.job_state().stopping.store(true, Ordering::Relaxed);
        drop(self.job_state().sweep.lock().await);
    }

    pub(crate) fn wake_jobs(&self) {
        self.job_state().wake.notify_one();
    }

    #[must_use]
    pub fn job_counters(&self) -> JobCounters {
        let state = self.job_state();
        JobCounters { done: state.done.load(Ordering::Relaxed), failed: state.failed.load(Ordering::Relaxed) }
    }

    async fn run_batch(&self, due: Vec<Job>) -> usize {
        let mut leased = 0;
        let mut running = JoinSet::new();
        for job in due {
            if self.job_state().stopping.load(Ordering::Relaxed) {
                break;
            }
            if running.len() >= CONCURRENT_MAX {
                leased += usize::from(ended(running.join_next().await));
            }
            let authority = self.clone();
            running.spawn(async move { authority.run_one(job).await });
        }
        while !running.is_empty() {
            leased += usize::from(ended(running.join_next().await));
        }
        leased
    }

    /// Whether the job was this node's to do.
    async fn run_one(&self, job: Job) -> bool {
        let now = self.now();
        let lease_until = now.plus_seconds(LEASE_SECONDS);
        let claim = Change::ClaimJob { key: job.key, expected_token: job.token, now, lease_until };
        match self.commit(Write::default().with(claim)).await {
            Ok(()) => {}
            Err(Error::Store(StoreError::Conflict(Conflict::Stale | Conflict::Missing))) => return false,
            Err(error) => {
                tracing::warn!(%error, job = job.key.kind.as_str(), object = %job.key.object, "a due job could not be leased");
                return false;
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
        true
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
        }
    }

    async fn postpone(&self, job: &Job, fence: Fence, error: &Error) {
        self.job_state().failed.fetch_add(1, Ordering::Relaxed);
        let wait = Backoff::USUAL.seconds(job.attempts, self.random());
        let due_at = self.now().plus_seconds(wait);
        tracing::warn!(%error, job = job.key.kind.as_str(), object = %job.key.object, %due_at, "a job failed and is tried again");
        let retry = Change::RetryJob { fence, due_at, error: error.public_message() };
        match self.commit(Write::default().with(retry)).await {
            Ok(()) | Err(Error::Store(StoreError::Conflict(Conflict::Stale | Conflict::Missing))) => {}
            // Its lease ends by itself, and then it is due again.
            Err(error) => tracing::warn!(%error, object = %job.key.object, "a failed job could not be postponed"),
        }
    }
}

fn ended(task: Option<Result<bool, tokio::task::JoinError>>) -> bool {
    match task {
        None => false,
        Some(Ok(leased)) => leased,
        Some(Err(error)) => {
            tracing::error!(%error, "a job ended abnormally; it is tried again when its lease is over");
            true
        }
    }
}
