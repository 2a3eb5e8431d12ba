//! The rooms' floor over a store in memory: what becomes of a sweep.
//!
//! Its law: what is to be found was committed past the rooms, so that nobody hints at it.

use protocol::act::{Leave, Op, Post};
use protocol::event::Accepted;
use protocol::ids::{DeviceId, OpId};
use protocol::model::{DisplayName, MessageText, Rank, RoomKey};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::*;
use crate::clock::{SeededChance, SystemClock};
use crate::db::accounts::Account;
use crate::db::people::{SignInRecord, UserRecord};
use crate::history::memory::{MemoryHistory, Mishap};
use crate::history::{Rules, SignInHash};

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

/// Rooms over a store in which Ada has an account.
fn world() -> (Rooms, Arc<MemoryHistory>, SeededChance) {
    let mut chance = SeededChance::new(1);
    let history = Arc::new(MemoryHistory::new(RULES, &mut chance, 0));
    history.add_account(&ada(), 1);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, drawn) = (history.clone(), Box::new(SeededChance::new(2)));
    let (writer, _task) = Writer::start(store, Arc::clone(&clock), drawn);
    let (limits, shedding) = (Arc::new(Limits::default()), Shedding::default());
    let rooms = Rooms::new(history.clone(), writer, clock, limits, shedding);
    (rooms, history, chance)
}

/// What Ada does, each time as another op.
async fn does(rooms: &Rooms, number: u8, act: Act) -> Verdict {
    let Account { user, sign_in } = ada();
    let op = Op { op_id: OpId::make(0, [number; 10]), act };
    let (author, sign_in, device) = (user.id, sign_in.hash, DeviceId::NIL);
    rooms.act(Pending { author, sign_in, device, op, check_only: false }).await.unwrap()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let so = async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), so).await.unwrap_or_else(|_| panic!("{what}"));
}

fn head(log: &LogHandle) -> u64 {
    log.tail().change(|tail| tail.head())
}

#[tokio::test]
async fn a_sweep_over_more_logs_than_are_asked_about_at_once_reaches_the_last() {
    let (rooms, history, mut chance) = world();
    for number in 0..2 * HEADS_MAX {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
        let _ = rooms.log(UserId::from_bytes(id).log());
    }
    let own = rooms.log(ada().user.id.log());
    // All tasks have read where their logs end.
    sleep(Duration::from_millis(100)).await;
    assert!(history.make_owner(ada().user.id, &mut chance, 0).is_some());
    assert!(rooms.sweep().await);
    until("the last log hears of it", || head(&own) == 1).await;
}

#[tokio::test]
async fn what_is_found_while_a_sweep_is_under_way_is_swept_for_behind_it() {
    let (rooms, history, _) = world();
    let own = rooms.log(ada().user.id.log());
    let entered = does(&rooms, 1, Act::Enter(Enter { key: RoomKey::cut("tea") })).await;
    let Verdict::Accepted(Accepted { log, .. }) = entered else { panic!("{entered:?}") };
    let room = log.room().unwrap();
    until("she hears that she is in", || head(&own) == 1).await;

    // Sweeps that have looked when they begin and end when they are let.
    let (looked, ends) = (Arc::new(AtomicI64::new(0)), Arc::new(Semaphore::new(0)));
    let (slow, looks, ended) = (rooms.clone(), looked.clone(), ends.clone());
    let first = rooms.0.sweeps.ask(move || {
        let (slow, looks, ended) = (slow.clone(), looks.clone(), ended.clone());
        Box::pin(async move {
            let swept = slow.tell_heads().await;
            looks.fetch_add(1, Ordering::Relaxed);
            ended.acquire().await.unwrap().forget();
            swept.is_ok()
        })
    });
    history.fail_next(Mishap::UnknownStored);
    let post = Post { room, text: MessageText::cut("hello") };
    assert_eq!(does(&rooms, 2, Act::Post(post)).await, Verdict::Retry(RetryReason::Unavailable));
    until("the room reads it", || head(&rooms.log(log)) == 3).await;
    ends.add_permits(1);
    assert!(first.await);
    until("the room's sweep has looked", || looked.load(Ordering::Relaxed) == 2).await;

    history.fail_next(Mishap::UnknownStored);
    let left = does(&rooms, 3, Act::Leave(Leave { room })).await;
    assert_eq!(left, Verdict::Retry(RetryReason::Unavailable));
    until("the room reads it", || head(&rooms.log(log)) == 4).await;
    assert_eq!(head(&own), 1, "nobody hints at it");
    ends.add_permits(2);
    until("she hears that she is out", || head(&own) == 2).await;
    assert_eq!(looked.load(Ordering::Relaxed), 3);
}
