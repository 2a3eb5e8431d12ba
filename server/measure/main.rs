//! What the house costs: CPU for a delivery, and memory for a connection that is idle.
//!
//! `fanout` speaks to a thousand subscribers and holds it against the floor, one plain `write` of the
//! same bytes a socket, in the same run, round about; `idle` counts the memory of connections that
//! are joined and silent. Its law: the house is the real one over memory, what reads is another
//! process, and a figure is printed only if everything sent was received. `make measure` runs both;
//! `--at-most` makes it a test.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that cannot go on ends, and says where it stood"
)]

mod fanout;
mod floor;
mod house;
mod idle;
mod readers;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// CPU of a delivery against one plain write, the median of pairs that take turns
    Fanout {
        /// Sockets that are told
        #[arg(long, default_value_t = 1_000)]
        subscribers: u32,
        /// Pairs of runs
        #[arg(long, default_value_t = 15)]
        pairs: usize,
        /// Messages of one run
        #[arg(long, default_value_t = 40)]
        messages: u32,
        /// Fail above this ratio
        #[arg(long)]
        at_most: Option<f64>,
    },
    /// Memory of an idle connection that has joined the lobby, every one another user's
    Idle {
        /// Connections
        #[arg(long, default_value_t = 4_000)]
        sockets: u32,
        /// Fail above so many bytes
        #[arg(long)]
        at_most: Option<u64>,
    },
    /// The other process: clients that read and say nothing
    #[command(hide = true)]
    Readers {
        /// Where the house listens
        #[arg(long)]
        house: std::net::SocketAddr,
        /// Where the floor listens
        #[arg(long)]
        floor: Option<std::net::SocketAddr>,
        /// How many of each
        #[arg(long)]
        count: u32,
        /// The number of the first user
        #[arg(long)]
        first: u32,
    },
}

fn main() {
    match CommandLine::parse().what {
        What::Fanout { subscribers, pairs, messages, at_most } => {
            fanout::measure(subscribers, pairs, messages, at_most);
        }
        What::Idle { sockets, at_most } => idle::measure(sockets, at_most),
        What::Readers { house, floor, count, first } => {
            readers::run(house, floor, first..first + count);
        }
    }
}
