//! What an outlet writes: finished WebSocket messages, and chunks of logged events made of them.
//!
//! Made by log tasks (chunks) and by sessions and outlets (frames); kept in tails and shared by all
//! sockets, because a server's messages are unmasked and so are the same bytes for everybody
//! (RFC 6455, 5.1). Their law: a chunk holds consecutive events of one log, one message each, is at
//! most 64 KiB long (a larger message stands alone), and ends behind every event that ends
//! somebody's subscription.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::change::Envelope;
use protocol::close::CloseCode;
use protocol::codec::{EncodeFault, encode_event};
use protocol::event::{Event, Logged};
use protocol::frame::Kind;
use protocol::ids::{LogId, UserId};

/// Bytes of a chunk, and of one write.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;

const FINAL: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// What a WebSocket message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// One frame of the protocol.
    Binary,
    /// The end of the connection, with its code and reason.
    Close,
    /// The answer to a ping of WebSocket's own.
    Pong,
}

impl Opcode {
    const fn bits(self) -> u8 {
        match self {
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Pong => 0xa,
        }
    }
}

/// One finished WebSocket message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// An event as one message.
    pub fn event(event: &Event) -> Result<Self, EncodeFault> {
        let payload = encode_event(event)?;
        let mut bytes = BytesMut::with_capacity(payload.len() + 10);
        put_message(&mut bytes, Opcode::Binary, &payload);
        Ok(Self(bytes.freeze()))
    }

    /// The end of the connection, with the reason that belongs to the code.
    #[must_use]
    pub fn close(code: CloseCode) -> Self {
        let reason = code.reason().as_bytes();
        let mut payload = BytesMut::with_capacity(reason.len() + 2);
        payload.put_u16(code.0);
        payload.put_slice(reason);
        let mut bytes = BytesMut::with_capacity(payload.len() + 2);
        put_message(&mut bytes, Opcode::Close, &payload);
        Self(bytes.freeze())
    }

    /// The answer to a ping of WebSocket's own: its payload, of at most 125 bytes.
    #[must_use]
    pub fn pong(payload: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(payload.len() + 2);
        put_message(&mut bytes, Opcode::Pong, payload);
        Self(bytes.freeze())
    }

    /// The message with its WebSocket header.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

fn put_message(into: &mut BytesMut, opcode: Opcode, payload: &[u8]) {
    into.put_u8(FINAL | opcode.bits());
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length < LENGTH_16 => into.put_u8(length),
        (_, Ok(length)) => {
            into.put_u8(LENGTH_16);
            into.put_u16(length);
        }
        _ => {
            into.put_u8(LENGTH_64);
            into.put_u64(u64::try_from(payload.len()).unwrap_or(u64::MAX));
        }
    }
    into.put_slice(payload);
}

/// Takes the first message off bytes that the server wrote, for who reads them in memory; nothing
/// where no whole message stands there.
pub fn take_message(bytes: &mut Bytes) -> Option<(Opcode, Bytes)> {
    let (first, short) = (*bytes.first()?, *bytes.get(1)?);
    let is = |opcode: &Opcode| first == FINAL | opcode.bits();
    let opcode = [Opcode::Binary, Opcode::Close, Opcode::Pong].into_iter().find(is)?;
    let (header, length) = match short {
        LENGTH_64 => {
            let long = bytes.get(2..10)?.first_chunk::<8>()?;
            (10, usize::try_from(u64::from_be_bytes(*long)).ok()?)
        }
        LENGTH_16 => {
            let medium = bytes.get(2..4)?.first_chunk::<2>()?;
            (4, usize::from(u16::from_be_bytes(*medium)))
        }
        short => (2, usize::from(short)),
    };
    let end = length.checked_add(header).filter(|end| *end <= bytes.len())?;
    Some((opcode, bytes.split_to(end).slice(header..)))
}

/// Whose subscription an event ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Nobody's.
    Nobody,
    /// This user's: he left.
    User(UserId),
}

impl Ends {
    /// Whose subscription this event ends.
    #[must_use]
    pub fn by(event: &Envelope) -> Self {
        if event.kind == Kind::Left.number() { Self::User(event.author) } else { Self::Nobody }
    }

    /// Whether it ends this user's.
    #[must_use]
    pub fn include(&self, user: UserId) -> bool {
        matches!(self, Self::User(ended) if *ended == user)
    }
}

/// Consecutive events of one log, encoded once for everybody. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Chunk {
    log: LogId,
    first: u64,
    /// Where each event's message ends in `bytes`.
    stops: Arc<[usize]>,
    bytes: Bytes,
    ends: Ends,
}

