//! What the server was too busy for: which strands wait, why, and until when.
//!
//! Fed by the machine's `Delayed` and by the page's clock; forms and the status line say it. Its law:
//! a moment is not worth a word, and what is said ends by itself at its time.

use leptos::prelude::{GetUntracked, Update, With, WithUntracked, untrack};
use protocol::act::Strand;
use protocol::refusal::RetryReason;

use super::Store;

/// The acts of one strand wait for the server, which takes them at a time it has named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// The strand.
    pub strand: Strand,
    /// Why.
    pub reason: RetryReason,
    /// Until when, on the page's clock.
    pub until: i64,
    /// Whether that was more than a minute away when it was said.
    pub long: bool,
}

/// Milliseconds that an act may be put off before that is said.
pub(super) const PATIENCE_MS: i64 = 2_000;

impl Store {
    /// Until when, and why, the acts of this strand wait; tracked.
    #[must_use]
    pub fn delay(&self, strand: Strand) -> Option<Delay> {
        self.delays.with(|delays| delays.iter().find(|delay| delay.strand == strand).copied())
    }

    /// What waits but for a moment is not worth a word; but many messages that each wait for one are,
    /// and the word stands until the next of them is put off.
    pub(super) fn put_off(&self, mut delay: Delay, now: i64) {
        let rooms = self.rooms.get_untracked();
        let here = rooms.iter().find(|room| room.strand() == delay.strand);
        if here.is_some_and(|room| untrack(|| room.pending_count()) > 1) {
            delay.until = delay.until.max(now + PATIENCE_MS);
        }
        if delay.until - now >= PATIENCE_MS {
            self.delays.update(|delays| {
                delays.retain(|known| known.strand != delay.strand);
                delays.push(delay);
            });
        }
    }

    /// Ends what is over; gives when the next is.
    pub(super) fn tick_delays(&self, now: i64) -> Option<i64> {
        let is_over = |delay: &Delay| delay.until <= now;
        if self.delays.with_untracked(|delays| delays.iter().any(is_over)) {
            self.delays.update(|delays| delays.retain(|delay| !is_over(delay)));
        }
        self.delays.with_untracked(|delays| delays.iter().map(|it| it.until).min())
    }
}
