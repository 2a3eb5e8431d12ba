//! What decides in a log: which batch is written, what is spoken when, and to whom.
//!
//! A plain struct with `step(input, now) -> outputs`, the same for rooms' and users' logs. In the
//! house `rooms/task.rs` carries its outputs; the simulation steps it bare (see `Log`). Its law:
//! nothing is spoken that is not committed, everything is spoken once and in the order of its
//! numbers, at most one batch is at the writer, and what is missing is read from the store first.

mod lookout;

use protocol::bounded::List;
use protocol::change::Envelope;
use protocol::event::{Accepted, Event, Typists};
use protocol::frame::Change;
use protocol::ids::{LogId, UserId};
use protocol::model::DisplayName;
use protocol::refusal::RetryReason;

use self::lookout::Lookout;
use super::lane::Mark;
use super::mailbox::Entry;
use super::tail::{SharedTail, Tail};
use super::typing::Typing;
use crate::history::{Answer, Outcome, Pending, Verdict};
use crate::outlet::SocketId;
use crate::outlet::chunk::{Chunk, Ends, Frame};

/// Who is told what a log says.
#[derive(Debug, Clone)]
pub struct Subscriber<S> {
    /// The connection.
    pub socket: SocketId,
    /// The client's number of the subscription.
    pub sub: u32,
    /// Whose it is.
    pub user: UserId,
    /// The log's head when the membership was read.
    pub born: u64,
    /// How to reach it: an outlet in the house, anything in the simulation.
    pub outlet: S,
}

/// What happens to a log.
#[derive(Debug)]
pub enum Input<R, S> {
    /// The mailbox's next batch; given only while `wants_batch`.
    Batch(Vec<Entry<R>>),
    /// Ops of the mailbox that have waited too long behind the batch at the writer.
    Overdue(Vec<Entry<R>>),
    /// What became of the batch at the writer.
    Outcome(Outcome),
    /// The batch, which the writer did not take before its first op was overdue.
    Withdrawn(Vec<Pending>),
    /// Somebody committed to this log up to this number.
    Hint(u64),
    /// The events behind the head, or that the store does not answer.
    Events(Option<Vec<Envelope>>),
    /// The store did not answer a `Sweep`.
    Unswept,
    /// Somebody is to be told from now on; only then is his slot made.
    Join(Subscriber<S>),
    /// This subscription is over.
    Leave(SocketId, u32),
    /// A subscriber writes still, or has stopped.
    Typing {
        /// Who.
        user: UserId,
        /// How he is called.
        name: DisplayName,
        /// Whether he writes still.
        active: bool,
    },
    /// Time has passed.
    Tick,
}

/// What a log asks of the task around it.
#[derive(Debug)]
pub enum Output<R> {
    /// Give this to the writer; its outcome is the next `Input::Outcome`.
    Commit {
        /// The ops.
        batch: Vec<Pending>,
        /// When the first of them has waited too long, in ticks: then it is withdrawn, unless the
        /// writer has taken it.
        overdue_at: i64,
    },
    /// Read the events behind this number; they are the next `Input::Events`.
    Read {
        /// The head.
        after: u64,
    },
    /// Offer this chunk, which stands in the tail, to every subscriber; then call `offered`.
    Speak(Chunk),
    /// Answer an op.
    Reply(R, Reply),
    /// Tell another log's task, if it has one, to read up to this number.
    Hint(LogId, u64),
    /// Events may stand in other logs of which nobody will hint: read where every log that has a
    /// task ends, and tell it, or say `Input::Unswept`.
    Sweep,
    /// Whisper this to every subscriber.
    Whisper(Frame),
    /// The user whose log this is has another name from now on.
    Renamed(UserId, DisplayName),
    /// The log's order is broken: a bug. Whoever `take_subscribers` gives is to be closed with
    /// `POSITION_LOST`; nothing was spoken past the break.
    Halt,
}

/// The answer to an op.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The store's.
    Verdict(Verdict),
    /// An earlier op of its lane was put off: no answer, the client sends it again.
    Void,
    /// It may be stored or not: the connection ends with `COMMIT_UNKNOWN`.
    Unknown,
}

