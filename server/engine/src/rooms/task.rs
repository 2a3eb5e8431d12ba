//! The task of one log: it carries what `rooms/room.rs` decides.
//!
//! Started by `Rooms::log` when somebody needs the log, ended when nobody has for a minute. Its law:
//! the task awaits no socket; between two chunks, and after every 256 subscribers, it lets others
//! run.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use protocol::change::Envelope;
use protocol::close::CloseCode;
use tokio::sync::oneshot;
use tokio::task::consume_budget;
use tokio::time::{Instant, Sleep, sleep, timeout, timeout_at};

use super::Rooms;
use super::room::{Input, Log, Output, Reply};
use crate::history::writer::Withdrawn;
use crate::history::{Later, Outcome};
use crate::outlet::chunk::{Chunk, Frame};
use crate::outlet::handle::OutletHandle;
use crate::resting::{Life, Resting, Work};

mod handle;

use handle::{Inbox, Visit};
pub use handle::{LogHandle, TurnedAway};

/// Subscribers that are told between two points at which others may run.
const SUBSCRIBERS_A_TURN: usize = 256;
/// Milliseconds for which a log without listeners and ops keeps its task and tail.
const IDLE_MS: i64 = 60_000;
/// How long a log whose head could not be read waits before it asks again.
const STORE_WAIT: Duration = Duration::from_secs(1);
/// How long the head may take to be read.
const STORE_PATIENCE: Duration = Duration::from_secs(3);

type WaysBack = oneshot::Sender<Reply>;

/// The log's task: what is under way around the machine.
pub(super) struct Task {
    rooms: Rooms,
    handle: LogHandle,
    log: Log<WaysBack, OutletHandle>,
    under_way: Option<Box<UnderWay>>,
    /// Since when nobody listens and nothing is under way.
    idle_since: Option<i64>,
    /// The next time at which there is something to do, and the way to it.
    alarm: Option<(i64, Pin<Box<Sleep>>)>,
}

/// What the store or the writer was asked for. Most of the time that is nothing, and costs nothing.
#[derive(Default)]
struct UnderWay {
    commit: Option<Later<'static, Result<Outcome, Withdrawn>>>,
    read: Option<Later<'static, Option<Vec<Envelope>>>>,
    sweep: Option<Later<'static, bool>>,
}

/// What woke a task.
pub(super) enum Woken {
    Inbox,
    Committed(Result<Outcome, Withdrawn>),
    Read(Option<Vec<Envelope>>),
    Swept(bool),
    Time,
    Idle,
}

impl Task {
    /// Reads where the log ends, then speaks until nobody listens.
    pub(super) fn start(rooms: Rooms, handle: LogHandle) -> Life<Self> {
        Life::AtWork(Box::pin(async move {
            let head = first_head(&rooms, &handle).await?;
            let log = Log::new(handle.0.id, head, handle.tail());
            Some(Box::new(Self {
                rooms,
                handle,
                log,
                under_way: None,
                idle_since: None,
                alarm: None,
            }))
        }))
    }

    /// Does what it was woken for; whether it goes on.
    async fn carry(&mut self, woken: Woken) -> bool {
        match woken {
            Woken::Inbox => {}
            Woken::Committed(Ok(outcome)) => self.step(Input::Outcome(outcome)).await,
            Woken::Committed(Err(Withdrawn(batch))) => self.step(Input::Withdrawn(batch)).await,
            Woken::Read(events) => self.step(Input::Events(events)).await,
            Woken::Swept(false) => self.step(Input::Unswept).await,
            Woken::Swept(true) => {}
            Woken::Time => self.step(Input::Tick).await,
            Woken::Idle if self.rooms.forget(self.handle.0.id) => return false,
            Woken::Idle => {}
        }
        self.take_in().await;
        true
    }

