//! Logging in as a machine identity, with client id and secret. People are in `sign_in`.
//!
//! Every refusal reads the same and costs the same work, whether the account exists or not; the audit log knows why.

use std::net::IpAddr;

use chancery_model::audit::{Actor, AuditEvent, AuditRecord, Outcome};
use chancery_model::identity::{ActorId, ClientSecret, Identity, UniversalAuth};
use chancery_model::{IdentityId, ProjectId};
use chancery_store::{Change, Conflict, StoreError, Write};
use uuid::Uuid;

use super::address::TrustedRanges;
use super::failure::{FailedLogin, object_of};
use super::token::{Grant, SessionToken};
use super::{UNIVERSAL_AUTH, client_secret_hash, lockout};
use crate::Authority;
use crate::error::Error;
use crate::open::ip_text;

/// The circumstances of one attempt.
pub(super) struct Attempt<'a> {
    pub method: &'static str,
    pub ip: IpAddr,
    pub request_id: &'a str,
}

impl Attempt<'_> {
    pub fn failed(&self, account: Option<(ActorId, ProjectId)>, reason: &'static str, counts: bool) -> FailedLogin {
        FailedLogin {
            method: self.method,
            account,
            reason,
            counts,
            ip: self.ip,
            request_id: self.request_id.to_owned(),
        }
    }
}

impl Authority {
    /// Universal auth: client id and client secret of a machine identity.
    pub async fn login_universal(
        &self,
        client_id: &str,
        client_secret: &str,
        ip: IpAddr,
        request_id: &str,
    ) -> Result<SessionToken, Error> {
        let attempt = Attempt { method: UNIVERSAL_AUTH, ip, request_id };
        let hash = client_secret_hash(self.sealer(), client_secret);
        let client_id = Uuid::parse_str(client_id.trim()).unwrap_or(Uuid::nil());
        let identity = self.reader().identity_by_client_id(client_id).await?;
        // Looked up for an unknown identity as well, so that both cases take equal time.
        let owner = identity.as_ref().map_or(IdentityId::from_uuid(Uuid::nil()), |it| it.id);
        let secret = self.reader().client_secret_by_hash(owner, &hash).await?;
        let Some(identity) = identity else {
            return Err(self.refuse_login(attempt.failed(None, "unknown client id", true)).await);
        };
        let account = Some((ActorId::Identity(identity.id), identity.project_id));
        let (settings, secret) = match self.judge_secret(&identity, secret) {
            Ok(proved) => proved,
            Err((reason, counts)) => return Err(self.refuse_login(attempt.failed(account, reason, counts)).await),
        };
        if !TrustedRanges::parse("clientSecretTrustedIps", &settings.client_secret_trusted_ips)?.contains(ip) {
            self.refuse_login(attempt.failed(account, "untrusted address", false)).await;
            let message =
                "The client secret is not accepted from this address; see the identity's clientSecretTrustedIps";
            return Err(Error::forbidden("auth.address", message));
        }
        match self.admit_identity(&identity, settings, &secret, &attempt).await {
            // Somebody else took the last use between reading and writing.
            Err(Error::Store(StoreError::Conflict(Conflict::SecretSpent))) => {
                Err(self.refuse_login(attempt.failed(account, "secret spent", false)).await)
            }
            other => other,
        }
    }

    /// The settings and the secret if they admit a log-in now; otherwise why not, and whether it counts as a guess.
    fn judge_secret<'a>(
        &self,
        identity: &'a Identity,
        secret: Option<ClientSecret>,
    ) -> Result<(&'a UniversalAuth, ClientSecret), (&'static str, bool)> {
        let now = self.now();
        let settings = identity.universal_auth.as_ref().ok_or(("universal auth removed", false))?;
        if lockout::is_locked(settings.locked_until, now) {
            return Err(("locked", false));
        }
        let secret = secret.ok_or(("wrong secret", true))?;
        if secret.revoked_at.is_some() {
            return Err(("secret revoked", false));
        }
        if secret.expires_at.is_some_and(|at| at <= now) {
            return Err(("secret expired", false));
        }
        if secret.uses_max > 0 && secret.uses >= secret.uses_max {
            return Err(("secret spent", false));
        }
        Ok((settings, secret))
    }

    async fn admit_identity(
        &self,
        identity: &Identity,
        settings: &UniversalAuth,
        secret: &ClientSecret,
        attempt: &Attempt<'_>,
    ) -> Result<SessionToken, Error> {
        let actor = ActorId::Identity(identity.id);
        let (ttl, max_ttl) = (settings.access_token_ttl, settings.access_token_max_ttl);
        let (row, token) =
            self.new_token(&Grant { actor, project_id: identity.project_id, ttl, max_ttl, browser: None });
        let details = serde_json::json!({ "tokenId": row.id, "clientSecretId": secret.id });
        let record = self.login_record(attempt, actor, &identity.name, identity.project_id, details);
        let write = Write::default()
            .with(Change::UseClientSecret { id: secret.id, now: self.now() })
            .with(Change::InsertAccessToken(row))
            .audited(record);
        self.commit(write).await?;
        if lockout::after_identity_success(settings).is_some() {
            // The log-in is done and recorded; a count that stays a little longer is no reason to take it back.
            if let Err(error) = self.forgive_identity(identity).await {
                tracing::warn!(%error, identity = %identity.id, "the failure count could not be set back");
            }
        }
        Ok(token)
    }

    /// Sets the failure count back. The row is read again under the lock: the one at hand may be older than a change.
    async fn forgive_identity(&self, identity: &Identity) -> Result<(), Error> {
        let _changes = self.access_state().changes.lock().await;
        let Some(current) = self.reader().identity(identity.project_id, identity.id).await? else { return Ok(()) };
        let Some(settings) = current.universal_auth.as_ref().and_then(lockout::after_identity_success) else {
            return Ok(());
        };
        let forgiven = Identity { universal_auth: Some(settings), ..current };
        self.commit(Write::default().with(Change::UpdateIdentity(forgiven))).await
    }

    pub(super) fn login_record(
        &self,
        attempt: &Attempt<'_>,
        actor: ActorId,
        name: &str,
        project_id: ProjectId,
        details: serde_json::Value,
    ) -> AuditRecord {
        AuditRecord {
            time: self.now(),
            project_id: Some(project_id),
            actor: Actor {
                id: actor,
                name: name.to_owned(),
                method: attempt.method.to_owned(),
                ip: ip_text(attempt.ip),
            },
            event: AuditEvent::LoginSucceeded,
            outcome: Outcome::Success,
            object: object_of(actor),
            request_id: attempt.request_id.to_owned(),
            details,
        }
    }
}
