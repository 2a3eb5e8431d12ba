//! All that a page knows: who looks, his rooms, their messages, the connection, the outbox.
//!
//! Made once from the first page, it lives as long as the page and is in context everywhere.
//! Components read its signals; `apply` is the one way by which anything changes, for own messages
//! as for others'. Its law: a snapshot with events applied is the same as a fresh snapshot.
//!
//! Everything is `Arc`-based, so it may be used outside any reactive owner.

pub mod connection;
pub mod drafts;
pub mod grouping;
pub mod room;
pub mod row;

use std::collections::BTreeMap;
use std::sync::Arc;

use leptos::prelude::ArcRwSignal;
use protocol::act::Act;
use protocol::ids::{LogId, OpId};
use protocol::model::Me;
use protocol::refusal::Refusal;

pub use connection::{Connection, Pill};
pub use drafts::{Drafts, Keeper};
pub use grouping::Opens;
pub use room::{Membership, OlderState, Room};
pub use row::{Row, RowState};

/// What a page knows; a clone is the same store.
#[derive(Clone)]
pub struct Store {
    /// Who looks; nobody until the server has greeted a visitor as a guest.
    pub me: ArcRwSignal<Option<Me>>,
    /// His rooms, the lobby first, then by name.
    pub rooms: ArcRwSignal<Vec<Room>>,
    /// Characters that a message may have.
    pub text_chars_max: ArcRwSignal<u32>,
    /// How the connection stands, and what is shown of it.
    pub connection: Connection,
    /// How many ops wait, and whether the outbox takes more.
    pub waiting: ArcRwSignal<Waiting>,
    /// What came of acts that are no messages, by the id that `Link::act` gave.
    pub fates: ArcRwSignal<BTreeMap<OpId, Fate>>,
    /// What the former guest of this page wrote and never sent; to be offered again.
    pub kept: ArcRwSignal<Vec<Act>>,
    /// The texts that are being written, by room.
    pub drafts: Drafts,
}

/// How full the outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Ops that are not accepted yet.
    pub op_count: usize,
    /// It takes no more: the composer says so and keeps its text.
    pub full: bool,
}

/// What came of an act that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Queued or under way.
    Pending,
    /// Stored in this log: for `Create` and `Enter` the room's.
    Done(LogId),
    /// It will not be done.
    Failed(Refusal),
}

impl Store {
    /// The store of a page, as it is first drawn.
    #[must_use]
    pub fn new(page: &crate::first_page::FirstPage, keeper: Arc<dyn Keeper>) -> Self {
        let rooms = page.rooms.iter().map(|entry| Room::new(entry.clone())).collect();
        Self {
            me: ArcRwSignal::new(page.me.clone()),
            rooms: ArcRwSignal::new(rooms),
            text_chars_max: ArcRwSignal::new(page.text_chars_max),
            connection: Connection::default(),
            waiting: ArcRwSignal::default(),
            fates: ArcRwSignal::default(),
            kept: ArcRwSignal::default(),
            drafts: Drafts::new(keeper),
        }
    }

    /// The room with this key, tracked: one of the user's own, or the one the page was loaded for.
    /// Nothing for any other: such a link loads the page anew.
    #[must_use]
    pub fn room(&self, key: &str) -> Option<Room> {
        use leptos::prelude::With;
        self.rooms.with(|rooms| rooms.iter().find(|room| *room.key == *key).cloned())
    }
}
