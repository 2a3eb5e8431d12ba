//! The speaking side of one connection: what is begun, the answers, and a slot a subscription.
//!
//! A log task knows a socket only by this: it offers chunks. A session answers through it; the
//! connection's task (the drainer) writes what could not be written at once. A plain struct with
//! `step(input, now) -> outputs`, under one lock (`outlet/handle.rs`); the simulation steps it bare.
//! Its law: nothing logged is queued (a slot is a position in the log's tail), a message that was
//! begun is finished, no slot waits for another's reader, and whoever cannot follow is closed with
//! `SLOW` and comes back by its cursor.

use bytes::{Buf, Bytes};
use protocol::bounded::List;
use protocol::close::CloseCode;
use protocol::event::{Event, GoneReason, Ping};
use protocol::ids::{LogId, UserId};
use protocol::limits::PING_POSITIONS_MAX;

mod backlog;
pub mod chunk;
mod exchange;
pub mod handle;
mod slot;

use backlog::Backlog;
use chunk::{Chunk, Frame};
pub use exchange::{Alarm, Begin, Input, Order, Output, SharedSink, Sink, Subscription};
pub use slot::{Edges, Edition, Fetched, Ring, Seat, What};
use slot::{Heard, Slot, Turn};

/// Answers that may wait; a session reads on only while there is a place.
pub const ANSWERS_MAX: usize = 64;
/// Bytes of answers that may wait.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Milliseconds in which a socket must take a byte while something waits to be written.
pub const STUCK_MS: i64 = 10_000;
/// Milliseconds for the last bytes of a connection that is being closed.
pub const LINGER_MS: i64 = 1_000;
/// Pages and snapshots that may be on their way from the store or wait to be written.
const FETCHED_MAX: usize = 2;
/// Subscriptions that are over already and wait for the turn in which they say so.
const OVER_MAX: usize = 256;
/// Slots that are fed by pages at once; the others wait.
const PAGED_MAX: usize = 4;

/// One connection of this process, from upgrade to close; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

enum Flow {
    Free,
    Draining { since: i64 },
    Closing { until: i64 },
    Dead,
}

/// The speaking side of one connection. Small, because a room's turn looks at every one of them.
pub struct Outlet {
    user: UserId,
    /// Rooms that it may be told of.
    rooms_max: u32,
    flow: Flow,
    /// The user's own log is the first, once it is there.
    slots: Vec<Slot>,
    /// What waits; nothing where nothing does, as most of the time.
    backlog: Option<Box<Backlog>>,
}

impl Outlet {
    /// An outlet of this user's connection, with nothing to say, that takes so many rooms.
    #[must_use]
    pub const fn new(user: UserId, rooms_max: u32) -> Self {
        Self { user, rooms_max, flow: Flow::Free, slots: Vec::new(), backlog: None }
    }

    /// Takes an input in; writes to `sink` what may be written at once.
    pub fn step(&mut self, input: Input<'_>, now: i64, sink: &mut dyn Sink, out: &mut Vec<Output>) {
        match input {
            Input::Writable => {
                self.drain(now, sink, out);
                self.order_reads(out);
            }
            Input::Tick => self.tick(now, out),
            _ if self.is_closing() => {}
            Input::Greet(frames) => self.greet(frames, now, sink, out),
            Input::Subscribe(subscription) => self.subscribe(subscription, now, out),
            Input::Refuse { log, sub } => {
                self.place(Slot::refused((log, sub), GoneReason::NotMember), now, out);
            }
            Input::Unsubscribe(sub) => self.change(sub, Slot::asked_to_end, now, out),
            Input::PageAck(sub) => self.change(sub, Slot::acknowledged, now, out),
            Input::Fetched { log, sub, fetched } => self.fetched((log, sub), fetched, now, out),
            Input::Offer(chunk) => self.offer(chunk, now, sink, out),
            Input::Answer(frame) => self.answer(frame, now, sink, out),
            Input::Whisper { log, frame } => self.whisper(log, frame, now, sink, out),
            Input::Ping(number) => self.ping(number, now, sink, out),
            Input::Close(code) => self.close(code, now, out),
            Input::Echo(code) => self.end(code, CloseCode::NORMAL, now, out),
        }
        if self.is_free() {
            self.backlog.take_if(|backlog| backlog.is_empty());
        }
    }

