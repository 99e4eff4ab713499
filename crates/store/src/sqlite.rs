//! SQLite: opening, reading, and what its errors mean. The writer has its own thread, in `writer`.

mod checkpoint;
mod writer;

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};
use tokio::sync::{Semaphore, mpsc};

use crate::audit::{self, Chain};
use crate::error::{conflict_of_reference, conflict_of_unique};
use crate::group::{Gauges, Message, QUEUE_MAX};
use crate::migration;
use crate::number::Numbering;
use crate::statement::{Query, Row, Value};
use crate::{Conflict, StoreError};

/// What an opened database gives the store.
pub(crate) struct Opened {
    pub queue: mpsc::Sender<Message>,
    pub readers: Arc<Readers>,
    pub numbering: Numbering,
}

/// Opens the file, brings its schema up to date and starts the writer. Blocks.
pub(crate) fn open(path: &Path, node: &str, gauges: Arc<Gauges>) -> Result<Opened, StoreError> {
    let lock = lock(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepare(&connection, path)?;
    migrate(&connection)?;
    let name = Value::Text(node.to_owned());
    one_off(
        &connection,
        "INSERT INTO node (name, number) SELECT ?1, COALESCE(MAX(number) + 1, 0) FROM node WHERE true ON CONFLICT DO NOTHING",
        &[name],
    )?;
    let chain = chain(&connection, node)?;
    let numbering = Numbering::after(largest_number(&connection)?, 0);
    let readers = Arc::new(Readers::open(path)?);
    let checkpointer = checkpoint::start(connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)?;
    let (queue, jobs) = mpsc::channel(QUEUE_MAX);
    let writer = writer::Writer::new(chain, gauges, checkpointer);
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || {
            writer.run(&connection, jobs);
            drop(connection);
            drop(lock);
        })
        .map_err(|error| StoreError::Unavailable(format!("the writer's thread cannot be started: {error}")))?;
    Ok(Opened { queue, readers, numbering })
}

const LOCK_ATTEMPTS: u32 = 50;

/// Keeps a second process from writing to the same file: each would have its own idea of the audit chain.
fn lock(path: &Path) -> Result<File, StoreError> {
    create_private(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = create_private(Path::new(&name))?;
    // A store that was just dropped may still be writing its last group.
    for _ in 0..LOCK_ATTEMPTS {
        if file.try_lock().is_ok() {
            return Ok(file);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Err(StoreError::Unavailable(format!("another process has {} open", path.display())))
}

/// Readable for the owner only. The write-ahead log inherits the mode of the database.
fn create_private(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| StoreError::Unavailable(format!("{} cannot be opened: {error}", path.display())))
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failure(&error, ""))?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(|error| failure(&error, ""))?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Up to this size the whole file is checked when it is opened; beyond, that would take longer than a start may.
const CHECKED_WHOLE_MAX: u64 = 256 << 20;

fn prepare(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON; \
         PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -32768; PRAGMA trusted_schema = OFF";
    connection.execute_batch(pragmas).map_err(|error| failure(&error, ""))?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(|error| failure(&error, ""))?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(format!(
            "{} is on a file system without write-ahead logging",
            path.display()
        )));
    }
    let size = std::fs::metadata(path).map_or(0, |it| it.len());
    let checks: &[&str] = if size <= CHECKED_WHOLE_MAX {
        &["PRAGMA quick_check(1)"]
    } else {
        &[
            "PRAGMA quick_check(meta)",
            "PRAGMA quick_check(ca)",
            "PRAGMA quick_check(ca_certificate)",
            "PRAGMA quick_check(profile)",
        ]
    };
    for check in checks {
        let found: String = connection.query_row(check, [], |row| row.get(0)).map_err(|error| failure(&error, ""))?;
        if found != "ok" {
            return Err(StoreError::Backend(format!("{} is damaged: {found}", path.display())));
        }
    }
    Ok(())
}

fn migrate(connection: &Connection) -> Result<(), StoreError> {
    let run = |sql: &str| connection.execute_batch(sql).map_err(|error| failure(&error, ""));
    run(migration::CREATE_TABLE)?;
    let found = connection.query_row(migration::LATEST, [], |row| row.get(0)).map_err(|error| failure(&error, ""))?;
    for step in migration::pending(found)? {
        run("BEGIN IMMEDIATE")?;
        let applied = run(step.sqlite).and_then(|()| {
            let record = [Value::Int(step.version), Value::Word(step.name)];
            one_off(connection, migration::RECORD, &record)?;
            run("COMMIT")
        });
        if let Err(error) = applied {
            run("ROLLBACK")?;
            return Err(error);
        }
    }
    Ok(())
}

fn one_off(connection: &Connection, sql: &str, params: &[Value]) -> Result<(), StoreError> {
    let sql = numbered(sql);
    connection.execute(&sql, rusqlite::params_from_iter(params)).map(|_| ()).map_err(|error| failure(&error, &sql))
}

