//! The nouns that commands, events and pages share: people, rooms, messages as they are read.
//!
//! These are values on the wire, never rows of a database: the two change for different reasons.

use bincode::{Decode, Encode};

use crate::bounded::{List, Text};
use crate::ids::{EventId, OpId, RoomId, UserId};
use crate::limits::{
    HISTORY_MESSAGES_MAX, KEY_CHARS_MAX, NAME_CHARS_MAX, ROOM_NAME_CHARS_MAX, TEXT_BYTES_MAX,
    TOPIC_CHARS_MAX,
};

/// What somebody wrote: at most 40 KiB; the limit of characters is a setting of the server.
pub type MessageText = Text<TEXT_BYTES_MAX>;
/// How a person is called.
pub type DisplayName = Text<{ 4 * NAME_CHARS_MAX }>;
/// How a room is called.
pub type RoomName = Text<{ 4 * ROOM_NAME_CHARS_MAX }>;
/// The address of a room, in its canonical form.
pub type RoomKey = Text<{ 4 * KEY_CHARS_MAX }>;
/// What a room is about.
pub type Topic = Text<{ 4 * TOPIC_CHARS_MAX }>;
/// Messages of one snapshot or page of history, oldest first.
pub type Messages = List<Message, HISTORY_MESSAGES_MAX>;

/// What an account may do on this server; a later one may all that an earlier one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Rank {
    /// Came in without a form; his browser's cookie is all that names him.
    #[default]
    Guest,
    /// Has an account of his own.
    User,
    /// Operates the server.
    Admin,
    /// The first account: it opened the setup link.
    Owner,
}

/// What a member may do in one room; a later one may all that an earlier one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub enum Role {
    /// Reads and writes.
    #[default]
    Member,
    /// Keeps order.
    Moderator,
    /// Made the room, or was given it.
    Owner,
}

/// The user whom a page or a session speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Me {
    /// His account.
    pub id: UserId,
    /// How he is called.
    pub name: DisplayName,
    /// What he may do on this server.
    pub rank: Rank,
}

/// A room in somebody's list.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RoomEntry {
    /// The room.
    pub id: RoomId,
    /// Its address: `/r/<key>`, but `/` for the lobby.
    pub key: RoomKey,
    /// How it is called now.
    pub name: RoomName,
    /// What it is about now; empty for nothing.
    pub topic: Topic,
    /// Everybody is a member by rule: the lobby.
    pub everyone: bool,
    /// What the asker may do there.
    pub role: Role,
    /// The number of its last event.
    pub head: u64,
}

/// A message as it is read now: its first event with all that later events made of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Message {
    /// The number of its first event, which names it in its room.
    pub seq: u64,
    /// The id of its first event.
    pub id: EventId,
    /// When it was stored, in Unix milliseconds; for showing only.
    pub at: i64,
    /// Who wrote it.
    pub author: UserId,
    /// How he was called when he wrote it.
    pub name: DisplayName,
    /// The op that wrote it.
    pub op_id: OpId,
    /// What he wrote.
    pub text: MessageText,
}
