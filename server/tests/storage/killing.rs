//! Kills: what was accepted is there after SIGKILL, at its number, and the file is whole; and what
//! is given up half way leaves the store whole.
//!
//! The test starts itself as a child that commits and says what was accepted, and kills it in the
//! middle; a kill tests the process, not the disk (a power cut is another test).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use server::clock::{SeededChance, SystemChance};
use server::db::accounts;
use server::history::sql::SqlHistory;
use server::history::{History, Outcome};

use crate::rows;
use crate::stores::{self, Place};
use crate::world::{House, NOW_MS, RULES, accepted, account, op, post};

const FOLDER: &str = "WASMCHANNEL_TEST_FOLDER";
const URL: &str = "WASMCHANNEL_TEST_URL";
const FIRST: &str = "WASMCHANNEL_TEST_FIRST";
const KILL_COUNT: u16 = 5;
const ACCEPTED_BEFORE_A_KILL: usize = 60;

#[test]
fn what_was_accepted_survives_kills_at_its_number() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = runtime.block_on(Place::new());
    let mut said: BTreeMap<u16, u64> = BTreeMap::new();
    for kill in 0..KILL_COUNT {
        kill_in_the_middle(&place, kill * 4_000, &mut said);
    }
    assert!(said.len() >= usize::from(KILL_COUNT) * ACCEPTED_BEFORE_A_KILL);

    runtime.block_on(async {
        let file = place.rows().await;
        let mut past = stores::connect(&file).await;
        let check: String =
            sqlx::query_scalar("pragma integrity_check").fetch_one(&mut past).await.unwrap();
        assert_eq!(check, "ok");
        let tables = rows::tables(&file).await;
        for (number, seq) in &said {
            let pending = op(0, *number, post(tables.rooms.keys().next().copied().unwrap(), ""));
            let stored = &tables.ops[&pending.key()];
            assert_eq!(stored.seq, *seq, "op {number}");
            let event = &tables.events[&(stored.log, *seq)].envelope;
            assert_eq!(event.op_id, pending.op.op_id);
        }
        let head = tables.logs.values().map(|log| log.head).max().unwrap();
        assert_eq!(u64::try_from(tables.events.len()).unwrap(), head, "no gap, nothing twice");
    });
}

/// Starts the child, hears what was accepted, and kills it while it goes on.
fn kill_in_the_middle(place: &Place, first: u16, said: &mut BTreeMap<u16, u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killing::the_child_that_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, &place.data)
        .env(URL, place.url.as_deref().unwrap_or_default())
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut heard = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((number, seq)) = line.strip_prefix("accepted ").and_then(|l| l.split_once(' '))
        {
            assert_eq!(said.insert(number.parse().unwrap(), seq.parse().unwrap()), None);
            heard += 1;
        }
        if heard == ACCEPTED_BEFORE_A_KILL {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(heard >= ACCEPTED_BEFORE_A_KILL, "the child said {heard}");
}

#[test]
#[ignore = "runs only as the child of the test above"]
fn the_child_that_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let first: u16 = std::env::var(FIRST).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = std::env::var(URL).ok().filter(|url| !url.is_empty());
        let db = stores::open(Path::new(&folder), url.as_deref()).await.unwrap();
        let db = Arc::new(db);
        let mut chance = SystemChance;
        let history = SqlHistory::open(Arc::clone(&db), RULES, &mut chance, NOW_MS).await.unwrap();
        let known = account(0);
        if accounts::by_sign_in(&db, known.sign_in.hash, NOW_MS).await.unwrap().is_none() {
            accounts::make(&db, &known, 1).await.unwrap();
        }
        let lobby = history.room_by_key("lobby").await.unwrap().unwrap().id;
        for number in (first..first + 4_000).step_by(3) {
            let batch = [0, 1, 2].map(|more| op(0, number + more, post(lobby, "hello")));
            let outcome = history.commit(&batch, &mut chance, NOW_MS).await;
            let Outcome::Committed(answers) = outcome else { panic!("{outcome:?}") };
            for (answer, number) in answers.iter().zip(number..) {
                println!("accepted {number} {}", accepted(answer).seq);
            }
            std::io::stdout().flush().unwrap();
        }
    });
}

#[tokio::test]
async fn a_read_that_is_given_up_leaves_the_pool_whole() {
    let house = House::new(&mut SeededChance::new(1)).await;
    let lobby = house.lobby().await;
    for _ in 0..50 {
        let read = house.history.snapshot(None, lobby);
        let _ = tokio::time::timeout(std::time::Duration::from_micros(50), read).await;
    }
    assert!(house.history.snapshot(None, lobby).await.unwrap().is_some());
}

#[tokio::test]
async fn a_write_that_is_given_up_is_whole_or_absent_and_the_writer_goes_on() {
    let house = House::new(&mut SeededChance::new(1)).await;
    for person in 10..60_u8 {
        let known = account(person);
        let make = accounts::make(&house.db, &known, 1);
        let patience = std::time::Duration::from_micros(u64::from(person) * 20);
        let _ = tokio::time::timeout(patience, make).await;
    }
    accounts::make(&house.db, &account(60), 1).await.unwrap();
    let tables = house.tables().await;
    assert_eq!(tables.users.len(), tables.sign_ins.len());
    for user in tables.users.keys() {
        assert!(tables.logs.contains_key(&user.log()));
    }
}
