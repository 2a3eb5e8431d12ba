//! One client's conversation with the server: what is understood, allowed now, and answered.
//!
//! A plain struct with `step(input, now) -> outputs`; the connection's task (`socket/connection.rs`)
//! carries them out, the simulation steps it bare (see `Session`). `session/handle.rs` is its table
//! of verbs. Its law: `Hello` comes first and once, every op gets at most one answer, an op of a
//! void generation gets none, and whatever is too much is answered, left unread or cut, never queued.

use std::collections::BTreeMap;

use protocol::bounded::{List, Text};
use protocol::close::CloseCode;
use protocol::cursor::Cursor;
use protocol::event::{Drain, Event, Faulty, RefuseRetry, Rooms, Welcome};
use protocol::frame::Kind;
use protocol::ids::{DeviceId, LogId, RoomId};
use protocol::limits::{
    AWAY_MS_MIN, BAD_FRAMES_MAX, CLIENT_SILENCE_MS_MAX, PING_MS, ROOMS_A_FRAME_MAX, WELCOME_MS_MAX,
    WINDOW_OPS,
};
use protocol::model::{DisplayName, Me, RoomEntry};
use protocol::refusal::{Fault, Refusal};

use crate::clock::{Chance, SeededChance};
use crate::db::people::SEEN_EVERY_MS;
use crate::history::{Arrival, Verdict};
use crate::hub::Leave;
use crate::rooms::lane::Lane;
use crate::rooms::rates::{Bucket, SharedRates};
use crate::rooms::room::Reply;
use crate::rooms::task::TurnedAway;

mod exchange;
mod handle;
pub mod reading;

pub use self::exchange::{Caller, Input, Output, Terms, Ticket};

/// Lanes that one connection may have open.
const LANES_MAX: usize = 1_024;
/// Refusals for sending too fast that a client may ignore before it is closed.
const IGNORED_MAX: u32 = 3;

enum Stage {
    /// Waits for `Hello`.
    Opened,
    /// Waits for `Arrived`.
    Arriving {
        device: DeviceId,
        cursor: Option<Cursor>,
    },
    Open {
        device: DeviceId,
        name: DisplayName,
    },
    Closed,
}

#[derive(Default)]
struct OpenLane {
    lane: Lane,
    under_way: u32,
    /// What was too fast, by kind where the log is the user's own: there the others may go on.
    patience: BTreeMap<Option<Kind>, Patience>,
}

type Lanes = BTreeMap<LogId, OpenLane>;

/// How a client takes that it sends too fast.
#[derive(Default)]
struct Patience {
    /// Until when it was told to wait.
    until: i64,
    /// How often it did not.
    ignored: u32,
}

/// One session, from the upgrade to the close.
///
/// To step it without tasks: give a `Command` only while `is_ready` and while the outputs of the
/// one before are carried out (a `Subscribe` is: read `admission`, join the log's list, then step the
/// outlet); `Replied` comes whenever the test pleases, `Tick` when `wakes_at` has come.
pub struct Session {
    caller: Caller,
    rates: SharedRates,
    text_chars_max: u32,
    stage: Stage,
    heard_at: i64,
    /// When the client must have been greeted; behind that, when it is pinged next.
    due_at: i64,
    note_at: i64,
    ping_number: u32,
    last_sub: u32,
    bad_frames: u8,
    /// At most the window.
    unanswered: u8,
    /// Those in which something is under way or was put off: most of the time none.
    lanes: Option<Box<Lanes>>,
    frames: Bucket,
    /// Frames came too fast: none is taken before this time.
    rests_until: Option<i64>,
    typing: Bucket,
    /// Where the user types, as the others were told.
    types_in: Option<RoomId>,
    /// Why everybody is asked to go.
    leave: Option<Leave>,
    chance: SeededChance,
}

impl Session {
    /// A session whose socket was just opened.
    #[must_use]
    pub fn new(terms: Terms, now: i64) -> Self {
        let Terms { caller, rates, text_chars_max, frames, typing, seed } = terms;
        let (frames, typing) = (Bucket::new(&frames), Bucket::new(&typing));
        let chance = SeededChance::new(seed);
        Self {
            caller,
            rates,
            text_chars_max,
            stage: Stage::Opened,
            heard_at: now,
            due_at: now.saturating_add(WELCOME_MS_MAX),
            note_at: i64::MAX,
            ping_number: 0,
            last_sub: 0,
            bad_frames: 0,
            unanswered: 0,
            lanes: None,
            frames,
            rests_until: None,
            typing,
            types_in: None,
            leave: None,
            chance,
        }
    }

