//! External certification authorities: a profile may point at a CA that Chancery does not run.
//!
//! A request against such a profile is resolved and decided like any other. Then, in place of *sign*, it is *reserved*
//! (written down as an order, with its key sealed) and a job advances the order at the CA, step by step, until what came
//! back can be held against what was asked for and recorded.
//!
//! | file | what |
//! |---|---|
//! | `upstream.rs` | the traits that the crate `upstream` implements |
//! | `schema.rs`, `connection.rs` | app connections: which apps there are, and their sealed credentials |
//! | `ca.rs`, `check.rs`, `site.rs` | external CAs: stored, checked, opened |
//! | `advance.rs`, `tidy.rs` | the job of an order: step by step, then tidying up |
//! | `accept.rs`, `home.rs` | what came back: held against what was asked for, and recorded; or why not |
//! | `request.rs` | waiting for a request, cancelling it, triggering its validation |
//! | `trouble.rs` | a CA that keeps its askers waiting is let alone for a while |
//! | `revoke.rs`, `advice.rs` | telling the CA of a revocation; asking it when to renew |

mod accept;
pub(crate) mod advance;
pub(crate) mod advice;
mod ca;
mod check;
mod connection;
mod home;
mod request;
pub(crate) mod revoke;
pub mod schema;
mod site;
mod tidy;
pub(crate) mod trouble;
mod upstream;

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::error::Error;

pub use ca::{ExternalCaPatch, NewExternalCa};
pub use check::binding_fault;
pub(crate) use check::{is_path, is_segment, overrides};
pub(crate) use home::asking_renewal_time;
pub(crate) use request::advancing;

pub use connection::{ConnectionPatch, NewConnection};
pub use upstream::{
    Asking, Capabilities, ExternalCertificate, IntermediateWish, NEXT_ACCOUNT_KEY, Next, NoUpstream, OpenedConnection,
    OrderInHand, RenewalAdvice, Settled, Site, Step, Tidied, Upstream, UpstreamCa, UpstreamError, UpstreamErrorKind,
};

/// Secrets by name, as they are sealed.
fn secrets_to_json(secrets: &BTreeMap<String, Zeroizing<String>>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let plain: BTreeMap<&str, &str> = secrets.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    serde_json::to_vec(&plain).map(Zeroizing::new).map_err(|_| Error::internal("secrets cannot be written as JSON"))
}

fn secrets_from_json(json: &[u8]) -> Result<BTreeMap<String, Zeroizing<String>>, Error> {
    let plain: BTreeMap<String, String> =
        serde_json::from_slice(json).map_err(|_| Error::internal("sealed secrets are not what was sealed"))?;
    Ok(plain.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect())
}

/// An https URL with a host, without credentials in it.
fn is_https_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !host.is_empty() && !host.contains('@') && text.len() <= 2_048 && text.bytes().all(|it| it.is_ascii_graphic())
}
