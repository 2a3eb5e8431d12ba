//! RFC 6455 by cases, over a real socket: what a client sends, and all that it hears back.
//!
//! The bytes are made here and read here, by nothing of the server's. Its law: whatever was sent, the
//! client hears the close code and then the end of the stream, never a reset.

use std::io::ErrorKind;
use std::time::Duration;

use protocol::close::CloseCode;
use protocol::codec::{SUB_PROTOCOL, encode_command};
use protocol::command::Hello;
use protocol::frame::Command;
use protocol::ids::{DeviceId, PageId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(5);
const FINAL: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// What a client hears; messages that follow each other count as one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    Message,
    Pong(Vec<u8>),
    Close(u16),
}

/// A case: its name, what is sent, what is heard.
type Case = (&'static str, Vec<u8>, Vec<Heard>);

/// A frame with this first byte, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, payload, [0x37, 0xfa, 0x21, 0x3d])
}

fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        medium @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend(u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

fn whole(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(FINAL | opcode, payload)
}

/// The same message in pieces of these lengths and what is left, with something between them.
fn fragments(payload: &[u8], lengths: &[usize], between: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest, mut opcode) = (Vec::new(), payload, BINARY);
    for length in lengths {
        let (piece, behind) = rest.split_at(*length);
        bytes.extend(frame(opcode, piece));
        bytes.extend_from_slice(between);
        (rest, opcode) = (behind, CONTINUATION);
    }
    bytes.extend(whole(CONTINUATION, rest));
    bytes
}

