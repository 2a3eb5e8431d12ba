//! The lock that says that one process has the database, and what follows where it is lost.
//!
//! Held by `postgres.rs`. Its law: nothing is written while the lock is not held; it is taken again
//! only where nobody else had it meanwhile, which a number tells that every process raises when it
//! begins. Else the process is over, for what it remembers of its rooms may be old.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Error, PgPool};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::{ACQUIRE_FOR_MAX, assert_settings};
use crate::db::transaction::Tenure;

/// The seed of the advisory lock: "wasmchan" in bytes.
const LOCK: i64 = 0x7761_736d_6368_616e;
/// How long the lock of a process that has just ended may still be held.
const HANDOVER: Duration = Duration::from_secs(3);
/// Between two tries for a lock that somebody holds.
const TRY_EVERY: Duration = Duration::from_millis(50);
/// How often the lock's connection is asked whether it lives. Its end is heard at once; this is for
/// a network that fell silent, and with the wait for the answer it comes well before the server
/// itself gives a silent connection up, and its lock to somebody else (`postgres.rs`).
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Longest wait for that answer.
const ANSWER_FOR_MAX: Duration = Duration::from_secs(3);
/// Between two tries to take a lost lock again.
const TAKE_AGAIN_EVERY: Duration = Duration::from_millis(250);

/// The connection that has the lock, before anything was written.
pub(super) struct Taken {
    options: Arc<PgConnectOptions>,
    pool: PgPool,
    /// A listener hears the end of its connection, though it listens to nothing. Asked anything
    /// after that, it connects anew by itself, and what answers then has no lock.
    connection: PgListener,
    /// The server's process behind the connection that took the lock.
    process: Option<i32>,
}

/// The lock, kept by a task.
pub(super) struct Guard {
    tenure: watch::Receiver<Tenure>,
    stop: watch::Sender<bool>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

/// What became of a try to take a lost lock again.
enum Again {
    Taken(Taken),
    /// Still held: by the connection that was lost, as far as one knows.
    Held,
    /// Somebody had it meanwhile.
    Over,
}

impl Taken {
    /// Takes the lock, if whoever holds it ends in time; nothing where he does not.
    pub(super) async fn take(options: &Arc<PgConnectOptions>) -> Result<Option<Self>, Error> {
        let mut taken = Self::connect(options).await?;
        let deadline = Instant::now() + HANDOVER;
        loop {
            if taken.lock().await? {
                return Ok(Some(taken));
            }
            if Instant::now() >= deadline {
                taken.close().await;
                return Ok(None);
            }
            sleep(TRY_EVERY).await;
        }
    }

    /// Tells everybody who had the lock before that he has it no more, and keeps it.
    pub(super) async fn begin(mut self) -> Result<Guard, Error> {
        let text = "update tenures set number = number + 1 returning number";
        let number: i64 = sqlx::query_scalar(text).fetch_one(&mut self.connection).await?;
        let (sign, tenure) = watch::channel(Tenure::Held);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(keep(self, number, sign, stopped));
        Ok(Guard { tenure, stop, task: tokio::sync::Mutex::new(Some(task)) })
    }

    async fn connect(options: &Arc<PgConnectOptions>) -> Result<Self, Error> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_FOR_MAX)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(|connection, _| Box::pin(assert_settings(connection)))
            .connect_lazy_with(PgConnectOptions::clone(options));
        let mut connection = PgListener::connect_with(&pool).await?;
        // A look that is cut short while it connects anew would have told nobody of the end.
        connection.eager_reconnect(false);
        Ok(Self { options: Arc::clone(options), pool, connection, process: None })
    }

    /// Each schema of a database is a store of its own.
    async fn lock(&mut self) -> Result<bool, Error> {
        let text = "select pg_try_advisory_lock(hashtextextended(current_schema(), $1)), \
            pg_backend_pid()";
        let query = sqlx::query_as(text).bind(LOCK);
        let (is_ours, process) = query.fetch_one(&mut self.connection).await?;
        self.process = Some(process);
        Ok(is_ours)
    }

    /// Whether the connection that took the lock answers, and no other in its place.
    async fn still_has_it(&mut self) -> bool {
        let held_by = self.process;
        let answering = timeout(ANSWER_FOR_MAX, self.answering()).await;
        matches!(answering, Ok(Ok(process)) if Some(process) == held_by)
    }

    /// Which process of the server answers now.
    async fn answering(&mut self) -> Result<i32, Error> {
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut self.connection).await
    }

    /// Ends when the connection has ended, or does not answer.
    async fn lost(&mut self) {
        loop {
            match timeout(ASK_EVERY, self.connection.try_recv()).await {
                // The lock ended with the connection.
                Ok(Ok(None) | Err(_)) => return,
                Ok(Ok(Some(_))) => {}
                Err(_) if self.still_has_it().await => {}
                Err(_) => return,
            }
        }
    }

    async fn again(options: &Arc<PgConnectOptions>, number: i64) -> Result<Again, Error> {
        let mut taken = Self::connect(options).await?;
        let is_ours = taken.lock().await?;
        let query = sqlx::query_scalar("select number from tenures");
        let now: i64 = query.fetch_one(&mut taken.connection).await?;
        if is_ours && now == number {
            return Ok(Again::Taken(taken));
        }
        taken.close().await;
        Ok(if now == number { Again::Held } else { Again::Over })
    }

    /// The server ends the lock with the connection, politely or not.
    async fn close(self) {
        drop(self.connection);
        self.pool.close().await;
    }
}

