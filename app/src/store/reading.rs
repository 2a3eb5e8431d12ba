//! How far a room was read, what of it is new, and how much of it is on the screen.
//!
//! What was read lies in the browser and is shared by its tabs; where a reader was who left, in memory.
//! Its laws: a line stands before the first message that was new when the reader came and does not move
//! while he stays; where the first may be among older ones that are not here, it stands before the
//! oldest that is, and says so; at most 250 rows are on the screen, and what goes off it is at the end
//! he is farther from: the oldest are let go and read again, the newest wait here.

use std::sync::atomic::Ordering;

use leptos::prelude::{Get, GetUntracked, Set, Update, With, WithUntracked, untrack};

use protocol::ids::RoomId;

use super::grouping::Zone;
use super::{OlderState, Room, Row, Store, set};

/// Messages of a room that are on the screen at most, but for the moment in which more come.
const ROWS_MAX: usize = 250;
/// Messages of a room that are held at most while its reader is gone, so that he finds his place.
const ROWS_LEFT_MAX: usize = 2 * ROWS_MAX;
/// Rows that come back to the screen at once.
const ROWS_STEP: usize = 50;
/// So far above what is here, in numbers of the log, what is new is read back to where it begins: with
/// the rows of a page as many as the screen keeps.
const READ_BACK_MAX: u64 = 200;

/// Which end of a room's rows its reader is farther from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Far {
    /// The oldest.
    Oldest,
    /// The newest.
    Newest,
}

/// How the newest messages of a room are looked at, from one moment to the next.
#[derive(Debug, Default)]
pub struct Gaze {
    opened: bool,
    saw: bool,
    hidden: bool,
    was_hidden: bool,
}

/// What a reader does at a room's newest messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// He does not see them.
    Away,
    /// He comes to them.
    Comes {
        /// For the first time, or nobody saw the page meanwhile.
        anew: bool,
        /// He did not scroll there: the room was opened, or the page is seen again.
        led: bool,
    },
    /// He goes on looking at them.
    Stays,
}

impl Gaze {
    /// The gaze of who is back where he left a room, and looks at what is older.
    #[must_use]
    pub fn of_who_is_back() -> Self {
        Self { opened: true, ..Self::default() }
    }

    /// Whether they are in sight at this moment, and whether anybody sees the page at all.
    pub fn look(&mut self, in_sight: bool, hidden: bool) -> Look {
        self.was_hidden |= hidden;
        let is_shown = std::mem::replace(&mut self.hidden, hidden) && !hidden;
        let sees = in_sight && !hidden;
        match (sees, std::mem::replace(&mut self.saw, sees)) {
            (false, _) => Look::Away,
            (true, true) => Look::Stays,
            (true, false) => {
                let is_first = !std::mem::replace(&mut self.opened, true);
                let anew = std::mem::take(&mut self.was_hidden) || is_first;
                Look::Comes { anew, led: is_shown || is_first }
            }
        }
    }
}

impl Store {
    /// Looks up how far this browser has read, which another tab may have moved on.
    pub fn look_up_read(&self) {
        for room in self.rooms.get_untracked() {
            let known = room.read_to.get_untracked();
            let first = || room.cursor.get_untracked().map(|cursor| cursor.seq);
            let found = self.keeper.read_to(room.id);
            let kept = found.or_else(|| known.or_else(first));
            if let Some(kept) = kept.filter(|_| found.is_none()) {
                self.keeper.keep_read_to(room.id, kept);
            }
            if kept > known {
                room.read_to.set(kept);
            }
        }
    }

    /// The page may end now: keeps where its reader is, in the room that he has before him, for when it
    /// is loaded anew.
    pub fn keep_place(&self) {
        let mut found = None;
        self.each_room(|room| {
            let below = u64::try_from(-room.place.load(Ordering::Relaxed)).unwrap_or_default();
            let stands = room.away.get_untracked() && !room.keeps_newest_off();
            if let Some(newest) = room.newest().filter(|_| stands && below > 0) {
                found = Some((room.id, newest, below));
            }
        });
        self.keeper.keep_place(found);
    }

