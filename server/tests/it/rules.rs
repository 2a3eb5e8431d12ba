//! Stories of the rules: what a client does wrong is answered by name, or ends its connection.
//!
//! Its law: as `main.rs` says.

use std::time::{Duration, Instant};

use protocol::act::{Act, Enter, OpHead, Post, Rename};
use protocol::bounded::Text;
use protocol::close::CloseCode;
use protocol::codec::encode_command;
use protocol::command::{History, Probe};
use protocol::event::{Event, GoneReason};
use protocol::frame::Command;
use protocol::ids::{OpId, RoomId};
use protocol::model::{MessageText, RoomKey};
use protocol::refusal::{Fault, Refusal, RetryReason};
use server::config::Limits;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, ada_and_bob, faulty};
use crate::world::{World, wide_limits};

fn probe() -> Command {
    Command::Probe(Probe { number: 1 })
}

#[tokio::test]
async fn a_bad_frame_is_answered_by_name_and_the_third_closes() {
    let world = World::new().await;
    let mut ada = Client::arrive(&world, "ada").await;
    let mut flipped = encode_command(&probe()).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    ada.send_bytes(flipped).await;
    assert_eq!(ada.until(faulty).await, (Fault::Checksum, 6));
    let two_gigabytes = vec![1, 1, 2, 0, 0, 0, 0, 0x80, 0, 0, 0, 0];
    ada.send_bytes(two_gigabytes).await;
    assert_eq!(ada.until(faulty).await, (Fault::TooLong, 2));
    ada.send(&probe()).await;
    ada.until(|event| matches!(event, Event::Probed(_)).then_some(())).await;
    ada.send_bytes(vec![1]).await;
    assert_eq!(ada.closed().await, CloseCode::BAD_FRAMES);
}

#[tokio::test]
async fn hello_comes_first_and_once() {
    let world = World::new().await;
    let mut early = Client::connect(&world, "ada").await;
    early.send(&probe()).await;
    assert_eq!(early.closed().await, CloseCode::OUT_OF_TURN);
    let mut twice = Client::arrive(&world, "ada").await;
    twice.send(&twice.hello()).await;
    assert_eq!(twice.closed().await, CloseCode::OUT_OF_TURN);
}

#[tokio::test]
async fn the_same_page_again_replaces_its_older_socket_and_no_other() {
    let world = World::new().await;
    let mut old = Client::arrive(&world, "ada").await;
    let mut other = Client::arrive(&world, "ada").await;
    let mut new = Client::connect(&world, "ada").await;
    new.page = old.page;
    new.say_hello().await;
    assert_eq!(old.closed().await, CloseCode::REPLACED);
    for live in [&mut new, &mut other] {
        live.send(&probe()).await;
        live.until(|event| matches!(event, Event::Probed(_)).then_some(())).await;
    }
}

#[tokio::test]
async fn text_and_too_much_are_closed_by_their_codes() {
    let world = World::new().await;
    let mut ada = Client::arrive(&world, "ada").await;
    ada.send_message(Message::Text("{}".into())).await;
    assert_eq!(ada.closed().await, CloseCode::NOT_BINARY);
    let mut ada = Client::arrive(&world, "ada").await;
    ada.send_bytes(vec![0; 70_000]).await;
    assert_eq!(ada.closed().await, CloseCode::TOO_BIG);
}

#[tokio::test]
async fn who_speaks_no_version_of_ours_is_told_so_by_the_close_code() {
    let world = World::new().await;
    let mut none = Client::connect_with(&world, "ada", None).await;
    assert_eq!(none.closed().await, CloseCode::VERSION);
    let mut later = Client::connect(&world, "ada").await;
    let Command::Hello(mut hello) = later.hello() else { unreachable!() };
    hello.version = 2;
    later.send(&Command::Hello(hello)).await;
    assert_eq!(later.closed().await, CloseCode::VERSION);
}

