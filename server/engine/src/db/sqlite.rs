//! The store in a file: who has it, who reads and writes it, whether it answers.
//!
//! Used by `db` alone; how a connection is opened stands in `connection`. Its law: one process has the
//! folder, and one connection writes.

mod check;
mod connection;
mod folding;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::WeakShared;
use migrations::{Migrator, MigratorTrait};
use sea_orm::{
    DatabaseConnection, DbBackend, DbErr, RuntimeErr, SqliteTransactionMode, SqlxSqliteConnector,
    TransactionOptions, TransactionTrait,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Error, SqlitePool};
use tokio::time::timeout;

use self::check::Check;
use self::connection::{BUSY_FOR_MAX, opened, options, readers, writer};
use self::folding::Folding;
use super::space::Space;
use super::spoilt::Spoilt;
use super::transaction::COMMIT_FOR_MAX;
use super::{DISK_FAILED, Fault, LOCK, OpenFault, Transaction, files};

/// The database's file in the data folder.
const DATABASE: &str = "wasmchannel.db";
/// What SQLite keeps beside it, from the last time: its log first.
const BESIDE_DATABASE: [&str; 2] = ["wasmchannel.db-wal", "wasmchannel.db-shm"];
/// Connections that read at once.
pub(super) const READERS: u32 = 4;
/// Longest look at whether the file answers.
const LOOK_FOR_MAX: Duration = Duration::from_secs(5);

/// Longest wait for who has a connection at the end; a query has answered or was given up by then.
const CLOSE_FOR_MAX: Duration = Duration::from_secs(5);

/// Whether the file answers, once that is known.
type Look = Pin<Box<dyn Future<Output = bool> + Send>>;

/// An open file.
#[derive(Debug)]
pub(super) struct Sqlite {
    writer: DatabaseConnection,
    pub(super) writer_pool: SqlitePool,
    spoilt: Spoilt,
    folding: Folding,
    check: Check,
    readers: DatabaseConnection,
    pub(super) readers_pool: SqlitePool,
    file: PathBuf,
    /// A look at the file that is under way, if it is.
    look: Mutex<Option<WeakShared<Look>>>,
    /// Held for as long as the store is open: the operating system frees it with the process.
    lock: File,
}

