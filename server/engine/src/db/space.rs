//! How much room is left on the disk that the store writes to.
//!
//! Asked by `history/disk.rs` while the disk is full. Its law: it only looks; what follows from it is
//! decided there.

use std::path::Path;

/// Room on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What may still be written by whoever this process runs as.
    pub free: u64,
    /// What the file system holds in all.
    pub total: u64,
}

impl Space {
    /// The room where this file stands; nothing where the system does not say.
    pub(super) fn at(file: &Path) -> Option<Self> {
        let told = rustix::fs::statvfs(file)
            .inspect_err(|error| tracing::warn!(%error, "the room on the disk is not known"))
            .ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
        Some(Self { free: bytes(told.f_bavail), total: bytes(told.f_blocks) })
    }
}
