//! The browser's door: pages rendered by the server, in plain HTML that works without a script.
//!
//! [`route`] holds the one table of pages; router and coverage tests are made from it, so a page cannot exist without a
//! declared permission. [`gate`] turns the session cookie into a `Requester`, and proves of every form that it was sent
//! from a page of this session, before a handler is reached. [`observe`] is around every call: headers, time limit, log
//! line, error page. A file per noun holds its pages: each parses a form into the core's own types, calls the core, and
//! renders a template of `templates/`. What a template writes is escaped by [`text::Visible`].
//!
//! Must not know other doors, keys, SQL, or how connections are served. Decides nothing: rules, rights on an object and
//! words of refusal are the core's. May be called by `server`, which hands over the caller's address as [`Peer`].

mod about;
mod account;
mod alert;
mod asset;
mod audit;
mod authority;
mod certificate;
mod certificate_request;
mod connection;
mod dashboard;
mod error;
mod external;
mod form;
mod frame;
mod gate;
mod identity;
mod inventory;
mod observe;
mod person;
mod profile;
mod renewal;
mod request;
mod route;
mod saved_view;
mod session;
mod settings;
mod setup;
mod sign_in;
mod state;
mod stream;
mod template;
mod text;
mod visit;

use std::net::IpAddr;

pub use route::{Access, PageInfo, pages, router};
pub use state::{Admission, WebConfig, WebState};

/// The caller's address as the server judged it; a request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);
