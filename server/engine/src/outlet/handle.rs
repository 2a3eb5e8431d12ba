//! An outlet under its lock, with its sink and the waker of the task that drains it.
//!
//! Held by the connection's task, by the log tasks whose lists it is on, and by the hub: one piece of
//! memory for all of it, because a room's turn visits every one. Its law:
//! nobody waits while holding the lock, and whoever holds it takes at most a tail's lock besides;
//! the connection's task is woken only when it has something to do; an outlet whose step panicked
//! is dead to everybody, so no room dies of one connection's bug.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use protocol::close::CloseCode;
use protocol::ids::LogId;

use super::chunk::{Chunk, Frame};
use super::{Input, Order, Outlet, Output, SharedSink, SocketId};

/// A connection's outlet with its sink, shared. Cheap to clone. Who only speaks through it need not
/// know what takes the bytes.
pub struct OutletHandle<S: ?Sized = dyn SharedSink>(Arc<Shared<S>>);

struct Shared<S: ?Sized> {
    socket: SocketId,
    /// Acts of the connection that wait for their answer.
    unanswered: AtomicUsize,
    wired: Mutex<Wired>,
    sink: S,
}

struct Wired {
    outlet: Outlet,
    /// Reads that the task has not taken yet.
    orders: Vec<Order>,
    closing: Option<CloseCode>,
    /// The task that drains.
    waker: Option<Waker>,
}

/// What an outlet wants of the task around it.
#[derive(Debug, Clone, Copy)]
pub struct Wants {
    /// Something is to be written: step with `Writable` when the sink can take it.
    pub writing: bool,
    /// Something is to be read for a slot.
    pub reading: bool,
    /// When `Tick` is due at the latest.
    pub tick_at: Option<i64>,
    /// The connection is being closed.
    pub closing: bool,
    /// The last byte was written, or given up.
    pub dead: bool,
}

impl<S: ?Sized> Clone for OutletHandle<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: SharedSink + 'static> OutletHandle<S> {
    /// This outlet, which writes to `sink`.
    #[must_use]
    pub fn new(socket: SocketId, outlet: Outlet, sink: S) -> Self {
        let wired = Mutex::new(Wired { outlet, orders: Vec::new(), closing: None, waker: None });
        Self(Arc::new(Shared { socket, unanswered: AtomicUsize::new(0), wired, sink }))
    }

    /// What takes its bytes.
    #[must_use]
    pub fn sink(&self) -> &S {
        &self.0.sink
    }

    /// The same for who only speaks through it.
    #[must_use]
    pub fn speaker(&self) -> OutletHandle {
        OutletHandle(self.0.clone())
    }
}

impl<S: SharedSink + ?Sized> OutletHandle<S> {
    /// The connection it belongs to.
    #[must_use]
    pub fn socket(&self) -> SocketId {
        self.0.socket
    }

    /// Tells how many acts of the connection wait for their answer; a drain of the server waits for
    /// them.
    pub fn set_unanswered(&self, unanswered: usize) {
        self.0.unanswered.store(unanswered, Ordering::Relaxed);
    }

    /// How many acts of the connection wait for their answer.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.0.unanswered.load(Ordering::Relaxed)
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

    /// Steps the machine and wakes its task if there is something to do.
    pub fn step(&self, input: Input<'_>, now: i64) {
        let Ok(mut wired) = self.0.wired.lock() else { return };
        let mut out = Vec::new();
        wired.outlet.step(input, now, &mut &self.0.sink, &mut out);
        for output in out {
            match output {
                Output::Wake => {}
                Output::Fetch(order) => wired.orders.push(order),
                Output::Closing(code) => wired.closing = Some(code),
                Output::Alarm(alarm) => {
                    tracing::error!(socket = self.0.socket.0, ?alarm, "a rule of delivery broke");
                    continue;
                }
            }
            wired.waker.iter().for_each(Waker::wake_by_ref);
        }
    }

    /// Wakes the connection's task, so that it looks around.
    pub fn nudge(&self) {
        self.look(|wired| wired.waker.iter().for_each(Waker::wake_by_ref));
    }

    /// What is to be done for it; from now on this waker's task is woken for the next. Nothing where
    /// the outlet is dead of a bug.
    pub fn wants(&self, waker: &Waker) -> Option<Wants> {
        self.look(|wired| {
            if !wired.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                wired.waker = Some(waker.clone());
            }
            let dead = wired.outlet.is_dead();
            Wants {
                writing: !dead && !wired.outlet.is_free(),
                reading: !wired.orders.is_empty(),
                tick_at: wired.outlet.wakes_at(),
                closing: wired.closing.is_some(),
                dead,
            }
        })
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use bytes::Bytes;
    use protocol::event::{Event, SubOk};
    use protocol::ids::{RoomId, UserId};

    use super::super::chunk::tests::posted;
    use super::super::{Begin, Subscription};
    use super::*;
    use crate::rooms::tail::{SharedTail, Tail};

    /// Takes so many bytes of each write.
    struct Socket(AtomicUsize);

    impl SharedSink for Socket {
        fn write(&self, parts: &[Bytes]) -> usize {
            parts.iter().map(Bytes::len).sum::<usize>().min(self.0.load(Ordering::Relaxed))
        }
    }

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_is_at_the_head_is_told_and_not_woken() {
        let (socket, bell) = (Socket(AtomicUsize::new(usize::MAX)), Arc::<Bell>::default());
        let outlet = Outlet::new(UserId::from_bytes([5; 16]), 200);
        let outlet = OutletHandle::new(SocketId(1), outlet, socket);
        let waker = Waker::from(Arc::clone(&bell));
        let tail = SharedTail::new(Tail::new(0));
        let first = Frame::event(&Event::SubOk(SubOk { sub: 1, epoch: 1, head: 0 })).unwrap();
        outlet.wants(&waker).unwrap();
        outlet.step(
            Input::Subscribe(Subscription {
                log: RoomId::from_bytes([1; 16]).log(),
                sub: 1,
                born: 0,
                begin: Begin::Events { next: 1, first },
                ring: tail.ring(),
                seat: Box::new(()),
            }),
            0,
        );
        assert!(bell.0.swap(0, Ordering::Relaxed) > 0, "a new slot has its first frame to write");
        outlet.step(Input::Writable, 0);
        for text in ["a", "b", "c"] {
            let seq = tail.change(|tail| tail.head()) + 1;
            let chunk = Chunk::cut(&[posted(seq, text)]).unwrap().remove(0);
            tail.change(|tail| tail.push(chunk.clone())).unwrap();
            if text == "c" {
                outlet.sink().0.store(5, Ordering::Relaxed);
            }
            outlet.offer(&chunk, 0);
            let woken = bell.0.load(Ordering::Relaxed);
            assert_eq!(woken, usize::from(text == "c"), "only who takes a part has to be drained");
        }
        assert!(outlet.wants(&waker).unwrap().writing);
    }
}
