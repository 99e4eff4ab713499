//! The audit log as proof: exported with its hashes and signed checkpoints, verified offline.
//!
//! Entries themselves are written by whoever commits the change they describe, in the same transaction. This room only
//! reads them. [`verify_export`] needs neither store nor keys: anybody who has an export can run it.
//!
//! An export is a text of lines, each a JSON object in exactly one spelling:
//!
//! ```text
//! {"node":…,"sequence":1,"body":"…","previousHash":"00…","hash":"…"}            hash = SHA-256(previousHash ‖ body)
//! …                                                                        sequence 2, 3, … without gaps
//! {"checkpoint":{"node":…,"sequence":…,"hash":…,"time":…},"signature":…,"publicKey":…}
//! …                                                                        the next node, in the order of names
//! {"end":{"entries":…,"checkpoints":…,"digest":…,"time":…},"signature":…,"publicKey":…}
//! ```
//!
//! Every node's chain ends in a checkpoint; an earlier export's checkpoint stands where it was signed, so that a chain
//! rewritten or cut since then does not fit it. The end line signs the SHA-256 over all bytes before it, which ties the
//! chains together. `body` is null for an entry of a project that the exporter cannot see.
//!
//! An export proves that nothing changed after it was signed, to whoever knows the public key from elsewhere
//! ([`verify_export_signed_by`]); without it, only that the file agrees with itself.

mod export;
mod line;
mod verify;

pub use export::AuditExport;
pub use verify::{AuditFault, VerifiedAudit, VerifiedChain, verify_export, verify_export_signed_by};
