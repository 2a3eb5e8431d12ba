//! Names of things: 16 raw bytes on the wire, hyphenated hexadecimal for people and in JSON.
//!
//! All of them are UUIDs; those that a client or the server makes are of version 7 (RFC 9562),
//! whose first 48 bits are a time. No identifier is ever read for its time: order is the log's.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};

/// A text that is no identifier: 32 hexadecimal digits are expected, hyphens are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an identifier is 32 hexadecimal digits")
    }
}

impl std::error::Error for NotAnId {}

fn write_hyphenated(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

fn parse_hyphenated(text: &str) -> Result<[u8; 16], NotAnId> {
    let mut value: u128 = 0;
    let mut digit_count = 0;
    for character in text.chars().filter(|character| *character != '-') {
        let digit = character.to_digit(16).ok_or(NotAnId)?;
        digit_count += 1;
        if digit_count > 32 {
            return Err(NotAnId);
        }
        value = (value << 4) | u128::from(digit);
    }
    if digit_count == 32 { Ok(value.to_be_bytes()) } else { Err(NotAnId) }
}

/// Lays a UUID of version 7 from a time in Unix milliseconds and ten bytes of chance.
const fn version_7(at_ms: i64, chance: [u8; 10]) -> [u8; 16] {
    let [_, _, t0, t1, t2, t3, t4, t5] = at_ms.to_be_bytes();
    let [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9] = chance;
    let (version, variant) = (0x70 | (c0 & 0x0f), 0x80 | (c2 & 0x3f));
    [t0, t1, t2, t3, t4, t5, version, c1, variant, c3, c4, c5, c6, c7, c8, c9]
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identifier of nothing: sixteen zeros.
            pub const NIL: Self = Self([0; 16]);

            /// Takes the sixteen bytes as they are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Makes a version 7 identifier; `at_ms` is Unix time in milliseconds.
            #[must_use]
            pub const fn make(at_ms: i64, chance: [u8; 10]) -> Self {
                Self(version_7(at_ms, chance))
            }

            /// The sixteen bytes.
            #[must_use]
            pub const fn bytes(&self) -> [u8; 16] {
                self.0
            }

            /// Whether this names nothing.
            #[must_use]
            pub fn is_nil(&self) -> bool {
                *self == Self::NIL
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hyphenated(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse_hyphenated(text).map(Self)
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

identifiers! {
    /// A room, for as long as it exists; its address is its key.
    RoomId;
    /// An account; guests and bots are kinds of user.
    UserId;
    /// One act of one user, made once where he acts, before the first send: it makes resending safe.
    OpId;
    /// One event of a log, made by the server at the commit; its low eight bytes are the tag.
    EventId;
    /// One outbox: each page load has its own.
    DeviceId;
    /// One page load, held in memory only, so that a duplicated tab is another page.
    PageId;
}

impl EventId {
    /// The piece of the id that a cursor carries: its low eight bytes, little-endian.
    #[must_use]
    pub const fn tag(&self) -> u64 {
        let [_, _, _, _, _, _, _, _, a, b, c, d, e, f, g, h] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl RoomId {
    /// The log that holds the room's events.
    #[must_use]
    pub const fn log(self) -> LogId {
        LogId { kind: LogKind::Room, id: self.0 }
    }
}

impl UserId {
    /// The log that holds what concerns this user alone.
    #[must_use]
    pub const fn log(self) -> LogId {
        LogId { kind: LogKind::User, id: self.0 }
    }
}

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum LogKind {
    /// Everything that lasts in a room.
    Room,
    /// What one user alone sees: rooms joined and left, his name.
    User,
}

/// One numbered, ordered record: a room's or a user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct LogId {
    /// Whose it is.
    pub kind: LogKind,
    /// The room's or the user's id; the two never share one.
    pub id: [u8; 16],
}

impl LogId {
    /// The room whose log this is.
    #[must_use]
    pub fn room(self) -> Option<RoomId> {
        (self.kind == LogKind::Room).then_some(RoomId(self.id))
    }

    /// The user whose log this is.
    #[must_use]
    pub fn user(self) -> Option<UserId> {
        (self.kind == LogKind::User).then_some(UserId(self.id))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn an_id_is_read_back_from_what_it_shows() {
        let id = OpId::make(1_732_000_000_000, [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.bytes()[6] >> 4, 7, "version");
        assert_eq!(id.bytes()[8] >> 6, 2, "variant");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "1", "g2345678-1234-1234-1234-123456789012", &"0".repeat(33)] {
            assert_eq!(text.parse::<RoomId>(), Err(NotAnId), "{text}");
        }
    }

    #[test]
    fn the_tag_is_the_low_half_of_the_id() {
        let id = EventId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(id.tag(), 0x0200_0000_0000_0001);
    }
}
