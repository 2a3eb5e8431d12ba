//! Reads that many ask for at once, done once for all of them.
//!
//! Used by connections for the pages and snapshots of their slots: after a restart, all who were in
//! a room want the same. Its law: a read is shared only where it is as good as one's own, and kept
//! for a moment only; who may read was checked by each for himself; no more than so many snapshots
//! are made at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use protocol::change::Envelope;
use protocol::ids::{LogId, RoomId, UserId};
use tokio::sync::Semaphore;

use crate::history::{History, Later, RoomState, RoomView, Unavailable};

/// How long what was read is shared with who comes later: in this time a crowd is back.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// How many results of one kind are kept: 8 MiB of the longest.
const KEPT_MAX: usize = 64;
/// Snapshots that are made at once; the readers of the database are for others, too.
const SNAPSHOTS_AT_ONCE: usize = 16;

/// A read and what it gives.
type Reading<V> = Later<'static, Result<Arc<V>, Unavailable>>;

/// The reads of a server.
pub struct SharedReads {
    history: Arc<dyn History>,
    pages: Flights<(LogId, u64), Vec<Envelope>>,
    states: Flights<RoomId, Option<RoomState>>,
    snapshots: Arc<Semaphore>,
}

/// Reads of one kind that are under way, or were a moment ago. Cheap to clone.
struct Flights<K, V>(Arc<Mutex<HashMap<K, Flight<V>>>>, Arc<AtomicU64>, Duration);

struct Flight<V> {
    number: u64,
    reading: Shared<Reading<V>>,
}

impl SharedReads {
    /// Shares reads of this history.
    #[must_use]
    pub fn new(history: Arc<dyn History>) -> Self {
        let snapshots = Arc::new(Semaphore::new(SNAPSHOTS_AT_ONCE));
        let (pages, states) = (Flights::new(KEPT_FOR), Flights::new(KEPT_FOR));
        Self { history, pages, states, snapshots }
    }

    /// As `History::page`.
    pub async fn page(&self, log: LogId, after: u64) -> Result<Vec<Envelope>, Unavailable> {
        let history = Arc::clone(&self.history);
        let read = || -> Reading<Vec<Envelope>> {
            Box::pin(async move { history.page(log, after).await.map(Arc::new) })
        };
        let page = self.pages.get((log, after), |events| !events.is_empty(), read).await?;
        Ok(Vec::clone(&page))
    }

    /// As `History::snapshot`, at the number `born` or later.
    pub async fn snapshot(
        &self,
        reader: UserId,
        room: RoomId,
        born: u64,
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
        let state = self.states.get(room, is_enough, read).await?;
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
        Self(Arc::default(), Arc::default(), kept_for)
    }

    fn count(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
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
        loop {
            let joined = {
                let mut flights = self.flights();
                if flights.get(&key).is_some_and(|flight| Some(flight.number) == too_old) {
                    flights.remove(&key);
                }
                flights.get(&key).map(|flight| (flight.number, flight.reading.clone()))
            };
            let Some((number, reading)) = joined else {
                return self.begin(key, read()).await;
            };
            match reading.await {
                Ok(value) if is_enough(&value) => return Ok(value),
                Ok(_) => too_old = Some(number),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Begins a read that goes on though who began it may go.
    fn begin(&self, key: K, reading: Reading<V>) -> Shared<Reading<V>> {
        let number = self.1.fetch_add(1, Ordering::Relaxed);
        let reading = reading.shared();
        self.flights().insert(key.clone(), Flight { number, reading: reading.clone() });
        let (flights, of_this) =
            (Self(Arc::clone(&self.0), Arc::clone(&self.1), self.2), reading.clone());
        tokio::spawn(async move {
            let is_kept = of_this.await.is_ok() && flights.flights().len() <= KEPT_MAX;
            if is_kept {
                tokio::time::sleep(flights.2).await;
            }
            let mut flights = flights.flights();
            if flights.get(&key).is_some_and(|flight| flight.number == number) {
                flights.remove(&key);
            }
        });
        reading
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<K, Flight<V>>> {
        // Every change of the map is one call that cannot panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    const SOON: Duration = Duration::from_millis(500);

    /// A read that gives this after a moment.
    fn slow(value: Result<u64, Unavailable>) -> Reading<u64> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
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
        tokio::time::sleep(2 * SOON).await;
        assert!(flights.flights().is_empty());
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
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(flights.get(1, |_| true, || slow(Ok(1))).await, Ok(Arc::new(1)));
        let many = (10..300).map(|key| flights.get(key, |_| true, move || slow(Ok(key))));
        join_all(many).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(flights.flights().len() <= KEPT_MAX + 1, "{}", flights.flights().len());
    }
}
