//! Pages of rooms that outlive their page: when one is used, when it is written, when it goes.
//!
//! The bench is the cache: it says what lay there, and sees what is to be written.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::cache::Cached;
use super::super::exchange::{Ask, Input, Output, Standing, Told};
use super::bench::{Bench, EPOCH, ME, OTHER, ROOM, logged, op_id, posted};
use crate::act::{Op, Post};
use crate::bounded::{Blob, List, Text};
use crate::change::{Envelope, RoomRemoved};
use crate::close::CloseCode;
use crate::command::Sub;
use crate::cursor::Cursor;
use crate::event::{Gone, GoneReason, Logged, Reset, ResetReason, Snapshot, SubOk};
use crate::frame::{Act, Change, Command, Event};
use crate::ids::{EventId, OpId, RoomId, UserId};
use crate::model::{Message, Role, RoomEntry};

const HARBOUR: RoomId = RoomId::from_bytes([2; 16]);

fn at(seq: u64) -> Cursor {
    Cursor { epoch: EPOCH, seq, tag: 7 }
}

fn entry(id: RoomId, head: u64) -> RoomEntry {
    let (key, name, topic) = (Text::cut("key"), Text::cut("fresh"), Text::default());
    RoomEntry { id, key, name, topic, everyone: false, role: Role::Member, head }
}

fn page(user: UserId, room: RoomId, seq: u64) -> Cached {
    let message = Message {
        seq,
        id: EventId::NIL,
        at: 1,
        author: OTHER,
        name: Text::cut("x"),
        op_id: OpId::NIL,
        text: Text::cut(&"hello ".repeat(60)),
    };
    let room = RoomEntry { name: Text::cut("as it was called"), ..entry(room, seq) };
    let messages = List::cut([message]);
    let snapshot = Snapshot { room, member_count: 2, messages, older: true };
    Cached { user, opened_at: 5, cursor: at(seq), snapshot }
}

/// A client on a page that was drawn with a room, and that lists the harbour, too.
fn begun() -> Bench {
    let mut bench = Bench::over(Some(ME), (false, true));
    bench.step(Input::Awake);
    bench.ask(Ask::Show { room: HARBOUR, cursor: None });
    bench.ask(Ask::Show { room: ROOM, cursor: Some(at(3)) });
    bench.ask(Ask::Opened(ROOM));
    bench
}

fn greet(bench: &mut Bench) {
    bench.greet_with(ME, vec![entry(ROOM, 3), entry(HARBOUR, 12)]);
}

fn recall(bench: &mut Bench, pages: Vec<Cached>) {
    bench.step(Input::Recall { pages, keeps: true });
}

/// The rooms that were asked for, and from where.
fn asked(bench: &Bench) -> Vec<(RoomId, Option<u64>)> {
    let sub = |command: &Command| match command {
        Command::Sub(Sub { room, cursor, .. }) => Some((*room, cursor.map(|it| it.seq))),
        _ => None,
    };
    bench.said.iter().filter_map(sub).collect()
}

/// The pages that were told, by their room, its name and the number where they end.
fn told(bench: &Bench) -> Vec<(RoomId, String, u64)> {
    let reset = |told: &Told| match told {
        Told::Reset { cursor, snapshot: Some(Snapshot { room, .. }), .. } => {
            Some((room.id, room.name.to_string(), cursor.seq))
        }
        _ => None,
    };
    bench.told.iter().filter_map(reset).collect()
}

/// What was written, and what thrown away, in order.
fn cached(bench: &Bench) -> Vec<(RoomId, Option<u64>)> {
    let cached = |output: &Output| match output {
        Output::Cache { room, cursor, .. } => Some((*room, Some(cursor.seq))),
        Output::Uncache(room) => Some((*room, None)),
        Output::UncacheAll => Some((RoomId::NIL, None)),
        _ => None,
    };
    bench.others.iter().filter_map(cached).collect()
}

