//! One connection's task: it carries bytes and outputs between socket, session, outlet and rooms.
//!
//! Started by `socket::upgrade`, ended by the client, by the outlet's close, or by a broken socket.
//! Its law: one command at a time is carried out before the next is read; reading stops while the
//! window is full or answers have no place; nothing is spawned, so nothing outlives the task.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use protocol::close::CloseCode;
use protocol::codec::{Header, decode_command};
use protocol::command::History as HistoryAsked;
use protocol::cursor::Cursor;
use protocol::event::{Event, Older, USER_SUB};
use protocol::ids::{LogId, RoomId};
use protocol::model::Messages;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::transport::{LINGER, Reading, Received, Writing, divide};
use super::{Engine, Held};
use crate::clock::Clock;
use crate::history::{Admission, Later, OlderMessages, Read, Unavailable};
use crate::hub::Registration;
use crate::outlet::chunk::Frame;
use crate::outlet::handle::OutletHandle;
use crate::outlet::{Fetched, Input as Said, Order, Outlet, Subscription, What};
use crate::rooms::room::{Reply, Subscriber};
use crate::session::{Caller, Input, Output, Session, Terms, Ticket, reading};

/// How long a client waits for the store before it is sent away to come back.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// Lets one upgraded socket live.
pub(super) async fn run(engine: Engine, caller: Caller, held: Held, socket: WebSocket) {
    let clock = engine.clock.clone();
    let is_spoken = socket.protocol().is_some();
    let (mut reading, mut writing, pipe) = divide(socket);
    let outlet = Outlet::new(caller.user, engine.limits.rooms_per_socket);
    let outlet = OutletHandle::new(engine.hub.name_socket(), outlet, Box::new(pipe));
    let _end = End { outlet: outlet.clone(), clock: clock.clone() };
    let sockets_max = usize::try_from(engine.limits.sockets_per_user).unwrap_or(usize::MAX);
    let place = engine.hub.enter(caller.user, outlet.clone(), sockets_max);
    // The place is kept to the last byte: a stopping server waits for it.
    let _place = match (is_spoken, place) {
        (false, _) => {
            outlet.close(CloseCode::VERSION, clock.ticks_ms());
            None
        }
        (true, Err(_)) => {
            outlet.close(CloseCode::TOO_MANY_SOCKETS, clock.ticks_ms());
            None
        }
        (true, Ok(place)) => {
            let mut connection = Connection::new(engine, caller, outlet.clone(), (place, held));
            tokio::select! {
                () = connection.converse(&mut reading) => {}
                () = writing.pump(&outlet, &*clock) => {}
            }
            connection.log_end();
            Some(connection.place)
        }
    };
    linger(&outlet, &mut reading, &mut writing, &*clock).await;
}

/// Closes the outlet of a connection whose task ended by a bug: its slots leave their logs' lists.
struct End {
    outlet: OutletHandle,
    clock: Arc<dyn Clock>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.outlet.close(CloseCode::INTERNAL, self.clock.ticks_ms());
    }
}

/// Ends a socket so that the client can read why: the last bytes go out, then it is read until the
/// client has closed too, each for a second at most.
async fn linger(
    outlet: &OutletHandle,
    reading: &mut Reading,
    writing: &mut Writing,
    clock: &dyn Clock,
) {
    // A task that ends without a code (the client went) closes too: that drops the slots.
    outlet.close(CloseCode::GOING_AWAY, clock.ticks_ms());
    if timeout(LINGER, writing.pump(outlet, clock)).await.is_ok() {
        let _ = timeout(LINGER, reading.discard()).await;
    }
}

struct Connection {
    engine: Engine,
    caller: Caller,
    outlet: OutletHandle,
    session: Session,
    place: Registration,
    held: Held,
    stopping: watch::Receiver<bool>,
    /// Ops whose answer is awaited; at most the window.
    answers: FuturesUnordered<Later<'static, (Ticket, Reply)>>,
    /// Reads for the outlet's slots; it orders at most two at a time.
    fetches: FuturesUnordered<Later<'static, (Order, Result<Fetched, CloseCode>)>>,
}

