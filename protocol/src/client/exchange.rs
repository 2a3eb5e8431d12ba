//! What goes into the client's machine and what comes out of it.
//!
//! `Ask` is what a person wants, `Told` is all that a screen ever learns, `Input` and `Output` add
//! the socket. Their law: whoever applies every `Told` in its order shows what the server holds.

use super::cache::Cached;
use super::shelf::Kept;
use crate::act::{Act, Op, Strand};
use crate::change::Envelope;
use crate::close::CloseCode;
use crate::cursor::Cursor;
use crate::event::{GoneReason, ResetReason, Snapshot};
use crate::frame::Change;
use crate::ids::{LogId, OpId, RoomId, UserId};
use crate::model::{Me, Messages, RoomEntry};
use crate::refusal::{Refusal, RetryReason};

/// What the person at this client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Do this; its id was made where the person acted.
    Act(Op),
    /// Try a failed op again, as a new op under the second id.
    Retry {
        /// The op that failed.
        failed: OpId,
        /// The op that takes its place.
        op_id: OpId,
    },
    /// Forget an op that failed or was never sent.
    Discard(OpId),
    /// This room is on the screen; the cursor says what the screen holds already.
    Show {
        /// The room.
        room: RoomId,
        /// What is known of it, where nothing newer is.
        cursor: Option<Cursor>,
    },
    /// A person opens this room's page.
    Opened(RoomId),
    /// This room is no longer on the screen.
    Hide(RoomId),
    /// Older messages than this number are wanted.
    Older {
        /// The room.
        room: RoomId,
        /// The lowest number on the screen.
        before: u64,
    },
    /// A key was pressed in a room's composer; without text it is empty again.
    Typing {
        /// The room.
        room: RoomId,
        /// Whether the composer holds text.
        text: bool,
    },
    /// Do not wait for the next try.
    ConnectNow,
    /// Do not wait long for the next try: somebody is before the page again, or waits for what waits.
    Hurry,
}

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// Nothing was tried yet.
    #[default]
    Idle,
    /// A socket is being opened, or the server's greeting is awaited.
    Connecting,
    /// The server knows the client; what was missed is being read.
    Syncing,
    /// All is read; events come as they happen.
    Live,
    /// The server is about to stop; nothing new is sent.
    Draining,
    /// The next try comes at this time of the clock that the machine is given.
    Waiting {
        /// Milliseconds on that clock.
        until: i64,
    },
    /// The browser says there is no network, or froze the page.
    Offline,
    /// No further try is made by itself.
    Stopped(Stop),
}

/// Why no further try is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A newer socket of this page took over.
    Replaced,
    /// The sign-in is over and could not be renewed.
    SignedOut,
    /// The account may do nothing any more.
    Disabled,
    /// This page speaks another version than the server, also after it was loaded again.
    Version,
    /// Too many connections of this user: other tabs must be closed.
    TooManySockets,
    /// The server does not allow it; what it said, if anything.
    Policy(String),
    /// Frames were broken again and again.
    Broken,
}

/// What a screen is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The connection stands otherwise now.
    Standing(Standing),
    /// The server greeted this user.
    Welcomed {
        /// Who he is.
        me: Me,
        /// The server's clock minus the machine's, in milliseconds.
        clock_ahead: i64,
        /// Characters that a message may have.
        text_chars_max: u32,
    },
    /// These are all his rooms.
    Rooms(Vec<RoomEntry>),
    /// An op was taken into the outbox.
    Queued {
        /// The op.
        op: Op,
        /// When, on the server's clock as far as it is known.
        at: i64,
    },
    /// A message lies on the shelf as it was told last, waiting or failed: no end of the page loses it.
    Shelved(OpId),
    /// Whether messages that wait outlive the page.
    Keeps(bool),
    /// An op was not taken: the outbox is full.
    Full(Op),
    /// An op is stored.
    Accepted {
        /// The op.
        op_id: OpId,
        /// The log its event stands in.
        log: LogId,
        /// The event's number; 0 where the act changed nothing, or where it is not known.
        seq: u64,
        /// When it was stored, in Unix milliseconds.
        at: i64,
    },
    /// An op is not and will not be done.
    Failed {
        /// The op.
        op_id: OpId,
        /// Why.
        refusal: Refusal,
    },
    /// A failed op was forgotten, or took its place under a new id.
    Discarded(OpId),
    /// The server was too busy for the ops of a strand; they are sent again by themselves.
    Delayed {
        /// The strand.
        strand: Strand,
        /// Why.
        reason: RetryReason,
        /// When they are sent again, on the machine's clock.
        until: i64,
    },
    /// How much waits in the outbox.
    Waiting {
        /// Ops that are not accepted yet.
        op_count: usize,
        /// Whether it takes no more.
        full: bool,
    },
    /// The next event of a log, contiguous with what was told before.
    Logged {
        /// The event.
        envelope: Envelope,
        /// Its body; nothing where it was erased or is of a kind that is not known here.
        change: Option<Change>,
    },
    /// A log begins anew here: forget what was known of it.
    Reset {
        /// The log.
        log: LogId,
        /// Why.
        reason: ResetReason,
        /// Where it stands.
        cursor: Cursor,
        /// The room as it is there; nothing for the user's own log.
        snapshot: Option<Snapshot>,
    },
    /// A room is not to be read any more.
    Gone {
        /// The room.
        room: RoomId,
        /// Why.
        reason: GoneReason,
    },
    /// Older messages, for a screen that still begins where it was when it asked: else there would
    /// be a hole behind them.
    Older {
        /// The room.
        room: RoomId,
        /// The number that was asked with.
        before: u64,
        /// The messages just before that number, oldest first.
        messages: Messages,
        /// Whether there are still older ones.
        older: bool,
    },
    /// Older messages were asked for and will not come by themselves: ask again.
    OlderLost(RoomId),
    /// Who is writing in a room, without the user himself; says all.
    Typists {
        /// The room.
        room: RoomId,
        /// Their names.
        names: Vec<String>,
    },
    /// Another user takes over: these acts of the former were never accepted.
    Kept(Vec<Act>),
}

