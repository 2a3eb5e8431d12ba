//! The rooms' floor: every log that is spoken in just now, and the one verb by which it is written.
//!
//! Browsers, forms and bots all act through `Rooms::act` or a log's handle, which end in the same
//! mailbox; connections subscribe through the handle. Its law: what a caller is told was committed
//! before, nobody waits for a reader, and a log without listeners and ops costs nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::change::Envelope;
use protocol::ids::{LogId, UserId};
use protocol::refusal::RetryReason;

use crate::clock::Clock;
use crate::config::Limits;
use crate::history::writer::Writer;
use crate::history::{Head, History, Later, Outcome, Pending, Unavailable, Verdict};

pub mod key;
pub mod lane;
pub mod mailbox;
pub mod rates;
pub mod room;
pub mod roster;
pub mod tail;
pub mod task;
pub mod typing;
pub mod words;

use rates::{Bucket, Rates, SharedRates};
use room::Reply;
use task::{LogHandle, Task};

/// Bytes that all tails hold together.
const TAILS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Milliseconds between two looks at all tails.
const TEND_MS: i64 = 1_000;
/// Users whose rates are kept before those at rest are looked for.
const RATES_KEPT: usize = 1_024;

/// The door to every log. Cheap to clone.
#[derive(Clone)]
pub struct Rooms(Arc<House>);

struct House {
    history: Arc<dyn History>,
    writer: Writer,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    logs: Mutex<BTreeMap<LogId, LogHandle>>,
    /// When all tails were last looked at together, in ticks.
    tended_at: AtomicI64,
    rates: Mutex<BTreeMap<UserId, SharedRates>>,
}

impl Rooms {
    /// Opens the rooms over a store and its writer. Log tasks run where this is used.
    #[must_use]
    pub fn new(
        history: Arc<dyn History>,
        writer: Writer,
        clock: Arc<dyn Clock>,
        limits: Arc<Limits>,
    ) -> Self {
        let (logs, rates, tended_at) = (Mutex::default(), Mutex::default(), AtomicI64::new(0));
        Self(Arc::new(House { history, writer, clock, limits, logs, tended_at, rates }))
    }

    /// Does one act for somebody without a connection, such as a form, and waits for its verdict.
    /// A lost outcome shows as `Retry`: the same op id asked again finds out.
    pub async fn act(&self, pending: Pending) -> Verdict {
        let now = self.now();
        if !pending.check_only && self.rates(pending.author).take(&pending.op.act, now).is_err() {
            return Verdict::Retry(RetryReason::Rate);
        }
        let log = self.log(pending.lane());
        match log.act(pending, None, now).await {
            Ok(answer) => match answer.await {
                Ok(Reply::Verdict(verdict)) => verdict,
                Ok(Reply::Void | Reply::Unknown) | Err(_) => {
                    Verdict::Retry(RetryReason::Unavailable)
                }
            },
            Err(away) => Verdict::Retry(away.reason),
        }
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
        tokio::spawn(Task::run(self.clone(), handle.clone()));
        handle
    }

    /// How often a user may act, shared by all his doors.
    #[must_use]
    pub fn rates(&self, user: UserId) -> SharedRates {
        let now = self.now();
        let mut rates = self.0.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= RATES_KEPT && !rates.contains_key(&user) {
            rates.retain(|_, rates| !rates.are_at_rest(now));
        }
        let fresh = || SharedRates::new(Rates::new(&self.0.limits));
        rates.entry(user).or_insert_with(fresh).clone()
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

    /// Where every log with a task ends; nothing where the store does not answer.
    fn heads(&self) -> Later<'static, Vec<Head>> {
        let (history, logs) = (Arc::clone(&self.0.history), self.open_logs());
        Box::pin(async move { history.heads(&logs).await.unwrap_or_default() })
    }

    fn open_logs(&self) -> Vec<LogId> {
        self.logs().keys().copied().collect()
    }

    fn commit(&self, batch: Vec<Pending>) -> Later<'static, Outcome> {
        let writer = self.0.writer.clone();
        Box::pin(async move { writer.submit(batch).await })
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
