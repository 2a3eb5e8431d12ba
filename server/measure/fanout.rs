//! CPU of a delivery: the house against the floor, in runs that take turns.
//!
//! Every message is posted, judged, stored in memory and spoken; the floor writes as many bytes to as
//! many sockets. Its law: both have the same beat, and a run counts only if every byte arrived.

use std::thread::sleep;
use std::time::{Duration, Instant};

use protocol::bounded::Blob;
use protocol::change::{Envelope, Posted};
use protocol::event::{Event, Logged};
use protocol::frame::Change;
use protocol::ids::{EventId, OpId};
use protocol::model::{DisplayName, MessageText};
use server::outlet::chunk::Frame;

use crate::floor::Floor;
use crate::house::{House, caller};
use crate::readers::Readers;

/// Bytes of a message's text.
const TEXT_BYTES: usize = 128;
/// From one message to the next.
const BEAT: Duration = Duration::from_millis(12);
/// How long the last bytes may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

struct Run {
    house: House,
    floor: Floor,
    readers: Readers,
    subscribers: u32,
    number: u32,
    frame: Vec<u8>,
}

/// Prints the ratio, and fails where it is above what is allowed.
pub(crate) fn measure(subscribers: u32, pairs: usize, messages: u32, at_most: Option<f64>) {
    let (house, floor) = (House::open(subscribers), Floor::open(subscribers));
    let readers = Readers::start(house.addr, Some(floor.addr), 0..subscribers);
    floor.wait();
    let frame = frame(&house);
    let mut run = Run { house, floor, readers, subscribers, number: 0, frame };
    run.house_runs(messages);
    run.floor_runs(messages);
    let mut measured = Vec::new();
    for pair in 0..pairs {
        run.readers.live();
        let (ours, least) = if pair % 2 == 0 {
            let ours = run.house_runs(messages);
            (ours, run.floor_runs(messages))
        } else {
            let least = run.floor_runs(messages);
            (run.house_runs(messages), least)
        };
        measured.push((ours / least, ours, least));
    }
    measured.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, ours, least) = measured[pairs / 2];
    let (lowest, highest) = (measured[0].0, measured[pairs - 1].0);
    println!(
        "fan-out to {subscribers}: {ratio:.2} of one plain write [{lowest:.2} to {highest:.2}, \
         {pairs} pairs]; {ours:.2} µs a delivery against {least:.2}"
    );
    if let Some(at_most) = at_most {
        assert!(ratio <= at_most, "{at_most} is the most it may be");
    }
}

impl Run {
    /// Microseconds of CPU for a delivery of the house.
    fn house_runs(&mut self, messages: u32) -> f64 {
        let text = "x".repeat(TEXT_BYTES);
        let (arrived, before) = (self.readers.counts().0, self.house.cpu_ns());
        for _ in 0..messages {
            let begun = Instant::now();
            self.number += 1;
            self.house.post(self.number, &text);
            sleep(BEAT.saturating_sub(begun.elapsed()));
        }
        let cost = self.per_delivery(self.house.cpu_ns() - before, messages);
        self.until_arrived(arrived, messages, |readers| readers.counts().0);
        cost
    }

    /// Microseconds of CPU for a write of the floor.
    fn floor_runs(&mut self, messages: u32) -> f64 {
        let (arrived, before) = (self.readers.counts().1, self.floor.cpu_ns());
        for _ in 0..messages {
            let begun = Instant::now();
            self.floor.round(&self.frame);
            sleep(BEAT.saturating_sub(begun.elapsed()));
        }
        let cost = self.per_delivery(self.floor.cpu_ns() - before, messages);
        self.until_arrived(arrived, messages, |readers| readers.counts().1);
        cost
    }

    fn per_delivery(&self, ns: u64, messages: u32) -> f64 {
        let deliveries = f64::from(messages) * f64::from(self.subscribers);
        Duration::from_nanos(ns).as_secs_f64() * 1e6 / deliveries
    }

    fn until_arrived(&mut self, before: u64, messages: u32, count: impl Fn(&mut Readers) -> u64) {
        let deliveries = u64::from(messages) * u64::from(self.subscribers);
        let expected = before + deliveries * u64::try_from(self.frame.len()).unwrap();
        let begun = Instant::now();
        while count(&mut self.readers) < expected {
            assert!(begun.elapsed() < PATIENCE, "not everything arrived");
            sleep(Duration::from_millis(1));
        }
    }
}

/// A message of as many bytes as the house's.
fn frame(house: &House) -> Vec<u8> {
    let text = MessageText::new("x".repeat(TEXT_BYTES)).unwrap();
    let posted = Change::Posted(Posted { name: DisplayName::cut("Guest 0"), text });
    let envelope = Envelope {
        log: house.lobby.log(),
        seq: 1,
        id: EventId::make(house.engine.clock.unix_ms(), [7; 10]),
        at: house.engine.clock.unix_ms(),
        author: caller(0).user,
        op_id: OpId::make(1, [7; 10]),
        flags: 0,
        kind: posted.kind().number(),
        body: Blob::new(posted.encode().unwrap()).unwrap(),
    };
    Frame::event(&Event::Logged(Logged { envelope })).unwrap().bytes().to_vec()
}
