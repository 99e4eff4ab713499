//! X.509 certificates (RFC 5280 §4): the to-be-signed part that this product writes, and the reading of anybody's.
//! Signing happens elsewhere: bytes out with [`TbsCertificate::to_der`], signature in with [`assemble`].

pub(crate) mod extensions;
mod parsed;
pub(crate) mod tbs;

pub use extensions::{BasicConstraints, Extensions};
pub use parsed::{Certificate, CertificateError, fingerprint_sha1};
pub use tbs::{EncodeError, TbsCertificate, Validity, assemble};
