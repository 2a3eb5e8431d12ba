//! The rooms' floor: every log that is spoken in just now, and the one verb by which it is written.
//!
//! Browsers, forms and bots all act through `Rooms::act` or a log's handle, which end in the same
//! mailbox; connections subscribe through the handle. Its law: what a caller is told was committed
//! before, nobody waits for a reader, and a log without listeners and ops costs nothing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::act::{Act, Enter};
use protocol::change::Envelope;
use protocol::event::Refused;
use protocol::ids::{LogId, UserId};
use protocol::refusal::{Refusal, RetryReason};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config::Limits;
use crate::history::writer::{Withdrawn, Writer};
use crate::history::{HEADS_MAX, History, Later, Outcome, Pending, Read, Unavailable, Verdict};
use crate::overload::{Shedding, Stage};

pub mod key;
pub mod lane;
pub mod mailbox;
pub mod rates;
pub mod room;
pub mod roster;
mod sweep;
pub mod tail;
pub mod task;
pub mod typing;

use lane::Mark;
use rates::{Bucket, RatesOfUsers, SharedRates};
use room::Reply;
use sweep::Sweeps;
use task::{LogHandle, Task, TurnedAway};

/// Bytes that all tails hold together.
const TAILS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Milliseconds between two looks at all tails.
const TEND_MS: i64 = 1_000;
/// How long the store may take to say what is there before it counts as silent.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
/// When an op is sent again that the store's silence turned away, in milliseconds.
const STORE_WAIT_MS: u32 = 1_000;
/// The same for what overload turned away: until then a stage may have gone back.
const SHED_WAIT_MS: u32 = 4_000;

/// The door to every log. Cheap to clone.
#[derive(Clone)]
pub struct Rooms(Arc<Shared>);

struct Shared {
    history: Arc<dyn History>,
    writer: Writer,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    shedding: Shedding,
    logs: Mutex<BTreeMap<LogId, LogHandle>>,
    /// When all tails were last looked at together, in ticks.
    tended_at: AtomicI64,
    rates: Mutex<RatesOfUsers>,
    sweeps: Arc<Sweeps>,
}

impl Rooms {
    /// Opens the rooms over a store and its writer. Log tasks run where this is used.
    #[must_use]
    pub fn new(
        history: Arc<dyn History>,
        writer: Writer,
        clock: Arc<dyn Clock>,
        limits: Arc<Limits>,
        shedding: Shedding,
    ) -> Self {
        let (logs, rates, tended_at) = (Mutex::default(), Mutex::default(), AtomicI64::new(0));
        let sweeps = Arc::default();
        Self(Arc::new(Shared {
            history,
            writer,
            clock,
            limits,
            shedding,
            logs,
            tended_at,
            rates,
            sweeps,
        }))
    }

    /// Does one act for somebody without a connection, such as a form, and waits for its verdict.
    /// A lost outcome shows as `Retry`: the same op id asked again finds out. Fails, with a time,
    /// where the act was not even taken in.
    pub async fn act(&self, pending: Pending) -> Result<Verdict, TurnedAway> {
        let now = self.now();
        if !pending.check_only {
            let wait = self.rates(pending.author).take(&pending.op.act, now);
            wait.map_err(|ms| TurnedAway { reason: RetryReason::Rate, retry_after_ms: ms })?;
        }
        let answer = self.take_in(pending, None).await?;
        Ok(match answer.await {
            Ok(Reply::Verdict(verdict)) => verdict,
            Ok(Reply::Void | Reply::Unknown) | Err(_) => Verdict::Retry(RetryReason::Unavailable),
        })
    }

    /// Takes an op in, whose answer comes later. Who names a key of no room makes one, by the rate
    /// of those; what is for a room that does not exist is refused without starting a task for it.
    /// Under overload nothing new is taken in; who leaves, or asks after what is stored, is heard.
    pub async fn take_in(
        &self,
        pending: Pending,
        mark: Option<Mark>,
    ) -> Result<oneshot::Receiver<Reply>, TurnedAway> {
        let is_new = !pending.check_only && !matches!(pending.op.act, Act::Leave(_));
        if is_new && self.0.shedding.sheds(Stage::Sends) {
            let reason = RetryReason::Busy;
            return Err(TurnedAway { reason, retry_after_ms: SHED_WAIT_MS });
        }
        if self.makes_a_room(&pending).await? {
            let turned_away =
                |retry_after_ms| TurnedAway { reason: RetryReason::Rate, retry_after_ms };
            self.rates(pending.author).make(self.now()).map_err(turned_away)?;
        }
        if !self.exists(pending.lane()).await? {
            let (reply, answer) = oneshot::channel();
            // Who asked waits for it right here; the server makes the ids of rooms, so a later copy
            // finds none either, and nothing has to be stored.
            let _ = reply.send(Reply::Verdict(no_such_room(&pending)));
            return Ok(answer);
        }
        self.log(pending.lane()).act(pending, mark, self.now()).await
    }

    async fn makes_a_room(&self, pending: &Pending) -> Result<bool, TurnedAway> {
        let Act::Enter(Enter { key }) = &pending.op.act else { return Ok(false) };
        let Some(key) = key::canonical(key).filter(|_| !pending.check_only) else {
            return Ok(false);
        };
        Ok(in_time(self.0.history.room_by_key(&key)).await?.is_none())
    }

