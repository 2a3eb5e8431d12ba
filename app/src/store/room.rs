//! One room of a page: what its head shows, its rows, and how far back they reach.
//!
//! A room in the list that was never opened has no rows yet. Rows are the stored messages by
//! number, then those that are not stored yet in the order they were written. Its law: however a
//! message comes (own, live, replayed, in a snapshot, as an older one), it has one row.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use leptos::prelude::{ArcRwSignal, GetUntracked, Set, Update, With, WithUntracked};
use protocol::act::Strand;
use protocol::change::Envelope;
use protocol::cursor::Cursor;
use protocol::event::Snapshot;
use protocol::frame::Change;
use protocol::ids::{OpId, RoomId, UserId};
use protocol::model::{Me, Message, Role, RoomEntry, RoomKey};
use protocol::refusal::Refusal;

use super::grouping::{Zone, regroup};
use super::row::{Row, RowState};
use super::set;
use crate::first_page::RoomPage;
use crate::text::{language, room_name};

/// A room; a clone is the same room.
#[derive(Debug, Clone)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Its address.
    pub key: RoomKey,
    /// Everybody is a member by rule: it cannot be left.
    pub everyone: bool,
    /// How it is called.
    pub name: ArcRwSignal<Arc<str>>,
    /// What it is about; empty for nothing.
    pub topic: ArcRwSignal<Arc<str>>,
    /// What the user may do in it.
    pub role: ArcRwSignal<Role>,
    /// How many members it has; nothing while that is not known.
    pub member_count: ArcRwSignal<Option<u64>>,
    /// Whether the user is one of them.
    pub membership: ArcRwSignal<Membership>,
    /// The messages on the screen.
    pub rows: ArcRwSignal<Vec<Row>>,
    /// What is above the first row.
    pub older: ArcRwSignal<OlderState>,
    /// The names of those who are writing.
    pub typists: ArcRwSignal<Vec<String>>,
    /// Up to which number it was read in this browser; nothing while that is not known.
    pub read_to: ArcRwSignal<Option<u64>>,
    /// Up to which number it was read when its reader came to it and found something new, or so far as
    /// that is from there what was not here: behind it stands a line, until he leaves.
    pub line: ArcRwSignal<Option<u64>>,
    /// Whether its reader is away from the newest message.
    pub away: ArcRwSignal<bool>,
    /// The last row on the screen, by its own number, where what is newer is kept off it.
    pub last: ArcRwSignal<Option<u64>>,
    /// Where the first drawing of its messages stood, for `Ask::Show`; nothing once they are gone.
    pub cursor: ArcRwSignal<Option<Cursor>>,
    row_count: Arc<AtomicU64>,
    /// The highest number whose row was let go: what comes up to there is read as older messages.
    pub(super) let_go: Arc<AtomicU64>,
    /// Where its reader is, in CSS pixels of the pane's scroll, while he is away from the newest
    /// message, or was when he left; else 0.
    pub(super) place: Arc<AtomicI32>,
}

/// Two handles of one room are equal.
impl PartialEq for Room {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && Arc::ptr_eq(&self.row_count, &other.row_count)
    }
}

/// Whether the user is a member of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// He reads and writes.
    Member,
    /// He may join.
    Outside,
}

/// What is above the first row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OlderState {
    /// Nothing is known yet: the room was never read.
    #[default]
    Unread,
    /// Older messages, to be asked for.
    More,
    /// They were asked for.
    Loading,
    /// The beginning of the room.
    Start,
}

impl OlderState {
    const fn known(older: bool) -> Self {
        if older { Self::More } else { Self::Start }
    }
}

impl Room {
    /// A room of the list, not read yet.
    #[must_use]
    pub fn new(entry: &RoomEntry) -> Self {
        Self {
            id: entry.id,
            key: entry.key.clone(),
            everyone: entry.everyone,
            name: ArcRwSignal::new(Arc::from(&*entry.name)),
            topic: ArcRwSignal::new(Arc::from(&*entry.topic)),
            role: ArcRwSignal::new(entry.role),
            member_count: ArcRwSignal::new(None),
            membership: ArcRwSignal::new(Membership::Member),
            rows: ArcRwSignal::default(),
            older: ArcRwSignal::default(),
            typists: ArcRwSignal::default(),
            read_to: ArcRwSignal::default(),
            line: ArcRwSignal::default(),
            away: ArcRwSignal::default(),
            last: ArcRwSignal::default(),
            cursor: ArcRwSignal::default(),
            row_count: Arc::default(),
            let_go: Arc::default(),
            place: Arc::default(),
        }
    }

