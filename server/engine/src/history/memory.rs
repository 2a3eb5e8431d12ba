//! History in memory, for tests and the simulation.
//!
//! The same judge over maps. Its law: every future is ready at its first poll and the same calls
//! give the same answers, so that a seeded run needs no runtime; what a disk or a network would do
//! to a commit is asked for by `fail_next`, what a backup would do by `copy` and `restore`.

mod tables;

use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::bounded::Text;
use protocol::change::Envelope;
use protocol::cursor::Cursor;
use protocol::ids::{LogId, RoomId, UserId};
use protocol::limits::PAGE_EVENTS_MAX;
use protocol::model::Rank;
use protocol::refusal::RetryReason;

pub use self::tables::Tables;
use crate::clock::Chance;
use crate::db::accounts::Account;
use crate::db::logs::LogRecord;
use crate::db::rooms::RoomRecord;
use crate::history::facts::Facts;
use crate::history::judge::{Judge, Rules};
use crate::history::{
    Admission, Arrival, Effects, HEADS_MAX, Head, History, Later, OlderMessages, Outcome, Pending,
    Read, RoomCard, RoomState, RoomView, SignInHash, Standing, Unavailable, views,
};

/// What happens to a commit that does not simply succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing is stored, and that is known.
    NotStored(RetryReason),
    /// All is stored, and nobody learns it.
    UnknownStored,
    /// Nothing is stored, and nobody learns it.
    UnknownLost,
    /// It is stored when `land` says so, and nobody learns it; until then nothing else is.
    UnknownLate,
    /// All is stored, and it is never answered: a future that is not ready.
    NeverTold,
}

/// How the store tells who may not go on, while all else is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fallen {
    /// As ever.
    #[default]
    Told,
    /// It fails.
    Refused,
    /// Never: a future that is not ready.
    Unanswered,
}

#[derive(Debug, Default)]
struct State {
    tables: Tables,
    mishap: Option<Mishap>,
    /// A commit that nobody waits for any more, and that holds the locks still.
    late: Option<Effects>,
    is_silent: bool,
    fallen: Fallen,
}

/// History over maps.
#[derive(Debug)]
pub struct MemoryHistory {
    state: Mutex<State>,
    rules: Rules,
}

impl MemoryHistory {
    /// Begins with the lobby alone.
    pub fn new(rules: Rules, chance: &mut dyn Chance, now_ms: i64) -> Self {
        let mut tables = Tables::default();
        let mut judge = Judge::new(Facts::default(), rules, chance, now_ms);
        judge.lobby(Text::cut("Lobby"));
        tables.apply(judge.effects);
        Self { state: Mutex::new(State { tables, ..State::default() }), rules }
    }

    /// Makes an account with its log, whose numbering has this epoch, and its first sign-in.
    pub fn add_account(&self, account: &Account, epoch: u64) {
        let log = LogRecord { log: account.user.id.log(), epoch, head: 0 };
        let tables = &mut self.lock().tables;
        tables.logs.insert(log.log, log);
        tables.sign_ins.insert(account.sign_in.hash, account.sign_in);
        tables.users.insert(account.user.id, account.user.clone());
    }

    /// Ends what an account may do from this time on, or lets it begin again.
    pub fn set_disabled(&self, user: UserId, disabled_at: Option<i64>) {
        if let Some(known) = self.lock().tables.users.get_mut(&user) {
            known.disabled_at = disabled_at;
        }
    }

    /// Makes this user the owner of the server, if it has none yet; the event is his log's.
    pub fn make_owner(
        &self,
        user: UserId,
        chance: &mut dyn Chance,
        now_ms: i64,
    ) -> Option<Envelope> {
        let tables = &mut self.lock().tables;
        if tables.users.values().any(|known| known.rank == Rank::Owner) {
            return None;
        }
        let log = tables.logs.get(&user.log())?;
        let mut facts = Facts::default();
        facts.add_log(log.log, log.epoch, log.head);
        let mut judge = Judge::new(facts, self.rules, chance, now_ms);
        let event = judge.rank(user, Rank::Owner);
        tables.apply(judge.effects);
        event
    }

