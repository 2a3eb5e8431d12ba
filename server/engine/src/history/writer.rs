//! The one task that writes. Over a store that writes once at a time it makes one transaction of all
//! batches that are ready; over one that can write several at once, each batch is one by itself.
//!
//! Log tasks submit batches and await what became of them. Its law: no batch waits for company (the
//! commits under way are the only wait); the queue is bounded in ops and bytes and says *busy*
//! beyond; whoever has waited too long without being taken is told so and is then never taken;
//! batches are taken in their order, and of one log there is only ever one.

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
    /// Since when batches wait to be stored.
    waiting: Queue,
}

/// A batch that was not taken into a transaction in its time, given back: nothing of it is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Withdrawn(pub Vec<Pending>);

/// A batch in the queue. Whoever takes it out has it, be that the writer or who submitted it.
#[derive(Debug)]
struct Work {
    submitted: Arc<Mutex<Option<Submitted>>>,
    op_count: usize,
    bytes: usize,
    reply: oneshot::Sender<Outcome>,
}

/// What was submitted, with its place in the queue, which is bounded by the permits.
#[derive(Debug)]
struct Submitted {
    batch: Vec<Pending>,
    _place: Place,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// What the writer has: until it is stored it has its place, so that who waits long behind one slow
/// commit, in a mailbox, is seen in the queue's age.
type Taken = (Submitted, oneshot::Sender<Outcome>);

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
    /// so long is given back. Dropping the future neither withdraws nor hurts the batch.
    pub async fn submit(
        &self,
        batch: Vec<Pending>,
        patience: Duration,
    ) -> Result<Outcome, Withdrawn> {
        let (op_count, bytes) = (batch.len(), batch.iter().map(Pending::bytes).sum());
        let Some(permits) = self.permits(op_count, bytes) else {
            return Ok(Outcome::Failed(RetryReason::Busy));
        };
        let place = self.waiting.enter(self.clock.ticks_ms());
        let submitted = Submitted { batch, _place: place, _permits: permits };
        let submitted = Arc::new(Mutex::new(Some(submitted)));
        let (reply, mut answer) = oneshot::channel();
        let work = Work { submitted: Arc::clone(&submitted), op_count, bytes, reply };
        if self.queue.send(work).is_err() {
            return Ok(Outcome::Failed(RetryReason::Unavailable));
        }
        if let Ok(answered) = tokio::time::timeout(patience, &mut answer).await {
            return Ok(answered.unwrap_or(Outcome::Unknown));
        }
        match taken_out(&submitted) {
            Some(Submitted { batch, .. }) => Err(Withdrawn(batch)),
            None => Ok(answer.await.unwrap_or(Outcome::Unknown)),
        }
    }

    /// Since when batches wait to be stored.
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

/// What waits, for who is first to take it.
fn taken_out(submitted: &Mutex<Option<Submitted>>) -> Option<Submitted> {
    submitted.lock().unwrap_or_else(PoisonError::into_inner).take()
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
    async fn take(&mut self) -> Option<Vec<Taken>> {
        let first = match self.held_back.take() {
            Some(work) => work,
            None => self.queue.recv().await?,
        };
        let (mut op_count, mut bytes, mut works) = (0_usize, 0_usize, Vec::new());
        let mut next = Some(first);
        while let Some(work) = next {
            let op_sum = op_count.saturating_add(work.op_count);
            let byte_sum = bytes.saturating_add(work.bytes);
            let is_too_much =
                self.at_once > 1 || op_sum > COMMIT_OPS_MAX || byte_sum > COMMIT_BYTES_MAX;
            if is_too_much && !works.is_empty() {
                self.held_back = Some(work);
                break;
            }
            if let Some(submitted) = taken_out(&work.submitted) {
                (op_count, bytes) = (op_sum, byte_sum);
                works.push((submitted, work.reply));
            }
            next = self.queue.try_recv().ok();
        }
        Some(works)
    }

    /// One transaction, and everybody's part of its answer.
    fn write(&self, mut works: Vec<Taken>) -> impl Future<Output = Option<WriterEnd>> + use<> {
        let (history, mut chance) = (Arc::clone(&self.history), self.chance.clone());
        let now_ms = self.clock.unix_ms();
        async move {
            let counts: Vec<usize> = works.iter().map(|(taken, _)| taken.batch.len()).collect();
            let batch: Vec<Pending> =
                works.iter_mut().flat_map(|(taken, _)| std::mem::take(&mut taken.batch)).collect();
            if batch.is_empty() {
                return None;
            }
            let outcome = history.commit(&batch, &mut chance, now_ms).await;
            let end = (outcome == Outcome::DiskBroken).then_some(WriterEnd::DiskBroken);
            for ((_, reply), outcome) in works.into_iter().zip(split(outcome, &counts)) {
                // A log task that is gone needs no answer.
                let _ = reply.send(outcome);
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
