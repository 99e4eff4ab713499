//! The test world itself: what other tests lean on must hold.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;
