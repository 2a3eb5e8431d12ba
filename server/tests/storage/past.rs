//! What stories of the store do past the house: hold locks, and copy all rows out of PostgreSQL.
//!
//! Its law: a copy is a file of SQLite with the same rows, so that one reader (`rows`) reads both.

use std::fmt::Write;
use std::path::PathBuf;

use server::db::{Db, OpenFault};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Column, Connection, Row, TypeInfo};

use crate::stores::{Place, connect, database_file, open};

const TABLES: [&str; 8] =
    ["logs", "events", "ops", "users", "sign_ins", "rooms", "members", "messages"];

impl Place {
    pub(crate) async fn open(&self) -> Result<Db, OpenFault> {
        open(&self.data, self.url.as_deref()).await
    }

    /// Runs one statement and keeps its connection, with what it holds, until that is dropped.
    pub(crate) async fn hold(&self, sqlite: &str, postgres: &str) -> Box<dyn Send> {
        match &self.url {
            None => {
                let mut past = connect(&database_file(&self.data)).await;
                sqlx::raw_sql(AssertSqlSafe(sqlite)).execute(&mut past).await.unwrap();
                Box::new(past)
            }
            Some(url) => {
                let mut past = PgConnection::connect(url).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(postgres)).execute(&mut past).await.unwrap();
                Box::new(past)
            }
        }
    }

    /// A file with all rows: the store's own, or a copy of what PostgreSQL holds.
    pub(crate) async fn rows(&self) -> PathBuf {
        let Some(url) = &self.url else { return database_file(&self.data) };
        let copy = self.folder.path().join("copy");
        let _ = std::fs::remove_dir_all(&copy);
        // Opened once, so that it has the tables.
        Db::open(&copy).await.unwrap().close().await;
        let mut from = PgConnection::connect(url).await.unwrap();
        let options = SqliteConnectOptions::new().filename(database_file(&copy));
        let mut to = SqliteConnection::connect_with(&options.foreign_keys(false)).await.unwrap();
        for table in TABLES {
            let query = AssertSqlSafe(format!("select * from {table}"));
            for row in sqlx::query(query).fetch_all(&mut from).await.unwrap() {
                copy_row(table, &row, &mut to).await;
            }
        }
        to.close().await.unwrap();
        database_file(&copy)
    }
}

async fn copy_row(table: &str, row: &PgRow, to: &mut SqliteConnection) {
    let mut text = format!("insert into {table} values (");
    for index in 0..row.columns().len() {
        text.push_str(if index == 0 { "?" } else { ", ?" });
    }
    write!(text, ")").unwrap();
    let mut insert = sqlx::query(AssertSqlSafe(text));
    for column in row.columns() {
        let index = column.ordinal();
        insert = match column.type_info().name() {
            "UUID" => {
                let id: Option<sea_orm::prelude::Uuid> = row.get(index);
                insert.bind(id.map(|id| id.as_bytes().to_vec()))
            }
            "INT2" => insert.bind(row.get::<Option<i16>, _>(index)),
            "INT8" => insert.bind(row.get::<Option<i64>, _>(index)),
            "BOOL" => insert.bind(row.get::<Option<bool>, _>(index)),
            "BYTEA" => insert.bind(row.get::<Option<Vec<u8>>, _>(index)),
            "TEXT" | "VARCHAR" => insert.bind(row.get::<Option<String>, _>(index)),
            other => panic!("{table}.{}: {other}", column.name()),
        };
    }
    insert.execute(to).await.unwrap();
}