/// How far a write of a chunk got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The number of the first event of which no byte was written.
    pub next: u64,
    /// What is left of the one message that is begun; empty where none is.
    pub rest: Bytes,
}

impl Chunk {
    /// Encodes events that follow each other in one log, cut into chunks.
    pub fn cut(events: &[Envelope]) -> Result<Vec<Self>, EncodeFault> {
        let mut chunks = Vec::new();
        let mut building: Option<Building> = None;
        for event in events {
            let frame = Frame::event(&Event::Logged(Logged { envelope: event.clone() }))?;
            if let Some(full) = building.take_if(|chunk| !chunk.takes(&frame)) {
                chunks.push(full.finish(Ends::Nobody));
            }
            building.get_or_insert_with(|| Building::new(event)).put(&frame);
            let ends = Ends::by(event);
            if ends != Ends::Nobody
                && let Some(ended) = building.take()
            {
                chunks.push(ended.finish(ends));
            }
        }
        chunks.extend(building.map(|last| last.finish(Ends::Nobody)));
        Ok(chunks)
    }

    /// The log whose events these are.
    #[must_use]
    pub const fn log(&self) -> LogId {
        self.log
    }

    /// The number of the first event.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The number behind the last event.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.stops.len()).unwrap_or(u64::MAX))
    }

    /// How many events it holds.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.stops.len()
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    /// Whose subscription the last event ends.
    #[must_use]
    pub const fn ends(&self) -> Ends {
        self.ends
    }

    /// The messages from number `next` on; empty where it holds none of them.
    #[must_use]
    pub fn bytes_from(&self, next: u64) -> Bytes {
        self.bytes.slice(self.start_of(next)..)
    }

    /// What a write of `bytes_from(next)` has begun that took so many bytes.
    #[must_use]
    pub fn begun(&self, next: u64, taken: usize) -> Begun {
        let end = self.start_of(next).saturating_add(taken).min(self.bytes.len());
        let whole = self.stops.partition_point(|stop| *stop <= end);
        let (begun, rest) = match (self.start(whole) < end, self.stops.get(whole)) {
            (true, Some(stop)) => (whole + 1, self.bytes.slice(end..*stop)),
            _ => (whole, Bytes::new()),
        };
        let next_begun = self.first.saturating_add(u64::try_from(begun).unwrap_or(u64::MAX));
        Begun { next: next_begun.max(next), rest }
    }

    /// The same events, some of them with other bodies.
    pub fn remade(&self, with: &[Envelope]) -> Result<Self, EncodeFault> {
        let mut bytes = BytesMut::with_capacity(self.bytes.len());
        let mut stops = Vec::with_capacity(self.stops.len());
        for (index, stop) in self.stops.iter().enumerate() {
            let seq = self.first.saturating_add(u64::try_from(index).unwrap_or(u64::MAX));
            match with.iter().find(|event| event.seq == seq) {
                Some(event) => {
                    let logged = Event::Logged(Logged { envelope: event.clone() });
                    bytes.put_slice(Frame::event(&logged)?.bytes());
                }
                None => bytes.put_slice(&self.bytes.slice(self.start(index)..*stop)),
            }
            stops.push(bytes.len());
        }
        Ok(Self { stops: stops.into(), bytes: bytes.freeze(), ..self.clone() })
    }

    /// Where the message of this index begins.
    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).and_then(|before| self.stops.get(before)).copied().unwrap_or(0)
    }

    fn start_of(&self, seq: u64) -> usize {
        let index = usize::try_from(seq.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.start(index.min(self.stops.len()))
    }
}

struct Building {
    log: LogId,
    first: u64,
    stops: Vec<usize>,
    bytes: BytesMut,
}

impl Building {
    fn new(event: &Envelope) -> Self {
        Self { log: event.log, first: event.seq, stops: Vec::new(), bytes: BytesMut::new() }
    }

    fn takes(&self, frame: &Frame) -> bool {
        self.bytes.len() + frame.bytes().len() <= CHUNK_BYTES_MAX
    }

    fn put(&mut self, frame: &Frame) {
        self.bytes.put_slice(frame.bytes());
        self.stops.push(self.bytes.len());
    }

