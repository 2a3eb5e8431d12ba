//! How often and how many at once: rates by key, and counts that end with their guard.
//!
//! Used by the doors, per address and per sign-in. Its law: what is counted is counted before the
//! work is done, a count is given back by dropping its guard, and keys that are at rest are
//! forgotten, so that no map grows for ever.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Checks between two sweeps of a throttle's keys.
const CHECKS_A_SWEEP: u32 = 4_096;

/// So many in a period, and so many at once; written `60/min burst 300`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many come back in one period.
    pub count: NonZeroU32,
    /// In which time.
    pub period: Period,
    /// How many are free at the start, and after a long rest.
    pub burst: NonZeroU32,
}

/// The time that a rate counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// `s`
    Second,
    /// `min`
    Minute,
    /// `h`
    Hour,
}

impl Rate {
    /// So many a second; 0 is taken as 1.
    #[must_use]
    pub const fn per_second(count: u32, burst: u32) -> Self {
        Self::new(count, Period::Second, burst)
    }

    /// So many a minute; 0 is taken as 1.
    #[must_use]
    pub const fn per_minute(count: u32, burst: u32) -> Self {
        Self::new(count, Period::Minute, burst)
    }

    /// So many an hour; 0 is taken as 1.
    #[must_use]
    pub const fn per_hour(count: u32, burst: u32) -> Self {
        Self::new(count, Period::Hour, burst)
    }

    const fn new(count: u32, period: Period, burst: u32) -> Self {
        Self { count: at_least_one(count), period, burst: at_least_one(burst) }
    }

    /// The time after which one more is free.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let period = match self.period {
            Period::Second => Duration::from_secs(1),
            Period::Minute => Duration::from_secs(60),
            Period::Hour => Duration::from_secs(3_600),
        };
        (period / self.count.get()).max(Duration::from_nanos(1))
    }

    /// How many milliseconds so many take at this rate, once its burst is used up.
    #[must_use]
    pub fn ms_for(&self, count: usize) -> u32 {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        u32::try_from(self.interval().saturating_mul(count).as_millis()).unwrap_or(u32::MAX)
    }
}

const fn at_least_one(count: u32) -> NonZeroU32 {
    match NonZeroU32::new(count) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = match self.period {
            Period::Second => "s",
            Period::Minute => "min",
            Period::Hour => "h",
        };
        write!(f, "{}/{period} burst {}", self.count, self.burst)
    }
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "expected a rate such as `60/min burst 300`, with s, min or h";
        let (rate, burst) = text.split_once(" burst ").ok_or(wanted)?;
        let (count, period) = rate.split_once('/').ok_or(wanted)?;
        let period = match period.trim() {
            "s" => Period::Second,
            "min" => Period::Minute,
            "h" => Period::Hour,
            _ => return Err(wanted),
        };
        let number = |text: &str| text.trim().parse().map_err(|_| wanted);
        Ok(Self { count: number(count)?, period, burst: number(burst)? })
    }
}

/// An address as limits see it: an IPv6 host has a whole /64 to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                Self(IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))))
            }
            address => Self(address),
        }
    }
}

/// One rate for each key.
pub struct Throttle<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    check_count: AtomicU32,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// A throttle whose keys are all at rest.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let quota = Quota::with_period(rate.interval())
            .unwrap_or(Quota::per_second(rate.count))
            .allow_burst(rate.burst);
        Self {
            limiter: RateLimiter::keyed(quota),
            check_count: AtomicU32::new(0),
            clock: DefaultClock::default(),
        }
    }

    /// Takes one, or says how long to wait for it.
    pub fn take(&self, key: &K) -> Result<(), Duration> {
        if self.check_count.fetch_add(1, Ordering::Relaxed) % CHECKS_A_SWEEP == CHECKS_A_SWEEP - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

/// One rate for all, whose takers wait for their turn, in order, while that is not too long.
#[derive(Debug)]
pub struct Turns {
    rate: Rate,
    /// When the next is due if there were no burst (GCRA's theoretical arrival), on the taker's clock.
    next: Mutex<Duration>,
}

impl Turns {
    /// Turns that nobody has taken yet.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, next: Mutex::default() }
    }

    /// Takes a turn and says how long to wait for it; or takes none, and says when there is one that
    /// is to be waited for less than `wait_max`.
    pub fn take(&self, now: Duration, wait_max: Duration) -> Result<Duration, Duration> {
        let interval = self.rate.interval();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.max(*next);
        // With n at once, the last of them is due n - 1 intervals before its time.
        let ahead = interval.saturating_mul(self.rate.burst.get().saturating_sub(1));
        let wait = due.saturating_sub(now).saturating_sub(ahead);
        if wait > wait_max {
            return Err(wait.saturating_sub(wait_max));
        }
        *next = due.saturating_add(interval);
        Ok(wait)
    }
}

