//! Private keys: generate, seal, open, sign. Floor 2.
//!
//! Called by `authority` (signing, sealing, password and token hashes) and by the binary (the key-encryption key, the
//! self test). No door ever imports this crate: a handler that cannot name a private key cannot leak one.
//!
//! Must not know: SQL, HTTP, template rules. Sealed bytes are handed out and taken back; where they are kept is the
//! caller's business, but their *place* (table, column, record, project) is bound into them, so that bytes moved to
//! another row do not open.
//!
//! ```text
//! Kek (file or environment)
//!  └─ root wrapping key, sealed by the KEK
//!      ├─ project key (one per project, versioned), sealed by the root
//!      │   └─ per-record key = HKDF(project key, fresh salt)  → leaf keys, CA keys, stored secrets
//!      ├─ keyed hashes (token pepper and the like), HKDF labels
//!      └─ audit checkpoint key (Ed25519), HKDF label
//! ```
//!
//! Types that hold secrets have no `Debug`, `Display` or `Serialize` and are wiped when dropped.
//!
//! Start reading at [`Sealer`] for keys at rest, at [`PrivateKey`] for keys in use.

mod envelope;
mod file;
mod kek;
mod password;
mod pool;
mod private_key;
mod randomness;
mod sealer;
mod self_test;
mod signer;
mod totp;

pub use kek::{Kek, KekError};
pub use password::{PasswordCost, hash_password, hash_password_with, verify_password};
pub use pool::{KeyPool, KeyPoolError};
pub use private_key::{PrivateKey, PrivateKeyError};
pub use randomness::SystemRandomness;
pub use sealer::{AuditSigningKey, Place, SealError, Sealer};
pub use self_test::{SelfTestError, self_test};
pub use signer::{SignError, Signer};
pub use totp::TotpSecret;

/// Compares without telling by its duration where the first difference is. Lengths are not secret.
#[must_use]
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    use subtle::ConstantTimeEq as _;
    left.ct_eq(right).into()
}