    /// The room that a page shows first. A page of older messages has no cursor: asked to be told
    /// of the room, the server begins anew with the newest.
    #[must_use]
    pub(super) fn of_page(page: &RoomPage, me: Option<UserId>) -> Self {
        let room = Self::new(&page.entry);
        room.member_count.set(Some(page.member_count));
        let Some(inside) = &page.inside else {
            room.membership.set(Membership::Outside);
            return room;
        };
        room.cursor.set((!inside.newer).then_some(inside.cursor));
        room.older.set(OlderState::known(inside.older));
        let rows: Vec<Row> =
            inside.messages.iter().map(|message| room.new_row(message, me)).collect();
        regroup(&rows, |_| 0, None);
        room.rows.set(rows);
        room
    }

    /// What the list says of it now.
    pub(super) fn describe(&self, entry: &RoomEntry) {
        self.configure(&entry.name, &entry.topic);
        set(&self.role, entry.role);
    }

    pub(super) fn configure(&self, name: &str, topic: &str) {
        for (signal, text) in [(&self.name, name), (&self.topic, topic)] {
            if signal.with_untracked(|known| **known != *text) {
                signal.set(Arc::from(text));
            }
        }
    }

    /// The user wrote a message, here or on an earlier page: then it may be shown already.
    pub(super) fn queue(&self, op_id: OpId, text: &str, me: Option<&Me>, at: i64, zone: Zone) {
        if self.own_row(op_id).is_some() {
            return;
        }
        let row = Row::pending(self.number(), op_id, text, me, at);
        // What failed stands last: what is stored then stays where it was queued.
        let is_later =
            |row: &Row| row.has_failed() || (row.seq().is_none() && row.at.get_untracked() > at);
        self.put(row, is_later, zone);
    }

    /// An own message is stored. One that an earlier page sent may stand above all that is shown:
    /// it goes, and is read again in its place.
    pub(super) fn accept(&self, op_id: OpId, seq: u64, at: i64, zone: Zone) {
        let Some(row) = self.own_row(op_id) else { return };
        row.store(seq, at);
        if self.begins_behind(seq) {
            self.rows.update(|rows| {
                rows.retain(|other| other.number != row.number);
                self.group(rows, zone);
            });
        } else {
            self.place(row, zone);
        }
    }

    /// An own message will not be stored, and goes behind those that may be; gives its text.
    pub(super) fn fail(&self, op_id: OpId, refusal: Refusal, zone: Zone) -> Option<Arc<str>> {
        let row = self.own_row(op_id)?;
        row.fail(refusal);
        let (at, text) = (row.at.get_untracked(), row.text.get_untracked());
        if row.has_failed() {
            let is_later = |row: &Row| row.has_failed() && row.at.get_untracked() > at;
            self.put(row, is_later, zone);
        }
        Some(text)
    }

    /// Puts a row before the first that is later, or last, wherever it stood.
    fn put(&self, row: Row, is_later: impl Fn(&Row) -> bool, zone: Zone) {
        self.rows.update(|rows| {
            rows.retain(|other| other.number != row.number);
            let place = rows.iter().position(is_later).unwrap_or(rows.len());
            rows.insert(place, row);
            self.group(rows, zone);
        });
    }

    /// An own message is forgotten. What is stored stays.
    pub(super) fn discard(&self, op_id: OpId, zone: Zone) {
        if self.own_row(op_id).is_some_and(|row| row.seq().is_none()) {
            self.rows.update(|rows| {
                rows.retain(|row| !(row.own && row.op_id == op_id));
                self.group(rows, zone);
            });
        }
    }

    /// The next event of the room's log.
    pub(super) fn logged(
        &self,
        envelope: &Envelope,
        change: Option<Change>,
        me: Option<UserId>,
        zone: Zone,
    ) {
        match change {
            Some(Change::Posted(posted)) => {
                let Envelope { seq, id, at, author, op_id, .. } = *envelope;
                let message =
                    Message { seq, id, at, author, op_id, name: posted.name, text: posted.text };
                self.typed(&message.name);
                self.message(&message, me, zone);
            }
            Some(Change::Configured(now)) => self.configure(&now.name, &now.topic),
            Some(Change::Joined(_)) => self.count_members(1),
            Some(Change::Left(_)) => self.count_members(-1),
            _ => {}
        }
    }

