//! Power cuts: all that the built binary does to its folder is recorded, and the disk is made as it
//! could be after a cut at any moment; every such image must hold what was answered or shown before.
//!
//! `power/trace` reads the record, `power/disk` says what a cut leaves. `WASMCHANNEL_IMAGES` says how
//! many are made of one record. That the images have teeth is tried by the same record without its
//! flushes, and by a writer that does not flush.

mod disk;
mod trace;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use server::clock::{Chance, Clock, SeededChance, SystemClock};
use server::history::judge::Rules;
use server::history::sql::SqlHistory;
use tempfile::TempDir;
use tokio::runtime::Handle;

use self::disk::{Disk, Rest};
use self::trace::{Call, Record, Traced};
use crate::company::Company;
use crate::house::House;
use crate::journal::Journal;
use crate::stores::{self, Place};
use crate::tab::{Seen, now_us};
use crate::{asked, seed};

/// Messages that are accepted before the cut: hundreds of commits, and more than one checkpoint.
const ACCEPTED_MIN: u64 = 1_500;
/// The house itself opens one of so many images, and all of those in which nothing is known yet.
const OPENED_EVERY: usize = 25;
/// Where memory is a file system, images are made there.
const MEMORY: &str = "/dev/shm";
/// Faults that are told one by one.
const FAULTS_TOLD: usize = 5;
/// For the writer that is recorded by itself.
const FOLDER: &str = "WASMCHANNEL_TEST_FOLDER";
const SYNCHRONOUS: &str = "WASMCHANNEL_TEST_SYNCHRONOUS";

/// What somebody knows since a moment: an event of the lobby, by its id or by its op.
struct Known {
    at_us: u128,
    seq: u64,
    op_id: Option<[u8; 16]>,
    id: Option<[u8; 16]>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_at_any_moment_leaves_all_that_was_answered_or_shown() {
    let (count, seed) = (asked("WASMCHANNEL_IMAGES", 1_000), seed());
    let mut chance = SeededChance::new(seed);
    let mut house = House::build(Place::file());
    let record = house.place.folder.path().join("record");
    house.put_under(trace::recording(&record));
    house.start();
    house.ready(Duration::from_secs(60)).await;
    let company = Company::gather(house.address, &mut chance).await;
    let enough = |seen: &Seen| seen.accepted.load(Ordering::Relaxed) > ACCEPTED_MIN;
    company.until("messages are accepted", Duration::from_secs(120), enough).await;
    house.kill();
    let known = known(&company.leave().await);
    let record = trace::read(&whole(&record), &house.place.data);
    replayed_is_real(&record, &house.place.data);
    let traced = record.traced;

    let faults = cut(&traced, count, &mut chance, |image| holds(image, &known));
    let flushes = traced.iter().filter(|traced| is_flush(traced)).count();
    println!(
        "images {count}, seed {seed}: {} calls, {flushes} flushes, {} events known, {} lost or \
         damaged",
        traced.len(),
        known.len(),
        faults.len()
    );
    let told = &faults[..faults.len().min(FAULTS_TOLD)];
    assert!(told.is_empty(), "I1: lost by a power cut: {told:#?}");

    let unflushed: Vec<Traced> =
        traced.into_iter().filter(|traced| !is_flush(traced) || is_early(traced, &known)).collect();
    let faults = cut(&unflushed, 40, &mut chance, |image| holds(image, &known));
    assert!(faults.len() > 10, "without its flushes {} of 40 lost something", faults.len());
}

/// What a cut left.
struct Image<'a> {
    number: usize,
    folder: &'a Path,
    /// When the power was cut.
    at_us: u128,
}

