//! The world of one run: tabs, sockets, the house and its store under one clock of our own.
//!
//! Each turn it lists what is due, lets chance choose one of it, and lets that happen; when nothing
//! is due, time moves to what is next. Its law: the plan decides everything, so a run can be had
//! again; when the plan is over, faults stop, and within a minute all tabs must agree with the
//! store (I12).

use protocol::client::exchange::{Checked, Input, Output};
use protocol::close::CloseCode;
use protocol::codec::{decode_command, decode_event};
use protocol::ids::UserId;
use server::clock::{Chance, SeededChance};
use server::outlet::SocketId;
use server::outlet::chunk::Opcode;

use crate::house::House;
use crate::ledger::Ledger;
use crate::link::{Link, Links};
use crate::mutants::Planted;
use crate::pages::Pages;
use crate::pipe::{CALM_LATENCY_MS_MAX, Pipe};
use crate::plan::Plan;
use crate::report::Report;
use crate::shelf::Shelf;
use crate::store::Store;
use crate::tab::Tab;
use crate::world::forms::Form;

mod agreement;
mod forms;
mod steps;

/// No run has so many turns; one that has goes in circles.
const TURNS_MAX: u64 = 400_000;
/// A socket that opens takes at most so long.
const OPEN_MS_MAX: u64 = 300;

/// All of it.
pub(crate) struct World<'a> {
    plan: &'a Plan,
    now: u64,
    chance: SeededChance,
    tabs: Vec<Tab>,
    users: Vec<UserId>,
    links: Links,
    store: Store,
    backup: Option<Store>,
    house: Option<House>,
    house_back_at: Option<u64>,
    house_ends_at: Option<u64>,
    ledger: Ledger,
    forms: Vec<Form>,
    page_loads: usize,
    next_step: usize,
    calm_since: Option<u64>,
    looked_at: (u64, u64),
    report: Report,
    /// Whether what happens is printed, for reading a failure.
    is_told: bool,
    planted: Planted,
}

/// Something that may happen now.
#[derive(Debug, Clone, Copy)]
enum Due {
    Step,
    Calm,
    Timer(usize),
    Shelf(usize),
    Pages(usize),
    Online(usize),
    Form(usize),
    Opened(SocketId),
    Up(SocketId),
    Down(SocketId),
    ClientHears(SocketId),
    HouseHears(SocketId),
    House,
    HouseEnds,
    HouseBack,
}

impl<'a> World<'a> {
    /// The world as a plan begins.
    pub(crate) fn new(plan: &'a Plan, planted: Planted) -> Self {
        let mut chance = SeededChance::new(plan.seed);
        let (store, users) = Store::peopled(crate::plan::PEOPLE, &mut chance);
        let mut world = Self {
            plan,
            now: 0,
            tabs: Vec::new(),
            links: Links::new(),
            house: Some(House::new(&store, chance.number(), planted)),
            store,
            backup: None,
            house_back_at: None,
            house_ends_at: None,
            ledger: Ledger::default(),
            forms: Vec::new(),
            page_loads: 0,
            next_step: 0,
            calm_since: None,
            looked_at: (0, 0),
            report: Report { runs: 1, ..Report::default() },
            is_told: false,
            planted,
            users,
            chance,
        };
        world.ledger.begin(world.store.lobby().log());
        for user in &world.users {
            world.ledger.begin(user.log());
        }
        world.store.write_into(&mut world.ledger);
        for person in &plan.tabs {
            let user = world.users[*person];
            let seed = world.chance.number();
            let shelf = Shelf::new(seed, planted);
            let tab = world.loaded(user, (shelf, Pages::new(seed)));
            world.tabs.push(tab);
        }
        world
    }

    /// The same world, which prints what happens.
    pub(crate) fn told(self) -> Self {
        Self { is_told: true, ..self }
    }

