//! The texts that are being written, one a room, kept in the browser's storage for this tab.
//!
//! The composer calls `keep` at every change and `restore` when it appears, and offers what
//! `take_found` gives. Its laws: a text that was sent, or failed, stays noted under its op until the
//! outbox keeps it as that or it is accepted, so that no crash loses it: it comes back as a message
//! that waits or failed, or else in the composer; a text is one tab's, and another tab gets it only
//! when that one is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use leptos::prelude::{ArcRwSignal, Notify, Track};
use protocol::ids::{OpId, RoomId};

/// What is kept across page loads: in the browser's storage, nowhere on the server. It may fail
/// silently, since the storage can be full or forbidden: by itself a keeper keeps nothing.
pub trait Keeper: Send + Sync {
    /// What this tab kept of a room's text.
    fn draft(&self, _room: RoomId) -> Option<String> {
        None
    }

    /// Keeps a room's text for this tab; an empty one is forgotten.
    fn keep_draft(&self, _room: RoomId, _text: &str) {}

    /// Notes a text that left the composer; an empty one is forgotten. A note of a message that is
    /// in no outbox is what `take_found` gives on the next page.
    fn note_sent(&self, _room: RoomId, _op_id: OpId, _text: &str) {}

    /// Takes what tabs that are gone, or this one before it was loaded anew, have left of a room's
    /// texts.
    fn take_found(&self, _room: RoomId) -> Option<String> {
        None
    }

    /// The last number of a room that was read in this browser.
    fn read_to(&self, _room: RoomId) -> Option<u64> {
        None
    }

    /// Keeps that number, for all tabs.
    fn keep_read_to(&self, _room: RoomId, _seq: u64) {}

    /// Takes what this tab kept of where its reader was when it was loaded anew: in this room, with
    /// this as its newest message.
    fn take_place(&self, _room: RoomId, _newest: u64) -> Option<u64> {
        None
    }

    /// Keeps that: the room, its newest message, and how far above the end he was, in CSS pixels;
    /// nothing where he was there.
    fn keep_place(&self, _place: Option<(RoomId, u64, u64)>) {}
}

/// Keeps nothing: the server's side, and tests.
pub struct NoKeeper;

impl Keeper for NoKeeper {}

/// The drafts of a page; a clone is the same drafts.
#[derive(Clone)]
pub struct Drafts {
    keeper: Arc<dyn Keeper>,
    /// What stands in the composers of this page.
    rooms: Arc<Mutex<BTreeMap<RoomId, String>>>,
    found: ArcRwSignal<()>,
}

impl Drafts {
    /// Drafts over this keeper.
    #[must_use]
    pub fn new(keeper: Arc<dyn Keeper>) -> Self {
        Self { keeper, rooms: Arc::default(), found: ArcRwSignal::default() }
    }

    /// Keeps what stands in the composer of a room now.
    pub fn keep(&self, room: RoomId, text: &str) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone_into(rooms.entry(room).or_default());
        self.keeper.keep_draft(room, text);
    }

    /// What to put into an empty composer that appears: what stood in it last in this page, else
    /// what this tab kept before it was loaded anew.
    #[must_use]
    pub fn restore(&self, room: RoomId) -> String {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        match rooms.get(&room) {
            Some(text) => text.clone(),
            None => self.keeper.draft(room).unwrap_or_default(),
        }
    }

    /// What tabs that are gone have left of a room's texts, once; tracked.
    #[must_use]
    pub fn take_found(&self, room: RoomId) -> Option<String> {
        self.found.track();
        self.keeper.take_found(room)
    }

    /// The keeper has looked for tabs that are gone.
    pub fn have_looked(&self) {
        self.found.notify();
    }

    /// A text left the composer, or its message failed: it is lost with the page but for this.
    pub(super) fn sent(&self, room: RoomId, op_id: OpId, text: &str) {
        self.keeper.note_sent(room, op_id, text);
    }

    /// The message is kept, waiting or failed, or accepted, or its user gave it up.
    pub(super) fn settled(&self, room: RoomId, op_id: OpId) {
        self.keeper.note_sent(room, op_id, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId::from_bytes([1; 16]);
    const OTHER: RoomId = RoomId::from_bytes([2; 16]);

    #[derive(Default)]
    struct Shelf(Mutex<BTreeMap<RoomId, String>>);

    impl Keeper for Shelf {
        fn draft(&self, room: RoomId) -> Option<String> {
            self.0.lock().unwrap().get(&room).cloned()
        }

        fn keep_draft(&self, room: RoomId, text: &str) {
            self.0.lock().unwrap().insert(room, text.to_owned());
        }
    }

    #[test]
    fn each_room_keeps_its_own_draft_over_a_reload() {
        let shelf = Arc::new(Shelf::default());
        let drafts = Drafts::new(shelf.clone());
        drafts.keep(ROOM, "here");
        drafts.keep(OTHER, "there");
        assert_eq!(drafts.restore(ROOM), "here");
        assert_eq!(Drafts::new(shelf).restore(OTHER), "there");
    }
}
