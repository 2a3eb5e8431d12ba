//! Stories of too much to do: what is left undone, in which order, and what never is.
//!
//! Over a socket the stage is set by hand; over HTTP a house is told that any wait is too long, and
//! goes through its stages by itself.

use std::time::Duration;

use protocol::act::{Act, Op, Post};
use protocol::command::{Command, History, Probe, Typing};
use protocol::event::{Event, Older};
use protocol::ids::DeviceId;
use protocol::model::MessageText;
use protocol::refusal::RetryReason;
use server::history::{Pending, Verdict};
use server::overload::Stage;
use tokio::time::{Instant, sleep};

use crate::client::{Client, ada_and_bob};
use crate::house;
use crate::world::caller;

async fn older(client: &mut Client, before: u64) -> Older {
    let room = client.lobby();
    client.send(&Command::History(History { number: 1, room, before, count: 10 })).await;
    client
        .until(|event| match event {
            Event::Older(older) => Some(older.clone()),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn over_a_socket_typing_goes_first_and_new_messages_last() {
    let (world, mut ada, mut bob, lobby) = ada_and_bob().await;
    ada.snapshot(lobby).await;
    bob.snapshot(lobby).await;
    let tea = ada.enter("tea").await;
    let first = ada.post(lobby, "first").await;
    let stored = ada.accepted(first).await;
    assert_eq!(bob.texts(lobby, 1).await, ["first"]);
    let shedding = &world.engine.shedding;

    shedding.set(Some(Stage::Typing));
    ada.send(&Command::Typing(Typing { room: lobby, active: true })).await;
    bob.drink(1_500).await;
    let is_typing = |event: &Event| matches!(event, Event::Typists(_)).then_some(());
    assert!(!bob.is_told(is_typing, &()), "nobody is told");
    assert_eq!(older(&mut ada, stored.seq + 1).await.messages.len(), 1);

    shedding.set(Some(Stage::History));
    let none = older(&mut ada, stored.seq + 1).await;
    assert!(none.messages.is_empty() && none.older, "there are some, but not now");
    ada.post(lobby, "second").await;
    assert_eq!(bob.texts(lobby, 1).await, ["second"]);

    shedding.set(Some(Stage::Sends));
    let refused = ada.post(lobby, "third").await;
    let told = ada.put_off().await;
    assert_eq!((told.op_id, told.reason), (refused, RetryReason::Busy));
    assert!(told.retry_after_ms >= 1_000, "{told:?}");
    // Signs of life, the answer to what is stored, and who leaves.
    ada.send(&Command::Probe(Probe { number: 7 })).await;
    ada.until(|event| matches!(event, Event::Probed(_)).then_some(())).await;
    let text = MessageText::new("first").unwrap();
    let asked = Pending {
        author: caller("ada").user,
        sign_in: caller("ada").sign_in,
        device: DeviceId::NIL,
        op: Op { op_id: first, act: Act::Post(Post { room: lobby, text }) },
        check_only: true,
    };
    let verdict = world.engine.rooms.act(asked).await;
    assert!(matches!(verdict, Ok(Verdict::Accepted(_))), "{verdict:?}");
    let left = ada.leave(tea).await;
    ada.accepted(left).await;

    shedding.set(None);
    ada.set_generation(told.lane_generation);
    let text = MessageText::new("third").unwrap();
    ada.act_as(refused, Act::Post(Post { room: lobby, text })).await;
    assert_eq!(bob.texts(lobby, 1).await, ["third"]);
    assert!(!older(&mut ada, stored.seq + 1).await.messages.is_empty());
}

#[tokio::test]
async fn a_house_with_too_much_to_do_goes_through_its_stages_and_stays_reachable() {
    let wide = "1000/s burst 1000";
    let world = house::World::with(&[
        "--limits-overload-queue-ms",
        "0",
        "--limits-sends-per-user",
        wide,
        "--limits-requests-per-sign-in",
        wide,
    ])
    .await;
    let browser = world.browser();
    assert_eq!(browser.send("/rooms", &[("name", "tea")]).await.status, 303);
    let upgrade = [
        ("origin", world.url.as_str()),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "wasmchannel.v1"),
    ];
    let (begun, mut seen) = (Instant::now(), Vec::new());
    while seen.last() != Some(&[503; 3]) {
        // The last stage is asked for first: meanwhile it can only get worse.
        let sends = browser.send("/", &[("text", "kept")]).await.status.as_u16();
        let upgrades = browser.get_with("/ws", &upgrade).await.status.as_u16();
        let history = browser.get("/r/tea?before=2").await.status.as_u16();
        let stages = [sends, upgrades, history];
        let shed = stages.map(|status| status == 503);
        assert!(shed.is_sorted(), "later ones first: {stages:?}");
        seen.push(stages);
        assert!(begun.elapsed() < Duration::from_secs(30), "{seen:?}");
        sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(seen.first(), Some(&[303, 101, 200]), "not at once");
    assert!(begun.elapsed() > Duration::from_secs(3), "{:?}", begun.elapsed());

    let later = browser.send("/", &[("text", "what was written")]).await;
    assert!(later.body.contains("what was written") && !later.header("retry-after").is_empty());
    let guest = world.browser().send("/api/guest", &[]).await;
    let seconds: u32 = guest.header("retry-after").parse().unwrap();
    assert!(guest.status == 503 && (1..=10).contains(&seconds), "{seconds}");
    assert_eq!(browser.get("/healthz").await.status, 200);
    let ready = browser.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &*ready.body), (200, "ready\ndegraded: overload\n"));
    assert!(browser.get("/status").await.body.contains("\"left_undone\":\"sends\""));
    assert_eq!(browser.get("/r/tea").await.status, 200, "rooms are drawn");
    assert_eq!(browser.send("/r/tea/leave", &[]).await.status, 303, "who leaves may go");
}
