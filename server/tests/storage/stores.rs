//! Where a test's store is: a folder of its own, or a schema of its own in PostgreSQL.
//!
//! `tools/postgres COMMAND` starts a server and names it in a variable; where that is set, every
//! store that is not asked to be a file is in PostgreSQL. Shared by the stories of the store and of
//! the engine. Its law: what is written or read here goes past the house.

use std::env::VarError;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use server::config::DatabaseUrl;
use server::db::{Db, OpenFault};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

/// The variable that names the server's database to make schemas in.
const SERVER: &str = "WASMCHANNEL_TEST_POSTGRES";

/// A store that is opened, killed and opened again.
pub(crate) struct Place {
    /// A folder that ends with it.
    pub(crate) folder: TempDir,
    /// The data folder in it.
    pub(crate) data: PathBuf,
    /// The address of the database, where it is not a file in the folder.
    pub(crate) url: Option<String>,
}

impl Place {
    /// A fresh store of the kind that this run is about.
    pub(crate) async fn new() -> Self {
        let url = match std::env::var(SERVER) {
            Ok(server) => Some(schema(&server).await),
            Err(VarError::NotPresent) => None,
            // A run that is to be over PostgreSQL must not be green over a file.
            Err(VarError::NotUnicode(_)) => panic!("{SERVER} is no address"),
        };
        Self { url, ..Self::file() }
    }

    /// A fresh store in a file, whatever this run is about.
    pub(crate) fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self { folder, data, url: None }
    }

    /// Runs one statement: this text, or the other where PostgreSQL says it otherwise.
    pub(crate) async fn write(&self, sqlite: &str, postgres: &str) {
        match &self.url {
            None => {
                let mut past = connect(&database_file(&self.data)).await;
                sqlx::raw_sql(AssertSqlSafe(sqlite)).execute(&mut past).await.unwrap();
            }
            Some(url) => {
                let mut past = PgConnection::connect(url).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(postgres)).execute(&mut past).await.unwrap();
            }
        }
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let text = format!("select count(*) from {table}");
        match &self.url {
            None => {
                let mut past = connect(&database_file(&self.data)).await;
                sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut past).await.unwrap()
            }
            Some(url) => {
                let mut past = PgConnection::connect(url).await.unwrap();
                sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut past).await.unwrap()
            }
        }
    }
}

/// Opens the store in this database, or in this folder.
pub(crate) async fn open(folder: &Path, url: Option<&str>) -> Result<Db, OpenFault> {
    match url {
        Some(url) => Db::connect(&url.parse::<DatabaseUrl>().unwrap(), folder).await,
        None => Db::open(folder).await,
    }
}

pub(crate) fn database_file(folder: &Path) -> PathBuf {
    folder.join("wasmchannel.db")
}

/// A connection to the file that sees what is committed.
pub(crate) async fn connect(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Makes a schema that nobody else has, and gives the address at which it is the current one.
async fn schema(server: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{}_{number}", std::process::id());
    let mut connection = PgConnection::connect(server).await.unwrap();
    let make = AssertSqlSafe(format!("create schema {name}"));
    sqlx::query(make).execute(&mut connection).await.unwrap();
    format!("{server}&application_name={name}&options=-c%20search_path%3D{name}")
}
