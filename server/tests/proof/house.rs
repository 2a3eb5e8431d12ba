//! The house of a story: the built binary over a store of the test's own, and what is in that store.
//!
//! `process` starts, stops and kills it; the binary is that of this build, or the one that
//! WASMCHANNEL_BINARY names. Between two lives the store is read past the server's code.

use std::process::ExitStatus;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

use crate::journal::{Event, Stored};
use crate::process;
use crate::stores::{self, Place};

/// Rates that a person would never meet.
const RATES: [&str; 5] = [
    "--limits-sends-per-user",
    "--limits-sends-per-room",
    "--limits-frames-per-socket",
    "--limits-guests-per-address",
    "--limits-requests-per-address",
];
/// A first start makes the tables.
const FIRST_START_MAX: Duration = Duration::from_secs(60);
/// Ids as 32 digits, which each kind of store keeps in its own way.
const DIGITS: [&str; 2] = ["lower(hex(COLUMN))", "replace(COLUMN::text, '-', '')"];

/// The house of a story.
pub(crate) type House = process::House<Place>;

impl House {
    /// Starts the first life in a store of the kind that this run is about, and waits until it is
    /// ready.
    pub(crate) async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// The same with these words on its command line.
    pub(crate) async fn open_with(words: &[&str]) -> Self {
        Self::build_with(Place::new().await, words).opened().await
    }

    /// The same in this place.
    pub(crate) async fn open_in(place: Place) -> Self {
        Self::build(place).opened().await
    }

    /// A house that nobody has started yet.
    pub(crate) fn build(place: Place) -> Self {
        Self::build_with(place, &[])
    }

    fn build_with(place: Place, words: &[&str]) -> Self {
        let url = place.url.iter().flat_map(|url| ["--database".to_owned(), url.clone()]);
        let rates = RATES.iter().flat_map(|rate| [rate, "100000/s burst 100000"]);
        let words = rates.chain(words.iter().copied()).map(str::to_owned).chain(url);
        let words: Vec<String> = words.collect();
        let folder = place.folder.path().to_owned();
        Self::build_in((&folder, place), env!("CARGO_BIN_EXE_wasmchannel"), words)
    }

    async fn opened(mut self) -> Self {
        self.start();
        self.ready(FIRST_START_MAX).await;
        self
    }

    /// How it ended, which somebody else has brought about.
    pub(crate) async fn ended(&mut self, patience: Duration) -> ExitStatus {
        let status = self.ended_within(patience).await;
        status.unwrap_or_else(|| panic!("I22: it does not end: {}", self.last_words()))
    }

    /// Bytes of memory that it holds now.
    pub(crate) fn memory(&self) -> u64 {
        self.resident_kib() * 1024
    }

    /// The lobby's log, as the store holds it.
    pub(crate) async fn stored(&self) -> Stored {
        let Some(url) = &self.place.url else {
            let mut past = stores::connect(&stores::database_file(&self.place.data)).await;
            let rows = sqlx::query(AssertSqlSafe(lobby(DIGITS[0]))).fetch_all(&mut past).await;
            return Stored::new(rows.unwrap().iter().map(event).collect());
        };
        let mut past = PgConnection::connect(url).await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(lobby(DIGITS[1]))).fetch_all(&mut past).await;
        Stored::new(rows.unwrap().iter().map(event).collect())
    }

    /// What the store says of itself: `ok`, or what is damaged. PostgreSQL has no such question;
    /// that each op is known where its event stands is asked of both.
    pub(crate) async fn integrity(&self) -> String {
        let astray = "select count(*) from ops o where o.seq is not null and not exists \
            (select 1 from events e where e.log_id = o.log_id and e.seq = o.seq \
             and e.op_id = o.op_id and e.author = o.author)";
        let Some(url) = &self.place.url else {
            let mut past = stores::connect(&stores::database_file(&self.place.data)).await;
            let count: i64 = sqlx::query_scalar(astray).fetch_one(&mut past).await.unwrap();
            assert_eq!(count, 0, "I2: ops without their events");
            return sqlx::query_scalar("pragma integrity_check")
                .fetch_one(&mut past)
                .await
                .unwrap();
        };
        let mut past = PgConnection::connect(url).await.unwrap();
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(astray)).fetch_one(&mut past).await.unwrap();
        assert_eq!(count, 0, "I2: ops without their events");
        "ok".to_owned()
    }
}

/// The question for the log of the lobby.
fn lobby(digits: &str) -> String {
    let of = |column| digits.replace("COLUMN", column);
    let (id, author, op_id) = (of("id"), of("author"), of("op_id"));
    format!(
        "select seq, {id} as id, {author} as author, {op_id} as op_id from events \
         where log_id = (select id from rooms where key = 'lobby') order by seq"
    )
}

/// An event of a row, whichever store it is of.
fn event<R>(row: &R) -> Event
where
    R: Row,
    for<'a> &'a str: sqlx::ColumnIndex<R>,
    for<'a> i64: sqlx::Decode<'a, R::Database> + sqlx::Type<R::Database>,
    for<'a> String: sqlx::Decode<'a, R::Database> + sqlx::Type<R::Database>,
{
    let bytes = |column: &str| {
        let digits = u128::from_str_radix(&row.get::<String, _>(column), 16).unwrap();
        digits.to_be_bytes()
    };
    Event {
        seq: u64::try_from(row.get::<i64, _>("seq")).unwrap(),
        id: bytes("id"),
        author: bytes("author"),
        op_id: bytes("op_id"),
    }
}
