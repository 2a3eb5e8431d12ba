//! How tries begin and end: opening, closes by their codes, sleep, and the server's answers
//! outside the socket.
//!
//! Part of the machine. Its law: the code alone says whether to come back (`close`); nothing here
//! ever gives up by itself, but for the codes and answers that say so.

use super::connection::{DRAIN_MS_MAX, Phase, SLEPT_MS};
use super::exchange::{Checked, Output, Stop, Told};
use super::{Client, Turn};
use crate::close::{CloseCode, Fate};
use crate::codec::VERSION;
use crate::command::{Hello, Probe};
use crate::frame::Command;
use crate::model::Rank;
use crate::refusal::Refusal;

/// Who is before the page again, a network that is back, or an act wait at most so long.
const AWAKE_MS_MAX: i64 = 1_000;
/// But not for a try that would follow on another one within this time.
const TRIES_MS_MIN: i64 = 1_000;
/// Closes that blame a frame within this time are counted together.
const FAULTS_SPAN_MS: i64 = 5 * 60 * 1_000;
/// So many of them mean that trying again is of no use.
const FAULTS_MAX: usize = 3;

impl Client {
    /// Begins a try now.
    pub(super) fn connect(&mut self, turn: &mut Turn<'_>) {
        self.connection.tried_at = Some(turn.now);
        if self.user.is_none() && !self.connection.guest_asked {
            return self.ask_for_guest(turn);
        }
        let socket = self.connection.begin(turn.now);
        turn.put(Output::Open(socket));
    }

    pub(super) fn opened(&mut self, socket: u32, turn: &mut Turn<'_>) {
        let expected = matches!(self.connection.phase, Phase::Connecting { .. });
        if !expected || !self.connection.owns(socket) {
            return;
        }
        self.connection.greet(turn.now);
        let hello = Hello {
            version: u16::from(VERSION),
            build: self.setup.build.clone(),
            page: self.setup.page,
            device: self.setup.device,
            abilities: 0,
            // Who asked for a guest since may be another user, whose log is another.
            user_cursor: self
                .user
                .filter(|_| !self.connection.guest_asked)
                .and_then(|user| self.logs.cursor(user.log())),
        };
        self.say(&Command::Hello(hello), turn);
    }

    /// The socket is gone; its code says what follows.
    pub(super) fn lost(&mut self, code: CloseCode, turn: &mut Turn<'_>) {
        let phase = std::mem::take(&mut self.connection.phase);
        let live_since = match phase {
            Phase::Live { since } => Some(since),
            _ => None,
        };
        self.connection.backoff.ended(live_since, turn.now);
        if code == CloseCode::TOO_BIG {
            self.give_up_the_longest(turn);
        }
        self.forget_connection(turn);
        if matches!(code, CloseCode::SIGNED_OUT | CloseCode::DISABLED) {
            self.void_cache(turn);
        }
        if matches!(phase, Phase::Connecting { .. }) {
            self.connection.check(false, turn.now);
            return turn.put(Output::Check { guest_only: false });
        }
        if let Phase::Draining { back_at, .. } = phase {
            self.connection.backoff.count();
            return self.wait_until(back_at);
        }
        match code {
            CloseCode::SIGNED_OUT => self.signed_out(turn),
            CloseCode::VERSION => self.reload_or(Stop::Version, turn),
            CloseCode::BAD_FRAMES
            | CloseCode::PROTOCOL
            | CloseCode::NOT_BINARY
            | CloseCode::NOT_UTF8
                if self.connection.faults.note(turn.now, FAULTS_SPAN_MS) >= FAULTS_MAX =>
            {
                self.reload_or(Stop::Broken, turn);
            }
            _ => self.follow(code, turn),
        }
    }

    /// A frame was longer than somebody on the way takes. It is not known which; but the longest of
    /// those under way is no shorter, and stands behind it or is it, so it was not taken either. Sent
    /// again it would end every connection.
    fn give_up_the_longest(&mut self, turn: &mut Turn<'_>) {
        if let Some(op_id) = self.outbox.longest_in_flight() {
            self.fail(op_id, Refusal::TooBig, turn);
        }
    }

