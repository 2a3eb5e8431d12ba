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
