//! The write-ahead log, folded into the database by our own statement.
//!
//! Begun by `sqlite` behind some of the transactions that write, and at the end. Its law: what fails
//! here is heard as what fails at a commit is, and a disk that failed is the end of the process.
//! SQLite would take that error as *not yet* (`docs/decisions/0003`), so that it folds by itself
//! nowhere (`connection`). Nobody is asked to wait: it is a task of its own, which has the writer's
//! connection between two transactions, and says what it found though nobody listens any more.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::{ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use tokio::time::Instant;

use crate::db::spoilt::Spoilt;
use crate::db::transaction::COMMIT_FOR_MAX;
use crate::db::{DISK_FAILED, Fault};

/// Transactions from one look at the log to the next; each is a trip to the connection's thread.
const LOOK_EVERY: u32 = 16;
/// Pages of the log behind which it is folded.
const PAGES_MIN: i64 = 1_000;
/// Pages behind which readers are waited for, so that it begins anew: where one is always there, it is
/// folded behind them but grows on.
const PAGES_LONG: i64 = 16 * PAGES_MIN;
/// From one such wait to the next, since who writes waits meanwhile.
const RESTART_EVERY: Duration = Duration::from_secs(60);

/// How the log is asked for its length, and folded: as far as no reader is in the way; or to its end,
/// for which readers are waited for as for a lock, so that it begins anew; or cut to nothing as well.
const LOOK: &str = "pragma wal_checkpoint(noop)";
const FOLD: &str = "pragma wal_checkpoint(passive)";
const RESTART: &str = "pragma wal_checkpoint(restart)";
const CUT: &str = "pragma wal_checkpoint(truncate)";

/// Who sees to the log of the connection that writes.
#[derive(Debug)]
pub(super) struct Folding {
    writer: DatabaseConnection,
    spoilt: Spoilt,
    begun: AtomicU32,
    /// Somebody waits for the connection, to fold: one is enough.
    is_waiting: Arc<AtomicBool>,
    /// When readers were last waited for.
    restarted: Arc<Mutex<Option<Instant>>>,
}

/// What SQLite answers to any of the three.
#[derive(Debug)]
struct Log {
    /// Somebody was in the way.
    is_held: bool,
    pages: i64,
    /// How many of them the database has.
    folded: i64,
}

impl Folding {
    pub(super) fn new(writer: DatabaseConnection, spoilt: Spoilt) -> Self {
        let (is_waiting, restarted) = Default::default();
        Self { writer, spoilt, begun: AtomicU32::new(0), is_waiting, restarted }
    }

    /// Counts a transaction that has begun. Behind each sixteenth the log is looked at: who waits for
    /// the connection waits in a row.
    pub(super) fn one_more(&self) {
        let before = self.begun.fetch_add(1, Ordering::Relaxed);
        if before % LOOK_EVERY == LOOK_EVERY - 1 && !self.is_waiting.swap(true, Ordering::AcqRel) {
            let (writer, spoilt) = (self.writer.clone(), self.spoilt.clone());
            let (is_waiting, restarted) = (self.is_waiting.clone(), self.restarted.clone());
            tokio::spawn(async move {
                fold(&writer, &spoilt, &restarted).await;
                is_waiting.store(false, Ordering::Release);
            });
        }
    }

    /// Folds all of it, when nobody writes any more. Tells why the file must stay open, where it must:
    /// its disk failed, or somebody's commit does not end.
    pub(super) async fn end(&self) -> Option<&'static str> {
        let deadline = Instant::now() + COMMIT_FOR_MAX;
        while !self.spoilt.is_disk_failed() {
            match asked(&self.writer, CUT).await {
                Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) => {
                    if Instant::now() >= deadline {
                        return Some("what is written does not end");
                    }
                }
                answer => {
                    if heard(answer, &self.spoilt).is_some_and(|log| log.is_held) {
                        tracing::info!(
                            "somebody reads the file still: the next start folds its log"
                        );
                    }
                    break;
                }
            }
        }
        self.spoilt.is_disk_failed().then_some(DISK_FAILED)
    }
}

