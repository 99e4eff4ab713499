//! The whole program, as its users meet it: the binary in a process of its own, on a directory of its own.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod acme;
mod acme_advice;
mod alerts;
mod applications;
mod cli;
mod compat;
mod coverage;
mod crash;
mod custody;
mod disk_full;
mod documents;
mod explain;
mod external_faults;
mod external_faults_dns;
mod external_faults_kills;
mod external_faults_nodes;
mod external_faults_vault;
mod hierarchy;
mod idempotency;
mod import;
mod inventory;
mod nights;
mod openssl;
mod people;
mod postgres;
mod program;
mod properties;
mod quickstart;
mod random;
mod refusals;
mod renewal;
mod reread;
mod revocation;
mod rollover;
mod scheduler;
mod status;
mod strangers;
mod vault;
mod web;