/// One log with its subscribers. `R` is the way back of an answer, `S` the way to a subscriber.
///
/// To step it without tasks: take a batch from a `Mailbox` whenever `wants_batch` says so and hand
/// it in, answer `Commit` and `Read` whenever the test pleases, carry out `Speak` in order (offer,
/// then `offered`), and give `Tick` when `wakes_at` has come.
#[derive(Debug)]
pub struct Log<R, S> {
    id: LogId,
    tail: SharedTail,
    head: u64,
    /// The highest number that is known to be committed.
    known: u64,
    /// The way back for each op of the batch at the writer.
    flight: Option<Vec<Flight<R>>>,
    /// A read is under way, begun when this was the highest known number.
    reading: Option<u64>,
    /// What the store is to be asked though nobody hinted at it.
    lookout: Lookout,
    subscribers: Vec<Subscriber<S>>,
    /// Who types; most logs have nobody who ever did.
    typing: Option<Box<Typing>>,
}

impl<R, S> Log<R, S> {
    /// The log as it stands in the store, with nobody to tell; `tail` is emptied.
    #[must_use]
    pub fn new(id: LogId, head: u64, tail: SharedTail) -> Self {
        tail.change(|tail| *tail = Tail::new(head));
        Self {
            id,
            tail,
            head,
            known: head,
            flight: None,
            reading: None,
            lookout: Lookout::default(),
            subscribers: Vec::new(),
            typing: None,
        }
    }

    /// Whether no batch is at the writer.
    #[must_use]
    pub const fn wants_batch(&self) -> bool {
        self.flight.is_none()
    }

    /// Who is to be told.
    #[must_use]
    pub fn subscribers(&self) -> &[Subscriber<S>] {
        &self.subscribers
    }

