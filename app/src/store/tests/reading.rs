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

/// What begins with each row, by its number in the room.
fn news(store: &Store) -> Vec<(u64, Opens)> {
    let rows = store.lobby().rows.get_untracked();
    let new = |row: &Row| {
        let opens = row.opens.get_untracked();
        let is_new = matches!(opens, Opens::New(_) | Opens::NewDay(_));
        row.seq().filter(|_| is_new).map(|seq| (seq, opens))
    };
    rows.iter().filter_map(new).collect()
}

#[test]
fn a_line_stands_before_what_was_new_until_the_reader_leaves() {
    let store = store(vec![message(1, None)]);
    let lobby = store.lobby();
    store.read(&lobby);
    assert!(!store.come(&lobby, true), "nothing is new");
    store.post(op(7));
    store.accepted(op(7), 2);
    for seq in 3..=4 {
        store.log(&message(seq, None));
    }
    assert!(store.come(&lobby, true));
    store.read(&lobby);
    store.log(&message(5, None));
    assert_eq!(news(&store), [(3, Opens::New(0))], "own words are not new");
    store.read(&lobby);
    store.log(&message(6, None));
    assert!(store.come(&lobby, false));
    assert_eq!(news(&store), [(3, Opens::New(0))], "it does not move while he stays");
    assert!(store.come(&lobby, true));
    assert_eq!(news(&store), [(6, Opens::New(0))], "but where he comes anew");
    store.part(&lobby);
    assert_eq!(news(&store), []);
}

#[test]
fn where_the_news_may_begin_above_the_line_says_so_until_that_is_known() {
    let store = store((11..=13).map(|seq| message(seq, None)).collect());
    let lobby = store.lobby();
    lobby.older.set(OlderState::More);
    lobby.read_to.set(Some(8));
    assert!(store.come(&lobby, true));
    assert_eq!((news(&store), lobby.line_rises()), (vec![(11, Opens::NewDay(3))], true));
    let messages = List::cut((7..=10).map(|seq| message(seq, None)));
    store.tell(Told::Older { room: LOBBY, before: 11, messages, older: true });
    assert_eq!((news(&store), lobby.line_rises()), (vec![(9, Opens::New(0))], false));
    assert_eq!(lobby.unread(), (5, false), "nothing of it was read by that");
}

#[test]
fn where_the_news_begin_too_far_above_the_line_stays_before_what_is_here() {
    let said = |seq: u64| Message { seq, op_id: OpId::NIL, ..message(1, None) };
    let come = |read_to: u64| {
        let store = store((301..=350).map(said).collect());
        let lobby = store.lobby();
        lobby.older.set(OlderState::More);
        lobby.read_to.set(Some(read_to));
        assert!(store.come(&lobby, true));
        (store, lobby)
    };
    let (store, lobby) = come(99);
    let messages = List::cut((251..=300).map(said));
    assert_eq!((news(&store)[0].0, lobby.line_rises()), (301, false));
    store.tell(Told::Older { room: LOBBY, before: 301, messages, older: true });
    assert_eq!(news(&store), [(301, Opens::New(50))]);
    assert_eq!(lobby.unread(), (100, true));
    store.read(&lobby);
    lobby.regroup(store.zone());
    assert_eq!(news(&store), [(301, Opens::New(0))], "and nothing above it is new any more");
    let (_, lobby) = come(100);
    assert!(lobby.line_rises(), "so far it is read back");
}

#[test]
fn of_a_long_room_only_so_much_is_on_the_screen_as_its_reader_is_near() {
    let said = |seq: u64| Message { seq, op_id: OpId::NIL, ..message(1, None) };
    let store = store((251..=500).map(said).collect());
    let lobby = store.lobby();
    lobby.older.set(OlderState::More);
    lobby.away.set(true);
    let shown = || {
        let seqs: Vec<u64> = lobby.shown().iter().filter_map(Row::seq).collect();
        (seqs[0], seqs[seqs.len() - 1], seqs.len())
    };
    let older = |before: u64| {
        let messages = List::cut((before - 50..before).map(said));
        store.tell(Told::Older { room: LOBBY, before, messages, older: true });
    };
    older(251);
    store.cap(&lobby, Far::Newest);
    assert_eq!(shown(), (201, 450, 250));
    store.log(&said(501));
    assert_eq!(shown(), (201, 450, 250), "what comes meanwhile moves nothing");
    older(201);
    store.cap(&lobby, Far::Newest);
    assert_eq!(shown(), (151, 400, 250));
    for end in [450, 500] {
        lobby.show_newer();
        assert_eq!(shown().1, end);
        store.cap(&lobby, Far::Oldest);
        assert_eq!(shown(), (end - 249, end, 250));
    }
    lobby.show_newer();
    assert_eq!((shown().1, lobby.keeps_newest_off()), (501, false));
    older(251);
    assert_eq!(shown().0, 201, "what was let go is read again");
}

