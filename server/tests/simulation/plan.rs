//! A plan: everything that people, networks and the house go through in one run, as data.
//!
//! Made from a seed, or read from the corpus (JSON, a step a line). Its law: a plan and nothing else
//! decides a run, and any plan is still one when steps are left out, so that a failing one shrinks.

use serde::{Deserialize, Serialize};
use server::clock::{Chance, SeededChance};

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// What all chance of the run is drawn from: ids, latencies, the order of ready tasks.
    pub(crate) seed: u64,
    /// Whose each tab is, as an index of people.
    pub(crate) tabs: Vec<usize>,
    /// The most milliseconds that bytes travel.
    pub(crate) latency_ms_max: u64,
    /// The most bytes that a socket's buffer takes.
    pub(crate) socket_bytes_max: u64,
    /// What happens, in the order of time.
    pub(crate) steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// Milliseconds since the start.
    pub(crate) at: u64,
    /// What.
    pub(crate) what: What,
}

/// What may happen. A tab, a room or a copy that does not exist just now makes the step idle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// A message of this many letters into the room of this place in the tab's list.
    Post { tab: usize, room: usize, letters: usize },
    /// A new room.
    Create { tab: usize },
    /// Join by key; a room of this number may exist or not.
    Enter { tab: usize, key: usize },
    /// Leave a room.
    Leave { tab: usize, room: usize },
    /// Another name and topic for a room.
    Configure { tab: usize, room: usize },
    /// Another name for the person.
    Rename { tab: usize },
    /// Another room on the screen.
    Show { tab: usize, room: usize },
    /// A room off the screen.
    Hide { tab: usize, room: usize },
    /// The oldest failed op again, or forgotten.
    Retry { tab: usize, discard: bool },
    /// The page is loaded again: outbox and knowledge are gone.
    Reload { tab: usize },
    /// The page sleeps for so long: nothing is read, no timer comes.
    Sleep { tab: usize, ms: u64 },
    /// The connection breaks; each end hears of it after so many milliseconds, or only when it
    /// speaks.
    Cut { tab: usize, client_hears: u64, server_hears: u64 },
    /// Nothing gets through in one direction or both, and nobody is told.
    Stall { tab: usize, up: bool, down: bool, ms: u64 },
    /// The client reads at most so many bytes every millisecond.
    Slow { tab: usize, bytes_a_ms: u64, ms: u64 },
    /// The next commit meets this.
    Fault(Fault),
    /// The house dies and stands up again; what was committed is there.
    Crash { down_ms: u64 },
    /// The house stops in an orderly way.
    Drain { down_ms: u64 },
    /// The store is copied.
    Backup,
    /// The house dies, and stands up on the last copy, under new epochs or as the file was.
    Restore { down_ms: u64, new_epochs: bool },
    /// The store answers no reads for so long.
    Unreadable { ms: u64 },
}

/// What a commit may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// It fails for certain.
    Failed,
    /// It happens, and nobody learns of it.
    UnknownStored,
    /// It does not happen, and nobody learns of it.
    UnknownLost,
}

/// How many people there are; each has one tab at least.
pub(crate) const PEOPLE: usize = 3;
/// How many keys are entered by name.
const KEYS: u64 = 3;

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = SeededChance::new(seed ^ 0x504c_414e);
        let tab_count = 3 + index(&mut chance, 3);
        let tabs = (0..tab_count).map(|tab| tab % PEOPLE).collect();
        let quiet = chance.below(4) == 0;
        let step_count = 30 + index(&mut chance, 60);
        let mut at = 0;
        let mut steps = Vec::with_capacity(step_count);
        for _ in 0..step_count {
            at += match chance.below(10) {
                0..=5 => chance.below(20),
                6..=8 => chance.below(400),
                _ => chance.below(6_000),
            };
            steps.push(Step { at, what: what(&mut chance, tab_count, quiet) });
        }
        Self {
            seed,
            tabs,
            latency_ms_max: [2, 40, 400, 2_000][index(&mut chance, 4)],
            socket_bytes_max: [300, 2_000, 16_000, 200_000][index(&mut chance, 4)],
            steps,
        }
    }

    /// The plan without the steps of these places.
    pub(crate) fn without(&self, from: usize, to: usize) -> Self {
        let kept = |at: &usize| *at < from || *at >= to;
        let steps = (0..self.steps.len()).filter(kept).map(|at| self.steps[at].clone()).collect();
        Self { steps, ..self.clone() }
    }

    /// The plan as it is kept: JSON, a step a line.
    pub(crate) fn written(&self) -> String {
        let json = |value: &Step| serde_json::to_string(value).unwrap();
        let steps: Vec<String> = self.steps.iter().map(json).collect();
        let head = serde_json::to_string(&Self { steps: Vec::new(), ..self.clone() }).unwrap();
        let open = head.strip_suffix("]}").unwrap();
        format!("{open}\n{}\n]}}\n", steps.join(",\n"))
    }

    /// Reads a kept plan.
    pub(crate) fn read(text: &str) -> Self {
        serde_json::from_str(text).expect("a plan")
    }
}

/// A place below `count`.
pub(crate) fn index(chance: &mut SeededChance, count: usize) -> usize {
    usize::try_from(chance.below(u64::try_from(count).unwrap())).unwrap()
}

/// Any step; in a quiet plan the house and the networks hold.
fn what(chance: &mut SeededChance, tab_count: usize, quiet: bool) -> What {
    let tab = index(chance, tab_count);
    let room = index(chance, 4);
    match chance.below(if quiet { 70 } else { 100 }) {
        0..=39 => What::Post { tab, room, letters: letters(chance) },
        40..=42 => What::Create { tab },
        43..=48 => What::Enter { tab, key: index(chance, usize::try_from(KEYS).unwrap()) },
        49..=52 => What::Leave { tab, room },
        53..=55 => What::Configure { tab, room },
        56..=57 => What::Rename { tab },
        58..=63 => What::Show { tab, room },
        64..=65 => What::Hide { tab, room },
        66 => What::Retry { tab, discard: chance.below(2) == 0 },
        67..=68 => What::Reload { tab },
        69 => What::Slow { tab, bytes_a_ms: 1 + chance.below(50), ms: chance.below(20_000) },
        70..=77 => {
            What::Cut { tab, client_hears: chance.below(3_000), server_hears: chance.below(40_000) }
        }
        78..=81 => {
            let (up, down) = [(true, true), (true, false), (false, true)][index(chance, 3)];
            What::Stall { tab, up, down, ms: chance.below(50_000) }
        }
        82..=83 => What::Sleep { tab, ms: chance.below(60_000) },
        84..=86 => What::Fault(Fault::Failed),
        87..=88 => What::Fault(Fault::UnknownStored),
        89 => What::Fault(Fault::UnknownLost),
        90..=92 => What::Crash { down_ms: chance.below(8_000) },
        93 => What::Drain { down_ms: chance.below(8_000) },
        94..=95 => What::Backup,
        96..=97 => What::Restore { down_ms: chance.below(8_000), new_epochs: chance.below(3) == 0 },
        _ => What::Unreadable { ms: chance.below(4_000) },
    }
}

/// Mostly a line, at times a page, rarely as much as a message may have.
fn letters(chance: &mut SeededChance) -> usize {
    let most = [30, 30, 30, 30, 300, 300, 3_000, 9_000][index(chance, 8)];
    1 + index(chance, most)
}