#[tokio::test]
async fn a_room_that_is_not_his_is_gone_to_him_whether_it_exists_or_not() {
    let (_world, mut ada, mut bob, _) = ada_and_bob().await;
    let tea = ada.enter("tea").await;
    for room in [tea, RoomId::from_bytes([9; 16])] {
        assert!(matches!(bob.subscribe(room).await, Event::Gone(_)));
    }
}

#[tokio::test]
async fn an_act_in_a_room_that_does_not_exist_is_refused_and_starts_no_task() {
    let world = World::new().await;
    let mut ada = Client::arrive(&world, "ada").await;
    let nowhere = RoomId::from_bytes([9; 16]);
    let open_before = world.engine.rooms.open_count();
    for (check_only, expected) in [(false, Refusal::NotMember), (true, Refusal::Unknown)] {
        let op_id = OpId::make(1, [u8::from(check_only); 10]);
        let head = OpHead { op_id, lane_generation: 0, check_only };
        let act = Act::Post(Post { room: nowhere, text: MessageText::cut("hello") });
        ada.send(&Command::Op(head, act)).await;
        let refusal = ada.until(|event| match event {
            Event::Refused(refused) if refused.op_id == op_id => Some(refused.refusal.clone()),
            _ => None,
        });
        assert_eq!(refusal.await, expected);
    }
    assert_eq!(world.engine.rooms.open_count(), open_before);
}

#[tokio::test]
async fn rooms_made_by_naming_a_new_key_have_the_rate_of_rooms_made() {
    let rooms_made_per_user = "1/h burst 2".parse().unwrap();
    let world = World::with(Limits { rooms_made_per_user, ..wide_limits() }).await;
    let (mut ada, mut bob) =
        (Client::arrive(&world, "ada").await, Client::arrive(&world, "bob").await);
    let tea = bob.enter("tea").await;
    ada.enter("one").await;
    ada.enter("two").await;
    assert_eq!(ada.enter("tea").await, tea, "a room that is there makes none");
    ada.act(Act::Enter(Enter { key: RoomKey::cut("three") })).await;
    let retry = ada.until(|event| match event {
        Event::RefuseRetry(refused) => Some((refused.reason, refused.retry_after_ms)),
        _ => None,
    });
    let (reason, wait_ms) = retry.await;
    assert_eq!(reason, RetryReason::Rate);
    assert!(wait_ms > 3_000_000, "{wait_ms} ms");
}

#[tokio::test]
async fn one_room_more_than_a_socket_follows_is_gone_and_the_others_go_on() {
    let limits = Limits { rooms_per_socket: 1, ..wide_limits() };
    let world = World::with(limits).await;
    let mut ada = Client::arrive(&world, "ada").await;
    let (lobby, tea) = (ada.lobby(), ada.enter("tea").await);
    ada.snapshot(lobby).await;
    let Event::Gone(gone) = ada.subscribe(tea).await else { panic!("it is one too many") };
    assert_eq!(gone.reason, GoneReason::TooManyRooms { rooms_max: 1 });
    ada.post(lobby, "still here").await;
    assert_eq!(ada.texts(lobby, 1).await, ["still here"]);
}

#[tokio::test]
async fn a_page_of_history_is_as_long_as_asked_for_and_as_allowed() {
    let limits = Limits { history_messages: 3, ..wide_limits() };
    let world = World::with(limits).await;
    let mut ada = Client::arrive(&world, "ada").await;
    let room = ada.lobby();
    for text in ["0", "1", "2", "3", "4"] {
        let op = ada.post(room, text).await;
        ada.accepted(op).await;
    }
    for (number, count, expected) in [(1, 2, "34"), (2, 100, "234"), (3, 0, "4")] {
        ada.send(&Command::History(History { number, room, before: 1_000, count })).await;
        let texts = ada.until(|event| match event {
            Event::Older(older) if older.number == number => {
                Some(older.messages.iter().map(|message| &*message.text).collect::<String>())
            }
            _ => None,
        });
        assert_eq!(texts.await, expected);
    }
}

