//! Access tokens: login sessions of people and machines.

use chancery_model::identity::{AccessToken, ActorId};
use chancery_model::{AccessTokenId, Timestamp};

use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, actor_columns, params};
use crate::{Conflict, StoreError};

pub(crate) fn insert(it: AccessToken) -> Statement {
    let (kind, actor) = actor_columns(it.actor);
    Statement::new(
        "INSERT INTO access_token (id, actor_kind, actor_id, project_id, hash, expires_at, expires_at_max, ttl, revoked_at, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
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
        created_at: row.time("created_at")?,
    })
}

impl Reader {
    /// Expired and revoked ones included: the caller judges.
    pub async fn access_token(&self, id: AccessTokenId) -> Result<Option<AccessToken>, StoreError> {
        let query = Query::new(
            "access_token",
            "SELECT id, actor_kind, actor_id, project_id, hash, expires_at, expires_at_max, ttl, revoked_at, created_at \
             FROM access_token WHERE id = $1",
            params![id],
        );
        self.point(query).await?.map(from_row).transpose()
    }
}
