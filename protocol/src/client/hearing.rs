//! What the server says, turned into what the screen is told.
//!
//! Part of the machine. Its laws: an event of a log is told once and in its order, else the log is
//! asked for again; an op is confirmed by its answer or by its own event, whichever is first; what
//! answers an older subscription is passed over.

use super::connection::Phase;
use super::exchange::Told;
use super::logs::Place;
use super::{Client, OLDER_BUSY_MS, Turn, Wanted};
use crate::act::Strand;
use crate::change::{Envelope, FLAG_ERASED};
use crate::close::CloseCode;
use crate::codec::decode_event;
use crate::command::{PageAck, Pong};
use crate::event::{
    Accepted, Gone, GoneReason, Older, Page, Ping, RefuseRetry, Refused, Reset, SubOk, Typists,
    Welcome,
};
use crate::frame::{Change, Command, Event};
use crate::ids::{LogId, OpId};
use crate::limits::WINDOW_OPS;
use crate::model::{Message, RoomEntry};
use crate::refusal::Refusal;

/// Lost positions within this time are counted together.
const GAPS_SPAN_MS: i64 = 60_000;
/// So many of them end the connection.
const GAPS_MAX: usize = 3;

/// An own message in a room: its op, its number, and when it was stored.
pub(super) type OwnMessage = (OpId, u64, i64);

impl Client {
    /// Takes one message of the open socket in.
    pub(super) fn hear(&mut self, frame: &[u8], turn: &mut Turn<'_>) {
        self.connection.heard(turn.now);
        match decode_event(frame) {
            Ok(Some(event)) => self.event(event, turn),
            Ok(None) => {}
            Err(_) => self.hang_up(CloseCode::BAD_FRAMES, turn),
        }
        self.drained(turn);
    }

    fn event(&mut self, event: Event, turn: &mut Turn<'_>) {
        let greeting = matches!(self.connection.phase, Phase::Greeting { .. });
        if greeting != matches!(event, Event::Welcome(_)) {
            return;
        }
        if is_progress(&event) {
            self.connection.progressed(turn.now);
        }
        match event {
            Event::Welcome(welcome) => self.welcomed(welcome, turn),
            Event::Rooms(rooms) => self.listed(rooms.rooms.into_vec(), rooms.more, turn),
            Event::SubOk(ok) => self.began(ok, turn),
            Event::Reset(reset) => self.reset(reset, turn),
            Event::Page(page) => self.page(page, turn),
            Event::Logged(logged) => self.logged(logged.envelope, turn),
            Event::Gone(gone) => self.gone(gone, turn),
            Event::Accepted(accepted) => self.accepted(accepted, turn),
            Event::Refused(refused) => self.refused(refused, turn),
            Event::RefuseRetry(retry) => self.refused_for_now(retry, turn),
            Event::Older(older) => self.older(older, turn),
            Event::Typists(typists) => self.typists(typists, turn),
            Event::Ping(ping) => self.ping(&ping, turn),
            Event::Probed(probed) => self.connection.probed(probed.number),
            Event::Drain(drain) => self.drain(drain.after_ms, turn),
            // A frame of ours was refused: a bug, which the third close of its kind makes visible.
            Event::Faulty(_) => {}
        }
    }

    fn welcomed(&mut self, welcome: Welcome, turn: &mut Turn<'_>) {
        let user = welcome.user.id;
        self.put_back(user, turn);
        let kept = self.outbox.take_foreign(user);
        for op in &kept {
            turn.tell(Told::Discarded(op.op_id));
        }
        if !kept.is_empty() {
            turn.tell(Told::Kept(kept.into_iter().map(|op| op.act).collect()));
        }
        if self.user.is_some_and(|former| former != user) {
            self.void_cache(turn);
        }
        self.user = Some(user);
        self.own_cache(user);
        self.sign_kept(user, turn);
        self.me = Some(welcome.user.clone());
        self.window = usize::from(welcome.window).clamp(1, WINDOW_OPS);
        self.clock_ahead = welcome.server_time - turn.now;
        self.connection.guest_asked = false;
        self.connection.busy_until = 0;
        self.connection.hurried = false;
        self.connection.syncing(turn.now);
        turn.tell(Told::Welcomed {
            me: welcome.user,
            clock_ahead: self.clock_ahead,
            text_chars_max: welcome.text_chars_max,
        });
        self.logs.greeted(user.log());
        self.rooms = Some(Vec::new());
        self.listed(welcome.rooms.into_vec(), welcome.more, turn);
        self.subscribe_shown(turn);
    }

