//! The core: every decision is made here, and every door asks here.
//!
//! A certificate walks one path, a room for each step: [`access`] proves who asks, [`enrollment`] resolves what is asked
//! into one immutable object, [`template`] decides over it, [`issuance`] prepares, signs and records. [`renewal`] and the
//! CA-only routes build an `Enrollment` and walk the same path. [`hierarchy`] keeps the certification authorities,
//! [`revocation`] takes certificates back and [`status`] tells the world; [`inventory`] takes in, gives out and clears
//! away; [`application`] groups what belongs together; [`alert`] tells people; `jobs` does what is due; [`audit`] exports
//! and verifies the log.
//!
//! May be called by the doors and by `server`. Knows nothing of HTTP, JSON bodies or protocols; alone holds the writing
//! `Store` and the keys. Start reading at [`issuance`].

pub mod access;
pub mod alert;
pub mod application;
pub mod audit;
mod cache;
pub mod call;
mod confirmation;
pub mod enrollment;
pub mod error;
pub mod external;
pub mod hierarchy;
pub mod inventory;
pub mod issuance;
mod jobs;
pub mod profile;
pub mod renewal;
pub mod revocation;
pub mod stage;
pub mod status;
pub mod template;

mod open;

pub use call::{Call, Requester};
pub use error::Error;
pub use jobs::JobCounters;
pub use open::{Authority, AuthorityConfig, OpenError};
