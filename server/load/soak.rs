//! T15: two hundred people in twenty rooms for a long time, with sockets that come and go, and kills.
//!
//! The folder of `WASMCHANNEL_SOAK` is carried from run to run: the database, the people, and what
//! they were ever told is stored. Its law: at the end of every run all of that is held against the
//! file, that of earlier runs too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::model::RoomKey;
use server::clock::{Chance, SystemChance};
use tokio::time::{interval, sleep};

use crate::crowd::{Crowd, Guest, guests};
use crate::house::{Folder, House};
use crate::life::{self, Life};
use crate::person::{Journal, Order};
use crate::report::{Form, Report};
use crate::socket::{Place, source};

const PEOPLE: usize = 200;
const ROOMS: usize = 20;
const ROOMS_OF_ONE: usize = 2;
const MESSAGES: u32 = 50;
/// From one person who loses his network to the next; each loses it about once a minute.
const CHURN: Duration = Duration::from_millis(300);
/// How long he is without it at most, in milliseconds.
const AWAY_MS_MAX: u64 = 4_000;
/// From one kill to the next, in the first half of the time; what is left is one long life.
const KILL_EVERY: Duration = Duration::from_secs(600);
const READY_WITHIN: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_secs(5);
/// For everybody to be back and to have sent what he wrote.
const SETTLE_WITHIN: Duration = Duration::from_secs(45);
/// Files that the server may have open beside those of a fresh start: its pools grow to their size.
const FILES_MORE_MAX: usize = 16;
const STATE: &str = "WASMCHANNEL_SOAK";

pub(crate) async fn run(form: &Form) -> Report {
    let mut report = Report::default();
    let own = Folder::new();
    let folder = std::env::var_os(STATE).map_or(own.path().to_owned(), PathBuf::from);
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut house = House::open(&folder, &[]).await;
    let files_at_first = house.figures().files;
    let people = people(&house, &folder).await;
    let mut crowd = Crowd::new();
    for guest in &people {
        crowd.add(guest, None, true);
        sleep(Duration::from_millis(5)).await;
    }
    let live = crowd.until_live(PEOPLE, Duration::from_secs(30)).await;
    report.hold(live.is_some(), || format!("{} of {PEOPLE} came in", crowd.live()));
    for person in 0..PEOPLE {
        rooms_of(person).for_each(|room| crowd.order(person, Order::Enter(RoomKey::cut(&room))));
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_secs(2)).await;
    crowd.tally.measure();
    let lives = live_on(&mut house, &crowd, form, &mut report).await;
    let delays = crowd.tally.measured();
    settle(&house, &crowd, &mut report).await;
    report.found.extend(crowd.tally.take_wrong());
    let closes = crowd.tally.closes();
    let journals = crowd.end().await;
    sleep(Duration::from_secs(2)).await;
    let files = house.figures().files;
    report.hold(files <= files_at_first + FILES_MORE_MAX, || {
        format!("{files} files are open, {files_at_first} were at the first start")
    });
    alarms(&house, &mut report);
    house.terminate().await;
    let said = judge(&house, &folder, &journals, &mut report).await;
    report.say(format!(
        "{} s, {PEOPLE} people, {ROOMS} rooms, {} kills: {said}; half of {} deliveries \
         within {:.1} ms, nine of ten within {:.1} ms (who is away gets his later); closes {closes:?}; files {files_at_first} at first, {files} at the end",
        form.budget.as_secs(),
        lives.len() - 1,
        delays.count(),
        delays.percentile(50),
        delays.percentile(90),
    ));
    life::judge(&lives, &mut report);
    report
}

fn rooms_of(person: usize) -> impl Iterator<Item = String> {
    (0..ROOMS_OF_ONE).map(move |part| format!("soak-{}", (person * (6 * part + 1) + part) % ROOMS))
}

/// The people of the runs before; made where there were none.
async fn people(house: &House, folder: &Path) -> Vec<Guest> {
    let file = folder.join("people");
    if let Ok(known) = std::fs::read_to_string(&file) {
        let known = known.lines().enumerate().map(|(number, line)| {
            let (user, cookie) = line.split_once(' ').expect("as it was written");
            let (server, cookie) = (house.address, cookie.to_owned());
            let place = Place { server, source: source(10 + number / 40), cookie };
            Guest { place, user: user.parse().expect("as it was written") }
        });
        return known.collect();
    }
    let people = guests(house, PEOPLE, 10).await;
    let lines = people.iter().map(|guest| format!("{} {}\n", guest.user, guest.place.cookie));
    std::fs::write(file, lines.collect::<String>()).expect("a file");
    people
}

