//! What lasts: stories of the store, each with its own folder or its own maps.
//!
//! Written against the public face of `history` and `db`; rows are read past both, from the file
//! itself. The fold test (T26 of the test plan) stands in `fold`, the kills in `killing`.

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
mod reading;
mod rows;
mod world;
mod writing;