    /// Does what the table of codes says.
    fn follow(&mut self, code: CloseCode, turn: &mut Turn<'_>) {
        let connection = &mut self.connection;
        let steady = connection.backoff.is_fresh();
        let delay = match code.fate() {
            Fate::Done => return self.stop(Stop::Replaced),
            Fate::Stop => return self.stop(stop_of(code)),
            // At once, but only the first time: else a server in trouble would be hammered.
            Fate::Now if steady => {
                connection.backoff.count();
                0
            }
            Fate::Soon { ms_max } if steady => {
                connection.backoff.count();
                self.chance.up_to(i64::from(ms_max))
            }
            Fate::Later { ms_min } => {
                connection.busy(turn.now + i64::from(ms_min));
                connection.backoff.delay(connection.hidden, &mut self.chance)
            }
            Fate::Now | Fate::Soon { .. } | Fate::Backoff => {
                connection.backoff.delay(connection.hidden, &mut self.chance)
            }
        };
        self.wait_again(delay, turn.now);
    }

    /// What the server answered outside the socket.
    pub(super) fn checked(&mut self, answer: Checked, turn: &mut Turn<'_>) {
        let Phase::Checking { guest_only, .. } = self.connection.phase else { return };
        let connection = &mut self.connection;
        match answer {
            Checked::Refused(why) => return self.stop(Stop::Policy(why)),
            Checked::Ready if guest_only => return self.connect(turn),
            Checked::Ready => {}
            Checked::Later { .. } | Checked::Silent if guest_only => {
                connection.guest_asked = false;
            }
            Checked::Later { .. } | Checked::Silent => {}
        }
        let delay = connection.backoff.delay(connection.hidden, &mut self.chance);
        if let Checked::Later { ms_min } = answer {
            connection.busy(turn.now + i64::from(ms_min));
        }
        self.wait_again(delay, turn.now);
    }

    /// A deadline has come.
    pub(super) fn time_passed(&mut self, turn: &mut Turn<'_>) {
        let due = self.due_at(turn.now);
        let slept = due.is_some_and(|due| turn.now - due > SLEPT_MS);
        self.typing_passed(turn);
        self.older_passed(turn);
        if slept {
            self.awake(turn);
        }
        match self.connection.phase {
            Phase::Waiting { until } if until <= turn.now => return self.connect(turn),
            Phase::Checking { until, .. } if until <= turn.now => {
                return self.checked(Checked::Silent, turn);
            }
            Phase::Connecting { until }
            | Phase::Greeting { until }
            | Phase::Syncing { until }
            | Phase::Draining { until, .. }
                if until <= turn.now =>
            {
                return self.hang_up(CloseCode::SILENT, turn);
            }
            _ => {}
        }
        let oldest = self.outbox.oldest_in_flight();
        if self.connection.is_dead(oldest, turn.now) {
            self.hang_up(CloseCode::SILENT, turn);
        } else if self.connection.wants_probe(oldest, turn.now) {
            self.probe(false, turn);
        }
    }

    /// The network is back, the page is shown, or it woke up.
    pub(super) fn awake(&mut self, turn: &mut Turn<'_>) {
        match self.connection.phase {
            Phase::Idle => self.connect(turn),
            Phase::Offline => {
                let soon = self.soon(turn.now);
                self.wait_until(soon);
            }
            Phase::Waiting { .. }
            | Phase::Checking { .. }
            | Phase::Connecting { .. }
            | Phase::Greeting { .. } => self.hurry(turn),
            Phase::Syncing { .. } | Phase::Live { .. } => {
                // The silence of a sleep is not the server's.
                self.connection.heard(turn.now);
                self.probe(true, turn);
            }
            _ => {}
        }
    }

    /// Somebody waits: the next try is made soon. The one that is under way may be in vain.
    pub(super) fn hurry(&mut self, turn: &mut Turn<'_>) {
        match self.connection.phase {
            Phase::Waiting { until } => {
                let soon = self.soon(turn.now);
                self.wait_until(soon.min(until));
            }
            Phase::Checking { .. } | Phase::Connecting { .. } | Phase::Greeting { .. } => {
                self.connection.hurried = true;
            }
            _ => {}
        }
    }

    /// Within a second, so that a crowd spreads; but however often it is asked for, no try follows on
    /// another one at once.
    fn soon(&mut self, now: i64) -> i64 {
        let soon = now + self.chance.up_to(AWAKE_MS_MAX);
        let after = self.connection.tried_at.map_or(now, |at| at + TRIES_MS_MIN);
        soon.max(after)
    }

