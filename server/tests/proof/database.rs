//! A database that is locked, away or dead: nobody is told something wrong, and all goes on by itself.
//!
//! Over SQLite another process (this one) holds the file's lock for a while. Over PostgreSQL, which
//! `tools/postgres` lets a test control, connections are ended, the server crashes and is started
//! again, and its processes are stopped. `WASMCHANNEL_HARMS` says how often each of these is done.

use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use server::clock::{Chance, SeededChance};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::company::Company;
use crate::house::House;
use crate::stores::{Place, database_file};
use crate::tab::Seen;
use crate::{asked, seed};

/// A lock that SQLite waits for, and two for which it does not.
const HELD_SECS: [u64; 3] = [1, 6, 30];
/// The longest wait for a lock, the answer's way, and a busy machine.
const TOLD_MAX: Duration = Duration::from_millis(3_500);
/// From the end of the harm until messages are accepted again.
const RECOVERED_MAX: Duration = Duration::from_secs(5);
/// What the house may hold more while nothing is stored.
const GROWN_MAX: u64 = 32 * 1024 * 1024;
/// Until everybody has left a database that is away for a second: a look, its patience, as long
/// again until the next has ended, and what was under way.
const LEFT_MAX: Duration = Duration::from_secs(20);
/// The program by which a test controls its PostgreSQL.
const CONTROL: &str = "WASMCHANNEL_TEST_POSTGRES_CONTROL";
/// All connections but that which says so: those of the house are by its schema's name.
const END_ALL: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
    where application_name = current_setting('application_name') and pid <> pg_backend_pid()";

/// Takes the lock of the house's own schema, once it is free.
const TAKE: &str =
    "select pg_advisory_lock(hashtextextended(current_schema(), 8602283676910772590))";
/// Ends the connection that has it.
const END_GUARD: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
    where application_name = current_setting('application_name') \
    and pid in (select pid from pg_locks where locktype = 'advisory' and granted)";
/// What the process ends with when its database is another's.
const TAKEN: i32 = 70;

fn accepted(seen: &Seen) -> u64 {
    seen.accepted.load(Ordering::Relaxed)
}