/// Lets them talk, lose their networks and their server, until the budget is spent.
async fn live_on(house: &mut House, crowd: &Crowd, form: &Form, report: &mut Report) -> Vec<Life> {
    let kill_every = KILL_EVERY.min(form.budget / 5);
    let begun = Instant::now();
    let (mut born, mut lives) = (begun, vec![Life::default()]);
    let mut speaking = interval(Duration::from_secs(1) / MESSAGES);
    let (mut churn, mut look) = (interval(CHURN), interval(LOOK));
    let mut away: BTreeMap<usize, Instant> = BTreeMap::new();
    let mut sent = 0;
    while begun.elapsed() < form.budget {
        tokio::select! {
            due = speaking.tick() => {
                let person = sent % PEOPLE;
                let room = rooms_of(person).nth(sent / PEOPLE % ROOMS_OF_ONE).expect("he has two");
                // Who is away writes, too; that it is sent when he is back is no delay of the server's.
                let due = (!away.contains_key(&person)).then(|| due.into_std());
                crowd.post(person, &room, "so it goes", due);
                sent += 1;
            }
            _ = churn.tick() => {
                let person = usize::try_from(SystemChance.below(PEOPLE as u64)).expect("a number");
                crowd.order(person, Order::Leave);
                let ms = SystemChance.below(AWAY_MS_MAX);
                away.insert(person, Instant::now() + Duration::from_millis(ms));
            }
            _ = look.tick() => {
                lives.last_mut().expect("one").look(born.elapsed(), &house.figures());
            }
        }
        away.retain(|person, until| {
            let is_back = Instant::now() >= *until;
            if is_back {
                crowd.order(*person, Order::Return);
            }
            !is_back
        });
        let left = form.budget.saturating_sub(begun.elapsed());
        if born.elapsed() >= kill_every && left > form.budget / 2 {
            alarms(house, report);
            house.kill();
            house.begin();
            house.ready(READY_WITHIN).await;
            born = Instant::now();
            lives.push(Life::default());
        }
    }
    away.keys().for_each(|person| crowd.order(*person, Order::Return));
    lives
}

/// Waits until everybody is back and has sent and read everything.
async fn settle(house: &House, crowd: &Crowd, report: &mut Report) {
    let begun = Instant::now();
    let back = crowd.until_live(PEOPLE, SETTLE_WITHIN).await;
    report.hold(back.is_some(), || format!("{} of {PEOPLE} are back", crowd.live()));
    let (mut since, mut before) = (Instant::now(), house.heads().await);
    while since.elapsed() < Duration::from_secs(3) && begun.elapsed() < 2 * SETTLE_WITHIN {
        sleep(Duration::from_millis(200)).await;
        let heads = house.heads().await;
        if heads != before {
            (since, before) = (Instant::now(), heads);
        }
    }
}

fn alarms(house: &House, report: &mut Report) {
    let alarms = house.alarms();
    report.hold(alarms.is_empty(), || format!("{} alarms: {}", alarms.len(), alarms[0]));
}

/// Holds what was ever accepted, in this run and in those before, against the file.
async fn judge(house: &House, folder: &Path, journals: &[Journal], report: &mut Report) -> String {
    let file = folder.join("accepted");
    let mut ever = File::options().create(true).append(true).open(&file).expect("a file");
    let mut lines = String::new();
    for (op_id, log, seq) in journals.iter().flat_map(|journal| &journal.accepted) {
        if let Some(room) = log.room().filter(|_| *seq > 0) {
            lines.push_str(&format!("{op_id} {room} {seq}\n"));
        }
    }
    ever.write_all(lines.as_bytes()).and_then(|()| ever.sync_all()).expect("it is written");
    let stored = house.stored().await;
    let mut count = 0_u64;
    for line in std::fs::read_to_string(&file).expect("it was written").lines() {
        let mut words = line.split(' ');
        let mut next = || words.next().expect("as it was written");
        let (op_id, room, seq) = (next(), next(), next().parse().expect("a number"));
        let is_there = stored.get(&(room.to_owned(), seq)).is_some_and(|there| there == op_id);
        report.hold(is_there, || format!("I1: {op_id} was accepted as {seq} of {room}"));
        count += 1;
    }
    let waiting: usize = journals.iter().map(|journal| journal.waiting).sum();
    report.hold(waiting == 0, || format!("{waiting} acts have no answer"));
    let dropped: u64 = journals.iter().map(|journal| journal.dropped).sum();
    report.hold(dropped == 0, || format!("{dropped} events came twice"));
    let heads = house.heads().await;
    for journal in journals {
        for (room, last) in &journal.last {
            let head = heads.get(&room.to_string());
            report
                .hold(head == Some(last), || format!("I12: {room} was read to {last} of {head:?}"));
        }
    }
    format!("{} accepted now, {count} ever, all stored", lines.lines().count())
}