    /// Whether nobody listens and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.subscribers.is_empty()
            && self.flight.is_none()
            && self.reading.is_none()
            && self.lookout.at().is_none()
    }

    /// When `Tick` is due.
    #[must_use]
    pub fn wakes_at(&self) -> Option<i64> {
        [self.lookout.at(), self.typing.as_ref().and_then(|typing| typing.wakes_at())]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes an input in.
    pub fn step(&mut self, input: Input<R, S>, now: i64, out: &mut Vec<Output<R>>) {
        match input {
            Input::Batch(entries) => self.batch(entries, now, out),
            Input::Overdue(entries) => out.extend(entries.into_iter().map(overdue)),
            Input::Outcome(outcome) => self.outcome(outcome, now, out),
            Input::Withdrawn(batch) => self.withdrawn(batch, now, out),
            Input::Hint(known) => self.known = self.known.max(known),
            Input::Events(events) => self.events(events, now, out),
            // Nobody else would look: it is made again until it is answered.
            Input::Unswept => self.lookout.unswept(now),
            Input::Join(subscriber) => self.join(subscriber),
            Input::Leave(socket, sub) => self.leave(socket, sub),
            Input::Typing { user, name, active } => {
                self.typing.get_or_insert_default().note(user, name, active, now);
            }
            Input::Tick => {}
        }
        self.look_again(now, out);
        self.tell_typing(now, out);
    }

    /// A chunk was offered to everybody: those whose subscription it ends leave the list.
    pub fn offered(&mut self, chunk: &Chunk) {
        if chunk.ends() != Ends::Nobody {
            let last = chunk.next().saturating_sub(1);
            self.subscribers.retain(|told| !(chunk.ends().include(told.user) && told.born < last));
        }
    }

    fn batch(&mut self, entries: Vec<Entry<R>>, now: i64, out: &mut Vec<Output<R>>) {
        let (mut batch, mut flight, mut first) = (Vec::new(), Vec::new(), i64::MAX);
        for entry in entries {
            let overdue_at = entry.overdue_at();
            if entry.mark.as_ref().is_some_and(Mark::is_void) {
                out.push(Output::Reply(entry.reply, Reply::Void));
            } else if overdue_at <= now {
                out.push(overdue(entry));
            } else {
                first = first.min(overdue_at);
                let Entry { pending, mark, queued_at, reply } = entry;
                batch.push(pending);
                flight.push(Flight { mark, queued_at, reply });
            }
        }
        if !batch.is_empty() {
            self.flight = Some(flight);
            out.push(Output::Commit { batch, overdue_at: first });
        }
    }

    /// Who has waited too long is told so, and the others go to the writer again.
    fn withdrawn(&mut self, batch: Vec<Pending>, now: i64, out: &mut Vec<Output<R>>) {
        let flight = self.flight.take().unwrap_or_default();
        let entry = |(pending, Flight { mark, queued_at, reply })| Entry {
            pending,
            mark,
            queued_at,
            reply,
        };
        self.batch(batch.into_iter().zip(flight).map(entry).collect(), now, out);
    }

    fn outcome(&mut self, outcome: Outcome, now: i64, out: &mut Vec<Output<R>>) {
        let flight = self.flight.take().unwrap_or_default();
        match outcome {
            Outcome::Committed(answers) => self.committed(flight, answers, now, out),
            Outcome::Failed(reason) => {
                out.extend(
                    flight
                        .into_iter()
                        .map(|one| Output::Reply(one.reply, put_off(one.mark.as_ref(), reason))),
                );
            }
            // What may be stored is looked for now and again: nobody else would hint at it.
            Outcome::Unknown | Outcome::DiskBroken => {
                for Flight { mark, reply, .. } in flight {
                    // What follows in the lane must not overtake an op that may have to be sent again.
                    let _ = mark.as_ref().is_some_and(Mark::put_off);
                    out.push(Output::Reply(reply, Reply::Unknown));
                }
                self.lookout.unsure(now);
                self.read(now, out);
            }
        }
    }

    fn committed(
        &mut self,
        flight: Vec<Flight<R>>,
        answers: Vec<Answer>,
        now: i64,
        out: &mut Vec<Output<R>>,
    ) {
        if flight.len() != answers.len() || !answers.iter().all(names_its_event) {
            return self.halt(now, out);
        }
        let (mut own, mut repeated) = (Vec::new(), Vec::new());
        for (Flight { mark, reply, .. }, Answer { verdict, events }) in
            flight.into_iter().zip(answers)
        {
            if let Verdict::Accepted(accepted) = &verdict
                && events.is_empty()
            {
                repeated.push(accepted.clone());
            }
            let reply_is = match verdict {
                Verdict::Retry(reason) => put_off(mark.as_ref(), reason),
                verdict => Reply::Verdict(verdict),
            };
            out.push(Output::Reply(reply, reply_is));
            for event in events {
                if event.log == self.id {
                    own.push(event);
                } else {
                    out.push(Output::Hint(event.log, event.seq));
                }
            }
        }
        own.sort_by_key(|event| event.seq);
        self.known = self.known.max(own.last().map_or(0, |event| event.seq));
        self.speak(own, now, out);
        repeated.iter().for_each(|accepted| self.stands(accepted, now, out));
    }

    /// An op was stored before: perhaps by a commit of which nobody has heard since.
    fn stands(&mut self, accepted: &Accepted, now: i64, out: &mut Vec<Output<R>>) {
        if accepted.log == self.id && accepted.seq > self.head {
            self.known = self.known.max(accepted.seq);
            out.push(Output::Sweep);
        } else if accepted.log != self.id && accepted.seq > 0 {
            // The other half of what it did stands here.
            out.push(Output::Hint(accepted.log, accepted.seq));
            self.read(now, out);
        }
    }

    fn events(&mut self, events: Option<Vec<Envelope>>, now: i64, out: &mut Vec<Output<R>>) {
        let known_then = self.reading.take();
        match events {
            // Nothing is there: what was hinted at before the read began does not exist.
            Some(events) if events.is_empty() => {
                if known_then == Some(self.known) {
                    self.known = self.head;
                }
                self.lookout.answered();
            }
            // The store was asked for what follows on the head: a hole in it is told to nobody.
            Some(events)
                if events.first().is_some_and(|event| event.seq > self.head.saturating_add(1)) =>
            {
                self.halt(now, out);
            }
            Some(events) => {
                self.known = self.known.max(events.last().map_or(0, |event| event.seq));
                // It may be what a commit of unknown outcome has stored, here and in other logs.
                if self.lookout.is_unsure() {
                    out.push(Output::Sweep);
                }
                self.lookout.answered();
                self.speak(events, now, out);
            }
            None => self.lookout.wait_for_store(now),
        }
    }

    /// Speaks what follows on the head; what lies beyond a gap waits for a read.
    fn speak(&mut self, mut events: Vec<Envelope>, now: i64, out: &mut Vec<Output<R>>) {
        events.retain(|event| event.seq > self.head);
        let follows = events
            .iter()
            .zip(self.head.saturating_add(1)..)
            .take_while(|(event, seq)| event.seq == *seq && event.log == self.id)
            .count();
        events.truncate(follows);
        let Ok(chunks) = Chunk::cut(&events) else { return self.halt(now, out) };
        if self.id.room().is_none() {
            out.extend(events.iter().filter_map(renamed));
        }
        for chunk in chunks {
            if self.tail.change(|tail| tail.push(chunk.clone())).is_err() {
                return self.halt(now, out);
            }
            self.head = chunk.next().saturating_sub(1);
            out.push(Output::Speak(chunk));
        }
    }

    /// Reads what is committed and not yet spoken, unless that is under way.
    fn look_again(&mut self, now: i64, out: &mut Vec<Output<R>>) {
        let due = self.lookout.due(now);
        if due == Some(true) {
            out.push(Output::Sweep);
        }
        let is_behind = self.known > self.head && !self.lookout.is_silent();
        if due.is_some() || (is_behind && self.reading.is_none()) {
            self.read(now, out);
        }
    }

    /// Reads what is there now. A read that is under way may have been before it: then again soon.
    fn read(&mut self, now: i64, out: &mut Vec<Output<R>>) {
        if self.reading.is_some() {
            self.lookout.ask_again(now);
        } else {
            self.reading = Some(self.known);
            self.lookout.reads();
            out.push(Output::Read { after: self.head });
        }
    }

    fn join(&mut self, subscriber: Subscriber<S>) {
        // What his membership was read with is committed, whether or not this log heard of it.
        self.known = self.known.max(subscriber.born);
        self.leave(subscriber.socket, subscriber.sub);
        // Most logs are one user's own, and have one.
        if self.subscribers.is_empty() {
            self.subscribers.reserve_exact(1);
        }
        self.subscribers.push(subscriber);
    }

    fn leave(&mut self, socket: SocketId, sub: u32) {
        let is_meant = |told: &Subscriber<S>| told.socket == socket && told.sub == sub;
        if let Some(index) = self.subscribers.iter().position(is_meant) {
            self.subscribers.swap_remove(index);
        }
    }

    fn tell_typing(&mut self, now: i64, out: &mut Vec<Output<R>>) {
        let Some(room) = self.id.room() else { return };
        let Some(typing) = &mut self.typing else { return };
        let Some(people) = typing.tell(self.subscribers.len(), now) else { return };
        let typists = Event::Typists(Typists { room, people: List::cut(people) });
        out.extend(Frame::event(&typists).ok().map(Output::Whisper));
    }

    /// Says nothing for a while; whoever listened comes back by his cursor.
    fn halt(&mut self, now: i64, out: &mut Vec<Output<R>>) {
        self.lookout.wait_for_store(now);
        out.push(Output::Halt);
    }

    /// Takes everybody off the list, after a `Halt`.
    pub fn take_subscribers(&mut self) -> Vec<Subscriber<S>> {
        std::mem::take(&mut self.subscribers)
    }
}

