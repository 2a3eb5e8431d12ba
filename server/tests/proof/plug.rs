//! The plug, pulled by hand: the load of the kills, without anybody who kills.
//!
//! `tools/prove plug` runs it for a person, who ends the server from another terminal as often as he
//! likes, by whatever signal. It is started again each time, and in the end all journals are judged.

use std::time::{Duration, Instant};

use server::clock::SeededChance;

use crate::company::Company;
use crate::house::House;
use crate::{asked, seed};

/// Somebody may stop it, too, and let it go on.
const READY_MAX: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "waits for a person to pull the plug"]
async fn whoever_pulls_the_plug_finds_nothing_missing() {
    let (time, seed) = (Duration::from_secs(asked("WASMCHANNEL_PLUG_SECS", 60)), seed());
    let mut house = House::open().await;
    let company = Company::gather(house.address, &mut SeededChance::new(seed)).await;
    let (begun, mut kills) = (Instant::now(), 0);
    println!("\nfour people write, two read: pull the plug for {} s", time.as_secs());
    println!("kill -9 {}", house.process());
    while begun.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if house.has_ended() {
            kills += 1;
            house.start();
            let took = house.ready(READY_MAX).await;
            company.come_back(kills);
            println!(
                "ended, started again, ready after {} ms\nkill -9 {}",
                took.as_millis(),
                house.process()
            );
        }
    }
    println!("the time is over: leave it now, what was said is held against the file");
    let totals = company.part(&mut house).await;
    println!("kills {kills}, seed {seed}: {totals}; nothing accepted is missing, doubled or moved");
}
