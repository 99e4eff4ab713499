//! The core: every decision is made here, and every door asks here.
//!
//! A certificate walks one path, a room for each step: [`access`] proves who asks, [`enrollment`] resolves what is asked
//! into one immutable object, [`template`] decides over it, [`issuance`] prepares, signs and records. [`renewal`] and the
//! CA-only routes build an `Enrollment` and walk the same path. [`hierarchy`] keeps the certification authorities,
//! [`audit`] exports and verifies the log.
//!
//! May be called by the doors and by `server`. Knows nothing of HTTP, JSON bodies or protocols; alone holds the writing
//! `Store` and the keys. Start reading at [`issuance`].

pub mod access;
pub mod audit;
mod cache;
pub mod call;
pub mod enrollment;
pub mod error;
pub mod hierarchy;
pub mod issuance;
pub mod profile;
pub mod renewal;
pub mod stage;
pub mod template;

mod open;

pub use call::{Call, Requester};
pub use error::Error;
pub use open::{Authority, AuthorityConfig, OpenError};
