//! What the JSON API says: the structs of its requests and answers, and its error body.
//!
//! Shared by the door that answers (`api`) and the program that asks (`cli`), so every struct reads and writes itself.
//! Nothing here checks a rule or knows the server: lengths, ranges and contradictions are judged in `api`, everything
//! else in the core. A file per noun, named as in `model`; [`nullable`] holds the difference between a missing key and
//! `null`, [`words`] the closed sets of strings.
//!
//! Two habits of the wire live in the derives: unknown keys are dropped, and a known key given twice is refused. Doc
//! comments become the descriptions of the OpenAPI document.

#[macro_use]
mod macros;

pub mod access;
pub mod alert;
pub mod application;
pub mod audit;
pub mod auth;
pub mod authority;
pub mod certificate;
pub mod connection;
pub mod error;
pub mod evaluation;
pub mod external;
pub mod identity;
pub mod import;
pub mod inventory;
pub mod nullable;
pub mod page;
pub mod profile;
pub mod project;
pub mod rehearsal;
pub mod renewal;
pub mod request;
pub mod revocation;
pub mod status;
pub mod template;
pub mod user;
pub mod words;

pub use error::{ErrorBody, Issue, Message, Suggestion, Violation, Warning};
pub use nullable::Nullable;
pub use page::KeyValue;
