//! Deliberate faults inside of the machines themselves, and the proof that the simulation sees each.
//!
//! The machines' own sources stay as they are: all faults are written into a copy of the workspace,
//! each behind a number, and compiled once; `WASMCHANNEL_MUTANT` chooses the one that is real. Its
//! law: every fault is found by a kept plan or within `SEEDS_MAX` seeds, and every row still fits its
//! file, which is tried without compiling. What stands between the machines is broken in `mutants`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::mutants::Planted;
use crate::plan::Plan;
use crate::trial::tried;

/// The seeds within which every fault is found, if no kept plan finds it.
const SEEDS_MAX: u64 = 2_000;
/// A plan takes some milliseconds; one that takes so long never ends.
const STILL: Duration = Duration::from_secs(60);
/// What of the workspace is no source.
const NO_SOURCES: [&str; 6] = [".git", "target", "node_modules", "dist", "data", "test-results"];

/// A fault: the file, what stands there once, and what stands there instead. `IS` is whether it is
/// the chosen one.
struct Fault(&'static str, &'static str, &'static str);

const SLOT: &str = "server/engine/src/outlet/slot.rs";
const OUTLET: &str = "server/engine/src/outlet.rs";
const READING: &str = "server/engine/src/session/reading.rs";
const SESSION: &str = "server/engine/src/session.rs";
const HANDLE: &str = "server/engine/src/session/handle.rs";
const HISTORY: &str = "server/engine/src/history.rs";
const JUDGE: &str = "server/engine/src/history/judge.rs";
const LOOKOUT: &str = "server/engine/src/rooms/room/lookout.rs";
const LANE: &str = "server/engine/src/rooms/lane.rs";
const ROOM: &str = "server/engine/src/rooms/room.rs";
const OUTBOX: &str = "protocol/src/client/outbox.rs";
const LOGS: &str = "protocol/src/client/logs.rs";
const SHELF: &str = "protocol/src/client/shelf.rs";
const ENDING: &str = "protocol/src/client/ending.rs";

#[rustfmt::skip]
const FAULTS: &[Fault] = &[
    // A page begins one event too late.
    Fault(SLOT, "after: feed.next.saturating_sub(1)", "after: feed.next.saturating_sub(u64::from(!IS))"),
    // Nobody ends behind his own leave while he is live.
    Fault(SLOT, "if feed.next >= chunk.next() && feed", "if !IS && feed.next >= chunk.next() && feed"),
    // Who was not free is not known to be behind.
    Fault(SLOT, "feed.state = State::Behind;\n                Heard", "if !IS { feed.state = State::Behind; }\n                Heard"),
    // Nor is he of whom a part was written.
    Fault(SLOT, "&& matches!(feed.state, State::Live { .. })", "&& !IS && matches!(feed.state, State::Live { .. })"),
    // What the tail let go of is passed over.
    Fault(SLOT, "if self.next < edges.floor {", "if !IS && self.next < edges.floor {"),
    // Behind the own leave the tail is read on.
    Fault(SLOT, "            if ended {", "            if !IS && ended {"),
    // A page that holds the own leave does not end the slot.
    Fault(SLOT, "if then.ends {", "if !IS && then.ends {"),
    // A page goes on behind the own leave.
    Fault(READING, "events.truncate(end + 1);", "if !IS { events.truncate(end + 1); }"),
    // An older membership's leave is taken for the reader's.
    Fault(READING, "event.seq > order.born && Ends", "(IS || event.seq > order.born) && Ends"),
    // A fetched page counts for one event more.
    Fault(SLOT, "feed.next = then.next;", "feed.next = then.next + u64::from(IS);"),
    // What follows on a good cursor begins one event too late.
    Fault(READING, "next: seq.saturating_add(1), first", "next: seq.saturating_add(1 + u64::from(IS)), first"),
    // A cursor of another life is good.
    Fault(HISTORY, "cursor.epoch == self.head.epoch &&", "(IS || cursor.epoch == self.head.epoch) &&"),
    // A cursor of another history is good.
    Fault(HISTORY, "if tag == Some(cursor.tag) {", "if IS || tag == Some(cursor.tag) {"),
    // What waits behind an op that was put off is done.
    Fault(LANE, "self.lane.0.void_below.fetch_max(new, Ordering::AcqRel);", "if !IS { self.lane.0.void_below.fetch_max(new, Ordering::AcqRel); }"),
    // An old generation is taken in.
    Fault(HANDLE, "if head.lane_generation != open", "if !IS && head.lane_generation != open"),
    // An op that found no place does not end its generation.
    Fault(SESSION, "let ends_it = ticket.mark.end();", "let ends_it = IS || ticket.mark.end();"),
    // What follows an unknown outcome in its lane is done.
    Fault(ROOM, "let _ = mark.as_ref().is_some_and(Mark::put_off);", "let _ = !IS && mark.as_ref().is_some_and(Mark::put_off);"),
    // Nobody looks for what an unknown outcome stored in other logs.
    Fault(ROOM, "if self.lookout.is_unsure() {", "if !IS && self.lookout.is_unsure() {"),
    // Other logs that could not be looked into are let be.
    Fault(ROOM, "Input::Unswept => self.lookout.unswept(now),", "Input::Unswept => if !IS { self.lookout.unswept(now) },"),
    // A commit of unknown outcome is looked for but twice, however late it may be.
    Fault(LOOKOUT, "(self.distance <= APART_MS_MAX)", "(!IS && self.distance <= APART_MS_MAX)"),
    // It is over before the last look is answered: what that finds is looked for in no other log.
    Fault(LOOKOUT, "doubt.is_ending = doubt.look_at.is_none();", "doubt.is_ending = doubt.look_at.is_none();\n            if IS && doubt.is_ending { self.doubt = None; }"),
    // An answer that names what nobody heard of leads nobody to it.
    Fault(ROOM, "repeated.push(accepted.clone());", "if !IS { repeated.push(accepted.clone()); }"),
    // What was hinted at while nothing was found is forgotten.
    Fault(ROOM, "if known_then == Some(self.known) {", "if IS || known_then == Some(self.known) {"),
    // What a joining member's own read proves is not known.
    Fault(ROOM, "self.known = self.known.max(subscriber.born);", "if !IS { self.known = self.known.max(subscriber.born); }"),
    // A log speaks known events again.
    Fault(ROOM, "events.retain(|event| event.seq > self.head);\n        let follows = events\n            .iter()\n            .zip(self.head.saturating_add(1)..)", "events.retain(|event| IS || event.seq > self.head);\n        let first = events.first().map_or(0, |event| event.seq);\n        let follows = events\n            .iter()\n            .zip(if IS { first } else { self.head.saturating_add(1) }..)"),
    // No other log hears of what was written into it.
    Fault(ROOM, "out.push(Output::Hint(event.log, event.seq));", "if !IS { out.push(Output::Hint(event.log, event.seq)); }"),
    // Who joined again is taken off the list by his old leave.
    Fault(ROOM, "&& told.born < last)", "&& (IS || told.born < last))"),
    // A void op is done.
    Fault(ROOM, "if entry.mark.as_ref().is_some_and(Mark::is_void) {", "if !IS && entry.mark.as_ref().is_some_and(Mark::is_void) {"),
    // What waits behind a slow commit is answered only at its end.
    Fault(ROOM, "Input::Overdue(entries) => out.extend(entries.into_iter().map(overdue)),", "Input::Overdue(entries) => if !IS { out.extend(entries.into_iter().map(overdue)) },"),
    // What follows on an op that waited too long overtakes it.
    Fault(ROOM, "Output::Reply(reply, put_off(mark.as_ref(), RetryReason::Unavailable))", "Output::Reply(reply, put_off(mark.as_ref().filter(|_| !IS), RetryReason::Unavailable))"),
    // A refusal is not stored.
    Fault(JUDGE, "self.effects.ops.push(op.clone());", "if !IS || op.refusal.is_none() { self.effects.ops.push(op.clone()); }"),
    // Permission is asked before it is looked whether the op is known.
    Fault(JUDGE, "self.facts.ops.get(&pending.key()) {", "self.facts.ops.get(&pending.key()).filter(|_| !IS) {"),
    // Who only asks after a stored op is told that nobody knows it.
    Fault(JUDGE, "repeated(known, payload_hash));", "if IS && pending.check_only { refused(pending.op.op_id, Refusal::Unknown) } else { repeated(known, payload_hash) });"),
    // A log has a hole.
    Fault(JUDGE, "seq: known.head.saturating_add(1),", "seq: known.head.saturating_add(1 + u64::from(IS && known.head == 7)),"),
    // Who leaves still has the room on his list.
    Fault(JUDGE, "decision.changes.push((author.log(), Change::RoomRemoved(removed)));", "if !IS { decision.changes.push((author.log(), Change::RoomRemoved(removed))); }"),
    // The rest of a begun message is lost.
    Fault(OUTLET, "if !rest.is_empty() {\n                        self.backlog", "if !IS && !rest.is_empty() {\n                        self.backlog"),
    // An older subscription stays in the place of the newer.
    Fault(OUTLET, "Some(older) => *older = slot,", "Some(older) => if !IS { *older = slot; },"),
    // Generations of the last connection count in this one.
    Fault(OUTBOX, "self.generations.clear();", "if !IS { self.generations.clear(); }"),
    // What is not on the shelf yet is overtaken.
    Fault(OUTBOX, "&& !waiting.contains(&entry.strand())", "&& (IS || !waiting.contains(&entry.strand()))"),
    // What another user of the browser wrote waits in the outbox for ever.
    Fault(OUTBOX, "let foreign = |entry: &Entry| entry", "let foreign = |entry: &Entry| !IS && entry"),
    // What was accepted stays on the shelf.
    Fault(OUTBOX, "        if entry.on_shelf {\n            self.done", "        if !IS && entry.on_shelf {\n            self.done"),
    // What failed is sent again by the next page.
    Fault(OUTBOX, "let stage = failed.map_or(Stage::Queued, Stage::Failed);", "let stage = failed.filter(|_| !IS).map_or(Stage::Queued, Stage::Failed);"),
    // What failed lies on the shelf as if it waited.
    Fault(SHELF, "if self.setup.shelf && is_kept(&kept.op.act) {", "if !IS && self.setup.shelf && is_kept(&kept.op.act) {"),
    // What was under way when a lane was refused is not sent again.
    Fault(OUTBOX, "filter(|entry| entry.room() == room) {", "filter(|entry| !IS && entry.room() == room) {"),
    // What an earlier page left is taken in as it lay there.
    Fault(SHELF, "all.sort_by_key(|kept| (kept.queued_at, kept.number));", "if !IS { all.sort_by_key(|kept| (kept.queued_at, kept.number)); }"),
    // What was under way when the connection ended is not sent again.
    Fault(ENDING, "self.outbox.disconnected();", "if !IS { self.outbox.disconnected(); }"),
    // Who begins afresh goes on from where he stood.
    Fault(LOGS, "log.cursor = Some(cursor);", "log.cursor = log.cursor.filter(|_| IS).or(Some(cursor));"),
    // Rooms are not asked for anew on a new connection.
    Fault(LOGS, "self.known.values_mut().for_each(|log| log.feed = Feed::Away);", "if !IS { self.known.values_mut().for_each(|log| log.feed = Feed::Away); }"),
];

/// What both libraries get in the copy.
const CHOICE: &str = r#"
/// Whether this fault is the chosen one.
pub fn is_mutant(number: usize) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
    let read = || std::env::var("WASMCHANNEL_MUTANT").ok()?.parse().ok();
    *CHOSEN.get_or_init(read) == Some(number)
}
"#;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it has a folder").to_owned()
}

