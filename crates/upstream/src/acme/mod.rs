//! Any CA that speaks ACME (RFC 8555), with external account binding, renewal information (RFC 9773), IP identifiers
//! (RFC 8738) and certificate profiles.
//!
//! | file | what |
//! |---|---|
//! | `directory.rs` | where the CA is asked what, and which hosts are its own |
//! | `jws.rs` | signatures of the account |
//! | `client.rs`, `problem.rs` | requests, nonces, and what is said when something is refused |
//! | `account.rs` | registering, changing the key |
//! | `resources.rs` | the CA's answers |
//! | `progress.rs` | the state of an order between two steps |
//! | `order.rs`, `prove.rs`, `finish.rs` | the steps: asking, proving the names, getting the certificate |
//! | `advice.rs` | when to renew; revoking |
//!
//! Called through the trait `UpstreamCa` only. Knows nothing of how DNS records are made: that is `dns`.

mod account;
mod advice;
mod client;
mod directory;
mod finish;
mod jws;
mod order;
mod problem;
mod progress;
mod prove;
mod resources;

use std::sync::Arc;

use chancery_authority::external::{
    Asking, Capabilities, ExternalCertificate, OrderInHand, RenewalAdvice, Settled, Site, Step, Tidied, UpstreamCa,
    UpstreamError,
};
use chancery_egress::Egress;
use chancery_model::Randomness;
use chancery_model::certificate::RevocationReason;
use chancery_model::external::{AcmeConfiguration, ExternalConfiguration};
use chancery_model::order::ExternalOrder;

use self::client::Client;
use self::directory::Memory;
use self::progress::Progress;
use crate::OutsideConfig;
use crate::dns::Dns;
use crate::fresh::Fresh;

pub(crate) struct Acme {
    egress: Egress,
    dns: Dns,
    randomness: Arc<dyn Randomness>,
    memory: Memory,
    fresh: Fresh,
}

impl Acme {
    pub fn new(config: &OutsideConfig, dns: Dns) -> Self {
        Self {
            egress: config.egress.clone(),
            dns,
            randomness: Arc::clone(&config.randomness),
            memory: Memory::default(),
            fresh: Fresh::default(),
        }
    }

    async fn client(&self, site: &Site, config: &AcmeConfiguration, fresh: bool) -> Result<Client<'_>, UpstreamError> {
        Client::open(&self.egress, &self.memory, site, &config.directory_url, fresh).await
    }
}

fn configuration(site: &Site) -> Result<&AcmeConfiguration, UpstreamError> {
    match &site.ca.configuration {
        ExternalConfiguration::Acme(config) => Ok(config),
        ExternalConfiguration::Digicert(_) | ExternalConfiguration::Vault(_) => {
            Err(UpstreamError::lasting("the CA is not asked by ACME"))
        }
    }
}

impl UpstreamCa for Acme {
    fn capabilities(&self) -> Capabilities {
        Capabilities { revoke: true, renew: true, advises_renewal: true, patience_seconds: 2 * 86_400 }
    }

    fn settle<'a>(&'a self, site: &'a Site) -> Asking<'a, Settled> {
        Box::pin(async {
            let config = configuration(site)?;
            account::settle(&self.client(site, config, true).await?, site, config).await
        })
    }

    fn advance<'a>(&'a self, site: &'a Site, order: &'a OrderInHand) -> Asking<'a, Step> {
        Box::pin(order::advance(self, site, order))
    }

    /// The CA is left alone: an order that is never finished expires there. DNS records are what others see.
    fn tidy<'a>(&'a self, site: &'a Site, order: &'a ExternalOrder) -> Asking<'a, Tidied> {
        Box::pin(async {
            let mut progress = Progress::read(&order.state).unwrap_or_default();
            let Some(record) = progress.take_record() else { return Ok(Tidied::Done) };
            self.dns.remove(site, &record.placement, &record.value).await?;
            Ok(Tidied::More { state: progress.written() })
        })
    }

    fn revoke<'a>(
        &'a self,
        site: &'a Site,
        certificate: &'a ExternalCertificate,
        reason: RevocationReason,
    ) -> Asking<'a, ()> {
        Box::pin(async move {
            let client = self.client(site, configuration(site)?, false).await?;
            let account = account::opened(site, &client)?;
            advice::revoke(&client, &account, certificate, reason).await
        })
    }

    fn renewal_advice<'a>(
        &'a self,
        site: &'a Site,
        certificate: &'a ExternalCertificate,
    ) -> Asking<'a, Option<RenewalAdvice>> {
        Box::pin(async {
            let client = self.client(site, configuration(site)?, false).await?;
            advice::renewal_advice(&client, certificate).await
        })
    }

    fn change_account_key<'a>(&'a self, site: &'a Site) -> Asking<'a, Option<Settled>> {
        Box::pin(async {
            let client = self.client(site, configuration(site)?, true).await?;
            account::change_key(&client, site).await.map(Some)
        })
    }
}
