//! What a client's bytes say by the rules of WebSocket (RFC 6455): a machine without I/O.
//!
//! Fed by `socket/wire.rs` with whatever the socket gave. Its law: however the bytes are divided,
//! the same comes out; of a message no more is kept than has arrived, and its bound holds from the
//! header on that would break it; behind a close or a broken rule nothing is read any more.

use protocol::close::CloseCode;
use protocol::limits::MESSAGE_BYTES_MAX;

/// Bytes of the longest header: two, a length of eight, a mask of four.
const HEADER_BYTES_MAX: usize = 14;
/// Bytes of a control frame's payload.
const CONTROL_BYTES_MAX: u8 = 125;

const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// What came of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A whole binary message.
    Message(Vec<u8>),
    /// A ping: to be answered with the same bytes.
    Ping(Vec<u8>),
    /// A pong, which nobody asked for.
    Pong,
    /// The client's last word: to be answered with the same code.
    Closed(CloseCode),
    /// A rule was broken: to be closed with this code.
    Fault(CloseCode),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn of(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }

    const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The frame whose payload is being read.
#[derive(Debug)]
struct Frame {
    opcode: Opcode,
    is_final: bool,
    left: usize,
    /// The mask, turned so that its first byte is the next one's.
    mask: [u8; 4],
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Header,
    Payload(Frame),
    Over,
}

/// The reading half of one WebSocket connection, on the server's side.
#[derive(Debug, Default)]
pub struct Reader {
    header: [u8; HEADER_BYTES_MAX],
    header_count: u8,
    /// Whether a message has begun whose last fragment did not come yet.
    is_in_message: bool,
    stage: Stage,
    message: Vec<u8>,
    control: Vec<u8>,
}

impl Reader {
    /// The reader of a connection that was just opened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes in, up to the end of the first thing that comes of them; tells how many it took.
    pub fn feed(&mut self, bytes: &[u8]) -> (usize, Option<Heard>) {
        let mut input = bytes;
        let mut heard = None;
        while heard.is_none() {
            heard = match &self.stage {
                Stage::Over => return (bytes.len(), None),
                Stage::Header if input.is_empty() => break,
                Stage::Header => self.take_header(&mut input),
                Stage::Payload(frame) if frame.left > 0 && input.is_empty() => break,
                Stage::Payload(_) => self.take_payload(&mut input),
            };
        }
        if matches!(heard, Some(Heard::Closed(_) | Heard::Fault(_))) {
            self.stage = Stage::Over;
            (self.message, self.control) = (Vec::new(), Vec::new());
        }
        (bytes.len() - input.len(), heard)
    }

    /// Takes bytes of a header; what it says is checked as soon as it is there.
    fn take_header(&mut self, input: &mut &[u8]) -> Option<Heard> {
        let count = usize::from(self.header_count);
        let wanted = self.header_length();
        let of_this = (wanted - count).min(input.len());
        let (taken, rest) = input.split_at(of_this);
        for (kept, byte) in self.header.iter_mut().skip(count).zip(taken) {
            *kept = *byte;
        }
        *input = rest;
        self.header_count += u8::try_from(of_this).unwrap_or(0);
        if usize::from(self.header_count) < wanted {
            return None;
        }
        let begun = if wanted == 2 { self.check_beginning() } else { self.begin_payload() };
        begun.err().map(Heard::Fault)
    }

    /// How long the header is, as far as one can know yet.
    const fn header_length(&self) -> usize {
        if self.header_count < 2 {
            return 2;
        }
        match self.header[1] & !MASKED {
            LENGTH_16 => 8,
            LENGTH_64 => HEADER_BYTES_MAX,
            _ => 6,
        }
    }

    fn check_beginning(&self) -> Result<(), CloseCode> {
        let [first, second, ..] = self.header;
        let opcode = Opcode::of(first & 0x0f).ok_or(CloseCode::PROTOCOL)?;
        let is_whole = first & FINAL != 0 && second & !MASKED <= CONTROL_BYTES_MAX;
        let is_expected = match opcode {
            Opcode::Continuation => self.is_in_message,
            Opcode::Text | Opcode::Binary => !self.is_in_message,
            Opcode::Close | Opcode::Ping | Opcode::Pong => is_whole,
        };
        if first & RESERVED != 0 || second & MASKED == 0 || !is_expected {
            return Err(CloseCode::PROTOCOL);
        }
        if opcode == Opcode::Text { Err(CloseCode::NOT_BINARY) } else { Ok(()) }
    }

    fn begin_payload(&mut self) -> Result<(), CloseCode> {
        let [first, second, a, b, c, d, e, f, g, h, i, j, k, l] = self.header;
        let (length, least, mask) = match second & !MASKED {
            LENGTH_16 => (u64::from(u16::from_be_bytes([a, b])), 126, [c, d, e, f]),
            LENGTH_64 => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 1 << 16, [i, j, k, l]),
            short => (u64::from(short), 0, [a, b, c, d]),
        };
        // A length has the fewest bytes that hold it, and its highest bit is none (RFC 6455, 5.2).
        if length < least || length >> 63 != 0 {
            return Err(CloseCode::PROTOCOL);
        }
        let opcode = Opcode::of(first & 0x0f).ok_or(CloseCode::PROTOCOL)?;
        let left = usize::try_from(length).map_err(|_| CloseCode::TOO_BIG)?;
        if left > MESSAGE_BYTES_MAX - self.message.len() && !opcode.is_control() {
            return Err(CloseCode::TOO_BIG);
        }
        let is_final = first & FINAL != 0;
        self.header_count = 0;
        self.stage = Stage::Payload(Frame { opcode, is_final, left, mask });
        Ok(())
    }

    fn take_payload(&mut self, input: &mut &[u8]) -> Option<Heard> {
        let Stage::Payload(frame) = &mut self.stage else { return None };
        let into = if frame.opcode.is_control() { &mut self.control } else { &mut self.message };
        let (taken, rest) = input.split_at(frame.left.min(input.len()));
        let known = into.len();
        into.extend_from_slice(taken);
        unmask(into.get_mut(known..).unwrap_or_default(), frame.mask);
        frame.mask.rotate_left(taken.len() % 4);
        frame.left -= taken.len();
        *input = rest;
        if frame.left > 0 {
            return None;
        }
        let (opcode, is_final) = (frame.opcode, frame.is_final);
        self.stage = Stage::Header;
        self.finish(opcode, is_final)
    }

    fn finish(&mut self, opcode: Opcode, is_final: bool) -> Option<Heard> {
        match opcode {
            Opcode::Close => Some(last_word(&self.control)),
            Opcode::Ping => Some(Heard::Ping(std::mem::take(&mut self.control))),
            Opcode::Pong => {
                self.control = Vec::new();
                Some(Heard::Pong)
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                self.is_in_message = !is_final;
                is_final.then(|| Heard::Message(std::mem::take(&mut self.message)))
            }
        }
    }
}

fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (eights, rest) = bytes.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// What a close frame says (RFC 6455, 5.5.1 and 7.4).
fn last_word(payload: &[u8]) -> Heard {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        let is_empty = payload.is_empty();
        return if is_empty {
            Heard::Closed(CloseCode::NORMAL)
        } else {
            Heard::Fault(CloseCode::PROTOCOL)
        };
    };
    match u16::from_be_bytes(*code) {
        _ if std::str::from_utf8(reason).is_err() => Heard::Fault(CloseCode::NOT_UTF8),
        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Heard::Closed(CloseCode(code)),
        _ => Heard::Fault(CloseCode::PROTOCOL),
    }
}

#[cfg(test)]
mod tests;