    async fn exists(&self, log: LogId) -> Result<bool, TurnedAway> {
        // An account has its log; a log with a task was there when that began.
        if log.room().is_none() || self.logs().contains_key(&log) {
            return Ok(true);
        }
        Ok(!in_time(self.0.history.heads(&[log])).await?.is_empty())
    }

    /// How many logs have a task.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.logs().len()
    }

    /// The handle of a log, whose task is started if it has none.
    #[must_use]
    pub fn log(&self, id: LogId) -> LogHandle {
        let mut logs = self.logs();
        if let Some(handle) = logs.get(&id) {
            return handle.clone();
        }
        let handle = LogHandle::new(id, Bucket::new(&self.0.limits.sends_per_room));
        logs.insert(id, handle.clone());
        drop(logs);
        tokio::spawn(Task::start(self.clone(), handle.clone()));
        handle
    }

    /// How often a user may act, shared by all his doors.
    #[must_use]
    pub fn rates(&self, user: UserId) -> SharedRates {
        let now = self.now();
        let mut rates = self.0.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.of(user, &self.0.limits, now)
    }

    /// Tells a log's task, if there is one, that somebody committed to it up to this number.
    pub fn hint(&self, log: LogId, seq: u64) {
        if let Some(handle) = self.logs().get(&log) {
            handle.hint(seq);
        }
    }

    fn now(&self) -> i64 {
        self.0.clock.ticks_ms()
    }

    async fn head_of(&self, log: LogId) -> Result<u64, Unavailable> {
        let heads = self.0.history.heads(&[log]).await?;
        Ok(heads.first().map_or(0, |head| head.cursor.seq))
    }

    /// Tells every log with a task where it ends; `false` where the store does not answer. One sweep
    /// serves all who ask before it begins.
    fn sweep(&self) -> Later<'static, bool> {
        let rooms = self.clone();
        self.0.sweeps.ask(move || {
            let rooms = rooms.clone();
            Box::pin(async move {
                let swept = rooms.tell_heads().await;
                if let Err(fault) = &swept {
                    tracing::warn!(%fault, "what nobody hinted at was not looked for: it is again");
                }
                swept.is_ok()
            })
        })
    }

    /// Some logs at a time: a read of all would be long, and one statement takes so many only.
    async fn tell_heads(&self) -> Result<(), Unavailable> {
        let mut logs = self.open_logs(None);
        while let Some(last) = logs.last().copied() {
            let heads = answered(self.0.history.heads(&logs)).await?;
            heads.iter().for_each(|head| self.hint(head.log, head.cursor.seq));
            logs = self.open_logs(Some(last));
        }
        Ok(())
    }

    /// The next logs with a task behind this one. Who gets a task meanwhile reads where it ends.
    fn open_logs(&self, after: Option<LogId>) -> Vec<LogId> {
        let behind = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        self.logs().range(behind).map(|(log, _)| *log).take(HEADS_MAX).collect()
    }

    fn commit(
        &self,
        batch: Vec<Pending>,
        patience: Duration,
    ) -> Later<'static, Result<Outcome, Withdrawn>> {
        let writer = self.0.writer.clone();
        Box::pin(async move { writer.submit(batch, patience).await })
    }

    fn read(&self, log: LogId, after: u64) -> Later<'static, Option<Vec<Envelope>>> {
        let history = Arc::clone(&self.0.history);
        Box::pin(async move { history.page(log, after).await.ok() })
    }

    /// Keeps all tails together within their bound; called by whoever speaks, at work once a second.
    fn tend_tails(&self) {
        let (now, tended_at) = (self.now(), &self.0.tended_at);
        let before = tended_at.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(before) >= TEND_MS
            && tended_at
                .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_due {
            let tails = self.logs().values().map(LogHandle::last_words).collect();
            tail::keep_within(tails, TAILS_BYTES_MAX);
        }
    }

    /// Takes a log without use off the register; whether its task may end.
    fn forget(&self, log: LogId) -> bool {
        let mut logs = self.logs();
        // Handles are given out under this lock alone, so what is unused here stays unused.
        let is_unused = logs.get(&log).is_none_or(LogHandle::is_unused);
        if is_unused {
            logs.remove(&log);
        }
        is_unused
    }

    /// Takes a log off the register whose task died of a bug.
    fn lose(&self, handle: &LogHandle) {
        let mut logs = self.logs();
        if logs.get(&handle.id()).is_some_and(|kept| kept.is_same(handle)) {
            logs.remove(&handle.id());
        }
    }

    fn logs(&self) -> MutexGuard<'_, BTreeMap<LogId, LogHandle>> {
        // Every change of the map is one call that cannot panic half-way.
        self.0.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a read gives; an op whose room cannot be looked up in time is turned away.
async fn in_time<T>(read: Read<'_, T>) -> Result<T, TurnedAway> {
    answered(read).await.map_err(|fault| {
        tracing::warn!(%fault, "an op is turned away");
        TurnedAway { reason: RetryReason::Unavailable, retry_after_ms: STORE_WAIT_MS }
    })
}

/// What a read gives, if it gives it in time.
async fn answered<T>(read: Read<'_, T>) -> Result<T, Unavailable> {
    let too_late = |_| Err(Unavailable(format!("no answer in {STORE_PATIENCE:?}")));
    timeout(STORE_PATIENCE, read).await.unwrap_or_else(too_late)
}

fn no_such_room(pending: &Pending) -> Verdict {
    let refusal = if pending.check_only { Refusal::Unknown } else { Refusal::NotMember };
    Verdict::Refused(Refused { op_id: pending.op.op_id, refusal })
}

#[cfg(test)]
mod tests;
