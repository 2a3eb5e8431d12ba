//! Where the connection stands: one phase, its deadline, and signs of life.
//!
//! The machine asks it what may be done and tells it what happened; deciding what follows a close
//! is `ending`'s. Its law: every phase but `Live`, `Offline`, `Stopped` and `Idle` ends by itself.

use super::backoff::{Backoff, Recent};
use super::exchange::{Standing, Stop};
use crate::limits::{SERVER_SILENCE_MS_MAX, WELCOME_MS_MAX};

/// From the wish for a socket to its being open.
const OPEN_MS_MAX: i64 = 10_000;
/// From one piece of what was missed to the next.
const SYNC_MS_MAX: i64 = 30_000;
/// For the server's answers outside the socket.
const CHECK_MS_MAX: i64 = 15_000;
/// Without an answer to an op before the server is asked whether it still hears.
const STALL_MS: i64 = 5_000;
/// For that question's answer, from the last that was heard: on a slow line a page of 128 KiB may stand
/// before it, and of a message nothing is heard until it is whole.
const PROBE_MS_MAX: i64 = 5_000;
/// The same after a sleep, when most connections are gone, until something is heard.
const WAKE_PROBE_MS_MAX: i64 = 3_000;
/// Without an answer to an op, whatever else is heard.
const STALL_MS_MAX: i64 = 30_000;
/// A timer that comes later than this means that the machine slept.
pub(super) const SLEPT_MS: i64 = 5_000;
/// For the answers to what is under way, once the server drains.
pub(super) const DRAIN_MS_MAX: i64 = 5_000;

/// The phases of one try after another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Phase {
    #[default]
    Idle,
    Checking {
        until: i64,
        guest_only: bool,
    },
    Connecting {
        until: i64,
    },
    Greeting {
        until: i64,
    },
    Syncing {
        until: i64,
    },
    Live {
        since: i64,
    },
    Draining {
        until: i64,
        back_at: i64,
    },
    Waiting {
        until: i64,
    },
    Offline,
    Stopped(Stop),
}

/// The connection as the machine sees it.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) phase: Phase,
    pub(super) backoff: Backoff,
    /// Closes that blame a frame, of late.
    pub(super) faults: Recent,
    /// Lost positions, of late.
    pub(super) gaps: Recent,
    /// The page is hidden.
    pub(super) hidden: bool,
    /// A guest was asked for since the last greeting.
    pub(super) guest_asked: bool,
    /// When the last try began.
    pub(super) tried_at: Option<i64>,
    /// Before this time the server wants no further try; it is over once it greets.
    pub(super) busy_until: i64,
    /// Somebody waits since the try that is under way began: where it is in vain, the next comes soon.
    pub(super) hurried: bool,
    last_socket: u32,
    heard_at: i64,
    probe: Option<Probe>,
    probe_count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    number: u32,
    sent_at: i64,
    /// Nothing once it was answered.
    until: Option<i64>,
}

impl Connection {
    /// The socket that is being opened or is open.
    pub(super) const fn socket(&self) -> Option<u32> {
        match self.phase {
            Phase::Connecting { .. } => Some(self.last_socket),
            _ => self.open_socket(),
        }
    }

    /// The socket that frames may be sent on.
    pub(super) const fn open_socket(&self) -> Option<u32> {
        match self.phase {
            Phase::Greeting { .. }
            | Phase::Syncing { .. }
            | Phase::Live { .. }
            | Phase::Draining { .. } => Some(self.last_socket),
            _ => None,
        }
    }

    pub(super) fn owns(&self, socket: u32) -> bool {
        self.socket() == Some(socket)
    }

    /// Whether the server knows the client and takes new ops and subscriptions.
    pub(super) const fn takes_ops(&self) -> bool {
        matches!(self.phase, Phase::Syncing { .. } | Phase::Live { .. })
    }

    pub(super) const fn live_since(&self) -> Option<i64> {
        match self.phase {
            Phase::Live { since } => Some(since),
            _ => None,
        }
    }

    /// Begins a try; gives the number of its socket.
    pub(super) fn begin(&mut self, now: i64) -> u32 {
        self.last_socket = self.last_socket.wrapping_add(1);
        self.phase = Phase::Connecting { until: now + OPEN_MS_MAX };
        self.last_socket
    }

    pub(super) fn check(&mut self, guest_only: bool, now: i64) {
        self.phase = Phase::Checking { until: now + CHECK_MS_MAX, guest_only };
    }

    pub(super) fn greet(&mut self, now: i64) {
        self.phase = Phase::Greeting { until: now + WELCOME_MS_MAX };
        self.heard_at = now;
        self.probe = None;
    }

    /// The server wants no further try before then; what it named earlier still holds.
    pub(super) fn busy(&mut self, until: i64) {
        self.busy_until = self.busy_until.max(until);
    }

