//! The socket's door: an upgraded request becomes a connection of a session.
//!
//! Called by `http` for `/ws` after it knows the caller and has checked the origin. Its law: what is
//! refused for good is refused behind the upgrade, by a close code that a page can read.

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use protocol::close::CloseCode;
use protocol::codec::SUB_PROTOCOL;

use crate::clock::Clock;
use crate::config::Limits;
use crate::history::History;
use crate::hub::Hub;
use crate::rooms::Rooms;
pub use crate::session::Caller;

mod connection;
mod transport;

/// All that a connection needs of the house. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    /// The logs.
    pub rooms: Rooms,
    /// The register of connections.
    pub hub: Hub,
    /// The store, for reading.
    pub history: Arc<dyn History>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The settings.
    pub limits: Arc<Limits>,
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
pub fn upgrade(engine: Engine, caller: Caller, held: Held, upgrade: WebSocketUpgrade) -> Response {
    transport::with_small_buffers(upgrade.protocols([SUB_PROTOCOL]))
        .on_upgrade(move |socket| connection::run(engine, caller, held, socket))
}

/// Upgrades only to say why not: a page learns nothing from an upgrade that is refused.
#[must_use]
pub fn turn_away(upgrade: WebSocketUpgrade, code: CloseCode) -> Response {
    transport::with_small_buffers(upgrade.protocols([SUB_PROTOCOL]))
        .on_upgrade(move |socket| transport::turn_away(socket, code))
}
