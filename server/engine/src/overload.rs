//! What is left undone for a while when there is too much to do, so that the rest is done in time.
//!
//! Stepped once a second by `overload/meter.rs` with what it measured; its stage is a number that
//! whoever would do such a thing reads first. Its law: pure; stage after stage in one order, up while
//! a trigger holds and down again without it, never by one reading alone. What is never left undone
//! asks nobody: answers to what was committed, heartbeats, who leaves, whoever is signed out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::config::Limits;

pub mod memory;
pub mod meter;
pub mod queue;

/// Milliseconds for which a trigger must hold for one stage more.
const UP_MS: i64 = 2_000;
/// Milliseconds without one for one stage less.
const DOWN_MS: i64 = 3_000;

/// What is left undone, in its order: with each stage all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Who types.
    Typing,
    /// Pages of older messages.
    History,
    /// New sockets.
    Upgrades,
    /// New acts; that somebody leaves is none of them.
    Sends,
}

/// The stage, as everybody sees it. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Shedding(Arc<AtomicU8>);

/// What was measured over the last second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readings {
    /// For how many milliseconds the first at the writer waited to be stored: the 95th percentile.
    pub queue_ms: u32,
    /// How many milliseconds late a sleeping task was woken: the median.
    pub late_ms: u32,
    /// How much of the memory that it may take the process has, where the system tells.
    pub memory_percent: Option<u32>,
}

/// What decides on the stage.
#[derive(Debug)]
pub struct Overload {
    queue_ms: u32,
    late_ms: u32,
    memory_percent: u32,
    stage: Option<Stage>,
    /// Since when there is a reason to go up, or since the last step up.
    up_since: Option<i64>,
    /// The same, down.
    down_since: Option<i64>,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Typing, Self::History, Self::Upgrades, Self::Sends];

    const fn number(self) -> u8 {
        match self {
            Self::Typing => 1,
            Self::History => 2,
            Self::Upgrades => 3,
            Self::Sends => 4,
        }
    }

    /// Its name, for operators.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Typing => "typing",
            Self::History => "history",
            Self::Upgrades => "upgrades",
            Self::Sends => "sends",
        }
    }
}

impl Shedding {
    /// Whether this is left undone now.
    #[must_use]
    pub fn sheds(&self, stage: Stage) -> bool {
        self.0.load(Ordering::Relaxed) >= stage.number()
    }

    /// The last of what is left undone.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        Stage::ALL.into_iter().rfind(|stage| self.sheds(*stage))
    }

    /// From now on this is left undone, and all before it; or nothing.
    pub fn set(&self, stage: Option<Stage>) {
        self.0.store(stage.map_or(0, Stage::number), Ordering::Relaxed);
    }
}

impl Overload {
    /// Nothing is left undone yet.
    #[must_use]
    pub const fn new(limits: &Limits) -> Self {
        Self {
            queue_ms: limits.overload_queue_ms,
            late_ms: limits.overload_late_ms,
            memory_percent: limits.overload_memory_percent,
            stage: None,
            up_since: None,
            down_since: None,
        }
    }

    /// Takes readings in, and gives the stage from now on.
    pub fn step(&mut self, readings: &Readings, now: i64) -> Option<Stage> {
        let reach = self.reach(readings);
        if reach <= self.stage {
            self.up_since = None;
        } else if is_over(&mut self.up_since, UP_MS, now) {
            self.stage = Stage::ALL.into_iter().find(|stage| Some(*stage) > self.stage);
        }
        if reach >= self.stage {
            self.down_since = None;
        } else if is_over(&mut self.down_since, DOWN_MS, now) {
            self.stage = Stage::ALL.into_iter().rfind(|stage| Some(*stage) < self.stage);
        }
        self.stage
    }

    /// How far it may go by these readings. Refusing messages gives no memory back: for its sake
    /// nobody more is let in, but who is here may speak.
    fn reach(&self, readings: &Readings) -> Option<Stage> {
        if readings.queue_ms >= self.queue_ms || readings.late_ms >= self.late_ms {
            return Some(Stage::Sends);
        }
        let is_full = readings.memory_percent.is_some_and(|percent| percent >= self.memory_percent);
        is_full.then_some(Stage::Upgrades)
    }
}

/// Whether it has been so for that long; then it begins anew.
fn is_over(since: &mut Option<i64>, ms: i64, now: i64) -> bool {
    let is_over = now.saturating_sub(*since.get_or_insert(now)) >= ms;
    if is_over {
        *since = Some(now);
    }
    is_over
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Readings = Readings { queue_ms: 999, late_ms: 99, memory_percent: Some(79) };
    const SLOW: Readings = Readings { queue_ms: 1_000, ..CALM };
    const LATE: Readings = Readings { late_ms: 100, ..CALM };
    const FULL: Readings = Readings { memory_percent: Some(80), ..CALM };

    fn stages(
        overload: &mut Overload,
        readings: Readings,
        seconds: std::ops::Range<i64>,
    ) -> String {
        let stage = |second| {
            overload
                .step(&readings, second * 1_000)
                .map_or('-', |stage| stage.name().chars().next().unwrap_or('?'))
        };
        seconds.map(stage).collect()
    }

    #[test]
    fn stage_after_stage_while_a_trigger_holds_and_back_again() {
        for readings in [SLOW, LATE] {
            let mut overload = Overload::new(&Limits::default());
            assert_eq!(stages(&mut overload, CALM, 0..5), "-----");
            assert_eq!(stages(&mut overload, readings, 5..16), "--tthhuusss");
            assert_eq!(stages(&mut overload, CALM, 16..30), "sssuuuhhhttt--");
        }
    }

    #[test]
    fn one_reading_is_no_overload_and_none_is_no_end_of_it() {
        let mut overload = Overload::new(&Limits::default());
        for second in 0..10 {
            let readings = if second % 2 == 0 { LATE } else { CALM };
            assert_eq!(stages(&mut overload, readings, second..second + 1), "-");
        }
        assert_eq!(stages(&mut overload, LATE, 10..13), "--t");
        assert_eq!(stages(&mut overload, CALM, 13..15), "tt");
        assert_eq!(stages(&mut overload, SLOW, 15..16), "t");
        assert_eq!(stages(&mut overload, CALM, 16..20), "ttt-");
    }

    #[test]
    fn memory_shuts_the_door_and_lets_who_is_here_speak() {
        let mut overload = Overload::new(&Limits::default());
        assert_eq!(stages(&mut overload, FULL, 0..8), "--tthhuu");
        let both = Readings { late_ms: 5_000, ..FULL };
        assert_eq!(stages(&mut overload, both, 8..11), "uus");
        assert_eq!(stages(&mut overload, FULL, 11..17), "sssuuu");
        let untold = Readings { memory_percent: None, ..CALM };
        assert_eq!(stages(&mut overload, untold, 17..21), "uuuh");
    }

    #[test]
    fn with_each_stage_all_before_it_are_left_undone() {
        let shedding = Shedding::default();
        assert_eq!(shedding.stage(), None);
        assert!(Stage::ALL.iter().all(|stage| !shedding.sheds(*stage)));
        for last in Stage::ALL {
            shedding.set(Some(last));
            assert_eq!(shedding.stage(), Some(last));
            assert!(Stage::ALL.iter().all(|stage| shedding.sheds(*stage) == (*stage <= last)));
        }
        shedding.set(None);
        assert_eq!(shedding.stage(), None);
    }
}
