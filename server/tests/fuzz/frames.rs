//! Frames of both directions, greetings with their cursors, and what is stored: read, written, read again.
//!
//! A body is bent, then put into a frame whose length and checksum are right, packed or not; now and
//! then the header or the packed bytes are bent instead. Else nothing would come past the door.

use protocol::bounded::Text;
use protocol::client::cache::Cached;
use protocol::client::shelf::Kept;
use protocol::codec::{
    FLAG_LZ4, Header, VERSION, decode_command, decode_event, decode_text, encode_command,
    encode_event, encode_text, read_frame,
};
use protocol::event::Snapshot;
use protocol::frame::{Act, Change, Command, Event, Family, Kind};
use protocol::limits::{EVENT_BYTES_MAX, HEADER_BYTES};
use server::clock::{Chance, SeededChance};

use crate::mutate::bend;
use crate::samples::{Sample, sample};
use crate::{below, fuzz};

/// Bodies to begin with, and the kinds they are of.
struct Honest {
    kinds: Vec<u16>,
    bodies: Vec<Vec<u8>>,
}

impl Honest {
    /// A sample of each of these kinds, and some that are long enough to be packed.
    fn of(is_meant: impl Fn(Kind) -> bool) -> Self {
        let samples = Kind::ALL.iter().copied().filter(|kind| is_meant(*kind)).map(sample);
        let mut frames: Vec<Vec<u8>> = samples.filter_map(|sample| sample.written()).collect();
        let long = Sample::Command(long_post());
        if is_meant(long.kind()) {
            frames.extend(long.written());
        }
        let read = frames.iter().map(|frame| read_frame(frame, EVENT_BYTES_MAX).unwrap());
        let (kinds, bodies) = read.map(|(kind, body)| (kind, body.into_owned())).unzip();
        Self { kinds, bodies }
    }

    /// A bent frame.
    fn frame(&self, chance: &mut SeededChance) -> Vec<u8> {
        let which = below(chance, self.bodies.len());
        let mut body = self.bodies[which].clone();
        bend(&mut body, &self.bodies, chance);
        let kind = match chance.below(64) {
            0 => u16::try_from(chance.below(1 << 16)).unwrap(),
            1..=4 => self.kinds[below(chance, self.kinds.len())],
            _ => self.kinds[which],
        };
        let mut frame = packed(kind, &body, chance);
        if chance.below(16) == 0 {
            bend(&mut frame, &self.bodies, chance);
        }
        if chance.below(16) > 0 {
            sign(&mut frame);
        }
        frame
    }
}

fn long_post() -> Command {
    let Sample::Command(Command::Op(head, Act::Post(mut post))) = sample(Kind::Post) else {
        panic!("the sample of a message is one")
    };
    post.text = Text::cut(&"a long message repeats itself, ".repeat(40));
    Command::Op(head, Act::Post(post))
}

/// A frame of this body, as it is or as an LZ4 block, whose length mostly is what it says.
fn packed(kind: u16, body: &[u8], chance: &mut SeededChance) -> Vec<u8> {
    let is_packed = chance.below(4) == 0;
    let mut sent = if is_packed { literals(body) } else { body.to_vec() };
    if is_packed && chance.below(2) == 0 {
        bend(&mut sent, &[body.to_vec()], chance);
    }
    let mut raw_bytes = u32::try_from(body.len()).unwrap();
    if chance.below(32) == 0 {
        raw_bytes = raw_bytes.wrapping_add(u32::try_from(chance.below(300)).unwrap()) ^ 1;
    }
    let mut frame = vec![VERSION, if is_packed { FLAG_LZ4 } else { 0 }];
    frame.extend(kind.to_le_bytes());
    frame.extend(raw_bytes.to_le_bytes());
    frame.extend([0; 4]);
    frame.extend(sent);
    frame
}

/// An LZ4 block of literals alone: bent, its last bytes become copies of the first.
fn literals(body: &[u8]) -> Vec<u8> {
    let mut block = vec![u8::try_from(body.len().min(15)).unwrap() << 4];
    if let Some(mut rest) = body.len().checked_sub(15) {
        while rest >= 255 {
            block.push(255);
            rest -= 255;
        }
        block.push(u8::try_from(rest).unwrap());
    }
    block.extend_from_slice(body);
    block
}

