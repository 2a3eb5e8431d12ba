//! The newest pages of the last rooms over the end of a page: which are written, thrown away, used.
//!
//! Part of the machine. The cache itself (in a browser its database) is somebody else's, and the
//! messages are the screen's: `Output` says which room's page to write under which cursor, `Input`
//! what lay there. Its laws: a page and its cursor are one record; a page is used only when the
//! server has greeted its user, names the room among his, and has little to add; it is told as the
//! `Reset` that it stands for, but proves of no op that it is stored before the server has said that
//! its cursor is good; only a room that nothing is known of waits for it, and not long; without a
//! cache all goes on as it would anyway.

use std::collections::BTreeMap;

use super::exchange::{Output, Told};
use super::hearing::OwnMessage;
use super::shelf::SHELF_MS_MAX;
use super::{Client, Turn};
use crate::codec::{decode_event, encode_reset};
use crate::cursor::Cursor;
use crate::event::{Reset, ResetReason, Snapshot};
use crate::frame::Event;
use crate::ids::{LogId, RoomId, UserId};
use crate::model::RoomEntry;

/// Rooms whose page is kept: those that were opened last, then any others.
const ROOMS_MAX: usize = 8;
/// Milliseconds from the first change that is not written to the writing.
const WRITE_MS: i64 = 10_000;
/// Events that a page may lack, as many as one frame of a replay has: of more, the fresh snapshot is
/// less to read.
const MISSED_MAX: u64 = 100;
/// The first byte of what is written: another one is of another build, and is no page of this.
const LAYOUT: u8 = 1;

/// A room's newest page as it lies in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// Who read it.
    pub user: UserId,
    /// When the room was opened last, in Unix milliseconds; 0 for never.
    pub opened_at: i64,
    /// Where the page stands: what comes behind it is not on it.
    pub cursor: Cursor,
    /// The room there. A screen does not hold the ids of events: those of the messages may be nil.
    pub snapshot: Snapshot,
}

impl Cached {
    /// As bytes: layout, user and time in little-endian, and the page as the frame of the `Reset`
    /// that would bring it. Nothing where that is too long for a frame.
    #[must_use]
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        let Self { user, opened_at, cursor, snapshot } = self;
        let (reason, snapshot) = (ResetReason::FirstLoad, Some(snapshot));
        let frame = encode_reset(&Reset { sub: 0, reason, cursor, snapshot }).ok()?;
        let mut bytes = vec![LAYOUT];
        bytes.extend(user.bytes());
        bytes.extend(opened_at.to_le_bytes());
        bytes.extend(frame);
        Some(bytes)
    }

    /// Reads what `into_bytes` wrote; nothing for anything else, whatever it is.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[LAYOUT], rest) = bytes.split_first_chunk()? else { return None };
        let (user, rest) = rest.split_first_chunk()?;
        let (opened_at, frame) = rest.split_first_chunk()?;
        let Ok(Some(Event::Reset(reset))) = decode_event(frame) else { return None };
        Some(Self {
            user: UserId::from_bytes(*user),
            opened_at: i64::from_le_bytes(*opened_at),
            cursor: reset.cursor,
            snapshot: reset.snapshot?,
        })
    }
}

/// What is known of the cache.
#[derive(Debug, Default)]
pub(super) struct Cache {
    stage: Stage,
    /// Whose pages are written: the greeted user's, while his sign-in holds.
    owner: Option<UserId>,
    pages: BTreeMap<RoomId, Page>,
    /// Nothing of what lies there may stay, and it was not known yet that it could be thrown away.
    is_void: bool,
    /// The rooms of a greeting that came before the pages, and whether there are more.
    greeted: Option<(Vec<RoomEntry>, bool)>,
    write_at: Option<i64>,
}

/// What is known of a room's page.
#[derive(Debug, Default)]
struct Page {
    /// When the room was opened last; 0 for never.
    opened_at: i64,
    /// It lies in the cache,
    lies: bool,
    /// and is another by now.
    changed: bool,
    /// As it lay there, until it is used,
    found: Option<Cached>,
    /// which it may be since the server named the room as the user's.
    is_good: bool,
    /// The user's own messages on the page by which the room began: what they were stored under, if
    /// the server says that the page's cursor is good.
    unconfirmed: Vec<OwnMessage>,
}

