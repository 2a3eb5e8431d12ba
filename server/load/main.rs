//! Load: the built server under floods, slow readers, storms and long use, as `tools/prove` runs it.
//!
//! `load flood|slow|storm|soak [--short] [--budget SECONDS]`, and `load echo`. People are the client's own machines
//! over light sockets, thousands in this process. Its law: a run ends with one line, its figures and
//! what was violated, and with code 1 where anything was; what depends on how busy the machine is
//! is a ratio against the same minutes, and is violated only if it is so again and again.

#![forbid(unsafe_code)]
#![expect(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on ends, and says where it stood"
)]

mod crowd;
mod echo;
mod flood;
mod house;
mod life;
mod person;
#[path = "../tests/proof/process.rs"]
#[expect(dead_code, reason = "the stories of the proof need more of it")]
mod process;
mod report;
#[path = "../tests/it/site.rs"]
mod site;
mod slow;
mod soak;
mod socket;
mod storm;
mod tally;
mod witness;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use report::Form;

/// How often a ratio is tried before it is believed to be broken.
const TURNS: u32 = 3;
const SHORT_SOAK: Duration = Duration::from_secs(40);

#[derive(Parser)]
struct CommandLine {
    what: What,
    /// The form of `make test`
    #[arg(long)]
    short: bool,
    /// Seconds, where that may be chosen
    #[arg(long, default_value_t = 900)]
    budget: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Flood,
    Slow,
    Storm,
    Soak,
    /// What Autobahn's fuzzing client speaks to
    Echo,
}

fn main() -> ExitCode {
    let CommandLine { what, short, budget } = CommandLine::parse();
    let budget = if short { SHORT_SOAK } else { Duration::from_secs(budget) };
    let form = Form { short, budget, turns: TURNS };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let report = runtime.block_on(async {
        match what {
            What::Flood => flood::run(&form).await,
            What::Slow => slow::run(&form).await,
            What::Storm => storm::run(&form).await,
            What::Soak => soak::run(&form).await,
            What::Echo => echo::run(),
        }
    });
    println!("result | {}", report.line());
    if report.found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
