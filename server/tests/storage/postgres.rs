//! What only a server of PostgreSQL has: a lock that can be lost, and settings of its own.
//!
//! In a run over SQLite there is nothing to try.

use std::time::{Duration, Instant};

use protocol::refusal::RetryReason;
use server::clock::SeededChance;
use server::db::OpenFault;
use server::history::{History, Outcome};

use crate::stores::Place;
use crate::trouble::resent;
use crate::world::{House, NOW_MS, accepted, op, post};

/// A house over PostgreSQL; nothing in a run over SQLite, which has no server to lose.
pub(crate) async fn over_postgres(chance: &mut SeededChance) -> Option<House> {
    let place = Place::new().await;
    place.url.as_ref()?;
    Some(House::at(place, chance).await)
}

/// Ends the connection that has the store's lock.
const END_GUARD: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
    where application_name = current_setting('application_name') \
    and pid in (select pid from pg_locks where locktype = 'advisory' and granted)";
/// Takes the lock that it had.
const TAKE: &str =
    "select pg_advisory_lock(hashtextextended(current_schema(), 8602283676910772590))";

#[tokio::test]
async fn a_lost_lock_that_nobody_took_is_ours_again() {
    let mut chance = SeededChance::new(1);
    let Some(house) = over_postgres(&mut chance).await else { return };
    let lobby = house.lobby().await;
    for number in 0..3 {
        house.place.write("", END_GUARD).await;
        let begun = Instant::now();
        let answers = resent(&house, &[op(0, number, post(lobby, "hello"))]).await;
        accepted(&answers[0]);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        while !house.db.answers().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(begun.elapsed() < Duration::from_secs(5), "it is not ours again");
        }
        let second = house.place.open().await;
        assert!(matches!(second, Err(OpenFault::Shared)), "{second:?}");
    }
}

#[tokio::test]
async fn nothing_is_written_while_somebody_else_may_have_the_database() {
    let mut chance = SeededChance::new(1);
    let Some(house) = over_postgres(&mut chance).await else { return };
    let lobby = house.lobby().await;
    // Whoever waits for the lock has it as soon as it is lost.
    let waiting = house.place.hold("", TAKE);
    let (other, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        house.place.write("", END_GUARD).await;
    });
    let refused = Outcome::Failed(RetryReason::Unavailable);
    for number in 0..20 {
        let said = [op(0, number, post(lobby, "hello"))];
        assert_eq!(house.history.commit(&said, &mut chance, NOW_MS).await, refused);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!house.db.answers().await, "it is not ready");
    assert!(tokio::time::timeout(Duration::ZERO, house.db.lost()).await.is_err(), "nor over");

    // As a process does that begins and ends again.
    house.place.write("", "update tenures set number = number + 1").await;
    drop(other);
    tokio::time::timeout(Duration::from_secs(3), house.db.lost()).await.unwrap();
    let said = [op(0, 30, post(lobby, "hello"))];
    assert_eq!(house.history.commit(&said, &mut chance, NOW_MS).await, refused);
    assert_eq!(house.place.count("messages").await, 0);
}