/// Folds a log that is long.
async fn fold(writer: &DatabaseConnection, spoilt: &Spoilt, restarted: &Mutex<Option<Instant>>) {
    let Some(found) = heard(patiently_asked(writer, LOOK, spoilt).await, spoilt) else { return };
    let is_restart = found.pages >= PAGES_LONG && is_due(restarted);
    if is_restart {
        let answer = patiently_asked(writer, RESTART, spoilt).await;
        if heard(answer, spoilt).is_some_and(|log| log.is_held) {
            tracing::warn!(
                pages = found.pages,
                "the write-ahead log grows: somebody reads on and on, here or in another process"
            );
        }
    } else if found.pages >= PAGES_MIN && found.folded < found.pages {
        // Where a reader's older view stops it half way, the next look is not far.
        heard(patiently_asked(writer, FOLD, spoilt).await, spoilt);
    }
}

/// Whether readers may be waited for again; then they are.
fn is_due(restarted: &Mutex<Option<Instant>>) -> bool {
    // Every change of it is one assignment.
    let mut last = restarted.lock().unwrap_or_else(PoisonError::into_inner);
    let is_due = last.is_none_or(|last| last.elapsed() >= RESTART_EVERY);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

/// Asks, however long another has the connection: where every transaction is slow none would ever be
/// had in time.
async fn patiently_asked(
    writer: &DatabaseConnection,
    pragma: &str,
    spoilt: &Spoilt,
) -> Result<Log, DbErr> {
    loop {
        if spoilt.is_disk_failed() {
            return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed));
        }
        match asked(writer, pragma).await {
            Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) => {}
            answer => return answer,
        }
    }
}

/// The answer, unless there is none, which is told to whom it concerns.
fn heard(answer: Result<Log, DbErr>, spoilt: &Spoilt) -> Option<Log> {
    let error = match answer {
        Ok(log) => return Some(log),
        // The store is closed, or is not to be written any more. Nothing is known against it.
        Err(DbErr::ConnectionAcquire(_)) => return None,
        Err(error) => error,
    };
    let fault = Fault::from(error);
    tracing::error!(%fault, "the write-ahead log could not be folded into the database");
    spoilt.by(&fault, DbBackend::Sqlite);
    None
}