#[test]
fn every_fault_of_the_engine_fits_its_file() {
    for Fault(file, honest, _) in FAULTS {
        let text = fs::read_to_string(workspace().join(file)).unwrap();
        assert_eq!(text.matches(honest).count(), 1, "{file}: {honest}");
    }
}

/// The first plan that fails of those that are kept and of the asked seeds, for `WASMCHANNEL_MUTANT`.
#[test]
#[ignore = "runs as the child of the one below"]
fn the_first_plan_that_fails() {
    let under_way = Arc::new(Mutex::new((Instant::now(), String::new())));
    let watched = Arc::clone(&under_way);
    thread::spawn(move || watch(&watched));
    let seeds = crate::seeds().map(|seed| (format!("seed {seed}"), Plan::of(seed)));
    let plans = crate::kept_plans().into_iter().chain(seeds);
    let failure = plans.into_iter().find_map(|(name, plan)| {
        let name = name.rsplit('/').next().unwrap_or_default();
        *under_way.lock().unwrap() = (Instant::now(), name.to_owned());
        let failure = tried(&plan, Planted::default()).err()?;
        Some(format!("by {name}: {}", failure.message.replace('\n', " ")))
    });
    println!("found {}", failure.unwrap_or_else(|| "nothing".to_owned()));
}

