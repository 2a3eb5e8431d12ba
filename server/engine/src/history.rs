//! What lasts: the trait through which rooms write and read their logs, and its types.
//!
//! Its kinds are `history/sql.rs` (the house) and `history/memory.rs` (tests and the simulation);
//! both let `history/judge.rs` decide. Log tasks write through `history/writer.rs`, never here
//! directly. Its law: an answer comes only after the commit; what a read gives is committed and of
//! one moment; a write either happened whole, did not happen, or is said to be unknown.

pub mod disk;
mod effects;
pub mod facts;
pub mod judge;
pub mod memory;
pub mod shared;
pub mod sql;
mod views;
pub mod writer;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use protocol::act::{Act, Op};
use protocol::change::Envelope;
use protocol::cursor::Cursor;
use protocol::event::{Accepted, Refused, ResetReason, Snapshot};
use protocol::ids::{DeviceId, LogId, OpId, RoomId, UserId};
use protocol::limits::REPLAY_EVENTS_MAX;
use protocol::model::{Me, Messages, RoomEntry, RoomKey, RoomName, Topic};
use protocol::refusal::RetryReason;

pub use self::effects::{Effects, Fold, Raise};
pub use self::judge::Rules;
use crate::clock::Chance;
pub use crate::db::members::Membership;
pub use crate::db::people::{SignInHash, Standing};

/// What an op weighs in queues beside its text.
const FRAMING_BYTES: usize = 128;
/// Logs whose ends are asked for at once. A statement takes so many values and no more, and whoever
/// wants more lets others read meanwhile.
pub const HEADS_MAX: usize = 512;

/// An answer that comes later; the memory kind's is ready at the first poll.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// What a read gives, or that the store does not answer.
pub type Read<'a, T> = Later<'a, Result<T, Unavailable>>;

/// The stored logs and what is folded from them.
pub trait History: Send + Sync + 'static {
    /// Judges the ops in order and stores what becomes of them, in one transaction.
    /// Event ids and epochs are drawn from `chance`; `now_ms` is every event's time.
    fn commit<'a>(
        &'a self,
        batch: &'a [Pending],
        chance: &'a mut dyn Chance,
        now_ms: i64,
    ) -> Later<'a, Outcome>;

    /// How many commits may be under way at once. With more than one each log's batch is a commit of
    /// its own; of one log there is never more than one.
    fn commits_at_once(&self) -> usize {
        1
    }

    /// How a user stands to a log, and the log to a cursor; nothing where there is no such log or
    /// it is not open to him. Asked by every `Sub`.
    fn admission(
        &self,
        user: UserId,
        log: LogId,
        cursor: Option<Cursor>,
    ) -> Read<'_, Option<Admission>>;

    /// All that `Welcome` tells, of one moment: the account, its rooms, and its log's admission.
    fn arrival(&self, user: UserId, cursor: Option<Cursor>) -> Read<'_, Option<Arrival>>;

    /// How a sign-in and its account stand at this time of day.
    fn standing(&self, sign_in: SignInHash, now_ms: i64) -> Read<'_, Standing>;

    /// Those of these by which nobody may go on.
    fn fallen<'a>(
        &'a self,
        sign_ins: &'a [SignInHash],
        now_ms: i64,
    ) -> Read<'a, BTreeMap<SignInHash, Standing>>;

    /// Whether the store answers, asked anew.
    fn answers(&self) -> Later<'_, bool>;

    /// The same, and notes that the sign-in is in use.
    fn note_use(&self, sign_in: SignInHash, now_ms: i64) -> Read<'_, Standing>;

    /// The events behind number `after`, in order: at most a hundred, at most what fits into one
    /// `Page` frame, at least one if there is one. The asker has checked that they may be read.
    fn page(&self, log: LogId, after: u64) -> Read<'_, Vec<Envelope>>;

    /// A room as it stands now; nothing where there is none or it is not open to this reader.
    /// `None` reads as somebody who is not signed in.
    fn snapshot(&self, reader: Option<UserId>, room: RoomId) -> Read<'_, Option<RoomView>>;

    /// A room as it stands now, whoever reads it: the asker checks who that is.
    fn state(&self, room: RoomId) -> Read<'_, Option<RoomState>>;

    /// The messages just before number `before`, at most `count`; nothing as with `snapshot`.
    fn older(
        &self,
        reader: Option<UserId>,
        room: RoomId,
        before: u64,
        count: usize,
    ) -> Read<'_, Option<OlderMessages>>;

    /// Where these logs end, at most `HEADS_MAX`; logs that do not exist are left out.
    fn heads<'a>(&'a self, logs: &'a [LogId]) -> Read<'a, Vec<Head>>;

    /// What may be told of a room to somebody who is no member.
    fn room_by_key<'a>(&'a self, key: &'a str) -> Read<'a, Option<RoomCard>>;

    /// Rooms by key, at most fifty, behind the key `after`.
    fn open_rooms<'a>(&'a self, after: Option<&'a str>) -> Read<'a, Vec<RoomCard>>;
}

/// The store does not answer; the reason is for the server's log, never for a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store does not answer: {0}")]
pub struct Unavailable(pub String);

/// An op on its way to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Whose it is.
    pub author: UserId,
    /// The sign-in it came in by; checked inside the transaction.
    pub sign_in: SignInHash,
    /// The outbox it came from; stored, never sent.
    pub device: DeviceId,
    /// What is to be done.
    pub op: Op,
    /// Only look whether it is stored already.
    pub check_only: bool,
}