#[test]
fn who_comes_back_to_a_page_finds_what_came_while_it_was_hidden_behind_a_line() {
    let store = store(vec![message(1, None)]);
    let (lobby, mut gaze) = (store.lobby(), Gaze::default());
    assert_eq!(gaze.look(true, false), Look::Comes { anew: true, led: true });
    assert!(!store.come(&lobby, true));
    store.read(&lobby);
    store.log(&message(2, None));
    assert_eq!(gaze.look(true, false), Look::Stays);
    store.read(&lobby);
    for seq in [3, 4] {
        assert_eq!(gaze.look(true, true), Look::Away, "nobody sees a hidden page");
        store.log(&message(seq, None));
    }
    assert_eq!(lobby.unread(), (2, false));
    let back = gaze.look(true, false);
    assert_eq!(back, Look::Comes { anew: true, led: true });
    assert!(store.come(&lobby, true));
    assert_eq!(news(&store), [(3, Opens::New(0))]);
    assert_eq!(gaze.look(true, false), Look::Stays);
}

#[test]
fn who_scrolls_to_what_is_new_is_led_nowhere() {
    let mut gaze = Gaze::default();
    assert_eq!(gaze.look(true, false), Look::Comes { anew: true, led: true });
    assert_eq!(gaze.look(false, false), Look::Away);
    assert_eq!(gaze.look(true, false), Look::Comes { anew: false, led: false });
    for hidden in [true, false] {
        assert_eq!(gaze.look(false, hidden), Look::Away);
    }
    assert_eq!(gaze.look(true, false), Look::Comes { anew: true, led: false });
}

#[test]
fn who_left_while_he_read_above_is_back_where_he_was_unless_something_came() {
    let store = store((1..=3).map(|seq| message(seq, None)).collect());
    let lobby = store.lobby();
    lobby.read_to.set(Some(1));
    assert!(store.come(&lobby, true));
    let leave = |place: i32| {
        lobby.away.set(place != 0);
        lobby.keep_place(place);
        store.part(&lobby);
        (lobby.come_back(), lobby.away.get_untracked(), news(&store).len())
    };
    assert_eq!(leave(-700), (Some(-700), true, 1), "and the line is where it was");
    store.log(&message(4, None));
    assert_eq!(leave(-700), (Some(-700), true, 1), "what came before he left he knows of");
    lobby.away.set(false);
    store.log(&message(5, None));
    assert_eq!((lobby.come_back(), news(&store).len()), (None, 0));
    assert_eq!(leave(0), (None, false, 0));
    assert_eq!(leave(-9), (Some(-9), true, 0));
    store.part(&lobby);
    store.reset(vec![message(6, None)], 6);
    assert_eq!(lobby.come_back(), None);
    let said = |seq: u64| Message { seq, op_id: OpId::NIL, ..message(1, None) };
    lobby.away.set(true);
    (7..=600).for_each(|seq| store.log(&said(seq)));
    assert_eq!(leave(-9), (None, false, 0), "so many rows are not held for it");
}

/// Where the reader of a tab was.
#[derive(Default)]
struct Tab(Mutex<Option<(RoomId, u64, u64)>>);

impl Keeper for Tab {
    fn take_place(&self, room: RoomId, newest: u64) -> Option<u64> {
        let kept = self.0.lock().unwrap().take();
        kept.filter(|kept| (kept.0, kept.1) == (room, newest)).map(|kept| kept.2)
    }

    fn keep_place(&self, place: Option<(RoomId, u64, u64)>) {
        *self.0.lock().unwrap() = place;
    }
}

#[test]
fn who_reads_above_is_there_when_the_page_was_loaded_anew_unless_something_came() {
    let tab = Arc::new(Tab::default());
    let loaded = |newest: u64| {
        let messages = (1..=newest).map(|seq| message(seq, None)).collect();
        let store = store_over(messages, tab.clone());
        store.look_up_place();
        let lobby = store.lobby();
        (store, lobby.come_back(), lobby)
    };
    let (store, place, lobby) = loaded(3);
    assert_eq!(place, None);
    lobby.keep_place(-700);
    store.keep_place();
    assert_eq!(loaded(3).1, None, "he left that room before");
    lobby.away.set(true);
    store.keep_place();
    let (store, place, lobby) = loaded(3);
    assert_eq!((place, lobby.away.get_untracked()), (Some(-700), true));
    assert_eq!(loaded(3).1, None, "once");
    store.keep_place();
    assert_eq!(loaded(4).1, None, "he is brought to what came");
    lobby.away.set(true);
    lobby.last.set(Some(1));
    store.keep_place();
    assert_eq!(loaded(3).1, None, "what is newer was not below him");
    lobby.last.set(None);
    store.keep_place();
    lobby.keep_place(0);
    store.keep_place();
    assert_eq!(loaded(3).1, None, "he went on to the newest");
}
