//! Stories over real sockets: clients talk to a server that runs in the test's own process.
//!
//! One file a subject, one small world a test; under `tools/postgres` over PostgreSQL. Its law: a story says in its name what a user may
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
mod house;
mod http_address;
mod http_binary;
mod http_forms;
mod http_frames;
mod http_headers;
mod http_health;
mod http_limits;
mod http_log;
mod http_origin;
mod http_setup;
mod http_socket;
mod http_visitor;
mod matrix;
mod matrix_frames;
mod matrix_routes;
mod posting;
mod resume;
mod rules;
mod seeds;
mod shedding;
mod site;
#[path = "../storage/stores.rs"]
mod stores;
mod world;
