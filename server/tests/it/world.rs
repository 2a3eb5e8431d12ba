//! A small server of its own for each test: the engine behind a bare door, on a free port.
//!
//! Made by every story; its store is memory, a file or PostgreSQL. Its law: nothing is shared between
//! two worlds but the place that a test hands from one to the next, and a killed world runs no
//! further line of its code.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::response::Response;
use axum::routing::get;
use protocol::ids::UserId;
use protocol::model::{DisplayName, Rank};
use server::clock::{Chance, Clock, SeededChance, SystemChance, SystemClock};
use server::config::Limits;
use server::db::Db;
use server::db::accounts::{self, Account};
use server::db::people::{SignInRecord, UserRecord};
use server::history::judge::Rules;
use server::history::memory::MemoryHistory;
use server::history::shared::SharedReads;
use server::history::sql::SqlHistory;
use server::history::writer::Writer;
use server::history::{History, SignInHash};
use server::http::listen::{self, Allowed};
use server::hub::Hub;
use server::overload::Shedding;
use server::rooms::Rooms;
use server::socket::{self, Caller, Engine, Handshake, Held, Timers, Watch};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::stores::{self, Place};

/// Where a world's accounts are made.
enum Accounts {
    Memory(Arc<MemoryHistory>),
    Database(Arc<Db>),
}

/// A running server.
pub(crate) struct World {
    /// Kept until the server ends, where it is the world's own.
    place: Option<Place>,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// What it is made of.
    pub(crate) engine: Arc<Engine>,
    /// The store, where it is in memory.
    pub(crate) memory: Option<Arc<MemoryHistory>>,
    accounts: Accounts,
    runtime: Option<Runtime>,
}

/// Limits that no test meets by accident.
pub(crate) fn wide_limits() -> Limits {
    Limits {
        sends_per_user: "10000/s burst 10000".parse().unwrap(),
        sends_per_room: "10000/s burst 10000".parse().unwrap(),
        joins_per_user: "10000/s burst 10000".parse().unwrap(),
        rooms_made_per_user: "10000/s burst 10000".parse().unwrap(),
        frames_per_socket: "10000/s burst 10000".parse().unwrap(),
        typing_per_socket: "10000/s burst 10000".parse().unwrap(),
        look_ms: 50,
        ..Limits::default()
    }
}

fn rules(limits: &Limits) -> Rules {
    Rules { text_chars_max: limits.text_chars, rooms_max: limits.rooms_per_user }
}

/// A clock whose time of day leaps by a minute whenever somebody looks.
#[derive(Default)]
pub(crate) struct Leaping(AtomicI64);

impl Clock for Leaping {
    fn unix_ms(&self) -> i64 {
        SystemClock.unix_ms() + self.0.fetch_add(60_000, Ordering::Relaxed)
    }

    fn ticks_ms(&self) -> i64 {
        SystemClock.ticks_ms()
    }
}

/// The caller that this name stands for, the same in every world.
pub(crate) fn caller(name: &str) -> Caller {
    let sign_in = SignInHash::of(name.as_bytes());
    let id: [u8; 16] = *sign_in.bytes().first_chunk().unwrap();
    Caller { user: UserId::from_bytes(id), sign_in }
}

impl World {
    /// A server over the store that this run is about: memory, or PostgreSQL.
    pub(crate) async fn new() -> Self {
        Self::with(wide_limits()).await
    }

    /// The same with these limits.
    pub(crate) async fn with(limits: Limits) -> Self {
        let place = Place::new().await;
        if place.url.is_none() {
            return Self::in_memory_with(limits).await;
        }
        let mut world = Self::over_with(&place, limits).await;
        world.place = Some(place);
        world
    }

    /// A server over memory, whose commits a story can make fail.
    pub(crate) async fn in_memory() -> Self {
        Self::in_memory_with(wide_limits()).await
    }

    /// The same with these limits.
    pub(crate) async fn in_memory_with(limits: Limits) -> Self {
        Self::of(limits, Arc::new(SystemClock)).await
    }

    /// A server over memory that goes by this clock.
    pub(crate) async fn in_memory_by(clock: Arc<dyn Clock>) -> Self {
        Self::of(wide_limits(), clock).await
    }

    async fn of(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let now = clock.unix_ms();
        let memory = Arc::new(MemoryHistory::new(rules(&limits), &mut SeededChance::new(1), now));
        let accounts = Accounts::Memory(Arc::clone(&memory));
        let history: Arc<dyn History> = memory.clone();
        Self::start(runtime(), (history, Some(memory), accounts), limits, clock).await
    }

