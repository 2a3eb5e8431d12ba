//! The house: doors, sessions, rooms, storage. `main` is its binary, tests are its other callers.
//!
//! Floors, upward: base (db, hub, outlet, clock), rooms (rooms, history), who (session, auth), doors
//! (socket, http). A floor imports only floors below it; a wait goes down, speech goes up without
//! waiting.

#![forbid(unsafe_code)]

pub mod auth;
pub mod clock;
pub mod config;
pub mod db;
pub mod error;
pub mod frame_command;
pub mod history;
pub mod http;
pub mod hub;
pub mod outlet;
pub mod resting;
pub mod rooms;
pub mod session;
pub mod socket;
pub mod state;
pub mod telemetry;
pub mod throttle;
