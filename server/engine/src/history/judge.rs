//! Judges a batch of ops: the one place that decides what is accepted, refused, and written.
//!
//! Called by both kinds of history with facts read inside the transaction. Its law: pure; ids, time
//! and facts are handed in. In this order: a known op gets its stored answer, before any question
//! of permission, for the user may have been told already; then the sign-in; then permission; then
//! the number. A refusal is stored too, else a late copy of the op could succeed.

use protocol::act::{Act, Configure, Create, Enter, Leave, Post, Rename};
use protocol::bounded::Blob;
use protocol::change::{
    Configured, Created, Envelope, Joined, Left, Posted, Ranked, Renamed, RoomAdded, RoomRemoved,
};
use protocol::event::{Accepted, Refused};
use protocol::frame::Change;
use protocol::ids::{DeviceId, EventId, LogId, OpId, RoomId, UserId};
use protocol::model::{DisplayName, Rank, RoomKey, RoomName};
use protocol::refusal::Refusal;
use protocol::words;
use sha2::{Digest, Sha256};

use crate::clock::Chance;
use crate::db::events::EventRecord;
use crate::db::logs::LogRecord;
use crate::db::ops::OpRecord;
use crate::history::facts::{self, Facts};
use crate::history::{Answer, Effects, Fold, Pending, Verdict};
use crate::rooms::key;
use crate::rooms::roster::{Actor, Ground, may};

/// The limits that an operator may turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Characters of a message.
    pub text_chars_max: u32,
    /// Rooms that a user may be in, beside the lobby.
    pub rooms_max: u32,
}

/// Where events come from and go to while a batch is judged.
pub struct Judge<'a> {
    /// The state so far.
    pub facts: Facts,
    /// What will be written.
    pub effects: Effects,
    /// The operator's limits.
    pub rules: Rules,
    /// Where ids come from.
    pub chance: &'a mut dyn Chance,
    /// The time of every event.
    pub now_ms: i64,
}

/// What an accepted act comes to.
struct Decision {
    /// The log whose event is named to the author.
    log: LogId,
    /// The place of that event among the changes.
    named: usize,
    /// What is written, in order; nothing where everything is so already.
    changes: Vec<(LogId, Change)>,
}

/// The cause of an event.
struct Cause {
    author: UserId,
    device: DeviceId,
    op_id: OpId,
}

impl<'a> Judge<'a> {
    /// Begins with these facts and nothing to write.
    pub fn new(facts: Facts, rules: Rules, chance: &'a mut dyn Chance, now_ms: i64) -> Self {
        Self { facts, effects: Effects::default(), rules, chance, now_ms }
    }

    /// Judges all ops in order.
    pub fn batch(&mut self, batch: &[Pending]) -> Vec<Answer> {
        batch.iter().map(|pending| self.op(pending)).collect()
    }

    /// Makes the room that everybody is in.
    pub fn lobby(&mut self, name: RoomName) -> Option<RoomId> {
        let key = key::canonical(key::LOBBY)?;
        let room = self.new_room();
        let change = Change::Created(Created { key, name, everyone: true });
        let cause = Cause { author: UserId::NIL, device: DeviceId::NIL, op_id: OpId::NIL };
        self.write(&cause, room.log(), &change);
        Some(room)
    }

    /// Gives a user another rank.
    pub fn rank(&mut self, user: UserId, rank: Rank) -> Option<Envelope> {
        let cause = Cause { author: user, device: DeviceId::NIL, op_id: OpId::NIL };
        self.write(&cause, user.log(), &Change::Ranked(Ranked { rank }))
    }

    fn op(&mut self, pending: &Pending) -> Answer {
        let payload_hash = payload_hash(pending);
        let said = |verdict| Answer { verdict, events: Vec::new() };
        if let Some(known) = self.facts.ops.get(&pending.key()) {
            return said(repeated(known, payload_hash));
        }
        let Some((actor, name)) = self.actor(pending) else {
            return said(Verdict::SignedOut);
        };
        if pending.check_only {
            return said(refused(pending.op.op_id, Refusal::Unknown));
        }
        let (op, events) = self.settle(pending, actor, name, payload_hash);
        let verdict = repeated(&op, payload_hash);
        self.effects.ops.push(op.clone());
        self.facts.add_op(op);
        Answer { verdict, events }
    }

