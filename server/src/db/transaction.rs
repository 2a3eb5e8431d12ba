//! One transaction, and the proof without which it cannot be committed.
//!
//! Every query of `db` runs through one of these. Its law: after any error there is only rollback.
//! PostgreSQL answers *done* to the commit of an aborted transaction, and SQLite would store half a
//! batch; so `commit` belongs to `Unbroken`, which a transaction gives only if no statement failed.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, QueryResult, Statement,
};

use super::fault::{CommitFault, Fault};

/// Longest wait for the answer to a commit; then its outcome is unknown.
const COMMIT_FOR_MAX: Duration = Duration::from_secs(5);

/// A transaction that is open; dropping it rolls it back.
pub struct Transaction {
    inner: DatabaseTransaction,
    broken: Option<Fault>,
    /// What was run, so that a test can ask for its plan.
    #[cfg(test)]
    pub(super) ran: Vec<Statement>,
}

/// A transaction of which no statement failed.
pub struct Unbroken(DatabaseTransaction);

impl Transaction {
    pub(super) fn new(inner: DatabaseTransaction) -> Self {
        Self {
            inner,
            broken: None,
            #[cfg(test)]
            ran: Vec::new(),
        }
    }

    /// The proof that it may be committed, or why it may not.
    pub fn unbroken(self) -> Result<Unbroken, Fault> {
        match self.broken {
            None => Ok(Unbroken(self.inner)),
            Some(fault) => Err(fault),
        }
    }

    pub(super) fn backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    /// Runs a statement and gives the number of rows it changed.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, Fault> {
        #[cfg(test)]
        self.ran.push(statement.clone());
        let result = self.inner.execute_raw(statement).await;
        self.checked(result).map(|done| done.rows_affected())
    }

    /// Runs a statement and gives its rows.
    pub(super) async fn rows(&mut self, statement: Statement) -> Result<Vec<QueryResult>, Fault> {
        #[cfg(test)]
        self.ran.push(statement.clone());
        let result = self.inner.query_all_raw(statement).await;
        self.checked(result)
    }

    /// Runs a statement and gives its rows as models.
    pub(super) async fn models<M: FromQueryResult>(
        &mut self,
        statement: Statement,
    ) -> Result<Vec<M>, Fault> {
        let rows = self.rows(statement).await?;
        rows.iter().map(|row| M::from_query_result(row, "").map_err(Fault::from)).collect()
    }

    /// Runs a statement that counts, and gives its number; the column is called `count`.
    pub(super) async fn count(&mut self, statement: Statement) -> Result<u64, Fault> {
        let rows = self.rows(statement).await?;
        let count = rows.first().map_or(Ok(0_i64), |row| row.try_get("", "count"))?;
        super::statement::unsigned(count)
    }

    /// Takes the proof away: a statement failed, or did not do what was judged.
    pub(super) fn broken_by(&mut self, fault: Fault) -> Fault {
        self.broken = Some(fault.clone());
        fault
    }

    fn checked<T>(&mut self, result: Result<T, DbErr>) -> Result<T, Fault> {
        result.map_err(|error| self.broken_by(error.into()))
    }
}

impl Unbroken {
    /// Makes it durable. After an error the writer's connection must be renewed.
    pub async fn commit(self) -> Result<(), CommitFault> {
        match tokio::time::timeout(COMMIT_FOR_MAX, self.0.commit()).await {
            Ok(result) => result.map_err(CommitFault::from),
            Err(_) => {
                let text = "no answer to the commit in five seconds".to_owned();
                Err(CommitFault::Unknown(Fault::Unavailable(text)))
            }
        }
    }
}
