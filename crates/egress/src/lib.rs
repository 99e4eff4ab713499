//! HTTP to addresses that strangers name: webhooks, external CAs, DNS services.
//!
//! Whoever may write a URL into a configuration could otherwise make this server ask what only it can reach: the cloud's
//! metadata service, a database on loopback, a router. So a name is resolved once, every address it has is judged
//! ([`AddressPolicy`]), and the connection goes to exactly those addresses; no redirect is followed, no proxy of the
//! environment is used, time and size are bounded, and errors say no more than "denied" or "unreachable".
//!
//! May be called by floor 4 (`notifier`, `upstream`) and configured by `server`. Knows nothing of alerts, the
//! store or keys. Start reading at [`Egress`].

mod address;
mod client;

pub use address::AddressPolicy;
pub use client::{ClientIdentity, Egress, EgressError, EgressPolicy, EgressReply, EgressRequest};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method};
pub use url::Url;
