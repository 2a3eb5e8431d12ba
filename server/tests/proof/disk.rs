//! A disk that fails: it is full for a while, or answers a flush or a write with an error.
//!
//! A full disk refuses and lets read, and is written again by itself once there is room. After a
//! commit's failed flush nobody knows what is on the disk: the process ends with 70, and what a
//! supervisor starts after it finds all that was accepted. `WASMCHANNEL_FAULTS` says how many errors
//! are tried. What fails where SQLite folds its log into the database is done again by itself.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use server::clock::{Chance, SeededChance};

use crate::company::Company;
use crate::house::House;
use crate::small_disk::SmallDisk;
use crate::stores::Place;
use crate::tab::Seen;
use crate::{asked, seed};

/// What stays free for a moment, so that the house itself fills the disk.
const LEFT: u64 = 300 * 1024;
/// From the moment there is room until something is stored again.
const RECOVERED_MAX: Duration = Duration::from_secs(10);
/// The most that a small disk holds.
const DISK_MAX: u64 = 64 * 1024 * 1024;
/// What the process ends with when its disk failed.
const DISK_FAILED: i32 = 70;

fn accepted(seen: &Seen) -> u64 {
    seen.accepted.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_lets_read_and_recovers_by_itself() {
    let seed = seed();
    let mut chance = SeededChance::new(seed);
    let (place, mib) = (Place::file(), 16 + chance.below(49));
    let Some(small) = SmallDisk::under(&place.data, mib) else {
        println!("disks 0, seed {seed}: NOT TRIED, this user may not mount a small disk");
        return;
    };
    let filler = small.path().join("filler");
    let mut house = House::open_in(place).await;
    let mut company = Company::gather(house.address, &mut chance).await;
    company.until("messages", Duration::from_secs(20), |seen| accepted(seen) > 200).await;

    fill(&filler);
    let is_full = |seen: &Seen| seen.full.load(Ordering::Relaxed) >= 4;
    company.until("everybody is told", Duration::from_secs(20), is_full).await;
    let before = accepted(&company.seen);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let probed = house.answer("/readyz").await;
    assert!(probed.starts_with("HTTP/1.1 200") && probed.contains("degraded: disk"), "{probed}");
    assert!(house.answer("/").await.starts_with("HTTP/1.1 200"), "reading goes on");
    assert_eq!(accepted(&company.seen), before, "I1: it cannot be stored");

    std::fs::remove_file(&filler).unwrap();
    let begun = Instant::now();
    while house.answer("/readyz").await.contains("degraded") {
        assert!(begun.elapsed() < RECOVERED_MAX, "I22: {}", house.last_words());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen = company.welcome(house.address, &mut chance).await;
    while accepted(&seen) == 0 {
        assert!(begun.elapsed() < RECOVERED_MAX, "I22: {}", house.last_words());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = begun.elapsed();
    let totals = company.part(&mut house).await;
    println!(
        "disks 1, seed {seed}: {totals}, {mib} MiB were full, stored again after {} ms",
        took.as_millis()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_ends_the_process_and_nothing_that_was_accepted_is_lost() {
    let (faults, seed) = (asked("WASMCHANNEL_FAULTS", 3), seed());
    let mut chance = SeededChance::new(seed);
    let mut house = House::open_in(Place::file()).await;
    let company = Company::gather(house.address, &mut chance).await;
    company.until("messages", Duration::from_secs(20), |seen| accepted(seen) > 50).await;
    let mut slowest = Duration::ZERO;
    for life in 1..=faults {
        house.kill();
        house.put_under(failing(&mut chance, &house.place.data));
        house.start();
        house.ready(Duration::from_secs(20)).await;
        company.come_back(life * 2);
        let status = house.ended(Duration::from_secs(60)).await;
        assert_eq!(status.code(), Some(DISK_FAILED), "{}", house.last_words());

        house.put_under(Vec::new());
        house.start();
        slowest = slowest.max(house.ready(Duration::from_secs(5)).await);
        company.come_back(life * 2 + 1);
        let before = accepted(&company.seen);
        let goes_on = |seen: &Seen| accepted(seen) > before + 50;
        company.until("messages again", Duration::from_secs(10), goes_on).await;
    }
    let totals = company.part(&mut house).await;
    println!(
        "faults {faults}, seed {seed}: {totals}, ended with 70 each time, ready within {} ms",
        slowest.as_millis()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_while_the_log_is_folded_in_is_not_yet_done_and_loses_nothing() {
    let seed = seed();
    let mut chance = SeededChance::new(seed);
    let mut house = House::open_in(Place::file()).await;
    let company = Company::gather(house.address, &mut chance).await;
    let record = house.place.folder.path().join("record");
    let failed = || std::fs::read_to_string(&record).map_or(0, |it| it.matches("INJECTED").count());
    let mut counts = Vec::new();
    for (life, calls) in (1..).zip(["fsync,fdatasync", "pwrite64"]) {
        let data = house.place.data.join("wasmchannel.db");
        house.kill();
        house.put_under(strace(&record, &data, &format!("inject={calls}:error=EIO")));
        house.start();
        house.ready(Duration::from_secs(20)).await;
        let at_start = failed();
        company.come_back(life * 2);
        company
            .until("a folding that fails", Duration::from_secs(30), |_| failed() > at_start)
            .await;
        let before = accepted(&company.seen);
        let goes_on = |seen: &Seen| accepted(seen) > before + 50;
        company.until("messages behind it", Duration::from_secs(10), goes_on).await;
        counts.push(failed());

        house.kill();
        house.put_under(Vec::new());
        house.start();
        house.ready(Duration::from_secs(5)).await;
        company.come_back(life * 2 + 1);
    }
    let totals = company.part(&mut house).await;
    println!("foldings 2, seed {seed}: {totals}, failed flushes and writes {counts:?}");
}

/// Fills the disk on which this file is but for a little.
fn fill(filler: &Path) {
    let mut file = File::create(filler).unwrap();
    let mut length = 0;
    while file.write_all(&[1; 16 * 1024]).is_ok() {
        length += 16 * 1024;
        assert!(length <= DISK_MAX, "this disk is not small");
    }
    file.set_len(length.saturating_sub(LEFT)).unwrap();
}

/// Words under which flushes or a write of the log fail, well behind the start. Of two flushes one
/// after the other at least one is a commit's: where the log is folded into the database it is flushed
/// too, and what fails there is only not yet done.
fn failing(chance: &mut SeededChance, data: &Path) -> Vec<OsString> {
    let inject = if chance.below(3) < 2 {
        let first = 40 + chance.below(100);
        format!("inject=fsync,fdatasync:error=EIO:when={first}..{}", first + 1)
    } else {
        format!("inject=pwrite64:error=EIO:when={}", 300 + chance.below(1_000))
    };
    strace(Path::new("/dev/null"), &data.join("wasmchannel.db-wal"), &inject)
}

/// Words under which calls on this file are harmed and recorded.
fn strace(record: &Path, file: &Path, inject: &str) -> Vec<OsString> {
    let words = ["strace", "-D", "-f", "-qq", "-e", "trace=fsync,fdatasync,pwrite64", "-e", inject];
    let words = words.into_iter().map(OsString::from);
    words.chain(["-o".into(), record.into(), "-P".into(), file.into()]).collect()
}
