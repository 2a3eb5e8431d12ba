//! One message on the screen, from the key that was pressed to the number it got.
//!
//! A row keeps its `number` and its signals for as long as it is shown, so the list keeps its
//! element: pending becomes sent without a new node. Its state never goes backwards.

use std::sync::Arc;

use leptos::prelude::{ArcRwSignal, GetUntracked, Set, WithUntracked};
use protocol::ids::{OpId, UserId};
use protocol::model::{Me, Message};
use protocol::refusal::Refusal;

use super::grouping::Opens;

/// A message as it is shown.
#[derive(Debug, Clone)]
pub struct Row {
    /// The row's own number in this page: the key of its element.
    pub number: u64,
    /// The op that wrote it.
    pub op_id: OpId,
    /// Who wrote it; nil while it is pending and the visitor has no name yet.
    pub author: ArcRwSignal<UserId>,
    /// How he was called then.
    pub name: ArcRwSignal<Arc<str>>,
    /// What he wrote.
    pub text: ArcRwSignal<Arc<str>>,
    /// Whether this page's user wrote it: only then its state is shown.
    pub own: bool,
    /// Pending, sent or failed.
    pub state: ArcRwSignal<RowState>,
    /// When, in Unix milliseconds: stored, or queued while pending.
    pub at: ArcRwSignal<i64>,
    /// What begins with it.
    pub opens: ArcRwSignal<Opens>,
}

/// The three states of an own message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowState {
    /// Queued or under way.
    Pending,
    /// Stored under this number.
    Sent {
        /// The number in the room.
        seq: u64,
    },
    /// It is not in the room and will not be.
    Failed(Refusal),
}

impl Row {
    /// A stored message.
    pub(super) fn stored(number: u64, message: &Message, own: bool) -> Self {
        Self {
            number,
            op_id: message.op_id,
            author: ArcRwSignal::new(message.author),
            name: ArcRwSignal::new(Arc::from(&*message.name)),
            text: ArcRwSignal::new(Arc::from(&*message.text)),
            own,
            state: ArcRwSignal::new(RowState::Sent { seq: message.seq }),
            at: ArcRwSignal::new(message.at),
            opens: ArcRwSignal::default(),
        }
    }

    /// What the user of this page has just written; he may have no name yet.
    pub(super) fn pending(number: u64, op_id: OpId, text: &str, me: Option<&Me>, at: i64) -> Self {
        let author = me.map_or(UserId::NIL, |me| me.id);
        Self {
            number,
            op_id,
            author: ArcRwSignal::new(author),
            name: ArcRwSignal::new(me.map_or_else(|| Arc::from(""), |me| Arc::from(&*me.name))),
            text: ArcRwSignal::new(Arc::from(text)),
            own: true,
            state: ArcRwSignal::new(RowState::Pending),
            at: ArcRwSignal::new(at),
            opens: ArcRwSignal::default(),
        }
    }

    /// Its number in the room, once it is stored.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.state.with_untracked(|state| match state {
            RowState::Sent { seq } => Some(*seq),
            RowState::Pending | RowState::Failed(_) => None,
        })
    }

    /// Whether it will not be in the room.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.state.with_untracked(|state| matches!(state, RowState::Failed(_)))
    }

    /// Whether this is the row of that message.
    pub(super) fn is(&self, message: &Message) -> bool {
        !message.op_id.is_nil()
            && self.op_id == message.op_id
            && (self.own || self.author.get_untracked() == message.author)
    }

    /// It is stored. What was stored once stays so.
    pub(super) fn store(&self, seq: u64, at: i64) {
        if self.seq().is_none() {
            self.state.set(RowState::Sent { seq });
            self.at.set(at);
        }
    }

    /// It will not be in the room.
    pub(super) fn fail(&self, refusal: Refusal) {
        if self.seq().is_none() {
            self.state.set(RowState::Failed(refusal));
        }
    }

    /// Takes over what the server says of the message.
    pub(super) fn become_stored(&self, message: &Message) {
        self.sign(message.author, &message.name);
        self.store(message.seq, message.at);
    }

    /// Whose it is, once that is known.
    pub(super) fn sign(&self, author: UserId, name: &str) {
        if self.author.get_untracked() != author {
            self.author.set(author);
        }
        if self.name.with_untracked(|known| **known != *name) {
            self.name.set(Arc::from(name));
        }
    }
}
