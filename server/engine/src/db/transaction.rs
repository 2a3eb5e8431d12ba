//! One transaction, and the proof without which it cannot be committed.
//!
//! Every query of `db` runs through one of these. Its law: after any error there is only rollback.
//! PostgreSQL answers *done* to the commit of an aborted transaction, and SQLite would store half a
//! batch; so `commit` belongs to `Unbroken`, which a transaction gives only if no statement failed.
//! Nothing waits for ever: an answer that does not come in time is a fault.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, QueryResult,
    Statement, Values,
};

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::DISK_FAILED;
use super::fault::{CommitFault, Fault};
use super::spoilt::Spoilt;
use super::statement::Question;

/// Longest wait for the answer to a statement.
const STATEMENT_FOR_MAX: Duration = Duration::from_secs(3);
/// Longest wait for the answer to a commit; then its outcome is unknown.
pub(super) const COMMIT_FOR_MAX: Duration = Duration::from_secs(5);

/// Whether the database is this process's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tenure {
    Held,
    /// Nobody knows: nothing is written meanwhile.
    Lost,
    /// Another process has it.
    Over,
}

/// A fault, unless the database is this process's own.
pub(super) fn held(tenure: &watch::Receiver<Tenure>) -> Result<(), Fault> {
    if *tenure.borrow() == Tenure::Held {
        return Ok(());
    }
    Err(Fault::Unavailable("the database's lock is lost".to_owned()))
}

/// A transaction that is open; dropping it rolls it back.
pub struct Transaction {
    inner: DatabaseTransaction,
    broken: Option<Fault>,
    spoilt: Spoilt,
    /// What must still hold when it is committed, where that can be lost.
    tenure: Option<watch::Receiver<Tenure>>,
    /// What is to be run before the next query, or at the end.
    waiting: Option<Statement>,
    /// What was run, so that a test can ask for its plan.
    #[cfg(test)]
    pub(super) ran: Vec<Statement>,
}

/// A transaction of which no statement failed.
pub struct Unbroken {
    inner: DatabaseTransaction,
    spoilt: Spoilt,
    tenure: Option<watch::Receiver<Tenure>>,
}

impl Transaction {
    /// Takes the transaction that `begin` gives.
    pub(super) async fn begin(
        begin: impl Future<Output = Result<DatabaseTransaction, DbErr>>,
        backend: DbBackend,
        spoilt: Spoilt,
    ) -> Result<Self, Fault> {
        let begun = match timeout(STATEMENT_FOR_MAX, begin).await {
            // The pool had no connection to give: nothing is known against the one that another has.
            Ok(Err(error @ DbErr::ConnectionAcquire(_))) => return Err(error.into()),
            Ok(begun) => begun.map_err(Fault::from),
            Err(_) => Err(Fault::Late("a beginning")),
        };
        let inner = begun.inspect_err(|fault| spoilt.by(fault, backend))?;
        Ok(Self {
            inner,
            broken: None,
            spoilt,
            tenure: None,
            waiting: None,
            #[cfg(test)]
            ran: Vec::new(),
        })
    }

    /// The same, committed only while the database is this process's own.
    pub(super) fn under(self, tenure: watch::Receiver<Tenure>) -> Self {
        Self { tenure: Some(tenure), ..self }
    }

    /// The proof that it may be committed, or why it may not; what still waits is run before.
    pub async fn unbroken(mut self) -> Result<Unbroken, Fault> {
        if let Some(waiting) = self.waiting.take().filter(|_| self.broken.is_none()) {
            self.run(waiting).await?;
        }
        match self.broken {
            None => {
                let Self { inner, spoilt, tenure, .. } = self;
                Ok(Unbroken { inner, spoilt, tenure })
            }
            Some(fault) => Err(fault),
        }
    }