/// How many of something there were within one second at most.
#[derive(Debug, Default)]
pub struct Peak(Mutex<Crowd>);

/// Those of the last second, and the most that there ever were.
#[derive(Debug, Default)]
struct Crowd {
    last: VecDeque<Duration>,
    most: usize,
}

impl Peak {
    /// One more, at this time on the caller's clock.
    pub fn note(&self, now: Duration) {
        let mut crowd = self.crowd();
        crowd.last.push_back(now);
        while crowd.last.front().is_some_and(|at| now.saturating_sub(*at) >= Duration::from_secs(1))
        {
            crowd.last.pop_front();
        }
        crowd.most = crowd.most.max(crowd.last.len());
    }

    /// The most.
    #[must_use]
    pub fn get(&self) -> usize {
        self.crowd().most
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        // Every change leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of each key there are now.
#[derive(Debug)]
pub struct Gauge<K: Hash + Eq + Clone> {
    counts: Arc<Mutex<HashMap<K, u32>>>,
}

/// One that is counted, until it is dropped.
#[derive(Debug)]
pub struct Counted<K: Hash + Eq + Clone> {
    counts: Arc<Mutex<HashMap<K, u32>>>,
    key: K,
}

impl<K: Hash + Eq + Clone> Default for Gauge<K> {
    fn default() -> Self {
        Self { counts: Arc::default() }
    }
}

impl<K: Hash + Eq + Clone> Gauge<K> {
    /// Counts one more of the key, or none where `count_max` are there.
    #[must_use]
    pub fn enter(&self, key: K, count_max: u32) -> Option<Counted<K>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&key).copied().unwrap_or(0);
        if count >= count_max {
            return None;
        }
        counts.insert(key.clone(), count.saturating_add(1));
        Some(Counted { counts: Arc::clone(&self.counts), key })
    }
}

impl<K: Hash + Eq + Clone> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_back_from_what_it_shows() {
        for text in ["1/s burst 10", "60/min burst 300", "10/h burst 10"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for wrong in ["", "0/s burst 1", "1/s burst 0", "1/d burst 1", "1/s", "-1/s burst 1"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_burst_passes_and_the_next_is_told_when() {
        let throttle = Throttle::new(Rate::per_hour(1, 3));
        for _ in 0..3 {
            assert_eq!(throttle.take(&"a"), Ok(()));
        }
        let wait = throttle.take(&"a").unwrap_err();
        assert!(wait > Duration::from_secs(3_500) && wait <= Duration::from_secs(3_600));
        assert_eq!(throttle.take(&"b"), Ok(()), "another key has its own");
    }

    #[test]
    fn turns_are_taken_at_their_rate_and_in_order_until_the_wait_is_too_long() {
        let turns = Turns::new(Rate::per_second(10, 3));
        let ms = Duration::from_millis;
        let take = |now| turns.take(ms(now), ms(200));
        for wait in [0, 0, 0, 100, 200] {
            assert_eq!(take(1_000), Ok(ms(wait)));
        }
        assert_eq!(take(1_000), Err(ms(100)), "a turn in 300 ms is too late");
        assert_eq!(take(1_000), Err(ms(100)), "who takes none is in nobody's way");
        assert_eq!(take(1_150), Ok(ms(150)));
        for _ in 0..3 {
            assert_eq!(take(9_000), Ok(ms(0)), "a long rest gives the burst back, and no more");
        }
        assert_eq!(take(9_000), Ok(ms(100)));
    }

    #[test]
    fn the_most_of_a_second_is_found_wherever_it_begins() {
        let peak = Peak::default();
        for ms in [0, 400, 900, 999, 1_000, 1_350, 5_000, 5_001] {
            peak.note(Duration::from_millis(ms));
        }
        assert_eq!(peak.get(), 5, "400 to 1,350");
    }

    #[test]
    fn what_is_counted_ends_with_its_guard() {
        let gauge = Gauge::default();
        let first = gauge.enter('a', 2).unwrap();
        let second = gauge.enter('a', 2).unwrap();
        assert!(gauge.enter('a', 2).is_none());
        drop(first);
        let third = gauge.enter('a', 2);
        assert!(third.is_some());
        drop((second, third));
        assert!(gauge.counts.lock().unwrap().is_empty(), "no key stays behind");
    }

    #[test]
    fn all_of_a_network_of_64_bits_is_one_source() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
    }
}
