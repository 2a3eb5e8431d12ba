//! Messages that outlive their page: what goes on the shelf, when it is sent, and as whom.
//!
//! The bench is the shelf: it sees what is put on it and says what was done.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::exchange::{Ask, Input, Output, Told};
use super::super::shelf::Kept;
use super::bench::{Bench, ME, OTHER, ROOM, op_id};
use crate::act::{Act, Op, OpHead, Post};
use crate::bounded::Text;
use crate::close::CloseCode;
use crate::event::Refused;
use crate::frame::{Command, Event};
use crate::ids::{OpId, UserId};
use crate::limits::OUTBOX_OPS_MAX;
use crate::refusal::Refusal;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

fn kept(number: u8, user: Option<UserId>, queued_at: i64) -> Kept {
    let act = Act::Post(Post { room: ROOM, text: Text::cut("kept") });
    let op = Op { op_id: op_id(number), act };
    Kept { op, user, queued_at, number: u32::from(number), failed: None }
}

/// A greeted client with a shelf on which these lay.
fn greeted(user: Option<UserId>, all: Vec<Kept>) -> Bench {
    let mut bench = Bench::over(Some(ME), (true, false));
    bench.client.user = user;
    bench.step(Input::Restore { kept: all, keeps: true });
    bench.step(Input::Awake);
    if user.is_some() {
        bench.greet(ME);
    }
    bench
}

fn shelved(bench: &mut Bench, number: u8, done: bool) {
    bench.step(Input::Shelved { op_id: op_id(number), done });
}

fn taken_off(bench: &Bench) -> Vec<OpId> {
    let off = |output: &Output| match output {
        Output::Unshelve(op_id) => Some(*op_id),
        _ => None,
    };
    bench.others.iter().filter_map(off).collect()
}

#[test]
fn a_message_is_on_the_shelf_before_it_is_sent_and_off_it_once_it_is_accepted() {
    let mut bench = greeted(Some(ME), Vec::new());
    bench.post(1);
    bench.post(2);
    let put = bench.others.iter().filter(|output| matches!(output, Output::Shelve(_)));
    assert_eq!(put.count(), 2);
    shelved(&mut bench, 2, true);
    assert_eq!(bench.ops(), [], "the second does not overtake the first");
    shelved(&mut bench, 1, true);
    assert_eq!(bench.ops(), [(1, 0), (2, 0)]);
    assert!(bench.told.contains(&Told::Shelved(op_id(1))));
    bench.accept(op_id(1), 1);
    assert_eq!(taken_off(&bench), [op_id(1)]);
}

#[test]
fn what_an_earlier_page_left_goes_out_first_under_its_own_ids_and_in_its_order() {
    let mut bench = Bench::over(Some(ME), (true, false));
    bench.step(Input::Awake);
    bench.greet(ME);
    bench.post(9);
    assert_eq!(bench.ops(), [], "nothing is sent before it is known what lies there");
    let left = vec![kept(3, Some(ME), 20), kept(2, Some(ME), 10), kept(1, Some(ME), 10)];
    bench.step(Input::Restore { kept: left.clone(), keeps: true });
    shelved(&mut bench, 9, true);
    assert_eq!(bench.ops(), [(1, 0), (2, 0), (3, 0), (9, 0)]);
    let queued = bench.told.iter().filter_map(|told| match told {
        Told::Queued { op, .. } => Some(op.op_id),
        _ => None,
    });
    let told = [9, 1, 2, 3].map(op_id);
    assert_eq!(
        queued.collect::<Vec<_>>(),
        told,
        "shown as they will be sent, not as they lay there"
    );
    bench.step(Input::Restore { kept: left, keeps: true });
    assert_eq!(bench.ops().len(), 4, "what is known already is not taken in twice");
}