/// What the machine is given.
#[derive(Debug)]
pub enum Input<'a> {
    /// The person wants something.
    Ask(Ask),
    /// The socket with this number is open.
    Opened(u32),
    /// A binary message came on the socket with this number.
    Frame(u32, &'a [u8]),
    /// The socket with this number is closed, or never opened.
    Closed(u32, CloseCode),
    /// What the server answered when a socket had not opened.
    Checked(Checked),
    /// The time that `wake_at` named has come.
    Timer,
    /// The network is back, the page is shown again, or it woke from sleep.
    Awake,
    /// There is no network, or the browser freezes the page.
    Asleep,
    /// Whether the page is hidden: a hidden one waits longer between two tries.
    Hidden(bool),
    /// The page may end at any moment now.
    Leaving,
    /// What came of `Output::Shelve`.
    Shelved {
        /// The message.
        op_id: OpId,
        /// It is there; else it could not be put there.
        done: bool,
    },
    /// These messages lay on the shelf and are this page's to send; given at the beginning, also
    /// where there are none, and whenever more are found.
    Restore {
        /// The messages, whoever wrote them.
        kept: Vec<Kept>,
        /// Whether the shelf takes more.
        keeps: bool,
    },
    /// What `Output::Cache` asked for was not written: the screen has no page of this room, or a longer
    /// one than a record holds.
    Unwritten(RoomId),
    /// These pages lay in the cache; given at the beginning, also where there are none.
    Recall {
        /// The pages, whoever read them.
        pages: Vec<Cached>,
        /// Whether the cache takes any.
        keeps: bool,
    },
}

/// What a server said outside the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It is there and takes this browser for a user: try the socket again.
    Ready,
    /// It is there and asks to come back after so many milliseconds.
    Later {
        /// The shortest wait.
        ms_min: u32,
    },
    /// It refuses this page for good, in these words.
    Refused(String),
    /// Nobody answered.
    Silent,
}

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Open a socket; all that comes of it carries this number.
    Open(u32),
    /// Send this frame on the socket with this number.
    Send(u32, Vec<u8>),
    /// Close the socket with this number and forget it.
    Close(u32, CloseCode),
    /// Ask the server for a guest, and answer with `Input::Checked`; where it is not known to be
    /// there (a socket never opened), first whether it is ready.
    Check {
        /// It is there: only the guest is wanted.
        guest_only: bool,
    },
    /// Put this message on the shelf, in the place of what it held under that op id, and answer
    /// with `Input::Shelved`.
    Shelve(Kept),
    /// Take this op off the shelf, in the order of these outputs.
    Unshelve(OpId),
    /// Write the newest page of this room, as the screen holds it now, into the cache, in the place of
    /// what it held of the room. It and the cursor are one record. Where that cannot be,
    /// `Input::Unwritten` says so.
    Cache {
        /// Whose it is.
        user: UserId,
        /// The room.
        room: RoomId,
        /// When it was opened last; 0 for never.
        opened_at: i64,
        /// Where the page ends: what the screen holds behind it is no part of it.
        cursor: Cursor,
    },
    /// Throw the page of this room away, in the order of these outputs,
    Uncache(RoomId),
    /// or the pages of all rooms.
    UncacheAll,
    /// Load the page again: it is of another version than the server.
    Reload,
    /// Tell the screen.
    Tell(Told),
}
