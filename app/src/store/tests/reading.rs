//! How far a reader has come: what is new to him, what is above, and what is kept of a long room.
//!
//! Part of the store's tests. The law that is tried: what goes off the screen or is not read yet
//! leaves no hole, and the line before what is new stands where that begins or nowhere.

use super::*;

#[test]
fn what_others_said_behind_what_was_read_is_new_and_own_words_are_not() {
    let store = store(vec![message(1, None)]);
    let lobby = store.lobby();
    store.log(&message(2, None));
    assert_eq!(lobby.unread(), (0, false), "nothing is known of what was read");
    store.read(&lobby);
    store.log(&message(3, None));
    store.post(op(7));
    store.accepted(op(7), 4);
    store.log(&message(5, None));
    assert_eq!(lobby.unread(), (2, false));
    store.read(&lobby);
    assert_eq!(lobby.unread(), (0, false));
    let known = (6..=9).map(|seq| message(seq, None)).collect();
    lobby.read_to.set(Some(2));
    store.reset(known, 9);
    lobby.older.set(OlderState::More);
    assert_eq!(lobby.unread(), (4, true), "and there may be more that are not known here");
}

#[test]
fn a_long_room_lets_its_oldest_rows_go_while_its_reader_is_at_the_newest() {
    let store = store(vec![]);
    let lobby = store.lobby();
    let said = |seq: u64| Message { seq, op_id: OpId::NIL, ..message(1, None) };
    for seq in 1..=260 {
        store.log(&said(seq));
    }
    assert_eq!((store.seqs().len(), store.seqs()[0]), (250, Some(11)));
    assert_eq!(lobby.older.get_untracked(), OlderState::More);
    store.log(&said(5));
    assert_eq!(store.seqs()[0], Some(11), "what was let go comes back as older messages only");
    lobby.away.set(true);
    store.log(&said(261));
    assert_eq!(store.seqs()[0], Some(11), "nothing goes while somebody reads above");
    let older = |before, from| {
        let messages = List::cut((from..before).map(said));
        store.tell(Told::Older { room: LOBBY, before, messages, older: false });
    };
    older(6, 1);
    assert_eq!(store.seqs()[0], Some(11), "what was let go meanwhile would be a hole");
    older(11, 1);
    assert_eq!((store.seqs().len(), store.seqs()[0]), (261, Some(1)));
}

#[test]
fn older_messages_stand_above_once() {
    let store = store(vec![message(5, None)]);
    let messages = List::cut([message(3, None), message(4, None)]);
    let told = Told::Older { room: LOBBY, before: 5, messages, older: false };
    store.tell(told.clone());
    store.tell(told);
    assert_eq!(store.seqs(), [Some(3), Some(4), Some(5)]);
    assert_eq!(store.lobby().older.get_untracked(), OlderState::Start);
}

#[test]
fn older_messages_that_were_asked_for_before_a_reset_leave_no_hole() {
    let store = store(vec![message(5, None), message(6, None)]);
    store.reset(vec![message(50, None), message(51, None)], 51);
    let messages = List::cut([message(3, None), message(4, None)]);
    store.tell(Told::Older { room: LOBBY, before: 5, messages, older: false });
    assert_eq!(store.seqs(), [Some(50), Some(51)]);
}

#[test]
fn an_own_message_that_is_older_than_what_is_shown_comes_with_its_neighbours() {
    let store = store(vec![message(50, None), message(51, None)]);
    store.lobby().older.set(OlderState::More);
    store.post(op(7));
    store.accepted(op(7), 4);
    assert_eq!(store.seqs(), [Some(50), Some(51)], "on top it would hide a hole");
    let messages = List::cut([message(4, Some(op(7))), message(5, None)]);
    store.tell(Told::Older { room: LOBBY, before: 50, messages, older: false });
    assert_eq!(store.seqs(), [Some(4), Some(5), Some(50), Some(51)]);
}