    /// Does the act or refuses it, for ever.
    fn settle(
        &mut self,
        pending: &Pending,
        actor: Actor,
        name: DisplayName,
        payload_hash: i64,
    ) -> (OpRecord, Vec<Envelope>) {
        let mut op = OpRecord {
            author: pending.author,
            op_id: pending.op.op_id,
            payload_hash,
            refusal: None,
            log: pending.author.log(),
            seq: 0,
            id: EventId::NIL,
            at: self.now_ms,
        };
        let decision = self.decide(pending, actor, name).and_then(|decision| {
            let all_known =
                decision.changes.iter().all(|(log, _)| self.facts.logs.contains_key(log));
            // Half an act is none: its events stand in all their logs or in no log.
            if all_known { Ok(decision) } else { Err(Refusal::NotMember) }
        });
        match decision {
            Ok(Decision { log, named, changes }) => {
                let events = self.write_all(pending, &changes);
                op.log = log;
                if let Some(event) = events.get(named) {
                    (op.seq, op.id) = (event.seq, event.id);
                }
                (op, events)
            }
            Err(refusal) => (OpRecord { refusal: Some(refusal), ..op }, Vec::new()),
        }
    }

    /// Who acts; nothing where the sign-in no longer speaks for him.
    fn actor(&self, pending: &Pending) -> Option<(Actor, DisplayName)> {
        let sign_in = self.facts.sign_ins.get(&pending.sign_in)?;
        let known = self.facts.users.get(&pending.author)?;
        let actor = Actor { rank: known.user.rank, disabled: known.user.disabled_at.is_some() };
        let stands = sign_in.stands(pending.author, self.now_ms);
        stands.then(|| (actor, known.user.name.clone()))
    }

    fn decide(
        &mut self,
        pending: &Pending,
        actor: Actor,
        name: DisplayName,
    ) -> Result<Decision, Refusal> {
        let (author, act) = (pending.author, &pending.op.act);
        let ground = act.log(author).room().and_then(|room| {
            let everyone = self.facts.rooms.get(&room)?.everyone;
            let role = self.facts.membership(room, author).map(|membership| membership.role);
            Some(Ground { everyone, role })
        });
        may(actor, act, ground)?;
        match act {
            Act::Post(Post { room, text }) => {
                words::check_message(text, self.rules.text_chars_max)?;
                let posted = Posted { name, text: text.clone() };
                Ok(Decision::of(room.log(), Change::Posted(posted)))
            }
            Act::Leave(Leave { room }) => {
                let mut decision = Decision::of(room.log(), Change::Left(Left { name }));
                let removed = RoomRemoved { room: *room };
                decision.changes.push((author.log(), Change::RoomRemoved(removed)));
                Ok(decision)
            }
            Act::Configure(Configure { room, name, topic }) => {
                let (name, topic) = (words::room_name(name)?, words::topic(topic)?);
                let configured = Configured { name, topic };
                Ok(Decision::of(room.log(), Change::Configured(configured)))
            }
            Act::Rename(Rename { name }) => {
                let renamed = Renamed { name: words::display_name(name)? };
                Ok(Decision::of(author.log(), Change::Renamed(renamed)))
            }
            Act::Create(Create { name: room_name }) => self.create_named(pending, name, room_name),
            Act::Enter(Enter { key }) => self.enter_by_key(author, name, key),
        }
    }

    /// A room by a name gets the first of its keys that is free.
    fn create_named(
        &mut self,
        pending: &Pending,
        name: DisplayName,
        room_name: &RoomName,
    ) -> Result<Decision, Refusal> {
        let room_name = words::room_name(room_name)?;
        let keys = facts::candidates(&room_name, pending.op.op_id);
        let free = keys.into_iter().find(|key| !self.facts.keys.contains_key(key));
        self.create(pending.author, name, free.ok_or(Refusal::BadName)?, room_name)
    }

    /// Who names a key wants to be in its room, made by him or not: he is told of his joining.
    fn enter_by_key(
        &mut self,
        author: UserId,
        name: DisplayName,
        key: &RoomKey,
    ) -> Result<Decision, Refusal> {
        let key = key::canonical(key).ok_or(Refusal::BadName)?;
        if let Some(room) = self.facts.keys.get(&key) {
            return self.enter(author, name, *room);
        }
        let room_name = words::room_name(&RoomName::cut(&key))?;
        let created = self.create(author, name, key, room_name)?;
        Ok(Decision { named: 1, ..created })
    }

    fn enter(&self, author: UserId, name: DisplayName, room: RoomId) -> Result<Decision, Refusal> {
        if self.facts.membership(room, author).is_some() {
            return Ok(Decision { log: room.log(), named: 0, changes: Vec::new() });
        }
        self.check_room_count(author)?;
        let known = self.facts.rooms.get(&room).ok_or(Refusal::NotMember)?;
        let added = RoomAdded { room, key: known.key.clone(), name: known.name.clone() };
        let mut decision = Decision::of(room.log(), Change::Joined(Joined { name }));
        decision.changes.push((author.log(), Change::RoomAdded(added)));
        Ok(decision)
    }

