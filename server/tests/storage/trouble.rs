//! When the store cannot write: a full disk, a lock that somebody else holds. What only a server of
//! its own can do to it stands in `postgres`.
//!
//! Its law: what is not stored is said to be so in time, what may be stored is said to be unknown,
//! reading goes on where it can, and nothing has to be started again.

use std::process::Command;
use std::time::{Duration, Instant};

use protocol::ids::RoomId;
use protocol::refusal::RetryReason;
use server::clock::SeededChance;
use server::history::{History, Outcome, Pending};

use crate::small_disk::SmallDisk;
use crate::stores::Place;
use crate::world::{House, NOW_MS, accepted, account, op, post};

const SECOND_MS: i64 = 1_000;
/// The story below as the test's own program names it.
const FULL_DISK: &str = "trouble::a_full_disk_makes_the_store_read_only_until_there_is_room";
/// Set for the child that tries it in a namespace.
const IN_NAMESPACE: &str = "WASMCHANNEL_TEST_NAMESPACE";

fn batch(lobby: RoomId, first: u16) -> Vec<Pending> {
    (first..first + 64).map(|number| op(0, number, post(lobby, &"a".repeat(90)))).collect()
}

/// Tries it as the root of a namespace: a user who may not mount may do it there, where he may have
/// one. What cannot be tried has failed.
fn try_in_a_namespace() {
    let mut again = Command::new("unshare");
    again.args(["--map-root-user", "--mount"]).arg(std::env::current_exe().unwrap());
    again.args(["--exact", FULL_DISK, "--nocapture"]).env(IN_NAMESPACE, "1");
    let is_tried = again.status().is_ok_and(|done| done.success());
    assert!(
        is_tried,
        "it needs a small disk: this user may mount none, nor in a namespace; be root"
    );
}

#[tokio::test]
async fn a_full_disk_makes_the_store_read_only_until_there_is_room() {
    let place = Place::file();
    let Some(disk) = SmallDisk::under(&place.data, 12) else {
        assert!(std::env::var_os(IN_NAMESPACE).is_none(), "no small disk in the namespace either");
        return try_in_a_namespace();
    };
    let filler = disk.path().join("filler");
    let mut chance = SeededChance::new(1);
    let house = House::at(place, &mut chance).await;
    let lobby = house.lobby().await;
    let mut stored = Vec::new();
    for first in (0..).step_by(64).take(4) {
        stored.extend(house.answers(&batch(lobby, first), &mut chance).await);
    }
    let free = house.db.space().unwrap().free;
    std::fs::write(&filler, vec![1; usize::try_from(free - 300 * 1024).unwrap()]).unwrap();

    let mut first = 4 * 64;
    let refused = loop {
        match house.history.commit(&batch(lobby, first), &mut chance, NOW_MS).await {
            Outcome::Committed(answers) => stored.extend(answers),
            other => break other,
        }
        first += 64;
        assert!(first < 40_000, "the disk never fills");
    };
    let full = Outcome::Failed(RetryReason::DiskFull);
    assert_eq!(refused, full);
    let again = |at| {
        let (history, batch) = (&house.history, batch(lobby, first));
        async move { history.commit(&batch, &mut SeededChance::new(7), at).await }
    };
    assert_eq!(again(NOW_MS + SECOND_MS).await, full);
    assert_eq!(again(NOW_MS + 6 * SECOND_MS).await, full, "looked at, and still full");
    let reader = Some(account(0).user.id);
    assert!(house.history.snapshot(reader, lobby).await.unwrap().is_some(), "reading goes on");
    assert_eq!(house.history.page(lobby.log(), 1).await.unwrap().len(), 100);
    assert!(house.history.is_disk_full(NOW_MS + 7 * SECOND_MS));

    std::fs::remove_file(&filler).unwrap();
    assert_eq!(again(NOW_MS + 10 * SECOND_MS).await, full, "it is looked at every five seconds");
    let Outcome::Committed(answers) = again(NOW_MS + 11 * SECOND_MS).await else {
        panic!("there is room again")
    };
    stored.extend(answers);
    let tables = house.tables().await;
    for answer in &stored {
        let accepted = accepted(answer);
        assert_eq!(tables.events[&(accepted.log, accepted.seq)].envelope.id, accepted.id);
    }
    assert_eq!(tables.messages.len(), stored.len());
    house.db.close().await;
}

/// Somebody else holds what every batch needs.
async fn held(house: &House) -> Box<dyn Send> {
    let begin = "begin immediate";
    let lock = "begin; lock table logs in access exclusive mode";
    house.place.hold(begin, lock).await
}

#[tokio::test]
async fn a_store_that_is_locked_is_away_in_time_and_back_at_once() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    let lobby = house.lobby().await;
    let hold = held(&house).await;
    let begun = Instant::now();
    let outcome = house.history.commit(&batch(lobby, 0), &mut chance, NOW_MS).await;
    assert_eq!(outcome, Outcome::Failed(RetryReason::Unavailable));
    assert!(begun.elapsed() < Duration::from_millis(3_500), "{:?}", begun.elapsed());
    drop(hold);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(house.answers(&batch(lobby, 0), &mut chance).await.len(), 64);
    assert_eq!(house.tables().await.messages.len(), 64);
}
