//! What a tab shows: the sum of all that its client told it, and the promises made to its reader.
//!
//! Applied like a page would apply it. Its law: nothing is put right here; whatever does not follow
//! on what stood before is a broken promise and a panic.

use std::collections::BTreeMap;

use protocol::bounded::{List, Text};
use protocol::client::exchange::{Standing, Told};
use protocol::event::Snapshot;
use protocol::frame::{Change, Kind};
use protocol::ids::{EventId, LogId, OpId, RoomId, UserId};
use protocol::limits::SNAPSHOT_MESSAGES_MAX;
use protocol::model::{Message, Messages, Role, RoomEntry, RoomKey};

use crate::ledger::Ledger;

/// As many members has a room by what a browser kept of it, and by no server.
pub(crate) const KEPT: u64 = u64::MAX;

/// One tab's view of the world.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    pub(crate) me: Option<UserId>,
    standing: Standing,
    rooms: BTreeMap<RoomId, RoomKey>,
    logs: BTreeMap<LogId, View>,
    ops: BTreeMap<OpId, State>,
}

/// What is known of one log.
#[derive(Debug, Clone, Default)]
struct View {
    seq: u64,
    last: EventId,
    /// The messages from some number on, each with its id.
    messages: BTreeMap<u64, EventId>,
    /// Whether older messages are left out.
    older: bool,
}

/// What a person sees beside what he wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Queued,
    Sent,
    Failed,
}

impl Screen {
    /// Takes in what the client told, and checks that it follows.
    pub(crate) fn tell(&mut self, told: &Told, ledger: &Ledger) {
        match told {
            Told::Standing(standing) => self.standing = standing.clone(),
            Told::Welcomed { me, .. } => self.me = Some(me.id),
            Told::Rooms(rooms) => {
                self.rooms = rooms.iter().map(|room| (room.id, room.key.clone())).collect();
            }
            Told::Queued { op, .. } => self.moved(op.op_id, State::Queued),
            Told::Accepted { op_id, .. } => self.moved(*op_id, State::Sent),
            Told::Failed { op_id, .. } => self.moved(*op_id, State::Failed),
            Told::Discarded(op_id) => {
                let state = self.ops.remove(op_id);
                assert_ne!(state, Some(State::Sent), "G7: a sent message was taken back");
            }
            Told::Logged { envelope, change } => {
                let view = self.logs.get_mut(&envelope.log).expect("I13: an event without a start");
                assert_eq!(envelope.seq, view.seq + 1, "I4: a hole on the screen");
                ledger.followed(view.last, envelope);
                (view.seq, view.last) = (envelope.seq, envelope.id);
                self.happened(envelope, change.as_ref());
            }
            Told::Reset { log, cursor, snapshot, .. } => {
                let last = ledger.began(*log, *cursor);
                let mut view = View { seq: cursor.seq, last, ..View::default() };
                if let Some(snapshot) = snapshot {
                    view.show(snapshot, ledger);
                }
                self.logs.insert(*log, view);
            }
            Told::Older { room, before, messages, older } => {
                if let Some(view) = self.logs.get_mut(&room.log()) {
                    view.add_older(messages, (*before, *older), ledger);
                }
            }
            _ => {}
        }
    }

    /// The page was drawn by the server with the room as it stood then.
    pub(crate) fn drawn(
        &mut self,
        log: LogId,
        last: EventId,
        snapshot: &Snapshot,
        ledger: &Ledger,
    ) {
        let mut view = View { seq: snapshot.room.head, last, ..View::default() };
        view.show(snapshot, ledger);
        self.logs.insert(log, view);
    }

    /// A room's newest messages, as a browser keeps them.
    pub(crate) fn page(&self, room: RoomId, ledger: &Ledger) -> Option<Snapshot> {
        let view = self.logs.get(&room.log())?;
        let left_out = view.messages.len().saturating_sub(SNAPSHOT_MESSAGES_MAX);
        let newest = view.messages.iter().skip(left_out).map(|(seq, id)| {
            let (author, op_id) = ledger.made(*id);
            let (name, text) = (Text::default(), Text::default());
            Message { seq: *seq, id: *id, at: 0, author, name, op_id, text }
        });
        let entry = RoomEntry {
            id: room,
            key: self.rooms.get(&room)?.clone(),
            name: Text::default(),
            topic: Text::default(),
            everyone: false,
            role: Role::Member,
            head: view.seq,
        };
        let older = view.older || left_out > 0;
        Some(Snapshot { room: entry, member_count: KEPT, messages: List::cut(newest), older })
    }

