//! Several writers at once: what PostgreSQL allows, and SQLite puts in a row.
//!
//! Each story runs over both. Its law: whoever was second is judged by what the first one wrote, and
//! nobody waits in a circle.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::ids::{LogId, RoomId};
use protocol::refusal::Refusal;
use server::clock::{SeededChance, SystemClock};
use server::history::writer::Writer;
use server::history::{Answer, History, Outcome, Pending, Verdict};

use crate::stores::Place;
use crate::world::{
    House, NOW_MS, PATIENCE, accepted, account, configure, create, enter, leave, op, post, refused,
    rename,
};

async fn commit(house: &House, pending: &Pending, chance: &mut SeededChance) -> Answer {
    house.answers(std::slice::from_ref(pending), chance).await.remove(0)
}

#[tokio::test]
async fn one_op_sent_to_two_rooms_at_once_is_done_in_one() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    let made = [op(0, 1, create("a")), op(0, 2, create("b"))];
    let rooms: Vec<RoomId> = house
        .answers(&made, &mut chance)
        .await
        .iter()
        .map(|answer| accepted(answer).log.room().unwrap())
        .collect();
    let (mut one, mut other) = (SeededChance::new(2), SeededChance::new(3));
    for number in 10..40 {
        let (here, there) =
            (op(0, number, post(rooms[0], "here")), op(0, number, post(rooms[1], "there")));
        let (first, second) =
            tokio::join!(commit(&house, &here, &mut one), commit(&house, &there, &mut other));
        let refusals = [first, second].map(|answer| match answer.verdict {
            Verdict::Accepted(_) => None,
            Verdict::Refused(refused) => Some(refused.refusal),
            other => panic!("{other:?}"),
        });
        assert!(refusals.contains(&None), "{refusals:?}");
        assert!(refusals.contains(&Some(Refusal::OpIdReused)), "{refusals:?}");
    }
    assert_eq!(house.place.count("messages").await, 30);
}

#[tokio::test]
async fn rooms_made_at_once_under_one_name_get_keys_of_their_own() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    let (mut one, mut other) = (SeededChance::new(2), SeededChance::new(3));
    let (tea, tee) = (op(0, 1, create("tea")), op(1, 2, create("tea")));
    let (first, second) =
        tokio::join!(commit(&house, &tea, &mut one), commit(&house, &tee, &mut other));
    assert_ne!(accepted(&first).log, accepted(&second).log);
    let tables = house.tables().await;
    let mut keys: Vec<&str> = tables.rooms.values().map(|room| &*room.key).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["lobby", "tea", "tea-2"]);
}

#[tokio::test]
async fn who_enters_by_one_key_at_once_meets_in_one_room() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    let (mut one, mut other) = (SeededChance::new(2), SeededChance::new(3));
    let (ada, bob) = (op(0, 1, enter("tea")), op(1, 2, enter("tea")));
    let (first, second) =
        tokio::join!(commit(&house, &ada, &mut one), commit(&house, &bob, &mut other));
    assert_eq!(accepted(&first).log, accepted(&second).log);
    assert_eq!(house.tables().await.members.len(), 2);
}

