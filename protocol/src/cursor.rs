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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Cursor {
    /// The life of the numbering: 63 bits of chance, never 0.
    #[cfg_attr(feature = "serde", serde(with = "hex_digits"))]
    pub epoch: u64,
    /// The number of the last known event; 0 before the first.
    pub seq: u64,
    /// The low eight bytes of that event's id; 0 before the first.
    #[cfg_attr(feature = "serde", serde(with = "hex_digits"))]
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

/// JSON numbers lose what lies above 2^53, so 64 bits travel there as sixteen hexadecimal digits.
#[cfg(feature = "serde")]
mod hex_digits {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() != 16 {
            return Err(D::Error::custom("sixteen hexadecimal digits are expected"));
        }
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}
