//! Machine identities and their universal-auth settings.

use chancery_model::audit::AuditEvent;
use chancery_model::identity::{ActorId, Identity, UniversalAuth};
use chancery_model::page::PageRequest;
use chancery_model::permission::{Permission, Role};
use chancery_model::{IdentityId, ProjectId, Timestamp};
use chancery_store::{Change, Write};
use serde_json::json;
use uuid::Uuid;

use super::address::TrustedRanges;
use crate::error::Error;
use crate::{Authority, Call};

const NAME_LENGTH_MAX: usize = 255;
const METADATA_PAIRS_MAX: usize = 100;
const METADATA_KEY_MAX: usize = 255;
const METADATA_VALUE_MAX: usize = 1_020;

/// Seconds.
const TTL_DEFAULT: i64 = 2_592_000;
const TTL_MAX: i64 = 315_360_000;
const LOCKOUT_THRESHOLD_DEFAULT: u32 = 3;
const LOCKOUT_THRESHOLD_MAX: u32 = 30;
const LOCKOUT_DURATION_DEFAULT: i64 = 300;
const LOCKOUT_DURATION_MAX: i64 = 86_400;
const LOCKOUT_RESET_DEFAULT: i64 = 30;
const LOCKOUT_RESET_MAX: i64 = 3_600;

#[derive(Clone, Debug)]
pub struct NewIdentity {
    /// 1 to 255 characters.
    pub name: String,
    pub role: Role,
    pub has_delete_protection: bool,
    /// At most 100 pairs; keys 1 to 255, values up to 1 020 characters.
    pub metadata: Vec<(String, String)>,
}

/// What is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct IdentityPatch {
    pub name: Option<String>,
    pub role: Option<Role>,
    pub has_delete_protection: Option<bool>,
    pub metadata: Option<Vec<(String, String)>>,
}

/// What is `None` takes the default when universal auth is attached, and stays as it is when it is updated.
#[derive(Clone, Debug, Default)]
pub struct UniversalAuthSettings {
    /// Seconds, 1 to 315 360 000 and at most `access_token_max_ttl`; 30 days by default.
    pub access_token_ttl: Option<i64>,
    /// Seconds, 1 to 315 360 000; 30 days by default.
    pub access_token_max_ttl: Option<i64>,
    /// Only 0, no limit, is accepted by this build.
    pub access_token_uses_max: Option<i64>,
    /// Ranges or addresses; empty means anywhere.
    pub client_secret_trusted_ips: Option<Vec<String>>,
    pub access_token_trusted_ips: Option<Vec<String>>,
    pub lockout_enabled: Option<bool>,
    /// Failures, 1 to 30; 3 by default.
    pub lockout_threshold: Option<u32>,
    /// Seconds, 30 to 86 400; 300 by default.
    pub lockout_duration: Option<i64>,
    /// Seconds, 5 to 3 600; 30 by default.
    pub lockout_counter_reset: Option<i64>,
}

impl Authority {
    /// Creates a machine identity in the caller's project. It cannot log in before it has universal auth and a secret.
    pub async fn create_identity(&self, call: &Call, new: NewIdentity) -> Result<Identity, Error> {
        call.requester.require(Permission::IdentityManage)?;
        let identity = self.new_identity(call.project_id(), new)?;
        let record = call.audit(self.now(), AuditEvent::IdentityCreated, object(identity.id), described(&identity));
        self.commit(Write::default().with(Change::InsertIdentity(identity.clone())).audited(record)).await?;
        Ok(identity)
    }

    pub(super) fn new_identity(&self, project_id: ProjectId, new: NewIdentity) -> Result<Identity, Error> {
        let now = self.now();
        Ok(Identity {
            id: IdentityId::generate(now, self.random()),
            project_id,
            name: checked_name(&new.name)?,
            role: new.role,
            has_delete_protection: new.has_delete_protection,
            metadata: checked_metadata(new.metadata)?,
            universal_auth: None,
            created_at: now,
            updated_at: now,
        })
    }

