//! An outlet under its lock, with its sink and the bell of the task that drains it.
//!
//! Held by the connection's task, by the log tasks whose lists it is on, and by the hub. Its law:
//! nobody waits while holding the lock, and whoever holds it takes at most a tail's lock besides;
//! an outlet whose step panicked is dead to everybody, so no room dies of one connection's bug.

use std::sync::{Arc, Mutex};

use protocol::close::CloseCode;
use protocol::ids::LogId;
use tokio::sync::Notify;

use super::chunk::{Chunk, Frame};
use super::{Input, Order, Outlet, Output, Sink, SocketId};

/// A connection's outlet, shared. Cheap to clone.
#[derive(Clone)]
pub struct OutletHandle(Arc<Shared>);

struct Shared {
    socket: SocketId,
    wired: Mutex<Wired>,
    /// Rung when something waits to be written.
    bell: Notify,
    /// Rung when something is to be read for a slot, or the connection is being closed.
    errand: Notify,
}

struct Wired {
    outlet: Outlet,
    sink: Box<dyn Sink + Send>,
    out: Vec<Output>,
    orders: Vec<Order>,
    closing: Option<CloseCode>,
}

impl OutletHandle {
    /// An outlet that writes to `sink`.
    #[must_use]
    pub fn new(socket: SocketId, outlet: Outlet, sink: Box<dyn Sink + Send>) -> Self {
        let wired = Wired { outlet, sink, out: Vec::new(), orders: Vec::new(), closing: None };
        Self(Arc::new(Shared {
            socket,
            wired: Mutex::new(wired),
            bell: Notify::new(),
            errand: Notify::new(),
        }))
    }

    /// The connection it belongs to.
    #[must_use]
    pub fn socket(&self) -> SocketId {
        self.0.socket
    }

    /// Tells it that a log has spoken.
    pub fn offer(&self, chunk: &Chunk, now: i64) {
        self.step(Input::Offer(chunk), now);
    }

    /// Tells it something passing, which is dropped unless it can be written at once.
    pub fn whisper(&self, log: LogId, frame: &Frame, now: i64) {
        self.step(Input::Whisper { log, frame }, now);
    }

    /// Ends the connection with this code; the first code wins.
    pub fn close(&self, code: CloseCode, now: i64) {
        self.step(Input::Close(code), now);
    }

    /// Steps the machine and rings for its task if there is something to do.
    pub fn step(&self, input: Input<'_>, now: i64) {
        let Ok(mut wired) = self.0.wired.lock() else { return };
        let wired = &mut *wired;
        wired.outlet.step(input, now, &mut *wired.sink, &mut wired.out);
        for output in wired.out.drain(..) {
            match output {
                Output::Wake => self.0.bell.notify_one(),
                Output::Fetch(order) => {
                    wired.orders.push(order);
                    self.0.errand.notify_one();
                }
                Output::Closing(code) => {
                    wired.closing = Some(code);
                    self.0.errand.notify_one();
                }
                Output::Alarm(alarm) => {
                    tracing::error!(socket = self.0.socket.0, ?alarm, "a rule of delivery broke");
                }
            }
        }
    }

    /// Waits until something is to be written. One task waits here.
    pub async fn rung(&self) {
        self.0.bell.notified().await;
    }

    /// Waits until something is to be read, or the connection is being closed. One task waits here.
    pub async fn sent_out(&self) {
        self.0.errand.notified().await;
    }

    /// The reads that were ordered since the last call.
    #[must_use]
    pub fn take_orders(&self) -> Vec<Order> {
        self.look(|wired| std::mem::take(&mut wired.orders)).unwrap_or_default()
    }

    /// Asks the outlet something; nothing where it is dead of a bug.
    pub fn ask<T>(&self, question: impl FnOnce(&Outlet) -> T) -> Option<T> {
        self.look(|wired| question(&wired.outlet))
    }

    /// The code with which the connection is being closed.
    #[must_use]
    pub fn closing(&self) -> Option<CloseCode> {
        self.look(|wired| wired.closing).unwrap_or(Some(CloseCode::INTERNAL))
    }

    fn look<T>(&self, look: impl FnOnce(&mut Wired) -> T) -> Option<T> {
        self.0.wired.lock().ok().map(|mut wired| look(&mut wired))
    }
}
