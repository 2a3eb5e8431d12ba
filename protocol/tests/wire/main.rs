//! The wire, tried as one binary, natively and in wasm: golden bytes, round trips, hostile bytes.
//!
//! `samples` and `arbitrary` each match over every kind, so a new kind does not compile here until
//! it has a sample and a strategy. Natively: `cargo test -p protocol --test wire`. In wasm: the same
//! with `--target wasm32-unknown-unknown` and `wasm-bindgen-test-runner` as the target's runner.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends"
)]

mod arbitrary;
mod golden;
mod hostile;
mod roundtrip;
mod samples;
#[cfg(not(target_arch = "wasm32"))]
mod schema;