    fn listed(&mut self, rooms: Vec<RoomEntry>, more: bool, turn: &mut Turn<'_>) {
        let Some(mut all) = self.rooms.take() else { return };
        all.extend(rooms);
        self.weigh(&all, more, turn);
        if more {
            self.rooms = Some(all);
        } else {
            turn.tell(Told::Rooms(all));
            // Only now the screen has a place for what is sent to a room, and may be refused.
            if let Some(user) = self.user {
                self.restore_own(user, turn);
            }
        }
    }

    fn began(&mut self, ok: SubOk, turn: &mut Turn<'_>) {
        let Some(log) = self.logs.by_sub(ok.sub) else { return };
        if self.logs.began(log, ok.sub, ok.epoch, ok.head) {
            self.judged(log, true, turn);
        } else {
            self.hang_up(CloseCode::POSITION_LOST, turn);
        }
    }

    fn reset(&mut self, reset: Reset, turn: &mut Turn<'_>) {
        let Some(log) = self.logs.by_sub(reset.sub) else { return };
        self.logs.reset(log, reset.sub, reset.cursor);
        self.cache.changed(log);
        self.judged(log, false, turn);
        if let Some(snapshot) = &reset.snapshot {
            self.confirm_messages(log, &snapshot.messages, turn);
        }
        let Reset { reason, cursor, snapshot, .. } = reset;
        turn.tell(Told::Reset { log, reason, cursor, snapshot });
    }

    fn page(&mut self, page: Page, turn: &mut Turn<'_>) {
        let sub = page.sub;
        let Some(log) = self.logs.by_sub(sub) else { return };
        for envelope in page.events.into_vec() {
            if envelope.log == log {
                self.logged(envelope, turn);
            }
        }
        // Not if a gap in it made the client ask anew under another number.
        if self.logs.by_sub(sub).is_some() {
            self.say(&Command::PageAck(PageAck { sub }), turn);
        }
    }

    fn logged(&mut self, envelope: Envelope, turn: &mut Turn<'_>) {
        match self.logs.place(&envelope) {
            Place::Passed => {}
            Place::Gap => self.position_lost(envelope.log, turn),
            Place::Next => self.tell_logged(envelope, turn),
        }
    }

    fn tell_logged(&mut self, envelope: Envelope, turn: &mut Turn<'_>) {
        let Envelope { log, seq, at, author, op_id, .. } = envelope;
        let erased = envelope.flags & FLAG_ERASED != 0;
        let change = if erased {
            None
        } else {
            Change::decode(envelope.kind, &envelope.body).ok().flatten()
        };
        let added = match &change {
            Some(Change::RoomAdded(added)) => Some(added.room),
            _ => None,
        };
        if !op_id.is_nil() && Some(author) == self.user && self.outbox.confirm(op_id) {
            // As its answer would say: who made or entered a room wants to know which.
            // Where it stands in that room's log this event of the user's does not say.
            let (log, seq) = added.map_or((log, seq), |room| (room.log(), 0));
            turn.tell(Told::Accepted { op_id, log, seq, at });
        }
        if let Some(Change::RoomRemoved(removed)) = &change {
            self.logs.forget(removed.room.log());
            self.uncache(removed.room.log(), turn);
        }
        self.cache.changed(log);
        turn.tell(Told::Logged { envelope, change });
        // Asked anew even while it is told: that may be the membership before, whose end is on its
        // way and ends nothing but the older subscription.
        if let Some(room) = added {
            self.subscribe(room, true, turn);
        }
    }

    /// An event or a ping shows that something before it is missing.
    fn position_lost(&mut self, log: LogId, turn: &mut Turn<'_>) {
        let often = self.connection.gaps.note(turn.now, GAPS_SPAN_MS) >= GAPS_MAX;
        match log.room() {
            Some(room) if !often => self.subscribe(room, true, turn),
            _ => self.hang_up(CloseCode::POSITION_LOST, turn),
        }
    }