#[tokio::test]
async fn more_frames_than_their_rate_are_all_answered_in_the_end() {
    let frames_per_socket = "100/s burst 10".parse().unwrap();
    let world = World::with(Limits { frames_per_socket, ..wide_limits() }).await;
    let mut ada = Client::arrive(&world, "ada").await;
    let begun = Instant::now();
    for number in 0..30 {
        ada.send(&Command::Probe(Probe { number })).await;
    }
    for number in 0..30 {
        let is_it = |event: &Event| matches!(event, Event::Probed(p) if p.number == number);
        ada.until(|event| is_it(event).then_some(())).await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn pings_of_the_transport_do_not_come_faster_than_frames() {
    let frames_per_socket = "100/s burst 10".parse().unwrap();
    let world = World::with(Limits { frames_per_socket, ..wide_limits() }).await;
    let mut ada = Client::arrive(&world, "ada").await;
    let begun = Instant::now();
    for _ in 0..15 {
        ada.send_message(Message::Ping(vec![7].into())).await;
        ada.send_message(Message::Pong(vec![7].into())).await;
    }
    ada.send(&Command::Probe(Probe { number: 1 })).await;
    ada.until(|event| matches!(event, Event::Probed(_)).then_some(())).await;
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_sends_too_fast_is_told_when_to_go_on() {
    let world = World::with(Limits::default()).await;
    let mut ada = Client::arrive(&world, "ada").await;
    let lobby = ada.lobby();
    for number in 0..11 {
        ada.post(lobby, &number.to_string()).await;
    }
    let (reason, wait_ms) = ada
        .until(|event| match event {
            Event::RefuseRetry(refused) => Some((refused.reason, refused.retry_after_ms)),
            _ => None,
        })
        .await;
    assert_eq!(reason, RetryReason::Rate);
    assert!((1..=1_001).contains(&wait_ms), "{wait_ms} ms");
}

#[tokio::test]
async fn a_user_with_too_many_sockets_is_told_so() {
    let limits = Limits { sockets_per_user: 2, ..Limits::default() };
    let world = World::with(limits).await;
    let first = Client::arrive(&world, "ada").await;
    let _second = Client::arrive(&world, "ada").await;
    assert_eq!(Client::connect(&world, "ada").await.closed().await, CloseCode::TOO_MANY_SOCKETS);
    drop(first);
    while world.engine.hub.count() > 1 {
        tokio::task::yield_now().await;
    }
    Client::arrive(&world, "ada").await;
}

#[tokio::test]
async fn typing_is_told_to_the_others_by_the_newest_name_and_ends() {
    let (world, mut ada, mut bob, lobby) = ada_and_bob().await;
    ada.snapshot(lobby).await;
    bob.snapshot(lobby).await;
    let told = |event: &Event| match event {
        Event::Typists(typists) => {
            Some(typists.people.iter().map(|who| who.name.to_string()).collect::<Vec<_>>())
        }
        _ => None,
    };
    let mut elsewhere = Client::arrive(&world, "ada").await;
    for (active, name) in [(true, Some("ada")), (true, Some("Grace")), (false, None)] {
        if name == Some("Grace") {
            let rename = Rename { name: Text::cut("Grace") };
            let op_id = elsewhere.act(Act::Rename(rename)).await;
            elsewhere.accepted(op_id).await;
        }
        let expected: Vec<String> = name.into_iter().map(str::to_owned).collect();
        let typing = protocol::command::Typing { room: lobby, active };
        // A live subscription is a moment younger than its snapshot: until then nobody is told.
        while !bob.is_told(told, &expected) {
            ada.send(&Command::Typing(typing.clone())).await;
            bob.drink(200).await;
        }
    }
}
