//! What only a server of PostgreSQL has: a lock that can be lost, and settings of its own.
//!
//! In a run over SQLite there is nothing to try.

use std::collections::BTreeMap;
use std::iter;
use std::time::{Duration, Instant};

use protocol::refusal::RetryReason;
use server::clock::SeededChance;
use server::db::OpenFault;
use server::db::locks::{self, Accounts};
use server::history::{History, Outcome};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

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
        let (before, begun) = (guard(&house).await, Instant::now());
        house.place.write("", END_GUARD).await;
        let answers = resent(&house, &[op(0, number, post(lobby, "hello"))]).await;
        accepted(&answers[0]);
        while guard(&house).await.is_none_or(|now| Some(now) == before) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(begun.elapsed() < Duration::from_secs(5), "it is not ours again");
        }
        let second = house.place.open().await;
        assert!(matches!(second, Err(OpenFault::Shared)), "{second:?}");
        assert!(house.db.answers().await);
    }
}

/// The process of the server that has the lock, if there is one.
async fn guard(house: &House) -> Option<i32> {
    let mut past = PgConnection::connect(house.place.url.as_ref().unwrap()).await.unwrap();
    let text = "select pid from pg_locks join pg_stat_activity using (pid) \
        where locktype = 'advisory' and granted \
        and application_name = current_setting('application_name')";
    sqlx::query_scalar(text).fetch_optional(&mut past).await.unwrap()
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
    // The server gives the lock to the next before it closes the socket of who had it.
    let (begun, refused) = (Instant::now(), Outcome::Failed(RetryReason::Unavailable));
    while house.db.answers().await {
        assert!(begun.elapsed() < Duration::from_secs(1), "the loss is not heard");
    }
    for number in 0..20 {
        let said = [op(0, number, post(lobby, "hello"))];
        assert_eq!(house.history.commit(&said, &mut chance, NOW_MS).await, refused);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(tokio::time::timeout(Duration::ZERO, house.db.lost()).await.is_err(), "nor over");

    // As a process does that begins and ends again.
    house.place.write("", "update tenures set number = number + 1").await;
    drop(other);
    tokio::time::timeout(Duration::from_secs(3), house.db.lost()).await.unwrap();
    let said = [op(0, 30, post(lobby, "hello"))];
    assert_eq!(house.history.commit(&said, &mut chance, NOW_MS).await, refused);
    assert_eq!(house.place.count("messages").await, 0);
}

/// What each of the house's own settings was on the connection that wrote.
async fn settings(house: &House) -> BTreeMap<String, String> {
    let mut past = PgConnection::connect(house.place.url.as_ref().unwrap()).await.unwrap();
    let rows = sqlx::query("select name, value from seen").fetch_all(&mut past).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn every_connection_asks_the_server_to_give_up_who_is_silent() {
    let mut chance = SeededChance::new(1);
    let Some(house) = over_postgres(&mut chance).await else { return };
    let lobby = house.lobby().await;
    // On a socket of the file system those of TCP are shown as 0; what was asked for is the other.
    let look = "create table seen (name text, value text); \
        create function look() returns trigger language plpgsql as $$ begin \
        insert into seen select name, reset_val from pg_settings where source = 'client'; \
        insert into seen values ('lock_timeout', current_setting('lock_timeout')); \
        return null; end $$; \
        create trigger look after insert on messages for each statement execute function look()";
    house.place.write("", look).await;
    house.answers(&[op(0, 1, post(lobby, "hello"))], &mut chance).await;
    let seen = settings(&house).await;
    for (name, value) in [
        ("statement_timeout", "10000"),
        ("idle_in_transaction_session_timeout", "10000"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "25000"),
        ("lock_timeout", "2s"),
    ] {
        assert_eq!(seen.get(name).map(String::as_str), Some(value), "{name}: {seen:?}");
    }
}

#[tokio::test]
async fn a_transaction_that_nobody_goes_on_with_does_not_keep_its_room() {
    let mut chance = SeededChance::new(1);
    let Some(house) = over_postgres(&mut chance).await else { return };
    let lobby = house.lobby().await;
    let mut silent = house.db.write().await.unwrap();
    let (nobody, logs) = ((iter::empty(), Accounts::Read), iter::once(lobby.log()));
    locks::take(&mut silent, nobody, logs, iter::empty()).await.unwrap();
    let (said, begun) = ([op(0, 1, post(lobby, "hello"))], Instant::now());
    let refused = house.history.commit(&said, &mut chance, NOW_MS).await;
    assert_eq!(refused, Outcome::Failed(RetryReason::Unavailable));
    accepted(&resent(&house, &said).await[0]);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(silent.unbroken().await.unwrap().commit().await.is_err(), "it was given up");
}