    /// What happens to the next commit; `None` takes back what was asked for and not met.
    pub fn fail_next(&self, mishap: impl Into<Option<Mishap>>) {
        self.lock().mishap = mishap.into();
    }

    /// A commit that is late stands from now on; whether there was one.
    pub fn land(&self) -> bool {
        let state = &mut *self.lock();
        let late = state.late.take();
        let is_there = late.is_some();
        late.into_iter().for_each(|effects| state.tables.apply(effects));
        is_there
    }

    /// Reads are answered no more, or again.
    pub fn fall_silent(&self, is_silent: bool) {
        self.lock().is_silent = is_silent;
    }

    /// From now on it is told so who may not go on.
    pub fn tell_fallen(&self, how: Fallen) {
        self.lock().fallen = how;
    }

    fn read<T: Send + 'static>(&self, look: impl FnOnce(&Tables) -> T) -> Read<'_, T> {
        let state = self.lock();
        let read = if state.is_silent {
            Err(Unavailable("told to be silent".to_owned()))
        } else {
            Ok(look(&state.tables))
        };
        Box::pin(ready(read))
    }

    /// A backup of this moment.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = State { tables: self.tables(), ..State::default() };
        Self { state: Mutex::new(state), rules: self.rules }
    }

    /// Puts a backup in the place of all that is here, as an operator might who copied the file.
    pub fn restore(&self, backup: &Self) {
        let tables = backup.tables();
        self.lock().tables = tables;
    }

    /// Begins another life of every log, as whoever puts a backup back by the rules does.
    pub fn renew_epochs(&self, chance: &mut dyn Chance) {
        self.lock().tables.logs.values_mut().for_each(|log| log.epoch = chance.epoch());
    }

    /// All rows as they are now.
    #[must_use]
    pub fn tables(&self) -> Tables {
        self.lock().tables.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of a batch; nothing where nobody is told.
    fn judged(&self, batch: &[Pending], chance: &mut dyn Chance, now_ms: i64) -> Option<Outcome> {
        let state = &mut *self.lock();
        if state.late.is_some() {
            return Some(Outcome::Failed(RetryReason::Unavailable));
        }
        let mut judge = Judge::new(state.tables.facts(batch), self.rules, chance, now_ms);
        let answers = judge.batch(batch);
        let effects = judge.effects;
        // As over a database: answers that only repeat need no commit, so none can fail.
        let mishap = if effects.is_empty() { None } else { state.mishap.take() };
        match mishap {
            Some(Mishap::NotStored(reason)) => return Some(Outcome::Failed(reason)),
            Some(Mishap::UnknownLost) => return Some(Outcome::Unknown),
            Some(Mishap::UnknownLate) => {
                state.late = Some(effects);
                return Some(Outcome::Unknown);
            }
            Some(Mishap::UnknownStored | Mishap::NeverTold) | None => state.tables.apply(effects),
        }
        match mishap {
            None => Some(Outcome::Committed(answers)),
            Some(Mishap::NeverTold) => None,
            Some(_) => Some(Outcome::Unknown),
        }
    }
}

