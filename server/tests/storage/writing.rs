//! The writer: what waits together is written together, and waiting has its bounds.
//!
//! Told with a store whose commits wait at a gate until the story opens it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::change::Envelope;
use protocol::cursor::Cursor;
use protocol::ids::{LogId, RoomId, UserId};
use protocol::refusal::RetryReason;
use server::clock::{Chance, Clock, SeededChance, SystemClock};
use server::history::writer::{Withdrawn, Writer, WriterEnd};
use server::history::{
    Admission, Answer, Arrival, Head, History, Later, OlderMessages, Outcome, Pending, Read,
    RoomCard, RoomState, RoomView, SignInHash, Standing, Verdict,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::world::{PATIENCE, op, post};

/// A store that says yes when it is let, and remembers how much each commit held.
struct Gate {
    open: Semaphore,
    sizes: Mutex<Vec<usize>>,
    outcome: Option<Outcome>,
}

impl Gate {
    fn new(outcome: Option<Outcome>) -> Arc<Self> {
        Arc::new(Self { open: Semaphore::new(0), sizes: Mutex::default(), outcome })
    }

    fn sizes(&self) -> Vec<usize> {
        self.sizes.lock().unwrap().clone()
    }
}

impl History for Gate {
    fn commit<'a>(
        &'a self,
        batch: &'a [Pending],
        _: &'a mut dyn Chance,
        _: i64,
    ) -> Later<'a, Outcome> {
        Box::pin(async move {
            self.sizes.lock().unwrap().push(batch.len());
            self.open.acquire().await.unwrap().forget();
            let yes = Answer { verdict: Verdict::SignedOut, events: Vec::new() };
            self.outcome.clone().unwrap_or(Outcome::Committed(vec![yes; batch.len()]))
        })
    }

    fn admission(&self, _: UserId, _: LogId, _: Option<Cursor>) -> Read<'_, Option<Admission>> {
        panic!("the writer only writes")
    }

    fn arrival(&self, _: UserId, _: Option<Cursor>) -> Read<'_, Option<Arrival>> {
        panic!("the writer only writes")
    }

    fn page(&self, _: LogId, _: u64) -> Read<'_, Vec<Envelope>> {
        panic!("the writer only writes")
    }

    fn snapshot(&self, _: Option<UserId>, _: RoomId) -> Read<'_, Option<RoomView>> {
        panic!("the writer only writes")
    }

    fn state(&self, _: RoomId) -> Read<'_, Option<RoomState>> {
        panic!("the writer only writes")
    }

    fn older(
        &self,
        _: Option<UserId>,
        _: RoomId,
        _: u64,
        _: usize,
    ) -> Read<'_, Option<OlderMessages>> {
        panic!("the writer only writes")
    }

    fn standing(&self, _: SignInHash, _: i64) -> Read<'_, Standing> {
        panic!("the writer only writes")
    }

    fn fallen<'a>(
        &'a self,
        _: &'a [SignInHash],
        _: i64,
    ) -> Read<'a, BTreeMap<SignInHash, Standing>> {
        panic!("the writer only writes")
    }

    fn answers(&self) -> Later<'_, bool> {
        panic!("the writer only writes")
    }

    fn note_use(&self, _: SignInHash, _: i64) -> Read<'_, Standing> {
        panic!("the writer only writes")
    }

    fn heads<'a>(&'a self, _: &'a [LogId]) -> Read<'a, Vec<Head>> {
        panic!("the writer only writes")
    }

    fn room_by_key<'a>(&'a self, _: &'a str) -> Read<'a, Option<RoomCard>> {
        panic!("the writer only writes")
    }

    fn open_rooms<'a>(&'a self, _: Option<&'a str>) -> Read<'a, Vec<RoomCard>> {
        panic!("the writer only writes")
    }
}

fn start(gate: &Arc<Gate>) -> (Writer, JoinHandle<WriterEnd>) {
    let history: Arc<dyn History> = Arc::<Gate>::clone(gate);
    Writer::start(history, Arc::new(SystemClock), Box::new(SeededChance::new(1)))
}

fn batch(op_count: u16, text_bytes: usize) -> Vec<Pending> {
    let text = "a".repeat(text_bytes);
    (0..op_count).map(|number| op(0, number, post(RoomId::NIL, &text))).collect()
}

/// Submits from a task of its own, and lets the writer see it.
async fn submitted(writer: &Writer, batch: Vec<Pending>) -> JoinHandle<Result<Outcome, Withdrawn>> {
    let writer = writer.clone();
    let task = tokio::spawn(async move { writer.submit(batch, PATIENCE).await });
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    task
}

