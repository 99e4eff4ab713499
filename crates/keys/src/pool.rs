//! Making keys without stalling the server. RSA keys cost up to seconds of CPU; here they are made on a bounded number
//! of blocking threads, with a bounded queue before them. All other kinds take microseconds and are made in place.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chancery_model::ErrorKind;
use chancery_pkix::{KeyAlgorithm, KeyFamily};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::private_key::{PrivateKey, PrivateKeyError};

/// RSA-2048 keys kept ready once somebody has asked for one.
const SPARES_MAX: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyPoolError {
    #[error("too many RSA keys are being made; try again in a moment, or ask for an elliptic-curve key")]
    Full,
    #[error("the key could not be made")]
    Failed(#[source] PrivateKeyError),
    #[error("the key could not be made: the server is stopping")]
    Stopping,
}

impl KeyPoolError {
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Full | Self::Stopping => ErrorKind::Unavailable,
            Self::Failed(_) => ErrorKind::Internal,
        }
    }
}

/// Cheap to clone; all clones share the threads, the queue and the spare keys.
#[derive(Clone)]
pub struct KeyPool(Arc<Inner>);

struct Inner {
    workers: Arc<Semaphore>,
    queue_max: usize,
    /// Callers that wait for a worker or for their key.
    callers: AtomicUsize,
    workers_max: usize,
    spares: Mutex<VecDeque<PrivateKey>>,
    refilling: AtomicBool,
}

impl KeyPool {
    /// At most `workers` RSA keys are made at once, and at most `queue` callers wait for their turn.
    #[must_use]
    pub fn new(workers: usize, queue: usize) -> Self {
        let workers = workers.clamp(1, 1024);
        Self(Arc::new(Inner {
            workers: Arc::new(Semaphore::new(workers)),
            queue_max: queue,
            callers: AtomicUsize::new(0),
            workers_max: workers,
            spares: Mutex::default(),
            refilling: AtomicBool::new(false),
        }))
    }

    /// Half of the processors, at least one, and 64 waiting callers.
    #[must_use]
    pub fn for_this_machine() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new(processors / 2, 64)
    }

    /// Makes a key. `Full` is said at once when the queue is full; a caller that goes away gives its place back.
    pub async fn generate(&self, algorithm: KeyAlgorithm) -> Result<PrivateKey, KeyPoolError> {
        if algorithm.family() != KeyFamily::Rsa {
            return PrivateKey::generate(algorithm).map_err(KeyPoolError::Failed);
        }
        let spare = self.take_spare(algorithm);
        let key = match spare {
            Some(spare) => spare,
            None => self.generate_queued(algorithm).await?,
        };
        if algorithm == KeyAlgorithm::Rsa2048 {
            self.refill();
        }
        Ok(key)
    }

    async fn generate_queued(&self, algorithm: KeyAlgorithm) -> Result<PrivateKey, KeyPoolError> {
        let _place = self.enter()?;
        let permit = Arc::clone(&self.0.workers).acquire_owned().await.map_err(|_| KeyPoolError::Stopping)?;
        // A refill may have finished while this caller waited.
        if let Some(spare) = self.take_spare(algorithm) {
            return Ok(spare);
        }
        spawn_generation(algorithm, permit).await.map_err(|_| KeyPoolError::Stopping)?.map_err(KeyPoolError::Failed)
    }

    fn enter(&self) -> Result<CallerPlace, KeyPoolError> {
        let limit = self.0.queue_max.saturating_add(self.0.workers_max);
        let entered =
            self.0.callers.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| (now < limit).then_some(now + 1));
        entered.map(|_| CallerPlace(Arc::clone(&self.0))).map_err(|_| KeyPoolError::Full)
    }

    fn take_spare(&self, algorithm: KeyAlgorithm) -> Option<PrivateKey> {
        let wanted = algorithm == KeyAlgorithm::Rsa2048;
        wanted.then(|| self.0.spares.lock().unwrap_or_else(PoisonError::into_inner).pop_front()).flatten()
    }

    /// Makes spare keys one after the other, and only while nobody waits for a worker.
    fn refill(&self) {
        if self.0.refilling.swap(true, Ordering::AcqRel) {
            return;
        }
        let pool = self.clone();
        tokio::spawn(async move {
            while pool.wants_spares() {
                let Ok(permit) = Arc::clone(&pool.0.workers).try_acquire_owned() else { break };
                let Ok(Ok(key)) = spawn_generation(KeyAlgorithm::Rsa2048, permit).await else { break };
                pool.0.spares.lock().unwrap_or_else(PoisonError::into_inner).push_back(key);
            }
            pool.0.refilling.store(false, Ordering::Release);
        });
    }

    fn wants_spares(&self) -> bool {
        let kept = self.0.spares.lock().unwrap_or_else(PoisonError::into_inner).len();
        kept < SPARES_MAX && self.0.callers.load(Ordering::Acquire) == 0
    }
}

/// The permit goes with the work, not with the caller: a caller that gives up does not free a busy processor.
fn spawn_generation(
    algorithm: KeyAlgorithm,
    permit: OwnedSemaphorePermit,
) -> tokio::task::JoinHandle<Result<PrivateKey, PrivateKeyError>> {
    tokio::task::spawn_blocking(move || {
        let key = PrivateKey::generate(algorithm);
        drop(permit);
        key
    })
}

struct CallerPlace(Arc<Inner>);

impl Drop for CallerPlace {
    fn drop(&mut self) {
        self.0.callers.fetch_sub(1, Ordering::AcqRel);
    }
}
