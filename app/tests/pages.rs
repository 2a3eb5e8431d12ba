//! Every page as the server draws it: whole, in both languages, and safe whatever people wrote.
//!
//! Drawn natively, without a server: what a page needs is handed to it.
#![cfg(feature = "ssr")]
#![expect(clippy::expect_used, reason = "a test says by its panic what is wrong")]

use std::sync::Arc;

use app::first_page::{
    FirstPage, Form, InText, Inside, OpenRoom, RoomPage, RoomsPage, SentBack, Shown, Why,
};
use app::link::Link;
use app::pages::{Pages, provide_page};
use app::store::drafts::NoKeeper;
use app::store::{Delay, Membership, OlderState, Opens, Pill, Row, RowState, Store};
use app::text::PageLanguage;
use leptos::prelude::*;
use leptos_router::components::Router;
use leptos_router::location::RequestUrl;
use protocol::act::Strand;
use protocol::cursor::Cursor;
use protocol::ids::{OpId, RoomId, UserId};
use protocol::model::{Me, Rank, Role, RoomEntry, RoomKey, RoomName, Topic};
use protocol::refusal::{Refusal, RetryReason};

const ATTACK: &str = "</textarea><img src=x onerror=alert(1)>&amp;";

fn entry(number: u8, key: &str, name: &str) -> RoomEntry {
    RoomEntry {
        id: RoomId::from_bytes([number; 16]),
        key: RoomKey::cut(key),
        name: RoomName::cut(name),
        topic: Topic::cut("What it is about"),
        everyone: key == "lobby",
        role: Role::Member,
        head: 1,
    }
}

fn page() -> FirstPage {
    FirstPage {
        rooms: vec![entry(1, "lobby", "Lobby"), entry(2, "غرفة", "غرفة القهوة")],
        text_chars_max: 10_000,
        shown: Shown::Me { saved: false },
        ..FirstPage::default()
    }
}

fn row(number: u64, text: &str, state: RowState, opens: Opens) -> Row {
    Row {
        number,
        op_id: OpId::NIL,
        author: ArcRwSignal::new(UserId::from_bytes([9; 16])),
        name: ArcRwSignal::new(Arc::from("Mei <Tanaka>")),
        text: ArcRwSignal::new(Arc::from(text)),
        own: true,
        state: ArcRwSignal::new(state),
        at: ArcRwSignal::new(1_795_262_700_000),
        opens: ArcRwSignal::new(opens),
    }
}

/// The page at a path as HTML, after `change` has put into the store what the case is about.
fn draw(path: &str, page: FirstPage, change: impl FnOnce(&Store)) -> String {
    Owner::new().with(|| {
        let store = Store::new(&page, Arc::new(NoKeeper));
        change(&store);
        provide_context(RequestUrl::new(&format!("http://localhost{path}")));
        provide_context(store);
        provide_context(Link::default());
        provide_page(page);
        view! { <Router><Pages/></Router> }.to_html()
    })
}

fn lobby(change: impl FnOnce(&app::store::Room)) -> String {
    draw("/", page(), |store| change(&store.room("lobby").expect("the lobby")))
}

#[test]
fn messages_stand_in_the_page_as_they_were_typed() {
    let html = lobby(|room| {
        let sent = RowState::Sent { seq: 1 };
        room.rows.set(vec![row(1, "<img src=x onerror=alert(1)>", sent, Opens::Day)]);
    });
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"), "{html}");
    assert!(html.contains("Mei &lt;Tanaka&gt;"));
    assert!(html.contains("Saturday, 21 November"));
    assert!(html.contains("datetime=\"2026-11-21T12:05Z\""));
    assert!(!html.contains("<img"));
}

#[test]
fn each_state_of_an_own_message_is_told_in_words() {
    let html = lobby(|room| {
        room.rows.set(vec![
            row(1, "a", RowState::Sent { seq: 1 }, Opens::Day),
            row(2, "b", RowState::Pending, Opens::Nothing),
            row(3, "c", RowState::Failed(Refusal::NotMember), Opens::Nothing),
        ]);
    });
    for words in [">Sent<", ">Waiting to be sent<", ">Not sent<", ">Retry<", ">Discard<"] {
        assert!(html.contains(words), "{words} in {html}");
    }
    // The room is there: his message is read in it.
    assert!(html.contains("You were not a member of this room then. Retry if you are now."));
}