/// Makes the checksum right.
fn sign(frame: &mut [u8]) {
    if let Ok((header, body)) = Header::read(frame) {
        let checksum = header.expected_checksum(body);
        frame[8..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    }
}

fn eat_command(frame: &[u8]) -> bool {
    let Ok(command) = decode_command(frame) else { return false };
    let again = encode_command(&command).expect("what was read can be written");
    assert_eq!(decode_command(&again).as_ref(), Ok(&command));
    true
}

fn eat_event(frame: &[u8]) -> bool {
    let Ok(Some(event)) = decode_event(frame) else { return false };
    let again = encode_event(&event).expect("what was read can be written");
    assert_eq!(decode_event(&again), Ok(Some(event)));
    true
}

#[test]
fn commands() {
    let honest = Honest::of(|kind| matches!(kind.family(), Family::Command | Family::Act));
    fuzz("commands", |chance| honest.frame(chance), eat_command);
}

#[test]
fn events() {
    let honest = Honest::of(|kind| kind.family() == Family::Event);
    fuzz("events", |chance| honest.frame(chance), eat_event);
}

#[test]
fn greetings_and_their_cursors() {
    let honest = Honest::of(|kind| matches!(kind, Kind::Hello | Kind::Sub));
    fuzz("greetings", |chance| honest.frame(chance), eat_command);
}

#[test]
fn bodies_of_stored_events() {
    let changes = Kind::ALL.iter().copied().filter(|kind| kind.family() == Family::Change);
    let (kinds, bodies): (Vec<u16>, Vec<Vec<u8>>) =
        changes.map(|kind| (kind.number(), sample(kind).written().unwrap())).unzip();
    let make = |chance: &mut SeededChance| {
        let which = below(chance, bodies.len());
        let mut body = bodies[which].clone();
        bend(&mut body, &bodies, chance);
        [&kinds[which].to_le_bytes()[..], &body].concat()
    };
    fuzz("stored", make, |bytes| {
        let (kind, body) = bytes.split_first_chunk().unwrap();
        let kind = u16::from_le_bytes(*kind);
        let Ok(Some(change)) = Change::decode(kind, body) else { return false };
        assert_eq!(Change::decode(kind, &change.encode().unwrap()), Ok(Some(change)));
        true
    });
}

#[test]
fn messages_on_the_shelf() {
    let honest = Honest::of(|kind| kind == Kind::Post);
    let refused = Honest::of(|kind| kind == Kind::Refused);
    let make = |chance: &mut SeededChance| {
        let mut head = vec![0; 1 + 16 + 8 + 4];
        chance.fill(&mut head);
        head[0] = u8::try_from(chance.below(16).min(2)).unwrap();
        if head[0] == 2 && chance.below(8) > 0 {
            let said = refused.frame(chance);
            head.extend(u16::try_from(said.len()).unwrap().to_le_bytes());
            head.extend(said);
        }
        [head, honest.frame(chance)].concat()
    };
    fuzz("shelf", make, |bytes| {
        let Some(kept) = Kept::from_bytes(bytes) else { return false };
        assert_eq!(Kept::from_bytes(&kept.to_bytes().unwrap()), Some(kept));
        true
    });
}

#[test]
fn pages_in_the_cache() {
    let honest = Honest::of(|kind| kind == Kind::Reset);
    let make = |chance: &mut SeededChance| {
        let mut head = vec![0; 1 + 16 + 8];
        chance.fill(&mut head);
        head[0] = u8::from(chance.below(16) > 0);
        [head, honest.frame(chance)].concat()
    };
    fuzz("cache", make, |bytes| {
        let Some(page) = Cached::from_bytes(bytes) else { return false };
        assert_eq!(Cached::from_bytes(&page.clone().into_bytes().unwrap()), Some(page));
        true
    });
}

#[test]
fn what_a_page_hands_to_its_script() {
    let Sample::Event(Event::Reset(reset)) = sample(Kind::Reset) else { panic!("a reset") };
    let honest = encode_text(&reset.snapshot.expect("the sample has one")).unwrap().into_bytes();
    let others = [honest.clone()];
    let make = |chance: &mut SeededChance| {
        let mut text = honest.clone();
        bend(&mut text, &others, chance);
        text
    };
    fuzz("handed", make, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let Ok(snapshot) = decode_text::<Snapshot>(&text) else { return false };
        assert_eq!(decode_text::<Snapshot>(&encode_text(&snapshot).unwrap()), Ok(snapshot));
        true
    });
}
