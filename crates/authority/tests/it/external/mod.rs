//! Orders at CAs elsewhere, from the request to the certificate and back, with a CA that does what each story tells it.
//!
//! ```text
//! this server ── profile "web" ── external CA "elsewhere" (acme) ── Elsewhere: root ── intermediate ── leaf
//!             ├─ profile "vault" ─ external CA "vault" ── app connection
//!             └─ profile "own" ── internal root CA
//! ```
//!
//! Elsewhere lives in memory and outlives the server, as the world does: it knows of every order what was placed, which
//! records were set and removed, and what was finalised. It can be told to fail, to stop, or to die at any step, before or
//! after the step's effect, and to send any kind of wrong certificate.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod alarms;
mod elsewhere;
mod mismatch;
mod nodes;
mod path;
mod pki;
mod renewal;
mod replay;
mod resume;
mod revocation;
mod settings;
mod waiting;
mod world;
