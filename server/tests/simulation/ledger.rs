//! The ledger: what truly happened, and the invariants that are held against it.
//!
//! The world tells it every event that the store took, every answer and every event that a client
//! saw. Its law: whatever contradicts a promise (`README.md`) is a panic that names the invariant:
//! I1 accepted is stored, I2 once, I3 no holes, I4 contiguous, I5 told is stored, I6 consecutive on
//! one connection, I7 in the order of the acts, I8 never both failed and stored.

use std::collections::{BTreeMap, BTreeSet};

use protocol::act::Strand;
use protocol::change::Envelope;
use protocol::cursor::Cursor;
use protocol::event::Accepted;
use protocol::frame::Change;
use protocol::ids::{EventId, LogId, OpId, UserId};
use protocol::refusal::Refusal;

/// All that is true of a run so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Every event that was ever stored, and which event of its log stood before it.
    stored: BTreeMap<EventId, Stored>,
    /// The logs as they stand in the store now.
    logs: BTreeMap<LogId, Vec<EventId>>,
    /// Events that a restore has undone.
    undone: BTreeSet<EventId>,
    /// How many restores there were.
    restores: u64,
    /// The events of each op, in one log.
    by_op: BTreeMap<(UserId, OpId), Vec<EventId>>,
    accepted: BTreeMap<(UserId, OpId), Accepted>,
    refused: BTreeMap<(UserId, OpId), Refusal>,
    /// What each person did in each strand of each outbox.
    acts: BTreeMap<(usize, Strand, UserId), Acts>,
    /// Messages that outlive their page, and of which no page has told yet what became of them.
    kept: BTreeSet<(UserId, OpId)>,
}

/// Ops in the order in which their person did them.
#[derive(Debug, Default)]
struct Acts {
    /// What an earlier page left.
    left: Vec<(UserId, OpId)>,
    /// What was done on this one, which may not know yet what was left.
    done: Vec<(UserId, OpId)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    envelope: Envelope,
    before: EventId,
}

impl Ledger {
    /// There is such a log; whether that is new.
    pub(crate) fn begin(&mut self, log: LogId) -> bool {
        let is_new = !self.logs.contains_key(&log);
        self.logs.entry(log).or_default();
        is_new
    }

    /// The logs there are.
    pub(crate) fn logs(&self) -> impl Iterator<Item = LogId> {
        self.logs.keys().copied()
    }

    /// The last number of a log.
    pub(crate) fn head(&self, log: LogId) -> u64 {
        self.logs.get(&log).map_or(0, |ids| number(ids.len()))
    }

    /// How many events the store holds.
    pub(crate) fn event_count(&self) -> u64 {
        self.logs.values().map(|ids| number(ids.len())).sum()
    }

    /// The store holds this event now, as the next one of its log.
    pub(crate) fn stored(&mut self, envelope: Envelope) {
        let log = self.logs.entry(envelope.log).or_default();
        assert_eq!(envelope.seq, number(log.len()) + 1, "I3: a hole in {:?}", envelope.log);
        let before = log.last().copied().unwrap_or(EventId::NIL);
        log.push(envelope.id);
        if !envelope.op_id.is_nil() {
            let key = (envelope.author, envelope.op_id);
            let twins = self.by_op.entry(key).or_default();
            let same = |id: &&EventId| {
                let twin = &self.stored[*id].envelope;
                (twin.log, twin.kind) == (envelope.log, envelope.kind)
            };
            assert_eq!(twins.iter().find(same), None, "I2: {key:?} has two effects");
            twins.push(envelope.id);
            assert!(!self.refused.contains_key(&key), "I8: {key:?} was refused and is stored");
        }
        let twin = self.stored.insert(envelope.id, Stored { envelope, before });
        assert_eq!(twin, None, "an id was used twice");
    }

    /// The events of a log as it stands in the store now.
    pub(crate) fn events(&self, log: LogId) -> impl Iterator<Item = &Envelope> {
        self.logs.get(&log).into_iter().flatten().map(|id| &self.stored[id].envelope)
    }

