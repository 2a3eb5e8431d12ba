//! T14: thousands who are live lose their server and come back, each when his own machine says.
//!
//! The server is told to stop, is killed, and is killed ten times in a row while they come. Its law:
//! upgrades are no more than the setting allows, who is back stays, and what many missed is read
//! from the database about once.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use server::clock::{Chance, SystemChance};
use tokio::time::{interval, sleep};

use crate::crowd::{Crowd, Guest, LOBBY, guests};
use crate::house::{Folder, House, STOP_WITHIN};
use crate::person::Order;
use crate::report::{Form, Report};

/// From ready to all being live again.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// The same where the server died again and again: the machine's longest delay, and its way back.
const BACK_AFTER_LOOP_WITHIN: Duration = Duration::from_secs(40);
const READY_WITHIN: Duration = Duration::from_secs(20);
const CRASHES: u32 = 10;
/// Messages that a part of the crowd misses: two pages of them.
const MISSED: usize = 150;
const MISSED_PAGES: u64 = 2;
/// Reads of one page of one room.
const READS_MAX: u64 = 2;

struct Storm {
    house: House,
    crowd: Crowd,
    guests: Vec<Guest>,
    upgrades: u32,
    crashes: u32,
    calm: Duration,
}

pub(crate) async fn run(form: &Form) -> Report {
    let mut report = Report::default();
    // The short form is a tenth of the long one, with a tenth of its rate.
    let (people, upgrades, crashes, calm) =
        if form.short { (500, 100, 3, 3) } else { (5_000, 1_000, CRASHES, 35) };
    let raised = [("limits-upgrades", format!("{upgrades}/s burst {upgrades}"))];
    let folder = Folder::new();
    let house = House::open(folder.path(), &raised).await;
    let guests = guests(&house, people, 10).await;
    let calm = Duration::from_secs(calm);
    let mut storm = Storm { house, crowd: Crowd::new(), guests, upgrades, crashes, calm };
    report.say(format!("{people} clients, {upgrades} upgrades/s burst {upgrades}"));
    storm.come_in(&mut report).await;
    storm.told_to_stop(&mut report).await;
    storm.come_in(&mut report).await;
    storm.killed(&mut report).await;
    storm.killed_again_and_again(&mut report).await;
    storm.come_in(&mut report).await;
    storm.missed(&mut report).await;
    storm.end(&mut report).await;
    report
}

impl Storm {
    /// People who know of no failure yet: a machine forgets one only after half a minute.
    async fn come_in(&mut self, report: &mut Report) {
        self.crowd.renew().await;
        let mut beat = interval(Duration::from_secs(1) / self.upgrades);
        for guest in &self.guests {
            beat.tick().await;
            self.crowd.add(guest, None, false);
        }
        let people = self.guests.len();
        let live = self.crowd.until_live(people, Duration::from_secs(30)).await;
        report.hold(live.is_some(), || format!("{} of {people} came in", self.crowd.live()));
        self.crowd.tally.most_opened_in_a_second();
        self.crowd.tally.take_refused();
        // What they took of the rate is given back.
        sleep(Duration::from_secs(2)).await;
    }

    async fn told_to_stop(&mut self, report: &mut Report) {
        let fell = self.crowd.fell();
        let begun = Instant::now();
        let status = self.house.terminate().await;
        let took = begun.elapsed();
        let in_order = status.is_some_and(|status| status.success()) && took < STOP_WITHIN;
        report.hold(in_order, || format!("told to stop it ended with {status:?} in {took:?}"));
        self.house.begin();
        let ready = self.house.ready(READY_WITHIN).await;
        let stopped = format!("told to stop: {:.1} s, ready again", took.as_secs_f64());
        self.come_back(&stopped, ready, fell, BACK_WITHIN, report).await;
    }

    async fn killed(&mut self, report: &mut Report) {
        let fell = self.crowd.fell();
        self.house.kill();
        self.house.begin();
        let ready = self.house.ready(READY_WITHIN).await;
        self.come_back("killed: ready", ready, fell, BACK_WITHIN, report).await;
    }

    async fn killed_again_and_again(&mut self, report: &mut Report) {
        let fell = self.crowd.fell();
        for _ in 0..self.crashes {
            self.house.kill();
            self.house.begin();
            self.house.ready(READY_WITHIN).await;
            sleep(Duration::from_millis(200 + SystemChance.below(800))).await;
        }
        self.house.kill();
        // Each life has a burst of its own.
        self.crowd.tally.most_opened_in_a_second();
        self.house.begin();
        let ready = self.house.ready(READY_WITHIN).await;
        let what = format!("killed {} times in a row: ready", self.crashes);
        self.come_back(&what, ready, fell, BACK_AFTER_LOOP_WITHIN, report).await;
    }

