//! The server of a load: the built binary over a folder of its own, what it counts, and its figures.
//!
//! `process` starts and kills it; asked by the scenarios. Its law: what is raised above a default is raised by
//! a setting, and printed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use protocol::ids::{OpId, RoomId};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::process;
use crate::socket::{Place, source};

/// How long a stop may take.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(30);

/// A folder that ends with its owner.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let name = format!("wasmchannel-load-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies among what is temporary.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The server of a load.
pub(crate) type House = process::House<Home>;

/// Where it lives.
#[derive(Debug)]
pub(crate) struct Home {
    folder: PathBuf,
    /// Where the last life's words begin in what was said.
    said_before: usize,
}

/// What the system says of the server's process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) resident_kib: u64,
    pub(crate) files: usize,
}

impl House {
    /// Starts the first life in this folder, with these settings raised; waits until it is ready.
    pub(crate) async fn open(folder: &Path, raised: &[(&str, String)]) -> Self {
        for (name, value) in raised {
            println!("    raised for this run: --{name} {value}");
        }
        let flag = |(name, value): &(&str, String)| [format!("--{name}"), value.clone()];
        let beside = std::env::current_exe().expect("a path").with_file_name("wasmchannel");
        let words = raised.iter().flat_map(flag);
        let home = Home { folder: folder.to_owned(), said_before: 0 };
        let mut house = Self::build_in((folder, home), beside, words);
        house.begin();
        house.ready(Duration::from_secs(20)).await;
        house
    }

    /// Starts the next life.
    pub(crate) fn begin(&mut self) {
        self.place.said_before = self.said().len();
        self.start();
    }

    /// SIGTERM, and the end of the process; nothing where it had to be killed.
    pub(crate) async fn terminate(&mut self) -> Option<ExitStatus> {
        self.signal("TERM");
        self.ended_within(STOP_WITHIN).await
    }

    /// What the server counts: `/status`.
    pub(crate) async fn status(&self) -> serde_json::Value {
        let place = Place { server: self.address, source: source(0), cookie: String::new() };
        let answer = place.ask("GET", "/status").await.expect("the server answers");
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// How many connections the server closed with this code.
    pub(crate) async fn closed(&self, code: u16) -> u64 {
        self.status().await["closed"][code.to_string()].as_u64().unwrap_or(0)
    }

    pub(crate) fn figures(&self) -> Figures {
        let files = format!("/proc/{}/fd", self.process());
        let files = std::fs::read_dir(files).expect("its files").count();
        Figures { resident_kib: self.resident_kib(), files }
    }

    /// Kibibytes of memory that are the process's own.
    pub(crate) fn own_kib(&self) -> u64 {
        let rollup = self.told_by_system("smaps_rollup");
        let line = rollup.lines().find(|line| line.starts_with("Pss:")).expect("a figure");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// How many files the process may open.
    pub(crate) fn files_max(&self) -> usize {
        let limits = self.told_by_system("limits");
        let line = limits.lines().find(|line| line.starts_with("Max open files"));
        let soft = line.and_then(|line| line.split_whitespace().nth(3));
        soft.and_then(|soft| soft.parse().ok()).expect("a number")
    }

    /// Lines of warning and error that were logged since the last start.
    pub(crate) fn alarms(&self) -> Vec<String> {
        // What the machine grants too little of is no fault of the server.
        let is_alarm = |line: &&str| {
            (line.contains(r#""WARN""#) && !line.contains("fewer open files"))
                || line.contains(r#""ERROR""#)
        };
        self.said_now().lines().filter(is_alarm).map(str::to_owned).collect()
    }

    /// What was logged since the last start.
    pub(crate) fn said_now(&self) -> String {
        self.said().get(self.place.said_before..).unwrap_or_default().to_owned()
    }

    /// The last number of the room with this key, as the file holds it.
    pub(crate) async fn head(&self, key: &str) -> u64 {
        let query = "select head from logs where id = (select id from rooms where key = ?)";
        let head: i64 = sqlx::query_scalar(query)
            .bind(key)
            .fetch_one(&mut self.file().await)
            .await
            .expect("the file is read");
        u64::try_from(head).expect("a number")
    }

    /// The last number of every room.
    pub(crate) async fn heads(&self) -> BTreeMap<String, u64> {
        let query = "select logs.id, head from logs join rooms on rooms.id = logs.id";
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(query)
            .fetch_all(&mut self.file().await)
            .await
            .expect("the file is read");
        let number = |head| u64::try_from(head).expect("a number");
        rows.into_iter().map(|(id, head)| (named(&id), number(head))).collect()
    }

    /// Which op stands at which number of which log.
    pub(crate) async fn stored(&self) -> BTreeMap<(String, u64), String> {
        let query = "select log_id, seq, op_id from events";
        let rows: Vec<(Vec<u8>, i64, Vec<u8>)> = sqlx::query_as(query)
            .fetch_all(&mut self.file().await)
            .await
            .expect("the file is read");
        let number = |seq| u64::try_from(seq).expect("a number");
        let placed = |(log, seq, op): (Vec<u8>, i64, Vec<u8>)| {
            ((named(&log), number(seq)), OpId::from_bytes(bytes(&op)).to_string())
        };
        rows.into_iter().map(placed).collect()
    }

    async fn file(&self) -> SqliteConnection {
        let file = self.place.folder.join("data/wasmchannel.db");
        let options = SqliteConnectOptions::new().filename(file);
        SqliteConnection::connect_with(&options).await.expect("the file is there")
    }
}

/// A room's id as it is written.
fn named(id: &[u8]) -> String {
    RoomId::from_bytes(bytes(id)).to_string()
}

fn bytes(id: &[u8]) -> [u8; 16] {
    id.try_into().expect("an id has sixteen bytes")
}
