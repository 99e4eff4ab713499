//! Renewal: an enrolment copied from the old certificate, edited, and walked down the same path as any other.
//!
//! `copy.rs` turns a certificate into the attributes of its successor, `due.rs` says when the server would renew it,
//! `configure.rs` lets a client change that.

mod configure;
mod copy;
pub(crate) mod due;
mod renew;

pub use configure::{ConfiguredRenewal, RenewalConfiguration};
pub use renew::{RenewRequest, RenewalKeySource};
