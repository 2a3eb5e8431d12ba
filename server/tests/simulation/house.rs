//! The house without tasks: the same machines as in production, carried by a list of what is to do.
//!
//! What production's tasks do between two awaits is one task here, done after a small delay of
//! chance, so that seeds try the orders in which tasks may run. Its law: it decides nothing; every
//! decision is the session's, the log's, the outlet's or the judge's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::close::CloseCode;
use protocol::codec::decode_command;
use protocol::cursor::Cursor;
use protocol::ids::{LogId, PageId, UserId};
use server::clock::{Chance, SeededChance};
use server::config::Limits;
use server::history::{History, Outcome, Pending, Verdict};
use server::hub::Leave;
use server::outlet::{Fetched, Input, Order, Outlet, Output, SocketId, Subscription};
use server::rooms::rates::{Rates, SharedRates};
use server::rooms::room::Reply;
use server::session::{self, Caller, Session, Terms};
use server::throttle::Rate;

use crate::link::Links;
use crate::log::{Departures, LogRoom, LogTask, Visit, WayBack};
use crate::mutants::{Mutant, Planted};
use crate::store::{Store, at_once, sign_in};
use crate::tab::unix;

mod connection;
mod form;

/// The most milliseconds between two parts of one task.
const DELAY_MS_MAX: u64 = 3;
/// From the sign that the house stops to the close of its sockets.
const DRAIN_MS: u64 = 5_000;
/// Over how many milliseconds the clients of a house that stops come back.
const SPREAD_MS: u32 = 2_000;

/// One server process.
pub(crate) struct House {
    store: Store,
    chance: SeededChance,
    limits: Limits,
    logs: BTreeMap<LogId, LogRoom>,
    connections: BTreeMap<SocketId, Connection>,
    rates: BTreeMap<UserId, SharedRates>,
    departures: Departures,
    todo: Vec<(u64, Task)>,
    /// When the last slow commit is answered.
    slow_until: u64,
    /// Batches that wait for the writer; nothing while it writes.
    writing: bool,
    batches: Vec<Waiting>,
    stopping: bool,
    ended: Vec<SocketId>,
    /// Verdicts for forms, by their numbers.
    answered: Vec<(u64, Verdict)>,
    planted: Planted,
}

/// A batch that waits for the writer.
struct Waiting {
    log: LogId,
    batch: Vec<Pending>,
    /// When it is withdrawn.
    overdue_at: u64,
}

/// One connection: what production's connection task holds.
struct Connection {
    user: UserId,
    /// The page load that it said it is.
    page: Option<PageId>,
    session: Session,
    outlet: Outlet,
    /// Outputs of the session that are yet to be carried out, in order.
    outputs: VecDeque<session::Output>,
    /// One of them waits for the store or for a log.
    paused: bool,
}

/// A part of a task that is to be done.
enum Task {
    Carry(SocketId),
    Arrive(SocketId, Option<Cursor>),
    Stand(SocketId, Asked),
    Subscribe(SocketId, Box<Subscription>),
    Older(SocketId, protocol::command::History),
    Reply(Box<(WayBack, Reply)>),
    Drain(SocketId),
    Fetch(SocketId, Order),
    Fetched(SocketId, Order, Option<Fetched>),
    Log(LogId),
    OfLog(LogId, LogTask),
    Write,
    Withdraw,
    Written(Vec<(LogId, Outcome)>),
    CloseAll,
}

/// A subscription that a client asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) log: LogId,
    sub: u32,
    pub(crate) cursor: Option<Cursor>,
}

/// What is due in the house, beside tasks.
enum Due {
    Task(usize),
    Session(SocketId),
    Outlet(SocketId),
    Log(LogId),
}

/// Rates low enough to be met in a run, and quick to come back.
fn limits() -> Limits {
    Limits {
        sends_per_user: Rate::per_second(20, 10),
        sends_per_room: Rate::per_second(20, 8),
        joins_per_user: Rate::per_second(5, 3),
        rooms_made_per_user: Rate::per_second(5, 3),
        ..Limits::default()
    }
}

/// A time of the machines on the clock of the run.
fn time(at: i64) -> u64 {
    u64::try_from(at - unix(0)).unwrap_or(0)
}

