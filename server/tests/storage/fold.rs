//! The fold test (T26): the log, folded from zero, is the tables; and both kinds store the same.
//!
//! The fold is written here a second time, from the bytes of the events alone. It runs after every
//! batch, so that each op's step is seen by itself; ops, twins, refusals and resends are random.

use std::collections::BTreeMap;

use proptest::prelude::*;
use protocol::change::Envelope;
use protocol::frame::Change;
use protocol::ids::{LogId, RoomId};
use protocol::model::{Message, Role, Topic};
use server::clock::SeededChance;
use server::db::members::Membership;
use server::db::rooms::RoomRecord;
use server::history::memory::{MemoryHistory, Tables};
use server::history::{History, Outcome, Pending};

use crate::world::{
    House, NOW_MS, RULES, account, configure, create, enter, leave, op, post, rename,
};

/// One op of a plan: rooms are named by their place among those that exist when it is run.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    person: u8,
    number: u16,
    deed: Deed,
}

#[derive(Debug, Clone)]
enum Deed {
    Post(usize, String),
    Create(String),
    Enter(String),
    Leave(usize),
    Configure(usize, String, String),
    Rename(String),
}

fn deeds() -> impl Strategy<Value = Deed> {
    let words = || "[a-cA-C é\n]{0,6}";
    prop_oneof![
        6 => (0..5_usize, words()).prop_map(|(room, text)| Deed::Post(room, text)),
        2 => words().prop_map(Deed::Create),
        3 => "[a-cA-C.]{0,2}|lobby".prop_map(Deed::Enter),
        2 => (0..5_usize).prop_map(Deed::Leave),
        1 => (0..5_usize, words(), words())
            .prop_map(|(room, name, topic)| Deed::Configure(room, name, topic)),
        1 => words().prop_map(Deed::Rename),
    ]
}

pub(crate) fn plans() -> impl Strategy<Value = Vec<Vec<Step>>> {
    // Few op numbers, so that resends, twins and ids used twice are common.
    let step = (0..5_u8, 0..40_u16, deeds());
    let step = step.prop_map(|(person, number, deed)| Step { person, number, deed });
    prop::collection::vec(prop::collection::vec(step, 1..12), 1..10)
}

impl Step {
    pub(crate) fn pending(&self, rooms: &[RoomId]) -> Pending {
        let room = |place: &usize| rooms.get(*place).copied().unwrap_or(RoomId::NIL);
        let act = match &self.deed {
            Deed::Post(place, text) => post(room(place), text),
            Deed::Create(name) => create(name),
            Deed::Enter(key) => enter(key),
            Deed::Leave(place) => leave(room(place)),
            Deed::Configure(place, name, topic) => configure(room(place), name, topic),
            Deed::Rename(name) => rename(name),
        };
        // Person 4 has no account.
        op(self.person, self.number, act)
    }
}

/// What the log alone says.
fn folded(tables: &Tables) -> Tables {
    let mut folded = Tables {
        events: tables.events.clone(),
        ops: tables.ops.clone(),
        sign_ins: tables.sign_ins.clone(),
        ..Tables::default()
    };
    for person in 0..4 {
        let user = account(person).user;
        folded.users.insert(user.id, user);
    }
    let mut heads: BTreeMap<LogId, u64> = BTreeMap::new();
    for event in tables.events.values() {
        let envelope = &event.envelope;
        let head = heads.entry(envelope.log).or_default();
        *head += 1;
        assert_eq!(envelope.seq, *head, "a log has no gaps");
        let change = Change::decode(envelope.kind, &envelope.body).unwrap().unwrap();
        assert_eq!(change.encode().unwrap(), envelope.body.to_vec());
        match envelope.log.room() {
            Some(room) => fold_room(&mut folded, room, envelope, change),
            None => fold_user(&mut folded, envelope, change),
        }
    }
    for (log, record) in &tables.logs {
        let head = heads.remove(log).unwrap_or(0);
        folded.logs.insert(*log, server::db::logs::LogRecord { head, ..*record });
    }
    assert!(heads.is_empty(), "every event has a log");
    folded
}

fn fold_room(tables: &mut Tables, room: RoomId, envelope: &Envelope, change: Change) {
    let pair = (room, envelope.author);
    match change {
        Change::Created(created) => {
            tables.rooms.insert(
                room,
                RoomRecord {
                    id: room,
                    key: created.key,
                    name: created.name,
                    topic: Topic::default(),
                    everyone: created.everyone,
                    created_at: envelope.at,
                },
            );
        }
        Change::Configured(configured) => {
            let known = tables.rooms.get_mut(&room).unwrap();
            (known.name, known.topic) = (configured.name, configured.topic);
        }
        Change::Joined(_) => {
            let role = if envelope.seq == 2 { Role::Owner } else { Role::Member };
            let new = Membership { role, joined_seq: envelope.seq };
            assert_eq!(tables.members.insert(pair, new), None, "nobody joins twice");
        }
        Change::Left(_) => assert!(tables.members.remove(&pair).is_some(), "only members leave"),
        Change::Posted(posted) => {
            let message = Message {
                seq: envelope.seq,
                id: envelope.id,
                at: envelope.at,
                author: envelope.author,
                name: posted.name,
                op_id: envelope.op_id,
                text: posted.text,
            };
            tables.messages.insert((room, envelope.seq), message);
        }
        other => panic!("{other:?} in a room's log"),
    }
}

