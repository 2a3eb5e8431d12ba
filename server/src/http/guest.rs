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
use crate::throttle::Source;

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

/// `POST /api/guest`: answers with the account that the browser speaks for from now on.
pub(super) async fn greet(
    State(door): State<Arc<Door>>,
    Extension(source): Extension<Source>,
    headers: HeaderMap,
) -> Response {
    match recognise(&door, &headers, source).await {
        Ok(guest) => {
            let cookie = guest.set_cookie.map(|cookie| [(SET_COOKIE, cookie)]);
            (cookie, Json(guest.principal.me().clone())).into_response()
        }
        Err(response) => response,
    }
}
