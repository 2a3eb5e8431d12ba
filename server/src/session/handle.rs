//! The table of verbs: every command, a line an arm, and what each of them is.
//!
//! Called by `Session::step` alone. Its law: the match is closed and its arms hold no logic; a verb
//! only decides, whatever has to be read or written is an output.

use protocol::act::OpHead;
use protocol::close::CloseCode;
use protocol::codec::VERSION;
use protocol::command::{Hello, Probe, Sub, Typing};
use protocol::event::{Event, Probed};
use protocol::frame::{Act, Command, Kind};
use protocol::ids::{DeviceId, LogId};
use protocol::model::MessageText;
use protocol::refusal::{Fault, RetryReason};

use super::{IGNORED_MAX, LANES_MAX, OpenLane, Output, Session, Stage, Ticket, wait_ms};
use crate::history::Pending;
use crate::rooms::lane::Lane;
use crate::rooms::words;

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
            Command::Unsub(unsub) => out.push(Output::Unsubscribe(unsub.sub)),
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

    fn typing(&mut self, typing: &Typing, now: i64, out: &mut Vec<Output>) {
        if let Stage::Open { name, .. } = &self.stage
            && self.typing.take(now).is_ok()
        {
            let (room, name, active) = (typing.room, name.clone(), typing.active);
            out.push(Output::Typing { room, name, active });
        }
    }

    fn act(&mut self, device: DeviceId, head: &OpHead, act: Act, now: i64, out: &mut Vec<Output>) {
        let log = act.log(self.terms.caller.user);
        let Some(lane) = self.lane(log) else { return self.close(CloseCode::POLICY, out) };
        if head.lane_generation != lane.generation() {
            return;
        }
        let name = match &act {
            Act::Rename(rename) => Some(rename.name.clone()),
            _ => None,
        };
        let ticket = Ticket { op_id: head.op_id, log, mark: lane.mark(), name };
        if self.is_stopping {
            self.refuse(&ticket, RetryReason::Draining, wait_ms(RetryReason::Draining), out);
        } else if let Err(wait_ms) = self.rate(head, &act, now) {
            self.too_fast(&ticket, wait_ms, now, out);
        } else {
            self.ignored = 0;
            self.unanswered += 1;
            if let Some(open) = self.lanes.get_mut(&log) {
                open.under_way += 1;
            }
            let op = protocol::act::Op { op_id: head.op_id, act: with_plain_line_ends(act) };
            let (author, sign_in) = (self.terms.caller.user, self.terms.caller.sign_in);
            let check_only = head.check_only;
            let pending = Pending { author, sign_in, device, op, check_only };
            out.push(Output::Act(ticket, pending));
        }
    }

    /// Takes one act from the user's rates; asking whether an op is stored is free.
    fn rate(&self, head: &OpHead, act: &Act, now: i64) -> Result<(), u32> {
        if head.check_only { Ok(()) } else { self.terms.rates.take(act, now) }
    }

    fn too_fast(&mut self, ticket: &Ticket, wait_ms: u32, now: i64, out: &mut Vec<Output>) {
        if now < self.patience_until {
            self.ignored += 1;
        }
        if self.ignored >= IGNORED_MAX {
            return self.close(CloseCode::RATE, out);
        }
        self.patience_until = now.saturating_add(i64::from(wait_ms));
        self.refuse(ticket, RetryReason::Rate, wait_ms, out);
    }

    /// Voids the lane's generation and says so.
    fn refuse(&self, ticket: &Ticket, reason: RetryReason, ms: u32, out: &mut Vec<Output>) {
        if ticket.mark.put_off() {
            self.put_off(ticket, reason, ms, out);
        }
    }

    fn lane(&mut self, log: LogId) -> Option<Lane> {
        if self.lanes.len() >= LANES_MAX && !self.lanes.contains_key(&log) {
            return None;
        }
        let fresh = || OpenLane { lane: Lane::default(), under_way: 0 };
        Some(self.lanes.entry(log).or_insert_with(fresh).lane.clone())
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
