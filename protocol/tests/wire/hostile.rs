//! Bytes that somebody made to hurt: each is refused by its name, or decodes; none panics.
//!
//! Natively every decode is measured by a counting allocator (one a thread), so that a fixed
//! allocation is a fact: nothing at all before header and checksum are good, and never more than
//! the memory bound of the direction. Frames here carry a right checksum, because a checksum stops
//! bugs and bad proxies, not attackers.

use proptest::prelude::*;
use protocol::codec::{FLAG_LZ4, Header, VERSION, decode_command, decode_event};
use protocol::frame::{Change, Family, Kind};
use protocol::limits::{COMMAND_MEMORY_MAX, EVENT_MEMORY_MAX, HEADER_BYTES};
use protocol::refusal::Fault;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::arbitrary::any_of;
use crate::golden::{from_hex, golden};
use crate::roundtrip::runner;
use crate::samples::{Sample, read};

/// Runs a decoder and gives what it answered and the most memory that it held.
#[cfg(not(target_arch = "wasm32"))]
fn measured<T>(decode: impl FnOnce() -> T) -> (T, usize) {
    let mut answer = None;
    let used = allocation_counter::measure(|| answer = Some(decode()));
    (answer.unwrap(), usize::try_from(used.bytes_max).unwrap())
}

/// Without a counting allocator the answer alone is checked.
#[cfg(target_arch = "wasm32")]
fn measured<T>(decode: impl FnOnce() -> T) -> (T, usize) {
    (decode(), 0)
}

/// Reads bytes as the end does that is spoken to, and holds it to its memory bound.
fn read_bounded(kind: Kind, bytes: &[u8]) -> Result<Option<Sample>, Fault> {
    let (answer, bytes_held) = measured(|| read(kind, bytes));
    let bytes_held_max = match kind.family() {
        Family::Command | Family::Act => COMMAND_MEMORY_MAX,
        Family::Event | Family::Change => EVENT_MEMORY_MAX,
    };
    assert!(bytes_held <= bytes_held_max, "{bytes_held} bytes for a {}", kind.name());
    answer
}

/// A frame with a right checksum around whatever body and length are given.
fn framed(kind: u16, flags: u8, raw_bytes: u32, body: &[u8]) -> Vec<u8> {
    let unsigned = Header { version: VERSION, flags, kind, raw_bytes, checksum: 0 };
    let [k0, k1] = kind.to_le_bytes();
    let [l0, l1, l2, l3] = raw_bytes.to_le_bytes();
    let [c0, c1, c2, c3] = unsigned.expected_checksum(body).to_le_bytes();
    [&[VERSION, flags, k0, k1, l0, l1, l2, l3, c0, c1, c2, c3], body].concat()
}

/// The bytes of a kind with another body: an honest frame, or the body itself for a change.
fn with_body(kind: Kind, body: &[u8]) -> Vec<u8> {
    if kind.family() == Family::Change {
        return body.to_vec();
    }
    framed(kind.number(), 0, u32::try_from(body.len()).unwrap(), body)
}

/// The golden body of a kind, without the frame around it.
fn golden_body(kind: Kind) -> Vec<u8> {
    let mut bytes = golden(kind);
    if kind.family() != Family::Change {
        bytes.drain(..HEADER_BYTES);
    }
    bytes
}

fn frame_kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|kind| kind.family() != Family::Change)
}

#[test]
fn twelve_bytes_that_claim_two_gigabytes_take_no_memory() {
    for kind in frame_kinds() {
        for flags in [0, FLAG_LZ4] {
            let frame = framed(kind.number(), flags, 0x7fff_ffff, &[]);
            assert_eq!(frame.len(), 12);
            assert_eq!(measured(|| decode_command(&frame)), (Err(Fault::TooLong), 0));
            assert_eq!(measured(|| decode_event(&frame)), (Err(Fault::TooLong), 0));
        }
    }
}

/// An LZ4 block that is one byte and then itself again, `bytes` long when it is unpacked: 255
/// times smaller than that, which is the most that the format can do.
fn bomb(bytes: usize) -> Vec<u8> {
    let mut block = vec![0x1f, 1, 1, 0];
    let repeats = bytes - 1 - 19 - 5;
    block.extend(std::iter::repeat_n(255, repeats / 255));
    block.push(u8::try_from(repeats % 255).unwrap());
    block.extend([0x50, 1, 1, 1, 1, 1]);
    block
}