async fn asked(writer: &DatabaseConnection, pragma: &str) -> Result<Log, DbErr> {
    let row = writer.query_one_raw(Statement::from_string(DbBackend::Sqlite, pragma)).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound(pragma.to_owned()))?;
    let number = |column| row.try_get::<i64>("", column);
    Ok(Log {
        is_held: number("busy")? != 0,
        pages: number("log")?,
        folded: number("checkpointed")?,
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::db::sqlite::Sqlite;
    use crate::db::sqlite::connection::{ACQUIRE_FOR_MAX, LOG_BYTES_MAX};

    async fn open() -> (tempfile::TempDir, Sqlite) {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path()).await.unwrap();
        commit(&sqlite, "create table filler (words)").await;
        (folder, sqlite)
    }

    async fn commit(sqlite: &Sqlite, text: &str) {
        let mut transaction = sqlite.write().await.unwrap();
        transaction.execute(Statement::from_string(DbBackend::Sqlite, text)).await.unwrap();
        transaction.unbroken().await.unwrap().commit().await.unwrap();
    }

    /// Some hundred pages.
    async fn write_much(sqlite: &Sqlite) {
        commit(sqlite, "insert into filler values (randomblob(500000))").await;
    }

    async fn log(sqlite: &Sqlite) -> Log {
        asked(&sqlite.writer, LOOK).await.unwrap()
    }

    /// The log once its pages are folded as far as they are here.
    async fn folded(sqlite: &Sqlite, is_enough: impl Fn(&Log) -> bool) -> Log {
        for _ in 0..500 {
            let log = log(sqlite).await;
            if is_enough(&log) {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", log(sqlite).await)
    }

    #[tokio::test]
    async fn a_long_log_is_folded_behind_a_transaction_and_only_by_us() {
        let (folder, sqlite) = open().await;
        for _ in 2..LOOK_EVERY {
            write_much(&sqlite).await;
        }
        let before = log(&sqlite).await;
        assert!(before.pages >= PAGES_MIN && before.folded == 0, "{before:?}");
        write_much(&sqlite).await;
        let after = folded(&sqlite, |log| log.folded == log.pages).await;
        assert!(after.folded > before.pages, "{after:?}");
        write_much(&sqlite).await;
        assert!(log(&sqlite).await.pages < PAGES_MIN, "it begins anew");

        assert!(sqlite.close().await.is_none());
        let left = folder.path().join("wasmchannel.db-wal").exists();
        assert!(!left, "nothing is left to be folded by who opens it next");
    }

    #[tokio::test]
    async fn a_short_log_is_left_alone() {
        let (_folder, sqlite) = open().await;
        for _ in 0..3 * LOOK_EVERY {
            commit(&sqlite, "insert into filler values (1)").await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let log = log(&sqlite).await;
        assert!(log.pages > 0 && log.folded == 0, "{log:?}");
    }

    #[tokio::test]
    async fn a_reader_in_the_way_is_no_fault_and_folded_past_once_he_is_gone() {
        let (_folder, sqlite) = open().await;
        write_much(&sqlite).await;
        let mut reader = sqlite.read().await.unwrap();
        let count = Statement::from_string(DbBackend::Sqlite, "select count(*) from filler");
        reader.rows(count).await.unwrap();
        let seen = log(&sqlite).await.pages;
        for _ in 0..LOOK_EVERY {
            write_much(&sqlite).await;
        }
        let half = folded(&sqlite, |log| log.folded > 0).await;
        assert_eq!(half.folded, seen, "as far as the reader sees: {half:?}");
        assert!(sqlite.lost().now_or_never().is_none() && !sqlite.spoilt.is_said());
        drop(reader);
        for _ in 2..LOOK_EVERY {
            write_much(&sqlite).await;
        }
        folded(&sqlite, |log| log.folded == log.pages).await;
    }

    #[tokio::test]
    async fn a_transaction_that_is_slow_is_waited_for() {
        let (_folder, sqlite) = open().await;
        for _ in 2..LOOK_EVERY {
            write_much(&sqlite).await;
        }
        let slow = sqlite.write().await.unwrap();
        tokio::time::sleep(ACQUIRE_FOR_MAX + Duration::from_millis(300)).await;
        slow.unbroken().await.unwrap().commit().await.unwrap();
        folded(&sqlite, |log| log.folded == log.pages).await;
        let is_waiting = || sqlite.folding.is_waiting.load(Ordering::Acquire);
        for _ in 0..100 {
            if !is_waiting() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the next is kept from it")
    }

    #[tokio::test]
    async fn a_log_that_is_very_long_begins_anew_though_somebody_always_reads() {
        let (folder, sqlite) = open().await;
        let reading = async || {
            let mut reader = sqlite.read().await.unwrap();
            let count = Statement::from_string(DbBackend::Sqlite, "select count(*) from filler");
            reader.rows(count).await.unwrap();
            reader
        };
        let before = reading().await;
        for _ in 2..=LOOK_EVERY {
            commit(&sqlite, "insert into filler values (zeroblob(4800000))").await;
        }
        let behind = reading().await;
        let length = || folder.path().join("wasmchannel.db-wal").metadata().unwrap().len();
        assert!(length() > LOG_BYTES_MAX, "{}", length());
        let others = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            drop(before);
            tokio::time::sleep(Duration::from_millis(200)).await;
            drop(behind);
        };
        others.await;
        folded(&sqlite, |log| log.folded == log.pages).await;
        let still = reading().await;
        commit(&sqlite, "insert into filler values (1)").await;
        assert!(log(&sqlite).await.pages < PAGES_MIN && length() <= LOG_BYTES_MAX, "{}", length());
        drop(still);
        assert!(!is_due(&sqlite.folding.restarted), "who writes has time in between");
    }

    #[tokio::test]
    async fn a_disk_that_failed_is_neither_written_nor_folded_nor_closed() {
        let (folder, sqlite) = open().await;
        write_much(&sqlite).await;
        let fault = DbErr::Query(sea_orm::RuntimeErr::Internal(String::new()));
        assert!(heard(Err(fault), &sqlite.spoilt).is_none());
        assert!(
            sqlite.lost().now_or_never().is_none() && sqlite.spoilt.is_said(),
            "a new connection"
        );
        commit(&sqlite, "insert into filler values (1)").await;

        sqlite.spoilt.by(&Fault::Disk(String::new()), DbBackend::Sqlite);
        assert!(matches!(sqlite.write().await, Err(Fault::Disk(_))), "what it holds is not known");
        assert!(sqlite.close().await.is_some());
        drop(sqlite);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let left = folder.path().join("wasmchannel.db-wal").metadata().unwrap();
        assert!(left.len() > 0, "who opens it next reads it from its start");
    }
}
