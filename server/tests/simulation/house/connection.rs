//! What production's connection task does: carries out the session's outputs, reads for the outlet.
//!
//! Part of the house. One output after the other; where one waits for the store or for a log, those
//! behind it wait too, and nothing more is read from the socket.

use protocol::close::CloseCode;
use protocol::command::History as Wanted;
use protocol::cursor::Cursor;
use protocol::event::{Event, Older, ResetReason};
use protocol::ids::{PageId, UserId};
use server::clock::Chance;
use server::history::memory::MemoryHistory;
use server::history::{Admission, History, Pending};
use server::outlet::chunk::Frame;
use server::outlet::{Begin, Fetched, Input, Order, SocketId, What};
use server::session::{self, Ticket, reading};

use super::{Asked, Connection, House, Task};
use crate::link::Links;
use crate::log::{Visit, WayBack};
use crate::mutants::Mutant;
use crate::store::at_once;
use crate::tab::unix;

/// How often a cursor is called too old.
const TOO_OLD_ONE_IN: u64 = 40;

impl House {
    /// Carries out the session's next output.
    pub(super) fn carry(&mut self, socket: SocketId, now: u64, links: &mut Links) {
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        if connection.paused {
            return;
        }
        let Some(output) = connection.outputs.pop_front() else { return };
        let user = connection.user;
        match output {
            session::Output::Greet(events) => {
                let frames = events.iter().map(|event| Frame::event(event).unwrap()).collect();
                self.step_outlet(socket, Input::Greet(frames), now, links);
            }
            session::Output::Answer(event) => self.answer(socket, &event, now, links),
            session::Output::Arrive { page, cursor } => {
                self.replace(socket, page, now, links);
                self.pause(socket, Task::Arrive(socket, cursor), now);
            }
            session::Output::SubscribeOwn { admission, cursor } => {
                let asked = Asked { log: user.log(), sub: 0, cursor };
                self.join(socket, asked, &admission, now);
            }
            session::Output::Subscribe { sub, room, cursor } => {
                let asked = Asked { log: room.log(), sub, cursor };
                self.pause(socket, Task::Stand(socket, asked), now);
            }
            session::Output::Unsubscribe(sub) => {
                self.step_outlet(socket, Input::Unsubscribe(sub), now, links);
            }
            session::Output::PageAck(sub) => {
                self.step_outlet(socket, Input::PageAck(sub), now, links);
            }
            session::Output::Act(ticket, pending) => self.act(socket, ticket, pending, now),
            session::Output::Older(wanted) => {
                self.pause(socket, Task::Older(socket, wanted), now);
            }
            session::Output::Typing { room, name, active } => {
                let is_live = self.connections[&socket].outlet.is_live(room.log());
                if is_live {
                    self.visit(room.log(), Visit::Typing(user, name, active), now);
                }
            }
            // Sign-ins of a run end by nothing.
            session::Output::NoteUse => {}
            session::Output::Ping(number) => {
                self.step_outlet(socket, Input::Ping(number), now, links);
            }
            session::Output::Close(code) => {
                self.step_outlet(socket, Input::Close(code), now, links);
            }
        }
        let rest = self
            .connections
            .get(&socket)
            .is_some_and(|connection| !connection.paused && !connection.outputs.is_empty());
        if rest {
            self.later(Task::Carry(socket), now);
        }
    }

    /// Names the page of a connection, and closes older ones of the same page.
    fn replace(&mut self, socket: SocketId, page: PageId, now: u64, links: &mut Links) {
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        connection.page = Some(page);
        let user = connection.user;
        let is_older = |(other, connection): &(&SocketId, &Connection)| {
            **other < socket && (connection.user, connection.page) == (user, Some(page))
        };
        let older = self.connections.iter().filter(is_older).map(|(socket, _)| *socket);
        for socket in older.collect::<Vec<_>>() {
            self.step_outlet(socket, Input::Close(CloseCode::REPLACED), now, links);
        }
    }

    fn pause(&mut self, socket: SocketId, until: Task, now: u64) {
        if let Some(connection) = self.connections.get_mut(&socket) {
            connection.paused = true;
        }
        self.later(until, now);
    }

    pub(super) fn go_on(&mut self, socket: SocketId, now: u64) {
        if let Some(connection) = self.connections.get_mut(&socket) {
            connection.paused = false;
            self.later(Task::Carry(socket), now);
        }
    }

    fn answer(&mut self, socket: SocketId, event: &Event, now: u64, links: &mut Links) {
        let frame = Frame::event(event).expect("every answer fits its frame");
        self.step_outlet(socket, Input::Answer(frame), now, links);
    }

    /// The store does not answer: the client comes back later.
    fn turn_away(&mut self, socket: SocketId, now: u64, links: &mut Links) {
        self.step_outlet(socket, Input::Close(CloseCode::TRY_LATER), now, links);
        self.go_on(socket, now);
    }

