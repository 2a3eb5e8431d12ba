//! The rows of history in memory, and the questions that are asked of them.
//!
//! Used by `history/memory.rs` under its lock, and compared by tests with the rows of a database.
//! Its law: a table is a map by its primary key, so that two runs with the same calls are equal.

use std::collections::BTreeMap;

use protocol::cursor::Cursor;
use protocol::ids::{LogId, OpId, RoomId, UserId};
use protocol::model::{Me, Message, RoomEntry};

use crate::db::events::EventRecord;
use crate::db::logs::{LogExtent, LogRecord};
use crate::db::members::{BY_RULE, MemberRecord, Membership};
use crate::db::ops::OpRecord;
use crate::db::people::{Person, SignInHash, SignInRecord, UserRecord};
use crate::db::rooms::{CountedRoom, RoomAtHead, RoomRecord};
use crate::history::facts::{Facts, Need};
use crate::history::{Admission, Arrival, Effects, Pending, RoomState, Standing, views};

/// All rows, by their primary keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// Where each log stands; nothing is ever dropped from one, so all begin at 1.
    pub logs: BTreeMap<LogId, LogRecord>,
    /// The record.
    pub events: BTreeMap<(LogId, u64), EventRecord>,
    /// Answered ops.
    pub ops: BTreeMap<(UserId, OpId), OpRecord>,
    /// Accounts.
    pub users: BTreeMap<UserId, UserRecord>,
    /// Sign-ins.
    pub sign_ins: BTreeMap<SignInHash, SignInRecord>,
    /// Rooms.
    pub rooms: BTreeMap<RoomId, RoomRecord>,
    /// The roster.
    pub members: BTreeMap<(RoomId, UserId), Membership>,
    /// Messages.
    pub messages: BTreeMap<(RoomId, u64), Message>,
}

impl Tables {
    /// What the four reads of a batch find.
    pub(super) fn facts(&self, batch: &[Pending]) -> Facts {
        let need = Need::of(batch);
        let mut facts = Facts::default();
        need.ops.iter().filter_map(|key| self.ops.get(key)).for_each(|op| facts.add_op(op.clone()));
        let named =
            |room: &&RoomRecord| need.rooms.contains(&room.id) || need.keys.contains(&room.key);
        for room in self.rooms.values().filter(named) {
            if let Some(LogRecord { epoch, head, .. }) = self.logs.get(&room.id.log()).copied() {
                facts.add_room(RoomAtHead { room: room.clone(), epoch, head });
            }
        }
        for (user, hash) in &need.people {
            let found = self.users.get(user).zip(self.logs.get(&user.log()));
            if let Some((user, LogRecord { epoch, head, .. })) = found {
                let room_count = self.members.keys().filter(|pair| pair.1 == user.id).count();
                facts.add_person(Person {
                    user: user.clone(),
                    epoch: *epoch,
                    head: *head,
                    room_count: u64::try_from(room_count).unwrap_or(u64::MAX),
                    sign_in: self.sign_ins.get(hash).copied(),
                });
            }
        }
        for (room, user) in facts.pairs(batch) {
            if let Some(membership) = self.members.get(&(room, user)).copied() {
                facts.add_member(MemberRecord { room, user, membership });
            }
        }
        facts
    }

    pub(super) fn apply(&mut self, effects: Effects) {
        self.logs.extend(effects.logs.into_iter().map(|made| (made.log, made)));
        for event in effects.events {
            self.events.insert((event.envelope.log, event.envelope.seq), event);
        }
        self.ops.extend(effects.ops.into_iter().map(|op| ((op.author, op.op_id), op)));
        self.rooms.extend(effects.rooms.into_iter().map(|room| (room.id, room)));
        for (room, (name, topic)) in effects.configured {
            self.rooms.entry(room).and_modify(|known| (known.name, known.topic) = (name, topic));
        }
        self.members.retain(|pair, _| !effects.left.contains(pair));
        self.members.extend(effects.joined);
        let messages = effects.messages.into_iter();
        self.messages.extend(messages.map(|new| ((new.room, new.message.seq), new.message)));
        for (user, name) in effects.names {
            self.users.entry(user).and_modify(|known| known.name = name);
        }
        for (user, rank) in effects.ranks {
            self.users.entry(user).and_modify(|known| known.rank = rank);
        }
        for (log, raise) in effects.raised {
            self.logs.entry(log).and_modify(|known| known.head = raise.head);
        }
    }

