//! `Idempotency-Key` on every write: the first answer is kept sealed for a day and given again.

use chancery_keys::Place;
use chancery_store::{Change, Conflict, StoreError, Write};

use crate::Authority;
use crate::call::Call;
use crate::error::Error;

/// What a call with an idempotency key finds.
pub enum Begin {
    /// Nobody used the key: go on, then [`Authority::idempotent_finish`].
    Fresh,
    /// The same call was answered: status and body.
    Replay(u16, Vec<u8>),
    /// The same call has begun and has no answer yet (or its process died). Issue and renew may go on: their record
    /// is unique by the key. Others must not.
    InProgress,
    /// The key was used with another body.
    Mismatch,
}

/// How long a key is remembered.
pub(super) const KEPT_SECONDS: i64 = 24 * 3_600;

impl Authority {
    pub async fn idempotent_begin(&self, call: &Call, body_hash: [u8; 32]) -> Result<Begin, Error> {
        let Some(key) = call.idempotency else { return Ok(Begin::Fresh) };
        let now = self.now();
        if let Some(found) = self.known(call, key, body_hash).await? {
            return Ok(found);
        }
        let write = Write::default()
            .with(Change::ClaimIdempotency { key, body_hash, now })
            .with(Change::ForgetIdempotency { before: now.plus_seconds(-KEPT_SECONDS) });
        match self.commit(write).await {
            Ok(()) => Ok(Begin::Fresh),
            Err(Error::Store(StoreError::Conflict(Conflict::Idempotency))) => {
                Ok(self.known(call, key, body_hash).await?.unwrap_or(Begin::InProgress))
            }
            Err(error) => Err(error),
        }
    }

    async fn known(&self, call: &Call, key: [u8; 32], body_hash: [u8; 32]) -> Result<Option<Begin>, Error> {
        let Some(row) = self.reader().idempotency(&key).await? else { return Ok(None) };
        if row.created_at < self.now().plus_seconds(-KEPT_SECONDS) {
            self.commit(Write::default().with(Change::ReleaseIdempotency { key })).await?;
            return Ok(None);
        }
        if row.body_hash != body_hash {
            return Ok(Some(Begin::Mismatch));
        }
        let Some((status, sealed)) = row.answer else { return Ok(Some(Begin::InProgress)) };
        self.ensure_project_key(call.project_id()).await?;
        let body = self.sealer().unseal(&answer_place(call, key), &sealed).map_err(Error::internal)?;
        Ok(Some(Begin::Replay(status, body.to_vec())))
    }

    /// Keeps the answer, sealed. A failed call frees the key, so that it can be mended and tried again.
    pub async fn idempotent_finish(&self, call: &Call, status: u16, body: &[u8]) -> Result<(), Error> {
        let Some(key) = call.idempotency else { return Ok(()) };
        if status >= 400 {
            return self.commit(Write::default().with(Change::ReleaseIdempotency { key })).await;
        }
        self.ensure_project_key(call.project_id()).await?;
        let sealed_body = self.sealer().seal(&answer_place(call, key), body, self.random()).map_err(Error::internal)?;
        self.commit(Write::default().with(Change::AnswerIdempotency { key, status, sealed_body })).await
    }
}

/// The answer's place is its key: the first half of the hash names the record.
fn answer_place(call: &Call, key: [u8; 32]) -> Place {
    let mut half = [0u8; 16];
    half.iter_mut().zip(key).for_each(|(to, from)| *to = from);
    Place {
        project: call.project_id(),
        table: "idempotency",
        column: "sealed_body",
        record: uuid::Uuid::from_bytes(half),
    }
}