    /// The room as it stands at a cursor. Rows of messages that are in it stay what they are, and
    /// so does what is not stored yet or stored behind the cursor.
    pub(super) fn reset(&self, snapshot: &Snapshot, seq: u64, me: Option<UserId>, zone: Zone) {
        self.describe(&snapshot.room);
        set(&self.membership, Membership::Member);
        set(&self.member_count, Some(snapshot.member_count));
        set(&self.older, OlderState::known(snapshot.older));
        if self.read_to.get_untracked().is_none() {
            self.read_to.set(Some(seq));
        }
        self.let_go.store(0, Ordering::Relaxed);
        self.lose_place();
        self.rows.update(|rows| {
            let former = std::mem::take(rows);
            rows.extend(snapshot.messages.iter().map(|message| {
                let known = former.iter().find(|row| row.is(message));
                known.map_or_else(|| self.new_row(message, me), |row| row.renewed(message))
            }));
            let kept: Vec<Row> = former
                .into_iter()
                .filter(|row| row.own && row.seq().is_none_or(|stored| stored > seq))
                .filter(|row| rows.iter().all(|other| other.number != row.number))
                .collect();
            rows.extend(kept);
            self.group(rows, zone);
        });
    }

    /// Whether this is the number of the first message: what was asked for before it belongs above,
    /// unless rows came or went there meanwhile.
    pub(super) fn begins_at(&self, seq: u64) -> bool {
        self.rows.with_untracked(|rows| rows.iter().find_map(Row::seq)) == Some(seq)
    }

    /// Whether the message of this number stands among older ones that are not here: on top it would
    /// hide that they are missing, so it comes with them.
    fn begins_behind(&self, seq: u64) -> bool {
        let is_known = matches!(self.older.get_untracked(), OlderState::More | OlderState::Loading);
        let others = |rows: &Vec<Row>| rows.iter().filter_map(Row::seq).find(|other| *other != seq);
        is_known && self.rows.with_untracked(others).is_some_and(|first| seq < first)
    }

    /// What was asked for will not come: it may be asked for again.
    pub(super) fn lose_older(&self) {
        if self.older.get_untracked() == OlderState::Loading {
            self.older.set(OlderState::More);
        }
    }

    /// The messages just before the first one came.
    pub(super) fn prepend(
        &self,
        messages: &[Message],
        older: bool,
        me: Option<UserId>,
        zone: Zone,
    ) {
        let new: Vec<Row> = messages.iter().map(|message| self.new_row(message, me)).collect();
        self.rows.update(|rows| {
            rows.splice(0..0, new);
            self.group(rows, zone);
        });
        set(&self.older, OlderState::known(older));
    }

    /// What was stored behind this number is not there any more.
    pub(super) fn forget_behind(&self, seq: u64) {
        self.rows.update(|rows| rows.retain(|row| row.seq().is_none_or(|stored| stored <= seq)));
    }

    /// It may not be read any more.
    pub(super) fn close(&self) {
        set(&self.membership, Membership::Outside);
        set(&self.older, OlderState::Unread);
        set(&self.cursor, None);
        self.forget_place();
        // Who is outside is not told who comes and goes.
        set(&self.member_count, None);
        self.rows.update(|rows| rows.retain(|row| row.seq().is_none()));
        self.typists.set(Vec::new());
    }

    /// The strand of what is written in it.
    #[must_use]
    pub fn strand(&self) -> Strand {
        Strand { log: self.id.log(), kind: None }
    }

    /// How it is called on a page of this language; tracked.
    #[must_use]
    pub fn title(&self) -> String {
        self.name.with(|name| room_name(language(), self.everyone, name).to_owned())
    }

