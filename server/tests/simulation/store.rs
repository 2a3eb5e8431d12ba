//! The store of a run: history in memory, what befalls it, and what the ledger learns of it.
//!
//! Shared with the house that stands on it, outlives its crashes, and is put back to older copies by
//! restores.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use futures_util::FutureExt;
use protocol::bounded::Text;
use protocol::cursor::Cursor;
use protocol::frame::Change;
use protocol::ids::{LogId, RoomId, UserId};
use protocol::model::{Rank, RoomEntry};
use protocol::refusal::RetryReason;
use server::clock::{Chance, SeededChance};
use server::db::accounts::Account;
use server::db::people::{SignInHash, SignInRecord, UserRecord};
use server::history::judge::Rules;
use server::history::memory::{MemoryHistory, Mishap};
use server::history::{History, Later, Outcome, Pending, RoomView};

use crate::ledger::Ledger;
use crate::plan::Fault;
use crate::tab::unix;

/// What an operator may turn; low, so that it is met.
const RULES: Rules = Rules { text_chars_max: 9_000, rooms_max: 12 };

/// The store. Clones are the same store.
#[derive(Clone)]
pub(crate) struct Store {
    history: Rc<MemoryHistory>,
    weather: Rc<Weather>,
}

#[derive(Default)]
struct Weather {
    unreadable_until: Cell<u64>,
    /// How late the next commit is, where it is.
    late_by: Cell<Option<u64>>,
    /// How long the next commit takes, where it is slow.
    slow_ms: Cell<Option<u64>>,
    /// When a commit that is late stands.
    lands_at: Cell<Option<u64>>,
    commits: Cell<u64>,
    noted: Cell<u64>,
}

/// What a memory future gives, which is ready at its first poll.
pub(crate) fn at_once<T>(later: Later<'_, T>) -> T {
    later.now_or_never().expect("history in memory never waits")
}

/// The sign-in of a user.
pub(crate) fn sign_in(user: UserId) -> SignInHash {
    SignInHash::of(&user.bytes())
}

impl Store {
    /// The lobby and so many people.
    pub(crate) fn peopled(count: usize, chance: &mut SeededChance) -> (Self, Vec<UserId>) {
        let history = MemoryHistory::new(RULES, chance, unix(0));
        let users: Vec<UserId> = (0..count).map(|_| UserId::make(0, chance.id_bytes())).collect();
        for (place, user) in users.iter().enumerate() {
            let account = Account {
                user: UserRecord {
                    id: *user,
                    name: Text::cut(&format!("Person {place}")),
                    rank: Rank::Guest,
                    created_at: unix(0),
                    disabled_at: None,
                },
                sign_in: SignInRecord {
                    hash: sign_in(*user),
                    user: *user,
                    generation: 0,
                    created_at: unix(0),
                    seen_at: unix(0),
                    expires_at: i64::MAX,
                    revoked_at: None,
                },
            };
            history.add_account(&account, chance.epoch());
        }
        let store = Self { history: Rc::new(history), weather: Rc::default() };
        store.weather.commits.set(1);
        (store, users)
    }

    /// The history, for reading; nothing while it does not answer.
    pub(crate) fn readable(&self, now: u64) -> Option<&MemoryHistory> {
        self.land_by(now);
        (self.weather.unreadable_until.get() <= now).then_some(&*self.history)
    }

    /// The history, whatever the weather.
    pub(crate) fn history(&self) -> &MemoryHistory {
        &self.history
    }

    /// Commits a batch.
    pub(crate) fn commit(&self, batch: &[Pending], chance: &mut SeededChance, now: u64) -> Outcome {
        self.land_by(now);
        self.weather.commits.set(self.weather.commits.get() + 1);
        let outcome = at_once(self.history.commit(batch, chance, unix(now)));
        if outcome == Outcome::Unknown {
            self.weather.lands_at.set(self.weather.late_by.take().map(|ms| now + ms));
        }
        outcome
    }

    fn land_by(&self, now: u64) {
        if self.weather.lands_at.get().is_some_and(|at| at <= now) {
            self.land();
        }
    }

    /// A commit that is late, if there is one, stands from here on.
    pub(crate) fn land(&self) {
        self.weather.lands_at.set(None);
        if self.history.land() {
            self.weather.commits.set(self.weather.commits.get() + 1);
        }
    }

    /// How long the commit takes that was just made.
    pub(crate) fn slow_ms(&self) -> u64 {
        self.weather.slow_ms.take().unwrap_or(0)
    }

    /// The next commit meets this.
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.weather.late_by.set(None);
        self.history.fail_next(match fault {
            Fault::Slow { ms } => return self.weather.slow_ms.set(Some(ms)),
            Fault::Failed => Mishap::NotStored(RetryReason::Unavailable),
            Fault::UnknownStored => Mishap::UnknownStored,
            Fault::UnknownLost => Mishap::UnknownLost,
            Fault::UnknownLate { ms } => {
                self.weather.late_by.set(Some(ms));
                Mishap::UnknownLate
            }
        });
    }

    /// Reads are not answered until then.
    pub(crate) fn unreadable_until(&self, until: u64) {
        self.weather.unreadable_until.set(until);
    }

    /// Nothing befalls it any more.
    pub(crate) fn calm(&self) {
        self.unreadable_until(0);
        self.land();
        self.weather.late_by.set(None);
        self.weather.slow_ms.set(None);
        self.history.fail_next(None);
    }

    /// A backup of this moment.
    pub(crate) fn copy(&self) -> Self {
        let history = Rc::new(self.history.copy());
        let store = Self { history, weather: Rc::default() };
        store.weather.commits.set(1);
        store
    }

    /// Every log begins another life, as it does when a backup is restored by the rules.
    pub(crate) fn renew_epochs(&self, chance: &mut SeededChance) {
        self.history.renew_epochs(chance);
    }

    /// The lobby.
    pub(crate) fn lobby(&self) -> RoomId {
        let card = at_once(self.history.room_by_key("lobby")).unwrap();
        card.expect("the lobby is always there").id
    }

    /// A room as a page would be drawn with it.
    pub(crate) fn drawn(&self, user: UserId, room: RoomId) -> Option<RoomView> {
        at_once(self.history.snapshot(Some(user), room)).unwrap()
    }

    /// A user's rooms.
    pub(crate) fn rooms(&self, user: UserId) -> Vec<RoomEntry> {
        at_once(self.history.arrival(user, None)).unwrap().expect("every user has an account").rooms
    }

    /// Where the logs stand that the ledger knows of.
    pub(crate) fn heads(&self, ledger: &Ledger) -> BTreeMap<LogId, Cursor> {
        let logs: Vec<LogId> = ledger.logs().collect();
        let heads = at_once(self.history.heads(&logs)).unwrap();
        heads.into_iter().map(|head| (head.log, head.cursor)).collect()
    }

    /// Tells the ledger what was stored since the last time.
    pub(crate) fn write_into(&self, ledger: &mut Ledger) {
        if self.weather.noted.replace(self.weather.commits.get()) == self.weather.commits.get() {
            return;
        }
        let mut logs: Vec<LogId> = ledger.logs().collect();
        while let Some(log) = logs.pop() {
            loop {
                let after = ledger.head(log);
                let page = at_once(self.history.page(log, after)).unwrap();
                if page.is_empty() {
                    break;
                }
                for envelope in page {
                    let change = Change::decode(envelope.kind, &envelope.body).unwrap();
                    if let Some(Change::RoomAdded(added)) = change
                        && ledger.begin(added.room.log())
                    {
                        logs.push(added.room.log());
                    }
                    ledger.stored(envelope);
                }
            }
        }
    }
}
