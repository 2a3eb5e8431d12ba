//! Stories of writing: what one sends, all get, once and in order.
//!
//! Its law: as `main.rs` says.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use protocol::act::{Act, Post, Rename};
use protocol::command::{Command, Probe};
use protocol::event::{Event, GoneReason};
use protocol::ids::OpId;
use protocol::model::{DisplayName, MessageText};
use protocol::refusal::{Refusal, RetryReason};
use server::config::Limits;
use server::history::memory::{Fallen, Mishap};
use server::history::{History, Pending, Verdict};
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, ada_and_bob};
use crate::world::{Leaping, World, caller, wide_limits};

#[tokio::test]
async fn two_clients_talk() {
    let (_world, mut ada, mut bob, lobby) = ada_and_bob().await;
    assert_eq!(ada.snapshot(lobby).await, [""; 0]);
    assert_eq!(bob.snapshot(lobby).await, [""; 0]);
    let op = ada.post(lobby, "hello").await;
    let accepted = ada.accepted(op).await;
    assert_eq!(accepted.seq, ada.cursors[&lobby.log()].seq.max(accepted.seq));
    assert_eq!(bob.texts(lobby, 1).await, ["hello"]);
    assert_eq!(ada.texts(lobby, 1).await, ["hello"]);
    bob.post(lobby, "null").await;
    assert_eq!(ada.texts(lobby, 1).await, ["null"]);
}

#[tokio::test]
async fn what_many_send_at_once_everybody_has_in_one_order() {
    let world = World::new().await;
    let mut clients = Vec::new();
    for name in ["ada", "bob", "eve"] {
        let mut client = Client::arrive(&world, name).await;
        let lobby = client.lobby();
        client.snapshot(lobby).await;
        clients.push(client);
    }
    let lobby = clients[0].lobby();
    for round in 0..30 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.post(lobby, &format!("{number}: {round}")).await;
        }
    }
    let mut orders = Vec::new();
    for client in &mut clients {
        orders.push(client.texts(lobby, 90).await);
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]));
    for number in 0..3 {
        let own: Vec<_> =
            orders[0].iter().filter(|text| text.starts_with(&format!("{number}:"))).collect();
        assert!(own.iter().enumerate().all(|(round, text)| text.ends_with(&format!(" {round}"))));
    }
}

