//! Reads that many ask for at once, done once for all of them.
//!
//! Used by connections for the pages and snapshots of their slots: after a restart, all who were in
//! a room want the same. Its law: a read is shared only where it is as good as one's own, and kept
//! for a moment only; who may read was checked by each for himself; no more than so many snapshots
//! are made at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use protocol::change::Envelope;
use protocol::ids::{LogId, RoomId, UserId};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::history::{History, Later, RoomState, RoomView, Unavailable};
use crate::outlet::Edition;

/// How long what was read is shared with who comes later: in this time a crowd is back.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// How many results of one kind are kept: 8 MiB of the longest.
const KEPT_MAX: usize = 64;
/// Reads of one kind that have a task; who comes when there are so many reads for himself alone.
const TASKS_MAX: usize = 1_024;
/// Snapshots that are made at once; the readers of the database are for others, too.
const SNAPSHOTS_AT_ONCE: usize = 16;
/// Longest wait for a snapshot, its turn included.
const SNAPSHOT_FOR_MAX: Duration = Duration::from_secs(10);

/// A read and what it gives.
type Reading<V> = Later<'static, Result<Arc<V>, Unavailable>>;

/// The reads of a server; those under way end with it.
pub struct SharedReads {
    history: Arc<dyn History>,
    pages: Flights<(RoomId, u64, Edition), Vec<Envelope>>,
    states: Flights<(RoomId, Edition), Option<RoomState>>,
    snapshots: Arc<Semaphore>,
    snapshot_for_max: Duration,
}

/// Reads of one kind.
struct Flights<K, V> {
    air: Arc<Mutex<Air<K, V>>>,
    kept_for: Duration,
}

/// Those that are under way, or were a moment ago.
struct Air<K, V> {
    flights: HashMap<K, Flight<V>>,
    /// One for each of them.
    tasks: JoinSet<()>,
    count: u64,
}

struct Flight<V> {
    number: u64,
    reading: Shared<Reading<V>>,
    task: AbortHandle,
}

impl SharedReads {
    /// Shares reads of this history.
    #[must_use]
    pub fn new(history: Arc<dyn History>) -> Self {
        let snapshots = Arc::new(Semaphore::new(SNAPSHOTS_AT_ONCE));
        let (pages, states) = (Flights::new(KEPT_FOR), Flights::new(KEPT_FOR));
        let snapshot_for_max = SNAPSHOT_FOR_MAX;
        Self { history, pages, states, snapshots, snapshot_for_max }
    }

    /// As `History::page`, by who is in this edition of the log: what was read before a body was
    /// overwritten is not for who comes behind that. A user's log is read by him alone, and takes no
    /// place among what is shared.
    pub async fn page(
        &self,
        log: LogId,
        after: u64,
        edition: Edition,
    ) -> Result<Vec<Envelope>, Unavailable> {
        let history = Arc::clone(&self.history);
        let Some(room) = log.room() else { return history.page(log, after).await };
        let read = || -> Reading<Vec<Envelope>> {
            Box::pin(async move { history.page(log, after).await.map(Arc::new) })
        };
        let page =
            self.pages.get((room, after, edition), |events| !events.is_empty(), read).await?;
        Ok(Vec::clone(&page))
    }

    /// As `History::snapshot`, at the number `born` or later, and with `edition` as in `page`.
    pub async fn snapshot(
        &self,
        reader: UserId,
        room: RoomId,
        (born, edition): (u64, Edition),
    ) -> Result<Option<RoomView>, Unavailable> {
        let seen = self.seen(reader, room, (born, edition));
        let wait_max = self.snapshot_for_max;
        let too_late = |_| Err(Unavailable(format!("no snapshot in {wait_max:?}")));
        timeout(wait_max, seen).await.unwrap_or_else(too_late)
    }

