//! The store in PostgreSQL: its pools, and what must hold of the server.
//!
//! Used by `db` alone. Its law: one process has the database (`guard`); a server that may forget what it
//! committed is refused at every connection; a connection whose answer never came is not waited for
//! again, its whole pool is replaced.

mod guard;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use migrations::{Migrator, MigratorTrait};
use sea_orm::{DbBackend, SqlxPostgresConnector, TransactionTrait};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{Connection, Error, PgPool};

use self::guard::{Guard, Taken};
use super::spoilt::Spoilt;
use super::transaction::Tenure;
use super::{Fault, OpenFault, Transaction};
use crate::config::DatabaseUrl;

/// Transactions that write at once.
pub(super) const WRITES_AT_ONCE: usize = 8;
/// Connections that write: those, and one for what no batch does.
const WRITERS: u32 = 9;
/// Connections that read at once.
const READERS: u32 = 8;
/// Longest wait for a connection; shorter than for an answer, since a pool that has none to give is
/// not one whose connections are lost.
const ACQUIRE_FOR_MAX: Duration = Duration::from_secs(2);
/// How long a connection is believed to live without being asked.
const BELIEVED_FOR: Duration = Duration::from_secs(1);
/// Longest wait for the end of all connections; with the drain before it, the end of a house stays
/// below the thirty seconds that supervisors wait.
const CLOSE_FOR_MAX: Duration = Duration::from_secs(5);

/// What every connection asks of the server: a statement, a transaction or a network that nobody
/// answers for any more ends there, and with it the locks of its rooms. A statement and an idle
/// transaction have twice as long as the longest answer that the house waits for, a commit's. A
/// silent network has 25 seconds, three times as long as the house needs to notice it by the lock's
/// connection; sqlx lets nobody set the same on this side, where every wait has an end of its own.
const MANNERS: [(&str, &str); 6] = [
    ("statement_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "25s"),
];
/// Who writes does not wait for somebody's lock until his client has given up.
const WRITING: &str = "set lock_timeout = '2s'";
/// All that is read together is read of one moment.
const READING: &str =
    "set session characteristics as transaction isolation level repeatable read, read only";
/// A step of the schema takes as long as it takes.
const MIGRATING: &str = "set statement_timeout = 0";
/// Waits for every transaction that has written to a log: what a process before this one had under way
/// when it ended is stored before the logs are read, or never. The server ends what nobody commits
/// after ten seconds (`MANNERS`).
const SETTLING: &str =
    "begin; set local lock_timeout = '15s'; lock table logs in share mode; commit";

/// What loses commits at a power cut, by the setting that must not be so.
const HARMFUL: [(&str, &str); 3] =
    [("synchronous_commit", "off"), ("fsync", "off"), ("full_page_writes", "off")];

/// An open database.
pub(super) struct Postgres {
    writers: Pool,
    readers: Pool,
    pulse: Pulse,
    guard: Guard,
}

/// A connection on which it is asked whether the server answers, and nothing else: who reads and
/// writes may have all the others. Whoever gives his asking up takes it along.
struct Pulse {
    options: Arc<PgConnectOptions>,
    kept: tokio::sync::Mutex<Option<PgConnection>>,
}

/// Connections of one use, replaced together when one of them is lost.
struct Pool {
    options: Arc<PgConnectOptions>,
    count: u32,
    /// What every connection is told first.
    manner: &'static str,
    current: Mutex<PgPool>,
    spoilt: Spoilt,
}

/// Its options hold a password, which no log line shows.
impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Postgres(…)")
    }
}

impl Postgres {
    pub(super) async fn open(url: &DatabaseUrl) -> Result<Self, OpenFault> {
        let told = |error: Error| OpenFault::Database(error.to_string());
        let options: PgConnectOptions = url.secret().parse().map_err(told)?;
        let options = Arc::new(options.options(MANNERS));
        // By itself at first: a pool would say of any failure only that it timed out.
        connect(&options).await.map_err(told)?;
        let Some(taken) = Taken::take(&options).await.map_err(told)? else {
            return Err(OpenFault::Shared);
        };
        let steps = pool(&options, 1, MIGRATING);
        let schema = SqlxPostgresConnector::from_sqlx_postgres_pool(steps.clone());
        let migrated = Migrator::up(&schema, None).await;
        migrated.map_err(|error| OpenFault::Database(error.to_string()))?;
        if let Err(error) = sqlx::raw_sql(SETTLING).execute(&steps).await {
            // Somebody may hold the table for reasons of his own.
            tracing::warn!(%error, "what was under way before this start may still be stored");
        }
        steps.close().await;
        let writers = Pool::new(Arc::clone(&options), WRITERS, WRITING);
        let readers = Pool::new(Arc::clone(&options), READERS, READING);
        let pulse = Pulse { options, kept: tokio::sync::Mutex::new(None) };
        let guard = taken.begin().await.map_err(told)?;
        Ok(Self { writers, readers, pulse, guard })
    }

