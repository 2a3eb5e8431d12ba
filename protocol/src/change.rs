//! What lasts: the bodies of logged events, one type a kind, and the envelope around them.
//!
//! A stored body is exactly its bytes on the wire, uncompressed. A released kind never changes its
//! shape: a changed event is a new kind, and golden bytes of every kind are decoded for ever. A
//! room's event holds only what every member may see, so one encoding serves all of them.

use bincode::{Decode, Encode};

use crate::bounded::Blob;
use crate::ids::{EventId, LogId, OpId, RoomId, UserId};
use crate::limits::CHANGE_BYTES_MAX;
use crate::model::{DisplayName, MessageText, Rank, RoomKey, RoomName, Topic};

/// Flag of an envelope: its body was overwritten, is empty, and is not decoded.
pub const FLAG_ERASED: u8 = 1;

/// One event of a log with its number around its body.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Envelope {
    /// The log it stands in.
    pub log: LogId,
    /// Its number there: 1, 2, 3 … without gaps.
    pub seq: u64,
    /// Made by the server at the commit.
    pub id: EventId,
    /// When it was stored, in Unix milliseconds; for showing only.
    pub at: i64,
    /// Whose act it is.
    pub author: UserId,
    /// The op that caused it; nil where none did.
    pub op_id: OpId,
    /// `FLAG_ERASED` or 0.
    pub flags: u8,
    /// The number of the body's kind in the one table of kinds.
    pub kind: u16,
    /// The body, undecoded: who does not know its kind moves his cursor over it.
    pub body: Blob<CHANGE_BYTES_MAX>,
}

/// A room began. The first event of every room.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Created {
    /// Its address for ever.
    pub key: RoomKey,
    /// How it is called.
    pub name: RoomName,
    /// Everybody is a member by rule.
    pub everyone: bool,
}

/// The author became a member.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Joined {
    /// How he was called then.
    pub name: DisplayName,
}

/// The author is no longer a member.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Left {
    /// How he was called then.
    pub name: DisplayName,
}

/// The author wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Posted {
    /// How he was called then.
    pub name: DisplayName,
    /// What he wrote.
    pub text: MessageText,
}

/// The room has another name or topic from here on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Configured {
    /// How it is called.
    pub name: RoomName,
    /// What it is about; empty for nothing.
    pub topic: Topic,
}

/// A user's log: he became a member of a room.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RoomAdded {
    /// The room.
    pub room: RoomId,
    /// Its address.
    pub key: RoomKey,
    /// How it was called then.
    pub name: RoomName,
}

/// A user's log: he is no longer a member of a room.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RoomRemoved {
    /// The room.
    pub room: RoomId,
}

/// A user's log: he is called otherwise from here on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Renamed {
    /// How he is called.
    pub name: DisplayName,
}

/// A user's log: he may do other things on this server from here on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Ranked {
    /// What he may do.
    pub rank: Rank,
}
