//! How a page's visitor becomes a guest: by the first write of his browser, once.
//!
//! Asked by the page after it has started (`POST /api/guest`) and by the first form of a browser
//! without scripts. Its law: who has a sign-in that stands stays who he is; the secret travels in
//! `Set-Cookie` alone.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use protocol::limits::AWAY_MS_MIN;

use super::Door;
use crate::auth::{Principal, Visitor};
use crate::clock::{Chance, SystemChance};
use crate::overload::Stage;
use crate::throttle::Source;

/// The longest that somebody is told to wait for an overload to end.
const BUSY_SECONDS_MAX: u64 = 10;

/// Somebody, and the cookie that makes his browser known, where it is new.
pub(super) struct Guest {
    pub(super) principal: Principal,
    pub(super) set_cookie: Option<String>,
}

/// Who sent this write; a browser without a sign-in gets one.
pub(super) async fn recognise(
    door: &Door,
    headers: &HeaderMap,
    source: Source,
) -> Result<Guest, Response> {
    match door.accounts.active_visitor(headers).await.map_err(no_store)? {
        Visitor::Known(principal) => Ok(Guest { principal, set_cookie: None }),
        Visitor::Nobody | Visitor::Stale => {
            door.gate.guest(source).map_err(IntoResponse::into_response)?;
            let (principal, token) = door.accounts.make_guest().await.map_err(no_store)?;
            tracing::info!(user = %principal.me().id, "a guest came in");
            let set_cookie = Some(door.accounts.cookies().set_sign_in(&token));
            Ok(Guest { principal, set_cookie })
        }
    }
}

/// Says that the store does not answer, and logs why.
pub(super) fn no_store(fault: impl std::fmt::Display) -> Response {
    tracing::error!(%fault, "the store does not answer");
    let wait = [(RETRY_AFTER, HeaderValue::from(AWAY_MS_MIN / 1_000))];
    (StatusCode::SERVICE_UNAVAILABLE, wait, "The store does not answer.\n").into_response()
}

/// Says that there is too much to do just now; a crowd does not come back at one moment.
pub(super) fn busy() -> Response {
    let seconds = SystemChance.below(BUSY_SECONDS_MAX).saturating_add(1);
    let wait = [(RETRY_AFTER, HeaderValue::from(seconds))];
    (StatusCode::SERVICE_UNAVAILABLE, wait, "Too much to do.\n").into_response()
}

/// `POST /api/guest`: answers with the account that the browser speaks for from now on.
pub(super) async fn greet(
    State(door): State<Arc<Door>>,
    Extension(source): Extension<Source>,
    headers: HeaderMap,
) -> Response {
    // Who finds the socket shut asks here, and can read no other answer.
    if door.engine.shedding.sheds(Stage::Upgrades) {
        return busy();
    }
    match recognise(&door, &headers, source).await {
        Ok(guest) => {
            let cookie = guest.set_cookie.map(|cookie| [(SET_COOKIE, cookie)]);
            (cookie, Json(guest.principal.me().clone())).into_response()
        }
        Err(response) => response,
    }
}