    fn finish(self, ends: Ends) -> Chunk {
        let Self { log, first, stops, bytes } = self;
        Chunk { log, first, stops: stops.into(), bytes: bytes.freeze(), ends }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use protocol::bounded::Blob;
    use protocol::change::{Left, Posted};
    use protocol::codec::decode_event;
    use protocol::frame::Change;
    use protocol::ids::{EventId, OpId, RoomId};
    use protocol::model::{DisplayName, MessageText};

    use super::*;

    pub(crate) fn envelope(seq: u64, author: u8, change: &Change) -> Envelope {
        Envelope {
            log: RoomId::from_bytes([1; 16]).log(),
            seq,
            id: EventId::make(0, [u8::try_from(seq % 251).unwrap(); 10]),
            at: 0,
            author: UserId::from_bytes([author; 16]),
            op_id: OpId::NIL,
            flags: 0,
            kind: change.kind().number(),
            body: Blob::new(change.encode().unwrap()).unwrap(),
        }
    }

    pub(crate) fn posted(seq: u64, text: &str) -> Envelope {
        let (name, text) = (DisplayName::cut("Ada"), MessageText::new(text).unwrap());
        envelope(seq, 9, &Change::Posted(Posted { name, text }))
    }

    pub(crate) fn left(seq: u64, author: u8) -> Envelope {
        envelope(seq, author, &Change::Left(Left { name: DisplayName::cut("Bob") }))
    }

    /// Text that compression makes little smaller.
    pub(crate) fn noise(char_count: usize) -> String {
        let mut chance = crate::clock::SeededChance::new(7);
        let shown = |number: u64| char::from(b'!' + u8::try_from(number).unwrap());
        (0..char_count).map(|_| shown(crate::clock::Chance::below(&mut chance, 90))).collect()
    }

    /// The numbers of the logged events that stand in these bytes, which hold whole messages.
    pub(crate) fn seqs(mut bytes: Bytes) -> Vec<u64> {
        let mut seqs = Vec::new();
        while let Some((Opcode::Binary, payload)) = take_message(&mut bytes) {
            if let Ok(Some(Event::Logged(logged))) = decode_event(&payload) {
                seqs.push(logged.envelope.seq);
            }
        }
        assert!(bytes.is_empty(), "whole messages only");
        seqs
    }

    #[test]
    fn a_chunk_ends_behind_who_leaves_and_before_it_is_too_long() {
        let long = noise(30_000);
        let events =
            [posted(1, "a"), left(2, 5), posted(3, &long), posted(4, &long), posted(5, &long)];
        let chunks = Chunk::cut(&events).unwrap();
        assert_eq!(chunks[0].ends(), Ends::User(UserId::from_bytes([5; 16])));
        assert_eq!(chunks[0].next(), 3);
        assert!(chunks.iter().all(|chunk| chunk.byte_count() <= CHUNK_BYTES_MAX));
        let told: Vec<u64> = chunks.iter().flat_map(|chunk| seqs(chunk.bytes_from(0))).collect();
        assert_eq!(told, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_position_inside_a_chunk_is_a_slice() {
        let chunk =
            Chunk::cut(&[posted(7, "a"), posted(8, "b"), posted(9, "c")]).unwrap().remove(0);
        assert_eq!(seqs(chunk.bytes_from(8)), [8, 9]);
        assert_eq!(seqs(chunk.bytes_from(10)), [0; 0]);
    }

    #[test]
    fn every_cut_of_a_write_leaves_the_rest_of_one_message() {
        let chunk =
            Chunk::cut(&[posted(7, "a"), posted(8, "b"), posted(9, "c")]).unwrap().remove(0);
        let whole = chunk.bytes_from(8);
        for taken in 0..=whole.len() {
            let begun = chunk.begun(8, taken);
            let mut written = whole.slice(..taken).to_vec();
            written.extend_from_slice(&begun.rest);
            written.extend_from_slice(&chunk.bytes_from(begun.next));
            assert_eq!(written, whole.to_vec(), "{taken} bytes taken");
            assert_eq!(begun.next > 8, taken > 0, "a begun message is counted");
        }
    }

    #[test]
    fn a_remade_chunk_keeps_its_numbers() {
        let chunk = Chunk::cut(&[posted(7, "secret"), posted(8, "b")]).unwrap().remove(0);
        let erased = Envelope { flags: 1, body: Blob::default(), ..posted(7, "") };
        let remade = chunk.remade(&[erased]).unwrap();
        assert_eq!(seqs(remade.bytes_from(7)), [7, 8]);
        assert!(!remade.bytes_from(7).windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn a_message_of_any_length_is_taken_off_again() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let mut bytes = BytesMut::new();
            put_message(&mut bytes, Opcode::Binary, &vec![7; length]);
            let mut bytes = bytes.freeze();
            let mut cut = bytes.slice(..bytes.len() - 1);
            assert!(length == 0 || take_message(&mut cut).is_none());
            assert_eq!(take_message(&mut bytes), Some((Opcode::Binary, vec![7; length].into())));
        }
    }
}