fn closing(code: u16, reason: &[u8]) -> Vec<u8> {
    whole(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// Bytes of a frame of which only the header is sent, with this length in so many bytes.
fn claimed(first: u8, count: u8, length: u64) -> Vec<u8> {
    let bytes = length.to_be_bytes();
    let (marker, length) = if count == 2 { (126, &bytes[6..]) } else { (127, &bytes[..]) };
    [&[first, 0x80 | marker], length, &[1, 2, 3, 4]].concat()
}

fn hello() -> Vec<u8> {
    let hello = Hello {
        version: 1,
        build: protocol::bounded::Text::cut("test"),
        page: PageId::from_bytes([1; 16]),
        device: DeviceId::from_bytes([2; 16]),
        abilities: 0,
        user_cursor: None,
    };
    encode_command(&Command::Hello(hello)).unwrap()
}

/// Messages that come whole: what is heard of them is an answer.
fn messages() -> Vec<Case> {
    let hello = hello();
    let answered = || vec![Heard::Message];
    let noise = |length| whole(BINARY, &vec![9; length]);
    let ping = whole(PING, b"between");
    let pongs = |count| vec![Heard::Pong(b"between".to_vec()); count];
    vec![
        ("an empty message", whole(BINARY, b""), answered()),
        ("a Hello in one frame", whole(BINARY, &hello), answered()),
        ("under a mask of zeros", masked(FINAL | BINARY, &hello, [0; 4]), answered()),
        ("under a mask of ones", masked(FINAL | BINARY, &hello, [0xff; 4]), answered()),
        ("in two fragments", fragments(&hello, &[5], b""), answered()),
        ("in fragments, some empty", fragments(&hello, &[0, 1, 0, 12, 0], b""), answered()),
        ("with a ping between", fragments(&hello, &[5], &ping), [pongs(1), answered()].concat()),
        ("with two between", fragments(&hello, &[5, 6], &ping), [pongs(2), answered()].concat()),
        ("with a pong between", fragments(&hello, &[5], &whole(PONG, b"x")), answered()),
        ("of 125 bytes", noise(125), answered()),
        ("of 126 bytes", noise(126), answered()),
        ("of 127 bytes", noise(127), answered()),
        ("of 65,535 bytes", noise(65_535), answered()),
        ("of 65,536 bytes, the bound", noise(65_536), answered()),
        ("of the bound, in fragments", fragments(&[9; 65_536], &[1, 65_534], b""), answered()),
    ]
}

fn controls() -> Vec<Case> {
    let pong = |payload: &[u8]| vec![Heard::Pong(payload.to_vec())];
    let ten: Vec<u8> = (0..10).flat_map(|number| whole(PING, &[number])).collect();
    let ten_pongs: Vec<Heard> = (0..10).map(|number| Heard::Pong(vec![number])).collect();
    vec![
        ("a ping", whole(PING, b""), pong(b"")),
        ("a ping of 125 bytes", whole(PING, &[7; 125]), pong(&[7; 125])),
        ("ten pings", ten, ten_pongs),
        ("a pong that nobody asked for", whole(PONG, b"x"), vec![]),
        ("a pong, then a ping", [whole(PONG, b""), whole(PING, b"y")].concat(), pong(b"y")),
    ]
}

/// What breaks a rule, and the code that says so.
fn faults() -> Vec<Case> {
    let (broken, big) = (CloseCode::PROTOCOL, CloseCode::TOO_BIG);
    let begun = frame(BINARY, b"begun");
    let behind = |next: Vec<u8>| [begun.clone(), next].concat();
    let cases = [
        ("of 65,537 bytes", whole(BINARY, &[9; 65_537]), big),
        ("above the bound, in fragments", fragments(&[9; 65_537], &[40_000], b""), big),
        ("a claim of four exabytes", claimed(FINAL | BINARY, 8, 1 << 62), big),
        ("a length with the highest bit", claimed(FINAL | BINARY, 8, 1 << 63), broken),
        ("125 in two bytes", claimed(FINAL | BINARY, 2, 125), broken),
        ("65,535 in eight bytes", claimed(FINAL | BINARY, 8, 65_535), broken),
        ("a ping of 126 bytes", whole(PING, &[7; 126]), broken),
        ("a ping in fragments", frame(PING, b"x"), broken),
        ("a close of 126 bytes", whole(CLOSE, &[b'x'; 126]), broken),
        ("a close in fragments", frame(CLOSE, &[3, 232]), broken),
        ("a message without a mask", vec![FINAL | BINARY, 1, 7], broken),
        ("a ping without a mask", vec![FINAL | PING, 0], broken),
        ("a close without a mask", vec![FINAL | CLOSE, 2, 3, 232], broken),
        ("the first reserved bit", frame(FINAL | 0x40 | BINARY, b"x"), broken),
        ("the second reserved bit", frame(FINAL | 0x20 | BINARY, b"x"), broken),
        ("the third reserved bit", frame(FINAL | 0x10 | PING, b"x"), broken),
        ("data of kind 3", whole(0x3, b"x"), broken),
        ("data of kind 7", whole(0x7, b""), broken),
        ("control of kind 11", whole(0xb, b""), broken),
        ("control of kind 15", whole(0xf, b""), broken),
        ("a continuation of nothing", whole(CONTINUATION, b"x"), broken),
        ("a fragment of nothing", frame(CONTINUATION, b"x"), broken),
        ("a message inside another", behind(whole(BINARY, b"x")), broken),
        ("text inside a message", behind(whole(TEXT, b"x")), broken),
        ("text", whole(TEXT, b"{}"), CloseCode::NOT_BINARY),
        ("a fragment of text", frame(TEXT, b"{"), CloseCode::NOT_BINARY),
        ("text that is not UTF-8", whole(TEXT, &[0xff]), CloseCode::NOT_BINARY),
    ];
    cases.map(|(name, bytes, code)| (name, bytes, vec![Heard::Close(code.0)])).into()
}

fn endings() -> Vec<Case> {
    let broken = CloseCode::PROTOCOL.0;
    let begun = frame(BINARY, b"begun");
    let late = [closing(1000, b""), whole(PING, b"late"), whole(0x3, b"")].concat();
    let cases = [
        ("a close without a code", whole(CLOSE, b""), 1000),
        ("a close with a reason", closing(1001, "tschüß".as_bytes()), 1001),
        ("a close with the longest reason", closing(1000, &[b'x'; 123]), 1000),
        ("a close with a code of ours", closing(3000, b""), 3000),
        ("a close with the last code", closing(4999, b""), 4999),
        ("a close inside a message", [begun, closing(1000, b"")].concat(), 1000),
        ("a close, then more", late, 1000),
        ("half a code", whole(CLOSE, &[3]), broken),
        ("code 999", closing(999, b""), broken),
        ("code 1005, which is never sent", closing(1005, b""), broken),
        ("code 1006, which is never sent", closing(1006, b""), broken),
        ("code 1016, which nobody defined", closing(1016, b""), broken),
        ("code 2999", closing(2999, b""), broken),
        ("code 5000", closing(5000, b""), broken),
        ("a reason that is not UTF-8", closing(1000, &[0xff]), CloseCode::NOT_UTF8.0),
    ];
    cases.map(|(name, bytes, code)| (name, bytes, vec![Heard::Close(code)])).into()
}

async fn open(world: &World, behind: &[u8]) -> TcpStream {
    world.account("ada").await;
    let mut stream = TcpStream::connect(world.addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let head = format!(
        "GET /ws/ada HTTP/1.1\r\nhost: {}\r\nconnection: keep-alive, Upgrade\r\n\
         upgrade: WebSocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: other, {SUB_PROTOCOL}\r\n\r\n",
        world.addr
    );
    stream.write_all(&[head.as_bytes(), behind].concat()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap().to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
    assert!(answer.contains(&format!("sec-websocket-protocol: {SUB_PROTOCOL}")), "{answer}");
    stream
}

/// Everything up to the end of the stream.
async fn heard(stream: &mut TcpStream) -> Vec<Heard> {
    let mut heard = Vec::new();
    loop {
        let first = match stream.read_u8().await {
            Ok(first) => first,
            Err(fault) => {
                assert_eq!(fault.kind(), ErrorKind::UnexpectedEof, "the end, and not a reset");
                return heard;
            }
        };
        let length = match stream.read_u8().await.unwrap() {
            126 => u64::from(stream.read_u16().await.unwrap()),
            127 => stream.read_u64().await.unwrap(),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.unwrap();
        let next = match first {
            0x82 => Heard::Message,
            0x88 => Heard::Close(u16::from_be_bytes([payload[0], payload[1]])),
            0x8a => Heard::Pong(payload),
            other => panic!("a first byte {other:#x}"),
        };
        if heard.last() != Some(&Heard::Message) || next != Heard::Message {
            heard.push(next);
        }
    }
}

#[tokio::test]
async fn every_case_of_the_rfc_is_answered_as_it_says() {
    let world = World::in_memory().await;
    let going = [messages(), controls()].concat();
    let ended = [faults(), endings()].concat();
    assert!(going.len() + ended.len() >= 40);
    let ends_well = going.into_iter().map(|(name, mut bytes, mut expected)| {
        bytes.extend(closing(1000, b""));
        expected.push(Heard::Close(1000));
        (name, bytes, expected)
    });
    for (name, bytes, expected) in ends_well.chain(ended) {
        let mut stream = open(&world, b"").await;
        stream.write_all(&bytes).await.unwrap();
        let heard = timeout(PATIENCE, heard(&mut stream)).await;
        assert_eq!(heard.expect(name), expected, "{name}");
    }
}

#[tokio::test]
async fn what_came_with_the_request_belongs_to_the_socket() {
    let world = World::in_memory().await;
    let bytes = [whole(BINARY, &hello()), whole(PING, b"x"), closing(1000, b"")].concat();
    let mut stream = open(&world, &bytes).await;
    let heard = timeout(PATIENCE, heard(&mut stream)).await.unwrap();
    assert_eq!(heard, [Heard::Message, Heard::Pong(b"x".to_vec()), Heard::Close(1000)]);
}

#[tokio::test]
async fn a_byte_at_a_time_is_as_good_as_all_at_once() {
    let world = World::in_memory().await;
    let mut stream = open(&world, b"").await;
    let ping = whole(PING, b"x");
    for byte in [fragments(&hello(), &[9], &ping), closing(1000, b"")].concat() {
        stream.write_all(&[byte]).await.unwrap();
    }
    let heard = timeout(PATIENCE, heard(&mut stream)).await.unwrap();
    assert_eq!(heard, [Heard::Pong(b"x".to_vec()), Heard::Message, Heard::Close(1000)]);
}

#[tokio::test]
async fn a_client_that_never_closes_is_dropped_after_a_moment() {
    let world = World::in_memory().await;
    let mut stream = open(&world, b"").await;
    stream.write_all(&whole(TEXT, b"x")).await.unwrap();
    assert_eq!(timeout(PATIENCE, heard(&mut stream)).await.unwrap(), [Heard::Close(1003)]);
    assert_eq!(world.engine.hub.count(), 1, "it is counted while it lingers");
    let gone = async {
        while world.engine.hub.count() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("it lingers for a second at most");
}