impl Sqlite {
    pub(super) async fn open(folder: &Path) -> Result<Self, OpenFault> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| OpenFault::Folder { path, cause }
        };
        super::make_folder(folder, DATABASE)?;
        let lock = files::private_file(&folder.join(LOCK)).map_err(failed(&folder.join(LOCK)))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenFault::InUse(folder.to_owned()),
            TryLockError::Error(cause) => failed(&folder.join(LOCK))(cause),
        })?;
        let file = folder.join(DATABASE);
        files::private_file(&file).map_err(failed(&file))?;
        // Who closes the file in order takes its log away.
        let log = folder.join(BESIDE_DATABASE[0]);
        let is_left = log.metadata().is_ok_and(|log| log.len() > 0);
        for beside in BESIDE_DATABASE {
            let path = folder.join(beside);
            files::close_file(&path).map_err(failed(&path))?;
        }

        let told = |error: Error| OpenFault::Database(error.to_string());
        let steps = opened(options(&file), 1).await.map_err(told)?;
        let schema = SqlxSqliteConnector::from_sqlx_sqlite_pool(steps.clone());
        let migrated = Migrator::up(&schema, None).await;
        migrated.map_err(|error| OpenFault::Database(error.to_string()))?;
        steps.close().await;
        let writer_pool = writer(&file).await.map_err(told)?;
        let writer = SqlxSqliteConnector::from_sqlx_sqlite_pool(writer_pool.clone());
        let readers_pool = readers(&file, READERS).await.map_err(told)?;
        let readers = SqlxSqliteConnector::from_sqlx_sqlite_pool(readers_pool.clone());
        let spoilt = Spoilt::default();
        let folding = Folding::new(writer.clone(), spoilt.clone());
        let check =
            if is_left { Check::begin(&file, spoilt.damage().clone()) } else { Check::default() };
        let look = Mutex::default();
        Ok(Self {
            writer,
            writer_pool,
            spoilt,
            folding,
            check,
            readers,
            readers_pool,
            file,
            look,
            lock,
        })
    }

    pub(super) async fn read(&self) -> Result<Transaction, Fault> {
        let spoilt = Spoilt::of_reader(self.spoilt.damage().clone());
        Transaction::begin(self.readers.begin(), DbBackend::Sqlite, spoilt).await
    }

    pub(super) async fn write(&self) -> Result<Transaction, Fault> {
        loop {
            // A flush that comes behind one that failed may say that all is well.
            if self.spoilt.is_disk_failed() {
                return Err(Fault::Disk(DISK_FAILED.to_owned()));
            }
            if self.spoilt.is_said() {
                self.renew_writer().await?;
            }
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            let begun = self.writer.begin_with_options(options);
            let begun = Transaction::begin(begun, DbBackend::Sqlite, self.spoilt.clone()).await?;
            // Who had the connection may have spoilt it while it was waited for.
            if !self.spoilt.is_said() {
                self.folding.one_more();
                return Ok(begun);
            }
        }
    }

    /// Closes the writer's connection, so that the next transaction begins on a new one; where somebody
    /// has it still, there is no next one yet.
    async fn renew_writer(&self) -> Result<(), Fault> {
        let held = self.writer_pool.acquire().await.map_err(|error| {
            let error = DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)));
            tracing::warn!(%error, "the writer's connection is to be replaced");
            let fault = Fault::from(error);
            self.spoilt.by(&fault, DbBackend::Sqlite);
            fault
        })?;
        // From here on nobody else gets it, however this ends; who waited for it meanwhile has the next.
        if !self.spoilt.take() {
            return Ok(());
        }
        if let Err(error) = held.close().await {
            tracing::warn!(%error, "the writer's connection could not be closed");
        }
        Ok(())
    }

    /// Asked of the file anew, since an open connection reads on from its memory, and from a file
    /// that nobody else finds any more. Who asks while somebody does gets his answer: a crowd opens
    /// the file once.
    pub(super) async fn answers(&self) -> bool {
        let look = {
            // Every change of it is one assignment.
            let mut look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
            let under_way = look.as_ref().and_then(WeakShared::upgrade);
            under_way.filter(|under_way| under_way.peek().is_none()).unwrap_or_else(|| {
                let file = self.file.clone();
                let begun: Look = Box::pin(async move {
                    let answered = timeout(LOOK_FOR_MAX, answers(&file)).await;
                    answered.is_ok_and(|answered| answered.is_ok())
                });
                let begun = begun.shared();
                *look = begun.downgrade();
                begun
            })
        };
        look.await
    }

    /// Ends when the disk failed under who wrote, whoever that was.
    pub(super) async fn lost(&self) {
        self.spoilt.disk_failed().await;
    }

    /// Whether the file is known to be damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.spoilt.damage().is_found()
    }

    /// Whether a commit is under way that was given up. Nobody else writes meanwhile.
    pub(super) fn is_commit_late(&self) -> bool {
        self.spoilt.commits_for().is_some_and(|lasts| lasts >= COMMIT_FOR_MAX)
    }

    pub(super) fn space(&self) -> Option<Space> {
        Space::at(&self.file)
    }

    /// Folds the write-ahead log into the database and closes the file, or tells why that cannot be:
    /// its disk has failed, or somebody's commit or reading does not end. Then it stays open until the
    /// process ends, whoever drops this: SQLite's last connection folds what is left by itself, and
    /// takes the log away where the disk says then that all is well.
    pub(super) async fn close(&self) -> Option<&'static str> {
        self.check.end().await;
        let why = self.closed().await.err();
        if why.is_some() {
            std::mem::forget(self.writer_pool.clone());
            // Without it another process could have the folder while this one has its file.
            std::mem::forget(self.lock.try_clone());
        }
        why
    }

    async fn closed(&self) -> Result<(), &'static str> {
        if self.spoilt.is_disk_failed() {
            return Err(DISK_FAILED);
        }
        let closing = timeout(CLOSE_FOR_MAX, self.readers_pool.close());
        closing.await.map_err(|_| "what is read does not end")?;
        self.folding.end().await.map_or(Ok(()), Err)?;
        let closing = timeout(CLOSE_FOR_MAX, self.writer_pool.close());
        closing.await.map_err(|_| "what is written does not end")?;
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the folder's lock ends with the process");
        }
        Ok(())
    }
}

