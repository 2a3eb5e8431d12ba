//! Who is connected: every connection by user and page load, so that it can be found.
//!
//! Entered by the connection's task after the upgrade and left by dropping its `Registration`; asked
//! by the doors (how many there are), by the watch and at the server's end. Its law: it holds no
//! connection alive; to end one it closes its outlet, and its task does the rest. Who is asked to go
//! is told when to come back: each at a moment of his own.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{RangeBounds, RangeInclusive};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::close::CloseCode;
use protocol::ids::{LogId, PageId, UserId};
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock::Clock;
use crate::db::people::SignInHash;
use crate::outlet::SocketId;
use crate::outlet::handle::OutletHandle;
use crate::throttle::Rate;

/// How often a drain looks whether it is done.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Milliseconds over which clients that are asked to go come back, however few they are.
const SPREAD_MS_MIN: u32 = 2_000;
/// The same, however many.
const SPREAD_MS_MAX: u32 = 60_000;

/// How often the operator is told at most of clients with another history, in milliseconds.
const DIVERGED_TELL_MS: i64 = 60_000;

/// The register of connections. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    next: AtomicU64,
    connections: Mutex<Connections>,
    /// How many connections ended by each close code.
    ended: Mutex<BTreeMap<u16, u64>>,
    /// When the last connection came or went, in ticks.
    changed_at: AtomicI64,
    /// The `Leave` that everybody is to take, packed; 0 where nobody is asked to go.
    leave: AtomicU64,
    /// How many cursors were of another history than the store's.
    diverged: AtomicU64,
    /// When that was last told the operator, in ticks.
    diverged_told_at: AtomicI64,
}

/// Every connection, those of one user side by side.
type Connections = BTreeMap<(UserId, SocketId), Connection>;

/// A connection as the register knows it.
struct Connection {
    page: Option<PageId>,
    sign_in: SignInHash,
    outlet: OutletHandle,
}

/// Why everybody is asked to go, and over how many milliseconds they come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The server is about to stop.
    Stopping {
        /// From now on.
        spread_ms: u32,
    },
    /// It has had no database for long.
    Away {
        /// From the first moment at which it is of any use.
        spread_ms: u32,
    },
}

/// The user has as many connections as he may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManySockets;

/// A connection's place in the register; dropping it leaves.
pub struct Registration {
    hub: Hub,
    user: UserId,
    socket: SocketId,
}

