//! Expected failure, typed and on the wire: what was understood and is not done, and why.
//!
//! A `Refusal` is for ever: the op it answers is stored as refused and can never succeed later. A
//! `RetryReason` comes with a time. A `Fault` names what is wrong with a frame. Everything else
//! that fails is the server's own and shows itself as a closed connection.

use std::fmt;

use bincode::{Decode, Encode};

/// Why an op will not be done. Only appended to, never reordered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Refusal {
    /// A text or name has nothing to show in it.
    Empty,
    /// A text or name has too many characters.
    TooLong {
        /// The most it may have.
        chars_max: u32,
    },
    /// A name or key holds what none may hold.
    BadName,
    /// There is no such room, or it is not open to this user: which of the two is not told.
    NotMember,
    /// A member, but this act is for others.
    NotAllowed,
    /// The op id was used before for something else.
    OpIdReused,
    /// The user is in as many rooms as he may be.
    TooManyRooms {
        /// How many that are.
        rooms_max: u32,
    },
    /// The account may do nothing any more.
    AccountDisabled,
    /// Asked with `check_only`, and the op is not stored.
    Unknown,
    /// The op waited longer than its outbox keeps ops.
    Expired,
    /// The server cannot store it, although it may be done: a fault of the server's own.
    NotStorable,
    /// Its frame is longer than the way to the server takes.
    TooBig,
}

/// Why an op is not done now. Only appended to, never reordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum RetryReason {
    /// A queue is full.
    Busy,
    /// The user, or the room, sends too fast.
    Rate,
    /// The database does not answer.
    Unavailable,
    /// The disk is full.
    DiskFull,
    /// The server is stopping.
    Draining,
}

/// What is wrong with a frame. Only appended to, never reordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Fault {
    /// Shorter than a header.
    TooShort,
    /// Of a version that is not spoken here.
    Version,
    /// With a flag that is not known.
    Flags,
    /// Its length is above the bound for its direction.
    TooLong,
    /// Its length does not fit the bytes that came.
    Length,
    /// Its checksum is wrong.
    Checksum,
    /// Its compressed body is broken, or is not as long as it says.
    Compression,
    /// Of a kind that is not known.
    UnknownKind,
    /// Of a kind that the other end says.
    WrongWay,
    /// Its body is not what its kind says.
    Body,
    /// Something stands behind its body.
    Trailing,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "the frame is shorter than its header",
            Self::Version => "the frame is of a version that is not spoken here",
            Self::Flags => "the frame has a flag that is not known",
            Self::TooLong => "the frame's length is above its bound",
            Self::Length => "the frame's length does not fit its bytes",
            Self::Checksum => "the frame's checksum is wrong",
            Self::Compression => "the frame's compressed body is broken",
            Self::UnknownKind => "the frame is of an unknown kind",
            Self::WrongWay => "the frame is of a kind that the other end says",
            Self::Body => "the frame's body is not what its kind says",
            Self::Trailing => "something stands behind the frame's body",
        })
    }
}

impl std::error::Error for Fault {}
