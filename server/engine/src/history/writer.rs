//! The one task that writes. Over a store that writes once at a time it makes one transaction of all
//! batches that are ready; over one that can write several at once, each batch is one by itself.
//!
//! Log tasks submit batches and await what became of them. Its law: no batch waits for company (the
//! commits under way are the only wait); the queue is bounded in ops and bytes and says *busy*
//! beyond; whoever has waited too long without being taken is told so and is then never taken;
//! batches are taken in their order, and of one log there is only ever one.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use protocol::refusal::RetryReason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock::{Chance, Clock};
use crate::history::{Answer, History, Outcome, Pending};
use crate::overload::queue::{Place, Queue};

/// Ops of one transaction.
const COMMIT_OPS_MAX: usize = 256;
/// Bytes of one transaction, as `Pending::bytes` counts them.
const COMMIT_BYTES_MAX: usize = 1024 * 1024;
/// Ops that wait or are being written.
const QUEUE_OPS_MAX: usize = 4_096;
/// Bytes that wait or are being written, in KiB: a permit of the semaphore is one.
const QUEUE_KIB_MAX: usize = 8 * 1024;

/// A batch waits in the queue.
const WAITING: u8 = 0;
/// The writer has it: what becomes of it is the database's answer.
const TAKEN: u8 = 1;
/// Who submitted it has given up: it will not be written.
const WITHDRAWN: u8 = 2;

/// Why the writer's task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterEnd {
    /// Every handle is gone and all that was submitted is answered.
    Done,
    /// The disk failed: the process must end and open it anew.
    DiskBroken,
}

/// The handle by which log tasks write.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::UnboundedSender<Work>,
    ops: Arc<Semaphore>,
    kib: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    /// Since when batches wait to be taken.
    waiting: Queue,
}

/// A batch in the queue; the queue is bounded by the permits that each one holds.
#[derive(Debug)]
struct Work {
    batch: Vec<Pending>,
    bytes: usize,
    state: Arc<AtomicU8>,
    reply: oneshot::Sender<Outcome>,
    /// Until it is taken.
    place: Option<Place>,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

struct Task {
    history: Arc<dyn History>,
    clock: Arc<dyn Clock>,
    chance: SharedChance,
    queue: mpsc::UnboundedReceiver<Work>,
    /// Taken from the queue, but too much for the transaction before.
    held_back: Option<Work>,
    /// How many commits may be under way.
    at_once: usize,
}

/// One source of chance for the commits that are under way together.
#[derive(Clone)]
struct SharedChance(Arc<Mutex<Box<dyn Chance>>>);

impl Chance for SharedChance {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }
}

impl Writer {
    /// Starts the task; it ends when the last handle is dropped and the queue is empty.
    pub fn start(
        history: Arc<dyn History>,
        clock: Arc<dyn Clock>,
        chance: Box<dyn Chance>,
    ) -> (Self, JoinHandle<WriterEnd>) {
        let (sender, queue) = mpsc::unbounded_channel();
        let (chance, at_once) =
            (SharedChance(Arc::new(Mutex::new(chance))), history.commits_at_once());
        let (at_work, waiting) = (Arc::clone(&clock), Queue::default());
        let task = Task { history, clock: at_work, chance, queue, held_back: None, at_once };
        let ops = Arc::new(Semaphore::new(QUEUE_OPS_MAX));
        let kib = Arc::new(Semaphore::new(QUEUE_KIB_MAX));
        (Self { queue: sender, ops, kib, clock, waiting }, tokio::spawn(task.run()))
    }

    /// Stores a batch and gives what became of it; a batch that is not taken into a transaction for
    /// so long is withdrawn. Dropping the future neither withdraws nor hurts the batch.
    pub async fn submit(&self, batch: Vec<Pending>, patience: Duration) -> Outcome {
        let bytes: usize = batch.iter().map(Pending::bytes).sum();
        let Some(permits) = self.permits(batch.len(), bytes) else {
            return Outcome::Failed(RetryReason::Busy);
        };
        let state = Arc::new(AtomicU8::new(WAITING));
        let (reply, mut answer) = oneshot::channel();
        let (taken, place) = (Arc::clone(&state), Some(self.waiting.enter(self.clock.ticks_ms())));
        let work = Work { batch, bytes, state: taken, reply, place, _permits: permits };
        if self.queue.send(work).is_err() {
            return Outcome::Failed(RetryReason::Unavailable);
        }
        if let Ok(answered) = tokio::time::timeout(patience, &mut answer).await {
            return answered.unwrap_or(Outcome::Unknown);
        }
        if moved(&state, WITHDRAWN) {
            return Outcome::Failed(RetryReason::Unavailable);
        }
        answer.await.unwrap_or(Outcome::Unknown)
    }

