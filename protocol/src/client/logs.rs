//! What is known of each log, and which of them are being told.
//!
//! Used by the machine alone. Its laws: an event is told only if it is the next one of its log; a
//! log that was asked for is ignored until the answer to the latest `Sub` came; a number of a
//! subscription is never used twice on one connection.

use std::collections::BTreeMap;

use crate::change::Envelope;
use crate::command::{Sub, Unsub};
use crate::cursor::Cursor;
use crate::event::USER_SUB;
use crate::ids::{LogId, RoomId};

/// The logs of this page.
#[derive(Debug, Default)]
pub(super) struct Logs {
    known: BTreeMap<LogId, Log>,
    last_sub: u32,
    dropped_count: u64,
}

#[derive(Debug, Default)]
struct Log {
    cursor: Option<Cursor>,
    shown: bool,
    feed: Feed,
}

/// How a log is told on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Feed {
    /// It is not.
    #[default]
    Away,
    /// It was asked for under this number.
    Asked { sub: u32 },
    /// It is told under this number; at first it has to reach this head.
    Told { sub: u32, head: u64 },
}

impl Feed {
    const fn sub(self) -> Option<u32> {
        match self {
            Self::Away => None,
            Self::Asked { sub } | Self::Told { sub, .. } => Some(sub),
        }
    }
}

/// What an event is to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The next one; the cursor stands on it now.
    Next,
    /// Known, or of a log that is not listened to.
    Passed,
    /// Something before it is missing.
    Gap,
}

impl Logs {
    /// A room is on the screen, which holds it up to the cursor; a cursor of our own wins.
    pub(super) fn show(&mut self, room: RoomId, cursor: Option<Cursor>) {
        let log = self.known.entry(room.log()).or_default();
        log.shown = true;
        log.cursor = log.cursor.or(cursor);
    }

    /// A room is no longer on the screen; its end, where it was being told.
    pub(super) fn hide(&mut self, room: RoomId) -> Option<Unsub> {
        let log = self.known.get_mut(&room.log())?;
        log.shown = false;
        std::mem::take(&mut log.feed).sub().map(|sub| Unsub { sub })
    }

    /// Asks for a room that is shown and not told, or that must be told anew.
    pub(super) fn ask(&mut self, room: RoomId, again: bool) -> Option<Sub> {
        let log = self.known.get_mut(&room.log()).filter(|log| log.shown)?;
        if log.feed != Feed::Away && !again {
            return None;
        }
        self.last_sub = self.last_sub.saturating_add(1);
        let sub = self.last_sub;
        log.feed = Feed::Asked { sub };
        Some(Sub { sub, room, cursor: log.cursor })
    }

    /// Whether a room is on the screen, nothing is known of it, and nothing was asked for.
    pub(super) fn is_blank(&self, room: RoomId) -> bool {
        let log = self.known.get(&room.log());
        log.is_some_and(|log| log.shown && log.feed == Feed::Away && log.cursor.is_none())
    }

    /// The rooms on the screen.
    pub(super) fn shown(&self) -> Vec<RoomId> {
        let shown = self.known.iter().filter(|(_, log)| log.shown);
        shown.filter_map(|(id, _)| id.room()).collect()
    }

    /// The user's own log is told from the greeting on, without being asked for.
    pub(super) fn greeted(&mut self, user: LogId) {
        self.known.entry(user).or_default().feed = Feed::Asked { sub: USER_SUB };
    }

    /// The connection is over: nothing is told any more, and numbers begin anew.
    pub(super) fn disconnected(&mut self) {
        self.last_sub = 0;
        self.known.values_mut().for_each(|log| log.feed = Feed::Away);
    }

    /// What is known of a log.
    pub(super) fn cursor(&self, log: LogId) -> Option<Cursor> {
        self.known.get(&log)?.cursor
    }

    /// The log that is told under this number, if it is the latest one of that log.
    pub(super) fn by_sub(&self, sub: u32) -> Option<LogId> {
        let found = self.known.iter().find(|(_, log)| log.feed.sub() == Some(sub));
        found.map(|(id, _)| *id)
    }

    /// The cursor was good. `false` if it is not of this life of the log, which no server says. A log
    /// that was forgotten since it was asked for has none: its end, or its asking anew, is on its way.
    pub(super) fn began(&mut self, log: LogId, sub: u32, epoch: u64, head: u64) -> bool {
        let Some(log) = self.known.get_mut(&log) else { return true };
        log.feed = Feed::Told { sub, head };
        log.cursor.is_none_or(|cursor| cursor.epoch == epoch)
    }

    /// The log begins anew at this cursor.
    pub(super) fn reset(&mut self, log: LogId, sub: u32, cursor: Cursor) {
        let log = self.known.entry(log).or_default();
        log.cursor = Some(cursor);
        log.feed = Feed::Told { sub, head: cursor.seq };
    }

    /// The log is told no more.
    pub(super) fn ended(&mut self, log: LogId) {
        if let Some(log) = self.known.get_mut(&log) {
            log.feed = Feed::Away;
            log.cursor = None;
        }
    }

    /// The screen lets go of the log, whose membership is over: it begins afresh if it comes again.
    pub(super) fn forget(&mut self, log: LogId) {
        if let Some(log) = self.known.get_mut(&log) {
            log.cursor = None;
        }
    }

    /// Puts an event in its place and moves the cursor over it.
    pub(super) fn place(&mut self, envelope: &Envelope) -> Place {
        let Some(log) = self.known.get_mut(&envelope.log) else { return Place::Passed };
        let (Feed::Told { .. }, Some(cursor)) = (log.feed, &mut log.cursor) else {
            return Place::Passed;
        };
        if envelope.seq > cursor.next() {
            return Place::Gap;
        }
        if envelope.seq < cursor.next() {
            self.dropped_count += 1;
            return Place::Passed;
        }
        cursor.seq = envelope.seq;
        cursor.tag = envelope.id.tag();
        Place::Next
    }

    /// Whether the log behind this number was told past what is known: something was lost.
    pub(super) fn is_behind(&self, sub: u32, seq: u64) -> Option<LogId> {
        let (id, log) = self.known.iter().find(|(_, log)| match log.feed {
            Feed::Told { sub: told, .. } => told == sub,
            Feed::Away | Feed::Asked { .. } => false,
        })?;
        log.cursor.is_some_and(|cursor| cursor.seq < seq).then_some(*id)
    }

    /// Whether all that is told has reached the head it had when it began.
    pub(super) fn caught_up(&self) -> bool {
        self.known.values().all(|log| match log.feed {
            Feed::Away => true,
            Feed::Asked { .. } => false,
            Feed::Told { head, .. } => log.cursor.is_none_or(|cursor| cursor.seq >= head),
        })
    }

    /// Events that came twice. A correct server never sends one: the count is an alarm.
    pub(super) const fn dropped_count(&self) -> u64 {
        self.dropped_count
    }
}
