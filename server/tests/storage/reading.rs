//! What a subscriber is told of a log, and of his cursor: the table of `Sub`'s answers.
//!
//! That both kinds of history read alike is told in `fold`; here is what they read.

use std::sync::Arc;

use futures_util::future::join_all;
use protocol::cursor::Cursor;
use protocol::event::ResetReason;
use protocol::ids::RoomId;
use protocol::limits::REPLAY_EVENTS_MAX;
use server::clock::SeededChance;
use server::db::accounts;
use server::db::members::BY_RULE;
use server::history::sql::SqlHistory;
use server::history::{Admission, HEADS_MAX, History, Resume};

use crate::world::{House, NOW_MS, RULES, World, account, create, leave, op, own_log, post};

/// A log of events 8 to 10_000 whose cursors carry their number as tag.
fn admission(asked: u64) -> Admission {
    Admission {
        membership: BY_RULE,
        head: Cursor { epoch: 5, seq: 10_000, tag: 10_000 },
        floor: 8,
        floor_tag: 7,
        cursor_tag: (8..=10_000).contains(&asked).then_some(asked),
    }
}

fn resume(epoch: u64, seq: u64, tag: u64) -> Resume {
    admission(seq).resume(Some(Cursor { epoch, seq, tag }))
}

#[test]
fn a_good_cursor_goes_on_from_where_it_is() {
    assert_eq!(resume(5, 9_000, 9_000), Resume::From(9_000));
    assert_eq!(resume(5, 10_000, 10_000), Resume::From(10_000));
    assert_eq!(resume(5, 5_000, 5_000), Resume::From(5_000));
}

#[test]
fn who_knows_nothing_starts_fresh() {
    assert_eq!(admission(0).resume(None), Resume::Reset(ResetReason::FirstLoad));
}

#[test]
fn another_history_is_never_mixed_with_this_one() {
    for (epoch, seq, tag) in [(6, 9_000, 9_000), (5, 10_001, 1), (5, 9_000, 9_001)] {
        assert_eq!(resume(epoch, seq, tag), Resume::Reset(ResetReason::Diverged));
    }
}

#[test]
fn who_is_too_far_behind_starts_fresh() {
    let far = 10_000 - REPLAY_EVENTS_MAX - 1;
    assert_eq!(resume(5, far, far), Resume::Reset(ResetReason::TooOld));
    assert_eq!(resume(5, 3, 3), Resume::Reset(ResetReason::TooOld));
}

#[test]
fn the_last_event_that_is_no_longer_kept_still_proves_itself_by_its_tag() {
    let near = Admission { head: Cursor { epoch: 5, seq: 20, tag: 20 }, ..admission(7) };
    let cursor = |seq, tag| Some(Cursor { epoch: 5, seq, tag });
    assert_eq!(near.resume(cursor(7, 7)), Resume::From(7));
    assert_eq!(near.resume(cursor(7, 6)), Resume::Reset(ResetReason::Diverged));
    assert_eq!(near.resume(cursor(6, 6)), Resume::Reset(ResetReason::TooOld));
}

#[test]
fn a_log_that_keeps_all_is_read_from_its_start() {
    let young = Admission { floor: 1, head: Cursor { epoch: 5, seq: 9, tag: 9 }, ..admission(0) };
    assert_eq!(young.resume(Some(Cursor::start(5))), Resume::From(0));
}

#[tokio::test]
async fn a_log_is_open_to_its_members_alone() {
    let (room, history) = tokio::task::spawn_blocking(|| {
        let mut world = World::new();
        let room = world.room(0, 1, "tea");
        (room, world.history.copy())
    })
    .await
    .unwrap();
    let (member, stranger) = (account(0).user.id, account(1).user.id);
    let part = history.admission(member, room.log(), None).await.unwrap().unwrap();
    assert_eq!((part.membership.joined_seq, part.head.seq), (2, 2));
    assert_eq!(history.admission(stranger, room.log(), None).await.unwrap(), None);
    assert_eq!(history.admission(stranger, own_log(0), None).await.unwrap(), None);
    assert_eq!(history.snapshot(Some(stranger), room).await.unwrap(), None);
    assert_eq!(history.snapshot(None, room).await.unwrap(), None);
    assert_eq!(history.older(Some(stranger), room, 9, 50).await.unwrap(), None);
    assert_eq!(history.snapshot(Some(member), RoomId::NIL).await.unwrap(), None);
}

#[test]
fn pages_of_messages_that_came_in_one_moment_name_each_once() {
    let mut world = World::new();
    let lobby = world.lobby();
    let batch: Vec<_> =
        (0..50).map(|number| op(0, number, post(lobby, &number.to_string()))).collect();
    world.answers(&batch);
    let tables = world.history.tables();
    let mut seqs: Vec<u64> = tables.messages.keys().map(|(_, seq)| *seq).collect();
    seqs.dedup();
    assert_eq!(seqs, (2..=51).collect::<Vec<u64>>());
}

#[test]
fn who_left_a_room_reads_nothing_more_of_it() {
    let mut world = World::new();
    let room = world.accepted(&op(0, 1, create("tea"))).log.room().unwrap();
    world.accepted(&op(0, 2, leave(room)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let user = account(0).user.id;
    runtime.block_on(async {
        assert_eq!(world.history.snapshot(Some(user), room).await.unwrap(), None);
        let arrival = world.history.arrival(user, None).await.unwrap().unwrap();
        assert_eq!(arrival.rooms.len(), 1, "the lobby alone");
        assert_eq!(arrival.admission.head.seq, 2, "added and removed");
    });
}

#[tokio::test]
async fn as_many_logs_as_may_be_asked_about_at_once_are() {
    let house = House::new(&mut SeededChance::new(1)).await;
    let nobodys = |number: usize| {
        let mut id = [0xee; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        RoomId::from_bytes(id).log()
    };
    let mut logs: Vec<_> = (1..HEADS_MAX).map(nobodys).collect();
    logs.push(own_log(0));
    let heads = house.history.heads(&logs).await.unwrap();
    assert_eq!(heads.iter().map(|head| head.log).collect::<Vec<_>>(), [own_log(0)]);
}

#[tokio::test]
async fn the_lobby_counts_every_account_once() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    let members = async |house: &House| {
        house.history.room_by_key("lobby").await.unwrap().unwrap().member_count
    };
    assert_eq!(members(&house).await, 4);
    let made: Vec<_> = (10..30).map(account).collect();
    let making = made.iter().map(|account| accounts::make(&house.db, account, 1));
    let made = join_all(making).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert!(accounts::make(&house.db, &account(0), 1).await.is_err(), "it is there already");
    assert_eq!(members(&house).await, 24);

    // A store from before they were counted.
    let House { place, db, history } = house;
    drop(history);
    db.close().await;
    let before = "drop table totals; \
        delete from seaql_migrations where version = 'm000007_totals'";
    place.write(before, before).await;
    let db = place.open().await.unwrap();
    let history = SqlHistory::open(Arc::new(db), RULES, &mut chance, NOW_MS).await.unwrap();
    assert_eq!(history.room_by_key("lobby").await.unwrap().unwrap().member_count, 24);
}