/// Cuts the power so many times, and gives what is wrong with what is left.
fn cut(
    traced: &[Traced],
    count: u64,
    chance: &mut SeededChance,
    mut judge: impl FnMut(&Image<'_>) -> Result<(), String>,
) -> Vec<String> {
    let (images, mut disk, mut done) = (image_folder(), Disk::default(), 0);
    let (folder, mut faults) = (images.path().join("image"), Vec::new());
    for (number, cut) in cuts(traced.len(), count, chance).into_iter().enumerate() {
        traced[done..cut].iter().for_each(|traced| disk.apply(&traced.call));
        done = cut;
        let rest = Rest::ALL[number % Rest::ALL.len()];
        disk.image(&folder, rest, chance);
        let at_us = traced.get(cut).map_or(u128::MAX, |next| next.at_us);
        if let Err(fault) = judge(&Image { number, folder: &folder, at_us }) {
            faults.push(format!("call {cut} of {}, {rest:?}: {fault}", traced.len()));
        }
    }
    faults
}

/// Whether an image of the house's folder holds all that was known by then.
fn holds(image: &Image<'_>, known: &[Known]) -> Result<(), String> {
    let known = &known[..known.partition_point(|known| known.at_us < image.at_us)];
    if image.number.is_multiple_of(OPENED_EVERY) || known.is_empty() {
        let opening = || Handle::current().block_on(opens(image.folder));
        tokio::task::block_in_place(opening);
    }
    judge(image.folder, known)
}

const fn is_flush(traced: &Traced) -> bool {
    matches!(traced.call, Call::FlushBegins { .. } | Call::FlushEnds { .. })
}

/// Before anything was known: what opens the file at all.
fn is_early(traced: &Traced, known: &[Known]) -> bool {
    known.first().is_none_or(|first| traced.at_us < first.at_us)
}

/// After how many calls the power is cut, in their order.
fn cuts(calls: usize, count: u64, chance: &mut SeededChance) -> Vec<usize> {
    let calls = u64::try_from(calls).unwrap();
    let mut cuts: Vec<u64> = (0..count).map(|_| chance.below(calls + 1)).collect();
    cuts.sort_unstable();
    cuts.into_iter().map(|cut| usize::try_from(cut).unwrap()).collect()
}

/// What everybody together knows, in the order in which it came to be known first.
fn known(journals: &[Journal]) -> Vec<Known> {
    let mut first: BTreeMap<(u64, bool), Known> = BTreeMap::new();
    let mut learn = |known: Known| {
        let old = first.entry((known.seq, known.id.is_some())).or_insert(Known { ..known });
        old.at_us = old.at_us.min(known.at_us);
    };
    for journal in journals {
        for (op_id, accepted) in &journal.accepted {
            let (at_us, seq) = (accepted.at_us, accepted.seq);
            learn(Known { at_us, seq, op_id: Some(op_id.bytes()), id: None });
        }
        for shown in &journal.shown {
            let (at_us, seq) = (shown.at_us, shown.seq);
            learn(Known { at_us, seq, op_id: None, id: Some(shown.id.bytes()) });
        }
    }
    let mut known: Vec<Known> = first.into_values().collect();
    known.sort_by_key(|known| known.at_us);
    known
}

/// The record, once its last line is written: the end of the process.
fn whole(record: &Path) -> Vec<u8> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let bytes = std::fs::read(record).unwrap();
        let first = bytes.split(|byte| *byte == b' ').next().unwrap().to_vec();
        let end = bytes[bytes.len().saturating_sub(400)..].to_vec();
        let end = String::from_utf8_lossy(&end).into_owned();
        let ours = String::from_utf8(first).unwrap();
        if end.lines().any(|line| line.starts_with(&ours) && line.contains("+++ ")) {
            return bytes;
        }
        assert!(Instant::now() < deadline, "the record does not end: {end}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Without a cut the replay makes the very files that are there: no call was missed. What was under
/// way at the kill may be done, or not, or in part.
fn replayed_is_real(record: &Record, data: &Path) {
    let (images, mut disk) = (image_folder(), Disk::default());
    let [without, with] = ["without", "with"].map(|name| images.path().join(name));
    record.traced.iter().for_each(|traced| disk.apply(&traced.call));
    disk.image(&without, Rest::Everything, &mut SeededChance::new(0));
    record.in_doubt.iter().for_each(|call| disk.apply(call));
    disk.image(&with, Rest::Everything, &mut SeededChance::new(0));
    for file in std::fs::read_dir(data).unwrap() {
        let name = file.unwrap().file_name();
        if !name.to_string_lossy().ends_with("-shm") {
            let read = |folder: &Path| std::fs::read(folder.join(&name)).unwrap_or_default();
            let is_real = is_between(&read(data), &read(&without), &read(&with));
            assert!(is_real, "{name:?} was changed past the record");
        }
    }
}

/// Whether each byte is that of one of these, and the length not beyond them.
fn is_between(real: &[u8], without: &[u8], with: &[u8]) -> bool {
    let least = without.len().min(with.len());
    let known = |(place, byte)| without.get(place) == Some(byte) || with.get(place) == Some(byte);
    real == without || (real.len() >= least && real.iter().enumerate().all(known))
}

#[test]
fn a_file_is_between_what_it_was_and_what_it_was_about_to_be() {
    assert!(is_between(b"ab", b"ab", b"ab"));
    assert!(is_between(b"aBc", b"abc", b"aBCd"));
    assert!(!is_between(b"axc", b"abc", b"aBCd"));
    assert!(!is_between(b"ab", b"abc", b"aBCd"));
    assert!(!is_between(b"abcde", b"abc", b"aBCd"));
}

fn image_folder() -> TempDir {
    let place = Some(PathBuf::from(MEMORY)).filter(|memory| memory.is_dir());
    tempfile::tempdir_in(place.unwrap_or_else(std::env::temp_dir)).unwrap()
}

/// The house's own store opens what is left, whatever it is.
async fn opens(image: &Path) {
    let db = stores::open(image, None).await.expect("I22: it does not open");
    let (db, now) = (Arc::new(db), SystemClock.unix_ms());
    let rules = Rules { text_chars_max: 10_000, rooms_max: 1_000 };
    SqlHistory::open(Arc::clone(&db), rules, &mut SeededChance::new(1), now).await.unwrap();
    db.close().await;
}

/// A stored event: its number, its id, its op.
struct Row(i64, [u8; 16], [u8; 16]);

/// Holds an image against what is known.
fn judge(image: &Path, known: &[Known]) -> Result<(), String> {
    let told = |fault: rusqlite::Error| fault.to_string();
    let file = Connection::open(image.join("wasmchannel.db")).map_err(told)?;
    let sound: String =
        file.query_row("pragma integrity_check", [], |row| row.get(0)).map_err(told)?;
    if sound != "ok" {
        return Err(format!("I22: {sound}"));
    }
    if known.is_empty() {
        return Ok(());
    }
    let text = "select seq, id, op_id from events where log_id = \
        (select id from rooms where key = 'lobby') order by seq";
    let mut query = file.prepare(text).map_err(told)?;
    let rows = query.query_map([], |row| Ok(Row(row.get(0)?, row.get(1)?, row.get(2)?)));
    let rows: Vec<Row> = rows.and_then(Iterator::collect).map_err(told)?;
    if let Some((row, _)) = rows.iter().zip(1..).find(|(row, place)| row.0 != *place) {
        return Err(format!("I3: a hole before {}", row.0));
    }
    for Known { seq, op_id, id, .. } in known {
        let row = usize::try_from(seq - 1).ok().and_then(|place| rows.get(place));
        let Some(Row(_, stored_id, stored_op)) = row else {
            return Err(format!("I1: {seq} is not there, the last is {}", rows.len()));
        };
        if id.is_some_and(|id| id != *stored_id) || op_id.is_some_and(|op| op != *stored_op) {
            return Err(format!("I4: {seq} is another event"));
        }
    }
    Ok(())
}

#[test]
fn the_images_find_out_a_store_that_does_not_flush() {
    let lost = lost_by("normal");
    assert!(lost > 12, "{lost} of 120 images lost something");
    assert_eq!(lost_by("full"), 0);
}

/// Records a writer of this test program, and counts the images in which something is missing.
fn lost_by(synchronous: &str) -> usize {
    let (folder, mut chance) = (tempfile::tempdir().unwrap(), SeededChance::new(1));
    let (record, data) = (folder.path().join("record"), folder.path().join("data"));
    std::fs::create_dir(&data).unwrap();
    let mut words = trace::recording(&record);
    words.push(std::env::current_exe().unwrap().into());
    let mut command = Command::new(words.remove(0));
    command.args(words).args(["--exact", "power::the_writer_that_is_recorded"]);
    command.args(["--ignored", "--nocapture"]);
    let child = command.env(FOLDER, &data).env(SYNCHRONOUS, synchronous).stdout(Stdio::piped());
    let mut child = child.spawn().expect("strace is there");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<(u128, i64)> = lines
        .filter_map(|line| {
            let (at_us, number) = line.strip_prefix("wrote ")?.split_once(' ')?;
            Some((at_us.parse().unwrap(), number.parse().unwrap()))
        })
        .collect();
    assert!(child.wait().unwrap().success());
    assert_eq!(said.len(), 120);
    let traced = trace::read(&whole(&record), &data).traced;
    let lost = cut(&traced, 120, &mut chance, |image| {
        let is_known = |(at_us, _): &&(u128, i64)| *at_us < image.at_us;
        let last = said.iter().rfind(is_known).map_or(0, |(_, number)| *number);
        let file = Connection::open(image.folder.join("said.db")).unwrap();
        let query = "select coalesce(max(number), 0) from said";
        let stored: i64 = file.query_row(query, [], |row| row.get(0)).unwrap_or(0);
        if stored < last { Err(format!("{stored} of {last}")) } else { Ok(()) }
    });
    lost.len()
}

#[test]
#[ignore = "runs only as the child of the test above"]
fn the_writer_that_is_recorded() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let file = Connection::open(Path::new(&folder).join("said.db")).unwrap();
    file.pragma_update(None, "journal_mode", "wal").unwrap();
    file.pragma_update(None, "synchronous", std::env::var(SYNCHRONOUS).unwrap()).unwrap();
    file.execute_batch("create table said(number integer primary key)").unwrap();
    for number in 1..=120 {
        file.execute("insert into said values (?1)", [number]).unwrap();
        println!("wrote {} {number}", now_us());
    }
}
