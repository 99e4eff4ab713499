//! Kind `vault`: the PKI secrets engine of HashiCorp Vault and OpenBao, by its HTTP API.
//!
//! | file | what |
//! |---|---|
//! | `client.rs` | logging in, asking, what refusals mean |
//! | `order.rs` | having a request signed by a role, once |
//! | `search.rs` | looking for a certificate that was made while nobody wrote it down |
//! | `settle.rs` | whether the settings hold |
//!
//! The engine signs at once, so an order is one question. It has no name for a question, so one that was interrupted is
//! looked for by its key among the certificates of the engine.

mod client;
mod order;
mod search;
mod settle;

use chancery_authority::external::{
    Asking, Capabilities, ExternalCertificate, IntermediateWish, OpenedConnection, OrderInHand, RenewalAdvice, Settled,
    Site, Step, Tidied, UpstreamCa, UpstreamError,
};
use chancery_model::Timestamp;
use chancery_model::certificate::RevocationReason;
use chancery_model::external::{ExternalConfiguration, VaultConfiguration};
use chancery_model::order::ExternalOrder;
use chancery_pkix::{ForeignCertificate, pem};
use serde_json::json;

use self::client::{Client, Path, Tokens, WHOM};
use crate::OutsideConfig;
use crate::fresh::Fresh;

pub(crate) struct Vault {
    config: OutsideConfig,
    tokens: Tokens,
    fresh: Fresh,
}

/// The settings of a CA and the way to it.
struct Place<'a> {
    settings: &'a VaultConfiguration,
    client: Client<'a>,
    now: Timestamp,
}

impl Place<'_> {
    fn mount(&self) -> Path {
        Path::of(&self.settings.mount)
    }
}

impl Vault {
    pub(crate) fn new(config: OutsideConfig) -> Self {
        Self { config, tokens: Tokens::default(), fresh: Fresh::default() }
    }

    fn place<'a>(&'a self, site: &'a Site) -> Result<Place<'a>, UpstreamError> {
        let ExternalConfiguration::Vault(settings) = &site.ca.configuration else {
            return Err(UpstreamError::lasting("the CA is of another kind"));
        };
        let connection = site.connections.get(&settings.connection_id).ok_or_else(|| {
            UpstreamError::lasting("the app connection of the CA is gone; give it another by appConnectionId")
        })?;
        let client = Client::new(&self.config.egress, connection, &self.tokens, site.now)?;
        Ok(Place { settings, client, now: site.now })
    }

    /// Logs in and asks who it is.
    pub(crate) async fn check(&self, connection: &OpenedConnection) -> Result<(), UpstreamError> {
        let client = Client::new(&self.config.egress, connection, &self.tokens, self.config.clock.now())?;
        let answer = client.get(Path::of("auth/token/lookup-self")).await?;
        if answer.status == 403 && connection.method == "access-token" {
            let text = format!("{WHOM} does not accept the access token ({}); give one that is valid", answer.said());
            return Err(UpstreamError::lasting(text));
        }
        // Who logged in has shown a good credential, whatever its policy says of looking at itself.
        if answer.status == 403 { Ok(()) } else { client.fine("to look at its token", answer).map(|_| ()) }
    }

    pub(crate) async fn sign_intermediate(
        &self,
        connection: &OpenedConnection,
        wanted: &IntermediateWish,
    ) -> Result<Vec<Vec<u8>>, UpstreamError> {
        let client = Client::new(&self.config.egress, connection, &self.tokens, wanted.now)?;
        let issuer = wanted.issuer_ref.as_deref();
        // The engine lets an intermediate outlive its issuer; nobody would follow such a chain (RFC 5280 §6.1.3).
        let shown = client.get(Path::of(&wanted.mount).then(["issuer", issuer.unwrap_or("default"), "json"])).await?;
        if let Some(end) = shown.text("certificate").and_then(end_of).filter(|end| wanted.not_after > *end) {
            let text = format!("the issuer at {WHOM} ends at {end}; ask for a notAfter that is not later");
            return Err(UpstreamError::lasting(text));
        }
        let path = match issuer {
            Some(issuer) => Path::of(&wanted.mount).then(["issuer", issuer, "sign-intermediate"]),
            None => Path::of(&wanted.mount).then(["root", "sign-intermediate"]),
        };
        let body = json!({
            "csr": pem::encode(pem::CERTIFICATE_REQUEST, &wanted.csr),
            // Subject, key usage and names as in the request: what comes back is held against it.
            "use_csr_values": true,
            "max_path_length": wanted.path_length_max.map_or(-1, i64::from),
            "not_after": wanted.not_after.to_string(),
            "format": "pem",
        });
        let answer = client.fine("to sign an intermediate CA", client.post(path, &body).await?)?;
        order::chain(&answer)
    }
}

/// When the certificate of a PEM text ends.
fn end_of(pem: &str) -> Option<Timestamp> {
    let der = order::certificates(pem).ok()?.into_iter().next()?;
    let certificate = ForeignCertificate::from_der(&der).ok()?;
    Some(Timestamp::from_seconds(certificate.validity.not_after))
}

impl UpstreamCa for Vault {
    fn capabilities(&self) -> Capabilities {
        Capabilities { revoke: true, renew: true, advises_renewal: false, patience_seconds: 2 * 86_400 }
    }

    fn settle<'a>(&'a self, site: &'a Site) -> Asking<'a, Settled> {
        Box::pin(async move { settle::settle(&self.place(site)?).await })
    }

    fn advance<'a>(&'a self, site: &'a Site, order: &'a OrderInHand) -> Asking<'a, Step> {
        Box::pin(async move {
            let reserve = || self.fresh.word(self.config.randomness.as_ref());
            order::advance(&self.place(site)?, order, &self.fresh, reserve).await
        })
    }

    fn tidy<'a>(&'a self, _: &'a Site, _: &'a ExternalOrder) -> Asking<'a, Tidied> {
        Box::pin(async { Ok(Tidied::Done) })
    }

    /// The engine keeps no reasons.
    fn revoke<'a>(
        &'a self,
        site: &'a Site,
        certificate: &'a ExternalCertificate,
        _: RevocationReason,
    ) -> Asking<'a, ()> {
        Box::pin(async move {
            let place = self.place(site)?;
            let path = place.mount().then(["revoke"]);
            let serial = search::with_colons(&certificate.serial_number);
            let mut answer = place.client.post(path.clone(), &json!({ "serial_number": serial })).await?;
            if answer.status == 400 && answer.said().contains("not found") {
                // A role with `no_store` keeps no certificates; the engine then wants to see the certificate itself.
                let pem = pem::encode(pem::CERTIFICATE, &certificate.der);
                answer = place.client.post(path, &json!({ "certificate": pem })).await?;
            }
            if answer.status == 400 && answer.said().contains("already revoked") {
                return Ok(());
            }
            place.client.fine("to revoke", answer).map(|_| ())
        })
    }

    fn renewal_advice<'a>(&'a self, _: &'a Site, _: &'a ExternalCertificate) -> Asking<'a, Option<RenewalAdvice>> {
        Box::pin(async { Ok(None) })
    }

    fn change_account_key<'a>(&'a self, _: &'a Site) -> Asking<'a, Option<Settled>> {
        Box::pin(async { Ok(None) })
    }
}
