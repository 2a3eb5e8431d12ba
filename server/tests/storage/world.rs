//! People, ops and stores for the stories: everything that a test would write again and again.
//!
//! Its law: the same numbers make the same people, ops and ids, so that two stores can be compared.

use std::sync::Arc;
use std::time::Duration;

use protocol::act::{Act, Configure, Create, Enter, Leave, Op, Post, Rename};
use protocol::event::Accepted;
use protocol::ids::{DeviceId, LogId, OpId, RoomId, UserId};
use protocol::model::{DisplayName, MessageText, Rank, RoomKey, RoomName, Topic};
use protocol::refusal::Refusal;
use server::clock::SeededChance;
use server::db::Db;
use server::db::accounts::{self, Account};
use server::db::people::{SignInRecord, UserRecord};
use server::history::memory::{MemoryHistory, Tables};
use server::history::sql::SqlHistory;
use server::history::{Answer, History, Outcome, Pending, Rules, SignInHash, Verdict};

use crate::rows;
use crate::stores::Place;

pub(crate) const RULES: Rules = Rules { text_chars_max: 100, rooms_max: 4 };
/// The time at which every story begins.
pub(crate) const NOW_MS: i64 = 1_800_000_000_000;
/// How long a batch may wait to be taken into a transaction.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

/// The account with this number.
pub(crate) fn account(number: u8) -> Account {
    let id = UserId::from_bytes([number.wrapping_add(1); 16]);
    let user = UserRecord {
        id,
        name: DisplayName::new(format!("person {number}")).unwrap(),
        rank: Rank::Guest,
        created_at: NOW_MS,
        disabled_at: None,
    };
    let sign_in = SignInRecord {
        hash: SignInHash::of(&[number]),
        user: id,
        generation: 0,
        created_at: NOW_MS,
        seen_at: NOW_MS,
        expires_at: NOW_MS + YEAR_MS,
        revoked_at: None,
    };
    Account { user, sign_in }
}

/// The op with this number, by the person with that number.
pub(crate) fn op(person: u8, number: u16, act: Act) -> Pending {
    let [high, low] = number.to_be_bytes();
    let account = account(person);
    Pending {
        author: account.user.id,
        sign_in: account.sign_in.hash,
        device: DeviceId::from_bytes([person; 16]),
        op: Op {
            op_id: OpId::from_bytes([9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, high, low]),
            act,
        },
        check_only: false,
    }
}

pub(crate) fn post(room: RoomId, text: &str) -> Act {
    Act::Post(Post { room, text: MessageText::new(text).unwrap() })
}

pub(crate) fn create(name: &str) -> Act {
    Act::Create(Create { name: RoomName::new(name).unwrap() })
}

pub(crate) fn enter(key: &str) -> Act {
    Act::Enter(Enter { key: RoomKey::new(key).unwrap() })
}

pub(crate) fn leave(room: RoomId) -> Act {
    Act::Leave(Leave { room })
}

pub(crate) fn configure(room: RoomId, name: &str, topic: &str) -> Act {
    let (name, topic) = (RoomName::new(name).unwrap(), Topic::new(topic).unwrap());
    Act::Configure(Configure { room, name, topic })
}

pub(crate) fn rename(name: &str) -> Act {
    Act::Rename(Rename { name: DisplayName::new(name).unwrap() })
}

/// A store in memory with people 0 to 3 and its own chance.
pub(crate) struct World {
    pub(crate) history: MemoryHistory,
    pub(crate) chance: SeededChance,
    runtime: tokio::runtime::Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut chance = SeededChance::new(1);
        let history = MemoryHistory::new(RULES, &mut chance, NOW_MS);
        for person in 0..4 {
            history.add_account(&account(person), u64::from(person) + 1);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { history, chance, runtime }
    }

    pub(crate) fn lobby(&self) -> RoomId {
        let tables = self.history.tables();
        tables.rooms.values().find(|room| room.everyone).unwrap().id
    }

    pub(crate) fn commit(&mut self, batch: &[Pending]) -> Outcome {
        self.runtime.block_on(self.history.commit(batch, &mut self.chance, NOW_MS))
    }

    /// Commits a batch that must succeed as a whole.
    pub(crate) fn answers(&mut self, batch: &[Pending]) -> Vec<Answer> {
        match self.commit(batch) {
            Outcome::Committed(answers) => answers,
            other => panic!("{other:?}"),
        }
    }

    /// Commits one op that must be accepted.
    pub(crate) fn accepted(&mut self, pending: &Pending) -> Accepted {
        accepted(&self.answers(std::slice::from_ref(pending))[0])
    }

    /// Commits one op that must be refused.
    pub(crate) fn refused(&mut self, pending: &Pending) -> Refusal {
        refused(&self.answers(std::slice::from_ref(pending))[0])
    }

    /// Makes a room by this person and gives its id.
    pub(crate) fn room(&mut self, person: u8, number: u16, name: &str) -> RoomId {
        self.accepted(&op(person, number, create(name))).log.room().unwrap()
    }
}

pub(crate) fn accepted(answer: &Answer) -> Accepted {
    match &answer.verdict {
        Verdict::Accepted(accepted) => accepted.clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn refused(answer: &Answer) -> Refusal {
    match &answer.verdict {
        Verdict::Refused(refused) => refused.refusal.clone(),
        other => panic!("{other:?}"),
    }
}

/// A store of its own, with people 0 to 3.
pub(crate) struct House {
    pub(crate) place: Place,
    pub(crate) db: Arc<Db>,
    pub(crate) history: Arc<SqlHistory>,
}

impl House {
    pub(crate) async fn new(chance: &mut SeededChance) -> Self {
        Self::at(Place::new().await, chance).await
    }

    pub(crate) async fn at(place: Place, chance: &mut SeededChance) -> Self {
        let db = Arc::new(place.open().await.unwrap());
        let history = SqlHistory::open(Arc::clone(&db), RULES, chance, NOW_MS).await.unwrap();
        for person in 0..4 {
            accounts::make(&db, &account(person), u64::from(person) + 1).await.unwrap();
        }
        Self { place, db, history: Arc::new(history) }
    }

    /// All rows as they are now.
    pub(crate) async fn tables(&self) -> Tables {
        rows::tables(&self.place.rows().await).await
    }

    pub(crate) async fn lobby(&self) -> RoomId {
        self.history.room_by_key("lobby").await.unwrap().unwrap().id
    }

    /// Commits a batch that must succeed as a whole.
    pub(crate) async fn answers(
        &self,
        batch: &[Pending],
        chance: &mut SeededChance,
    ) -> Vec<Answer> {
        match self.history.commit(batch, chance, NOW_MS).await {
            Outcome::Committed(answers) => answers,
            other => panic!("{other:?}"),
        }
    }
}

/// The log that a user alone sees.
pub(crate) fn own_log(person: u8) -> LogId {
    account(person).user.id.log()
}
