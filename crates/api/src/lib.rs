//! The JSON door: parses what the wire says, asks the core, and answers in the wire's words.
//!
//! [`route`] holds the one table of routes; router, OpenAPI document and the coverage tests are made from it, so a route
//! cannot exist without a declared permission. [`gate`] proves token and permission before a handler or a body is
//! reached, and repeats the answer of a write that comes again with the same `Idempotency-Key`. [`observe`] wraps every
//! call: request id, access log, time limit, panics, and the error body. [`error`] has the one `match` from the core's
//! errors to the wire's.
//!
//! A file per noun holds its handlers (three to ten lines each: parse, call the core, respond) and the conversion between
//! `wire` and `model`. Must not know other doors, keys, SQL, or how connections are served. May be called by `server`,
//! which hands over the peer's address as the request extension [`Peer`].

mod access;
mod alert;
mod alert_form;
mod application;
mod application_enrollment;
mod application_member;
mod audit;
mod auth;
mod authority;
mod authority_certificate;
mod authority_configuration;
mod authority_lifecycle;
mod authority_signing;
mod certificate;
mod certificate_answer;
mod connection;
mod error;
mod export;
mod external;
mod external_answer;
mod external_form;
mod extract;
mod gate;
mod identity;
mod import;
mod inventory;
mod issue;
mod issue_answer;
mod issues;
mod json;
mod lapse;
mod limiter;
mod nullable;
mod observe;
mod openapi;
mod page;
mod profile;
mod profile_answer;
mod project;
mod rehearsal;
mod renewal;
mod request;
mod revocation;
mod route;
mod saved_view;
mod search;
mod state;
mod status;
mod template;
mod template_rules;
mod universal_auth;
mod user;

use std::net::IpAddr;

pub use limiter::{Limiter, RateLimit};
pub use openapi::openapi;
pub use route::{Access, RouteInfo, router, routes};
pub use state::{ApiState, Measure};

/// The caller's address as the server judged it; a request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);
