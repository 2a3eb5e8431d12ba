//! A slot: one subscription in its connection's outlet. It is a position, never a queue.
//!
//! Used by `outlet` alone, under the outlet's lock. Its law (`docs/PROTOCOL.md`, subscriptions): the
//! position counts every event of which a byte was written; events come from the log's tail while
//! it reaches back far enough, else in pages that are asked for and acknowledged one at a time; the
//! end of the user's own membership behind `born` ends the slot, and `Gone` is the last it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use protocol::event::{Event, Gone, GoneReason, Position, ResetReason};
use protocol::ids::{LogId, UserId};

use super::chunk::{CHUNK_BYTES_MAX, Chunk, Frame};
use super::exchange::Order;

/// What a slot reads from: its log's tail.
pub trait Ring: Send + Sync {
    /// Where the tail begins and ends just now.
    fn edges(&self) -> Edges;

    /// Puts the chunks that hold number `next` and what follows into `into`, at most `bytes_max`
    /// together but at least one if there is one, and tells the edges of the same moment.
    fn read(&self, next: u64, bytes_max: usize, into: &mut Vec<Chunk>) -> Edges;
}

/// A name for the bodies of a log as they stand until one of them is overwritten. None is given twice
/// in a process, also where the log's task ends and begins again: whoever read in another edition may
/// have read what is erased since. Editions have no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Edition(u64);

impl Edition {
    /// One that nobody has read in.
    #[must_use]
    pub fn begin() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A tail's reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edges {
    /// The number of the last event spoken.
    pub head: u64,
    /// The lowest number the tail still holds; `head + 1` where it holds none.
    pub floor: u64,
    /// Which edition of its bodies it holds; a page read in another is read anew.
    pub edition: Edition,
}

/// What keeps a subscriber on its log's list; dropping it takes it off.
pub type Seat = Box<dyn Send>;

/// Whether a fetched piece is a page of events or the room's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The events behind this number.
    Page {
        /// The last number that is known.
        after: u64,
    },
    /// The room as it stands, for a `Reset` of this reason.
    Snapshot(ResetReason),
}

/// What was read for a slot.
#[derive(Debug)]
pub enum Fetched {
    /// Events from the slot's position on.
    Page {
        /// The `Page` frame.
        frame: Frame,
        /// The number behind its last event.
        next: u64,
        /// Whether its last event ends the subscription.
        ends: bool,
    },
    /// The room's state.
    Snapshot {
        /// The `Reset` frame.
        frame: Frame,
        /// The number behind the snapshot's cursor.
        next: u64,
    },
    /// The membership of the subscription's beginning stands no more.
    Ended,
}

/// One subscription of one connection.
pub(super) struct Slot {
    pub(super) log: LogId,
    pub(super) sub: u32,
    /// `SubOk`, or a `Reset` without a state, until its first byte is written.
    first: Option<Box<Frame>>,
    stage: Stage,
}

enum Stage {
    Fed(Feed),
    Over(GoneReason),
}

struct Feed {
    born: u64,
    next: u64,
    ring: Arc<dyn Ring>,
    /// Held for its drop alone.
    _seat: Seat,
    state: State,
}

enum State {
    Want(Need),
    Fetching { need: Need, edition: Edition },
    Ready(Box<Ready>),
    Unacked,
    Young,
    Live { below: bool },
    Behind,
}

/// What was fetched and waits to be written.
struct Ready {
    need: Need,
    edition: Edition,
    frame: Frame,
    then: Then,
}

#[derive(Clone, Copy)]
enum Need {
    Page,
    Snapshot(ResetReason),
}

/// What a slot is when its fetched frame is begun.
#[derive(Clone, Copy)]
struct Then {
    next: u64,
    ends: bool,
}

/// Something to write, and what it is to the slot.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    part: Part,
}

enum Part {
    First,
    Fetched,
    Run(Chunk),
    Gone,
}

/// What a slot does with its turn.
pub(super) enum Turn {
    Write(Vec<Piece>),
    /// The slot changed and has nothing to write just now.
    Moved,
    /// Live before, and now out of the tail.
    Slow,
    /// A frame could not be encoded.
    Broken,
}

/// What a slot does with an offered chunk.
pub(super) enum Heard {
    Nothing,
    Write(Bytes),
    Slow,
    /// The chunk does not follow on what the slot was told.
    Lost,
}

impl Slot {
    pub(super) fn fed(
        (log, sub): (LogId, u32),
        born: u64,
        begin: super::Begin,
        ring: Arc<dyn Ring>,
        seat: Seat,
    ) -> Self {
        let (first, next, state) = match begin {
            super::Begin::Events { next, first } => (Some(Box::new(first)), next, State::Young),
            super::Begin::Snapshot(reason) => (None, 0, State::Want(Need::Snapshot(reason))),
        };
        let feed = Feed { born, next, ring, _seat: seat, state };
        Self { log, sub, first, stage: Stage::Fed(feed) }
    }

