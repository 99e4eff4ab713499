//! Client secrets of machine identities: shown once, kept as a keyed hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_model::audit::AuditEvent;
use chancery_model::identity::{ActorId, ClientSecret, Identity};
use chancery_model::permission::Permission;
use chancery_model::{ClientSecretId, IdentityId};
use chancery_store::{Change, Write};
use serde_json::json;
use zeroize::Zeroizing;

use super::client_secret_hash;
use super::identity::{no_universal_auth, object};
use crate::error::Error;
use crate::{Authority, Call};

/// Makes secrets easy to find for scanners of leaked credentials.
const PREFIX: &str = "chs_";
/// Characters of a secret that stay readable, the prefix included.
const SHOWN: usize = 8;
const DESCRIPTION_LENGTH_MAX: usize = 255;
/// Seconds.
const TTL_MAX: i64 = 315_360_000;
/// Secrets of one identity that may be valid at once.
const SECRETS_MAX: usize = 100;

#[derive(Clone, Debug, Default)]
pub struct NewClientSecret {
    /// At most 255 characters.
    pub description: String,
    /// 0 means no limit.
    pub uses_max: u32,
    /// Seconds, 0 to 315 360 000; 0 means that it does not expire.
    pub ttl: i64,
}

impl Authority {
    /// Makes a secret; the text is answered here and nowhere else.
    pub async fn create_client_secret(
        &self,
        call: &Call,
        identity: IdentityId,
        new: NewClientSecret,
    ) -> Result<(ClientSecret, Zeroizing<String>), Error> {
        call.requester.require(Permission::IdentityManage)?;
        if !(0..=TTL_MAX).contains(&new.ttl) {
            return Err(Error::malformed(
                "identity.range",
                "ttl",
                format!("{} is not between 0 and {TTL_MAX}", new.ttl),
            ));
        }
        if new.description.chars().count() > DESCRIPTION_LENGTH_MAX {
            let message = format!("a description has at most {DESCRIPTION_LENGTH_MAX} characters");
            return Err(Error::malformed("description.too_long", "description", message));
        }
        let _changes = self.access_state().changes.lock().await;
        let owner = self.secret_owner(call, identity).await?;
        let now = self.now();
        let known = self.reader().client_secrets(identity).await?;
        let is_alive = |it: &&ClientSecret| it.revoked_at.is_none() && it.expires_at.is_none_or(|at| at > now);
        if known.iter().filter(is_alive).count() >= SECRETS_MAX {
            let message =
                format!("The identity '{}' has {SECRETS_MAX} valid client secrets; revoke one first", owner.name);
            return Err(Error::forbidden("identity.too_many_secrets", message));
        }
        let (secret, text) = self.new_secret(&owner, new);
        let record = call.audit(now, AuditEvent::ClientSecretCreated, object(identity), described(&secret));
        self.commit(Write::default().with(Change::InsertClientSecret(secret.clone())).audited(record)).await?;
        Ok((secret, text))
    }

    pub(super) fn new_secret(&self, owner: &Identity, new: NewClientSecret) -> (ClientSecret, Zeroizing<String>) {
        let now = self.now();
        let text = self.random_secret();
        let secret = ClientSecret {
            id: ClientSecretId::generate(now, self.random()),
            identity_id: owner.id,
            project_id: owner.project_id,
            description: new.description,
            prefix: text.chars().take(SHOWN).collect(),
            hash: client_secret_hash(self.sealer(), &text),
            uses_max: new.uses_max,
            uses: 0,
            expires_at: (new.ttl > 0).then(|| now.plus_seconds(new.ttl)),
            revoked_at: None,
            created_at: now,
            updated_at: now,
        };
        (secret, text)
    }

    /// Revokes a secret and every token of its identity, so that programs log in again with a secret that is still good.
    /// Revoking it again changes nothing.
    pub async fn revoke_client_secret(
        &self,
        call: &Call,
        identity: IdentityId,
        id: ClientSecretId,
    ) -> Result<ClientSecret, Error> {
        call.requester.require(Permission::IdentityManage)?;
        let _changes = self.access_state().changes.lock().await;
        self.secret_owner(call, identity).await?;
        let secret = self.reader().client_secret(id).await?.filter(|it| it.identity_id == identity);
        let mut secret = secret.ok_or_else(|| Error::not_found("Client secret", id))?;
        if secret.revoked_at.is_some() {
            return Ok(secret);
        }
        let now = self.now();
        let record = call.audit(now, AuditEvent::ClientSecretRevoked, object(identity), described(&secret));
        // A token does not say which secret it came from, so all of the identity's tokens end: whoever stole the secret
        // would otherwise keep a session for as long as a token lives.
        let actor = ActorId::Identity(identity);
        let write = Write::default()
            .with(Change::RevokeClientSecret { id, at: now })
            .with(Change::RevokeTokensOf { actor, at: now })
            .audited(record);
        self.commit(write).await?;
        self.access_state().sessions.clear();
        (secret.revoked_at, secret.updated_at) = (Some(now), now);
        Ok(secret)
    }

    async fn secret_owner(&self, call: &Call, id: IdentityId) -> Result<Identity, Error> {
        let identity = self.own_identity(call, id).await?;
        if identity.universal_auth.is_none() {
            return Err(no_universal_auth(&identity));
        }
        Ok(identity)
    }

    /// 256 random bits as text.
    fn random_secret(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        self.random().fill(bytes.as_mut_slice());
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 43));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        text
    }
}

fn described(secret: &ClientSecret) -> serde_json::Value {
    json!({
        "clientSecretId": secret.id,
        "description": secret.description,
        "prefix": secret.prefix,
        "usesMax": secret.uses_max,
        "expiresAt": secret.expires_at.map(|at| at.to_string()),
    })
}
