//! One value of every kind, written out by hand: what the golden bytes must decode to.
//!
//! The values are the same as in `protocol/golden`, which were made by an encoder of their own, not
//! by this crate. Their law: a sample is never changed once its kind is released.

use protocol::act::{Configure, Create, Enter, Leave, OpHead, Post, Rename};
use protocol::bounded::{Blob, List, Text};
use protocol::change::{
    Configured, Created, Envelope, Joined, Left, Posted, Ranked, Renamed, RoomAdded, RoomRemoved,
};
use protocol::codec::{decode_command, decode_event, encode_command, encode_event};
use protocol::command::{Hello, History, PageAck, Pong, Probe, Sub, Typing, Unsub};
use protocol::cursor::Cursor;
use protocol::event::{
    Accepted, Drain, Faulty, Gone, GoneReason, Logged, Older, Page, Ping, Position, Probed,
    RefuseRetry, Refused, Reset, ResetReason, Rooms, Snapshot, SubOk, Typist, Typists, Welcome,
};
use protocol::frame::{Act, Change, Command, Event, Family, Kind};
use protocol::ids::{DeviceId, EventId, OpId, PageId, RoomId, UserId};
use protocol::model::{Me, Message, Rank, Role, RoomEntry};
use protocol::refusal::{Fault, Refusal, RetryReason};

/// A value of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sample {
    Command(Command),
    Event(Event),
    Change(Change),
}

impl Sample {
    /// The kind it is of.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Command(command) => command.kind(),
            Self::Event(event) => event.kind(),
            Self::Change(change) => change.kind(),
        }
    }

    /// Its bytes: a whole frame, or the stored body of a change; `None` if it is too long for one.
    pub(crate) fn written(&self) -> Option<Vec<u8>> {
        match self {
            Self::Command(command) => encode_command(command).ok(),
            Self::Event(event) => encode_event(event).ok(),
            Self::Change(change) => change.encode().ok(),
        }
    }
}

/// Reads bytes as the end would that is spoken to in this kind.
pub(crate) fn read(kind: Kind, bytes: &[u8]) -> Result<Option<Sample>, Fault> {
    match kind.family() {
        Family::Command | Family::Act => decode_command(bytes).map(Sample::Command).map(Some),
        Family::Event => Ok(decode_event(bytes)?.map(Sample::Event)),
        Family::Change => Ok(Change::decode(kind.number(), bytes)?.map(Sample::Change)),
    }
}

pub(crate) const ROOM: RoomId = RoomId::from_bytes([0xa1; 16]);
pub(crate) const USER: UserId = UserId::from_bytes([0xb2; 16]);
pub(crate) const OP: OpId = OpId::from_bytes([0xc3; 16]);
const EVENT: EventId = EventId::from_bytes([0xd4; 16]);
const AT: i64 = 1_700_000_000_000;
const CURSOR: Cursor =
    Cursor { epoch: 0x0123_4567_89ab_cdef, seq: 300, tag: 0x1122_3344_5566_7788 };
const HEAD: OpHead = OpHead { op_id: OP, lane_generation: 2, check_only: false };

pub(crate) fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text).unwrap()
}

fn room_entry() -> RoomEntry {
    RoomEntry {
        id: ROOM,
        key: text("tea"),
        name: text("Tea room"),
        topic: text(""),
        everyone: false,
        role: Role::Owner,
        head: 300,
    }
}

fn message() -> Message {
    Message {
        seq: 300,
        id: EVENT,
        at: AT,
        author: USER,
        name: text("Amina"),
        op_id: OP,
        text: text("salām"),
    }
}

fn envelope() -> Envelope {
    Envelope {
        log: ROOM.log(),
        seq: 300,
        id: EVENT,
        at: AT,
        author: USER,
        op_id: OP,
        flags: 0,
        kind: Kind::Posted.number(),
        body: Blob::new(sample(Kind::Posted).written().unwrap()).unwrap(),
    }
}

fn one<T, const N: usize>(item: T) -> List<T, N> {
    List::new(vec![item]).unwrap()
}

/// The sample of a kind.
pub(crate) fn sample(kind: Kind) -> Sample {
    match kind.family() {
        Family::Command => Sample::Command(command(kind)),
        Family::Act => Sample::Command(Command::Op(HEAD, act(kind))),
        Family::Event => Sample::Event(event(kind)),
        Family::Change => Sample::Change(change(kind)),
    }
}

fn command(kind: Kind) -> Command {
    match kind {
        Kind::Hello => Command::Hello(Hello {
            version: 1,
            build: text("web 0.1.0"),
            page: PageId::from_bytes([0x11; 16]),
            device: DeviceId::from_bytes([0x22; 16]),
            abilities: 0,
            user_cursor: Some(CURSOR),
        }),
        Kind::Sub => Command::Sub(Sub { sub: 7, room: ROOM, cursor: None }),
        Kind::Unsub => Command::Unsub(Unsub { sub: 7 }),
        Kind::PageAck => Command::PageAck(PageAck { sub: 7 }),
        Kind::Pong => Command::Pong(Pong { number: 70_000 }),
        Kind::Probe => Command::Probe(Probe { number: 9 }),
        Kind::Typing => Command::Typing(Typing { room: ROOM, active: true }),
        Kind::History => {
            Command::History(History { number: 3, room: ROOM, before: 300, count: 50 })
        }
        other => panic!("{} has no sample among the commands", other.name()),
    }
}

