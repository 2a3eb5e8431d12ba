//! The machine alone, against a server that says exactly what a test wants.
//!
//! Each test is one rule of the conversation. What both halves do together is the simulation's.

mod bench;
mod cache;
mod hurry;
mod life;
mod older;
mod shelf;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use bench::{Bench, EPOCH, ME, OTHER, ROOM, logged, op_id, posted};

use super::exchange::{Ask, Checked, Input, Output, Standing, Stop, Told};
use crate::act::{Create, Op, OpHead, Post, Rename};
use crate::bounded::{Blob, List, Text};
use crate::change::{Envelope, RoomAdded, RoomRemoved};
use crate::close::CloseCode;
use crate::cursor::Cursor;
use crate::event::{
    Drain, Gone, GoneReason, Logged, Page, Ping, Position, RefuseRetry, Refused, SubOk, Typist,
    Typists,
};
use crate::frame::{Act, Change, Command, Event};
use crate::ids::{OpId, RoomId};
use crate::refusal::{Refusal, RetryReason};

#[test]
fn an_op_is_told_before_it_is_sent_and_confirmed_by_its_answer() {
    let mut bench = Bench::live();
    let op_id = bench.post(1);
    assert!(matches!(&bench.told[0], Told::Queued { op, .. } if op.op_id == op_id));
    assert_eq!(bench.ops(), [(1, 0)]);
    bench.accept(op_id, 1);
    assert!(bench.told.contains(&Told::Accepted { op_id, log: ROOM.log(), seq: 1, at: 1 }));
    assert_eq!(bench.client.waiting_count(), 0);
}

#[test]
fn the_own_event_in_the_log_confirms_as_well_as_an_answer_and_only_once() {
    let mut bench = Bench::live();
    let op_id = bench.post(1);
    bench.hear(Event::Logged(Logged { envelope: posted(1, OTHER, op_id) }));
    assert_eq!(bench.client.waiting_count(), 1, "another's op of the same id is not ours");
    bench.hear(Event::Logged(Logged { envelope: posted(2, ME, op_id) }));
    bench.accept(op_id, 2);
    let told = bench.told.iter().filter(|told| matches!(told, Told::Accepted { .. }));
    assert_eq!(told.count(), 1);
}

#[test]
fn who_made_a_room_is_told_which_and_no_number_of_another_log() {
    let mut bench = Bench::live();
    let (op_id, room) = (op_id(1), RoomId::from_bytes([2; 16]));
    bench.ask(Ask::Act(Op { op_id, act: Act::Create(Create { name: Text::cut("harbour") }) }));
    let added = RoomAdded { room, key: Text::cut("harbour"), name: Text::cut("harbour") };
    let added = Change::RoomAdded(added);
    let envelope = Envelope {
        log: ME.log(),
        kind: added.kind().number(),
        body: Blob::new(added.encode().unwrap()).unwrap(),
        ..posted(1, ME, op_id)
    };
    bench.hear(Event::Logged(Logged { envelope }));
    assert!(bench.told.contains(&Told::Accepted { op_id, log: room.log(), seq: 0, at: 1 }));
}

#[test]
fn sixteen_ops_wait_for_their_answer_and_no_more() {
    let mut bench = Bench::live();
    for number in 1..=20 {
        bench.post(number);
    }
    assert_eq!(bench.ops().len(), 16);
    bench.accept(op_id(1), 1);
    assert_eq!(bench.ops().last(), Some(&(17, 0)));
}

#[test]
fn a_refusal_for_now_sends_its_lane_again_in_order_under_the_new_generation() {
    let mut bench = Bench::live();
    for number in 1..=4 {
        bench.post(number);
    }
    bench.accept(op_id(1), 1);
    bench.forget();
    bench.hear(Event::RefuseRetry(RefuseRetry {
        op_id: op_id(2),
        log: ROOM.log(),
        lane_generation: 1,
        retry_after_ms: 700,
        reason: RetryReason::Rate,
    }));
    bench.post(5);
    bench.pass(699);
    assert_eq!(bench.ops(), []);
    bench.pass(1);
    assert_eq!(bench.ops(), [(2, 1), (3, 1), (4, 1), (5, 1)]);
}

#[test]
fn a_kind_of_own_acts_that_was_too_fast_holds_up_no_other_kind() {
    let refused_for = |reason| {
        let mut bench = Bench::live();
        let acts = [
            Act::Create(Create { name: Text::cut("one") }),
            Act::Create(Create { name: Text::cut("two") }),
            Act::Rename(Rename { name: Text::cut("Ada") }),
        ];
        for (number, act) in (1..).zip(acts) {
            bench.ask(Ask::Act(Op { op_id: op_id(number), act }));
        }
        bench.forget();
        bench.hear(Event::RefuseRetry(RefuseRetry {
            op_id: op_id(1),
            log: ME.log(),
            lane_generation: 1,
            retry_after_ms: 700,
            reason,
        }));
        let at_once = bench.ops();
        bench.forget();
        bench.pass(700);
        (at_once, bench.ops())
    };
    assert_eq!(refused_for(RetryReason::Rate), (vec![(3, 1)], vec![(1, 1), (2, 1)]));
    assert_eq!(refused_for(RetryReason::Busy), (vec![], vec![(1, 1), (2, 1), (3, 1)]));
}