    fn user(&self, socket: SocketId) -> Option<UserId> {
        Some(self.connections.get(&socket)?.user)
    }

    pub(super) fn arrive(
        &mut self,
        socket: SocketId,
        cursor: Option<Cursor>,
        now: u64,
        links: &mut Links,
    ) {
        let Some(user) = self.user(socket) else { return };
        let read = self.store.readable(now).map(|history| at_once(history.arrival(user, cursor)));
        let Some(Ok(arrival)) = read else { return self.turn_away(socket, now, links) };
        if let Some(connection) = self.connections.get_mut(&socket) {
            connection.paused = false;
        }
        let (arrival, server_time) = (arrival.map(Box::new), unix(now));
        let arrived = session::Input::Arrived { arrival, server_time, build: "simulation" };
        self.step_session(socket, arrived, now);
    }

    pub(super) fn stand(
        &mut self,
        socket: SocketId,
        mut asked: Asked,
        now: u64,
        links: &mut Links,
    ) {
        let Some(user) = self.user(socket) else { return };
        let planted = self.planted;
        let read = |history: &MemoryHistory| {
            let admission = at_once(history.admission(user, asked.log, asked.cursor));
            admission.map(|admission| planted.admission(admission, history, &mut asked))
        };
        match self.store.readable(now).map(read) {
            Some(Ok(Some(admission))) => self.join(socket, asked, &admission, now),
            Some(Ok(None)) => {
                let refuse = Input::Refuse { log: asked.log, sub: asked.sub };
                self.step_outlet(socket, refuse, now, links);
                self.go_on(socket, now);
            }
            _ => self.turn_away(socket, now, links),
        }
    }

    /// On the list first, then the slot.
    pub(super) fn join(&mut self, socket: SocketId, asked: Asked, admission: &Admission, now: u64) {
        let Asked { log, sub, cursor } = asked;
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        connection.paused = true;
        let (user, born) = (connection.user, admission.head.seq);
        let mut begin =
            reading::beginning((log, sub), admission, cursor).expect("it fits its frame");
        // No run has so many events that a good cursor is too old.
        if cursor.is_some() && log.room().is_some() && self.chance.below(TOO_OLD_ONE_IN) == 0 {
            begin = Begin::Snapshot(ResetReason::TooOld);
        }
        self.visit(log, Visit::Join { socket, sub, user, born, begin }, now);
    }

    fn act(&mut self, socket: SocketId, ticket: Ticket, pending: Pending, now: u64) {
        let log = ticket.log();
        let mark = Some(ticket.mark()).filter(|_| !self.planted.is(Mutant::LaneForgotten));
        let way = WayBack::Socket(socket, ticket);
        let pushed = self.log(log, now).push(way, mark, pending, unix(now));
        if let Err((WayBack::Socket(_, ticket), away)) = pushed {
            self.step_session(socket, session::Input::TurnedAway(ticket, away), now);
        }
        self.later(Task::Log(log), now);
    }

    pub(super) fn older(&mut self, socket: SocketId, wanted: &Wanted, now: u64, links: &mut Links) {
        let Some(user) = self.user(socket) else { return };
        let read = |history: &MemoryHistory| {
            at_once(history.older(Some(user), wanted.room, wanted.before, wanted.count.into()))
        };
        let Some(Ok(found)) = self.store.readable(now).map(read) else {
            return self.turn_away(socket, now, links);
        };
        let (messages, older) = found.map(|page| (page.messages, page.older)).unwrap_or_default();
        let (number, room) = (wanted.number, wanted.room);
        let older = Older { number, room, messages, older };
        self.answer(socket, &Event::Older(older), now, links);
        self.go_on(socket, now);
    }

    pub(super) fn fetch(&mut self, socket: SocketId, order: Order, now: u64) {
        let (Some(user), planted) = (self.user(socket), self.planted) else { return };
        let fetched = self.store.readable(now).and_then(|history| match order.what {
            What::Page { after } => {
                let events = at_once(history.page(order.log, planted.page(after))).ok()?;
                reading::page(&order, planted.reader(user), events).expect("it fits its frame")
            }
            What::Snapshot(_) => {
                let room = order.log.room().expect("only rooms have snapshots");
                let view = at_once(history.snapshot(Some(user), room)).ok()?;
                let view = view.map(|view| planted.view(view, history));
                reading::snapshot(&order, view).expect("it fits its frame")
            }
        });
        self.later(Task::Fetched(socket, order, fetched), now);
    }

    pub(super) fn fetched(
        &mut self,
        socket: SocketId,
        order: &Order,
        fetched: Option<Fetched>,
        now: u64,
        links: &mut Links,
    ) {
        let failed = fetched.is_none();
        let input = Input::Fetched { log: order.log, sub: order.sub, fetched };
        self.step_outlet(socket, input, now, links);
        if failed {
            self.step_outlet(socket, Input::Close(CloseCode::TRY_LATER), now, links);
        }
    }
}
