//! When to come back: full jitter over a bound that doubles, so that a crowd spreads.
//!
//! The delay is uniform between 0 and 0.5 s × 2^n, at most 30 s, or 5 minutes in a hidden tab
//! (Brooker, *Exponential Backoff And Jitter*, AWS 2015). Its law: `n` goes back to 0 only after
//! 30 s of live connection, else a server that crashes after each greeting is hammered for ever.

const FIRST_MS: i64 = 500;
const CAP_MS: i64 = 30_000;
const HIDDEN_CAP_MS: i64 = 300_000;
const STEADY_MS: i64 = 30_000;

/// The chance that was handed in, stretched: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of milliseconds from 0 to `ms_max`.
    pub(super) fn up_to(&mut self, ms_max: i64) -> i64 {
        let choices = u64::try_from(ms_max).unwrap_or(0).saturating_add(1);
        i64::try_from(self.next() % choices).unwrap_or(0)
    }
}

/// How often coming back failed of late.
#[derive(Debug, Clone, Default)]
pub(super) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// A connection is over that had been live since then, if it ever was.
    pub(super) fn ended(&mut self, live_since: Option<i64>, now: i64) {
        if live_since.is_some_and(|since| now - since >= STEADY_MS) {
            self.tries = 0;
        }
    }

    /// Whether the last connection was a steady one, so that coming back at once harms nobody.
    pub(super) const fn is_fresh(&self) -> bool {
        self.tries == 0
    }

    /// The delay before the next try, in milliseconds.
    pub(super) fn delay(&mut self, hidden: bool, chance: &mut Chance) -> i64 {
        let cap = if hidden { HIDDEN_CAP_MS } else { CAP_MS };
        let bound = 1i64.checked_shl(self.tries.min(20)).map_or(cap, |factor| FIRST_MS * factor);
        self.count();
        chance.up_to(bound.min(cap))
    }

    /// A try is made without this delay; it counts all the same.
    pub(super) const fn count(&mut self) {
        self.tries = self.tries.saturating_add(1);
    }
}

/// How often something happened of late.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    times: Vec<i64>,
}

impl Recent {
    /// Notes one more, and gives how many there were within the last `span_ms`.
    pub(super) fn note(&mut self, now: i64, span_ms: i64) -> usize {
        self.times.retain(|at| now - at < span_ms);
        self.times.push(now);
        self.times.len()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_delay_is_anywhere_below_a_bound_that_doubles() {
        let mut chance = Chance::new(7);
        for (tries, bound) in [(0, 500), (1, 1_000), (3, 4_000), (6, 30_000), (40, 30_000)] {
            let delays: Vec<i64> =
                (0..1_000).map(|_| Backoff { tries }.delay(false, &mut chance)).collect();
            let mean = delays.iter().sum::<i64>() / 1_000;
            assert!(delays.iter().all(|delay| (0..=bound).contains(delay)), "{tries}");
            assert!((bound * 4 / 10..bound * 6 / 10).contains(&mean), "{tries}: {mean}");
        }
    }

    #[test]
    fn a_hidden_tab_waits_up_to_five_minutes() {
        let mut chance = Chance::new(1);
        let longest = (0..1_000).map(|_| Backoff { tries: 30 }.delay(true, &mut chance)).max();
        assert!(longest.is_some_and(|longest| (250_000..=300_000).contains(&longest)));
    }

    #[test]
    fn only_half_a_minute_of_live_connection_forgets_the_failures() {
        let mut backoff = Backoff { tries: 5 };
        backoff.ended(Some(0), 29_999);
        backoff.ended(None, 1_000_000);
        assert!(!backoff.is_fresh());
        backoff.ended(Some(0), 30_000);
        assert!(backoff.is_fresh());
    }
}