    /// How many messages wait to be stored; tracked.
    #[must_use]
    pub fn pending_count(&self) -> u64 {
        let pending = |row: &&Row| row.state.with(|state| *state == RowState::Pending);
        let count =
            self.rows.with(|rows| rows.iter().filter(|row| row.own).filter(pending).count());
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Whether a message is in it that is not stored.
    pub(super) fn holds_unsent(&self) -> bool {
        self.rows.with_untracked(|rows| rows.iter().any(|row| row.seq().is_none()))
    }

    /// Whether a message that failed is in it; tracked.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_unsent(|state| matches!(state, RowState::Failed(_)))
    }

    /// Whether a message in it waits to be stored; tracked.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.has_unsent(|state| *state == RowState::Pending)
    }

    /// Such stand behind all that are stored.
    fn has_unsent(&self, is_so: fn(&RowState) -> bool) -> bool {
        let is_stored = |row: &Row| row.state.with(|state| matches!(state, RowState::Sent { .. }));
        let is_so = |row: &Row| row.state.with(is_so);
        self.rows.with(|rows| rows.iter().rev().take_while(|row| !is_stored(row)).any(is_so))
    }

    /// Somebody's message is here: he is not writing it any more.
    fn typed(&self, name: &str) {
        if self.typists.with_untracked(|names| names.iter().any(|typist| typist == name)) {
            self.typists.update(|names| names.retain(|typist| typist != name));
        }
    }

    /// Messages that wait here without a name are this user's.
    pub(super) fn sign(&self, me: &Me) {
        self.rows.with_untracked(|rows| {
            for row in rows.iter().filter(|row| row.author.get_untracked().is_nil()) {
                row.sign(me.id, &me.name);
            }
        });
    }

    /// Groups the rows anew, for a visitor in this zone.
    pub(super) fn regroup(&self, zone: Zone) {
        self.rows.with_untracked(|rows| self.group(rows, zone));
    }

    /// Sets what begins with each of these rows of the room.
    pub(super) fn group(&self, rows: &[Row], zone: Zone) {
        regroup(rows, zone, self.first_new(rows));
    }

    fn message(&self, message: &Message, me: Option<UserId>, zone: Zone) {
        if message.seq <= self.let_go.load(Ordering::Relaxed) {
            return;
        }
        let own = Some(message.author) == me;
        let known = self.own_row(message.op_id).filter(|_| own && !message.op_id.is_nil());
        let row = known.unwrap_or_else(|| self.new_row(message, me));
        row.become_stored(message);
        self.lose_place();
        self.place(row, zone);
        self.let_go(zone);
    }

    /// Puts a stored row behind all stored rows of lower numbers; tells nobody if it stands there.
    fn place(&self, row: Row, zone: Zone) {
        let (from, to) = self.rows.with_untracked(|rows| {
            let from = rows.iter().position(|other| other.number == row.number);
            let lower = |other: &&Row| other.number != row.number && other.seq() < row.seq();
            let stored_lower = |other: &Row| other.seq().is_some() && lower(&other);
            let to = rows.iter().rposition(stored_lower).map_or(0, |index| index + 1);
            (from, to)
        });
        if from == Some(to) {
            return self.regroup(zone);
        }
        self.rows.update(|rows| {
            let to = match from {
                Some(from) => {
                    rows.remove(from);
                    if from < to { to - 1 } else { to }
                }
                None => to,
            };
            rows.insert(to.min(rows.len()), row);
            self.group(rows, zone);
        });
    }

    fn count_members(&self, change: i64) {
        if let Some(count) = self.member_count.get_untracked() {
            set(&self.member_count, Some(count.saturating_add_signed(change)));
        }
    }

    fn own_row(&self, op_id: OpId) -> Option<Row> {
        let own = |row: &&Row| row.own && row.op_id == op_id;
        self.rows.with_untracked(|rows| rows.iter().rev().find(own).cloned())
    }

    fn new_row(&self, message: &Message, me: Option<UserId>) -> Row {
        Row::stored(self.number(), message, Some(message.author) == me)
    }

    fn number(&self) -> u64 {
        self.row_count.fetch_add(1, Ordering::Relaxed)
    }
}

impl Row {
    /// The same row, with the message as a snapshot has it.
    fn renewed(&self, message: &Message) -> Self {
        self.sign(message.author, &message.name);
        let state = RowState::Sent { seq: message.seq };
        if self.state.with_untracked(|known| *known != state) {
            self.state.set(state);
        }
        set(&self.at, message.at);
        self.clone()
    }
}
