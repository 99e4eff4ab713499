//! The group writer of PostgreSQL: one connection that holds the node's lock, one transaction per group, one insert from
//! arrays per table, and everything that needs no answer in between sent at once.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, Statement as Prepared};

use super::{connect, failure, value};
use crate::audit::{self, Chain};
use crate::group::{Ending, Gauges, Job, Message, Outcomes, answer, answer_all, gather};
use crate::statement::{Guard, Row, Statement, Value};
use crate::{Conflict, StoreError};

pub(super) struct Writer {
    config: Config,
    chain: Chain,
    gauges: Arc<Gauges>,
    session: Option<Session>,
}

/// A connection that holds the node's lock.
struct Session {
    client: Client,
    prepared: HashMap<(usize, usize), Prepared>,
}

/// Why a group was not written.
enum Trouble {
    /// Nothing of it is left.
    Undone(StoreError),
    /// The connection broke while the commit was on its way. If the chain ends like this, it arrived.
    Unknown { committed: Chain, outcomes: Outcomes, error: StoreError },
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Undone(error)
    }
}

impl Writer {
    pub async fn open(config: Config, node: &str, gauges: Arc<Gauges>) -> Result<Self, StoreError> {
        let chain = audit::chain_from(node, None)?;
        let mut writer = Self { config, chain, gauges, session: None };
        writer.connected().await?;
        Ok(writer)
    }

    pub async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut closed = None;
        while closed.is_none() {
            match queue.recv().await {
                Some(Message::Write(job)) => {
                    let (group, close) = gather(job, &mut queue);
                    closed = close;
                    self.write(group).await;
                }
                Some(Message::Close(close)) => closed = Some(close),
                None => break,
            }
        }
        self.session = None;
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }

    async fn write(&mut self, group: Vec<Job>) {
        let start = Instant::now();
        match self.attempt(&group).await {
            Ok(outcomes) => answer(group, outcomes),
            Err(error) if group.len() > 1 && error.may_be_one_write_alone() => {
                tracing::debug!(%error, writes = group.len(), "a group failed; its writes are repeated one by one");
                for job in group {
                    let alone = [job];
                    let outcome = self.attempt(&alone).await;
                    let outcomes = outcome.unwrap_or_else(|error| vec![Some(error)]);
                    answer(alone.into(), outcomes);
                }
            }
            Err(error) => answer_all(group, &error),
        }
        self.gauges.busy(start.elapsed());
    }

    /// One transaction. After an error nothing of it is left, neither in the database nor in memory; where that cannot be
    /// known because the connection broke, the audit chain is read back, which no other process can have lengthened.
    async fn attempt(&mut self, group: &[Job]) -> Result<Outcomes, StoreError> {
        self.connected().await?;
        let before = self.chain.clone();
        let Some(session) = &mut self.session else {
            return Err(StoreError::Unavailable("it is not connected".to_owned()));
        };
        let result = session.transaction(group, &mut self.chain).await;
        let outcomes = match result {
            Ok(outcomes) => outcomes,
            Err(Trouble::Undone(error)) => {
                self.chain = before;
                self.undo().await;
                return Err(error);
            }
            Err(Trouble::Unknown { committed, outcomes, error }) => {
                self.chain = before.clone();
                self.session = None;
                self.connected().await?;
                let is_written = self.chain.sequence == committed.sequence && self.chain.head == committed.head;
                if !is_written || committed.sequence == before.sequence {
                    return Err(error);
                }
                outcomes
            }
        };
        self.gauges.committed(outcomes.iter().filter(|it| it.is_none()).count());
        Ok(outcomes)
    }

    async fn undo(&mut self) {
        let Some(session) = &self.session else { return };
        if session.client.batch_execute("ROLLBACK").await.is_err() {
            self.session = None;
        }
    }

    /// Connects if need be, takes the node's lock and reads where its chain ends.
    async fn connected(&mut self) -> Result<(), StoreError> {
        if self.session.as_ref().is_some_and(|session| !session.client.is_closed()) {
            return Ok(());
        }
        self.session = None;
        let client = connect(&self.config).await?;
        let settings = "SET synchronous_commit = on; SET lock_timeout = '10s'; SET statement_timeout = '60s'";
        client.batch_execute(settings).await.map_err(|error| failure(&error, ""))?;
        lock(&client, &self.chain.node).await?;
        let query = audit::last_entry(&self.chain.node);
        let params: Vec<&(dyn ToSql + Sync)> = query.params.iter().map(|it| it as _).collect();
        let failed = |error: Error| failure(&error, &query.sql);
        let row = client.query_opt(&*query.sql, &params).await.map_err(failed)?;
        let row = row
            .map(|row| value::values(&row).map(|values| Row::new(query.table, values)))
            .transpose()
            .map_err(failed)?;
        self.chain = audit::chain_from(&self.chain.node, row)?;
        self.session = Some(Session { client, prepared: HashMap::new() });
        Ok(())
    }
}

