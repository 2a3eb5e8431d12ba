//! What a batch needs to know, and what is known while it is judged.
//!
//! Each kind of history fills `Facts` from its tables, inside the batch's transaction, for what
//! `Need` names; then `judge` reads them. Its law: facts follow every event at once, so that what
//! stands behind an event in the same batch is judged by the state it left.

use std::collections::{BTreeMap, BTreeSet};

use protocol::act::{Act, Configure, Create, Enter, Leave, Post};
use protocol::change::Envelope;
use protocol::frame::Change;
use protocol::ids::{LogId, OpId, RoomId, UserId};
use protocol::model::RoomKey;

use crate::db::members::{BY_RULE, MemberRecord, Membership};
use crate::db::ops::OpRecord;
use crate::db::people::{Person, SignInHash, SignInRecord, UserRecord};
use crate::db::rooms::{RoomAtHead, RoomRecord};
use crate::history::{Fold, Pending, effects};
use crate::rooms::key;

/// What a batch touches, but for memberships, whose rooms may have to be found by key first.
#[derive(Debug, Default)]
pub struct Need {
    /// The ops themselves: they may be known.
    pub ops: BTreeSet<(UserId, OpId)>,
    /// Authors and the sign-ins they came by.
    pub people: BTreeSet<(UserId, SignInHash)>,
    /// Rooms named by id.
    pub rooms: BTreeSet<RoomId>,
    /// Authors' own logs, where they are written to.
    pub own_logs: BTreeSet<LogId>,
    /// Rooms named by key, and the keys that new rooms may get.
    pub keys: BTreeSet<RoomKey>,
    /// Whether an author's account may be written to.
    pub changes_people: bool,
}

impl Need {
    /// Reads the need off a batch.
    #[must_use]
    pub fn of(batch: &[Pending]) -> Self {
        let mut need = Self::default();
        for pending in batch {
            need.ops.insert(pending.key());
            need.people.insert((pending.author, pending.sign_in));
            if !matches!(pending.op.act, Act::Post(_) | Act::Configure(_)) {
                need.own_logs.insert(pending.author.log());
            }
            match &pending.op.act {
                Act::Post(Post { room, .. })
                | Act::Leave(Leave { room })
                | Act::Configure(Configure { room, .. }) => {
                    need.rooms.insert(*room);
                }
                Act::Create(Create { name }) => {
                    need.keys.extend(candidates(name, pending.op.op_id));
                }
                Act::Enter(Enter { key }) => need.keys.extend(key::canonical(key)),
                Act::Rename(_) => need.changes_people = true,
            }
        }
        need
    }
}

/// The keys that a room of this name, made by this op, may get.
pub(super) fn candidates(name: &str, op_id: OpId) -> Vec<RoomKey> {
    let [.., a, b, c, d, e, f, g, h] = op_id.bytes();
    key::candidates(name, u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}

/// A log that a batch may write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFacts {
    /// The life of its numbering.
    pub epoch: u64,
    /// Its last number, events of this batch included.
    pub head: u64,
}

/// A user as the batch has left him so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFacts {
    /// The account.
    pub user: UserRecord,
    /// How many rooms he joined.
    pub room_count: u64,
}

/// The state of all that a batch touches.
#[derive(Debug, Default)]
pub struct Facts {
    /// Ops that were answered, this batch's included.
    pub ops: BTreeMap<(UserId, OpId), OpRecord>,
    /// Authors.
    pub users: BTreeMap<UserId, UserFacts>,
    /// Their sign-ins.
    pub sign_ins: BTreeMap<SignInHash, SignInRecord>,
    /// Logs of rooms and authors.
    pub logs: BTreeMap<LogId, LogFacts>,
    /// Rooms.
    pub rooms: BTreeMap<RoomId, RoomRecord>,
    /// Which room has which key.
    pub keys: BTreeMap<RoomKey, RoomId>,
    /// The roster's rows.
    pub members: BTreeMap<(RoomId, UserId), Membership>,
}

impl Facts {
    /// Takes in an op that was answered before.
    pub fn add_op(&mut self, op: OpRecord) {
        self.ops.insert((op.author, op.op_id), op);
    }

    /// Takes in a log.
    pub fn add_log(&mut self, log: LogId, epoch: u64, head: u64) {
        self.logs.insert(log, LogFacts { epoch, head });
    }

    /// Takes in a room and its log.
    pub fn add_room(&mut self, found: RoomAtHead) {
        self.add_log(found.room.id.log(), found.epoch, found.head);
        self.keys.insert(found.room.key.clone(), found.room.id);
        self.rooms.insert(found.room.id, found.room);
    }

    /// Takes in an author, his log and his sign-in.
    pub fn add_person(&mut self, found: Person) {
        self.add_log(found.user.id.log(), found.epoch, found.head);
        if let Some(sign_in) = found.sign_in {
            self.sign_ins.insert(sign_in.hash, sign_in);
        }
        let user = UserFacts { user: found.user, room_count: found.room_count };
        self.users.insert(user.user.id, user);
    }

    /// Takes in a row of the roster.
    pub fn add_member(&mut self, member: MemberRecord) {
        self.members.insert((member.room, member.user), member.membership);
    }

    /// The memberships that the batch needs, now that the rooms are known.
    #[must_use]
    pub fn pairs(&self, batch: &[Pending]) -> BTreeSet<(RoomId, UserId)> {
        let pairs = batch.iter().filter_map(|pending| {
            let room = match &pending.op.act {
                Act::Enter(Enter { key }) => *self.keys.get(&key::canonical(key)?)?,
                act => act.log(pending.author).room()?,
            };
            Some((room, pending.author))
        });
        pairs.collect()
    }

    /// A user's part in a room: the roster's row, else what the rule gives everybody.
    #[must_use]
    pub fn membership(&self, room: RoomId, user: UserId) -> Option<Membership> {
        let row = self.members.get(&(room, user)).copied();
        let by_rule = || self.rooms.get(&room)?.everyone.then_some(BY_RULE);
        row.or_else(by_rule)
    }
}

impl Fold for Facts {
    fn fold(&mut self, envelope: &Envelope, change: &Change) {
        if let Some(log) = self.logs.get_mut(&envelope.log) {
            log.head = envelope.seq;
        }
        let author = envelope.author;
        match (envelope.log.room(), change) {
            (Some(room), Change::Created(created)) => {
                self.keys.insert(created.key.clone(), room);
                self.rooms.insert(room, effects::made(room, envelope, created));
            }
            (Some(room), Change::Configured(configured)) => {
                if let Some(known) = self.rooms.get_mut(&room) {
                    known.name = configured.name.clone();
                    known.topic = configured.topic.clone();
                }
            }
            (Some(room), Change::Joined(_)) => {
                self.members.insert((room, author), Membership::joined_by(envelope));
                self.count_rooms(author, |count| count.saturating_add(1));
            }
            (Some(room), Change::Left(_)) => {
                self.members.remove(&(room, author));
                self.count_rooms(author, |count| count.saturating_sub(1));
            }
            (None, Change::Renamed(renamed)) => {
                if let Some(known) = self.users.get_mut(&author) {
                    known.user.name = renamed.name.clone();
                }
            }
            (None, Change::Ranked(ranked)) => {
                if let Some(known) = self.users.get_mut(&author) {
                    known.user.rank = ranked.rank;
                }
            }
            _ => {}
        }
    }
}

impl Facts {
    fn count_rooms(&mut self, user: UserId, change: impl Fn(u64) -> u64) {
        if let Some(known) = self.users.get_mut(&user) {
            known.room_count = change(known.room_count);
        }
    }
}
