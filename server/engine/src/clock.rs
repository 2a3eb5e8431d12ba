//! Time and chance, which come in by the door so that a test can hold them.
//!
//! Everything that needs the time or a random byte is handed a `Clock` or a `Chance` by the assembly.
//! Their law: the time of day is for storing, showing and expiry, and orders nothing; how long
//! something took or waits is counted in ticks, so that setting the clock ends nobody's connection;
//! whoever decides (session, room, outlet, judge) is handed values, never these traits' real kinds.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What ticks are counted from.
static FIRST_TICK: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The time of day: Unix time in milliseconds, which an operator may set.
    fn unix_ms(&self) -> i64;

    /// Milliseconds since some moment of this process. They never go back and never leap.
    fn ticks_ms(&self) -> i64;
}

/// Where random bytes come from.
pub trait Chance: Send + 'static {
    /// Overwrites all of `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);

    /// The random part of an identifier.
    fn id_bytes(&mut self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.fill(&mut bytes);
        bytes
    }

    /// Any 64-bit number.
    fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number below `bound`, or 0 where that is 0; its bias is below one in a billion for bounds
    /// of up to 2^33.
    fn below(&mut self, bound: u64) -> u64 {
        self.number().checked_rem(bound).unwrap_or(0)
    }

    /// A fresh life of a log's numbering: 63 random bits, never 0.
    fn epoch(&mut self) -> u64 {
        (self.number() >> 1).max(1)
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn ticks_ms(&self) -> i64 {
        i64::try_from(FIRST_TICK.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// The operating system's random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    #[expect(
        clippy::expect_used,
        reason = "a system without random bytes can make no secret: it must not go on"
    )]
    fn fill(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// The same bytes for the same seed (SplitMix64): for tests and the simulation, never for secrets.
#[derive(Debug, Clone)]
pub struct SeededChance(u64);

impl SeededChance {
    /// Begins the sequence of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn step(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Chance for SeededChance {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            for (byte, random) in chunk.iter_mut().zip(self.step().to_le_bytes()) {
                *byte = random;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_the_same_bytes_again() {
        let (mut one, mut other) = (SeededChance::new(7), SeededChance::new(7));
        assert_eq!(one.id_bytes(), other.id_bytes());
        assert_ne!(one.number(), SeededChance::new(8).number());
    }

    #[test]
    fn an_epoch_is_never_zero_and_fits_a_signed_number() {
        struct Constant(u8);
        impl Chance for Constant {
            fn fill(&mut self, bytes: &mut [u8]) {
                bytes.fill(self.0);
            }
        }
        assert_eq!(Constant(0).epoch(), 1);
        assert_eq!(i64::try_from(Constant(0xff).epoch()), Ok(i64::MAX));
    }
}
