//! What a session is told and what it asks of the task around it.
//!
//! Made by `socket/connection.rs` and by the simulation, taken in by `Session::step`. Its law:
//! whatever has to be read, written or waited for is an output, and what came of it an input.

use protocol::close::CloseCode;
use protocol::cursor::Cursor;
use protocol::event::Event;
use protocol::frame::Command;
use protocol::ids::{LogId, OpId, PageId, RoomId, UserId};
use protocol::model::DisplayName;
use protocol::refusal::Fault;

use crate::history::{Admission, Arrival, Pending, SignInHash};
use crate::hub::Leave;
use crate::rooms::lane::Mark;
use crate::rooms::rates::SharedRates;
use crate::rooms::room::Reply;
use crate::rooms::task::TurnedAway;
use crate::throttle::Rate;

/// Whom a connection speaks for; made only where a sign-in was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub user: UserId,
    /// The sign-in that proves it.
    pub sign_in: SignInHash,
}

/// What a session is told at its beginning.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whom it speaks for.
    pub caller: Caller,
    /// How often that user may act.
    pub rates: SharedRates,
    /// Characters that a message may have.
    pub text_chars_max: u32,
    /// How fast its frames are read.
    pub frames: Rate,
    /// How often it may say that its user types.
    pub typing: Rate,
    /// What its random delays come from; no secret.
    pub seed: u64,
}

/// What happens to a session.
#[derive(Debug)]
pub enum Input {
    /// A frame that could be read; given only while `is_ready`.
    Command(Command),
    /// A frame that could not.
    Faulty {
        /// What is wrong with it.
        fault: Fault,
        /// The kind it named; 0 where it could not be read.
        kind: u16,
    },
    /// A ping or pong of the transport's own, which the task around answers.
    Sign,
    /// The answer to `Output::Arrive`.
    Arrived {
        /// What the user finds; nothing where the account is gone.
        arrival: Option<Box<Arrival>>,
        /// The time of day, for `Welcome`: all other times here are ticks.
        server_time: i64,
        /// Which build answers.
        build: &'static str,
    },
    /// The answer to `Output::Act`.
    Replied(Ticket, Reply),
    /// Another answer to `Output::Act`: the log did not take the op in.
    TurnedAway(Ticket, TurnedAway),
    /// Everybody is asked to go.
    Leave(Leave),
    /// Time has passed.
    Tick,
}

/// What a session asks of the task around it, to be carried out in order.
#[derive(Debug)]
pub enum Output {
    /// Send these before everything else.
    Greet(Vec<Event>),
    /// Send this.
    Answer(Event),
    /// Name the page in the register and read the user's arrival; no command until `Arrived`.
    Arrive {
        /// This page load.
        page: PageId,
        /// What the client knows of its user's log.
        cursor: Option<Cursor>,
    },
    /// Subscribe the user's own log under the number 0, as this admission says.
    SubscribeOwn {
        /// How the log stands to the cursor.
        admission: Admission,
        /// What the client knows of it.
        cursor: Option<Cursor>,
    },
    /// Read how the user stands to the room, then subscribe him or refuse him.
    Subscribe {
        /// The client's number of it.
        sub: u32,
        /// The room.
        room: RoomId,
        /// What the client knows of it.
        cursor: Option<Cursor>,
    },
    /// Tell the outlet that this subscription is not wanted any more.
    Unsubscribe(u32),
    /// Tell the outlet that a page arrived.
    PageAck(u32),
    /// Put the op into its lane's log's mailbox.
    Act(Ticket, Pending),
    /// Read older messages and answer with `Older`.
    Older(protocol::command::History),
    /// Tell the room's log, if the client is live there, who writes.
    Typing {
        /// The room.
        room: RoomId,
        /// How the user is called.
        name: DisplayName,
        /// Whether he writes still.
        active: bool,
    },
    /// Note that the sign-in is in use; close with `SIGNED_OUT` where it no longer stands, with
    /// `DISABLED` where the account may do nothing any more.
    NoteUse,
    /// Let the outlet send a `Ping` of this number.
    Ping(u32),
    /// End the connection.
    Close(CloseCode),
}

/// What the answer to an op is matched by.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub(super) op_id: OpId,
    pub(super) log: LogId,
    pub(super) mark: Mark,
}

impl Ticket {
    /// The log that the op goes to.
    #[must_use]
    pub const fn log(&self) -> LogId {
        self.log
    }

    /// The mark under which it goes there.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.mark.clone()
    }
}