    pub(super) fn backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    /// Runs a statement that gives no rows. Over SQLite it waits for the next query, or for the end,
    /// and goes with it: each trip to the connection's thread costs as much as a dozen rows. So does
    /// its fault.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<(), Fault> {
        #[cfg(test)]
        self.ran.push(statement.clone());
        if self.backend() == DbBackend::Sqlite {
            self.waiting = Some(joined(self.waiting.take(), statement));
            return Ok(());
        }
        self.run(statement).await
    }

    /// Runs a statement and gives its rows.
    pub(super) async fn rows(&mut self, statement: Statement) -> Result<Vec<QueryResult>, Fault> {
        #[cfg(test)]
        self.ran.push(statement.clone());
        self.query(statement).await
    }

    /// Asks one question.
    pub async fn ask<T>(&mut self, question: Question<T>) -> Result<Vec<T>, Fault> {
        let Some(statement) = question.statement else { return Ok(Vec::new()) };
        self.rows(statement).await?.iter().map(question.read).collect()
    }

    /// Asks four; over SQLite in one trip to the connection's thread, as in `execute`.
    pub async fn ask_all<A, B, C, D>(
        &mut self,
        (a, b, c, d): (Question<A>, Question<B>, Question<C>, Question<D>),
    ) -> Result<(Vec<A>, Vec<B>, Vec<C>, Vec<D>), Fault> {
        if self.backend() != DbBackend::Sqlite {
            let (a, b) = (self.ask(a).await?, self.ask(b).await?);
            return Ok((a, b, self.ask(c).await?, self.ask(d).await?));
        }
        let statements = [a.statement, b.statement, c.statement, d.statement];
        let [of_a, of_b, of_c, of_d] = self.rows_of(statements).await?;
        Ok((read(&of_a, a.read)?, read(&of_b, b.read)?, read(&of_c, c.read)?, read(&of_d, d.read)?))
    }

    /// Runs several statements as one; each row tells whose it is.
    async fn rows_of<const N: usize>(
        &mut self,
        statements: [Option<Statement>; N],
    ) -> Result<[Vec<QueryResult>; N], Fault> {
        let mut answers = [const { Vec::new() }; N];
        let mut all = None;
        for (number, mut statement) in (0..).zip(statements).filter_map(numbered) {
            statement.sql = format!("select {number} as question, * from ({})", statement.sql);
            #[cfg(test)]
            self.ran.push(statement.clone());
            all = Some(joined(all, statement));
        }
        let Some(all) = all else { return Ok(answers) };
        for row in self.query(all).await? {
            let number: i64 = row.try_get("", "question")?;
            let answer = usize::try_from(number).ok().and_then(|number| answers.get_mut(number));
            answer.ok_or_else(|| Fault::damaged("an answer to no question"))?.push(row);
        }
        Ok(answers)
    }

    async fn query(&mut self, statement: Statement) -> Result<Vec<QueryResult>, Fault> {
        let statement = joined(self.waiting.take(), statement);
        let run = self.inner.query_all_raw(statement);
        let result = in_time(STATEMENT_FOR_MAX, "a query", run).await;
        self.checked(result)
    }

    async fn run(&mut self, statement: Statement) -> Result<(), Fault> {
        let run = self.inner.execute_raw(statement);
        let result = in_time(STATEMENT_FOR_MAX, "a statement", run).await;
        self.checked(result).map(drop)
    }

    /// Runs a statement and gives its rows as models.
    pub(super) async fn models<M: FromQueryResult>(
        &mut self,
        statement: Statement,
    ) -> Result<Vec<M>, Fault> {
        let rows = self.rows(statement).await?;
        rows.iter().map(|row| M::from_query_result(row, "").map_err(Fault::from)).collect()
    }

    /// Takes the proof away: a statement failed, or did not do what was judged.
    pub(super) fn broken_by(&mut self, fault: Fault) -> Fault {
        self.spoilt.by(&fault, self.backend());
        self.broken = Some(fault.clone());
        fault
    }

    fn checked<T>(&mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.map_err(|fault| self.broken_by(fault))
    }
}

impl Unbroken {
    /// Makes it durable. Over SQLite whoever gives up waiting gives up nothing else: the commit runs to
    /// its end with its connection, and what it ends in is heard.
    pub async fn commit(self) -> Result<(), CommitFault> {
        self.tenure.as_ref().map_or(Ok(()), held).map_err(CommitFault::Failed)?;
        let Self { inner, spoilt, .. } = self;
        // Another's flush may have failed since it was begun: the next may say that all is well.
        if spoilt.is_disk_failed() {
            return Err(CommitFault::Failed(Fault::Disk(DISK_FAILED.to_owned())));
        }
        if inner.get_database_backend() == DbBackend::Sqlite {
            let ending = tokio::spawn(ended(inner, spoilt.clone()));
            return match timeout(COMMIT_FOR_MAX, ending).await {
                Ok(Ok(done)) => done,
                Ok(Err(_)) => {
                    let fault = Fault::Unavailable("a bug ended a commit".to_owned());
                    spoilt.by(&fault, DbBackend::Sqlite);
                    Err(CommitFault::Unknown(fault))
                }
                Err(_) => Err(CommitFault::Unknown(Fault::Late("a commit"))),
            };
        }
        let done = match timeout(COMMIT_FOR_MAX, inner.commit()).await {
            Ok(result) => result.map_err(CommitFault::from),
            Err(_) => Err(CommitFault::Unknown(Fault::Late("a commit"))),
        };
        done.inspect_err(|fault| spoilt.by(fault.cause(), DbBackend::Postgres))
    }
}

/// Commits, however long that takes.
async fn ended(inner: DatabaseTransaction, spoilt: Spoilt) -> Result<(), CommitFault> {
    let begun = Instant::now();
    let committing = spoilt.committing();
    let done = inner.commit().await.map_err(CommitFault::from);
    drop(committing);
    let fault = done.as_ref().err();
    if let Some(fault) = fault {
        spoilt.by(fault.cause(), DbBackend::Sqlite);
    }
    if begun.elapsed() >= COMMIT_FOR_MAX {
        let fault = fault.map(tracing::field::display);
        tracing::error!(fault, took = ?begun.elapsed(), "a commit ended that was given up");
    }
    done
}

fn numbered((number, statement): (u8, Option<Statement>)) -> Option<(u8, Statement)> {
    Some((number, statement?))
}

fn read<T>(
    rows: &[QueryResult],
    read: fn(&QueryResult) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    rows.iter().map(read).collect()
}

/// Both statements as one text; SQLite takes the values in the order of their places.
fn joined(before: Option<Statement>, statement: Statement) -> Statement {
    let Some(mut all) = before else { return statement };
    all.sql.push_str("; ");
    all.sql.push_str(&statement.sql);
    let values = statement.values.into_iter().flatten();
    all.values.get_or_insert_with(|| Values(Vec::new())).0.extend(values);
    all
}

async fn in_time<T>(
    patience: Duration,
    what: &'static str,
    answer: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, Fault> {
    match timeout(patience, answer).await {
        Ok(result) => result.map_err(Fault::from),
        Err(_) => Err(Fault::Late(what)),
    }
}
