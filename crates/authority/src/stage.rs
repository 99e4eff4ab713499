//! Where the time of an issuance goes: a counter per stage of the path, read by `GET /metrics` and the benchmark.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::renewal::RenewalCounters;

macro_rules! stages {
    ($($(#[$meta:meta])* $variant:ident => $name:literal;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Stage { $($(#[$meta])* $variant),+ }

        impl Stage {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

stages! {
    /// Bytes to a certification request, proof of possession included.
    Parse => "parse";
    Authenticate => "authenticate";
    Resolve => "resolve";
    Decide => "decide";
    /// A server-made key pair.
    GenerateKey => "generate_key";
    /// To-be-signed bytes and their lint.
    Prepare => "prepare";
    Sign => "sign";
    /// Building and queueing the record, and waiting for the group commit: wall time, not CPU.
    Record => "record";
    Respond => "respond";
}

/// Nanoseconds spent per stage since the start. Cheap enough to stay on: two clock readings a stage.
#[derive(Debug, Default)]
pub struct StageClock {
    nanoseconds: [AtomicU64; 9],
    issued: AtomicU64,
    refused: AtomicU64,
    renewals: RenewalCounters,
}

impl StageClock {
    /// Runs one stage and books its time.
    pub fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.book(stage, start);
        result
    }

    pub fn book(&self, stage: Stage, start: Instant) {
        let spent = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if let Some(counter) = self.nanoseconds.get(stage as usize) {
            counter.fetch_add(spent, Ordering::Relaxed);
        }
    }

    pub fn count_issued(&self) {
        self.issued.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    #[must_use]
    pub fn nanoseconds(&self, stage: Stage) -> u64 {
        self.nanoseconds.get(stage as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    pub(crate) const fn renewals(&self) -> &RenewalCounters {
        &self.renewals
    }

    #[must_use]
    pub fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