/// Whether the file can be opened anew and holds our tables.
async fn answers(file: &Path) -> Result<(), Error> {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(BUSY_FOR_MAX);
    let mut connection = SqliteConnection::connect_with(&options.read_only(true)).await?;
    sqlx::query("select head from logs limit 1").fetch_optional(&mut connection).await?;
    connection.close().await
}

#[cfg(test)]
mod tests {
    use sea_orm::Statement;
    use tokio::time::Instant;

    use super::*;
    use crate::db::CommitFault;

    #[tokio::test]
    async fn who_finds_it_replaced_already_closes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path()).await.unwrap();
        sqlite.spoilt.by(&Fault::Late("a statement"), DbBackend::Sqlite);
        sqlite.renew_writer().await.unwrap();
        let mut writer = sqlite.writer_pool.acquire().await.unwrap();
        sqlx::query("create temp table mark (x)").execute(&mut *writer).await.unwrap();
        drop(writer);
        sqlite.renew_writer().await.unwrap();
        let mut next = sqlite.write().await.unwrap();
        let mark = Statement::from_string(DbBackend::Sqlite, "select x from mark");
        next.rows(mark).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_begun_before_the_disk_failed_is_not_committed_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path()).await.unwrap();
        let begun = sqlite.write().await.unwrap().unbroken().await.unwrap();
        sqlite.spoilt.by(&Fault::Disk(String::new()), DbBackend::Sqlite);
        assert!(matches!(begun.commit().await, Err(CommitFault::Failed(Fault::Disk(_)))));
    }

    #[tokio::test]
    async fn a_commit_that_nobody_waits_for_is_heard_and_its_connection_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path()).await.unwrap();
        let mut writer = sqlite.writer_pool.acquire().await.unwrap();
        sqlx::query("create temp table mark (x)").execute(&mut *writer).await.unwrap();
        writer.lock_handle().await.unwrap().set_commit_hook(|| {
            std::thread::sleep(Duration::from_millis(600));
            false
        });
        drop(writer);
        let statement = |text| Statement::from_string(DbBackend::Sqlite, text);
        let mut transaction = sqlite.write().await.unwrap();
        transaction.execute(statement("create table filler (words)")).await.unwrap();
        let commit = transaction.unbroken().await.unwrap().commit();
        let begun = Instant::now();
        assert!(timeout(Duration::from_millis(100), commit).await.is_err(), "it is given up");
        assert!(!sqlite.spoilt.is_said(), "it is under way");
        let lasts = sqlite.spoilt.commits_for();
        assert!(lasts.is_some_and(|lasts| lasts >= Duration::from_millis(90)), "{lasts:?}");
        assert!(!sqlite.is_commit_late(), "it may still be in time");
        // sqlx replaces it where the commit's own rollback failed, too: only the sign tells of it.
        while !sqlite.spoilt.is_said() {
            assert!(begun.elapsed() < Duration::from_secs(5), "it was not heard");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }

        assert_eq!(sqlite.spoilt.commits_for(), None, "it ended");
        let mut next = sqlite.write().await.unwrap();
        assert!(next.rows(statement("select x from mark")).await.is_err(), "a new connection");
        assert!(!sqlite.spoilt.is_disk_failed());
    }
    #[tokio::test]
    async fn a_stop_waits_for_no_reader_for_ever_and_leaves_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path()).await.unwrap();
        let mut writing = sqlite.write().await.unwrap();
        let text = "create table filler (words)";
        writing.execute(Statement::from_string(DbBackend::Sqlite, text)).await.unwrap();
        writing.unbroken().await.unwrap().commit().await.unwrap();
        let reader = sqlite.read().await.unwrap();
        let closing = timeout(2 * CLOSE_FOR_MAX, sqlite.close()).await;
        assert_eq!(closing.expect("it ends"), Some("what is read does not end"));
        drop((reader, sqlite));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let left = folder.path().join(BESIDE_DATABASE[0]).metadata().unwrap();
        assert!(left.len() > 0, "the file is open until the process ends");
        assert!(matches!(Sqlite::open(folder.path()).await, Err(OpenFault::InUse(_))));
    }
}
