//! What only a server of PostgreSQL has: a lock that can be lost, connections that it ends, answers
//! that come late, and settings of its own.
//!
//! A run over SQLite has nothing to try here and counts these stories as ignored, never as passed.
//! Under `tools/postgres` they are asked for by `--ignored postgres::`.

mod outage;

use std::collections::BTreeMap;
use std::iter;
use std::time::{Duration, Instant};

use protocol::ids::RoomId;
use protocol::refusal::RetryReason;
use server::clock::SeededChance;
use server::db::OpenFault;
use server::db::locks::{self, Accounts};
use server::history::{History, Outcome, Pending};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

use crate::stores::Place;
use crate::world::{House, NOW_MS, accepted, op, post};

/// A schema of its own. Whoever asks for these stories has a server.
async fn place() -> Place {
    let place = Place::new().await;
    assert!(place.url.is_some(), "tools/postgres starts the server that this story is about");
    place
}

async fn over_postgres(chance: &mut SeededChance) -> House {
    House::at(place().await, chance).await
}

fn batch(lobby: RoomId, first: u16) -> Vec<Pending> {
    (first..first + 64).map(|number| op(0, number, post(lobby, &"a".repeat(90)))).collect()
}

/// Ends the connection that has the store's lock.
const END_GUARD: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
    where application_name = current_setting('application_name') \
    and pid in (select pid from pg_locks where locktype = 'advisory' and granted)";
/// Takes the lock that it had.
const TAKE: &str =
    "select pg_advisory_lock(hashtextextended(current_schema(), 8602283676910772590))";

#[tokio::test]
#[ignore = "needs tools/postgres"]
async fn a_lost_lock_that_nobody_took_is_ours_again() {
    let mut chance = SeededChance::new(1);
    let house = over_postgres(&mut chance).await;
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
#[ignore = "needs tools/postgres"]
async fn nothing_is_written_while_somebody_else_may_have_the_database() {
    let mut chance = SeededChance::new(1);
    let house = over_postgres(&mut chance).await;
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

#[tokio::test]
#[ignore = "needs tools/postgres"]
async fn what_was_under_way_when_a_process_ended_is_decided_before_the_next_begins() {
    let place = place().await;
    place.open().await.unwrap().close().await;
    let mut past = PgConnection::connect(place.url.as_ref().unwrap()).await.unwrap();
    let writing = "begin; update logs set head = head";
    sqlx::raw_sql(writing).execute(&mut past).await.unwrap();
    let begun = Instant::now();
    let opening = async { (place.open().await, begun.elapsed()) };
    let ((opened, took), ()) = tokio::join!(opening, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        sqlx::raw_sql("commit").execute(&mut past).await.unwrap();
    });
    assert!(took >= Duration::from_secs(1), "it began after {took:?}");
    opened.unwrap().close().await;
}

#[tokio::test]
#[ignore = "needs tools/postgres"]
async fn a_server_answers_though_all_its_readers_are_busy() {
    let house = over_postgres(&mut SeededChance::new(1)).await;
    let mut busy = Vec::new();
    while let Ok(reader) = house.db.read().await {
        busy.push(reader);
    }
    assert!(!busy.is_empty());
    let answers = tokio::time::timeout(Duration::from_secs(1), house.db.answers()).await;
    assert_eq!(answers, Ok(true));
    // The connection that was asked is not kept for ever once it is ended.
    let ending = "select pg_terminate_backend(pid) from pg_stat_activity \
        where application_name = current_setting('application_name') \
        and query like 'select head from logs%'";
    house.place.write("", ending).await;
    assert!(house.db.answers().await, "it is asked on a new one");
}

/// What each of the house's own settings was on the connection that wrote.
async fn settings(house: &House) -> BTreeMap<String, String> {
    let mut past = PgConnection::connect(house.place.url.as_ref().unwrap()).await.unwrap();
    let rows = sqlx::query("select name, value from seen").fetch_all(&mut past).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
#[ignore = "needs tools/postgres"]
async fn every_connection_asks_the_server_to_give_up_who_is_silent() {
    let mut chance = SeededChance::new(1);
    let house = over_postgres(&mut chance).await;
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
#[ignore = "needs tools/postgres"]
async fn a_transaction_that_nobody_goes_on_with_does_not_keep_its_room() {
    let mut chance = SeededChance::new(1);
    let house = over_postgres(&mut chance).await;
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

#[tokio::test]
#[ignore = "needs tools/postgres"]
async fn a_server_that_ends_our_connections_loses_nothing_that_was_accepted() {
    let mut chance = SeededChance::new(1);
    let house = over_postgres(&mut chance).await;
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
async fn resent(house: &House, batch: &[Pending]) -> Vec<server::history::Answer> {
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
#[ignore = "needs tools/postgres"]
async fn a_commit_that_is_not_answered_is_unknown_and_is_found_when_it_is_sent_again() {
    let mut chance = SeededChance::new(1);
    let house = over_postgres(&mut chance).await;
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
#[ignore = "needs tools/postgres"]
async fn a_server_that_may_forget_what_it_commits_is_refused() {
    let place = place().await;
    let url = place.url.as_deref().unwrap();
    let forgetful = format!("{url}%20-c%20synchronous_commit%3Doff");
    let opened = crate::stores::open(&place.data, Some(&forgetful)).await;
    let Err(OpenFault::Database(words)) = opened else { panic!("{opened:?}") };
    assert!(words.contains("synchronous_commit"), "{words}");
}
