//! How many files the process may have open: each connection is one.
//!
//! Settled by `main` before the house is opened. Its law: what the system grants (the hard limit) is
//! taken as a whole, for a shell's usual 1,024 are fewer than the sockets that are let in; where it is
//! too little, that is said at the start and not found out by whom it turns away.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Limits;

/// Files beside the connections: the store's, and what is opened for a moment.
const OWN_FILES: u64 = 200;

/// Raises the limit and says what it is now, and whether it is enough for these settings.
pub fn settle(limits: &Limits) {
    let (needed, limit) = (needed(limits), getrlimit(Resource::Nofile));
    // Where the system sets no bound it still refuses to be asked for none.
    let granted = limit.maximum.unwrap_or(needed);
    let raised = Rlimit { current: Some(granted), maximum: limit.maximum };
    let open_files = match limit.current.filter(|current| *current < granted) {
        None => limit.current,
        Some(_) => match setrlimit(Resource::Nofile, raised) {
            Ok(()) => Some(granted),
            Err(error) => {
                tracing::warn!(%error, "the limit of open files cannot be raised");
                limit.current
            }
        },
    };
    tracing::info!(open_files, needed, "open files");
    if open_files.is_some_and(|open_files| open_files < needed) {
        tracing::warn!(
            open_files,
            needed,
            "fewer open files than connections are let in: raise the limit (ulimit -Hn, LimitNOFILE=), \
             or lower --limits-sockets and --limits-connections"
        );
    }
}

/// What the settings allow, and what the server needs for itself.
fn needed(limits: &Limits) -> u64 {
    u64::from(limits.sockets) + u64::from(limits.connections) + OWN_FILES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_that_is_let_in_is_counted() {
        let limits = Limits { sockets: 10_000, connections: 4_096, ..Limits::default() };
        assert_eq!(needed(&limits), 14_296);
    }
}
