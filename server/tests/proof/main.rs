//! The proof: the built binary under load, while something that must not matter is done to it.
//!
//! `process` starts and ends the binary, `house` reads its store; `company` are the people before it, each a `tab` (the client's
//! own machine over a real socket) that keeps a `journal`; a story does the harm and lets the
//! journals be held against what is stored. `tools/prove` runs the stories one by one: their short
//! forms in `make test`, their long forms by the seeds that follow. Its law: whatever was answered,
//! and whatever was shown, is judged; nothing is forgiven. What a story prints last is its record.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends, and says where it stood"
)]

mod company;
mod database;
mod disk;
mod house;
mod journal;
mod kill;
mod plug;
mod power;
mod process;
#[path = "../it/site.rs"]
mod site;
#[path = "../storage/small_disk.rs"]
mod small_disk;
#[path = "../storage/stores.rs"]
#[expect(dead_code, reason = "the stories of the store need more of it")]
mod stores;
mod tab;

use server::clock::{Chance, SystemChance};

/// A number that `tools/prove` gives, or what stands for the short form.
fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The seed of this run; without one each is another.
fn seed() -> u64 {
    asked("WASMCHANNEL_PROOF_SEED", SystemChance.number() >> 1)
}
