//! Own messages whose room this page does not know: neither in the user's list nor looked at.
//!
//! Part of the store, which asks here wherever a message is told, and whenever it comes to know a
//! room. Its law: what is told of such a message is kept until its room is known, and is then shown as
//! if it had been told just now; what ends meanwhile ends here. The outbox bounds how many there are.

use std::sync::{Mutex, PoisonError};

use protocol::ids::{OpId, RoomId};
use protocol::model::MessageText;
use protocol::refusal::Refusal;

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
pub(super) struct UnplacedOps(Mutex<Vec<Unplaced>>);

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
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
