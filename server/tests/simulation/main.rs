//! The seeded simulation: both halves of the protocol, whole and unchanged, in a world of our own.
//!
//! Clients (`protocol::client`) and the house's machines (session, room, outlet, judge over
//! `history/memory.rs`) meet over sockets that are slow, break and lie, while the store fails, dies
//! and is put back to older copies; time and chance are the plan's. `WASMCHANNEL_SEEDS=from..to`
//! chooses the seeds (0..2000 otherwise), which all cores share; a failing one is shrunk to the
//! steps that matter and printed as a plan; `WASMCHANNEL_PLAN=file` shows what happens in one. Plans
//! of the past stand in `corpus/` and come first. That the checks see is tried in `mutants`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends, and says where it stood"
)]

mod engine;
mod house;
mod ledger;
mod link;
mod log;
mod mutants;
mod pages;
mod pipe;
mod plan;
mod report;
mod screen;
mod shelf;
mod store;
mod tab;
mod trial;
mod wire;
mod world;

use std::path::{Path, PathBuf};

use mutants::Planted;
use plan::Plan;
use trial::{Failure, Totals, run_all, tried};
use world::World;

#[test]
fn every_promise_holds_for_every_plan() {
    for (file, plan) in kept_plans() {
        if let Err(Failure { message, .. }) = tried(&plan, Planted::default()) {
            panic!("{file}: {message}");
        }
    }
    let seeds = seeds();
    let totals = run_all(seeds.clone());
    println!("seeds {}..{}: {totals}", seeds.start, seeds.end);
    assert!(totals.failures.is_empty(), "{}", Totals::told(&totals.failures));
    assert!(totals.report.resumed > 0, "no room began by the page of an earlier one");
}

/// `WASMCHANNEL_PLAN=file` runs one kept plan alone and prints what happens in it.
#[test]
fn the_plan_that_is_asked_for_keeps_the_promises() {
    let Ok(file) = std::env::var("WASMCHANNEL_PLAN") else { return };
    let plan = Plan::read(&std::fs::read_to_string(file).expect("the file of a plan"));
    World::new(&plan, Planted::default()).told().run();
}

#[test]
fn the_same_seeds_give_the_same_run() {
    let digest = |seed| tried(&Plan::of(seed), Planted::default()).unwrap().digest;
    let digests = || (0..20).map(digest).collect::<Vec<_>>();
    assert_eq!(digests(), digests());
}

#[test]
fn a_plan_reads_back_as_it_was_written() {
    for seed in 0..50 {
        let plan = Plan::of(seed);
        assert_eq!(Plan::read(&plan.written()), plan);
    }
}

/// The plans that failed once, by the name of their file.
fn kept_plans() -> Vec<(String, Plan)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulation/corpus");
    let files = std::fs::read_dir(corpus).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.display().to_string(), Plan::read(&text))
    };
    paths.into_iter().map(read).collect()
}

/// The seeds that are asked for: `WASMCHANNEL_SEEDS=from..to`.
fn seeds() -> std::ops::Range<u64> {
    let Ok(asked) = std::env::var("WASMCHANNEL_SEEDS") else { return 0..2_000 };
    let (from, to) = asked.split_once("..").expect("WASMCHANNEL_SEEDS=from..to");
    from.parse().expect("a seed")..to.parse().expect("a seed")
}
