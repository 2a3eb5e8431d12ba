//! The store's connections, and the queries of every noun.
//!
//! Opened once by the assembly; `history/sql.rs` and `auth` are its callers. Its kinds are `sqlite`,
//! a file in the data folder, and `postgres`, by a URL. Its law: no type of sea-orm or sqlx leaves
//! this folder; whatever is written together is written in one transaction; one process has the
//! store.

pub mod accounts;
mod entity;
pub mod events;
pub mod fault;
pub mod files;
pub mod locks;
pub mod logs;
pub mod members;
pub mod messages;
pub mod ops;
pub mod people;
mod postgres;
pub mod rooms;
pub mod space;
mod spoilt;
mod sqlite;
mod statement;
#[cfg(test)]
mod tests;
pub mod transaction;

use std::path::{Path, PathBuf};

use self::postgres::Postgres;
use self::space::Space;
use self::sqlite::Sqlite;
use crate::config::DatabaseUrl;

pub use self::fault::{CommitFault, Fault};
pub use self::transaction::{Transaction, Unbroken};

/// The file in the data folder whose lock says that a process has it.
const LOCK: &str = "lock";

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
    /// Another process has the folder.
    #[error("{0} is in use by another wasmchannel")]
    InUse(PathBuf),
    /// Another process has the database.
    #[error("the database is in use by another wasmchannel")]
    Shared,
    /// The database does not open, or not with the promises asked of it.
    #[error("the database does not open: {0}")]
    Database(String),
}

/// Why a process ends whose disk has failed: what the file holds is known once it is opened anew.
pub const DISK_FAILED: &str = "the disk failed, and the store is to be opened anew";

/// The open store.
#[derive(Debug)]
pub struct Db(Kind);

#[derive(Debug)]
enum Kind {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Db {
    /// Opens the store in this folder, makes it where there is none, and brings it up to date.
    /// Everything in it is readable by its owner alone.
    pub async fn open(folder: &Path) -> Result<Self, OpenFault> {
        Ok(Self(Kind::Sqlite(Sqlite::open(folder).await?)))
    }

    /// Opens the store in a database of PostgreSQL, and brings its schema up to date. What is kept
    /// beside it stands in this folder.
    pub async fn connect(url: &DatabaseUrl, folder: &Path) -> Result<Self, OpenFault> {
        make_folder(folder, LOCK)?;
        // Where there is no database in it, this file says that the folder is the server's own.
        let lock = folder.join(LOCK);
        let failed = |cause| OpenFault::Folder { path: lock.clone(), cause };
        files::private_file(&lock).map_err(failed)?;
        Ok(Self(Kind::Postgres(Postgres::open(url).await?)))
    }

    /// A transaction that reads: all its queries see one moment.
    pub async fn read(&self) -> Result<Transaction, Fault> {
        match &self.0 {
            Kind::Sqlite(sqlite) => sqlite.read().await,
            Kind::Postgres(postgres) => postgres.read().await,
        }
    }

    /// A transaction that writes. In SQLite there is one at a time, which holds the lock from its
    /// start; in PostgreSQL there are several, and what they must not share they lock (`locks`).
    pub async fn write(&self) -> Result<Transaction, Fault> {
        match &self.0 {
            Kind::Sqlite(sqlite) => sqlite.write().await,
            Kind::Postgres(postgres) => postgres.write().await,
        }
    }

    /// How many transactions may write at once.
    #[must_use]
    pub const fn writes_at_once(&self) -> usize {
        match &self.0 {
            Kind::Sqlite(_) => 1,
            Kind::Postgres(_) => postgres::WRITES_AT_ONCE,
        }
    }

    /// Whether the database answers who reads: asked anew, not of what a connection remembers, and
    /// though all readers are busy. A lock under which another process writes is no absence: as on a
    /// full disk, what is there is read, and who writes is told to come again.
    pub async fn answers(&self) -> bool {
        match &self.0 {
            Kind::Sqlite(sqlite) => sqlite.answers().await,
            Kind::Postgres(postgres) => postgres.answers().await,
        }
    }

    /// Ends when this process must end, and tells why: the disk under the file failed, or another
    /// process has the database. (The lock on a file ends with the process.)
    pub async fn lost(&self) -> &'static str {
        match &self.0 {
            Kind::Sqlite(sqlite) => {
                sqlite.lost().await;
                DISK_FAILED
            }
            Kind::Postgres(postgres) => {
                postgres.lost().await;
                "another process has taken the database"
            }
        }
    }

    /// Whether the store is known to be damaged: somebody came upon it, or the look through a file in
    /// the background where it was not closed in order; nothing is known of another machine's.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        match &self.0 {
            Kind::Sqlite(sqlite) => sqlite.is_damaged(),
            Kind::Postgres(_) => false,
        }
    }

    /// Whether a commit does not end, so that nothing can be written. Of another machine's commits each
    /// has a connection of its own.
    #[must_use]
    pub fn is_commit_late(&self) -> bool {
        match &self.0 {
            Kind::Sqlite(sqlite) => sqlite.is_commit_late(),
            Kind::Postgres(_) => false,
        }
    }

    /// How much room is left where the store writes; nothing where that is another machine's.
    #[must_use]
    pub fn space(&self) -> Option<Space> {
        match &self.0 {
            Kind::Sqlite(sqlite) => sqlite.space(),
            Kind::Postgres(_) => None,
        }
    }

    /// Closes all connections and gives the store free. Where the disk under it has failed it tells so
    /// and leaves the file open, until the process ends.
    pub async fn close(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Sqlite(sqlite) => sqlite.close().await,
            Kind::Postgres(postgres) => {
                postgres.close().await;
                None
            }
        }
    }
}

/// Makes the data folder where there is none, for its owner alone.
/// `own_file` says whether it is the server's own.
fn make_folder(folder: &Path, own_file: &str) -> Result<(), OpenFault> {
    let failed = |cause| OpenFault::Folder { path: folder.to_owned(), cause };
    files::private_folder(folder, own_file).map_err(failed)
}
