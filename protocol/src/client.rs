//! The client's half of a conversation, as a state machine without I/O.
//!
//! The browser, the tests and the simulation drive one and the same `Client`: each thing that
//! happens is one `step`, which appends what is to be done to `out`. Time is handed in, in Unix
//! milliseconds of a clock that never goes back; chance is handed in as a seed. Its laws:
//! at most one socket, by number; nothing is told out of order; no op is sent twice on one
//! connection unless its lane was refused; every wait has an end, which `wake_at` names.

mod asks;
mod backoff;
pub mod cache;
mod connection;
mod ending;
pub mod exchange;
mod hearing;
mod logs;
mod outbox;
pub mod shelf;
#[cfg(test)]
mod tests;
mod typing;

use std::collections::BTreeMap;

use crate::bounded::Text;
use crate::close::CloseCode;
use crate::codec::encode_command;
use crate::cursor::Cursor;
use crate::frame::Command;
use crate::ids::{DeviceId, OpId, PageId, RoomId, UserId};
use crate::model::{Me, RoomEntry};
use backoff::Chance;
use cache::Cache;
use connection::Connection;
use exchange::{Input, Output, Standing, Told};
use logs::Logs;
use outbox::Outbox;
use shelf::{Kept, Shelf};
use typing::Typing;

/// Milliseconds after which a page of older messages is given up.
const OLDER_MS_MAX: i64 = 10_000;
/// The same once the server said that it is too busy for it: asked again at once it would be still.
const OLDER_BUSY_MS: i64 = 3_000;

/// What a client is from its first moment on.
#[derive(Debug, Clone)]
pub struct Setup {
    /// This page load.
    pub page: PageId,
    /// The outbox; each page load has its own.
    pub device: DeviceId,
    /// There is a shelf: what lies on it comes by `Input::Restore`, and nothing is sent before.
    pub shelf: bool,
    /// There is a cache: what lies in it comes by `Input::Recall`.
    pub cache: bool,
    /// Which build of which client it is.
    pub build: Text<64>,
    /// The user whom the page was drawn for; nobody: a guest is asked for before the first socket.
    pub user: Option<UserId>,
    /// The page was loaded anew already because of its version; it is not done twice.
    pub reloaded: bool,
    /// Chance for delays.
    pub seed: u64,
}

/// The client's half of a conversation.
#[derive(Debug)]
pub struct Client {
    setup: Setup,
    user: Option<UserId>,
    me: Option<Me>,
    connection: Connection,
    chance: Chance,
    outbox: Outbox,
    shelf: Shelf,
    /// What is being put on the shelf, once for each answer that is still to come.
    puts: Vec<OpId>,
    /// What lies on the shelf and is another user's.
    foreign: Vec<Kept>,
    cache: Cache,
    logs: Logs,
    typing: Typing,
    /// The rooms of a greeting that is still coming in.
    rooms: Option<Vec<RoomEntry>>,
    window: usize,
    clock_ahead: i64,
    older: BTreeMap<u32, Wanted>,
    older_count: u32,
    told_standing: Standing,
    told_waiting: (usize, bool),
    told_keeps: bool,
}

/// A page of older messages that was asked for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    room: RoomId,
    before: u64,
    until: i64,
}

/// One step under way: its time and its outputs.
struct Turn<'a> {
    now: i64,
    out: &'a mut Vec<Output>,
}

impl Turn<'_> {
    fn put(&mut self, output: Output) {
        self.out.push(output);
    }

    fn tell(&mut self, told: Told) {
        self.out.push(Output::Tell(told));
    }
}

