//! The one connection that writes to the file, and a transaction on it.
//!
//! Used by `db/sqlite.rs`, and inside every `Transaction` that writes. Its law: one transaction has
//! the connection at a time; it begins with its first statement, in the same trip to the connection's
//! thread; what is not committed is rolled back before anything else runs there. That it begins is
//! SQLite's word and not a count of sqlx's: inside another transaction BEGIN fails and spoils the
//! connection, where a savepoint would go on without the lock. No pool keeps it: a pool asks after
//! every use whether it lives, and who writes next waits for the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use sea_orm::{DbErr, QueryResult, RuntimeErr, Statement, Value, Values};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe, Connection, Error};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::db::transaction::Spoilt;

/// Keeps the connection between transactions.
#[derive(Debug)]
pub(in crate::db) struct Writer {
    pub(in crate::db) options: Box<SqliteConnectOptions>,
    pub(in crate::db) kept: Arc<Mutex<Option<SqliteConnection>>>,
    pub(super) spoilt: Spoilt,
    /// Whether the folder is given free: another process may have it.
    is_closed: AtomicBool,
}

/// A transaction that has the connection.
pub(in crate::db) struct Held {
    kept: OwnedMutexGuard<Option<SqliteConnection>>,
    /// Whether it may have begun, and did not end.
    is_open: bool,
}

impl Writer {
    /// Connects when somebody writes.
    pub(super) fn new(options: SqliteConnectOptions) -> Self {
        Self {
            options: Box::new(options),
            kept: Arc::default(),
            spoilt: Spoilt::default(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Waits for the connection; one that is spoilt is closed, and the transaction has a new one.
    pub(super) async fn begin(&self) -> Result<Held, DbErr> {
        let mut kept = Arc::clone(&self.kept).lock_owned().await;
        if self.is_closed.load(Ordering::Acquire) {
            return Err(told(Error::PoolClosed));
        }
        if self.spoilt.take() {
            close(kept.take()).await;
        }
        if kept.is_none() {
            *kept = Some(super::connect(&self.options).await.map_err(told)?);
        }
        Ok(Held { kept, is_open: false })
    }

    pub(super) async fn close(&self) {
        let mut kept = self.kept.lock().await;
        self.is_closed.store(true, Ordering::Release);
        close(kept.take()).await;
    }
}

impl Held {
    /// Runs the statements of a text, and gives their rows.
    pub(in crate::db) async fn run(
        &mut self,
        statement: Statement,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let arguments = arguments(statement.values)?;
        let Some(connection) = self.kept.as_mut() else { return Err(told(Error::PoolClosed)) };
        let text = if self.is_open {
            statement.sql
        } else {
            format!("begin immediate; {}", statement.sql)
        };
        self.is_open = true;
        let query = sqlx::query_with(AssertSqlSafe(text), arguments);
        let rows = query.fetch_all(connection).await.map_err(told)?;
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }

    /// Makes durable what was run.
    pub(in crate::db) async fn commit(mut self) -> Result<(), DbErr> {
        if let Some(connection) = self.kept.as_mut().filter(|_| self.is_open) {
            sqlx::query("commit").execute(connection).await.map_err(told)?;
            self.is_open = false;
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(connection) = self.kept.as_mut().filter(|_| self.is_open) else { return };
        // Nobody waits for it, but the connection's thread does it before what comes next. Where it
        // fails, there is no transaction any more, or the next one cannot begin.
        let _ = sqlx::query("rollback").execute(connection).now_or_never();
    }
}

async fn close(connection: Option<SqliteConnection>) {
    let Some(connection) = connection else { return };
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the writer's connection could not be closed");
    }
}

/// What is bound, without another copy of it.
fn arguments(values: Option<Values>) -> Result<SqliteArguments, DbErr> {
    let values = values.map_or_else(Vec::new, |values| values.0);
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        let added = match value {
            Value::Bool(value) => arguments.add(value),
            Value::SmallInt(value) => arguments.add(value),
            Value::BigInt(value) => arguments.add(value),
            Value::String(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Uuid(value) => arguments.add(value),
            other => Err(format!("no column holds {other:?}").into()),
        };
        added.map_err(|error| DbErr::Type(error.to_string()))?;
    }
    Ok(arguments)
}

fn told(error: Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}
