//! What was read from the store, as a subscription's first frame, its pages and its snapshot.
//!
//! Called by the connection's task between the store and the outlet, and by the simulation in its
//! place. Its law: pure; a page is cut behind the event that ends the reader's own subscription, and
//! a snapshot counts only for the membership with which the subscription began.

use protocol::bounded::List;
use protocol::change::Envelope;
use protocol::codec::EncodeFault;
use protocol::cursor::Cursor;
use protocol::event::{Event, Page, Reset, SubOk};
use protocol::ids::{LogId, LogKind, UserId};

use crate::history::{Admission, Resume, RoomView};
use crate::outlet::chunk::{Ends, Frame};
use crate::outlet::{Begin, Fetched, Order, What};

/// How a subscription begins whose log stands so to the client's cursor.
pub fn beginning(
    (log, sub): (LogId, u32),
    admission: &Admission,
    cursor: Option<Cursor>,
) -> Result<Begin, EncodeFault> {
    let head = admission.head;
    match admission.resume(cursor) {
        Resume::From(seq) => {
            let ok = Event::SubOk(SubOk { sub, epoch: head.epoch, head: head.seq });
            Ok(Begin::Events { next: seq.saturating_add(1), first: Frame::event(&ok)? })
        }
        Resume::Reset(reason) if log.kind == LogKind::Room => Ok(Begin::Snapshot(reason)),
        // The state of a user's log is what `Welcome` told.
        Resume::Reset(reason) => {
            let reset = Event::Reset(Reset { sub, reason, cursor: head, snapshot: None });
            Ok(Begin::Events { next: head.next(), first: Frame::event(&reset)? })
        }
    }
}

/// The page that answers an order; nothing where no events came.
pub fn page(
    order: &Order,
    user: UserId,
    mut events: Vec<Envelope>,
) -> Result<Option<Fetched>, EncodeFault> {
    let is_end = |event: &Envelope| event.seq > order.born && Ends::by(event).include(user);
    let end = events.iter().position(is_end);
    if let Some(end) = end {
        events.truncate(end + 1);
    }
    let events = List::cut(events);
    let Some(last) = events.last() else { return Ok(None) };
    let next = last.seq.saturating_add(1);
    let page = Event::Page(Page { sub: order.sub, events });
    Ok(Some(Fetched::Page { frame: Frame::event(&page)?, next, ends: end.is_some() }))
}

/// The snapshot that answers an order; `view` is nothing where the reader is no member any more.
pub fn snapshot(order: &Order, view: Option<RoomView>) -> Result<Option<Fetched>, EncodeFault> {
    let What::Snapshot(reason) = order.what else { return Ok(None) };
    let Some(view) = view.filter(|view| view.membership.joined_seq <= order.born) else {
        return Ok(Some(Fetched::Ended));
    };
    let (sub, cursor, snapshot) = (order.sub, view.cursor, Some(view.snapshot));
    let reset = Event::Reset(Reset { sub, reason, cursor, snapshot });
    Ok(Some(Fetched::Snapshot { frame: Frame::event(&reset)?, next: cursor.next() }))
}

#[cfg(test)]
mod tests {
    use protocol::codec::decode_event;
    use protocol::ids::RoomId;

    use super::*;
    use crate::outlet::Edition;
    use crate::outlet::chunk::take_message;
    use crate::outlet::chunk::tests::{left, posted};

    const ADA: u8 = 5;
    const MEI: u8 = 6;

    /// The numbers that stand on the page of who subscribed at `born`, where the next one begins,
    /// and whether it ends his subscription.
    fn read(born: u64, events: Vec<Envelope>) -> Option<(Vec<u64>, u64, bool)> {
        let log = RoomId::from_bytes([1; 16]).log();
        let what = What::Page { after: 0 };
        let order = Order { log, sub: 4, born, what, edition: Edition::begin() };
        let Fetched::Page { frame, next, ends } =
            page(&order, UserId::from_bytes([ADA; 16]), events).unwrap()?
        else {
            panic!("not a page")
        };
        let (_, bytes) = take_message(&mut frame.bytes().clone()).unwrap();
        let Some(Event::Page(page)) = decode_event(&bytes).unwrap() else { panic!("not a page") };
        Some((page.events.iter().map(|event| event.seq).collect(), next, ends))
    }

    #[test]
    fn nothing_behind_the_own_end_is_on_the_page() {
        let events = vec![posted(1, "a"), left(2, ADA), posted(3, "not his any more")];
        assert_eq!(read(1, events), Some((vec![1, 2], 3, true)));
    }

    #[test]
    fn an_end_before_the_subscription_was_of_an_earlier_stay() {
        let events = vec![posted(1, "a"), left(2, ADA), posted(3, "b")];
        assert_eq!(read(3, events), Some((vec![1, 2, 3], 4, false)));
    }

    #[test]
    fn the_end_of_somebody_else_is_an_event_like_others() {
        let events = vec![posted(1, "a"), left(2, MEI), posted(3, "b")];
        assert_eq!(read(0, events), Some((vec![1, 2, 3], 4, false)));
        assert_eq!(read(0, Vec::new()), None);
    }
}
