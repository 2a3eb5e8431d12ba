//! How fast batches are stored, against a floor in the same run: the same rows put into the same
//! tables by rusqlite, with prepared single-row inserts, one transaction a batch and no reads.
//!
//! Run by `cargo bench -p engine -p server --bench storing` and by `make test`, which it fails below
//! a bound. The two take turns, and the median of the turns' ratios counts: a busy machine slows
//! both.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says by its panic what is wrong, and prints what it found"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::clock::{Chance, SeededChance};
use engine::db::Db;
use engine::db::accounts::{self, Account};
use engine::db::people::{SignInRecord, UserRecord};
use engine::history::judge::payload_hash;
use engine::history::sql::SqlHistory;
use engine::history::{Answer, History, Outcome, Pending, Rules, SignInHash};
use protocol::act::{Act, Op, Post};
use protocol::ids::{DeviceId, OpId, RoomId, UserId};
use protocol::model::{DisplayName, MessageText, Rank};
use rusqlite::{Connection, params};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const NOW_MS: i64 = 1_800_000_000_000;
const RULES: Rules = Rules { text_chars_max: 10_000, rooms_max: 1_000 };
/// Turns of each; their number is even, so the median is the mean of two.
const TURN_COUNT: usize = 12;
/// The least that one room's batches of 64 may reach of the floor.
const RATIO_MIN: f64 = 0.35;
const TEXT: &str = "What is said here is stored before anybody hears of it, as everywhere else.";

/// A way of writing: how many ops a batch, over how many rooms, how many batches a turn.
struct Load {
    name: &'static str,
    ops: usize,
    rooms: usize,
    batches: usize,
}

const LOADS: [Load; 4] = [
    Load { name: "one room, batches of 64", ops: 64, rooms: 1, batches: 30 },
    Load { name: "one room, batches of 1", ops: 1, rooms: 1, batches: 60 },
    Load { name: "one room, batches of 256", ops: 256, rooms: 1, batches: 10 },
    Load { name: "100 rooms, batches of 256", ops: 256, rooms: 100, batches: 10 },
];

fn main() {
    let ratios = LOADS.map(|load| measured(&load));
    assert!(
        ratios[0] >= RATIO_MIN,
        "{}: {:.2} of the floor, which is below {RATIO_MIN}",
        LOADS[0].name,
        ratios[0]
    );
}

/// Runs a load by turns and gives the median ratio of the house to its floor.
fn measured(load: &Load) -> f64 {
    let mut house = House::new(load.rooms);
    let mut floor = Floor::beside(&house);
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    // The first turn warms both up and is not counted.
    for turn in 0..=TURN_COUNT {
        let batches: Vec<Vec<Pending>> = (0..load.batches).map(|_| house.batch(load.ops)).collect();
        let (took, answers) = house.commit(&batches);
        let floor_took = floor.insert(&batches, &answers);
        if turn > 0 {
            let count = f64::from(u32::try_from(load.ops * load.batches).unwrap());
            ours.push(count / took.as_secs_f64());
            theirs.push(count / floor_took.as_secs_f64());
            ratios.push(floor_took.as_secs_f64() / took.as_secs_f64());
        }
    }
    let (ratio, ours, theirs) = (median(&mut ratios), median(&mut ours), median(&mut theirs));
    println!(
        "{:<28} {ours:>9.0} ops/s, floor {theirs:>9.0}, ratio {ratio:.2} [{:.2} to {:.2}]",
        load.name,
        ratios[0],
        ratios[TURN_COUNT - 1],
    );
    ratio
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    f64::midpoint(values[middle - 1], values[middle])
}

/// The house's way, from judging to the commit.
struct House {
    folder: TempDir,
    runtime: Runtime,
    history: SqlHistory,
    chance: SeededChance,
    rooms: Vec<RoomId>,
    author: UserId,
    sign_in: SignInHash,
    made: usize,
}

impl House {
    fn new(room_count: usize) -> Self {
        // Not where temporary files go: that may be no disk.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mut chance = SeededChance::new(1);
        let author = UserId::from_bytes([7; 16]);
        let account = account(author);
        let sign_in = account.sign_in.hash;
        let history = runtime.block_on(async {
            let db = Arc::new(Db::open(folder.path()).await.unwrap());
            let history = SqlHistory::open(Arc::clone(&db), RULES, &mut chance, NOW_MS).await;
            accounts::make(&db, &account, 1).await.unwrap();
            history.unwrap()
        });
        let rooms = Vec::new();
        let mut house = Self { folder, runtime, history, chance, rooms, author, sign_in, made: 0 };
        house.make_rooms(room_count);
        house
    }