#[test]
fn what_was_under_way_goes_out_again_after_a_new_connection_and_never_before() {
    let mut bench = Bench::live();
    bench.post(1);
    bench.post(2);
    bench.pass(9_999);
    assert_eq!(bench.ops(), [(1, 0), (2, 0)]);
    bench.close(CloseCode::SLOW);
    bench.forget();
    bench.pass(2_000);
    bench.greet(ME);
    assert_eq!(bench.ops(), [(1, 0), (2, 0)], "without waiting for the replay");
}

#[test]
fn what_was_known_of_a_room_is_void_once_its_membership_is_over() {
    let asked_with = |bench: &Bench| match bench.said.last() {
        Some(Command::Sub(sub)) => sub.cursor,
        other => panic!("{other:?}"),
    };
    let mut bench = Bench::live();
    bench.hear(logged(1));
    bench.hear(Event::Gone(Gone { sub: 1, room: ROOM, reason: GoneReason::Ended }));
    bench.ask(Ask::Show { room: ROOM, cursor: None });
    assert_eq!(asked_with(&bench), None);

    let mut bench = Bench::live();
    bench.hear(logged(1));
    bench.ask(Ask::Hide(ROOM));
    bench.hear(removed());
    bench.ask(Ask::Show { room: ROOM, cursor: None });
    assert_eq!(asked_with(&bench), None);
}

#[test]
fn a_membership_that_ends_while_its_room_is_asked_for_costs_no_connection() {
    let mut bench = Bench::live();
    bench.hear(logged(1));
    bench.close(CloseCode::SILENT);
    bench.pass(0);
    bench.greet(ME);
    let sub = bench.last_sub();
    bench.hear(removed());
    bench.catch_up(1);
    assert_eq!(bench.client.told_standing, Standing::Live);
    assert_eq!(bench.others, [], "the server was right to take its cursor for good");
    bench.hear(Event::Gone(Gone { sub, room: ROOM, reason: GoneReason::Ended }));
    assert_eq!(bench.client.told_standing, Standing::Live);
}

/// The user's own log says that his membership of the room is over.
fn removed() -> Event {
    let removed = Change::RoomRemoved(RoomRemoved { room: ROOM });
    let envelope = Envelope {
        log: ME.log(),
        kind: removed.kind().number(),
        body: Blob::new(removed.encode().unwrap()).unwrap(),
        ..posted(1, ME, OpId::NIL)
    };
    Event::Logged(Logged { envelope })
}

#[test]
fn a_refused_op_is_failed_and_tried_again_only_as_a_new_one() {
    let mut bench = Bench::live();
    let op = bench.post(1);
    bench.hear(Event::Refused(Refused { op_id: op, refusal: Refusal::NotAllowed }));
    assert!(bench.told.contains(&Told::Failed { op_id: op, refusal: Refusal::NotAllowed }));
    bench.ask(Ask::Retry { failed: op, op_id: op_id(2) });
    assert_eq!(bench.ops(), [(1, 0), (2, 0)]);
}

#[test]
fn an_op_that_is_too_big_for_the_way_fails_and_the_others_go_out_again() {
    let mut bench = Bench::live();
    bench.post(1);
    let noise: String =
        (0..9_000_u32).map(|n| char::from(b'!' + u8::try_from(n * n % 89).unwrap())).collect();
    let act = Act::Post(Post { room: ROOM, text: Text::cut(&noise) });
    bench.ask(Ask::Act(Op { op_id: op_id(2), act }));
    bench.post(3);
    bench.close(CloseCode::TOO_BIG);
    let failed = Told::Failed { op_id: op_id(2), refusal: Refusal::TooBig };
    assert!(bench.told.contains(&failed));
    bench.forget();
    bench.pass(1_000);
    bench.greet(ME);
    assert_eq!(bench.ops(), [(1, 0), (3, 0)]);
}

