//! The nouns of the product, free of SQL, HTTP and the wire.
//!
//! Everything above floor 1 speaks in these types: typed ids ([`id`]), times and durations ([`time`]), certification
//! authorities, certificate templates and profiles, certificates and their requests, the audit vocabulary and the
//! permissions. A noun keeps its file name on every floor, so `certificate.rs` here is stored by
//! `store/src/certificate.rs` and answered by `api/src/certificate.rs`.
//!
//! Nothing here decides anything: rules are data ([`template::TemplateRules`]) and are evaluated in
//! `authority/src/template`. Nothing here reads a clock or makes randomness; both are traits ([`time::Clock`],
//! [`random::Randomness`]) that the binary passes in.
//!
//! Start reading at [`enrollment::Enrollment`], the one object that policy, builder, linter and audit look at.

pub mod alert;
pub mod application;
pub mod audit;
pub mod authority;
pub mod certificate;
pub mod crl;
pub mod enrollment;
pub mod error;
pub mod external;
pub mod id;
pub mod identity;
pub mod job;
pub mod ocsp;
pub mod order;
pub mod page;
pub mod permission;
pub mod profile;
pub mod project;
pub mod random;
pub mod request;
pub mod saved_view;
pub mod template;
pub mod time;
mod words;

pub use error::{ErrorKind, Violation, Warning};
pub use id::*;
pub use random::Randomness;
pub use time::{Clock, Timestamp};
