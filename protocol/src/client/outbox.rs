//! What the user did and the server has not yet accepted: kept in order, sent again until answered.
//!
//! Used by the machine alone; in memory, beside the shelf that holds its messages over the page's
//! end. Its laws: ops of one strand (`act::Strand`) are sent in the order they were made; none is
//! sent while it is on its way to the shelf; at most a window of them is under way; an op is sent a
//! second time only after a new connection or a `RefuseRetry`, which voids all that is for its log;
//! an op belongs to the user who made it and is never sent as another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::shelf::{Kept, SHELF_MS_MAX, is_kept};
use crate::act::{OWN_KINDS, Op, OpHead, Post, Strand};
use crate::codec::encode_command;
use crate::frame::{Act, Command, Kind};
use crate::ids::{LogId, OpId, RoomId, UserId};
use crate::limits::{OUTBOX_BYTES_MAX, OUTBOX_DAYS_MAX, OUTBOX_OPS_MAX};
use crate::refusal::{Refusal, RetryReason};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const AGE_MS_MAX: i64 = OUTBOX_DAYS_MAX * DAY_MS;
/// What an act counts besides its text.
const ACT_BYTES: usize = 64;

/// The client's unaccepted ops.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: VecDeque<Entry>,
    /// What each log's acts are sent under on this connection; nothing is the user's own log.
    generations: BTreeMap<Option<RoomId>, u32>,
    /// The strands that take nothing before a time.
    closed: BTreeMap<Strand, i64>,
    bytes: usize,
    last_number: u32,
    /// Ops to be taken off the shelf.
    done: Vec<OpId>,
}

#[derive(Debug)]
struct Entry {
    op: Op,
    user: Option<UserId>,
    queued_at: i64,
    /// Its place among those of the same millisecond.
    number: u32,
    ever_sent: bool,
    on_shelf: bool,
    /// It lay there as another's until he was greeted.
    has_waited: bool,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Shelving { since: i64 },
    Queued,
    InFlight { sent_at: i64 },
    Failed(Refusal),
}

impl Entry {
    fn strand(&self) -> Strand {
        self.op.act.strand(UserId::NIL)
    }

    fn room(&self) -> Option<RoomId> {
        self.strand().log.room()
    }

    fn bytes(&self) -> usize {
        bytes_of(&self.op.act)
    }

    fn is_too_old(&self, now: i64) -> bool {
        now - self.queued_at >= AGE_MS_MAX
    }

    const fn has_failed(&self) -> bool {
        matches!(self.stage, Stage::Failed(_))
    }

    fn kept(&self) -> Kept {
        let Self { user, queued_at, number, .. } = *self;
        let failed = match &self.stage {
            Stage::Failed(refusal) => Some(refusal.clone()),
            Stage::Shelving { .. } | Stage::Queued | Stage::InFlight { .. } => None,
        };
        Kept { op: self.op.clone(), user, queued_at, number, failed }
    }
}

fn bytes_of(act: &Act) -> usize {
    match act {
        Act::Post(Post { text, .. }) => ACT_BYTES + text.len(),
        _ => ACT_BYTES,
    }
}

impl Outbox {
    /// Takes an op in, or gives it back when there is no room for it or its id is in use.
    pub(super) fn push(&mut self, op: Op, user: Option<UserId>, now: i64) -> Result<(), Op> {
        let bytes = bytes_of(&op.act);
        let full = self.entries.len() >= OUTBOX_OPS_MAX || self.bytes + bytes > OUTBOX_BYTES_MAX;
        if full || self.entries.iter().any(|entry| entry.op.op_id == op.op_id) {
            return Err(op);
        }
        self.bytes += bytes;
        self.last_number = self.last_number.wrapping_add(1);
        self.entries.push_back(Entry {
            op,
            user,
            queued_at: now,
            number: self.last_number,
            ever_sent: false,
            on_shelf: false,
            has_waited: false,
            stage: Stage::Queued,
        });
        Ok(())
    }

