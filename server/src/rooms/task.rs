//! The task of one log and its handle: they carry what `rooms/room.rs` decides.
//!
//! Started by `Rooms::log` when somebody needs the log, ended when nobody has for a minute. Its law:
//! the task awaits no socket; between two chunks, and after every 256 subscribers, it lets others
//! run; callers wait at most for a place in the mailbox.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use protocol::change::Envelope;
use protocol::close::CloseCode;
use protocol::ids::{LogId, UserId};
use protocol::model::DisplayName;
use protocol::refusal::RetryReason;
use tokio::sync::{Notify, oneshot};
use tokio::task::consume_budget;
use tokio::time::{Instant, Sleep, sleep, timeout, timeout_at};

use super::Rooms;
use super::lane::Mark;
use super::mailbox::{Entry, Mailbox, Returned};
use super::rates::Bucket;
use super::room::{self, Input, Log, Output, Reply, Subscriber};
use super::tail::{SharedTail, Tail};
use crate::history::{Head, Later, Outcome, Pending};
use crate::outlet::chunk::{Chunk, Frame};
use crate::outlet::handle::OutletHandle;
use crate::outlet::{Seat, SocketId};
use crate::resting::{Life, Resting, Work};

/// How long a caller waits for a place in a full mailbox.
const PLACE_WAIT: Duration = Duration::from_millis(250);
/// Subscribers that are told between two points at which others may run.
const SUBSCRIBERS_A_TURN: usize = 256;
/// Milliseconds for which a log without listeners and ops keeps its task and tail.
const IDLE_MS: i64 = 60_000;
/// How long a log whose head could not be read waits before it asks again.
const STORE_WAIT: Duration = Duration::from_secs(1);
/// How long the head may take to be read.
const STORE_PATIENCE: Duration = Duration::from_secs(3);

/// An op that was not taken in, and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnedAway {
    /// Why.
    pub reason: RetryReason,
    /// When there will be a place, in milliseconds.
    pub retry_after_ms: u32,
}

impl From<RetryReason> for TurnedAway {
    /// When it is worth another try, where nobody has measured it.
    fn from(reason: RetryReason) -> Self {
        let retry_after_ms = match reason {
            RetryReason::Busy => 250,
            RetryReason::Rate | RetryReason::Unavailable | RetryReason::Draining => 1_000,
            RetryReason::DiskFull => 30_000,
        };
        Self { reason, retry_after_ms }
    }
}

/// A log that has a task. Cheap to clone.
#[derive(Clone)]
pub struct LogHandle(Arc<Shared>);

struct Shared {
    id: LogId,
    tail: SharedTail,
    /// When the log last spoke, in ticks.
    spoken_at: AtomicI64,
    inbox: Mutex<Inbox>,
    /// Rung when the mailbox has a place again.
    place: Notify,
}

/// What waits for the task. Ops have the mailbox's bound; of joins each connection waits for one at
/// a time, a leave answers a join, and typing has its connection's rate.
struct Inbox {
    mailbox: Mailbox<oneshot::Sender<Reply>>,
    visits: VecDeque<Visit>,
    hint: u64,
    /// The task.
    waker: Option<Waker>,
}

impl Inbox {
    fn wake(&self) {
        self.waker.iter().for_each(Waker::wake_by_ref);
    }

    fn has_ops(&self) -> bool {
        !self.mailbox.is_empty()
    }

    fn has_news(&self) -> bool {
        self.hint > 0 || !self.visits.is_empty()
    }
}

enum Visit {
    Join(Subscriber<OutletHandle>, oneshot::Sender<()>),
    Leave(SocketId, u32),
    Typing(UserId, DisplayName, bool),
}

/// A place on a log's list, left by dropping it.
struct ListSeat {
    log: LogHandle,
    socket: SocketId,
    sub: u32,
}

impl Drop for ListSeat {
    fn drop(&mut self) {
        self.log.visit(Visit::Leave(self.socket, self.sub));
    }
}

