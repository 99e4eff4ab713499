//! Kind `acme` against a strict server within the test: every signature, nonce and state of RFC 8555 is checked there.
//!
//! ```text
//!  Stand-in Root A ──┐
//!                    ├─► Stand-in Intermediate ─► certificates      (the usual chain goes to A, the alternate to B)
//!  Stand-in Root B ──┘
//! ```

mod account;
mod advice;
mod driver;
mod faults;
mod issuance;
mod issuer;
mod orders;
mod resumption;
mod server;
mod zone;
