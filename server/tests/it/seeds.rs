//! Stories of what earlier systems promised or broke, as `docs/seeds.md` lists it.
//!
//! Only what no other story tells already. Its law: as `main.rs` says.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use protocol::act::{Act, Post};
use protocol::bounded::Text;
use protocol::close::CloseCode;
use protocol::codec::{FLAG_LZ4, Header, VERSION};
use protocol::command::History;
use protocol::event::{Event, Older};
use protocol::frame::{Command, Kind};
use protocol::ids::{OpId, RoomId};
use protocol::model::Message;
use protocol::refusal::{Fault, Refusal};

use crate::client::{Client, ada_and_bob, faulty};
use crate::world::World;

/// A frame with a right checksum around whatever length and body are given.
fn framed(kind: Kind, flags: u8, raw_bytes: u32, body: &[u8]) -> Vec<u8> {
    let unsigned = Header { version: VERSION, flags, kind: kind.number(), raw_bytes, checksum: 0 };
    let checksum = unsigned.expected_checksum(body).to_le_bytes();
    let mut frame = vec![VERSION, flags];
    frame.extend(kind.number().to_le_bytes());
    frame.extend(raw_bytes.to_le_bytes());
    frame.extend(checksum);
    frame.extend(body);
    frame
}

/// All messages of a room, read upward in pages from the newest, in their order.
async fn read_upward(client: &mut Client, room: RoomId) -> Vec<Message> {
    let (mut messages, mut before, mut number) = (Vec::new(), u64::MAX, 0);
    loop {
        number += 1;
        client.send(&Command::History(History { number, room, before, count: 100 })).await;
        let answer = |event: &Event| match event {
            Event::Older(older) if older.number == number => Some(older.clone()),
            _ => None,
        };
        let Older { messages: page, older, .. } = client.until(answer).await;
        let mut page = page.into_vec();
        before = page.first().map_or(0, |first| first.seq);
        page.append(&mut messages);
        messages = page;
        if !older {
            return messages;
        }
    }
}

#[tokio::test]
async fn a_bomb_and_two_gigabytes_are_refused_and_the_others_keep_chatting() {
    let (world, mut ada, mut bob, lobby) = ada_and_bob().await;
    ada.snapshot(lobby).await;
    bob.snapshot(lobby).await;
    let mut mallory = Client::arrive(&world, "mallory").await;
    mallory.send_bytes(framed(Kind::Post, 0, 0x7fff_ffff, &[])).await;
    assert_eq!(mallory.until(faulty).await, (Fault::TooLong, Kind::Post.number()));
    let mut block = vec![0x1f, 1, 1, 0];
    block.extend(vec![255; 65_000]);
    mallory.send_bytes(framed(Kind::Post, FLAG_LZ4, 16 * 1024 * 1024, &block)).await;
    assert_eq!(mallory.until(faulty).await, (Fault::TooLong, Kind::Post.number()));
    ada.post(lobby, "still here").await;
    assert_eq!(bob.texts(lobby, 1).await, ["still here"]);
}

#[tokio::test]
async fn who_sends_no_frames_harms_nobody_who_does() {
    let (world, mut ada, mut bob, lobby) = ada_and_bob().await;
    ada.snapshot(lobby).await;
    bob.snapshot(lobby).await;
    for text in ["1", "\"x\"", "[]", "not json"] {
        let mut bytes = Client::arrive(&world, "mallory").await;
        bytes.send_bytes(text.into()).await;
        assert_eq!(bytes.until(faulty).await.0, Fault::TooShort);
        drop(bytes);
        let mut words = Client::arrive(&world, "mallory").await;
        words.send_message(tokio_tungstenite::tungstenite::Message::text(text)).await;
        words.closed().await;
    }
    ada.post(lobby, "one").await;
    bob.post(lobby, "two").await;
    let heard = [ada.texts(lobby, 2).await, bob.texts(lobby, 2).await];
    assert_eq!(heard[0], heard[1]);
    assert_eq!(heard[0].iter().map(String::as_str).collect::<BTreeSet<_>>(), ["one", "two"].into());
}

#[tokio::test]
async fn what_stands_behind_a_frames_end_is_refused_by_name() {
    let world = World::new().await;
    let mut ada = Client::arrive(&world, "ada").await;
    ada.send_bytes(framed(Kind::Probe, 0, 2, &[9, 9])).await;
    assert_eq!(ada.until(faulty).await, (Fault::Trailing, Kind::Probe.number()));
}