    pub(super) fn standing(&self, sign_in: SignInHash, now_ms: i64) -> Standing {
        let known = self.sign_ins.get(&sign_in);
        let Some(known) = known.filter(|known| known.stands(known.user, now_ms)) else {
            return Standing::SignedOut;
        };
        let user = self.users.get(&known.user);
        let is_good = user.is_some_and(|user| user.disabled_at.is_none());
        if is_good { Standing::Good } else { Standing::Disabled }
    }

    pub(super) fn note_use(&mut self, sign_in: SignInHash, now_ms: i64) -> Standing {
        let standing = self.standing(sign_in, now_ms);
        let known = self.sign_ins.get_mut(&sign_in).filter(|_| standing == Standing::Good);
        if let Some(known) = known {
            *known = known.used(now_ms).unwrap_or(*known);
        }
        standing
    }

    pub(super) fn extent(&self, log: LogId, seq: Option<u64>) -> Option<LogExtent> {
        let LogRecord { epoch, head, .. } = *self.logs.get(&log)?;
        let tag = |seq| self.events.get(&(log, seq)).map(|event| event.envelope.id.tag());
        let head = Cursor { epoch, seq: head, tag: tag(head).unwrap_or(0) };
        Some(LogExtent { head, floor: 1, floor_tag: 0, tag: seq.and_then(tag) })
    }

    pub(super) fn membership(&self, reader: Option<UserId>, room: RoomId) -> Option<Membership> {
        let known = self.rooms.get(&room)?;
        let row = reader.and_then(|user| self.members.get(&(room, user)).copied());
        row.or_else(|| known.everyone.then_some(BY_RULE))
    }

    pub(super) fn admission(
        &self,
        user: UserId,
        log: LogId,
        cursor: Option<Cursor>,
    ) -> Option<Admission> {
        let part = match log.room() {
            Some(room) => self.membership(Some(user), room)?,
            None => (log == user.log()).then_some(BY_RULE)?,
        };
        Some(views::admission(self.extent(log, cursor.map(|cursor| cursor.seq))?, part))
    }

    pub(super) fn arrival(&self, user: UserId, cursor: Option<Cursor>) -> Option<Arrival> {
        let account = self.users.get(&user)?;
        let admission = self.admission(user, user.log(), cursor)?;
        let entry = |room: &RoomRecord| {
            Some(RoomEntry {
                id: room.id,
                key: room.key.clone(),
                name: room.name.clone(),
                topic: room.topic.clone(),
                everyone: room.everyone,
                role: self.membership(Some(user), room.id)?.role,
                head: self.logs.get(&room.id.log())?.head,
            })
        };
        let mut rooms: Vec<RoomEntry> = self.rooms.values().filter_map(entry).collect();
        rooms.sort_by(|a, b| (!a.everyone, &a.key).cmp(&(!b.everyone, &b.key)));
        let me = Me { id: user, name: account.name.clone(), rank: account.rank };
        Some(Arrival { me, disabled: account.disabled_at.is_some(), rooms, admission })
    }

    pub(super) fn state(&self, room: RoomId) -> Option<RoomState> {
        let counted = self.counted(self.rooms.get(&room)?);
        let extent = self.extent(room.log(), None)?;
        let newest = self.newest(room, u64::MAX, views::SNAPSHOT_READ);
        Some(views::state(counted, extent.head, newest))
    }

    pub(super) fn newest(&self, room: RoomId, before: u64, count: usize) -> Vec<Message> {
        let range = self.messages.range((room, 0)..(room, before));
        range.rev().take(count).map(|(_, message)| message.clone()).collect()
    }

    pub(super) fn counted(&self, room: &RoomRecord) -> CountedRoom {
        let count = if room.everyone {
            self.users.len()
        } else {
            self.members.keys().filter(|pair| pair.0 == room.id).count()
        };
        let member_count = u64::try_from(count).unwrap_or(u64::MAX);
        CountedRoom { room: room.clone(), member_count }
    }
}