    fn make_rooms(&mut self, count: usize) {
        for number in 0..count {
            let name = protocol::model::RoomName::new(format!("room {number}")).unwrap();
            let create = self.op(Act::Create(protocol::act::Create { name }));
            let (_, answers) = self.commit(&[vec![create]]);
            self.rooms.push(answers[0][0].events[0].log.room().unwrap());
        }
    }

    fn op(&mut self, act: Act) -> Pending {
        self.made += 1;
        let op_id = OpId::make(NOW_MS, self.chance.id_bytes());
        let device = DeviceId::from_bytes([3; 16]);
        let (author, sign_in) = (self.author, self.sign_in);
        Pending { author, sign_in, device, op: Op { op_id, act }, check_only: false }
    }

    fn batch(&mut self, op_count: usize) -> Vec<Pending> {
        let posts = (0..op_count).map(|number| {
            let room = self.rooms[number % self.rooms.len()];
            let text = MessageText::new(format!("{} {TEXT}", self.made)).unwrap();
            self.op(Act::Post(Post { room, text }))
        });
        posts.collect()
    }

    fn commit(&mut self, batches: &[Vec<Pending>]) -> (Duration, Vec<Vec<Answer>>) {
        let (history, chance) = (&self.history, &mut self.chance);
        self.runtime.block_on(async {
            let begun = Instant::now();
            let mut answers = Vec::with_capacity(batches.len());
            for batch in batches {
                match history.commit(batch, chance, NOW_MS).await {
                    Outcome::Committed(committed) => answers.push(committed),
                    other => panic!("{other:?}"),
                }
            }
            (begun.elapsed(), answers)
        })
    }
}

fn account(user: UserId) -> Account {
    Account {
        user: UserRecord {
            id: user,
            name: DisplayName::new("somebody").unwrap(),
            rank: Rank::User,
            created_at: NOW_MS,
            disabled_at: None,
        },
        sign_in: SignInRecord {
            hash: SignInHash::of(b"somebody"),
            user,
            generation: 0,
            created_at: NOW_MS,
            seen_at: NOW_MS,
            expires_at: i64::MAX,
            revoked_at: None,
        },
    }
}

/// The floor: rusqlite over a copy of the house's file, with the house's pragmas.
struct Floor {
    connection: Connection,
    _folder: TempDir,
}

impl Floor {
    fn beside(house: &House) -> Self {
        let folder = tempfile::tempdir_in(house.folder.path()).unwrap();
        let copy = folder.path().join("floor.db");
        let original = Connection::open(house.folder.path().join("wasmchannel.db")).unwrap();
        original.execute("vacuum into ?1", [path(&copy)]).unwrap();
        let connection = Connection::open(&copy).unwrap();
        for pragma in [
            "pragma journal_mode = wal",
            "pragma synchronous = full",
            "pragma foreign_keys = on",
            "pragma secure_delete = on",
        ] {
            let mut statement = connection.prepare(pragma).unwrap();
            let mut rows = statement.query([]).unwrap();
            while rows.next().unwrap().is_some() {}
        }
        Self { connection, _folder: folder }
    }

    fn insert(&mut self, batches: &[Vec<Pending>], answers: &[Vec<Answer>]) -> Duration {
        let begun = Instant::now();
        for (batch, answers) in batches.iter().zip(answers) {
            self.insert_batch(batch, answers);
        }
        begun.elapsed()
    }

    fn insert_batch(&mut self, batch: &[Pending], answers: &[Answer]) {
        let immediate = rusqlite::TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(immediate).unwrap();
        {
            let prepare = |text| transaction.prepare_cached(text).unwrap();
            let mut events = prepare("insert into events values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
            let mut ops = prepare("insert into ops values (?, ?, ?, ?, ?, ?, ?, ?)");
            let mut messages = prepare("insert into messages values (?, ?, ?, ?, ?, ?, ?, ?)");
            for (pending, answer) in batch.iter().zip(answers) {
                let event = &answer.events[0];
                let Act::Post(said) = &pending.op.act else { panic!("only posts are measured") };
                let (log, id, author) = (event.log.id, event.id.bytes(), event.author.bytes());
                let (op_id, seq) = (event.op_id.bytes(), i64::try_from(event.seq).unwrap());
                let device = pending.device.bytes();
                let (kind, flags, body) = (event.kind, event.flags, &*event.body);
                let row = params![log, seq, id, kind, author, device, op_id, flags, body, event.at];
                events.execute(row).unwrap();
                let refusal: Option<String> = None;
                let hash = payload_hash(pending);
                let row = params![author, op_id, hash, refusal, log, seq, id, event.at];
                ops.execute(row).unwrap();
                let text: &str = &said.text;
                let row = params![log, seq, id, author, "somebody", op_id, text, event.at];
                messages.execute(row).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a temporary folder's name is text")
}
