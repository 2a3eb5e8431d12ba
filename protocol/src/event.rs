//! What the server says: one type a kind of frame. Bodies of logged events stand in `change`.
//!
//! Events of a subscription carry its number, so that the client can tell an answer to its latest
//! `Sub` from a late one; logged events are the same bytes for everybody and carry none.

use bincode::{Decode, Encode};

use crate::bounded::{List, Text};
use crate::change::Envelope;
use crate::cursor::Cursor;
pub use crate::frame::Event;
use crate::ids::{EventId, LogId, OpId, RoomId, UserId};
use crate::limits::{PAGE_EVENTS_MAX, PING_POSITIONS_MAX, ROOMS_A_FRAME_MAX, TYPISTS_MAX};
use crate::model::{DisplayName, Me, Messages, RoomEntry};
use crate::refusal::{Fault, Refusal, RetryReason};

/// The number under which the user's own log is subscribed by `Welcome`.
pub const USER_SUB: u32 = 0;

/// The answer to `Hello`. What follows it, in this order: `Rooms` while `more`, then `SubOk` or
/// `Reset` of the user's own log under the number 0.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Welcome {
    /// Whom the server takes the client for.
    pub user: Me,
    /// The first of his rooms; the lobby before all others.
    pub rooms: List<RoomEntry, ROOMS_A_FRAME_MAX>,
    /// Whether `Rooms` frames with further rooms follow.
    pub more: bool,
    /// Milliseconds between two pings.
    pub ping_ms: u32,
    /// Characters that a message may have.
    pub text_chars_max: u32,
    /// Ops that may wait for their answer.
    pub window: u16,
    /// The server's clock in Unix milliseconds, for showing times only.
    pub server_time: i64,
    /// Which build answers; another than before tells a page that it may be old.
    pub build: Text<64>,
}

/// More of the user's rooms.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Rooms {
    /// The next of them.
    pub rooms: List<RoomEntry, ROOMS_A_FRAME_MAX>,
    /// Whether still further rooms follow.
    pub more: bool,
}

/// The cursor was good: its successors follow as pages and live events.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SubOk {
    /// The subscription.
    pub sub: u32,
    /// The life of the log's numbering.
    pub epoch: u64,
    /// The log's last number when the subscription began.
    pub head: u64,
}

/// Why a client must start fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ResetReason {
    /// It knew nothing.
    FirstLoad,
    /// What it knows is not this history: a backup was restored underneath.
    Diverged,
    /// It is too far behind, or what it misses is no longer kept.
    TooOld,
}

/// A room as it stood at the cursor of its `Reset`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Snapshot {
    /// The room; `head` is the cursor's number.
    pub room: RoomEntry,
    /// How many members it has; for the lobby, how many accounts there are.
    pub member_count: u64,
    /// The newest messages, oldest first.
    pub messages: Messages,
    /// Whether there are older messages than these.
    pub older: bool,
}

/// Forget what is known of the log and begin at this cursor.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Reset {
    /// The subscription.
    pub sub: u32,
    /// Why.
    pub reason: ResetReason,
    /// Where the log stands.
    pub cursor: Cursor,
    /// The room at that cursor; nothing for the user's own log, whose state `Welcome` told.
    pub snapshot: Option<Snapshot>,
}

/// Events of a subscription that catches up, in order and without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Page {
    /// The subscription; the next page follows the client's `PageAck`.
    pub sub: u32,
    /// The events, all of one log.
    pub events: List<Envelope, PAGE_EVENTS_MAX>,
}

/// A live event of a log the client is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Logged {
    /// The event with its number.
    pub envelope: Envelope,
}

/// Why a subscription is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum GoneReason {
    /// The room does not exist, or is not open to this user.
    NotMember,
    /// His membership ended.
    Ended,
    /// He asked for it.
    Asked,
    /// The connection is told of as many rooms as it may be.
    TooManyRooms {
        /// How many that are.
        rooms_max: u32,
    },
}

/// A subscription is over; nothing follows under its number.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Gone {
    /// The subscription.
    pub sub: u32,
    /// The room.
    pub room: RoomId,
    /// Why.
    pub reason: GoneReason,
}

/// An op is stored. Every acceptance of one op names the same position.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Accepted {
    /// The op.
    pub op_id: OpId,
    /// The log that holds its event.
    pub log: LogId,
    /// The event's number; 0 where the act changed nothing and no event was made.
    pub seq: u64,
    /// The event's id; nil where no event was made.
    pub id: EventId,
    /// When it was stored, in Unix milliseconds.
    pub at: i64,
}

/// An op was understood and will not be done, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Refused {
    /// The op.
    pub op_id: OpId,
    /// Why.
    pub refusal: Refusal,
}

/// An op was not done now, and no later one of its lane that is under way will be. All that have no
/// answer are sent again, in order, under the new generation, after the time given; those sent
/// before it may still be answered meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RefuseRetry {
    /// The op.
    pub op_id: OpId,
    /// Its lane.
    pub log: LogId,
    /// The lane's generation from now on.
    pub lane_generation: u32,
    /// When to try again, in milliseconds from now.
    pub retry_after_ms: u32,
    /// Why.
    pub reason: RetryReason,
}

/// A page of older messages.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Older {
    /// The request's number.
    pub number: u32,
    /// The room.
    pub room: RoomId,
    /// The messages just before the asked position, oldest first; none to who may not read.
    pub messages: Messages,
    /// Whether there are still older ones.
    pub older: bool,
}

/// Who is writing in a room just now; says all, so an empty list ends it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Typists {
    /// The room.
    pub room: RoomId,
    /// Some of them; the receiver leaves himself out.
    pub people: List<Typist, TYPISTS_MAX>,
}

/// Somebody who is writing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Typist {
    /// Who.
    pub user: UserId,
    /// How he is called.
    pub name: DisplayName,
}

/// How far a live subscription was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Position {
    /// The subscription.
    pub sub: u32,
    /// The number of the last event written to it.
    pub seq: u64,
}

/// A sign of life, to be answered by `Pong`. TCP keeps order: a client that is not at or past one
/// of the positions has lost something and subscribes again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Ping {
    /// Its number.
    pub number: u32,
    /// Live subscriptions and how far they were told.
    pub positions: List<Position, PING_POSITIONS_MAX>,
}

/// The answer to a `Probe`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Probed {
    /// The probe's number.
    pub number: u32,
}

/// The server is about to stop: send nothing new, come back after the time given.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Drain {
    /// Milliseconds to wait before the next connection.
    pub after_ms: u32,
}

/// A frame was refused; the third on one connection closes it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Faulty {
    /// What is wrong with it.
    pub fault: Fault,
    /// The kind it named; 0 where it could not be read.
    pub kind: u16,
}