    async fn seen(
        &self,
        reader: UserId,
        room: RoomId,
        (born, edition): (u64, Edition),
    ) -> Result<Option<RoomView>, Unavailable> {
        let (history, snapshots) = (Arc::clone(&self.history), Arc::clone(&self.snapshots));
        let read = || -> Reading<Option<RoomState>> {
            Box::pin(async move {
                // It is never closed.
                let _turn = snapshots.acquire().await;
                history.state(room).await.map(Arc::new)
            })
        };
        let is_enough = |state: &Option<RoomState>| {
            state.as_ref().is_some_and(|state| state.cursor.seq >= born)
        };
        let state = self.states.get((room, edition), is_enough, read).await?;
        // Only now: who is a member still was one when the room stood so, or joined behind `born`.
        let admission = self.history.admission(reader, room.log(), None).await?;
        let seen = Option::clone(&state).zip(admission);
        Ok(seen.map(|(state, admission)| state.seen_by(admission.membership)))
    }

    /// How many pages and how many rooms were read of the database.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.pages.count(), self.states.count())
    }
}

impl<K, V> Flights<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Keeps each for so long.
    fn new(kept_for: Duration) -> Self {
        let air = Air { flights: HashMap::new(), tasks: JoinSet::new(), count: 0 };
        Self { air: Arc::new(Mutex::new(air)), kept_for }
    }

    fn count(&self) -> u64 {
        held(&self.air).count
    }

    /// What somebody else reads, or has just read, if that is enough; else a read of one's own, in
    /// which others may join.
    async fn get(
        &self,
        key: K,
        is_enough: impl Fn(&V) -> bool,
        read: impl FnOnce() -> Reading<V>,
    ) -> Result<Arc<V>, Unavailable> {
        let mut too_old = None;
        let own = loop {
            // One hold from the look to the read's place: of all who look at once, one begins.
            let (number, reading) = {
                let mut air = held(&self.air);
                if let Some(number) = too_old {
                    air.forget(&key, number);
                }
                match air.flights.get(&key) {
                    Some(flight) => (flight.number, flight.reading.clone()),
                    None => break self.begin(&mut air, key, read()),
                }
            };
            match reading.await {
                Ok(value) if is_enough(&value) => return Ok(value),
                Ok(_) => too_old = Some(number),
                Err(fault) => return Err(fault),
            }
        };
        own.await
    }

    /// Begins a read that goes on though who began it may go.
    fn begin(&self, air: &mut Air<K, V>, key: K, reading: Reading<V>) -> Shared<Reading<V>> {
        air.count += 1;
        let reading = unbroken(reading).shared();
        while air.tasks.try_join_next().is_some() {}
        if air.tasks.len() >= TASKS_MAX {
            return reading;
        }
        let (number, kept_for, of_this) = (air.count, self.kept_for, reading.clone());
        // The tasks are the air's: one that held it would keep itself.
        let (owner, own_key) = (Arc::downgrade(&self.air), key.clone());
        let task = air.tasks.spawn(async move {
            let is_read = of_this.await.is_ok();
            let is_kept = |air: Arc<_>| held::<K, V>(&air).flights.len() <= KEPT_MAX;
            if is_read && owner.upgrade().is_some_and(is_kept) {
                sleep(kept_for).await;
            }
            if let Some(air) = owner.upgrade() {
                held(&air).forget(&own_key, number);
            }
        });
        air.flights.insert(key, Flight { number, reading: reading.clone(), task });
        reading
    }
}

impl<K: Hash + Eq, V> Air<K, V> {
    /// Takes a read out that is done; who waits for it still has it.
    fn forget(&mut self, key: &K, number: u64) {
        if self.flights.get(key).is_some_and(|flight| flight.number == number)
            && let Some(flight) = self.flights.remove(key)
        {
            flight.task.abort();
        }
    }
}

fn held<K, V>(air: &Mutex<Air<K, V>>) -> MutexGuard<'_, Air<K, V>> {
    // Every change of the map is one call that cannot panic half-way.
    air.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A panic in a read is its failure: who shares it would else panic with it, now and whenever he
/// asked again.
fn unbroken<V: Send + Sync + 'static>(reading: Reading<V>) -> Reading<V> {
    let panicked = |_| Err(Unavailable("a read panicked".to_owned()));
    Box::pin(async move { AssertUnwindSafe(reading).catch_unwind().await.unwrap_or_else(panicked) })
}