    pub(super) const fn refused((log, sub): (LogId, u32), reason: GoneReason) -> Self {
        Self { log, sub, first: None, stage: Stage::Over(reason) }
    }

    /// Whether it is told of its log, or will be.
    pub(super) const fn is_fed(&self) -> bool {
        matches!(self.stage, Stage::Fed(_))
    }

    /// Whether a turn would write or change something.
    pub(super) const fn has_work(&self) -> bool {
        let moves = match &self.stage {
            Stage::Over(_) => true,
            Stage::Fed(feed) => {
                matches!(feed.state, State::Ready(_) | State::Young | State::Behind)
            }
        };
        moves || self.first.is_some()
    }

    /// Whether a fetched frame is on its way or waits to be written.
    pub(super) const fn holds_page(&self) -> bool {
        matches!(&self.stage, Stage::Fed(Feed { state: State::Ready(_), .. }))
    }

    /// Whether the slot is being fed by pages.
    pub(super) const fn is_paged(&self) -> bool {
        matches!(
            &self.stage,
            Stage::Fed(Feed {
                state: State::Fetching { .. } | State::Ready(_) | State::Unacked,
                ..
            })
        )
    }

    /// Begins to fetch if the slot wants something, and says what.
    pub(super) fn fetch(&mut self) -> Option<Order> {
        let Stage::Fed(feed) = &mut self.stage else { return None };
        let State::Want(need) = feed.state else { return None };
        if self.first.is_some() {
            return None;
        }
        let edition = feed.ring.edges().edition;
        feed.state = State::Fetching { need, edition };
        let what = match need {
            Need::Page => What::Page { after: feed.next.saturating_sub(1) },
            Need::Snapshot(reason) => What::Snapshot(reason),
        };
        Some(Order { log: self.log, sub: self.sub, born: feed.born, what, edition })
    }

    pub(super) fn fetched(&mut self, fetched: Fetched) {
        let Stage::Fed(feed) = &mut self.stage else { return };
        let State::Fetching { need, edition } = feed.state else { return };
        let (frame, then) = match fetched {
            Fetched::Page { frame, next, ends } => (frame, Then { next, ends }),
            Fetched::Snapshot { frame, next } => (frame, Then { next, ends: false }),
            Fetched::Ended => {
                self.stage = Stage::Over(GoneReason::Ended);
                return;
            }
        };
        feed.state = State::Ready(Box::new(Ready { need, edition, frame, then }));
    }

    /// Takes the client's word that the last page arrived.
    pub(super) fn acknowledged(&mut self) {
        if let Stage::Fed(feed) = &mut self.stage
            && matches!(feed.state, State::Unacked)
        {
            feed.state = State::Young;
        }
    }

    /// Ends the slot because the client wants no more; an end that came before stays.
    pub(super) fn asked_to_end(&mut self) {
        if matches!(self.stage, Stage::Fed(_)) {
            self.stage = Stage::Over(GoneReason::Asked);
        }
    }

    /// What the slot writes in its turn; the state may change without anything to write.
    pub(super) fn turn(&mut self, user: UserId) -> Turn {
        let mut pieces: Vec<Piece> =
            self.first.iter().map(|first| Piece::of(first, Part::First)).collect();
        let feed = match &mut self.stage {
            Stage::Fed(feed) => feed,
            Stage::Over(reason) => {
                let Some(room) = self.log.room() else { return Turn::Broken };
                let gone = Event::Gone(Gone { sub: self.sub, room, reason: *reason });
                let Ok(gone) = Frame::event(&gone) else { return Turn::Broken };
                pieces.push(Piece::of(&gone, Part::Gone));
                return Turn::Write(pieces);
            }
        };
        match &feed.state {
            State::Ready(ready) => {
                if feed.ring.edges().edition == ready.edition {
                    pieces.push(Piece::of(&ready.frame, Part::Fetched));
                } else {
                    feed.state = State::Want(ready.need);
                }
            }
            State::Young | State::Behind => {
                let young = matches!(feed.state, State::Young);
                match feed.run(user, &mut pieces) {
                    Reach::Within => {}
                    // What is at the head is live once its first frame is out.
                    Reach::AtHead if pieces.is_empty() => feed.state = State::Live { below: false },
                    Reach::AtHead => {}
                    Reach::Dropped if young => feed.state = State::Want(Need::Page),
                    Reach::Dropped => return Turn::Slow,
                }
            }
            State::Want(_) | State::Fetching { .. } | State::Unacked | State::Live { .. } => {}
        }
        if pieces.is_empty() { Turn::Moved } else { Turn::Write(pieces) }
    }

    /// Counts what a write has taken of a piece; gives what is left of the begun message, and
    /// whether the slot has said its last.
    pub(super) fn begun(&mut self, piece: &Piece, taken: usize, user: UserId) -> (Bytes, bool) {
        let rest = piece.bytes.slice(taken.min(piece.bytes.len())..);
        match &piece.part {
            Part::First => self.first = None,
            Part::Gone => return (rest, true),
            Part::Fetched => self.begun_fetched(),
            Part::Run(chunk) => return (self.begun_run(chunk, taken, user), false),
        }
        (rest, false)
    }

