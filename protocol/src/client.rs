//! The client's half of a conversation: what a person asks, what a server says, and nothing of how
//! the bytes travel.
//!
//! The browser, the tests and the simulation drive one and the same machine.

pub mod exchange;
