//! Puts the house together, starts it and ends it.
//!
//! Called by `main` with the settings of the command line, and by tests with theirs. Its law: it
//! sees every floor and holds no logic; the house ends in order: not ready, no new connections,
//! sockets told and drained, requests under way answered, store closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::auth::Accounts;
use crate::auth::cookie::Cookies;
use crate::auth::setup::Setup;
use crate::clock::{Clock, SystemChance, SystemClock};
use crate::config::Settings;
use crate::db::{DISK_FAILED, Db, OpenFault, accounts};
use crate::error::Error;
use crate::history::shared::SharedReads;
use crate::history::sql::SqlHistory;
use crate::history::writer::{Writer, WriterEnd};
use crate::history::{History, Rules};
use crate::http::assets::Assets;
use crate::http::headers::Policies;
use crate::http::listen::Allowed;
use crate::http::origin::OriginRule;
use crate::http::{Door, Gate, Port, listen, router};
use crate::hub::Hub;
use crate::overload::Shedding;
use crate::overload::meter::Meter;
use crate::rooms::Rooms;
use crate::socket::{Engine, Timers, Watch};
use crate::throttle::Rate;

/// How long what was taken in may take to be answered at the end, and again to be sent.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);
/// The variable by which cargo-leptos tells a development build that it watches.
const WATCHED: &str = "LEPTOS_WATCH";
/// The variable that names the port of its reload socket.
const RELOAD_PORT: &str = "LEPTOS_RELOAD_PORT";
/// The port where it is not named.
const RELOAD_PORT_DEFAULT: u32 = 3001;

/// A server that runs.
pub struct House {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The path of the setup link, where this start made it.
    pub setup_path: Option<String>,
    hub: Hub,
    /// How fast sockets are let in, by this server and by who takes its place.
    upgrades: Rate,
    db: Arc<Db>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    watching: JoinHandle<()>,
    metering: JoinHandle<()>,
    writing: JoinHandle<WriterEnd>,
}

/// What lies behind the doors.
struct Inside {
    db: Arc<Db>,
    history: Arc<SqlHistory>,
    engine: Arc<Engine>,
    setup: Arc<Setup>,
}

impl House {
    /// Opens the store, binds the address and serves.
    pub async fn open(settings: Settings) -> Result<Self, Error> {
        let assets = Assets::find(settings.site.clone())?;
        let place = settings.place.clone();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (db, history) = store(&settings, &*clock).await?;
        let has_owner = accounts::has_owner(&db).await.map_err(broken_store)?;
        let (setup, setup_path) = Setup::open(&place.data, has_owner, &mut SystemChance)?;
        let (engine, meter, writing) = engine(&settings, history.clone(), clock);
        let listened = |source| Error::Listen { addr: place.addr, source };
        let listener = listen::bind(place.addr).map_err(listened)?;
        let addr = listener.local_addr().map_err(listened)?;

        let (hub, setup) = (engine.hub.clone(), Arc::new(setup));
        let upgrades = settings.limits.upgrades;
        let inside = Inside { db: Arc::clone(&db), history, engine, setup };
        let (stop, stopping) = watch::channel(false);
        let allowed = Allowed::by(&settings);
        let watching = tokio::spawn(Watch::new(Arc::clone(&inside.engine)).live(stopping.clone()));
        let metering = tokio::spawn(meter.live(stopping.clone()));
        let router = doors(settings, assets, inside, stopping.clone());
        let serving = tokio::spawn(listen::serve(listener, router, allowed, stopping));
        Ok(Self { addr, setup_path, hub, upgrades, db, stop, serving, watching, metering, writing })
    }

    /// Ends when the process must end and begin anew; tells why.
    pub async fn broken(&mut self) -> &'static str {
        tokio::select! {
            why = of_writing(&mut self.writing) => why,
            why = of_watching(&mut self.watching) => why,
            why = of_watching(&mut self.metering) => why,
            why = self.db.lost() => why,
        }
    }

    /// Ends it in order; everything accepted is stored and everybody connected was told. Where the disk
    /// failed at that it tells so, and the process must end as it stands.
    pub async fn close(self) -> Option<&'static str> {
        self.stop.send_replace(true);
        // They end at the next moment at which they wait; so does a panic in them.
        let _ = (self.watching.await, self.metering.await);
        self.hub.drain(DRAIN_PATIENCE, &self.upgrades).await;
        // The task ends by itself within its own patience; a panic in it ends it too.
        let _ = self.serving.await;
        self.db.close().await
    }
}

/// Why the house cannot go on, once nothing is written any more.
async fn of_writing(writing: &mut JoinHandle<WriterEnd>) -> &'static str {
    match writing.await {
        Ok(WriterEnd::Done) => std::future::pending().await,
        Ok(WriterEnd::DiskBroken) => DISK_FAILED,
        Err(_) => "a bug ended what writes into the store",
    }
}

