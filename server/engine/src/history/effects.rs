//! The rows that a batch writes: its events, and what they change in the tables one reads from.
//!
//! Filled by the judge, written by both kinds of history. Its law: every row but those of `ops` and
//! new logs is folded from an event here, in one place, so the tables hold nothing that the log does
//! not (the fold test makes them from the log again).

use std::collections::{BTreeMap, BTreeSet};

use protocol::change::{Created, Envelope, Posted};
use protocol::frame::Change;
use protocol::ids::{LogId, RoomId, UserId};
use protocol::model::{DisplayName, Message, Rank, Role, RoomName, Topic};

use crate::db::events::EventRecord;
use crate::db::logs::LogRecord;
use crate::db::members::Membership;
use crate::db::messages::MessageRecord;
use crate::db::ops::OpRecord;
use crate::db::rooms::RoomRecord;

/// What follows a log, event by event.
pub trait Fold {
    /// Takes in the next event.
    fn fold(&mut self, envelope: &Envelope, change: &Change);
}

/// How far a batch moved a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Raise {
    /// How many events it wrote.
    pub by: u64,
    /// The number of the last of them.
    pub head: u64,
}

/// The rows of one batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Logs that are made, before their first event.
    pub logs: Vec<LogRecord>,
    /// Heads that rise.
    pub raised: BTreeMap<LogId, Raise>,
    /// Events, in the order of judging.
    pub events: Vec<EventRecord>,
    /// Ops that were answered.
    pub ops: Vec<OpRecord>,
    /// Rooms that are made.
    pub rooms: Vec<RoomRecord>,
    /// Rooms with another name and topic.
    pub configured: BTreeMap<RoomId, (RoomName, Topic)>,
    /// Members that are gone from the roster; before `joined`.
    pub left: BTreeSet<(RoomId, UserId)>,
    /// Members that are new in the roster.
    pub joined: BTreeMap<(RoomId, UserId), Membership>,
    /// Messages that are new.
    pub messages: Vec<MessageRecord>,
    /// Accounts that are called otherwise.
    pub names: BTreeMap<UserId, DisplayName>,
    /// Accounts of another rank.
    pub ranks: BTreeMap<UserId, Rank>,
}

impl Effects {
    /// Nothing would be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.events.is_empty()
    }
}

impl Membership {
    /// The part that this event of joining gives: the second event of a room is its maker's.
    #[must_use]
    pub const fn joined_by(envelope: &Envelope) -> Self {
        let role = if envelope.seq == 2 { Role::Owner } else { Role::Member };
        Self { role, joined_seq: envelope.seq }
    }
}

impl Fold for Effects {
    fn fold(&mut self, envelope: &Envelope, change: &Change) {
        let raise = self.raised.entry(envelope.log).or_default();
        *raise = Raise { by: raise.by.saturating_add(1), head: envelope.seq };
        match (envelope.log.room(), envelope.log.user()) {
            (Some(room), _) => self.fold_room(room, envelope, change),
            (_, Some(user)) => self.fold_user(user, change),
            (None, None) => {}
        }
    }
}

impl Effects {
    fn fold_room(&mut self, room: RoomId, envelope: &Envelope, change: &Change) {
        let pair = (room, envelope.author);
        match change {
            Change::Created(created) => self.rooms.push(made(room, envelope, created)),
            Change::Configured(configured) => {
                let (name, topic) = (configured.name.clone(), configured.topic.clone());
                self.configured.insert(room, (name, topic));
            }
            Change::Joined(_) => {
                self.joined.insert(pair, Membership::joined_by(envelope));
            }
            Change::Left(_) => {
                if self.joined.remove(&pair).is_none() {
                    self.left.insert(pair);
                }
            }
            Change::Posted(posted) => self.messages.push(written(room, envelope, posted)),
            Change::RoomAdded(_)
            | Change::RoomRemoved(_)
            | Change::Renamed(_)
            | Change::Ranked(_) => {}
        }
    }

    fn fold_user(&mut self, user: UserId, change: &Change) {
        match change {
            Change::Renamed(renamed) => {
                self.names.insert(user, renamed.name.clone());
            }
            Change::Ranked(ranked) => {
                self.ranks.insert(user, ranked.rank);
            }
            Change::Created(_)
            | Change::Joined(_)
            | Change::Left(_)
            | Change::Posted(_)
            | Change::Configured(_)
            | Change::RoomAdded(_)
            | Change::RoomRemoved(_) => {}
        }
    }
}

/// The row of a room that this event began.
pub(super) fn made(room: RoomId, envelope: &Envelope, created: &Created) -> RoomRecord {
    RoomRecord {
        id: room,
        key: created.key.clone(),
        name: created.name.clone(),
        topic: Topic::default(),
        everyone: created.everyone,
        created_at: envelope.at,
    }
}

fn written(room: RoomId, envelope: &Envelope, posted: &Posted) -> MessageRecord {
    let message = Message {
        seq: envelope.seq,
        id: envelope.id,
        at: envelope.at,
        author: envelope.author,
        name: posted.name.clone(),
        op_id: envelope.op_id,
        text: posted.text.clone(),
    };
    MessageRecord { room, message }
}
