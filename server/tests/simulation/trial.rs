//! Runs plans on all cores, catches what fails, and shrinks it to the steps that matter.
//!
//! A trial is one plan in one world; a failure is a panic in it. Its law: whatever the number of
//! cores, the same seeds give the same answer.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;

use crate::mutants::Planted;
use crate::plan::Plan;
use crate::report::Report;
use crate::world::World;

/// A plan that broke a promise.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) plan: Plan,
    pub(crate) message: String,
}

/// What many trials came to.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) report: Report,
    pub(crate) failures: Vec<Failure>,
}

thread_local! {
    /// The message of a panic that a trial on this thread is to catch; nothing outside of trials.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics of trials are kept, all others are shown as ever.
fn keep_panics_of_trials() {
    static HOOK: OnceLock<()> = OnceLock::new();
    HOOK.get_or_init(|| {
        let shown = take_hook();
        set_hook(Box::new(move |panic| {
            let kept = CAUGHT.with_borrow_mut(|caught| match caught {
                Some(message) => {
                    *message = panic.to_string();
                    true
                }
                None => false,
            });
            if !kept {
                shown(panic);
            }
        }));
    });
}

/// Runs one plan, with a deliberate fault or none.
pub(crate) fn tried(plan: &Plan, planted: Planted) -> Result<Report, Failure> {
    keep_panics_of_trials();
    CAUGHT.set(Some(String::new()));
    let outcome = catch_unwind(AssertUnwindSafe(|| World::new(plan, planted).run()));
    let message = CAUGHT.take().unwrap_or_default();
    outcome.map_err(|_| Failure { plan: plan.clone(), message })
}

/// Runs the plans of these seeds on all cores; after a few failures it stops.
pub(crate) fn run_all(seeds: Range<u64>) -> Totals {
    let next = AtomicU64::new(seeds.start);
    let totals = Mutex::new(Totals::default());
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || totals.lock().unwrap().failures.len() >= 3 {
                break;
            }
            let outcome = tried(&Plan::of(seed), Planted::default()).map_err(shrunk);
            let mut totals = totals.lock().unwrap();
            match outcome {
                Ok(report) => totals.report.add(&report),
                Err(failure) => totals.failures.push(failure),
            }
        }
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores {
            scope.spawn(worker);
        }
    });
    totals.into_inner().unwrap()
}

/// Leaves out steps while the plan still fails: halves first, single steps at last.
fn shrunk(mut failure: Failure) -> Failure {
    let mut length = failure.plan.steps.len();
    let mut tries_left = 600;
    while length > 0 && tries_left > 0 {
        let mut from = 0;
        let mut smaller = false;
        while from < failure.plan.steps.len() && tries_left > 0 {
            tries_left -= 1;
            match tried(&failure.plan.without(from, from + length), Planted::default()) {
                Err(still) => (failure, smaller) = (still, true),
                Ok(_) => from += length,
            }
        }
        if !smaller {
            length /= 2;
        }
    }
    failure
}

impl Totals {
    /// The failures as they are shown, each with the file that holds what is left of its plan.
    pub(crate) fn told(failures: &[Failure]) -> String {
        let told = failures.iter().map(|Failure { plan, message }| {
            let written = plan.written();
            let file = format!("{}/seed-{}.json", env!("CARGO_TARGET_TMPDIR"), plan.seed);
            std::fs::write(&file, &written).unwrap();
            format!(
                "seed {}: {message}\nthe plan that is left of it is {file}:\n{written}",
                plan.seed
            )
        });
        told.collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} failures", self.report, self.failures.len())
    }
}
