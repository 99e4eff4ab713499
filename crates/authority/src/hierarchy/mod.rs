//! The certification authorities: their keys, their certificates, and who signed whom.
//!
//! [`Issuer`] is what the issuance path sees of a CA. `create.rs` makes CAs, `certify.rs` builds CA certificates
//! (linted before they are signed, like any other), `install.rs` brings a certificate to a waiting CA, and
//! `subordinate.rs` signs CAs that live elsewhere.

mod certify;
mod create;
mod install;
mod issuer;
mod subordinate;

pub use create::{CaPatch, NewCa};
pub use install::CaCertificateRequest;
pub use issuer::Issuer;
pub use subordinate::{IntermediateRequest, SignedIntermediate};