impl Hub {
    /// An empty register.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            next: AtomicU64::new(1),
            connections: Mutex::default(),
            ended: Mutex::default(),
            changed_at: AtomicI64::new(clock.ticks_ms()),
            clock,
            leave: AtomicU64::new(0),
            diverged: AtomicU64::new(0),
            diverged_told_at: AtomicI64::new(i64::MIN),
        }))
    }

    /// A name for a connection, never given twice.
    #[must_use]
    pub fn name_socket(&self) -> SocketId {
        SocketId(self.0.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Enters a connection, unless its user has `sockets_max` already.
    pub fn enter(
        &self,
        (user, sign_in): (UserId, SignInHash),
        outlet: OutletHandle,
        sockets_max: usize,
    ) -> Result<Registration, TooManySockets> {
        let mut connections = self.connections();
        if connections.range(all_of(user)).count() >= sockets_max {
            return Err(TooManySockets);
        }
        let socket = outlet.socket();
        connections.insert((user, socket), Connection { page: None, sign_in, outlet });
        Ok(Registration { hub: self.clone(), user, socket })
    }

    /// How many connections there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.connections().len()
    }

    /// For how many milliseconds nobody has been connected; 0 while somebody is.
    #[must_use]
    pub fn idle_ms(&self) -> i64 {
        let idle =
            self.0.clock.ticks_ms().saturating_sub(self.0.changed_at.load(Ordering::Relaxed));
        if self.count() == 0 { idle.max(0) } else { 0 }
    }

    /// How many connections the server has closed, by close code.
    #[must_use]
    pub fn ended(&self) -> BTreeMap<u16, u64> {
        self.0.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client's cursor is of another history than the store's: the store went back behind what
    /// was said, as from a copy, or somebody else spoke for it. Told the operator once a minute.
    pub fn note_diverged(&self, log: LogId) {
        let count = self.0.diverged.fetch_add(1, Ordering::Relaxed) + 1;
        let (now, told_at) = (self.0.clock.ticks_ms(), &self.0.diverged_told_at);
        let before = told_at.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(before) >= DIVERGED_TELL_MS;
        let is_ours = || {
            let (store, failed) = (Ordering::Relaxed, Ordering::Relaxed);
            told_at.compare_exchange(before, now, store, failed).is_ok()
        };
        if is_due && is_ours() {
            tracing::warn!(?log, count, "a client knows another history than the store holds");
        }
    }

    /// How many cursors were of another history than the store's.
    #[must_use]
    pub fn diverged_count(&self) -> u64 {
        self.0.diverged.load(Ordering::Relaxed)
    }

    /// The sign-ins of all connections, each once.
    #[must_use]
    pub fn sign_ins(&self) -> Vec<SignInHash> {
        let mut all: Vec<_> =
            self.connections().values().map(|connection| connection.sign_in).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Closes the connections of these sign-ins, each with its code.
    pub fn end(&self, sign_ins: &BTreeMap<SignInHash, CloseCode>) {
        for code in BTreeSet::from_iter(sign_ins.values().map(|code| code.0)) {
            let code = CloseCode(code);
            self.close_where(.., code, |_, connection| {
                sign_ins.get(&connection.sign_in) == Some(&code)
            });
        }
    }

    /// Whether everybody is asked to go, and why: connections send `Drain` and take in no further
    /// acts, and no new one is let in.
    #[must_use]
    pub fn leave(&self) -> Option<Leave> {
        Leave::unpacked(self.0.leave.load(Ordering::Acquire))
    }

    /// Ends all connections for a restart: says so, waits until what was taken in is answered, at
    /// most `patience`, then closes each with 1012 and waits as long again for the last bytes. They
    /// come back no faster than the next server takes them in at this rate.
    pub async fn drain(&self, patience: Duration, accepted: &Rate) {
        let leave = Leave::Stopping { spread_ms: spread_ms(self.count(), accepted) };
        self.0.leave.store(leave.packed(), Ordering::Release);
        self.part(patience, CloseCode::RESTART).await;
    }

    /// The same while there is no database, with 1013: nobody is let in until `welcome_back`. A
    /// server that stops meanwhile has told everybody already.
    pub async fn send_away(&self, patience: Duration, accepted: &Rate) {
        let leave = Leave::Away { spread_ms: spread_ms(self.count(), accepted) };
        let (set, failed) = (Ordering::AcqRel, Ordering::Acquire);
        let told = self.0.leave.compare_exchange(0, leave.packed(), set, failed);
        if told.map_or_else(Leave::unpacked, |_| Some(leave)).is_some_and(Leave::is_away) {
            self.part(patience, CloseCode::TRY_LATER).await;
        }
    }

    /// The database is back: whoever comes is let in, unless the server stops.
    pub fn welcome_back(&self) {
        let (set, failed) = (Ordering::AcqRel, Ordering::Acquire);
        let over = |packed| Leave::unpacked(packed).filter(|leave| leave.is_away()).map(|_| 0);
        // Nobody was sent away, or the server stops.
        let _ = self.0.leave.fetch_update(set, failed, over);
    }

    async fn part(&self, patience: Duration, code: CloseCode) {
        self.outlets(.., |_, _| true).iter().for_each(OutletHandle::nudge);
        // Every connection's task is given a moment to see the sign before the first look.
        sleep(DRAIN_LOOK).await;
        let answered = |connection: &Connection| connection.outlet.unanswered() == 0;
        self.wait_until(patience, |all| all.values().all(answered)).await;
        self.close_where(.., code, |_, _| true);
        self.wait_until(patience, BTreeMap::is_empty).await;
    }

    async fn wait_until(&self, patience: Duration, is_so: impl Fn(&Connections) -> bool) {
        let deadline = Instant::now() + patience;
        let looks = async {
            while !is_so(&self.connections()) {
                sleep(DRAIN_LOOK).await;
            }
        };
        // Out of patience is an end like the other: the server stops.
        let _ = timeout_at(deadline, looks).await;
    }

    fn close_where(
        &self,
        among: impl RangeBounds<(UserId, SocketId)>,
        code: CloseCode,
        is_meant: impl Fn(SocketId, &Connection) -> bool,
    ) {
        for outlet in self.outlets(among, is_meant) {
            outlet.close(code, self.0.clock.ticks_ms());
        }
    }

    /// Outlets that are meant, to be used outside the register's lock: using them takes theirs.
    fn outlets(
        &self,
        among: impl RangeBounds<(UserId, SocketId)>,
        is_meant: impl Fn(SocketId, &Connection) -> bool,
    ) -> Vec<OutletHandle> {
        let connections = self.connections();
        let meant = connections
            .range(among)
            .filter(|((_, socket), connection)| is_meant(*socket, connection))
            .map(|(_, connection)| connection.outlet.clone());
        meant.collect()
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        // Every change of the map is one call that cannot panic half-way.
        self.0.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration {
    /// Names the page load that this connection belongs to, and closes an older connection of the
    /// same page: two live sockets of one page would each hold half of its state.
    pub fn set_page(&self, page: PageId) {
        if let Some(connection) = self.hub.connections().get_mut(&(self.user, self.socket)) {
            connection.page = Some(page);
        }
        let is_older = |socket: SocketId, connection: &Connection| {
            socket < self.socket && connection.page == Some(page)
        };
        self.hub.close_where(all_of(self.user), CloseCode::REPLACED, is_older);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut connections = self.hub.connections();
        self.hub.0.changed_at.store(self.hub.0.clock.ticks_ms(), Ordering::Relaxed);
        let left = connections.remove(&(self.user, self.socket));
        if let Some(code) = left.and_then(|connection| connection.outlet.closing()) {
            let mut ended = self.hub.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
            *ended.entry(code.0).or_default() += 1;
        }
    }
}

impl Leave {
    const fn is_away(self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// As one number, which is not 0: the spread has a least one.
    fn packed(self) -> u64 {
        match self {
            Self::Stopping { spread_ms } => u64::from(spread_ms) << 1,
            Self::Away { spread_ms } => u64::from(spread_ms) << 1 | 1,
        }
    }

    fn unpacked(packed: u64) -> Option<Self> {
        let spread_ms = u32::try_from(packed >> 1).ok().filter(|spread_ms| *spread_ms > 0)?;
        Some(if packed & 1 == 1 { Self::Away { spread_ms } } else { Self::Stopping { spread_ms } })
    }
}

/// Half as long again as it takes to let so many in: who finds no place comes a second time.
fn spread_ms(count: usize, accepted: &Rate) -> u32 {
    let ms = accepted.ms_for(count);
    ms.saturating_add(ms / 2).clamp(SPREAD_MS_MIN, SPREAD_MS_MAX)
}

/// The places of all connections of one user.
const fn all_of(user: UserId) -> RangeInclusive<(UserId, SocketId)> {
    (user, SocketId(0))..=(user, SocketId(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leave_is_the_same_packed_and_a_stop_is_not_taken_back() {
        let hub = Hub::new(Arc::new(crate::clock::SystemClock));
        assert_eq!(hub.leave(), None);
        let (stopping, away) =
            (Leave::Stopping { spread_ms: 60_000 }, Leave::Away { spread_ms: 2_000 });
        for (leave, after) in [(stopping, Some(stopping)), (away, None)] {
            hub.0.leave.store(leave.packed(), Ordering::Release);
            assert_eq!(hub.leave(), Some(leave));
            hub.welcome_back();
            assert_eq!(hub.leave(), after);
        }
    }

    #[tokio::test]
    async fn a_server_that_stops_is_not_one_that_has_no_database() {
        let hub = Hub::new(Arc::new(crate::clock::SystemClock));
        let rate = Rate::per_second(1_000, 1_000);
        hub.send_away(Duration::ZERO, &rate).await;
        assert_eq!(hub.leave(), Some(Leave::Away { spread_ms: 2_000 }));
        hub.drain(Duration::ZERO, &rate).await;
        hub.send_away(Duration::ZERO, &rate).await;
        assert_eq!(hub.leave(), Some(Leave::Stopping { spread_ms: 2_000 }));
    }

    #[test]
    fn clients_come_back_as_fast_as_they_are_let_in_and_not_faster() {
        let rate = Rate::per_second(1_000, 1_000);
        let spreads = [0, 1_000, 5_000, 10_000, 100_000].map(|count| spread_ms(count, &rate));
        assert_eq!(spreads, [2_000, 2_000, 7_500, 15_000, 60_000]);
        assert_eq!(spread_ms(100, &Rate::per_minute(600, 1)), 15_000);
    }
}
