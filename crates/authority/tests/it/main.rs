//! The core over a real store and real keys.

mod access;
mod renewal;
mod template;
