//! Certificate revocation lists (RFC 5280 §5): written in one buffer however long they are, and read strictly.
//! Signing happens elsewhere: bytes out with [`UnsignedCrl::tbs`], signature in with [`UnsignedCrl::sign_with`].
//!
//! Entries are encoded once, one by one ([`CrlEntryContents::to_der`]), and come back here concatenated: a list of a
//! million is never taken apart to be written anew. What a CRL must look like beyond its encoding is for
//! [`crate::lint::lint_crl`] to say.

pub(crate) mod entry;
mod list;
pub(crate) mod parsed;
mod tbs;

pub use entry::{CrlEntryContents, REMOVE_FROM_CRL};
pub use list::{CertificateList, CrlError};
pub use parsed::RevokedCertificate;
pub use tbs::{IssuingDistributionPoint, TbsCertList, UnsignedCrl};
