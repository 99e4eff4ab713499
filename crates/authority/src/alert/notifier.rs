//! How a message leaves the house: declared here, done in the crate `notifier`.

use std::future::Future;
use std::pin::Pin;

use zeroize::Zeroizing;

use super::message::Message;

/// Sends a message by one channel, once. Called again with the same message after a failure that may pass.
pub trait Notifier: Send + Sync {
    fn send<'a>(&'a self, channel: &'a OpenedChannel, message: &'a Message) -> Sending<'a>;
}

pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), NotifyError>> + Send + 'a>>;

/// A channel with its secret in the clear, for as long as a message is sent.
#[derive(Clone)]
pub enum OpenedChannel {
    Email { recipients: Vec<String> },
    Webhook { url: String, signing_secret: Option<Zeroizing<String>> },
    Slack { webhook_url: Zeroizing<String>, channel: Option<String>, mention_users: Vec<String> },
}

/// Why a message was not taken. The text is shown to whoever may read the alert, so it names nothing that is inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct NotifyError {
    /// Whether a later try may succeed.
    pub retryable: bool,
    pub text: String,
}

impl NotifyError {
    #[must_use]
    pub fn passing(text: impl Into<String>) -> Self {
        Self { retryable: true, text: text.into() }
    }

    #[must_use]
    pub fn lasting(text: impl Into<String>) -> Self {
        Self { retryable: false, text: text.into() }
    }
}

/// For a core without a way out: refuses every message and says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNotifier;

impl Notifier for NoNotifier {
    fn send<'a>(&'a self, _: &'a OpenedChannel, _: &'a Message) -> Sending<'a> {
        Box::pin(async { Err(NotifyError::lasting("this server sends no notifications")) })
    }
}
