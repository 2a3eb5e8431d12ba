//! The times at which connections are due: one clock for all of them, instead of one for each.
//!
//! Made with the engine; its task sleeps until the earliest time and wakes whom it was set for. Its
//! law: a connection is set for one time at most and leaves by dropping its `Timer`; being woken
//! early is allowed, being woken late by more than a tick is not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::outlet::SocketId;

/// Times are rounded up to a multiple of so many milliseconds, so that one waking serves many.
const TICK_MS: i64 = 50;
/// How long the clock sleeps where nobody is set for anything.
const REST: Duration = Duration::from_secs(3_600);

/// Everybody's times. Cheap to clone.
#[derive(Clone)]
pub struct Timers(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    due: Mutex<Due>,
    /// Rung when somebody is set for a time before all others.
    earlier: Notify,
}

type Due = BTreeMap<(i64, SocketId), Waker>;

/// One connection's time.
pub(super) struct Timer {
    timers: Timers,
    socket: SocketId,
    set_for: Option<i64>,
}

impl Timers {
    /// Starts the clock, which runs as long as its runtime.
    #[must_use]
    pub fn start(clock: Arc<dyn Clock>) -> Self {
        let shared = Shared { clock, due: Mutex::default(), earlier: Notify::new() };
        let timers = Self(Arc::new(shared));
        tokio::spawn(timers.clone().run());
        timers
    }

    async fn run(self) {
        loop {
            let now = self.0.clock.ticks_ms();
            let (ripe, next) = {
                let mut due = self.due();
                let later = due.split_off(&(now.saturating_add(1), SocketId(0)));
                let ripe = std::mem::replace(&mut *due, later);
                (ripe, due.first_key_value().map(|((at, _), _)| *at))
            };
            ripe.into_values().for_each(Waker::wake);
            let wait_ms = next.map(|at| at.saturating_sub(now).max(0).unsigned_abs());
            let rest = wait_ms.map_or(REST, Duration::from_millis);
            // Either is a reason to look again.
            let _ = timeout(rest, self.0.earlier.notified()).await;
        }
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        // Every change of the map is one call that cannot panic half-way.
        self.0.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timer {
    pub(super) const fn new(timers: Timers, socket: SocketId) -> Self {
        Self { timers, socket, set_for: None }
    }

    /// Wakes the task at this time, or before it.
    pub(super) fn set(&mut self, at: i64, now: i64, waker: &Waker) {
        if self.set_for.is_some_and(|set_for| now < set_for && set_for <= ticked(at)) {
            return;
        }
        let at = ticked(at);
        let mut due = self.timers.due();
        let before = self.set_for.replace(at).and_then(|old| due.remove(&(old, self.socket)));
        due.insert((at, self.socket), waker.clone());
        let is_first = due.first_key_value().is_some_and(|((first, _), _)| *first == at);
        drop(due);
        // A task may end with its last waker: not under the lock.
        drop(before);
        if is_first {
            self.timers.0.earlier.notify_one();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let set_for = self.set_for.take();
        let left = set_for.and_then(|at| self.timers.due().remove(&(at, self.socket)));
        drop(left);
    }
}

/// The end of the tick in which this time lies.
const fn ticked(at: i64) -> i64 {
    match at.checked_add(TICK_MS - 1) {
        Some(end) => end - end.rem_euclid(TICK_MS),
        None => i64::MAX,
    }
}
