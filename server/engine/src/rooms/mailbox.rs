//! A log's bounded mailbox: ops that wait for the next batch.
//!
//! Filled by connections and forms through the log's handle, emptied by the log's task. Its law: at
//! most 256 ops or 1 MiB wait, what does not fit goes back to who brought it, and what waited for
//! three seconds is overdue.

use std::collections::VecDeque;

use protocol::act::Act;
use protocol::refusal::RetryReason;

use super::lane::Mark;
use super::rates::Bucket;
use crate::history::Pending;

/// Ops that a mailbox holds.
pub const MAILBOX_OPS_MAX: usize = 256;
/// Bytes of ops that a mailbox holds.
pub const MAILBOX_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of ops in one batch: a quarter of a tail, so that a batch cannot bury it.
pub const BATCH_BYTES_MAX: usize = 128 * 1024;
/// Milliseconds that an op may wait to be taken into a transaction, here and at the writer together.
pub const QUEUED_MS_MAX: i64 = 3_000;
/// What an op takes beside its text, in bytes: its ids, a name, and their frame.
const OP_BYTES: usize = 512;

/// An op on its way to a log, with the way back for its answer.
#[derive(Debug)]
pub struct Entry<R> {
    /// What is to be done.
    pub pending: Pending,
    /// The lane it was sent in; none for a form, which is a lane of its own.
    pub mark: Option<Mark>,
    /// When it came in, in ticks.
    pub queued_at: i64,
    /// To whom the answer goes.
    pub reply: R,
}

impl<R> Entry<R> {
    /// When it has waited too long, in ticks.
    #[must_use]
    pub const fn overdue_at(&self) -> i64 {
        self.queued_at.saturating_add(QUEUED_MS_MAX)
    }

    /// Bytes that the op counts for.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        let text = match &self.pending.op.act {
            Act::Post(post) => post.text.len(),
            Act::Configure(configure) => configure.topic.len(),
            Act::Create(_) | Act::Enter(_) | Act::Leave(_) | Act::Rename(_) => 0,
        };
        OP_BYTES + text
    }
}

/// An op that a mailbox did not take.
#[derive(Debug)]
pub struct Returned<R> {
    /// The op.
    pub entry: Entry<R>,
    /// Why.
    pub reason: RetryReason,
    /// When there will be a place, in milliseconds; 0 where that is not known.
    pub retry_after_ms: u32,
}

/// Ops that wait for one log.
#[derive(Debug)]
pub struct Mailbox<R> {
    entries: VecDeque<Entry<R>>,
    byte_count: usize,
    posts: Bucket,
}

impl<R> Mailbox<R> {
    /// An empty mailbox that takes messages at the rate of this bucket.
    #[must_use]
    pub const fn new(posts: Bucket) -> Self {
        Self { entries: VecDeque::new(), byte_count: 0, posts }
    }

    /// Takes an op, or gives it back.
    pub fn push(&mut self, entry: Entry<R>, now: i64) -> Result<(), Box<Returned<R>>> {
        let byte_count = self.byte_count.saturating_add(entry.byte_count());
        if self.entries.len() >= MAILBOX_OPS_MAX || byte_count > MAILBOX_BYTES_MAX {
            let reason = RetryReason::Busy;
            return Err(Box::new(Returned { entry, reason, retry_after_ms: 0 }));
        }
        if matches!(entry.pending.op.act, Act::Post(_))
            && !entry.pending.check_only
            && let Err(retry_after_ms) = self.posts.take(now)
        {
            let reason = RetryReason::Rate;
            return Err(Box::new(Returned { entry, reason, retry_after_ms }));
        }
        self.byte_count = byte_count;
        self.entries.push_back(entry);
        Ok(())
    }

    /// Takes out the next batch, in order.
    pub fn take_batch(&mut self) -> Vec<Entry<R>> {
        let mut batch_bytes = 0;
        let mut count = 0;
        for entry in &self.entries {
            batch_bytes += entry.byte_count();
            if count > 0 && batch_bytes > BATCH_BYTES_MAX {
                break;
            }
            count += 1;
        }
        self.take(count)
    }

    /// Takes out what has waited too long, in order: the first that has not holds back the others,
    /// which came 250 ms before it at most.
    pub fn take_overdue(&mut self, now: i64) -> Vec<Entry<R>> {
        let is_overdue = |entry: &&Entry<R>| entry.overdue_at() <= now;
        let count = self.entries.iter().take_while(is_overdue).count();
        self.take(count)
    }

    /// When the first has waited too long, in ticks; nothing while none waits.
    #[must_use]
    pub fn overdue_at(&self) -> Option<i64> {
        self.entries.front().map(Entry::overdue_at)
    }

    fn take(&mut self, count: usize) -> Vec<Entry<R>> {
        let taken: Vec<_> = self.entries.drain(..count).collect();
        self.byte_count -= taken.iter().map(Entry::byte_count).sum::<usize>();
        taken
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
