//! The built binary as a process: started, asked, ended and started again, on one address over all
//! its lives.
//!
//! Shared by the proof and by the loads, each with a place of its own kind. Its law: nothing of the
//! shell's own settings reaches the binary; what it says is kept, over all lives, in the file `said`
//! beside its data folder.

use std::ffi::OsString;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::site::make_site;

/// Names the binary that is tried, where it is not that of this build.
const BINARY: &str = "WASMCHANNEL_BINARY";
/// From one look at a process that starts or ends to the next.
const LOOK: Duration = Duration::from_millis(5);

/// A server that is harmed again and again.
pub(crate) struct House<P> {
    pub(crate) address: SocketAddr,
    /// Whose folder it lives in.
    pub(crate) place: P,
    folder: PathBuf,
    binary: OsString,
    /// What its command line says behind the address and the folders.
    words: Vec<OsString>,
    /// What the binary is started under, such as `strace` with its words.
    under: Vec<OsString>,
    child: Option<Child>,
    started: Instant,
}

impl<P> House<P> {
    /// A house that nobody has started yet, in this folder of that place.
    pub(crate) fn build_in(
        (folder, place): (&Path, P),
        binary: impl Into<OsString>,
        words: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        make_site(folder).expect("a folder of a site");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("it is bound");
        drop(free);
        Self {
            address,
            place,
            folder: folder.to_owned(),
            binary: std::env::var_os(BINARY).unwrap_or_else(|| binary.into()),
            words: words.into_iter().map(Into::into).collect(),
            under: Vec::new(),
            child: None,
            started: Instant::now(),
        }
    }

    /// What the next lives are started under; nothing ends it.
    pub(crate) fn put_under(&mut self, under: Vec<OsString>) {
        self.under = under;
    }

    pub(crate) fn start(&mut self) {
        let mut words = self.under.iter().cloned().chain([self.binary.clone()]);
        let mut command = Command::new(words.next().expect("the binary at least"));
        command.args(words).env_clear().arg("--addr").arg(self.address.to_string());
        command.arg("--data").arg(self.folder.join("data"));
        command.arg("--site").arg(self.folder.join("site"));
        command.args(&self.words);
        let said = File::options().create(true).append(true).open(self.said_in());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.expect("a file"));
        self.started = Instant::now();
        self.child = Some(command.spawn().expect("the binary starts"));
    }

    /// SIGKILL, and the end of the process.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).expect("it was a child of ours");
        }
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Whether somebody has ended it.
    pub(crate) fn has_ended(&mut self) -> bool {
        let ended = |child: &mut Child| child.try_wait().expect("it was a child of ours");
        self.child.as_mut().is_none_or(|child| ended(child).is_some())
    }

    /// Sends a signal by its name; the process may still run then.
    pub(crate) fn signal(&self, name: &str) {
        let words = [format!("-{name}"), self.process().to_string()];
        let told = Command::new("kill").args(words).status();
        assert!(told.expect("kill").success(), "kill -{name}");
    }

    /// Waits for its end, which somebody else has brought about; nothing where it does not come.
    pub(crate) async fn ended_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        while !self.has_ended() {
            if Instant::now() > deadline {
                self.kill();
                return None;
            }
            sleep(LOOK).await;
        }
        self.child.take().map(|mut child| child.wait().expect("it was a child of ours"))
    }

    /// How long the start took until the store answered.
    pub(crate) async fn ready(&mut self, patience: Duration) -> Duration {
        while !self.answer("/readyz").await.starts_with("HTTP/1.1 200") {
            assert!(self.started.elapsed() < patience, "I22: not ready: {}", self.last_words());
            sleep(LOOK).await;
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

    /// What the system says of its process in the file of this name.
    pub(crate) fn told_by_system(&self, file: &str) -> String {
        let file = format!("/proc/{}/{file}", self.process());
        std::fs::read_to_string(file).expect("the process is there")
    }

    /// KiB of memory that it holds now.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = self.told_by_system("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// All that it has said, over all its lives.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.said_in()).unwrap_or_default()
    }

    /// The end of that.
    pub(crate) fn last_words(&self) -> String {
        self.said().lines().rev().take(12).collect::<Vec<_>>().join("\n")
    }

    fn said_in(&self) -> PathBuf {
        self.folder.join("said")
    }
}

impl<P> Drop for House<P> {
    fn drop(&mut self) {
        self.kill();
    }
}
