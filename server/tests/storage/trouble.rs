//! When the store cannot write: a full disk, a lock that somebody else holds, a server that goes
//! away, a commit whose answer does not come.
//!
//! Its law: what is not stored is said to be so in time, what may be stored is said to be unknown,
//! reading goes on where it can, and nothing has to be started again.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use protocol::ids::RoomId;
use protocol::refusal::RetryReason;
use server::clock::SeededChance;
use server::db::OpenFault;
use server::history::{History, Outcome, Pending};

use crate::postgres::over_postgres;
use crate::stores::Place;
use crate::world::{House, NOW_MS, accepted, account, op, post};

const SECOND_MS: i64 = 1_000;

/// A disk of twelve MiB that ends with it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Nothing where this user may not make one.
    fn under(place: &Place) -> Option<Self> {
        std::fs::create_dir(&place.data).unwrap();
        let path = place.data.clone();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=12m,mode=0700", "wasmchannel-test"]).arg(&path);
        mount.status().is_ok_and(|done| done.success()).then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn batch(lobby: RoomId, first: u16) -> Vec<Pending> {
    (first..first + 64).map(|number| op(0, number, post(lobby, &"a".repeat(90)))).collect()
}

#[tokio::test]
async fn a_full_disk_makes_the_store_read_only_until_there_is_room() {
    let place = Place::file();
    let Some(disk) = SmallDisk::under(&place) else {
        eprintln!("not tried: this user may not mount a small disk");
        return;
    };
    let filler = disk.0.join("filler");
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

#[tokio::test]
async fn a_server_that_ends_our_connections_loses_nothing_that_was_accepted() {
    let mut chance = SeededChance::new(1);
    let Some(house) = over_postgres(&mut chance).await else { return };
    let lobby = house.lobby().await;
    let mut accepted_count = 0;
    for round in 0..20 {
        let ending = "select pg_terminate_backend(pid) from pg_stat_activity \
            where application_name = current_setting('application_name') \
            and pid <> pg_backend_pid()";
        let batch = batch(lobby, round * 64);
        let (outcome, ()) = tokio::join!(
            house.history.commit(&batch, &mut chance, NOW_MS),
            house.place.write("", ending)
        );
        let answers = match outcome {
            Outcome::Committed(answers) => answers,
            Outcome::Failed(RetryReason::Unavailable) | Outcome::Unknown => {
                resent(&house, &batch).await
            }
            other => panic!("{other:?}"),
        };
        accepted_count += answers.iter().map(accepted).count();
    }
    assert_eq!(accepted_count, 20 * 64);
    assert_eq!(house.tables().await.messages.len(), 20 * 64);
}

/// What a client does whose op was not answered: it sends it again.
pub(crate) async fn resent(house: &House, batch: &[Pending]) -> Vec<server::history::Answer> {
    let mut chance = SeededChance::new(5);
    for _ in 0..100 {
        if let Outcome::Committed(answers) = house.history.commit(batch, &mut chance, NOW_MS).await
        {
            return answers;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the store does not come back")
}

#[tokio::test]
async fn a_commit_that_is_not_answered_is_unknown_and_is_found_when_it_is_sent_again() {
    let mut chance = SeededChance::new(1);
    let Some(house) = over_postgres(&mut chance).await else { return };
    let lobby = house.lobby().await;
    let slow = "create function dawdle() returns trigger language plpgsql as \
        $$ begin perform pg_sleep(7); return null; end $$; \
        create constraint trigger dawdle after insert on messages \
        deferrable initially deferred for each row execute function dawdle()";
    house.place.write("", slow).await;
    let said = [op(0, 1, post(lobby, "hello"))];
    let begun = Instant::now();
    let outcome = house.history.commit(&said, &mut chance, NOW_MS).await;
    assert_eq!(outcome, Outcome::Unknown);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    let answers = resent(&house, &said).await;
    assert_eq!(accepted(&answers[0]).seq, 2);
    assert_eq!(answers[0].events, [], "it was stored the first time");
    assert_eq!(house.tables().await.messages.len(), 1);
}

#[tokio::test]
async fn a_server_that_may_forget_what_it_commits_is_refused() {
    let place = Place::new().await;
    let Some(url) = &place.url else { return };
    let forgetful = format!("{url}%20-c%20synchronous_commit%3Doff");
    let opened = crate::stores::open(&place.data, Some(&forgetful)).await;
    let Err(OpenFault::Database(words)) = opened else { panic!("{opened:?}") };
    assert!(words.contains("synchronous_commit"), "{words}");
}
