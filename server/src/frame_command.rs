//! `wasmchannel frame decode`: a captured frame, field by field.
//!
//! Called by `main` with what stands on the command line; reads with the codec that both ends of
//! the wire use. Its law: the header is shown even of a frame that is refused, and the refusal
//! names the fault as the server would.

use std::fmt::{self, Write};

use protocol::change::Envelope;
use protocol::codec::{FLAG_LZ4, Header, decode_command, decode_event};
use protocol::event::Event;
use protocol::frame::{Change, Family, Kind};
use protocol::refusal::Fault;

/// Why there is nothing to show, or not all of it.
#[derive(Debug, PartialEq, Eq)]
pub enum NotShown {
    /// The text is no sequence of bytes in hexadecimal.
    NotHex {
        /// What stands where a digit should.
        found: String,
    },
    /// The frame is not one; what could be read of it is in the text.
    Frame {
        /// The header, as far as there is one.
        shown: String,
        /// What is wrong.
        fault: Fault,
    },
}

impl fmt::Display for NotShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHex { found } => write!(f, "not hexadecimal: {found}"),
            Self::Frame { shown, fault } => write!(f, "{shown}refused: {fault} ({fault:?})"),
        }
    }
}

impl std::error::Error for NotShown {}

/// Shows the frame that these hexadecimal digits spell.
pub fn decode(hex: &str) -> Result<String, NotShown> {
    let frame = bytes(hex)?;
    let refused = |shown: &str| {
        let shown = shown.to_owned();
        move |fault| NotShown::Frame { shown, fault }
    };
    let (header, body) = Header::read(&frame).map_err(refused(""))?;
    let mut shown = show_header(&header, body);
    let kind = Kind::from_number(header.kind);
    match kind.map(Kind::family) {
        Some(Family::Event) => match decode_event(&frame).map_err(refused(&shown))? {
            Some(event) => show_event(&mut shown, &event),
            None => return Err(refused(&shown)(Fault::UnknownKind)),
        },
        _ => {
            let command = decode_command(&frame).map_err(refused(&shown))?;
            line(&mut shown, "body", &format!("{command:#?}"));
        }
    }
    Ok(shown)
}

fn show_header(header: &Header, body: &[u8]) -> String {
    let mut shown = String::new();
    let compressed = header.flags & FLAG_LZ4 != 0;
    line(&mut shown, "version", &header.version.to_string());
    let flags = if compressed { " (LZ4)" } else { "" };
    line(&mut shown, "flags", &format!("{}{flags}", header.flags));
    let kind = match Kind::from_number(header.kind) {
        Some(kind) => format!("{} {} ({:?})", header.kind, kind.name(), kind.family()),
        None => format!("{} (unknown)", header.kind),
    };
    line(&mut shown, "kind", &kind);
    line(&mut shown, "raw length", &format!("{} bytes", header.raw_bytes));
    line(&mut shown, "sent length", &format!("{} bytes", body.len()));
    let expected = header.expected_checksum(body);
    let checked = if header.checksum == expected {
        "good".to_owned()
    } else {
        format!("wrong, expected {expected:#010x}")
    };
    line(&mut shown, "checksum", &format!("{:#010x} ({checked})", header.checksum));
    shown
}

/// An envelope's body is bytes to whoever passes it on; here it is shown as what it is.
fn show_event(shown: &mut String, event: &Event) {
    line(shown, "body", &format!("{event:#?}"));
    let envelopes: Vec<&Envelope> = match event {
        Event::Logged(logged) => vec![&logged.envelope],
        Event::Page(page) => page.events.iter().collect(),
        _ => Vec::new(),
    };
    for envelope in envelopes {
        let change = match Change::decode(envelope.kind, &envelope.body) {
            Ok(Some(change)) => format!("{change:#?}"),
            Ok(None) => format!("of the unknown kind {}", envelope.kind),
            Err(fault) => format!("unreadable: {fault}"),
        };
        line(shown, &format!("event {}", envelope.seq), &change);
    }
}

fn line(shown: &mut String, name: &str, value: &str) {
    // Writing into a string cannot fail.
    let _ = writeln!(shown, "{name:<12}{value}");
}

/// The bytes that the digits spell; what people put between them is skipped.
fn bytes(hex: &str) -> Result<Vec<u8>, NotShown> {
    let refused = |found: &str| NotShown::NotHex { found: found.to_owned() };
    let between = |c: &char| c.is_whitespace() || matches!(c, ':' | ',');
    let digits = hex.trim().trim_start_matches("0x").chars().filter(|c| !between(c));
    let mut bytes = Vec::with_capacity(hex.len() / 2);
    let mut high = None;
    for digit in digits {
        let value = digit.to_digit(16).ok_or_else(|| refused(&format!("`{digit}`")))?;
        let value = u8::try_from(value).map_err(|_| refused("a digit"))?;
        high = match high {
            None => Some(value << 4),
            Some(high) => {
                bytes.push(high | value);
                None
            }
        };
    }
    if high.is_some() { Err(refused("an odd number of digits")) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use protocol::act::{Act, OpHead, Post};
    use protocol::codec::{encode_command, encode_event};
    use protocol::command::Command;
    use protocol::event::Drain;
    use protocol::ids::{OpId, RoomId};
    use protocol::model::MessageText;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn post(text: &str) -> Vec<u8> {
        let head =
            OpHead { op_id: OpId::from_bytes([7; 16]), lane_generation: 3, check_only: false };
        let post = Post { room: RoomId::NIL, text: MessageText::new(text).unwrap() };
        encode_command(&Command::Op(head, Act::Post(post))).unwrap()
    }

    #[test]
    fn a_frame_is_shown_field_by_field() {
        let shown = decode(&hex(&post("hello"))).unwrap();
        for part in ["16 Post (Act)", "good", "lane_generation: 3", "\"hello\"", "07070707-0707"] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
        assert!(decode(&hex(&post(&"a".repeat(999)))).unwrap().contains("1 (LZ4)"));
        let drain = encode_event(&Event::Drain(Drain { after_ms: 1_234 })).unwrap();
        assert!(decode(&hex(&drain)).unwrap().contains("after_ms: 1234"));
    }

    #[test]
    fn digits_may_be_written_as_people_write_them() {
        let frame = post("hello");
        let spaced: Vec<String> = frame.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(decode(&spaced.join(":")), decode(&hex(&frame)));
        assert_eq!(decode(&format!("0x{}\n", spaced.join(" "))), decode(&hex(&frame)));
        for wrong in ["0", "0g", "hello"] {
            assert!(matches!(decode(wrong), Err(NotShown::NotHex { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_refused_frame_shows_its_header_and_its_fault() {
        let mut frame = post("hello");
        frame[8] ^= 1;
        let Err(refused) = decode(&hex(&frame)) else { panic!("it was taken") };
        let text = refused.to_string();
        assert!(text.contains("16 Post") && text.contains("wrong, expected"), "{text}");
        assert!(text.ends_with("(Checksum)"), "{text}");
        assert!(matches!(decode(""), Err(NotShown::Frame { fault: Fault::TooShort, .. })));
    }
}
