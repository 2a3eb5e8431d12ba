//! Since when the first of a queue waits.
//!
//! Entered by the writer for every batch that is submitted, and read by `overload/meter.rs`. Its law:
//! whoever is taken, or gone, waits no more: a place ends with its guard.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A queue, as far as its age goes. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Queue(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    next: u64,
    since: BTreeMap<u64, i64>,
}

/// A place in it, until it is dropped.
#[derive(Debug)]
pub struct Place {
    queue: Queue,
    number: u64,
}

impl Queue {
    /// One more waits from now on.
    #[must_use]
    pub fn enter(&self, now: i64) -> Place {
        let mut places = self.places();
        let number = places.next;
        places.next = number.wrapping_add(1);
        places.since.insert(number, now);
        Place { queue: self.clone(), number }
    }

    /// For how many milliseconds the first has waited; 0 where nobody waits.
    #[must_use]
    pub fn age_ms(&self, now: i64) -> u32 {
        let since = self.places().since.first_key_value().map_or(now, |(_, since)| *since);
        u32::try_from(now.saturating_sub(since)).unwrap_or(0)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Every change leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.places().since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_that_of_the_first_who_still_waits() {
        let queue = Queue::default();
        assert_eq!(queue.age_ms(5), 0);
        let (first, second) = (queue.enter(10), queue.enter(30));
        assert_eq!((queue.age_ms(40), queue.age_ms(0)), (30, 0));
        drop(first);
        assert_eq!(queue.age_ms(40), 10);
        drop(second);
        assert_eq!(queue.age_ms(40), 0);
    }
}