/// How the cache stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// There is none, or it did not answer.
    #[default]
    Absent,
    /// What lies in it is not known yet; at first not even since when.
    Opening { until: Option<i64> },
    /// It takes what it is given.
    Open,
}

impl Cache {
    /// A cache that is being read, or none.
    pub(super) fn opening(exists: bool) -> Self {
        let stage = if exists { Stage::Opening { until: None } } else { Stage::Absent };
        Self { stage, ..Self::default() }
    }

    /// Whether rooms of which nothing is known wait for their pages.
    pub(super) const fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening { .. })
    }

    pub(super) fn wake_at(&self) -> Option<i64> {
        match self.stage {
            Stage::Opening { until } => until,
            Stage::Absent | Stage::Open => self.write_at,
        }
    }

    /// The room's page is another now.
    pub(super) fn changed(&mut self, log: LogId) {
        if let Some(room) = log.room() {
            self.page(room).changed = true;
        }
    }

    fn page(&mut self, room: RoomId) -> &mut Page {
        self.pages.entry(room).or_default()
    }

    /// Nothing of this room is to lie there.
    pub(super) fn throw_away(&mut self, room: RoomId, turn: &mut Turn<'_>) {
        if let Some((greeted, _)) = &mut self.greeted {
            greeted.retain(|entry| entry.id != room);
        }
        let page = self.page(room);
        (page.found, page.changed) = (None, false);
        page.unconfirmed.clear();
        if std::mem::take(&mut page.lies) {
            turn.put(Output::Uncache(room));
        }
    }

    /// Whether all places are taken by rooms that were opened later, or as late.
    fn is_full_of_later(&self, opened_at: i64) -> bool {
        let later = |page: &&Page| page.lies && page.opened_at >= opened_at;
        self.pages.values().filter(later).count() >= ROOMS_MAX
    }

    /// Throws away what was opened longest ago, down to so many.
    fn keep_last(&mut self, count: usize, turn: &mut Turn<'_>) {
        let lying = |(_, page): &(&RoomId, &Page)| page.lies;
        while self.pages.iter().filter(lying).count() > count
            && let Some((room, _)) =
                self.pages.iter().filter(lying).min_by_key(|(_, page)| page.opened_at)
        {
            self.throw_away(*room, turn);
        }
    }
}

impl Client {
    /// These pages lie in the cache; `keeps` says whether it takes any.
    pub(super) fn recalled(&mut self, pages: Vec<Cached>, keeps: bool, turn: &mut Turn<'_>) {
        self.cache.stage = if keeps { Stage::Open } else { Stage::Absent };
        let is_void = std::mem::take(&mut self.cache.is_void);
        if is_void {
            turn.put(Output::UncacheAll);
        }
        for found in pages.into_iter().filter(|_| !is_void) {
            let room = found.snapshot.room.id;
            let page = self.cache.page(room);
            page.lies = true;
            if Some(found.user) == self.user {
                page.opened_at = page.opened_at.max(found.opened_at);
                page.found = Some(found);
            } else {
                self.cache.throw_away(room, turn);
            }
        }
        self.cache.keep_last(ROOMS_MAX, turn);
        if let Some((rooms, more)) = self.cache.greeted.take() {
            self.weigh(&rooms, more, turn);
        }
        self.subscribe_shown(turn);
    }

    /// The server names these rooms as the user's, or these are the first of them: their pages are
    /// good. What is not his any more goes. A page that no room begins by now is not kept to begin by
    /// later: how far the room has gone on by then, nobody says.
    pub(super) fn weigh(&mut self, rooms: &[RoomEntry], more: bool, turn: &mut Turn<'_>) {
        let cache = &mut self.cache;
        if cache.stage != Stage::Open {
            if self.setup.cache {
                cache.greeted = Some((rooms.to_vec(), more));
            }
            return;
        }
        let mut gone = Vec::new();
        for (id, page) in &mut cache.pages {
            match (rooms.iter().find(|room| room.id == *id), &mut page.found) {
                (Some(room), Some(found)) if !is_far(room, found.cursor) => {
                    found.snapshot.room = room.clone();
                    page.is_good = true;
                }
                (Some(_), None) => {}
                (None, _) if more || !page.lies => page.is_good = false,
                _ => gone.push(*id),
            }
            if !more && !self.logs.is_blank(*id) {
                page.found = None;
            }
        }
        gone.into_iter().for_each(|room| cache.throw_away(room, turn));
    }

