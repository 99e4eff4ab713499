//! What the group writers of both databases share: jobs, their answers, and the statements that end a group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::audit::Chain;
use crate::change::{Counter, Effects};
use crate::statement::{Statement, Value};
use crate::statistics::Figure;
use crate::{StoreError, meta, statistics};

/// Most writes in one transaction.
pub(crate) const GROUP_MAX: usize = 256;
/// Writes that may wait; beyond that, callers wait for a place.
pub(crate) const QUEUE_MAX: usize = 1_024;

/// One caller's write.
pub(crate) struct Job {
    pub effects: Effects,
    pub answer: oneshot::Sender<Result<(), StoreError>>,
}

pub(crate) enum Message {
    Write(Job),
    /// Everything queued before is written first; the answer comes when the database is closed.
    Close(oneshot::Sender<()>),
}

/// The writes that waited together, and the message that ended the gathering, if one did.
pub(crate) fn gather(first: Job, queue: &mut mpsc::Receiver<Message>) -> (Vec<Job>, Option<oneshot::Sender<()>>) {
    let mut group = vec![first];
    while group.len() < GROUP_MAX {
        match queue.try_recv() {
            Ok(Message::Write(job)) => group.push(job),
            Ok(Message::Close(closed)) => return (group, Some(closed)),
            Err(_) => break,
        }
    }
    (group, None)
}

/// For each write of a group: `None` if it was written, else why not.
pub(crate) type Outcomes = Vec<Option<StoreError>>;

/// Tells every caller of a group.
pub(crate) fn answer(group: Vec<Job>, outcomes: Outcomes) {
    for (job, outcome) in group.into_iter().zip(outcomes) {
        // A caller that went away does not want the answer; its write happened all the same.
        let _ = job.answer.send(outcome.map_or(Ok(()), Err));
    }
}

pub(crate) fn answer_all(group: Vec<Job>, error: &StoreError) {
    let outcomes = vec![Some(error.clone()); group.len()];
    answer(group, outcomes);
}

/// What a group adds up to beside its writes' own statements.
#[derive(Default)]
pub(crate) struct Ending {
    counters: BTreeMap<Counter, i64>,
    figures: BTreeMap<Figure, i64>,
    config_changed: bool,
    audit: Vec<Statement>,
}

impl Ending {
    /// Takes up a write that is part of the group.
    pub fn add(&mut self, effects: &Effects, chain: &mut Chain) {
        for (counter, change) in &effects.counters {
            *self.counters.entry(*counter).or_default() += change;
        }
        for (figure, change) in &effects.figures {
            *self.figures.entry(*figure).or_default() += change;
        }
        self.config_changed |= effects.config_changed;
        self.audit.extend(effects.audit.iter().map(|record| chain.append(record)));
    }

    pub fn statements(self, node: &str) -> Vec<Statement> {
        let mut statements = self.audit;
        for (counter, change) in self.counters {
            let (kind, scope) = counter.key();
            let params = vec![Value::Int(kind), Value::Uuid(scope), Value::Text(node.to_owned()), Value::Int(change)];
            statements.push(
                Statement::new(
                    "INSERT INTO counter (kind, scope, node, value) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (kind, scope, node) DO UPDATE SET value = counter.value + excluded.value",
                    params,
                )
                .bulk(
                    "INSERT INTO counter (kind, scope, node, value) \
                     SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::bigint[]) \
                     ON CONFLICT (kind, scope, node) DO UPDATE SET value = counter.value + excluded.value",
                ),
            );
        }
        statements.extend(self.figures.into_iter().map(|(figure, change)| statistics::add(figure, change, node)));
        if self.config_changed {
            statements.push(meta::bump_config_version());
        }
        statements
    }
}

/// How the writer has been doing since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions committed.
    pub groups: u64,
    /// Writes in them.
    pub writes: u64,
    /// Time the writer spent on groups, waiting for the disk included.
    pub busy_nanoseconds: u64,
    /// Bytes appended to SQLite's write-ahead log; 0 on PostgreSQL.
    pub wal_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Gauges {
    groups: AtomicU64,
    writes: AtomicU64,
    busy_nanoseconds: AtomicU64,
    wal_bytes: AtomicU64,
}

impl Gauges {
    pub fn shared() -> Arc<Self> {
        Arc::default()
    }

    pub fn committed(&self, writes: usize) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(u64::try_from(writes).unwrap_or(0), Ordering::Relaxed);
    }

    pub fn busy(&self, time: Duration) {
        self.busy_nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(0), Ordering::Relaxed);
    }

    pub fn logged(&self, bytes: u64) {
        self.wal_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn read(&self) -> Statistics {
        Statistics {
            groups: self.groups.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            busy_nanoseconds: self.busy_nanoseconds.load(Ordering::Relaxed),
            wal_bytes: self.wal_bytes.load(Ordering::Relaxed),
        }
    }
}