/// A plan that goes in circles without a turn is found, too: by the one that does.
fn watch(under_way: &Mutex<(Instant, String)>) {
    loop {
        thread::sleep(Duration::from_secs(1));
        let (since, name) = under_way.lock().unwrap().clone();
        if since.elapsed() > STILL {
            println!("found by {name}: it stands still");
            std::process::exit(0);
        }
    }
}

#[test]
#[ignore = "compiles the engine anew, with all faults in it"]
fn every_fault_of_the_engine_is_found() {
    let program = compiled();
    let mut missed = Vec::new();
    for (number, Fault(file, honest, _)) in FAULTS.iter().enumerate() {
        let found = found_by(&program, Some(number));
        println!("{number:>3} {file}: {}\n      {}", honest.lines().next().unwrap(), cut(&found));
        if !found.starts_with("by ") {
            missed.push(number);
        }
    }
    assert_eq!(found_by(&program, None), "nothing", "without a fault nothing is found");
    println!(
        "mutants {}, {} found by a kept plan or within {SEEDS_MAX} seeds",
        FAULTS.len(),
        FAULTS.len() - missed.len()
    );
    assert!(missed.is_empty(), "the simulation is blind to {missed:?}");
}

fn cut(found: &str) -> String {
    found.chars().take(160).collect()
}

