//! The house below its pages: storage, rooms, sessions, sockets.
//!
//! A library of its own, so that who saves a page does not compile it again (decision 0015);
//! `server` puts it together and gives its modules on. Its law: it knows no page, and the floors of
//! `server` are its floors.

#![forbid(unsafe_code)]

pub mod auth;
pub mod clock;
pub mod config;
pub mod db;
pub mod error;
pub mod history;
pub mod hub;
pub mod open_files;
pub mod outlet;
pub mod overload;
pub mod resting;
pub mod rooms;
pub mod session;
pub mod socket;
pub mod throttle;
