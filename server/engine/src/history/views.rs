//! What both kinds of history make of the rows they read, cut to what fits into a frame.
//!
//! Its law: a page of events and a page of messages each hold at least one if there is one,
//! whatever its size, and together with their frame stay below the wire's bound.

use protocol::bounded::List;
use protocol::change::Envelope;
use protocol::cursor::Cursor;
use protocol::event::Snapshot;
use protocol::limits::{
    EVENT_BYTES_MAX, HISTORY_MESSAGES_MAX, PAGE_EVENTS_MAX, SNAPSHOT_BYTES_MAX,
    SNAPSHOT_MESSAGES_MAX,
};
use protocol::model::{Message, Role, RoomEntry};

use crate::db::logs::LogExtent;
use crate::db::members::Membership;
use crate::db::rooms::CountedRoom;
use crate::history::{Admission, OlderMessages, RoomCard, RoomState};

/// Messages to read for a snapshot: one more than fit tells whether there are older ones.
pub(super) const SNAPSHOT_READ: usize = SNAPSHOT_MESSAGES_MAX + 1;
/// Rooms of one page of the list of rooms.
pub(super) const ROOMS_READ: usize = 50;

/// Bytes of an event or a message beside its body: ids, numbers and lengths.
const FRAMING_BYTES: usize = 112;
/// Bytes of a page of events; the rest of the frame is its head.
const PAGE_BYTES_MAX: usize = EVENT_BYTES_MAX - 1024;

/// How many of these sizes fit, but at least one.
fn fitting(sizes: impl Iterator<Item = usize>, bytes_max: usize) -> usize {
    let mut bytes = 0_usize;
    let fits = sizes.take_while(|size| {
        bytes = bytes.saturating_add(*size).saturating_add(FRAMING_BYTES);
        bytes <= bytes_max
    });
    fits.count().max(1)
}

/// A page of a replay, from events in order.
pub(super) fn page(mut events: Vec<Envelope>) -> Vec<Envelope> {
    events.truncate(PAGE_EVENTS_MAX);
    events.truncate(fitting(events.iter().map(|event| event.body.len()), PAGE_BYTES_MAX));
    events
}

/// A page of at most `count` messages, from one more where there are more, the newest first.
pub(super) fn older(mut newest_first: Vec<Message>, count: usize) -> OlderMessages {
    let read = newest_first.len();
    newest_first.truncate(count.min(HISTORY_MESSAGES_MAX));
    let sizes = newest_first.iter().map(|message| message.text.len() + message.name.len());
    newest_first.truncate(fitting(sizes, SNAPSHOT_BYTES_MAX));
    let older = newest_first.len() < read;
    OlderMessages { messages: List::cut(newest_first.into_iter().rev()), older }
}

/// What may be told of a room to everybody.
pub(super) fn card(counted: CountedRoom) -> RoomCard {
    let CountedRoom { room, member_count } = counted;
    RoomCard {
        id: room.id,
        key: room.key,
        name: room.name,
        topic: room.topic,
        everyone: room.everyone,
        member_count,
    }
}

/// A room as it stands.
pub(super) fn state(counted: CountedRoom, cursor: Cursor, newest_first: Vec<Message>) -> RoomState {
    let CountedRoom { room, member_count } = counted;
    let entry = RoomEntry {
        id: room.id,
        key: room.key,
        name: room.name,
        topic: room.topic,
        everyone: room.everyone,
        role: Role::Member,
        head: cursor.seq,
    };
    let OlderMessages { messages, older } = older(newest_first, SNAPSHOT_MESSAGES_MAX);
    RoomState { snapshot: Snapshot { room: entry, member_count, messages, older }, cursor }
}

/// How a user stands to a log.
pub(super) const fn admission(extent: LogExtent, membership: Membership) -> Admission {
    Admission {
        membership,
        head: extent.head,
        floor: extent.floor,
        floor_tag: extent.floor_tag,
        cursor_tag: extent.tag,
    }
}

#[cfg(test)]
mod tests {
    use protocol::ids::{EventId, OpId, UserId};
    use protocol::model::{DisplayName, MessageText};

    use super::*;

    fn messages(count: u64, bytes: usize) -> Vec<Message> {
        let message = |seq| Message {
            seq,
            id: EventId::NIL,
            at: 0,
            author: UserId::NIL,
            name: DisplayName::default(),
            op_id: OpId::NIL,
            text: MessageText::new("a".repeat(bytes)).unwrap(),
        };
        (1..=count).rev().map(message).collect()
    }

    #[test]
    fn a_page_of_history_is_in_order_and_says_that_there_is_more() {
        let page = older(messages(51, 1), 50);
        assert_eq!(page.messages.len(), 50);
        assert_eq!(page.messages.first().map(|message| message.seq), Some(2));
        assert!(page.older);
        assert!(!older(messages(50, 1), 50).older);
        assert_eq!(older(messages(101, 1), 1_000).messages.len(), 100, "the wire's own bound");
    }

    #[test]
    fn long_messages_make_a_short_page_of_at_least_one() {
        assert_eq!(older(messages(4, 40_000), 100).messages.len(), 2);
        assert_eq!(fitting([usize::MAX].into_iter(), 10), 1);
        assert!(older(messages(4, 40_000), 100).older);
        assert!(older(Vec::new(), 100).messages.is_empty());
    }
}