#[test]
fn a_server_that_never_tells_what_was_missed_is_left_and_one_that_tells_slowly_is_not() {
    let mut bench = Bench::new(Some(ME));
    bench.step(Input::Awake);
    bench.ask(Ask::Show { room: ROOM, cursor: Some(Cursor::start(EPOCH)) });
    bench.greet(ME);
    bench.hear(Event::SubOk(SubOk { sub: 1, epoch: EPOCH, head: 3 }));
    for seq in 1..3 {
        bench.pass(29_000);
        bench.hear(logged(seq));
    }
    assert_eq!(bench.client.told_standing, Standing::Syncing);
    bench.pass(15_000);
    bench.hear(Event::Ping(Ping { number: 1, positions: List::default() }));
    bench.pass(14_999);
    assert_eq!(bench.others, []);
    bench.pass(1);
    assert!(bench.others.contains(&Output::Close(1, CloseCode::SILENT)), "a ping is no progress");
}

#[test]
fn what_was_sent_cannot_be_discarded_and_what_was_not_can() {
    let mut bench = Bench::live();
    let sent = bench.post(1);
    bench.close(CloseCode::GOING_AWAY);
    let queued = bench.post(2);
    bench.ask(Ask::Discard(sent));
    bench.ask(Ask::Discard(queued));
    assert_eq!(bench.client.waiting_count(), 1);
    assert!(bench.told.contains(&Told::Discarded(queued)));
}

#[test]
fn after_seven_days_an_op_once_sent_is_only_asked_for_and_another_expires() {
    let mut bench = Bench::live();
    bench.post(1);
    bench.step(Input::Asleep);
    let queued = bench.post(2);
    bench.pass(7 * 24 * 60 * 60 * 1_000);
    let failed = Told::Failed { op_id: queued, refusal: Refusal::Expired };
    assert!(bench.told.contains(&failed));
    bench.step(Input::Awake);
    bench.pass(1_000);
    bench.forget();
    bench.greet(ME);
    let asked = bench.said.iter().find_map(|command| match command {
        Command::Op(OpHead { check_only, .. }, _) => Some(*check_only),
        _ => None,
    });
    assert_eq!(asked, Some(true));
}

#[test]
fn an_outbox_holds_five_hundred_ops_and_gives_the_next_one_back() {
    let mut bench = Bench::new(Some(ME));
    for number in 0..=500u16 {
        let mut bytes = [1; 16];
        bytes[..2].copy_from_slice(&number.to_le_bytes());
        let act = Act::Post(Post { room: ROOM, text: Text::cut("hello") });
        bench.ask(Ask::Act(Op { op_id: OpId::from_bytes(bytes), act }));
    }
    assert!(matches!(bench.told.last(), Some(Told::Full(_))));
    assert_eq!(bench.client.waiting_count(), 500);
}

#[test]
fn events_are_told_once_and_a_gap_asks_anew() {
    let mut bench = Bench::live();
    bench.hear(logged(1));
    bench.hear(logged(1));
    assert_eq!((bench.seqs(), bench.client.dropped_count()), (vec![1], 1));
    bench.hear(logged(3));
    bench.hear(logged(2));
    assert_eq!(bench.seqs(), [1], "until the answer came, the log is not listened to");
    assert_eq!(bench.last_sub(), 2);
    bench.catch_up(3);
    let events = List::cut([posted(2, OTHER, OpId::NIL), posted(3, OTHER, OpId::NIL)]);
    bench.hear(Event::Page(Page { sub: 2, events }));
    assert_eq!(bench.seqs(), [1, 2, 3]);
    assert!(matches!(bench.said.last(), Some(Command::PageAck(ack)) if ack.sub == 2));
}

#[test]
fn the_third_gap_within_a_minute_ends_the_connection() {
    let mut bench = Bench::live();
    for gap in 0..3 {
        bench.hear(logged(9));
        if gap < 2 {
            bench.catch_up(0);
        }
    }
    let socket = bench.socket;
    assert!(bench.others.contains(&Output::Close(socket, CloseCode::POSITION_LOST)));
}

#[test]
fn a_ping_past_what_is_known_asks_anew() {
    let mut bench = Bench::live();
    let positions = List::cut([Position { sub: 1, seq: 4 }]);
    bench.hear(Event::Ping(Ping { number: 1, positions }));
    assert_eq!(bench.last_sub(), 2);
}

#[test]
fn answers_to_an_older_subscription_are_passed_over() {
    let mut bench = Bench::live();
    bench.ask(Ask::Hide(ROOM));
    bench.ask(Ask::Show { room: ROOM, cursor: None });
    bench.hear(Event::SubOk(SubOk { sub: 1, epoch: EPOCH, head: 9 }));
    bench.hear(logged(1));
    assert!(bench.seqs().is_empty());
    bench.catch_up(0);
    bench.hear(logged(1));
    assert_eq!(bench.seqs(), [1]);
}