    /// Takes in what waits in the inbox, visits before ops.
    async fn take_in(&mut self) {
        let (visits, hint) = {
            let mut inbox = self.handle.inbox();
            (std::mem::take(&mut inbox.visits), std::mem::take(&mut inbox.hint))
        };
        for visit in visits {
            match visit {
                Visit::Join(subscriber, done) => {
                    self.step(Input::Join(subscriber)).await;
                    // Who asked may be gone; his seat then takes him off.
                    let _ = done.send(());
                }
                Visit::Leave(socket, sub) => self.step(Input::Leave(socket, sub)).await,
                Visit::Typing(user, name, active) => {
                    self.step(Input::Typing { user, name, active }).await;
                }
            }
        }
        if hint > 0 {
            self.step(Input::Hint(hint)).await;
        }
        while self.log.wants_batch() {
            let batch = self.handle.inbox().mailbox.take_batch();
            if batch.is_empty() {
                break;
            }
            self.handle.0.place.notify_waiters();
            self.step(Input::Batch(batch)).await;
        }
        if !self.log.wants_batch() {
            self.put_overdue_off().await;
        }
    }

    /// Who waits behind a slow commit is told so in his time, not at its end.
    async fn put_overdue_off(&mut self) {
        let overdue = self.handle.inbox().mailbox.take_overdue(self.rooms.now());
        if !overdue.is_empty() {
            self.handle.0.place.notify_waiters();
            self.step(Input::Overdue(overdue)).await;
        }
    }

    fn under_way(&mut self) -> &mut UnderWay {
        self.under_way.get_or_insert_default()
    }

    fn until(&self, at: i64) -> Duration {
        Duration::from_millis(at.saturating_sub(self.rooms.now()).max(0).unsigned_abs())
    }

    fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<Woken> {
        loop {
            let now = self.rooms.now();
            // Where a sweep is not answered, nobody else would ask again; the others keep it from rest.
            let idle_at = if self.log.is_idle() && self.under_way.is_none() {
                Some(self.idle_since.get_or_insert(now).saturating_add(IDLE_MS))
            } else {
                self.idle_since = None;
                None
            };
            let overdue_at = match self.log.wants_batch() {
                true => None,
                false => self.handle.inbox().mailbox.overdue_at(),
            };
            let due = [self.log.wakes_at(), overdue_at].into_iter().flatten().min();
            if due.is_some_and(|at| at <= now) {
                return Poll::Ready(Woken::Time);
            }
            if idle_at.is_some_and(|at| at <= now) {
                self.idle_since = None;
                return Poll::Ready(Woken::Idle);
            }
            let Some(next) = [due, idle_at].into_iter().flatten().min() else {
                self.alarm = None;
                return Poll::Pending;
            };
            let wait = self.until(next);
            let alarm = match self.alarm.take() {
                Some(alarm) if alarm.0 == next => alarm,
                _ => (next, Box::pin(sleep(wait))),
            };
            let (_, sleep) = self.alarm.insert(alarm);
            ready!(sleep.as_mut().poll(context));
            self.alarm = None;
        }
    }

    async fn step(&mut self, input: Input<WaysBack, OutletHandle>) {
        let mut out = Vec::new();
        self.log.step(input, self.rooms.now(), &mut out);
        for output in out {
            self.carry_out(output).await;
        }
    }

    async fn carry_out(&mut self, output: Output<WaysBack>) {
        match output {
            Output::Commit { batch, overdue_at } => {
                let patience = self.until(overdue_at);
                self.under_way().commit = Some(self.rooms.commit(batch, patience));
            }
            Output::Read { after } => {
                self.under_way().read = Some(self.rooms.read(self.handle.0.id, after));
            }
            Output::Speak(chunk) => self.speak(&chunk).await,
            // Who asked may be gone: the answer stands in the store.
            Output::Reply(way_back, reply) => drop(way_back.send(reply)),
            Output::Hint(log, seq) => self.rooms.hint(log, seq),
            // One that is under way may have been before it, and ends though nobody waits for it.
            Output::Sweep => self.under_way().sweep = Some(self.rooms.sweep()),
            Output::Whisper(frame) => self.whisper(&frame).await,
            Output::Renamed(user, name) => self.rooms.rates(user).rename(name),
            Output::Halt => self.halt(),
        }
    }

