//! What lasts: stories of the store, each with its own folder, schema or maps.
//!
//! Written against the public face of `history` and `db`; rows are read past both. The fold test
//! (T26 of the test plan) stands in `fold`, the kills in `killing`, what several writers at once need
//! in `together`, what only PostgreSQL has in `postgres`. Under `tools/postgres` all of it runs over PostgreSQL.

#![forbid(unsafe_code)]
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says by its panic what is wrong"
)]

mod commits;
mod fold;
mod judging;
mod killing;
mod naive;
mod past;
mod postgres;
mod reading;
mod rows;
mod small_disk;
mod stores;
mod together;
mod trouble;
mod world;
mod writing;
