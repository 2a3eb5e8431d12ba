//! What fails of ours: typed, and logged once, where it is handled.
//!
//! An expected failure is a `Refusal` and travels to who asked; what stands here ends a start or a
//! request and is for the operator. Its law: the words name what to do, and hold no secret.

use std::io;
use std::path::PathBuf;

/// Why the server does not start, or a command does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder is not as it must be.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another server works on the same data.
    #[error(
        "{path} is in use by another server; end it, or choose another folder with --data",
        path = .0.display()
    )]
    Locked(PathBuf),
    /// Another server works on the same database.
    #[error("the database is in use by another server; end it, or name another with --database")]
    Shared,
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}; choose another address with --addr")]
    Listen {
        /// Which.
        addr: std::net::SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
    /// There is no setup link to show.
    #[error(
        "there is no setup link in {path}: the server was not started yet, or has its owner",
        path = .0.display()
    )]
    NoSetupLink(PathBuf),
    /// The store does not open, or does not answer.
    #[error("the store does not answer: {0}")]
    Store(String),
    /// The pages were not built, or not put into the binary.
    #[error("{0}; build them with `tools/build`, or name their folder with --site")]
    NoPages(String),
}

impl Error {
    /// Puts the name of the file before what the system says about it.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
