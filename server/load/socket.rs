//! A light client's side of HTTP and of WebSocket: enough for thousands in one process.
//!
//! Used by `person` and by the flood. Its law: a socket comes from the address it is told, so that
//! ports do not run out and limits of one address are met only where that is meant; what is read is
//! kept only until a frame is whole.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use protocol::close::CloseCode;
use protocol::codec::SUB_PROTOCOL;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// For an answer, and for a socket to open.
const PATIENCE: Duration = Duration::from_secs(10);
/// The bytes of a head that is answered.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// From where somebody reaches which server, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) server: SocketAddr,
    pub(crate) source: Ipv4Addr,
    pub(crate) cookie: String,
}

/// Why no socket opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Silent,
    Status(u16),
}

/// What an HTTP request was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// The address of this number: 200 in each network of loopback from 127.1.0.0 on.
pub(crate) fn source(number: usize) -> Ipv4Addr {
    let byte = |number: usize| u8::try_from(number).expect("fewer addresses than loopback has");
    Ipv4Addr::new(127, 1, byte(number / 200), byte(number % 200 + 2))
}

impl Place {
    pub(crate) async fn connect(&self, receive_bytes: Option<u32>) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind((IpAddr::from(self.source), 0).into())?;
        let stream = socket.connect(self.server).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Opens a WebSocket; what was read behind the answer comes with it.
    pub(crate) async fn upgrade(
        &self,
        receive_bytes: Option<u32>,
    ) -> Result<(TcpStream, Vec<u8>), Refused> {
        let opening = async {
            let mut stream = self.connect(receive_bytes).await?;
            let Self { server, cookie, .. } = self;
            let asked = format!(
                "GET /ws HTTP/1.1\r\nhost: {server}\r\norigin: http://{server}\r\n\
                 cookie: {cookie}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 sec-websocket-protocol: {SUB_PROTOCOL}\r\n\r\n"
            );
            stream.write_all(asked.as_bytes()).await?;
            let mut read = Vec::with_capacity(512);
            loop {
                if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                    let behind = read.split_off(end + 4);
                    return Ok((stream, status(&read), behind));
                }
                if read.len() > HEAD_BYTES_MAX || stream.read_buf(&mut read).await? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                }
            }
        };
        match timeout(PATIENCE, opening).await {
            Ok(Ok((stream, 101, behind))) => Ok((stream, behind)),
            Ok(Ok((_, status, _))) => Err(Refused::Status(status)),
            Ok(Err(_)) | Err(_) => Err(Refused::Silent),
        }
    }

    /// One request on a connection of its own; nothing where nobody answers.
    pub(crate) async fn ask(&self, method: &str, path: &str) -> Option<Answer> {
        let asking = async {
            let mut stream = self.connect(None).await?;
            let Self { server, cookie, .. } = self;
            let asked = format!(
                "{method} {path} HTTP/1.1\r\nhost: {server}\r\norigin: http://{server}\r\n\
                 cookie: {cookie}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(asked.as_bytes()).await?;
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await?;
            Ok::<_, io::Error>(read)
        };
        let read = timeout(PATIENCE, asking).await.ok()?.ok()?;
        let text = String::from_utf8(read).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let (status, head, body) = (status(text.as_bytes()), head.to_owned(), body.to_owned());
        Some(Answer { status, head, body })
    }

    /// Becomes a guest, if the cookie names nobody yet; whether it is one now.
    pub(crate) async fn become_guest(&mut self) -> Option<Answer> {
        let answer = self.ask("POST", "/api/guest").await?;
        if let Some(cookie) = answer.header("set-cookie") {
            self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        }
        Some(answer)
    }
}

fn status(head: &[u8]) -> u16 {
    let digits = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// What came on a socket.
pub(crate) enum Heard {
    Message(Vec<u8>),
    Closed(CloseCode),
    Other,
}

/// The frames of a server, which never divides a message.
#[derive(Debug, Default)]
pub(crate) struct Frames(Vec<u8>);

impl Frames {
    pub(crate) fn starting_with(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub(crate) fn next(&mut self) -> Option<Heard> {
        let (&[first, second], rest) = self.0.split_first_chunk()?;
        let (length_bytes, length) = match second & 0x7f {
            126 => (2, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (8, u64::from_be_bytes(*rest.first_chunk()?)),
            short => (0, u64::from(short)),
        };
        let (begin, length) = (2 + length_bytes, usize::try_from(length).ok()?);
        let payload = self.0.get(begin..begin + length)?.to_vec();
        self.0.drain(..begin + length);
        if self.0.is_empty() {
            // Thousands that are idle shall not keep what one snapshot needed.
            self.0 = Vec::new();
        }
        Some(match first & 0x0f {
            0x2 => Heard::Message(payload),
            0x8 => Heard::Closed(CloseCode(match payload.first_chunk() {
                Some(code) => u16::from_be_bytes(*code),
                None => 1005,
            })),
            _ => Heard::Other,
        })
    }
}

/// A client's binary message, under a mask of zeros.
pub(crate) fn message(payload: &[u8]) -> Vec<u8> {
    framed(0x82, payload)
}

/// A client's last word.
pub(crate) fn closing(code: CloseCode) -> Vec<u8> {
    framed(0x88, &code.0.to_be_bytes())
}

fn framed(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => bytes.push(0x80 | short),
        (_, Ok(length)) => {
            bytes.push(0x80 | 126);
            bytes.extend(length.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(u64::try_from(payload.len()).expect("a length").to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}
