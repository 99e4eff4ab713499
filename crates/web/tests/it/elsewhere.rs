//! CAs and services elsewhere, as far as pages meet them: they accept everything but what tests call wrong.

use chancery_authority::external::{
    Asking, Capabilities, ExternalCertificate, IntermediateWish, OpenedConnection, OrderInHand, RenewalAdvice, Settled,
    Site, Step, Tidied, Upstream, UpstreamCa, UpstreamError,
};
use chancery_model::certificate::RevocationReason;
use chancery_model::external::{ExternalCaKind, ExternalConfiguration};
use chancery_model::order::ExternalOrder;

/// A secret that no service accepts.
pub const WRONG_SECRET: &str = "wrong-secret";

pub struct Elsewhere;

impl Upstream for Elsewhere {
    fn ca(&self, _: ExternalCaKind) -> Option<&dyn UpstreamCa> {
        Some(self)
    }

    fn check_connection<'a>(&'a self, connection: &'a OpenedConnection) -> Asking<'a, ()> {
        let is_wrong = connection.fields.values().any(|value| value.as_str() == WRONG_SECRET);
        Box::pin(async move {
            if is_wrong { Err(UpstreamError::lasting("the service does not accept the credentials")) } else { Ok(()) }
        })
    }

    fn sign_intermediate<'a>(&'a self, _: &'a OpenedConnection, _: &'a IntermediateWish) -> Asking<'a, Vec<Vec<u8>>> {
        Box::pin(async { Err(UpstreamError::lasting("the issuer there signs no CA")) })
    }
}

impl UpstreamCa for Elsewhere {
    fn capabilities(&self) -> Capabilities {
        Capabilities { revoke: true, renew: true, advises_renewal: false, patience_seconds: 86_400 }
    }

    fn settle<'a>(&'a self, site: &'a Site) -> Asking<'a, Settled> {
        Box::pin(async move {
            if let ExternalConfiguration::Acme(it) = &site.ca.configuration
                && it.directory_url.contains("//down.")
            {
                return Err(UpstreamError::passing("the ACME directory does not answer"));
            }
            Ok(Settled {
                standing: serde_json::json!({ "accountUrl": "https://acme.test/account/1" }),
                secrets: site.secrets.clone(),
                warnings: vec!["the terms have changed".to_owned()],
            })
        })
    }

    fn advance<'a>(&'a self, _: &'a Site, _: &'a OrderInHand) -> Asking<'a, Step> {
        Box::pin(async { Err(UpstreamError::lasting("nothing is ordered here")) })
    }

    fn tidy<'a>(&'a self, _: &'a Site, _: &'a ExternalOrder) -> Asking<'a, Tidied> {
        Box::pin(async { Err(UpstreamError::lasting("nothing is ordered here")) })
    }

    fn revoke<'a>(&'a self, _: &'a Site, _: &'a ExternalCertificate, _: RevocationReason) -> Asking<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn renewal_advice<'a>(&'a self, _: &'a Site, _: &'a ExternalCertificate) -> Asking<'a, Option<RenewalAdvice>> {
        Box::pin(async { Ok(None) })
    }

    fn change_account_key<'a>(&'a self, _: &'a Site) -> Asking<'a, Option<Settled>> {
        Box::pin(async { Ok(None) })
    }
}
