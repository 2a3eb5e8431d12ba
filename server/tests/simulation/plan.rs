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
    /// Older messages than those on the screen.
    Older { tab: usize, room: usize },
    /// A key is pressed in a composer, which holds text or is empty again.
    Typing { tab: usize, room: usize, text: bool },
    /// One of these acts by a plain form, without the tab's connection.
    Form { tab: usize, act: Box<What> },
    /// The last form that was answered again, as it was: who goes back and presses once more.
    Again { tab: usize },
    /// The oldest failed op again, or forgotten.
    Retry { tab: usize, discard: bool },
    /// The page is loaded again: what it knew is gone, and of its outbox all but the messages.
    Reload { tab: usize },
    /// The browser says that it has no network for so long.
    Offline { tab: usize, ms: u64 },
    /// The page is hidden, or shown again.
    Hidden { tab: usize, hidden: bool },
    /// The person does not want to wait for the next try.
    ConnectNow { tab: usize },
    /// From the next socket on the browser is another person's.
    Become { tab: usize, person: usize },
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
    /// It happens so much later, when nobody waits for it any more; until then nothing else does.
    UnknownLate { ms: u64 },
    /// It happens, and takes so long: meanwhile nothing else does.
    Slow { ms: u64 },
}

/// How many people there are; each has one tab at least.
pub(crate) const PEOPLE: usize = 3;
/// No seed has a commit that is later: what nobody asks after must be found before a run is over.
const LATE_MS_MAX: u64 = 20_000;
/// The house gives a commit up after five seconds.
const SLOW_MS_MAX: u64 = 5_000;
/// How many keys are entered by name.
const KEYS: usize = 3;

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = SeededChance::new(seed ^ 0x504c_414e);
        let tab_count = 3 + index(&mut chance, 3);
        let tabs = (0..tab_count).map(|tab| tab % PEOPLE).collect();
        let mood = [Mood::Quiet, Mood::Wild, Mood::Wild, Mood::Wild][index(&mut chance, 4)];
        let mood = if chance.below(32) == 0 { Mood::Flood } else { mood };
        let mood = if chance.below(12) == 0 { Mood::Restless } else { mood };
        let step_count = 30 + index(&mut chance, if mood == Mood::Flood { 200 } else { 60 });
        let mut at = 0;
        let mut steps = Vec::with_capacity(step_count);
        for _ in 0..step_count {
            at += match chance.below(10) {
                _ if mood == Mood::Flood => chance.below(100),
                0..=5 => chance.below(20),
                6..=8 => chance.below(400),
                _ => chance.below(6_000),
            };
            steps.push(Step { at, what: what(&mut chance, tab_count, mood) });
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

/// What kind of run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// The house and the networks hold.
    Quiet,
    /// Anything may happen.
    Wild,
    /// More is written than a tail holds, to readers that are slow.
    Flood,
    /// Everybody joins and leaves the same room again and again, over a house that comes and goes.
    Restless,
}

/// A place below `count`.
pub(crate) fn index(chance: &mut SeededChance, count: usize) -> usize {
    usize::try_from(chance.below(u64::try_from(count).unwrap())).unwrap()
}

/// Any step that fits the mood.
fn what(chance: &mut SeededChance, tab_count: usize, mood: Mood) -> What {
    let tab = index(chance, tab_count);
    let room = index(chance, 4);
    match (mood, chance.below(100)) {
        (Mood::Flood, 0..=89) => What::Post { tab, room: 0, letters: 8_500 },
        (Mood::Flood, 90..=93) => {
            What::Slow { tab, bytes_a_ms: 1 + chance.below(50), ms: chance.below(60_000) }
        }
        (Mood::Flood, 94..=95) => {
            What::Stall { tab, up: false, down: true, ms: chance.below(9_000) }
        }
        (Mood::Restless, 0..=79) => restless(chance, tab, room),
        (Mood::Restless, 80..=91) => {
            What::Cut { tab, client_hears: chance.below(3_000), server_hears: chance.below(9_000) }
        }
        (Mood::Restless, 92..=95) => What::Crash { down_ms: chance.below(1_000) },
        (Mood::Quiet, _) => person(chance, tab, room),
        (Mood::Wild, 0..=69) => person(chance, tab, room),
        (Mood::Wild | Mood::Flood | Mood::Restless, _) => trouble(chance, tab),
    }
}

