//! The bytes of every released kind, which must mean the same for ever.
//!
//! `protocol/golden/<Kind>.hex` holds a whole frame, or the stored body of a change, a field a line
//! with its name behind `#`. The files were written by an encoder of their own, so that a fault of
//! the codec cannot hide in both. A kind that was released never gets other bytes.

use protocol::codec::{FLAG_LZ4, Header, decode_command};
use protocol::event::{GoneReason, ResetReason};
use protocol::frame::{Family, Kind};
use protocol::ids::LogKind;
use protocol::limits::HEADER_BYTES;
use protocol::model::{Rank, Role};
use protocol::refusal::{Fault, Refusal, RetryReason};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::samples::{read, sample};

macro_rules! golden_files {
    ($($kind:ident)*) => {
        /// The text of a kind's golden file.
        fn golden_file(kind: Kind) -> &'static str {
            match kind {
                $(Kind::$kind => include_str!(
                    concat!("../../golden/", stringify!($kind), ".hex")
                ),)*
            }
        }
    };
}

golden_files! {
    Hello Sub Unsub PageAck Pong Probe Typing History
    Post Create Enter Leave Configure Rename
    Welcome Rooms SubOk Reset Page Logged Gone Accepted Refused RefuseRetry Older Typists Ping
    Probed Drain Faulty
    Created Joined Left Posted Configured RoomAdded RoomRemoved Renamed Ranked
}

/// Reads hexadecimal digits; what stands behind `#` on a line is for people.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .flat_map(|line| line.split('#').next().unwrap().chars())
        .filter(|character| !character.is_whitespace())
        .map(|digit| u8::try_from(digit.to_digit(16).expect("a hexadecimal digit")).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The golden bytes of a kind.
pub(crate) fn golden(kind: Kind) -> Vec<u8> {
    from_hex(golden_file(kind))
}

#[test]
fn the_golden_bytes_of_every_kind_decode_to_its_sample() {
    for kind in Kind::ALL {
        assert_eq!(read(*kind, &golden(*kind)), Ok(Some(sample(*kind))), "{}", kind.name());
    }
}

#[test]
fn every_sample_is_written_as_its_golden_bytes() {
    for kind in Kind::ALL {
        assert_eq!(sample(*kind).written(), Some(golden(*kind)), "{}", kind.name());
    }
}

#[test]
fn every_field_of_a_golden_file_has_a_line_and_a_name() {
    for line in Kind::ALL.iter().flat_map(|kind| golden_file(*kind).lines()) {
        let (digits, name) = line.split_once("  # ").expect(line);
        assert!(!digits.is_empty() && !name.is_empty(), "{line}");
    }
}

#[test]
fn kinds_are_numbered_once_and_by_family() {
    let mut seen = std::collections::BTreeSet::new();
    for kind in Kind::ALL {
        assert!(seen.insert(kind.number()), "{} shares its number", kind.name());
        assert_eq!(Kind::from_number(kind.number()), Some(*kind));
        let numbers = match kind.family() {
            Family::Command => 1..=15,
            Family::Act => 16..=63,
            Family::Event => 64..=127,
            Family::Change => 128..=u16::MAX,
        };
        assert!(numbers.contains(&kind.number()), "{} is out of its range", kind.name());
    }
}

/// A `Post` of four hundred letters, compressed by the reference encoder of LZ4: other encoders
/// write other blocks, and all of them are read.
const COMPRESSED: &str = include_str!("compressed.hex");

#[test]
fn a_compressed_frame_is_read_for_ever() {
    let frame = from_hex(COMPRESSED);
    let (header, _) = Header::read(&frame).unwrap();
    assert_eq!(header.flags, FLAG_LZ4);
    assert!(frame.len() - HEADER_BYTES < usize::try_from(header.raw_bytes).unwrap());
    let protocol::frame::Command::Op(_, act) = decode_command(&frame).unwrap() else {
        panic!("an op is expected");
    };
    let protocol::frame::Act::Post(post) = act else { panic!("a post is expected") };
    assert_eq!(&*post.text, "ab".repeat(200));
}

/// A list of an enumeration's variants that does not compile when one is missing, and the check
/// that each is written as the number it was released with.
macro_rules! numbers_hold {
    ($type:ident { $($number:literal $variant:ident $({ $field:ident: $value:literal })?,)* }) => {
        let listed = |value: &$type| match value {
            $($type::$variant $({ $field: _ })? => $number,)*
        };
        for value in [$($type::$variant $({ $field: $value })?,)*] {
            let bytes = bincode::encode_to_vec(&value, bincode::config::standard()).unwrap();
            assert_eq!(bytes[0], listed(&value), "{}::{value:?}", stringify!($type));
        }
    };
}

#[test]
fn the_variants_of_every_enumeration_keep_their_numbers() {
    numbers_hold!(LogKind { 0 Room, 1 User, });
    numbers_hold!(Rank { 0 Guest, 1 User, 2 Admin, 3 Owner, });
    numbers_hold!(Role { 0 Member, 1 Moderator, 2 Owner, });
    numbers_hold!(ResetReason { 0 FirstLoad, 1 Diverged, 2 TooOld, });
    numbers_hold!(GoneReason { 0 NotMember, 1 Ended, 2 Asked, 3 TooManyRooms { rooms_max: 9 }, });
    numbers_hold!(RetryReason { 0 Busy, 1 Rate, 2 Unavailable, 3 DiskFull, 4 Draining, });
    numbers_hold!(Refusal {
        0 Empty,
        1 TooLong { chars_max: 9 },
        2 BadName,
        3 NotMember,
        4 NotAllowed,
        5 OpIdReused,
        6 TooManyRooms { rooms_max: 9 },
        7 AccountDisabled,
        8 Unknown,
        9 Expired,
        10 NotStorable,
        11 TooBig,
    });
    numbers_hold!(Fault {
        0 TooShort,
        1 Version,
        2 Flags,
        3 TooLong,
        4 Length,
        5 Checksum,
        6 Compression,
        7 UnknownKind,
        8 WrongWay,
        9 Body,
        10 Trailing,
    });
}