impl LogHandle {
    /// A handle whose task is yet to be started.
    pub(super) fn new(id: LogId, posts: Bucket) -> Self {
        let mailbox = Mailbox::new(posts);
        Self(Arc::new(Shared {
            id,
            tail: SharedTail::new(Tail::new(0)),
            spoken_at: AtomicI64::new(0),
            inbox: Mutex::new(Inbox { mailbox, visits: VecDeque::new(), hint: 0, waker: None }),
            place: Notify::new(),
        }))
    }

    /// The log's tail; meaningful from behind `join`.
    #[must_use]
    pub fn tail(&self) -> SharedTail {
        self.0.tail.clone()
    }

    /// When the log last spoke, in ticks, and its tail.
    pub(super) fn last_words(&self) -> (i64, SharedTail) {
        (self.0.spoken_at.load(Ordering::Relaxed), self.tail())
    }

    /// Puts an op into the mailbox, or waits a moment for a place. Its answer comes later.
    pub async fn act(
        &self,
        pending: Pending,
        mark: Option<Mark>,
        now: i64,
    ) -> Result<oneshot::Receiver<Reply>, TurnedAway> {
        let (reply, answer) = oneshot::channel();
        let mut entry = Entry { pending, mark, queued_at: now, reply };
        let deadline = Instant::now() + PLACE_WAIT;
        loop {
            let place = self.0.place.notified();
            let returned = {
                let mut inbox = self.inbox();
                let Err(returned) = inbox.mailbox.push(entry, now) else {
                    inbox.wake();
                    return Ok(answer);
                };
                returned
            };
            let Returned { entry: back, reason, retry_after_ms } = *returned;
            if reason != RetryReason::Busy {
                return Err(TurnedAway { reason, retry_after_ms });
            }
            entry = back;
            if timeout_at(deadline, place).await.is_err() {
                let retry_after_ms = u32::try_from(PLACE_WAIT.as_millis()).unwrap_or(u32::MAX);
                return Err(TurnedAway { reason, retry_after_ms });
            }
        }
    }

    /// Puts a subscriber on the list and waits until he is on it. The seat takes him off. Nothing
    /// where the task died of a bug meanwhile.
    pub async fn join(&self, subscriber: Subscriber<OutletHandle>) -> Option<Seat> {
        let (socket, sub) = (subscriber.socket, subscriber.sub);
        let seat = ListSeat { log: self.clone(), socket, sub };
        let (done, joined) = oneshot::channel();
        self.visit(Visit::Join(subscriber, done));
        joined.await.ok()?;
        Some(Box::new(seat))
    }

    /// A subscriber writes still, or has stopped.
    pub fn typing(&self, user: UserId, name: DisplayName, active: bool) {
        self.visit(Visit::Typing(user, name, active));
    }

    /// Somebody committed to this log up to this number.
    pub(super) fn hint(&self, seq: u64) {
        let mut inbox = self.inbox();
        inbox.hint = inbox.hint.max(seq);
        inbox.wake();
    }

    /// Whether only the register and the log's own task hold it, and nothing waits.
    pub(super) fn is_unused(&self) -> bool {
        let inbox = self.inbox();
        Arc::strong_count(&self.0) <= 2 && inbox.visits.is_empty() && inbox.mailbox.is_empty()
    }

    /// Whether both are handles of the same task.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The log.
    pub(super) fn id(&self) -> LogId {
        self.0.id
    }

    /// Answers every op that waits: not now.
    fn put_all_off(&self) {
        loop {
            let batch = self.inbox().mailbox.take_batch();
            if batch.is_empty() {
                break;
            }
            self.0.place.notify_waiters();
            for Entry { mark, reply, .. } in batch {
                // Who asked may be gone.
                let _ = reply.send(room::put_off(mark.as_ref(), RetryReason::Unavailable));
            }
        }
    }

