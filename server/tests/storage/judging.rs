//! What becomes of an op: stories of the judge, told over memory.
//!
//! Both kinds of history let the same judge decide; that they store the same is told in `fold`.

use protocol::ids::{EventId, OpId, RoomId};
use protocol::model::{Rank, Role};
use protocol::refusal::{Refusal, RetryReason};
use server::clock::SeededChance;
use server::history::memory::Mishap;
use server::history::{Answer, History, Outcome, Pending, Verdict};

use crate::world::{
    NOW_MS, World, accepted, account, configure, create, enter, leave, op, own_log, post, refused,
    rename,
};

#[test]
fn a_resent_op_gets_the_same_position_and_makes_no_second_event() {
    let mut world = World::new();
    let first = op(0, 1, post(world.lobby(), "hello"));
    let once = world.accepted(&first);
    let events = world.history.tables().events.len();
    let again = world.answers(std::slice::from_ref(&first));
    assert_eq!(accepted(&again[0]), once);
    assert_eq!(again[0].events, []);
    assert_eq!(world.history.tables().events.len(), events);
}

#[test]
fn the_twin_of_an_op_in_the_same_batch_gets_the_first_ones_verdict() {
    let mut world = World::new();
    let (good, bad) = (op(0, 1, post(world.lobby(), "a")), op(0, 2, post(world.lobby(), " ")));
    let answers = world.answers(&[good.clone(), bad.clone(), good, bad]);
    assert_eq!(accepted(&answers[0]), accepted(&answers[2]));
    assert_eq!(refused(&answers[1]), Refusal::Empty);
    assert_eq!(answers[1].verdict, answers[3].verdict);
    assert_eq!(world.history.tables().messages.len(), 1);
}

#[test]
fn a_known_op_is_answered_before_any_question_of_permission() {
    let mut world = World::new();
    let room = world.room(0, 1, "tea");
    let said = op(0, 2, post(room, "hello"));
    let once = world.accepted(&said);
    world.accepted(&op(0, 3, leave(room)));
    assert_eq!(world.accepted(&said), once, "the ack was lost, then he left, then he sent again");
    assert_eq!(world.refused(&op(0, 4, post(room, "more"))), Refusal::NotMember);
}

#[test]
fn a_refusal_is_stored_and_a_late_copy_of_the_op_stays_refused() {
    let mut world = World::new();
    let room = world.room(0, 1, "tea");
    let early = op(1, 2, post(room, "hello"));
    assert_eq!(world.refused(&early), Refusal::NotMember);
    world.accepted(&op(1, 3, enter("tea")));
    assert_eq!(world.refused(&early), Refusal::NotMember);
    world.accepted(&op(1, 4, post(room, "hello")));
}

#[test]
fn an_op_id_used_for_something_else_is_never_accepted() {
    let mut world = World::new();
    let lobby = world.lobby();
    let first = world.accepted(&op(0, 1, post(lobby, "one")));
    assert_eq!(world.refused(&op(0, 1, post(lobby, "two"))), Refusal::OpIdReused);
    assert_eq!(world.refused(&op(0, 1, rename("one"))), Refusal::OpIdReused);
    assert_eq!(world.accepted(&op(0, 1, post(lobby, "one"))), first, "the first one still stands");
    world.accepted(&op(1, 1, post(lobby, "another author's ids are his own")));
}

#[test]
fn a_leave_holds_for_what_stands_behind_it_in_the_batch() {
    let mut world = World::new();
    let room = world.room(0, 1, "tea");
    let answers = world.answers(&[
        op(0, 2, post(room, "before")),
        op(0, 3, leave(room)),
        op(0, 4, post(room, "behind")),
        op(0, 5, enter("tea")),
        op(0, 6, post(room, "back")),
    ]);
    let seqs: Vec<u64> = [0, 1, 3, 4].map(|place: usize| accepted(&answers[place]).seq).to_vec();
    assert_eq!(seqs, [3, 4, 5, 6]);
    assert_eq!(refused(&answers[2]), Refusal::NotMember);
}

#[test]
fn an_op_that_is_only_checked_is_looked_up_and_never_stored() {
    let mut world = World::new();
    let said = op(0, 1, post(world.lobby(), "hello"));
    let checked = Pending { check_only: true, ..said.clone() };
    assert_eq!(world.refused(&checked), Refusal::Unknown);
    let once = world.accepted(&said);
    assert_eq!(world.accepted(&checked), once);
}

