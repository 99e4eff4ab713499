//! The back doors: external certification authorities behind the trait that `authority` declares.
//!
//! | module | what |
//! |---|---|
//! | [`acme`] | kind `acme`: any CA that speaks RFC 8555 |
//! | [`digicert`] | kind `digicert`: CertCentral by its Services API |
//! | [`dns`] | who proves DNS names to an ACME CA: providers, look-ups |
//! | [`exchange`] | one question to a service and its answer, with errors in people's words |
//! | [`fresh`] | tells a step that follows its own reservation from one that resumes another's |
//! | [`vault`] | kind `vault`: the PKI engine of Vault and OpenBao |
//!
//! Everything goes out through `egress`. Nothing that matters is kept here between two calls: what must last is returned to
//! the core, which writes it down. A step that was done and not written down is done again, so each must bear that.
//!
//! Made by `server`. Must not know the store, HTTP servers or template rules. Start reading at [`Outside`].

mod acme;
mod digicert;
pub mod dns;
mod exchange;
mod fresh;
mod vault;

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
    acme: acme::Acme,
    digicert: digicert::Digicert,
    dns: dns::Dns,
    vault: vault::Vault,
}

impl Outside {
    #[must_use]
    pub fn new(config: OutsideConfig) -> Self {
        let dns = dns::Dns::new(&config);
        Self {
            acme: acme::Acme::new(&config, dns.clone()),
            digicert: digicert::Digicert::new(config.clone()),
            dns,
            vault: vault::Vault::new(config),
        }
    }
}

impl Upstream for Outside {
    fn ca(&self, kind: ExternalCaKind) -> Option<&dyn UpstreamCa> {
        match kind {
            ExternalCaKind::Acme => Some(&self.acme),
            ExternalCaKind::Digicert => Some(&self.digicert),
            ExternalCaKind::Vault => Some(&self.vault),
        }
    }

    fn check_connection<'a>(&'a self, connection: &'a OpenedConnection) -> Asking<'a, ()> {
        Box::pin(async move {
            match connection.app {
                ConnectionApp::Vault => self.vault.check(connection).await,
                ConnectionApp::Aws
                | ConnectionApp::Cloudflare
                | ConnectionApp::DnsMadeEasy
                | ConnectionApp::AzureDns
                | ConnectionApp::Gcp
                | ConnectionApp::DigitalOcean
                | ConnectionApp::Hetzner
                | ConnectionApp::Desec
                | ConnectionApp::Gandi
                | ConnectionApp::Ovh
                | ConnectionApp::Rfc2136
                | ConnectionApp::DnsWebhook
                | ConnectionApp::DnsExec => self.dns.check_connection(connection).await,
                ConnectionApp::Digicert => self.digicert.check(connection).await,
            }
        })
    }

    fn sign_intermediate<'a>(
        &'a self,
        connection: &'a OpenedConnection,
        wanted: &'a IntermediateWish,
    ) -> Asking<'a, Vec<Vec<u8>>> {
        Box::pin(async move {
            match connection.app {
                ConnectionApp::Vault => self.vault.sign_intermediate(connection, wanted).await,
                _ => Err(UpstreamError::lasting("only Vault and OpenBao sign intermediate CAs in this build")),
            }
        })
    }
}
