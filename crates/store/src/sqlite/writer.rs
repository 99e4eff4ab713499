//! The group writer of SQLite: one thread, one connection, every statement prepared once.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::checkpoint::{self, Checkpointer};
use super::{failure, numbered};
use crate::audit::Chain;
use crate::group::{Ending, Gauges, Job, Message, Outcomes, answer, answer_all, gather};
use crate::statement::{Guard, Statement, Value};
use crate::{Conflict, StoreError};

/// The log is copied back when it is this long.
const LOG_PAGES_MAX: i64 = 16_000;
const PAGE_BYTES: i64 = 4_096 + 24;

pub(super) struct Writer {
    chain: Chain,
    gauges: Arc<Gauges>,
    checkpointer: Checkpointer,
    log_pages: i64,
}

/// The connection with its prepared statements, found by the address of their text: hashing the text costs more than
/// some statements do.
struct Session<'c> {
    connection: &'c Connection,
    prepared: HashMap<(usize, usize), rusqlite::Statement<'c>>,
}

impl Writer {
    pub fn new(chain: Chain, gauges: Arc<Gauges>, checkpointer: Checkpointer) -> Self {
        Self { chain, gauges, checkpointer, log_pages: 0 }
    }

    /// Writes until told to close, or until nobody is left to write for.
    pub fn run(mut self, connection: &Connection, mut queue: mpsc::Receiver<Message>) {
        let mut session = Session { connection, prepared: HashMap::new() };
        let mut closed = None;
        while closed.is_none() {
            match queue.blocking_recv() {
                Some(Message::Write(job)) => {
                    let (group, close) = gather(job, &mut queue);
                    closed = close;
                    self.write(&mut session, group);
                    self.keep_log_short(&mut session);
                }
                Some(Message::Close(close)) => closed = Some(close),
                None => break,
            }
        }
        drop(session);
        // The next start then finds nothing to recover; if this fails, it recovers.
        if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log was not emptied at closing");
        }
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }

    fn write(&mut self, session: &mut Session<'_>, group: Vec<Job>) {
        let start = Instant::now();
        match self.attempt(session, &group) {
            Ok(outcomes) => answer(group, outcomes),
            Err(error) if group.len() > 1 && error.may_be_one_write_alone() => {
                tracing::debug!(%error, writes = group.len(), "a group failed; its writes are repeated one by one");
                for job in group {
                    let alone = [job];
                    let outcome = self.attempt(session, &alone);
                    let outcomes = outcome.unwrap_or_else(|error| vec![Some(error)]);
                    answer(alone.into(), outcomes);
                }
            }
            Err(error) => answer_all(group, &error),
        }
        self.gauges.busy(start.elapsed());
    }

    /// One transaction. After an error nothing of it is left, neither in the database nor in memory.
    fn attempt(&mut self, session: &mut Session<'_>, group: &[Job]) -> Result<Outcomes, StoreError> {
        let before = self.chain.clone();
        let chain = &mut self.chain;
        let result = catch_unwind(AssertUnwindSafe(|| session.transaction(group, chain)));
        let result = result.unwrap_or_else(|_| Err(StoreError::Backend("the writer stumbled over a write".to_owned())));
        match &result {
            Ok(outcomes) => self.gauges.committed(outcomes.iter().filter(|it| it.is_none()).count()),
            Err(_) => {
                self.chain = before;
                session.roll_back();
            }
        }
        result
    }

    fn keep_log_short(&mut self, session: &mut Session<'_>) {
        let Ok(pages) = session.log_pages() else { return };
        let grown = if pages >= self.log_pages { pages - self.log_pages } else { pages };
        self.log_pages = pages;
        self.gauges.logged(u64::try_from(grown * PAGE_BYTES).unwrap_or(0));
        if self.checkpointer.finished() {
            if let Err(error) = checkpoint::copy(session.connection) {
                tracing::warn!(%error, "the write-ahead log could not be copied back");
            }
        } else if pages > LOG_PAGES_MAX {
            self.checkpointer.request();
        }
    }
}

