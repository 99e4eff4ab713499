//! PostgreSQL: opening, reading, and what its errors mean. The writer is a task with a connection of its own, in `writer`.

mod value;
mod writer;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts};
use tokio::sync::mpsc;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls};

use crate::error::{conflict_of_reference, conflict_of_unique};
use crate::group::{Gauges, Message, QUEUE_MAX};
use crate::migration;
use crate::number::Numbering;
use crate::statement::{Query, Row, Value};
use crate::{Conflict, StoreError};

/// What an opened database gives the store.
pub(crate) struct Opened {
    pub queue: mpsc::Sender<Message>,
    pub readers: Readers,
    pub numbering: Numbering,
}

const READERS_MAX: usize = 8;
const WAIT: Duration = Duration::from_secs(5);

/// Connects, brings the schema up to date and starts the writer.
pub(crate) async fn open(url: &str, node: &str, gauges: Arc<Gauges>) -> Result<Opened, StoreError> {
    let mut config: Config =
        url.parse().map_err(|_| StoreError::Unavailable("the database URL cannot be understood".to_owned()))?;
    config.connect_timeout(WAIT).application_name(format!("chancery {node}"));
    let mut client = connect(&config).await?;
    migrate(&mut client).await?;
    let number = register(&client, node).await?;
    let largest = one(&client, LARGEST_NUMBER, &[]).await?;
    let readers = Readers::open(&config)?;
    let writer = writer::Writer::open(config, node, gauges).await?;
    let (queue, jobs) = mpsc::channel(QUEUE_MAX);
    tokio::spawn(writer.run(jobs));
    Ok(Opened { queue, readers, numbering: Numbering::after(largest, number) })
}

/// Along the keys, which start with the project; deleted certificates are under its negated number.
const LARGEST_NUMBER: &str = "SELECT COALESCE(MAX(GREATEST(\
     (SELECT MAX(c.n) FROM certificate c WHERE c.project = p.number), (SELECT MAX(c.n) FROM certificate c WHERE c.project = -p.number), \
     (SELECT MAX(r.n) FROM request r WHERE r.project = p.number))), 0) FROM project p";

/// A connection and the task that drives it.
async fn connect(config: &Config) -> Result<Client, StoreError> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| failure(&error, ""))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "a connection to PostgreSQL ended");
        }
    });
    Ok(client)
}

/// The lock that keeps nodes from migrating at the same time.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7160424912044)";

