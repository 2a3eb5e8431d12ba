//! One message on the screen, from the key that was pressed to the number it got.
//!
//! A row keeps its `number` and its signals for as long as it is shown, so the list keeps its
//! element: pending becomes sent without a new node. Its state never goes backwards.

use std::sync::Arc;

use leptos::prelude::ArcRwSignal;
use protocol::ids::{OpId, UserId};
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
