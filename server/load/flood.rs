//! T13: thousands of idle sockets, and others who only open things: heads, sockets, upgrades.
//!
//! Two people in a room of their own are the witnesses: what the flood does to them is held against
//! the time before and after it. Its law: nothing that floods meets a limit that was raised for it,
//! but the number of sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use protocol::close::CloseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use crate::crowd::{Crowd, Guest, guests};
use crate::house::{Folder, House};
use crate::report::{Form, Report, files_max, ratio};
use crate::socket::{Frames, Heard, Place, Refused, source};
use crate::witness::Witness;

/// A request's head must have come in this time.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// `Hello` must have come in this time.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How much later than promised a busy machine may be.
const LATE: Duration = Duration::from_secs(2);
/// How long the flood goes on: longer than every time in which it is to be closed.
const FLOOD_FOR: Duration = Duration::from_secs(13);
/// What stays free of a process's files.
const FILES_LEFT_MIN: usize = 200;
/// What a process of this test opens besides its sockets.
const FILES_BESIDE_SOCKETS: usize = 1_000;
/// Memory of an idle connection.
const IDLE_KIB_MAX: f64 = 3.0;
/// How long the house rests before its memory is read.
const REST: Duration = Duration::from_secs(4);
/// Sockets of one user that say no Hello; he may have twenty.
const SILENT_PER_USER: usize = 15;

struct Sizes {
    idle: usize,
    heads: usize,
    silent: usize,
    upgrades: u32,
    baseline: Duration,
}

pub(crate) async fn run(form: &Form) -> Report {
    let mut report = Report::default();
    let sizes = sizes(form);
    let sockets = sizes.idle + sizes.silent + 2_500;
    let raised = [
        ("limits-sockets", sockets.to_string()),
        ("limits-sends-per-user", "100/s burst 1000".to_owned()),
        ("limits-frames-per-socket", "200/s burst 1000".to_owned()),
    ];
    let folder = Folder::new();
    let house = House::open(folder.path(), &raised).await;
    let mut people = guests(&house, sizes.idle + 2, 10).await;
    let (reader, writer) = (people.pop().expect("two"), people.pop().expect("two"));
    let witness = Witness::start(writer, reader);
    let (crowd, each_kib) = idle(&house, &people, &mut report).await;

    let attackers = attackers(&house, &sizes).await;
    let mut turn = 0;
    let (flooded, files) = loop {
        turn += 1;
        let before = witness.measure(sizes.baseline).await;
        let files = Arc::new(AtomicUsize::new(0));
        witness.begin(FLOOD_FOR);
        let met = flood(&house, &sizes, &attackers, &files).await;
        let during = witness.result().await;
        sleep(Duration::from_secs(1)).await;
        let after = witness.measure(sizes.baseline).await;
        let is_last = turn == form.turns;
        let of_two = ratio(&before, &during, &after);
        if of_two < 2.0 || is_last {
            met.judge(&sizes, &mut report);
            report.hold(of_two < 2.0, || {
                format!("an existing user's p99 was {of_two:.2} times what it is without the flood")
            });
            report.say(format!(
                "p99 of an existing user {:.1} ms without, {:.1} ms within the flood: {of_two:.2} \
                 (turn {turn})",
                f64::midpoint(before.p99(), after.p99()),
                during.p99(),
            ));
            break (met, files.load(Ordering::Relaxed));
        }
    };
    let out_of_files = house.said_now().contains("cannot be taken in");
    report.hold(!out_of_files, || "the server was out of files".to_owned());
    let files_max = house.files_max();
    report.hold(files + FILES_LEFT_MIN <= files_max, || format!("{files} of {files_max} files"));
    report.hold(crowd.fell() == 0, || format!("{} idle sockets were closed", crowd.fell()));
    report.say(format!(
        "{} idle sockets of as many users at {each_kib:.1} KiB each; {} half heads, {} without \
         Hello, {} upgrades ({} let in); at most {files} of {files_max} files",
        crowd.count(),
        sizes.heads,
        sizes.silent,
        flooded.upgrades_asked,
        flooded.upgrades_opened,
    ));
    report.found.extend(crowd.tally.take_wrong());
    report.found.extend(witness.tally.take_wrong());
    drop(witness);
    crowd.end().await;
    report
}

fn sizes(form: &Form) -> Sizes {
    let (idle, heads, silent, upgrades, seconds) =
        if form.short { (1_000, 500, 300, 200, 5) } else { (10_000, 3_500, 2_000, 2_000, 15) };
    let may = files_max().saturating_sub(heads + silent + FILES_BESIDE_SOCKETS);
    if idle > may {
        println!("    of {idle} sockets the machine's open files allow {may}");
    }
    let baseline = Duration::from_secs(seconds);
    Sizes { idle: idle.min(may), heads, silent, upgrades, baseline }
}

/// Lets everybody in and at rest; gives what each of the second half costs in memory.
async fn idle(house: &House, people: &[Guest], report: &mut Report) -> (Crowd, f64) {
    let mut crowd = Crowd::new();
    let mut own = Vec::new();
    let half = people.len() / 2;
    for (part, count) in [(&people[..half], half), (&people[half..], people.len())] {
        for (number, guest) in part.iter().enumerate() {
            crowd.add(guest, None, false);
            if number % 50 == 49 {
                // A crowd that comes in slowly: the rate of upgrades is tried by itself.
                sleep(Duration::from_millis(60)).await;
            }
        }
        let live = crowd.until_live(count, Duration::from_secs(60)).await;
        report.hold(live.is_some(), || format!("{} of {count} came in", crowd.live()));
        sleep(REST).await;
        own.push(house.own_kib());
    }
    let more = own[1].saturating_sub(own[0]);
    let each_kib = more as f64 / (people.len() - half) as f64;
    // Of a few sockets the rest of the house weighs more than they do; `make measure` weighs those.
    if people.len() >= 5_000 {
        report.hold(each_kib <= IDLE_KIB_MAX, || format!("{each_kib:.2} KiB an idle socket"));
    }
    (crowd, each_kib)
}

