//! The ground of WasmChannel: what travels between a client and the server, and the client's half
//! of the conversation.
//!
//! Both ends of the wire are built from this one source, natively and for wasm32. Its law: no
//! runtime, no clock, no source of chance, no I/O; time and chance are handed in. Whatever can be
//! read from the wire has a bound, and any bytes decode or are refused by name.

#![forbid(unsafe_code)]

pub mod act;
pub mod bounded;
pub mod change;
pub mod client;
pub mod close;
pub mod codec;
pub mod command;
pub mod cursor;
pub mod event;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod model;
pub mod refusal;
pub mod words;