impl Session<'_> {
    fn transaction(&mut self, group: &[Job], chain: &mut Chain) -> Result<Outcomes, StoreError> {
        self.execute("BEGIN IMMEDIATE", &[])?;
        let mut outcomes = Vec::with_capacity(group.len());
        let mut ending = Ending::default();
        for job in group {
            let skipped = self.apply(&job.effects.statements)?;
            if skipped.is_none() {
                ending.add(&job.effects, chain);
            }
            outcomes.push(skipped.map(StoreError::Conflict));
        }
        for statement in ending.statements(&chain.node) {
            self.execute(statement.sql, &statement.params)?;
        }
        self.execute("COMMIT", &[])?;
        Ok(outcomes)
    }

    /// Runs a write's statements. A guard that refuses the first of them gives the conflict and leaves no trace; a later
    /// one is an error, because what came before must be undone.
    fn apply(&mut self, statements: &[Statement]) -> Result<Option<Conflict>, StoreError> {
        for (index, statement) in statements.iter().enumerate() {
            let changed = self.execute(statement.sql, &statement.params)?;
            let Some(guard) = statement.guard.filter(|_| changed != 1) else { continue };
            let conflict = self.missed(guard, &statement.params)?;
            if index == 0 && changed == 0 {
                return Ok(Some(conflict));
            }
            return Err(conflict.into());
        }
        Ok(None)
    }

    fn missed(&mut self, guard: Guard, params: &[Value]) -> Result<Conflict, StoreError> {
        let Some(probe) = guard.probe else { return Ok(guard.conflict) };
        let found = self.statement(probe)?.exists(rusqlite::params_from_iter(params.iter().take(guard.keys)));
        Ok(if found.map_err(|error| failure(&error, probe))? { guard.conflict } else { Conflict::Missing })
    }

    fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<usize, StoreError> {
        self.statement(sql)?.execute(rusqlite::params_from_iter(params)).map_err(|error| failure(&error, sql))
    }

    fn log_pages(&mut self) -> Result<i64, StoreError> {
        let sql = "PRAGMA wal_checkpoint(NOOP)";
        self.statement(sql)?.query_row([], |row| row.get(1)).map_err(|error| failure(&error, sql))
    }

    /// Also when no transaction is open, as after an error at COMMIT that rolled back by itself.
    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed group could not be rolled back");
        }
    }
}

impl<'c> Session<'c> {
    fn statement(&mut self, sql: &'static str) -> Result<&mut rusqlite::Statement<'c>, StoreError> {
        use std::collections::hash_map::Entry;
        match self.prepared.entry((sql.as_ptr().addr(), sql.len())) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let statement = self.connection.prepare(&numbered(sql)).map_err(|error| failure(&error, sql))?;
                Ok(new.insert(statement))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{connect, migrate, prepare};
    use super::*;
    use crate::change::{Change, Effects, Write};
    use crate::number::Numbering;
    use rusqlite::OpenFlags;
    use tokio::sync::oneshot;

    fn job(key: &str, value: Vec<u8>) -> (Job, oneshot::Receiver<Result<(), StoreError>>) {
        let write = Write::default().with(Change::SetMeta { key: key.to_owned(), value });
        let effects = Effects::of(write, "node-1", &Numbering::after(0, 0)).unwrap();
        let (answer, answered) = oneshot::channel();
        (Job { effects, answer }, answered)
    }

    #[test]
    fn a_full_disk_is_said_and_writing_goes_on_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chancery.db");
        let open = || connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE).unwrap();
        let connection = open();
        prepare(&connection, &path).unwrap();
        migrate(&connection).unwrap();
        let chain = Chain { node: "node-1".to_owned(), sequence: 0, head: [0; 32] };
        let mut writer = Writer::new(chain, Gauges::shared(), checkpoint::start(open()).unwrap());
        let mut session = Session { connection: &connection, prepared: HashMap::new() };
        let mut write = |session: &mut Session<'_>, length: usize| {
            let (mine, answer) = job("large", vec![7; length]);
            let (neighbour, also) = job("small", vec![length.to_le_bytes()[0]]);
            writer.write(session, vec![mine, neighbour]);
            (answer.blocking_recv().unwrap(), also.blocking_recv().unwrap())
        };
        let limit =
            |pages: i64| connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        assert_eq!(write(&mut session, 10), (Ok(()), Ok(())));
        let used: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        limit(used + 2);
        assert_eq!(write(&mut session, 1_000_000), (Err(StoreError::Full), Err(StoreError::Full)));
        assert_eq!(write(&mut session, 10), (Ok(()), Ok(())), "what fits is written");
        limit(used + 1_000);
        assert_eq!(write(&mut session, 1_000_000), (Ok(()), Ok(())));
        let check: String = connection.query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }

    #[test]
    fn the_log_is_copied_back_and_starts_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chancery.db");
        let open = || connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE).unwrap();
        let connection = open();
        prepare(&connection, &path).unwrap();
        migrate(&connection).unwrap();
        let chain = Chain { node: "node-1".to_owned(), sequence: 0, head: [0; 32] };
        let mut writer = Writer::new(chain, Gauges::shared(), checkpoint::start(open()).unwrap());
        let mut session = Session { connection: &connection, prepared: HashMap::new() };
        let mut largest = 0;
        // 4 MB a write, so the log would be 1 GB long in the end.
        for round in 0..250 {
            let (mine, answer) = job("large", vec![round; 4 << 20]);
            writer.write(&mut session, vec![mine]);
            assert_eq!(answer.blocking_recv().unwrap(), Ok(()));
            writer.keep_log_short(&mut session);
            largest = largest.max(writer.log_pages);
        }
        assert!(largest > LOG_PAGES_MAX && largest < 6 * LOG_PAGES_MAX, "{largest} pages");
        assert!(writer.gauges.read().wal_bytes > 1_000_000_000);
    }
}