/// Accounts of those who flood: for sockets without Hello, and for upgrades.
struct Attackers {
    silent: Vec<Guest>,
    upgrading: Vec<Guest>,
}

async fn attackers(house: &House, sizes: &Sizes) -> Attackers {
    let silent = guests(house, sizes.silent.div_ceil(SILENT_PER_USER), 300).await;
    // A sign-in may ask for twenty pages a second.
    let upgrading = guests(house, usize::try_from(sizes.upgrades / 20).unwrap_or(1), 400).await;
    Attackers { silent, upgrading }
}

/// What became of the flood.
struct Met {
    heads: Vec<Duration>,
    silent: Vec<(CloseCode, Duration)>,
    upgrades_asked: usize,
    upgrades_opened: usize,
}

impl Met {
    fn judge(&self, sizes: &Sizes, report: &mut Report) {
        let late = self.heads.iter().filter(|took| **took > HEAD_WITHIN + LATE).count();
        report.hold(late == 0, || format!("{late} half heads stayed open for too long"));
        let count = self.heads.len();
        report.hold(count == sizes.heads, || format!("{count} half heads were let in"));
        let wrong = |(code, took): &&(CloseCode, Duration)| {
            *code != CloseCode::NO_HELLO || *took > HELLO_WITHIN + LATE
        };
        let wrong: Vec<_> = self.silent.iter().filter(wrong).take(3).collect();
        report.hold(wrong.is_empty(), || format!("without Hello: {wrong:?}"));
        let count = self.silent.len();
        report.hold(count == sizes.silent, || format!("{count} sockets without Hello opened"));
    }
}

async fn flood(
    house: &House,
    sizes: &Sizes,
    attackers: &Attackers,
    files: &Arc<AtomicUsize>,
) -> Met {
    let (mut heads, mut silent) = (JoinSet::new(), JoinSet::new());
    for number in 0..sizes.heads {
        let source = source(500 + number / 100);
        let place = Place { server: house.address, source, cookie: String::new() };
        heads.spawn(half_a_head(place, number % 2 == 0));
    }
    for number in 0..sizes.silent {
        let mut place = attackers.silent[number / SILENT_PER_USER].place.clone();
        place.source = source(600 + number / 40);
        silent.spawn(silence(place));
        if number % 50 == 49 {
            sleep(Duration::from_millis(60)).await;
        }
    }
    let begun = Instant::now();
    let (mut asked, mut upgrading) = (0, JoinSet::new());
    let mut beat = interval(Duration::from_secs(1) / sizes.upgrades);
    while begun.elapsed() < FLOOD_FOR {
        beat.tick().await;
        let mut place = attackers.upgrading[asked % attackers.upgrading.len()].place.clone();
        place.source = source(700 + asked % 250);
        upgrading.spawn(async move { place.upgrade(None).await.map(drop) });
        if asked % usize::try_from(sizes.upgrades).unwrap_or(1) == 0 {
            files.fetch_max(house.figures().files, Ordering::Relaxed);
        }
        asked += 1;
    }
    let upgraded = upgrading.join_all().await;
    let opened = upgraded.iter().filter(|done| !matches!(done, Err(Refused::Status(_)))).count();
    Met {
        heads: heads.join_all().await.into_iter().flatten().collect(),
        silent: silent.join_all().await.into_iter().flatten().collect(),
        upgrades_asked: asked,
        upgrades_opened: opened,
    }
}

/// Sends the first half of a head, then a byte now and then or nothing; how long that was borne.
async fn half_a_head(place: Place, drips: bool) -> Option<Duration> {
    let mut stream = place.connect(None).await.ok()?;
    let begun = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: 127").await.ok()?;
    let mut answer = [0; 512];
    loop {
        match timeout(Duration::from_secs(2), stream.read(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => return Some(begun.elapsed()),
            Ok(Ok(_)) => {}
            Err(_) if drips => {
                // The end is read.
                let _ = stream.write_all(b"0").await;
            }
            Err(_) => {}
        }
        if begun.elapsed() > 3 * HEAD_WITHIN {
            return Some(begun.elapsed());
        }
    }
}

/// Opens a socket and says nothing; by which code it was closed, and when.
async fn silence(place: Place) -> Option<(CloseCode, Duration)> {
    let (mut stream, behind) = place.upgrade(None).await.ok()?;
    let begun = Instant::now();
    let mut frames = Frames::starting_with(behind);
    let mut buffer = [0; 512];
    loop {
        let read = timeout(3 * HELLO_WITHIN, stream.read(&mut buffer)).await;
        let Ok(Ok(bytes @ 1..)) = read else { return Some((CloseCode(1006), begun.elapsed())) };
        frames.push(&buffer[..bytes]);
        if let Some(Heard::Closed(code)) = frames.next() {
            return Some((code, begun.elapsed()));
        }
    }
}