impl House {
    /// A house that just started on this store.
    pub(crate) fn new(store: &Store, seed: u64, planted: Planted) -> Self {
        Self {
            store: store.clone(),
            chance: SeededChance::new(seed),
            limits: limits(),
            logs: BTreeMap::new(),
            connections: BTreeMap::new(),
            rates: BTreeMap::new(),
            departures: Departures::default(),
            todo: Vec::new(),
            slow_until: 0,
            writing: false,
            batches: Vec::new(),
            stopping: false,
            ended: Vec::new(),
            answered: Vec::new(),
            planted,
        }
    }

    /// Whether it takes new sockets.
    pub(crate) fn takes_new(&self) -> bool {
        !self.stopping
    }

    /// When the last slow commit is answered.
    pub(crate) fn slow_until(&self) -> u64 {
        self.slow_until
    }

    /// Connections that ended since the last time.
    pub(crate) fn ended(&mut self) -> Vec<SocketId> {
        std::mem::take(&mut self.ended)
    }

    /// Whether the next message of this socket is read now.
    pub(crate) fn reads(&self, socket: SocketId) -> bool {
        self.connections.get(&socket).is_some_and(|connection| {
            let unanswered = connection.session.unanswered();
            connection.outputs.is_empty()
                && !connection.paused
                && connection.session.is_ready()
                && connection.outlet.has_place(unanswered)
        })
    }

    /// A socket was upgraded.
    pub(crate) fn enter(&mut self, socket: SocketId, user: UserId, now: u64) {
        let terms = Terms {
            caller: Caller { user, sign_in: sign_in(user) },
            rates: self.rates(user),
            text_chars_max: 9_000,
            frames: self.limits.frames_per_socket,
            typing: self.limits.typing_per_socket,
            seed: self.chance.number(),
        };
        let rooms_max = self.limits.rooms_per_socket;
        let connection = Connection {
            user,
            page: None,
            session: Session::new(terms, unix(now)),
            outlet: Outlet::new(self.planted.reader(user), rooms_max),
            outputs: VecDeque::new(),
            paused: false,
        };
        self.connections.insert(socket, connection);
    }

    fn rates(&mut self, user: UserId) -> SharedRates {
        let fresh = || SharedRates::new(Rates::new(&self.limits));
        self.rates.entry(user).or_insert_with(fresh).clone()
    }

    /// A message has come.
    pub(crate) fn hear(&mut self, socket: SocketId, message: &[u8], now: u64) {
        let command = decode_command(message).expect("a client's frame decodes");
        self.step_session(socket, session::Input::Command(command), now);
    }

    /// The reading side has ended: the connection's task ends and drops all it holds.
    pub(crate) fn lost(&mut self, socket: SocketId, now: u64) {
        self.connections.remove(&socket);
        self.see_off(now);
    }

    /// The socket takes bytes again.
    pub(crate) fn writable(&mut self, socket: SocketId, now: u64, links: &mut Links) {
        self.step_outlet(socket, Input::Writable, now, links);
    }

    /// The house begins to stop.
    pub(crate) fn drain(&mut self, now: u64) {
        self.stopping = true;
        let sockets: Vec<SocketId> = self.connections.keys().copied().collect();
        for socket in sockets {
            self.step_session(
                socket,
                session::Input::Leave(Leave::Stopping { spread_ms: SPREAD_MS }),
                now,
            );
        }
        self.todo.push((now + DRAIN_MS, Task::CloseAll));
    }

    /// When there is something to do.
    pub(crate) fn wake_at(&self) -> Option<u64> {
        let tasks = self.todo.iter().map(|(at, _)| *at);
        tasks.chain(self.timers().map(|(at, _)| at)).min()
    }

    /// Does one thing that is due, if there is any.
    pub(crate) fn turn(&mut self, now: u64, links: &mut Links) {
        let tasks = self.todo.iter().enumerate();
        let tasks = tasks.filter(|(_, (at, _))| *at <= now).map(|(place, _)| Due::Task(place));
        let timers = self.timers().filter(|(at, _)| *at <= now).map(|(_, due)| due);
        let mut due: Vec<Due> = tasks.chain(timers).collect();
        if due.is_empty() {
            return;
        }
        let chosen = crate::plan::index(&mut self.chance, due.len());
        match due.swap_remove(chosen) {
            Due::Task(place) => {
                let (_, task) = self.todo.remove(place);
                self.do_task(task, now, links);
            }
            Due::Session(socket) => self.step_session(socket, session::Input::Tick, now),
            Due::Outlet(socket) => self.step_outlet(socket, Input::Tick, now, links),
            Due::Log(log) => self.visit(log, Visit::Tick, now),
        }
        self.see_off(now);
    }