    /// A third of the crowd is away while the others write, and comes back to a server that has
    /// nothing of it in memory.
    async fn missed(&mut self, report: &mut Report) {
        let people = self.crowd.count();
        let away = 0..people / 3;
        away.clone().for_each(|number| self.crowd.order(number, Order::Leave));
        let mut beat = interval(Duration::from_millis(20));
        for number in 0..MISSED {
            let due = beat.tick().await.into_std();
            let writer = away.end + number % (people - away.end);
            self.crowd.post(writer, LOBBY, "what they missed", Some(due));
        }
        sleep(Duration::from_secs(1)).await;
        let fell = self.crowd.fell();
        self.house.kill();
        self.house.begin();
        let ready = self.house.ready(READY_WITHIN).await;
        away.clone().for_each(|number| self.crowd.order(number, Order::Return));
        let others = u64::try_from(people - away.len()).expect("a count");
        let back = self.all_back(fell + others, BACK_AFTER_LOOP_WITHIN).await;
        report.hold(back.is_some(), || format!("{} of {people} are back", self.crowd.live()));
        let status = self.house.status().await;
        let read = |what: &str| status[what].as_u64().expect("a count");
        let reads = read("pages_read") + read("rooms_read");
        let reads_max = READS_MAX * MISSED_PAGES;
        report.hold(reads <= reads_max, || {
            format!("{reads} reads of {MISSED_PAGES} pages that {} clients missed", away.len())
        });
        report.say(format!(
            "{} of them missed {MISSED} messages: ready in {} ms, {reads} reads of \
             {MISSED_PAGES} pages",
            away.len(),
            ready.as_millis(),
        ));
        self.crowd.tally.most_opened_in_a_second();
    }

    async fn come_back(
        &mut self,
        what: &str,
        ready: Duration,
        fell: u64,
        patience: Duration,
        report: &mut Report,
    ) {
        let people = u64::try_from(self.crowd.count()).expect("a count");
        let back = self.all_back(fell + people, patience).await;
        let live = self.crowd.live();
        report.hold(back.is_some(), || format!("{what}, {live} of {people} live in {patience:?}"));
        // Who is late is not to be taken for a second wave.
        self.all_back(fell + people, BACK_AFTER_LOOP_WITHIN).await;
        let (most, refused) =
            (self.crowd.tally.most_opened_in_a_second(), self.crowd.tally.take_refused());
        // By the server's own count: what a starved machine hands over late comes here in a crowd.
        let let_in = self.house.status().await["upgrades_most"].as_u64().expect("a count");
        let let_in_max = u64::from(2 * self.upgrades);
        report.hold(let_in <= let_in_max, || {
            format!(
                "{what}, {let_in} were let in within a second: its burst and rate are {let_in_max}"
            )
        });
        let fell = self.crowd.fell();
        sleep(self.calm).await;
        let wave = self.crowd.fell() - fell;
        report.hold(wave == 0, || format!("{what}, {wave} fell again"));
        let back = back.map_or(f64::NAN, |back| back.as_secs_f64());
        report.say(format!(
            "{what} in {} ms, all live {back:.1} s later, at most {let_in} let in within a second \
             ({most} by the clients' clocks), refused {refused:?}",
            ready.as_millis(),
        ));
    }

    /// How long it takes until so many have ceased to be live, and all are.
    async fn all_back(&self, fell: u64, patience: Duration) -> Option<Duration> {
        let begun = Instant::now();
        while self.crowd.fell() < fell || self.crowd.live() < self.crowd.count() {
            if begun.elapsed() > patience {
                return None;
            }
            sleep(Duration::from_millis(10)).await;
        }
        Some(begun.elapsed())
    }

    async fn end(self, report: &mut Report) {
        let Self { house, crowd, .. } = self;
        report.found.extend(crowd.tally.take_wrong());
        let shown = crowd.tally.shown.load(Ordering::Relaxed);
        let journals = crowd.end().await;
        let accepted: usize = journals.iter().map(|journal| journal.accepted.len()).sum();
        report.hold(accepted == MISSED, || format!("{accepted} of {MISSED} were accepted"));
        let head = house.head(LOBBY).await;
        let at_head = |last: u64| last == head;
        let short = journals.iter().filter(|journal| !journal.last.values().any(|at| at_head(*at)));
        let short = short.count();
        report.hold(short == 0, || format!("{short} of them are not at the head ({shown} shown)"));
    }
}