    /// Looks up where the reader of this tab was before it was loaded anew, if nothing came since.
    pub fn look_up_place(&self) {
        self.each_room(|room| {
            let kept = room.newest().and_then(|newest| self.keeper.take_place(room.id, newest));
            if let Some(below) = kept.and_then(|below| i32::try_from(below).ok()) {
                room.keep_place(-below);
            }
        });
    }

    /// How much is new in the user's rooms but this, and whether there may be more; tracked.
    #[must_use]
    pub fn unread(&self, but: Option<RoomId>) -> (u64, bool) {
        self.rooms.with(|rooms| {
            let rooms = rooms.iter().filter(|room| Some(room.id) != but);
            rooms
                .map(Room::unread)
                .fold((0, false), |(all, more), (count, beyond)| (all + count, more || beyond))
        })
    }

    /// Whether a message failed in one of the listed rooms but this; tracked.
    #[must_use]
    pub fn has_failed(&self, but: Option<RoomId>) -> bool {
        self.listed().iter().any(|room| Some(room.id) != but && room.has_failed())
    }

    /// The user sees the newest message of this room.
    pub fn read(&self, room: &Room) {
        let newest = room.newest();
        if newest > room.read_to.get_untracked() {
            room.read_to.set(newest);
            self.keeper.keep_read_to(room.id, newest.unwrap_or_default());
        }
    }

    /// The reader comes to this room's newest messages, at first or from elsewhere: whether something
    /// of others is new there, before which a line is drawn; another one than stands where he comes
    /// `anew`.
    #[must_use]
    pub fn come(&self, room: &Room, anew: bool) -> bool {
        let is_new = untrack(|| room.unread().0 > 0);
        if is_new && (anew || room.line.get_untracked().is_none()) {
            room.line.set(room.line_now());
            room.regroup(self.zone());
        }
        is_new
    }

    /// The reader leaves this room. Where he was away from the newest message, but not too far, all stays
    /// as it is until he is back or something comes.
    pub fn part(&self, room: &Room) {
        room.away.set(false);
        let count = room.rows.with_untracked(Vec::len);
        if room.place.load(Ordering::Relaxed) != 0 && count <= ROWS_LEFT_MAX {
            return;
        }
        room.keep_place(0);
        set(&room.last, None);
        if room.line.get_untracked().is_some() {
            room.line.set(None);
            room.regroup(self.zone());
        }
    }

    /// Takes rows off the screen where there are too many.
    pub fn cap(&self, room: &Room, far: Far) {
        match far {
            Far::Oldest => room.drop_oldest(self.zone()),
            Far::Newest => room.keep_newest_off(),
        }
    }
}

impl Room {
    /// How many messages of others came behind what was read, and whether there may be more of
    /// them than are known here; tracked.
    #[must_use]
    pub fn unread(&self) -> (u64, bool) {
        let Some(read_to) = self.read_to.get() else { return (0, false) };
        self.rows.with(|rows| {
            let count = new_rows(rows, read_to).count();
            (count_of(count), count > 0 && self.above(rows, read_to) > 0)
        })
    }

    /// Whether there may be messages above those that are here.
    #[must_use]
    pub fn has_older(&self) -> bool {
        self.older.get_untracked() != OlderState::Start
    }

    /// Over how many numbers of the log there may be messages behind this one that are older than those
    /// that are here.
    fn above(&self, rows: &[Row], seq: u64) -> u64 {
        let oldest = rows.iter().find_map(Row::seq).filter(|_| self.has_older());
        oldest.map_or(0, |oldest| oldest.saturating_sub(seq + 1))
    }

    /// Behind which number the line stands for who comes now: behind what was read, or before what is
    /// here where that is too far above.
    fn line_now(&self) -> Option<u64> {
        let read_to = self.read_to.get_untracked()?;
        let above = self.rows.with_untracked(|rows| self.above(rows, read_to));
        Some(if above > READ_BACK_MAX { read_to + above } else { read_to })
    }

    /// Whether the line may stand higher when older messages come.
    #[must_use]
    pub fn line_rises(&self) -> bool {
        let above = |line| self.rows.with_untracked(|rows| self.above(rows, line));
        self.line.get_untracked().is_some_and(|line| above(line) > 0)
    }

    /// Keeps where its reader is, for when he leaves; 0 where that is the newest message.
    pub fn keep_place(&self, place: i32) {
        self.place.store(place, Ordering::Relaxed);
    }

