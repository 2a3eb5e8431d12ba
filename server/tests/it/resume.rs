//! Stories of coming back: what was missed arrives, or the client is told to start fresh.
//!
//! Its law: as `main.rs` says.

use protocol::close::CloseCode;
use protocol::cursor::Cursor;
use protocol::event::{Event, Reset, ResetReason};

use server::clock::{Chance, SeededChance};

use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::timeout;

use crate::client::{Client, ada_and_bob};
use crate::stores::Place;
use crate::world::World;

#[tokio::test]
async fn who_comes_back_gets_exactly_what_he_missed() {
    let (world, mut ada, mut bob, lobby) = ada_and_bob().await;
    ada.snapshot(lobby).await;
    let known = ada.cursors.clone();
    drop(ada);
    let expected: Vec<_> = (0..30).map(|number| number.to_string()).collect();
    for text in &expected {
        let op = bob.post(lobby, text).await;
        bob.accepted(op).await;
    }
    let mut ada = Client::come_back(&world, "ada", known).await;
    assert!(matches!(ada.subscribe(lobby).await, Event::SubOk(_)));
    assert_eq!(ada.texts(lobby, 30).await, expected);
}

#[tokio::test]
async fn who_missed_more_than_the_tail_gets_pages_then_goes_live() {
    let (world, mut ada, mut bob, lobby) = ada_and_bob().await;
    ada.snapshot(lobby).await;
    let known = ada.cursors.clone();
    drop(ada);
    let expected: Vec<_> = (0..700).map(|number| number.to_string()).collect();
    for texts in expected.chunks(16) {
        let mut ops = Vec::new();
        for text in texts {
            ops.push(bob.post(lobby, text).await);
        }
        for op in ops {
            bob.accepted(op).await;
        }
    }
    let mut ada = Client::come_back(&world, "ada", known).await;
    ada.subscribe(lobby).await;
    let mut page_count = 0;
    let mut texts = 0;
    while texts < 700 {
        match ada.event().await {
            Event::Page(page) => {
                page_count += 1;
                texts += page.events.len();
            }
            Event::Logged(_) => texts += 1,
            _ => {}
        }
    }
    assert!(page_count >= 2, "{page_count} pages");
    bob.post(lobby, "live").await;
    assert_eq!(ada.texts(lobby, 1).await, ["live"]);
}

#[tokio::test]
async fn a_cursor_of_another_history_is_told_to_start_fresh() {
    let world = World::new().await;
    let mut ada = Client::arrive(&world, "ada").await;
    let lobby = ada.lobby();
    let op = ada.post(lobby, "here").await;
    ada.accepted(op).await;
    ada.snapshot(lobby).await;
    let good = ada.cursors[&lobby.log()];
    for bad in [
        Cursor { epoch: good.epoch ^ 1, ..good },
        Cursor { seq: good.seq + 1, ..good },
        Cursor { tag: good.tag ^ 1, ..good },
    ] {
        ada.cursors.insert(lobby.log(), bad);
        let Event::Reset(Reset { reason, snapshot, .. }) = ada.subscribe(lobby).await else {
            panic!("a reset is expected for {bad:?}")
        };
        assert_eq!(reason, ResetReason::Diverged);
        assert_eq!(&*snapshot.unwrap().messages[0].text, "here");
    }
    assert_eq!(world.engine.hub.diverged_count(), 3, "the operator sees it");
}

