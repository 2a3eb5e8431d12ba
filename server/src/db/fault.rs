//! What can go wrong with the store, in the words that decide what happens next.
//!
//! Made here from sea-orm's and SQLite's errors and nowhere else. Its law: before COMMIT is sent
//! every error is a certain failure; at COMMIT itself only what the database says about the
//! transaction is certain, all else is unknown.

use sea_orm::{DbErr, RuntimeErr};

/// SQLite's primary result codes (sqlite.org/rescode.html); an extended code ends in one of them.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const IO_ERROR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CONSTRAINT: i32 = 19;
}

/// Why a statement, or a whole transaction, did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing can be written until there is room again.
    #[error("the disk is full")]
    DiskFull,
    /// The disk gave an I/O error or the file is damaged; the process must open it anew.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// The database refused this statement, and would again.
    #[error("the store refused a statement: {0}")]
    Statement(String),
    /// No connection, or no answer in time.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
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

impl Fault {
    pub(super) fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Damaged(what.to_string())
    }
}

impl From<DbErr> for Fault {
    fn from(error: DbErr) -> Self {
        let text = error.to_string();
        match result_code(&error) {
            Some(code::FULL) => Self::DiskFull,
            Some(code::IO_ERROR | code::CORRUPT) => Self::Disk(text),
            Some(code::BUSY | code::LOCKED) => Self::Unavailable(text),
            Some(_) => Self::Statement(text),
            None => match error {
                DbErr::Type(_) | DbErr::TryIntoErr { .. } => Self::Damaged(text),
                _ => Self::Unavailable(text),
            },
        }
    }
}

impl From<DbErr> for CommitFault {
    fn from(error: DbErr) -> Self {
        match result_code(&error) {
            Some(code::FULL | code::BUSY | code::CONSTRAINT) => Self::Failed(error.into()),
            _ => Self::Unknown(error.into()),
        }
    }
}

/// The primary result code, where the database itself answered.
fn result_code(error: &DbErr) -> Option<i32> {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) =
        error
    else {
        return None;
    };
    let database = cause.as_database_error()?;
    Some(database.code()?.parse::<i32>().ok()? & 0xff)
}
