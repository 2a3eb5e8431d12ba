//! The house that is measured: the real engine over memory, behind a bare door, in one thread.
//!
//! Made by `fanout` and `idle`. Its law: no limit of the house is met, and all that it does happens
//! in the thread whose CPU is counted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use protocol::act::{Act, Op, Post};
use protocol::ids::{DeviceId, OpId, RoomId, UserId};
use protocol::model::{DisplayName, MessageText, Rank};
use server::clock::{Chance, Clock, SeededChance, SystemChance, SystemClock};
use server::config::Limits;
use server::db::accounts::Account;
use server::db::people::{SignInRecord, UserRecord};
use server::history::judge::Rules;
use server::history::memory::MemoryHistory;
use server::history::shared::SharedReads;
use server::history::writer::Writer;
use server::history::{History, Pending, SignInHash, Verdict};
use server::http::listen::{self, Allowed};
use server::hub::Hub;
use server::overload::Shedding;
use server::rooms::Rooms;
use server::socket::{self, Caller, Engine, Handshake, Held, Timers};
use server::throttle::Gauge;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// A house that runs in a thread of its own.
pub(crate) struct House {
    pub(crate) addr: SocketAddr,
    pub(crate) engine: Arc<Engine>,
    pub(crate) lobby: RoomId,
    runtime: Handle,
    task: PathBuf,
}

#[derive(Clone)]
struct Door {
    engine: Arc<Engine>,
    sockets: Arc<Gauge<()>>,
}

/// The caller of this number.
pub(crate) fn caller(number: u32) -> Caller {
    let sign_in = SignInHash::of(&number.to_le_bytes());
    let id: [u8; 16] = *sign_in.bytes().first_chunk().unwrap();
    Caller { user: UserId::from_bytes(id), sign_in }
}

impl House {
    /// Opens a house with so many accounts.
    pub(crate) fn open(accounts: u32) -> Self {
        let (opened, house) = mpsc::channel();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (engine, lobby) = engine(accounts).await;
                let door = Door { engine: Arc::clone(&engine), sockets: Arc::default() };
                let router = Router::new().route("/ws/{number}", get(upgrade)).with_state(door);
                let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
                let (addr, task) = (listener.local_addr().unwrap(), this_task());
                let (runtime, (_never, stop)) = (Handle::current(), watch::channel(false));
                opened.send(Self { addr, engine, lobby, runtime, task }).unwrap();
                let time = Duration::from_secs(10);
                let (connections, per_address) = (4_096, u32::MAX);
                let allowed = Allowed { time, connections, per_address, proxies: Vec::new() };
                listen::serve(listener, router, allowed, stop).await;
            });
        });
        house.recv().unwrap()
    }

    /// Says something in the lobby; it is spoken when this returns.
    pub(crate) fn post(&self, number: u32, text: &str) {
        let Caller { user: author, sign_in } = caller(0);
        let text = MessageText::new(text).unwrap();
        let op_id = OpId::make(i64::from(number), SystemChance.id_bytes());
        let op = Op { op_id, act: Act::Post(Post { room: self.lobby, text }) };
        let device = DeviceId::from_bytes([1; 16]);
        let pending = Pending { author, sign_in, device, op, check_only: false };
        let rooms = self.engine.rooms.clone();
        let acted = self.runtime.spawn(async move { rooms.act(pending).await });
        let verdict = self.runtime.block_on(acted).unwrap();
        assert!(matches!(verdict, Ok(Verdict::Accepted(_))), "{verdict:?}");
    }

    /// Nanoseconds of CPU that the house's thread has used.
    pub(crate) fn cpu_ns(&self) -> u64 {
        cpu_ns(&self.task)
    }
}

/// Where the calling thread's figures stand.
pub(crate) fn this_task() -> PathBuf {
    PathBuf::from("/proc").join(std::fs::read_link("/proc/thread-self").unwrap())
}

/// Nanoseconds of CPU that this thread has used.
pub(crate) fn cpu_ns(task: &std::path::Path) -> u64 {
    let figures = std::fs::read_to_string(task.join("schedstat")).unwrap();
    figures.split(' ').next().unwrap().parse().unwrap()
}

async fn engine(accounts: u32) -> (Arc<Engine>, RoomId) {
    let often = "1000000/s burst 1000000".parse().unwrap();
    let limits = Arc::new(Limits {
        sends_per_user: often,
        sends_per_room: often,
        sockets_per_user: 1,
        ..Limits::default()
    });
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rules = Rules { text_chars_max: limits.text_chars, rooms_max: limits.rooms_per_user };
    let now = clock.unix_ms();
    let memory = Arc::new(MemoryHistory::new(rules, &mut SeededChance::new(1), now));
    for number in 0..accounts {
        memory.add_account(&account(number, now), SystemChance.epoch());
    }
    let arrival = memory.arrival(caller(0).user, None).await.unwrap().unwrap();
    let lobby = arrival.rooms[0].id;
    let history: Arc<dyn History> = memory;
    let chance = Box::new(SystemChance);
    let (writer, _task) = Writer::start(Arc::clone(&history), Arc::clone(&clock), chance);
    let shedding = Shedding::default();
    let rooms = Rooms::new(
        Arc::clone(&history),
        writer,
        Arc::clone(&clock),
        Arc::clone(&limits),
        shedding.clone(),
    );
    let (hub, timers) = (Hub::new(Arc::clone(&clock)), Timers::start(Arc::clone(&clock)));
    let shared = SharedReads::new(Arc::clone(&history));
    let engine = Engine { rooms, hub, history, shared, clock, timers, limits, shedding };
    (Arc::new(engine), lobby)
}

fn account(number: u32, now: i64) -> Account {
    let Caller { user, sign_in } = caller(number);
    Account {
        user: UserRecord {
            id: user,
            name: DisplayName::cut(&format!("Guest {number}")),
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
    }
}

async fn upgrade(
    State(door): State<Door>,
    Path(number): Path<u32>,
    handshake: Handshake,
) -> Response {
    // Counted as the real door counts.
    let counted = door.sockets.enter((), u32::MAX).expect("there is no limit");
    let held = Held { until_hello: None, until_end: Some(Box::new(counted)) };
    socket::upgrade(&door.engine, caller(number), held, handshake)
}