    /// Whether this is so of the inbox; if not, the task is woken for the next that comes.
    fn is_called(&self, context: &Context<'_>, is_so: impl Fn(&Inbox) -> bool) -> bool {
        let mut inbox = self.inbox();
        if !inbox.waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            inbox.waker = Some(context.waker().clone());
        }
        is_so(&inbox)
    }

    fn visit(&self, visit: Visit) {
        let mut inbox = self.inbox();
        inbox.visits.push_back(visit);
        inbox.wake();
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Every change of the inbox is one call that cannot panic half-way.
        self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type WaysBack = oneshot::Sender<Reply>;

/// The log's task: what is under way around the machine.
pub(super) struct Task {
    rooms: Rooms,
    handle: LogHandle,
    log: Log<WaysBack, OutletHandle>,
    commit: Option<Later<'static, Outcome>>,
    read: Option<Later<'static, Option<Vec<Envelope>>>>,
    sweep: Option<Later<'static, Option<Vec<Head>>>>,
    /// Since when nobody listens and nothing is under way.
    idle_since: Option<i64>,
    /// The next time at which there is something to do, and the way to it.
    alarm: Option<(i64, Pin<Box<Sleep>>)>,
}

/// What woke a task.
pub(super) enum Woken {
    Inbox,
    Committed(Outcome),
    Read(Option<Vec<Envelope>>),
    Swept(Option<Vec<Head>>),
    Time,
    Idle,
}

impl Task {
    /// Reads where the log ends, then speaks until nobody listens.
    pub(super) fn start(rooms: Rooms, handle: LogHandle) -> Life<Self> {
        Life::AtWork(Box::pin(async move {
            let head = first_head(&rooms, &handle).await?;
            let log = Log::new(handle.0.id, head, handle.tail());
            let (commit, read, sweep, idle_since, alarm) = (None, None, None, None, None);
            Some(Box::new(Self { rooms, handle, log, commit, read, sweep, idle_since, alarm }))
        }))
    }

    /// Does what it was woken for; whether it goes on.
    async fn carry(&mut self, woken: Woken) -> bool {
        match woken {
            Woken::Inbox => {}
            Woken::Committed(outcome) => self.step(Input::Outcome(outcome)).await,
            Woken::Read(events) => self.step(Input::Events(events)).await,
            Woken::Swept(None) => self.step(Input::Unswept).await,
            Woken::Swept(Some(heads)) => {
                heads.iter().for_each(|head| self.rooms.hint(head.log, head.cursor.seq));
            }
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
    }

    fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<Woken> {
        loop {
            let now = self.rooms.now();
            let idle_at = if self.log.is_idle() {
                Some(self.idle_since.get_or_insert(now).saturating_add(IDLE_MS))
            } else {
                self.idle_since = None;
                None
            };
            let due = self.log.wakes_at();
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
            let wait = Duration::from_millis(next.saturating_sub(now).unsigned_abs());
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
            Output::Commit(batch) => self.commit = Some(self.rooms.commit(batch)),
            Output::Read { after } => self.read = Some(self.rooms.read(self.handle.0.id, after)),
            Output::Speak(chunk) => self.speak(&chunk).await,
            // Who asked may be gone: the answer stands in the store.
            Output::Reply(way_back, reply) => drop(way_back.send(reply)),
            Output::Hint(log, seq) => self.rooms.hint(log, seq),
            Output::Sweep => self.sweep = Some(self.rooms.heads()),
            Output::Whisper(frame) => self.whisper(&frame).await,
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

impl Resting for Task {
    type Woken = Woken;

    fn poll_woken(&mut self, context: &mut Context<'_>) -> Poll<Woken> {
        if let Some(outcome) = done(&mut self.commit, context) {
            return Poll::Ready(Woken::Committed(outcome));
        }
        if let Some(events) = done(&mut self.read, context) {
            return Poll::Ready(Woken::Read(events));
        }
        if let Some(heads) = done(&mut self.sweep, context) {
            return Poll::Ready(Woken::Swept(heads));
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
