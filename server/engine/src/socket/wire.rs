//! The stream of one socket: read into a buffer of the thread, written to straight from the outlet.
//!
//! Made by `socket/handshake.rs`, read by the connection's task, written by whoever steps its outlet,
//! a room's turn above all. Its law: no byte is kept here for a client that reads slowly, an idle
//! socket has no buffer, and an end lingers so that the client can read why.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use protocol::close::CloseCode;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::reader::{Heard, Reader};
use crate::outlet::chunk::Frame;
use crate::outlet::{LINGER_MS, SharedSink};

/// Bytes that one read takes at most; each thread has one buffer of this size.
const READ_BYTES: usize = 64 * 1024;
/// Pieces that one vectored write takes.
const PIECES_MAX: usize = 64;
/// Bytes that are read and dropped behind the last word: a client's window and what was under way.
const DISCARD_BYTES_MAX: usize = 1024 * 1024;

/// The last moments of a socket whose connection is over.
pub(super) const LINGER: Duration = Duration::from_millis(LINGER_MS.unsigned_abs());

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A socket's stream; its connection's outlet owns it.
pub(super) struct Wire {
    stream: TcpStream,
    /// A write has failed: nothing more can be said.
    is_broken: AtomicBool,
}

impl Wire {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, is_broken: AtomicBool::new(false) }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// Ready when the stream may take bytes, or is broken.
    pub(super) fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        if ready!(self.stream.poll_write_ready(context)).is_err() {
            self.is_broken.store(true, Ordering::Relaxed);
        }
        Poll::Ready(())
    }

    /// Says why and ends, without an outlet: nothing was said on this socket before.
    pub(super) async fn turn_away(&self, code: CloseCode) {
        self.write(std::slice::from_ref(Frame::close(code).bytes()));
        self.linger().await;
    }

    /// Ends the writing side and reads on until the client has ended too, for a moment at most:
    /// bytes that nobody read would make the kernel answer with a reset, which takes the close frame
    /// with it.
    pub(super) async fn linger(&self) {
        // A stream that is gone already has nothing to end.
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Write);
        let mut discarded = 0;
        let discarding = poll_fn(|context| {
            while discarded < DISCARD_BYTES_MAX {
                if ready!(self.stream.poll_read_ready(context)).is_err() {
                    break;
                }
                match BUFFER.with_borrow_mut(|buffer| self.stream.try_read(buffer)) {
                    Ok(0) => break,
                    Ok(count) => discarded += count,
                    Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
            Poll::Ready(())
        });
        // Whoever does not end within the time is dropped.
        let _ = timeout(LINGER, discarding).await;
    }
}

impl SharedSink for Wire {
    fn write(&self, parts: &[Bytes]) -> usize {
        let stream = &self.stream;
        let written = match parts {
            [] => return 0,
            // Past tokio's note of what is ready, which lies elsewhere and is cold in a room's turn.
            // Only where the kernel takes nothing tokio is asked too, and notes that.
            [one] => match SockRef::from(stream).send(one) {
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => stream.try_write(one),
                written => written,
            },
            many => {
                let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
                let pairs = pieces.iter_mut().zip(many);
                let count = pairs.map(|(piece, part)| *piece = IoSlice::new(part)).count();
                stream.try_write_vectored(pieces.get(..count).unwrap_or_default())
            }
        };
        written.unwrap_or_else(|fault| {
            if fault.kind() != io::ErrorKind::WouldBlock {
                self.is_broken.store(true, Ordering::Relaxed);
            }
            0
        })
    }
}

/// The reading side of a socket.
pub(super) struct Reading {
    reader: Reader,
    /// What was read and not yet understood, while the connection does what came before it.
    unread: Option<Box<Bytes>>,
}

impl Reading {
    /// Begins with what was read before.
    pub(super) fn new(unread: Bytes) -> Self {
        Self { reader: Reader::new(), unread: Some(Box::new(unread)) }
    }

    /// What comes next on this wire, the same each time; nothing where the client is gone.
    pub(super) fn poll_next(
        &mut self,
        wire: &Wire,
        context: &mut Context<'_>,
    ) -> Poll<Option<Heard>> {
        loop {
            if let Some(unread) = &mut self.unread {
                let (taken, heard) = self.reader.feed(unread);
                unread.advance(taken);
                if unread.is_empty() {
                    self.unread = None;
                }
                if heard.is_some() {
                    return Poll::Ready(heard);
                }
            }
            if ready!(wire.stream.poll_read_ready(context)).is_err() {
                return Poll::Ready(None);
            }
            match BUFFER.with_borrow_mut(|buffer| self.read(wire, buffer)) {
                Ok(Some(heard)) => return Poll::Ready(Some(heard)),
                Ok(None) => {}
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(None),
            }
        }
    }

    fn read(&mut self, wire: &Wire, buffer: &mut [u8]) -> io::Result<Option<Heard>> {
        let count = wire.stream.try_read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let read = buffer.get(..count).unwrap_or_default();
        let (taken, heard) = self.reader.feed(read);
        let rest = read.get(taken..).filter(|rest| !rest.is_empty());
        self.unread = rest.map(|rest| Box::new(Bytes::copy_from_slice(rest)));
        Ok(heard)
    }
}