    /// Nobody sees the page, or somebody does. A hidden one may end without another word.
    pub(super) fn hidden(&mut self, hidden: bool, turn: &mut Turn<'_>) {
        self.connection.hidden = hidden;
        if hidden {
            self.write_cache(turn);
        }
    }

    /// There is no network, or the browser freezes the page.
    pub(super) fn asleep(&mut self, turn: &mut Turn<'_>) {
        if let Phase::Stopped(_) = self.connection.phase {
            return;
        }
        if let Some(socket) = self.connection.socket() {
            turn.put(Output::Close(socket, CloseCode::NORMAL));
        }
        self.connection.backoff.ended(self.connection.live_since(), turn.now);
        self.forget_connection(turn);
        self.connection.phase = Phase::Offline;
    }

    /// The person does not want to wait.
    pub(super) fn connect_now(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.connection.phase, Phase::Waiting { .. } | Phase::Offline) {
            self.connect(turn);
        }
        if matches!(&self.connection.phase, Phase::Stopped(stop) if *stop != Stop::Replaced) {
            self.connection.guest_asked = false;
            self.connect(turn);
        }
    }

    /// The server is about to stop: what is under way may still be answered.
    pub(super) fn drain(&mut self, after_ms: u32, turn: &mut Turn<'_>) {
        if self.connection.takes_ops() {
            let (until, back_at) = (turn.now + DRAIN_MS_MAX, turn.now + i64::from(after_ms));
            self.connection.phase = Phase::Draining { until, back_at };
            self.connection.busy(back_at);
        }
    }

    /// Ends a draining connection when nothing is under way any more.
    pub(super) fn drained(&mut self, turn: &mut Turn<'_>) {
        let draining = matches!(self.connection.phase, Phase::Draining { .. });
        if draining && self.outbox.oldest_in_flight().is_none() {
            self.hang_up(CloseCode::NORMAL, turn);
        }
    }

    fn probe(&mut self, after_sleep: bool, turn: &mut Turn<'_>) {
        if let Some(number) = self.connection.probe(after_sleep, turn.now) {
            self.say(&Command::Probe(Probe { number }), turn);
        }
    }

    /// The cookie names nobody any more: a guest becomes a new one, once; others must sign in.
    fn signed_out(&mut self, turn: &mut Turn<'_>) {
        let account = self.me.as_ref().is_some_and(|me| me.rank != Rank::Guest);
        if account || self.connection.guest_asked {
            self.stop(Stop::SignedOut);
        } else {
            self.ask_for_guest(turn);
        }
    }

    fn ask_for_guest(&mut self, turn: &mut Turn<'_>) {
        self.connection.guest_asked = true;
        self.connection.check(true, turn.now);
        turn.put(Output::Check { guest_only: true });
    }

    fn reload_or(&mut self, stop: Stop, turn: &mut Turn<'_>) {
        if !std::mem::replace(&mut self.setup.reloaded, true) {
            turn.put(Output::Reload);
        }
        self.stop(stop);
    }

    fn stop(&mut self, stop: Stop) {
        self.connection.phase = Phase::Stopped(stop);
    }

    /// A try was in vain: the next one comes after this delay, or soon where somebody waited meanwhile.
    fn wait_again(&mut self, delay: i64, now: i64) {
        let until = now + delay;
        let hurried = std::mem::take(&mut self.connection.hurried);
        let until = if hurried { self.soon(now).min(until) } else { until };
        self.wait_until(until);
    }

    /// Waits for the next try, which never comes before the server wants it.
    fn wait_until(&mut self, until: i64) {
        let until = until.max(self.connection.busy_until);
        self.connection.phase = Phase::Waiting { until };
    }

    /// What belonged to the connection ends with it.
    fn forget_connection(&mut self, turn: &mut Turn<'_>) {
        self.outbox.disconnected();
        self.logs.disconnected();
        self.rooms = None;
        for room in self.typing.disconnected() {
            turn.tell(Told::Typists { room, names: Vec::new() });
        }
        for (_, wanted) in std::mem::take(&mut self.older) {
            turn.tell(Told::OlderLost(wanted.room));
        }
    }
}

fn stop_of(code: CloseCode) -> Stop {
    match code {
        CloseCode::DISABLED => Stop::Disabled,
        CloseCode::VERSION => Stop::Version,
        CloseCode::TOO_MANY_SOCKETS => Stop::TooManySockets,
        CloseCode::SIGNED_OUT => Stop::SignedOut,
        _ => Stop::Policy(String::new()),
    }
}