#[cfg(test)]
mod tests {
    use futures_util::future::{join_all, ready};
    use tokio::time::Instant;

    use super::*;
    use crate::clock::SeededChance;
    use crate::history::Rules;
    use crate::history::memory::MemoryHistory;
    use crate::rooms::tail::{SharedTail, Tail};

    const RULES: Rules = Rules { text_chars_max: 100, rooms_max: 4 };
    const SOON: Duration = Duration::from_millis(500);

    /// A read that gives this after a moment.
    fn slow(value: Result<u64, Unavailable>) -> Reading<u64> {
        Box::pin(async move {
            sleep(Duration::from_millis(50)).await;
            value.map(Arc::new)
        })
    }

    #[tokio::test]
    async fn what_many_ask_for_at_once_is_read_once_and_forgotten_soon() {
        let flights = Flights::<u64, u64>::new(SOON);
        let asked = (0..500).map(|number| flights.get(number % 2, |_| true, || slow(Ok(7))));
        assert!(join_all(asked).await.iter().all(|read| *read == Ok(Arc::new(7))));
        assert_eq!(flights.count(), 2, "one for each key");
        assert_eq!(flights.get(0, |_| true, || slow(Ok(8))).await, Ok(Arc::new(7)), "kept");
        sleep(2 * SOON).await;
        assert!(held(&flights.air).flights.is_empty());
    }

    #[tokio::test]
    async fn who_needs_more_than_was_read_reads_again_once_for_all() {
        let flights = Flights::<u64, u64>::new(SOON);
        let old = flights.get(1, |_| true, || slow(Ok(3)));
        let newer = (0..100).map(|_| flights.get(1, |head| *head >= 5, || slow(Ok(5))));
        let (old, newer) = tokio::join!(old, join_all(newer));
        assert_eq!(old, Ok(Arc::new(3)));
        assert!(newer.iter().all(|read| *read == Ok(Arc::new(5))), "{newer:?}");
        assert_eq!(flights.count(), 2);
    }

    #[tokio::test]
    async fn a_read_that_failed_is_not_kept_and_the_crowd_does_not_stay() {
        let flights = Flights::<u64, u64>::new(SOON);
        let away = Unavailable("away".to_owned());
        let read = flights.get(1, |_| true, || slow(Err(away.clone()))).await;
        assert_eq!(read, Err(away));
        sleep(Duration::from_millis(20)).await;
        assert_eq!(flights.get(1, |_| true, || slow(Ok(1))).await, Ok(Arc::new(1)));
        let many = (10..300).map(|key| flights.get(key, |_| true, move || slow(Ok(key))));
        join_all(many).await;
        sleep(Duration::from_millis(20)).await;
        let kept = held(&flights.air).flights.len();
        assert!(kept <= KEPT_MAX + 1, "{kept}");
    }