/// What is to be done about a user's new name; he names himself, so the author is who has it.
fn renamed<R>(event: &Envelope) -> Option<Output<R>> {
    match Change::decode(event.kind, &event.body).ok()?? {
        Change::Renamed(renamed) => Some(Output::Renamed(event.author, renamed.name)),
        _ => None,
    }
}

/// Whether an acceptance names the event that was stored for it (inv. I1).
fn names_its_event(answer: &Answer) -> bool {
    let Verdict::Accepted(accepted) = &answer.verdict else { return answer.events.is_empty() };
    let is_named = |event: &Envelope| {
        (event.log, event.seq, event.id) == (accepted.log, accepted.seq, accepted.id)
    };
    answer.events.is_empty() || answer.events.iter().any(is_named)
}

/// An op at the writer, without what is to be done.
#[derive(Debug)]
struct Flight<R> {
    mark: Option<Mark>,
    queued_at: i64,
    reply: R,
}

/// The answer to an op that has waited too long to be taken into a transaction.
fn overdue<R>(Entry { mark, reply, .. }: Entry<R>) -> Output<R> {
    Output::Reply(reply, put_off(mark.as_ref(), RetryReason::Unavailable))
}

/// The answer to an op that is not done now: its lane is told once.
pub(super) fn put_off(mark: Option<&Mark>, reason: RetryReason) -> Reply {
    match mark {
        Some(mark) if !mark.put_off() => Reply::Void,
        _ => Reply::Verdict(Verdict::Retry(reason)),
    }
}

#[cfg(test)]
mod tests;