fn act(kind: Kind) -> Act {
    match kind {
        Kind::Post => Act::Post(Post { room: ROOM, text: text("salām") }),
        Kind::Create => Act::Create(Create { name: text("Tea room") }),
        Kind::Enter => Act::Enter(Enter { key: text("tea") }),
        Kind::Leave => Act::Leave(Leave { room: ROOM }),
        Kind::Configure => Act::Configure(Configure {
            room: ROOM,
            name: text("Tea room"),
            topic: text("Green tea"),
        }),
        Kind::Rename => Act::Rename(Rename { name: text("Amina") }),
        other => panic!("{} has no sample among the acts", other.name()),
    }
}

fn event(kind: Kind) -> Event {
    match kind {
        Kind::Welcome => Event::Welcome(Welcome {
            user: Me { id: USER, name: text("Amina"), rank: Rank::Guest },
            rooms: one(room_entry()),
            more: false,
            ping_ms: 20_000,
            text_chars_max: 10_000,
            window: 16,
            server_time: AT,
            build: text("0.1.0"),
        }),
        Kind::Rooms => Event::Rooms(Rooms { rooms: one(room_entry()), more: true }),
        Kind::SubOk => Event::SubOk(SubOk { sub: 7, epoch: CURSOR.epoch, head: 300 }),
        Kind::Reset => Event::Reset(Reset {
            sub: 7,
            reason: ResetReason::Diverged,
            cursor: CURSOR,
            snapshot: Some(Snapshot {
                room: room_entry(),
                member_count: 2,
                messages: one(message()),
                older: true,
            }),
        }),
        Kind::Page => Event::Page(Page { sub: 7, events: one(envelope()) }),
        Kind::Logged => Event::Logged(Logged { envelope: envelope() }),
        Kind::Gone => Event::Gone(Gone { sub: 7, room: ROOM, reason: GoneReason::Ended }),
        Kind::Accepted => {
            Event::Accepted(Accepted { op_id: OP, log: USER.log(), seq: 300, id: EVENT, at: AT })
        }
        other => answer(other),
    }
}

fn answer(kind: Kind) -> Event {
    match kind {
        Kind::Refused => {
            Event::Refused(Refused { op_id: OP, refusal: Refusal::TooLong { chars_max: 10_000 } })
        }
        Kind::RefuseRetry => Event::RefuseRetry(RefuseRetry {
            op_id: OP,
            log: ROOM.log(),
            lane_generation: 3,
            retry_after_ms: 250,
            reason: RetryReason::Busy,
        }),
        Kind::Older => {
            Event::Older(Older { number: 3, room: ROOM, messages: one(message()), older: false })
        }
        Kind::Typists => Event::Typists(Typists {
            room: ROOM,
            people: one(Typist { user: USER, name: text("Amina") }),
        }),
        Kind::Ping => Event::Ping(Ping {
            number: 9,
            positions: List::new(vec![Position { sub: 0, seq: 4 }, Position { sub: 7, seq: 300 }])
                .unwrap(),
        }),
        Kind::Probed => Event::Probed(Probed { number: 9 }),
        Kind::Drain => Event::Drain(Drain { after_ms: 70_000 }),
        Kind::Faulty => Event::Faulty(Faulty { fault: Fault::Checksum, kind: Kind::Post.number() }),
        other => panic!("{} has no sample among the events", other.name()),
    }
}

fn change(kind: Kind) -> Change {
    match kind {
        Kind::Created => {
            Change::Created(Created { key: text("tea"), name: text("Tea room"), everyone: false })
        }
        Kind::Joined => Change::Joined(Joined { name: text("Amina") }),
        Kind::Left => Change::Left(Left { name: text("Amina") }),
        Kind::Posted => Change::Posted(Posted { name: text("Amina"), text: text("salām") }),
        Kind::Configured => {
            Change::Configured(Configured { name: text("Tea room"), topic: text("Green tea") })
        }
        Kind::RoomAdded => {
            Change::RoomAdded(RoomAdded { room: ROOM, key: text("tea"), name: text("Tea room") })
        }
        Kind::RoomRemoved => Change::RoomRemoved(RoomRemoved { room: ROOM }),
        Kind::Renamed => Change::Renamed(Renamed { name: text("Amina") }),
        Kind::Ranked => Change::Ranked(Ranked { rank: Rank::Owner }),
        other => panic!("{} has no sample among the changes", other.name()),
    }
}
