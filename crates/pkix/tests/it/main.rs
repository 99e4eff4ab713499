//! What other programs say about our bytes, and what we say about theirs. The judges are the `openssl` command (3.x)
//! and the x509-parser library; a missing `openssl` fails these tests by name.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it fails")]

mod certificate;
mod crl;
mod csr;
mod foreign;
mod hostile_csr;
mod judge;
mod ocsp;
mod pkcs12;
mod signing;
