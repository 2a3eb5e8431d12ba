//! The store by what it is told: own messages, others', resets, pages, rooms.
//!
//! Its law is tried here: however a message came, the rows are those of a fresh snapshot.

mod cached;
mod own;
mod reading;

use std::sync::Arc;

use leptos::prelude::{GetUntracked, WithUntracked};
use protocol::act::{Op, Post, Rename, Strand};
use protocol::bounded::{List, Text};
use protocol::change::{Envelope, Posted, RoomAdded, RoomRemoved};
use protocol::client::exchange::Told;
use protocol::cursor::Cursor;
use protocol::event::{GoneReason, ResetReason, Snapshot};
use protocol::frame::{Act, Change, Kind};
use protocol::ids::{EventId, LogId, OpId, RoomId, UserId};
use protocol::model::{Me, Message, Rank, Role, RoomEntry};
use protocol::refusal::{Refusal, RetryReason};

use super::afresh::AFRESH_MS;
use super::delay::PATIENCE_MS;
use super::*;
use crate::first_page::{Inside, RoomPage};

const ME: UserId = UserId::from_bytes([1; 16]);
const MEI: UserId = UserId::from_bytes([2; 16]);
const LOBBY: RoomId = RoomId::from_bytes([3; 16]);
const HARBOUR: RoomId = RoomId::from_bytes([4; 16]);

fn entering() -> Strand {
    Strand { log: ME.log(), kind: Some(Kind::Enter) }
}

fn op(number: u8) -> OpId {
    OpId::from_bytes([number; 16])
}

fn entry(id: RoomId, key: &str) -> RoomEntry {
    let (name, topic) = (Text::cut(key), Text::default());
    let (role, everyone) = (Role::Member, id == LOBBY);
    RoomEntry { id, key: Text::cut(key), name, topic, everyone, role, head: 0 }
}

/// A message of Mei's, or of mine under an op.
fn message(seq: u64, own: Option<OpId>) -> Message {
    Message {
        seq,
        id: EventId::make(i64::try_from(seq).unwrap(), [0; 10]),
        at: i64::try_from(seq).unwrap() * 1_000,
        author: if own.is_some() { ME } else { MEI },
        name: Text::cut("somebody"),
        op_id: own.unwrap_or_else(|| op(u8::try_from(100 + seq).unwrap())),
        text: Text::cut(&format!("text {seq}")),
    }
}

fn store(messages: Vec<Message>) -> Store {
    store_over(messages, Arc::new(NoKeeper))
}

fn store_over(messages: Vec<Message>, keeper: Arc<dyn Keeper>) -> Store {
    let cursor = Cursor { epoch: 1, seq: messages.last().map_or(0, |last| last.seq), tag: 0 };
    let inside = Inside { cursor, messages, older: false, newer: false };
    let shown = RoomPage { entry: entry(LOBBY, "lobby"), member_count: 2, inside: Some(inside) };
    let page = FirstPage {
        me: Some(Me { id: ME, name: Text::cut("me"), rank: Rank::Guest }),
        rooms: vec![entry(LOBBY, "lobby")],
        shown: Shown::Room(shown),
        ..FirstPage::default()
    };
    Store::new(&page, keeper)
}

impl Store {
    fn tell(&self, told: Told) {
        self.apply(told, 0);
    }

    fn lobby(&self) -> Room {
        self.rooms.get_untracked().into_iter().find(|room| room.id == LOBBY).unwrap()
    }

    fn post(&self, op_id: OpId) {
        let act = Act::Post(Post { room: LOBBY, text: Text::cut("mine") });
        self.tell(Told::Queued { op: Op { op_id, act }, at: 5 });
    }

    fn log(&self, message: &Message) {
        let Message { seq, id, at, author, op_id, .. } = *message;
        let change =
            Change::Posted(Posted { name: message.name.clone(), text: message.text.clone() });
        self.logged_in(
            LOBBY.log(),
            Envelope {
                log: LOBBY.log(),
                seq,
                id,
                at,
                author,
                op_id,
                flags: 0,
                kind: change.kind().number(),
                body: Default::default(),
            },
            change,
        );
    }

    fn logged_in(&self, log: LogId, envelope: Envelope, change: Change) {
        assert_eq!(log, envelope.log);
        self.tell(Told::Logged { envelope, change: Some(change) });
    }

    fn accepted(&self, op_id: OpId, seq: u64) {
        self.tell(Told::Accepted { op_id, log: LOBBY.log(), seq, at: 9 });
    }

