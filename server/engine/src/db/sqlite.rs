//! The store in a file: how SQLite is opened, the pragmas, and the proof that they hold.
//!
//! Used by `db` alone. Its law: one process has the folder, and one connection writes; what
//! durability rests on is set at every connection and read back from it, for a pragma that SQLite
//! does not like is silently ignored. `synchronous=FULL` with WAL loses nothing at a power cut,
//! NORMAL does; before 3.51.3 two connections could damage the file.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::WeakShared;
use migrations::{Migrator, MigratorTrait};
use sea_orm::{
    DatabaseConnection, DbBackend, SqliteTransactionMode, SqlxSqliteConnector, TransactionOptions,
    TransactionTrait,
};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Error, SqlitePool};
use tokio::time::timeout;

use super::space::Space;
use super::transaction::Spoilt;
use super::{Fault, LOCK, OpenFault, Transaction, files};

/// The database's file in the data folder.
const DATABASE: &str = "wasmchannel.db";
/// What SQLite keeps beside it, from the last time.
const BESIDE_DATABASE: [&str; 2] = ["wasmchannel.db-wal", "wasmchannel.db-shm"];
/// Connections that read at once.
pub(super) const READERS: u32 = 4;
/// What a reader keeps of the file, in KiB; SQLite counts them below zero.
const READER_CACHE_KIB: i32 = -512;
/// The oldest SQLite without the damage of a WAL that is reset while another connection writes.
const VERSION_MIN: (u32, u32, u32) = (3, 51, 3);
/// Longest wait for a lock; the flock on the folder makes it rare.
const BUSY_FOR_MAX: Duration = Duration::from_secs(2);
/// Longest wait for a connection; shorter than for an answer, since a connection that another has is
/// not one that is lost.
const ACQUIRE_FOR_MAX: Duration = Duration::from_millis(2_500);
/// Longest look at whether the file answers.
const LOOK_FOR_MAX: Duration = Duration::from_secs(5);

/// Whether the file answers, once that is known.
type Look = Pin<Box<dyn Future<Output = bool> + Send>>;

/// An open file.
#[derive(Debug)]
pub(super) struct Sqlite {
    writer: DatabaseConnection,
    pub(super) writer_pool: SqlitePool,
    spoilt: Spoilt,
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
        let look = Mutex::default();
        Ok(Self { writer, writer_pool, spoilt, readers, readers_pool, file, look, lock })
    }

    pub(super) async fn read(&self) -> Result<Transaction, Fault> {
        // A reader's connection holds no lock that anybody misses: nobody asks whether it is spoilt.
        Transaction::begin(self.readers.begin(), DbBackend::Sqlite, Spoilt::default()).await
    }

    pub(super) async fn write(&self) -> Result<Transaction, Fault> {
        if self.spoilt.is_said() {
            self.renew_writer().await?;
        }
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = self.writer.begin_with_options(options);
        Transaction::begin(begun, DbBackend::Sqlite, self.spoilt.clone()).await
    }

    /// Closes the writer's connection, so that the next transaction begins on a new one; where somebody
    /// has it still, there is no next one yet.
    async fn renew_writer(&self) -> Result<(), Fault> {
        let held = self.writer_pool.acquire().await.map_err(|error| {
            Fault::Unavailable(format!("the writer's connection is to be replaced: {error}"))
        })?;
        // From here on nobody else gets it, however this ends.
        self.spoilt.take();
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

    pub(super) fn space(&self) -> Option<Space> {
        Space::at(&self.file)
    }

    /// The last connection folds the write-ahead log into the database.
    pub(super) async fn close(&self) {
        self.readers_pool.close().await;
        self.writer_pool.close().await;
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the folder's lock ends with the process");
        }
    }
}

/// The pool of the one connection that writes. What a statement of many rows would take back stands
/// in memory: behind 64 KiB it would be written to a file elsewhere, with what people said in it.
async fn writer(file: &Path) -> Result<SqlitePool, Error> {
    opened(options(file).pragma("temp_store", "memory"), 1).await
}

/// The pool of connections that only read. Each keeps few pages for itself: the operating system keeps
/// the others once for all of them.
async fn readers(file: &Path, count: u32) -> Result<SqlitePool, Error> {
    let cache_size = READER_CACHE_KIB.to_string();
    let options = options(file).pragma("query_only", "on").pragma("cache_size", cache_size);
    opened(options, count).await
}

/// Whether the file can be opened anew and holds our tables.
async fn answers(file: &Path) -> Result<(), Error> {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(BUSY_FOR_MAX);
    let mut connection = SqliteConnection::connect_with(&options.read_only(true)).await?;
    sqlx::query("select head from logs limit 1").fetch_optional(&mut connection).await?;
    connection.close().await
}

async fn opened(options: SqliteConnectOptions, count: u32) -> Result<SqlitePool, Error> {
    prove(options.clone()).await?;
    pool(count).connect_with(options).await
}

/// Opens one connection by itself: a pool would say of any failure only that it timed out.
async fn prove(options: SqliteConnectOptions) -> Result<(), Error> {
    let mut connection = SqliteConnection::connect_with(&options).await?;
    assert_pragmas(&mut connection).await?;
    connection.close().await
}

fn pool(count: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(count)
        .acquire_timeout(ACQUIRE_FOR_MAX)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
        .after_connect(|connection, _| {
            Box::pin(async {
                let asserted = assert_pragmas(connection).await;
                asserted.inspect_err(|error| tracing::error!(%error, "a connection is not used"))
            })
        })
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_FOR_MAX)
        .pragma("secure_delete", "on")
}

async fn assert_pragmas(connection: &mut SqliteConnection) -> Result<(), Error> {
    let version: String =
        sqlx::query_scalar("select sqlite_version()").fetch_one(&mut *connection).await?;
    if version_number(&version).is_none_or(|number| number < VERSION_MIN) {
        let (major, minor, patch) = VERSION_MIN;
        let text = format!("SQLite {version} is older than {major}.{minor}.{patch}");
        return Err(Error::Configuration(text.into()));
    }
    let mode: String =
        sqlx::query_scalar("pragma journal_mode").fetch_one(&mut *connection).await?;
    expect("journal_mode", &mode, "wal")?;
    for (pragma, query, expected) in [
        ("synchronous", "pragma synchronous", 2),
        ("foreign_keys", "pragma foreign_keys", 1),
        ("secure_delete", "pragma secure_delete", 1),
    ] {
        let value: i64 = sqlx::query_scalar(query).fetch_one(&mut *connection).await?;
        expect(pragma, &value.to_string(), &format!("{expected}"))?;
    }
    Ok(())
}

fn expect(pragma: &str, value: &str, expected: &str) -> Result<(), Error> {
    if value == expected {
        return Ok(());
    }
    Err(Error::Configuration(format!("pragma {pragma} is {value}, not {expected}").into()))
}

fn version_number(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => Some((major, minor, patch)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version_number("3.51.3") >= Some(VERSION_MIN));
        assert!(version_number("3.100.0") > Some(VERSION_MIN));
        assert!(version_number("3.51.2") < Some(VERSION_MIN));
        assert_eq!(version_number("3.51"), None);
    }

    #[tokio::test]
    async fn a_pragma_that_does_not_hold_is_no_connection() {
        let options = SqliteConnectOptions::new().in_memory(true);
        let opened = opened(options.journal_mode(SqliteJournalMode::Off), 4).await;
        let Err(fault @ Error::Configuration(_)) = opened else { panic!("{opened:?}") };
        assert!(
            fault.to_string().contains("journal_mode is off"),
            "the cause, no time-out: {fault}"
        );
    }
}