#[test]
fn a_bomb_is_unpacked_only_as_far_as_it_honestly_says() {
    let block = bomb(16 * 1024 * 1024);
    assert!(block.len() < 66_000);
    let post = Kind::Post.number();
    let true_length = framed(post, FLAG_LZ4, 16 * 1024 * 1024, &block);
    assert_eq!(measured(|| decode_command(&true_length)), (Err(Fault::TooLong), 0));

    let small_length = framed(post, FLAG_LZ4, 65_536, &block);
    assert_eq!(read_bounded(Kind::Post, &small_length), Err(Fault::Compression));

    let too_good = framed(post, FLAG_LZ4, 65_536, &bomb(65_536)[..200]);
    assert_eq!(measured(|| decode_command(&too_good)), (Err(Fault::Length), 0));

    let honest = framed(post, FLAG_LZ4, 65_536, &bomb(65_536));
    assert_eq!(read_bounded(Kind::Post, &honest), Err(Fault::Trailing), "it does unpack");
    let longer = framed(post, FLAG_LZ4, 65_535, &bomb(65_536));
    assert_eq!(read_bounded(Kind::Post, &longer), Err(Fault::Compression));
    let shorter = framed(post, FLAG_LZ4, 65_536, &bomb(65_535));
    assert_eq!(read_bounded(Kind::Post, &shorter), Err(Fault::Compression));
}

#[test]
fn every_single_flipped_bit_is_refused_before_memory_is_taken() {
    let mut frames: Vec<Vec<u8>> = frame_kinds().map(golden).collect();
    frames.push(from_hex(include_str!("compressed.hex")));
    for frame in frames {
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (command, command_bytes) = measured(|| decode_command(&flipped));
            let (event, event_bytes) = measured(|| decode_event(&flipped));
            assert!(command.is_err() && event.is_err(), "bit {bit} of {frame:02x?}");
            assert_eq!((command_bytes, event_bytes), (0, 0));
        }
    }
}

#[test]
fn something_behind_the_end_is_refused() {
    for kind in Kind::ALL {
        let body = [golden_body(*kind), vec![0]].concat();
        assert_eq!(read_bounded(*kind, &with_body(*kind, &body)), Err(Fault::Trailing));
    }
    for kind in frame_kinds() {
        let frame = [golden(kind), vec![0]].concat();
        assert_eq!(read_bounded(kind, &frame), Err(Fault::Length));
    }
    let frame = from_hex(include_str!("compressed.hex"));
    let (header, block) = Header::read(&frame).unwrap();
    for trailing in 0..=u8::MAX {
        let block = [block, &[trailing]].concat();
        let frame = framed(header.kind, header.flags, header.raw_bytes, &block);
        assert_eq!(read_bounded(Kind::Post, &frame), Err(Fault::Compression), "{trailing}");
    }
}

#[test]
fn whatever_ends_too_early_is_refused() {
    for kind in Kind::ALL {
        let body = golden_body(*kind);
        for end in 0..body.len() {
            let cut = with_body(*kind, &body[..end]);
            assert_eq!(read_bounded(*kind, &cut), Err(Fault::Body), "{} at {end}", kind.name());
        }
    }
    for kind in frame_kinds() {
        let frame = golden(kind);
        for end in 0..frame.len() {
            let fault = if end < HEADER_BYTES { Fault::TooShort } else { Fault::Length };
            assert_eq!(measured(|| read(kind, &frame[..end])), (Err(fault), 0));
        }
    }
}