#[test]
fn a_sign_in_that_does_not_stand_stores_nothing() {
    let mut world = World::new();
    let other = Pending { sign_in: account(1).sign_in.hash, ..op(0, 1, rename("Ana")) };
    let before = world.history.tables();
    assert_eq!(world.answers(&[other])[0].verdict, Verdict::SignedOut);
    let stranger = op(77, 1, rename("Ana"));
    assert_eq!(world.answers(&[stranger])[0].verdict, Verdict::SignedOut);
    assert_eq!(world.history.tables(), before);
}

#[test]
fn a_disabled_account_is_refused_until_it_may_again() {
    let mut world = World::new();
    let user = account(0).user.id;
    world.history.set_disabled(user, Some(NOW_MS));
    assert_eq!(world.refused(&op(0, 1, rename("Ana"))), Refusal::AccountDisabled);
    world.history.set_disabled(user, None);
    world.accepted(&op(0, 2, rename("Ana")));
}

#[test]
fn entering_a_key_that_nobody_made_makes_the_room_and_names_the_join() {
    let mut world = World::new();
    let made = world.accepted(&op(0, 1, enter("Any.String-1")));
    assert_eq!(made.seq, 2, "created is the first event, joined the second");
    let joined = world.accepted(&op(1, 2, enter("any.string-1")));
    assert_eq!((joined.log, joined.seq), (made.log, 3));
    let tables = world.history.tables();
    let room = &tables.rooms[&made.log.room().unwrap()];
    assert_eq!((&*room.key, &*room.name), ("any.string-1", "any.string-1"));
    let role = |person| tables.members[&(room.id, account(person).user.id)].role;
    assert_eq!((role(0), role(1)), (Role::Owner, Role::Member));
}

#[test]
fn a_key_that_shows_nothing_makes_no_room() {
    let mut world = World::new();
    assert_eq!(world.refused(&op(0, 1, enter("\u{3164}"))), Refusal::Empty);
}

#[test]
fn entering_where_one_is_already_changes_nothing() {
    let mut world = World::new();
    let room = world.room(0, 1, "tea");
    for (number, key) in [(2, "tea"), (3, "lobby")] {
        let nothing = world.accepted(&op(0, number, enter(key)));
        assert_eq!((nothing.seq, nothing.id), (0, EventId::NIL));
        assert_eq!(world.accepted(&op(0, number, enter(key))), nothing);
    }
    assert_eq!(world.history.tables().logs[&room.log()].head, 2);
}

#[test]
fn rooms_of_one_name_get_numbered_keys_even_in_one_batch() {
    let mut world = World::new();
    world.answers(&[op(0, 1, create("Tea time")), op(1, 2, create("tea-TIME!"))]);
    world.room(2, 3, "tea time");
    let tables = world.history.tables();
    let mut keys: Vec<&str> = tables.rooms.values().map(|room| &*room.key).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["lobby", "tea-time", "tea-time-2", "tea-time-3"]);
}

#[test]
fn who_is_in_as_many_rooms_as_he_may_be_joins_no_more_until_he_leaves_one() {
    let mut world = World::new();
    let first = world.room(0, 1, "one");
    for (number, name) in [(2, "two"), (3, "three"), (4, "four")] {
        world.room(0, number, name);
    }
    let full = Refusal::TooManyRooms { rooms_max: 4 };
    assert_eq!(world.refused(&op(0, 5, create("five"))), full);
    assert_eq!(world.refused(&op(0, 6, enter("five"))), full);
    let answers = world.answers(&[op(0, 7, leave(first)), op(0, 8, enter("five"))]);
    accepted(&answers[1]);
}

#[test]
fn the_lobby_is_everybodys_and_nobody_leaves_it() {
    let mut world = World::new();
    let lobby = world.lobby();
    world.accepted(&op(0, 1, post(lobby, "hello")));
    assert_eq!(world.refused(&op(0, 2, leave(lobby))), Refusal::NotAllowed);
    assert_eq!(world.refused(&op(0, 3, configure(lobby, "Mine", ""))), Refusal::NotAllowed);
}

