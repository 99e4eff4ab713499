//! How an external CA is asked: declared here, done in the crate `upstream`.
//!
//! Nothing here keeps anything by itself. An order is advanced step by step; after each step the core writes down the state
//! that the step returned, and only then takes the next. So whatever a step does outside must be safe to do again: a process
//! may die after doing it and before the state is written.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use chancery_model::certificate::RevocationReason;
use chancery_model::external::{ConnectionApp, ExternalCa, ExternalCaKind};
use chancery_model::order::{ExternalOrder, PublishedChallenge};
use chancery_model::{ConnectionId, Timestamp};
use zeroize::Zeroizing;

pub type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, UpstreamError>> + Send + 'a>>;

/// Everything outside that the core may ask.
pub trait Upstream: Send + Sync {
    /// The implementation for a kind; absent where this build has none.
    fn ca(&self, kind: ExternalCaKind) -> Option<&dyn UpstreamCa>;

    /// Tries credentials at their service, in a way that changes nothing there.
    fn check_connection<'a>(&'a self, connection: &'a OpenedConnection) -> Asking<'a, ()>;

    /// Has an intermediate CA of ours signed by a CA behind a connection. DER, the new certificate first, then the chain.
    fn sign_intermediate<'a>(
        &'a self,
        connection: &'a OpenedConnection,
        wanted: &'a IntermediateWish,
    ) -> Asking<'a, Vec<Vec<u8>>>;
}

/// One kind of external CA.
pub trait UpstreamCa: Send + Sync {
    fn capabilities(&self) -> Capabilities;

    /// Looks at the settings, asks the CA whether they hold, and registers what needs registering (an ACME account).
    /// Called when a CA is made or changed, before it is stored.
    fn settle<'a>(&'a self, site: &'a Site) -> Asking<'a, Settled>;

    /// The next step of an order, from the state that the last one left (`null` before the first).
    fn advance<'a>(&'a self, site: &'a Site, order: &'a OrderInHand) -> Asking<'a, Step>;

    /// Removes one step's worth of what the order has left outside. Called until nothing is left, also for orders that
    /// failed or were cancelled, whatever state they were in.
    fn tidy<'a>(&'a self, site: &'a Site, order: &'a ExternalOrder) -> Asking<'a, Tidied>;

    /// Revokes. A certificate that is revoked there already is fine.
    fn revoke<'a>(
        &'a self,
        site: &'a Site,
        certificate: &'a ExternalCertificate,
        reason: RevocationReason,
    ) -> Asking<'a, ()>;

    /// When the CA wants the certificate renewed (RFC 9773); `None` where it does not say.
    fn renewal_advice<'a>(
        &'a self,
        site: &'a Site,
        certificate: &'a ExternalCertificate,
    ) -> Asking<'a, Option<RenewalAdvice>>;

    /// A new key for the account at the CA (RFC 8555 §7.3.5). `None` where there is no such thing. With a secret
    /// [`NEXT_ACCOUNT_KEY`] in the answer it is only prepared: stored, and called again, it takes force.
    fn change_account_key<'a>(&'a self, site: &'a Site) -> Asking<'a, Option<Settled>>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub revoke: bool,
    pub renew: bool,
    /// Whether [`UpstreamCa::renewal_advice`] may know something.
    pub advises_renewal: bool,
    /// How long an order may be under way, in seconds: machines answer soon, where people look at orders it takes weeks.
    pub patience_seconds: i64,
}

/// A CA with all that is needed to ask it, for as long as it is asked.
pub struct Site {
    pub ca: ExternalCa,
    /// By name; each kind has its own names.
    pub secrets: BTreeMap<String, Zeroizing<String>>,
    /// Those that the configuration names.
    pub connections: BTreeMap<ConnectionId, OpenedConnection>,
    pub now: Timestamp,
}

/// Credentials in the clear.
#[derive(Clone)]
pub struct OpenedConnection {
    pub app: ConnectionApp,
    pub method: String,
    /// Settings and secrets together, by name.
    pub fields: BTreeMap<String, Zeroizing<String>>,
}

impl OpenedConnection {
    /// The field, unless it is missing or empty.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|it| it.as_str()).filter(|it| !it.is_empty())
    }

    /// A field that the connection cannot do without.
    pub fn required(&self, name: &str) -> Result<&str, UpstreamError> {
        self.field(name).ok_or_else(|| {
            UpstreamError::lasting(format!("the app connection has no {name}; set it on the app connection"))
        })
    }
}

/// The secret that is an account's next key. It is stored before the CA hears of it: otherwise a process that dies in
/// between would leave an account whose key nobody has.
pub const NEXT_ACCOUNT_KEY: &str = "nextAccountKey";

