//! The way to the socket: who may not even knock, and who is told at the door why not.
//!
//! Its law (guarantees 2.10): a foreign origin, no credential and too many at once are refused
//! before the upgrade; a credential that no longer stands, a ban, a full user and an unknown version
//! are refused behind it by a close code, because a page sees no other answer.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ORIGIN, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use protocol::close::CloseCode;

use super::Door;
use super::guest::{busy, no_store};
use crate::auth::Visitor;
use crate::overload::Stage;
use crate::socket::{self, Handshake};
use crate::throttle::Source;

/// `GET /ws`.
pub(super) async fn open(
    State(door): State<Arc<Door>>,
    Extension(source): Extension<Source>,
    headers: HeaderMap,
    handshake: Handshake,
) -> Response {
    if !headers.contains_key(ORIGIN) {
        let body = "A socket without an Origin needs a bearer token.\n";
        return (StatusCode::UNAUTHORIZED, body).into_response();
    }
    if let Err(foreign) = door.origin.check_socket(&headers) {
        tracing::info!(expected = %foreign.expected, seen = %foreign.seen, "foreign origin");
        return foreign.into_response();
    }
    if door.engine.shedding.sheds(Stage::Upgrades) {
        return busy();
    }
    if let Err(too_many) = door.gate.turn().await {
        return too_many.into_response();
    }
    if *door.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "2")]).into_response();
    }
    if door.engine.hub.leave().is_some() {
        return no_store("everybody was sent away");
    }
    let held = match door.gate.upgrade(source) {
        Ok(held) => held,
        Err(too_many) => return too_many.into_response(),
    };
    let visitor = match door.accounts.visitor(&headers).await {
        Ok(visitor) => visitor,
        Err(fault) => return no_store(fault),
    };
    let principal = match visitor {
        Visitor::Nobody => {
            return (StatusCode::UNAUTHORIZED, "No sign-in: POST /api/guest first.\n")
                .into_response();
        }
        Visitor::Stale => return socket::turn_away(held, handshake, CloseCode::SIGNED_OUT),
        Visitor::Known(principal) => principal,
    };
    if principal.is_disabled() {
        return socket::turn_away(held, handshake, CloseCode::DISABLED);
    }
    let caller = socket::Caller { user: principal.me().id, sign_in: principal.sign_in() };
    socket::upgrade(&door.engine, caller, held, handshake)
}
