//! The core over a real store and real keys.

mod access;
mod external;
mod jobs;
mod renewal;
mod template;