    /// The reader opens it: where he left it, if that was away from the newest message and nothing
    /// came since.
    #[must_use]
    pub fn come_back(&self) -> Option<i32> {
        let place = Some(self.place.load(Ordering::Relaxed)).filter(|place| *place != 0)?;
        self.away.set(true);
        Some(place)
    }

    /// Something came: who left it is brought to that, and not to where he was.
    pub(super) fn lose_place(&self) {
        if !self.away.get_untracked() && self.place.load(Ordering::Relaxed) != 0 {
            self.forget_place();
        }
    }

    /// What he looked at is not there any more.
    pub(super) fn forget_place(&self) {
        self.keep_place(0);
        set(&self.last, None);
        set(&self.line, None);
    }

    /// The number of the newest message.
    #[must_use]
    pub(super) fn newest(&self) -> Option<u64> {
        self.rows.with_untracked(|rows| rows.iter().rev().find_map(Row::seq))
    }

    /// The first row here that was new when the reader came; and how many are, where others that he
    /// has not read may be above it, else 0.
    pub(super) fn first_new(&self, rows: &[Row]) -> Option<(u64, u64)> {
        let line = self.line.get_untracked()?;
        let first = new_rows(rows, line).last()?;
        let is_first = self.read_to.get_untracked() >= Some(line) && self.above(rows, line) == 0;
        let count = if is_first { 0 } else { count_of(new_rows(rows, line).count()) };
        Some((first.number, count))
    }

    /// The rows on the screen; tracked.
    #[must_use]
    pub fn shown(&self) -> Vec<Row> {
        let last = self.last.get();
        self.rows.with(|rows| rows.get(..shown_count(rows, last)).unwrap_or(rows).to_vec())
    }

    /// Whether newer rows wait here to come to the screen again.
    #[must_use]
    pub fn keeps_newest_off(&self) -> bool {
        self.last.get_untracked().is_some()
    }

    /// Brings the next newer rows to the screen.
    pub fn show_newer(&self) {
        let last = self.last.get_untracked();
        let last = self.rows.with_untracked(|rows| {
            let next = shown_count(rows, last) + ROWS_STEP - 1;
            rows.get(next).filter(|_| next + 1 < rows.len()).map(|row| row.number)
        });
        set(&self.last, last);
    }

    /// Lets the oldest rows go while their reader is at the newest.
    pub(super) fn let_go(&self, zone: Zone) {
        if !self.away.get_untracked() {
            self.drop_oldest(zone);
        }
    }

    /// Lets the oldest rows go where there are more than a screen keeps; they can be read again.
    fn drop_oldest(&self, zone: Zone) {
        let last = self.last.get_untracked();
        let shown = self.rows.with_untracked(|rows| shown_count(rows, last));
        let Some(beyond) = shown.checked_sub(ROWS_MAX).filter(|beyond| *beyond > 0) else { return };
        // Before the rows, whose line depends on whether there are older ones.
        set(&self.older, OlderState::More);
        self.rows.update(|rows| {
            let stored = rows.iter().take_while(|row| row.seq().is_some()).count();
            let last = rows.drain(..beyond.min(stored)).filter_map(|row| row.seq()).next_back();
            self.let_go.fetch_max(last.unwrap_or_default(), Ordering::Relaxed);
            self.group(rows, zone);
        });
    }

    fn keep_newest_off(&self) {
        let last = self.last.get_untracked();
        let last = self.rows.with_untracked(|rows| {
            let is_full = shown_count(rows, last) > ROWS_MAX;
            rows.get(ROWS_MAX - 1).filter(|_| is_full).map(|row| row.number).or(last)
        });
        set(&self.last, last);
    }
}

/// The rows of others behind this number, the newest first.
fn new_rows(rows: &[Row], seq: u64) -> impl Iterator<Item = &Row> {
    let others = rows.iter().rev().filter(|row| !row.own);
    others.take_while(move |row| row.seq().is_some_and(|stored| stored > seq))
}

fn count_of(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// How many of these rows are on the screen, where this is the last of them.
fn shown_count(rows: &[Row], last: Option<u64>) -> usize {
    let last = last.and_then(|last| rows.iter().position(|row| row.number == last));
    last.map_or(rows.len(), |last| last + 1)
}
