//! Links that sign a person in once.

use chancery_model::identity::SignInLinkRecord;
use chancery_model::{SignInLinkId, Timestamp, UserId};

use crate::change::Effects;
use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, params};
use crate::{Conflict, StoreError};

pub(crate) fn set(effects: &mut Effects, it: SignInLinkRecord) {
    effects.push(drop_of(it.user_id));
    effects.push(Statement::new(
        "INSERT INTO sign_in_link (id, user_id, hash, expires_at, created_at) VALUES ($1, $2, $3, $4, $5)",
        params![it.id, it.user_id, it.hash, it.expires_at, it.created_at],
    ));
}

/// Of two who come at once with the same link, one finds it gone.
pub(crate) fn use_once(id: SignInLinkId, now: Timestamp) -> Statement {
    Statement::new("DELETE FROM sign_in_link WHERE id = $1 AND expires_at > $2", params![id, now])
        .guarded(Conflict::Missing)
}

pub(crate) fn drop_of(user: UserId) -> Statement {
    Statement::new("DELETE FROM sign_in_link WHERE user_id = $1", params![user])
}

fn from_row(mut row: Row) -> Result<SignInLinkRecord, StoreError> {
    Ok(SignInLinkRecord {
        id: row.id("id")?,
        user_id: row.id("user_id")?,
        hash: row.hash("hash")?,
        expires_at: row.time("expires_at")?,
        created_at: row.time("created_at")?,
    })
}

impl Reader {
    /// Expired ones included: the caller judges.
    pub async fn sign_in_link(&self, id: SignInLinkId) -> Result<Option<SignInLinkRecord>, StoreError> {
        let sql = "SELECT id, user_id, hash, expires_at, created_at FROM sign_in_link WHERE id = $1";
        self.point(Query::new("sign_in_link", sql, params![id])).await?.map(from_row).transpose()
    }
}
