//! One socket between a tab and the house: latency, buffers that fill, cuts that nobody hears of.
//!
//! Messages go up whole, as a WebSocket library hands them over; bytes go down as the house writes
//! them, in parts. Its law: what arrives, arrives in order; what is lost, is lost from some point
//! on, for the rest of the socket's life.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use server::clock::{Chance, SeededChance};
use server::outlet::Sink;
use server::outlet::chunk::{Opcode, take_message};

/// Milliseconds that bytes travel at most once faults have stopped.
pub(crate) const CALM_LATENCY_MS_MAX: u64 = 40;

/// The buffers and the weather of one socket.
#[derive(Debug)]
pub(crate) struct Pipe {
    chance: SeededChance,
    latency_ms_max: u64,
    bytes_max: usize,
    now: u64,
    up: Lane<Bytes>,
    down: Lane<Bytes>,
    /// Bytes that the house wrote and the client has not read.
    down_bytes: usize,
    /// Read by the client and not yet a whole message.
    begun: BytesMut,
    broken: bool,
    slow: Option<Slow>,
}

#[derive(Debug, Default)]
struct Lane<T> {
    under_way: VecDeque<(u64, T)>,
    last_arrival: u64,
    stalled_until: u64,
}

#[derive(Debug, Clone, Copy)]
struct Slow {
    bytes_a_ms: u64,
    until: u64,
    next_read: u64,
}

impl Pipe {
    /// A socket that is good so far.
    pub(crate) fn new(seed: u64, latency_ms_max: u64, bytes_max: u64) -> Self {
        Self {
            chance: SeededChance::new(seed),
            latency_ms_max,
            bytes_max: usize::try_from(bytes_max).unwrap(),
            now: 0,
            up: Lane::default(),
            down: Lane::default(),
            down_bytes: 0,
            begun: BytesMut::new(),
            broken: false,
            slow: None,
        }
    }

    /// Time goes on; a writer needs no clock of its own.
    pub(crate) fn at(&mut self, now: u64) -> &mut Self {
        self.now = now;
        self
    }

    /// From here on nothing gets through.
    pub(crate) fn cut(&mut self) {
        self.broken = true;
        self.up.under_way.clear();
        self.down.under_way.clear();
    }

    /// Nothing gets through for a while, and nobody is told.
    pub(crate) fn stall(&mut self, up: bool, down: bool, until: u64) {
        for (lane, stalled) in [(&mut self.up, up), (&mut self.down, down)] {
            if stalled {
                lane.stalled_until = lane.stalled_until.max(until);
            }
        }
    }

    /// The client reads slowly for a while.
    pub(crate) fn slow(&mut self, bytes_a_ms: u64, until: u64) {
        self.slow = Some(Slow { bytes_a_ms, until, next_read: self.now });
    }

    /// The network holds from here on.
    pub(crate) fn heal(&mut self) {
        self.slow = None;
        self.latency_ms_max = self.latency_ms_max.min(CALM_LATENCY_MS_MAX);
        (self.up.stalled_until, self.down.stalled_until) = (0, 0);
    }

    fn latency(&mut self) -> u64 {
        let most = if self.chance.below(8) == 0 { self.latency_ms_max } else { 2 };
        self.now + self.chance.below(most.min(self.latency_ms_max) + 1)
    }

    /// The client sends a message; it arrives at the time that is given back.
    pub(crate) fn send(&mut self, message: Vec<u8>) {
        if !self.broken {
            let arrival = self.latency();
            self.up.put(arrival, message.into());
        }
    }

    /// The next message that has reached the house.
    pub(crate) fn next_up(&mut self) -> Option<Bytes> {
        self.up.take(self.now)
    }

    /// When the next message reaches the house.
    pub(crate) fn up_at(&self) -> Option<u64> {
        self.up.at()
    }

    /// When all that the client has sent has reached the house.
    pub(crate) fn up_end(&self) -> u64 {
        self.up.last_arrival.max(self.up.stalled_until) + 1
    }

    /// Reads what has reached the client, and gives the whole messages in it.
    pub(crate) fn read(&mut self) -> Vec<(Opcode, Bytes)> {
        while self.slow.is_none_or(|slow| slow.next_read <= self.now) {
            let Some(bytes) = self.down.take(self.now) else { break };
            self.down_bytes -= bytes.len();
            self.begun.extend_from_slice(&bytes);
            if let Some(slow) = &mut self.slow {
                slow.next_read = self.now + u64::try_from(bytes.len()).unwrap() / slow.bytes_a_ms;
                if slow.until <= self.now {
                    self.slow = None;
                }
            }
        }
        let mut bytes = std::mem::take(&mut self.begun).freeze();
        let mut messages = Vec::new();
        while let Some(message) = take_message(&mut bytes) {
            messages.push(message);
        }
        self.begun.extend_from_slice(&bytes);
        messages
    }

    /// When the client can read next.
    pub(crate) fn down_at(&self) -> Option<u64> {
        let readable = self.slow.map_or(0, |slow| slow.next_read);
        self.down.at().map(|at| at.max(readable))
    }
}

impl Sink for Pipe {
    fn write(&mut self, parts: &[Bytes]) -> usize {
        let mut taken = 0;
        for part in parts {
            let room = self.bytes_max.saturating_sub(self.down_bytes);
            let mut part = part.clone();
            part.truncate(room);
            if part.is_empty() {
                continue;
            }
            taken += part.remaining();
            self.down_bytes += part.remaining();
            if !self.broken {
                let arrival = self.latency();
                self.down.put(arrival, part);
            }
        }
        taken
    }
}

impl<T> Lane<T> {
    fn put(&mut self, arrival: u64, what: T) {
        self.last_arrival = self.last_arrival.max(arrival);
        self.under_way.push_back((self.last_arrival, what));
    }

    fn at(&self) -> Option<u64> {
        self.under_way.front().map(|(arrival, _)| (*arrival).max(self.stalled_until))
    }

    fn take(&mut self, now: u64) -> Option<T> {
        (self.at()? <= now).then(|| self.under_way.pop_front().map(|(_, what)| what))?
    }
}