    #[tokio::test]
    async fn a_read_that_panics_fails_and_the_next_one_is_read() {
        let flights = Flights::<u64, u64>::new(SOON);
        let broken = || -> Reading<u64> { Box::pin(async { panic!("a bug") }) };
        let read = join_all((0..5).map(|_| flights.get(1, |_| true, broken))).await;
        assert!(read.iter().all(Result::is_err), "{read:?}");
        sleep(Duration::from_millis(20)).await;
        assert_eq!(flights.get(1, |_| true, || slow(Ok(1))).await, Ok(Arc::new(1)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 8)]
    async fn of_many_threads_that_look_at_once_one_begins() {
        for _ in 0..20 {
            let flights = Arc::new(Flights::<u64, u64>::new(SOON));
            let start = Arc::new(tokio::sync::Barrier::new(8));
            let asked = (0..8).map(|_| {
                let (flights, start) = (Arc::clone(&flights), Arc::clone(&start));
                tokio::spawn(async move {
                    start.wait().await;
                    let read = || -> Reading<u64> {
                        // So long the others have to look, too.
                        std::thread::sleep(Duration::from_millis(5));
                        Box::pin(ready(Ok(Arc::new(1))))
                    };
                    flights.get(1, |_| true, read).await
                })
            });
            assert!(join_all(asked).await.iter().all(|read| matches!(read, Ok(Ok(_)))));
            assert_eq!(flights.count(), 1);
        }
    }

    #[tokio::test]
    async fn reads_end_with_who_owns_them_and_have_no_more_tasks_than_allowed() {
        let flights = Flights::<u64, u64>::new(SOON);
        let alive = Arc::new(());
        let stuck = || -> Reading<u64> {
            let alive = Arc::clone(&alive);
            Box::pin(async move {
                std::future::pending::<()>().await;
                drop(alive);
                Ok(Arc::new(0))
            })
        };
        let many = u64::try_from(TASKS_MAX).unwrap() + 1;
        let asked = join_all((0..many).map(|key| flights.get(key, |_| true, stuck)));
        assert!(timeout(Duration::from_millis(50), asked).await.is_err());
        assert_eq!(held(&flights.air).tasks.len(), TASKS_MAX);
        assert_eq!(Arc::strong_count(&alive), TASKS_MAX + 1, "who read alone took his read along");
        drop(flights);
        sleep(Duration::from_millis(50)).await;
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[tokio::test]
    async fn who_gets_no_turn_for_a_snapshot_is_sent_away() {
        let history = MemoryHistory::new(RULES, &mut SeededChance::new(1), 0);
        let mut shared = SharedReads::new(Arc::new(history));
        let lobby = shared.history.room_by_key("lobby").await.unwrap().unwrap().id;
        let turns = Arc::clone(&shared.snapshots);
        let taken = turns.acquire_many(u32::try_from(SNAPSHOTS_AT_ONCE).unwrap()).await.unwrap();
        shared.snapshot_for_max = SOON;
        let (begun, reader) = (Instant::now(), UserId::NIL);
        assert!(shared.snapshot(reader, lobby, (0, Edition::begin())).await.is_err());
        assert!(begun.elapsed() >= SOON, "it did not wait");
        drop(taken);
        assert!(
            shared
                .snapshot(reader, lobby, (0, Edition::begin()))
                .await
                .is_ok_and(|view| view.is_some())
        );
    }

    #[tokio::test]
    async fn what_was_read_before_an_erasure_is_not_for_who_comes_behind_it() {
        let history = MemoryHistory::new(RULES, &mut SeededChance::new(1), 0);
        let shared = SharedReads::new(Arc::new(history));
        let lobby = shared.history.room_by_key("lobby").await.unwrap().unwrap().id;
        let tail = SharedTail::new(Tail::new(0));
        let reads = async |tail: &SharedTail| {
            for _ in 0..2 {
                let edition = tail.ring().edges().edition;
                shared.page(lobby.log(), 0, edition).await.unwrap();
                shared.snapshot(UserId::NIL, lobby, (0, edition)).await.unwrap();
            }
            shared.counts()
        };
        assert_eq!(reads(&tail).await, (1, 1));
        tail.change(|tail| tail.remake(&[])).unwrap();
        assert_eq!(reads(&tail).await, (2, 2), "an erasure");
        // The log's task ended, and begins again; the next body is erased.
        let tail = SharedTail::new(Tail::new(0));
        assert_eq!(reads(&tail).await, (3, 3), "nobody knows what was erased meanwhile");
        tail.change(|tail| tail.remake(&[])).unwrap();
        assert_eq!(reads(&tail).await, (4, 4), "not what was read behind the first erasure");
    }

    #[tokio::test]
    async fn the_logs_of_users_take_no_place_among_what_is_shared() {
        let history = MemoryHistory::new(RULES, &mut SeededChance::new(1), 0);
        let shared = SharedReads::new(Arc::new(history));
        let lobby = shared.history.room_by_key("lobby").await.unwrap().unwrap().id;
        let edition = Edition::begin();
        for number in 0..2 * u64::try_from(TASKS_MAX).unwrap() {
            let id = (u128::from(number) + 1).to_be_bytes();
            shared.page(UserId::from_bytes(id).log(), 0, edition).await.unwrap();
        }
        for _ in 0..10 {
            shared.page(lobby.log(), 0, edition).await.unwrap();
        }
        assert_eq!(shared.counts().0, 1, "read once for all of them");
    }
}
