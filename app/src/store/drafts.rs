//! The texts that are being written, one a room, kept in the browser's storage.
//!
//! The composer calls `keep` at every change and `restore` when it appears. Its law: what was sent
//! stays kept until it is accepted, so that no crash loses a text.

use std::sync::Arc;

use protocol::ids::RoomId;

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

/// The drafts of a page.
#[derive(Clone)]
pub struct Drafts {
    keeper: Arc<dyn Keeper>,
}

impl Drafts {
    /// Drafts over this keeper.
    #[must_use]
    pub fn new(keeper: Arc<dyn Keeper>) -> Self {
        Self { keeper }
    }

    /// Keeps what stands in the composer of a room now.
    pub fn keep(&self, room: RoomId, text: &str) {
        self.keeper.write(&format!("draft:{room}"), text);
    }

    /// What to put into an empty composer that appears.
    #[must_use]
    pub fn restore(&self, room: RoomId) -> String {
        self.keeper.read(&format!("draft:{room}")).unwrap_or_default()
    }
}