    pub(super) async fn read(&self) -> Result<Transaction, Fault> {
        self.readers.begin().await
    }

    pub(super) async fn write(&self) -> Result<Transaction, Fault> {
        let tenure = self.guard.tenure();
        super::transaction::held(&tenure)?;
        Ok(self.writers.begin().await?.under(tenure))
    }

    /// Whether a query comes back, and the database is still ours.
    pub(super) async fn answers(&self) -> bool {
        self.pulse.is_felt().await && self.guard.is_held()
    }

    /// Ends when another process has the database.
    pub(super) async fn lost(&self) {
        // A guard that is gone tells nothing any more.
        if self.guard.tenure().wait_for(|tenure| *tenure == Tenure::Over).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// A server that does not answer is not waited for: what was here ends with the process.
    pub(super) async fn close(&self) {
        let closing = async {
            let (readers, writers) = (self.readers.get(), self.writers.get());
            tokio::join!(readers.close(), writers.close(), self.pulse.close());
            self.guard.close().await;
        };
        if tokio::time::timeout(CLOSE_FOR_MAX, closing).await.is_err() {
            tracing::warn!("the database does not answer, and is left without a word");
        }
    }
}

impl Pulse {
    async fn is_felt(&self) -> bool {
        let mut kept = self.kept.lock().await;
        *kept = match kept.take() {
            Some(connection) => asked(connection).await,
            None => None,
        };
        // One that was kept may have ended, as at a restart of the server.
        if kept.is_none() {
            let connecting = PgConnection::connect_with(&self.options).await;
            *kept = match connecting {
                Ok(connection) => asked(connection).await,
                Err(_) => None,
            };
        }
        kept.is_some()
    }

    async fn close(&self) {
        if let Some(connection) = self.kept.lock().await.take() {
            // The server hears of it in any case.
            let _ = connection.close().await;
        }
    }
}

/// Gives the connection back where a query on it was answered.
async fn asked(mut connection: PgConnection) -> Option<PgConnection> {
    let query = sqlx::query("select head from logs limit 1");
    query.fetch_optional(&mut connection).await.is_ok().then_some(connection)
}

impl Pool {
    fn new(options: Arc<PgConnectOptions>, count: u32, manner: &'static str) -> Self {
        let current = Mutex::new(pool(&options, count, manner));
        Self { options, count, manner, current, spoilt: Spoilt::default() }
    }

    fn get(&self) -> PgPool {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if self.spoilt.take() {
            // What is under way on the old ones ends there; they close as they are let go.
            *current = pool(&self.options, self.count, self.manner);
        }
        current.clone()
    }

    async fn begin(&self) -> Result<Transaction, Fault> {
        let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(self.get());
        Transaction::begin(connection.begin(), DbBackend::Postgres, self.spoilt.clone()).await
    }
}

fn pool(options: &PgConnectOptions, count: u32, manner: &'static str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(count)
        .acquire_timeout(ACQUIRE_FOR_MAX)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > BELIEVED_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                assert_settings(connection).await?;
                sqlx::query(manner).execute(connection).await.map(drop)
            })
        })
        .connect_lazy_with(options.clone())
}

/// Whether the server can be reached, and keeps what it commits.
async fn connect(options: &PgConnectOptions) -> Result<(), Error> {
    let connecting = async {
        let mut connection = PgConnection::connect_with(options).await?;
        assert_settings(&mut connection).await?;
        connection.close().await
    };
    let late = |_| Error::Configuration("no answer in two seconds".into());
    tokio::time::timeout(ACQUIRE_FOR_MAX, connecting).await.map_err(late)?
}

async fn assert_settings(connection: &mut PgConnection) -> Result<(), Error> {
    for (setting, harmful) in HARMFUL {
        let query = sqlx::query_scalar("select current_setting($1)").bind(setting);
        let value: String = query.fetch_one(&mut *connection).await?;
        if value == harmful {
            let text = format!("{setting} is {harmful}: what it commits may be lost");
            return Err(Error::Configuration(text.into()));
        }
    }
    let encoding: String = sqlx::query_scalar("select current_setting('server_encoding')")
        .fetch_one(&mut *connection)
        .await?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(Error::Configuration(format!("its encoding is {encoding}, not UTF8").into()))
}
