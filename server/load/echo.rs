//! An echo over the house's own reader of frames, for the fuzzing client of Autobahn.
//!
//! `load echo`, started by `tools/prove autobahn`; the product has no such door. Its law: what it
//! refuses, by which code, is the reader's to say; here every binary message is sent back.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::close::CloseCode;
use server::outlet::chunk::Frame;
use server::socket::reader::{Heard, Reader};
use sha1::{Digest, Sha1};

/// What a key is hashed with (RFC 6455, 1.3).
const SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Says where it is, and echoes for ever.
pub(crate) fn run() -> ! {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("{}", listener.local_addr().expect("it is bound"));
    loop {
        let Ok((stream, _)) = listener.accept() else { continue };
        // Whoever breaks off is not answered.
        std::thread::spawn(move || drop(echo(stream)));
    }
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut input = Vec::new();
    let mut buffer = [0; 64 * 1024];
    let end = loop {
        if let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        let taken = stream.read(&mut buffer)?;
        if taken == 0 {
            return Ok(());
        }
        input.extend_from_slice(&buffer[..taken]);
    };
    let mut unread = input.split_off(end);
    stream.write_all(answer(&input).as_bytes())?;
    let mut reader = Reader::new();
    loop {
        let mut left = unread.as_slice();
        while !left.is_empty() {
            let (taken, heard) = reader.feed(left);
            left = &left[taken..];
            match heard {
                Some(Heard::Message(message)) => stream.write_all(&binary(&message))?,
                Some(Heard::Ping(payload)) => stream.write_all(Frame::pong(&payload).bytes())?,
                Some(Heard::Closed(code)) => return close(stream, code),
                Some(Heard::Fault(code)) => return close(stream, code),
                Some(Heard::Pong) | None => {}
            }
        }
        let taken = stream.read(&mut buffer)?;
        if taken == 0 {
            return Ok(());
        }
        unread = buffer[..taken].to_vec();
    }
}

fn answer(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let key = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let key = key.map_or("", |(_, key)| key.trim());
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(SALT).finalize());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    )
}

fn binary(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => bytes.push(short),
        (_, Ok(length)) => {
            bytes.push(126);
            bytes.extend(length.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend(u64::try_from(payload.len()).expect("a length").to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// Says the last word, and reads on until the client has gone: else the kernel takes the word back.
fn close(mut stream: TcpStream, code: CloseCode) -> std::io::Result<()> {
    stream.write_all(Frame::close(code).bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
}
