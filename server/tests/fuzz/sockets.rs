//! The bytes of a socket before they are messages: whole, in pieces, bent.
//!
//! What is heard must not depend on how the bytes were divided, and nothing is heard behind the end.

use protocol::limits::MESSAGE_BYTES_MAX;
use server::clock::{Chance, SeededChance};
use server::socket::reader::{Heard, Reader};

use crate::mutate::bend;
use crate::{below, fuzz};

/// First bytes as clients send them: whole and begun messages, what continues them, pings, closes.
const FIRSTS: [u8; 10] = [0x82, 0x82, 0x82, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88, 0x81];
const LENGTHS: [usize; 12] = [0, 1, 2, 5, 60, 124, 125, 126, 127, 200, 2, 3];

fn frames(chance: &mut SeededChance) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=below(chance, 5) {
        let length = match chance.below(8_000) {
            0 => MESSAGE_BYTES_MAX + below(chance, 3) - 1,
            _ => LENGTHS[below(chance, LENGTHS.len())],
        };
        frame(&mut bytes, FIRSTS[below(chance, FIRSTS.len())], length, chance);
    }
    if chance.below(3) > 0 {
        let others = [bytes.clone()];
        bend(&mut bytes, &others, chance);
    }
    bytes
}

fn frame(bytes: &mut Vec<u8>, first: u8, length: usize, chance: &mut SeededChance) {
    bytes.push(first);
    match length {
        0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    let mask = u32::try_from(chance.below(1 << 32)).unwrap().to_be_bytes();
    bytes.extend(mask);
    // A close says a good code: what is bent says others.
    let payload = [3, 232].into_iter().chain(b"a reason".iter().copied().cycle()).take(length);
    bytes.extend(payload.zip(mask.into_iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// All that is heard when the bytes come in pieces of these lengths.
fn heard(bytes: &[u8], mut piece_bytes: impl FnMut() -> usize) -> Vec<Heard> {
    let (mut reader, mut heard, mut rest) = (Reader::new(), Vec::new(), bytes);
    while !rest.is_empty() {
        let (mut piece, behind) = rest.split_at(piece_bytes().clamp(1, rest.len()));
        rest = behind;
        while !piece.is_empty() {
            let (taken, one) = reader.feed(piece);
            assert!(taken > 0 || one.is_some(), "it stands still");
            piece = &piece[taken..];
            heard.extend(one);
        }
    }
    heard
}

#[test]
fn a_socket() {
    fuzz("socket", frames, |bytes| {
        let whole = heard(bytes, || usize::MAX);
        let mut chance = SeededChance::new(u64::try_from(bytes.len()).unwrap());
        assert_eq!(heard(bytes, || 1 + below(&mut chance, 40)), whole);
        let end = |one: &Heard| matches!(one, Heard::Closed(_) | Heard::Fault(_));
        let ends = whole.iter().position(end).map_or(0, |at| whole.len() - at);
        assert!(ends <= 1, "{whole:?}");
        let fits = |one: &Heard| match one {
            Heard::Message(message) => message.len() <= MESSAGE_BYTES_MAX,
            Heard::Ping(ping) => ping.len() <= 125,
            _ => true,
        };
        assert!(whole.iter().all(fits));
        ends == 0
    });
}
