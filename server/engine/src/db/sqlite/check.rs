//! Whether the file is sound, asked once behind an end that was not in order.
//!
//! Begun by `sqlite` at the start, told by `http/health`. Its law: it reads on a connection of its
//! own and table by table, so that it holds no view of the file for longer than a table takes; it ends
//! when it is told to; what it finds is said and shown, and stops nobody.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{DbErr, RuntimeErr};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Error};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::connection::BUSY_FOR_MAX;
use crate::db::Fault;
use crate::db::spoilt::Damage;

/// What holds the list of tables, with which the file's free pages are looked at.
const SCHEMA: &str = "sqlite_schema";
/// Steps of SQLite from one look at whether to end to the next; each may be a page that is read from a
/// cold disk.
const STEPS: i32 = 16;
/// Longest wait for its end.
const END_FOR_MAX: Duration = Duration::from_secs(1);

/// A check that is under way, or was.
#[derive(Debug, Default)]
pub(super) struct Check {
    is_to_end: Arc<AtomicBool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Check {
    /// Begins, in the background.
    pub(super) fn begin(file: &Path, damage: Damage) -> Self {
        let is_to_end = Arc::<AtomicBool>::default();
        let task = tokio::spawn(run(file.to_owned(), damage, Arc::clone(&is_to_end)));
        Self { is_to_end, task: Mutex::new(Some(task)) }
    }

    /// Ends it, unless the disk does not let it go.
    pub(super) async fn end(&self) {
        self.is_to_end.store(true, Ordering::Relaxed);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // Whether it was done, ended now, or reads on: nobody needs it any more.
            let _ = timeout(END_FOR_MAX, task).await;
        }
    }
}

async fn run(file: PathBuf, damage: Damage, is_to_end: Arc<AtomicBool>) {
    let begun = Instant::now();
    let wrong = match wrong(&file, &is_to_end).await {
        _ if is_to_end.load(Ordering::Relaxed) => return,
        Ok(None) => {
            tracing::info!(took = ?begun.elapsed(), "the last end was not in order; the file is sound");
            return;
        }
        Ok(Some(wrong)) => wrong,
        Err(error) => match Fault::from(DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))) {
            Fault::Disk(wrong) | Fault::Corrupt(wrong) => wrong,
            fault => {
                tracing::warn!(%fault, "the last end was not in order; the file could not be checked");
                return;
            }
        },
    };
    damage.found(&wrong);
}