    /// Takes an input in.
    pub fn step(&mut self, input: Input, now: i64, out: &mut Vec<Output>) {
        if matches!(self.stage, Stage::Closed) {
            return;
        }
        match input {
            Input::Command(command) => {
                self.heard(now);
                self.handle(command, now, out);
            }
            Input::Faulty { fault, kind } => {
                self.heard(now);
                self.bad_frame(fault, kind, out);
            }
            Input::Sign => self.heard(now),
            Input::Arrived { arrival, server_time, build } => {
                self.arrived(arrival, (server_time, build, now), out);
            }
            Input::Replied(ticket, reply) => self.replied(ticket, reply, out),
            Input::TurnedAway(ticket, away) => self.turned_away(&ticket, away, out),
            Input::Leave(leave) => self.leave(leave, out),
            Input::Tick => self.tick(now, out),
        }
    }

    /// Whether the next command may come: the window is open, nothing is awaited first, and the one
    /// before did not come too fast.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.unanswered() < WINDOW_OPS
            && self.rests_until.is_none()
            && matches!(self.stage, Stage::Opened | Stage::Open { .. })
    }

    /// Whom it speaks for.
    #[must_use]
    pub const fn caller(&self) -> Caller {
        self.caller
    }

    /// Ops that wait for their answer.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.unanswered.into()
    }

    /// When `Tick` is due.
    #[must_use]
    pub fn wakes_at(&self) -> Option<i64> {
        let rested_at = self.rests_until.unwrap_or(i64::MAX);
        match self.stage {
            Stage::Opened | Stage::Arriving { .. } => Some(self.due_at.min(rested_at)),
            Stage::Open { .. } => {
                let silent_at = self.heard_at.saturating_add(CLIENT_SILENCE_MS_MAX);
                Some(self.due_at.min(self.note_at).min(silent_at).min(rested_at))
            }
            Stage::Closed => None,
        }
    }

    /// A frame came; what is more than its rate is paid for by not reading on for a while.
    fn heard(&mut self, now: i64) {
        self.heard_at = now;
        self.rests_until = self.frames.spend(now);
    }

    fn close(&mut self, code: CloseCode, out: &mut Vec<Output>) {
        self.stage = Stage::Closed;
        out.push(Output::Close(code));
    }

    fn bad_frame(&mut self, fault: Fault, kind: u16, out: &mut Vec<Output>) {
        self.bad_frames += 1;
        if u32::from(self.bad_frames) >= BAD_FRAMES_MAX {
            self.close(CloseCode::BAD_FRAMES, out);
        } else {
            out.push(Output::Answer(Event::Faulty(Faulty { fault, kind })));
        }
    }

    fn arrived(
        &mut self,
        arrival: Option<Box<Arrival>>,
        (server_time, build, now): (i64, &str, i64),
        out: &mut Vec<Output>,
    ) {
        let Stage::Arriving { device, cursor } = self.stage else { return };
        let Some(arrival) = arrival else { return self.close(CloseCode::SIGNED_OUT, out) };
        let Arrival { me, disabled, rooms, admission } = *arrival;
        if disabled {
            return self.close(CloseCode::DISABLED, out);
        }
        self.stage = Stage::Open { device, name: me.name.clone() };
        let first_ping_ms = self.chance.below(PING_MS.unsigned_abs());
        self.due_at = now.saturating_add_unsigned(first_ping_ms);
        out.push(Output::Greet(self.greeting(me, rooms, (server_time, build))));
        out.push(Output::SubscribeOwn { admission, cursor });
        self.note_use(now, out);
        self.say_drain(out);
    }

    fn greeting(
        &self,
        user: Me,
        rooms: Vec<RoomEntry>,
        (server_time, build): (i64, &str),
    ) -> Vec<Event> {
        let mut pages = rooms.chunks(ROOMS_A_FRAME_MAX);
        let page = |entries: &[RoomEntry]| List::cut(entries.iter().cloned());
        let welcome = Welcome {
            user,
            rooms: pages.next().map(page).unwrap_or_default(),
            more: pages.len() > 0,
            ping_ms: u32::try_from(PING_MS).unwrap_or(u32::MAX),
            text_chars_max: self.text_chars_max,
            window: u16::try_from(WINDOW_OPS).unwrap_or(u16::MAX),
            server_time,
            build: Text::cut(build),
        };
        let mut greeting = vec![Event::Welcome(welcome)];
        while let Some(entries) = pages.next() {
            greeting.push(Event::Rooms(Rooms { rooms: page(entries), more: pages.len() > 0 }));
        }
        greeting
    }

    fn replied(&mut self, ticket: Ticket, reply: Reply, out: &mut Vec<Output>) {
        self.answered(&ticket);
        match reply {
            Reply::Verdict(Verdict::Accepted(accepted)) => {
                out.push(Output::Answer(Event::Accepted(accepted)));
            }
            Reply::Verdict(Verdict::Refused(refused)) => {
                let is_disabled = refused.refusal == Refusal::AccountDisabled;
                out.push(Output::Answer(Event::Refused(refused)));
                // It may be an old answer, to an op of before the account was given back.
                if is_disabled {
                    out.push(Output::NoteUse);
                }
            }
            Reply::Verdict(Verdict::Retry(reason)) => {
                self.put_off(&ticket, reason.into(), out);
            }
            Reply::Verdict(Verdict::SignedOut) => self.close(CloseCode::SIGNED_OUT, out),
            Reply::Void => {}
            Reply::Unknown => self.close(CloseCode::COMMIT_UNKNOWN, out),
        }
    }

    fn turned_away(&mut self, ticket: &Ticket, away: TurnedAway, out: &mut Vec<Output>) {
        // The generation ends before the lane may be forgotten: what is under way behind this op is
        // of the old one. Of those ops only one is told.
        let ends_it = ticket.mark.end();
        self.answered(ticket);
        if ends_it {
            self.put_off(ticket, away, out);
        }
    }

    /// Answers that an op is not done now; its lane's generation is raised already.
    fn put_off(&self, ticket: &Ticket, away: TurnedAway, out: &mut Vec<Output>) {
        let open = self.lanes.as_ref().and_then(|lanes| lanes.get(&ticket.log));
        let lane_generation = open.map_or(0, |open| open.lane.generation());
        out.push(Output::Answer(Event::RefuseRetry(RefuseRetry {
            op_id: ticket.op_id,
            log: ticket.log,
            lane_generation,
            retry_after_ms: away.retry_after_ms,
            reason: away.reason,
        })));
    }

    /// One op less is under way; a lane that is as at the beginning is forgotten.
    fn answered(&mut self, ticket: &Ticket) {
        self.unanswered = self.unanswered.saturating_sub(1);
        let Some(lanes) = &mut self.lanes else { return };
        if let Some(open) = lanes.get_mut(&ticket.log) {
            open.under_way = open.under_way.saturating_sub(1);
            if open.under_way == 0 && open.lane.generation() == 0 {
                lanes.remove(&ticket.log);
            }
        }
        self.lanes.take_if(|lanes| lanes.is_empty());
    }

    /// The sign-in is in use, now and for as long as the connection lives. Connections that came at
    /// one moment do not all say so at one moment.
    fn note_use(&mut self, now: i64, out: &mut Vec<Output>) {
        let spread_ms = self.chance.below(SEEN_EVERY_MS.unsigned_abs() / 10);
        self.note_at = now.saturating_add(SEEN_EVERY_MS).saturating_add_unsigned(spread_ms);
        out.push(Output::NoteUse);
    }

    fn leave(&mut self, leave: Leave, out: &mut Vec<Output>) {
        self.leave = Some(leave);
        if matches!(self.stage, Stage::Open { .. }) {
            self.say_drain(out);
        }
    }

    /// Every client comes back at a moment of its own.
    fn say_drain(&mut self, out: &mut Vec<Output>) {
        let (soonest_ms, spread_ms) = match self.leave {
            None => return,
            Some(Leave::Stopping { spread_ms }) => (0, spread_ms),
            Some(Leave::Away { spread_ms }) => (AWAY_MS_MIN, spread_ms),
        };
        let later_ms = u32::try_from(self.chance.below(spread_ms.into())).unwrap_or(0);
        let after_ms = soonest_ms.saturating_add(later_ms);
        out.push(Output::Answer(Event::Drain(Drain { after_ms })));
    }

    fn tick(&mut self, now: i64, out: &mut Vec<Output>) {
        self.rests_until = self.rests_until.filter(|until| *until > now);
        match self.stage {
            Stage::Opened if now >= self.due_at => self.close(CloseCode::NO_HELLO, out),
            Stage::Arriving { .. } if now >= self.due_at => {
                self.close(CloseCode::TRY_LATER, out);
            }
            Stage::Open { .. } => {
                if now >= self.heard_at.saturating_add(CLIENT_SILENCE_MS_MAX) {
                    return self.close(CloseCode::SILENT, out);
                }
                if now >= self.note_at {
                    self.note_use(now, out);
                }
                if now >= self.due_at {
                    let tenth = PING_MS.unsigned_abs() / 10;
                    let wait_ms = 9 * tenth + self.chance.below(2 * tenth);
                    self.due_at = now.saturating_add_unsigned(wait_ms);
                    self.ping_number = self.ping_number.wrapping_add(1);
                    out.push(Output::Ping(self.ping_number));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
