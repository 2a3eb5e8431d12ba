//! How honest bytes are bent: by bits, by numbers at their edges, by pieces of others.
//!
//! Used by every target that eats bytes; knows how numbers are written on the wire, and nothing else
//! of it.

use server::clock::{Chance, SeededChance};

use crate::below;

/// Bytes at which something changes: bincode's marks of longer numbers among them.
const EDGES: [u8; 12] = [0, 1, 2, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0xc0];
/// Numbers at which something changes.
const NUMBERS: [u64; 16] = [
    0,
    1,
    63,
    64,
    100,
    250,
    251,
    1 << 16,
    48 * 1024,
    (1 << 16) + 1,
    (1 << 31) - 1,
    1 << 32,
    (1 << 53) - 1,
    1 << 53,
    1 << 63,
    u64::MAX,
];

/// Bends the bytes a little, a few times.
pub(crate) fn bend(bytes: &mut Vec<u8>, others: &[Vec<u8>], chance: &mut SeededChance) {
    for _ in 0..=below(chance, 4) {
        bend_once(bytes, others, chance);
    }
}

fn bend_once(bytes: &mut Vec<u8>, others: &[Vec<u8>], chance: &mut SeededChance) {
    let at = below(chance, bytes.len() + 1);
    match (below(chance, 10), bytes.get_mut(at)) {
        (0..=1, Some(byte)) => *byte ^= 1 << below(chance, 8),
        (2..=3, Some(byte)) => *byte = EDGES[below(chance, EDGES.len())],
        (4, _) => bytes.truncate(at),
        (5, _) => {
            let count = below(chance, 9);
            let more: Vec<u8> = (0..count).map(|_| EDGES[below(chance, EDGES.len())]).collect();
            bytes.splice(at..at, more);
        }
        (6, _) => {
            let end = (at + below(chance, 16)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            let to = below(chance, bytes.len() + 1);
            bytes.splice(to..to, piece);
        }
        (7, _) => {
            let other = &others[below(chance, others.len())];
            let from = below(chance, other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        (8, _) => {
            let end = (at + below(chance, 16)).min(bytes.len());
            bytes.drain(at..end);
        }
        _ => {
            let end = (at + 1 + below(chance, 3)).min(bytes.len());
            bytes.splice(at..end, written(NUMBERS[below(chance, NUMBERS.len())], chance));
        }
    }
}

/// A number as bincode writes it, at times longer than it has to be.
fn written(number: u64, chance: &mut SeededChance) -> Vec<u8> {
    let long = chance.below(8) == 0;
    let bytes = number.to_le_bytes();
    let (mark, length) = match number {
        0..=250 if !long => (None, 1),
        0..=0xffff if !long => (Some(251), 2),
        0..=0xffff_ffff if !long => (Some(252), 4),
        _ => (Some(253), 8),
    };
    mark.into_iter().chain(bytes[..length].iter().copied()).collect()
}
