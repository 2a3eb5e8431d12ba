//! A room's newest page as the browser keeps it: what the screen holds up to a cursor, as a snapshot.
//!
//! Made when the machine asks for it, read back by the machine. Its law: it is a snapshot as the
//! server gives one, no longer, and nothing on it came behind the cursor; so with the events behind
//! the cursor it is the room as it stands then.

use leptos::prelude::{ArcRwSignal, GetUntracked, WithUntracked};
use protocol::bounded::{List, Text};
use protocol::event::Snapshot;
use protocol::ids::{EventId, RoomId};
use protocol::limits::{SNAPSHOT_BYTES_MAX, SNAPSHOT_MESSAGES_MAX};
use protocol::model::{Message, RoomEntry};

use super::{OlderState, Room, Row, Store};

impl Store {
    /// The newest page of this room up to a number; nothing where its messages are not known.
    #[must_use]
    pub fn page(&self, room: RoomId, seq: u64) -> Option<Snapshot> {
        let find = |rooms: &Vec<Room>| rooms.iter().find(|it| it.id == room).cloned();
        self.rooms.with_untracked(find)?.page(seq)
    }
}

impl Room {
    fn page(&self, seq: u64) -> Option<Snapshot> {
        let above = match self.older.get_untracked() {
            OlderState::Unread => return None,
            OlderState::More | OlderState::Loading => true,
            OlderState::Start => false,
        };
        let (messages, left_out) = self.rows.with_untracked(|rows| {
            let stored = rows.iter().rev().filter_map(Row::message).filter(|it| it.seq <= seq);
            let (mut bytes, mut newest) = (0, stored.peekable());
            let mut messages = Vec::new();
            while let Some(message) = newest.next_if(|message| {
                bytes += message.text.len() + message.name.len();
                messages.len() < SNAPSHOT_MESSAGES_MAX && bytes <= SNAPSHOT_BYTES_MAX
            }) {
                messages.push(message);
            }
            messages.reverse();
            (messages, newest.peek().is_some())
        });
        let text = |signal: &ArcRwSignal<_>| signal.get_untracked();
        let room = RoomEntry {
            id: self.id,
            key: self.key.clone(),
            name: Text::cut(&text(&self.name)),
            topic: Text::cut(&text(&self.topic)),
            everyone: self.everyone,
            role: self.role.get_untracked(),
            head: seq,
        };
        let member_count = self.member_count.get_untracked().unwrap_or_default();
        let (messages, older) = (List::cut(messages), above || left_out);
        Some(Snapshot { room, member_count, messages, older })
    }
}

impl Row {
    /// The stored message that it shows. The id of its event is not here.
    fn message(&self) -> Option<Message> {
        Some(Message {
            seq: self.seq()?,
            id: EventId::NIL,
            at: self.at.get_untracked(),
            author: self.author.get_untracked(),
            name: self.name.with_untracked(|name| Text::cut(name)),
            op_id: self.op_id,
            text: self.text.with_untracked(|text| Text::cut(text)),
        })
    }
}
