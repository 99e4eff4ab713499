//! The certification authorities: their keys, their certificates, and who signed whom.
//!
//! [`Issuer`] is what the issuance path sees of a CA. `create.rs` makes CAs, `certify.rs` builds CA certificates
//! (linted before they are signed, like any other), `install.rs` brings a certificate to a waiting CA, `renew.rs` gives a
//! CA its next certificate, over the same key or a new one, `settings.rs` changes how a CA works, `import.rs` takes over a
//! CA that was run elsewhere, and `subordinate.rs` signs CAs that live elsewhere.

mod certify;
mod create;
mod import;
mod install;
mod issued_by;
mod issuer;
pub(crate) mod renew;
mod settings;
mod subordinate;

pub(crate) use create::check_name;
pub use create::{CaPatch, NewCa};
pub use import::{CaImport, ImportedCa, ImportedKey};
pub use install::CaCertificateRequest;
pub(crate) use issued_by::{ExternalIssuer, IssuedBy};
pub use issuer::Issuer;
pub(crate) use issuer::limiting_usages;
pub use renew::{CaRenewal, CaRenewalKey};
pub use settings::{AutoRenewalPatch, CaSignerChoice, StatusPatch};
pub use subordinate::{IntermediateRequest, SignedIntermediate};
