//! How many files the process may have open: each connection is one.
//!
//! Settled by `main` before the house is opened. Its law: what the system grants (the hard limit) is
//! taken as a whole, for a shell's usual 1,024 are fewer than the sockets that are let in; where it is
//! too little, fewer are let in, and that is said at the start. Who comes through the door must never
//! take the files that the store needs: a database that cannot be opened counts as none.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Limits;

/// Files beside the connections: the store's, and what is opened for a moment.
const OWN_FILES: u64 = 200;

/// Raises the limit, says what it is now, and lowers these settings where it is not enough for them.
pub fn settle(limits: &mut Limits) {
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
    let Some(open_files) = open_files.filter(|open_files| *open_files < needed) else { return };
    lower(limits, open_files);
    tracing::warn!(
        open_files,
        needed,
        sockets = limits.sockets,
        connections = limits.connections,
        "fewer open files than connections are let in, so these limits are lowered: raise that of \
         files (ulimit -Hn, LimitNOFILE=), or set --limits-sockets and --limits-connections"
    );
}

/// What the settings allow, and what the server needs for itself.
fn needed(limits: &Limits) -> u64 {
    u64::from(limits.sockets) + u64::from(limits.connections) + OWN_FILES
}

/// Shares what is beside the own files as the settings do; one of each is always let in.
fn lower(limits: &mut Limits, open_files: u64) {
    let free = open_files.saturating_sub(OWN_FILES);
    let (sockets, connections) = (u64::from(limits.sockets), u64::from(limits.connections));
    let sockets = (free.saturating_mul(sockets) / (sockets + connections)).max(1);
    let connections = free.saturating_sub(sockets).max(1);
    limits.sockets = u32::try_from(sockets).map_or(limits.sockets, |it| it.min(limits.sockets));
    limits.connections =
        u32::try_from(connections).map_or(limits.connections, |it| it.min(limits.connections));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_that_is_let_in_is_counted() {
        let limits = Limits { sockets: 10_000, connections: 4_096, ..Limits::default() };
        assert_eq!(needed(&limits), 14_296);
    }

    #[test]
    fn who_is_let_in_leaves_the_own_files_alone() {
        for open_files in [210, 256, 1_024, 4_096, 14_295] {
            let mut limits = Limits { sockets: 10_000, connections: 4_096, ..Limits::default() };
            lower(&mut limits, open_files);
            assert!(needed(&limits) <= open_files, "{limits:?}");
            assert!(needed(&limits) >= open_files - 1, "none is lost: {limits:?}");
            assert!(limits.sockets > 2 * limits.connections, "shared as it was: {limits:?}");
        }
        let mut limits = Limits::default();
        lower(&mut limits, 64);
        assert_eq!(
            (limits.sockets, limits.connections),
            (1, 1),
            "a limit of none would be no house"
        );
    }
}
