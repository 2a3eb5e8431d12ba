//! What a client asks: one type a kind of command. The acts of an op stand in `act`.
//!
//! A command is answered by one event of its own, by events of the subscription it names, or by
//! none where the protocol says so.

use bincode::{Decode, Encode};

use crate::bounded::Text;
use crate::cursor::Cursor;
pub use crate::frame::Command;
use crate::ids::{DeviceId, PageId, RoomId};

/// The first command of every connection, within five seconds of the upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// The protocol's version that the client speaks.
    pub version: u16,
    /// Which build of which client it is; for the server's log.
    pub build: Text<64>,
    /// This page load: a newer socket of the same page replaces the older.
    pub page: PageId,
    /// The outbox that the connection's ops come from.
    pub device: DeviceId,
    /// Bits of what the client can do beyond the version; none is defined yet.
    pub abilities: u32,
    /// What is known of the user's own log.
    pub user_cursor: Option<Cursor>,
}

/// Be told of a room's events from behind the cursor on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Sub {
    /// The client's number of this subscription, growing with each one of the connection, from 1.
    pub sub: u32,
    /// The room.
    pub room: RoomId,
    /// What is known; nothing for a fresh start.
    pub cursor: Option<Cursor>,
}

/// Do not be told any more.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Unsub {
    /// The subscription.
    pub sub: u32,
}

/// A page was taken in; the next may come.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PageAck {
    /// The subscription whose page it was.
    pub sub: u32,
}

/// The answer to a `Ping`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Pong {
    /// The ping's number.
    pub number: u32,
}

/// Ask whether the server still hears; answered by `Probed`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Probe {
    /// The client's number of it.
    pub number: u32,
}

/// The user is writing in a room, or has stopped; never answered, never stored.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Typing {
    /// The room.
    pub room: RoomId,
    /// Whether he writes still.
    pub active: bool,
}

/// Ask for a page of older messages; answered by `Older` under the same number.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct History {
    /// The client's number of the request.
    pub number: u32,
    /// The room.
    pub room: RoomId,
    /// Only messages with a lower number than this.
    pub before: u64,
    /// At most so many, and at least one; the server may have a lower bound of its own.
    pub count: u16,
}
