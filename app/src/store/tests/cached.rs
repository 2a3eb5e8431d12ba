//! What a browser keeps of a room: the page that is made of the screen, and the screen of that page.
//!
//! Part of the store's tests. The law that is tried: a room that begins by its page and goes on
//! behind the cursor shows what a fresh snapshot shows.

use protocol::client::cache::Cached;
use protocol::limits::SNAPSHOT_BYTES_MAX;

use super::*;

/// A page in which the room is listed and not read yet.
fn listed() -> Store {
    let page = FirstPage {
        me: Some(Me { id: ME, name: Text::cut("me"), rank: Rank::Guest }),
        rooms: vec![entry(LOBBY, "lobby")],
        ..FirstPage::default()
    };
    Store::new(&page, Arc::new(NoKeeper))
}

/// The page as it comes back from the disk.
fn read_back(snapshot: Snapshot, seq: u64) -> Snapshot {
    let cursor = Cursor { epoch: 1, seq, tag: 0 };
    let bytes = Cached { user: ME, opened_at: 0, cursor, snapshot }.into_bytes().unwrap();
    Cached::from_bytes(&bytes).unwrap().snapshot
}

fn begin(store: &Store, snapshot: Snapshot, seq: u64) {
    let (log, reason) = (LOBBY.log(), ResetReason::FirstLoad);
    let cursor = Cursor { epoch: 1, seq, tag: 0 };
    store.tell(Told::Reset { log, reason, cursor, snapshot: Some(snapshot) });
}

#[test]
fn a_room_that_goes_on_from_its_page_is_the_room_of_a_fresh_snapshot() {
    let own = |seq: u64| seq.is_multiple_of(7).then(|| op(u8::try_from(seq).unwrap()));
    let all: Vec<Message> = (1..=80).map(|seq| message(seq, own(seq))).collect();
    let before = store(all[..70].to_vec());
    before.post(op(77));
    before.post(op(200));
    before.accepted(op(77), 77);
    before.lobby().configure("lobby", "a topic");
    let page = before.page(LOBBY, 70).unwrap();
    let numbers: Vec<u64> = page.messages.iter().map(|message| message.seq).collect();
    assert_eq!(numbers, (21..=70).collect::<Vec<_>>(), "no more, and nothing behind the cursor");
    assert_eq!((page.older, &*page.room.topic, page.room.head), (true, "a topic", 70));

    let resumed = listed();
    resumed.lobby().read_to.set(Some(75));
    // What waits still was taken from the shelf before the page came.
    resumed.post(op(77));
    resumed.post(op(200));
    begin(&resumed, read_back(page, 70), 70);
    for message in &all[70..] {
        resumed.log(message);
    }
    let fresh = listed();
    fresh.lobby().read_to.set(Some(75));
    fresh.post(op(200));
    let messages = List::cut(all[20..].iter().cloned());
    let room = entry(LOBBY, "lobby");
    begin(&fresh, Snapshot { room, member_count: 2, messages, older: true }, 80);
    assert_eq!(resumed.seen(), fresh.seen());
    for store in [&resumed, &fresh] {
        let lobby = store.lobby();
        assert_eq!(lobby.unread(), (4, false), "77 is an own one");
        assert_eq!(lobby.older.get_untracked(), OlderState::More);
        assert!(store.come(&lobby, true));
        let is_new =
            |row: &&Row| matches!(row.opens.get_untracked(), Opens::New(_) | Opens::NewDay(_));
        let rows = lobby.rows.get_untracked();
        let line: Vec<_> = rows.iter().filter(is_new).map(Row::seq).collect();
        assert_eq!(line, [Some(76)]);
    }
    assert_eq!(resumed.afresh.get_untracked(), None, "nobody is told that it began");
}

#[test]
fn a_page_is_no_longer_than_a_snapshot() {
    let long = |seq| Message { text: Text::cut(&"x".repeat(20_000)), ..message(seq, None) };
    let store = store((1..=9).map(long).collect());
    let page = store.page(LOBBY, 9).unwrap();
    assert_eq!(page.messages.len(), SNAPSHOT_BYTES_MAX / 20_000);
    assert!(page.older, "the others are read as older ones");
    let short = store.page(LOBBY, 2).unwrap();
    assert_eq!((short.messages.len(), short.older), (2, false));
    assert_eq!(read_back(page.clone(), 9), page);
}

#[test]
fn a_room_that_is_not_read_or_not_his_any_more_has_no_page() {
    assert_eq!(listed().page(LOBBY, 5), None);
    let store = store(vec![message(1, None)]);
    assert_eq!(store.page(HARBOUR, 1), None);
    store.tell(Told::Gone { room: LOBBY, reason: GoneReason::Ended });
    assert_eq!(store.page(LOBBY, 1), None);
}