    fn begun_fetched(&mut self) {
        let Stage::Fed(feed) = &mut self.stage else { return };
        let State::Ready(ready) = &feed.state else { return };
        let (need, then) = (ready.need, ready.then);
        feed.next = then.next;
        feed.state = match need {
            Need::Page => State::Unacked,
            Need::Snapshot(_) => State::Young,
        };
        if then.ends {
            self.stage = Stage::Over(GoneReason::Ended);
        }
    }

    /// Counts what a write has taken of a chunk; gives what is left of the begun message.
    pub(super) fn begun_run(&mut self, chunk: &Chunk, taken: usize, user: UserId) -> Bytes {
        let Stage::Fed(feed) = &mut self.stage else { return Bytes::new() };
        let begun = chunk.begun(feed.next, taken);
        feed.next = begun.next;
        if let State::Live { below } = &mut feed.state {
            *below = false;
        }
        if feed.next >= chunk.next() && feed.is_ended_by(chunk, user) {
            self.stage = Stage::Over(GoneReason::Ended);
        }
        begun.rest
    }

    /// Takes in that the log has spoken. `free`: the outlet may write at once.
    pub(super) fn hear(&mut self, chunk: &Chunk, free: bool) -> Heard {
        let Stage::Fed(feed) = &mut self.stage else { return Heard::Nothing };
        match feed.state {
            State::Live { .. } if chunk.next() <= feed.next => Heard::Nothing,
            State::Live { .. } if chunk.first() > feed.next => Heard::Lost,
            State::Live { .. } if free => Heard::Write(chunk.bytes_from(feed.next)),
            State::Live { .. } => {
                feed.state = State::Behind;
                Heard::Nothing
            }
            State::Behind if feed.next < feed.ring.edges().floor => Heard::Slow,
            _ => Heard::Nothing,
        }
    }

    /// A live slot to which not all was written follows from the tail.
    pub(super) fn falls_behind(&mut self) {
        if let Stage::Fed(feed) = &mut self.stage
            && matches!(feed.state, State::Live { .. })
        {
            feed.state = State::Behind;
        }
    }

    /// Whether passing things are told: live, and its first frame is out.
    pub(super) const fn hears_whispers(&self) -> bool {
        matches!(&self.stage, Stage::Fed(Feed { state: State::Live { .. }, .. }))
            && self.first.is_none()
    }

    /// How far a live slot was told, for a `Ping`.
    pub(super) fn position(&self) -> Option<Position> {
        match &self.stage {
            Stage::Fed(Feed { state: State::Live { .. }, next, .. }) => {
                Some(Position { sub: self.sub, seq: next.saturating_sub(1) })
            }
            _ => None,
        }
    }

    /// Whether a live slot stands below its log's head for the second ping, and was told nothing
    /// between the two: it was forgotten, and then follows from the tail. Below it is at times, too,
    /// while the log's task tells one after the other.
    pub(super) fn was_forgotten(&mut self) -> bool {
        let Stage::Fed(feed) = &mut self.stage else { return false };
        let State::Live { below } = feed.state else { return false };
        let below_now = feed.next <= feed.ring.edges().head;
        feed.state =
            if below && below_now { State::Behind } else { State::Live { below: below_now } };
        below && below_now
    }
}

/// How a position stands to its tail.
enum Reach {
    Within,
    AtHead,
    Dropped,
}

impl Feed {
    /// Adds what the tail holds from the position on, up to one write and up to the user's own end.
    fn run(&self, user: UserId, pieces: &mut Vec<Piece>) -> Reach {
        let mut chunks = Vec::new();
        let edges = self.ring.read(self.next, CHUNK_BYTES_MAX, &mut chunks);
        if self.next > edges.head {
            return Reach::AtHead;
        }
        if self.next < edges.floor {
            return Reach::Dropped;
        }
        let mut next = self.next;
        for chunk in chunks {
            let ended = self.is_ended_by(&chunk, user);
            let after = chunk.next();
            pieces.push(Piece::run(chunk, next));
            next = after;
            if ended {
                break;
            }
        }
        Reach::Within
    }

    fn is_ended_by(&self, chunk: &Chunk, user: UserId) -> bool {
        chunk.ends().include(user) && chunk.next().saturating_sub(1) > self.born
    }
}

impl Piece {
    fn of(frame: &Frame, part: Part) -> Self {
        Self { bytes: frame.bytes().clone(), part }
    }

    fn run(chunk: Chunk, next: u64) -> Self {
        Self { bytes: chunk.bytes_from(next), part: Part::Run(chunk) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_small() {
        assert!(size_of::<Slot>() <= 112, "{}", size_of::<Slot>());
    }
}