    fn timers(&self) -> impl Iterator<Item = (u64, Due)> {
        let sockets = self.connections.iter().flat_map(move |(socket, connection)| {
            let idle = connection.outputs.is_empty() && !connection.paused;
            let session = connection.session.wakes_at().filter(|_| idle);
            let outlet = connection.outlet.wakes_at();
            let session = session.map(|at| (time(at), Due::Session(*socket)));
            session.into_iter().chain(outlet.map(|at| (time(at), Due::Outlet(*socket))))
        });
        let logs = self.logs.iter();
        sockets
            .chain(logs.filter_map(move |(id, log)| Some((time(log.wakes_at()?), Due::Log(*id)))))
    }

    fn later(&mut self, task: Task, now: u64) {
        let delay = self.chance.below(DELAY_MS_MAX + 1);
        self.todo.push((now + delay, task));
    }

    fn step_session(&mut self, socket: SocketId, input: session::Input, now: u64) {
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        let mut outputs = Vec::new();
        connection.session.step(input, unix(now), &mut outputs);
        connection.outputs.extend(outputs);
        if !connection.paused {
            self.later(Task::Carry(socket), now);
        }
    }

    fn step_outlet(&mut self, socket: SocketId, input: Input<'_>, now: u64, links: &mut Links) {
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        let link = links.get_mut(&socket).expect("a connection has its link");
        let mut outputs = Vec::new();
        connection.outlet.step(input, unix(now), link.pipe.at(now), &mut outputs);
        let is_dead = connection.outlet.is_dead();
        for output in outputs {
            match output {
                Output::Wake => self.later(Task::Drain(socket), now),
                Output::Fetch(order) => self.later(Task::Fetch(socket, order), now),
                Output::Closing(_) => {}
                Output::Alarm(alarm) => panic!("I6: a rule of delivery broke: {alarm:?}"),
            }
        }
        if is_dead {
            self.connections.remove(&socket);
            self.ended.push(socket);
        }
    }

    fn do_task(&mut self, task: Task, now: u64, links: &mut Links) {
        match task {
            Task::Carry(socket) => self.carry(socket, now, links),
            Task::Arrive(socket, cursor) => self.arrive(socket, cursor, now, links),
            Task::Stand(socket, asked) => self.stand(socket, asked, now, links),
            Task::Subscribe(socket, subscription) => {
                self.step_outlet(socket, Input::Subscribe(*subscription), now, links);
                self.go_on(socket, now);
            }
            Task::Older(socket, wanted) => self.older(socket, &wanted, now, links),
            Task::Reply(answer) => match *answer {
                (WayBack::Socket(socket, ticket), reply) => {
                    self.step_session(socket, session::Input::Replied(ticket, reply), now);
                }
                (WayBack::Form(number), reply) => self.answer_form(number, reply),
            },
            Task::Drain(socket) => self.step_outlet(socket, Input::Writable, now, links),
            Task::Fetch(socket, order) => self.fetch(socket, order, now),
            Task::Fetched(socket, order, fetched) => {
                self.fetched(socket, &order, fetched, now, links);
            }
            Task::Log(log) => self.log_turn(log, now, links),
            Task::OfLog(log, task) => self.log_task(log, task, now),
            Task::Write => self.write(now),
            Task::Withdraw => self.withdraw(now),
            Task::Written(outcomes) => {
                self.writing = false;
                for (log, outcome) in outcomes {
                    self.visit(log, Visit::Outcome(outcome), now);
                }
                self.later(Task::Write, now);
            }
            Task::CloseAll => {
                let sockets: Vec<SocketId> = self.connections.keys().copied().collect();
                for socket in sockets {
                    self.step_outlet(socket, Input::Close(CloseCode::RESTART), now, links);
                }
            }
        }
    }

    /// The log, which gets a task if it has none.
    fn log(&mut self, id: LogId, now: u64) -> &mut LogRoom {
        if !self.logs.contains_key(&id) {
            self.logs.insert(id, LogRoom::new(id, &self.limits, Arc::clone(&self.departures)));
            self.later(Task::OfLog(id, LogTask::Open), now);
        }
        self.logs.get_mut(&id).expect("it was just put there")
    }

    fn visit(&mut self, id: LogId, visit: Visit, now: u64) {
        self.log(id, now).visit(visit);
        self.later(Task::Log(id), now);
    }