    /// Holds an op back until it is on the shelf; gives what is to be put there.
    pub(super) fn shelve(&mut self, op_id: OpId, now: i64) -> Option<Kept> {
        let entry = self.entries.iter_mut().find(|entry| entry.op.op_id == op_id)?;
        entry.stage = Stage::Shelving { since: now };
        entry.on_shelf = true;
        Some(entry.kept())
    }

    /// An op is on the shelf, or will not be: what waits may be sent. Gives whether what lay there of it
    /// before must not stay, since it would be sent; nothing where it is not here.
    pub(super) fn shelved(&mut self, op_id: OpId, done: bool, is_last: bool) -> Option<bool> {
        let entry = self.entries.iter_mut().find(|entry| entry.op.op_id == op_id)?;
        let was_there = entry.on_shelf;
        // Behind a failure that is not the last answer there lies what lay there before.
        entry.on_shelf = done || (was_there && !is_last);
        if let Stage::Shelving { .. } = entry.stage {
            entry.stage = Stage::Queued;
        }
        Some(entry.has_failed() && was_there && !done)
    }

    /// Whether every message that waits is on the shelf, or on its way there.
    pub(super) fn is_shelved(&self) -> bool {
        let waits = |entry: &&Entry| !entry.has_failed() && is_kept(&entry.op.act);
        self.entries.iter().filter(waits).all(|entry| entry.on_shelf)
    }

    /// Lets go on what waited too long for the shelf; whether there was any.
    pub(super) fn shelf_is_silent(&mut self, now: i64) -> bool {
        let mut any = false;
        for entry in &mut self.entries {
            if matches!(entry.stage, Stage::Shelving { since } if now - since >= SHELF_MS_MAX) {
                entry.stage = Stage::Queued;
                entry.on_shelf = false;
                any = true;
            }
        }
        any
    }

    /// Takes an op in from the shelf, in its old place; `false` where it is known. It counts as sent:
    /// nobody wrote down whether it was. There is always room for it, since it had its place in the
    /// outbox of the page that wrote it; were it left there, newer ones would overtake it.
    pub(super) fn restore(&mut self, kept: Kept, has_waited: bool) -> bool {
        let Kept { op, user, queued_at, number, failed } = kept;
        if self.entries.iter().any(|entry| entry.op.op_id == op.op_id) {
            return false;
        }
        self.bytes += bytes_of(&op.act);
        let later = |entry: &Entry| (entry.queued_at, entry.number) > (queued_at, number);
        let place = self.entries.iter().position(later).unwrap_or(self.entries.len());
        let stage = failed.map_or(Stage::Queued, Stage::Failed);
        let (ever_sent, on_shelf) = (true, true);
        let entry = Entry { op, user, queued_at, number, ever_sent, on_shelf, has_waited, stage };
        self.entries.insert(place, entry);
        true
    }

    /// Ops on the shelf that are nobody's are this user's now; they are to be put there anew.
    pub(super) fn sign(&mut self, user: UserId, now: i64) -> Vec<Kept> {
        let nameless = |entry: &&mut Entry| entry.on_shelf && entry.user.is_none();
        let signed = self.entries.iter_mut().filter(nameless).map(|entry| {
            entry.user = Some(user);
            if !entry.has_failed() {
                entry.stage = Stage::Shelving { since: now };
            }
            entry.kept()
        });
        signed.collect()
    }

    /// The ops that are to be taken off the shelf, once.
    pub(super) fn take_done(&mut self) -> Vec<OpId> {
        std::mem::take(&mut self.done)
    }