    /// Whether there is room for the answers to `unanswered` commands and to one more.
    #[must_use]
    pub fn has_place(&self, unanswered: usize) -> bool {
        self.backlog.as_ref().is_none_or(|backlog| {
            backlog.answer_count() + unanswered < ANSWERS_MAX
                && backlog.answer_bytes() < ANSWER_BYTES_MAX
        })
    }

    /// Whether the client is subscribed to this log and was told up to its head.
    #[must_use]
    pub fn is_live(&self, log: LogId) -> bool {
        self.slots.iter().any(|slot| slot.log == log && slot.hears_whispers())
    }

    /// Whether the last byte was written, or given up.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self.flow, Flow::Dead)
    }

    /// Whether nothing waits to be written.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        matches!(self.flow, Flow::Free)
    }

    /// When `Tick` is due at the latest.
    #[must_use]
    pub const fn wakes_at(&self) -> Option<i64> {
        match self.flow {
            Flow::Draining { since } => Some(since.saturating_add(STUCK_MS)),
            Flow::Closing { until } => Some(until),
            Flow::Free | Flow::Dead => None,
        }
    }

    const fn is_closing(&self) -> bool {
        matches!(self.flow, Flow::Closing { .. } | Flow::Dead)
    }

    fn backlog(&mut self) -> &mut Backlog {
        self.backlog.get_or_insert_default()
    }

    fn greet(&mut self, frames: Vec<Frame>, now: i64, sink: &mut dyn Sink, out: &mut Vec<Output>) {
        self.backlog().greet(frames);
        self.speak_answers(now, sink, out);
    }

    fn subscribe(&mut self, subscription: Subscription, now: i64, out: &mut Vec<Output>) {
        let Subscription { log, sub, born, begin, ring, seat } = subscription;
        let others = self.slots.iter().filter(|slot| slot.is_fed() && slot.log != log).count();
        // The user's own log is one slot more, and comes first.
        let rooms_max = self.rooms_max;
        let slot = if others > usize::try_from(rooms_max).unwrap_or(usize::MAX) {
            Slot::refused((log, sub), GoneReason::TooManyRooms { rooms_max })
        } else {
            Slot::fed((log, sub), born, begin, ring, seat)
        };
        self.place(slot, now, out);
    }

    /// A slot takes the place of the log's older one, its `Gone` included.
    fn place(&mut self, slot: Slot, now: i64, out: &mut Vec<Output>) {
        let over = self.slots.iter().filter(|slot| !slot.is_fed()).count();
        match self.slots.iter_mut().find(|older| older.log == slot.log) {
            Some(older) => *older = slot,
            // A client that asks on and on and reads no answer.
            None if over >= OVER_MAX => return self.close(CloseCode::SLOW, now, out),
            None => {
                // Most connections have two, and for long.
                self.slots.reserve_exact(1);
                self.slots.push(slot);
            }
        }
        self.start_draining(now, out);
        self.order_reads(out);
    }

    fn change(&mut self, sub: u32, change: fn(&mut Slot), now: i64, out: &mut Vec<Output>) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.sub == sub) {
            change(slot);
            self.start_draining(now, out);
        }
    }

    fn fetched(
        &mut self,
        (log, sub): (LogId, u32),
        fetched: Option<Fetched>,
        now: i64,
        out: &mut Vec<Output>,
    ) {
        let backlog = self.backlog();
        backlog.reading = backlog.reading.saturating_sub(1);
        let slot = self.slots.iter_mut().find(|slot| slot.log == log && slot.sub == sub);
        if let (Some(slot), Some(fetched)) = (slot, fetched) {
            slot.fetched(fetched);
            self.start_draining(now, out);
        }
        self.order_reads(out);
    }

    fn offer(&mut self, chunk: &Chunk, now: i64, sink: &mut dyn Sink, out: &mut Vec<Output>) {
        let free = self.is_free();
        // From behind: what a user's own log says is seldom.
        let mut slots = self.slots.iter_mut().rev();
        let Some(slot) = slots.find(|slot| slot.log == chunk.log()) else { return };
        match slot.hear(chunk, free) {
            Heard::Nothing => {}
            Heard::Slow => self.close(CloseCode::SLOW, now, out),
            Heard::Lost => {
                out.push(Output::Alarm(Alarm::Gap(chunk.log())));
                self.close(CloseCode::POSITION_LOST, now, out);
            }
            Heard::Write(bytes) => {
                let taken = sink.write(std::slice::from_ref(&bytes));
                if taken > 0 {
                    let rest = slot.begun_run(chunk, taken, self.user);
                    if !rest.is_empty() {
                        self.backlog.get_or_insert_default().rest = rest;
                    }
                }
                if taken < bytes.len() {
                    slot.falls_behind();
                }
                if slot.has_work() {
                    self.start_draining(now, out);
                }
            }
        }
    }

    fn answer(&mut self, frame: Frame, now: i64, sink: &mut dyn Sink, out: &mut Vec<Output>) {
        let backlog = self.backlog();
        if backlog.answer_count() >= 2 * ANSWERS_MAX {
            out.push(Output::Alarm(Alarm::AnswersFull));
            return self.close(CloseCode::SLOW, now, out);
        }
        backlog.push(frame);
        self.speak_answers(now, sink, out);
    }

    fn whisper(
        &mut self,
        log: LogId,
        frame: &Frame,
        now: i64,
        sink: &mut dyn Sink,
        out: &mut Vec<Output>,
    ) {
        if !self.is_free() || !self.is_live(log) {
            return;
        }
        let taken = sink.write(std::slice::from_ref(frame.bytes()));
        if taken > 0 && taken < frame.bytes().len() {
            self.backlog().rest = frame.bytes().slice(taken..);
            self.start_draining(now, out);
        }
    }

    fn ping(&mut self, number: u32, now: i64, sink: &mut dyn Sink, out: &mut Vec<Output>) {
        let positions: Vec<_> = self.slots.iter().filter_map(Slot::position).collect();
        // With more live slots than a ping carries, each ping goes on where the last one ended.
        let begun = usize::try_from(number).unwrap_or(0).saturating_mul(PING_POSITIONS_MAX);
        let skipped = begun.checked_rem(positions.len()).unwrap_or(0);
        let carried = positions.len().min(PING_POSITIONS_MAX);
        let positions = List::cut(positions.into_iter().cycle().skip(skipped).take(carried));
        for slot in &mut self.slots {
            if slot.was_forgotten() {
                out.push(Output::Alarm(Alarm::Forgotten(slot.log)));
            }
        }
        match Frame::event(&Event::Ping(Ping { number, positions })) {
            Ok(frame) => self.answer(frame, now, sink, out),
            Err(_) => self.broken(now, out),
        }
        if self.slots.iter().any(Slot::has_work) {
            self.start_draining(now, out);
        }
    }

    fn tick(&mut self, now: i64, out: &mut Vec<Output>) {
        match self.flow {
            Flow::Draining { since } if now >= since.saturating_add(STUCK_MS) => {
                self.close(CloseCode::SLOW, now, out);
            }
            Flow::Closing { until } if now >= until => self.die(),
            _ => {}
        }
    }

    fn close(&mut self, code: CloseCode, now: i64, out: &mut Vec<Output>) {
        self.end(code, code, now, out);
    }

    /// Drops everything but the message that is begun; the rest goes on by `Writable`.
    fn end(&mut self, said: CloseCode, counted: CloseCode, now: i64, out: &mut Vec<Output>) {
        self.slots.clear();
        self.backlog().end(Frame::close(said));
        self.flow = Flow::Closing { until: now.saturating_add(LINGER_MS) };
        out.push(Output::Closing(counted));
        out.push(Output::Wake);
    }

    fn die(&mut self) {
        self.flow = Flow::Dead;
        self.backlog = None;
    }

    fn broken(&mut self, now: i64, out: &mut Vec<Output>) {
        out.push(Output::Alarm(Alarm::Encoding));
        self.close(CloseCode::INTERNAL, now, out);
    }

    fn start_draining(&mut self, now: i64, out: &mut Vec<Output>) {
        if self.is_free() {
            self.flow = Flow::Draining { since: now };
            out.push(Output::Wake);
        }
    }

    /// Writes answers at once where nothing else waits.
    fn speak_answers(&mut self, now: i64, sink: &mut dyn Sink, out: &mut Vec<Output>) {
        if self.is_free() {
            self.serve_answers(sink);
            let backlog = self.backlog();
            if backlog.answer_count() > 0 || !backlog.rest.is_empty() {
                self.start_draining(now, out);
            }
        }
    }

    /// The drainer: what is begun, then a turn for each that has something, until the sink takes no
    /// more or nothing is left.
    fn drain(&mut self, now: i64, sink: &mut dyn Sink, out: &mut Vec<Output>) {
        loop {
            if let Some(backlog) = self.backlog.as_mut().filter(|some| !some.rest.is_empty()) {
                let taken = sink.write(std::slice::from_ref(&backlog.rest));
                backlog.rest.advance(taken.min(backlog.rest.len()));
                let is_out = backlog.rest.is_empty();
                self.moved(taken, now);
                if !is_out {
                    return;
                }
            }
            match &mut self.flow {
                Flow::Free | Flow::Dead => return,
                Flow::Closing { .. } => match self.backlog().last.take() {
                    Some(last) => self.backlog().rest = last.bytes().clone(),
                    None => self.die(),
                },
                Flow::Draining { .. } => {
                    let Some(served) = self.next_turn() else {
                        self.flow = Flow::Free;
                        return;
                    };
                    self.backlog().turn = served + 1;
                    let progress = match served.checked_sub(1) {
                        None => self.serve_answers(sink),
                        Some(index) => self.serve_slot(index, now, sink, out),
                    };
                    self.moved(progress.taken, now);
                    if progress.blocked {
                        return;
                    }
                }
            }
        }
    }

    fn moved(&mut self, taken: usize, now: i64) {
        if let Flow::Draining { since } = &mut self.flow
            && taken > 0
        {
            *since = now;
        }
    }

    /// Whose turn it is, behind whom was served last: 0 for the answers, n for the nth slot.
    fn next_turn(&self) -> Option<usize> {
        let backlog = self.backlog.as_ref();
        if backlog.is_some_and(|backlog| backlog.is_greeting()) {
            return Some(0);
        }
        let (count, turn) = (self.slots.len() + 1, backlog.map_or(0, |backlog| backlog.turn));
        (0..count).map(|step| (turn + step) % count).find(|turn| match turn.checked_sub(1) {
            None => backlog.is_some_and(|backlog| backlog.answer_count() > 0),
            Some(index) => self.slots.get(index).is_some_and(Slot::has_work),
        })
    }

    fn serve_answers(&mut self, sink: &mut dyn Sink) -> Progress {
        let backlog = self.backlog();
        let (parts, planned) = backlog.next_answers();
        let taken = if parts.is_empty() { 0 } else { sink.write(&parts) };
        backlog.answered(taken);
        Progress { taken, blocked: taken < planned }
    }

    fn serve_slot(
        &mut self,
        index: usize,
        now: i64,
        sink: &mut dyn Sink,
        out: &mut Vec<Output>,
    ) -> Progress {
        let still = Progress { taken: 0, blocked: false };
        let Some(slot) = self.slots.get_mut(index) else { return still };
        let pieces = match slot.turn(self.user) {
            Turn::Write(pieces) => pieces,
            Turn::Moved => return still,
            Turn::Slow => {
                self.close(CloseCode::SLOW, now, out);
                return still;
            }
            Turn::Broken => {
                self.broken(now, out);
                return still;
            }
        };
        let parts: Vec<Bytes> = pieces.iter().map(|piece| piece.bytes.clone()).collect();
        let planned: usize = parts.iter().map(Bytes::len).sum();
        let taken = sink.write(&parts);
        let mut left = taken;
        for piece in &pieces {
            if left == 0 {
                break;
            }
            let of_this = left.min(piece.bytes.len());
            let (rest, over) = slot.begun(piece, of_this, self.user);
            self.backlog.get_or_insert_default().rest = rest;
            left -= of_this;
            if over {
                self.slots.remove(index);
                break;
            }
        }
        Progress { taken, blocked: taken < planned }
    }

    /// Lets slots that want a page or a state have one read, within the bounds.
    fn order_reads(&mut self, out: &mut Vec<Output>) {
        let count = |is: fn(&Slot) -> bool| self.slots.iter().filter(|slot| is(slot)).count();
        let reading = self.backlog.as_ref().map_or(0, |backlog| backlog.reading);
        let mut fetched = reading + count(Slot::holds_page);
        let mut paged = count(Slot::is_paged);
        for slot in &mut self.slots {
            if fetched >= FETCHED_MAX || paged >= PAGED_MAX {
                return;
            }
            if let Some(order) = slot.fetch() {
                self.backlog.get_or_insert_default().reading += 1;
                fetched += 1;
                paged += 1;
                out.push(Output::Fetch(order));
            }
        }
    }
}

/// What a turn came to.
struct Progress {
    taken: usize,
    /// The sink took less than there was.
    blocked: bool,
}

#[cfg(test)]
mod tests;