const LOCK_ATTEMPTS: u32 = 20;

/// Two processes under one name would break the audit chain, so the name is locked for as long as the connection lives.
/// The server may need a moment to notice that an earlier process is gone.
async fn lock(client: &Client, node: &str) -> Result<(), StoreError> {
    let sql = "SELECT pg_try_advisory_lock(hashtextextended($1, 7160424912045))";
    for _ in 0..LOCK_ATTEMPTS {
        let row = client.query_one(sql, &[&node]).await.map_err(|error| failure(&error, sql))?;
        if row.try_get::<_, bool>(0).map_err(|error| failure(&error, sql))? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(StoreError::Unavailable(format!("another process is running as node \"{node}\"")))
}

/// One statement on its way: its text and the values of its places, one each or a column each.
struct Sending<'a> {
    sql: &'static str,
    guard: Option<(Guard, &'a Statement)>,
    values: Values<'a>,
}

enum Values<'a> {
    Single(&'a [Value]),
    Columns(Vec<Vec<&'a Value>>),
}

impl<'a> Sending<'a> {
    fn single(statement: &'a Statement) -> Self {
        let guard = statement.guard.map(|guard| (guard, statement));
        Self { sql: statement.postgres.unwrap_or(statement.sql), guard, values: Values::Single(&statement.params) }
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        match &self.values {
            Values::Single(values) => values.iter().map(|it| it as _).collect(),
            Values::Columns(columns) => columns.iter().map(|it| it as _).collect(),
        }
    }
}

/// A group's statements on their way, gathered so that each table needs one array insert.
///
/// What different callers wrote at the same time has no order. Within a write, inserts into small tables are sent before
/// the array inserts, which may name their rows, and changes of rows are sent after the array inserts they follow.
#[derive(Default)]
struct Gathering<'a> {
    before: Vec<Sending<'a>>,
    arrays: Vec<Sending<'a>>,
    after: Vec<Sending<'a>>,
}

impl<'a> Gathering<'a> {
    /// Adds the statements of one write.
    fn add(&mut self, statements: impl Iterator<Item = &'a Statement>) {
        let mut has_arrays = false;
        let mut has_after = false;
        for statement in statements {
            if let Some(sql) = statement.bulk {
                has_arrays = true;
                self.add_to_array(sql, statement);
            } else if has_after || (has_arrays && !statement.sql.starts_with("INSERT")) {
                has_after = true;
                self.after.push(Sending::single(statement));
            } else {
                self.before.push(Sending::single(statement));
            }
        }
    }

    fn add_to_array(&mut self, sql: &'static str, statement: &'a Statement) {
        let place = self.arrays.iter().position(|it| it.sql == sql);
        let Some(sending) = place.and_then(|place| self.arrays.get_mut(place)) else {
            let columns = statement.params.iter().map(|value| vec![value]).collect();
            self.arrays.push(Sending { sql, guard: None, values: Values::Columns(columns) });
            return;
        };
        if let Values::Columns(columns) = &mut sending.values {
            columns.iter_mut().zip(&statement.params).for_each(|(column, value)| column.push(value));
        }
    }

    fn in_order(self) -> Vec<Sending<'a>> {
        self.before.into_iter().chain(self.arrays).chain(self.after).collect()
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 'a>>;

/// Sends all in this order without waiting in between, then waits for all.
async fn in_order(mut waiting: Vec<Answer<'_>>) -> Vec<Result<u64, Error>> {
    let mut done: Vec<Option<Result<u64, Error>>> = waiting.iter().map(|_| None).collect();
    // A request is sent when its future is first polled, so polling from the first on keeps the order.
    poll_fn(|context| {
        let mut is_ready = true;
        for (future, result) in waiting.iter_mut().zip(&mut done).filter(|(_, result)| result.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(answer) => *result = Some(answer),
                Poll::Pending => is_ready = false,
            }
        }
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

impl Session {
    async fn transaction(&mut self, group: &[Job], chain: &mut Chain) -> Result<Outcomes, Trouble> {
        let firsts: Vec<Option<&Statement>> =
            group.iter().map(|job| job.effects.statements.first().filter(|it| it.guard.is_some())).collect();
        let has_firsts = firsts.iter().any(Option::is_some);
        let outcomes = if has_firsts { self.begin_with(&firsts).await? } else { vec![None; group.len()] };
        let mut ending = Ending::default();
        let mut gathering = Gathering::default();
        for ((job, first), outcome) in group.iter().zip(&firsts).zip(&outcomes) {
            if outcome.is_none() {
                ending.add(&job.effects, chain);
                gathering.add(job.effects.statements.iter().skip(usize::from(first.is_some())));
            }
        }
        let ending = ending.statements(&chain.node);
        gathering.add(ending.iter());
        let sending = gathering.in_order();
        self.prepare(&sending).await?;
        let commits_at_once = sending.iter().all(|it| it.guard.is_none());
        let answers = self.send(&sending, !has_firsts, commits_at_once).await;
        if let Err(error) = answers {
            return Err(self.lost(error, commits_at_once, chain, outcomes));
        }
        if !commits_at_once {
            self.check(&sending, &answers.unwrap_or_default()).await?;
            if let Err(error) = self.client.batch_execute("COMMIT").await {
                return Err(self.lost(failure(&error, "COMMIT"), true, chain, outcomes));
            }
        }
        Ok(outcomes)
    }

    /// Whether the failure leaves open if the transaction was committed.
    fn lost(&self, error: StoreError, commit_was_sent: bool, chain: &Chain, outcomes: Outcomes) -> Trouble {
        if commit_was_sent && (self.client.is_closed() || matches!(error, StoreError::Unavailable(_))) {
            Trouble::Unknown { committed: chain.clone(), outcomes, error }
        } else {
            Trouble::Undone(error)
        }
    }

    /// Begins, and tries the guards that stand first: a write refused there takes no part.
    async fn begin_with(&mut self, firsts: &[Option<&Statement>]) -> Result<Outcomes, StoreError> {
        let sending: Vec<Sending<'_>> = firsts.iter().flatten().map(|statement| Sending::single(statement)).collect();
        self.prepare(&sending).await?;
        let answers = self.send(&sending, true, false).await?;
        let mut changed = answers.into_iter();
        let mut outcomes = Vec::with_capacity(firsts.len());
        for first in firsts {
            let outcome = match first {
                Some(statement) if changed.next() != Some(1) => self.missed(statement).await?.map(StoreError::Conflict),
                _ => None,
            };
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    async fn check(&self, sending: &[Sending<'_>], changed: &[u64]) -> Result<(), StoreError> {
        for (it, changed) in sending.iter().zip(changed) {
            if let Some((_, statement)) = it.guard.filter(|_| *changed != 1)
                && let Some(conflict) = self.missed(statement).await?
            {
                return Err(conflict.into());
            }
        }
        Ok(())
    }

    /// The conflict of a guard that did not hold.
    async fn missed(&self, statement: &Statement) -> Result<Option<Conflict>, StoreError> {
        let Some(guard) = statement.guard else { return Ok(None) };
        let Some(probe) = guard.probe else { return Ok(Some(guard.conflict)) };
        let params: Vec<&(dyn ToSql + Sync)> = statement.params.iter().take(guard.keys).map(|it| it as _).collect();
        let found = self.client.query_opt(probe, &params).await.map_err(|error| failure(&error, probe))?;
        Ok(Some(if found.is_some() { guard.conflict } else { Conflict::Missing }))
    }

    async fn prepare(&mut self, sending: &[Sending<'_>]) -> Result<(), StoreError> {
        for it in sending {
            let key = (it.sql.as_ptr().addr(), it.sql.len());
            if !self.prepared.contains_key(&key) {
                let prepared = self.client.prepare(it.sql).await.map_err(|error| failure(&error, it.sql))?;
                self.prepared.insert(key, prepared);
            }
        }
        Ok(())
    }

    /// Sends statements in one go, and gives how many rows each affected. The first error is the one that counts: those
    /// after it only say that the transaction has failed, and a commit of a failed transaction is a rollback.
    async fn send(&self, sending: &[Sending<'_>], begins: bool, commits: bool) -> Result<Vec<u64>, StoreError> {
        let mut waiting: Vec<Answer<'_>> = Vec::with_capacity(sending.len() + 2);
        let client = &self.client;
        if begins {
            waiting.push(Box::pin(async move { client.batch_execute("BEGIN").await.map(|()| 0) }));
        }
        for it in sending {
            let Some(prepared) = self.prepared.get(&(it.sql.as_ptr().addr(), it.sql.len())) else {
                return Err(StoreError::Backend(format!("not prepared: {}", it.sql)));
            };
            waiting.push(Box::pin(async move { client.execute(prepared, &it.params()).await }));
        }
        if commits {
            waiting.push(Box::pin(async move { client.batch_execute("COMMIT").await.map(|()| 0) }));
        }
        let mut answers = in_order(waiting).await;
        if commits {
            let commit = answers.pop();
            commit.transpose().map_err(|error| {
                first_failure(&answers, sending, begins).unwrap_or_else(|| failure(&error, "COMMIT"))
            })?;
        }
        if let Some(error) = first_failure(&answers, sending, begins) {
            return Err(error);
        }
        Ok(answers.into_iter().flatten().skip(usize::from(begins)).collect())
    }
}

fn first_failure(answers: &[Result<u64, Error>], sending: &[Sending<'_>], begins: bool) -> Option<StoreError> {
    let is_consequence = |error: &Error| error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION);
    let texts = begins.then_some("BEGIN").into_iter().chain(sending.iter().map(|it| it.sql));
    let failed = answers.iter().zip(texts).filter_map(|(answer, sql)| Some((answer.as_ref().err()?, sql)));
    failed.into_iter().find(|(error, _)| !is_consequence(error)).map(|(error, sql)| failure(error, sql))
}
