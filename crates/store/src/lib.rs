//! The store: what is remembered, over SQLite (the embedded default) or PostgreSQL (for several nodes).
//!
//! **Here lives** all SQL: one [`Store`] that writes and one [`Reader`] that reads, a file per noun with the nouns' names
//! of `model`, and the drivers of the two databases. **May call it**: `authority` holds the [`Store`]; doors get a
//! [`Reader`], through which no write is possible. **It must not know** keys, template rules or HTTP: it refuses a change
//! only for what its own rows say (a taken name, a used serial number, a stale version).
//!
//! **Writing.** A [`Write`] is a list of [`Change`]s with the audit entries that describe them. Concurrent writes are
//! gathered into one transaction with one append to this node's audit chain; each caller is answered after the commit
//! that made its write durable. If a group fails, its writes are repeated one by one, so that none harms its neighbours.
//!
//! **Reading.** Lists are pages with a cursor. A call looks at a bounded number of rows; see [`Reader::certificates`].
//!
//! Start reading at `change`, then a noun such as `template`, then `sqlite/writer`.

mod alert;
mod application;
mod audit;
mod authority;
mod certificate;
mod change;
mod connection;
mod crl;
mod error;
mod external;
mod group;
mod idempotency;
mod identity;
mod import;
mod job;
mod meta;
mod migration;
mod number;
mod order;
mod page;
mod postgres;
mod profile;
mod project;
mod reader;
mod request;
mod responder;
mod saved_view;
mod sign_in_link;
mod sqlite;
mod statement;
mod statistics;
mod template;
mod token;
mod user;
mod walk;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

pub use alert::{AlertChange, AlertListFilter, AuditPosition, EndingCa, EndingCertificate, EndingWindow, WatchedEntry};
pub use application::{ApplicationChange, ApplicationFilter, AttachedProfile, CountedApplication, NamedMember};
pub use audit::entry_hash_holds;
pub use change::{Change, Write};
pub use crl::{CrlChange, CrlEntries, CrlPublication, SerialStatus};
pub use error::{Conflict, StoreError};
pub use external::{CaSummary, ExternalChange};
pub use group::Statistics;
pub use idempotency::IdempotencyRow;
pub use import::ImportedCertificate;
pub use profile::{ProfileFilter, ProfileMetrics};
pub use reader::Reader;
pub use request::PastRequest;
pub use statistics::InventoryStatistics;
pub use user::UserChange;

use change::Effects;
use group::{Gauges, Job, Message};
use number::Numbering;
use reader::Source;

/// Where the data lies.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file, made when it is not there. Not on a network file system.
    Sqlite { path: PathBuf },
    /// `postgres://user:password@host/database`.
    Postgres { url: String },
}

/// The writing half, of which a process has one.
pub struct Store {
    queue: mpsc::Sender<Message>,
    reader: Reader,
    node: String,
    numbering: Numbering,
    gauges: Arc<Gauges>,
    is_alone: bool,
}

impl Store {
    /// Opens or makes the database and brings its schema up to date. `node` names this process in the audit log; the name
    /// stays the same from start to start, and no other running process may have it.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if a newer program has been here, [`StoreError::Unavailable`] if the database is not
    /// reachable or another process has the file or the node name.
    pub async fn open(location: &Location, node: &str) -> Result<Self, StoreError> {
        let gauges = Gauges::shared();
        let (queue, reader, numbering) = match location {
            Location::Sqlite { path } => {
                let (path, node, gauges) = (path.clone(), node.to_owned(), Arc::clone(&gauges));
                let opened = tokio::task::spawn_blocking(move || sqlite::open(&path, &node, gauges)).await;
                let opened =
                    opened.map_err(|error| StoreError::Unavailable(format!("opening was interrupted: {error}")))??;
                (opened.queue, Reader::new(Source::Sqlite(opened.readers)), opened.numbering)
            }
            Location::Postgres { url } => {
                let opened = postgres::open(url, node, Arc::clone(&gauges)).await?;
                (opened.queue, Reader::new(Source::Postgres(opened.readers)), opened.numbering)
            }
        };
        let is_alone = matches!(location, Location::Sqlite { .. });
        Ok(Self { queue, reader, node: node.to_owned(), numbering, gauges, is_alone })
    }

    /// Whether no other process can have this database open: what an earlier one had begun, nobody goes on with.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.is_alone
    }

    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// The name under which this process appends to the audit log.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Returns once the write is durable, together with others that came at the same time. If the caller goes away the
    /// write happens nevertheless, or not, but never in part.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the stored state rules the write out; [`StoreError::Full`] and
    /// [`StoreError::Unavailable`] if it cannot be written now.
    pub async fn commit(&self, write: Write) -> Result<(), StoreError> {
        let effects = Effects::of(write, &self.node, &self.numbering)?;
        let (answer, answered) = oneshot::channel();
        let closed = || StoreError::Unavailable("it is closed".to_owned());
        self.queue.send(Message::Write(Job { effects, answer })).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.gauges.read()
    }

    /// Writes what is queued, then closes. Later calls are [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.reader.close();
        let (closed, answer) = oneshot::channel();
        if self.queue.send(Message::Close(closed)).await.is_ok() {
            let _ = answer.await;
        }
    }
}
