//! The table of verbs: every command, a line an arm, and what each of them is.
//!
//! Called by `Session::step` alone. Its law: the match is closed and its arms hold no logic; a verb
//! only decides, whatever has to be read or written is an output.

use protocol::act::{Op, OpHead, Strand};
use protocol::close::CloseCode;
use protocol::codec::VERSION;
use protocol::command::{Hello, Probe, Sub, Typing};
use protocol::event::{Event, Probed, USER_SUB};
use protocol::frame::{Act, Command, Kind};
use protocol::ids::{DeviceId, LogId};
use protocol::model::MessageText;
use protocol::refusal::{Fault, RetryReason};
use protocol::words;

use super::{Caller, IGNORED_MAX, LANES_MAX, OpenLane, Output, Session, Stage, Ticket};
use crate::history::Pending;
use crate::hub::Leave;
use crate::rooms::task::TurnedAway;

impl Session {
    pub(super) fn handle(&mut self, command: Command, now: i64, out: &mut Vec<Output>) {
        match (&self.stage, command) {
            (Stage::Opened, Command::Hello(hello)) => self.hello(hello, out),
            (Stage::Open { device, .. }, command) => self.verb(*device, command, now, out),
            _ => self.close(CloseCode::OUT_OF_TURN, out),
        }
    }

    fn verb(&mut self, device: DeviceId, command: Command, now: i64, out: &mut Vec<Output>) {
        match command {
            Command::Hello(_) => self.close(CloseCode::OUT_OF_TURN, out),
            Command::Sub(sub) => self.subscribe(&sub, out),
            Command::Unsub(unsub) => self.unsubscribe(unsub.sub, out),
            Command::PageAck(ack) => out.push(Output::PageAck(ack.sub)),
            Command::Pong(_) => {}
            Command::Probe(probe) => probed(&probe, out),
            Command::Typing(typing) => self.typing(&typing, now, out),
            Command::History(history) => out.push(Output::Older(history)),
            Command::Op(head, act) => self.act(device, &head, act, now, out),
        }
    }

    fn hello(&mut self, hello: Hello, out: &mut Vec<Output>) {
        if hello.version != u16::from(VERSION) {
            return self.close(CloseCode::VERSION, out);
        }
        let cursor = hello.user_cursor;
        self.stage = Stage::Arriving { device: hello.device, cursor };
        out.push(Output::Arrive { page: hello.page, cursor });
    }

    fn subscribe(&mut self, sub: &Sub, out: &mut Vec<Output>) {
        // A number that does not grow could be mistaken for an older subscription's.
        if sub.sub <= self.last_sub {
            return self.bad_frame(Fault::Body, Kind::Sub.number(), out);
        }
        self.last_sub = sub.sub;
        out.push(Output::Subscribe { sub: sub.sub, room: sub.room, cursor: sub.cursor });
    }

    fn unsubscribe(&mut self, sub: u32, out: &mut Vec<Output>) {
        // The user's own log is told for as long as the connection lives.
        if sub == USER_SUB {
            return self.bad_frame(Fault::Body, Kind::Unsub.number(), out);
        }
        out.push(Output::Unsubscribe(sub));
    }

    /// A sign that is too many is dropped; an end is free, once, where there is something to end:
    /// without it the others would go on seeing him type.
    fn typing(&mut self, typing: &Typing, now: i64, out: &mut Vec<Output>) {
        let Stage::Open { name, .. } = &self.stage else { return };
        let Typing { room, active } = *typing;
        let is_told =
            if active { self.typing.take(now).is_ok() } else { self.types_in == Some(room) };
        if is_told {
            self.types_in = active.then_some(room);
            let name = self.rates.renamed().unwrap_or_else(|| name.clone());
            out.push(Output::Typing { room, name, active });
        }
    }

    fn act(&mut self, device: DeviceId, head: &OpHead, act: Act, now: i64, out: &mut Vec<Output>) {
        let Strand { log, kind } = act.strand(self.caller.user);
        let leave = self.leave;
        let rates = self.rates.clone();
        let Some(open) = self.lane(log) else { return self.close(CloseCode::POLICY, out) };
        if head.lane_generation != open.lane.generation() {
            return;
        }
        let ticket = Ticket { op_id: head.op_id, log, mark: open.lane.mark() };
        if let Some(leave) = leave {
            return self.refuse(&ticket, reason(leave).into(), out);
        }
        // Asking whether an op is stored takes its place among the frames alone.
        if !head.check_only
            && let Err(wait_ms) = rates.take(&act, now)
        {
            return self.too_fast((&ticket, kind), wait_ms, now, out);
        }
        open.patience.remove(&kind);
        open.under_way += 1;
        self.unanswered += 1;
        let op = Op { op_id: head.op_id, act: with_plain_line_ends(act) };
        let Caller { user: author, sign_in } = self.caller;
        let pending = Pending { author, sign_in, device, op, check_only: head.check_only };
        out.push(Output::Act(ticket, pending));
    }

    fn too_fast(
        &mut self,
        (ticket, kind): (&Ticket, Option<Kind>),
        wait_ms: u32,
        now: i64,
        out: &mut Vec<Output>,
    ) {
        if let Some(open) = self.lanes.as_mut().and_then(|lanes| lanes.get_mut(&ticket.log)) {
            let patience = open.patience.entry(kind).or_default();
            if now < patience.until {
                patience.ignored += 1;
            }
            if patience.ignored >= IGNORED_MAX {
                return self.close(CloseCode::RATE, out);
            }
            patience.until = now.saturating_add(i64::from(wait_ms));
        }
        let away = TurnedAway { reason: RetryReason::Rate, retry_after_ms: wait_ms };
        self.refuse(ticket, away, out);
    }

    /// Ends the lane's generation before this op and says so.
    fn refuse(&self, ticket: &Ticket, away: TurnedAway, out: &mut Vec<Output>) {
        if ticket.mark.end() {
            self.put_off(ticket, away, out);
        }
    }

    fn lane(&mut self, log: LogId) -> Option<&mut OpenLane> {
        let lanes = self.lanes.get_or_insert_default();
        let is_known = lanes.contains_key(&log);
        (is_known || lanes.len() < LANES_MAX).then(|| lanes.entry(log).or_default())
    }
}

const fn reason(leave: Leave) -> RetryReason {
    match leave {
        Leave::Stopping { .. } => RetryReason::Draining,
        Leave::Away { .. } => RetryReason::Unavailable,
    }
}

fn probed(probe: &Probe, out: &mut Vec<Output>) {
    out.push(Output::Answer(Event::Probed(Probed { number: probe.number })));
}

/// A client of ours sends LF; another's CRLF is taken as such before the op is compared or stored.
fn with_plain_line_ends(act: Act) -> Act {
    match act {
        Act::Post(mut post) if post.text.contains('\r') => {
            let plain = words::with_plain_line_ends(&post.text);
            // What only got shorter fits its bound.
            post.text = MessageText::new(plain).unwrap_or_default();
            Act::Post(post)
        }
        act => act,
    }
}