/// What to keep of the relation to a CA.
pub struct Settled {
    /// Shown to administrators. No secrets.
    pub standing: serde_json::Value,
    /// In place of [`Site::secrets`]; sealed.
    pub secrets: BTreeMap<String, Zeroizing<String>>,
    /// What an administrator should know.
    pub warnings: Vec<String>,
}

/// An order, and what it renews.
pub struct OrderInHand {
    pub order: ExternalOrder,
    /// Absent for a first certificate.
    pub predecessor: Option<ExternalCertificate>,
}

/// What a step has come to. The state is written down before anything else happens.
#[derive(Debug)]
pub struct Step {
    /// In the kind's own words; no secrets.
    pub state: serde_json::Value,
    /// How the CA calls the order, once it is known.
    pub reference: Option<String>,
    /// What this server's listeners are to answer from now on, in place of what they did for this order; `None` changes
    /// nothing.
    pub challenges: Option<Vec<PublishedChallenge>>,
    pub next: Next,
}

#[derive(Debug)]
pub enum Next {
    /// Go on as soon as the state is written.
    Continue,
    /// Come back after so many seconds; until then somebody else is at it.
    Wait {
        seconds: u32,
        /// Whether the CA is looking whether the names are ours.
        validating: bool,
        /// For the requester: what is waited for, and what could be done about it.
        message: String,
    },
    /// DER, the certificate first, then the chain up as far as the CA gave it.
    Issued { chain: Vec<Vec<u8>>, warnings: Vec<String> },
    /// For good; the text says why and what to do.
    Failed { message: String },
}

#[derive(Debug)]
pub enum Tidied {
    /// Nothing is left outside.
    Done,
    /// Something was removed; write the state down and call again.
    More { state: serde_json::Value },
}

/// A certificate that this external CA issued.
pub struct ExternalCertificate {
    pub der: Vec<u8>,
    /// The CA's name for its order.
    pub reference: Option<String>,
    /// The state that its order ended in.
    pub state: serde_json::Value,
    /// Lower-case hex.
    pub serial_number: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalAdvice {
    pub start: Timestamp,
    pub end: Timestamp,
    /// Seconds after which to ask again.
    pub ask_again_after: u32,
    pub explanation_url: Option<String>,
}

/// An intermediate CA to be signed elsewhere.
pub struct IntermediateWish {
    /// PKCS#10 with its proof of possession, DER.
    pub csr: Vec<u8>,
    pub not_after: Timestamp,
    /// Absent: no limit.
    pub path_length_max: Option<u8>,
    /// Path of the secrets engine at the service.
    pub mount: String,
    /// Which issuer there; absent: its default.
    pub issuer_ref: Option<String>,
    pub now: Timestamp,
}

/// Why the CA, or a service on the way to it, could not be asked or said no. `Display` is shown to whoever may read the
/// request, so it names nothing that is inside; `detail` is for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct UpstreamError {
    pub kind: UpstreamErrorKind,
    pub text: String,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamErrorKind {
    /// A later try may succeed; after so many seconds, if the other side named a time (`Retry-After`).
    Passing { retry_after: Option<u32> },
    /// Trying again would bring the same: settings, credentials or the request must change.
    Lasting,
}

impl UpstreamError {
    #[must_use]
    pub fn passing(text: impl Into<String>) -> Self {
        Self { kind: UpstreamErrorKind::Passing { retry_after: None }, text: text.into(), detail: String::new() }
    }

    #[must_use]
    pub fn passing_after(text: impl Into<String>, retry_after: Option<u32>) -> Self {
        Self { kind: UpstreamErrorKind::Passing { retry_after }, text: text.into(), detail: String::new() }
    }

    #[must_use]
    pub fn lasting(text: impl Into<String>) -> Self {
        Self { kind: UpstreamErrorKind::Lasting, text: text.into(), detail: String::new() }
    }

    /// Adds what only the operator's log is told.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// For a core without a way out: it has no external CAs, and says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUpstream;

impl Upstream for NoUpstream {
    fn ca(&self, _: ExternalCaKind) -> Option<&dyn UpstreamCa> {
        None
    }

    fn check_connection<'a>(&'a self, _: &'a OpenedConnection) -> Asking<'a, ()> {
        Box::pin(async { Err(UpstreamError::lasting("this server asks nobody outside")) })
    }

    fn sign_intermediate<'a>(&'a self, _: &'a OpenedConnection, _: &'a IntermediateWish) -> Asking<'a, Vec<Vec<u8>>> {
        Box::pin(async { Err(UpstreamError::lasting("this server asks nobody outside")) })
    }
}