#[tokio::test]
async fn the_same_op_ten_times_is_one_message_and_one_answer() {
    let world = World::new().await;
    let mut ada = Client::arrive(&world, "ada").await;
    let lobby = ada.lobby();
    ada.snapshot(lobby).await;
    let op = OpId::make(1, [7; 10]);
    let mut answers = Vec::new();
    for _ in 0..10 {
        let text = MessageText::new("once").unwrap();
        ada.act_as(op, Act::Post(Post { room: lobby, text })).await;
    }
    for _ in 0..10 {
        answers.push(ada.accepted(op).await);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    ada.post(lobby, "then").await;
    assert_eq!(ada.texts(lobby, 2).await, ["once", "then"]);
}

#[tokio::test]
async fn more_than_the_window_at_once_all_arrive_in_order() {
    let world = World::new().await;
    let mut ada = Client::arrive(&world, "ada").await;
    let lobby = ada.lobby();
    ada.snapshot(lobby).await;
    assert_eq!(ada.welcome.as_ref().unwrap().window, 16);
    let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for text in &expected {
        ada.post(lobby, text).await;
    }
    assert_eq!(ada.texts(lobby, 100).await, expected);
}

#[tokio::test]
async fn a_write_that_failed_voids_the_lane_and_order_stands() {
    let world = World::in_memory().await;
    let mut ada = Client::arrive(&world, "ada").await;
    let lobby = ada.lobby();
    ada.snapshot(lobby).await;
    world.memory.as_ref().unwrap().fail_next(Mishap::NotStored(RetryReason::Unavailable));
    let first = ada.post(lobby, "one").await;
    let refused = ada.put_off().await;
    assert_eq!((refused.op_id, refused.lane_generation), (first, 1));
    ada.post(lobby, "of a void generation").await;
    ada.set_generation(1);
    let text = MessageText::new("one").unwrap();
    ada.act_as(first, Act::Post(Post { room: lobby, text })).await;
    ada.post(lobby, "two").await;
    assert_eq!(ada.texts(lobby, 2).await, ["one", "two"]);
}

#[tokio::test]
async fn who_writes_while_the_disk_is_full_is_told_when_to_try_again() {
    let world = World::in_memory().await;
    let mut ada = Client::arrive(&world, "ada").await;
    let lobby = ada.lobby();
    world.memory.as_ref().unwrap().fail_next(Mishap::NotStored(RetryReason::DiskFull));
    let op = ada.post(lobby, "one").await;
    let refused = ada.put_off().await;
    assert_eq!((refused.op_id, refused.reason), (op, RetryReason::DiskFull));
    assert_eq!(refused.retry_after_ms, 30_000);
}

#[tokio::test]
async fn who_waits_behind_a_commit_that_hangs_is_told_after_three_seconds() {
    let world = World::in_memory().await;
    let mut people = Vec::new();
    for name in ["ada", "bob", "eve"] {
        people.push(Client::arrive(&world, name).await);
    }
    let [ada, bob, eve] = people.as_mut_slice() else { panic!("three") };
    let (lobby, tea) = (ada.lobby(), bob.enter("tea").await);
    assert_eq!(eve.enter("tea").await, tea);
    world.memory.as_ref().unwrap().fail_next(Mishap::NeverTold);
    ada.post(lobby, "this hangs").await;
    sleep(Duration::from_millis(100)).await;
    let hers = (ada.post(lobby, "in the mailbox").await, Instant::now());
    ada.post(lobby, "behind that").await;
    let his = (bob.post(tea, "in the writer's queue").await, Instant::now());
    sleep(Duration::from_millis(1_500)).await;
    let in_both = (eve.post(tea, "in the mailbox, then in the queue").await, Instant::now());
    for (client, (op, sent_at)) in [(&mut *ada, hers), (bob, his), (eve, in_both)] {
        let refused = client.put_off().await;
        assert_eq!((refused.op_id, refused.reason), (op, RetryReason::Unavailable));
        let told_ms = sent_at.elapsed().as_millis();
        assert!((2_990..4_000).contains(&told_ms), "{told_ms} ms");
    }
    assert!(timeout(Duration::from_millis(100), ada.put_off()).await.is_err(), "one of a lane");
}

#[tokio::test]
async fn a_lost_outcome_ends_the_connection_and_the_op_is_there_once() {
    for mishap in [Mishap::UnknownStored, Mishap::UnknownLost] {
        let world = World::in_memory().await;
        let (mut ada, mut bob) =
            (Client::arrive(&world, "ada").await, Client::arrive(&world, "bob").await);
        let lobby = ada.lobby();
        bob.snapshot(lobby).await;
        world.memory.as_ref().unwrap().fail_next(mishap);
        let op = ada.post(lobby, "once").await;
        assert_eq!(ada.closed().await.0, 4012);
        let mut ada = Client::arrive(&world, "ada").await;
        let text = MessageText::new("once").unwrap();
        ada.act_as(op, Act::Post(Post { room: lobby, text })).await;
        ada.accepted(op).await;
        ada.post(lobby, "then").await;
        assert_eq!(bob.texts(lobby, 2).await, ["once", "then"], "{mishap:?}");
    }
}

#[tokio::test]
async fn a_form_and_a_socket_write_through_one_mailbox() {
    let world = World::new().await;
    let mut ada = Client::arrive(&world, "ada").await;
    let lobby = ada.lobby();
    ada.snapshot(lobby).await;
    let form = |text: &str| Pending {
        author: caller("ada").user,
        sign_in: caller("ada").sign_in,
        device: protocol::ids::DeviceId::NIL,
        op: protocol::act::Op {
            op_id: OpId::make(2, [u8::try_from(text.len()).unwrap(); 10]),
            act: Act::Post(Post { room: lobby, text: MessageText::new(text).unwrap() }),
        },
        check_only: false,
    };
    let verdict = world.engine.rooms.act(form("by form")).await;
    assert!(matches!(verdict, Ok(Verdict::Accepted(_))), "{verdict:?}");
    let verdict = world.engine.rooms.act(form("")).await;
    assert!(
        matches!(&verdict, Ok(Verdict::Refused(refused)) if refused.refusal == Refusal::Empty),
        "{verdict:?}"
    );
    assert_eq!(ada.texts(lobby, 1).await, ["by form"]);
}

#[tokio::test]
async fn while_the_store_is_silent_an_op_is_told_in_time_to_come_again() {
    let world = World::in_memory().await;
    let memory = world.memory.as_ref().unwrap();
    world.account("ada").await;
    let lobby = memory.room_by_key("lobby").await.unwrap().unwrap().id;
    let act = |number: u8, act| Pending {
        author: caller("ada").user,
        sign_in: caller("ada").sign_in,
        device: protocol::ids::DeviceId::NIL,
        op: protocol::act::Op { op_id: OpId::make(3, [number; 10]), act },
        check_only: false,
    };
    let rename = || act(1, Act::Rename(Rename { name: DisplayName::cut("Ada") }));
    let post = || act(2, Act::Post(Post { room: lobby, text: MessageText::cut("hello") }));
    memory.fall_silent(true);
    for pending in [rename(), post(), rename()] {
        let verdict = timeout(Duration::from_secs(5), world.engine.rooms.act(pending)).await;
        assert_eq!(
            verdict.unwrap().unwrap_or_else(|away| Verdict::Retry(away.reason)),
            Verdict::Retry(RetryReason::Unavailable)
        );
    }
    memory.fall_silent(false);
    for pending in [rename(), post()] {
        // The log's task asks the store once a second.
        let accepted = async {
            while !matches!(world.engine.rooms.act(pending.clone()).await, Ok(Verdict::Accepted(_)))
            {
            }
        };
        timeout(Duration::from_secs(5), accepted).await.unwrap();
    }
}

#[tokio::test]
async fn who_enters_is_told_by_his_log_and_who_leaves_hears_no_more() {
    let (_world, mut ada, mut bob, _) = ada_and_bob().await;
    let tea = ada.enter("tea").await;
    assert_eq!(bob.enter("tea").await, tea);
    ada.snapshot(tea).await;
    bob.snapshot(tea).await;
    ada.post(tea, "before").await;
    assert_eq!(bob.texts(tea, 1).await, ["before"]);
    let op = bob.leave(tea).await;
    bob.accepted(op).await;
    let (sub, reason) = bob
        .until(|event| match event {
            Event::Gone(gone) => Some((gone.sub, gone.reason)),
            _ => None,
        })
        .await;
    assert_eq!((sub, reason), (1, GoneReason::Ended));
    let op = ada.post(tea, "secret").await;
    ada.accepted(op).await;
    let lobby = bob.lobby();
    bob.snapshot(lobby).await;
    let told = bob.seen.iter().filter(|event| matches!(event, Event::Logged(_))).count();
    let left = bob.cursors[&tea.log()].seq;
    assert!(matches!(bob.subscribe(tea).await, Event::Gone(_)));
    assert_eq!(bob.cursors[&tea.log()].seq, left, "nothing behind the own end, {told} before");
}

#[tokio::test]
async fn a_drain_is_announced_finishes_what_was_taken_and_closes() {
    let world = World::new().await;
    let mut ada = Client::arrive(&world, "ada").await;
    let lobby = ada.lobby();
    let op = ada.post(lobby, "last").await;
    // Commands are carried out in order: with this one answered, the post is taken in.
    ada.send(&Command::Probe(Probe { number: 1 })).await;
    let was_accepted = Cell::new(false);
    ada.until(|event| {
        was_accepted.set(was_accepted.get() || matches!(event, Event::Accepted(_)));
        matches!(event, Event::Probed(_)).then_some(())
    })
    .await;
    let hub = world.engine.hub.clone();
    let rate = world.engine.limits.upgrades;
    let drained = tokio::spawn(async move { hub.drain(Duration::from_secs(5), &rate).await });
    if !was_accepted.get() {
        ada.accepted(op).await;
    }
    ada.until(|event| matches!(event, Event::Drain(_)).then_some(())).await;
    assert_eq!(ada.closed().await.0, 1012);
    drop(ada);
    drained.await.unwrap();
    assert_eq!(world.engine.hub.count(), 0);
}

#[tokio::test]
async fn a_wall_clock_that_leaps_ends_no_connection() {
    let world = World::in_memory_by(Arc::new(Leaping::default())).await;
    let (mut ada, mut bob) =
        (Client::arrive(&world, "ada").await, Client::arrive(&world, "bob").await);
    let lobby = ada.lobby();
    ada.snapshot(lobby).await;
    for number in 0..20 {
        let text = number.to_string();
        let op = bob.post(lobby, &text).await;
        bob.accepted(op).await;
        assert_eq!(ada.texts(lobby, 1).await, [text]);
    }
}

#[tokio::test]
async fn nobody_is_sent_away_for_a_store_that_answers_but_not_who_may_stay() {
    let limits = Limits { away_ms: 1_000, ..wide_limits() };
    let world = World::in_memory_with(limits).await;
    let memory = world.memory.as_ref().unwrap();
    let (mut ada, mut bob) =
        (Client::arrive(&world, "ada").await, Client::arrive(&world, "bob").await);
    memory.tell_fallen(Fallen::Refused);
    memory.set_disabled(caller("ada").user, Some(1));
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!((world.engine.hub.leave(), world.engine.hub.count()), (None, 2));
    memory.tell_fallen(Fallen::Told);
    assert_eq!(ada.closed().await.0, 4501, "who was not asked about is asked about again");
    let op = bob.post(bob.lobby(), "hello").await;
    bob.accepted(op).await;
}

#[tokio::test]
async fn a_store_that_does_not_tell_who_may_stay_is_away_after_a_while() {
    for how in [Fallen::Refused, Fallen::Unanswered] {
        let world = World::in_memory_with(Limits { untold_ms: 1_000, ..wide_limits() }).await;
        let memory = world.memory.as_ref().unwrap();
        let mut ada = Client::arrive(&world, "ada").await;
        memory.tell_fallen(how);
        memory.set_disabled(caller("ada").user, Some(1));
        let closed = timeout(Duration::from_secs(5), ada.closed()).await;
        assert_eq!(closed.unwrap().0, 1013, "{how:?}");
        sleep(Duration::from_millis(200)).await;
        assert!(world.engine.hub.leave().is_some(), "nobody is welcome while it is so");
        memory.tell_fallen(Fallen::Told);
        let back = async {
            while world.engine.hub.leave().is_some() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(5), back).await.unwrap();
    }
}
