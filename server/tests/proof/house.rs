//! The built binary over a store of the test's own, on one address over all its lives.
//!
//! Started, stopped and killed by the stories; the binary is that of this build, or the one that
//! WASMCHANNEL_BINARY names. Between two lives the store is read past the server's code.

use std::ffi::OsString;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::journal::{Event, Stored};
use crate::site::make_site;
use crate::stores::{self, Place};

/// Names the binary that is tried, where it is not that of this build.
const BINARY: &str = "WASMCHANNEL_BINARY";
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

/// A server that is harmed again and again.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) place: Place,
    /// What the binary is started under, such as `strace` with its words.
    under: Vec<OsString>,
    /// Further words of its command line.
    flags: &'static [&'static str],
    child: Option<Child>,
    started: Instant,
}

impl House {
    /// Starts the first life in a store of the kind that this run is about, and waits until it is
    /// ready.
    pub(crate) async fn open() -> Self {
        Self::open_in(Place::new().await).await
    }

    /// The same in this place.
    pub(crate) async fn open_in(place: Place) -> Self {
        let mut house = Self::build(place);
        house.start();
        house.ready(FIRST_START_MAX).await;
        house
    }

    /// The same in a store of the kind that this run is about, with these words.
    pub(crate) async fn open_with(flags: &'static [&'static str]) -> Self {
        let mut house = Self::build(Place::new().await);
        house.flags = flags;
        house.start();
        house.ready(FIRST_START_MAX).await;
        house
    }

    /// A house that nobody has started yet.
    pub(crate) fn build(place: Place) -> Self {
        make_site(place.folder.path()).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let (under, started) = (Vec::new(), Instant::now());
        Self { address, place, under, flags: &[], child: None, started }
    }

    /// What the next lives are started under; nothing ends it.
    pub(crate) fn put_under(&mut self, under: Vec<OsString>) {
        self.under = under;
    }

    pub(crate) fn start(&mut self) {
        let binary = std::env::var_os(BINARY)
            .unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_wasmchannel")));
        let mut words = self.under.iter().cloned().chain([binary]);
        let mut command = Command::new(words.next().expect("the binary at least"));
        command.args(words).env_clear().arg("--addr").arg(self.address.to_string());
        command.arg("--data").arg(&self.place.data);
        command.arg("--site").arg(self.place.folder.path().join("site"));
        if let Some(url) = &self.place.url {
            command.arg("--database").arg(url);
        }
        for rate in RATES {
            command.arg(rate).arg("100000/s burst 100000");
        }
        command.args(self.flags);
        let said = File::options().create(true).append(true).open(self.said()).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        self.started = Instant::now();
        self.child = Some(command.spawn().unwrap());
    }

    /// SIGKILL, and the end of the process.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Whether somebody has ended it.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// Sends a signal by its name; the process may still run then.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
        assert!(status.success(), "kill -{name}");
    }

    /// Waits for its end, which somebody else has brought about.
    pub(crate) async fn ended(&mut self, patience: Duration) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("I22: it does not end: {}", self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How long the start took until the store answered.
    pub(crate) async fn ready(&mut self, patience: Duration) -> Duration {
        while !self.answer("/readyz").await.starts_with("HTTP/1.1 200") {
            assert!(self.started.elapsed() < patience, "I22: not ready: {}", self.last_words());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.started.elapsed()
    }

    /// What it answers to this path, from the status line on; nothing while it is away.
    pub(crate) async fn answer(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.address).await else { return String::new() };
        let asked =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        let mut answer = Vec::new();
        if stream.write_all(asked.as_bytes()).await.is_ok() {
            // What came before the end is what it said.
            let _ = stream.read_to_end(&mut answer).await;
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Bytes of memory that it holds now.
    pub(crate) fn memory(&self) -> u64 {
        let id = self.process();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
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

    fn said(&self) -> PathBuf {
        self.place.folder.path().join("said")
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let said = std::fs::read_to_string(self.said()).unwrap_or_default();
        said.lines().rev().take(12).collect::<Vec<_>>().join("\n")
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

impl Drop for House {
    fn drop(&mut self) {
        self.kill();
    }
}
