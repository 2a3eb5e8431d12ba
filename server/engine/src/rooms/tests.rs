//! The rooms' floor over a store in memory: what becomes of a sweep over many logs.
//!
//! Its law: what is to be found was committed past the rooms, so that nobody hints at it.

use tokio::time::sleep;

use super::*;
use crate::clock::{SeededChance, SystemClock};
use crate::db::accounts::Account;
use crate::db::people::{SignInRecord, UserRecord};
use crate::history::memory::MemoryHistory;
use crate::history::{Rules, SignInHash};
use protocol::model::{DisplayName, Rank};

const RULES: Rules = Rules { text_chars_max: 100, rooms_max: 4 };

/// The last of all users, by id.
fn ada() -> Account {
    let id = UserId::from_bytes([0xff; 16]);
    let name = DisplayName::cut("Ada");
    let user = UserRecord { id, name, rank: Rank::Guest, created_at: 0, disabled_at: None };
    let (hash, generation, revoked_at) = (SignInHash::of(b"ada"), 0, None);
    let (created_at, seen_at, expires_at) = (0, 0, i64::MAX);
    let sign_in =
        SignInRecord { hash, user: id, generation, created_at, seen_at, expires_at, revoked_at };
    Account { user, sign_in }
}

#[tokio::test]
async fn a_sweep_over_more_logs_than_are_asked_about_at_once_reaches_the_last() {
    let mut chance = SeededChance::new(1);
    let history = Arc::new(MemoryHistory::new(RULES, &mut chance, 0));
    history.add_account(&ada(), 1);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, drawn) = (history.clone(), Box::new(SeededChance::new(2)));
    let (writer, _task) = Writer::start(store, Arc::clone(&clock), drawn);
    let rooms = Rooms::new(history.clone(), writer, clock, Arc::new(Limits::default()));
    for number in 0..2 * HEADS_MAX {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
        let _ = rooms.log(UserId::from_bytes(id).log());
    }
    let tail = rooms.log(ada().user.id.log()).tail();
    // All tasks have read where their logs end.
    sleep(Duration::from_millis(100)).await;
    assert!(history.make_owner(ada().user.id, &mut chance, 0).is_some());
    assert!(rooms.sweep().await);
    let heard = async {
        while tail.change(|tail| tail.head()) == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), heard).await.expect("the last log hears of it");
}
