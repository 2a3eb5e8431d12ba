//! Two existing users of a room of their own, in a thread of theirs: how long a message takes.
//!
//! What a flood does to the others is read here. Its law: one writes at a beat, whatever became of the
//! messages before, stamped with the time at which it was due; their thread does nothing else.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use protocol::model::RoomKey;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::crowd::{Crowd, Guest};
use crate::person::Order;
use crate::tally::{Delays, Tally};

/// From one message to the next.
const BEAT: Duration = Duration::from_millis(20);
/// For the last messages to arrive.
const LAST: Duration = Duration::from_millis(500);
const ROOM: &str = "quiet";

/// The two, as a scenario holds them.
pub(crate) struct Witness {
    asks: Option<UnboundedSender<Duration>>,
    answers: Receiver<Delays>,
    thread: Option<JoinHandle<()>>,
    pub(crate) tally: Arc<Tally>,
}

impl Witness {
    pub(crate) fn start(writer: Guest, reader: Guest) -> Self {
        let (asks, mut asked) = unbounded_channel::<Duration>();
        let (answer, answers) = channel();
        let (told, tally) = channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let mut crowd = Crowd::new();
                crowd.add(&writer, None, false);
                crowd.add(&reader, None, true);
                told.send(Arc::clone(&crowd.tally)).expect("who starts it waits");
                enter(&crowd).await;
                while let Some(time) = asked.recv().await {
                    measure(&crowd, time, &answer).await;
                }
                crowd.end().await;
            });
        });
        let tally = tally.recv().expect("the thread has begun");
        Self { asks: Some(asks), answers, thread: Some(thread), tally }
    }

    /// Begins to measure for so long; `result` waits for it.
    pub(crate) fn begin(&self, time: Duration) {
        self.asks.as_ref().and_then(|asks| asks.send(time).ok()).expect("the thread lives");
    }

    /// What came of the measuring that was begun.
    pub(crate) async fn result(&self) -> Delays {
        loop {
            if let Ok(delays) = self.answers.try_recv() {
                return delays;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn measure(&self, time: Duration) -> Delays {
        self.begin(time);
        self.result().await
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            // What it panicked of is printed already.
            let _ = thread.join();
        }
    }
}

async fn enter(crowd: &Crowd) {
    let live = crowd.until_live(2, Duration::from_secs(20)).await;
    assert!(live.is_some(), "two people come in");
    for person in 0..2 {
        crowd.order(person, Order::Enter(RoomKey::cut(ROOM)));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn measure(crowd: &Crowd, time: Duration, answer: &Sender<Delays>) {
    crowd.tally.measure();
    let mut beat = tokio::time::interval(BEAT);
    let beats = time.as_millis() / BEAT.as_millis();
    for _ in 0..beats {
        let due = beat.tick().await;
        crowd.post(0, ROOM, "tick", Some(due.into_std()));
    }
    tokio::time::sleep(LAST).await;
    // Who asked may have given up.
    let _ = answer.send(crowd.tally.measured());
}
