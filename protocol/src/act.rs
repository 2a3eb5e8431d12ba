//! What a user does that lasts: one type a kind of act, and the op that carries it.
//!
//! An op is made once, where the user acts, under an `OpId`; however often it is sent, it has at
//! most one effect. Acts name a room by its id, but where the room may not exist yet by its key.

use bincode::{Decode, Encode};

pub use crate::frame::Act;
use crate::frame::Kind;
use crate::ids::{LogId, OpId, RoomId, UserId};
use crate::model::{DisplayName, MessageText, RoomKey, RoomName, Topic};

/// What stands before the act in an op's frame; no part of what the act is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct OpHead {
    /// The act's own key.
    pub op_id: OpId,
    /// The generation of the lane it is sent in; one that is void is dropped without an answer.
    pub lane_generation: u32,
    /// Ask only whether the op is stored; do nothing if it is not.
    pub check_only: bool,
}

/// One act of one user under its own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// Its key, which makes resending safe.
    pub op_id: OpId,
    /// What is to be done.
    pub act: Act,
}

/// Write a message into a room.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Post {
    /// The room.
    pub room: RoomId,
    /// What is written; line ends are LF.
    pub text: MessageText,
}

/// Make a room; the server makes its key from the name and the user its owner.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Create {
    /// How it is to be called.
    pub name: RoomName,
}

/// Become a member of the room with this key; a room that nobody made yet is made.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Enter {
    /// The room's address.
    pub key: RoomKey,
}

/// Stop being a member of a room.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Leave {
    /// The room.
    pub room: RoomId,
}

/// Give a room another name and topic.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Configure {
    /// The room.
    pub room: RoomId,
    /// How it is to be called.
    pub name: RoomName,
    /// What it is about; empty for nothing.
    pub topic: Topic,
}

/// Be called otherwise from now on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Rename {
    /// The new name.
    pub name: DisplayName,
}

/// What is sent in the order in which it was made: the acts to one room, or those of the user's own
/// that are of one kind, since of these no kind needs another to be done first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Strand {
    /// The log that the acts go to.
    pub log: LogId,
    /// Their kind, where the log is the user's own.
    pub kind: Option<Kind>,
}

/// The acts of a user's own.
pub const OWN_KINDS: [Kind; 3] = [Kind::Create, Kind::Enter, Kind::Rename];

impl Act {
    /// The strand the act is sent in.
    #[must_use]
    pub fn strand(&self, user: UserId) -> Strand {
        let log = self.log(user);
        Strand { log, kind: log.room().is_none().then(|| self.kind()) }
    }

    /// The log the act goes to: its room's, else the user's own.
    #[must_use]
    pub fn log(&self, user: UserId) -> LogId {
        match self {
            Self::Post(Post { room, .. })
            | Self::Leave(Leave { room })
            | Self::Configure(Configure { room, .. }) => room.log(),
            Self::Create(_) | Self::Enter(_) | Self::Rename(_) => user.log(),
        }
    }
}
