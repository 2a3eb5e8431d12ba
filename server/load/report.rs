//! What a run came to: its figures, and what was violated.
//!
//! Filled by each scenario and printed by `main` as one line, which `tools/prove` writes down. Its
//! law: nothing is forgiven here; what a busy machine may spoil is tried again before it is held.

use std::time::Duration;

use crate::tally::Delays;

/// How a scenario is to be run.
pub(crate) struct Form {
    /// The one of `make test`.
    pub(crate) short: bool,
    /// For how long, where that may be chosen.
    pub(crate) budget: Duration,
    /// How often a ratio may be tried: other work of the machine may fall on one side of it.
    pub(crate) turns: u32,
}

/// Figures to print, and what may not be.
#[derive(Debug, Default)]
pub(crate) struct Report {
    said: Vec<String>,
    pub(crate) found: Vec<String>,
}

impl Report {
    pub(crate) fn say(&mut self, words: String) {
        println!("    {words}");
        self.said.push(words);
    }

    /// Writes down a violation where this does not hold.
    pub(crate) fn hold(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            let words = otherwise();
            println!("    VIOLATED: {words}");
            self.found.push(words);
        }
    }

    /// All of it in a line.
    pub(crate) fn line(&self) -> String {
        let found = if self.found.is_empty() { "none".to_owned() } else { self.found.join("; ") };
        format!("{} | {found}", self.said.join("; ")).replace('\n', " ")
    }
}

/// The p99 within something against that around it.
pub(crate) fn ratio(before: &Delays, during: &Delays, after: &Delays) -> f64 {
    during.p99() / f64::midpoint(before.p99(), after.p99())
}

/// How many files this process may open.
pub(crate) fn files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    soft.and_then(|soft| soft.parse().ok()).unwrap_or(1_024)
}
