//! The task of one log and its handle: they carry what `rooms/room.rs` decides.
//!
//! Started by `Rooms::log` when somebody needs the log, ended when nobody has for a minute. Its law:
//! the task awaits no socket; between two chunks, and after every 256 subscribers, it lets others
//! run; callers wait at most for a place in the mailbox.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::change::Envelope;
use protocol::close::CloseCode;
use protocol::ids::{LogId, UserId};
use protocol::model::DisplayName;
use protocol::refusal::RetryReason;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

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

/// How long a caller waits for a place in a full mailbox.
const PLACE_WAIT: Duration = Duration::from_millis(250);
/// Subscribers that are told between two points at which others may run.
const SUBSCRIBERS_A_TURN: usize = 256;
/// How long a log without listeners and ops keeps its task and tail.
const IDLE: Duration = Duration::from_secs(60);
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
    /// Rung when the inbox has something.
    bell: Notify,
    /// Rung when the mailbox has a place again.
    place: Notify,
}

/// What waits for the task. Ops have the mailbox's bound; of joins each connection waits for one at
/// a time, a leave answers a join, and typing has its connection's rate.
struct Inbox {
    mailbox: Mailbox<oneshot::Sender<Reply>>,
    visits: VecDeque<Visit>,
    hint: u64,
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
            inbox: Mutex::new(Inbox { mailbox, visits: VecDeque::new(), hint: 0 }),
            bell: Notify::new(),
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
            let Err(returned) = self.inbox().mailbox.push(entry, now) else { break };
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
        self.0.bell.notify_one();
        Ok(answer)
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
        drop(inbox);
        self.0.bell.notify_one();
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

    fn visit(&self, visit: Visit) {
        self.inbox().visits.push_back(visit);
        self.0.bell.notify_one();
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
}

/// What woke a task.
enum Woken {
    Bell,
    Committed(Outcome),
    Read(Option<Vec<Envelope>>),
    Swept(Option<Vec<Head>>),
    Time,
    Idle,
}

impl Task {
    /// Reads where the log ends, then speaks until nobody listens.
    pub(super) async fn run(rooms: Rooms, handle: LogHandle) {
        let Some(head) = first_head(&rooms, &handle).await else { return };
        let log = Log::new(handle.0.id, head, handle.tail());
        let mut task = Self { rooms, handle, log, commit: None, read: None, sweep: None };
        loop {
            task.take_in().await;
            match task.woken().await {
                Woken::Bell => {}
                Woken::Committed(outcome) => task.step(Input::Outcome(outcome)).await,
                Woken::Read(events) => task.step(Input::Events(events)).await,
                Woken::Swept(None) => task.step(Input::Unswept).await,
                Woken::Swept(Some(heads)) => {
                    heads.iter().for_each(|head| task.rooms.hint(head.log, head.cursor.seq));
                }
                Woken::Time => task.step(Input::Tick).await,
                Woken::Idle if task.rooms.forget(task.handle.0.id) => return,
                Woken::Idle => {}
            }
        }
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

    async fn woken(&mut self) -> Woken {
        let now = self.rooms.now();
        let due = self.log.wakes_at().map(|at| at.saturating_sub(now).max(0).unsigned_abs());
        let is_idle = self.log.is_idle();
        tokio::select! {
            biased;
            outcome = ready(&mut self.commit) => Woken::Committed(outcome),
            events = ready(&mut self.read) => Woken::Read(events),
            heads = ready(&mut self.sweep) => Woken::Swept(heads),
            () = self.handle.0.bell.notified() => Woken::Bell,
            () = sleep(Duration::from_millis(due.unwrap_or(0))), if due.is_some() => Woken::Time,
            () = sleep(IDLE), if is_idle => Woken::Idle,
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
        for (index, told) in self.log.subscribers().iter().enumerate() {
            told.outlet.offer(chunk, self.rooms.now());
            if index % SUBSCRIBERS_A_TURN == SUBSCRIBERS_A_TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        self.log.offered(chunk);
        self.handle.0.spoken_at.store(self.rooms.now(), Ordering::Relaxed);
        self.rooms.tend_tails();
        tokio::task::yield_now().await;
    }

    async fn whisper(&mut self, frame: &Frame) {
        for (index, told) in self.log.subscribers().iter().enumerate() {
            told.outlet.whisper(self.handle.0.id, frame, self.rooms.now());
            if index % SUBSCRIBERS_A_TURN == SUBSCRIBERS_A_TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn halt(&mut self) {
        tracing::error!(log = ?self.handle.0.id, "the order of a log is broken");
        for told in self.log.take_subscribers() {
            told.outlet.close(CloseCode::POSITION_LOST, self.rooms.now());
        }
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
            if timeout_at(ask_again_at, handle.0.bell.notified()).await.is_err() {
                break;
            }
        }
    }
}

/// The result of what is under way, which then is no more; never where nothing is.
async fn ready<T>(under_way: &mut Option<Later<'static, T>>) -> T {
    match under_way {
        Some(later) => {
            let done = later.as_mut().await;
            *under_way = None;
            done
        }
        None => std::future::pending().await,
    }
}
