//! The handle of one log's task: how ops, subscribers and hints get into its inbox.
//!
//! Held by connections, forms and the register of logs. Its law: callers wait at most for a place in
//! the mailbox, the task is woken under the lock under which something came, and dropping a seat
//! leaves the list.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use protocol::ids::{LogId, UserId};
use protocol::model::DisplayName;
use protocol::refusal::RetryReason;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::history::Pending;
use crate::outlet::handle::OutletHandle;
use crate::outlet::{Seat, SocketId};
use crate::rooms::lane::Mark;
use crate::rooms::mailbox::{Entry, Mailbox, Returned};
use crate::rooms::rates::Bucket;
use crate::rooms::room::{Reply, Subscriber, put_off};
use crate::rooms::tail::{SharedTail, Tail};

/// How long a caller waits for a place in a full mailbox.
const PLACE_WAIT: Duration = Duration::from_millis(250);

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
pub struct LogHandle(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) id: LogId,
    tail: SharedTail,
    /// When the log last spoke, in ticks.
    pub(super) spoken_at: AtomicI64,
    inbox: Mutex<Inbox>,
    /// Rung when the mailbox has a place again.
    pub(super) place: Notify,
}

/// What waits for the task. Ops have the mailbox's bound; of joins each connection waits for one at
/// a time and takes it back where it gave up, a leave answers a join, and typing has its connection's rate.
pub(super) struct Inbox {
    pub(super) mailbox: Mailbox<oneshot::Sender<Reply>>,
    pub(super) visits: VecDeque<Visit>,
    pub(super) hint: u64,
    /// The task.
    waker: Option<Waker>,
}

impl Inbox {
    fn wake(&self) {
        self.waker.iter().for_each(Waker::wake_by_ref);
    }

    pub(super) fn has_ops(&self) -> bool {
        !self.mailbox.is_empty()
    }

    pub(super) fn has_news(&self) -> bool {
        self.hint > 0 || !self.visits.is_empty()
    }
}

pub(super) enum Visit {
    Join(Subscriber<OutletHandle>, oneshot::Sender<()>),
    Leave(SocketId, u32),
    Typing(UserId, DisplayName, bool),
}

/// A place on a log's list, left by dropping it.
struct ListSeat {
    log: LogHandle,
    socket: SocketId,
    sub: u32,
    /// Whether the task has said so.
    is_taken: bool,
}

impl Drop for ListSeat {
    fn drop(&mut self) {
        if self.is_taken || !self.log.take_back(self.socket, self.sub) {
            self.log.visit(Visit::Leave(self.socket, self.sub));
        }
    }
}

impl LogHandle {
    /// A handle whose task is yet to be started.
    pub(in crate::rooms) fn new(id: LogId, posts: Bucket) -> Self {
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
    pub(in crate::rooms) fn last_words(&self) -> (i64, SharedTail) {
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
        let mut seat = ListSeat { log: self.clone(), socket, sub, is_taken: false };
        let (done, joined) = oneshot::channel();
        self.visit(Visit::Join(subscriber, done));
        joined.await.ok()?;
        seat.is_taken = true;
        Some(Box::new(seat))
    }

    /// Takes back a join that the task has not come to; false where it has.
    fn take_back(&self, socket: SocketId, sub: u32) -> bool {
        let is_it = |visit: &Visit| match visit {
            Visit::Join(subscriber, _) => (subscriber.socket, subscriber.sub) == (socket, sub),
            Visit::Leave(..) | Visit::Typing(..) => false,
        };
        let taken_back = {
            let mut inbox = self.inbox();
            let place = inbox.visits.iter().position(is_it);
            place.and_then(|place| inbox.visits.remove(place))
        };
        // Whatever ends with the subscriber ends outside of the lock.
        taken_back.is_some()
    }

    /// A subscriber writes still, or has stopped.
    pub fn typing(&self, user: UserId, name: DisplayName, active: bool) {
        self.visit(Visit::Typing(user, name, active));
    }

    /// Somebody committed to this log up to this number.
    pub(in crate::rooms) fn hint(&self, seq: u64) {
        let mut inbox = self.inbox();
        inbox.hint = inbox.hint.max(seq);
        inbox.wake();
    }

    /// Whether only the register and the log's own task hold it, and nothing waits.
    pub(in crate::rooms) fn is_unused(&self) -> bool {
        let inbox = self.inbox();
        Arc::strong_count(&self.0) <= 2 && inbox.visits.is_empty() && inbox.mailbox.is_empty()
    }

    /// Whether both are handles of the same task.
    pub(in crate::rooms) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The log.
    pub(in crate::rooms) fn id(&self) -> LogId {
        self.0.id
    }

    /// Answers every op that waits: not now.
    pub(super) fn put_all_off(&self) {
        loop {
            let batch = self.inbox().mailbox.take_batch();
            if batch.is_empty() {
                break;
            }
            self.0.place.notify_waiters();
            for Entry { mark, reply, .. } in batch {
                // Who asked may be gone.
                let _ = reply.send(put_off(mark.as_ref(), RetryReason::Unavailable));
            }
        }
    }

    /// Whether this is so of the inbox; if not, the task is woken for the next that comes.
    pub(super) fn is_called(&self, context: &Context<'_>, is_so: impl Fn(&Inbox) -> bool) -> bool {
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

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Every change of the inbox is one call that cannot panic half-way.
        self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::ids::RoomId;
    use tokio::time::timeout;

    use super::*;
    use crate::outlet::{Outlet, SharedSink};
    use crate::throttle::Rate;

    /// A socket that takes everything.
    struct Open;

    impl SharedSink for Open {
        fn write(&self, parts: &[Bytes]) -> usize {
            parts.iter().map(Bytes::len).sum()
        }
    }

    #[tokio::test]
    async fn who_gives_up_a_join_leaves_nothing_in_the_inbox() {
        let posts = Bucket::new(&Rate::per_second(1, 1));
        let log = LogHandle::new(RoomId::from_bytes([1; 16]).log(), posts);
        let user = UserId::from_bytes([5; 16]);
        let subscriber = |number| {
            let (socket, outlet) = (SocketId(number), Outlet::new(user, 200));
            let outlet = OutletHandle::new(socket, outlet, Open).speaker();
            Subscriber { socket, sub: 1, user, born: 0, outlet }
        };
        let mut waits = Box::pin(log.join(subscriber(1)));
        assert!(timeout(Duration::ZERO, waits.as_mut()).await.is_err());
        for number in 2..100 {
            assert!(timeout(Duration::ZERO, log.join(subscriber(number))).await.is_err());
        }
        assert_eq!(log.inbox().visits.len(), 1, "the one that still waits");

        // The task has come to it just now: then it has to leave again.
        let Some(Visit::Join(_, done)) = log.inbox().visits.pop_front() else { panic!("none") };
        done.send(()).unwrap();
        drop(waits);
        assert!(matches!(log.inbox().visits.pop_front(), Some(Visit::Leave(SocketId(1), 1))));
    }
}
