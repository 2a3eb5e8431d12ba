//! Kills: SIGKILL again and again while people write, and what else ends or stops a process.
//!
//! Seven of ten lives end by SIGKILL between 20 ms and 1.5 s after they were ready; one meets it
//! while it starts, too; one is stopped for a while by SIGSTOP (what was in its sockets waits) and
//! then killed or let go on; one ends by SIGTERM, in order. `WASMCHANNEL_KILLS` says how many.

use std::time::Duration;

use server::clock::{Chance, SeededChance};

use crate::company::Company;
use crate::house::House;
use crate::{asked, seed};

/// A start after a kill that takes longer than this is a failure of its own.
const READY_MAX: Duration = Duration::from_secs(5);
/// What one start, and one more of a hundred, may take longer than: a machine may be busy once.
const READY_SOON: Duration = Duration::from_secs(1);
/// The house says how long it takes to end in order at most.
const END_MAX: Duration = Duration::from_secs(15);

/// How many lives ended in which way.
#[derive(Debug, Default)]
struct Ends {
    killed: u64,
    stopped: u64,
    terminated: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_or_shown_is_lost_doubled_or_moved_by_a_kill() {
    let (kills, seed) = (asked("WASMCHANNEL_KILLS", 20), seed());
    let mut chance = SeededChance::new(seed);
    let mut house = House::open().await;
    let company = Company::gather(house.address, &mut chance).await;
    let (mut starts, mut ends) = (Vec::new(), Ends::default());
    for life in 1..=kills {
        tokio::time::sleep(Duration::from_millis(20 + chance.below(1_480))).await;
        end(&mut house, &mut ends, &mut chance).await;
        house.start();
        starts.push(house.ready(READY_MAX).await);
        company.come_back(life);
    }
    let totals = company.part(&mut house).await;
    starts.sort();
    let p99 = starts[(starts.len() * 99).div_ceil(100).max(1) - 1];
    let Ends { killed, stopped, terminated } = ends;
    println!(
        "kills {kills}, seed {seed}: {}, {killed} killed, {stopped} stopped, {terminated} \
         terminated, ready within {} ms (p99)",
        totals,
        p99.as_millis()
    );
    let slow = starts.iter().filter(|start| **start > READY_SOON).count();
    assert!(slow <= 1 + starts.len() / 100, "I22: {slow} starts took longer, one {p99:?}");
}

/// Ends this life in one of the ways.
async fn end(house: &mut House, ends: &mut Ends, chance: &mut SeededChance) {
    match chance.below(10) {
        0 => {
            house.kill();
            house.start();
            tokio::time::sleep(Duration::from_millis(chance.below(150))).await;
            ends.killed += 1;
        }
        1 => {
            house.signal("STOP");
            tokio::time::sleep(Duration::from_millis(100 + chance.below(2_900))).await;
            if chance.below(2) == 0 {
                house.signal("CONT");
                tokio::time::sleep(Duration::from_millis(chance.below(300))).await;
            }
            ends.stopped += 1;
        }
        2 => {
            house.signal("TERM");
            let status = house.ended(END_MAX).await;
            assert_eq!(status.code(), Some(0), "I22: SIGTERM: {}", house.last_words());
            ends.terminated += 1;
            return;
        }
        _ => ends.killed += 1,
    }
    house.kill();
}