impl Guard {
    /// What a transaction that writes asks.
    pub(super) fn tenure(&self) -> watch::Receiver<Tenure> {
        self.tenure.clone()
    }

    pub(super) fn is_held(&self) -> bool {
        *self.tenure.borrow() == Tenure::Held
    }

    /// Gives the lock free.
    pub(super) async fn close(&self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.lock().await.take() {
            // A panic in it ended its connection, too.
            let _ = task.await;
        }
    }
}

/// Holds the lock until it is stopped or somebody else has the database.
async fn keep(
    mut taken: Taken,
    number: i64,
    sign: watch::Sender<Tenure>,
    mut stopped: watch::Receiver<bool>,
) {
    let options = Arc::clone(&taken.options);
    loop {
        tokio::select! {
            biased;
            () = told(&mut stopped) => return taken.close().await,
            () = taken.lost() => {}
        }
        sign.send_replace(Tenure::Lost);
        tracing::error!("the database's lock is lost: nothing is written until it is ours again");
        // What does not answer is not waited for: it ends by itself.
        drop(taken);
        taken = tokio::select! {
            biased;
            () = told(&mut stopped) => return,
            again = take_again(&options, number) => match again {
                Some(again) => again,
                None => {
                    sign.send_replace(Tenure::Over);
                    return;
                }
            },
        };
        sign.send_replace(Tenure::Held);
        tracing::info!("the database's lock is ours again; nobody had it meanwhile");
    }
}

async fn told(stopped: &mut watch::Receiver<bool>) {
    // Whoever dropped the guard wants the lock no more.
    let _ = stopped.wait_for(|is_stopped| *is_stopped).await;
}

/// Tries for as long as the database is away; nothing where somebody else had it.
async fn take_again(options: &Arc<PgConnectOptions>, number: i64) -> Option<Taken> {
    loop {
        match timeout(ANSWER_FOR_MAX, Taken::again(options, number)).await {
            Ok(Ok(Again::Taken(taken))) => return Some(taken),
            Ok(Ok(Again::Over)) => return None,
            // Away, silent, or held.
            Ok(Ok(Again::Held) | Err(_)) | Err(_) => {}
        }
        sleep(TAKE_AGAIN_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection, PgConnection};

    use super::*;

    /// Asked anything after its end, the listener connects anew by itself, and is answered.
    #[tokio::test]
    #[ignore = "needs tools/postgres"]
    async fn who_answers_in_the_place_of_a_lost_connection_has_no_lock() {
        let url = std::env::var("WASMCHANNEL_TEST_POSTGRES").expect("tools/postgres names it");
        let mut past = PgConnection::connect(&url).await.unwrap();
        let schema = format!("guard_{}", std::process::id());
        sqlx::raw_sql(AssertSqlSafe(format!("create schema {schema}")))
            .execute(&mut past)
            .await
            .unwrap();
        let options: PgConnectOptions = url.parse().unwrap();
        let options = Arc::new(options.options([("search_path", schema)]));
        let mut taken = Taken::take(&options).await.unwrap().expect("nobody else has it");
        assert!(taken.still_has_it().await);
        let process = taken.process.expect("it was told");
        let end = AssertSqlSafe(format!("select pg_terminate_backend({process})"));
        sqlx::raw_sql(end).execute(&mut past).await.unwrap();
        let heard = timeout(Duration::from_secs(5), taken.connection.try_recv()).await;
        assert!(matches!(heard, Ok(Ok(None) | Err(_))), "its end is heard: {heard:?}");
        assert!(taken.answering().await.is_ok_and(|other| other != process), "another answers");
        assert!(!taken.still_has_it().await);
    }
}
