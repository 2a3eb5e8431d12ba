//! Own messages that failed, or whose room is not known yet.
//!
//! Part of the store's tests. The law that is tried: whatever is told of an own message is shown, in
//! its place, or kept until there is one; what it ends leaves nothing behind.

use super::*;

/// The ops whose texts are noted.
#[derive(Default)]
struct Notes(Mutex<Vec<OpId>>);

impl Keeper for Notes {
    fn note_sent(&self, _room: RoomId, op_id: OpId, text: &str) {
        let mut notes = self.0.lock().unwrap();
        notes.retain(|noted| *noted != op_id);
        notes.extend((!text.is_empty()).then_some(op_id));
    }
}

#[test]
fn a_failed_message_is_offered_in_no_composer_once_it_is_kept_as_failed() {
    let (notes, page) = (Arc::new(Notes::default()), FirstPage::default());
    let store = Store::new(&page, notes.clone());
    store.tell(Told::Rooms(vec![entry(LOBBY, "lobby")]));
    let noted = || notes.0.lock().unwrap().clone();
    let fail = || store.tell(Told::Failed { op_id: op(7), refusal: Refusal::NotMember });
    store.post(op(7));
    store.tell(Told::Shelved(op(7)));
    fail();
    assert_eq!(noted(), [op(7)], "it is kept as one that waits");
    store.tell(Told::Shelved(op(7)));
    assert_eq!(noted(), []);
}

#[test]
fn what_failed_stands_last_and_what_is_stored_stays_where_it_was_queued() {
    let store = store(vec![message(1, None)]);
    for number in [7, 8, 9] {
        store.post(op(number));
    }
    store.tell(Told::Failed { op_id: op(7), refusal: Refusal::NotAllowed });
    let ops = || store.seen().into_iter().map(|(_, op_id, _)| op_id).collect::<Vec<_>>();
    assert_eq!(ops()[1..], [op(8), op(9), op(7)]);
    store.post(op(10));
    let numbers = store.numbers();
    for (number, seq) in [(8, 2), (9, 3), (10, 4)] {
        store.accepted(op(number), seq);
        assert_eq!(store.numbers(), numbers);
    }
    assert_eq!(store.seqs(), [Some(1), Some(2), Some(3), Some(4), None]);
}

#[test]
fn a_message_of_a_room_that_is_not_known_is_shown_once_it_is() {
    let notes = Arc::new(Notes::default());
    let store = Store::new(&FirstPage::default(), notes.clone());
    let queue = |number: u8| {
        let act = Act::Post(Post { room: HARBOUR, text: Text::cut("mine") });
        store.tell(Told::Queued { op: Op { op_id: op(number), act }, at: i64::from(number) });
    };
    [1, 2, 3, 4].into_iter().for_each(queue);
    store.tell(Told::Failed { op_id: op(1), refusal: Refusal::NotMember });
    store.tell(Told::Accepted { op_id: op(2), log: HARBOUR.log(), seq: 9, at: 9 });
    store.tell(Told::Discarded(op(3)));
    store.tell(Told::Shelved(op(4)));
    assert_eq!(*notes.0.lock().unwrap(), [op(1)]);
    store.tell(Told::Rooms(vec![entry(LOBBY, "lobby"), entry(HARBOUR, "harbour")]));
    let rooms = store.rooms.get_untracked();
    let harbour = rooms.iter().find(|room| room.id == HARBOUR).unwrap();
    let shown = harbour.rows.with_untracked(|rows| {
        rows.iter().map(|row| (row.op_id, row.state.get_untracked())).collect::<Vec<_>>()
    });
    let failed = RowState::Failed(Refusal::NotMember);
    assert_eq!(shown, [(op(4), RowState::Pending), (op(1), failed)]);
}

#[test]
fn a_room_that_an_earlier_page_left_is_listed_by_what_lay_beside_its_message() {
    let left = store(vec![]);
    left.tell(Told::Rooms(vec![entry(LOBBY, "lobby"), entry(HARBOUR, "harbour")]));
    let act = Act::Post(Post { room: HARBOUR, text: Text::cut("mine") });
    let address = left.address(&act);
    let store = store(vec![]);
    let listed = || {
        let told = |room: &Room| (room.key.to_string(), room.membership.get_untracked());
        store.listed().iter().map(told).collect::<Vec<_>>()
    };
    let lobby = ("lobby".to_owned(), Membership::Member);
    store.note_address(&act, &address);
    store.tell(Told::Queued { op: Op { op_id: op(1), act }, at: 1 });
    assert_eq!(listed().len(), 1, "it may still be sent");
    store.tell(Told::Failed { op_id: op(1), refusal: Refusal::NotMember });
    assert_eq!(listed(), [lobby.clone(), ("harbour".to_owned(), Membership::Outside)]);
    assert!(store.has_failed(None));
    store.tell(Told::Rooms(vec![entry(LOBBY, "lobby"), entry(HARBOUR, "harbour")]));
    assert_eq!(listed(), [lobby.clone(), ("harbour".to_owned(), Membership::Member)]);
    store.tell(Told::Rooms(vec![entry(LOBBY, "lobby")]));
    store.tell(Told::Discarded(op(1)));
    assert_eq!(listed(), [lobby]);
}

#[test]
fn a_room_that_was_left_is_listed_while_it_holds_what_failed() {
    let store = store(vec![]);
    store.tell(Told::Rooms(vec![entry(LOBBY, "lobby"), entry(HARBOUR, "harbour")]));
    let act = Act::Post(Post { room: HARBOUR, text: Text::cut("mine") });
    store.tell(Told::Queued { op: Op { op_id: op(1), act }, at: 1 });
    let listed = || store.listed().iter().map(|room| room.id).collect::<Vec<_>>();
    store.tell(Told::Rooms(vec![entry(LOBBY, "lobby")]));
    assert_eq!((listed(), store.has_failed(None)), (vec![LOBBY], false));
    store.tell(Told::Failed { op_id: op(1), refusal: Refusal::NotMember });
    assert_eq!((listed(), store.has_failed(None)), (vec![LOBBY, HARBOUR], true));
    store.tell(Told::Rooms(vec![entry(LOBBY, "lobby"), entry(HARBOUR, "harbour")]));
    assert_eq!(listed(), [LOBBY, HARBOUR], "once, where he is a member again");
    store.tell(Told::Rooms(vec![entry(LOBBY, "lobby")]));
    store.tell(Told::Discarded(op(1)));
    assert_eq!(listed(), [LOBBY]);
}