/// What woke a connection.
enum Woken {
    Received(Received),
    Replied(Ticket, Reply),
    Fetched(Order, Result<Fetched, CloseCode>),
    Errand,
    Stop,
    Time,
}

impl Connection {
    fn new(
        engine: Engine,
        caller: Caller,
        outlet: OutletHandle,
        (place, held): (Registration, Held),
    ) -> Self {
        let terms = Terms {
            caller,
            rates: engine.rooms.rates(caller.user),
            text_chars_max: engine.limits.text_chars,
            frames: engine.limits.frames_per_socket,
            typing: engine.limits.typing_per_socket,
            build: env!("CARGO_PKG_VERSION"),
            seed: outlet.socket().0,
        };
        let session = Session::new(terms, engine.clock.ticks_ms());
        let stopping = engine.hub.stopping();
        let (answers, fetches) = (FuturesUnordered::new(), FuturesUnordered::new());
        Self { engine, caller, outlet, session, place, held, stopping, answers, fetches }
    }

    /// Goes on until the outlet is dead or the client gone.
    async fn converse(&mut self, reading: &mut Reading) {
        if *self.stopping.borrow_and_update() {
            self.step(Input::Stop).await;
        }
        while !self.outlet.ask(Outlet::is_dead).unwrap_or(true) {
            match self.woken(reading).await {
                Woken::Received(Received::End) => return,
                Woken::Received(received) => self.receive(received).await,
                Woken::Replied(ticket, reply) => self.step(Input::Replied(ticket, reply)).await,
                Woken::Fetched(order, fetched) => self.fetched(&order, fetched),
                Woken::Errand => {}
                Woken::Stop => self.step(Input::Stop).await,
                Woken::Time => {
                    self.say(Said::Tick);
                    self.step(Input::Tick).await;
                }
            }
            self.order_reads();
            self.place.set_unanswered(self.session.unanswered());
        }
    }

    async fn woken(&mut self, reading: &mut Reading) -> Woken {
        let is_closing = self.outlet.closing().is_some();
        let unanswered = self.session.unanswered();
        let has_place = self.outlet.ask(|outlet| outlet.has_place(unanswered)).unwrap_or(false);
        let may_read = !is_closing && has_place && self.session.is_ready();
        let session_due = self.session.wakes_at().filter(|_| !is_closing);
        let outlet_due = self.outlet.ask(Outlet::wakes_at).flatten();
        let due = [session_due, outlet_due].into_iter().flatten().min().unwrap_or(i64::MAX);
        let wait_ms = due.saturating_sub(self.now()).max(0).unsigned_abs();
        tokio::select! {
            biased;
            Some((ticket, reply)) = self.answers.next() => Woken::Replied(ticket, reply),
            Some((order, fetched)) = self.fetches.next() => Woken::Fetched(order, fetched),
            () = self.outlet.sent_out() => Woken::Errand,
            received = reading.next(), if may_read => Woken::Received(received),
            Ok(()) = self.stopping.changed() => Woken::Stop,
            () = sleep(Duration::from_millis(wait_ms)) => Woken::Time,
        }
    }

    async fn receive(&mut self, received: Received) {
        match received {
            Received::Frame(bytes) => {
                let input = match decode_command(&bytes) {
                    Ok(command) => Input::Command(command),
                    Err(fault) => {
                        let kind = Header::read(&bytes).map_or(0, |(header, _)| header.kind);
                        Input::Faulty { fault, kind }
                    }
                };
                self.step(input).await;
            }
            Received::Text => self.close(CloseCode::NOT_BINARY),
            Received::Fault(code) => self.close(code),
            Received::Beat | Received::End => {}
        }
    }