/// A client that has caught up in both rooms, of which one began by its page.
fn live() -> Bench {
    let mut bench = begun();
    recall(&mut bench, vec![page(ME, HARBOUR, 10)]);
    greet(&mut bench);
    for sub in [1, 2] {
        bench.hear(Event::SubOk(SubOk { sub, epoch: EPOCH, head: 0 }));
    }
    assert_eq!(bench.client.told_standing, Standing::Live);
    bench
}

#[test]
fn a_room_begins_by_its_page_and_resumes_from_there_whichever_comes_first() {
    let resumed = [(ROOM, Some(3)), (HARBOUR, Some(10))];
    let shown = [(HARBOUR, "fresh".to_owned(), 10)];
    let mut bench = begun();
    recall(&mut bench, vec![page(ME, HARBOUR, 10)]);
    assert_eq!(told(&bench), [], "nobody has said yet that the room is his");
    greet(&mut bench);
    assert_eq!((asked(&bench), told(&bench)), (resumed.to_vec(), shown.to_vec()));

    let mut bench = begun();
    greet(&mut bench);
    assert_eq!(asked(&bench), resumed[..1], "only the room that was drawn does not wait");
    bench.hear(Event::SubOk(SubOk { sub: 1, epoch: EPOCH, head: 3 }));
    assert_ne!(bench.client.told_standing, Standing::Live);
    recall(&mut bench, vec![page(ME, HARBOUR, 10)]);
    assert_eq!((asked(&bench), told(&bench)), (resumed.to_vec(), shown.to_vec()));
    bench.hear(Event::SubOk(SubOk { sub: 2, epoch: EPOCH, head: 12 }));
    for seq in [11, 12] {
        let envelope = Envelope { log: HARBOUR.log(), ..posted(seq, OTHER, OpId::NIL) };
        bench.hear(Event::Logged(Logged { envelope }));
    }
    assert_eq!(bench.seqs(), [11, 12]);
    assert_eq!(bench.client.told_standing, Standing::Live);
}

#[test]
fn a_cache_that_refuses_or_is_silent_ends_nothing_and_is_not_waited_for_long() {
    let afresh = [(ROOM, Some(3)), (HARBOUR, None)];
    let mut bench = begun();
    bench.step(Input::Recall { pages: Vec::new(), keeps: false });
    greet(&mut bench);
    assert_eq!(asked(&bench), afresh);
    bench.hear(logged(4));
    bench.step(Input::Leaving);
    assert_eq!(cached(&bench), [], "nothing is written where nothing is kept");

    let mut bench = begun();
    greet(&mut bench);
    bench.pass(2_999);
    assert_eq!(asked(&bench), afresh[..1]);
    bench.pass(1);
    assert_eq!(asked(&bench), afresh);
    recall(&mut bench, vec![page(ME, HARBOUR, 10)]);
    assert_eq!((asked(&bench).len(), told(&bench)), (2, vec![]), "it comes too late");

    let mut bench = Bench::over(None, (false, true));
    bench.ask(Ask::Show { room: ROOM, cursor: None });
    bench.step(Input::Awake);
    bench.step(Input::Checked(super::Checked::Ready));
    bench.greet_with(ME, vec![entry(ROOM, 3)]);
    assert_eq!(asked(&bench), [(ROOM, None)], "who had no name yet has no pages");
}