#[test]
fn who_has_left_a_room_is_told_to_join_it_and_not_to_try_again() {
    let html = lobby(|room| {
        room.rows.set(vec![row(1, "a", RowState::Failed(Refusal::NotMember), Opens::Day)]);
        room.membership.set(Membership::Outside);
    });
    assert!(html.contains("You have left this room. Join it again to send this."), "{html}");
    assert!(html.contains(">Discard<") && !html.contains(">Retry<") && !html.contains(">Edit<"));
}

#[test]
fn a_refused_text_stands_in_the_composer_and_stays_text() {
    let refused = SentBack {
        form: Form::Post,
        op_id: OpId::NIL,
        text: ATTACK.to_owned(),
        topic: String::new(),
        why: Why::Refused(Refusal::TooLong { chars_max: 5 }),
    };
    let html = draw("/", FirstPage { refused: Some(refused), ..page() }, |_| {});
    assert!(html.contains("\n&lt;/textarea>&lt;img src=x onerror=alert(1)>&amp;amp;</textarea>"));
    assert!(html.contains("Too long: at most 5 characters."));
    assert!(!html.contains("<img"));
}

#[test]
fn the_browser_reads_the_page_that_the_server_drew() {
    let shown = RoomPage::unmade(RoomKey::cut("غرفة"));
    let page = FirstPage { shown: Shown::Room(shown), ..page() };
    let text = InText(page.clone()).to_string();
    assert_eq!(text.parse(), Ok(InText(page)));
}

#[test]
fn an_untouched_composer_has_no_child_that_could_replace_early_text() {
    assert!(lobby(|_| {}).contains("></textarea>"));
}

#[test]
fn who_is_no_member_sees_a_form_and_no_composer() {
    let html = draw("/r/%D8%BA%D8%B1%D9%81%D8%A9", page(), |store| {
        let room = store.room("غرفة").expect("the room");
        room.membership.set(Membership::Outside);
        room.member_count.set(Some(3));
    });
    assert!(html.contains("action=\"/r/غرفة/join\""), "{html}");
    assert!(html.contains("3 members"));
    assert!(!html.contains("<textarea"));
}

#[test]
fn a_room_that_nobody_made_is_made_by_joining_it() {
    let unmade = RoomPage::unmade(RoomKey::cut("xyz"));
    let html = draw("/r/xyz", FirstPage { shown: Shown::Room(unmade), ..page() }, |_| {});
    assert!(html.contains("Nobody has made this room yet"), "{html}");
    assert!(html.contains("action=\"/r/xyz/join\"") && !html.contains("members"));
}

#[test]
fn the_room_of_the_page_is_the_chosen_one_also_in_arabic() {
    let html = draw("/r/%D8%BA%D8%B1%D9%81%D8%A9", page(), |_| {});
    assert_eq!(html.matches("aria-current=\"page\"").count(), 1);
    assert!(html.contains("href=\"/r/غرفة\" aria-current=\"page\""), "{html}");
}

#[test]
fn older_messages_are_a_link_that_works_without_a_script() {
    let html = lobby(|room| {
        room.rows.set(vec![row(1, "a", RowState::Sent { seq: 51 }, Opens::Day)]);
        room.older.set(OlderState::More);
    });
    assert!(html.contains("href=\"/?before=51\""));
}

#[test]
fn a_page_of_older_messages_has_a_way_back_to_the_newest() {
    let cursor = Cursor { epoch: 1, seq: 90, tag: 0 };
    let inside = |newer| Inside { cursor, messages: Vec::new(), older: true, newer };
    let shown = |newer| {
        let entry = entry(1, "lobby", "Lobby");
        let shown = Shown::Room(RoomPage { entry, member_count: 1, inside: Some(inside(newer)) });
        draw("/", FirstPage { shown, ..page() }, |_| {})
    };
    assert!(shown(true).contains("Back to the newest messages</a>"));
    assert!(!shown(false).contains("Back to the newest messages</a>"));
}

