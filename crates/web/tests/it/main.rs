//! Pages as visitors see them: in process, on an embedded database, by a clock that the test moves.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod alert;
mod audit;
mod authority;
mod certificate;
mod certificate_request;
mod connection;
mod dashboard;
mod elsewhere;
mod external;
mod frame;
mod hostile;
mod inventory;
mod permissions;
mod place;
mod profile;
mod renewal;
mod request;
mod review;
mod sign_in;
mod template;
