//! What can go wrong with the store, in the words that decide what happens next.
//!
//! Made here from sea-orm's and the databases' errors and nowhere else. Its law: before COMMIT is
//! sent every error is a certain failure; at COMMIT itself only what the database says about the
//! transaction is certain, all else is unknown.

use sea_orm::{DbErr, RuntimeErr};

/// SQLite's result codes (sqlite.org/rescode.html). The last eight bits of an extended code are
/// its primary one.
mod sqlite {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NO_MEMORY: i32 = 7;
    pub(super) const READ_ONLY: i32 = 8;
    pub(super) const IO_ERROR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANNOT_OPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const NO_DATABASE: i32 = 26;
    /// The index of the write-ahead log could not grow: there is no room.
    pub(super) const IO_ERROR_SHARED_SIZE: i32 = 10 | 19 << 8;
    pub(super) const CONSTRAINT_PRIMARY_KEY: i32 = 19 | 6 << 8;
    pub(super) const CONSTRAINT_UNIQUE: i32 = 19 | 8 << 8;

    pub(super) const fn primary(code: i32) -> i32 {
        code & 0xff
    }
}

/// Why a statement, or a whole transaction, did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing can be written until there is room again.
    #[error("the disk is full")]
    DiskFull,
    /// The disk gave an I/O error: what is written is not known until the process opens it anew.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// A page of the file is not what SQLite wrote. Opened anew it is the same: whoever needs that page
    /// is told to come again, and all else is served.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
    /// Another transaction was first: judged again, what it wrote is seen.
    #[error("another transaction was first: {0}")]
    Collision(String),
    /// The database refused this statement, and would again.
    #[error("the store refused a statement: {0}")]
    Statement(String),
    /// No connection, or the database cannot do it now.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// No answer in time; its connection may wait for ever and is not to be used again.
    #[error("the store does not answer: {0} took too long")]
    Late(&'static str),
    /// A stored value is not what its column holds.
    #[error("a stored row is damaged: {0}")]
    Damaged(String),
}

/// Why a commit did not answer that it is done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitFault {
    /// Nothing of the transaction is stored, for certain.
    #[error("the commit failed: {0}")]
    Failed(Fault),
    /// It may be stored or not.
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(Fault),
}

impl CommitFault {
    pub(super) const fn cause(&self) -> &Fault {
        let (Self::Failed(cause) | Self::Unknown(cause)) = self;
        cause
    }
}

/// For those to whom both are a failure: what they wrote is only written again.
impl From<CommitFault> for Fault {
    fn from(fault: CommitFault) -> Self {
        let (CommitFault::Failed(cause) | CommitFault::Unknown(cause)) = fault;
        cause
    }
}

impl Fault {
    pub(super) fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Damaged(what.to_string())
    }
}

impl From<DbErr> for Fault {
    fn from(error: DbErr) -> Self {
        let text = error.to_string();
        match said(&error) {
            Some(Said::Sqlite(code)) => of_sqlite(code, text),
            Some(Said::Postgres(state)) => of_postgres(&state, text),
            None => match error {
                DbErr::Type(_) | DbErr::TryIntoErr { .. } => Self::Damaged(text),
                _ => Self::Unavailable(text),
            },
        }
    }
}

impl From<DbErr> for CommitFault {
    fn from(error: DbErr) -> Self {
        let is_certain = match said(&error) {
            Some(Said::Sqlite(code)) => {
                matches!(sqlite::primary(code), sqlite::FULL | sqlite::BUSY | sqlite::CONSTRAINT)
            }
            Some(Said::Postgres(state)) => matches!(class(&state), "23" | "40" | "53"),
            None => false,
        };
        if is_certain { Self::Failed(error.into()) } else { Self::Unknown(error.into()) }
    }
}

