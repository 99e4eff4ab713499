//! Answers kept under their `Idempotency-Key`, so that a retry gets the same one.

use chancery_model::Timestamp;

use crate::reader::Reader;
use crate::statement::{Query, Row, Statement, params};
use crate::{Conflict, StoreError};

/// A claimed key; `answer` is there once the first call was answered.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyRow {
    pub body_hash: [u8; 32],
    /// HTTP-like status and the sealed body.
    pub answer: Option<(u16, Vec<u8>)>,
    pub created_at: Timestamp,
}

pub(crate) fn claim(key: [u8; 32], body_hash: [u8; 32], now: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO idempotency (key, body_hash, created_at) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING",
        params![key, body_hash, now],
    )
    .guarded(Conflict::Idempotency)
}

pub(crate) fn answer(key: [u8; 32], status: u16, sealed_body: Vec<u8>) -> Statement {
    Statement::new(
        "UPDATE idempotency SET status = $2, sealed_body = $3 WHERE key = $1",
        params![key, u32::from(status), sealed_body],
    )
    .guarded(Conflict::Missing)
}

/// Bounded, so that no group is held up by a day's worth of keys.
pub(crate) fn forget(before: Timestamp) -> Statement {
    Statement::new(
        "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT 5000)",
        params![before],
    )
}

pub(crate) fn release(key: [u8; 32]) -> Statement {
    Statement::new("DELETE FROM idempotency WHERE key = $1 AND status IS NULL", params![key])
}

fn from_row(mut row: Row) -> Result<IdempotencyRow, StoreError> {
    let body_hash = row.hash("body_hash")?;
    let answer = match (row.opt_small("status")?, row.opt_blob("sealed_body")?) {
        (Some(status), Some(body)) => Some((status, body)),
        (None, None) => None,
        _ => return Err(row.inconsistent("status")),
    };
    Ok(IdempotencyRow { body_hash, answer, created_at: row.time("created_at")? })
}

impl Reader {
    pub async fn idempotency(&self, key: &[u8; 32]) -> Result<Option<IdempotencyRow>, StoreError> {
        let sql = "SELECT body_hash, status, sealed_body, created_at FROM idempotency WHERE key = $1";
        self.point(Query::new("idempotency", sql, params![*key])).await?.map(from_row).transpose()
    }
}