fn count(outcome: &Result<Outcome, Withdrawn>) -> usize {
    match outcome {
        Ok(Outcome::Committed(answers)) => answers.len(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_waits_together_is_written_together() {
    let gate = Gate::new(None);
    let (writer, end) = start(&gate);
    let mut tasks = Vec::new();
    for op_count in [1, 2, 3, 4] {
        tasks.push(submitted(&writer, batch(op_count, 10)).await);
    }
    gate.open.add_permits(9);
    for (task, op_count) in tasks.into_iter().zip([1, 2, 3, 4]) {
        assert_eq!(count(&task.await.unwrap()), op_count);
    }
    assert_eq!(gate.sizes(), [1, 9], "the first waited for nobody");
    drop(writer);
    assert_eq!(end.await.unwrap(), WriterEnd::Done);
}

#[tokio::test]
async fn a_transaction_is_bounded_in_ops_and_bytes_and_keeps_the_order() {
    let gate = Gate::new(None);
    let (writer, _end) = start(&gate);
    let mut tasks = vec![submitted(&writer, batch(1, 10)).await];
    for (op_count, text_bytes) in [(200, 10), (100, 10), (20, 40_000), (20, 40_000), (1, 10)] {
        tasks.push(submitted(&writer, batch(op_count, text_bytes)).await);
    }
    gate.open.add_permits(9);
    for task in tasks {
        count(&task.await.unwrap());
    }
    assert_eq!(gate.sizes(), [1, 200, 120, 21]);
}

#[tokio::test]
async fn a_full_queue_says_busy() {
    let gate = Gate::new(None);
    let (writer, _end) = start(&gate);
    for _ in 0..16 {
        drop(submitted(&writer, batch(256, 10)).await);
    }
    let busy = Outcome::Failed(RetryReason::Busy);
    assert_eq!(writer.submit(batch(1, 10), PATIENCE).await.as_ref(), Ok(&busy));

    let gate = Gate::new(None);
    let (writer, _end) = start(&gate);
    for _ in 0..8 {
        drop(submitted(&writer, batch(25, 40_000)).await);
    }
    assert_eq!(writer.submit(batch(25, 40_000), PATIENCE).await, Ok(busy));
    gate.open.add_permits(9);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(count(&writer.submit(batch(25, 40_000), PATIENCE).await), 25, "there is room again");
}

#[tokio::test]
async fn who_waits_three_seconds_has_his_batch_back_and_is_never_written() {
    let gate = Gate::new(None);
    let (writer, end) = start(&gate);
    let taken = submitted(&writer, batch(1, 10)).await;
    let waiting = submitted(&writer, batch(2, 10)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let age_ms = writer.waiting().age_ms(SystemClock.ticks_ms());
    assert!((2_000..3_000).contains(&age_ms), "what is in a transaction waits, too: {age_ms} ms");
    let late = submitted(&writer, batch(3, 10)).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(waiting.is_finished() && !taken.is_finished() && !late.is_finished());
    assert_eq!(waiting.await.unwrap(), Err(Withdrawn(batch(2, 10))));
    gate.open.add_permits(2);
    assert_eq!(count(&taken.await.unwrap()), 1, "what is in a transaction waits for its end");
    assert_eq!(count(&late.await.unwrap()), 3);
    assert_eq!(gate.sizes(), [1, 3]);
    assert_eq!(writer.waiting().age_ms(SystemClock.ticks_ms()), 0, "nobody waits");
    drop(writer);
    assert_eq!(end.await.unwrap(), WriterEnd::Done);
}

#[tokio::test]
async fn a_broken_disk_ends_the_writer_and_leaves_the_outcome_open() {
    let gate = Gate::new(Some(Outcome::DiskBroken));
    let (writer, end) = start(&gate);
    let first = submitted(&writer, batch(1, 10)).await;
    let second = submitted(&writer, batch(1, 10)).await;
    gate.open.add_permits(2);
    assert_eq!(end.await.unwrap(), WriterEnd::DiskBroken);
    assert_eq!(first.await.unwrap(), Ok(Outcome::DiskBroken));
    assert_eq!(second.await.unwrap(), Ok(Outcome::Unknown));
    let third = writer.submit(batch(1, 10), PATIENCE).await;
    assert_eq!(third, Ok(Outcome::Failed(RetryReason::Unavailable)));
}