#[tokio::test]
async fn acts_on_the_same_rooms_and_people_wait_for_each_other_in_no_circle() {
    let mut chance = SeededChance::new(1);
    let house = Arc::new(House::new(&mut chance).await);
    let made = [op(0, 1, create("tea")), op(1, 2, create("milk"))];
    let made = house.answers(&made, &mut chance).await;
    let rooms: Vec<RoomId> =
        made.iter().map(|answer| accepted(answer).log.room().unwrap()).collect();
    let mut tasks = Vec::new();
    for person in 0..4_u8 {
        let (house, rooms) = (Arc::clone(&house), rooms.clone());
        tasks.push(tokio::spawn(async move {
            let mut chance = SeededChance::new(u64::from(person) + 9);
            for round in 0..12_u16 {
                let number = 100 + u16::from(person) * 1_000 + round * 10;
                let (near, far) = if person % 2 == 0 { (0, 1) } else { (1, 0) };
                let batch = [
                    op(person, number, enter(["tea", "milk"][near])),
                    op(person, number + 1, enter(["tea", "milk"][far])),
                    op(person, number + 2, rename(&format!("person {person} {round}"))),
                    op(person, number + 3, post(rooms[far], "far")),
                    op(person, number + 4, post(rooms[near], "near")),
                    op(person, number + 5, configure(rooms[near], "room", "")),
                    op(person, number + 6, leave(rooms[far])),
                ];
                let outcome = house.history.commit(&batch, &mut chance, NOW_MS).await;
                let Outcome::Committed(answers) = outcome else { panic!("{outcome:?}") };
                accepted(&answers[4]);
                assert!(matches!(answers[6].verdict, Verdict::Accepted(_)), "{answers:?}");
                let again = house.answers(&batch, &mut chance).await;
                assert_eq!(again[4].verdict, answers[4].verdict);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_whole(&house).await;
}

#[tokio::test]
async fn the_writer_stores_what_many_rooms_say_without_a_hole() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    let lobby = house.lobby().await;
    let made: Vec<Pending> = (0..4).map(|room| op(room, room.into(), create("tea"))).collect();
    let mut rooms = vec![lobby];
    for answer in house.answers(&made, &mut chance).await {
        rooms.push(accepted(&answer).log.room().unwrap());
    }
    let history: Arc<dyn History> = house.history.clone();
    let (writer, _end) = Writer::start(history, Arc::new(SystemClock), Box::new(chance));
    let mut tasks = Vec::new();
    for (place, room) in rooms.iter().copied().enumerate() {
        let writer = writer.clone();
        tasks.push(tokio::spawn(async move {
            let person = u8::try_from(place.saturating_sub(1)).unwrap();
            for round in 0..20 {
                let number = 1_000 + u16::try_from(place).unwrap() * 1_000 + round * 4;
                let batch = (0..4).map(|more| op(person, number + more, post(room, "said")));
                let outcome = writer.submit(batch.collect(), PATIENCE).await;
                let Ok(Outcome::Committed(answers)) = outcome else { panic!("{outcome:?}") };
                assert!(answers.iter().all(|answer| accepted(answer).seq > 0));
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(house.tables().await.messages.len(), 5 * 80);
    assert_whole(&house).await;
}

#[tokio::test]
async fn an_op_that_is_sent_twice_at_once_is_done_once() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    let lobby = house.lobby().await;
    let (mut one, mut other) = (SeededChance::new(2), SeededChance::new(3));
    for number in 0..20 {
        let (good, bad) =
            (op(0, number * 2, post(lobby, "a")), op(0, number * 2 + 1, post(lobby, " ")));
        let batch = [good, bad];
        let (first, second) =
            tokio::join!(house.answers(&batch, &mut one), house.answers(&batch, &mut other));
        assert_eq!(accepted(&first[0]), accepted(&second[0]));
        assert_eq!(refused(&first[1]), refused(&second[1]));
    }
    assert_eq!(house.tables().await.messages.len(), 20);
}

#[tokio::test]
async fn who_changes_an_account_waits_in_no_circle_with_who_reads_it() {
    let mut chance = SeededChance::new(1);
    let mut place = Place::new().await;
    if let Some(url) = &mut place.url {
        // Who waits in a circle is refused before PostgreSQL finds it.
        url.push_str("%20-c%20deadlock_timeout%3D10s");
    }
    let house = House::at(place, &mut chance).await;
    let (lobby, ada) = (house.lobby().await, account(0).user.id);
    let made = house.answers(&[op(1, 1, create("tea"))], &mut chance).await;
    let tea = accepted(&made[0]).log.room().unwrap();
    for round in 0..60_u16 {
        let number = 10 + round * 10;
        let visit = if round % 2 == 0 { enter("tea") } else { leave(tea) };
        let renamed = [op(0, number, rename(&format!("ada {round}"))), op(0, number + 1, visit)];
        let said = [op(0, number + 2, post(lobby, "hello")), op(1, number + 3, post(lobby, "ho"))];
        let seen = op(0, number + 4, post(lobby, "again"));
        let [mut one, mut two, mut three, mut four, mut five] =
            [1, 2, 3, 4, 5].map(|part| SeededChance::new(u64::from(number) + part));
        let (first, second, third, fourth, owner) = tokio::join!(
            commit(&house, &renamed[0], &mut one),
            commit(&house, &renamed[1], &mut two),
            house.answers(&said, &mut three),
            commit(&house, &seen, &mut four),
            house.history.make_owner(ada, &mut five, NOW_MS),
        );
        for answer in [first, second, fourth].iter().chain(&third) {
            accepted(answer);
        }
        assert!(owner.unwrap().is_some(), "there was none");
        let again = "update users set rank = 0 where rank = 3";
        house.place.write(again, again).await;
    }
    assert_whole(&house).await;
}

/// No log has a hole, and every head is its last event's number.
async fn assert_whole(house: &House) {
    let tables = house.tables().await;
    let mut heads: BTreeMap<LogId, u64> = BTreeMap::new();
    for (log, seq) in tables.events.keys() {
        let head = heads.entry(*log).or_default();
        *head += 1;
        assert_eq!(*seq, *head, "{log:?}");
    }
    for (log, record) in &tables.logs {
        assert_eq!(record.head, heads.get(log).copied().unwrap_or(0));
    }
}