    fn reset(&self, messages: Vec<Message>, seq: u64) {
        let snapshot = Snapshot {
            room: entry(LOBBY, "lobby"),
            member_count: 2,
            messages: List::cut(messages),
            older: false,
        };
        let cursor = Cursor { epoch: 1, seq, tag: 0 };
        let (log, reason) = (LOBBY.log(), ResetReason::TooOld);
        self.tell(Told::Reset { log, reason, cursor, snapshot: Some(snapshot) });
    }

    /// The rows as a person sees them: number in the room or op, and state.
    fn seen(&self) -> Vec<(Option<u64>, OpId, Opens)> {
        let seen = |row: &Row| (row.seq(), row.op_id, row.opens.get_untracked());
        self.lobby().rows.with_untracked(|rows| rows.iter().map(seen).collect())
    }

    fn seqs(&self) -> Vec<Option<u64>> {
        self.seen().into_iter().map(|(seq, ..)| seq).collect()
    }

    fn numbers(&self) -> Vec<u64> {
        self.lobby().rows.with_untracked(|rows| rows.iter().map(|row| row.number).collect())
    }
}

#[test]
fn events_on_a_snapshot_give_what_a_fresh_snapshot_gives() {
    let all: Vec<Message> = (1..=9)
        .map(|seq| message(seq, (seq % 3 == 0).then(|| op(u8::try_from(seq).unwrap()))))
        .collect();
    let told = store(all[..4].to_vec());
    told.post(op(6));
    told.post(op(9));
    for message in &all[4..] {
        told.log(message);
    }
    assert_eq!(told.seen(), store(all).seen());
}

#[test]
fn a_pending_row_becomes_the_stored_one_and_keeps_its_element() {
    let store = store(vec![message(1, None)]);
    store.post(op(7));
    let numbers = store.numbers();
    store.accepted(op(7), 2);
    assert_eq!((store.seqs(), store.numbers()), (vec![Some(1), Some(2)], numbers.clone()));
    store.log(&message(2, Some(op(7))));
    assert_eq!((store.seqs(), store.numbers()), (vec![Some(1), Some(2)], numbers));
}

#[test]
fn whatever_comes_first_rows_are_in_the_order_of_the_log_and_pending_ones_last() {
    let store = store(vec![]);
    store.post(op(7));
    store.post(op(8));
    store.accepted(op(7), 2);
    store.log(&message(1, None));
    assert_eq!(store.seqs(), [Some(1), Some(2), None]);
    store.log(&message(2, Some(op(7))));
    store.log(&message(3, None));
    assert_eq!(store.seqs(), [Some(1), Some(2), Some(3), None]);
    store.log(&message(4, Some(op(8))));
    assert_eq!(store.seqs(), [Some(1), Some(2), Some(3), Some(4)]);
}

#[test]
fn another_who_uses_an_op_id_of_ours_takes_nothing_from_us() {
    let store = store(vec![]);
    store.post(op(7));
    store.log(&Message { author: MEI, ..message(1, Some(op(7))) });
    assert_eq!(store.seqs(), [Some(1), None]);
}

#[test]
fn a_failed_row_stays_until_it_is_discarded_and_a_sent_one_never_fails() {
    let store = store(vec![]);
    store.post(op(7));
    store.tell(Told::Failed { op_id: op(7), refusal: Refusal::NotAllowed });
    store.post(op(8));
    store.accepted(op(8), 1);
    store.tell(Told::Failed { op_id: op(8), refusal: Refusal::NotAllowed });
    assert_eq!(store.seqs(), [Some(1), None]);
    let failed =
        || (store.lobby().has_failed(), store.has_failed(None), store.has_failed(Some(LOBBY)));
    assert_eq!(failed(), (true, true, false));
    store.tell(Told::Discarded(op(7)));
    store.tell(Told::Discarded(op(8)));
    assert_eq!(store.seqs(), [Some(1)]);
    assert_eq!(failed(), (false, false, false));
}

#[test]
fn a_message_of_an_earlier_page_has_one_row_and_leaves_no_hole_above_it() {
    let store = store(vec![message(7, Some(op(1))), message(8, None)]);
    store.post(op(1));
    assert_eq!(store.seqs(), [Some(7), Some(8)], "it was stored, and its answer lost");
    let room = store.lobby();
    room.older.set(OlderState::More);
    store.post(op(2));
    store.accepted(op(2), 3);
    assert_eq!(store.seqs(), [Some(7), Some(8)], "what is between is not read yet");
    room.older.set(OlderState::Start);
    store.post(op(3));
    store.accepted(op(3), 3);
    assert_eq!(store.seqs(), [Some(3), Some(7), Some(8)]);
}

#[test]
fn a_reset_keeps_the_elements_of_what_is_still_there_and_what_waits() {
    let store = store(vec![message(1, None), message(2, None)]);
    store.post(op(7));
    store.post(op(8));
    store.accepted(op(8), 9);
    assert_eq!(store.numbers(), [0, 1, 3, 2]);
    store.reset(vec![message(2, None), message(5, Some(op(7)))], 6);
    assert_eq!(store.seqs(), [Some(2), Some(5), Some(9)]);
    assert_eq!(store.numbers(), [1, 2, 3]);
}

