//! The core over a real store and real keys.

mod access;
mod external;
mod insight;
mod jobs;
mod people;
mod renewal;
mod template;
