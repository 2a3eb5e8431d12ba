//! What is said of a room that begins anew on this page instead of going on.
//!
//! Fed by the machine's `Reset` and by the page's clock. Its law: it ends by itself, but not before
//! it was there to be seen.

use leptos::prelude::{GetUntracked, Set};
use protocol::event::ResetReason;
use protocol::ids::LogId;

use super::Store;

/// A room begins anew on this page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Afresh {
    /// The room's log.
    pub log: LogId,
    /// Why.
    pub reason: ResetReason,
    until: i64,
}

/// Milliseconds for which it is said that a room begins anew.
pub(super) const AFRESH_MS: i64 = 10_000;

impl Store {
    /// A room begins at its newest messages; the first time is not worth a word.
    pub(super) fn say_afresh(&self, log: LogId, reason: ResetReason, now: i64) {
        if reason != ResetReason::FirstLoad {
            let until = now + AFRESH_MS;
            self.afresh.set(Some(Afresh { log, reason, until }));
        }
    }

    /// Ends what is said of a room that begins anew; on a page that nobody sees it stands.
    pub(super) fn tick_afresh(&self, now: i64) -> Option<i64> {
        let said = self.afresh.get_untracked()?;
        if said.until > now {
            return Some(said.until);
        }
        if self.hidden.get_untracked() {
            let until = now + AFRESH_MS;
            self.afresh.set(Some(Afresh { until, ..said }));
            return Some(until);
        }
        self.afresh.set(None);
        None
    }
}