    /// A frame came. An answer that stands behind others has its time anew.
    pub(super) fn heard(&mut self, now: i64) {
        self.heard_at = now;
        if let Some(until) = self.probe.as_mut().and_then(|probe| probe.until.as_mut()) {
            *until = now + PROBE_MS_MAX;
        }
    }

    /// Something of what was asked for came: the rest has its time anew.
    pub(super) fn syncing(&mut self, now: i64) {
        self.phase = Phase::Syncing { until: now + SYNC_MS_MAX };
    }

    /// The same, where anything is still to come.
    pub(super) fn progressed(&mut self, now: i64) {
        if matches!(self.phase, Phase::Syncing { .. }) {
            self.syncing(now);
        }
    }

    /// All that was asked for has been read.
    pub(super) fn caught_up(&mut self, now: i64) {
        if matches!(self.phase, Phase::Syncing { .. }) {
            self.phase = Phase::Live { since: now };
        }
    }

    /// Asks for a sign of life; gives the probe's number, or nothing if one is on its way already.
    /// What was asked before a sleep is asked again.
    pub(super) fn probe(&mut self, after_sleep: bool, now: i64) -> Option<u32> {
        let limit = if after_sleep { WAKE_PROBE_MS_MAX } else { PROBE_MS_MAX };
        if !self.takes_ops() || (self.is_probing() && !after_sleep) {
            return None;
        }
        self.probe_count = self.probe_count.wrapping_add(1);
        let number = self.probe_count;
        self.probe = Some(Probe { number, sent_at: now, until: Some(now + limit) });
        Some(number)
    }

    pub(super) fn probed(&mut self, number: u32) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.number == number) {
            probe.until = None;
        }
    }

    /// Whether an op that waits since then is to be asked after.
    pub(super) fn wants_probe(&self, oldest_in_flight: Option<i64>, now: i64) -> bool {
        let since = oldest_in_flight.filter(|sent_at| now - sent_at >= STALL_MS);
        since.is_some_and(|sent_at| !self.probed_since(sent_at))
    }

    /// Whether the socket is to be given up although nobody closed it.
    pub(super) fn is_dead(&self, oldest_in_flight: Option<i64>, now: i64) -> bool {
        let silent = now - self.heard_at >= SERVER_SILENCE_MS_MAX;
        let deaf = self.probe.is_some_and(|probe| probe.until.is_some_and(|until| until <= now));
        let stuck = oldest_in_flight.is_some_and(|sent_at| now - sent_at >= STALL_MS_MAX);
        self.open_socket().is_some() && (silent || deaf || stuck)
    }

    /// The end of the phase, or of the patience with a silent server.
    pub(super) fn wake_at(&self) -> Option<i64> {
        let silence = self.open_socket().map(|_| self.heard_at + SERVER_SILENCE_MS_MAX);
        let probe = self.probe.and_then(|probe| probe.until).filter(|_| self.takes_ops());
        let phase = match self.phase {
            Phase::Checking { until, .. }
            | Phase::Connecting { until }
            | Phase::Greeting { until }
            | Phase::Syncing { until }
            | Phase::Draining { until, .. }
            | Phase::Waiting { until } => Some(until),
            Phase::Idle | Phase::Live { .. } | Phase::Offline => None,
            Phase::Stopped(_) => None,
        };
        [phase, silence, probe].into_iter().flatten().min()
    }

    /// When an op that waits since then is asked after or given up.
    pub(super) fn stall_at(&self, oldest_in_flight: Option<i64>) -> Option<i64> {
        let sent_at = oldest_in_flight.filter(|_| self.takes_ops())?;
        let asked = self.is_probing() || self.probed_since(sent_at);
        let wait = if asked { STALL_MS_MAX } else { STALL_MS };
        Some(sent_at + wait)
    }

    /// What is told of it.
    pub(super) fn standing(&self) -> Standing {
        match &self.phase {
            Phase::Idle => Standing::Idle,
            Phase::Checking { .. } | Phase::Connecting { .. } | Phase::Greeting { .. } => {
                Standing::Connecting
            }
            Phase::Syncing { .. } => Standing::Syncing,
            Phase::Live { .. } => Standing::Live,
            Phase::Draining { .. } => Standing::Draining,
            Phase::Waiting { until } => Standing::Waiting { until: *until },
            Phase::Offline => Standing::Offline,
            Phase::Stopped(stop) => Standing::Stopped(stop.clone()),
        }
    }

    /// A probe is on its way; its own deadline comes before any other.
    fn is_probing(&self) -> bool {
        self.probe.is_some_and(|probe| probe.until.is_some())
    }

    fn probed_since(&self, sent_at: i64) -> bool {
        self.probe.is_some_and(|probe| probe.sent_at >= sent_at)
    }
}