/// The same, once nobody looks any more after who is connected, or how much there is to do.
async fn of_watching(watching: &mut JoinHandle<()>) -> &'static str {
    match watching.await {
        Ok(()) => std::future::pending().await,
        Err(_) => "a bug ended what looks after the house",
    }
}

async fn store(
    settings: &Settings,
    clock: &dyn Clock,
) -> Result<(Arc<Db>, Arc<SqlHistory>), Error> {
    let place = &settings.place;
    let opening = match &place.database {
        Some(url) => Db::connect(url, &place.data).await,
        None => Db::open(&place.data).await,
    };
    let db = Arc::new(opening.map_err(opened)?);
    let rules = Rules {
        text_chars_max: settings.limits.text_chars,
        rooms_max: settings.limits.rooms_per_user,
    };
    let now = clock.unix_ms();
    let history = SqlHistory::open(Arc::clone(&db), rules, &mut SystemChance, now).await;
    let free_bytes_min = settings.limits.disk_free_bytes_min.into();
    let history = history.map_err(broken_store)?.with_free_bytes_min(free_bytes_min);
    Ok((db, Arc::new(history)))
}

fn engine(
    settings: &Settings,
    history: Arc<SqlHistory>,
    clock: Arc<dyn Clock>,
) -> (Arc<Engine>, Meter, JoinHandle<WriterEnd>) {
    let history: Arc<dyn History> = history;
    let limits = Arc::new(settings.limits.clone());
    let chance = Box::new(SystemChance);
    let (writer, writing) = Writer::start(Arc::clone(&history), Arc::clone(&clock), chance);
    let (waiting, shedding) = (writer.waiting(), Shedding::default());
    let meter = Meter::new(&limits, shedding.clone(), waiting, Arc::clone(&clock));
    let rooms = Rooms::new(
        Arc::clone(&history),
        writer,
        Arc::clone(&clock),
        Arc::clone(&limits),
        shedding.clone(),
    );
    let hub = Hub::new(Arc::clone(&clock));
    let timers = Timers::start(Arc::clone(&clock));
    let shared = SharedReads::new(Arc::clone(&history));
    let engine = Engine { rooms, hub, history, shared, clock, timers, limits, shedding };
    (Arc::new(engine), meter, writing)
}

fn broken_store(fault: impl std::fmt::Display) -> Error {
    Error::Store(fault.to_string())
}

fn opened(fault: OpenFault) -> Error {
    match fault {
        OpenFault::Folder { path, cause } => Error::File { path, source: cause },
        OpenFault::InUse(path) => Error::Locked(path),
        OpenFault::Shared => Error::Shared,
        OpenFault::Database(what) => Error::Store(what),
    }
}

fn doors(
    settings: Settings,
    assets: Assets,
    inside: Inside,
    stopping: watch::Receiver<bool>,
) -> axum::Router {
    let Settings { place, trusted_proxies, limits, .. } = settings;
    let cookies = Cookies { https: place.https() };
    let policies = Policies { https: place.https(), reload_port: reload_port() };
    let Inside { db, history, engine, setup } = inside;
    let port = Port { history: Arc::clone(&engine.history), setup: Arc::clone(&setup) };
    let door = Door {
        accounts: Accounts::new(Arc::clone(&db), Arc::clone(&engine.clock), cookies),
        gate: Gate::new(&limits, trusted_proxies, cookies),
        origin: OriginRule { public_url: place.public_url },
        policy_reports: AtomicU64::new(0),
        db,
        history,
        engine,
        port,
        setup,
        assets,
        limits,
        stopping,
    };
    router(Arc::new(door), policies)
}

/// Where pages under `cargo leptos watch` hear that they were built anew.
fn reload_port() -> Option<u32> {
    std::env::var_os(WATCHED)?;
    let named = std::env::var(RELOAD_PORT).ok().and_then(|port| port.parse().ok());
    Some(named.unwrap_or(RELOAD_PORT_DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn why_a_house_ends_is_said_as_it_is() {
        let why = of_watching(&mut tokio::spawn(async { panic!("a bug") })).await;
        assert_eq!(why, "a bug ended what looks after the house");
        let why = of_writing(&mut tokio::spawn(async { panic!("a bug") })).await;
        assert_eq!(why, "a bug ended what writes into the store");
        let mut broken = tokio::spawn(async { WriterEnd::DiskBroken });
        assert!(of_writing(&mut broken).await.starts_with("the disk failed"));
        let mut stopped = tokio::spawn(async { WriterEnd::Done });
        let waiting = tokio::time::timeout(Duration::from_millis(50), of_writing(&mut stopped));
        assert!(waiting.await.is_err(), "a task that was done is no reason");
    }
}
