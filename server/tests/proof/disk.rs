//! A disk that fails: it is full for a while, or answers a flush or a write with an error.
//!
//! A full disk refuses and lets read, and is written again by itself once there is room. After a
//! failed flush, a commit's or that of the log which is folded into the database, nobody knows what is
//! on the disk: the process ends with 70, and what a supervisor starts after it finds all that was
//! accepted. `WASMCHANNEL_FAULTS` says how many errors are tried.

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
/// How long a flush takes that fails once its commit was given up, which is after 5 s.
const FAILS_AFTER: Duration = Duration::from_millis(6_500);
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
async fn a_log_that_cannot_be_folded_in_ends_the_process_and_nothing_is_lost() {
    let seed = seed();
    let mut chance = SeededChance::new(seed);
    let mut house = House::open_in(Place::file()).await;
    let company = Company::gather(house.address, &mut chance).await;
    let data = house.place.data.join("wasmchannel.db");
    let calls = ["fsync,fdatasync", "pwrite64", "fsync,fdatasync"];
    let mut life = 0;
    for (calls, is_at_end) in calls.into_iter().zip([false, false, true]) {
        house.kill();
        house.put_under(strace(&data, &format!("inject={calls}:error=EIO")));
        house.start();
        house.ready(Duration::from_secs(20)).await;
        if is_at_end {
            house.signal("TERM");
        } else {
            company.come_back(life + 1);
        }
        let status = house.ended(Duration::from_secs(30)).await;
        assert_eq!(status.code(), Some(DISK_FAILED), "{}", house.last_words());
        assert!(house.said().contains("could not be folded"), "{}", house.last_words());
        let log = house.place.data.join("wasmchannel.db-wal").metadata().map(|log| log.len());
        assert!(log.is_ok_and(|length| length > 0), "the log is left for who opens it next");

        house.put_under(Vec::new());
        house.start();
        house.ready(Duration::from_secs(5)).await;
        life += 2;
        company.come_back(life);
        let before = accepted(&company.seen);
        let goes_on = |seen: &Seen| accepted(seen) > before + 50;
        company.until("messages again", Duration::from_secs(10), goes_on).await;
    }
    assert!(house.said().contains("stopping"), "once it was told to");
    let totals = company.part(&mut house).await;
    println!("foldings {}, seed {seed}: {totals}, ended with 70 each time", calls.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_once_it_was_given_up_ends_the_process_too() {
    let seed = seed();
    let mut chance = SeededChance::new(seed);
    let mut house = House::open_in(Place::file()).await;
    let company = Company::gather(house.address, &mut chance).await;
    house.kill();
    let late = format!("error=EIO:delay_enter={}:when=40", FAILS_AFTER.as_micros());
    let log = house.place.data.join("wasmchannel.db-wal");
    house.put_under(strace(&log, &format!("inject=fsync,fdatasync:{late}")));
    house.start();
    house.ready(Duration::from_secs(20)).await;
    company.come_back(1);
    let given_up = || house.said().matches("whether a batch is stored is not known").count();
    company.until("a commit is given up", Duration::from_secs(20), |_| given_up() > 0).await;
    assert!(!house.has_ended(), "nothing has failed yet: {}", house.last_words());
    let status = house.ended(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(DISK_FAILED), "{}", house.last_words());

    house.put_under(Vec::new());
    house.start();
    house.ready(Duration::from_secs(5)).await;
    company.come_back(2);
    let before = accepted(&company.seen);
    let goes_on = |seen: &Seen| accepted(seen) > before + 50;
    company.until("messages again", Duration::from_secs(10), goes_on).await;
    let totals = company.part(&mut house).await;
    println!("late 1, seed {seed}: {totals}, ended with 70 behind its time");
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

/// Words under which a flush or a write of the log fails, well behind the start.
fn failing(chance: &mut SeededChance, data: &Path) -> Vec<OsString> {
    let inject = if chance.below(3) < 2 {
        format!("inject=fsync,fdatasync:error=EIO:when={}", 40 + chance.below(100))
    } else {
        format!("inject=pwrite64:error=EIO:when={}", 300 + chance.below(1_000))
    };
    strace(&data.join("wasmchannel.db-wal"), &inject)
}

/// Words under which calls on this file are harmed.
fn strace(file: &Path, inject: &str) -> Vec<OsString> {
    let words = ["strace", "-D", "-f", "-qq", "-e", "trace=fsync,fdatasync,pwrite64", "-e", inject];
    let words = words.into_iter().map(OsString::from);
    words.chain(["-o".into(), "/dev/null".into(), "-P".into(), file.into()]).collect()
}