    pub async fn update_identity(&self, call: &Call, id: IdentityId, patch: IdentityPatch) -> Result<Identity, Error> {
        call.requester.require(Permission::IdentityManage)?;
        let _changes = self.access_state().changes.lock().await;
        let before = self.own_identity(call, id).await?;
        let now = self.now();
        let after = Identity {
            name: patch.name.as_deref().map_or_else(|| Ok(before.name.clone()), checked_name)?,
            role: patch.role.unwrap_or(before.role),
            has_delete_protection: patch.has_delete_protection.unwrap_or(before.has_delete_protection),
            metadata: patch.metadata.map_or_else(|| Ok(before.metadata.clone()), checked_metadata)?,
            updated_at: now,
            ..before.clone()
        };
        if before.role == Role::Admin && after.role != Role::Admin {
            self.require_other_administrator(&before).await?;
        }
        let details = json!({ "before": described(&before), "after": described(&after) });
        let record = call.audit(now, AuditEvent::IdentityUpdated, object(id), details);
        self.commit(Write::default().with(Change::UpdateIdentity(after.clone())).audited(record)).await?;
        Ok(after)
    }

    /// Deletes an identity with its secrets; its tokens are dead when this returns.
    pub async fn delete_identity(&self, call: &Call, id: IdentityId) -> Result<Identity, Error> {
        call.requester.require(Permission::IdentityManage)?;
        let _changes = self.access_state().changes.lock().await;
        let identity = self.own_identity(call, id).await?;
        if identity.has_delete_protection {
            let message = format!(
                "The identity '{}' is protected from deletion; switch hasDeleteProtection off first",
                identity.name
            );
            return Err(Error::forbidden("identity.delete_protection", message));
        }
        self.require_other_administrator(&identity).await?;
        let record = call.audit(self.now(), AuditEvent::IdentityDeleted, object(id), described(&identity));
        self.commit(Write::default().with(Change::DeleteIdentity(id)).audited(record)).await?;
        self.access_state().sessions.clear();
        Ok(identity)
    }

    /// Attaches universal auth; a conflict if it is there already.
    pub async fn attach_universal_auth(
        &self,
        call: &Call,
        id: IdentityId,
        settings: UniversalAuthSettings,
    ) -> Result<Identity, Error> {
        self.change_universal_auth(call, id, settings, |before| {
            if before.universal_auth.is_some() {
                let message = format!("The identity '{}' has universal auth already; update it instead", before.name);
                return Err(Error::conflict("identity.universal_auth_exists", message));
            }
            Ok(())
        })
        .await
    }

    /// Changes the settings of attached universal auth. Tokens that were given out keep their lifetime.
    pub async fn update_universal_auth(
        &self,
        call: &Call,
        id: IdentityId,
        settings: UniversalAuthSettings,
    ) -> Result<Identity, Error> {
        self.change_universal_auth(call, id, settings, |before| match before.universal_auth {
            Some(_) => Ok(()),
            None => Err(no_universal_auth(before)),
        })
        .await
    }

    /// Attaches universal auth, or changes its settings where it is attached.
    pub async fn configure_universal_auth(
        &self,
        call: &Call,
        id: IdentityId,
        settings: UniversalAuthSettings,
    ) -> Result<Identity, Error> {
        self.change_universal_auth(call, id, settings, |_| Ok(())).await
    }

    async fn change_universal_auth(
        &self,
        call: &Call,
        id: IdentityId,
        settings: UniversalAuthSettings,
        precondition: impl Fn(&Identity) -> Result<(), Error>,
    ) -> Result<Identity, Error> {
        call.requester.require(Permission::IdentityManage)?;
        let _changes = self.access_state().changes.lock().await;
        let before = self.own_identity(call, id).await?;
        precondition(&before)?;
        let now = self.now();
        let start = before.universal_auth.clone().unwrap_or_else(|| self.default_universal_auth(now));
        let settings = settings.applied_to(start, now)?;
        let details = json!({
            "before": before.universal_auth.as_ref().map(described_settings),
            "after": described_settings(&settings),
        });
        let after = Identity { universal_auth: Some(settings), updated_at: now, ..before };
        let record = call.audit(now, AuditEvent::UniversalAuthConfigured, object(id), details);
        self.commit(Write::default().with(Change::UpdateIdentity(after.clone())).audited(record)).await?;
        Ok(after)
    }

