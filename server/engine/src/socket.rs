//! The socket's door: an upgraded request becomes a connection of a session.
//!
//! Called by `http` for `/ws` after it knows the caller and has checked the origin. Its law: what is
//! refused for good is refused behind the upgrade, by a close code that a page can read.

use std::sync::Arc;

use axum::response::Response;
use protocol::close::CloseCode;

use crate::clock::Clock;
use crate::config::Limits;
use crate::history::History;
use crate::history::shared::SharedReads;
use crate::hub::Hub;
use crate::overload::Shedding;
use crate::rooms::Rooms;
pub use crate::session::Caller;

mod connection;
mod handshake;
mod patience;
pub mod reader;
mod task;
mod timers;
mod watch;
mod wire;

pub use handshake::Handshake;
pub use patience::Patience;
pub use timers::Timers;
pub use watch::Watch;

/// All that a connection needs of the house; shared by all of them.
pub struct Engine {
    /// The logs.
    pub rooms: Rooms,
    /// The register of connections.
    pub hub: Hub,
    /// The store, for reading.
    pub history: Arc<dyn History>,
    /// The same for what many read at once.
    pub shared: SharedReads,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The times at which connections are due.
    pub timers: Timers,
    /// The settings.
    pub limits: Arc<Limits>,
    /// What is left undone for now.
    pub shedding: Shedding,
}

/// What a door counts of a connection; a count ends when its guard is dropped.
#[derive(Default)]
pub struct Held {
    /// Counts until the client has said hello.
    pub until_hello: Option<Box<dyn Send>>,
    /// Counts until the connection ends.
    pub until_end: Option<Box<dyn Send>>,
}

/// Answers the upgrade and lets the connection live in a task of its own.
#[must_use]
pub fn upgrade(engine: &Arc<Engine>, caller: Caller, held: Held, handshake: Handshake) -> Response {
    let engine = Arc::clone(engine);
    handshake.answer(move |upgraded| task::start(&engine, caller, held, upgraded))
}

/// Upgrades only to say why not: a page learns nothing from an upgrade that is refused.
#[must_use]
pub fn turn_away(held: Held, handshake: Handshake, code: CloseCode) -> Response {
    handshake.answer(move |upgraded| task::turn_away(upgraded.wire, held, code))
}