    /// Steps the session and carries out what it asks, in order, and what follows from that.
    async fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.session.step(input, self.now(), &mut out);
            for output in out {
                inputs.extend(self.carry_out(output).await);
            }
        }
    }

    /// Carries out one output; its result is the session's next input.
    async fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Greet(events) => {
                self.held.until_hello = None;
                self.greet(&events);
            }
            Output::Answer(event) => self.answer(&event),
            Output::Arrive { page, cursor } => {
                self.place.set_page(page);
                return self.arrive(cursor).await;
            }
            Output::SubscribeOwn { admission, cursor } => {
                self.attach((self.caller.user.log(), USER_SUB), &admission, cursor).await;
            }
            Output::Subscribe { sub, room, cursor } => self.subscribe(sub, room, cursor).await,
            Output::Unsubscribe(sub) => self.say(Said::Unsubscribe(sub)),
            Output::PageAck(sub) => self.say(Said::PageAck(sub)),
            Output::Act(ticket, pending) => {
                match self.engine.rooms.take_in(pending, Some(ticket.mark())).await {
                    Ok(answer) => self.answers.push(Box::pin(answered(ticket, answer))),
                    Err(away) => return Some(Input::TurnedAway(ticket, away)),
                }
            }
            Output::Older(asked) => self.older(&asked).await,
            Output::Typing { room, name, active } => {
                if self.outlet.ask(|outlet| outlet.is_live(room.log())).unwrap_or(false) {
                    self.engine.rooms.log(room.log()).typing(self.caller.user, name, active);
                }
            }
            Output::NoteUse => self.note_use().await,
            Output::Ping(number) => self.say(Said::Ping(number)),
            Output::Close(code) => self.close(code),
        }
        None
    }

    async fn arrive(&mut self, cursor: Option<Cursor>) -> Option<Input> {
        match patiently(self.engine.history.arrival(self.caller.user, cursor)).await {
            Ok(arrival) => {
                let (arrival, server_time) = (arrival.map(Box::new), self.engine.clock.unix_ms());
                Some(Input::Arrived { arrival, server_time })
            }
            Err(fault) => {
                self.unavailable(&fault);
                None
            }
        }
    }

    async fn note_use(&mut self) {
        let now = self.engine.clock.unix_ms();
        match patiently(self.engine.history.note_use(self.caller.sign_in, now)).await {
            Ok(true) => {}
            Ok(false) => self.close(CloseCode::SIGNED_OUT),
            // A full disk takes no note, and still everybody reads on.
            Err(fault) => tracing::warn!(%fault, "that a sign-in is in use was not noted"),
        }
    }

    async fn subscribe(&mut self, sub: u32, room: RoomId, cursor: Option<Cursor>) {
        let log = room.log();
        match patiently(self.engine.history.admission(self.caller.user, log, cursor)).await {
            Ok(Some(admission)) => self.attach((log, sub), &admission, cursor).await,
            Ok(None) => self.say(Said::Refuse { log, sub }),
            Err(fault) => self.unavailable(&fault),
        }
    }

    /// Enters the log's list, and only then makes the slot: what is spoken meanwhile is in the tail.
    async fn attach(
        &mut self,
        (log, sub): (LogId, u32),
        admission: &Admission,
        cursor: Option<Cursor>,
    ) {
        let Ok(begin) = reading::beginning((log, sub), admission, cursor) else {
            return self.close(CloseCode::INTERNAL);
        };
        let handle = self.engine.rooms.log(log);
        let born = admission.head.seq;
        let (socket, user, outlet) = (self.outlet.socket(), self.caller.user, self.outlet.clone());
        let joining = handle.join(Subscriber { socket, sub, user, born, outlet });
        let Ok(Some(seat)) = timeout(STORE_PATIENCE, joining).await else {
            return self.close(CloseCode::TRY_LATER);
        };
        let ring = Arc::new(handle.tail());
        self.say(Said::Subscribe(Subscription { log, sub, born, begin, ring, seat }));
    }

    async fn older(&mut self, asked: &HistoryAsked) {
        let reader = Some(self.caller.user);
        let count = u32::from(asked.count).clamp(1, self.engine.limits.history_messages);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        match patiently(self.engine.history.older(reader, asked.room, asked.before, count)).await {
            Ok(found) => {
                let nothing = OlderMessages { messages: Messages::default(), older: false };
                let OlderMessages { messages, older } = found.unwrap_or(nothing);
                let (number, room) = (asked.number, asked.room);
                self.answer(&Event::Older(Older { number, room, messages, older }));
            }
            Err(fault) => self.unavailable(&fault),
        }
    }

    /// Begins the reads that the outlet ordered.
    fn order_reads(&self) {
        for order in self.outlet.take_orders() {
            self.fetches.push(Box::pin(fetch(self.engine.clone(), self.caller, order)));
        }
    }

    fn fetched(&self, order: &Order, fetched: Result<Fetched, CloseCode>) {
        let (log, sub) = (order.log, order.sub);
        match fetched {
            Ok(fetched) => self.say(Said::Fetched { log, sub, fetched: Some(fetched) }),
            Err(code) => self.close(code),
        }
    }

    fn greet(&self, events: &[Event]) {
        let frames: Result<Vec<Frame>, _> = events.iter().map(Frame::event).collect();
        match frames {
            Ok(frames) => self.say(Said::Greet(frames)),
            Err(fault) => self.broken(&fault),
        }
    }

    fn answer(&self, event: &Event) {
        match Frame::event(event) {
            Ok(frame) => self.say(Said::Answer(frame)),
            Err(fault) => self.broken(&fault),
        }
    }

    fn broken(&self, fault: &protocol::codec::EncodeFault) {
        tracing::error!(%fault, "a frame cannot be encoded");
        self.close(CloseCode::INTERNAL);
    }

    fn unavailable(&self, fault: &Unavailable) {
        tracing::warn!(%fault, socket = self.outlet.socket().0, "closing a connection");
        self.close(CloseCode::TRY_LATER);
    }

    fn close(&self, code: CloseCode) {
        self.outlet.close(code, self.now());
    }

    fn say(&self, said: Said<'_>) {
        self.outlet.step(said, self.now());
    }

    fn now(&self) -> i64 {
        self.engine.clock.ticks_ms()
    }

    fn log_end(&self) {
        let (socket, code) = (self.outlet.socket().0, self.outlet.closing().map(|code| code.0));
        tracing::debug!(socket, code, "a connection ended");
    }
}