    /// Takes universal auth away: every secret is revoked and every token is dead when this returns.
    pub async fn remove_universal_auth(&self, call: &Call, id: IdentityId) -> Result<Identity, Error> {
        call.requester.require(Permission::IdentityManage)?;
        let _changes = self.access_state().changes.lock().await;
        let before = self.own_identity(call, id).await?;
        let Some(settings) = before.universal_auth.as_ref() else { return Err(no_universal_auth(&before)) };
        self.require_other_administrator(&before).await?;
        let now = self.now();
        let details = json!({ "before": described_settings(settings) });
        let record = call.audit(now, AuditEvent::UniversalAuthRemoved, object(id), details);
        let after = Identity { universal_auth: None, updated_at: now, ..before };
        let mut write = Write::default()
            .with(Change::UpdateIdentity(after.clone()))
            .with(Change::RevokeTokensOf { actor: ActorId::Identity(id), at: now });
        for secret in self.reader().client_secrets(id).await?.iter().filter(|it| it.revoked_at.is_none()) {
            write = write.with(Change::RevokeClientSecret { id: secret.id, at: now });
        }
        self.commit(write.audited(record)).await?;
        self.access_state().sessions.clear();
        Ok(after)
    }

    pub(super) async fn own_identity(&self, call: &Call, id: IdentityId) -> Result<Identity, Error> {
        self.reader().identity(call.project_id(), id).await?.ok_or_else(|| Error::not_found("Identity", id))
    }

    async fn require_other_administrator(&self, leaving: &Identity) -> Result<(), Error> {
        if leaving.role != Role::Admin || self.is_administered_without(leaving.project_id, leaving.id.as_uuid()).await?
        {
            return Ok(());
        }
        let message = format!("'{}' is the last administrator of the project; make another one first", leaving.name);
        Err(Error::forbidden("identity.last_administrator", message))
    }

    /// Whether somebody else than this person or identity can administer the project: a person who can sign in, or an
    /// identity that can log in.
    pub(super) async fn is_administered_without(&self, project: ProjectId, leaving: Uuid) -> Result<bool, Error> {
        let people = self.reader().users(project).await?;
        if people.iter().any(|it| it.id.as_uuid() != leaving && it.role == Role::Admin && it.has_password()) {
            return Ok(true);
        }
        let mut page = PageRequest { offset: 0, limit: PageRequest::LIMIT_MAX, cursor: None };
        loop {
            let found = self.reader().identities(project, &page).await?;
            let can_administer =
                |it: &Identity| it.id.as_uuid() != leaving && it.role == Role::Admin && it.universal_auth.is_some();
            if found.items.iter().any(can_administer) {
                return Ok(true);
            }
            match found.next_cursor {
                Some(cursor) => page.cursor = Some(cursor),
                None => return Ok(false),
            }
        }
    }

    pub(super) fn default_universal_auth(&self, now: Timestamp) -> UniversalAuth {
        let mut bytes = [0; 16];
        self.random().fill(&mut bytes);
        UniversalAuth {
            client_id: uuid::Builder::from_random_bytes(bytes).into_uuid(),
            access_token_ttl: TTL_DEFAULT,
            access_token_max_ttl: TTL_DEFAULT,
            client_secret_trusted_ips: Vec::new(),
            access_token_trusted_ips: Vec::new(),
            lockout_enabled: true,
            lockout_threshold: LOCKOUT_THRESHOLD_DEFAULT,
            lockout_duration: LOCKOUT_DURATION_DEFAULT,
            lockout_counter_reset: LOCKOUT_RESET_DEFAULT,
            failed_logins: 0,
            last_failed_at: None,
            locked_until: None,
            created_at: now,
            updated_at: now,
        }
    }
}

