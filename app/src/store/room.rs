//! One room of a page: what its head shows, its rows, and how far back they reach.
//!
//! A room in the list that was never opened has no rows yet. Rows are the stored messages by
//! number, then those that are not stored yet in the order they were written.

use std::sync::Arc;

use leptos::prelude::ArcRwSignal;
use protocol::ids::RoomId;
use protocol::model::{Role, RoomEntry, RoomKey};

use super::row::Row;

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

impl Room {
    /// A room of the list, not read yet.
    #[must_use]
    pub fn new(entry: RoomEntry) -> Self {
        Self {
            id: entry.id,
            key: entry.key,
            everyone: entry.everyone,
            name: ArcRwSignal::new(Arc::from(&*entry.name)),
            topic: ArcRwSignal::new(Arc::from(&*entry.topic)),
            role: ArcRwSignal::new(entry.role),
            member_count: ArcRwSignal::new(None),
            membership: ArcRwSignal::new(Membership::Member),
            rows: ArcRwSignal::default(),
            older: ArcRwSignal::default(),
            typists: ArcRwSignal::default(),
        }
    }
}