#[test]
fn more_than_an_outbox_holds_is_taken_in_whole_and_nothing_new_before_there_is_room() {
    let number_of = |op_id: OpId| u16::from_be_bytes([op_id.bytes()[0], op_id.bytes()[1]]);
    let numbered = |number: usize| {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
        let op = Op { op_id: OpId::from_bytes(bytes), ..kept(0, None, 0).op };
        let number = u32::try_from(number).unwrap();
        Kept { op, user: Some(ME), queued_at: 10, number, failed: None }
    };
    let sent = |bench: &Bench| {
        let number = |command: &Command| match command {
            Command::Op(head, _) => Some(number_of(head.op_id)),
            _ => None,
        };
        bench.said.iter().filter_map(number).collect::<Vec<_>>()
    };
    // Two tabs left them, one after the other.
    let mut bench = greeted(Some(ME), (0..OUTBOX_OPS_MAX).map(numbered).collect());
    let others = (OUTBOX_OPS_MAX..=OUTBOX_OPS_MAX + 9).map(numbered);
    bench.step(Input::Restore { kept: others.collect(), keeps: true });
    let queued = bench.told.iter().filter(|told| matches!(told, Told::Queued { .. })).count();
    assert_eq!(queued, OUTBOX_OPS_MAX + 10, "the screen knows of all of them");
    let new = numbered(usize::from(u16::MAX)).op;
    let mut taken_after = None;
    for number in 0..=OUTBOX_OPS_MAX + 9 {
        assert_eq!(sent(&bench).get(number).copied(), u16::try_from(number).ok());
        if taken_after.is_none() {
            bench.ask(Ask::Act(new.clone()));
            let is_full = matches!(bench.told.last(), Some(Told::Full(_)));
            taken_after = (!is_full).then_some(number);
        }
        bench.accept(numbered(number).op.op_id, u64::try_from(number).unwrap() + 1);
    }
    assert_eq!(taken_after, Some(11), "as soon as there is room");
    bench.step(Input::Shelved { op_id: new.op_id, done: true });
    assert_eq!(sent(&bench).last(), Some(&u16::MAX));
}

#[test]
fn a_shelf_that_fails_or_is_silent_ends_nothing_and_is_told() {
    let mut bench = greeted(Some(ME), Vec::new());
    bench.post(1);
    shelved(&mut bench, 1, false);
    bench.post(2);
    assert_eq!(bench.ops(), [(1, 0), (2, 0)]);
    assert!(bench.told.contains(&Told::Keeps(false)));
    assert!(!bench.told.contains(&Told::Shelved(op_id(1))));

    let mut bench = Bench::over(Some(ME), (true, false));
    bench.step(Input::Awake);
    bench.greet(ME);
    bench.pass(3_000);
    bench.post(1);
    assert_eq!(bench.ops(), [(1, 0)], "it never said what lies there");

    let mut bench = greeted(Some(ME), Vec::new());
    bench.post(1);
    bench.pass(2_999);
    assert_eq!(bench.ops(), []);
    bench.pass(1);
    assert_eq!(bench.ops(), [(1, 0)], "it never said that it was done");
    assert!(bench.told.contains(&Told::Keeps(false)));
    shelved(&mut bench, 1, true);
    assert_eq!(bench.told.last(), Some(&Told::Keeps(true)));
}

#[test]
fn what_lies_on_the_shelf_is_never_sent_as_another() {
    let mut bench = greeted(Some(ME), vec![kept(1, Some(OTHER), 10), kept(2, None, 10)]);
    assert_eq!(bench.ops(), []);
    assert_eq!(taken_off(&bench), [op_id(2)], "another's waits for him");
    let offered = Told::Kept(vec![kept(2, None, 10).op.act]);
    assert!(bench.told.contains(&offered), "whose it was nobody knows");
    bench.forget();
    let now = 29 * DAY_MS;
    bench.now = now;
    bench.step(Input::Restore { kept: vec![kept(1, Some(OTHER), 10)], keeps: true });
    assert_eq!(taken_off(&bench), [op_id(1)], "but not for ever");
}

