//! Own messages whose room this page does not know: neither in the user's list nor looked at.
//!
//! Part of the store, which asks here wherever a message is told, and whenever it comes to know a
//! room. A message that an earlier page kept lies beside its room's address, under which it is listed
//! where it failed. Its law: what is told of a message without one is kept until its room is known, and
//! is then shown as if it had been told just now; what ends meanwhile ends here. The outbox bounds how
//! many there are.

use std::sync::{Mutex, MutexGuard, PoisonError};

use leptos::prelude::GetUntracked;
use protocol::act::Post;
use protocol::bounded::Text;
use protocol::frame::Act;
use protocol::ids::{OpId, RoomId};
use protocol::model::{MessageText, RoomEntry};
use protocol::refusal::Refusal;

use super::{Membership, Room, Store, entry, set};

/// A message that waits, or failed.
#[derive(Debug, Clone)]
pub(super) struct Unplaced {
    pub op_id: OpId,
    pub room: RoomId,
    pub text: MessageText,
    /// When it was queued, in Unix milliseconds.
    pub at: i64,
    pub failed: Option<Refusal>,
}

/// All of them, in the order in which they were told.
#[derive(Debug, Default)]
pub(super) struct UnplacedOps {
    ops: Mutex<Vec<Unplaced>>,
    /// What lay beside messages of earlier pages: what their rooms are called, each once.
    addresses: Mutex<Vec<RoomEntry>>,
}

impl Store {
    /// What is kept beside this act: its room's key and, in a second line, name. Empty where the act is
    /// no message, or of the room of everybody.
    #[must_use]
    pub fn address(&self, act: &Act) -> String {
        let Act::Post(Post { room, .. }) = act else { return String::new() };
        // Nobody leaves the room of everybody, and it is always known in the end.
        let found = self.find(room.log()).filter(|room| !room.everyone);
        let line = |room: Room| format!("{}\n{}", room.key, room.name.get_untracked());
        found.map(line).unwrap_or_default()
    }

    /// This lay beside an act that an earlier page kept, and that is about to be told.
    pub fn note_address(&self, act: &Act, address: &str) {
        let mut known = lock(&self.unplaced.addresses);
        if let (Act::Post(Post { room, .. }), Some((key, name))) = (act, address.split_once('\n'))
            && known.iter().all(|known| known.id != *room)
        {
            known.push(entry(*room, Text::cut(key), Text::cut(name)));
        }
    }

    /// A room of which no more is known than its address: he is no member as far as is known.
    pub(super) fn addressed(&self, id: RoomId) -> Option<Room> {
        let room = Room::new(lock(&self.unplaced.addresses).iter().find(|it| it.id == id)?);
        set(&room.membership, Membership::Outside);
        self.note_other(&room);
        Some(room)
    }

    /// Shows what was told of this room's own messages before it was known.
    pub(super) fn place_ops(&self, room: &Room) {
        for Unplaced { op_id, text, at, failed, .. } in self.unplaced.take(room.id) {
            room.queue(op_id, &text, self.me.get_untracked().as_ref(), at, self.zone());
            if let Some(refusal) = failed {
                room.fail(op_id, refusal, self.zone());
            }
        }
    }
}

impl UnplacedOps {
    pub(super) fn add(&self, op: Unplaced) {
        self.with(|all| all.push(op));
    }

    /// Whose room is not known, if the op is here.
    pub(super) fn room_of(&self, op_id: OpId) -> Option<RoomId> {
        self.with(|all| all.iter().find(|op| op.op_id == op_id).map(|op| op.room))
    }

    pub(super) fn fail(&self, op_id: OpId, refusal: &Refusal) {
        self.with(|all| {
            if let Some(op) = all.iter_mut().find(|op| op.op_id == op_id) {
                op.failed = Some(refusal.clone());
            }
        });
    }

    /// It is over.
    pub(super) fn end(&self, op_id: OpId) {
        self.with(|all| all.retain(|op| op.op_id != op_id));
    }

    /// Those of a room that is known now.
    pub(super) fn take(&self, room: RoomId) -> Vec<Unplaced> {
        self.with(|all| all.extract_if(.., |op| op.room == room).collect())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Unplaced>) -> T) -> T {
        act(&mut lock(&self.ops))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