    /// A server over the database in this place.
    pub(crate) async fn over(place: &Place) -> Self {
        Self::over_with(place, wide_limits()).await
    }

    async fn over_with(place: &Place, limits: Limits) -> Self {
        let (runtime, rules) = (runtime(), rules(&limits));
        let (folder, url) = (place.data.clone(), place.url.clone());
        let opened = runtime.spawn(async move {
            let db = Arc::new(open(&folder, url.as_deref()).await);
            let (chance, now) = (&mut SystemChance, SystemClock.unix_ms());
            let history = SqlHistory::open(Arc::clone(&db), rules, chance, now).await.unwrap();
            (db, history)
        });
        let (db, history) = opened.await.unwrap();
        let store: (Arc<dyn History>, _, _) = (Arc::new(history), None, Accounts::Database(db));
        Self::start(runtime, store, limits, Arc::new(SystemClock)).await
    }

    async fn start(
        runtime: Runtime,
        (history, memory, accounts): (Arc<dyn History>, Option<Arc<MemoryHistory>>, Accounts),
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let limits = Arc::new(limits);
        let started = runtime.spawn(async move {
            let (chance, written) = (Box::new(SystemChance), Arc::clone(&history));
            let (writer, _task) = Writer::start(written, Arc::clone(&clock), chance);
            let reading = Arc::clone(&history);
            let shedding = Shedding::default();
            let rooms = Rooms::new(
                reading,
                writer,
                Arc::clone(&clock),
                Arc::clone(&limits),
                shedding.clone(),
            );
            let hub = Hub::new(Arc::clone(&clock));
            let timers = Timers::start(Arc::clone(&clock));
            let shared = SharedReads::new(Arc::clone(&history));
            let engine = Engine { rooms, hub, history, shared, clock, timers, limits, shedding };
            let engine = Arc::new(engine);
            let state = Arc::clone(&engine);
            let door = Router::new().route("/ws/{name}", get(upgrade)).with_state(state);
            let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let addr = listener.local_addr().unwrap();
            let time = Duration::from_secs(10);
            let (connections, per_address) = (4_096, u32::MAX);
            let allowed = Allowed { time, connections, per_address, proxies: Vec::new() };
            let (never, stop) = watch::channel(false);
            tokio::spawn(Watch::new(Arc::clone(&engine)).live(stop.clone()));
            tokio::spawn(async move {
                listen::serve(listener, door, allowed, stop).await;
                drop(never);
            });
            (addr, engine)
        });
        let (addr, engine) = started.await.unwrap();
        Self { place: None, addr, engine, memory, accounts, runtime: Some(runtime) }
    }

    /// Makes the account that this name stands for, unless it is there.
    pub(crate) async fn account(&self, name: &str) -> UserId {
        let Caller { user, sign_in } = caller(name);
        let now = self.engine.clock.unix_ms();
        let account = Account {
            user: UserRecord {
                id: user,
                name: DisplayName::cut(name),
                rank: Rank::Guest,
                created_at: now,
                disabled_at: None,
            },
            sign_in: SignInRecord {
                hash: sign_in,
                user,
                generation: 0,
                created_at: now,
                seen_at: now,
                expires_at: i64::MAX,
                revoked_at: None,
            },
        };
        let epoch = SystemChance.epoch();
        match &self.accounts {
            Accounts::Memory(memory) => {
                if memory.arrival(user, None).await.unwrap().is_none() {
                    memory.add_account(&account, epoch);
                }
            }
            Accounts::Database(db) => {
                if accounts::by_sign_in(db, sign_in, now).await.unwrap().is_none() {
                    accounts::make(db, &account, epoch).await.unwrap();
                }
            }
        }
        user
    }

    /// Ends the server between two lines of its code, as SIGKILL does; what was not committed is
    /// lost with it.
    pub(crate) fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Opens the store; the one before may still be closing its files.
async fn open(folder: &Path, url: Option<&str>) -> Db {
    for _ in 0..500 {
        match stores::open(folder, url).await {
            Ok(db) => return db,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    stores::open(folder, url).await.unwrap()
}

async fn upgrade(
    State(engine): State<Arc<Engine>>,
    Segment(name): Segment<String>,
    handshake: Handshake,
) -> Response {
    socket::upgrade(&engine, caller(&name), Held::default(), handshake)
}
