//! The people before the house: four who write and two who read, for as long as a story lasts.
//!
//! A story gathers them, does its harm, looks at what they have seen so far, and lets them part:
//! then everybody sends and reads to the end, and every journal is held against the store.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use server::clock::Chance;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::house::House;
use crate::journal::{Journal, Totals};
use crate::tab::{Phase, Seen, Tab};

const WRITERS: usize = 4;
const READERS: usize = 2;
/// For everybody to have sent and read everything once the harm is over.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// Everybody.
pub(crate) struct Company {
    phase: watch::Sender<Phase>,
    pub(crate) seen: Arc<Seen>,
    writers: JoinSet<Journal>,
    readers: JoinSet<Journal>,
}

impl Company {
    /// New guests, who write from now on.
    pub(crate) async fn gather(address: SocketAddr, chance: &mut impl Chance) -> Self {
        let (phase, phases) = watch::channel(Phase::Life(0));
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        let seen = Arc::new(Seen::default());
        for number in 0..WRITERS + READERS {
            let writes = number < WRITERS;
            let tab =
                Tab::arrive(address, number, writes, chance.number(), Arc::clone(&seen)).await;
            let all = if writes { &mut writers } else { &mut readers };
            all.spawn(tab.live(phases.clone()));
        }
        Self { phase, seen, writers, readers }
    }

    /// One more who writes; gives what he alone has seen.
    pub(crate) async fn welcome(
        &mut self,
        address: SocketAddr,
        chance: &mut impl Chance,
    ) -> Arc<Seen> {
        let (seen, number) = (Arc::new(Seen::default()), WRITERS + READERS);
        let tab = Tab::arrive(address, number, true, chance.number(), Arc::clone(&seen)).await;
        self.writers.spawn(tab.live(self.phase.subscribe()));
        seen
    }

    /// The house is back for the so-manieth time: nobody waits with coming back.
    pub(crate) fn come_back(&self, life: u64) {
        self.phase.send_replace(Phase::Life(life));
    }

    /// Waits until they have seen this, and says how long it took.
    pub(crate) async fn until(
        &self,
        what: &str,
        patience: Duration,
        is_seen: impl Fn(&Seen) -> bool,
    ) -> Duration {
        let begun = Instant::now();
        while !is_seen(&self.seen) {
            assert!(begun.elapsed() < patience, "I12: {what}: not after {patience:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    /// Everybody goes as he stands, with what he knows.
    pub(crate) async fn leave(mut self) -> Vec<Journal> {
        self.phase.send_replace(Phase::Leave);
        let mut journals = joined(&mut self.writers).await;
        journals.extend(joined(&mut self.readers).await);
        journals
    }

    /// Ends the load, lets everybody send and read what is left, kills the house, and judges.
    pub(crate) async fn part(mut self, house: &mut House) -> Totals {
        self.phase.send_replace(Phase::Settle);
        let journals = joined(&mut self.writers).await;
        let stored = house.stored().await;
        self.phase.send_replace(Phase::Until(stored.head()));
        let told = joined(&mut self.readers).await;
        house.kill();
        let stored = house.stored().await;
        let totals = stored.judge(&journals, &told);
        assert_eq!(house.integrity().await, "ok", "I22: the file is damaged");
        totals
    }
}

async fn joined(all: &mut JoinSet<Journal>) -> Vec<Journal> {
    let mut journals = Vec::new();
    let joining = async {
        while let Some(journal) = all.join_next().await {
            journals.push(journal.unwrap());
        }
    };
    tokio::time::timeout(SETTLE_MAX, joining).await.expect("I12: all is sent and read in time");
    journals
}
