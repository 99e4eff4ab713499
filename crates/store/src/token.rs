//! Access tokens: login sessions of people and machines.

use chancery_model::identity::{AccessToken, ActorId, BrowserSession};
use chancery_model::{AccessTokenId, Timestamp};

use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, actor_columns, params};
use crate::{Conflict, StoreError};

pub(crate) fn insert(it: AccessToken) -> Statement {
    let (kind, actor) = actor_columns(it.actor);
    let (ip, user_agent, last_used_at, confirmed_at) = it.browser.map_or((None, None, None, None), |it| {
        (Some(it.ip.to_string()), Some(it.user_agent), Some(it.last_used_at), Some(it.confirmed_at))
    });
    Statement::new(
        "INSERT INTO access_token (id, actor_kind, actor_id, project_id, hash, expires_at, expires_at_max, ttl, revoked_at, ip, \
         user_agent, last_used_at, confirmed_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        params![
            it.id,
            kind,
            actor,
            it.project_id,
            it.hash,
            it.expires_at,
            it.expires_at_max,
            it.ttl,
            it.revoked_at,
            ip,
            user_agent,
            last_used_at,
            confirmed_at,
            it.created_at
        ],
    )
}

pub(crate) fn extend(id: AccessTokenId, expires_at: Timestamp) -> Statement {
    Statement::new(
        "UPDATE access_token SET expires_at = $2 WHERE id = $1 AND revoked_at IS NULL",
        params![id, expires_at],
    )
    .guarded_if(Conflict::Stale, "SELECT 1 FROM access_token WHERE id = $1")
}

pub(crate) fn use_at(id: AccessTokenId, expires_at: Timestamp, at: Timestamp) -> Statement {
    Statement::new(
        "UPDATE access_token SET expires_at = $2, last_used_at = $3 WHERE id = $1 AND revoked_at IS NULL AND last_used_at IS NOT NULL",
        params![id, expires_at, at],
    )
    .guarded_if(Conflict::Stale, "SELECT 1 FROM access_token WHERE id = $1")
}

pub(crate) fn revoke(id: AccessTokenId, at: Timestamp) -> Statement {
    Statement::new("UPDATE access_token SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1", params![id, at])
        .guarded(Conflict::Missing)
}

pub(crate) fn revoke_of(actor: ActorId, at: Timestamp) -> Statement {
    let (kind, actor) = actor_columns(actor);
    Statement::new(
        "UPDATE access_token SET revoked_at = $3 WHERE actor_id = $2 AND actor_kind = $1 AND revoked_at IS NULL",
        vec![kind, actor, at.into()],
    )
}

pub(crate) fn revoke_others(actor: ActorId, keep: AccessTokenId, at: Timestamp) -> Statement {
    let (kind, actor) = actor_columns(actor);
    Statement::new(
        "UPDATE access_token SET revoked_at = $3 WHERE actor_id = $2 AND actor_kind = $1 AND revoked_at IS NULL AND id <> $4",
        vec![kind, actor, at.into(), keep.into()],
    )
}

pub(crate) fn delete_of(actor: ActorId) -> Statement {
    let (kind, actor) = actor_columns(actor);
    Statement::new("DELETE FROM access_token WHERE actor_id = $2 AND actor_kind = $1", vec![kind, actor])
}

/// Bounded, so that no group is held up by a day's worth of tokens.
pub(crate) fn forget(before: Timestamp) -> Statement {
    Statement::new(
        "DELETE FROM access_token WHERE id IN (SELECT id FROM access_token WHERE expires_at < $1 ORDER BY expires_at LIMIT 5000)",
        params![before],
    )
}

fn from_row(mut row: Row) -> Result<AccessToken, StoreError> {
    Ok(AccessToken {
        id: row.id("id")?,
        actor: row.actor("actor_id")?,
        project_id: row.id("project_id")?,
        hash: row.hash("hash")?,
        expires_at: row.time("expires_at")?,
        expires_at_max: row.time("expires_at_max")?,
        ttl: row.int("ttl")?,
        revoked_at: row.opt_time("revoked_at")?,
        browser: browser_from_row(&mut row)?,
        created_at: row.time("created_at")?,
    })
}

fn browser_from_row(row: &mut Row) -> Result<Option<BrowserSession>, StoreError> {
    let (ip, user_agent) = (row.opt_text("ip")?, row.opt_text("user_agent")?);
    let (last_used_at, confirmed_at) = (row.opt_time("last_used_at")?, row.opt_time("confirmed_at")?);
    match (ip.map(|it| it.parse()), user_agent, last_used_at, confirmed_at) {
        (None, None, None, None) => Ok(None),
        (Some(Ok(ip)), Some(user_agent), Some(last_used_at), Some(confirmed_at)) => {
            Ok(Some(BrowserSession { ip, user_agent, last_used_at, confirmed_at }))
        }
        _ => Err(row.inconsistent("ip")),
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, actor_kind, actor_id, project_id, hash, expires_at, expires_at_max, ttl, revoked_at, ip, user_agent, \
             last_used_at, confirmed_at, created_at FROM access_token ",
            $rest
        )
    };
}

impl Reader {
    /// Expired and revoked ones included: the caller judges.
    pub async fn access_token(&self, id: AccessTokenId) -> Result<Option<AccessToken>, StoreError> {
        let query = Query::new("access_token", select!("WHERE id = $1"), params![id]);
        self.point(query).await?.map(from_row).transpose()
    }

    /// The latest sessions of one actor that can still be used at `now`, newest first; at most 200.
    pub async fn access_tokens_of(&self, actor: ActorId, now: Timestamp) -> Result<Vec<AccessToken>, StoreError> {
        let (kind, actor) = actor_columns(actor);
        let sql = select!(
            "WHERE actor_id = $2 AND actor_kind = $1 AND revoked_at IS NULL AND expires_at > $3 ORDER BY id DESC LIMIT 200"
        );
        let query = Query::new("access_token", sql, vec![kind, actor, now.into()]);
        self.rows(query).await?.into_iter().map(from_row).collect()
    }
}