    /// The next op that may be sent by this user; it is under way from here on.
    pub(super) fn next(&mut self, user: UserId, window: usize, now: i64) -> Option<Command> {
        let in_flight = self.in_flight().count();
        if in_flight >= window {
            return None;
        }
        let closed = &self.closed;
        let is_open = |strand: &Strand| closed.get(strand).is_none_or(|until| *until <= now);
        let mut waiting = BTreeSet::new();
        let entry = self.entries.iter_mut().find(|entry| {
            if let Stage::Shelving { .. } = entry.stage {
                waiting.insert(entry.strand());
            }
            entry.stage == Stage::Queued
                && !waiting.contains(&entry.strand())
                && entry.user.is_none_or(|owner| owner == user)
                && is_open(&entry.strand())
        })?;
        entry.user = Some(user);
        let head = OpHead {
            op_id: entry.op.op_id,
            lane_generation: self.generations.get(&entry.room()).copied().unwrap_or_default(),
            check_only: entry.is_too_old(now),
        };
        entry.ever_sent = true;
        entry.stage = Stage::InFlight { sent_at: now };
        Some(Command::Op(head, entry.op.act.clone()))
    }

    /// The op is stored, or was seen in its log; `false` where it was not waiting.
    pub(super) fn confirm(&mut self, op_id: OpId) -> bool {
        self.remove(op_id, |entry| !entry.has_failed()).is_some()
    }

    /// The op will not be done; it stays, to be tried again or discarded by its user. Gives it as it is
    /// kept from now on; nothing where it is not here or has failed before.
    pub(super) fn fail(&mut self, op_id: OpId, refusal: Refusal) -> Option<Kept> {
        let waits = |entry: &&mut Entry| entry.op.op_id == op_id && !entry.has_failed();
        let entry = self.entries.iter_mut().find(waits)?;
        entry.stage = Stage::Failed(refusal);
        Some(entry.kept())
    }

    /// An op was refused for now: all that was under way to its log is void and goes out again in
    /// order, its strand not before that time. Where it was not its own rate that was too fast, the
    /// log's other strands wait, too. Gives the kinds of those that do.
    pub(super) fn refuse_lane(
        &mut self,
        (op_id, log): (OpId, LogId),
        generation: u32,
        (reason, until): (RetryReason, i64),
    ) -> Vec<Option<Kind>> {
        let room = log.room();
        let known = self.generations.entry(room).or_default();
        *known = generation.max(*known);
        let refused = self.entries.iter().find(|entry| entry.op.op_id == op_id);
        let kinds = match refused.map(|entry| entry.strand().kind) {
            _ if room.is_some() => vec![None],
            Some(kind) if reason == RetryReason::Rate => vec![kind],
            _ => OWN_KINDS.map(Some).to_vec(),
        };
        let log = room.map_or(UserId::NIL.log(), RoomId::log);
        for kind in &kinds {
            let closed = self.closed.entry(Strand { log, kind: *kind }).or_default();
            *closed = until.max(*closed);
        }
        for entry in self.entries.iter_mut().filter(|entry| entry.room() == room) {
            if let Stage::InFlight { .. } = entry.stage {
                entry.stage = Stage::Queued;
            }
        }
        kinds
    }

    /// The connection is over: what was under way waits again, and lanes begin anew.
    pub(super) fn disconnected(&mut self) {
        self.generations.clear();
        self.closed.clear();
        for entry in &mut self.entries {
            if let Stage::InFlight { .. } = entry.stage {
                entry.stage = Stage::Queued;
            }
        }
    }

    /// Takes out an op that failed or was never sent; what was once sent cannot be called back.
    pub(super) fn discard(&mut self, op_id: OpId) -> Option<Op> {
        self.remove(op_id, |entry| entry.has_failed() || !entry.ever_sent)
    }

    /// Takes out an op that failed.
    pub(super) fn take_failed(&mut self, op_id: OpId) -> Option<Op> {
        self.remove(op_id, Entry::has_failed)
    }

    /// Takes out what waited on the shelf for another user than this one, where it still lies.
    pub(super) fn take_waiting(&mut self, user: UserId) -> Vec<Kept> {
        let waits = |entry: &Entry| {
            entry.has_waited && entry.on_shelf && entry.user.is_some_and(|owner| owner != user)
        };
        let (taken, rest): (VecDeque<_>, _) =
            std::mem::take(&mut self.entries).into_iter().partition(waits);
        self.entries = rest;
        self.bytes = self.bytes.saturating_sub(taken.iter().map(Entry::bytes).sum());
        taken.iter().map(Entry::kept).collect()
    }