    /// An own op moves on, never back.
    fn moved(&mut self, op_id: OpId, to: State) {
        let before = self.ops.insert(op_id, to);
        let forward = match before {
            None | Some(State::Queued) => true,
            Some(State::Sent | State::Failed) => false,
        };
        assert!(forward, "I9, G7: {op_id} went from {before:?} to {to:?}");
    }

    fn happened(&mut self, envelope: &protocol::change::Envelope, change: Option<&Change>) {
        match change {
            Some(Change::RoomAdded(added)) => {
                self.rooms.insert(added.room, added.key.clone());
            }
            Some(Change::RoomRemoved(removed)) => {
                self.rooms.remove(&removed.room);
            }
            Some(Change::Posted(_)) => {
                if let Some(view) = self.logs.get_mut(&envelope.log) {
                    view.messages.insert(envelope.seq, envelope.id);
                }
            }
            _ => {}
        }
    }

    /// The room of this place in the list, if there is any.
    pub(crate) fn room(&self, place: usize) -> Option<RoomId> {
        let place = place.checked_rem(self.rooms.len())?;
        self.rooms.keys().nth(place).copied()
    }

    /// The lowest number on the screen, where older messages are left out.
    pub(crate) fn oldest(&self, room: RoomId) -> Option<u64> {
        let view = self.logs.get(&room.log()).filter(|view| view.older)?;
        view.messages.keys().next().copied()
    }

    /// Whether the room is in the list.
    pub(crate) fn lists(&self, room: RoomId) -> bool {
        self.rooms.contains_key(&room)
    }

    /// The oldest op that failed.
    pub(crate) fn failed(&self) -> Option<OpId> {
        let mut failed = self.ops.iter().filter(|(_, state)| **state == State::Failed);
        failed.next().map(|(op_id, _)| *op_id)
    }

    /// Whether this op is shown as failed.
    pub(crate) fn has_failed(&self, op_id: OpId) -> bool {
        self.ops.get(&op_id) == Some(&State::Failed)
    }

    /// What was done and not heard of since.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = OpId> {
        let waits = |(_, state): &(&OpId, &State)| **state == State::Queued;
        self.ops.iter().filter(waits).map(|(op_id, _)| *op_id)
    }

    /// Whether nothing of what was written waits.
    pub(crate) fn nothing_waits(&self) -> bool {
        self.ops.values().all(|state| *state != State::Queued)
    }

    /// What this tab shows otherwise than the store holds it; nothing where they agree.
    pub(crate) fn differs(
        &self,
        shown: &[RoomId],
        rooms: &[RoomEntry],
        ledger: &Ledger,
    ) -> Option<String> {
        let theirs: BTreeMap<_, _> = rooms.iter().map(|room| (room.id, room.key.clone())).collect();
        if theirs != self.rooms {
            return Some(format!("the list has {:?}, the store {theirs:?}", self.rooms));
        }
        let me = self.me?;
        let open = shown.iter().filter(|room| theirs.contains_key(room)).map(|room| room.log());
        open.chain([me.log()]).find_map(|log| self.log_differs(log, ledger))
    }

    fn log_differs(&self, log: LogId, ledger: &Ledger) -> Option<String> {
        let Some(view) = self.logs.get(&log) else {
            return Some(format!("nothing is known of {log:?}"));
        };
        let last = ledger.events(log).last().map(|event| event.id).unwrap_or_default();
        if view.last != last {
            return Some(format!("{log:?} is known to {}", view.seq));
        }
        let from = view.messages.keys().next().copied().filter(|_| view.older).unwrap_or(0);
        let stored = ledger.events(log).filter(|event| event.kind == Kind::Posted.number());
        let stored: BTreeMap<_, _> =
            stored.filter(|event| event.seq >= from).map(|event| (event.seq, event.id)).collect();
        let same = log.room().is_none() || stored == view.messages;
        (!same).then(|| format!("{log:?} shows {:?}, not {stored:?}", view.messages))
    }
}

impl View {
    /// Puts a page of older messages above those that are shown, if these begin where it was asked.
    fn add_older(&mut self, messages: &Messages, (before, older): (u64, bool), ledger: &Ledger) {
        if self.messages.keys().next() != Some(&before) {
            return;
        }
        self.older = older;
        for message in messages.iter() {
            let leads = ledger.leads_to(message.id, self.last);
            assert!(leads, "I13: older message {} is of another history", message.seq);
            self.messages.insert(message.seq, message.id);
        }
    }

    /// Shows the room's newest messages as they stood at the cursor.
    fn show(&mut self, snapshot: &Snapshot, ledger: &Ledger) {
        self.older = snapshot.older;
        for message in snapshot.messages.iter() {
            let leads = ledger.leads_to(message.id, self.last);
            assert!(leads, "I13: message {} is of another history", message.seq);
            self.messages.insert(message.seq, message.id);
        }
    }
}