impl Client {
    /// A client that does nothing before its first `Input::Awake`.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            user: setup.user,
            me: None,
            connection: Connection::default(),
            chance: Chance::new(setup.seed),
            outbox: Outbox::default(),
            shelf: if setup.shelf { Shelf::Opening { until: None } } else { Shelf::Absent },
            puts: Vec::new(),
            foreign: Vec::new(),
            cache: Cache::opening(setup.cache),
            logs: Logs::default(),
            typing: Typing::default(),
            rooms: None,
            window: crate::limits::WINDOW_OPS,
            clock_ahead: 0,
            older: BTreeMap::new(),
            older_count: 0,
            told_standing: Standing::Idle,
            told_waiting: (0, false),
            told_keeps: setup.shelf,
            setup,
        }
    }

    /// One thing happened at `now`; what is to be done about it is appended to `out`, in order: all
    /// of it before the next step, for what an answer sets free must not overtake the rest.
    pub fn step(&mut self, input: Input<'_>, now: i64, out: &mut Vec<Output>) {
        let turn = &mut Turn { now, out };
        match input {
            Input::Ask(ask) => self.ask(ask, turn),
            Input::Opened(socket) => self.opened(socket, turn),
            Input::Frame(socket, bytes) if self.connection.owns(socket) => self.hear(bytes, turn),
            Input::Closed(socket, code) if self.connection.owns(socket) => self.lost(code, turn),
            Input::Frame(..) | Input::Closed(..) => {}
            Input::Checked(answer) => self.checked(answer, turn),
            Input::Timer => self.time_passed(turn),
            Input::Awake => self.awake(turn),
            Input::Asleep => self.asleep(turn),
            Input::Hidden(hidden) => self.hidden(hidden, turn),
            Input::Leaving => self.write_cache(turn),
            Input::Shelved { op_id, done } => self.shelved(op_id, done, turn),
            Input::Restore { kept, keeps } => self.restore(kept, keeps, turn),
            Input::Unwritten(room) => self.cache.throw_away(room, turn),
            Input::Recall { pages, keeps } => self.recalled(pages, keeps, turn),
        }
        self.tend_shelf(turn);
        self.pump(turn);
        self.tend_cache(turn);
        self.announce(turn);
    }

    /// When `Input::Timer` is due; nothing while only others can make something happen.
    #[must_use]
    pub fn wake_at(&self, now: i64) -> Option<i64> {
        self.due_at(now).into_iter().chain(self.cache.wake_at()).min()
    }

    /// The same without the cache, which may be late.
    fn due_at(&self, now: i64) -> Option<i64> {
        let older = self.older.values().map(|wanted| wanted.until);
        let stalled = self.connection.stall_at(self.outbox.oldest_in_flight());
        let times = [
            self.connection.wake_at(),
            stalled,
            self.outbox.wake_at(now),
            self.shelf.wake_at(),
            self.typing.wake_at(),
            older.min(),
        ];
        times.into_iter().flatten().min()
    }

    /// What is known of a room's log, for tests and for a page that keeps it.
    #[must_use]
    pub fn cursor(&self, room: RoomId) -> Option<Cursor> {
        self.logs.cursor(room.log())
    }

    /// The user as the server last greeted him.
    #[must_use]
    pub const fn me(&self) -> Option<&Me> {
        self.me.as_ref()
    }

    /// Ops that are neither accepted nor failed.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.outbox.waiting_count()
    }

    /// Events that came a second time; more than none means that a server is wrong.
    #[must_use]
    pub const fn dropped_count(&self) -> u64 {
        self.logs.dropped_count()
    }

    /// Sends what the outbox may send now.
    fn pump(&mut self, turn: &mut Turn<'_>) {
        for op_id in self.outbox.expired(turn.now) {
            self.fail(op_id, crate::refusal::Refusal::Expired, turn);
        }
        let may_send = self.connection.takes_ops() && !self.shelf.is_opening();
        let Some(user) = self.user.filter(|_| may_send) else { return };
        while let Some(command) = self.outbox.next(user, self.window, turn.now) {
            self.say(&command, turn);
        }
    }

    /// Tells what changed in passing, once a step.
    fn announce(&mut self, turn: &mut Turn<'_>) {
        if self.rooms.is_none() && !self.cache.is_opening() && self.logs.caught_up() {
            self.connection.caught_up(turn.now);
        }
        let standing = self.connection.standing();
        if standing != self.told_standing {
            self.told_standing = standing.clone();
            turn.tell(Told::Standing(standing));
        }
        self.announce_shelf(turn);
        let waiting = (self.outbox.waiting_count(), self.outbox.is_full());
        if waiting != self.told_waiting {
            self.told_waiting = waiting;
            turn.tell(Told::Waiting { op_count: waiting.0, full: waiting.1 });
        }
    }

    /// Sends a command on the open socket, if there is one.
    fn say(&mut self, command: &Command, turn: &mut Turn<'_>) {
        let Some(socket) = self.connection.open_socket() else { return };
        match encode_command(command) {
            Ok(frame) => turn.put(Output::Send(socket, frame)),
            Err(fault) => debug_assert!(false, "every command fits its frame: {fault}"),
        }
    }

    /// Closes the socket from this side, and goes on as if the server had closed it so.
    fn hang_up(&mut self, code: CloseCode, turn: &mut Turn<'_>) {
        if let Some(socket) = self.connection.socket() {
            turn.put(Output::Close(socket, code));
        }
        self.lost(code, turn);
    }
}
