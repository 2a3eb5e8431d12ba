//! The texts that are being written, one a room, kept in the browser's storage.
//!
//! The composer calls `keep` at every change and `restore` when it appears. Its law: what was sent
//! stays kept until it is accepted, so that no crash loses a text: it comes back in the composer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::ids::{OpId, RoomId};

/// Where texts are kept across page loads; the browser's `localStorage`, nothing on the server.
pub trait Keeper: Send + Sync {
    /// What was kept under this name.
    fn read(&self, name: &str) -> Option<String>;
    /// Keeps a text under this name; an empty one is forgotten. It may fail silently: the storage
    /// can be full or forbidden.
    fn write(&self, name: &str, text: &str);
}

/// Keeps nothing: the server's side, and browsers that refuse.
pub struct NoKeeper;

impl Keeper for NoKeeper {
    fn read(&self, _name: &str) -> Option<String> {
        None
    }

    fn write(&self, _name: &str, _text: &str) {}
}

/// The drafts of a page; a clone is the same drafts.
#[derive(Clone)]
pub struct Drafts {
    keeper: Arc<dyn Keeper>,
    rooms: Arc<Mutex<BTreeMap<RoomId, Draft>>>,
}

#[derive(Default)]
struct Draft {
    /// What stands in the composer.
    text: String,
    /// What left it and is not accepted yet, in order.
    sent: Vec<(OpId, Arc<str>)>,
}

impl Drafts {
    /// Drafts over this keeper.
    #[must_use]
    pub fn new(keeper: Arc<dyn Keeper>) -> Self {
        Self { keeper, rooms: Arc::default() }
    }

    /// Keeps what stands in the composer of a room now.
    pub fn keep(&self, room: RoomId, text: &str) {
        self.change(room, |draft| text.clone_into(&mut draft.text));
    }

    /// What to put into an empty composer that appears: what stood in it last in this page, else
    /// what was kept by an earlier one.
    #[must_use]
    pub fn restore(&self, room: RoomId) -> String {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        match rooms.get(&room) {
            Some(draft) => draft.text.clone(),
            None => self.keeper.read(&name(room)).unwrap_or_default(),
        }
    }

    /// A text left the composer.
    pub(super) fn sent(&self, room: RoomId, op_id: OpId, text: &str) {
        self.change(room, |draft| draft.sent.push((op_id, Arc::from(text))));
    }

    /// A text that left the composer is stored, or its user gave it up.
    pub(super) fn settled(&self, room: RoomId, op_id: OpId) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(draft) = rooms.get_mut(&room) else { return };
        let sent_count = draft.sent.len();
        draft.sent.retain(|(sent, _)| *sent != op_id);
        if draft.sent.len() != sent_count {
            self.keeper.write(&name(room), &draft.whole());
        }
    }

    fn change(&self, room: RoomId, change: impl FnOnce(&mut Draft)) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let draft = rooms.entry(room).or_default();
        change(draft);
        self.keeper.write(&name(room), &draft.whole());
    }
}

impl Draft {
    /// All that would be lost with the page.
    fn whole(&self) -> String {
        let texts = self.sent.iter().map(|(_, text)| &**text).chain([self.text.as_str()]);
        let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
        texts.join("\n")
    }
}

fn name(room: RoomId) -> String {
    format!("draft:{room}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId::from_bytes([1; 16]);
    const OTHER: RoomId = RoomId::from_bytes([2; 16]);
    const OP: OpId = OpId::from_bytes([3; 16]);

    #[derive(Default)]
    struct Shelf(Mutex<BTreeMap<String, String>>);

    impl Keeper for Shelf {
        fn read(&self, name: &str) -> Option<String> {
            self.0.lock().unwrap().get(name).cloned()
        }

        fn write(&self, name: &str, text: &str) {
            self.0.lock().unwrap().insert(name.to_owned(), text.to_owned());
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

    #[test]
    fn what_was_sent_is_kept_until_it_is_stored() {
        let shelf = Arc::new(Shelf::default());
        let drafts = Drafts::new(shelf.clone());
        drafts.sent(ROOM, OP, "first");
        drafts.keep(ROOM, "second");
        assert_eq!(drafts.restore(ROOM), "second");
        assert_eq!(Drafts::new(shelf.clone()).restore(ROOM), "first\nsecond");
        drafts.settled(ROOM, OP);
        assert_eq!(Drafts::new(shelf).restore(ROOM), "second");
    }
}
