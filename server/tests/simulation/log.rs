//! One log's task without the task: its machine, its mailbox, and what waits for it.
//!
//! Stepped by `house`, one thing a turn, as production's `rooms/task.rs` does between two awaits:
//! visits before ops, and everything the machine put out is carried out before its next step.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use protocol::change::Envelope;
use protocol::ids::{LogId, UserId};
use protocol::model::DisplayName;
use server::config::Limits;
use server::history::{Outcome, Pending};
use server::outlet::chunk::{Chunk, Frame};
use server::outlet::{Begin, SocketId, Subscription};
use server::rooms::lane::Mark;
use server::rooms::mailbox::{Entry, Mailbox, QUEUED_MS_MAX, Returned};
use server::rooms::rates::Bucket;
use server::rooms::room::{Input, Log, Output, Reply, Subscriber};
use server::rooms::tail::{SharedTail, Tail};
use server::rooms::task::TurnedAway;
use server::session::Ticket;

use crate::mutants::{Mutant, Planted};

/// What a turn of the log's task may come too late, in milliseconds.
const TURNS_MS_MAX: i64 = 500;

/// Seats that were dropped: log, socket, number.
pub(crate) type Departures = Arc<Mutex<Vec<(LogId, SocketId, u32)>>>;

/// The way of an answer.
#[derive(Debug)]
pub(crate) enum WayBack {
    /// To a connection.
    Socket(SocketId, Ticket),
    /// To who sent the form of this number.
    Form(u64),
}

/// What comes to a log's task, beside ops.
pub(crate) enum Visit {
    Join { socket: SocketId, sub: u32, user: UserId, born: u64, begin: Begin },
    Leave(SocketId, u32),
    Typing(UserId, DisplayName, bool),
    Hint(u64),
    Outcome(Outcome),
    Withdrawn(Vec<Pending>),
    Events(Option<Vec<Envelope>>),
    Unswept,
    Tick,
}

/// What a log's task waits for.
pub(crate) enum LogTask {
    Open,
    Commit { batch: Vec<Pending>, overdue_at: i64 },
    Read { after: u64 },
    Events(Option<Vec<Envelope>>),
    Hint(LogId, u64),
    Sweep,
}

/// What a turn came to.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) tasks: Vec<LogTask>,
    pub(crate) replies: Vec<(WayBack, Reply)>,
    pub(crate) joined: Vec<(SocketId, Subscription)>,
    pub(crate) offers: Vec<(SocketId, Chunk)>,
    pub(crate) whispers: Vec<(SocketId, Frame)>,
    pub(crate) goes_on: bool,
}

/// One log.
pub(crate) struct LogRoom {
    id: LogId,
    /// Nothing until its head was read.
    log: Option<Log<WayBack, ()>>,
    tail: SharedTail,
    mailbox: Mailbox<WayBack>,
    visits: VecDeque<Visit>,
    outputs: VecDeque<Output<WayBack>>,
    departures: Departures,
}

/// A place on the list, left by dropping it.
struct Seat {
    departures: Departures,
    place: (LogId, SocketId, u32),
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Ok(mut departures) = self.departures.lock() {
            departures.push(self.place);
        }
    }
}

impl LogRoom {
    /// A log whose task was just started.
    pub(crate) fn new(id: LogId, limits: &Limits, departures: Departures) -> Self {
        Self {
            id,
            log: None,
            tail: SharedTail::new(Tail::new(0)),
            mailbox: Mailbox::new(Bucket::new(&limits.sends_per_room)),
            visits: VecDeque::new(),
            outputs: VecDeque::new(),
            departures,
        }
    }

    /// The head was read.
    pub(crate) fn open(&mut self, head: u64) {
        self.log = Some(Log::new(self.id, head, self.tail.clone()));
    }

    /// Something waits for its next turn.
    pub(crate) fn visit(&mut self, visit: Visit) {
        self.visits.push_back(visit);
    }

    /// An op for the mailbox, which may be full.
    pub(crate) fn push(
        &mut self,
        way: WayBack,
        mark: Option<Mark>,
        pending: Pending,
        now: i64,
    ) -> Result<(), (WayBack, TurnedAway)> {
        let entry = Entry { pending, mark, queued_at: now, reply: way };
        self.mailbox.push(entry, now).map_err(|returned| {
            let Returned { entry, reason, retry_after_ms } = *returned;
            (entry.reply, TurnedAway { reason, retry_after_ms })
        })
    }

