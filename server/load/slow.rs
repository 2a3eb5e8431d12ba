//! T10: of 500 who listen, 50 stop reading and 50 read a kilobyte a second; the others notice nothing.
//!
//! The same load without slow readers is the baseline. Its law: who is slow is closed by the server
//! for it, by its own count, and is complete as soon as he reads again.

use std::time::{Duration, Instant};

use server::clock::{Chance, SeededChance};
use tokio::time::{interval, sleep};

use crate::crowd::{Crowd, LOBBY, guests};
use crate::house::{Folder, House};
use crate::person::{Order, Pace};
use crate::report::{Form, Report, ratio};
use crate::tally::Delays;

const LISTENERS: usize = 500;
const SLOW: usize = 100;
/// Messages of a second, each to everybody.
const MESSAGES: u32 = 40;
const MESSAGE_BYTES: usize = 1_000;
const SLOW_BYTES_PER_SECOND: u32 = 1_024;
/// The kernel's buffer of who reads slowly: what lies there was taken, as far as the server knows.
const SLOW_BUFFER_BYTES: u32 = 4 * 1024;
const MEMORY_KIB_MAX: u64 = 64 * 1024;
const SLOW_CODE: u16 = 4008;
/// For everybody to have read everything, once he reads.
const COMPLETE_WITHIN: Duration = Duration::from_secs(60);

pub(crate) async fn run(form: &Form) -> Report {
    let mut report = Report::default();
    let folder = Folder::new();
    let house = House::open(folder.path(), &[]).await;
    let people = guests(&house, LISTENERS, 10).await;
    let mut crowd = Crowd::new();
    for (number, guest) in people.iter().enumerate() {
        let is_slow = number < SLOW;
        crowd.add(guest, is_slow.then_some(SLOW_BUFFER_BYTES), !is_slow);
        if number % 50 == 49 {
            sleep(Duration::from_millis(60)).await;
        }
    }
    let live = crowd.until_live(LISTENERS, Duration::from_secs(30)).await;
    report.hold(live.is_some(), || format!("{} of {LISTENERS} came in", crowd.live()));
    let (around, within) = if form.short { (4, 22) } else { (15, 60) };
    let (around, within) = (Duration::from_secs(around), Duration::from_secs(within));
    let mut sent = 0;
    let mut turn = 0;
    loop {
        turn += 1;
        let (closed_before, fell_before) = (house.closed(SLOW_CODE).await, crowd.fell());
        let before = speak(&crowd, around, &mut sent).await;
        let resident_before = house.figures().resident_kib;
        for number in 0..SLOW {
            let slow = Pace::BytesPerSecond(SLOW_BYTES_PER_SECOND);
            let pace = if number % 2 == 0 { Pace::NotAtAll } else { slow };
            crowd.order(number, Order::Read(pace));
        }
        let (during, resident) =
            tokio::join!(speak(&crowd, within, &mut sent), most_resident(&house, within));
        (0..SLOW).for_each(|number| crowd.order(number, Order::Read(Pace::AsItComes)));
        // They hear that they are closed as soon as they have read what lies before it.
        sleep(Duration::from_secs(2)).await;
        let complete = crowd.until_live(LISTENERS, COMPLETE_WITHIN).await;
        report.hold(complete.is_some(), || format!("{} of {LISTENERS} are back", crowd.live()));
        sleep(Duration::from_secs(2)).await;
        let after = speak(&crowd, around, &mut sent).await;
        let closed = house.closed(SLOW_CODE).await - closed_before;
        let more_kib = resident.saturating_sub(resident_before);
        let of_two = ratio(&before, &during, &after);
        // Other work of the machine may spoil a ratio, but neither of these.
        report.hold(more_kib <= MEMORY_KIB_MAX, || format!("{more_kib} KiB more memory"));
        report.hold(closed >= SLOW as u64, || format!("{closed} of {SLOW} were closed as slow"));
        if of_two >= 2.0 && turn < form.turns {
            continue;
        }
        report
            .hold(of_two < 2.0, || format!("the p99 of the healthy was {of_two:.2} times as long"));
        let fell = crowd.fell() - fell_before;
        report.say(format!(
            "{LISTENERS} listeners, {SLOW} of them slow, {MESSAGES} messages/s of {MESSAGE_BYTES} B \
             for {} s: p99 of the healthy {:.1} ms without, {:.1} ms with them: {of_two:.2} of {} \
             deliveries (turn {turn}); memory +{:.1} MiB; {closed} closes as slow ({fell} in all)",
            within.as_secs(),
            f64::midpoint(before.p99(), after.p99()),
            during.p99(),
            during.count(),
            more_kib as f64 / 1024.0,
        ));
        break;
    }
    complete(crowd, &house, sent, &mut report).await;
    let alarms = house.alarms();
    report.hold(alarms.is_empty(), || format!("alarms: {}", alarms.join(" ")));
    report
}

/// Lets the healthy write in turns, so that nobody meets the rate of one person.
async fn speak(crowd: &Crowd, time: Duration, sent: &mut usize) -> Delays {
    let filler = incompressible(MESSAGE_BYTES - 16);
    let mut beat = interval(Duration::from_secs(1) / MESSAGES);
    crowd.tally.measure();
    let begun = Instant::now();
    while begun.elapsed() < time {
        let due = beat.tick().await;
        crowd.post(SLOW + *sent % (LISTENERS - SLOW), LOBBY, &filler, Some(due.into_std()));
        *sent += 1;
    }
    sleep(Duration::from_secs(1)).await;
    crowd.tally.measured()
}

/// Text that no frame gets shorter by.
fn incompressible(bytes: usize) -> String {
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let mut chance = SeededChance::new(1);
    let mut letter = || letters[usize::try_from(chance.below(62)).expect("a place")];
    (0..bytes).map(|_| letter()).collect()
}

/// The most memory that the server had in that time.
async fn most_resident(house: &House, time: Duration) -> u64 {
    let (begun, mut most) = (Instant::now(), 0);
    while begun.elapsed() < time {
        most = most.max(house.figures().resident_kib);
        sleep(Duration::from_millis(250)).await;
    }
    most
}

/// Everybody has been shown everything: nothing is missing to anyone, and he is where the others are.
async fn complete(crowd: Crowd, house: &House, sent: usize, report: &mut Report) {
    let mut begun = Instant::now();
    let mut shown = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        let now = crowd.tally.shown.load(std::sync::atomic::Ordering::Relaxed);
        if now != shown {
            (begun, shown) = (Instant::now(), now);
        }
        sleep(Duration::from_millis(50)).await;
    }
    report.found.extend(crowd.tally.take_wrong());
    let journals = crowd.end().await;
    let accepted: usize = journals.iter().map(|journal| journal.accepted.len()).sum();
    report.hold(accepted == sent, || format!("{accepted} of {sent} messages were accepted"));
    let head = house.head(LOBBY).await;
    let short = journals.iter().filter(|journal| !journal.last.values().any(|last| *last == head));
    let short = short.count();
    report.hold(short == 0, || format!("{short} people did not come to the head, {head}"));
    let healthy = journals.iter().skip(SLOW).filter(|journal| journal.fell > 0).count();
    report.hold(healthy == 0, || format!("{healthy} of the healthy were closed"));
    let spared = journals.iter().take(SLOW).filter(|journal| journal.fell == 0).count();
    report.hold(spared == 0, || format!("{spared} of the slow were not closed"));
    let dropped: u64 = journals.iter().map(|journal| journal.dropped).sum();
    report.hold(dropped == 0, || format!("{dropped} events came twice"));
}