    fn create(
        &mut self,
        author: UserId,
        name: DisplayName,
        key: RoomKey,
        room_name: RoomName,
    ) -> Result<Decision, Refusal> {
        self.check_room_count(author)?;
        let room = self.new_room();
        let added = RoomAdded { room, key: key.clone(), name: room_name.clone() };
        let created = Created { key, name: room_name, everyone: false };
        let mut decision = Decision::of(room.log(), Change::Created(created));
        decision.changes.push((room.log(), Change::Joined(Joined { name })));
        decision.changes.push((author.log(), Change::RoomAdded(added)));
        Ok(decision)
    }

    fn check_room_count(&self, author: UserId) -> Result<(), Refusal> {
        let rooms_max = self.rules.rooms_max;
        let count = self.facts.users.get(&author).map_or(0, |known| known.room_count);
        if count < u64::from(rooms_max) { Ok(()) } else { Err(Refusal::TooManyRooms { rooms_max }) }
    }

    fn new_room(&mut self) -> RoomId {
        let room = RoomId::make(self.now_ms, self.chance.id_bytes());
        let (log, epoch) = (room.log(), self.chance.epoch());
        self.facts.add_log(log, epoch, 0);
        self.effects.logs.push(LogRecord { log, epoch, head: 0 });
        room
    }

    fn write_all(&mut self, pending: &Pending, changes: &[(LogId, Change)]) -> Vec<Envelope> {
        let (author, op_id) = (pending.author, pending.op.op_id);
        let cause = Cause { author, device: pending.device, op_id };
        changes.iter().filter_map(|(log, change)| self.write(&cause, *log, change)).collect()
    }

    /// Gives an event the next number of its log; nothing where the log is not among the facts.
    fn write(&mut self, cause: &Cause, log: LogId, change: &Change) -> Option<Envelope> {
        let known = self.facts.logs.get(&log)?;
        let envelope = Envelope {
            log,
            seq: known.head.saturating_add(1),
            id: EventId::make(self.now_ms, self.chance.id_bytes()),
            at: self.now_ms,
            author: cause.author,
            op_id: cause.op_id,
            flags: 0,
            kind: change.kind().number(),
            body: body(change),
        };
        self.facts.fold(&envelope, change);
        self.effects.fold(&envelope, change);
        let stored = EventRecord { envelope: envelope.clone(), device: cause.device };
        self.effects.events.push(stored);
        Some(envelope)
    }
}

impl Decision {
    /// One event, which is named; others may be put behind it.
    fn of(log: LogId, change: Change) -> Self {
        Self { log, named: 0, changes: vec![(log, change)] }
    }
}

/// The stored answer, or the refusal of another act under the same key.
fn repeated(op: &OpRecord, payload_hash: i64) -> Verdict {
    if op.payload_hash != payload_hash {
        return refused(op.op_id, Refusal::OpIdReused);
    }
    match &op.refusal {
        Some(refusal) => refused(op.op_id, refusal.clone()),
        None => {
            let OpRecord { op_id, log, seq, id, at, .. } = *op;
            Verdict::Accepted(Accepted { op_id, log, seq, id, at })
        }
    }
}

/// The row of an op that the store takes in no other form.
pub(super) fn not_storable(pending: &Pending, now_ms: i64) -> OpRecord {
    OpRecord {
        author: pending.author,
        op_id: pending.op.op_id,
        payload_hash: payload_hash(pending),
        refusal: Some(Refusal::NotStorable),
        log: pending.author.log(),
        seq: 0,
        id: EventId::NIL,
        at: now_ms,
    }
}

/// The answer to an op that will not be done.
pub(super) const fn refused(op_id: OpId, refusal: Refusal) -> Verdict {
    Verdict::Refused(Refused { op_id, refusal })
}

/// What an op is compared by: the first eight bytes of SHA-256 over its kind, its lane and the act,
/// decoded and encoded again, since bincode reads several spellings of one value.
#[must_use]
#[expect(clippy::expect_used, reason = "bounded values encode into memory")]
pub fn payload_hash(pending: &Pending) -> i64 {
    let lane = pending.lane();
    let payload = pending.op.act.canonical_bytes().expect("an act encodes");
    let mut hasher = Sha256::new();
    hasher.update(pending.op.act.kind().number().to_le_bytes());
    hasher.update([u8::from(lane.room().is_none())]);
    hasher.update(lane.id);
    hasher.update(payload);
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hasher.finalize());
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[expect(clippy::expect_used, reason = "40 KiB of text and a name are within 48 KiB")]
fn body(change: &Change) -> Blob<{ protocol::limits::CHANGE_BYTES_MAX }> {
    Blob::new(change.encode().expect("a change encodes")).expect("a change is within its bound")
}