#[test]
fn an_empty_room_says_so_only_when_it_is_known_to_be_empty() {
    let empty = "Nothing has been said here yet";
    assert!(lobby(|room| room.older.set(OlderState::Start)).contains(empty));
    assert!(!lobby(|_| {}).contains(empty));
}

#[test]
fn names_in_the_typing_line_are_cut_each_by_itself() {
    let html = lobby(|room| room.typists.set(vec!["ا".repeat(64), "Mei".to_owned()]));
    let cut = "ا".repeat(9);
    assert!(
        html.contains(&format!("\u{2068}{cut}…\u{2069} and \u{2068}Mei\u{2069} are typing")),
        "{html}"
    );
}

#[test]
fn the_connection_comes_before_the_typing_line() {
    let html = draw("/", page(), |store| {
        store.room("lobby").expect("the lobby").typists.set(vec!["Jonas".to_owned()]);
        store.connection.pill.set(Pill::Reconnecting { seconds: 8 });
    });
    assert!(html.contains("Next try in 8 s"));
    assert!(!html.contains("is typing"));
    let html = lobby(|room| room.typists.set(vec!["Jonas".to_owned()]));
    assert!(html.contains("Jonas\u{2069} is typing"));
}

#[test]
fn the_list_of_rooms_offers_to_join_or_to_open() {
    let open = |number, member| OpenRoom {
        entry: entry(number, "design", "Design"),
        member_count: 1,
        member,
    };
    let rooms = RoomsPage { rooms: vec![open(3, false), open(4, true)], after: None };
    let html = draw("/rooms", FirstPage { shown: Shown::Rooms(rooms), ..page() }, |_| {});
    assert!(html.contains("action=\"/r/design/join\"") && html.contains(">Open<"));
    assert!(html.contains("1 member<!> · <bdi>What it is about</bdi></span>"), "{html}");
}

#[test]
fn one_button_makes_the_owner_and_a_void_link_is_no_page() {
    let setup = |valid| Shown::Setup { token: "0123".to_owned(), valid };
    let html = draw("/setup/0123", FirstPage { shown: setup(true), ..page() }, |_| {});
    assert!(html.contains("action=\"/setup/0123\"") && html.contains("Become the owner"));
    let html = draw("/setup/0123", FirstPage { shown: setup(false), ..page() }, |_| {});
    assert!(html.contains("this server already has its owner"), "{html}");
    assert!(!html.contains("Become the owner"));
}

#[test]
fn one_changes_his_name_and_his_language() {
    let me = Me {
        id: UserId::from_bytes([9; 16]),
        name: protocol::model::DisplayName::cut("Quiet Heron"),
        rank: Rank::Guest,
    };
    let html = draw("/me", FirstPage { me: Some(me), ..page() }, |_| {});
    assert!(html.contains("value=\"Quiet Heron\"") && html.contains("action=\"/language\""));
    assert!(html.contains("lang=\"ar\" aria-pressed=\"false\""), "{html}");
}

#[test]
fn who_may_change_a_room_gets_a_form_and_who_may_not_reads_what_it_is_about() {
    let settings = |role| {
        draw("/r/lobby/settings", page(), |store| {
            store.room("lobby").expect("the lobby").role.set(role);
        })
    };
    let html = settings(Role::Owner);
    assert!(html.contains("action=\"/r/lobby/settings\"") && html.contains("value=\"Lobby\""));
    let html = settings(Role::Member);
    assert!(!html.contains("action=\"/r/lobby/settings\""), "{html}");
    assert!(html.contains(">What it is about</dd>") && html.contains("About this room"));
}

#[test]
fn rooms_of_one_name_are_told_apart_by_their_keys() {
    let tea = |number, key| entry(number, key, "Tea");
    let rooms = vec![entry(1, "lobby", "Lobby"), tea(2, "tea"), tea(3, "tea-2")];
    let html = draw("/", FirstPage { rooms, ..page() }, |_| {});
    assert!(html.contains(">tea</bdi>") && html.contains(">tea-2</bdi>"), "{html}");
    assert!(!html.contains(">lobby</bdi>"));
}