impl UniversalAuthSettings {
    fn applied_to(self, before: UniversalAuth, now: Timestamp) -> Result<UniversalAuth, Error> {
        if self.access_token_uses_max.is_some_and(|it| it != 0) {
            let message = "a limit on the uses of an access token is not offered by this build; send 0 and a shorter accessTokenTTL";
            return Err(Error::malformed("identity.token_uses", "accessTokenNumUsesLimit", message));
        }
        let ranges = |field: &str, given: Option<Vec<String>>, kept: Vec<String>| match given {
            Some(texts) => TrustedRanges::parse(field, &texts).map(|it| it.to_texts()),
            None => Ok(kept),
        };
        let after = UniversalAuth {
            access_token_ttl: self.access_token_ttl.unwrap_or(before.access_token_ttl),
            access_token_max_ttl: self.access_token_max_ttl.unwrap_or(before.access_token_max_ttl),
            client_secret_trusted_ips: ranges(
                "clientSecretTrustedIps",
                self.client_secret_trusted_ips,
                before.client_secret_trusted_ips,
            )?,
            access_token_trusted_ips: ranges(
                "accessTokenTrustedIps",
                self.access_token_trusted_ips,
                before.access_token_trusted_ips,
            )?,
            lockout_enabled: self.lockout_enabled.unwrap_or(before.lockout_enabled),
            lockout_threshold: self.lockout_threshold.unwrap_or(before.lockout_threshold),
            lockout_duration: self.lockout_duration.unwrap_or(before.lockout_duration),
            lockout_counter_reset: self.lockout_counter_reset.unwrap_or(before.lockout_counter_reset),
            // Whoever may change the settings may also end a lock.
            failed_logins: 0,
            last_failed_at: None,
            locked_until: None,
            updated_at: now,
            client_id: before.client_id,
            created_at: before.created_at,
        };
        in_range("accessTokenTTL", after.access_token_ttl, 1, TTL_MAX)?;
        in_range("accessTokenMaxTTL", after.access_token_max_ttl, 1, TTL_MAX)?;
        in_range("lockoutThreshold", i64::from(after.lockout_threshold), 1, i64::from(LOCKOUT_THRESHOLD_MAX))?;
        in_range("lockoutDurationSeconds", after.lockout_duration, 30, LOCKOUT_DURATION_MAX)?;
        in_range("lockoutCounterResetSeconds", after.lockout_counter_reset, 5, LOCKOUT_RESET_MAX)?;
        if after.access_token_ttl > after.access_token_max_ttl {
            let message = format!(
                "{} s is longer than accessTokenMaxTTL, which is {} s",
                after.access_token_ttl, after.access_token_max_ttl
            );
            return Err(Error::malformed("identity.ttl_above_max", "accessTokenTTL", message));
        }
        Ok(after)
    }
}

fn in_range(field: &str, value: i64, least: i64, most: i64) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::malformed("identity.range", field, format!("{value} is not between {least} and {most}")))
}

pub(super) fn checked_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > NAME_LENGTH_MAX || name.chars().any(char::is_control) {
        let message = format!("a name has 1 to {NAME_LENGTH_MAX} characters, none of them a control character");
        return Err(Error::malformed("name.invalid", "name", message));
    }
    Ok(name.to_owned())
}

pub(crate) fn checked_metadata(metadata: Vec<(String, String)>) -> Result<Vec<(String, String)>, Error> {
    if metadata.len() > METADATA_PAIRS_MAX {
        return Err(Error::malformed(
            "metadata.too_many",
            "metadata",
            format!("at most {METADATA_PAIRS_MAX} pairs are accepted"),
        ));
    }
    for (index, (key, value)) in metadata.iter().enumerate() {
        let key_length = key.chars().count();
        if key_length == 0 || key_length > METADATA_KEY_MAX {
            let message = format!("a key has 1 to {METADATA_KEY_MAX} characters");
            return Err(Error::malformed("metadata.key", format!("metadata[{index}].key"), message));
        }
        if value.chars().count() > METADATA_VALUE_MAX {
            let message = format!("a value has at most {METADATA_VALUE_MAX} characters");
            return Err(Error::malformed("metadata.value", format!("metadata[{index}].value"), message));
        }
    }
    Ok(metadata)
}

pub(super) fn no_universal_auth(identity: &Identity) -> Error {
    Error::not_found("Universal auth of identity", identity.id)
}

pub(super) const fn object(id: IdentityId) -> Option<(&'static str, Uuid)> {
    Some(("identity", id.as_uuid()))
}

pub(super) fn described(identity: &Identity) -> serde_json::Value {
    json!({
        "name": identity.name,
        "role": identity.role,
        "hasDeleteProtection": identity.has_delete_protection,
        "metadata": identity.metadata,
    })
}

fn described_settings(settings: &UniversalAuth) -> serde_json::Value {
    json!({
        "clientId": settings.client_id,
        "accessTokenTTL": settings.access_token_ttl,
        "accessTokenMaxTTL": settings.access_token_max_ttl,
        "clientSecretTrustedIps": settings.client_secret_trusted_ips,
        "accessTokenTrustedIps": settings.access_token_trusted_ips,
        "lockoutEnabled": settings.lockout_enabled,
        "lockoutThreshold": settings.lockout_threshold,
        "lockoutDurationSeconds": settings.lockout_duration,
        "lockoutCounterResetSeconds": settings.lockout_counter_reset,
    })
}