/// Waits until the house is ready and messages are accepted again, after this. People whose sockets
/// were closed would wait up to 30 s by themselves; here they try again at every moment.
async fn recovered(company: &Company, house: &House, what: &str) -> Duration {
    let begun = Instant::now();
    while !house.answer("/readyz").await.starts_with("HTTP/1.1 200") {
        assert!(begun.elapsed() < RECOVERED_MAX * 6, "I22: {what}: {}", house.last_words());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (ready, before) = (begun.elapsed(), accepted(&company.seen));
    for moment in 1.. {
        if accepted(&company.seen) > before {
            break;
        }
        assert!(begun.elapsed() < RECOVERED_MAX * 6, "I22: {what}: {}", house.last_words());
        // Not once: a socket may be closed only after the house is ready again.
        company.come_back(before + moment);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = begun.elapsed();
    let words = house.last_words();
    assert!(took < RECOVERED_MAX, "I22: {what}: ready after {ready:?}, again {took:?}: {words}");
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_process_locks_is_away_in_time_and_back_at_once() {
    let (longest, seed) = (asked("WASMCHANNEL_HELD_SECS", 6), seed());
    let mut chance = SeededChance::new(seed);
    let mut house = House::open_in(Place::file()).await;
    let company = Company::gather(house.address, &mut chance).await;
    company.until("messages", Duration::from_secs(20), |seen| accepted(seen) > 100).await;
    let (mut locks, mut slowest, mut told_max) = (0, Duration::ZERO, Duration::ZERO);
    for held_secs in HELD_SECS.into_iter().filter(|secs| *secs <= longest) {
        let (memory, away) = (house.memory(), company.seen.away.load(Ordering::Relaxed));
        let begun = Instant::now();
        let other = Connection::open(database_file(&house.place.data)).unwrap();
        other.busy_timeout(Duration::from_secs(10)).unwrap();
        other.execute_batch("begin exclusive").unwrap();
        let held = Instant::now();
        if held_secs > 3 {
            let is_told = |seen: &Seen| seen.away.load(Ordering::Relaxed) > away;
            told_max = told_max.max(company.until("they are told", TOLD_MAX, is_told).await);
        }
        tokio::time::sleep(Duration::from_secs(held_secs).saturating_sub(held.elapsed())).await;
        let grown = house.memory().saturating_sub(memory);
        assert!(grown < GROWN_MAX, "I15: {grown} bytes in {:?}", begun.elapsed());
        other.execute_batch("rollback").unwrap();
        drop(other);
        slowest = slowest.max(recovered(&company, &house, "a lock").await);
        locks += 1;
    }
    let totals = company.part(&mut house).await;
    println!(
        "locks {locks}, seed {seed}: {totals}, told after {} ms at most, again within {} ms",
        told_max.as_millis(),
        slowest.as_millis()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_the_database_that_ends_crashes_or_stops_loses_nothing() {
    let Ok(control) = std::env::var(CONTROL) else {
        println!("harms 0: this run is over SQLite");
        return;
    };
    let control = |word: &str| {
        let done = Command::new(&control).arg(word).status().unwrap();
        assert!(done.success(), "{word}");
    };
    let (rounds, seed) = (asked("WASMCHANNEL_HARMS", 1), seed());
    let mut chance = SeededChance::new(seed);
    let mut house = House::open().await;
    let company = Company::gather(house.address, &mut chance).await;
    company.until("messages", Duration::from_secs(20), |seen| accepted(seen) > 100).await;
    let (mut harms, mut slowest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        for _ in 0..3 {
            house.place.write("", END_ALL).await;
            slowest = slowest.max(recovered(&company, &house, "ended connections").await);
            tokio::time::sleep(Duration::from_millis(chance.below(300))).await;
        }
        control("crash");
        tokio::time::sleep(Duration::from_millis(chance.below(2_000))).await;
        control("start");
        slowest = slowest.max(recovered(&company, &house, "a crash").await);
        tokio::time::sleep(Duration::from_millis(chance.below(1_000))).await;
        control("freeze");
        tokio::time::sleep(Duration::from_millis(1_000 + chance.below(7_000))).await;
        control("thaw");
        slowest = slowest.max(recovered(&company, &house, "a stop").await);
        harms += 5;
    }
    let totals = company.part(&mut house).await;
    println!("harms {harms}, seed {seed}: {totals}, again within {} ms", slowest.as_millis());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_another_process_has_taken_ends_this_one_with_70_and_nothing_is_lost() {
    let mut house = House::open().await;
    let Some(url) = house.place.url.clone() else {
        println!("a database that is taken: this run is over SQLite");
        return;
    };
    let mut chance = SeededChance::new(seed());
    let company = Company::gather(house.address, &mut chance).await;
    company.until("messages", Duration::from_secs(20), |seen| accepted(seen) > 100).await;
    // Whoever waits for the lock has it as soon as it is lost; he says that he had it, and goes.
    let mut other = PgConnection::connect(&url).await.unwrap();
    let (taken, ()) = tokio::join!(sqlx::raw_sql(TAKE).execute(&mut other), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        house.place.write("", END_GUARD).await;
    });
    taken.unwrap();
    let begins = sqlx::raw_sql("update tenures set number = number + 1");
    begins.execute(&mut other).await.unwrap();
    let status = house.ended(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(TAKEN), "{}", house.last_words());

    drop(other);
    house.start();
    house.ready(Duration::from_secs(20)).await;
    recovered(&company, &house, "a new start").await;
    println!("taken by another, ended with {TAKEN}: {}", company.part(&mut house).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_for_long_is_left_by_everybody_and_found_again() {
    let Ok(control) = std::env::var(CONTROL) else {
        println!("a database that is away: this run is over SQLite");
        return;
    };
    let control = |word| assert!(Command::new(&control).arg(word).status().unwrap().success());
    let mut chance = SeededChance::new(seed());
    let mut house = House::open_with(&["--limits-away-ms", "1000"]).await;
    let company = Company::gather(house.address, &mut chance).await;
    company.until("messages", Duration::from_secs(20), |seen| accepted(seen) > 100).await;
    control("freeze");
    let begun = Instant::now();
    while !house.answer("/status").await.contains("\"connections\":0") {
        assert!(begun.elapsed() < LEFT_MAX, "2.7: somebody is there: {}", house.last_words());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = begun.elapsed();
    control("thaw");
    recovered(&company, &house, "a long absence").await;
    let totals = company.part(&mut house).await;
    println!("away, left after {} ms: {totals}", took.as_millis());
}