    /// Takes out the ops of every other user.
    pub(super) fn take_foreign(&mut self, user: UserId) -> Vec<Op> {
        let foreign = |entry: &Entry| entry.user.is_some_and(|owner| owner != user);
        let op_ids: Vec<OpId> = self
            .entries
            .iter()
            .filter(|entry| foreign(entry))
            .map(|entry| entry.op.op_id)
            .collect();
        op_ids.into_iter().filter_map(|op_id| self.remove(op_id, foreign)).collect()
    }

    /// The ops that were never sent and waited too long; those that were once sent are asked for with
    /// `check_only` instead, since they may stand in the room.
    pub(super) fn expired(&self, now: i64) -> Vec<OpId> {
        let due = |entry: &&Entry| {
            entry.stage == Stage::Queued && !entry.ever_sent && entry.is_too_old(now)
        };
        self.entries.iter().filter(due).map(|entry| entry.op.op_id).collect()
    }

    /// The op under way whose frame is the longest, the first of equals.
    pub(super) fn longest_in_flight(&self) -> Option<OpId> {
        let frame_bytes = |entry: &Entry| {
            let op_id = entry.op.op_id;
            let lane_generation = self.generations.get(&entry.room()).copied().unwrap_or_default();
            let head = OpHead { op_id, lane_generation, check_only: false };
            let frame = encode_command(&Command::Op(head, entry.op.act.clone()));
            frame.map_or(usize::MAX, |frame| frame.len())
        };
        let under_way = self
            .entries
            .iter()
            .filter(|entry| matches!(entry.stage, Stage::InFlight { .. }))
            .map(|entry| (frame_bytes(entry), entry.op.op_id));
        // Of equals `max_by_key` gives the last one.
        under_way.rev().max_by_key(|(bytes, _)| *bytes).map(|(_, op_id)| op_id)
    }

    /// Ops that are neither accepted nor failed.
    pub(super) fn waiting_count(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.has_failed()).count()
    }

    /// Whether it takes no further message of a common length.
    pub(super) fn is_full(&self) -> bool {
        let room_for = crate::limits::TEXT_BYTES_MAX + ACT_BYTES;
        self.entries.len() >= OUTBOX_OPS_MAX || self.bytes + room_for > OUTBOX_BYTES_MAX
    }

    /// When the op that waits longest for its answer was sent.
    pub(super) fn oldest_in_flight(&self) -> Option<i64> {
        self.in_flight().min()
    }

    /// When a closed strand opens, an op expires or the shelf is given up, whichever comes first.
    pub(super) fn wake_at(&self, now: i64) -> Option<i64> {
        let queued = || self.entries.iter().filter(|entry| entry.stage == Stage::Queued);
        let opens = self.closed.iter().filter(|(strand, until)| {
            **until > now && queued().any(|entry| entry.strand() == **strand)
        });
        let expires = queued().filter(|entry| !entry.ever_sent).map(|entry| entry.queued_at);
        let expires = expires.min().map(|queued_at| queued_at + AGE_MS_MAX);
        let silent = self.entries.iter().filter_map(|entry| match entry.stage {
            Stage::Shelving { since } => Some(since + SHELF_MS_MAX),
            _ => None,
        });
        opens.map(|(_, until)| *until).chain(expires).chain(silent).min()
    }

    fn in_flight(&self) -> impl Iterator<Item = i64> {
        self.entries.iter().filter_map(|entry| match entry.stage {
            Stage::InFlight { sent_at } => Some(sent_at),
            Stage::Shelving { .. } | Stage::Queued | Stage::Failed(_) => None,
        })
    }

    fn remove(&mut self, op_id: OpId, allowed: impl Fn(&Entry) -> bool) -> Option<Op> {
        let found =
            self.entries.iter().position(|entry| entry.op.op_id == op_id && allowed(entry))?;
        let entry = self.entries.remove(found)?;
        self.bytes = self.bytes.saturating_sub(entry.bytes());
        if entry.on_shelf {
            self.done.push(op_id);
        }
        Some(entry.op)
    }
}