    /// An older copy of the store took its place; these are its heads.
    pub(crate) fn restored(&mut self, heads: &BTreeMap<LogId, Cursor>) {
        for (log, ids) in &mut self.logs {
            let head = usize::try_from(heads.get(log).map_or(0, |head| head.seq)).unwrap();
            self.undone.extend(ids.split_off(head));
        }
        let undone = &self.undone;
        self.by_op.values_mut().for_each(|ids| ids.retain(|id| !undone.contains(id)));
        self.restores += 1;
        // What was refused may be forgotten by the copy: only ops of the new life count again.
        self.refused.clear();
    }

    /// A person did this in a strand of the outbox of this number; or an earlier page left it there.
    pub(crate) fn acted(&mut self, strand: (usize, Strand), is_left: bool, op: (UserId, OpId)) {
        let acts = self.acts.entry((strand.0, strand.1, op.0)).or_default();
        if is_left { acts.left.push(op) } else { acts.done.push(op) }
    }

    /// The page of an outbox has ended, and of what it had not heard it kept only some: the rest is
    /// no longer sent, and what of it was under way may come behind what the next page sends again.
    /// What is stored already has its place, and keeps it.
    pub(crate) fn page_ended(&mut self, outbox: usize, unheard: &[(UserId, OpId)]) {
        let is_stored =
            |op: &(UserId, OpId)| self.by_op.get(op).is_some_and(|events| !events.is_empty());
        let is_lost =
            |op: &(UserId, OpId)| unheard.contains(op) && !self.kept.contains(op) && !is_stored(op);
        for (_, acts) in self.acts.iter_mut().filter(|((other, ..), _)| *other == outbox) {
            acts.left.retain(|op| !is_lost(op));
            acts.done.retain(|op| !is_lost(op));
        }
    }

    /// A person was told that his message outlives the page.
    pub(crate) fn kept(&mut self, user: UserId, op_id: OpId) {
        self.kept.insert((user, op_id));
    }

    /// He was told what became of it, or took it back.
    pub(crate) fn decided(&mut self, user: UserId, op_id: OpId) {
        self.kept.remove(&(user, op_id));
    }

    /// Which life of the store this is: another one behind every restore.
    pub(crate) const fn life(&self) -> u64 {
        self.restores
    }

    /// Whose message this is, and by which op.
    pub(crate) fn made(&self, id: EventId) -> (UserId, OpId) {
        let Envelope { author, op_id, .. } = self.stored[&id].envelope;
        (author, op_id)
    }

    /// A person saw that his act is stored, on a page that began in this life of the store: what
    /// that has heard of an older one it can only have from what a browser kept.
    pub(crate) fn sent(&mut self, key: (UserId, OpId), seq: u64, life: u64) {
        let stands = self.by_op.get(&key).is_some_and(|events| !events.is_empty());
        let may_be_gone = seq == 0 || life < self.restores;
        assert!(stands || may_be_gone, "G7: {key:?} is shown as sent, and is not stored");
        self.decided(key.0, key.1);
    }

    /// A client was told that its op is stored.
    pub(crate) fn accepted(&mut self, user: UserId, accepted: Accepted) {
        let key = (user, accepted.op_id);
        assert!(!self.refused.contains_key(&key), "I8: {key:?} was refused and is accepted");
        if accepted.seq > 0 {
            let stored = self.stored.get(&accepted.id).map(|stored| &stored.envelope);
            let stored = stored.expect("I1: an accepted op is stored");
            let place = (stored.log, stored.seq, stored.op_id, stored.author);
            let said = (accepted.log, accepted.seq, accepted.op_id, user);
            assert_eq!(place, said, "I1: an accepted op is stored elsewhere");
        }
        if let Some(before) = self.accepted.insert(key, accepted.clone()) {
            let undone = before.seq == 0 || self.undone.contains(&before.id);
            assert!(undone || before == accepted, "I2: {before:?}, then {accepted:?}");
        }
    }