#[test]
fn a_room_called_as_another_shows_its_key_in_its_head_and_in_the_list_of_all() {
    let rooms = vec![entry(1, "lobby", "Lobby"), entry(2, "lobby-2", "LOBBY")];
    let html = draw("/r/lobby-2", FirstPage { rooms: rooms.clone(), ..page() }, |_| {});
    assert!(html.contains("<bdi class=\"header-key\">lobby-2</bdi>"), "{html}");
    let open = |number, key, name| OpenRoom {
        entry: entry(number, key, name),
        member_count: 1,
        member: false,
    };
    let listed = vec![
        open(2, "lobby-2", "LOBBY"),
        open(3, "tea", "Tea"),
        open(4, "tea-2", "tea"),
        open(5, "moss", "Moss"),
    ];
    let shown = Shown::Rooms(RoomsPage { rooms: listed, after: None });
    let html = draw("/rooms", FirstPage { shown, ..page() }, |_| {});
    for key in ["lobby-2", "tea", "tea-2"] {
        assert!(html.contains(&format!("<bdi>{key}</bdi>")), "{key} in {html}");
    }
    assert!(!html.contains("<bdi>moss</bdi>"));
}

#[test]
fn leaving_is_asked_twice_and_says_what_it_costs() {
    let harbour = |role| {
        draw("/r/%D8%BA%D8%B1%D9%81%D8%A9", page(), |store| {
            store.room("غرفة").expect("the room").role.set(role);
        })
    };
    let costs = "Joining again does not bring that back.";
    assert!(harbour(Role::Owner).contains(costs));
    let html = harbour(Role::Member);
    assert!(html.contains("until you join again") && !html.contains(costs), "{html}");
    let confirm = html.split("<details class=\"menu-part\">").nth(1).expect("folded away");
    assert!(confirm.contains("/leave\""));
}

#[test]
fn a_text_that_is_too_long_is_counted_and_not_cut() {
    let refused = SentBack {
        form: Form::Configure,
        op_id: OpId::NIL,
        text: "Lobby".to_owned(),
        topic: "x".repeat(262),
        why: Why::Refused(Refusal::TooLong { chars_max: 250 }),
    };
    let html = draw("/r/lobby/settings", FirstPage { refused: Some(refused), ..page() }, |store| {
        store.room("lobby").expect("the lobby").role.set(Role::Owner);
    });
    assert!(html.contains("12 characters too many") && html.contains(&"x".repeat(262)), "{html}");
    assert!(!html.contains("maxlength"));
}

#[test]
fn the_list_counts_what_is_new_in_a_room_that_is_not_open() {
    let html = draw("/", page(), |store| {
        let room = store.room("غرفة").expect("the room");
        let of_another = |number, seq| Row {
            own: false,
            ..row(number, "news", RowState::Sent { seq }, Opens::Nothing)
        };
        room.rows.set(vec![of_another(1, 7), of_another(2, 8), of_another(3, 9)]);
        room.older.set(OlderState::Start);
        room.read_to.set(Some(7));
    });
    assert!(html.contains("<span class=\"spoken\">2 new</span>"), "{html}");
    assert_eq!(html.matches("sidebar-count").count(), 1);
}

#[test]
fn who_reads_above_sees_how_much_is_new_below() {
    let html = lobby(|room| {
        let news = row(1, "news", RowState::Sent { seq: 3 }, Opens::Day);
        room.rows.set(vec![Row { own: false, ..news }]);
        room.read_to.set(Some(2));
        room.away.set(true);
    });
    assert!(html.contains("<span class=\"float-words\">1 new</span></button>"), "{html}");
}

#[test]
fn a_page_without_a_status_slot_says_how_the_connection_stands_too() {
    for path in ["/rooms", "/me", "/r/lobby/settings"] {
        let html = draw(path, page(), |store| store.connection.pill.set(Pill::Offline));
        assert!(html.contains("Offline. Messages wait on this device"), "{path}: {html}");
    }
}