fn fold_user(tables: &mut Tables, envelope: &Envelope, change: Change) {
    let known = tables.users.get_mut(&envelope.log.user().unwrap()).unwrap();
    match change {
        Change::Renamed(renamed) => known.name = renamed.name,
        Change::Ranked(ranked) => known.rank = ranked.rank,
        Change::RoomAdded(_) | Change::RoomRemoved(_) => {}
        other => panic!("{other:?} in a user's log"),
    }
}

/// Every accepted op that names an event names its own, and every event has such an op.
fn assert_ops_match_events(tables: &Tables) {
    for accepted in tables.ops.values().filter(|op| op.seq > 0) {
        let event = &tables.events[&(accepted.log, accepted.seq)].envelope;
        assert_eq!(event.id, accepted.id);
        assert_eq!((event.author, event.op_id), (accepted.author, accepted.op_id));
    }
    for event in tables.events.values().map(|event| &event.envelope) {
        let answered = tables.ops.get(&(event.author, event.op_id));
        assert!(event.op_id.is_nil() || answered.is_some_and(|op| op.refusal.is_none()));
    }
}

pub(crate) fn room_ids(tables: &Tables) -> Vec<RoomId> {
    tables.rooms.keys().copied().collect()
}

fn memory(chance: &mut SeededChance) -> MemoryHistory {
    let history = MemoryHistory::new(RULES, chance, NOW_MS);
    for person in 0..4 {
        history.add_account(&account(person), u64::from(person) + 1);
    }
    history
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// How many logs are tried: `PROPTEST_CASES`, else what `make test` has time for.
pub(crate) fn cases(default: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(default)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(400), ..ProptestConfig::default() })]

    #[test]
    fn the_log_folded_from_zero_is_the_tables(plan in plans(), seed: u64) {
        let (runtime, mut chance) = (runtime(), SeededChance::new(seed));
        let history = memory(&mut chance);
        for steps in plan {
            let rooms = room_ids(&history.tables());
            let batch: Vec<Pending> = steps.iter().map(|step| step.pending(&rooms)).collect();
            let outcome = runtime.block_on(history.commit(&batch, &mut chance, NOW_MS));
            prop_assert!(matches!(outcome, Outcome::Committed(_)));
            let tables = history.tables();
            prop_assert_eq!(&folded(&tables), &tables);
            assert_ops_match_events(&tables);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), ..ProptestConfig::default() })]

    #[test]
    fn both_kinds_answer_and_store_the_same(plan in plans(), seed: u64) {
        let (mut one, mut other) = (SeededChance::new(seed), SeededChance::new(seed));
        let history = memory(&mut one);
        runtime().block_on(async {
            let house = House::new(&mut other).await;
            for steps in plan {
                let rooms = room_ids(&history.tables());
                let batch: Vec<Pending> = steps.iter().map(|step| step.pending(&rooms)).collect();
                let in_memory = history.commit(&batch, &mut one, NOW_MS).await;
                let on_disk = house.history.commit(&batch, &mut other, NOW_MS).await;
                prop_assert_eq!(in_memory, on_disk);
            }
            let stored = house.tables().await;
            prop_assert_eq!(&stored, &history.tables());
            prop_assert_eq!(&folded(&stored), &stored);
            assert_same_reads(&house, &history, &stored).await;
            Ok(())
        })?;
    }
}

/// Both kinds give the same to whoever reads.
async fn assert_same_reads(house: &House, memory: &MemoryHistory, tables: &Tables) {
    let logs: Vec<LogId> = tables.logs.keys().copied().collect();
    let heads = house.history.heads(&logs).await;
    assert_eq!(heads, memory.heads(&logs).await);
    for head in heads.unwrap() {
        let page = house.history.page(head.log, 1).await;
        assert_eq!(page, memory.page(head.log, 1).await);
        let user = account(0).user.id;
        let admission = house.history.admission(user, head.log, Some(head.cursor)).await;
        assert_eq!(admission, memory.admission(user, head.log, Some(head.cursor)).await);
    }
    for person in 0..5 {
        let user = account(person).user.id;
        assert_eq!(house.history.arrival(user, None).await, memory.arrival(user, None).await);
        for room in room_ids(tables) {
            for reader in [Some(user), None] {
                let snapshot = house.history.snapshot(reader, room).await;
                assert_eq!(snapshot, memory.snapshot(reader, room).await);
                let older = house.history.older(reader, room, 4, 2).await;
                assert_eq!(older, memory.older(reader, room, 4, 2).await);
            }
        }
    }
    for after in [None, Some("a"), Some("b-")] {
        assert_eq!(house.history.open_rooms(after).await, memory.open_rooms(after).await);
    }
    let lobby = house.history.room_by_key("lobby").await;
    assert_eq!(lobby, memory.room_by_key("lobby").await);
}
