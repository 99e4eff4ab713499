//! Status: what the world is told about revocation. CRLs (RFC 5280 §5) and OCSP (RFC 6960) for every CA key that has
//! certified anything, for as long as one of its certificates lives.
//!
//! | file | what |
//! |---|---|
//! | `pointers.rs` | the addresses in certificates, and their partition |
//! | `line.rs` | which CRLs a CA key has |
//! | `publish.rs` | the job that builds, signs and publishes one CRL and its delta |
//! | `responder.rs` | the job that renews the delegated OCSP responder of a CA key |
//! | `ocsp.rs` | an OCSP request and its answer |
//! | `serve.rs` | what the public door asks for: CRLs, CA certificates, and how long everything stays valid |
//!
//! A revocation (`revocation/`) writes an encoded entry and asks for the CRL's job; nothing here decides who may revoke.

pub(crate) mod line;
mod ocsp;
pub(crate) mod pointers;
pub(crate) mod publish;
pub(crate) mod responder;
mod serve;

pub(crate) use ocsp::reason_code;
pub use ocsp::{OcspAnswer, OcspCounters};
pub use serve::{ServedCrl, StatusHealth, StatusKind};

pub(crate) use line::crls_for_key;

/// What the status rooms keep in memory.
#[derive(Default)]
pub(crate) struct StatusState {
    bodies: serve::Bodies,
    responders: responder::Responders,
    answers: ocsp::Answers,
    published: Published,
}

/// Tells listeners, such as mirrors, that a CRL was published by this node.
struct Published(tokio::sync::watch::Sender<u64>);

impl Default for Published {
    fn default() -> Self {
        Self(tokio::sync::watch::Sender::new(0))
    }
}

impl StatusState {
    /// Forgets what a change of configuration may have made stale.
    pub fn clear(&self) {
        self.responders.clear();
    }
}

impl crate::Authority {
    /// Counts the CRLs published by this node since the start; changes with each.
    #[must_use]
    pub fn crl_published(&self) -> tokio::sync::watch::Receiver<u64> {
        self.status_state().published.0.subscribe()
    }
}