#[test]
fn what_waits_for_another_is_sent_once_this_page_greets_him() {
    let mut bench = greeted(Some(ME), vec![kept(1, Some(OTHER), 10)]);
    bench.close(CloseCode(1006));
    bench.pass(60_000);
    bench.forget();
    bench.greet(OTHER);
    assert_eq!(bench.ops(), [(1, 0)]);
    let place = |is: fn(&Told) -> bool| bench.told.iter().position(is);
    let listed = place(|told| matches!(told, Told::Rooms(_))).unwrap();
    let queued = place(|told| matches!(told, Told::Queued { .. })).unwrap();
    assert!(listed < queued, "its room is known where it is shown");
    bench.close(CloseCode(1006));
    bench.pass(60_000);
    bench.forget();
    bench.greet(ME);
    assert_eq!(bench.ops(), [], "and only then");
    let is_offered = |told: &Told| matches!(told, Told::Kept(_));
    assert!(!bench.told.iter().any(is_offered), "nobody else reads it");
    assert!(bench.told.contains(&Told::Discarded(op_id(1))), "nor sees it");
    assert_eq!(taken_off(&bench), [], "it lies where it lay");
    bench.close(CloseCode(1006));
    bench.ask(Ask::ConnectNow);
    bench.forget();
    bench.greet(OTHER);
    assert_eq!(bench.ops(), [(1, 0)], "and goes out when he is back");
    bench.accept(op_id(1), 1);
    assert_eq!(taken_off(&bench), [op_id(1)]);
}

#[test]
fn what_is_put_there_as_failed_stays_though_another_is_greeted_before_it_is_there() {
    let mut bench = greeted(Some(ME), vec![kept(1, Some(OTHER), 10)]);
    let greet = |bench: &mut Bench, user| {
        bench.close(CloseCode(1006));
        bench.ask(Ask::ConnectNow);
        bench.forget();
        bench.greet(user);
    };
    greet(&mut bench, OTHER);
    assert_eq!(bench.ops(), [(1, 0)]);
    let refusal = Refusal::NotAllowed;
    bench.hear(Event::Refused(Refused { op_id: op_id(1), refusal: refusal.clone() }));
    assert!(bench.others.iter().any(|output| matches!(output, Output::Shelve(_))));
    greet(&mut bench, ME);
    shelved(&mut bench, 1, true);
    assert_eq!(taken_off(&bench), [], "it is its writer's to end");
    greet(&mut bench, OTHER);
    assert!(bench.told.contains(&Told::Failed { op_id: op_id(1), refusal }));
    assert_eq!(bench.ops(), []);
}

#[test]
fn what_a_nameless_visitor_wrote_is_signed_on_the_shelf_before_it_is_sent() {
    let mut bench = greeted(None, Vec::new());
    bench.post(1);
    shelved(&mut bench, 1, true);
    bench.step(Input::Checked(super::Checked::Ready));
    bench.forget();
    bench.greet(ME);
    let signed = bench.others.iter().find_map(|output| match output {
        Output::Shelve(kept) => kept.user,
        _ => None,
    });
    assert_eq!(signed, Some(ME));
    assert_eq!(bench.ops(), []);
    shelved(&mut bench, 1, true);
    assert_eq!(bench.ops(), [(1, 0)]);
}

/// A client whose message was refused, and the message as it is kept then.
fn refused() -> (Bench, Kept) {
    let mut bench = greeted(Some(ME), vec![kept(1, Some(ME), 10)]);
    bench.forget();
    bench.hear(Event::Refused(Refused { op_id: op_id(1), refusal: Refusal::NotAllowed }));
    let failed = Kept { failed: Some(Refusal::NotAllowed), ..kept(1, Some(ME), 10) };
    assert_eq!(bench.others, [Output::Shelve(failed.clone())], "in the place of what waited");
    shelved(&mut bench, 1, true);
    (bench, failed)
}