#[test]
fn the_first_owner_of_the_server_is_its_only_one_and_may_configure_the_lobby() {
    let mut world = World::new();
    let (ana, bob) = (account(0).user.id, account(1).user.id);
    let event = world.history.make_owner(ana, &mut SeededChance::new(5), NOW_MS).unwrap();
    assert_eq!((event.log, event.seq), (own_log(0), 1));
    assert_eq!(world.history.make_owner(bob, &mut SeededChance::new(6), NOW_MS), None);
    assert_eq!(world.history.tables().users[&ana].rank, Rank::Owner);
    world.accepted(&op(0, 1, configure(world.lobby(), "Home", "Be kind")));
    assert_eq!(&*world.history.tables().rooms[&world.lobby()].name, "Home");
}

#[test]
fn a_message_keeps_the_name_that_its_author_had() {
    let mut world = World::new();
    let lobby = world.lobby();
    world.answers(&[
        op(0, 1, post(lobby, "one")),
        op(0, 2, rename(" Ana ")),
        op(0, 3, post(lobby, "two")),
    ]);
    let tables = world.history.tables();
    let names: Vec<&str> = tables.messages.values().map(|message| &*message.name).collect();
    assert_eq!(names, ["person 0", "Ana"]);
}

#[test]
fn limits_are_named_by_the_refusal() {
    let mut world = World::new();
    let long = op(0, 1, post(world.lobby(), &"é".repeat(101)));
    assert_eq!(world.refused(&long), Refusal::TooLong { chars_max: 100 });
    world.accepted(&op(0, 2, post(world.lobby(), &"é".repeat(100))));
    assert_eq!(world.refused(&op(0, 3, enter("../etc"))), Refusal::BadName);
    assert_eq!(world.refused(&op(0, 4, post(RoomId::NIL, "hello"))), Refusal::NotMember);
}

#[test]
fn a_commit_of_unknown_outcome_is_decided_by_sending_again() {
    for (mishap, stored) in [(Mishap::UnknownStored, true), (Mishap::UnknownLost, false)] {
        let mut world = World::new();
        let said = op(0, 1, post(world.lobby(), "hello"));
        world.history.fail_next(mishap);
        assert_eq!(world.commit(std::slice::from_ref(&said)), Outcome::Unknown);
        assert_eq!(world.history.tables().messages.len(), usize::from(stored));
        assert_eq!(world.accepted(&said).seq, 2);
        assert_eq!(world.history.tables().messages.len(), 1);
    }
}

#[test]
fn a_commit_that_is_late_holds_up_the_others_until_it_stands() {
    let mut world = World::new();
    let lobby = world.lobby();
    let (late, other) = (op(0, 1, post(lobby, "late")), op(0, 2, post(lobby, "other")));
    world.history.fail_next(Mishap::UnknownLate);
    assert_eq!(world.commit(std::slice::from_ref(&late)), Outcome::Unknown);
    let held_up = world.commit(std::slice::from_ref(&other));
    assert_eq!(held_up, Outcome::Failed(RetryReason::Unavailable));
    assert!(world.history.tables().messages.is_empty());
    assert!(world.history.land());
    assert_eq!((world.accepted(&late).seq, world.accepted(&other).seq), (2, 3));
}

#[test]
fn a_batch_that_is_not_stored_leaves_no_trace() {
    let mut world = World::new();
    let said = op(0, 1, post(world.lobby(), "hello"));
    let before = world.history.tables();
    world.history.fail_next(Mishap::NotStored(RetryReason::DiskFull));
    let outcome = world.commit(std::slice::from_ref(&said));
    assert_eq!(outcome, Outcome::Failed(RetryReason::DiskFull));
    assert_eq!(world.history.tables(), before);
    world.accepted(&said);
}

#[test]
fn a_restored_backup_uses_numbers_again_under_other_tags() {
    let mut world = World::new();
    let lobby = world.lobby();
    let backup = world.history.copy();
    let lost = world.accepted(&op(0, 1, post(lobby, "lost")));
    world.history.restore(&backup);
    let other = world.accepted(&op(0, 2, post(lobby, "other")));
    assert_eq!(other.seq, lost.seq);
    assert_ne!(other.id.tag(), lost.id.tag());
}

#[test]
fn memory_answers_at_the_first_poll() {
    let mut world = World::new();
    let batch = [op(0, 1, post(world.lobby(), "hello"))];
    let mut commit = world.history.commit(&batch, &mut world.chance, NOW_MS);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = commit.as_mut().poll(&mut context);
    let std::task::Poll::Ready(Outcome::Committed(answers)) = polled else { panic!("not ready") };
    let [Answer { events, .. }] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(events[0].op_id, OpId::from_bytes(batch[0].op.op_id.bytes()));
}
