//! The reader alone: what a socket cannot show, and that no division of the bytes matters.
//!
//! The cases of RFC 6455 by number stand in `tests/it/http_frames.rs`, over a real socket.

use proptest::prelude::*;

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame; `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(MASKED | u8::try_from(short).unwrap()),
        medium @ 126..65_536 => {
            bytes.push(MASKED | LENGTH_16);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(MASKED | LENGTH_64);
            bytes.extend(u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// All that is heard when the bytes come in pieces of these lengths, over and over.
fn heard_in(bytes: &[u8], pieces: &[usize]) -> Vec<Heard> {
    let (mut reader, mut heard) = (Reader::new(), Vec::new());
    let mut rest = bytes;
    for length in pieces.iter().cycle() {
        let (mut piece, behind) =
            rest.split_at((*length).clamp(1, rest.len().max(1)).min(rest.len()));
        rest = behind;
        while !piece.is_empty() {
            let (taken, one) = reader.feed(piece);
            piece = &piece[taken..];
            heard.extend(one);
        }
        if rest.is_empty() {
            return heard;
        }
    }
    heard
}

#[test]
fn the_example_of_the_rfc_is_understood() {
    let hello = [0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(heard_in(&hello, &[hello.len()]), [Heard::Message(b"Hello".to_vec())]);
}

#[test]
fn nothing_is_kept_of_what_was_handed_on() {
    let mut reader = Reader::new();
    let bytes = [frame(0x82, &[7; 60_000]), frame(0x89, b"ping"), frame(0x8a, b"pong")].concat();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        rest = &rest[reader.feed(rest).0..];
    }
    assert_eq!((reader.message.capacity(), reader.control.capacity()), (0, 0));
}

#[test]
fn a_claimed_length_costs_nothing_before_its_bytes_come() {
    let mut reader = Reader::new();
    reader.feed(&frame(0x82, &[0; 65_536])[..20]);
    assert!(reader.message.capacity() < 64, "{}", reader.message.capacity());
}

#[test]
fn behind_the_last_word_nothing_is_heard() {
    let bytes = [frame(0x88, &[3, 232]), frame(0x82, b"late")].concat();
    assert_eq!(heard_in(&bytes, &[3]), [Heard::Closed(CloseCode::NORMAL)]);
}

#[test]
fn an_idle_reader_is_small() {
    assert!(size_of::<Reader>() <= 112, "{} bytes", size_of::<Reader>());
}

/// Frames as clients send them, and sometimes not.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x82_u8, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => any::<u8>(),
    ];
    let length = prop_oneof![0_usize..10, 120_usize..130, 65_530_usize..65_540];
    (first, length).prop_map(|(first, length)| frame(first, &vec![first; length]))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn frames_are_heard_alike_however_they_are_cut(
        frames in prop::collection::vec(any_frame(), 1..12),
        pieces in prop::collection::vec(1_usize..70_000, 1..8),
    ) {
        let bytes = frames.concat();
        let whole = heard_in(&bytes, &[bytes.len()]);
        prop_assert_eq!(&heard_in(&bytes, &[1]), &whole);
        prop_assert_eq!(&heard_in(&bytes, &pieces), &whole);
    }

    #[test]
    fn any_bytes_are_heard_alike_however_they_are_cut(
        bytes in prop::collection::vec(any::<u8>(), 1..400),
        pieces in prop::collection::vec(1_usize..20, 1..8),
    ) {
        prop_assert_eq!(heard_in(&bytes, &pieces), heard_in(&bytes, &[bytes.len()]));
    }

    #[test]
    fn a_message_arrives_whole_in_any_fragments(
        text in prop::collection::vec(any::<u8>(), 0..2_000),
        cuts in prop::collection::vec(0_usize..400, 0..8),
    ) {
        let mut bytes = Vec::new();
        let mut rest = &text[..];
        let mut first = 0x02;
        for cut in cuts {
            let (fragment, behind) = rest.split_at(cut.min(rest.len()));
            bytes.extend(frame(first, fragment));
            bytes.extend(frame(0x89, b"between"));
            (rest, first) = (behind, 0x00);
        }
        bytes.extend(frame(FINAL | first, rest));
        let messages: Vec<_> = heard_in(&bytes, &[bytes.len()])
            .into_iter()
            .filter(|heard| !matches!(heard, Heard::Ping(_)))
            .collect();
        prop_assert_eq!(messages, [Heard::Message(text)]);
    }
}