#[test]
fn beside_the_pill_messages_are_counted_and_nothing_else() {
    let html = draw("/", page(), |store| {
        store.connection.pill.set(Pill::Offline);
        store.outbox_full.set(true);
        let room = store.room("lobby").expect("the lobby");
        room.rows.set(vec![
            row(1, "a", RowState::Sent { seq: 1 }, Opens::Day),
            row(2, "b", RowState::Pending, Opens::Nothing),
        ]);
    });
    assert!(html.contains(">1 message is waiting<"), "{html}");
}

#[test]
fn why_messages_wait_is_said_above_the_composer() {
    let waiting = |pending, long| {
        draw("/", page(), |store| {
            let (log, reason) = (RoomId::from_bytes([1; 16]).log(), RetryReason::Rate);
            let strand = Strand { log, kind: None };
            store.delays.set(vec![Delay { strand, reason, until: 1_795_262_700_000, long }]);
            let rows = (0..pending).map(|it| row(it, "a", RowState::Pending, Opens::Nothing));
            store.room("lobby").expect("the lobby").rows.set(rows.collect());
        })
    };
    let words = "2 messages are waiting. That was a lot in a short time.";
    assert!(waiting(2, false).contains(&format!("{words} Sending goes on by itself.<")));
    assert!(waiting(2, true).contains(&format!("{words} Sending goes on by itself at 12:05.<")));
    assert!(!waiting(0, true).contains("That was a lot"), "what waits is said where it was asked");
}

#[test]
fn a_room_elsewhere_in_which_a_message_waits_or_failed_has_a_mark_in_the_list() {
    let list = |key: &str, state: RowState| {
        let html = draw("/", page(), |store| {
            let sent = row(1, "a", RowState::Sent { seq: 1 }, Opens::Day);
            let room = store.room(key).expect("the room");
            room.rows.set(vec![sent, row(2, "b", state, Opens::Nothing)]);
        });
        html.split("<main").next().unwrap_or_default().to_owned()
    };
    let (waits, failed) = (">Waiting to be sent<", ">Not sent<");
    assert!(list("غرفة", RowState::Pending).contains(waits));
    assert!(!list("lobby", RowState::Pending).contains(waits), "its page says so itself");
    for key in ["lobby", "غرفة"] {
        assert!(list(key, RowState::Failed(Refusal::TooBig)).contains(failed), "{key}");
    }
    assert!(!list("غرفة", RowState::Sent { seq: 2 }).contains("sidebar-unsent"));
}

#[test]
fn every_page_has_a_way_past_the_sidebar() {
    for path in ["/", "/rooms", "/me", "/r/lobby/settings", "/nowhere"] {
        let html = draw(path, page(), |_| {});
        assert!(html.contains("href=\"#main\""), "{path}");
        assert_eq!(html.matches("id=\"main\"").count(), 1, "{path}");
    }
}

#[test]
fn in_arabic_the_lobby_has_an_arabic_name_and_a_foreign_one_stays_apart() {
    let arabic = |name: &str| {
        let rooms = vec![entry(1, "lobby", name)];
        draw("/", FirstPage { language: PageLanguage::Arabic, rooms, ..page() }, |_| {})
    };
    let html = arabic("Lobby");
    assert!(html.contains(">الردهة<!></h1>") && !html.contains("Lobby"), "{html}");
    assert!(arabic("Harbour").contains("placeholder=\"رسالة إلى \u{2068}Harbour\u{2069}\""));
}

#[test]
fn an_unknown_path_is_answered_in_words() {
    let html = draw("/nowhere", FirstPage { shown: Shown::NotFound, ..page() }, |_| {});
    assert!(html.contains("This page does not exist, or is not open to you."));
}

#[test]
fn an_arabic_page_says_nothing_in_english() {
    let arabic = FirstPage { language: PageLanguage::Arabic, ..page() };
    for path in ["/", "/me", "/r/lobby/settings", "/nowhere"] {
        let html = draw(path, arabic.clone(), |_| {});
        for words in ["Send", "Rooms", "Save", "Visitor", "Not found"] {
            assert!(!html.contains(words), "{words} at {path}");
        }
    }
}

#[test]
fn no_element_has_a_style_of_its_own() {
    for path in ["/", "/me", "/r/lobby/settings", "/nowhere"] {
        assert!(!draw(path, page(), |_| {}).contains("style="), "{path}");
    }
}
