//! The core over a real store and real keys.

mod access;
mod jobs;
mod renewal;
mod template;
