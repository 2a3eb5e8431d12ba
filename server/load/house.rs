//! The built server over a folder of its own, on one address over all its lives, and its figures.
//!
//! Started, killed and asked by the scenarios. Its law: what is raised above a default is raised by
//! a setting, and printed.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use protocol::ids::{OpId, RoomId};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::site::make_site;
use crate::socket::{Place, source};

/// Names another binary than the one beside this one.
const BINARY: &str = "WASMCHANNEL_BINARY";
/// From one look at a starting server to the next.
const LOOK: Duration = Duration::from_millis(5);

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

/// The server.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    folder: PathBuf,
    flags: Vec<String>,
    child: Option<Child>,
    started: Instant,
    /// Where the last life's words begin in what it said.
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
        make_site(folder).expect("a folder of a site");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("it is bound");
        drop(free);
        for (name, value) in raised {
            println!("    raised for this run: --{name} {value}");
        }
        let flag = |(name, value): &(&str, String)| [format!("--{name}"), value.clone()];
        let mut house = Self {
            address,
            folder: folder.to_owned(),
            flags: raised.iter().flat_map(flag).collect(),
            child: None,
            started: Instant::now(),
            said_before: 0,
        };
        house.start();
        house.ready(Duration::from_secs(20)).await;
        house
    }

    pub(crate) fn start(&mut self) {
        self.said_before = self.said().len();
        let beside = std::env::current_exe().expect("a path").with_file_name("wasmchannel");
        let mut command = Command::new(std::env::var_os(BINARY).map_or(beside, PathBuf::from));
        command.env_clear().arg("--addr").arg(self.address.to_string());
        command.arg("--data").arg(self.folder.join("data"));
        command.arg("--site").arg(self.folder.join("site"));
        command.args(&self.flags);
        let file = File::options().create(true).append(true).open(self.said_in());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file.expect("a file"));
        self.started = Instant::now();
        self.child = Some(command.spawn().expect("the server starts"));
    }

    /// SIGKILL, and the end of the process.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).expect("it was a child of ours");
        }
    }

    /// SIGTERM, and the end of the process, which it has 30 s for.
    pub(crate) async fn terminate(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let told = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
        assert!(told.expect("kill").success(), "the server is not there to be told");
        for _ in 0..3_000 {
            if let Some(status) = child.try_wait().expect("it was a child of ours") {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        child.kill().and_then(|()| child.wait()).expect("it was a child of ours");
        None
    }

    /// How long the start took until the store answered.
    pub(crate) async fn ready(&mut self, patience: Duration) -> Duration {
        let place = Place { server: self.address, source: source(0), cookie: String::new() };
        loop {
            if place.ask("GET", "/readyz").await.is_some_and(|answer| answer.status == 200) {
                return self.started.elapsed();
            }
            assert!(self.started.elapsed() < patience, "not ready: {}", self.last_words());
            tokio::time::sleep(LOOK).await;
        }
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
        let status = std::fs::read_to_string(self.process().join("status")).expect("a process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a figure");
        let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok());
        let files = std::fs::read_dir(self.process().join("fd")).expect("its files").count();
        Figures { resident_kib: kib.expect("a number"), files }
    }

    /// Kibibytes of memory that are the process's own.
    pub(crate) fn own_kib(&self) -> u64 {
        let rollup = std::fs::read_to_string(self.process().join("smaps_rollup"));
        let rollup = rollup.expect("a process");
        let line = rollup.lines().find(|line| line.starts_with("Pss:")).expect("a figure");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// How many files the process may open.
    pub(crate) fn files_max(&self) -> usize {
        let limits = std::fs::read_to_string(self.process().join("limits")).expect("a process");
        let line = limits.lines().find(|line| line.starts_with("Max open files"));
        let soft = line.and_then(|line| line.split_whitespace().nth(3));
        soft.and_then(|soft| soft.parse().ok()).expect("a number")
    }

    /// Lines of warning and error that were logged since the last start.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let is_alarm = |line: &&str| line.contains(r#""WARN""#) || line.contains(r#""ERROR""#);
        self.said_now().lines().filter(is_alarm).map(str::to_owned).collect()
    }

    /// What was logged since the last start.
    pub(crate) fn said_now(&self) -> String {
        self.said().get(self.said_before..).unwrap_or_default().to_owned()
    }

    pub(crate) fn last_words(&self) -> String {
        self.said().lines().rev().take(5).collect::<Vec<_>>().join("\n")
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
        let file = self.folder.join("data/wasmchannel.db");
        let options = SqliteConnectOptions::new().filename(file);
        SqliteConnection::connect_with(&options).await.expect("the file is there")
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.said_in()).unwrap_or_default()
    }

    fn said_in(&self) -> PathBuf {
        self.folder.join("said")
    }

    fn process(&self) -> PathBuf {
        let child = self.child.as_ref().expect("the server runs");
        PathBuf::from(format!("/proc/{}", child.id()))
    }
}

/// A room's id as it is written.
fn named(id: &[u8]) -> String {
    RoomId::from_bytes(bytes(id)).to_string()
}

fn bytes(id: &[u8]) -> [u8; 16] {
    id.try_into().expect("an id has sixteen bytes")
}

impl Drop for House {
    fn drop(&mut self) {
        self.kill();
    }
}