/// What a person does.
fn person(chance: &mut SeededChance, tab: usize, room: usize) -> What {
    match chance.below(80) {
        0..=36 => What::Post { tab, room, letters: letters(chance) },
        37..=39 => What::Create { tab },
        40..=45 => What::Enter { tab, key: index(chance, KEYS) },
        46..=49 => What::Leave { tab, room },
        50..=52 => What::Configure { tab, room },
        53..=54 => What::Rename { tab },
        55..=60 => What::Show { tab, room },
        61..=62 => What::Hide { tab, room },
        63 => What::Retry { tab, discard: chance.below(2) == 0 },
        64..=65 => What::Older { tab, room },
        66..=67 => What::Typing { tab, room, text: chance.below(3) > 0 },
        68..=69 => What::Reload { tab },
        70 => What::Offline { tab, ms: chance.below(20_000) },
        71 => What::Hidden { tab, hidden: chance.below(2) == 0 },
        72 => What::ConnectNow { tab },
        73 if chance.below(4) == 0 => What::Become { tab, person: index(chance, PEOPLE) },
        74 => What::Again { tab },
        _ => What::Form { tab, act: Box::new(by_form(chance, tab, room)) },
    }
}

/// Coming, going, and saying something in between; most of it by forms, of which a tab does not know.
fn restless(chance: &mut SeededChance, tab: usize, room: usize) -> What {
    match chance.below(10) {
        0..=1 => What::Enter { tab, key: 0 },
        2 => What::Leave { tab, room },
        3..=4 => What::Form { tab, act: Box::new(What::Enter { tab, key: 0 }) },
        5..=6 => What::Form { tab, act: Box::new(What::Leave { tab, room }) },
        7 => What::Show { tab, room },
        _ => What::Post { tab, room, letters: letters(chance) },
    }
}

/// What a person does without a script.
fn by_form(chance: &mut SeededChance, tab: usize, room: usize) -> What {
    match chance.below(8) {
        0..=3 => What::Post { tab, room, letters: letters(chance) },
        4..=5 => What::Enter { tab, key: index(chance, KEYS) },
        6 => What::Leave { tab, room },
        _ => What::Create { tab },
    }
}

/// What befalls networks, the house and the store.
fn trouble(chance: &mut SeededChance, tab: usize) -> What {
    match chance.below(30) {
        0 => What::Slow { tab, bytes_a_ms: 1 + chance.below(50), ms: chance.below(20_000) },
        1..=8 => {
            What::Cut { tab, client_hears: chance.below(3_000), server_hears: chance.below(40_000) }
        }
        9..=12 => {
            let (up, down) = [(true, true), (true, false), (false, true)][index(chance, 3)];
            What::Stall { tab, up, down, ms: chance.below(50_000) }
        }
        13..=14 => What::Sleep { tab, ms: chance.below(60_000) },
        15..=16 => What::Fault(Fault::Failed),
        17 => What::Fault(Fault::Slow { ms: chance.below(SLOW_MS_MAX) }),
        18..=19 => What::Fault(Fault::UnknownStored),
        20 if chance.below(2) == 0 => What::Fault(Fault::UnknownLost),
        20 => What::Fault(Fault::UnknownLate { ms: chance.below(LATE_MS_MAX) }),
        21..=22 => What::Crash { down_ms: chance.below(8_000) },
        23 => What::Drain { down_ms: chance.below(8_000) },
        24..=25 => What::Backup,
        26..=27 => What::Restore { down_ms: chance.below(8_000), new_epochs: chance.below(3) == 0 },
        _ => What::Unreadable { ms: chance.below(4_000) },
    }
}

/// Mostly a line, at times a page, rarely as much as a message may have.
fn letters(chance: &mut SeededChance) -> usize {
    let most = [30, 30, 30, 30, 300, 300, 3_000, 9_000][index(chance, 8)];
    1 + index(chance, most)
}
