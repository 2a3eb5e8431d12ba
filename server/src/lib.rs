//! The house: its pages and doors, put together. `main` is its binary, tests are its other callers.
//!
//! Floors, upward: base (db, hub, outlet, clock), rooms (rooms, history), who (session, auth), doors
//! (socket, http). A floor imports only floors below it; a wait goes down, speech goes up without
//! waiting. What draws no page is the library `engine`, whose modules are given on here.

#![forbid(unsafe_code)]

pub use engine::{
    auth, clock, config, db, error, history, hub, open_files, outlet, overload, resting, rooms,
    session, socket, throttle,
};

pub mod frame_command;
pub mod http;
pub mod state;
pub mod telemetry;
