//! Measures whether there is too much to do, for as long as the house lives.
//!
//! One task of the house. Its law: a second's reading is made of many looks, so that one hiccup of
//! the machine is none; each change of the stage is told the operator once, with the reading behind it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::memory::Memory;
use super::queue::Queue;
use super::{Overload, Readings, Shedding, Stage};
use crate::clock::Clock;
use crate::config::Limits;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What one reading is made of: so many looks at least, over so many milliseconds at least.
const LOOKS_MIN: usize = 5;
const READING_MS: i64 = 1_000;

/// The meter of one house.
pub struct Meter {
    overload: Overload,
    shedding: Shedding,
    queue: Queue,
    memory: Memory,
    clock: Arc<dyn Clock>,
}

impl Meter {
    /// A meter that has not looked yet.
    #[must_use]
    pub fn new(limits: &Limits, shedding: Shedding, queue: Queue, clock: Arc<dyn Clock>) -> Self {
        let (overload, memory) = (Overload::new(limits), Memory::of_this_process());
        Self { overload, shedding, queue, memory, clock }
    }

    /// Measures until the server stops. Should it panic, the house must end: what is left undone
    /// would stay so.
    pub async fn live(mut self, mut stopping: watch::Receiver<bool>) {
        tokio::select! {
            biased;
            // Whoever dropped it wants no meter any more, either.
            _ = stopping.wait_for(|is_stopping| *is_stopping) => {}
            () = async { loop { self.measure().await } } => {}
        }
    }

    async fn measure(&mut self) {
        let readings = self.readings().await;
        let (before, now) = (self.shedding.stage(), self.clock.ticks_ms());
        let stage = self.overload.step(&readings, now);
        if stage == before {
            return;
        }
        self.shedding.set(stage);
        let Readings { queue_ms, late_ms, memory_percent } = readings;
        let last = stage.map(Stage::name);
        if stage > before {
            tracing::warn!(
                last,
                queue_ms,
                late_ms,
                memory_percent,
                "overload: more is left undone"
            );
        } else {
            tracing::info!(
                last,
                queue_ms,
                late_ms,
                memory_percent,
                "overload: less is left undone"
            );
        }
    }

    async fn readings(&self) -> Readings {
        let (mut late, mut ages) = (Vec::new(), Vec::new());
        let until = self.clock.ticks_ms().saturating_add(READING_MS);
        while late.len() < LOOKS_MIN || self.clock.ticks_ms() < until {
            let due = Instant::now() + LOOK_EVERY;
            sleep_until(due).await;
            late.push(u32::try_from(due.elapsed().as_millis()).unwrap_or(u32::MAX));
            ages.push(self.queue.age_ms(self.clock.ticks_ms()));
        }
        Readings {
            queue_ms: percentile(ages, 95),
            late_ms: percentile(late, 50),
            memory_percent: self.memory.percent(),
        }
    }
}

/// The smallest of these that so many in a hundred of them do not exceed; 0 of none.
fn percentile(mut values: Vec<u32>, percent: usize) -> u32 {
    values.sort_unstable();
    let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    /// A clock on which a second takes fifty milliseconds.
    struct Quick;

    impl Clock for Quick {
        fn unix_ms(&self) -> i64 {
            SystemClock.unix_ms()
        }

        fn ticks_ms(&self) -> i64 {
            SystemClock.ticks_ms().saturating_mul(20)
        }
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let of = |percent| percentile((1..=20).rev().collect(), percent);
        assert_eq!([of(50), of(95), of(100)], [10, 19, 20]);
        assert_eq!((percentile(vec![7], 50), percentile(Vec::new(), 50)), (7, 0));
        assert_eq!(percentile(vec![0, 5_000, 0, 1], 50), 0, "one hiccup");
    }

    /// The stages that are seen until this one.
    async fn seen_until(shedding: &Shedding, last: Option<Stage>) -> Vec<Option<Stage>> {
        let mut seen = vec![shedding.stage()];
        while seen.last() != Some(&last) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let stage = shedding.stage();
            if seen.last() != Some(&stage) {
                seen.push(stage);
            }
        }
        seen
    }

    #[tokio::test]
    async fn while_somebody_waits_long_for_the_writer_more_and_more_is_left_undone() {
        let limits = Limits { overload_late_ms: 60_000, ..Limits::default() };
        let (shedding, queue) = (Shedding::default(), Queue::default());
        let meter = Meter::new(&limits, shedding.clone(), queue.clone(), Arc::new(Quick));
        let (stop, stopping) = watch::channel(false);
        let living = tokio::spawn(meter.live(stopping));
        let mut stages = vec![
            None,
            Some(Stage::Typing),
            Some(Stage::History),
            Some(Stage::Upgrades),
            Some(Stage::Sends),
        ];
        let place = queue.enter(Quick.ticks_ms());
        assert_eq!(seen_until(&shedding, Some(Stage::Sends)).await, stages);
        drop(place);
        stages.reverse();
        assert_eq!(seen_until(&shedding, None).await, stages);
        drop(stop);
        living.await.unwrap();
    }
}
