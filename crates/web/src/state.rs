//! What every page shares.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRef;
use chancery_authority::Authority;
use chancery_model::Randomness;

/// Takes one call that proves nothing out of an address's share; `Err` says after how many seconds there is one again.
pub type Admission = Arc<dyn Fn(IpAddr) -> Result<(), u64> + Send + Sync>;

/// How this door is served.
pub struct WebConfig {
    /// Whether browsers reach it by HTTPS: then cookies are `Secure` and bound to the host by their name.
    pub is_https: bool,
    /// Limits sign-ins of one address; `None` limits nothing.
    pub admission: Option<Admission>,
    pub randomness: Arc<dyn Randomness>,
    /// What the settings page shows of the configuration: key and value, secrets left out.
    pub settings: Vec<(String, String)>,
    pub version: &'static str,
}

/// The core and this door's circumstances. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    authority: Authority,
    config: Arc<WebConfig>,
}

impl WebState {
    #[must_use]
    pub fn new(authority: Authority, config: WebConfig) -> Self {
        Self { authority, config: Arc::new(config) }
    }

    pub(crate) const fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn is_https(&self) -> bool {
        self.config.is_https
    }

    pub(crate) fn settings(&self) -> &[(String, String)] {
        &self.config.settings
    }

    pub(crate) fn version(&self) -> &'static str {
        self.config.version
    }

    pub(crate) fn admit(&self, address: IpAddr) -> Result<(), u64> {
        self.config.admission.as_ref().map_or(Ok(()), |admission| admission(address))
    }

    /// 128 random bits in hex: names a call in logs, or a form that is to be taken once.
    pub(crate) fn nonce(&self) -> String {
        let mut bytes = [0; 16];
        self.config.randomness.fill(&mut bytes);
        hex::encode(bytes)
    }
}

impl FromRef<WebState> for Authority {
    fn from_ref(state: &WebState) -> Self {
        state.authority.clone()
    }
}