#[test]
fn a_message_that_failed_is_shown_as_that_on_the_next_page_and_sent_only_as_a_new_one() {
    let (_, failed) = refused();
    let mut bench = greeted(Some(ME), vec![failed, kept(2, Some(ME), 20)]);
    assert_eq!(bench.ops(), [(2, 0)]);
    let op = kept(1, None, 0).op;
    let shown = [
        Told::Queued { op, at: 10 },
        Told::Failed { op_id: op_id(1), refusal: Refusal::NotAllowed },
        Told::Shelved(op_id(1)),
    ];
    assert!(bench.told.starts_with(&shown), "{:?}", bench.told);
    assert_eq!(bench.client.waiting_count(), 1);
    bench.close(CloseCode(1006));
    bench.pass(60_000);
    bench.forget();
    bench.greet(ME);
    assert_eq!(bench.ops(), [(2, 0)], "nor on another connection");
    bench.ask(Ask::Retry { failed: op_id(1), op_id: op_id(3) });
    shelved(&mut bench, 3, true);
    assert_eq!((bench.ops(), taken_off(&bench)), (vec![(2, 0), (3, 0)], vec![op_id(1)]));
}

#[test]
fn a_message_that_failed_comes_off_the_shelf_by_its_writer_or_where_it_would_be_sent() {
    let (mut bench, failed) = refused();
    assert_eq!(taken_off(&bench), []);
    bench.ask(Ask::Discard(op_id(1)));
    assert_eq!(taken_off(&bench), [op_id(1)]);

    let mut bench = greeted(Some(ME), vec![failed]);
    bench.ask(Ask::Discard(op_id(1)));
    assert_eq!(taken_off(&bench), [op_id(1)]);

    let (mut bench, _) = refused();
    shelved(&mut bench, 1, false);
    assert_eq!(taken_off(&bench), [op_id(1)], "it could not be kept as one that failed");
}

#[test]
fn what_was_put_there_late_is_not_told_while_it_is_put_there_as_failed() {
    for done in [true, false] {
        let mut bench = greeted(Some(ME), Vec::new());
        bench.post(1);
        bench.pass(3_000);
        assert_eq!(bench.ops(), [(1, 0)], "the shelf is silent");
        bench.hear(Event::Refused(Refused { op_id: op_id(1), refusal: Refusal::NotAllowed }));
        shelved(&mut bench, 1, true);
        assert!(!bench.told.contains(&Told::Shelved(op_id(1))), "that it failed is not there yet");
        shelved(&mut bench, 1, done);
        assert_eq!(bench.told.contains(&Told::Shelved(op_id(1))), done);
        assert_eq!(taken_off(&bench).is_empty(), done, "it would be sent again");
    }
}

#[test]
fn an_old_message_of_an_earlier_page_is_only_asked_for() {
    let mut bench = Bench::over(Some(ME), (true, false));
    bench.now = 8 * DAY_MS;
    bench.step(Input::Restore { kept: vec![kept(1, Some(ME), 10)], keeps: true });
    bench.step(Input::Awake);
    bench.greet(ME);
    let asked = bench.said.iter().find_map(|command| match command {
        Command::Op(OpHead { check_only, .. }, _) => Some(*check_only),
        _ => None,
    });
    assert_eq!(asked, Some(true), "it may have been sent by the page that left it");
}

#[test]
fn what_is_written_on_the_shelf_reads_back_and_nothing_else_does() {
    let too_long = Refusal::TooLong { chars_max: 10_000 };
    for (user, failed) in [(Some(ME), None), (None, None), (Some(ME), Some(too_long))] {
        let layout = if failed.is_some() { 2 } else { 1 };
        let whole = Kept { failed, ..kept(1, user, 1_732_000_000_000) };
        let bytes = whole.to_bytes().unwrap();
        assert_eq!(bytes[0], layout, "what fails is left alone by a build that would send it");
        assert_eq!(Kept::from_bytes(&bytes), Some(whole));
        for length in 0..bytes.len() {
            assert_eq!(Kept::from_bytes(&bytes[..length]), None, "cut at {length}");
        }
        for another in [3 - layout, 0, 3] {
            let mut other = bytes.clone();
            other[0] = another;
            assert_eq!(Kept::from_bytes(&other), None, "of another build");
        }
    }
}