    /// When its timer is due; while it works there is none.
    pub(crate) fn wakes_at(&self) -> Option<i64> {
        let rests = self.outputs.is_empty() && self.visits.is_empty();
        let log = self.log.as_ref().filter(|_| rests)?;
        let overdue_at = self.mailbox.overdue_at().filter(|_| !log.wants_batch());
        [log.wakes_at(), overdue_at].into_iter().flatten().min()
    }

    /// Whether its task may end.
    pub(crate) fn is_unused(&self) -> bool {
        let rests = self.outputs.is_empty() && self.visits.is_empty() && self.mailbox.is_empty();
        rests && self.log.as_ref().is_some_and(Log::is_idle)
    }

    /// Carries out one output, or takes one thing in.
    pub(crate) fn turn(&mut self, now: i64, planted: Planted) -> Done {
        let mut done = Done::default();
        self.check_patience(now);
        if let Some(output) = self.outputs.pop_front() {
            self.carry_out(output, planted, &mut done);
        } else if let Some(log) = &mut self.log {
            let mut outputs = Vec::new();
            let overdue = match log.wants_batch() {
                true => Vec::new(),
                false => self.mailbox.take_overdue(now),
            };
            if !overdue.is_empty() {
                log.step(Input::Overdue(overdue), now, &mut outputs);
            } else if let Some(visit) = self.visits.pop_front() {
                let input = taken(visit, self.id, &self.tail, &self.departures, &mut done);
                log.step(input, now, &mut outputs);
            } else if log.wants_batch() && !self.mailbox.is_empty() {
                log.step(Input::Batch(self.mailbox.take_batch()), now, &mut outputs);
            }
            self.outputs.extend(outputs);
        }
        let ops = !self.mailbox.is_empty() && self.log.as_ref().is_some_and(Log::wants_batch);
        let opened = self.log.is_some();
        done.goes_on = opened && (!self.outputs.is_empty() || !self.visits.is_empty() || ops);
        done
    }

    /// Nobody waits behind a commit for longer than an op may wait.
    fn check_patience(&self, now: i64) {
        let (Some(log), Some(overdue_at)) = (&self.log, self.mailbox.overdue_at()) else { return };
        let waits = now - overdue_at;
        if !log.wants_batch() && waits > TURNS_MS_MAX {
            panic!("2.13: an op waits for {} ms", QUEUED_MS_MAX + waits);
        }
    }

    fn carry_out(&mut self, output: Output<WayBack>, planted: Planted, done: &mut Done) {
        let Some(log) = &mut self.log else { return };
        match output {
            Output::Commit { batch, overdue_at } => {
                done.tasks.push(LogTask::Commit { batch, overdue_at });
            }
            Output::Read { after } => done.tasks.push(LogTask::Read { after }),
            Output::Hint(log, seq) => done.tasks.push(LogTask::Hint(log, seq)),
            Output::Sweep => done.tasks.push(LogTask::Sweep),
            Output::Reply(way, reply) => done.replies.push((way, reply)),
            Output::Speak(chunk) => {
                let told = log.subscribers().iter();
                done.offers.extend(told.map(|told| (told.socket, chunk.clone())));
                if !planted.is(Mutant::EndForgotten) {
                    log.offered(&chunk);
                }
            }
            Output::Whisper(frame) => {
                let told = log.subscribers().iter();
                done.whispers.extend(told.map(|told| (told.socket, frame.clone())));
            }
            // Nobody looks at the names of those who write.
            Output::Renamed(..) => {}
            Output::Halt => panic!("I3: the order of {:?} is broken", self.id),
        }
    }
}

/// What a visit is to the machine.
fn taken(
    visit: Visit,
    id: LogId,
    tail: &SharedTail,
    departures: &Departures,
    done: &mut Done,
) -> Input<WayBack, ()> {
    match visit {
        Visit::Join { socket, sub, user, born, begin } => {
            let departures = Arc::clone(departures);
            let seat = Box::new(Seat { departures, place: (id, socket, sub) });
            let ring = tail.ring();
            done.joined.push((socket, Subscription { log: id, sub, born, begin, ring, seat }));
            Input::Join(Subscriber { socket, sub, user, born, outlet: () })
        }
        Visit::Leave(socket, sub) => Input::Leave(socket, sub),
        Visit::Typing(user, name, active) => Input::Typing { user, name, active },
        Visit::Hint(seq) => Input::Hint(seq),
        Visit::Outcome(outcome) => Input::Outcome(outcome),
        Visit::Withdrawn(batch) => Input::Withdrawn(batch),
        Visit::Events(events) => Input::Events(events),
        Visit::Unswept => Input::Unswept,
        Visit::Tick => Input::Tick,
    }
}
