//! Hostile bytes for everything that reads what strangers send: made by seed, after the shape of honest ones.
//!
//! `mutate` bends honest input and mends what would stop it at the door (lengths, checksums), `frames`
//! tries both sides' decoders and what is stored, `sockets` the reader of WebSocket, `words` paths,
//! keys, names and texts. Its law: no input panics, none takes longer than its bound, and what is
//! taken is understood alike a second time. Each input has a number of its own, so a failure is had
//! again: `WASMCHANNEL_PROOF_SEED` chooses the first four thousand million, `BUDGET_S` the time a
//! target has, `WASMCHANNEL_FUZZ_MAX` how many inputs at most. What is printed is the record.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends, and says where it stood"
)]

mod frames;
mod mutate;
#[path = "../../../protocol/tests/wire/samples.rs"]
#[expect(dead_code, reason = "the wire's own tests need more of it")]
mod samples;
mod sockets;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use server::clock::{Chance, SeededChance};

/// What a target has in `make test`.
const SECONDS: u64 = 2;
/// The longest that one input may take; a debug build checks more, and slowly.
const TIME_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 100 } else { 5 });
/// How often an input that took too long is tried again: the machine has others to serve.
const AGAIN: usize = 5;
/// Inputs between two looks at the clock.
const TURN: u64 = 256;

/// A number from the environment, or what stands for the short form.
fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Gives a target one input after the other. `make` makes one by chance alone; `eat` tells whether
/// it was taken, and panics where it was understood wrongly.
fn fuzz(name: &str, make: impl Fn(&mut SeededChance) -> Vec<u8>, eat: impl Fn(&[u8]) -> bool) {
    let first = asked("WASMCHANNEL_PROOF_SEED", 0) << 32;
    let budget = Duration::from_secs(asked("BUDGET_S", SECONDS));
    let last = first.saturating_add(asked("WASMCHANNEL_FUZZ_MAX", u64::MAX >> 1));
    let (begun, mut taken_count, mut slowest) = (Instant::now(), 0_u64, Duration::ZERO);
    let mut number = first;
    while number < last && begun.elapsed() < budget {
        for number in number..last.min(number + TURN) {
            let input = make(&mut SeededChance::new(number));
            let (taken, took) = tried(name, number, &input, &eat);
            taken_count += u64::from(taken);
            slowest = slowest.max(took);
        }
        number = last.min(number + TURN);
    }
    let count = number - first;
    let each_second = u128::from(count) * 1_000 / begun.elapsed().as_millis().max(1);
    println!(
        "{name} {count}, seed {first}..{number}, {each_second} a second, {} % taken, \
        the slowest in {} ms, 0 panics",
        taken_count * 100 / count.max(1),
        slowest.as_millis(),
    );
    assert!(taken_count > 0, "{name}: nothing was taken, so nothing behind the door was tried");
    assert!(taken_count < count, "{name}: nothing was refused");
}

/// One input; the shortest time of a few tries where the first took too long.
fn tried(name: &str, number: u64, input: &[u8], eat: impl Fn(&[u8]) -> bool) -> (bool, Duration) {
    let timed = || {
        let begun = Instant::now();
        let taken = catch_unwind(AssertUnwindSafe(|| eat(input)));
        (taken.unwrap_or_else(|_| panic!("{name}: input {number}: {input:02x?}")), begun.elapsed())
    };
    let (taken, took) = timed();
    if took <= TIME_MAX {
        return (taken, took);
    }
    let again = (0..AGAIN).map(|_| timed().1).min().unwrap_or(took);
    assert!(again <= TIME_MAX, "{name}: input {number} takes {again:?}: {input:02x?}");
    (taken, again)
}

/// A place below `count`.
fn below(chance: &mut SeededChance, count: usize) -> usize {
    usize::try_from(chance.below(u64::try_from(count).unwrap().max(1))).unwrap()
}
