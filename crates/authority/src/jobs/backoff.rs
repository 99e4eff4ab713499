//! How long a failed job waits: twice as long each time, up to a bound, and never in step with its neighbours.

use chancery_model::Randomness;

/// Waiting times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// After the first failure.
    pub first: i64,
    pub longest: i64,
}

impl Backoff {
    pub const USUAL: Self = Self { first: 5, longest: 3_600 };
    /// For what the world waits for: a revocation must not stay off its CRL for an hour after the obstacle is gone.
    pub const STATUS: Self = Self { first: 5, longest: 60 };

    /// The wait after so many earlier failures in a row: a fifth more or less than `first × 2ⁿ`, at least a second.
    pub fn seconds(self, earlier_failures: u32, random: &dyn Randomness) -> i64 {
        let doubled = self.first.max(1).saturating_mul(1i64 << earlier_failures.min(40));
        let wait = doubled.min(self.longest.max(1));
        let mut entropy = [0u8; 8];
        random.fill(&mut entropy);
        let spread = wait / 5;
        let shift = i64::try_from(u64::from_le_bytes(entropy) % (2 * spread.unsigned_abs() + 1)).unwrap_or(0) - spread;
        (wait + shift).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_model::random::SeededRandomness;

    #[test]
    fn waits_double_up_to_the_bound_and_vary_by_a_fifth() {
        let random = SeededRandomness::new(7);
        let backoff = Backoff { first: 10, longest: 300 };
        for (failures, middle) in [(0, 10), (1, 20), (2, 40), (5, 300), (60, 300), (u32::MAX, 300)] {
            let waits: Vec<i64> = (0..200).map(|_| backoff.seconds(failures, &random)).collect();
            assert!(waits.iter().all(|wait| (wait - middle).abs() <= middle / 5), "{failures}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != middle), "{failures}: no jitter");
        }
        assert!(Backoff { first: 0, longest: 0 }.seconds(0, &random) >= 1);
    }
}
