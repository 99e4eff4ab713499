//! The ways out for an alert: e-mail, webhooks and Slack behind the trait that `authority` declares.
//!
//! One message in, one delivery out; whether it is tried again is decided in `authority`, by whether the error may pass.
//! Addresses that people have typed in are asked through `egress` only; the mail server is the operator's own.
//!
//! Made by `server`. Must not know HTTP servers, the store or template rules. Start reading at [`Outbound`].

mod email;
mod slack;
mod text;
mod webhook;

use std::sync::Arc;

use chancery_authority::alert::{Message, Notifier, NotifyError, OpenedChannel, Sending};
use chancery_egress::{Egress, EgressError, EgressReply, HeaderMap, HeaderValue, Url};
use chancery_model::Clock;

pub use email::{Mailer, SmtpSettings};
pub use webhook::{SIGNATURE_HEADER, signature};

/// All ways out of this server.
pub struct Outbound {
    egress: Egress,
    /// Absent: no mail server is configured.
    mailer: Option<Mailer>,
    clock: Arc<dyn Clock>,
}

impl Outbound {
    #[must_use]
    pub fn new(egress: Egress, mailer: Option<Mailer>, clock: Arc<dyn Clock>) -> Self {
        Self { egress, mailer, clock }
    }

    async fn deliver(&self, channel: &OpenedChannel, message: &Message) -> Result<(), NotifyError> {
        match channel {
            OpenedChannel::Email { recipients } => match &self.mailer {
                Some(mailer) => mailer.send(recipients, message).await,
                None => Err(NotifyError::lasting("e-mail is not configured: set smtp_url and smtp_from")),
            },
            OpenedChannel::Webhook { url, signing_secret } => {
                let body = webhook::body(message)?;
                let mut headers = HeaderMap::new();
                headers.insert("content-type", HeaderValue::from_static("application/cloudevents+json; charset=utf-8"));
                if let Some(secret) = signing_secret {
                    let value = webhook::signature(secret, self.clock.now().as_seconds(), body.as_bytes());
                    let value = HeaderValue::from_str(&value)
                        .map_err(|_| NotifyError::lasting("the signature is no header"))?;
                    headers.insert(SIGNATURE_HEADER, value);
                }
                self.post(url, headers, body).await
            }
            OpenedChannel::Slack { webhook_url, channel, mention_users } => {
                let body = slack::body(message, channel.as_deref(), mention_users)?;
                let mut headers = HeaderMap::new();
                headers.insert("content-type", HeaderValue::from_static("application/json; charset=utf-8"));
                self.post(webhook_url, headers, body).await
            }
        }
    }

    async fn post(&self, url: &str, headers: HeaderMap, body: String) -> Result<(), NotifyError> {
        let url: Url = url.parse().map_err(|_| NotifyError::lasting("the address is not a URL"))?;
        match self.egress.post(url, headers, body).await {
            Ok(reply) => taken(&reply),
            Err(error) => {
                if !error.detail().is_empty() {
                    tracing::warn!(detail = error.detail(), "A webhook could not be reached.");
                }
                let text = error.to_string();
                Err(match error {
                    EgressError::Denied | EgressError::Scheme => NotifyError::lasting(text),
                    _ => NotifyError::passing(text),
                })
            }
        }
    }
}

impl Notifier for Outbound {
    fn send<'a>(&'a self, channel: &'a OpenedChannel, message: &'a Message) -> Sending<'a> {
        Box::pin(self.deliver(channel, message))
    }
}

/// Any 2xx is a receipt. 410 says that nobody will ever listen there again (RFC 9110 §15.5.11); all else may be mended.
fn taken(reply: &EgressReply) -> Result<(), NotifyError> {
    let status = reply.status.as_u16();
    let text = format!("answered with status {status}");
    match status {
        200..=299 => Ok(()),
        410 => Err(NotifyError::lasting(text)),
        _ => Err(NotifyError::passing(text)),
    }
}

#[cfg(test)]
mod sample;