impl History for MemoryHistory {
    fn commit<'a>(
        &'a self,
        batch: &'a [Pending],
        chance: &'a mut dyn Chance,
        now_ms: i64,
    ) -> Later<'a, Outcome> {
        match self.judged(batch, chance, now_ms) {
            Some(outcome) => Box::pin(ready(outcome)),
            None => Box::pin(pending()),
        }
    }

    fn standing(&self, sign_in: SignInHash, now_ms: i64) -> Read<'_, Standing> {
        self.read(|tables| tables.standing(sign_in, now_ms))
    }

    fn fallen<'a>(
        &'a self,
        sign_ins: &'a [SignInHash],
        now_ms: i64,
    ) -> Read<'a, BTreeMap<SignInHash, Standing>> {
        let how = self.lock().fallen;
        match how {
            Fallen::Told => {}
            Fallen::Refused => {
                let hidden = Unavailable("told to hide the fallen".to_owned());
                return Box::pin(ready(Err(hidden)));
            }
            Fallen::Unanswered => return Box::pin(pending()),
        }
        self.read(|tables| {
            let standing = |sign_in: &SignInHash| (*sign_in, tables.standing(*sign_in, now_ms));
            let all = sign_ins.iter().map(standing);
            all.filter(|(_, standing)| *standing != Standing::Good).collect()
        })
    }

    fn answers(&self) -> Later<'_, bool> {
        Box::pin(ready(!self.lock().is_silent))
    }

    fn note_use(&self, sign_in: SignInHash, now_ms: i64) -> Read<'_, Standing> {
        Box::pin(ready(Ok(self.lock().tables.note_use(sign_in, now_ms))))
    }

    fn admission(
        &self,
        user: UserId,
        log: LogId,
        cursor: Option<Cursor>,
    ) -> Read<'_, Option<Admission>> {
        self.read(|tables| tables.admission(user, log, cursor))
    }

    fn arrival(&self, user: UserId, cursor: Option<Cursor>) -> Read<'_, Option<Arrival>> {
        self.read(|tables| tables.arrival(user, cursor))
    }

    fn page(&self, log: LogId, after: u64) -> Read<'_, Vec<Envelope>> {
        self.read(|tables| {
            let range = tables.events.range((log, after.saturating_add(1))..=(log, u64::MAX));
            let events = range.take(PAGE_EVENTS_MAX).map(|(_, event)| event.envelope.clone());
            views::page(events.collect())
        })
    }

    fn snapshot(&self, reader: Option<UserId>, room: RoomId) -> Read<'_, Option<RoomView>> {
        self.read(|tables| {
            let part = tables.membership(reader, room)?;
            tables.state(room).map(|state| state.seen_by(part))
        })
    }

    fn state(&self, room: RoomId) -> Read<'_, Option<RoomState>> {
        self.read(|tables| tables.state(room))
    }

    fn older(
        &self,
        reader: Option<UserId>,
        room: RoomId,
        before: u64,
        count: usize,
    ) -> Read<'_, Option<OlderMessages>> {
        self.read(|tables| {
            tables.membership(reader, room)?;
            Some(views::older(tables.newest(room, before, count.saturating_add(1)), count))
        })
    }

    fn heads<'a>(&'a self, logs: &'a [LogId]) -> Read<'a, Vec<Head>> {
        if logs.len() > HEADS_MAX {
            let too_many = Unavailable(format!("{} logs in one statement", logs.len()));
            return Box::pin(ready(Err(too_many)));
        }
        self.read(|tables| {
            let head = |log: &LogId| {
                tables.extent(*log, None).map(|extent| Head { log: *log, cursor: extent.head })
            };
            let mut heads: Vec<Head> = logs.iter().filter_map(head).collect();
            heads.sort_by_key(|head| head.log.id);
            heads.dedup();
            heads
        })
    }

    fn room_by_key<'a>(&'a self, key: &'a str) -> Read<'a, Option<RoomCard>> {
        self.read(|tables| {
            let found = tables.rooms.values().find(|room| &*room.key == key);
            found.map(|room| views::card(tables.counted(room)))
        })
    }

    fn open_rooms<'a>(&'a self, after: Option<&'a str>) -> Read<'a, Vec<RoomCard>> {
        self.read(|tables| {
            let mut rooms: Vec<&RoomRecord> = tables
                .rooms
                .values()
                .filter(|room| !room.everyone && &*room.key > after.unwrap_or_default())
                .collect();
            rooms.sort_by(|a, b| a.key.cmp(&b.key));
            let rooms = rooms.into_iter().take(views::ROOMS_READ);
            rooms.map(|room| views::card(tables.counted(room))).collect()
        })
    }
}