    /// Lets a room of which nothing is known begin with its page; `false` while that may come yet.
    pub(super) fn begin_by_cache(&mut self, room: RoomId, turn: &mut Turn<'_>) -> bool {
        if !self.logs.is_blank(room) {
            return true;
        }
        let page = self.cache.pages.get_mut(&room).filter(|page| page.is_good);
        let Some(Cached { cursor, snapshot, .. }) = page.and_then(|page| page.found.take()) else {
            return !self.cache.is_opening();
        };
        self.logs.show(room, Some(cursor));
        self.cache.page(room).unconfirmed = self.own_messages(&snapshot.messages);
        let (reason, snapshot) = (ResetReason::FirstLoad, Some(snapshot));
        turn.tell(Told::Reset { log: room.log(), reason, cursor, snapshot });
        true
    }

    /// The server has said whether the cursor is good by which this log began. What stands on a page of
    /// another history may be gone: it is not known to be stored, and is sent again.
    pub(super) fn judged(&mut self, log: LogId, is_good: bool, turn: &mut Turn<'_>) {
        let page = log.room().and_then(|room| self.cache.pages.get_mut(&room));
        let own = page.map(|page| std::mem::take(&mut page.unconfirmed)).unwrap_or_default();
        if is_good {
            self.confirm(log, own, turn);
        }
    }

    /// A person opens this room: it is one of the last.
    pub(super) fn room_opened(&mut self, room: RoomId, now: i64) {
        let page = self.cache.page(room);
        (page.opened_at, page.changed) = (now, true);
    }

    /// The room is not to be read any more.
    pub(super) fn uncache(&mut self, log: LogId, turn: &mut Turn<'_>) {
        if let Some(room) = log.room() {
            self.cache.throw_away(room, turn);
        }
    }

    /// Somebody else is greeted, or the sign-in is void: nothing of what was kept may stay. Before the
    /// cache was read it may take no word, so it is told again then.
    pub(super) fn void_cache(&mut self, turn: &mut Turn<'_>) {
        let stage = self.cache.stage;
        let is_void = stage != Stage::Open;
        self.cache = Cache { stage, is_void, ..Cache::default() };
        if self.setup.cache {
            turn.put(Output::UncacheAll);
        }
    }

    /// From now on this user's pages are written.
    pub(super) const fn own_cache(&mut self, user: UserId) {
        self.cache.owner = Some(user);
    }

    /// Does without a cache that is silent for too long, and writes what is due.
    pub(super) fn tend_cache(&mut self, turn: &mut Turn<'_>) {
        if let Stage::Opening { until } = &mut self.cache.stage {
            let until = *until.get_or_insert(turn.now + SHELF_MS_MAX);
            // Nobody's rooms have no pages, so they wait for none.
            if until <= turn.now || self.user.is_none() {
                self.cache.stage = Stage::Absent;
                self.subscribe_shown(turn);
            }
        }
        let takes = self.cache.stage == Stage::Open && self.cache.owner.is_some();
        if !takes || self.cache.pages.values().all(|page| !page.changed) {
            self.cache.write_at = None;
        } else if *self.cache.write_at.get_or_insert(turn.now + WRITE_MS) <= turn.now {
            self.write_cache(turn);
        }
    }

    /// Has the pages written that are others by now: when it is time, or when the page may end.
    pub(super) fn write_cache(&mut self, turn: &mut Turn<'_>) {
        self.cache.write_at = None;
        let (Stage::Open, Some(user)) = (self.cache.stage, self.cache.owner) else { return };
        for room in self.cache.pages.keys().copied().collect::<Vec<_>>() {
            let page = self.cache.page(room);
            let (opened_at, lies) = (page.opened_at, page.lies);
            let (true, Some(cursor)) =
                (std::mem::take(&mut page.changed), self.logs.cursor(room.log()))
            else {
                continue;
            };
            if !lies && self.cache.is_full_of_later(opened_at) {
                continue;
            }
            if !lies {
                self.cache.keep_last(ROOMS_MAX - 1, turn);
            }
            self.cache.page(room).lies = true;
            turn.put(Output::Cache { user, room, opened_at, cursor });
        }
    }
}

/// Whether a room went on by too much since this cursor.
fn is_far(room: &RoomEntry, cursor: Cursor) -> bool {
    room.head.saturating_sub(cursor.seq) > MISSED_MAX
}