#[test]
fn a_page_is_used_for_no_other_user_and_for_no_room_that_is_not_his() {
    let mut bench = begun();
    recall(&mut bench, vec![page(OTHER, HARBOUR, 10)]);
    greet(&mut bench);
    assert_eq!(asked(&bench), [(ROOM, Some(3)), (HARBOUR, None)]);
    assert_eq!(cached(&bench), [(HARBOUR, None)]);

    // The page was drawn for one, and the socket is another's.
    let mut bench = begun();
    recall(&mut bench, vec![page(ME, HARBOUR, 10)]);
    bench.greet_with(OTHER, vec![entry(ROOM, 3), entry(HARBOUR, 12)]);
    assert_eq!(asked(&bench), [(ROOM, Some(3)), (HARBOUR, None)]);
    assert_eq!((cached(&bench), told(&bench)), (vec![(RoomId::NIL, None)], vec![]));

    let mut bench = begun();
    recall(&mut bench, vec![page(ME, HARBOUR, 10)]);
    bench.greet_with(ME, vec![entry(ROOM, 3)]);
    assert_eq!((cached(&bench), told(&bench)), (vec![(HARBOUR, None)], vec![]));

    // A snapshot is less than all that the room has gone on by.
    let mut bench = begun();
    recall(&mut bench, vec![page(ME, HARBOUR, 10)]);
    bench.greet_with(ME, vec![entry(ROOM, 3), entry(HARBOUR, 111)]);
    assert_eq!(asked(&bench), [(ROOM, Some(3)), (HARBOUR, None)]);
    assert_eq!((cached(&bench), told(&bench)), (vec![(HARBOUR, None)], vec![]));
}

#[test]
fn what_is_void_before_the_cache_was_read_goes_when_it_was() {
    let all_gone = vec![(RoomId::NIL, None)];
    for code in [CloseCode::SIGNED_OUT, CloseCode::DISABLED] {
        let mut bench = begun();
        greet(&mut bench);
        bench.close(code);
        bench.forget();
        recall(&mut bench, vec![page(ME, HARBOUR, 10)]);
        assert_eq!(cached(&bench), all_gone, "the first word came before anybody could hear it");
        bench.forget();
        bench.step(Input::Leaving);
        assert_eq!(cached(&bench), []);
    }
    let mut bench = begun();
    bench.greet_with(OTHER, vec![entry(ROOM, 3), entry(HARBOUR, 12)]);
    bench.forget();
    recall(&mut bench, vec![page(OTHER, HARBOUR, 10)]);
    assert_eq!(
        (cached(&bench), told(&bench)),
        (all_gone, vec![]),
        "whoever was greeted in between"
    );
}

#[test]
fn a_page_that_no_room_begins_by_at_the_greeting_is_not_used_later() {
    let mut bench = Bench::over(Some(ME), (false, true));
    bench.step(Input::Awake);
    bench.ask(Ask::Show { room: ROOM, cursor: Some(at(3)) });
    recall(&mut bench, vec![page(ME, HARBOUR, 10)]);
    greet(&mut bench);
    bench.ask(Ask::Show { room: HARBOUR, cursor: None });
    assert_eq!(asked(&bench), [(ROOM, Some(3)), (HARBOUR, None)], "it may be hours behind");
    assert_eq!((cached(&bench), told(&bench)), (vec![], vec![]), "it lies there for the next page");

    // The same of a room that began otherwise, and is told no more.
    let mut bench = begun();
    recall(&mut bench, vec![page(ME, ROOM, 2)]);
    greet(&mut bench);
    let reason = GoneReason::TooManyRooms { rooms_max: 1 };
    bench.hear(Event::Gone(Gone { sub: 1, room: ROOM, reason }));
    bench.forget();
    bench.ask(Ask::Show { room: ROOM, cursor: None });
    assert_eq!(told(&bench), []);
}

