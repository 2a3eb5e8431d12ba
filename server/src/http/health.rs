//! What an operator and his probes ask: does it live, can it serve, who is there.
//!
//! `/healthz` is the process, `/readyz` and `/health` the store, the accounts and the codec,
//! `/status` the connections. Its law: no secret, no effect, an answer within two seconds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use protocol::codec::{decode_command, encode_command};
use protocol::command::{Command, Probe};
use protocol::limits::AWAY_MS_MIN;
use serde_json::json;
use tokio::time::timeout;

use super::Door;
use crate::db::accounts;
use crate::overload::Stage;

/// The path of the process's own pulse.
pub const PULSE: &str = "/healthz";
/// The paths that probes ask, by whatever name they reach the server.
pub const PATHS: [&str; 4] = [PULSE, "/readyz", "/health", "/status"];
/// A store that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the server's parts say of themselves.
struct Parts {
    store: bool,
    accounts: bool,
    codec: bool,
    draining: bool,
    /// What does not work as it should. Who reads is served, and no other server would help.
    degraded: Vec<&'static str>,
}

impl Parts {
    async fn ask(door: &Door) -> Self {
        let (store, accounts) = tokio::join!(
            timeout(PATIENCE, door.db.answers()),
            timeout(PATIENCE, accounts::has_owner(&door.db)),
        );
        Self {
            store: store.unwrap_or(false),
            accounts: matches!(accounts, Ok(Ok(_))),
            codec: codec_works(),
            draining: *door.stopping.borrow(),
            degraded: degraded(door),
        }
    }

    const fn ready(&self) -> bool {
        self.store && self.accounts && self.codec && !self.draining
    }
}

/// A disk that is full, on which nothing can be written, a file with damaged pages, a commit that does
/// not end, behind which nothing is written, and more to do than can be done in time, of which some is
/// left undone.
fn degraded(door: &Door) -> Vec<&'static str> {
    let is_full = door.history.is_disk_full(door.engine.clock.unix_ms());
    let is_overload = door.engine.shedding.stage().is_some();
    let known = [
        ("disk", is_full),
        ("damaged", door.db.is_damaged()),
        ("writing", door.db.is_commit_late()),
        ("overload", is_overload),
    ];
    known.into_iter().filter_map(|(word, is_so)| is_so.then_some(word)).collect()
}

/// Whether a frame reads back as it was written.
fn codec_works() -> bool {
    let probe = Command::Probe(Probe { number: 1 });
    encode_command(&probe).is_ok_and(|frame| decode_command(&frame) == Ok(probe))
}

/// The process answers.
pub(super) async fn pulse() -> &'static str {
    "alive\n"
}

/// It can serve.
pub(super) async fn ready(State(door): State<Arc<Door>>) -> Response {
    let parts = Parts::ask(&door).await;
    let words = match &*parts.degraded {
        _ if !parts.ready() => "not ready\n".to_owned(),
        [] => "ready\n".to_owned(),
        words => format!("ready\ndegraded: {}\n", words.join(", ")),
    };
    answered(parts.ready(), words)
}

/// The same with its parts.
pub(super) async fn health(State(door): State<Arc<Door>>) -> Response {
    let parts = Parts::ask(&door).await;
    let word = |good: bool| if good { "good" } else { "broken" };
    let body = json!({
        "ready": parts.ready(),
        "store": word(parts.store),
        "accounts": word(parts.accounts),
        "codec": word(parts.codec),
        "draining": parts.draining,
        "degraded": (!parts.degraded.is_empty()).then(|| parts.degraded.join(", ")),
    });
    answered(parts.ready(), Json(body))
}

fn answered(ready: bool, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(AWAY_MS_MIN / 1_000));
    }
    response
}

/// Who is there, and for how long nobody was.
pub(super) async fn status(State(door): State<Arc<Door>>) -> Response {
    let (pages, rooms) = door.engine.shared.counts();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "connections": door.engine.hub.count(),
        "logs": door.engine.rooms.open_count(),
        "idle_seconds": door.engine.hub.idle_ms() / 1_000,
        "closed": door.engine.hub.ended(),
        "left_undone": door.engine.shedding.stage().map(Stage::name),
        "diverged": door.engine.hub.diverged_count(),
        "pages_read": pages,
        "rooms_read": rooms,
        "upgrades_most": door.gate.upgrades_most(),
        "policy_reports": door.policy_reports.load(Ordering::Relaxed),
    });
    Json(body).into_response()
}
