//! The caller's own sessions: seen in a list, ended, and in a browser kept alive by being used.

use chancery_model::audit::AuditEvent;
use chancery_model::identity::{AccessToken, BrowserSession};
use chancery_model::{AccessTokenId, Timestamp};
use chancery_store::{Change, Conflict, StoreError, Write};
use serde_json::json;

use super::sign_in::IDLE_SECONDS;
use super::token::REFUSED;
use crate::call::Requester;
use crate::error::Error;
use crate::{Authority, Call};

/// A session in a browser is written to at most this often. Milliseconds.
const PROLONG_MILLIS: i64 = 60_000;

/// One session of the caller that can still be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSession {
    pub id: AccessTokenId,
    /// Whether it is the one that asks.
    pub is_current: bool,
    /// Absent: a program's, such as the command line's.
    pub browser: Option<BrowserSession>,
    pub expires_at: Timestamp,
    pub expires_at_max: Timestamp,
    pub created_at: Timestamp,
}

impl Authority {
    /// What the forms of a browser's session carry, so that no other site can send one: it cannot be guessed, and stays the
    /// same when the session goes on under a new token, so that forms that are open elsewhere stay good.
    #[must_use]
    pub fn form_token(&self, requester: &Requester) -> Option<[u8; 32]> {
        let ends_at = requester.presence?.ends_at.as_millis();
        let actor = serde_json::to_vec(&requester.actor_id()).ok()?;
        Some(self.sealer().keyed_hash("form-token", &[actor.as_slice(), &ends_at.to_be_bytes()].concat()))
    }

    /// To be called for what a person does with a browser: the session's idle end moves to half an hour from now. Written
    /// at most once a minute; other sessions stay as they are.
    pub async fn prolong_session(&self, requester: &Requester) -> Result<(), Error> {
        let (Some(presence), Some(id)) = (requester.presence, requester.token_id) else { return Ok(()) };
        if !is_due(presence.last_used_at, self.now()) {
            return Ok(());
        }
        // Of calls that come together one writes: the others find it written.
        let _changes = self.access_state().changes.lock().await;
        let now = self.now();
        let row = self.reader().access_token(id).await?.ok_or(Error::InvalidToken(REFUSED))?;
        if !row.browser.is_some_and(|it| is_due(it.last_used_at, now)) || row.expires_at <= now {
            return Ok(());
        }
        let expires_at = now.plus_seconds(IDLE_SECONDS).min(row.expires_at_max);
        let written = self.commit(Write::default().with(Change::UseAccessToken { id, expires_at, at: now })).await;
        self.access_state().sessions.forget(id);
        match written {
            Err(Error::Store(StoreError::Conflict(Conflict::Stale | Conflict::Missing))) => {
                Err(Error::InvalidToken(REFUSED))
            }
            other => other,
        }
    }

    /// The caller's sessions that can still be used, newest first; at most 200.
    pub async fn own_sessions(&self, call: &Call) -> Result<Vec<OwnSession>, Error> {
        let current = call.requester.token_id();
        let rows = self.reader().access_tokens_of(call.requester.actor_id(), self.now()).await?;
        let shown = |it: AccessToken| OwnSession {
            id: it.id,
            is_current: Some(it.id) == current,
            browser: it.browser,
            expires_at: it.expires_at,
            expires_at_max: it.expires_at_max,
            created_at: it.created_at,
        };
        Ok(rows.into_iter().map(shown).collect())
    }

    /// Ends one of the caller's own sessions; one that is over already is fine.
    pub async fn end_session(&self, call: &Call, id: AccessTokenId) -> Result<(), Error> {
        let row = self.reader().access_token(id).await?.filter(|it| it.actor == call.requester.actor_id());
        let row = row.ok_or_else(|| Error::not_found("Session", id))?;
        if row.revoked_at.is_some() {
            return Ok(());
        }
        let now = self.now();
        let record = call.audit(now, AuditEvent::SessionEnded, Some(("access-token", id.as_uuid())), json!({}));
        self.commit(Write::default().with(Change::RevokeAccessToken { id, at: now }).audited(record)).await
    }

    /// Ends every session of the caller but the one of this call. The answer is how many there were.
    pub async fn end_other_sessions(&self, call: &Call) -> Result<u64, Error> {
        let count = self.own_sessions(call).await?.iter().filter(|it| !it.is_current).count() as u64;
        if count == 0 {
            return Ok(0);
        }
        let details = json!({ "sessions": count });
        let record = call.audit(self.now(), AuditEvent::SessionEnded, None, details);
        self.commit(Write::default().with(self.end_others(call)).audited(record)).await?;
        Ok(count)
    }
}

/// A clock that was set back makes the age negative; such a session is left alone until the time has come again.
const fn is_due(last_used_at: Timestamp, now: Timestamp) -> bool {
    now.as_millis().saturating_sub(last_used_at.as_millis()) >= PROLONG_MILLIS
}
