//! One connection: what its task carries between socket, session, outlet and rooms.
//!
//! Made by `socket::upgrade`; `socket/task.rs` lets it live and ends it. Its law: one command at a
//! time is carried out before the next is read; reading stops while the window is full or answers
//! have no place; nothing is spawned, so nothing outlives the task; at rest it holds nothing that it
//! does not need to wake up again.

mod standing;

pub(super) use self::standing::code_of;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{MaybeDone, maybe_done};
use protocol::close::CloseCode;
use protocol::codec::{Header, decode_command};
use protocol::command::History as HistoryAsked;
use protocol::cursor::Cursor;
use protocol::event::{Event, Older, ResetReason, USER_SUB};
use protocol::ids::{LogId, RoomId};
use protocol::model::Messages;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::reader::Heard;
use super::timers::Timer;
use super::wire::{Reading, Wire};
use super::{Engine, Held};
use crate::clock::Clock;
use crate::history::{Admission, Later, OlderMessages, Read, Resume, Unavailable};
use crate::hub::{Leave, Registration};
use crate::outlet::chunk::Frame;
use crate::outlet::handle::{OutletHandle, Wants};
use crate::outlet::{Fetched, Input as Said, Order, Subscription, What};
use crate::overload::Stage;
use crate::rooms::room::{Reply, Subscriber};
use crate::session::{Caller, Input, Output, Session, Terms, Ticket, reading};

/// How long a client waits for the store before it is sent away to come back.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// A list that is empty most of the time, and then costs nothing.
pub(super) type Rare<T> = Option<Box<Vec<T>>>;

/// A read for a slot, and what it came to.
pub(super) type Fetch = MaybeDone<Later<'static, FetchedFor>>;
type FetchedFor = (Order, Result<Fetched, CloseCode>);

pub(super) struct Connection {
    pub(super) engine: Arc<Engine>,
    pub(super) outlet: OutletHandle<Wire>,
    session: Session,
    reading: Reading,
    place: Registration,
    held: Held,
    timer: Timer,
    /// Whether the session was told that everybody is to go.
    is_leaving: bool,
    /// Until when he is believed to stand as he was last found.
    believed_until: i64,
    /// Ops whose answer is awaited; at most the window.
    answers: Rare<(Ticket, oneshot::Receiver<Reply>)>,
    /// Reads for the outlet's slots; it orders at most two at a time.
    pub(super) fetches: Rare<Fetch>,
}

/// What woke a connection.
pub(super) enum Woken {
    Heard(Heard),
    Replied(Ticket, Reply),
    Fetched(Order, Result<Fetched, CloseCode>),
    Leave(Leave),
    Time,
}

impl Connection {
    pub(super) fn new(
        engine: Arc<Engine>,
        caller: Caller,
        (place, held): (Registration, Held),
        (outlet, reading): (OutletHandle<Wire>, Reading),
    ) -> Self {
        let terms = Terms {
            caller,
            rates: engine.rooms.rates(caller.user),
            text_chars_max: engine.limits.text_chars,
            frames: engine.limits.frames_per_socket,
            typing: engine.limits.typing_per_socket,
            seed: outlet.socket().0,
        };
        let session = Session::new(terms, engine.clock.ticks_ms());
        let timer = Timer::new(engine.timers.clone(), outlet.socket());
        let (answers, fetches, is_leaving) = (None, None, false);
        let believed_until = i64::MIN;
        Self {
            engine,
            outlet,
            session,
            reading,
            place,
            held,
            timer,
            is_leaving,
            believed_until,
            answers,
            fetches,
        }
    }

    /// Waits for the next thing to do; nothing where the connection is over. Meanwhile the outlet
    /// writes what the socket takes.
    pub(super) fn poll_woken(&mut self, context: &mut Context<'_>) -> Poll<Option<Woken>> {
        if let Some((ticket, reply)) = answered(&mut self.answers, context) {
            return Poll::Ready(Some(Woken::Replied(ticket, reply)));
        }
        let Some(wants) = drain(&self.outlet, &*self.engine.clock, context) else {
            return Poll::Ready(None);
        };
        if wants.reading {
            for order in self.outlet.take_orders() {
                let fetch = fetch(Arc::clone(&self.engine), self.session.caller(), order);
                self.fetches.get_or_insert_default().push(maybe_done(Box::pin(fetch)));
            }
        }
        if let Some((order, fetched)) = ready(&mut self.fetches, context) {
            return Poll::Ready(Some(Woken::Fetched(order, fetched)));
        }
        let may_answer = self.outlet.ask(|outlet| outlet.has_place(self.session.unanswered()));
        if !wants.closing && may_answer == Some(true) && self.session.is_ready() {
            match self.reading.poll_next(self.outlet.sink(), context) {
                Poll::Ready(heard) => return Poll::Ready(heard.map(Woken::Heard)),
                Poll::Pending => {}
            }
        }
        // What came before the sign is taken in first.
        if !self.is_leaving
            && let Some(leave) = self.engine.hub.leave()
        {
            self.is_leaving = true;
            return Poll::Ready(Some(Woken::Leave(leave)));
        }
        let session_due = self.session.wakes_at().filter(|_| !wants.closing);
        let Some(due) = [session_due, wants.tick_at].into_iter().flatten().min() else {
            return Poll::Pending;
        };
        let now = self.now();
        if due <= now {
            return Poll::Ready(Some(Woken::Time));
        }
        self.timer.set(due, now, context.waker());
        Poll::Pending
    }

