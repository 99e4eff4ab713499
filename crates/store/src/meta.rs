//! Small named values (wrapped keys, set-up marks), and the version of the configuration as a whole.

use crate::reader::Reader;
use crate::statement::{Query, Statement, params};
use crate::{Conflict, StoreError};

pub(crate) fn set(key: String, value: Vec<u8>) -> Statement {
    Statement::new(
        "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![key, value],
    )
}

pub(crate) fn insert(key: String, value: Vec<u8>) -> Statement {
    Statement::new("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING", params![key, value])
        .guarded(Conflict::Exists)
}

/// One per group that changed any configuration.
pub(crate) fn bump_config_version() -> Statement {
    Statement::new("UPDATE config_version SET value = value + 1", Vec::new())
}

impl Reader {
    pub async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let query = Query::new("meta", "SELECT value FROM meta WHERE key = $1", params![key.to_owned()]);
        self.point(query).await?.map(|mut row| row.blob("value")).transpose()
    }

    /// Grows in the same transaction as every change of a CA, template, profile, project, person, identity or
    /// revocation of a token or secret: whoever caches any of these compares this number.
    pub async fn config_version(&self) -> Result<i64, StoreError> {
        self.number(Query::new("config_version", "SELECT value FROM config_version", Vec::new())).await
    }
}
