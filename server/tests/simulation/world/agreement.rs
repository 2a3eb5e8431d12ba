//! The end of a run: faults stop, and all tabs must come to agree with the store (I12).
//!
//! Part of the world. Its law: nobody is helped; what the machines do by themselves must be enough.

use protocol::client::exchange::Input;

use super::World;

/// After the last step, before faults stop.
const AFTER_MS: u64 = 500;
/// For all tabs to agree with the store once faults have stopped: thirty seconds are the longest
/// wait of a client between two tries, of which the first may come just before the house is back, or
/// be given up for a page that is on its way for longer than it waits for a sign of life. What it
/// then reads may be two megabytes, over a socket that takes 300 bytes at a time.
const AGREE_MS_MAX: u64 = 60_000;
/// Between two looks at screens to which nothing comes.
const LOOK_MS: u64 = 100;

impl World<'_> {
    /// When faults stop.
    pub(super) fn calm_at(&self) -> Option<u64> {
        let over = self.next_step == self.plan.steps.len() && self.calm_since.is_none();
        over.then_some(self.last_trouble() + AFTER_MS).filter(|_| self.house_ends_at.is_none())
    }

    /// Faults stop: the house stands, the networks hold, everybody is awake.
    pub(super) fn calm(&mut self) {
        self.calm_since = Some(self.now);
        self.store.calm();
        if self.house.is_none() {
            self.house_back_at = Some(self.now);
        }
        let mut broken = Vec::new();
        for (socket, link) in &mut self.links {
            link.pipe.heal();
            if link.client_hears_at.is_some() {
                broken.push(*socket);
            }
        }
        broken.into_iter().for_each(|socket| self.client_hears(socket));
        for tab in 0..self.tabs.len() {
            self.tabs[tab].asleep_until = 0;
            self.tabs[tab].online_at = None;
            self.step_tab(tab, Input::Hidden(false));
            self.step_tab(tab, Input::Awake);
        }
    }

    /// Whether all tabs agree with the store; it is a failure if that takes too long.
    pub(super) fn is_over(&mut self) -> bool {
        let Some(since) = self.calm_since else { return false };
        // A screen changes only when a frame arrives; a look now and then finds who waits for ever.
        let looked_at = (self.report.frames, self.now / LOOK_MS);
        if std::mem::replace(&mut self.looked_at, looked_at) == looked_at {
            return false;
        }
        let (differs, passed) = (self.difference(), self.now - since);
        if let Some(what) = &differs {
            assert!(passed < AGREE_MS_MAX, "I12: after {AGREE_MS_MAX} ms {what}");
            return false;
        }
        assert!(passed < AGREE_MS_MAX, "I12: they agree only after {passed} ms");
        self.report.slowest_agreement_ms = self.now - since;
        true
    }

    fn difference(&self) -> Option<String> {
        self.tabs.iter().enumerate().find_map(|(place, tab)| {
            if !tab.screen.nothing_waits() {
                return Some(format!("tab {place} has not sent all; {:?}", tab.screen));
            }
            if let Some(rest) = tab.shelf.rest(tab.user, &tab.screen) {
                return Some(format!("tab {place} keeps what is over: {rest}"));
            }
            if let Some(page) = tab.pages.strange(tab.user, |room| tab.screen.lists(room)) {
                return Some(format!("tab {place} keeps {page:?}"));
            }
            let heads = self.store.heads(&self.ledger);
            if let Some(log) = tab.stands_elsewhere(&heads) {
                return Some(format!("tab {place} stands elsewhere in {log:?}"));
            }
            let rooms = self.store.rooms(tab.user);
            let differs = tab.screen.differs(&tab.shown, &rooms, &self.ledger);
            differs.map(|what| format!("tab {place}: {what}"))
        })
    }
}
