//! Passwords of people: Argon2id (RFC 9106), stored as a PHC string. Both functions take about 0.1 s of CPU and the
//! memory below: call them on a blocking thread, a few at a time.

use argon2::password_hash::phc::{PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use chancery_model::Randomness;

/// How much work a guess costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Kibibytes, at least 8.
    pub memory_kib: u32,
    /// At least 1.
    pub passes: u32,
}

impl Default for PasswordCost {
    /// The second recommended choice of RFC 9106 §4 (64 MiB, 3 passes), on one lane.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3 }
    }
}

/// Hashes with the default cost and a fresh salt of 16 bytes.
#[must_use]
pub fn hash_password(password: &str, random: &dyn Randomness) -> String {
    hash_password_with(password, PasswordCost::default(), random)
}

/// Hashes with a given cost, for small machines and for tests. A cost below the minimum is raised to it.
#[must_use]
pub fn hash_password_with(password: &str, cost: PasswordCost, random: &dyn Randomness) -> String {
    let mut salt = [0; Salt::RECOMMENDED_LENGTH];
    random.fill(&mut salt);
    let params = Params::new(cost.memory_kib.max(Params::MIN_M_COST), cost.passes.max(1), 1, None).unwrap_or_default();
    #[expect(clippy::expect_used, reason = "parameters and salt are valid whatever the password is")]
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.as_bytes(), &salt)
        .expect("because Argon2 takes any password below 4 GiB with these parameters");
    hash.to_string()
}

/// Whether the password is the one that was hashed. A text that is not a PHC string of Argon2 never matches.
#[must_use]
pub fn verify_password(password: &str, phc: &str) -> bool {
    PasswordHash::new(phc).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use chancery_model::random::SeededRandomness;

    use super::*;

    const CHEAP: PasswordCost = PasswordCost { memory_kib: 64, passes: 1 };

    #[test]
    fn only_the_same_password_matches() {
        let hash = hash_password_with("correct horse", CHEAP, &SeededRandomness::new(1));
        assert!(verify_password("correct horse", &hash));
        for wrong in ["", "correct hors", "Correct horse", "correct horse "] {
            assert!(!verify_password(wrong, &hash), "{wrong}");
        }
        for broken in ["", "correct horse", "$argon2id$v=19$m=64,t=1,p=1", "$2b$10$abcdefghijklmnopqrstuv"] {
            assert!(!verify_password("correct horse", broken), "{broken}");
        }
    }

    #[test]
    fn the_default_cost_is_written_into_the_hash() {
        let hash = hash_password("x", &SeededRandomness::new(1));
        assert!(hash.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"), "{hash}");
        assert!(verify_password("x", &hash));
    }

    #[test]
    fn equal_passwords_have_different_hashes() {
        let random = SeededRandomness::new(1);
        assert_ne!(hash_password_with("x", CHEAP, &random), hash_password_with("x", CHEAP, &random));
    }
}
