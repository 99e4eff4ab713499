//! The back doors: external certification authorities behind the trait that `authority` declares.
//!
//! | module | what |
//! |---|---|
//! | [`exchange`] | one question to a service and its answer, with errors in people's words |
//!
//! Everything goes out through `egress`. Nothing is kept here between two calls: what must last is returned to the core,
//! which writes it down. A step that was done and not written down is done again, so each must bear that.
//!
//! Made by `server`. Must not know the store, HTTP servers or template rules. Start reading at [`Outside`].

mod exchange;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use chancery_authority::external::{Asking, IntermediateWish, OpenedConnection, Upstream, UpstreamCa, UpstreamError};
use chancery_egress::Egress;
use chancery_model::external::{ConnectionApp, ExternalCaKind};
use chancery_model::{Clock, Randomness};

/// What asking outside needs.
#[derive(Clone)]
pub struct OutsideConfig {
    pub egress: Egress,
    /// Programs that the operator lets DNS connections name: name and path.
    pub dns_hooks: BTreeMap<String, PathBuf>,
    pub clock: Arc<dyn Clock>,
    pub randomness: Arc<dyn Randomness>,
}

/// All kinds of external CAs of this build.
pub struct Outside {
    config: OutsideConfig,
}

impl Outside {
    #[must_use]
    pub fn new(config: OutsideConfig) -> Self {
        Self { config }
    }
}

impl Upstream for Outside {
    fn ca(&self, kind: ExternalCaKind) -> Option<&dyn UpstreamCa> {
        match kind {
            ExternalCaKind::Acme | ExternalCaKind::Digicert | ExternalCaKind::Vault => None,
        }
    }

    fn check_connection<'a>(&'a self, connection: &'a OpenedConnection) -> Asking<'a, ()> {
        Box::pin(async move {
            match connection.app {
                ConnectionApp::Aws
                | ConnectionApp::Cloudflare
                | ConnectionApp::DnsMadeEasy
                | ConnectionApp::AzureDns
                | ConnectionApp::Gcp
                | ConnectionApp::Rfc2136
                | ConnectionApp::DnsWebhook
                | ConnectionApp::DnsExec
                | ConnectionApp::Digicert
                | ConnectionApp::Vault => {
                    let _ = &self.config;
                    Err(UpstreamError::lasting("this build cannot try the connection"))
                }
            }
        })
    }

    fn sign_intermediate<'a>(
        &'a self,
        _connection: &'a OpenedConnection,
        _wanted: &'a IntermediateWish,
    ) -> Asking<'a, Vec<Vec<u8>>> {
        Box::pin(async { Err(UpstreamError::lasting("this build cannot have intermediates signed elsewhere")) })
    }
}