    /// Runs the plan and what follows it, and holds every promise against the ledger.
    pub(crate) fn run(mut self) -> Report {
        for tab in 0..self.tabs.len() {
            self.hear_pages(tab);
            self.step_tab(tab, Input::Awake);
            self.show_all(tab);
        }
        while !self.is_over() {
            self.report.turns += 1;
            assert!(self.report.turns < TURNS_MAX, "the run goes in circles at {}", self.now);
            let (due, next) = self.due();
            if due.is_empty() {
                let next = next.expect("something is always to come");
                assert!(next > self.now, "time stands still at {next}");
                self.now = next;
                continue;
            }
            let chosen = due[crate::plan::index(&mut self.chance, due.len())];
            self.happen(chosen);
            self.store.write_into(&mut self.ledger);
        }
        for (user, op_id) in self.tabs.iter().flat_map(|tab| tab.shelf.of_others(tab.user)) {
            self.ledger.decided(user, op_id);
        }
        self.ledger.settle();
        self.report.resumed += self.tabs.iter().map(|tab| tab.resumed).sum::<u64>();
        self.report.events = self.ledger.event_count();
        self.report
    }

    /// A fresh page of this user.
    fn loaded(&mut self, user: UserId, (mut shelf, mut pages): (Shelf, Pages)) -> Tab {
        self.page_loads += 1;
        shelf.open(self.now);
        pages.open(self.now);
        Tab::new(user, self.page_loads, self.chance.number(), (shelf, pages))
    }

