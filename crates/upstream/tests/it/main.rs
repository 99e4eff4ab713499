//! The back doors against real programs where there are any, and against strict stand-ins where there are none.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod acme;
mod bao;
mod certcentral;
mod digicert;
mod dns;
mod pki;
mod site;
mod stand_in;
mod vault;
mod vault_faults;