#[test]
fn an_own_message_on_a_page_is_stored_once_the_server_says_that_its_cursor_is_good() {
    let begun_by_it = || {
        let mut bench = begun();
        let (op_id, text) = (op_id(1), Text::cut("hello"));
        bench.ask(Ask::Act(Op { op_id, act: Act::Post(Post { room: HARBOUR, text }) }));
        let mut kept = page(ME, HARBOUR, 10);
        let messages = kept.snapshot.messages.into_vec();
        let own = |message| Message { author: ME, op_id, ..message };
        kept.snapshot.messages = List::cut(messages.into_iter().map(own));
        recall(&mut bench, vec![kept]);
        greet(&mut bench);
        assert_eq!(told(&bench).len(), 1);
        assert_eq!(bench.client.waiting_count(), 1, "it may be a page of what is gone");
        bench
    };
    let (op_id, log) = (op_id(1), HARBOUR.log());
    let accepted = Told::Accepted { op_id, log, seq: 10, at: 1 };

    let mut bench = begun_by_it();
    // The connection breaks before it is said, and the next one says it.
    bench.close(CloseCode(1006));
    bench.pass(60_000);
    greet(&mut bench);
    bench.hear(Event::SubOk(SubOk { sub: 2, epoch: EPOCH, head: 12 }));
    assert!(bench.told.contains(&accepted));
    assert_eq!(bench.client.waiting_count(), 0);

    let mut bench = begun_by_it();
    let Cached { cursor, snapshot, .. } = page(OTHER, HARBOUR, 4);
    let (reason, snapshot) = (ResetReason::Diverged, Some(snapshot));
    bench.hear(Event::Reset(Reset { sub: 2, reason, cursor, snapshot }));
    assert!(!bench.told.contains(&accepted), "the store was put back behind it");
    assert_eq!((bench.ops(), bench.client.waiting_count()), (vec![(1, 0)], 1));
    bench.accept(op_id, 5);
    assert_eq!(bench.client.waiting_count(), 0);
}

#[test]
fn what_the_server_says_of_the_cursor_goes_before_the_page() {
    let mut bench = begun();
    recall(&mut bench, vec![page(ME, HARBOUR, 10)]);
    greet(&mut bench);
    let Cached { cursor, snapshot, .. } = page(ME, HARBOUR, 4);
    let (reason, snapshot) = (ResetReason::Diverged, Some(snapshot));
    bench.hear(Event::Reset(Reset { sub: 2, reason, cursor, snapshot }));
    assert_eq!(told(&bench).last().map(|(_, _, seq)| *seq), Some(4));
    assert_eq!(bench.client.cursor(HARBOUR), Some(at(4)));
}

#[test]
fn pages_are_written_some_time_after_a_change_or_when_the_page_may_end() {
    let mut bench = live();
    bench.pass(9_000);
    assert_eq!(cached(&bench), []);
    bench.pass(1_000);
    assert_eq!(cached(&bench), [(ROOM, Some(3))], "what was drawn and opened, and no other");
    bench.forget();
    bench.hear(logged(4));
    bench.pass(9_999);
    bench.hear(logged(5));
    assert_eq!(cached(&bench), []);
    bench.pass(1);
    assert_eq!(cached(&bench), [(ROOM, Some(5))], "one write for all of it, under its last cursor");
    bench.forget();
    bench.hear(logged(6));
    bench.step(Input::Hidden(true));
    bench.hear(logged(7));
    bench.step(Input::Leaving);
    bench.step(Input::Leaving);
    assert_eq!(cached(&bench), [(ROOM, Some(6)), (ROOM, Some(7))]);
    assert!(bench.others.contains(&Output::Cache {
        user: ME,
        room: ROOM,
        opened_at: 1_000_000,
        cursor: Cursor { epoch: EPOCH, seq: 7, tag: posted(7, OTHER, op_id(0)).id.tag() },
    }));
}