async fn migrate(client: &mut Client) -> Result<(), StoreError> {
    let failed = |error: tokio_postgres::Error| failure(&error, "");
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(MIGRATION_LOCK).await.map_err(failed)?;
    transaction.batch_execute(migration::CREATE_TABLE).await.map_err(failed)?;
    let row = transaction.query_one(migration::LATEST, &[]).await.map_err(failed)?;
    for step in migration::pending(row.try_get(0).map_err(failed)?)? {
        transaction.batch_execute(step.postgres).await.map_err(failed)?;
        transaction.execute(migration::RECORD, &[&step.version, &step.name]).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// The node's number, given once for all starts. The number is part of the row numbers that the node makes.
async fn register(client: &Client, node: &str) -> Result<i64, StoreError> {
    let sql =
        "INSERT INTO node (name, number) SELECT $1, COALESCE(MAX(number) + 1, 0) FROM node ON CONFLICT DO NOTHING";
    let name = Value::Text(node.to_owned());
    // Two new nodes may want the same number at the same time: one of them asks again.
    for _ in 0..10 {
        client.execute(sql, &[&name]).await.map_err(|error| failure(&error, sql))?;
        let found = client.query_opt("SELECT number FROM node WHERE name = $1", &[&name]).await;
        if let Some(row) = found.map_err(|error| failure(&error, sql))? {
            return row.try_get(0).map_err(|error| failure(&error, sql));
        }
    }
    Err(StoreError::Unavailable("the node could not be registered".to_owned()))
}

async fn one(client: &Client, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<i64, StoreError> {
    let row = client.query_one(sql, params).await.map_err(|error| failure(&error, sql))?;
    row.try_get(0).map_err(|error| failure(&error, sql))
}

/// What an error of PostgreSQL means to the store.
fn failure(error: &tokio_postgres::Error, sql: &str) -> StoreError {
    let Some(reported) = error.as_db_error() else {
        // No word from the server: the connection is the trouble, unless a value did not fit its place.
        let text =
            format!("{error}{}", std::error::Error::source(error).map(|it| format!(": {it}")).unwrap_or_default());
        let is_local = text.contains("serializing") || text.contains("deserializing");
        return if is_local { StoreError::Backend(format!("{text} in {sql}")) } else { StoreError::Unavailable(text) };
    };
    let code = reported.code();
    if *code == SqlState::UNIQUE_VIOLATION {
        conflict_of_unique(reported.constraint().unwrap_or_default()).into()
    } else if *code == SqlState::FOREIGN_KEY_VIOLATION {
        conflict_of_reference(sql).into()
    } else if *code == SqlState::NOT_NULL_VIOLATION && reported.column() == Some("project") {
        // The project of a record is looked up by its id: none was found.
        Conflict::Missing.into()
    } else if *code == SqlState::DISK_FULL {
        StoreError::Full
    } else if is_passing(code) {
        StoreError::Unavailable(reported.message().to_owned())
    } else {
        StoreError::Backend(format!("{} ({}) in {sql}", reported.message(), code.code()))
    }
}

/// Shut down, starting, too many connections, timed out, lost a race: the same call may succeed later.
fn is_passing(code: &SqlState) -> bool {
    let passing = [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
    passing.contains(code) || ["08", "53", "57", "28"].iter().any(|class| code.code().starts_with(class))
}

/// Connections for reading.
#[derive(Clone)]
pub(crate) struct Readers {
    pool: Pool,
}

impl Readers {
    fn open(config: &Config) -> Result<Self, StoreError> {
        let mut config = config.clone();
        // Every list has an index in its order. A plan that gathers and sorts looks cheap while the statistics lag behind a
        // growing table, and then reads all of it.
        config.options(
            "-c default_transaction_read_only=on -c statement_timeout=30000 -c enable_bitmapscan=off -c enable_seqscan=off -c jit=off \
             -c enable_mergejoin=off -c enable_hashjoin=off -c max_parallel_workers_per_gather=0 -c random_page_cost=1.1",
        );
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let timeouts = Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) };
        let pool = Pool::builder(manager).max_size(READERS_MAX).timeouts(timeouts).runtime(Runtime::Tokio1).build();
        pool.map(|pool| Self { pool }).map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    pub async fn rows(&self, query: Query) -> Result<Vec<Row>, StoreError> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => failure(&error, ""),
            other => StoreError::Unavailable(other.to_string()),
        })?;
        let failed = |error: tokio_postgres::Error| failure(&error, &query.sql);
        // Text that was put together has endless forms, which a cache would keep for ever.
        let statement = match &query.sql {
            Cow::Borrowed(sql) => client.prepare_cached(sql).await,
            Cow::Owned(sql) => client.prepare(sql).await,
        };
        let params: Vec<&(dyn ToSql + Sync)> = query.params.iter().map(|it| it as _).collect();
        let rows = client.query(&statement.map_err(failed)?, &params).await.map_err(failed)?;
        rows.iter().map(|row| value::values(row).map(|values| Row::new(query.table, values)).map_err(failed)).collect()
    }

    /// Joined by the server, in the query's order.
    pub async fn joined(&self, query: Query) -> Result<(Vec<u8>, u64), StoreError> {
        let sql = format!(
            "SELECT COALESCE(string_agg(part, ''::bytea), ''::bytea), COUNT(*) FROM ({}) AS parts (part)",
            query.sql
        );
        let rows = self.rows(Query::new(query.table, sql, query.params)).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok((Vec::new(), 0)) };
        Ok((row.blob("der")?, row.small("count")?))
    }

    pub fn close(&self) {
        self.pool.close();
    }
}
