//! Copies the write-ahead log back into the database on a connection of its own, so that the writer does not stand still.
//!
//! The copy never catches up with a busy writer, and the log starts again from its beginning only when everything is
//! copied. So after each copy the writer copies the short rest itself, between two groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

use crate::StoreError;

pub(super) struct Checkpointer {
    wake: SyncSender<()>,
    copied: Arc<AtomicBool>,
    is_copying: bool,
}

pub(super) fn start(connection: Connection) -> Result<Checkpointer, StoreError> {
    let (wake, woken) = sync_channel(1);
    let copied = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&copied);
    std::thread::Builder::new()
        .name("store-checkpoint".to_owned())
        .spawn(move || copy_when_woken(&connection, &woken, &done))
        .map_err(|error| StoreError::Unavailable(format!("the checkpoint thread cannot be started: {error}")))?;
    Ok(Checkpointer { wake, copied, is_copying: false })
}

fn copy_when_woken(connection: &Connection, woken: &Receiver<()>, done: &AtomicBool) {
    // Ends when the writer lets go of the other half.
    while woken.recv().is_ok() {
        if let Err(error) = copy(connection) {
            tracing::warn!(%error, "the write-ahead log could not be copied back");
        }
        done.store(true, Ordering::Release);
    }
}

/// As much as possible without making anybody wait.
pub(super) fn copy(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

impl Checkpointer {
    /// Starts copying unless that is under way.
    pub fn request(&mut self) {
        if !self.is_copying {
            self.is_copying = self.wake.try_send(()).is_ok();
        }
    }

    /// Whether a requested copy was finished since the last call.
    pub fn finished(&mut self) -> bool {
        let finished = self.is_copying && self.copied.swap(false, Ordering::Acquire);
        self.is_copying &= !finished;
        finished
    }
}
