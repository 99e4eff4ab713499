//! The whole program, as its users meet it: the binary in a process of its own, on a directory of its own.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cli;
mod crash;
mod documents;
mod program;
mod quickstart;
mod strangers;