#[test]
fn a_history_that_was_put_back_leaves_nothing_of_the_other_one() {
    let store = store(vec![message(1, None), message(2, None)]);
    store.post(op(7));
    store.post(op(8));
    store.accepted(op(8), 3);
    store.read(&store.lobby());
    let snapshot = Snapshot {
        room: entry(LOBBY, "lobby"),
        member_count: 2,
        messages: List::cut([message(1, None)]),
        older: false,
    };
    let (log, cursor) = (LOBBY.log(), Cursor { epoch: 1, seq: 1, tag: 0 });
    let reason = ResetReason::Diverged;
    store.tell(Told::Reset { log, reason, cursor, snapshot: Some(snapshot) });
    assert_eq!(store.seqs(), [Some(1), None], "what waits goes on waiting");
    assert_eq!(store.lobby().read_to.get_untracked(), Some(1), "what comes now is new");
    let said = || store.afresh.get_untracked().map(|it| (it.log, it.reason));
    store.hidden.set(true);
    assert_eq!(store.tick(AFRESH_MS), Some(2 * AFRESH_MS));
    assert_eq!(said(), Some((log, reason)), "nobody has seen it yet");
    store.hidden.set(false);
    store.tick(2 * AFRESH_MS);
    assert_eq!(said(), None);
}

#[test]
fn a_room_that_one_connection_too_many_asks_for_is_still_his() {
    let store = store(vec![message(1, None)]);
    let reason = GoneReason::TooManyRooms { rooms_max: 1 };
    store.tell(Told::Gone { room: LOBBY, reason });
    assert_eq!(store.lobby().membership.get_untracked(), Membership::Member);
}

#[test]
fn rooms_come_and_go_by_the_users_log_and_keep_their_rows() {
    let store = store(vec![message(1, None)]);
    let change = |change: Change| Told::Logged {
        envelope: Envelope {
            log: ME.log(),
            seq: 1,
            id: EventId::NIL,
            at: 0,
            author: ME,
            op_id: OpId::NIL,
            flags: 0,
            kind: change.kind().number(),
            body: Default::default(),
        },
        change: Some(change),
    };
    let (key, name) = (Text::cut("harbour"), Text::cut("Harbour"));
    store.tell(change(Change::RoomAdded(RoomAdded { room: HARBOUR, key, name })));
    let keys =
        || store.rooms.get_untracked().iter().map(|room| room.key.to_string()).collect::<Vec<_>>();
    assert_eq!(keys(), ["lobby", "harbour"]);
    store.tell(change(Change::RoomRemoved(RoomRemoved { room: HARBOUR })));
    assert_eq!(keys(), ["lobby"]);
    store.tell(Told::Rooms(vec![entry(HARBOUR, "harbour"), entry(LOBBY, "lobby")]));
    assert_eq!(keys(), ["lobby", "harbour"]);
    assert_eq!(store.seqs(), [Some(1)]);
}

#[test]
fn rooms_stand_by_name_then_by_key_from_the_first_drawing_on() {
    let named = |id: u8, key: &str, name: &str| RoomEntry {
        name: Text::cut(name),
        ..entry(RoomId::from_bytes([id; 16]), key)
    };
    let rooms = vec![
        named(9, "a-room", "Zebra"),
        named(8, "tea-2", "tea"),
        named(7, "tea", "Tea"),
        entry(LOBBY, "lobby"),
    ];
    let page = FirstPage { rooms: rooms.clone(), ..FirstPage::default() };
    let store = Store::new(&page, Arc::new(NoKeeper));
    let keys =
        || store.rooms.get_untracked().iter().map(|room| room.key.to_string()).collect::<Vec<_>>();
    let drawn = keys();
    assert_eq!(drawn, ["lobby", "tea", "tea-2", "a-room"]);
    store.tell(Told::Rooms(rooms));
    assert_eq!(keys(), drawn, "nothing moves when the server lists them");
}

#[test]
fn a_lane_that_waits_long_is_told_until_its_time_and_a_short_wait_is_not() {
    let store = store(vec![]);
    let put_off = |ms| Told::Delayed { strand: entering(), reason: RetryReason::Rate, until: ms };
    let delay = || store.delays.with_untracked(|delays| delays.first().map(|delay| delay.until));
    store.tell(put_off(1_000));
    assert_eq!(delay(), None);
    store.tell(put_off(9_000));
    store.tell(put_off(360_000));
    assert_eq!((delay(), store.tick(9_000)), (Some(360_000), Some(360_000)));
    let rename = Act::Rename(Rename { name: Text::cut("Mei") });
    assert_eq!(store.delay(rename.strand(ME)), None, "what is not too fast is not said to be");
    assert_eq!((store.tick(360_000), delay()), (None, None));
}

