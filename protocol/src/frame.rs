//! The one table of kinds, for both directions, and the closed enums that it makes.
//!
//! Adding a verb is one row here and one type in its module. Numbers are only appended and never
//! reused; a released kind never changes its shape. What a frame looks like in bytes is `codec`'s.

use crate::act::{Configure, Create, Enter, Leave, OpHead, Post, Rename};
use crate::change::{
    Configured, Created, Joined, Left, Posted, Ranked, Renamed, RoomAdded, RoomRemoved,
};
use crate::codec::{decode_body, encode_body};
use crate::command::{Hello, History, PageAck, Pong, Probe, Sub, Typing, Unsub};
use crate::event::{
    Accepted, Drain, Faulty, Gone, Logged, Older, Page, Ping, Probed, RefuseRetry, Refused, Reset,
    Rooms, SubOk, Typists, Welcome,
};
use crate::limits::{COMMAND_MEMORY_MAX, EVENT_MEMORY_MAX};
use crate::refusal::Fault;

/// What a kind is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A client asks; nothing of it lasts.
    Command,
    /// A client acts; its body is an `OpHead` and the act.
    Act,
    /// The server says.
    Event,
    /// The body of a logged event, inside an `Envelope`; never a frame by itself.
    Change,
}

macro_rules! kinds {
    (
        commands { $($command_number:literal $command:ident)* }
        acts { $($act_number:literal $act:ident)* }
        events { $($event_number:literal $event:ident)* }
        changes { $($change_number:literal $change:ident)* }
    ) => {
        /// The kind of a frame or of a logged event's body.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = concat!("Number ", $command_number, ", a command.")] $command,)*
            $(#[doc = concat!("Number ", $act_number, ", an act.")] $act,)*
            $(#[doc = concat!("Number ", $event_number, ", an event.")] $event,)*
            $(#[doc = concat!("Number ", $change_number, ", a change.")] $change,)*
        }

        impl Kind {
            /// Every kind, by number.
            pub const ALL: &'static [Self] = &[
                $(Self::$command,)* $(Self::$act,)* $(Self::$event,)* $(Self::$change,)*
            ];

            /// The kind's number on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$command => $command_number,)*
                    $(Self::$act => $act_number,)*
                    $(Self::$event => $event_number,)*
                    $(Self::$change => $change_number,)*
                }
            }

            /// The kind with this number, if there is one.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($command_number => Some(Self::$command),)*
                    $($act_number => Some(Self::$act),)*
                    $($event_number => Some(Self::$event),)*
                    $($change_number => Some(Self::$change),)*
                    _ => None,
                }
            }

            /// The kind's name, as the documents write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$command => stringify!($command),)*
                    $(Self::$act => stringify!($act),)*
                    $(Self::$event => stringify!($event),)*
                    $(Self::$change => stringify!($change),)*
                }
            }

            /// What the kind is for.
            #[must_use]
            pub const fn family(self) -> Family {
                match self {
                    $(Self::$command => Family::Command,)*
                    $(Self::$act => Family::Act,)*
                    $(Self::$event => Family::Event,)*
                    $(Self::$change => Family::Change,)*
                }
            }
        }

        /// What a client asks.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Command {
            $(#[doc = concat!("See `command::", stringify!($command), "`.")] $command($command),)*
            /// An act of the user under its own key; the kind is the act's.
            Op(OpHead, Act),
        }

        impl Command {
            /// The kind of the frame that carries it.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$command(_) => Kind::$command,)*
                    Self::Op(_, act) => act.kind(),
                }
            }

            pub(crate) fn encode(&self) -> Result<Vec<u8>, bincode::error::EncodeError> {
                match self {
                    $(Self::$command(body) => encode_body(body),)*
                    Self::Op(head, act) => match act {
                        $(Act::$act(body) => encode_body((head, body)),)*
                    },
                }
            }

            pub(crate) fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, Fault> {
                match kind {
                    $(Kind::$command => {
                        decode_body::<_, COMMAND_MEMORY_MAX>(bytes).map(Self::$command)
                    })*
                    $(Kind::$act => {
                        let (head, body) = decode_body::<_, COMMAND_MEMORY_MAX>(bytes)?;
                        Ok(Self::Op(head, Act::$act(body)))
                    })*
                    $(Kind::$event)|* | $(Kind::$change)|* => Err(Fault::WrongWay),
                }
            }
        }

        /// What a user does that lasts.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Act {
            $(#[doc = concat!("See `act::", stringify!($act), "`.")] $act($act),)*
        }

        impl Act {
            /// The kind of the frame that carries it.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$act(_) => Kind::$act,)* }
            }

            /// The act's bytes in the one form that this code writes; what an op is compared by.
            pub fn canonical_bytes(&self) -> Result<Vec<u8>, bincode::error::EncodeError> {
                match self { $(Self::$act(body) => encode_body(body),)* }
            }
        }

        /// What the server says.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event {
            $(#[doc = concat!("See `event::", stringify!($event), "`.")] $event($event),)*
        }

        impl Event {
            /// The kind of the frame that carries it.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$event(_) => Kind::$event,)* }
            }

            pub(crate) fn encode(&self) -> Result<Vec<u8>, bincode::error::EncodeError> {
                match self { $(Self::$event(body) => encode_body(body),)* }
            }

            pub(crate) fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, Fault> {
                match kind {
                    $(Kind::$event => decode_body::<_, EVENT_MEMORY_MAX>(bytes).map(Self::$event),)*
                    $(Kind::$command)|* | $(Kind::$act)|* | $(Kind::$change)|* => Err(Fault::WrongWay),
                }
            }
        }

        /// What lasts: the body of a logged event.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Change {
            $(#[doc = concat!("See `change::", stringify!($change), "`.")] $change($change),)*
        }

        impl Change {
            /// The kind that stands in the envelope.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$change(_) => Kind::$change,)* }
            }

            /// The body's bytes, as they are stored and sent.
            pub fn encode(&self) -> Result<Vec<u8>, bincode::error::EncodeError> {
                match self { $(Self::$change(body) => encode_body(body),)* }
            }

            /// Reads a body of this kind; `None` for a kind that is not known here.
            pub fn decode(kind: u16, bytes: &[u8]) -> Result<Option<Self>, Fault> {
                match Kind::from_number(kind) {
                    $(Some(Kind::$change) => {
                        decode_body::<_, EVENT_MEMORY_MAX>(bytes).map(Self::$change).map(Some)
                    })*
                    _ => Ok(None),
                }
            }
        }
    };
}

kinds! {
    commands {
        1 Hello
        2 Sub
        3 Unsub
        4 PageAck
        5 Pong
        6 Probe
        7 Typing
        8 History
    }
    acts {
        16 Post
        17 Create
        18 Enter
        19 Leave
        20 Configure
        21 Rename
    }
    events {
        64 Welcome
        65 Rooms
        66 SubOk
        67 Reset
        68 Page
        69 Logged
        70 Gone
        71 Accepted
        72 Refused
        73 RefuseRetry
        74 Older
        75 Typists
        76 Ping
        77 Probed
        78 Drain
        79 Faulty
    }
    changes {
        128 Created
        129 Joined
        130 Left
        131 Posted
        132 Configured
        133 RoomAdded
        134 RoomRemoved
        135 Renamed
        136 Ranked
    }
}
