//! How often one user may act, and how often all of them in one room.
//!
//! Shared by all connections and forms of a user; asked before an op enters a mailbox. Beside the
//! rates stands the user's newest name, which a connection may have been greeted without. Its law:
//! time is handed in, what is refused costs nothing, and the answer is the time to wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::act::Act;
use protocol::ids::UserId;
use protocol::model::DisplayName;

use crate::config::Limits;
use crate::throttle::Rate;

/// Users whose rates are kept before those at rest are looked for.
const KEPT_MIN: usize = 1_024;

/// A rate with a burst, as the time at which everything taken would have come back (GCRA, ITU-T
/// I.371): one number, no timer.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    interval_us: u32,
    /// How many are free at once, beyond the first.
    beyond_first: u32,
    full_at_us: i64,
}

impl Bucket {
    /// A bucket of this rate, full.
    #[must_use]
    pub fn new(rate: &Rate) -> Self {
        // The slowest rate is one an hour: 3.6e9 microseconds.
        let interval_us = u32::try_from(rate.interval().as_micros()).unwrap_or(u32::MAX).max(1);
        Self { interval_us, beyond_first: rate.burst.get() - 1, full_at_us: 0 }
    }

    fn burst_us(&self) -> i64 {
        i64::from(self.interval_us).saturating_mul(i64::from(self.beyond_first))
    }

    /// When everything taken will have come back, with one more.
    fn with_one_more(&self, full_at_us: i64) -> i64 {
        full_at_us.saturating_add(i64::from(self.interval_us))
    }

    /// Takes one, or says in how many milliseconds there will be one.
    pub fn take(&mut self, now_ms: i64) -> Result<(), u32> {
        let now_us = now_ms.saturating_mul(1_000);
        let full_at_us = self.full_at_us.max(now_us);
        let wait_us = full_at_us - now_us - self.burst_us();
        if wait_us > 0 {
            return Err(u32::try_from(wait_us.div_euclid(1_000) + 1).unwrap_or(u32::MAX));
        }
        self.full_at_us = self.with_one_more(full_at_us);
        Ok(())
    }

    /// Takes one even where there is none, and gives the time at which the next is free, if that is
    /// yet to come.
    pub fn spend(&mut self, now_ms: i64) -> Option<i64> {
        let now_us = now_ms.saturating_mul(1_000);
        self.full_at_us = self.with_one_more(self.full_at_us.max(now_us));
        let free_at_us = self.full_at_us - self.burst_us();
        (free_at_us > now_us).then(|| free_at_us.div_euclid(1_000) + 1)
    }

    /// Whether everything taken has come back.
    #[must_use]
    pub const fn is_full(&self, now_ms: i64) -> bool {
        self.full_at_us <= now_ms.saturating_mul(1_000)
    }
}

/// What one user may do, by kind of act.
#[derive(Debug)]
pub struct Rates {
    sends: Bucket,
    joins: Bucket,
    makes: Bucket,
    /// Rare, and so no part of what everybody costs.
    renamed: Option<Box<DisplayName>>,
}

impl Rates {
    /// The rates of somebody who has rested.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            sends: Bucket::new(&limits.sends_per_user),
            joins: Bucket::new(&limits.joins_per_user),
            makes: Bucket::new(&limits.rooms_made_per_user),
            renamed: None,
        }
    }

    /// Takes one act of this kind, or says in how many milliseconds there will be one.
    pub fn take(&mut self, act: &Act, now: i64) -> Result<(), u32> {
        match act {
            Act::Create(_) => self.makes.take(now),
            Act::Enter(_) => self.joins.take(now),
            Act::Post(_) | Act::Leave(_) | Act::Configure(_) | Act::Rename(_) => {
                self.sends.take(now)
            }
        }
    }

    /// Takes one room that is made by naming a key of none, or says in how many milliseconds there
    /// will be one. Naming the key took its own.
    pub fn make(&mut self, now: i64) -> Result<(), u32> {
        self.makes.take(now)
    }

    const fn are_full(&self, now: i64) -> bool {
        self.sends.is_full(now) && self.joins.is_full(now) && self.makes.is_full(now)
    }
}