/// What SQLite says is wrong with the file; nothing where it is sound.
async fn wrong(file: &Path, is_to_end: &Arc<AtomicBool>) -> Result<Option<String>, Error> {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(BUSY_FOR_MAX);
    // A large table takes its time: that is no slow statement to be warned of.
    let options = options.read_only(true).disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let heard = Arc::clone(is_to_end);
    let goes_on = move || !heard.load(Ordering::Relaxed);
    connection.lock_handle().await?.set_progress_handler(STEPS, goes_on);
    let mut tables = vec![SCHEMA.to_owned()];
    let query = sqlx::query_scalar("select name from sqlite_schema where type = 'table'");
    tables.extend(query.fetch_all(&mut connection).await?);
    for table in tables {
        let query = sqlx::query_scalar("select quick_check from pragma_quick_check(?)");
        // Behind the first words about what is wrong may come an error, in place of more.
        let told: String = query.bind(&table).fetch_one(&mut connection).await?;
        if told != "ok" {
            return Ok(Some(format!("{table}: {told}")));
        }
    }
    connection.close().await?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;

    use futures_util::FutureExt;
    use sea_orm::{ConnectionTrait, DbBackend, Statement};

    use super::*;
    use crate::db::sqlite::Sqlite;

    const NAMES: [&str; 2] = ["wasmchannel.db", "wasmchannel.db-wal"];

    async fn run(sqlite: &Sqlite, text: &str) {
        let statement = Statement::from_string(DbBackend::Sqlite, text);
        sqlite.writer.execute_raw(statement).await.unwrap();
    }

    /// Some hundred pages of one table.
    async fn fill(sqlite: &Sqlite) {
        run(sqlite, "create table filler (words)").await;
        let numbers =
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 900)";
        run(sqlite, &format!("{numbers} insert into filler select randomblob(1000) from n")).await;
    }

    /// What a killed process leaves whose log was folded a moment before, and what one leaves that
    /// ended in order; of the first table's pages one is damaged in both.
    async fn left_damaged() -> [tempfile::TempDir; 2] {
        let [killed, closed] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let sqlite = Sqlite::open(closed.path()).await.unwrap();
        fill(&sqlite).await;
        run(&sqlite, "pragma wal_checkpoint(truncate)").await;
        run(&sqlite, "create table another (words)").await;
        for name in NAMES {
            fs::copy(closed.path().join(name), killed.path().join(name)).unwrap();
        }
        assert!(sqlite.close().await.is_none());
        for folder in [&killed, &closed] {
            let file = folder.path().join(NAMES[0]);
            let middle = fs::metadata(&file).unwrap().len() / 2 / 4_096 * 4_096;
            let file = fs::OpenOptions::new().write(true).open(file).unwrap();
            file.write_all_at(&[0; 4_096], middle).unwrap();
        }
        [killed, closed]
    }

    async fn done(check: &Check) {
        let task = check.task.lock().unwrap().take();
        task.expect("it was begun").await.unwrap();
    }

    #[tokio::test]
    async fn a_damaged_page_is_found_behind_an_end_that_was_not_in_order_and_only_there() {
        let [killed, closed] = left_damaged().await;
        let sqlite = Sqlite::open(killed.path()).await.unwrap();
        done(&sqlite.check).await;
        assert!(sqlite.is_damaged());
        let wrong = wrong(&sqlite.file, &Arc::default()).await.unwrap();
        assert!(wrong.as_ref().is_some_and(|wrong| wrong.contains("filler: ")), "{wrong:?}");
        sqlite.close().await;

        let sqlite = Sqlite::open(closed.path()).await.unwrap();
        assert!(sqlite.check.task.lock().unwrap().is_none() && !sqlite.is_damaged(), "not asked");
    }

    #[tokio::test]
    async fn who_comes_upon_a_damaged_page_says_so_and_the_process_goes_on() {
        let page = || Statement::from_string(DbBackend::Sqlite, "select max(words) from filler");
        for is_writer in [false, true] {
            let [_, closed] = left_damaged().await;
            let sqlite = Sqlite::open(closed.path()).await.unwrap();
            assert!(!sqlite.is_damaged(), "nobody has looked");
            let begun = if is_writer { sqlite.write().await } else { sqlite.read().await };
            let found = begun.unwrap().rows(page()).await;
            assert!(matches!(found, Err(Fault::Corrupt(_))), "{found:?}");
            assert!(sqlite.is_damaged());
            assert!(sqlite.lost().now_or_never().is_none(), "opened anew it is the same");
            let sound = sqlite.write().await.unwrap().unbroken().await.unwrap();
            sound.commit().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_sound_file_is_found_sound_and_a_check_ends_when_it_is_told_to() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path()).await.unwrap();
        assert!(sqlite.check.task.lock().unwrap().is_none(), "there was nothing");
        let check = Check::begin(&sqlite.file, sqlite.spoilt.damage().clone());
        done(&check).await;
        assert!(!sqlite.is_damaged());

        fill(&sqlite).await;
        let is_to_end = Arc::<AtomicBool>::default();
        assert_eq!(wrong(&sqlite.file, &is_to_end).await.unwrap(), None);
        is_to_end.store(true, Ordering::Relaxed);
        let ended = wrong(&sqlite.file, &is_to_end).await;
        assert!(ended.is_err_and(|error| error.to_string().contains("interrupted")));
    }
}