#[test]
fn many_messages_that_each_wait_shortly_are_told_of_until_no_more_are_put_off() {
    let store = store(vec![]);
    let put_off = |ms| Told::Delayed {
        strand: Strand { log: LOBBY.log(), kind: None },
        reason: RetryReason::Rate,
        until: ms,
    };
    let until = || store.delay(store.lobby().strand()).map(|delay| delay.until);
    store.post(op(1));
    store.tell(put_off(1_000));
    assert_eq!(until(), None);
    store.post(op(2));
    store.tell(put_off(1_000));
    assert_eq!(until(), Some(PATIENCE_MS));
    store.tick(PATIENCE_MS);
    assert_eq!(until(), None);
}

#[test]
fn a_long_run_of_one_author_names_him_again_and_older_rows_do_not_change_where() {
    let heads = |from: u64| {
        let store = store((from..=70).map(|seq| message(seq, None)).collect());
        let rows = store.lobby().rows.get_untracked();
        let head = |row: &&Row| row.opens.get_untracked() != Opens::Nothing;
        rows.iter().filter(head).filter_map(Row::seq).collect::<Vec<_>>()
    };
    assert_eq!(heads(1), [1, 20, 40, 60]);
    assert_eq!(heads(15), [15, 40, 60]);
    assert_eq!(heads(30), [30, 40, 60]);
}

#[test]
fn only_the_messages_of_a_room_wait_in_it() {
    let store = store(vec![message(1, None)]);
    store.post(op(7));
    store.post(op(8));
    let act = Act::Enter(protocol::act::Enter { key: Text::cut("harbour") });
    store.tell(Told::Queued { op: Op { op_id: op(1), act }, at: 0 });
    store.tell(Told::Waiting { op_count: 3, full: false });
    assert_eq!(store.lobby().pending_count(), 2);
    store.accepted(op(7), 2);
    assert_eq!(store.lobby().pending_count(), 1);
}

#[test]
fn who_wrote_a_message_is_not_writing_it_any_more() {
    let store = store(vec![]);
    let names = || store.lobby().typists.get_untracked();
    let told = ["somebody", "Mei"].map(str::to_owned).to_vec();
    store.tell(Told::Typists { room: LOBBY, names: told });
    store.log(&message(1, None));
    assert_eq!(names(), ["Mei"]);
}

#[test]
fn who_left_a_room_is_not_shown_an_old_count() {
    let store = store(vec![message(1, None)]);
    let lobby = store.lobby();
    assert_eq!(lobby.member_count.get_untracked(), Some(2));
    store.tell(Told::Gone { room: LOBBY, reason: GoneReason::Ended });
    assert_eq!((lobby.member_count.get_untracked(), lobby.cursor.get_untracked()), (None, None));
}

#[test]
fn who_is_no_member_any_more_sees_no_message() {
    let store = store(vec![message(1, None)]);
    let lobby = store.lobby();
    store.tell(Told::Gone { room: LOBBY, reason: GoneReason::NotMember });
    assert!(lobby.rows.with_untracked(Vec::is_empty));
    assert_eq!(lobby.membership.get_untracked(), Membership::Outside);
}

#[test]
fn what_came_of_another_act_is_told_under_its_id() {
    let store = store(vec![]);
    let act = Act::Enter(protocol::act::Enter { key: Text::cut("harbour") });
    store.tell(Told::Queued { op: Op { op_id: op(1), act }, at: 0 });
    let fate = || store.fates.with_untracked(|fates| fates.get(&op(1)).cloned());
    assert_eq!(fate(), Some(Fate::Pending));
    store.tell(Told::Accepted { op_id: op(1), log: HARBOUR.log(), seq: 2, at: 0 });
    assert_eq!(fate(), Some(Fate::Done(HARBOUR.log())));
}

#[test]
fn a_full_outbox_gives_a_text_back_and_a_form_its_button() {
    let store = store(vec![]);
    let post = Act::Post(Post { room: LOBBY, text: Text::cut("mine") });
    let rename = Act::Rename(Rename { name: Text::cut("Mei") });
    store.tell(Told::Full(Op { op_id: op(1), act: post.clone() }));
    store.tell(Told::Full(Op { op_id: op(2), act: rename }));
    assert_eq!(store.kept.get_untracked(), [post]);
    let fates = store.fates.get_untracked();
    assert_eq!((fates.get(&op(1)), fates.get(&op(2))), (None, Some(&Fate::Full)));
}