/// A file that cannot be written or opened now is away, and no statement is at fault: who is in reads
/// on, and each writer's connection is a new one, so that it is written again once that has passed.
fn of_sqlite(code: i32, text: String) -> Fault {
    match (code, sqlite::primary(code)) {
        (sqlite::IO_ERROR_SHARED_SIZE, _) | (_, sqlite::FULL) => Fault::DiskFull,
        (_, sqlite::IO_ERROR) => Fault::Disk(text),
        (_, sqlite::CORRUPT | sqlite::NO_DATABASE) => Fault::Corrupt(text),
        (_, sqlite::BUSY | sqlite::LOCKED | sqlite::NO_MEMORY) => Fault::Unavailable(text),
        (_, sqlite::READ_ONLY | sqlite::CANNOT_OPEN | sqlite::PROTOCOL) => Fault::Unavailable(text),
        (sqlite::CONSTRAINT_PRIMARY_KEY | sqlite::CONSTRAINT_UNIQUE, _) => Fault::Collision(text),
        _ => Fault::Statement(text),
    }
}

/// By SQLSTATE (postgresql.org/docs/current/errcodes-appendix.html). Its disk is not ours to open
/// anew: a server whose disk fails ends itself, and is away until it is back.
fn of_postgres(state: &str, text: String) -> Fault {
    match (state, class(state)) {
        ("53100", _) => Fault::DiskFull,
        // A key that is taken, a deadlock, a row that changed meanwhile.
        ("23505" | "40001" | "40P01", _) => Fault::Collision(text),
        // No connection, no room for one, a lock not had in time, ended or not yet begun, read-only
        // behind a failover, given up for being idle, a disk that fails.
        (_, "08" | "53" | "55" | "57" | "58") | ("25006" | "25P03", _) => Fault::Unavailable(text),
        _ => Fault::Statement(text),
    }
}

/// The first two of an SQLSTATE's five characters.
fn class(state: &str) -> &str {
    state.get(..2).unwrap_or_default()
}

/// What the database itself answered.
enum Said {
    Sqlite(i32),
    Postgres(String),
}

fn said(error: &DbErr) -> Option<Said> {
    // A connection that is opened anew reads and writes the file as well.
    let (DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause)) = error else {
        return None;
    };
    let RuntimeErr::SqlxError(cause) = cause else { return None };
    let code = cause.as_database_error()?.code()?;
    // An SQLSTATE has five characters, a result code of SQLite at most four.
    if code.len() == 5 {
        return Some(Said::Postgres(code.into_owned()));
    }
    code.parse().ok().map(Said::Sqlite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_says_decides_what_happens_next() {
        let of = |state| of_postgres(state, String::new());
        assert_eq!(of("53100"), Fault::DiskFull);
        assert_eq!(of("23505"), Fault::Collision(String::new()));
        assert_eq!(of("40P01"), Fault::Collision(String::new()));
        for away in ["08006", "53300", "55P03", "57P01", "57P03", "25006", "25P03"] {
            assert_eq!(of(away), Fault::Unavailable(String::new()), "{away}");
        }
        for refused in ["23514", "22021", "25P02", "42P01"] {
            assert_eq!(of(refused), Fault::Statement(String::new()), "{refused}");
        }
        let of = |code| of_sqlite(code, String::new());
        assert_eq!([of(13), of(4_874)], [Fault::DiskFull, Fault::DiskFull]);
        assert_eq!([of(1_555), of(2_067)], [1, 2].map(|_| Fault::Collision(String::new())));
        assert_eq!([of(10), of(1_034)], [1, 2].map(|_| Fault::Disk(String::new())));
        for damaged in [11, 267, 26] {
            assert_eq!(of(damaged), Fault::Corrupt(String::new()), "{damaged}");
        }
        // No memory; read-only, and as the file was moved or its log cannot be recovered; no file to
        // be had, and a folder in its place; locks that are never had.
        for away in [5, 517, 6, 7, 8, 1_032, 264, 14, 526, 15] {
            assert_eq!(of(away), Fault::Unavailable(String::new()), "{away}");
        }
        for refused in [275, 1, 18, 20] {
            assert_eq!(of(refused), Fault::Statement(String::new()), "{refused}");
        }
    }
    #[tokio::test]
    async fn what_is_said_while_a_connection_is_opened_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("words");
        std::fs::write(&file, [b'x'; 4_096]).unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
        let options = options.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
        let pool = sqlx::SqlitePool::connect_lazy_with(options);
        let store = sea_orm::SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
        let error = sea_orm::TransactionTrait::begin(&store).await.unwrap_err();
        assert!(matches!(error, DbErr::Conn(_)), "{error:?}");
        assert!(matches!(Fault::from(error), Fault::Corrupt(_)));
    }
}
