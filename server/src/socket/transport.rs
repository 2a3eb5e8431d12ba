//! The bytes of one socket, over axum's WebSocket: the seam behind which another stream may stand.
//!
//! Used by `socket/connection.rs` alone. The outlet writes finished messages into a `Pipe`, which
//! takes a write only when the one before has gone out; the pump carries payloads from there to the
//! socket. Its law: at most one write (64 KiB, or one longer message) waits here, so a socket that
//! stops taking bytes stops its outlet.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use protocol::close::CloseCode;
use protocol::limits::MESSAGE_BYTES_MAX;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;

use crate::clock::Clock;
use crate::outlet::chunk::{Opcode, take_message};
use crate::outlet::handle::OutletHandle;
use crate::outlet::{Input, LINGER_MS, Outlet, Sink};

/// Bytes read at once, and kept for it, by each socket.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes gathered before they are written.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// Bytes that may be gathered: one of the longest messages and what was gathered before it.
const WRITE_BUFFER_BYTES_MAX: usize = 256 * 1024;

/// The last moments of a socket whose connection is over.
pub(super) const LINGER: Duration = Duration::from_millis(LINGER_MS.unsigned_abs());

/// Sets every buffer: axum's own would take 134 KiB for an idle socket.
pub(super) fn with_small_buffers(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
}

/// Closes a socket whose client is not let in. His `Hello` may be under way: it is read and dropped,
/// else the kernel would answer it with a reset that takes the code with it.
pub(super) async fn turn_away(mut socket: WebSocket, code: CloseCode) {
    let frame = CloseFrame { code: code.0, reason: code.reason().into() };
    let closing = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    // Whoever does not close within the time is dropped.
    let _ = timeout(LINGER, closing).await;
}

/// What an outlet wrote and the socket has not taken yet.
#[derive(Clone, Default)]
pub(super) struct Pipe(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Bytes>,
    /// Rung when something was written.
    filled: Notify,
}

impl Pipe {
    fn waiting(&self) -> MutexGuard<'_, Bytes> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Pipe {
    fn write(&mut self, parts: &[Bytes]) -> usize {
        let mut waiting = self.waiting();
        if !waiting.is_empty() {
            return 0;
        }
        *waiting = match parts {
            [one] => one.clone(),
            many => many.iter().fold(BytesMut::new(), joined).freeze(),
        };
        self.0.filled.notify_one();
        waiting.len()
    }
}

fn joined(mut before: BytesMut, part: &Bytes) -> BytesMut {
    before.extend_from_slice(part);
    before
}

/// The writing side of a socket.
pub(super) struct Writing {
    socket: SplitSink<WebSocket, Message>,
    pipe: Pipe,
    /// Messages taken from the pipe that the socket has not taken in yet.
    carried: Bytes,
}

/// The reading side of a socket.
pub(super) struct Reading(SplitStream<WebSocket>);

/// What came in.
pub(super) enum Received {
    /// One binary message: a frame of the protocol.
    Frame(Bytes),
    /// A text message, which this sub-protocol does not have.
    Text,
    /// WebSocket's own ping or pong.
    Beat,
    /// The client closed, or the socket broke.
    End,
    /// The client broke WebSocket's rules: to be closed with this code.
    Fault(CloseCode),
}

/// Divides a socket; what is written into the pipe goes out by `Writing::pump`.
pub(super) fn divide(socket: WebSocket) -> (Reading, Writing, Pipe) {
    let (socket, stream) = socket.split();
    let pipe = Pipe::default();
    (Reading(stream), Writing { socket, pipe: pipe.clone(), carried: Bytes::new() }, pipe)
}

impl Writing {
    /// Carries what the outlet writes, until it is dead or the socket broken. Cancelled and called
    /// again it goes on with the next message, so that nothing is left out between two.
    pub(super) async fn pump(&mut self, outlet: &OutletHandle, clock: &dyn Clock) {
        loop {
            if self.carry().await.is_err() {
                return;
            }
            outlet.step(Input::Writable, clock.ticks_ms());
            self.carried = std::mem::take(&mut *self.pipe.waiting());
            if self.carried.is_empty() {
                if outlet.ask(Outlet::is_dead).unwrap_or(true) {
                    return;
                }
                tokio::select! {
                    () = outlet.rung() => {}
                    () = self.pipe.0.filled.notified() => {}
                }
            }
        }
    }

    async fn carry(&mut self) -> Result<(), axum::Error> {
        while !self.carried.is_empty() {
            poll_fn(|context| self.socket.poll_ready_unpin(context)).await?;
            let Some((opcode, payload)) = take_message(&mut self.carried) else { break };
            self.socket.start_send_unpin(match opcode {
                Opcode::Binary => Message::Binary(payload),
                Opcode::Close => Message::Close(close_frame(&payload)),
            })?;
        }
        self.socket.flush().await
    }
}

fn close_frame(payload: &Bytes) -> Option<CloseFrame> {
    let (code, reason) = payload.split_first_chunk::<2>()?;
    let reason = Utf8Bytes::try_from(Bytes::copy_from_slice(reason)).unwrap_or_default();
    Some(CloseFrame { code: u16::from_be_bytes(*code), reason })
}

impl Reading {
    /// The next message. Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> Received {
        match self.0.next().await {
            Some(Ok(Message::Binary(bytes))) => Received::Frame(bytes),
            Some(Ok(Message::Text(_))) => Received::Text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Received::Beat,
            Some(Ok(Message::Close(_))) | None => Received::End,
            Some(Err(fault)) => fault_of(fault),
        }
    }

    /// Reads on until the client has closed too, so that the kernel does not answer what is unread
    /// with a reset that would take the close frame with it.
    pub(super) async fn discard(&mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

fn fault_of(fault: axum::Error) -> Received {
    use tungstenite::Error;
    match fault.into_inner().downcast_ref::<Error>() {
        Some(Error::Capacity(_)) => Received::Fault(CloseCode::TOO_BIG),
        Some(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
            Received::End
        }
        Some(Error::Protocol(_) | Error::Utf8(_)) => Received::Fault(CloseCode::PROTOCOL),
        _ => Received::End,
    }
}
