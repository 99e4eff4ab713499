//! Schema versions: numbered files, one folder per database with equal file names, applied in order.

use crate::StoreError;

pub(crate) struct Migration {
    pub version: i64,
    pub name: &'static str,
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

macro_rules! migrations {
    ($($version:literal $name:literal),+ $(,)?) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }),+]
    };
}

pub(crate) const MIGRATIONS: &[Migration] = migrations![1 "0001_initial", 2 "0002_lifecycle", 3 "0003_applications", 4 "0004_alerts", 5 "0005_statistics", 6 "0006_import", 7 "0007_search", 8 "0008_external", 9 "0009_people", 10 "0010_insight"];

pub(crate) const CREATE_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL)";
pub(crate) const LATEST: &str = "SELECT COALESCE(MAX(version), 0) FROM schema_version";
pub(crate) const RECORD: &str = "INSERT INTO schema_version (version, name) VALUES ($1, $2)";

/// The migrations that a database of version `found` still needs.
pub(crate) fn pending(found: i64) -> Result<impl Iterator<Item = &'static Migration>, StoreError> {
    let known = MIGRATIONS.iter().map(|it| it.version).max().unwrap_or(0);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    Ok(MIGRATIONS.iter().filter(move |it| it.version > found))
}