fn chain(connection: &Connection, node: &str) -> Result<Chain, StoreError> {
    audit::chain_from(node, read(connection, &audit::last_entry(node))?.into_iter().next())
}

fn largest_number(connection: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT MAX(COALESCE((SELECT MAX(n) FROM certificate), 0), COALESCE((SELECT MAX(n) FROM request), 0))";
    connection.query_row(sql, [], |row| row.get(0)).map_err(|error| failure(&error, sql))
}

/// The same text with SQLite's spelling of numbered places.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Word(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
            Self::Uuid(value) => ValueRef::Blob(value.as_bytes()),
        }))
    }
}

fn read(connection: &Connection, query: &Query) -> Result<Vec<Row>, StoreError> {
    let failed = |error: rusqlite::Error| failure(&error, &query.sql);
    let mut statement = connection.prepare_cached(&numbered(&query.sql)).map_err(failed)?;
    let width = statement.column_count();
    let mut found = statement.query(rusqlite::params_from_iter(&query.params)).map_err(failed)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        let mut values = Vec::with_capacity(width);
        for column in 0..width {
            values.push(match row.get_ref(column).map_err(failed)? {
                ValueRef::Null | ValueRef::Real(_) => Value::Null,
                ValueRef::Integer(value) => Value::Int(value),
                ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
                ValueRef::Blob(value) => Value::Blob(value.to_vec()),
            });
        }
        rows.push(Row::new(query.table, values));
    }
    Ok(rows)
}

fn read_joined(connection: &Connection, query: &Query) -> Result<(Vec<u8>, u64), StoreError> {
    let failed = |error: rusqlite::Error| failure(&error, &query.sql);
    let mut statement = connection.prepare_cached(&numbered(&query.sql)).map_err(failed)?;
    let mut found = statement.query(rusqlite::params_from_iter(&query.params)).map_err(failed)?;
    let (mut bytes, mut count) = (Vec::new(), 0);
    while let Some(row) = found.next().map_err(failed)? {
        let ValueRef::Blob(part) = row.get_ref(0).map_err(failed)? else {
            return Err(Row::new(query.table, Vec::new()).inconsistent("der"));
        };
        bytes.extend_from_slice(part);
        count += 1;
    }
    Ok((bytes, count))
}

/// What an error of SQLite means to the store.
fn failure(error: &rusqlite::Error, sql: &str) -> StoreError {
    let rusqlite::Error::SqliteFailure(code, message) = error else {
        return StoreError::Backend(format!("{error} in {sql}"));
    };
    let message = message.as_deref().unwrap_or_default();
    match code.code {
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => {
            StoreError::Unavailable(error.to_string())
        }
        ErrorCode::ConstraintViolation if message.starts_with("UNIQUE") => conflict_of_unique(message).into(),
        ErrorCode::ConstraintViolation if message.starts_with("FOREIGN KEY") => conflict_of_reference(sql).into(),
        // The project of a record is looked up by its id: none was found.
        ErrorCode::ConstraintViolation if message.starts_with("NOT NULL") && message.ends_with(".project") => {
            Conflict::Missing.into()
        }
        _ => StoreError::Backend(format!("{error} in {sql}")),
    }
}

/// Read-only connections, each used by one call at a time.
pub(crate) struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let count = std::thread::available_parallelism().map_or(4, usize::from).clamp(4, 16);
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let pragmas = "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096";
            connection.execute_batch(pragmas).map_err(|error| failure(&error, ""))?;
            idle.push(connection);
        }
        Ok(Self { permits: Semaphore::new(idle.len()), idle: Mutex::new(idle) })
    }

    /// On a thread that may wait for the disk.
    pub async fn rows(self: &Arc<Self>, query: Query) -> Result<Vec<Row>, StoreError> {
        self.on_thread(move |connection| read(connection, &query)).await
    }

    pub async fn joined(self: &Arc<Self>, query: Query) -> Result<(Vec<u8>, u64), StoreError> {
        self.on_thread(move |connection| read_joined(connection, &query)).await
    }

    async fn on_thread<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(self);
        let permit = self.permits.acquire().await.map_err(|_| closed())?;
        let answer = tokio::task::spawn_blocking(move || readers.on_idle(question)).await;
        drop(permit);
        answer.map_err(|error| StoreError::Unavailable(format!("a read was interrupted: {error}")))?
    }

    /// At once on this thread, if a connection is idle: for look-ups by key.
    pub async fn point(self: &Arc<Self>, query: Query) -> Result<Vec<Row>, StoreError> {
        match self.permits.try_acquire() {
            Ok(_permit) => self.on_idle(|connection| read(connection, &query)),
            Err(_) => self.rows(query).await,
        }
    }

    /// The caller holds a permit, so a connection is there unless the store is closing.
    fn on_idle<T>(&self, question: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or_else(closed)?;
        let answer = question(&connection);
        if !self.permits.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        answer
    }

    pub fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}
