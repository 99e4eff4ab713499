//! Kind `digicert`: CertCentral, by its Services API.
//!
//! | file | what |
//! |---|---|
//! | `client.rs` | asking, what refusals mean |
//! | `settle.rs` | whether the settings hold |
//! | `wish.rs` | what is ordered, from a request and the settings |
//! | `order.rs` | the steps of an order |
//! | `ask.rs` | placing an order or a reissue, and finding one that was placed while nobody wrote it down |
//! | `validation.rs` | what an order waits for, in people's words |
//!
//! An order costs money. It carries our own number (`alternative_order_id`), and whoever finds that it may have been
//! placed looks for it before ordering; when looking fails, nothing is ordered.

mod ask;
mod client;
mod order;
mod settle;
mod validation;
mod wish;

use chancery_authority::external::{
    Asking, Capabilities, ExternalCertificate, OpenedConnection, OrderInHand, RenewalAdvice, Settled, Site, Step,
    Tidied, UpstreamCa, UpstreamError,
};
use chancery_model::certificate::RevocationReason;
use chancery_model::external::{DigicertConfiguration, ExternalConfiguration};
use chancery_model::order::ExternalOrder;
use serde_json::{Value, json};

use self::client::{Answer, Client};
use self::order::State;
use crate::OutsideConfig;
use crate::fresh::Fresh;

pub(crate) struct Digicert {
    config: OutsideConfig,
    fresh: Fresh,
}

/// The settings of a CA and the way to it.
struct Place<'a> {
    settings: &'a DigicertConfiguration,
    client: Client<'a>,
}

impl Digicert {
    pub(crate) fn new(config: OutsideConfig) -> Self {
        Self { config, fresh: Fresh::default() }
    }

    fn place<'a>(&'a self, site: &'a Site) -> Result<Place<'a>, UpstreamError> {
        let ExternalConfiguration::Digicert(settings) = &site.ca.configuration else {
            return Err(UpstreamError::lasting("the CA is of another kind"));
        };
        let connection = site.connections.get(&settings.connection_id).ok_or_else(|| {
            UpstreamError::lasting("the app connection of the CA is gone; give it another by appConnectionId")
        })?;
        let client = Client::new(&self.config.egress, connection, site.now)?;
        Ok(Place { settings, client })
    }

    /// Asks whose key it is.
    pub(crate) async fn check(&self, connection: &OpenedConnection) -> Result<(), UpstreamError> {
        let client = Client::new(&self.config.egress, connection, chancery_model::Clock::now(&*self.config.clock))?;
        settle::account(&client).await
    }
}

impl UpstreamCa for Digicert {
    fn capabilities(&self) -> Capabilities {
        Capabilities { revoke: true, renew: true, advises_renewal: false, patience_seconds: 30 * 86_400 }
    }

    fn settle<'a>(&'a self, site: &'a Site) -> Asking<'a, Settled> {
        Box::pin(async move { settle::settle(&self.place(site)?).await })
    }

    fn advance<'a>(&'a self, site: &'a Site, order: &'a OrderInHand) -> Asking<'a, Step> {
        Box::pin(async move {
            let reserve = || self.fresh.word(self.config.randomness.as_ref());
            order::advance(&self.place(site)?, order, &self.fresh, &reserve).await
        })
    }

    /// An order that has not issued yet is cancelled.
    fn tidy<'a>(&'a self, site: &'a Site, order: &'a ExternalOrder) -> Asking<'a, Tidied> {
        Box::pin(async move { order::tidy(&self.place(site)?, order).await })
    }

    fn revoke<'a>(
        &'a self,
        site: &'a Site,
        certificate: &'a ExternalCertificate,
        reason: RevocationReason,
    ) -> Asking<'a, ()> {
        Box::pin(async move {
            let client = self.place(site)?.client;
            // The serial number serves as well where the certificate's number is not known.
            let identifier = match serde_json::from_value(certificate.state.clone()) {
                Ok(State::Issued { certificate, .. }) => certificate.to_string(),
                _ => certificate.serial_number.clone(),
            };
            let body = json!({
                "skip_approval": true,
                "revocation_reason": reason_name(reason),
                "comments": "Revoked by its owner in Chancery",
            });
            let answer = client.put(&["certificate", &identifier, "revoke"], &body).await?;
            if answer.is_fine() || (!answer.is_passing() && is_revoked(&client, certificate, &answer).await?) {
                return Ok(());
            }
            Err(client.refused("to revoke", &answer))
        })
    }

    fn renewal_advice<'a>(&'a self, _: &'a Site, _: &'a ExternalCertificate) -> Asking<'a, Option<RenewalAdvice>> {
        Box::pin(async { Ok(None) })
    }

    fn change_account_key<'a>(&'a self, _: &'a Site) -> Asking<'a, Option<Settled>> {
        Box::pin(async { Ok(None) })
    }
}

/// After a refusal: whether it was one because nothing is left to revoke.
async fn is_revoked(
    client: &Client<'_>,
    certificate: &ExternalCertificate,
    refusal: &Answer,
) -> Result<bool, UpstreamError> {
    let said = refusal.said().to_ascii_lowercase();
    if said.contains("already") && said.contains("revoked") {
        return Ok(true);
    }
    let Some(order) = certificate.reference.as_deref() else { return Ok(false) };
    let answer = client.get(&["order", "certificate", order]).await?;
    let status_of =
        |value: Option<&Value>| value.and_then(|it| it.get("status")).and_then(Value::as_str) == Some("revoked");
    Ok(answer.is_fine() && (status_of(Some(&answer.json)) || status_of(answer.json.get("certificate"))))
}

/// Those that a CA of the public web may give for a leaf; the others are said without one.
const fn reason_name(reason: RevocationReason) -> &'static str {
    match reason {
        RevocationReason::KeyCompromise => "key_compromise",
        RevocationReason::AffiliationChanged => "affiliation_changed",
        RevocationReason::Superseded => "superseded",
        RevocationReason::CessationOfOperation => "cessation_of_operation",
        _ => "unspecified",
    }
}
