//! The store's connections, and the queries of every noun.
//!
//! Opened once by the assembly; `history/sql.rs` and `auth` are its callers. Its law: no type of
//! sea-orm or sqlx leaves this folder; whatever is written together is written in one transaction;
//! one process has the folder, and one connection writes.

pub mod accounts;
mod entity;
pub mod events;
pub mod fault;
pub mod files;
pub mod logs;
pub mod members;
pub mod messages;
pub mod ops;
pub mod people;
pub mod rooms;
mod sqlite;
mod statement;
#[cfg(test)]
mod tests;
pub mod transaction;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use migrations::{Migrator, MigratorTrait};
use sea_orm::{
    DatabaseConnection, SqliteTransactionMode, SqlxSqliteConnector, TransactionOptions,
    TransactionTrait,
};
use sqlx::SqlitePool;

pub use self::fault::{CommitFault, Fault};
pub use self::transaction::{Transaction, Unbroken};

/// The database's file in the data folder.
const DATABASE: &str = "wasmchannel.db";
/// What SQLite keeps beside it, from the last time.
const BESIDE_DATABASE: [&str; 2] = ["wasmchannel.db-wal", "wasmchannel.db-shm"];
/// The file whose lock says that a process has the folder.
const LOCK: &str = "lock";
/// Connections that read at once.
const READERS: u32 = 4;

/// Why the store could not be opened; each is told to the operator as it stands.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// The folder or a file in it cannot be made or opened.
    #[error("{path}: {cause}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Another process has it.
    #[error("{0} is in use by another wasmchannel")]
    InUse(PathBuf),
    /// The database does not open, or not with the promises asked of it.
    #[error("the database does not open: {0}")]
    Database(String),
}

/// The open store.
#[derive(Debug)]
pub struct Db {
    writer: DatabaseConnection,
    writer_pool: SqlitePool,
    readers: DatabaseConnection,
    readers_pool: SqlitePool,
    file: PathBuf,
    /// Held for as long as the store is open: the operating system frees it with the process.
    lock: File,
}

impl Db {
    /// Opens the store in this folder, makes it where there is none, and brings it up to date.
    /// Everything in it is readable by its owner alone.
    pub async fn open(folder: &Path) -> Result<Self, OpenFault> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| OpenFault::Folder { path, cause }
        };
        files::private_folder(folder, DATABASE).map_err(failed(folder))?;
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

        let told = |error: sqlx::Error| OpenFault::Database(error.to_string());
        let writer_pool = sqlite::writer(&file).await.map_err(told)?;
        let writer = SqlxSqliteConnector::from_sqlx_sqlite_pool(writer_pool.clone());
        Migrator::up(&writer, None)
            .await
            .map_err(|error| OpenFault::Database(error.to_string()))?;
        let readers_pool = sqlite::readers(&file, READERS).await.map_err(told)?;
        let readers = SqlxSqliteConnector::from_sqlx_sqlite_pool(readers_pool.clone());
        Ok(Self { writer, writer_pool, readers, readers_pool, file, lock })
    }

    /// A transaction that reads: all its queries see one moment.
    pub async fn read(&self) -> Result<Transaction, Fault> {
        Ok(Transaction::new(self.readers.begin().await?))
    }

    /// The transaction that writes; there is one at a time, and it holds the lock from its start.
    pub async fn write(&self) -> Result<Transaction, Fault> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Transaction::new(self.writer.begin_with_options(options).await?))
    }

    /// Closes the writer's connection, so that the next transaction begins on a new one. After a
    /// failed COMMIT or ROLLBACK sqlx still counts a transaction as open and would go on inside
    /// it, without its lock.
    pub async fn renew_writer(&self) {
        let renewed = match self.writer_pool.acquire().await {
            Ok(connection) => connection.close().await,
            Err(error) => Err(error),
        };
        if let Err(error) = renewed {
            tracing::warn!(%error, "the writer's connection could not be closed");
        }
    }

    /// Whether the database answers: asked of its file anew, since an open connection reads on
    /// from its memory, and from a file that nobody else finds any more.
    pub async fn answers(&self) -> bool {
        sqlite::answers(&self.file).await.is_ok()
    }

    /// Closes all connections and gives the folder free; the last connection folds the
    /// write-ahead log into the database.
    pub async fn close(&self) {
        self.readers_pool.close().await;
        self.writer_pool.close().await;
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the folder's lock ends with the process");
        }
    }
}