    /// Since when batches wait to be taken into a transaction.
    #[must_use]
    pub fn waiting(&self) -> Queue {
        self.waiting.clone()
    }

    fn permits(
        &self,
        op_count: usize,
        bytes: usize,
    ) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let op_count = u32::try_from(op_count).ok()?;
        let kib = u32::try_from(bytes.div_ceil(1024)).ok()?;
        let ops = Arc::clone(&self.ops).try_acquire_many_owned(op_count).ok()?;
        let kib = Arc::clone(&self.kib).try_acquire_many_owned(kib).ok()?;
        Some((ops, kib))
    }
}

/// Takes a waiting batch out of the other's hands; false if the other was first.
fn moved(state: &AtomicU8, to: u8) -> bool {
    state.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

impl Task {
    async fn run(mut self) -> WriterEnd {
        let mut under_way = FuturesUnordered::new();
        let mut is_open = true;
        while is_open || !under_way.is_empty() {
            let has_place = is_open && under_way.len() < self.at_once;
            tokio::select! {
                biased;
                Some(end) = under_way.next(), if !under_way.is_empty() => {
                    if end == Some(WriterEnd::DiskBroken) {
                        return WriterEnd::DiskBroken;
                    }
                }
                works = self.take(), if has_place => match works {
                    Some(works) => under_way.push(self.write(works)),
                    None => is_open = false,
                },
            }
        }
        WriterEnd::Done
    }

    /// Everything that is ready, up to the bounds of a transaction; nothing at the end. Dropped
    /// while it waits, it has taken nothing.
    async fn take(&mut self) -> Option<Vec<Work>> {
        let first = match self.held_back.take() {
            Some(work) => work,
            None => self.queue.recv().await?,
        };
        let (mut op_count, mut bytes, mut works) = (0_usize, 0_usize, Vec::new());
        let mut next = Some(first);
        while let Some(mut work) = next {
            let op_sum = op_count.saturating_add(work.batch.len());
            let byte_sum = bytes.saturating_add(work.bytes);
            let is_too_much =
                self.at_once > 1 || op_sum > COMMIT_OPS_MAX || byte_sum > COMMIT_BYTES_MAX;
            if is_too_much && !works.is_empty() {
                self.held_back = Some(work);
                break;
            }
            if moved(&work.state, TAKEN) {
                (op_count, bytes) = (op_sum, byte_sum);
                work.place = None;
                works.push(work);
            }
            next = self.queue.try_recv().ok();
        }
        Some(works)
    }

    /// One transaction, and everybody's part of its answer.
    fn write(&self, mut works: Vec<Work>) -> impl Future<Output = Option<WriterEnd>> + use<> {
        let (history, mut chance) = (Arc::clone(&self.history), self.chance.clone());
        let now_ms = self.clock.unix_ms();
        async move {
            let counts: Vec<usize> = works.iter().map(|work| work.batch.len()).collect();
            let batch: Vec<Pending> =
                works.iter_mut().flat_map(|work| std::mem::take(&mut work.batch)).collect();
            if batch.is_empty() {
                return None;
            }
            let outcome = history.commit(&batch, &mut chance, now_ms).await;
            let end = (outcome == Outcome::DiskBroken).then_some(WriterEnd::DiskBroken);
            for (work, outcome) in works.into_iter().zip(split(outcome, &counts)) {
                // A log task that is gone needs no answer.
                let _ = work.reply.send(outcome);
            }
            end
        }
    }
}

/// Gives each batch its part of the answers, or what became of all.
fn split(outcome: Outcome, counts: &[usize]) -> Vec<Outcome> {
    let mut answers = match outcome {
        Outcome::Committed(answers) => answers.into_iter(),
        other => return vec![other; counts.len()],
    };
    let part = |count: &usize| answers.by_ref().take(*count).collect::<Vec<Answer>>();
    counts.iter().map(part).map(Outcome::Committed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_gets_its_own_part_of_the_answers() {
        let answer =
            |reason| Answer { verdict: crate::history::Verdict::Retry(reason), events: Vec::new() };
        let all = [RetryReason::Busy, RetryReason::Rate, RetryReason::DiskFull].map(answer);
        let parts = split(Outcome::Committed(all.to_vec()), &[1, 0, 2]);
        let [first, empty, last] = parts.as_slice() else { panic!("{parts:?}") };
        assert_eq!(*first, Outcome::Committed(all[..1].to_vec()));
        assert_eq!(*empty, Outcome::Committed(Vec::new()));
        assert_eq!(*last, Outcome::Committed(all[1..].to_vec()));
        assert_eq!(split(Outcome::Unknown, &[1, 2]), [Outcome::Unknown, Outcome::Unknown]);
    }
}
