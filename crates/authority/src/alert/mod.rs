//! Alerts: people hear of what happened to certificates, and of what is about to end.
//!
//! ```text
//! audit chains ──► watch  ─┐
//! inventory    ──► expiry ─┼─► matching ─► outbox (a row per channel) ─► deliver ─► Notifier
//!                          └─ what was told, and up to where, in the same write
//! ```
//!
//! [`service`] keeps the alerts; `watch` and `expiry` are jobs that put messages into the outbox together with the note
//! that they did, so that nothing is told twice and nothing is lost; `deliver` sends one message until it is delivered or
//! given up. How a message travels is not known here: see [`Notifier`].
//!
//! Doors call [`service`] and [`preview`]; the job loop calls the rest.

mod channel;
pub(crate) mod deliver;
pub(crate) mod expiry;
mod matching;
mod message;
mod notifier;
mod outbox;
mod preview;
mod service;
mod subject;
pub(crate) mod watch;

pub use message::{Message, MessageAlert, MessageCertificate, MessageCrl};
pub use notifier::{NoNotifier, Notifier, NotifyError, OpenedChannel, Sending};
pub use preview::{AlertQuestion, ChannelTest, MatchingCertificates};
pub use service::{AlertPatch, NewAlert, NewChannel};