    /// A client was told that its op will never be done.
    pub(crate) fn refused(&mut self, user: UserId, op_id: OpId, refusal: Refusal) {
        let key = (user, op_id);
        let stored = self.by_op.get(&key).is_some_and(|ids| !ids.is_empty());
        assert!(!stored, "I8: {key:?} is stored and was refused: {refusal:?}");
        self.refused.insert(key, refusal);
    }

    /// A client was told this event as the one that follows on `before`.
    pub(crate) fn followed(&self, before: EventId, envelope: &Envelope) {
        let stored = self.stored.get(&envelope.id).expect("I5: a told event is stored");
        assert_eq!(&stored.envelope, envelope, "I5: an event was told otherwise than it is stored");
        assert_eq!(stored.before, before, "I4, I13: {} does not follow", envelope.seq);
    }

    /// A client was told that a log stands here; gives the id of the event at the cursor.
    pub(crate) fn began(&self, log: LogId, cursor: Cursor) -> EventId {
        if cursor.seq == 0 {
            return EventId::NIL;
        }
        let found = self.stored.iter().find(|(_, stored)| {
            let event = &stored.envelope;
            (event.log, event.seq, event.id.tag()) == (log, cursor.seq, cursor.tag)
        });
        *found.expect("I13: a cursor names a stored event").0
    }

    /// Whether this event stands at or before that one in its log.
    pub(crate) fn leads_to(&self, id: EventId, mut last: EventId) -> bool {
        while last != id {
            let Some(stored) = self.stored.get(&last) else { return false };
            last = stored.before;
        }
        true
    }

    /// Whether the user was a member when the log, after this event, stood at `seq`; nothing where
    /// it never stood so.
    pub(crate) fn admitted(
        &self,
        user: UserId,
        log: LogId,
        after: EventId,
        seq: u64,
    ) -> Option<bool> {
        if log.room().is_none() {
            return Some(log == user.log());
        }
        let stood = |(id, stored): &(&EventId, &Stored)| {
            let event = &stored.envelope;
            (event.log, event.seq) == (log, seq) && self.leads_to(after, **id)
        };
        let heads = self.stored.iter().filter(stood);
        heads.map(|(id, _)| self.is_member(user, *id)).reduce(|one, other| one || other)
    }

    /// Whether the user is a member behind this event: he joined last, or the room is everybody's.
    fn is_member(&self, user: UserId, mut id: EventId) -> bool {
        while let Some(Stored { envelope, before }) = self.stored.get(&id) {
            let own = envelope.author == user;
            match Change::decode(envelope.kind, &envelope.body) {
                Ok(Some(Change::Joined(_))) if own => return true,
                Ok(Some(Change::Left(_))) if own => return false,
                Ok(Some(Change::Created(created))) => return created.everyone,
                _ => id = *before,
            }
        }
        false
    }

    /// What holds of the whole run when it is over.
    pub(crate) fn settle(&self) {
        for (key, accepted) in self.accepted.iter().filter(|(_, accepted)| accepted.seq > 0) {
            let stands = self.logs.get(&accepted.log).is_some_and(|ids| ids.contains(&accepted.id));
            let undone = self.undone.contains(&accepted.id);
            assert!(stands || undone, "I1: accepted {key:?} is not in the log");
        }
        assert!(self.kept.is_empty(), "G7: kept, and never heard of again: {:?}", self.kept);
        for ((outbox, strand, _), acts) in &self.acts {
            let acts = acts.left.iter().chain(&acts.done);
            let places: Vec<u64> = acts.filter_map(|key| self.place(*key, strand.log)).collect();
            assert!(places.is_sorted(), "I7: outbox {outbox} in {strand:?}: {places:?}");
        }
    }

    /// Where the op's event stands in its log.
    fn place(&self, key: (UserId, OpId), log: LogId) -> Option<u64> {
        let ids = self.by_op.get(&key)?;
        let events = ids.iter().map(|id| &self.stored[id].envelope);
        events.filter(|event| event.log == log).map(|event| event.seq).min()
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}