#[test]
fn a_page_goes_with_its_room_and_all_go_with_their_user() {
    let gone = |reason| Event::Gone(Gone { sub: 2, room: HARBOUR, reason });
    for reason in [GoneReason::NotMember, GoneReason::Ended] {
        let mut bench = live();
        bench.hear(gone(reason));
        bench.step(Input::Leaving);
        assert_eq!(cached(&bench), [(HARBOUR, None), (ROOM, Some(3))]);
    }
    let mut bench = live();
    bench.ask(Ask::Hide(ROOM));
    bench.pass(10_000);
    bench.forget();
    bench.ask(Ask::Opened(HARBOUR));
    bench.hear(gone(GoneReason::Ended));
    bench.pass(20_000);
    assert_eq!(cached(&bench), [(HARBOUR, None)], "nor is it written when that was due");
    let mut bench = live();
    bench.hear(gone(GoneReason::TooManyRooms { rooms_max: 1 }));
    assert_eq!(cached(&bench), [], "the room is his as before");

    let mut bench = live();
    let removed = Change::RoomRemoved(RoomRemoved { room: HARBOUR });
    let body = Blob::new(removed.encode().unwrap()).unwrap();
    let kind = removed.kind().number();
    let envelope = Envelope { log: ME.log(), kind, body, ..posted(1, ME, OpId::NIL) };
    bench.hear(Event::Logged(Logged { envelope }));
    assert_eq!(cached(&bench), [(HARBOUR, None)]);

    for code in [CloseCode::SIGNED_OUT, CloseCode::DISABLED] {
        let mut bench = live();
        bench.hear(logged(4));
        bench.close(code);
        bench.step(Input::Leaving);
        assert_eq!(cached(&bench), [(RoomId::NIL, None)], "and nothing is written any more");
    }
}

#[test]
fn the_rooms_that_were_opened_last_have_a_place() {
    let room = |number: u8| RoomId::from_bytes([number; 16]);
    let mut bench = Bench::over(Some(ME), (false, true));
    bench.step(Input::Awake);
    let opened = |number: u8, opened_at| Cached { opened_at, ..page(ME, room(number), 10) };
    // Two pages that wrote at the same time have left one too many.
    let pages = (11..=19).map(|number| opened(number, i64::from(number))).collect();
    recall(&mut bench, pages);
    assert_eq!(cached(&bench), [(room(11), None)]);
    bench.forget();
    bench.greet_with(ME, (12..=22).map(|number| entry(room(number), 10)).collect());
    for number in [20, 21, 22] {
        bench.ask(Ask::Show { room: room(number), cursor: Some(at(10)) });
    }
    bench.ask(Ask::Opened(room(12)));
    bench.now += 1;
    bench.ask(Ask::Opened(room(20)));
    bench.step(Input::Leaving);
    assert_eq!(cached(&bench), [(room(13), None), (room(20), Some(10))]);
    bench.forget();
    for sub in [1, 2, 3] {
        bench.hear(Event::SubOk(SubOk { sub, epoch: EPOCH, head: 10 }));
    }
    let envelope = Envelope { log: room(21).log(), ..posted(11, OTHER, OpId::NIL) };
    bench.hear(Event::Logged(Logged { envelope }));
    bench.step(Input::Leaving);
    assert_eq!(cached(&bench), [], "what was never opened takes nobody's place");
    bench.step(Input::Unwritten(room(20)));
    assert_eq!(cached(&bench), [(room(20), None)], "nothing of it may lie there");
    bench.forget();
    bench.ask(Ask::Opened(room(21)));
    bench.step(Input::Leaving);
    assert_eq!(cached(&bench), [(room(21), Some(11))], "its place is free again");
}

#[test]
fn what_is_written_of_a_page_reads_back_and_nothing_else_does() {
    let whole = page(ME, HARBOUR, 10);
    let bytes = whole.clone().into_bytes().unwrap();
    assert_eq!(Cached::from_bytes(&bytes), Some(whole));
    for length in 0..bytes.len() {
        assert_eq!(Cached::from_bytes(&bytes[..length]), None, "cut at {length}");
    }
    let mut other = bytes.clone();
    other[0] = 2;
    assert_eq!(Cached::from_bytes(&other), None, "of another build");
    let mut bent = bytes;
    *bent.last_mut().unwrap() ^= 1;
    assert_eq!(Cached::from_bytes(&bent), None, "what a disk has lost a bit of");
}