impl Pending {
    /// The log in whose lane the op was sent.
    #[must_use]
    pub fn lane(&self) -> LogId {
        self.op.act.log(self.author)
    }

    /// Bytes that it weighs in queues: its text, and a fixed allowance for the rest of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let text = match &self.op.act {
            Act::Post(post) => post.text.len(),
            Act::Create(create) => create.name.len(),
            Act::Enter(enter) => enter.key.len(),
            Act::Configure(configure) => configure.name.len().saturating_add(configure.topic.len()),
            Act::Rename(rename) => rename.name.len(),
            Act::Leave(_) => 0,
        };
        text.saturating_add(FRAMING_BYTES)
    }

    /// The key that an op has in the store.
    #[must_use]
    pub const fn key(&self) -> (UserId, OpId) {
        (self.author, self.op.op_id)
    }
}

/// The final or passing answer to one op.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Stored, now or before: every acceptance of one op is equal.
    Accepted(Accepted),
    /// Will not be done; stored too, but for `OpIdReused`, the answers to `check_only`, and what is
    /// for a room that never was.
    Refused(Refused),
    /// Was not done this time; nothing is stored of it.
    Retry(RetryReason),
    /// The sign-in it came by no longer stands: the socket is to be closed with `SIGNED_OUT`.
    SignedOut,
}

/// What became of one op of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The answer to who sent it.
    pub verdict: Verdict,
    /// The events it made, the lane's log and other logs together, in the order of their numbers;
    /// none for a repeated op.
    pub events: Vec<Envelope>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Durable: one answer for each op, in the batch's order.
    Committed(Vec<Answer>),
    /// Nothing of it is stored, for certain.
    Failed(RetryReason),
    /// It may be stored or not: neither accept nor refuse, let the clients send again.
    Unknown,
    /// As unknown, and the disk has failed: the process must end (code 70) and open it anew.
    DiskBroken,
}

/// A log, and how a user and a cursor stand to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// The user's part in it; in his own log he is its member since 0.
    pub membership: Membership,
    /// Its end: epoch, last number, that event's tag.
    pub head: Cursor,
    /// The first number that is still kept; 1 from the start.
    pub floor: u64,
    /// The tag of number `floor - 1`.
    pub floor_tag: u64,
    /// The tag of the event that the cursor names, as it is stored now; nothing where none is.
    pub cursor_tag: Option<u64>,
}

/// Whether a client may go on from its cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// It may: pages from behind it, then live.
    From(u64),
    /// It must take a fresh state.
    Reset(ResetReason),
}

impl Admission {
    /// Judges a cursor: the one for which this admission was read.
    #[must_use]
    pub fn resume(&self, cursor: Option<Cursor>) -> Resume {
        let Some(cursor) = cursor else {
            return Resume::Reset(ResetReason::FirstLoad);
        };
        let same_life = cursor.epoch == self.head.epoch && cursor.seq <= self.head.seq;
        if !same_life {
            return Resume::Reset(ResetReason::Diverged);
        }
        let last_dropped = self.floor.saturating_sub(1);
        let behind = self.head.seq.saturating_sub(cursor.seq);
        if cursor.seq < last_dropped || behind > REPLAY_EVENTS_MAX {
            return Resume::Reset(ResetReason::TooOld);
        }
        let tag = if cursor.seq == 0 {
            Some(0)
        } else if cursor.seq == last_dropped {
            Some(self.floor_tag)
        } else {
            self.cursor_tag
        };
        if tag == Some(cursor.tag) {
            Resume::From(cursor.seq)
        } else {
            Resume::Reset(ResetReason::Diverged)
        }
    }
}

/// What a session begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The account.
    pub me: Me,
    /// It may do nothing any more.
    pub disabled: bool,
    /// Its rooms, the lobby first, then by key.
    pub rooms: Vec<RoomEntry>,
    /// Its own log.
    pub admission: Admission,
}

/// A room at a cursor, whoever reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomState {
    /// The room with its newest messages, as a mere member sees it.
    snapshot: Snapshot,
    /// The position at which it stood so.
    pub cursor: Cursor,
}

impl RoomState {
    /// The same as this member sees it.
    #[must_use]
    pub fn seen_by(self, membership: Membership) -> RoomView {
        let Self { mut snapshot, cursor } = self;
        snapshot.room.role = membership.role;
        RoomView { snapshot, cursor, membership }
    }
}

/// A room at a cursor, as one reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomView {
    /// The room with its newest messages.
    pub snapshot: Snapshot,
    /// The position at which it stood so.
    pub cursor: Cursor,
    /// The reader's part in it.
    pub membership: Membership,
}

/// A page of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OlderMessages {
    /// Oldest first.
    pub messages: Messages,
    /// Whether there are still older ones.
    pub older: bool,
}

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The log.
    pub log: LogId,
    /// Its epoch, last number and that event's tag.
    pub cursor: Cursor,
}

/// What everybody may know of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomCard {
    /// The room.
    pub id: RoomId,
    /// Its address.
    pub key: RoomKey,
    /// How it is called.
    pub name: RoomName,
    /// What it is about.
    pub topic: Topic,
    /// Everybody is a member by rule.
    pub everyone: bool,
    /// How many members it has; accounts, where everybody is one.
    pub member_count: u64,
}
