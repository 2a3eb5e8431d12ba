//! What a crowd met, counted while it lives: who is live, how long a message took, what was wrong.
//!
//! Shared by all people of one run. Its law: what may never be is written down in words, and the
//! run fails with them at its end; everything else is a figure.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Violations that are told by their words; of the others only how many there are.
const WORDS_MAX: usize = 20;

/// The figures of one run.
pub(crate) struct Tally {
    begun: Instant,
    /// People who are live.
    pub(crate) live: AtomicUsize,
    /// How often somebody ceased to be live.
    pub(crate) fell: AtomicU64,
    /// Messages that were shown.
    pub(crate) shown: AtomicU64,
    /// Whether delays are written down now.
    pub(crate) measures: AtomicBool,
    figures: Mutex<Figures>,
}

#[derive(Default)]
struct Figures {
    opened: Vec<Duration>,
    refused: BTreeMap<u16, u64>,
    closed: BTreeMap<u16, u64>,
    delays: Vec<u32>,
    wrong: Vec<String>,
    wrong_count: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            live: AtomicUsize::new(0),
            fell: AtomicU64::new(0),
            shown: AtomicU64::new(0),
            measures: AtomicBool::new(false),
            figures: Mutex::default(),
        }
    }

    /// Microseconds from the run's beginning to then, as they stand at the head of a message.
    pub(crate) fn stamp(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.begun);
        u64::try_from(since.as_micros()).expect("a run of less than an age")
    }

    /// A socket opened.
    pub(crate) fn opened(&self) {
        let at = self.begun.elapsed();
        self.figures().opened.push(at);
    }

    /// A socket did not; 0 where nobody answered.
    pub(crate) fn refused(&self, status: u16) {
        *self.figures().refused.entry(status).or_default() += 1;
    }

    pub(crate) fn closed(&self, code: u16) {
        *self.figures().closed.entry(code).or_default() += 1;
    }

    /// A message with this stamp was shown to somebody whose delays count.
    pub(crate) fn arrived(&self, stamp: u64) {
        if self.measures.load(Ordering::Relaxed) {
            let delay = self.stamp(Instant::now()).saturating_sub(stamp);
            self.figures().delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
        }
    }

    /// What may never be.
    pub(crate) fn wrong(&self, words: impl Into<String>) {
        let mut figures = self.figures();
        figures.wrong_count += 1;
        if figures.wrong.len() < WORDS_MAX {
            figures.wrong.push(words.into());
        }
    }

    /// Begins to write down delays.
    pub(crate) fn measure(&self) {
        self.figures().delays.clear();
        self.measures.store(true, Ordering::Relaxed);
    }

    /// Ends that; gives what was written down.
    pub(crate) fn measured(&self) -> Delays {
        self.measures.store(false, Ordering::Relaxed);
        Delays::of(std::mem::take(&mut self.figures().delays))
    }

    /// The most sockets that opened within one second, since the last time this was asked.
    pub(crate) fn most_opened_in_a_second(&self) -> usize {
        let mut opened = std::mem::take(&mut self.figures().opened);
        opened.sort_unstable();
        let within = |(index, at): (usize, &Duration)| {
            opened.partition_point(|other| *other < *at + Duration::from_secs(1)) - index
        };
        opened.iter().enumerate().map(within).max().unwrap_or(0)
    }

    /// Sockets that did not open, by status, since the last time this was asked.
    pub(crate) fn take_refused(&self) -> BTreeMap<u16, u64> {
        std::mem::take(&mut self.figures().refused)
    }

    /// Closes by code.
    pub(crate) fn closes(&self) -> BTreeMap<u16, u64> {
        self.figures().closed.clone()
    }

    /// All that was wrong.
    pub(crate) fn take_wrong(&self) -> Vec<String> {
        let mut figures = self.figures();
        let mut wrong = std::mem::take(&mut figures.wrong);
        if figures.wrong_count > u64::try_from(wrong.len()).expect("a few") {
            wrong.push(format!("and more, {} in all", figures.wrong_count));
        }
        wrong
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long messages took, sorted.
pub(crate) struct Delays(Vec<u32>);

impl Delays {
    pub(crate) fn of(mut micros: Vec<u32>) -> Self {
        micros.sort_unstable();
        Self(micros)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Milliseconds that so many of a hundred did not take longer than.
    pub(crate) fn percentile(&self, hundredths: usize) -> f64 {
        let rank = (self.0.len() * hundredths).div_ceil(100).max(1) - 1;
        self.0.get(rank).map_or(f64::NAN, |micros| f64::from(*micros) / 1_000.0)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.percentile(99)
    }
}