#[test]
fn a_length_that_lies_takes_no_more_than_the_bound() {
    let lies: [&[u8]; 7] = [
        &[250],
        &[251, 0xff, 0xff],
        &[252, 0xff, 0xff, 0xff, 0x7f],
        &[252, 0xff, 0xff, 0xff, 0xff],
        &[253, 0, 0, 0, 0, 1, 0, 0, 0],
        &[253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[254, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    for kind in Kind::ALL {
        let body = golden_body(*kind);
        for at in 0..body.len() {
            for lie in lies {
                let inserted = [&body[..at], lie, &body[at + 1..]].concat();
                let short = [&body[..at], lie].concat();
                let _ = read_bounded(*kind, &with_body(*kind, &inserted));
                let _ = read_bounded(*kind, &with_body(*kind, &short));
            }
        }
    }
}

#[test]
fn no_memory_is_taken_for_bytes_that_are_not_there_or_are_no_text() {
    let text =
        with_body(Kind::Post, &[&golden_body(Kind::Post)[..34], &[251, 0x40, 0x9c]].concat());
    assert_eq!(measured(|| read(Kind::Post, &text)), (Err(Fault::Body), 0));
    let list = with_body(Kind::Ping, &[1, 64, 1, 1]);
    assert_eq!(measured(|| read(Kind::Ping, &list)), (Err(Fault::Body), 0));
    let body = golden_body(Kind::Joined);
    let broken = [&body[..1], &[0xff], &body[2..]].concat();
    let change = || Change::decode(Kind::Joined.number(), &broken);
    assert_eq!(measured(change), (Err(Fault::Body), 0));
}

#[test]
fn a_frame_of_the_other_direction_is_refused() {
    for kind in frame_kinds() {
        let frame = golden(kind);
        let answer = match kind.family() {
            Family::Event => decode_command(&frame).map(drop),
            _ => decode_event(&frame).map(drop),
        };
        assert_eq!(answer, Err(Fault::WrongWay), "{}", kind.name());
    }
    for kind in Kind::ALL.iter().filter(|kind| kind.family() == Family::Change) {
        let frame = framed(kind.number(), 0, 0, &[]);
        assert_eq!(decode_command(&frame), Err(Fault::WrongWay));
        assert_eq!(decode_event(&frame), Err(Fault::WrongWay));
    }
}

#[test]
fn an_unknown_kind_is_refused_by_the_server_and_passed_over_by_the_client() {
    let unknown = (0..=u16::MAX).filter(|number| Kind::from_number(*number).is_none());
    for number in unknown {
        let frame = framed(number, 0, 3, b"abc");
        assert_eq!(decode_command(&frame), Err(Fault::UnknownKind));
        assert_eq!(decode_event(&frame), Ok(None));
        assert_eq!(Change::decode(number, b"abc"), Ok(None));
    }
}

#[test]
fn another_version_and_unknown_flags_are_refused_by_name() {
    let frame = golden(Kind::Probe);
    for byte in (0..=u8::MAX).filter(|byte| *byte != VERSION) {
        let other = [&[byte], &frame[1..]].concat();
        assert_eq!(measured(|| decode_command(&other)), (Err(Fault::Version), 0));
    }
    for flags in 2..=u8::MAX {
        let other = framed(Kind::Probe.number(), flags, 1, &[9]);
        assert_eq!(measured(|| decode_command(&other)), (Err(Fault::Flags), 0));
    }
}

#[test]
fn any_bytes_decode_or_are_refused_in_bounded_memory() {
    let strategy = (prop::collection::vec(any::<u8>(), 0..600), any::<u16>(), any::<u32>());
    for kind in Kind::ALL {
        runner()
            .run(&strategy, |(bytes, flips, raw_bytes)| {
                let _ = read_bounded(*kind, &bytes);
                let _ = read_bounded(*kind, &with_body(*kind, &bytes));
                let claimed = raw_bytes % 200_000;
                let _ = read_bounded(*kind, &framed(kind.number(), FLAG_LZ4, claimed, &bytes));
                let mut body = golden_body(*kind);
                let at = usize::from(flips) % body.len();
                body[at] = bytes.first().copied().unwrap_or_default();
                let _ = read_bounded(*kind, &with_body(*kind, &body));
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn the_longest_honest_values_stay_within_the_bound_of_memory() {
    for kind in Kind::ALL {
        runner()
            .run(&any_of(*kind), |value| {
                if let Some(bytes) = value.written() {
                    let read = read_bounded(*kind, &bytes);
                    prop_assert_eq!(read, Ok(Some(value)));
                }
                Ok(())
            })
            .unwrap();
    }
}