#[tokio::test]
async fn an_op_id_of_another_replaces_nothing_and_ones_own_is_refused() {
    let (_world, mut ada, mut bob, lobby) = ada_and_bob().await;
    ada.snapshot(lobby).await;
    let op = OpId::make(1, [7; 10]);
    let post = |text| Act::Post(Post { room: lobby, text: Text::cut(text) });
    ada.act_as(op, post("the original")).await;
    ada.accepted(op).await;
    bob.act_as(op, post("by another")).await;
    bob.accepted(op).await;
    ada.act_as(op, post("changed")).await;
    let refused = |event: &Event| match event {
        Event::Refused(refused) => Some(refused.refusal.clone()),
        _ => None,
    };
    assert_eq!(ada.until(refused).await, Refusal::OpIdReused);
    assert_eq!(ada.texts(lobby, 2).await, ["the original", "by another"]);
    let messages = read_upward(&mut ada, lobby).await;
    assert_eq!(&*messages[0].name, "ada");
    assert_eq!(&*messages[1].name, "bob");
}

#[tokio::test]
async fn two_hundred_messages_are_read_upward_in_order_with_their_times() {
    let world = World::new().await;
    let mut ada = Client::arrive(&world, "ada").await;
    let lobby = ada.lobby();
    let mut last = OpId::NIL;
    for number in 0..200 {
        last = ada.post(lobby, &number.to_string()).await;
    }
    ada.accepted(last).await;
    let mut bob = Client::arrive(&world, "bob").await;
    bob.snapshot(lobby).await;
    let messages = read_upward(&mut bob, lobby).await;
    let expected: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let texts: Vec<String> = messages.iter().map(|message| message.text.to_string()).collect();
    assert_eq!(texts, expected);
    assert!(messages.is_sorted_by_key(|message| message.at) && messages[0].at > 1_600_000_000_000);
}

#[tokio::test]
async fn messages_of_one_millisecond_are_paged_without_loss_or_repeat() {
    let (_world, mut ada, mut bob, lobby) = ada_and_bob().await;
    let (mut last_of_ada, mut last_of_bob) = (OpId::NIL, OpId::NIL);
    for number in 0..80 {
        last_of_ada = ada.post(lobby, &format!("ada {number}")).await;
        last_of_bob = bob.post(lobby, &format!("bob {number}")).await;
    }
    ada.accepted(last_of_ada).await;
    bob.accepted(last_of_bob).await;
    let messages = read_upward(&mut ada, lobby).await;
    assert_eq!(messages.len(), 160);
    let ids: BTreeSet<_> = messages.iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), 160, "each is there once");
    let times: BTreeSet<_> = messages.iter().map(|message| message.at).collect();
    assert!(times.len() < 160, "some share their time");
}

#[tokio::test]
async fn a_second_tab_goes_on_when_the_first_is_closed() {
    let world = World::new().await;
    let first = Client::arrive(&world, "ada").await;
    let mut second = Client::arrive(&world, "ada").await;
    let mut bob = Client::arrive(&world, "bob").await;
    let lobby = second.lobby();
    second.snapshot(lobby).await;
    bob.snapshot(lobby).await;
    drop(first);
    bob.post(lobby, "from bob").await;
    assert_eq!(second.texts(lobby, 1).await, ["from bob"]);
    second.post(lobby, "from the second tab").await;
    assert_eq!(second.texts(lobby, 1).await, ["from the second tab"]);
    assert_eq!(bob.texts(lobby, 2).await, ["from bob", "from the second tab"]);
}

#[tokio::test]
async fn an_unknown_key_makes_a_room_and_what_is_said_stays_inside() {
    let (world, mut ada, mut bob, _) = ada_and_bob().await;
    let mut cleo = Client::arrive(&world, "cleo").await;
    let room = ada.enter("xyz").await;
    assert_eq!(bob.enter("xyz").await, room, "who comes second finds the same");
    let other = cleo.enter("abc").await;
    assert_ne!(other, room);
    bob.snapshot(room).await;
    cleo.snapshot(other).await;
    ada.post(room, "inside").await;
    assert_eq!(bob.texts(room, 1).await, ["inside"]);
    cleo.post(other, "alone").await;
    assert_eq!(cleo.texts(other, 1).await, ["alone"]);
    assert!(read_upward(&mut cleo, room).await.is_empty(), "nor is it read from outside");
}

#[tokio::test]
async fn a_client_that_stands_still_is_given_up_within_thirty_seconds_and_another_is_not() {
    let (world, mut ada, frozen, lobby) = ada_and_bob().await;
    let count = || world.engine.hub.count();
    assert_eq!(count(), 2);
    let begun = Instant::now();
    let reading = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            ada.subscribe(lobby).await;
        }
    };
    let given_up = async {
        while count() == 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = reading => {}
        given_up = tokio::time::timeout(Duration::from_secs(40), given_up) => given_up.unwrap(),
    }
    assert!(begun.elapsed() > Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!((count(), world.engine.hub.ended().get(&CloseCode::SILENT.0)), (1, Some(&1)));
    drop(frozen);
}
