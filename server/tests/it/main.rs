//! Stories over real sockets: clients talk to a server that runs in the test's own process.
//!
//! One file a subject, one small world a test. Its law: a story says in its name what a user may
//! rely on, and it waits for what must come, never for time to pass.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says by its panic what is wrong"
)]

mod client;
mod posting;
mod resume;
mod rules;
mod world;