#[tokio::test]
async fn a_killed_server_has_everything_it_accepted() {
    let place = Place::new().await;
    let mut accepted = Vec::new();
    let mut known = None;
    for life in 0..3 {
        let world = World::over(&place).await;
        let mut ada = Client::arrive(&world, "ada").await;
        let lobby = ada.lobby();
        match known.take() {
            None => drop(ada.snapshot(lobby).await),
            Some(cursor) => {
                ada.cursors.insert(lobby.log(), cursor);
                assert!(matches!(ada.subscribe(lobby).await, Event::SubOk(_)));
            }
        }
        for number in 0..20 {
            let text = format!("{life}: {number}");
            let op = ada.post(lobby, &text).await;
            accepted.push((ada.accepted(op).await.seq, text));
        }
        // What was under way when the last life ended may come, too.
        let last = accepted.last().map(|(seq, _)| *seq);
        while ada.cursors.get(&lobby.log()).map(|cursor| cursor.seq) < last {
            ada.event().await;
        }
        known = ada.cursors.get(&lobby.log()).copied();
        // One more is under way when the server dies: it may be there or not, but once.
        ada.post(lobby, "under way").await;
        world.kill();
        known = known.filter(|_| life == 0);
    }
    let world = World::over(&place).await;
    let mut bob = Client::arrive(&world, "bob").await;
    let lobby = bob.lobby();
    let stored = world.engine.history.page(lobby.log(), 0).await.unwrap();
    for (seq, text) in accepted {
        let event = &stored[usize::try_from(seq).unwrap() - 1];
        assert_eq!(event.seq, seq);
        assert!(event.body.ends_with(text.as_bytes()), "{text}");
    }
    assert!(!bob.snapshot(lobby).await.is_empty());
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_catches_up() {
    let (world, mut ada, mut bob, lobby) = ada_and_bob().await;
    ada.snapshot(lobby).await;
    let known = ada.cursors.clone();
    let mut chance = SeededChance::new(3);
    let mut noise = || -> String {
        (0..9_000).map(|_| char::from(b'!' + u8::try_from(chance.below(90)).unwrap())).collect()
    };
    let mut sent = 0;
    let is_slow = |world: &World| world.engine.hub.count() < 2;
    while !is_slow(&world) {
        let op = bob.post(lobby, &format!("{sent} {}", noise())).await;
        bob.accepted(op).await;
        sent += 1;
        assert!(sent < 2_000, "the reader is never given up");
    }
    assert_eq!(world.engine.hub.ended().get(&CloseCode::SLOW.0), Some(&1));
    let mut bytes = 0;
    let code = loop {
        match ada.raw().await {
            Some(Ok(length)) => bytes += length,
            Some(Err(code)) => break Some(code),
            None => break None,
        }
    };
    assert!(matches!(code, None | Some(4008)), "{code:?} after {bytes} bytes");
    let mut ada = Client::come_back(&world, "ada", known).await;
    ada.subscribe(lobby).await;
    let texts = ada.texts(lobby, sent).await;
    let in_order = |(number, text): (usize, &String)| text.starts_with(&format!("{number} "));
    assert!(texts.iter().enumerate().all(in_order));
}

#[tokio::test]
async fn a_crowd_that_comes_at_once_has_the_store_read_once_or_twice() {
    let (world, mut ada, mut bob, lobby) = ada_and_bob().await;
    ada.snapshot(lobby).await;
    let known = ada.cursors.clone();
    for first in (0..700).step_by(16) {
        let mut ops = Vec::new();
        for number in first..(first + 16).min(700) {
            ops.push(bob.post(lobby, &number.to_string()).await);
        }
        for op in ops {
            bob.accepted(op).await;
        }
    }
    let mut crowd = Vec::new();
    for number in 0..500 {
        let name = format!("guest-{number}");
        let cursors = known.iter().filter(|(log, _)| **log == lobby.log() && number % 2 == 0);
        let cursors = cursors.map(|(log, cursor)| (*log, *cursor)).collect();
        crowd.push(Client::come_back(&world, &name, cursors).await);
    }
    let begun = world.engine.shared.counts();
    let arrivals = crowd.iter_mut().map(|client| async {
        if matches!(client.subscribe(lobby).await, Event::Reset(_)) {
            return 700;
        }
        let mut told = 0;
        while told < 700 {
            told += match client.event().await {
                Event::Page(page) => page.events.len(),
                Event::Logged(_) => 1,
                _ => 0,
            };
        }
        told
    });
    assert!(join_all(arrivals).await.iter().all(|told| *told == 700), "each of them is told all");
    let (pages, states) = world.engine.shared.counts();
    let (pages, states) = (pages - begun.0, states - begun.1);
    assert!((1..=2).contains(&states), "{states} reads of the room");
    assert!((2..=4).contains(&pages), "{pages} reads of its two pages");
}

/// Pages that open all their rooms at once, as ours does: each has reads of its own under way while it
/// asks for the next room, and all of them together want more readers than the store has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_open_all_their_rooms_at_once_are_all_served_at_once() {
    const ROOMS: usize = 8;
    let place = Place::new().await;
    let world = World::over(&place).await;
    let names = ["ada", "bob", "cleo", "dan", "eve", "finn"];
    let pages = join_all(names.map(async |name| {
        let mut client = Client::arrive(&world, name).await;
        let mut rooms = Vec::new();
        for number in 0..ROOMS {
            rooms.push(client.enter(&format!("{name}-{number}")).await);
        }
        (Client::arrive(&world, name).await, rooms)
    }));
    let opened = pages.await.into_iter().map(async |(mut client, rooms)| {
        client.send_all_subs(&rooms).await;
        for sub in 1..=u32::try_from(ROOMS).unwrap() {
            let is_state = |event: &Event| match event {
                Event::Reset(reset) => (reset.sub == sub).then_some(()),
                _ => None,
            };
            client.until(is_state).await;
        }
    });
    timeout(Duration::from_secs(2), join_all(opened)).await.expect("nobody waits for another");
}