    async fn speak(&mut self, chunk: &Chunk) {
        for turn in self.log.subscribers().chunks(SUBSCRIBERS_A_TURN) {
            let now = self.rooms.now();
            turn.iter().for_each(|told| told.outlet.offer(chunk, now));
            tokio::task::yield_now().await;
        }
        self.log.offered(chunk);
        self.handle.0.spoken_at.store(self.rooms.now(), Ordering::Relaxed);
        self.rooms.tend_tails();
    }

    async fn whisper(&mut self, frame: &Frame) {
        for turn in self.log.subscribers().chunks(SUBSCRIBERS_A_TURN) {
            let now = self.rooms.now();
            turn.iter().for_each(|told| told.outlet.whisper(self.handle.0.id, frame, now));
            tokio::task::yield_now().await;
        }
    }

    fn halt(&mut self) {
        tracing::error!(log = ?self.handle.0.id, "the order of a log is broken");
        for told in self.log.take_subscribers() {
            told.outlet.close(CloseCode::POSITION_LOST, self.rooms.now());
        }
    }
}

impl UnderWay {
    /// What was answered, if anything was.
    fn done(&mut self, context: &mut Context<'_>) -> Option<Woken> {
        if let Some(outcome) = done(&mut self.commit, context) {
            return Some(Woken::Committed(outcome));
        }
        if let Some(events) = done(&mut self.read, context) {
            return Some(Woken::Read(events));
        }
        done(&mut self.sweep, context).map(Woken::Swept)
    }

    const fn is_over(&self) -> bool {
        self.commit.is_none() && self.read.is_none() && self.sweep.is_none()
    }
}

impl Resting for Task {
    type Woken = Woken;

    fn poll_woken(&mut self, context: &mut Context<'_>) -> Poll<Woken> {
        if let Some(under_way) = &mut self.under_way
            && let Some(woken) = under_way.done(context)
        {
            self.under_way.take_if(|under_way| under_way.is_over());
            return Poll::Ready(woken);
        }
        let wants_ops = self.log.wants_batch();
        if self.handle.is_called(context, |inbox| inbox.has_news() || wants_ops && inbox.has_ops())
        {
            return Poll::Ready(Woken::Inbox);
        }
        self.poll_time(context)
    }

    fn take_up(mut self: Box<Self>, woken: Woken) -> Work<Self> {
        Box::pin(async move {
            let goes_on = self.carry(woken).await;
            consume_budget().await;
            goes_on.then_some(self)
        })
    }
}

impl Drop for Task {
    /// A task that ends by a bug takes its log off the register, so that the next who asks gets a
    /// fresh one, and sends its listeners and callers away to come back.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.rooms.lose(&self.handle);
            while !self.handle.inbox().mailbox.take_batch().is_empty() {}
            // Who is let go of may come back to the inbox to leave its list: not under its lock.
            let visits = std::mem::take(&mut self.handle.inbox().visits);
            drop(visits);
            self.halt();
        }
    }
}

/// Where the log ends, however long the store is silent; nothing where nobody needs the log any
/// more. Meanwhile ops are told to come again: each within the time of one read.
async fn first_head(rooms: &Rooms, handle: &LogHandle) -> Option<u64> {
    loop {
        match timeout(STORE_PATIENCE, rooms.head_of(handle.id())).await {
            Ok(Ok(head)) => return Some(head),
            Ok(Err(fault)) => tracing::warn!(%fault, "a log's head cannot be read"),
            Err(_) => tracing::warn!("a log's head is not read in {STORE_PATIENCE:?}"),
        }
        let ask_again_at = Instant::now() + STORE_WAIT;
        loop {
            handle.put_all_off();
            if rooms.forget(handle.id()) {
                return None;
            }
            let asked = poll_fn(|context| match handle.is_called(context, Inbox::has_ops) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            if timeout_at(ask_again_at, asked).await.is_err() {
                break;
            }
        }
    }
}

/// The result of what is under way, which then is no more.
fn done<T>(under_way: &mut Option<Later<'static, T>>, context: &mut Context<'_>) -> Option<T> {
    match under_way.as_mut()?.as_mut().poll(context) {
        Poll::Ready(done) => {
            *under_way = None;
            Some(done)
        }
        Poll::Pending => None,
    }
}
