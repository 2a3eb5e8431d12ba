//! The rooms' floor: every log that is spoken in just now, and the one verb by which it is written.
//!
//! Browsers, forms and bots all act through `Rooms::act`; connections subscribe through the log's
//! handle. Its law: what a caller is told was committed before, and nobody waits for a reader.

use std::sync::Arc;

use protocol::refusal::RetryReason;

use crate::clock::{Clock, SystemChance};
use crate::history::{History, Outcome, Pending, Verdict};

pub mod key;
pub mod roster;
pub mod tail;
pub mod words;

/// The door to every log. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    history: Arc<dyn History>,
    clock: Arc<dyn Clock>,
}

impl Rooms {
    /// Opens the rooms over a store.
    #[must_use]
    pub fn new(history: Arc<dyn History>, clock: Arc<dyn Clock>) -> Self {
        Self { history, clock }
    }

    /// Does one act for somebody without a connection, such as a form, and waits for its verdict.
    pub async fn act(&self, pending: Pending) -> Verdict {
        let now = self.clock.now_ms();
        match self.history.commit(&[pending], &mut SystemChance, now).await {
            Outcome::Committed(answers) => answers
                .into_iter()
                .next()
                .map_or(Verdict::Retry(RetryReason::Unavailable), |answer| answer.verdict),
            Outcome::Failed(reason) => Verdict::Retry(reason),
            Outcome::Unknown | Outcome::DiskBroken => Verdict::Retry(RetryReason::Unavailable),
        }
    }
}
