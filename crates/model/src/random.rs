//! Randomness is an argument, so that a test can repeat a run from one seed.

use std::sync::atomic::{AtomicU64, Ordering};

/// A source of unpredictable bytes. The program passes the operating system's (`keys::SystemRandomness`).
pub trait Randomness: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

/// A repeatable stream for tests (SplitMix64). Never used by the program itself.
pub struct SeededRandomness(AtomicU64);

impl SeededRandomness {
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Randomness for SeededRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(word) {
                *to = from;
            }
        }
    }
}
