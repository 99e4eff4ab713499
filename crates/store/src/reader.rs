//! The reading half: no write is possible through it, so doors may hold it.
//!
//! Each noun's file adds its questions to [`Reader`]; here is only how a query reaches a database.

use std::sync::Arc;

use crate::StoreError;
use crate::page::Sql;
use crate::statement::{Query, Row, Value};
use crate::{postgres, sqlite};

/// Answers questions about what is committed. Cheap to clone.
///
/// Whatever belongs to a project is asked for with the project; another project's record is `None`.
#[derive(Clone)]
pub struct Reader {
    source: Source,
}

#[derive(Clone)]
pub(crate) enum Source {
    Sqlite(Arc<sqlite::Readers>),
    Postgres(postgres::Readers),
}

/// Where the two databases' languages differ in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Appends "is one of these numbers". They travel as one JSON parameter, because a place for each
    /// would make a new statement for every count of them. PostgreSQL gets an array, which it looks up in an index: a query
    /// it would join, and compare every row with every number.
    pub fn is_among(self, sql: &mut Sql, numbers: &[i64]) {
        let text: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let text = format!("[{}]", text.join(","));
        match self {
            Self::Sqlite => {
                sql.push(" IN (SELECT value FROM json_each(");
                sql.bind(text);
                sql.push("))");
            }
            Self::Postgres => {
                sql.push(" = ANY(ARRAY(SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(");
                sql.bind(text);
                sql.push(" AS JSON))))");
            }
        }
    }
}

impl Reader {
    pub(crate) const fn new(source: Source) -> Self {
        Self { source }
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        match self.source {
            Source::Sqlite(_) => Dialect::Sqlite,
            Source::Postgres(_) => Dialect::Postgres,
        }
    }

    pub(crate) async fn rows(&self, mut query: Query) -> Result<Vec<Row>, StoreError> {
        without_nul(&mut query);
        match &self.source {
            Source::Sqlite(readers) => readers.rows(query).await,
            Source::Postgres(readers) => readers.rows(query).await,
        }
    }

    pub(crate) async fn row(&self, query: Query) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    /// A row found by a key: some microseconds of work, not worth a change of thread on SQLite.
    pub(crate) async fn point(&self, mut query: Query) -> Result<Option<Row>, StoreError> {
        without_nul(&mut query);
        let rows = match &self.source {
            Source::Sqlite(readers) => readers.point(query).await?,
            Source::Postgres(readers) => readers.rows(query).await?,
        };
        Ok(rows.into_iter().next())
    }

    /// All values of the query's one column, a blob, end to end, and how many there were. Nothing is held of a row but its
    /// bytes in the whole.
    pub(crate) async fn joined(&self, query: Query) -> Result<(Vec<u8>, u64), StoreError> {
        match &self.source {
            Source::Sqlite(readers) => readers.joined(query).await,
            Source::Postgres(readers) => readers.joined(query).await,
        }
    }

    /// A query for one number.
    pub(crate) async fn number(&self, query: Query) -> Result<i64, StoreError> {
        let missing = StoreError::Inconsistent { table: query.table, column: "value", id: "without id".to_owned() };
        self.point(query).await?.ok_or(missing)?.int("value")
    }

    /// Stops answering and lets go of the connections.
    pub(crate) fn close(&self) {
        match &self.source {
            Source::Sqlite(readers) => readers.close(),
            Source::Postgres(readers) => readers.close(),
        }
    }
}

/// PostgreSQL refuses to compare with text that holds U+0000, and SQLite's patterns end there. No stored name has one, nor
/// the replacement character, so that a search for either finds nothing.
fn without_nul(query: &mut Query) {
    for value in &mut query.params {
        if let Value::Text(text) = value
            && text.contains('\0')
        {
            *text = text.replace('\0', "\u{fffd}");
        }
    }
}
