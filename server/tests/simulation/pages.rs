//! What of a browser's rooms outlives its pages: each with its cursor, written at times and lost at times.
//!
//! Filled from a tab's screen when its machine asks for it, and given to the next page, sooner or
//! later. Its law: a page and its cursor are one, so a write that is lost leaves the older of both.

use std::collections::BTreeMap;

use protocol::client::cache::Cached;
use protocol::client::exchange::Input;
use protocol::ids::{RoomId, UserId};
use server::clock::{Chance, SeededChance};

/// Longer than a room waits for its page.
const LATE_MS_MAX: u64 = 5_000;

/// One tab's pages in the browser's database.
#[derive(Debug)]
pub(crate) struct Pages {
    kept: BTreeMap<RoomId, Vec<u8>>,
    recall_at: Option<u64>,
    chance: SeededChance,
}

impl Pages {
    /// None yet.
    pub(crate) fn new(seed: u64) -> Self {
        Self { kept: BTreeMap::new(), recall_at: None, chance: SeededChance::new(seed) }
    }

    /// A page begins, which is told in a while of what lies here.
    pub(crate) fn open(&mut self, now: u64) {
        let takes = match self.chance.below(8) {
            _ if self.kept.is_empty() => 0,
            0 => self.chance.below(LATE_MS_MAX),
            1..=4 => self.chance.below(40),
            _ => 0,
        };
        self.recall_at = Some(now + takes);
    }

    /// When the page is told.
    pub(crate) const fn due_at(&self) -> Option<u64> {
        self.recall_at
    }

    /// What it is told.
    pub(crate) fn recall(&mut self) -> Input<'static> {
        self.recall_at = None;
        let read = |bytes: &Vec<u8>| Cached::from_bytes(bytes).expect("what was written is read");
        Input::Recall { pages: self.kept.values().map(read).collect(), keeps: true }
    }

    /// Whether a page that ends has time to say which rooms it read.
    pub(crate) fn has_time(&mut self) -> bool {
        self.chance.below(4) > 0
    }

    pub(crate) fn put(&mut self, page: Cached) {
        if self.chance.below(16) > 0 {
            let room = page.snapshot.room.id;
            let bytes = page.into_bytes().expect("a page of a screen is short");
            self.kept.insert(room, bytes);
        }
    }

    pub(crate) fn take(&mut self, room: RoomId) {
        self.kept.remove(&room);
    }

    /// Before the pages were read nobody can: their database is not open.
    pub(crate) fn take_all(&mut self) {
        if self.recall_at.is_none() {
            self.kept.clear();
        }
    }

    /// A page that should not be here: another user's, or of a room that is not his.
    pub(crate) fn strange(&self, user: UserId, is_his: impl Fn(RoomId) -> bool) -> Option<Cached> {
        let mut all = self.kept.values().filter_map(|bytes| Cached::from_bytes(bytes));
        all.find(|page| page.user != user || !is_his(page.snapshot.room.id))
    }
}
