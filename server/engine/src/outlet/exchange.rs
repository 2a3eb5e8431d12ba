//! What goes into an outlet and what comes out of it.
//!
//! Used by whoever steps one: `outlet/handle.rs` in the house, the simulation in its place. Its law:
//! an output is a request to the task around the outlet; the outlet itself awaits nothing.

use std::sync::Arc;

use bytes::Bytes;
use protocol::close::CloseCode;
use protocol::event::ResetReason;
use protocol::ids::LogId;

use super::chunk::{Chunk, Frame};
use super::slot::{Edition, Fetched, Ring, Seat, What};

/// What takes the bytes: a socket, or what stands for one.
pub trait Sink {
    /// Takes as many of these bytes as it will, in order, and says how many; 0 where it would have
    /// to wait, or where it is broken (which shows itself on the reading side).
    fn write(&mut self, parts: &[Bytes]) -> usize;
}

/// What takes the bytes of an outlet that several tasks step.
pub trait SharedSink: Send + Sync {
    /// As `Sink::write`, by whoever has the outlet's lock.
    fn write(&self, parts: &[Bytes]) -> usize;
}

impl<S: SharedSink + ?Sized> Sink for &S {
    fn write(&mut self, parts: &[Bytes]) -> usize {
        SharedSink::write(*self, parts)
    }
}

/// What happens to an outlet.
pub enum Input<'a> {
    /// The frames that come before every slot: `Welcome` and `Rooms`.
    Greet(Vec<Frame>),
    /// A subscription that the store allows; its seat is on the log's list already.
    Subscribe(Subscription),
    /// A subscription that is not allowed: `Gone` is its whole answer.
    Refuse {
        /// The log asked for.
        log: LogId,
        /// The client's number of it.
        sub: u32,
    },
    /// The client wants no more of this subscription.
    Unsubscribe(u32),
    /// The client has taken a page in.
    PageAck(u32),
    /// The answer to an `Output::Fetch`; every one of them gets exactly one.
    Fetched {
        /// The log it was read from.
        log: LogId,
        /// The subscription it was read for.
        sub: u32,
        /// What was read; nothing where the connection will be closed for it.
        fetched: Option<Fetched>,
    },
    /// A log has spoken.
    Offer(&'a Chunk),
    /// An answer, or another frame that belongs to no slot.
    Answer(Frame),
    /// Something passing about a log, dropped unless it can be told at once.
    Whisper {
        /// The log.
        log: LogId,
        /// What is told.
        frame: &'a Frame,
    },
    /// Send a `Ping` of this number with the positions of live slots.
    Ping(u32),
    /// The sink may take bytes again, or something waits since a `Wake`.
    Writable,
    /// Time has passed.
    Tick,
    /// End the connection with this code.
    Close(CloseCode),
    /// The client has ended the connection with this code, which is its answer, too.
    Echo(CloseCode),
}

/// A subscription as it begins.
pub struct Subscription {
    /// The log.
    pub log: LogId,
    /// The client's number of it.
    pub sub: u32,
    /// The log's head when the membership was read; it never changes.
    pub born: u64,
    /// How it begins.
    pub begin: Begin,
    /// The log's tail.
    pub ring: Arc<dyn Ring>,
    /// What keeps it on the log's list.
    pub seat: Seat,
}

/// How a subscription begins.
pub enum Begin {
    /// With events.
    Events {
        /// The number of the first of them.
        next: u64,
        /// `SubOk`, or a `Reset` that carries no state.
        first: Frame,
    },
    /// With the room's state, for this reason.
    Snapshot(ResetReason),
}

/// What an outlet asks of the task around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Something waits to be written: step with `Writable` when the sink can take it.
    Wake,
    /// Read this for a slot, and step with `Fetched`.
    Fetch(Order),
    /// The connection is being closed with this code; `NORMAL` where the client closed it.
    Closing(CloseCode),
    /// A rule of delivery was broken: a bug, to be logged and counted.
    Alarm(Alarm),
}

/// What is to be read for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The log.
    pub log: LogId,
    /// The subscription.
    pub sub: u32,
    /// The log's head when the subscription began.
    pub born: u64,
    /// A page or the room's state.
    pub what: What,
    /// The edition of the log's bodies when it was wanted.
    pub edition: Edition,
}

/// A broken rule of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// A log spoke past what this subscription was told.
    Gap(LogId),
    /// A live subscription was not told for two pings.
    Forgotten(LogId),
    /// More answers were queued than reading allows for.
    AnswersFull,
    /// A frame of the server's own could not be encoded.
    Encoding,
}