    /// Does what it was woken for.
    pub(super) async fn take_up(&mut self, woken: Woken) {
        match woken {
            Woken::Heard(Heard::Message(bytes)) => self.receive(&bytes).await,
            Woken::Heard(Heard::Ping(payload)) => {
                self.step(Input::Sign).await;
                self.say(Said::Answer(Frame::pong(&payload)));
            }
            Woken::Heard(Heard::Pong) => self.step(Input::Sign).await,
            Woken::Heard(Heard::Closed(code)) => self.say(Said::Echo(code)),
            Woken::Heard(Heard::Fault(code)) => self.close(code),
            Woken::Replied(ticket, reply) => self.step(Input::Replied(ticket, reply)).await,
            Woken::Fetched(order, fetched) => self.fetched(&order, fetched),
            Woken::Leave(leave) => self.step(Input::Leave(leave)).await,
            Woken::Time => {
                self.say(Said::Tick);
                self.step(Input::Tick).await;
            }
        }
        self.outlet.set_unanswered(self.session.unanswered());
    }

    async fn receive(&mut self, bytes: &[u8]) {
        let input = match decode_command(bytes) {
            Ok(command) => Input::Command(command),
            Err(fault) => {
                let kind = Header::read(bytes).map_or(0, |(header, _)| header.kind);
                Input::Faulty { fault, kind }
            }
        };
        self.step(input).await;
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
                self.attach((self.session.caller().user.log(), USER_SUB), &admission, cursor).await;
            }
            Output::Subscribe { sub, room, cursor } => self.subscribe(sub, room, cursor).await,
            Output::Unsubscribe(sub) => self.say(Said::Unsubscribe(sub)),
            Output::PageAck(sub) => self.say(Said::PageAck(sub)),
            Output::Act(ticket, pending) => {
                match self.engine.rooms.take_in(pending, Some(ticket.mark())).await {
                    Ok(answer) => self.answers.get_or_insert_default().push((ticket, answer)),
                    Err(away) => return Some(Input::TurnedAway(ticket, away)),
                }
            }
            Output::Older(asked) => self.older(&asked).await,
            Output::Typing { room, name, active } => {
                // That somebody has ceased to is told: it was said that he types.
                if !(active && self.engine.shedding.sheds(Stage::Typing))
                    && self.outlet.ask(|outlet| outlet.is_live(room.log())).unwrap_or(false)
                {
                    self.engine.rooms.log(room.log()).typing(
                        self.session.caller().user,
                        name,
                        active,
                    );
                }
            }
            Output::NoteUse => {
                self.note_use().await;
            }
            Output::Ping(number) => self.say(Said::Ping(number)),
            Output::Close(code) => self.close(code),
        }
        None
    }

    async fn arrive(&mut self, cursor: Option<Cursor>) -> Option<Input> {
        match patiently(self.engine.history.arrival(self.session.caller().user, cursor)).await {
            Ok(arrival) => {
                let (arrival, server_time) = (arrival.map(Box::new), self.engine.clock.unix_ms());
                let build = env!("CARGO_PKG_VERSION");
                Some(Input::Arrived { arrival, server_time, build })
            }
            Err(fault) => {
                self.unavailable(&fault);
                None
            }
        }
    }

    async fn subscribe(&mut self, sub: u32, room: RoomId, cursor: Option<Cursor>) {
        if !self.may_read().await {
            return;
        }
        let log = room.log();
        match patiently(self.engine.history.admission(self.session.caller().user, log, cursor))
            .await
        {
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
        if admission.resume(cursor) == Resume::Reset(ResetReason::Diverged) {
            self.engine.hub.note_diverged(log);
        }
        let handle = self.engine.rooms.log(log);
        let born = admission.head.seq;
        let (socket, user, outlet) =
            (self.outlet.socket(), self.session.caller().user, self.outlet.speaker());
        let joining = handle.join(Subscriber { socket, sub, user, born, outlet });
        let Ok(Some(seat)) = timeout(STORE_PATIENCE, joining).await else {
            return self.close(CloseCode::TRY_LATER);
        };
        let ring = handle.tail().ring();
        self.say(Said::Subscribe(Subscription { log, sub, born, begin, ring, seat }));
    }

    async fn older(&mut self, asked: &HistoryAsked) {
        let (number, room) = (asked.number, asked.room);
        if self.engine.shedding.sheds(Stage::History) {
            let (messages, older) = (Messages::default(), true);
            return self.answer(&Event::Older(Older { number, room, messages, older }));
        }
        if !self.may_read().await {
            return;
        }
        let reader = Some(self.session.caller().user);
        let count = u32::from(asked.count).clamp(1, self.engine.limits.history_messages);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        match patiently(self.engine.history.older(reader, room, asked.before, count)).await {
            Ok(found) => {
                let nothing = OlderMessages { messages: Messages::default(), older: false };
                let OlderMessages { messages, older } = found.unwrap_or(nothing);
                self.answer(&Event::Older(Older { number, room, messages, older }));
            }
            Err(fault) => self.unavailable(&fault),
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

    pub(super) fn close(&self, code: CloseCode) {
        self.outlet.close(code, self.now());
    }

    fn say(&self, said: Said<'_>) {
        self.outlet.step(said, self.now());
    }

    pub(super) fn now(&self) -> i64 {
        self.engine.clock.ticks_ms()
    }

    pub(super) fn log_end(&self) {
        let (socket, code) = (self.outlet.socket().0, self.outlet.closing().map(|code| code.0));
        tracing::debug!(socket, code, "a connection ended");
    }
}

impl Drop for Connection {
    /// Also where the task ended by a bug: the slots leave their logs' lists.
    fn drop(&mut self) {
        self.outlet.close(CloseCode::INTERNAL, self.now());
    }
}

/// Lets the outlet write while the socket takes bytes, and tells what else it wants; nothing where
/// the connection is over.
pub(super) fn drain(
    outlet: &OutletHandle<Wire>,
    clock: &dyn Clock,
    context: &mut Context<'_>,
) -> Option<Wants> {
    loop {
        let wants = outlet.wants(context.waker())?;
        if wants.dead || outlet.sink().is_broken() {
            return None;
        }
        if !wants.writing || outlet.sink().poll_writable(context).is_pending() {
            return Some(wants);
        }
        outlet.step(Said::Writable, clock.ticks_ms());
    }
}

/// The first of these answers that is there. A log that died of a bug leaves an outcome unknown.
fn answered(
    answers: &mut Rare<(Ticket, oneshot::Receiver<Reply>)>,
    context: &mut Context<'_>,
) -> Option<(Ticket, Reply)> {
    let is_there =
        |(index, (_, answer)): (usize, &mut (Ticket, oneshot::Receiver<Reply>))| match Pin::new(
            answer,
        )
        .poll(context)
        {
            Poll::Ready(reply) => Some((index, reply.unwrap_or(Reply::Unknown))),
            Poll::Pending => None,
        };
    let list = answers.as_mut()?;
    let (index, reply) = list.iter_mut().enumerate().find_map(is_there)?;
    let (ticket, _) = list.swap_remove(index);
    answers.take_if(|list| list.is_empty());
    Some((ticket, reply))
}

/// Lets these reads go on; what they come to waits until it is asked for.
pub(super) fn go_on(fetches: &mut Rare<Fetch>, context: &mut Context<'_>) {
    for fetch in fetches.iter_mut().flat_map(|list| list.iter_mut()) {
        // Whether it is done is seen by `ready`.
        let _ = Pin::new(fetch).poll(context);
    }
}

/// The first of these that is done.
fn ready(fetches: &mut Rare<Fetch>, context: &mut Context<'_>) -> Option<FetchedFor> {
    go_on(fetches, context);
    let list = fetches.as_mut()?;
    let is_done = |fetch: &Fetch| matches!(fetch, MaybeDone::Done(_));
    let mut done = list.swap_remove(list.iter().position(is_done)?);
    fetches.take_if(|list| list.is_empty());
    Pin::new(&mut done).take_output()
}

/// What a read gives, if it gives it in time.
async fn patiently<T>(read: Read<'_, T>) -> Result<T, Unavailable> {
    let too_late = |_| Err(Unavailable(format!("no answer in {STORE_PATIENCE:?}")));
    timeout(STORE_PATIENCE, read).await.unwrap_or_else(too_late)
}

/// Reads what a slot wants.
async fn fetch(engine: Arc<Engine>, caller: Caller, order: Order) -> FetchedFor {
    let read = async {
        let user = caller.user;
        match (order.what, order.log.room()) {
            (What::Page { after }, _) => {
                let events =
                    patiently(Box::pin(engine.shared.page(order.log, after, order.edition)))
                        .await?;
                Ok(reading::page(&order, user, events))
            }
            (What::Snapshot(_), Some(room)) => {
                let since = (order.born, order.edition);
                let view = engine.shared.snapshot(user, room, since).await?;
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
