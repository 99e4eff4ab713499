//! The operating system's randomness.

use chancery_model::Randomness;

/// The CSPRNG of the cryptographic library, seeded and reseeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    /// Ends the process if no randomness can be had: every byte asked for here becomes a key, a serial or a token, and
    /// none of them may be predictable. [`crate::self_test`] meets this case at start, with a reason.
    fn fill(&self, bytes: &mut [u8]) {
        if aws_lc_rs::rand::fill(bytes).is_err() {
            tracing::error!("The operating system gives no randomness; no key or serial can be made safely. Stopping.");
            std::process::abort();
        }
    }
}
