//! A position in a log: everything up to here is known.
//!
//! The epoch tells one life of the numbering from another, the tag catches a history that was
//! restored underneath (same numbers, other events). First paint, resume, slow readers and scripts
//! that poll all ask one question: what came after this cursor?

use bincode::{Decode, Encode};

/// The highest number an event may have: what a JavaScript number still holds exactly.
pub const SEQ_MAX: u64 = (1 << 53) - 1;

/// Everything up to and with event `seq` of a log is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode)]
pub struct Cursor {
    /// The life of the numbering: 63 bits of chance, never 0.
    pub epoch: u64,
    /// The number of the last known event; 0 before the first.
    pub seq: u64,
    /// The low eight bytes of that event's id; 0 before the first.
    pub tag: u64,
}

impl Cursor {
    /// The position before the first event of a log.
    #[must_use]
    pub const fn start(epoch: u64) -> Self {
        Self { epoch, seq: 0, tag: 0 }
    }

    /// The number of the event that comes next.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.seq.saturating_add(1)
    }
}