#[test]
fn a_drained_server_is_left_when_nothing_is_under_way_and_left_alone_as_long_as_it_asks() {
    let mut bench = Bench::live();
    bench.post(1);
    bench.hear(Event::Drain(Drain { after_ms: 8_000 }));
    bench.post(2);
    assert_eq!(bench.ops(), [(1, 0)], "nothing new is sent");
    bench.accept(op_id(1), 1);
    assert!(bench.others.contains(&Output::Close(1, CloseCode::NORMAL)));
    bench.pass(7_999);
    assert_eq!(bench.socket, 1);
    bench.pass(1);
    assert_eq!(bench.socket, 2);
}

#[test]
fn a_visitor_becomes_a_guest_before_the_first_socket() {
    let mut bench = Bench::new(None);
    bench.step(Input::Awake);
    assert_eq!((bench.socket, &*bench.others), (0, &[Output::Check { guest_only: true }][..]));
    bench.step(Input::Checked(Checked::Ready));
    assert_eq!(bench.socket, 1);
}

#[test]
fn a_guest_whose_cookie_is_void_becomes_a_new_one_once_and_keeps_his_texts() {
    let mut bench = Bench::live();
    bench.post(1);
    bench.close(CloseCode::SIGNED_OUT);
    assert_eq!(bench.others, [Output::Check { guest_only: true }]);
    bench.step(Input::Checked(Checked::Ready));
    bench.step(Input::Opened(bench.socket));
    let hello = bench.said.pop();
    assert!(
        matches!(&hello, Some(Command::Hello(hello)) if hello.user_cursor.is_none()),
        "the new guest's log is another: {hello:?}"
    );
    bench.greet(OTHER);
    assert!(bench.told.iter().any(|told| matches!(told, Told::Kept(acts) if acts.len() == 1)));
    assert_eq!(bench.ops(), [(1, 0)], "an op is never sent as another user");
}

#[test]
fn a_second_void_cookie_in_a_row_is_the_end() {
    let mut bench = Bench::live();
    bench.close(CloseCode::SIGNED_OUT);
    bench.step(Input::Checked(Checked::Ready));
    bench.close(CloseCode::SIGNED_OUT);
    bench.step(Input::Opened(bench.socket));
    assert_eq!(bench.client.told_standing, Standing::Connecting, "a socket that never opened");
    bench.step(Input::Checked(Checked::Ready));
    bench.pass(1_000);
    bench.step(Input::Opened(bench.socket));
    bench.close(CloseCode::SIGNED_OUT);
    assert_eq!(bench.client.told_standing, Standing::Stopped(Stop::SignedOut));
}

#[test]
fn a_socket_that_never_opened_asks_the_server_and_obeys_its_wait() {
    let mut bench = Bench::new(Some(ME));
    bench.step(Input::Awake);
    bench.close(CloseCode(1006));
    assert_eq!(bench.others, [Output::Check { guest_only: false }]);
    bench.step(Input::Checked(Checked::Later { ms_min: 6_000 }));
    bench.pass(5_999);
    assert_eq!(bench.socket, 1);
    bench.pass(1);
    assert_eq!(bench.socket, 2);
    bench.close(CloseCode(1006));
    bench.step(Input::Checked(Checked::Refused("not this host".into())));
    let stopped = Standing::Stopped(Stop::Policy("not this host".into()));
    assert_eq!(bench.client.told_standing, stopped);
}

#[test]
fn a_connection_that_somebody_on_the_way_ends_for_good_is_come_back_from() {
    let mut bench = Bench::live();
    bench.post(1);
    bench.close(CloseCode::NORMAL);
    bench.forget();
    bench.pass(1_000);
    bench.greet(ME);
    assert_eq!(bench.ops(), [(1, 0)]);
}

#[test]
fn another_version_loads_the_page_anew_once() {
    let mut bench = Bench::live();
    bench.close(CloseCode::VERSION);
    assert_eq!(bench.others, [Output::Reload]);
    assert_eq!(bench.client.told_standing, Standing::Stopped(Stop::Version));
}

#[test]
fn a_server_that_ends_each_connection_at_once_is_not_hammered() {
    let mut bench = Bench::live();
    let begin = bench.now;
    for _ in 0..12 {
        bench.close(CloseCode::SILENT);
        let socket = bench.socket;
        while bench.socket == socket {
            bench.pass(10);
        }
        bench.greet(ME);
    }
    assert!(bench.now - begin > 20_000, "{}", bench.now - begin);
}

#[test]
fn the_typing_of_others_leaves_the_user_himself_out_and_ends_with_the_connection() {
    let mut bench = Bench::live();
    let person = |user| Typist { user, name: Text::cut("Mei") };
    let people = List::cut([person(ME), person(OTHER)]);
    bench.hear(Event::Typists(Typists { room: ROOM, people }));
    let told = Told::Typists { room: ROOM, names: vec!["Mei".into()] };
    assert_eq!(bench.told, [told]);
    bench.close(CloseCode::GOING_AWAY);
    assert!(bench.told.contains(&Told::Typists { room: ROOM, names: vec![] }));
}
