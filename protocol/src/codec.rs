//! Bytes to frames and back: header, checksum, compression, bincode, behind three pairs of
//! functions: one a direction, and one for what a page hands over to its script.
//!
//! Called by both ends of the socket, by pages and by `wasmchannel frame decode`. Its law: any
//! bytes decode or are refused by name, in the order below, and nothing is allocated before its
//! length is known to be honest. bincode is used here alone, so that another codec is a change of
//! one file.
//!
//! ```text
//! version u8 | flags u8 | kind u16 | raw length u32 | crc32 u32 | body     little-endian
//! ```

use std::borrow::Cow;

use bincode::config::Config;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::event::Reset;
use crate::frame::{Command, Event, Kind};
use crate::limits::{
    COMMAND_BYTES_MAX, COMPRESS_FROM_BYTES, EVENT_BYTES_MAX, HEADER_BYTES, LZ4_RATIO_MAX,
};
use crate::refusal::Fault;

/// The protocol's version, in every header and in `Hello`.
pub const VERSION: u8 = 1;
/// Flag of a header: the body is an LZ4 block.
pub const FLAG_LZ4: u8 = 1;
/// The WebSocket sub-protocol that names this codec.
pub const SUB_PROTOCOL: &str = "wasmchannel.v1";

/// A frame that cannot be written; nothing of it was sent.
#[derive(Debug)]
pub enum EncodeFault {
    /// Its body has more bytes than the direction allows.
    TooLong {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        bytes_max: usize,
    },
    /// bincode refused it.
    Codec(EncodeError),
}

impl std::fmt::Display for EncodeFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong { bytes, bytes_max } => {
                write!(f, "a body of {bytes} bytes is above the bound of {bytes_max}")
            }
            Self::Codec(fault) => write!(f, "the codec refused a frame: {fault}"),
        }
    }
}

impl std::error::Error for EncodeFault {}

/// The first twelve bytes of a frame, read and not yet believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The protocol's version.
    pub version: u8,
    /// `FLAG_LZ4` or 0.
    pub flags: u8,
    /// The number of the frame's kind.
    pub kind: u16,
    /// Bytes of the body before compression.
    pub raw_bytes: u32,
    /// CRC-32 of the header with this field zero, and of the body as sent.
    pub checksum: u32,
}

impl Header {
    /// Reads the header and what stands behind it; refuses only what is shorter than a header.
    pub fn read(frame: &[u8]) -> Result<(Self, &[u8]), Fault> {
        let (head, body) = frame.split_first_chunk::<HEADER_BYTES>().ok_or(Fault::TooShort)?;
        let [version, flags, k0, k1, l0, l1, l2, l3, c0, c1, c2, c3] = *head;
        let header = Self {
            version,
            flags,
            kind: u16::from_le_bytes([k0, k1]),
            raw_bytes: u32::from_le_bytes([l0, l1, l2, l3]),
            checksum: u32::from_le_bytes([c0, c1, c2, c3]),
        };
        Ok((header, body))
    }

    /// The checksum that this header and body should have.
    #[must_use]
    pub fn expected_checksum(&self, body: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&Self { checksum: 0, ..*self }.bytes());
        hasher.update(body);
        hasher.finalize()
    }

    fn bytes(&self) -> [u8; HEADER_BYTES] {
        let ([k0, k1], [l0, l1, l2, l3], [c0, c1, c2, c3]) =
            (self.kind.to_le_bytes(), self.raw_bytes.to_le_bytes(), self.checksum.to_le_bytes());
        [self.version, self.flags, k0, k1, l0, l1, l2, l3, c0, c1, c2, c3]
    }
}

/// Writes a command as one frame.
pub fn encode_command(command: &Command) -> Result<Vec<u8>, EncodeFault> {
    let body = command.encode().map_err(EncodeFault::Codec)?;
    let frame = write_frame(command.kind(), &body, COMMAND_BYTES_MAX)?;
    debug_assert_eq!(decode_command(&frame).as_ref(), Ok(command), "a command reads back");
    Ok(frame)
}

/// Writes an event as one frame.
pub fn encode_event(event: &Event) -> Result<Vec<u8>, EncodeFault> {
    let body = event.encode().map_err(EncodeFault::Codec)?;
    let frame = write_frame(event.kind(), &body, EVENT_BYTES_MAX)?;
    debug_assert!(
        matches!(decode_event(&frame), Ok(Some(read)) if read == *event),
        "an event reads back"
    );
    Ok(frame)
}

/// Writes a `Reset` as one frame. Beside `encode_event`, which brings along how every event is
/// written: a browser needs no other.
pub fn encode_reset(reset: &Reset) -> Result<Vec<u8>, EncodeFault> {
    let body = encode_body(reset).map_err(EncodeFault::Codec)?;
    write_frame(Kind::Reset, &body, EVENT_BYTES_MAX)
}

/// Reads a client's frame.
pub fn decode_command(frame: &[u8]) -> Result<Command, Fault> {
    let (kind, body) = read_frame(frame, COMMAND_BYTES_MAX)?;
    let kind = Kind::from_number(kind).ok_or(Fault::UnknownKind)?;
    Command::decode(kind, &body)
}

