//! How a connection to the file is opened: its pragmas, and the proof that they hold.
//!
//! Used by `sqlite` alone. Its law: what durability rests on is set at every connection and read back
//! from it, for a pragma that SQLite does not like is silently ignored. `synchronous=FULL` with WAL
//! loses nothing at a power cut, NORMAL does; before 3.51.3 two connections could damage the file.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Error, SqlitePool};

/// What a reader keeps of the file, in KiB; SQLite counts them below zero.
const READER_CACHE_KIB: i32 = -256;
/// The oldest SQLite without the damage of a WAL that is reset while another connection writes.
const VERSION_MIN: (u32, u32, u32) = (3, 51, 3);
/// What is kept of the write-ahead log's file once it begins anew: about as much as `folding` lets it
/// grow before readers are waited for.
pub(super) const LOG_BYTES_MAX: u64 = 64 << 20;
/// Longest wait for a lock; the flock on the folder makes it rare.
pub(super) const BUSY_FOR_MAX: Duration = Duration::from_secs(2);
/// Longest wait for a connection; shorter than for an answer, since a connection that another has is
/// not one that is lost.
pub(super) const ACQUIRE_FOR_MAX: Duration = Duration::from_millis(2_500);

/// The pool of the one connection that writes. What a statement of many rows would take back stands
/// in memory: behind 64 KiB it would be written to a file elsewhere, with what people said in it.
pub(super) async fn writer(file: &Path) -> Result<SqlitePool, Error> {
    opened(options(file).pragma("temp_store", "memory"), 1).await
}

/// The pool of connections that only read. Each keeps few pages for itself: the operating system keeps
/// the others once for all of them.
pub(super) async fn readers(file: &Path, count: u32) -> Result<SqlitePool, Error> {
    let cache_size = READER_CACHE_KIB.to_string();
    let options = options(file).pragma("query_only", "on").pragma("cache_size", cache_size);
    opened(options, count).await
}

pub(super) async fn opened(options: SqliteConnectOptions, count: u32) -> Result<SqlitePool, Error> {
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

pub(super) fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_FOR_MAX)
        .pragma("secure_delete", "on")
        // An error there would be taken as *not yet*: the log is folded by `folding`.
        .pragma("wal_autocheckpoint", "0")
        .pragma("journal_size_limit", LOG_BYTES_MAX.to_string())
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
        ("wal_autocheckpoint", "pragma wal_autocheckpoint", 0),
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