    /// What is due now, and when the next thing is.
    fn due(&self) -> (Vec<Due>, Option<u64>) {
        let mut agenda: Vec<(Option<u64>, Due)> = vec![
            (self.plan.steps.get(self.next_step).map(|step| step.at), Due::Step),
            (self.calm_at(), Due::Calm),
            (self.house_back_at, Due::HouseBack),
            (self.house_ends_at, Due::HouseEnds),
            (self.house.as_ref().and_then(House::wake_at), Due::House),
        ];
        for (place, tab) in self.tabs.iter().enumerate() {
            agenda.push((tab.wake_at(), Due::Timer(place)));
            agenda.push((tab.shelf_at(), Due::Shelf(place)));
            agenda.push((tab.pages_at(), Due::Pages(place)));
            agenda.push((tab.online_at, Due::Online(place)));
        }
        let forms = self.forms.iter().enumerate();
        agenda.extend(forms.map(|(place, form)| (form.again_at, Due::Form(place))));
        for (socket, link) in &self.links {
            let awake = self.tabs[link.tab].asleep_until;
            agenda.push((link.opens_at, Due::Opened(*socket)));
            if link.house_open && self.house.as_ref().is_some_and(|house| house.reads(*socket)) {
                agenda.push((link.pipe.up_at(), Due::Up(*socket)));
            }
            if link.client_open {
                agenda.push((link.pipe.down_at().map(|at| at.max(awake)), Due::Down(*socket)));
            }
            let hears = link.client_hears_at.map(|at| at.max(awake));
            agenda.push((hears, Due::ClientHears(*socket)));
            agenda.push((link.house_hears_at, Due::HouseHears(*socket)));
        }
        let next = agenda.iter().filter_map(|(at, _)| *at).min();
        let is_due = |(at, due): &(Option<u64>, Due)| at.filter(|at| *at <= self.now).map(|_| *due);
        (agenda.iter().filter_map(is_due).collect(), next)
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Step => {
                let step = self.plan.steps[self.next_step].clone();
                if self.is_told {
                    println!("{:>7} {:?}", self.now, step.what);
                }
                self.next_step += 1;
                self.carry_out(&step.what);
            }
            Due::Calm => self.calm(),
            Due::Timer(tab) => {
                // What is there when a page wakes is read before it can think that nothing came.
                self.hear_shelf(tab);
                self.step_tab(tab, Input::Timer);
            }
            Due::Shelf(tab) => self.hear_shelf(tab),
            Due::Pages(tab) => self.hear_pages(tab),
            Due::Online(tab) => {
                self.tabs[tab].online_at = None;
                self.step_tab(tab, Input::Awake);
            }
            Due::Form(place) => self.send_form(place),
            Due::Opened(socket) => self.opened(socket),
            Due::Up(socket) => self.up(socket),
            Due::Down(socket) => self.down(socket),
            Due::ClientHears(socket) => self.client_hears(socket),
            Due::HouseHears(socket) => self.house_hears(socket),
            Due::House => {
                if let Some(house) = &mut self.house {
                    house.turn(self.now, &mut self.links);
                }
                self.hear_of_forms();
                self.sweep();
            }
            Due::HouseEnds => self.crash(0),
            Due::HouseBack => {
                self.house_back_at = None;
                self.house = Some(House::new(&self.store, self.chance.number(), self.planted));
            }
        }
    }

    /// Steps a tab and does what its machine wants done, all of one step before the next.
    fn step_tab(&mut self, tab: usize, input: Input<'_>) {
        let mut answers = Vec::new();
        for output in self.tabs[tab].step(input, self.now, &mut self.ledger) {
            match output {
                Output::Open(number) => self.open(tab, number),
                Output::Send(number, frame) => self.send(tab, number, frame),
                Output::Close(number, _) => self.hung_up(tab, number),
                Output::Check { .. } => {
                    let up = self.house.as_ref().is_some_and(House::takes_new);
                    answers.push(Input::Checked(if up { Checked::Ready } else { Checked::Silent }));
                }
                Output::Shelve(kept) => self.tabs[tab].shelf.put(kept, self.now),
                Output::Unshelve(op_id) => self.tabs[tab].shelf.take(op_id, self.now),
                Output::Reload => panic!("a client asks for another version"),
                output => answers.extend(self.tabs[tab].keep(&output, &self.ledger, self.planted)),
            }
        }
        for answer in answers {
            self.step_tab(tab, answer);
        }
    }

    /// A tab hears what came of what it asked of its shelf.
    fn hear_shelf(&mut self, tab: usize) {
        while self.tabs[tab].shelf.due_at().is_some_and(|at| at <= self.now) {
            if let Some(input) = self.tabs[tab].shelf.turn(self.now) {
                self.step_tab(tab, input);
            }
        }
    }

    /// A tab hears what lies in its cache, if it is time.
    fn hear_pages(&mut self, tab: usize) {
        if self.tabs[tab].pages_at().is_some_and(|at| at <= self.now) {
            let recall = self.tabs[tab].pages.recall();
            self.step_tab(tab, recall);
        }
    }

    fn open(&mut self, tab: usize, number: u32) {
        self.report.sockets += 1;
        let socket = SocketId(self.report.sockets);
        let (plan, seed) = (self.plan, self.chance.number());
        let calm = self.calm_since.map_or(u64::MAX, |_| CALM_LATENCY_MS_MAX);
        let latency_ms_max = plan.latency_ms_max.min(calm);
        let pipe = Pipe::new(seed, latency_ms_max, plan.socket_bytes_max);
        let opens_at = self.now + self.chance.below(OPEN_MS_MAX.min(latency_ms_max) + 1);
        let link = Link::new(pipe, self.tabs[tab].cookie, tab, number, opens_at);
        self.links.insert(socket, link);
    }

    /// The upgrade went through, or nobody was there.
    fn opened(&mut self, socket: SocketId) {
        let Some(link) = self.links.get_mut(&socket) else { return };
        link.opens_at = None;
        if !link.client_open {
            return self.sweep();
        }
        let (tab, number) = (link.tab, link.number);
        match &mut self.house {
            Some(house) if house.takes_new() => {
                link.house_open = true;
                house.enter(socket, link.user, self.now);
                self.step_tab(tab, Input::Opened(number));
            }
            _ => {
                link.client_open = false;
                self.step_tab(tab, Input::Closed(number, CloseCode(1006)));
            }
        }
    }

    fn send(&mut self, tab: usize, number: u32, frame: Vec<u8>) {
        let of_tab = |link: &&mut Link| (link.tab, link.number) == (tab, number);
        let Some(link) = self.links.values_mut().find(of_tab) else { return };
        let frame = self.planted.said(frame, &mut self.chance);
        let command = decode_command(&frame).expect("a client's frame decodes");
        if self.is_told {
            println!("{:>7} tab {tab}.{number} says {command:?}", self.now);
        }
        link.wire.said(&command);
        link.pipe.at(self.now).send(frame);
    }

    /// A message has reached the house.
    fn up(&mut self, socket: SocketId) {
        let link = self.links.get_mut(&socket).expect("a due link is there");
        let Some(message) = link.pipe.at(self.now).next_up() else { return };
        self.report.note(&message, self.now);
        if let Some(house) = &mut self.house {
            house.hear(socket, &message, self.now);
        }
        self.sweep();
    }

    /// Bytes have reached a client.
    fn down(&mut self, socket: SocketId) {
        let link = self.links.get_mut(&socket).expect("a due link is there");
        let (tab, number) = (link.tab, link.number);
        let messages = link.pipe.at(self.now).read();
        let said = messages.into_iter().flat_map(|(opcode, payload)| {
            self.planted.heard(payload).into_iter().map(move |payload| (opcode, payload))
        });
        for (opcode, payload) in said.collect::<Vec<_>>() {
            self.report.note(&payload, self.now);
            let link = self.links.get_mut(&socket).expect("a link stays while it is read");
            if !link.client_open {
                break;
            }
            if opcode == Opcode::Close {
                let code =
                    payload.first_chunk::<2>().map_or(1005, |code| u16::from_be_bytes(*code));
                link.client_open = false;
                link.house_hears_at.get_or_insert(self.now);
                self.step_tab(tab, Input::Closed(number, CloseCode(code)));
                break;
            }
            let event = decode_event(&payload).expect("a house's frame decodes");
            let event = event.expect("of a known kind");
            if self.is_told {
                println!("{:>7} tab {tab}.{number} hears {event:?}", self.now);
            }
            link.wire.heard(&event, &mut self.ledger);
            self.step_tab(tab, Input::Frame(number, &payload));
        }
        if let Some(house) = &mut self.house {
            house.writable(socket, self.now, &mut self.links);
        }
        self.sweep();
    }

    /// The client has closed its socket; what it sent before still arrives.
    fn hung_up(&mut self, tab: usize, number: u32) {
        let of_tab = |link: &&mut Link| (link.tab, link.number) == (tab, number);
        let Some(link) = self.links.values_mut().find(of_tab) else { return };
        link.client_open = false;
        let travel = self.chance.below(self.plan.latency_ms_max + 1);
        // The end comes behind what was sent before, however long that takes.
        link.house_hears_at.get_or_insert(link.pipe.up_end().max(self.now + travel));
    }

    fn client_hears(&mut self, socket: SocketId) {
        let Some(link) = self.links.get_mut(&socket) else { return };
        link.client_hears_at = None;
        let (tab, number) = (link.tab, link.number);
        if std::mem::take(&mut link.client_open) {
            self.step_tab(tab, Input::Closed(number, CloseCode(1006)));
        }
        self.sweep();
    }

    fn house_hears(&mut self, socket: SocketId) {
        let link = self.links.get_mut(&socket).expect("a due link is there");
        link.house_hears_at = None;
        if link.house_open
            && let Some(house) = &mut self.house
        {
            house.lost(socket, self.now);
        }
        if let Some(link) = self.links.get_mut(&socket) {
            link.house_open = false;
        }
        self.sweep();
    }

    /// Takes note of connections that the house has ended, and forgets what is over for both.
    fn sweep(&mut self) {
        let ended = self.house.as_mut().map(House::ended).unwrap_or_default();
        for socket in ended {
            if let Some(link) = self.links.get_mut(&socket) {
                link.house_open = false;
                // Behind the last byte, if there is any, stands the end.
                link.client_hears_at.get_or_insert(self.now + 1 + self.plan.latency_ms_max);
            }
        }
        self.links
            .retain(|_, link| link.client_open || link.house_open || link.house_hears_at.is_some());
    }
}
