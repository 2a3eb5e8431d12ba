//! What a plan's steps do to the world: acts of people, weather, crashes, copies of the store.
//!
//! Part of the world; called for each step when its time has come.

use protocol::client::exchange::{Ask, Input};

use server::clock::Chance;

use super::World;
use crate::house::House;
use crate::pages::Pages;
use crate::pipe::Pipe;
use crate::plan::What;
use crate::shelf::Shelf;

impl World<'_> {
    pub(super) fn carry_out(&mut self, what: &What) {
        match what {
            What::Fault(fault) => self.store.fail_next(*fault),
            What::Unreadable { ms } => self.store.unreadable_until(self.now + ms),
            What::Crash { down_ms } => self.crash(*down_ms),
            What::Drain { down_ms } => self.drain(*down_ms),
            What::Backup => self.backup = Some(self.store.copy()),
            What::Restore { down_ms, new_epochs } => self.restore(*down_ms, *new_epochs),
            What::Cut { tab, client_hears, server_hears } => {
                self.cut(*tab, *client_hears, *server_hears);
            }
            What::Stall { tab, up, down, ms } => {
                let until = self.now + ms;
                self.weather(*tab, |pipe| pipe.stall(*up, *down, until));
            }
            What::Slow { tab, bytes_a_ms, ms } => {
                let until = self.now + ms;
                self.weather(*tab, |pipe| pipe.slow(*bytes_a_ms, until));
            }
            What::Sleep { tab, ms } => self.tabs[*tab].asleep_until = self.now + ms,
            What::Reload { tab } => self.reload(*tab),
            What::Offline { tab, ms } => {
                self.tabs[*tab].online_at = Some(self.now + ms);
                self.step_tab(*tab, Input::Asleep);
            }
            What::Hidden { tab, hidden } => self.step_tab(*tab, Input::Hidden(*hidden)),
            What::Become { tab, person } => self.tabs[*tab].cookie = self.users[*person],
            What::Form { tab, act } => self.fill_in(*tab, act),
            What::Again { tab } => self.press_again(*tab),
            What::Post { tab, .. }
            | What::Create { tab }
            | What::Enter { tab, .. }
            | What::Leave { tab, .. }
            | What::Configure { tab, .. }
            | What::Rename { tab }
            | What::Show { tab, .. }
            | What::Hide { tab, .. }
            | What::Older { tab, .. }
            | What::Typing { tab, .. }
            | What::ConnectNow { tab }
            | What::Retry { tab, .. } => self.person_acts(*tab, what),
        }
    }

    fn person_acts(&mut self, tab: usize, what: &What) {
        if self.tabs[tab].asleep_until > self.now {
            return;
        }
        if let Some(ask) = self.tabs[tab].ask(what, self.now) {
            self.step_tab(tab, Input::Ask(ask));
        }
    }

    /// The lobby, and with it the first of all rooms, is on the screen from the start.
    pub(super) fn show_all(&mut self, tab: usize) {
        let lobby = self.store.lobby();
        self.tabs[tab].shown.push(lobby);
        self.step_tab(tab, Input::Ask(Ask::Show { room: lobby, cursor: None }));
    }

    fn weather(&mut self, tab: usize, change: impl Fn(&mut Pipe)) {
        let now = self.now;
        let open = self.links.values_mut().filter(|link| link.tab == tab && link.client_open);
        open.for_each(|link| change(link.pipe.at(now)));
    }

    fn cut(&mut self, tab: usize, client_hears: u64, house_hears: u64) {
        for link in self.links.values_mut().filter(|link| link.tab == tab && link.client_open) {
            link.pipe.cut();
            link.client_hears_at = Some(self.now + client_hears);
            link.house_hears_at = Some(self.now + house_hears);
        }
    }

    /// When the last step is done, and what befell a slow commit is told.
    pub(super) fn last_trouble(&self) -> u64 {
        let slow_until = self.house.as_ref().map_or(0, House::slow_until);
        self.plan.steps.last().map_or(0, |step| step.at).max(slow_until)
    }

    /// The page is loaded again: drawn by the server if it is there, else from nothing.
    fn reload(&mut self, tab: usize) {
        let numbers: Vec<u32> =
            self.links.values().filter(|link| link.tab == tab).map(|link| link.number).collect();
        for number in numbers {
            self.hung_up(tab, number);
        }
        if self.tabs[tab].pages.has_time() {
            self.step_tab(tab, Input::Leaving);
        }
        let user = self.tabs[tab].cookie;
        self.links.values_mut().filter(|link| link.tab == tab).for_each(|link| link.number = 0);
        self.tabs[tab].end(&mut self.ledger);
        let mut shelf = std::mem::replace(&mut self.tabs[tab].shelf, Shelf::new(0, self.planted));
        // Nothing that this page sent is under way any more, however little time has passed here.
        if self.house.is_none() && self.chance.below(2) == 0 {
            shelf.grow_old();
        }
        let pages = std::mem::replace(&mut self.tabs[tab].pages, Pages::new(0));
        let followed = std::mem::take(&mut self.tabs[tab].shown);
        self.report.resumed += self.tabs[tab].resumed;
        self.tabs[tab] = self.loaded(user, (shelf, pages));
        self.hear_pages(tab);
        self.step_tab(tab, Input::Awake);
        let lobby = self.store.lobby();
        let drawn = self.house.is_some().then(|| self.store.drawn(user, lobby)).flatten();
        let cursor = drawn.as_ref().map(|view| view.cursor);
        if let Some(view) = drawn {
            let last = self.ledger.began(lobby.log(), view.cursor);
            self.tabs[tab].screen.drawn(lobby.log(), last, &view.snapshot, &self.ledger);
        }
        self.tabs[tab].shown.push(lobby);
        self.step_tab(tab, Input::Ask(Ask::Show { room: lobby, cursor }));
        for room in followed.into_iter().filter(|room| *room != lobby) {
            self.tabs[tab].shown.push(room);
            self.step_tab(tab, Input::Ask(Ask::Show { room, cursor: None }));
        }
    }

    /// The house is gone with all it holds in memory; the kernel ends its sockets.
    pub(super) fn crash(&mut self, down_ms: u64) {
        if self.house.take().is_none() {
            return;
        }
        self.report.crashes += 1;
        // The next house is let in when what this one began is decided.
        self.store.land();
        self.lose_forms();
        self.house_ends_at = None;
        self.house_back_at.get_or_insert(self.now + down_ms);
        for link in self.links.values_mut() {
            link.house_open = false;
            link.house_hears_at = None;
            let travel = self.chance.below(self.plan.latency_ms_max + 1);
            link.client_hears_at.get_or_insert(self.now + travel);
        }
        self.sweep();
    }

    fn drain(&mut self, down_ms: u64) {
        if let Some(house) = &mut self.house
            && self.house_ends_at.is_none()
        {
            house.drain(self.now);
            self.house_ends_at = Some(self.now + 6_000);
            self.house_back_at = Some(self.now + 6_000 + down_ms);
        }
    }

    fn restore(&mut self, down_ms: u64, new_epochs: bool) {
        let Some(backup) = &self.backup else { return };
        self.report.restores += 1;
        let copy = backup.copy();
        self.crash(down_ms);
        self.store = copy;
        if new_epochs {
            self.store.renew_epochs(&mut self.chance);
        }
        let heads = self.store.heads(&self.ledger);
        self.ledger.restored(&heads);
    }
}