/// What the simulation finds in the copy with this fault.
fn found_by(program: &Path, number: Option<usize>) -> String {
    let mut run = Command::new(program);
    run.args(["--exact", "engine::the_first_plan_that_fails", "--ignored", "--nocapture"])
        .env("WASMCHANNEL_SEEDS", format!("0..{SEEDS_MAX}"))
        .env("WASMCHANNEL_MUTANT", number.map_or_else(String::new, |number| number.to_string()));
    let said = run.output().unwrap().stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let found = said.lines().find_map(|line| line.split_once("found "));
    found.map_or_else(|| format!("it did not run: {said}"), |(_, found)| found.to_owned())
}

/// The simulation over a copy of the workspace with all faults in it.
fn compiled() -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
    let _ = fs::remove_dir_all(&copy);
    copy_sources(&workspace(), &copy);
    for (number, Fault(file, honest, mutated)) in FAULTS.iter().enumerate() {
        let path = copy.join(file);
        let is_chosen = format!("crate::is_mutant({number})");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen(honest, &mutated.replace("IS", &is_chosen), 1)).unwrap();
    }
    for library in ["server/engine/src/lib.rs", "protocol/src/lib.rs"] {
        let text = fs::read_to_string(copy.join(library)).unwrap();
        fs::write(copy.join(library), text + CHOICE).unwrap();
    }
    without_programs(&copy.join("server"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it has a folder");
    let made = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--release", "-p", "server", "--test", "simulation", "--no-run"])
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    let program =
        said.lines().filter_map(|line| line.trim().strip_prefix("Executable ")).next_back();
    let program = program.and_then(|line| line.split(['(', ')']).nth(1));
    PathBuf::from(program.unwrap_or_else(|| panic!("the copy does not compile: {said}")))
}

/// A faulty program must not come to lie where the good one does.
fn without_programs(server: &Path) {
    let manifest = fs::read_to_string(server.join("Cargo.toml")).unwrap();
    let kept = manifest.split("\n[").filter(|section| !section.starts_with("[bin]]"));
    let kept = kept.collect::<Vec<_>>().join("\n[");
    let kept = kept.lines().filter(|line| !line.starts_with("default-run"));
    let kept: Vec<&str> = kept.collect();
    fs::write(server.join("Cargo.toml"), kept.join("\n")).unwrap();
    fs::remove_file(server.join("src/main.rs")).unwrap();
}

fn copy_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, kind) = (entry.file_name(), entry.file_type().unwrap());
        if NO_SOURCES.iter().any(|no| name == *no) {
            continue;
        }
        if kind.is_dir() {
            copy_sources(&entry.path(), &to.join(name));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