/// What a read gives, if it gives it in time.
async fn patiently<T>(read: Read<'_, T>) -> Result<T, Unavailable> {
    let too_late = |_| Err(Unavailable(format!("no answer in {STORE_PATIENCE:?}")));
    timeout(STORE_PATIENCE, read).await.unwrap_or_else(too_late)
}

/// The answer to one op. A task that died of a bug leaves its outcome unknown.
async fn answered(ticket: Ticket, answer: oneshot::Receiver<Reply>) -> (Ticket, Reply) {
    (ticket, answer.await.unwrap_or(Reply::Unknown))
}

/// Reads what a slot wants.
async fn fetch(
    engine: Engine,
    caller: Caller,
    order: Order,
) -> (Order, Result<Fetched, CloseCode>) {
    let read = async {
        let user = caller.user;
        match (order.what, order.log.room()) {
            (What::Page { after }, _) => {
                let events = patiently(engine.history.page(order.log, after)).await?;
                Ok(reading::page(&order, user, events))
            }
            (What::Snapshot(_), Some(room)) => {
                let view = patiently(engine.history.snapshot(Some(user), room)).await?;
                Ok(reading::snapshot(&order, view))
            }
            (What::Snapshot(_), None) => Ok(Ok(None)),
        }
    };
    let read: Result<_, Unavailable> = read.await;
    let fetched = match read {
        Ok(Ok(Some(fetched))) => Ok(fetched),
        // Events that the head promises are not there.
        Ok(Ok(None)) => Err(CloseCode::POSITION_LOST),
        Ok(Err(fault)) => {
            tracing::error!(%fault, "a page cannot be encoded");
            Err(CloseCode::INTERNAL)
        }
        Err(fault) => {
            tracing::warn!(%fault, "a page cannot be read");
            Err(CloseCode::TRY_LATER)
        }
    };
    (order, fetched)
}