    /// A turn of a log's task: one thing, and then others may run.
    fn log_turn(&mut self, id: LogId, now: u64, links: &mut Links) {
        let Some(log) = self.logs.get_mut(&id) else { return };
        let done = log.turn(unix(now), self.planted);
        for task in done.tasks {
            self.later(Task::OfLog(id, task), now);
        }
        for (way, reply) in done.replies {
            let reply = self.planted.reply(reply);
            self.later(Task::Reply(Box::new((way, reply))), now);
        }
        for (socket, subscription) in done.joined {
            self.later(Task::Subscribe(socket, Box::new(subscription)), now);
        }
        for (socket, chunk) in done.offers {
            if self.planted.is(Mutant::OfferForgotten) && self.chance.below(4) == 0 {
                continue;
            }
            self.step_outlet(socket, Input::Offer(&chunk), now, links);
        }
        for (socket, frame) in done.whispers {
            self.step_outlet(socket, Input::Whisper { log: id, frame: &frame }, now, links);
        }
        if done.goes_on {
            self.later(Task::Log(id), now);
        } else if self.chance.below(30) == 0 {
            self.logs.retain(|kept, log| *kept != id || !log.is_unused());
        }
    }

    fn log_task(&mut self, id: LogId, task: LogTask, now: u64) {
        match task {
            LogTask::Open => {
                let heads = at_once(self.store.history().heads(&[id])).unwrap();
                let head = heads.first().map_or(0, |head| head.cursor.seq);
                if let Some(log) = self.logs.get_mut(&id) {
                    log.open(head);
                }
                self.later(Task::Log(id), now);
            }
            LogTask::Commit { batch, overdue_at } => {
                let overdue_at = time(overdue_at);
                self.batches.push(Waiting { log: id, batch, overdue_at });
                self.todo.push((overdue_at, Task::Withdraw));
                self.later(Task::Write, now);
            }
            LogTask::Read { after } => {
                let read = self.store.readable(now).map(|history| at_once(history.page(id, after)));
                let events = read.and_then(Result::ok);
                self.later(Task::OfLog(id, LogTask::Events(events)), now);
            }
            LogTask::Events(events) => self.visit(id, Visit::Events(events), now),
            LogTask::Sweep => {
                let logs: Vec<LogId> = self.logs.keys().copied().collect();
                let heads = self.store.readable(now).map(|history| at_once(history.heads(&logs)));
                let Some(Ok(heads)) = heads else { return self.visit(id, Visit::Unswept, now) };
                for head in heads {
                    self.later(Task::OfLog(id, LogTask::Hint(head.log, head.cursor.seq)), now);
                }
            }
            LogTask::Hint(other, seq) => {
                let is_meant = self.logs.contains_key(&other);
                if is_meant && !self.planted.is(Mutant::HintForgotten) {
                    self.visit(other, Visit::Hint(seq), now);
                }
            }
        }
    }

    /// The writer takes all batches that are ready into one transaction.
    fn write(&mut self, now: u64) {
        if self.writing || self.batches.is_empty() {
            return;
        }
        self.writing = true;
        let batches = std::mem::take(&mut self.batches);
        let all: Vec<Pending> = batches.iter().flat_map(|one| one.batch.clone()).collect();
        let outcome = self.planted.commit(&self.store, all, &mut self.chance, now);
        let outcomes = match outcome {
            Outcome::Committed(answers) => {
                let mut answers = answers.into_iter();
                let of_log = |Waiting { log, batch, .. }| {
                    (log, Outcome::Committed(answers.by_ref().take(batch.len()).collect()))
                };
                batches.into_iter().map(of_log).collect()
            }
            other => batches.into_iter().map(|one| (one.log, other.clone())).collect(),
        };
        let answered_at = now + self.store.slow_ms();
        if answered_at > now {
            self.slow_until = answered_at;
        }
        self.later(Task::Written(outcomes), answered_at);
    }

    /// Batches that waited too long for the writer are not written.
    fn withdraw(&mut self, now: u64) {
        let overdue: Vec<Waiting> =
            self.batches.extract_if(.., |one| one.overdue_at <= now).collect();
        for Waiting { log, batch, .. } in overdue {
            self.visit(log, Visit::Withdrawn(batch), now);
        }
    }

    /// Takes off the lists who is gone.
    fn see_off(&mut self, now: u64) {
        let gone = std::mem::take(&mut *self.departures.lock().unwrap());
        for (log, socket, sub) in gone {
            if self.logs.contains_key(&log) {
                self.visit(log, Visit::Leave(socket, sub), now);
            }
        }
    }
}
