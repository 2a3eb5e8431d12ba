//! A client on the bench: with its clock, with what it said, and with what it told.
//!
//! Used by the machine's tests alone. It stands for the socket, the page and time: a test says what
//! the server says, and how long everybody waits.

use super::super::exchange::{Ask, Input, Output, Standing, Told};
use super::super::{Client, Setup};
use crate::act::{Op, Post};
use crate::bounded::{List, Text};
use crate::change::{Envelope, Posted};
use crate::close::CloseCode;
use crate::codec::{decode_command, encode_event};
use crate::cursor::Cursor;
use crate::event::{Accepted, Logged, Reset, ResetReason, SubOk, Welcome};
use crate::frame::{Act, Change, Command, Event};
use crate::ids::{DeviceId, EventId, OpId, PageId, RoomId, UserId};
use crate::model::{Me, Rank, RoomEntry};

pub(super) const ROOM: RoomId = RoomId::from_bytes([1; 16]);
pub(super) const ME: UserId = UserId::from_bytes([7; 16]);
pub(super) const OTHER: UserId = UserId::from_bytes([8; 16]);
pub(super) const EPOCH: u64 = 5;

/// A client with its clock, what it said, and what it told.
pub(super) struct Bench {
    pub(super) client: Client,
    pub(super) now: i64,
    pub(super) socket: u32,
    pub(super) said: Vec<Command>,
    pub(super) told: Vec<Told>,
    pub(super) others: Vec<Output>,
}

impl Bench {
    pub(super) fn new(user: Option<UserId>) -> Self {
        Self::over(user, (false, false))
    }

    /// Over a shelf and a cache, or without.
    pub(super) fn over(user: Option<UserId>, (shelf, cache): (bool, bool)) -> Self {
        let client = Client::new(Setup {
            page: PageId::NIL,
            device: DeviceId::NIL,
            build: Text::cut("test"),
            user,
            shelf,
            cache,
            reloaded: false,
            seed: 3,
        });
        let (said, told, others) = (Vec::new(), Vec::new(), Vec::new());
        Self { client, now: 1_000_000, socket: 0, said, told, others }
    }

    /// A client that is live in the room at cursor 0.
    pub(super) fn live() -> Self {
        let mut bench = Self::new(Some(ME));
        bench.step(Input::Awake);
        bench.ask(Ask::Show { room: ROOM, cursor: Some(Cursor::start(EPOCH)) });
        bench.greet(ME);
        bench.catch_up(0);
        assert_eq!(bench.client.told_standing, Standing::Live);
        bench.forget();
        bench
    }

    pub(super) fn step(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.client.step(input, self.now, &mut out);
        for output in out {
            match output {
                Output::Open(socket) => self.socket = socket,
                Output::Send(socket, frame) => {
                    assert_eq!(socket, self.socket, "only the newest socket is used");
                    self.said.push(decode_command(&frame).unwrap());
                }
                Output::Tell(told) => self.told.push(told),
                other => self.others.push(other),
            }
        }
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        self.step(Input::Ask(ask));
    }

    pub(super) fn hear(&mut self, event: Event) {
        let frame = encode_event(&event).unwrap();
        self.step(Input::Frame(self.socket, &frame));
    }

    pub(super) fn close(&mut self, code: CloseCode) {
        self.step(Input::Closed(self.socket, code));
    }

    /// Lets time pass, with every timer at its time, pings answered by nobody.
    pub(super) fn pass(&mut self, ms: i64) {
        let end = self.now + ms;
        while let Some(due) = self.client.wake_at(self.now).filter(|due| *due <= end) {
            assert!(due >= self.now, "a deadline in the past would be a busy loop");
            self.now = due;
            self.step(Input::Timer);
        }
        self.now = end;
    }

    pub(super) fn greet(&mut self, user: UserId) {
        self.greet_with(user, Vec::new());
    }

    /// These are his rooms.
    pub(super) fn greet_with(&mut self, user: UserId, rooms: Vec<RoomEntry>) {
        self.step(Input::Opened(self.socket));
        self.hear(Event::Welcome(Welcome {
            user: Me { id: user, name: Text::cut("me"), rank: Rank::Guest },
            rooms: List::cut(rooms),
            more: false,
            ping_ms: 20_000,
            text_chars_max: 10_000,
            window: 16,
            server_time: self.now,
            build: Text::default(),
        }));
        let (reason, cursor) = (ResetReason::FirstLoad, Cursor::start(EPOCH));
        self.hear(Event::Reset(Reset { sub: 0, reason, cursor, snapshot: None }));
    }

    /// Answers the newest `Sub`.
    pub(super) fn catch_up(&mut self, head: u64) {
        let sub = self.last_sub();
        self.hear(Event::SubOk(SubOk { sub, epoch: EPOCH, head }));
    }

    pub(super) fn last_sub(&self) -> u32 {
        let subs = self.said.iter().rev().find_map(|command| match command {
            Command::Sub(sub) => Some(sub.sub),
            _ => None,
        });
        subs.unwrap()
    }

    pub(super) fn post(&mut self, number: u8) -> OpId {
        let op_id = op_id(number);
        let act = Act::Post(Post { room: ROOM, text: Text::cut("hello") });
        self.ask(Ask::Act(Op { op_id, act }));
        op_id
    }

    pub(super) fn accept(&mut self, op_id: OpId, seq: u64) {
        let (log, id) = (ROOM.log(), EventId::NIL);
        self.hear(Event::Accepted(Accepted { op_id, log, seq, id, at: 1 }));
    }

    /// The ops that were sent since `forget`, by their first byte and generation.
    pub(super) fn ops(&self) -> Vec<(u8, u32)> {
        let op = |command: &Command| match command {
            Command::Op(head, _) => Some((head.op_id.bytes()[0], head.lane_generation)),
            _ => None,
        };
        self.said.iter().filter_map(op).collect()
    }

    pub(super) fn seqs(&self) -> Vec<u64> {
        let seq = |told: &Told| match told {
            Told::Logged { envelope, .. } => Some(envelope.seq),
            _ => None,
        };
        self.told.iter().filter_map(seq).collect()
    }

    pub(super) fn forget(&mut self) {
        self.said.clear();
        self.told.clear();
        self.others.clear();
    }

    pub(super) fn probe_number(&self) -> Option<u32> {
        self.said.iter().rev().find_map(|command| match command {
            Command::Probe(probe) => Some(probe.number),
            _ => None,
        })
    }
}

pub(super) fn op_id(number: u8) -> OpId {
    let mut bytes = [0; 16];
    bytes[0] = number;
    OpId::from_bytes(bytes)
}

pub(super) fn posted(seq: u64, author: UserId, op_id: OpId) -> Envelope {
    let change = Change::Posted(Posted { name: Text::cut("x"), text: Text::cut("hello") });
    Envelope {
        log: ROOM.log(),
        seq,
        id: EventId::make(i64::try_from(seq).unwrap(), [0; 10]),
        at: 1,
        author,
        op_id,
        flags: 0,
        kind: change.kind().number(),
        body: crate::bounded::Blob::new(change.encode().unwrap()).unwrap(),
    }
}

pub(super) fn logged(seq: u64) -> Event {
    Event::Logged(Logged { envelope: posted(seq, OTHER, OpId::NIL) })
}
