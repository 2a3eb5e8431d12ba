//! Memory of a connection that is joined and silent, with all that the house keeps for it.
//!
//! Proportional set size of this process before and after, kernel buffers apart. Its law: accounts
//! are made before, half as many connections are there already, so that what lies free or is made
//! once is not counted for or against the others, and what is counted is at rest. Memory that shrank
//! meanwhile says nothing of a connection: then there is no figure, and the measurement has failed.

use std::thread::sleep;
use std::time::Duration;

use crate::house::House;
use crate::readers::Readers;

/// How long the house rests before it is looked at.
const REST: Duration = Duration::from_secs(4);

/// Prints the bytes a connection, and fails where they are more than allowed.
pub(crate) fn measure(sockets: u32, at_most: Option<u64>) {
    let (first, all) = (sockets / 2, sockets / 2 + sockets);
    let house = House::open(all);
    let before_them = Readers::start(house.addr, None, 0..first);
    until_count(&house, first);
    sleep(REST);
    let before = pss_bytes();
    let readers = Readers::start(house.addr, None, first..all);
    until_count(&house, all);
    sleep(REST);
    let grown = pss_bytes().checked_sub(before).expect("memory shrank while connections came");
    let each = grown / u64::from(sockets);
    println!("idle connections: {each} bytes each, of {sockets}, every one another user's");
    drop((readers, before_them));
    if let Some(at_most) = at_most {
        assert!(each <= at_most, "{at_most} bytes is the most it may be");
    }
}

fn until_count(house: &House, sockets: u32) {
    while house.engine.hub.count() != usize::try_from(sockets).unwrap() {
        sleep(Duration::from_millis(10));
    }
}

fn pss_bytes() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