/// One user's rates, shared by his connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SharedRates(Arc<Mutex<Rates>>);

impl SharedRates {
    /// Shares rates.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        Self(Arc::new(Mutex::new(rates)))
    }

    /// Takes one act of this kind, or says in how many milliseconds there will be one.
    pub fn take(&self, act: &Act, now: i64) -> Result<(), u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(act, now)
    }

    /// Takes one room that is made by naming a key of none, or says in how many milliseconds there
    /// will be one.
    pub fn make(&self, now: i64) -> Result<(), u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).make(now)
    }

    /// The user is called so from now on.
    pub fn rename(&self, name: DisplayName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).renamed = Some(Box::new(name));
    }

    /// The name that was given to the user while somebody held these.
    #[must_use]
    pub fn renamed(&self) -> Option<DisplayName> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).renamed.as_deref().cloned()
    }

    /// Whether nobody holds them and nothing is remembered in them.
    fn are_at_rest(&self, now: i64) -> bool {
        Arc::strong_count(&self.0) == 1
            && self.0.lock().unwrap_or_else(PoisonError::into_inner).are_full(now)
    }
}

/// The rates of all users that are here or were lately.
#[derive(Debug, Default)]
pub(super) struct RatesOfUsers {
    kept: BTreeMap<UserId, SharedRates>,
    /// How many there were when those at rest were last taken out.
    swept_to: usize,
}

impl RatesOfUsers {
    /// The rates of this user. Those at rest are looked for each time the count has doubled, so
    /// that a storm of users who are all awake costs each of them the same.
    pub(super) fn of(&mut self, user: UserId, limits: &Limits, now: i64) -> SharedRates {
        if self.is_due() && !self.kept.contains_key(&user) {
            self.kept.retain(|_, rates| !rates.are_at_rest(now));
            self.swept_to = self.kept.len();
        }
        let fresh = || SharedRates::new(Rates::new(limits));
        self.kept.entry(user).or_insert_with(fresh).clone()
    }

    fn is_due(&self) -> bool {
        self.kept.len() >= KEPT_MIN.max(2 * self.swept_to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_users_is_swept_a_few_times_and_then_forgotten() {
        let (mut rates, limits, mut sweeps) = (RatesOfUsers::default(), Limits::default(), 0);
        let user = |number: usize| {
            UserId::from_bytes(u128::try_from(number).unwrap_or_default().to_be_bytes())
        };
        let mut awake = Vec::new();
        for number in 0..8 * KEPT_MIN {
            sweeps += usize::from(rates.is_due());
            awake.push(rates.of(user(number), &limits, 0));
        }
        assert_eq!(sweeps, 3);
        awake.clear();
        for number in 8 * KEPT_MIN..9 * KEPT_MIN {
            rates.of(user(number), &limits, 0);
        }
        assert!(rates.kept.len() <= KEPT_MIN, "{}", rates.kept.len());
    }

    #[test]
    fn a_burst_passes_then_one_an_interval() {
        let mut bucket = Bucket::new(&Rate::per_second(1, 3));
        for _ in 0..3 {
            assert_eq!(bucket.take(10_000), Ok(()));
        }
        assert_eq!(bucket.take(10_000), Err(1_001));
        assert_eq!(bucket.take(11_001), Ok(()));
        assert!(bucket.take(11_001).is_err());
        assert!(!bucket.is_full(12_000) && bucket.is_full(14_000));
    }

    #[test]
    fn what_is_spent_without_being_there_delays_the_next() {
        let mut bucket = Bucket::new(&Rate::per_second(10, 2));
        assert_eq!(bucket.spend(5_000), None);
        assert_eq!(bucket.spend(5_000), Some(5_101));
        assert_eq!(bucket.spend(5_000), Some(5_201));
        assert_eq!(bucket.spend(6_000), None, "rest brings all back");
    }
}
