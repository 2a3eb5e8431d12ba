//! One line of the log for each request, and the end of a panic.
//!
//! Around everything but the headers. Its law: the route's pattern is logged and never the path (a
//! setup link's path is a secret), no header and no body; a panic costs its request and is answered
//! by a number that stands in the log too.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::StatusCode;

use crate::clock::{Chance, Clock, SystemChance};

/// Answers, and notes what was answered.
pub(super) async fn layer(
    State(clock): State<Arc<dyn Clock>>,
    request: Request,
    next: Next,
) -> Response {
    let number = format!("{:016x}", SystemChance.number());
    let started = clock.ticks_ms();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("(other)", MatchedPath::as_str);
    // What a request touched is behind locks that recover, and its transaction rolls back.
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let ms = clock.ticks_ms().saturating_sub(started);
    let Ok(response) = answered else {
        tracing::error!(request = number, %method, route, ms, "panicked");
        let body = format!("Internal error {number}.\n");
        return (StatusCode::INTERNAL_SERVER_ERROR, body).into_response();
    };
    let status = response.status().as_u16();
    if response.status().is_server_error() {
        tracing::warn!(request = number, %method, route, status, ms, "answered");
    } else {
        tracing::debug!(request = number, %method, route, status, ms, "answered");
    }
    response
}