/// Reads a server's frame; `None` for a kind that this client does not know and passes over.
pub fn decode_event(frame: &[u8]) -> Result<Option<Event>, Fault> {
    let (kind, body) = read_frame(frame, EVENT_BYTES_MAX)?;
    match Kind::from_number(kind) {
        Some(kind) => Event::decode(kind, &body).map(Some),
        None => Ok(None),
    }
}

/// Checks a frame and gives its kind and its body as it was before compression.
pub fn read_frame(frame: &[u8], raw_bytes_max: usize) -> Result<(u16, Cow<'_, [u8]>), Fault> {
    let (header, body) = Header::read(frame)?;
    if header.version != VERSION {
        return Err(Fault::Version);
    }
    if header.flags & !FLAG_LZ4 != 0 {
        return Err(Fault::Flags);
    }
    let raw_bytes = usize::try_from(header.raw_bytes).map_err(|_| Fault::TooLong)?;
    if raw_bytes > raw_bytes_max {
        return Err(Fault::TooLong);
    }
    let compressed = header.flags & FLAG_LZ4 != 0;
    let honest = if compressed {
        raw_bytes <= body.len().saturating_mul(LZ4_RATIO_MAX).saturating_add(64)
    } else {
        raw_bytes == body.len()
    };
    if !honest {
        return Err(Fault::Length);
    }
    if header.checksum != header.expected_checksum(body) {
        return Err(Fault::Checksum);
    }
    if !compressed {
        return Ok((header.kind, Cow::Borrowed(body)));
    }
    let mut raw = vec![0; raw_bytes];
    match lz4_flex::block::decompress_into(body, &mut raw) {
        Ok(written) if written == raw_bytes => Ok((header.kind, Cow::Owned(raw))),
        _ => Err(Fault::Compression),
    }
}

/// Puts a header before a body, compressed where that makes it smaller.
fn write_frame(kind: Kind, raw: &[u8], bytes_max: usize) -> Result<Vec<u8>, EncodeFault> {
    let too_long = EncodeFault::TooLong { bytes: raw.len(), bytes_max };
    let Some(raw_bytes) = u32::try_from(raw.len()).ok().filter(|_| raw.len() <= bytes_max) else {
        return Err(too_long);
    };
    let compressed = (raw.len() >= COMPRESS_FROM_BYTES)
        .then(|| lz4_flex::block::compress(raw))
        .filter(|compressed| compressed.len() < raw.len());
    let (flags, body) = match &compressed {
        Some(compressed) => (FLAG_LZ4, compressed.as_slice()),
        None => (0, raw),
    };
    let unsigned = Header { version: VERSION, flags, kind: kind.number(), raw_bytes, checksum: 0 };
    let header = Header { checksum: unsigned.expected_checksum(body), ..unsigned };
    let mut frame = Vec::with_capacity(HEADER_BYTES + body.len());
    frame.extend_from_slice(&header.bytes());
    frame.extend_from_slice(body);
    Ok(frame)
}

/// Writes a value as text for a document: what needs no escape there stands as it is, so that texts
/// read as they are and pack well; any other byte is a letter of the 256 from U+0100 on.
pub fn encode_text(value: &impl Encode) -> Result<String, EncodeFault> {
    let bytes = encode_body(value).map_err(EncodeFault::Codec)?;
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !b"\"<\\".contains(byte);
    let letter = |byte: &u8| char::from_u32(0x100 + u32::from(*byte)).unwrap_or_default();
    Ok(bytes.iter().map(|it| if plain(it) { char::from(*it) } else { letter(it) }).collect())
}

/// Reads what `encode_text` wrote, from a document of this server: it has no bound of its own.
pub fn decode_text<T: Decode<()>>(text: &str) -> Result<T, Fault> {
    let byte = |letter: char| match u32::from(letter) {
        code @ ..0x80 | code @ 0x100..0x200 => u8::try_from(code & 0xff).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.chars().map(byte).collect();
    read_whole(&bytes.ok_or(Fault::Body)?, bincode::config::standard())
}

/// Writes one value as a body.
pub(crate) fn encode_body(body: impl Encode) -> Result<Vec<u8>, EncodeError> {
    bincode::encode_to_vec(body, bincode::config::standard())
}

/// Reads exactly one value from a body, claiming at most `MEMORY_MAX` bytes of memory.
pub(crate) fn decode_body<T: Decode<()>, const MEMORY_MAX: usize>(
    bytes: &[u8],
) -> Result<T, Fault> {
    read_whole(bytes, bincode::config::standard().with_limit::<MEMORY_MAX>())
}

fn read_whole<T: Decode<()>>(bytes: &[u8], configuration: impl Config) -> Result<T, Fault> {
    let decoded: Result<(T, usize), DecodeError> = bincode::decode_from_slice(bytes, configuration);
    match decoded {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok(_) => Err(Fault::Trailing),
        Err(_) => Err(Fault::Body),
    }
}