    fn gone(&mut self, gone: Gone, turn: &mut Turn<'_>) {
        if self.logs.by_sub(gone.sub) != Some(gone.room.log()) {
            return;
        }
        self.logs.ended(gone.room.log());
        if matches!(gone.reason, GoneReason::NotMember | GoneReason::Ended) {
            self.uncache(gone.room.log(), turn);
        }
        turn.tell(Told::Gone { room: gone.room, reason: gone.reason });
    }

    fn accepted(&mut self, accepted: Accepted, turn: &mut Turn<'_>) {
        let Accepted { op_id, log, seq, at, .. } = accepted;
        if self.outbox.confirm(op_id) {
            turn.tell(Told::Accepted { op_id, log, seq, at });
        }
    }

    fn refused(&mut self, refused: Refused, turn: &mut Turn<'_>) {
        let refusal = match refused.refusal {
            Refusal::Unknown => Refusal::Expired,
            refusal => refusal,
        };
        self.fail(refused.op_id, refusal, turn);
    }

    fn refused_for_now(&mut self, retry: RefuseRetry, turn: &mut Turn<'_>) {
        let until = turn.now + i64::from(retry.retry_after_ms);
        let RefuseRetry { op_id, log, lane_generation, reason, .. } = retry;
        let kinds = self.outbox.refuse_lane((op_id, log), lane_generation, (reason, until));
        for kind in kinds {
            turn.tell(Told::Delayed { strand: Strand { log, kind }, reason, until });
        }
    }

    fn older(&mut self, older: Older, turn: &mut Turn<'_>) {
        // None, though there are some: not now.
        if older.older && older.messages.is_empty() {
            let until = turn.now + OLDER_BUSY_MS;
            let wanted = self.older.get_mut(&older.number);
            return wanted.into_iter().for_each(|wanted| wanted.until = wanted.until.min(until));
        }
        let Some(Wanted { before, .. }) = self.older.remove(&older.number) else { return };
        self.confirm_messages(older.room.log(), &older.messages, turn);
        let Older { room, messages, older, .. } = older;
        turn.tell(Told::Older { room, before, messages, older });
    }

    /// Own messages that stand in a room are stored, whether or not their answer came.
    fn confirm_messages(&mut self, log: LogId, messages: &[Message], turn: &mut Turn<'_>) {
        self.confirm(log, self.own_messages(messages), turn);
    }

    pub(super) fn own_messages(&self, messages: &[Message]) -> Vec<OwnMessage> {
        let own = messages.iter().filter(|message| Some(message.author) == self.user);
        own.map(|message| (message.op_id, message.seq, message.at)).collect()
    }

    pub(super) fn confirm(&mut self, log: LogId, own: Vec<OwnMessage>, turn: &mut Turn<'_>) {
        for (op_id, seq, at) in own {
            if self.outbox.confirm(op_id) {
                turn.tell(Told::Accepted { op_id, log, seq, at });
            }
        }
    }

    fn typists(&mut self, typists: Typists, turn: &mut Turn<'_>) {
        let room = typists.room;
        let others = typists.people.iter().filter(|typist| Some(typist.user) != self.user);
        let names: Vec<String> = others.map(|typist| typist.name.to_string()).collect();
        self.typing.heard(room, !names.is_empty(), turn.now);
        turn.tell(Told::Typists { room, names });
    }

    fn ping(&mut self, ping: &Ping, turn: &mut Turn<'_>) {
        self.say(&Command::Pong(Pong { number: ping.number }), turn);
        for position in ping.positions.iter() {
            if let Some(log) = self.logs.is_behind(position.sub, position.seq) {
                self.position_lost(log, turn);
            }
        }
    }
}

/// Whether an event is a piece of what is read behind the greeting.
const fn is_progress(event: &Event) -> bool {
    matches!(
        event,
        Event::Rooms(_)
            | Event::SubOk(_)
            | Event::Reset(_)
            | Event::Page(_)
            | Event::Logged(_)
            | Event::Gone(_)
    )
}
