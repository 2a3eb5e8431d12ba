//! The HTTP door: pages, forms, files, probes, and the way to the socket.
//!
//! Assembled by `state` and served by `listen`. Its law: what every request must pass stands here,
//! outermost last: origin, throttles, log, headers. A GET never writes; every write comes from a
//! page of this server; what is drawn is drawn whole before its first byte leaves.

pub mod address;
pub mod assets;
mod backend;
pub mod compress;
mod forms;
mod gate;
mod guest;
pub mod headers;
pub mod health;
pub mod listen;
mod log;
pub mod origin;
mod pages;
mod upgrade;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use http::StatusCode;
use protocol::limits::TEXT_BYTES_MAX;
use tokio::sync::watch;

use self::assets::Assets;
pub use self::backend::Port;
pub use self::gate::Gate;
use self::headers::Policies;
use self::origin::OriginRule;
use crate::auth::Accounts;
use crate::auth::setup::Setup;
use crate::config::Limits;
use crate::db::Db;
use crate::history::sql::SqlHistory;
use crate::socket::Engine;

/// A form takes the longest text that a socket takes: outside ASCII a form writes each of its bytes
/// as three. Besides it there are the other fields.
const FORM_BYTES_MIN: usize = 3 * TEXT_BYTES_MAX + 4 * 1024;

/// All that the handlers of this door need of the house.
pub struct Door {
    /// The store, for what no log holds.
    pub db: Arc<Db>,
    /// The store's one verb that no log's task does: making somebody the owner.
    pub history: Arc<SqlHistory>,
    /// Who somebody is.
    pub accounts: Accounts,
    /// The rooms and the connections.
    pub engine: Arc<Engine>,
    /// What pages ask before they are drawn.
    pub port: Port,
    /// The setup link.
    pub setup: Arc<Setup>,
    /// The throttles.
    pub gate: Gate,
    /// Whose writes and sockets are ours.
    pub origin: OriginRule,
    /// The built files.
    pub assets: Assets,
    /// What users may do at most.
    pub limits: Limits,
    /// Turns true when the server is about to stop.
    pub stopping: watch::Receiver<bool>,
    /// How often a browser reported that a page's policy forbade something.
    pub policy_reports: AtomicU64,
}

/// The routes with everything that a request must pass on its way to them.
pub fn router(door: Arc<Door>, policies: Policies) -> Router {
    let body_bytes = usize::try_from(door.limits.body_bytes).unwrap_or(usize::MAX);
    pages::prepare();
    routes(body_bytes.max(FORM_BYTES_MIN))
        .layer(DefaultBodyLimit::max(body_bytes))
        .layer(from_fn_with_state(door.origin.clone(), origin::layer))
        .layer(from_fn_with_state(door.gate.clone(), gate::layer))
        .layer(from_fn_with_state(Arc::clone(&door.engine.clock), log::layer))
        .layer(from_fn_with_state(policies, headers::layer))
        .with_state(door)
}

/// Pages and forms share their addresses, so both read the path by `address`; the patterns here
/// only tell them from what is no page.
fn routes(form_bytes: usize) -> Router<Arc<Door>> {
    let page = || get(pages::show).post(forms::send).layer(DefaultBodyLimit::max(form_bytes));
    Router::new()
        .route("/", page())
        .route("/r/{*room}", page())
        .route("/rooms", page())
        .route("/me", page())
        .route("/language", page())
        .route("/setup/{token}", page())
        .route("/ws", get(upgrade::open))
        .route("/api/guest", post(guest::greet))
        .route(headers::REPORTS_PATH, post(count_report))
        .route(health::PULSE, get(health::pulse))
        .route("/readyz", get(health::ready))
        .route("/health", get(health::health))
        .route("/status", get(health::status))
        .fallback(pages::file_or_nothing)
}

/// A browser reports that a page's policy forbade something; only how often is kept.
async fn count_report(State(door): State<Arc<Door>>) -> StatusCode {
    door.policy_reports.fetch_add(1, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}
