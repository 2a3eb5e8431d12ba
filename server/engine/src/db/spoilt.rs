//! What a fault says beyond its own transaction: of the connection, of the disk, of the file.
//!
//! Told by `transaction`, by `folding` and by `check`; asked by whoever owns the connections. Its law:
//! each sign is only ever set, but the connection's, which is taken by who replaces it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::DbBackend;
use tokio::sync::watch;
use tokio::time::Instant;

use super::fault::Fault;

/// Whether the file is known to be damaged, by whoever came upon it. That is no end: who would start
/// again finds the same file, and what is sound in it is read and written.
#[derive(Debug, Clone, Default)]
pub(super) struct Damage(Arc<AtomicBool>);

impl Damage {
    /// Says so, once.
    pub(super) fn found(&self, wrong: &str) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::error!(
                wrong,
                "the database's file is damaged: stop, and put a sound copy in its place"
            );
        }
    }

    pub(super) fn is_found(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tells the owner of a connection that it must not be used again, or that the disk below it failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Spoilt {
    connection: Arc<AtomicBool>,
    disk: Arc<watch::Sender<bool>>,
    damage: Damage,
    commit: Arc<Mutex<Option<Instant>>>,
}

/// A commit that is under way for as long as this lives.
pub(super) struct Committing(Arc<Mutex<Option<Instant>>>);

impl Drop for Committing {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Spoilt {
    /// Of a connection that only reads: it holds no lock that anybody misses and writes nothing that
    /// could be lost, so that of what it says damage alone is heard.
    pub(super) fn of_reader(damage: Damage) -> Self {
        Self { damage, ..Self::default() }
    }

    /// What is known of the file's damage.
    pub(super) const fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Notes that the connection's one commit is under way.
    pub(super) fn committing(&self) -> Committing {
        // Every change of it is one assignment.
        *self.commit.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Committing(Arc::clone(&self.commit))
    }

    /// For how long a commit has been under way, where one is.
    pub(super) fn commits_for(&self) -> Option<Duration> {
        let begun = *self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        begun.map(|begun| begun.elapsed())
    }

    /// Whether that was said since it was last asked.
    pub(super) fn take(&self) -> bool {
        self.connection.swap(false, Ordering::AcqRel)
    }

    /// Whether that was said; it stays said.
    pub(super) fn is_said(&self) -> bool {
        self.connection.load(Ordering::Acquire)
    }

    /// Whether the disk has failed; it stays so.
    pub(super) fn is_disk_failed(&self) -> bool {
        *self.disk.borrow()
    }

    /// Ends when the disk has failed.
    pub(super) async fn disk_failed(&self) {
        // The sender lives as long as this.
        let _ = self.disk.subscribe().wait_for(|failed| *failed).await;
    }

    /// SQLite has one connection that writes: after a failed statement, COMMIT or ROLLBACK sqlx may
    /// still count a transaction as open and would go on inside it, without its lock. PostgreSQL
    /// aborts what failed, and sqlx replaces connections that break; one whose answer does not come
    /// keeps its place in the pool for ever.
    pub(super) fn by(&self, fault: &Fault, backend: DbBackend) {
        if backend == DbBackend::Sqlite || matches!(fault, Fault::Late(_)) {
            self.connection.store(true, Ordering::Release);
        }
        match fault {
            Fault::Disk(_) => drop(self.disk.send_replace(true)),
            Fault::Corrupt(wrong) => self.damage.found(wrong),
            _ => {}
        }
    }
}
