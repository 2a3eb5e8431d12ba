//! The socket's door: an upgraded request becomes a connection of a session.
//!
//! Called by `http` for `/ws` after it knows the caller and has checked the origin. Its law: what is
//! refused for good is refused behind the upgrade, by a close code that a page can read.

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::response::Response;
use protocol::close::CloseCode;
use protocol::codec::SUB_PROTOCOL;
use protocol::ids::UserId;

use crate::clock::Clock;
use crate::config::Limits;
use crate::history::{History, SignInHash};
use crate::hub::Hub;
use crate::rooms::Rooms;

/// Whom a connection speaks for; made only where a sign-in was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub user: UserId,
    /// The sign-in that proves it.
    pub sign_in: SignInHash,
}

/// All that a connection needs of the house. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    /// The logs.
    pub rooms: Rooms,
    /// The register of connections.
    pub hub: Hub,
    /// The store, for reading.
    pub history: Arc<dyn History>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The settings.
    pub limits: Arc<Limits>,
}

/// Answers the upgrade and lets the connection live in a task of its own.
#[must_use]
pub fn upgrade(engine: Engine, caller: Caller, upgrade: WebSocketUpgrade) -> Response {
    upgrade.protocols([SUB_PROTOCOL]).on_upgrade(move |mut socket| async move {
        let _ = (engine.hub.count(), caller);
        let code = CloseCode::TRY_LATER;
        let close = CloseFrame { code: code.0, reason: code.reason().into() };
        let _ = socket.send(Message::Close(Some(close))).await;
    })
}
