//! Channels' secrets: sealed before they reach the store, opened for the moment of sending.

use chancery_keys::Place;
use chancery_model::alert::{AlertChannel, ChannelConfig};
use chancery_model::{ChannelId, ProjectId};
use zeroize::Zeroizing;

use super::notifier::OpenedChannel;
use crate::Authority;
use crate::error::Error;

const fn place(project: ProjectId, channel: ChannelId) -> Place {
    Place { project, table: "alert_channels", column: "secret", record: channel.as_uuid() }
}

impl Authority {
    pub(super) async fn seal_channel_secret(
        &self,
        project: ProjectId,
        channel: ChannelId,
        secret: &str,
    ) -> Result<Vec<u8>, Error> {
        self.ensure_project_key(project).await?;
        self.sealer().seal(&place(project, channel), secret.as_bytes(), self.random()).map_err(Error::internal)
    }

    pub(super) async fn open_channel(
        &self,
        project: ProjectId,
        channel: &AlertChannel,
    ) -> Result<OpenedChannel, Error> {
        let secret = match &channel.sealed_secret {
            None => None,
            Some(sealed) => {
                self.ensure_project_key(project).await?;
                let opened = self.sealer().unseal(&place(project, channel.id), sealed).map_err(Error::internal)?;
                let text = std::str::from_utf8(&opened).map_err(Error::internal)?;
                Some(Zeroizing::new(text.to_owned()))
            }
        };
        Ok(match &channel.config {
            ChannelConfig::Email { recipients } => OpenedChannel::Email { recipients: recipients.clone() },
            ChannelConfig::Webhook { url } => OpenedChannel::Webhook { url: url.clone(), signing_secret: secret },
            ChannelConfig::Slack { channel: room, mention_users } => OpenedChannel::Slack {
                webhook_url: secret.ok_or_else(|| Error::internal(format!("channel {} has no address", channel.id)))?,
                channel: room.clone(),
                mention_users: mention_users.clone(),
            },
        })
    }
}
