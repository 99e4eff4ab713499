//! The public door: certificate revocation lists, OCSP and CA certificates, for whoever validates a certificate. It is
//! what RFC 5280 calls a repository.
//!
//! [`route`] has its routes and what every answer carries; [`crl`], [`ocsp`] and [`ca_certificate`] hold a noun each;
//! [`conditional`] lets caches keep and check what they have. Everything here is public and nothing here changes
//! anything: there is no log-in, no cookie, no secret, so plain HTTP is right (RFC 5280 §8).
//!
//! May be called by `server`, which puts [`router`] on a listener of its own and beside the other doors on the main one,
//! and limits the calls of each address. Must not know other doors, keys, the writing store, or how connections are
//! served. Start reading at [`route`].

mod ca_certificate;
mod conditional;
mod crl;
mod ocsp;
mod refusal;
mod route;

pub use route::router;
